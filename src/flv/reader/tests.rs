use super::*;
use crate::flv::{fuzz, writer};
use alloc::{format, vec};

/// Reads whole, byte by byte and in odd parts: all must agree.
fn read(stream: &[u8]) -> (Vec<Item>, Option<ReadError>) {
    let limits = ReaderLimits::default();
    let whole = fuzz::read(&limits, stream, stream.len().max(1));
    for cut in [1, 2, 3, 7, 13, 64] {
        assert_eq!(fuzz::read(&limits, stream, cut), whole, "parts of {cut} bytes");
    }
    whole
}

fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Tag {
    Tag::new(kind, Timestamp(timestamp), Payload::from(body))
}

fn tags(items: &[Item]) -> Vec<Tag> {
    items
        .iter()
        .filter_map(|item| if let Item::Tag { tag, .. } = item { Some(tag.clone()) } else { None })
        .collect()
}

fn damages(items: &[Item]) -> Vec<(u64, u64)> {
    let of = |item: &Item| if let Item::Damage { offset, len } = *item { Some((offset, len)) } else { None };
    items.iter().filter_map(of).collect()
}

fn some_tags() -> Vec<Tag> {
    vec![
        tag(TagKind::Data, 0, b"\x02\0\x0aonMetaData\x08\0\0\0\0\0\0\x09"),
        tag(TagKind::Audio, 0, &[0xaf, 0, 0x12, 0x10]),
        tag(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1]),
        tag(TagKind::Video, 40, &[0x17, 1, 0, 0, 0x50, 0, 0, 0, 2, 0x65, 0x88]),
        tag(TagKind::Audio, 0x1234_5678, &[0xaf, 1, 0x21, 0x10]),
        tag(TagKind::Video, 0xffff_ffff, &[0x17, 2, 0, 0, 0]),
    ]
}

/// The stream, and where in it each tag begins.
fn stream_of(tags: &[Tag]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = writer::header(true, true).to_vec();
    let mut starts = vec![];
    for tag in tags {
        starts.push(bytes.len());
        writer::write_tag(&mut bytes, tag).expect("short");
    }
    (bytes, starts)
}

#[test]
fn what_was_written_is_read_with_its_offsets() {
    let (stream, starts) = stream_of(&some_tags());
    let (items, error) = read(&stream);
    assert_eq!(error, None);
    assert_eq!(items[0], Item::Header { has_audio: true, has_video: true });
    let expected =
        starts.iter().zip(some_tags()).map(|(start, tag)| Item::Tag { offset: *start as u64, tag });
    assert_eq!(items[1..], expected.collect::<Vec<_>>());
}

#[test]
fn tags_come_out_with_their_last_byte() {
    let (stream, starts) = stream_of(&some_tags()[..1]);
    let mut reader = Reader::new(ReaderLimits::default());
    let mut input = &stream[..stream.len() - 5];
    assert!(matches!(reader.read(&mut input), Ok(Some(Item::Header { .. }))));
    assert_eq!(reader.read(&mut input), Ok(None));
    input = &stream[stream.len() - 5..];
    assert!(
        matches!(reader.read(&mut input), Ok(Some(Item::Tag { offset, .. })) if offset == starts[0] as u64)
    );
    assert_eq!(input.len(), 4);
}

#[test]
fn every_truncation_gives_the_tags_before_it_and_says_where() {
    let (stream, starts) = stream_of(&some_tags());
    for len in 0..stream.len() {
        let (items, error) = read(&stream[..len]);
        let ends = some_tags()
            .iter()
            .zip(&starts)
            .map(|(tag, start)| start + 11 + tag.body.len())
            .collect::<Vec<_>>();
        let complete = ends.iter().filter(|end| **end <= len).count();
        assert_eq!(tags(&items), some_tags()[..complete], "{len} bytes");
        let begun = starts.iter().zip(&ends).find(|(start, end)| **start < len && len < **end);
        let expected = match begun {
            _ if len < 9 => Some(0),
            Some((start, _)) => Some(*start as u64),
            None => None,
        };
        assert_eq!(
            error,
            expected.map(|offset| ReadError { kind: ReadErrorKind::Truncated, offset }),
            "{len} bytes"
        );
    }
}

#[test]
fn file_headers_may_be_longer_and_say_what_they_like() {
    let (stream, _) = stream_of(&some_tags()[1..2]);
    for (flags, has_audio, has_video) in
        [(0, false, false), (1, false, true), (4, true, false), (0xff, true, true)]
    {
        let long = [b"FLV\x02", &[flags][..], b"\0\0\0\x0cxyz", &stream[9..]].concat();
        let (items, error) = read(&long);
        assert_eq!((items[0].clone(), error), (Item::Header { has_audio, has_video }, None));
        assert_eq!(items[1..], [Item::Tag { offset: 16, tag: some_tags()[1].clone() }]);
    }
    let short_offset = [b"FLV\x01\x05\0\0\0\0", &stream[9..]].concat();
    assert_eq!(tags(&read(&short_offset).0), some_tags()[1..2]);
}

#[test]
fn other_formats_are_refused() {
    for start in ["FLX\x01\x05\0\0\0\x09", "\0\0\0\x18ftypisom", "#EXTM3U\n#EXT", "HTTP/1.1 404"] {
        assert_eq!(
            read(start.as_bytes()),
            (vec![], Some(ReadError { kind: ReadErrorKind::NotFlv, offset: 0 }))
        );
    }
}

#[test]
fn a_header_of_max_header_len_is_skipped_and_one_more_is_refused() {
    let limits = ReaderLimits { max_header_len: 20, ..ReaderLimits::default() };
    let (items, error) = fuzz::read(&limits, b"FLV\x01\x05\0\0\0\x14...........", 64);
    assert_eq!((items.len(), error), (1, None));
    let (_, error) = fuzz::read(&limits, b"FLV\x01\x05\0\0\0\x15............", 64);
    assert_eq!(error, Some(ReadError { kind: ReadErrorKind::HeaderTooLong, offset: 0 }));
}

#[test]
fn wrong_previous_tag_sizes_do_not_matter() {
    let (mut stream, starts) = stream_of(&some_tags());
    for start in &starts {
        stream[start - 4..*start].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
    }
    let (items, error) = read(&stream);
    assert_eq!((tags(&items), damages(&items), error), (some_tags(), vec![], None));
}

#[test]
fn unknown_encrypted_and_empty_tags_are_passed_over() {
    let (mut stream, _) = stream_of(&some_tags()[..1]);
    stream.extend_from_slice(b"\x07\0\0\x03\0\0\0\0\0\0\0abc\0\0\0\x0e"); // unknown type
    stream.extend_from_slice(b"\x28\0\0\x03\0\0\0\0\0\0\0abc\0\0\0\x0e"); // encrypted audio
    stream.extend_from_slice(b"\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b"); // silence
    stream.extend_from_slice(&stream_of(&some_tags()[1..]).0[13..]);
    let (items, error) = read(&stream);
    assert_eq!((tags(&items), damages(&items), error), (some_tags(), vec![], None));
}

#[test]
fn data_tags_of_both_types_come_out_as_players_get_them() {
    let message = b"\x02\0\x0aonMetaData\x05";
    let body = [b"\x02\0\x0d@setDataFrame", &message[..]].concat();
    let mut stream = stream_of(&[tag(TagKind::Data, 0, &body)]).0;
    let (amf3, _) = stream_of(&[tag(TagKind::Data, 0, &[&[0][..], &body].concat())]);
    stream.extend_from_slice(&[&[15][..], &amf3[14..]].concat());
    assert_eq!(tags(&read(&stream).0), vec![tag(TagKind::Data, 0, message); 2]);
}

#[test]
fn a_stream_id_is_tolerated_where_all_else_is_right() {
    let (mut stream, starts) = stream_of(&some_tags());
    stream[starts[3] + 10] = 1;
    let (items, _) = read(&stream);
    assert_eq!((tags(&items), damages(&items)), (some_tags(), vec![]));
    // Together with a wrong PreviousTagSize it is damage.
    stream[starts[3] - 1] ^= 0xff;
    let (items, _) = read(&stream);
    assert_eq!(tags(&items), [&some_tags()[..3], &some_tags()[4..]].concat());
    assert_eq!(damages(&items).len(), 1);
}

#[test]
fn garbage_between_tags_is_passed_over_and_reported() {
    let (stream, starts) = stream_of(&some_tags());
    let misleading = b"\xff\xff\xff\xff\xff\x09\0\x01\0\0\0\0\0\0\0\0"; // a header of 256 bytes that nothing confirms
    for garbage in [
        &b"\xff"[..],
        b"garbage garbage garbage",
        &[0; 40],
        misleading,
        &[0xff, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
    ] {
        let cut = starts[3];
        let damaged = [&stream[..cut], garbage, &stream[cut..]].concat();
        let (items, error) = read(&damaged);
        assert_eq!((tags(&items), error), (some_tags(), None), "{garbage:x?}");
        let expected = (cut as u64 - 4, garbage.len() as u64 + 4);
        // Zeros look like empty tags of an unknown type, once.
        let found = damages(&items);
        assert_eq!((found.len(), found[0].0 + found[0].1), (1, expected.0 + expected.1), "{garbage:x?}");
    }
}

#[test]
fn a_missing_previous_tag_size_costs_no_tag() {
    let (stream, starts) = stream_of(&some_tags());
    let damaged = [&stream[..starts[2] - 4], &stream[starts[2]..]].concat();
    let (items, error) = read(&damaged);
    assert_eq!((tags(&items), damages(&items), error), (some_tags(), vec![(starts[2] as u64 - 4, 0)], None));
}

#[test]
fn a_wrong_size_costs_the_tags_it_swallows_and_no_more() {
    let (mut stream, starts) = stream_of(&some_tags());
    stream[starts[1] + 3] = 20;
    let (items, error) = read(&stream);
    assert_eq!((&tags(&items)[2..], error), (&some_tags()[3..], None));
}

#[test]
fn tags_behind_a_misleading_header_are_found_at_the_end_of_the_stream() {
    let (stream, starts) = stream_of(&some_tags());
    let damaged =
        [&stream[..starts[3]], b"\x80\x80\x09\x01\0\0\0\0\0\0\0\0\0", &stream[starts[3]..]].concat();
    let (items, error) = read(&damaged);
    assert_eq!((tags(&items), error), (some_tags(), None));
}

#[test]
fn damage_close_to_damage_keeps_the_offsets_right() {
    let (stream, starts) = stream_of(&some_tags());
    // The first header makes the reader hold what follows it, up to behind the second damage.
    let misleading = b"\xff\xff\xff\xff\x09\0\0\x40\0\0\0\0\0\0\0";
    let damaged =
        [&stream[..starts[2]], misleading, &stream[starts[2]..starts[4] - 4], &stream[starts[4]..]].concat();
    let (items, error) = read(&damaged);
    assert_eq!((tags(&items), error), (some_tags(), None));
    let second = (starts[4] + misleading.len() - 4) as u64;
    assert_eq!(damages(&items), [(starts[2] as u64 - 4, 19), (second, 0)]);
    assert!(items.iter().any(|item| matches!(item, Item::Tag { offset, .. } if *offset == second)));
}

#[test]
fn garbage_of_max_damage_is_survived_and_one_byte_more_is_not() {
    let limits = ReaderLimits { max_damage: 50, ..ReaderLimits::default() };
    let (stream, starts) = stream_of(&some_tags());
    for (garbage, expected) in
        [(46, None), (47, Some(ReadError { kind: ReadErrorKind::Damaged, offset: starts[2] as u64 - 4 }))]
    {
        let damaged = [&stream[..starts[2]], &vec![0xff; garbage], &stream[starts[2]..]].concat();
        let (items, error) = fuzz::read(&limits, &damaged, 5);
        assert_eq!(error, expected, "{garbage} bytes");
        assert_eq!(tags(&items).len(), if expected.is_none() { 6 } else { 2 });
    }
}

#[test]
fn a_tag_of_max_tag_len_is_read_and_a_longer_one_passed_over() {
    let limits = ReaderLimits { max_tag_len: 30, ..ReaderLimits::default() };
    for (len, read) in [(30, true), (31, false)] {
        let all = [tag(TagKind::Video, 0, &vec![0x27; len]), tag(TagKind::Audio, 0, &[0xaf, 1])];
        let (items, error) = fuzz::read(&limits, &stream_of(&all).0, 9);
        assert_eq!((tags(&items), error), (if read { all.to_vec() } else { all[1..].to_vec() }, None));
    }
}

#[test]
fn after_damage_a_tag_of_max_resync_len_is_found_and_a_longer_one_is_not() {
    let limits = ReaderLimits { max_resync_len: 30, ..ReaderLimits::default() };
    for (len, found) in [(30, true), (31, false)] {
        let all = [tag(TagKind::Video, 0, &vec![0x27; len]), tag(TagKind::Audio, 0, &[0xaf, 1])];
        let (stream, _) = stream_of(&all);
        let damaged = [&stream[..13], &[0xff; 20], &stream[13..]].concat();
        let (items, error) = fuzz::read(&limits, &damaged, 9);
        assert_eq!((tags(&items), error), (if found { all.to_vec() } else { all[1..].to_vec() }, None));
    }
}

#[test]
fn memory_follows_the_bytes_and_not_the_size_field() {
    let mut reader = Reader::new(ReaderLimits::default());
    let mut input = &b"FLV\x01\x01\0\0\0\x09\0\0\0\0\x09\xff\xff\xff\0\0\0\0\0\0\0\x27"[..];
    assert!(matches!(reader.read(&mut input), Ok(Some(Item::Header { .. }))));
    assert_eq!(reader.read(&mut input), Ok(None));
    assert!(reader.held_len() <= 4096, "{} bytes for one", reader.held_len());
}

#[test]
fn a_body_takes_no_more_memory_than_its_length() {
    let mut reader = Reader::new(ReaderLimits::default());
    let (stream, _) = stream_of(&[tag(TagKind::Video, 0, &vec![0x27; 100_000])]);
    for mut part in stream.chunks(1000) {
        while reader.read(&mut part).expect("good").is_some() {}
        assert!(reader.held_len() <= 100_000);
    }
}

#[test]
fn errors_say_where() {
    let error = ReadError { kind: ReadErrorKind::Truncated, offset: 77 };
    assert_eq!(format!("{error}"), "FLV ends inside a tag at byte 77");
}

#[test]
fn the_fuzz_target_holds_on_small_inputs() {
    let (stream, _) = stream_of(&some_tags());
    fuzz(&[]);
    for cut in [0, 4, 255] {
        for len in 0..stream.len() {
            fuzz(&[&[cut], &stream[..len]].concat());
            let mut damaged = [&[cut], &stream[..]].concat();
            damaged[len + 1] ^= 0x15;
            fuzz(&damaged);
        }
    }
}
