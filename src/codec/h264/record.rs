//! AVCDecoderConfigurationRecord, the `avcC` box and FLV's AVC sequence header (ISO 14496-15, 5.3.3.1).

use super::sps::{Sps, is_high};
use crate::{base::wire::Cursor, codec::nal::append_set};
use alloc::vec::Vec;

/// A parsed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Bytes of the length before each NAL unit of a sample: 1 to 4.
    pub length_size: u8,
    /// Sequence parameter sets. There may be none: some encoders send an empty record first.
    pub sps: Vec<&'a [u8]>,
    /// Picture parameter sets.
    pub pps: Vec<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// Parses a record; what is behind the picture parameter sets does not matter.
    pub fn parse(record: &'a [u8]) -> Option<Record<'a>> {
        let mut cursor = Cursor::new(record);
        let head = cursor.take(6)?;
        if head[0] != 1 {
            return None;
        }
        let length_size = (head[4] & 3) + 1;
        let sps = sets(&mut cursor, head[5] & 0x1f)?;
        let count = cursor.u8()?;
        let pps = sets(&mut cursor, count)?;
        Some(Record { length_size, sps, pps })
    }
}

fn sets<'a>(cursor: &mut Cursor<'a>, count: u8) -> Option<Vec<&'a [u8]>> {
    (0..count)
        .map(|_| {
            let len = cursor.u16()?;
            cursor.take(usize::from(len))
        })
        .collect()
}

/// A record for lengths of 4 bytes, with one sequence parameter set. `None` if that cannot be parsed, there are more than
/// 255 picture parameter sets, or one has 64 KiB.
pub fn build_record(sps: &[u8], pps: &[&[u8]]) -> Option<Vec<u8>> {
    let parsed = Sps::parse(sps)?;
    let mut record = Vec::with_capacity(16 + sps.len() + pps.iter().map(|pps| pps.len() + 2).sum::<usize>());
    record.extend_from_slice(&[1, parsed.profile, parsed.compatibility, parsed.level, 0xff, 0xe1]);
    append_set(&mut record, sps)?;
    record.push(u8::try_from(pps.len()).ok()?);
    for pps in pps {
        append_set(&mut record, pps)?;
    }
    if is_high(parsed.profile) {
        let depths = [0xf8 | (parsed.luma_depth - 8), 0xf8 | (parsed.chroma_depth - 8)];
        record.extend_from_slice(&[0xfc | parsed.chroma_format, depths[0], depths[1], 0]);
    }
    Some(record)
}
