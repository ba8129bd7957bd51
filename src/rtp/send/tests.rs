use super::*;
use crate::{
    base::Payload,
    codec::{h264, h265, nal::Units, raw::RawReader},
    flv::body::{self, AudioFormat},
    rtp::packet::Packet,
};
use alloc::{vec, vec::Vec};

/// One packet, taken apart.
#[derive(Clone, Debug, PartialEq)]
struct Got {
    track: usize,
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: Vec<u8>,
}

#[derive(Default)]
struct Packets(Vec<Got>);

impl Sink for Packets {
    fn packet(&mut self, track: usize, header: &[u8; HEADER_LEN], payload: &[&[u8]]) {
        let bytes = [&header[..], &payload.concat()].concat();
        let packet = Packet::parse(&bytes).expect("a packet");
        self.0.push(Got {
            track,
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            payload: packet.payload.to_vec(),
        });
    }
}

fn write(sender: &mut Sender, tags: &[Tag]) -> Vec<Got> {
    let mut packets = Packets::default();
    for tag in tags {
        sender.write(tag, &mut packets);
    }
    packets.0
}

fn tag(kind: TagKind, time: u32, body: Vec<u8>) -> Tag {
    Tag::new(kind, Timestamp(time), Payload::from(body))
}

fn video(codec: Codec, time: u32, is_keyframe: bool, later: i32, data: &[u8]) -> Tag {
    let mut body = vec![];
    assert!(body::start_video_frame(&mut body, codec, is_keyframe, later));
    body.extend_from_slice(data);
    tag(TagKind::Video, time, body)
}

fn video_header(codec: Codec, record: &[u8]) -> Tag {
    let mut body = vec![];
    assert!(body::start_video_header(&mut body, codec));
    body.extend_from_slice(record);
    tag(TagKind::Video, 0, body)
}

const MONO: AudioFormat = AudioFormat { sample_rate: 44_100, channels: 1 };

fn audio(codec: Codec, time: u32, data: &[u8]) -> Tag {
    let mut body = vec![];
    assert!(body::start_audio_frame(&mut body, codec, MONO));
    body.extend_from_slice(data);
    tag(TagKind::Audio, time, body)
}

fn sample(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&(unit.len() as u32).to_be_bytes()[..], unit].concat()).collect()
}

fn one(codec: Codec, record: &[u8], max_packet: usize) -> Sender {
    Sender::new(vec![Format::to_send(codec, record, None).expect("RTP carries it")], 7, max_packet)
}

fn payloads(packets: &[Got]) -> Vec<&[u8]> {
    packets.iter().map(|packet| &packet.payload[..]).collect()
}

/// What a picture has that is shown then, `nanos` later.
fn stamp(sender: &Sender, shown: u32, nanos: i32) -> u32 {
    let later = (f64::from(nanos) * 0.00009).round() as i32;
    sender.timestamp_at(0, Timestamp(shown)).wrapping_add_signed(later)
}

/// NAL units of one access unit's packets.
fn reassembled(is_hevc: bool, packets: &[Got]) -> Vec<Vec<u8>> {
    let header_len = if is_hevc { 2 } else { 1 };
    let mut units: Vec<Vec<u8>> = vec![];
    for Got { payload, .. } in packets {
        let kind = if is_hevc { h265::nal_type(payload[0]) } else { h264::nal_type(payload[0]) };
        match (is_hevc, kind) {
            (false, 24) | (true, 48) => {
                let mut rest = &payload[header_len..];
                while let [high, low, data @ ..] = rest {
                    let (unit, behind) = data.split_at(usize::from(u16::from_be_bytes([*high, *low])));
                    units.push(unit.to_vec());
                    rest = behind;
                }
            }
            (false, 28) | (true, 49) => {
                let (edges, data) = (payload[header_len], &payload[header_len + 1..]);
                assert!(edges & 0xc0 != 0xc0 && !data.is_empty());
                if edges & 0x80 != 0 {
                    units.push(match is_hevc {
                        false => vec![payload[0] & 0xe0 | edges & 0x1f],
                        true => vec![payload[0] & 0x81 | (edges & 0x3f) << 1, payload[1]],
                    });
                }
                units.last_mut().expect("a beginning").extend_from_slice(data);
            }
            _ => units.push(payload.clone()),
        }
    }
    units
}

/// Tags of a raw stream and the record in the first.
fn raw(mut reader: RawReader, stream: &[u8]) -> (Vec<u8>, Vec<Tag>) {
    reader.push(stream);
    reader.finish();
    let tags: Vec<Tag> = core::iter::from_fn(|| reader.next().expect("a good stream")).collect();
    let record = tags[0].classify().tracks().next().expect("a record").data;
    (tags[0].body[record].to_vec(), tags)
}

/// The same with more bytes in each slice.
fn longer(is_hevc: bool, tag: &Tag, more: usize) -> Tag {
    let class = tag.classify();
    if !class.role.is_frame() {
        return tag.clone();
    }
    let data = class.tracks().next().expect("a track").data;
    let mut body = tag.body[..data.start].to_vec();
    for unit in Units::new(&tag.body[data], 4) {
        let is_slice = if is_hevc { unit[0] >> 1 < 32 } else { unit[0] & 0x1f <= 5 };
        let padded = [unit, &vec![0x55; if is_slice { more } else { 0 }]].concat();
        body.extend_from_slice(&sample(&[&padded]));
    }
    Tag { body: Payload::from(body), ..tag.clone() }
}

/// Each access unit of a raw stream, one tag at a time, through packets of every size.
fn check_stream(is_hevc: bool, reader: fn() -> RawReader, stream: &[u8]) {
    let (record, tags) = raw(reader(), stream);
    let codec = if is_hevc { Codec::Hevc } else { Codec::H264 };
    let sets: Vec<Vec<u8>> = Sets::of(codec, &record).expect("a record").iter().map(<[u8]>::to_vec).collect();
    assert_eq!(sets.len(), if is_hevc { 3 } else { 2 });
    for (max_packet, more) in
        [MIN_PACKET_LEN, 500, PACKET_LEN, MAX_PACKET_LEN].into_iter().flat_map(|len| [(len, 0), (len, 700)])
    {
        let mut sender = one(codec, &record, max_packet);
        let mut next = sender.next_sequence(0);
        let mut frames = 0;
        for tag in &tags {
            let tag = longer(is_hevc, tag, more);
            let packets = write(&mut sender, core::slice::from_ref(&tag));
            let class = tag.classify();
            if class.role == TagRole::SequenceHeader {
                assert_eq!(packets, []);
                continue;
            }
            frames += 1;
            let data = &tag.body[class.tracks().next().expect("a track").data];
            let mut expected = if class.is_keyframe() { sets.clone() } else { vec![] };
            let aud = if is_hevc { h265::AUD } else { h264::AUD };
            let kind = |unit: &[u8]| if is_hevc { h265::nal_type(unit[0]) } else { h264::nal_type(unit[0]) };
            expected.extend(Units::new(data, 4).filter(|unit| kind(unit) != aud).map(<[u8]>::to_vec));
            assert_eq!(reassembled(is_hevc, &packets), expected, "{max_packet} bytes, {}", tag.timestamp);
            let shown = tag.timestamp.0.wrapping_add_signed(class.composition_time);
            for (index, packet) in packets.iter().enumerate() {
                assert!(packet.payload.len() + HEADER_LEN <= max_packet);
                assert_eq!(packet.sequence, next);
                next = next.wrapping_add(1);
                assert_eq!(packet.marker, index + 1 == packets.len());
                assert_eq!(packet.timestamp, stamp(&sender, shown, tag.nanos));
            }
        }
        assert!(frames > 5, "{frames} frames");
    }
}

#[test]
fn access_units_of_h264_come_out_of_packets_of_any_size_as_they_were() {
    check_stream(
        false,
        || RawReader::h264(Some(25.0)),
        include_bytes!("../../../tests/data/raw/x264-slices-pyramid.h264"),
    );
}

#[test]
fn access_units_of_h265_come_out_of_packets_of_any_size_as_they_were() {
    check_stream(
        true,
        || RawReader::h265(Some(25.0)),
        include_bytes!("../../../tests/data/raw/x265-open-gop.h265"),
    );
}

/// Level 3.1 for 64x64.
const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0xda, 0x11, 0x12, 0x40];
const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

fn avcc() -> Vec<u8> {
    let sets = |set: &[u8]| [&(set.len() as u16).to_be_bytes()[..], set].concat();
    [&[1, 0x42, 0xc0, 0x1f, 0xff, 0xe1][..], &sets(SPS), &[1], &sets(PPS)].concat()
}

#[test]
fn small_units_of_h264_go_together_behind_the_sets_and_large_ones_in_fragments() {
    let mut sender = one(Codec::H264, &avcc(), MIN_PACKET_LEN);
    let slice: Vec<u8> = core::iter::once(0x65).chain((0..200).map(|n| n as u8)).collect();
    let keyframe = sample(&[&[9, 0xf0], &[6, 5, 1, 0x80], &slice]);
    let packets = write(&mut sender, &[video(Codec::H264, 40, true, 80, &keyframe)]);
    let stap = [&[0x78, 0, 8][..], SPS, &[0, 4], PPS, &[0, 4, 6, 5, 1, 0x80]].concat();
    let fu = [[&[0x7c, 0x85][..], &slice[1..115]].concat(), [&[0x7c, 0x45][..], &slice[115..]].concat()];
    assert_eq!(payloads(&packets), [&stap[..], &fu[0], &fu[1]]);
    let base = sender.timestamp_at(0, Timestamp(0));
    let times: Vec<_> = packets.iter().map(|packet| packet.timestamp.wrapping_sub(base)).collect();
    assert_eq!(times, [120 * 90; 3]);
    let inter = write(&mut sender, &[video(Codec::H264, 80, false, 0, &sample(&[&[0x41, 1], &[0x41, 2]]))]);
    assert_eq!(payloads(&inter), [[0x58, 0, 2, 0x41, 1, 0, 2, 0x41, 2]]);
    assert!(inter[0].marker && inter[0].payload_type == 96);
}

#[test]
fn sets_between_the_pictures_are_sent_once_and_kept_for_the_next_keyframe() {
    let mut sender = one(Codec::H264, &avcc(), PACKET_LEN);
    let other = [0x68, 0xce, 0x38, 0x80];
    assert_eq!(h264::Pps::parse(&other).map(|pps| pps.id), h264::Pps::parse(PPS).map(|pps| pps.id));
    let idr = [0x65, 0x88];
    let with_sets = video(Codec::H264, 0, true, 0, &sample(&[SPS, &other, &[6, 5], &idr]));
    let without = video(Codec::H264, 40, true, 0, &sample(&[&idr]));
    let inter = video(Codec::H264, 80, false, 0, &sample(&[PPS, &[0x41, 1]]));
    let unmarked = video(Codec::H264, 120, false, 0, &sample(&[&idr]));
    let delimiter = video(Codec::H264, 160, true, 0, &sample(&[&[9, 0xf0]]));
    let units =
        |sender: &mut Sender, tag: &Tag| reassembled(false, &write(sender, core::slice::from_ref(tag)));
    assert_eq!(units(&mut sender, &with_sets), [SPS, &other, &[6, 5], &idr]);
    assert_eq!(units(&mut sender, &without), [SPS, &other, &idr]);
    assert_eq!(units(&mut sender, &inter), [PPS, &[0x41, 1]], "where no keyframe is they stay as they are");
    assert_eq!(units(&mut sender, &unmarked), [SPS, PPS, &idr], "an IDR picture, whatever the tag says");
    assert_eq!(units(&mut sender, &delimiter), [] as [&[u8]; 0]);
    // A new record replaces them all.
    let header = video_header(Codec::H264, &[1, 0x42, 0xc0, 0x1f, 0xfd, 0xe0, 0]);
    assert_eq!(units(&mut sender, &header), [] as [&[u8]; 0]);
    let short = video(Codec::H264, 200, true, 0, &[0, 2, 0x65, 0x88]);
    assert_eq!(units(&mut sender, &short), [idr], "its lengths have two bytes");
}

#[test]
fn sets_that_are_too_many_or_too_long_stay_in_the_stream() {
    let mut sender = one(Codec::H264, &[1, 0x42, 0xc0, 0x1f, 0xff, 0xe0, 0], PACKET_LEN);
    let mut long = SPS.to_vec();
    long.resize(MAX_SETS_LEN, 1);
    let units = [&long[..], &[0x67], &[0x65, 1]];
    let packets = write(&mut sender, &[video(Codec::H264, 0, true, 0, &sample(&units))]);
    assert_eq!(reassembled(false, &packets), units);
    assert_eq!(sender.tracks[0].sets.iter().map(<[u8]>::len).sum::<usize>(), MAX_SETS_LEN);
    let packets = write(&mut sender, &[video(Codec::H264, 40, true, 0, &sample(&[PPS, &[0x65, 1]]))]);
    assert_eq!(reassembled(false, &packets), [&long[..], PPS, &[0x65, 1]], "no room for another");
}

fn obu(kind: u8, len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..len).map(|n| (n + usize::from(kind)) as u8).collect();
    let size = if len < 128 { vec![len as u8] } else { vec![len as u8 | 0x80, (len >> 7) as u8] };
    [&[kind << 3 | 2][..], &size, &payload].concat()
}

/// OBUs of a temporal unit's packets, without sizes; and whether each packet began a sequence.
fn reassembled_av1(packets: &[Got]) -> (Vec<Vec<u8>>, Vec<bool>) {
    let (mut obus, mut begins) = (Vec::<Vec<u8>>::new(), vec![]);
    let mut goes_on = false;
    for Got { payload, .. } in packets {
        let header = payload[0];
        assert_eq!(header >> 7 == 1, goes_on);
        goes_on = header >> 6 & 1 == 1;
        begins.push(header >> 3 & 1 == 1);
        let (mut rest, mut number, count) = (&payload[1..], 0, header >> 4 & 3);
        while !rest.is_empty() {
            number += 1;
            let mut len = rest.len();
            if number != count {
                (len, rest) = match *rest {
                    [low, high, ref rest @ ..] if low >= 0x80 => {
                        (usize::from(low & 0x7f) | usize::from(high) << 7, rest)
                    }
                    [len, ref rest @ ..] => (len.into(), rest),
                    [] => panic!("no length"),
                };
            }
            let (element, behind) = rest.split_at(len);
            match obus.last_mut() {
                Some(last) if number == 1 && header >> 7 == 1 => last.extend_from_slice(element),
                _ => obus.push(element.to_vec()),
            }
            rest = behind;
        }
        assert!(count == 0 || number == count);
    }
    (obus, begins)
}

#[test]
fn temporal_units_of_av1_lose_delimiters_and_sizes_and_nothing_else() {
    let config = obu(1, 10);
    let record = [&[0x81, 0, 0x0c, 0][..], &config].concat();
    for max_packet in [MIN_PACKET_LEN, 333, PACKET_LEN] {
        let mut sender = one(Codec::Av1, &record, max_packet);
        for len in (0..300).chain([1000, 1384, 1385, 1386, 1387, 5000]) {
            let obus = [obu(2, 0), obu(6, len), obu(5, 3), obu(5, 100), obu(5, 9), obu(6, 40)];
            let mut unit = obus.concat();
            // The last one needs no size.
            unit.extend_from_slice(&[6 << 3, 1, 2, 3]);
            let without_size = |obu: &Vec<u8>| {
                let size = if obu[1] & 0x80 != 0 { 2 } else { 1 };
                [&[obu[0] & !2][..], &obu[1 + size..]].concat()
            };
            let mut expected: Vec<Vec<u8>> = obus[1..].iter().map(without_size).collect();
            expected.push(vec![6 << 3, 1, 2, 3]);
            let inter = write(&mut sender, &[video(Codec::Av1, 0, false, 0, &unit)]);
            assert_eq!(reassembled_av1(&inter).0, expected, "{len} in {max_packet}");
            assert!(inter.iter().all(|packet| packet.payload.len() + HEADER_LEN <= max_packet));
            expected.insert(0, without_size(&config));
            let key = write(&mut sender, &[video(Codec::Av1, 40, true, 0, &unit)]);
            let (found, begins) = reassembled_av1(&key);
            assert_eq!(found, expected);
            assert!(begins[0] && !begins[1..].contains(&true) && key.last().expect("packets").marker);
        }
        let with_header = [obu(2, 0), obu(1, 4), obu(6, 5)].concat();
        let packets = write(&mut sender, &[video(Codec::Av1, 80, true, 0, &with_header)]);
        assert_eq!(payloads(&packets), [[0x28, 5, 8, 1, 2, 3, 4, 0x30, 6, 7, 8, 9, 10]], "its own is enough");
        assert_eq!(write(&mut sender, &[video(Codec::Av1, 80, true, 0, &obu(2, 0))]), []);
    }
}

#[test]
fn obus_of_different_layers_never_share_a_packet() {
    let mut sender = one(Codec::Av1, &[], PACKET_LEN);
    let unit = [0x36, 0x00, 1, 7, 0x36, 0x08, 1, 8, 0x36, 0x08, 1, 9];
    let packets = write(&mut sender, &[video(Codec::Av1, 0, false, 0, &unit)]);
    assert_eq!(payloads(&packets), [&[0x10, 0x34, 0, 7][..], &[0x20, 3, 0x34, 8, 8, 0x34, 8, 9]]);
}

#[test]
fn vp8_and_vp9_say_where_frames_begin_and_end() {
    let frame: Vec<u8> = (0..200).collect();
    let (first, rest) = frame.split_at(MIN_PACKET_LEN - HEADER_LEN - 1);
    for (codec, is_keyframe, descriptors) in
        [(Codec::Vp8, true, [0x10, 0]), (Codec::Vp9, true, [8, 4]), (Codec::Vp9, false, [0x48, 0x44])]
    {
        let mut sender = one(codec, &[], MIN_PACKET_LEN);
        let packets = write(&mut sender, &[video(codec, 0, is_keyframe, 0, &frame)]);
        let expected = [[&descriptors[..1], first].concat(), [&descriptors[1..], rest].concat()];
        assert_eq!(payloads(&packets), expected, "{codec}");
        assert_eq!(packets.iter().map(|packet| packet.marker).collect::<Vec<_>>(), [false, true]);
    }
}

#[test]
fn aac_has_a_header_with_the_size_of_the_whole_before_each_fragment() {
    let mut sender = one(Codec::Aac, &[0x12, 0x10], 500);
    let unit: Vec<u8> = (0..820).map(|n| n as u8).collect();
    let tags = [&unit[..371], &unit, &[0; 8191], &[0; 8192]].map(|unit| audio(Codec::Aac, 0, unit));
    let packets = write(&mut sender, &tags);
    let whole = [&[0, 0x10, 0x0b, 0x98][..], &unit[..371]].concat();
    let parts = [&unit[..484], &unit[484..]].map(|part| [&[0, 0x10, 0x19, 0xa0][..], part].concat());
    assert_eq!(payloads(&packets)[..3], [&whole[..], &parts[0], &parts[1]]);
    let markers: Vec<_> = packets.iter().map(|packet| packet.marker).collect();
    assert_eq!(markers[..3], [true, false, true]);
    assert_eq!(packets[3].payload[..4], [0, 0x10, 0xff, 0xf8]);
    let sent: usize = packets[3..].iter().map(|packet| packet.payload.len() - 4).sum();
    assert_eq!(sent, 8191, "a longer one cannot be said");
}

#[test]
fn mp3_frames_go_one_a_packet_and_fragments_say_where_they_belong() {
    // 128 kbit/s, 44100 Hz: 417 bytes.
    let frame = [&[0xff, 0xfb, 0x90, 0xc0][..], &[7; 413]].concat();
    let mut sender = one(Codec::Mp3, &[], 316);
    let packets = write(&mut sender, &[audio(Codec::Mp3, 0, &[&frame[..], &frame].concat())]);
    let parts = [(0, &frame[..300]), (300, &frame[300..])]
        .map(|(at, part)| [&[0, 0, (at >> 8) as u8, at as u8][..], part].concat());
    assert_eq!(payloads(&packets), [&parts[0][..], &parts[1], &parts[0], &parts[1]]);
    let steps: Vec<_> = packets.iter().map(|packet| packet.timestamp - packets[0].timestamp).collect();
    assert_eq!(steps, [0, 0, 2351, 2351]);
    let markers: Vec<_> = packets.iter().map(|packet| packet.marker).collect();
    assert_eq!(markers, [true, false, false, false]);
}

#[test]
fn long_g711_tags_are_split_and_each_packet_has_its_time() {
    let mut sender = one(Codec::G711U, &[], MIN_PACKET_LEN);
    let data: Vec<u8> = (0..250).collect();
    let packets = write(&mut sender, &[audio(Codec::G711U, 0, &data), audio(Codec::G711U, 31, &data)]);
    assert_eq!(payloads(&packets)[..3], [&data[..116], &data[116..232], &data[232..]]);
    let steps: Vec<_> =
        packets.iter().map(|packet| packet.timestamp.wrapping_sub(packets[0].timestamp)).collect();
    assert_eq!(steps, [0, 116, 232, 250, 366, 482]);
    assert!(packets[0].payload_type == 0 && packets[0].marker && !packets[3].marker);
}

#[test]
fn opus_packets_are_payloads_and_too_long_ones_left_out() {
    let mut sender = one(Codec::Opus, &[], PACKET_LEN);
    // 20 ms, 60 ms, 20 ms.
    let frames =
        [vec![0xfc; 3], [&[0xff, 3][..], &[9; 2000]].concat(), vec![0xfc; MAX_PACKET_LEN], vec![0xfc]];
    let times = [0, 20, 80, 100];
    let tags: Vec<Tag> =
        frames.iter().zip(times).map(|(frame, time)| audio(Codec::Opus, time, frame)).collect();
    let packets = write(&mut sender, &tags);
    assert_eq!(payloads(&packets), [&frames[0][..], &frames[1], &frames[3]]);
    let steps: Vec<_> =
        packets.iter().map(|packet| packet.timestamp.wrapping_sub(packets[0].timestamp)).collect();
    assert_eq!(steps, [0, 960, 4800]);
}

/// Differences of the timestamps of AAC at 44100 Hz with tags at these times.
fn aac_steps(times: &[u32]) -> (Vec<i32>, Vec<bool>) {
    let mut sender = one(Codec::Aac, &[0x12, 0x10], PACKET_LEN);
    let tags: Vec<Tag> = times.iter().map(|time| audio(Codec::Aac, *time, &[1])).collect();
    let packets = write(&mut sender, &tags);
    let step = |pair: &[Got]| pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32;
    (packets.windows(2).map(step).collect(), packets.iter().map(|packet| packet.marker).collect())
}

#[test]
fn sound_is_stamped_by_its_samples_and_put_right_where_time_parts_from_them() {
    let rounded: Vec<u32> = (0..2000).map(|n| (n * 1024 * 10 / 441) as u32).collect();
    assert!(aac_steps(&rounded).0.iter().all(|step| *step == 1024));
    assert_eq!(aac_steps(&[0, 10, 60, 60]).0, [1024; 3], "up to a frame");
    assert_eq!(aac_steps(&[0, 23, 1000, 1023]).0, [1024, 43_076, 1024], "a gap");
    assert_eq!(aac_steps(&[1000, 1023, 0, 23]).0, [1024, -45_124, 1024], "a step back");
    let wrap = [u32::MAX - 22, 0, 23];
    assert_eq!(aac_steps(&wrap).0, [1024; 2], "the end of 32 bits");
}

#[test]
fn times_of_publishers_may_be_anything() {
    let times = [0, 0x7fff_ffff, u32::MAX, 5, 0x8000_0005, 0x8000_0004, 0];
    assert_eq!(aac_steps(&times).0.len(), times.len() - 1);
    let mut sender = one(Codec::H264, &avcc(), PACKET_LEN);
    let mut expected = vec![];
    let tags: Vec<Tag> = times
        .iter()
        .map(|time| {
            expected.push(time.wrapping_mul(90).wrapping_sub(90 * 5));
            video(Codec::H264, *time, false, -5, &sample(&[&[0x41]]))
        })
        .collect();
    let base = sender.timestamp_at(0, Timestamp(0));
    let found: Vec<u32> =
        write(&mut sender, &tags).iter().map(|packet| packet.timestamp.wrapping_sub(base)).collect();
    assert_eq!(found, expected, "2^32 milliseconds are a whole number of rounds at 90000 Hz");
    // As far as 64 bits go, and beyond.
    sender.clock.set_newest(i64::MAX);
    assert_eq!(write(&mut sender, &tags).len(), tags.len());
}

#[test]
fn times_to_the_nanosecond_give_each_tick_back() {
    let tick = |number: u64, rate: u64| {
        let nanoseconds = number * 1_000_000_000 / rate;
        let (ms, nanos) = (nanoseconds / 1_000_000, nanoseconds % 1_000_000);
        (ms as u32, nanos as i32)
    };
    let mut video_sender = one(Codec::H264, &avcc(), PACKET_LEN);
    let base = video_sender.timestamp_at(0, Timestamp(0));
    for number in [1, 3003, 6006, 9009, 90_001, 123_456_789] {
        let (ms, nanos) = tick(number, 90_000);
        let shown = Tag { nanos, ..video(Codec::H264, ms, false, 0, &sample(&[&[0x41]])) };
        let packets = write(&mut video_sender, &[shown]);
        assert_eq!(u64::from(packets[0].timestamp.wrapping_sub(base)), number);
        assert!(packets[0].timestamp.wrapping_sub(video_sender.timestamp_at(0, Timestamp(ms))) < 90);
    }
    // Frames with 100 ticks too many in between, which milliseconds would not be believed.
    let mut audio_sender = one(Codec::Aac, &[0x11, 0x90], PACKET_LEN);
    let numbers = [0, 1024, 2148, 3172, 4196];
    let tags = numbers.map(|number| {
        let (ms, nanos) = tick(number, 48_000);
        Tag { nanos, ..audio(Codec::Aac, ms, &[1]) }
    });
    let packets = write(&mut audio_sender, &tags);
    let found = packets.iter().map(|packet| u64::from(packet.timestamp.wrapping_sub(packets[0].timestamp)));
    assert_eq!(found.collect::<Vec<_>>(), numbers);
}

/// 4 s of both kinds as RTMP has them, keyframes every second.
fn stream(begin: u32) -> Vec<Tag> {
    let mut tags = vec![];
    for frame in 0..100 {
        let slice = [if frame % 25 == 0 { 0x65 } else { 0x41 }, frame as u8, 0, 1];
        let long = [&slice[..], &[3; 3000]].concat();
        let data = if frame % 5 == 0 { &long[..] } else { &slice };
        let time = begin.wrapping_add(frame * 40);
        tags.push((frame * 40, video(Codec::H264, time, frame % 25 == 0, 0, &sample(&[data]))));
    }
    for frame in 0..172 {
        let time = frame * 10_240 / 441;
        tags.push((time, audio(Codec::Aac, begin.wrapping_add(time), &[frame as u8; 200])));
    }
    tags.sort_by_key(|(time, _)| *time);
    tags.into_iter().map(|(_, tag)| tag).collect()
}

fn both(seed: u64) -> Sender {
    let formats = [(Codec::H264, avcc()), (Codec::Aac, vec![0x12, 0x10])];
    let formats =
        formats.map(|(codec, record)| Format::to_send(codec, &record, None).expect("RTP carries it"));
    Sender::new(formats.to_vec(), seed, PACKET_LEN)
}

#[test]
fn behind_a_pause_numbers_and_sound_run_on_and_behind_a_jump_sound_has_its_own_time() {
    // 2351.02 ticks each, in whole milliseconds.
    let frame = [&[0xff, 0xfb, 0x90, 0xc0][..], &[7; 413]].concat();
    let tags: Vec<Tag> = (0..300).map(|number| audio(Codec::Mp3, number * 11_520 / 441, &frame)).collect();
    let all = write(&mut one(Codec::Mp3, &[], PACKET_LEN), &tags);
    for is_elsewhere in [false, true] {
        let mut sender = one(Codec::Mp3, &[], PACKET_LEN);
        let mut packets = write(&mut sender, &tags[..100]);
        sender.restart(is_elsewhere);
        packets.extend(write(&mut sender, &tags[100..]));
        assert!(packets[100].marker && !all[100].marker);
        packets[100].marker = false;
        if is_elsewhere {
            let by_time = sender.timestamp_at(0, tags[100].timestamp);
            assert_eq!(packets[100].timestamp, by_time);
            assert_ne!(by_time, all[100].timestamp);
            assert_eq!(packets[299].sequence, all[299].sequence);
        } else {
            assert_eq!(packets, all);
        }
    }
}

#[test]
fn reports_name_one_instant_for_all_tracks() {
    let mut sender = both(9);
    let packets = write(&mut sender, &stream(0));
    let now = (3_900_000_000 << 32) + (1 << 31);
    sender.set_clock(Timestamp(1000), now - (2 << 32));
    for track in [0, 1] {
        let mut report = vec![];
        sender.report(track, now, &mut report);
        let (count, octets) = packets
            .iter()
            .filter(|packet| packet.track == track)
            .fold((0, 0), |(count, octets), packet| (count + 1, octets + packet.payload.len() as u32));
        let expected = SenderReport {
            ssrc: sender.ssrc(track),
            ntp: now,
            rtp_timestamp: sender.timestamp_at(track, Timestamp(3000)),
            packets: count,
            octets,
        };
        assert_eq!(rtcp::parse(&report), [rtcp::Part::Sender(expected)]);
        let mut goodbye = vec![];
        sender.goodbye(track, now, &mut goodbye);
        let parts = [rtcp::Part::Sender(expected), rtcp::Part::Goodbye(sender.ssrc(track))];
        assert_eq!(rtcp::parse(&goodbye), parts);
    }
    let passed = |track, rate: u32| {
        let at = |time| sender.timestamp_at(track, Timestamp(time));
        assert_eq!(at(3000).wrapping_sub(at(0)), 3 * rate);
    };
    passed(0, 90_000);
    passed(1, 44_100);
    let mut none = vec![];
    sender.report(2, now, &mut none);
    assert_eq!((none.len(), sender.ssrc(2), sender.next_sequence(2)), (0, 0, 0));
}

#[test]
fn tracks_differ_and_the_seed_decides() {
    let (one, same, other) = (both(1), both(1), both(2));
    assert_ne!(one.ssrc(0), one.ssrc(1));
    for track in [0, 1] {
        assert_eq!(one.ssrc(track), same.ssrc(track));
        assert_ne!(one.ssrc(track), other.ssrc(track));
        assert!((2..0x8000).contains(&one.next_sequence(track)));
        assert_ne!(one.next_sequence(track), other.next_sequence(track));
        let start = |sender: &Sender| sender.timestamp_at(track, Timestamp(0));
        assert_ne!(start(&one), start(&other));
    }
}

#[test]
fn only_what_players_must_be_told_is_a_change() {
    let sender = both(1);
    let mut aac = vec![];
    assert!(body::start_audio_header(&mut aac, Codec::Aac));
    let aac = |config: &[u8]| tag(TagKind::Audio, 0, [&aac[..], config].concat());
    let hevc = video(Codec::Hevc, 0, true, 0, &[0, 0, 0, 1, 2]);
    for (tag, changes) in [
        (aac(&[0x12, 0x10]), false),
        (aac(&[0x11, 0x90]), true),
        (audio(Codec::Aac, 0, &[1]), false),
        (audio(Codec::Mp3, 0, &[1]), true),
        (video_header(Codec::H264, &[1, 100, 0, 31, 0xff, 0xe0, 0]), false),
        (video(Codec::H264, 0, false, 0, &[1]), false),
        (hevc.clone(), true),
        (tag(TagKind::Video, 0, vec![0x57, 0]), false),
        (tag(TagKind::Audio, 0, vec![]), false),
        (tag(TagKind::Data, 0, vec![2, 0, 1, b'x']), false),
    ] {
        assert_eq!(sender.changes(&tag), changes, "{tag:?}");
    }
    let alone = one(Codec::Mp3, &[], PACKET_LEN);
    assert!(!alone.changes(&hevc), "a track that was not there is none that changes");
    assert_eq!(write(&mut alone.clone(), core::slice::from_ref(&hevc)), []);
    assert_eq!(write(&mut sender.clone(), &[hevc]), [], "of another codec");
}

#[test]
fn of_many_tracks_in_a_tag_the_default_one_is_sent() {
    let mut sender = one(Codec::Opus, &[], PACKET_LEN);
    let many = [&[0x95, 0x11][..], b"Opus", &[1, 0, 0, 2, 0xfc, 1, 0, 0, 0, 2, 0xfc, 2]].concat();
    let other = [&[0x95, 0x01][..], b"Opus", &[1, 0xfc, 3]].concat();
    let tags = [many, other].map(|body| tag(TagKind::Audio, 0, body));
    assert_eq!(payloads(&write(&mut sender, &tags)), [[0xfc, 2]]);
}

#[test]
fn the_fuzz_body_holds_for_tags_of_each_codec_and_for_noise() {
    let mut random = SplitMix64(3);
    for codec in 0..9 {
        for len in [0, 5, 80] {
            let nal = [1, 40, 7, 5, 0x65, 1, 2, 3, 4, 5];
            let (long, obus) = ([0x11, 40, 6, 5, 0x65, 1, 2, 3, 4], [0x12, 0, 4, 0x32, 2, 1, 2]);
            fuzz(&[&[codec, len][..], &nal, &long, &obus, &[0x25, 200, 2, 0xff, 0xfb]].concat());
            for size in (0..400).step_by(7) {
                let noise: Vec<u8> = (0..size).map(|_| random.next() as u8).collect();
                fuzz(&[&[codec, len][..], &noise].concat());
            }
        }
    }
}
