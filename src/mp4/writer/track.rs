//! What a track is in the header: its sample entry (ISO 14496-12, 14496-14 and -15, the AV1, VP and Opus bindings), made of
//! the decoder configuration that sequence header tags carry.
//!
//! H.264, H.265, AV1, VP8 and VP9; AAC, MP3 and Opus. For others there is no entry here, and no track.

use super::boxes::{boxed, full, put_u16, put_u32, put_zeros};
use crate::{
    codec::{
        self,
        aac::AudioSpecificConfig,
        mp3::FrameHeader,
        opus::{OpusConfig, SAMPLE_RATE},
    },
    flv::Codec,
};
use alloc::vec::Vec;

/// A track of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    pub(super) media: Media,
    /// Units per second of all its times.
    pub(super) timescale: u32,
    /// The sample entry.
    pub(super) entry: Vec<u8>,
}

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Video { width: u16, height: u16 },
    Audio,
}

impl Track {
    /// A video track; `record` is the configuration record of the codec's sequence header. Width and height in
    /// pixels, 0 if unknown (players ask the decoder). `None` if there is no entry for the codec.
    pub fn video(codec: Codec, record: &[u8], (width, height): (u32, u32)) -> Option<Track> {
        let (entry_type, record_type) = match codec {
            Codec::H264 => (b"avc1", b"avcC"),
            Codec::Hevc => (b"hvc1", b"hvcC"),
            Codec::Av1 => (b"av01", b"av1C"),
            Codec::Vp8 => (b"vp08", b"vpcC"),
            Codec::Vp9 => (b"vp09", b"vpcC"),
            _ => return None,
        };
        let size = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
        let (width, height) = (size(width), size(height));
        let mut entry = Vec::new();
        boxed(&mut entry, entry_type, |out| {
            put_zeros(out, 6);
            put_u16(out, 1);
            put_zeros(out, 16);
            put_u16(out, width);
            put_u16(out, height);
            // 72 dots per inch, as everybody writes.
            put_u32(out, 0x0048_0000);
            put_u32(out, 0x0048_0000);
            put_u32(out, 0);
            put_u16(out, 1);
            put_zeros(out, 32);
            put_u16(out, 24);
            put_u16(out, u16::MAX);
            boxed(out, record_type, |out| out.extend_from_slice(record));
        });
        Some(Track { media: Media::Video { width, height }, timescale: VIDEO_TIMESCALE, entry })
    }

    /// An audio track. `record` is the AudioSpecificConfig, the OpusHead (or nothing), and of MP3, which has no
    /// configuration, the first frame. `None` if there is no entry for the codec, or the record makes no sense.
    pub fn audio(codec: Codec, record: &[u8]) -> Option<Track> {
        match codec {
            Codec::Aac => {
                let format = codec::audio_format(Codec::Aac, record);
                // A program config element says how many channels there are, and decoders read it.
                let rate = || AudioSpecificConfig::parse(record).map(|config| config.sample_rate);
                let (rate, channels) = match format {
                    Some(format) => (format.sample_rate, format.channels),
                    None => (rate().filter(|rate| *rate > 0)?, 2),
                };
                Some(mp4a(rate, channels, AAC, record))
            }
            Codec::Mp3 => {
                let frame = FrameHeader::parse(record)?;
                let object_type = if frame.is_mpeg1 { MPEG1_AUDIO } else { MPEG2_AUDIO };
                Some(mp4a(frame.sample_rate, frame.channels, object_type, &[]))
            }
            Codec::Opus => opus(record),
            _ => None,
        }
    }

    /// Units per second of all its times.
    pub(crate) fn timescale(&self) -> u32 {
        self.timescale
    }

    /// Width and height, if they are known.
    pub(crate) fn size(&self) -> Option<(u32, u32)> {
        match self.media {
            Media::Video { width, height } if width > 0 && height > 0 => Some((width.into(), height.into())),
            _ => None,
        }
    }

    /// It carries pictures.
    pub fn is_video(&self) -> bool {
        matches!(self.media, Media::Video { .. })
    }
}

fn audio_entry(kind: &[u8; 4], rate: u32, channels: u16, config: impl FnOnce(&mut Vec<u8>)) -> Track {
    let mut entry = Vec::new();
    boxed(&mut entry, kind, |out| {
        put_zeros(out, 6);
        put_u16(out, 1);
        put_zeros(out, 8);
        put_u16(out, channels);
        put_u16(out, 16);
        put_u32(out, 0);
        // 16.16; rates that do not fit stand in the configuration alone.
        put_u32(out, if rate <= 0xffff { rate << 16 } else { 0 });
        config(out);
    });
    Track { media: Media::Audio, timescale: rate, entry }
}

/// AAC or MP3 with an elementary stream descriptor (ISO 14496-1, 7.2.6).
fn mp4a(rate: u32, channels: u16, object_type: u8, specific: &[u8]) -> Track {
    let mut decoder = alloc::vec![object_type, 0x15];
    // Buffer size and bit rates are unknown.
    put_zeros(&mut decoder, 11);
    if !specific.is_empty() {
        descriptor(&mut decoder, 5, specific);
    }
    let mut stream = alloc::vec![0, 0, 0];
    descriptor(&mut stream, 4, &decoder);
    descriptor(&mut stream, 6, &[2]);
    audio_entry(b"mp4a", rate, channels, |out| full(out, b"esds", 0, 0, |out| descriptor(out, 3, &stream)))
}

/// Tag, length in groups of seven bits, content.
fn descriptor(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    let len = content.len();
    let group = |shift: usize| (len >> shift & 0x7f) as u8 | 0x80;
    out.extend_from_slice(&[tag, group(21), group(14), group(7), group(0) & 0x7f]);
    out.extend_from_slice(content);
}

/// Opus in ISO base media, 4.3.2. Stereo with the usual pre-skip, for publishers that send no header.
fn opus(record: &[u8]) -> Option<Track> {
    const PLAIN: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
    let config = OpusConfig::parse_head(if record.is_empty() { PLAIN } else { record })?;
    Some(audio_entry(b"Opus", SAMPLE_RATE, u16::from(config.channels), |out| {
        boxed(out, b"dOps", |out| out.extend_from_slice(&config.build_box()));
    }))
}

/// Every millisecond is a whole number of these.
const VIDEO_TIMESCALE: u32 = 90_000;
/// Object types of MPEG-4 audio, MPEG-1 audio, MPEG-2 audio.
const AAC: u8 = 0x40;
const MPEG1_AUDIO: u8 = 0x6b;
const MPEG2_AUDIO: u8 = 0x69;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_formats_are_read_from_configuration_or_frame() {
        for (codec, record, rate, object_type) in [
            (Codec::Aac, &[0x12, 0x10][..], 44_100, Some(AAC)),
            (Codec::Aac, &[0x11, 0x88, 0x56, 0xe5, 0], 48_000, Some(AAC)),
            // Channels in a program config element.
            (Codec::Aac, &[0x12, 0x00, 0, 0], 44_100, Some(AAC)),
            (Codec::Mp3, &[0xff, 0xfb, 0x90, 0x44], 44_100, Some(MPEG1_AUDIO)),
            (Codec::Mp3, &[0xff, 0xf3, 0x84, 0xc4], 24_000, Some(MPEG2_AUDIO)),
            (Codec::Aac, &[0x12], 0, None),
            (Codec::Mp3, &[0x12, 0x34, 0x56, 0x78], 0, None),
        ] {
            let track = Track::audio(codec, record);
            assert_eq!(track.is_some(), object_type.is_some(), "{record:x?}");
            if let (Some(track), Some(object_type)) = (track, object_type) {
                assert_eq!(track.timescale, rate);
                assert!(track.entry.windows(2).any(|bytes| bytes == [object_type, 0x15]));
            }
        }
    }

    #[test]
    fn opus_fields_turn_around() {
        let track = Track::audio(Codec::Opus, b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\xff\xfe\0").unwrap();
        let config = b"dOps\0\x02\x01\x38\0\0\xbb\x80\xfe\xff\0";
        assert!(track.entry.windows(config.len()).any(|bytes| bytes == config), "{:x?}", track.entry);
        assert_eq!(track.timescale, 48_000);
        assert!(
            Track::audio(Codec::Opus, b"").is_some() && Track::audio(Codec::Opus, b"OpusHead\x01").is_none()
        );
    }

    #[test]
    fn codecs_without_an_entry_have_no_track() {
        assert_eq!(Track::video(Codec::Vp6, &[1], (0, 0)), None);
        assert_eq!(Track::audio(Codec::Speex, &[]), None);
    }
}
