//! RTSP 1.0 (RFC 2326) as pure state machines, server and client: bytes, time and decisions in; bytes, events and one
//! deadline out.
//!
//! A session is one TCP connection. It owns no socket, clock or thread: the same calls always give the same bytes and events. It is
//! driven as an RTMP or HTTP session is. Media is opaque to it: descriptions (SDP) are text, what interleaved frames hold
//! (RTP, RTCP) are bytes, and datagrams are not seen at all ([`Session::touch`] tells of them).
//!
//! ```text
//! bytes -> message -> session::server -> Event (Describe, Setup, Play, Frame, ...)
//! bytes <- output  <- respond, send_piece (frames, shared by many players), send_frame
//!
//! bytes -> message -> session::client -> ClientEvent (Described, SetUp, Started, Frame, ...)
//! bytes <- output  <- set_up, play, record, pause, teardown, send_piece
//! ```
//!
//! A client that describes and sets up, and the server it talks to:
//!
//! ```
//! use std::sync::Arc;
//! use weir::{base::MonoTime, rtsp::*};
//!
//! /// What one side writes, taken by the other.
//! macro_rules! transfer {
//!     ($from:expr => $to:expr) => {
//!         let mut slices = [&[][..]; 8];
//!         let count = $from.output(&mut slices);
//!         let bytes = slices[..count].concat();
//!         $from.advance_output(bytes.len());
//!         assert_eq!($to.handle_input(MonoTime(0), &bytes), Ok(bytes.len()));
//!     };
//! }
//!
//! let now = MonoTime(0);
//! let mut server = Session::server(Arc::new(ServerConfig::default()), 1, now);
//! let mut client = Client::new(
//!     ClientConfig {
//!         limits: Limits::default(),
//!         url: "rtsp://cam/live/a".into(),
//!         credentials: None,
//!         role: Role::Play,
//!         user_agent: String::new(),
//!     },
//!     2,
//!     now,
//! );
//! transfer!(client => server); // OPTIONS, which the server answers by itself
//! transfer!(server => client);
//! transfer!(client => server);
//! let Some(Event::Describe { request, url }) = server.poll_event() else { unreachable!() };
//! assert_eq!(url.path(), "/live/a");
//! let content_base = "rtsp://cam/live/a/".into();
//! server.respond(now, request, &Answer::Described { sdp: "v=0\r\n".into(), content_base })?;
//! transfer!(server => client);
//! let Some(ClientEvent::Described { .. }) = client.poll_event() else { unreachable!() };
//! client.set_up(now, &[("trackID=0", TransportSpec::tcp(0, 1))])?;
//! transfer!(client => server);
//! let Some(Event::Setup { request, url, transports, .. }) = server.poll_event() else { unreachable!() };
//! assert_eq!(url.split_track(), ("/live/a", Some(0)));
//! server.respond(now, request, &Answer::SetUp { transport: transports[0].clone() })?;
//! transfer!(server => client);
//! let Some(ClientEvent::SetUp { index: 0, .. }) = client.poll_event() else { unreachable!() };
//! # Ok::<(), ApiMisuse>(())
//! ```

mod auth;
mod error;
mod limits;
mod message;
mod method;
mod range;
mod session;
mod status;
mod transport;
mod url;

pub use auth::Credentials;
pub use error::{ApiMisuse, Error, ErrorKind, Refusal, Timer};
pub use limits::Limits;
pub use method::Method;
pub use range::{Frames, Point, Range, Unit};
pub use session::{
    Answer, Client, ClientConfig, ClientEvent, Event, MAX_NOISE, RequestId, Role, RtpInfo, ServerConfig,
    Session, Stats, frame_header,
};
#[cfg(any(test, feature = "fuzzing"))]
pub use session::{fuzz_client, fuzz_session};
pub use status::Status;
pub use transport::{Lower, MAX_OFFERS, Mode, TransportSpec};
pub use url::Target;
