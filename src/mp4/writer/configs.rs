//! Which tracks a stream has, how each is decoded, and which bytes of a tag are its samples.
//!
//! Not [`crate::flv::Configuration`], which keeps tags: a header has an entry for each track, with the record alone, for MP3 as
//! well, which is known by its frames.
//! Bounds: [`MAX_TRACKS`] records, each as long as the tag that it came in.

use super::{Sample, Track};
use crate::{
    base::Payload,
    codec::{self, vpx},
    flv::{Codec, Tag, TagKind, TagRole},
};
use alloc::vec::Vec;

/// Tracks of a file: as many as any stream has, and some.
pub(super) const MAX_TRACKS: usize = 16;
/// Bytes of a configuration record; a greater one is none. Real ones have some hundred.
const MAX_RECORD: usize = 64 << 10;

/// The newest configuration of each track.
#[derive(Clone, Debug)]
pub(crate) struct Configs {
    /// Pixels of video whose configuration does not tell.
    pub(crate) size: (u32, u32),
    entries: Vec<Config>,
}

/// How a track is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) lane: Lane,
    pub(crate) record: Payload,
}

/// Which frames belong to a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) kind: TagKind,
    pub(crate) id: u8,
    pub(crate) codec: Codec,
}

impl Configs {
    /// Of a stream that nothing is known of but width and height, 0 if not even those.
    pub(crate) const fn new(size: (u32, u32)) -> Configs {
        Configs { size, entries: Vec::new() }
    }

    /// In the order in which they became known.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Config> {
        self.entries.iter()
    }

    /// Learns the configuration that a tag holds: of codecs that have none of their own, a frame.
    pub(crate) fn note(&mut self, tag: &Tag) {
        let class = tag.classify();
        let is_header = class.role == TagRole::SequenceHeader;
        for track in class.tracks() {
            let is_told = |codec: &Codec| is_header || class.role.is_frame() && is_known_by_frames(*codec);
            let Some(codec) = track.codec.filter(is_told) else { continue };
            let lane = Lane { kind: tag.kind, id: track.id, codec };
            let is_same = |config: &Config| config.lane.kind == lane.kind && config.lane.id == lane.id;
            if track.data.len() > MAX_RECORD {
                continue;
            }
            let record = tag.body.slice(track.data);
            match self.entries.iter().position(is_same) {
                Some(known) if is_header || self.entries[known].lane != lane => {
                    self.entries[known] = Config { lane, record };
                }
                None if self.entries.len() < MAX_TRACKS => self.entries.push(Config { lane, record }),
                _ => {}
            }
        }
    }

    /// The track of a configuration; `None` if MP4 has no entry for it. Frames tell the size of what does not by itself.
    pub(crate) fn track<'a>(
        &self,
        config: &Config,
        mut frames: impl Iterator<Item = &'a Tag>,
    ) -> Option<Track> {
        let Config { lane, ref record } = *config;
        let in_frame = match lane.codec {
            Codec::Vp8 => vpx::vp8_dimensions,
            Codec::Vp9 => vpx::vp9_dimensions,
            _ if lane.kind == TagKind::Video => {
                let size = codec::dimensions(lane.codec, record).unwrap_or(self.size);
                return Track::video(lane.codec, record, size);
            }
            _ => return Track::audio(lane.codec, record),
        };
        let of_frame = |tag: &Tag| {
            let mut tracks =
                tag.classify().tracks().filter(|track| tag.kind == lane.kind && track.id == lane.id);
            in_frame(&tag.body[tracks.next()?.data])
        };
        let size = frames.find_map(of_frame).unwrap_or(self.size);
        Track::video(lane.codec, record, size)
    }
}

/// It has no configuration but what stands in each frame.
fn is_known_by_frames(codec: Codec) -> bool {
    matches!(codec, Codec::Mp3)
}

/// The samples in a tag, and the track of each: `None` if nobody knows its codec.
pub(crate) fn samples(at: u64, tag: &Tag) -> impl Iterator<Item = (Option<Lane>, Sample)> {
    let class = tag.classify();
    let tracks = class.role.is_frame().then(|| class.tracks());
    let is_sync = tag.kind == TagKind::Audio || class.is_keyframe();
    tracks.into_iter().flatten().filter_map(move |track| {
        let lane = track.codec.map(|codec| Lane { kind: tag.kind, id: track.id, codec });
        let data = tag.body.slice(track.data);
        let sample = Sample { at, composition_time: track.composition_time, is_sync, data };
        (!sample.data.is_empty()).then_some((lane, sample))
    })
}
