//! H.264 sequence parameter sets (7.3.2.1.1, E.1.1), up to what reordering and timing need.

use crate::codec::{bits::BitReader, nal};
use alloc::vec::Vec;

/// A sequence parameter set.
#[derive(Clone, Debug, PartialEq)]
pub struct Sps {
    /// `seq_parameter_set_id`, 31 at most.
    pub id: u8,
    /// `profile_idc`.
    pub profile: u8,
    /// The constraint flags behind it.
    pub compatibility: u8,
    /// `level_idc`: ten times the level.
    pub level: u8,
    /// `chroma_format_idc`: 1 is 4:2:0.
    pub chroma_format: u8,
    /// Each colour plane is coded like a picture of its own.
    pub has_separate_planes: bool,
    /// Bits of a luma sample.
    pub luma_depth: u8,
    /// Bits of a chroma sample.
    pub chroma_depth: u8,
    /// Bits of `frame_num`.
    pub frame_num_bits: u8,
    /// How slices say in which order pictures are shown.
    pub order: PicOrder,
    /// Every picture is a frame, none a field.
    pub is_frames_only: bool,
    /// In pixels, as shown.
    pub width: u32,
    /// In pixels, as shown.
    pub height: u32,
    /// Frames per second, of those that say.
    pub frame_rate: Option<f64>,
    /// How many pictures at most are decoded before one that is shown before them; unknown if it does not say.
    pub max_reorder: Option<u8>,
}

/// `pic_order_cnt_type` with its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PicOrder {
    /// Type 0: slices hold the low bits.
    Lsb {
        /// How many.
        bits: u8,
    },
    /// Type 1: a cycle of expected steps, from which slices differ.
    Cycle {
        /// They never do.
        is_exact: bool,
        /// For pictures that nothing refers to.
        non_reference: i32,
        /// From a frame's top field to its bottom field.
        top_to_bottom: i32,
        /// The steps, 255 at most.
        steps: Vec<i32>,
    },
    /// Type 2: shown in the order of decoding.
    Decoding,
}

impl Sps {
    /// Parses a NAL unit with its header byte.
    pub fn parse(nal: &[u8]) -> Option<Sps> {
        let mut bits = BitReader::of_nal(nal);
        bits.skip(8)?;
        let (profile, compatibility, level) = (bits.u8()?, bits.u8()?, bits.u8()?);
        let id = bits.ue_to(31)? as u8;
        let (mut chroma_format, mut has_separate_planes, mut luma_depth, mut chroma_depth) = (1, false, 8, 8);
        if is_high(profile) {
            chroma_format = bits.ue_to(3)? as u8;
            has_separate_planes = chroma_format == 3 && bits.flag()?;
            luma_depth = 8 + bits.ue_to(6)? as u8;
            chroma_depth = 8 + bits.ue_to(6)? as u8;
            bits.skip(1)?;
            if bits.flag()? {
                for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                    if bits.flag()? {
                        skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        let frame_num_bits = 4 + bits.ue_to(12)? as u8;
        let order = pic_order(&mut bits)?;
        bits.ue()?;
        bits.skip(1)?;
        let width_in_blocks = 1 + bits.ue_to(MAX_BLOCKS - 1)?;
        let height_in_units = 1 + bits.ue_to(MAX_BLOCKS - 1)?;
        let is_frames_only = bits.flag()?;
        if !is_frames_only {
            bits.skip(1)?;
        }
        bits.skip(1)?;
        let fields = if is_frames_only { 1 } else { 2 };
        let (mut width, mut height) = (16 * width_in_blocks, 16 * height_in_units * fields);
        if bits.flag()? {
            let crop: [u32; 4] = [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?];
            let has_chroma = chroma_format != 0 && !has_separate_planes;
            let unit_x = if has_chroma && chroma_format < 3 { 2 } else { 1 };
            let unit_y = fields * if has_chroma && chroma_format == 1 { 2 } else { 1 };
            width = cropped(width, unit_x, crop[0], crop[1])?;
            height = cropped(height, unit_y, crop[2], crop[3])?;
        }
        let mut sps = Sps {
            id,
            profile,
            compatibility,
            level,
            chroma_format,
            has_separate_planes,
            luma_depth,
            chroma_depth,
            frame_num_bits,
            order,
            is_frames_only,
            width,
            height,
            frame_rate: None,
            max_reorder: None,
        };
        sps.max_reorder = sps.implied_reorder();
        // What is wrong from here on costs the timing alone.
        if bits.flag().unwrap_or(false) {
            let _ = sps.read_vui(&mut bits);
        }
        Some(sps)
    }

    /// What other fields say about reordering (E.2.1, and that Baseline has no B-pictures).
    fn implied_reorder(&self) -> Option<u8> {
        let is_intra_only =
            self.compatibility & 0x10 != 0 && matches!(self.profile, 44 | 86 | 100 | 110 | 122 | 244);
        let is_in_order = self.order == PicOrder::Decoding || self.profile == BASELINE || is_intra_only;
        is_in_order.then_some(0)
    }

    fn read_vui(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        nal::skip_picture_description(bits)?;
        if bits.flag()? {
            let (tick, scale) = (bits.bits(32)?, bits.bits(32)?);
            bits.skip(1)?;
            if tick != 0 && scale != 0 {
                // A tick is a field's time.
                self.frame_rate = Some(f64::from(scale) / f64::from(tick) / 2.0);
            }
        }
        let has_nal_hrd = bits.flag()?;
        if has_nal_hrd {
            skip_hrd(bits)?;
        }
        let has_vcl_hrd = bits.flag()?;
        if has_vcl_hrd {
            skip_hrd(bits)?;
        }
        if has_nal_hrd || has_vcl_hrd {
            bits.skip(1)?;
        }
        bits.skip(1)?;
        if bits.flag()? {
            bits.skip(1)?;
            for _ in 0..4 {
                bits.ue()?;
            }
            self.max_reorder = Some(bits.ue_to(16)? as u8);
        }
        Some(())
    }
}

fn skip_hrd(bits: &mut BitReader<'_>) -> Option<()> {
    let count = 1 + bits.ue_to(31)?;
    bits.skip(8)?;
    for _ in 0..count {
        bits.ue()?;
        bits.ue()?;
        bits.skip(1)?;
    }
    bits.skip(20)
}

fn pic_order(bits: &mut BitReader<'_>) -> Option<PicOrder> {
    Some(match bits.ue()? {
        0 => PicOrder::Lsb { bits: 4 + bits.ue_to(12)? as u8 },
        1 => {
            let (is_exact, non_reference, top_to_bottom) = (bits.flag()?, bits.se()?, bits.se()?);
            let count = bits.ue_to(255)?;
            let steps = (0..count).map(|_| bits.se()).collect::<Option<Vec<i32>>>()?;
            PicOrder::Cycle { is_exact, non_reference, top_to_bottom, steps }
        }
        2 => PicOrder::Decoding,
        _ => return None,
    })
}

fn skip_scaling_list(bits: &mut BitReader<'_>, len: u32) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..len {
        if next != 0 {
            next = last.wrapping_add(bits.se()?).wrapping_add(256) & 0xff;
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// `None` if nothing is left.
fn cropped(size: u32, unit: u32, before: u32, after: u32) -> Option<u32> {
    let cut = before.checked_add(after)?.checked_mul(unit)?;
    size.checked_sub(cut).filter(|left| *left > 0)
}

/// Profiles with the chroma fields.
pub(super) const fn is_high(profile: u8) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

/// Blocks of 16 pixels in a row or column: 65536 pixels, four times the most of the highest level.
const MAX_BLOCKS: u32 = 4096;
const BASELINE: u8 = 66;
