//! Writes MP4 files that are playable at any moment: fragmented while they grow, ordinary ones in the end.
//!
//! ```text
//! while it grows   ftyp | free 16 | moov with mvex | (moof mdat)*
//! in the end       ftyp | mdat, which swallows what follows up to ... | moov
//! ```
//!
//! In: samples per track with milliseconds from the start of the file. Out: bytes to append in this order, one piece
//! a fragment, which belong into the file in one write; in the end an index to append, and 16 bytes to overwrite. A crash at
//! any moment costs the last fragment (`super::repair` cuts its torn rest off). ISO 14496-12, 8.8.
//!
//! No edit list, no negative offsets as long as the publisher sends none: decode times are those that came in, to the
//! millisecond. A sample waits for the next one of its track, which says how long it lasts.
//! Bounds: a fragment of [`MAX_FRAGMENT_TIME`] or [`MAX_FRAGMENT_BYTES`] and one sample more; an index of
//! [`MAX_INDEX_BYTES`], past which [`Writer::is_full`].

mod boxes;
mod header;
mod rebuild;
mod tables;
mod tags;
mod track;

pub use rebuild::index_of_file;
pub use tags::{Missing, NothingToWrite, TagWriter, Why};
pub use track::Track;

use crate::base::Payload;
use alloc::vec::Vec;
use boxes::{boxed, full, put_i32, put_u32, put_u64};
use header::{RESERVED, RESERVED_AT};
use tables::Tables;

/// Milliseconds of the longest fragment: what a crash may cost.
pub const MAX_FRAGMENT_TIME: u64 = 1000;
/// The same of the first one: from then on the file is worth something.
pub const FIRST_FRAGMENT_TIME: u64 = 200;
/// A keyframe begins a fragment if the one before is that many milliseconds long.
pub const MIN_FRAGMENT_TIME: u64 = 500;
/// Bytes of samples that wait for the end of their fragment.
pub const MAX_FRAGMENT_BYTES: usize = 8 << 20;
/// Bytes of the sample tables that are held for the end: some four hours of video and audio.
pub const MAX_INDEX_BYTES: usize = 16 << 20;

/// A file that is being written.
#[derive(Debug)]
pub struct Writer {
    lanes: Vec<Lane>,
    /// Number of the next fragment.
    sequence: u32,
    /// Where in the file the next fragment begins.
    position: u64,
    /// Bytes of the samples that wait.
    waiting: usize,
}

/// A frame.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Decode time in milliseconds from the start of the file. One that goes back is taken as the last one.
    pub at: u64,
    /// Milliseconds from decoding to showing.
    pub composition_time: i32,
    /// Decoding can start here.
    pub is_sync: bool,
    /// In the length-prefixed form of the track's configuration.
    pub data: Payload,
}

/// What turns a fragmented file into an ordinary one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// To be appended first, and to be on the disk before the rest.
    pub moov: Vec<u8>,
    /// Where the [`Index::head`] goes.
    pub head_at: u64,
    /// Overwrites what is there.
    pub head: [u8; RESERVED],
}

/// One track.
#[derive(Debug)]
struct Lane {
    track: Track,
    /// Not in the file yet; the last one stays until its successor comes.
    waiting: Vec<Waiting>,
    last_duration: u32,
    tables: Tables,
}

#[derive(Debug)]
struct Waiting {
    sample: Sample,
    /// In the track's time.
    dts: u64,
    offset: i32,
}

/// A sample on its way into a fragment.
struct Timed {
    waiting: Waiting,
    duration: u32,
}

impl Writer {
    /// A file with these tracks, and its first bytes.
    pub fn new(tracks: Vec<Track>) -> (Writer, Vec<u8>) {
        let mut start = Vec::new();
        header::put_start(&mut start);
        header::put_fragmented_moov(&mut start, tracks.iter());
        let lane = |track| Lane { track, waiting: Vec::new(), last_duration: 0, tables: Tables::default() };
        let lanes = tracks.into_iter().map(lane).collect();
        (Writer { lanes, sequence: 1, position: start.len() as u64, waiting: 0 }, start)
    }

    /// Takes the next sample of a track (by its place in what [`Writer::new`] was given). Gives the fragment that is
    /// complete with it, without it.
    pub fn push(&mut self, track: usize, sample: Sample) -> Option<Vec<u8>> {
        let lane = self.lanes.get_mut(track)?;
        let is_start = lane.track.is_video() && sample.is_sync;
        let at = sample.at;
        self.waiting += sample.data.len();
        lane.push(sample);
        let oldest = self.lanes.iter().filter_map(Lane::oldest).min();
        let length = oldest.map_or(0, |oldest| at.saturating_sub(oldest));
        let longest = if self.sequence == 1 { FIRST_FRAGMENT_TIME } else { MAX_FRAGMENT_TIME };
        let is_complete =
            length >= longest || is_start && length >= MIN_FRAGMENT_TIME || self.waiting > MAX_FRAGMENT_BYTES;
        if is_complete { self.fragment(Rest::Waits) } else { None }
    }

    /// What is complete up to now, for a stream that has fallen silent.
    pub fn flush(&mut self) -> Option<Vec<u8>> {
        self.fragment(Rest::Waits)
    }

    /// Everything that still waits; nothing may follow.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        self.fragment(Rest::Goes)
    }

    /// Samples that are in the file; whoever could not write the last fragments must not ask.
    pub fn index(&self) -> Index {
        index_of(self.lanes.iter().map(|lane| (&lane.track, &lane.tables)), self.position)
    }

    /// Whether there is a frame in it.
    pub fn has_fragment(&self) -> bool {
        self.sequence > 1
    }

    /// Whether the index has become as large as it may: time for another file.
    pub fn is_full(&self) -> bool {
        self.lanes.iter().map(|lane| lane.tables.len()).sum::<usize>() >= MAX_INDEX_BYTES
    }

    fn fragment(&mut self, rest: Rest) -> Option<Vec<u8>> {
        let runs: Vec<(usize, Vec<Timed>)> = (0..self.lanes.len())
            .map(|index| (index, self.lanes[index].take(rest)))
            .filter(|(_, run)| !run.is_empty())
            .collect();
        if runs.is_empty() {
            return None;
        }
        let size: usize = runs.iter().flat_map(|(_, run)| run).map(|timed| timed.len()).sum();
        self.waiting = self.waiting.saturating_sub(size);
        let samples: usize = runs.iter().map(|(_, run)| run.len()).sum();
        let mut out = Vec::with_capacity(size + 16 * samples + 256);
        let mut places = Vec::new();
        boxed(&mut out, b"moof", |out| {
            full(out, b"mfhd", 0, 0, |out| put_u32(out, self.sequence));
            for (index, run) in &runs {
                places.push(put_traf(out, *index as u32 + 1, &self.lanes[*index].track, run));
            }
        });
        self.sequence = self.sequence.wrapping_add(1);
        let mut data_at = out.len() + 8;
        for (place, (index, run)) in places.into_iter().zip(&runs) {
            out[place..place + 4].copy_from_slice(&(data_at as u32).to_be_bytes());
            let tables = &mut self.lanes[*index].tables;
            tables.start_chunk(run[0].waiting.dts, self.position + data_at as u64);
            for timed in run {
                let size = timed.len() as u32;
                tables.push(timed.duration, timed.waiting.offset, size, timed.waiting.sample.is_sync);
                data_at += timed.len();
            }
        }
        boxed(&mut out, b"mdat", |out| {
            let all = runs.iter().flat_map(|(_, run)| run);
            all.for_each(|timed| out.extend_from_slice(&timed.waiting.sample.data));
        });
        self.position += out.len() as u64;
        Some(out)
    }
}

/// The index of a file of `len` bytes.
fn index_of<'a>(tracks: impl Iterator<Item = (&'a Track, &'a Tables)> + Clone, len: u64) -> Index {
    let mut moov = Vec::new();
    header::put_full_moov(&mut moov, tracks);
    let mut head = Vec::new();
    // Size 1: it stands behind the type, in 64 bits.
    put_u32(&mut head, 1);
    head.extend_from_slice(b"mdat");
    put_u64(&mut head, len - RESERVED_AT);
    let mut bytes = [0; RESERVED];
    bytes.copy_from_slice(&head);
    Index { moov, head_at: RESERVED_AT, head: bytes }
}

/// What happens to the last sample of each track, whose duration nobody knows yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Waits,
    /// It lasts as long as the one before it.
    Goes,
}

impl Lane {
    fn push(&mut self, sample: Sample) {
        let scale = |ms: i128| {
            let timescale = i128::from(self.track.timescale);
            (ms * timescale + 500).div_euclid(1000)
        };
        let dts = scale(i128::from(sample.at));
        let pts = scale(i128::from(sample.at) + i128::from(sample.composition_time));
        let floor = self.waiting.last().map_or_else(|| self.tables.end(), |last| last.dts);
        let dts = u64::try_from(dts).unwrap_or(u64::MAX).max(floor);
        let offset = pts - i128::from(dts);
        let offset = i32::try_from(offset).unwrap_or(if offset < 0 { i32::MIN } else { i32::MAX });
        self.waiting.push(Waiting { sample, dts, offset });
    }

    /// Decode time in milliseconds of the first sample that the next fragment could hold.
    fn oldest(&self) -> Option<u64> {
        let first = self.waiting.first()?;
        (self.waiting.len() > 1).then_some(first.sample.at)
    }

    fn take(&mut self, rest: Rest) -> Vec<Timed> {
        let keep = match rest {
            Rest::Waits => 1,
            Rest::Goes => 0,
        };
        let count = self.waiting.len().saturating_sub(keep);
        let mut next: Vec<Option<u64>> = self.waiting.iter().skip(1).map(|next| Some(next.dts)).collect();
        next.push(None);
        let timed = |(waiting, next): (Waiting, Option<u64>)| {
            let duration = next.map(|next| u32::try_from(next - waiting.dts).unwrap_or(u32::MAX));
            self.last_duration = duration.unwrap_or(self.last_duration);
            Timed { waiting, duration: self.last_duration }
        };
        self.waiting.drain(..count).zip(next).map(timed).collect()
    }
}

impl Timed {
    fn len(&self) -> usize {
        self.waiting.sample.data.len()
    }
}

/// One track of a fragment; returns the place of the offset of its data, which is not known yet.
fn put_traf(out: &mut Vec<u8>, id: u32, track: &Track, run: &[Timed]) -> usize {
    let has_offsets = run.iter().any(|timed| timed.waiting.offset != 0);
    let has_negative = run.iter().any(|timed| timed.waiting.offset < 0);
    let mut data_offset_at = 0;
    boxed(out, b"traf", |out| {
        full(out, b"tfhd", 0, BASE_IS_MOOF | DEFAULT_FLAGS, |out| {
            put_u32(out, id);
            put_u32(out, SYNC);
        });
        full(out, b"tfdt", 1, 0, |out| put_u64(out, run[0].waiting.dts));
        let flags = DATA_OFFSET
            | DURATIONS
            | SIZES
            | if track.is_video() { SAMPLE_FLAGS } else { 0 }
            | if has_offsets { OFFSETS } else { 0 };
        full(out, b"trun", u8::from(has_negative), flags, |out| {
            put_u32(out, run.len() as u32);
            data_offset_at = out.len();
            put_u32(out, 0);
            for timed in run {
                put_u32(out, timed.duration);
                put_u32(out, timed.len() as u32);
                if track.is_video() {
                    put_u32(out, if timed.waiting.sample.is_sync { SYNC } else { NO_SYNC });
                }
                if has_offsets {
                    put_i32(out, timed.waiting.offset);
                }
            }
        });
    });
    data_offset_at
}

/// tfhd: offsets count from the start of the moof; flags of samples whose own are absent.
const BASE_IS_MOOF: u32 = 0x02_0000;
const DEFAULT_FLAGS: u32 = 0x20;
/// trun: what is there.
const DATA_OFFSET: u32 = 0x1;
const DURATIONS: u32 = 0x100;
const SIZES: u32 = 0x200;
const SAMPLE_FLAGS: u32 = 0x400;
const OFFSETS: u32 = 0x800;
/// Flags of a sample: depends on no other; or on others, and is no sync sample.
const SYNC: u32 = 0x0200_0000;
const NO_SYNC: u32 = 0x0101_0000;

#[cfg(test)]
mod tests;
