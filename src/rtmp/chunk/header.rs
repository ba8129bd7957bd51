//! Chunk headers: basic header, message header fmt 0-3, extended timestamp <-> bytes.
//!
//! RTMP 1.0, 5.3.1.1 to 5.3.1.3. Stateless: what fmt 1-3 leave out is for the reader and the writer to remember.
//! Not here: the extended timestamp behind fmt 3 on input, whose presence depends on the peer (`reader`).
//! Bounds: a header is `MAX_LEN` bytes at most.
//! Field notes: every number is big-endian but the message stream id, and but the 3-byte form of the csid.

use super::{super::MessageStreamId, MAX_MESSAGE_LEN};
use crate::base::wire::{Cursor, u24_bytes};
use byteorder::{ByteOrder, LittleEndian};
use core::ops::Deref;

/// Longest header: basic header 3, message header 11, extended timestamp 4.
pub(super) const MAX_LEN: usize = 3 + 11 + 4;

/// In the 24-bit time field: the time follows as 32 bits. Also the first time that has to be written so.
const EXTENDED: u32 = 0xff_ffff;

/// One chunk header. `PartialEq` compares what is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkHeader {
    /// Chunk stream id, 2 to 65599.
    pub(super) csid: u32,
    /// What the chunk says of its message.
    pub(super) message: MessageHeader,
    /// The extended timestamp field, if there is one. Never decoded with fmt 3.
    pub(super) extended: Option<u32>,
}

/// Message header. Times are whole: the extended timestamp, if there is one, is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageHeader {
    /// Everything.
    Fmt0 {
        /// Absolute, in milliseconds.
        timestamp: u32,
        /// Of the whole message; 24 bits.
        length: u32,
        /// Message type id.
        type_id: u8,
        /// Message stream id.
        stream: MessageStreamId,
    },
    /// Same message stream as before.
    Fmt1 {
        /// Milliseconds since the message before on this chunk stream, modulo 2^32.
        delta: u32,
        /// Of the whole message; 24 bits.
        length: u32,
        /// Message type id.
        type_id: u8,
    },
    /// Same message stream, length and type.
    Fmt2 {
        /// As in fmt 1.
        delta: u32,
    },
    /// Continues a message, or starts one like the message before.
    Fmt3,
}

impl ChunkHeader {
    /// A header that starts a message. It gets an extended timestamp when its time needs one.
    pub(super) fn new(csid: u32, message: MessageHeader) -> ChunkHeader {
        let extended = message.time().filter(|&time| time >= EXTENDED);
        ChunkHeader { csid, message, extended }
    }

    /// The header of the further chunks of the message that this one starts. It repeats the extended timestamp,
    /// as the specification says and as ffmpeg, Flash and librtmp 2.4 expect.
    pub(super) fn continuation(&self) -> ChunkHeader {
        ChunkHeader { message: MessageHeader::Fmt3, ..*self }
    }

    /// Reads a header from the front of `bytes`; also says how long it is. `None` if it is not all there.
    pub(super) fn decode(bytes: &[u8]) -> Option<(ChunkHeader, usize)> {
        let mut cursor = Cursor::new(bytes);
        let first = cursor.u8()?;
        let csid = match first & 0x3f {
            0 => 64 + u32::from(cursor.u8()?),
            1 => 64 + u32::from(cursor.take(2).map(LittleEndian::read_u16)?),
            id => u32::from(id),
        };
        let fmt = first >> 6;
        if fmt == 3 {
            let header = ChunkHeader { csid, message: MessageHeader::Fmt3, extended: None };
            return Some((header, cursor.position()));
        }
        let field = cursor.u24()?;
        let (length, type_id) = if fmt < 2 { (cursor.u24()?, cursor.u8()?) } else { (0, 0) };
        let stream = if fmt == 0 { cursor.take(4).map(LittleEndian::read_u32)? } else { 0 };
        let extended = if field == EXTENDED { Some(cursor.u32()?) } else { None };
        let time = extended.unwrap_or(field);
        let message = match fmt {
            0 => MessageHeader::Fmt0 { timestamp: time, length, type_id, stream: MessageStreamId(stream) },
            1 => MessageHeader::Fmt1 { delta: time, length, type_id },
            _ => MessageHeader::Fmt2 { delta: time },
        };
        Some((ChunkHeader { csid, message, extended }, cursor.position()))
    }

    /// Writes the header, with the shortest form of the csid.
    pub(super) fn encode(&self) -> HeaderBytes {
        let mut bytes = HeaderBytes { bytes: [0; MAX_LEN], len: 0 };
        let fmt = self.message.fmt() << 6;
        match self.csid {
            id @ 2..64 => bytes.push(&[fmt | id as u8]),
            id @ 64..320 => bytes.push(&[fmt, (id - 64) as u8]),
            id => {
                debug_assert!((320..65_600).contains(&id), "csid {id} does not exist");
                let [low, high, ..] = id.wrapping_sub(64).to_le_bytes();
                bytes.push(&[fmt | 1, low, high]);
            }
        }
        if let Some(time) = self.message.time() {
            bytes.push(&u24_bytes(if self.extended.is_some() { EXTENDED } else { time }));
        }
        match self.message {
            MessageHeader::Fmt0 { length, type_id, stream, .. } => {
                bytes.push(&u24_bytes(length));
                bytes.push(&[type_id]);
                bytes.push(&stream.0.to_le_bytes());
            }
            MessageHeader::Fmt1 { length, type_id, .. } => {
                bytes.push(&u24_bytes(length));
                bytes.push(&[type_id]);
            }
            MessageHeader::Fmt2 { .. } | MessageHeader::Fmt3 => {}
        }
        if let Some(time) = self.extended {
            bytes.push(&time.to_be_bytes());
        }
        bytes
    }
}

impl MessageHeader {
    pub(super) const fn fmt(&self) -> u8 {
        match self {
            MessageHeader::Fmt0 { .. } => 0,
            MessageHeader::Fmt1 { .. } => 1,
            MessageHeader::Fmt2 { .. } => 2,
            MessageHeader::Fmt3 => 3,
        }
    }

    /// The absolute timestamp or the delta.
    const fn time(&self) -> Option<u32> {
        match *self {
            MessageHeader::Fmt0 { timestamp: time, .. }
            | MessageHeader::Fmt1 { delta: time, .. }
            | MessageHeader::Fmt2 { delta: time } => Some(time),
            MessageHeader::Fmt3 => None,
        }
    }

    /// Length and type id, if the header has them.
    pub(super) const fn shape(&self) -> Option<(u32, u8)> {
        match *self {
            MessageHeader::Fmt0 { length, type_id, .. } | MessageHeader::Fmt1 { length, type_id, .. } => {
                Some((length, type_id))
            }
            MessageHeader::Fmt2 { .. } | MessageHeader::Fmt3 => None,
        }
    }
}

/// A header in bytes, without an allocation.
pub(super) struct HeaderBytes {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl HeaderBytes {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

impl Deref for HeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The length of a body as a message header says it.
pub(super) fn message_length(body: &[u8]) -> u32 {
    assert!(body.len() <= MAX_MESSAGE_LEN, "a message is at most 0xffffff bytes long");
    body.len() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fmt0(timestamp: u32) -> MessageHeader {
        MessageHeader::Fmt0 { timestamp, length: 0x01_2345, type_id: 9, stream: MessageStreamId(0x0a0b0c0d) }
    }

    fn fmt1(delta: u32) -> MessageHeader {
        MessageHeader::Fmt1 { delta, length: 5, type_id: 20 }
    }

    /// Both ways; decoding also with every shorter prefix and with trailing bytes.
    fn assert_wire(csid: u32, message: MessageHeader, wire: &[u8]) {
        let header = ChunkHeader::new(csid, message);
        assert_eq!(&*header.encode(), wire, "encode {header:?}");
        assert_eq!(ChunkHeader::decode(wire), Some((header, wire.len())), "decode {wire:02x?}");
        for end in 0..wire.len() {
            assert_eq!(ChunkHeader::decode(&wire[..end]), None, "{wire:02x?} cut at {end}");
        }
        let longer = [wire, &[0xff; 4]].concat();
        assert_eq!(ChunkHeader::decode(&longer), Some((header, wire.len())));
    }

    #[test]
    fn each_fmt_has_its_fields_in_its_byte_order() {
        assert_wire(3, fmt0(0x010203), &[0x03, 1, 2, 3, 0x01, 0x23, 0x45, 9, 0x0d, 0x0c, 0x0b, 0x0a]);
        assert_wire(3, fmt1(0x010203), &[0x43, 1, 2, 3, 0, 0, 5, 20]);
        assert_wire(3, MessageHeader::Fmt2 { delta: 0x010203 }, &[0x83, 1, 2, 3]);
        assert_wire(3, MessageHeader::Fmt3, &[0xc3]);
    }

    #[test]
    fn each_csid_is_written_in_its_shortest_form() {
        for (csid, wire) in [
            (2, &[0xc2][..]),
            (63, &[0xff]),
            (64, &[0xc0, 0]),
            (319, &[0xc0, 255]),
            (320, &[0xc1, 0, 1]),
            (365, &[0xc1, 0x2d, 1]),
            (65_599, &[0xc1, 255, 255]),
        ] {
            assert_wire(csid, MessageHeader::Fmt3, wire);
        }
    }

    #[test]
    fn the_three_byte_form_may_carry_a_csid_of_the_two_byte_form() {
        let (header, len) = ChunkHeader::decode(&[0xc1, 5, 0]).unwrap();
        assert_eq!((header.csid, len), (69, 3));
    }

    #[test]
    fn times_from_0xffffff_on_are_extended_on_every_fmt() {
        assert_wire(3, MessageHeader::Fmt2 { delta: 0xff_fffe }, &[0x83, 0xff, 0xff, 0xfe]);
        assert_wire(
            3,
            MessageHeader::Fmt2 { delta: 0xff_ffff },
            &[0x83, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff],
        );
        assert_wire(3, fmt1(0xffff_fff6), &[0x43, 255, 255, 255, 0, 0, 5, 20, 255, 255, 255, 0xf6]);
        let wire = [0x03, 255, 255, 255, 0x01, 0x23, 0x45, 9, 0x0d, 0x0c, 0x0b, 0x0a, 0x01, 0x00, 0x00, 0x10];
        assert_wire(3, fmt0(0x0100_0010), &wire);
    }

    #[test]
    fn an_extended_timestamp_may_hold_a_small_time() {
        let wire = [0x83, 255, 255, 255, 0, 0, 0, 7];
        let (header, len) = ChunkHeader::decode(&wire).unwrap();
        assert_eq!((header.message, header.extended, len), (MessageHeader::Fmt2 { delta: 7 }, Some(7), 8));
    }

    #[test]
    fn a_continuation_repeats_the_extended_timestamp() {
        assert_eq!(&*ChunkHeader::new(6, fmt0(0x0100_0010)).continuation().encode(), &[0xc6, 1, 0, 0, 0x10]);
        assert_eq!(&*ChunkHeader::new(6, fmt0(0x10)).continuation().encode(), &[0xc6]);
    }
}
