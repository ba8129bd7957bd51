//! How long tags are gathered before players get them, and so whether its thread has to be woken for them.
//!
//! Nearly all the cost of a player is the kernel's cost of a send, so small writes wait for others. A thread whose
//! streams run looks into its channel by itself as often as the longest wait asks for; tags that may wait that long
//! wake nobody. Of a stream as shipped that leaves the wakes for pictures: 30 a second and thread instead of 73.

use super::port::Step;
use crate::flv::TagKind;
use core::time::Duration;

/// The longest that audio waits for the next picture by default: a frame at 25 pictures a second.
const AUDIO_WAIT: Duration = Duration::from_millis(40);

/// When players get what was gathered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// Video at once; audio and data with the next video, 40 ms later at most.
    #[default]
    AudioWithVideo,
    /// This long after the first of them; zero writes each at once.
    Gather(Duration),
}

impl Merge {
    /// How long a step may wait before it is written. Starts and ends of streams never do.
    pub(super) fn patience(self, step: &Step) -> Duration {
        match (self, step) {
            (Merge::Gather(wait), Step::Tag(..)) => wait,
            (Merge::AudioWithVideo, Step::Tag(tag, _)) if tag.tag().kind != TagKind::Video => AUDIO_WAIT,
            _ => Duration::ZERO,
        }
    }

    /// The longest that any step may wait; zero if none may.
    pub(super) fn longest(self) -> Duration {
        match self {
            Merge::AudioWithVideo => AUDIO_WAIT,
            Merge::Gather(wait) => wait,
        }
    }
}
