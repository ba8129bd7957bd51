//! H.264: NAL unit types, parameter sets, slice headers, picture order, configuration records (ITU-T H.264, ISO 14496-15).
//!
//! In: NAL units without start codes, length-prefixed samples, records. Out: what is needed to cut a stream into access units and
//! to know when a picture is shown. Not here: decoding anything behind a slice's picture order count; MVC and SVC layers;
//! memory_management_control_operation 5, which resets the order count inside a sequence and which no known encoder uses.
//! Total: broken units give `None`.

mod order;
mod pps;
mod record;
mod slice;
mod sps;

pub use order::OrderCounter;
pub(super) use order::next_msb;
pub use pps::Pps;
pub use record::{Record, build_record};
pub use slice::SliceHeader;
pub use sps::{PicOrder, Sps};

use super::bits::BitReader;

/// `nal_unit_type`: the low five bits of a NAL unit's first byte.
pub const fn nal_type(first: u8) -> u8 {
    first & 0x1f
}

/// `nal_ref_idc` is not 0: later pictures may need this one.
pub const fn is_reference(first: u8) -> bool {
    first & 0x60 != 0
}

/// Slice of a picture that is no IDR picture.
pub const SLICE: u8 = 1;
/// First of the three data partitions of a slice.
pub const PARTITION_A: u8 = 2;
/// Slice of an IDR picture.
pub const IDR_SLICE: u8 = 5;
/// Supplemental enhancement information.
pub const SEI: u8 = 6;
/// Sequence parameter set.
pub const SPS: u8 = 7;
/// Picture parameter set.
pub const PPS: u8 = 8;
/// Access unit delimiter.
pub const AUD: u8 = 9;
/// End of sequence.
pub const END_OF_SEQUENCE: u8 = 10;
/// End of stream.
pub const END_OF_STREAM: u8 = 11;
/// Filler data.
pub const FILLER: u8 = 12;

/// Behind the last slice of a picture, a unit of this type belongs to the next one (7.4.1.2.3).
pub const fn begins_access_unit(nal_type: u8) -> bool {
    matches!(nal_type, SEI | SPS | PPS | AUD | 14..=18)
}

/// `recovery_frame_cnt` of a recovery point message in an SEI unit (D.1.8): pictures until decoding that starts here shows
/// something exact. 0 at the I-pictures of an open GOP.
pub fn recovery_point(sei: &[u8]) -> Option<u32> {
    let mut bits = BitReader::of_nal(sei);
    bits.skip(8)?;
    loop {
        let payload_type = sei_number(&mut bits)?;
        let len = sei_number(&mut bits)?;
        if payload_type == RECOVERY_POINT {
            return bits.ue();
        }
        for _ in 0..len {
            bits.skip(8)?;
        }
    }
}

/// A payload type or size: bytes of 255 and a last one, added up.
fn sei_number(bits: &mut BitReader<'_>) -> Option<u32> {
    let mut number = 0u32;
    loop {
        let byte = bits.u8()?;
        number = number.checked_add(u32::from(byte))?;
        if byte != 255 {
            return Some(number);
        }
    }
}

const RECOVERY_POINT: u32 = 6;

#[cfg(test)]
mod tests;
