//! The parameter sets of a raw stream by their ids, each as it came and parsed; and the record that is built of them.
//!
//! Bounds: [`MAX_SET_LEN`], as many as there are ids, and [`MAX_RECORD_LEN`].

use super::{MAX_RECORD_LEN, MAX_SET_LEN, gather::Unit};
use alloc::{collections::BTreeMap, vec::Vec};

#[derive(Debug)]
pub(super) struct Sets<T> {
    by_id: BTreeMap<u8, (Vec<u8>, T)>,
}

/// What became of a parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Another than was known under its id.
    New,
    /// Encoders repeat them before each keyframe.
    Known,
    Broken,
}

impl<T> Default for Sets<T> {
    fn default() -> Sets<T> {
        Sets { by_id: BTreeMap::new() }
    }
}

impl<T> Sets<T> {
    /// `parse` gives its id and what it says.
    pub(super) fn store(&mut self, nal: &[u8], parse: impl FnOnce(&[u8]) -> Option<(u8, T)>) -> Stored {
        if nal.len() > MAX_SET_LEN {
            return Stored::Broken;
        }
        let Some((id, parsed)) = parse(nal) else { return Stored::Broken };
        if self.nal(id) == Some(nal) {
            return Stored::Known;
        }
        self.by_id.insert(id, (nal.to_vec(), parsed));
        Stored::New
    }

    pub(super) fn parsed(&self, id: u8) -> Option<&T> {
        self.by_id.get(&id).map(|(_, parsed)| parsed)
    }

    pub(super) fn nal(&self, id: u8) -> Option<&[u8]> {
        self.by_id.get(&id).map(|(nal, _)| &nal[..])
    }

    pub(super) fn nals_where(&self, is_wanted: impl Fn(&T) -> bool) -> Vec<&[u8]> {
        self.by_id.values().filter(|(_, parsed)| is_wanted(parsed)).map(|(nal, _)| &nal[..]).collect()
    }
}

/// The configuration record of the pictures, built anew where sets change.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Some set is another than when the last record was built.
    has_new_sets: bool,
    /// Sequence parameter set of the last picture.
    active: Option<u8>,
    bytes: Vec<u8>,
}

impl Record {
    /// Takes note of a parameter set, which is not for tags.
    pub(super) fn note(&mut self, stored: Stored) -> Unit {
        self.has_new_sets |= stored == Stored::New;
        if stored == Stored::Broken { Unit::Broken } else { Unit::Removed }
    }

    /// The record for pictures of this sequence parameter set, if it is another than the last one. `None` if it cannot
    /// be built.
    pub(super) fn of(
        &mut self,
        sps_id: u8,
        build: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Option<Vec<u8>>> {
        if !self.has_new_sets && self.active == Some(sps_id) {
            return Some(None);
        }
        let bytes = build().filter(|bytes| bytes.len() <= MAX_RECORD_LEN)?;
        self.has_new_sets = false;
        self.active = Some(sps_id);
        let is_new = bytes != self.bytes;
        self.bytes = bytes;
        Some(is_new.then(|| self.bytes.clone()))
    }
}
