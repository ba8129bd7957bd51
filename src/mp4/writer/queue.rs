//! The samples of one track that wait for their fragment.
//!
//! A sample waits for the next one of its track, which says how long it lasts. Times that go back stand still.
//! Bounds: whoever pushes asks how much waits.

use super::Sample;
use alloc::vec::Vec;

/// Samples in the order of decoding.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Units per second of the track's time.
    timescale: u32,
    /// Not in a fragment yet; the last one stays until its successor comes.
    waiting: Vec<Waiting>,
    /// Decode time below which no sample goes.
    floor: u64,
    last_duration: u32,
}

#[derive(Debug)]
struct Waiting {
    sample: Sample,
    /// In the track's time.
    dts: u64,
    offset: i32,
}

/// A sample on its way into a fragment, in the track's time.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) sample: Sample,
    pub(crate) dts: u64,
    /// From decoding to showing.
    pub(crate) offset: i32,
    pub(crate) duration: u32,
}

/// Which samples go into a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// All whose duration is known.
    Known,
    /// Of those the ones that are decoded before this, in the track's time.
    Before(u64),
    /// All; the last one lasts as long as the one before it.
    End,
}

impl Queue {
    pub(crate) const fn new(timescale: u32) -> Queue {
        Queue { timescale, waiting: Vec::new(), floor: 0, last_duration: 0 }
    }

    /// Milliseconds in the track's time.
    pub(crate) fn scale(&self, ms: i64) -> i128 {
        (i128::from(ms) * i128::from(self.timescale) + 500).div_euclid(1000)
    }

    /// Decoded when it says.
    pub(crate) fn push(&mut self, sample: Sample) {
        let dts = self.scale(i64::try_from(sample.at).unwrap_or(i64::MAX));
        self.push_at(u64::try_from(dts).unwrap_or(u64::MAX), sample);
    }

    /// Decoded at `dts` in the track's time, which may be more exact than the milliseconds that it says, and shown when it says.
    pub(crate) fn push_at(&mut self, dts: u64, sample: Sample) {
        let at = i64::try_from(sample.at).unwrap_or(i64::MAX);
        let shown = match sample.composition_time {
            0 => i128::from(dts),
            time => self.scale(at.saturating_add(i64::from(time))),
        };
        let dts = dts.max(self.floor);
        self.floor = dts;
        let offset = shown - i128::from(dts);
        let offset = i32::try_from(offset).unwrap_or(if offset < 0 { i32::MIN } else { i32::MAX });
        self.waiting.push(Waiting { sample, dts, offset });
    }

    /// Decode time in milliseconds of the first sample that the next fragment could hold.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let first = self.waiting.first()?;
        (self.waiting.len() > 1).then_some(first.sample.at)
    }

    /// How many samples wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Decode time of the newest sample, in the track's time.
    pub(crate) const fn newest(&self) -> u64 {
        self.floor
    }

    pub(crate) fn take(&mut self, until: Until) -> Vec<Timed> {
        let known = self.waiting.len().saturating_sub(1);
        let count = match until {
            Until::Known => known,
            Until::Before(end) => known.min(self.waiting.partition_point(|waiting| waiting.dts < end)),
            Until::End => self.waiting.len(),
        };
        let mut next: Vec<Option<u64>> = self.waiting.iter().skip(1).map(|next| Some(next.dts)).collect();
        next.push(None);
        let timed = |(Waiting { sample, dts, offset }, next): (Waiting, Option<u64>)| {
            let duration = next.map(|next| u32::try_from(next - dts).unwrap_or(u32::MAX));
            self.last_duration = duration.unwrap_or(self.last_duration);
            Timed { sample, dts, offset, duration: self.last_duration }
        };
        self.waiting.drain(..count).zip(next).map(timed).collect()
    }
}

impl Timed {
    pub(crate) fn len(&self) -> usize {
        self.sample.data.len()
    }
}
