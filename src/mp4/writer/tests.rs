//! Fragments and index, read back by a walk over the boxes that is written for this alone. Real programs read the files in
//! `tests/e2e`.

use super::*;
use crate::{
    base::Timestamp,
    flv::{Tag, TagKind},
};
use alloc::{
    string::{String, ToString},
    vec,
};

/// Boxes at one level: type and content.
fn boxes(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let len = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        let kind = String::from_utf8(bytes[4..8].to_vec()).unwrap();
        let (start, len) = match len {
            1 => (16, u64::from_be_bytes(bytes[8..16].try_into().unwrap()) as usize),
            len => (8, len),
        };
        found.push((kind, &bytes[start..len]));
        bytes = &bytes[len..];
    }
    found
}

fn kinds(bytes: &[u8]) -> Vec<String> {
    boxes(bytes).into_iter().map(|(kind, _)| kind).collect()
}

fn find<'a>(bytes: &'a [u8], path: &str) -> &'a [u8] {
    path.split('/').fold(bytes, |inside, kind| {
        boxes(inside)
            .into_iter()
            .find(|(own, _)| own == kind)
            .unwrap_or_else(|| panic!("no {kind} of {path}"))
            .1
    })
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap())).collect()
}

fn tracks() -> Vec<Track> {
    vec![
        Track::video(crate::flv::Codec::H264, &[1, 0x64, 0, 30, 0xff], (640, 360)).unwrap(),
        Track::audio(crate::flv::Codec::Aac, &[0x12, 0x10]).unwrap(),
    ]
}

fn sample(at: u64, composition_time: i32, is_sync: bool, data: &[u8]) -> Sample {
    Sample { at, composition_time, is_sync, data: data.into() }
}

#[test]
fn a_fragment_ends_before_a_keyframe_and_holds_all_but_the_last_of_each_track() {
    let (mut writer, start) = Writer::new(tracks());
    assert_eq!(kinds(&start), ["ftyp", "free", "moov"]);
    assert_eq!(kinds(find(&start, "moov")), ["mvhd", "trak", "trak", "mvex"]);
    assert_eq!(writer.push(1, sample(0, 0, true, b"aaa")), None);
    assert_eq!(writer.push(0, sample(20, 80, true, b"key")), None);
    assert_eq!(writer.push(1, sample(23, 0, true, b"aa")), None);
    assert_eq!(writer.push(0, sample(60, 0, false, b"inter")), None);
    let fragment = writer.push(0, sample(620, 40, true, b"next")).expect("a keyframe");
    assert_eq!(kinds(&fragment), ["moof", "mdat"]);
    assert_eq!(find(&fragment, "mdat"), b"keyinteraaa");
    let trafs: Vec<&[u8]> = boxes(find(&fragment, "moof"))
        .into_iter()
        .filter(|(kind, _)| kind == "traf")
        .map(|(_, traf)| traf)
        .collect();
    let data_at = fragment.len() as u32 - 11;
    assert_eq!(numbers(find(trafs[0], "tfhd")), [0x02_0020, 1, 0x0200_0000]);
    assert_eq!(numbers(find(trafs[0], "tfdt")), [0x0100_0000, 0, 1800]);
    assert_eq!(
        numbers(find(trafs[0], "trun")),
        [0xf01, 2, data_at, 3600, 3, 0x0200_0000, 7200, 50_400, 5, 0x0101_0000, 0]
    );
    // 23 ms are 1014 samples.
    assert_eq!(numbers(find(trafs[1], "trun")), [0x301, 1, data_at + 8, 1014, 3]);
    let rest = writer.finish().expect("two are left");
    assert_eq!(find(&rest, "mdat"), b"nextaa");
    assert_eq!(writer.finish(), None);
}

#[test]
fn long_groups_of_pictures_and_sound_alone_are_cut_after_a_second_and_the_first_of_all_sooner() {
    let (mut writer, _) = Writer::new(tracks());
    let cuts = |writer: &mut Writer, track| {
        let is_sync = |at| track == 1 || at == 0;
        let cut = (0..4000)
            .step_by(40)
            .filter(|at| writer.push(track, sample(*at, 0, is_sync(*at), b"x")).is_some());
        cut.collect::<Vec<u64>>()
    };
    assert_eq!(cuts(&mut writer, 0), [200, 1200, 2200, 3200]);
    let (mut writer, _) = Writer::new(tracks());
    assert_eq!(cuts(&mut writer, 1), [200, 1200, 2200, 3200]);
}

#[test]
fn a_track_that_has_fallen_silent_cuts_nothing() {
    let (mut writer, _) = Writer::new(tracks());
    writer.push(1, sample(0, 0, true, b"only one"));
    let cuts =
        (0..4000).step_by(40).filter(|at| writer.push(0, sample(*at, 0, *at == 0, b"x")).is_some()).count();
    assert_eq!(cuts, 4);
}

#[test]
fn what_waits_is_bounded_in_bytes() {
    let (mut writer, _) = Writer::new(tracks());
    let large = vec![0; MAX_FRAGMENT_BYTES / 2];
    assert_eq!(writer.push(0, sample(0, 0, true, &large)), None);
    assert_eq!(writer.push(0, sample(1, 0, false, &large)), None);
    let fragment = writer.push(0, sample(2, 0, false, b"x")).expect("too much waits");
    assert!(fragment.len() > MAX_FRAGMENT_BYTES);
    assert_eq!(writer.waiting, 1);
}

#[test]
fn times_that_go_back_stand_still_and_negative_offsets_are_signed() {
    let (mut writer, _) = Writer::new(tracks());
    for (at, composition_time) in [(100, 0), (60, 0), (140, -20)] {
        writer.push(0, sample(at, composition_time, false, b"x"));
    }
    let fragment = writer.finish().unwrap();
    let trun = numbers(find(&fragment, "moof/traf/trun"));
    assert_eq!(trun[0], 0x0100_0f01);
    let rows: Vec<(u32, i32)> = trun[3..].chunks(4).map(|row| (row[0], row[3] as i32)).collect();
    assert_eq!(rows, [(0, 0), (3600, -3600), (3600, -1800)]);
}

#[test]
fn the_index_finds_every_sample_and_hides_the_fragments() {
    let (mut writer, mut file) = Writer::new(tracks());
    for index in 0..60_u64 {
        let pieces = [
            writer.push(
                0,
                sample(143 + index * 40, 40 * i32::from(index % 3 == 0), index % 25 == 0, &[index as u8; 7]),
            ),
            writer.push(1, sample(index * 23, 0, true, &[100 + index as u8; 5])),
        ];
        pieces.into_iter().flatten().for_each(|piece| file.extend(piece));
    }
    file.extend(writer.finish().unwrap());
    let Index { moov, head_at, head } = writer.index();
    file.extend(moov);
    file[head_at as usize..head_at as usize + 16].copy_from_slice(&head);
    assert_eq!(kinds(&file), ["ftyp", "mdat", "moov"]);
    let traks: Vec<&[u8]> = boxes(find(&file, "moov"))
        .into_iter()
        .filter(|(kind, _)| kind == "trak")
        .map(|(_, trak)| trak)
        .collect();
    for (trak, first, size) in [(traks[0], 0, 7), (traks[1], 100, 5)] {
        let table = |name: &str| numbers(find(trak, &alloc::format!("mdia/minf/stbl/{name}")));
        let (sizes, chunks, runs) = (table("stsz"), table("co64"), table("stsc"));
        assert_eq!((sizes[2], &sizes[3..]), (60, &[size; 60][..]));
        let mut number = 0;
        for (index, offset) in chunks[2..].chunks(2).enumerate() {
            let run = runs[2..].chunks(3).rev().find(|run| run[0] as usize <= index + 1).unwrap();
            let mut at = (u64::from(offset[0]) << 32 | u64::from(offset[1])) as usize;
            for _ in 0..run[1] {
                assert_eq!(file[at..at + size as usize], vec![first + number; size as usize]);
                at += size as usize;
                number += 1;
            }
        }
        assert_eq!(number, 60);
    }
    let video = |name: &str| numbers(find(traks[0], &alloc::format!("mdia/minf/stbl/{name}")));
    assert_eq!(video("stts"), [0, 1, 60, 3600]);
    assert_eq!(video("stss"), [0, 3, 1, 26, 51]);
    assert_eq!(video("ctts")[..6], [0, 40, 1, 3600, 2, 0]);
    // Video begins 143 ms behind audio, and its first picture is shown 40 ms later.
    let edits = numbers(find(traks[0], "edts/elst"));
    assert_eq!(edits[..7], [0x0100_0000, 2, 0, 183, u32::MAX, u32::MAX, 0x1_0000]);
    assert_eq!(edits[7..], [0, 2400, 0, 3600, 0x1_0000]);
    assert_eq!(kinds(traks[1]), ["tkhd", "mdia"]);
}

#[test]
fn the_index_is_bounded() {
    let (mut writer, _) = Writer::new(tracks());
    let mut at = 0;
    while !writer.is_full() {
        writer.push(1, sample(at, 0, true, b"x"));
        at += 23;
        assert!(at < 23 * 10_000_000, "never full");
    }
    assert!(writer.index().moov.len() < 2 * MAX_INDEX_BYTES);
}

// ---- tags

fn tag(kind: TagKind, body: &[u8]) -> Tag {
    Tag::new(kind, Timestamp(0), body.into())
}

const VIDEO_HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 30, 0xff];
const AUDIO_HEADER: &[u8] = &[0xaf, 0, 0x12, 0x10];

#[test]
fn frames_wait_for_the_configuration_of_both_kinds_of_media() {
    let (mut writer, mut out) = (TagWriter::new((0, 0)), vec![]);
    writer.push(0, &tag(TagKind::Video, VIDEO_HEADER), &mut out).unwrap();
    writer.push(0, &tag(TagKind::Video, b"\x17\x01\0\0\0key"), &mut out).unwrap();
    assert!(out.is_empty());
    writer.push(3, &tag(TagKind::Audio, AUDIO_HEADER), &mut out).unwrap();
    assert_eq!(kinds(&out), ["ftyp", "free", "moov"]);
    writer.push(5, &tag(TagKind::Audio, b"\xaf\x01sound"), &mut out).unwrap();
    writer.finish(&mut out).unwrap();
    assert_eq!(find(&out, "mdat"), b"keysound");
    assert!(writer.index().is_some());
}

#[test]
fn a_stream_of_one_kind_waits_a_second_and_no_longer() {
    let (mut writer, mut out) = (TagWriter::new((0, 0)), vec![]);
    writer.push(0, &tag(TagKind::Video, VIDEO_HEADER), &mut out).unwrap();
    for at in (0..1000).step_by(40) {
        writer.push(at, &tag(TagKind::Video, b"\x27\x01\0\0\0p"), &mut out).unwrap();
        assert!(out.is_empty());
    }
    writer.push(1000, &tag(TagKind::Video, b"\x27\x01\0\0\0p"), &mut out).unwrap();
    assert_eq!(kinds(&out)[..5], ["ftyp", "free", "moov", "moof", "mdat"]);
    // Too late for a track.
    writer.push(1001, &tag(TagKind::Audio, AUDIO_HEADER), &mut out).unwrap();
    writer.push(1001, &tag(TagKind::Audio, b"\xaf\x01sound"), &mut out).unwrap();
    writer.finish(&mut out).unwrap();
    assert!(!out.windows(5).any(|bytes| bytes == b"sound"));
}

#[test]
fn mp3_is_known_by_its_frames_and_enhanced_tags_by_their_names() {
    let (mut writer, mut out) = (TagWriter::new((0, 0)), vec![]);
    writer.push(0, &tag(TagKind::Video, b"\x90hvc1record"), &mut out).unwrap();
    writer.push(0, &tag(TagKind::Video, b"\x91hvc1\0\0\x28key"), &mut out).unwrap();
    writer.push(1, &tag(TagKind::Audio, b"\x2f\xff\xfb\x90\x44"), &mut out).unwrap();
    writer.finish(&mut out).unwrap();
    assert_eq!(find(&out, "mdat"), b"key\xff\xfb\x90\x44");
    for entry in [&b"hvcCrecord"[..], b"mp4a"] {
        assert!(out.windows(entry.len()).any(|bytes| bytes == entry));
    }
}

#[test]
fn a_stream_that_mp4_cannot_hold_is_refused_and_its_other_tracks_are_not() {
    let speex = tag(TagKind::Audio, &[0xb6, 1, 2, 3]);
    let (mut writer, mut out) = (TagWriter::new((0, 0)), vec![]);
    writer.push(0, &speex, &mut out).unwrap();
    assert_eq!(writer.push(1000, &speex, &mut out), Err(NothingToWrite));
    let mut writer = TagWriter::new((0, 0));
    writer.push(0, &tag(TagKind::Video, VIDEO_HEADER), &mut out).unwrap();
    writer.push(0, &speex, &mut out).unwrap();
    writer.push(0, &tag(TagKind::Video, b"\x17\x01\0\0\0key"), &mut out).unwrap();
    writer.finish(&mut out).unwrap();
    assert_eq!(find(&out, "mdat"), b"key");
}

#[test]
fn the_index_of_a_file_whose_writer_is_gone_is_read_back_from_its_fragments() {
    let (mut writer, start) = Writer::new(tracks());
    let mut file = start;
    let never = || false;
    assert_eq!(index_of_file(&&*file, never), Ok(None), "nothing in it");
    for number in 0..200 {
        // Sound begins late, pictures are out of order and pause once.
        let at = number * 40 + if number > 120 { 5000 } else { 0 };
        let offset = if number % 3 == 0 { 80 } else { 0 };
        file.extend(
            writer.push(0, sample(at, offset, number % 25 == 0, &[number as u8; 30])).unwrap_or_default(),
        );
        if number > 30 {
            file.extend(writer.push(1, sample(at + 3, 0, true, &[7; 11])).unwrap_or_default());
        }
    }
    let last_waits = writer.index();
    file.extend(writer.flush().unwrap_or_default());
    let index = writer.index();
    assert_ne!(index, last_waits);
    assert_eq!(index_of_file(&&*file, never), Ok(Some(index.clone())));
    assert_eq!(index_of_file(&&*file, || true), Ok(None));
    file.extend(writer.finish().unwrap_or_default());
    let index = writer.index();
    assert_eq!(index_of_file(&&*file, never), Ok(Some(index.clone())));
    // One that is finished is left alone, and so is another's.
    file.extend(&index.moov);
    file[index.head_at as usize..][..index.head.len()].copy_from_slice(&index.head);
    assert_eq!(index_of_file(&&*file, never), Ok(None));
    assert_eq!(index_of_file(&&file[32..], never), Ok(None));
}

#[test]
fn no_file_in_pieces_makes_the_index_fail_otherwise_than_by_an_error() {
    let (mut writer, mut file) = Writer::new(tracks());
    (0..60).for_each(|number| {
        file.extend(writer.push(0, sample(number * 40, 0, number % 25 == 0, &[1; 30])).unwrap_or_default());
    });
    for at in 0..file.len() {
        let _ = index_of_file(&&file[..at], || false);
        let mut changed = file.clone();
        for value in [0, 0x7f, 0xff] {
            changed[at] = value;
            let _ = index_of_file(&&*changed, || false);
        }
    }
}

#[test]
fn what_is_not_in_a_file_is_told_once_with_the_reason() {
    let tag = |kind, at, body: &[u8]| (at, Tag::new(kind, Timestamp(at as u32), body.into()));
    let video = [
        tag(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 30, 0xff]),
        tag(TagKind::Video, 0, &[0x17, 1, 0, 0, 0, 9]),
        tag(TagKind::Video, 1100, &[0x27, 1, 0, 0, 0, 9]),
    ];
    let (speex, mp3) = (&[0xb6, 1, 2][..], &[0x2f, 0xff, 0xfb, 0x90, 0x44][..]);
    for (at, body, expected) in [
        (20, speex, Some("audio, speex, which MP4 does not hold")),
        (1200, speex, Some("audio, speex, which MP4 does not hold")),
        (1200, mp3, Some("audio, mp3, which came too late for this file")),
        (20, mp3, None),
        (20, &[0xaf, 1, 7], Some("audio, aac, whose configuration did not come in time or makes no sense")),
        (20, &[0xf2, 1, 7], Some("audio, of an unknown codec, which MP4 does not hold")),
    ] {
        let mut tags = video.to_vec();
        tags.extend([tag(TagKind::Audio, at, body), tag(TagKind::Audio, at + 20, body)]);
        tags.sort_by_key(|(at, _)| *at);
        let (mut writer, mut out, mut told) = (TagWriter::new((0, 0)), Vec::new(), Vec::new());
        for (at, tag) in &tags {
            writer.push(*at, tag, &mut out).unwrap();
            told.extend(core::iter::from_fn(|| writer.next_missing()).map(|missing| missing.to_string()));
        }
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{body:x?} at {at}");
    }
}
