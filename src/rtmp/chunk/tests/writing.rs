//! Writing: headers, chunk sizes, tags for many players.

use super::*;

/// Chunks of one message by a writer.
fn written(writer: &mut Writer, stream: u32, type_id: u8, timestamp: u32, len: usize) -> Vec<u8> {
    let mut out = Output::new();
    writer.write(&mut out, 6, MessageStreamId(stream), type_id, Timestamp(timestamp), &pattern(len).into());
    out.to_vec()
}

#[test]
fn the_shortest_header_that_every_reader_understands_is_used() {
    let mut writer = Writer::new();
    let fmts: Vec<u8> = [
        (1, 9, 1000, 10, 0), // first
        (1, 9, 2000, 10, 2), // never fmt 3 behind fmt 0, though the delta is the absolute timestamp
        (1, 9, 3000, 10, 3), // same delta
        (1, 9, 3000, 10, 2), // delta 0
        (1, 9, 3000, 10, 3), // delta 0 again
        (1, 8, 3000, 10, 1), // type
        (1, 8, 3000, 11, 1), // length
        (1, 8, 2999, 11, 0), // back
        (1, 8, 2999, 11, 2),
        (2, 8, 2999, 11, 0), // message stream
        (2, 8, 2999 + 0xff_fffe, 11, 2),
        (2, 8, 2999 + 0xff_fffe + 0xff_ffff, 11, 0), // jump
        (2, 8, u32::MAX, 11, 0),
        (2, 8, 4, 11, 2), // wrap
    ]
    .into_iter()
    .map(|(stream, type_id, timestamp, len, fmt)| {
        let wire = written(&mut writer, stream, type_id, timestamp, len);
        assert_eq!(wire[0] >> 6, fmt, "{stream} {type_id} {timestamp} {len}");
        wire[0] >> 6
    })
    .collect();
    assert_eq!(fmts.len(), 14);
}

#[test]
fn a_forgotten_csid_begins_with_fmt_0_and_others_do_not() {
    let mut writer = Writer::new();
    let mut out = Output::new();
    for csid in [4, 6] {
        writer.write(&mut out, csid, STREAM, 8, Timestamp(1), &pattern(3).into());
    }
    writer.forget(6);
    assert_eq!(written(&mut writer, 1, 8, 2, 3)[0], 0x06);
    let mut out = Output::new();
    writer.write(&mut out, 4, STREAM, 8, Timestamp(2), &pattern(3).into());
    assert_eq!(out.to_vec()[0], 0x84);
}

#[test]
fn a_chunk_size_holds_from_the_next_message_on() {
    let mut writer = Writer::new();
    assert_eq!(writer.chunk_size(), 128);
    assert_eq!(written(&mut writer, 1, 9, 0, 129).len(), 12 + 129 + 1);
    writer.set_chunk_size(4096);
    assert_eq!(written(&mut writer, 1, 9, 0, 4096).len(), 8 + 4096);
    for (size, in_force) in [(0, 1), (u32::MAX, 0xff_ffff), (65_536, 65_536)] {
        writer.set_chunk_size(size);
        assert_eq!(writer.chunk_size(), in_force);
    }
}

#[test]
fn an_empty_message_is_a_header_alone() {
    let wire = written(&mut Writer::new(), 1, 9, 5, 0);
    assert_eq!(wire, fmt0(6, 5, 0, 9));
    let tag = Tag::new(TagKind::Video, Timestamp(5), Payload::default());
    assert_eq!(**EncodedTags::new(vec![tag], STREAM, 128).bytes(), wire[..]);
}

#[test]
fn encoded_tags_are_what_fresh_writers_write() {
    for kind in [TagKind::Audio, TagKind::Video, TagKind::Data] {
        for timestamp in [0, 0xff_fffe, 0xff_ffff, u32::MAX] {
            for len in [0, 1, 127, 128, 129, 256, 1000] {
                let tag = Tag::new(kind, Timestamp(timestamp), pattern(len).into());
                let encoded = EncodedTags::new(vec![tag.clone()], STREAM, 128);
                let mut out = Output::new();
                let (csid, type_id) = (csid_of(kind), kind.type_id());
                Writer::new().write(&mut out, csid, STREAM, type_id, tag.timestamp, &tag.body);
                assert_eq!(*encoded.bytes, out.to_vec()[..]);
                assert_eq!(
                    (encoded.stream, encoded.chunk_size, &encoded.tags[..]),
                    (STREAM, 128, &[tag][..])
                );
                let messages = read(&encoded.bytes);
                assert_eq!(shapes(&messages), [(csid, 1, type_id, timestamp, len)]);
            }
        }
    }
}

#[test]
#[should_panic(expected = "at most 0xffffff bytes")]
fn a_message_longer_than_its_length_field_is_a_bug_of_the_caller() {
    let tag = Tag::new(TagKind::Data, Timestamp(0), vec![0; 0x0100_0000].into());
    EncodedTags::new(vec![tag], STREAM, 65_536);
}
