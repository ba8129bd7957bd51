//! What codecs are called in `CODECS` attributes (RFC 6381, ISO 14496-15 Annex E, the AV1 and VP9 bindings): playlists, DASH,
//! `MediaSource.isTypeSupported`.
//!
//! In: the record that sequence headers carry; of MP3 nothing. Total: broken records give `None`.

use super::{aac::AudioSpecificConfig, vpx::VpConfig};
use crate::flv::Codec;
use alloc::{borrow::ToOwned, format, string::String};
use core::fmt::Write;

/// The name of the codec with its profile and level. `None` if it has none, or the record is broken.
pub fn rfc6381(codec: Codec, record: &[u8]) -> Option<String> {
    match codec {
        Codec::H264 => match record {
            &[1, profile, compatibility, level, ..] => {
                Some(format!("avc1.{profile:02X}{compatibility:02X}{level:02X}"))
            }
            _ => None,
        },
        Codec::Hevc => hevc(record),
        Codec::Av1 => av1(record),
        Codec::Vp9 => {
            let VpConfig { profile, level, depth } = VpConfig::parse(record)?;
            Some(format!("vp09.{profile:02}.{level:02}.{depth:02}"))
        }
        Codec::Aac => {
            let config = AudioSpecificConfig::parse(record)?;
            let object_type = match (config.sbr_rate, config.has_parametric_stereo) {
                (Some(_), true) => 29,
                (Some(_), false) => 5,
                _ => config.object_type,
            };
            Some(format!("mp4a.40.{object_type}"))
        }
        Codec::Mp3 => Some("mp4a.40.34".to_owned()),
        Codec::Opus => Some("opus".to_owned()),
        Codec::Flac => Some("fLaC".to_owned()),
        Codec::Ac3 => Some("ac-3".to_owned()),
        Codec::Eac3 => Some("ec-3".to_owned()),
        _ => None,
    }
}

/// ISO 14496-15, E.3: profile, compatibility flags in reverse order, tier and level, constraint bytes up to the last that is not 0.
fn hevc(record: &[u8]) -> Option<String> {
    let &[_, profile, a, b, c, d, ref constraints @ ..] = record.get(..12)? else { return None };
    let level = record.get(12)?;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let flags = u32::from_be_bytes([a, b, c, d]).reverse_bits();
    let mut name = format!("hvc1.{space}{}.{flags:X}.{tier}{level}", profile & 0x1f);
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        let _ = write!(name, ".{byte:X}");
    }
    Some(name)
}

/// AV1 in ISO base media, 5: profile, level with tier, bits of a sample.
fn av1(record: &[u8]) -> Option<String> {
    let &[0x81, profile_level, flags, ..] = record else { return None };
    let (profile, level) = (profile_level >> 5, profile_level & 0x1f);
    let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (flags & 0x40 != 0, profile == 2 && flags & 0x20 != 0) {
        (true, true) => 12,
        (true, false) => 10,
        _ => 8,
    };
    Some(format!("av01.{profile}.{level:02}{tier}.{depth:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_profile_and_level() {
        let hevc =
            [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3f, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 4];
        let high_tier = [1, 0x62, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 123];
        let vpcc = [1, 0, 0, 0, 2, 51, 0xa2, 2, 2, 2, 0, 0];
        for (codec, record, name) in [
            (Codec::H264, &[1, 0x64, 0, 0x1f, 0xff][..], Some("avc1.64001F")),
            (Codec::H264, &[1, 0x42, 0xc0, 0x0d], Some("avc1.42C00D")),
            (Codec::H264, &[0, 0x64, 0, 0x1f, 0xff], None),
            (Codec::Hevc, &hevc, Some("hvc1.1.6.L63.90")),
            (Codec::Hevc, &high_tier, Some("hvc1.A2.4.H123")),
            (Codec::Hevc, &hevc[..12], None),
            (Codec::Av1, &[0x81, 0, 0x0c, 0], Some("av01.0.00M.08")),
            (Codec::Av1, &[0x81, 0x48, 0xe0, 0], Some("av01.2.08H.12")),
            (Codec::Av1, &[0x81, 0x0d, 0x4c, 0], Some("av01.0.13M.10")),
            (Codec::Vp9, &vpcc, Some("vp09.02.51.10")),
            (Codec::Aac, &[0x12, 0x10], Some("mp4a.40.2")),
            (Codec::Aac, &[0x2b, 0x11, 0x88, 0x00], Some("mp4a.40.5")),
            (Codec::Aac, &[0xeb, 0x8a, 0x08, 0x00], Some("mp4a.40.29")),
            (Codec::Aac, &[0x12], None),
            (Codec::Mp3, &[], Some("mp4a.40.34")),
            (Codec::Opus, &[], Some("opus")),
            (Codec::Speex, &[], None),
        ] {
            assert_eq!(rfc6381(codec, record).as_deref(), name, "{codec} {record:x?}");
        }
    }
}
