//! Play and record over UDP through a bad network.

use super::{
    Program, Way, play,
    proxy::{Proxy, Weather},
    publish, rtsp, source,
    units::{self, Expected},
};
use crate::{
    Report,
    programs::{Publisher, Server},
};
use std::sync::atomic::Ordering::Relaxed;

/// Packets overtake each other and come twice.
const ROUGH: Weather = Weather { lost: 0, doubled: 20, jitter: 8, seed: 7 };
/// And two of a thousand are lost: a quarter of the keyframes, of 140 packets each, lose one or more.
const BAD: Weather = Weather { lost: 2, ..ROUGH };
/// Percent of the pictures and of the sound that are there all the same. Who plays beside a publisher hears of it with its first whole
/// keyframe, of which there are five, and pictures behind a loss are missing up to the next one; what players make of a network like
/// this is theirs.
const LEFT: [usize; 2] = [10, 25];

#[test]
fn packets_in_another_order_and_twice_cost_nothing() {
    through(ROUGH, "rough", |got, is_player| {
        if is_player {
            // ffmpeg takes some doubled packets for new ones, and drops others.
            let [video, audio] = units::remains(source(), got, true)?;
            let told = format!("{video} % of the pictures and {audio} % of the sound");
            return if video < LEFT[0] || audio < LEFT[1] { Err(told) } else { Ok(told) };
        }
        // What is on its way when a publisher says goodbye comes too late.
        let wanted = Expected { first: None, last: 12, skew: i64::MAX, is_cut: true, step: 250 };
        units::same(source(), got, wanted)
    });
}

#[test]
fn lost_packets_cost_whole_units_and_damage_none() {
    through(BAD, "bad", |got, may_damage| {
        let [video, audio] = units::remains(source(), got, may_damage)?;
        if video < LEFT[0] || audio < LEFT[1] {
            return Err(format!("{video} % of the pictures and {audio} % of the sound are left"));
        }
        Ok(format!("{video} % of the pictures and {audio} % of the sound, undamaged"))
    });
}

/// What is recorded through the proxy and played beside it.
fn through(weather: Weather, name: &str, judge: impl Fn(&units::Units, bool) -> Result<String, String>) {
    source();
    let mut server = Server::start(&format!("rtsp-{name}"), &[]);
    let port = server.port();
    let mut report = Report::new(&format!("RTSP over UDP: {weather:?}"));
    // Publishers: what passed the proxy, played over TCP.
    for program in Program::ALL {
        let key = format!("from-{}", program.name());
        let proxy = Proxy::start(port, weather);
        let url = rtsp(&server.url(&key));
        let publisher = publish(&server, program, Way::Udp, &proxy.url(&url), &format!("publisher {key}"));
        server.wait_for_connections(1);
        let playing = play(&server, Program::Ffmpeg, Way::Tcp, &url, &format!("beside-{key}"));
        publisher.succeed();
        let result = playing.finish().and_then(|got| judge(&got, false));
        report.line(&format!("record, {}", program.name()), told(result, &proxy));
    }
    // Players hand on what is left of a unit, too. GStreamer's own buffer puts in order what comes within its latency; ffmpeg's likewise.
    for program in Program::ALL {
        let key = format!("to-{}", program.name());
        let proxy = Proxy::start(port, weather);
        let publisher = server.publish(Publisher::Ffmpeg, &key, &format!("publisher {key}"));
        server.wait_for_connections(1);
        let url = proxy.url(&rtsp(&server.url(&key)));
        let playing = play(&server, program, Way::Udp, &url, &key);
        publisher.succeed();
        let result = playing.finish().and_then(|got| judge(&got, true));
        report.line(&format!("play, {}", program.name()), told(result, &proxy));
    }
    report.end();
}

/// With what the network did, which must have been something.
fn told(result: Result<String, String>, proxy: &Proxy) -> Result<String, String> {
    let counts = &proxy.counts;
    let [passed, lost, doubled, overtaken] =
        [&counts.passed, &counts.lost, &counts.doubled, &counts.overtaken].map(|count| count.load(Relaxed));
    if passed == 0 || overtaken == 0 || doubled == 0 {
        return Err(format!("the network did nothing: {counts:?}"));
    }
    let what = format!("{passed} packets, {overtaken} overtaken, {doubled} twice, {lost} lost");
    result.map(|told| format!("{told} ({what})")).map_err(|error| format!("{error} ({what})"))
}
