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
pub(crate) mod configs;
pub(crate) mod fragment;
mod header;
pub(crate) mod queue;
mod rebuild;
mod tables;
mod tags;
mod track;

pub(crate) use header::put_init;
pub use rebuild::index_of_file;
pub use tags::{Missing, NothingToWrite, TagWriter, Why};
pub use track::Track;

use crate::base::Payload;
use alloc::vec::Vec;
use boxes::{put_u32, put_u64};
use fragment::{Run, put_fragment};
use header::{RESERVED, RESERVED_AT};
use queue::{Queue, Until};
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
    queue: Queue,
    tables: Tables,
}

impl Writer {
    /// A file with these tracks, and its first bytes.
    pub fn new(tracks: Vec<Track>) -> (Writer, Vec<u8>) {
        let mut start = Vec::new();
        header::put_start(&mut start);
        header::put_fragmented_moov(&mut start, tracks.iter());
        let lane = |track: Track| {
            let queue = Queue::new(track.timescale);
            Lane { track, queue, tables: Tables::default() }
        };
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
        lane.queue.push(sample);
        let oldest = self.lanes.iter().filter_map(|lane| lane.queue.oldest()).min();
        let length = oldest.map_or(0, |oldest| at.saturating_sub(oldest));
        let longest = if self.sequence == 1 { FIRST_FRAGMENT_TIME } else { MAX_FRAGMENT_TIME };
        let is_complete =
            length >= longest || is_start && length >= MIN_FRAGMENT_TIME || self.waiting > MAX_FRAGMENT_BYTES;
        if is_complete { self.fragment(Until::Known) } else { None }
    }

    /// What is complete up to now, for a stream that has fallen silent.
    pub fn flush(&mut self) -> Option<Vec<u8>> {
        self.fragment(Until::Known)
    }

    /// Everything that still waits; nothing may follow.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        self.fragment(Until::End)
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

    fn fragment(&mut self, until: Until) -> Option<Vec<u8>> {
        let (mut runs, mut tables) = (Vec::new(), Vec::new());
        for (id, lane) in (1..).zip(&mut self.lanes) {
            let samples = lane.queue.take(until);
            if !samples.is_empty() {
                runs.push(Run { id, track: &lane.track, samples });
                tables.push(&mut lane.tables);
            }
        }
        if runs.is_empty() {
            return None;
        }
        let mut out = Vec::new();
        let places = put_fragment(&mut out, self.sequence, &runs);
        self.sequence = self.sequence.wrapping_add(1);
        self.waiting = self.waiting.saturating_sub(runs.iter().map(Run::size).sum());
        for ((place, run), tables) in places.into_iter().zip(&runs).zip(tables) {
            tables.start_chunk(run.samples[0].dts, self.position + place as u64);
            for timed in &run.samples {
                tables.push(timed.duration, timed.offset, timed.len() as u32, timed.sample.is_sync);
            }
        }
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

#[cfg(test)]
mod tests;
