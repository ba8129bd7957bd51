//! VP8 and VP9: the `vpcC` record, and the picture size, which only keyframes hold (RFC 6386 9.1, VP9 6.2).
//!
//! Not here: anything behind it. Total: broken bytes give `None`.

use super::bits::BitReader;

/// The contents of a `vpcC` box, version and flags included, as far as anybody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VpConfig {
    /// 0 to 3.
    pub profile: u8,
    /// Ten times the level.
    pub level: u8,
    /// Bits of a sample.
    pub depth: u8,
}

impl VpConfig {
    /// Parses a record.
    pub fn parse(record: &[u8]) -> Option<VpConfig> {
        let &[1, _, _, _, profile, level, formats, ..] = record else { return None };
        Some(VpConfig { profile, level, depth: formats >> 4 })
    }
}

/// Width and height in a VP8 keyframe.
pub fn vp8_dimensions(frame: &[u8]) -> Option<(u32, u32)> {
    let &[first, _, _, 0x9d, 0x01, 0x2a, width_0, width_1, height_0, height_1, ..] = frame else {
        return None;
    };
    let size = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    (first & 1 == 0).then(|| (size(width_0, width_1), size(height_0, height_1)))
}

/// Width and height in a VP9 keyframe.
pub fn vp9_dimensions(frame: &[u8]) -> Option<(u32, u32)> {
    let mut bits = BitReader::new(frame);
    if bits.bits(2)? != FRAME_MARKER {
        return None;
    }
    let profile = bits.bits(1)? | bits.bits(1)? << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let (shows_other, is_inter) = (bits.flag()?, bits.flag()?);
    bits.skip(2)?;
    if shows_other || is_inter || bits.bits(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        bits.skip(1)?;
    }
    let is_rgb = bits.bits(3)? == RGB;
    bits.skip(if is_rgb { 0 } else { 1 })?;
    if profile & 1 == 1 {
        bits.skip(if is_rgb { 1 } else { 3 })?;
    }
    Some((bits.bits(16)? + 1, bits.bits(16)? + 1))
}

const FRAME_MARKER: u32 = 2;
const SYNC_CODE: u32 = 0x49_8342;
const RGB: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_keyframes_are_read_and_other_frames_are_not() {
        let record = [1, 0, 0, 0, 0, 0x0b, 0x82, 2, 2, 2, 0, 0];
        assert_eq!(VpConfig::parse(&record), Some(VpConfig { profile: 0, level: 11, depth: 8 }));
        assert_eq!(VpConfig::parse(&record[..6]), None);
        let vp8 = [0x50, 0x42, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
        assert_eq!(vp8_dimensions(&vp8), Some((320, 180)));
        assert_eq!(vp8_dimensions(&[&[0x51][..], &vp8[1..]].concat()), None);
        assert_eq!(vp8_dimensions(&vp8[..9]), None);
        let vp9 = [0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30];
        assert_eq!(vp9_dimensions(&vp9), Some((320, 180)));
        assert_eq!(vp9_dimensions(&[&[0x86][..], &vp9[1..]].concat()), None);
        assert_eq!(vp9_dimensions(&vp9[..8]), None);
    }
}
