//! Streams sent to a group, once for all who want them so (`--rtsp-multicast`).
//!
//! Each stream that somebody sets up with `multicast` has an address of the network and four ports of its own, as receivers on one
//! machine get what comes to a port for any group. A thread sends from the first member to the last one; members are
//! connections that hold a [`Membership`]. What a late member lacks it gets with the next keyframe, not before.
//! Bounds: [`MAX_GROUPS`].

use super::{
    line::{self, Reports},
    packets::Carrier,
    udp::{Datagrams, Pair},
};
use crate::{
    rtp::{Format, rtcp},
    server::{
        Shared,
        path::StreamPath,
        registry::HubHandle,
        shared_tag::{Form, Piece},
        tap::{Tap, Tapped},
        wall,
    },
};
use alloc::{
    format,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::{
    io,
    sync::{Mutex, PoisonError},
};

/// Streams that are sent to groups at a time.
const MAX_GROUPS: usize = 1024;
/// The port of the first group.
const FIRST_PORT: u16 = 30_000;
/// Ports of a group: two tracks.
const PORTS: u16 = 4;
/// Routers that packets pass at most.
pub(super) const TTL: u8 = 16;
/// Bytes that wait for the network.
const MAX_QUEUED: usize = 8 << 20;
/// Between two looks at what waits.
const LOOK: Duration = Duration::from_millis(4);

/// `--rtsp-multicast`: addresses that groups get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MulticastNet {
    first: Ipv4Addr,
    /// How many there are.
    count: u32,
}

/// Not a network of multicast addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMulticastNet;

/// All groups of a server.
pub(super) struct Groups {
    net: MulticastNet,
    /// By place in the network.
    groups: Mutex<Vec<Weak<Group>>>,
}

/// A stream that is sent to a group.
#[derive(Debug)]
pub(super) struct Group {
    path: StreamPath,
    place: u16,
    address: Ipv4Addr,
    formats: Vec<Format>,
    /// Its stream has ended, and nothing is sent any more.
    is_over: AtomicBool,
    /// Disconnected when the last member has left.
    _alive: Sender<Infallible>,
}

/// Somebody receives the group. It is sent as long as there is one.
pub(super) type Membership = Arc<Group>;

impl Groups {
    pub(super) fn new(net: MulticastNet) -> Groups {
        Groups { net, groups: Mutex::default() }
    }

    /// Membership in the group of a stream, which is sent from now on. `None` if there are too many streams, or it cannot be sent.
    /// `local`: our address where the member reaches us, by whose network it is sent.
    pub(super) fn join(
        &self,
        shared: &Arc<Shared>,
        path: &StreamPath,
        described: &[Format],
        local: IpAddr,
    ) -> Option<Membership> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sent = groups.iter().filter_map(Weak::upgrade).filter(|group| !group.is_over());
        if let Some(known) = sent.find(|group| group.path == *path) {
            return Some(known).filter(|known| line::is_described(&known.formats, described));
        }
        drop(sent);
        let free = groups.iter().position(|group| group.strong_count() == 0).unwrap_or(groups.len());
        if free >= MAX_GROUPS.min(self.net.count as usize) {
            return None;
        }
        let hub = shared
            .registry
            .hub(path)
            .ok()
            .filter(|hub| hub.begin_line(shared.now(), shared.seed(), described))?;
        let address = Ipv4Addr::from_bits(self.net.first.to_bits() + free as u32);
        let (alive, ended) = bounded(0);
        let group = Arc::new(Group {
            path: path.clone(),
            place: free as u16,
            address,
            formats: described.to_vec(),
            is_over: AtomicBool::new(false),
            _alive: alive,
        });
        let local = if let IpAddr::V4(local) = local { local } else { Ipv4Addr::UNSPECIFIED };
        let mut job = match Sending::new(shared, &group, hub, ended, local) {
            Ok(job) => job,
            Err(error) => {
                log::warn!("{path} cannot be sent to {address}: {error}");
                return None;
            }
        };
        let sent = Arc::downgrade(&group);
        let run = move || {
            job.run();
            if let Some(group) = sent.upgrade() {
                group.is_over.store(true, Ordering::Relaxed);
            }
        };
        shared.jobs.spawn(format!("weir-group-{free}"), run).ok()?;
        log::info!("{path} is sent to {address}, ports from {}", group.ports(0).0);
        match groups.get_mut(free) {
            Some(place) => *place = Arc::downgrade(&group),
            None => groups.push(Arc::downgrade(&group)),
        }
        Some(group)
    }
}

impl Group {
    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Nothing is sent any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Of a track: RTP and RTCP.
    pub(super) fn ports(&self, track: usize) -> (u16, u16) {
        let first = FIRST_PORT + self.place * PORTS + 2 * track as u16;
        (first, first + 1)
    }
}

/// The thread of a group.
struct Sending {
    shared: Arc<Shared>,
    tap: Tap,
    datagrams: Datagrams,
    tracks: usize,
    reports: Reports,
    ended: Receiver<Infallible>,
}

impl Sending {
    fn new(
        shared: &Arc<Shared>,
        group: &Group,
        hub: HubHandle,
        ended: Receiver<Infallible>,
        local: Ipv4Addr,
    ) -> io::Result<Sending> {
        let now = shared.now();
        let tracks = hub.rtp_tracks(now).formats.len();
        let mut datagrams = Datagrams::new(now);
        for track in 0..tracks {
            let (rtp, rtcp) = group.ports(track);
            let to = |port| SocketAddr::new(group.address.into(), port);
            datagrams.insert(track, Pair::to_group(to(rtp), to(rtcp), u32::from(TTL), local)?);
        }
        let tap = Tap::new(shared.clone(), hub);
        tap.set_watched(true);
        Ok(Sending { shared: shared.clone(), tap, datagrams, tracks, reports: Reports::default(), ended })
    }

    fn run(&mut self) {
        // What has come before this is for nobody.
        let mut is_begun = false;
        loop {
            let now = self.shared.now();
            self.datagrams.flush(now);
            let wait = if self.datagrams.queued() > 0 { LOOK } else { Duration::from_millis(500) };
            match self.tap.next(Some(now + wait)) {
                Tapped::Tag(tag) if tag.is_frame() => {
                    let Some(numbered) = tag.numbered() else { break };
                    self.reports.note(numbered);
                    if let Some(Piece::Rtp(packets)) = tag.piece(Form::Rtp(Carrier::ALL_DATAGRAMS)).as_deref()
                    {
                        // A network that takes nothing loses packets, as networks do.
                        let _ = self.datagrams.push(packets, MAX_QUEUED);
                    }
                    is_begun = true;
                }
                Tapped::Ended | Tapped::Stopped => break,
                Tapped::Tag(_) | Tapped::Started | Tapped::Gap | Tapped::TimedOut => {}
            }
            if self.ended.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected) {
                break;
            }
            let now = self.shared.now();
            self.datagrams.flush(now);
            if is_begun {
                self.report(now);
            }
        }
        self.say_goodbye();
    }

    fn report(&mut self, now: crate::base::MonoTime) {
        let Some(sender) = self.reports.due(now) else { return };
        let ntp = rtcp::ntp(wall::now());
        for track in 0..self.tracks {
            let mut report = Vec::new();
            sender.report(track, ntp, &mut report);
            self.datagrams.send_rtcp(track, &report);
        }
    }

    fn say_goodbye(&mut self) {
        let Some(sender) = self.reports.sender() else { return };
        let ntp = rtcp::ntp(wall::now());
        for track in 0..self.tracks {
            let mut goodbye = Vec::new();
            sender.goodbye(track, ntp, &mut goodbye);
            self.datagrams.send_rtcp(track, &goodbye);
        }
    }
}

impl FromStr for MulticastNet {
    type Err = BadMulticastNet;

    fn from_str(text: &str) -> Result<MulticastNet, BadMulticastNet> {
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let first: Ipv4Addr = address.parse().map_err(|_| BadMulticastNet)?;
        let bits: u32 = bits.parse().ok().filter(|bits| (4..=32).contains(bits)).ok_or(BadMulticastNet)?;
        let count = 1_u64 << (32 - bits);
        let is_first = u64::from(first.to_bits()) % count == 0;
        if !first.is_multicast() || !is_first {
            return Err(BadMulticastNet);
        }
        Ok(MulticastNet { first, count: u32::try_from(count).map_err(|_| BadMulticastNet)? })
    }
}

impl core::fmt::Display for BadMulticastNet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not a network of multicast addresses such as 239.255.0.0/16")
    }
}

impl core::error::Error for BadMulticastNet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_of_multicast_addresses_and_begin_where_they_say() {
        for (text, count) in [("239.255.0.0/16", 65_536), ("239.1.2.3", 1), ("224.0.0.0/4", 1 << 28)] {
            assert_eq!(text.parse::<MulticastNet>().map(|net| net.count), Ok(count), "{text}");
        }
        for text in ["10.0.0.0/8", "239.255.0.1/16", "239.0.0.0/33", "239.0.0.0/3", "x", "", "ff0e::/16"] {
            assert_eq!(text.parse::<MulticastNet>(), Err(BadMulticastNet), "{text}");
        }
    }
}
