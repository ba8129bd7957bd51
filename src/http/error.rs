//! What can go wrong: because of the peer without an answer ([`Error`]), with one ([`Refusal`]), and because of our own
//! call order ([`ApiMisuse`]).

use super::response::Status;
use core::fmt;

/// Why a session ended without anything that could be answered, and behind how many bytes of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Bytes of the peer before.
    pub offset: u64,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A deadline passed: of the first request, when nothing of it came, or of a ping's answer.
    TimedOut(Timer),
    /// The peer closed inside a request.
    PeerClosed,
}

/// The deadlines of a session. One is set at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// [`Limits::head_timeout`](super::Limits::head_timeout)
    Head,
    /// [`Limits::body_timeout`](super::Limits::body_timeout)
    Body,
    /// [`Limits::idle_timeout`](super::Limits::idle_timeout): never an error.
    Idle,
    /// [`Limits::ping_interval`](super::Limits::ping_interval): never an error.
    PingDue,
    /// [`Limits::ping_timeout`](super::Limits::ping_timeout)
    PingReply,
    /// [`Limits::linger_timeout`](super::Limits::linger_timeout): never an error.
    Linger,
}

/// Why the session answered a request by itself. Each closes the connection behind its response, because what follows in
/// the peer's bytes cannot be trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A line end that is not CR LF.
    BareLineEnd,
    /// A request line or header field that is none; a header field continued on the next line.
    Malformed,
    /// An HTTP version other than 1.0 and 1.1.
    Version,
    /// A method that no resource of this server has.
    Method,
    /// No `Host` in HTTP/1.1, several, or one that is no host.
    Host,
    /// A target that is no path: wrong form, wrong escapes, `..`, control characters, a backslash or an escaped slash.
    Target,
    /// [`Limits::max_target_len`](super::Limits::max_target_len)
    TargetTooLong,
    /// [`Limits::max_head_len`](super::Limits::max_head_len) or [`Limits::max_headers`](super::Limits::max_headers)
    HeadTooLarge,
    /// `Content-Length` that is no single number, or together with `Transfer-Encoding`: where the request ends is not
    /// the same for everybody who reads it.
    Length,
    /// A `Transfer-Encoding` other than `chunked`.
    Encoding,
    /// A chunk of a body that is none.
    Chunk,
    /// [`Limits::max_body_len`](super::Limits::max_body_len)
    BodyTooLarge,
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// A deadline passed inside a request.
    TooSlow(Timer),
}

/// A call that does not fit the state of the session; only the caller can cause it, never the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// No request with this id waits for an answer (any more).
    NoSuchRequest,
    /// No body is being sent, or the request is no WebSocket handshake.
    WrongState,
}

impl Refusal {
    /// The status that the peer gets.
    pub const fn status(self) -> Status {
        match self {
            Refusal::Version => Status::VERSION_NOT_SUPPORTED,
            Refusal::Method | Refusal::Encoding => Status::NOT_IMPLEMENTED,
            Refusal::TargetTooLong => Status::URI_TOO_LONG,
            Refusal::HeadTooLarge => Status::HEADERS_TOO_LARGE,
            Refusal::BodyTooLarge => Status::CONTENT_TOO_LARGE,
            Refusal::Expectation => Status::EXPECTATION_FAILED,
            Refusal::TooSlow(_) => Status::REQUEST_TIMEOUT,
            _ => Status::BAD_REQUEST,
        }
    }

    /// The sentence that the peer and the log get.
    pub const fn reason(self) -> &'static str {
        match self {
            Refusal::BareLineEnd => "a line of the request does not end with CR LF",
            Refusal::Malformed => "the request line or a header field is malformed",
            Refusal::Version => "only HTTP/1.0 and HTTP/1.1 are spoken here",
            Refusal::Method => "no resource here has this method",
            Refusal::Host => "the request needs exactly one valid Host",
            Refusal::Target => "the request target is not a path of this server",
            Refusal::TargetTooLong => "the request target is too long",
            Refusal::HeadTooLarge => "the header fields are too many or too long",
            Refusal::Length => "the length of the body is not clear",
            Refusal::Encoding => "only the transfer encoding chunked is understood",
            Refusal::Chunk => "a chunk of the body is malformed",
            Refusal::BodyTooLarge => "the body is too long",
            Refusal::Expectation => "the only expectation understood is 100-continue",
            Refusal::TooSlow(_) => "the request did not arrive in time",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status().0, self.reason())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ErrorKind::TimedOut(Timer::PingReply) => "no answer to a ping",
            ErrorKind::TimedOut(_) => "no request in time",
            ErrorKind::PeerClosed => "peer closed inside a request",
        })
    }
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ApiMisuse::NoSuchRequest => "no such request is pending",
            ApiMisuse::WrongState => "the session is not in a state for this call",
        })
    }
}

impl core::error::Error for Error {}
impl core::error::Error for ApiMisuse {}
