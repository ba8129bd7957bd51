//! What a stream's picture and sound are: out of its configuration, and of its frames where that does not say.
//!
//! [`Video`] and [`Audio`] are what `docs/openapi.yaml` calls so, without the rates, which `meter` knows. Looked into when somebody
//! asks and something has changed, not before. Bound: [`MAX_METADATA`].

use super::cache::Headers;
use crate::{
    amf::{Budget, Object, Value},
    codec::{self, names, vpx},
    flv::{Codec, Tag, TagKind, TagRole, body::AudioFormat, metadata},
    rtp::Format,
};
use alloc::{string::String, sync::Arc};

/// Longer metadata is left alone.
const MAX_METADATA: usize = 64 << 10;
/// Characters of what an encoder calls itself.
const MAX_NAME: usize = 200;

/// What one frame shows of its kind.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// What its first byte says, as far as it is the same in all frames of a stream.
    sign: u8,
    codec: Option<Codec>,
    /// Width and height, of codecs whose frames say.
    size: Option<(u32, u32)>,
    format: Option<AudioFormat>,
}

/// What is known of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Description {
    pub(super) video: Option<Video>,
    pub(super) audio: Option<Audio>,
    /// `encoder` of its metadata.
    pub(super) encoder: Option<Arc<str>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Video {
    pub(super) codec: Option<Codec>,
    pub(super) rfc6381: Option<String>,
    /// Width and height.
    pub(super) size: Option<(u32, u32)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Audio {
    pub(super) codec: Option<Codec>,
    pub(super) rfc6381: Option<String>,
    pub(super) sample_rate: Option<u32>,
    pub(super) channels: Option<u16>,
}

impl Seen {
    /// Of a frame.
    pub(super) fn of(tag: &Tag) -> Seen {
        let class = tag.classify();
        let frame = class.tracks().next().map(|track| &tag.body[track.data]).unwrap_or_default();
        let size = match class.codec {
            Some(Codec::Vp8) => vpx::vp8_dimensions(frame),
            Some(Codec::Vp9) => vpx::vp9_dimensions(frame),
            _ => None,
        };
        let format =
            (tag.kind == TagKind::Audio).then(|| audio_format(class.codec, sign(tag), frame)).flatten();
        Seen { sign: sign(tag), codec: class.codec, size, format }
    }

    /// How RTP carries such frames, if their codec has no sequence headers.
    pub(super) fn rtp_format(&self) -> Option<Format> {
        Format::to_send(self.codec?, &[], self.format)
    }

    /// Whether this frame need not be looked into.
    pub(super) fn is_like(&self, tag: &Tag) -> bool {
        self.sign == sign(tag)
    }
}

/// Kinds of frames and packets differ from tag to tag; of enhanced tags nothing but the mark stays.
fn sign(tag: &Tag) -> u8 {
    match (tag.kind, tag.body.first().copied().unwrap_or_default()) {
        (TagKind::Video, first) if first & 0x80 != 0 => 0x80,
        (TagKind::Video, first) => first & 0x0f,
        (_, first) if first >> 4 == 9 => 0x90,
        (_, first) => first,
    }
}

/// Of codecs without a configuration: by their frames, or by the first byte of classic tags (FLV 10.1, E.4.2.1).
fn audio_format(codec: Option<Codec>, first: u8, frame: &[u8]) -> Option<AudioFormat> {
    let said = AudioFormat {
        sample_rate: [5512, 11_025, 22_050, 44_100][usize::from(first >> 2 & 3)],
        channels: u16::from(first & 1) + 1,
    };
    match codec? {
        Codec::Mp3 => {
            let header = codec::mp3::FrameHeader::parse(frame)?;
            Some(AudioFormat { sample_rate: header.sample_rate, channels: header.channels })
        }
        Codec::Pcm | Codec::Adpcm => Some(said),
        Codec::Nellymoser => {
            let sample_rate = match first >> 4 {
                4 => 16_000,
                5 => 8_000,
                _ => said.sample_rate,
            };
            Some(AudioFormat { sample_rate, channels: if first >> 4 == 6 { said.channels } else { 1 } })
        }
        Codec::Speex => Some(AudioFormat { sample_rate: 16_000, channels: 1 }),
        Codec::G711A | Codec::G711U => Some(AudioFormat { sample_rate: 8_000, channels: 1 }),
        _ => None,
    }
}

impl Description {
    /// Of a stream with that configuration and such frames.
    pub(super) fn of(headers: &Headers, video: Option<&Seen>, audio: Option<&Seen>) -> Description {
        let mut said = Object::default();
        let mut description = Description::default();
        for held in headers.iter() {
            let tag = held.tag();
            match (tag.kind, held.role()) {
                (TagKind::Data, TagRole::Metadata) if tag.body.len() <= MAX_METADATA => {
                    said = metadata::decode(&tag.body, Budget::default()).unwrap_or_default();
                }
                (TagKind::Video, TagRole::SequenceHeader) if description.video.is_none() => {
                    description.video = Some(Video::of(tag));
                }
                (TagKind::Audio, TagRole::SequenceHeader) if description.audio.is_none() => {
                    description.audio = Some(Audio::of(tag));
                }
                _ => {}
            }
        }
        if let Some(seen) = video {
            let video = description.video.get_or_insert_with(Video::default);
            video.codec = video.codec.or(seen.codec);
            video.size = video.size.or(seen.size);
        }
        if let Some(seen) = audio {
            let audio = description.audio.get_or_insert_with(Audio::default);
            audio.codec = audio.codec.or(seen.codec);
            audio.rfc6381 = audio.rfc6381.take().or_else(|| names::rfc6381(audio.codec?, &[]));
            audio.sample_rate = audio.sample_rate.or(seen.format.map(|format| format.sample_rate));
            audio.channels = audio.channels.or(seen.format.map(|format| format.channels));
        }
        if let Some(video) = &mut description.video {
            video.size = video.size.or_else(|| Some((pixels(&said, "width")?, pixels(&said, "height")?)));
        }
        description.encoder = said.get("encoder").and_then(Value::as_str).and_then(shown);
        description
    }
}

impl Video {
    /// Of a sequence header.
    fn of(tag: &Tag) -> Video {
        let Some((codec, record)) = record(tag) else { return Video::default() };
        let size = codec::dimensions(codec, record);
        Video { codec: Some(codec), rfc6381: names::rfc6381(codec, record), size }
    }
}

impl Audio {
    /// Of a sequence header.
    fn of(tag: &Tag) -> Audio {
        let Some((codec, record)) = record(tag) else { return Audio::default() };
        let format = codec::audio_format(codec, record);
        Audio {
            codec: Some(codec),
            rfc6381: names::rfc6381(codec, record),
            sample_rate: format.map(|format| format.sample_rate),
            channels: format.map(|format| format.channels),
        }
    }
}

/// The first track's.
fn record(tag: &Tag) -> Option<(Codec, &[u8])> {
    let track = tag.classify().tracks().next()?;
    Some((track.codec?, &tag.body[track.data]))
}

fn pixels(said: &Object, name: &str) -> Option<u32> {
    let number = said.get(name)?.as_number()?;
    (1.0..=65_536.0).contains(&number).then_some(number as u32)
}

/// What a client or encoder calls itself, fit to be shown; `None` if that is nothing.
pub(super) fn shown(name: &str) -> Option<Arc<str>> {
    let name: String = name.trim().chars().filter(|char| !char.is_control()).take(MAX_NAME).collect();
    (!name.is_empty()).then(|| name.into())
}

/// As users know it.
pub(super) const fn codec_name(codec: Option<Codec>) -> &'static str {
    match codec {
        Some(Codec::H264) => "H.264",
        Some(Codec::Hevc) => "H.265",
        Some(Codec::Vvc) => "H.266",
        Some(Codec::Av1) => "AV1",
        Some(Codec::Vp8) => "VP8",
        Some(Codec::Vp9) => "VP9",
        Some(Codec::H263) => "H.263",
        Some(Codec::Vp6 | Codec::Vp6Alpha) => "VP6",
        Some(Codec::Screen | Codec::Screen2) => "Screen",
        Some(Codec::Aac) => "AAC",
        Some(Codec::Mp3) => "MP3",
        Some(Codec::Opus) => "Opus",
        Some(Codec::Flac) => "FLAC",
        Some(Codec::Ac3) => "AC-3",
        Some(Codec::Eac3) => "E-AC-3",
        Some(Codec::G711A) => "G.711 A-law",
        Some(Codec::G711U) => "G.711 µ-law",
        Some(Codec::Speex) => "Speex",
        Some(Codec::Nellymoser) => "Nellymoser",
        Some(Codec::Pcm) => "PCM",
        Some(Codec::Adpcm) => "ADPCM",
        None => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Timestamp,
        server::testing::{audio, shared},
    };
    use alloc::{string::ToString, vec::Vec};

    fn tag(kind: TagKind, body: &[u8]) -> Tag {
        Tag::new(kind, Timestamp(0), body.into())
    }

    fn headers(tags: Vec<Tag>) -> Headers {
        let mut headers = Headers::default();
        for tag in tags {
            headers.update(&shared(tag));
        }
        headers
    }

    #[test]
    fn configuration_says_most_and_metadata_the_rest() {
        let said = metadata::encode(Object::from([
            ("width", 640.0.into()),
            ("height", 360.0.into()),
            ("encoder", "  Lavf\n60 ".into()),
        ]));
        let sound = tag(TagKind::Audio, &[0xaf, 0, 0x12, 0x10]);
        let picture = tag(TagKind::Video, &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff]);
        let description =
            Description::of(&headers([tag(TagKind::Data, &said), picture, sound].into()), None, None);
        let (video, audio) = (description.video.unwrap(), description.audio.unwrap());
        assert_eq!((video.codec, video.size), (Some(Codec::H264), Some((640, 360))));
        assert_eq!(video.rfc6381.as_deref(), Some("avc1.64001F"));
        assert_eq!((audio.sample_rate, audio.channels), (Some(44_100), Some(2)));
        assert_eq!(audio.rfc6381.as_deref(), Some("mp4a.40.2"));
        assert_eq!(description.encoder.as_deref(), Some("Lavf60"));
    }

    #[test]
    fn frames_say_what_there_is_no_configuration_for() {
        let nothing = Headers::default();
        for (body, name, rate, channels) in [
            (&[0x2f, 0xff, 0xfb, 0x90, 0x00][..], "MP3", Some(44_100), Some(2)),
            (&[0xb2, 1], "Speex", Some(16_000), Some(1)),
            (&[0x72, 1], "G.711 A-law", Some(8_000), Some(1)),
            (&[0x3f, 1], "PCM", Some(44_100), Some(2)),
            (&[0x42, 1], "Nellymoser", Some(16_000), Some(1)),
        ] {
            let seen = Seen::of(&tag(TagKind::Audio, body));
            let audio = Description::of(&nothing, None, Some(&seen)).audio.unwrap();
            assert_eq!((codec_name(audio.codec), audio.sample_rate, audio.channels), (name, rate, channels));
        }
        let seen = Seen::of(&tag(TagKind::Video, &[0x12, 0, 1]));
        let description = Description::of(&nothing, Some(&seen), None);
        assert_eq!(codec_name(description.video.unwrap().codec), "H.263");
        assert!(description.audio.is_none());
    }

    #[test]
    fn frames_of_one_stream_are_looked_into_once() {
        for (kind, first, others) in [
            (TagKind::Video, [0x17, 1], [[0x27, 1], [0x37, 1]]),
            (TagKind::Video, [0x91, b'h'], [[0xa1, b'h'], [0xa3, b'h']]),
            (TagKind::Audio, [0xaf, 1], [[0xaf, 1], [0xaf, 1]]),
            (TagKind::Audio, [0x91, b'O'], [[0x91, b'O'], [0x95, b'O']]),
        ] {
            let seen = Seen::of(&tag(kind, &first));
            assert!(others.iter().all(|body| seen.is_like(&tag(kind, body))));
        }
        assert!(!Seen::of(&audio(0)).is_like(&tag(TagKind::Audio, &[0x2f, 0])));
    }

    #[test]
    fn names_are_cut_and_hold_no_control_characters() {
        assert_eq!(shown(&"x".repeat(300)).map(|name| name.len()), Some(MAX_NAME));
        assert_eq!(shown("\0 \r\n"), None);
        assert_eq!(shown("OBS\u{7f} Studio").map(|name| name.to_string()).as_deref(), Some("OBS Studio"));
    }
}
