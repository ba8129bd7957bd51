//! One `moof` and its `mdat` (ISO 14496-12, 8.8): what recordings grow by and what HLS calls a part.
//!
//! Bounds: whoever takes samples from the queues decides how many.

use super::{
    boxes::{boxed, full, put_i32, put_u32, put_u64},
    queue::Timed,
    track::Track,
};
use alloc::vec::Vec;

/// The samples of one track in a fragment; at least one.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// Of the track, from 1 on.
    pub(crate) id: u32,
    pub(crate) track: &'a Track,
    pub(crate) samples: Vec<Timed>,
}

impl Run<'_> {
    /// Bytes of its samples.
    pub(crate) fn size(&self) -> usize {
        self.samples.iter().map(Timed::len).sum()
    }
}

/// Appends the fragment with that number. Gives where in `out` the bytes of each run begin.
pub(crate) fn put_fragment(out: &mut Vec<u8>, sequence: u32, runs: &[Run<'_>]) -> Vec<usize> {
    let size: usize = runs.iter().map(Run::size).sum();
    let samples: usize = runs.iter().map(|run| run.samples.len()).sum();
    let start = out.len();
    out.reserve(size + 16 * samples + 256);
    let mut places = Vec::new();
    boxed(out, b"moof", |out| {
        full(out, b"mfhd", 0, 0, |out| put_u32(out, sequence));
        for run in runs {
            places.push(put_traf(out, run));
        }
    });
    let mut data_at = out.len() + 8;
    let mut data_places = Vec::new();
    for (place, run) in places.into_iter().zip(runs) {
        out[place..place + 4].copy_from_slice(&((data_at - start) as u32).to_be_bytes());
        data_places.push(data_at);
        data_at += run.size();
    }
    boxed(out, b"mdat", |out| {
        let all = runs.iter().flat_map(|run| &run.samples);
        all.for_each(|timed| out.extend_from_slice(&timed.sample.data));
    });
    data_places
}

/// One track of a fragment; returns the place of the offset of its data, which is not known yet.
fn put_traf(out: &mut Vec<u8>, run: &Run<'_>) -> usize {
    let Run { id, track, samples } = run;
    let has_offsets = samples.iter().any(|timed| timed.offset != 0);
    let has_negative = samples.iter().any(|timed| timed.offset < 0);
    let mut data_offset_at = 0;
    boxed(out, b"traf", |out| {
        full(out, b"tfhd", 0, BASE_IS_MOOF | DEFAULT_FLAGS, |out| {
            put_u32(out, *id);
            put_u32(out, SYNC);
        });
        full(out, b"tfdt", 1, 0, |out| put_u64(out, samples[0].dts));
        let flags = DATA_OFFSET
            | DURATIONS
            | SIZES
            | if track.is_video() { SAMPLE_FLAGS } else { 0 }
            | if has_offsets { OFFSETS } else { 0 };
        full(out, b"trun", u8::from(has_negative), flags, |out| {
            put_u32(out, samples.len() as u32);
            data_offset_at = out.len();
            put_u32(out, 0);
            for timed in samples {
                put_u32(out, timed.duration);
                put_u32(out, timed.len() as u32);
                if track.is_video() {
                    put_u32(out, if timed.sample.is_sync { SYNC } else { NO_SYNC });
                }
                if has_offsets {
                    put_i32(out, timed.offset);
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
