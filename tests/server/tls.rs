//! TLS on the port of everything else: what comes through it is what comes plain, and what is wrong with it harms nobody.

use super::{
    http::{Stream, ask, file, film, is_last},
    slow::numbered,
    support_tls::Pair,
    *,
};
use rustls::{ClientConnection, StreamOwned, SupportedProtocolVersion};
use std::{fs, path::PathBuf};
use weir::{flv::writer, server::TlsConfig};

static TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
static TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A certificate in files, gone with the test.
pub(super) struct Files {
    directory: PathBuf,
    pub(super) pair: Pair,
}

impl Files {
    pub(super) fn new(name: &str) -> Files {
        let directory = std::env::temp_dir().join(format!("weir-tls-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let pair = Pair::new("the first");
        pair.write(&directory);
        Files { directory, pair }
    }

    pub(super) fn config(&self) -> Config {
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| self.directory.join(name));
        Config { tls: Some(TlsConfig { certificate, key }), ..config() }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn is_logged(text: &str) {
    until(text, || logged(text));
}

/// A request through TLS, up to the end of its response's head.
fn ask_sealed(
    mut stream: StreamOwned<ClientConnection, TcpStream>,
    request: &str,
) -> (String, StreamOwned<ClientConnection, TcpStream>) {
    write!(stream, "{request}\r\nHost: here\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (String::from_utf8(head).unwrap(), stream)
}

#[test]
fn a_stream_published_through_tls_is_the_same_for_players_of_every_kind_plain_and_through_tls() {
    let files = Files::new("all");
    let (_server, address) = start(Config { subscriber_threads: 1, ..files.config() });
    for (name, versions) in [("tls12", TLS12), ("tls13", TLS13)] {
        let tunnel = tunnel::open(&files.pair, address, versions);
        let (mut publisher, out) = Client::publisher(tunnel, name);
        publisher.send(out, &film()[..4]);
        let url = format!("/live/{name}.flv");
        until("it is live", || ask(address, &format!("HEAD {url} HTTP/1.1")).0.starts_with("HTTP/1.1 200 "));
        // Enough of both that pieces are sent by `sendfile` to the plain ones.
        let mut rtmp: Vec<_> = [address, tunnel].map(|door| Client::player(door, name).0).into();
        let mut streams: Vec<_> = (0..40)
            .map(|number| if number % 2 == 0 { address } else { tunnel })
            .map(|door| Stream::new(ask(door, &format!("GET {url} HTTP/1.1")).1))
            .collect();
        let socket = TcpStream::connect(tunnel).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let (mut web, _) = tungstenite::client(format!("ws://here{url}"), socket).unwrap();
        let mut through_web = Vec::new();
        let mut read_web = |len: usize| {
            while through_web.len() < len {
                through_web.extend_from_slice(&web.read().unwrap().into_data());
            }
            through_web.clone()
        };
        read_web(file(&film()[..4]).len());
        rtmp.iter_mut().for_each(|player| drop(player.tags_up_to(|tag| tag.classify().is_keyframe())));
        streams.iter_mut().for_each(|stream| drop(stream.up_to(|tag| tag.classify().is_keyframe())));
        publisher.send(out, &film()[4..]);
        for player in &mut rtmp {
            assert_eq!(player.tags_up_to(is_last), film()[4..]);
        }
        for stream in &mut streams {
            assert_eq!(stream.up_to(is_last), film()[4..]);
        }
        let whole = file(&film());
        assert_eq!(read_web(whole.len()), whole);
        publisher.with(|session| session.delete_stream(out)).unwrap();
        streams.iter_mut().for_each(|stream| assert_eq!(stream.next(), None));
    }
    is_logged("speaks TLS: TLSv1_2");
    is_logged("speaks TLS: TLSv1_3");
}

#[test]
fn a_file_plays_through_tls() {
    let files = Files::new("vod");
    let mut flv = writer::header(true, true).to_vec();
    // More than a session queues and a socket takes at once.
    let mut tags = vec![video_header(1), audio_header()];
    tags.extend((0..100).map(|number| keyframe(number * 10, &vec![number as u8; 200_000])));
    tags.iter().for_each(|tag| writer::write_tag(&mut flv, tag).unwrap());
    fs::write(files.directory.join("film.flv"), flv).unwrap();
    let (_server, address) = start(Config { media: Some(files.directory.clone()), ..files.config() });
    let mut player = Client::connect(tunnel::open(&files.pair, address, rustls::ALL_VERSIONS), "vod");
    let stream = player.create_stream();
    player.play(stream, "film");
    let got = player.tags_up_to(|tag| tag.timestamp.0 == 990);
    let sent = |tags: &[Tag]| -> Vec<Tag> {
        tags.iter().filter(|tag| tag.classify().is_keyframe()).cloned().collect()
    };
    assert_eq!(sent(&got), sent(&tags));
}

#[test]
fn a_handshake_and_requests_may_come_byte_by_byte_and_each_byte_as_a_record_of_its_own() {
    let files = Files::new("bytes");
    let (_server, address) = start(files.config());
    let mut tls = files.pair.client();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    while tls.is_handshaking() {
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out).unwrap();
        }
        for byte in out {
            socket.write_all(&[byte]).unwrap();
            thread::sleep(Duration::from_micros(300));
        }
        if tls.is_handshaking() {
            assert!(tls.read_tls(&mut socket).unwrap() > 0);
            tls.process_new_packets().unwrap();
        }
    }
    let mut stream = StreamOwned::new(tls, socket);
    for byte in b"OPTIONS /live/cam.flv HTTP/1.1\r\nX: " {
        stream.write_all(&[*byte]).unwrap();
        stream.flush().unwrap();
    }
    for _ in 0..2000 {
        stream.write_all(b"x").unwrap();
    }
    let (head, _) = ask_sealed(stream, "");
    assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
}

/// Whoever waits for an end must be able to tell it from a cut.
#[test]
fn an_end_is_told_and_a_client_may_end_its_side_first() {
    let files = Files::new("end");
    let (_server, address) = start(files.config());
    let (mut publisher, out) = Client::publisher(address, "ended");
    publisher.send(out, &film()[..4]);
    let ready = || ask(address, "HEAD /live/ended.flv HTTP/1.1").0.starts_with("HTTP/1.1 200 ");
    until("it is live", ready);
    let (_, mut stream) = ask_sealed(files.pair.connect(address), "GET /live/ended.flv HTTP/1.1");
    publisher.with(|session| session.delete_stream(out)).unwrap();
    let mut body = Vec::new();
    // Without a goodbye this is an error of kind UnexpectedEof.
    stream.read_to_end(&mut body).unwrap();
    assert_eq!(body, file(&film()[..4]));

    let mut stream = files.pair.connect(address);
    write!(stream, "GET /nothing.ts HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("live streams are at"), "{answer}");
}

/// Everything up to the server's end, which may be a reset.
fn rest_of(mut socket: TcpStream) -> Vec<u8> {
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

fn hello(pair: &Pair) -> Vec<u8> {
    let mut out = Vec::new();
    pair.client().write_tls(&mut out).unwrap();
    out
}

#[test]
fn without_a_certificate_tls_is_refused_by_an_alert_and_a_line_in_the_log() {
    let (_server, address) = start(config());
    let mut stream = Pair::new("nobody").connect(address);
    let error = stream.write_all(b"GET / HTTP/1.1\r\n").unwrap_err();
    assert!(error.to_string().contains("HandshakeFailure"), "{error}");
    is_logged("it speaks TLS, and there is no certificate (--tls-cert)");
}

#[test]
fn clients_that_fail_are_closed_with_the_reason() {
    let files = Files::new("fail");
    let (_server, address) = start(files.config());
    let mut stream = Pair::new("a stranger").connect(address);
    assert!(stream.write_all(b"GET / HTTP/1.1\r\n").is_err());
    is_logged("TLS refused by the client: it does not trust our certificate (alert UnknownCA)");

    let mut garbage = TcpStream::connect(address).unwrap();
    garbage.write_all(&[hello(&files.pair), vec![0xff; 100]].concat()).unwrap();
    let answer = rest_of(garbage);
    // Two bytes, the type of record and the tag of the seal.
    let alert = &answer[answer.len() - 24..];
    assert!(alert[..5] == [0x17, 3, 3, 0, 19], "a sealed alert is the last that comes: {alert:x?}");
    is_logged("closed: TLS: received corrupt message");

    let mut unlike = TcpStream::connect(address).unwrap();
    unlike.write_all(&[&[0x16, 3, 1][..], &[0xee; 200]].concat()).unwrap();
    assert_eq!(rest_of(unlike)[0], 0x15);

    let mut cut = TcpStream::connect(address).unwrap();
    cut.write_all(&hello(&files.pair)[..100]).unwrap();
    cut.shutdown(Shutdown::Write).unwrap();
    rest_of(cut);
    is_logged("closed: it left in the TLS handshake");

    // What is no version of TLS is left to RTMP, which is lenient about versions, with every byte of it.
    let mut other = TcpStream::connect(address).unwrap();
    other.set_nodelay(true).unwrap();
    other.set_read_timeout(Some(DEADLINE)).unwrap();
    other.write_all(&[0x16]).unwrap();
    thread::sleep(Duration::from_millis(50));
    other.write_all(&[4; 1536]).unwrap();
    let mut answer = [0; 1 + 2 * 1536];
    other.read_exact(&mut answer).unwrap();
    assert_eq!(answer[0], 3);
}

#[test]
fn a_client_that_stalls_in_the_handshake_is_cut_as_one_that_says_nothing() {
    let files = Files::new("stall");
    let (_server, address) = start(files.config());
    let begun = Instant::now();
    let mut half = TcpStream::connect(address).unwrap();
    let mut whole = TcpStream::connect(address).unwrap();
    let hello = hello(&files.pair);
    half.write_all(&hello[..hello.len() - 1]).unwrap();
    // One that takes the answer and never goes on.
    whole.write_all(&hello).unwrap();
    // No more than a goodbye.
    assert_eq!(rest_of(half), [0x15, 3, 3, 0, 2, 1, 0]);
    assert!(rest_of(whole).len() > 500);
    assert!((Duration::from_secs(9)..Duration::from_secs(15)).contains(&begun.elapsed()));
    is_logged("closed: its TLS handshake took too long");
}

#[test]
fn a_slow_player_loses_whole_groups_of_pictures_and_holds_no_more_than_its_queue() {
    const GOP: u32 = 10;
    const QUEUE: usize = 1 << 20;
    let files = Files::new("slow");
    let (server, address) = start(Config { max_queue: QUEUE, gop_cache: 0, ..files.config() });
    let (mut publisher, out) = Client::publisher(address, "sluggish");
    publisher.send(out, &[video_header(1)]);
    until("it is live", || ask(address, "HEAD /live/sluggish.flv HTTP/1.1").0.starts_with("HTTP/1.1 200 "));
    let (mut fast, _) = Client::player(address, "sluggish");
    fast.tag();
    let (_, slow) = ask_sealed(files.pair.connect(address), "GET /live/sluggish.flv HTTP/1.1");
    let mut publish_gop = |gop: u32| {
        for place in 0..GOP {
            publisher.send(out, &[numbered(gop, place)]);
            assert_eq!(fast.tag(), numbered(gop, place), "the fast player must get everything");
        }
    };
    let mut gop = 0;
    while server.stats().dropped_tags.value() < 100 {
        publish_gop(gop);
        gop += 1;
        assert!(gop < 1000, "nothing was dropped");
    }
    let reader = thread::spawn(move || {
        let mut slow = Stream::new(slow);
        let mut received: Vec<u32> = Vec::new();
        loop {
            let tag = slow.next().expect("more of the stream");
            if tag.body.len() < 1000 {
                continue;
            }
            let word = |at: usize| u32::from_be_bytes(tag.body[at..at + 4].try_into().unwrap());
            let (gop, place) = (word(5), word(9));
            assert_eq!(tag, numbered(gop, place));
            let number = gop * GOP + place;
            let follows = received.last().is_none_or(|last| last + 1 == number);
            assert!(follows || place == 0, "{number} after {:?}: not a keyframe", received.last());
            received.push(number);
            if place == GOP - 1 && received.len() as u32 <= number {
                return received;
            }
        }
    });
    while !reader.is_finished() {
        publish_gop(gop);
        gop += 1;
    }
    let received = reader.join().unwrap();
    let before = received.iter().zip(0..).take_while(|(got, number)| **got == *number).count();
    // What both sockets hold is not the server's.
    let held = before * (32 << 10);
    assert!((QUEUE..QUEUE + (16 << 20)).contains(&held), "{held} bytes before the first loss");
}

#[test]
fn a_new_certificate_is_for_new_connections_and_a_broken_one_for_none() {
    let files = Files::new("reload");
    let (server, address) = start(files.config());
    let (head, old) = ask_sealed(files.pair.connect(address), "OPTIONS / HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 "), "{head}");
    let new = Pair::new("the second");
    new.write(&files.directory);
    server.reload_certificate();
    is_logged("new connections get the certificate in");
    ask_sealed(new.connect(address), "OPTIONS / HTTP/1.1");
    assert!(files.pair.connect(address).write_all(b"GET").is_err(), "the old one is gone");
    ask_sealed(old, "OPTIONS / HTTP/1.1");

    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| files.directory.join(name));
    let (good_certificate, good_key) = (fs::read(&certificate).unwrap(), fs::read(&key).unwrap());
    let breaks: [(&PathBuf, Vec<u8>, &str); 6] = [
        (&certificate, b"nonsense".to_vec(), "cert.pem: no certificate in it"),
        (&certificate, good_certificate[..200].to_vec(), "cert.pem: the END line of a section is missing"),
        (&key, good_certificate.clone(), "key.pem: no private key in it"),
        (
            &key,
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec(),
            "key.pem: no key of a kind that can be used",
        ),
        (
            &certificate,
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
            "cert.pem: no proper certificate",
        ),
        (&key, rcgen::KeyPair::generate().unwrap().serialize_pem().into(), "key.pem: does not belong to"),
    ];
    for (path, content, reason) in breaks {
        fs::write(path, content).unwrap();
        server.reload_certificate();
        is_logged(reason);
        ask_sealed(new.connect(address), "OPTIONS / HTTP/1.1");
        fs::write(&certificate, &good_certificate).unwrap();
        fs::write(&key, &good_key).unwrap();
    }
    is_logged("the old certificate stays");
    fs::remove_file(&key).unwrap();
    server.reload_certificate();
    is_logged("key.pem: No such file or directory");
    ask_sealed(new.connect(address), "OPTIONS / HTTP/1.1");
}

#[test]
fn what_both_sides_can_do_is_agreed_upon_and_http_is_its_name() {
    let files = Files::new("alpn");
    let (_server, address) = start(files.config());
    for (offered, agreed) in [(&[&b"h2"[..], b"http/1.1"][..], Some(&b"http/1.1"[..])), (&[], None)] {
        let mut stream = files.pair.connect_offering(address, offered);
        write!(stream, "OPTIONS / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        assert_eq!(stream.conn.alpn_protocol(), agreed);
    }
}

#[test]
fn a_capture_holds_what_is_inside() {
    let files = Files::new("capture");
    let capture = Some(files.directory.join("captured"));
    let (server, address) = start(Config { capture, ..files.config() });
    let (head, stream) = ask_sealed(files.pair.connect(address), "OPTIONS /captured HTTP/1.1");
    drop(stream);
    server.stop();
    let file = fs::read_dir(files.directory.join("captured")).unwrap().next().unwrap().unwrap();
    let bytes = fs::read(file.path()).unwrap();
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(holds(b"OPTIONS /captured HTTP/1.1") && holds(head.as_bytes()));
}

/// Most requests still wait when the end of them is there.
#[test]
fn every_request_is_answered_before_the_end_that_came_behind_it() {
    const REQUESTS: usize = 4000;
    let files = Files::new("patient");
    let (_server, address) = start(files.config());
    let mut stream = files.pair.connect(address);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream.conn.set_buffer_limit(None);
    let request = b"OPTIONS /nothing HTTP/1.1\r\nHost: here\r\n\r\n";
    stream.conn.writer().write_all(&request.repeat(REQUESTS)).unwrap();
    stream.conn.send_close_notify();
    let mut writer = stream.sock.try_clone().unwrap();
    let mut sealed = Vec::new();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut sealed).unwrap();
    }
    let writing = thread::spawn(move || writer.write_all(&sealed).unwrap());
    let (mut answers, mut buffer) = (Vec::new(), [0; 16 << 10]);
    loop {
        // Without the goodbye of TLS this is an error.
        match stream.conn.reader().read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answers.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                stream.conn.read_tls(&mut stream.sock).unwrap();
                stream.conn.process_new_packets().unwrap();
            }
            Err(error) => panic!("{error} after {} bytes", answers.len()),
        }
    }
    writing.join().unwrap();
    let heads = answers.windows(9).filter(|window| window == b"HTTP/1.1 ").count();
    assert_eq!(heads, REQUESTS);
}

#[test]
fn a_player_that_takes_nothing_is_closed() {
    let files = Files::new("stalled");
    let stall_timeout = Duration::from_secs(1);
    let (server, address) = start(Config { stall_timeout, max_queue: 1 << 18, ..files.config() });
    let (mut publisher, out) = Client::publisher(address, "unread");
    publisher.send(out, &[video_header(1), numbered(0, 0)]);
    until("it is live", || ask(address, "HEAD /live/unread.flv HTTP/1.1").0.starts_with("HTTP/1.1 200 "));
    let (_, stalled) = ask_sealed(files.pair.connect(address), "GET /live/unread.flv HTTP/1.1");
    let mut number = 1;
    until("it is closed", || {
        publisher.send(out, &[numbered(number, 0)]);
        number += 1;
        server.stats().connections.value() == 1
    });
    is_logged("closed: too slow");
    drop(stalled);
}
