//! The sample tables of one track, collected while its fragments are written, for the `moov` of the finished file.
//!
//! Runs of equal values are kept as such. Bound: whoever collects asks [`Tables::len`], the bytes they take.

use super::boxes::{full, put_i32, put_u32, put_u64};
use alloc::vec::Vec;

/// stts, ctts, stss, stsz, stsc and co64 to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    /// Decode time of the first sample.
    start: u64,
    /// Sum of all durations.
    length: u64,
    /// From `start` to when the first picture is shown.
    lead: Option<u64>,
    durations: Vec<(u32, u32)>,
    offsets: Vec<(u32, i32)>,
    /// Numbers of sync samples, from 1 on.
    syncs: Vec<u32>,
    sizes: Vec<u32>,
    chunks: Vec<Chunk>,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    offset: u64,
    samples: u32,
}

impl Tables {
    /// Samples that lie behind one another from `offset` on begin. The first of all has the decode time `at`.
    pub(super) fn start_chunk(&mut self, at: u64, offset: u64) {
        if self.sizes.is_empty() {
            self.start = at;
        }
        self.chunks.push(Chunk { offset, samples: 0 });
    }

    /// The next sample of the chunk.
    pub(super) fn push(&mut self, duration: u32, offset: i32, size: u32, is_sync: bool) {
        let shown = self.length.saturating_add_signed(i64::from(offset));
        self.lead = Some(self.lead.map_or(shown, |lead| lead.min(shown)));
        self.length += u64::from(duration);
        push_run(&mut self.durations, duration);
        push_run(&mut self.offsets, offset);
        self.sizes.push(size);
        if is_sync {
            self.syncs.push(self.sizes.len() as u32);
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.samples += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Bytes that they take.
    pub(super) fn len(&self) -> usize {
        4 * (self.sizes.len() + self.syncs.len())
            + 8 * (self.durations.len() + self.offsets.len())
            + 16 * self.chunks.len()
    }

    /// Decode time of the first sample.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// From the decode time of the first sample to when the first one is shown.
    pub(super) fn lead(&self) -> u64 {
        self.lead.unwrap_or(0)
    }

    /// Decode time at which the last sample ends.
    pub(super) fn end(&self) -> u64 {
        self.start + self.length
    }

    /// Appends the boxes.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        full(out, b"stts", 0, 0, |out| put_runs(out, &self.durations));
        if self.offsets.iter().any(|(_, offset)| *offset != 0) {
            let version = u8::from(self.offsets.iter().any(|(_, offset)| *offset < 0));
            full(out, b"ctts", version, 0, |out| {
                put_u32(out, self.offsets.len() as u32);
                for (count, offset) in &self.offsets {
                    put_u32(out, *count);
                    put_i32(out, *offset);
                }
            });
        }
        // Without the box all are.
        if self.syncs.len() != self.sizes.len() {
            full(out, b"stss", 0, 0, |out| {
                put_u32(out, self.syncs.len() as u32);
                self.syncs.iter().for_each(|number| put_u32(out, *number));
            });
        }
        full(out, b"stsc", 0, 0, |out| self.put_chunk_lengths(out));
        full(out, b"stsz", 0, 0, |out| {
            put_u32(out, 0);
            put_u32(out, self.sizes.len() as u32);
            self.sizes.iter().for_each(|size| put_u32(out, *size));
        });
        full(out, b"co64", 0, 0, |out| {
            put_u32(out, self.chunks.len() as u32);
            self.chunks.iter().for_each(|chunk| put_u64(out, chunk.offset));
        });
    }

    /// Which chunk is the first of how many samples each.
    fn put_chunk_lengths(&self, out: &mut Vec<u8>) {
        let count_at = out.len();
        put_u32(out, 0);
        let (mut count, mut last) = (0_u32, 0);
        for (number, chunk) in (1_u32..).zip(&self.chunks) {
            if chunk.samples != last {
                put_u32(out, number);
                put_u32(out, chunk.samples);
                put_u32(out, 1);
                count += 1;
                last = chunk.samples;
            }
        }
        out[count_at..count_at + 4].copy_from_slice(&count.to_be_bytes());
    }
}

fn push_run<T: Copy + PartialEq>(runs: &mut Vec<(u32, T)>, value: T) {
    match runs.last_mut() {
        Some((count, last)) if *last == value => *count += 1,
        _ => runs.push((1, value)),
    }
}

fn put_runs(out: &mut Vec<u8>, runs: &[(u32, u32)]) {
    put_u32(out, runs.len() as u32);
    for (count, value) in runs {
        put_u32(out, *count);
        put_u32(out, *value);
    }
}
