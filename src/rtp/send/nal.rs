//! Access units of H.264 and H.265 -> payloads (RFC 6184, packetization mode 1; RFC 7798, without DONL fields).
//!
//! Small NAL units go together into one packet (STAP-A, AP), large ones over several (FU-A, FU), all others as they are. Before pictures
//! that decoding can start with go the parameter sets, once, whether the stream has them there or not. Left out: access unit delimiters, and
//! types that mean something else in RTP. Nothing is copied.

use super::{Out, sets::Sets};
use crate::codec::{h264, h265, nal::Units};
use alloc::sync::Arc;

/// Gives out one access unit. `is_keyframe`: what the tag says; an IDR picture is believed as well.
pub(super) fn frame(out: &mut Out<'_>, sets: &mut Arc<Sets>, sample: &[u8], is_keyframe: bool) {
    let is_hevc = sets.is_hevc;
    let units = || Units::new(sample, sets.length_size).filter_map(typed(is_hevc));
    let mut is_start = is_keyframe;
    let mut has_sets = false;
    for (nal_type, _) in units() {
        is_start |= if is_hevc { h265::is_irap(nal_type) } else { nal_type == h264::IDR_SLICE };
        has_sets |= sets.is_set(nal_type);
    }
    if has_sets {
        let length_size = sets.length_size;
        for (nal_type, unit) in Units::new(sample, length_size).filter_map(typed(is_hevc)) {
            if sets.is_set(nal_type) {
                Sets::update(sets, unit);
            }
        }
    }
    let sets = &**sets;
    let is_sent = |&(nal_type, unit): &(u8, &[u8])| {
        let is_doubled = is_start && sets.is_set(nal_type) && sets.holds(unit);
        let delimiter = if is_hevc { h265::AUD } else { h264::AUD };
        nal_type != delimiter && !is_doubled
    };
    let units = Units::new(sample, sets.length_size).filter_map(typed(is_hevc)).filter(is_sent);
    // Without a picture behind them sets are nothing.
    let mut units = units.map(|(_, unit)| unit).peekable();
    if units.peek().is_none() {
        return;
    }
    let mut packer = Packer::new(out, if is_hevc { 2 } else { 1 });
    if is_start {
        sets.iter().for_each(|set| packer.unit(set, false));
    }
    while let Some(unit) = units.next() {
        packer.unit(unit, units.peek().is_none());
    }
}

/// A NAL unit with its type, if it can be sent.
fn typed(is_hevc: bool) -> impl Fn(&[u8]) -> Option<(u8, &[u8])> {
    move |unit| match (is_hevc, unit) {
        (false, [first, ..]) => Some((h264::nal_type(*first), unit)).filter(|(kind, _)| *kind < STAP_A),
        (true, [first, _, ..]) => Some((h265::nal_type(*first), unit)).filter(|(kind, _)| *kind < AP),
        _ => None,
    }
}

struct Packer<'p, 'o, 's> {
    out: &'o mut Out<'s>,
    /// Bytes of a NAL unit's header: 1 of H.264, 2 of H.265.
    header_len: usize,
    /// What will go together.
    waiting: [&'p [u8]; MAX_AGGREGATED],
    count: usize,
    /// Bytes of the payload if it does.
    len: usize,
}

impl<'p, 'o, 's> Packer<'p, 'o, 's> {
    fn new(out: &'o mut Out<'s>, header_len: usize) -> Packer<'p, 'o, 's> {
        Packer { out, header_len, waiting: [&[]; MAX_AGGREGATED], count: 0, len: header_len }
    }

    fn unit(&mut self, unit: &'p [u8], is_last: bool) {
        if unit.len() > self.out.room {
            self.flush(false);
            self.fragment(unit, is_last);
            return;
        }
        let len = 2 + unit.len();
        if self.count == MAX_AGGREGATED || self.len + len > self.out.room {
            self.flush(false);
        }
        self.waiting[self.count] = unit;
        self.count += 1;
        self.len += len;
        if is_last {
            self.flush(true);
        }
    }

    fn flush(&mut self, marker: bool) {
        let waiting = &self.waiting[..self.count];
        match waiting {
            [] => return,
            [unit] => self.out.packet(marker, &[unit]),
            _ => {
                let header = if self.header_len == 1 { stap_a(waiting) } else { ap(waiting) };
                let mut lens = [[0; 2]; MAX_AGGREGATED];
                for (len, unit) in lens.iter_mut().zip(waiting) {
                    *len = (unit.len() as u16).to_be_bytes();
                }
                let mut parts: [&[u8]; 2 * MAX_AGGREGATED + 1] = [&[]; 2 * MAX_AGGREGATED + 1];
                parts[0] = &header[..self.header_len];
                for (index, (len, unit)) in lens.iter().zip(waiting).enumerate() {
                    (parts[2 * index + 1], parts[2 * index + 2]) = (len, unit);
                }
                self.out.packet(marker, &parts[..2 * self.count + 1]);
            }
        }
        (self.count, self.len) = (0, self.header_len);
    }

    /// Longer than a packet, so there are two fragments at least, and no fragment both begins and ends it.
    fn fragment(&mut self, unit: &[u8], is_last: bool) {
        let (header, data) = unit.split_at(self.header_len);
        let (mut start, nal_type) = match *header {
            [first] => ([first & 0xe0 | FU_A, 0, 0], h264::nal_type(first)),
            [first, second] => ([first & 0x81 | FU << 1, second, 0], h265::nal_type(first)),
            _ => return,
        };
        let room = self.out.room - self.header_len - 1;
        let last = (data.len() - 1) / room;
        for (index, part) in data.chunks(room).enumerate() {
            let edges = if index == 0 { FU_START } else { 0 } | if index == last { FU_END } else { 0 };
            start[self.header_len] = edges | nal_type;
            self.out.packet(is_last && index == last, &[&start[..=self.header_len], part]);
        }
    }
}

/// RFC 6184, 5.7.1: the highest importance of those inside, and damaged if one of them is.
fn stap_a(units: &[&[u8]]) -> [u8; 2] {
    let firsts = || units.iter().map(|unit| unit[0]);
    let importance = firsts().map(|first| first & 0x60).max().unwrap_or_default();
    let damaged = firsts().fold(0, |damaged, first| damaged | first & 0x80);
    [damaged | importance | STAP_A, 0]
}

/// RFC 7798, 4.4.2: the lowest layer and the lowest temporal id of those inside.
fn ap(units: &[&[u8]]) -> [u8; 2] {
    let damaged = units.iter().fold(0, |damaged, unit| damaged | unit[0] & 0x80);
    let layer = units.iter().filter_map(|unit| h265::layer(unit)).min().unwrap_or_default();
    let temporal_id = units.iter().map(|unit| unit[1] & 7).min().unwrap_or_default();
    [damaged | AP << 1 | layer >> 5, layer << 3 | temporal_id]
}

/// NAL units that go together at most.
const MAX_AGGREGATED: usize = 16;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const AP: u8 = 48;
const FU: u8 = 49;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;
