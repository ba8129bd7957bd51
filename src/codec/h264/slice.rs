//! H.264 slice headers (7.3.3) up to the picture order count, and where one picture ends and the next begins (7.4.1.2.4).

use super::{IDR_SLICE, PicOrder, Pps, Sps, is_reference, nal_type};
use crate::codec::bits::BitReader;

/// The beginning of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceHeader {
    /// Where in the picture it begins: 0 in the first slice.
    pub first_block: u32,
    /// The picture parameter set that it refers to.
    pub pps_id: u8,
    /// Later pictures may need this one.
    pub is_reference: bool,
    /// Of an IDR picture.
    pub is_idr: bool,
    /// `frame_num`.
    pub frame_num: u32,
    /// Of a field, not of a frame.
    pub is_field: bool,
    /// Of a bottom field.
    pub is_bottom: bool,
    /// Tells two IDR pictures in a row apart.
    pub idr_pic_id: u32,
    /// Low bits of the order count, type 0.
    pub order_lsb: u32,
    /// How much later the bottom field is shown, type 0.
    pub order_bottom: i32,
    /// Differences from the expected order, type 1.
    pub order_deltas: [i32; 2],
    /// Only repeats another slice.
    pub is_redundant: bool,
}

impl SliceHeader {
    /// `pic_parameter_set_id`, which says with which parameter sets the rest is to be read. The beginning of a NAL unit will do.
    pub fn pps_id(nal: &[u8]) -> Option<u8> {
        let mut bits = BitReader::of_nal(nal);
        bits.skip(8)?;
        bits.ue()?;
        bits.ue()?;
        Some(bits.ue_to(255)? as u8)
    }

    /// Parses a NAL unit of type 1, 2 or 5, or the beginning of one.
    pub fn parse(nal: &[u8], sps: &Sps, pps: &Pps) -> Option<SliceHeader> {
        let first = *nal.first()?;
        let mut bits = BitReader::of_nal(nal);
        bits.skip(8)?;
        let mut slice = SliceHeader {
            is_reference: is_reference(first),
            is_idr: nal_type(first) == IDR_SLICE,
            first_block: bits.ue()?,
            ..SliceHeader::default()
        };
        bits.ue()?;
        slice.pps_id = bits.ue_to(255)? as u8;
        if sps.has_separate_planes {
            bits.skip(2)?;
        }
        slice.frame_num = bits.bits(u32::from(sps.frame_num_bits))?;
        if !sps.is_frames_only {
            slice.is_field = bits.flag()?;
            slice.is_bottom = slice.is_field && bits.flag()?;
        }
        if slice.is_idr {
            slice.idr_pic_id = bits.ue()?;
        }
        let has_bottom_order = pps.has_bottom_order && !slice.is_field;
        match sps.order {
            PicOrder::Lsb { bits: width } => {
                slice.order_lsb = bits.bits(u32::from(width))?;
                if has_bottom_order {
                    slice.order_bottom = bits.se()?;
                }
            }
            PicOrder::Cycle { is_exact: false, .. } => {
                slice.order_deltas[0] = bits.se()?;
                if has_bottom_order {
                    slice.order_deltas[1] = bits.se()?;
                }
            }
            PicOrder::Cycle { .. } | PicOrder::Decoding => {}
        }
        slice.is_redundant = pps.has_redundant_count && bits.ue()? > 0;
        Some(slice)
    }

    /// Whether a picture begins with this slice, `previous` being the slice before it. What the standard compares, and
    /// the first block of a picture besides: some encoders never change the fields that are compared.
    pub fn begins_picture(&self, previous: &SliceHeader) -> bool {
        if self.is_redundant {
            return false;
        }
        self.first_block == 0
            || SliceHeader { first_block: 0, is_redundant: false, ..*self }
                != SliceHeader { first_block: 0, is_redundant: false, ..*previous }
    }

    /// Whether this is the other field of the frame whose first field `first` belongs to.
    pub fn completes_frame(&self, first: &SliceHeader) -> bool {
        self.is_field
            && first.is_field
            && self.is_bottom != first.is_bottom
            && self.frame_num == first.frame_num
            && (first.is_idr || !self.is_idr)
            && (first.is_reference || !self.is_reference)
    }
}
