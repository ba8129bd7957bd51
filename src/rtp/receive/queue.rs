//! The packets of one track in the order in which they were sent.
//!
//! In: packets as they come. Out: which to take at once, and those that were held back, with how many are missing before each. Over TCP
//! nothing is held: what is missing there was never sent. Not here: what packets say; the reports about them (`reception`).
//! Bounds: [`MAX_HELD_PACKETS`], [`MAX_HELD_LEN`], and the time to wait.
//! Field notes: senders begin anew, with another SSRC or with a jump of the sequence numbers; packets of strangers come in between. The second
//! packet in a row tells the one from the other.

use crate::{base::MonoTime, rtp::packet::Packet};
use alloc::{boxed::Box, collections::BTreeMap};
use core::time::Duration;

/// Packets that are held at a time: 100 ms at 50 Mbit/s.
pub const MAX_HELD_PACKETS: usize = 512;
/// Bytes of packets that are held at a time.
pub const MAX_HELD_LEN: usize = 1 << 20;
/// A packet that is further ahead than this begins something new (RFC 3550, A.1).
const MAX_AHEAD: i64 = 3000;
/// And one that is further behind; nothing was held for so long.
const MAX_BEHIND: i64 = MAX_HELD_PACKETS as i64;

/// Puts one track's packets in order.
#[derive(Debug)]
pub(super) struct Queue {
    /// `None`: nothing is waited for.
    wait: Option<Duration>,
    /// SSRC of the packets.
    source: Option<u32>,
    /// Sequence number of the next packet, with wraps.
    next: i64,
    held: BTreeMap<i64, Held>,
    held_len: usize,
    /// When the first of those that are held has come.
    since: Option<MonoTime>,
    /// May be the first of something new.
    probe: Option<Box<[u8]>>,
    pub(super) counts: Counts,
}

#[derive(Debug)]
struct Held {
    bytes: Box<[u8]>,
    came_at: MonoTime,
}

/// What became of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Missing.
    pub(super) lost: u64,
    /// Came behind a later one, in time.
    pub(super) reordered: u64,
    /// Came again, or too late.
    pub(super) duplicates: u64,
}

/// What is to be done with a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To be taken now. `is_behind_gap`: something is missing before it.
    Take { is_behind_gap: bool },
    /// Something new began with the packet before this one: first that, then this.
    Restart { first: Box<[u8]>, is_new_source: bool },
    /// It is held, or was dropped.
    Nothing,
}

impl Queue {
    pub(super) fn new(wait: Option<Duration>) -> Queue {
        Queue {
            wait,
            source: None,
            next: 0,
            held: BTreeMap::new(),
            held_len: 0,
            since: None,
            probe: None,
            counts: Counts::default(),
        }
    }

    /// Who sends.
    pub(super) fn source(&self) -> Option<u32> {
        self.source
    }

    /// Nothing is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When [`Queue::pop`] gives something that it does not give before.
    pub(super) fn deadline(&self) -> Option<MonoTime> {
        Some(self.since? + self.wait?)
    }

    /// The next packet, whose bytes are `bytes`.
    pub(super) fn push(&mut self, now: MonoTime, packet: &Packet<'_>, bytes: &[u8]) -> Verdict {
        let Some(source) = self.source else {
            self.start(packet);
            return Verdict::Take { is_behind_gap: false };
        };
        let ahead = i64::from(packet.sequence.wrapping_sub(self.next as u16) as i16);
        if packet.ssrc != source || !(-MAX_BEHIND..=MAX_AHEAD).contains(&ahead) {
            return self.probe(packet, bytes, source);
        }
        self.probe = None;
        match ahead {
            0 => {
                self.counts.reordered += u64::from(!self.held.is_empty());
                self.advance(0);
                Verdict::Take { is_behind_gap: false }
            }
            ..0 => {
                self.counts.duplicates += 1;
                Verdict::Nothing
            }
            _ if self.wait.is_none() => {
                self.advance(ahead);
                Verdict::Take { is_behind_gap: true }
            }
            _ => {
                self.hold(now, self.next + ahead, bytes);
                Verdict::Nothing
            }
        }
    }

    /// The next packet of those that were held, if it is its turn; if nothing more is to be waited for, in any case. And whether
    /// something is missing before it.
    pub(super) fn pop(&mut self, now: MonoTime) -> Option<(Box<[u8]>, bool)> {
        let missing = *self.held.first_key_value()?.0 - self.next;
        let is_full = self.held.len() > MAX_HELD_PACKETS || self.held_len > MAX_HELD_LEN;
        if missing > 0 && !is_full && self.deadline().is_some_and(|deadline| now < deadline) {
            return None;
        }
        let (_, held) = self.held.pop_first()?;
        self.held_len -= held.bytes.len();
        self.since = self.held.values().map(|held| held.came_at).min();
        self.advance(missing);
        Some((held.bytes, missing > 0))
    }

    fn hold(&mut self, now: MonoTime, sequence: i64, bytes: &[u8]) {
        if self.held.contains_key(&sequence) {
            self.counts.duplicates += 1;
            return;
        }
        self.held_len += bytes.len();
        self.held.insert(sequence, Held { bytes: bytes.into(), came_at: now });
        self.since = self.since.or(Some(now));
    }

    /// The packet behind so many missing ones was taken.
    fn advance(&mut self, missing: i64) {
        self.counts.lost += missing as u64;
        self.next += missing + 1;
    }

    fn start(&mut self, packet: &Packet<'_>) {
        self.source = Some(packet.ssrc);
        self.next = i64::from(packet.sequence) + 1;
    }

    /// Something new begins where two packets in a row say so.
    fn probe(&mut self, packet: &Packet<'_>, bytes: &[u8], source: u32) -> Verdict {
        let first = self.probe.take().filter(|first| {
            Packet::parse(first).is_some_and(|first| {
                first.ssrc == packet.ssrc && first.sequence.wrapping_add(1) == packet.sequence
            })
        });
        let Some(first) = first else {
            self.probe = Some(bytes.into());
            return Verdict::Nothing;
        };
        // What was held is of no use any more.
        self.counts.lost += self.held.len() as u64;
        self.held.clear();
        self.held_len = 0;
        self.since = None;
        self.start(packet);
        Verdict::Restart { first, is_new_source: packet.ssrc != source }
    }
}
