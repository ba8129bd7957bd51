//! Immutable bytes that many holders share without copying.

use alloc::{borrow::Cow, sync::Arc, vec::Vec};
use core::{fmt, ops::Deref, ops::Range};

/// A message body, or part of one. Cloning and slicing share the bytes; nothing can change them.
#[derive(Clone, Default)]
pub struct Payload {
    bytes: Bytes,
    range: Range<u32>,
}

/// Bytes in one allocation where they were copied, in two where they have grown in a vector. Those of the program need
/// a small one as well: with a third variant every payload in every queue would be larger by a third.
#[derive(Clone)]
enum Bytes {
    Copied(Arc<[u8]>),
    Whole(Arc<Cow<'static, [u8]>>),
}

impl Payload {
    /// Bytes that are part of the program, as they are.
    ///
    /// # Panics
    /// As for a vector.
    pub fn from_static(bytes: &'static [u8]) -> Payload {
        Payload::whole(Cow::Borrowed(bytes))
    }

    fn whole(bytes: Cow<'static, [u8]>) -> Payload {
        let range = 0..end_of(&bytes);
        Payload { bytes: Bytes::Whole(Arc::new(bytes)), range }
    }

    /// The bytes of `range` of this payload, shared.
    ///
    /// # Panics
    /// If `range` does not lie inside, as slicing does.
    pub fn slice(&self, range: Range<usize>) -> Payload {
        assert!(range.start <= range.end && range.end <= self.len(), "slice outside of the payload");
        let at = |offset: usize| self.range.start + offset as u32;
        Payload { bytes: self.bytes.clone(), range: at(range.start)..at(range.end) }
    }
}

impl From<Vec<u8>> for Payload {
    /// Takes the bytes over without copying.
    ///
    /// # Panics
    /// Beyond 4 GiB, which no limit of this crate allows.
    fn from(bytes: Vec<u8>) -> Payload {
        Payload::whole(Cow::Owned(bytes))
    }
}

impl From<&[u8]> for Payload {
    /// Copies the bytes; those of the program need not be ([`Payload::from_static`]).
    ///
    /// # Panics
    /// As for a vector.
    fn from(bytes: &[u8]) -> Payload {
        Payload { bytes: Bytes::Copied(bytes.into()), range: 0..end_of(bytes) }
    }
}

fn end_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("payloads are bounded by Limits, far below 4 GiB")
}

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes::Whole(Arc::default())
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes: &[u8] = match &self.bytes {
            Bytes::Copied(bytes) => bytes,
            Bytes::Whole(bytes) => bytes,
        };
        &bytes[self.range.start as usize..self.range.end as usize]
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        **self == **other
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes", self.len())?;
        let shown = &self[..self.len().min(16)];
        for byte in shown {
            write!(f, " {byte:02x}")?;
        }
        f.write_str(if shown.len() < self.len() { " ..)" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn slices_of_slices_share_the_bytes() {
        let whole = Payload::from(vec![1, 2, 3, 4, 5]);
        let part = whole.slice(1..5).slice(1..3);
        assert_eq!(&*part, &[3, 4]);
        assert_eq!(part.as_ptr(), whole[2..].as_ptr());
    }

    #[test]
    fn bytes_of_the_program_are_not_copied() {
        static PAGE: [u8; 3] = [7, 8, 9];
        let payload = Payload::from_static(&PAGE);
        assert_eq!((&*payload, payload.as_ptr()), (&PAGE[..], PAGE.as_ptr()));
        assert_eq!(payload.slice(1..2).as_ptr(), PAGE[1..].as_ptr());
    }

    #[test]
    fn payloads_are_small_because_queues_hold_millions() {
        assert_eq!(size_of::<Payload>(), size_of::<Arc<[u8]>>() + size_of::<Range<u32>>());
    }
}
