//! Publisher, server and players in networks of their own: loss and delay on their links, and links that are cut.
//!
//! The publisher behaves as an encoder does that notices its link: it drops the connection and tries again. The
//! players do nothing at all; they must stay on the connection that they have.

use crate::{
    children::{Ending, beside},
    network::{Namespace, Trouble, join},
    probe::{Feeder, Loss, Watcher},
    report::Report,
    stage::{Problem, Stage},
    weir_process::Weir,
};
use std::{
    fs::{self, File},
    process::Stdio,
    time::{Duration, Instant},
};

/// How long a link is cut; below the resume window of 10 s.
const CUT: Duration = Duration::from_secs(4);
/// From the link's return to the stream's: the encoder tries every 200 ms.
const RETURN: Duration = Duration::from_secs(3);
/// The same where TCP finds out by itself: the last of its repetitions in a cut of 4 s are 3.2 s apart.
const REPEAT: Duration = Duration::from_secs(6);
/// Seconds of the demo that ffmpeg decodes, of 25 frames each.
const DECODED: u64 = 6;

pub(crate) fn run(stage: &Stage, report: &mut Report) -> Result<(), Problem> {
    let server = Namespace::new(stage)?;
    let publisher = Namespace::new(stage)?;
    let viewer = Namespace::new(stage)?;
    join(&server, &publisher, "publisher", "10.77.1")?;
    join(&server, &viewer, "viewer", "10.77.2")?;
    let mut nsenter = server.command();
    nsenter.arg(beside("weir")?);
    let mut weir = Weir::start_under(stage, nsenter, "0.0.0.0", 1935, &["--demo"])?;
    let url = |host: &str| {
        let text = format!("rtmp://{host}/live/cam");
        text.parse().map_err(|error| Problem::broken(&text, error))
    };
    stage.step("good links");
    let feeder = Feeder::start(stage, url("10.77.1.1")?, Some(&publisher))?;
    let near = Watcher::start(stage, url("127.0.0.1")?, Loss::Groups, Some(&server))?;
    let far = Watcher::start(stage, url("10.77.2.1")?, Loss::Groups, Some(&viewer))?;
    stage.pass(Duration::from_secs(3))?;
    let p99 = far.restart().delay(99.0);
    near.restart();
    report.figure("p99 delay over good links", format!("{p99:.1} ms"));

    stage.step("loss and delay");
    let to_viewer = Trouble::begin(&server, &viewer, "viewer")?;
    let from_publisher = Trouble::begin(&publisher, &server, "publisher")?;
    report.figure("bad links by", to_viewer.means());
    let decoded = decode(stage, &viewer);
    stage.pass(Duration::from_secs(2))?;
    report.at_least("packets lost to the player", to_viewer.end()? as f64, 1.0, "");
    report.at_least("packets lost from the publisher", from_publisher.end()? as f64, 1.0, "");
    let (frames, missing, errors) = decoded?;
    // `-t` counts from the first audio, and frames are whole.
    let expected = (DECODED * 25) as f64 - 5.0;
    report.at_least("frames that ffmpeg decoded over the bad link", frames as f64, expected, "");
    report.equal("  missing between them", missing, 0);
    report.check("  and it had nothing to say", errors.is_empty(), errors);
    let seen = far.restart();
    near.restart();
    report.figure("p99 delay over bad links", format!("{:.0} ms", seen.delay(99.0)));
    report.at_least("tags that the player got", seen.checked as f64, 300.0, "");
    report.check("  all sound", seen.faults == 0, seen.trouble());

    for (step, is_noticed) in [
        ("publisher's link cut, unnoticed by the server", false),
        ("publisher gone, then its link cut", true),
    ] {
        stage.step(step);
        let lives = feeder.lives();
        let link = |state| publisher.must("ip", &["link", "set", "publisher", state]);
        if is_noticed {
            feeder.cut();
            let waits = || weir.logged("players wait for it to come back") > 0;
            stage.expect("the server notices", Duration::from_secs(2), waits)?;
            link("down")?;
        } else {
            link("down")?;
            feeder.cut();
        }
        stage.pass(CUT)?;
        // What the last connection still had in its buffers may come as well; that is not the stream's return.
        let (near_before, far_before) = (near.findings().successions, far.findings().successions);
        link("up")?;
        feeder.mend();
        let since = Instant::now();
        let is_back = || near.findings().successions > near_before && far.findings().successions > far_before;
        let came_back = stage.until(RETURN + REPEAT, is_back)?;
        report.at_most(
            format!("{step}: until it goes on"),
            took(since, came_back),
            RETURN.as_secs_f64(),
            " s",
        );
        report.equal("  connections of the publisher meanwhile", (feeder.lives() - lives) as usize, 1);
        stage.pass(Duration::from_secs(2))?;
        report.figure("  longest silence", format!("{:.1} s", near.restart().silence.as_secs_f64()));
        far.restart();
    }
    report.equal("  replaced under the server's eyes", weir.logged("replaces"), 1);

    stage.step("player's link cut");
    viewer.must("ip", &["link", "set", "viewer", "down"])?;
    stage.pass(CUT)?;
    let before = far.findings().checked;
    viewer.must("ip", &["link", "set", "viewer", "up"])?;
    let since = Instant::now();
    let came_back = stage.until(REPEAT * 2, || far.findings().checked > before)?;
    report.at_most("player's link cut: until it goes on", took(since, came_back), REPEAT.as_secs_f64(), " s");
    stage.pass(Duration::from_secs(3))?;

    for (name, watcher) in [("near", near), ("far", far)] {
        let seen = watcher.findings();
        let stayed = seen.closed.is_none() && seen.ends == 0;
        report.check(
            format!("the {name} player kept its connection and was told no end"),
            stayed,
            seen.trouble(),
        );
        report.at_most(
            "  faults: damage, no keyframe behind a gap, a jump in time",
            seen.faults as f64,
            0.0,
            "",
        );
        report.equal("  publishers that went on with its stream", seen.successions as usize, 2);
        report.figure("  groups of pictures lost in", format!("{} places", seen.gaps));
    }
    if let Some(why) = feeder.broke() {
        report.figure("the publisher's connection broke by itself", why);
    }
    report.check("the server lives", weir.is_alive(), "");
    Ok(())
}

/// Seconds since then, or none that any bound holds.
fn took(since: Instant, came_back: bool) -> f64 {
    if came_back { since.elapsed().as_secs_f64() } else { f64::INFINITY }
}

/// A real player over the bad link: frames that it decoded, how many are missing between them, and its complaints.
fn decode(stage: &Stage, viewer: &Namespace) -> Result<(usize, usize, String), Problem> {
    let (out, errors) = (stage.folder().join("decoded"), stage.folder().join("decode-errors"));
    let mut ffmpeg = viewer.command();
    ffmpeg.args(["ffmpeg", "-nostdin", "-loglevel", "warning", "-i", "rtmp://10.77.2.1/live/demo"]);
    ffmpeg.args(["-t", &DECODED.to_string(), "-map", "0:v", "-f", "framemd5", "-"]);
    ffmpeg.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&errors)?);
    let mut child = Ending(ffmpeg.spawn().map_err(|error| Problem::CannotRun(format!("ffmpeg: {error}")))?);
    let limit = Duration::from_secs(DECODED * 3 + 10);
    let ended = stage.until(limit, || !matches!(child.0.try_wait(), Ok(None)))?;
    drop(child);
    let text = fs::read_to_string(out)?;
    // `0, dts, pts, ...`, in frames.
    let frames = text.lines().filter(|line| !line.starts_with('#'));
    let times: Vec<usize> = frames.filter_map(|line| line.split(',').nth(2)?.trim().parse().ok()).collect();
    let span = times.iter().max().zip(times.iter().min()).map_or(0, |(last, first)| last - first + 1);
    let mut errors = fs::read_to_string(errors)?.trim().replace('\n', "; ");
    if !ended {
        errors.push_str("; it did not end");
    }
    Ok((times.len(), span - times.len().min(span), errors))
}
