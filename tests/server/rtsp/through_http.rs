//! RTSP through HTTP: a GET that brings answers and media, and POSTs that take requests.

use super::{
    playing::{TCP, publishing},
    publishing::{announced, packets, send, sender},
    *,
};
use crate::{tls::Files, tunnel};
use std::io::ErrorKind;

fn post(address: SocketAddr, cookie: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = format!(
        "POST /live/cam HTTP/1.0\r\nx-sessioncookie: {cookie}\r\nContent-Type: application/x-rtsp-tunnelled\r\n\
         Content-Length: 32767\r\nExpires: Sun, 9 Jan 1972 00:00:00 GMT\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket
}

fn get(address: SocketAddr, cookie: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = format!(
        "GET /live/cam HTTP/1.1\r\nHost: x\r\nx-sessioncookie: {cookie}\r\nAccept: application/x-rtsp-tunnelled\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket
}

/// A client whose tunnel stands.
fn talker(address: SocketAddr, path: &str, cookie: &str) -> Talker {
    let mut talker = Talker::around(get(address, cookie), address, path);
    let Said::Message(head, _) = talker.hear() else { panic!("no answer") };
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert_eq!(field(&head, "Content-Type"), Some("application/x-rtsp-tunnelled"));
    assert_eq!(field(&head, "Content-Length"), None);
    talker.upload = Some(post(address, cookie));
    talker
}

fn play(mut talker: Talker) -> Talker {
    talker.get("OPTIONS {base}", &[]);
    talker.get("DESCRIBE {base}", &[]);
    for transport in ["RTP/AVP;unicast;client_port=5000-5001", "RTP/AVP;multicast"] {
        let answer = talker.ask("SETUP {base}/trackID=0", &[&format!("Transport: {transport}")]).0;
        assert!(answer.starts_with("RTSP/1.0 461 "), "{answer}");
    }
    for track in 0..2 {
        let transport = format!("{TCP}{}-{}", 2 * track, 2 * track + 1);
        talker.get(&format!("SETUP {{base}}/trackID={track}"), &[&transport]);
    }
    talker.get("PLAY {base}/", &["Range: npt=0.000-"]);
    for channel in [1, 3] {
        assert_eq!(talker.frame().0, channel);
    }
    talker
}

#[test]
fn a_player_through_http_is_answered_and_played_to_and_may_go_on_by_another_post() {
    let (_server, address) = start(config());
    let mut publisher = publishing(address);
    let mut player = play(talker(address, "live/cam", "wOKlv6Lq"));
    let mut timestamp = 0;
    for round in 0..3 {
        // It is on another thread by now than what takes its requests.
        player.get("GET_PARAMETER {base}/", &[]);
        timestamp += 40;
        publisher.send(&[picture(timestamp, false, 100 + round)]);
        while player.frame().1.len() != 12 + 100 + round {}
        player.upload = None;
        player.upload = Some(post(address, "wOKlv6Lq"));
    }
    player.get("PAUSE {base}/", &[]);
    player.get("TEARDOWN {base}/", &[]);
}

#[test]
fn a_player_through_http_and_tls_is_played_to() {
    let files = Files::new("rtsp-through-http");
    let (_server, address) = start(files.config());
    let _publisher = publishing(address);
    let sealed = tunnel::open(&files.pair, address, rustls::ALL_VERSIONS);
    play(talker(sealed, "live/cam", "a"));
}

#[test]
fn a_publisher_through_http_is_heard_whole() {
    let (_server, address) = start(config());
    let mut talker = announced(talker(address, "live/cam", &"c".repeat(128)));
    talker.get("RECORD {base}", &[]);
    let mut sender = sender();
    let tags: Vec<Tag> =
        (0..50).map(|number| picture(40 * number, number == 0, 20_000 + number as usize)).collect();
    send(&mut talker, &packets(&mut sender, &tags[..1]));
    let (mut player, _) = Client::player(address, "cam");
    player.tags_up_to(|tag| tag.body == tags[0].body);
    // More than the tunnel holds, and faster than its end may take it.
    let all: Vec<u8> = packets(&mut sender, &tags[1..])
        .into_iter()
        .flat_map(|(track, packet)| {
            [&[b'$', 2 * track as u8][..], &(packet.len() as u16).to_be_bytes(), &packet].concat()
        })
        .collect();
    talker.send(&all);
    let heard = player.tags_up_to(|tag| tag.body == tags[49].body);
    assert_eq!(heard.len(), 49);
    talker.get("TEARDOWN {base}", &[]);
}

#[test]
fn who_reads_no_answers_is_not_read_from_and_nothing_is_lost() {
    let (_server, address) = start(config());
    let mut talker = talker(address, "live/cam", "flood");
    let mut upload = talker.upload.take().unwrap();
    upload.set_nonblocking(true).unwrap();
    let mut asked = 0;
    let mut rest = Vec::new();
    let mut stuck_since = None;
    // Answers are several times as long as requests.
    loop {
        if rest.is_empty() {
            asked += 1;
            let request = format!("OPTIONS * RTSP/1.0\r\nCSeq: {asked}\r\n\r\n");
            rest = weir::base::base64::encode(request.as_bytes()).into_bytes();
        }
        match upload.write(&rest) {
            Ok(count) => {
                stuck_since = None;
                rest.drain(..count);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let since = *stuck_since.get_or_insert_with(Instant::now);
                if since.elapsed() > Duration::from_millis(500) {
                    break;
                }
                thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
        assert!(asked < 2_000_000, "it takes all that it is told");
    }
    upload.set_nonblocking(false).unwrap();
    let writer = thread::spawn(move || {
        upload.write_all(&rest).unwrap();
        upload
    });
    for cseq in 1..=asked {
        let Said::Message(head, _) = talker.hear() else { panic!("no answer {cseq}") };
        assert_eq!(field(&head, "CSeq"), Some(&*cseq.to_string()));
    }
    drop(writer.join().unwrap());
}

#[test]
fn a_post_has_a_get_and_a_cookie_one_tunnel_which_ends_with_its_get() {
    let (_server, address) = start(config());
    let answer = |mut socket: TcpStream| {
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text
    };
    assert!(answer(post(address, "x")).starts_with("HTTP/1.1 404 "));
    let mut first = talker(address, "live/cam", "x");
    first.get("OPTIONS *", &[]);
    assert!(answer(get(address, "x")).starts_with("HTTP/1.1 404 "));
    let mut posts: Vec<TcpStream> = (0..3).map(|_| post(address, "x")).collect();
    for socket in &mut posts {
        let request = weir::base::base64::encode(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        assert!(matches!(first.hear(), Said::Message(..)));
    }
    let mut upload = first.upload.as_ref().unwrap().try_clone().unwrap();
    drop(first);
    for socket in posts.iter_mut().chain([&mut upload]) {
        assert_eq!(socket.read(&mut [0]).unwrap(), 0, "closed without an answer");
    }
    until("the cookie is free", || answer_of(address).is_some());
}

/// The first bytes of what answers a new tunnel of that cookie, if it is one.
fn answer_of(address: SocketAddr) -> Option<()> {
    let mut head = [0; 12];
    get(address, "x").read_exact(&mut head).unwrap();
    (&head == b"HTTP/1.0 200").then_some(())
}

#[test]
fn what_is_no_base64_ends_its_post_alone() {
    let (_server, address) = start(config());
    let mut talker = talker(address, "live/cam", "y");
    let mut wrong = post(address, "y");
    wrong.write_all(b"Zg==\0\0").unwrap();
    assert_eq!(wrong.read(&mut [0]).unwrap_or(0), 0);
    talker.upload = None;
    talker.upload = Some(post(address, "y"));
    // What it brought before counts.
    talker.send(b"\r\n\r\n");
    let Said::Message(head, _) = talker.hear() else { panic!("no answer") };
    assert!(head.starts_with("RTSP/1.0 400 "), "{head}");
    assert_eq!(talker.hear(), Said::End);
}

#[test]
fn requests_that_are_like_those_of_a_tunnel_are_answered_as_ever() {
    let (_server, address) = start(config());
    let long = "c".repeat(129);
    for (line, fields) in [
        ("GET /_weir/nothing", "x-sessioncookie: x".to_string()),
        ("GET /_weir/nothing", format!("x-sessioncookie: {long}\r\nAccept: application/x-rtsp-tunnelled")),
        ("GET /_weir/nothing", "x-sessioncookie:\r\nAccept: application/x-rtsp-tunnelled".to_string()),
        ("HEAD /_weir/nothing", "x-sessioncookie: x\r\nAccept: application/x-rtsp-tunnelled".to_string()),
    ] {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(socket, "{line} HTTP/1.0\r\n{fields}\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
}
