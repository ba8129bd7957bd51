//! From times at which pictures are shown to times at which they are decoded, without delay.
//!
//! In: pictures in the order of decoding, each with the time at which it is shown, and how many may be decoded before one that is shown
//! before them (the depth). Out: for each a time of decoding: none before the one ahead of it and none behind its picture's own.
//! That is the sorted list of the times, `depth` pictures late: with the picture that comes all are there that are shown before the one
//! `depth` places back in that list. The first `depth` pictures have nobody ahead of them and are given times a picture's duration apart.
//! Times that repeat, or a stream that reorders more than it said, break this; whoever makes tags holds on to the order
//! of their times in any case. Bounds: twice [`MAX_DEPTH`] times.

use alloc::{collections::VecDeque, vec::Vec};

/// Pictures before one that is shown before them: the most that the standards allow.
pub(super) const MAX_DEPTH: usize = 16;

#[derive(Debug, Default)]
pub(super) struct DecodeTimes {
    depth: usize,
    /// Ascending: shown, or to be shown, and not given out as times of decoding.
    waiting: Vec<i64>,
    /// Of the last pictures.
    recent: VecDeque<i64>,
}

impl DecodeTimes {
    /// The stream says how much it reorders.
    pub(super) fn set_depth(&mut self, depth: usize) {
        self.depth = depth.min(MAX_DEPTH);
    }

    /// When the next picture is decoded, which is shown at `shown`. `duration`: of a picture, for the first ones.
    pub(super) fn next(&mut self, shown: i64, duration: i64) -> i64 {
        // More may be reordered than was said.
        self.set_depth(self.depth.max(self.recent.iter().filter(|recent| **recent > shown).count()));
        self.recent.truncate(MAX_DEPTH - 1);
        self.recent.push_front(shown);
        let at = self.waiting.partition_point(|time| *time <= shown);
        self.waiting.insert(at, shown);
        if self.waiting.len() <= self.depth {
            let missing = (self.depth + 1 - self.waiting.len()) as i64;
            return self.waiting[0].saturating_sub(missing.saturating_mul(duration));
        }
        self.waiting.drain(..self.waiting.len() - self.depth).next_back().unwrap_or(shown)
    }

    /// Pictures are missing here: what comes has nobody ahead of it.
    pub(super) fn restart(&mut self) {
        self.waiting.clear();
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(depth: usize, shown: &[i64]) -> Vec<i64> {
        let mut times = DecodeTimes::default();
        times.set_depth(depth);
        shown.iter().map(|shown| times.next(*shown, 40)).collect()
    }

    #[test]
    fn without_reordering_pictures_are_decoded_when_they_are_shown() {
        assert_eq!(times(0, &[0, 40, 80, 125, 160]), [0, 40, 80, 125, 160]);
    }

    #[test]
    fn with_reordering_they_are_decoded_in_step_and_never_behind_their_time() {
        // A pyramid of three B-pictures.
        let shown = [0, 160, 80, 40, 120, 320, 240, 200, 280, 360, 400];
        let decoded = times(2, &shown);
        assert_eq!(decoded, [-80, -40, 0, 40, 80, 120, 160, 200, 240, 280, 320]);
        assert!(decoded.iter().zip(&shown).all(|(decoded, shown)| decoded <= shown));
    }

    #[test]
    fn a_stream_that_says_too_little_is_believed_until_it_is_wrong() {
        let mut times = DecodeTimes::default();
        let decoded: Vec<i64> = [0, 120, 40, 80, 240, 160, 200].map(|shown| times.next(shown, 40)).into();
        assert_eq!(times.depth, 1);
        assert_eq!(decoded[4..], [80, 160, 200]);
        times.set_depth(200);
        assert_eq!(times.depth, MAX_DEPTH);
    }

    #[test]
    fn behind_a_gap_decoding_begins_anew() {
        let mut times = DecodeTimes::default();
        times.set_depth(1);
        let _ = [0, 80, 40].map(|shown| times.next(shown, 40));
        times.restart();
        assert_eq!([2000, 2080, 2040].map(|shown| times.next(shown, 40)), [1960, 2000, 2040]);
    }

    #[test]
    fn the_depth_may_change_and_extreme_times_do_no_harm() {
        let mut times = DecodeTimes::default();
        times.set_depth(2);
        let _ = [0, 120, 40, 80].map(|shown| times.next(shown, 40));
        times.set_depth(0);
        assert_eq!(times.next(160, 40), 160);
        assert!(times.waiting.is_empty());
        for shown in [i64::MIN, i64::MAX, 0, i64::MIN] {
            times.set_depth(16);
            let _ = times.next(shown, i64::MAX);
            assert!(times.waiting.len() <= MAX_DEPTH);
        }
    }
}
