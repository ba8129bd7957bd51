//! Players by RTSP through HTTP.

use super::{
    Program, Way, play, source,
    units::{self, Expected},
};
use crate::{
    Report,
    programs::{self, Publisher, Server},
};

#[test]
fn rtsp_players_through_http_get_every_unit_with_its_time() {
    source();
    let mut server = Server::start("rtsp-http", &[]);
    let publisher = server.publish(Publisher::Ffmpeg, "cam", "publisher");
    server.wait_for_connections(1);
    let url = server.url("cam");
    let players = Program::ALL.map(|program| {
        (program, play(&server, program, Way::Http, &url.replace("rtmp://", scheme(program)), program.name()))
    });
    publisher.succeed();
    let mut report = Report::new(&format!("RTSP through HTTP ({})", programs::versions()));
    for (program, playing) in players {
        let result = playing
            .finish()
            .and_then(|got| units::same(source(), &got, Expected { first: None, ..Expected::by(program) }));
        report.line(program.name(), result);
    }
    report.end();
}

/// How each is told, besides by the name of the way.
fn scheme(program: Program) -> &'static str {
    match program {
        Program::Ffmpeg => "rtsp://",
        Program::GStreamer => "rtsph://",
    }
}
