//! Whether lists of files have changed since the last look, for those who want to be told.
//!
//! Recordings count what happens to them; `--media` may be changed by anybody, so it is looked at, every [`LOOK`] at most and never for more
//! than a small part of the time.

use super::files;
use crate::server::{Shared, web::files::Folder};
use alloc::vec::Vec;
use core::{
    hash::{BuildHasher, BuildHasherDefault},
    time::Duration,
};
use serde::Serialize;
use std::{collections::hash_map::DefaultHasher, time::Instant};

/// Between two looks at a folder that takes no time.
const LOOK: Duration = Duration::from_secs(5);
/// Looks take at most one part in so many.
const SHARE: u32 = 100;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Changed {
    what: Vec<&'static str>,
}

/// What was there.
#[derive(Debug, Default)]
pub(super) struct Changes {
    recordings: Option<u64>,
    files: Option<u64>,
    look_at: Option<Instant>,
}

impl Changes {
    /// What has changed; the first time nothing has.
    pub(super) fn look(&mut self, shared: &Shared) -> Option<Changed> {
        let mut what = Vec::new();
        let recordings = shared.recordings.as_ref().map(|recordings| recordings.changes());
        if self.recordings.is_some() && self.recordings != recordings {
            what.push("recordings");
        }
        self.recordings = recordings;
        let folder = shared.vod.as_ref().and_then(|vod| vod.root(Folder::Media));
        let now = Instant::now();
        if let Some(folder) = folder.filter(|_| self.look_at.is_none_or(|at| at <= now)) {
            // In any order.
            let hasher = BuildHasherDefault::<DefaultHasher>::new();
            let hash = |sum: u64, found| sum.wrapping_add(hasher.hash_one(found));
            let files = files::media(folder).iter().fold(0, hash);
            if self.files.is_some_and(|before| before != files) {
                what.push("files");
            }
            self.files = Some(files);
            self.look_at = Some(now + LOOK.max(now.elapsed() * SHARE));
        }
        (!what.is_empty()).then_some(Changed { what })
    }
}
