//! Names of files: what clients ask for -> a regular file below the directory of `--media`, or of `--record`.
//!
//! Covers prefixes (`mp4:`, `flv:`, ...), missing and lost endings as clients of RTMP leave them (ffmpeg and VLC turn
//! `x.mp4` into `mp4:x.mp4` and cut `.flv` off); by HTTP a file has its name and no other ([`Library::exact`]).
//! The directory is never left, by no name and no link; hidden files are not there.
//! Not here: what is in a file.

use super::super::path::StreamPath;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The application whose streams are files.
pub const MEDIA_APP: &str = "vod";

/// Of files that are played.
const ENDINGS: [&str; 8] = ["flv", "f4v", "mp4", "m4v", "mov", "m4a", "mp3", "aac"];

/// The files below a directory.
#[derive(Debug)]
pub(super) struct Library {
    /// Without links.
    root: PathBuf,
}

/// Why a name has no file. For the log: the peer is not told more than that there is none.
#[derive(Debug)]
pub(super) enum NoFile {
    NotThere,
    /// It has another ending than [`ENDINGS`].
    NotMedia,
    Hidden,
    Outside,
    NotRegular,
    Io(io::Error),
}

impl Library {
    pub(super) fn new(root: &Path) -> io::Result<Library> {
        let root = fs::canonicalize(root)?;
        fs::read_dir(&root)?;
        Ok(Library { root })
    }

    /// Of a directory whose path has no links.
    pub(super) fn below(root: PathBuf) -> Library {
        Library { root }
    }

    /// The directory, without links.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a stream of that name may be a file.
    pub(super) fn has(path: &StreamPath) -> bool {
        name_of(path).is_some()
    }

    /// The file of that name.
    pub(super) fn find(&self, path: &StreamPath) -> Result<PathBuf, NoFile> {
        let mut why = NoFile::NotThere;
        for candidate in candidates(name_of(path).unwrap_or_default())? {
            match self.check(&self.root.join(candidate)) {
                Ok(file) => return Ok(file),
                Err(NoFile::NotThere) => {}
                Err(other) => why = other,
            }
        }
        Err(why)
    }

    /// The media file of exactly that name: of a folder full of other things, nothing else can be had.
    pub(super) fn exact(&self, name: &str) -> Result<PathBuf, NoFile> {
        // Also a slash in front, which would lead to the root of all directories, or one behind.
        if name.split('/').any(str::is_empty) {
            return Err(NoFile::NotThere);
        }
        if name.split('/').any(|component| component.starts_with('.')) {
            return Err(NoFile::Hidden);
        }
        if !is_media(name) {
            return Err(NoFile::NotMedia);
        }
        self.check(&self.root.join(name))
    }

    /// A path relative to the directory, for the log.
    pub(super) fn shown<'a>(&self, file: &'a Path) -> impl fmt::Display + 'a {
        file.strip_prefix(&self.root).unwrap_or(file).display()
    }

    fn check(&self, file: &Path) -> Result<PathBuf, NoFile> {
        let file = fs::canonicalize(file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => NoFile::NotThere,
            _ => NoFile::Io(error),
        })?;
        if !file.starts_with(&self.root) {
            return Err(NoFile::Outside);
        }
        let is_file = fs::metadata(&file).map_err(NoFile::Io)?.is_file();
        if is_file { Ok(file) } else { Err(NoFile::NotRegular) }
    }
}

impl fmt::Display for NoFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoFile::NotThere => f.write_str("no such file"),
            NoFile::NotMedia => f.write_str("not a media file by its name"),
            NoFile::Hidden => f.write_str("hidden"),
            NoFile::Outside => f.write_str("leads out of the folder"),
            NoFile::NotRegular => f.write_str("not a regular file"),
            NoFile::Io(error) => write!(f, "{error}"),
        }
    }
}

/// Whether a file of that name is one of those that are played.
pub(in crate::server) fn is_media(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty() && ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending))
    })
}

/// What comes behind the application.
fn name_of(path: &StreamPath) -> Option<&str> {
    path.as_str().strip_prefix(MEDIA_APP)?.strip_prefix('/')
}

/// Relative paths to try, in order.
fn candidates(name: &str) -> Result<Vec<String>, NoFile> {
    let (folder, last) = name.rsplit_once('/').map_or(("", name), |(folder, last)| (folder, last));
    // `mp4:folder/film`, and `folder/mp4:film` where a client takes the folder for a part of the application.
    let (kind, name) = match (prefix(name), prefix(last)) {
        (Some((kind, rest)), _) => (Some(kind), rest.to_string()),
        (None, Some((kind, rest))) => (Some(kind), format!("{folder}/{rest}")),
        (None, None) => (None, name.to_string()),
    };
    let components: Vec<&str> = name.split('/').filter(|component| !component.is_empty()).collect();
    // Also `..`, which a prefix can hide from everybody before.
    if components.iter().any(|component| component.starts_with('.')) {
        return Err(NoFile::Hidden);
    }
    let Some(last) = components.last() else { return Err(NoFile::NotThere) };
    let endings: &[&str] = match kind {
        Some("mp4" | "f4v") if last.contains('.') => &[""],
        Some("mp4" | "f4v") => &["", ".mp4", ".f4v", ".m4v", ".mov"],
        Some("mp3") => &["", ".mp3"],
        _ => &[".flv", "", ".mp4", ".m4v", ".mov", ".f4v", ".mp3", ".aac"],
    };
    let name = components.join("/");
    Ok(endings.iter().map(|ending| format!("{name}{ending}")).collect())
}

/// `mp4:film` is of kind `mp4`.
fn prefix(name: &str) -> Option<(&'static str, &str)> {
    let (kind, rest) = name.split_once(':')?;
    let known = ["mp4", "f4v", "mp3", "flv"].into_iter().find(|known| known.eq_ignore_ascii_case(kind))?;
    Some((known, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn find(library: &Library, name: &str) -> String {
        let path = StreamPath::join("vod", "", name).expect("a stream name");
        match library.find(&path) {
            Ok(file) => library.shown(&file).to_string(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn names_find_files_below_the_directory_and_nothing_else() {
        let root = std::env::temp_dir().join(format!("weir-library-{}", std::process::id()));
        let media = root.join("media");
        fs::create_dir_all(media.join("sub")).unwrap();
        fs::create_dir_all(media.join("folder.flv")).unwrap();
        for file in
            ["a.flv", "b.mp4", "c.mp3", "d", "sub/e.flv", "sub/f.mov", ".hidden.flv", "g.mp4.flv", "é ü.flv"]
        {
            fs::write(media.join(file), b"x").unwrap();
        }
        fs::write(root.join("secret.flv"), b"x").unwrap();
        symlink(root.join("secret.flv"), media.join("link.flv")).unwrap();
        symlink(&root, media.join("up")).unwrap();
        symlink(media.join("a.flv"), media.join("inside.flv")).unwrap();
        symlink(media.join("loop"), media.join("loop")).unwrap();
        let library = Library::new(&media).unwrap();
        for (name, expected) in [
            ("a", "a.flv"),
            ("a.flv", "a.flv"),
            ("flv:a", "a.flv"),
            ("FLV:a.flv", "a.flv"),
            ("a?token=1", "a.flv"),
            ("b", "b.mp4"),
            ("b.mp4", "b.mp4"),
            ("mp4:b", "b.mp4"),
            ("mp4:b.mp4", "b.mp4"),
            ("f4v:b", "b.mp4"),
            ("mp3:c", "c.mp3"),
            ("mp3:c.mp3", "c.mp3"),
            ("c", "c.mp3"),
            ("d", "d"),
            ("sub/e", "sub/e.flv"),
            ("sub/e.flv", "sub/e.flv"),
            ("flv:sub/e", "sub/e.flv"),
            ("sub/flv:e", "sub/e.flv"),
            ("mp4:sub/f", "sub/f.mov"),
            ("sub/mp4:f", "sub/f.mov"),
            ("mp4:/sub/f.mov", "sub/f.mov"),
            ("g.mp4", "g.mp4.flv"),
            ("é ü", "é ü.flv"),
            ("inside", "a.flv"),
            ("mp4:a", "no such file"),
            ("x", "no such file"),
            ("mp4:", "no such file"),
            ("a.flv/x", "no such file"),
            ("sub", "not a regular file"),
            ("folder", "not a regular file"),
            (".hidden", "hidden"),
            ("flv:.hidden", "hidden"),
            ("mp4:../secret.flv", "hidden"),
            ("sub/mp4:../../secret.flv", "hidden"),
            ("mp4:..", "hidden"),
            ("link", "leads out of the folder"),
            ("up/secret", "leads out of the folder"),
            ("mp4:up/secret.flv", "leads out of the folder"),
        ] {
            let path = StreamPath::join("vod", "", name);
            // Refused before.
            if name.contains("../") && path.is_err() {
                continue;
            }
            assert_eq!(find(&library, name), expected, "{name}");
        }
        assert!(find(&library, "loop").contains("os error"));
        assert!(find(&library, &"n".repeat(300)).contains("os error"));
        assert!(!Library::has(&StreamPath::join("live", "", "vod").unwrap()));
        assert!(!Library::has(&StreamPath::join("vod", "", "").unwrap()));
        assert!(!Library::has(&StreamPath::join("vodka", "", "a").unwrap()));
        fs::remove_dir_all(&root).unwrap();
    }
}
