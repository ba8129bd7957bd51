//! NAL units that come with the times at which they are shown -> frames with both of their times.
//!
//! In: NAL units, whole or in fragments, with the time of their access unit; where something is missing. Out: frames, none later than with its last
//! NAL unit where that is marked, else with the next unit's first. Not here: packets; what times mean.
//!
//! A stream that does not say how much it reorders is taken for one that does not, unless its second picture leaves room in the order
//! for others before it: then up to [`MAX_UNDECLARED`] pictures are held once, to see.
//! Bounds: those of the parent module.
//! Field notes: markers in the middle of a picture (then they do not count any more), start codes in NAL units.

use super::{
    decode_times::DecodeTimes,
    gather::{Frame, Gatherer, Media, Syntax},
    h264::H264,
    h265::H265,
    reorder::MAX_UNDECLARED,
};
use crate::{
    codec::{annexb, h264, h265},
    flv::Codec,
};
use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use core::mem;

/// A frame with its times, in ticks.
#[derive(Debug)]
pub struct TimedMedia {
    /// The frame.
    pub media: Media,
    /// Not before the frame ahead of it, as a rule, and not behind `shown_at`.
    pub decoded_at: i64,
    /// As its access unit said.
    pub shown_at: i64,
}

/// Gathers NAL units that come with times.
#[derive(Debug)]
pub struct TimedReader {
    units: Gatherer,
    /// In a second.
    ticks: u32,
    /// Of the access unit that is being gathered.
    time: i64,
    nal: Nal,
    /// Of the access unit that a marker closed last.
    closed_at: Option<i64>,
    trusts_markers: bool,
    times: DecodeTimes,
    is_depth_known: bool,
    /// To see how much is reordered.
    held: Vec<Frame>,
    ready: VecDeque<TimedMedia>,
}

/// The NAL unit whose fragments come.
#[derive(Debug)]
enum Nal {
    None,
    /// What is there of it.
    Held(Vec<u8>),
    /// A slice, whose fragments go into the frame as they come.
    Passing,
}

impl TimedReader {
    /// One for so many `ticks` in a second. `None` for codecs that have no NAL units.
    pub fn new(codec: Codec, ticks: u32) -> Option<TimedReader> {
        let syntax: Box<dyn Syntax> = match codec {
            Codec::H264 => Box::new(H264::default()),
            Codec::Hevc => Box::new(H265::default()),
            _ => return None,
        };
        Some(TimedReader {
            units: Gatherer::new(syntax, None),
            ticks,
            time: 0,
            nal: Nal::None,
            closed_at: None,
            trusts_markers: true,
            times: DecodeTimes::default(),
            is_depth_known: false,
            held: Vec::new(),
            ready: VecDeque::new(),
        })
    }

    /// Takes the parameter sets of a configuration record, for a stream that may not repeat them.
    pub fn learn(&mut self, record: &[u8]) {
        for set in sets(self.units.codec(), record) {
            self.units.learn(set);
        }
    }

    /// A NAL unit, or its first fragment, of the access unit that is shown at `time`.
    pub fn begin(&mut self, nal: &[u8], time: i64) {
        self.end();
        if time != self.time {
            self.units.close_complete();
            self.time = time;
            self.units.set_time(time);
        }
        self.nal = Nal::Held(Vec::new());
        self.extend(nal);
    }

    /// The next fragment. Nothing if its NAL unit did not begin.
    pub fn extend(&mut self, bytes: &[u8]) {
        match &mut self.nal {
            Nal::None => {}
            Nal::Passing => self.units.extend(bytes),
            Nal::Held(held) => {
                if held.len() + bytes.len() > annexb::MAX_NAL_LEN {
                    self.nal = Nal::None;
                    self.units.note_damage();
                    return;
                }
                let start = if held.is_empty() {
                    bytes
                } else {
                    held.extend_from_slice(bytes);
                    &held[..]
                };
                if start.len() >= annexb::BEGINNING_LEN && self.units.is_slice(start) {
                    let is_wanted = self.units.take(start);
                    self.nal = Nal::Passing;
                    self.note(is_wanted);
                } else if held.is_empty() {
                    held.extend_from_slice(bytes);
                }
            }
        }
    }

    /// The NAL unit is complete.
    pub fn end(&mut self) {
        match mem::replace(&mut self.nal, Nal::None) {
            Nal::None => {}
            Nal::Passing => self.units.end(),
            Nal::Held(held) => {
                for nal in annexb::pieces(&held) {
                    let is_wanted = self.units.take(nal);
                    self.note(is_wanted);
                }
            }
        }
        self.place();
    }

    /// A NAL unit was taken, for a frame that was there or not.
    fn note(&mut self, is_wanted: bool) {
        self.trusts_markers &= is_wanted || self.closed_at != Some(self.time);
    }

    /// The last packet of an access unit is marked. True of most streams; of some a marker is on every NAL unit.
    pub fn mark(&mut self) {
        self.end();
        if self.trusts_markers && self.units.close_complete() {
            self.closed_at = Some(self.time);
            self.place();
        }
    }

    /// Something is missing here.
    pub fn lose(&mut self) {
        self.nal = Nal::None;
        self.units.lose();
        self.times.restart();
    }

    /// Nothing comes any more, or nothing that goes on from here.
    pub fn finish(&mut self) {
        let is_cut = !matches!(self.nal, Nal::None);
        let has_markers = self.trusts_markers && self.closed_at.is_some();
        if is_cut || has_markers && self.units.has_frame() {
            // The end of it would have been marked.
            self.nal = Nal::None;
            self.units.lose();
        }
        self.units.close_frame();
        self.place();
        self.settle();
        self.times.restart();
    }

    /// The next frame.
    pub fn pop(&mut self) -> Option<TimedMedia> {
        self.ready.pop_front()
    }

    /// How often something was passed over: a NAL unit, a picture.
    pub fn damage(&self) -> u64 {
        self.units.damage()
    }

    fn place(&mut self) {
        while let Some(frame) = self.units.pop() {
            if frame.begins_sequence {
                self.settle();
                if let Some(depth) = frame.max_reorder {
                    self.is_depth_known = true;
                    self.times.set_depth(usize::from(depth));
                }
            }
            if self.is_depth_known {
                self.give(frame);
                continue;
            }
            self.held.push(frame);
            // A frame's two fields may count as two.
            let leaves_room = |held: &[Frame]| held[1].order.wrapping_sub(held[0].order) > 2;
            if self.held.len() >= MAX_UNDECLARED || self.held.len() >= 2 && !leaves_room(&self.held) {
                self.settle();
            }
        }
    }

    /// Those that are held show how much is reordered.
    fn settle(&mut self) {
        let held = mem::take(&mut self.held);
        if held.is_empty() {
            return;
        }
        let later = |(index, frame): (usize, &Frame)| {
            held[..index].iter().filter(|before| before.time > frame.time).count()
        };
        self.times.set_depth(held.iter().enumerate().map(later).max().unwrap_or_default());
        self.is_depth_known = true;
        held.into_iter().for_each(|frame| self.give(frame));
    }

    fn give(&mut self, frame: Frame) {
        let duration = (f64::from(self.ticks) / self.units.frame_rate()) as i64;
        let decoded_at = self.times.next(frame.time, duration);
        self.ready.push_back(TimedMedia { media: frame.media, decoded_at, shown_at: frame.time });
    }
}

/// All parameter sets of a record.
fn sets(codec: Codec, record: &[u8]) -> Vec<&[u8]> {
    let all = match codec {
        Codec::H264 => h264::Record::parse(record).map(|record| [record.sps, record.pps].concat()),
        Codec::Hevc => {
            h265::Record::parse(record).map(|record| [record.vps, record.sps, record.pps].concat())
        }
        _ => None,
    };
    all.unwrap_or_default()
}
