//! AV1 (RTP Payload Format For AV1, 4): OBUs without their sizes, and parts of them.
//!
//! In: the packets of a temporal unit, the last of which is marked. Out: temporal units as files have them: sizes put back, no delimiters. Those with a
//! sequence header are taken for keyframes; what comes before the first, and behind a loss before the next, is dropped.

use super::{Depacketizer, Fragment, Malformed, Media, Ready, TimedMedia};
use crate::codec::{
    av1::{SEQUENCE_HEADER, TEMPORAL_DELIMITER, TILE_LIST, append_obu, build_record, split_obu},
    raw::MAX_UNIT_LEN,
};
use alloc::vec::Vec;

#[derive(Debug, Default)]
pub(super) struct Av1 {
    time: i64,
    /// OBUs of the temporal unit that are complete.
    unit: Vec<u8>,
    /// The beginning of one that goes on in the next packet.
    open: Option<Vec<u8>>,
    /// Of the unit.
    record: Option<Vec<u8>>,
    known: Vec<u8>,
    /// Something of the unit is missing.
    is_broken: bool,
    /// Decoding has begun, and nothing is missing since.
    is_decodable: bool,
    ready: Ready,
    damage: u64,
}

impl Av1 {
    fn take_elements(&mut self, mut payload: &[u8]) -> Option<()> {
        let (head, rest) = payload.split_first()?;
        payload = rest;
        let (continues, goes_on, count) = (head & 0x80 != 0, head & 0x40 != 0, head >> 4 & 3);
        if !continues {
            self.is_broken |= self.open.take().is_some();
        }
        let mut index = 0;
        while !payload.is_empty() {
            index += 1;
            let len = if index == count { payload.len() } else { take_len(&mut payload)? };
            let (element, rest) = payload.split_at_checked(len)?;
            payload = rest;
            let mut obu = match (index, continues) {
                (1, true) => match self.open.take() {
                    Some(obu) => obu,
                    None => {
                        self.is_broken = true;
                        continue;
                    }
                },
                _ => Vec::new(),
            };
            if self.unit.len() + obu.len() + element.len() + MAX_HEAD_LEN > MAX_UNIT_LEN {
                return None;
            }
            obu.extend_from_slice(element);
            if goes_on && payload.is_empty() {
                self.open = Some(obu);
            } else {
                self.take_obu(&obu)?;
            }
        }
        Some(())
    }

    fn take_obu(&mut self, bytes: &[u8]) -> Option<()> {
        let (obu, _) = split_obu(bytes)?;
        match obu.obu_type() {
            TEMPORAL_DELIMITER | TILE_LIST => return Some(()),
            SEQUENCE_HEADER => self.record = Some(build_record(obu.payload)?),
            _ => {}
        }
        append_obu(&mut self.unit, obu.header, obu.payload);
        Some(())
    }

    fn close(&mut self) {
        let is_broken = core::mem::take(&mut self.is_broken) | self.open.take().is_some();
        let (unit, record) = (core::mem::take(&mut self.unit), self.record.take());
        self.is_decodable = !is_broken && (self.is_decodable || record.is_some());
        if !self.is_decodable || unit.is_empty() {
            self.damage += u64::from(is_broken || !unit.is_empty());
            return;
        }
        let mut media = Media::new(&[&unit]);
        media.is_keyframe = record.is_some();
        media.record = record.filter(|record| *record != self.known);
        if let Some(record) = &media.record {
            self.known.clone_from(record);
        }
        self.ready.push(self.time, media);
    }
}

impl Depacketizer for Av1 {
    fn take(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed> {
        if fragment.time != self.time {
            self.close();
            self.time = fragment.time;
        }
        let taken = self.take_elements(fragment.payload).ok_or(Malformed);
        self.is_broken |= taken.is_err();
        if fragment.marker {
            self.close();
        }
        taken
    }

    fn lose(&mut self) {
        self.is_broken |= self.open.take().is_some() || !self.unit.is_empty();
        self.close();
        self.is_decodable = false;
    }

    fn finish(&mut self) {
        self.close();
    }

    fn pop(&mut self) -> Option<TimedMedia> {
        self.ready.0.pop_front()
    }

    fn damage(&self) -> u64 {
        self.damage
    }
}

/// A length in leb128 from the front.
fn take_len(bytes: &mut &[u8]) -> Option<usize> {
    let mut len = 0usize;
    for index in 0..4 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        len |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(len);
        }
    }
    None
}

/// Bytes of an OBU's header and size.
const MAX_HEAD_LEN: usize = 10;
