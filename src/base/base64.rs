//! Base64 (RFC 4648, 4), both ways: whole texts, and an endless one that comes in pieces.
//!
//! The decoder takes text that is a row of separate encodings, each with its own padding, as the HTTP tunnel of RTSP
//! sends one for each request; blanks and line ends between the digits are passed over. Holds four digits at most.

use alloc::{string::String, vec::Vec};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text for `bytes`, padded.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let is_padding = digit > group.len();
            let value = (bits >> (18 - 6 * digit) & 0x3f) as usize;
            text.push(if is_padding { '=' } else { char::from(DIGITS[value]) });
        }
    }
    text
}

/// The bytes of a whole text, whose padding may be left out; `None` if it is none.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::default();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    decoder.decode(text, &mut bytes)?;
    decoder.finish(&mut bytes)?;
    Some(bytes)
}

/// Reads text that comes in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoder {
    bits: u32,
    /// Digits in `bits`, fewer than four.
    digits: u8,
    /// Padding seen of the current group.
    padding: u8,
}

impl Decoder {
    /// Appends what `text` adds to `bytes`; `None` at what is no digit, after which nothing further can be read.
    pub fn decode(&mut self, text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
        for digit in text {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'=' if self.digits + self.padding >= 2 => {
                    self.padding += 1;
                    if self.digits + self.padding == 4 {
                        self.finish(bytes)?;
                    }
                    continue;
                }
                _ => return None,
            };
            // Padding ends a group.
            if self.padding > 0 {
                return None;
            }
            self.bits = self.bits << 6 | u32::from(value);
            self.digits += 1;
            if self.digits == 4 {
                self.finish(bytes)?;
            }
        }
        Some(())
    }

    /// Appends what a last group without padding holds; `None` if a byte of it is missing.
    pub fn finish(&mut self, bytes: &mut Vec<u8>) -> Option<()> {
        let group = core::mem::take(self);
        let [_, first, second, third] = (group.bits << (6 * (4 - u32::from(group.digits)))).to_be_bytes();
        let count = match group.digits {
            0 => 0,
            1 => return None,
            digits => usize::from(digits) - 1,
        };
        bytes.extend_from_slice(&[first, second, third][..count]);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// RFC 4648, 10.
    const VECTORS: [(&str, &str); 7] = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ];

    #[test]
    fn the_vectors_of_the_specification_hold_both_ways() {
        for (bytes, text) in VECTORS {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
            assert_eq!(decode(text.trim_end_matches('=').as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encode(&all).as_bytes()), Some(all));
    }

    #[test]
    fn encodings_one_behind_the_other_are_read_however_they_are_cut() {
        let text = b"Zg==Zm8=\r\nZm9v Zm9vYg==";
        for cut in 1..text.len() {
            let (mut decoder, mut bytes) = (Decoder::default(), vec![]);
            for piece in text.chunks(cut) {
                decoder.decode(piece, &mut bytes).expect("digits");
            }
            assert_eq!(bytes, b"ffofoofoob");
            assert_eq!(decoder, Decoder::default());
        }
    }

    #[test]
    fn what_is_no_base64_is_told() {
        for text in ["Z", "Z===", "=", "Zg=a", "Zm9v=", "Zm9vY", "Z\0g=", "Zm-_"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
