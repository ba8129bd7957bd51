//! What a message means: [`RawMessage`] -> [`Message`], and bodies for what we send.
//!
//! Covers RTMP 1.0 sections 5.4 (protocol control), 7.1 (command, data, audio, video, aggregate, user control).
//! Not here: chunking (`chunk`), reactions (`session`). Pure functions over one body; nothing is kept.
//!
//! Field notes: control messages come on any csid and message stream (ffmpeg's listen mode uses csid 3). Bodies
//! longer than their fields are accepted, shorter ones are ignored.

mod aggregate;
mod command;
mod control;
mod data;
#[cfg(test)]
mod tests;

pub use aggregate::Aggregate;
pub use command::Command;
pub use control::{BandwidthLimit, UserControl};

use super::{Limit, Limits, chunk::RawMessage};
use crate::{
    base::wire::Cursor,
    flv::{Tag, TagKind},
};
#[cfg(any(test, feature = "fuzzing"))]
use alloc::vec::Vec;
use core::fmt;

/// Message type ids (RTMP 1.0, 5.4 and 7.1).
pub mod type_id {
    /// Protocol control: Set Chunk Size.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Protocol control: Abort Message.
    pub const ABORT: u8 = 2;
    /// Protocol control: Acknowledgement.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control.
    pub const USER_CONTROL: u8 = 4;
    /// Protocol control: Window Acknowledgement Size.
    pub const WINDOW_ACK_SIZE: u8 = 5;
    /// Protocol control: Set Peer Bandwidth.
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio, an FLV audio tag body.
    pub const AUDIO: u8 = 8;
    /// Video, an FLV video tag body.
    pub const VIDEO: u8 = 9;
    /// Data with a format byte, then AMF0 with switches to AMF3.
    pub const DATA_AMF3: u8 = 15;
    /// Shared object with a format byte.
    pub const SHARED_OBJECT_AMF3: u8 = 16;
    /// Command with a format byte, then AMF0 with switches to AMF3.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data in AMF0.
    pub const DATA: u8 = 18;
    /// Shared object in AMF0.
    pub const SHARED_OBJECT: u8 = 19;
    /// Command in AMF0.
    pub const COMMAND: u8 = 20;
    /// Several messages in one.
    pub const AGGREGATE: u8 = 22;

    /// The name of a type for people; "unknown" if there is none.
    pub const fn name(id: u8) -> &'static str {
        match id {
            SET_CHUNK_SIZE => "set-chunk-size",
            ABORT => "abort",
            ACKNOWLEDGEMENT => "acknowledgement",
            USER_CONTROL => "user-control",
            WINDOW_ACK_SIZE => "window-ack-size",
            SET_PEER_BANDWIDTH => "set-peer-bandwidth",
            AUDIO => "audio",
            VIDEO => "video",
            DATA_AMF3 => "data-amf3",
            SHARED_OBJECT_AMF3 => "shared-object-amf3",
            COMMAND_AMF3 => "command-amf3",
            DATA => "data",
            SHARED_OBJECT => "shared-object",
            COMMAND => "command",
            AGGREGATE => "aggregate",
            _ => "unknown",
        }
    }
}

/// A message by its meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Type 1: chunk size of the sender from here on. The chunk reader has applied it already.
    SetChunkSize(u32),
    /// Type 2: the unfinished message of this csid is void. The chunk reader has applied it already.
    Abort(u32),
    /// Type 3: bytes received by the peer so far, modulo 2^32.
    Acknowledgement(u32),
    /// Type 4.
    UserControl(UserControl),
    /// Type 5: acknowledge whenever this many bytes have come.
    WindowAckSize(u32),
    /// Type 6: send no more than this many unacknowledged bytes.
    SetPeerBandwidth {
        /// Bytes.
        window: u32,
        /// How the value combines with an earlier one.
        limit: BandwidthLimit,
    },
    /// Types 8, 9, 18 and 15.
    Tag(Tag),
    /// Types 20 and 17.
    Command(Command),
    /// Type 22: more tags.
    Aggregate(Aggregate),
}

/// Why a message has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// No such message type, or one without a use (shared objects, type 7).
    UnknownType,
    /// User control event without a meaning here.
    UnknownUserControl(u16),
    /// Body shorter than its fields.
    TooShort,
    /// A command or data message that is not AMF.
    Undecodable,
    /// Media on a stream that neither publishes nor plays.
    StreamNotOpen,
    /// A command for a stream that does not exist, or is not in a state for it.
    NoSuchStream,
    /// A reply to nothing we asked.
    UnexpectedReply,
    /// A command of the other side that needs no reaction (onBWDone, onFCPublish ...).
    Notice,
    /// Part of an aggregate that does not decode.
    BadAggregate,
}

/// Why a body did not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeFailure {
    /// Harmless: skip the message.
    Ignored(Ignored),
    /// The peer tries to make us work: end the session.
    Limit(Limit),
}

impl From<Ignored> for DecodeFailure {
    fn from(why: Ignored) -> DecodeFailure {
        DecodeFailure::Ignored(why)
    }
}

impl Message {
    /// Decodes one message. Media bodies are shared, not copied or looked into.
    ///
    /// # Errors
    /// [`DecodeFailure::Ignored`] for what a lenient peer skips, [`DecodeFailure::Limit`] for AMF beyond
    /// `max_amf_depth` or `max_amf_values` in a command.
    pub fn decode(raw: &RawMessage, limits: &Limits) -> Result<Message, DecodeFailure> {
        let mut body = Cursor::new(&raw.body);
        let number = |value: Option<u32>| value.ok_or(DecodeFailure::Ignored(Ignored::TooShort));
        if let Some(kind) = media_kind(raw.type_id) {
            return Ok(Message::Tag(Tag::new(kind, raw.timestamp, raw.body.clone())));
        }
        Ok(match raw.type_id {
            type_id::SET_CHUNK_SIZE => Message::SetChunkSize(number(body.u32())?),
            type_id::ABORT => Message::Abort(number(body.u32())?),
            type_id::ACKNOWLEDGEMENT => Message::Acknowledgement(number(body.u32())?),
            type_id::USER_CONTROL => Message::UserControl(UserControl::decode(&raw.body)?),
            type_id::WINDOW_ACK_SIZE => Message::WindowAckSize(number(body.u32())?),
            type_id::SET_PEER_BANDWIDTH => Message::SetPeerBandwidth {
                window: number(body.u32())?,
                limit: BandwidthLimit::from_wire(body.u8().ok_or(Ignored::TooShort)?),
            },
            type_id::DATA | type_id::DATA_AMF3 => {
                Message::Tag(data::to_tag(raw.type_id, raw.timestamp, raw.body.clone())?)
            }
            type_id::COMMAND | type_id::COMMAND_AMF3 => {
                Message::Command(Command::decode(raw.type_id, &raw.body, limits)?)
            }
            type_id::AGGREGATE => Message::Aggregate(Aggregate::new(raw.timestamp, raw.body.clone())),
            _ => return Err(Ignored::UnknownType.into()),
        })
    }
}

/// What a message of this type carries, if it is a tag as it stands: audio and video, unlike data.
pub(crate) const fn media_kind(type_id: u8) -> Option<TagKind> {
    match type_id {
        type_id::AUDIO => Some(TagKind::Audio),
        type_id::VIDEO => Some(TagKind::Video),
        _ => None,
    }
}

/// The body of a Set Peer Bandwidth message.
pub(crate) fn peer_bandwidth_body(window: u32, limit: BandwidthLimit) -> [u8; 5] {
    let [a, b, c, d] = window.to_be_bytes();
    [a, b, c, d, limit.to_wire()]
}

/// One line for people: what a capture shows, without media bytes.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::SetChunkSize(size) => write!(f, "chunk size {size}"),
            Message::Abort(csid) => write!(f, "abort csid {csid}"),
            Message::Acknowledgement(count) => write!(f, "received {count}"),
            Message::UserControl(event) => write!(f, "{event}"),
            Message::WindowAckSize(window) => write!(f, "window {window}"),
            Message::SetPeerBandwidth { window, limit } => write!(f, "bandwidth {window} {limit}"),
            Message::Tag(tag) => match tag.kind {
                TagKind::Audio => write!(f, "audio {} bytes", tag.body.len()),
                TagKind::Video => write!(f, "video {} bytes", tag.body.len()),
                TagKind::Data => data::describe(&tag.body, f),
            },
            Message::Command(command) => write!(f, "{command}"),
            Message::Aggregate(parts) => write!(f, "aggregate of {}", parts.clone().count()),
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ignored::UnknownType => "message type without a meaning here",
            Ignored::UnknownUserControl(event) => return write!(f, "user control event {event}"),
            Ignored::TooShort => "body too short",
            Ignored::Undecodable => "not AMF",
            Ignored::StreamNotOpen => "media on a stream that is not open",
            Ignored::NoSuchStream => "command for a stream that does not exist or is not in a state for it",
            Ignored::UnexpectedReply => "reply to nothing we asked",
            Ignored::Notice => "notice",
            Ignored::BadAggregate => "aggregate that does not decode",
        })
    }
}

/// Fuzz body: any bytes as any message type decode without a panic, and what is encoded again decodes the same.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(data: &[u8]) {
    use super::MessageStreamId;
    use crate::base::{Payload, Timestamp};
    let [type_id, body @ ..] = data else { return };
    let raw = RawMessage {
        offset: 0,
        csid: 3,
        fmt: 0,
        stream: MessageStreamId(1),
        type_id: *type_id % 32,
        timestamp: Timestamp(0xff_ff00),
        body: Payload::from(body),
    };
    let limits = Limits::default();
    let Ok(message) = Message::decode(&raw, &limits) else { return };
    let _ = alloc::string::ToString::to_string(&message);
    match message {
        Message::UserControl(event) => {
            let mut again = Vec::new();
            event.encode(&mut again);
            assert_eq!(UserControl::decode(&again), Ok(event));
        }
        Message::Command(command) => {
            let mut again = Vec::new();
            command.encode(&mut again);
            let decoded = Command::decode(type_id::COMMAND, &again, &limits).expect("what we encode decodes");
            let mut third = Vec::new();
            decoded.encode(&mut third);
            assert_eq!(again, third);
        }
        Message::Aggregate(parts) => {
            assert!(parts.count() <= body.len() / 11 + 1);
        }
        _ => {}
    }
}
