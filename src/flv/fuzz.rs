//! Fuzz target: any bytes as tag bodies and as an FLV stream.
//!
//! Holds: tracks lie inside their body, tags where they say they do; where the stream is cut does not change what is read; memory stays under
//! the limits; tags that were written are read back as they were.

use super::{Item, ReadError, Reader, ReaderLimits, TagClass, TagKind, data, writer};
use crate::base::Payload;
use alloc::vec::Vec;

/// The first byte cuts the stream, the rest is it.
pub fn fuzz(input: &[u8]) {
    let Some((&cut, stream)) = input.split_first() else { return };
    for kind in [TagKind::Audio, TagKind::Video, TagKind::Data] {
        classify(kind, stream);
    }
    let limits =
        ReaderLimits { max_tag_len: 4096, max_resync_len: 1024, max_damage: 8192, ..Default::default() };
    let whole = read(&limits, stream, stream.len().max(1));
    let in_parts = read(&limits, stream, usize::from(cut) + 1);
    assert_eq!(whole, in_parts, "cuts of {} bytes change what is read", usize::from(cut) + 1);
    check_offsets(stream, &whole.0);
    round_trip(&whole.0);
}

fn classify(kind: TagKind, body: &[u8]) {
    let class = TagClass::of(kind, body);
    let mut end = 0;
    for track in class.tracks() {
        assert!(
            track.data.start >= end && track.data.start <= track.data.end && track.data.end <= body.len()
        );
        end = track.data.end;
    }
    assert!(class.composition_time == 0 || class.codec.is_some() || kind == TagKind::Video);
    let relayed = data::relayed(&Payload::from(body));
    assert!(body.ends_with(&relayed));
}

/// Everything that comes out of `stream` when it is given in parts of `cut` bytes.
pub(super) fn read(limits: &ReaderLimits, stream: &[u8], cut: usize) -> (Vec<Item>, Option<ReadError>) {
    let most_held = limits.max_tag_len.max(2 * limits.max_resync_len) as usize + 64;
    let mut reader = Reader::new(limits.clone());
    let mut items = Vec::new();
    for mut part in stream.chunks(cut) {
        loop {
            match reader.read(&mut part) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error)),
            }
            assert!(reader.held_len() <= most_held);
        }
        assert!(part.is_empty(), "bytes are left over");
        assert!(reader.held_len() <= most_held);
    }
    loop {
        match reader.finish() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, None),
            Err(error) => {
                assert_eq!(reader.read(&mut &b"FLV"[..]), Err(error), "errors stay");
                return (items, Some(error));
            }
        }
    }
}

/// Every tag lies where it says, behind the item before it.
fn check_offsets(stream: &[u8], items: &[Item]) {
    let mut end = 0;
    for item in items {
        match item {
            Item::Header { .. } => {}
            Item::Tag { offset, tag } => {
                let at = *offset as usize;
                assert!(at >= end, "tag at {at} begins before {end}");
                let len = u32::from_be_bytes([0, stream[at + 1], stream[at + 2], stream[at + 3]]) as usize;
                end = at + 11 + len;
                assert!(stream[at + 11..end].ends_with(&tag.body), "tag at {at} is not there");
            }
            Item::Damage { offset, len } => {
                assert!(*offset as usize >= end, "damage at {offset} begins before {end}");
                end = (offset + len) as usize;
            }
        }
    }
    assert!(end <= stream.len());
}

fn round_trip(items: &[Item]) {
    let tags: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            // Data bodies lose one `@setDataFrame` per reading, and the reader passes over empty ones.
            Item::Tag { tag, .. } if !tag.body.is_empty() && data::relayed(&tag.body) == tag.body => {
                Some(tag)
            }
            _ => None,
        })
        .collect();
    let mut bytes = writer::header(true, true).to_vec();
    for tag in &tags {
        writer::write_tag(&mut bytes, tag).expect("read tags are short enough to be written");
    }
    let (read, error) = read(&ReaderLimits::default(), &bytes, bytes.len());
    assert_eq!(error, None);
    let read: Vec<_> = read
        .iter()
        .filter_map(|item| match item {
            Item::Header { .. } => None,
            Item::Tag { tag, .. } => Some(tag),
            Item::Damage { .. } => panic!("damage in what was written"),
        })
        .collect();
    assert_eq!(read, tags);
}
