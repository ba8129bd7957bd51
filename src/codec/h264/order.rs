//! H.264 picture order counts (8.2.1): numbers that grow in the order in which a sequence's pictures are shown.

use super::{PicOrder, SliceHeader, Sps};

/// What has to be remembered from one picture, or field, to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderCounter {
    /// Of the last reference picture.
    previous_msb: i32,
    previous_lsb: i32,
    /// Of the last picture.
    previous_frame_num: u32,
    frame_num_offset: u32,
}

impl OrderCounter {
    /// The order count of the picture that `slice` is the first of; for a frame that of the field that is shown first. To be asked once
    /// for each picture and field, in the order of decoding.
    pub fn count(&mut self, sps: &Sps, slice: &SliceHeader) -> i32 {
        if slice.is_idr {
            *self = OrderCounter::default();
        }
        let [top, bottom] = match &sps.order {
            PicOrder::Lsb { bits } => self.unwrapped(*bits, slice),
            PicOrder::Cycle { non_reference, top_to_bottom, steps, .. } => {
                let expected = self.expected(sps.frame_num_bits, slice, steps, *non_reference);
                let first = expected.wrapping_add(slice.order_deltas[0]);
                [first, first.wrapping_add(*top_to_bottom).wrapping_add(slice.order_deltas[1])]
            }
            PicOrder::Decoding => {
                let number = self.unwrapped_frame_num(sps.frame_num_bits, slice);
                let count = (number.wrapping_mul(2) as i32).wrapping_sub(i32::from(!slice.is_reference));
                [count; 2]
            }
        };
        match (slice.is_field, slice.is_bottom) {
            (false, _) => top.min(bottom),
            (true, false) => top,
            (true, true) => bottom,
        }
    }

    /// 8.2.1.1.
    fn unwrapped(&mut self, bits: u8, slice: &SliceHeader) -> [i32; 2] {
        let lsb = slice.order_lsb as i32;
        let msb = next_msb(bits, lsb, self.previous_lsb, self.previous_msb);
        if slice.is_reference {
            (self.previous_msb, self.previous_lsb) = (msb, lsb);
        }
        let count = msb.wrapping_add(lsb);
        [count, count.wrapping_add(slice.order_bottom)]
    }

    /// 8.2.1.2.
    fn expected(
        &mut self,
        frame_num_bits: u8,
        slice: &SliceHeader,
        steps: &[i32],
        non_reference: i32,
    ) -> i32 {
        let mut number = self.unwrapped_frame_num(frame_num_bits, slice);
        if steps.is_empty() {
            number = 0;
        } else if !slice.is_reference && number > 0 {
            number -= 1;
        }
        let mut expected = 0i32;
        if number > 0 {
            let len = steps.len() as u32;
            let sum = |steps: &[i32]| steps.iter().fold(0i32, |sum, step| sum.wrapping_add(*step));
            let (cycles, last) = ((number - 1) / len, (number - 1) % len);
            expected = sum(steps).wrapping_mul(cycles as i32).wrapping_add(sum(&steps[..=last as usize]));
        }
        if slice.is_reference { expected } else { expected.wrapping_add(non_reference) }
    }

    fn unwrapped_frame_num(&mut self, frame_num_bits: u8, slice: &SliceHeader) -> u32 {
        if self.previous_frame_num > slice.frame_num {
            self.frame_num_offset = self.frame_num_offset.wrapping_add(1 << frame_num_bits);
        }
        self.previous_frame_num = slice.frame_num;
        self.frame_num_offset.wrapping_add(slice.frame_num)
    }
}

/// The high part of an order count of which `lsb` are the low `bits` bits: the one that brings it closest to the one before. H.265
/// does the same (8.3.1).
pub(in crate::codec) fn next_msb(bits: u8, lsb: i32, previous_lsb: i32, previous_msb: i32) -> i32 {
    let cycle = 1i32 << bits;
    if lsb < previous_lsb && previous_lsb - lsb >= cycle / 2 {
        previous_msb.wrapping_add(cycle)
    } else if lsb > previous_lsb && lsb - previous_lsb > cycle / 2 {
        previous_msb.wrapping_sub(cycle)
    } else {
        previous_msb
    }
}
