//! A piece of a file in memory, so that small fields and samples that lie side by side cost no call each.

use crate::media::{MediaError, ReadAt};
use alloc::vec::Vec;

/// The piece that was read last.
#[derive(Debug)]
pub(crate) struct Window {
    /// Where in the file it begins.
    start: u64,
    bytes: Vec<u8>,
    capacity: usize,
}

impl Window {
    /// One that reads up to `capacity` bytes at once, and holds none yet.
    pub(crate) const fn new(capacity: usize) -> Window {
        Window { start: 0, bytes: Vec::new(), capacity }
    }

    /// `len` bytes at `offset`; `None` if the file ends before. What is read with them ends before `end`, behind which
    /// nothing of interest lies. More than the capacity is read if it is asked for.
    pub(crate) fn get(
        &mut self,
        source: &dyn ReadAt,
        offset: u64,
        len: usize,
        end: u64,
    ) -> Result<Option<&[u8]>, MediaError> {
        let held = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let held = held.filter(|at| at.checked_add(len).is_some_and(|end| end <= self.bytes.len()));
        if let Some(at) = held {
            return Ok(self.bytes.get(at..at + len));
        }
        let ahead = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.bytes.clear();
        self.bytes.resize(ahead.min(self.capacity).max(len), 0);
        self.start = offset;
        let count = source.read_at(offset, &mut self.bytes).inspect_err(|_| self.bytes.clear())?;
        self.bytes.truncate(count);
        Ok(self.bytes.get(..len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_ahead_is_not_read_again() {
        let source: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        let mut window = Window::new(4);
        assert_eq!(window.get(&source, 2, 2, 10).unwrap(), Some(&[2, 3][..]));
        let other: &[u8] = &[];
        assert_eq!(window.get(&other, 3, 3, 10).unwrap(), Some(&[3, 4, 5][..]), "from memory");
        assert_eq!(window.get(&other, 3, 4, 10).unwrap(), None, "the file has become shorter");
        assert_eq!(
            window.get(&source, 3, 6, 10).unwrap().map(<[u8]>::len),
            Some(6),
            "longer than the window"
        );
        assert_eq!(window.get(&source, u64::MAX, 1, u64::MAX).unwrap(), None);
    }

    #[test]
    fn nothing_is_read_beyond_the_end_of_interest() {
        let source: &[u8] = &[7; 100];
        let mut window = Window::new(64);
        assert!(window.get(&source, 10, 2, 20).unwrap().is_some());
        assert_eq!(window.bytes.len(), 10);
    }
}
