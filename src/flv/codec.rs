//! The codecs that FLV and RTMP know, by number and by FourCC.
//!
//! Numbers: the FLV format text, and what the field made of it (HEVC as video 12, AV1 as 13, Opus as audio 13).
//! FourCCs: Enhanced RTMP v1 and v2. Left out on purpose: video 14 and 15, which mean different codecs to
//! different programs, and the audio numbers that only one library uses.

use core::fmt;

/// A video or audio codec. Displays as the name users know from ffmpeg and players.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// H.264, AVC: video 7, `avc1`.
    H264,
    /// H.265: `hvc1`, de facto video 12.
    Hevc,
    /// AV1: `av01`, de facto video 13.
    Av1,
    /// VP8: `vp08`.
    Vp8,
    /// VP9: `vp09`.
    Vp9,
    /// H.266: `vvc1`.
    Vvc,
    /// Sorenson's H.263: video 2.
    H263,
    /// On2 VP6: video 4.
    Vp6,
    /// On2 VP6 with alpha channel: video 5.
    Vp6Alpha,
    /// Screen video: video 3.
    Screen,
    /// Screen video, second version: video 6.
    Screen2,
    /// AAC: audio 10, `mp4a`.
    Aac,
    /// MP3: audio 2, 14 (8 kHz), `.mp3`.
    Mp3,
    /// Opus: `Opus`, de facto audio 13.
    Opus,
    /// FLAC: `fLaC`.
    Flac,
    /// AC-3: `ac-3`.
    Ac3,
    /// E-AC-3: `ec-3`.
    Eac3,
    /// Speex: audio 11.
    Speex,
    /// Nellymoser: audio 4 (16 kHz), 5 (8 kHz), 6.
    Nellymoser,
    /// G.711 A-law: audio 7.
    G711A,
    /// G.711 mu-law: audio 8.
    G711U,
    /// Linear PCM: audio 0 (byte order of the writer) and 3 (little endian).
    Pcm,
    /// ADPCM: audio 1.
    Adpcm,
}

impl Codec {
    /// Low nibble of a classic video tag's first byte.
    pub const fn from_video_id(id: u8) -> Option<Codec> {
        Some(match id {
            2 => Codec::H263,
            3 => Codec::Screen,
            4 => Codec::Vp6,
            5 => Codec::Vp6Alpha,
            6 => Codec::Screen2,
            7 => Codec::H264,
            12 => Codec::Hevc,
            13 => Codec::Av1,
            _ => return None,
        })
    }

    /// High nibble of a classic audio tag's first byte (SoundFormat).
    pub const fn from_audio_id(id: u8) -> Option<Codec> {
        Some(match id {
            0 | 3 => Codec::Pcm,
            1 => Codec::Adpcm,
            2 | 14 => Codec::Mp3,
            4..=6 => Codec::Nellymoser,
            7 => Codec::G711A,
            8 => Codec::G711U,
            10 => Codec::Aac,
            11 => Codec::Speex,
            13 => Codec::Opus,
            _ => return None,
        })
    }

    /// FourCC of an enhanced tag. Video and audio ones differ, so one table serves both.
    pub const fn from_fourcc(fourcc: [u8; 4]) -> Option<Codec> {
        Some(match &fourcc {
            b"avc1" => Codec::H264,
            b"hvc1" => Codec::Hevc,
            b"vvc1" => Codec::Vvc,
            b"av01" => Codec::Av1,
            b"vp08" => Codec::Vp8,
            b"vp09" => Codec::Vp9,
            b"mp4a" => Codec::Aac,
            b".mp3" => Codec::Mp3,
            b"Opus" => Codec::Opus,
            b"fLaC" => Codec::Flac,
            b"ac-3" => Codec::Ac3,
            b"ec-3" => Codec::Eac3,
            _ => return None,
        })
    }

    /// What an enhanced tag calls it; `None` if it has no name there.
    pub const fn fourcc(self) -> Option<[u8; 4]> {
        Some(*match self {
            Codec::H264 => b"avc1",
            Codec::Hevc => b"hvc1",
            Codec::Vvc => b"vvc1",
            Codec::Av1 => b"av01",
            Codec::Vp8 => b"vp08",
            Codec::Vp9 => b"vp09",
            Codec::Aac => b"mp4a",
            Codec::Mp3 => b".mp3",
            Codec::Opus => b"Opus",
            Codec::Flac => b"fLaC",
            Codec::Ac3 => b"ac-3",
            Codec::Eac3 => b"ec-3",
            _ => return None,
        })
    }

    /// Frames may be shown in another order than they are decoded, so that enhanced coded frames carry a
    /// composition time (enhanced RTMP, CodedFrames).
    pub(crate) const fn has_composition_time(self) -> bool {
        matches!(self, Codec::H264 | Codec::Hevc | Codec::Vvc)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::H264 => "h264",
            Codec::Hevc => "hevc",
            Codec::Av1 => "av1",
            Codec::Vp8 => "vp8",
            Codec::Vp9 => "vp9",
            Codec::Vvc => "vvc",
            Codec::H263 => "h263",
            Codec::Vp6 => "vp6",
            Codec::Vp6Alpha => "vp6a",
            Codec::Screen => "screen",
            Codec::Screen2 => "screen2",
            Codec::Aac => "aac",
            Codec::Mp3 => "mp3",
            Codec::Opus => "opus",
            Codec::Flac => "flac",
            Codec::Ac3 => "ac-3",
            Codec::Eac3 => "e-ac-3",
            Codec::Speex => "speex",
            Codec::Nellymoser => "nellymoser",
            Codec::G711A => "g711a",
            Codec::G711U => "g711u",
            Codec::Pcm => "pcm",
            Codec::Adpcm => "adpcm",
        })
    }
}
