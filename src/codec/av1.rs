//! AV1: OBUs (AV1 5.3), and the picture size in a configuration record (`av1C`, AV1 in ISO base media 2.3; AV1 5.5).
//!
//! Not here: what is in frames. Total: broken bytes give `None`.

use super::bits::BitReader;
use alloc::vec::Vec;

/// Width and height from the sequence header in a record.
pub fn dimensions(record: &[u8]) -> Option<(u32, u32)> {
    let (head, mut rest) = record.split_at_checked(4)?;
    if head[0] != 0x81 {
        return None;
    }
    loop {
        let (obu, behind) = split_obu(rest)?;
        if obu.obu_type() == SEQUENCE_HEADER {
            return read_size(&mut BitReader::new(obu.payload)).map(|header| (header.width, header.height));
        }
        rest = behind;
    }
}

/// A record for a stream whose sequence header has this payload.
pub fn build_record(header: &[u8]) -> Option<Vec<u8>> {
    let mut bits = BitReader::new(header);
    let size = read_size(&mut bits)?;
    let colours = read_colours(&mut bits, &size)?;
    let mut record = Vec::with_capacity(8 + header.len());
    record.extend_from_slice(&[0x81, size.profile << 5 | size.level, size.tier << 7 | colours, 0]);
    append_obu(&mut record, &[SEQUENCE_HEADER << 3], header);
    Some(record)
}

/// Appends an OBU with its size. `header`: one byte or two.
pub fn append_obu(out: &mut Vec<u8>, header: &[u8], payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(header);
    if let Some(first) = out.get_mut(start) {
        *first |= HAS_SIZE;
    }
    let mut len = payload.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(payload);
}

/// An OBU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obu<'a> {
    /// One byte, or two with extension; without the size.
    pub header: &'a [u8],
    /// What is behind header and size.
    pub payload: &'a [u8],
}

impl Obu<'_> {
    /// `obu_type`: 0 to 15.
    pub fn obu_type(&self) -> u8 {
        self.header.first().map_or(0, |first| first >> 3 & 15)
    }
}

/// The first OBU and what is behind it, which is nothing where it has no size. `None` if it is cut off.
pub fn split_obu(bytes: &[u8]) -> Option<(Obu<'_>, &[u8])> {
    let first = bytes.first()?;
    let header_len = if first & 4 != 0 { 2 } else { 1 };
    let (header, mut rest) = bytes.split_at_checked(header_len)?;
    if first & 2 == 0 {
        return Some((Obu { header, payload: rest }, &[]));
    }
    let mut len = 0u64;
    for index in 0..8 {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        len |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let (payload, behind) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            return Some((Obu { header, payload }, behind));
        }
    }
    None
}

/// What a sequence header begins with.
struct Size {
    profile: u8,
    is_reduced: bool,
    /// Of the first operating point.
    level: u8,
    tier: u8,
    width: u32,
    height: u32,
}

fn read_size(bits: &mut BitReader<'_>) -> Option<Size> {
    let profile = bits.bits(3)? as u8;
    bits.skip(1)?;
    let is_reduced = bits.flag()?;
    let (level, tier) = if is_reduced { (bits.bits(5)? as u8, 0) } else { read_operating_points(bits)? };
    let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
    let (width, height) = (bits.bits(width_bits)? + 1, bits.bits(height_bits)? + 1);
    Some(Size { profile, is_reduced, level, tier, width, height })
}

/// Level and tier of the first.
fn read_operating_points(bits: &mut BitReader<'_>) -> Option<(u8, u8)> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.ue()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.bits(5)? + 1);
            bits.skip(42)?;
        }
    }
    let has_display_delay = bits.flag()?;
    let mut first = None;
    for _ in 0..=bits.bits(5)? {
        bits.skip(12)?;
        let level = bits.bits(5)? as u8;
        let tier = if level > 7 { bits.bits(1)? as u8 } else { 0 };
        first = first.or(Some((level, tier)));
        if let Some(delay_bits) = delay_bits {
            let has_model = bits.flag()?;
            bits.skip(if has_model { 2 * delay_bits + 1 } else { 0 })?;
        }
        if has_display_delay {
            let has_delay = bits.flag()?;
            bits.skip(if has_delay { 4 } else { 0 })?;
        }
    }
    first
}

/// What is between the size and the colours, and of these what a record holds: `high_bitdepth`, `twelve_bit`, `mono_chrome`, both subsamplings,
/// `chroma_sample_position`.
fn read_colours(bits: &mut BitReader<'_>, size: &Size) -> Option<u8> {
    if !size.is_reduced && bits.flag()? {
        bits.skip(7)?;
    }
    bits.skip(3)?;
    if !size.is_reduced {
        bits.skip(4)?;
        let has_order = bits.flag()?;
        bits.skip(if has_order { 2 } else { 0 })?;
        let may_be_screen = bits.flag()? || bits.flag()?;
        if may_be_screen && !bits.flag()? {
            bits.skip(1)?;
        }
        bits.skip(if has_order { 3 } else { 0 })?;
    }
    bits.skip(3)?;
    let is_high = bits.flag()?;
    let is_twelve = size.profile == 2 && is_high && bits.flag()?;
    let is_mono = size.profile != 1 && bits.flag()?;
    let is_described = bits.flag()?;
    let description = if is_described { bits.bits(24)? } else { 0 };
    let (mut half_width, mut half_height, mut position) = (true, true, 0);
    if is_mono {
        bits.skip(1)?;
    } else if description == SRGB {
        (half_width, half_height) = (false, false);
    } else {
        bits.skip(1)?;
        (half_width, half_height) = match size.profile {
            0 => (true, true),
            1 => (false, false),
            _ if is_twelve => {
                let half_width = bits.flag()?;
                (half_width, half_width && bits.flag()?)
            }
            _ => (true, false),
        };
        if half_width && half_height {
            position = bits.bits(2)? as u8;
        }
    }
    let flags = [is_high, is_twelve, is_mono, half_width, half_height];
    Some(flags.iter().fold(0, |byte, flag| byte << 1 | u8::from(*flag)) << 2 | position)
}

/// Primaries of BT.709, transfer of sRGB, no matrix.
const SRGB: u32 = 0x01_0d_00;
/// `obu_has_size_field`.
const HAS_SIZE: u8 = 2;
/// Type of an OBU: the sequence header.
pub const SEQUENCE_HEADER: u8 = 1;
/// Type of an OBU: begins a temporal unit, and says nothing else.
pub const TEMPORAL_DELIMITER: u8 = 2;
/// Type of an OBU: part of a picture for large scale tile decoding, which no stream has.
pub const TILE_LIST: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_sequence_header() {
        // libaom, 64x64.
        let record = [0x81, 0, 0x0c, 0, 0x0a, 0x0a, 0, 0, 0, 2, 0xaf, 0xff, 0x9b, 0x5f, 0x20, 0x08];
        let padded = [&record[..4], &[0x7a, 1, 0xff], &record[4..]].concat();
        for len in 0..record.len() {
            assert_eq!(dimensions(&record[..len]), None, "{len} bytes");
        }
        assert_eq!(dimensions(&padded), dimensions(&record));
        assert_eq!(dimensions(&record), Some((64, 64)));
        assert_eq!(build_record(&record[6..]).as_deref(), Some(&record[..]));
        for len in 0..9 {
            assert_eq!(build_record(&record[6..][..len]), None, "{len} bytes");
        }
    }
}
