//! TCP segments of one direction -> the byte stream that the receiver's program read.
//!
//! Puts segments in order, drops what was sent twice, and tells where the capture lacks bytes. A short gap is filled
//! with zeros: inside a media body that keeps everything behind it decodable. Not here: congestion, windows,
//! checksums.
//!
//! Bounds: a stream holds no more bytes than the file has, plus the zeros that [`ZeroBudget`] allows to the capture.

use alloc::{collections::BTreeMap, vec::Vec};
use core::{fmt, time::Duration};

use super::Close;

/// One direction of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// All bytes in order.
    pub bytes: Vec<u8>,
    /// How they arrived, in order and without holes.
    pub segments: Vec<Segment>,
    /// How this side ended, if the capture shows it: the first FIN or RST it sent.
    pub end: Option<End>,
    /// Where this is not simply what was sent.
    pub oddities: Vec<StreamOddity>,
}

impl Stream {
    /// When the byte at `offset` could be read; `None` in an empty stream.
    pub fn time_at(&self, offset: u64) -> Option<Duration> {
        let after = self.segments.partition_point(|segment| segment.offset <= offset);
        self.segments.get(after.saturating_sub(1)).map(|segment| segment.time)
    }

    /// The bytes of each segment with its time, in order.
    pub fn parts(&self) -> impl Iterator<Item = (Duration, &[u8])> {
        self.segments.iter().enumerate().map(|(index, segment)| {
            let end = self.segments.get(index + 1).map_or(self.bytes.len(), |next| next.offset as usize);
            (segment.time, &self.bytes[segment.offset as usize..end])
        })
    }
}

/// Where a TCP segment begins in its stream. It ends where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Bytes of this direction before it.
    pub offset: u64,
    /// When the receiver could read it, since 1970-01-01 UTC.
    pub time: Duration,
}

/// The end of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// FIN or RST.
    pub how: Close,
    /// When, since 1970-01-01 UTC.
    pub time: Duration,
}

/// Why bytes of a stream may not be what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamOddity {
    /// Bytes were sent but not captured; zeros stand for them.
    Gap {
        /// Where they are missing.
        offset: u64,
        /// How many.
        len: u64,
    },
    /// Bytes were sent but not captured, so many that the stream ends there.
    Cut {
        /// Where the stream ends.
        offset: u64,
        /// Bytes missing up to the next captured one.
        missing: u64,
    },
    /// The receiver acknowledged bytes, or the sender ended behind bytes, that were not captured.
    TailMissing {
        /// Where the stream ends.
        offset: u64,
        /// How many are known of.
        len: u64,
    },
    /// Bytes were sent again and differ; the first ones count.
    Conflict {
        /// Where.
        offset: u64,
    },
}

impl fmt::Display for StreamOddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamOddity::Gap { offset, len } => {
                write!(f, "gap in capture: {len} bytes at {offset}, read as zeros")
            }
            StreamOddity::Cut { offset, missing } => {
                write!(f, "gap in capture: {missing} bytes at {offset}, the rest is not read")
            }
            StreamOddity::TailMissing { offset, len } => {
                write!(f, "end not captured: {len} bytes at {offset}")
            }
            StreamOddity::Conflict { offset } => {
                write!(f, "bytes at {offset} were sent again with other contents")
            }
        }
    }
}

/// Zeros that may still be filled in, for all streams of a capture together.
pub(super) struct ZeroBudget(u64);

impl ZeroBudget {
    pub(super) fn new() -> ZeroBudget {
        ZeroBudget(MAX_ZEROS)
    }

    fn take(&mut self, len: u64) -> bool {
        let left = self.0.checked_sub(len);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// A stream in the making.
#[derive(Default)]
pub(super) struct Reassembly<'a> {
    stream: Stream,
    /// Sequence number of the first byte, once known.
    start: Option<u32>,
    /// Segments behind a hole, by offset.
    waiting: BTreeMap<u64, (Duration, &'a [u8])>,
    /// Offset behind the last byte that the sender or the receiver is known to have got to.
    known_end: u64,
}

impl<'a> Reassembly<'a> {
    /// Sequence number of the first byte, if one was set or guessed.
    pub(super) fn start(&self) -> Option<u32> {
        self.start
    }

    pub(super) fn set_start(&mut self, sequence: u32) {
        self.start.get_or_insert(sequence);
    }

    /// The receiver says which byte it expects next. Tells where a stream begins whose SYN was not captured.
    pub(super) fn acknowledged(&mut self, sequence: u32) {
        let expected = self.offset_of(sequence);
        // A FIN counts as one byte; without having seen it, one byte more says nothing.
        if let Some(end) = expected.and_then(|offset| offset.checked_sub(1)) {
            self.known_end = self.known_end.max(end);
        }
    }

    pub(super) fn data(&mut self, time: Duration, sequence: u32, data: &'a [u8]) {
        if data.is_empty() {
            return;
        }
        let Some(offset) = self.signed_offset_of(sequence) else { return };
        let next = self.stream.bytes.len() as i64;
        if data.len() == 1 && offset == next - 1 {
            return; // keep-alive probe, which may hold any byte
        }
        // What lies before the first byte was sent before the capture began.
        let early = usize::try_from(-offset.min(0)).unwrap_or(usize::MAX);
        let Some(data) = data.get(early..) else { return };
        let offset = offset.max(0) as u64;
        if offset > next as u64 {
            let kept = self.waiting.entry(offset).or_insert((time, data));
            if kept.1.len() < data.len() {
                *kept = (time, data);
            }
            return;
        }
        self.append(time, offset, data);
        self.release(time);
    }

    /// `sequence` is that of the FIN or RST itself.
    pub(super) fn end(&mut self, time: Duration, sequence: u32, how: Close) {
        if how == Close::Fin {
            if let Some(offset) = self.offset_of(sequence) {
                self.known_end = self.known_end.max(offset);
            }
        }
        self.stream.end.get_or_insert(End { how, time });
    }

    /// Nothing more was captured.
    pub(super) fn finish(mut self, zeros: &mut ZeroBudget) -> Stream {
        while let Some((&offset, &(time, _))) = self.waiting.first_key_value() {
            let at = self.stream.bytes.len() as u64;
            let len = offset.saturating_sub(at);
            if !zeros.take(len) {
                self.stream.oddities.push(StreamOddity::Cut { offset: at, missing: len });
                return self.stream;
            }
            if len > 0 {
                self.stream.oddities.push(StreamOddity::Gap { offset: at, len });
                self.stream.segments.push(Segment { offset: at, time });
                self.stream.bytes.resize(offset as usize, 0);
            }
            self.release(time);
        }
        let at = self.stream.bytes.len() as u64;
        if self.known_end > at {
            self.stream.oddities.push(StreamOddity::TailMissing { offset: at, len: self.known_end - at });
        }
        self.stream
    }

    /// Appends what waits and has no hole before it any more.
    fn release(&mut self, now: Duration) {
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.stream.bytes.len() as u64 {
                return;
            }
            let (offset, (time, data)) = entry.remove_entry();
            self.append(time.max(now), offset, data);
        }
    }

    /// Appends what is new of `data`; `offset` is not beyond the end of the stream.
    fn append(&mut self, time: Duration, offset: u64, data: &[u8]) {
        let at = self.stream.bytes.len();
        let known = &self.stream.bytes[offset as usize..];
        let (again, new) = data.split_at(known.len().min(data.len()));
        if known[..again.len()] != *again {
            self.stream.oddities.push(StreamOddity::Conflict { offset });
        }
        if new.is_empty() {
            return;
        }
        self.stream.segments.push(Segment { offset: at as u64, time });
        self.stream.bytes.extend_from_slice(new);
    }

    /// The offset closest to the end of the stream that has this sequence number; negative before the first byte.
    fn signed_offset_of(&mut self, sequence: u32) -> Option<i64> {
        let start = *self.start.get_or_insert(sequence);
        let end = self.stream.bytes.len() as u64;
        let end_sequence = start.wrapping_add(end as u32);
        let distance = sequence.wrapping_sub(end_sequence) as i32;
        i64::try_from(end).ok()?.checked_add(distance.into())
    }

    fn offset_of(&mut self, sequence: u32) -> Option<u64> {
        self.signed_offset_of(sequence).and_then(|offset| u64::try_from(offset).ok())
    }
}

/// 4 MiB: more than any capture that is worth reading lacks.
const MAX_ZEROS: u64 = 4 << 20;
