//! Fuzz target: any bytes as the tags of a stream.
//!
//! Holds: sequence numbers and SSRCs; packets are as long as they may be; the last packet of a picture is the marked one; the same
//! tags give the same packets.

use super::{HEADER_LEN, MAX_PACKET_LEN, MIN_PACKET_LEN, Sender, Sink};
use crate::{
    base::Timestamp,
    flv::{Codec, Tag, TagKind, body, body::AudioFormat},
    rtp::{Format, packet::Packet},
};
use alloc::vec::Vec;

/// The first byte is the codec, the second the length of packets, the rest are tags: flags, time, length, data.
pub fn fuzz(input: &[u8]) {
    let &[codec, len, ref rest @ ..] = input else { return };
    let (codec, record) = CODECS[usize::from(codec) % CODECS.len()];
    let Some(format) = Format::to_send(codec, record, None) else { return };
    let max_packet = MIN_PACKET_LEN + usize::from(len) * 16;
    let tags = tags(format.kind(), codec, rest);
    let mut sender = Sender::new([format].to_vec(), len.into(), max_packet);
    let first = sender.clone();
    let mut packets = Packets(Vec::new());
    for tag in &tags {
        let before = packets.0.len();
        sender.write(tag, &mut packets);
        let written = &packets.0[before..];
        if sender.tracks()[0].kind() == TagKind::Video {
            let markers = written.iter().filter(|packet| marker(packet)).count();
            assert_eq!(markers, usize::from(!written.is_empty()));
            assert!(written.last().is_none_or(|packet| marker(packet)));
        }
        let _ = sender.changes(tag);
    }
    for (index, packet) in packets.0.iter().enumerate() {
        assert!(packet.len() <= if codec == Codec::Opus { MAX_PACKET_LEN } else { max_packet });
        let packet = Packet::parse(packet).expect("a packet");
        assert!(!packet.payload.is_empty());
        assert_eq!(packet.sequence, first.next_sequence(0).wrapping_add(index as u16));
        assert_eq!(packet.ssrc, first.ssrc(0));
    }
    let again = &mut Packets(Vec::new());
    let mut same = first;
    tags.iter().for_each(|tag| same.write(tag, again));
    assert!(again.0 == packets.0);
}

fn marker(packet: &[u8]) -> bool {
    packet[1] & 0x80 != 0
}

struct Packets(Vec<Vec<u8>>);

impl Sink for Packets {
    fn packet(&mut self, track: usize, header: &[u8; HEADER_LEN], payload: &[&[u8]]) {
        assert_eq!(track, 0);
        self.0.push([&header[..], &payload.concat()].concat());
    }
}

fn tags(kind: TagKind, codec: Codec, mut input: &[u8]) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut time = 0u32;
    while let [flags, step, len, rest @ ..] = input {
        let (data, behind) = rest.split_at(rest.len().min(usize::from(*len)));
        input = behind;
        // Small steps, and some that no clock makes.
        time = time.wrapping_add(if flags & 4 != 0 { u32::from(*step) << 24 } else { u32::from(*step) });
        let mut body = Vec::new();
        let audio = AudioFormat { sample_rate: 44_100, channels: 1 };
        let is_built = match (kind, flags & 3) {
            (TagKind::Video, 0) => body::start_video_header(&mut body, codec),
            (TagKind::Video, _) => {
                body::start_video_frame(&mut body, codec, flags & 1 != 0, i32::from(*step) - 128)
            }
            (_, 0) => body::start_audio_header(&mut body, codec),
            _ => body::start_audio_frame(&mut body, codec, audio),
        };
        if !is_built && flags & 8 != 0 {
            continue;
        }
        // Long ones from few bytes.
        let times = if flags & 16 != 0 { 40 } else { 1 };
        (0..times).for_each(|_| body.extend_from_slice(data));
        let nanos = if flags & 32 != 0 { i32::from(*step) * 3000 } else { 0 };
        tags.push(Tag { nanos, ..Tag::new(kind, Timestamp(time), body.into()) });
    }
    tags
}

const CODECS: [(Codec, &[u8]); 9] = [
    (Codec::H264, &[1, 0x42, 0xc0, 0x1f, 0xfc, 0xe0, 0]),
    (Codec::Hevc, &[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0, 0]),
    (Codec::Av1, &[0x81, 0, 0x0c, 0, 0x0a, 1, 0]),
    (Codec::Vp8, &[]),
    (Codec::Vp9, &[]),
    (Codec::Aac, &[0x12, 0x10]),
    (Codec::Opus, &[]),
    (Codec::Mp3, &[]),
    (Codec::G711A, &[]),
];
