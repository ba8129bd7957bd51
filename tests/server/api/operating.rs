//! Kick, record, capture.

use super::*;
use std::{env, fs, path::PathBuf, process};
use weir::server::RecordConfig;

fn folder(name: &str) -> PathBuf {
    let folder = env::temp_dir().join(format!("weir-api-{name}-{}", process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The id of the first connection that `q` finds.
fn find(address: SocketAddr, q: &str) -> u64 {
    let mut id = None;
    until("it is there", || {
        let found = ask(address, &format!("GET /api/v1/connections?q={q}")).json();
        id = found["connections"][0]["id"].as_u64();
        id.is_some()
    });
    id.unwrap()
}

#[test]
fn a_player_that_is_kicked_is_told_and_closed() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "kicked");
    publisher.send(out, &film(1));
    let (mut player, _) = Client::player(address, "kicked");
    player.tag();
    let all = ask(address, "GET /api/v1/connections?q=player").json();
    let id = all["connections"][0]["id"].as_u64().unwrap();
    let answer = ask(address, &format!("DELETE /api/v1/connections/{id}"));
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    player.statuses_to_the_end();
    until("it is gone", || ask(address, &format!("GET /api/v1/connections/{id}")).status == 404);
    assert!(logged(&format!("#{id} closed: by the operator")));
    publisher.send(out, &[inter_frame(1000, &[0])]);
    assert_eq!(ask(address, "GET /api/v1/streams/live%2Fkicked").json()["state"], "live");
    let metrics = ask(address, "GET /metrics").body;
    assert!(metrics.contains("weir_connections_kicked_total 1"), "{metrics}");
}

#[test]
fn a_publisher_that_is_kicked_has_ended_its_stream_and_may_come_back() {
    let (_server, address) = start(Config { resume_window: Duration::from_secs(60), ..config() });
    let (mut player, _) = Client::player(address, "back");
    let (mut publisher, out) = Client::publisher(address, "back");
    publisher.send(out, &film(1));
    player.tags_up_to(|tag| tag.timestamp.0 == 980);
    let id =
        ask(address, "GET /api/v1/streams/live%2Fback").json()["publisher"]["connection"].as_u64().unwrap();
    assert_eq!(ask(address, &format!("DELETE /api/v1/connections/{id}")).status, 204);
    player.notice(StreamNotice::Eof);
    until("no resume window", || {
        ask(address, "GET /api/v1/streams/live%2Fback").json()["state"] == "waiting"
    });
    let (mut again, out) = Client::publisher(address, "back");
    again.send(out, &film(1));
    player.tags_up_to(|tag| tag.timestamp.0 == 980);
}

#[test]
fn recordings_begin_and_end_as_told() {
    let folder = folder("record");
    let record = RecordConfig { name: "{path}-{n}".parse().unwrap(), ..RecordConfig::new(folder.clone()) };
    let (_server, address) = start(Config { record: Some(record), ..config() });
    let code = |request: &str| {
        let answer = ask(address, request);
        (answer.status, answer.json()["error"]["code"].as_str().map(str::to_string))
    };
    let says = |status, code: &str| (status, Some(code.to_string()));
    let (_player, _) = Client::player(address, "rec");
    until("it waits", || ask(address, "GET /api/v1/streams/live%2Frec").status == 200);
    assert_eq!(code("POST /api/v1/streams/live%2Frec/recording"), says(409, "not_live"));
    assert_eq!(code("DELETE /api/v1/streams/live%2Frec/recording"), says(409, "not_recording"));
    let (mut publisher, out) = Client::publisher(address, "rec");
    publisher.send(out, &film(2));
    until("it is live", || ask(address, "GET /live/rec.json").json()["video"]["frame_rate"].is_number());

    let begun = ask(address, "POST /api/v1/streams/live%2Frec/recording");
    assert_eq!(begun.status, 201, "{}", begun.body);
    assert_eq!(begun.json()["name"], "live/rec-1.flv");
    assert_eq!(code("POST /api/v1/streams/live%2Frec/recording"), says(409, "already_recording"));
    let more: Vec<Tag> = (50..100).map(|frame| inter_frame(frame * 40, &[7; 900])).collect();
    publisher.send(out, &more);
    let stream = || ask(address, "GET /api/v1/streams/live%2Frec").json();
    until("it is written", || stream()["recording"]["bytes"].as_u64().is_some_and(|bytes| bytes > 45_000));
    assert!(stream()["recording"]["duration_ms"].as_u64().unwrap() >= 2000, "{}", stream());
    let list = ask(address, "GET /api/v1/recordings").json();
    assert_eq!((&list["total"], &list["recordings"][0]["state"]), (&1.into(), &"recording".into()), "{list}");

    assert_eq!(ask(address, "DELETE /api/v1/streams/live%2Frec/recording").status, 204);
    let file = folder.join("live/rec-1.flv");
    until("it is finished", || {
        ask(address, "GET /api/v1/recordings").json()["recordings"][0]["state"] == "finished"
    });
    assert!(stream()["recording"].is_null() && stream()["state"] == "live");
    let written = fs::read(&file).unwrap();
    let mut reader = weir::flv::Reader::new(weir::flv::ReaderLimits::default());
    let (mut rest, mut frames) = (&written[..], 0);
    while let Some(item) = reader.read(&mut rest).unwrap() {
        if let weir::flv::Item::Tag { tag, .. } = item {
            frames += usize::from(tag.body.len() == 905);
        }
    }
    assert_eq!(frames, 50, "all that came while it was recorded");

    // Again, into another file, which ends with the stream.
    publisher.send(out, &[keyframe(4000, &[1])]);
    let begun = ask(address, "POST /api/v1/streams/live%2Frec/recording");
    assert_eq!((begun.status, &begun.json()["name"]), (201, &"live/rec-2.flv".into()), "{}", begun.body);
    publisher.with(|session| session.delete_stream(out)).unwrap();
    let all = || ask(address, "GET /api/v1/recordings?stream=live/rec").json();
    until("both are finished", || {
        all()["recordings"].as_array().unwrap().iter().all(|one| one["state"] == "finished")
    });
    assert_eq!(all()["total"], 2);
    assert_eq!(all()["recordings"][0]["stream"], "live/rec");
    assert_eq!(all()["recordings"][1]["url"], "/recordings/live/rec-1.flv");
    assert_eq!(ask(address, "GET /api/v1/recordings?stream=live/other").json()["total"], 0);
    assert_eq!(
        ask(address, "GET /api/v1/recordings?limit=1&offset=1").json()["recordings"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn a_recording_that_a_flag_wants_ends_as_told_too() {
    let folder = folder("matched");
    let record =
        RecordConfig { patterns: vec!["live/*".parse().unwrap()], ..RecordConfig::new(folder.clone()) };
    let (_server, address) = start(Config { record: Some(record), ..config() });
    let (mut publisher, out) = Client::publisher(address, "flag");
    publisher.send(out, &film(1));
    let stream = || ask(address, "GET /api/v1/streams/live%2Fflag").json();
    until("it is recorded", || stream()["recording"]["bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    assert_eq!(ask(address, "DELETE /api/v1/streams/live%2Fflag/recording").status, 204);
    until("it has ended", || stream()["recording"].is_null());
    publisher.send(out, &film(1));
    assert!(stream()["recording"].is_null());
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn without_the_flags_nothing_is_recorded_or_captured() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "off");
    publisher.send(out, &film(1));
    let id = find(address, "live/off");
    for (request, code) in [
        ("POST /api/v1/streams/live%2Foff/recording".to_string(), "not_enabled"),
        ("DELETE /api/v1/streams/live%2Foff/recording".to_string(), "not_recording"),
        (format!("POST /api/v1/connections/{id}/capture"), "not_enabled"),
        (format!("DELETE /api/v1/connections/{id}/capture"), "not_capturing"),
    ] {
        let answer = ask(address, &request);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (409, &code.into()), "{request}");
    }
    assert_eq!(
        ask(address, "GET /api/v1/recordings").json(),
        serde_json::json!({"recordings": [], "total": 0})
    );
    assert_eq!(ask(address, "GET /api/v1/files").json(), serde_json::json!({"files": [], "total": 0}));
}

#[test]
fn captures_of_one_connection_end_and_begin_as_told() {
    let folder = folder("capture");
    let (server, address) = start(Config { capture: Some(folder.clone()), ..config() });
    let (mut publisher, out) = Client::publisher(address, "cap");
    publisher.send(out, &film(1));
    let id = find(address, "live/cap");
    let capture = |method: &str| ask(address, &format!("{method} /api/v1/connections/{id}/capture"));
    let facts = || ask(address, &format!("GET /api/v1/connections/{id}")).json();
    until("it is written", || facts()["capture"]["bytes"].as_u64().is_some_and(|bytes| bytes > 14_000));
    let again = capture("POST");
    assert_eq!((again.status, &again.json()["error"]["code"]), (409, &"already_capturing".into()));
    assert_eq!(capture("DELETE").status, 204);
    assert!(facts()["capture"].is_null());
    assert_eq!(capture("DELETE").json()["error"]["code"], "not_capturing");
    let begun = capture("POST");
    assert_eq!(begun.status, 201, "{}", begun.body);
    let name = begun.json()["name"].as_str().unwrap().to_string();
    assert!(name.starts_with(&format!("{id:06}-127.0.0.1-")) && name.ends_with("-2.pcap"), "{name}");
    publisher.send(out, &[inter_frame(1000, &[9; 5000])]);
    until("it is written", || facts()["capture"]["bytes"].as_u64().is_some_and(|bytes| bytes > 5000));
    drop(publisher);
    drop(server);
    let written = fs::read(folder.join(&name)).unwrap();
    assert!(written.windows(4000).any(|window| window.iter().all(|byte| *byte == 9)));
    let first = fs::read(folder.join(name.replace("-2.pcap", ".pcap"))).unwrap();
    assert!(!first.windows(4000).any(|window| window.iter().all(|byte| *byte == 9)));
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn a_capture_without_a_file_is_neither_promised_nor_shown() {
    let folder = folder("no-capture");
    let (_server, address) = start(Config { capture: Some(folder.clone()), ..config() });
    let (_before, _) = Client::player(address, "before");
    let before = find(address, "player");
    let capture = |id: u64, method: &str| ask(address, &format!("{method} /api/v1/connections/{id}/capture"));
    assert_eq!(capture(before, "DELETE").status, 204);
    fs::remove_dir_all(&folder).unwrap();
    let refusal = capture(before, "POST");
    assert_eq!((refusal.status, &refusal.json()["error"]["code"]), (500, &"internal".into()));
    let reason = refusal.json()["error"]["reason"].as_str().unwrap().to_string();
    assert!(reason.starts_with("the disk of --capture takes no file: "), "{reason}");
    let (_after, _) = Client::player(address, "after");
    let facts = |id: u64| ask(address, &format!("GET /api/v1/connections/{id}")).json();
    until("nobody is captured", || {
        let all = ask(address, "GET /api/v1/connections?q=player").json();
        all["total"] == 2 && all["connections"].as_array().unwrap().iter().all(|one| one["capture"].is_null())
    });
    // It can be once there is room.
    fs::create_dir_all(&folder).unwrap();
    assert_eq!(capture(before, "POST").status, 201);
    assert!(facts(before)["capture"]["bytes"].is_u64());
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn a_file_that_is_downloaded_is_shown_as_one() {
    let folder = folder("download");
    fs::File::create(folder.join("big.mp4")).unwrap().set_len(1 << 30).unwrap();
    let (_server, address) = start(Config { media: Some(folder.clone()), ..config() });
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"GET /vod/big.mp4 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut shown = Json::Null;
    until("it is there", || {
        let found = ask(address, "GET /api/v1/connections?q=big.mp4").json();
        shown = found["connections"][0].clone();
        shown.is_object()
    });
    assert_eq!((&shown["protocol"], &shown["role"]), (&"file".into(), &"file".into()), "{shown}");
    assert_eq!(shown["stream"], "vod/big.mp4");
    let metrics = ask(address, "GET /metrics").body;
    assert!(metrics.contains("weir_connections{protocol=\"file\",role=\"file\"} 1\n"), "{metrics}");
    drop(client);
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn media_files_are_listed_by_name() {
    let folder = folder("files");
    fs::create_dir_all(folder.join("sub/.hidden")).unwrap();
    for name in ["b.mp4", "a ü.flv", "sub/c.MP3", "notes.txt", ".d.mp4", "sub/.hidden/e.mp4"] {
        fs::write(folder.join(name), b"12345").unwrap();
    }
    let (_server, address) = start(Config { media: Some(folder.clone()), ..config() });
    let list = ask(address, "GET /api/v1/files").json();
    let names: Vec<_> =
        list["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!((names, &list["total"]), (vec!["a ü.flv", "b.mp4", "sub/c.MP3"], &3.into()));
    let first = &list["files"][0];
    assert_eq!((&first["url"], &first["bytes"]), (&"/vod/a%20%C3%BC.flv".into(), &5.into()));
    assert_eq!(first["watch_url"], "/vod/a%20%C3%BC.flv?watch");
    assert_eq!(
        ask(address, "GET /api/v1/files?limit=0").json(),
        serde_json::json!({"files": [], "total": 3})
    );
    let _ = fs::remove_dir_all(folder);
}

/// A request over RTSP, and its answer up to the end of its head.
fn say(client: &mut BufReader<TcpStream>, request: &str) -> String {
    write!(client.get_mut(), "{request}\r\n\r\n").unwrap();
    let answer = head(client);
    assert!(answer.starts_with("RTSP/1.0 200 "), "{request}: {answer}");
    let len = answer.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; len.map_or(0, |len| len.parse().unwrap())];
    client.read_exact(&mut body).unwrap();
    answer
}

#[test]
fn an_rtsp_client_is_told_to_go_elsewhere_and_plays_on() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "moved");
    publisher.send(out, &film(1));
    until("it is live", || ask(address, "GET /live/moved.json").json()["live"] == true);
    let mut player = BufReader::new(TcpStream::connect(address).unwrap());
    player.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
    let url = format!("rtsp://{address}/live/moved");
    say(&mut player, &format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1"));
    let id = find(address, "rtsp");
    let redirect = |to: &str| ask(address, &format!("POST /api/v1/connections/{id}/redirect?to={to}"));
    let (elsewhere, token) = ("rtsp%3A%2F%2Fother%3A8554%2Flive%2Fcam%3Ft%3D", "s3cret-of-redirect");
    let to = format!("{elsewhere}{token}");
    let early = redirect(&to);
    assert_eq!((early.status, &early.json()["error"]["code"]), (409, &"nothing_set_up".into()));
    let set_up = format!(
        "SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1"
    );
    let session = say(&mut player, &set_up);
    let session = session.lines().find(|line| line.starts_with("Session: ")).unwrap();
    let session = session.split(';').next().unwrap();
    say(&mut player, &format!("PLAY {url}/ RTSP/1.0\r\nCSeq: 3\r\n{session}"));
    for wrong in ["", "rtmp%3A%2F%2Fother%2Fx", "%2Flive%2Fcam", "rtsp%3A%2F%2Fx%2F%0D%0AX%3A%201", "*"] {
        assert_eq!(redirect(wrong).status, 400, "{wrong}");
    }
    let told = redirect(&to);
    assert_eq!((told.status, told.body.as_str()), (204, ""));
    // Between packets.
    let mut request = String::new();
    while request.is_empty() {
        let mut first = [0];
        player.read_exact(&mut first).unwrap();
        if first == *b"$" {
            let mut header = [0; 3];
            player.read_exact(&mut header).unwrap();
            let mut packet = vec![0; usize::from(u16::from_be_bytes([header[1], header[2]]))];
            player.read_exact(&mut packet).unwrap();
        } else {
            request = format!("{}{}", char::from(first[0]), head(&mut player));
        }
    }
    assert!(request.starts_with("REDIRECT rtsp://") && request.contains(session), "{request}");
    let location = format!("\r\nLocation: rtsp://other:8554/live/cam?t={token}\r\n");
    assert!(request.contains(&location), "{request}");
    write!(player.get_mut(), "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n").unwrap();
    publisher.send(out, &[inter_frame(1000, &[0, 0, 0, 5, 0x41, 7, 7, 7, 7])]);
    let mut packet = [0];
    player.read_exact(&mut packet).unwrap();
    assert_eq!(packet, *b"$", "it plays on");
    assert!(logged(&format!("#{id} is sent elsewhere by an operator")) && !logged(token));
    let (rtmp, _) = Client::player(address, "moved");
    let id = find(address, "rtmp");
    let answer = ask(address, &format!("POST /api/v1/connections/{id}/redirect?to={to}"));
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (409, &"not_rtsp".into()));
    drop(rtmp);
}
