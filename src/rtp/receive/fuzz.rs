//! Fuzz target: any payloads and reports as packets of two tracks, in and out of order.
//!
//! Holds: metadata comes first and a sequence header before the first picture; times of decoding of pictures grow, of sound never go
//! back; no picture is shown before it is decoded; samples are NAL units; what is held stays in its bounds and is given after the wait.

use super::{Receiver, ReceiverConfig, Stats};
use crate::{
    base::{MonoTime, wire::Cursor},
    codec::{h264, nal::Units},
    flv::{Codec, TagKind, TagRole},
    rtp::{Format, Packing, packet},
};
use alloc::vec::Vec;
use core::time::Duration;

/// Pictures and sound, as they come in packets.
const FORMATS: [(Codec, Packing, u32); 11] = [
    (Codec::H264, Packing::Native, 90_000),
    (Codec::Hevc, Packing::Native, 90_000),
    (Codec::Av1, Packing::Native, 90_000),
    (Codec::Vp8, Packing::Native, 90_000),
    (Codec::Vp9, Packing::Native, 90_000),
    (Codec::Aac, Packing::AAC_HBR, 44_100),
    (Codec::Aac, Packing::AacHbr { size_length: 6, index_length: 2, delta_length: 2 }, 8000),
    (Codec::Aac, Packing::Latm, 48_000),
    (Codec::Opus, Packing::Native, 48_000),
    (Codec::Mp3, Packing::Native, 90_000),
    (Codec::G711U, Packing::Native, 8000),
];
/// How many of them are pictures.
const PICTURES: usize = 5;
/// 64x64, Baseline and Main.
const SETS: [(&[u8], &[u8]); 2] = [
    (&[0x67, 66, 0, 0x0a, 0xf4, 0x21, 0x32], &[0x68, 0xce, 0x38, 0x80]),
    (&[0x67, 77, 0, 0x0a, 0xf4, 0x21, 0x32], &[0x68, 0xce, 0x38, 0x80]),
];

/// The first byte says how packets come and which sets are known, the second of which codecs; then for each packet what is done with
/// it, how much time passes, how long it is, and its payload.
pub fn fuzz(input: &[u8]) {
    let mut cursor = Cursor::new(input);
    let (Some(how), Some(what)) = (cursor.u8(), cursor.u8()) else { return };
    let what = usize::from(what);
    let mut tracks: Vec<Format> = [what % PICTURES, PICTURES + what / 8 % (FORMATS.len() - PICTURES)]
        .iter()
        .map(|index| {
            let (codec, packing, clock_rate) = FORMATS[*index];
            Format { codec, payload_type: 96, clock_rate, channels: 1, record: Vec::new(), packing }
        })
        .collect();
    if tracks[0].codec == Codec::H264 && how & 2 != 0 {
        let (sps, pps) = SETS[usize::from(how >> 2 & 1)];
        tracks[0].record = h264::build_record(sps, &[pps]).expect("good sets");
    }
    if tracks[1].codec == Codec::Aac {
        tracks[1].record = [0x12, 0x10].into();
    }
    let reorder = (how & 1 != 0).then_some(Duration::from_millis(100));
    let config = ReceiverConfig { reorder, ..ReceiverConfig::default() };
    let mut now = MonoTime(1000);
    let mut receiver = Receiver::new(tracks.into_iter().map(Some).collect(), config, 1, now);
    let mut seen = Seen::default();
    let (mut sequences, mut times, mut ssrc) = ([0xfff0u16; 2], [0u32; 2], 7);
    let mut count = 0;
    while let (Some(deed), Some(passed), Some(len)) = (cursor.u8(), cursor.u8(), cursor.u8()) {
        let payload = cursor.take(cursor.remaining().min(usize::from(len))).unwrap_or_default();
        let track = usize::from(deed & 1);
        now = now + Duration::from_millis(u64::from(passed));
        times[track] = times[track].wrapping_add(match deed >> 1 & 3 {
            0 => 0,
            1 => u32::from(passed) * 90,
            2 => 3600,
            _ => u32::from(passed).wrapping_sub(128).wrapping_mul(0x0100_0101),
        });
        match deed >> 3 & 7 {
            5 => sequences[track] = sequences[track].wrapping_add(u16::from(passed)),
            6 => sequences[track] = sequences[track].wrapping_sub(3),
            7 if passed == 255 => ssrc += 1,
            _ => {}
        }
        if deed & 0x40 != 0 && passed & 1 != 0 {
            receiver.handle_rtcp(now, track, payload);
        } else {
            let header = packet::header(96, deed & 0x80 != 0, sequences[track], times[track], ssrc);
            receiver.handle_rtp(now, track, &[&header[..], payload].concat());
            sequences[track] = sequences[track].wrapping_add(1);
            count += 1;
        }
        if receiver.poll_timeout().is_some_and(|at| at <= now) {
            receiver.handle_timeout(now);
        }
        assert!(receiver.poll_timeout().is_none_or(|at| at > now), "a deadline stays");
        seen.check(&mut receiver);
        while receiver.poll_report().is_some() {}
    }
    receiver.handle_timeout(now + Duration::from_secs(1));
    receiver.finish();
    seen.check(&mut receiver);
    let Stats { packets, lost, .. } = receiver.stats();
    assert_eq!(packets, count);
    assert!(lost <= count * 3000);
}

/// What tags have come.
#[derive(Default)]
struct Seen {
    is_told: bool,
    has_header: bool,
    last: [Option<u32>; 2],
}

impl Seen {
    fn check(&mut self, receiver: &mut Receiver) {
        while let Some(tag) = receiver.poll_tag() {
            let class = tag.classify();
            assert!(self.is_told || class.role == TagRole::Metadata);
            self.is_told = true;
            assert!(tag.nanos.abs() <= 500_000);
            let is_video = tag.kind == TagKind::Video;
            self.has_header |= is_video && class.role == TagRole::SequenceHeader;
            if !class.role.is_frame() {
                continue;
            }
            let last = &mut self.last[usize::from(is_video)];
            // Modulo 2^32: jumps can add up.
            let step = last.map_or(1, |last| tag.timestamp.0.wrapping_sub(last) as i32);
            assert!(step >= i32::from(is_video), "{step} ms");
            *last = Some(tag.timestamp.0);
            let data = &tag.body[class.tracks().next().expect("a track").data];
            assert!(!data.is_empty());
            if is_video {
                assert!(self.has_header && class.composition_time >= 0);
            }
            if matches!(class.codec, Some(Codec::H264 | Codec::Hevc)) {
                let len: usize = Units::new(data, 4).map(|unit| unit.len() + 4).sum();
                assert!(len == data.len() && len > 4, "a frame is no row of NAL units");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_packets_make_tags_that_keep_the_rules(input in proptest::collection::vec(any::<u8>(), 0..1600)) {
            fuzz(&input);
        }
    }

    #[test]
    fn pictures_in_any_order_make_tags_that_keep_the_rules() {
        // Byte for byte: how, what; deed, time, length, payload.
        let idr: &[u8] = &[0x84, 40, 4, 0x65, 0x88, 0x84, 0x3f];
        let picture: &[u8] = &[0x84, 40, 3, 0x41, 0x9a, 0x25];
        for how in 0..8 {
            for deed in 0..=255 {
                let odd = [&[deed, deed, 3][..], &picture[3..]].concat();
                let input = [&[how, 0][..], idr, picture, &odd, picture, &odd, &odd, idr, picture].concat();
                fuzz(&input);
                fuzz(&input[..input.len() - usize::from(deed) % input.len()]);
            }
        }
    }
}
