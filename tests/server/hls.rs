//! Live streams in segments, as players ask for them.

use super::*;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader};
use weir::{
    codec::h264,
    flv::{TagKind, writer},
    rtmp::MessageStreamId,
    server::{
        Hls,
        source::{Retry, SourceConfig},
    },
};

/// A connection of a client of HTTP.
struct Web(BufReader<TcpStream>);

/// A response.
#[derive(Debug)]
struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Web {
    fn connect(address: SocketAddr) -> Web {
        Web::through(TcpStream::connect(address).unwrap())
    }

    fn through(socket: TcpStream) -> Web {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Web(BufReader::new(socket))
    }

    /// The kernel holds little for it on its side.
    fn narrow(address: SocketAddr) -> Web {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // Before it connects: the window that is agreed on depends on it.
        socket.set_recv_buffer_size(64 << 10).unwrap();
        socket.connect(&address.into()).unwrap();
        Web::through(socket.into())
    }

    fn ask(&mut self, request: &str) {
        let (first, fields) = request.split_once('\n').unwrap_or((request, ""));
        let request = format!("{first} HTTP/1.1\r\nHost: here\r\n{fields}\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
    }

    fn answer(&mut self, has_body: bool) -> Got {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_string);
        let len = field("Content-Length: ").map_or(0, |len| len.parse().unwrap());
        let mut body = vec![0; if has_body { len } else { 0 }];
        self.0.read_exact(&mut body).unwrap();
        Got { status: head[9..12].parse().unwrap(), head, body }
    }

    fn get(&mut self, path: &str) -> Got {
        self.ask(&format!("GET {path}"));
        self.answer(true)
    }

    /// Whether nothing comes for a while.
    fn is_waiting(&mut self) -> bool {
        self.0.get_ref().set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        let is_waiting = self.0.fill_buf().is_err();
        self.0.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
        is_waiting
    }
}

impl Got {
    fn text(&self) -> &str {
        assert_eq!(self.status, 200, "{}{}", self.head, String::from_utf8_lossy(&self.body));
        core::str::from_utf8(&self.body).unwrap()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn get(address: SocketAddr, path: &str) -> Got {
    Web::connect(address).get(path)
}

fn headers() -> Vec<Tag> {
    const SPS: &[u8] = b"\x67\x64\x00\x0d\xac\xd9\x41\x51\x9e\x22\x6c\x04\x40\x00\x00\xfa\x40\x00\x3a\x98\x03\xc5\x0a\x65\x80";
    let record = h264::build_record(SPS, &[b"\x68\xeb\xe3\xcb\x22\xc0"]).unwrap();
    vec![client::video(0, [0x17, 0], &record), audio_header()]
}

/// Frames of 40 ms from second to second, a group of pictures each.
fn seconds(range: core::ops::Range<u32>) -> Vec<Tag> {
    let frame = |number: u32| {
        let (at, body) = (number * 40, [&[0, 0, 1, 0, 0x65][..], &[number as u8; 255]].concat());
        let picture = if number % 25 == 0 { keyframe(at, &body) } else { inter_frame(at, &body) };
        [picture, audio(at)]
    };
    (range.start * 25..range.end * 25).flat_map(frame).collect()
}

/// `live/NAME`, with nothing but its configuration yet.
fn publish(address: SocketAddr, name: &str) -> (Client, MessageStreamId) {
    let (mut publisher, out) = Client::publisher(address, name);
    publisher.send(out, &headers());
    (publisher, out)
}

/// Asks for the playlist before anything is sent; the answer that comes when the first two seconds are.
fn watch(web: &mut Web, name: &str, (publisher, out): &mut (Client, MessageStreamId)) -> String {
    let begins = || {
        let line = format!("live/{name} is cut into segments");
        LOG.lock().unwrap().iter().filter(|known| **known == line).count()
    };
    let before = begins();
    web.ask(&format!("GET /live/{name}/stream.m3u8"));
    until("it is cut", || begins() > before);
    publisher.send(*out, &seconds(0..2));
    web.answer(true).text().to_string()
}

/// The names in a playlist behind something.
fn named<'a>(playlist: &'a str, before: &str) -> Vec<&'a str> {
    let behind = |line: &'a str| line.split_once(before).map(|(_, rest)| rest.trim_end_matches('"'));
    playlist.lines().filter_map(behind).map(|name| name.split('"').next().unwrap()).collect()
}

fn segments(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|line| line.starts_with("seg-")).collect()
}

/// The numbers in the name of the part that is hinted at.
fn hint(playlist: &str) -> (u64, u64) {
    let name = named(playlist, "TYPE=PART,URI=\"")[0];
    let numbers = name.rsplit('-').next().unwrap().trim_end_matches(".m4s");
    let (segment, part) = numbers.split_once('.').unwrap();
    (segment.parse().unwrap(), part.parse().unwrap())
}

/// Has it wait for the next part, once there is all that was sent; the numbers of that part.
fn wait_for_next(web: &mut Web, name: &str) -> (u64, u64) {
    loop {
        let next = hint(web.get(&format!("/live/{name}/stream.m3u8")).text());
        web.ask(&format!("GET /live/{name}/stream.m3u8?_HLS_msn={}&_HLS_part={}", next.0, next.1));
        if web.is_waiting() {
            return next;
        }
        web.answer(true);
    }
}

#[test]
fn the_first_playlists_wait_for_the_first_segment() {
    let (_server, address) = start(config());
    let (mut publisher, out) = publish(address, "first");
    let mut waiting: Vec<Web> = ["index.m3u8", "stream.m3u8", "index.mpd"]
        .into_iter()
        .map(|file| {
            let mut web = Web::connect(address);
            web.ask(&format!("GET /live/first/{file}"));
            web
        })
        .collect();
    until("it is cut", || logged("live/first is cut into segments"));
    publisher.send(out, &seconds(0..1));
    assert!(waiting[0].is_waiting());
    publisher.send(out, &seconds(1..2));
    let got: Vec<Got> = waiting.iter_mut().map(|web| web.answer(true)).collect();
    assert!(got[0].text().contains("\nstream.m3u8\n"), "{}", got[0].text());
    assert!(got[0].text().contains("CODECS=\"avc1.64000D,mp4a.40.2\""), "{}", got[0].text());
    assert_eq!(segments(got[1].text()).len(), 1);
    assert!(got[2].text().contains("<MPD "), "{}", got[2].text());
    for (got, mime) in got.iter().zip([
        "application/vnd.apple.mpegurl",
        "application/vnd.apple.mpegurl",
        "application/dash+xml",
    ]) {
        assert_eq!(got.field("Content-Type"), Some(mime));
        assert_eq!(got.field("Access-Control-Allow-Origin"), Some("*"));
    }
}

#[test]
fn segments_are_read_whole_in_ranges_and_not_again() {
    let (_server, address) = start(config());
    let mut stream = publish(address, "files");
    let mut web = Web::connect(address);
    let first = watch(&mut web, "files", &mut stream);
    stream.0.send(stream.1, &seconds(2..6));
    let msn = hint(&first).0;
    let playlist = web.get(&format!("/live/files/stream.m3u8?_HLS_msn={msn}"));
    let playlist = playlist.text();
    let init = web.get(&format!("/live/files/{}", named(playlist, "MAP:URI=\"")[0]));
    assert_eq!(&init.body[4..8], b"ftyp");
    assert!(init.body.windows(4).any(|bytes| bytes == b"avcC"));
    let name = segments(playlist)[0];
    let path = format!("/live/files/{name}");
    let whole = web.get(&path);
    assert_eq!(whole.status, 200);
    assert_eq!(&whole.body[4..8], b"moof");
    assert_eq!(whole.field("Content-Type"), Some("video/mp4"));
    assert_eq!(whole.field("Cache-Control"), Some("public, max-age=31536000, immutable"));
    let etag = whole.field("ETag").unwrap();
    web.ask(&format!("HEAD {path}"));
    let head = web.answer(false);
    assert_eq!((head.status, head.field("Content-Length")), (200, whole.field("Content-Length")));
    let last = whole.body.len() - 1;
    for (range, status, body) in [
        ("bytes=0-", 206, &whole.body[..]),
        ("bytes=100-2999", 206, &whole.body[100..3000]),
        ("bytes=-7", 206, &whole.body[last - 6..]),
        ("bytes=9999999-", 416, b""),
    ] {
        web.ask(&format!("GET {path}\nRange: {range}\r\n"));
        let got = web.answer(true);
        assert_eq!(got.status, status, "{range}");
        assert_eq!(got.field("Access-Control-Allow-Origin"), Some("*"));
        assert!(status == 416 || got.body == body, "{range}");
    }
    wait_for_next(&mut Web::connect(address), "files");
    for path in [&path, "/live/files/stream.m3u8"] {
        let etag = if path.ends_with("m3u8") {
            web.get(path).field("ETag").unwrap().to_string()
        } else {
            etag.into()
        };
        web.ask(&format!("GET {path}\nIf-None-Match: {etag}\r\n"));
        assert_eq!(web.answer(false).status, 304, "{path}");
    }
    // The parts that are listed of a segment are the segment.
    let last = *segments(playlist).last().unwrap();
    let number = last.trim_end_matches(".m4s").rsplit('-').next().unwrap();
    let of_last: Vec<&str> = playlist
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-PART:")?.split("URI=\"").nth(1)?.split('"').next())
        .filter(|name| name.contains(&format!("-{number}.")))
        .collect();
    assert!(of_last.len() > 1, "{playlist}");
    let parts: Vec<u8> =
        of_last.iter().flat_map(|name| web.get(&format!("/live/files/{name}")).body).collect();
    assert_eq!(parts, web.get(&format!("/live/files/{last}")).body);
}

#[test]
fn a_blocking_reload_and_a_hinted_part_come_when_the_part_is_there() {
    let (_server, address) = start(config());
    let mut stream = publish(address, "low");
    let mut web = Web::connect(address);
    watch(&mut web, "low", &mut stream);
    let (mut publisher, out) = stream;
    let playlist = web.get("/live/low/stream.m3u8?_HLS_skip=YES");
    let prefix = named(playlist.text(), "TYPE=PART,URI=\"")[0].rsplit_once('-').unwrap().0;
    let mut next = wait_for_next(&mut web, "low");
    let mut at = 50;
    for _ in 0..12 {
        let mut hinted = Web::connect(address);
        hinted.ask(&format!("GET /live/low/{prefix}-{}.{}.m4s", next.0, next.1));
        assert!(hinted.is_waiting());
        publisher.send(out, &seconds(0..60)[2 * at..2 * (at + 8)]);
        at += 8;
        let part = hinted.answer(true);
        assert_eq!((part.status, &part.body[4..8]), (200, &b"moof"[..]));
        let reloaded = web.answer(true);
        assert!(hint(reloaded.text()) > next, "{}", reloaded.text());
        let now = wait_for_next(&mut web, "low");
        assert!(now > next, "{now:?} after {next:?}");
        next = now;
    }
    publisher.send(out, &seconds(0..60)[2 * at..2 * (at + 8)]);
    web.answer(true);
    for (query, status) in [
        (format!("_HLS_msn={}", next.0 + 3), 400),
        (format!("_HLS_msn={}&_HLS_part=100", next.0), 400),
        ("_HLS_part=1".to_string(), 400),
        ("_HLS_msn=x".to_string(), 400),
        (format!("_HLS_msn={}", next.0 - 1), 200),
    ] {
        assert_eq!(web.get(&format!("/live/low/stream.m3u8?{query}")).status, status, "{query}");
    }
}

#[test]
fn what_is_not_there_is_told_with_the_reason() {
    let (server, address) = start(config());
    let (_off, without) = start(Config { hls: Hls::Off, ..config() });
    let (_publisher, _out) = publish(without, "cam");
    let (mut speex, out) = Client::publisher(address, "speex");
    let mut web = Web::connect(address);
    web.ask("GET /live/speex/index.m3u8");
    until("it is cut", || logged("live/speex is cut into segments"));
    speex.send(out, &[audio_tag(0), audio_tag(20)]);
    let got = web.answer(true);
    let text = String::from_utf8_lossy(&got.body);
    assert!(got.status == 404 && text.contains("HLS cannot carry audio in speex"), "{}{text}", got.head);
    assert!(logged("live/speex lacks a track in its segments: HLS cannot carry audio in speex"));
    for (address, path, status, reason) in [
        (address, "/live/nobody/index.m3u8", 404, "nobody publishes live/nobody"),
        (address, "/live/nobody/seg-1-1.m4s", 404, "nobody publishes live/nobody"),
        (address, "/live/speex/seg-1-1.m4s", 404, "no such segment"),
        (address, "/live/speex/index.m3u8", 404, "HLS cannot carry audio in speex"),
        (without, "/live/cam/index.m3u8", 404, "--hls off"),
    ] {
        let got = get(address, path);
        let text = String::from_utf8_lossy(&got.body);
        assert!(got.status == status && text.contains(reason), "{path}: {}{text}", got.head);
        assert_eq!(got.field("Access-Control-Allow-Origin"), Some("*"), "{path}");
    }
    assert_eq!(server.streams(), 1);
}

fn audio_tag(at: u32) -> Tag {
    Tag::new(TagKind::Audio, weir::base::Timestamp(at), vec![0xb6, 1, 2].into())
}

#[test]
fn a_publisher_that_comes_back_goes_on_behind_a_discontinuity_and_one_that_does_not_is_over() {
    let (server, address) = start(Config {
        resume_window: Duration::from_millis(1500),
        hls_idle: Duration::from_millis(300),
        ..config()
    });
    let mut stream = publish(address, "again");
    let mut web = Web::connect(address);
    let first = watch(&mut web, "again", &mut stream);
    assert!(!first.contains("DISCONTINUITY\n") && !first.contains("ENDLIST"));
    let (mut publisher, out) = stream;
    publisher.with(|session| session.delete_stream(out)).unwrap();
    until("it has ended", || logged("stops publishing live/again"));
    let (mut publisher, out) = publish(address, "again");
    publisher.send(out, &seconds(0..4));
    let mut playlist = String::new();
    until("it goes on", || {
        playlist = web.get("/live/again/stream.m3u8").text().to_string();
        playlist.contains("#EXT-X-DISCONTINUITY\n")
    });
    assert!(playlist.contains(segments(&first)[0]), "{playlist}");
    // A second initialization segment, as the configuration may be another.
    let maps = named(&playlist, "MAP:URI=\"");
    assert!(maps.len() > 1 && maps[0] != maps[1], "{playlist}");
    publisher.with(|session| session.delete_stream(out)).unwrap();
    let mut last = web.get("/live/again/stream.m3u8");
    until("it is over", || {
        last = web.get(&format!("/live/again/stream.m3u8?_HLS_msn={}", hint(last.text()).0));
        last.text().contains("#EXT-X-ENDLIST")
    });
    let path = format!("/live/again/{}", segments(last.text()).last().unwrap());
    assert_eq!(web.get(&path).status, 200);
    until("its memory is free", || server.streams() == 0);
    assert_eq!(web.get(&path).status, 404);
    assert_eq!(web.get("/live/again/index.m3u8").status, 404);
}

#[test]
fn nobody_is_cut_into_segments_who_is_not_asked_for() {
    let idle = Duration::from_millis(200);
    let (_server, address) = start(Config { hls_idle: idle, ..config() });
    let (_all, always) = start(Config { hls_idle: idle, hls: Hls::Always, ..config() });
    let mut stream = publish(address, "asked");
    let (mut other, unasked) = publish(always, "unasked");
    other.send(unasked, &seconds(0..3));
    until("the one that is always there is", || logged("live/unasked is cut into segments"));
    assert!(!logged("live/asked is cut"));
    let mut web = Web::connect(address);
    let playlist = watch(&mut web, "asked", &mut stream);
    let path = format!("/live/asked/{}", segments(&playlist)[0]);
    until("it has stopped", || logged("live/asked is not cut into segments any more"));
    let gone = web.get(&path);
    assert_eq!((gone.status, gone.field("Cache-Control")), (404, Some("no-store")));
    // Another time, under other names.
    let again = watch(&mut web, "asked", &mut stream);
    assert!(!again.contains(segments(&playlist)[0]));
    assert_eq!(web.get(&path).status, 404);
    assert_eq!(get(always, "/live/unasked/stream.m3u8").status, 200);
    assert!(!logged("live/unasked is not cut"));
    // As pages that choose how to play are told.
    let told = |path: &str| get(always, path).text().contains("\"hls\":true");
    let (mut speex, out) = Client::publisher(always, "none");
    speex.send(out, &[audio_tag(0), audio_tag(20)]);
    until("it is live", || get(always, "/live/none.json").text().contains("\"Speex\""));
    assert!(told("/live/unasked.json") && !told("/live/none.json"));
}

#[test]
fn a_source_on_demand_starts_for_who_asks_and_stops_when_nobody_does() {
    let folder = sources::folder("hls-source");
    let file = folder.join("film.flv");
    let mut bytes = writer::header(true, true).to_vec();
    headers().iter().chain(&seconds(0..8)).for_each(|tag| writer::write_tag(&mut bytes, tag).unwrap());
    std::fs::write(&file, bytes).unwrap();
    let spec = format!("live/film={}?on-demand=1", file.display());
    let (server, address) = start(Config {
        sources: vec![SourceConfig::parse(&spec).unwrap()],
        retry: Retry { linger: Duration::from_millis(100), ..sources::quick() },
        hls_idle: Duration::from_millis(300),
        ..config()
    });
    let mut web = Web::connect(address);
    let playlist = web.get("/live/film/stream.m3u8");
    assert_eq!(segments(playlist.text()).len(), 1);
    until("the thread has ended", || logged("live/film is not cut into segments any more"));
    until("the source has stopped", || logged("live/film: nobody plays"));
    let _ = (server, std::fs::remove_dir_all(folder));
}

#[test]
fn who_leaves_while_waiting_leaves_nothing_behind_and_who_waits_at_the_end_is_answered() {
    let (server, address) = start(config());
    let mut stream = publish(address, "left");
    let mut web = Web::connect(address);
    watch(&mut web, "left", &mut stream);
    let (mut publisher, out) = stream;
    let next = wait_for_next(&mut web, "left");
    let path = format!("GET /live/left/stream.m3u8?_HLS_msn={}&_HLS_part={}", next.0, next.1);
    let asking: Vec<Web> = (0..50)
        .map(|_| {
            let mut web = Web::connect(address);
            web.ask(&path);
            web
        })
        .collect();
    until("all are there", || server.stats().connections.value() == 52);
    drop(asking);
    publisher.send(out, &seconds(2..3));
    assert_eq!(web.answer(true).status, 200);
    until("they are gone", || server.stats().connections.value() == 2);
    wait_for_next(&mut web, "left");
    let asked = Instant::now();
    server.stop();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(web.answer(true).status, 503);
}

/// Without a pause in which it takes nothing: what it holds is of a time that the stream has forgotten.
#[test]
fn who_reads_a_segment_too_slowly_is_closed() {
    let stall_timeout = Duration::from_secs(1);
    let (_server, address) = start(Config { stall_timeout, ..config() });
    let mut stream = publish(address, "slow");
    let mut web = Web::connect(address);
    let first = watch(&mut web, "slow", &mut stream);
    let (mut publisher, out) = stream;
    let large = |number: u32| {
        let (at, body) = (2000 + number * 40, vec![7; 400_000]);
        if number % 25 == 0 { keyframe(at, &body) } else { inter_frame(at, &body) }
    };
    publisher.send(out, &(0..77).map(large).collect::<Vec<_>>());
    let msn = hint(&first).0;
    let playlist = web.get(&format!("/live/slow/stream.m3u8?_HLS_msn={}", msn + 1));
    let segments = segments(playlist.text());
    let mut web = Web::narrow(address);
    let asked = Instant::now();
    web.ask(&format!("GET /live/slow/{}", segments[segments.len() - 1]));
    let mut buffer = vec![0; 100_000];
    let mut read = 0;
    while let Ok(count @ 1..) = web.0.get_mut().read(&mut buffer) {
        read += count;
        thread::sleep(Duration::from_millis(40));
    }
    assert!(asked.elapsed() >= 4 * stall_timeout, "{:?}, {read} bytes", asked.elapsed());
    assert!(read < 18_000_000, "{read} bytes");
}

/// With an origin anybody can make up names of streams that may come.
#[test]
fn streams_that_nobody_has_sent_yet_take_no_place_from_those_that_are_there() {
    let origin = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = Some(format!("rtmp://{}", origin.local_addr().unwrap()).parse().unwrap());
    let (_server, address) = start(Config { origin, retry: sources::quick(), ..config() });
    let ask = |name: &str| {
        let mut web = Web::connect(address);
        web.ask(&format!("GET /live/{name}/stream.m3u8"));
        web
    };
    let mut awaited: Vec<Web> = (0..256).map(|number| ask(&format!("made-up-{number}"))).collect();
    until("all of them have a thread", || logged("live/made-up-255 is cut into segments"));
    assert!(awaited[0].is_waiting());
    let refused = ask("one-more").answer(true);
    assert_eq!(refused.status, 503, "{}", refused.head);
    assert!(String::from_utf8_lossy(&refused.body).contains("awaited"));
    let mut stream = publish(address, "real");
    let mut web = Web::connect(address);
    assert_eq!(segments(watch(&mut web, "real", &mut stream).as_str()).len(), 1);
    // Reset: who only closes its side may yet want the answer.
    for web in awaited {
        socket2::SockRef::from(web.0.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    }
    until("there is room again", || ask("one-more").is_waiting());
}
