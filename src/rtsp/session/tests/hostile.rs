//! Each limit at it and one past it, and what nobody should send.

use super::*;

fn small() -> Limits {
    Limits { max_head_len: 200, max_headers: 4, max_url_len: 60, max_body_len: 10, ..Limits::default() }
}

/// The status that a request gets, whether the connection stays, and the answer.
fn ask(limits: &Limits, request: &[u8]) -> (u16, State, String) {
    let mut peer = Peer::new(ServerConfig { limits: limits.clone(), ..ServerConfig::default() });
    peer.offer(NOW, request, || usize::MAX);
    let heard = peer.heard();
    let status = heard.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, peer.session.state(), heard)
}

#[test]
fn each_limit_is_kept_at_it_and_one_past_it() {
    let url = |len: usize| format!("OPTIONS rtsp://h/{} RTSP/1.0\r\nCSeq: 1\r\n\r\n", "a".repeat(len - 9));
    let head = |len: usize| {
        let start = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nX: ";
        format!("{start}{}\r\n\r\n", "a".repeat(len - start.len() - 4))
    };
    let fields = |count: usize| format!("OPTIONS * RTSP/1.0\r\n{}\r\n", "X: 1\r\n".repeat(count));
    let body = |len: usize| {
        format!("SET_PARAMETER * RTSP/1.0\r\nCSeq: 7\r\nContent-Length: {len}\r\n\r\n{}", "\n".repeat(len))
    };
    for (name, at, past, status) in [
        ("url", url(60), url(61), 414),
        ("head", head(200), head(201), 400),
        ("fields", fields(4), fields(5), 400),
        ("body", body(10), body(11), 413),
    ] {
        let (code, state, answer) = ask(&small(), at.as_bytes());
        assert_eq!((code, state), (200, State::Open), "{name}: {answer}");
        let (code, state, answer) = ask(&small(), past.as_bytes());
        assert_eq!((code, state), (status, State::Closing), "{name}: {answer}");
    }
    // A body's refusal knows its request.
    assert!(ask(&small(), body(11).as_bytes()).2.contains("\nCSeq: 7\n"));
    // A URL without an end is not collected.
    let endless = [b"OPTIONS rtsp://h/".to_vec(), alloc::vec![b'a'; 1000]].concat();
    assert_eq!(ask(&small(), &endless).0, 414);
}

#[test]
fn what_is_no_message_is_answered_and_the_connection_closes() {
    for request in [
        &b"\x80\r\n\r\n"[..],
        b"OPTIONS\r\n\r\n",
        b"OPTIONS *\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nno colon\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nX: a\rb\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nX: \0\r\n\r\n",
        b"OPTIONS rtsp://h/\x01 RTSP/1.0\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nContent-Length:\r\n\r\n",
        b"RTSP/1.0 OK\r\n\r\n",
    ] {
        let (status, state, answer) = ask(&Limits::default(), request);
        assert_eq!((status, state), (400, State::Closing), "{request:?}: {answer}");
    }
    let huge = b"OPTIONS * RTSP/1.0\r\nContent-Length: 99999999999999999999999\r\n\r\n";
    assert_eq!(ask(&Limits::default(), huge).0, 413);
}

#[test]
fn what_is_wrong_with_a_request_leaves_the_connection_open() {
    for (request, status) in [
        ("PLAY rtsp://h/a RTSP/2.0\nCSeq: 1\n\n", 505),
        ("FETCH rtsp://h/a RTSP/1.0\nCSeq: 1\n\n", 501),
        ("REDIRECT rtsp://h/a RTSP/1.0\nCSeq: 1\n\n", 405),
        ("OPTIONS * RTSP/1.0\nCSeq: x\n\n", 400),
        ("OPTIONS * RTSP/1.0\nCSeq: 123456789012345678901\n\n", 400),
        ("OPTIONS * RTSP/1.0\nCSeq: 1\nRequire: www.onvif.org/ver20/backchannel\n\n", 551),
        ("DESCRIBE * RTSP/1.0\nCSeq: 1\n\n", 400),
        ("DESCRIBE rtsp://h/../a RTSP/1.0\nCSeq: 1\n\n", 400),
        ("DESCRIBE rtsp://h/a RTSP/1.0\nCSeq: 1\nAccept: application/rtsl, text/*\n\n", 406),
        ("ANNOUNCE rtsp://h/a RTSP/1.0\nCSeq: 1\n\n", 411),
        ("ANNOUNCE rtsp://h/a RTSP/1.0\nCSeq: 1\nContent-Type: text/plain\nContent-Length: 1\n\nv", 415),
        ("SETUP rtsp://h/a RTSP/1.0\nCSeq: 1\n\n", 461),
        ("SETUP rtsp://h/a RTSP/1.0\nCSeq: 1\nTransport: RTP/SAVP;unicast;client_port=6-7\n\n", 461),
        ("SETUP rtsp://h/a RTSP/1.0\nCSeq: 1\nTransport: RTP/AVP;unicast\n\n", 461),
        ("SETUP rtsp://h/a RTSP/1.0\nCSeq: 1\nTransport: RTP/AVP;client_port=0-1\n\n", 461),
        ("SETUP rtsp://h/a RTSP/1.0\nCSeq: 1\nTransport: RTP/AVP/TCP;mode=record\n\n", 455),
        ("SETUP rtsp://h/a RTSP/1.0\nCSeq: 1\nSession: 123\nTransport: RTP/AVP/TCP\n\n", 454),
        ("PLAY rtsp://h/a RTSP/1.0\nCSeq: 1\n\n", 454),
        ("PAUSE rtsp://h/a RTSP/1.0\nCSeq: 1\nSession: 123\n\n", 454),
        ("TEARDOWN rtsp://h/a RTSP/1.0\nCSeq: 1\n\n", 454),
        ("RECORD rtsp://h/a RTSP/1.0\nCSeq: 1\n\n", 454),
    ] {
        let (code, state, answer) = ask(&Limits::default(), request.replace('\n', "\r\n").as_bytes());
        assert_eq!((code, state), (status, State::Open), "{request}: {answer}");
        assert!(answer.ends_with("\n\n"), "{answer}");
        assert_eq!(answer.contains("CSeq: 1\n"), status != 400 || request.contains("CSeq: 1\n"), "{answer}");
    }
    let (_, _, answer) = ask(&Limits::default(), b"OPTIONS * RTSP/1.0\nRequire: backchannel\n\n");
    assert!(answer.contains("\nUnsupported: backchannel\n"));
    let (_, _, answer) = ask(&Limits::default(), b"REDIRECT rtsp://h/a RTSP/1.0\n\n");
    assert!(answer.contains("\nAllow: OPTIONS, "));
}

#[test]
fn a_client_that_asks_and_never_reads_is_read_no_further() {
    let limits = Limits { max_queued_replies: 1000, ..Limits::default() };
    let mut peer = Peer::new(ServerConfig { limits, ..ServerConfig::default() });
    let flood = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".repeat(100);
    let left = peer.offer(NOW, &flood, || usize::MAX).len();
    assert!(left > 0 && !peer.session.wants_input());
    assert!((1000..1200).contains(&peer.session.output_len()));
    peer.heard();
    assert!(peer.session.wants_input());
}

#[test]
fn frames_stop_the_reading_at_the_limit_of_events() {
    let limits = Limits { max_queued_events: 3, ..Limits::default() };
    let mut peer = Peer::new(ServerConfig { limits, ..ServerConfig::default() });
    peer.set_up("RTP/AVP/TCP;interleaved=0-1");
    let frames = b"$\0\0\x01x".repeat(5);
    assert_eq!(peer.offer(NOW, &frames, || usize::MAX).len(), 10);
    for _ in 0..3 {
        assert_eq!(peer.event(), Some(Event::Frame { channel: 0, data: b"x"[..].into() }));
    }
    assert!(peer.session.wants_input() && peer.event().is_none());
}

#[test]
fn media_stops_at_the_limit_of_output_but_a_larger_piece_passes_alone() {
    let limits = Limits { max_queued_output: 100, ..Limits::default() };
    let mut peer = Peer::new(ServerConfig { limits, ..ServerConfig::default() });
    let id = peer.set_up("RTP/AVP/TCP;interleaved=0-1");
    peer.play(&id);
    let piece = |len: usize| Payload::from(alloc::vec![0; len]);
    assert_eq!(peer.session.send_piece(&piece(200)), Ok(()));
    peer.heard();
    assert_eq!(peer.session.send_piece(&piece(40)), Ok(()));
    assert_eq!(peer.session.send_frame(1, &[0; 56]), Ok(()));
    assert_eq!(peer.session.send_frame(1, &[]), Err(SendError::WouldExceed));
    assert_eq!(peer.session.send_piece(&piece(1)), Err(SendError::WouldExceed));
    assert_eq!(peer.session.output_len(), 100);
    assert_eq!(peer.session.send_frame(1, &[0; 65_536]), Err(SendError::WouldExceed));
}

#[test]
fn logins_that_are_wrong_too_often_end_the_connection() {
    let limits = Limits { max_challenges: 3, ..Limits::default() };
    let users = alloc::vec![Credentials { name: "u".into(), password: "p".into() }];
    let mut peer = Peer::new(ServerConfig { limits, users, ..ServerConfig::default() });
    for (attempt, state) in [(1, State::Open), (2, State::Open), (3, State::Closing)] {
        peer.say("DESCRIBE rtsp://h/a RTSP/1.0\nAuthorization: Basic eDp5\n\n");
        let heard = peer.heard();
        assert!(heard.starts_with("RTSP/1.0 401 ") && heard.contains("Digest realm=\"weir\""), "{heard}");
        let why = if attempt == 3 { Refusal::TooManyLogins } else { Refusal::Login };
        assert_eq!((peer.event(), peer.session.state()), (Some(Event::Refused(why)), state));
    }
}
