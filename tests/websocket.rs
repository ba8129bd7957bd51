//! The WebSocket side of an HTTP session against another implementation, `tungstenite`, as the client.

extern crate alloc;

use alloc::rc::Rc;
use core::cell::{RefCell, RefMut};
use std::io::{self, Read, Write};
use tungstenite::{
    HandshakeError, Message, WebSocket,
    client::IntoClientRequest,
    handshake::client::ClientHandshake,
    protocol::{
        CloseFrame,
        frame::{Frame, coding},
    },
};
use weir::{
    base::{CloseReason, MonoTime},
    http::{Event, Framing, Limits, Piece, Session, websocket},
};

const NOW: MonoTime = MonoTime(0);

/// What `tungstenite` takes for a socket: both directions in memory.
#[derive(Clone)]
struct Wire(Rc<RefCell<(Vec<u8>, Vec<u8>)>>);

impl Wire {
    fn lock(&self) -> RefMut<'_, (Vec<u8>, Vec<u8>)> {
        self.0.borrow_mut()
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let to_client = &mut self.lock().1;
        if to_client.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = to_client.len().min(into.len());
        into[..len].copy_from_slice(&to_client[..len]);
        to_client.drain(..len);
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire {
    /// Carries what each side wrote to the other.
    fn carry(&self, session: &mut Session) {
        let mut wire = self.lock();
        let input = core::mem::take(&mut wire.0);
        for part in input.chunks(5) {
            assert_eq!(session.handle_input(NOW, part), Ok(part.len()));
        }
        let mut slices = [&[][..]; 16];
        let count = session.output(&mut slices);
        let bytes = slices[..count].concat();
        session.advance_output(bytes.len());
        wire.1.extend(bytes);
    }
}

#[test]
fn another_implementation_is_understood_and_understands() {
    let wire = Wire(Rc::default());
    let request = "ws://host/live/cam.flv".into_client_request().unwrap();
    let handshake = ClientHandshake::start(wire.clone(), request, None).unwrap();
    let Err(HandshakeError::Interrupted(handshake)) = handshake.handshake() else { panic!("it must wait") };
    let mut session = Session::server(Limits::default(), NOW);
    wire.carry(&mut session);
    let Some(Event::Request { id, request }) = session.poll_event() else { panic!("no request") };
    assert_eq!((request.path(), websocket::offer(&request)), ("/live/cam.flv", websocket::Offer::Valid));
    session.upgrade(NOW, id, None).unwrap();
    wire.carry(&mut session);
    let Ok((mut client, _)): Result<(WebSocket<Wire>, _), _> = handshake.handshake() else {
        panic!("accepted")
    };

    let large: Vec<u8> = (0..70_000_u32).map(|at| at as u8).collect();
    for body in [&b"FLV"[..], &large[..125], &large[..126], &large] {
        let piece = Piece::new(Framing::WebSocket, |bytes| bytes.extend_from_slice(body));
        session.send_piece(&piece).unwrap();
        session.send(&body.into()).unwrap();
        wire.carry(&mut session);
        for _ in 0..2 {
            assert_eq!(client.read().unwrap(), Message::binary(body.to_vec()));
        }
        let sent = &body[..body.len().min(60_000)];
        client.send(Message::binary(sent.to_vec())).unwrap();
        wire.carry(&mut session);
        assert_eq!(session.poll_event(), Some(Event::Message { is_text: false, body: sent.into() }));
    }
    session.send_text("caf\u{e9}").unwrap();
    client.send(Message::Frame(Frame::ping(&b"now"[..]))).unwrap();
    wire.carry(&mut session);
    assert_eq!(client.read().unwrap(), Message::text("caf\u{e9}"));
    assert_eq!(client.read().unwrap(), Message::Pong(b"now"[..].into()));
    session.close(NOW, CloseReason::Shutdown);
    wire.carry(&mut session);
    let close = CloseFrame { code: coding::CloseCode::Away, reason: "".into() };
    assert_eq!(client.read().unwrap(), Message::Close(Some(close)));
}
