//! Where in an FLV file players can begin: from the list that its metadata holds, or learned tag by tag.
//!
//! Bounds: [`MAX_KEYFRAMES`] places; past them every second one goes, then every second of those, and so on, which costs a seek
//! more tags to look at and nothing else.

use super::{
    super::{Keyframe, MAX_KEYFRAMES, MediaError, ReadAt},
    scan::{Head, tag_at},
    stream::FIRST_TAG,
};
use crate::{
    amf::{Object, Value},
    base::Timestamp,
    flv::{TagKind, TagRole},
};
use alloc::vec::Vec;

/// See the module. Places and times grow.
#[derive(Debug)]
pub(super) struct Index {
    keyframes: Vec<Keyframe>,
    /// Of the keyframes behind the last one, each so many-th is kept.
    every: u32,
    since_kept: u32,
    /// All tags before this place are known.
    known_to: u64,
}

impl Default for Index {
    fn default() -> Index {
        Index { keyframes: Vec::new(), every: 1, since_kept: 0, known_to: FIRST_TAG }
    }
}

impl Index {
    /// Reads the property `keyframes` of a file's metadata. What it says is tried at some places; `None` if it is wrong there, or
    /// if there is nothing. `start` is the time in the file that counts as 0.
    pub(super) fn from_metadata(
        file: &dyn ReadAt,
        metadata: &Object,
        start: u32,
    ) -> Result<Option<Index>, MediaError> {
        let Some(mut keyframes) = listed(metadata, file.size()?) else { return Ok(None) };
        // Injectors put the place of the sequence header first.
        if tag_at(file, keyframes[0].offset)?.is_some_and(|head| head.role == TagRole::SequenceHeader) {
            keyframes.remove(0);
        }
        let Some(last) = keyframes.len().checked_sub(1) else { return Ok(None) };
        for probe in 0..=PROBES {
            let keyframe = keyframes[last * probe / PROBES];
            let is_true = tag_at(file, keyframe.offset)?.is_some_and(|head| {
                let is_keyframe = head.kind == TagKind::Video && head.role == TagRole::Keyframe;
                is_keyframe && head.timestamp.0.abs_diff(keyframe.timestamp.0) <= MAX_ERROR
            });
            if !is_true {
                return Ok(None);
            }
        }
        let mut index = Index::default();
        for Keyframe { timestamp, offset } in keyframes {
            let timestamp = Timestamp(timestamp.0.saturating_sub(start));
            index.push(Keyframe { timestamp, offset });
            index.known_to = offset;
        }
        Ok(Some(index))
    }

    /// Takes note of a tag: any, as long as those before it were noted. `keyframe`: players can begin there.
    pub(super) fn learn(&mut self, head: &Head, keyframe: Option<Keyframe>) {
        if head.offset < self.known_to {
            return;
        }
        self.known_to = head.end;
        if let Some(keyframe) = keyframe {
            self.push(keyframe);
        }
    }

    fn push(&mut self, keyframe: Keyframe) {
        let is_behind = self
            .keyframes
            .last()
            .is_none_or(|last| last.offset < keyframe.offset && last.timestamp.0 <= keyframe.timestamp.0);
        if !is_behind {
            return;
        }
        self.since_kept += 1;
        if self.since_kept < self.every && !self.keyframes.is_empty() {
            return;
        }
        self.since_kept = 0;
        if self.keyframes.len() >= MAX_KEYFRAMES {
            let mut number = 0;
            self.keyframes.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.every = self.every.saturating_mul(2);
        }
        self.keyframes.push(keyframe);
    }

    /// The last place at or before that time.
    pub(super) fn before(&self, time: Timestamp) -> Option<Keyframe> {
        let behind = self.keyframes.partition_point(|keyframe| keyframe.timestamp.0 <= time.0);
        behind.checked_sub(1).map(|at| self.keyframes[at])
    }

    pub(super) fn keyframes(&self) -> &[Keyframe] {
        &self.keyframes
    }

    /// All tags before this place are known.
    pub(super) fn known_to(&self) -> u64 {
        self.known_to
    }
}

/// What metadata lists, with times as stored. `None` if that makes no sense.
fn listed(metadata: &Object, size: u64) -> Option<Vec<Keyframe>> {
    let lists = metadata.get("keyframes")?.as_object()?;
    let list = |key: &str| match lists.get(key)? {
        Value::StrictArray(values) => Some(values),
        _ => None,
    };
    let (offsets, times) = (list("filepositions")?, list("times")?);
    let mut keyframes: Vec<Keyframe> = Vec::with_capacity(offsets.len().min(times.len()));
    for (offset, time) in offsets.iter().zip(times) {
        let (offset, time) = (offset.as_number()?, time.as_number()?);
        if offset < FIRST_TAG as f64 || time < 0.0 {
            return None;
        }
        // Saturating, which the comparisons below and the probes refuse.
        let keyframe = Keyframe { timestamp: Timestamp(round(time * 1000.0)), offset: offset as u64 };
        if keyframes
            .last()
            .is_some_and(|last| last.offset >= keyframe.offset || last.timestamp.0 > keyframe.timestamp.0)
        {
            return None;
        }
        // The file was cut off.
        if keyframe.offset >= size {
            break;
        }
        keyframes.push(keyframe);
    }
    (!keyframes.is_empty()).then_some(keyframes)
}

/// Saturating; `f64::round` needs std.
fn round(value: f64) -> u32 {
    (value + 0.5) as u32
}

/// Places of a list that are tried, and one more.
const PROBES: usize = 8;
/// Milliseconds by which a listed time may be wrong: some writers know whole seconds only.
const MAX_ERROR: u32 = 1000;
