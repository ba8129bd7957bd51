//! Raw elementary streams, as cameras and encoders write them to a pipe or file -> tags ready to be published.
//!
//! In: H.264 or H.265 byte streams (Annex B) or AAC in ADTS frames, cut anywhere. Out: a sequence header, again where it changes,
//! and one tag for each access unit or frame. Where the stream is cut does not change what comes out. Not here: containers;
//! real time.
//!
//! **Time.** A raw stream has none, so pictures are `1 / frame_rate` apart, each time rounded by itself from the number of the picture; audio
//! frames as many samples as they hold. A picture's composition time comes from its picture order count: pictures are shown in the
//! order of their counts, all later by one constant, the smallest with which none is shown before it is decoded. That is as
//! many pictures as the stream says it reorders; where it does not say, as the first [`MAX_UNDECLARED`] pictures do. A stream
//! that reorders more than it said makes the constant grow.
//!
//! NAL units that come with times of their own, as in RTP, are gathered into the same frames by [`TimedReader`].
//!
//! **Delay.** A picture is given when the next one begins and, with reordering, when the pictures that are shown before it are there.
//!
//! **Damage** is passed over up to the next start code or frame, and counted ([`RawReader::damage`]). Pictures before the first
//! keyframe count as well. Keyframes are IDR and IRAP pictures, and those at which an H.264 stream says that decoding may begin and is
//! exact at once (recovery point 0, open GOP).
//!
//! Bounds: [`MAX_UNIT_LEN`], [`MAX_HELD`], [`MAX_HELD_LEN`], [`MAX_SET_LEN`], [`MAX_RECORD_LEN`], [`MAX_UNRECOGNIZED`],
//! [`super::annexb::MAX_NAL_LEN`]; besides, what was pushed and not taken yet.

mod adts;
mod decode_times;
mod gather;
mod h264;
mod h265;
mod reorder;
mod sets;
mod timed;
mod video;

use crate::flv::{Codec, Tag};
use adts::AdtsReader;
use alloc::boxed::Box;
use core::fmt;
use gather::Syntax;
use h264::H264;
use h265::H265;
use video::VideoReader;

pub use gather::{HEADROOM, Media, write_video};
pub use reorder::{MAX_HELD, MAX_HELD_LEN, MAX_UNDECLARED};
pub use timed::{TimedMedia, TimedReader};

/// Bytes of one access unit. A tag holds no more.
pub const MAX_UNIT_LEN: usize = 0xff_ffff - 64;
/// Bytes of SEI and the like before a picture. What is beyond is left out.
pub const MAX_PREFIX_LEN: usize = 64 << 10;
/// Bytes of one parameter set, of which real ones have below 200. A longer one counts as broken.
pub const MAX_SET_LEN: usize = 4 << 10;
/// Bytes of a configuration record. Pictures that need more count as broken.
pub const MAX_RECORD_LEN: usize = 64 << 10;
/// Bytes without a picture at the beginning, or without a frame of audio anywhere, before the reader gives up.
pub const MAX_UNRECOGNIZED: u64 = 16 << 20;
/// Pictures per second where neither the caller nor the stream says.
pub const DEFAULT_FRAME_RATE: f64 = 25.0;

/// Reads one raw stream. After each [`RawReader::push`] call [`RawReader::next`] until it gives `None`; at the end call
/// [`RawReader::finish`], and `next` again.
///
/// ```
/// use weir::codec::raw::RawReader;
///
/// let mut reader = RawReader::adts();
/// reader.push(&[0xff, 0xf1, 0x50, 0x80, 0x01, 0x1f, 0xfc, 0x21]);
/// reader.finish();
/// assert_eq!(reader.next()?.map(|tag| tag.body.to_vec()), Some(vec![0xaf, 0, 0x12, 0x10]));
/// assert_eq!(reader.next()?.map(|tag| tag.body.to_vec()), Some(vec![0xaf, 1, 0x21]));
/// assert_eq!(reader.next()?, None);
/// # Ok::<(), weir::codec::raw::RawError>(())
/// ```
#[derive(Debug)]
pub struct RawReader {
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    Video(Box<VideoReader>),
    Adts(Box<AdtsReader>),
}

impl RawReader {
    /// H.264, Annex B. Pictures per second: those given, else those that the stream says, else [`DEFAULT_FRAME_RATE`].
    pub fn h264(frame_rate: Option<f64>) -> RawReader {
        RawReader::video(Box::new(H264::default()), frame_rate)
    }

    /// H.265, Annex B. Pictures per second as for [`RawReader::h264`].
    pub fn h265(frame_rate: Option<f64>) -> RawReader {
        RawReader::video(Box::new(H265::default()), frame_rate)
    }

    fn video(syntax: Box<dyn Syntax>, frame_rate: Option<f64>) -> RawReader {
        RawReader { stream: Stream::Video(Box::new(VideoReader::new(syntax, frame_rate))) }
    }

    /// AAC in ADTS frames.
    pub fn adts() -> RawReader {
        RawReader { stream: Stream::Adts(Box::default()) }
    }

    /// What the tags hold.
    pub fn codec(&self) -> Codec {
        match &self.stream {
            Stream::Video(reader) => reader.codec(),
            Stream::Adts(_) => Codec::Aac,
        }
    }

    /// Takes the stream's next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.stream {
            Stream::Video(reader) => reader.push(bytes),
            Stream::Adts(reader) => reader.push(bytes),
        }
    }

    /// The stream is over: what is held back comes with the next calls of [`RawReader::next`].
    pub fn finish(&mut self) {
        match &mut self.stream {
            Stream::Video(reader) => reader.finish(),
            Stream::Adts(reader) => reader.finish(),
        }
    }

    /// The next tag; `None` until more is pushed.
    ///
    /// # Errors
    /// The stream is not of this kind, or of a form that tags cannot carry. Calling again gives the same.
    #[expect(clippy::should_implement_trait, reason = "a None is not the end")]
    pub fn next(&mut self) -> Result<Option<Tag>, RawError> {
        match &mut self.stream {
            Stream::Video(reader) => reader.next(),
            Stream::Adts(reader) => reader.next(),
        }
    }

    /// How often something was passed over: a NAL unit, a picture, or bytes between two frames of audio.
    pub fn damage(&self) -> u64 {
        match &self.stream {
            Stream::Video(reader) => reader.damage(),
            Stream::Adts(reader) => reader.damage(),
        }
    }
}

/// Why a raw stream cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RawError {
    /// Nothing of this kind in [`MAX_UNRECOGNIZED`] bytes.
    Unrecognized,
    /// AAC whose channels a program config element describes.
    UnknownChannels,
}

impl fmt::Display for RawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RawError::Unrecognized => "not a raw stream of the expected codec",
            RawError::UnknownChannels => "AAC with a program config element",
        })
    }
}

impl core::error::Error for RawError {}

#[cfg(test)]
mod tests;
