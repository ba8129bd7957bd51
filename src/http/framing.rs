//! How the pieces of a streamed body stand on the wire, and pieces that are framed once for many clients.
//!
//! FLV that plays live is the same bytes for everybody, cut into pieces. A client gets them as they are, as chunks
//! (RFC 9112, 7.1) or as binary WebSocket messages. A [`Piece`] is built for one of these; a session that needs another
//! puts its own few bytes around the shared body.

use super::websocket::frame::{self, Opcode};
use crate::base::{Output, Payload, Purpose};
use alloc::vec::Vec;
use core::{fmt::Write, ops::Range};

/// What stands around each piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing: the length is known, or the connection ends with the body.
    Plain,
    /// A chunk's size, and a line end.
    Chunked,
    /// The header of a binary message of its own.
    WebSocket,
}

/// Bytes for many clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    framing: Framing,
    /// With what stands around them.
    bytes: Payload,
    /// Where they lie in it.
    body: Range<usize>,
}

/// The longest that stands before a piece: the hexadecimal digits of a 64-bit size and a line end.
const MAX_PREFIX: usize = 18;

/// A few bytes without an allocation.
#[derive(Default)]
struct Prefix {
    bytes: [u8; MAX_PREFIX],
    len: usize,
}

impl Framing {
    fn prefix(self, len: usize) -> Prefix {
        let mut prefix = Prefix::default();
        match self {
            Framing::Plain => {}
            Framing::Chunked => {
                write!(prefix, "{len:x}\r\n").expect("room for the digits of the greatest size");
            }
            Framing::WebSocket => prefix.push(frame::header(Opcode::Binary, len).as_ref()),
        }
        prefix
    }

    const fn suffix(self) -> &'static [u8] {
        match self {
            Framing::Chunked => b"\r\n",
            Framing::Plain | Framing::WebSocket => b"",
        }
    }

    /// Queues a piece of response number `response` with what stands around it; nothing for an empty one, which would
    /// end chunks.
    pub(super) fn push(self, output: &mut Output, response: u32, body: &Payload) {
        if body.is_empty() {
            return;
        }
        let start = Purpose::Start(response);
        output.push_owned(self.prefix(body.len()).as_ref(), start);
        output.push_shared(body.clone(), if self == Framing::Plain { start } else { Purpose::Rest });
        output.push_owned(self.suffix(), Purpose::Rest);
    }

    /// Bytes that a piece of that length takes at most.
    pub(super) const fn framed_len(self, len: usize) -> usize {
        match self {
            Framing::Plain => len,
            Framing::Chunked | Framing::WebSocket => len + MAX_PREFIX + 2,
        }
    }
}

impl Piece {
    /// What `build` appends to the vector, which is not to be looked at otherwise, in this framing.
    pub fn new(framing: Framing, build: impl FnOnce(&mut Vec<u8>)) -> Piece {
        let mut bytes = Vec::new();
        // The prefix is known when the length is: it is put right in front of the body.
        let room = if framing == Framing::Plain { 0 } else { MAX_PREFIX };
        bytes.resize(room, 0);
        build(&mut bytes);
        let len = bytes.len() - room;
        if len == 0 {
            return Piece { framing, bytes: Payload::default(), body: 0..0 };
        }
        let prefix = framing.prefix(len);
        let start = room - prefix.len;
        bytes[start..room].copy_from_slice(prefix.as_ref());
        bytes.extend_from_slice(framing.suffix());
        let whole = start..bytes.len();
        Piece { framing, body: prefix.len..prefix.len + len, bytes: Payload::from(bytes).slice(whole) }
    }

    /// What it was framed for.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// With what stands around it, as it goes to a client of the same framing.
    pub fn bytes(&self) -> &Payload {
        &self.bytes
    }

    /// Bytes without that.
    pub fn body_len(&self) -> usize {
        self.body.len()
    }

    /// Without that.
    pub fn body(&self) -> Payload {
        self.bytes.slice(self.body.clone())
    }
}

impl Prefix {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

impl AsRef<[u8]> for Prefix {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Write for Prefix {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        if self.len + text.len() > MAX_PREFIX {
            return Err(core::fmt::Error);
        }
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_what_a_session_would_queue_for_its_body() {
        for framing in [Framing::Plain, Framing::Chunked, Framing::WebSocket] {
            for len in [0, 1, 15, 16, 125, 126, 65_535, 65_536] {
                let body = alloc::vec![7; len];
                let piece = Piece::new(framing, |bytes| bytes.extend_from_slice(&body));
                let mut output = Output::new();
                framing.push(&mut output, 1, &piece.body());
                assert_eq!(output.to_vec(), &**piece.bytes(), "{framing:?} {len}");
                assert_eq!(&*piece.body(), &*body);
                assert!(piece.bytes().len() <= framing.framed_len(len));
            }
        }
    }

    #[test]
    fn chunks_have_their_size_in_hexadecimal_digits_before_and_a_line_end_behind() {
        let piece = Piece::new(Framing::Chunked, |bytes| bytes.extend_from_slice(&[b'x'; 26]));
        assert_eq!(&**piece.bytes(), b"1a\r\nxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
    }
}
