//! Bytes of a pipe, cut anywhere -> tags, in whatever of the formats they are.
//!
//! Bounds: those of the format's reader; before the format is known, [`PROBE_LEN`] bytes and one read.

use super::{
    clock::Stamps,
    format::{Detected, InputFormat, PROBE_LEN},
    raw::RawTags,
};
use crate::{
    flv::{Item, Reader, ReaderLimits, Tag},
    media::Mp4Stream,
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

/// See the module.
pub(super) struct Demux {
    fps: Option<f64>,
    state: State,
}

enum State {
    /// What came so far.
    Unknown(Vec<u8>),
    Flv(Flv),
    Mp4(Mp4Stream),
    Raw(Box<RawTags>),
}

struct Flv {
    reader: Box<Reader>,
    input: Vec<u8>,
    /// Where in `input` the reader is.
    at: usize,
}

impl Demux {
    pub(super) fn new(format: Option<InputFormat>, fps: Option<f64>) -> Demux {
        let state = format.map_or(State::Unknown(Vec::new()), |format| State::of(format, fps));
        Demux { fps, state }
    }

    /// Whether tags carry times of their own; `None` before that is known.
    pub(super) fn stamps(&self) -> Option<Stamps> {
        match self.state {
            State::Unknown(_) => None,
            State::Flv(_) | State::Mp4(_) => Some(Stamps::Own),
            State::Raw(_) => Some(Stamps::Counted),
        }
    }

    /// How much media comes at once.
    pub(super) fn burst(&self) -> Duration {
        match &self.state {
            State::Mp4(stream) => Duration::from_millis(stream.burst().into()),
            _ => Duration::ZERO,
        }
    }

    /// More bytes. Take all tags before the next.
    ///
    /// # Errors
    /// They are of no format that can be read.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        match &mut self.state {
            State::Unknown(seen) => {
                seen.extend_from_slice(bytes);
                match InputFormat::detect(&seen[..seen.len().min(PROBE_LEN)]) {
                    Detected::NeedsMore => {}
                    Detected::Unknown(why) => return Err(why.to_string()),
                    Detected::Is(format) => {
                        let seen = core::mem::take(seen);
                        self.state = State::of(format, self.fps);
                        return self.push(&seen);
                    }
                }
            }
            State::Flv(flv) => {
                flv.input.drain(..flv.at);
                flv.at = 0;
                flv.input.extend_from_slice(bytes);
            }
            State::Mp4(stream) => stream.push(bytes).map_err(|error| error.to_string())?,
            State::Raw(raw) => raw.push(bytes),
        }
        Ok(())
    }

    /// The next tag that is complete.
    ///
    /// # Errors
    /// What came cannot be read any further.
    pub(super) fn next(&mut self) -> Result<Option<Tag>, String> {
        match &mut self.state {
            State::Unknown(_) => Ok(None),
            State::Flv(flv) => flv.next(),
            State::Mp4(stream) => stream.next().map_err(|error| error.to_string()),
            State::Raw(raw) => raw.next(),
        }
    }

    /// Places of a raw stream that were passed over since the last time.
    pub(super) fn take_damage(&mut self) -> u64 {
        if let State::Raw(raw) = &mut self.state { raw.take_damage() } else { 0 }
    }

    /// No more bytes: what they leave is given by [`Demux::next`].
    ///
    /// # Errors
    /// They break off before anything can be read.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        match &mut self.state {
            State::Mp4(stream) => return stream.finish().map_err(|error| error.to_string()),
            State::Raw(raw) => raw.finish(),
            State::Unknown(seen) if !seen.is_empty() => {
                return Err(format!("it breaks off after {} bytes, which tell no format", seen.len()));
            }
            State::Unknown(_) | State::Flv(_) => {}
        }
        Ok(())
    }
}

impl State {
    fn of(format: InputFormat, fps: Option<f64>) -> State {
        match format {
            InputFormat::Flv => {
                let reader = Box::new(Reader::new(ReaderLimits::default()));
                State::Flv(Flv { reader, input: Vec::new(), at: 0 })
            }
            InputFormat::Mp4 => State::Mp4(Mp4Stream::new()),
            InputFormat::Raw(format) => State::Raw(Box::new(RawTags::new(format, fps))),
        }
    }
}

impl Flv {
    fn next(&mut self) -> Result<Option<Tag>, String> {
        loop {
            let mut rest = &self.input[self.at..];
            let item = self.reader.read(&mut rest).map_err(|error| error.to_string())?;
            self.at = self.input.len() - rest.len();
            match item {
                Some(Item::Tag { tag, .. }) => return Ok(Some(tag)),
                Some(Item::Damage { offset, len }) => log::debug!("{}", damage(offset, len)),
                Some(Item::Header { .. }) => {}
                None => return Ok(None),
            }
        }
    }
}

fn damage(offset: u64, len: u64) -> String {
    format!("{len} bytes at {offset} of an FLV stream are no tag")
}
