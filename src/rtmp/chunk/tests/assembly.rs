//! Reading whole messages: interleaved, aborted, in chunks of any size.

use super::*;

#[test]
fn messages_interleave_across_csids() {
    let (video, audio) = (pattern(300), pattern(200));
    let wire = [
        &fmt0(6, 40, 300, 9)[..],
        &video[..128],
        &fmt0(4, 41, 200, 8),
        &audio[..128],
        &hex("02 000000 000006 04 00000000 0006 00000001"),
        &[0xc6],
        &video[128..256],
        &[0xc4],
        &audio[128..],
        &[0xc6],
        &video[256..],
    ]
    .concat();
    let messages = read(&wire);
    assert_eq!(shapes(&messages), [(2, 0, 4, 0, 6), (4, 1, 8, 41, 200), (6, 1, 9, 40, 300)]);
    assert_eq!((&*messages[1].body, &*messages[2].body), (&audio[..], &video[..]));
    assert_eq!(messages.iter().map(|m| m.offset).collect::<Vec<_>>(), [280, 140, 0]);
}

#[test]
fn an_abort_drops_the_unfinished_message_and_keeps_the_header() {
    let body = pattern(150);
    let wire = [
        &fmt0(6, 40, 150, 9)[..],
        &[0xee; 128],
        &abort(6),
        &[0xc6],
        &body[..128],
        &[0xc6],
        &body[128..],
        &abort(6),
        &abort(77),
    ]
    .concat();
    let messages = read(&wire);
    assert_eq!(shapes(&messages)[1], (6, 1, 9, 80, 150), "a new message: fmt 3 adds");
    assert_eq!(*messages[1].body, body);
    assert_eq!(messages.len(), 4, "nothing to abort is no error");
}

#[test]
fn an_abort_frees_what_it_drops() {
    let mut reader = Reader::new(&Limits::default(), 3073);
    let wire = [&fmt0(6, 40, 150, 9)[..], &[0xee; 128]].concat();
    assert_eq!(reader.read(&wire), Ok((140, None)));
    assert_eq!((reader.partial_bytes(), reader.is_mid_message(), reader.offset()), (128, true, 3213));
    let (taken, message) = reader.read(&abort(6)).unwrap();
    assert_eq!((taken, message.map(|m| (m.type_id, m.offset))), (16, Some((2, 3213))));
    assert_eq!((reader.partial_bytes(), reader.is_mid_message()), (0, false));
}

#[test]
fn a_chunk_size_holds_from_the_next_chunk_on_also_inside_a_message() {
    let body = pattern(300);
    let wire = [
        &fmt0(6, 0, 300, 9)[..],
        &body[..128],
        &set_chunk_size(10),
        &[0xc6],
        &body[128..138],
        &set_chunk_size(4096),
        &[0xc6],
        &body[138..],
    ]
    .concat();
    assert_eq!(*read(&wire)[2].body, body);
}

#[test]
fn a_chunk_size_of_one_works() {
    let wire = [set_chunk_size(1), in_chunks(&fmt0(4, 7, 5, 8), &[0xc4], &pattern(5), 1)].concat();
    assert_eq!(*read(&wire)[1].body, pattern(5));
}

#[test]
fn chunk_sizes_are_clamped_and_nonsense_is_an_error() {
    for (size, in_force) in
        [(1, 1), (65_536, 65_536), (0xff_ffff, 0xff_ffff), (0x0100_0000, 0xff_ffff), (0x7fff_ffff, 0xff_ffff)]
    {
        let mut reader = Reader::new(&Limits::default(), 0);
        reader.read(&set_chunk_size(size)).unwrap();
        assert_eq!(reader.chunk_size(), in_force);
    }
    for size in [0, 0x8000_0000, 0xffff_ffff] {
        let wire = [set_chunk_size(128), set_chunk_size(size)].concat();
        let at = At { stream_offset: 16, csid: Some(2), message_type: Some(1) };
        let error = Error::new(ErrorKind::Malformed(Malformed::ChunkSize), at);
        assert_eq!(error_of(&Limits::default(), &wire), error);
    }
}

#[test]
fn control_messages_hold_on_any_csid_and_stream_and_in_any_length() {
    let mut reader = Reader::new(&Limits::default(), 0);
    reader.read(&hex("03 000000 000006 01 05000000 00000400 ffff")).unwrap();
    assert_eq!(reader.chunk_size(), 1024, "what is behind the four bytes is ignored");
    reader.read(&hex("03 000000 000003 01 05000000 000000")).unwrap();
    assert_eq!(reader.chunk_size(), 1024, "too short: ignored");
}

#[test]
fn a_header_inside_a_message_continues_it_if_length_and_type_are_the_same() {
    let body = pattern(200);
    for header in [fmt0(6, 9, 200, 9), hex("46 000009 0000c8 09"), hex("86 000009")] {
        let wire = [
            &fmt0(6, 40, 200, 9)[..],
            &body[..128],
            &header,
            &body[128..],
            &hex("86 000001"),
            &[0xee; 128],
            &[0xc6],
            &[0xee; 72],
        ]
        .concat();
        let messages = read(&wire);
        assert_eq!(*messages[0].body, body);
        assert_eq!(timestamps(&messages), [40, 41], "the time is that of the first chunk");
    }
}

#[test]
fn a_header_inside_a_message_with_another_length_or_type_is_an_error() {
    for (header, type_id) in
        [(fmt0(6, 40, 201, 9), 9), (fmt0(6, 40, 200, 8), 8), (hex("46 000009 0000c9 09"), 9)]
    {
        let wire = [&fmt0(6, 40, 200, 9)[..], &[0; 128], &header].concat();
        let at = At { stream_offset: 140, csid: Some(6), message_type: Some(type_id) };
        let error = Error::new(ErrorKind::Malformed(Malformed::HeaderInsideMessage), at);
        assert_eq!(error_of(&Limits::default(), &wire), error);
    }
}

#[test]
fn unknown_message_types_pass() {
    assert_eq!(shapes(&read(&hex("03 000000 000002 63 00000000 0102"))), [(3, 0, 99, 0, 2)]);
}

#[test]
fn one_message_is_returned_per_call_and_nothing_behind_it_is_taken() {
    let wire = hex("04 00000a 000002 08 01000000 aaaa  c4 bbbb  c4 cc");
    let mut reader = Reader::new(&Limits::default(), 0);
    let (taken, message) = reader.read(&wire).unwrap();
    assert_eq!((taken, message.is_some(), reader.is_mid_message()), (14, true, false));
    let (taken, message) = reader.read(&wire[14..]).unwrap();
    assert_eq!((taken, message.is_some(), reader.is_mid_message()), (3, true, false));
    assert_eq!(reader.read(&wire[17..]), Ok((2, None)));
    assert_eq!((reader.is_mid_message(), reader.partial_bytes(), reader.offset()), (true, 1, 19));
    assert_eq!(reader.read(&[]), Ok((0, None)));
}

#[test]
fn a_cut_header_is_mid_message() {
    let wire = hex("04 00000a 000002 08 01000000 aaaa");
    for end in 0..wire.len() {
        let mut reader = Reader::new(&Limits::default(), 0);
        assert_eq!(reader.read(&wire[..end]), Ok((end, None)));
        assert_eq!(reader.is_mid_message(), end > 0);
    }
}
