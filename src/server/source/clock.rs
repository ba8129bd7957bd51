//! The time of a stream that comes through a pipe: when its tags are sent, and at which timestamps.
//!
//! A pipe carries two kinds of streams. A *device* delivers when something happens: it is never held back, or it would have to
//! drop pictures. A *file in disguise* (`cat clip.flv >pipe`, ffmpeg without `-re`) delivers as fast as it is read: it is held to its
//! timestamps. Whoever is [`AHEAD`] ahead of real time sooner than that time has passed is the second (a device may deliver
//! several frames at once, which is not ahead); whoever
//! falls that far behind again is the first after all.
//!
//! Timestamps that a stream brings along (FLV) stay as they are. Those that are counted from frames (raw video and
//! audio) would drift from the clock for ever if the device is faster or slower than its nominal rate: what a
//! device is ahead or behind is taken back with a time constant of [`TAKE_BACK`], so that a rate that is 1 % wrong costs a
//! lag of 40 ms and no more. Behind by more than [`MAX_LAG`], as after a pause, they jump.

use crate::base::{MonoTime, Timestamp};
use core::time::Duration;

/// Whether timestamps mean something or are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamps {
    /// The stream's own.
    Own,
    /// Number of the frame times its nominal length.
    Counted,
}

/// What to do with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// Its timestamp from here on.
    pub(super) timestamp: Timestamp,
    /// Not to be sent before.
    pub(super) due: MonoTime,
}

/// See the module.
#[derive(Debug)]
pub(super) struct LiveClock {
    stamps: Stamps,
    anchor: Option<Anchor>,
    is_file: bool,
    /// Milliseconds of media that a device delivers at once.
    burst: f64,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// When the first tag came.
    came: MonoTime,
    first: Timestamp,
    /// The last tag, as it came.
    last: Timestamp,
    /// Milliseconds from the first tag to the last, by its timestamps.
    position: f64,
    /// Milliseconds that counted timestamps are moved by.
    correction: f64,
}

impl LiveClock {
    pub(super) fn new(stamps: Stamps) -> LiveClock {
        LiveClock { stamps, anchor: None, is_file: false, burst: 0.0 }
    }

    /// From here on that much media comes at once, as a fragment of MP4 does: so far ahead is no haste.
    pub(super) fn set_burst(&mut self, burst: Duration) {
        self.burst = burst.as_millis() as f64;
    }

    /// A tag has come.
    pub(super) fn place(&mut self, now: MonoTime, timestamp: Timestamp) -> Placed {
        let stamps = self.stamps;
        let anchor = self.anchor.get_or_insert(Anchor {
            came: now,
            first: timestamp,
            last: timestamp,
            position: 0.0,
            correction: 0.0,
        });
        // Modulo 2^32, so that a small step back is a small negative number.
        let mut step = f64::from(timestamp.wrapping_sub(anchor.last) as i32);
        anchor.last = timestamp;
        if stamps == Stamps::Own && step < -MAX_REORDER {
            // A file again from its start: time goes on.
            step = 0.0;
        }
        if stamps == Stamps::Own && step.abs() > MAX_STEP {
            // Another beginning, or a hole in a recording: its time is counted from here.
            *anchor = Anchor { came: now, first: timestamp, last: timestamp, position: 0.0, correction: 0.0 };
        } else {
            anchor.position += step;
        }
        let elapsed = now.since(anchor.came).as_millis() as f64;
        // Above 0: it is early.
        let ahead = anchor.position + anchor.correction - elapsed;
        if ahead > AHEAD + self.burst && elapsed < AHEAD + self.burst {
            self.is_file = true;
        } else if ahead > RUSH + self.burst && !self.is_file {
            // It was late for once, and has more than a pipe can have kept: due from here on.
            self.is_file = true;
            anchor.came = MonoTime(anchor.came.0.saturating_sub(ahead as u64));
        } else if ahead < -AHEAD {
            self.is_file = false;
        }
        if stamps == Stamps::Own && !self.is_file && elapsed > WINDOW {
            // What a device is ahead or late after a minute is its clock, or a pause.
            *anchor = Anchor { came: now, first: timestamp, last: timestamp, position: 0.0, correction: 0.0 };
        }
        // What is ahead at the very start may be a file, whose timestamps stay as they are.
        if stamps == Stamps::Counted && !self.is_file && (ahead < 0.0 || elapsed >= AHEAD) {
            let behind = -ahead;
            anchor.correction += if behind > MAX_LAG {
                behind
            } else {
                // At most what leaves half a step, so that time never stands still.
                (behind * step.max(0.0) / TAKE_BACK).max(-step.max(0.0) / 2.0)
            };
        }
        let position = anchor.position + anchor.correction;
        let timestamp = match stamps {
            Stamps::Own => timestamp,
            Stamps::Counted => anchor.first.wrapping_add(position.round() as i64 as u32),
        };
        let due = match self.is_file {
            true => MonoTime(anchor.came.0.saturating_add(position.max(0.0) as u64)),
            false => now,
        };
        Placed { timestamp, due }
    }
}

/// Milliseconds.
const AHEAD: f64 = 500.0;
/// More than lies in a pipe of 64 KiB, of a stream of 100 kbit/s.
const RUSH: f64 = 5000.0;
const WINDOW: f64 = 60_000.0;
const MAX_REORDER: f64 = 1000.0;
const TAKE_BACK: f64 = 4000.0;
const MAX_LAG: f64 = 3000.0;
const MAX_STEP: f64 = crate::media::pace::MAX_STEP as f64;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// `count` frames of a nominal length that come `every` so many milliseconds.
    fn counted(nominal: f64, every: f64, count: u32) -> Vec<(u64, Placed)> {
        let mut clock = LiveClock::new(Stamps::Counted);
        let frame = |number: u32| {
            let now = MonoTime(1000 + (f64::from(number) * every) as u64);
            let placed = clock.place(now, Timestamp((f64::from(number) * nominal) as u32));
            (now.0 - 1000, placed)
        };
        (0..count).map(frame).collect()
    }

    #[test]
    fn a_device_that_is_faster_or_slower_than_its_rate_does_not_drift_from_the_clock() {
        for (nominal, every) in [(40.0, 40.04), (40.0, 33.3), (33.3, 40.0), (40.0, 45.0)] {
            let frames = counted(nominal, every, 20_000);
            let (elapsed, last) = frames[frames.len() - 1];
            let off = i64::from(last.timestamp.0) - elapsed as i64;
            // The share by which the rate is wrong, of four seconds.
            let allowed = 4000.0 * (1.0 - every / nominal).abs() + 60.0;
            assert!((off.abs() as f64) < allowed, "{nominal} {every}: off by {off} ms");
            assert!(
                frames.iter().all(|(at, placed)| placed.due.0 == at + 1000),
                "a device is never held back"
            );
            let times = frames.iter().map(|(_, placed)| placed.timestamp.0);
            assert!(times.clone().zip(times.skip(1)).all(|(a, b)| a < b), "time stands still or goes back");
        }
    }

    #[test]
    fn the_nominal_rate_is_kept_where_it_is_right_though_frames_come_unevenly() {
        let mut clock = LiveClock::new(Stamps::Counted);
        for number in 0..2000_u32 {
            let late = [0, 15, 3, 25, 8][number as usize % 5];
            let placed = clock.place(MonoTime(u64::from(number * 40 + late)), Timestamp(number * 40));
            let off = placed.timestamp.0 as i32 - (number * 40) as i32;
            assert!((0..=25).contains(&off), "frame {number}: {off} ms");
        }
    }

    #[test]
    fn a_pause_of_the_device_is_a_pause_of_the_stream() {
        let mut clock = LiveClock::new(Stamps::Counted);
        clock.place(MonoTime(0), Timestamp(0));
        assert_eq!(clock.place(MonoTime(60_000), Timestamp(40)).timestamp, Timestamp(60_000));
        assert_eq!(clock.place(MonoTime(60_040), Timestamp(80)).timestamp, Timestamp(60_040));
    }

    #[test]
    fn a_file_in_disguise_is_held_to_its_timestamps_and_keeps_them() {
        for stamps in [Stamps::Own, Stamps::Counted] {
            let mut clock = LiveClock::new(stamps);
            let mut now = MonoTime(7);
            for number in 0..1000_u32 {
                let placed = clock.place(now, Timestamp(number * 40));
                assert_eq!(placed.timestamp, Timestamp(number * 40));
                now = now.max(placed.due);
                let ahead = i64::from(number * 40) - (now.0 as i64 - 7);
                assert!((0..=520).contains(&ahead), "{stamps:?}, frame {number}: {ahead} ms ahead");
            }
        }
    }

    #[test]
    fn timestamps_of_the_stream_itself_are_never_touched() {
        let mut clock = LiveClock::new(Stamps::Own);
        for (now, timestamp) in [(0, 5000), (3000, 5040), (3001, 5020), (9000, 4_000_000_000), (9040, 3)] {
            let placed = clock.place(MonoTime(now), Timestamp(timestamp));
            assert_eq!(placed, Placed { timestamp: Timestamp(timestamp), due: MonoTime(now) });
        }
    }

    #[test]
    fn a_device_that_delivers_fragments_is_no_file_and_a_file_of_fragments_is() {
        let mut device = LiveClock::new(Stamps::Own);
        device.set_burst(Duration::from_secs(2));
        for number in 0..5000_u32 {
            let came = MonoTime(u64::from(number / 50) * 2000);
            let placed = device.place(came, Timestamp(number * 40));
            assert_eq!(placed, Placed { timestamp: Timestamp(number * 40), due: came });
        }
        let mut file = LiveClock::new(Stamps::Own);
        file.set_burst(Duration::from_secs(2));
        let mut now = 0;
        for number in 0..1000_u32 {
            now = now.max(file.place(MonoTime(now), Timestamp(number * 40)).due.0);
            assert!(now + 2600 >= u64::from(number) * 40, "frame {number} at {now}");
        }
    }

    #[test]
    fn what_was_taken_for_a_file_is_let_go_when_it_falls_behind() {
        let mut clock = LiveClock::new(Stamps::Own);
        // A program that has gathered two seconds before it writes.
        for number in 0..50_u32 {
            clock.place(MonoTime(0), Timestamp(number * 40));
        }
        assert_eq!(clock.place(MonoTime(10), Timestamp(2000)).due, MonoTime(2000));
        assert_eq!(clock.place(MonoTime(4000), Timestamp(2040)).due, MonoTime(4000));
        assert_eq!(clock.place(MonoTime(4001), Timestamp(2080)).due, MonoTime(4001));
    }

    #[test]
    fn a_file_that_was_late_once_is_held_to_its_timestamps_again() {
        let mut clock = LiveClock::new(Stamps::Own);
        let mut now = 0;
        for number in 0..2000_u32 {
            // The pipe stands still in the middle of the first second.
            now += if number == 20 { 3000 } else { 0 };
            now = now.max(clock.place(MonoTime(now), Timestamp(number * 40)).due.0);
        }
        let (media, most) = (2000 * 40, RUSH as u64 + 3000);
        assert!(now + most >= media, "{media} ms of media in {now} ms");
    }

    #[test]
    fn a_file_that_begins_again_and_again_is_held_to_its_timestamps() {
        let mut clock = LiveClock::new(Stamps::Own);
        let mut now = 0;
        for number in 0..2000_u32 {
            now = now.max(clock.place(MonoTime(now), Timestamp(number % 75 * 40)).due.0);
        }
        // A round of 75 frames loses the step to the next.
        assert!(now >= 2000 * 40 * 70 / 75, "{now} ms");
    }
}
