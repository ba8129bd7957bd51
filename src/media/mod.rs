//! Recorded media as tags: one interface to files of every format, whoever reads their bytes.
//!
//! In: bytes at an offset ([`ReadAt`]), from a file or from memory. Out: tags in decode order with times from 0 on, exactly
//! as a publisher would send them, and the places where a player can begin. Not here: pacing, names, sending.
//! Bounds: each format names its own; none ever holds more than an index and one frame.

pub mod adts;
pub mod flv;
pub mod format;
mod frames;
pub mod metadata;
pub mod mp3;
pub mod mp4;
pub mod pace;

pub use adts::AdtsReader;
pub use flv::FlvReader;
pub use mp3::Mp3Reader;
pub use mp4::{FragmentIndex, Mp4Reader, Mp4Stream};

pub use crate::flv::metadata::{AudioInfo, VideoInfo};

use crate::{base::Timestamp, flv::Tag};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

/// Bytes that can be read at any offset: a file, or a slice in memory.
pub trait ReadAt {
    /// How many there are at this moment; a file that is being written grows.
    ///
    /// # Errors
    /// [`MediaError::Io`].
    fn size(&self) -> Result<u64, MediaError>;

    /// Fills `buffer` from `offset` on; returns fewer bytes than asked only at the end.
    ///
    /// # Errors
    /// [`MediaError::Io`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, MediaError>;
}

/// A file that is being read as tags.
///
/// `next` gives everything in decode order: frames, and configuration where it changes. The configuration that holds at the
/// current position is for [`MediaReader::headers`] to give, and `next` does not repeat it. So a player is sent the
/// metadata, `headers`, and then what `next` gives; after a `seek` again `headers` first.
pub trait MediaReader {
    /// What is in the file.
    fn info(&self) -> &MediaInfo;

    /// Sequence headers in force at the current position, stamped with the time of the next frame; no metadata.
    fn headers(&self) -> Vec<Tag>;

    /// The next tag; `None` at the end, also of a file that breaks off.
    ///
    /// # Errors
    /// The file is damaged here, or cannot be read. Calling again goes on behind the damage where the format
    /// allows that, and gives `None` where it does not.
    fn next(&mut self) -> Result<Option<Tag>, MediaError>;

    /// Goes to the last keyframe whose timestamp, as [`MediaReader::next`] gives it, is at or before `target`; the first one if
    /// there is none before; a frame of audio in a file without video. Returns that timestamp. So who asks for the
    /// timestamp of a keyframe gets that one, although a picture may be shown later than it is decoded.
    ///
    /// # Errors
    /// The file cannot be read.
    fn seek(&mut self, target: Timestamp) -> Result<Timestamp, MediaError>;

    /// Goes back to the very first tag, which may lie before the first keyframe.
    ///
    /// # Errors
    /// The file cannot be read.
    fn rewind(&mut self) -> Result<(), MediaError> {
        self.seek(Timestamp(0)).map(drop)
    }
}

impl<R: MediaReader + ?Sized> MediaReader for Box<R> {
    fn info(&self) -> &MediaInfo {
        (**self).info()
    }

    fn headers(&self) -> Vec<Tag> {
        (**self).headers()
    }

    fn next(&mut self) -> Result<Option<Tag>, MediaError> {
        (**self).next()
    }

    fn seek(&mut self, target: Timestamp) -> Result<Timestamp, MediaError> {
        (**self).seek(target)
    }

    fn rewind(&mut self) -> Result<(), MediaError> {
        (**self).rewind()
    }
}

/// What is in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaInfo {
    /// Milliseconds from the first frame to the end of the last.
    pub duration: u32,
    /// Bytes of the file.
    pub size: u64,
    /// The first video track that tags can carry.
    pub video: Option<VideoInfo>,
    /// The first audio track that tags can carry.
    pub audio: Option<AudioInfo>,
    /// Where players can begin, in order, thinned out to [`MAX_KEYFRAMES`].
    pub keyframes: Vec<Keyframe>,
    /// `onMetaData` as the file itself holds it.
    pub metadata: Option<Tag>,
}

/// Keyframes of a file that its metadata lists: a film of four hours with one every 2 s.
pub const MAX_KEYFRAMES: usize = 8192;

/// A place where a player can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyframe {
    /// Its decode time.
    pub timestamp: Timestamp,
    /// Where it is in the file.
    pub offset: u64,
}

/// Why a file cannot be played, or not any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaError {
    /// It cannot be read; the text is the system's.
    Io(String),
    /// Its structure is broken: what, and at which byte.
    Malformed {
        /// For the log.
        what: &'static str,
        /// In the file.
        offset: u64,
    },
    /// It is intact, but nothing in it can be played.
    Unsupported(&'static str),
    /// Something in it is larger than any real file needs.
    TooLarge(&'static str),
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MediaError::Io(error) => f.write_str(error),
            MediaError::Malformed { what, offset } => write!(f, "{what} at byte {offset}"),
            MediaError::Unsupported(what) => f.write_str(what),
            MediaError::TooLarge(what) => write!(f, "{what} is too large"),
        }
    }
}

impl core::error::Error for MediaError {}

impl<R: ReadAt + ?Sized> ReadAt for Box<R> {
    fn size(&self) -> Result<u64, MediaError> {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, MediaError> {
        (**self).read_at(offset, buffer)
    }
}

impl ReadAt for &[u8] {
    fn size(&self) -> Result<u64, MediaError> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, MediaError> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}
