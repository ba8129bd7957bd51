//! Chunk writer: messages -> chunks in the output queue.
//!
//! Compresses headers (RTMP 1.0, 5.3.1.2) the way every known reader understands: fmt 0 for the first message of
//! a csid, for another message stream, and when time goes back or jumps; fmt 3 for a new message only behind a
//! delta, because readers disagree about fmt 3 behind fmt 0. A delta therefore never needs an extended timestamp.
//! Not here: header layouts (`header`), when to announce a chunk size (`session`), chunks for many players
//! (`EncodedTags`).
//! State: per csid the last header. Bounds: as many of them as the session uses, see `super::csid`.

use super::{
    super::MessageStreamId,
    DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE,
    header::{ChunkHeader, MessageHeader, message_length},
};
use crate::base::{Output, Payload, Purpose, Timestamp};
use alloc::vec::Vec;

/// Turns messages into chunks; see the module.
#[derive(Debug)]
pub struct Writer {
    chunk_size: u32,
    /// In order of first use.
    streams: Vec<LastHeader>,
}

/// The header of the last message on a csid.
#[derive(Debug)]
struct LastHeader {
    csid: u32,
    stream: MessageStreamId,
    type_id: u8,
    length: u32,
    timestamp: Timestamp,
    /// `None` behind fmt 0.
    delta: Option<u32>,
}

/// First delta that would need an extended timestamp: written as fmt 0 instead.
const JUMP: u32 = 0xff_ffff;

impl Writer {
    /// A writer with the chunk size that every connection begins with.
    pub fn new() -> Writer {
        Writer { chunk_size: DEFAULT_CHUNK_SIZE, streams: Vec::new() }
    }

    /// Chunks what follows into pieces of `size` bytes (1 to 0xFFFFFF, greater ones count as that): to be called
    /// once Set Chunk Size is written.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = size.clamp(1, MAX_CHUNK_SIZE);
    }

    /// The chunk size in use.
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Queues a media message: headers are copied, the body is shared. Audio and video can be dropped again
    /// ([`Output::drop_media`], then [`Writer::forget`]).
    ///
    /// # Panics
    /// If the body is longer than the 24 bits of a message length can say, which neither RTMP nor FLV delivers.
    pub fn write(
        &mut self,
        out: &mut Output,
        csid: u32,
        stream: MessageStreamId,
        type_id: u8,
        timestamp: Timestamp,
        body: &Payload,
    ) {
        let first = self.next_header(csid, stream, type_id, timestamp, message_length(body));
        let (start, rest) = match csid {
            super::csid::DATA => (Purpose::Data, Purpose::Data),
            _ => (Purpose::Start(stream.0), Purpose::Rest),
        };
        out.push_owned(&first.encode(), start);
        let next = first.continuation().encode();
        let chunk_size = self.chunk_size as usize;
        for at in (0..body.len()).step_by(chunk_size) {
            if at > 0 {
                out.push_owned(&next, rest);
            }
            out.push_shared(body.slice(at..body.len().min(at + chunk_size)), rest);
        }
    }

    /// Queues a message that is not media (control, command, status), with timestamp 0. All of it is copied, so
    /// that replies that follow each other leave in one slice.
    ///
    /// # Panics
    /// As [`Writer::write`].
    pub fn write_control(
        &mut self,
        out: &mut Output,
        csid: u32,
        stream: MessageStreamId,
        type_id: u8,
        body: &[u8],
    ) {
        let first = self.next_header(csid, stream, type_id, Timestamp(0), message_length(body));
        out.push_owned(&first.encode(), Purpose::Reply);
        let next = first.continuation().encode();
        for (index, chunk) in body.chunks(self.chunk_size as usize).enumerate() {
            if index > 0 {
                out.push_owned(&next, Purpose::Reply);
            }
            out.push_owned(chunk, Purpose::Reply);
        }
    }

    /// Forgets the last header of a csid, so that the next one is fmt 0: for when chunks that this writer did
    /// not write (`EncodedTags`) went out on it.
    pub fn forget(&mut self, csid: u32) {
        self.streams.retain(|last| last.csid != csid);
    }

    /// The shortest header for a message, which then is the last one of its csid.
    fn next_header(
        &mut self,
        csid: u32,
        stream: MessageStreamId,
        type_id: u8,
        timestamp: Timestamp,
        length: u32,
    ) -> ChunkHeader {
        let known = self.streams.iter_mut().find(|last| last.csid == csid);
        let since = known.as_ref().map(|last| timestamp.wrapping_sub(last.timestamp));
        // A step back is a delta of more than JUMP.
        let delta = known.as_ref().filter(|last| last.stream == stream).and(since.filter(|&ms| ms < JUMP));
        let message = match (&known, delta) {
            (Some(last), Some(delta)) if (last.length, last.type_id) == (length, type_id) => {
                match last.delta == Some(delta) {
                    true => MessageHeader::Fmt3,
                    false => MessageHeader::Fmt2 { delta },
                }
            }
            (Some(_), Some(delta)) => MessageHeader::Fmt1 { delta, length, type_id },
            _ => MessageHeader::Fmt0 { timestamp: timestamp.0, length, type_id, stream },
        };
        let last = LastHeader { csid, stream, type_id, length, timestamp, delta };
        match known {
            Some(known) => *known = last,
            None => self.streams.push(last),
        }
        ChunkHeader::new(csid, message)
    }
}

impl Default for Writer {
    fn default() -> Writer {
        Writer::new()
    }
}
