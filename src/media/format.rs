//! Which format a file has: by its content, because names lie.

use super::{MediaError, ReadAt};
use crate::codec::mp3;

/// A format that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// FLV.
    Flv,
    /// MP4 and its kin: MOV, M4V, M4A, F4V, fragmented or not.
    Mp4,
    /// MP3, with or without ID3 in front.
    Mp3,
    /// AAC in ADTS frames.
    Adts,
}

impl Format {
    /// Looks at the first bytes, and behind an ID3 tag at the first ones there.
    ///
    /// # Errors
    /// It cannot be read, or is nothing that is known here.
    pub fn of(file: &dyn ReadAt) -> Result<Format, MediaError> {
        let mut head = [0; HEAD];
        let count = file.read_at(0, &mut head)?;
        let mut head = &head[..count];
        let mut behind = [0; HEAD];
        let is_tagged = head.starts_with(b"ID3");
        if is_tagged {
            let count = file.read_at(mp3::id3v2_len(head).unwrap_or(0), &mut behind)?;
            head = &behind[..count];
        }
        match head {
            [b'F', b'L', b'V', ..] if !is_tagged => Ok(Format::Flv),
            [_, _, _, _, kind @ ..] if !is_tagged && BOXES.iter().any(|name| kind.starts_with(name)) => {
                Ok(Format::Mp4)
            }
            // The two layer bits are 0 in ADTS only.
            [0xff, second, ..] if second & 0xf6 == 0xf0 => Ok(Format::Adts),
            [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x18 != 0x08 => Ok(Format::Mp3),
            // Some taggers leave room behind.
            _ if is_tagged => Ok(Format::Mp3),
            _ => Err(MediaError::Unsupported("neither FLV nor MP4, MP3 or AAC")),
        }
    }
}

const HEAD: usize = 16;

/// What a file of the MP4 family begins with.
const BOXES: [&[u8]; 13] = [
    b"ftyp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"styp", b"sidx", b"pdin", b"uuid",
    b"emsg", b"prft",
];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn content_tells_the_format() {
        let id3 = |behind: &[u8]| [&b"ID3\x04\0\0\0\0\x01\x02"[..], &[0; 130], behind].concat();
        let cases: [(Vec<u8>, Option<Format>); 14] = [
            (b"FLV\x01\x05\0\0\0\x09".to_vec(), Some(Format::Flv)),
            (b"\0\0\0\x20ftypisom".to_vec(), Some(Format::Mp4)),
            (b"\0\0\0\x08wide\0\0".to_vec(), Some(Format::Mp4)),
            (b"\0\0\0\x01mdat".to_vec(), Some(Format::Mp4)),
            (b"\xff\xfb\x90\0".to_vec(), Some(Format::Mp3)),
            (b"\xff\xe3\x90\0".to_vec(), Some(Format::Mp3)),
            (b"\xff\xf1\x50\x80".to_vec(), Some(Format::Adts)),
            (b"\xff\xf9\x50\x80".to_vec(), Some(Format::Adts)),
            (id3(b"\xff\xf1\x50\x80"), Some(Format::Adts)),
            (id3(b"\xff\xfb\x90\0"), Some(Format::Mp3)),
            (id3(b""), Some(Format::Mp3)),
            (b"\xff\xeb\x90\0".to_vec(), None),
            (b"RIFF\0\0\0\0AVI ".to_vec(), None),
            (b"".to_vec(), None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Format::of(&&bytes[..]).ok(), expected, "{bytes:x?}");
        }
    }
}
