//! Before an epoch: which tracks will it have?
//!
//! In: frames, once their configuration is known. Out: the tracks and the frames, from the first keyframe on, when audio and video are both
//! there or the one that is has waited for the other. Not [`crate::mp4::writer::TagWriter`]'s way, which may begin in the middle of
//! a group of pictures and takes any number of tracks: here it is one of each kind.
//! Bounds: [`WAIT`] of media behind the first keyframe, [`MAX_BYTES`] and one frame.

use super::{
    WallTime,
    clock::{Clock, MAX_GAP, Place},
};
use crate::{
    codec::{h264, names},
    flv::{Codec, Tag, TagKind},
    mp4::writer::{
        Track,
        configs::{Config, Configs, samples},
    },
};
use alloc::vec::Vec;

/// Milliseconds of one kind that wait for the other, and by which sound may be older than the first picture.
pub(super) const WAIT: i64 = 1000;
/// Bytes of the same.
pub(super) const MAX_BYTES: usize = 8 << 20;
/// Bytes that a tag costs while it waits, beside its body.
const TAG_COST: usize = 128;

/// Frames that wait.
#[derive(Debug, Default)]
pub(super) struct Gather {
    clock: Clock,
    frames: Vec<Held>,
    bytes: usize,
    keyframe_at: Option<i64>,
    /// First and newest frame, also of those that were let go.
    heard: Option<(i64, i64)>,
    /// What has just been lost is not waited for.
    without: Option<TagKind>,
}

/// A frame, its place on the clock and when it came.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) at: i64,
    pub(super) came: WallTime,
    pub(super) tag: Tag,
}

/// What an epoch begins with. Video is the first track.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) tracks: Vec<(Config, Track)>,
    pub(super) frames: Vec<Held>,
    pub(super) clock: Clock,
}

impl Gather {
    /// For what follows an epoch that lost a kind of media.
    pub(super) fn without(kind: Option<TagKind>) -> Gather {
        Gather { without: kind, ..Gather::default() }
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Takes a tag. Gives all of them when an epoch can begin.
    pub(super) fn push(&mut self, tag: &Tag, came: WallTime, configs: &Configs) -> Option<Start> {
        let chosen = chosen(configs, tag.kind)?;
        if !samples(0, tag).any(|(lane, _)| lane == Some(chosen.lane)) {
            return None;
        }
        let at = match self.clock.place(tag.kind, tag.timestamp) {
            Place::At(at) => at,
            Place::Foreign => return None,
            Place::Jump => {
                *self = Gather::without(self.without);
                self.clock.place(tag.kind, tag.timestamp);
                0
            }
        };
        let (first, newest) = self.heard.unwrap_or((at, at));
        self.heard = Some((first, newest.max(at)));
        let is_keyframe = tag.classify().is_keyframe();
        if tag.kind == TagKind::Audio || is_keyframe || self.keyframe_at.is_some() {
            self.bytes += held_len(tag);
            self.frames.push(Held { at, came, tag: tag.clone() });
        }
        if is_keyframe && self.keyframe_at.is_none() {
            self.keyframe_at = Some(at);
            self.forget_before(at - WAIT);
        }
        if self.is_ready(configs) {
            return self.start(configs);
        }
        if self.keyframe_at.is_none() && self.waits_for_video(configs) {
            self.forget_before(newest.max(at) - WAIT);
        }
        None
    }

    /// All there is, for a stream that ends before it has begun.
    pub(super) fn finish(&mut self, configs: &Configs) -> Option<Start> {
        self.start(configs)
    }

    fn waits_for_video(&self, configs: &Configs) -> bool {
        self.without != Some(TagKind::Video) && chosen(configs, TagKind::Video).is_some()
    }

    fn is_ready(&self, configs: &Configs) -> bool {
        let has_audio = self.frames.iter().any(|held| held.tag.kind == TagKind::Audio);
        let (first, newest) = self.heard.unwrap_or_default();
        let is_much = self.bytes > MAX_BYTES;
        match self.keyframe_at {
            Some(keyframe) => {
                has_audio || is_much || newest - keyframe >= WAIT || self.without == Some(TagKind::Audio)
            }
            None if self.waits_for_video(configs) => has_audio && newest - first >= MAX_GAP,
            None => has_audio && (is_much || newest - first >= WAIT),
        }
    }

    fn forget_before(&mut self, at: i64) {
        self.frames.retain(|held| held.at >= at);
        self.bytes = self.frames.iter().map(|held| held_len(&held.tag)).sum();
        // Sound without an end in one millisecond.
        if self.bytes > MAX_BYTES {
            (self.frames, self.bytes) = (Vec::new(), 0);
        }
    }

    fn start(&mut self, configs: &Configs) -> Option<Start> {
        let Gather { clock, frames, .. } = core::mem::take(self);
        let mut tracks = Vec::new();
        for kind in [TagKind::Video, TagKind::Audio] {
            let config = chosen(configs, kind).filter(|_| frames.iter().any(|held| held.tag.kind == kind));
            let Some(config) = config else { continue };
            if let Some(track) = configs.track(config, frames.iter().map(|held| &held.tag)) {
                tracks.push((config.clone(), track));
            }
        }
        (!tracks.is_empty()).then_some(Start { tracks, frames, clock })
    }
}

fn held_len(tag: &Tag) -> usize {
    tag.body.len() + TAG_COST
}

/// The track of a kind that is carried: the first one that can be.
pub(super) fn chosen(configs: &Configs, kind: TagKind) -> Option<&Config> {
    configs.iter().find(|config| config.lane.kind == kind && is_carried(configs, config))
}

/// Whether a segment can hold the track, and players can be told what it is.
pub(super) fn is_carried(configs: &Configs, config: &Config) -> bool {
    let has_sets = match config.lane.codec {
        // Some encoders send a record without parameter sets first.
        Codec::H264 => h264::Record::parse(&config.record).is_some_and(|record| !record.sps.is_empty()),
        // Browsers play it in WebM alone.
        Codec::Vp8 => false,
        _ => true,
    };
    has_sets
        && names::rfc6381(config.lane.codec, &config.record).is_some()
        && configs.track(config, core::iter::empty()).is_some()
}
