//! The clocks of all tracks of a presentation on one timeline.
//!
//! In: RTP timestamps as they come, and sender reports. Out: nanoseconds on a timeline that begins near 0. Not here: times of decoding
//! (`codec::raw::timed`), tags.
//!
//! Each track's 32-bit timestamps are unwrapped into ticks from its first packet on. That packet lies on the timeline where it came, unless
//! reports of this track and of one that has begun are there already: then where they say (ffmpeg sends one for each track just before
//! its first packet). Otherwise the packets of the first [`SETTLING`] tell, during which nothing is given out: those that
//! were least delayed on their way count, as small ones wait 40 ms for others in a sender's TCP; but for the very earliest, as
//! GStreamer sends the first frame of each track before its time. The first reports, which come with some
//! senders after seconds, move a track once, if it is off by [`MAX_OFF`]; later ones move it
//! where it has drifted by [`MAX_DRIFT`] in two reports in a row: a camera's microphone and sensor have crystals of their own.
//! A move never takes a track back: the one that is early is moved, and never by more than [`MAX_MOVE`]. Reports that say otherwise, of cameras whose
//! tracks are hours apart or that say 0, are not believed, and the times of arrival stay.
//!
//! A timestamp that jumps, and another source, continue the track where it has come to, by the time of arrival.

use crate::{base::MonoTime, rtp::rtcp::SenderReport};
use alloc::vec::Vec;
use core::time::Duration;

/// Nanoseconds by which reports move a track that has begun, at most: a second is the most that encoders lag behind each other. What is
/// beyond is believed to be wrong rather than late.
pub const MAX_MOVE: i64 = 1_000_000_000;
/// Nanoseconds by which a track may begin elsewhere than it came: files are pushed faster than they play.
pub const MAX_START: i64 = 10_000_000_000;
/// Nanoseconds that a track may drift before it is moved: what viewers begin to notice.
pub const MAX_DRIFT: i64 = 80_000_000;
/// Nanoseconds that the tracks of a sender without reports may be apart from what its first report says: more than delays on
/// the way explain, and less than viewers notice.
pub const MAX_OFF: i64 = 40_000_000;
/// How long packets tell where the tracks of a sender lie that sends no reports before them.
pub const SETTLING: Duration = Duration::from_millis(300);
/// Nanoseconds by which a packet may have been less delayed than the first of its track. What comes sooner is pushed faster than it
/// plays, and its arrival tells nothing.
const MAX_DELAY: i64 = 250_000_000;
/// Nanoseconds that timestamps may jump back: pictures are sent in the order of decoding.
const MAX_BACK: i64 = 3_000_000_000;
/// Nanoseconds that timestamps may jump ahead of the time that has passed.
const MAX_AHEAD: i64 = 10_000_000_000;

#[derive(Debug)]
pub(super) struct Clocks {
    tracks: Vec<Clock>,
    started_at: Option<MonoTime>,
    is_settled: bool,
}

#[derive(Debug)]
struct Clock {
    /// Ticks in a second.
    rate: u32,
    last: Option<Last>,
    report: Option<Report>,
    /// Reports have moved it, or found it in its place.
    is_synchronized: bool,
    /// By how much the last report found it off.
    drift: i64,
    /// The earliest origins by the first packets of its frames, earliest first, as long as it has not settled.
    origins: [Option<i64>; 2],
}

/// The last packet.
#[derive(Clone, Copy, Debug)]
struct Last {
    timestamp: u32,
    ticks: i64,
    came_at: MonoTime,
    /// Nanoseconds on the timeline where the ticks are 0.
    origin: i64,
}

#[derive(Clone, Copy, Debug)]
struct Report {
    ntp: u64,
    timestamp: u32,
}

impl Clocks {
    /// Tracks of so many ticks in a second each.
    pub(super) fn new(rates: impl Iterator<Item = u32>) -> Clocks {
        let clock = |rate| Clock {
            rate,
            last: None,
            report: None,
            is_synchronized: false,
            drift: 0,
            origins: [None; 2],
        };
        Clocks { tracks: rates.map(clock).collect(), started_at: None, is_settled: false }
    }

    /// When it is known where the tracks lie, at the latest; `None` before the first packet.
    pub(super) fn settles_at(&self) -> Option<MonoTime> {
        self.started_at.filter(|_| !self.is_settled).map(|at| at + SETTLING)
    }

    /// Whether reports have told where all of `tracks` lie.
    pub(super) fn is_told(&self, mut tracks: impl Iterator<Item = usize>) -> bool {
        tracks.all(|track| self.tracks[track].is_synchronized)
    }

    /// The tracks lie where they are by now. The timeline begins with `first`.
    pub(super) fn settle(&mut self, first: i64) {
        self.is_settled = true;
        self.shift(|_| true, first.saturating_neg());
    }

    /// Whether a packet cannot go on from the one before it.
    pub(super) fn jumps(&self, now: MonoTime, track: usize, timestamp: u32) -> bool {
        let clock = &self.tracks[track];
        let Some(last) = clock.last else { return false };
        let step = clock.nanos(i64::from(timestamp.wrapping_sub(last.timestamp) as i32));
        let passed = nanos_between(last.came_at, now);
        step < -MAX_BACK || step > passed.saturating_add(MAX_AHEAD)
    }

    /// The next packet of this track goes on from the last one by the time that has passed. What its reports said is void.
    pub(super) fn restart(&mut self, now: MonoTime, track: usize, timestamp: u32) {
        let clock = &mut self.tracks[track];
        clock.report = None;
        clock.is_synchronized = false;
        clock.drift = 0;
        if let Some(last) = clock.last {
            let passed = nanos_between(last.came_at, now);
            let origin = last.origin.saturating_add(clock.nanos(last.ticks)).saturating_add(passed);
            clock.last = Some(Last { timestamp, ticks: 0, came_at: now, origin });
        }
    }

    /// The ticks of a packet, counted from the first one of its track.
    pub(super) fn ticks(&mut self, now: MonoTime, track: usize, timestamp: u32) -> i64 {
        let clock = &mut self.tracks[track];
        if let Some(last) = &mut clock.last {
            let is_next = timestamp != last.timestamp;
            last.ticks += i64::from(timestamp.wrapping_sub(last.timestamp) as i32);
            last.timestamp = timestamp;
            last.came_at = now;
            let ticks = last.ticks;
            if is_next {
                self.refine(now, track, ticks);
            }
            return ticks;
        }
        let started_at = *self.started_at.get_or_insert(now);
        let came = nanos_between(started_at, now);
        clock.last = Some(Last { timestamp, ticks: 0, came_at: now, origin: came });
        clock.origins = [Some(came), None];
        if let Some((other, off)) = self.off_by(track, MAX_START) {
            // Nothing goes back in time: behind what was given out it is the others that are late.
            let back = if self.is_settled { off.max(-came) } else { off };
            self.shift(|index| index == track, back);
            self.shift(|index| index != track, back - off);
            self.set_synchronized(track, other);
        }
        0
    }

    /// A frame that was less delayed than those before it tells better where its track lies.
    fn refine(&mut self, now: MonoTime, track: usize, ticks: i64) {
        let (Some(started_at), false) = (self.started_at, self.is_settled) else { return };
        let clock = &mut self.tracks[track];
        let origin = nanos_between(started_at, now).saturating_sub(clock.nanos(ticks));
        let [Some(first), second] = clock.origins else { return };
        if first.saturating_sub(origin) > MAX_DELAY || second.is_some_and(|second| origin >= second) {
            return;
        }
        let second = first.max(origin);
        clock.origins = [Some(first.min(origin)), Some(second)];
        if let Some(last) = clock.last.as_mut().filter(|_| !clock.is_synchronized) {
            last.origin = second;
        }
    }

    /// Where `ticks` of a track lie on the timeline, in nanoseconds.
    pub(super) fn at(&self, track: usize, ticks: i64) -> i64 {
        let clock = &self.tracks[track];
        clock.last.map_or(0, |last| last.origin.saturating_add(clock.nanos(ticks)))
    }

    /// A sender's report on this track.
    pub(super) fn report(&mut self, track: usize, report: &SenderReport) {
        // Cameras without a clock.
        if report.ntp == 0 {
            return;
        }
        self.tracks[track].report = Some(Report { ntp: report.ntp, timestamp: report.rtp_timestamp });
        let Some((other, off)) = self.off_by(track, MAX_MOVE) else { return };
        let clock = &mut self.tracks[track];
        let was_off = core::mem::replace(&mut clock.drift, off);
        let has_drifted = off.abs() > MAX_DRIFT && was_off.abs() > MAX_DRIFT && (off > 0) == (was_off > 0);
        if !clock.is_synchronized && !self.is_settled {
            self.shift(|index| index == track, off);
            self.set_synchronized(track, other);
        } else if !clock.is_synchronized && off.abs() <= MAX_OFF {
            self.set_synchronized(track, other);
        } else if !clock.is_synchronized || has_drifted {
            self.shift(|index| (index == track) == (off > 0), off.abs());
            self.set_synchronized(track, other);
        }
    }

    fn shift(&mut self, is_moved: impl Fn(usize) -> bool, by: i64) {
        for (index, clock) in self.tracks.iter_mut().enumerate() {
            if let Some(last) = clock.last.as_mut().filter(|_| is_moved(index)) {
                last.origin = last.origin.saturating_add(by);
            }
        }
    }

    fn set_synchronized(&mut self, track: usize, other: usize) {
        for index in [track, other] {
            self.tracks[index].is_synchronized = true;
            self.tracks[index].drift = 0;
        }
    }

    /// By how many nanoseconds this track is earlier than reports say, compared with the first of the others that has begun and has
    /// reports. `None` if there is nothing to compare, or the difference is beyond belief.
    fn off_by(&self, track: usize, most: i64) -> Option<(usize, i64)> {
        let (own_ntp, own_at) = self.tracks[track].reported()?;
        let others = self.tracks.iter().enumerate().filter(|(index, _)| *index != track);
        let (other, (ntp, at)) =
            others.filter_map(|(index, clock)| Some((index, clock.reported()?))).next()?;
        // 32 bits of seconds, which wrap in 2036, and as many of fractions.
        let apart = own_ntp.wrapping_sub(ntp) as i64;
        let seconds = (apart >> 32) * NANOS_PER_SECOND;
        let apart = seconds + (((apart & 0xffff_ffff) * NANOS_PER_SECOND) >> 32);
        let off = at.saturating_add(apart).saturating_sub(own_at);
        (off.saturating_abs() <= most).then_some((other, off))
    }
}

impl Clock {
    /// Nanoseconds, rounded.
    fn nanos(&self, ticks: i64) -> i64 {
        let rate = i64::from(self.rate.max(1));
        let (seconds, rest) = (ticks.div_euclid(rate), ticks.rem_euclid(rate));
        let fraction = (rest * NANOS_PER_SECOND + rate / 2) / rate;
        seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(fraction)
    }

    /// The time of the last report, and where it lies on the timeline.
    fn reported(&self) -> Option<(u64, i64)> {
        let (last, report) = (self.last?, self.report?);
        let ticks = last.ticks + i64::from(report.timestamp.wrapping_sub(last.timestamp) as i32);
        Some((report.ntp, last.origin.saturating_add(self.nanos(ticks))))
    }
}

fn nanos_between(earlier: MonoTime, now: MonoTime) -> i64 {
    i64::try_from(now.since(earlier).as_nanos()).unwrap_or(i64::MAX)
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;
