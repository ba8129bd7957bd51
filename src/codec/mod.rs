//! What is inside of tags: configuration records, parameter sets and frame headers of the codecs, and raw streams made into tags.
//!
//! In: records, NAL units, frames and raw elementary streams. Out: sizes and rates, records, access units with times. Not here:
//! decoding; containers; files. Bounds: each module names its own; those that are given a whole record or NAL unit hold
//! nothing.
//!
//! | module | what |
//! |---|---|
//! | [`raw`] | H.264, H.265 and AAC streams without a container -> tags |
//! | [`h264`], [`h265`] | parameter sets, slice headers, picture order, `avcC` and `hvcC` |
//! | [`aac`], [`mp3`], [`opus`], [`av1`], [`vpx`] | configuration and frame headers |
//! | [`samples`] | the clock of audio |
//! | [`names`] | what playlists call a codec |
//! | [`annexb`], [`nal`], [`bits`] | NAL units in byte streams and samples; bits in NAL units |

pub mod aac;
pub mod annexb;
pub mod av1;
pub mod bits;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
pub mod h264;
pub mod h265;
pub mod mp3;
pub mod nal;
pub mod names;
pub mod opus;
pub mod raw;
pub mod samples;
pub mod vpx;

#[cfg(any(test, feature = "fuzzing"))]
pub use fuzz::fuzz;

use crate::flv::{Codec, body::AudioFormat};

/// Width and height of the pictures, from a decoder configuration record as sequence headers carry it. `None` if it is
/// broken, or of a codec whose record does not say (VP8, VP9).
pub fn dimensions(codec: Codec, record: &[u8]) -> Option<(u32, u32)> {
    match codec {
        Codec::H264 => {
            let sps = h264::Sps::parse(h264::Record::parse(record)?.sps.first()?)?;
            Some((sps.width, sps.height))
        }
        Codec::Hevc => {
            let sps = h265::Sps::parse(h265::Record::parse(record)?.sps.first()?)?;
            Some((sps.width, sps.height))
        }
        Codec::Av1 => av1::dimensions(record),
        _ => None,
    }
}

/// Rate and channels of the sound, from a decoder configuration as sequence headers carry it (AAC, Opus, FLAC). `None` if
/// it is broken, does not say, or the codec has none.
pub fn audio_format(codec: Codec, record: &[u8]) -> Option<AudioFormat> {
    let (sample_rate, channels) = match codec {
        Codec::Aac => aac::AudioSpecificConfig::parse(record)?.output(),
        Codec::Opus => {
            let channels = opus::OpusConfig::parse_head(record)?.channels;
            (opus::SAMPLE_RATE, u16::from(channels))
        }
        Codec::Flac => {
            // The marker, a block header, STREAMINFO; 10 bytes in, 20 bits of rate and 3 of channels.
            let info = record.strip_prefix(b"fLaC")?.get(4..)?;
            let mut bits = bits::BitReader::new(info.get(10..)?);
            (bits.bits(20)?, bits.bits(3)? as u16 + 1)
        }
        _ => return None,
    };
    (sample_rate > 0 && channels > 0).then_some(AudioFormat { sample_rate, channels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_each_codec_say_size_or_rate() {
        let format =
            |codec, record| audio_format(codec, record).map(|format| (format.sample_rate, format.channels));
        assert_eq!(format(Codec::Aac, &[0x12, 0x10]), Some((44_100, 2)));
        let head = b"OpusHead\x01\x01\x38\x01\x40\x1f\x00\x00\x00\x00\x00";
        assert_eq!(format(Codec::Opus, head), Some((48_000, 1)), "whatever the original had");
        let flac = b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0";
        assert_eq!(format(Codec::Flac, flac), Some((44_100, 2)));
        for codec in [Codec::Aac, Codec::Opus, Codec::Flac, Codec::Mp3] {
            assert_eq!(format(codec, b"x"), None);
        }
        for codec in [Codec::H264, Codec::Hevc, Codec::Av1, Codec::Vp9] {
            assert_eq!(dimensions(codec, &[1; 40]), None, "{codec}");
        }
    }
}
