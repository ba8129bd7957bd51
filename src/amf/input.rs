//! What the AMF0 and the AMF3 decoder share: the cursor, the budget, the first error, references.
//!
//! Bounds: every value costs one of [`Budget`]'s values, and every container one level of its depth. A reference
//! is resolved by decoding the bytes it refers to a second time. That costs what those values cost, and one value
//! more for every 16 bytes that are copied again, and the budget grows with the length of the input, so a few bytes
//! of references cannot unfold into gigabytes ("billion laughs"). Work and memory are thereby linear in the input and the budget, whatever the bytes say.
//!
//! Once something fails, everything stops, but containers keep what they hold: a metadata object with one strange
//! property is still worth reading. Hence the `Option`s: `None` says "stop", and why is in [`Input::failure`].

use crate::base::wire::Cursor;
use alloc::{string::String, vec::Vec};
use core::{error, fmt, ops::Range};

/// What decoding one message may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    depth: usize,
    values: usize,
}

impl Budget {
    /// `depth` levels of objects and arrays inside one another, AMF0 and AMF3 together (a flat object has one), at
    /// most [`Budget::MAX_DEPTH`]; `values` of all kinds, nested ones included.
    pub const fn new(depth: usize, values: usize) -> Budget {
        Budget { depth: if depth < Self::MAX_DEPTH { depth } else { Self::MAX_DEPTH }, values }
    }

    /// Decoding, encoding and dropping values recurse once a level: deep enough for every writer known, and
    /// shallow enough for the stack of a small thread.
    pub const MAX_DEPTH: usize = 128;
    /// Levels unless somebody says otherwise.
    pub const DEFAULT_DEPTH: usize = 32;
    /// Values unless somebody says otherwise: a keyframe index in `onMetaData` holds that many numbers.
    pub const DEFAULT_VALUES: usize = 100_000;
}

impl Default for Budget {
    fn default() -> Budget {
        Budget::new(Budget::DEFAULT_DEPTH, Budget::DEFAULT_VALUES)
    }
}

/// Why decoding stopped, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What went wrong.
    pub kind: DecodeErrorKind,
    /// Byte of the input at which it was found: the marker, or the field that is cut short.
    pub offset: usize,
}

/// What can be wrong with AMF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends inside a value, or a length points past its end.
    Truncated,
    /// A marker that is reserved or does not exist. What follows cannot be found, as its length is unknown.
    Marker(u8),
    /// A reference to an entry that its table does not have.
    Reference,
    /// An AMF3 object that only its class can read, and that class is not one of those known.
    Externalizable,
    /// Nested deeper than the budget says.
    TooDeep,
    /// More values than the budget says, those that references repeat included.
    TooManyValues,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            DecodeErrorKind::Truncated => f.write_str("AMF value is cut short")?,
            DecodeErrorKind::Marker(marker) => write!(f, "unknown AMF marker 0x{marker:02x}")?,
            DecodeErrorKind::Reference => f.write_str("AMF reference to nothing")?,
            DecodeErrorKind::Externalizable => {
                f.write_str("AMF3 object of an unknown externalizable class")?
            }
            DecodeErrorKind::TooDeep => f.write_str("AMF nested deeper than the budget says")?,
            DecodeErrorKind::TooManyValues => f.write_str("more AMF values than the budget says")?,
        }
        write!(f, " (at byte {} of the values)", self.offset)
    }
}

impl error::Error for DecodeError {}

/// Bytes under decoding. Reads give `None` at the end of the bytes, once `failure` says so.
#[derive(Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    cursor: Cursor<'a>,
    /// What is left of it.
    budget: Budget,
    failure: Option<DecodeError>,
    /// Inside a reference: what is met now was met before, and is in the tables.
    is_repeating: bool,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8], budget: Budget) -> Input<'a> {
        let values = budget.values.min(bytes.len().saturating_add(VALUES_BEYOND_BYTES));
        let budget = Budget { values, ..budget };
        Input { bytes, cursor: Cursor::new(bytes), budget, failure: None, is_repeating: false }
    }

    pub(super) fn position(&self) -> usize {
        self.cursor.position()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.cursor.rest()
    }

    pub(super) fn failure(&self) -> Option<DecodeError> {
        self.failure
    }

    pub(super) fn is_sound(&self) -> bool {
        self.failure.is_none()
    }

    pub(super) fn is_repeating(&self) -> bool {
        self.is_repeating
    }

    /// Stops decoding because of what begins at `offset`. The first failure is the one that counts.
    pub(super) fn fail<T>(&mut self, kind: DecodeErrorKind, offset: usize) -> Option<T> {
        self.failure = self.failure.or(Some(DecodeError { kind, offset }));
        None
    }

    fn or_truncated<T>(&mut self, read: Option<T>) -> Option<T> {
        read.or_else(|| self.fail(DecodeErrorKind::Truncated, self.position()))
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.cursor.take(count);
        self.or_truncated(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let read = self.cursor.u8();
        self.or_truncated(read)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let read = self.cursor.u16();
        self.or_truncated(read)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let read = self.cursor.u32();
        self.or_truncated(read)
    }

    pub(super) fn f64(&mut self) -> Option<f64> {
        let read = self.cursor.f64();
        self.or_truncated(read)
    }

    /// The marker of the next value, which costs one value.
    pub(super) fn marker(&mut self) -> Option<u8> {
        self.charge(1)?;
        self.u8()
    }

    /// Pays for `count` values.
    pub(super) fn charge(&mut self, count: usize) -> Option<()> {
        match self.budget.values.checked_sub(count) {
            Some(left) => self.budget.values = left,
            None => return self.fail(DecodeErrorKind::TooManyValues, self.position()),
        }
        Some(())
    }

    /// Pays for bytes of the input that are copied a second time.
    pub(super) fn charge_copy(&mut self, bytes: usize) -> Option<()> {
        self.charge(bytes / COPIED_BYTES_PER_VALUE)
    }

    /// Goes into a container; `leave` goes out again.
    pub(super) fn enter(&mut self) -> Option<()> {
        match self.budget.depth.checked_sub(1) {
            Some(left) => self.budget.depth = left,
            None => return self.fail(DecodeErrorKind::TooDeep, self.position()),
        }
        Some(())
    }

    pub(super) fn leave(&mut self) {
        self.budget.depth += 1;
    }

    /// Goes back to bytes that a reference repeats; `resume` takes the result to go on behind the reference.
    pub(super) fn rewind(&mut self, span: &Range<usize>) -> Option<Resume<'a>> {
        self.charge_copy(span.len())?;
        let resume = Resume { cursor: self.cursor, is_repeating: self.is_repeating };
        self.cursor = Cursor::new(self.bytes);
        self.take(span.start)?;
        self.is_repeating = true;
        Some(resume)
    }

    pub(super) fn resume(&mut self, resume: Resume<'a>) {
        self.cursor = resume.cursor;
        self.is_repeating = resume.is_repeating;
    }
}

/// Where decoding goes on after a reference.
pub(super) struct Resume<'a> {
    cursor: Cursor<'a>,
    is_repeating: bool,
}

/// A table of values that can be referred to: where in the input each lies, in the order of their markers.
#[derive(Debug, Default)]
pub(super) struct References(Vec<Range<usize>>);

impl References {
    /// Adds the value whose marker is at `start`, unless it is there already. For `close`.
    pub(super) fn open(&mut self, input: &Input<'_>, start: usize) -> Option<usize> {
        if input.is_repeating() {
            return None;
        }
        self.0.push(start..usize::MAX);
        Some(self.0.len() - 1)
    }

    /// The value that `open` added ends here.
    pub(super) fn close(&mut self, input: &Input<'_>, entry: Option<usize>) {
        if let Some(span) = entry.and_then(|index| self.0.get_mut(index)) {
            span.end = input.position();
        }
    }

    /// What a reference at the byte `at` refers to.
    ///
    /// Whether a value counts as unfinished is a matter of where it lies, not of when we ask: when a reference is
    /// met again inside of what another one repeats, the answer is the same. As bytes repeated always end before
    /// the reference to them begins, no chain of references can come back to where it started.
    pub(super) fn resolve(&self, input: &mut Input<'_>, index: usize, at: usize) -> Option<Referent> {
        match self.0.get(index) {
            None => input.fail(DecodeErrorKind::Reference, at),
            Some(span) if span.end > at => Some(Referent::Unfinished),
            Some(span) => Some(Referent::Finished(span.clone())),
        }
    }
}

/// What a reference refers to.
pub(super) enum Referent {
    /// A value that is complete.
    Finished(Range<usize>),
    /// A value that the reference is part of: a cycle, which a tree of values cannot hold.
    Unfinished,
}

/// A string as it comes. Bytes that are no UTF-8 (clients send names in the encoding of their system) become
/// U+FFFD: a wrong character in a name is no reason to drop a connection.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A value takes at least a byte, but for those that references repeat. Those are this many at most in one message,
/// or as many as it has bytes to spare; otherwise a stream of small messages would unfold into gigabytes a second.
const VALUES_BEYOND_BYTES: usize = 64;

/// How many copied bytes cost as much as a value, which takes up some 50 bytes itself.
const COPIED_BYTES_PER_VALUE: usize = 16;
