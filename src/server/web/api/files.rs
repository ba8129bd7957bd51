//! Files below `--media` and `--record`, as lists.
//!
//! Hidden files and folders are not there, links are not followed. Bounds: [`MAX_ENTRIES`], [`MAX_DEPTH`].

use super::{Page, address, sample::Sample};
use crate::{
    base::sort,
    server::{MEDIA_APP, StreamPath, record::Recordings, vod, wall},
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use serde::Serialize;
use std::{collections::HashSet, fs, path::Path, time::SystemTime};

/// Entries of folders that are looked at.
const MAX_ENTRIES: usize = 100_000;
/// Folders in folders.
const MAX_DEPTH: usize = 16;

#[derive(Serialize)]
pub(super) struct Files {
    files: Vec<File>,
    total: usize,
}

#[derive(Serialize)]
struct File {
    name: String,
    bytes: u64,
    modified_at_ms: u64,
    url: String,
    watch_url: String,
}

#[derive(Serialize)]
pub(super) struct RecordingList {
    recordings: Vec<Recording>,
    total: usize,
}

#[derive(Serialize)]
struct Recording {
    name: String,
    stream: Option<String>,
    started_at_ms: u64,
    duration_ms: Option<u64>,
    bytes: u64,
    state: &'static str,
    url: String,
    watch_url: String,
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Found {
    /// Below the folder.
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Milliseconds since 1970.
    pub(super) modified: u64,
    created: Option<u64>,
}

impl Files {
    pub(super) fn of(root: Option<&Path>, page: Page) -> Files {
        let mut found = root.map(media).unwrap_or_default();
        sort::sort_by(&mut found, |one, other| one.name.cmp(&other.name));
        let total = found.len();
        let file = |found: Found| {
            let url = address(&format!("/{MEDIA_APP}/"), &found.name);
            File {
                watch_url: format!("{url}?watch"),
                url,
                name: found.name,
                bytes: found.bytes,
                modified_at_ms: found.modified,
            }
        };
        Files { files: page.of(found).into_iter().map(file).collect(), total }
    }
}

impl RecordingList {
    /// The newest first.
    pub(super) fn of(
        recordings: Option<&Recordings>,
        sample: &Sample,
        stream: Option<&StreamPath>,
        page: Page,
    ) -> RecordingList {
        let Some(recordings) = recordings else { return RecordingList { recordings: Vec::new(), total: 0 } };
        let unfinished: HashSet<String> = recordings.unfinished().collect();
        let mut all: Vec<_> = media(recordings.root())
            .into_iter()
            .filter_map(|found| {
                let stem = found.name.rsplit_once('.').map_or(&*found.name, |(stem, _)| stem);
                let read = recordings.template().read(stem);
                let is_wanted = stream.is_none_or(|path| recordings.template().is_of(path, stem));
                let started = read.as_ref().and_then(|(_, at)| at.map(|seconds| seconds * 1000));
                let started = started.or(found.created).unwrap_or(found.modified);
                is_wanted.then_some((started, read.map(|(path, _)| path), found))
            })
            .collect();
        sort::sort_by(&mut all, |one, other| (other.0, &one.2.name).cmp(&(one.0, &other.2.name)));
        let total = all.len();
        let recording = |(started, path, found): (u64, Option<StreamPath>, Found)| {
            let mut going_on = sample.recordings.iter();
            let current = going_on.find(|(_, facts)| facts.name.as_deref() == Some(&*found.name));
            let state = match current {
                Some(_) => "recording",
                None if unfinished.contains(&found.name) => "unfinished",
                None => "finished",
            };
            let url = address("/recordings/", &found.name);
            Recording {
                stream: current.map(|(path, _)| path.to_string()).or(path.map(|path| path.to_string())),
                started_at_ms: current.map_or(started, |(_, facts)| sample.wall_of(facts.since)),
                duration_ms: current.map(|(_, facts)| facts.duration),
                bytes: found.bytes,
                state,
                watch_url: format!("{url}?watch"),
                url,
                name: found.name,
            }
        };
        RecordingList { recordings: page.of(all).into_iter().map(recording).collect(), total }
    }
}

/// Media files below a folder, in any order.
pub(super) fn media(root: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    let mut left = MAX_ENTRIES;
    let mut folders = alloc::vec![(root.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if left == 0 {
                return found;
            }
            left -= 1;
            let path = entry.path();
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let Ok(kind) = entry.file_type() else { continue };
            if is_hidden {
                continue;
            }
            if kind.is_dir() && depth < MAX_DEPTH {
                folders.push((path, depth + 1));
            } else if kind.is_file() {
                let name = path.strip_prefix(root).ok().and_then(Path::to_str);
                if let Some((name, metadata)) =
                    name.filter(|name| vod::is_media(name)).zip(entry.metadata().ok())
                {
                    found.push(Found {
                        name: name.to_string(),
                        bytes: metadata.len(),
                        modified: metadata.modified().map_or(0, milliseconds),
                        created: metadata.created().ok().map(milliseconds),
                    });
                }
            }
        }
    }
    found
}

fn milliseconds(time: SystemTime) -> u64 {
    wall::milliseconds(wall::of(time))
}
