//! Payload formats: what packets of each codec become.

use super::*;

/// 64x64, Baseline; order counts of type 0 in 4 bits.
const SPS: &[u8] = &[0x67, 66, 0, 0x0a, 0xf4, 0x21, 0x32];
const PPS: &[u8] = &[0x68, 0xce, 0x38, 0x80];
const IDR: &[u8] = &[0x65, 0x88, 0x84, 0x3f];
/// The first picture behind it, and the second.
const P1: &[u8] = &[0x41, 0x9a, 0x25];
const P2: &[u8] = &[0x41, 0x9a, 0x49];

/// (ticks, marker, payload) as packets of one track.
fn packets(payloads: &[(i64, bool, &[u8])]) -> Vec<Vec<u8>> {
    let mut source = Source::new(1);
    payloads.iter().map(|(time, marker, payload)| source.packet(*time, *marker, payload)).collect()
}

fn h264() -> Format {
    format(Codec::H264, 90_000)
}

fn sample(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&(unit.len() as u32).to_be_bytes()[..], unit].concat()).collect()
}

/// Milliseconds and NAL units of each frame, and the stats.
fn video(format: Format, payloads: &[(i64, bool, &[u8])]) -> (Vec<(i64, Vec<u8>)>, Stats) {
    let (tags, stats) = receive(format, &TCP, &packets(payloads));
    (frames(&tags).into_iter().map(|(time, _, data)| (time, data)).collect(), stats)
}

fn expected(frames: &[(i64, &[&[u8]])]) -> Vec<(i64, Vec<u8>)> {
    frames.iter().map(|(time, units)| (*time, sample(units))).collect()
}

#[test]
fn h264_comes_as_single_units_aggregates_and_fragments() {
    // SPS, PPS and the first third of an IDR picture's slice in one packet each, as ffmpeg and GStreamer do.
    let stap = [&[0x18, 0, 7][..], SPS, &[0, 4], PPS].concat();
    let stream: &[(i64, bool, &[u8])] = &[
        (0, false, &stap),
        (0, false, &[0x7c, 0x85, 0x88]),
        (0, false, &[0x7c, 0x05, 0x84]),
        (0, true, &[0x7c, 0x45, 0x3f]),
        (3600, false, &[0x09, 0xf0]),
        (3600, true, P1),
        (7200, true, &[0x5c, 0xc1, 0x9a, 0x49]),
    ];
    let (frames, stats) = video(h264(), stream);
    // First and last fragment at once is forbidden, and understood.
    assert_eq!(frames, expected(&[(0, &[IDR]), (40, &[P1]), (80, &[P2])]));
    assert_eq!((stats.damaged, stats.malformed), (0, 0));
}

#[test]
fn what_cameras_do_to_h264_does_no_harm() {
    let good = expected(&[(0, &[IDR]), (40, &[P1]), (80, &[P2])]);
    let whole = [SPS, &[0, 0, 0, 1], PPS, &[0, 0, 1], IDR].concat();
    let annex_b = [&[0, 0, 0, 1][..], &whole].concat();
    let fragment = |head: u8, data: &[u8]| [&[0x7c, head][..], data].concat();
    let (first, last) = (fragment(0x87, &whole[1..9]), fragment(0x47, &whole[9..]));
    let sei: &[u8] = &[6, 5, 1, 0xaa, 0x80];
    let with_sei = expected(&[(0, &[IDR]), (40, &[sei, P1]), (80, &[P2])]);
    type Case<'a> = (&'a str, &'a [(i64, bool, &'a [u8])], &'a [(i64, Vec<u8>)]);
    let cases: &[Case<'_>] = &[
        (
            "a byte stream in fragments",
            &[(0, false, &first), (0, true, &last), (3600, true, P1), (7200, true, P2)],
            &good,
        ),
        ("a byte stream in a packet", &[(0, true, &annex_b), (3600, true, P1), (7200, true, P2)], &good),
        (
            "no markers",
            &[(0, false, SPS), (0, false, PPS), (0, false, IDR), (3600, false, P1), (7200, false, P2)],
            &good,
        ),
        (
            "markers on all",
            &[
                (0, true, SPS),
                (0, true, PPS),
                (0, true, IDR),
                (3600, true, sei),
                (3600, true, P1),
                (7200, true, P2),
            ],
            &with_sei,
        ),
        (
            "fragments of other types, empty ones, none that is the last",
            &[
                (0, false, SPS),
                (0, false, PPS),
                (0, false, &[0x7c, 0x85]),
                (0, false, &[0x7c, 0x01, 0x88, 0x84]),
                (0, false, &[0x7c, 0x05]),
                (0, true, &[0x7c, 0x01, 0x3f]),
                (3600, true, P1),
                (7200, true, P2),
            ],
            &good,
        ),
        (
            "empty packets and forbidden ones",
            &[
                (0, false, SPS),
                (0, false, PPS),
                (0, false, b""),
                (0, true, IDR),
                (3600, true, P1),
                (7200, true, P2),
            ],
            &good,
        ),
    ];
    for (what, payloads, expected) in cases {
        let (frames, stats) = video(h264(), payloads);
        assert_eq!((&frames[..], stats.damaged), (*expected, 0), "{what}");
    }
}

#[test]
fn a_camera_that_marks_every_slice_has_its_first_picture_damaged_and_no_other() {
    // Second slices: the first block is another.
    let second: &[u8] = &[0x65, 0x42, 0x21, 0x0f];
    let (frames, stats) = video(
        h264(),
        &[
            (0, false, SPS),
            (0, false, PPS),
            (0, true, IDR),
            (0, true, second),
            (3600, true, IDR),
            (3600, true, second),
            (7200, true, IDR),
            (7200, true, second),
        ],
    );
    assert_eq!(frames, expected(&[(0, &[IDR]), (40, &[IDR, second]), (80, &[IDR, second])]));
    assert_eq!(stats.damaged, 1);
}

#[test]
fn large_slices_pass_in_fragments_with_start_codes_inside_or_not() {
    let mut slice = IDR.to_vec();
    slice.extend((0..5000).map(|index| (index % 251) as u8 | 4));
    let mut payloads = fragments(&slice, 900, false);
    let (frames, _) = video(
        h264(),
        &[(0, false, SPS), (0, false, PPS), (0, false, &payloads[0])]
            .into_iter()
            .chain(payloads[1..].iter().map(|payload| (0, false, &payload[..])))
            .chain([(3600, true, P1)])
            .collect::<Vec<_>>(),
    );
    assert_eq!(frames, expected(&[(0, &[&slice]), (40, &[P1])]));
    // Two slices as one, the start code where one fragment ends.
    let second = [0x65, 0x42, 0x21, 0x0f];
    let both = [&slice[..], &[0, 0, 0, 1], &second].concat();
    payloads = fragments(&both, slice.len() + 1, false);
    assert_eq!(payloads.len(), 2);
    let (frames, stats) =
        video(h264(), &[(0, false, SPS), (0, false, PPS), (0, false, &payloads[0]), (0, true, &payloads[1])]);
    assert_eq!((frames, stats.damaged), (expected(&[(0, &[&slice, &second])]), 0));
}

#[test]
fn sets_come_from_the_description_until_others_come_between_the_pictures() {
    let record = h264::build_record(SPS, &[PPS]).expect("good sets");
    let described = Format { record: record.clone(), ..h264() };
    let mut other = SPS.to_vec();
    other[3] = 0x0b;
    let (tags, stats) = receive(
        described,
        &TCP,
        &packets(&[
            (0, true, IDR),
            (3600, true, IDR),
            (7200, false, SPS),
            (7200, true, IDR),
            (9000, false, &other),
            (9000, true, IDR),
        ]),
    );
    let headers: Vec<&[u8]> = tags
        .iter()
        .filter(|tag| tag.classify().role == TagRole::SequenceHeader)
        .map(|tag| &tag.body[5..])
        .collect();
    assert_eq!(headers, [&record[..], &h264::build_record(&other, &[PPS]).expect("good sets")]);
    assert_eq!((frames(&tags).len(), stats.damaged), (4, 0));
    let roles: Vec<TagRole> = tags.iter().map(|tag| tag.classify().role).collect();
    assert_eq!(roles[..2], [TagRole::Metadata, TagRole::SequenceHeader]);
    let properties = metadata::decode(&tags[0].body, crate::amf::Budget::default()).expect("metadata");
    let number = |key: &str| properties.get(key).and_then(|value| value.as_number());
    assert_eq!((number("width"), number("videocodecid")), (Some(64.0), Some(7.0)));
    let (tags, stats) = receive(h264(), &TCP, &packets(&[(0, true, IDR)]));
    assert_eq!((tags.len(), stats.damaged), (0, 1), "no sets at all");
}

#[test]
fn without_reordering_each_picture_comes_with_its_last_packet() {
    let mut receiver = Receiver::new(vec![Some(h264())], TCP, 7, NOW);
    let mut came = vec![];
    for packet in packets(&[(0, false, SPS), (0, false, PPS), (0, true, IDR), (3600, true, P1)]) {
        receiver.handle_rtp(NOW, 0, &packet);
        came.push(all_tags(&mut receiver).len());
    }
    assert_eq!(came, [0, 0, 3, 1], "metadata, sequence header and picture; a picture");
}

/// Main profile, which does not say how much it reorders; its pictures by their order.
#[test]
fn a_stream_that_may_reorder_and_does_not_say_is_held_until_that_is_seen() {
    let sps: &[u8] = &[0x67, 77, 0, 0x0a, 0xf4, 0x21, 0x32];
    let picture = |order: u8| {
        let [high, low] = (0b1001_1010_0010_0001 | u16::from(order) << 1).to_be_bytes();
        [0x41, high, low]
    };
    let shown = [6, 2, 4, 12, 8, 10];
    let mut payloads = vec![(0, false, sps.to_vec()), (0, false, PPS.to_vec()), (0, true, IDR.to_vec())];
    payloads.extend(shown.map(|order| (i64::from(order) * 1800, true, picture(order).to_vec())));
    let borrowed: Vec<(i64, bool, &[u8])> =
        payloads.iter().map(|(time, marker, payload)| (*time, *marker, &payload[..])).collect();
    let (tags, _) = receive(h264(), &TCP, &packets(&borrowed));
    let times: Vec<i64> = frames(&tags).iter().map(|frame| frame.0).collect();
    assert_eq!(times, [0, 120, 40, 80, 240, 160, 200]);
    let is_frame = |tag: &&Tag| tag.classify().role.is_frame();
    let decoded: Vec<u32> = tags.iter().filter(is_frame).map(|tag| tag.timestamp.0).collect();
    assert_eq!(decoded, [0, 40, 80, 120, 160, 200, 240]);
    // In order: nothing is held but the first, until the second says that.
    let mut receiver = Receiver::new(vec![Some(h264())], TCP, 7, NOW);
    let mut came = vec![];
    let in_order = [
        (0, false, sps),
        (0, false, PPS),
        (0, true, IDR),
        (3600, true, &picture(2)[..]),
        (7200, true, &picture(4)),
    ];
    for packet in packets(&in_order) {
        receiver.handle_rtp(NOW, 0, &packet);
        came.push(all_tags(&mut receiver).iter().filter(is_frame).count());
    }
    assert_eq!(came, [0, 0, 0, 2, 1]);
}

#[test]
fn h265_comes_as_single_units_aggregates_and_fragments() {
    let nals = nals(X265);
    let keyframe = nals.iter().position(|nal| h265::is_irap(h265::nal_type(nal[0]))).expect("a keyframe");
    let sets = &nals[..keyframe];
    let of_type = |nal_type| sets.iter().find(|nal| h265::nal_type(nal[0]) == nal_type);
    let sets: Vec<u8> = [h265::VPS, h265::SPS, h265::PPS]
        .iter()
        .filter_map(|nal_type| of_type(*nal_type))
        .flat_map(|nal| [&(nal.len() as u16).to_be_bytes()[..], nal].concat())
        .collect();
    let aggregate = [&[0x60, 1][..], &sets].concat();
    let parts = fragments(&nals[keyframe], 10, true);
    let mut payloads: Vec<(i64, bool, &[u8])> = vec![(0, false, &aggregate)];
    payloads.extend(parts.iter().map(|part| (0, false, &part[..])));
    payloads.push((0, true, &[0x50, 1, 0x80]));
    let (frames, stats) = video(format(Codec::Hevc, 90_000), &payloads);
    assert_eq!(frames, [(0, [sample(&[&nals[keyframe]]), sample(&[&[0x50, 1, 0x80]])].concat())]);
    assert_eq!((stats.damaged, stats.malformed), (0, 0));
    // PACI, and an aggregate that is cut off.
    let (frames, stats) =
        video(format(Codec::Hevc, 90_000), &[(0, true, &[0x64, 1, 0, 0]), (1, true, &[0x60, 1, 0, 9, 1])]);
    assert_eq!((frames.len(), stats.malformed), (0, 2));
}

fn aac() -> Format {
    Format { record: vec![0x12, 0x10], ..format(Codec::Aac, 44_100) }
}

/// Milliseconds and data of frames of sound.
fn sound(format: Format, payloads: &[(i64, bool, &[u8])]) -> (Vec<(i64, Vec<u8>)>, Stats) {
    video(format, payloads)
}

#[test]
fn aac_comes_one_several_or_parts_in_a_packet() {
    // Three units, as ffmpeg packs them; one in two packets; another behind it.
    let (frames, stats) = sound(
        aac(),
        &[
            (0, true, &[0, 48, 0, 2 << 3, 0, 1 << 3, 0, 3 << 3, 1, 2, 3, 4, 5, 6]),
            (3072, false, &[0, 16, 0, 5 << 3, 7, 8]),
            (3072, true, &[0, 16, 0, 5 << 3, 9, 10, 11]),
            (4096, true, &[0, 16, 0, 1 << 3, 12]),
        ],
    );
    let expected =
        [(0, vec![1, 2]), (23, vec![3]), (46, vec![4, 5, 6]), (70, vec![7, 8, 9, 10, 11]), (93, vec![12])];
    assert_eq!((frames, stats.damaged, stats.malformed), (expected.to_vec(), 0, 0));
    let (tags, _) = receive(aac(), &TCP, &packets(&[(0, true, &[0, 16, 0, 8, 1])]));
    assert_eq!(tags[1].body[..], [0xaf, 0, 0x12, 0x10]);
    assert_eq!(tags[2].body[..], [0xaf, 1, 1]);
    let properties = metadata::decode(&tags[0].body, crate::amf::Budget::default()).expect("metadata");
    assert_eq!(properties.get("audiosamplerate").and_then(|value| value.as_number()), Some(44_100.0));
}

#[test]
fn aac_of_other_field_widths_and_broken_headers() {
    let lbr = Packing::AacHbr { size_length: 6, index_length: 2, delta_length: 2 };
    let (frames, _) =
        sound(Format { packing: lbr, ..aac() }, &[(0, true, &[0, 16, 1 << 2, 2 << 2, 1, 2, 3])]);
    assert_eq!(frames, [(0, vec![1]), (23, vec![2, 3])]);
    let broken: [&[u8]; 6] =
        [&[0], &[0, 16], &[0xff, 0xff, 0, 8], &[0, 15, 0, 8, 1], &[0, 16, 0, 8, 1, 2, 3], &[0, 0, 1]];
    for payload in broken {
        let (frames, _) = sound(aac(), &[(0, true, payload), (1024, true, &[0, 16, 0, 8, 5])]);
        assert_eq!(frames.last().map(|frame| frame.1.clone()), Some(vec![5]), "{payload:x?}");
    }
    for (size_length, index_length) in [(0, 0), (255, 255), (40, 0)] {
        let packing = Packing::AacHbr { size_length, index_length, delta_length: index_length };
        let (frames, _) = sound(Format { packing, ..aac() }, &[(0, true, &[0, 16, 0, 8, 5])]);
        assert_eq!(frames, []);
    }
    // SBR: the clock is that of what is heard, and frames are of the core.
    let he = Format { record: vec![0x2b, 0x11, 0x88, 0x00], ..format(Codec::Aac, 48_000) };
    let (frames, _) = sound(he, &[(0, true, &[0, 32, 0, 8, 0, 8, 1, 2])]);
    assert_eq!(frames, [(0, vec![1]), (43, vec![2])]);
}

#[test]
fn a_lost_part_of_a_unit_costs_that_unit_and_no_other() {
    let all = packets(&[
        (0, false, &[0, 16, 0, 6 << 3, 1, 1]),
        (0, false, &[0, 16, 0, 6 << 3, 1, 1]),
        (0, true, &[0, 16, 0, 6 << 3, 1, 1]),
        (1024, true, &[0, 16, 0, 8, 2]),
        (2048, true, &[0, 16, 0, 8, 3]),
    ]);
    for missing in 0..3 {
        let some: Vec<Vec<u8>> = all
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != missing)
            .map(|(_, packet)| packet.clone())
            .collect();
        for config in [&TCP, &UDP] {
            let (tags, _) = receive(aac(), config, &some);
            let data: Vec<Vec<u8>> = frames(&tags).into_iter().map(|frame| frame.2).collect();
            assert_eq!(data, [vec![2], vec![3]], "{missing}");
        }
    }
}

#[test]
fn latm_has_lengths_before_its_units() {
    let latm = Format { packing: Packing::Latm, ..aac() };
    let long = vec![7; 290];
    let first = [&[0xff, 35][..], &long[..100]].concat();
    let (frames, stats) = sound(
        latm.clone(),
        &[
            (0, true, &[2, 1, 2]),
            (1024, false, &first),
            (1024, true, &long[100..]),
            (2048, true, &[1, 3, 2, 4, 5]),
        ],
    );
    assert_eq!(frames, [(0, vec![1, 2]), (23, long), (46, vec![3]), (70, vec![4, 5])]);
    assert_eq!((stats.damaged, stats.malformed), (0, 0));
    let all = packets(&[
        (0, true, &[2, 1, 2]),
        (1024, false, &first),
        (1024, true, &[7; 190]),
        (2048, true, &[1, 3]),
    ]);
    for missing in [1, 2] {
        let some: Vec<Vec<u8>> = all
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != missing)
            .map(|(_, packet)| packet.clone())
            .collect();
        let (tags, stats) = receive(latm.clone(), &TCP, &some);
        let data: Vec<Vec<u8>> = super::frames(&tags).into_iter().map(|frame| frame.2).collect();
        assert_eq!((data, stats.damaged), (vec![vec![1, 2], vec![3]], 1), "{missing}");
    }
}

/// Layer III, 128 kbit/s, 44100 Hz, stereo.
fn mp3_frame(fill: u8) -> Vec<u8> {
    [&[0xff, 0xfb, 0x90, 0][..], &[fill; 413]].concat()
}

#[test]
fn mpeg_audio_comes_several_or_parts_in_a_packet() {
    let mp3 = Format { channels: 0, ..format(Codec::Mp3, 90_000) };
    let both = [&[0; 4][..], &mp3_frame(1), &mp3_frame(2)].concat();
    let third = mp3_frame(3);
    let first_part = [&[0, 0, 0, 0][..], &third[..300]].concat();
    let last_part = [&[0, 0, 1, 44][..], &third[300..]].concat();
    let stream: &[(i64, bool, &[u8])] =
        &[(0, true, &both), (4702, false, &first_part), (4702, false, &last_part)];
    let (frames, stats) = sound(mp3.clone(), stream);
    assert_eq!(frames, [(0, mp3_frame(1)), (26, mp3_frame(2)), (52, mp3_frame(3))]);
    assert_eq!((stats.damaged, stats.malformed), (0, 0));
    let (tags, _) = receive(mp3.clone(), &TCP, &packets(stream));
    assert_eq!((tags.len(), tags[1].body[0]), (4, 0x2f), "no sequence header; 44100 Hz, stereo");
    let properties = metadata::decode(&tags[0].body, crate::amf::Budget::default()).expect("metadata");
    assert_eq!(properties.get("audiosamplerate").and_then(|value| value.as_number()), Some(44_100.0));
    for missing in [1, 2] {
        let mut some = packets(&[stream, &[(9404, true, &both)]].concat());
        some.remove(missing);
        let (tags, _) = receive(mp3.clone(), &TCP, &some);
        assert_eq!(super::frames(&tags).len(), 4, "{missing}");
    }
    let (frames, stats) = sound(mp3, &[(0, true, &[0, 0, 0]), (0, true, &[0, 0, 0, 0, 1, 2, 3, 4, 5])]);
    assert_eq!((frames.len(), stats.malformed), (0, 2));
}

#[test]
fn opus_and_g711_are_frames_as_they_are() {
    let (tags, _) = receive(format(Codec::Opus, 48_000), &TCP, &packets(&[(0, false, &[0xfc, 1])]));
    assert_eq!(tags[1].body[5..], *b"OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\0", "SDP has no header");
    assert_eq!(tags[2].body[5..], [0xfc, 1]);
    let ulaw = Format { channels: 1, ..format(Codec::G711U, 8000) };
    let (tags, _) = receive(ulaw, &TCP, &packets(&[(0, true, &[9; 160]), (160, false, &[8; 160])]));
    assert_eq!((tags.len(), tags[2].timestamp.0, tags[2].body[0], tags[2].body[1]), (3, 20, 0x82, 8));
}

#[test]
fn of_several_tracks_of_a_kind_the_first_that_can_be_read_counts() {
    let unknown = Format { codec: Codec::Vvc, ..h264() };
    let tracks = vec![Some(unknown), None, Some(h264()), Some(format(Codec::Hevc, 90_000)), Some(aac())];
    let mut receiver = Receiver::new(tracks, TCP, 7, NOW);
    for track in [0, 1, 2, 3, 4] {
        for packet in packets(&[(0, false, SPS), (0, false, PPS), (0, true, IDR)]) {
            receiver.handle_rtp(NOW, track, &packet);
        }
    }
    receiver.handle_timeout(NOW + SETTLING);
    let kinds: Vec<Option<Codec>> = all_tags(&mut receiver).iter().map(|tag| tag.classify().codec).collect();
    assert_eq!(kinds, [None, Some(Codec::H264), Some(Codec::H264)]);
}
