//! What the NAL units of a raw H.264 stream are: pictures with their order, parameter sets gathered into records.

use super::{
    gather::{Picture, Syntax, Unit},
    sets::{Record, Sets},
};
use crate::{
    codec::h264::{self, OrderCounter, Pps, SliceHeader, Sps},
    flv::Codec,
};
use core::mem;

#[derive(Debug, Default)]
pub(super) struct H264 {
    sps: Sets<Sps>,
    pps: Sets<Pps>,
    counter: OrderCounter,
    /// The last slice, and whether it is of a frame that is complete with it: not if it is of a first field.
    last: Option<SliceHeader>,
    is_second_field: bool,
    /// Before the next picture, the stream says that decoding may begin with it.
    is_recovery_point: bool,
    start: Start,
    record: Record,
}

#[derive(Debug, Default)]
enum Start {
    /// No picture yet that decoding can begin with.
    #[default]
    Waiting,
    /// Began inside of a sequence: what is shown before this order count needs pictures that are not there.
    Inside(i32),
    AtIdr,
}

impl Syntax for H264 {
    fn codec(&self) -> Codec {
        Codec::H264
    }

    fn ends_picture(&self, nal: &[u8]) -> bool {
        let Some((first, last)) = nal.first().zip(self.last) else { return false };
        let may_lack_field = !self.may_be_complete();
        match h264::nal_type(*first) {
            h264::SLICE | h264::PARTITION_A | h264::IDR_SLICE => self.slice(nal).is_some_and(|(slice, _)| {
                slice.begins_picture(&last) && !(may_lack_field && slice.completes_frame(&last))
            }),
            other => h264::begins_access_unit(other) && !may_lack_field,
        }
    }

    fn may_be_complete(&self) -> bool {
        self.is_second_field || !self.last.is_some_and(|last| last.is_field)
    }

    fn is_slice(&self, nal: &[u8]) -> bool {
        let nal_type = nal.first().map(|first| h264::nal_type(*first));
        matches!(nal_type, Some(h264::SLICE | h264::PARTITION_A | h264::IDR_SLICE))
    }

    fn lose(&mut self) {
        self.last = None;
        self.is_second_field = false;
        self.is_recovery_point = false;
        self.start = Start::Waiting;
    }

    fn take(&mut self, nal: &[u8]) -> Unit {
        let first = nal[0];
        if first & FORBIDDEN_BIT != 0 {
            return Unit::Broken;
        }
        match h264::nal_type(first) {
            h264::SLICE | h264::PARTITION_A | h264::IDR_SLICE => self.take_slice(nal).unwrap_or(Unit::Broken),
            h264::SEI => {
                self.is_recovery_point |= h264::recovery_point(nal) == Some(0);
                Unit::Leading
            }
            h264::SPS => {
                let stored = self.sps.store(nal, |nal| Sps::parse(nal).map(|sps| (sps.id, sps)));
                self.record.note(stored)
            }
            h264::PPS => {
                let stored = self.pps.store(nal, |nal| Pps::parse(nal).map(|pps| (pps.id, pps)));
                self.record.note(stored)
            }
            14..=18 => Unit::Leading,
            // Data partitions, auxiliary pictures, other layers.
            3 | 4 | 19..=21 => Unit::Following,
            _ => Unit::Removed,
        }
    }
}

impl H264 {
    fn slice(&self, nal: &[u8]) -> Option<(SliceHeader, &Sps)> {
        let pps = self.pps.parsed(SliceHeader::pps_id(nal)?)?;
        let sps = self.sps.parsed(pps.sps_id)?;
        Some((SliceHeader::parse(nal, sps, pps)?, sps))
    }

    fn take_slice(&mut self, nal: &[u8]) -> Option<Unit> {
        let (slice, sps) = self.slice(nal)?;
        if self.last.is_some_and(|last| !slice.begins_picture(&last)) {
            return Some(Unit::Following);
        }
        // Decoding cannot begin with a picture whose beginning is not there.
        let is_cut = self.last.is_none() && slice.first_block > 0;
        let mut counter = self.counter;
        let order = counter.count(sps, &slice);
        let (sps_id, max_reorder, frame_rate) = (sps.id, sps.max_reorder, sps.frame_rate);
        let record = self.record.of(sps_id, || {
            let pps = self.pps.nals_where(|pps| pps.sps_id == sps_id);
            h264::build_record(self.sps.nal(sps_id)?, &pps)
        })?;
        self.counter = counter;
        let is_second_field =
            !self.is_second_field && self.last.is_some_and(|last| slice.completes_frame(&last));
        self.is_second_field = is_second_field;
        self.last = Some(slice);
        let is_recovery_point = mem::take(&mut self.is_recovery_point);
        if is_second_field {
            return Some(Unit::OtherField);
        }
        let is_keyframe = slice.is_idr || is_recovery_point;
        let begins_sequence = slice.is_idr || matches!(self.start, Start::Waiting);
        match self.start {
            _ if is_cut => {}
            _ if slice.is_idr => self.start = Start::AtIdr,
            Start::Waiting if is_keyframe => self.start = Start::Inside(order),
            _ => {}
        }
        let is_undecodable = match self.start {
            Start::Waiting => true,
            Start::Inside(first) => order < first,
            Start::AtIdr => false,
        };
        let picture =
            Picture { is_keyframe, begins_sequence, order, is_undecodable, max_reorder, frame_rate, record };
        Some(Unit::First(picture))
    }
}

const FORBIDDEN_BIT: u8 = 0x80;
