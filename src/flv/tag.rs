//! A tag: one audio, video or data message, the currency of the whole server.
//!
//! What is inside one is for [`super::class`] to say; FLV files and streams of them are for `reader` and
//! `writer`.

use super::class::TagClass;
use crate::base::{Payload, Timestamp};

/// What a tag carries. The numbers are both FLV tag types and RTMP message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagKind {
    /// Type 8.
    Audio,
    /// Type 9.
    Video,
    /// Type 18, AMF0: `onMetaData` and other data messages, the `@setDataFrame` string already removed.
    Data,
}

impl TagKind {
    /// FLV tag type and RTMP message type.
    pub const fn type_id(self) -> u8 {
        match self {
            TagKind::Audio => 8,
            TagKind::Video => 9,
            TagKind::Data => 18,
        }
    }
}

/// One audio, video or data message. The body is shared and never re-encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Audio, video or data.
    pub kind: TagKind,
    /// Decode time in milliseconds, as the publisher sent it.
    pub timestamp: Timestamp,
    /// Nanoseconds, less than a million, by which its presentation (decode time plus composition time) is later than
    /// those milliseconds say; below 0: earlier. RTP and MP4 know times so well. RTMP and FLV do not, and what is written
    /// as such leaves it out (enhanced RTMP has `TimestampOffsetNano`, which nobody sends). 0
    /// where nobody said; a time that is known and whole in milliseconds has 1, which no clock of media tells from it.
    pub nanos: i32,
    /// The FLV tag body, which is also the RTMP message body.
    pub body: Payload,
}

impl Tag {
    /// One whose time is in whole milliseconds.
    pub const fn new(kind: TagKind, timestamp: Timestamp, body: Payload) -> Tag {
        Tag { kind, timestamp, nanos: 0, body }
    }

    /// What the tag is for, and which codec and tracks it holds. Reads the first few bytes, allocates nothing.
    pub fn classify(&self) -> TagClass<'_> {
        TagClass::of(self.kind, &self.body)
    }
}
