//! H.265 slice segment headers (7.3.6.1) up to the picture order count.

use super::{Pps, Sps, is_idr, is_irap, nal_type};
use crate::codec::bits::BitReader;

/// The beginning of a picture's first slice segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceHeader {
    /// `nal_unit_type`.
    pub nal_type: u8,
    /// `TemporalId`.
    pub temporal_id: u8,
    /// The picture parameter set that it refers to.
    pub pps_id: u8,
    /// Low bits of the order count; 0 in IDR pictures.
    pub order_lsb: u32,
}

impl SliceHeader {
    /// Whether a picture begins with this slice segment. The beginning of a NAL unit will do.
    pub fn begins_picture(nal: &[u8]) -> bool {
        nal.get(2).is_some_and(|third| third & 0x80 != 0)
    }

    /// The picture parameter set of a picture's first slice segment.
    pub fn pps_id(nal: &[u8]) -> Option<u8> {
        let mut bits = BitReader::of_nal(nal);
        skip_to_pps(&mut bits, nal)?;
        Some(bits.ue_to(63)? as u8)
    }

    /// Parses the first slice segment of a picture, or the beginning of it.
    pub fn parse(nal: &[u8], sps: &Sps, pps: &Pps) -> Option<SliceHeader> {
        let nal_type = nal_type(*nal.first()?);
        let temporal_id = super::temporal_id(nal)?;
        let mut bits = BitReader::of_nal(nal);
        skip_to_pps(&mut bits, nal)?;
        let pps_id = bits.ue_to(63)? as u8;
        bits.skip(u32::from(pps.extra_bits))?;
        bits.ue()?;
        if pps.has_output_flag {
            bits.skip(1)?;
        }
        if sps.has_separate_planes {
            bits.skip(2)?;
        }
        let order_lsb = if is_idr(nal_type) { 0 } else { bits.bits(u32::from(sps.order_bits))? };
        Some(SliceHeader { nal_type, temporal_id, pps_id, order_lsb })
    }
}

fn skip_to_pps(bits: &mut BitReader<'_>, nal: &[u8]) -> Option<()> {
    let is_irap = is_irap(nal_type(*nal.first()?));
    bits.skip(if is_irap { 18 } else { 17 })
}
