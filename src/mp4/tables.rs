//! Sample tables, read where they lie in the file, a small window at a time (ISO 14496-12, 8.6 and 8.7).
//!
//! [`Table`] is any table of rows of one length. [`Spans`] is one whose rows each stand for many samples (`stts`, `ctts`,
//! `stsc`): rows are found by sample or by time from the nearest of at most [`MAX_CHECKPOINTS`] places noted on the
//! way. [`Sizes`] and [`SyncSamples`] are the other two.
//! Bounds: what a table claims to hold must fit into its box; [`MAX_SAMPLES`].

use super::{boxes::Mp4Box, window::Window};
use crate::media::{MediaError, ReadAt};
use alloc::vec::Vec;

/// Rows of one length.
#[derive(Debug)]
pub(crate) struct Table {
    /// Where the first row is.
    first: u64,
    count: u32,
    row_len: u32,
    window: Window,
}

impl Table {
    /// The table of a box that begins with version, flags and count.
    pub(crate) fn open(source: &dyn ReadAt, found: &Mp4Box, row_len: u32) -> Result<Table, MediaError> {
        Table::open_at(source, found, 4, row_len, TABLE_WINDOW)
    }

    /// The table whose count is `at` bytes into the box, right before the rows.
    fn open_at(
        source: &dyn ReadAt,
        found: &Mp4Box,
        at: u64,
        row_len: u32,
        window: usize,
    ) -> Result<Table, MediaError> {
        let room = found.len().checked_sub(at + 4).ok_or_else(|| found.malformed("a short table"))?;
        let count = u32_at(source, found, at)?;
        if u64::from(count) * u64::from(row_len) > room {
            return Err(found.malformed("a table longer than its box"));
        }
        Ok(Table { first: found.body + at + 4, count, row_len, window: Window::new(window) })
    }

    /// How many rows there are.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// `rows` rows from `index` on, fewer at the end.
    fn rows(&mut self, source: &dyn ReadAt, index: u32, rows: u32) -> Result<&[u8], MediaError> {
        self.rows_of(source, index, rows, self.count)
    }

    /// The same where those from `end` on will not be asked for.
    fn rows_of(&mut self, source: &dyn ReadAt, index: u32, rows: u32, end: u32) -> Result<&[u8], MediaError> {
        let rows = rows.min(self.count.saturating_sub(index));
        let at = |row: u32| self.first + u64::from(row) * u64::from(self.row_len);
        let (offset, end) = (at(index), at(end.min(self.count)));
        let bytes = self.window.get(source, offset, (rows * self.row_len) as usize, end)?;
        bytes.ok_or(MediaError::Malformed { what: "the file breaks off in a table", offset })
    }

    /// The first four bytes of a row; 0 behind the end.
    fn u32(&mut self, source: &dyn ReadAt, index: u32) -> Result<u32, MediaError> {
        self.rows(source, index, 1).map(|row| word(row, 0))
    }

    /// A row of four or eight bytes; 0 behind the end.
    pub(crate) fn offset(&mut self, source: &dyn ReadAt, index: u32) -> Result<u64, MediaError> {
        self.rows(source, index, 1).map(|row| match row.len() {
            8 => u64::from(word(row, 0)) << 32 | u64::from(word(row, 1)),
            _ => u64::from(word(row, 0)),
        })
    }
}

/// Samples that have something in common: a row, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    row: u32,
    /// The first of its samples, from 0 on.
    pub(crate) first: u64,
    /// How many samples.
    pub(crate) count: u64,
    /// Delta, composition offset, or samples in a chunk.
    pub(crate) value: u32,
    /// The sum of all values before it: decode time; or its first chunk, from 0 on.
    pub(crate) sum: i64,
    /// Chunks: the sample entry, from 1 on.
    pub(crate) description: u32,
}

/// What the rows mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Count and value.
    Runs,
    /// First chunk, samples in a chunk, sample entry; for this many chunks.
    Chunks(u32),
}

/// A table whose rows each stand for many samples.
#[derive(Debug)]
pub(crate) struct Spans {
    table: Table,
    layout: Layout,
    current: Option<Span>,
    /// Some of the spans that were passed, in order, `step` rows apart.
    checkpoints: Vec<Span>,
    step: u32,
}

impl Spans {
    /// The rows of `found`.
    pub(crate) fn open(source: &dyn ReadAt, found: &Mp4Box, layout: Layout) -> Result<Spans, MediaError> {
        let table = Table::open(source, found, if layout == Layout::Runs { 8 } else { 12 })?;
        let step = (table.count / MAX_CHECKPOINTS).max(MIN_STEP);
        Ok(Spans { table, layout, current: None, checkpoints: Vec::new(), step })
    }

    /// How many rows there are.
    pub(crate) const fn rows(&self) -> u32 {
        self.table.count
    }

    /// The span of sample `sample`; `None` behind the last.
    pub(crate) fn of_sample(&mut self, source: &dyn ReadAt, sample: u64) -> Result<Option<Span>, MediaError> {
        self.find(source, |span| span.first <= sample, |span| sample < span.first + span.count)
    }

    /// The last span that begins at or before time `sum`, if it ends after that; `None` behind the last.
    pub(crate) fn of_time(&mut self, source: &dyn ReadAt, sum: i64) -> Result<Option<Span>, MediaError> {
        self.find(source, |span| span.sum <= sum, |span| sum < span.end_time())
    }

    /// The span that was found last, or the last one of all if none was found.
    pub(crate) const fn current(&self) -> Option<Span> {
        self.current
    }

    /// The first span that `holds`, given that all those before one that `begins` do not.
    fn find(
        &mut self,
        source: &dyn ReadAt,
        begins: impl Fn(&Span) -> bool,
        holds: impl Fn(&Span) -> bool,
    ) -> Result<Option<Span>, MediaError> {
        if let Some(span) = self.current.filter(|span| begins(span) && holds(span)) {
            return Ok(Some(span));
        }
        let noted = self.checkpoints.partition_point(&begins).checked_sub(1);
        let noted = noted.map(|index| self.checkpoints[index]);
        let start = match (self.current.filter(&begins), noted) {
            (Some(current), Some(noted)) if noted.row > current.row => Some(noted),
            (None, noted) => noted,
            (current, _) => current,
        };
        let mut span = match start {
            Some(span) => span,
            None => match self.load(source, 0, 0, 0)? {
                Some(span) => span,
                None => return Ok(None),
            },
        };
        while !holds(&span) {
            match self.load(source, span.row + 1, span.first + span.count, span.end_time())? {
                Some(next) => span = next,
                None => {
                    self.current = Some(span);
                    return Ok(None);
                }
            }
            if span.row % self.step == 0 && self.checkpoints.last().is_none_or(|last| last.row < span.row) {
                self.checkpoints.push(span);
            }
        }
        self.current = Some(span);
        Ok(Some(span))
    }

    /// The span of row `row`, which begins with sample `first` and at `sum`; `None` behind the last row.
    fn load(
        &mut self,
        source: &dyn ReadAt,
        row: u32,
        first: u64,
        sum: i64,
    ) -> Result<Option<Span>, MediaError> {
        if row >= self.table.count {
            return Ok(None);
        }
        let is_last = row + 1 == self.table.count;
        let bytes = self.table.rows(source, row, 2)?;
        let span =
            Span { row, first, count: u64::from(word(bytes, 0)), value: word(bytes, 1), sum, description: 0 };
        Ok(Some(match self.layout {
            Layout::Runs => span,
            Layout::Chunks(total) => {
                let chunk = word(bytes, 0).saturating_sub(1).min(total);
                let end = if is_last { total } else { word(bytes, 3).saturating_sub(1).min(total) };
                let count = u64::from(end.saturating_sub(chunk)) * u64::from(span.value);
                Span { count, sum: i64::from(chunk), description: word(bytes, 2), ..span }
            }
        }))
    }
}

impl Span {
    /// The time at which a run ends. A delta beyond 2^31 is a negative one, and stands for none.
    fn end_time(&self) -> i64 {
        self.sum.saturating_add(i64::try_from(self.count).unwrap_or(i64::MAX).saturating_mul(self.delta()))
    }

    /// Its value as a time between samples.
    pub(crate) fn delta(&self) -> i64 {
        i64::from(self.value as i32).max(0)
    }
}

/// `stsz` or `stz2`: the length of each sample.
#[derive(Debug)]
pub(crate) struct Sizes {
    /// 0: they are in the table.
    constant: u32,
    count: u32,
    /// 4, 8, 16 or 32.
    bits: u32,
    table: Option<Table>,
}

impl Sizes {
    /// Reads the head of the box.
    pub(crate) fn open(source: &dyn ReadAt, found: &Mp4Box) -> Result<Sizes, MediaError> {
        if found.len() < 12 {
            return Err(found.malformed("a short table"));
        }
        let count = u32_at(source, found, 8)?;
        let first = u32_at(source, found, 4)?;
        let (constant, bits) = if found.kind == *b"stsz" { (first, 32) } else { (0, first & 0xff) };
        if constant != 0 {
            return Ok(Sizes { constant, count, bits, table: None });
        }
        if count > MAX_SAMPLES {
            return Err(MediaError::TooLarge("the number of samples"));
        }
        if !matches!(bits, 4 | 8 | 16 | 32) {
            return Err(found.malformed("sizes of an impossible width"));
        }
        // Two sizes of 4 bits are a row.
        let mut table = Table::open_at(source, found, 8, 0, SIZE_WINDOW)?;
        (table.row_len, table.count) = if bits == 4 { (1, count.div_ceil(2)) } else { (bits / 8, count) };
        if u64::from(table.count) * u64::from(table.row_len) > found.len() - 12 {
            return Err(found.malformed("a table longer than its box"));
        }
        Ok(Sizes { constant, count, bits, table: Some(table) })
    }

    /// How many samples there are.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// The length of all samples, if they have one length.
    pub(crate) fn constant(&self) -> Option<u32> {
        Some(self.constant).filter(|constant| *constant != 0)
    }

    /// The length of a sample.
    pub(crate) fn of(&mut self, source: &dyn ReadAt, sample: u32) -> Result<u32, MediaError> {
        self.read(source, sample, u32::MAX)
    }

    /// The length of samples `first` to `end` together.
    pub(crate) fn sum(&mut self, source: &dyn ReadAt, first: u32, end: u32) -> Result<u64, MediaError> {
        if self.table.is_none() {
            return Ok(u64::from(self.constant) * u64::from(end.saturating_sub(first)));
        }
        let mut sum = 0;
        for sample in first..end {
            sum += u64::from(self.read(source, sample, end)?);
        }
        Ok(sum)
    }

    /// The length of a sample, where those from `end` on will not be asked for.
    fn read(&mut self, source: &dyn ReadAt, sample: u32, end: u32) -> Result<u32, MediaError> {
        let Some(table) = &mut self.table else { return Ok(self.constant) };
        let is_half = self.bits == 4;
        let (row, end) = if is_half { (sample / 2, end.div_ceil(2)) } else { (sample, end) };
        let row = table.rows_of(source, row, 1, end)?;
        Ok(match *row {
            [both] if is_half => u32::from(if sample % 2 == 0 { both >> 4 } else { both & 15 }),
            [size] => u32::from(size),
            [high, low] => u32::from(high) << 8 | u32::from(low),
            _ => word(row, 0),
        })
    }
}

/// `stss`: the samples that decoding can start with, in order.
#[derive(Debug)]
pub(crate) struct SyncSamples {
    table: Table,
    /// The row that is next when samples are asked for in order.
    next: u32,
}

impl SyncSamples {
    /// The rows of `found`; `None` if there are none, which says nothing.
    pub(crate) fn open(source: &dyn ReadAt, found: &Mp4Box) -> Result<Option<SyncSamples>, MediaError> {
        let table = Table::open(source, found, 4)?;
        Ok((table.count > 0).then_some(SyncSamples { table, next: 0 }))
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> u32 {
        self.table.count
    }

    /// Number `index` of them, as a sample from 0 on.
    pub(crate) fn get(&mut self, source: &dyn ReadAt, index: u32) -> Result<u32, MediaError> {
        Ok(self.table.u32(source, index)?.saturating_sub(1))
    }

    /// The last one at or before `sample`, by number.
    pub(crate) fn before(&mut self, source: &dyn ReadAt, sample: u32) -> Result<Option<u32>, MediaError> {
        let (mut low, mut high) = (0, self.table.count);
        while low < high {
            let middle = low + (high - low) / 2;
            // Far apart each is read by itself, the last ones together.
            if high - low > NEAR {
                self.table.rows_of(source, middle, 1, middle + 1)?;
            } else {
                self.table.rows(source, low, high - low)?;
            }
            if self.get(source, middle)? <= sample { low = middle + 1 } else { high = middle }
        }
        Ok(low.checked_sub(1))
    }

    /// Whether `sample` is one.
    pub(crate) fn contains(&mut self, source: &dyn ReadAt, sample: u32) -> Result<bool, MediaError> {
        // In order, the answer is this row or the one before.
        let is_in_order = self.next > 0 && self.get(source, self.next - 1)? <= sample;
        if is_in_order && self.next < self.table.count && sample < self.get(source, self.next)? {
            return Ok(self.get(source, self.next - 1)? == sample);
        }
        let before = self.before(source, sample)?;
        self.next = before.map_or(0, |index| index + 1);
        match before {
            Some(index) => Ok(self.get(source, index)? == sample),
            None => Ok(false),
        }
    }
}

/// Four bytes, `at` bytes into the content of a box that is long enough.
fn u32_at(source: &dyn ReadAt, found: &Mp4Box, at: u64) -> Result<u32, MediaError> {
    let mut bytes = [0; 4];
    if source.read_at(found.body + at, &mut bytes)? < 4 {
        return Err(found.malformed("the file breaks off in a table"));
    }
    Ok(u32::from_be_bytes(bytes))
}

/// Number `index` of the four-byte numbers in a row; 0 if it is shorter.
fn word(row: &[u8], index: usize) -> u32 {
    row.get(index * 4..index * 4 + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Rows that are read at once, in bytes.
const TABLE_WINDOW: usize = 4096;

/// As above for sizes, which are also read here and there, for the places of keyframes.
const SIZE_WINDOW: usize = 512;

/// Places noted in a table, so that the way to any row is short; 48 KB at most.
const MAX_CHECKPOINTS: u32 = 1024;

/// Rows of sync samples that are searched in memory.
const NEAR: u32 = 256;

/// Rows that are walked rather than noted.
const MIN_STEP: u32 = 64;

/// Samples of a track that have sizes of their own: a day at 200 a second.
const MAX_SAMPLES: u32 = 20_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::{
        boxes::Boxes,
        testing::{full_box, table, words},
    };

    fn first(source: &[u8]) -> Mp4Box {
        Boxes::of_file(&source, 0..source.len() as u64).next().unwrap().expect("a box")
    }

    #[test]
    fn runs_are_found_by_sample_and_by_time_in_any_order() {
        // 5000 rows of 0 to 3 samples, 0 to 4 units each; more than are noted one by one.
        let rows: Vec<_> = (0..5000u32).map(|row| [row * 7 % 4, row * 5 % 5]).collect();
        let bytes = table(b"stts", 0, &rows);
        let source = &*bytes;
        let mut spans = Spans::open(&source, &first(source), Layout::Runs).unwrap();
        let mut times = alloc::vec![];
        let mut time = 0;
        for [count, delta] in &rows {
            for _ in 0..*count {
                times.push(time);
                time += i64::from(*delta);
            }
        }
        let count = times.len();
        for sample in
            (0..count).chain((0..count).rev().step_by(97)).chain((0..count).map(|index| index * 911 % count))
        {
            let span = spans.of_sample(&source, sample as u64).unwrap().expect("a row");
            let within = sample as i64 - span.first as i64;
            assert_eq!(span.sum + within * span.delta(), times[sample], "sample {sample}");
            let found = spans.of_time(&source, times[sample]).unwrap();
            if let Some(span) = found {
                assert!(span.sum <= times[sample] && times[sample] < span.end_time());
            } else {
                assert_eq!(times[sample], time, "only at the end");
            }
        }
        assert_eq!(spans.of_sample(&source, count as u64).unwrap(), None);
        assert!(spans.checkpoints.len() <= MAX_CHECKPOINTS as usize + 1 && spans.checkpoints.len() > 10);
    }

    #[test]
    fn chunks_out_of_order_or_beyond_the_last_are_no_chunks() {
        let bytes = table(b"stsc", 0, &[[1, 2, 1], [3, 5, 2], [2, 4, 1], [9, 1, 1], [0, 1, 1]]);
        let source = &*bytes;
        let mut spans = Spans::open(&source, &first(source), Layout::Chunks(6)).unwrap();
        let span = spans.of_sample(&source, 3).unwrap().expect("chunk 2");
        assert_eq!((span.first, span.count, span.value, span.sum), (0, 4, 2, 0));
        let span = spans.of_sample(&source, 4).unwrap().expect("what goes on from chunk 2 to 6");
        assert_eq!((span.count, span.value, span.sum), (20, 4, 1));
        let span = spans.of_sample(&source, 24).unwrap().expect("the last row has no chunk before it");
        assert_eq!((span.count, span.sum), (6, 0));
        assert_eq!(spans.of_sample(&source, 30).unwrap(), None);
    }

    #[test]
    fn sizes_of_every_width_are_read() {
        let sizes = [1, 15, 3, 4, 9u32];
        let compact =
            |bits: u32, packed: &[u8]| full_box(b"stz2", 0, 0, &[&words([bits, 5])[..], packed].concat());
        for bytes in [
            full_box(b"stsz", 0, 0, &[words([0, 5]), words(sizes)].concat()),
            compact(4, &[0x1f, 0x34, 0x90]),
            compact(8, &[1, 15, 3, 4, 9]),
            compact(16, &[0, 1, 0, 15, 0, 3, 0, 4, 0, 9]),
        ] {
            let source = &*bytes;
            let mut read = Sizes::open(&source, &first(source)).unwrap();
            for (index, size) in sizes.iter().enumerate() {
                assert_eq!(read.of(&source, index as u32).unwrap(), *size);
                assert_eq!(
                    read.sum(&source, 0, index as u32).unwrap(),
                    u64::from(sizes[..index].iter().sum::<u32>())
                );
            }
        }
        let bytes = full_box(b"stsz", 0, 0, &words([7, 1 << 31]));
        let source = &*bytes;
        let mut constant = Sizes::open(&source, &first(source)).unwrap();
        assert_eq!(constant.sum(&source, 5, 1 << 31).unwrap(), 7 * ((1 << 31) - 5));
    }

    #[test]
    fn counts_that_do_not_fit_into_the_box_are_errors() {
        for bytes in [
            full_box(b"stsz", 0, 0, &words([0, 2, 1])),
            full_box(b"stz2", 0, 0, &words([8, 5, 1])),
            full_box(b"stz2", 0, 0, &words([7, 1, 1])),
            full_box(b"stsz", 0, 0, &words([0, MAX_SAMPLES + 1, 1])),
            full_box(b"stsz", 0, 0, &words([0])),
        ] {
            assert!(Sizes::open(&&*bytes, &first(&bytes)).is_err());
        }
        for bytes in [full_box(b"stss", 0, 0, &words([2, 1])), full_box(b"stss", 0, 0, &[])] {
            assert!(SyncSamples::open(&&*bytes, &first(&bytes)).is_err());
        }
    }

    #[test]
    fn sync_samples_are_found_in_any_order() {
        let numbers: Vec<_> = (0..3000u32).map(|index| [index * 3 + 1]).collect();
        let bytes = table(b"stss", 0, &numbers);
        let source = &*bytes;
        let mut syncs = SyncSamples::open(&source, &first(source)).unwrap().expect("some");
        for sample in (0..9000).chain((0..9000).map(|index| index * 4999 % 9000)) {
            assert_eq!(syncs.contains(&source, sample).unwrap(), sample % 3 == 0, "{sample}");
            assert_eq!(syncs.before(&source, sample).unwrap(), Some(sample / 3));
        }
        let none = table::<1>(b"stss", 0, &[]);
        assert!(SyncSamples::open(&&*none, &first(&none)).unwrap().is_none());
    }
}
