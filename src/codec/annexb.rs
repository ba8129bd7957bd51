//! Byte streams of NAL units (H.264 and H.265, Annex B), cut anywhere -> NAL units.
//!
//! In: bytes in which each NAL unit follows a start code, 00 00 01, with any zeros before it. Out: NAL units without
//! start codes and trailing zeros, emulation prevention left in. Not here: what is in them.
//! State: the bytes of the NAL unit that is not complete, and what was pushed behind it and not taken yet.
//! Bounds: [`MAX_NAL_LEN`]. Where the stream is cut does not change what comes out.

use alloc::vec::Vec;

/// Bytes of one NAL unit, with its trailing zeros. A keyframe of a 200 Mbit/s stream fits; longer ones are passed over.
pub const MAX_NAL_LEN: usize = 8 << 20;

/// Bytes of a NAL unit in which everything is that tells whether a picture begins.
pub const BEGINNING_LEN: usize = 64;

/// Splits a byte stream. After each [`Splitter::push`] call [`Splitter::next`] until it gives `None`.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    /// Where the NAL unit begins, or what is not known to belong to none.
    start: usize,
    /// No start code begins in the buffer between `start` and here.
    scanned: usize,
    state: State,
    is_finished: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Behind no start code, or in a NAL unit that is too long.
    #[default]
    Outside,
    Inside,
}

/// What a [`Splitter`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A NAL unit of one byte or more.
    Nal(&'a [u8]),
    /// Longer than [`MAX_NAL_LEN`], passed over.
    TooLong,
}

impl Splitter {
    /// One at the beginning of a stream.
    pub fn new() -> Splitter {
        Splitter::default()
    }

    /// Takes the stream's next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The stream is over: what is there of the last NAL unit is all of it.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// The next NAL unit.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<Piece<'_>> {
        loop {
            let (end, next) = match self.find_start_code() {
                Some(at) => (at, at + START_CODE.len()),
                None if self.is_finished && self.start < self.buffer.len() => {
                    (self.buffer.len(), self.buffer.len())
                }
                None => return self.drop_too_long(),
            };
            let (start, state) = (self.start, self.state);
            self.start = next;
            self.scanned = next;
            // Only behind a start code is there a NAL unit.
            self.state = State::Inside;
            if state == State::Outside {
                continue;
            }
            if end - start > MAX_NAL_LEN {
                return Some(Piece::TooLong);
            }
            let len = trimmed(&self.buffer[start..end]).len();
            if len > 0 {
                return Some(Piece::Nal(&self.buffer[start..start + len]));
            }
        }
    }

    /// The beginning of the NAL unit that is not complete, as far as it is there for certain, [`BEGINNING_LEN`] bytes at
    /// most. Whoever cannot wait for its end finds out here that the one before was the last of its picture.
    pub fn unfinished(&self) -> &[u8] {
        let end = self.buffer.len().min(self.start + BEGINNING_LEN);
        match self.state {
            State::Inside => trimmed(&self.buffer[self.start..end]),
            State::Outside => &[],
        }
    }

    fn find_start_code(&mut self) -> Option<usize> {
        let found = find_start_code(&self.buffer, self.scanned);
        if let Err(scanned) = found {
            self.scanned = scanned;
        }
        found.ok()
    }

    /// Gives back the memory of what is longer than any NAL unit, and of what is none.
    fn drop_too_long(&mut self) -> Option<Piece<'_>> {
        let is_too_long = self.scanned - self.start > MAX_NAL_LEN;
        if self.state == State::Outside || is_too_long {
            self.start = self.scanned;
        }
        if self.state == State::Outside || !is_too_long {
            return None;
        }
        self.state = State::Outside;
        Some(Piece::TooLong)
    }
}

/// The NAL units of bytes that may have start codes between them, and before the first: none is empty.
pub(super) fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    core::iter::from_fn(move || {
        let bytes = rest.take()?;
        let end = find_start_code(bytes, 0).ok();
        rest = end.map(|end| &bytes[end + START_CODE.len()..]);
        Some(end.map_or(bytes, |end| trimmed(&bytes[..end])))
    })
    .filter(|piece| !piece.is_empty())
}

/// Where the first start code from `at` on begins; if there is none, before where none does: the last two bytes may be the
/// beginning of one.
fn find_start_code(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    while let Some(&[first, second, third]) = bytes.get(at..at + 3) {
        match (first, second, third) {
            (0, 0, 1) => return Ok(at),
            (.., 2..) => at += 3,
            _ => at += 1,
        }
    }
    Err(at)
}

/// Without the zeros behind it: a NAL unit never ends with one.
fn trimmed(nal: &[u8]) -> &[u8] {
    let last = nal.iter().rposition(|byte| *byte != 0);
    &nal[..last.map_or(0, |last| last + 1)]
}

const START_CODE: [u8; 3] = [0, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    fn split(stream: &[u8], cut: usize) -> Vec<Option<Vec<u8>>> {
        let mut splitter = Splitter::new();
        let mut pieces = vec![];
        for part in stream.chunks(cut) {
            splitter.push(part);
            collect(&mut splitter, &mut pieces);
        }
        splitter.finish();
        collect(&mut splitter, &mut pieces);
        pieces
    }

    fn collect(splitter: &mut Splitter, pieces: &mut Vec<Option<Vec<u8>>>) {
        while let Some(piece) = splitter.next() {
            pieces.push(match piece {
                Piece::Nal(nal) => Some(nal.to_vec()),
                Piece::TooLong => None,
            });
        }
    }

    #[test]
    fn long_and_short_start_codes_and_zeros_split_wherever_the_stream_is_cut() {
        let stream = [
            &[0xff, 0, 7, 0, 0, 0, 1, 9, 0xf0][..],
            &[0, 0, 0, 1, 0x67, 1, 0, 0, 3, 1, 0, 0, 0, 0],
            &[0, 0, 1, 0x68, 2, 0, 0, 1, 0, 0, 1, 0x65, 0, 1],
        ]
        .concat();
        let nals = [&[9, 0xf0][..], &[0x67, 1, 0, 0, 3, 1], &[0x68, 2], &[0x65, 0, 1]];
        for cut in 1..=stream.len() {
            let found: Vec<_> = split(&stream, cut).into_iter().flatten().collect();
            assert_eq!(found, nals, "cuts of {cut}");
        }
        assert_eq!(split(b"no start code at all", 3), []);
        assert_eq!(split(&[0, 0, 1], 1), []);
    }

    #[test]
    fn the_beginning_of_an_unfinished_nal_unit_can_be_seen() {
        let mut splitter = Splitter::new();
        splitter.push(&[0, 0, 1, 0x65, 0x88]);
        assert_eq!(splitter.next(), None);
        assert_eq!(splitter.unfinished(), [0x65, 0x88]);
        splitter.push(&[0, 0, 1, 0x41]);
        assert_eq!(splitter.next(), Some(Piece::Nal(&[0x65, 0x88])));
        assert_eq!(splitter.next(), None);
        assert_eq!(splitter.unfinished(), [0x41]);
    }

    #[test]
    fn a_nal_unit_at_the_limit_is_taken_and_a_longer_one_passed_over_without_being_held() {
        for (len, is_taken) in [(MAX_NAL_LEN, true), (MAX_NAL_LEN + 1, false)] {
            let stream = [&START_CODE[..], &vec![0xaa; len], &START_CODE, &[0x41, 7]].concat();
            for cut in [stream.len(), 65_536, MAX_NAL_LEN / 2 + 3] {
                let pieces = split(&stream, cut);
                assert_eq!(pieces.len(), 2, "{len} bytes in cuts of {cut}");
                assert_eq!((pieces[0].is_some(), pieces[1].as_deref()), (is_taken, Some(&[0x41, 7][..])));
            }
        }
        let mut splitter = Splitter::new();
        splitter.push(&START_CODE);
        for _ in 0..3 * MAX_NAL_LEN / 65_536 {
            splitter.push(&[0xaa; 65_536]);
            while splitter.next().is_some() {}
            assert!(splitter.buffer.len() <= MAX_NAL_LEN + 2 * 65_536, "{}", splitter.buffer.len());
        }
        assert!(splitter.buffer.len() < 2 * 65_536);
    }
}
