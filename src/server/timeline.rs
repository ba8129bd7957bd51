//! Timestamps across publishers: pass through, unless a publisher replaces another whose players stayed.
//!
//! Then the new one's timestamps are moved so that its first frame follows the last one by a frame's time. What
//! comes before that frame (metadata, sequence headers, which many clients stamp 0) gets the same place.

use super::shared_tag::SharedTag;
use crate::{flv::TagKind, rtmp::Timestamp};

/// The outgoing clock of one stream.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    shift: Shift,
    audio: Track,
    video: Track,
}

#[derive(Clone, Copy, Debug, Default)]
enum Shift {
    /// As sent.
    #[default]
    None,
    /// A new publisher took over and has sent no frame yet.
    Pending,
    /// Milliseconds added, modulo 2^32; no frame soon after the change may lie before `floor`.
    By { offset: u32, floor: Timestamp },
}

/// Outgoing frames of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    last: Option<Timestamp>,
    /// Milliseconds from one frame to the next.
    step: u32,
}

impl Timeline {
    /// From now on another publisher's tags come, which continue this one's.
    pub(super) fn change_publisher(&mut self) {
        if self.newest().is_some() {
            self.shift = Shift::Pending;
        }
    }

    /// The newest timestamp that went out, if any frame did.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        later(self.audio.last, self.video.last)
    }

    /// Moves a tag to its place.
    pub(super) fn place(&mut self, tag: SharedTag) -> SharedTag {
        let sent = tag.tag().timestamp;
        let timestamp = match self.shift {
            Shift::None => return tag,
            Shift::Pending if tag.is_frame() => {
                let floor = self.next();
                self.shift = Shift::By { offset: floor.wrapping_sub(sent), floor };
                floor
            }
            Shift::Pending => self.next(),
            Shift::By { offset, floor } => {
                let moved = sent.wrapping_add(offset);
                // Audio and video of the new publisher need not start in order.
                if floor.is_after(moved) && floor.wrapping_sub(moved) < MAX_REORDER { floor } else { moved }
            }
        };
        tag.at(timestamp)
    }

    /// Learns from a frame that goes out.
    pub(super) fn sent(&mut self, tag: &SharedTag) {
        let track = match tag.tag().kind {
            _ if !tag.is_frame() => return,
            TagKind::Audio => &mut self.audio,
            TagKind::Video => &mut self.video,
            TagKind::Data => return,
        };
        let now = tag.tag().timestamp;
        if let Some(step) = track.last.map(|last| now.wrapping_sub(last)) {
            if (1..=MAX_STEP).contains(&step) {
                track.step = step;
            }
        }
        track.last = Some(now);
    }

    /// Where the first frame of the next publisher belongs: after every track's last frame.
    fn next(&self) -> Timestamp {
        let next = |track: &Track| track.last.map(|last| last.wrapping_add(track.step.max(1)));
        later(next(&self.audio), next(&self.video)).unwrap_or_default()
    }
}

fn later(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.is_after(b) { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// A longer gap between frames is a pause, not the frame rate.
const MAX_STEP: u32 = 1000;
/// How far the second track of a publisher may start before its first; further is the publisher's own jump.
const MAX_REORDER: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flv::Tag,
        server::testing::{audio, keyframe, metadata, video_header},
    };
    use alloc::{vec, vec::Vec};

    fn run(timeline: &mut Timeline, tags: Vec<Tag>) -> Vec<u32> {
        let place = |tag: Tag| {
            let placed = timeline.place(SharedTag::new(tag));
            timeline.sent(&placed);
            placed.tag().timestamp.0
        };
        tags.into_iter().map(place).collect()
    }

    #[test]
    fn timestamps_of_one_publisher_pass_through_even_backwards() {
        let mut timeline = Timeline::default();
        let tags = vec![metadata(0, 1), keyframe(5_000), audio(4_000_000_000), keyframe(3)];
        assert_eq!(run(&mut timeline, tags), [0, 5_000, 4_000_000_000, 3]);
    }

    #[test]
    fn a_new_publisher_continues_one_frame_after_the_last() {
        let mut timeline = Timeline::default();
        run(&mut timeline, vec![keyframe(960), audio(990), keyframe(1000), audio(1013)]);
        timeline.change_publisher();
        let again = vec![metadata(0, 1), video_header(0, 1), keyframe(0), audio(10), keyframe(40)];
        assert_eq!(run(&mut timeline, again), [1040, 1040, 1040, 1050, 1080]);
        // And once more, from a publisher whose clock went on.
        timeline.change_publisher();
        assert_eq!(
            run(&mut timeline, vec![metadata(0, 1), keyframe(70_000), audio(70_005)]),
            [1120, 1120, 1125]
        );
    }

    #[test]
    fn the_second_track_never_starts_before_the_change() {
        let mut timeline = Timeline::default();
        run(&mut timeline, vec![keyframe(960), keyframe(1000)]);
        timeline.change_publisher();
        assert_eq!(run(&mut timeline, vec![audio(200), keyframe(0), keyframe(300)]), [1040, 1040, 1140]);
    }

    #[test]
    fn the_clock_wraps_through_a_change() {
        let mut timeline = Timeline::default();
        run(&mut timeline, vec![keyframe(u32::MAX - 49), keyframe(u32::MAX - 9)]);
        timeline.change_publisher();
        assert_eq!(run(&mut timeline, vec![keyframe(0), keyframe(40)]), [30, 70]);
    }

    #[test]
    fn a_change_before_any_frame_shifts_nothing() {
        let mut timeline = Timeline::default();
        run(&mut timeline, vec![metadata(0, 1)]);
        timeline.change_publisher();
        assert_eq!(run(&mut timeline, vec![keyframe(77)]), [77]);
    }
}
