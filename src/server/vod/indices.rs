//! Indices of fragmented MP4 files that do not hold one, shared by all who play a file.
//!
//! Such a file is walked through when it is opened: 27 to 320 ms for two hours. Players that come together (and the
//! question for the length that comes before a play) share one walk and one list. All other files open in a millisecond
//! or two. What is kept is only where to look: an index that no longer fits costs time and nothing else.
//! Bounds: [`MAX_FILES`], [`MAX_BYTES`]; the one that was not asked for the longest goes first.

use crate::{
    media::{FragmentIndex, MediaError, MediaReader, Mp4Reader, format::Format},
    server::media,
};
use alloc::{boxed::Box, collections::VecDeque};
use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    sync::{Mutex, PoisonError},
};

/// Files whose index is kept.
const MAX_FILES: usize = 64;
/// Bytes of all of them: some 70 films of two hours.
const MAX_BYTES: usize = 8 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Indices {
    /// The one that was used last is last.
    kept: Mutex<VecDeque<(Key, FragmentIndex)>>,
}

/// A file as it is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Indices {
    /// A reader for a file, as [`media::reader`].
    pub(super) fn reader(&self, file: File) -> Result<Box<dyn MediaReader + Send>, MediaError> {
        if Format::of(&file)? != Format::Mp4 {
            return media::reader(file);
        }
        let Ok(metadata) = file.metadata() else { return media::reader(file) };
        let key = Key {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        };
        let reader = Mp4Reader::open_with(file, self.get(key))?;
        if let Some(index) = reader.fragment_index() {
            self.keep(key, index);
        }
        Ok(Box::new(reader))
    }

    fn get(&self, key: Key) -> Option<FragmentIndex> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, _)| *of == key).map(|(_, index)| index.clone())
    }

    fn keep(&self, key: Key, index: FragmentIndex) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that has changed is another one, and what it was is of no use.
        kept.retain(|(of, _)| (of.device, of.inode) != (key.device, key.inode));
        kept.push_back((key, index));
        while kept.len() > MAX_FILES || kept.iter().map(|(_, index)| index.bytes()).sum::<usize>() > MAX_BYTES
        {
            kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::testing::{Style, fragmented, h264};
    use alloc::format;
    use std::{fs, path::PathBuf, time::SystemTime};

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_walked_once_until_it_changes() {
        let folder = Folder(std::env::temp_dir().join(format!("weir-indices-{}", std::process::id())));
        fs::create_dir_all(&folder.0).unwrap();
        let path = folder.0.join("film.mp4");
        fs::write(&path, fragmented(&[h264(50, 10)], Style::Modern, 10)).unwrap();
        let indices = Indices::default();
        let open = || indices.reader(File::open(&path).unwrap()).unwrap().info().keyframes.len();
        let of_last = || indices.kept.lock().unwrap().back().map(|(_, index)| index.clone()).unwrap();
        assert_eq!(open(), 5);
        let first = of_last();
        assert_eq!(open(), 5);
        assert!(first.is_same(&of_last()), "shared");
        // The same length and another time.
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(open(), 5);
        assert!(!first.is_same(&of_last()));
        assert_eq!(indices.kept.lock().unwrap().len(), 1, "what it was is forgotten");
        // Many files: as many as there is room for.
        for number in 0..2 * MAX_FILES as u64 {
            let key = Key { device: 0, inode: number, size: 1, modified: (0, 0) };
            indices.keep(key, first.clone());
        }
        assert_eq!(indices.kept.lock().unwrap().len(), MAX_FILES);
        assert!(indices.get(Key { device: 0, inode: 0, size: 1, modified: (0, 0) }).is_none());
    }
}
