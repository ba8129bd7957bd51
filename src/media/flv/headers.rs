//! Which sequence headers and the like hold at which place of an FLV file.
//!
//! Bounds: [`MAX_HEADERS`] at one place, [`MAX_CHANGES`] and [`MAX_BYTES`] in all; what is beyond is passed on in its place,
//! but not known to a seek.

use crate::flv::{Tag, TagClass, TagKind, TagRole};
use alloc::{collections::BTreeMap, vec::Vec};

/// Tags that hold at one place: two kinds of media with some tracks each.
const MAX_HEADERS: usize = 64;
/// Bytes of one of them. Real ones have some hundred at most.
const MAX_HEADER_LEN: usize = 64 << 10;
/// Changes of configuration that are remembered.
const MAX_CHANGES: usize = 256;
/// Bytes of their bodies.
const MAX_BYTES: usize = 1 << 20;

/// The configuration at one place, in the order that players need.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers(Vec<Tag>);

impl Headers {
    /// Takes note of a tag. True if it is configuration and changes something.
    pub(super) fn update(&mut self, tag: &Tag) -> bool {
        let class = tag.classify();
        let Some(rank) = rank(tag.kind, class.role) else { return false };
        let place = self.0.iter().position(|old| is_same(old, rank, &class));
        if place.is_some_and(|place| self.0[place].body == tag.body) {
            return false;
        }
        if let Some(place) = place {
            self.0.remove(place);
        }
        if self.0.len() < MAX_HEADERS && tag.body.len() <= MAX_HEADER_LEN {
            let behind = self.0.partition_point(|old| rank_of(old) <= Some(rank));
            self.0.insert(behind, tag.clone());
        }
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Tag> {
        self.0.iter()
    }
}

/// Every change of configuration that was seen in a file, by place.
#[derive(Debug, Default)]
pub(super) struct Changes {
    tags: BTreeMap<u64, Tag>,
    bytes: usize,
}

impl Changes {
    /// Takes note of a tag at a place.
    pub(super) fn learn(&mut self, offset: u64, tag: &Tag) {
        let is_known = self.tags.contains_key(&offset);
        let has_room = self.tags.len() < MAX_CHANGES && self.bytes + tag.body.len() <= MAX_BYTES;
        if !is_known && has_room && self.before(offset).update(tag) {
            self.bytes += tag.body.len();
            self.tags.insert(offset, tag.clone());
        }
    }

    /// What holds right before a place.
    pub(super) fn before(&self, offset: u64) -> Headers {
        let mut headers = Headers::default();
        for tag in self.tags.range(..offset).map(|(_, tag)| tag) {
            headers.update(tag);
        }
        headers
    }
}

/// The tag is configuration.
pub(super) fn is_header(kind: TagKind, role: TagRole) -> bool {
    rank(kind, role).is_some()
}

/// Order in front of a player; `None` for what is no configuration of a track.
fn rank(kind: TagKind, role: TagRole) -> Option<u8> {
    Some(match (role, kind) {
        (TagRole::SequenceHeader, TagKind::Video) => 0,
        (TagRole::VideoMetadata, _) => 1,
        (TagRole::SequenceHeader, _) => 2,
        (TagRole::MultichannelConfig, _) => 3,
        _ => return None,
    })
}

fn rank_of(tag: &Tag) -> Option<u8> {
    rank(tag.kind, tag.classify().role)
}

/// One replaces the other: the same kind of configuration for the same tracks.
fn is_same(old: &Tag, rank: u8, new: &TagClass<'_>) -> bool {
    let ids = |class: &TagClass<'_>| class.tracks().map(|track| track.id).collect::<Vec<u8>>();
    rank_of(old) == Some(rank) && ids(&old.classify()) == ids(new)
}
