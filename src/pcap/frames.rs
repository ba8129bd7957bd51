//! Capture file -> TCP segments, each with its time and addresses.
//!
//! Reads pcap (both byte orders, microseconds and nanoseconds) and pcapng through `pcap-parser`, and Ethernet with
//! VLAN tags, Linux cooked v1 and v2, raw IP and BSD loopback frames through `etherparse`. Not here: putting
//! segments in order (`reassembly`).
//!
//! Bounds: holds nothing but one entry per pcapng interface; segments borrow from the file.
//! Checksums are not verified: captures of a sending host have unfinished ones.

use super::reader::{CaptureOddity, ReadError};
use alloc::vec::Vec;
use core::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_parser::{
    PcapHeader, parse_block_be, parse_block_le, parse_pcap_frame, parse_pcap_frame_be,
    parse_pcap_frame_modified, parse_pcap_header, pcapng::Block, traits::PcapNGPacketBlock,
};

/// One TCP segment as it was captured.
pub(super) struct Frame<'a> {
    pub(super) time: Duration,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    /// Acknowledgement number, if the ACK flag is set.
    pub(super) acknowledged: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) reset: bool,
    pub(super) data: &'a [u8],
}

/// Calls `each` with every TCP segment of a capture file, in file order. Returns what was passed over.
pub(super) fn each_frame<'a>(
    file: &'a [u8],
    mut each: impl FnMut(Frame<'a>),
) -> Result<Vec<CaptureOddity>, ReadError> {
    let mut decoder = Decoder { each: &mut each, skipped: 0, last_time: Duration::ZERO };
    let mut oddities = match parse_pcap_header(file) {
        Ok((rest, header)) => pcap(&header, rest, &mut decoder)?,
        Err(_) if file.starts_with(&SECTION_HEADER) => pcapng(file, &mut decoder)?,
        Err(_) => return Err(ReadError::NotACapture),
    };
    if decoder.skipped > 0 {
        oddities.push(CaptureOddity::NotTcp { packets: decoder.skipped });
    }
    Ok(oddities)
}

fn pcap<'a>(
    header: &PcapHeader,
    mut rest: &'a [u8],
    decoder: &mut Decoder<'_, 'a>,
) -> Result<Vec<CaptureOddity>, ReadError> {
    // The upper bits may hold the length of a frame check sequence.
    let link = Link::of(header.network.0 as u32 & 0xffff)?;
    let parse = match (header.is_modified_format(), header.is_bigendian()) {
        (true, _) => parse_pcap_frame_modified,
        (false, true) => parse_pcap_frame_be,
        (false, false) => parse_pcap_frame,
    };
    while !rest.is_empty() {
        let Ok((behind, record)) = parse(rest) else {
            return Ok(Vec::from([CaptureOddity::Truncated { unread: rest.len() }]));
        };
        let nanos = match header.is_nanosecond_precision() {
            true => u64::from(record.ts_usec),
            false => u64::from(record.ts_usec) * 1000,
        };
        let time = Duration::from_secs(record.ts_sec.into()) + Duration::from_nanos(nanos);
        decoder.packet(link, Some(time), record.data);
        rest = behind;
    }
    Ok(Vec::new())
}

fn pcapng<'a>(file: &'a [u8], decoder: &mut Decoder<'_, 'a>) -> Result<Vec<CaptureOddity>, ReadError> {
    let mut rest = file;
    let mut is_big_endian = false;
    let mut interfaces: Vec<Interface> = Vec::new();
    while !rest.is_empty() {
        let parse = if is_big_endian { parse_block_be } else { parse_block_le };
        let (behind, block) = match parse(rest) {
            Ok(parsed) => parsed,
            // A section header that names no byte order: the file only looks like a capture.
            Err(_) if rest.len() == file.len() => return Err(ReadError::NotACapture),
            Err(_) => return Ok(Vec::from([CaptureOddity::Truncated { unread: rest.len() }])),
        };
        match block {
            Block::SectionHeader(section) => {
                is_big_endian = section.big_endian();
                interfaces.clear();
            }
            Block::InterfaceDescription(description) => interfaces.push(Interface {
                link: Link::of(description.linktype.0 as u32 & 0xffff)?,
                resolution: description.if_tsresol,
                offset: description.if_tsoffset,
            }),
            Block::EnhancedPacket(packet) => {
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                match interfaces.get(packet.if_id as usize) {
                    Some(interface) => {
                        let data = captured(packet.data, packet.caplen);
                        decoder.packet(interface.link, Some(interface.time(ticks)), data);
                    }
                    None => decoder.skipped += 1,
                }
            }
            Block::SimplePacket(packet) => match interfaces.first() {
                Some(interface) => {
                    decoder.packet(interface.link, None, captured(packet.data, packet.orig_len()));
                }
                None => decoder.skipped += 1,
            },
            _ => {}
        }
        rest = behind;
    }
    Ok(Vec::new())
}

/// The packet without the padding of its block.
fn captured(padded: &[u8], length: u32) -> &[u8] {
    padded.get(..length as usize).unwrap_or(padded)
}

struct Interface {
    link: Link,
    /// if_tsresol: the top bit chooses powers of 2, otherwise powers of 10.
    resolution: u8,
    /// Seconds to add.
    offset: i64,
}

impl Interface {
    fn time(&self, ticks: u64) -> Duration {
        let exponent = u32::from(self.resolution & 0x7f);
        let base: u128 = if self.resolution & 0x80 == 0 { 10 } else { 2 };
        // Finer than 64 bits can say leaves nothing of the ticks.
        let per_second = base.checked_pow(exponent).unwrap_or(u128::MAX);
        let ticks = u128::from(ticks);
        let seconds = (ticks / per_second) as u64;
        let nanos = match (ticks % per_second).checked_mul(NANOS) {
            Some(scaled) => scaled / per_second,
            None => 0,
        };
        let seconds = seconds.checked_add_signed(self.offset).unwrap_or(seconds);
        Duration::new(seconds, nanos as u32)
    }
}

/// How a frame begins (link types of tcpdump.org).
#[derive(Clone, Copy)]
enum Link {
    Ethernet,
    /// 4 bytes of address family before the IP header.
    Loopback,
    Ip,
    /// EtherType at this offset, payload behind the header of this length.
    Cooked {
        ether_type: usize,
        header: usize,
    },
}

impl Link {
    fn of(number: u32) -> Result<Link, ReadError> {
        Ok(match number {
            1 => Link::Ethernet,
            0 | 108 => Link::Loopback,
            // Raw IP by its link type number and by the numbers that BSD systems use, and IPv4 or IPv6 alone.
            101 | 12 | 14 | 228 | 229 => Link::Ip,
            113 => Link::Cooked { ether_type: 14, header: 16 },
            276 => Link::Cooked { ether_type: 0, header: 20 },
            _ => return Err(ReadError::LinkType(number)),
        })
    }

    fn slice(self, frame: &[u8]) -> Option<LaxSlicedPacket<'_>> {
        match self {
            Link::Ethernet => LaxSlicedPacket::from_ethernet(frame).ok(),
            Link::Loopback => LaxSlicedPacket::from_ip(frame.get(4..)?).ok(),
            Link::Ip => LaxSlicedPacket::from_ip(frame).ok(),
            Link::Cooked { ether_type, header } => {
                let payload = frame.get(header..)?;
                let number = u16::from_be_bytes([*frame.get(ether_type)?, *frame.get(ether_type + 1)?]);
                Some(LaxSlicedPacket::from_ether_type(EtherType(number), payload))
            }
        }
    }
}

struct Decoder<'c, 'a> {
    each: &'c mut dyn FnMut(Frame<'a>),
    skipped: usize,
    last_time: Duration,
}

impl<'a> Decoder<'_, 'a> {
    /// Simple packet blocks have no time: they get that of the packet before.
    fn packet(&mut self, link: Link, time: Option<Duration>, bytes: &'a [u8]) {
        self.last_time = time.unwrap_or(self.last_time);
        match segment(link, self.last_time, bytes) {
            Some(frame) => (self.each)(frame),
            None => self.skipped += 1,
        }
    }
}

fn segment(link: Link, time: Duration, bytes: &[u8]) -> Option<Frame<'_>> {
    let packet = link.slice(bytes)?;
    let (from, to): (IpAddr, IpAddr) = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else { return None };
    Some(Frame {
        time,
        from: SocketAddr::new(from, tcp.source_port()),
        to: SocketAddr::new(to, tcp.destination_port()),
        sequence: tcp.sequence_number(),
        acknowledged: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        reset: tcp.rst(),
        data: tcp.payload(),
    })
}

/// Block type of a pcapng section header, the same in both byte orders.
const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const NANOS: u128 = 1_000_000_000;
