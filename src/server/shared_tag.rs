//! A tag on its way through the server: classified once, shared by all threads; and its bytes in each form that players
//! take, alone or as a piece with others.

use super::SEND_CHUNK_SIZE;
use crate::{
    base::Timestamp,
    flv::{Tag, TagKind, TagRole, Timeline, configuration::Held, writer},
    http::{Framing, Piece},
    rtmp::{MessageStreamId, chunk::EncodedTags},
};
use alloc::{sync::Arc, vec::Vec};
use core::cell::OnceCell;
use std::sync::OnceLock;

/// In which form a player gets tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As chunks.
    Rtmp,
    /// As a part of an FLV file, with that around it.
    Flv(Framing),
}

impl Form {
    /// Every one of them.
    pub(super) const ALL: [Form; 4] =
        [Form::Rtmp, Form::Flv(Framing::Plain), Form::Flv(Framing::Chunked), Form::Flv(Framing::WebSocket)];
}

/// Tags for a player, in whichever form it takes; built when the first one needs it.
#[derive(Clone, Copy)]
pub(super) enum Offer<'a> {
    /// One alone, whose bytes are held as long as the tag.
    Tag(&'a SharedTag),
    /// Several as one piece.
    Bundle(&'a Bundle<'a>),
}

/// Tags that were gathered.
pub(super) struct Bundle<'a> {
    tags: Vec<&'a SharedTag>,
    rtmp: OnceCell<EncodedTags>,
    /// By framing.
    flv: [OnceCell<Piece>; 3],
}

/// A tag and what every player of it needs.
#[derive(Debug)]
pub(super) struct SharedTag {
    tag: Tag,
    role: TagRole,
    rtmp: OnceLock<EncodedTags>,
    flv: OnceLock<Piece>,
}

impl SharedTag {
    /// Classifies `tag`.
    pub(super) fn new(tag: Tag) -> SharedTag {
        let role = tag.classify().role;
        SharedTag { tag, role, rtmp: OnceLock::new(), flv: OnceLock::new() }
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
    fn encoded(&self) -> &EncodedTags {
        self.rtmp.get_or_init(|| encode_all([self]))
    }

    /// As a part of an FLV file; each session puts its own few bytes around it.
    fn flv(&self) -> &Piece {
        self.flv.get_or_init(|| flv_of(Framing::Plain, [self]))
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
        SharedTag { tag, role: self.role, rtmp: OnceLock::new(), flv: OnceLock::new() }
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

impl<'a> Bundle<'a> {
    pub(super) fn new(tags: impl IntoIterator<Item = &'a SharedTag>) -> Bundle<'a> {
        Bundle { tags: tags.into_iter().collect(), rtmp: OnceCell::new(), flv: Default::default() }
    }

    /// The bytes of that form.
    pub(super) fn bytes(&self, form: Form) -> &[u8] {
        match form {
            Form::Rtmp => Offer::Bundle(self).rtmp().bytes(),
            Form::Flv(framing) => Offer::Bundle(self).flv(framing).bytes(),
        }
    }
}

impl<'a> Offer<'a> {
    pub(super) fn rtmp(self) -> &'a EncodedTags {
        match self {
            Offer::Tag(tag) => tag.encoded(),
            Offer::Bundle(bundle) => bundle.rtmp.get_or_init(|| encode_all(bundle.tags.iter().copied())),
        }
    }

    pub(super) fn flv(self, framing: Framing) -> &'a Piece {
        match self {
            Offer::Tag(tag) => tag.flv(),
            Offer::Bundle(bundle) => {
                let place = match framing {
                    Framing::Plain => 0,
                    Framing::Chunked => 1,
                    Framing::WebSocket => 2,
                };
                bundle.flv[place].get_or_init(|| flv_of(framing, bundle.tags.iter().copied()))
            }
        }
    }
}

fn flv_of<'a>(framing: Framing, tags: impl IntoIterator<Item = &'a SharedTag>) -> Piece {
    Piece::new(framing, |bytes| {
        for tag in tags {
            // Fails for bodies that no publisher can send: they are longer than a message.
            let _ = writer::write_tag(bytes, &tag.tag);
        }
    })
}

/// Tags as one piece of chunks for the same players, which is not held.
fn encode_all<'a>(tags: impl IntoIterator<Item = &'a SharedTag>) -> EncodedTags {
    let tags = tags.into_iter().map(|tag| tag.tag.clone()).collect();
    EncodedTags::new(tags, PLAYER_STREAM, SEND_CHUNK_SIZE)
}

/// What a tag costs beside its body, its chunk headers included. Counted so that a flood of empty tags is bounded as
/// well.
pub(super) const OVERHEAD: usize = 256;

/// The message stream id of a player's first (and with every real player only) stream.
const PLAYER_STREAM: MessageStreamId = MessageStreamId(1);
