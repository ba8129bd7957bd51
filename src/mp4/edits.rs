//! Edit lists: where in its media a track's presentation begins (ISO 14496-12, 8.6.6).
//!
//! Honoured: a delay, and the media time of the first part that is shown. A list of several parts would need frames
//! to be left out and repeated; it is played as if its first part had no end.

use crate::base::wire::Cursor;

/// The media time at which the presentation is at 0, negative for a track that starts late. `elst` is the content of
/// the box; `None` stands for a list that is broken or empty, and means the same as none at all.
pub(crate) fn start(elst: &[u8], movie_timescale: u32, timescale: u32) -> Option<i64> {
    let mut cursor = Cursor::new(elst);
    let is_long = cursor.u32()? >> 24 == 1;
    let count = cursor.u32()?;
    let mut delay = 0i64;
    for index in 0..count {
        let (duration, media_time) = if is_long {
            (read_u64(&mut cursor)?, read_u64(&mut cursor)? as i64)
        } else {
            (u64::from(cursor.u32()?), i64::from(cursor.u32()? as i32))
        };
        cursor.u32()?;
        if media_time >= 0 {
            if index + 1 < count {
                log::info!("an edit list of several parts is played as if the first had no end");
            }
            return media_time.checked_sub(delay);
        }
        delay = delay.checked_add(rescale(duration, timescale, movie_timescale)?)?;
    }
    None
}

/// `duration` of one timescale in another, to the nearest.
fn rescale(duration: u64, to: u32, from: u32) -> Option<i64> {
    let (duration, to, from) = (u128::from(duration), u128::from(to), u128::from(from));
    i64::try_from((duration * to + from / 2).checked_div(from)?).ok()
}

fn read_u64(cursor: &mut Cursor<'_>) -> Option<u64> {
    Some(u64::from(cursor.u32()?) << 32 | u64::from(cursor.u32()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn list(entries: &[(u32, i32)]) -> Vec<u8> {
        let mut bytes = [0u32, entries.len() as u32].map(u32::to_be_bytes).concat();
        for (duration, media_time) in entries {
            bytes.extend([*duration, *media_time as u32, 0x1_0000].map(u32::to_be_bytes).concat());
        }
        bytes
    }

    #[test]
    fn the_first_part_and_the_delay_before_it_count() {
        for (entries, expected) in [
            (&[(5000, 1024)][..], Some(1024)),
            (&[(80, -1), (0, 1024)], Some(1024 - 3840)),
            (&[(80, -1), (20, -1), (0, 0)], Some(-4800)),
            (&[(5000, 1024), (100, 9)], Some(1024)),
            (&[(80, -1)], None),
            (&[], None),
        ] {
            assert_eq!(start(&list(entries), 1000, 48_000), expected, "{entries:?}");
        }
    }

    #[test]
    fn long_entries_are_read() {
        let mut bytes = [1u32 << 24, 2].map(u32::to_be_bytes).concat();
        for (duration, media_time) in [(1u64 << 33, -1i64), (0, 7)] {
            bytes.extend(duration.to_be_bytes());
            bytes.extend(media_time.to_be_bytes());
            bytes.extend([0, 1, 0, 0]);
        }
        assert_eq!(start(&bytes, 1000, 1000), Some(7 - (1 << 33)));
    }

    #[test]
    fn lies_are_no_list() {
        let bytes = list(&[(80, -1), (0, 1024)]);
        for len in 0..bytes.len() {
            assert_eq!(start(&bytes[..len], 1000, 48_000), None, "{len}");
        }
        assert_eq!(start(&bytes, 0, 48_000), None, "a timescale of 0");
        let mut bytes = [1u32 << 24, 1].map(u32::to_be_bytes).concat();
        bytes.extend([u64::MAX, i64::MAX as u64].map(u64::to_be_bytes).concat());
        bytes.extend([0; 4]);
        assert_eq!(start(&bytes, 1, u32::MAX), Some(i64::MAX));
    }
}
