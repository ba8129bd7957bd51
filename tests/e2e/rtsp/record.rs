//! Publishers by RTSP: what players get of them by RTMP and RTSP, and what `--record` writes.

use super::{Program, Way, cells, play, publish, rtsp, source, units};
use crate::{
    Report,
    programs::{self, Player, Server},
};
use units::{Expected, Units};

#[test]
fn what_rtsp_publishers_send_reaches_players_and_recordings_unit_by_unit() {
    source();
    let mut report = Report::new(&format!("RTSP: record ({})", programs::versions()));
    let flags = [
        "--record",
        "films",
        "--record-match",
        "live/*",
        "--record-format",
        "mp4",
        "--record-name",
        "{path}",
    ];
    let mut server = Server::start("rtsp-record", &flags);
    let name = |program: Program, way: Way| format!("{}-{}", program.name(), way.name());
    let publishers: Vec<_> = cells()
        .map(|(program, way)| {
            let key = name(program, way);
            publish(&server, program, way, &rtsp(&server.url(&key)), &format!("publisher {key}"))
        })
        .collect();
    server.wait_for_connections(publishers.len());
    let players: Vec<_> = cells()
        .map(|(program, way)| {
            let key = name(program, way);
            let url = rtsp(&server.url(&key));
            let by_rtmp = server.play(Player::Pull, &key, &key);
            (key.clone(), by_rtmp, play(&server, Program::Ffmpeg, Way::Tcp, &url, &format!("by-rtsp-{key}")))
        })
        .collect();
    publishers.into_iter().for_each(crate::process::Process::succeed);
    for (key, by_rtmp, by_rtsp) in players {
        // ffmpeg gathers frames for a packet, and never sends those that it has at the end.
        let last = if key.starts_with("ffmpeg") { 4 } else { 0 };
        // The source is an FLV, whose times are milliseconds.
        let step = if key.starts_with("ffmpeg") { 0 } else { STEP };
        let late = Expected { first: None, last, skew: SKEW, is_cut: true, step };
        let by_rtmp = Units::of_file(&by_rtmp.written());
        report.line(&format!("{key}, played by RTMP"), units::same(source(), &by_rtmp, late));
        let by_rtsp = by_rtsp.finish().and_then(|got| units::same(source(), &got, late));
        report.line(&format!("{key}, played by RTSP"), by_rtsp);
        server.wait_for_log(&format!("recorded live/{key}"));
        let film = Units::of_file(&server.dir.join(format!("films/live/{key}.mp4")));
        report.line(
            &format!("{key}, recorded"),
            units::same(source(), &film, Expected { first: Some(0), ..late }),
        );
    }
    report.end();
}

/// Milliseconds between pictures and sound beside those of the source: a publisher without a common clock is aligned by arrival.
const SKEW: i64 = STEP;
/// Milliseconds. `rtspclientsink` sends its first report after some seconds, and pictures before their time as far as they are
/// reordered: how they belong to the sound is known only then.
const STEP: i64 = 250;
