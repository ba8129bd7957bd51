//! `/APP/KEY.json`, and what players are refused.

use super::*;

#[test]
fn a_page_learns_of_a_stream_before_during_and_after() {
    let (_server, address) = start(config());
    let ask = || ask(address, "GET /live/json.json");
    let before = ask();
    assert_eq!((before.status, before.field("cache-control")), (200, Some("no-store")));
    assert_eq!(before.field("access-control-allow-origin"), Some("*"));
    let json = before.json();
    assert_eq!(json["path"], "live/json");
    assert_eq!((&json["live"], &json["reason"]), (&false.into(), &"nobody publishes live/json".into()));
    assert!(json["video"].is_null() && json["audio"].is_null() && json["bitrate_bps"].is_null());
    assert_eq!(json["ports"]["rtmp"], address.port());
    assert_eq!(json["ports"]["http"], address.port());
    assert!(json["ports"]["https"].is_null() && json["ports"]["rtsps"].is_null());
    assert_eq!(json["ports"]["rtsp"], address.port());

    let (mut publisher, out) = Client::publisher(address, "json");
    until("somebody publishes", || ask().json()["reason"] != "nobody publishes live/json");
    let json = ask().json();
    assert_eq!(json["live"], false, "no media yet: {json}");
    publisher.send(out, &film(3));
    until("it is live", || ask().json()["live"] == true);
    until("all has come", || ask().json()["video"]["frame_rate"] == 25.0);
    let json = ask().json();
    assert!(json["reason"].is_null(), "{json}");
    let video = &json["video"];
    assert_eq!((&video["codec"], &video["rfc6381"]), (&"H.264".into(), &"avc1.42C01F".into()));
    assert_eq!((&video["width"], &video["height"]), (&1280.into(), &720.into()), "{video}");
    let audio = &json["audio"];
    assert_eq!((&audio["codec"], &audio["rfc6381"]), (&"AAC".into(), &"mp4a.40.2".into()));
    assert_eq!((&audio["sample_rate_hz"], &audio["channels"]), (&44_100.into(), &2.into()));
    // 24 pictures of 505 bytes and a keyframe of 2005.
    assert_eq!(video["bitrate_bps"], (24 * 505 + 2005) * 8);

    publisher.with(|session| session.delete_stream(out)).unwrap();
    until("it has ended", || ask().json()["live"] == false);
    assert!(ask().json()["video"].is_null());
}

#[test]
fn what_comes_when_somebody_plays_can_be_played() {
    let source = weir::server::source::SourceConfig::parse("live/film=exec:sleep 1000 ?on-demand=1");
    let (_server, address) = start(Config { sources: vec![source.unwrap()], ..config() });
    let json = ask(address, "GET /live/film.json").json();
    assert_eq!((&json["live"], &json["reason"]), (&true.into(), &Json::Null));
    assert_eq!(ask(address, "GET /live/other.json").json()["live"], false);
}

#[test]
fn a_name_that_no_stream_can_have_is_refused() {
    let (_server, address) = start(config());
    let long = format!("GET /live/{}.json", "x".repeat(1100));
    for request in ["GET /.json", long.as_str()] {
        let answer = ask(address, request);
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (400, &"bad_request".into()),
            "{request}"
        );
    }
    assert_eq!(ask(address, "HEAD /live/x.json").status, 200);
    assert_eq!(ask(address, "GET /live/x.json?token=1").json()["path"], "live/x");
    let preflight = "OPTIONS /live/x.json\nOrigin: http://other\nAccess-Control-Request-Method: GET";
    assert_eq!(ask(address, preflight).status, 204);
}

#[test]
fn pages_of_other_sites_can_read_why_a_handshake_is_refused() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "handshake");
    publisher.send(out, &film(1));
    until("it is live", || ask(address, "GET /live/handshake.json").json()["live"] == true);
    let refused = ask(address, "GET /live/handshake.flv\nUpgrade: websocket\nConnection: Upgrade");
    assert_eq!(
        (refused.status, refused.field("access-control-allow-origin")),
        (426, Some("*")),
        "{}",
        refused.head
    );
}

#[test]
fn whoever_is_refused_segments_is_no_player() {
    let (_server, address) = start(config());
    let mut socket = BufReader::new(TcpStream::connect(address).unwrap());
    socket.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(ask_on(&mut socket, "GET /live/none/index.m3u8").status, 404);
    let all = ask(address, "GET /api/v1/connections").json();
    let roles: Vec<_> = all["connections"].as_array().unwrap().iter().map(|one| &one["role"]).collect();
    assert_eq!(roles, ["other", "other"], "{all}");
}
