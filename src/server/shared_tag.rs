//! A tag on its way through the server: classified once, shared by all threads; and its chunks, alone or as a piece with
//! others.

use super::SEND_CHUNK_SIZE;
use crate::{
    base::Timestamp,
    flv::{Tag, TagKind, TagRole, Timeline, configuration::Held},
    rtmp::{MessageStreamId, chunk::EncodedTags},
};
use alloc::sync::Arc;
use std::sync::OnceLock;

/// A tag and what every player of it needs.
#[derive(Debug)]
pub(super) struct SharedTag {
    tag: Tag,
    role: TagRole,
    rtmp: OnceLock<EncodedTags>,
}

impl SharedTag {
    /// Classifies `tag`.
    pub(super) fn new(tag: Tag) -> SharedTag {
        let role = tag.classify().role;
        SharedTag { tag, role, rtmp: OnceLock::new() }
    }

    /// The tag itself.
    pub(super) fn tag(&self) -> &Tag {
        &self.tag
    }

    /// Bytes that it counts for wherever tags are held: its body, and [`OVERHEAD`].
    pub(super) fn weight(&self) -> usize {
        self.tag.body.len() + OVERHEAD
    }

    /// What it is for.
    pub(super) fn role(&self) -> TagRole {
        self.role
    }

    /// As chunks for the message stream id and chunk size that nearly every player has; built on first use, and
    /// held as long as the tag.
    pub(super) fn encoded(&self) -> &EncodedTags {
        self.rtmp.get_or_init(|| encode_all([self]))
    }

    /// A picture that needs earlier ones.
    pub(super) fn is_inter_frame(&self) -> bool {
        self.tag.kind == TagKind::Video && self.role == TagRole::Frame
    }

    /// Audio or video that is shown or heard at its timestamp, unlike configuration and commands.
    pub(super) fn is_frame(&self) -> bool {
        self.role.is_frame()
    }

    /// Replaces something that late joiners get first.
    pub(super) fn is_configuration(&self) -> bool {
        self.role.is_configuration()
    }

    /// The tag at its place in the outgoing time.
    pub(super) fn placed(self, timeline: &mut Timeline) -> SharedTag {
        let sent = self.tag.timestamp;
        let place = timeline.place(self.tag.kind, sent, self.is_frame());
        if place == sent { self } else { self.at(place) }
    }

    /// The same tag at another time; shares the body.
    pub(super) fn at(&self, timestamp: Timestamp) -> SharedTag {
        let tag = Tag { timestamp, ..self.tag.clone() };
        SharedTag { tag, role: self.role, rtmp: OnceLock::new() }
    }
}

impl Held for Arc<SharedTag> {
    fn tag(&self) -> &Tag {
        &self.tag
    }

    fn role(&self) -> TagRole {
        self.role
    }

    fn at(&self, timestamp: Timestamp) -> Arc<SharedTag> {
        Arc::new(SharedTag::at(self, timestamp))
    }
}

/// Tags as one piece of chunks for the same players, which is not held.
pub(super) fn encode_all<'a>(tags: impl IntoIterator<Item = &'a SharedTag>) -> EncodedTags {
    let tags = tags.into_iter().map(|tag| tag.tag.clone()).collect();
    EncodedTags::new(tags, PLAYER_STREAM, SEND_CHUNK_SIZE)
}

/// What a tag costs beside its body, its chunk headers included. Counted so that a flood of empty tags is bounded as
/// well.
pub(super) const OVERHEAD: usize = 256;

/// The message stream id of a player's first (and with every real player only) stream.
const PLAYER_STREAM: MessageStreamId = MessageStreamId(1);
