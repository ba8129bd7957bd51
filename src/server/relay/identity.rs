//! On whose behalf a stream is asked for, and by which servers it has come: a relay says so in `flashVer`.
//!
//! ```text
//! LNX 9,0,124,2 (weir 0.1.0; via 00f1e2d3c4b5a697 18293a4b5c6d7e8f)
//! ```
//!
//! Each server adds the stream for which it asks, as a number that nobody else has, to those on whose behalf it is asked. One that finds
//! the very stream among them is asked in a ring; so is one that is sent what it sends on. Other servers do not pass the text on: a ring with one of those in it cannot be told.

use crate::server::StreamPath;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{
    fmt,
    hash::{BuildHasher, Hash, Hasher},
    str::FromStr,
};
use std::hash::{DefaultHasher, RandomState};

/// A server, from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct ServerId(u64);

/// A stream of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct StreamId(u64);

/// As many streams as are read from one `flashVer`.
const MAX_STREAMS: usize = 16;
const VIA: &str = "; via ";

impl ServerId {
    /// Another one each time.
    pub(in crate::server) fn random() -> ServerId {
        ServerId(RandomState::new().build_hasher().finish())
    }

    /// The number of a stream.
    pub(in crate::server) fn stream(self, path: &StreamPath) -> StreamId {
        let mut hasher = DefaultHasher::new();
        (self.0, path).hash(&mut hasher);
        StreamId(hasher.finish())
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for StreamId {
    type Err = ();

    fn from_str(text: &str) -> Result<StreamId, ()> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = Some(text).filter(|_| is_hex).ok_or(())?;
        u64::from_str_radix(digits, 16).map(StreamId).map_err(|_| ())
    }
}

/// What a relay calls itself that asks on behalf of `via`.
pub(in crate::server) fn of_player(via: impl IntoIterator<Item = StreamId>) -> String {
    format!("LNX 9,0,124,2 ({})", named(via))
}

/// What a relay calls itself that sends what has come by `via`.
pub(in crate::server) fn of_publisher(via: impl IntoIterator<Item = StreamId>) -> String {
    format!("FMLE/3.0 (compatible; {})", named(via))
}

fn named(via: impl IntoIterator<Item = StreamId>) -> String {
    let via: Vec<String> = via.into_iter().map(|id| id.to_string()).collect();
    format!("weir {}{VIA}{}", env!("CARGO_PKG_VERSION"), via.join(" "))
}

/// Streams on whose behalf somebody asks who calls himself so; none for anybody else.
pub(in crate::server) fn via(flash_ver: &str) -> Vec<StreamId> {
    let Some((_, via)) = flash_ver.split_once(VIA) else { return Vec::new() };
    let ids = via.trim_end_matches(')').split(' ').take(MAX_STREAMS);
    ids.filter_map(|id| id.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn what_one_server_says_another_reads() {
        let ids = vec![StreamId(1), StreamId(u64::MAX)];
        assert_eq!(via(&of_player(ids.clone())), ids);
        assert_eq!(via(&of_publisher([])), vec![]);
    }

    #[test]
    fn streams_of_one_server_and_servers_of_one_stream_differ() {
        let (one, other) = (ServerId(1), ServerId(2));
        let [cam, mic] = ["live/cam", "live/mic"].map(|path| StreamPath::join("", "", path).unwrap());
        assert_eq!(one.stream(&cam), one.stream(&cam));
        assert_ne!(one.stream(&cam), one.stream(&mic));
        assert_ne!(one.stream(&cam), other.stream(&cam));
    }

    #[test]
    fn other_clients_ask_for_themselves() {
        for text in ["", "LNX 9,0,124,2", "x; via ", "x; via y", "x; via 123)", "x; via +00000000000000f)"] {
            assert_eq!(via(text), vec![], "{text}");
        }
        let many = of_publisher((0..100).map(StreamId));
        assert_eq!(via(&many).len(), MAX_STREAMS);
    }
}
