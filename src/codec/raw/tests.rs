use super::*;
use crate::{
    codec::{annexb::MAX_NAL_LEN, dimensions, fuzz, h264 as h264_units, nal::Units},
    flv::{TagKind, TagRole},
};
use alloc::{vec, vec::Vec};

const X264: &[u8] = include_bytes!("../../../tests/data/raw/x264-slices-pyramid.h264");
const X265: &[u8] = include_bytes!("../../../tests/data/raw/x265-open-gop.h265");
const AAC: &[u8] = include_bytes!("../../../tests/data/raw/ffmpeg.adts");

fn read(mut reader: RawReader, stream: &[u8], cut: usize) -> (Vec<Tag>, u64) {
    let mut tags = vec![];
    for part in stream.chunks(cut) {
        reader.push(part);
        tags.extend(core::iter::from_fn(|| reader.next().expect("a stream of this kind")));
    }
    reader.finish();
    tags.extend(core::iter::from_fn(|| reader.next().expect("a stream of this kind")));
    (tags, reader.damage())
}

/// (decoded at, shown at, keyframe), in frames of 40 ms; configuration is left out.
fn times(tags: &[Tag]) -> Vec<(u32, u32, bool)> {
    let frames = tags.iter().filter(|tag| tag.classify().role != TagRole::SequenceHeader);
    frames
        .map(|tag| {
            let class = tag.classify();
            let time = tag.timestamp.0;
            (time / 40, (time + class.composition_time as u32) / 40, class.is_keyframe())
        })
        .collect()
}

fn expected(shown: &[u32], delay: u32, keyframes: &[u32]) -> Vec<(u32, u32, bool)> {
    let time = |(index, shown): (u32, &u32)| (index, shown + delay, keyframes.contains(&index));
    (0..).zip(shown).map(time).collect()
}

fn headers(tags: &[Tag]) -> Vec<&[u8]> {
    let is_header = |tag: &&Tag| tag.classify().role == TagRole::SequenceHeader;
    tags.iter().filter(is_header).map(|tag| &tag.body[5..]).collect()
}

#[test]
fn pictures_of_h264_are_whole_and_shown_in_the_order_of_their_counts() {
    let (tags, damage) = read(RawReader::h264(None), X264, X264.len());
    assert_eq!(damage, 0);
    assert_eq!(times(&tags), expected(&[0, 3, 1, 2, 7, 5, 4, 6, 8, 11, 9, 10], 2, &[0, 8]));
    assert_eq!((tags[0].kind, headers(&tags).len()), (TagKind::Video, 1), "sets that come again are no news");
    assert_eq!(dimensions(Codec::H264, headers(&tags)[0]), Some((64, 64)));
    for tag in &tags[1..] {
        let types: Vec<u8> =
            Units::new(&tag.body[5..], 4).map(|unit| h264_units::nal_type(unit[0])).collect();
        assert!(types == [1, 1] || types == [5, 5], "both slices and nothing else: {types:?}");
    }
}

#[test]
fn pictures_of_h265_are_whole_and_shown_in_the_order_of_their_counts() {
    let (tags, damage) = read(RawReader::h265(None), X265, X265.len());
    assert_eq!(damage, 0);
    assert_eq!(times(&tags), expected(&[0, 2, 1, 6, 4, 3, 5, 10, 8, 7, 9, 11], 2, &[0, 3]));
    assert_eq!(dimensions(Codec::Hevc, headers(&tags)[0]), Some((64, 64)));
}

#[test]
fn what_needs_pictures_before_the_beginning_is_left_out() {
    // The second group of pictures: CRA, three RASL pictures, five others.
    let second = X265.windows(6).rposition(|bytes| bytes == [0, 0, 0, 1, 0x40, 1]).expect("a second VPS");
    let (tags, damage) = read(RawReader::h265(None), &X265[second..], 11);
    assert_eq!(damage, 3);
    assert_eq!(times(&tags), expected(&[0, 4, 2, 1, 3, 5], 2, &[0]));
    // The first picture is gone: nothing to begin with until the next IDR picture.
    let idr = X264.windows(4).position(|bytes| bytes == [0, 0, 1, 0x65]).expect("an IDR picture");
    let next = X264.windows(4).position(|bytes| bytes == [0, 0, 1, 0x41]).expect("another picture");
    let (tags, damage) = read(RawReader::h264(None), &[&X264[..idr], &X264[next..]].concat(), 7);
    assert_eq!(damage, 7);
    assert_eq!(times(&tags), expected(&[0, 3, 1, 2], 2, &[0]));
}

#[test]
fn where_a_stream_is_cut_and_what_in_it_is_damaged_breaks_no_promise() {
    for stream in [X264, X265, AAC] {
        for cut in 0..=255 {
            fuzz(&[&[cut, 25], stream].concat());
        }
        let mut changed = [&[12, 0], stream].concat();
        for at in 2..changed.len() {
            let was = changed[at];
            changed[at] = was.wrapping_mul(7) ^ 0x55;
            fuzz(&changed);
            changed[at] = was;
        }
    }
    for short in [&[][..], &[1], &[1, 2], &[1, 2, 0, 0, 1], &[1, 2, 0, 0, 1, 0x65]] {
        fuzz(short);
    }
}

/// 64x64: order counts of type 0 in 4 bits, no VUI, with this profile.
fn sets(profile: u8) -> Vec<u8> {
    vec![0, 0, 1, 0x67, profile, 0, 0x0a, 0xf4, 0x21, 0x32, 0, 0, 1, 0x68, 0xce, 0x38, 0x80]
}

const IDR: [u8; 7] = [0, 0, 1, 0x65, 0x88, 0x84, 0x3f];

/// A P-picture: its number in the order of showing, in twos, modulo 16.
fn picture(order: u8) -> [u8; 6] {
    let [high, low] = (0b1001_1010_0010_0001 | u16::from(order) << 1).to_be_bytes();
    [0, 0, 1, 0x41, high, low]
}

fn stream(profile: u8, orders: &[u8]) -> Vec<u8> {
    let pictures: Vec<u8> = orders.iter().flat_map(|order| picture(*order)).collect();
    [&sets(profile)[..], &IDR, &pictures].concat()
}

const MAIN: u8 = 77;
const BASELINE: u8 = 66;

#[test]
fn a_stream_that_does_not_say_how_much_it_reorders_is_looked_at() {
    let shown = [0, 3, 1, 2, 6, 4, 5];
    let (tags, damage) = read(RawReader::h264(None), &stream(MAIN, &[6, 2, 4, 12, 8, 10]), 5);
    assert_eq!((times(&tags), damage), (expected(&shown, 1, &[0]), 0));
    let (tags, _) = read(RawReader::h264(None), &stream(MAIN, &[2, 4, 6, 8]), 5);
    assert_eq!(times(&tags), expected(&[0, 1, 2, 3, 4], 0, &[0]));
}

#[test]
fn a_stream_that_reorders_more_than_it_said_has_its_delay_grow() {
    // Baseline: none.
    let (tags, _) = read(RawReader::h264(None), &stream(BASELINE, &[4, 2, 8, 6, 10, 12]), 5);
    let times = times(&tags);
    assert!(times.iter().all(|(decoded, shown, _)| shown >= decoded), "{times:?}");
    let shown: Vec<u32> = times.iter().map(|(_, shown, _)| *shown).collect();
    // The second picture was out when the one came that ought to be before it.
    assert_eq!(shown, [0, 1, 3, 5, 4, 6, 7]);
}

#[test]
fn without_reordering_a_picture_is_given_as_soon_as_the_next_begins() {
    let mut reader = RawReader::h264(None);
    reader.push(&stream(BASELINE, &[]));
    assert_eq!(reader.next(), Ok(None), "the picture might go on");
    reader.push(&[0, 0, 1, 0x41]);
    assert_eq!(reader.next(), Ok(None));
    reader.push(&picture(2)[4..]);
    assert!(reader.next().is_ok_and(|tag| tag.is_some()), "the sequence header");
    let tag = reader.next().expect("a good stream").expect("the picture");
    assert_eq!(&tag.body[..], [0x17, 1, 0, 0, 0, 0, 0, 0, 4, 0x65, 0x88, 0x84, 0x3f]);
    assert_eq!(reader.next(), Ok(None));
}

#[test]
fn the_given_frame_rate_counts_then_that_of_the_stream_then_25() {
    let last = |reader, stream: &[u8]| {
        let (tags, _) = read(reader, stream, 64);
        tags.last().map(|tag| tag.timestamp.0)
    };
    assert_eq!(last(RawReader::h264(None), X264), Some(11 * 40));
    assert_eq!(last(RawReader::h264(Some(30.0)), X264), Some(367), "rounded from the 11th picture");
    assert_eq!(last(RawReader::h264(Some(0.0)), X264), Some(11 * 40), "not a rate");
    assert_eq!(last(RawReader::h264(Some(f64::NAN)), X264), Some(11 * 40));
    assert_eq!(last(RawReader::h265(Some(50.0)), X265), Some(11 * 20));
    assert_eq!(last(RawReader::h264(None), &stream(BASELINE, &[2])), Some(40));
}

#[test]
fn another_parameter_set_gives_another_sequence_header_before_its_first_picture() {
    let second = X264.windows(4).rposition(|bytes| bytes == [0, 0, 1, 0x67]).expect("a second SPS");
    let mut changed = X264.to_vec();
    assert_eq!(changed[second + 6], 10, "the level");
    changed[second + 6] = 11;
    let (tags, damage) = read(RawReader::h264(None), &changed, 100);
    assert_eq!((headers(&tags).len(), damage), (2, 0));
    assert_eq!((headers(&tags)[0][3], headers(&tags)[1][3]), (10, 11));
    let header =
        tags.iter().rposition(|tag| tag.classify().role == TagRole::SequenceHeader).expect("the second");
    assert!(tags[header + 1].classify().is_keyframe());
    assert_eq!(tags[header].timestamp, tags[header + 1].timestamp);
}

#[test]
fn a_stream_that_begins_in_an_open_group_begins_at_its_recovery_point() {
    let recovery = [0, 0, 1, 6, 6, 1, 0xc4, 0x80];
    let pictures = |orders: &[u8]| orders.iter().flat_map(|order| picture(*order)).collect::<Vec<u8>>();
    let stream = [&sets(MAIN)[..], &pictures(&[0, 2]), &recovery, &pictures(&[8, 4, 6, 12, 10])].concat();
    let (tags, damage) = read(RawReader::h264(None), &stream, 9);
    assert_eq!(damage, 4, "two before it, two that need what is not there");
    assert_eq!(times(&tags), expected(&[0, 2, 1], 1, &[0]));
    assert_eq!(tags[1].body[5..13], [0, 0, 0, 5, 6, 6, 1, 0xc4], "players are told as well");
}

#[test]
fn a_slice_behind_what_is_lost_goes_with_no_other_picture() {
    let continued = [0, 0, 1, 0x65, 0x42, 0x21, 0x0f];
    // Too short for a slice; with the zeros behind it, it would be one.
    let broken = [0, 0, 1, 0x41, 0x9a, 0, 0, 0, 0];
    let stream = [&sets(BASELINE)[..], &IDR, &broken, &continued].concat();
    for cut in 1..=stream.len() {
        let (tags, damage) = read(RawReader::h264(None), &stream, cut);
        let units = Units::new(&tags[1].body[5..], 4).count();
        assert_eq!((tags.len(), units, damage), (2, 2, 1), "cuts of {cut}");
    }
    let too_long = [&[0, 0, 1, 0x65][..], &vec![0xaa; MAX_NAL_LEN]].concat();
    let stream = [&sets(BASELINE)[..], &IDR, &too_long, &continued].concat();
    for cut in [65_536, stream.len()] {
        let (tags, damage) = read(RawReader::h264(None), &stream, cut);
        let units = Units::new(&tags[1].body[5..], 4).count();
        assert_eq!((tags.len(), units, damage), (2, 1, 2), "cuts of {cut}");
    }
}

/// A NAL unit from its header and the bits behind it.
fn unit(header: u8, bits: &str) -> Vec<u8> {
    let bits: Vec<u8> = bits.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
    let byte = |bits: &[u8]| (0..8).fold(0, |byte, at| byte << 1 | bits.get(at).copied().unwrap_or(0));
    [vec![0, 0, 1, header], bits.chunks(8).map(byte).collect()].concat()
}

#[test]
fn both_fields_of_a_frame_go_into_one_tag_whatever_stands_between_them() {
    // As `sets`, with fields allowed.
    let sets = [
        unit(0x67, "01001101 00000000 00001010 1111 010 0 00100 00100 0 0 1 0 0 1"),
        unit(0x68, "11001110 00111000 1"),
    ];
    // First block, type, set, number, field, bottom, order.
    let field = |number: &str, bottom: &str, order: &str| {
        unit(0x41, &["1 00110 1", number, "1", bottom, order, "1"].concat())
    };
    let idr = unit(0x65, "1 0001000 1 0000 1 0 1 0000 1");
    let (aud, sei) = (unit(9, "11110000"), unit(6, "00000101 00000001 10101010 1"));
    let stream = [
        &sets.concat()[..],
        &[&aud[..], &idr, &aud, &sei, &field("0000", "1", "0001")].concat(),
        &[&aud[..], &field("0001", "0", "0100"), &field("0001", "1", "0101")].concat(),
        &[&aud[..], &field("0010", "0", "0010"), &aud, &field("0010", "1", "0011"), &aud].concat(),
    ]
    .concat();
    for cut in [1, 7, 500] {
        let (tags, damage) = read(RawReader::h264(None), &stream, cut);
        assert_eq!((times(&tags), damage), (expected(&[0, 2, 1], 1, &[0]), 0), "cuts of {cut}");
        let types = |tag: &Tag| Units::new(&tag.body[5..], 4).map(|unit| unit[0]).collect::<Vec<u8>>();
        assert_eq!(
            tags[1..].iter().map(types).collect::<Vec<_>>(),
            [&[0x65, 6, 0x41][..], &[0x41; 2], &[0x41; 2]]
        );
    }
}

#[test]
fn an_access_unit_beyond_the_limit_is_left_out_and_the_next_is_not() {
    let slice = |first: &[u8]| [first, &[0xaa; 6 << 20]].concat();
    // All three slices of one picture, whose first blocks are 0, 1 and 1.
    let large =
        [slice(&IDR), slice(&[0, 0, 1, 0x65, 0x42, 0x21, 0x0f]), slice(&[0, 0, 1, 0x65, 0x42, 0x21, 0x0f])];
    let (tags, damage) =
        read(RawReader::h264(None), &[&sets(BASELINE)[..], &large.concat(), &IDR].concat(), 1 << 16);
    assert_eq!(damage, 1);
    assert_eq!((headers(&tags).len(), times(&tags)), (1, vec![(0, 0, true)]));
}

#[test]
fn adts_frames_become_tags_on_the_clock_of_their_samples() {
    let (tags, damage) = read(RawReader::adts(), AAC, 10);
    assert_eq!((damage, tags[0].kind), (0, TagKind::Audio));
    assert_eq!(&tags[0].body[..], [0xaf, 0, 0x13, 0x88], "22050 Hz, mono");
    let times: Vec<u32> = tags[1..].iter().map(|tag| tag.timestamp.0).collect();
    assert!(times.len() > 5);
    let expected: Vec<u32> =
        (0..times.len()).map(|n| (n as f64 * 1_024_000.0 / 22_050.0).round() as u32).collect();
    assert_eq!(times, expected);
    let bytes: usize = tags[1..].iter().map(|tag| tag.body.len() - 2 + 7).sum();
    assert_eq!(bytes, AAC.len());
}

/// A frame of AAC-LC without a checksum.
fn adts(rate_index: u8, channels: u8, data: &[u8]) -> Vec<u8> {
    let len = data.len() + 7;
    let header =
        [0xff, 0xf1, 0x40 | rate_index << 2, channels << 6, (len >> 3) as u8, (len as u8) << 5 | 0x1f, 0xfc];
    [&header, data].concat()
}

#[test]
fn what_is_between_adts_frames_is_passed_over_and_counted() {
    let frame = |byte| adts(4, 2, &[byte; 9]);
    let id3 = b"ID3\x04\0\0\0\0\0\x08\xff\xf1\x50\x80\x01\x1f\xfc\x21";
    let stream = [&id3[..], &frame(1), &frame(2), &[0xff, 0xf1, 7, 7], &frame(3), &frame(4), b"TAG"].concat();
    for cut in [1, 3, 100] {
        let (tags, damage) = read(RawReader::adts(), &stream, cut);
        let bodies: Vec<u8> = tags[1..].iter().map(|tag| tag.body[2]).collect();
        assert_eq!((bodies, damage), (vec![1, 2, 3, 4], 2), "cuts of {cut}");
    }
    let slower = [frame(1), adts(6, 1, &[2; 9]), adts(6, 1, &[3; 9]), adts(6, 1, &[4; 9])].concat();
    let (tags, damage) = read(RawReader::adts(), &[&frame(0)[..], &slower].concat(), 5);
    let told: Vec<(u32, u8)> = tags.iter().map(|tag| (tag.timestamp.0, tag.body[1])).collect();
    assert_eq!((told, damage), (vec![(0, 0), (0, 1), (23, 1), (46, 0), (46, 1), (89, 1), (131, 1)], 0));
}

#[test]
fn what_is_no_stream_of_the_kind_is_refused_in_bounded_memory() {
    let readers: [fn() -> RawReader; 3] =
        [|| RawReader::h264(None), || RawReader::h265(None), RawReader::adts];
    for open in readers {
        let mut reader = open();
        let refused = (0..MAX_UNRECOGNIZED / 65_536 + 2).find_map(|_| {
            reader.push(&[0x47; 65_536]);
            reader.next().err()
        });
        assert_eq!(refused, Some(RawError::Unrecognized));
        assert_eq!(reader.next(), Err(RawError::Unrecognized));
    }
    let mut reader = RawReader::adts();
    reader.push(&[adts(4, 0, &[1]), adts(4, 0, &[1])].concat());
    reader.finish();
    assert_eq!(reader.next(), Err(RawError::UnknownChannels));
}
