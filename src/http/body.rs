//! Request bodies: bytes of the peer -> one body, by its length or in chunks (RFC 9112, 6 and 7.1).
//!
//! Chunk extensions and trailer fields are passed over; a blank behind a size is refused, as readers disagree about it.
//! Bounds: `max_body_len`; `max_head_len` for all extensions and trailers together; [`MAX_SIZE_DIGITS`].

use super::{Limits, Refusal};
use crate::base::Payload;
use alloc::vec::Vec;

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes; 0 also if there is none.
    Length(usize),
    /// In chunks, up to an empty one.
    Chunked,
}

/// Digits of a chunk's size. Leading zeros are allowed up to here.
const MAX_SIZE_DIGITS: usize = 8;

/// Collects a body.
#[derive(Debug)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    state: State,
    /// Bytes of extensions and trailers.
    overhead: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The rest of a body of known length.
    Rest(usize),
    /// A chunk's size.
    Size {
        value: usize,
        digits: usize,
    },
    /// The rest of the line of a chunk's size, if the size did not end it.
    Extension {
        size: usize,
    },
    /// The LF of that line.
    SizeEnd {
        size: usize,
    },
    /// The rest of a chunk.
    Chunk(usize),
    /// CR, then LF, behind a chunk.
    ChunkCr,
    ChunkLf,
    /// A trailer field, or the empty line at the end.
    Trailer {
        is_empty: bool,
    },
    /// The LF of that line.
    TrailerEnd {
        is_empty: bool,
    },
    Done,
}

impl Reader {
    pub(super) fn new(framing: Framing) -> Reader {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(len) => State::Rest(len),
            Framing::Chunked => State::Size { value: 0, digits: 0 },
        };
        Reader { bytes: Vec::new(), state, overhead: 0 }
    }

    /// The body, once it is complete.
    pub(super) fn take(&mut self) -> Option<Payload> {
        match self.state {
            State::Done => Some(core::mem::take(&mut self.bytes).into()),
            _ => None,
        }
    }

    /// Takes bytes up to the end of the body at most; returns how many.
    pub(super) fn receive(&mut self, input: &[u8], limits: &Limits) -> Result<usize, Refusal> {
        let mut used = 0;
        while used < input.len() && !matches!(self.state, State::Done) {
            used += match self.state {
                State::Rest(left) | State::Chunk(left) => self.take_data(&input[used..], left),
                _ => {
                    self.take_byte(input[used], limits)?;
                    1
                }
            };
        }
        Ok(used)
    }

    fn take_data(&mut self, input: &[u8], left: usize) -> usize {
        let taken = left.min(input.len());
        self.bytes.extend_from_slice(&input[..taken]);
        self.state = match (self.state, left - taken) {
            (State::Rest(_), 0) => State::Done,
            (State::Rest(_), left) => State::Rest(left),
            (_, 0) => State::ChunkCr,
            (_, left) => State::Chunk(left),
        };
        taken
    }

    /// One byte of what stands between the data of chunks.
    fn take_byte(&mut self, byte: u8, limits: &Limits) -> Result<(), Refusal> {
        self.state = match (self.state, byte) {
            (State::Size { value, digits }, byte) if byte.is_ascii_hexdigit() => {
                if digits == MAX_SIZE_DIGITS {
                    return Err(Refusal::BodyTooLarge);
                }
                // Hexadecimal, as was just seen.
                let digit = char::from(byte).to_digit(16).unwrap_or(0) as usize;
                State::Size { value: value << 4 | digit, digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(Refusal::Chunk),
            (State::Size { value: size, .. }, b'\r' | b';') => {
                if size > limits.max_body_len - self.bytes.len() {
                    return Err(Refusal::BodyTooLarge);
                }
                if byte == b'\r' { State::SizeEnd { size } } else { State::Extension { size } }
            }
            (State::Extension { size }, b'\r') => State::SizeEnd { size },
            (State::Extension { size }, byte) if byte != b'\n' => {
                self.count_overhead(limits)?;
                State::Extension { size }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailer { is_empty: true },
            (State::SizeEnd { size }, b'\n') => State::Chunk(size),
            (State::ChunkCr, b'\r') => State::ChunkLf,
            (State::ChunkLf, b'\n') => State::Size { value: 0, digits: 0 },
            (State::Trailer { is_empty }, b'\r') => State::TrailerEnd { is_empty },
            (State::Trailer { .. }, byte) if byte != b'\n' => {
                self.count_overhead(limits)?;
                State::Trailer { is_empty: false }
            }
            (State::TrailerEnd { is_empty: true }, b'\n') => State::Done,
            (State::TrailerEnd { is_empty: false }, b'\n') => State::Trailer { is_empty: true },
            _ => return Err(Refusal::Chunk),
        };
        Ok(())
    }

    fn count_overhead(&mut self, limits: &Limits) -> Result<(), Refusal> {
        self.overhead += 1;
        if self.overhead > limits.max_head_len { Err(Refusal::HeadTooLarge) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and how many bytes are left behind it; whole and byte by byte.
    fn read(framing: Framing, input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let limits = Limits { max_body_len: 20, max_head_len: 10, ..Limits::default() };
        let read = |cut: usize| {
            let mut reader = Reader::new(framing);
            let mut used = 0;
            loop {
                if let Some(body) = reader.take() {
                    return Ok(Some((body.to_vec(), input.len() - used)));
                }
                if used == input.len() {
                    return Ok(None);
                }
                used += reader.receive(&input[used..input.len().min(used.saturating_add(cut))], &limits)?;
            }
        };
        let whole = read(usize::MAX);
        assert_eq!(read(1), whole, "byte by byte");
        whole
    }

    #[test]
    fn a_body_ends_where_its_length_says() {
        assert_eq!(read(Framing::Length(0), b"abc"), Ok(Some((b"".to_vec(), 3))));
        assert_eq!(read(Framing::Length(2), b"abc"), Ok(Some((b"ab".to_vec(), 1))));
        assert_eq!(read(Framing::Length(4), b"abc"), Ok(None));
    }

    #[test]
    fn chunks_are_put_together_and_what_follows_is_left() {
        for (input, body) in [
            (&b"0\r\n\r\nGET"[..], &b""[..]),
            (b"3\r\nabc\r\n00\r\n\r\nGET", b"abc"),
            (b"1;x=y\r\na\r\nA;q \t\r\n0123456789\r\n0\r\n\r\nGET", b"a0123456789"),
            (b"1\r\n\r\r\n1\r\n\n\r\n0\r\nX: y\r\nZ:\r\n\r\nGET", b"\r\n"),
            (b"14\r\n01234567890123456789\r\n0\r\n\r\nGET", b"01234567890123456789"),
        ] {
            assert_eq!(read(Framing::Chunked, input), Ok(Some((body.to_vec(), 3))));
        }
        assert_eq!(read(Framing::Chunked, b"3\r\nabc\r\n0\r\n"), Ok(None));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for input in [
            &b"\r\n"[..],
            b"x\r\n",
            b";\r\n",
            b"-1\r\n",
            b"0x1\r\n",
            b"1\n",
            b"1\rx",
            b"1;\n",
            b"1;\rx",
            b"1\r\nab",
            b"1\r\na\n",
            b"1\r\na\rx",
            b"0\r\n\n",
            b"0\r\n\rx",
            b"0\r\nX\n",
            b"1,\r\n",
            b"1 \r\n",
            b"1 1\r\n",
        ] {
            assert_eq!(read(Framing::Chunked, input), Err(Refusal::Chunk), "{input:?}");
        }
    }

    #[test]
    fn bodies_sizes_extensions_and_trailers_are_bounded() {
        for (input, why) in [
            (&b"15\r\n"[..], Refusal::BodyTooLarge),
            (b"a\r\n0123456789\r\nb\r\n", Refusal::BodyTooLarge),
            (b"ffffffff\r\n", Refusal::BodyTooLarge),
            (b"000000000", Refusal::BodyTooLarge),
            (b"1;0123456789a", Refusal::HeadTooLarge),
            (b"1;0123456\r\na\r\n0\r\nabcd", Refusal::HeadTooLarge),
        ] {
            assert_eq!(read(Framing::Chunked, input), Err(why), "{input:?}");
        }
    }
}
