//! HLS and DASH out of memory: the tags of one live stream become fMP4 segments, low-latency parts, playlists and an MPD.
//!
//! ```text
//! tags -> Gather (which tracks?) -> Epoch (times, cuts) -> Window (segments, parts, bounds) -> playlists, MPD
//! ```
//!
//! In: [`Muxer::push`] with each tag and the wall clock, which only dates things. Out: [`Muxer::get`] with the name of a file and its query:
//! bytes that are shared, or what to do instead. When [`Muxer::push`] says that something is new, whoever waits asks again.
//! Rules: RFC 8216 and its successor (draft-pantos-hls-rfc8216bis); ISO 23009-1 for the MPD.
//! Not here: HTTP, compression, waiting, who may; a clock.
//!
//! - **Audio and video share segments.** A player of low latency then has one playlist request and one part request open instead of two
//!   each, which is what HTTP/1.1 with six connections bears; audio and video are cut at the same places, and no
//!   rendition reports are needed. The price: no rendition of sound alone, and the brand of CMAF, which wants one track a
//!   file. Players of DASH that cannot separate tracks (dash.js) have HLS.
//! - **A media byte is copied once**, into its part. Segments are lists of parts and share their bytes, with any number of requests. Slices of
//!   the tags would save that copy, but a small slice can hold a large message in memory, and the bound would be a lie.
//! - **Epochs** are stretches that one initialization segment and one clock serve. Another configuration, a track that comes or goes, a
//!   jump of the timestamps and [`Muxer::restart`] end one; the next begins with a discontinuity, at a keyframe.
//!
//! Bounds: [`Config::max_bytes`] of segments, an eighth of that waits for its part, and some frames more; [`MAX_LISTED`] segments;
//! what [`gather`] names before an epoch begins.
//! Field notes: ffmpeg gives up on a playlist without a complete segment, so there is none before. hls.js takes a raised target duration
//! better than segments that are longer than it says. x264 puts keyframes at changes of scene, up to 10 s apart.

mod answer;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod check;
mod clock;
mod epoch;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod gather;
mod mpd;
mod muxer;
mod names;
mod playlist;
mod query;
mod sound;
mod wall;
mod window;

pub use answer::{Answer, Cache, Resource};
pub use muxer::{LeftOut, Muxer, carries};
pub use names::Kind;
pub use wall::WallTime;
pub use window::MAX_LISTED;

/// How a stream is cut, and how much of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Part of every file name but those of playlists. Another one for each [`Muxer`], so that no cache mixes up two of them.
    pub start_id: u64,
    /// Number of the first segment. Players that survive a restart of the server expect numbers that do not go back: seconds since
    /// some fixed day will do.
    pub first_sequence: u64,
    /// Milliseconds of a segment that ends at the first keyframe past them.
    pub segment: u32,
    /// Milliseconds of a part; `None`: no low latency.
    pub part: Option<u32>,
    /// Segments of a playlist; more if that would be less than 3 target durations and what low latency holds back.
    pub segments: usize,
    /// Bytes of everything that is held. Past that the oldest goes, however short the playlist becomes.
    pub max_bytes: usize,
}

impl Config {
    /// Segments of 2 s in parts of 0.3 s, six of them, in 64 MiB.
    pub const fn new(start_id: u64) -> Config {
        Config {
            start_id,
            first_sequence: 0,
            segment: 2000,
            part: Some(300),
            segments: 6,
            max_bytes: 64 << 20,
        }
    }
}

#[cfg(test)]
mod tests;
