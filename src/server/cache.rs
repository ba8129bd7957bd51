//! What a late joiner gets before live tags: configuration ([`Headers`]) and the current group of pictures ([`Gop`]).
//!
//! Bounds: configuration of at most [`MAX_HEADERS`] tags and [`MAX_HEADER_BYTES`]; a GOP of at most the bytes given
//! and [`MAX_GOP_TIME`]. A GOP that passes its bounds is dropped whole, because part of one shows nothing; the next
//! keyframe starts over. A stream without keyframes (audio only) never starts one. Tags are shared with the live players,
//! whose chunks are pieces of their own (`room`); the first late joiner has its tags chunked one by one, and the others
//! share those up to the next keyframe.

use super::shared_tag::SharedTag;
use crate::{
    flv::{TagKind, TagRole},
    rtmp::Timestamp,
};
use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

/// Longest GOP that is kept: an encoder that sends one keyframe at its start must not fill the memory.
pub const MAX_GOP_TIME: Duration = Duration::from_secs(30);
/// Configuration tags of one stream: two kinds of media with some tracks each, and metadata. Real streams use 3 to 8.
pub const MAX_HEADERS: usize = 64;
/// Bytes of all configuration tags of one stream. Real ones hold less than 1 KiB, a keyframe index in `onMetaData`
/// some hundred.
pub const MAX_HEADER_BYTES: usize = 2 << 20;
/// The newest metadata, sequence headers and the like of one stream, in the order a player needs them.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers(Vec<Header>);

#[derive(Clone, Debug)]
struct Header {
    tracks: Tracks,
    tag: Arc<SharedTag>,
}

/// What [`Headers::update`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Update {
    /// Not configuration, or the same again, or the first of its kind.
    Compatible,
    /// A sequence header that differs from the one before: what was cached cannot be decoded with it.
    NewSequence,
}

impl Headers {
    /// Keeps `tag` if it is configuration; it replaces the last of the same kind and tracks.
    pub(super) fn update(&mut self, tag: &Arc<SharedTag>) -> Update {
        if tag.role() == TagRole::ClearMetadata {
            self.0.retain(|old| old.tag.role() != TagRole::Metadata);
            return Update::Compatible;
        }
        if !tag.is_configuration() {
            return Update::Compatible;
        }
        let new = Header { tracks: Tracks::of(tag), tag: tag.clone() };
        let mut update = Update::Compatible;
        self.0.retain(|old| {
            let is_replaced = rank(&old.tag) == rank(tag) && old.tracks.are_within(&new.tracks);
            if is_replaced && tag.role() == TagRole::SequenceHeader && old.tag.tag().body != tag.tag().body {
                update = Update::NewSequence;
            }
            !is_replaced
        });
        let bytes: usize = self.0.iter().map(|old| old.tag.tag().body.len()).sum();
        if self.0.len() < MAX_HEADERS && bytes + tag.tag().body.len() <= MAX_HEADER_BYTES {
            let behind = self.0.partition_point(|old| rank(&old.tag) <= rank(tag));
            self.0.insert(behind, new);
        }
        update
    }

    /// Metadata first, then video, then audio.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<SharedTag>> {
        self.0.iter().map(|header| &header.tag)
    }

    /// The same with every timestamp moved to `timestamp`, that of the first frame behind them: older ones would
    /// let the player's clock start hours early.
    pub(super) fn at(&self, timestamp: Timestamp) -> Headers {
        let restamp = |old: &Header| match old.tag.tag().timestamp == timestamp {
            true => old.clone(),
            false => Header { tracks: old.tracks, tag: Arc::new(old.tag.at(timestamp)) },
        };
        Headers(self.0.iter().map(restamp).collect())
    }
}

/// Order in front of a player; equal for tags that can replace each other.
fn rank(tag: &SharedTag) -> u8 {
    match (tag.role(), tag.tag().kind) {
        (TagRole::Metadata, _) => 0,
        (TagRole::SequenceHeader, TagKind::Video) => 1,
        (TagRole::VideoMetadata, _) => 2,
        (TagRole::SequenceHeader, _) => 3,
        _ => 4,
    }
}

/// A set of track ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tracks([u64; 4]);

impl Tracks {
    fn of(tag: &SharedTag) -> Tracks {
        let mut set = Tracks::default();
        for track in tag.tag().classify().tracks() {
            set.0[usize::from(track.id / 64)] |= 1 << (track.id % 64);
        }
        set
    }

    fn are_within(&self, other: &Tracks) -> bool {
        self.0.iter().zip(other.0).all(|(own, other)| own & !other == 0)
    }
}

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
    use crate::server::testing::{
        audio, audio_header, data, keyframe, metadata, shared, video, video_header,
    };
    use alloc::vec;

    fn roles(headers: &Headers) -> Vec<(TagKind, TagRole)> {
        headers.iter().map(|tag| (tag.tag().kind, tag.role())).collect()
    }

    #[test]
    fn headers_stand_in_the_order_players_need_however_they_came() {
        let mut headers = Headers::default();
        for tag in [audio_header(0), video_header(0, 1), metadata(0, 1)] {
            assert_eq!(headers.update(&shared(tag)), Update::Compatible);
        }
        let expected = vec![
            (TagKind::Data, TagRole::Metadata),
            (TagKind::Video, TagRole::SequenceHeader),
            (TagKind::Audio, TagRole::SequenceHeader),
        ];
        assert_eq!(roles(&headers), expected);
    }

    #[test]
    fn a_repeated_header_is_compatible_and_a_changed_one_is_not() {
        let mut headers = Headers::default();
        headers.update(&shared(video_header(0, 1)));
        assert_eq!(headers.update(&shared(video_header(900, 1))), Update::Compatible);
        assert_eq!(headers.update(&shared(video_header(901, 2))), Update::NewSequence);
        assert_eq!(headers.update(&shared(metadata(902, 7))), Update::Compatible);
        assert_eq!(roles(&headers).len(), 2);
    }

    #[test]
    fn headers_are_bounded() {
        let mut headers = Headers::default();
        // OneTrack HEVC sequence headers of 256 tracks.
        for track in 0..=255 {
            let body = vec![0x96, 0x00, b'h', b'v', b'c', b'1', track, 1];
            headers.update(&shared(video(0, body)));
        }
        assert_eq!(headers.iter().count(), MAX_HEADERS);
        let mut headers = Headers::default();
        let mut big = video_header(0, 1);
        big.body = [&big.body[..], &vec![0; MAX_HEADER_BYTES]].concat().into();
        headers.update(&shared(big));
        assert_eq!(headers.iter().count(), 0);
    }

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
