//! Metafiles: `/APP/KEY.m3u`, `/APP/KEY.sdp`, lists of files.

use super::*;
use std::{env, fs, process};
use weir::server::RecordConfig;

/// Publishes until the server knows all about the stream. `escaped`: the key as it stands in addresses.
fn live(address: SocketAddr, key: &str, escaped: &str) -> Client {
    let (mut publisher, out) = Client::publisher(address, key);
    publisher.send(out, &film(1));
    until("it is live", || ask(address, &format!("GET /live/{escaped}.json")).json()["live"] == true);
    publisher
}

#[test]
fn a_list_names_the_server_as_the_client_does_and_rtsp_first() {
    let (_server, address) = start(config());
    let _publisher = live(address, "list", "list");
    let port = address.port();
    for (host, name) in [
        (format!("Host: board.lan:{port}"), "board.lan"),
        ("Host: board.lan".to_string(), "board.lan"),
        (format!("Host: [::1]:{port}"), "[::1]"),
        ("Host: [2001:db8::7]".to_string(), "[2001:db8::7]"),
        // As a client without a name for it comes.
        ("Host: ".to_string(), "127.0.0.1"),
    ] {
        let answer = ask(address, &format!("GET /live/list.m3u\n{host}"));
        let web = match host.strip_prefix("Host: ").unwrap() {
            "" => format!("127.0.0.1:{port}"),
            host => host.to_string(),
        };
        assert_eq!(
            answer.body,
            format!(
                "#EXTM3U\n\
                 #EXTINF:-1,live/list (RTSP)\nrtsp://{name}:{port}/live/list\n\
                 #EXTINF:-1,live/list (RTMP)\nrtmp://{name}:{port}/live/list\n\
                 #EXTINF:-1,live/list (HLS)\nhttp://{web}/live/list/index.m3u8\n"
            ),
            "{host}"
        );
        for (field, value) in [
            ("content-type", "audio/x-mpegurl"),
            ("content-disposition", "attachment; filename=\"list.m3u\""),
            ("access-control-allow-origin", "*"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.field(field), Some(value), "{}", answer.head);
        }
    }
    // Behind what ends TLS for it.
    let answer = ask(address, "GET /live/list.m3u\nHost: tv.example\nX-Forwarded-Proto: https");
    assert!(answer.body.contains("\nhttps://tv.example/live/list/index.m3u8\n"), "{}", answer.body);
    assert!(answer.body.contains(&format!("\nrtsp://tv.example:{port}/")), "{}", answer.body);
}

#[test]
fn metafiles_are_read_as_other_media_is() {
    let (_server, address) = start(config());
    let _publisher = live(address, "verbs", "verbs");
    for ending in ["m3u", "sdp"] {
        let path = format!("/live/verbs.{ending}");
        let answer = ask(address, &format!("HEAD {path}"));
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert!(answer.field("content-length").is_some_and(|len| len.parse::<usize>().unwrap() > 50));
        assert_eq!(ask(address, &format!("OPTIONS {path}")).field("allow"), Some("GET, HEAD, OPTIONS"));
        let preflight = format!("OPTIONS {path}\nOrigin: http://x\nAccess-Control-Request-Method: GET");
        assert_eq!(ask(address, &preflight).field("access-control-allow-origin"), Some("*"));
        assert_eq!(ask(address, &format!("POST {path}")).status, 405);
        let none = ask(address, &format!("GET /live/none.{ending}"));
        assert_eq!((none.status, &none.json()["error"]["code"]), (404, &"not_live".into()));
        assert_eq!(none.field("access-control-allow-origin"), Some("*"));
    }
}

#[test]
fn a_list_passes_the_query_on_and_escapes_names() {
    let (_server, address) = start(Config { hls: weir::server::Hls::Off, ..config() });
    let _publisher = live(address, "b\u{e9} 1", "b%C3%A9%201");
    let answer = ask(address, "GET /live/b%C3%A9%201.m3u?token=s3cret-of-the-list");
    let lines: Vec<&str> = answer.body.lines().collect();
    assert_eq!(lines[1], "#EXTINF:-1,live/b\u{e9} 1 (RTSP)");
    assert!(lines[2].ends_with("/live/b%C3%A9%201?token=s3cret-of-the-list"), "{}", lines[2]);
    assert_eq!(lines[5], "#EXTINF:-1,live/b\u{e9} 1 (HTTP)");
    assert!(lines[6].ends_with("/live/b%C3%A9%201.flv?token=s3cret-of-the-list"), "{}", lines[6]);
    let file = answer.field("content-disposition");
    assert_eq!(file, Some("attachment; filename*=UTF-8''b%C3%A9%201.m3u"));
    assert!(!logged("s3cret-of-the-list"));
}

#[test]
fn what_comes_when_somebody_plays_has_a_list_and_no_description_yet() {
    let source = weir::server::source::SourceConfig::parse("live/later=exec:sleep 1000 ?on-demand=1");
    let (_server, address) = start(Config { sources: vec![source.unwrap()], ..config() });
    assert_eq!(ask(address, "GET /live/later.m3u").status, 200);
    let answer = ask(address, "GET /live/later.sdp");
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (503, &"not_known".into()));
    assert_eq!(answer.field("retry-after"), Some("1"));
}

#[test]
fn a_description_leads_to_the_server_by_itself() {
    let (_server, address) = start(config());
    let _publisher = live(address, "said", "said");
    let answer = ask(address, "GET /live/said.sdp?token=1\nHost: board.lan:80");
    assert_eq!(answer.field("content-type"), Some("application/sdp"));
    assert_eq!(answer.field("content-disposition"), Some("attachment; filename=\"said.sdp\""));
    let url = format!("rtsp://board.lan:{}/live/said", address.port());
    let controls: Vec<&str> =
        answer.body.lines().filter_map(|line| line.strip_prefix("a=control:")).collect();
    let tracks = [0, 1].map(|track| format!("{url}/trackID={track}?token=1"));
    assert_eq!(controls, [&format!("{url}?token=1"), &tracks[0], &tracks[1]], "{}", answer.body);
    assert!(answer.body.contains("H264/90000") && answer.body.contains("mpeg4-generic/44100/2"));
}

#[test]
fn files_and_recordings_have_lists() {
    let folder = env::temp_dir().join(format!("weir-metafiles-{}", process::id()));
    let _ = fs::remove_dir_all(&folder);
    let (media, recordings) = (folder.join("media"), folder.join("recordings"));
    for folder in [&media, &recordings] {
        fs::create_dir_all(folder.join("sub")).unwrap();
    }
    for name in ["media/clip.mp4", "media/sub/a b.flv", "media/real.m3u", "recordings/sub/r.flv"] {
        fs::write(folder.join(name), b"x").unwrap();
    }
    let record = RecordConfig::new(recordings);
    let (_server, address) = start(Config { media: Some(media), record: Some(record), ..config() });
    let list = |path: &str| {
        let answer = ask(address, &format!("GET {path}\nHost: h"));
        let urls: Vec<String> =
            answer.body.lines().filter(|line| line.contains("://")).map(str::to_string).collect();
        (answer.status, urls)
    };
    let port = address.port();
    let clip = ["rtsp", "rtmp"].map(|scheme| format!("{scheme}://h:{port}/vod/clip.mp4"));
    let clip = [&clip[..], &["http://h/vod/clip.mp4".to_string()]].concat();
    assert_eq!(list("/vod/clip.mp4.m3u"), (200, clip.clone()));
    assert_eq!(list("/vod/clip.m3u"), (200, clip));
    let (status, urls) = list("/vod/sub/a%20b.m3u?token=1");
    assert_eq!((status, urls[2].as_str()), (200, "http://h/vod/sub/a%20b.flv?token=1"));
    assert_eq!(list("/recordings/sub/r.flv.m3u"), (200, vec!["http://h/recordings/sub/r.flv".to_string()]));
    for path in ["/vod/real.m3u", "/vod/none.m3u", "/vod/.m3u", "/vod/sub.m3u", "/recordings/sub/r.m3u"] {
        assert_eq!(list(path).0, 404, "{path}");
    }
    // The connection serves other requests behind it.
    let mut socket = BufReader::new(TcpStream::connect(address).unwrap());
    socket.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
    let head = ask_on(&mut socket, "HEAD /vod/clip.m3u");
    assert_eq!(head.field("content-disposition"), Some("attachment; filename=\"clip.mp4.m3u\""));
    assert_eq!(ask_on(&mut socket, "GET /vod/clip.mp4").body, "x");
    let _ = fs::remove_dir_all(folder);
}
