//! Raw video -> tags: a byte stream split, its NAL units gathered, its pictures put on the clock.
//!
//! In: a byte stream, and a [`Syntax`] that says what each NAL unit is. Out: tags. Bounds: those of the parent module.

use super::{
    MAX_UNRECOGNIZED, RawError,
    gather::{Gatherer, Media, Syntax, write_video},
    reorder::{Placed, Reorder},
};
use crate::{
    base::Timestamp,
    codec::annexb::{Piece, Splitter},
    flv::{Codec, Tag},
};
use alloc::{boxed::Box, collections::VecDeque};
use core::mem;

#[derive(Debug)]
pub(super) struct VideoReader {
    splitter: Splitter,
    units: Gatherer,
    reorder: Reorder<Media>,
    ready: VecDeque<Tag>,
    pushed: u64,
    is_finished: bool,
}

impl VideoReader {
    pub(super) fn new(syntax: Box<dyn Syntax>, frame_rate: Option<f64>) -> VideoReader {
        VideoReader {
            splitter: Splitter::new(),
            units: Gatherer::new(syntax, frame_rate),
            reorder: Reorder::new(),
            ready: VecDeque::new(),
            pushed: 0,
            is_finished: false,
        }
    }

    pub(super) fn codec(&self) -> Codec {
        self.units.codec()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.splitter.push(bytes);
        self.pushed += bytes.len() as u64;
    }

    pub(super) fn finish(&mut self) {
        self.splitter.finish();
        self.is_finished = true;
    }

    pub(super) fn damage(&self) -> u64 {
        self.units.damage()
    }

    pub(super) fn next(&mut self) -> Result<Option<Tag>, RawError> {
        loop {
            if let Some(tag) = self.ready.pop_front() {
                return Ok(Some(tag));
            }
            if let Some(placed) = self.reorder.pop() {
                self.write_tags(placed);
                continue;
            }
            if let Some(frame) = self.units.pop() {
                if frame.begins_sequence {
                    self.reorder.begin_sequence(frame.max_reorder);
                }
                let len =
                    frame.media.bytes.len() + frame.media.record.as_ref().map_or(0, |record| record.len());
                self.reorder.push(frame.media, len, frame.order);
                continue;
            }
            match self.splitter.next() {
                Some(Piece::Nal(nal)) => {
                    self.units.take(nal);
                    continue;
                }
                Some(Piece::TooLong) => {
                    self.units.note_damage();
                    self.units.close_frame();
                    continue;
                }
                None => {}
            }
            let is_last = self.is_finished && self.units.has_frame();
            if is_last || self.units.is_complete_before(self.splitter.unfinished()) {
                self.units.close_frame();
            } else if mem::take(&mut self.is_finished) {
                self.reorder.place_all();
            } else if !self.units.is_recognized() && self.pushed > MAX_UNRECOGNIZED {
                return Err(RawError::Unrecognized);
            } else {
                return Ok(None);
            }
        }
    }

    fn write_tags(&mut self, placed: Placed<Media>) {
        let rate = self.units.frame_rate();
        let decoded_at = milliseconds(placed.decoded_at, rate);
        let composition_time = milliseconds(placed.shown_at, rate) - decoded_at;
        let composition_time = i32::try_from(composition_time).unwrap_or(i32::MAX);
        let timestamp = Timestamp(decoded_at as u32);
        write_video(&mut self.ready, self.units.codec(), placed.picture, timestamp, composition_time, 0);
    }
}

fn milliseconds(pictures: u64, frame_rate: f64) -> i64 {
    (pictures as f64 * 1000.0 / frame_rate + 0.5) as i64
}
