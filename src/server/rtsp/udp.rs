//! Pairs of UDP ports, one pair a track: RTP on the even port, RTCP on the one above.
//!
//! Each pair is of one client alone, so that nobody has to be told apart, a full socket slows nobody else, and behind a NAT the
//! client's real ports can be learned from what it sends. What comes from another address is dropped; so is what comes from another
//! port once one has spoken. Packets never go to an address that a request names.
//!
//! What is sent is paced: a client that joins gets a group of pictures at once, which its socket would not hold. [`BURST`] at
//! once, then [`RATE`]. What the own socket does not take is tried again.
//! Bounds: the queue, by the limit that the caller gives; [`MAX_TRIES`] for a pair; [`TURN_PACKETS`] received in a turn.

use super::packets::{Datagram, Packets};
use crate::base::{MonoTime, SendError};
use alloc::{collections::VecDeque, sync::Arc, vec, vec::Vec};
use core::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};
use mio::{Interest, Registry, Token, net::UdpSocket};
use socket2::SockRef;
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Bytes that a client gets at once. The usual receive buffer of Linux (208 KiB) holds some 90 packets, full or not.
const BURST: usize = 64 << 10;
/// Bytes a second behind a burst: 64 Mbit/s, more than any camera has.
const RATE: usize = 8 << 20;
/// Pause before what waits is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(4);
/// Behind the last packet, before the goodbye: ffmpeg throws away what it has not read when that comes.
const BEFORE_GOODBYE: Duration = Duration::from_millis(300);
/// Datagrams of one call of the system.
const BATCH: usize = 32;
/// Pairs of ports that are tried for a client, where others have some that we do not know of.
const MAX_TRIES: usize = 256;
/// Datagrams of one client before the others get their turn.
pub(in crate::server) const TURN_PACKETS: usize = 512;
/// Bytes that the system holds of what publishers send.
const RECEIVE_BUFFER: usize = 1 << 20;

/// The ports that clients get.
pub(in crate::server) struct Ports {
    first: u16,
    taken: Arc<Mutex<Taken>>,
}

/// Which pairs clients have. When all are, that is known without asking the system, however often somebody wants one.
struct Taken {
    pairs: Vec<bool>,
    free: usize,
    /// Where the next search begins, so that a pair rests before it is somebody else's.
    next: usize,
}

/// A pair of ports, given back when dropped.
struct Lease {
    taken: Arc<Mutex<Taken>>,
    place: usize,
}

impl Ports {
    /// Even ones in that range, each with the one above.
    pub(in crate::server) fn new(range: RangeInclusive<u16>) -> Ports {
        let first = range.start().saturating_add(range.start() % 2);
        let count = usize::from(range.end().saturating_sub(first).saturating_add(1)) / 2;
        let taken = Taken { pairs: vec![false; count], free: count, next: 0 };
        Ports { first, taken: Arc::new(Mutex::new(taken)) }
    }

    /// The same, from some place in the range on: for who does not know which ones others have.
    pub(in crate::server) fn shuffled(range: RangeInclusive<u16>, seed: u64) -> Ports {
        let ports = Ports::new(range);
        let mut taken = ports.lock();
        taken.next = (seed % taken.pairs.len().max(1) as u64) as usize;
        drop(taken);
        ports
    }

    pub(in crate::server) fn range(&self) -> RangeInclusive<u16> {
        let count = self.lock().pairs.len() as u16;
        self.first..=self.first.saturating_add((2 * count).saturating_sub(1))
    }

    /// A free pair at one of our own addresses, for the client at `peer`.
    pub(in crate::server) fn pair(&self, local: IpAddr, peer: IpAddr, ports: (u16, u16)) -> io::Result<Pair> {
        for _ in 0..MAX_TRIES {
            let Some(lease) = self.lease() else { break };
            let port = self.first + 2 * lease.place as u16;
            let bind = |port| UdpSocket::bind(SocketAddr::new(local, port));
            let (Ok(rtp), Ok(rtcp)) = (bind(port), bind(port + 1)) else { continue };
            // A system that refuses has smaller ones.
            let _ = SockRef::from(&rtp).set_recv_buffer_size(RECEIVE_BUFFER);
            let peers = Peer::both(peer, ports);
            return Ok(Pair { sockets: [rtp, rtcp], peers, port, _lease: Some(lease) });
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease(&self) -> Option<Lease> {
        let mut taken = self.lock();
        if taken.free == 0 {
            return None;
        }
        let (behind, before) = (taken.next..taken.pairs.len(), 0..taken.next);
        let place = behind.chain(before).find(|place| !taken.pairs[*place])?;
        taken.pairs[place] = true;
        taken.free -= 1;
        taken.next = place + 1;
        Some(Lease { taken: self.taken.clone(), place })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.pairs[self.place] = false;
        taken.free += 1;
    }
}

/// Sockets of one track.
pub(in crate::server) struct Pair {
    /// RTP, RTCP.
    sockets: [UdpSocket; 2],
    peers: [Peer; 2],
    port: u16,
    /// Behind the sockets, which are closed before. A group has none.
    _lease: Option<Lease>,
}

/// Where a client sends from and receives.
#[derive(Clone, Copy)]
struct Peer {
    address: SocketAddr,
    /// It has sent something, so that the port is right.
    is_heard: bool,
}

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Heard {
    Rtp(usize),
    Rtcp(usize),
}

/// The pairs of a client, and what waits to be sent through them.
pub(in crate::server) struct Datagrams {
    /// With the track of each.
    pairs: Vec<(usize, Pair)>,
    queue: VecDeque<Waiting>,
    queued: usize,
    budget: usize,
    refilled: MonoTime,
    /// Nothing is sent before.
    due: Option<MonoTime>,
    /// Reports that end tracks, to be sent behind everything else.
    goodbyes: Vec<(usize, Vec<u8>)>,
    /// Everything else is sent since then.
    drained_at: Option<MonoTime>,
    /// The sockets may hold something.
    pub(in crate::server) may_read: bool,
    /// The socket whose turn it is: those for RTCP, those for RTP.
    reading: usize,
    /// Some pairs are not watched yet.
    is_unregistered: bool,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// Packets of which some are sent.
struct Waiting {
    packets: Packets,
    next: usize,
}

impl Datagrams {
    pub(in crate::server) fn new(now: MonoTime) -> Datagrams {
        Datagrams {
            pairs: Vec::new(),
            queue: VecDeque::new(),
            queued: 0,
            budget: BURST,
            refilled: now,
            due: None,
            goodbyes: Vec::new(),
            drained_at: None,
            may_read: false,
            reading: 0,
            is_unregistered: false,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// A pair for a track, instead of the one that it had.
    pub(in crate::server) fn insert(&mut self, track: usize, pair: Pair) -> (u16, u16) {
        let port = pair.port;
        self.pairs.retain(|(of, _)| *of != track);
        self.pairs.push((track, pair));
        self.reading = 0;
        self.is_unregistered = true;
        (port, port + 1)
    }

    /// The ports of a peer that were not known when the pair was made.
    pub(in crate::server) fn aim(&mut self, track: usize, ports: (u16, u16)) {
        for (_, pair) in self.pairs.iter_mut().filter(|(of, _)| *of == track) {
            pair.peers[0].address.set_port(ports.0);
            pair.peers[1].address.set_port(ports.1);
        }
    }

    /// Sends packets that mean nothing, as ffmpeg does, so that what comes from there finds its way through a NAT.
    pub(in crate::server) fn open_way(&self) {
        for (_, pair) in &self.pairs {
            let (packet, report) = ([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0x80, 201, 0, 1, 0, 0, 0, 0]);
            // What gets lost would mean nothing.
            let _ = pair.sockets[0].send_to(&packet, pair.peers[0].address);
            let _ = pair.sockets[1].send_to(&report, pair.peers[1].address);
        }
    }

    /// Gives the pair that a track has to another pair of ports of the same client. `None` if it has none.
    pub(super) fn renew(&mut self, track: usize, peer: IpAddr, ports: (u16, u16)) -> Option<(u16, u16)> {
        let (_, pair) = self.pairs.iter_mut().find(|(of, _)| *of == track)?;
        pair.peers = Peer::both(peer, ports);
        Some((pair.port, pair.port + 1))
    }

    /// A track is not sent or received any more.
    pub(super) fn remove(&mut self, track: usize) {
        self.pairs.retain(|(of, _)| *of != track);
    }

    /// Has the sockets watched that are not yet; all of them anew behind [`Datagrams::deregister`].
    pub(in crate::server) fn register(&mut self, registry: &Registry, token: Token) {
        if !core::mem::take(&mut self.is_unregistered) {
            return;
        }
        for socket in self.pairs.iter_mut().flat_map(|(_, pair)| &mut pair.sockets) {
            // Those that are watched refuse.
            let _ = registry.register(socket, token, Interest::READABLE);
        }
        self.may_read = true;
    }

    pub(in crate::server) fn deregister(&mut self, registry: &Registry) {
        for socket in self.pairs.iter_mut().flat_map(|(_, pair)| &mut pair.sockets) {
            let _ = registry.deregister(socket);
        }
        self.is_unregistered = true;
    }

    // ---- receiving

    /// The next datagram of the client; `None` if there is none.
    pub(in crate::server) fn receive(&mut self, buffer: &mut [u8]) -> Option<(Heard, usize)> {
        let count = self.pairs.len();
        // Reports first: they say where on the timeline the first packets lie, which come along with them.
        while self.reading < 2 * count {
            let (track, pair) = &mut self.pairs[self.reading % count];
            let (place, heard) = match self.reading < count {
                true => (1, Heard::Rtcp(*track)),
                false => (0, Heard::Rtp(*track)),
            };
            // So many strangers at most, so that a flood from elsewhere is no more than that.
            for _ in 0..TURN_PACKETS {
                let Ok((len, from)) = pair.sockets[place].recv_from(buffer) else { break };
                self.bytes_in += len as u64;
                if pair.peers[place].is(from) {
                    return Some((heard, len));
                }
            }
            self.reading += 1;
        }
        self.reading = 0;
        self.may_read = false;
        None
    }

    // ---- sending

    /// Bytes that wait.
    pub(in crate::server) fn queued(&self) -> usize {
        self.queued
    }

    /// Queues packets, behind which `max` bytes may wait.
    pub(in crate::server) fn push(&mut self, packets: &Packets, max: usize) -> Result<(), SendError> {
        let len = packets.bytes().len();
        if self.queued > 0 && self.queued + len > max {
            return Err(SendError::WouldExceed);
        }
        if len > 0 {
            self.queued += len;
            self.queue.push_back(Waiting { packets: packets.clone(), next: 0 });
        }
        Ok(())
    }

    /// Drops what waits.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.queued = 0;
        self.due = None;
        self.goodbyes.clear();
        self.drained_at = None;
    }

    /// Something else follows what has ended.
    pub(super) fn forget_goodbyes(&mut self) {
        if !core::mem::take(&mut self.goodbyes).is_empty() && self.queue.is_empty() {
            self.due = None;
        }
        self.drained_at = None;
    }

    /// When [`Datagrams::flush`] has something to do.
    pub(in crate::server) fn deadline(&self) -> Option<MonoTime> {
        self.due
    }

    /// Sends what may be sent by now.
    pub(in crate::server) fn flush(&mut self, now: MonoTime) {
        if self.due.is_some_and(|due| due > now) {
            return;
        }
        self.flush_queue(now);
        if !self.queue.is_empty() || self.goodbyes.is_empty() {
            return;
        }
        let goodbye_at = *self.drained_at.get_or_insert(now) + BEFORE_GOODBYE;
        self.due = Some(goodbye_at).filter(|at| *at > now);
        if self.due.is_none() {
            for (track, goodbye) in core::mem::take(&mut self.goodbyes) {
                self.send_rtcp(track, &goodbye);
            }
        }
    }

    /// What may be sent of the queue by now.
    fn flush_queue(&mut self, now: MonoTime) {
        if self.queue.is_empty() {
            return;
        }
        let elapsed = now.since(self.refilled).as_millis() as usize;
        self.refilled = now;
        self.budget = self.budget.saturating_add(elapsed.saturating_mul(RATE / 1000)).min(BURST);
        self.due = None;
        while let Some(waiting) = self.queue.front_mut() {
            let all = waiting.packets.datagrams();
            let Some(first) = all.get(waiting.next) else {
                self.queue.pop_front();
                continue;
            };
            if self.budget == 0 {
                self.due = Some(now + PAUSE);
                return;
            }
            let start = if waiting.next == 0 { 0 } else { all[waiting.next - 1].end as usize };
            let mut count = 0;
            let mut end = start;
            for datagram in all[waiting.next..].iter().take(BATCH) {
                if datagram.track != first.track || end - start >= self.budget {
                    break;
                }
                count += 1;
                end = datagram.end as usize;
            }
            let batch = &all[waiting.next..waiting.next + count];
            let pair = self.pairs.iter().find(|(track, _)| *track == usize::from(first.track));
            let sent = match pair {
                Some((_, pair)) => pair.send(&waiting.packets, start, batch),
                // Not set up any more.
                None => Ok(count),
            };
            let sent = match sent {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.due = Some(now + PAUSE);
                    return;
                }
                // Nobody listens there, or there is no way: packets are lost, as others are.
                Err(_) => count,
            };
            waiting.next += sent;
            let end = all.get(waiting.next - 1).map_or(start, |last| last.end as usize);
            self.queued -= end - start;
            self.budget = self.budget.saturating_sub(end - start);
            self.bytes_out += (end - start) as u64;
        }
    }

    /// A track ends behind what waits.
    pub(super) fn say_goodbye(&mut self, track: usize, report: Vec<u8>) {
        self.goodbyes.push((track, report));
        self.drained_at = None;
    }

    /// Sends a report at once. Lost if there is no room, as it may be on its way.
    pub(in crate::server) fn send_rtcp(&mut self, track: usize, report: &[u8]) {
        if let Some((_, pair)) = self.pairs.iter().find(|(of, _)| *of == track) {
            if pair.sockets[1].send_to(report, pair.peers[1].address).is_ok() {
                self.bytes_out += report.len() as u64;
            }
        }
    }
}

impl Peer {
    /// Of RTP and RTCP, not heard yet.
    fn both(address: IpAddr, ports: (u16, u16)) -> [Peer; 2] {
        [ports.0, ports.1].map(|port| Peer { address: SocketAddr::new(address, port), is_heard: false })
    }

    /// Whether it is that one. The first port that speaks is the right one, whatever the client said.
    fn is(&mut self, from: SocketAddr) -> bool {
        if from.ip() != self.address.ip() || (self.is_heard && from.port() != self.address.port()) {
            return false;
        }
        *self = Peer { address: from, is_heard: true };
        true
    }
}

impl Pair {
    /// Sockets that send to a group, and hear nothing.
    /// `local`: our address in the network that it goes to; unspecified: as the system thinks.
    pub(super) fn to_group(rtp: SocketAddr, rtcp: SocketAddr, ttl: u32, local: Ipv4Addr) -> io::Result<Pair> {
        let socket = || {
            let socket = UdpSocket::bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0))?;
            socket.set_multicast_ttl_v4(ttl)?;
            SockRef::from(&socket).set_multicast_if_v4(&local)?;
            Ok::<_, io::Error>(socket)
        };
        let peers = [rtp, rtcp].map(|address| Peer { address, is_heard: true });
        Ok(Pair { sockets: [socket()?, socket()?], peers, port: rtp.port(), _lease: None })
    }

    /// How many of them the socket took.
    #[cfg(target_os = "linux")]
    fn send(&self, packets: &Packets, start: usize, batch: &[Datagram]) -> io::Result<usize> {
        use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
        use std::io::IoSlice;

        let address = SocketAddrAny::from(self.peers[0].address);
        let mut slices = [IoSlice::new(&[]); BATCH];
        let mut from = start;
        for (slice, datagram) in slices.iter_mut().zip(batch) {
            *slice = IoSlice::new(&packets.bytes()[from..datagram.end as usize]);
            from = datagram.end as usize;
        }
        let mut control: [SendAncillaryBuffer<'_, '_, '_>; BATCH] =
            core::array::from_fn(|_| SendAncillaryBuffer::default());
        let mut messages: Vec<MMsgHdr<'_>> = slices[..batch.len()]
            .chunks(1)
            .zip(&mut control)
            .map(|(slice, control)| MMsgHdr::new_with_addr(&address, slice, control))
            .collect();
        Ok(sendmmsg(&self.sockets[0], &mut messages, SendFlags::empty())?)
    }

    #[cfg(not(target_os = "linux"))]
    fn send(&self, packets: &Packets, start: usize, batch: &[Datagram]) -> io::Result<usize> {
        let mut from = start;
        for (sent, datagram) in batch.iter().enumerate() {
            match self.sockets[0]
                .send_to(&packets.bytes()[from..datagram.end as usize], self.peers[0].address)
            {
                Ok(_) => from = datagram.end as usize,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => return Ok(sent),
            }
        }
        Ok(batch.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flv::Codec,
        rtp::Format,
        server::{
            rtsp::{line::Line, packets::Carrier},
            testing::{shared, video},
        },
    };
    use core::net::Ipv4Addr;
    use std::net::UdpSocket as StdSocket;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A pair for a client whose sockets are these.
    fn connected(range: RangeInclusive<u16>) -> (Datagrams, StdSocket, StdSocket, (u16, u16)) {
        let client = [(); 2].map(|()| StdSocket::bind((LOCAL, 0)).unwrap());
        for socket in &client {
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        }
        let [rtp, rtcp] = client;
        let ports = [&rtp, &rtcp].map(|socket| socket.local_addr().unwrap().port());
        let pair = Ports::new(range).pair(LOCAL, LOCAL, (ports[0], ports[1])).unwrap();
        let mut datagrams = Datagrams::new(MonoTime(0));
        let ports = datagrams.insert(0, pair);
        datagrams.may_read = true;
        (datagrams, rtp, rtcp, ports)
    }

    fn heard(datagrams: &mut Datagrams) -> Vec<(Heard, Vec<u8>)> {
        let mut buffer = [0; 100];
        // Loopback delivers before `send_to` returns.
        core::iter::from_fn(|| {
            datagrams.receive(&mut buffer).map(|(heard, len)| (heard, buffer[..len].to_vec()))
        })
        .collect()
    }

    #[test]
    fn pairs_are_even_and_odd_within_the_range_and_taken_ones_are_passed_over() {
        let ports = Ports::new(28_101..=28_107);
        let pair = |ports: &Ports| ports.pair(LOCAL, LOCAL, (9, 10)).map(|pair| (pair.port, pair));
        let held: Vec<(u16, Pair)> = (0..3).map(|_| pair(&ports).unwrap()).collect();
        assert_eq!(held.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [28_102, 28_104, 28_106]);
        assert!(pair(&ports).is_err());
        drop(held);
        assert!(pair(&ports).is_ok());
    }

    #[test]
    fn the_first_port_that_speaks_is_the_clients_and_strangers_are_not_heard() {
        let (mut datagrams, _, rtcp, (server_rtp, server_rtcp)) = connected(28_120..=28_139);
        // Behind a NAT: not from the port that the client named.
        let other = StdSocket::bind((LOCAL, 0)).unwrap();
        other.send_to(b"first", (LOCAL, server_rtp)).unwrap();
        let late = StdSocket::bind((LOCAL, 0)).unwrap();
        late.send_to(b"late", (LOCAL, server_rtp)).unwrap();
        let stranger = StdSocket::bind(("127.0.0.2", 0)).unwrap();
        stranger.send_to(b"stranger", (LOCAL, server_rtp)).unwrap();
        rtcp.send_to(b"report", (LOCAL, server_rtcp)).unwrap();
        other.send_to(b"second", (LOCAL, server_rtp)).unwrap();
        let all = heard(&mut datagrams);
        let said: Vec<(Heard, &[u8])> = all.iter().map(|(heard, bytes)| (*heard, &bytes[..])).collect();
        assert_eq!(
            said,
            [(Heard::Rtcp(0), &b"report"[..]), (Heard::Rtp(0), b"first"), (Heard::Rtp(0), b"second")]
        );
        assert!(!datagrams.may_read);
        datagrams.send_rtcp(0, b"back");
        let mut buffer = [0; 10];
        assert_eq!(rtcp.recv(&mut buffer).ok(), Some(4));
    }

    /// A group of pictures of so many bytes, as packets.
    fn packets(bytes: usize) -> Packets {
        let record = [1, 100, 0, 31, 0xff, 0xe1, 0, 4, 0x67, 100, 0, 31, 1, 0, 1, 0x68];
        let format = Format::to_send(Codec::H264, &record, None).unwrap();
        let mut line = Line::begin(MonoTime(0), 1, vec![format], &Default::default(), &[]).unwrap();
        let mut body = vec![0x17, 1, 0, 0, 0];
        body.extend_from_slice(&(bytes as u32).to_be_bytes());
        body.extend(vec![0x65; bytes]);
        let tag = shared(video(0, body));
        assert!(line.number(MonoTime(0), &tag));
        Packets::new(Carrier::ALL_DATAGRAMS, [(tag.tag(), tag.numbered().unwrap())].into_iter())
    }

    #[test]
    fn a_burst_is_followed_at_a_rate_and_nothing_is_lost_or_doubled() {
        let (mut datagrams, rtp, ..) = connected(28_140..=28_159);
        let packets = packets(300_000);
        let count = packets.datagrams().len();
        datagrams.push(&packets, usize::MAX).unwrap();
        assert_eq!(datagrams.push(&packets, 300_000), Err(SendError::WouldExceed));
        let mut sequence = None;
        let mut received = 0;
        let mut at = MonoTime(0);
        let mut buffer = [0; 2000];
        loop {
            let before = datagrams.queued();
            datagrams.flush(at);
            let sent = before - datagrams.queued();
            assert!(sent <= BURST + 1400, "{sent} bytes at once at {at:?}");
            if at > MonoTime(0) {
                assert!(sent <= RATE / 1000 * 4 + 1400, "{sent} bytes at {at:?}");
            }
            while let Ok(len) = rtp.recv(&mut buffer) {
                let number = u16::from_be_bytes([buffer[2], buffer[3]]);
                assert!(sequence.is_none_or(|last: u16| last.wrapping_add(1) == number) && len <= 1400);
                sequence = Some(number);
                received += 1;
                rtp.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            }
            match datagrams.deadline() {
                Some(due) => at = due,
                None => break,
            }
        }
        assert_eq!((received, datagrams.queued()), (count, 0));
        assert!(at >= MonoTime(20), "all was gone at {at:?}");
    }

    #[test]
    fn what_belongs_to_a_track_that_is_not_set_up_any_more_is_passed_over() {
        let (mut datagrams, ..) = connected(28_160..=28_179);
        datagrams.push(&packets(5000), usize::MAX).unwrap();
        datagrams.remove(0);
        datagrams.flush(MonoTime(0));
        assert_eq!((datagrams.queued(), datagrams.deadline()), (0, None));
    }
}
