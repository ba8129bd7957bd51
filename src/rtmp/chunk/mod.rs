//! Chunk stream: bytes <-> messages (RTMP 1.0, 5.3).
//!
//! [`Reader`] turns the peer's bytes into [`RawMessage`]s, [`Writer`] turns messages into chunks in an
//! [`Output`](crate::base::Output), [`EncodedTags`] are tags chunked once for all their players.
//! Not here: what a message means (`message`), and the replies to it (`session`).

use super::MessageStreamId;
use crate::{
    base::{Payload, Timestamp},
    flv::{Tag, TagKind},
};
use alloc::vec::Vec;
use header::{ChunkHeader, MessageHeader};

mod header;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::Reader;
#[cfg(any(test, feature = "fuzzing"))]
pub use reader::fuzz;
pub use writer::Writer;

/// Chunk size of both directions until Set Chunk Size changes it (RTMP 1.0, 5.4.1).
pub const DEFAULT_CHUNK_SIZE: u32 = 128;

/// Bytes of the longest message: what its 24-bit length can say (RTMP 1.0, 5.3.1.2).
pub const MAX_MESSAGE_LEN: usize = 0xff_ffff;

/// Greatest chunk size that differs from its neighbours: no message is longer. Greater ones act like it.
pub const MAX_CHUNK_SIZE: u32 = MAX_MESSAGE_LEN as u32;

/// Chunk stream ids of what we send. Readers give them no meaning; all are below 32 because nginx-rtmp rejects
/// others, and each kind of media has its own so that headers compress.
pub mod csid {
    /// Protocol control and user control; the only id that the specification assigns.
    pub const CONTROL: u32 = 2;
    /// Commands of the connection and their replies.
    pub const COMMAND: u32 = 3;
    /// Audio.
    pub const AUDIO: u32 = 4;
    /// onStatus and other server messages of a stream.
    pub const STATUS: u32 = 5;
    /// Video.
    pub const VIDEO: u32 = 6;
    /// Data messages of a stream: onMetaData.
    pub const DATA: u32 = 7;
    /// `play`, `publish` and other commands of a stream.
    pub const STREAM_COMMAND: u32 = 8;
}

/// One whole message as the chunk stream carried it; what the body means is for `message` to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// Bytes of the peer before the first chunk of this message.
    pub offset: u64,
    /// Chunk stream id.
    pub csid: u32,
    /// fmt of that first chunk.
    pub fmt: u8,
    /// Message stream id.
    pub stream: MessageStreamId,
    /// Message type id (RTMP 1.0, 5.4 and 7.1).
    pub type_id: u8,
    /// Media clock; meaningless for control and command messages.
    pub timestamp: Timestamp,
    /// The body, whole.
    pub body: Payload,
}

/// Tags as RTMP chunks in one piece, built once and shared by all players. Each begins with fmt 0, so that the piece
/// stands alone.
#[derive(Clone, Debug)]
pub struct EncodedTags {
    pub(crate) tags: Vec<Tag>,
    pub(crate) stream: MessageStreamId,
    pub(crate) chunk_size: u32,
    pub(crate) bytes: Payload,
}

impl EncodedTags {
    /// Chunks `tags` for players whose message stream id and chunk size are these. The chunk size is taken as
    /// [`Writer::set_chunk_size`] takes it.
    ///
    /// # Panics
    /// If a body is longer than the 24 bits of a message length can say, which neither RTMP nor FLV delivers, or all
    /// of them longer than a [`Payload`] may be.
    pub fn new(tags: Vec<Tag>, stream: MessageStreamId, chunk_size: u32) -> EncodedTags {
        let chunk_size = chunk_size.clamp(1, MAX_CHUNK_SIZE);
        let headers = |tag: &Tag| tag.body.len() / chunk_size as usize * MAX_CONTINUATION + MAX_FIRST;
        let mut bytes = Vec::with_capacity(tags.iter().map(|tag| tag.body.len() + headers(tag)).sum());
        for tag in &tags {
            encode(tag, stream, chunk_size, &mut bytes);
        }
        EncodedTags { tags, stream, chunk_size, bytes: bytes.into() }
    }

    /// The chunks.
    pub fn bytes(&self) -> &Payload {
        &self.bytes
    }
}

/// Bytes of the longest header that media gets: one of basic header, 11 of fmt 0, 4 of extended timestamp.
const MAX_FIRST: usize = 16;
/// The same of a chunk that continues a message.
const MAX_CONTINUATION: usize = 5;

fn encode(tag: &Tag, stream: MessageStreamId, chunk_size: u32, bytes: &mut Vec<u8>) {
    let (timestamp, type_id) = (tag.timestamp.0, tag.kind.type_id());
    let length = header::message_length(&tag.body);
    let message = MessageHeader::Fmt0 { timestamp, length, type_id, stream };
    let first = ChunkHeader::new(csid_of(tag.kind), message);
    bytes.extend_from_slice(&first.encode());
    let next = first.continuation().encode();
    for (index, chunk) in tag.body.chunks(chunk_size as usize).enumerate() {
        if index > 0 {
            bytes.extend_from_slice(&next);
        }
        bytes.extend_from_slice(chunk);
    }
}

/// The chunk stream that media of this kind leaves on.
pub const fn csid_of(kind: TagKind) -> u32 {
    match kind {
        TagKind::Audio => csid::AUDIO,
        TagKind::Video => csid::VIDEO,
        TagKind::Data => csid::DATA,
    }
}
