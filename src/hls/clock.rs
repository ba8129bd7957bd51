//! Timestamps of one epoch -> milliseconds from its first frame, which may be negative.
//!
//! Each kind of media goes on from its own last frame, across the wrap of 32 bits. What is further away than [`MAX_GAP`] or goes back
//! further than [`MAX_STEP_BACK`] is another clock; the first frame of a kind has to fit to the other kind's.
//! Not the clock of recordings (`server/record`), which keeps gaps of hours and has the limits of FLV.

use crate::{base::Timestamp, flv::TagKind};

/// Milliseconds without a frame of a kind that players survive without a discontinuity; so long may a track be absent.
pub(super) const MAX_GAP: i64 = 10_000;
/// Milliseconds that a kind may step back: encoders that mix up the order of their frames.
const MAX_STEP_BACK: i64 = 1000;

/// The clock of an epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// Of audio and of video.
    last: [Option<(Timestamp, i64)>; 2],
}

/// Where a frame belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Milliseconds from the first frame.
    At(i64),
    /// The publisher's clock has jumped.
    Jump,
    /// The kind has another clock than the one that came first, or has not jumped with it yet.
    Foreign,
}

impl Clock {
    pub(super) fn place(&mut self, kind: TagKind, timestamp: Timestamp) -> Place {
        let index = usize::from(kind == TagKind::Video);
        let from = |(last, at): (Timestamp, i64)| {
            let step = i64::from(timestamp.wrapping_sub(last) as i32);
            (step, at + step)
        };
        let at = match (self.last[index].map(from), self.last[1 - index].map(from)) {
            (Some((step, _)), _) if !(-MAX_STEP_BACK..=MAX_GAP).contains(&step) => return Place::Jump,
            (Some((_, at)), _) => at,
            (None, Some((step, _))) if step.abs() > MAX_GAP => return Place::Foreign,
            (None, Some((_, at))) => at,
            (None, None) => 0,
        };
        self.last[index] = Some((timestamp, at));
        Place::At(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TagKind::{Audio, Video};

    #[test]
    fn both_kinds_count_from_the_first_frame_across_the_wrap() {
        let mut clock = Clock::default();
        let first = u32::MAX - 9;
        for (kind, sent, at) in
            [(Audio, first, 0), (Video, first - 20, -20), (Audio, 13, 23), (Video, 10, 20), (Video, 4, 14)]
        {
            assert_eq!(clock.place(kind, Timestamp(sent)), Place::At(at));
        }
    }

    #[test]
    fn jumps_are_told_and_a_kind_that_lags_behind_one_is_foreign() {
        let mut clock = Clock::default();
        clock.place(Video, Timestamp(50_000));
        assert_eq!(clock.place(Video, Timestamp(60_000)), Place::At(10_000));
        assert_eq!(clock.place(Video, Timestamp(70_001)), Place::Jump);
        assert_eq!(clock.place(Video, Timestamp(59_000)), Place::At(9_000));
        assert_eq!(clock.place(Video, Timestamp(57_999)), Place::Jump);
        assert_eq!(clock.place(Audio, Timestamp(900_000)), Place::Foreign);
        assert_eq!(clock.place(Audio, Timestamp(52_000)), Place::At(2_000));
    }
}
