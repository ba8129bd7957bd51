//! Aggregate messages: FLV tags without a file header in one message (RTMP 1.0, 7.1.6).
//!
//! The sub-timestamps have FLV layout (24 low bits, then 8 high ones), whatever the RTMP text says, and are
//! rebased so that the first equals the message's own. Back pointers are skipped unread; the last may be missing.
//! Seen from FMS and hardware encoders only.

use super::{Ignored, data, type_id};
use crate::{
    base::{Payload, Timestamp, wire::Cursor},
    flv::{Tag, TagKind},
};

/// The tags of an aggregate, one by one, sharing its bytes. A part of another type (aggregates in aggregates, too)
/// is an error of its own; one that is cut short is the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    timestamp: Timestamp,
    first: Option<Timestamp>,
    body: Payload,
    position: usize,
}

impl Aggregate {
    pub(super) const fn new(timestamp: Timestamp, body: Payload) -> Aggregate {
        Aggregate { timestamp, first: None, body, position: 0 }
    }

    fn next_part(&mut self) -> Option<(u8, Timestamp, Payload)> {
        let mut cursor = Cursor::new(&self.body[self.position..]);
        let kind = cursor.u8()?;
        let length = cursor.u24()? as usize;
        let low = cursor.u24()?;
        let high = cursor.u8()?;
        cursor.u24()?; // stream id: that of the aggregate counts
        let start = self.position + cursor.position();
        cursor.take(length)?;
        let back_pointer = cursor.remaining().min(4);
        self.position = start + length + back_pointer;
        Some((kind, Timestamp(u32::from(high) << 24 | low), self.body.slice(start..start + length)))
    }
}

impl Iterator for Aggregate {
    type Item = Result<Tag, Ignored>;

    fn next(&mut self) -> Option<Result<Tag, Ignored>> {
        if self.position >= self.body.len() {
            return None;
        }
        let Some((kind, time, body)) = self.next_part() else {
            self.position = self.body.len();
            return Some(Err(Ignored::BadAggregate));
        };
        let first = *self.first.get_or_insert(time);
        let timestamp = self.timestamp.wrapping_add(time.wrapping_sub(first));
        Some(match kind {
            type_id::AUDIO => Ok(Tag::new(TagKind::Audio, timestamp, body)),
            type_id::VIDEO => Ok(Tag::new(TagKind::Video, timestamp, body)),
            type_id::DATA | type_id::DATA_AMF3 => data::to_tag(kind, timestamp, body),
            _ => Err(Ignored::BadAggregate),
        })
    }
}
