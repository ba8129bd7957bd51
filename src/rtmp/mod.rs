//! RTMP as a pure state machine: bytes and time in; bytes, events and one deadline out.

pub mod error;
pub mod limits;
pub mod payload;
pub mod time;
pub mod wire;

pub use error::{ApiMisuse, At, Error, ErrorKind, Malformed, Misbehaviour, SendError, Timer};
pub use limits::{Limit, Limits};
pub use payload::Payload;
pub use time::{MonoTime, Timestamp};

use core::fmt;

/// Message stream id: 0 is the connection itself, others come from `createStream` (RTMP 1.0, 5.3.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageStreamId(pub u32);

impl MessageStreamId {
    /// The connection itself: `connect`, `createStream`, protocol control.
    pub const CONNECTION: MessageStreamId = MessageStreamId(0);
}

impl fmt::Display for MessageStreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
