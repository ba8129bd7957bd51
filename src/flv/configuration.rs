//! Which configuration is in force at one place of a stream: metadata, sequence headers and what belongs to them, track by
//! track.
//!
//! In: tags in their order. Out: whether each of them changes anything, and the tags that somebody needs who begins here,
//! in the order in which players need them. For streams (late joiners, recordings) and for files (seeks, rounds) alike;
//! [`Held`] lets each keep its tags its own way. Not here: what the records in them say.
//! Bounds: [`MAX_TAGS`] and [`MAX_BYTES`]; what is beyond is not kept.

use super::{Tag, TagKind, TagRole};
use crate::base::Timestamp;
use alloc::vec::Vec;

/// Configuration tags of one stream: two kinds of media with some tracks each, and metadata. Real streams use 3 to 8.
pub const MAX_TAGS: usize = 64;
/// Bytes of all configuration tags of one stream. Real ones hold less than 1 KiB, a keyframe index in `onMetaData`
/// some hundred.
pub const MAX_BYTES: usize = 2 << 20;

/// A tag, however somebody keeps it.
pub trait Held: Clone {
    /// The tag.
    fn tag(&self) -> &Tag;
    /// What it is for.
    fn role(&self) -> TagRole;
    /// The same at another time.
    #[must_use]
    fn at(&self, timestamp: Timestamp) -> Self;
}

impl Held for Tag {
    fn tag(&self) -> &Tag {
        self
    }

    fn role(&self) -> TagRole {
        self.classify().role
    }

    fn at(&self, timestamp: Timestamp) -> Tag {
        Tag { timestamp, ..self.clone() }
    }
}

/// The newest metadata, sequence headers and the like, in the order a player needs them.
#[derive(Clone, Debug)]
pub struct Configuration<T = Tag>(Vec<Entry<T>>);

#[derive(Clone, Debug)]
struct Entry<T> {
    rank: u8,
    tracks: TrackSet,
    held: T,
}

/// What a tag does to a [`Configuration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it is no configuration.
    Unrelated,
    /// Nothing: what it says is in force already.
    Repeated,
    /// Something is in force that was not, and what came before can be decoded as ever.
    Changed,
    /// A sequence header that differs from the one before: what came before cannot be decoded with it.
    NewSequence,
}

impl<T> Default for Configuration<T> {
    fn default() -> Configuration<T> {
        Configuration(Vec::new())
    }
}

impl<T: Held> Configuration<T> {
    /// Keeps `held` if it is configuration and says something new; it replaces what is of the same kind and for no other
    /// tracks.
    pub fn update(&mut self, held: &T) -> Change {
        let (tag, role) = (held.tag(), held.role());
        if role == TagRole::ClearMetadata {
            let before = self.0.len();
            self.0.retain(|old| old.rank != METADATA);
            return if self.0.len() < before { Change::Changed } else { Change::Repeated };
        }
        let Some(rank) = rank(tag.kind, role) else { return Change::Unrelated };
        let tracks = TrackSet::of(tag);
        let newest = self.0.iter().rfind(|old| old.rank == rank && old.tracks.overlap(&tracks));
        if newest.is_some_and(|old| old.held.tag().body == tag.body) {
            return Change::Repeated;
        }
        let is_new_sequence = newest.is_some() && role == TagRole::SequenceHeader;
        self.0.retain(|old| !(old.rank == rank && old.tracks.are_within(&tracks)));
        let bytes: usize = self.iter().map(|old| old.tag().body.len()).sum();
        if self.0.len() < MAX_TAGS && bytes + tag.body.len() <= MAX_BYTES {
            let behind = self.0.partition_point(|old| old.rank <= rank);
            self.0.insert(behind, Entry { rank, tracks, held: held.clone() });
        }
        if is_new_sequence { Change::NewSequence } else { Change::Changed }
    }

    /// Metadata first, then video, then audio.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|entry| &entry.held)
    }

    /// The same with every timestamp moved to `timestamp`, that of the first frame behind them: older ones would
    /// let a player's clock start hours early. Metadata, which no clock looks at, is at 0: anything else ffmpeg takes for
    /// subtitles that begin there, and lists a stream of them.
    #[must_use]
    pub fn at(&self, timestamp: Timestamp) -> Configuration<T> {
        let restamp = |old: &Entry<T>| {
            let timestamp = if old.rank == METADATA { Timestamp(0) } else { timestamp };
            match old.held.tag().timestamp == timestamp {
                true => old.clone(),
                false => Entry { held: old.held.at(timestamp), ..*old },
            }
        };
        Configuration(self.0.iter().map(restamp).collect())
    }
}

/// Order in front of a player; equal for tags that can replace each other.
fn rank(kind: TagKind, role: TagRole) -> Option<u8> {
    Some(match (role, kind) {
        (TagRole::Metadata, _) => METADATA,
        (TagRole::SequenceHeader, TagKind::Video) => 1,
        (TagRole::VideoMetadata, _) => 2,
        (TagRole::SequenceHeader, _) => 3,
        (TagRole::MultichannelConfig, _) => 4,
        _ => return None,
    })
}

/// Of all ranks, the first.
const METADATA: u8 = 0;

/// A set of track ids.
#[derive(Clone, Copy, Debug, Default)]
struct TrackSet([u64; 4]);

impl TrackSet {
    /// Of metadata, which is for all tracks, as if it were for the first.
    fn of(tag: &Tag) -> TrackSet {
        let mut set = TrackSet::default();
        for track in tag.classify().tracks() {
            set.insert(track.id);
        }
        if tag.kind == TagKind::Data {
            set.insert(0);
        }
        set
    }

    fn insert(&mut self, id: u8) {
        self.0[usize::from(id / 64)] |= 1 << (id % 64);
    }

    fn are_within(&self, other: &TrackSet) -> bool {
        self.0.iter().zip(other.0).all(|(own, other)| own & !other == 0)
    }

    fn overlap(&self, other: &TrackSet) -> bool {
        self.0.iter().zip(other.0).any(|(own, other)| own & other != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Tag {
        Tag::new(kind, Timestamp(timestamp), body.into())
    }

    fn video_header(timestamp: u32, version: u8) -> Tag {
        tag(TagKind::Video, timestamp, &[0x17, 0, 0, 0, 0, version])
    }

    fn metadata(timestamp: u32, version: u8) -> Tag {
        tag(TagKind::Data, timestamp, &[&b"\x02\0\x0aonMetaData\x01"[..], &[version]].concat())
    }

    /// A sequence header of HEVC for one track of several.
    fn one_track(id: u8, version: u8) -> Tag {
        tag(TagKind::Video, 0, &[0x96, 0x00, b'h', b'v', b'c', b'1', id, version])
    }

    /// The same for two tracks in one tag.
    fn two_tracks(version: u8) -> Tag {
        let tracks = [0, 1].map(|id| [id, 0, 0, 1, version]).concat();
        tag(TagKind::Video, 0, &[&[0x96, 0x10, b'h', b'v', b'c', b'1'], &tracks[..]].concat())
    }

    fn of(tags: &[Tag]) -> Configuration {
        let mut configuration = Configuration::default();
        for tag in tags {
            configuration.update(tag);
        }
        configuration
    }

    fn all(configuration: &Configuration) -> Vec<Tag> {
        configuration.iter().cloned().collect()
    }

    #[test]
    fn tags_stand_in_the_order_players_need_however_they_came() {
        let audio = tag(TagKind::Audio, 0, &[0xaf, 0, 1, 2]);
        let color = tag(TagKind::Video, 0, &[0x94, b'h', b'v', b'c', b'1', 2, 0, 0]);
        let channels = tag(TagKind::Audio, 0, &[0x94, b'O', b'p', b'u', b's', 1, 2, 0, 0, 0, 0]);
        let wanted = [metadata(0, 1), video_header(0, 1), color, audio, channels];
        let mut came = wanted.clone();
        came.reverse();
        let mut configuration = Configuration::default();
        for tag in &came {
            assert_eq!(configuration.update(tag), Change::Changed, "{tag:?}");
        }
        assert_eq!(all(&configuration), wanted);
        assert_eq!(all(&of(&wanted)), wanted);
    }

    #[test]
    fn each_tag_is_told_by_what_it_changes() {
        let mut configuration = Configuration::default();
        for (tag, change) in [
            (tag(TagKind::Video, 0, &[0x17, 1, 0, 0, 0, 1]), Change::Unrelated),
            (video_header(0, 1), Change::Changed),
            (video_header(900, 1), Change::Repeated),
            (video_header(901, 2), Change::NewSequence),
            (metadata(902, 7), Change::Changed),
            (metadata(903, 7), Change::Repeated),
            (metadata(904, 8), Change::Changed),
        ] {
            assert_eq!(configuration.update(&tag), change, "{tag:?}");
        }
        assert_eq!(all(&configuration), [metadata(904, 8), video_header(901, 2)]);
    }

    #[test]
    fn withdrawn_metadata_is_gone() {
        let clear = tag(TagKind::Data, 0, b"\x02\0\x0f@clearDataFrame");
        let mut configuration = of(&[metadata(0, 1), video_header(0, 1)]);
        assert_eq!(configuration.update(&clear), Change::Changed);
        assert_eq!(all(&configuration), [video_header(0, 1)]);
        assert_eq!(configuration.update(&clear), Change::Repeated);
    }

    #[test]
    fn every_track_has_its_own() {
        let mut configuration = of(&[one_track(0, 1), one_track(200, 1)]);
        assert_eq!(configuration.update(&one_track(0, 1)), Change::Repeated);
        assert_eq!(configuration.update(&one_track(200, 2)), Change::NewSequence);
        assert_eq!(all(&configuration), [one_track(0, 1), one_track(200, 2)]);
    }

    #[test]
    fn a_tag_for_several_tracks_holds_until_all_of_them_have_another() {
        let mut configuration = of(&[one_track(0, 1), one_track(1, 1)]);
        assert_eq!(configuration.update(&two_tracks(2)), Change::NewSequence);
        assert_eq!(all(&configuration), [two_tracks(2)]);
        // The second track has none but that one.
        assert_eq!(configuration.update(&one_track(0, 3)), Change::NewSequence);
        assert_eq!(all(&configuration), [two_tracks(2), one_track(0, 3)]);
        // Said before, but not in force for both.
        assert_eq!(configuration.update(&two_tracks(2)), Change::NewSequence);
        assert_eq!(all(&configuration), [two_tracks(2)]);
    }

    #[test]
    fn it_is_bounded() {
        let mut configuration = Configuration::default();
        for id in 0..=255 {
            configuration.update(&one_track(id, 1));
        }
        assert_eq!(configuration.iter().count(), MAX_TAGS);
        let big = tag(TagKind::Video, 0, &[&[0x17, 0, 0, 0, 0][..], &vec![0; MAX_BYTES]].concat());
        // What it would have replaced does not hold any more.
        assert_eq!(all(&of(&[video_header(0, 1), big])), []);
    }

    #[test]
    fn all_but_metadata_can_be_moved_to_the_time_of_the_first_frame() {
        let moved = of(&[metadata(5, 1), video_header(0, 1)]).at(Timestamp(70));
        assert_eq!(all(&moved), [metadata(0, 1), video_header(70, 1)]);
    }
}
