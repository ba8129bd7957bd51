//! What is held of a stream: segments that are listed, those just removed, and the one that grows.
//!
//! Bounds: [`super::Config::max_bytes`] of parts and initialization segments, and what stands around them; [`MAX_LISTED`], and as many that are
//! not listed any more. Past them what was removed goes first, then the oldest, but for the last
//! complete segment: that one and the one that grows have at most half of the bytes each, and a frame.
//! Target duration and part target are fixed when the first segment is listed. Later on they are only ever raised, before
//! anything is listed that they would be a lie about: the rules forbid that, but players stall where the target is too small.

use super::{Config, WallTime, playlist};
use crate::{
    base::Payload,
    codec::{self, names},
    flv::TagKind,
    mp4::writer::{Track, configs::Config as TrackConfig, put_init},
};
use alloc::{collections::VecDeque, string::String, sync::Arc, vec::Vec};
use core::{fmt::Write, mem};

/// Segments of a playlist at most, however short they are.
pub const MAX_LISTED: usize = 100;

/// Bytes that a part and a segment cost beside what they hold, at least.
const PART_COST: usize = 128;
const SEGMENT_COST: usize = 512;

/// What low latency calls a partial segment: one fragment.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Milliseconds.
    pub(super) duration: u32,
    pub(super) bytes: Payload,
    /// Decoding can start with it.
    pub(super) is_independent: bool,
}

/// Parts, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) epoch: Arc<Description>,
    /// Milliseconds of the stream.
    pub(super) start: u64,
    pub(super) duration: u64,
    /// When it began.
    pub(super) wall: WallTime,
    /// Beginning of the first segment of its epoch.
    pub(super) epoch_start: (u64, WallTime),
    pub(super) is_discontinuity: bool,
    /// Its parts are listed. Not the first segment's, which were made before there was a part target, and not those that lie more
    /// than 3 target durations from the end.
    pub(super) has_listed_parts: bool,
    pub(super) parts: Vec<Part>,
    size: usize,
    /// Milliseconds of the longest playlist that listed it.
    listed_for: u64,
}

/// What holds for all segments of an epoch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Description {
    /// Of the initialization segment.
    pub(super) number: u64,
    pub(super) init: Payload,
    /// As in `CODECS`.
    pub(super) codecs: String,
    pub(super) size: Option<(u32, u32)>,
    pub(super) has_video: bool,
    pub(super) has_audio: bool,
    pub(super) sample_rate: Option<u32>,
}

/// Promises of the playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Targets {
    /// Seconds.
    pub(super) duration: u32,
    /// Milliseconds.
    pub(super) part: Option<u32>,
}

/// All that is held of a stream.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) config: Config,
    /// In the playlist, complete.
    pub(super) listed: VecDeque<Segment>,
    /// Not in it any more.
    kept: VecDeque<Segment>,
    /// Not complete.
    pub(super) growing: Option<Segment>,
    /// `None` before a segment is listed.
    pub(super) targets: Option<Targets>,
    /// Discontinuities that have left the playlist.
    pub(super) discontinuities: u64,
    /// Peak bit rate of a segment.
    pub(super) peak: u64,
    /// Microseconds from frame to frame.
    pub(super) interval: Option<u64>,
    pub(super) is_ended: bool,
    /// When the first segment of all began.
    pub(super) origin: Option<WallTime>,
    epoch: Option<Arc<Description>>,
    epoch_start: Option<(u64, WallTime)>,
    next_number: u64,
    fragments: u32,
    dating: Dating,
    playlists: playlist::Rendered,
    /// Counts what has changed for those who wait.
    changes: u64,
}

/// When the stream's time 0 was on the wall clock.
#[derive(Clone, Copy, Debug, Default)]
struct Dating {
    offset: Option<i64>,
    /// The least delayed frame since the last segment.
    least: Option<i64>,
}

impl Dating {
    /// Follows the publisher's clock, a millisecond a segment, so that dates do not jump.
    fn date(&mut self, at: u64) -> WallTime {
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        let measured = self.least.take();
        let offset = match (self.offset, measured) {
            (Some(offset), Some(measured)) => offset + (measured - offset).clamp(-1, 1),
            (offset, measured) => offset.or(measured).unwrap_or(0),
        };
        self.offset = Some(offset);
        WallTime(u64::try_from(at.saturating_add(offset)).unwrap_or(0))
    }
}

impl Segment {
    /// Where it ends, or has got to.
    pub(super) fn end(&self) -> u64 {
        self.start + self.duration
    }

    pub(super) fn is_independent(&self) -> bool {
        self.parts.first().is_none_or(|part| part.is_independent)
    }
}

impl Window {
    pub(super) fn new(config: Config) -> Window {
        Window {
            config,
            listed: VecDeque::new(),
            kept: VecDeque::new(),
            growing: None,
            targets: None,
            discontinuities: 0,
            peak: 0,
            interval: None,
            is_ended: false,
            origin: None,
            epoch: None,
            epoch_start: None,
            next_number: config.first_sequence,
            fragments: 0,
            dating: Dating::default(),
            playlists: playlist::Rendered::default(),
            changes: 0,
        }
    }

    // ---- what an epoch asks and tells

    /// Milliseconds of the stream so far.
    pub(super) fn end(&self) -> u64 {
        self.growing.as_ref().or(self.listed.back()).map_or(0, Segment::end)
    }

    /// Milliseconds that a part may be long.
    pub(super) fn part_limit(&self) -> u64 {
        let asked = self.config.part.unwrap_or(UNLISTED_PART);
        let promised = self.targets.and_then(|targets| targets.part);
        u64::from(promised.unwrap_or(asked)).max(1)
    }

    /// Milliseconds from which on a segment may end.
    pub(super) fn segment_target(&self) -> u64 {
        u64::from(self.config.segment)
    }

    /// Milliseconds that a segment may be long without the target duration being a lie; `None` before there is one.
    pub(super) fn segment_limit(&self) -> Option<u64> {
        self.targets.map(|targets| u64::from(targets.duration) * 1000 + 499)
    }

    /// Bytes of frames that wait for their part.
    pub(super) fn max_waiting(&self) -> usize {
        self.config.max_bytes / 8
    }

    /// Bytes past which a segment ends, wherever it is.
    pub(super) fn max_segment(&self) -> usize {
        self.config.max_bytes / 8 * 3
    }

    /// Start and bytes of the segment that grows.
    pub(super) fn open(&self) -> Option<(u64, usize)> {
        self.growing.as_ref().map(|segment| (segment.start, segment.size))
    }

    /// Number of the next fragment.
    pub(super) fn next_fragment(&mut self) -> u32 {
        self.fragments = self.fragments.wrapping_add(1);
        self.fragments
    }

    /// A frame that belongs `at` milliseconds came at that time.
    pub(super) fn date(&mut self, came: WallTime, at: u64) {
        let offset = i128::from(came.0) - i128::from(at);
        let offset = i64::try_from(offset).unwrap_or(0);
        self.dating.least = Some(self.dating.least.map_or(offset, |least| least.min(offset)));
    }

    /// What comes now has these tracks.
    pub(super) fn begin_epoch<'a>(
        &mut self,
        tracks: impl Iterator<Item = (&'a TrackConfig, &'a Track)> + Clone,
    ) {
        let mut init = Vec::new();
        put_init(&mut init, tracks.clone().map(|(_, track)| track));
        let mut codecs = String::new();
        for (config, _) in tracks.clone() {
            let comma = if codecs.is_empty() { "" } else { "," };
            let name = names::rfc6381(config.lane.codec, &config.record).unwrap_or_default();
            let _ = write!(codecs, "{comma}{name}");
        }
        let of = |kind| tracks.clone().find(|(config, _)| config.lane.kind == kind);
        let (video, audio) = (of(TagKind::Video), of(TagKind::Audio));
        let rate = |(config, track): (&TrackConfig, &Track)| {
            let format = codec::audio_format(config.lane.codec, &config.record);
            format.map_or(track.timescale(), |format| format.sample_rate)
        };
        let number = self.epoch.as_ref().map_or(0, |epoch| epoch.number + 1);
        self.epoch = Some(Arc::new(Description {
            number,
            init: Payload::from(init),
            codecs,
            size: video.and_then(|(_, track)| track.size()),
            has_video: video.is_some(),
            has_audio: audio.is_some(),
            sample_rate: audio.map(rate),
        }));
        self.epoch_start = None;
        self.dating = Dating::default();
    }

    /// The next part, which begins at `start` milliseconds; the first of a segment if none grows.
    pub(super) fn push(&mut self, start: u64, part: Part) {
        let Some(epoch) = self.epoch.clone() else { return };
        let segment = match &mut self.growing {
            Some(segment) => segment,
            None => {
                let wall = self.dating.date(start);
                let epoch_start = *self.epoch_start.get_or_insert((start, wall));
                let is_first = self.next_number == self.config.first_sequence;
                let segment = Segment {
                    number: self.next_number,
                    epoch,
                    start,
                    duration: 0,
                    wall,
                    epoch_start,
                    is_discontinuity: !is_first && epoch_start.0 == start,
                    has_listed_parts: self.config.part.is_some() && self.targets.is_some(),
                    parts: Vec::new(),
                    size: 0,
                    listed_for: 0,
                };
                self.next_number += 1;
                self.growing.insert(segment)
            }
        };
        segment.duration += u64::from(part.duration);
        segment.size += part.bytes.len();
        let (length, duration) = (segment.duration, part.duration);
        segment.parts.push(part);
        self.raise_targets(length, duration);
        self.trim();
        self.render();
    }

    /// The segment that grows is complete. Frames of this epoch are `interval` microseconds apart.
    pub(super) fn close(&mut self, interval: Option<u64>) {
        let Some(mut segment) = self.growing.take() else { return };
        self.interval = interval.or(self.interval);
        if self.targets.is_none() {
            self.fix_targets(segment.duration);
            // Until now frames may have come faster than they were shown.
            if let Some(least) = self.dating.least {
                self.dating.offset = Some(least);
                segment.wall = self.dating.date(segment.start);
                segment.epoch_start.1 = segment.wall;
                self.epoch_start = Some(segment.epoch_start);
            }
            self.origin = Some(segment.wall);
        }
        let rate = segment.size as u64 * 8000 / segment.duration.max(1);
        // Peaks are those of segments of half the target duration and more.
        let is_long =
            self.targets.is_some_and(|targets| segment.duration >= u64::from(targets.duration) * 500);
        if is_long || self.peak == 0 {
            self.peak = self.peak.max(rate);
        }
        self.listed.push_back(segment);
        self.trim();
        self.render();
    }

    /// There will be nothing more.
    pub(super) fn finish(&mut self) {
        self.is_ended = true;
        self.render();
    }

    // ---- what a request asks

    /// Number of the segment that grows, or of the one to come, and how many parts it has.
    pub(super) fn edge(&self) -> (u64, usize) {
        self.growing.as_ref().map_or((self.next_number, 0), |segment| (segment.number, segment.parts.len()))
    }

    /// Of the segment after all there have been.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn playlists(&self) -> &playlist::Rendered {
        &self.playlists
    }

    /// A segment that is still held.
    pub(super) fn segment(&self, number: u64) -> Option<&Segment> {
        self.held().find(|segment| segment.number == number)
    }

    pub(super) fn epoch(&self, number: u64) -> Option<&Arc<Description>> {
        let of_segments = self.held().map(|segment| &segment.epoch);
        of_segments.chain(&self.epoch).find(|epoch| epoch.number == number)
    }

    /// The number of epochs that there have been.
    pub(super) fn epochs(&self) -> u64 {
        self.epoch.as_ref().map_or(0, |epoch| epoch.number + 1)
    }

    /// Bytes of everything that is held.
    pub(super) fn len(&self) -> usize {
        let mut last = None;
        self.held()
            .map(|segment| {
                // Segments of an epoch lie together.
                let is_new = last.replace(segment.epoch.number) != Some(segment.epoch.number);
                let init = if is_new { segment.epoch.init.len() } else { 0 };
                segment.size + segment.parts.len() * PART_COST + SEGMENT_COST + init
            })
            .sum()
    }

    /// Milliseconds of all segments that are listed.
    pub(super) fn listed_duration(&self) -> u64 {
        self.listed.iter().map(|segment| segment.duration).sum()
    }

    fn held(&self) -> impl Iterator<Item = &Segment> {
        self.kept.iter().chain(&self.listed).chain(&self.growing)
    }

    // ---- bounds and promises

    fn fix_targets(&mut self, first: u64) {
        let duration = rounded(first).max(u64::from(self.config.segment.div_ceil(1000))).max(1);
        let part = self.config.part.map(|asked| part_target(asked, self.interval));
        self.targets = Some(Targets { duration: u32::try_from(duration).unwrap_or(u32::MAX), part });
    }

    /// A segment has got so long, by a part so long.
    fn raise_targets(&mut self, length: u64, part: u32) {
        let Some(targets) = &mut self.targets else { return };
        if rounded(length) > u64::from(targets.duration) {
            // By half, so that a long group of pictures raises it seldom.
            targets.duration = u32::try_from((length * 3 / 2).div_ceil(1000)).unwrap_or(u32::MAX);
        }
        if let Some(target) = &mut targets.part {
            *target = part.max(*target);
        }
    }

    fn trim(&mut self) {
        let enough = self.targets.map_or(u64::MAX, |targets| {
            3 * (u64::from(targets.duration) * 1000 + u64::from(targets.part.unwrap_or(0)))
        });
        while let Some(first) = self.listed.front() {
            let duration = self.listed_duration();
            let is_spare = self.listed.len() > self.config.segments && duration - first.duration >= enough;
            if !is_spare && self.listed.len() <= MAX_LISTED {
                break;
            }
            self.unlist(duration);
        }
        let end = self.end();
        if let Some(targets) = self.targets {
            let recent = end.saturating_sub(3000 * u64::from(targets.duration));
            self.listed
                .iter_mut()
                .filter(|old| old.end() <= recent)
                .for_each(|old| old.has_listed_parts = false);
        }
        while self.kept.front().is_some_and(|old| end - old.end() > old.duration + old.listed_for) {
            self.kept.pop_front();
        }
        let surplus = self.kept.len().saturating_sub(MAX_LISTED);
        self.kept.drain(..surplus);
        while self.len() > self.config.max_bytes {
            if self.kept.pop_front().is_none() {
                if self.listed.len() < 2 {
                    break;
                }
                self.unlist(self.listed_duration());
            }
        }
    }

    /// The oldest leaves a playlist of that duration.
    fn unlist(&mut self, duration: u64) {
        let Some(mut first) = self.listed.pop_front() else { return };
        first.listed_for = duration;
        self.discontinuities += u64::from(first.is_discontinuity);
        self.kept.push_back(first);
    }

    fn render(&mut self) {
        self.changes += 1;
        let rendered = playlist::render(self);
        drop(mem::replace(&mut self.playlists, rendered));
    }
}

/// Seconds, as the target duration compares them.
pub(super) fn rounded(ms: u64) -> u64 {
    (ms + 500) / 1000
}

/// As many whole frames as fit into what was asked for, and what rounding to milliseconds may add. All parts but the last of
/// a segment then have more than 85 percent of it.
fn part_target(asked: u32, interval: Option<u64>) -> u32 {
    let Some(interval) = interval else { return asked };
    let frames = (u64::from(asked) * 1000 / interval).max(1);
    let length = (frames * interval).div_ceil(1000);
    u32::try_from(length + (length / 32).max(2)).unwrap_or(asked)
}

/// Milliseconds of the fragments of a segment if nobody sees them.
const UNLISTED_PART: u32 = 1000;
