//! One file of a recording on its disk: whole pieces are appended, and what is not whole is cut off again.
//!
//! While it is being written, a marker in `DIR/.weir` names it; the marker is locked as long as the program lives, so that
//! whoever finds one that is not knows of a file left unfinished (`repair`). Data reaches the disk about once a second
//! ([`SYNC`]); a killed program loses nothing that was appended, a machine without power loses that second.

use crate::base::MonoTime;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Between two times that a file is made to reach the disk.
const SYNC: Duration = Duration::from_secs(1);
/// Size and type of a box.
const BOX_HEAD: usize = 8;
/// Folder of the markers, below the folder of recordings. Streams cannot have such a name: see `name`.
const MARKERS: &str = ".weir";
/// Markers that are tried before giving up: files recorded at once.
const MAX_MARKERS: u32 = 100_000;

/// What a file's name means if there is one of that name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Create {
    /// Leave it alone.
    New,
    /// Replace it.
    Replace,
}

/// A file that is being written.
pub(super) struct Disk {
    file: File,
    path: PathBuf,
    marker: Marker,
    /// Bytes of whole pieces.
    len: u64,
    is_synced: bool,
    synced: MonoTime,
    /// What was not written whole could not be cut off.
    is_torn: bool,
}

impl Disk {
    /// Makes the file `name`, relative to `root`, and the folders it needs.
    ///
    /// # Errors
    /// The system's; `AlreadyExists` if there is such a file that may not be replaced; `PermissionDenied` if a link
    /// would lead out of `root`.
    pub(super) fn create(now: MonoTime, root: &Path, name: &str, how: Create) -> io::Result<Disk> {
        let path = root.join(name);
        make_folders(root, Path::new(name))?;
        let marker = Marker::new(root, name)?;
        if how == Create::Replace {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return marker.give_up(error),
                _ => {}
            }
        }
        let file = match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) => return marker.give_up(error),
        };
        // The name has to survive a loss of power as well as the bytes do.
        if let Err(error) = sync_folder(&path) {
            let _ = fs::remove_file(&path);
            return marker.give_up(error);
        }
        Ok(Disk { file, path, marker, len: 0, is_synced: true, synced: now, is_torn: false })
    }

    /// Goes on with a file of `len` sound bytes.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn go_on(now: MonoTime, root: &Path, name: &str, len: u64) -> io::Result<Disk> {
        let path = root.join(name);
        let marker = Marker::new(root, name)?;
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = match opened.and_then(|file| file.set_len(len).map(|()| file)) {
            Ok(file) => file,
            Err(error) => return marker.give_up(error),
        };
        Ok(Disk { file, path, marker, len, is_synced: false, synced: now, is_torn: false })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends all of `piece`, or nothing.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn append(&mut self, piece: &[u8]) -> io::Result<()> {
        let result = self.file.write_all_at(piece, self.len);
        self.note_appended(piece.len(), result)
    }

    /// The same for boxes of an MP4 file, the head of the first one last: a program that is killed in the middle of it leaves
    /// zeros there, which mean a box of no known type up to the end of the file, and no fragment that is cut.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn append_boxes(&mut self, piece: &[u8]) -> io::Result<()> {
        let result = write_boxes(&self.file, piece, self.len);
        self.note_appended(piece.len(), result)
    }

    fn note_appended(&mut self, len: usize, result: io::Result<()>) -> io::Result<()> {
        self.is_synced = false;
        match result {
            Ok(()) => {
                self.len += len as u64;
                Ok(())
            }
            Err(error) => {
                // If that fails as well, it is for the next start to repair.
                self.is_torn = self.file.set_len(self.len).is_err();
                Err(error)
            }
        }
    }

    /// Overwrites bytes that are there.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.is_synced = false;
        self.file.write_all_at(bytes, at)
    }

    /// Makes everything reach the disk.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn sync(&mut self, now: MonoTime) -> io::Result<()> {
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed"));
        }
        self.synced = now;
        self.is_synced = true;
        self.file.sync_data()
    }

    /// The same, about once a second.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn sync_if_due(&mut self, now: MonoTime) -> io::Result<()> {
        if self.is_synced || now.since(self.synced) < SYNC {
            return Ok(());
        }
        self.sync(now)
    }

    /// The file is as it should be; one without a byte goes.
    pub(super) fn done(self) {
        if self.len == 0 {
            let _ = fs::remove_file(&self.path);
        }
        if !self.is_torn {
            self.marker.remove();
        }
    }
}

/// Says that a file is being written.
pub(super) struct Marker {
    /// Locked.
    file: File,
    path: PathBuf,
}

impl Marker {
    fn new(root: &Path, name: &str) -> io::Result<Marker> {
        let folder = root.join(MARKERS);
        fs::create_dir_all(&folder)?;
        for number in 0..MAX_MARKERS {
            let path = folder.join(number.to_string());
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut marker = Marker { file, path };
                    return match marker.begin(name) {
                        Ok(()) => Ok(marker),
                        Err(error) => marker.give_up(error),
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many files are being recorded"))
    }

    fn begin(&mut self, name: &str) -> io::Result<()> {
        flock(&self.file, FlockOperation::NonBlockingLockExclusive)?;
        self.file.write_all(name.as_bytes())?;
        self.file.sync_all()?;
        // A loss of power must not leave the file and take what tells of it.
        sync_folder(&self.path)
    }

    /// Those whose program has gone, with the files they name.
    pub(super) fn abandoned(root: &Path) -> Vec<(Marker, String)> {
        let Ok(entries) = fs::read_dir(root.join(MARKERS)) else { return Vec::new() };
        let mut found = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            let Ok(file) = File::open(&path) else { continue };
            // Another program records there.
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            if let Ok(name) = fs::read_to_string(&path) {
                found.push((Marker { file, path }, name));
            }
        }
        found
    }

    pub(super) fn remove(self) {
        // One that stays is looked at again at the next start.
        let _ = fs::remove_file(&self.path);
    }

    fn give_up<T>(self, error: io::Error) -> io::Result<T> {
        self.remove();
        Err(error)
    }
}

/// Writes boxes behind the end of a file, the head of the first one last.
pub(super) fn write_boxes(file: &File, piece: &[u8], at: u64) -> io::Result<()> {
    let (head, rest) = piece.split_at(piece.len().min(BOX_HEAD));
    file.write_all_at(rest, at + head.len() as u64)?;
    file.write_all_at(head, at)
}

/// Makes the name of a file reach the disk.
fn sync_folder(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Whether there is anything of that name.
pub(super) fn exists(root: &Path, name: &str) -> bool {
    root.join(name).symlink_metadata().is_ok()
}

/// Whether some recording, also of another program, is writing the file `name`.
pub(super) fn is_being_written(root: &Path, name: &str) -> bool {
    marked(root).any(|marked| marked == name)
}

/// Names of files that are being written, or were when their program ended.
pub(super) fn marked(root: &Path) -> impl Iterator<Item = String> {
    let markers = fs::read_dir(root.join(MARKERS)).into_iter().flatten().flatten();
    markers.filter_map(|entry| fs::read_to_string(entry.path()).ok())
}

/// Makes the folders of `name` below `root`, and follows no link that leads out of it.
fn make_folders(root: &Path, name: &Path) -> io::Result<()> {
    let mut folder = root.to_path_buf();
    for component in name.parent().into_iter().flat_map(Path::components) {
        folder.push(component);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if folder.symlink_metadata()?.is_symlink() && !folder.canonicalize()?.starts_with(root) {
            let what = format!("{} leads out of the folder of recordings", folder.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_somebody_removes_is_missed_within_a_second() {
        let root = std::env::temp_dir().join(format!("weir-disk-test-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let mut disk = Disk::create(MonoTime(0), &root, "a.flv", Create::New).unwrap();
        disk.append(b"one").unwrap();
        disk.sync_if_due(MonoTime(1000)).unwrap();
        fs::remove_file(root.join("a.flv")).unwrap();
        disk.append(b"two").unwrap();
        let gone = disk.sync_if_due(MonoTime(2000)).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        disk.done();
        assert!(Marker::abandoned(&root).is_empty());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_made_leaves_no_marker() {
        let root = std::env::temp_dir().join(format!("weir-disk-taken-{}", std::process::id()));
        fs::create_dir_all(root.join("folder")).unwrap();
        fs::write(root.join("taken.flv"), b"old").unwrap();
        for (name, how) in [("taken.flv", Create::New), ("folder", Create::New), ("folder", Create::Replace)]
        {
            assert!(Disk::create(MonoTime(0), &root, name, how).is_err(), "{name}");
            assert!(Disk::go_on(MonoTime(0), &root, "missing.flv", 0).is_err());
        }
        assert_eq!(fs::read_dir(root.join(MARKERS)).unwrap().count(), 0);
        assert_eq!(fs::read(root.join("taken.flv")).unwrap(), b"old");
        fs::remove_dir_all(root).unwrap();
    }

    /// Whoever kills the program in the middle of a fragment leaves what has no head yet.
    #[test]
    fn a_box_has_no_head_before_all_else_is_there() {
        let root = std::env::temp_dir().join(format!("weir-disk-boxes-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let mut disk = Disk::create(MonoTime(0), &root, "a.mp4", Create::New).unwrap();
        let path = root.join("a.mp4");
        disk.append_boxes(b"\0\0\0\x10ftypisomiso6").unwrap();
        let (first, second) = (b"\0\0\0\x0cmoofbody", b"\0\0\0\x09mdatx");
        disk.append_boxes(&[&first[..], second].concat()).unwrap();
        let whole = [&b"\0\0\0\x10ftypisomiso6"[..], first, second].concat();
        assert_eq!(fs::read(&path).unwrap(), whole);
        // A disk that refuses the rest leaves the file as it was.
        disk.file = File::open(&path).unwrap();
        assert!(disk.append_boxes(first).is_err());
        assert_eq!((fs::read(&path).unwrap(), disk.len()), (whole.clone(), whole.len() as u64));
        disk.done();
        assert_eq!(Marker::abandoned(&root).len(), 1, "what could not be cut off is left for the next start");
        fs::remove_dir_all(root).unwrap();
    }
}
