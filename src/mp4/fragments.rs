//! Fragments: `moof` boxes and the samples they list (ISO 14496-12, 8.8).
//!
//! In: the file from its header on. Out: the [`Sample`]s of one track, in the order of the file; a file that grows is read on
//! where it ended. Not here: where a given time is (`index`).
//! Bounds: [`MAX_RUNS`] and [`MAX_SAMPLES`] in a fragment; lists are read in a small window, never whole.
//! Field notes: without a base offset the first track counts from the `moof` and the next ones from where the data of the one
//! before ended, unless `default-base-is-moof` is set; without `tfdt` time goes on where it was.

use super::{
    boxes::{Boxes, Mp4Box},
    header::Defaults,
    samples::Sample,
    window::Window,
};
use crate::{
    base::wire::Cursor,
    media::{MediaError, ReadAt},
};
use alloc::vec::Vec;

/// One `trun`: samples whose data lies side by side.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Where its rows begin.
    rows: u64,
    count: u32,
    /// Which fields a row has.
    flags: u32,
    /// Where its data begins; `None`: where that of the run before ends.
    data: Option<u64>,
    /// Decode time of its first sample; `None`: time goes on.
    time: Option<i64>,
    defaults: Defaults,
    first_flags: Option<u32>,
}

impl Run {
    const fn row_len(&self) -> u32 {
        4 * (self.flags >> 8 & 15).count_ones()
    }

    /// Decode time of its first sample, if it says so itself.
    pub(crate) const fn start(&self) -> Option<i64> {
        self.time
    }

    /// Where its rows begin.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// A sample. `window` is one for rows; `offset` and `dts` are the sample's own.
    fn sample(
        &self,
        source: &dyn ReadAt,
        window: &mut Window,
        index: u32,
        (offset, dts): (u64, i64),
    ) -> Result<Sample, MediaError> {
        let len = self.row_len();
        let at = |index: u32| self.rows + u64::from(index) * u64::from(len);
        let row = window.get(source, at(index), len as usize, at(self.count))?;
        let row = row
            .ok_or(MediaError::Malformed { what: "the file breaks off in a fragment", offset: at(index) })?;
        let mut cursor = Cursor::new(row);
        let mut field =
            |flag, default| if self.flags & flag != 0 { cursor.u32().unwrap_or(default) } else { default };
        let duration = field(HAS_DURATION, self.defaults.duration);
        let size = field(HAS_SIZE, self.defaults.size);
        let first = if index == 0 { self.first_flags } else { None };
        let flags = field(HAS_FLAGS, self.defaults.flags);
        let flags = first.unwrap_or(flags);
        let composition = field(HAS_COMPOSITION, 0) as i32;
        let entry = self.defaults.description.saturating_sub(1);
        Ok(Sample { offset, size, dts, composition, duration, is_sync: flags & NON_SYNC == 0, entry })
    }

    /// Bytes of data and duration of all its samples.
    fn total(&self, source: &dyn ReadAt, window: &mut Window) -> Result<(u64, i64), MediaError> {
        let (count, defaults) = (u64::from(self.count), &self.defaults);
        let mut total = (count * u64::from(defaults.size), count as i64 * i64::from(defaults.duration));
        if self.flags & (HAS_DURATION | HAS_SIZE) != 0 {
            total = (0, 0);
            for index in 0..self.count {
                let sample = self.sample(source, window, index, (0, 0))?;
                total = (total.0 + u64::from(sample.size), total.1 + i64::from(sample.duration));
            }
        }
        Ok(total)
    }
}

/// The time at which runs that begin at `time` end.
pub(crate) fn end_time(source: &dyn ReadAt, runs: &[Run], mut time: i64) -> Result<i64, MediaError> {
    let mut window = Window::new(WINDOW);
    for run in runs {
        time = run.time.unwrap_or(time).saturating_add(run.total(source, &mut window)?.1);
    }
    Ok(time)
}

/// The first sync sample of runs that begin at `time`.
pub(crate) fn first_sync(
    source: &dyn ReadAt,
    runs: &[Run],
    mut time: i64,
) -> Result<Option<Sample>, MediaError> {
    let mut window = Window::new(WINDOW);
    for run in runs {
        time = run.time.unwrap_or(time);
        // Without flags of their own all but the first are alike.
        let looked_at = if run.flags & HAS_FLAGS != 0 { run.count } else { run.count.min(2) };
        let mut sample_time = time;
        for index in 0..looked_at {
            let sample = run.sample(source, &mut window, index, (0, sample_time))?;
            if sample.is_sync {
                return Ok(Some(sample));
            }
            sample_time = sample_time.saturating_add(i64::from(sample.duration));
        }
        time = time.saturating_add(run.total(source, &mut window)?.1);
    }
    Ok(None)
}

/// The runs of track `id` in a `moof` that is there whole.
pub(crate) fn runs(
    source: &dyn ReadAt,
    moof: &Mp4Box,
    id: u32,
    defaults: Defaults,
) -> Result<Vec<Run>, MediaError> {
    let mut found: Vec<Run> = Vec::new();
    // What the track before listed, whose data the next one's may follow.
    let mut before: Option<(u64, Vec<Run>)> = None;
    let mut boxes = Boxes::inside(source, moof.content());
    while let Some(child) = boxes.next()? {
        if child.kind != *b"traf" {
            continue;
        }
        let Some(header) = TrackFragment::read(source, &child)? else { continue };
        let base = match header.base {
            Base::At(base) => base,
            Base::Moof => moof.start,
            Base::Before => match &before {
                Some((start, runs)) => data_end(source, runs, *start)?,
                None => moof.start,
            },
        };
        let track_runs = header.runs(
            source,
            &child,
            base,
            if header.id == id { defaults } else { Defaults::default() },
        )?;
        if header.id == id {
            found.extend(track_runs.iter().cloned());
            let samples: u64 = found.iter().map(|run| u64::from(run.count)).sum();
            if found.len() > MAX_RUNS || samples > MAX_SAMPLES {
                return Err(MediaError::TooLarge("the number of samples in a fragment"));
            }
        }
        before = Some((base, track_runs));
    }
    Ok(found)
}

/// Where the data of runs ends.
fn data_end(source: &dyn ReadAt, runs: &[Run], mut end: u64) -> Result<u64, MediaError> {
    let mut window = Window::new(WINDOW);
    for run in runs {
        end = run.data.unwrap_or(end).saturating_add(run.total(source, &mut window)?.0);
    }
    Ok(end)
}

/// What `tfhd` and `tfdt` say.
struct TrackFragment {
    id: u32,
    base: Base,
    time: Option<i64>,
    description: Option<u32>,
    duration: Option<u32>,
    size: Option<u32>,
    flags: Option<u32>,
}

/// What data offsets count from.
enum Base {
    At(u64),
    Moof,
    Before,
}

impl TrackFragment {
    fn read(source: &dyn ReadAt, traf: &Mp4Box) -> Result<Option<TrackFragment>, MediaError> {
        let (mut header, mut time) = (None, None);
        let mut boxes = Boxes::inside(source, traf.content());
        while let Some(child) = boxes.next()? {
            match &child.kind {
                b"tfhd" => header = Some(child),
                b"tfdt" => {
                    let bytes = child.read(source, MAX_HEADER)?;
                    let mut cursor = Cursor::new(&bytes);
                    let is_long = cursor.u32().is_some_and(|head| head >> 24 == 1);
                    let read = if is_long { read_u64(&mut cursor) } else { cursor.u32().map(u64::from) };
                    let read = read.ok_or_else(|| child.malformed("a short tfdt"))?;
                    time = Some(i64::try_from(read).unwrap_or(i64::MAX));
                }
                // Both stand before the runs.
                b"trun" => break,
                _ => {}
            }
        }
        let Some(header) = header else { return Ok(None) };
        let bytes = header.read(source, MAX_HEADER)?;
        let mut cursor = Cursor::new(&bytes);
        let mut read = || {
            let flags = cursor.u32()?;
            let id = cursor.u32()?;
            let base = match flags {
                flags if flags & 1 != 0 => Base::At(read_u64(&mut cursor)?),
                flags if flags & DEFAULT_BASE_IS_MOOF != 0 => Base::Moof,
                _ => Base::Before,
            };
            let mut field = |flag| if flags & flag != 0 { cursor.u32().map(Some) } else { Some(None) };
            Some(TrackFragment {
                id,
                base,
                time,
                description: field(2)?,
                duration: field(8)?,
                size: field(0x10)?,
                flags: field(0x20)?,
            })
        };
        read().map(Some).ok_or_else(|| header.malformed("a short tfhd"))
    }

    /// Its runs.
    fn runs(
        &self,
        source: &dyn ReadAt,
        traf: &Mp4Box,
        base: u64,
        defaults: Defaults,
    ) -> Result<Vec<Run>, MediaError> {
        let defaults = Defaults {
            description: self.description.unwrap_or(defaults.description),
            duration: self.duration.unwrap_or(defaults.duration),
            size: self.size.unwrap_or(defaults.size),
            flags: self.flags.unwrap_or(defaults.flags),
        };
        let mut runs: Vec<Run> = Vec::new();
        let mut boxes = Boxes::inside(source, traf.content());
        while let Some(child) = boxes.next()? {
            if child.kind != *b"trun" {
                continue;
            }
            let mut head = [0; 16];
            let len = child.len().min(16) as usize;
            let len = source.read_at(child.body, &mut head[..len])?;
            let mut cursor = Cursor::new(&head[..len]);
            let mut read = || {
                let flags = cursor.u32()?;
                let count = cursor.u32()?;
                let offset = if flags & 1 != 0 { Some(cursor.u32()? as i32) } else { None };
                let first_flags = if flags & 4 != 0 { Some(cursor.u32()?) } else { None };
                let data = match offset {
                    Some(offset) => Some(base.saturating_add_signed(i64::from(offset))),
                    None if runs.is_empty() => Some(base),
                    None => None,
                };
                let time = self.time.filter(|_| runs.is_empty());
                let rows = child.body + cursor.position() as u64;
                Some(Run { rows, count, flags, data, time, defaults, first_flags })
            };
            let run = read().ok_or_else(|| child.malformed("a short trun"))?;
            if u64::from(run.count) * u64::from(run.row_len()) > child.end - run.rows {
                return Err(child.malformed("a run longer than its box"));
            }
            runs.push(run);
        }
        Ok(runs)
    }
}

/// A fragment, and how far into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where the `moof`, or a box before it, begins.
    pub(crate) offset: u64,
    /// The time that goes on there, if the fragment has none of its own.
    pub(crate) time: i64,
    /// Samples of the track to leave out.
    pub(crate) skipped: u32,
}

/// The samples of one track in all fragments.
#[derive(Debug)]
pub(crate) struct Fragments {
    id: u32,
    defaults: Defaults,
    /// Where the next box begins.
    at: u64,
    runs: Vec<Run>,
    /// The run that comes next, and the sample in it.
    run: usize,
    sample: u32,
    /// Where that sample is.
    data: u64,
    time: i64,
    /// The fragment being read; what was read of it.
    place: Place,
    window: Window,
}

impl Fragments {
    /// Those of track `id` in a file whose header ends at `at`; time begins with `time`.
    pub(crate) const fn new(id: u32, defaults: Defaults, at: u64, time: i64) -> Fragments {
        let place = Place { offset: at, time, skipped: 0 };
        let window = Window::new(WINDOW);
        Fragments { id, defaults, at, runs: Vec::new(), run: 0, sample: 0, data: 0, time, place, window }
    }

    /// Appends the samples that come next, as far as they lie side by side. Appends nothing at the end, for now.
    pub(crate) fn read(&mut self, source: &dyn ReadAt, out: &mut Vec<Sample>) -> Result<(), MediaError> {
        self.read_some(source, out, READ)
    }

    /// Appends `most` samples at most.
    fn read_some(&mut self, source: &dyn ReadAt, out: &mut Vec<Sample>, most: u32) -> Result<(), MediaError> {
        loop {
            if let Some(run) = self.runs.get(self.run) {
                if self.sample == 0 {
                    self.time = run.time.unwrap_or(self.time);
                    self.data = run.data.unwrap_or(self.data);
                }
                // Samples of no length, by the thousand: nothing of it is to be played.
                if run.defaults.size == 0 && run.flags & HAS_SIZE == 0 {
                    self.time = self.time.saturating_add(run.total(source, &mut self.window)?.1);
                    self.sample = run.count;
                    self.place.skipped = self.place.skipped.saturating_add(run.count);
                }
                let end = self.sample.saturating_add(most.min(READ)).min(run.count);
                for index in self.sample..end {
                    let sample = run.sample(source, &mut self.window, index, (self.data, self.time))?;
                    self.data = self.data.saturating_add(u64::from(sample.size));
                    self.time = self.time.saturating_add(i64::from(sample.duration));
                    out.push(sample);
                }
                let read = end - self.sample;
                self.place.skipped = self.place.skipped.saturating_add(read);
                self.sample = end;
                if end == run.count {
                    (self.run, self.sample) = (self.run + 1, 0);
                }
                if read > 0 {
                    return Ok(());
                }
            } else if !self.next_fragment(source)? {
                return Ok(());
            }
        }
    }

    /// Where the next sample will be read.
    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// Goes to a place that [`Fragments::place`] gave, or to a fragment.
    pub(crate) fn go_to(&mut self, source: &dyn ReadAt, place: Place) -> Result<(), MediaError> {
        self.runs.clear();
        (self.run, self.sample) = (0, 0);
        (self.at, self.time) = (place.offset, place.time);
        self.place = Place { skipped: 0, ..place };
        let mut passed = Vec::new();
        while self.place.skipped < place.skipped {
            passed.clear();
            self.read_some(source, &mut passed, place.skipped - self.place.skipped)?;
            if passed.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Where the file begins that is still of use, if nothing goes back.
    pub(crate) fn needed_from(&self) -> u64 {
        if self.run < self.runs.len() { self.place.offset } else { self.at }
    }

    /// When a fragment's samples of the track begin, if it says so, and how long they last; `None` without samples.
    pub(crate) fn times(
        &self,
        source: &dyn ReadAt,
        moof: &Mp4Box,
    ) -> Result<Option<(Option<i64>, i64)>, MediaError> {
        let runs = runs(source, moof, self.id, self.defaults)?;
        let Some(first) = runs.first() else { return Ok(None) };
        let start = first.start();
        let end = end_time(source, &runs, start.unwrap_or(0))?;
        Ok(Some((start, end.saturating_sub(start.unwrap_or(0)))))
    }

    /// Finds the next fragment of the track that is there whole.
    fn next_fragment(&mut self, source: &dyn ReadAt) -> Result<bool, MediaError> {
        let mut boxes = FragmentBoxes::new(source, self.at)?;
        while let Some(moof) = boxes.next()? {
            self.at = moof.end;
            let runs = runs(source, &moof, self.id, self.defaults)?;
            if !runs.is_empty() {
                self.place = Place { offset: moof.start, time: self.time, skipped: 0 };
                (self.runs, self.run, self.sample) = (runs, 0, 0);
                return Ok(true);
            }
        }
        self.at = boxes.at;
        self.runs.clear();
        self.run = 0;
        Ok(false)
    }
}

/// The `moof` boxes of a file, as far as they are there whole.
pub(crate) struct FragmentBoxes<'a> {
    boxes: Boxes<'a>,
    /// Where to look on when the file has grown.
    at: u64,
}

impl<'a> FragmentBoxes<'a> {
    /// Those from `at` on.
    pub(crate) fn new(source: &'a dyn ReadAt, at: u64) -> Result<FragmentBoxes<'a>, MediaError> {
        let end = source.size()?;
        Ok(FragmentBoxes { boxes: Boxes::of_file(source, at..end.max(at)), at })
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Result<Option<Mp4Box>, MediaError> {
        while let Some(found) = self.boxes.next()? {
            // What is cut may be whole later. Zeros are room that was reserved and is not written yet.
            if found.is_cut || found.kind == [0; 4] {
                return Ok(None);
            }
            self.at = found.end;
            if found.kind == *b"moof" {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn read_u64(cursor: &mut Cursor<'_>) -> Option<u64> {
    Some(u64::from(cursor.u32()?) << 32 | u64::from(cursor.u32()?))
}

/// Fields of a row, in this order.
const HAS_DURATION: u32 = 0x100;
const HAS_SIZE: u32 = 0x200;
const HAS_FLAGS: u32 = 0x400;
const HAS_COMPOSITION: u32 = 0x800;

/// sample_is_non_sync_sample.
const NON_SYNC: u32 = 0x1_0000;

/// Flag of `tfhd`.
const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;

/// Samples that are given at once.
const READ: u32 = 128;

/// Rows that are read at once, in bytes.
const WINDOW: usize = 2048;

/// `tfhd` and `tfdt` have 40 bytes at most.
const MAX_HEADER: u64 = 1024;

/// Runs of a track in a fragment; one is usual, one for each sample is seen.
const MAX_RUNS: usize = 1 << 14;

/// Samples of a track in a fragment: hours of them.
const MAX_SAMPLES: u64 = 1 << 20;
