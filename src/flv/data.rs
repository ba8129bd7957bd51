//! Bodies of data messages, looked at without decoding them.
//!
//! A data message is AMF0: a name, then values. Publishers put the string `@setDataFrame` before it, which asks
//! the server to keep the message for late joiners and is not passed on (sent by ffmpeg,
//! OBS and GStreamer). AMF3 data messages (RTMP and FLV type 15) are the same behind one format byte.

use crate::base::{Payload, wire::Cursor};

/// The message that players get: without format byte and without a leading `@setDataFrame`. Shares the bytes.
pub fn relayed(body: &Payload) -> Payload {
    body.slice(message_start(body)..body.len())
}

/// The same of bytes that nobody shares.
pub fn message(body: &[u8]) -> &[u8] {
    &body[message_start(body)..]
}

/// The message's name: `onMetaData`, `onTextData`, ... `None` if the body does not begin with a string, or with
/// one that is not UTF-8.
pub fn name(body: &[u8]) -> Option<&str> {
    let mut cursor = Cursor::new(message(body));
    core::str::from_utf8(string(&mut cursor)?).ok()
}

/// The publisher withdraws what it has set.
pub fn is_clear_data_frame(body: &[u8]) -> bool {
    name(body) == Some("@clearDataFrame")
}

/// Offset of the message's name.
fn message_start(body: &[u8]) -> usize {
    // No name begins with a zero: that marks a number.
    let format = usize::from(body.first() == Some(&0));
    let mut cursor = Cursor::new(body.get(format..).unwrap_or_default());
    match string(&mut cursor) {
        Some(b"@setDataFrame") => format + cursor.position(),
        _ => format,
    }
}

/// An AMF0 string, short or long, with its marker.
fn string<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let len = match cursor.u8()? {
        0x02 => usize::from(cursor.u16()?),
        0x0c => usize::try_from(cursor.u32()?).ok()?,
        _ => return None,
    };
    cursor.take(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    fn amf_string(text: &str) -> Vec<u8> {
        [&[2, 0, text.len() as u8], text.as_bytes()].concat()
    }

    #[test]
    fn set_data_frame_and_the_format_byte_are_sliced_off_without_a_copy() {
        let message = [amf_string("onMetaData"), vec![8, 0, 0, 0, 0, 0, 0, 9]].concat();
        for prefix in
            [vec![], vec![0], amf_string("@setDataFrame"), [vec![0], amf_string("@setDataFrame")].concat()]
        {
            let body = Payload::from([&prefix[..], &message].concat());
            let relayed = relayed(&body);
            assert_eq!(*relayed, message[..]);
            assert_eq!(relayed.as_ptr(), body[prefix.len()..].as_ptr());
            assert_eq!(name(&body), Some("onMetaData"));
        }
    }

    #[test]
    fn only_one_set_data_frame_is_removed() {
        let twice = Payload::from([amf_string("@setDataFrame"), amf_string("@setDataFrame")].concat());
        assert_eq!(*relayed(&twice), amf_string("@setDataFrame")[..]);
    }

    #[test]
    fn names_may_be_long_strings() {
        assert_eq!(name(b"\x0c\0\0\0\x02hi\x05"), Some("hi"));
    }

    #[test]
    fn bodies_without_a_whole_name_have_none() {
        let whole = amf_string("onMetaData");
        for len in 0..whole.len() {
            assert_eq!(name(&whole[..len]), None, "{len} bytes");
        }
        for body in [&b"\x05"[..], b"\0", b"\0\x02\xff\xff", b"\x02\0\x01\xff", b"\x0c\xff\xff\xff\xff"] {
            assert_eq!(name(body), None, "{body:x?}");
            assert_eq!(*relayed(&Payload::from(body)), body[usize::from(body[0] == 0)..]);
        }
    }

    #[test]
    fn clear_data_frame_is_recognised() {
        assert!(is_clear_data_frame(&[amf_string("@clearDataFrame"), amf_string("onMetaData")].concat()));
        assert!(!is_clear_data_frame(&amf_string("onMetaData")));
    }
}
