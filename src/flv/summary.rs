//! What a recorded file says of itself: `onMetaData` with duration, size and keyframe index, in space that is reserved while
//! nobody knows them yet.
//!
//! In: what the publisher said (its `onMetaData`), and what the recorder found out. Out: tag bodies, the last one as long
//! as the first. The space is a property `padding`, an array of short strings, because ffmpeg gives up on longer ones.
//! Bounds: [`MAX_INDEX`] keyframes, thinned out evenly past that; [`MAX_PUBLISHED`].
//! Field notes: injectors put the place of the first sequence header into the index, with time 0, and flv.js and
//! mpegts.js drop the first entry for that reason.

use super::metadata;
use crate::amf::{Budget, Object, Value, amf0};
use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

/// Keyframes of the index: every one of an hour where there is one every 2 s. 18 bytes each.
pub const MAX_INDEX: usize = 2048;
/// Bytes of `onMetaData` that are taken over from the publisher; more is left out.
pub const MAX_PUBLISHED: usize = 64 << 10;

/// What is known of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Milliseconds.
    pub duration: u32,
    /// Bytes.
    pub size: u64,
    /// It holds audio.
    pub has_audio: bool,
    /// It holds video.
    pub has_video: bool,
    /// Where its keyframes are.
    pub keyframes: Index,
}

/// Times and places of keyframes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    entries: Vec<Entry>,
    /// One in 2^`thinned` is kept.
    thinned: u32,
    seen: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    /// Milliseconds.
    time: u32,
    offset: u64,
}

impl Index {
    /// The next keyframe: its time in milliseconds and the place of its tag. The first one should be the first sequence
    /// header.
    pub fn push(&mut self, time: u32, offset: u64) {
        if self.entries.len() >= MAX_INDEX {
            let mut number = 0;
            self.entries.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.thinned += 1;
        }
        if self.seen % (1 << self.thinned.min(63)) == 0 {
            self.entries.push(Entry { time, offset });
        }
        self.seen += 1;
    }

    /// Takes back what lies at or behind `offset`.
    pub fn forget_from(&mut self, offset: u64) {
        self.entries.retain(|entry| entry.offset < offset);
    }

    /// The index that metadata holds; empty if there is none.
    fn of(metadata: &Object) -> Index {
        let numbers = |name: &str| match metadata.get("keyframes").and_then(Value::as_object)?.get(name)? {
            Value::StrictArray(values) => {
                Some(values.iter().map(|value| value.as_number().unwrap_or(0.0)).collect())
            }
            _ => None,
        };
        let list = |name| -> Vec<f64> { numbers(name).unwrap_or_default() };
        let mut index = Index::default();
        for (time, offset) in list("times").into_iter().zip(list("filepositions")) {
            index.push((time * 1000.0) as u32, offset as u64);
        }
        index
    }

    fn value(&self) -> Value {
        let list = |value: fn(&Entry) -> f64| {
            Value::StrictArray(self.entries.iter().map(|entry| Value::Number(value(entry))).collect())
        };
        let positions = list(|entry| entry.offset as f64);
        let times = list(|entry| f64::from(entry.time) / 1000.0);
        Value::Object(Object::from([("filepositions", positions), ("times", times)]))
    }
}

/// What the publisher said that still holds of a file, and what a file that is continued knew.
#[derive(Clone, Debug, Default)]
pub struct Published {
    properties: Object,
    /// Of a file that is continued.
    pub keyframes: Index,
}

impl Published {
    /// Out of the body of an `onMetaData` tag; nothing if it is none.
    pub fn of(body: &[u8]) -> Published {
        let Some(all) = metadata::decode(body, Budget::default()) else { return Published::default() };
        let is_kept = |key: &str| !OWN.contains(&key);
        let properties = all.iter().filter(|(key, _)| is_kept(key));
        let properties = properties.map(|(key, value)| (key, value.clone())).collect();
        Published { properties, keyframes: Index::of(&all) }
    }

    /// A number that it holds, such as `width`.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.properties.get(key)?.as_number()
    }

    /// Body of the tag that a file begins with, with room for an index. What is said here to be missing, players do not
    /// look for.
    pub fn reserve(&self, has_audio: bool, has_video: bool) -> Vec<u8> {
        let empty = Summary { has_audio, has_video, ..Summary::default() };
        let mut properties = self.clone();
        if self.encode(&empty, Keyframes::Without).len() > MAX_PUBLISHED {
            properties = Published::default();
        }
        let len = properties.encode(&empty, Keyframes::Without).len() + RESERVED;
        properties.fit(&empty, len).unwrap_or_default()
    }

    /// Body of `len` bytes with everything that is known; the index thinned out to what fits. `None` if not even the
    /// rest does.
    pub fn fit(&self, summary: &Summary, len: usize) -> Option<Vec<u8>> {
        let mut summary = summary.clone();
        loop {
            let has_index = summary.keyframes.entries.len() > 1;
            let keyframes = if has_index { Keyframes::With } else { Keyframes::Without };
            let body = self.encode(&summary, keyframes);
            let rest = len.checked_sub(body.len());
            match rest {
                Some(0) => return Some(body),
                Some(rest) if rest >= PADDING => return Some(pad(body, rest)),
                _ if !has_index => return None,
                _ => {
                    let mut number = 0;
                    summary.keyframes.entries.retain(|_| {
                        number += 1;
                        number % 2 == 1
                    });
                }
            }
        }
    }

    fn encode(&self, summary: &Summary, keyframes: Keyframes) -> Vec<u8> {
        let mut all = Object::from([
            ("duration", Value::Number(f64::from(summary.duration) / 1000.0)),
            ("filesize", Value::Number(summary.size as f64)),
            ("lasttimestamp", Value::Number(f64::from(summary.duration) / 1000.0)),
            ("hasAudio", Value::Boolean(summary.has_audio)),
            ("hasVideo", Value::Boolean(summary.has_video)),
            ("hasMetadata", Value::Boolean(true)),
            ("hasKeyframes", Value::Boolean(keyframes == Keyframes::With)),
        ]);
        all.0.extend(self.properties.iter().map(|(key, value)| (key.to_string(), value.clone())));
        if keyframes == Keyframes::With {
            all.push("keyframes", summary.keyframes.value());
        }
        metadata::encode(all)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyframes {
    With,
    Without,
}

/// Puts `count` bytes of padding before the end of the array.
fn pad(mut body: Vec<u8>, count: usize) -> Vec<u8> {
    let mut left = count - PADDING;
    let mut strings = vec![];
    while left >= 3 {
        let len = (left - 3).min(MAX_STRING);
        strings.push(Value::String(String::from_utf8(vec![b' '; len]).unwrap_or_default()));
        left -= 3 + len;
    }
    strings.extend(core::iter::repeat_n(Value::Null, left));
    let end = body.split_off(body.len() - END.len());
    body.extend_from_slice(b"\0\x07padding");
    amf0::encode(&Value::StrictArray(strings), &mut body);
    body.extend_from_slice(&end);
    body
}

/// Properties of the file, not of the stream.
pub const OWN: [&str; 19] = [
    "duration",
    "filesize",
    "lasttimestamp",
    "hasAudio",
    "hasVideo",
    "hasMetadata",
    "hasKeyframes",
    "keyframes",
    "padding",
    "lastkeyframetimestamp",
    "lastkeyframelocation",
    "datasize",
    "videosize",
    "audiosize",
    "canSeekToEnd",
    "hasCuePoints",
    "metadatadate",
    "totalframes",
    "totaldatarate",
];
/// Room for an index of [`MAX_INDEX`] keyframes and the names around it.
const RESERVED: usize = 18 * MAX_INDEX + 64 + PADDING;
/// Key, marker and count of the padding: 9, 1 and 4 bytes.
const PADDING: usize = 14;
/// ffmpeg reads strings up to 1023 bytes.
const MAX_STRING: usize = 1000;
/// End of an array: an empty key and the marker.
const END: [u8; 3] = [0, 0, 9];

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &[u8]) -> Object {
        let (values, error) = amf0::decode_all(body, Budget::default());
        assert_eq!(error, None);
        assert_eq!(values[0].as_str(), Some("onMetaData"));
        values[1].as_object().unwrap().clone()
    }

    fn summary(keyframes: usize) -> Summary {
        let mut summary = Summary {
            duration: 61_500,
            size: 1 << 33,
            has_audio: false,
            has_video: true,
            keyframes: Index::default(),
        };
        (0..keyframes).for_each(|number| summary.keyframes.push(number as u32 * 2000, number as u64 * 1000));
        summary
    }

    #[test]
    fn the_summary_takes_as_many_bytes_as_were_reserved() {
        let said =
            Object::from([("width", 1280.0.into()), ("duration", 99.0.into()), ("encoder", "x".into())]);
        let published = Published::of(&metadata::encode(said));
        let reserved = published.reserve(true, true);
        let first = decoded(&reserved);
        assert_eq!(first.get("duration"), Some(&Value::Number(0.0)));
        assert_eq!(first.get("encoder").and_then(Value::as_str), Some("x"));
        for keyframes in [0, 1, 2, 3, 100, MAX_INDEX, MAX_INDEX + 1, 100_000] {
            let last = published.fit(&summary(keyframes), reserved.len()).unwrap();
            assert_eq!(last.len(), reserved.len());
            let last = decoded(&last);
            assert_eq!(last.get("duration"), Some(&Value::Number(61.5)));
            assert_eq!(last.get("width"), Some(&Value::Number(1280.0)));
            assert_eq!(last.get("hasKeyframes"), Some(&Value::Boolean(keyframes > 1)));
            let kept = Index::of(&last).entries.len();
            let expected = if keyframes > 1 { keyframes.min(MAX_INDEX / 2) } else { 0 };
            assert!((expected..=MAX_INDEX).contains(&kept), "{kept} of {keyframes}");
        }
    }

    #[test]
    fn any_number_of_bytes_can_be_padded() {
        let published = Published::default();
        let bare = published.encode(&summary(0), Keyframes::Without).len();
        for rest in 0..3 * MAX_STRING {
            let fitted = published.fit(&summary(0), bare + rest);
            assert_eq!(fitted.is_some(), rest == 0 || rest >= PADDING, "{rest}");
            if let Some(fitted) = fitted {
                assert_eq!(fitted.len(), bare + rest);
                decoded(&fitted);
            }
        }
        assert_eq!(published.fit(&summary(0), bare - 1), None);
    }

    #[test]
    fn an_index_past_its_bound_is_thinned_evenly() {
        let index = summary(100_000).keyframes;
        assert!((MAX_INDEX / 2..=MAX_INDEX).contains(&index.entries.len()));
        let steps: Vec<u32> = index.entries.windows(2).map(|pair| pair[1].time - pair[0].time).collect();
        assert!(steps.iter().all(|step| *step == steps[0]), "{steps:?}");
        assert_eq!(index.entries[0].time, 0);
    }

    #[test]
    fn a_file_that_is_continued_keeps_its_index_and_bad_metadata_none() {
        let whole = Published::default();
        let fitted = whole.fit(&summary(50), whole.reserve(true, true).len()).unwrap();
        assert_eq!(Published::of(&fitted).keyframes.entries, summary(50).keyframes.entries);
        for bad in [&b""[..], b"\x02", b"\x02\0\x0aonMetaData", b"\x05\x05"] {
            assert_eq!(Published::of(bad).keyframes, Index::default());
        }
    }

    #[test]
    fn metadata_of_unreasonable_size_is_left_out() {
        let said = Object::from([("text", Value::from("x".repeat(MAX_PUBLISHED)))]);
        let reserved = Published::of(&metadata::encode(said)).reserve(true, true);
        assert!(reserved.len() < MAX_PUBLISHED && decoded(&reserved).get("text").is_none());
    }
}
