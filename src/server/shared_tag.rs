//! A tag on its way through the server: classified once, shared by all threads; and its bytes in each form that players
//! take, alone or as a piece with others.

use super::{
    SEND_CHUNK_SIZE,
    rtsp::{
        line::Numbered,
        packets::{Carrier, Packets},
    },
};
use crate::{
    base::Timestamp,
    flv::{Tag, TagKind, TagRole, Timeline, configuration::Held, writer},
    http::{self, Framing},
    rtmp::{MessageStreamId, chunk::EncodedTags},
};
use alloc::{borrow::Cow, boxed::Box, sync::Arc};
use std::sync::OnceLock;

/// In which form a player gets tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As chunks.
    Rtmp,
    /// As a part of an FLV file, with that around it.
    Flv(Framing),
    /// As packets of RTP, carried so.
    Rtp(Carrier),
}

/// Tags in a form that players take.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Rtmp(EncodedTags),
    Flv(http::Piece),
    Rtp(Packets),
}

impl Piece {
    /// Several tags as one, which is not held. `None` if some of them have no number in RTP: the stream is another by now than the
    /// one that such players know.
    pub(super) fn of<'a>(form: Form, tags: impl Iterator<Item = &'a SharedTag> + Clone) -> Option<Piece> {
        Some(match form {
            Form::Rtmp => Piece::Rtmp(encode_all(tags)),
            Form::Flv(framing) => Piece::Flv(flv_of(framing, tags)),
            Form::Rtp(carrier) => {
                let frames = tags.filter(|tag| tag.is_frame());
                if !frames.clone().all(|tag| tag.numbered().is_some()) {
                    return None;
                }
                Piece::Rtp(Packets::new(carrier, frames.filter_map(|tag| Some((&tag.tag, tag.numbered()?)))))
            }
        })
    }

    /// The bytes that are written, where they are one piece.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Piece::Rtmp(tags) => tags.bytes(),
            Piece::Flv(piece) => piece.bytes(),
            Piece::Rtp(packets) => packets.bytes(),
        }
    }
}

/// A tag and what every player of it needs.
#[derive(Debug)]
pub(super) struct SharedTag {
    tag: Tag,
    role: TagRole,
    rtmp: OnceLock<Piece>,
    flv: OnceLock<Piece>,
    /// Its place among the packets of its stream, once somebody plays that by RTP.
    numbered: OnceLock<Box<Numbered>>,
}

impl SharedTag {
    /// Classifies `tag`.
    pub(super) fn new(tag: Tag) -> SharedTag {
        let role = tag.classify().role;
        SharedTag::of(tag, role)
    }

    fn of(tag: Tag, role: TagRole) -> SharedTag {
        SharedTag { tag, role, rtmp: OnceLock::new(), flv: OnceLock::new(), numbered: OnceLock::new() }
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

    /// In a form that players take. Built on first use and held as long as the tag, in the ways that nearly all players
    /// have: chunks for the first message stream, FLV without framing, which each session puts around it, and RTP carried
    /// as most clients ask for it. As [`Piece::of`].
    pub(super) fn piece(&self, form: Form) -> Option<Cow<'_, Piece>> {
        let held = match form {
            Form::Rtmp => self.rtmp.get_or_init(|| Piece::Rtmp(encode_all([self]))),
            Form::Flv(_) => self.flv.get_or_init(|| Piece::Flv(flv_of(Framing::Plain, [self]))),
            Form::Rtp(carrier) => {
                let numbered = self.numbered()?;
                let build = || Piece::Rtp(Packets::new(carrier, [(&self.tag, numbered)].into_iter()));
                match numbered.held(carrier) {
                    Some(held) => held.get_or_init(build),
                    None => return Some(Cow::Owned(build())),
                }
            }
        };
        Some(Cow::Borrowed(held))
    }

    /// Its place among the packets of its stream.
    pub(super) fn numbered(&self) -> Option<&Numbered> {
        self.numbered.get().map(|numbered| &**numbered)
    }

    /// Gives it its place, unless it has one.
    pub(super) fn number(&self, numbered: Numbered) {
        let _ = self.numbered.set(Box::new(numbered));
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
        SharedTag::of(tag, self.role)
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

fn flv_of<'a>(framing: Framing, tags: impl IntoIterator<Item = &'a SharedTag>) -> http::Piece {
    http::Piece::new(framing, |bytes| {
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
