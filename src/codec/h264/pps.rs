//! H.264 picture parameter sets (7.3.2.2), as far as slice headers need them.

use crate::codec::bits::BitReader;

/// A picture parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pps {
    /// `pic_parameter_set_id`.
    pub id: u8,
    /// The sequence parameter set that it refers to.
    pub sps_id: u8,
    /// Slices of frames hold the order of the bottom field as well.
    pub has_bottom_order: bool,
    /// Slices say whether they only repeat another.
    pub has_redundant_count: bool,
}

impl Pps {
    /// Parses a NAL unit with its header byte.
    pub fn parse(nal: &[u8]) -> Option<Pps> {
        let mut bits = BitReader::of_nal(nal);
        bits.skip(8)?;
        let id = bits.ue_to(255)? as u8;
        let sps_id = bits.ue_to(31)? as u8;
        bits.skip(1)?;
        let has_bottom_order = bits.flag()?;
        let groups = 1 + bits.ue_to(7)?;
        if groups > 1 {
            skip_slice_groups(&mut bits, groups)?;
        }
        bits.ue()?;
        bits.ue()?;
        bits.skip(3)?;
        for _ in 0..3 {
            bits.se()?;
        }
        bits.skip(2)?;
        let has_redundant_count = bits.flag()?;
        Some(Pps { id, sps_id, has_bottom_order, has_redundant_count })
    }
}

fn skip_slice_groups(bits: &mut BitReader<'_>, groups: u32) -> Option<()> {
    match bits.ue()? {
        0 => {
            for _ in 0..groups {
                bits.ue()?;
            }
        }
        1 => {}
        2 => {
            for _ in 0..2 * (groups - 1) {
                bits.ue()?;
            }
        }
        3..=5 => {
            bits.skip(1)?;
            bits.ue()?;
        }
        6 => {
            let blocks = bits.ue()?.checked_add(1)?;
            let width = u32::BITS - (groups - 1).leading_zeros();
            for _ in 0..blocks {
                bits.bits(width)?;
            }
        }
        _ => return None,
    }
    Some(())
}
