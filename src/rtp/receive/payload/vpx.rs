//! VP8 (RFC 7741) and VP9 (RFC 9628): descriptors of one byte or more, and parts of a frame behind them.
//!
//! In: the packets of a frame, the last of which is marked. Out: frames; what comes before the first keyframe, and behind a loss before the
//! next, is dropped. Not here: choosing among layers.

use super::{Depacketizer, Fragment, Malformed, Media, Ready, TimedMedia};
use crate::{
    base::wire::Cursor,
    codec::{raw::MAX_UNIT_LEN, vpx},
    flv::Codec,
};
use alloc::vec::Vec;
use core::mem;

#[derive(Debug)]
pub(super) struct Vpx {
    is_vp8: bool,
    time: i64,
    /// What is there of a frame.
    frame: Option<Vec<u8>>,
    /// Decoding has begun, and nothing is missing since.
    is_decodable: bool,
    record: Vec<u8>,
    ready: Ready,
    damage: u64,
}

impl Vpx {
    pub(super) fn new(codec: Codec) -> Vpx {
        Vpx {
            is_vp8: codec == Codec::Vp8,
            time: 0,
            frame: None,
            is_decodable: false,
            record: Vec::new(),
            ready: Ready::default(),
            damage: 0,
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.frame.take().filter(|frame| !frame.is_empty()) else { return };
        let size = if self.is_vp8 { vpx::vp8_dimensions(&frame) } else { vpx::vp9_dimensions(&frame) };
        self.is_decodable |= size.is_some();
        if !self.is_decodable {
            self.damage += 1;
            return;
        }
        let mut media = Media::new(&[&frame]);
        media.is_keyframe = size.is_some();
        if let Some(record) = vpx::build_record(&frame).filter(|record| *record != self.record) {
            self.record.clone_from(&record);
            media.record = Some(record);
        }
        self.ready.push(self.time, media);
    }
}

impl Depacketizer for Vpx {
    fn take(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed> {
        if fragment.time != self.time {
            self.close();
            self.time = fragment.time;
        }
        let mut cursor = Cursor::new(fragment.payload);
        let descriptor = if self.is_vp8 { vp8_descriptor(&mut cursor) } else { vp9_descriptor(&mut cursor) };
        let begins = descriptor.ok_or(Malformed)?;
        if begins && self.frame.is_none() {
            self.frame = Some(Vec::new());
        }
        // Without its beginning, a frame is nothing.
        let Some(frame) = &mut self.frame else { return Ok(()) };
        if frame.len() + cursor.remaining() > MAX_UNIT_LEN {
            self.lose();
            return Err(Malformed);
        }
        frame.extend_from_slice(cursor.rest());
        if fragment.marker {
            self.close();
        }
        Ok(())
    }

    fn lose(&mut self) {
        self.damage += u64::from(mem::take(&mut self.frame).is_some());
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

/// Passes over a descriptor. Whether a frame begins behind it.
fn vp8_descriptor(cursor: &mut Cursor<'_>) -> Option<bool> {
    let first = cursor.u8()?;
    let extensions = if first & 0x80 != 0 { cursor.u8()? } else { 0 };
    if extensions & 0x80 != 0 && cursor.u8()? & 0x80 != 0 {
        cursor.u8()?;
    }
    if extensions & 0x40 != 0 {
        cursor.u8()?;
    }
    if extensions & 0x30 != 0 {
        cursor.u8()?;
    }
    // The start of the first partition.
    Some(first & 0x17 == 0x10)
}

/// Passes over a descriptor. Whether a frame, or one of its layers, begins behind it.
fn vp9_descriptor(cursor: &mut Cursor<'_>) -> Option<bool> {
    let first = cursor.u8()?;
    let is_set = |bit: u8| first & bit != 0;
    let (has_id, is_predicted, has_layers, is_flexible) =
        (is_set(0x80), is_set(0x40), is_set(0x20), is_set(0x10));
    if has_id && cursor.u8()? & 0x80 != 0 {
        cursor.u8()?;
    }
    if has_layers {
        cursor.take(if is_flexible { 1 } else { 2 })?;
    }
    if is_flexible && is_predicted {
        while cursor.u8()? & 1 != 0 {}
    }
    if is_set(0x02) {
        let structure = cursor.u8()?;
        if structure & 0x10 != 0 {
            cursor.take((usize::from(structure >> 5) + 1) * 4)?;
        }
        if structure & 0x08 != 0 {
            for _ in 0..cursor.u8()? {
                let references = cursor.u8()? >> 2 & 3;
                cursor.take(usize::from(references))?;
            }
        }
    }
    Some(is_set(0x08))
}
