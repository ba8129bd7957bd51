//! One track as RTP carries it: what SDP says, what a sender does and what a receiver expects.
//!
//! In: a codec and its configuration record. Out: payload type, clock and packing as weir sends them. Not here: the lines of
//! SDP (`sdp`), packets. Field notes: players take static payload types without `rtpmap` (MP3 14, G.711 0 and 8 at
//! 8000 Hz mono); everything else has a dynamic one, which SDP explains.

use crate::{
    codec::{aac::AudioSpecificConfig, h264, h265, opus::OpusConfig},
    flv::{Codec, TagKind, body::AudioFormat},
};
use alloc::vec::Vec;

/// One track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// What is inside.
    pub codec: Codec,
    /// The seven bits in each packet's header: 0 to 127.
    pub payload_type: u8,
    /// Ticks of the packets' timestamps in a second, more than 0. For AAC usually the rate of its core, where a frame is 1024
    /// ticks; what devices announce as twice that with SBR holds as announced.
    pub clock_rate: u32,
    /// Of audio; 0 where it is unknown, and for video.
    pub channels: u16,
    /// The decoder configuration record as sequence headers carry it (`avcC`, `hvcC`, `av1C`, AudioSpecificConfig,
    /// `OpusHead`). Empty: it comes between the frames, or the codec has none.
    pub record: Vec<u8>,
    /// How frames are laid out in packets.
    pub packing: Packing,
}

/// How frames are laid out in packets, where a codec has more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// The payload format of the codec: H.264 (RFC 6184, packetization modes 0 and 1), H.265 (RFC 7798, without DONL
    /// fields), AV1, VP8 (RFC 7741), VP9 (RFC 9628), Opus (RFC 7587), MP3 (RFC 2250), G.711 (RFC 3551).
    Native,
    /// AAC as mpeg4-generic (RFC 3640): bits of the three fields of an AU header.
    AacHbr {
        /// `sizelength`, 1 to 16.
        size_length: u8,
        /// `indexlength`, 0 to 16: of the first AU in a packet.
        index_length: u8,
        /// `indexdeltalength`, 0 to 16: of the others.
        delta_length: u8,
    },
    /// AAC as MP4A-LATM (RFC 6416) with the configuration in SDP, one program, layer and subframe. Only received:
    /// GStreamer's `rtspclientsink` sends it.
    Latm,
}

impl Packing {
    /// `AAC-hbr`: what everybody sends.
    pub const AAC_HBR: Packing = Packing::AacHbr { size_length: 13, index_length: 3, delta_length: 3 };
}

impl Format {
    /// How weir sends a track: `record` from its sequence header, empty if it has none; `audio` from the frames of codecs
    /// without a record, 8000 Hz mono if unknown. `None` if RTP cannot carry it, or the record of a codec that needs
    /// one is broken.
    pub fn to_send(codec: Codec, record: &[u8], audio: Option<AudioFormat>) -> Option<Format> {
        let mut format = Format {
            codec,
            payload_type: VIDEO_TYPE,
            clock_rate: VIDEO_CLOCK,
            channels: 0,
            record: record.to_vec(),
            packing: Packing::Native,
        };
        match codec {
            Codec::H264 => drop(h264::Record::parse(record)?),
            Codec::Hevc => drop(h265::Record::parse(record)?),
            Codec::Av1 | Codec::Vp8 | Codec::Vp9 => {}
            Codec::Aac => {
                let config = AudioSpecificConfig::parse(record)?;
                format.payload_type = AUDIO_TYPE;
                format.clock_rate = config.sample_rate;
                format.channels = config.output().1;
                format.packing = Packing::AAC_HBR;
            }
            Codec::Opus => {
                format.payload_type = AUDIO_TYPE;
                format.clock_rate = OPUS_CLOCK;
                // Without a header the packets themselves say it; every decoder gives stereo for either.
                format.channels = 2;
                if !record.is_empty() {
                    let head = OpusConfig::parse_head(record).filter(|head| head.mapping_family == 0)?;
                    format.channels = u16::from(head.channels);
                }
            }
            Codec::Mp3 => format.payload_type = MP3_TYPE,
            Codec::G711A | Codec::G711U => {
                let audio = audio.unwrap_or(TELEPHONE);
                format.clock_rate = audio.sample_rate;
                format.channels = audio.channels;
                format.payload_type = match (audio == TELEPHONE, codec) {
                    (true, Codec::G711A) => PCMA_TYPE,
                    (true, _) => PCMU_TYPE,
                    _ => AUDIO_TYPE,
                };
            }
            _ => return None,
        }
        (format.clock_rate > 0).then_some(format)
    }

    /// Audio or video.
    pub fn kind(&self) -> TagKind {
        match self.codec {
            Codec::Aac | Codec::Opus | Codec::Mp3 | Codec::G711A | Codec::G711U => TagKind::Audio,
            _ => TagKind::Video,
        }
    }
}

/// G.711 as the telephone has it, and as classic tags do, whose header has no number for 8000 Hz.
const TELEPHONE: AudioFormat = AudioFormat { sample_rate: 8000, channels: 1 };

/// Static payload type of G.711 mu-law (RFC 3551, table 4).
pub const PCMU_TYPE: u8 = 0;
/// Static payload type of G.711 A-law.
pub const PCMA_TYPE: u8 = 8;
/// Static payload type of MPEG audio.
pub const MP3_TYPE: u8 = 14;
/// What video has that has no static type.
const VIDEO_TYPE: u8 = 96;
/// What audio has that has no static type.
const AUDIO_TYPE: u8 = 97;
/// In Hz; of MPEG audio as well.
pub const VIDEO_CLOCK: u32 = 90_000;
/// In Hz, whatever the sound has (RFC 7587, 4.1).
pub const OPUS_CLOCK: u32 = 48_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_codec_is_sent_with_the_clock_and_the_type_that_players_expect() {
        let stereo = AudioFormat { sample_rate: 16_000, channels: 2 };
        let mono = OpusConfig {
            channels: 1,
            pre_skip: 0,
            input_rate: 48_000,
            gain: 0,
            mapping_family: 0,
            mapping: &[],
        };
        let avcc = [1, 100, 0, 31, 0xff, 0xe0, 0];
        for (codec, record, audio, (payload_type, clock_rate, channels)) in [
            (Codec::H264, &avcc[..], None, (96, 90_000, 0)),
            (Codec::Av1, &[], None, (96, 90_000, 0)),
            (Codec::Vp9, &[], None, (96, 90_000, 0)),
            (Codec::Aac, &[0x12, 0x10], None, (97, 44_100, 2)),
            (Codec::Aac, &[0x2b, 0x11, 0x88, 0x00], None, (97, 24_000, 2)),
            (Codec::Opus, &[], None, (97, 48_000, 2)),
            (Codec::Opus, &mono.build_head(), None, (97, 48_000, 1)),
            (Codec::Mp3, &[], Some(stereo), (14, 90_000, 0)),
            (Codec::G711A, &[], None, (8, 8000, 1)),
            (Codec::G711U, &[], Some(TELEPHONE), (0, 8000, 1)),
            (Codec::G711U, &[], Some(stereo), (97, 16_000, 2)),
        ] {
            let format = Format::to_send(codec, record, audio).expect("RTP carries it");
            let found = (format.payload_type, format.clock_rate, format.channels);
            assert_eq!(found, (payload_type, clock_rate, channels), "{codec} {record:02x?}");
            assert_eq!(format.record, record);
            assert_eq!(format.kind() == TagKind::Video, payload_type == 96, "{codec}");
        }
    }

    #[test]
    fn what_rtp_cannot_carry_or_whose_record_is_broken_is_refused() {
        let surround = b"OpusHead\x01\x03\0\0\x80\xbb\0\0\0\0\x01\x02\x01\0\x01\x02";
        for (codec, record) in [
            (Codec::H264, &[][..]),
            (Codec::Hevc, &[1, 2, 3]),
            (Codec::Aac, &[]),
            (Codec::Opus, surround),
            (Codec::Speex, &[]),
            (Codec::Flac, &[]),
            (Codec::Vvc, &[]),
        ] {
            assert_eq!(Format::to_send(codec, record, None), None, "{codec}");
        }
        let silent = AudioFormat { sample_rate: 0, channels: 1 };
        assert_eq!(Format::to_send(Codec::G711A, &[], Some(silent)), None);
    }
}
