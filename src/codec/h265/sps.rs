//! H.265 sequence parameter sets (7.3.2.2, 7.3.3, E.2.1), up to the timing in the VUI.

use crate::codec::{bits::BitReader, nal};

/// A sequence parameter set.
#[derive(Clone, Debug, PartialEq)]
pub struct Sps {
    /// `sps_seq_parameter_set_id`, 15 at most.
    pub id: u8,
    /// The video parameter set that it refers to.
    pub vps_id: u8,
    /// `general_profile_space` to `general_level_idc`: bytes 1 to 12 of a configuration record.
    pub profile_tier_level: [u8; 12],
    /// How many temporal layers there may be.
    pub temporal_layers: u8,
    /// `sps_temporal_id_nesting_flag`.
    pub is_nested: bool,
    /// `chroma_format_idc`: 1 is 4:2:0.
    pub chroma_format: u8,
    /// Each colour plane is coded like a picture of its own.
    pub has_separate_planes: bool,
    /// Bits of a luma sample.
    pub luma_depth: u8,
    /// Bits of a chroma sample.
    pub chroma_depth: u8,
    /// In pixels, as shown.
    pub width: u32,
    /// In pixels, as shown.
    pub height: u32,
    /// Bits of the order count in slices.
    pub order_bits: u8,
    /// How many pictures at most are decoded before one that is shown before them.
    pub max_reorder: u8,
    /// Frames per second, of those that say.
    pub frame_rate: Option<f64>,
}

impl Sps {
    /// Parses a NAL unit with its header.
    pub fn parse(nal: &[u8]) -> Option<Sps> {
        let mut bits = BitReader::of_nal(nal);
        bits.skip(16)?;
        let vps_id = bits.bits(4)? as u8;
        let top_layer = bits.bits(3).filter(|top| *top < 7)?;
        let is_nested = bits.flag()?;
        let profile_tier_level = profile_tier_level(&mut bits, top_layer)?;
        let id = bits.ue_to(15)? as u8;
        let chroma_format = bits.ue_to(3)? as u8;
        let has_separate_planes = chroma_format == 3 && bits.flag()?;
        let (mut width, mut height) = (bits.ue_to(MAX_SIZE)?, bits.ue_to(MAX_SIZE)?);
        let unit_x = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
        let unit_y = if chroma_format == 1 { 2 } else { 1 };
        if bits.flag()? {
            let crop: [u32; 4] = [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?];
            width = cropped(width, unit_x, crop[0], crop[1])?;
            height = cropped(height, unit_y, crop[2], crop[3])?;
        }
        let luma_depth = 8 + bits.ue_to(8)? as u8;
        let chroma_depth = 8 + bits.ue_to(8)? as u8;
        let order_bits = 4 + bits.ue_to(12)? as u8;
        let first_layer = if bits.flag()? { 0 } else { top_layer };
        let mut max_reorder = 0;
        for _ in first_layer..=top_layer {
            bits.ue()?;
            max_reorder = bits.ue_to(16)? as u8;
            bits.ue()?;
        }
        // What is wrong from here on costs the timing alone.
        let frame_rate = read_frame_rate(&mut bits, order_bits);
        Some(Sps {
            id,
            vps_id,
            profile_tier_level,
            temporal_layers: top_layer as u8 + 1,
            is_nested,
            chroma_format,
            has_separate_planes,
            luma_depth,
            chroma_depth,
            width,
            height,
            order_bits,
            max_reorder,
            frame_rate,
        })
    }
}

/// Reads profile and level of the whole, passes over those of the layers below the highest (7.3.3).
pub(super) fn profile_tier_level(bits: &mut BitReader<'_>, top_layer: u32) -> Option<[u8; 12]> {
    let mut general = [0; 12];
    for byte in &mut general {
        *byte = bits.u8()?;
    }
    if top_layer > 0 {
        let present = bits.bits(16)?;
        for layer in 0..top_layer {
            let flags = present >> (14 - 2 * layer) & 3;
            bits.skip(if flags & 2 != 0 { 88 } else { 0 })?;
            bits.skip(if flags & 1 != 0 { 8 } else { 0 })?;
        }
    }
    Some(general)
}

/// Tick and scale behind `timing_info_present_flag`, in the VUI and in video parameter sets.
pub(super) fn read_timing(bits: &mut BitReader<'_>) -> Option<f64> {
    let (tick, scale) = (bits.bits(32)?, bits.bits(32)?);
    (tick != 0 && scale != 0).then(|| f64::from(scale) / f64::from(tick))
}

fn read_frame_rate(bits: &mut BitReader<'_>, order_bits: u8) -> Option<f64> {
    for _ in 0..6 {
        bits.ue()?;
    }
    if bits.flag()? && bits.flag()? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2)?;
    if bits.flag()? {
        bits.skip(8)?;
        bits.ue()?;
        bits.ue()?;
        bits.skip(1)?;
    }
    skip_short_term_sets(bits)?;
    if bits.flag()? {
        for _ in 0..bits.ue_to(32)? {
            bits.skip(u32::from(order_bits) + 1)?;
        }
    }
    bits.skip(2)?;
    if !bits.flag()? {
        return None;
    }
    nal::skip_picture_description(bits)?;
    bits.skip(3)?;
    if bits.flag()? {
        for _ in 0..4 {
            bits.ue()?;
        }
    }
    if bits.flag()? { read_timing(bits) } else { None }
}

/// 7.3.4.
fn skip_scaling_lists(bits: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.flag()? {
                bits.ue()?;
                continue;
            }
            if size > 1 {
                bits.se()?;
            }
            for _ in 0..64.min(1 << (4 + 2 * size)) {
                bits.se()?;
            }
        }
    }
    Some(())
}

/// 7.3.7. A set may be coded as a difference from the one before, whose length decides how long the difference is.
fn skip_short_term_sets(bits: &mut BitReader<'_>) -> Option<()> {
    let count = bits.ue_to(64)?;
    let mut previous_len = 0;
    for index in 0..count {
        if index > 0 && bits.flag()? {
            bits.skip(1)?;
            bits.ue()?;
            let mut len = 0;
            for _ in 0..=previous_len {
                let is_used = bits.flag()?;
                if is_used || bits.flag()? {
                    len += 1;
                }
            }
            previous_len = len;
        } else {
            previous_len = bits.ue_to(16)? + bits.ue_to(16)?;
            for _ in 0..previous_len {
                bits.ue()?;
                bits.skip(1)?;
            }
        }
    }
    Some(())
}

/// `None` if nothing is left.
fn cropped(size: u32, unit: u32, before: u32, after: u32) -> Option<u32> {
    let cut = before.checked_add(after)?.checked_mul(unit)?;
    size.checked_sub(cut).filter(|left| *left > 0)
}

/// Pixels in a row or column: the most that any box or header has room for.
const MAX_SIZE: u32 = 0xffff;
