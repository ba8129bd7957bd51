//! The message streams of one server connection, and what each does.
//!
//! Ids are handed out 1, 2, 3, ... and never again on the same connection, so that a late message for a deleted
//! stream cannot hit a new one. Bound: `max_message_streams` at a time.

use super::event::Wanted;
use crate::{
    amf::Value,
    rtmp::{MessageStreamId, message::Command},
};
use alloc::{string::String, vec::Vec};

/// What a message stream of either role does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Nothing yet, or no more.
    Idle,
    /// Publishes under this name as sent; for a server, once that was accepted.
    Publishing { name: String },
    /// Plays; for a server, once that was accepted.
    Playing,
    /// Plays something recorded; only a server tells the difference.
    Replaying,
}

impl Use {
    pub(super) fn is_publishing(&self) -> bool {
        matches!(self, Use::Publishing { .. })
    }

    pub(super) fn is_playing(&self) -> bool {
        matches!(self, Use::Playing | Use::Replaying)
    }
}

#[derive(Debug)]
struct Entry {
    id: MessageStreamId,
    doing: Use,
    /// Outlives what the stream plays.
    wanted: Wanted,
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    /// One that plays, for [`Streams::plays`].
    playing: Option<MessageStreamId>,
    entries: Vec<Entry>,
    last_id: u32,
}

impl Streams {
    /// A new idle stream; `None` at the ceiling.
    pub(super) fn create(&mut self, ceiling: usize) -> Option<MessageStreamId> {
        if self.entries.len() >= ceiling {
            return None;
        }
        self.last_id = self.last_id.checked_add(1)?;
        let id = MessageStreamId(self.last_id);
        self.entries.push(Entry { id, doing: Use::Idle, wanted: Wanted::default() });
        Some(id)
    }

    pub(super) fn get(&self, id: MessageStreamId) -> Option<&Use> {
        self.entries.iter().find(|entry| entry.id == id).map(|entry| &entry.doing)
    }

    /// Whether that one plays. Asked for every write to every player, so that the usual answer takes no look at the
    /// entries.
    pub(super) fn plays(&self, id: MessageStreamId) -> bool {
        self.playing == Some(id) || self.get(id).is_some_and(Use::is_playing)
    }

    /// Lets a stream do something else; returns what it did. `None` if there is no such stream.
    pub(super) fn set(&mut self, id: MessageStreamId, doing: Use) -> Option<Use> {
        let entry = self.entries.iter_mut().find(|entry| entry.id == id)?;
        let before = core::mem::replace(&mut entry.doing, doing);
        self.note_playing();
        Some(before)
    }

    /// Of a stream that exists; everything, of any other.
    pub(super) fn wanted(&self, id: MessageStreamId) -> Wanted {
        self.entries.iter().find(|entry| entry.id == id).map(|entry| entry.wanted).unwrap_or_default()
    }

    pub(super) fn wanted_mut(&mut self, id: MessageStreamId) -> Option<&mut Wanted> {
        self.entries.iter_mut().find(|entry| entry.id == id).map(|entry| &mut entry.wanted)
    }

    pub(super) fn remove(&mut self, id: MessageStreamId) {
        self.entries.retain(|entry| entry.id != id);
        self.note_playing();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MessageStreamId, &Use)> {
        self.entries.iter().map(|entry| (entry.id, &entry.doing))
    }

    pub(super) fn any(&self, condition: impl Fn(&Use) -> bool) -> bool {
        self.entries.iter().any(|entry| condition(&entry.doing))
    }

    /// The stream a message means: its own id, or, for id 0, the only stream the condition holds for. Players
    /// send pause and seek on 0 after losing state, encoders their metadata.
    pub(super) fn meant(&self, id: MessageStreamId, condition: fn(&Use) -> bool) -> Option<MessageStreamId> {
        if id != MessageStreamId::CONNECTION {
            return self.get(id).filter(|doing| condition(doing)).map(|_| id);
        }
        self.only(condition)
    }

    /// The stream that deleteStream, closeStream or FCUnpublish ends. They come on the stream or on 0, with its
    /// id, with its name (GStreamer), or with nothing.
    pub(super) fn meant_by(&self, id: MessageStreamId, command: &Command) -> Option<MessageStreamId> {
        if let Some(Value::Number(number)) = command.arg(0) {
            // Saturating: a number that is no id names no stream.
            return Some(MessageStreamId(*number as u32)).filter(|id| self.get(*id).is_some());
        }
        if let Some(name) = command.string_arg(0) {
            let named = |doing: &Use| matches!(doing, Use::Publishing { name: own } if own == name);
            if let Some((id, _)) = self.iter().find(|(_, doing)| named(doing)) {
                return Some(id);
            }
        }
        if self.get(id).is_some() { Some(id) } else { self.only(|doing| *doing != Use::Idle) }
    }

    fn note_playing(&mut self) {
        self.playing = self.entries.iter().find(|entry| entry.doing.is_playing()).map(|entry| entry.id);
    }

    fn only(&self, condition: fn(&Use) -> bool) -> Option<MessageStreamId> {
        let mut fitting = self.iter().filter(|(_, doing)| condition(doing));
        let (id, _) = fitting.next()?;
        fitting.next().is_none().then_some(id)
    }
}
