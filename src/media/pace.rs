//! When the tags of a file are due, and how a file goes on where it ends: one mechanism for everybody who sends a file in
//! real time.
//!
//! In: a [`MediaReader`]. Out: its tags in order, each with the time from the first one at which it is due. A looped file
//! is one endless stream: each round is moved by the length of the one before, one length for all tracks so that sound
//! and picture stay together for ever. That length lets the longest track go on exactly one frame after its last and
//! none earlier.
//! Not here: clocks, waiting, sending.
//! Bounds: the configuration in force, and what the reader itself holds.

use super::{MediaError, MediaReader, metadata};
use crate::{
    base::Timestamp,
    flv::{Change, Configuration, Tag, TagKind, TagRole, metadata::of_tracks},
};
use alloc::collections::VecDeque;
use core::time::Duration;

/// A file as a publisher sends it.
#[derive(Debug)]
pub struct Schedule<R> {
    reader: R,
    /// Rounds that follow this one; `None`: without end.
    left: Option<u64>,
    round: Round,
    /// Milliseconds by which this round's timestamps are moved, modulo 2^32.
    shift: u32,
    /// What goes before the next tag of the reader.
    ahead: VecDeque<Tag>,
    /// What went out and still holds.
    in_force: Configuration,
    /// Milliseconds from the first tag to the last, by timestamps and without jumps.
    position: i64,
    last: Option<Timestamp>,
    /// Frames before this one have been given: the reader went back further than was asked.
    skip_to: Option<Timestamp>,
}

/// A tag and when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// From the first tag on.
    pub due: Duration,
    /// The tag, its timestamp moved to its round.
    pub tag: Tag,
}

/// A longer step between two tags, as in a recording with a hole, is not waited for. Milliseconds.
pub const MAX_STEP: u32 = 10_000;

impl<R: MediaReader> Schedule<R> {
    /// A schedule from the reader's current position; plays `rounds` times, `None`: without end.
    pub fn new(reader: R, rounds: Option<u64>) -> Schedule<R> {
        let ahead = beginning(&reader);
        Schedule {
            reader,
            left: rounds.map(|rounds| rounds.saturating_sub(1)),
            round: Round::default(),
            shift: 0,
            ahead,
            in_force: Configuration::default(),
            position: 0,
            last: None,
            skip_to: None,
        }
    }

    /// The file.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// The next tag; `None` after the last round, and at the end of a file without a frame, which nothing can repeat.
    ///
    /// # Errors
    /// Those of the reader; calling again goes on behind.
    #[expect(clippy::should_implement_trait, reason = "an error is not the end")]
    pub fn next(&mut self) -> Result<Option<Scheduled>, MediaError> {
        loop {
            let tag = match self.ahead.pop_front() {
                Some(tag) => tag,
                None => match self.reader.next()? {
                    Some(tag) => tag,
                    None if self.begin_round()? => continue,
                    None => return Ok(None),
                },
            };
            if self.is_of_use(&tag) {
                return Ok(Some(self.place(tag)));
            }
        }
    }

    /// Goes back to the last keyframe that was given (in a file without pictures, to the last frame), and begins with the configuration as at the start: for somebody who
    /// has to be told all of it again.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn go_back(&mut self) -> Result<(), MediaError> {
        let entry = self.round.entry.unwrap_or_default();
        self.reader.seek(entry)?;
        self.skip_to = self.round.entry;
        self.in_force = Configuration::default();
        self.ahead = beginning(&self.reader);
        Ok(())
    }

    /// Goes back to the start. False if there is no further round.
    fn begin_round(&mut self) -> Result<bool, MediaError> {
        let Some(length) = self.round.length() else { return Ok(false) };
        match &mut self.left {
            Some(0) => return Ok(false),
            Some(left) => *left -= 1,
            None => {}
        }
        self.round = Round::default();
        self.shift = self.shift.wrapping_add(length);
        self.reader.rewind()?;
        self.ahead = self.reader.headers().into();
        Ok(true)
    }

    /// Rounds repeat neither configuration that holds nor the word that the sequence is over.
    fn is_of_use(&mut self, tag: &Tag) -> bool {
        let role = tag.classify().role;
        match (role, index(tag.kind)) {
            _ if role.is_configuration() => self.in_force.update(tag) != Change::Repeated,
            (TagRole::EndOfSequence, _) => self.left == Some(0),
            (TagRole::Keyframe | TagRole::Frame, Some(index)) => {
                if self.skip_to.is_some_and(|entry| entry.is_after(tag.timestamp)) {
                    return false;
                }
                self.round.tracks[index].add(tag.timestamp);
                if role == TagRole::Keyframe || self.round.tracks[1].last.is_none() {
                    self.round.entry = Some(tag.timestamp);
                    self.skip_to = None;
                }
                true
            }
            _ => true,
        }
    }

    fn place(&mut self, tag: Tag) -> Scheduled {
        let tag = Tag { timestamp: tag.timestamp.wrapping_add(self.shift), ..tag };
        // Modulo 2^32, so that a small step back is a small negative number.
        let step = self.last.map_or(0, |last| tag.timestamp.wrapping_sub(last) as i32);
        self.last = Some(tag.timestamp);
        if step.unsigned_abs() <= MAX_STEP {
            self.position += i64::from(step);
        }
        let due = Duration::from_millis(u64::try_from(self.position).unwrap_or(0));
        Scheduled { due, tag }
    }
}

/// Metadata and configuration at the reader's position.
fn beginning(reader: &impl MediaReader) -> VecDeque<Tag> {
    let mut ahead: VecDeque<Tag> = reader.headers().into();
    let timestamp = ahead.front().map(|header| header.timestamp);
    let metadata = match &reader.info().metadata {
        Some(metadata) => {
            let timestamp = timestamp.unwrap_or(metadata.timestamp);
            Some(Tag { timestamp, ..metadata::live(metadata) })
        }
        None => {
            let info = reader.info();
            of_tracks(info.video.as_ref(), info.audio.as_ref(), timestamp.unwrap_or_default())
        }
    };
    if let Some(metadata) = metadata {
        ahead.push_front(metadata);
    }
    ahead
}

/// One pass through the file: its audio and its video, in the file's own time.
#[derive(Debug, Default)]
struct Round {
    tracks: [Track; 2],
    /// The last place at which a listener can begin.
    entry: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Track {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Milliseconds between the last two frames.
    step: u32,
}

impl Round {
    /// Milliseconds after which the next round may begin; `None` without a frame.
    fn length(&self) -> Option<u32> {
        self.tracks.iter().filter_map(Track::length).max()
    }
}

impl Track {
    fn add(&mut self, timestamp: Timestamp) {
        self.first = self.first.or(Some(timestamp));
        match self.last {
            Some(last) if !timestamp.is_after(last) => return,
            Some(last) if timestamp.wrapping_sub(last) <= MAX_FRAME => {
                self.step = timestamp.wrapping_sub(last);
            }
            _ => {}
        }
        self.last = Some(timestamp);
    }

    fn length(&self) -> Option<u32> {
        Some(self.last?.wrapping_sub(self.first?).wrapping_add(self.step.max(1)))
    }
}

fn index(kind: TagKind) -> Option<usize> {
    match kind {
        TagKind::Audio => Some(0),
        TagKind::Video => Some(1),
        TagKind::Data => None,
    }
}

/// A longer gap between frames is a pause, not the frame rate. Milliseconds.
const MAX_FRAME: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flv::Codec,
        media::{MediaInfo, VideoInfo},
    };
    use alloc::{vec, vec::Vec};

    /// Tags as a file holds them, sequence headers in front.
    struct Clip {
        info: MediaInfo,
        headers: Vec<Tag>,
        tags: Vec<Tag>,
        at: usize,
        can_seek: bool,
    }

    impl MediaReader for Clip {
        fn info(&self) -> &MediaInfo {
            &self.info
        }

        fn headers(&self) -> Vec<Tag> {
            self.headers.clone()
        }

        fn next(&mut self) -> Result<Option<Tag>, MediaError> {
            let tag = self.tags.get(self.at).cloned();
            self.at += 1;
            Ok(tag)
        }

        fn seek(&mut self, target: Timestamp) -> Result<Timestamp, MediaError> {
            if !self.can_seek {
                self.at = 0;
                return Ok(Timestamp(0));
            }
            // Keyframes alone begin with 0x17.
            let is_before = |tag: &Tag| tag.body.starts_with(&[0x17, 1]) && !tag.timestamp.is_after(target);
            self.at = self.tags.iter().rposition(is_before).unwrap_or(0);
            Ok(self.tags[self.at].timestamp)
        }
    }

    fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Tag {
        Tag::new(kind, Timestamp(timestamp), body.into())
    }

    fn video(timestamp: u32) -> Tag {
        tag(TagKind::Video, timestamp, &[0x17, 1, 0, 0, 0, 1])
    }

    fn audio(timestamp: u32) -> Tag {
        tag(TagKind::Audio, timestamp, &[0xaf, 1, 1])
    }

    fn header(version: u8) -> Tag {
        tag(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, version])
    }

    fn clip(headers: Vec<Tag>, tags: Vec<Tag>) -> Clip {
        Clip { info: MediaInfo::default(), headers, tags, at: 0, can_seek: true }
    }

    fn all(clip: Clip, rounds: u64) -> Vec<Scheduled> {
        let mut schedule = Schedule::new(clip, Some(rounds));
        core::iter::from_fn(|| schedule.next().unwrap()).collect()
    }

    fn times(all: &[Scheduled], kind: TagKind) -> Vec<u32> {
        let of_kind = all.iter().filter(|one| one.tag.kind == kind);
        of_kind.map(|one| one.tag.timestamp.0).collect()
    }

    #[test]
    fn every_round_goes_on_one_frame_after_the_last_and_tracks_stay_together() {
        let tags = vec![video(0), audio(10), video(40), audio(33), video(80), audio(56)];
        let all = all(clip(vec![], tags), 3);
        assert_eq!(times(&all, TagKind::Video), [0, 40, 80, 120, 160, 200, 240, 280, 320]);
        assert_eq!(times(&all, TagKind::Audio), [10, 33, 56, 130, 153, 176, 250, 273, 296]);
    }

    #[test]
    fn the_longest_track_says_when_the_next_round_begins() {
        // Sound lasts longer, and neither begins at 0.
        let tags = vec![video(143), audio(60), video(183), audio(160), audio(260)];
        let all = all(clip(vec![], tags), 2);
        assert_eq!(times(&all, TagKind::Audio), [60, 160, 260, 360, 460, 560]);
        assert_eq!(times(&all, TagKind::Video), [143, 183, 443, 483]);
    }

    #[test]
    fn what_is_due_when_follows_the_timestamps_through_all_rounds() {
        let all = all(clip(vec![header(1)], vec![video(0), video(40), video(39), video(80)]), 2);
        let due: Vec<u128> = all.iter().map(|one| one.due.as_millis()).collect();
        assert_eq!(due, [0, 0, 40, 39, 80, 120, 160, 159, 200]);
    }

    #[test]
    fn nobody_waits_for_a_hole() {
        let all = all(clip(vec![], vec![video(0), video(40), video(70_000), video(70_040)]), 1);
        let due: Vec<u128> = all.iter().map(|one| one.due.as_millis()).collect();
        assert_eq!(due, [0, 40, 40, 80]);
        assert_eq!(times(&all, TagKind::Video), [0, 40, 70_000, 70_040]);
    }

    #[test]
    fn sequence_headers_come_again_only_where_they_change() {
        let count = |all: &[Scheduled]| {
            all.iter().filter(|one| one.tag.classify().role == TagRole::SequenceHeader).count()
        };
        assert_eq!(count(&all(clip(vec![header(1)], vec![video(0), video(40)]), 3)), 1);
        // Another one in the middle: the first has to hold again at the start of each round.
        let changing = vec![video(0), header(2), video(40)];
        assert_eq!(count(&all(clip(vec![header(1)], changing), 3)), 6);
        // A reader that gives its headers as tags.
        assert_eq!(count(&all(clip(vec![], vec![header(1), video(0), video(40)]), 3)), 1);
        // One for each of two tracks.
        let second = tag(TagKind::Video, 0, &[0x96, 0x00, b'h', b'v', b'c', b'1', 1, 1]);
        assert_eq!(count(&all(clip(vec![header(1), second], vec![video(0), video(40)]), 3)), 2);
    }

    #[test]
    fn the_end_of_the_sequence_is_told_at_the_very_end() {
        let end = tag(TagKind::Video, 40, &[0x17, 2, 0, 0, 0]);
        let all = all(clip(vec![], vec![video(0), video(40), end.clone()]), 2);
        let ends: Vec<usize> = (0..all.len()).filter(|&at| all[at].tag.body == end.body).collect();
        assert_eq!(ends, [4]);
    }

    #[test]
    fn metadata_comes_first_and_once() {
        let mut clip = clip(vec![header(1)], vec![video(0), video(40)]);
        clip.info.metadata = Some(tag(TagKind::Data, 0, b"\x02\0\x0aonMetaData\x05"));
        let kinds: Vec<TagKind> = all(clip, 2).iter().map(|one| one.tag.kind).collect();
        assert_eq!(kinds[0], TagKind::Data);
        assert_eq!(kinds.iter().filter(|kind| **kind == TagKind::Data).count(), 1);
    }

    /// Players that are not told which tracks there are wait for those that never come.
    #[test]
    fn a_file_without_metadata_gets_some() {
        let mut clip = clip(vec![header(1)], vec![video(0), video(40)]);
        clip.info.duration = 80;
        clip.info.video = Some(VideoInfo { codec: Codec::H264, width: 640, height: 360, frame_rate: 25.0 });
        let first = all(clip, 2)[0].tag.clone();
        assert_eq!(first.classify().role, TagRole::Metadata);
        let said = metadata::properties(&first.body).unwrap();
        assert_eq!(said.get("width").and_then(|width| width.as_number()), Some(640.0));
        assert!(said.get("audiocodecid").is_none(), "of what is there");
        let duration = said.get("duration").and_then(|duration| duration.as_number());
        assert_eq!(duration, Some(0.0), "as live streams say it");
    }

    #[test]
    fn who_lost_the_listener_goes_back_to_a_keyframe_and_tells_everything_again() {
        let inter = |time| tag(TagKind::Video, time, &[0x27, 1, 0, 0, 0, 1]);
        let tags = vec![video(0), inter(40), audio(50), video(80), inter(120), inter(160)];
        // One that finds keyframes, and one that can only begin anew, as raw streams do.
        for can_seek in [true, false] {
            let clip = Clip { can_seek, ..clip(vec![header(1)], tags.clone()) };
            let mut schedule = Schedule::new(clip, Some(2));
            // Into the second round.
            let before: Vec<Scheduled> = (0..12).map(|_| schedule.next().unwrap().unwrap()).collect();
            assert_eq!(times(&before, TagKind::Video)[8..], [280, 320]);
            schedule.go_back().unwrap();
            let after: Vec<Scheduled> = core::iter::from_fn(|| schedule.next().unwrap()).collect();
            assert_eq!(after[0].tag.classify().role, TagRole::SequenceHeader);
            assert_eq!(times(&after, TagKind::Video)[1..], [280, 320, 360]);
            assert_eq!(times(&after, TagKind::Audio), [0; 0]);
            let due: Vec<u128> = after[1..].iter().map(|one| one.due.as_millis()).collect();
            assert_eq!(due, [280, 320, 360]);
        }
    }

    #[test]
    fn without_pictures_the_last_frame_is_a_place_to_begin() {
        let mut schedule = Schedule::new(clip(vec![], vec![audio(0), audio(23), audio(46)]), Some(1));
        let two: Vec<Scheduled> = (0..2).map(|_| schedule.next().unwrap().unwrap()).collect();
        assert_eq!(times(&two, TagKind::Audio), [0, 23]);
        schedule.go_back().unwrap();
        let rest: Vec<Scheduled> = core::iter::from_fn(|| schedule.next().unwrap()).collect();
        assert_eq!(times(&rest, TagKind::Audio), [23, 46]);
    }

    #[test]
    fn a_file_without_a_frame_ends() {
        let mut schedule = Schedule::new(clip(vec![header(1)], vec![]), None);
        assert!(schedule.next().unwrap().is_some());
        assert_eq!(schedule.next(), Ok(None));
    }

    #[test]
    fn the_clock_wraps_and_goes_on() {
        let mut schedule = Schedule::new(clip(vec![], vec![video(0), video(40)]), None);
        schedule.shift = u32::MAX - 59;
        schedule.last = Some(Timestamp(u32::MAX - 99));
        let next: Vec<Scheduled> = (0..4).map(|_| schedule.next().unwrap().unwrap()).collect();
        assert_eq!(times(&next, TagKind::Video), [u32::MAX - 59, u32::MAX - 19, 20, 60]);
        assert_eq!(next[3].due.as_millis(), 160);
    }
}
