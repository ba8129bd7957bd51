//! The layers below the session, each alone.

use crate::material::{Recorded, SORTS, STREAM, Sort, chunked, drain, gop, set_chunk_size, write};
use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use weir::{
    amf::{Budget, amf0},
    base::{MonoTime, Output},
    flv::Tag,
    rtmp::{
        Limits,
        chunk::{DEFAULT_CHUNK_SIZE, EncodedTags, Reader, Writer},
        handshake::Handshake,
    },
};

/// Ours, nginx-rtmp's, the protocol's default.
const CHUNK_SIZES: [u32; 3] = [65_536, 4096, DEFAULT_CHUNK_SIZE];

#[divan::bench(args = SORTS)]
fn chunk_read(bencher: Bencher<'_, '_>, sort: Sort) {
    read_all(bencher, &[sort.tag()], 65_536);
}

#[divan::bench(args = CHUNK_SIZES)]
fn chunk_read_gop(bencher: Bencher<'_, '_>, chunk_size: u32) {
    read_all(bencher, &gop(), chunk_size);
}

fn read_all(bencher: Bencher<'_, '_>, tags: &[Tag], chunk_size: u32) {
    let media = chunked(tags, chunk_size);
    let mut reader = Reader::new(&Limits::default(), 0);
    reader.read(&set_chunk_size(chunk_size)).expect("Set Chunk Size");
    bencher.counter(ItemsCount::new(tags.len())).counter(BytesCount::new(media.len())).bench_local(|| {
        let mut input = black_box(&*media);
        while !input.is_empty() {
            let (taken, message) = reader.read(input).expect("our own chunks");
            black_box(message);
            input = &input[taken..];
        }
    });
}

#[divan::bench(args = SORTS)]
fn chunk_write(bencher: Bencher<'_, '_>, sort: Sort) {
    let tag = sort.tag();
    let (mut writer, mut out) = (Writer::new(), Output::new());
    writer.set_chunk_size(65_536);
    bencher.counter(BytesCount::new(tag.body.len())).bench_local(|| {
        write(&mut writer, &mut out, black_box(&tag));
        drain(&mut out, |slice| {
            black_box(slice);
        });
    });
}

#[divan::bench(args = SORTS)]
fn encoded_tag(bencher: Bencher<'_, '_>, sort: Sort) {
    let tag = sort.tag();
    bencher
        .counter(BytesCount::new(tag.body.len()))
        .bench_local(|| EncodedTags::new(vec![black_box(&tag).clone()], STREAM, 65_536));
}

#[divan::bench(args = SORTS)]
fn classify(bencher: Bencher<'_, '_>, sort: Sort) {
    let tag = sort.tag();
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| black_box(black_box(&tag).classify()).is_keyframe());
}

#[divan::bench(args = ["connect", "onMetaData"])]
fn amf_decode(bencher: Bencher<'_, '_>, what: &str) {
    let bytes = amf(what);
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| amf0::decode_all(black_box(&bytes), Budget::default()));
}

#[divan::bench(args = ["connect", "onMetaData"])]
fn amf_encode(bencher: Bencher<'_, '_>, what: &str) {
    let bytes = amf(what);
    let (values, failure) = amf0::decode_all(&bytes, Budget::default());
    assert_eq!(failure, None);
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        let mut out = Vec::with_capacity(bytes.len());
        black_box(&values).iter().for_each(|value| amf0::encode(value, &mut out));
        out
    });
}

fn amf(what: &str) -> Vec<u8> {
    let recorded = Recorded::load("obs-30.2.3-publish-nginx");
    if what == "connect" { recorded.connect } else { recorded.metadata }
}

/// The server's part. GStreamer begins the simple one, ffmpeg the one with digests.
#[divan::bench(args = ["simple", "digest"])]
fn handshake(bencher: Bencher<'_, '_>, form: &str) {
    let name = match form {
        "digest" => "ffmpeg-5.1.9-publish-nginx",
        _ => "gstreamer-1.22.0-rtmp2sink-publish-nginx",
    };
    let client = Recorded::load(name).handshake;
    bencher.bench_local(|| {
        let (mut handshake, mut out) = (Handshake::server(1), Output::new());
        let (_, done) = handshake.handle(MonoTime(0), black_box(&client), &mut out).expect("a real client");
        assert_eq!(done.map(|done| done.digest), Some(form == "digest"));
        out
    });
}
