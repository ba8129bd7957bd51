//! Streams made by hand, muxed, and looked at as a player does: playlists by their rules (`check`), files by the reader of MP4.

use super::{check::Media, *};
use crate::{
    base::Timestamp,
    codec::h264,
    flv::{Tag, TagKind},
    media::{MediaReader, Mp4Reader},
};
use alloc::{format, string::String, vec::Vec};

const WALL: u64 = 1_714_564_800_000;
/// x264, 322x182, and its picture parameters.
const SPS: &[u8] =
    b"\x67\x64\x00\x0d\xac\xd9\x41\x51\x9e\x22\x6c\x04\x40\x00\x00\xfa\x40\x00\x3a\x98\x03\xc5\x0a\x65\x80";
const PPS: &[u8] = b"\x68\xeb\xe3\xcb\x22\xc0";

fn tag(kind: TagKind, at: u32, body: &[u8]) -> Tag {
    Tag::new(kind, Timestamp(at), body.into())
}

fn video_header() -> Tag {
    let record = h264::build_record(SPS, &[PPS]).unwrap();
    tag(TagKind::Video, 0, &[&[0x17, 0, 0, 0, 0][..], &record].concat())
}

fn audio_header() -> Tag {
    tag(TagKind::Audio, 0, &[0xaf, 0, 0x12, 0x10])
}

fn video(at: u32, is_key: bool, composition_time: u8, number: u32) -> Tag {
    let head = [if is_key { 0x17 } else { 0x27 }, 1, 0, 0, composition_time, 0, 0, 0, 6, 0x65, 1];
    tag(TagKind::Video, at, &[&head[..], &number.to_be_bytes()].concat())
}

fn audio(at: u32, number: u32) -> Tag {
    tag(TagKind::Audio, at, &[&[0xaf, 1][..], &number.to_be_bytes()].concat())
}

/// Frames of one kind or both, in the order of their times.
#[derive(Clone, Copy, Debug)]
struct Stream {
    start: u32,
    seconds: u32,
    /// Milliseconds, 0 for none.
    frame: u32,
    /// Frames.
    gop: u32,
    has_audio: bool,
    /// Of audio behind video as it arrives.
    late: i64,
}

const PLAIN: Stream = Stream { start: 0, seconds: 20, frame: 40, gop: 50, has_audio: true, late: 0 };

impl Stream {
    fn tags(self) -> Vec<Tag> {
        let mut frames: Vec<(i64, Tag)> = Vec::new();
        let length = self.seconds * 1000;
        for number in 0..length.checked_div(self.frame).unwrap_or(0) {
            let (at, offset) = (number * self.frame, [80, 0, 40][number as usize % 3]);
            let tag = video(self.start.wrapping_add(at), number % self.gop == 0, offset, number);
            frames.push((i64::from(at), tag));
        }
        if self.has_audio {
            for number in 0..length * 441 / 10 / 1024 {
                let at = (number * 1024 * 10 + 220) / 441;
                frames.push((i64::from(at) + self.late, audio(self.start.wrapping_add(at), number)));
            }
        }
        frames.sort_by_key(|(at, _)| *at);
        frames.into_iter().map(|(_, tag)| tag).collect()
    }
}

fn config() -> Config {
    Config { first_sequence: 40, ..Config::new(0xab) }
}

/// A muxer, and what a player of it has seen.
struct Watched {
    muxer: Muxer,
    config: Config,
    percent: u64,
    wall: u64,
    seen: Vec<Media>,
}

impl Watched {
    fn new(config: Config) -> Watched {
        Watched { muxer: Muxer::new(config), config, percent: 85, wall: WALL, seen: Vec::new() }
    }

    fn headers(&mut self, stream: Stream) {
        if stream.frame > 0 {
            self.push(&video_header());
        }
        if stream.has_audio {
            self.push(&audio_header());
        }
    }

    fn push(&mut self, tag: &Tag) {
        if self.muxer.push(tag, WallTime(self.wall)) {
            self.look();
        }
    }

    fn play(&mut self, stream: Stream) {
        let start = self.wall;
        for tag in stream.tags() {
            self.wall = start + u64::from(tag.timestamp.0.wrapping_sub(stream.start));
            self.push(&tag);
        }
    }

    fn text(&self, file: &str, query: &str) -> Option<String> {
        match self.muxer.get(file, query, WallTime(self.wall)) {
            Answer::Ready(resource) => Some(String::from_utf8(joined(&resource)).unwrap()),
            _ => None,
        }
    }

    fn look(&mut self) {
        let Some(text) = self.text("stream.m3u8", "") else { return };
        let media = Media::parse(&text);
        media.check(&self.config, self.percent);
        if let Some(last) = self.seen.last() {
            last.check_update(&media);
            let delta = self.text("stream.m3u8", "_HLS_skip=YES").unwrap();
            assert_eq!(last.merged(&Media::parse(&delta)), media);
        }
        self.seen.push(media);
    }

    fn last(&self) -> &Media {
        self.seen.last().expect("a playlist")
    }

    fn file(&self, name: &str) -> Vec<u8> {
        match self.muxer.get(name, "", WallTime(self.wall)) {
            Answer::Ready(resource) => joined(&resource),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Everything in the playlist that one initialization segment serves, as one file.
    fn film(&self, map: &str) -> Vec<u8> {
        let listed = self.last().segments.iter().filter(|listed| listed.map == map);
        let segments = listed.flat_map(|listed| self.file(&listed.name));
        self.file(map).into_iter().chain(segments).collect()
    }
}

fn joined(resource: &Resource) -> Vec<u8> {
    let bytes: Vec<u8> = resource.pieces.iter().flat_map(|piece| piece.to_vec()).collect();
    assert_eq!(bytes.len(), resource.len());
    bytes
}

/// Frames of a film: kind, time, time of showing behind it, bytes.
fn frames(film: &[u8]) -> Vec<(TagKind, u32, i32, Vec<u8>)> {
    let mut reader = Mp4Reader::open(film).expect("a film");
    let mut all = Vec::new();
    while let Some(tag) = reader.next().expect("a sound film") {
        all.push(frame(&tag));
    }
    all
}

fn frame(tag: &Tag) -> (TagKind, u32, i32, Vec<u8>) {
    let class = tag.classify();
    let data = class.tracks().next().unwrap().data;
    (tag.kind, tag.timestamp.0, class.composition_time, tag.body[data].to_vec())
}

#[test]
fn what_went_in_comes_out_of_the_segments_with_its_times() {
    for stream in [
        PLAIN,
        Stream { frame: 33, gop: 60, ..PLAIN },
        Stream { frame: 0, ..PLAIN },
        Stream { has_audio: false, ..PLAIN },
        Stream { late: 700, ..PLAIN },
        Stream { late: -700, ..PLAIN },
        Stream { start: u32::MAX - 9_000, ..PLAIN },
    ] {
        let mut watched = Watched::new(Config { segments: 50, ..config() });
        watched.headers(stream);
        watched.play(stream);
        watched.muxer.end();
        watched.look();
        assert!(watched.last().is_ended && watched.last().hint.is_none());
        let by_kind = |tags: &[(TagKind, u32, i32, Vec<u8>)], kind| -> Vec<_> {
            tags.iter().filter(|tag| tag.0 == kind).cloned().collect()
        };
        let film = frames(&watched.film("init-ab-0.mp4"));
        let start = |tag: &Tag| Timestamp(tag.timestamp.0.wrapping_sub(stream.start));
        let sent: Vec<_> =
            stream.tags().iter().map(|tag| frame(&Tag { timestamp: start(tag), ..tag.clone() })).collect();
        for kind in [TagKind::Video, TagKind::Audio] {
            let (film, sent) = (by_kind(&film, kind), by_kind(&sent, kind));
            assert_eq!(film.len(), sent.len(), "{stream:?}");
            film.iter().zip(&sent).for_each(|(film, sent)| assert_eq!(film, sent, "{stream:?}"));
        }
        let total: u64 = watched.last().segments.iter().map(|listed| listed.duration).sum();
        assert!(total.abs_diff(20_000) <= 40, "{total}");
        for listed in &watched.last().segments {
            let whole = watched.file(&listed.name);
            let number = listed.name.trim_start_matches("seg-ab-").trim_end_matches(".m4s");
            let parts = (0..).map_while(|part| {
                let name = format!("part-ab-{number}.{part}.m4s");
                match watched.muxer.get(&name, "", WallTime(0)) {
                    Answer::Ready(resource) => Some(joined(&resource)),
                    _ => None,
                }
            });
            assert_eq!(parts.flatten().collect::<Vec<u8>>(), whole, "a segment is its parts");
        }
    }
}

fn answer(watched: &Watched, query: &str) -> &'static str {
    match watched.muxer.get("stream.m3u8", query, WallTime(watched.wall)) {
        Answer::Ready(_) => "ready",
        Answer::Wait { .. } => "wait",
        Answer::BadRequest(_) => "bad",
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn segments_begin_at_keyframes_and_parts_are_whole_frames() {
    let mut watched = Watched::new(config());
    watched.headers(PLAIN);
    watched.play(PLAIN);
    let last = watched.last();
    assert_eq!((last.version, last.target, last.part_target), (9, 2, Some(288)));
    assert!(last.is_independent && last.discontinuities == 0);
    // 20 s have come, of which the last two are not complete; six segments of 2 s are enough.
    assert_eq!((last.first, last.segments.len()), (40 + 9 - 6, 6));
    assert!(last.segments.iter().all(|listed| listed.duration == 2000));
    let parts: Vec<u64> = last.segments[5].parts.iter().map(|part| part.duration).collect();
    assert_eq!(parts, [280, 280, 280, 280, 280, 280, 280, 40]);
    assert!(last.segments[5].parts[0].is_independent && !last.segments[5].parts[1].is_independent);
    assert_eq!(last.segments[0].date, "2024-05-01T12:00:06.000Z");
    assert_eq!(last.hint.as_deref(), Some("part-ab-49.7.m4s"));
    let index = watched.text("index.m3u8", "").unwrap();
    for said in ["CODECS=\"avc1.64000D,mp4a.40.2\"", "RESOLUTION=322x182", "FRAME-RATE=25.000", "stream.m3u8"]
    {
        assert!(index.contains(said), "{said} in {index}");
    }
}

#[test]
fn a_group_of_pictures_that_is_longer_than_the_target_makes_a_longer_one() {
    for (stream, target, segment) in [
        (Stream { gop: 250, seconds: 60, ..PLAIN }, 10, 10_000),
        (Stream { gop: 37, ..PLAIN }, 2, 1480),
        (Stream { gop: 25, ..PLAIN }, 2, 2000),
        (Stream { gop: 1, ..PLAIN }, 2, 2000),
        (Stream { frame: 1000, gop: 3, seconds: 30, ..PLAIN }, 3, 3000),
    ] {
        let mut watched = Watched::new(config());
        watched.headers(stream);
        watched.play(stream);
        assert_eq!(watched.last().target, target, "{stream:?}");
        assert_eq!(watched.last().segments.last().unwrap().duration, segment, "{stream:?}");
        assert!(watched.seen.iter().all(|media| media.target == target), "it never changes");
    }
}

#[test]
fn a_target_duration_that_would_be_a_lie_is_raised_before_it_is_one() {
    let mut watched = Watched::new(config());
    watched.headers(PLAIN);
    watched.play(Stream { seconds: 10, ..PLAIN });
    let more = Stream { start: 10_000, gop: 500, seconds: 40, ..PLAIN };
    watched.play(more);
    watched.play(Stream { start: 50_000, ..PLAIN });
    let mut targets: Vec<u64> = watched.seen.iter().map(|media| media.target).collect();
    targets.dedup();
    assert_eq!(targets, [2, 4, 8, 14, 22]);
    assert!(watched.seen.iter().any(|media| media.segments.iter().any(|listed| listed.duration == 20_000)));
}

#[test]
fn a_segment_without_end_is_cut_and_says_that_it_is_not_independent() {
    let mut watched = Watched::new(config());
    let stream = Stream { gop: 100_000, seconds: 130, ..PLAIN };
    watched.headers(stream);
    watched.play(stream);
    let last = watched.last();
    assert!(!last.is_independent && last.target == 60, "{}", last.target);
    assert!(last.segments.iter().all(|listed| listed.duration.abs_diff(60_000) <= 300));
}

#[test]
fn requests_for_what_is_to_come_wait_and_those_too_far_ahead_are_refused() {
    let mut watched = Watched::new(config());
    watched.headers(PLAIN);
    assert_eq!(answer(&watched, ""), "wait");
    watched.play(Stream { seconds: 9, ..PLAIN });
    // 44 grows, and has three parts.
    let last = watched.last();
    assert_eq!((last.first + last.segments.len() as u64, last.growing.parts.len()), (44, 3));
    for (query, expected) in [
        ("", "ready"),
        ("_HLS_msn=3", "ready"),
        ("_HLS_msn=43", "ready"),
        ("_HLS_msn=43&_HLS_part=7", "ready"),
        ("_HLS_msn=43&_HLS_part=8", "ready"),
        ("_HLS_msn=44&_HLS_part=2", "ready"),
        ("_HLS_msn=44&_HLS_part=3", "wait"),
        ("_HLS_msn=44", "wait"),
        ("_HLS_msn=45", "wait"),
        ("_HLS_msn=45&_HLS_part=0", "wait"),
        ("_HLS_msn=44&_HLS_part=13", "wait"),
        ("_HLS_msn=44&_HLS_part=14", "bad"),
        ("_HLS_msn=46", "bad"),
        ("_HLS_msn=46&_HLS_part=0", "bad"),
        ("_HLS_part=0", "bad"),
        ("_HLS_msn=x", "bad"),
    ] {
        assert_eq!(answer(&watched, query), expected, "{query}");
    }
    let get = |file: &str| watched.muxer.get(file, "", WallTime(0));
    let hint = last.hint.as_deref().unwrap();
    assert!(matches!(get(hint), Answer::Wait { at_most } if at_most.as_secs() == 6), "{hint}");
    for (file, expected) in [
        ("part-ab-44.4.m4s", Answer::NotFound),
        ("part-ab-45.0.m4s", Answer::NotFound),
        ("part-ab-43.9.m4s", Answer::NotFound),
        ("seg-ab-45.m4s", Answer::NotFound),
        ("seg-ab-39.m4s", Answer::NotFound),
        ("seg-ac-43.m4s", Answer::NotFound),
        ("init-ab-1.mp4", Answer::NotFound),
        ("other.txt", Answer::NotFound),
    ] {
        assert_eq!(get(file), expected, "{file}");
    }
    // DASH players ask for the next one by the clock.
    assert!(matches!(get("seg-ab-44.m4s"), Answer::Wait { .. }));
    watched.muxer.end();
    assert_eq!(answer(&watched, "_HLS_msn=99&_HLS_part=4"), "ready");
    assert!(matches!(watched.muxer.get(hint_of(&watched), "", WallTime(0)), Answer::Ready(_)));
}

fn hint_of(watched: &Watched) -> &str {
    watched.last().hint.as_deref().unwrap()
}

#[test]
fn the_last_hint_before_the_end_is_kept_and_then_there_is_none() {
    let mut watched = Watched::new(config());
    watched.headers(PLAIN);
    watched.play(Stream { seconds: 9, ..PLAIN });
    watched.muxer.end();
    watched.look();
    assert!(!watched.muxer.push(&video(9000, true, 0, 0), WallTime(watched.wall)));
    assert_eq!(watched.muxer.get("part-ab-44.9.m4s", "", WallTime(0)), Answer::NotFound);
}

#[test]
fn delta_updates_leave_out_what_lies_before_the_skip_boundary() {
    let mut watched = Watched::new(Config { segments: 12, ..config() });
    watched.headers(PLAIN);
    watched.play(Stream { seconds: 60, ..PLAIN });
    let delta = Media::parse(&watched.text("stream.m3u8", "_HLS_skip=YES").unwrap());
    assert_eq!((delta.skipped, delta.segments.len(), delta.version), (6, 6, 9));
    let full = Media::parse(&watched.text("stream.m3u8", "_HLS_skip=v2").unwrap());
    assert_eq!((full.skipped, full.segments.len()), (0, 12), "date ranges are not skipped");
}

#[test]
fn what_leaves_the_playlist_can_be_had_for_a_while_and_is_then_gone() {
    let mut watched = Watched::new(config());
    watched.headers(PLAIN);
    watched.play(PLAIN);
    let get = |number: u64| watched.muxer.get(&format!("seg-ab-{number}.m4s"), "", WallTime(0));
    // 43 to 48 are listed; 42 has been complete for 12 s, 14 are promised.
    assert!(matches!(get(42), Answer::Ready(_)));
    assert_eq!((get(40), get(39), get(50)), (Answer::Gone, Answer::NotFound, Answer::NotFound));
    assert_eq!(watched.muxer.get("part-ab-40.0.m4s", "", WallTime(0)), Answer::Gone);
}

#[test]
fn a_publisher_that_comes_back_begins_with_a_discontinuity() {
    let mut watched = Watched::new(config());
    watched.headers(PLAIN);
    watched.play(Stream { seconds: 5, ..PLAIN });
    assert!(watched.muxer.restart(), "what waited is a part now");
    watched.look();
    assert!(!watched.muxer.restart());
    watched.wall = WALL + 12_000;
    watched.headers(PLAIN);
    watched.play(Stream { start: 3_000_000, seconds: 5, ..PLAIN });
    let last = watched.last();
    let numbers: Vec<usize> =
        (0..last.segments.len()).filter(|n| last.segments[*n].is_discontinuity).collect();
    assert_eq!(numbers, [3]);
    assert_eq!((&*last.segments[2].map, &*last.segments[3].map), ("init-ab-0.mp4", "init-ab-1.mp4"));
    assert_eq!((last.segments[2].duration, &*last.segments[3].date), (1000, "2024-05-01T12:00:12.000Z"));
    assert_eq!(frames(&watched.film("init-ab-1.mp4"))[0].3, frame(&video(0, true, 80, 0)).3);
    let mpd = watched.text("index.mpd", "").unwrap();
    assert!(mpd.contains("<Period id=\"1\" start=\"PT12.000S\">"), "{mpd}");
    assert!(mpd.contains("availabilityStartTime=\"2024-05-01T12:00:00.000Z\""), "{mpd}");
    assert!(mpd.contains("startNumber=\"43\" initialization=\"init-ab-1.mp4\""), "{mpd}");
    // The discontinuity leaves the playlist in the end.
    watched.play(Stream { start: 3_005_000, seconds: 30, ..PLAIN });
    assert_eq!(watched.last().discontinuities, 1);
}

#[test]
fn a_jump_of_time_or_another_configuration_is_a_discontinuity_and_nothing_is_lost() {
    let other = tag(
        TagKind::Video,
        0,
        &[&[0x17, 0, 0, 0, 0][..], &h264::build_record(SPS, &[PPS, PPS]).unwrap()].concat(),
    );
    for (header, start) in [(None, 500_000), (None, u32::MAX - 50_000), (Some(other), 6000)] {
        let mut watched = Watched::new(config());
        watched.headers(PLAIN);
        watched.play(Stream { seconds: 6, ..PLAIN });
        if let Some(header) = &header {
            watched.push(header);
        }
        watched.play(Stream { start, seconds: 6, ..PLAIN });
        watched.muxer.end();
        watched.look();
        let breaks = watched.last().segments.iter().filter(|listed| listed.is_discontinuity).count();
        assert_eq!(breaks, 1, "{start}");
        let count = |map| frames(&watched.film(map)).iter().filter(|frame| frame.0 == TagKind::Video).count();
        assert_eq!((count("init-ab-0.mp4"), count("init-ab-1.mp4")), (150, 150));
    }
}

#[test]
fn sound_that_comes_later_or_ends_changes_the_tracks_at_a_keyframe() {
    let silent = Stream { has_audio: false, seconds: 6, ..PLAIN };
    let mut watched = Watched::new(Config { segments: 30, ..config() });
    watched.headers(silent);
    watched.play(silent);
    watched.push(&audio_header());
    watched.play(Stream { start: 6000, seconds: 6, ..PLAIN });
    watched.play(Stream { start: 12_000, seconds: 12, ..silent });
    let maps: Vec<&str> = watched.last().segments.iter().map(|listed| &*listed.map).collect();
    let count = |map: &str| maps.iter().filter(|own| **own == map).count();
    // It comes right behind a keyframe; when it ends, it takes 3 s until that counts as an end.
    assert_eq!((count("init-ab-0.mp4"), count("init-ab-1.mp4")), (4, 4), "{maps:?}");
    assert!(count("init-ab-2.mp4") > 2 && maps.is_sorted());
    assert!(watched.last().is_independent);
}

#[test]
fn pictures_that_stay_away_leave_the_sound_going() {
    let mut watched = Watched::new(Config { segments: 60, ..config() });
    watched.percent = 0;
    watched.headers(PLAIN);
    watched.play(Stream { seconds: 4, ..PLAIN });
    watched.play(Stream { start: 4000, seconds: 6, frame: 0, ..PLAIN });
    let parts = watched.last().growing.parts.len();
    assert!(parts > 8, "{parts} parts while there is sound alone");
    watched.play(Stream { start: 10_000, seconds: 4, ..PLAIN });
    watched.play(Stream { start: 14_000, seconds: 25, frame: 0, ..PLAIN });
    assert_eq!(watched.last().segments.last().unwrap().map, "init-ab-1.mp4", "pictures are lost in the end");
    let mime = |file: &str| match watched.muxer.get(file, "", WallTime(0)) {
        Answer::Ready(resource) => resource.mime,
        other => panic!("{other:?}"),
    };
    assert_eq!((mime("init-ab-0.mp4"), mime("init-ab-1.mp4")), ("video/mp4", "audio/mp4"));
}

#[test]
fn empty_frames_hide_no_jump_of_time() {
    let mut watched = Watched::new(config());
    let silent = Stream { has_audio: false, seconds: 5, ..PLAIN };
    watched.headers(silent);
    watched.play(silent);
    for at in (10..60).step_by(5) {
        watched.push(&tag(TagKind::Video, at * 1000, &[0x27, 1, 0, 0, 0]));
    }
    watched.play(Stream { start: 60_000, ..silent });
    watched.muxer.end();
    watched.look();
    assert!(watched.last().segments.iter().all(|listed| listed.duration <= 2000));
    assert_eq!(watched.last().segments.iter().filter(|listed| listed.is_discontinuity).count(), 1);
}

#[test]
fn what_hls_cannot_carry_is_left_out_with_a_reason() {
    let mut watched = Watched::new(config());
    let speex = |at| tag(TagKind::Audio, at, &[0xb6, 1, 2]);
    let vp6 = |at| tag(TagKind::Video, at, &[0x14, 1, 2]);
    assert!(watched.muxer.push(&speex(0), WallTime(0)));
    assert!(!watched.muxer.push(&speex(20), WallTime(0)));
    watched.muxer.push(&vp6(0), WallTime(0));
    let why = "HLS cannot carry audio in speex; HLS cannot carry video in vp6";
    for file in ["index.m3u8", "stream.m3u8", "index.mpd"] {
        assert_eq!(watched.muxer.get(file, "", WallTime(0)), Answer::Unplayable(why.into()));
    }
    // What can be carried is.
    let silent = Stream { has_audio: false, ..PLAIN };
    watched.headers(silent);
    watched.play(silent);
    assert_eq!(watched.last().segments.len(), 6);
    assert_eq!(watched.muxer.left_out().len(), 2);
}

#[test]
fn every_codec_that_is_carried_has_its_sample_entry_and_its_name() {
    let avc = [&[0x17, 0, 0, 0, 0][..], &h264::build_record(SPS, &[PPS]).unwrap()].concat();
    // The general part of a record of profile Main, level 2.1, without parameter sets.
    let hvcc = b"\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x3f\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\0";
    // libaom, 64x64.
    let av1c = b"\x81\0\x0c\0\x0a\x0a\0\0\0\x02\xaf\xff\x9b\x5f\x20\x08";
    let opus_head = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
    let aac = [0xaf, 0, 0x12, 0x10];
    let mp3 = [&[0x2f, 0xff, 0xfb, 0x90, 0x44][..], &[0; 413]].concat();
    let enhanced = |head: &[u8], rest: &[u8]| [head, rest].concat();
    let (video, audio) = (TagKind::Video, TagKind::Audio);
    for (kind, header, key, inter, entry, codecs) in [
        (
            video,
            avc,
            enhanced(b"\x17\x01\0\0\0", b"I"),
            enhanced(b"\x27\x01\0\0\0", b"P"),
            &b"avc1"[..],
            "avc1.64000D",
        ),
        (
            video,
            enhanced(b"\x90hvc1", hvcc),
            enhanced(b"\x93hvc1", b"I"),
            enhanced(b"\xa3hvc1", b"P"),
            b"hvc1",
            "hvc1.1.6.L63.90",
        ),
        (
            video,
            enhanced(b"\x90av01", av1c),
            enhanced(b"\x91av01", b"I"),
            enhanced(b"\xa1av01", b"P"),
            b"av01",
            "av01.0.00M.08",
        ),
        (audio, aac.to_vec(), b"\xaf\x01a".to_vec(), b"\xaf\x01a".to_vec(), b"mp4a", "mp4a.40.2"),
        (
            audio,
            enhanced(b"\x90Opus", opus_head),
            b"\x91Opus\xfc".to_vec(),
            b"\x91Opus\xfc".to_vec(),
            b"Opus",
            "opus",
        ),
        (audio, Vec::new(), mp3.clone(), mp3.clone(), b"mp4a", "mp4a.40.34"),
    ] {
        let mut watched = Watched::new(config());
        if !header.is_empty() {
            watched.push(&tag(kind, 0, &header));
        }
        for number in 0..250 {
            let body = if number % 50 == 0 { &key } else { &inter };
            watched
                .muxer
                .push(&tag(kind, number * 20, body), WallTime(watched.wall + u64::from(number) * 20));
        }
        let index = watched.text("index.m3u8", "").expect(codecs);
        assert!(index.contains(&format!("CODECS=\"{codecs}\"")), "{codecs} in {index}");
        let init = watched.file("init-ab-0.mp4");
        // The table of sample descriptions: version, one entry, its length and type.
        let stsd = init.windows(4).position(|bytes| bytes == b"stsd").expect("a table");
        assert_eq!(&init[stsd + 16..stsd + 20], entry, "{codecs}");
        assert!(init[stsd + 8..].starts_with(&[0, 0, 0, 1]), "{codecs}");
    }
}

#[test]
fn without_low_latency_there_are_segments_alone() {
    let mut watched = Watched::new(Config { part: None, ..config() });
    watched.headers(PLAIN);
    watched.play(PLAIN);
    let last = watched.last();
    assert_eq!((last.version, last.part_target, &last.hint), (6, None, &None));
    assert!(last.segments.iter().all(|listed| listed.parts.is_empty()) && last.segments.len() == 6);
    let edge = last.first + 6;
    assert_eq!(answer(&watched, &format!("_HLS_msn={edge}")), "wait");
}

#[test]
fn bytes_are_bounded_and_shared() {
    let mut watched = Watched::new(Config { max_bytes: 200_000, ..config() });
    let stream = Stream { seconds: 1, ..PLAIN };
    watched.headers(stream);
    let mut peak = 0;
    for number in 0..2000 {
        let mut frame = video(number * 40, number % 50 == 0, 0, number);
        let filler = alloc::vec![0; 3000];
        frame.body = [&frame.body[..], &filler].concat().into();
        watched.muxer.push(&frame, WallTime(0));
        peak = peak.max(watched.muxer.held().1);
    }
    assert!((150_000..=250_000).contains(&peak), "{peak}");
    let Some(Answer::Ready(first)) = watched.text("stream.m3u8", "").map(|text| {
        let name = Media::parse(&text).segments.last().unwrap().name.clone();
        watched.muxer.get(&name, "", WallTime(0))
    }) else {
        panic!("a segment")
    };
    let name = Media::parse(&watched.text("stream.m3u8", "").unwrap()).segments.last().unwrap().name.clone();
    let Answer::Ready(again) = watched.muxer.get(&name, "", WallTime(0)) else { panic!("a segment") };
    assert!(first.pieces.iter().zip(&again.pieces).all(|(a, b)| a.as_ptr() == b.as_ptr()));
    assert_eq!(first.cache.header(), "public, max-age=31536000, immutable");
}

#[test]
fn initialization_segments_count_among_the_bytes() {
    let max_bytes = 1_000_000;
    let mut watched = Watched::new(Config { max_bytes, ..config() });
    watched.headers(PLAIN);
    // After a long segment what has left the playlist stays for long.
    watched.muxer.push(&video(0, true, 0, 0), WallTime(0));
    for second in 0..40 {
        watched.muxer.push(&video(second * 1000 + 500, false, 0, second), WallTime(0));
        watched.muxer.push(&audio(second * 1000, second), WallTime(0));
    }
    for number in 0..300u32 {
        let sets = [PPS, &[&[0x68][..], &number.to_be_bytes(), &alloc::vec![1; 16_000]].concat()];
        let record = h264::build_record(SPS, &sets).unwrap();
        let at = 41_000 + number;
        watched
            .muxer
            .push(&tag(TagKind::Video, at, &[&[0x17, 0, 0, 0, 0][..], &record].concat()), WallTime(0));
        watched.muxer.push(&video(at, true, 0, number), WallTime(0));
        watched.muxer.push(&audio(at, number), WallTime(0));
    }
    let is_there = |number: &u32| {
        matches!(watched.muxer.get(&format!("init-ab-{number}.mp4"), "", WallTime(0)), Answer::Ready(_))
    };
    let kept = (0..400).filter(is_there).count();
    assert!((10..=max_bytes / 16_000).contains(&kept), "{kept}");
}
