//! What a pipe or raw file holds: told by the user, by a file's name, or by its first bytes.

use core::str::FromStr;
use std::path::Path;

/// A form that can be read from a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// FLV.
    Flv,
    /// MP4, in fragments or with its header in front.
    Mp4,
    /// A bare sequence of frames, without times.
    Raw(RawFormat),
}

/// A form without a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawFormat {
    /// H.264 in Annex B.
    H264,
    /// H.265 in Annex B.
    H265,
    /// AAC in ADTS.
    Aac,
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detected {
    /// This.
    Is(InputFormat),
    /// Nothing yet.
    NeedsMore,
    /// Nothing that can be read, and why.
    Unknown(&'static str),
}

/// As many bytes as are looked at before giving up.
pub(super) const PROBE_LEN: usize = 64;

impl InputFormat {
    /// By the first bytes of a stream.
    pub(super) fn detect(bytes: &[u8]) -> Detected {
        if bytes.starts_with(b"FLV") {
            return Detected::Is(InputFormat::Flv);
        }
        if bytes.get(4..8).is_some_and(|kind| MP4_STARTS.contains(&kind)) {
            return Detected::Is(InputFormat::Mp4);
        }
        if let [0xff, second, ..] = bytes {
            // Sync word of 12 bits, layer 0.
            if second & 0xf6 == 0xf0 {
                return Detected::Is(InputFormat::Raw(RawFormat::Aac));
            }
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        match bytes[zeros..] {
            [1, first, second, ..] if zeros >= 2 => annex_b(first, second),
            [1, ..] | [] if zeros >= 2 && bytes.len() < PROBE_LEN => Detected::NeedsMore,
            _ if bytes.len() < 8 => Detected::NeedsMore,
            _ => Detected::Unknown("neither FLV nor MP4, Annex B or ADTS; ?format= may say what it is"),
        }
    }
}

/// By the header of the first NAL unit. A stream begins with parameter sets, or with an access unit delimiter before.
fn annex_b(first: u8, second: u8) -> Detected {
    // H.265: type in bits 1 to 6, layer 0, temporal id plus 1 in the second byte.
    if first & 0x81 == 0 && second == 1 && matches!(first >> 1, 32..=35 | 39) {
        return Detected::Is(InputFormat::Raw(RawFormat::H265));
    }
    if first & 0x80 == 0 && matches!(first & 0x1f, 1 | 5 | 6..=9) {
        return Detected::Is(InputFormat::Raw(RawFormat::H264));
    }
    Detected::Unknown("Annex B without parameter sets at its start; ?format= may say what it is")
}

impl RawFormat {
    /// Of a raw file, by its name.
    pub(super) fn of_name(name: &Path) -> Option<RawFormat> {
        let extension = name.extension()?.to_str()?.to_ascii_lowercase();
        Some(match &*extension {
            "h264" | "264" | "avc" => RawFormat::H264,
            "h265" | "265" | "hevc" => RawFormat::H265,
            "aac" | "adts" => RawFormat::Aac,
            _ => return None,
        })
    }
}

impl FromStr for InputFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<InputFormat, ()> {
        Ok(match text {
            "flv" => InputFormat::Flv,
            "mp4" => InputFormat::Mp4,
            "h264" => InputFormat::Raw(RawFormat::H264),
            "h265" | "hevc" => InputFormat::Raw(RawFormat::H265),
            "aac" | "adts" => InputFormat::Raw(RawFormat::Aac),
            _ => return Err(()),
        })
    }
}

/// Boxes that an MP4 begins with.
const MP4_STARTS: [&[u8]; 4] = [b"ftyp", b"styp", b"moov", b"free"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        for (bytes, format) in [
            (&b"FLV\x01"[..], InputFormat::Flv),
            (b"\0\0\0\x18ftypisom", InputFormat::Mp4),
            (&[0, 0, 0, 1, 0x67, 0x64], InputFormat::Raw(RawFormat::H264)),
            (&[0, 0, 1, 0x09, 0xf0], InputFormat::Raw(RawFormat::H264)),
            (&[0, 0, 0, 0, 0, 1, 0x27, 0x42], InputFormat::Raw(RawFormat::H264)),
            (&[0, 0, 0, 1, 0x40, 0x01], InputFormat::Raw(RawFormat::H265)),
            (&[0, 0, 1, 0x46, 0x01], InputFormat::Raw(RawFormat::H265)),
            (&[0xff, 0xf1, 0x50, 0x80], InputFormat::Raw(RawFormat::Aac)),
            (&[0xff, 0xf9, 0x50, 0x80], InputFormat::Raw(RawFormat::Aac)),
        ] {
            assert_eq!(InputFormat::detect(bytes), Detected::Is(format), "{bytes:x?}");
            for end in 0..2 {
                assert_eq!(InputFormat::detect(&bytes[..end]), Detected::NeedsMore, "{:x?}", &bytes[..end]);
            }
        }
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        // An MPEG audio frame, text, a picture in the middle of nowhere.
        for bytes in [&b"\xff\xfb\x90\x64aaaa"[..], b"hello world", &[0, 0, 1, 0x7f, 2]] {
            assert!(matches!(InputFormat::detect(bytes), Detected::Unknown(_)), "{bytes:x?}");
        }
        assert!(matches!(InputFormat::detect(&[0; PROBE_LEN]), Detected::Unknown(_)));
    }

    #[test]
    fn raw_files_are_known_by_their_names() {
        assert_eq!(RawFormat::of_name(Path::new("/a/b.H264")), Some(RawFormat::H264));
        assert_eq!(RawFormat::of_name(Path::new("b.hevc")), Some(RawFormat::H265));
        assert_eq!(RawFormat::of_name(Path::new("b.aac")), Some(RawFormat::Aac));
        assert_eq!(
            (RawFormat::of_name(Path::new("b.flv")), RawFormat::of_name(Path::new("h264"))),
            (None, None)
        );
    }
}
