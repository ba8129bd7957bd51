//! Real programs through TLS, with a certificate that nobody vouches for, made as `docs/operations.md` says.

use super::*;
use crate::compare;
use std::fs;

/// Flags of a server with a certificate in its folder.
const FLAGS: [&str; 4] = ["--tls-cert", "../cert.pem", "--tls-key", "../key.pem"];

fn make_certificate() {
    let directory = programs::scratch();
    fs::create_dir_all(&directory).expect("the build directory can be written");
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| directory.join(name).display().to_string());
    let command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
        -subj /CN=HOST -addext subjectAltName=DNS:HOST -keyout key.pem -out cert.pem";
    let documented = include_str!("../../docs/operations.md");
    assert!(documented.contains(&format!("openssl {}", command)), "not as documented");
    let arguments: Vec<&str> = command
        .split_whitespace()
        .map(|word| match word {
            "key.pem" => &*key,
            "cert.pem" => &*certificate,
            word => word,
        })
        .collect();
    let made = process::run("openssl", &arguments);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn publishers_and_players_through_tls_lose_nothing() {
    const PUBLISHERS: [Publisher; 3] = [Publisher::Ffmpeg, Publisher::Rtmp2sink, Publisher::Rtmpsink];
    const PLAYERS: [Player; 3] = [Player::Ffmpeg, Player::Rtmp2src, Player::Rtmpdump];
    let source = source();
    make_certificate();
    let mut server = Server::start("tls", &FLAGS);
    let mut players = Vec::new();
    for publisher in PUBLISHERS {
        let key = publisher.name();
        for player in PLAYERS {
            let name = format!("sealed {key} {}", player.name());
            players.push((
                key,
                "rtmps",
                server.play_url(player, &server.sealed_url("rtmps", key), true, &name),
            ));
        }
        players.push((key, "plain", server.play(Player::Ffmpeg, key, key)));
    }
    server.wait_for_connections(players.len());
    let publishers = PUBLISHERS.map(|publisher| server.publish_sealed(publisher, publisher.name()));
    server.wait_for_connections(players.len() + publishers.len());
    thread::sleep(Duration::from_millis(1500));
    let late = PUBLISHERS.map(|publisher| {
        let key = publisher.name();
        let url = server.sealed_url("https", key);
        let fetched = server.dir.join(format!("{key}.flv"));
        let output = fetched.display().to_string();
        let curl = server.run(&format!("curl {key}"), "curl", ["-s", "-k", "-o", &output, &url]);
        let name = format!("https {key}");
        (key, server.play_url(Player::Ffmpeg, &url, true, &name), curl, fetched)
    });
    for process in publishers {
        process.succeed();
    }
    let mut report = Report::new(&format!("TLS: publisher x player ({})", programs::versions()));
    for (publisher, way, playing) in players {
        let pair = format!("{publisher} x {} ({way})", playing.player.name());
        let got = playing.finish();
        let told = |()| format!("{} packets, identical", got.packet_count());
        report.line(&pair, compare::identical(source, &got).map(told));
    }
    for (publisher, playing, curl, fetched) in late {
        curl.succeed();
        let by_ffmpeg = playing.finish();
        let by_curl = material::Media::of_file(&fetched);
        for (name, got) in [("ffmpeg (https)", by_ffmpeg), ("curl (https)", by_curl)] {
            let told = |()| format!("the last {} packets, identical", got.packet_count());
            report.line(
                &format!("{publisher} x {name}"),
                compare::is_tail(source, &got, material::GOP).map(told),
            );
        }
    }
    report.end();
}
