//! Live streams over HTTP and WebSockets, on the port of everything else.

use super::*;
use std::io::BufRead;
use tungstenite::Message;
use weir::flv::{Item, Reader, ReaderLimits, TagKind, writer};

/// A request, its response's head, and the connection behind it.
fn ask(address: SocketAddr, request: &str) -> (String, std::io::BufReader<TcpStream>) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(socket, "{request}\r\nHost: here\r\n\r\n").unwrap();
    let mut socket = std::io::BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(socket.read_line(&mut head).unwrap() > 0, "{head}");
    }
    (head, socket)
}

/// The FLV that a reader gives, up to a tag.
struct Stream<R> {
    source: R,
    reader: Reader,
    input: Vec<u8>,
    has: Option<(bool, bool)>,
}

impl<R: Read> Stream<R> {
    fn new(source: R) -> Stream<R> {
        Stream { source, reader: Reader::new(ReaderLimits::default()), input: Vec::new(), has: None }
    }

    /// The next tag; `None` at the end.
    fn next(&mut self) -> Option<Tag> {
        loop {
            let mut rest = &self.input[..];
            let item = self.reader.read(&mut rest).unwrap();
            let left = rest.to_vec();
            self.input = left;
            match item {
                Some(Item::Tag { tag, .. }) => return Some(tag),
                Some(Item::Header { has_audio, has_video, .. }) => self.has = Some((has_audio, has_video)),
                Some(other) => panic!("{other:?}"),
                None => {
                    let mut buffer = [0; 4096];
                    let count = self.source.read(&mut buffer).unwrap();
                    if count == 0 {
                        return None;
                    }
                    self.input.extend_from_slice(&buffer[..count]);
                }
            }
        }
    }

    fn up_to(&mut self, is_last: impl Fn(&Tag) -> bool) -> Vec<Tag> {
        let mut tags = Vec::new();
        while !tags.last().is_some_and(&is_last) {
            tags.push(self.next().expect("more of the stream"));
        }
        tags
    }
}

fn film() -> Vec<Tag> {
    let mut tags = vec![metadata(9), video_header(4), audio_header()];
    for number in 0..50 {
        let body = vec![number as u8; 1 + number as usize * 700];
        tags.push(if number % 10 == 0 {
            keyframe(number * 40, &body)
        } else {
            inter_frame(number * 40, &body)
        });
        tags.push(audio(number * 40 + 5));
    }
    tags
}

/// All of it, as one file.
fn file(tags: &[Tag]) -> Vec<u8> {
    let mut file = writer::header(true, true).to_vec();
    tags.iter().for_each(|tag| writer::write_tag(&mut file, tag).unwrap());
    file
}

fn is_last(tag: &Tag) -> bool {
    tag.timestamp.0 == 49 * 40 + 5
}

#[test]
fn a_stream_plays_over_http_bit_for_bit_and_ends_with_its_publisher() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "web");
    publisher.send(out, &film()[..4]);
    until("it is live", || ask(address, "HEAD /live/web.flv HTTP/1.1").0.starts_with("HTTP/1.1 200 "));
    let (head, body) = ask(address, "GET /live/web.flv HTTP/1.1");
    for field in ["Content-Type: video/x-flv", "Access-Control-Allow-Origin: *", "Connection: close"] {
        assert!(head.contains(field), "{field}: {head}");
    }
    let mut stream = Stream::new(body);
    assert_eq!(stream.up_to(|tag| tag.classify().is_keyframe()), film()[..4]);
    assert_eq!(stream.has, Some((true, true)));
    publisher.send(out, &film()[4..]);
    assert_eq!(stream.up_to(is_last), film()[4..]);
    let handshake = "HEAD /live/web.flv HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    assert!(ask(address, handshake).0.starts_with("HTTP/1.1 200 "), "no handshake without GET");
    // Late, from the last keyframe on.
    let (_, body) = ask(address, "GET /live/web.flv HTTP/1.0");
    let late = Stream::new(body).up_to(is_last);
    assert_eq!(late[3..], film()[film().len() - 20..]);
    publisher.with(|session| session.delete_stream(out)).unwrap();
    assert_eq!(stream.next(), None);
}

/// Gathered tags are framed once for each way that players get them.
#[test]
fn players_of_every_form_get_the_same() {
    let (_server, address) = start(Config { subscriber_threads: 1, ..config() });
    let (mut publisher, out) = Client::publisher(address, "forms");
    publisher.send(out, &film()[..4]);
    let (mut rtmp, _) = Client::player(address, "forms");
    let plain: Vec<_> =
        (0..20).map(|_| Stream::new(ask(address, "GET /live/forms.flv HTTP/1.1").1)).collect();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut web, _) = tungstenite::client("ws://here/live/forms.flv", socket).unwrap();
    let mut got = Vec::new();
    let mut read_up_to = |web: &mut tungstenite::WebSocket<TcpStream>, len: usize| {
        while got.len() < len {
            match web.read().unwrap() {
                Message::Binary(bytes) => got.extend_from_slice(&bytes),
                other => panic!("{other:?}"),
            }
        }
        got.clone()
    };
    read_up_to(&mut web, file(&film()[..4]).len());
    rtmp.tags_up_to(|tag| tag.classify().is_keyframe());
    let mut plain: Vec<_> = plain
        .into_iter()
        .map(|mut stream| {
            stream.up_to(|tag| tag.classify().is_keyframe());
            stream
        })
        .collect();
    publisher.send(out, &film()[4..]);
    assert_eq!(rtmp.tags_up_to(is_last), film()[4..]);
    for stream in &mut plain {
        assert_eq!(stream.up_to(is_last), film()[4..]);
    }
    let whole = file(&film());
    assert_eq!(read_up_to(&mut web, whole.len()), whole);
    publisher.with(|session| session.delete_stream(out)).unwrap();
    assert!(matches!(web.read(), Ok(Message::Close(_))));
}

#[test]
fn a_track_that_is_not_wanted_does_not_come() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "one");
    publisher.send(out, &film()[..5]);
    until("it is live", || ask(address, "HEAD /live/one.flv HTTP/1.1").0.starts_with("HTTP/1.1 200 "));
    for (query, has, kind) in
        [("audio=0", (false, true), TagKind::Video), ("video=0", (true, false), TagKind::Audio)]
    {
        let (_, body) = ask(address, &format!("GET /live/one.flv?{query} HTTP/1.1"));
        let mut stream = Stream::new(body);
        let first = stream.up_to(|tag| tag.kind != TagKind::Data && tag.body[1] == 1);
        assert_eq!(stream.has, Some(has), "{query}");
        assert!(first.iter().all(|tag| tag.kind == kind || tag.kind == TagKind::Data), "{query}: {first:?}");
    }
}

#[test]
fn what_is_not_there_is_refused_with_the_reason_and_the_connection_goes_on() {
    let (_server, address) = start(config());
    let (head, mut socket) = ask(address, "GET /live/nobody.flv HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let mut body = String::new();
    socket.read_line(&mut body).unwrap();
    assert!(body.contains("nobody publishes live/nobody"), "{body}");
    let mut connection = socket.into_inner();
    for (request, status) in [("POST /live/nobody.flv", "405 "), ("GET /../etc/passwd.flv", "400 ")] {
        write!(connection, "{request} HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        let mut buffer = [0; 2000];
        let count = connection.read(&mut buffer).unwrap();
        let answer = String::from_utf8_lossy(&buffer[..count]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    }
}

/// Also where nothing tells yet what it will be.
#[test]
fn first_bytes_may_come_one_by_one() {
    let (_server, address) = start(config());
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    for byte in b"OPTIONS /live/cam.flv HTTP/1.1\r\nHost: here\r\n\r\n" {
        socket.write_all(&[*byte]).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    let mut buffer = [0; 2000];
    let count = socket.read(&mut buffer).unwrap();
    assert!(buffer[..count].starts_with(b"HTTP/1.1 204 "), "{}", String::from_utf8_lossy(&buffer[..count]));
}

#[test]
fn a_source_on_demand_starts_for_a_player_over_http() {
    let source = weir::server::source::SourceConfig::parse("live/film=exec:sleep 1000 ?on-demand=1");
    let sources = vec![source.unwrap()];
    let (_server, address) = start(Config { sources, ..config() });
    let (head, _body) = ask(address, "GET /live/film.flv HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[test]
fn pages_are_served_with_what_they_load_and_kept_by_their_tag() {
    let (_server, address) = start(config());
    for (path, mime) in [
        ("/", "text/html"),
        ("/live/cam", "text/html"),
        ("/vod/clip.mp4?watch", "text/html"),
        ("/_weir/watch.mjs", "text/javascript"),
        ("/favicon.ico", "image/svg+xml"),
        ("/crossdomain.xml", "text/xml"),
    ] {
        let (head, _) = ask(address, &format!("GET {path} HTTP/1.1"));
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
        assert!(head.contains(&format!("Content-Type: {mime}")), "{path}: {head}");
    }
    let (head, _) = ask(address, "GET / HTTP/1.1");
    assert!(head.contains("X-Frame-Options: DENY"), "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("a tag");
    let (head, _) = ask(address, &format!("GET / HTTP/1.1\r\nIf-None-Match: {tag}"));
    assert!(head.starts_with("HTTP/1.1 304 "), "{head}");
    for path in ["/_weir/nothing.mjs", "/live/cam.ts", "/live/cam.mp4"] {
        let (head, _) = ask(address, &format!("GET {path} HTTP/1.1"));
        assert!(head.starts_with("HTTP/1.1 404 "), "{path}: {head}");
    }
}

#[test]
fn pages_of_other_sites_may_read_media_and_nothing_else() {
    let (_server, address) = start(config());
    let preflight = "Origin: http://other\r\nAccess-Control-Request-Method: GET";
    for (path, is_open) in [
        ("/live/cam.flv", true),
        ("/live/cam/index.m3u8", true),
        ("/live/cam.json", true),
        ("/vod/clip.mp4", true),
        ("/", false),
        ("/_weir/watch.mjs", false),
    ] {
        let (head, _) = ask(address, &format!("OPTIONS {path} HTTP/1.1\r\n{preflight}"));
        assert!(head.starts_with("HTTP/1.1 204 "), "{path}: {head}");
        assert_eq!(head.contains("Access-Control-Allow-Origin"), is_open, "{path}: {head}");
    }
    // What is wrong with media can be read as well.
    for request in ["GET /live/nobody.flv", "GET /live/nobody.ts", "POST /live/cam.flv", "GET /vod/none.mp4"]
    {
        let (head, _) = ask(address, &format!("{request} HTTP/1.1"));
        assert!(head.starts_with("HTTP/1.1 4") && head.contains("Access-Control-Allow-Origin: *"), "{head}");
    }
}

#[test]
fn nobody_publishes_where_files_and_pages_are() {
    let (_server, address) = start(config());
    for app in ["vod", "api", "_weir", "recordings"] {
        let mut client = Client::connect(address, app);
        let stream = client.create_stream();
        client.publish(stream, "x");
        let why = client.wait("a status", |event| match event {
            Event::Status { status, .. } => Some(status.description.clone()),
            _ => None,
        });
        assert!(why.contains("reserved"), "{app}: {why}");
    }
}
