//! Opus: the identification header (RFC 7845, 5.1), which tags carry, and MP4's `dOps` box, which is the same in another byte order.
//!
//! Not here: Opus packets. Total: broken bytes give `None`.

use alloc::vec::Vec;
use byteorder::{BigEndian, ByteOrder, LittleEndian};

/// Fields of both forms, but the byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusConfig<'a> {
    /// 1 or more.
    pub channels: u8,
    /// Samples at 48 kHz to drop at the beginning.
    pub pre_skip: u16,
    /// Of the original, in Hz. Opus itself always gives 48000.
    pub input_rate: u32,
    /// In 256ths of a dB.
    pub gain: i16,
    /// 0 for mono and stereo.
    pub mapping_family: u8,
    /// Streams, coupled streams, channels; empty with family 0.
    pub mapping: &'a [u8],
}

impl<'a> OpusConfig<'a> {
    /// Parses an `OpusHead`.
    pub fn parse_head(head: &'a [u8]) -> Option<OpusConfig<'a>> {
        // Minor versions are compatible.
        let (version, fields) = head.strip_prefix(MAGIC)?.split_first()?;
        OpusConfig::parse::<LittleEndian>(fields).filter(|_| version & 0xf0 == 0)
    }

    /// Parses the contents of a `dOps` box.
    pub fn parse_box(dops: &'a [u8]) -> Option<OpusConfig<'a>> {
        let (version, fields) = dops.split_first()?;
        OpusConfig::parse::<BigEndian>(fields).filter(|_| *version == 0)
    }

    fn parse<Order: ByteOrder>(fields: &'a [u8]) -> Option<OpusConfig<'a>> {
        let (fields, mapping) = fields.split_at_checked(FIELDS_LEN)?;
        let config = OpusConfig {
            channels: fields[0],
            pre_skip: Order::read_u16(&fields[1..]),
            input_rate: Order::read_u32(&fields[3..]),
            gain: Order::read_i16(&fields[7..]),
            mapping_family: fields[9],
            mapping,
        };
        config.checked()
    }

    /// An `OpusHead`.
    pub fn build_head(&self) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&[1, self.channels]);
        head.extend_from_slice(&self.pre_skip.to_le_bytes());
        head.extend_from_slice(&self.input_rate.to_le_bytes());
        head.extend_from_slice(&self.gain.to_le_bytes());
        head.push(self.mapping_family);
        head.extend_from_slice(self.mapping);
        head
    }

    /// The contents of a `dOps` box.
    pub fn build_box(&self) -> Vec<u8> {
        let mut dops = Vec::with_capacity(1 + FIELDS_LEN + self.mapping.len());
        dops.extend_from_slice(&[0, self.channels]);
        dops.extend_from_slice(&self.pre_skip.to_be_bytes());
        dops.extend_from_slice(&self.input_rate.to_be_bytes());
        dops.extend_from_slice(&self.gain.to_be_bytes());
        dops.push(self.mapping_family);
        dops.extend_from_slice(self.mapping);
        dops
    }

    /// With the mapping table that the family needs, and nothing behind it.
    fn checked(mut self) -> Option<OpusConfig<'a>> {
        let len = if self.mapping_family == 0 { 0 } else { 2 + usize::from(self.channels) };
        self.mapping = self.mapping.get(..len)?;
        (self.channels > 0).then_some(self)
    }
}

/// Samples at 48 kHz in a packet, from its first bytes (RFC 6716, 3.1 and 3.2). `None` if it is broken.
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let config = u32::from(toc >> 3);
    let frame = match config {
        0..=11 => [480, 960, 1920, 2880][config as usize % 4],
        12..=15 => [480, 960][config as usize % 2],
        _ => 120 << (config % 4),
    };
    let frames = match toc & 3 {
        0 => 1,
        3 => u32::from(*packet.get(1)? & 0x3f),
        _ => 2,
    };
    let samples = frame * frames;
    (1..=MAX_PACKET_SAMPLES).contains(&samples).then_some(samples)
}

/// 120 ms.
const MAX_PACKET_SAMPLES: u32 = 5760;

/// What every decoder gives, in Hz.
pub const SAMPLE_RATE: u32 = 48_000;

const MAGIC: &[u8] = b"OpusHead";
/// Channels to mapping family.
const FIELDS_LEN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_and_the_box_say_the_same() {
        let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\xff\xff\x00";
        let dops = [0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0xff, 0xff, 0];
        let config = OpusConfig {
            channels: 2,
            pre_skip: 312,
            input_rate: 48_000,
            gain: -1,
            mapping_family: 0,
            mapping: &[],
        };
        assert_eq!(OpusConfig::parse_head(head), Some(config));
        assert_eq!(OpusConfig::parse_box(&dops), Some(config));
        assert_eq!((config.build_head(), config.build_box()), (head.to_vec(), dops.to_vec()));
        let surround = OpusConfig { channels: 3, mapping_family: 1, mapping: &[2, 1, 0, 1, 2], ..config };
        assert_eq!(OpusConfig::parse_head(&surround.build_head()), Some(surround));
        let bytes = surround.build_box();
        assert_eq!(OpusConfig::parse_box(&bytes), Some(surround));
        for len in 0..bytes.len() {
            assert_eq!(OpusConfig::parse_box(&bytes[..len]), None, "{len} bytes");
        }
        assert_eq!(OpusConfig::parse_box(&[0; 11]), None, "no channels");
        assert_eq!(OpusConfig::parse_head(b"OpusHeap\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"), None);
    }
}
