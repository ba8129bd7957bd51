//! A stretch of the stream with one configuration and one clock: its frames become parts, its keyframes begin segments.
//!
//! The track that leads says where cuts are: video, or audio where there is none. A frame waits for the next one of its track, which says how
//! long it lasts; sound that is late goes into a later part, and sound that is early waits for its picture's.
//! - A segment ends at the first keyframe past the length that was asked for, or before it if another group of pictures would
//!   make it longer than the target duration.
//! - A part ends before the frame that would make it longer than the part target. If pictures stay away longer than
//!   [`STALL`], sound goes on in parts of its own, and the last picture waits for its successor.
//!
//! Bounds: an eighth of [`super::Config::max_bytes`] waits; [`MAX_SEGMENT`] and three eighths of those bytes in a segment, which
//! then ends without a keyframe.

use super::{
    WallTime,
    clock::{Clock, MAX_GAP, Place},
    gather::{Start, chosen},
    sound::Counter,
    window::{Part, Window},
};
use crate::{
    base::Payload,
    flv::{Tag, TagKind},
    mp4::writer::{
        Sample, Track,
        configs::{Config, Configs, samples},
        fragment::{Run, put_fragment},
        queue::{Queue, Until},
    },
};
use alloc::vec::Vec;

/// Milliseconds of the longest segment, if no keyframe ends it.
pub(super) const MAX_SEGMENT: u64 = 60_000;
/// Milliseconds by which sound may be ahead of pictures until it goes on without them.
const STALL: u64 = 1500;
/// Milliseconds without sound until it counts as lost. Players stop where a track has nothing.
const SOUND_LOST: u64 = 3000;
/// Milliseconds of the first segment at least: whoever waits for it has a picture soon.
const FIRST_SEGMENT: u64 = 500;

/// Bytes that a frame costs while it waits, beside its own.
const SAMPLE_COST: usize = 128;

/// Tracks, and what waits for its part.
#[derive(Debug)]
pub(super) struct Epoch {
    /// The first one leads.
    lanes: Vec<Lane>,
    clock: Clock,
    /// Time of the stream that the epoch's clock calls 0.
    shift: i64,
    /// Sound from before is not heard.
    start: u64,
    /// Newest frame of all.
    now: u64,
    part_start: u64,
    /// The leader's last frame and keyframe.
    last: u64,
    last_keyframe: u64,
    /// The leader's first frame, and how many came.
    first: u64,
    frames: u64,
    /// Bytes that wait for their part.
    waiting: usize,
    /// Something has changed that a keyframe can bring into force.
    ends_at_keyframe: bool,
    /// Sound that has fallen silent: the next keyframe goes on without it.
    lost: Option<TagKind>,
}

#[derive(Debug)]
struct Lane {
    config: Config,
    track: Track,
    queue: Queue,
    counter: Option<Counter>,
    /// What `now` was with its last frame.
    heard: u64,
    /// Its configuration has changed.
    is_void: bool,
}

/// Which frames a part takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Take {
    /// Those decoded before its end whose length is known.
    InTime,
    /// All whose length is known: there are too many.
    Known,
    /// All: nothing follows.
    All,
}

/// What became of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Taken,
    /// The epoch is over, and the tag belongs to the next one, which need not wait for a kind of media that is lost.
    Over {
        lost: Option<TagKind>,
    },
}

impl Epoch {
    /// Begins where the window ends.
    pub(super) fn begin(start: Start, window: &mut Window) -> Epoch {
        let first = start.frames.iter().map(|held| held.at).min().unwrap_or(0);
        let begin = window.end();
        let lane = |(config, track): (Config, Track)| Lane {
            queue: Queue::new(track.timescale()),
            counter: (!track.is_video()).then(|| Counter::new(&config, track.timescale())),
            config,
            track,
            heard: begin,
            is_void: false,
        };
        let mut epoch = Epoch {
            lanes: start.tracks.into_iter().map(lane).collect(),
            clock: start.clock,
            shift: i64::try_from(begin).unwrap_or(i64::MAX).saturating_sub(first),
            start: begin,
            now: begin,
            part_start: begin,
            last: begin,
            last_keyframe: begin,
            first: begin,
            frames: 0,
            waiting: 0,
            ends_at_keyframe: false,
            lost: None,
        };
        window.begin_epoch(epoch.lanes.iter().map(|lane| (&lane.config, &lane.track)));
        for held in &start.frames {
            epoch.take(held.at, &held.tag, held.came, window);
        }
        epoch
    }

    /// Bytes that wait for their part.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes a tag, unless it ends the epoch.
    pub(super) fn offer(
        &mut self,
        tag: &Tag,
        came: WallTime,
        configs: &Configs,
        window: &mut Window,
    ) -> Offer {
        let has_video = self.lanes.iter().any(|lane| lane.track.is_video());
        for lane in self.lanes.iter_mut().filter(|lane| lane.config.lane.kind == tag.kind && !lane.is_void) {
            let own = &lane.config;
            let is_same =
                |config: &&Config| config.lane.id == own.lane.id && config.lane.kind == own.lane.kind;
            if configs.iter().find(is_same) == Some(own) {
                continue;
            }
            if tag.kind == TagKind::Video || !has_video {
                return Offer::Over { lost: None };
            }
            lane.is_void = true;
            self.ends_at_keyframe = true;
        }
        let class = tag.classify();
        if !class.role.is_frame() {
            return Offer::Taken;
        }
        if !self.lanes.iter().any(|lane| lane.config.lane.kind == tag.kind) {
            let is_new = |lane| chosen(configs, tag.kind).is_some_and(|config| Some(config.lane) == lane);
            if samples(0, tag).any(|(lane, _)| is_new(lane)) {
                self.ends_at_keyframe |= tag.kind == TagKind::Audio;
                if class.is_keyframe() {
                    return Offer::Over { lost: None };
                }
            }
            return Offer::Taken;
        }
        // An empty frame tells nothing of the time either.
        let is_own = |lane| self.lanes.iter().any(|own| Some(own.config.lane) == lane && !own.is_void);
        if !samples(0, tag).any(|(lane, _)| is_own(lane)) {
            return Offer::Taken;
        }
        if class.is_keyframe() && (self.ends_at_keyframe || self.lost.is_some()) {
            return Offer::Over { lost: self.lost };
        }
        match self.clock.place(tag.kind, tag.timestamp) {
            Place::At(at) => self.take(at, tag, came, window),
            Place::Foreign => {}
            Place::Jump => return Offer::Over { lost: None },
        }
        self.look_for_lost()
    }

    /// Everything that waits becomes the last part.
    pub(super) fn end(mut self, window: &mut Window) {
        let leader = &mut self.lanes[0];
        let step = if self.frames > 1 { (self.last - self.first) / (self.frames - 1) } else { 0 };
        let room = window.part_limit();
        let end = (self.last + step.max(1)).clamp(self.part_start + 1, self.part_start + room.max(1));
        if leader.queue.len() > 0 || self.waiting > 0 {
            self.cut_part(end, Take::All, window);
        }
        window.close(self.interval());
    }

    /// Microseconds from one of the leader's frames to the next, on average.
    fn interval(&self) -> Option<u64> {
        let steps = self.frames.checked_sub(1).filter(|steps| *steps > 0)?;
        Some((self.last - self.first).saturating_mul(1000) / steps).filter(|interval| *interval > 0)
    }

    fn take(&mut self, at: i64, tag: &Tag, came: WallTime, window: &mut Window) {
        let place = at.saturating_add(self.shift);
        for (lane, sample) in samples(0, tag) {
            let Some(index) = self.lanes.iter().position(|own| Some(own.config.lane) == lane && !own.is_void)
            else {
                continue;
            };
            let Ok(at) = u64::try_from(place) else { continue };
            if at < self.start {
                continue;
            }
            window.date(came, at);
            self.push(index, Sample { at, ..sample }, window);
        }
    }

    fn push(&mut self, index: usize, sample: Sample, window: &mut Window) {
        let lane = &mut self.lanes[index];
        let (mut at, is_sync) = (sample.at, sample.is_sync);
        self.now = self.now.max(at);
        lane.heard = self.now;
        self.waiting += sample.data.len() + SAMPLE_COST;
        match &mut lane.counter {
            Some(counter) => {
                let dts = counter.place(&lane.queue, at, &sample.data);
                lane.queue.push_at(dts, sample);
                at = lane.queue.newest() * 1000 / u64::from(lane.track.timescale().max(1));
            }
            None => lane.queue.push(sample),
        }
        if index == 0 {
            self.lead(at.max(self.last), is_sync, window);
        } else {
            self.go_on_without_pictures(at, window);
        }
        if self.waiting > window.max_waiting() {
            self.cut_part(self.now.max(self.part_start + 1), Take::Known, window);
        }
        let Some((start, bytes)) = window.open() else { return };
        if self.part_start.saturating_sub(start) >= MAX_SEGMENT || bytes > window.max_segment() {
            window.close(self.interval());
        }
    }

    /// A frame of the leader has come: is what was before it a part, a segment?
    fn lead(&mut self, at: u64, is_sync: bool, window: &mut Window) {
        let (last, limit) = (self.last, window.part_limit());
        self.frames += 1;
        self.last = at;
        if self.frames == 1 {
            (self.first, self.last_keyframe) = (at, at);
            // Sound may have needed a part already.
            if window.open().is_none() {
                self.part_start = self.part_start.max(at);
            }
            return;
        }
        // A frame that lasts long makes a part of its own.
        if at.saturating_sub(self.part_start) > limit && last > self.part_start {
            self.cut_part(last, Take::InTime, window);
        }
        if is_sync {
            let gop = at - self.last_keyframe;
            self.last_keyframe = at;
            if self.ends_segment(at, gop, window) {
                self.cut_part(at, Take::InTime, window);
                window.close(self.interval());
                return;
            }
        }
        if at.saturating_sub(self.part_start) + (at - last) > limit {
            self.cut_part(at, Take::InTime, window);
        }
    }

    /// Whether a keyframe at `at` begins a segment, the one before having been `gop` milliseconds ago.
    fn ends_segment(&self, at: u64, gop: u64, window: &Window) -> bool {
        let start = window.open().map_or(self.part_start, |(start, _)| start);
        let length = at.saturating_sub(start);
        match window.segment_limit() {
            // The one that players wait for.
            None => length >= FIRST_SEGMENT,
            Some(limit) => {
                let target = window.segment_target();
                length >= target
                    || length >= target / 4 && self.lanes[0].track.is_video() && length + gop > limit
            }
        }
    }

    fn go_on_without_pictures(&mut self, at: u64, window: &mut Window) {
        let mut end = self.part_start + window.part_limit();
        let mut rounds = 2 * MAX_GAP as u64 / window.part_limit() + 1;
        while self.frames > 0 && at.saturating_sub(self.last.max(end)) > STALL && rounds > 0 {
            self.cut_part(end, Take::InTime, window);
            // Where there is no sound either, the part goes on.
            end += window.part_limit();
            rounds -= 1;
        }
    }

    /// Makes a part that ends at `end`.
    fn cut_part(&mut self, end: u64, take: Take, window: &mut Window) {
        if end <= self.part_start {
            return;
        }
        let has_video = self.lanes[0].track.is_video();
        let mut runs = Vec::new();
        for (id, lane) in (1..).zip(&mut self.lanes) {
            let until = match take {
                Take::InTime => {
                    let end = lane.queue.scale(i64::try_from(end).unwrap_or(i64::MAX));
                    Until::Before(u64::try_from(end).unwrap_or(u64::MAX))
                }
                Take::Known => Until::Known,
                Take::All => Until::End,
            };
            let samples = lane.queue.take(until);
            if !samples.is_empty() {
                runs.push(Run { id, track: &lane.track, samples });
            }
        }
        if runs.is_empty() {
            return;
        }
        let begins_with_keyframe =
            runs.iter().find(|run| run.track.is_video()).map(|run| run.samples[0].sample.is_sync);
        let is_independent = begins_with_keyframe.unwrap_or(!has_video);
        let taken = runs.iter().map(|run| run.size() + run.samples.len() * SAMPLE_COST).sum();
        self.waiting = self.waiting.saturating_sub(taken);
        let mut bytes = Vec::new();
        put_fragment(&mut bytes, window.next_fragment(), &runs);
        let duration = u32::try_from(end - self.part_start).unwrap_or(u32::MAX);
        window.push(self.part_start, Part { duration, bytes: Payload::from(bytes), is_independent });
        self.part_start = end;
    }

    /// A track that has fallen silent ends the epoch, since players wait for it.
    fn look_for_lost(&mut self) -> Offer {
        let now = self.now;
        for lane in self.lanes.iter().filter(|lane| !lane.is_void) {
            let silence = now - lane.heard;
            match lane.config.lane.kind {
                TagKind::Video if silence > MAX_GAP as u64 => {
                    return Offer::Over { lost: Some(TagKind::Video) };
                }
                TagKind::Audio => self.lost = (silence > SOUND_LOST).then_some(TagKind::Audio),
                _ => {}
            }
        }
        Offer::Taken
    }
}
