//! AV1: the picture size in a configuration record (`av1C`, AV1 in ISO base media 2.3; AV1 5.5).
//!
//! Not here: frames. Total: broken bytes give `None`.

use super::bits::BitReader;

/// Width and height from the sequence header in a record.
pub fn dimensions(record: &[u8]) -> Option<(u32, u32)> {
    let (head, mut rest) = record.split_at_checked(4)?;
    if head[0] != 0x81 {
        return None;
    }
    loop {
        let (obu_type, payload, behind) = split_obu(rest)?;
        if obu_type == SEQUENCE_HEADER {
            return sequence_header(payload);
        }
        rest = behind;
    }
}

/// Type and payload of the first OBU, and what is behind it.
fn split_obu(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, mut rest) = bytes.split_first()?;
    if head & 4 != 0 {
        rest = rest.get(1..)?;
    }
    let obu_type = head >> 3 & 15;
    if head & 2 == 0 {
        return Some((obu_type, rest, &[]));
    }
    let mut len = 0u64;
    for index in 0..8 {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        len |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let (payload, behind) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            return Some((obu_type, payload, behind));
        }
    }
    None
}

fn sequence_header(payload: &[u8]) -> Option<(u32, u32)> {
    let mut bits = BitReader::new(payload);
    bits.skip(4)?;
    if bits.flag()? {
        bits.skip(5)?;
    } else {
        skip_operating_points(&mut bits)?;
    }
    let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
    Some((bits.bits(width_bits)? + 1, bits.bits(height_bits)? + 1))
}

fn skip_operating_points(bits: &mut BitReader<'_>) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.ue()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.bits(5)? + 1);
            bits.skip(42)?;
        }
    }
    let has_display_delay = bits.flag()?;
    for _ in 0..=bits.bits(5)? {
        bits.skip(12)?;
        if bits.bits(5)? > 7 {
            bits.skip(1)?;
        }
        if let Some(delay_bits) = delay_bits {
            let has_model = bits.flag()?;
            bits.skip(if has_model { 2 * delay_bits + 1 } else { 0 })?;
        }
        if has_display_delay {
            let has_delay = bits.flag()?;
            bits.skip(if has_delay { 4 } else { 0 })?;
        }
    }
    Some(())
}

const SEQUENCE_HEADER: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_sequence_header() {
        // libaom, 64x64.
        let record = [0x81, 0, 0x0c, 0, 0x0a, 0x0a, 0, 0, 0, 2, 0xaf, 0xff, 0x9b, 0x5f, 0x20, 0x08];
        let padded = [&record[..4], &[0x7a, 1, 0xff], &record[4..]].concat();
        for len in 0..record.len() {
            assert_eq!(dimensions(&record[..len]), None, "{len} bytes");
        }
        assert_eq!(dimensions(&padded), dimensions(&record));
        assert_eq!(dimensions(&record), Some((64, 64)));
    }
}
