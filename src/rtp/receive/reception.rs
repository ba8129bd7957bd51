//! What a receiver reports of a sender (RFC 3550, 6.4.1, A.3, A.8).
//!
//! In: the sequence numbers and timestamps of packets, in the order in which they come; the sender's reports. Out: report blocks.

use crate::{
    base::MonoTime,
    rtp::{
        packet::Packet,
        rtcp::{ReportBlock, SenderReport},
    },
};

/// Counts one sender's packets.
#[derive(Debug, Default)]
pub(super) struct Reception {
    source: Option<u32>,
    /// Sequence numbers with wraps.
    first: u32,
    highest: u32,
    received: u32,
    /// When the last report was made.
    reported_expected: u32,
    reported_received: u32,
    /// Of the last packet: when it came less what it says, in ticks.
    transit: u32,
    /// In 16ths of a tick.
    jitter: u32,
    /// The middle bits of the last report's time, and when it came.
    last_report: Option<(u32, MonoTime)>,
}

impl Reception {
    /// A packet came. `rate`: ticks in a second.
    pub(super) fn note(&mut self, now: MonoTime, packet: &Packet<'_>, rate: u32) {
        let arrival = (u128::from(now.0) * u128::from(rate) / 1000) as u32;
        let transit = arrival.wrapping_sub(packet.timestamp);
        if self.source != Some(packet.ssrc) {
            let sequence = u32::from(packet.sequence);
            *self = Reception {
                source: Some(packet.ssrc),
                first: sequence,
                highest: sequence,
                transit,
                ..Reception::default()
            };
        }
        let ahead = i32::from(packet.sequence.wrapping_sub(self.highest as u16) as i16);
        if ahead > 0 {
            self.highest = self.highest.wrapping_add(ahead as u32);
        }
        self.received = self.received.wrapping_add(1);
        let difference = (transit.wrapping_sub(self.transit) as i32).unsigned_abs();
        self.transit = transit;
        self.jitter = self.jitter.saturating_add(difference) - (self.jitter.saturating_add(8) >> 4);
    }

    /// A sender's report came.
    pub(super) fn note_report(&mut self, now: MonoTime, report: &SenderReport) {
        self.last_report = Some(((report.ntp >> 16) as u32, now));
    }

    /// What there is to report; `None` before the first packet.
    pub(super) fn report(&mut self, now: MonoTime) -> Option<ReportBlock> {
        let ssrc = self.source?;
        let expected = self.highest.wrapping_sub(self.first).wrapping_add(1);
        let (newly_expected, newly_received) = (
            expected.wrapping_sub(self.reported_expected),
            self.received.wrapping_sub(self.reported_received),
        );
        (self.reported_expected, self.reported_received) = (expected, self.received);
        let newly_lost = u64::from(newly_expected.saturating_sub(newly_received));
        let fraction_lost = (newly_lost << 8).checked_div(u64::from(newly_expected)).unwrap_or(0).min(255);
        let (last_report, delay) = self.last_report.map_or((0, 0), |(middle, came_at)| {
            (middle, (now.since(came_at).as_millis() * 65_536 / 1000) as u32)
        });
        Some(ReportBlock {
            ssrc,
            fraction_lost: fraction_lost as u8,
            lost: expected.wrapping_sub(self.received) as i32,
            highest_sequence: self.highest,
            jitter: self.jitter >> 4,
            last_report,
            delay,
        })
    }
}
