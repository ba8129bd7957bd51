//! What the NAL units of a raw H.265 stream are: pictures with their order, parameter sets gathered into records.

use super::{
    gather::{Picture, Syntax, Unit},
    sets::{Record, Sets},
};
use crate::{
    codec::h265::{self, OrderCounter, Pps, SliceHeader, Sps, Vps},
    flv::Codec,
};

#[derive(Debug, Default)]
pub(super) struct H265 {
    vps: Sets<Vps>,
    sps: Sets<Sps>,
    pps: Sets<Pps>,
    counter: OrderCounter,
    /// Decoding can have begun.
    has_started: bool,
    /// The last IRAP picture began a sequence: what its RASL pictures need is not there.
    lacks_references: bool,
    record: Record,
}

impl Syntax for H265 {
    fn codec(&self) -> Codec {
        Codec::Hevc
    }

    fn ends_picture(&self, nal: &[u8]) -> bool {
        let Some(first) = nal.first().filter(|_| h265::layer(nal) == Some(0)) else { return false };
        match h265::nal_type(*first) {
            nal_type if h265::is_slice(nal_type) => SliceHeader::begins_picture(nal),
            other => h265::begins_access_unit(other),
        }
    }

    fn may_be_complete(&self) -> bool {
        true
    }

    fn is_slice(&self, nal: &[u8]) -> bool {
        nal.first().is_some_and(|first| h265::is_slice(h265::nal_type(*first)))
    }

    fn lose(&mut self) {
        self.counter.end_sequence();
        self.has_started = false;
    }

    fn take(&mut self, nal: &[u8]) -> Unit {
        let first = nal[0];
        if first & FORBIDDEN_BIT != 0 || h265::temporal_id(nal).is_none() {
            return Unit::Broken;
        }
        if h265::layer(nal) != Some(0) {
            return Unit::Removed;
        }
        match h265::nal_type(first) {
            // Those between are reserved.
            0..=9 | 16..=21 if SliceHeader::begins_picture(nal) => {
                self.take_first_slice(nal).unwrap_or(Unit::Broken)
            }
            0..=9 | 16..=21 => Unit::Following,
            h265::VPS => {
                let stored = self.vps.store(nal, |nal| Vps::parse(nal).map(|vps| (vps.id, vps)));
                self.record.note(stored)
            }
            h265::SPS => {
                let stored = self.sps.store(nal, |nal| Sps::parse(nal).map(|sps| (sps.id, sps)));
                self.record.note(stored)
            }
            h265::PPS => {
                let stored = self.pps.store(nal, |nal| Pps::parse(nal).map(|pps| (pps.id, pps)));
                self.record.note(stored)
            }
            h265::END_OF_SEQUENCE | h265::END_OF_STREAM => {
                self.counter.end_sequence();
                Unit::Removed
            }
            PREFIX_SEI => Unit::Leading,
            // Dolby Vision has its metadata, and its second layer, behind the pictures.
            SUFFIX_SEI | 62 | 63 => Unit::Following,
            _ => Unit::Removed,
        }
    }
}

impl H265 {
    fn take_first_slice(&mut self, nal: &[u8]) -> Option<Unit> {
        let pps = self.pps.parsed(SliceHeader::pps_id(nal)?)?;
        let sps = self.sps.parsed(pps.sps_id)?;
        let slice = SliceHeader::parse(nal, sps, pps)?;
        let is_keyframe = h265::is_irap(slice.nal_type);
        let begins_sequence = self.counter.begins_sequence(slice.nal_type);
        let mut counter = self.counter;
        // Before the first IRAP picture nothing counts, so that it begins a sequence whatever it is.
        let order = if self.has_started || is_keyframe { counter.count(sps, &slice) } else { 0 };
        let (sps_id, vps_id) = (sps.id, sps.vps_id);
        let said = sps.frame_rate.or(self.vps.parsed(vps_id).and_then(|vps| vps.frame_rate));
        let max_reorder = Some(sps.max_reorder);
        let record = self.record.of(sps_id, || {
            let pps = self.pps.nals_where(|pps| pps.sps_id == sps_id);
            h265::build_record(self.vps.nal(vps_id)?, self.sps.nal(sps_id)?, &pps)
        })?;
        self.counter = counter;
        if is_keyframe {
            self.has_started = true;
            self.lacks_references = begins_sequence;
        }
        let is_undecodable = !self.has_started || self.lacks_references && h265::is_rasl(slice.nal_type);
        Some(Unit::First(Picture {
            is_keyframe,
            begins_sequence,
            order,
            is_undecodable,
            max_reorder,
            frame_rate: said,
            record,
        }))
    }
}

const FORBIDDEN_BIT: u8 = 0x80;
const PREFIX_SEI: u8 = 39;
const SUFFIX_SEI: u8 = 40;
