//! 2000 players of one stream, of whom 5 % stall or read at a tenth of the rate, beside the same without those.
//!
//! Runs alternate, each on a server of its own: without, with, without, with. In the last one the stalled players
//! stall for longer than the server bears (30 s), in the other they read on before. All is in a network of its own,
//! where the system buffers less for a connection than the usual 4 MB, which take a stalled player a quarter of a
//! minute to fill: until then it is no matter of the server.

use crate::{
    children::{LoadFigures, beside, run_load},
    network::Namespace,
    report::Report,
    stage::{Problem, Stage},
    weir_process::Weir,
};
use std::time::Duration;

/// KiB that a player may cost beside what waits for it: the bar of bench-peers.
const PLAYER_KIB: f64 = 8.0;
/// `--max-queue`, in KiB.
const QUEUE_KIB: f64 = 256.0;
/// p99 of the delay with slow players, as a multiple of that without.
const DELAY: f64 = 2.0;
/// Seconds of a run. After one or two, the buffers of stalled players are full.
const SHORT: u64 = 10;
/// The same, and the 30 s that a player may stay behind.
const CLOSING: u64 = SHORT + 32;
/// `net.ipv4.tcp_wmem`: the least, the first and the most that is buffered for a connection.
const BUFFERS: &str = "4096 16384 262144";

pub(crate) fn run(stage: &Stage, report: &mut Report) -> Result<(), Problem> {
    let players = stage.choose(2000, 400);
    let lagging = players / 20;
    let network = Namespace::new(stage)?;
    network.must("sh", &["-c", &format!("echo '{BUFFERS}' > /proc/sys/net/ipv4/tcp_wmem")])?;
    let round = |what: &str, lagging: usize, seconds: u64| -> Result<_, Problem> {
        stage.step(what);
        let mut command = network.command();
        command.arg(beside("weir")?);
        let weir =
            Weir::start_under(stage, command, "127.0.0.1", 1935, &[&format!("--max-queue={QUEUE_KIB}K")])?;
        let mut load = network.command();
        load.arg(beside("load")?);
        // Of those that lag, half do not read at all.
        let stalled = lagging / 2;
        load.arg(format!("--players={players}")).arg(format!("--seconds={seconds}"));
        load.arg(format!("--stalled={stalled}")).arg(format!("--slow={}", lagging - stalled));
        load.args(["--gop=30", "--probes=8", "--before=2", &format!("--pid={}", weir.pid())]);
        load.arg(weir.url_text("slow"));
        let figures = run_load(&mut load, Duration::from_secs(seconds + 2), &stage.stop)?;
        Ok((weir, figures))
    };

    let mut without = vec![round("nobody is slow", 0, SHORT)?.1];
    let (weir, with) = round("some are slow, then catch up", lagging, SHORT)?;
    report.figure("players, of whom slow", format!("{players}, {lagging}"));
    others(report, "while some are slow", &with);
    let of = |figures: &LoadFigures, name| figures.get(name).copied().unwrap_or(f64::NAN);
    report.at_most("memory at its peak", of(&with, "rss_peak_kib"), ceiling(&with, lagging), " KiB");
    report.at_least("slow players that lost pictures", of(&with, "laggards_gaps"), lagging as f64 / 2.0, "");
    let settled = of(&with, "laggards_caught_up") + of(&with, "laggards_closed");
    report.at_least("slow players that went on at a keyframe or were closed", settled, lagging as f64, "");
    report.at_least("of them went on", of(&with, "laggards_caught_up"), lagging as f64, "");
    drop(weir);

    without.push(round("nobody is slow, again", 0, SHORT)?.1);
    let mut with = vec![with];
    if !stage.is_quick {
        let (weir, closing) = round("some stall for too long", lagging, CLOSING)?;
        others(report, "while some stall for too long", &closing);
        report.at_most(
            "memory at its peak",
            of(&closing, "rss_peak_kib"),
            ceiling(&closing, lagging),
            " KiB",
        );
        let lost = of(&closing, "laggards_closed");
        report.at_least("stalled players closed", lost, (lagging / 2) as f64, "");
        report.equal("  and the log says why", weir.logged("closed: too slow"), lost as usize);
        report.at_least(
            "  the others went on",
            of(&closing, "laggards_caught_up"),
            lagging as f64 - lost,
            "",
        );
        with.push(closing);
    }

    // Of each kind the better run: what else the machine does only ever adds.
    let delay =
        |runs: &[LoadFigures]| runs.iter().map(|run| of(run, "delay_p99_ms")).fold(f64::INFINITY, f64::min);
    let alone = delay(&without);
    report.figure("p99 delay of the others while nobody is slow", format!("{alone:.1} ms"));
    report.at_most("p99 delay of the others", delay(&with), alone * DELAY, " ms");
    Ok(())
}

/// KiB that the server may take: what it takes idle, the budget of every player, and for each slow one its queue and
/// as much again for the tag that passes the limit.
fn ceiling(figures: &LoadFigures, lagging: usize) -> f64 {
    let figure = |name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
    // Resident pages include the program's own code, which the shares of idle memory may leave out.
    let idle = figure("idle_rss_kib");
    let players = figure("players");
    idle + players * PLAYER_KIB + lagging as f64 * 2.0 * QUEUE_KIB
}

/// Those that are not slow lose nothing.
fn others(report: &mut Report, when: &str, figures: &LoadFigures) {
    let figure = |name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
    let lost = figure("closed") + figure("short");
    report.at_most(format!("others closed or short {when}"), lost, 0.0, "");
    let tags = format!("{} tags checked", figure("checked"));
    report.at_most(format!("faults {when} ({tags})"), figure("faults"), 0.0, "");
    report.figure("server", format!("CPU {:.0} %, {} threads", figure("cpu_percent"), figure("threads")));
}
