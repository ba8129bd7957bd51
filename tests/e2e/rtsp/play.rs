//! Players by RTSP: of a live stream that is published by RTMP, and of a file.

use super::{
    Program, Way, cells, play, rtsp, source,
    units::{self, Expected},
};
use crate::{
    Report,
    programs::{self, Publisher, Server},
};
use std::{thread, time::Duration};

#[test]
fn rtsp_players_get_every_unit_of_a_live_stream_with_its_time() {
    let mut server = Server::start("rtsp-live", &[]);
    source();
    let publisher = server.publish(Publisher::Ffmpeg, "cam", "publisher");
    server.wait_for_connections(1);
    // Within the first group of pictures: what it began with is still there.
    let early = start_all(&server, &server.url("cam"), "early");
    thread::sleep(Duration::from_millis(2000));
    let late = start_all(&server, &server.url("cam"), "late");
    publisher.succeed();
    let mut report = Report::new(&format!("RTSP: live ({})", programs::versions()));
    for (players, first, when) in [(early, Some(BEFORE_PICTURES), "early"), (late, None, "late")] {
        for (program, way, playing) in players {
            let result = playing
                .finish()
                .and_then(|got| units::same(source(), &got, Expected { first, ..Expected::by(program) }));
            report.line(&format!("{} {} {when}", program.name(), way.name()), result);
        }
    }
    report.end();
}

#[test]
fn rtsp_players_get_every_unit_of_a_file_with_its_time() {
    source();
    let server = Server::start("rtsp-file", &["--media", ".."]);
    let players = start_all(&server, &server.file_url("source.flv"), "file");
    let mut report = Report::new(&format!("RTSP: file ({})", programs::versions()));
    for (program, way, playing) in players {
        let result = playing.finish().and_then(|got| units::same(source(), &got, Expected::by(program)));
        report.line(&format!("{} {}", program.name(), way.name()), result);
    }
    report.end();
}

fn start_all(server: &Server, url: &str, when: &str) -> Vec<(Program, Way, super::Playing)> {
    let start = |(program, way): (Program, Way)| {
        let name = format!("{when}-{}-{}", program.name(), way.name());
        (program, way, play(server, program, way, &rtsp(url), &name))
    };
    cells().map(start).collect()
}

/// Sound that the source has before its first picture: a group of pictures begins with a keyframe.
const BEFORE_PICTURES: usize = 8;
