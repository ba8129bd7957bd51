//! What a request for a file gets.

use crate::base::Payload;
use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

/// What [`super::Muxer::get`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200.
    Ready(Resource),
    /// Not yet: to be asked again when something is new. 503 if nothing comes.
    Wait {
        /// Time after which to give up.
        at_most: Duration,
    },
    /// 410: there was such a file.
    Gone,
    /// 404.
    NotFound,
    /// 400, and why.
    BadRequest(&'static str),
    /// 404: nothing of the stream can be carried, and why.
    Unplayable(String),
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its bytes, to be sent one after the other; shared.
    pub pieces: Vec<Payload>,
    /// `Content-Type`.
    pub mime: &'static str,
    /// How long caches may keep it.
    pub cache: Cache,
    /// `ETag`, quotes included; `None` for what says what time it is.
    pub etag: Option<String>,
}

impl Resource {
    /// `Content-Length`.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    /// There is not a byte in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How long caches may keep a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// It never changes.
    Immutable,
    /// So many seconds.
    Seconds(u32),
}

impl Cache {
    /// `Cache-Control`.
    pub fn header(self) -> String {
        match self {
            Cache::Immutable => format!("public, max-age={A_YEAR}, immutable"),
            Cache::Seconds(0) => String::from("no-cache"),
            Cache::Seconds(seconds) => format!("public, max-age={seconds}"),
        }
    }
}

/// In seconds: nobody keeps anything longer (RFC 2616, 14.21).
const A_YEAR: u32 = 31_536_000;
