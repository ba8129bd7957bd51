//! A server that is out of file descriptors: its limit is lowered under it while streams run, and raised again.

use crate::{
    probe::{Feeder, Loss, Watcher},
    report::Report,
    stage::{Problem, Stage},
    weir_process::Weir,
    wire,
};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Clients that come meanwhile.
const WAITING: usize = 50;
/// Percent of a core while nobody can be accepted, beside what the streams take.
const CPU: f64 = 2.0;
/// From the end of the shortage to the last answer.
const RECOVERY: Duration = Duration::from_secs(2);

pub(crate) fn run(stage: &Stage, report: &mut Report) -> Result<(), Problem> {
    let mut weir = Weir::start(stage, &[])?;
    let _feeder = Feeder::start(stage, weir.url("files")?, None)?;
    let watchers = (0..3)
        .map(|_| Watcher::start(stage, weir.url("files")?, Loss::Nothing, None))
        .collect::<Result<Vec<_>, Problem>>()?;
    let time = Duration::from_secs(stage.choose(8, 4));
    stage.step("as it should be");
    let usual = weir.cpu_during(stage, time)?;

    stage.step("no files");
    let pid = i32::try_from(weir.pid()).ok().and_then(Pid::from_raw);
    // It has our hard limit, and has raised its soft one to that.
    let hard = getrlimit(Resource::Nofile).maximum;
    let limit = |current: Option<u64>| {
        let limit = Rlimit { current, maximum: hard };
        prlimit(pid, Resource::Nofile, limit).map_err(|error| Problem::broken("prlimit", error))
    };
    // Two more are possible: who gets them may play or not, but the server has to live with it.
    limit(Some(weir.files()? as u64 + 2))?;
    let mut clients = Vec::new();
    for index in 0..WAITING {
        let mut socket = TcpStream::connect(weir.address())?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let hello =
            if index % 2 == 0 { wire::play("files") } else { wire::publish(&format!("files-{index}")) };
        socket.write_all(&hello)?;
        clients.push(socket);
    }
    let shortage = weir.cpu_during(stage, time)?;
    let lines = weir.logged("cannot accept connections");
    report.figure("CPU with the streams alone", format!("{usual:.1} %"));
    report.at_most(format!("CPU while {WAITING} cannot be accepted"), shortage, usual + CPU, " %");
    report.at_least("lines that say so", lines as f64, 1.0, "");
    let most = time.as_secs_f64() + 1.0;
    report.at_most("lines that say so, one a second", lines as f64, most, "");

    stage.step("files again");
    limit(hard)?;
    let again = Instant::now();
    let mut answered = 0;
    for socket in &mut clients {
        let mut answer = [0; 1];
        answered += usize::from(socket.read_exact(&mut answer).is_ok());
    }
    let took = again.elapsed();
    // Of the two that were accepted meanwhile, one may have been closed for lack of a thread to play on.
    report.at_least("clients answered afterwards", answered as f64, WAITING as f64 - 2.0, "");
    report.at_most("until the last answer", took.as_secs_f64(), RECOVERY.as_secs_f64(), " s");
    let late = Watcher::start(stage, weir.url("files")?, Loss::Nothing, None)?;
    stage.pass(Duration::from_secs(1))?;
    for (index, watcher) in watchers.iter().chain([&late]).enumerate() {
        let findings = watcher.findings();
        report.check(format!("player {index} lost nothing"), findings.lost_nothing(), findings.trouble());
    }
    report.check("the server lives", weir.is_alive(), "");
    Ok(())
}
