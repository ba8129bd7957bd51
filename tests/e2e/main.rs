//! Real publishers and players against the real server: every packet's bytes and times.
//!
//! Needs the programs that tools/setup.sh installs, and fails without them. Media plays in real time, so everything
//! that can wait at the same time does.

#![expect(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test has std anyway")]

mod chains;
mod compare;
mod downloads;
mod enhanced;
mod files;
mod hls;
mod kinds;
mod listing;
mod material;
mod mp4;
mod pages;
mod programs;
mod raw;
mod recording;
mod rtsp;
mod sources;
mod tls;
mod tools;
mod watching;
mod whole;

#[path = "../support/process.rs"]
mod process;
#[path = "../support/wait.rs"]
mod wait;

use programs::{Player, Playing, Publisher, Server, source};
use std::{
    io::{self, Write},
    thread,
    time::Duration,
};

/// Players join before the publisher, and end by themselves when it ends.
#[test]
fn every_publisher_reaches_every_player_bit_for_bit() {
    let source = source();
    let mut server = Server::start("pairs", &[]);
    let mut players: Vec<(Publisher, Playing)> = Vec::new();
    for publisher in Publisher::ALL {
        for player in Player::ALL {
            players.push((publisher, server.play(player, publisher.name(), publisher.name())));
        }
    }
    server.wait_for_connections(players.len());
    let publishers = Publisher::ALL.map(|publisher| server.publish(publisher, publisher.name(), "publisher"));
    for process in publishers {
        process.succeed();
    }
    let mut report = Report::new(&format!("pairs: publisher x player ({})", programs::versions()));
    for (publisher, playing) in players {
        let pair = format!("{} x {}", publisher.name(), playing.player.name());
        let got = playing.finish();
        report.line(
            &pair,
            compare::identical(source, &got).map(|()| format!("{} packets, identical", got.packet_count())),
        );
    }
    report.end();
}

#[test]
fn players_stay_while_a_publisher_is_killed_and_comes_back() {
    let source = source();
    let mut server = Server::start("resume", &[]);
    let mut players = Player::ALL.map(|player| server.play(player, "cam", "player"));
    server.wait_for_connections(players.len());
    let lost = server.publish(Publisher::Ffmpeg, "cam", "lost publisher");
    thread::sleep(Duration::from_millis(3200));
    lost.kill();
    thread::sleep(Duration::from_millis(500));
    players.iter_mut().for_each(Playing::expect_running);
    server.publish(Publisher::Ffmpeg, "cam", "publisher again").succeed();
    let mut report = Report::new("publisher killed and restarted");
    for playing in players {
        let name = playing.player.name();
        let got = playing.finish();
        let told = |first_run| {
            format!("{first_run} packets, then all {} again, time goes on", source.packet_count())
        };
        report.line(name, compare::is_resumed(source, &got).map(told));
    }
    report.end();
}

#[test]
fn a_late_joiner_starts_at_a_keyframe_and_misses_nothing_after() {
    let source = source();
    let mut server = Server::start("late", &[]);
    let publisher = server.publish(Publisher::Ffmpeg, "cam", "publisher");
    server.wait_for_connections(1);
    thread::sleep(Duration::from_millis(2500));
    let over_http = [Player::FfmpegOverHttp];
    let players = Player::ALL.iter().chain(&over_http).map(|&player| server.play(player, "cam", "late"));
    let players: Vec<_> = players.collect();
    publisher.succeed();
    let mut report = Report::new("joined late");
    for playing in players {
        let name = playing.player.name();
        let got = playing.finish();
        let told =
            |()| format!("the last {} of {} packets, identical", got.packet_count(), source.packet_count());
        report.line(name, compare::is_tail(source, &got, material::GOP).map(told));
    }
    report.end();
}

#[test]
fn ffprobe_lists_the_streams_of_the_demo() {
    let server = Server::start("demo", &["--demo"]);
    let over_http = format!("{}/live/demo.flv", server.origin());
    let mut report = Report::new("demo");
    // At its start, and later, when what a player gets first is made for it.
    for (name, url) in
        [("at the start", server.url("demo")), ("late", server.url("demo")), ("over HTTP", over_http)]
    {
        let listed = process::output(
            "ffprobe",
            &["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", &url],
        );
        let mut codecs: Vec<&str> = listed.lines().collect();
        codecs.sort_unstable();
        let result = if codecs == ["aac", "h264"] { Ok(codecs.join(", ")) } else { Err(listed.clone()) };
        report.line(name, result);
        // Into the next group of pictures.
        thread::sleep(Duration::from_millis(1200));
    }
    report.end();
}

/// What ran with what result, printed also when all is well, and past the capture of test output: a test run says
/// what it proved against which program.
struct Report {
    text: String,
    failures: usize,
}

impl Report {
    fn new(title: &str) -> Report {
        Report { text: format!("\n  {title}\n"), failures: 0 }
    }

    fn line(&mut self, who: &str, result: Result<String, String>) {
        let (mark, what) = match result {
            Ok(what) => ("ok", what),
            Err(what) => {
                self.failures += 1;
                ("FAILED", what)
            }
        };
        self.text.push_str(&format!("    {who:<28} {mark:<6} {what}\n"));
    }

    fn end(self) {
        // A closed standard output is not what this tests.
        let _ = io::stdout().write_all(self.text.as_bytes());
        assert_eq!(self.failures, 0, "{}", self.text);
    }
}
