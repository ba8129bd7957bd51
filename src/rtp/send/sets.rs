//! What is sent before each picture that decoding can start with, so that players may come and packets be lost: parameter sets of
//! H.264 and H.265, the sequence header of AV1.
//!
//! In: configuration records, and sets between the frames, which replace those of their kind and id. Bounds: [`MAX_SETS`],
//! [`MAX_SETS_LEN`]; what is beyond stays where it is in the stream.
//! Field notes: ffmpeg copying from MP4 sends sets in records alone, hardware encoders between the frames as well, and some change them
//! there without a new record.

use crate::{
    codec::{h264, h265},
    flv::Codec,
};
use alloc::{sync::Arc, vec::Vec};

/// Sets of one stream. Real ones have two to ten.
pub const MAX_SETS: usize = 64;
/// Bytes of all sets of one stream. Real ones have less than 200.
pub const MAX_SETS_LEN: usize = 32 << 10;

/// The sets in force, and the form of samples that goes with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sets {
    pub(super) is_hevc: bool,
    /// Bytes of the length before each NAL unit of a sample: 1 to 4.
    pub(super) length_size: u8,
    /// In the order in which decoders need them.
    sets: Vec<Set>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Set {
    /// NAL unit type, which orders kinds as decoders need them.
    nal_type: u8,
    /// `None`: it cannot be parsed, but the record has it.
    id: Option<u8>,
    nal: Vec<u8>,
}

impl Sets {
    /// Those of a record; of AV1 its OBUs. `None` if it is broken, or the codec has none.
    pub(super) fn of(codec: Codec, record: &[u8]) -> Option<Sets> {
        let mut sets = Sets::default();
        match codec {
            Codec::H264 => {
                let record = h264::Record::parse(record)?;
                sets.length_size = record.length_size;
                record.sps.iter().chain(&record.pps).for_each(|nal| sets.insert(nal, true));
            }
            Codec::Hevc => {
                let record = h265::Record::parse(record)?;
                (sets.is_hevc, sets.length_size) = (true, record.length_size);
                let all = record.vps.iter().chain(&record.sps).chain(&record.pps);
                all.for_each(|nal| sets.insert(nal, true));
            }
            Codec::Av1 => {
                let (head, obus) = record.split_at_checked(4)?;
                let is_kept = head[0] == 0x81 && obus.len() <= MAX_SETS_LEN;
                sets.sets.push(Set { nal_type: 0, id: None, nal: obus.to_vec() });
                return is_kept.then_some(sets);
            }
            _ => return None,
        }
        Some(sets)
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.sets.iter().map(|set| &set.nal[..])
    }

    /// Whether this is one of them, byte by byte.
    pub(super) fn holds(&self, nal: &[u8]) -> bool {
        self.iter().any(|set| set == nal)
    }

    /// Keeps a set that came between the frames, if it says something new and there is room.
    pub(super) fn update(this: &mut Arc<Sets>, nal: &[u8]) {
        if !this.holds(nal) {
            Arc::make_mut(this).insert(nal, false);
        }
    }

    /// NAL unit type, whatever the codec.
    pub(super) fn nal_type(&self, first: u8) -> u8 {
        if self.is_hevc { h265::nal_type(first) } else { h264::nal_type(first) }
    }

    /// Whether NAL units of this type are parameter sets.
    pub(super) const fn is_set(&self, nal_type: u8) -> bool {
        match self.is_hevc {
            true => matches!(nal_type, h265::VPS..=h265::PPS),
            false => matches!(nal_type, h264::SPS | h264::PPS),
        }
    }

    fn id(&self, nal_type: u8, nal: &[u8]) -> Option<u8> {
        match (self.is_hevc, nal_type) {
            (false, h264::SPS) => h264::Sps::parse(nal).map(|sps| sps.id),
            (false, h264::PPS) => h264::Pps::parse(nal).map(|pps| pps.id),
            (true, h265::VPS) => h265::Vps::parse(nal).map(|vps| vps.id),
            (true, h265::SPS) => h265::Sps::parse(nal).map(|sps| sps.id),
            (true, h265::PPS) => h265::Pps::parse(nal).map(|pps| pps.id),
            _ => None,
        }
    }

    fn insert(&mut self, nal: &[u8], is_of_record: bool) {
        let Some(first) = nal.first() else { return };
        let nal_type = self.nal_type(*first);
        let id = self.id(nal_type, nal);
        if id.is_none() && !is_of_record {
            return;
        }
        let len: usize = self.iter().map(<[u8]>::len).sum();
        if len + nal.len() > MAX_SETS_LEN {
            return;
        }
        let same = self.sets.iter_mut().find(|set| id.is_some() && (set.nal_type, set.id) == (nal_type, id));
        if let Some(same) = same {
            same.nal = nal.to_vec();
        } else if self.sets.len() < MAX_SETS {
            let behind = self.sets.partition_point(|set| set.nal_type <= nal_type);
            self.sets.insert(behind, Set { nal_type, id, nal: nal.to_vec() });
        }
    }
}
