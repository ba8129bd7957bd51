//! The synthetic stream: tags that look like H.264 and AAC, carry stamps, and come when they are due.
//!
//! Every media body holds a [`Stamp`] behind its codec header, so that whoever receives it can tell which tag it is,
//! whether it is whole, and when it left.

use std::time::{Duration, Instant};
use weir::{
    amf::{Object, Value},
    base::Timestamp,
    flv::{self, Tag, TagKind},
};

/// What a publisher sends.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Bits per second of video and audio together.
    pub(crate) bitrate: u32,
    /// Video frames per second; 0: audio only.
    pub(crate) fps: u32,
    /// Frames from keyframe to keyframe.
    pub(crate) gop: u32,
    /// Bits per second of audio; 0: video only.
    pub(crate) audio_bitrate: u32,
    /// Bytes of a keyframe; `None`: [`KEYFRAME_WEIGHT`] times those of another frame.
    pub(crate) keyframe: Option<u32>,
    /// Milliseconds of the first timestamp; they wrap at 2^32.
    pub(crate) start: u32,
}

/// Samples of an AAC frame, and their rate: 43 tags a second.
const AUDIO_SAMPLES: u64 = 1024;
const AUDIO_RATE: u64 = 44_100;

/// A keyframe is this many times as large as another frame.
const KEYFRAME_WEIGHT: u32 = 8;

impl Shape {
    /// Bytes of a frame that is not a keyframe, so that a whole GOP meets the bit rate.
    fn frame_len(&self) -> u32 {
        let video = u64::from(self.bitrate.saturating_sub(self.audio_bitrate));
        // Without frames, none has a length.
        let gop = (video * u64::from(self.gop)).checked_div(u64::from(self.fps) * 8).unwrap_or(0);
        let others = u64::from(self.gop - 1);
        let len = match self.keyframe {
            None => gop / (others + u64::from(KEYFRAME_WEIGHT)),
            Some(keyframe) => gop.saturating_sub(keyframe.into()).checked_div(others).unwrap_or(0),
        };
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    fn keyframe_len(&self) -> u32 {
        self.keyframe.unwrap_or_else(|| self.frame_len().saturating_mul(KEYFRAME_WEIGHT))
    }

    fn audio_len(&self) -> u32 {
        u32::try_from(u64::from(self.audio_bitrate) * AUDIO_SAMPLES / (AUDIO_RATE * 8)).unwrap_or(u32::MAX)
    }
}

/// What a media body says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Which publisher made it.
    pub(crate) publisher: u32,
    /// Counts the media tags of a publisher, audio and video together.
    pub(crate) sequence: u64,
    /// The tag's timestamp.
    pub(crate) timestamp: u32,
    /// When it was handed to the connection, since the start of the program.
    pub(crate) sent: Duration,
}

/// Bytes of a stamp with its mark and hash.
const STAMP_LEN: usize = 40;
const MARK: [u8; 4] = *b"weir";
/// Codec header, NAL length and NAL header in front of a stamp.
const VIDEO_PREFIX: usize = 10;
const AUDIO_PREFIX: usize = 2;

/// Why a media body is not what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// No stamp where there must be one.
    NoStamp,
    /// The bytes behind the stamp are not those that were sent.
    Bytes,
    /// The timestamp is not the one that was sent.
    Timestamp,
}

impl Stamp {
    fn write(&self, body: &mut Vec<u8>, filler: &[u8]) {
        body.extend(MARK);
        body.extend(self.publisher.to_le_bytes());
        body.extend(self.sequence.to_le_bytes());
        body.extend(self.timestamp.to_le_bytes());
        body.extend((self.sent.as_micros() as u64).to_le_bytes());
        body.extend(hash(filler).to_le_bytes());
        body.extend([0; STAMP_LEN - 36]);
        body.extend(filler);
    }

    /// The stamp of a media tag; `None` for sequence headers and data.
    pub(crate) fn read(tag: &Tag) -> Option<Result<Stamp, Damage>> {
        Some(Stamp::read_moved(tag)?.and_then(|stamp| {
            if stamp.timestamp == tag.timestamp.0 { Ok(stamp) } else { Err(Damage::Timestamp) }
        }))
    }

    /// The same where the server may have moved the timestamps.
    pub(crate) fn read_moved(tag: &Tag) -> Option<Result<Stamp, Damage>> {
        let prefix = match (tag.kind, tag.body.get(1)?) {
            (TagKind::Video, 1) => VIDEO_PREFIX,
            (TagKind::Audio, 1) => AUDIO_PREFIX,
            _ => return None,
        };
        Some(Stamp::decode(&tag.body[prefix.min(tag.body.len())..]))
    }

    fn decode(bytes: &[u8]) -> Result<Stamp, Damage> {
        let (stamp, filler) = bytes.split_at_checked(STAMP_LEN).ok_or(Damage::NoStamp)?;
        if stamp[..4] != MARK {
            return Err(Damage::NoStamp);
        }
        let u32_at = |at: usize| u32::from_le_bytes(stamp[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(stamp[at..at + 8].try_into().expect("eight bytes"));
        if hash(filler) != u64_at(28) {
            return Err(Damage::Bytes);
        }
        Ok(Stamp {
            publisher: u32_at(4),
            sequence: u64_at(8),
            timestamp: u32_at(16),
            sent: Duration::from_micros(u64_at(20)),
        })
    }
}

/// Whether a player shows a picture, or sound where there is no picture, from this tag on.
pub(crate) fn is_start(tag: &Tag, has_video: bool) -> bool {
    match tag.kind {
        TagKind::Video => tag.body.starts_with(&[0x17, 1]),
        TagKind::Audio => !has_video && tag.body.get(1) == Some(&1),
        TagKind::Data => false,
    }
}

/// Makes the tags of one publisher, in order.
#[derive(Debug)]
pub(crate) struct Source {
    shape: Shape,
    publisher: u32,
    /// Random bytes that bodies are cut from.
    noise: Vec<u8>,
    sequence: u64,
    frames: u64,
    sounds: u64,
}

impl Source {
    /// A stream from its start.
    pub(crate) fn new(shape: Shape, publisher: u32) -> Source {
        let longest = shape.keyframe_len().max(shape.frame_len()).max(shape.audio_len());
        let noise = noise(longest as usize + 4096, u64::from(publisher) + 1);
        Source { shape, publisher, noise, sequence: 0, frames: 0, sounds: 0 }
    }

    /// Metadata and sequence headers, which come first.
    pub(crate) fn headers(&self) -> Vec<Tag> {
        let timestamp = Timestamp(self.shape.start);
        let tag = |kind, body: &[u8]| Tag::new(kind, timestamp, body.into());
        let mut headers = vec![tag(TagKind::Data, &self.metadata())];
        if self.shape.fps > 0 {
            headers.push(tag(TagKind::Video, &AVC_HEADER));
        }
        if self.shape.audio_bitrate > 0 {
            headers.push(tag(TagKind::Audio, &AAC_HEADER));
        }
        headers
    }

    fn metadata(&self) -> Vec<u8> {
        let mut object = Object::default();
        if self.shape.fps > 0 {
            object.push("videocodecid", Value::Number(7.0));
            object.push("framerate", Value::Number(self.shape.fps.into()));
            object.push("width", Value::Number(1280.0));
            object.push("height", Value::Number(720.0));
        }
        if self.shape.audio_bitrate > 0 {
            object.push("audiocodecid", Value::Number(10.0));
        }
        flv::metadata::encode(object)
    }

    /// When the next tag is due, counted from the start of the stream.
    pub(crate) fn due(&self) -> Duration {
        Duration::from_millis(self.next_frame().min(self.next_sound()))
    }

    /// Milliseconds.
    fn next_frame(&self) -> u64 {
        (self.frames * 1000).checked_div(self.shape.fps.into()).unwrap_or(u64::MAX)
    }

    /// Milliseconds.
    fn next_sound(&self) -> u64 {
        if self.shape.audio_bitrate == 0 { u64::MAX } else { self.sounds * AUDIO_SAMPLES * 1000 / AUDIO_RATE }
    }

    /// The next tag, stamped with the time since `epoch`.
    pub(crate) fn next_tag(&mut self, epoch: Instant) -> Tag {
        let (frame, sound) = (self.next_frame(), self.next_sound());
        let timestamp = self.shape.start.wrapping_add(frame.min(sound) as u32);
        let stamp =
            Stamp { publisher: self.publisher, sequence: self.sequence, timestamp, sent: epoch.elapsed() };
        self.sequence += 1;
        let (kind, body) = if frame <= sound {
            (TagKind::Video, self.frame(stamp))
        } else {
            (TagKind::Audio, self.sound(stamp))
        };
        Tag::new(kind, Timestamp(timestamp), body.into())
    }

    /// A frame of one NAL unit.
    fn frame(&mut self, stamp: Stamp) -> Vec<u8> {
        let is_key = self.frames % u64::from(self.shape.gop) == 0;
        self.frames += 1;
        let len = if is_key { self.shape.keyframe_len() } else { self.shape.frame_len() };
        let len = (len as usize).max(VIDEO_PREFIX + STAMP_LEN);
        let nal_len = (len - VIDEO_PREFIX + 1) as u32;
        let mut body = Vec::with_capacity(len);
        body.extend(if is_key { [0x17, 1, 0, 0, 0] } else { [0x27, 1, 0, 0, 0] });
        body.extend(nal_len.to_be_bytes());
        body.push(if is_key { 0x65 } else { 0x41 });
        stamp.write(&mut body, self.filler(stamp.sequence, len - VIDEO_PREFIX - STAMP_LEN));
        body
    }

    fn sound(&mut self, stamp: Stamp) -> Vec<u8> {
        self.sounds += 1;
        let len = (self.shape.audio_len() as usize).max(AUDIO_PREFIX + STAMP_LEN);
        let mut body = Vec::with_capacity(len);
        body.extend([0xaf, 1]);
        stamp.write(&mut body, self.filler(stamp.sequence, len - AUDIO_PREFIX - STAMP_LEN));
        body
    }

    /// Other bytes for each tag, without making new ones.
    fn filler(&self, sequence: u64, len: usize) -> &[u8] {
        let start = (sequence % 4096) as usize;
        &self.noise[start..start + len]
    }
}

/// Sequence header with an AVCDecoderConfigurationRecord: High profile, level 3.1, one SPS, one PPS.
const AVC_HEADER: [u8; 43] = [
    0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0x16, 0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50,
    0x05, 0xbb, 0x01, 0x10, 0, 0, 0x03, 0, 0x10, 0, 0, 0x03, 0x03, 0xc0, 1, 0, 4, 0x68, 0xeb, 0xe3, 0xcb,
    0x22,
];

/// Sequence header with an AudioSpecificConfig: AAC-LC, 44.1 kHz, stereo.
const AAC_HEADER: [u8; 4] = [0xaf, 0, 0x12, 0x10];

/// Quick, and different for any change of the bytes that matters here.
fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    let hash = words.fold(bytes.len() as u64, |hash, word| {
        mix(hash, u64::from_le_bytes(word.try_into().expect("eight bytes")))
    });
    rest.iter().fold(hash, |hash, &byte| mix(hash, byte.into()))
}

/// xorshift64.
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let words = std::iter::from_fn(|| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        Some(seed)
    });
    words.flat_map(u64::to_le_bytes).take(len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape =
        Shape { bitrate: 2_000_000, fps: 30, gop: 60, audio_bitrate: 64_000, keyframe: None, start: 0 };

    #[test]
    fn ten_seconds_have_the_bit_rate_and_the_tags_that_were_asked_for() {
        let mut source = Source::new(SHAPE, 0);
        let (mut bytes, mut frames, mut sounds) = (0, 0, 0);
        while source.due() < Duration::from_secs(10) {
            let tag = source.next_tag(Instant::now());
            bytes += tag.body.len();
            *(if tag.kind == TagKind::Video { &mut frames } else { &mut sounds }) += 1;
        }
        assert_eq!((frames, sounds), (300, 431));
        assert!((2_450_000..2_550_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn large_keyframes_leave_the_bit_rate_as_it_is() {
        let shape = Shape { bitrate: 50_000_000, audio_bitrate: 0, keyframe: Some(4 << 20), ..SHAPE };
        let mut source = Source::new(shape, 0);
        let lengths: Vec<usize> = (0..60).map(|_| source.next_tag(Instant::now()).body.len()).collect();
        assert_eq!(lengths[0], 4 << 20);
        assert!((12_499_000..=12_500_000).contains(&lengths.iter().sum::<usize>()), "{lengths:?}");
    }

    #[test]
    fn timestamps_wrap() {
        let mut source = Source::new(Shape { start: u32::MAX - 16, audio_bitrate: 0, ..SHAPE }, 0);
        let times = [0; 3].map(|_| source.next_tag(Instant::now()).timestamp);
        assert_eq!(times, [u32::MAX - 16, 16, 49].map(Timestamp));
    }

    #[test]
    fn there_is_audio_without_video_and_video_without_audio() {
        for (shape, kind) in [
            (Shape { fps: 0, bitrate: 64_000, ..SHAPE }, TagKind::Audio),
            (Shape { audio_bitrate: 0, ..SHAPE }, TagKind::Video),
        ] {
            let mut source = Source::new(shape, 0);
            assert_eq!(
                source.headers().iter().map(|tag| tag.kind).collect::<Vec<_>>(),
                [TagKind::Data, kind]
            );
            assert!((0..100).all(|_| source.next_tag(Instant::now()).kind == kind));
        }
    }

    #[test]
    fn stamps_count_up_and_damage_is_seen() {
        let mut source = Source::new(SHAPE, 7);
        for sequence in 0..100 {
            let mut tag = source.next_tag(Instant::now());
            let stamp = Stamp::read(&tag).unwrap().unwrap();
            assert_eq!((stamp.publisher, stamp.sequence, stamp.timestamp), (7, sequence, tag.timestamp.0));
            let whole = tag.body.clone();
            tag.body = whole.slice(0..whole.len() - 1);
            assert_eq!(
                Stamp::read(&tag).unwrap(),
                Err(if whole.len() == AUDIO_PREFIX + STAMP_LEN { Damage::NoStamp } else { Damage::Bytes })
            );
            tag.body = whole;
            tag.timestamp = tag.timestamp.wrapping_add(1);
            assert_eq!(Stamp::read(&tag), Some(Err(Damage::Timestamp)));
        }
        assert!(source.headers().iter().all(|tag| Stamp::read(tag).is_none()));
    }
}
