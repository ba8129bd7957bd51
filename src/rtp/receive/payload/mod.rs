//! Payloads of packets -> frames: one file for each family of payload formats.
//!
//! In: the payloads of one track in the order in which they were sent, with their times, and where some are missing. Out: frames with
//! times. Not here: order and loss of packets; what times mean; tags.
//! Bounds: a frame of video [`crate::codec::raw::MAX_UNIT_LEN`], of audio [`MAX_AUDIO_LEN`].

mod aac;
mod av1;
mod mpeg_audio;
mod nal;
mod plain;
mod vpx;

use crate::{
    codec::raw::{Media, TimedMedia},
    flv::Codec,
    rtp::{Format, Packing},
};
use alloc::{boxed::Box, collections::VecDeque};
use core::fmt;

/// Bytes of a frame of audio that comes in fragments: the most that AAC has for eight channels, eight times.
pub const MAX_AUDIO_LEN: usize = 64 << 10;

/// A packet without its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    /// In ticks, wraps undone.
    pub(super) time: i64,
    pub(super) marker: bool,
    /// Not empty.
    pub(super) payload: &'a [u8],
}

/// What is in the payload cannot be what it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One track's payloads on their way into frames.
pub(super) trait Depacketizer: fmt::Debug + Send {
    /// The next payload.
    fn take(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed>;

    /// Some are missing here.
    fn lose(&mut self);

    /// Nothing comes any more, or nothing that goes on from here.
    fn finish(&mut self);

    /// The next frame.
    fn pop(&mut self) -> Option<TimedMedia>;

    /// Frames, or parts of them, that were passed over.
    fn damage(&self) -> u64;
}

/// What takes a track's payloads. `None` for what cannot become tags.
pub(super) fn depacketizer(format: &Format) -> Option<Box<dyn Depacketizer>> {
    Some(match (format.codec, format.packing) {
        (Codec::H264 | Codec::Hevc, _) => Box::new(nal::NalUnits::new(format)?),
        (Codec::Aac, Packing::AacHbr { size_length, index_length, delta_length }) => {
            Box::new(aac::Generic::new(format, [size_length, index_length, delta_length]))
        }
        (Codec::Aac, Packing::Latm) => Box::new(aac::Latm::new(format)),
        (Codec::Av1, _) => Box::new(av1::Av1::default()),
        (Codec::Vp8 | Codec::Vp9, _) => Box::new(vpx::Vpx::new(format.codec)),
        (Codec::Mp3, _) => Box::new(mpeg_audio::MpegAudio::new(format)),
        (Codec::Opus | Codec::G711A | Codec::G711U, _) => Box::new(plain::Plain::default()),
        _ => return None,
    })
}

/// Frames that are complete.
#[derive(Debug, Default)]
struct Ready(VecDeque<TimedMedia>);

impl Ready {
    /// A frame that is decoded when it is heard or shown.
    fn push(&mut self, time: i64, media: Media) {
        self.0.push_back(TimedMedia { media, decoded_at: time, shown_at: time });
    }
}
