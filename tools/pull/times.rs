//! Where each tag belongs in the time of the file: as sent on the first connection, and without a jump on further ones.
//!
//! A live stream is continued, whatever its times are. A recording is played again from a keyframe that is in the file
//! already; which one that is, its bytes tell, because servers disagree on what time such a play begins with: what is in
//! the file up to there is left out, and nothing is missing behind it.
//! Bounds: [`REMEMBERED`] keyframes.

use std::collections::VecDeque;
use weir::{
    base::{Payload, Timestamp},
    flv::{Tag, TagKind, TagRole, Timeline},
};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Times {
    timeline: Timeline,
    state: State,
    first: Option<Timestamp>,
    /// The newest frame of audio and of video.
    newest: [Option<Timestamp>; 2],
    /// The last places to begin from: keyframes, or frames of audio where there are no pictures.
    entries: VecDeque<(Timestamp, Payload)>,
    connections: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// As the timeline has it.
    #[default]
    Steady,
    /// A further connection, live or a recording.
    New,
    /// A recording, at a place that is not known yet.
    Searching,
    /// A recording whose times are to be moved by this, modulo 2^32.
    Found(u32),
}

impl Times {
    /// Another connection begins.
    pub(crate) fn begin(&mut self) {
        self.state = if self.connections > 0 { State::New } else { State::Steady };
        self.connections += 1;
    }

    /// The first frame.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.first
    }

    /// From where a recording is to be played again: milliseconds behind its first frame. Not from the last place, because a
    /// play that did not begin at 0 began up to a group of pictures earlier than was asked for.
    pub(crate) fn resume_at(&self) -> Option<u32> {
        let (entry, _) = self.entries.get(self.entries.len().saturating_sub(SPARE))?;
        Some(entry.wrapping_sub(self.first?))
    }

    /// The tag's time in the file; `None` if it is there already.
    pub(crate) fn place(&mut self, tag: &Tag, is_recorded: bool) -> Option<Timestamp> {
        let role = tag.classify().role;
        let is_frame = role.is_frame();
        let is_entry = role == TagRole::Keyframe || is_frame && self.newest[1].is_none();
        match self.state {
            State::New if is_recorded => self.state = State::Searching,
            State::New => self.go_on(),
            _ => {}
        }
        if self.state == State::Searching {
            if !is_frame {
                return self.timeline.newest();
            }
            if !is_entry {
                return None;
            }
            match self.entries.iter().rfind(|(_, body)| *body == tag.body) {
                Some((known, _)) => {
                    self.state = State::Found(known.wrapping_sub(tag.timestamp));
                    self.timeline = Timeline::default();
                }
                None => self.go_on(),
            }
        }
        let sent = match self.state {
            State::Found(moved) => tag.timestamp.wrapping_add(moved),
            _ => tag.timestamp,
        };
        let newest = match tag.kind {
            TagKind::Audio => Some(&mut self.newest[0]),
            TagKind::Video => Some(&mut self.newest[1]),
            TagKind::Data => None,
        };
        if let (State::Found(_), Some(Some(newest)), true) = (self.state, &newest, is_frame) {
            if !sent.is_after(*newest) {
                return None;
            }
        }
        let placed = self.timeline.place(tag.kind, sent, is_frame);
        if let Some(newest) = newest.filter(|_| is_frame) {
            *newest = Some(placed);
            self.first = self.first.or(Some(placed));
        }
        if is_entry {
            if self.entries.len() == REMEMBERED {
                self.entries.pop_front();
            }
            self.entries.push_back((placed, tag.body.clone()));
        }
        Some(placed)
    }

    /// What comes now follows what is there.
    fn go_on(&mut self) {
        self.timeline.change_publisher();
        self.state = State::Steady;
    }
}

/// Keyframes that are known again.
const REMEMBERED: usize = 16;
/// A recording is played again from the last keyframe but so many.
const SPARE: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(timestamp: u32, first: u8, number: u8) -> Tag {
        let body = vec![first, 1, 0, 0, 0, number];
        Tag::new(TagKind::Video, Timestamp(timestamp), body.into())
    }

    fn header() -> Tag {
        Tag::new(TagKind::Video, Timestamp(0), vec![0x17, 0, 0, 0, 0, 1].into())
    }

    fn placed(times: &mut Times, tags: &[Tag], is_recorded: bool) -> Vec<Option<u32>> {
        times.begin();
        tags.iter().map(|tag| times.place(tag, is_recorded).map(|time| time.0)).collect()
    }

    /// Pictures of a recording from one on, a keyframe every second one, sent with times moved by so many milliseconds.
    fn recording(numbers: core::ops::Range<u8>, moved: u32) -> Vec<Tag> {
        let picture = |number: u8| {
            let first = if number % 2 == 0 { 0x17 } else { 0x27 };
            frame((u32::from(number) * 40).wrapping_sub(moved), first, number)
        };
        core::iter::once(header()).chain(numbers.map(picture)).collect()
    }

    #[test]
    fn a_live_stream_goes_on_one_frame_later_whatever_its_times_are() {
        let mut times = Times::default();
        let first = placed(&mut times, &[header(), frame(7000, 0x17, 1), frame(7040, 0x27, 2)], false);
        assert_eq!(first, [Some(0), Some(7000), Some(7040)]);
        let second = placed(&mut times, &[header(), frame(0, 0x17, 1), frame(40, 0x27, 2)], false);
        assert_eq!(second, [Some(7080), Some(7080), Some(7120)]);
        assert_eq!(times.first(), Some(Timestamp(7000)));
    }

    #[test]
    fn a_recording_goes_on_where_it_was_and_nothing_comes_twice() {
        // The second play has positions for times, or begins at 0.
        for moved in [0, 160] {
            let mut times = Times::default();
            placed(&mut times, &recording(0..10, 0), true);
            assert_eq!(times.resume_at(), Some(160));
            let again = placed(&mut times, &recording(4..12, moved), true);
            assert_eq!(again, [&[Some(360)][..], &[None; 6], &[Some(400), Some(440)]].concat(), "{moved}");
            // And once more.
            let again = placed(&mut times, &recording(6..14, 3 * moved), true);
            assert_eq!(again[7..], [Some(480), Some(520)]);
        }
    }

    #[test]
    fn another_recording_of_that_name_is_not_mistaken_for_the_first() {
        let mut times = Times::default();
        placed(&mut times, &recording(0..10, 0), true);
        let other = [header(), frame(0, 0x17, 200), frame(40, 0x27, 201)];
        assert_eq!(placed(&mut times, &other, true), [Some(360), Some(400), Some(440)]);
    }
}
