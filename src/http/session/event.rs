//! What a session tells its driver.

use crate::{
    base::Payload,
    http::{Refusal, framing::Framing, request::Request, websocket::CloseCode},
};
use alloc::boxed::Box;

/// A request that waits for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub(super) u32);

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A whole request, its body included. Nothing that follows is read before `respond` or `upgrade`.
    Request {
        /// For the answer.
        id: RequestId,
        /// What is asked.
        request: Box<Request>,
    },
    /// A request was wrong or too slow: it is answered and the connection closes.
    Refused(Refusal),
    /// A message on a WebSocket. Pings are answered without an event.
    Message {
        /// Text, and valid UTF-8; otherwise binary.
        is_text: bool,
        /// The message, all its frames together.
        body: Payload,
    },
    /// A WebSocket ends, but not by a call of ours: Close is answered or sent, and the connection closes.
    WebSocketEnd {
        /// Why.
        code: CloseCode,
        /// The peer said so; otherwise it broke the rules.
        by_peer: bool,
    },
}

/// What a response needs besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is complete.
    Done,
    /// Its body, by `send` and `end`; with this around the pieces.
    Body(Framing),
}
