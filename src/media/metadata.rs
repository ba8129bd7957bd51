//! `onMetaData` for players of a file: what is known of it, and what an FLV file says of itself.
//!
//! Plain values only: on others old versions of ffmpeg give up. Where the file's own properties and what was found contradict each other, what was found counts.
//! Bounds: [`MAX_VALUES`] and [`MAX_DEPTH`] of an FLV file's metadata.

use super::MediaInfo;
use crate::{
    amf::{Budget, Object, Value},
    base::{Payload, Timestamp},
    flv::{Tag, TagKind, metadata, summary},
};
use alloc::{string::String, vec::Vec};

/// Values in the metadata of a file: a list of 32 000 keyframes, one every 2 s for 18 hours.
const MAX_VALUES: usize = 1 << 16;
/// A list of keyframes is three deep.
const MAX_DEPTH: usize = 16;
/// Takes the room of what a recorder did not know yet; of no use to players.
const PADDING: &str = "padding";
/// Names of properties are shorter; ffmpeg refuses longer ones.
const MAX_KEY_LEN: usize = 127;

/// The properties of an `onMetaData` body; `None` if it is something else. Of a damaged one, those before the damage.
pub fn properties(body: &Payload) -> Option<Object> {
    metadata::decode(body, Budget::new(MAX_DEPTH, MAX_VALUES))
}

/// What an `onMetaData` body says of the stream itself, without what is only true of one file of it; `None` if it is
/// something else.
pub fn of_stream(body: &Payload) -> Option<Object> {
    let all = properties(body)?;
    Some(all.0.into_iter().filter(|(key, _)| !summary::OWN.contains(&key.as_str())).collect())
}

/// A file's metadata as a live publisher says it: the same bytes where nothing in them is about the file.
pub fn live(tag: &Tag) -> Tag {
    let (Some(all), Some(own)) = (properties(&tag.body), of_stream(&tag.body)) else { return tag.clone() };
    if own.len() == all.len() {
        return tag.clone();
    }
    Tag { body: metadata::encode(own).into(), ..tag.clone() }
}

/// The tag for players of a file.
pub fn tag(info: &MediaInfo, timestamp: Timestamp) -> Tag {
    let own = info.metadata.as_ref().and_then(|tag| properties(&tag.body)).unwrap_or_default();
    let has_own_list = own.get("keyframes").is_some();
    let mut all: Object = own.0.into_iter().filter_map(|(key, value)| plain(key, value)).collect();
    all.insert("duration", f64::from(info.duration) / 1000.0);
    metadata::insert_tracks(&mut all, info.video.as_ref(), info.audio.as_ref());
    all.insert("filesize", info.size as f64);
    all.insert("canSeekToEnd", info.video.is_none());
    if !has_own_list && !info.keyframes.is_empty() {
        let offsets: Vec<Value> = info.keyframes.iter().map(|at| (at.offset as f64).into()).collect();
        let times = info.keyframes.iter().map(|at| (f64::from(at.timestamp.0) / 1000.0).into());
        let times: Vec<Value> = times.collect();
        all.insert("keyframes", Object::from([("filepositions", offsets), ("times", times)].map(listed)));
    }
    Tag::new(TagKind::Data, timestamp, metadata::encode(all).into())
}

fn listed((key, values): (&'static str, Vec<Value>)) -> (&'static str, Value) {
    (key, values.into())
}

/// The property, if every player understands it.
fn plain(key: String, value: Value) -> Option<(String, Value)> {
    let is_plain = matches!(
        value,
        Value::Number(_)
            | Value::Boolean(_)
            | Value::String(_)
            | Value::Object(_)
            | Value::EcmaArray(_)
            | Value::StrictArray(_)
            | Value::Date(_)
    );
    (is_plain && key.len() <= MAX_KEY_LEN && key != PADDING).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(properties: Object) -> Tag {
        Tag::new(TagKind::Data, Timestamp(0), metadata::encode(properties).into())
    }

    #[test]
    fn a_live_publisher_says_nothing_about_a_file() {
        let plain = tag(Object::from([("width", 640.0.into()), ("encoder", "somebody".into())]));
        assert_eq!(live(&plain).body.as_ptr(), plain.body.as_ptr(), "the same bytes");
        let file = tag(Object::from([
            ("duration", 3.0.into()),
            ("width", 640.0.into()),
            ("keyframes", Object::new().into()),
            (PADDING, Value::from(alloc::vec![Value::Number(0.0)])),
            ("encoder", "somebody".into()),
        ]));
        assert_eq!(live(&file), plain);
    }

    #[test]
    fn what_is_no_metadata_stays_what_it_is() {
        for body in [&b""[..], b"\x02\0\x02hi\x05", b"\x02\0\x0aonMetaData", b"\x02\0\x0aonMetaData\x05"] {
            let tag = Tag::new(TagKind::Data, Timestamp(7), Payload::from(body));
            assert_eq!((live(&tag), of_stream(&tag.body)), (tag, None), "{body:x?}");
        }
    }
}
