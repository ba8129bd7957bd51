//! RTMP as a pure state machine: bytes and time in; bytes, events and one deadline out.
//!
//! [`Session`] is one TCP connection, of either role. It owns no socket, clock, thread, lock or random source: the
//! same calls always give the same bytes and events. The layers below it, each usable alone:
//!
//! ```text
//! bytes -> handshake -> chunk -> message -> session::link -> session::{server, client} -> Event
//! bytes <- output    <- chunk <- message <-----------------------------------------------  calls
//! ```
//!
//! A whole conversation, in memory:
//!
//! ```
//! use weir::{base::MonoTime, rtmp::{ClientConfig, Event, ServerConfig, Session}};
//!
//! let now = MonoTime(0);
//! let mut server = Session::server(ServerConfig::default(), 1, now);
//! let mut client = Session::client(ClientConfig { app: "live".into(), ..ClientConfig::default() }, 2, now);
//!
//! /// Carries what one side wrote to the other.
//! fn carry(from: &mut Session, to: &mut Session, now: MonoTime) {
//!     let mut slices = [&[][..]; 8];
//!     let count = from.output(&mut slices);
//!     let bytes = slices[..count].concat();
//!     from.advance_output(bytes.len());
//!     assert_eq!(to.handle_input(now, &bytes), Ok(bytes.len()));
//! }
//!
//! let mut accepted = false;
//! for _ in 0..3 {
//!     carry(&mut client, &mut server, now);
//!     while let Some(event) = server.poll_event() {
//!         if let Event::Connect { request, connect } = event {
//!             assert_eq!(connect.app, "live");
//!             server.accept(request)?;
//!         }
//!     }
//!     carry(&mut server, &mut client, now);
//!     while let Some(event) = client.poll_event() {
//!         accepted |= matches!(event, Event::Connected(_));
//!     }
//! }
//! assert!(accepted);
//! # Ok::<(), weir::rtmp::ApiMisuse>(())
//! ```

pub mod chunk;
pub mod error;
pub mod handshake;
pub mod limits;
pub mod message;
pub mod session;

pub use crate::base::SendError;
pub use error::{ApiMisuse, At, Error, ErrorKind, Malformed, Misbehaviour, Timer};
pub use limits::{Limit, Limits};
pub use session::{ClientConfig, Event, ServerConfig, Session};

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
