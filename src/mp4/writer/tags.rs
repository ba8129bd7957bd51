//! Tags -> a file: which tracks there are, and the frames in them.
//!
//! The header comes first and names every track, but configuration comes with the stream. So frames wait until video and
//! audio are both known, [`MAX_WAIT`] or [`MAX_WAITING_BYTES`] at most; a track that nothing was heard of by then is not in
//! the file, nor is one in a codec without an entry in MP4. Configuration that changes needs another file.
//!
//! Not [`crate::flv::Configuration`], which keeps tags: a header has an entry for each track, with the record alone, for MP3 as
//! well, which is known by its frames; and nothing is asked any more once it is written.

use super::{
    Index, Writer,
    configs::{Configs, Lane, samples},
};
use crate::flv::{Tag, TagKind};
use alloc::vec::Vec;
use core::fmt;

/// Milliseconds of media that wait for a track that may yet come.
const MAX_WAIT: u64 = 1000;
/// Bytes of the same.
const MAX_WAITING_BYTES: usize = 8 << 20;

/// Writes one file. Give it every tag of a stream, and write what it appends.
#[derive(Debug)]
pub struct TagWriter {
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting { configs: Configs, frames: Vec<(u64, Tag)>, bytes: usize },
    Writing { writer: Writer, lanes: Vec<Lane> },
}

/// The stream has no track that MP4 can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingToWrite;

impl fmt::Display for NothingToWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no track of the stream fits into MP4")
    }
}

impl core::error::Error for NothingToWrite {}

impl TagWriter {
    /// A file without a byte. `size`: width and height where the configuration does not tell, 0 if unknown.
    pub fn new(size: (u32, u32)) -> TagWriter {
        let configs = Configs::new(size);
        TagWriter { state: State::Waiting { configs, frames: Vec::new(), bytes: 0 } }
    }

    /// Takes a tag, `at` milliseconds from the start of the file; appends to `out` what belongs into the file now.
    ///
    /// # Errors
    /// When the header is due and there is no track for it.
    pub fn push(&mut self, at: u64, tag: &Tag, out: &mut Vec<u8>) -> Result<(), NothingToWrite> {
        match &mut self.state {
            State::Writing { writer, lanes } => write(writer, lanes, at, tag, out),
            State::Waiting { configs, frames, bytes } => {
                configs.note(tag);
                if tag.classify().role.is_frame() {
                    *bytes += tag.body.len();
                    frames.push((at, tag.clone()));
                }
                let has = |kind| configs.iter().any(|config| config.lane.kind == kind);
                let first = frames.first().map_or(at, |(first, _)| *first);
                let is_long = at.saturating_sub(first) >= MAX_WAIT || *bytes > MAX_WAITING_BYTES;
                if !frames.is_empty() && (is_long || has(TagKind::Video) && has(TagKind::Audio)) {
                    return self.begin(out);
                }
            }
        }
        Ok(())
    }

    /// Appends what is complete, for a stream that has fallen silent.
    ///
    /// # Errors
    /// As for `push`.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), NothingToWrite> {
        self.begin(out)?;
        if let State::Writing { writer, .. } = &mut self.state {
            out.extend(writer.flush().unwrap_or_default());
        }
        Ok(())
    }

    /// Appends the rest. Nothing may follow but the [`TagWriter::index`].
    ///
    /// # Errors
    /// As for `push`.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NothingToWrite> {
        self.begin(out)?;
        if let State::Writing { writer, .. } = &mut self.state {
            out.extend(writer.finish().unwrap_or_default());
        }
        Ok(())
    }

    /// What makes an ordinary file of it; `None` before the header.
    pub fn index(&self) -> Option<Index> {
        match &self.state {
            State::Waiting { .. } => None,
            State::Writing { writer, .. } => Some(writer.index()),
        }
    }

    /// The header is written: what it does not name will never be in the file.
    pub fn has_begun(&self) -> bool {
        matches!(&self.state, State::Writing { .. })
    }

    /// It is time for another file.
    pub fn is_full(&self) -> bool {
        matches!(&self.state, State::Writing { writer, .. } if writer.is_full())
    }

    /// Writes the header and what has waited for it, if anything has.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), NothingToWrite> {
        let State::Waiting { configs, frames, .. } = &self.state else { return Ok(()) };
        if frames.is_empty() {
            return Ok(());
        }
        let (mut tracks, mut lanes) = (Vec::new(), Vec::new());
        for config in configs.iter() {
            if let Some(track) = configs.track(config, frames.iter().map(|(_, tag)| tag)) {
                tracks.push(track);
                lanes.push(config.lane);
            }
        }
        if tracks.is_empty() {
            return Err(NothingToWrite);
        }
        let (mut writer, start) = Writer::new(tracks);
        out.extend_from_slice(&start);
        for (at, tag) in frames {
            write(&mut writer, &lanes, *at, tag, out);
        }
        self.state = State::Writing { writer, lanes };
        Ok(())
    }
}

fn write(writer: &mut Writer, lanes: &[Lane], at: u64, tag: &Tag, out: &mut Vec<u8>) {
    for (lane, sample) in samples(at, tag) {
        if let Some(index) = lanes.iter().position(|own| *own == lane) {
            out.extend(writer.push(index, sample).unwrap_or_default());
        }
    }
}
