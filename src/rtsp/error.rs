//! What can go wrong: because of the peer without an answer ([`Error`]), with one ([`Refusal`]), and because of our own
//! call order ([`ApiMisuse`]).

use super::{Method, Status};
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
    /// A deadline passed.
    TimedOut(Timer),
    /// The peer closed inside a message, or, for a client, before it was done.
    PeerClosed,
    /// Of a server: what it sent cannot be read.
    Unreadable(Refusal),
    /// Of a server: it refused what nothing can be done without.
    Refused(Method, Status),
    /// Of a server: its answer lacks what the request is for.
    Incomplete(Method),
    /// Of a server: it wants a login that was not given, or not this one.
    LoginRefused,
}

/// The deadlines of a session. One is set at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// [`Limits::message_timeout`](super::Limits::message_timeout)
    Message,
    /// [`Limits::idle_timeout`](super::Limits::idle_timeout): never an error.
    Idle,
    /// The timeout that the client was told, and [`Limits::session_grace`](super::Limits::session_grace).
    Session,
    /// [`Limits::answer_timeout`](super::Limits::answer_timeout)
    Answer,
    /// Of a client: half of the timeout that the server has told has passed. Never an error.
    KeepAlive,
    /// [`Limits::linger_timeout`](super::Limits::linger_timeout): never an error.
    Linger,
}

/// Why the session answered a request by itself. The connection stays open where the end of the request is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// What comes is no message: the connection closes.
    Malformed,
    /// [`Limits::max_head_len`](super::Limits::max_head_len) or [`Limits::max_headers`](super::Limits::max_headers): the
    /// connection closes.
    HeadTooLarge,
    /// [`Limits::max_url_len`](super::Limits::max_url_len): the connection closes.
    UrlTooLong,
    /// `Content-Length` that is no single number: the connection closes.
    Length,
    /// [`Limits::max_body_len`](super::Limits::max_body_len): the connection closes.
    BodyTooLarge,
    /// A message that took too long: the connection closes.
    TooSlow,
    /// A version other than 1.0.
    Version,
    /// A method that nobody has.
    UnknownMethod,
    /// A method that is for servers to send.
    Method(Method),
    /// A `CSeq` that is no number.
    Sequence,
    /// A URL that is none, or `*` where a stream is needed.
    Url,
    /// A `Require` of something that is not there.
    Option,
    /// A session that is none of this connection.
    Session,
    /// A method that does not fit what was set up.
    State(Method),
    /// A login that is wrong. A request without one is told what is wanted, without an event.
    Login,
    /// As the one before, too often: the connection closes.
    TooManyLogins,
    /// A DESCRIBE that accepts everything but SDP.
    Accept,
    /// A body that is neither SDP nor parameters.
    MediaType,
    /// An ANNOUNCE without a body.
    NoBody,
    /// No transport that is understood.
    Transport,
    /// A `Range` that is none.
    Range,
    /// A `Scale` or `Speed` that is no number.
    Rate,
}

/// A call that does not fit the state of the session; only the caller can cause it, never the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// No request with this id waits for an answer (any more).
    NoSuchRequest,
    /// The answer is for another method. The request still waits.
    WrongAnswer,
    /// The session is not where this call belongs.
    WrongState,
}

impl Refusal {
    /// The status that the peer gets.
    pub const fn status(self) -> Status {
        match self {
            Refusal::Malformed
            | Refusal::HeadTooLarge
            | Refusal::Length
            | Refusal::Sequence
            | Refusal::Url
            | Refusal::Rate => Status::BAD_REQUEST,
            Refusal::UrlTooLong => Status::URL_TOO_LONG,
            Refusal::BodyTooLarge => Status::BODY_TOO_LARGE,
            Refusal::TooSlow => Status::REQUEST_TIMEOUT,
            Refusal::Version => Status::VERSION_NOT_SUPPORTED,
            Refusal::UnknownMethod => Status::NOT_IMPLEMENTED,
            Refusal::Method(_) => Status::METHOD_NOT_ALLOWED,
            Refusal::Option => Status::OPTION_NOT_SUPPORTED,
            Refusal::Session => Status::SESSION_NOT_FOUND,
            Refusal::State(_) => Status::NOT_VALID_IN_THIS_STATE,
            Refusal::Login | Refusal::TooManyLogins => Status::UNAUTHORIZED,
            Refusal::Accept => Status::NOT_ACCEPTABLE,
            Refusal::MediaType => Status::UNSUPPORTED_MEDIA_TYPE,
            Refusal::NoBody => Status::LENGTH_REQUIRED,
            Refusal::Transport => Status::UNSUPPORTED_TRANSPORT,
            Refusal::Range => Status::INVALID_RANGE,
        }
    }

    /// The connection closes behind the answer.
    pub const fn closes(self) -> bool {
        matches!(
            self,
            Refusal::Malformed
                | Refusal::HeadTooLarge
                | Refusal::UrlTooLong
                | Refusal::Length
                | Refusal::BodyTooLarge
                | Refusal::TooSlow
                | Refusal::TooManyLogins
        )
    }

    /// The sentence for the log.
    pub const fn reason(self) -> &'static str {
        match self {
            Refusal::Malformed => "a line of the message is malformed",
            Refusal::HeadTooLarge => "the header fields are too many or too long",
            Refusal::UrlTooLong => "the URL is too long",
            Refusal::Length => "the length of the body is not clear",
            Refusal::BodyTooLarge => "the body is too long",
            Refusal::TooSlow => "the message did not arrive in time",
            Refusal::Version => "only RTSP/1.0 is spoken here",
            Refusal::UnknownMethod => "the method is unknown",
            Refusal::Method(_) => "the method is for servers",
            Refusal::Sequence => "the CSeq is no number",
            Refusal::Url => "the URL names no stream",
            Refusal::Option => "an extension is required that is not there",
            Refusal::Session => "the session is not known on this connection",
            Refusal::State(_) => "the method does not fit what was set up",
            Refusal::Login => "the login is wrong",
            Refusal::TooManyLogins => "the login was wrong too often",
            Refusal::Accept => "a description other than SDP is asked for",
            Refusal::MediaType => "the body is of another type",
            Refusal::NoBody => "a description was announced without one",
            Refusal::Transport => "no transport is offered that is spoken here",
            Refusal::Range => "the range is none",
            Refusal::Rate => "the scale or speed is no number",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status().0;
        match self {
            Refusal::Method(method) | Refusal::State(method) => {
                write!(f, "{status} to {}: {}", method.name(), self.reason())
            }
            _ => write!(f, "{status}: {}", self.reason()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ErrorKind::TimedOut(Timer::Session) => "no sign of life within the session's timeout",
            ErrorKind::TimedOut(Timer::Answer) => "no answer in time",
            ErrorKind::TimedOut(_) => "no message in time",
            ErrorKind::PeerClosed => "peer closed the connection",
            ErrorKind::LoginRefused => "the login is missing or wrong",
            ErrorKind::Unreadable(why) => why.reason(),
            ErrorKind::Refused(method, status) => {
                return write!(f, "{} was answered {status}", method.name());
            }
            ErrorKind::Incomplete(method) => {
                return write!(f, "the answer to {} lacks what it is for", method.name());
            }
        })
    }
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ApiMisuse::NoSuchRequest => "no such request is pending",
            ApiMisuse::WrongAnswer => "the answer is for another method",
            ApiMisuse::WrongState => "the session is not in a state for this call",
        })
    }
}

impl core::error::Error for Error {}
impl core::error::Error for ApiMisuse {}
