//! Enhanced RTMP, which not every installed program can write: tags made here, sent with `push`, received with
//! `pull`, compared tag for tag.

use crate::{
    Report,
    material::{read_flv, write_flv},
    programs::Server,
};
use std::{path::Path, thread, time::Duration};
use weir::{
    base::Timestamp,
    flv::{Tag, TagKind, TagRole},
    media::metadata,
};

#[test]
fn enhanced_codecs_and_tracks_pass_tag_for_tag() {
    let mut server = Server::start("enhanced", &[]);
    let codecs = [*b"hvc1", *b"av01", *b"vp09"];
    let (push, pull) = (env!("CARGO_BIN_EXE_push"), env!("CARGO_BIN_EXE_pull"));
    let name = |codec: [u8; 4]| String::from_utf8_lossy(&codec).into_owned();
    let players = codecs.map(|codec| {
        let key = name(codec);
        server.run(&format!("pull {key}"), pull, [server.url(&key), format!("{key}.pulled.flv")])
    });
    server.wait_for_connections(codecs.len());
    let publishers = codecs.map(|codec| {
        let key = name(codec);
        write_flv(&server.dir.join(format!("{key}.flv")), &tags(codec));
        server.run(&format!("push {key}"), push, [format!("{key}.flv"), server.url(&key)])
    });
    thread::sleep(Duration::from_millis(1200));
    let late = codecs.map(|codec| {
        let key = name(codec);
        server.run(&format!("late pull {key}"), pull, [server.url(&key), format!("{key}.late.flv")])
    });
    for process in publishers.into_iter().chain(players).chain(late) {
        process.succeed();
    }
    let mut report = Report::new("enhanced: push x pull");
    for codec in codecs {
        let (key, sent) = (name(codec), tags(codec));
        let read = |what: &str| read(&server.dir.join(format!("{key}.{what}.flv")));
        let (got, late) = (read("pulled"), read("late"));
        let whole = if got == sent {
            Ok(format!("{} tags, identical", got.len()))
        } else {
            Err(difference(&sent, &got))
        };
        report.line(&format!("{key}, Opus, 2 tracks"), whole);
        let tail = is_tail(&sent, &late)
            .map(|()| format!("{} tags: headers, then from a keyframe to the end", late.len()));
        report.line(&format!("{key}, joined late"), tail);
    }
    report.end();
}

/// 2.4 s of video with FourCC `codec`, every 12th of 60 frames a keyframe, and of Opus; a second video track in
/// multitrack tags.
fn tags(codec: [u8; 4]) -> Vec<Tag> {
    let tag = |kind, timestamp, head: &[u8], body: &[u8]| {
        Tag::new(kind, Timestamp(timestamp), [head, body].concat().into())
    };
    let metadata = b"\x02\0\x0aonMetaData\x08\0\0\0\x01\0\x09framerate\0\x40\x39\0\0\0\0\0\0\0\0\x09";
    let video = |packet: u8| [&[packet], codec.as_slice()].concat();
    // Multitrack, one track with id 1: packet type inside, FourCC, track id.
    let second = |packet: u8, frame: u8| [&[0x86 | frame << 4, packet], codec.as_slice(), &[1]].concat();
    let mut tags = vec![
        tag(TagKind::Data, 0, metadata, &[]),
        tag(TagKind::Video, 0, &video(0x90), &[1, 2, 3, 4]),
        tag(TagKind::Video, 0, &second(0, 1), &[5, 6, 7, 8]),
        tag(TagKind::Audio, 0, b"\x90Opus", b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0"),
    ];
    for index in 0..60 {
        let (time, fill) = (index * 40, vec![index as u8; 3000]);
        let frame = if index % 12 == 0 { 1 } else { 2 };
        // Coded frames, which for HEVC begin with a composition time.
        tags.push(tag(
            TagKind::Video,
            time,
            &video(0x81 | frame << 4),
            &[&[0, 0, 40], fill.as_slice()].concat(),
        ));
        tags.push(tag(TagKind::Video, time, &second(1, frame), &[&[0, 0, 40], &fill[..500]].concat()));
        tags.extend([0, 20].map(|late| tag(TagKind::Audio, time + late, b"\x91Opus", &fill[..90])));
    }
    tags
}

/// The tags of a file; its metadata without what `pull` adds about the file itself.
fn read(path: &Path) -> Vec<Tag> {
    read_flv(path).iter().map(metadata::live).collect()
}

/// Where two lists of tags differ first.
fn difference(sent: &[Tag], got: &[Tag]) -> String {
    match sent.iter().zip(got).position(|(sent, got)| sent != got) {
        Some(index) => format!("tag {index}: expected {:?}, got {:?}", sent[index], got[index]),
        None => format!("{} tags instead of {}", got.len(), sent.len()),
    }
}

/// Joined late: metadata and all sequence headers, then from a later keyframe on everything.
fn is_tail(sent: &[Tag], got: &[Tag]) -> Result<(), String> {
    let is_header =
        |tag: &&Tag| tag.kind == TagKind::Data || matches!(tag.classify().role, TagRole::SequenceHeader);
    let headers =
        |tags: &[Tag]| tags.iter().filter(is_header).map(|tag| tag.body.clone()).collect::<Vec<_>>();
    let (sent_headers, got_headers) = (headers(sent), headers(got));
    if sent_headers != got_headers {
        return Err(format!("other headers: {got_headers:?} instead of {sent_headers:?}"));
    }
    let media = &got[got_headers.len()..];
    if !sent.ends_with(media)
        || media.len() + got_headers.len() >= sent.len()
        || !media.first().is_some_and(|tag| tag.classify().is_keyframe())
    {
        return Err(format!("{} tags, which are not a tail from a later keyframe", media.len()));
    }
    Ok(())
}
