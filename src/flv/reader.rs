//! FLV reader: bytes of a file, pipe or HTTP response, cut anywhere -> header and tags.
//!
//! Covers the file header and tags of types 8, 9, 18 and 15 (AMF3 data of Enhanced RTMP, carried as data). Not
//! here: what tags mean (`class`), files and sockets, seeking. Other tag types, encrypted and empty tags are
//! passed over.
//! State: one unfinished tag; while lost, the bytes of one possible tag.
//! Bounds: [`ReaderLimits`]; memory is taken as bytes arrive, never on the word of a size field.
//! Field notes: PreviousTagSize is often wrong and therefore only ever speaks *for* a tag: where a header makes no
//! sense, the reader looks for the next place at which header, size and the PreviousTagSize behind agree.

use super::{Tag, TagKind, data};
use crate::base::{Payload, Timestamp, wire::Cursor};
use alloc::vec::Vec;
use core::{fmt, mem};

/// Reads one FLV stream. Give it bytes with [`Reader::read`] until they are used up, and call [`Reader::finish`]
/// at the end.
///
/// ```
/// use weir::flv::{Item, Reader, ReaderLimits};
///
/// let mut reader = Reader::new(ReaderLimits::default());
/// let mut input = &b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..];
/// assert_eq!(reader.read(&mut input), Ok(Some(Item::Header { has_audio: true, has_video: true })));
/// assert_eq!(reader.read(&mut input), Ok(None));
/// assert!(input.is_empty());
/// ```
#[derive(Debug)]
pub struct Reader {
    limits: ReaderLimits,
    state: State,
    /// A file header, or PreviousTagSize and tag header, as far as it is there.
    head: [u8; BETWEEN_LEN],
    head_len: usize,
    /// What the next PreviousTagSize ought to be.
    previous_tag_size: u32,
    /// Bytes that were taken while lost. What is behind `held_start` is parsed before any new input.
    held: Vec<u8>,
    held_start: usize,
    /// Place in the stream of the next byte to parse.
    offset: u64,
}

/// Ceilings of one [`Reader`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderLimits {
    /// Bytes of one tag body. 16 MiB, the most that the 24-bit size can say. A larger tag counts as damage.
    pub max_tag_len: u32,
    /// Bytes of the file header, 9 in every known file. 64 KiB.
    pub max_header_len: u32,
    /// Bytes of the first tag body after damage, which is held whole until what follows confirms it; larger tags
    /// are not found again. 1 MiB.
    pub max_resync_len: u32,
    /// Bytes without a tag among them before the reader gives up. 64 MiB: a hole in a file, not another format.
    pub max_damage: u64,
}

impl Default for ReaderLimits {
    fn default() -> ReaderLimits {
        ReaderLimits {
            max_tag_len: 0xff_ffff,
            max_header_len: 64 << 10,
            max_resync_len: 1 << 20,
            max_damage: 64 << 20,
        }
    }
}

/// What a [`Reader`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The file header, once and first. What it says about tracks is often wrong.
    Header {
        /// Audio tags are announced.
        has_audio: bool,
        /// Video tags are announced.
        has_video: bool,
    },
    /// A tag. Data tags are in the form that players get, see [`data::relayed`].
    Tag {
        /// Place in the stream of its header, as a keyframe index wants it.
        offset: u64,
        /// The tag.
        tag: Tag,
    },
    /// Bytes that are not a tag were passed over. Needs no reaction but a line in a log.
    Damage {
        /// Place in the stream: the end of the last tag.
        offset: u64,
        /// How many, that tag's PreviousTagSize included; 0 if just that is missing.
        len: u64,
    },
}

/// Why a stream cannot be read (any further), and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// What is wrong.
    pub kind: ReadErrorKind,
    /// Place in the stream of the header, tag or damage that it concerns.
    pub offset: u64,
}

/// Kinds of [`ReadError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// Does not begin with `FLV`.
    NotFlv,
    /// [`ReaderLimits::max_header_len`]
    HeaderTooLong,
    /// [`ReaderLimits::max_damage`]
    Damaged,
    /// Only from [`Reader::finish`]: the end came inside a header or tag. Usual where a recorder was killed; what
    /// was read before is good.
    Truncated,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ReadErrorKind::NotFlv => "not FLV",
            ReadErrorKind::HeaderTooLong => "FLV header longer than max_header_len",
            ReadErrorKind::Damaged => "no FLV tag within max_damage bytes",
            ReadErrorKind::Truncated => "FLV ends inside a tag",
        })?;
        write!(f, " at byte {}", self.offset)
    }
}

impl core::error::Error for ReadError {}

#[derive(Debug)]
enum State {
    /// Collecting the file header.
    Header,
    /// Passing over what nobody wants.
    Skip { from: u64, left: u32 },
    /// Collecting PreviousTagSize and tag header.
    Between,
    /// Collecting a tag body.
    Body { offset: u64, header: TagHeader, body: Vec<u8> },
    /// Looking for the next tag.
    Lost { since: u64 },
    /// Over.
    Failed(ReadError),
}

/// The 11 bytes before a tag body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TagHeader {
    /// With the filter bit and the two reserved ones.
    tag_type: u8,
    pub(crate) len: u32,
    pub(crate) timestamp: Timestamp,
    /// Always 0, says the format.
    stream_id: u32,
}

impl Reader {
    /// A reader at the first byte of a stream.
    pub fn new(limits: ReaderLimits) -> Reader {
        Reader {
            limits,
            state: State::Header,
            head: [0; BETWEEN_LEN],
            head_len: 0,
            previous_tag_size: 0,
            held: Vec::new(),
            held_start: 0,
            offset: 0,
        }
    }

    /// Takes bytes from the front of `input` up to the next item. `None`: all of `input` is taken and more is
    /// needed.
    ///
    /// # Errors
    /// When this is not FLV, or no longer. The error stays.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Item>, ReadError> {
        self.advance(input, false)
    }

    /// What the end of the stream settles. Call it until it gives `None` or an error.
    ///
    /// # Errors
    /// [`ReadErrorKind::Truncated`] or an earlier error.
    pub fn finish(&mut self) -> Result<Option<Item>, ReadError> {
        if let Some(item) = self.advance(&mut &[][..], true)? {
            return Ok(Some(item));
        }
        let begun_at = match self.state {
            State::Header => Some(0),
            State::Skip { from, .. } => Some(from),
            State::Body { offset, .. } => Some(offset),
            State::Between => {
                self.head_len.checked_sub(PREVIOUS_TAG_SIZE_LEN + 1).map(|more| self.offset - more as u64 - 1)
            }
            State::Lost { .. } | State::Failed(_) => None,
        };
        match begun_at {
            Some(offset) => self.fail(ReadError { kind: ReadErrorKind::Truncated, offset }),
            None => Ok(None),
        }
    }

    fn advance(&mut self, input: &mut &[u8], at_end: bool) -> Result<Option<Item>, ReadError> {
        loop {
            match self.state {
                State::Failed(error) => return Err(error),
                State::Lost { since } => return self.find_tag(since, input, at_end),
                _ => {}
            }
            let item = if self.held.is_empty() {
                let item = self.parse(input)?;
                if matches!(self.state, State::Lost { .. }) {
                    self.held.extend_from_slice(&self.head);
                    continue;
                }
                item
            } else {
                let held = mem::take(&mut self.held);
                let mut rest = held.get(self.held_start..).unwrap_or_default();
                let item = self.parse(&mut rest)?;
                self.held_start = held.len() - rest.len();
                self.held = held;
                if matches!(self.state, State::Lost { .. }) {
                    // The whole head came from here: what comes before `held` is parsed before it is taken.
                    self.held_start -= BETWEEN_LEN;
                    continue;
                }
                if self.held_start == self.held.len() {
                    self.held = Vec::new();
                    self.held_start = 0;
                    if item.is_none() {
                        continue;
                    }
                }
                item
            };
            return Ok(item);
        }
    }

    /// Parses up to the next item, or until the bytes are used up or make no sense.
    fn parse(&mut self, input: &mut &[u8]) -> Result<Option<Item>, ReadError> {
        loop {
            match &mut self.state {
                State::Header => {
                    let Some(head) = self.collect(input, HEADER_LEN) else { return Ok(None) };
                    return self.handle_header(head).map(Some);
                }
                State::Skip { left, .. } => {
                    let skipped = take(input, *left as usize).len();
                    self.offset += skipped as u64;
                    *left -= skipped as u32;
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = State::Between;
                }
                State::Between => {
                    let Some(head) = self.collect(input, BETWEEN_LEN) else { return Ok(None) };
                    self.handle_tag_header(head);
                    if matches!(self.state, State::Lost { .. }) {
                        return Ok(None);
                    }
                }
                State::Body { offset, header, body } => {
                    let missing = header.len as usize - body.len();
                    let taken = take(input, missing);
                    if body.capacity() - body.len() < taken.len() {
                        body.reserve_exact(missing.min(taken.len().max(body.len()).max(MIN_BODY_CAPACITY)));
                    }
                    body.extend_from_slice(taken);
                    self.offset += taken.len() as u64;
                    if taken.len() < missing {
                        return Ok(None);
                    }
                    let item = header.kind().map(|kind| Item::Tag {
                        offset: *offset,
                        tag: header.tag(kind, Payload::from(mem::take(body))),
                    });
                    self.state = State::Between;
                    return Ok(item);
                }
                State::Lost { .. } | State::Failed(_) => return Ok(None),
            }
        }
    }

    /// Takes bytes into `head` until there are `len`; then hands them out.
    fn collect(&mut self, input: &mut &[u8], len: usize) -> Option<[u8; BETWEEN_LEN]> {
        let taken = take(input, len - self.head_len);
        self.head[self.head_len..self.head_len + taken.len()].copy_from_slice(taken);
        self.head_len += taken.len();
        self.offset += taken.len() as u64;
        if self.head_len < len {
            return None;
        }
        self.head_len = 0;
        Some(self.head)
    }

    fn handle_header(&mut self, head: [u8; BETWEEN_LEN]) -> Result<Item, ReadError> {
        let [b'F', b'L', b'V', _version, flags, a, b, c, d, ..] = head else {
            return self.fail(ReadError { kind: ReadErrorKind::NotFlv, offset: 0 });
        };
        let data_offset = u32::from_be_bytes([a, b, c, d]);
        if data_offset > self.limits.max_header_len {
            return self.fail(ReadError { kind: ReadErrorKind::HeaderTooLong, offset: 0 });
        }
        self.state = State::Skip { from: 0, left: data_offset.saturating_sub(HEADER_LEN as u32) };
        Ok(Item::Header { has_audio: flags & 4 != 0, has_video: flags & 1 != 0 })
    }

    fn handle_tag_header(&mut self, head: [u8; BETWEEN_LEN]) {
        let mut cursor = Cursor::new(&head);
        let (Some(previous), Some(header)) = (cursor.u32(), TagHeader::read(&mut cursor)) else { return };
        let is_confirmed = previous == self.previous_tag_size;
        if !header.is_plausible(is_confirmed) || header.len > self.limits.max_tag_len {
            self.offset -= BETWEEN_LEN as u64;
            self.state = State::Lost { since: self.offset };
            return;
        }
        self.begin_tag(header);
    }

    /// The header was the last thing parsed.
    fn begin_tag(&mut self, header: TagHeader) {
        let offset = self.offset - TAG_HEADER_LEN as u64;
        self.previous_tag_size = TAG_HEADER_LEN as u32 + header.len;
        self.state = match header.kind() {
            Some(_) if header.len > 0 => State::Body { offset, header, body: Vec::new() },
            _ => State::Skip { from: offset, left: header.len },
        };
    }

    /// Goes on byte by byte to where a tag is confirmed by the PreviousTagSize behind it.
    fn find_tag(&mut self, since: u64, input: &mut &[u8], at_end: bool) -> Result<Option<Item>, ReadError> {
        loop {
            let held = self.held.get(self.held_start..).unwrap_or_default();
            let damage = Item::Damage { offset: since, len: self.offset - since };
            match probe(held, self.limits.max_resync_len.min(self.limits.max_tag_len)) {
                Probe::Tag(header) => {
                    self.held_start += TAG_HEADER_LEN;
                    self.offset += TAG_HEADER_LEN as u64;
                    self.begin_tag(header);
                    return Ok(Some(damage));
                }
                Probe::NeedsMore(_) if at_end && held.is_empty() => {
                    self.state = State::Between;
                    return Ok(Some(damage));
                }
                Probe::NeedsMore(missing) if !at_end => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    // Moving the rest to the front is paid for by the half that goes.
                    if self.held_start > self.held.len() / 2 {
                        self.held.drain(..self.held_start);
                        self.held_start = 0;
                    }
                    self.held.extend_from_slice(take(input, missing));
                }
                Probe::NeedsMore(_) | Probe::NoTag => {
                    self.held_start += 1;
                    self.offset += 1;
                    if self.offset - since > self.limits.max_damage {
                        return self.fail(ReadError { kind: ReadErrorKind::Damaged, offset: since });
                    }
                }
            }
        }
    }

    fn fail<T>(&mut self, error: ReadError) -> Result<T, ReadError> {
        self.state = State::Failed(error);
        Err(error)
    }

    /// Bytes of the stream that it holds.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn held_len(&self) -> usize {
        let body = if let State::Body { body, .. } = &self.state { body.capacity() } else { 0 };
        body + self.held.len()
    }
}

impl TagHeader {
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Option<TagHeader> {
        let (tag_type, len) = (cursor.u8()?, cursor.u24()?);
        let (low, high) = (cursor.u24()?, cursor.u8()?);
        let timestamp = Timestamp(u32::from(high) << 24 | low);
        Some(TagHeader { tag_type, len, timestamp, stream_id: cursor.u24()? })
    }

    /// `None` for types without a use and for encrypted tags (filter bit 0x20).
    pub(crate) fn kind(&self) -> Option<TagKind> {
        Some(match self.tag_type {
            8 => TagKind::Audio,
            9 => TagKind::Video,
            AMF3_DATA | 18 => TagKind::Data,
            _ => return None,
        })
    }

    /// Looks like a header, and not like the middle of something. The right PreviousTagSize before it makes up
    /// for a stream id, or for an unknown type, but not for both.
    pub(crate) fn is_plausible(&self, is_confirmed: bool) -> bool {
        let is_known = matches!(self.tag_type & !FILTER, 8 | 9 | AMF3_DATA | 18);
        self.tag_type & RESERVED == 0
            && match (is_known, self.stream_id) {
                (true, 0) => true,
                (true, _) | (false, 0) => is_confirmed,
                (false, _) => false,
            }
    }

    fn tag(&self, kind: TagKind, body: Payload) -> Tag {
        let body = if kind == TagKind::Data { data::relayed(&body) } else { body };
        Tag::new(kind, self.timestamp, body)
    }
}

enum Probe {
    Tag(TagHeader),
    NoTag,
    /// Cannot tell without this many more bytes.
    NeedsMore(usize),
}

/// Whether a whole tag with PreviousTagSize begins at the first byte.
fn probe(bytes: &[u8], max_len: u32) -> Probe {
    let mut cursor = Cursor::new(bytes);
    match cursor.peek() {
        Some(8 | 9 | AMF3_DATA | 18) => {}
        Some(_) => return Probe::NoTag,
        None => return Probe::NeedsMore(TAG_HEADER_LEN),
    }
    let Some(header) = TagHeader::read(&mut cursor) else {
        return Probe::NeedsMore(TAG_HEADER_LEN - bytes.len());
    };
    if header.stream_id != 0 || header.len == 0 || header.len > max_len {
        return Probe::NoTag;
    }
    let len = header.len as usize;
    match cursor.take(len).and_then(|_| cursor.u32()) {
        Some(size) if size as usize == TAG_HEADER_LEN + len => Probe::Tag(header),
        Some(_) => Probe::NoTag,
        None => Probe::NeedsMore(TAG_HEADER_LEN + len + PREVIOUS_TAG_SIZE_LEN - bytes.len()),
    }
}

/// Takes up to `count` bytes from the front.
fn take<'a>(input: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    taken
}

const HEADER_LEN: usize = 9;
const PREVIOUS_TAG_SIZE_LEN: usize = 4;
const TAG_HEADER_LEN: usize = 11;
const BETWEEN_LEN: usize = PREVIOUS_TAG_SIZE_LEN + TAG_HEADER_LEN;
/// A body's first allocation, unless it is shorter.
const MIN_BODY_CAPACITY: usize = 4096;
/// Data message in AMF3 (Enhanced RTMP 7).
const AMF3_DATA: u8 = 15;
/// Tag type bit: the body is encrypted.
const FILTER: u8 = 0x20;
/// Tag type bits that are always 0.
const RESERVED: u8 = 0xc0;

#[cfg(test)]
mod tests;
