//! Builds tag bodies: the inverse of [`super::class`] for one track, for media that comes from files and devices.
//!
//! Each codec in the form that most players take: classic for H.264, AAC, MP3 and G.711 (FLV format 10.1, E.4.2 and
//! E.4.3), enhanced for what the classic form has no number for (Enhanced RTMP v2). Functions append to a buffer, so that
//! frame data can be read straight in behind.

use super::Codec;
use crate::base::wire::u24_bytes;
use alloc::vec::Vec;

/// How an audio codec's frames announce themselves in classic tags. AAC always says 44100 Hz stereo, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// In Hz.
    pub sample_rate: u32,
    /// 1 or more.
    pub channels: u16,
}

/// Appends what goes before a decoder configuration record (`avcC`, `hvcC`, `av1C`, `vpcC` as in the boxes of that name,
/// without the box header). False if no tag can carry the codec, with nothing appended.
#[must_use]
pub fn start_video_header(out: &mut Vec<u8>, codec: Codec) -> bool {
    if codec == Codec::H264 {
        out.extend_from_slice(&[0x17, 0, 0, 0, 0]);
        return true;
    }
    start_enhanced(out, ENHANCED_VIDEO | KEYFRAME | SEQUENCE_START, video_fourcc(codec))
}

/// Appends what goes before a frame, in the length-prefixed form of the codec's configuration record. Milliseconds
/// of composition time; cut off where 24 bits do not hold them.
#[must_use]
pub fn start_video_frame(out: &mut Vec<u8>, codec: Codec, is_keyframe: bool, composition_time: i32) -> bool {
    let frame_type = if is_keyframe { KEYFRAME } else { INTER_FRAME };
    let time = u24_bytes(composition_time.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff);
    if codec == Codec::H264 {
        out.extend_from_slice(&[frame_type | 7, 1]);
        out.extend_from_slice(&time);
        return true;
    }
    let has_time = codec.has_composition_time() && composition_time != 0;
    let packet_type = if has_time || !codec.has_composition_time() { CODED_FRAMES } else { CODED_FRAMES_X };
    let is_known = start_enhanced(out, ENHANCED_VIDEO | frame_type | packet_type, video_fourcc(codec));
    if is_known && has_time {
        out.extend_from_slice(&time);
    }
    is_known
}

/// Appends what goes before a decoder configuration: AudioSpecificConfig, OpusHead, STREAMINFO behind `fLaC`. False for
/// codecs that have none, such as MP3, and those that no tag can carry.
#[must_use]
pub fn start_audio_header(out: &mut Vec<u8>, codec: Codec) -> bool {
    match codec {
        Codec::Aac => {
            out.extend_from_slice(&[0xaf, 0]);
            true
        }
        Codec::Opus | Codec::Flac => start_enhanced(out, ENHANCED_AUDIO | SEQUENCE_START, codec.fourcc()),
        _ => false,
    }
}

/// Appends what goes before a frame of audio. False if no tag can carry the codec.
#[must_use]
pub fn start_audio_frame(out: &mut Vec<u8>, codec: Codec, format: AudioFormat) -> bool {
    match codec {
        Codec::Aac => out.extend_from_slice(&[0xaf, 1]),
        Codec::Mp3 => out.push(classic_audio(2, format)),
        Codec::G711A => out.push(classic_audio(7, format)),
        Codec::G711U => out.push(classic_audio(8, format)),
        Codec::Opus | Codec::Flac | Codec::Ac3 | Codec::Eac3 => {
            return start_enhanced(out, ENHANCED_AUDIO | CODED_FRAMES, codec.fourcc());
        }
        _ => return false,
    }
    true
}

/// SoundFormat, SoundRate (the nearest of the four there are), 16 bits, channels.
fn classic_audio(id: u8, format: AudioFormat) -> u8 {
    let rate = match format.sample_rate {
        0..=8_268 => 0,
        8_269..=16_537 => 1,
        16_538..=33_075 => 2,
        _ => 3,
    };
    id << 4 | rate << 2 | 2 | u8::from(format.channels > 1)
}

fn start_enhanced(out: &mut Vec<u8>, first: u8, fourcc: Option<[u8; 4]>) -> bool {
    let Some(fourcc) = fourcc else { return false };
    out.push(first);
    out.extend_from_slice(&fourcc);
    true
}

fn video_fourcc(codec: Codec) -> Option<[u8; 4]> {
    let is_video = matches!(codec, Codec::Hevc | Codec::Vvc | Codec::Av1 | Codec::Vp8 | Codec::Vp9);
    codec.fourcc().filter(|_| is_video)
}

const ENHANCED_VIDEO: u8 = 0x80;
const ENHANCED_AUDIO: u8 = 0x90;
const KEYFRAME: u8 = 0x10;
const INTER_FRAME: u8 = 0x20;
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{TagClass, TagKind, TagRole};
    use alloc::vec;

    const STEREO: AudioFormat = AudioFormat { sample_rate: 48_000, channels: 2 };

    #[test]
    fn video_is_classified_as_what_it_was_built_as() {
        let codecs = [Codec::H264, Codec::Hevc, Codec::Vvc, Codec::Av1, Codec::Vp8, Codec::Vp9];
        for codec in codecs {
            let mut header = vec![];
            assert!(start_video_header(&mut header, codec));
            header.extend_from_slice(b"record");
            let class = TagClass::of(TagKind::Video, &header);
            let track = class.tracks().next().expect("one track");
            assert_eq!((class.role, class.codec), (TagRole::SequenceHeader, Some(codec)));
            assert_eq!(&header[track.data], b"record");
            for (is_keyframe, time) in [(true, 0), (false, 40), (false, -1), (true, 0x7f_ffff)] {
                let mut frame = vec![];
                assert!(start_video_frame(&mut frame, codec, is_keyframe, time));
                frame.extend_from_slice(b"frame");
                let class = TagClass::of(TagKind::Video, &frame);
                let track = class.tracks().next().expect("one track");
                assert_eq!((class.is_keyframe(), class.codec), (is_keyframe, Some(codec)));
                assert_eq!(&frame[track.data], b"frame", "{codec}, {time}");
                assert_eq!(class.composition_time, if codec.has_composition_time() { time } else { 0 });
            }
        }
    }

    #[test]
    fn audio_is_classified_as_what_it_was_built_as() {
        for codec in [Codec::Aac, Codec::Opus, Codec::Flac] {
            let mut header = vec![];
            assert!(start_audio_header(&mut header, codec));
            header.extend_from_slice(b"record");
            let class = TagClass::of(TagKind::Audio, &header);
            assert_eq!((class.role, class.codec), (TagRole::SequenceHeader, Some(codec)));
        }
        let codecs = [Codec::Mp3, Codec::G711A, Codec::G711U, Codec::Ac3, Codec::Eac3];
        for codec in codecs.into_iter().chain([Codec::Aac, Codec::Opus, Codec::Flac]) {
            let mut frame = vec![];
            assert!(start_audio_frame(&mut frame, codec, STEREO));
            frame.extend_from_slice(b"frame");
            let class = TagClass::of(TagKind::Audio, &frame);
            let track = class.tracks().next().expect("one track");
            assert_eq!((class.role, class.codec), (TagRole::Frame, Some(codec)));
            assert_eq!(&frame[track.data], b"frame", "{codec}");
        }
    }

    #[test]
    fn classic_audio_says_rate_and_channels() {
        for (sample_rate, channels, first) in
            [(44_100, 2, 0x2f), (48_000, 1, 0x2e), (22_050, 2, 0x2b), (11_025, 1, 0x26), (8_000, 1, 0x22)]
        {
            let mut frame = vec![];
            assert!(start_audio_frame(&mut frame, Codec::Mp3, AudioFormat { sample_rate, channels }));
            assert_eq!(frame, [first], "{sample_rate}");
        }
    }

    #[test]
    fn what_no_tag_can_carry_is_refused_with_nothing_appended() {
        let mut out = vec![];
        assert!(
            !start_video_header(&mut out, Codec::Aac) && !start_video_frame(&mut out, Codec::Screen, true, 0)
        );
        assert!(
            !start_audio_header(&mut out, Codec::Mp3) && !start_audio_frame(&mut out, Codec::H264, STEREO)
        );
        assert!(out.is_empty());
    }
}
