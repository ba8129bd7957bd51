//! Temporal units of AV1 -> payloads (RTP Payload Format For AV1, 4).
//!
//! OBUs lose their size fields, temporal delimiters and tile lists are left out, the record's sequence header goes before keyframes
//! that have none. As much as fits goes into one packet, and an OBU that does not goes on in the next. Nothing is copied but headers.

use super::{Out, sets::Sets};
use crate::codec::av1::{Obu, SEQUENCE_HEADER, TEMPORAL_DELIMITER, TILE_LIST, split_obu};

/// Gives out one temporal unit. What is broken ends it.
pub(super) fn temporal_unit(out: &mut Out<'_>, sets: &Sets, unit: &[u8], is_keyframe: bool) {
    let has_header = obus(unit).any(|obu| obu.obu_type() == SEQUENCE_HEADER);
    let config = sets.iter().next().filter(|_| is_keyframe && !has_header).unwrap_or_default();
    let mut packer = Packer {
        out,
        elements: [Element::default(); MAX_ELEMENTS],
        count: 0,
        len: 1,
        layer: None,
        continues: false,
        begins_sequence: is_keyframe,
    };
    let is_sent = |obu: &Obu<'_>| !matches!(obu.obu_type(), TEMPORAL_DELIMITER | TILE_LIST);
    if obus(unit).any(|obu| is_sent(&obu)) {
        obus(config).chain(obus(unit)).filter(is_sent).for_each(|obu| packer.obu(&obu));
        packer.flush(false, true);
    }
}

fn obus(mut bytes: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    core::iter::from_fn(move || {
        let (obu, behind) = split_obu(bytes)?;
        bytes = behind;
        Some(obu)
    })
}

/// An OBU without its size, or part of one.
#[derive(Clone, Copy, Default)]
struct Element<'p> {
    head: [u8; 2],
    /// 0 in what goes on from the packet before.
    head_len: usize,
    data: &'p [u8],
}

impl Element<'_> {
    fn len(&self) -> usize {
        self.head_len + self.data.len()
    }
}

struct Packer<'p, 'o, 's> {
    out: &'o mut Out<'s>,
    elements: [Element<'p>; MAX_ELEMENTS],
    count: usize,
    /// Bytes of the payload.
    len: usize,
    /// Of those in the packet that have one: they may not differ.
    layer: Option<u8>,
    /// The first element goes on from the packet before.
    continues: bool,
    /// The next packet is the first of a coded video sequence.
    begins_sequence: bool,
}

impl<'p> Packer<'p, '_, '_> {
    fn obu(&mut self, obu: &Obu<'p>) {
        let layer = obu.header.get(1).copied();
        if self.layer.is_some() && layer.is_some() && self.layer != layer {
            self.flush(false, false);
        }
        let mut element = Element { data: obu.payload, ..Element::default() };
        for (to, from) in element.head.iter_mut().zip(obu.header) {
            *to = *from;
            element.head_len += 1;
        }
        element.head[0] &= !HAS_SIZE;
        loop {
            self.layer = self.layer.or(layer);
            let space = self.out.room - self.len;
            if self.count < MAX_ELEMENTS && leb128_len(element.len()) + element.len() <= space {
                self.push(element);
                return;
            }
            // A few bytes at the end of a packet are not worth a fragment.
            if self.count == MAX_ELEMENTS || space < MIN_FRAGMENT {
                self.flush(false, false);
                continue;
            }
            let (part, rest) = element.data.split_at(space - leb128_len(space) - element.head_len);
            self.push(Element { data: part, ..element });
            self.flush(true, false);
            element = Element { data: rest, ..Element::default() };
        }
    }

    fn push(&mut self, element: Element<'p>) {
        self.len += leb128_len(element.len()) + element.len();
        self.elements[self.count] = element;
        self.count += 1;
    }

    /// Sends what there is. `goes_on`: the last element does, in the next packet.
    fn flush(&mut self, goes_on: bool, marker: bool) {
        // Up to three elements can be counted, and the last of them needs no length.
        let counted = if self.count <= 3 { self.count } else { 0 };
        let header = u8::from(self.continues) << 7
            | u8::from(goes_on) << 6
            | (counted as u8) << 4
            | u8::from(self.begins_sequence) << 3;
        let elements = &self.elements[..self.count];
        let mut lens = [([0; 3], 0); MAX_ELEMENTS];
        for (index, (len, element)) in lens.iter_mut().zip(elements).enumerate() {
            if index + 1 != counted {
                *len = leb128(element.len());
            }
        }
        let header = [header];
        let mut parts: [&[u8]; 3 * MAX_ELEMENTS + 1] = [&[]; 3 * MAX_ELEMENTS + 1];
        parts[0] = &header;
        for (index, ((len, size), element)) in lens.iter().zip(elements).enumerate() {
            parts[3 * index + 1] = &len[..*size];
            parts[3 * index + 2] = &element.head[..element.head_len];
            parts[3 * index + 3] = element.data;
        }
        self.out.packet(marker, &parts[..3 * self.count + 1]);
        (self.count, self.len, self.layer) = (0, 1, None);
        (self.continues, self.begins_sequence) = (goes_on, false);
    }
}

/// Bytes that a number below 2^21 takes.
const fn leb128_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => 3,
    }
}

/// The bytes, and how many of them there are.
const fn leb128(value: usize) -> ([u8; 3], usize) {
    let len = leb128_len(value);
    let mut bytes = [value as u8 & 0x7f, (value >> 7) as u8 & 0x7f, (value >> 14) as u8 & 0x7f];
    let mut index = 0;
    while index + 1 < len {
        bytes[index] |= 0x80;
        index += 1;
    }
    (bytes, len)
}

/// `obu_has_size_field`.
const HAS_SIZE: u8 = 2;
/// OBUs, and parts of them, in a packet.
const MAX_ELEMENTS: usize = 8;
/// Bytes of a fragment with header and length.
const MIN_FRAGMENT: usize = 16;
