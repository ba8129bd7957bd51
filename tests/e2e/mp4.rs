//! MP4 files that ffmpeg and GStreamer write, read as tags: every packet against ffprobe's list of the same file.

use crate::{
    Report,
    kinds::{self, Kind},
    listing::{Packet, check_headers, probe, read_all, same},
};
use std::fs;
use weir::{
    base::Timestamp,
    flv::{Codec, TagKind},
    media::{MediaReader, mp4::Mp4Reader},
};

#[test]
fn files_read_as_tags_are_what_ffprobe_lists() {
    let mut report = Report::new("MP4 files against ffprobe");
    for kind in kinds::all().iter().filter(|kind| kind.is_mp4()) {
        report.line(kind.name, compare(kind));
    }
    report.end();
}

/// All packets of a file, and those from each of some places on, against ffprobe.
fn compare(kind: &Kind) -> Result<String, String> {
    let probed = probe(&kind.listed, kind.probing);
    let bytes = fs::read(&kind.file).map_err(|error| error.to_string())?;
    let mut reader = Mp4Reader::open(&*bytes).map_err(|error| error.to_string())?;
    let headers = reader.headers();
    check_headers(&headers, &probed)?;
    let read = read_all(&mut reader)?;
    same(&probed.packets, &read)?;
    let info = reader.info().clone();
    if !read.iter().any(|packet| packet.kind == TagKind::Video) {
        return Ok(format!("{} packets, {} ms, identical", read.len(), info.duration));
    }
    let keys: Vec<_> = read.iter().filter(|packet| packet.kind == TagKind::Video && packet.is_key).collect();
    let listed: Vec<_> = info.keyframes.iter().map(|key| i64::from(key.timestamp.0)).collect();
    // One for each fragment, the first in it.
    if listed.is_empty() || !listed.iter().all(|time| keys.iter().any(|key| key.dts == *time)) {
        return Err(format!("keyframes are listed at {listed:?}"));
    }
    let mut left_out = 0;
    for key in &keys {
        for target in [key.pts, key.pts + 39] {
            let found = reader.seek(Timestamp(target as u32)).map_err(|error| error.to_string())?;
            if i64::from(found.0) != key.dts {
                return Err(format!("a seek to {target} goes to {found}, not to {}", key.dts));
            }
            let rest = read_all(&mut reader)?;
            let expected: Vec<_> = expected_from(&read, key);
            same(&expected, &rest).map_err(|error| format!("from {target} on: {error}"))?;
            let start = read.iter().position(|packet| packet == *key).expect("a packet of these");
            left_out += read[start..]
                .iter()
                .filter(|packet| packet.pts < key.pts && packet.kind == TagKind::Video)
                .count();
        }
    }
    if info.video.is_some_and(|video| video.codec == Codec::Hevc) && left_out == 0 {
        return Err("no keyframe has pictures before it that are to be left out".into());
    }
    Ok(format!("{} packets, {} ms, {} keyframes, identical", read.len(), info.duration, keys.len()))
}

/// What is to follow a seek to `key`: everything from its time on, but no pictures that it lets refer to those before.
fn expected_from(read: &[Packet], key: &Packet) -> Vec<Packet> {
    let start = read.iter().position(|packet| packet == key).expect("a packet of these");
    let is_first = !read[..start].iter().any(|packet| packet.kind == TagKind::Video);
    if is_first {
        return read.to_vec();
    }
    let of_video = |packet: &&Packet| packet.kind == TagKind::Video && packet.pts >= key.pts;
    let next_key = read[start + 1..].iter().find(|packet| packet.kind == TagKind::Video && packet.is_key);
    let next_key = next_key.map_or(i64::MAX, |packet| packet.dts);
    read.iter()
        .enumerate()
        .filter(|(index, packet)| match packet.kind {
            TagKind::Video => *index >= start && (packet.dts > next_key || of_video(packet)),
            _ => packet.dts >= key.dts,
        })
        .map(|(_, packet)| packet.clone())
        .collect()
}
