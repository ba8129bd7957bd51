use super::*;
use crate::pcap::{Close, End, Segment, StreamOddity, Writer};
use alloc::vec;
use core::time::Duration;
use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader};
use proptest::prelude::*;

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 4000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 1935);
/// Close to the wrap on purpose.
const CLIENT_ISN: u32 = u32::MAX - 4;
const SERVER_ISN: u32 = 77;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A packet for [`file`]: direction, flags, offset of its first data byte in the stream, data.
struct Packet(Direction, &'static str, i64, &'static [u8]);

use Direction::{FromClient, FromServer};

fn headers(packet: &Packet, step: PacketBuilderStep<etherparse::IpHeaders>) -> Vec<u8> {
    let (from, to, isn) = match packet.0 {
        FromClient => (CLIENT, SERVER, CLIENT_ISN),
        FromServer => (SERVER, CLIENT, SERVER_ISN),
    };
    let mut tcp = TcpHeader::new(from.1, to.1, isn.wrapping_add(1).wrapping_add(packet.2 as u32), 1000);
    tcp.syn = packet.1.contains('S');
    tcp.fin = packet.1.contains('F');
    tcp.rst = packet.1.contains('R');
    if tcp.syn {
        tcp.sequence_number = isn;
        tcp.ack = packet.0 == FromServer;
        tcp.acknowledgment_number = CLIENT_ISN.wrapping_add(1);
    }
    let mut bytes = Vec::new();
    step.tcp_header(tcp).write(&mut bytes, packet.3).unwrap();
    bytes
}

fn addresses(packet: &Packet) -> ([u8; 4], [u8; 4]) {
    match packet.0 {
        FromClient => (CLIENT.0, SERVER.0),
        FromServer => (SERVER.0, CLIENT.0),
    }
}

fn ethernet(packet: &Packet) -> Vec<u8> {
    let (from, to) = addresses(packet);
    headers(packet, PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from, to, 64))
}

/// IPv4 and up.
fn ip(packet: &Packet) -> Vec<u8> {
    let (from, to) = addresses(packet);
    headers(packet, PacketBuilder::ipv4(from, to, 64))
}

/// A little-endian pcap file; packet `n` is taken `n` ms after second 1.
fn pcap(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    file.extend(link.to_le_bytes());
    for (number, packet) in (0u32..).zip(packets) {
        for field in [1, number * 1000, packet.len() as u32, packet.len() as u32] {
            file.extend(field.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

fn conversation(packets: &[Packet]) -> Conversation {
    let frames: Vec<_> = packets.iter().map(ethernet).collect();
    let capture = read(&pcap(1, &frames)).unwrap();
    assert_eq!(capture.oddities, []);
    assert_eq!(capture.conversations.len(), 1);
    capture.conversations.into_iter().next().unwrap()
}

#[test]
fn both_directions_are_put_together() {
    let conversation = conversation(&[
        Packet(FromClient, "S", 0, b""),
        Packet(FromServer, "S", 0, b""),
        Packet(FromClient, "", 0, b"abcdef"),
        Packet(FromServer, "", 0, b"xy"),
        Packet(FromClient, "", 6, b"gh"),
        Packet(FromServer, "F", 2, b"z"),
        Packet(FromClient, "R", 8, b""),
    ]);
    assert_eq!((conversation.client.port(), conversation.server.port()), (4000, 1935));
    assert!(conversation.has_beginning);
    let client = &conversation.from_client;
    assert_eq!(client.bytes, b"abcdefgh");
    assert_eq!(
        client.segments,
        [Segment { offset: 0, time: ms(1002) }, Segment { offset: 6, time: ms(1004) }]
    );
    assert_eq!(client.end, Some(End { how: Close::Reset, time: ms(1006) }));
    assert_eq!(client.time_at(5), Some(ms(1002)));
    assert_eq!(client.time_at(6), Some(ms(1004)));
    let parts: Vec<_> = client.parts().collect();
    assert_eq!(parts, [(ms(1002), &b"abcdef"[..]), (ms(1004), &b"gh"[..])]);
    assert_eq!(conversation.from_server.bytes, b"xyz");
    assert_eq!(conversation.from_server.end, Some(End { how: Close::Fin, time: ms(1005) }));
    assert_eq!((&client.oddities, &conversation.from_server.oddities), (&vec![], &vec![]));
}

#[test]
fn disorder_and_repetition_vanish() {
    let stream = conversation(&[
        Packet(FromClient, "S", 0, b""),
        Packet(FromClient, "S", 0, b""),   // repeated SYN
        Packet(FromClient, "", 2, b"cd"),  // early
        Packet(FromClient, "", 6, b"g"),   // earlier still
        Packet(FromClient, "", 0, b"ab"),  // fills the first hole
        Packet(FromClient, "", 0, b"ab"),  // sent again
        Packet(FromClient, "", 3, b"def"), // overlaps, fills the second hole
        Packet(FromClient, "", 6, b"\0"),  // keep-alive probe
        Packet(FromClient, "", 7, b"h"),
    ])
    .from_client;
    assert_eq!(stream.bytes, b"abcdefgh");
    assert_eq!(stream.oddities, []);
    let offsets: Vec<_> = stream.segments.iter().map(|segment| (segment.offset, segment.time)).collect();
    assert_eq!(offsets, [(0, ms(1004)), (2, ms(1004)), (4, ms(1006)), (6, ms(1006)), (7, ms(1008))]);
}

#[test]
fn what_was_sent_again_with_other_contents_is_reported() {
    let stream = conversation(&[
        Packet(FromClient, "S", 0, b""),
        Packet(FromClient, "", 0, b"abc"),
        Packet(FromClient, "", 0, b"aXcd"),
    ])
    .from_client;
    assert_eq!(stream.bytes, b"abcd");
    assert_eq!(stream.oddities, [StreamOddity::Conflict { offset: 0 }]);
}

#[test]
fn a_gap_is_filled_with_zeros_and_reported() {
    let stream = conversation(&[
        Packet(FromClient, "S", 0, b""),
        Packet(FromClient, "", 0, b"ab"),
        Packet(FromClient, "", 5, b"fg"),
        Packet(FromClient, "F", 9, b""),
    ])
    .from_client;
    assert_eq!(stream.bytes, b"ab\0\0\0fg");
    assert_eq!(
        stream.oddities,
        [StreamOddity::Gap { offset: 2, len: 3 }, StreamOddity::TailMissing { offset: 7, len: 2 }]
    );
    assert_eq!(stream.parts().last(), Some((ms(1002), &b"fg"[..])));
}

#[test]
fn a_gap_beyond_the_budget_ends_the_stream() {
    let far = 1 << 30;
    let conversation = conversation(&[
        Packet(FromClient, "S", 0, b""),
        Packet(FromClient, "", 0, b"ab"),
        Packet(FromClient, "", far, b"fg"),
        Packet(FromClient, "F", far + 2, b""),
    ]);
    assert_eq!(conversation.from_client.bytes, b"ab");
    let missing = far as u64 - 2;
    assert_eq!(conversation.from_client.oddities, [StreamOddity::Cut { offset: 2, missing }]);
}

#[test]
fn without_a_syn_the_server_is_the_well_known_or_lower_port() {
    for packets in [
        [Packet(FromServer, "", 10, b"xy"), Packet(FromClient, "", 20, b"ab")],
        [Packet(FromClient, "", 20, b"ab"), Packet(FromServer, "", 10, b"xy")],
    ] {
        let conversation = conversation(&packets);
        assert_eq!(conversation.server.port(), 1935);
        assert!(!conversation.has_beginning);
        assert_eq!(conversation.from_client.bytes, b"ab");
        assert_eq!(conversation.from_server.bytes, b"xy");
    }
}

#[test]
fn a_new_syn_on_the_same_ports_is_a_new_conversation() {
    let mut second = ethernet(&Packet(FromClient, "S", 0, b""));
    second[38] ^= 0x55; // another initial sequence number
    let first = Packet(FromClient, "S", 0, b"");
    let data = Packet(FromClient, "", 0, b"ab");
    let frames = [ethernet(&first), ethernet(&data), second];
    let capture = read(&pcap(1, &frames)).unwrap();
    let lengths: Vec<_> =
        capture.conversations.iter().map(|conversation| conversation.from_client.bytes.len()).collect();
    assert_eq!(lengths, [2, 0]);
}

#[test]
fn every_link_type_is_read() {
    let packet = Packet(FromClient, "", 0, b"abc");
    let bare = ip(&packet);
    let behind = |header: &[u8]| [header, &bare].concat();
    let mut cooked1 = [0; 16];
    cooked1[14] = 8;
    let mut cooked2 = [0; 20];
    cooked2[0] = 8;
    let mut tagged = ethernet(&packet);
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    let (from, to) = ([0xfe; 16], [0xfd; 16]);
    let ipv6 = headers(&packet, PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(from, to, 64));
    let cases = [
        ("Ethernet", 1, ethernet(&packet)),
        ("Ethernet with padding", 1, [ethernet(&packet), vec![0; 7]].concat()),
        ("VLAN", 1, tagged),
        ("IPv6", 1, ipv6),
        ("null", 0, behind(&[2, 0, 0, 0])),
        ("loop", 108, behind(&[0, 0, 0, 2])),
        ("raw", 101, bare.clone()),
        ("cooked v1", 113, behind(&cooked1)),
        ("cooked v2", 276, behind(&cooked2)),
    ];
    for (name, link, frame) in cases {
        let capture = read(&pcap(link, &[frame])).unwrap();
        assert_eq!(capture.conversations.len(), 1, "{name}");
        assert_eq!(capture.conversations[0].from_client.bytes, b"abc", "{name}");
    }
    assert_eq!(read(&pcap(147, &[])), Err(ReadError::LinkType(147)));
}

#[test]
fn every_file_format_is_read() {
    let frame = ethernet(&Packet(FromClient, "", 0, b"abc"));
    let length = frame.len() as u32;
    let time = Duration::new(0x6000_0000, 123_456_000);

    let big_micro = {
        let mut file =
            vec![0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1];
        for field in [0x6000_0000, 123_456, length, length] {
            file.extend(field.to_be_bytes());
        }
        [file, frame.clone()].concat()
    };
    let little_nano = {
        let mut file =
            vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
        for field in [0x6000_0000, 123_456_000, length, length] {
            file.extend(field.to_le_bytes());
        }
        [file, frame.clone()].concat()
    };
    // Resolution 10^-9, as Wireshark on Linux writes it, or 2^-20 with an offset.
    let decimal = pcapng(u32::to_le_bytes, u16::to_le_bytes, 9, 0, 0x6000_0000 * 1_000_000_000 + 123_456_000);
    let big = pcapng(u32::to_be_bytes, u16::to_be_bytes, 6, 0, 0x6000_0000 * 1_000_000 + 123_456);
    for (name, file) in [
        ("pcap, big-endian", big_micro),
        ("pcap, nanoseconds", little_nano),
        ("pcapng", decimal),
        ("pcapng, big-endian", big),
    ] {
        let capture = read(&file).unwrap();
        let stream = &capture.conversations[0].from_client;
        assert_eq!(stream.bytes, b"abc", "{name}");
        assert_eq!(stream.segments[0].time, time, "{name}");
    }
    let binary = pcapng(u32::to_le_bytes, u16::to_le_bytes, 0x80 | 20, 1000, 5 << 20 | 1 << 19);
    let capture = read(&binary).unwrap();
    assert_eq!(capture.conversations[0].from_client.segments[0].time, ms(1_005_500));
}

/// Section header, an Ethernet interface, one enhanced packet.
fn pcapng(
    u32_bytes: fn(u32) -> [u8; 4],
    u16_bytes: fn(u16) -> [u8; 2],
    resolution: u8,
    offset: u64,
    ticks: u64,
) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let length = u32_bytes(body.len() as u32 + 12);
        [&u32_bytes(kind)[..], &length, body, &length].concat()
    };
    let section = [&u32_bytes(0x1a2b_3c4d)[..], &u16_bytes(1), &u16_bytes(0), &[0xff; 8]].concat();
    let interface = [
        &u16_bytes(1)[..],
        &u16_bytes(0),
        &u32_bytes(0),
        &u16_bytes(9),
        &u16_bytes(1),
        &[resolution, 0, 0, 0],
        &u16_bytes(14),
        &u16_bytes(8),
        &offset.to_le_bytes(),
        &[0; 4],
    ]
    .concat();
    let frame = ethernet(&Packet(FromClient, "", 0, b"abc"));
    let mut packet = [
        &u32_bytes(0)[..],
        &u32_bytes((ticks >> 32) as u32),
        &u32_bytes(ticks as u32),
        &u32_bytes(frame.len() as u32),
        &u32_bytes(frame.len() as u32),
        &frame,
    ]
    .concat();
    packet.resize(packet.len().next_multiple_of(4), 0);
    [block(0x0a0d_0d0a, &section), block(1, &interface), block(6, &packet)].concat()
}

#[test]
fn a_cut_file_gives_what_is_whole() {
    let frames = [ethernet(&Packet(FromClient, "", 0, b"abc")), ethernet(&Packet(FromClient, "", 3, b"def"))];
    let file = pcap(1, &frames);
    let capture = read(&file[..file.len() - 1]).unwrap();
    assert_eq!(capture.conversations[0].from_client.bytes, b"abc");
    assert_eq!(capture.oddities, [CaptureOddity::Truncated { unread: 16 + frames[1].len() - 1 }]);
}

#[test]
fn other_packets_are_counted() {
    let (from, to) = (CLIENT.0, SERVER.0);
    let mut udp = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from, to, 64).udp(1, 2).write(&mut udp, b"abc").unwrap();
    let capture = read(&pcap(1, &[udp, vec![1, 2, 3]])).unwrap();
    assert_eq!(capture.conversations, []);
    assert_eq!(capture.oddities, [CaptureOddity::NotTcp { packets: 2 }]);
}

#[test]
fn other_files_are_refused() {
    for file in
        [&b""[..], b"FLV\x01", &[0x0a, 0x0d, 0x0d, 0x0a], &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 1, 2, 3, 4]]
    {
        assert_eq!(read(file), Err(ReadError::NotACapture), "{file:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_writer_writes_is_read_back(
        v6 in any::<bool>(),
        moves in prop::collection::vec((any::<bool>(), 0usize..70_000, 0u64..5_000_000), 0..12),
        reset in any::<bool>(),
    ) {
        let (client, server) = match v6 {
            true => ("[2001:db8::1]:50000", "[2001:db8::2]:443"),
            false => ("192.0.2.1:50000", "192.0.2.2:1936"),
        };
        let mut file = Vec::new();
        let mut time = Duration::from_micros(1_700_000_000_000_001);
        let mut writer = Writer::new(client.parse().unwrap(), server.parse().unwrap(), time, &mut file);
        let mut sent: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
        let mut times = [Vec::new(), Vec::new()];
        for (index, (from_client, len, pause)) in moves.into_iter().enumerate() {
            time += Duration::from_micros(pause);
            let direction = if from_client { FromClient } else { FromServer };
            let bytes: Vec<u8> = (0..len).map(|at| (at + index) as u8).collect();
            writer.segment(direction, time, &bytes, &mut file);
            sent[direction as usize].extend(&bytes);
            if len > 0 {
                times[direction as usize].push(time);
            }
        }
        let how = if reset { Close::Reset } else { Close::Fin };
        writer.end(FromClient, time, how, &mut file);

        let capture = read(&file).unwrap();
        prop_assert_eq!(&capture.oddities, &[]);
        prop_assert_eq!(capture.conversations.len(), 1);
        let conversation = &capture.conversations[0];
        prop_assert_eq!(conversation.client, client.parse().unwrap());
        prop_assert_eq!(conversation.server, server.parse().unwrap());
        prop_assert!(conversation.has_beginning);
        for direction in [FromClient, FromServer] {
            let stream = conversation.stream(direction);
            prop_assert_eq!(&stream.bytes, &sent[direction as usize]);
            let mut read: Vec<_> = stream.segments.iter().map(|segment| segment.time).collect();
            read.dedup();
            times[direction as usize].dedup();
            prop_assert_eq!(&read, &times[direction as usize]);
            prop_assert_eq!(&stream.oddities, &[]);
        }
        prop_assert_eq!(conversation.from_client.end, Some(End { how, time }));
        prop_assert_eq!(conversation.from_server.end, None);
    }

    #[test]
    fn damaged_files_do_no_harm(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let frames = [
            ethernet(&Packet(FromClient, "S", 0, b"")),
            ethernet(&Packet(FromServer, "S", 0, b"")),
            ethernet(&Packet(FromClient, "", 0, b"abc")),
            ethernet(&Packet(FromClient, "", 9, b"abc")),
            ethernet(&Packet(FromServer, "F", 0, b"abc")),
        ];
        let section = pcapng(u32::to_le_bytes, u16::to_le_bytes, 9, 1, 5);
        for mut file in [pcap(1, &frames), pcap(113, &frames), pcap(0, &frames), section] {
            for (at, byte) in &damage {
                *at.get_mut(&mut file) = *byte;
            }
            if let Ok(capture) = read(&file) {
                for conversation in capture.conversations {
                    prop_assert!(conversation.from_client.bytes.len() < 5 << 20);
                    let _ = conversation.from_client.parts().count();
                }
            }
        }
    }
}
