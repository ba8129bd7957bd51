//! Files that `pull` writes, as ffmpeg and ffprobe see them.

use crate::{
    Report, compare,
    material::Media,
    process,
    programs::{Publisher, Server, source},
};
use std::path::Path;

/// Demuxes, decodes and asks for the length; any word of either program is a failure.
fn sound(file: &Path, seconds: core::ops::Range<f64>) -> Result<(), String> {
    let file = file.to_str().expect("the target directory has a readable name");
    let said = process::output("ffmpeg", &["-nostdin", "-v", "warning", "-i", file, "-f", "null", "-"]);
    if !said.is_empty() {
        return Err(format!("ffmpeg: {said}"));
    }
    let show = ["-v", "warning", "-show_entries", "format=duration", "-of", "csv=p=0", file];
    let said = process::output("ffprobe", &show);
    match said.trim().parse() {
        Ok(duration) if seconds.contains(&duration) => Ok(()),
        _ => Err(format!("ffprobe: {said:?}, expected {seconds:?} s")),
    }
}

#[test]
fn pulled_files_are_sound_whether_the_stream_ends_or_pull_is_told_to() {
    let source = source();
    let mut server = Server::start("pulled", &[]);
    let pull = env!("CARGO_BIN_EXE_pull");
    let url = server.url("cam");
    let whole = server.run("pull whole", pull, [&url, "whole.flv"]);
    let told = server.run(
        "pull told",
        "timeout",
        ["--foreground", "--preserve-status", "-s", "TERM", "5", pull, &url, "told.flv"],
    );
    server.wait_for_connections(2);
    let publisher = server.publish(Publisher::Ffmpeg, "cam", "publisher");
    publisher.succeed();
    told.succeed();
    whole.succeed();
    let mut report = Report::new("pulled files");
    let file = server.dir.join("whole.flv");
    let got = Media::of_file(&file);
    let result = compare::identical(source, &got).and_then(|()| sound(&file, 6.9..7.2));
    report.line("whole", result.map(|()| format!("{} packets, identical, sound", got.packet_count())));
    let file = server.dir.join("told.flv");
    let got = Media::of_file(&file);
    let result = compare::is_head(source, &got).and_then(|()| sound(&file, 2.0..6.0));
    report.line("SIGTERM", result.map(|()| format!("the first {} packets, sound", got.packet_count())));
    report.end();
}
