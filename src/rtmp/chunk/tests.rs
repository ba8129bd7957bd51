//! The chunk stream as a whole; here is what its tests share.

mod assembly;
mod examples;
mod headers;
mod limits;
mod writing;

use super::{
    super::{At, Error, ErrorKind, Limit, Limits, Malformed},
    reader::read_in_pieces,
    *,
};
use crate::base::Output;
use alloc::{vec, vec::Vec};

const STREAM: MessageStreamId = MessageStreamId(1);

/// Bytes from hex; blanks are for the eye.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// `len` bytes that differ from their neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

/// What `wire` holds and how it ends: read whole, byte by byte and with pseudo-random cuts, which must agree.
fn read_with(limits: &Limits, wire: &[u8]) -> (Vec<RawMessage>, Result<bool, Error>) {
    let whole = read_in_pieces(limits, wire, || usize::MAX);
    assert_eq!(read_in_pieces(limits, wire, || 1), whole, "byte by byte");
    for seed in 1..6_u32 {
        let mut state = seed;
        let cut = read_in_pieces(limits, wire, || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as usize % (7 * seed as usize)
        });
        assert_eq!(cut, whole, "cut at random");
    }
    whole
}

/// The messages of `wire`, which must end behind one.
fn read(wire: &[u8]) -> Vec<RawMessage> {
    let (messages, end) = read_with(&Limits::default(), wire);
    assert_eq!(end, Ok(false));
    messages
}

/// The error that `wire` ends with, which must be what its last header or message is to blame for.
fn error_of(limits: &Limits, wire: &[u8]) -> Error {
    read_with(limits, wire).1.expect_err("no error")
}

/// csid, message stream, type, timestamp and body length of each.
fn shapes(messages: &[RawMessage]) -> Vec<(u32, u32, u8, u32, usize)> {
    messages.iter().map(|m| (m.csid, m.stream.0, m.type_id, m.timestamp.0, m.body.len())).collect()
}

fn timestamps(messages: &[RawMessage]) -> Vec<u32> {
    messages.iter().map(|message| message.timestamp.0).collect()
}

/// A fmt 0 header on a csid below 64, with stream 1; times below 0xFFFFFF.
fn fmt0(csid: u8, timestamp: u32, length: u32, type_id: u8) -> Vec<u8> {
    let [_, t @ ..] = timestamp.to_be_bytes();
    let [_, l @ ..] = length.to_be_bytes();
    [&[csid][..], &t, &l, &[type_id, 1, 0, 0, 0]].concat()
}

/// Set Chunk Size, whole.
fn set_chunk_size(size: u32) -> Vec<u8> {
    [hex("02 000000 000004 01 00000000"), size.to_be_bytes().to_vec()].concat()
}

fn abort(csid: u32) -> Vec<u8> {
    [hex("02 000000 000004 02 00000000"), csid.to_be_bytes().to_vec()].concat()
}

/// A message of `len` bytes in chunks of `chunk_size`: header, then fmt 3 with or without the field.
fn in_chunks(header: &[u8], fmt3: &[u8], body: &[u8], chunk_size: usize) -> Vec<u8> {
    let mut wire = header.to_vec();
    for (index, chunk) in body.chunks(chunk_size).enumerate() {
        if index > 0 {
            wire.extend_from_slice(fmt3);
        }
        wire.extend_from_slice(chunk);
    }
    wire
}
