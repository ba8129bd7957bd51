//! WebSocket of a server, version 13 (RFC 6455): whether a request asks for it, frames both ways.
//!
//! Own code, where `tungstenite` was meant: its protocol half copies every message into a buffer of each connection and
//! brings its own reads and writes, which neither shared pieces nor 8 KB a player allow; its frame headers alone need std
//! and a random source. It is the other end in the tests.

pub(super) mod frame;
pub(super) mod reader;

pub use frame::CloseCode;

use super::{
    request::{Method, Request, Version},
    response::{Response, Status},
};
use alloc::string::String;
use sha1::{Digest, Sha1};

/// What a request says about WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Nothing: an ordinary request.
    None,
    /// A handshake that [`Session::upgrade`](super::Session::upgrade) accepts.
    Valid,
    /// A handshake that is wrong, or for another version: the response that says so.
    Invalid(Response),
}

/// Reads a request as a handshake (4.2.1). Sub-protocols are `request.list("sec-websocket-protocol")`.
pub fn offer(request: &Request) -> Offer {
    if !request.has_token("upgrade", "websocket") || !request.has_token("connection", "upgrade") {
        return Offer::None;
    }
    if request.header("sec-websocket-version") != Some("13") {
        let response =
            Response::error(Status::UPGRADE_REQUIRED, "only version 13 of WebSocket is spoken here");
        return Offer::Invalid(response.header("Sec-WebSocket-Version", "13"));
    }
    if accept_key(request).is_none() {
        return Offer::Invalid(Response::error(Status::BAD_REQUEST, "the WebSocket handshake is malformed"));
    }
    Offer::Valid
}

/// `Sec-WebSocket-Accept` for a valid handshake.
pub(super) fn accept_key(request: &Request) -> Option<String> {
    let is_upgrade = request.method == Method::Get
        && request.version == Version::Http11
        && request.has_token("upgrade", "websocket")
        && request.has_token("connection", "upgrade")
        && request.header("sec-websocket-version") == Some("13");
    let mut keys = request.values("sec-websocket-key");
    let (Some(key), None) = (keys.next().filter(|_| is_upgrade), keys.next()) else { return None };
    is_key(key).then(|| accept(key))
}

/// 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let of_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key[..22].iter().all(of_base64) && &key[22..] == b"=="
}

fn accept(key: &[u8]) -> String {
    let digest =
        Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    base64(&digest)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_specification_is_answered_as_it_says() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for key in
            [&b""[..], b"dGhlIHNhbXBsZSBub25jZQ=", b"dGhlIHNhbXBsZSBub25jZ===", b"dGhlIHNhbXBsZSBub25j Q=="]
        {
            assert!(!is_key(key));
        }
    }

    #[test]
    fn base64_of_the_specification() {
        for (text, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }
}
