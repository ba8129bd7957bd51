//! What a late joiner gets before live tags: configuration ([`Headers`]) and the current group of pictures ([`Gop`]).
//!
//! Bounds: those of [`Configuration`]; a GOP of at most the bytes given and [`MAX_GOP_TIME`]. A GOP that passes its bounds is dropped whole, because part of one shows nothing; the next
//! keyframe starts over. A stream without keyframes (audio only) never starts one. Tags are shared with the live players,
//! whose chunks are pieces of their own (`room`); the first late joiner has its tags chunked one by one, and the others
//! share those up to the next keyframe.

use super::shared_tag::SharedTag;
use crate::{
    base::Timestamp,
    flv::{Configuration, TagRole},
};
use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

/// Longest GOP that is kept: an encoder that sends one keyframe at its start must not fill the memory.
pub const MAX_GOP_TIME: Duration = Duration::from_secs(30);

/// The newest configuration of one stream, as tags that all threads share.
pub(super) type Headers = Configuration<Arc<SharedTag>>;

/// Everything since the last keyframe.
#[derive(Debug)]
pub(super) struct Gop {
    tags: Vec<Arc<SharedTag>>,
    /// Of the first tag, which has long left the processor's caches.
    start: Timestamp,
    bytes: usize,
    max_bytes: usize,
}

impl Gop {
    /// Empty; `max_bytes` of 0 keeps it so.
    pub(super) fn new(max_bytes: usize) -> Gop {
        Gop { tags: Vec::new(), start: Timestamp::default(), bytes: 0, max_bytes }
    }

    /// The tags, oldest first; the first one is a keyframe.
    pub(super) fn tags(&self) -> &[Arc<SharedTag>] {
        &self.tags
    }

    /// What it weighs.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops everything; the next keyframe starts over.
    pub(super) fn clear(&mut self) {
        self.tags = Vec::new();
        self.bytes = 0;
    }

    /// Adds a tag, unless it is of no use to a late joiner.
    pub(super) fn push(&mut self, tag: Arc<SharedTag>) {
        // Of several tracks whose keyframes share a timestamp, the first starts the GOP and the others join it.
        let time = tag.tag().timestamp;
        if tag.role() == TagRole::Keyframe && (self.tags.is_empty() || self.start != time) {
            self.tags.clear();
            self.bytes = 0;
            self.start = time;
        } else if self.tags.is_empty() || !(tag.is_frame() || tag.role() == TagRole::Data) {
            return;
        }
        self.bytes += tag.weight();
        let span = time.wrapping_sub(self.start);
        // A step back in time (unsigned: a huge span) is common by some milliseconds and no reason to drop.
        let is_too_long = time.is_after(self.start) && u128::from(span) > MAX_GOP_TIME.as_millis();
        if self.bytes > self.max_bytes || is_too_long {
            self.clear();
            return;
        }
        self.tags.push(tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::{audio, data, keyframe, shared, video};
    use alloc::vec;

    #[test]
    fn a_gop_starts_with_a_keyframe_and_ends_with_the_next() {
        let mut gop = Gop::new(1 << 20);
        gop.push(shared(audio(0)));
        gop.push(shared(video(1, vec![0x27, 1, 0, 0, 0, 1])));
        assert!(gop.tags().is_empty());
        for tag in [keyframe(10), audio(11), video(50, vec![0x27, 1, 0, 0, 0, 1]), data(51)] {
            gop.push(shared(tag));
        }
        assert_eq!(gop.tags().len(), 4);
        gop.push(shared(keyframe(90)));
        assert_eq!(gop.tags().len(), 1);
    }

    #[test]
    fn command_frames_and_silence_are_not_cached() {
        let mut gop = Gop::new(1 << 20);
        gop.push(shared(keyframe(0)));
        gop.push(shared(video(1, vec![0x57, 0])));
        let mut silence = audio(2);
        silence.body = vec![].into();
        gop.push(shared(silence));
        assert_eq!(gop.tags().len(), 1);
    }

    #[test]
    fn a_gop_past_its_bytes_is_dropped_whole_until_the_next_keyframe() {
        let one = shared(keyframe(0)).weight();
        let mut gop = Gop::new(2 * one);
        gop.push(shared(keyframe(0)));
        gop.push(shared(audio(1)));
        assert_eq!(gop.tags().len(), 2);
        gop.push(shared(audio(2)));
        gop.push(shared(audio(3)));
        assert_eq!(gop.tags().len(), 0);
        gop.push(shared(keyframe(40)));
        assert_eq!(gop.tags().len(), 1);
        let mut off = Gop::new(0);
        off.push(shared(keyframe(0)));
        assert_eq!(off.tags().len(), 0);
    }

    #[test]
    fn a_gop_past_its_time_is_dropped_and_a_small_step_back_is_not() {
        let mut gop = Gop::new(1 << 20);
        gop.push(shared(keyframe(100)));
        gop.push(shared(audio(90)));
        gop.push(shared(audio(30_100)));
        assert_eq!(gop.tags().len(), 3);
        gop.push(shared(audio(30_101)));
        assert_eq!(gop.tags().len(), 0);
    }
}
