//! Streams of unusual shape: without pictures, without sound, many, and large.

use crate::{
    children::{beside, run_load},
    report::Report,
    stage::{Problem, Stage},
    weir_process::Weir,
};
use std::{process::Command, time::Duration};

/// A load, and what it has to meet beside that nobody loses anything.
struct Shape {
    name: &'static str,
    publishers: usize,
    /// Of each.
    players: usize,
    flags: &'static [&'static str],
    /// Flags of weir.
    weir: &'static [&'static str],
    /// Milliseconds: p99 of the delay from publisher to player.
    delay: f64,
    /// Milliseconds from a player's connect to its first picture, or sound where there is none: p99. All players
    /// join three seconds after the stream has begun.
    join: f64,
}

const SHAPES: &[Shape] = &[
    // 40 ms: audio waits for a picture that does not come for the first tags of a stream.
    Shape {
        name: "audio only",
        publishers: 1,
        players: 100,
        flags: &["--fps=0"],
        weir: &[],
        delay: 60.0,
        join: 250.0,
    },
    Shape {
        name: "video only",
        publishers: 1,
        players: 100,
        flags: &["--audio=0"],
        weir: &[],
        delay: 40.0,
        join: 250.0,
    },
    Shape {
        name: "100 streams x 20 players",
        publishers: 100,
        players: 20,
        flags: &["--bitrate=500", "--probes=100"],
        weir: &[],
        delay: 100.0,
        join: 1000.0,
    },
    // A keyframe of 4 MB for 10 players is 40 MB at once. A group of pictures has 12.5 MB, more than is kept and queued unasked.
    Shape {
        name: "50 Mbit/s, keyframes of 4 MB",
        publishers: 1,
        players: 10,
        flags: &["--bitrate=50000", "--keyframe=4000000"],
        weir: &["--gop-cache=16777216", "--max-queue=33554432"],
        delay: 250.0,
        join: 1000.0,
    },
];

pub(crate) fn run(stage: &Stage, report: &mut Report) -> Result<(), Problem> {
    let seconds: u64 = stage.choose(8, 3);
    for shape in SHAPES {
        stage.step(shape.name);
        let weir = Weir::start(stage, shape.weir)?;
        let mut load = Command::new(beside("load")?);
        load.arg(format!("--publishers={}", shape.publishers)).arg(format!("--players={}", shape.players));
        load.arg(format!("--seconds={seconds}")).arg("--before=3").args(shape.flags);
        load.arg(format!("--pid={}", weir.pid())).arg(weir.url_text("shape"));
        let figures = run_load(&mut load, Duration::from_secs(seconds + 3), &stage.stop)?;
        let figure = |name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
        report.figure(
            shape.name,
            format!(
                "{:.1} MB/s to players, CPU {:.0} %, RSS {:.1} MB at its peak, {} tags checked",
                figure("bytes_per_second") / 1e6,
                figure("cpu_percent"),
                figure("rss_peak_kib") / 1024.0,
                figure("checked"),
            ),
        );
        report.at_most("  players closed or short", figure("closed") + figure("short"), 0.0, "");
        report.at_most("  faults", figure("faults"), 0.0, "");
        report.at_least("  tags checked", figure("checked"), 100.0, "");
        report.at_most("  delay p99", figure("delay_p99_ms"), shape.delay, " ms");
        report.at_most(
            "  late joiner's first picture or sound, p99",
            figure("join_p99_ms"),
            shape.join,
            " ms",
        );
        report.equal("  lines about slow players", weir.logged("is too slow for"), 0);
    }
    Ok(())
}
