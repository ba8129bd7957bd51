//! Bodies: of requests, and of responses that are sent piece by piece.

use super::*;

#[test]
fn chunked_requests_are_put_together_and_the_next_request_is_found() {
    let wire = head("POST /a", "Transfer-Encoding: Chunked\n") + "3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n";
    let mut peer = Peer::new();
    let both = wire + &head("GET /b", "");
    let rest = peer.offer(NOW, both.as_bytes(), usize::MAX);
    let (id, request) = peer.request();
    assert_eq!(&**request.body(), b"abcde");
    peer.session.respond(NOW, id, &Response::new(Status::OK)).unwrap();
    peer.say(rest);
    assert_eq!(peer.request().1.path(), "/b");
}

#[test]
fn who_waits_for_leave_to_send_a_body_gets_it_once() {
    let mut peer = Peer::new();
    peer.say(head("POST /", "Expect: 100-Continue\nContent-Length: 2\n"));
    assert_eq!(peer.heard(), "HTTP/1.1 100 Continue\r\n\r\n");
    peer.say("a");
    assert_eq!((peer.heard().as_str(), peer.session.poll_event()), ("", None));
    peer.say("b");
    assert_eq!(&**peer.request().1.body(), b"ab");
    let mut without = Peer::new();
    without.say(head("POST /", "Expect: 100-continue\n"));
    without.request();
    assert_eq!(without.heard(), "", "there is no body to wait for");
    assert_eq!(read(head("GET /", "Expect: tea\n").as_bytes()), Err(Refusal::Expectation));
    let large = read(head("POST /", "Expect: 100-continue\nContent-Length: 65537\n").as_bytes());
    assert_eq!(large, Err(Refusal::BodyTooLarge), "told before it is sent");
}

#[test]
fn a_body_of_known_length_is_sent_as_it_is() {
    let mut peer = Peer::new();
    let announced = peer.ask(head("GET /", ""), &Response::new(Status::OK).body(Body::Sized(5)));
    assert!(announced.ends_with("Content-Length: 5\r\n\r\n"), "{announced}");
    assert!(!peer.session.wants_input(), "it will end");
    peer.session.send(&b"abc"[..].into()).unwrap();
    assert_eq!(peer.session.send(&b"def"[..].into()), Err(SendError::NotOpen), "more than announced");
    peer.session.send(&b"de"[..].into()).unwrap();
    peer.session.end(NOW).unwrap();
    assert_eq!((peer.heard().as_str(), peer.state()), ("abcde", State::Open));
    assert_eq!(peer.session.send(&b"x"[..].into()), Err(SendError::NotOpen));
    assert_eq!(peer.session.end(NOW), Err(ApiMisuse::WrongState));
    // One that breaks off cannot be followed by anything.
    peer.ask(head("GET /", ""), &Response::new(Status::OK).body(Body::Sized(5)));
    peer.session.send(&b"abc"[..].into()).unwrap();
    peer.session.end(NOW).unwrap();
    assert_eq!((peer.heard().as_str(), peer.state()), ("abc", State::Closing));
    // Nothing at all is complete at once.
    let mut peer = Peer::new();
    peer.ask(head("GET /", ""), &Response::new(Status::OK).body(Body::Sized(0)));
    assert!(peer.session.framing().is_none() && peer.session.wants_input());
}

#[test]
fn an_endless_stream_is_framed_for_who_gets_it() {
    let piece = Piece::new(Framing::Chunked, |bytes| bytes.extend_from_slice(b"FLV"));
    for (request, response, framing, heard, end) in [
        (head("GET /", ""), Body::Stream, Framing::Chunked, "3\r\nFLV\r\n2\r\nxy\r\n", "0\r\n\r\n"),
        (head("GET /", ""), Body::Unframed, Framing::Plain, "FLVxy", ""),
        ("GET / HTTP/1.0\r\n\r\n".into(), Body::Stream, Framing::Plain, "FLVxy", ""),
    ] {
        let mut peer = Peer::new();
        peer.ask(request, &Response::stream(mime::FLV).body(response));
        assert_eq!(peer.session.framing(), Some(framing));
        peer.session.send_piece(&piece).unwrap();
        peer.session.send(&b"xy"[..].into()).unwrap();
        peer.session.send(&Payload::default()).unwrap();
        assert_eq!(peer.heard(), heard);
        peer.session.end(NOW).unwrap();
        let state = if framing == Framing::Chunked { State::Open } else { State::Closing };
        assert_eq!((peer.heard().as_str(), peer.state()), (end, state));
    }
}

#[test]
fn what_many_players_get_is_shared() {
    let piece = Piece::new(Framing::Chunked, |bytes| bytes.extend_from_slice(&[7; 100]));
    for (body, slice) in [(Body::Stream, 0), (Body::Unframed, 0)] {
        let mut peer = Peer::new();
        peer.ask(head("GET /", ""), &Response::stream(mime::FLV).body(body.clone()));
        peer.session.send_piece(&piece).unwrap();
        let mut slices = [&[][..]; 4];
        assert_eq!(peer.session.output(&mut slices), 1);
        let shared = if body == Body::Stream { piece.bytes().as_ptr() } else { piece.body().as_ptr() };
        assert_eq!(slices[slice].as_ptr(), shared);
    }
}

#[test]
fn who_sends_anything_during_a_stream_is_not_kept_behind_it() {
    let mut peer = Peer::new();
    peer.ask(head("GET /", ""), &Response::stream(mime::EVENTS));
    assert!(peer.session.wants_input());
    peer.say(head("GET /next", ""));
    assert_eq!(peer.session.poll_event(), None);
    peer.session.end(NOW).unwrap();
    assert_eq!((peer.heard().as_str(), peer.state()), ("0\r\n\r\n", State::Closing));
}

#[test]
fn a_player_that_closes_leaves() {
    let mut peer = Peer::new();
    peer.ask(head("GET /", ""), &Response::stream(mime::FLV));
    assert_eq!((peer.session.handle_eof(NOW), peer.state()), (Ok(()), State::Closed));
    assert_eq!(peer.session.send(&b"x"[..].into()), Err(SendError::NotOpen));
}

#[test]
fn media_is_refused_at_the_output_limit_and_one_piece_always_passes() {
    let limits = Limits { max_queued_output: 1000, ..Limits::default() };
    let mut peer = Peer { session: Session::server(limits, NOW), written: Vec::new() };
    peer.ask(head("GET /", ""), &Response::stream(mime::FLV));
    let large = Piece::new(Framing::Chunked, |bytes| bytes.extend_from_slice(&[0; 2000]));
    assert_eq!(peer.session.send_piece(&large), Ok(()));
    let queued = peer.session.output_len();
    assert_eq!(peer.session.send_piece(&large), Err(SendError::WouldExceed));
    assert_eq!(peer.session.send(&b"x"[..].into()), Err(SendError::WouldExceed));
    assert_eq!(peer.session.output_len(), queued);
    peer.write();
    assert_eq!(peer.session.send(&b"x"[..].into()), Ok(()));
}

#[test]
fn a_stream_that_we_close_ends_properly_unless_the_player_was_too_slow() {
    for (body, why, heard, state, is_cut) in [
        (Body::Stream, CloseReason::Shutdown, "4\r\nbody\r\n4\r\nbody\r\n0\r\n\r\n", State::Closing, false),
        (Body::Stream, CloseReason::TooSlow, "4\r\nbody\r\n", State::Closing, false),
        (Body::Sized(9), CloseReason::Shutdown, "bodybody", State::Closing, false),
        (Body::Sized(9), CloseReason::TooSlow, "body", State::Closing, false),
        (Body::Unframed, CloseReason::Shutdown, "bodybody", State::Closing, false),
        (Body::Unframed, CloseReason::TooSlow, "body", State::Closed, true),
    ] {
        let mut peer = Peer::new();
        peer.ask(head("GET /", ""), &Response::stream(mime::FLV).body(body));
        peer.session.send(&b"body"[..].into()).unwrap();
        peer.session.send(&b"body"[..].into()).unwrap();
        // Part of the first piece has left.
        peer.written = peer.session.output.to_vec()[..1].to_vec();
        peer.session.advance_output(1);
        peer.session.close(NOW, why);
        assert_eq!(peer.state(), state);
        assert_eq!((peer.heard().as_str(), peer.session.is_cut()), (heard, is_cut));
    }
}

#[test]
fn what_ends_with_the_connection_is_cut_as_long_as_some_of_it_waits() {
    let mut peer = Peer::new();
    peer.ask(head("GET /", ""), &Response::stream(mime::FLV).body(Body::Unframed));
    peer.session.send(&b"body"[..].into()).unwrap();
    peer.session.end(NOW).unwrap();
    assert!(peer.session.is_cut());
    assert_eq!((peer.heard().as_str(), peer.session.is_cut()), ("body", false));
}

#[test]
fn nothing_stands_in_for_the_rest_of_an_earlier_body_when_a_client_was_too_slow() {
    let mut peer = Peer::new();
    for body in [&b"first"[..], b"other"] {
        let request = head("GET /", "");
        assert_eq!(peer.session.handle_input(NOW, request.as_bytes()), Ok(request.len()));
        let (id, _) = peer.request();
        peer.session.respond(NOW, id, &Response::new(Status::OK).body(Body::Sized(5))).unwrap();
        peer.session.send(&body.into()).unwrap();
        if body == b"first" {
            peer.session.end(NOW).unwrap();
        }
    }
    peer.session.close(NOW, CloseReason::TooSlow);
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(peer.heard(), [response, "first", response].concat());
}

#[test]
fn a_request_of_a_tunnel_is_told_by_its_head_and_what_follows_is_not_taken() {
    const KIND: &str = "application/x-rtsp-tunnelled";
    for (line, kind, length) in [("GET /live/cam", "Accept", ""), ("POST /live/cam", "Content-Type", "32767")]
    {
        for length in ["", length, "0"] {
            let length =
                if length.is_empty() { String::new() } else { format!("Content-Length: {length}\n") };
            let text =
                head(line, &format!("X-SessionCookie: abc\n{kind}: {KIND}\n{length}")) + "T1BUSU9OUw==";
            let mut peer = Peer::new();
            assert_eq!(peer.offer(NOW, text.as_bytes(), usize::MAX), b"T1BUSU9OUw==", "{text}");
            let (id, request) = peer.request();
            assert_eq!(request.tunnel(), Some("abc"));
            // Nobody knows where the next request would begin.
            peer.session.respond(NOW, id, &Response::new(Status::NOT_FOUND)).unwrap();
            assert!(peer.heard().contains("Connection: close\r\n") && peer.state() == State::Closing);
        }
    }
    let long = "c".repeat(129);
    for (line, fields) in [
        ("GET /", format!("X-SessionCookie: a\nContent-Type: {KIND}\n")),
        ("POST /", format!("X-SessionCookie: a\nAccept: {KIND}\nContent-Length: 0\n")),
        ("OPTIONS /", format!("X-SessionCookie: a\nAccept: {KIND}\n")),
        ("GET /", format!("X-SessionCookie: {long}\nAccept: {KIND}\n")),
        ("GET /", format!("X-SessionCookie:\nAccept: {KIND}\n")),
        ("GET /", format!("Accept: {KIND}\n")),
    ] {
        assert_eq!(read(head(line, &fields).as_bytes()).unwrap().tunnel(), None, "{line} {fields}");
    }
}
