//! What is odd about the messages of one direction: legal or not, worth a second look.
//!
//! In: a message. Out: what strikes about it. What strikes about chunks, time and the end of the bytes takes somebody who sees
//! more than one message: `dissect`.

use crate::{
    amf::{Budget, amf0},
    base::Timestamp,
    flv::{TagKind, TagRole},
    rtmp::{
        ErrorKind,
        chunk::RawMessage,
        message::{DecodeFailure, Ignored, Message, UserControl, type_id},
    },
};
use core::fmt;

/// Something worth a second look. Most are legal; the field's clients do them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// Bytes of this direction before it.
    pub offset: u64,
    /// What.
    pub kind: OddityKind,
}

/// What can be odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OddityKind {
    /// The bytes end before the handshake does.
    EndsInsideHandshake,
    /// The bytes end in a message; this many follow the last whole one.
    EndsInsideMessage {
        /// Bytes behind the last whole message.
        left: u64,
    },
    /// From here on nothing could be decoded.
    Undecodable(ErrorKind),
    /// A fmt 3 chunk opens a message and the time of the last one was absolute: the text says to add that time
    /// again, nginx-rtmp adds nothing.
    Fmt3AfterFmt0 {
        /// The absolute time; with 0 both readings agree.
        timestamp: Timestamp,
    },
    /// The first chunk of a chunk stream is fmt 1, so that it has no message stream id.
    Fmt1OnFreshChunkStream,
    /// A delta led to an earlier time than that of the message before.
    TimeWentBack {
        /// Milliseconds.
        by: u32,
    },
    /// A command or data message with bytes that are not AMF.
    BadAmf,
    /// A control message is longer than its fields.
    TrailingBytes {
        /// How much longer.
        len: usize,
    },
    /// A message is shorter than its fields.
    TooShort,
    /// A message type without a meaning.
    UnknownType,
    /// A user control event without a meaning.
    UnknownUserControl(u16),
    /// A part of an aggregate does not decode.
    BadAggregate,
    /// A media message that says neither what it is nor what codec it is in.
    UnknownMedia,
}

impl OddityKind {
    /// The name, without particulars; to count by.
    pub const fn name(self) -> &'static str {
        match self {
            OddityKind::EndsInsideHandshake => "ends inside the handshake",
            OddityKind::EndsInsideMessage { .. } => "ends inside a message",
            OddityKind::Undecodable(_) => "not decodable any further",
            OddityKind::Fmt3AfterFmt0 { .. } => "fmt 3 opens a message after fmt 0",
            OddityKind::Fmt1OnFreshChunkStream => "fmt 1 on a fresh chunk stream",
            OddityKind::TimeWentBack { .. } => "delta goes back in time",
            OddityKind::BadAmf => "undecodable AMF",
            OddityKind::TrailingBytes { .. } => "trailing bytes",
            OddityKind::TooShort => "shorter than its fields",
            OddityKind::UnknownType => "unknown message type",
            OddityKind::UnknownUserControl(_) => "unknown user control event",
            OddityKind::BadAggregate => "undecodable aggregate",
            OddityKind::UnknownMedia => "unknown media",
        }
    }
}

impl fmt::Display for OddityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            OddityKind::EndsInsideMessage { left } => write!(f, " ({left} bytes behind the last whole one)"),
            OddityKind::Undecodable(error) => write!(f, " ({error})"),
            OddityKind::Fmt3AfterFmt0 { timestamp } => write!(f, " (of time {timestamp})"),
            OddityKind::TimeWentBack { by } => write!(f, " (by {by} ms)"),
            OddityKind::TrailingBytes { len } => write!(f, " ({len})"),
            OddityKind::UnknownUserControl(event) => write!(f, " ({event})"),
            _ => Ok(()),
        }
    }
}

/// What is odd about a body; the first thing, if there are several.
pub(super) fn of_message(raw: &RawMessage, message: &Result<Message, DecodeFailure>) -> Option<OddityKind> {
    let fields = match message {
        Err(DecodeFailure::Ignored(why)) => {
            return Some(match why {
                Ignored::TooShort => OddityKind::TooShort,
                Ignored::UnknownUserControl(event) => OddityKind::UnknownUserControl(*event),
                Ignored::UnknownType => OddityKind::UnknownType,
                _ => OddityKind::BadAmf,
            });
        }
        Err(DecodeFailure::Limit(limit)) => {
            return Some(OddityKind::Undecodable(ErrorKind::LimitExceeded(*limit)));
        }
        Ok(Message::Tag(tag)) if tag.kind != TagKind::Data => {
            return (tag.classify().role == TagRole::Unknown).then_some(OddityKind::UnknownMedia);
        }
        Ok(Message::Tag(_) | Message::Command(_)) => {
            return (!is_amf(raw)).then_some(OddityKind::BadAmf);
        }
        Ok(Message::Aggregate(parts)) => {
            return parts.clone().any(|part| part.is_err()).then_some(OddityKind::BadAggregate);
        }
        Ok(Message::SetPeerBandwidth { .. }) => 5,
        Ok(Message::UserControl(UserControl::SetBufferLength { .. })) => 10,
        // The type of verification is left out by some servers.
        Ok(Message::UserControl(UserControl::SwfVerifyRequest)) => 3,
        Ok(Message::UserControl(UserControl::SwfVerifyResponse)) => 44,
        Ok(Message::UserControl(_)) => 6,
        Ok(_) => 4,
    };
    let len = raw.body.len().saturating_sub(fields);
    (len > 0).then_some(OddityKind::TrailingBytes { len })
}

/// Every value of a command or data message decodes.
fn is_amf(raw: &RawMessage) -> bool {
    // Some leave the format byte out and begin with the marker of a string.
    let format_byte =
        matches!(raw.type_id, type_id::COMMAND_AMF3 | type_id::DATA_AMF3) && raw.body.first() != Some(&0x02);
    let body = raw.body.get(usize::from(format_byte)..).unwrap_or_default();
    amf0::decode_all(body, Budget::default()).1.is_none()
}
