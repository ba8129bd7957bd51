//! Tags of an FLV file in their order, from any tag on.
//!
//! Blocks of the file go through a [`Reader`], which is told that it stands at the start of a file.
//! Bounds: one block and one tag; while lost, what [`ReaderLimits`] says.

use super::super::{MediaError, ReadAt};
use crate::flv::{Item, ReadErrorKind, Reader, ReaderLimits, Tag, writer};
use alloc::{vec, vec::Vec};

/// Bytes read at once.
const BLOCK: usize = 64 << 10;
/// File header and the first PreviousTagSize: no tag begins before that.
pub(super) const FIRST_TAG: u64 = writer::HEADER_LEN as u64;

/// A position in a file, and the tags from there on.
#[derive(Debug)]
pub(super) struct Stream {
    reader: Reader,
    /// Place in the file of what the reader takes for byte 0.
    origin: u64,
    /// Place of the next byte to read.
    at: u64,
    block: Vec<u8>,
    /// How much of `block` the reader has taken.
    taken: usize,
    is_at_end: bool,
    /// Place behind the last whole tag.
    behind: u64,
}

/// What a [`Stream`] finds.
#[derive(Debug)]
pub(super) enum Found {
    /// A tag, and the place of its header.
    Tag(u64, Tag),
    /// Bytes that are no tag were passed over; they began here.
    Damage(u64),
}

impl Stream {
    /// From the file header on.
    pub(super) fn from_start() -> Stream {
        Stream::new(0, 0)
    }

    /// From the tag whose header is at `offset` on, or the first one behind.
    pub(super) fn from_tag(offset: u64) -> Stream {
        if offset < FIRST_TAG {
            return Stream::from_start();
        }
        let mut stream = Stream::new(offset - FIRST_TAG, offset - PREVIOUS_TAG_SIZE_LEN);
        stream.behind = offset;
        let header = writer::header(true, true);
        let mut header = &header[..writer::HEADER_LEN - PREVIOUS_TAG_SIZE_LEN as usize];
        // A header of our own cannot be refused.
        let _ = stream.reader.read(&mut header);
        stream
    }

    fn new(origin: u64, at: u64) -> Stream {
        let reader = Reader::new(ReaderLimits::default());
        Stream { reader, origin, at, block: Vec::new(), taken: 0, is_at_end: false, behind: 0 }
    }

    /// What comes next; `None` at the end, also inside of a tag, and where damage has no end. Goes on behind the last whole tag
    /// of a file that has grown since.
    pub(super) fn next(&mut self, file: &dyn ReadAt) -> Result<Option<Found>, MediaError> {
        if self.is_at_end && file.size()? > self.at {
            *self = Stream::from_tag(self.behind);
        }
        loop {
            let mut input = self.block.get(self.taken..).unwrap_or_default();
            let item = if self.is_at_end { self.reader.finish() } else { self.reader.read(&mut input) };
            self.taken = self.block.len() - input.len();
            match item {
                Ok(Some(Item::Tag { offset, tag })) => {
                    let len = writer::TAG_HEADER_LEN + tag.body.len();
                    self.behind = self.origin + offset + len as u64 + PREVIOUS_TAG_SIZE_LEN;
                    return Ok(Some(Found::Tag(self.origin + offset, tag)));
                }
                // Just the last PreviousTagSize is missing.
                Ok(Some(Item::Header { .. } | Item::Damage { len: 0, .. })) => {}
                Ok(Some(Item::Damage { offset, .. })) => {
                    return Ok(Some(Found::Damage(self.origin + offset)));
                }
                Ok(None) if self.is_at_end => return Ok(None),
                Ok(None) => self.fill(file)?,
                Err(error) if error.kind == ReadErrorKind::Truncated => return Ok(None),
                Err(error) => {
                    let what = match error.kind {
                        ReadErrorKind::NotFlv => "not FLV",
                        ReadErrorKind::HeaderTooLong => "the FLV header is too long",
                        _ => return Ok(None),
                    };
                    return Err(MediaError::Malformed { what, offset: error.offset });
                }
            }
        }
    }

    fn fill(&mut self, file: &dyn ReadAt) -> Result<(), MediaError> {
        if self.block.is_empty() {
            self.block = vec![0; BLOCK];
        }
        self.block.resize(BLOCK, 0);
        self.taken = 0;
        let count = file.read_at(self.at, &mut self.block)?;
        self.block.truncate(count);
        self.at += count as u64;
        self.is_at_end = count == 0;
        Ok(())
    }
}

const PREVIOUS_TAG_SIZE_LEN: u64 = 4;
