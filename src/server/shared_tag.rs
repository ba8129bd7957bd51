//! A tag on its way through the server: classified once, built into each output form once, shared by all players.

use super::SEND_CHUNK_SIZE;
use crate::{
    flv::{Tag, TagKind, TagRole},
    rtmp::{MessageStreamId, Timestamp, chunk::EncodedTag},
};
use std::sync::OnceLock;

/// A tag and what every player of it needs.
#[derive(Debug)]
pub(super) struct SharedTag {
    tag: Tag,
    role: TagRole,
    rtmp: OnceLock<EncodedTag>,
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

    /// What it is for.
    pub(super) fn role(&self) -> TagRole {
        self.role
    }

    /// As chunks for the message stream id and chunk size that nearly every player has; built on first use.
    pub(super) fn encoded(&self) -> &EncodedTag {
        self.rtmp.get_or_init(|| EncodedTag::new(&self.tag, PLAYER_STREAM, SEND_CHUNK_SIZE))
    }

    /// Whether chunks are held beside the tag.
    #[cfg(test)]
    pub(super) fn is_encoded(&self) -> bool {
        self.rtmp.get().is_some()
    }

    /// A picture that needs earlier ones.
    pub(super) fn is_inter_frame(&self) -> bool {
        self.tag.kind == TagKind::Video && self.role == TagRole::Frame
    }

    /// Audio or video that is shown or heard at its timestamp, unlike configuration and commands.
    pub(super) fn is_frame(&self) -> bool {
        matches!(self.role, TagRole::Keyframe | TagRole::Frame)
    }

    /// Replaces something that late joiners get first.
    pub(super) fn is_configuration(&self) -> bool {
        matches!(
            self.role,
            TagRole::Metadata
                | TagRole::SequenceHeader
                | TagRole::VideoMetadata
                | TagRole::MultichannelConfig
        )
    }

    /// The same tag at another time; shares the body.
    pub(super) fn at(&self, timestamp: Timestamp) -> SharedTag {
        let tag = Tag { timestamp, ..self.tag.clone() };
        SharedTag { tag, role: self.role, rtmp: OnceLock::new() }
    }
}

/// The message stream id of a player's first (and with every real player only) stream.
const PLAYER_STREAM: MessageStreamId = MessageStreamId(1);
