//! Tags of an FLV file without their bodies: what each is and when, for finding places to play from.
//!
//! Reads the header and the first bytes of a body and passes over the rest, so that a file costs a small read per tag.
//! Where no tag is where one should be, [`Stream`] looks for the next.
//! Bounds: [`MAX_TAGS`] and [`MAX_DAMAGES`] in one go.

use super::{
    super::{MediaError, ReadAt},
    stream::{FIRST_TAG, Found, Stream},
};
use crate::{
    base::{Timestamp, wire::Cursor},
    flv::{TagClass, TagKind, TagRole, reader::TagHeader, writer},
};
use alloc::{vec, vec::Vec};

/// Tags that one scan looks at: a recording of three days. What lies behind is no place to go to.
pub(super) const MAX_TAGS: u32 = 20_000_000;
/// Places without a tag that one scan gets over, each of which costs a block of reading. Files lose a piece here and there;
/// what is damaged all over has no places to go to.
pub(super) const MAX_DAMAGES: u32 = 1000;
/// Bytes of a body that tell what the tag is, unless it has many tracks.
const HEAD: usize = 64;
/// Bytes read at once: small tags often lie behind each other.
const WINDOW: usize = 2048;

/// A tag as far as a scan looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Place of its header.
    pub(crate) offset: u64,
    pub(crate) kind: TagKind,
    /// As stored.
    pub(crate) timestamp: Timestamp,
    pub(crate) role: TagRole,
    /// Place of the tag behind it.
    pub(crate) end: u64,
}

/// Goes through a file.
pub(crate) struct Scan<'a> {
    file: &'a dyn ReadAt,
    size: u64,
    at: u64,
    left: u32,
    /// Damages that it still gets over.
    damages_left: u32,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Scan<'a> {
    /// From the tag at `at` on.
    pub(crate) fn new(file: &'a dyn ReadAt, at: u64) -> Result<Scan<'a>, MediaError> {
        let (size, at) = (file.size()?, at.max(FIRST_TAG));
        let (window, window_at) = (Vec::new(), 0);
        Ok(Scan { file, size, at, left: MAX_TAGS, damages_left: MAX_DAMAGES, window, window_at })
    }

    /// The next whole audio, video or data tag.
    pub(crate) fn next(&mut self) -> Result<Option<Head>, MediaError> {
        while self.left > 0 {
            self.left -= 1;
            let Some(header) = self.header()? else {
                let Some(left) = self.damages_left.checked_sub(1) else { return Ok(None) };
                self.damages_left = left;
                match find_tag(self.file, self.at)? {
                    Some(offset) if offset > self.at => self.at = offset,
                    _ => return Ok(None),
                }
                continue;
            };
            let offset = self.at;
            let end = offset + (writer::TAG_HEADER_LEN as u64) + u64::from(header.len);
            if end > self.size {
                return Ok(None);
            }
            self.at = end + PREVIOUS_TAG_SIZE_LEN;
            let Some(kind) = header.kind().filter(|_| header.len > 0) else { continue };
            let role = self.role(kind, offset, header.len)?;
            return Ok(Some(Head { offset, kind, timestamp: header.timestamp, role, end: self.at }));
        }
        Ok(None)
    }

    /// What begins here; `None` if that is no tag, or the end.
    fn header(&mut self) -> Result<Option<TagHeader>, MediaError> {
        let bytes = self.bytes(self.at, writer::TAG_HEADER_LEN)?;
        Ok(TagHeader::read(&mut Cursor::new(bytes)).filter(|header| header.is_plausible(false)))
    }

    fn role(&mut self, kind: TagKind, offset: u64, len: u32) -> Result<TagRole, MediaError> {
        let body = offset + writer::TAG_HEADER_LEN as u64;
        let len = len as usize;
        let role = TagClass::of(kind, self.bytes(body, len.min(HEAD))?).role;
        if role != TagRole::Unknown || len <= HEAD {
            return Ok(role);
        }
        let mut whole = vec![0; len];
        let count = self.file.read_at(body, &mut whole)?;
        Ok(TagClass::of(kind, whole.get(..count).unwrap_or_default()).role)
    }

    /// `len` bytes from `offset` on, fewer at the end of the file.
    fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], MediaError> {
        let within = |window: &[u8], window_at: u64| {
            let start = usize::try_from(offset.checked_sub(window_at)?).ok()?;
            (start + len <= window.len()).then_some(start)
        };
        let start = match within(&self.window, self.window_at) {
            Some(start) => start,
            None => {
                self.window.resize(WINDOW, 0);
                let count = self.file.read_at(offset, &mut self.window)?;
                self.window.truncate(count);
                self.window_at = offset;
                0
            }
        };
        let end = (start + len).min(self.window.len());
        Ok(&self.window[start..end])
    }
}

/// The tag that begins at `offset`, if it is whole.
pub(super) fn tag_at(file: &dyn ReadAt, offset: u64) -> Result<Option<Head>, MediaError> {
    if offset < FIRST_TAG {
        return Ok(None);
    }
    Ok(Scan::new(file, offset)?.next()?.filter(|head| head.offset == offset))
}

/// Place of the first tag at or behind `from`.
fn find_tag(file: &dyn ReadAt, from: u64) -> Result<Option<u64>, MediaError> {
    let mut stream = Stream::from_tag(from);
    while let Some(found) = stream.next(file)? {
        if let Found::Tag(offset, _) = found {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}

/// How long a file is by its last tags, which are found backwards: milliseconds, as stored. `None` if it breaks off.
pub(super) fn end_of(file: &dyn ReadAt) -> Result<Option<u32>, MediaError> {
    /// Enough to see two frames of each kind: between two pictures there are at most some frames of audio.
    const STEPS: usize = 64;
    let mut end = file.size()?;
    let mut times: [Vec<u32>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..STEPS {
        let mut size = [0; PREVIOUS_TAG_SIZE_LEN as usize];
        let Some(at) = end.checked_sub(PREVIOUS_TAG_SIZE_LEN) else { break };
        if file.read_at(at, &mut size)? < size.len() {
            break;
        }
        let Some(offset) = at.checked_sub(u64::from(u32::from_be_bytes(size))) else { break };
        let Some(head) = tag_at(file, offset)?.filter(|head| head.end == end) else { break };
        end = offset;
        if head.role.is_frame() {
            times[usize::from(head.kind == TagKind::Video)].push(head.timestamp.0);
        }
        if times.iter().all(|times| times.len() >= 2) {
            break;
        }
    }
    Ok(times.iter().filter_map(|times| end_of_track(times)).max())
}

/// Of the newest times, newest first: a step behind the last.
fn end_of_track(times: &[u32]) -> Option<u32> {
    /// A longer step is a hole, and no frame.
    const LONGEST: u32 = 1000;
    let last = *times.first()?;
    let step = times.get(1).map_or(0, |before| last.saturating_sub(*before));
    Some(last.saturating_add(if step <= LONGEST { step } else { 0 }))
}

const PREVIOUS_TAG_SIZE_LEN: u64 = 4;
