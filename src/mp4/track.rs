//! A track that is being read: its samples from tables and then from fragments, its clock, its place.
//!
//! Not here: what a sample's bytes become, and how tracks are merged ([`crate::media::mp4`]).

use super::{
    boxes::Mp4Box,
    entries::SampleEntry,
    fragments::Fragments,
    header::TrackHeader,
    index::{Index, Indexed},
    samples::{Sample, Samples},
};
use crate::media::{MediaError, ReadAt};
use alloc::vec::Vec;

/// Media time as milliseconds of presentation, and back. Always from the absolute time, so that errors do not add up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) timescale: u32,
    /// The media time at which the presentation is at 0.
    pub(crate) start: i64,
}

impl Clock {
    /// To the nearest; halves away from 0.
    pub(crate) fn ms(self, time: i64) -> i64 {
        let (scaled, timescale) =
            ((i128::from(time) - i128::from(self.start)) * 1000, i128::from(self.timescale));
        let rounded = (2 * scaled.abs() + timescale) / (2 * timescale) * scaled.signum();
        rounded.clamp(-MAX_MS, MAX_MS) as i64
    }

    /// By how many nanoseconds that time is later than [`Clock::ms`] says.
    pub(crate) fn nanos(self, time: i64) -> i32 {
        let (since, timescale) = (i128::from(time) - i128::from(self.start), i128::from(self.timescale));
        let nanos = (since * 1_000_000_000).div_euclid(timescale);
        // Half a millisecond at most, except beyond the times that there are.
        i32::try_from(nanos - i128::from(self.ms(time)) * 1_000_000).unwrap_or(0)
    }

    /// The last media time that is `ms` or earlier.
    pub(crate) fn latest(self, ms: i64) -> i64 {
        let (ms, timescale) = (i128::from(ms), i128::from(self.timescale));
        let time = ((2 * ms + 1) * timescale - 1).div_euclid(2000) + i128::from(self.start);
        time.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}

/// One track.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) is_video: bool,
    pub(crate) clock: Clock,
    /// What its samples name; at least one has a codec.
    pub(crate) entries: Vec<SampleEntry>,
    tables: Option<Samples>,
    fragments: Option<Fragments>,
    /// Which track of the index it is.
    number: usize,
    /// By how much decode times are lowered, so that nothing is shown before it is decoded; not known before the first
    /// sample of a fragment.
    lowered: Option<i64>,
    batch: Vec<Sample>,
    taken: usize,
    /// Its tables or fragments are damaged at this place.
    has_failed: bool,
}

impl Track {
    /// A track at its first sample. `fragments_at`: where its fragments begin, if there may be any.
    pub(crate) fn open(
        source: &dyn ReadAt,
        header: &TrackHeader,
        entries: Vec<SampleEntry>,
        (number, fragments_at): (usize, Option<u64>),
    ) -> Result<Track, MediaError> {
        let mut tables = Samples::open(source, &header.tables)?;
        let clock = Clock { timescale: header.timescale, start: header.start };
        let mut lowered = None;
        let mut end = 0;
        if let Some(tables) = &mut tables {
            lowered = Some(-i64::from(tables.lowest_composition(source)?));
            if fragments_at.is_some() {
                end = tables.end(source)?.unwrap_or(0);
            }
        }
        let fragments = fragments_at.map(|at| Fragments::new(header.id, header.defaults, at, end));
        let is_video = header.is_video;
        let (batch, taken) = (Vec::new(), 0);
        Ok(Track {
            is_video,
            clock,
            entries,
            tables,
            fragments,
            number,
            lowered,
            batch,
            taken,
            has_failed: false,
        })
    }

    /// What an index has to know about it, before anything is read.
    pub(crate) fn indexed(&self, header: &TrackHeader) -> Indexed {
        let start = self.fragments.as_ref().map_or(0, |fragments| fragments.place().time);
        Indexed { id: header.id, timescale: header.timescale, defaults: header.defaults, start }
    }

    /// Gathers samples that are no frames.
    pub(crate) fn gather(&mut self) {
        if let Some(tables) = &mut self.tables {
            tables.gather();
        }
    }

    /// The tables, if samples are listed there.
    pub(crate) const fn tables(&mut self) -> Option<&mut Samples> {
        self.tables.as_mut()
    }

    /// The next sample that can be played; `None` at the end, for now.
    pub(crate) fn peek(&mut self, source: &dyn ReadAt) -> Result<Option<Sample>, MediaError> {
        loop {
            while let Some(sample) = self.batch.get(self.taken) {
                let entry = self.entries.get(sample.entry as usize);
                if sample.size > 0 && entry.is_some_and(|entry| entry.codec.is_some()) {
                    return Ok(Some(*sample));
                }
                self.taken += 1;
            }
            if self.has_failed {
                return Ok(None);
            }
            if let Err(error) = self.fill(source) {
                self.has_failed = true;
                return Err(error);
            }
            if self.batch.is_empty() {
                return Ok(None);
            }
        }
    }

    /// The sample that `peek` gave last, if it has not been taken.
    pub(crate) fn peeked(&self) -> Option<Sample> {
        self.batch.get(self.taken).copied()
    }

    /// How many samples are read ahead, and how long they last together.
    pub(crate) fn read_ahead(&self) -> (f64, f64) {
        let time: u64 = self.batch.iter().map(|sample| u64::from(sample.duration)).sum();
        (self.batch.len() as f64, time as f64)
    }

    /// Moves on behind the sample that `peek` gave.
    pub(crate) const fn take(&mut self) {
        self.taken += 1;
    }

    /// Where the data ends that lies side by side from the next sample on.
    pub(crate) fn data_end(&self) -> u64 {
        let mut end = None;
        for sample in self.batch.iter().skip(self.taken) {
            if end.is_some_and(|end| end != sample.offset) {
                break;
            }
            end = Some(sample.offset.saturating_add(u64::from(sample.size)));
        }
        end.unwrap_or(0)
    }

    /// It may have fragments.
    pub(crate) const fn has_fragments(&self) -> bool {
        self.fragments.is_some()
    }

    /// Where the file begins that is still of use, if nothing goes back. Asked behind a `peek`.
    pub(crate) fn needed_from(&self) -> u64 {
        let samples = self.batch.iter().skip(self.taken).map(|sample| sample.offset);
        samples.chain(self.fragments.as_ref().map(Fragments::needed_from)).min().unwrap_or(u64::MAX)
    }

    /// When a fragment's samples begin, if it says so, and how long they last, in milliseconds of presentation.
    pub(crate) fn times_ms(
        &self,
        source: &dyn ReadAt,
        moof: &Mp4Box,
    ) -> Result<Option<(Option<i64>, i64)>, MediaError> {
        let Some(fragments) = &self.fragments else { return Ok(None) };
        let Some((start, length)) = fragments.times(source, moof)? else { return Ok(None) };
        let length = self.clock.ms(self.clock.start.saturating_add(length));
        Ok(Some((start.map(|start| self.time_ms(start)), length)))
    }

    /// Decode time in milliseconds of presentation.
    pub(crate) fn decode_ms(&self, sample: &Sample) -> i64 {
        self.time_ms(sample.dts)
    }

    /// A decode time likewise.
    pub(crate) fn time_ms(&self, dts: i64) -> i64 {
        self.clock.ms(dts.saturating_sub(self.lowered.unwrap_or(0)))
    }

    /// When a sample is shown, likewise.
    pub(crate) fn shown_ms(&self, sample: &Sample) -> i64 {
        self.clock.ms(sample.pts())
    }

    /// By how many nanoseconds later than [`Track::shown_ms`] says.
    pub(crate) fn shown_nanos(&self, sample: &Sample) -> i32 {
        self.clock.nanos(sample.pts())
    }

    /// The end of the last sample, likewise; `None` if there is none.
    pub(crate) fn end_ms(
        &mut self,
        source: &dyn ReadAt,
        index: &Index,
        claimed: u64,
    ) -> Result<Option<i64>, MediaError> {
        let mut end = None;
        if let Some(fragments) = &mut self.fragments {
            end = match index.end(source, fragments, self.number) {
                Err(error @ MediaError::Io(_)) => return Err(error),
                // What is damaged at the end plays up to there.
                other => other.unwrap_or(None),
            };
        }
        if let (None, Some(tables)) = (end, &mut self.tables) {
            let claimed = i64::try_from(claimed).unwrap_or(i64::MAX);
            end = Some(tables.end(source)?.unwrap_or(claimed));
        }
        Ok(end.map(|end| self.time_ms(end)))
    }

    /// Goes back to the first sample.
    pub(crate) fn rewind(&mut self, source: &dyn ReadAt, index: &Index) -> Result<(), MediaError> {
        self.forget();
        if let Some(tables) = &mut self.tables {
            tables.rewind();
        }
        match &mut self.fragments {
            Some(fragments) => index.rewind(source, fragments, self.number),
            None => Ok(()),
        }
    }

    /// Goes to the last sync sample that is decoded at or before `ms`, or to the first one. Returns which entry of the
    /// index it is near.
    pub(crate) fn seek_sync(
        &mut self,
        source: &dyn ReadAt,
        index: &Index,
        ms: i64,
    ) -> Result<usize, MediaError> {
        self.forget();
        let time = self.clock.latest(ms).saturating_add(self.lowered.unwrap_or(0));
        if let Some(fragments) = &mut self.fragments {
            if let Some(entry) = index.seek_sync(source, fragments, time)? {
                if let Some(tables) = &mut self.tables {
                    tables.finish();
                }
                return Ok(entry);
            }
        }
        match (&mut self.tables, &mut self.fragments) {
            (Some(tables), fragments) => {
                tables.seek_sync(source, time)?;
                if let Some(fragments) = fragments {
                    index.rewind(source, fragments, self.number)?;
                }
                Ok(0)
            }
            (None, Some(fragments)) => index.seek_first(source, fragments).map(|()| 0),
            (None, None) => Ok(0),
        }
    }

    /// Goes to the first sample that is decoded at `ms` or later, which is near entry `near` of the index.
    pub(crate) fn seek_from(
        &mut self,
        source: &dyn ReadAt,
        index: &Index,
        near: usize,
        ms: i64,
    ) -> Result<(), MediaError> {
        self.forget();
        let time = self.clock.latest(ms - 1).saturating_add(self.lowered.unwrap_or(0));
        if let Some(tables) = &mut self.tables {
            tables.seek_after(source, time)?;
            if !tables.is_finished() {
                return match &mut self.fragments {
                    Some(fragments) => index.rewind(source, fragments, self.number),
                    None => Ok(()),
                };
            }
        }
        match &mut self.fragments {
            Some(fragments) => index.seek_after(source, fragments, (self.number, near), time),
            None => Ok(()),
        }
    }

    /// Drops what was read ahead.
    fn forget(&mut self) {
        self.batch.clear();
        self.taken = 0;
        self.has_failed = false;
    }

    /// Reads ahead, from tables, then from fragments.
    fn fill(&mut self, source: &dyn ReadAt) -> Result<(), MediaError> {
        self.batch.clear();
        self.taken = 0;
        if let Some(tables) = &mut self.tables {
            tables.read(source, &mut self.batch)?;
        }
        if let (true, Some(fragments)) = (self.batch.is_empty(), &mut self.fragments) {
            fragments.read(source, &mut self.batch)?;
        }
        if self.lowered.is_none() {
            let lowest = self.batch.iter().map(|sample| sample.composition).min();
            self.lowered = lowest.map(|lowest| -i64::from(lowest.min(0)));
        }
        Ok(())
    }
}

/// Beyond any time that a sum with another could not hold.
const MAX_MS: i128 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_from_the_absolute_value() {
        let clock = Clock { timescale: 30_000, start: 0 };
        let times: Vec<_> = (0..5).map(|frame| clock.ms(frame * 1001)).collect();
        assert_eq!(times, [0, 33, 67, 100, 133]);
        let nanos: Vec<_> = (0..5).map(|frame| clock.nanos(frame * 1001)).collect();
        assert_eq!(nanos, [0, 366_666, -266_667, 100_000, 466_666]);
        let clock = Clock { timescale: 48_000, start: 1024 };
        assert_eq!((clock.ms(0), clock.ms(1024), clock.ms(i64::MAX) > 0), (-21, 0, true));
        assert_eq!(Clock { timescale: 2000, start: 0 }.ms(-3), -2, "halves away from 0");
    }

    #[test]
    fn the_last_time_of_a_millisecond_is_found() {
        for timescale in [1, 600, 999, 1000, 12_800, 44_100, 90_000, u32::MAX] {
            let clock = Clock { timescale, start: 77 };
            for ms in [0, 1, 2, 40, 999, 1000, 123_456_789] {
                let latest = clock.latest(ms);
                assert!(clock.ms(latest) <= ms && clock.ms(latest + 1) > ms, "{ms} at {timescale}");
            }
        }
    }
}
