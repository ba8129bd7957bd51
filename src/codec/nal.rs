//! What H.264 and H.265 have in common: NAL units inside of records and samples, with a length before each instead of a start
//! code (ISO 14496-15), and the beginning of VUI parameters.

use super::bits::BitReader;
use alloc::vec::Vec;
use core::iter::FusedIterator;

/// Iterator over the NAL units of a sample. Ends before the first that is cut off.
#[derive(Clone, Debug)]
pub struct Units<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl<'a> Units<'a> {
    /// Splits `sample`, whose lengths have `length_size` bytes, 1 to 4, as its record says.
    pub fn new(sample: &'a [u8], length_size: u8) -> Units<'a> {
        Units { rest: sample, length_size: usize::from(length_size.clamp(1, 4)) }
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_at_checked(self.length_size)?;
        let length = length.iter().fold(0, |length, byte| length << 8 | *byte as usize);
        let Some((unit, rest)) = rest.split_at_checked(length) else {
            self.rest = &[];
            return None;
        };
        self.rest = rest;
        Some(unit)
    }
}

impl FusedIterator for Units<'_> {}

/// Appends a parameter set with its length in two bytes, as records hold it. `None` from 64 KiB on.
pub(super) fn append_set(record: &mut Vec<u8>, nal: &[u8]) -> Option<()> {
    record.extend_from_slice(&u16::try_from(nal.len()).ok()?.to_be_bytes());
    record.extend_from_slice(nal);
    Some(())
}

/// Passes over what VUI parameters of both codecs begin with: shape of the pixels, overscan, colours, place of the chroma
/// samples (H.264, E.1.1; H.265, E.2.1).
pub(super) fn skip_picture_description(bits: &mut BitReader<'_>) -> Option<()> {
    if bits.flag()? && bits.u8()? == EXTENDED_SAR {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    if bits.flag()? {
        bits.skip(4)?;
        if bits.flag()? {
            bits.skip(24)?;
        }
    }
    if bits.flag()? {
        bits.ue()?;
        bits.ue()?;
    }
    Some(())
}

/// `aspect_ratio_idc`: width and height of a pixel follow.
const EXTENDED_SAR: u8 = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn lengths_of_one_to_four_bytes_split_up_to_what_is_cut_off() {
        let sample = [0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x41, 0, 0, 0, 9, 1];
        assert_eq!(Units::new(&sample, 4).collect::<Vec<_>>(), [&[0x65, 1][..], &[0x41]]);
        assert_eq!(Units::new(&[2, 7, 8, 1, 9], 1).collect::<Vec<_>>(), [&[7, 8][..], &[9]]);
        assert_eq!(Units::new(&[0, 1, 7, 0], 2).collect::<Vec<_>>(), vec![&[7][..]]);
        assert_eq!(Units::new(&[0xff; 9], 4).next(), None);
    }
}
