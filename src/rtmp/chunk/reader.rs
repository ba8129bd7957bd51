//! Chunk reader: bytes of the peer -> whole messages.
//!
//! Covers chunk headers as a state machine, reassembly of interleaved messages, and the two control messages
//! that concern nothing but this layer: Set Chunk Size and Abort (RTMP 1.0, 5.3, 5.4.1, 5.4.2).
//! Not here: header layouts (`header`), what a message means (`message`), replies to it (`session`).
//! State: per csid the last header and one unfinished message; for the connection a few bytes of a header that
//! has not arrived whole. Input may be cut anywhere and gives the same messages.
//! Bounds: `max_chunk_streams`, `max_message_len`, `max_command_len`, `max_partial_bytes`, `max_tiny_chunks`.
//! Field notes: librtmp opens csid 2 with fmt 1; ffmpeg, GStreamer and FMLE start messages with fmt 3 right
//! after fmt 0; the librtmp copy in OBS does not repeat the extended timestamp on fmt 3, all others do, so that
//! it is looked for byte by byte. Tests: `tests/headers.rs`.

use super::{
    super::{At, Error, ErrorKind, Limit, Limits, Malformed, MessageStreamId},
    DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE, RawMessage,
    header::{self, ChunkHeader, MessageHeader},
};
use crate::base::{Payload, Timestamp, wire::Cursor};
use alloc::vec::Vec;
use core::mem;

/// Message types that this layer acts on.
const SET_CHUNK_SIZE: u8 = 1;
const ABORT: u8 = 2;

/// What a message of several chunks or arrivals gets at first, if it is that long: four times what has arrived of
/// it, between these two. So a short message takes one allocation, a large chunk is a reason to expect more of its
/// kind, and a peer that only promises gets 1 KiB a chunk stream. From there on the buffer doubles.
const LEAST_RESERVE: usize = 1 << 10;
const MOST_RESERVE: usize = 16 << 10;

/// Turns the chunk stream of a peer into messages; see the module.
#[derive(Debug)]
pub struct Reader {
    bounds: Bounds,
    chunk_size: u32,
    /// Bytes of the peer taken so far.
    offset: u64,
    /// In order of first use. Entries stay for good, so that an index does, too.
    streams: Vec<ChunkStream>,
    /// The chunk whose data is being read.
    open: Option<OpenChunk>,
    carry: Carry,
    /// Body bytes in `streams`.
    partial_bytes: usize,
    /// Chunks of 0 or 1 byte since the last longer one.
    tiny_chunks: u32,
    habit: ExtendedHabit,
    /// No media is expected yet; see [`Reader::expect_media`].
    is_early: bool,
}

/// What the reader needs of [`Limits`].
#[derive(Debug)]
struct Bounds {
    message_len: u32,
    early_message_len: u32,
    command_len: u32,
    partial_bytes: usize,
    chunk_streams: usize,
    tiny_chunks: u32,
}

/// What is known of one csid.
#[derive(Debug)]
struct ChunkStream {
    csid: u32,
    /// The last header, completed by those before.
    stream: MessageStreamId,
    length: u32,
    type_id: u8,
    timestamp: Timestamp,
    /// What a fmt 3 chunk that starts a message adds: the last delta, or the timestamp of a fmt 0 since then.
    delta: u32,
    /// Extended timestamp field of the last fmt 0, 1 or 2.
    extended: Option<u32>,
    /// A message has begun and is not complete.
    in_message: bool,
    /// Of the chunk with which it began.
    fmt: u8,
    /// Where that message began.
    offset: u64,
    /// What has arrived of it.
    body: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct OpenChunk {
    /// Of its chunk stream in `Reader::streams`.
    index: usize,
    /// Bytes of this chunk still to come.
    left: usize,
    /// Where its header began.
    offset: u64,
}

/// Bytes that are taken but not understood yet: a header that has not arrived whole.
#[derive(Debug, Default)]
struct Carry {
    bytes: [u8; header::MAX_LEN],
    len: u8,
}

/// Whether the peer leaves the extended timestamp out on fmt 3, as far as seen; unknown counts as no. By kind of
/// chunk, because librtmp decides differently for the two.
#[derive(Debug, Default)]
struct ExtendedHabit {
    absent_at_start: bool,
    absent_inside: bool,
}

/// What the bytes behind a fmt 3 header are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    /// Too few bytes to tell.
    Undecided,
    /// The extended timestamp.
    Present,
    /// Data of the message.
    Absent,
}

impl Reader {
    /// A reader at the first byte behind the handshake, which is `offset` bytes into what the peer sent.
    pub fn new(limits: &Limits, offset: u64) -> Reader {
        Reader {
            bounds: Bounds {
                message_len: limits.max_message_len,
                early_message_len: limits.max_early_message_len,
                command_len: limits.max_command_len,
                partial_bytes: limits.max_partial_bytes,
                chunk_streams: limits.max_chunk_streams,
                tiny_chunks: limits.max_tiny_chunks,
            },
            chunk_size: DEFAULT_CHUNK_SIZE,
            offset,
            streams: Vec::new(),
            open: None,
            carry: Carry::default(),
            partial_bytes: 0,
            tiny_chunks: 0,
            habit: ExtendedHabit::default(),
            is_early: false,
        }
    }

    /// Takes bytes up to the end of one message; returns how many, and the message if one was completed. Without
    /// a message, all bytes were taken.
    ///
    /// Set Chunk Size and Abort have taken effect when they are returned.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] and [`ErrorKind::LimitExceeded`], at the chunk that is to blame. The stream is
    /// lost then: the reader must not be used any more.
    pub fn read(&mut self, input: &[u8]) -> Result<(usize, Option<RawMessage>), Error> {
        let mut rest = input;
        loop {
            let chunk = match self.open {
                Some(chunk) => chunk,
                None => match self.open_chunk(&mut rest)? {
                    Some(chunk) => chunk,
                    None => return Ok((input.len(), None)),
                },
            };
            let body = match self.take_whole(chunk, &mut rest) {
                Some(body) => body,
                None => {
                    let left = self.take_data(chunk, &mut rest);
                    if left > 0 {
                        self.open = Some(OpenChunk { left, ..chunk });
                        return Ok((input.len(), None));
                    }
                    self.open = None;
                    let stream = &mut self.streams[chunk.index];
                    if stream.body.len() < stream.length as usize {
                        continue;
                    }
                    let body = stream.drop_message();
                    self.partial_bytes -= body.len();
                    body.into()
                }
            };
            let message = self.finish(chunk, body)?;
            return Ok((input.len() - rest.len(), Some(message)));
        }
    }

    /// Whether media is due on this connection: until then messages are held to
    /// [`Limits::max_early_message_len`]. A fresh reader expects some.
    pub fn expect_media(&mut self, is_expected: bool) {
        self.is_early = !is_expected;
    }

    /// A message or a header has begun and is not complete. How most players leave: not worth a warning.
    pub fn is_mid_message(&self) -> bool {
        self.carry.len > 0 || self.open.is_some() || self.partial_bytes > 0
    }

    /// Body bytes of unfinished messages; never above [`Limits::max_partial_bytes`].
    pub fn partial_bytes(&self) -> usize {
        self.partial_bytes
    }

    /// The chunk size that the peer sends with.
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Bytes of the peer taken so far, those before the chunk stream included.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads a header, from the carry and the input together. `None`: it is not all there, and all input is in
    /// the carry now.
    fn open_chunk(&mut self, rest: &mut &[u8]) -> Result<Option<OpenChunk>, Error> {
        let offset = self.offset - u64::from(self.carry.len);
        let held = usize::from(self.carry.len);
        let joined;
        let view = if held == 0 {
            *rest
        } else {
            joined = self.carry.joined(rest);
            &joined.0[..joined.1]
        };
        let Some((header, index, len)) = self.parse(view, offset)? else {
            self.carry = Carry::of(view);
            self.offset += rest.len() as u64;
            *rest = &[];
            return Ok(None);
        };
        // A carry that turned out to be data behind a shorter header stays, for `take_data` or the next header.
        self.carry.drop_front(len.min(held));
        self.skip(rest, len.saturating_sub(held));
        self.begin(header, index, offset).map(Some)
    }

    /// The header at the front of `view`, the index of its chunk stream if there is one, and the header's
    /// length. `None` if more bytes are needed; more bytes never change another answer.
    fn parse(
        &mut self,
        view: &[u8],
        offset: u64,
    ) -> Result<Option<(ChunkHeader, Option<usize>, usize)>, Error> {
        let Some((header, len)) = ChunkHeader::decode(view) else { return Ok(None) };
        let index = self.streams.iter().position(|stream| stream.csid == header.csid);
        if header.message != MessageHeader::Fmt3 {
            return Ok(Some((header, index, len)));
        }
        let Some(stream) = index.and_then(|index| self.streams.get(index)) else {
            return Err(fail(ErrorKind::Malformed(Malformed::ChunkWithoutHeader), offset, header.csid, None));
        };
        let absent =
            if stream.in_message { &mut self.habit.absent_inside } else { &mut self.habit.absent_at_start };
        let repeated = stream.find_repeated(&view[len..], stream.next_data(self.chunk_size), *absent);
        match repeated {
            Some(Repeated::Undecided) => return Ok(None),
            Some(decided) => *absent = decided == Repeated::Absent,
            None => {}
        }
        let extended = if repeated == Some(Repeated::Present) { 4 } else { 0 };
        Ok(Some((header, index, len + extended)))
    }

    /// Applies a header: completes it, checks it against the limits, opens the chunk.
    fn begin(&mut self, header: ChunkHeader, index: Option<usize>, offset: u64) -> Result<OpenChunk, Error> {
        let shape = header.message.shape();
        let type_id = shape.map(|(_, type_id)| type_id);
        let index = match index {
            Some(index) => index,
            None if type_id.is_none() => {
                let kind = ErrorKind::Malformed(Malformed::ChunkWithoutHeader);
                return Err(fail(kind, offset, header.csid, None));
            }
            None if self.streams.len() >= self.bounds.chunk_streams => {
                let kind = ErrorKind::LimitExceeded(Limit::ChunkStreams);
                return Err(fail(kind, offset, header.csid, type_id));
            }
            None => {
                self.streams.push(ChunkStream::new(header.csid));
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[index];
        if header.message != MessageHeader::Fmt3 {
            stream.extended = header.extended;
        }
        if !stream.in_message {
            stream.start(header.message, offset);
        } else if shape.is_some_and(|shape| shape != (stream.length, stream.type_id)) {
            let kind = ErrorKind::Malformed(Malformed::HeaderInsideMessage);
            return Err(fail(kind, offset, header.csid, type_id));
        }
        let left = stream.next_data(self.chunk_size);
        self.tiny_chunks = if left > 1 { 0 } else { self.tiny_chunks.saturating_add(1) };
        let (max_len, len_limit) = self.bounds.of_type(stream.type_id, self.is_early);
        let limit = if stream.length > max_len {
            len_limit
        } else if left > self.bounds.partial_bytes.saturating_sub(self.partial_bytes) {
            Limit::PartialBytes
        } else if self.tiny_chunks > self.bounds.tiny_chunks {
            Limit::TinyChunks
        } else {
            return Ok(OpenChunk { index, left, offset });
        };
        Err(fail(ErrorKind::LimitExceeded(limit), offset, header.csid, Some(stream.type_id)))
    }

    /// The body of a message that is one chunk and has arrived whole, as nearly all are: one allocation, made to
    /// measure.
    fn take_whole(&mut self, chunk: OpenChunk, rest: &mut &[u8]) -> Option<Payload> {
        let stream = &self.streams[chunk.index];
        if chunk.left != stream.length as usize || self.carry.len > 0 || rest.len() < chunk.left {
            return None;
        }
        let body = Payload::from(&rest[..chunk.left]);
        self.open = None;
        self.skip(rest, chunk.left);
        Some(body)
    }

    /// Moves data of the chunk into its message; returns how many bytes are still missing.
    fn take_data(&mut self, chunk: OpenChunk, rest: &mut &[u8]) -> usize {
        let from_carry = chunk.left.min(usize::from(self.carry.len));
        let from_rest = (chunk.left - from_carry).min(rest.len());
        let stream = &mut self.streams[chunk.index];
        stream.make_room(from_carry + from_rest);
        stream.body.extend_from_slice(&self.carry.bytes[..from_carry]);
        stream.body.extend_from_slice(&rest[..from_rest]);
        self.partial_bytes += from_carry + from_rest;
        self.carry.drop_front(from_carry);
        self.skip(rest, from_rest);
        chunk.left - from_carry - from_rest
    }

    /// Takes a complete message out, and obeys it if it is for this layer.
    fn finish(&mut self, chunk: OpenChunk, body: Payload) -> Result<RawMessage, Error> {
        let stream = &mut self.streams[chunk.index];
        stream.in_message = false;
        let message = RawMessage {
            offset: stream.offset,
            csid: stream.csid,
            fmt: stream.fmt,
            stream: stream.stream,
            type_id: stream.type_id,
            timestamp: stream.timestamp,
            body,
        };
        // A body that is too short has no effect; what is behind the four bytes has none either.
        match (message.type_id, Cursor::new(&message.body).u32()) {
            (SET_CHUNK_SIZE, Some(0 | 0x8000_0000..)) => {
                let kind = ErrorKind::Malformed(Malformed::ChunkSize);
                return Err(fail(kind, chunk.offset, message.csid, Some(message.type_id)));
            }
            (SET_CHUNK_SIZE, Some(size)) => self.chunk_size = size.min(MAX_CHUNK_SIZE),
            (ABORT, Some(csid)) => {
                if let Some(stream) = self.streams.iter_mut().find(|stream| stream.csid == csid) {
                    self.partial_bytes -= stream.drop_message().len();
                }
            }
            _ => {}
        }
        Ok(message)
    }

    /// Takes `count` bytes of the input.
    fn skip(&mut self, rest: &mut &[u8], count: usize) {
        *rest = &rest[count..];
        self.offset += count as u64;
    }
}

impl ChunkStream {
    /// Before its first header. A fmt 1 counts from here: message stream 0, timestamp 0.
    fn new(csid: u32) -> ChunkStream {
        ChunkStream {
            csid,
            stream: MessageStreamId::CONNECTION,
            length: 0,
            type_id: 0,
            timestamp: Timestamp(0),
            delta: 0,
            extended: None,
            in_message: false,
            fmt: 0,
            offset: 0,
            body: Vec::new(),
        }
    }

    /// Begins a message with this header.
    fn start(&mut self, header: MessageHeader, offset: u64) {
        self.fmt = header.fmt();
        match header {
            MessageHeader::Fmt0 { timestamp, stream, .. } => {
                self.stream = stream;
                self.timestamp = Timestamp(0);
                self.delta = timestamp;
            }
            MessageHeader::Fmt1 { delta, .. } | MessageHeader::Fmt2 { delta } => self.delta = delta,
            MessageHeader::Fmt3 => {}
        }
        if let Some((length, type_id)) = header.shape() {
            self.length = length;
            self.type_id = type_id;
        }
        self.timestamp = self.timestamp.wrapping_add(self.delta);
        self.in_message = true;
        self.offset = offset;
    }

    /// Ends the message; returns what has arrived of it.
    fn drop_message(&mut self) -> Vec<u8> {
        self.in_message = false;
        mem::take(&mut self.body)
    }

    /// Data bytes of the next chunk. `body` is empty unless inside a message.
    fn next_data(&self, chunk_size: u32) -> usize {
        (self.length as usize - self.body.len()).min(chunk_size as usize)
    }

    /// Whether `behind`, what follows a fmt 3 header, begins with the extended timestamp. `None` if there is
    /// none to repeat.
    ///
    /// The first byte that differs proves it absent; four equal ones are taken as proof of the contrary. With
    /// fewer than four data bytes the comparison reaches into the next chunk, which may be long in coming: a
    /// peer that is known to leave it out is not made to wait for that.
    fn find_repeated(&self, behind: &[u8], data: usize, known_absent: bool) -> Option<Repeated> {
        let field = self.extended?.to_be_bytes();
        if known_absent && data < field.len() {
            return Some(Repeated::Absent);
        }
        // Inside a message, the absolute timestamp instead of the delta is accepted, too.
        let other = if self.in_message { self.timestamp.0.to_be_bytes() } else { field };
        let seen = behind.len().min(field.len());
        let is_match = [field, other].iter().any(|candidate| candidate[..seen] == behind[..seen]);
        Some(match is_match {
            false => Repeated::Absent,
            true if seen == field.len() => Repeated::Present,
            true => Repeated::Undecided,
        })
    }

    /// Makes room for `count` bytes: what has arrived, never the whole declared length on trust.
    fn make_room(&mut self, count: usize) {
        let needed = self.body.len() + count;
        if needed > self.body.capacity() {
            let first = (needed * 4).clamp(LEAST_RESERVE, MOST_RESERVE);
            let ahead = (self.body.capacity() * 2).max(first).min(self.length as usize);
            self.body.reserve_exact(needed.max(ahead) - self.body.len());
        }
    }
}

impl Bounds {
    /// The greatest length of a message of this type, and which limit that is. Control (1 to 6) and command messages
    /// (17, 20) are small.
    fn of_type(&self, type_id: u8, is_early: bool) -> (u32, Limit) {
        match type_id {
            1..=6 | 17 | 20 => (self.command_len, Limit::CommandLen),
            _ if is_early && self.early_message_len < self.message_len => {
                (self.early_message_len, Limit::EarlyMessageLen)
            }
            _ => (self.message_len, Limit::MessageLen),
        }
    }
}

impl Carry {
    fn of(bytes: &[u8]) -> Carry {
        let mut carry = Carry { bytes: [0; header::MAX_LEN], len: bytes.len() as u8 };
        carry.bytes[..bytes.len()].copy_from_slice(bytes);
        carry
    }

    /// These bytes and those that follow, as far as a header can reach; and how many.
    fn joined(&self, rest: &[u8]) -> ([u8; header::MAX_LEN], usize) {
        let held = usize::from(self.len);
        let more = rest.len().min(header::MAX_LEN - held);
        let mut bytes = self.bytes;
        bytes[held..held + more].copy_from_slice(&rest[..more]);
        (bytes, held + more)
    }

    fn drop_front(&mut self, count: usize) {
        self.bytes.copy_within(count.., 0);
        self.len -= count as u8;
    }
}

fn fail(kind: ErrorKind, offset: u64, csid: u32, message_type: Option<u8>) -> Error {
    Error::new(kind, At { stream_offset: offset, csid: Some(csid), message_type })
}

/// Fuzz body: the first byte picks the cuts, the rest is the chunk stream. Whole and cut input must give the
/// same messages and the same error, and what is held must stay under the limits.
///
/// # Panics
/// If they do not.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(data: &[u8]) {
    let Some((&seed, wire)) = data.split_first() else { return };
    let limits = Limits {
        max_message_len: 5000,
        max_command_len: 500,
        max_partial_bytes: 6000,
        max_chunk_streams: 4,
        max_tiny_chunks: 50,
        ..Limits::default()
    };
    let whole = read_in_pieces(&limits, wire, || usize::MAX);
    let mut state = u32::from(seed);
    let cut = read_in_pieces(&limits, wire, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as usize + usize::from(seed == 0)
    });
    assert_eq!(whole, cut, "cuts change the messages");
}

/// Everything that `wire` holds, offered in pieces of what `piece` says (at least 1); and how it ended.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn read_in_pieces(
    limits: &Limits,
    wire: &[u8],
    mut piece: impl FnMut() -> usize,
) -> (Vec<RawMessage>, Result<bool, Error>) {
    let mut reader = Reader::new(limits, 0);
    let mut messages = Vec::new();
    let mut taken = 0;
    let mut end = 0;
    while taken < wire.len() {
        // As a driver does: what was not taken is offered again, with more behind it.
        end = end.max(taken).saturating_add(piece().max(1)).min(wire.len());
        let (count, message) = match reader.read(&wire[taken..end]) {
            Ok(read) => read,
            Err(error) => return (messages, Err(error)),
        };
        assert!(message.is_some() || taken + count == end, "bytes were left without a message");
        taken += count;
        assert_eq!(reader.offset(), taken as u64);
        messages.extend(message);
        reader.check();
    }
    (messages, Ok(reader.is_mid_message()))
}

#[cfg(any(test, feature = "fuzzing"))]
impl Reader {
    /// What must hold between any two calls.
    fn check(&self) {
        let held: usize = self.streams.iter().map(|stream| stream.body.len()).sum();
        let room: usize = self.streams.iter().map(|stream| stream.body.capacity()).sum();
        assert_eq!(held, self.partial_bytes);
        assert!(held <= self.bounds.partial_bytes);
        assert!(room <= 4 * held + self.bounds.chunk_streams * LEAST_RESERVE);
        assert!(self.streams.len() <= self.bounds.chunk_streams);
        for stream in &self.streams {
            assert!(stream.in_message || stream.body.is_empty());
            assert!(stream.body.len() <= stream.length as usize);
        }
    }
}
