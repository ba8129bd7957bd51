//! Media time of tags -> ticks of RTP clocks, and the wall clock beside them.
//!
//! Tags count milliseconds modulo 2^32; ticks of 44100 Hz are not whole in those, so time is unwrapped first. Pictures are
//! stamped by their time. Sound is stamped by the number of its samples, which milliseconds cannot tell, and put right where
//! that and the time part. Total: publishers may jump as they like, and nothing overflows but by wrapping.

use crate::base::Timestamp;

/// The time of a stream, for all its tracks.
#[derive(Clone, Debug, Default)]
pub(super) struct MediaClock {
    /// Milliseconds of the newest tag, unwrapped.
    newest: Option<i64>,
    /// An instant of media time in nanoseconds, and its NTP time.
    wall: Option<(i128, u64)>,
}

impl MediaClock {
    /// A tag of that time has come.
    pub(super) fn advance(&mut self, time: Timestamp) {
        self.newest = Some(self.unwrapped(time));
    }

    /// As if a tag of that time had come.
    #[cfg(test)]
    pub(super) fn set_newest(&mut self, milliseconds: i64) {
        self.newest = Some(milliseconds);
    }

    /// Nanoseconds of an instant: a timestamp, so many milliseconds and so many nanoseconds later.
    pub(super) fn nanoseconds(&self, time: Timestamp, later: i32, nanos: i32) -> i128 {
        (i128::from(self.unwrapped(time)) + i128::from(later)) * 1_000_000 + i128::from(nanos)
    }

    pub(super) fn set_wall(&mut self, media: Timestamp, ntp: u64) {
        self.wall = Some((self.nanoseconds(media, 0, 0), ntp));
    }

    /// The media time that is shown at an NTP time. Without a wall clock, that of the newest tag.
    pub(super) fn media_at(&self, ntp: u64) -> i128 {
        let newest = || i128::from(self.newest.unwrap_or_default()) * 1_000_000;
        self.wall.map_or_else(newest, |(media, at)| {
            // NTP wraps in 2036.
            let passed = ntp.wrapping_sub(at) as i64;
            media + ((i128::from(passed) * 1_000_000_000) >> 32)
        })
    }

    /// The NTP time at which an instant is shown, if there is a wall clock.
    pub(super) fn ntp_at(&self, media: Timestamp) -> Option<u64> {
        let (anchor, at) = self.wall?;
        let later = ((self.nanoseconds(media, 0, 0) - anchor) << 32) / SECOND;
        Some(at.wrapping_add(later as i64 as u64))
    }

    /// Within half of the number space of the newest.
    fn unwrapped(&self, time: Timestamp) -> i64 {
        self.newest.map_or(i64::from(time.0), |newest| {
            newest.wrapping_add(i64::from(time.0.wrapping_sub(newest as u32) as i32))
        })
    }
}

/// The nearest tick of a clock of `rate` Hz.
pub(super) fn ticks(nanoseconds: i128, rate: u32) -> i64 {
    (nanoseconds * i128::from(rate) + SECOND / 2).div_euclid(SECOND) as i64
}

const SECOND: i128 = 1_000_000_000;

/// Where the next frame of audio begins, by the samples of those before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    /// In ticks of the track's clock.
    next: i64,
    /// Fraction of a tick above `next`, in `rate`ths.
    rest: u64,
    /// Samples a second of the last frame.
    rate: u64,
    /// The next packet is the first, or the first behind a jump.
    is_start: bool,
}

impl Counter {
    /// Begins to count there.
    pub(super) fn at(ticks: i64) -> Counter {
        Counter { next: ticks, rest: 0, rate: 1, is_start: true }
    }

    /// Goes to where a frame belongs by its time, in ticks, if that is more than a frame (10 ms at least) from where it belongs by
    /// counting: then there was a jump. `is_exact`: the time is good for single ticks, and followed at once.
    pub(super) fn follow(&mut self, ticks: i64, frame_ticks: u64, is_exact: bool, clock_rate: u32) {
        let distance = ticks.wrapping_sub(self.next).unsigned_abs();
        if distance > frame_ticks.max(u64::from(clock_rate) / 100) {
            *self = Counter::at(ticks);
        } else if is_exact && distance > 0 {
            *self = Counter { is_start: self.is_start, ..Counter::at(ticks) };
        }
    }

    /// Where the next frame begins.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Whether its packet is to be marked; true once.
    pub(super) fn take_start(&mut self) -> bool {
        core::mem::take(&mut self.is_start)
    }

    /// The next packet is the first behind a pause.
    pub(super) fn mark(&mut self) {
        self.is_start = true;
    }

    /// So many samples of so many a second have gone.
    pub(super) fn advance(&mut self, samples: u64, rate: u32, clock_rate: u32) {
        self.rate = u64::from(rate.max(1));
        let parts = self.rest + samples * u64::from(clock_rate);
        self.next = self.next.wrapping_add((parts / self.rate) as i64);
        self.rest = parts % self.rate;
    }
}
