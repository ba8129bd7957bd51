//! The pages: every file that a browser gets from `src/server/web/pages`, embedded in the program.
//!
//! Two pages, [`CONSOLE`] and [`WATCH`], and what they load, by its name below [`PREFIX`]. The files are served as they are written,
//! packed by `tools/pages.rs` when the program is built. Not here: what the pages ask for (`docs/openapi.yaml`).
//! Bounds: the files are part of the program; each is unpacked once at most, for clients that take nothing packed.

use crate::{
    base::Payload,
    http::{Request, Resource, Response, mime},
};
use alloc::{format, vec::Vec};
use flate2::read::GzDecoder;
use std::{io::Read, sync::OnceLock};

/// Files of the pages are below this; no stream is.
pub(super) const PREFIX: &str = "/_weir/";
/// The page of `/`.
pub(super) const CONSOLE: &str = "index.html";
/// The page of every stream and, where the query says `watch`, of every file.
pub(super) const WATCH: &str = "watch.html";

/// The icon of both.
pub(super) const ICON: &str = "icon.svg";

/// Headers that go with every file beside its type: what a browser lets the pages do.
///
/// Nothing is loaded from elsewhere, nothing inline runs. `blob:` is where Media Source Extensions play from. No worker, so no
/// `worker-src`. `'self'` allows the WebSocket as well (Safari before 15.4 disagrees, and plays HLS).
/// `frame-ancestors` is missing on purpose: the watch page may be embedded; the console says [`CONSOLE_FRAMES`].
const HEADERS: [(&str, &str); 4] = [
    (
        "Content-Security-Policy",
        "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    // Kept, and asked for with `If-None-Match` each time: an upgrade is seen at once.
    ("Cache-Control", "no-cache"),
];
/// In addition, for the console alone: whoever embeds it could make its user press buttons unseen.
const CONSOLE_FRAMES: (&str, &str) = ("X-Frame-Options", "DENY");

/// A file that browsers get.
#[derive(Debug)]
pub(super) struct Asset {
    /// Relative, with `/`; nothing in it is percent-encoded.
    pub(super) name: &'static str,
    /// As gzip.
    packed: &'static [u8],
    /// Bytes of the file.
    len: usize,
    /// Another content has another.
    tag: &'static str,
    plain: OnceLock<Payload>,
}

impl Asset {
    const fn new(name: &'static str, packed: &'static [u8], len: usize, tag: &'static str) -> Asset {
        Asset { name, packed, len, tag, plain: OnceLock::new() }
    }

    /// The response to a GET or HEAD.
    pub(super) fn answer(&self, request: &Request) -> Response {
        let is_packed = takes_gzip(request);
        let (bytes, suffix) = match is_packed {
            true => (Payload::from_static(self.packed), "-gzip"),
            false => (self.plain().clone(), ""),
        };
        let resource = Resource {
            mime: self.mime(),
            len: bytes.len() as u64,
            etag: Some(format!("\"{}{suffix}\"", self.tag)),
            modified: None,
        };
        let mut response = resource.answer_from(request, &[bytes]).header("Vary", "Accept-Encoding");
        if is_packed {
            response = response.header("Content-Encoding", "gzip");
        }
        let frames = (self.name == CONSOLE).then_some(CONSOLE_FRAMES);
        for (name, value) in HEADERS.into_iter().chain(frames) {
            response = response.header(name, value);
        }
        response
    }

    /// `Content-Type`.
    fn mime(&self) -> &'static str {
        let extension = self.name.rsplit('.').next().unwrap_or_default();
        mime::of_extension(extension).unwrap_or(mime::TEXT)
    }

    /// The file as it was written.
    fn plain(&self) -> &Payload {
        self.plain.get_or_init(|| {
            let mut bytes = Vec::with_capacity(self.len);
            GzDecoder::new(self.packed).read_to_end(&mut bytes).expect("it was packed with the program");
            bytes.into()
        })
    }
}

/// All browsers do; scripts often do not say (RFC 9110, 12.5.3).
fn takes_gzip(request: &Request) -> bool {
    request.list("accept-encoding").any(|offer| {
        let (coding, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let is_refused =
            weight.trim().strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
        coding.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

/// The file of that name; `None` if there is none.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

static ASSETS: [Asset; FILES] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));
const FILES: usize = include!(concat!(env!("OUT_DIR"), "/count.rs"));

#[cfg(test)]
mod tests;
