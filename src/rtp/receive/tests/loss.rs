//! Packets that come late, twice or never.

use super::*;
use crate::base::SplitMix64;

/// The real stream five times, as one.
fn long_stream(is_h265: bool) -> Vec<Vec<u8>> {
    let once = video_packets(is_h265, 30);
    let count = once.len();
    let packet = |index: usize| {
        let parsed = Packet::parse(&once[index % count]).expect("a packet");
        let round = (index / count) as u32;
        let header = packet::header(
            96,
            parsed.marker,
            0xff00_u16.wrapping_add(index as u16),
            parsed.timestamp.wrapping_add(round * 12 * 3600),
            parsed.ssrc,
        );
        [&header[..], parsed.payload].concat()
    };
    (0..5 * count).map(packet).collect()
}

fn formats() -> [(bool, Format); 2] {
    [(false, format(Codec::H264, 90_000)), (true, format(Codec::Hevc, 90_000))]
}

#[test]
fn nothing_is_lost_if_packets_change_places_within_the_window_or_come_twice() {
    for (is_h265, format) in formats() {
        let packets = long_stream(is_h265);
        let (expected, _) = receive(format.clone(), &TCP, &packets);
        for seed in 0..20 {
            let mut random = SplitMix64(seed);
            // Packet n comes at n, and up to 40 later; the window is 100 (each takes a millisecond).
            let mut order: Vec<(usize, usize)> =
                (0..packets.len()).map(|index| (index + (random.next() % 40) as usize, index)).collect();
            for index in 1..packets.len() {
                if random.next() % 10 == 0 {
                    order.push((index + (random.next() % 90) as usize, index));
                }
            }
            // The first is where counting begins.
            order[0].0 = 0;
            order.sort_unstable();
            let shuffled: Vec<Vec<u8>> = order.iter().map(|(_, index)| packets[*index].clone()).collect();
            let (tags, stats) = receive(format.clone(), &UDP, &shuffled);
            assert_eq!(frames(&tags), frames(&expected), "seed {seed}");
            assert_eq!((stats.lost, stats.damaged, stats.malformed), (0, 0, 0), "seed {seed}");
            assert!(stats.duplicates > 0 && stats.reordered > 0);
        }
    }
}

#[test]
fn behind_a_loss_pictures_begin_with_a_keyframe_and_none_is_damaged() {
    for (is_h265, format) in formats() {
        let packets = long_stream(is_h265);
        let (all, _) = receive(format.clone(), &TCP, &packets);
        let all: Vec<(bool, Vec<u8>)> = frames(&all).into_iter().map(|(_, key, data)| (key, data)).collect();
        for (seed, config) in (0..60).flat_map(|seed| [(seed, TCP), (seed, UDP)]) {
            let mut random = SplitMix64(seed);
            let kept: Vec<bool> = packets.iter().map(|_| random.next() % (10 + seed) != 0).collect();
            let survived =
                packets.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(packet, _)| packet.clone());
            let (tags, stats) = receive(format.clone(), &config, &survived.collect::<Vec<_>>());
            // Where each frame was in the whole stream; frames of the rounds are alike, so the first that fits.
            let mut at = 0;
            for (_, is_keyframe, data) in frames(&tags) {
                let frame = (is_keyframe, data);
                let skipped = all[at..].iter().position(|whole| *whole == frame);
                let skipped = skipped.unwrap_or_else(|| panic!("a damaged picture, seed {seed}"));
                // Behind a keyframe of an open group those that need what was before it are left out.
                let is_leading = |(_, data): &(bool, Vec<u8>)| {
                    is_h265 && h265::sample_type(data, 4).is_some_and(h265::is_rasl)
                };
                let may_lack = is_keyframe || all[at..][..skipped].iter().all(is_leading);
                assert!(may_lack, "seed {seed}: something is missing before no keyframe");
                at += skipped + 1;
            }
            let lost_inside = kept.iter().skip_while(|kept| !**kept).filter(|kept| !**kept).count();
            let lost_behind = kept.iter().rev().take_while(|kept| !**kept).count();
            assert_eq!(stats.lost as usize, lost_inside - lost_behind, "seed {seed}");
            assert!(at > 0);
        }
    }
}

#[test]
fn times_of_decoding_grow_whatever_is_lost() {
    for seed in 0..100 {
        let mut random = SplitMix64(seed);
        let packets: Vec<Vec<u8>> =
            long_stream(false).into_iter().filter(|_| random.next() % 20 != 0).collect();
        let (tags, _) = receive(format(Codec::H264, 90_000), &UDP, &packets);
        let is_frame = |tag: &&Tag| tag.classify().role.is_frame();
        let times: Vec<u32> = tags.iter().filter(is_frame).map(|tag| tag.timestamp.0).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        assert!(tags.iter().all(|tag| tag.classify().composition_time >= 0));
    }
}

fn small(source: &mut Source) -> Vec<u8> {
    source.packet(0, true, b"x")
}

fn audio() -> Format {
    format(Codec::G711A, 8000)
}

#[test]
fn what_is_missing_is_waited_for_so_long_and_no_longer() {
    let mut receiver = Receiver::new(vec![Some(audio())], UDP, 7, NOW);
    let mut source = Source::new(1);
    let packets: Vec<Vec<u8>> = (0..6).map(|_| small(&mut source)).collect();
    let count =
        |receiver: &mut Receiver| all_tags(receiver).iter().filter(|tag| tag.kind == TagKind::Audio).count();
    receiver.handle_rtp(NOW, 0, &packets[0]);
    assert_eq!(count(&mut receiver), 1);
    receiver.handle_rtp(MonoTime(1010), 0, &packets[2]);
    receiver.handle_rtp(MonoTime(1020), 0, &packets[4]);
    assert_eq!((count(&mut receiver), receiver.poll_timeout()), (0, Some(MonoTime(1110))));
    receiver.handle_timeout(MonoTime(1109));
    assert_eq!(count(&mut receiver), 0);
    receiver.handle_timeout(MonoTime(1110));
    assert_eq!((count(&mut receiver), receiver.poll_timeout()), (1, Some(MonoTime(1120))));
    receiver.handle_rtp(MonoTime(1115), 0, &packets[3]);
    assert_eq!(count(&mut receiver), 2, "the gap is closed");
    receiver.handle_rtp(MonoTime(1116), 0, &packets[1]);
    assert_eq!((count(&mut receiver), receiver.poll_timeout()), (0, Some(NOW + REPORT_INTERVAL)), "too late");
    let expected = Stats { packets: 5, lost: 1, reordered: 1, duplicates: 1, ..Stats::default() };
    assert_eq!(receiver.stats(), expected);
}

#[test]
fn memory_is_bounded_by_packets_and_by_bytes() {
    for (len, limit) in [(1, MAX_HELD_PACKETS), (60_000, MAX_HELD_LEN / 60_000)] {
        let mut receiver = Receiver::new(vec![Some(audio())], UDP, 7, NOW);
        let mut source = Source::new(1);
        receiver.handle_rtp(NOW, 0, &small(&mut source));
        let _ = source.packet(0, true, b"never comes");
        for index in 0..limit + 20 {
            receiver.handle_rtp(NOW, 0, &source.packet(0, true, &vec![1; len]));
            let is_all_held =
                all_tags(&mut receiver).iter().all(|tag| tag.kind == TagKind::Data || tag.body.len() < 3);
            assert!(index >= limit || len < 3 || is_all_held, "{index} of {limit}");
        }
        assert_eq!(receiver.stats().lost, 1, "it was given up");
    }
}

#[test]
fn a_source_that_begins_anew_is_followed_from_its_first_packet_on_and_strangers_are_not() {
    for config in [TCP, UDP] {
        let mut receiver = Receiver::new(vec![Some(audio())], config, 7, NOW);
        let mut source = Source::new(1);
        let mut bodies = vec![];
        let mut take = |receiver: &mut Receiver, packet: &[u8]| {
            receiver.handle_rtp(NOW, 0, packet);
            bodies.extend(
                all_tags(receiver).iter().filter(|tag| tag.kind == TagKind::Audio).map(|tag| tag.body[1]),
            );
        };
        take(&mut receiver, &source.packet(0, true, &[1]));
        take(&mut receiver, &Source::new(99).packet(0, true, &[200]));
        take(&mut receiver, &source.packet(160, true, &[2]));
        take(&mut receiver, &Source::new(98).packet(0, true, &[201]));
        let mut other = Source { sequence: 5000, ssrc: 2, base: 77 };
        take(&mut receiver, &other.packet(0, true, &[3]));
        take(&mut receiver, &other.packet(160, true, &[4]));
        // The same source, elsewhere in its numbers.
        other.sequence = 40_000;
        take(&mut receiver, &other.packet(320, true, &[5]));
        take(&mut receiver, &other.packet(480, true, &[6]));
        assert_eq!(bodies, [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn what_is_no_packet_of_the_track_is_counted_and_nothing_else() {
    let mut receiver = Receiver::new(vec![Some(audio()), None], TCP, 7, NOW);
    // What opens ways through NATs, comfort noise before anything else, rubbish.
    let opening = [&[0x80, 0][..], &[0; 10]].concat();
    let noise = [&packet::header(13, true, 1, 0, 5)[..], b"x"].concat();
    for packet in [&opening[..], &noise, b"", b"\xce\xfa\xed\xfe", &[0xff; 200]] {
        receiver.handle_rtp(NOW, 0, packet);
        receiver.handle_rtp(NOW, 1, packet);
        receiver.handle_rtp(NOW, 7, packet);
        receiver.handle_rtcp(NOW, 0, packet);
        receiver.handle_rtcp(NOW, 7, packet);
    }
    assert_eq!((receiver.stats().malformed, receiver.poll_tag()), (5, None));
    // Noise of a source counts among its packets.
    let mut source = Source::new(5);
    receiver.handle_rtp(NOW, 0, &small(&mut source));
    let mut noise = small(&mut source);
    noise[1] = 13;
    receiver.handle_rtp(NOW, 0, &noise);
    receiver.handle_rtp(NOW, 0, &small(&mut source));
    assert_eq!((receiver.stats().lost, receiver.stats().malformed), (0, 5));
    assert_eq!(all_tags(&mut receiver).iter().filter(|tag| tag.kind == TagKind::Audio).count(), 2);
}
