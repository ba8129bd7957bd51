//! The parameter sets of a raw stream by their ids, each as it came and parsed.
//!
//! Bounds: [`MAX_SET_LEN`], and as many as there are ids.

use super::MAX_SET_LEN;
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
