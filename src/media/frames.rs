//! Files that are nothing but frames of audio one behind the other, MP3 and ADTS: finding them, counting time, seeking.
//!
//! A frame is taken where one of its kind came just before; otherwise only if another follows where it ends, or the file
//! does. What is between frames is reported as damage once and passed over, ID3v2 tags and what is at the end silently.
//! Bounds: [`WINDOW`] bytes, [`MAX_KNOWN`] frames, [`MAX_SEARCH`] bytes looked at for the next frame in one call.

use super::{MediaError, ReadAt};
use crate::codec::{mp3::id3v2_len, samples::SampleClock};
use alloc::{vec, vec::Vec};

/// Bytes that are read at a time.
const WINDOW: usize = 64 << 10;
/// Frames to which a seek can go without looking at every one before.
const MAX_KNOWN: usize = 4096;
/// Bytes without a frame. Pictures inside of tags are smaller.
const MAX_SEARCH: u64 = 16 << 20;

/// What tells frames of one format from other bytes.
pub(super) trait Framing {
    type Header: Copy;

    const HEADER_LEN: usize;
    const MAX_LEN: usize;
    /// For errors.
    const NO_FRAME: &'static str;

    fn parse(bytes: &[u8]) -> Option<Self::Header>;
    fn is_of_same_stream(one: &Self::Header, other: &Self::Header) -> bool;
    fn frame_len(header: &Self::Header) -> usize;
    fn samples(header: &Self::Header) -> u32;
    fn sample_rate(header: &Self::Header) -> u32;
}

/// A frame that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<H> {
    pub(super) header: H,
    pub(super) offset: u64,
    /// When it begins.
    pub(super) time: u64,
}

/// The frames of a file.
#[derive(Debug)]
pub(super) struct Frames<R, F: Framing> {
    file: R,
    window: Vec<u8>,
    window_offset: u64,
    /// Where the next frame ought to begin, and when.
    place: Place,
    /// The frame before it.
    last: Option<F::Header>,
    index: Index<F::Header>,
}

/// A place between two frames.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    offset: u64,
    clock: SampleClock,
}

/// Frames at equal distances, from the beginning up to where all are known.
#[derive(Debug)]
struct Index<H> {
    frames: Vec<(Place, H)>,
    /// Every so many-th frame is there.
    every: u32,
    since_last: u32,
    start: Place,
    known_to: Place,
}

impl<R: ReadAt, F: Framing> Frames<R, F> {
    /// Goes to the first frame.
    ///
    /// # Errors
    /// There is none, or the file cannot be read.
    pub(super) fn open(file: R) -> Result<Frames<R, F>, MediaError> {
        let start = Place::default();
        let index = Index::new(start);
        let mut frames = Frames { file, window: vec![], window_offset: 0, place: start, last: None, index };
        let start = frames.search(0)?.ok_or(MediaError::Unsupported(F::NO_FRAME))?;
        frames.begin_at(start);
        Ok(frames)
    }

    /// The first frame that counts is there: a place between two frames.
    pub(super) fn begin_at(&mut self, offset: u64) {
        self.place = Place { offset, clock: SampleClock::default() };
        self.last = None;
        self.index = Index::new(self.place);
    }

    /// Where the next frame begins, as far as it is known.
    pub(super) fn offset(&self) -> u64 {
        self.place.offset
    }

    /// When the next frame begins.
    pub(super) fn time(&self) -> u64 {
        self.place.clock.milliseconds()
    }

    pub(super) fn size(&self) -> Result<u64, MediaError> {
        self.file.size()
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// Something else stands here, which the next call has behind it; or the file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Found<F::Header>>, MediaError> {
        let offset = self.place.offset;
        if let Some(header) = self.frame_at(offset)? {
            let time = self.advance(&header);
            return Ok(Some(Found { header, offset, time }));
        }
        self.last = None;
        let tag = id3v2_len(self.bytes(offset, F::MAX_LEN)?);
        let Some(found) = self.search(offset + tag.unwrap_or_default())? else { return Ok(None) };
        let is_known = self.index.known_to.offset == offset;
        self.place.offset = found;
        if is_known {
            self.index.known_to = self.place;
        }
        if tag.is_some() { self.next() } else { Err(MediaError::Malformed { what: F::NO_FRAME, offset }) }
    }

    /// The bytes of a frame.
    pub(super) fn frame(&mut self, found: &Found<F::Header>) -> Result<&[u8], MediaError> {
        self.bytes(found.offset, F::frame_len(&found.header))
    }

    /// Goes to the frame in which `target` falls, exactly: looks at all frames up to there that were not looked at before. The last
    /// one if there is none.
    pub(super) fn seek_exactly(&mut self, target: u64) -> Result<(), MediaError> {
        (self.place, self.last) = self.index.before(target);
        let mut best = (self.place, self.last);
        while self.time() <= target {
            let place = self.place;
            match self.next() {
                // With its own header for the one before, so that it is taken for a frame again.
                Ok(Some(found)) => best = (place, Some(found.header)),
                Ok(None) => break,
                Err(MediaError::Malformed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        (self.place, self.last) = best;
        Ok(())
    }

    /// Goes to the first frame at `offset` or behind, and takes it for the one with so many samples before it. Without one there goes
    /// further back.
    pub(super) fn seek_to(&mut self, offset: u64, samples: u64, sample_rate: u32) -> Result<(), MediaError> {
        let start = self.index.start.offset;
        let mut back = F::MAX_LEN as u64;
        let mut from = offset.max(start);
        self.last = None;
        let found = loop {
            match self.search(from)? {
                Some(found) => break found,
                None if from <= start => break start,
                None => from = from.saturating_sub(back).max(start),
            }
            back *= 2;
        };
        self.place = Place { offset: found, clock: SampleClock::at(samples, sample_rate) };
        Ok(())
    }

    /// The header of the first frame at `offset` or behind, without going there.
    pub(super) fn look(&mut self, offset: u64) -> Result<Option<F::Header>, MediaError> {
        let Some(found) = self.search(offset)? else { return Ok(None) };
        Ok(F::parse(self.bytes(found, F::HEADER_LEN)?))
    }

    /// How long all is, in milliseconds. A file longer than `most` is not looked at beyond, and the rest is estimated from that.
    pub(super) fn measure(&mut self, most: u64) -> Result<u64, MediaError> {
        let begin = self.place;
        let end = begin.offset.saturating_add(most);
        loop {
            match self.next() {
                Ok(Some(_)) if self.place.offset < end => {}
                Ok(Some(_)) => break,
                Ok(None) => {
                    let duration = self.time();
                    self.place = begin;
                    self.last = None;
                    return Ok(duration);
                }
                Err(MediaError::Malformed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let seen = self.place.offset - begin.offset;
        let duration = scaled(self.time(), self.size()?.saturating_sub(begin.offset), seen);
        self.place = begin;
        self.last = None;
        Ok(duration)
    }

    /// Where the first frame at `offset` or behind begins that another one follows.
    fn search(&mut self, offset: u64) -> Result<Option<u64>, MediaError> {
        let tag = id3v2_len(self.bytes(offset, F::MAX_LEN)?);
        let begin = offset.saturating_add(tag.unwrap_or_default());
        let mut at = begin;
        while at - begin < MAX_SEARCH {
            let bytes = self.bytes(at, F::MAX_LEN)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let skipped = bytes.iter().position(|byte| *byte == SYNC).unwrap_or(bytes.len());
            at += skipped as u64;
            if skipped == 0 {
                if self.frame_at(at)?.is_some() {
                    return Ok(Some(at));
                }
                at += 1;
            }
        }
        Ok(None)
    }

    /// The header of a whole frame here.
    fn frame_at(&mut self, offset: u64) -> Result<Option<F::Header>, MediaError> {
        let last = self.last;
        let bytes = self.bytes(offset, F::MAX_LEN + F::HEADER_LEN)?;
        let header = F::parse(bytes);
        let Some((header, behind)) =
            header.and_then(|header| Some((header, bytes.get(F::frame_len(&header)..)?)))
        else {
            return Ok(None);
        };
        let is_same = |other: F::Header| F::is_of_same_stream(&header, &other);
        let is_one = behind.is_empty() || last.is_some_and(is_same) || F::parse(behind).is_some_and(is_same);
        Ok(is_one.then_some(header))
    }

    /// Goes behind a frame. Returns when it begins.
    fn advance(&mut self, header: &F::Header) -> u64 {
        self.place.clock.set_rate(F::sample_rate(header));
        let begin = self.place;
        self.place.clock.advance(F::samples(header));
        self.place.offset += F::frame_len(header) as u64;
        self.last = Some(*header);
        self.index.learn(begin, header, self.place);
        begin.clock.milliseconds()
    }

    /// The bytes from `offset` on, `len` of them; fewer only at the end.
    fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], MediaError> {
        let (begin, end) = (self.window_offset, self.window_offset + self.window.len() as u64);
        let is_inside = begin <= offset && offset + len as u64 <= end;
        // At the end there is no more, unless the file grows.
        let is_at_end =
            || Ok(begin <= offset && offset <= end && self.window.len() < WINDOW && self.file.size()? <= end);
        if !is_inside && !is_at_end()? {
            self.window.resize(WINDOW, 0);
            let count = self.file.read_at(offset, &mut self.window)?;
            self.window.truncate(count);
            self.window_offset = offset;
        }
        let begin = (offset - self.window_offset) as usize;
        let end = self.window.len().min(begin + len);
        Ok(&self.window[begin..end])
    }
}

impl<H: Copy> Index<H> {
    fn new(start: Place) -> Index<H> {
        Index { frames: vec![], every: 1, since_last: 0, start, known_to: start }
    }

    /// Takes note of a frame from one place to another.
    fn learn(&mut self, begin: Place, header: &H, end: Place) {
        if begin.offset != self.known_to.offset {
            return;
        }
        self.known_to = end;
        self.since_last += 1;
        if self.since_last < self.every {
            return;
        }
        self.since_last = 0;
        if self.frames.len() >= MAX_KNOWN {
            let mut number = 0;
            self.frames.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.every *= 2;
        }
        self.frames.push((begin, *header));
    }

    /// The last frame that begins at or before that time, the start if there is none.
    fn before(&self, time: u64) -> (Place, Option<H>) {
        let behind = self.frames.partition_point(|(place, _)| place.clock.milliseconds() <= time);
        let frame = behind.checked_sub(1).and_then(|at| self.frames.get(at));
        frame.map_or((self.start, None), |(place, header)| (*place, Some(*header)))
    }
}

/// `value * part / whole` without overflow.
pub(super) fn scaled(value: u64, part: u64, whole: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// The first byte of every frame.
const SYNC: u8 = 0xff;
