//! Tags -> a file: which tracks there are, and the frames in them.
//!
//! The header comes first and names every track, but configuration comes with the stream. So frames wait until video and
//! audio are both known, [`MAX_WAIT`] or [`MAX_WAITING_BYTES`] at most; a track that nothing was heard of by then is not in
//! the file, nor is one in a codec without an entry in MP4. Configuration that changes needs another file.
//!
//! Not [`crate::flv::Configuration`], which keeps tags: a header has an entry for each track, with the record alone, for MP3 as
//! well, which is known by its frames; and nothing is asked any more once it is written.

use super::{
    Index, Track, Writer,
    configs::{Configs, Lane, MAX_TRACKS, samples},
};
use crate::flv::{Codec, Tag, TagKind};
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
    Writing { writer: Writer, lanes: Vec<Lane>, missing: Vec<Missing>, told: usize },
}

/// A track of the stream that is not in the file, though frames of it came. Displays as what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Audio or video.
    pub kind: TagKind,
    /// `None` if nobody knows it.
    pub codec: Option<Codec>,
    /// What is wrong.
    pub why: Why,
}

/// Why a track is [`Missing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no entry for the codec.
    Codec,
    /// No configuration came in time, or one that makes no sense.
    Configuration,
    /// Its first frame would have told everything, and came when the header was written.
    Late,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.kind == TagKind::Video { "video" } else { "audio" })?;
        match self.codec {
            Some(codec) => write!(f, ", {codec}, ")?,
            None => f.write_str(", of an unknown codec, ")?,
        }
        f.write_str(match self.why {
            Why::Codec => "which MP4 does not hold",
            Why::Configuration => "whose configuration did not come in time or makes no sense",
            Why::Late => "which came too late for this file",
        })
    }
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
            State::Writing { writer, lanes, missing, .. } => write(writer, lanes, missing, at, tag, out),
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

    /// Tells of each track that is not in the file, once.
    pub fn next_missing(&mut self) -> Option<Missing> {
        let State::Writing { missing, told, .. } = &mut self.state else { return None };
        let next = *missing.get(*told)?;
        *told += 1;
        Some(next)
    }

    /// The header is written: what it does not name will never be in the file.
    pub fn has_begun(&self) -> bool {
        matches!(&self.state, State::Writing { .. })
    }

    /// There is more than the header.
    pub fn has_fragment(&self) -> bool {
        matches!(&self.state, State::Writing { writer, .. } if writer.has_fragment())
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
        let mut missing = Vec::new();
        for (at, tag) in frames {
            write(&mut writer, &lanes, &mut missing, *at, tag, out);
        }
        missing.iter_mut().for_each(Missing::was_in_time);
        self.state = State::Writing { writer, lanes, missing, told: 0 };
        Ok(())
    }
}

impl Missing {
    fn of(lane: Lane, data: &[u8]) -> Missing {
        let Lane { kind, codec, .. } = lane;
        let fits = match kind {
            TagKind::Video => Track::video(codec, &[], (0, 0)).is_some(),
            _ => matches!(codec, Codec::Aac | Codec::Mp3 | Codec::Opus),
        };
        let why = match fits {
            false => Why::Codec,
            true if codec == Codec::Mp3 && Track::audio(codec, data).is_some() => Why::Late,
            true => Why::Configuration,
        };
        Missing { kind, codec: Some(codec), why }
    }

    /// Its frames were there when the header was written: it was none of those that come late.
    fn was_in_time(&mut self) {
        if self.why == Why::Late {
            self.why = Why::Configuration;
        }
    }
}

fn write(
    writer: &mut Writer,
    lanes: &[Lane],
    missing: &mut Vec<Missing>,
    at: u64,
    tag: &Tag,
    out: &mut Vec<u8>,
) {
    for (lane, sample) in samples(at, tag) {
        if let Some(index) = lanes.iter().position(|own| Some(*own) == lane) {
            out.extend(writer.push(index, sample).unwrap_or_default());
            continue;
        }
        let found = match lane {
            Some(lane) => Missing::of(lane, &sample.data),
            None => Missing { kind: tag.kind, codec: None, why: Why::Codec },
        };
        let is_known = |known: &Missing| (known.kind, known.codec) == (found.kind, found.codec);
        if missing.len() < MAX_TRACKS && !missing.iter().any(is_known) {
            missing.push(found);
        }
    }
}
