use super::*;
use crate::{
    codec::{
        annexb::{Piece, Splitter},
        h264, h265,
        nal::Units,
        raw::RawReader,
    },
    flv::TagRole,
    rtp::{Packing, packet},
};
use alloc::vec;

mod loss;
mod payloads;
mod round_trip;
mod time;

const X264: &[u8] = include_bytes!("../../../tests/data/raw/x264-slices-pyramid.h264");
const X265: &[u8] = include_bytes!("../../../tests/data/raw/x265-open-gop.h265");

fn format(codec: Codec, clock_rate: u32) -> Format {
    let packing = if codec == Codec::Aac { Packing::AAC_HBR } else { Packing::Native };
    Format { codec, payload_type: 96, clock_rate, channels: 2, record: vec![], packing }
}

const TCP: ReceiverConfig = ReceiverConfig { reorder: None, cname: String::new() };
const UDP: ReceiverConfig =
    ReceiverConfig { reorder: Some(Duration::from_millis(100)), cname: String::new() };
const NOW: MonoTime = MonoTime(1000);

/// Makes packets of one track.
struct Source {
    sequence: u16,
    ssrc: u32,
    /// Of time 0.
    base: u32,
}

impl Source {
    fn new(ssrc: u32) -> Source {
        // Both wrap soon.
        Source { sequence: 0xfffe, ssrc, base: 0xffff_f000 }
    }

    fn packet(&mut self, time: i64, marker: bool, payload: &[u8]) -> Vec<u8> {
        let timestamp = self.base.wrapping_add(time as u32);
        let header = packet::header(96, marker, self.sequence, timestamp, self.ssrc);
        self.sequence = self.sequence.wrapping_add(1);
        [&header, payload].concat()
    }
}

/// Fragments of a NAL unit, each of `len` bytes at most.
fn fragments(nal: &[u8], len: usize, is_h265: bool) -> Vec<Vec<u8>> {
    let header_len = if is_h265 { 2 } else { 1 };
    if nal.len() <= len {
        return vec![nal.to_vec()];
    }
    let (header, data) = nal.split_at(header_len);
    let count = data.len().div_ceil(len);
    let fragment = |(index, part): (usize, &[u8])| {
        let ends = u8::from(index == 0) << 7 | u8::from(index + 1 == count) << 6;
        let head = if is_h265 {
            vec![header[0] & 0x81 | 49 << 1, header[1], ends | header[0] >> 1 & 0x3f]
        } else {
            vec![header[0] & 0xe0 | 28, ends | header[0] & 0x1f]
        };
        [&head[..], part].concat()
    };
    data.chunks(len).enumerate().map(fragment).collect()
}

fn nals(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut splitter = Splitter::new();
    splitter.push(stream);
    splitter.finish();
    let next = || match splitter.next() {
        Some(Piece::Nal(nal)) => Some(nal.to_vec()),
        _ => None,
    };
    core::iter::from_fn(next).collect()
}

/// The tags that the reader of byte streams makes of it.
fn raw_tags(is_h265: bool) -> Vec<Tag> {
    let (mut reader, stream) =
        if is_h265 { (RawReader::h265(None), X265) } else { (RawReader::h264(None), X264) };
    reader.push(stream);
    reader.finish();
    core::iter::from_fn(|| reader.next().expect("a good stream")).collect()
}

/// The real stream in packets, with the times of presentation that its order gives, 25 pictures a second.
fn video_packets(is_h265: bool, fragment_len: usize) -> Vec<Vec<u8>> {
    let mut source = Source::new(0x1111);
    let tags = raw_tags(is_h265);
    let mut packets = vec![];
    for tag in &tags {
        let class = tag.classify();
        let data = &tag.body[class.tracks().next().expect("a track").data];
        let time = 90 * (i64::from(tag.timestamp.0) + i64::from(class.composition_time));
        let sets: Vec<Vec<u8>> = match class.role {
            TagRole::SequenceHeader => continue,
            // In front of each keyframe, as encoders do.
            _ if class.is_keyframe() => {
                let is_set = |nal: &Vec<u8>| match is_h265 {
                    true => matches!(h265::nal_type(nal[0]), 32..=34),
                    false => matches!(h264::nal_type(nal[0]), 7 | 8),
                };
                let count = if is_h265 { 3 } else { 2 };
                nals(if is_h265 { X265 } else { X264 }).into_iter().filter(is_set).take(count).collect()
            }
            _ => vec![],
        };
        let units: Vec<Vec<u8>> = sets.into_iter().chain(Units::new(data, 4).map(<[u8]>::to_vec)).collect();
        let payloads: Vec<Vec<u8>> =
            units.iter().flat_map(|nal| fragments(nal, fragment_len, is_h265)).collect();
        for (index, payload) in payloads.iter().enumerate() {
            packets.push(source.packet(time, index + 1 == payloads.len(), payload));
        }
    }
    packets
}

fn all_tags(receiver: &mut Receiver) -> Vec<Tag> {
    core::iter::from_fn(|| receiver.poll_tag()).collect()
}

fn receive(format: Format, config: &ReceiverConfig, packets: &[Vec<u8>]) -> (Vec<Tag>, Stats) {
    let mut receiver = Receiver::new(vec![Some(format)], config.clone(), 7, NOW);
    let mut tags = vec![];
    for (index, packet) in packets.iter().enumerate() {
        let now = NOW + Duration::from_millis(index as u64);
        receiver.handle_rtp(now, 0, packet);
        receiver.handle_timeout(now);
        tags.extend(all_tags(&mut receiver));
    }
    receiver.handle_timeout(NOW + Duration::from_secs(60));
    receiver.finish();
    tags.extend(all_tags(&mut receiver));
    (tags, receiver.stats())
}

/// Milliseconds of presentation, from that of the first frame on; bodies without their head.
fn frames(tags: &[Tag]) -> Vec<(i64, bool, Vec<u8>)> {
    let mut first = None;
    let frame = |tag: &Tag| {
        let class = tag.classify();
        let shown = i64::from(tag.timestamp.0) + i64::from(class.composition_time);
        let shown = shown - *first.get_or_insert(shown);
        let data = class.tracks().next().expect("a track").data;
        (shown, class.is_keyframe(), tag.body[data].to_vec())
    };
    tags.iter().filter(|tag| tag.classify().role.is_frame()).map(frame).collect()
}

#[test]
fn real_streams_with_b_pictures_come_out_as_from_a_byte_stream() {
    for (is_h265, codec) in [(false, Codec::H264), (true, Codec::Hevc)] {
        for len in [3, 40, 70, 1400] {
            let (tags, stats) = receive(format(codec, 90_000), &TCP, &video_packets(is_h265, len));
            let raw = raw_tags(is_h265);
            assert_eq!(frames(&tags), frames(&raw), "{codec} in fragments of {len}");
            assert_eq!((stats.damaged, stats.lost, stats.malformed), (0, 0, 0));
            assert_eq!(tags[0].classify().role, TagRole::Metadata);
            assert_eq!(tags[1].body, raw[0].body, "the sequence header");
            let decoded: Vec<u32> = tags[2..].iter().map(|tag| tag.timestamp.0).collect();
            assert!(decoded.windows(2).all(|pair| pair[0] < pair[1]), "{decoded:?}");
            assert!(tags[2..].iter().all(|tag| tag.classify().composition_time >= 0));
        }
    }
}
