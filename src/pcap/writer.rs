//! Capture writer: what was read from and written to one connection -> a pcap file.
//!
//! Makes Ethernet frames with IPv4 or IPv6 and TCP around the bytes: SYN packets when it starts, running sequence
//! numbers, valid checksums, FIN or RST at the end, microsecond times. Wireshark and [`super::reader`] read the
//! result like a recording of the wire; what the wire really did (segment sizes, retransmissions) is not known here.
//!
//! Bounds: holds no bytes. A packet is at most 65 549 bytes; the caller bounds the file.

use super::{Close, Direction};
use alloc::vec::Vec;
use core::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Appends packets of one conversation to buffers of the caller.
#[derive(Clone, Debug)]
pub struct Writer {
    client: Side,
    server: Side,
}

/// One end: where it is and the sequence number of its next byte.
#[derive(Clone, Copy, Debug)]
struct Side {
    address: SocketAddr,
    mac: [u8; 6],
    next: u32,
}

impl Writer {
    /// Starts a capture: the file header and the three packets that open the connection go to `out`.
    ///
    /// An IPv6 address that maps an IPv4 one is written as IPv4; if only one side is IPv4, both are written as IPv6.
    /// `time` is when the connection was accepted, since 1970-01-01 UTC.
    pub fn new(client: SocketAddr, server: SocketAddr, time: Duration, out: &mut Vec<u8>) -> Writer {
        let (client_ip, server_ip) = same_family(client.ip(), server.ip());
        // Locally administered addresses; the last byte tells the sides apart.
        let mut writer = Writer {
            client: Side {
                address: SocketAddr::new(client_ip, client.port()),
                mac: [2, 0, 0, 0, 0, 1],
                next: CLIENT_START,
            },
            server: Side {
                address: SocketAddr::new(server_ip, server.port()),
                mac: [2, 0, 0, 0, 0, 2],
                next: SERVER_START,
            },
        };
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(&[2, 0, 4, 0]); // version 2.4
        out.extend_from_slice(&[0; 8]); // time zone, accuracy: always zero
        out.extend_from_slice(&SNAP_LENGTH.to_le_bytes());
        out.extend_from_slice(&LINK_ETHERNET.to_le_bytes());
        writer.packet(Direction::FromClient, time, SYN, &[], out);
        writer.packet(Direction::FromServer, time, SYN | ACK, &[], out);
        writer.packet(Direction::FromClient, time, ACK, &[], out);
        writer
    }

    /// Appends the packets for bytes that travelled in one direction; none for no bytes.
    pub fn segment(&mut self, direction: Direction, time: Duration, bytes: &[u8], out: &mut Vec<u8>) {
        for part in bytes.chunks(MAX_SEGMENT) {
            self.packet(direction, time, PSH | ACK, part, out);
        }
    }

    /// Appends the packet with which one side ends its half.
    pub fn end(&mut self, direction: Direction, time: Duration, how: Close, out: &mut Vec<u8>) {
        let flag = match how {
            Close::Fin => FIN,
            Close::Reset => RST,
        };
        self.packet(direction, time, flag | ACK, &[], out);
    }

    fn packet(&mut self, direction: Direction, time: Duration, flags: u8, data: &[u8], out: &mut Vec<u8>) {
        let (sender, receiver) = match direction {
            Direction::FromClient => (&mut self.client, self.server),
            Direction::FromServer => (&mut self.server, self.client),
        };
        let start = out.len();
        // Record header; both lengths are filled in at the end.
        out.extend_from_slice(&(time.as_secs() as u32).to_le_bytes());
        out.extend_from_slice(&time.subsec_micros().to_le_bytes());
        out.extend_from_slice(&[0; 8]);

        out.extend_from_slice(&receiver.mac);
        out.extend_from_slice(&sender.mac);
        let mut sum = Checksum::default();
        ip_header(sender.address.ip(), receiver.address.ip(), TCP_HEADER + data.len(), &mut sum, out);

        let tcp = out.len();
        out.extend_from_slice(&sender.address.port().to_be_bytes());
        out.extend_from_slice(&receiver.address.port().to_be_bytes());
        out.extend_from_slice(&sender.next.to_be_bytes());
        let acknowledged = if flags & ACK == 0 { 0 } else { receiver.next };
        out.extend_from_slice(&acknowledged.to_be_bytes());
        out.extend_from_slice(&[(TCP_HEADER as u8 / 4) << 4, flags]);
        out.extend_from_slice(&u16::MAX.to_be_bytes()); // window
        out.extend_from_slice(&[0; 4]); // checksum, urgent pointer
        out.extend_from_slice(data);
        sum.add(&out[tcp..]);
        out[tcp + 16..tcp + 18].copy_from_slice(&sum.finish().to_be_bytes());

        let length = (out.len() - start - RECORD_HEADER) as u32;
        out[start + 8..start + 12].copy_from_slice(&length.to_le_bytes());
        out[start + 12..start + 16].copy_from_slice(&length.to_le_bytes());
        let phantom = u32::from(flags & (SYN | FIN) != 0);
        sender.next = sender.next.wrapping_add(data.len() as u32 + phantom);
    }
}

/// Appends EtherType and IP header; adds the pseudo header of TCP to `sum`.
fn ip_header(from: IpAddr, to: IpAddr, payload: usize, sum: &mut Checksum, out: &mut Vec<u8>) {
    // MAX_SEGMENT keeps packets within 16 bits.
    let length = payload as u16;
    sum.add(&[0, PROTOCOL_TCP]);
    sum.add(&length.to_be_bytes());
    if let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) {
        out.extend_from_slice(&[0x08, 0x00]);
        let header = out.len();
        out.extend_from_slice(&[0x45, 0]);
        out.extend_from_slice(&(length + IPV4_HEADER as u16).to_be_bytes());
        out.extend_from_slice(&[0, 0, 0x40, 0, 64, PROTOCOL_TCP, 0, 0]); // don't fragment, 64 hops
        out.extend_from_slice(&from.octets());
        out.extend_from_slice(&to.octets());
        let mut own = Checksum::default();
        own.add(&out[header..]);
        out[header + 10..header + 12].copy_from_slice(&own.finish().to_be_bytes());
        sum.add(&from.octets());
        sum.add(&to.octets());
        return;
    }
    let [from, to] = [from, to].map(|ip| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    });
    out.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[PROTOCOL_TCP, 64]);
    out.extend_from_slice(&from);
    out.extend_from_slice(&to);
    sum.add(&from);
    sum.add(&to);
}

fn same_family(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    let (plain_a, plain_b) = (a.to_canonical(), b.to_canonical());
    if plain_a.is_ipv4() == plain_b.is_ipv4() {
        return (plain_a, plain_b);
    }
    let [a, b] = [plain_a, plain_b].map(|ip| match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        IpAddr::V6(_) => ip,
    });
    (a, b)
}

/// Internet checksum (RFC 1071).
#[derive(Default)]
struct Checksum(u32);

impl Checksum {
    /// Adds bytes; a last odd byte is padded with zero, so only the last call may have one.
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks(2) {
            let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
            self.0 += u32::from(word);
            self.0 = (self.0 & 0xffff) + (self.0 >> 16);
        }
    }

    fn finish(&self) -> u16 {
        !(self.0 as u16)
    }
}

/// Microsecond times, written little-endian.
const MAGIC: u32 = 0xa1b2_c3d4;
const LINK_ETHERNET: u32 = 1;
/// tcpdump's; larger than any packet here.
const SNAP_LENGTH: u32 = 262_144;
const RECORD_HEADER: usize = 16;
const IPV4_HEADER: usize = 20;
const TCP_HEADER: usize = 20;
const PROTOCOL_TCP: u8 = 6;
/// Bytes of data in one packet: what IPv4's 16-bit total length leaves.
const MAX_SEGMENT: usize = u16::MAX as usize - IPV4_HEADER - TCP_HEADER;
/// First sequence numbers; readable as hex in a dump.
const CLIENT_START: u32 = 0xc000_0000;
const SERVER_START: u32 = 0x5000_0000;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(client: &str, server: &str) -> (Writer, Vec<u8>) {
        let mut out = Vec::new();
        let writer = Writer::new(
            client.parse().unwrap(),
            server.parse().unwrap(),
            Duration::from_micros(1_700_000_000_123_456),
            &mut out,
        );
        (writer, out)
    }

    #[test]
    fn a_packet_has_the_documented_layout() {
        let (mut writer, mut out) = capture("10.0.0.1:4000", "[::ffff:10.0.0.2]:1935");
        let at = out.len();
        writer.segment(Direction::FromClient, Duration::from_secs(5), b"abc", &mut out);
        let expected: &[u8] = &[
            5, 0, 0, 0, 0, 0, 0, 0, 57, 0, 0, 0, 57, 0, 0, 0, // record
            2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, // Ethernet
            0x45, 0, 0, 43, 0, 0, 0x40, 0, 64, 6, 0x26, 0xcb, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
            0x0f, 0xa0, 0x07, 0x8f, 0xc0, 0, 0, 1, 0x50, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, // TCP
            0xb0, 0x32, 0, 0, b'a', b'b', b'c',
        ];
        assert_eq!(&out[at..], expected);
    }

    #[test]
    fn checksums_add_up_to_zero() {
        for (client, server) in [("10.0.0.1:4000", "10.0.0.2:1935"), ("[fe80::1]:4000", "10.0.0.2:1935")] {
            let (mut writer, mut out) = capture(client, server);
            let at = out.len() + RECORD_HEADER + 14;
            writer.segment(Direction::FromServer, Duration::ZERO, &[0xff; 1001], &mut out);
            let is_v4 = client.starts_with('1');
            let (addresses, tcp) =
                if is_v4 { (at + 12..at + 20, at + 20) } else { (at + 8..at + 40, at + 40) };
            let mut sum = Checksum::default();
            sum.add(&[0, PROTOCOL_TCP]);
            sum.add(&((out.len() - tcp) as u16).to_be_bytes());
            sum.add(&out[addresses]);
            sum.add(&out[tcp..]);
            assert_eq!(sum.finish(), 0, "TCP over {client}");
            if is_v4 {
                let mut sum = Checksum::default();
                sum.add(&out[at..at + 20]);
                assert_eq!(sum.finish(), 0, "IPv4 header");
            }
        }
    }

    #[test]
    fn bytes_beyond_a_packet_are_split() {
        let (mut writer, mut out) = capture("[::1]:4000", "[::1]:1935");
        let at = out.len();
        writer.segment(Direction::FromClient, Duration::ZERO, &[7; MAX_SEGMENT + 1], &mut out);
        assert_eq!(out.len() - at, 2 * (16 + 14 + 40 + 20) + MAX_SEGMENT + 1);
        assert_eq!(writer.client.next, CLIENT_START + 1 + MAX_SEGMENT as u32 + 1);
    }
}
