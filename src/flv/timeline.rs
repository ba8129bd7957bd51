//! Timestamps across publishers: pass through, unless a publisher replaces another whose players stayed.
//!
//! Then the new one's timestamps are moved so that its first frame follows the last one by a frame's time. What
//! comes before that frame (metadata, sequence headers, which many clients stamp 0) gets the same place.

use super::TagKind;
use crate::base::Timestamp;

/// The outgoing clock of one stream.
#[derive(Debug, Default)]
pub struct Timeline {
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
    pub fn change_publisher(&mut self) {
        if self.newest().is_some() {
            self.shift = Shift::Pending;
        }
    }

    /// The newest timestamp that went out, if any frame did.
    pub fn newest(&self) -> Option<Timestamp> {
        later(self.audio.last, self.video.last)
    }

    /// Where a tag belongs that goes out now. `is_frame`: it is shown or heard at its timestamp, unlike configuration
    /// and commands.
    pub fn place(&mut self, kind: TagKind, sent: Timestamp, is_frame: bool) -> Timestamp {
        let placed = self.moved(sent, is_frame);
        let track = match kind {
            TagKind::Audio => &mut self.audio,
            TagKind::Video => &mut self.video,
            TagKind::Data => return placed,
        };
        if is_frame {
            track.add(placed);
        }
        placed
    }

    fn moved(&mut self, sent: Timestamp, is_frame: bool) -> Timestamp {
        match self.shift {
            Shift::None => sent,
            Shift::Pending if is_frame => {
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
        }
    }

    /// Where the first frame of the next publisher belongs: after every track's last frame.
    fn next(&self) -> Timestamp {
        let next = |track: &Track| track.last.map(|last| last.wrapping_add(track.step.max(1)));
        later(next(&self.audio), next(&self.video)).unwrap_or_default()
    }
}

impl Track {
    fn add(&mut self, now: Timestamp) {
        if let Some(step) = self.last.map(|last| now.wrapping_sub(last)) {
            if (1..=MAX_STEP).contains(&step) {
                self.step = step;
            }
        }
        self.last = Some(now);
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
    use TagKind::{Audio, Data, Video};
    use alloc::{vec, vec::Vec};

    const FRAME: bool = true;
    const OTHER: bool = false;

    fn run(timeline: &mut Timeline, tags: Vec<(TagKind, u32, bool)>) -> Vec<u32> {
        let place = |(kind, time, is_frame)| timeline.place(kind, Timestamp(time), is_frame).0;
        tags.into_iter().map(place).collect()
    }

    #[test]
    fn timestamps_of_one_publisher_pass_through_even_backwards() {
        let mut timeline = Timeline::default();
        let tags =
            vec![(Data, 0, OTHER), (Video, 5_000, FRAME), (Audio, 4_000_000_000, FRAME), (Video, 3, FRAME)];
        assert_eq!(run(&mut timeline, tags), [0, 5_000, 4_000_000_000, 3]);
    }

    #[test]
    fn a_new_publisher_continues_one_frame_after_the_last() {
        let mut timeline = Timeline::default();
        let frames = [(Video, 960), (Audio, 990), (Video, 1000), (Audio, 1013)];
        run(&mut timeline, frames.map(|(kind, time)| (kind, time, FRAME)).to_vec());
        timeline.change_publisher();
        let start = vec![(Data, 0, OTHER), (Video, 0, OTHER)];
        assert_eq!(run(&mut timeline, start), [1040, 1040]);
        let frames = vec![(Video, 0, FRAME), (Audio, 10, FRAME), (Video, 40, FRAME)];
        assert_eq!(run(&mut timeline, frames), [1040, 1050, 1080]);
        // And once more, from a publisher whose clock went on.
        timeline.change_publisher();
        let again = vec![(Data, 0, OTHER), (Video, 70_000, FRAME), (Audio, 70_005, FRAME)];
        assert_eq!(run(&mut timeline, again), [1120, 1120, 1125]);
    }

    #[test]
    fn the_second_track_never_starts_before_the_change() {
        let mut timeline = Timeline::default();
        run(&mut timeline, vec![(Video, 960, FRAME), (Video, 1000, FRAME)]);
        timeline.change_publisher();
        let frames = vec![(Audio, 200, FRAME), (Video, 0, FRAME), (Video, 300, FRAME)];
        assert_eq!(run(&mut timeline, frames), [1040, 1040, 1140]);
    }

    #[test]
    fn the_clock_wraps_through_a_change() {
        let mut timeline = Timeline::default();
        run(&mut timeline, vec![(Video, u32::MAX - 49, FRAME), (Video, u32::MAX - 9, FRAME)]);
        timeline.change_publisher();
        assert_eq!(run(&mut timeline, vec![(Video, 0, FRAME), (Video, 40, FRAME)]), [30, 70]);
    }

    #[test]
    fn a_change_before_any_frame_shifts_nothing() {
        let mut timeline = Timeline::default();
        run(&mut timeline, vec![(Data, 0, OTHER)]);
        timeline.change_publisher();
        assert_eq!(run(&mut timeline, vec![(Video, 77, FRAME)]), [77]);
    }
}
