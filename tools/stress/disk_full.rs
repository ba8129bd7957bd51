//! A full disk under `--capture`: the captures end, each with one reason in the log, and nothing else does.
//!
//! The disk is a small tmpfs in a mount namespace of the server's own, which goes with it.

use crate::{
    children::{beside, free_port},
    probe::{Feeder, Loss, Watcher},
    report::Report,
    stage::{Problem, Stage},
    weir_process::Weir,
};
use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

/// Bytes of the disk: two seconds of one stream and its players.
const DISK: &str = "1m";
const ENDED: &str = "its capture ends here";

pub(crate) fn run(stage: &Stage, report: &mut Report) -> Result<(), Problem> {
    let folder = stage.folder().join("disk");
    fs::create_dir_all(&folder)?;
    let can_mount = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !can_mount.is_ok_and(|status| status.success()) {
        return Err(Problem::CannotRun("no mount namespaces: not root, or not in this kernel".into()));
    }
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=$1 tmpfs \"$2\" && shift 2 && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, "sh", DISK]).arg(&folder).arg(beside("weir")?);
    command.arg("--capture").arg(&folder);
    let mut weir = Weir::start_under(stage, command, "127.0.0.1", free_port()?, &[])?;
    // One about its limits may stand at the start.
    let warnings = |weir: &Weir| weir.logged(" WARN ") + weir.logged(" ERROR ");
    let at_start = warnings(&weir);
    let _feeder = Feeder::start(stage, weir.url("disk")?, None)?;
    let watchers = (0..3)
        .map(|_| Watcher::start(stage, weir.url("disk")?, Loss::Nothing, None))
        .collect::<Result<Vec<_>, Problem>>()?;
    stage.step("filling the disk");
    let is_full = stage.until(Duration::from_secs(20), || weir.logged(ENDED) >= 4)?;
    report.check("the disk was full", is_full, format!("{} captures ended", weir.logged(ENDED)));
    stage.step("full");
    // One that comes when there is no room for the first byte.
    let late = Watcher::start(stage, weir.url("disk")?, Loss::Nothing, None)?;
    stage.pass(Duration::from_secs(stage.choose(10, 4)))?;
    for (index, watcher) in watchers.iter().chain([&late]).enumerate() {
        let findings = watcher.findings();
        report.check(format!("player {index} lost nothing"), findings.lost_nothing(), findings.trouble());
        report.at_most("  longest silence", findings.silence.as_secs_f64(), 0.5, " s");
    }
    let log = weir.log();
    let reasons: Vec<&str> = log.lines().filter(|line| line.contains(ENDED)).collect();
    report.equal("lines that give the reason, one a connection", reasons.len(), 5);
    if let Some((_, reason)) = reasons.first().and_then(|line| line.split_once(ENDED)) {
        report.figure("the reason", reason.trim_start_matches([':', ' ']));
    }
    report.equal("warnings and errors beside those", warnings(&weir) - reasons.len() - at_start, 0);
    report.check("the server lives", weir.is_alive(), "");
    Ok(())
}
