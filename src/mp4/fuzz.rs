//! Fuzz target: any bytes as a file, whole and in pieces.
//!
//! Holds: what was read is read again after going back; a seek goes to a keyframe, and what follows is the tail of the
//! whole; no track's time goes back; no tag is longer than the file and its head.

use crate::{
    base::Timestamp,
    flv::{Codec, Tag, TagKind},
    media::{MediaReader, Mp4Reader, Mp4Stream},
};
use alloc::vec::Vec;

/// Reads the bytes as a file, and as one that is being received.
pub fn fuzz(input: &[u8]) {
    receive(input);
    let Ok(mut reader) = Mp4Reader::open(input) else { return };
    let (all, is_whole) = read(&mut reader, input.len());
    let codec = reader.info().video.map(|video| video.codec);
    let duration = reader.info().duration;
    for target in [0, duration / 3, duration / 2, duration, u32::MAX] {
        let Ok(found) = reader.seek(Timestamp(target)) else { continue };
        let first = reader.headers().first().map(|header| header.timestamp);
        let (tail, is_tail_whole) = read(&mut reader, input.len());
        // A file may say something else about each seek's way; what it lists in order is one list.
        let is_listed_once = is_whole && is_tail_whole && codec != Some(Codec::Hevc);
        // Composition offsets can make a later keyframe one that is shown at 0.
        let kind = if codec.is_some() { TagKind::Video } else { TagKind::Audio };
        let start = all.iter().find(|tag| tag.kind == kind).map(|tag| tag.timestamp);
        if is_listed_once && start == Some(found) {
            assert_eq!(bodies(&tail), bodies(&all), "after going back");
        }
        if let (Some(first), true) = (first, is_listed_once && !tail.is_empty()) {
            assert!(
                !first.is_after(tail[0].timestamp),
                "{found}: headers at {first}, {} next",
                tail[0].timestamp
            );
        }
    }
}

fn receive(input: &[u8]) {
    let mut stream = Mp4Stream::new();
    let mut left = MOST;
    for piece in input.chunks(1 + input.len() / PIECES) {
        if stream.push(piece).is_err() {
            return;
        }
        while let Ok(Some(tag)) = stream.next() {
            assert!(tag.body.len() <= 4 * input.len() + MAX_METADATA);
            left -= 1;
            if left == 0 {
                return;
            }
        }
    }
    if stream.finish().is_ok() {
        (0..left).find(|_| !matches!(stream.next(), Ok(Some(_))));
    }
}

/// All tags up to [`MOST`]; whether that was all, without an error.
fn read(reader: &mut Mp4Reader<&[u8]>, len: usize) -> (Vec<Tag>, bool) {
    let mut tags: Vec<Tag> = Vec::new();
    let (mut last, mut errors) = ([0; 2], 0);
    while tags.len() < MOST && errors < MOST_ERRORS {
        match reader.next() {
            Ok(Some(tag)) => {
                // Lengths of NAL units may grow from one byte to four.
                assert!(tag.body.len() <= 4 * len + 16);
                let track = usize::from(tag.kind == TagKind::Audio);
                assert!(tag.timestamp.0 >= last[track], "time goes back");
                last[track] = tag.timestamp.0;
                tags.push(tag);
            }
            Ok(None) => return (tags, errors == 0),
            Err(_) => errors += 1,
        }
    }
    assert!(errors < MOST_ERRORS, "errors without end");
    (tags, false)
}

fn bodies(tags: &[Tag]) -> Vec<&[u8]> {
    tags.iter().map(|tag| &*tag.body).collect()
}

/// In which a file is received.
const PIECES: usize = 7;

/// Bytes of what is said about any file so small.
const MAX_METADATA: usize = 1024;

/// Tags that are looked at.
const MOST: usize = 300;

/// The last one of each track. No frame of a file so small is too large.
const MOST_ERRORS: usize = 4;
