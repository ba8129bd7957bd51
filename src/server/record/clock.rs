//! Timestamps of a stream -> milliseconds from the start of a file.
//!
//! Steps over the wrap of 32 bits. A track that steps back a little stands still until it is where it was, because players and
//! programs that copy files expect no less; gaps are kept. A jump further back than [`MAX_STEP_BACK`], further on than [`MAX_GAP`] or past what FLV can say is another clock, and needs another file.

use crate::base::Timestamp;

/// Milliseconds that a track may step back: encoders that mix up the order of their frames.
const MAX_STEP_BACK: i64 = 1000;
/// Milliseconds without a frame that are a pause; more is another clock. Six hours, which MP4 can say.
const MAX_GAP: i64 = 6 * 3600 * 1000;
/// Players read the times of FLV with a sign.
const MAX_TIME: i64 = i32::MAX as i64;

/// The clock of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    newest: Timestamp,
    newest_at: i64,
    /// Last times of audio and of video.
    last: [Option<i64>; 2],
    /// Milliseconds from the start of a file that is continued to its first new frame.
    begins_at: i64,
}

impl Clock {
    /// The first frame has the timestamp `first` and belongs at `begins_at`.
    pub(super) fn new(first: Timestamp, begins_at: u32) -> Clock {
        Clock {
            newest: first,
            newest_at: i64::from(begins_at),
            last: [None; 2],
            begins_at: i64::from(begins_at),
        }
    }

    /// Where a frame of track 0 or 1 belongs; `None` if its time has jumped.
    pub(super) fn frame(&mut self, track: usize, timestamp: Timestamp) -> Option<u32> {
        let at = self.relative(timestamp);
        let has_gone_back = self.last[track].is_some_and(|last| at < last - MAX_STEP_BACK);
        if has_gone_back || at - self.newest_at > MAX_GAP || at > MAX_TIME {
            return None;
        }
        (self.newest, self.newest_at) = (timestamp, at);
        let at = self.last[track].map_or(at, |last| at.max(last));
        self.last[track] = Some(at);
        Some(self.clamp(at))
    }

    /// Where anything else belongs.
    pub(super) fn other(&self, timestamp: Timestamp) -> u32 {
        let at = self.relative(timestamp);
        // What is no frame is often stamped 0.
        self.clamp(if (at - self.newest_at).abs() > MAX_STEP_BACK { self.newest_at } else { at })
    }

    fn relative(&self, timestamp: Timestamp) -> i64 {
        self.newest_at + i64::from(timestamp.wrapping_sub(self.newest) as i32)
    }

    fn clamp(&self, at: i64) -> u32 {
        at.clamp(self.begins_at, MAX_TIME) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_first_frame_and_step_over_the_wrap() {
        let mut clock = Clock::new(Timestamp(u32::MAX - 19), 0);
        assert_eq!(clock.frame(1, Timestamp(u32::MAX - 19)), Some(0));
        assert_eq!(clock.frame(0, Timestamp(u32::MAX - 29)), Some(0), "a little earlier");
        assert_eq!(clock.frame(1, Timestamp(20)), Some(40));
        assert_eq!(clock.other(Timestamp(30)), 50);
        assert_eq!(clock.other(Timestamp(3_000_000)), 40);
    }

    #[test]
    fn gaps_are_kept_and_jumps_are_told() {
        let mut clock = Clock::new(Timestamp(5000), 0);
        assert_eq!(clock.frame(1, Timestamp(5000)), Some(0));
        assert_eq!(clock.frame(1, Timestamp(5000 + 3_600_000)), Some(3_600_000));
        assert_eq!(clock.frame(1, Timestamp(4100 + 3_600_000)), Some(3_600_000), "it stands still");
        assert_eq!(clock.frame(1, Timestamp(5020 + 3_600_000)), Some(3_600_020));
        assert_eq!(clock.frame(1, Timestamp(5000)), None);
        assert_eq!(clock.frame(1, Timestamp(50_000_000)), None);
        assert_eq!(clock.frame(0, Timestamp(4_200 + 3_600_000)), Some(3_599_200));
    }

    #[test]
    fn a_file_ends_before_its_times_have_a_sign() {
        let mut clock = Clock::new(Timestamp(0), i32::MAX as u32 - 100);
        assert_eq!(clock.frame(0, Timestamp(0)), Some(i32::MAX as u32 - 100));
        assert_eq!(clock.frame(0, Timestamp(100)), Some(i32::MAX as u32));
        assert_eq!(clock.frame(0, Timestamp(101)), None);
    }

    #[test]
    fn a_file_that_is_continued_goes_on_behind_its_end() {
        let mut clock = Clock::new(Timestamp(900), 10_000);
        assert_eq!(clock.frame(0, Timestamp(900)), Some(10_000));
        assert_eq!(clock.frame(1, Timestamp(880)), Some(10_000));
        assert_eq!(clock.frame(0, Timestamp(923)), Some(10_023));
    }
}
