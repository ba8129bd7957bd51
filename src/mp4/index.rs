//! Where in a fragmented file a time is: `sidx` or `mfra` if the file has one, a list made by walking it otherwise.
//!
//! What an index of the file says is only where to look: the fragment itself says which samples it has, and when.
//! So an index that lies costs time, and no more. (ISO 14496-12, 8.8.10 and 8.16.3.)
//! Bounds: [`MAX_ENTRIES`], [`MAX_SCANNED`], [`MAX_WALKED`].
//! Field notes: times of `sidx` are those of showing, `mfra` has either; both are moved so that the first fits the first sync
//! sample. ffmpeg writes a `sidx` before each fragment: one that does not reach to the end of the file is no index.

use super::{
    boxes::{Boxes, Mp4Box},
    fragments::{self, FragmentBoxes, Fragments, Place},
    header::Defaults,
    samples::Sample,
};
use crate::{
    base::{sort, wire::Cursor},
    media::{MediaError, ReadAt},
};
use alloc::vec::Vec;

/// A track, as an index needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indexed {
    pub(crate) id: u32,
    pub(crate) timescale: u32,
    pub(crate) defaults: Defaults,
    /// The time with which its fragments begin if they do not say.
    pub(crate) start: i64,
}

/// Where decoding can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// A fragment, or a box before it.
    pub(crate) offset: u64,
    /// Decode time of its first sync sample, or nearly so, in units of the first track.
    pub(crate) time: i64,
    /// The time of each track that goes on there.
    times: [i64; 2],
}

/// Where fragments with sync samples of the first track are.
#[derive(Debug)]
pub(crate) struct Index {
    /// In order of time. The first one stands for the beginning.
    entries: Vec<Entry>,
}

impl Index {
    /// The index of a file whose header ends at `at`. One or two tracks; the first is the one that is searched.
    pub(crate) fn of(source: &dyn ReadAt, at: u64, tracks: &[Indexed]) -> Result<Index, MediaError> {
        let times = [0, 1].map(|track| tracks.get(track).map_or(0, |track: &Indexed| track.start));
        let mut entries = Vec::from([Entry { offset: at, time: i64::MIN, times }]);
        let Some(first) = tracks.first() else { return Ok(Index { entries }) };
        let found = match index_box(source, at, first)? {
            Some(found) if !found.is_empty() => thin(found),
            _ => scan(source, at, tracks)?,
        };
        entries.extend(found);
        Ok(Index { entries })
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// Fragments that begin with a sync sample or have one.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries[1..]
    }

    /// Goes to the last sync sample that is decoded at or before `time`. Returns the entry where it was looked for; `None` if
    /// there is no such sample.
    pub(crate) fn seek_sync(
        &self,
        source: &dyn ReadAt,
        fragments: &mut Fragments,
        time: i64,
    ) -> Result<Option<usize>, MediaError> {
        let mut entry = self.entries.partition_point(|entry| entry.time <= time).saturating_sub(1);
        let mut step = 1;
        loop {
            let mut best = None;
            self.walk(source, fragments, (entry, 0), |sample, place| {
                if sample.is_sync && sample.size > 0 && sample.dts <= time {
                    best = Some(place);
                }
                sample.dts > time
            })?;
            if let Some(best) = best {
                fragments.go_to(source, best)?;
                return Ok(Some(entry));
            }
            if entry == 0 {
                return Ok(None);
            }
            entry = entry.saturating_sub(step);
            step *= 2;
        }
    }

    /// Goes to the first sync sample, or to the start if there is none.
    pub(crate) fn seek_first(
        &self,
        source: &dyn ReadAt,
        fragments: &mut Fragments,
    ) -> Result<(), MediaError> {
        let mut found = None;
        self.walk(source, fragments, (0, 0), |sample, place| {
            found = Some(place).filter(|_| sample.is_sync && sample.size > 0);
            found.is_some()
        })?;
        fragments.go_to(source, found.unwrap_or_else(|| self.place(0, 0)))
    }

    /// Goes to the first sample of track `track` that is decoded after `time`, which is near entry `near`.
    pub(crate) fn seek_after(
        &self,
        source: &dyn ReadAt,
        fragments: &mut Fragments,
        (track, near): (usize, usize),
        time: i64,
    ) -> Result<(), MediaError> {
        let mut entry = near.saturating_sub(1);
        let mut step = 1;
        loop {
            let (mut found, mut has_earlier) = (None, false);
            self.walk(source, fragments, (entry, track), |sample, place| {
                if sample.dts > time {
                    found = Some(place);
                }
                has_earlier |= found.is_none();
                found.is_some()
            })?;
            if has_earlier || entry == 0 {
                // Without one after it, this is the end.
                return found.map_or(Ok(()), |place| fragments.go_to(source, place));
            }
            // The one that is looked for may lie before the entry.
            entry = entry.saturating_sub(step);
            step *= 2;
        }
    }

    /// The time at which the last sample of track `track` ends; `None` if it has no samples near the end.
    pub(crate) fn end(
        &self,
        source: &dyn ReadAt,
        fragments: &mut Fragments,
        track: usize,
    ) -> Result<Option<i64>, MediaError> {
        let mut end = None;
        self.walk(source, fragments, (self.entries.len() - 1, track), |sample, _| {
            let sample_end = sample.dts.saturating_add(i64::from(sample.duration));
            end = Some(end.map_or(sample_end, |end: i64| end.max(sample_end)));
            false
        })?;
        Ok(end)
    }

    /// Goes back to the start.
    pub(crate) fn rewind(
        &self,
        source: &dyn ReadAt,
        fragments: &mut Fragments,
        track: usize,
    ) -> Result<(), MediaError> {
        fragments.go_to(source, self.place(0, track))
    }

    fn place(&self, entry: usize, track: usize) -> Place {
        let entry = &self.entries[entry.min(self.entries.len() - 1)];
        Place { offset: entry.offset, time: entry.times[track.min(1)], skipped: 0 }
    }

    /// Shows `visit` each sample from an entry on, with its place, until it says that this is enough.
    fn walk(
        &self,
        source: &dyn ReadAt,
        fragments: &mut Fragments,
        (entry, track): (usize, usize),
        mut visit: impl FnMut(&Sample, Place) -> bool,
    ) -> Result<(), MediaError> {
        fragments.go_to(source, self.place(entry, track))?;
        let mut samples = Vec::new();
        for _ in 0..MAX_WALKED {
            samples.clear();
            fragments.read(source, &mut samples)?;
            let place = fragments.place();
            let before = place.skipped.saturating_sub(samples.len() as u32);
            for (index, sample) in samples.iter().enumerate() {
                if visit(sample, Place { skipped: before + index as u32, ..place }) {
                    return Ok(());
                }
            }
            if samples.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What an index in the file says about the first track, if there is one that can be trusted to reach to the end.
fn index_box(source: &dyn ReadAt, at: u64, track: &Indexed) -> Result<Option<Vec<Entry>>, MediaError> {
    let size = source.size()?;
    let mut boxes = Boxes::of_file(source, at..size.max(at));
    let mut segments = None;
    while let Ok(Some(found)) = boxes.next() {
        match &found.kind {
            b"sidx" if segments.is_none() => segments = Some(found),
            b"moof" if !found.is_cut => {
                let Ok(runs) = fragments::runs(source, &found, track.id, track.defaults) else {
                    return Ok(None);
                };
                // Without times of its own, a fragment can only be understood by those before it.
                if !runs.is_empty() && runs.iter().all(|run| run.start().is_none()) {
                    return Ok(None);
                }
                let Some(sync) = fragments::first_sync(source, &runs, 0)? else { continue };
                let listed = match segments.filter(|found| found.len() <= MAX_SIDX) {
                    Some(found) => segment_index(source, &found, track, size)?,
                    None => None,
                };
                let listed = match listed {
                    Some(listed) => Some(listed),
                    None => random_access(source, track, size)?,
                };
                let Some(listed) = listed else { return Ok(None) };
                if !is_true(source, track, &listed)? {
                    return Ok(None);
                }
                return Ok(Some(listed).map(|mut listed| {
                    let late = listed.first().map_or(0, |entry| entry.time.saturating_sub(sync.dts));
                    listed.iter_mut().for_each(|entry| entry.time = entry.time.saturating_sub(late));
                    sort::sort_by_key(&mut listed, |entry| entry.time);
                    listed
                }));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Whether sync samples are where the first entries say. ffmpeg lists every fragment, also those without any.
fn is_true(source: &dyn ReadAt, track: &Indexed, entries: &[Entry]) -> Result<bool, MediaError> {
    for entry in entries.iter().take(VERIFIED) {
        let Some(moof) = FragmentBoxes::new(source, entry.offset)?.next()? else { return Ok(false) };
        let runs = fragments::runs(source, &moof, track.id, track.defaults)?;
        if fragments::first_sync(source, &runs, 0)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `sidx`. `None` unless it lists fragments up to the end of the file, or up to `mfra`.
fn segment_index(
    source: &dyn ReadAt,
    sidx: &Mp4Box,
    track: &Indexed,
    size: u64,
) -> Result<Option<Vec<Entry>>, MediaError> {
    let bytes = sidx.read(source, MAX_SIDX)?;
    let read = || {
        let mut cursor = Cursor::new(&bytes);
        let is_long = cursor.u32()? >> 24 >= 1;
        cursor.u32()?;
        let timescale = cursor.u32().filter(|timescale| *timescale > 0)?;
        let mut number = || Some(if is_long { read_u64(&mut cursor)? } else { u64::from(cursor.u32()?) });
        let (mut time, offset) = (u128::from(number()?), number()?);
        let mut offset = sidx.end.checked_add(offset)?;
        let count = cursor.u32()? & 0xffff;
        let mut entries = Vec::new();
        for _ in 0..count {
            let (reference, duration, _) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            // The first bit says that it is another index.
            if reference >> 31 != 0 {
                return None;
            }
            let scaled = time * u128::from(track.timescale) / u128::from(timescale);
            entries.push(Entry { offset, time: i64::try_from(scaled).ok()?, times: [0; 2] });
            offset = offset.checked_add(u64::from(reference))?;
            time += u128::from(duration);
        }
        Some((entries, offset))
    };
    let Some((entries, end)) = read() else { return Ok(None) };
    let is_whole = end >= size
        || matches!(Boxes::of_file(source, end..size).next(), Ok(Some(next)) if next.kind == *b"mfra");
    Ok(is_whole.then_some(entries))
}

/// `mfra`, whose length stands in the last bytes of the file.
fn random_access(source: &dyn ReadAt, track: &Indexed, size: u64) -> Result<Option<Vec<Entry>>, MediaError> {
    let mut tail = [0; 16];
    let Some(at) = size.checked_sub(16) else { return Ok(None) };
    if source.read_at(at, &mut tail)? < 16 || tail[..8] != *b"\0\0\0\x10mfro" {
        return Ok(None);
    }
    let len = u32::from_be_bytes([tail[12], tail[13], tail[14], tail[15]]);
    let Some(start) = size.checked_sub(u64::from(len)) else { return Ok(None) };
    let Ok(Some(mfra)) = Boxes::of_file(source, start..size).next() else { return Ok(None) };
    let mut boxes = Boxes::inside(source, mfra.content());
    while let Ok(Some(tfra)) = boxes.next() {
        if mfra.kind != *b"mfra" || tfra.kind != *b"tfra" || tfra.len() > MAX_TFRA {
            continue;
        }
        let bytes = tfra.read(source, MAX_TFRA)?;
        if let Some(entries) = track_access(&bytes, track.id).filter(|entries| !entries.is_empty()) {
            return Ok(Some(entries));
        }
    }
    Ok(None)
}

/// `tfra`, if it is about track `id`.
fn track_access(bytes: &[u8], id: u32) -> Option<Vec<Entry>> {
    let mut cursor = Cursor::new(bytes);
    let is_long = cursor.u32()? >> 24 == 1;
    if cursor.u32()? != id {
        return None;
    }
    let lengths = cursor.u32()?;
    let numbers: u32 = [4, 2, 0].map(|shift| (lengths >> shift & 3) + 1).iter().sum();
    let count = cursor.u32()?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let mut number = || Some(if is_long { read_u64(&mut cursor)? } else { u64::from(cursor.u32()?) });
        let (time, offset) = (i64::try_from(number()?).ok()?, number()?);
        cursor.take(numbers as usize)?;
        if entries.last().is_none_or(|last| last.offset != offset) {
            entries.push(Entry { offset, time, times: [0; 2] });
        }
    }
    Some(entries)
}

/// Walks the file and notes each fragment with a sync sample of the first track. What is damaged ends it.
fn scan(source: &dyn ReadAt, at: u64, tracks: &[Indexed]) -> Result<Vec<Entry>, MediaError> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut step, mut seen) = (1, 0);
    // The time of each track's last fragment, and its runs.
    let mut last: [(i64, Vec<fragments::Run>); 2] =
        [0, 1].map(|track| (tracks.get(track).map_or(0, |track: &Indexed| track.start), Vec::new()));
    let mut boxes = FragmentBoxes::new(source, at)?;
    for _ in 0..MAX_SCANNED {
        let Ok(Some(moof)) = boxes.next() else { break };
        let mut is_first_in = false;
        for (number, (track, (time, before))) in tracks.iter().zip(&mut last).enumerate() {
            let Ok(runs) = fragments::runs(source, &moof, track.id, track.defaults) else {
                return Ok(entries);
            };
            let Some(first) = runs.first() else { continue };
            *time = match first.start() {
                Some(start) => start,
                None => fragments::end_time(source, before, *time)?,
            };
            *before = runs;
            is_first_in |= number == 0;
        }
        let sync = match &last[0] {
            (time, runs) if is_first_in => fragments::first_sync(source, runs, *time)?,
            _ => None,
        };
        let Some(sync) = sync else { continue };
        if seen % step == 0 {
            let mut times = [0; 2];
            for (kept, (time, runs)) in times.iter_mut().zip(&last) {
                let is_told = runs.first().is_none_or(|run| run.start().is_some());
                let is_here = kept_here(runs, &moof);
                *kept = if is_told || is_here { *time } else { fragments::end_time(source, runs, *time)? };
            }
            entries.push(Entry { offset: moof.start, time: sync.dts, times });
        }
        seen += 1;
        if entries.len() == MAX_ENTRIES {
            entries = every_second(entries);
            step *= 2;
        }
    }
    Ok(entries)
}

/// Whether runs belong to this fragment.
fn kept_here(runs: &[fragments::Run], moof: &Mp4Box) -> bool {
    runs.first().is_some_and(|run| moof.content().contains(&run.rows()))
}

fn thin(mut entries: Vec<Entry>) -> Vec<Entry> {
    while entries.len() > MAX_ENTRIES {
        entries = every_second(entries);
    }
    entries
}

fn every_second(entries: Vec<Entry>) -> Vec<Entry> {
    entries.into_iter().step_by(2).collect()
}

fn read_u64(cursor: &mut Cursor<'_>) -> Option<u64> {
    Some(u64::from(cursor.u32()?) << 32 | u64::from(cursor.u32()?))
}

/// Places that are held in memory, 512 KB: four hours with one every second. The way from one to the next is walked.
const MAX_ENTRIES: usize = 16_384;

/// Fragments that are looked at in a file without an index: a day and a half of seconds.
const MAX_SCANNED: usize = 1 << 17;

/// Runs of samples that are looked at on the way to a time.
const MAX_WALKED: usize = 1 << 16;

/// Entries of an index that are looked up before it is believed.
const VERIFIED: usize = 8;

/// 65535 segments of 12 bytes.
const MAX_SIDX: u64 = 1 << 20;

/// A quarter of a million places.
const MAX_TFRA: u64 = 8 << 20;
