//! VP8 and VP9: the `vpcC` record, and the picture size, which only keyframes hold (RFC 6386 9.1, VP9 6.2).
//!
//! Not here: anything behind it. Total: broken bytes give `None`.

use super::bits::BitReader;
use alloc::vec::Vec;

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

/// A record for a stream with this keyframe of VP9, or of VP8. `None` if it is none.
pub fn build_record(keyframe: &[u8]) -> Option<Vec<u8>> {
    let (size, profile, depth) = match vp8_dimensions(keyframe) {
        Some(size) => (size, 0, 8),
        None => {
            let first = *keyframe.first()?;
            let profile = first >> 5 & 1 | first >> 3 & 2;
            // Behind the frame's type, and a bit that only profile 3 has, 24 bits of sync code.
            let is_twelve = match profile {
                2 => keyframe.get(4)? & 0x80 != 0,
                3 => keyframe.get(4)? & 0x40 != 0,
                _ => false,
            };
            let depth = match (profile, is_twelve) {
                (0 | 1, _) => 8,
                (_, false) => 10,
                (_, true) => 12,
            };
            (vp9_dimensions(keyframe)?, profile, depth)
        }
    };
    let pixels = u64::from(size.0) * u64::from(size.1);
    let level = LEVELS.iter().find(|(_, most)| pixels <= *most).map_or(62, |(level, _)| *level);
    // 4:2:0, and nothing is said about colours.
    Some([&[1, 0, 0, 0, profile, level, depth << 4 | 1 << 1][..], &[2, 2, 2, 0, 0]].concat())
}

/// Ten times a level of VP9, and how many pixels its pictures have at most (rates are unknown).
const LEVELS: [(u8, u64); 8] = [
    (10, 36_864),
    (11, 73_728),
    (20, 122_880),
    (21, 245_760),
    (30, 552_960),
    (31, 983_040),
    (40, 2_228_224),
    (50, 8_912_896),
];

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
        let built = |frame: &[u8]| VpConfig::parse(&build_record(frame)?);
        assert_eq!(built(&vp8), Some(VpConfig { profile: 0, level: 11, depth: 8 }));
        assert_eq!(built(&vp9), built(&vp8));
        // Profile 2, 10 and 12 bits, 320x180.
        for (bit, depth) in [(0, 10), (0x80, 12)] {
            let deep = [0x92, 0x49, 0x83, 0x42, bit, 0x09, 0xf8, 0x05, 0x98];
            assert_eq!(vp9_dimensions(&deep), Some((320, 180)));
            assert_eq!(built(&deep), Some(VpConfig { profile: 2, level: 11, depth }));
        }
        assert_eq!(build_record(&vp9[..8]), None);
        let largest = [0x82, 0x49, 0x83, 0x42, 0x0f, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(built(&largest).map(|config| config.level), Some(62));
    }
}
