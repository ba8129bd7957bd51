//! Which configuration holds at which place of an FLV file, as far as it was looked through.
//!
//! Bounds: [`MAX_CHANGES`] and [`MAX_BYTES`]; what is beyond is passed on in its place, but not known to a seek.

use crate::flv::{Change, Configuration, Tag};
use alloc::collections::BTreeMap;

/// Changes of configuration that are remembered.
const MAX_CHANGES: usize = 256;
/// Bytes of their bodies.
const MAX_BYTES: usize = 1 << 20;

/// Every change of a track's configuration that was seen in a file, by place.
#[derive(Debug, Default)]
pub(super) struct Changes {
    tags: BTreeMap<u64, Tag>,
    bytes: usize,
}

impl Changes {
    /// Takes note of a tag at a place.
    pub(super) fn learn(&mut self, offset: u64, tag: &Tag) {
        let is_known = self.tags.contains_key(&offset);
        let has_room = self.tags.len() < MAX_CHANGES && self.bytes + tag.body.len() <= MAX_BYTES;
        let is_change = |change| matches!(change, Change::Changed | Change::NewSequence);
        if !is_known && has_room && is_change(self.before(offset).update(tag)) {
            self.bytes += tag.body.len();
            self.tags.insert(offset, tag.clone());
        }
    }

    /// What holds right before a place.
    pub(super) fn before(&self, offset: u64) -> Configuration {
        let mut configuration = Configuration::default();
        for tag in self.tags.range(..offset).map(|(_, tag)| tag) {
            configuration.update(tag);
        }
        configuration
    }
}
