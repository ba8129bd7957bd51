//! H.265 picture order counts (8.3.1): numbers that grow in the order in which a sequence's pictures are shown.

use super::{SliceHeader, Sps, is_bla, is_idr, is_irap, is_radl, is_rasl, is_sublayer_non_reference};
use crate::codec::h264::next_msb;

/// What has to be remembered from one picture to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderCounter {
    /// Of the last picture of temporal layer 0 that others may need.
    previous_msb: i32,
    previous_lsb: i32,
    is_sequence_over: bool,
}

impl Default for OrderCounter {
    fn default() -> OrderCounter {
        OrderCounter { previous_msb: 0, previous_lsb: 0, is_sequence_over: true }
    }
}

impl OrderCounter {
    /// An end-of-sequence unit came: the next picture begins anew.
    pub fn end_sequence(&mut self) {
        self.is_sequence_over = true;
    }

    /// Whether a sequence begins with an IRAP picture of this type, so that the counts before and behind it do not
    /// compare, and its RASL pictures cannot be decoded (`NoRaslOutputFlag`).
    pub fn begins_sequence(&self, nal_type: u8) -> bool {
        is_irap(nal_type) && (self.is_sequence_over || is_idr(nal_type) || is_bla(nal_type))
    }

    /// The order count of the picture that `slice` is the first of. To be asked once for each picture, in the order of decoding.
    pub fn count(&mut self, sps: &Sps, slice: &SliceHeader) -> i32 {
        let lsb = slice.order_lsb as i32;
        let msb = if self.begins_sequence(slice.nal_type) {
            0
        } else {
            next_msb(sps.order_bits, lsb, self.previous_lsb, self.previous_msb)
        };
        self.is_sequence_over = false;
        let is_discardable =
            is_rasl(slice.nal_type) || is_radl(slice.nal_type) || is_sublayer_non_reference(slice.nal_type);
        if slice.temporal_id == 0 && !is_discardable {
            (self.previous_msb, self.previous_lsb) = (msb, lsb);
        }
        msb.wrapping_add(lsb)
    }
}
