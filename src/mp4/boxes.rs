//! Boxes: where each begins and ends, checked against what it lies in.
//!
//! In: a range of a file. Out: the boxes in it, one after the other (ISO 14496-12, 4.2). Not here: what is in them.
//! Bounds: [`MAX_BOXES`] in one parent, so that a file full of empty boxes is no endless work.
//! Field notes: QuickTime ends some lists of boxes with four zero bytes, so fewer bytes than a header are no error; a
//! file that breaks off, or is being written, has a last box that ends behind the file.

use super::window::Window;
use crate::media::{MediaError, ReadAt};
use alloc::{vec, vec::Vec};
use core::ops::Range;

/// A box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mp4Box {
    /// Its four characters.
    pub(crate) kind: [u8; 4],
    /// Where its header begins.
    pub(crate) start: u64,
    /// Where its content begins.
    pub(crate) body: u64,
    /// Where it ends, or the file does before.
    pub(crate) end: u64,
    /// The file ends before the box does.
    pub(crate) is_cut: bool,
    /// Where it says that it ends; that of one without a length never comes.
    pub(crate) claimed_end: u64,
}

impl Mp4Box {
    /// The content.
    pub(crate) const fn content(&self) -> Range<u64> {
        self.body..self.end
    }

    /// Bytes of content.
    pub(crate) const fn len(&self) -> u64 {
        self.end - self.body
    }

    /// The whole content in memory, if it is no longer than `max`.
    pub(crate) fn read(&self, source: &dyn ReadAt, max: u64) -> Result<Vec<u8>, MediaError> {
        let len = usize::try_from(self.len()).ok().filter(|_| self.len() <= max);
        let mut bytes = vec![0; len.ok_or(MediaError::TooLarge("a box of the header"))?];
        if source.read_at(self.body, &mut bytes)? < bytes.len() {
            return Err(self.malformed("the file breaks off in its header"));
        }
        Ok(bytes)
    }

    /// An error that names the place of this box.
    pub(crate) const fn malformed(&self, what: &'static str) -> MediaError {
        MediaError::Malformed { what, offset: self.start }
    }
}

/// The boxes in a range of a file.
pub(crate) struct Boxes<'a> {
    source: &'a dyn ReadAt,
    window: Window,
    /// Where the next one begins.
    at: u64,
    end: u64,
    /// How many more there may be.
    left: u32,
    is_file: bool,
}

impl<'a> Boxes<'a> {
    /// Those inside of another box: each must end in it.
    pub(crate) const fn inside(source: &'a dyn ReadAt, range: Range<u64>) -> Boxes<'a> {
        let (at, end) = (range.start, range.end);
        Boxes { source, window: Window::new(INSIDE_WINDOW), at, end, left: MAX_BOXES, is_file: false }
    }

    /// Those of the file itself from `at` on, which are long and far apart.
    pub(crate) const fn of_file(source: &'a dyn ReadAt, range: Range<u64>) -> Boxes<'a> {
        let (at, end) = (range.start, range.end);
        Boxes { source, window: Window::new(HEADER_LEN), at, end, left: MAX_FILE_BOXES, is_file: true }
    }

    /// The next one; `None` behind the last. Nothing more follows an error.
    pub(crate) fn next(&mut self) -> Result<Option<Mp4Box>, MediaError> {
        let next = self.read();
        match &next {
            Ok(Some(found)) => self.at = found.end,
            _ => self.end = self.at,
        }
        next
    }

    fn read(&mut self) -> Result<Option<Mp4Box>, MediaError> {
        let left = self.end.saturating_sub(self.at);
        if left < 8 {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or(MediaError::TooLarge("the number of boxes"))?;
        let len = left.min(HEADER_LEN as u64) as usize;
        let Some(header) = self.window.get(self.source, self.at, len, self.end)? else { return Ok(None) };
        let malformed = |what| Err(MediaError::Malformed { what, offset: self.at });
        let field = |at: usize| {
            header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
        };
        let (Some(short), Some(kind)) = (field(0), field(4)) else { return Ok(None) };
        let (header_len, size) = match short {
            0 => (8, left),
            1 => match (field(8), field(12)) {
                (Some(high), Some(low)) => (16, u64::from(high) << 32 | u64::from(low)),
                _ if self.is_file => return Ok(None),
                _ => return malformed("a box without room for its length"),
            },
            short => (8, u64::from(short)),
        };
        if size < header_len {
            return malformed("a box shorter than its header");
        }
        let is_cut = size > left;
        if is_cut && !self.is_file {
            return malformed("a box longer than what it lies in");
        }
        let (start, end) = (self.at, self.at + size.min(left));
        let claimed_end = if short == 0 { u64::MAX } else { start.saturating_add(size) };
        let (kind, body) = (kind.to_be_bytes(), start + header_len);
        Ok(Some(Mp4Box { kind, start, body, end, is_cut, claimed_end }))
    }
}

/// Length and kind, and the long length.
const HEADER_LEN: usize = 16;

/// Boxes of a header are small and side by side, but for the tables.
const INSIDE_WINDOW: usize = 256;

/// In one parent. A fragment has two for each track, a header some dozens.
const MAX_BOXES: u32 = 1 << 14;

/// In a file: fragments of a second for four days.
const MAX_FILE_BOXES: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::testing::mp4_box;

    fn all(mut boxes: Boxes<'_>) -> (Vec<Mp4Box>, Option<MediaError>) {
        let mut found = vec![];
        loop {
            match boxes.next() {
                Ok(Some(next)) => found.push(next),
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error)),
            }
        }
    }

    fn inside(bytes: &[u8]) -> (Vec<Mp4Box>, Option<MediaError>) {
        all(Boxes::inside(&bytes, 0..bytes.len() as u64))
    }

    fn of_file(bytes: &[u8]) -> (Vec<Mp4Box>, Option<MediaError>) {
        all(Boxes::of_file(&bytes, 0..bytes.len() as u64))
    }

    #[test]
    fn short_long_and_open_ended_lengths_are_read() {
        let mut bytes = mp4_box(b"free", &[1, 2]);
        bytes.extend_from_slice(b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x12ab");
        bytes.extend_from_slice(b"\0\0\0\0skipabc");
        let (found, error) = of_file(&bytes);
        assert_eq!(error, None);
        let places: Vec<_> =
            found.iter().map(|found| (&found.kind, found.start, found.body, found.end)).collect();
        assert_eq!(places, [(b"free", 0, 8, 10), (b"mdat", 10, 26, 28), (b"skip", 28, 36, 39)]);
    }

    #[test]
    fn a_box_beyond_its_parent_is_an_error_and_beyond_the_file_cut() {
        let bytes = b"\0\0\0\x20mdatab";
        assert!(inside(bytes).1.is_some());
        let (found, error) = of_file(bytes);
        assert_eq!(error, None);
        assert!(found[0].is_cut && found[0].end == 10 && found[0].claimed_end == 32);
    }

    #[test]
    fn impossible_lengths_are_errors_that_end_the_list() {
        for bytes in [&b"\0\0\0\x07free"[..], b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x0f", b"\0\0\0\x01mdat\0\0"] {
            let (found, error) = inside(bytes);
            assert!(found.is_empty() && error.is_some(), "{bytes:?}");
        }
        let whole: &[u8] = b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff";
        assert!(of_file(whole).0[0].is_cut);
    }

    #[test]
    fn too_few_bytes_for_a_header_are_the_end() {
        let mut bytes = mp4_box(b"free", &[]);
        bytes.extend_from_slice(&[0; 4]);
        assert_eq!(inside(&bytes).0.len(), 1);
        assert_eq!(inside(&bytes).1, None);
    }

    #[test]
    fn the_number_of_boxes_is_limited() {
        let bytes = mp4_box(b"free", &[]).repeat(MAX_BOXES as usize + 1);
        let (found, error) = inside(&bytes);
        assert_eq!(
            (found.len(), error),
            (MAX_BOXES as usize, Some(MediaError::TooLarge("the number of boxes")))
        );
    }
}
