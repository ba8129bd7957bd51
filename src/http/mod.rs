//! HTTP/1.1 of a server as a pure state machine, with WebSocket: bytes, time and responses in; bytes, events and one
//! deadline out.
//!
//! [`Session`] is one connection. It owns no socket, clock or thread: the same calls always give the same bytes and
//! events. It is driven as an RTMP session is, and queues what is shared by many players without copying it.
//!
//! ```text
//! bytes -> head, target, body -> Request                      -> Event
//!       -> websocket          -> Message                      -> Event
//! bytes <- output <- response head, framing around shared bytes <- respond, send, send_piece, end
//! ```
//!
//! A page, a stream that does not end, and the same stream over a WebSocket:
//!
//! ```
//! use weir::{base::MonoTime, http::{Event, Framing, Limits, Next, Piece, Response, Session, mime, websocket}};
//!
//! /// What a driver does with bytes of the socket; returns what it would write.
//! fn drive(session: &mut Session, input: &[u8]) -> String {
//!     let now = MonoTime(0);
//!     assert_eq!(session.handle_input(now, input), Ok(input.len()));
//!     while let Some(event) = session.poll_event() {
//!         let Event::Request { id, request } = event else { continue };
//!         match request.path() {
//!             "/" => {
//!                 let page = Response::text(mime::HTML, "<!doctype html>");
//!                 assert_eq!(session.respond(now, id, &page), Ok(Next::Done));
//!             }
//!             "/live/cam.flv" => match websocket::offer(&request) {
//!                 websocket::Offer::None => {
//!                     let next = session.respond(now, id, &Response::stream(mime::FLV));
//!                     assert_eq!(next, Ok(Next::Body(Framing::Chunked)));
//!                 }
//!                 websocket::Offer::Valid => session.upgrade(now, id, None).unwrap(),
//!                 websocket::Offer::Invalid(response) => drop(session.respond(now, id, &response)),
//!             },
//!             _ => unreachable!(),
//!         }
//!     }
//!     written(session)
//! }
//!
//! fn written(session: &mut Session) -> String {
//!     let mut slices = [&[][..]; 8];
//!     let count = session.output(&mut slices);
//!     let bytes = slices[..count].concat();
//!     session.advance_output(bytes.len());
//!     String::from_utf8_lossy(&bytes).into()
//! }
//!
//! let mut first = Session::server(Limits::default(), MonoTime(0));
//! let page = drive(&mut first, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
//! assert!(page.ends_with("Content-Length: 15\r\n\r\n<!doctype html>"));
//! drive(&mut first, b"GET /live/cam.flv HTTP/1.1\r\nHost: a\r\n\r\n");
//!
//! let mut second = Session::server(Limits::default(), MonoTime(0));
//! let upgraded = drive(&mut second, b"GET /live/cam.flv HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
//!     Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
//! assert!(upgraded.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
//!
//! // Framed once for everybody who gets chunks; others share the body and have their own few bytes around it.
//! let piece = Piece::new(Framing::Chunked, |bytes| bytes.extend_from_slice(b"FLV..."));
//! first.send_piece(&piece)?;
//! second.send_piece(&piece)?;
//! assert_eq!(written(&mut first), "6\r\nFLV...\r\n");
//! assert_eq!(written(&mut second), "\u{fffd}\u{6}FLV...");
//! # Ok::<(), weir::base::SendError>(())
//! ```

mod body;
pub mod cors;
mod date;
mod error;
mod framing;
mod head;
mod limits;
pub mod mime;
mod request;
mod resource;
mod response;
mod session;
pub mod sse;
pub(crate) mod target;
pub mod websocket;

pub use date::Date;
pub use error::{ApiMisuse, Error, ErrorKind, Refusal, Timer};
pub use framing::{Framing, Piece};
pub use limits::Limits;
pub use request::{Method, Request, Version};
pub use resource::Resource;
pub use response::{Body, Response, Status};
#[cfg(any(test, feature = "fuzzing"))]
pub use session::fuzz;
pub use session::{Event, Next, RequestId, Session, Stats};
pub use target::ESCAPED_SLASH;
