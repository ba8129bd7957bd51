//! Fuzz target: any tags, and what is asked in between.
//!
//! Holds: every playlist keeps the rules and follows from the one before; delta updates merge to the whole; what is listed can be had, in the
//! length that it has; what is held stays under its bound; a request that waits is answered in the end.

use super::{Answer, Config, Muxer, Resource, WallTime, check::Media, epoch::MAX_SEGMENT, gather};
use crate::{
    base::Timestamp,
    flv::{Tag, TagKind},
};
use alloc::{format, string::String, vec, vec::Vec};

/// Small, so that short inputs reach it.
const MAX_BYTES: usize = 16 << 10;

/// Two bytes of settings, then four for each tag: what it is, by how much its time goes on (the second says in which unit), its length.
pub fn fuzz(input: &[u8]) {
    let &[settings, segments, ref tags @ ..] = input else { return };
    let config = Config {
        first_sequence: 7,
        segment: 200 + 10 * u32::from(settings >> 1),
        part: (settings & 1 == 0).then_some(100),
        segments: usize::from(segments % 20),
        max_bytes: MAX_BYTES,
        ..Config::new(0xf)
    };
    let mut muxer = Muxer::new(config);
    let mut last: Option<Media> = None;
    let mut times = [0_u32; 2];
    let mut wall = WallTime(1_700_000_000_000);
    for tag in tags.chunks_exact(4).take(MOST) {
        wall.0 += u64::from(tag[1] & 0x3f);
        let before = muxer.get("stream.m3u8", "", wall);
        let is_news = match self::tag(tag, &mut times) {
            _ if tag[0] == 0xff => muxer.restart(),
            Some(tag) => muxer.push(&tag, wall),
            None => false,
        };
        if is_news {
            look(&muxer, &config, &mut last, wall);
        } else if matches!(before, Answer::Ready(_)) {
            assert!(muxer.get("stream.m3u8", "", wall) == before, "nobody was told");
        }
    }
    let promised = last.as_ref().and_then(|last| last.hint.clone());
    let has_begun = last.is_some();
    muxer.end();
    look(&muxer, &config, &mut last, wall);
    if let Some(name) = promised.filter(|_| has_begun) {
        assert!(!matches!(muxer.get(&name, "", wall), Answer::Wait { .. }), "{name} waits for ever");
    }
    let (_, bytes) = muxer.held();
    assert!(bytes <= MAX_BYTES + 2 * MAX_FRAME + HEADS, "{bytes} bytes are held");
}

/// One tag; times of both kinds go on by themselves, and sometimes jump.
fn tag(bytes: &[u8], times: &mut [u32; 2]) -> Option<Tag> {
    let kind = if bytes[0] & 1 == 0 { TagKind::Video } else { TagKind::Audio };
    let time = &mut times[usize::from(kind == TagKind::Audio)];
    let step = u32::from(bytes[1]);
    *time = match bytes[2] >> 5 {
        0 => time.wrapping_sub(step),
        1 => time.wrapping_add(step * 100),
        2 => time.wrapping_add(step << 24),
        _ => time.wrapping_add(step),
    };
    let data = vec![bytes[3]; MAX_FRAME / 32 * usize::from(bytes[2] & 0x1f)];
    let head: &[u8] = match bytes[0] >> 1 & 15 {
        0 => &[0x17, 0, 0, 0, 0],
        1..=3 => &[0x17, 1, 0, 0, 0],
        4..=6 => &[0x27, 1, 0, 0, 40],
        7 => b"\x90hvc1",
        8 => b"\x91hvc1\0\0\0",
        9 => &[0x24],
        10 => &[0x27, 1, 0xff, 0xff, 0xd8],
        _ => &[0x27, 1, 0, 0, 0],
    };
    let mut body = head.to_vec();
    match (kind, bytes[0] >> 1 & 15) {
        (TagKind::Video, 0) => body.extend([1, 0x64, 0, bytes[3], 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68]),
        (TagKind::Video, 7) => body.extend([&[1][..], &[bytes[3]; 25]].concat()),
        (TagKind::Video, _) => body.extend(data),
        (_, 0) => body = vec![0xaf, 0, 0x12, bytes[3] & 0x10 | 8],
        (_, 1) => body = [&[0x2f, 0xff, 0xfb, 0x90, 0x44][..], &data].concat(),
        (_, 2) => body = [&[0xb6][..], &data].concat(),
        (_, 3) => body = [&b"\x90OpusOpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0"[..]].concat(),
        (_, 4) => body = [&b"\x91Opus"[..], &data].concat(),
        (_, 5) => return None,
        _ => body = [&[0xaf, 1][..], &data].concat(),
    }
    Some(Tag::new(kind, Timestamp(*time), body.into()))
}

fn text(resource: &Resource) -> String {
    let bytes: Vec<u8> = resource.pieces.iter().flat_map(|piece| piece.to_vec()).collect();
    String::from_utf8(bytes).expect("playlists are text")
}

/// Asks as a player would.
fn look(muxer: &Muxer, config: &Config, last: &mut Option<Media>, wall: WallTime) {
    let (_, bytes) = muxer.held();
    let waiting = gather::MAX_BYTES.max(MAX_BYTES / 8) + MAX_FRAME;
    assert!(bytes <= MAX_BYTES + 2 * MAX_FRAME + HEADS + waiting, "{bytes} bytes are held");
    let Answer::Ready(full) = muxer.get("stream.m3u8", "", wall) else {
        assert!(last.is_none(), "the playlist has gone");
        return;
    };
    let media = Media::parse(&text(&full));
    if last.as_ref() == Some(&media) {
        return;
    }
    media.check(config, 0);
    for listed in &media.segments {
        assert!(listed.duration <= MAX_SEGMENT + 20_000, "{listed:?}");
        ready(muxer, &listed.name, wall);
        ready(muxer, &listed.map, wall);
    }
    let parts = media.segments.iter().chain([&media.growing]).flat_map(|listed| &listed.parts);
    parts.for_each(|part| ready(muxer, &part.name, wall));
    if let Some(hint) = &media.hint {
        assert!(matches!(muxer.get(hint, "", wall), Answer::Wait { .. }), "{hint}");
    }
    if let Some(last) = last {
        last.check_update(&media);
        if let Answer::Ready(delta) = muxer.get("stream.m3u8", "_HLS_skip=YES", wall) {
            let delta = Media::parse(&text(&delta));
            let knows = delta.first + delta.skipped <= last.first + last.segments.len() as u64;
            if delta.skipped > 0 && knows && delta.first >= last.first {
                assert_eq!(last.merged(&delta), media);
            }
        }
    }
    let next = media.first + media.segments.len() as u64;
    for (query, is_too_far) in [
        (format!("_HLS_msn={next}"), false),
        (format!("_HLS_msn={}", next + 2), true),
        ("_HLS_part=0".into(), true),
    ] {
        let is_bad = matches!(muxer.get("stream.m3u8", &query, wall), Answer::BadRequest(_));
        assert_eq!(is_bad, is_too_far && (!media.is_ended || query.contains("part")), "{query}");
    }
    ready(muxer, "index.m3u8", wall);
    ready(muxer, "index.mpd", wall);
    *last = Some(media);
}

fn ready(muxer: &Muxer, file: &str, wall: WallTime) {
    match muxer.get(file, "", wall) {
        Answer::Ready(resource) => assert!(!resource.is_empty(), "{file} is empty"),
        other => panic!("{file}: {other:?}"),
    }
}

/// Tags that are looked at.
const MOST: usize = 300;
/// Bytes of the heads of fragments, which have 16 for each of the frames.
const HEADS: usize = 16 * MOST;
/// Bytes of the longest frame.
const MAX_FRAME: usize = 3200;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_tags_make_playlists_that_keep_the_rules(input in proptest::collection::vec(any::<u8>(), 0..1600)) {
            fuzz(&input);
        }
    }
}
