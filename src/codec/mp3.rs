//! MPEG audio: frame headers of layers I to III (ISO 11172-3, 13818-3), Xing and VBRI headers, the length of ID3v2 tags.
//!
//! Not here: files (`media::mp3`), free format, ID3 contents. Total: broken bytes give `None`.

use crate::base::wire::Cursor;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// 1, 2 or 3.
    pub layer: u8,
    /// MPEG-1; otherwise MPEG-2 or 2.5.
    pub is_mpeg1: bool,
    /// In kbit/s.
    pub bitrate: u32,
    /// In Hz.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u16,
    /// Bytes of the whole frame.
    pub frame_len: usize,
    /// Samples per channel in a frame.
    pub samples: u32,
}

impl FrameHeader {
    /// Parses the 4 bytes of a header, or more. `None` if there is none here.
    pub fn parse(bytes: &[u8]) -> Option<FrameHeader> {
        let header = bytes.get(..HEADER_LEN)?;
        if header[0] != 0xff || header[1] & 0xe0 != 0xe0 {
            return None;
        }
        let version = header[1] >> 3 & 3;
        let layer = 4 - (header[1] >> 1 & 3);
        // MPEG-2.5 is an extension of layer III alone: what looks like its layers I and II is not a header.
        if version == 1 || layer == 4 || (version == 0 && layer != 3) {
            return None;
        }
        let is_mpeg1 = version == 3;
        let table = match (is_mpeg1, layer) {
            (true, 1) => &BITRATES[0],
            (true, 2) => &BITRATES[1],
            (true, _) => &BITRATES[2],
            (false, 1) => &BITRATES[3],
            (false, _) => &BITRATES[4],
        };
        let bitrate = u32::from(*table.get(usize::from(header[2] >> 4)).filter(|rate| **rate > 0)?);
        let base = *[44_100, 48_000, 32_000].get(usize::from(header[2] >> 2 & 3))?;
        let sample_rate = match version {
            3 => base,
            2 => base / 2,
            _ => base / 4,
        };
        let padding = u32::from(header[2] >> 1 & 1);
        let samples = match (layer, is_mpeg1) {
            (1, _) => 384,
            (3, false) => 576,
            _ => 1152,
        };
        let frame_len = match layer {
            1 => (12_000 * bitrate / sample_rate + padding) * 4,
            _ => samples / 8 * 1000 * bitrate / sample_rate + padding,
        };
        let channels = if header[3] >> 6 == 3 { 1 } else { 2 };
        Some(FrameHeader {
            layer,
            is_mpeg1,
            bitrate,
            sample_rate,
            channels,
            frame_len: frame_len as usize,
            samples,
        })
    }

    /// Whether both can be frames of one stream. Channels may change, bit rates do all the time.
    pub fn is_of_same_stream(&self, other: &FrameHeader) -> bool {
        (self.layer, self.is_mpeg1, self.sample_rate) == (other.layer, other.is_mpeg1, other.sample_rate)
    }
}

/// What a first frame without sound says about the file: `Xing` (`Info` at a constant bit rate) or `VBRI`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VbrHeader {
    /// Frames of the file without this one; 0 if it does not say.
    pub frames: u32,
    /// Bytes from the start of this frame to the end; 0 if it does not say.
    pub bytes: u32,
    /// Entry p: where p percent of the time have passed, in 256ths of the bytes.
    pub toc: Option<[u8; 100]>,
}

impl VbrHeader {
    /// Looks into a frame with its header. `None` for an ordinary one.
    pub fn parse(frame: &[u8]) -> Option<VbrHeader> {
        let header = FrameHeader::parse(frame)?;
        let side_info = match (header.is_mpeg1, header.channels) {
            (true, 1) | (false, 2) => 17,
            (true, _) => 32,
            (false, _) => 9,
        };
        xing(frame.get(HEADER_LEN + side_info..)?).or_else(|| vbri(frame.get(HEADER_LEN + 32..)?))
    }
}

fn xing(bytes: &[u8]) -> Option<VbrHeader> {
    let mut cursor = Cursor::new(bytes);
    if !matches!(cursor.take(4)?, b"Xing" | b"Info") {
        return None;
    }
    let flags = cursor.u32()?;
    let frames = if flags & 1 != 0 { cursor.u32()? } else { 0 };
    let bytes = if flags & 2 != 0 { cursor.u32()? } else { 0 };
    let toc = if flags & 4 != 0 { Some(cursor.take(100)?.try_into().ok()?) } else { None };
    Some(VbrHeader { frames, bytes, toc })
}

/// Its table has steps of frames, not of percent, and few files have one: it is left out.
fn vbri(bytes: &[u8]) -> Option<VbrHeader> {
    let mut cursor = Cursor::new(bytes);
    if cursor.take(4)? != b"VBRI" {
        return None;
    }
    cursor.take(6)?;
    let bytes = cursor.u32()?;
    Some(VbrHeader { bytes, frames: cursor.u32()?, toc: None })
}

/// Bytes of the ID3v2 tag that begins here, with its header and footer. `None` if there is none; 10 bytes tell.
pub fn id3v2_len(bytes: &[u8]) -> Option<u64> {
    let header = bytes.get(..ID3_HEADER_LEN)?;
    let size = &header[6..];
    if !header.starts_with(b"ID3") || size.iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let len = size.iter().fold(0, |len, byte| len << 7 | u64::from(*byte));
    let footer = if header[5] & 0x10 != 0 { ID3_HEADER_LEN as u64 } else { 0 };
    Some(ID3_HEADER_LEN as u64 + len + footer)
}

/// Bytes of a frame header.
pub const HEADER_LEN: usize = 4;
/// Bytes of the header, and of the footer, of an ID3v2 tag.
pub const ID3_HEADER_LEN: usize = 10;
/// Bytes of the longest frame: layer II, 384 kbit/s at 32 kHz, padded; one of layer I is shorter.
pub const MAX_FRAME_LEN: usize = 1729;

/// In kbit/s: MPEG-1 layers I, II, III, MPEG-2 layer I, and II and III.
const BITRATES: [[u16; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    #[test]
    fn headers_of_all_versions_and_layers_say_length_and_samples() {
        for (header, expected) in [
            // (layer, kbit/s, Hz, channels, bytes, samples)
            ([0xff, 0xfb, 0x90, 0x00], (3, 128, 44_100, 2, 417, 1152)),
            ([0xff, 0xfb, 0x92, 0xc0], (3, 128, 44_100, 1, 418, 1152)),
            ([0xff, 0xfa, 0xe4, 0x40], (3, 320, 48_000, 2, 960, 1152)),
            ([0xff, 0xf3, 0x80, 0x00], (3, 64, 22_050, 2, 208, 576)),
            ([0xff, 0xe3, 0x88, 0xc0], (3, 64, 8_000, 1, 576, 576)),
            ([0xff, 0xfd, 0xe8, 0x00], (2, 384, 32_000, 2, 1728, 1152)),
            ([0xff, 0xff, 0x14, 0x00], (1, 32, 48_000, 2, 32, 384)),
        ] {
            let found = FrameHeader::parse(&header).expect("a header");
            let found = (
                found.layer,
                found.bitrate,
                found.sample_rate,
                found.channels,
                found.frame_len,
                found.samples,
            );
            assert_eq!(found, expected, "{header:02x?}");
        }
        for broken in [
            [0xff, 0xeb, 0x90, 0],
            [0xff, 0xf9, 0x90, 0],
            [0xff, 0xfb, 0, 0],
            [0xff, 0xfb, 0xf0, 0],
            [0xff, 0xfb, 0x9c, 0],
            [0xff, 0xe5, 0xe4, 0],
            [0xff, 0xe7, 0xe4, 0],
        ] {
            assert_eq!(FrameHeader::parse(&broken), None, "{broken:02x?}");
        }
        assert_eq!(FrameHeader::parse(&[0xff, 0xfb, 0x90]), None);
    }

    #[test]
    fn no_header_there_can_be_promises_more_than_the_longest_frame() {
        let longest = (0..=u16::MAX)
            .filter_map(|bits| FrameHeader::parse(&[0xff, (bits >> 8) as u8, bits as u8, 0]))
            .map(|header| header.frame_len)
            .max();
        assert_eq!(longest, Some(MAX_FRAME_LEN));
    }

    #[test]
    fn xing_and_vbri_headers_lie_where_their_frame_says() {
        let toc: Vec<u8> = (0..100).map(|percent| (percent * 256 / 100) as u8).collect();
        let table = [&[0, 0, 0, 7, 0, 0, 3, 0xe8, 0, 1, 0, 0][..], &toc].concat();
        for (header, side_info) in
            [([0xff, 0xfb, 0x90, 0], 32), ([0xff, 0xfb, 0x90, 0xc0], 17), ([0xff, 0xf3, 0x80, 0xc0], 9)]
        {
            for name in [b"Xing", b"Info"] {
                let frame = [&header[..], &vec![0; side_info], name, &table].concat();
                let found = VbrHeader::parse(&frame).expect("a header");
                assert_eq!((found.frames, found.bytes), (1000, 65_536));
                assert_eq!(found.toc.map(|toc| toc[50]), Some(128));
                assert_eq!(VbrHeader::parse(&frame[..frame.len() - 1]), None, "cut off");
            }
        }
        let vbri = [
            &[0xff, 0xfb, 0x90, 0][..],
            &[0; 32],
            b"VBRI",
            &[0, 1, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 3, 0xe8],
        ]
        .concat();
        assert_eq!(VbrHeader::parse(&vbri), Some(VbrHeader { frames: 1000, bytes: 65_536, toc: None }));
        assert_eq!(VbrHeader::parse(&[&[0xff, 0xfb, 0x90, 0][..], &[0; 200]].concat()), None);
    }

    #[test]
    fn id3_tags_say_their_length_in_sevens_of_bits() {
        assert_eq!(id3v2_len(b"ID3\x04\0\0\0\0\x02\x01"), Some(10 + 257));
        assert_eq!(id3v2_len(b"ID3\x04\0\x10\0\0\0\x05"), Some(25));
        assert_eq!(id3v2_len(b"ID3\x04\0\0\0\0\x80\x01"), None);
        assert_eq!(id3v2_len(b"ID3\x04\0\0\0\0\0"), None);
    }
}
