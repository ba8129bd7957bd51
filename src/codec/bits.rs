//! Reads bits, most significant first, and the Exp-Golomb numbers of H.264 and H.265 (9.1, 9.2).
//!
//! In: bytes, plain or of a NAL unit, whose emulation prevention bytes (7.3.1.1) are passed over on the way. Nothing is
//! copied. Not here: what the bits mean. Total: every read is checked, and the end of the bytes gives `None`.

/// A position in bits.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    rest: &'a [u8],
    current: u8,
    /// Bits of `current` that are not read yet.
    left: u8,
    /// Zero bytes just before `rest`, counted up to 2. Stays 0 in plain bytes.
    zeros: u8,
    is_escaped: bool,
}

impl<'a> BitReader<'a> {
    /// Reads plain bytes.
    pub const fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { rest: bytes, current: 0, left: 0, zeros: 0, is_escaped: false }
    }

    /// Reads a NAL unit or the start of one, passing over its emulation prevention bytes.
    pub const fn of_nal(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { rest: bytes, current: 0, left: 0, zeros: 0, is_escaped: true }
    }

    /// One bit as a flag.
    pub fn flag(&mut self) -> Option<bool> {
        self.bits(1).map(|bit| bit == 1)
    }

    /// `count` bits, 32 at most; more give `None`.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        if count > 32 {
            return None;
        }
        let (mut value, mut wanted) = (0u64, count);
        while wanted > 0 {
            if self.left == 0 {
                self.load()?;
            }
            let taken = wanted.min(u32::from(self.left));
            let shift = u32::from(self.left) - taken;
            let part = u32::from(self.current) >> shift & ((1 << taken) - 1);
            value = value << taken | u64::from(part);
            self.left -= taken as u8;
            wanted -= taken;
        }
        Some(value as u32)
    }

    /// Eight bits.
    pub fn u8(&mut self) -> Option<u8> {
        self.bits(8).map(|byte| byte as u8)
    }

    /// Passes over `count` bits.
    pub fn skip(&mut self, mut count: u32) -> Option<()> {
        while count > 0 {
            let step = count.min(32);
            self.bits(step)?;
            count -= step;
        }
        Some(())
    }

    /// An unsigned Exp-Golomb number, below 2^32 - 1.
    pub fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let suffix = self.bits(zeros)?;
        Some(((1u64 << zeros) - 1 + u64::from(suffix)) as u32)
    }

    /// An unsigned Exp-Golomb number of `most` at most, which a larger one breaks.
    pub fn ue_to(&mut self, most: u32) -> Option<u32> {
        self.ue().filter(|value| *value <= most)
    }

    /// A signed Exp-Golomb number.
    pub fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        let magnitude = (code + 1) / 2;
        Some(if code % 2 == 1 { magnitude } else { -magnitude } as i32)
    }

    fn load(&mut self) -> Option<()> {
        let mut byte = self.next_byte()?;
        if self.is_escaped {
            if self.zeros == 2 && byte == 3 {
                self.zeros = 0;
                byte = self.next_byte()?;
            }
            self.zeros = if byte == 0 { (self.zeros + 1).min(2) } else { 0 };
        }
        self.current = byte;
        self.left = 8;
        Some(())
    }

    fn next_byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_numbers_are_those_of_the_tables() {
        // 1 010 011 00100 00101 0001000, then a stop.
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_1000, 0x80];
        let mut bits = BitReader::new(&bytes);
        let read: [Option<u32>; 6] = core::array::from_fn(|_| bits.ue());
        assert_eq!(read, [Some(0), Some(1), Some(2), Some(3), Some(4), Some(7)]);
        let mut bits = BitReader::new(&bytes);
        let read: [Option<i32>; 6] = core::array::from_fn(|_| bits.se());
        assert_eq!(read, [Some(0), Some(1), Some(-1), Some(2), Some(-2), Some(4)]);
        let largest = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe];
        assert_eq!(BitReader::new(&largest).ue(), Some(u32::MAX - 1));
        assert_eq!(BitReader::new(&largest).se(), Some(-0x7fff_ffff));
        assert_eq!(BitReader::new(&largest).ue_to(u32::MAX - 2), None);
        assert_eq!(
            BitReader::new(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]).ue(),
            None,
            "more than 32 bits"
        );
    }

    #[test]
    fn emulation_prevention_bytes_are_passed_over_in_nal_units_alone() {
        let bytes = [0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3];
        let mut escaped = BitReader::of_nal(&bytes);
        assert_eq!(core::array::from_fn(|_| escaped.u8()), [0, 0, 1, 0, 0, 0, 0, 3].map(Some));
        assert_eq!(escaped.u8(), None);
        let mut plain = BitReader::new(&bytes);
        assert_eq!((plain.bits(24), plain.bits(32)), (Some(3), Some(0x0100_0003)));
    }

    #[test]
    fn the_end_gives_none_and_nothing_worse() {
        let mut bits = BitReader::new(&[0xa5]);
        assert_eq!(
            (bits.bits(0), bits.bits(3), bits.flag(), bits.bits(4)),
            (Some(0), Some(5), Some(false), Some(5))
        );
        assert_eq!(
            (bits.bits(0), bits.flag(), bits.ue(), bits.skip(1), bits.bits(33)),
            (Some(0), None, None, None, None)
        );
        assert_eq!(BitReader::of_nal(&[0, 0, 3]).bits(24), None);
    }
}
