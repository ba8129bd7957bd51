//! The header of an RTP packet (RFC 3550, 5.1): 12 bytes, contributing sources, an extension.
//!
//! In: one packet; or the fields of one to be written. Out: its fields and where its payload is; 12 bytes. Not here: what the payload is,
//! order, loss. Total: what is no RTP packet gives `None`.
//! Field notes: players open the way through a NAT with 12 bytes of 80 00 .. (a valid packet without payload) or with random bytes, a quarter of
//! which look like version 2: nothing that a player sends to an RTP port is to be parsed at all.

use crate::base::wire::Cursor;

/// Bytes of a header without contributing sources and extension.
pub const HEADER_LEN: usize = 12;

/// A packet without its extension, contributing sources and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Of video the last of an access unit; of audio by payload format.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// One more than that of the packet before, modulo 2^16.
    pub sequence: u16,
    /// In ticks of the payload format's clock, modulo 2^32, from a random start.
    pub timestamp: u32,
    /// Synchronization source: who sent it, at random.
    pub ssrc: u32,
    /// May be empty.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Parses one packet. `None` unless it is of version 2 and as long as its header says.
    pub fn parse(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let mut cursor = Cursor::new(bytes);
        let (first, second) = (cursor.u8()?, cursor.u8()?);
        if first >> 6 != VERSION {
            return None;
        }
        let (sequence, timestamp, ssrc) = (cursor.u16()?, cursor.u32()?, cursor.u32()?);
        cursor.take(usize::from(first & CSRC_COUNT) * 4)?;
        if first & EXTENSION != 0 {
            cursor.u16()?;
            let words = cursor.u16()?;
            cursor.take(usize::from(words) * 4)?;
        }
        let mut payload = cursor.rest();
        if first & PADDING != 0 {
            let len = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(len.max(1))?)?;
        }
        let (marker, payload_type) = (second & MARKER != 0, second & !MARKER);
        Some(Packet { marker, payload_type, sequence, timestamp, ssrc, payload })
    }
}

/// The header of a packet that is nothing but it and its payload. `payload_type`: 0 to 127.
pub const fn header(
    payload_type: u8,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
) -> [u8; HEADER_LEN] {
    let second = payload_type & !MARKER | if marker { MARKER } else { 0 };
    let [seq_0, seq_1] = sequence.to_be_bytes();
    let [time_0, time_1, time_2, time_3] = timestamp.to_be_bytes();
    let [ssrc_0, ssrc_1, ssrc_2, ssrc_3] = ssrc.to_be_bytes();
    [VERSION << 6, second, seq_0, seq_1, time_0, time_1, time_2, time_3, ssrc_0, ssrc_1, ssrc_2, ssrc_3]
}

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const CSRC_COUNT: u8 = 0x0f;
const MARKER: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 14] = *b"\x80\xe0\x12\x34\x01\x02\x03\x04\xaa\xbb\xcc\xdd\x65\x88";

    #[test]
    fn what_is_written_is_read() {
        let packet = Packet::parse(&PLAIN).expect("a packet");
        let expected = Packet {
            marker: true,
            payload_type: 96,
            sequence: 0x1234,
            timestamp: 0x0102_0304,
            ssrc: 0xaabb_ccdd,
            payload: &[0x65, 0x88],
        };
        assert_eq!(packet, expected);
        assert_eq!(header(96, true, 0x1234, 0x0102_0304, 0xaabb_ccdd), PLAIN[..12]);
        assert_eq!(header(0xff, false, 0, 0, 0)[1], 0x7f, "no type reaches into the marker");
    }

    #[test]
    fn sources_extension_and_padding_are_passed_over() {
        let extended =
            [&[0xb2][..], &PLAIN[1..12], &[1; 8], &[0xbe, 0xde, 0, 1, 9, 9, 9, 9], &[0x65, 0x88], &[0, 0, 3]]
                .concat();
        assert_eq!(Packet::parse(&extended), Packet::parse(&PLAIN));
        for len in 0..28 {
            assert_eq!(Packet::parse(&extended[..len]), None, "{len} bytes");
        }
        let opening = [&[0x80, 0][..], &[0; 10]].concat();
        assert_eq!(Packet::parse(&opening).map(|packet| packet.payload.len()), Some(0));
    }

    #[test]
    fn what_is_no_packet_is_none() {
        for len in 0..HEADER_LEN {
            assert_eq!(Packet::parse(&PLAIN[..len]), None, "{len} bytes");
        }
        for first in [0x00, 0x40, 0xc0] {
            assert_eq!(Packet::parse(&[&[first][..], &PLAIN[1..]].concat()), None, "{first:x}");
        }
        for padding in [3, 255] {
            let padded = [&[0xa0][..], &PLAIN[1..13], &[padding]].concat();
            assert_eq!(Packet::parse(&padded), None, "{padding} of two bytes");
        }
        assert_eq!(Packet::parse(&[&[0xa0][..], &PLAIN[1..12]].concat()), None, "padding of nothing");
    }
}
