//! H.265: NAL unit types, parameter sets, slice headers, picture order, configuration records (ITU-T H.265, ISO 14496-15).
//!
//! In: NAL units without start codes, length-prefixed samples, records. Out: what is needed to cut a stream into access units and
//! to know when a picture is shown. Not here: decoding anything behind a slice's picture order count; layers above the base
//! layer. Total: broken units give `None`.

mod order;
mod record;
mod sets;
mod slice;
mod sps;

pub use order::OrderCounter;
pub use record::{Record, build_record};
pub use sets::{Pps, Vps};
pub use slice::SliceHeader;
pub use sps::Sps;

use super::nal::Units;

/// `nal_unit_type` of a NAL unit's first byte.
pub const fn nal_type(first: u8) -> u8 {
    first >> 1 & 0x3f
}

/// `nuh_layer_id` of a NAL unit: 0 for the base layer. `None` if the header is cut off.
pub fn layer(nal: &[u8]) -> Option<u8> {
    let header = nal.get(..2)?;
    Some((header[0] & 1) << 5 | header[1] >> 3)
}

/// `TemporalId` of a NAL unit. `None` if the header is cut off, or forbidden.
pub fn temporal_id(nal: &[u8]) -> Option<u8> {
    (nal.get(1)? & 7).checked_sub(1)
}

/// Instantaneous decoding refresh, with RADL pictures perhaps.
pub const IDR_W_RADL: u8 = 19;
/// Instantaneous decoding refresh without leading pictures.
pub const IDR_N_LP: u8 = 20;
/// Clean random access: pictures behind it that are shown before it may need what was before it.
pub const CRA: u8 = 21;
/// Video parameter set.
pub const VPS: u8 = 32;
/// Sequence parameter set.
pub const SPS: u8 = 33;
/// Picture parameter set.
pub const PPS: u8 = 34;
/// Access unit delimiter.
pub const AUD: u8 = 35;
/// End of sequence.
pub const END_OF_SEQUENCE: u8 = 36;
/// End of bitstream.
pub const END_OF_STREAM: u8 = 37;
/// Filler data.
pub const FILLER: u8 = 38;

/// Types of slices.
pub const fn is_slice(nal_type: u8) -> bool {
    nal_type < 32
}

/// Intra random access point: decoding can start with this picture.
pub const fn is_irap(nal_type: u8) -> bool {
    matches!(nal_type, 16..=23)
}

/// IDR picture.
pub const fn is_idr(nal_type: u8) -> bool {
    matches!(nal_type, IDR_W_RADL | IDR_N_LP)
}

/// Broken link access: its RASL pictures can never be decoded.
pub const fn is_bla(nal_type: u8) -> bool {
    matches!(nal_type, 16..=18)
}

/// Random access skipped leading: follows an IRAP picture, is shown before it, and cannot be decoded if decoding
/// started with that.
pub const fn is_rasl(nal_type: u8) -> bool {
    matches!(nal_type, 8 | 9)
}

/// Random access decodable leading: follows an IRAP picture and is shown before it.
pub const fn is_radl(nal_type: u8) -> bool {
    matches!(nal_type, 6 | 7)
}

/// Sub-layer non-reference picture.
pub const fn is_sublayer_non_reference(nal_type: u8) -> bool {
    nal_type < 16 && nal_type % 2 == 0
}

/// Behind the last slice of a picture, a unit of this type belongs to the next one (7.4.2.4.4).
pub const fn begins_access_unit(nal_type: u8) -> bool {
    matches!(nal_type, VPS..=AUD | 39 | 41..=44 | 48..=55)
}

/// The type of a sample's first slice, the sample having lengths of `length_size` bytes: whether it is IRAP, RASL, RADL.
/// `None` if there is no slice.
pub fn sample_type(sample: &[u8], length_size: u8) -> Option<u8> {
    let mut types =
        Units::new(sample, length_size).filter_map(|unit| unit.first().map(|first| nal_type(*first)));
    types.find(|nal_type| is_slice(*nal_type))
}

#[cfg(test)]
mod tests;
