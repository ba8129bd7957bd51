//! The files of one stream: the newest, for whoever goes on with it, and the oldest, which `--record-keep` removes.
//!
//! Which files are of a stream only their names say (`name`), so files of earlier runs count as well. Bound:
//! [`MAX_ENTRIES`] entries of folders are looked at.

use super::name::NameTemplate;
use crate::{base::sort, server::StreamPath};
use alloc::{string::String, string::ToString, vec::Vec};
use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Past that, files stay.
const MAX_ENTRIES: usize = 100_000;
/// What recordings end with.
pub(super) const EXTENSIONS: [&str; 2] = ["flv", "mp4"];

/// Removes the oldest files of a stream so that `count` stay, `current` among them, whatever its age.
pub(super) fn remove_oldest(
    root: &Path,
    template: &NameTemplate,
    path: &StreamPath,
    count: usize,
    current: &Path,
) {
    let mut files = files(root, template, path);
    files.retain(|name| root.join(name) != current);
    let surplus = (files.len() + 1).saturating_sub(count);
    for name in &files[..surplus.min(files.len())] {
        match fs::remove_file(root.join(name)) {
            Ok(()) => log::info!("{name} removed (--record-keep)"),
            Err(error) => {
                log::warn!("{name} cannot be removed (--record-keep): {}", super::super::plain(&error))
            }
        }
    }
}

/// Names of the files of a stream, the one that was written longest ago first: numbers begin anew where files were removed.
pub(super) fn files(root: &Path, template: &NameTemplate, path: &StreamPath) -> Vec<String> {
    let (folder, depth) = template.folder(path);
    let mut walk = Walk { root, template, path, left: MAX_ENTRIES, found: Vec::new() };
    walk.folder(&root.join(folder), depth);
    sort::sort_by(&mut walk.found, Ord::cmp);
    walk.found.into_iter().map(|(_, _, name)| name).collect()
}

struct Walk<'a> {
    root: &'a Path,
    template: &'a NameTemplate,
    path: &'a StreamPath,
    left: usize,
    found: Vec<(SystemTime, [u64; 3], String)>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth > 0 => self.folder(&entry.path(), depth - 1),
                Ok(kind) if kind.is_file() && depth == 0 => self.file(&entry.path()),
                _ => {}
            }
        }
    }

    fn file(&mut self, file: &Path) {
        let extension = file.extension().and_then(|extension| extension.to_str());
        let Some(name) = file.strip_prefix(self.root).ok().and_then(Path::to_str) else { return };
        if !extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) {
            return;
        }
        let stem: PathBuf = Path::new(name).with_extension("");
        if let Some(order) = stem.to_str().and_then(|stem| self.template.order(self.path, stem)) {
            let written = file.metadata().and_then(|metadata| metadata.modified());
            self.found.push((written.unwrap_or(SystemTime::UNIX_EPOCH), order, name.to_string()));
        }
    }
}
