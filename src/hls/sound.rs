//! When audio is decoded: by its samples, not by its timestamps.
//!
//! Milliseconds are too coarse for sound: frames of 1024 samples at 44.1 kHz last 23.22 of them, and players would hear gaps. So samples are
//! counted, and counting begins anew when the timestamp differs from it by more than [`SLACK`]: a gap, or a clock that drifts.

use crate::{
    codec::{aac::AudioSpecificConfig, mp3, opus},
    flv::Codec,
    mp4::writer::{configs::Config, queue::Queue},
};

/// Milliseconds by which sound may be off.
const SLACK: u32 = 40;

/// Counts the samples of a track.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    codec: Codec,
    /// Of every frame, in the track's time, where all have the same.
    frame_len: Option<u32>,
    timescale: u32,
    /// Where the next frame belongs.
    next: Option<u64>,
}

impl Counter {
    pub(super) fn new(config: &Config, timescale: u32) -> Counter {
        let codec = config.lane.codec;
        let frame_len = match codec {
            Codec::Aac => AudioSpecificConfig::parse(&config.record).map(|config| {
                let rate = u64::from(config.sample_rate.max(1));
                (u64::from(config.frame_len()) * u64::from(timescale) / rate) as u32
            }),
            _ => None,
        };
        Counter { codec, frame_len, timescale, next: None }
    }

    /// Decode time, in the track's time, of a frame that is stamped `at` milliseconds.
    pub(super) fn place(&mut self, queue: &Queue, at: u64, frame: &[u8]) -> u64 {
        let stamped = queue.scale(i64::try_from(at).unwrap_or(i64::MAX));
        let stamped = u64::try_from(stamped).unwrap_or(u64::MAX);
        let slack = u64::from(SLACK) * u64::from(self.timescale) / 1000;
        let placed = self.next.filter(|next| next.abs_diff(stamped) <= slack).unwrap_or(stamped);
        let len = self.frame_len.or_else(|| match self.codec {
            Codec::Mp3 => mp3::FrameHeader::parse(frame).map(|header| header.samples),
            Codec::Opus => opus::packet_samples(frame),
            _ => None,
        });
        self.next = len.map(|len| placed.saturating_add(u64::from(len)));
        placed
    }
}
