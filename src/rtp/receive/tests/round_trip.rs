//! Tags -> packets -> tags.

use super::*;
use crate::{
    base::Payload,
    flv::body::{self, AudioFormat},
    rtp::send::{Sender, Sink},
};

struct Packets(Vec<(usize, Vec<u8>)>);

impl Sink for Packets {
    fn packet(&mut self, track: usize, header: &[u8; 12], payload: &[&[u8]]) {
        self.0.push((track, [&header[..], &payload.concat()].concat()));
    }
}

/// Nanoseconds at which it is shown.
fn shown(tag: &Tag) -> i64 {
    let millis = i64::from(tag.timestamp.0) + i64::from(tag.classify().composition_time);
    millis * 1_000_000 + i64::from(tag.nanos)
}

fn media(tag: &Tag) -> (bool, Vec<u8>) {
    let class = tag.classify();
    (class.is_keyframe(), tag.body[class.tracks().next().expect("a track").data].to_vec())
}

/// Frames through a sender and a receiver. `known`: the receiver is told the record.
fn through(format: &Format, tags: &[Tag], max_packet: usize, is_known: bool) -> Vec<Tag> {
    let mut sender = Sender::new(vec![format.clone()], 5, max_packet);
    let mut packets = Packets(vec![]);
    tags.iter().for_each(|tag| sender.write(tag, &mut packets));
    let mut described = format.clone();
    if !is_known {
        described.record.clear();
    }
    let mut receiver = Receiver::new(vec![Some(described)], UDP, 7, NOW);
    for (_, packet) in &packets.0 {
        receiver.handle_rtp(NOW, 0, packet);
    }
    receiver.finish();
    let received = all_tags(&mut receiver);
    let stats = receiver.stats();
    assert_eq!((stats.lost, stats.damaged, stats.malformed), (0, 0, 0));
    received
}

/// Checks that all frames come out at the same times within a tick, give the same packets again, and that the record does.
fn check(format: &Format, tags: &[Tag], is_known: bool) {
    for max_packet in [128, 1400] {
        let received = through(format, tags, max_packet, is_known);
        let frames = |tags: &[Tag]| -> Vec<Tag> {
            tags.iter().filter(|tag| tag.classify().role.is_frame()).cloned().collect()
        };
        let (sent, got) = (frames(tags), frames(&received));
        let bodies = |tags: &[Tag]| tags.iter().map(media).collect::<Vec<_>>();
        assert_eq!(bodies(&sent), bodies(&got), "{} in packets of {max_packet}", format.codec);
        let moved = shown(&got[0]) - shown(&sent[0]);
        let tick = 1_000_000_000 / i64::from(format.clock_rate) + 1;
        for (sent, got) in sent.iter().zip(&got) {
            let off = shown(got) - shown(sent) - moved;
            assert!(off.abs() <= tick, "{}: {off} ns off", format.codec);
        }
        let mut records = received.iter().filter(|tag| tag.classify().role == TagRole::SequenceHeader);
        let record = records.next().map(|tag| media(tag).1);
        if is_known && !format.record.is_empty() || format.codec == Codec::Av1 {
            assert_eq!(record.as_ref(), Some(&format.record), "{}", format.codec);
        }
        assert_eq!(records.next(), None);
        // Once more: timestamps to the tick.
        let stamps = |tags: &[Tag]| -> Vec<u32> {
            let mut sender = Sender::new(vec![format.clone()], 5, max_packet);
            let mut packets = Packets(vec![]);
            tags.iter().for_each(|tag| sender.write(tag, &mut packets));
            let stamps =
                packets.0.iter().map(|(_, packet)| Packet::parse(packet).expect("a packet").timestamp);
            let stamps: Vec<u32> = stamps.collect();
            stamps.iter().map(|stamp| stamp.wrapping_sub(stamps[0])).collect()
        };
        let (first, again) = (stamps(&sent), stamps(&got));
        let worst = first.iter().zip(&again).map(|(a, b)| a.wrapping_sub(*b) as i32).map(i32::abs).max();
        assert!(worst <= Some(1), "{}: {worst:?} ticks", format.codec);
    }
}

fn video(codec: Codec, frames: &[(bool, &[u8])]) -> Vec<Tag> {
    let tag = |(index, (is_keyframe, data)): (usize, &(bool, &[u8]))| {
        let mut body = vec![];
        assert!(body::start_video_frame(&mut body, codec, *is_keyframe, 0));
        body.extend_from_slice(data);
        // 29.97 pictures a second.
        let time = index as i64 * 1_001_000_000_000 / 30_000;
        let mut tag = Tag::new(TagKind::Video, Timestamp((time / 1_000_000) as u32), Payload::from(body));
        tag.nanos = (time % 1_000_000) as i32;
        tag
    };
    frames.iter().enumerate().map(tag).collect()
}

fn audio(codec: Codec, format: AudioFormat, samples: u64, frames: &[Vec<u8>]) -> Vec<Tag> {
    let tag = |(index, data): (usize, &Vec<u8>)| {
        let mut body = vec![];
        assert!(body::start_audio_frame(&mut body, codec, format));
        body.extend_from_slice(data);
        let time = (index as u64 * samples * 1_000_000_000 / u64::from(format.sample_rate)) as i64;
        let mut tag = Tag::new(TagKind::Audio, Timestamp((time / 1_000_000) as u32), Payload::from(body));
        tag.nanos = (time % 1_000_000) as i32;
        tag
    };
    frames.iter().enumerate().map(tag).collect()
}

fn to_send(codec: Codec, record: &[u8], audio: Option<AudioFormat>) -> Format {
    Format::to_send(codec, record, audio).expect("RTP carries it")
}

#[test]
fn video_with_b_pictures_comes_back_whether_its_sets_are_described_or_not() {
    for (is_h265, codec) in [(false, Codec::H264), (true, Codec::Hevc)] {
        let tags = raw_tags(is_h265);
        let record = media(&tags[0]).1;
        for is_known in [true, false] {
            check(&to_send(codec, &record, None), &tags, is_known);
        }
    }
}

#[test]
fn av1_vp8_and_vp9_come_back() {
    let long: Vec<u8> = (0..3000).map(|index| index as u8).collect();
    // libaom, 64x64.
    let record = [0x81, 0, 0x0c, 0, 0x0a, 0x0a, 0, 0, 0, 2, 0xaf, 0xff, 0x9b, 0x5f, 0x20, 0x08];
    let mut key = record[4..].to_vec();
    codec::av1::append_obu(&mut key, &[0x30], &long);
    let mut inter = vec![];
    codec::av1::append_obu(&mut inter, &[0x34, 0x08], &long[..700]);
    codec::av1::append_obu(&mut inter, &[0x30], &[1]);
    let tags = video(Codec::Av1, &[(true, &key), (false, &inter), (false, &inter), (true, &key)]);
    for is_known in [true, false] {
        check(&to_send(Codec::Av1, &record, None), &tags, is_known);
    }
    let vp8_key = [&[0x50, 0x42, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00][..], &long].concat();
    let tags = video(Codec::Vp8, &[(true, &vp8_key), (false, &long[1..]), (false, &[0x51, 9])]);
    check(&to_send(Codec::Vp8, &[], None), &tags, true);
    let vp9_key = [&[0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30][..], &long].concat();
    let tags = video(Codec::Vp9, &[(true, &vp9_key), (false, &[0x86, 1, 2]), (true, &vp9_key)]);
    check(&to_send(Codec::Vp9, &[], None), &tags, true);
}

#[test]
fn sound_of_each_codec_comes_back() {
    let stereo = |sample_rate| AudioFormat { sample_rate, channels: 2 };
    let frames = |len: usize| -> Vec<Vec<u8>> { (1..60).map(|index| vec![index; len]).collect() };
    for len in [5, 300, 2000] {
        check(
            &to_send(Codec::Aac, &[0x12, 0x10], None),
            &audio(Codec::Aac, stereo(44_100), 1024, &frames(len)),
            true,
        );
    }
    let he = [0x2b, 0x11, 0x88, 0x00];
    check(&to_send(Codec::Aac, &he, None), &audio(Codec::Aac, stereo(24_000), 1024, &frames(90)), true);
    let head = opus_head(2);
    // 20 ms of CELT in each packet.
    let packets: Vec<Vec<u8>> = (0..60).map(|index| vec![0xfc, index, 7]).collect();
    check(&to_send(Codec::Opus, &head, None), &audio(Codec::Opus, stereo(48_000), 960, &packets), true);
    let mp3: Vec<Vec<u8>> =
        (0..60).map(|index| [&[0xff, 0xfb, 0x90, 0][..], &[index; 413]].concat()).collect();
    check(&to_send(Codec::Mp3, &[], None), &audio(Codec::Mp3, stereo(44_100), 1152, &mp3), true);
    let telephone = AudioFormat { sample_rate: 8000, channels: 1 };
    for codec in [Codec::G711A, Codec::G711U] {
        let tags = audio(codec, telephone, 110, &frames(110));
        check(&to_send(codec, &[], Some(telephone)), &tags, true);
    }
}

#[test]
fn sound_and_picture_stay_together_by_the_senders_reports() {
    let tags = raw_tags(false);
    let video = to_send(Codec::H264, &media(&tags[0]).1, None);
    let sound = audio(
        Codec::Aac,
        AudioFormat { sample_rate: 44_100, channels: 2 },
        1024,
        &(0..40).map(|index| vec![index; 50]).collect::<Vec<_>>(),
    );
    let mut sender = Sender::new(vec![video.clone(), to_send(Codec::Aac, &[0x12, 0x10], None)], 5, 1400);
    sender.set_clock(Timestamp(0), 1 << 40);
    let formats = sender.tracks().iter().cloned().map(Some).collect();
    let mut receiver = Receiver::new(formats, TCP, 7, NOW);
    for track in 0..2 {
        let mut report = vec![];
        sender.report(track, 1 << 40, &mut report);
        receiver.handle_rtcp(NOW, track, &report);
    }
    // All pictures come first, all at once; then all sound.
    let mut packets = Packets(vec![]);
    tags.iter().chain(&sound).for_each(|tag| sender.write(tag, &mut packets));
    for (track, packet) in &packets.0 {
        receiver.handle_rtp(NOW, *track, packet);
    }
    let received = all_tags(&mut receiver);
    let first = |tags: &[Tag], kind| {
        let found = tags.iter().find(|tag| tag.kind == kind && tag.classify().role.is_frame());
        shown(found.expect("a frame"))
    };
    let apart = |tags: &[Tag], others: &[Tag]| first(tags, TagKind::Video) - first(others, TagKind::Audio);
    let off = apart(&received, &received) - apart(&tags, &sound);
    assert!(off.abs() < 50_000, "{off} ns");
}
