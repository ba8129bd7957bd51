//! The pages: every file that a browser gets from `src/server/web/pages`, embedded in the program.
//!
//! Two pages, [`CONSOLE`] and [`WATCH`], and what they load, by its name below [`PREFIX`]. No build step: the files are served as
//! they are written. Not here: HTTP, and what the pages ask for (`docs/openapi.yaml`).
//! Bounds: the files are part of the program; their hashes are computed once, when one is asked for first.

use crate::http::mime;
use alloc::{format, string::String};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

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
    pub(super) bytes: &'static [u8],
    etag: OnceLock<String>,
}

impl Asset {
    const fn new(name: &'static str, bytes: &'static [u8]) -> Asset {
        Asset { name, bytes, etag: OnceLock::new() }
    }

    /// `Content-Type`.
    pub(super) fn mime(&self) -> &'static str {
        let extension = self.name.rsplit('.').next().unwrap_or_default();
        mime::of_extension(extension).unwrap_or(mime::TEXT)
    }

    /// What goes with it beside type and tag.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let frames = (self.name == CONSOLE).then_some(CONSOLE_FRAMES);
        HEADERS.into_iter().chain(frames)
    }

    /// `ETag`, quotes included: another content has another.
    pub(super) fn etag(&self) -> &str {
        self.etag.get_or_init(|| {
            let hash = Sha256::digest(self.bytes);
            let start = hash.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            format!("\"{start}\"")
        })
    }
}

/// The file of that name; `None` if there is none.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        [$(Asset::new($name, include_bytes!(concat!("pages/", $name)))),*]
    };
}

/// Every file of `src/server/web/pages`, licences included: who gets the libraries gets their terms.
static ASSETS: [Asset; FILES] = assets![
    "api.mjs",
    "base.css",
    "chase.mjs",
    "connections.mjs",
    "console.css",
    "console.mjs",
    "dom.mjs",
    "engines.mjs",
    "events.mjs",
    "files.mjs",
    "format.mjs",
    "graph.mjs",
    "icon.svg",
    "index.html",
    "preview.mjs",
    "qr.mjs",
    "series.mjs",
    "streams.mjs",
    "tiles.mjs",
    "transport.mjs",
    "urls.mjs",
    "vendor/README.md",
    "vendor/hls.js/LICENSE",
    "vendor/hls.js/LICENSE.cml",
    "vendor/hls.js/LICENSE.eventemitter3",
    "vendor/hls.js/LICENSE.url-toolkit",
    "vendor/hls.js/hls.light.min.mjs",
    "vendor/lean-qr/LICENSE",
    "vendor/lean-qr/index.mjs",
    "vendor/mpegts.js/LICENSE",
    "vendor/mpegts.js/LICENSE.es6-promise",
    "vendor/mpegts.js/LICENSE.events",
    "vendor/mpegts.js/mpegts.js",
    "vendor/mpegts.js/mpegts.js.LICENSE.txt",
    "watch.css",
    "watch.html",
    "watch.mjs",
];
const FILES: usize = 37;

#[cfg(test)]
mod tests;
