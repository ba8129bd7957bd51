//! The examples of the specification and of real servers, both ways; and any messages, written, cut and read.

use super::*;
use proptest::prelude::*;

/// Messages that go out as small replies: csid, stream, type, wire.
const REPLIES: [(u32, u32, u8, &str); 10] = [
    (
        3,
        0,
        20,
        "03 000000 00003a 14 00000000 020007636f6e6e656374003ff0000000000000030003617070020004
         6c6976650005746355726c02000d72746d703a2f2f682f6c697665000009",
    ),
    (2, 0, 1, "02 000000 000004 01 00000000 00001000"),
    (2, 0, 5, "02 000000 000004 05 00000000 002625a0"),
    (2, 0, 6, "02 000000 000005 06 00000000 002625a0 02"),
    (2, 0, 4, "02 000000 000006 04 00000000 0000 00000000"),
    (2, 0, 4, "02 000000 00000a 04 00000000 0003 00000001 00000bb8"),
    (3, 0, 20, "03 000000 000019 14 00000000 02000c63726561746553747265616d 00 4000000000000000 05"),
    (
        8,
        1,
        20,
        "08 000000 000020 14 01000000 020004706c6179 00 0000000000000000 05 02000363616d 00c09f400000000000",
    ),
    (
        8,
        1,
        20,
        "08 000000 000021 14 01000000 0200077075626c697368 00 4010000000000000 05 02000363616d 0200046c697665",
    ),
    (5, 1, 18, "05 000000 000018 12 01000000 0200117c52746d7053616d706c65416363657373 0101 0101"),
];

#[test]
fn the_worked_examples_are_written_and_read_byte_for_byte() {
    for (csid, stream, type_id, text) in REPLIES {
        let wire = hex(text);
        let body = &wire[12..];
        let mut out = Output::new();
        Writer::new().write_control(&mut out, csid, MessageStreamId(stream), type_id, body);
        assert_eq!(out.to_vec(), wire);
        assert_eq!((out.len(), out.reply_len()), (wire.len(), wire.len()));
        let messages = read(&wire);
        assert_eq!(shapes(&messages), [(csid, stream, type_id, 0, body.len())]);
        assert_eq!(*messages[0].body, *body);
    }
}

#[test]
fn several_replies_leave_in_one_slice_with_compressed_headers() {
    let mut out = Output::new();
    let mut writer = Writer::new();
    writer.write_control(&mut out, 2, MessageStreamId(0), 5, &hex("002625a0"));
    writer.write_control(&mut out, 2, MessageStreamId(0), 6, &hex("002625a002"));
    writer.write_control(&mut out, 2, MessageStreamId(0), 1, &hex("00010000"));
    let wire = hex("02 000000 000004 05 00000000 002625a0  42 000000 000005 06 002625a002
                    42 000000 000004 01 00010000");
    assert_eq!(out.to_vec(), wire);
    let mut slices: [&[u8]; 2] = [&[]; 2];
    assert_eq!(out.slices(&mut slices), 1);
}

#[test]
fn the_audio_example_of_the_specification_takes_44_36_33_33_bytes() {
    let mut writer = Writer::new();
    let mut wire = Vec::new();
    for (timestamp, len) in [(1000, 44), (1020, 36), (1040, 33), (1060, 33)] {
        let mut out = Output::new();
        writer.write(&mut out, 3, STREAM, 8, Timestamp(timestamp), &pattern(32).into());
        assert_eq!((out.len(), out.reply_len()), (len, 0));
        wire.extend(out.to_vec());
    }
    assert_eq!(wire[..12], hex("03 0003e8 000020 08 01000000"));
    assert_eq!(wire[44..48], hex("83 000014"));
    assert_eq!((wire[80], wire[113]), (0xc3, 0xc3));
    let messages = read(&wire);
    assert_eq!(timestamps(&messages), [1000, 1020, 1040, 1060]);
    assert!(messages.iter().all(|m| (m.csid, m.type_id, &*m.body) == (3, 8, &pattern(32)[..])));
    assert_eq!(messages.iter().map(|m| m.offset).collect::<Vec<_>>(), [0, 44, 80, 113]);
}

#[test]
fn the_video_example_of_the_specification_takes_140_129_52_bytes() {
    let body = pattern(307);
    let mut out = Output::new();
    Writer::new().write(&mut out, 4, MessageStreamId(12_346), 9, Timestamp(1000), &body.clone().into());
    let mut slices: [&[u8]; 8] = [&[]; 8];
    assert_eq!(out.slices(&mut slices), 6);
    assert_eq!(slices.map(<[u8]>::len), [12, 128, 1, 128, 1, 51, 0, 0]);
    let wire = out.to_vec();
    assert_eq!(wire[..12], hex("04 0003e8 000133 09 3a300000"));
    assert_eq!((wire[140], wire[269]), (0xc4, 0xc4));
    let messages = read(&wire);
    assert_eq!(shapes(&messages), [(4, 12_346, 9, 1000, 307)]);
    assert_eq!(*messages[0].body, body);
}

#[test]
fn an_extended_timestamp_is_repeated_on_each_further_chunk() {
    let body = pattern(300);
    let mut out = Output::new();
    Writer::new().write(&mut out, 6, STREAM, 9, Timestamp(0x0100_0010), &body.clone().into());
    let wire = [
        &hex("06 ffffff 00012c 09 01000000 01000010"),
        &body[..128],
        &hex("c6 01000010"),
        &body[128..256],
        &hex("c6 01000010"),
        &body[256..],
    ]
    .concat();
    assert_eq!(out.to_vec(), wire);
    let messages = read(&wire);
    assert_eq!(shapes(&messages), [(6, 1, 9, 0x0100_0010, 300)]);
    assert_eq!(*messages[0].body, body);
}

#[derive(Clone, Debug)]
enum Step {
    Message { csid: u32, stream: u32, type_id: u8, step: u32, len: usize },
    ChunkSize(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let csid = prop_oneof![Just(4_u32), Just(6), Just(63), Just(64), Just(319), Just(320), Just(65_599),];
    // Steps of time: small, at the edge of the extended field, back, anything.
    let step = prop_oneof![
        4 => 0_u32..50,
        2 => Just(20_u32),
        1 => 0xff_fffd_u32..0x0100_0001,
        1 => 0xffff_fff0_u32..=0xffff_ffff,
        1 => any::<u32>(),
    ];
    let len = prop_oneof![3 => 0_usize..300, 2 => Just(100_usize), 1 => 0_usize..5000];
    let message = (csid, 0_u32..3, 7_u8..11, step, len)
        .prop_map(|(csid, stream, type_id, step, len)| Step::Message { csid, stream, type_id, step, len });
    let size = prop_oneof![1_u32..200, Just(65_536_u32)].prop_map(Step::ChunkSize);
    proptest::collection::vec(prop_oneof![9 => message, 1 => size], 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(steps in steps(), piece in 1_usize..2000) {
        let (mut writer, mut out) = (Writer::new(), Output::new());
        let mut expected = Vec::new();
        let mut now = Timestamp(0);
        for step in steps {
            match step {
                Step::Message { csid, stream, type_id, step, len } => {
                    now = now.wrapping_add(step);
                    let body = Payload::from(pattern(len));
                    let stream = MessageStreamId(stream);
                    writer.write(&mut out, csid, stream, type_id, now, &body);
                    expected.push((csid, stream, type_id, now, body));
                }
                Step::ChunkSize(size) => {
                    let body = size.to_be_bytes();
                    let stream = MessageStreamId::CONNECTION;
                    writer.write_control(&mut out, csid::CONTROL, stream, 1, &body);
                    writer.set_chunk_size(size);
                    expected.push((csid::CONTROL, stream, 1, Timestamp(0), body[..].into()));
                }
            }
        }
        let limits = Limits { max_tiny_chunks: u32::MAX, ..Limits::default() };
        let (messages, end) = read_in_pieces(&limits, &out.to_vec(), || piece);
        let messages: Vec<_> =
            messages.into_iter().map(|m| (m.csid, m.stream, m.type_id, m.timestamp, m.body)).collect();
        prop_assert_eq!(messages, expected);
        prop_assert_eq!(end, Ok(false));
    }

    #[test]
    fn any_bytes_are_read_alike_however_they_are_cut(data in proptest::collection::vec(chunky_byte(), 0..2000)) {
        fuzz(&data);
    }
}

/// Bytes that often make headers: few csids, short lengths, fields of ones.
fn chunky_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => Just(0_u8),
        2 => Just(0xff_u8),
        3 => proptest::sample::select(vec![0x02_u8, 0x03, 0xc3, 0x43, 0x83, 0xc2, 0x01]),
        2 => 0_u8..30,
        1 => any::<u8>(),
    ]
}

#[test]
fn the_fuzz_body_holds_for_small_inputs() {
    fuzz(&[]);
    for (_, _, _, text) in REPLIES {
        let wire = hex(text);
        for seed in 0..20 {
            fuzz(&[&[seed], &wire[..], &wire].concat());
        }
    }
}
