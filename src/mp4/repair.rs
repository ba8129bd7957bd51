//! Where a fragmented file that was left unfinished is sound: everything up to the last whole `mdat`.
//!
//! A fragment whose `moof` is cut makes some players refuse the whole file, so what is behind the last whole fragment has
//! to go; so has an index that was being appended. A file that was finished is left as it is. Reads 16 bytes a box,
//! whatever the boxes say; ISO 14496-12, 4.2.

use super::boxes::Boxes;
use crate::media::{MediaError, ReadAt};

/// How many bytes of a file to keep.
///
/// # Errors
/// It cannot be read, or there is no whole header with something behind it: nothing in it can be played.
pub fn sound_len(file: &dyn ReadAt) -> Result<u64, MediaError> {
    let mut boxes = Boxes::of_file(file, 0..file.size()?);
    let (mut walk, mut at) = (Walk::default(), 0);
    loop {
        match boxes.next() {
            Ok(Some(found)) if !found.is_cut => {
                walk.pass(found.kind, found.end);
                at = found.end;
            }
            // Where the boxes make no sense any more is an end like any other.
            Ok(_) | Err(MediaError::Malformed { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    if walk.keep == 0 || !walk.has_mdat {
        return Err(MediaError::Malformed { what: "an MP4 file without a whole fragment", offset: at });
    }
    Ok(walk.keep)
}

#[derive(Default)]
struct Walk {
    has_mdat: bool,
    /// Behind a `moof`.
    has_media: bool,
    last: [u8; 4],
    keep: u64,
}

impl Walk {
    fn pass(&mut self, kind: [u8; 4], end: u64) {
        match &kind {
            // The header; or, behind media that no moof has announced, the index of a finished file.
            b"moov" if !self.has_media => self.keep = end,
            b"mdat" => {
                self.has_mdat = true;
                if self.last == *b"moof" {
                    self.keep = end;
                }
                self.has_media |= self.last == *b"moof";
            }
            _ => {}
        }
        self.last = kind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    fn plain(kind: &[u8; 4], len: usize) -> Vec<u8> {
        [&(len as u32 + 8).to_be_bytes()[..], kind, &vec![0x55; len]].concat()
    }

    fn fragmented() -> (Vec<u8>, Vec<usize>) {
        let mut file = [plain(b"ftyp", 24), plain(b"free", 8), plain(b"moov", 50)].concat();
        let mut ends = vec![file.len()];
        for len in [30, 0, 77] {
            file.extend([plain(b"moof", 20), plain(b"mdat", len)].concat());
            ends.push(file.len());
        }
        (file, ends)
    }

    #[test]
    fn a_file_cut_anywhere_keeps_its_whole_fragments() {
        let (file, ends) = fragmented();
        for len in 0..=file.len() {
            // The header alone is nothing.
            let expected = ends[1..].iter().rev().find(|end| **end <= len).map(|end| *end as u64);
            assert_eq!(sound_len(&&file[..len]).ok(), expected, "{len} bytes");
        }
    }

    #[test]
    fn an_index_that_was_being_appended_goes() {
        let (file, ends) = fragmented();
        let whole = [file.clone(), plain(b"moov", 90)].concat();
        for len in file.len()..=whole.len() {
            assert_eq!(sound_len(&&whole[..len]), Ok(*ends.last().unwrap() as u64));
        }
    }

    #[test]
    fn a_finished_file_is_left_alone() {
        let (mut file, _) = fragmented();
        let len = (file.len() - 32) as u64;
        file[32..36].copy_from_slice(&1_u32.to_be_bytes());
        file[36..40].copy_from_slice(b"mdat");
        file[40..48].copy_from_slice(&len.to_be_bytes());
        file.extend(plain(b"moov", 90));
        assert_eq!(sound_len(&&*file), Ok(file.len() as u64));
    }

    #[test]
    fn sizes_that_lead_nowhere_end_the_walk() {
        let (mut file, ends) = fragmented();
        let last = ends[2];
        for lie in [0_u32, 7, u32::MAX] {
            file[last..last + 4].copy_from_slice(&lie.to_be_bytes());
            assert_eq!(sound_len(&&*file), Ok(last as u64));
        }
    }
}
