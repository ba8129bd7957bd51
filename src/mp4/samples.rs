//! Samples in order: what the tables of a track say together (ISO 14496-12, 8.6 and 8.7).
//!
//! In: the `stbl` box. Out: [`Sample`]s, a run of a chunk at a time, from the start or from a place found by time.
//! Field notes: tables of times may be too short (the last delta goes on) or too long (the sizes decide how many samples
//! there are); G.711 in QuickTime has samples of one byte, which are gathered.

use super::{
    boxes::{Boxes, Mp4Box},
    tables::{Layout, Sizes, Spans, SyncSamples, Table},
};
use crate::media::{MediaError, ReadAt};
use alloc::vec::Vec;

/// One frame: where it is, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// In the file.
    pub(crate) offset: u64,
    /// In bytes.
    pub(crate) size: u32,
    /// Decode time in units of the track's timescale.
    pub(crate) dts: i64,
    /// From decoding to showing, in the same units.
    pub(crate) composition: i32,
    /// How long it lasts.
    pub(crate) duration: u32,
    /// Decoding can start here.
    pub(crate) is_sync: bool,
    /// Its sample entry, from 0 on.
    pub(crate) entry: u32,
}

impl Sample {
    /// When it is shown.
    pub(crate) fn pts(&self) -> i64 {
        self.dts.saturating_add(i64::from(self.composition))
    }
}

/// The samples of a track's tables.
#[derive(Debug)]
pub(crate) struct Samples {
    times: Spans,
    compositions: Option<Spans>,
    chunks: Spans,
    offsets: Table,
    sizes: Sizes,
    syncs: Option<SyncSamples>,
    /// The sample that comes next.
    next: u32,
    /// A sample, and where it is: the way to later ones of its chunk is shorter from here.
    place: Option<(u32, u64)>,
    /// Samples that are given as one.
    group: u32,
}

impl Samples {
    /// Opens the tables; `None` where one is missing, which means that there are no samples.
    pub(crate) fn open(source: &dyn ReadAt, stbl: &Mp4Box) -> Result<Option<Samples>, MediaError> {
        let (mut times, mut compositions, mut chunks) = (None, None, None);
        let (mut offsets, mut sizes, mut syncs) = (None, None, None);
        let mut boxes = Boxes::inside(source, stbl.content());
        while let Some(child) = boxes.next()? {
            match &child.kind {
                b"stts" => times = Some(Spans::open(source, &child, Layout::Runs)?),
                b"ctts" => compositions = Some(Spans::open(source, &child, Layout::Runs)?),
                b"stsc" => chunks = Some(child),
                b"stco" => offsets = Some(Table::open(source, &child, 4)?),
                b"co64" => offsets = Some(Table::open(source, &child, 8)?),
                b"stsz" | b"stz2" => sizes = Some(Sizes::open(source, &child)?),
                b"stss" => syncs = SyncSamples::open(source, &child)?,
                _ => {}
            }
        }
        let (Some(times), Some(chunks), Some(offsets), Some(sizes)) = (times, chunks, offsets, sizes) else {
            return Ok(None);
        };
        let chunks = Spans::open(source, &chunks, Layout::Chunks(offsets.count()))?;
        let samples =
            Samples { times, compositions, chunks, offsets, sizes, syncs, next: 0, place: None, group: 1 };
        Ok((samples.sizes.count() > 0).then_some(samples))
    }

    /// From now on gathers samples that all have one length, which are no frames.
    pub(crate) fn gather(&mut self) {
        if self.sizes.constant().is_some() {
            self.group = GATHERED;
        }
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> u32 {
        self.sizes.count()
    }

    /// Appends the samples that come next, as far as they lie side by side. Appends nothing at the end.
    pub(crate) fn read(&mut self, source: &dyn ReadAt, out: &mut Vec<Sample>) -> Result<(), MediaError> {
        if self.next >= self.count() {
            return Ok(());
        }
        let Some((mut offset, chunk_end, entry)) = self.locate(source, self.next)? else { return Ok(()) };
        for _ in 0..RUN {
            let first = self.next;
            if first >= chunk_end {
                break;
            }
            let end = first.saturating_add(self.group).min(chunk_end);
            let size = match end - first {
                1 => self.sizes.of(source, first)?,
                _ => u32::try_from(self.sizes.sum(source, first, end)?).unwrap_or(u32::MAX),
            };
            let dts = self.time(source, first)?;
            let duration = match end - first {
                1 => self.times.current().map_or(0, |span| span.delta()),
                _ => self.time(source, end)? - dts,
            };
            out.push(Sample {
                offset,
                size,
                dts,
                composition: self.composition(source, first)?,
                duration: u32::try_from(duration).unwrap_or(u32::MAX),
                is_sync: match &mut self.syncs {
                    Some(syncs) => syncs.contains(source, first)?,
                    None => true,
                },
                entry,
            });
            offset = offset.saturating_add(u64::from(size));
            self.next = end;
            self.place = Some((end, offset));
        }
        Ok(())
    }

    /// Goes back to the first sample.
    pub(crate) const fn rewind(&mut self) {
        self.next = 0;
    }

    /// Goes behind the last sample.
    pub(crate) const fn finish(&mut self) {
        self.next = self.sizes.count();
    }

    /// Nothing comes any more.
    pub(crate) const fn is_finished(&self) -> bool {
        self.next >= self.sizes.count()
    }

    /// Goes to the last sync sample that is decoded at or before `time`, or to the first one.
    pub(crate) fn seek_sync(&mut self, source: &dyn ReadAt, time: i64) -> Result<(), MediaError> {
        let mut sample = self.at_time(source, time)?;
        if let Some(syncs) = &mut self.syncs {
            let index = syncs.before(source, sample)?.unwrap_or(0);
            sample = syncs.get(source, index)?.min(self.sizes.count() - 1);
        }
        self.next = sample;
        Ok(())
    }

    /// Goes to the first sample that is decoded after `time`.
    pub(crate) fn seek_after(&mut self, source: &dyn ReadAt, time: i64) -> Result<(), MediaError> {
        self.next = if time < 0 { 0 } else { self.at_time(source, time)? + 1 };
        Ok(())
    }

    /// The time at which the last sample ends, if that can be told without reading much.
    pub(crate) fn end(&mut self, source: &dyn ReadAt) -> Result<Option<i64>, MediaError> {
        if self.times.rows() > MAX_ROWS {
            return Ok(None);
        }
        self.time(source, self.count()).map(Some)
    }

    /// The lowest composition offset, by the first part of its table: they repeat from group to group.
    pub(crate) fn lowest_composition(&mut self, source: &dyn ReadAt) -> Result<i32, MediaError> {
        let Some(compositions) = &mut self.compositions else { return Ok(0) };
        let (mut lowest, mut sample) = (0, 0);
        for _ in 0..LOOKED_AT {
            let Some(span) = compositions.of_sample(source, sample)? else { break };
            lowest = lowest.min(span.value as i32);
            sample = span.first + span.count;
        }
        Ok(lowest)
    }

    /// Decode time and place of sync samples, evenly thinned out to `max`.
    pub(crate) fn keyframes(&mut self, source: &dyn ReadAt, max: u32) -> Result<Vec<(i64, u64)>, MediaError> {
        let total = self.syncs.as_ref().map_or(self.count(), SyncSamples::count);
        let mut keyframes = Vec::new();
        for index in (0..total).step_by(total.div_ceil(max.max(1)).max(1) as usize) {
            let sample = match &mut self.syncs {
                Some(syncs) => syncs.get(source, index)?,
                None => index,
            };
            let Some((offset, _, _)) = self.locate(source, sample)? else { break };
            self.place = Some((sample, offset));
            keyframes.push((self.time(source, sample)?, offset));
        }
        Ok(keyframes)
    }

    /// Where a sample is, the end of its chunk in samples, its sample entry; `None` behind the last.
    fn locate(&mut self, source: &dyn ReadAt, sample: u32) -> Result<Option<(u64, u32, u32)>, MediaError> {
        if sample >= self.count() {
            return Ok(None);
        }
        let Some(span) = self.chunks.of_sample(source, u64::from(sample))? else { return Ok(None) };
        let chunk_len = u64::from(span.value.max(1));
        let chunk = (u64::from(sample) - span.first) / chunk_len;
        let first = (span.first + chunk * chunk_len) as u32;
        let end = u64::from(first).saturating_add(chunk_len).min(u64::from(self.count())) as u32;
        let (from, start) = match self.place {
            Some((known, offset)) if known > first && known <= sample => (known, offset),
            _ => (first, self.offsets.offset(source, (span.sum as u64 + chunk) as u32)?),
        };
        let offset = start.saturating_add(self.sizes.sum(source, from, sample)?);
        Ok(Some((offset, end, span.description.saturating_sub(1))))
    }

    /// Decode time of a sample. Where the table is too short, the last delta goes on.
    fn time(&mut self, source: &dyn ReadAt, sample: u32) -> Result<i64, MediaError> {
        let sample = u64::from(sample);
        let found = self.times.of_sample(source, sample)?;
        let Some(span) = found.or(self.times.current()) else { return Ok(0) };
        let within = i64::try_from(sample - span.first).unwrap_or(i64::MAX);
        Ok(span.sum.saturating_add(within.saturating_mul(span.delta())))
    }

    /// The last sample that is decoded at or before `time`; the first one if there is none.
    fn at_time(&mut self, source: &dyn ReadAt, time: i64) -> Result<u32, MediaError> {
        let last = u64::from(self.count() - 1);
        if time < 0 {
            return Ok(0);
        }
        let found = self.times.of_time(source, time)?;
        let Some(span) = found.or(self.times.current()) else { return Ok(0) };
        let within = match span.delta() {
            0 => u64::MAX,
            delta => time.saturating_sub(span.sum).max(0) as u64 / delta as u64,
        };
        Ok(span.first.saturating_add(within).min(last) as u32)
    }

    /// How long after decoding a sample is shown. Version 0 has no negative ones by the text, but many files do.
    fn composition(&mut self, source: &dyn ReadAt, sample: u32) -> Result<i32, MediaError> {
        let Some(compositions) = &mut self.compositions else { return Ok(0) };
        Ok(compositions.of_sample(source, u64::from(sample))?.map_or(0, |span| span.value as i32))
    }
}

/// Samples that are given at once.
const RUN: usize = 128;

/// Bytes of G.711 in a tag, an eighth of a second: what ffmpeg makes a packet of.
const GATHERED: u32 = 1024;

/// Rows of times that are summed up: half a megabyte. Most files have a handful.
const MAX_ROWS: u32 = 1 << 16;

/// Composition offsets that are looked at for the lowest one: some minutes.
const LOOKED_AT: usize = 8192;
