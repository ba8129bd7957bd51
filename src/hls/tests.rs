//! Streams made by hand, muxed, and looked at as a player does: playlists by their rules (`check`), files by the reader of MP4.

use super::{
    check::{Frames, Media},
    *,
};
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
    Tag { kind, timestamp: Timestamp(at), body: body.into() }
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
        if self.frame > 0 {
            for number in 0..length / self.frame {
                let (at, offset) = (number * self.frame, [80, 0, 40][number as usize % 3]);
                let tag = video(self.start.wrapping_add(at), number % self.gop == 0, offset, number);
                frames.push((i64::from(at), tag));
            }
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
    frames: Frames,
    wall: u64,
    seen: Vec<Media>,
}

impl Watched {
    fn new(config: Config) -> Watched {
        Watched { muxer: Muxer::new(config), config, frames: Frames::Regular, wall: WALL, seen: Vec::new() }
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
        media.check(&self.config, self.frames);
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
