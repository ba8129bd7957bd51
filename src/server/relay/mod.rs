//! Streams from and to other servers: `--push` sends one on, `--origin` fetches what is played here and published there.
//!
//! A `--pull` is a source like any other: see `source`. Servers that fetch from each other in a ring would wait for each
//! other for ever, so each says on whose behalf it asks ([`identity`]).

pub(super) mod identity;
mod origin;
mod outlet;
mod push;

pub use origin::{MAX_PULLS, Origin, OriginError};

pub(super) use identity::{ServerId, StreamId};
pub(super) use origin::start as start_origin;
pub(super) use push::start as start_push;

use super::{StreamPath, client::StreamUrl};

/// `--push PATH=URL`: a stream that is sent on while somebody publishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The stream.
    pub path: StreamPath,
    /// Where it goes.
    pub url: StreamUrl,
}
