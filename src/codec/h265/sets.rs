//! H.265 video and picture parameter sets (7.3.2.1, 7.3.2.3), as far as timing and slice headers need them.

use super::sps::{profile_tier_level, read_timing};
use crate::codec::bits::BitReader;

/// A video parameter set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vps {
    /// `vps_video_parameter_set_id`, 15 at most.
    pub id: u8,
    /// Frames per second, of those that say.
    pub frame_rate: Option<f64>,
}

impl Vps {
    /// Parses a NAL unit with its header.
    pub fn parse(nal: &[u8]) -> Option<Vps> {
        let mut bits = BitReader::of_nal(nal);
        bits.skip(16)?;
        let id = bits.bits(4)? as u8;
        bits.skip(8)?;
        let top_layer = bits.bits(3).filter(|top| *top < 7)?;
        bits.skip(17)?;
        profile_tier_level(&mut bits, top_layer)?;
        // What is wrong from here on costs the timing alone.
        Some(Vps { id, frame_rate: read_frame_rate(&mut bits, top_layer) })
    }
}

fn read_frame_rate(bits: &mut BitReader<'_>, top_layer: u32) -> Option<f64> {
    let first_layer = if bits.flag()? { 0 } else { top_layer };
    for _ in first_layer..=top_layer {
        for _ in 0..3 {
            bits.ue()?;
        }
    }
    let max_layer_id = bits.bits(6)?;
    for _ in 0..bits.ue_to(1023)? {
        bits.skip(max_layer_id + 1)?;
    }
    if bits.flag()? { read_timing(bits) } else { None }
}

/// A picture parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pps {
    /// `pps_pic_parameter_set_id`, 63 at most.
    pub id: u8,
    /// The sequence parameter set that it refers to.
    pub sps_id: u8,
    /// Slices say whether their picture is shown at all.
    pub has_output_flag: bool,
    /// Bits in slice headers before the slice type.
    pub extra_bits: u8,
}

impl Pps {
    /// Parses a NAL unit with its header.
    pub fn parse(nal: &[u8]) -> Option<Pps> {
        let mut bits = BitReader::of_nal(nal);
        bits.skip(16)?;
        let id = bits.ue_to(63)? as u8;
        let sps_id = bits.ue_to(15)? as u8;
        bits.skip(1)?;
        let has_output_flag = bits.flag()?;
        let extra_bits = bits.bits(3)? as u8;
        Some(Pps { id, sps_id, has_output_flag, extra_bits })
    }
}
