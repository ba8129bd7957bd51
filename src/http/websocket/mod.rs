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
use crate::base::base64;
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
    match read(request) {
        Ok(None) => Offer::None,
        Ok(Some(_)) => Offer::Valid,
        Err(Wrong::Version) => {
            let response =
                Response::error(Status::UPGRADE_REQUIRED, "only version 13 of WebSocket is spoken here");
            // What to upgrade to has to be named (RFC 9110, 15.5.22), and that this is between the two of us (7.8).
            let response = response.header("Upgrade", "websocket").header("Connection", "Upgrade");
            Offer::Invalid(response.header("Sec-WebSocket-Version", "13"))
        }
        Err(Wrong::Form) => {
            Offer::Invalid(Response::error(Status::BAD_REQUEST, "the WebSocket handshake is malformed"))
        }
    }
}

/// A valid `Sec-WebSocket-Key`: 16 bytes in base64.
pub(super) type Key = [u8; 24];

/// What is wrong with a handshake.
enum Wrong {
    Version,
    Form,
}

/// The key of a valid handshake.
pub(super) fn key(request: &Request) -> Option<Key> {
    read(request).ok().flatten()
}

/// The key, if it is a handshake.
fn read(request: &Request) -> Result<Option<Key>, Wrong> {
    if !request.has_token("upgrade", "websocket") || !request.has_token("connection", "upgrade") {
        return Ok(None);
    }
    if request.header("sec-websocket-version") != Some("13") {
        return Err(Wrong::Version);
    }
    let may_upgrade = request.method == Method::Get && request.version == Version::Http11;
    let mut keys = request.values("sec-websocket-key");
    match (keys.next().and_then(key_of), keys.next()) {
        (Some(key), None) if may_upgrade => Ok(Some(key)),
        _ => Err(Wrong::Form),
    }
}

fn key_of(value: &[u8]) -> Option<Key> {
    let of_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let key = Key::try_from(value).ok()?;
    (key[..22].iter().all(of_base64) && &key[22..] == b"==").then_some(key)
}

/// `Sec-WebSocket-Accept` for a key.
pub(super) fn accept(key: &Key) -> String {
    let digest =
        Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    base64::encode(&digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_specification_is_answered_as_it_says() {
        let key = key_of(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for key in
            [&b""[..], b"dGhlIHNhbXBsZSBub25jZQ=", b"dGhlIHNhbXBsZSBub25jZ===", b"dGhlIHNhbXBsZSBub25j Q=="]
        {
            assert_eq!(key_of(key), None);
        }
    }
}
