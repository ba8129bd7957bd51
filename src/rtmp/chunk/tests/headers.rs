//! Reading headers, timestamps and extended timestamps as real peers send them.

use super::*;

#[test]
fn all_forms_of_a_csid_are_read() {
    for (basic, csid) in [
        ("02", 2),
        ("3f", 63),
        ("0000", 64),
        ("00ff", 319),
        ("010000", 64),
        ("012d01", 365),
        ("01ffff", 65_599),
    ] {
        let wire = hex(&[basic, "000005 000001 08 01000000 af"].concat());
        assert_eq!(shapes(&read(&wire)), [(csid, 1, 8, 5, 1)]);
    }
}

#[test]
fn one_csid_in_its_two_and_three_byte_form_is_the_same() {
    let wire = hex("0005 00000a 000001 08 01000000 aa  810500 000005 bb");
    assert_eq!(shapes(&read(&wire)), [(69, 1, 8, 10, 1), (69, 1, 8, 15, 1)]);
}

#[test]
fn fmt_1_on_a_fresh_csid_counts_from_stream_0_and_time_0() {
    // rtmpdump 2.4: the first message on csid 2 is an Acknowledgement with fmt 1.
    let wire = hex("42 000005 000004 03 00000c01  c2 000017d0");
    assert_eq!(shapes(&read(&wire)), [(2, 0, 3, 5, 4), (2, 0, 3, 10, 4)]);
}

#[test]
fn fmt_2_and_3_on_a_fresh_csid_are_errors() {
    for (text, csid) in [("82 000005", 2), ("c5", 5), ("c1 0000", 64)] {
        let wire = [hex("03 000000 000000 14 00000000"), hex(text)].concat();
        let at = At { stream_offset: 12, csid: Some(csid), message_type: None };
        let error = Error::new(ErrorKind::Malformed(Malformed::ChunkWithoutHeader), at);
        assert_eq!(error_of(&Limits::default(), &wire), error);
    }
}

#[test]
fn what_a_header_leaves_out_is_taken_from_the_one_before() {
    let wire = hex("08 000064 000001 14 02000000 01  48 00000a 000002 12 0202  88 000005 0303  c8 0404
                    08 000000 000001 09 01000000 05");
    assert_eq!(
        shapes(&read(&wire)),
        [(8, 2, 20, 100, 1), (8, 2, 18, 110, 2), (8, 2, 18, 115, 2), (8, 2, 18, 120, 2), (8, 1, 9, 0, 1)]
    );
}

#[test]
fn fmt_3_that_starts_a_message_after_fmt_0_adds_the_absolute_timestamp() {
    let wire = hex("04 00001a 000001 08 01000000 aa  c4 bb  c4 cc");
    assert_eq!(timestamps(&read(&wire)), [26, 52, 78]);
}

#[test]
fn fmt_3_that_starts_a_message_after_a_delta_adds_that_delta() {
    let wire =
        hex("04 00001a 000001 08 01000000 aa  84 000005 bb  c4 cc  c4 dd  44 000007 000001 09 ee  c4 ff");
    assert_eq!(timestamps(&read(&wire)), [26, 31, 36, 41, 48, 55]);
}

#[test]
fn timestamps_wrap_and_a_step_back_is_a_huge_delta() {
    let wire = hex("04 ffffff 000001 08 01000000 fffffff0 aa  84 000020 bb  84 ffffff fffffff6 cc");
    assert_eq!(timestamps(&read(&wire)), [0xffff_fff0, 0x10, 0x06]);
}

#[test]
fn a_zero_length_message_is_complete_without_data() {
    let wire = hex("04 00000a 000000 08 01000000  84 000005  c4  04 00000a 000001 09 01000000 aa");
    assert_eq!(
        shapes(&read(&wire)),
        [(4, 1, 8, 10, 0), (4, 1, 8, 15, 0), (4, 1, 8, 20, 0), (4, 1, 9, 10, 1)]
    );
}

#[test]
fn fmt3_with_and_without_extended_timestamp() {
    let body = pattern(300);
    let first = hex("06 000005 000001 09 01000000 aa");
    for (header, expected) in [
        ("06 ffffff 00012c 09 01000000 01000010", 0x0100_0010),
        ("46 ffffff 00012c 09 01000010", 0x0100_0015),
        ("06 ffffff 00012c 09 01000000 00ffffff", 0x00ff_ffff),
        ("46 ffffff 00012c 09 fffffff6", 0xffff_fffb),
    ] {
        let header = hex(header);
        let field = &header[header.len() - 4..];
        for fmt3 in [[&[0xc6], field].concat(), vec![0xc6]] {
            let wire = [&first[..], &in_chunks(&header, &fmt3, &body, 128)].concat();
            let messages = read(&wire);
            assert_eq!(messages[1].timestamp, Timestamp(expected));
            assert_eq!(*messages[1].body, body, "{fmt3:02x?}");
        }
    }
}

#[test]
fn fmt_2_has_an_extended_timestamp_too() {
    let body = pattern(300);
    let first = in_chunks(&fmt0(6, 5, 300, 9), &[0xc6], &body, 128);
    for fmt3 in [&hex("c6 01000000")[..], &[0xc6]] {
        let wire = [&first[..], &in_chunks(&hex("86 ffffff 01000000"), fmt3, &body, 128)].concat();
        let messages = read(&wire);
        assert_eq!(timestamps(&messages), [5, 0x0100_0005]);
        assert_eq!(*messages[1].body, body);
    }
}

#[test]
fn the_absolute_timestamp_may_be_repeated_instead_of_the_delta() {
    let body = pattern(200);
    let wire = [
        hex("06 000005 000001 09 01000000 aa"),
        in_chunks(&hex("46 ffffff 0000c8 09 01000000"), &hex("c6 01000005"), &body, 128),
    ]
    .concat();
    assert_eq!(*read(&wire)[1].body, body);
}

#[test]
fn fmt_3_that_starts_a_message_may_or_may_not_have_the_extended_timestamp() {
    for field in ["01000000", ""] {
        let wire =
            hex(&["04 000001 000002 08 01000000 aaaa  84 ffffff 01000000 bbbb  c4", field, "cccc"].concat());
        let messages = read(&wire);
        assert_eq!(timestamps(&messages), [1, 0x0100_0001, 0x0200_0001]);
        assert_eq!(*messages[2].body, [0xcc, 0xcc]);
    }
}

#[test]
fn a_header_without_extended_timestamp_ends_its_repetition() {
    let wire = hex("04 ffffff 000004 08 01000000 01000000 aaaaaaaa  84 000001 bbbbbbbb  c4 01000000");
    let messages = read(&wire);
    assert_eq!(timestamps(&messages), [0x0100_0000, 0x0100_0001, 0x0100_0002]);
    assert_eq!(*messages[2].body, [1, 0, 0, 0], "data, though it looks like the field");
}

#[test]
fn bytes_that_begin_like_the_extended_timestamp_are_data_once_one_differs() {
    // The last chunk holds 4 bytes or less; up to 3 of them, and of what follows, look like the field.
    for tail in ["01000011", "01000099", "0100", "01", "010000"] {
        let tail = hex(tail);
        let body = [pattern(128), tail.clone()].concat();
        let length = body.len() as u32;
        let header =
            [&hex("06 ffffff")[..], &length.to_be_bytes()[1..], &hex("09 01000000 01000010")].concat();
        // What follows begins with bytes of the field: basic headers 00 and 01 (csid 64 and up), and others.
        for next in [
            "00 00 00000a 000001 08 01000000 bb",
            "01 0001 00000a 000001 08 01000000 bb",
            "00 10 00000a 000001 08 01000000 bb",
            "04 00000a 000001 08 01000000 bb",
        ] {
            let wire = [in_chunks(&header, &[0xc6], &body, 128), hex(next)].concat();
            // 01 00 00 10 in a row is the field itself.
            if wire[145..149] == [1, 0, 0, 0x10] {
                continue;
            }
            let messages = read(&wire);
            assert_eq!(messages.len(), 2, "{tail:02x?} {next}");
            assert_eq!(*messages[0].body, body);
            assert_eq!(*messages[1].body, [0xbb]);
            assert_eq!(messages[1].offset, 145 + tail.len() as u64, "{tail:02x?} {next}");
        }
    }
}

#[test]
fn a_byte_that_waited_with_its_header_begins_the_message() {
    // The first byte of data could have been the field; all the others come at once, and another message with them.
    let wire = hex("04 ffffff 000003 08 01000000 01020304 aaaaaa  c4 019999  c4 bbbbbb");
    let mut pieces = [20, 1, usize::MAX].into_iter().cycle();
    let (messages, end) = read_in_pieces(&Limits::default(), &wire, || pieces.next().unwrap());
    let bodies: Vec<&[u8]> = messages.iter().map(|message| &*message.body).collect();
    assert_eq!((bodies, end), (vec![&hex("aaaaaa")[..], &hex("019999"), &hex("bbbbbb")], Ok(false)));
}

#[test]
fn a_short_last_chunk_is_not_held_back_for_bytes_that_do_not_come() {
    let body = [pattern(128), vec![0x55, 0x56]].concat();
    let wire = in_chunks(&hex("06 ffffff 000082 09 01000000 01000010"), &[0xc6], &body, 128);
    assert_eq!(read(&wire).len(), 1, "the first byte differs");
    // Once the peer is known to leave the field out, not even bytes that look like it make the reader wait.
    let alike = in_chunks(
        &hex("06 ffffff 000081 09 01000000 01000010"),
        &[0xc6],
        &[&body[..128], &[1]].concat(),
        128,
    );
    assert_eq!(read(&[wire, alike.clone()].concat()).len(), 2);
    assert_eq!(read_with(&Limits::default(), &alike), (vec![], Ok(true)), "not known yet");
}

#[test]
fn a_peer_may_leave_the_field_out_at_the_start_of_messages_and_repeat_it_inside() {
    // librtmp writes it by the delta of the message, and fmt 3 that starts one means delta 0.
    let body = pattern(130);
    let start = hex("04 000001 000082 08 01000000");
    let wire = [
        &in_chunks(&start, &[0xc4], &body, 128)[..],
        &in_chunks(&hex("84 ffffff 01000010"), &hex("c4 01000010"), &body, 128),
        &in_chunks(&[0xc4], &hex("c4 01000010"), &body, 128),
    ]
    .concat();
    let messages = read(&wire);
    assert_eq!(messages.len(), 3);
    assert!(messages.iter().all(|message| *message.body == body));
}

#[test]
fn chunks_shorter_than_the_extended_timestamp_work_with_and_without_it() {
    let body = pattern(20);
    let header = hex("06 ffffff 000014 09 01000000 01000010");
    for chunk_size in 1..5 {
        for fmt3 in [&hex("c6 01000010")[..], &[0xc6]] {
            let wire =
                [set_chunk_size(chunk_size), in_chunks(&header, fmt3, &body, chunk_size as usize)].concat();
            assert_eq!(*read(&wire)[1].body, body, "chunks of {chunk_size}, {fmt3:02x?}");
        }
    }
}
