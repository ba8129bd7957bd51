//! Silence, ends, and what is heard from whom.

use super::*;

const TCP: &str = "RTP/AVP/TCP;interleaved=0-1";
const UDP: &str = "RTP/AVP;unicast;client_port=6-7";

fn after(seconds: u64) -> MonoTime {
    NOW + Duration::from_secs(seconds)
}

fn silent() -> Error {
    Error { kind: ErrorKind::TimedOut(Timer::Session), offset: 0 }
}

#[test]
fn a_session_ends_by_silence_behind_its_timeout_and_the_grace() {
    for (transport, plays) in [(UDP, true), (UDP, false), (TCP, false)] {
        let mut peer = Peer::new(ServerConfig::default());
        let id = peer.set_up(transport);
        if plays {
            peer.play(&id);
        }
        assert_eq!(peer.session.poll_timeout(), Some(after(70)));
        assert_eq!(peer.session.handle_timeout(after(69)), Ok(()));
        let error = peer.session.handle_timeout(after(70)).expect_err("silent");
        assert_eq!(error.kind, silent().kind);
        assert_eq!((peer.session.state(), peer.session.poll_timeout()), (State::Closed, None));
        assert_eq!(peer.session.handle_input(after(71), b"x"), Err(error));
    }
}

#[test]
fn every_sign_of_life_counts_where_the_media_goes() {
    type Sign = fn(&mut Session);
    let signs: [(&str, Sign); 3] = [
        (UDP, |session| session.touch(after(60))),
        (UDP, |session| {
            session.handle_input(after(60), b"OPTIONS * RTSP/1.0\r\n\r\n").unwrap();
        }),
        (TCP, |session| {
            session.handle_input(after(60), b"$\x01\0").unwrap();
        }),
    ];
    for (transport, sign) in signs {
        let mut peer = Peer::new(ServerConfig::default());
        let id = peer.set_up(transport);
        if transport == UDP {
            peer.play(&id);
        }
        sign(&mut peer.session);
        peer.heard();
        assert_eq!(peer.session.handle_timeout(after(70)), Ok(()), "{transport}");
        assert!(peer.session.poll_timeout() >= Some(after(130)), "{transport}");
    }
    // Half a message says nothing of datagrams.
    let mut peer = Peer::new(ServerConfig::default());
    peer.set_up(UDP);
    peer.session.handle_input(after(60), b"OPT").unwrap();
    assert!(peer.session.handle_timeout(after(70)).is_err());
}

#[test]
fn who_plays_over_the_connection_or_has_paused_may_be_silent_for_ever() {
    let mut peer = Peer::new(ServerConfig::default());
    let id = peer.set_up(TCP);
    peer.play(&id);
    // The deadline before PLAY passes, and there is none behind it.
    assert_eq!(peer.session.handle_timeout(after(100)), Ok(()));
    assert_eq!(peer.session.poll_timeout(), None);
    let pause = format!("PAUSE rtsp://h/a RTSP/1.0\nSession: {id}\n\n");
    peer.ask(&pause, &Answer::Paused { range: None });
    assert_eq!(peer.session.handle_timeout(after(100_000)), Ok(()));
    assert_eq!((peer.session.state(), peer.session.poll_timeout()), (State::Open, None));
    // Where packets go another way, what comes of the client tells again.
    peer.session.touch(after(100_000));
    peer.set_up(UDP);
    assert!(peer.session.poll_timeout().is_some());
    // Nothing is left to wait for.
    let teardown = format!("TEARDOWN rtsp://h/a RTSP/1.0\nSession: {id}\n\n");
    peer.ask(&teardown, &Answer::TornDown { session_over: true });
    assert!(peer.session.poll_timeout().is_some());
}

#[test]
fn a_publisher_over_the_connection_ends_by_thirty_seconds_of_silence() {
    let recording = || {
        let mut peer = Peer::new(ServerConfig::default());
        let announce = "ANNOUNCE rtsp://h/a RTSP/1.0\nContent-Length: 3\n\nv=0";
        peer.ask(announce, &Answer::Announced);
        let id = peer.set_up("RTP/AVP/TCP;interleaved=0-1;mode=record");
        let record = format!("RECORD rtsp://h/a RTSP/1.0\nSession: {id}\n\n");
        peer.ask(&record, &Answer::Recording);
        assert_eq!(peer.session.poll_timeout(), Some(after(30)));
        peer
    };
    let error = recording().session.handle_timeout(after(30)).expect_err("silent");
    assert_eq!(error.kind, silent().kind);
    let mut peer = recording();
    peer.session.handle_input(after(20), b"$\0\0\x01a").unwrap();
    assert_eq!(peer.session.handle_timeout(after(30)), Ok(()));
    assert_eq!(peer.session.poll_timeout(), Some(after(50)));
    assert!(peer.session.handle_timeout(after(50)).is_err());
}

#[test]
fn nobody_waits_for_ever_before_a_session() {
    let mut peer = Peer::new(ServerConfig::default());
    assert_eq!(peer.session.poll_timeout(), Some(after(10)));
    assert!(peer.session.handle_timeout(after(10)).is_err());

    let mut peer = Peer::new(ServerConfig::default());
    peer.say("OPTIONS * RTSP/1.0\nCSeq: 1\n\n");
    peer.heard();
    assert_eq!(peer.session.poll_timeout(), Some(after(60)));
    peer.session.handle_input(after(59), b"OPT").unwrap();
    assert_eq!(peer.session.poll_timeout(), Some(after(69)), "for the end of the message");
    assert_eq!(peer.session.handle_timeout(after(69)), Ok(()));
    assert!(peer.heard().starts_with("RTSP/1.0 408 "));
    assert_eq!(
        (peer.event(), peer.session.state()),
        (Some(Event::Refused(Refusal::TooSlow)), State::Closing)
    );
    peer.session.handle_timeout(after(71)).unwrap();
    assert_eq!(peer.session.state(), State::Closed);

    let mut peer = Peer::new(ServerConfig::default());
    peer.say("OPTIONS * RTSP/1.0\nCSeq: 1\n\n");
    peer.heard();
    peer.session.handle_timeout(after(60)).unwrap();
    assert_eq!(peer.session.state(), State::Closed);
}

#[test]
fn an_answer_and_frames_leave_whole_and_in_the_order_of_the_calls() {
    let mut peer = Peer::new(ServerConfig::default());
    let id = peer.set_up(TCP);
    peer.play(&id);
    let piece = Payload::from(&b"$\0\0\x02ab"[..]);
    peer.session.send_piece(&piece).unwrap();
    // Half of the frame is written when a request comes.
    peer.session.advance_output(3);
    peer.say("OPTIONS * RTSP/1.0\nCSeq: 9\n\n");
    peer.session.send_frame(1, b"c").unwrap();
    let heard = peer.heard();
    assert!(
        heard.starts_with("\x02abRTSP/1.0 200 OK\nCSeq: 9\n") && heard.ends_with("\n\n$\x01\0\x01c"),
        "{heard:?}"
    );
    let mut slices = [&[][..]; 4];
    peer.session.send_piece(&piece).unwrap();
    assert_eq!(peer.session.output(&mut slices), 1);
    assert_eq!(slices[0].as_ptr(), piece.as_ptr(), "shared");
}

#[test]
fn teardown_drops_media_that_has_not_begun_and_the_answer_comes_behind_what_has() {
    let mut peer = Peer::new(ServerConfig::default());
    let id = peer.set_up(TCP);
    peer.play(&id);
    peer.session.send_piece(&b"$\0\0\x02ab"[..].into()).unwrap();
    peer.session.send_piece(&b"$\0\0\x02cd"[..].into()).unwrap();
    peer.session.advance_output(5);
    let teardown = format!("TEARDOWN rtsp://h/a RTSP/1.0\nSession: {id}\n\n");
    let heard = peer.ask(&teardown, &Answer::TornDown { session_over: true });
    assert_eq!(heard, format!("bRTSP/1.0 200 OK\nSession: {id}\n\n"));
    assert_eq!(peer.session.send_frame(1, b"x"), Err(SendError::NotOpen));
    assert_eq!(peer.session.poll_timeout(), Some(after(60)), "idle");
    // The next session has an id of its own.
    assert_ne!(peer.set_up(TCP), id);
    assert!(id.len() >= 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn the_peers_end_is_the_end_of_a_player_but_not_of_an_answer() {
    let mut peer = Peer::new(ServerConfig::default());
    let id = peer.set_up(TCP);
    peer.play(&id);
    peer.session.handle_eof(NOW).unwrap();
    assert_eq!(peer.session.state(), State::Closed);

    let mut peer = Peer::new(ServerConfig::default());
    peer.say("DESCRIBE rtsp://h/a RTSP/1.0\n\n");
    peer.session.handle_eof(NOW).unwrap();
    assert_eq!(peer.session.state(), State::Open);
    let request = peer.event().and_then(|event| event.request()).unwrap();
    peer.session.respond(NOW, request, &Answer::Failed(Status::NOT_FOUND)).unwrap();
    assert_eq!(peer.session.state(), State::Closing);
    assert_eq!(peer.heard(), "RTSP/1.0 404 Not Found\n\n");
    assert_eq!(peer.session.state(), State::Closed);

    let mut peer = Peer::new(ServerConfig::default());
    peer.say("DESCRIBE rtsp");
    assert_eq!(peer.session.handle_eof(NOW).map_err(|error| error.kind), Err(ErrorKind::PeerClosed));
}

#[test]
fn closing_answers_what_waits_and_who_is_too_slow_loses_media() {
    let mut peer = Peer::new(ServerConfig::default());
    peer.say("DESCRIBE rtsp://h/a RTSP/1.0\nCSeq: 1\n\n");
    peer.session.close(NOW, CloseReason::Shutdown);
    assert_eq!(peer.heard(), "RTSP/1.0 503 Service Unavailable\nCSeq: 1\n\n");
    assert_eq!((peer.session.state(), peer.session.poll_timeout()), (State::Closing, Some(after(2))));

    let mut peer = Peer::new(ServerConfig::default());
    let id = peer.set_up(TCP);
    peer.play(&id);
    for _ in 0..2 {
        peer.session.send_piece(&b"$\0\0\x02ab"[..].into()).unwrap();
    }
    peer.session.advance_output(1);
    peer.session.close(NOW, CloseReason::TooSlow);
    assert_eq!(peer.session.output_len(), 5, "what has begun is finished");
    peer.session.handle_timeout(after(2)).unwrap();
    assert_eq!(peer.session.state(), State::Closed);
}

#[test]
fn answers_to_other_methods_and_requests_are_misuse() {
    let mut peer = Peer::new(ServerConfig::default());
    peer.say("DESCRIBE rtsp://h/a RTSP/1.0\nCSeq: 1\n\n");
    let request = peer.event().and_then(|event| event.request()).unwrap();
    assert!(!peer.session.wants_input());
    assert_eq!(peer.session.respond(NOW, request, &Answer::Recording), Err(ApiMisuse::WrongAnswer));
    let moved = Answer::Moved("rtsp://b/".into());
    assert_eq!(peer.session.respond(NOW, request, &moved), Ok(()));
    assert_eq!(peer.heard(), "RTSP/1.0 302 Moved Temporarily\nCSeq: 1\nLocation: rtsp://b/\n\n");
    assert_eq!(peer.session.respond(NOW, request, &moved), Err(ApiMisuse::NoSuchRequest));
    assert_eq!(peer.session.redirect(NOW, "rtsp://b/"), Err(ApiMisuse::WrongState));
    let id = peer.set_up(TCP);
    peer.session.redirect(NOW, "rtsp://b/").unwrap();
    assert_eq!(
        peer.heard(),
        format!("REDIRECT rtsp://h/a/trackID=0 RTSP/1.0\nCSeq: 1\nSession: {id}\nLocation: rtsp://b/\n\n")
    );
    peer.say("RTSP/1.0 501 Not Implemented\n\n");
    assert_eq!((peer.event(), &*peer.heard()), (None, ""));
}
