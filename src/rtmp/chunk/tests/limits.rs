//! Each limit of the reader, at it and one past it.

use super::*;

/// `wire` passes under `limits`, and fails as this limit when that is made one smaller.
fn assert_exact(limit: Limit, wire: &[u8], limits: impl Fn(u32) -> Limits, at: At) {
    assert!(read_with(&limits(0), wire).1.is_ok(), "{limit:?}: fails at the limit");
    assert_eq!(error_of(&limits(1), wire), Error::new(ErrorKind::LimitExceeded(limit), at));
}

#[test]
fn message_lengths_are_limited_by_type() {
    for type_id in 0..=30 {
        let wire = [&fmt0(4, 0, 100, type_id)[..], &[1; 100]].concat();
        let at = At { stream_offset: 0, csid: Some(4), message_type: Some(type_id) };
        if matches!(type_id, 1..=6 | 17 | 20) {
            let limits =
                |less| Limits { max_command_len: 100 - less, max_message_len: 0, ..Limits::default() };
            assert_exact(Limit::CommandLen, &wire, limits, at);
        } else {
            let limits =
                |less| Limits { max_message_len: 100 - less, max_command_len: 0, ..Limits::default() };
            assert_exact(Limit::MessageLen, &wire, limits, at);
        }
    }
}

#[test]
fn the_length_is_refused_before_any_of_the_message_is_kept() {
    let limits = Limits { max_message_len: 1000, ..Limits::default() };
    assert_eq!(error_of(&limits, &fmt0(4, 0, 1001, 9)).kind, ErrorKind::LimitExceeded(Limit::MessageLen));
}

#[test]
fn chunk_streams_are_limited() {
    let wire: Vec<u8> = (3..8).flat_map(|csid| fmt0(csid, 0, 0, 9)).collect();
    let limits = |less| Limits { max_chunk_streams: 5 - less as usize, ..Limits::default() };
    let at = At { stream_offset: 48, csid: Some(7), message_type: Some(9) };
    assert_exact(Limit::ChunkStreams, &wire, limits, at);
}

#[test]
fn bytes_of_unfinished_messages_are_limited_together() {
    let wire =
        [&fmt0(4, 0, 300, 9)[..], &[0; 128], &fmt0(5, 0, 300, 9), &[0; 128], &[0xc4], &[0; 128]].concat();
    let limits = |less| Limits { max_partial_bytes: 384 - less as usize, ..Limits::default() };
    let at = At { stream_offset: 280, csid: Some(4), message_type: Some(9) };
    assert_exact(Limit::PartialBytes, &wire, limits, at);
}

#[test]
fn finished_messages_do_not_count_as_unfinished() {
    let one = [&fmt0(4, 0, 100, 9)[..], &[0; 100]].concat();
    let limits = Limits { max_partial_bytes: 100, ..Limits::default() };
    assert_eq!(read_with(&limits, &one.repeat(20)).1, Ok(false));
}

#[test]
fn tiny_chunks_in_a_row_are_limited() {
    let limits = |less| Limits { max_tiny_chunks: 5 - less, ..Limits::default() };
    // Empty messages and chunks of one byte.
    let wire = [&fmt0(4, 0, 0, 9)[..], &[0xc4, 0xc4], &fmt0(4, 0, 1, 9), &[0], &[0xc4, 1]].concat();
    let at = At { stream_offset: 27, csid: Some(4), message_type: Some(9) };
    assert_exact(Limit::TinyChunks, &wire, limits, at);
    // A longer one starts the count again.
    let wire = [&wire[..], &fmt0(5, 0, 2, 9), &[0, 0], &wire].concat();
    assert_eq!(read_with(&limits(0), &wire).1, Ok(false));
}

#[test]
fn memory_grows_as_bytes_arrive_and_never_to_the_declared_length() {
    // `Reader::check`, which runs after each read, compares what is reserved with what has arrived.
    let limits = Limits { max_chunk_streams: 2, ..Limits::default() };
    let wire = [&set_chunk_size(0xff_ffff)[..], &fmt0(4, 0, 0xff_ffff, 9), &[0; 100_000]].concat();
    assert_eq!(read_with(&limits, &wire).1, Ok(true));
}
