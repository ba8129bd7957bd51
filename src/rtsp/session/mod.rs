//! One RTSP connection, from the first byte to close, as a pure state machine.
//!
//! In: bytes, time, and the application's answers. Out: bytes, [`Event`]s, one deadline. Driven as an RTMP or HTTP session
//! is: after any A or B call, also a failing one, take events until `None`, write output, read the deadline.
//!
//! **One request at a time.** Nothing behind a request is taken until it is answered, so pipelined requests wait with the
//! caller and in the kernel, and so does what a publisher sends behind RECORD.
//!
//! **One session at a time.** A connection has one session in the sense of RTSP at most, which ends with it: by its silence,
//! too ([`Session::touch`]), unless it plays over the connection itself or has paused there.
//!
//! **One queue.** Answers and interleaved frames leave in the order of the calls, each whole: media that is sent behind the
//! answer to PLAY comes behind it.
//!
//! **What is wrong with a request** is answered here ([`Event::Refused`] tells it for the log), and the connection goes on where
//! the end of the request is known. **Errors** are what cannot be answered; they are fatal and sticky.
//!
//! **A peer that reads nothing** is the caller's to notice: as long as output waits, no deadline here ends a session. Once
//! the caller has called it [`CloseReason::TooSlow`](crate::base::CloseReason::TooSlow), media that has not begun to leave is dropped and the linger time is the last.

mod client;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
mod link;
mod request;
mod server;
#[cfg(test)]
mod tests;
mod write;

pub use client::{Client, ClientConfig, ClientEvent, MAX_NOISE, Role};
pub use event::*;
#[cfg(any(test, feature = "fuzzing"))]
pub use fuzz::{fuzz_client, fuzz_session};
pub use link::frame_header;
pub use server::{ServerConfig, Session};

/// Counters of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes taken from the peer.
    pub bytes_in: u64,
    /// Bytes written to the peer.
    pub bytes_out: u64,
    /// Whole messages received.
    pub messages: u64,
    /// Interleaved frames received.
    pub frames: u64,
}
