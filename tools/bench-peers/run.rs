//! One measurement: the program `load` as a child, its figures as numbers.

use crate::{
    children::{LoadFigures, beside, run_load},
    common::Failure,
    scenario::{By, Scenario},
    servers::{CLIP, Running},
};
use std::{process::Command, sync::atomic::AtomicBool, time::Duration};

/// What is the same for all measurements.
pub(crate) struct LoadPlan {
    /// Seconds that streams run before players join, so that a keyframe has been and memory has settled.
    pub(crate) before: u64,
    /// Length of a measurement.
    pub(crate) seconds: u64,
}

/// Puts a scenario's load on a server.
pub(crate) fn load(
    plan: &LoadPlan,
    scenario: &Scenario,
    by: By,
    players: usize,
    server: &mut Running,
    stop: &AtomicBool,
) -> Result<LoadFigures, Failure> {
    let seconds = if scenario.is_storm { 1 } else { plan.seconds };
    let mut command = Command::new(beside("load")?);
    command.arg(format!("--publishers={}", scenario.publishers)).arg(format!("--players={players}"));
    command.arg(format!("--seconds={seconds}")).arg(format!("--before={}", plan.before));
    command.args(scenario.flags).args(server.pids.iter().map(|pid| format!("--pid={pid}")));
    let form = match by {
        By::Rtmp => None,
        By::Http => Some(("http", ".flv")),
        By::WebSocket => Some(("ws", ".flv")),
        By::Rtsp => Some(("rtsp", "")),
        By::RtspOverUdp => Some(("rtspu", "")),
    };
    if let Some((scheme, extension)) = form {
        command.arg(format!("--play={scheme}://127.0.0.1:{}/live/bench{extension}", server.port));
    }
    match scenario.is_file() {
        true => command.arg("--file").arg(format!("rtmp://127.0.0.1:{}/vod/{CLIP}", server.port)),
        false => command.arg(format!("rtmp://127.0.0.1:{}/live/bench", server.port)),
    };
    let time = Duration::from_secs(plan.before + seconds);
    let run = run_load(&mut command, time, stop);
    if !server.is_alive() {
        return Err(Failure::run("server", "ended under load"));
    }
    run
}
