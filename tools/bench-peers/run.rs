//! One measurement: the program `load` as a child, its figures as numbers.

use crate::{
    common::Failure,
    scenario::Scenario,
    servers::{Ending, Running, beside},
};
use std::{
    collections::BTreeMap,
    io::Read,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// What is the same for all measurements.
pub(crate) struct LoadPlan {
    /// Seconds that streams run before players join, so that a keyframe has been and memory has settled.
    pub(crate) before: u64,
    /// Length of a measurement.
    pub(crate) seconds: u64,
}

/// What `load` measured, by the names of its JSON. What it could not measure is not there.
pub(crate) type Run = BTreeMap<String, f64>;

/// Puts a scenario's load on a server.
pub(crate) fn load(
    plan: &LoadPlan,
    scenario: &Scenario,
    players: usize,
    server: &mut Running,
    stop: &AtomicBool,
) -> Result<Run, Failure> {
    let seconds = if scenario.is_storm { 1 } else { plan.seconds };
    let mut command = Command::new(beside("load")?);
    command.arg(format!("--publishers={}", scenario.publishers)).arg(format!("--players={players}"));
    command.arg(format!("--seconds={seconds}")).arg(format!("--before={}", plan.before)).arg("--json=-");
    command.args(scenario.flags).args(server.pids.iter().map(|pid| format!("--pid={pid}")));
    command.arg(format!("rtmp://127.0.0.1:{}/live/bench", server.port));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = Ending(child.map_err(|error| Failure::run("load", error))?);
    let deadline = Instant::now() + Duration::from_secs(plan.before + seconds) + OVERHEAD;
    // What it prints fits into a pipe, so that it can be read after the end.
    while child.0.try_wait().map_err(|error| Failure::run("load", error))?.is_none() {
        if Instant::now() >= deadline || stop.load(Relaxed) {
            return Err(Failure::run("load", "does not come to an end"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    let (mut json, mut error) = (String::new(), String::new());
    for (text, pipe) in [
        (&mut json, child.0.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read>)),
        (&mut error, child.0.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read>)),
    ] {
        let mut pipe = pipe.ok_or_else(|| Failure::run("load", "has no output"))?;
        pipe.read_to_string(text).map_err(|error| Failure::run("load", error))?;
    }
    if !server.is_alive() {
        return Err(Failure::run("server", "ended under load"));
    }
    // Also of a run in which players came off badly: the figures say so.
    parse(&json).ok_or_else(|| Failure::Run(error.trim().into()))
}

/// One flat object of numbers and nulls, which is what `load` prints.
fn parse(json: &str) -> Option<Run> {
    let pairs = json.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut run = Run::new();
    for pair in pairs.split(',') {
        let (name, value) = pair.split_once(':')?;
        let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
        if value.trim() != "null" {
            run.insert(name.into(), value.trim().parse().ok()?);
        }
    }
    Some(run)
}

/// What `load` may need beside the seconds it was told to measure; above its own deadlines, which come first.
const OVERHEAD: Duration = Duration::from_secs(70);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_numbers_by_name() {
        let run = parse("{\"cpu_seconds\":1.5,\"delay_p99_ms\":null,\"closed\":0}\n");
        assert_eq!(run, Some(Run::from([("cpu_seconds".into(), 1.5), ("closed".into(), 0.0)])));
        for broken in ["", "{\"a\":1", "{\"a\":x}", "{a:1}"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
