//! Classification, by tables of bodies.

use super::{Codec, Tag, TagClass, TagKind, TagRole, Track};
use crate::base::{Payload, Timestamp};
use alloc::{string::String, string::ToString, vec, vec::Vec};

/// "91 'hvc1' 000028" -> bytes: hex, and text between quotes.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            out.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: String = part.split_whitespace().collect();
        out.extend(
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")),
        );
    }
    out
}

/// Kind, body, role, codec (a dash for none), composition time, track ids and length of each one's data.
type Case = (TagKind, &'static str, TagRole, &'static str, i32, &'static [(u8, usize)]);

use TagKind::{Audio, Data, Video};

const CASES: &[Case] = &[
    // Classic video.
    (Video, "17 00 000000 0164001fffe1", TagRole::SequenceHeader, "h264", 0, &[(0, 6)]),
    (Video, "17 01 000050 00000002 6588", TagRole::Keyframe, "h264", 80, &[(0, 6)]),
    (Video, "27 01 ffffd8 00000002 419a", TagRole::Frame, "h264", -40, &[(0, 6)]),
    (Video, "37 01 000000 00000002 019a", TagRole::Frame, "h264", 0, &[(0, 6)]),
    (Video, "47 01 000000 00000002 019a", TagRole::Frame, "h264", 0, &[(0, 6)]),
    (Video, "17 02 000000", TagRole::EndOfSequence, "h264", 0, &[(0, 0)]),
    (Video, "57 00 000000 00", TagRole::Command, "-", 0, &[]),
    (Video, "57 01", TagRole::Command, "-", 0, &[]),
    (Video, "52 00", TagRole::Command, "-", 0, &[]),
    (Video, "12 000084", TagRole::Keyframe, "h263", 0, &[(0, 3)]),
    (Video, "22 000084", TagRole::Frame, "h263", 0, &[(0, 3)]),
    (Video, "32 000084", TagRole::Frame, "h263", 0, &[(0, 3)]),
    (Video, "13 00", TagRole::Keyframe, "screen", 0, &[(0, 1)]),
    (Video, "14 00", TagRole::Keyframe, "vp6", 0, &[(0, 1)]),
    (Video, "25 00", TagRole::Frame, "vp6a", 0, &[(0, 1)]),
    (Video, "16 00", TagRole::Keyframe, "screen2", 0, &[(0, 1)]),
    (Video, "19 00", TagRole::Keyframe, "-", 0, &[(0, 1)]),
    // De-facto numbers.
    (Video, "1c 00 000000 01", TagRole::SequenceHeader, "hevc", 0, &[(0, 1)]),
    (Video, "1c 01 000028 00000001 26", TagRole::Keyframe, "hevc", 40, &[(0, 5)]),
    (Video, "2c 01 000000 00000001 02", TagRole::Frame, "hevc", 0, &[(0, 5)]),
    (Video, "1d 00 000000 81000c00", TagRole::SequenceHeader, "av1", 0, &[(0, 4)]),
    (Video, "1d 01 000000 0a0b", TagRole::Keyframe, "av1", 0, &[(0, 2)]),
    (Video, "1f 00 000000 01", TagRole::SequenceHeader, "-", 0, &[(0, 1)]),
    // Enhanced video.
    (Video, "90 'hvc1' 01", TagRole::SequenceHeader, "hevc", 0, &[(0, 1)]),
    (Video, "91 'hvc1' 000028 00000001 26", TagRole::Keyframe, "hevc", 40, &[(0, 5)]),
    (Video, "a3 'hvc1' 00000001 02", TagRole::Frame, "hevc", 0, &[(0, 5)]),
    (Video, "a1 'avc1' fffff6 00000001 41", TagRole::Frame, "h264", -10, &[(0, 5)]),
    (Video, "91 'vvc1' 000028 00000001 26", TagRole::Keyframe, "vvc", 40, &[(0, 5)]),
    (Video, "90 'av01' 81", TagRole::SequenceHeader, "av1", 0, &[(0, 1)]),
    (Video, "95 'av01' 80", TagRole::SequenceHeader, "av1", 0, &[(0, 1)]),
    (Video, "91 'av01' 0a0b", TagRole::Keyframe, "av1", 0, &[(0, 2)]),
    (Video, "93 'av01' 0a0b", TagRole::Keyframe, "av1", 0, &[(0, 2)]),
    (Video, "91 'vp08' 0a0b0c0d", TagRole::Keyframe, "vp8", 0, &[(0, 4)]),
    (Video, "a1 'vp09' 0a0b0c0d", TagRole::Frame, "vp9", 0, &[(0, 4)]),
    (Video, "91 'abcd' 0a0b0c0d", TagRole::Keyframe, "-", 0, &[(0, 4)]),
    (Video, "92 'hvc1'", TagRole::EndOfSequence, "hevc", 0, &[(0, 0)]),
    (Video, "94 'hvc1' 020009 'colorInfo' 03000009", TagRole::VideoMetadata, "hevc", 0, &[(0, 16)]),
    (Video, "d4 'hvc1' 020009 'colorInfo' 03000009", TagRole::VideoMetadata, "hevc", 0, &[(0, 16)]),
    (Video, "d1 00", TagRole::Command, "-", 0, &[]),
    (Video, "d0 'hvc1' 00", TagRole::Command, "-", 0, &[]),
    (Video, "97 02 07a120 03 'hvc1' 00000001 26", TagRole::Keyframe, "hevc", 0, &[(0, 5)]),
    (Video, "a7 00 ff 17 02 07a120 01 'hvc1' 000001 26", TagRole::Frame, "hevc", 1, &[(0, 1)]),
    // Multitrack video.
    (Video, "96 01 'av01' 01 0a0b", TagRole::Keyframe, "av1", 0, &[(1, 2)]),
    (Video, "96 00 'avc1' 02 01", TagRole::SequenceHeader, "h264", 0, &[(2, 1)]),
    (
        Video,
        "96 11 'avc1' 00 000004 000028 65 01 000005 000050 6588",
        TagRole::Keyframe,
        "h264",
        40,
        &[(0, 1), (1, 2)],
    ),
    (
        Video,
        "96 20 'avc1' 00 000001 01 'xxxx' 07 000002 0102 'hvc1' 01 000001 01",
        TagRole::SequenceHeader,
        "h264",
        0,
        &[(0, 1), (7, 2), (1, 1)],
    ),
    (Video, "97 00 ff 16 03 'av01' 05 0a", TagRole::Keyframe, "av1", 0, &[(5, 1)]),
    (Video, "96 11 'av01' 00 000001 0a 01 000005 0a", TagRole::Keyframe, "av1", 0, &[(0, 1)]),
    // Classic audio.
    (Audio, "", TagRole::Silence, "-", 0, &[]),
    (Audio, "af 00 1210", TagRole::SequenceHeader, "aac", 0, &[(0, 2)]),
    (Audio, "af 01 2110", TagRole::Frame, "aac", 0, &[(0, 2)]),
    (Audio, "2f fffb", TagRole::Frame, "mp3", 0, &[(0, 2)]),
    (Audio, "ee fffb", TagRole::Frame, "mp3", 0, &[(0, 2)]),
    (Audio, "72 d5d5", TagRole::Frame, "g711a", 0, &[(0, 2)]),
    (Audio, "82 ffff", TagRole::Frame, "g711u", 0, &[(0, 2)]),
    (Audio, "b2 00", TagRole::Frame, "speex", 0, &[(0, 1)]),
    (Audio, "52 00", TagRole::Frame, "nellymoser", 0, &[(0, 1)]),
    (Audio, "3f 0000", TagRole::Frame, "pcm", 0, &[(0, 2)]),
    (Audio, "1f 00", TagRole::Frame, "adpcm", 0, &[(0, 1)]),
    (Audio, "c0 00", TagRole::Frame, "-", 0, &[(0, 1)]),
    (Audio, "df 00 'OpusHead' 01", TagRole::SequenceHeader, "opus", 0, &[(0, 10)]),
    (Audio, "df 00 01", TagRole::Frame, "opus", 0, &[(0, 2)]),
    (Audio, "df fc01", TagRole::Frame, "opus", 0, &[(0, 2)]),
    // Enhanced audio.
    (Audio, "90 'Opus' 'OpusHead'", TagRole::SequenceHeader, "opus", 0, &[(0, 8)]),
    (Audio, "90 'Opus'", TagRole::SequenceHeader, "opus", 0, &[(0, 0)]),
    (Audio, "91 'Opus' fc01", TagRole::Frame, "opus", 0, &[(0, 2)]),
    (Audio, "90 'mp4a' 1210", TagRole::SequenceHeader, "aac", 0, &[(0, 2)]),
    (Audio, "90 'fLaC' 'fLaC'", TagRole::SequenceHeader, "flac", 0, &[(0, 4)]),
    (Audio, "91 'ac-3' 0b77", TagRole::Frame, "ac-3", 0, &[(0, 2)]),
    (Audio, "91 'ec-3' 0b77", TagRole::Frame, "e-ac-3", 0, &[(0, 2)]),
    (Audio, "91 '.mp3' fffb", TagRole::Frame, "mp3", 0, &[(0, 2)]),
    (Audio, "92 'mp4a'", TagRole::EndOfSequence, "aac", 0, &[(0, 0)]),
    (Audio, "94 'Opus' 01 06 0000003f", TagRole::MultichannelConfig, "opus", 0, &[(0, 6)]),
    (Audio, "97 02 07a120 01 'mp4a' 21", TagRole::Frame, "aac", 0, &[(0, 1)]),
    (Audio, "95 00 'mp4a' 01 1210", TagRole::SequenceHeader, "aac", 0, &[(1, 2)]),
    (Audio, "95 11 'mp4a' 00 000001 21 02 000002 2110", TagRole::Frame, "aac", 0, &[(0, 1), (2, 2)]),
    // Data.
    (Data, "02000a 'onMetaData' 0800000000000009", TagRole::Metadata, "-", 0, &[]),
    (Data, "02000d '@setDataFrame' 02000a 'onMetaData' 05", TagRole::Metadata, "-", 0, &[]),
    (Data, "02000f '@clearDataFrame' 02000a 'onMetaData'", TagRole::ClearMetadata, "-", 0, &[]),
    (Data, "02000a 'onTextData' 05", TagRole::Data, "-", 0, &[]),
    (Data, "05", TagRole::Unknown, "-", 0, &[]),
    // Of no use.
    (Video, "", TagRole::Unknown, "-", 0, &[]),
    (Video, "17", TagRole::Unknown, "-", 0, &[]),
    (Video, "17 01", TagRole::Unknown, "-", 0, &[]),
    (Video, "17 03 000000 00", TagRole::Unknown, "-", 0, &[]),
    (Video, "12", TagRole::Unknown, "-", 0, &[]),
    (Video, "17 00 000000", TagRole::Unknown, "h264", 0, &[(0, 0)]),
    (Video, "98 'hvc1' 00", TagRole::Unknown, "-", 0, &[]),
    (Video, "96 31 'hvc1' 00", TagRole::Unknown, "-", 0, &[]),
    (Video, "96 06 'hvc1' 00", TagRole::Unknown, "-", 0, &[]),
    (Video, "96 07 'hvc1' 00", TagRole::Unknown, "-", 0, &[]),
    (Video, "96 11 'hvc1' 00 000002 00", TagRole::Unknown, "-", 0, &[]),
    (Audio, "af", TagRole::Unknown, "-", 0, &[]),
    (Audio, "af 00", TagRole::Unknown, "aac", 0, &[(0, 0)]),
    (Audio, "af 02 00", TagRole::Unknown, "-", 0, &[]),
    (Audio, "82", TagRole::Unknown, "-", 0, &[]),
    (Audio, "93 'Opus' 00", TagRole::Unknown, "-", 0, &[]),
];

fn tracks(class: &TagClass<'_>) -> Vec<(u8, usize)> {
    class.tracks().map(|track| (track.id, track.data.len())).collect()
}

#[test]
fn bodies_are_what_the_table_says() {
    for (kind, text, role, codec, composition_time, ids) in CASES {
        let tag = Tag::new(*kind, Timestamp(0), Payload::from(bytes(text)));
        let class = tag.classify();
        assert_eq!(class.role, *role, "{text}");
        assert_eq!(class.codec.map_or("-".to_string(), |codec| codec.to_string()), *codec, "{text}");
        assert_eq!(class.composition_time, *composition_time, "{text}");
        assert_eq!(tracks(&class), *ids, "{text}");
        assert_eq!(class.is_keyframe(), *role == TagRole::Keyframe);
    }
}

#[test]
fn cut_bodies_never_claim_more_than_they_hold() {
    for (kind, text, role, ..) in CASES {
        let whole = bytes(text);
        for len in 0..whole.len() {
            let class = TagClass::of(*kind, &whole[..len]);
            for Track { data, .. } in class.tracks() {
                assert!(data.start <= data.end && data.end <= len, "{text} cut to {len}");
            }
            let fits = class.role == *role
                || class.role == TagRole::Unknown
                || (*kind, len) == (Audio, 0)
                || (text.starts_with("df 00") && class.role == TagRole::Frame)
                || (text.contains("@setDataFrame") && class.role == TagRole::Data);
            assert!(fits, "{text} cut to {len} is {:?}", class.role);
        }
    }
}

#[test]
fn each_track_of_a_multitrack_tag_has_its_own_codec_and_composition_time() {
    let body = bytes("96 21 'avc1' 00 000004 000028 65 'av01' 01 000002 0a0b 'hvc1' 02 000004 ffffff 26");
    let class = TagClass::of(Video, &body);
    let track = |id, codec, composition_time, data| Track { id, codec: Some(codec), composition_time, data };
    assert_eq!(
        class.tracks().collect::<Vec<_>>(),
        vec![
            track(0, Codec::H264, 40, 13..14),
            track(1, Codec::Av1, 0, 22..24),
            track(2, Codec::Hevc, -1, 35..36),
        ]
    );
}

#[test]
fn mod_ex_sizes_have_a_short_and_a_long_form() {
    for size in [1_usize, 3, 255, 256, 257, 65_536] {
        let mut body = vec![0x97];
        match u8::try_from(size - 1) {
            Ok(short) if short < 255 => body.push(short),
            _ => {
                body.push(0xff);
                body.extend_from_slice(&((size - 1) as u16).to_be_bytes());
            }
        }
        body.resize(body.len() + size, 0xee);
        body.extend_from_slice(&bytes("03 'hvc1' 26"));
        let class = TagClass::of(Video, &body);
        assert_eq!((class.role, class.codec), (TagRole::Keyframe, Some(Codec::Hevc)), "{size}");
    }
}

#[test]
fn a_tag_of_mod_ex_blocks_alone_ends() {
    let endless = [&[0x97][..], &[0, 0xee, 0x07].repeat(100_000)].concat();
    assert_eq!(TagClass::of(Video, &endless).role, TagRole::Unknown);
}
