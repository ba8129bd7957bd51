//! What can go wrong because of the peer ([`Error`]), and because of our own call order ([`ApiMisuse`]).
//!
//! An [`Error`] ends the session: later calls return the same one. It says where in the peer's byte stream it
//! was found, so that the byte can be looked up in a capture (`tools/inspect` prints the same offsets).

use super::limits::Limit;
use core::fmt;

/// Why a session ended, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Where in the peer's bytes.
    pub at: At,
}

/// A place in what the peer sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// Bytes of the peer before the offending message or header, counted from the first handshake byte.
    pub stream_offset: u64,
    /// Chunk stream id, when inside the chunk stream.
    pub csid: Option<u32>,
    /// Message type id, when known.
    pub message_type: Option<u8>,
}

/// Kinds of errors, flat and `Copy` so that tests compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bytes that are not RTMP.
    Malformed(Malformed),
    /// Well-formed, but not at this point of the conversation.
    PeerMisbehaved(Misbehaviour),
    /// A ceiling of [`super::limits::Limits`] was passed.
    LimitExceeded(Limit),
    /// A deadline passed.
    TimedOut(Timer),
    /// The peer closed while it published or played. Not clean: inside a message, which is how most players
    /// leave (ffmpeg with unread media, VLC, every killed client).
    PeerClosed {
        /// Between two messages.
        clean: bool,
    },
}

/// Byte sequences that no RTMP peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// The first byte is not a version: another protocol. Holds that byte.
    NotRtmp(u8),
    /// fmt 2 or 3 on a chunk stream that has had no header yet.
    ChunkWithoutHeader,
    /// A new message header with another length or type while a message on that chunk stream is unfinished.
    HeaderInsideMessage,
    /// Set Chunk Size of 0 or with the top bit set.
    ChunkSize,
    /// `connect` that is not AMF.
    Connect,
}

/// Things a peer may not do at this point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// RTMPE (version 6, 8 or 9), which is obfuscation without a use. Holds the version.
    Encrypted(u8),
    /// A server that answers with a version we cannot speak.
    Version(u8),
    /// `connect` on a connection that has connected.
    SecondConnect,
    /// A command other than `connect` first.
    NotConnected,
}

/// The deadlines of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The handshake did not end in time ([`super::limits::Limits::handshake_timeout`]).
    Handshake,
    /// No command came in time ([`super::limits::Limits::command_timeout`]).
    Command,
    /// A publisher sent no media ([`super::limits::Limits::publish_timeout`]).
    Publish,
    /// Time to ask whether a silent peer is alive; never an error ([`super::limits::Limits::ping_interval`]).
    PingDue,
    /// The peer did not answer a ping ([`super::limits::Limits::ping_timeout`]).
    PingReply,
    /// The peer did not close after we did; the session is simply over ([`super::limits::Limits::linger_timeout`]).
    Linger,
}

/// A call that does not fit the state of the session; only the caller can cause it, never the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// No request with this id waits for an answer.
    NoSuchRequest,
    /// The message stream does not exist or is not in a state for this call.
    NoSuchStream,
    /// A call of the other role, or before the connection is ready.
    WrongState,
}

impl Error {
    /// An error at a place.
    pub const fn new(kind: ErrorKind, at: At) -> Error {
        Error { kind, at }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match self.kind {
            ErrorKind::TimedOut(_) | ErrorKind::PeerClosed { .. } => return Ok(()),
            _ => write!(f, " (at byte {}", self.at.stream_offset)?,
        }
        if let Some(csid) = self.at.csid {
            write!(f, ", csid {csid}")?;
        }
        if let Some(id) = self.at.message_type {
            write!(f, ", message type {id}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::Malformed(what) => write!(f, "{what}"),
            ErrorKind::PeerMisbehaved(what) => write!(f, "{what}"),
            ErrorKind::LimitExceeded(limit) => write!(f, "{limit}"),
            ErrorKind::TimedOut(timer) => write!(f, "{timer}"),
            ErrorKind::PeerClosed { clean: true } => f.write_str("peer closed the connection"),
            ErrorKind::PeerClosed { clean: false } => f.write_str("peer closed inside a message"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::NotRtmp(byte) => write!(f, "not RTMP: first byte is 0x{byte:02x}"),
            Malformed::ChunkWithoutHeader => f.write_str("fmt 2 or 3 on a chunk stream without a header"),
            Malformed::HeaderInsideMessage => f.write_str("new message header inside an unfinished message"),
            Malformed::ChunkSize => f.write_str("chunk size of 0 or above 0x7fffffff"),
            Malformed::Connect => f.write_str("connect that cannot be decoded"),
        }
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misbehaviour::Encrypted(version) => write!(f, "RTMPE (version {version}) is not supported"),
            Misbehaviour::Version(version) => write!(f, "server speaks version {version}, not 3"),
            Misbehaviour::SecondConnect => f.write_str("second connect"),
            Misbehaviour::NotConnected => f.write_str("command before connect"),
        }
    }
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Timer::Handshake => "handshake not done in time",
            Timer::Command => "no command in time",
            Timer::Publish => "publisher sent no media in time",
            Timer::PingDue => "ping is due",
            Timer::PingReply => "no answer to a ping",
            Timer::Linger => "closed",
        })
    }
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ApiMisuse::NoSuchRequest => "no such request is pending",
            ApiMisuse::NoSuchStream => "no such message stream, or not in a state for this call",
            ApiMisuse::WrongState => "the session is not in a state for this call",
        })
    }
}

impl core::error::Error for Error {}
impl core::error::Error for ApiMisuse {}
