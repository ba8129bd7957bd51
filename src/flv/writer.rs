//! FLV writer: tags -> bytes of a file or HTTP response.
//!
//! Not here: what goes into a stream in which order, and timestamps, which are written as they are (players want
//! them below 2^31, files from 0).
//! Bodies need not be copied: write [`tag_header`], the shared body and [`previous_tag_size`].

use super::Tag;
use crate::base::wire::u24_bytes;
use alloc::vec::Vec;
use core::fmt;

/// Bytes of the file header with the PreviousTagSize behind it.
pub const HEADER_LEN: usize = 13;

/// Bytes of [`tag_header`].
pub const TAG_HEADER_LEN: usize = 11;

/// The file header and the PreviousTagSize behind it. Announce only what will come: players wait for both.
pub const fn header(has_audio: bool, has_video: bool) -> [u8; HEADER_LEN] {
    let flags = (has_audio as u8) << 2 | has_video as u8;
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// What goes before a tag's body.
///
/// # Errors
/// If the body is too long for FLV. One from RTMP or from a `Reader` never is.
pub fn tag_header(tag: &Tag) -> Result<[u8; TAG_HEADER_LEN], TagTooLong> {
    let len = u32::try_from(tag.body.len()).ok().filter(|len| *len <= MAX_TAG_LEN).ok_or(TagTooLong)?;
    let [a, b, c] = u24_bytes(len);
    let [high, d, e, f] = tag.timestamp.0.to_be_bytes();
    Ok([tag.kind.type_id(), a, b, c, d, e, f, high, 0, 0, 0])
}

/// What goes behind a tag's body.
pub fn previous_tag_size(tag: &Tag) -> [u8; 4] {
    (TAG_HEADER_LEN as u32).wrapping_add(tag.body.len() as u32).to_be_bytes()
}

/// Appends a whole tag with the PreviousTagSize behind it.
///
/// # Errors
/// As [`tag_header`]; nothing is appended then.
pub fn write_tag(out: &mut Vec<u8>, tag: &Tag) -> Result<(), TagTooLong> {
    let header = tag_header(tag)?;
    out.reserve(header.len() + tag.body.len() + 4);
    out.extend_from_slice(&header);
    out.extend_from_slice(&tag.body);
    out.extend_from_slice(&previous_tag_size(tag));
    Ok(())
}

/// A tag body of 16 MiB or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagTooLong;

impl fmt::Display for TagTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tag of 16 MiB or more does not fit into FLV")
    }
}

impl core::error::Error for TagTooLong {}

/// The size field has 24 bits.
const MAX_TAG_LEN: u32 = 0xff_ffff;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Payload, Timestamp},
        flv::TagKind,
    };
    use alloc::vec;

    fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Tag {
        Tag::new(kind, Timestamp(timestamp), Payload::from(body))
    }

    #[test]
    fn headers_announce_what_they_are_told() {
        assert_eq!(&header(true, true), b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
        assert_eq!((header(true, false)[4], header(false, true)[4], header(false, false)[4]), (4, 1, 0));
    }

    #[test]
    fn tags_are_framed_with_all_32_bits_of_the_timestamp() {
        let mut out = vec![];
        write_tag(&mut out, &tag(TagKind::Audio, 0, &[0xaf, 0, 0x12, 0x10])).expect("short");
        write_tag(&mut out, &tag(TagKind::Video, 0x0102_0304, &[0x17, 2, 0, 0, 0])).expect("short");
        write_tag(&mut out, &tag(TagKind::Data, 7, &[5])).expect("short");
        assert_eq!(
            out,
            [
                8, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0xaf, 0, 0x12, 0x10, 0, 0, 0, 0x0f, //
                9, 0, 0, 5, 2, 3, 4, 1, 0, 0, 0, 0x17, 2, 0, 0, 0, 0, 0, 0, 0x10, //
                18, 0, 0, 1, 0, 0, 7, 0, 0, 0, 0, 5, 0, 0, 0, 0x0c,
            ]
        );
    }

    #[test]
    fn a_body_of_16_mib_is_refused_and_one_byte_less_is_not() {
        let fits = tag(TagKind::Video, 0, &vec![0; 0xff_ffff]);
        assert_eq!(tag_header(&fits).map(|header| header[1..4] == [0xff; 3]), Ok(true));
        assert_eq!(previous_tag_size(&fits), [1, 0, 0, 0x0a]);
        let mut out = vec![];
        assert_eq!(write_tag(&mut out, &tag(TagKind::Video, 0, &vec![0; 0x100_0000])), Err(TagTooLong));
        assert!(out.is_empty());
    }
}
