//! HEVCDecoderConfigurationRecord, the `hvcC` box and the HEVC sequence header (ISO 14496-15, 8.3.3.1).

use super::{PPS, SPS, Sps, VPS};
use crate::{base::wire::Cursor, codec::nal::append_set};
use alloc::vec::Vec;

/// A parsed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Bytes of the length before each NAL unit of a sample: 1 to 4.
    pub length_size: u8,
    /// Video parameter sets.
    pub vps: Vec<&'a [u8]>,
    /// Sequence parameter sets.
    pub sps: Vec<&'a [u8]>,
    /// Picture parameter sets.
    pub pps: Vec<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// Parses a record. Arrays of other NAL units, such as SEI, are passed over.
    pub fn parse(record: &'a [u8]) -> Option<Record<'a>> {
        let mut cursor = Cursor::new(record);
        let head = cursor.take(23)?;
        // Version 0 was written by early muxers.
        if head[0] > 1 {
            return None;
        }
        let mut parsed =
            Record { length_size: (head[21] & 3) + 1, vps: Vec::new(), sps: Vec::new(), pps: Vec::new() };
        for _ in 0..head[22] {
            let nal_type = cursor.u8()? & 0x3f;
            for _ in 0..cursor.u16()? {
                let len = cursor.u16()?;
                let nal = cursor.take(usize::from(len))?;
                match nal_type {
                    VPS => parsed.vps.push(nal),
                    SPS => parsed.sps.push(nal),
                    PPS => parsed.pps.push(nal),
                    _ => {}
                }
            }
        }
        Some(parsed)
    }
}

/// A record for lengths of 4 bytes, with one video and one sequence parameter set; it promises that there are no others in the stream.
/// `None` if the latter cannot be parsed, or one has 64 KiB.
pub fn build_record(vps: &[u8], sps: &[u8], pps: &[&[u8]]) -> Option<Vec<u8>> {
    let parsed = Sps::parse(sps)?;
    let pps_len = pps.iter().map(|pps| pps.len() + 2).sum::<usize>();
    let mut record = Vec::with_capacity(40 + vps.len() + sps.len() + pps_len);
    record.push(1);
    record.extend_from_slice(&parsed.profile_tier_level);
    // No word about spatial segmentation, parallel decoding and frame rate.
    record.extend_from_slice(&[0xf0, 0, 0xfc, 0xfc | parsed.chroma_format]);
    record.extend_from_slice(&[0xf8 | (parsed.luma_depth - 8), 0xf8 | (parsed.chroma_depth - 8), 0, 0]);
    record.push(parsed.temporal_layers << 3 | u8::from(parsed.is_nested) << 2 | 3);
    record.push(3);
    for (nal_type, nals) in [(VPS, &[vps][..]), (SPS, &[sps]), (PPS, pps)] {
        record.push(0x80 | nal_type);
        record.extend_from_slice(&u16::try_from(nals.len()).ok()?.to_be_bytes());
        for nal in nals {
            append_set(&mut record, nal)?;
        }
    }
    Some(record)
}
