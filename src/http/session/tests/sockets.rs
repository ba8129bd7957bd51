//! WebSockets, frame by frame. `tests/websocket.rs` has a whole client.

use super::*;
use tungstenite::protocol::frame::{FrameHeader, coding};

const UPGRADE: &str = "Connection: keep-alive, Upgrade\nUpgrade: WebSocket\nSec-WebSocket-Version: 13\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";

impl Peer {
    fn upgraded() -> Peer {
        let mut peer = Peer::new();
        peer.say(head("GET /live/cam.flv", UPGRADE));
        let (id, request) = peer.request();
        assert_eq!(websocket::offer(&request), websocket::Offer::Valid);
        peer.session.upgrade(NOW, id, None).unwrap();
        assert_eq!(
            peer.heard(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
        peer
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.write();
        core::mem::take(&mut self.written)
    }
}

/// A client's frame.
fn frame(opcode: coding::OpCode, payload: &[u8]) -> Vec<u8> {
    let mask = [9, 8, 7, 6];
    let header = FrameHeader { opcode, mask: Some(mask), ..FrameHeader::default() };
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).unwrap();
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

const PING: coding::OpCode = coding::OpCode::Control(coding::Control::Ping);
const PONG: coding::OpCode = coding::OpCode::Control(coding::Control::Pong);
const CLOSE: coding::OpCode = coding::OpCode::Control(coding::Control::Close);
const TEXT: coding::OpCode = coding::OpCode::Data(coding::Data::Text);

#[test]
fn handshakes_are_told_from_requests_and_from_wrong_ones() {
    let offer = |line: &str, fields: &str| websocket::offer(&read(head(line, fields).as_bytes()).unwrap());
    assert_eq!(offer("GET /", ""), websocket::Offer::None);
    assert_eq!(offer("GET /", "Upgrade: h2c\nConnection: Upgrade\n"), websocket::Offer::None);
    for (fields, status) in [
        (UPGRADE.replace("13", "8"), 426),
        (UPGRADE.replace("Sec-WebSocket-Version: 13\n", ""), 426),
        (UPGRADE.replace("dGhl", "d@hl"), 400),
        (UPGRADE.replace("dGhl", ""), 400),
        (String::from(UPGRADE) + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n", 400),
    ] {
        let websocket::Offer::Invalid(response) = offer("GET /", &fields) else { panic!("{fields}") };
        assert_eq!(response.code().0, status, "{fields}");
        assert_eq!(response.field("sec-websocket-version"), (status == 426).then_some("13"));
        assert_eq!(response.field("upgrade"), (status == 426).then_some("websocket"));
        assert_eq!(response.field("connection"), (status == 426).then_some("Upgrade"));
    }
    assert!(matches!(offer("POST /", UPGRADE), websocket::Offer::Invalid(_)));
    let mut peer = Peer::new();
    peer.say(head("GET /", ""));
    let (id, _) = peer.request();
    assert_eq!(peer.session.upgrade(NOW, id, None), Err(ApiMisuse::WrongState));
    assert_eq!(peer.session.respond(NOW, id, &Response::new(Status::OK)), Ok(Next::Done), "it still waits");
}

#[test]
fn a_sub_protocol_is_echoed() {
    let mut peer = Peer::new();
    peer.say(head("GET /", &(String::from(UPGRADE) + "Sec-WebSocket-Protocol: flv, x\n")));
    let (id, request) = peer.request();
    let protocol = request.list("sec-websocket-protocol").next();
    peer.session.upgrade(NOW, id, protocol).unwrap();
    assert!(peer.heard().contains("\r\nSec-WebSocket-Protocol: flv\r\n"));
}

#[test]
fn pings_are_answered_and_messages_handed_over_however_they_are_cut() {
    let wire =
        [frame(PING, b"abc"), frame(TEXT, b"hello"), frame(PONG, b""), frame(CLOSE, &[0x03, 0xe9])].concat();
    for cut in [1, 3, usize::MAX] {
        let mut peer = Peer::upgraded();
        assert!(peer.offer(NOW, &wire, cut).is_empty());
        assert_eq!(peer.bytes(), b"\x8a\x03abc\x88\x02\x03\xe9");
        assert_eq!(
            peer.session.poll_event(),
            Some(Event::Message { is_text: true, body: b"hello"[..].into() })
        );
        let end = Event::WebSocketEnd { code: CloseCode::GOING_AWAY, by_peer: true };
        assert_eq!((peer.session.poll_event(), peer.state()), (Some(end), State::Closing));
        assert_eq!(peer.session.send(&b"x"[..].into()), Err(SendError::NotOpen));
    }
}

#[test]
fn who_breaks_the_rules_is_closed_with_a_code() {
    let mut peer = Peer::upgraded();
    peer.say(b"\x81\x01a");
    assert_eq!(peer.bytes(), b"\x88\x02\x03\xea", "1002: a client's frames are masked");
    let end = Event::WebSocketEnd { code: CloseCode::PROTOCOL, by_peer: false };
    assert_eq!((peer.session.poll_event(), peer.state()), (Some(end), State::Closing));
    let mut peer = Peer::upgraded();
    peer.say(frame(TEXT, &vec![b'a'; 64 << 10]));
    assert!(matches!(peer.session.poll_event(), Some(Event::Message { .. })));
    peer.say(frame(TEXT, &vec![b'a'; (64 << 10) + 1]));
    assert_eq!(peer.bytes(), b"\x88\x02\x03\xf1", "1009");
}

#[test]
fn messages_that_nobody_fetches_and_pongs_that_nobody_reads_stop_reading() {
    let mut peer = Peer::upgraded();
    let wire = frame(TEXT, b"x").repeat(100);
    let left = peer.offer(NOW, &wire, usize::MAX).len();
    assert_eq!(left, 36 * frame(TEXT, b"x").len());
    while peer.session.poll_event().is_some() {}
    assert!(peer.session.wants_input());
    let ping = frame(PING, &[7; 125]);
    let mut count = 0;
    while peer.session.wants_input() && count < 1000 {
        assert_eq!(peer.session.handle_input(NOW, &ping), Ok(ping.len()));
        count += 1;
    }
    assert_eq!(count, (64 << 10) / 127 + 1);
}

#[test]
fn silent_clients_are_pinged_and_let_go() {
    let mut peer = Peer::upgraded();
    assert_eq!(peer.session.poll_timeout(), Some(MonoTime(30_000)));
    peer.offer(MonoTime(20_000), &frame(PONG, b""), 1);
    assert_eq!(peer.session.handle_timeout(MonoTime(30_000)), Ok(()));
    assert_eq!((peer.bytes(), peer.session.poll_timeout()), (vec![], Some(MonoTime(50_000))));
    assert_eq!(peer.session.handle_timeout(MonoTime(50_000)), Ok(()));
    assert_eq!((peer.bytes(), peer.session.poll_timeout()), (vec![0x89, 0], Some(MonoTime(110_000))));
    peer.offer(MonoTime(100_000), &frame(PONG, b"")[..1], 1);
    assert_eq!(peer.session.poll_timeout(), Some(MonoTime(130_000)), "any byte is an answer");
    assert_eq!((peer.session.handle_timeout(MonoTime(130_000)), peer.bytes()), (Ok(()), vec![0x89, 0]));
    let error = peer.session.handle_timeout(MonoTime(190_000)).unwrap_err();
    assert_eq!((error.kind, peer.state()), (ErrorKind::TimedOut(Timer::PingReply), State::Closed));
}

#[test]
fn who_reads_slowly_is_not_let_go_for_a_ping_behind_what_waits() {
    let media = Payload::from(vec![7; 1000]);
    let mut peer = Peer::upgraded();
    // A second of media a second, and a bit more than that waits.
    for second in 1..200 {
        peer.session.send(&media).unwrap();
        if second > 1 {
            peer.session.advance_output(1000);
        }
        assert_eq!(peer.session.handle_timeout(MonoTime(second * 1000)), Ok(()), "at {second} s");
    }
    // All is written; it is silent since the beginning.
    peer.bytes();
    assert_eq!((peer.session.handle_timeout(MonoTime(210_000)), peer.bytes()), (Ok(()), vec![0x89, 0]));
    assert_eq!(peer.session.poll_timeout(), Some(MonoTime(270_000)));
    // Something waits when the answer is due: it may stand behind much more in the kernel.
    peer.session.send(&media).unwrap();
    assert_eq!(peer.session.handle_timeout(MonoTime(270_000)), Ok(()));
    peer.bytes();
    let error = peer.session.handle_timeout(MonoTime(330_000)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut(Timer::PingReply));
}

#[test]
fn who_was_too_slow_hears_so_behind_the_message_that_has_begun() {
    let mut peer = Peer::upgraded();
    for body in [&b"aaaa"[..], b"bbbb"] {
        peer.session.send(&body.into()).unwrap();
        peer.session
            .send_piece(&Piece::new(Framing::WebSocket, |bytes| bytes.extend_from_slice(body)))
            .unwrap();
        peer.session.send_text("text").unwrap();
    }
    peer.session.advance_output(1);
    peer.session.close(NOW, CloseReason::TooSlow);
    assert_eq!((peer.bytes(), peer.state()), (b"\x04aaaa\x88\x02\x03\xf0".to_vec(), State::Closing));
}

#[test]
fn we_close_with_a_code_that_says_why() {
    for (why, code) in [
        (CloseReason::Done, 1000_u16),
        (CloseReason::Shutdown, 1001),
        (CloseReason::TooSlow, 1008),
        (CloseReason::Kicked, 1008),
    ] {
        let mut peer = Peer::upgraded();
        peer.session.close(NOW, why);
        let [high, low] = code.to_be_bytes();
        assert_eq!((peer.bytes(), peer.state()), (vec![0x88, 2, high, low], State::Closing));
        peer.session.close(NOW, why);
        assert_eq!(peer.bytes(), b"", "once");
    }
}
