//! Raw video -> tags: NAL units gathered into access units, pictures put on the clock.
//!
//! In: a byte stream, and a [`Syntax`] that says what each NAL unit is. Out: tags. What the two codecs share stands here, once.
//! Bounds: those of the parent module.

use super::{
    DEFAULT_FRAME_RATE, MAX_PREFIX_LEN, MAX_UNIT_LEN, MAX_UNRECOGNIZED, RawError,
    reorder::{Placed, Reorder},
};
use crate::{
    base::{Payload, Timestamp},
    codec::annexb::{Piece, Splitter},
    flv::{Codec, Tag, TagKind, body},
};
use alloc::{collections::VecDeque, vec::Vec};
use core::{fmt, mem};

/// What a codec knows about its NAL units.
pub(super) trait Syntax: fmt::Debug {
    const CODEC: Codec;

    /// Whether the frame that is being gathered is complete before this NAL unit, of which the beginning may be all that is there. False
    /// while too little is there to tell.
    fn ends_picture(&self, nal: &[u8]) -> bool;

    /// Takes the next NAL unit, of one byte or more.
    fn take(&mut self, nal: &[u8]) -> Unit;
}

/// What a NAL unit is.
#[derive(Debug)]
pub(super) enum Unit {
    /// Not for tags: parameter sets, delimiters, filler.
    Removed,
    /// Goes with the picture behind it.
    Leading,
    /// Goes with the picture before it.
    Following,
    /// The first slice of a picture.
    First(Picture),
    /// The first slice of a frame's other field.
    OtherField,
    /// Cannot be read, or not without parameter sets that are missing.
    Broken,
}

/// What is known of a picture from its first slice.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) is_keyframe: bool,
    /// Order counts begin anew.
    pub(super) begins_sequence: bool,
    pub(super) order: i32,
    /// What it needs is not there: it is passed over.
    pub(super) is_undecodable: bool,
    /// What the stream says.
    pub(super) max_reorder: Option<u8>,
    /// What the stream says.
    pub(super) frame_rate: Option<f64>,
    /// The configuration record from this picture on, if it is another than before.
    pub(super) record: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct VideoReader<S> {
    splitter: Splitter,
    units: Units<S>,
    ready: VecDeque<Tag>,
    pushed: u64,
    is_finished: bool,
}

impl<S: Syntax> VideoReader<S> {
    pub(super) fn new(syntax: S, frame_rate: Option<f64>) -> VideoReader<S> {
        let units = Units {
            syntax,
            frame_rate: frame_rate.filter(is_plausible),
            frame: None,
            prefix: Vec::new(),
            reorder: Reorder::new(),
            begins_sequence: true,
            record: None,
            is_recognized: false,
            damage: 0,
        };
        VideoReader {
            splitter: Splitter::new(),
            units,
            ready: VecDeque::new(),
            pushed: 0,
            is_finished: false,
        }
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
        self.units.damage
    }

    pub(super) fn next(&mut self) -> Result<Option<Tag>, RawError> {
        loop {
            if let Some(tag) = self.ready.pop_front() {
                return Ok(Some(tag));
            }
            if let Some(placed) = self.units.reorder.pop() {
                self.write_tags(placed);
                continue;
            }
            match self.splitter.next() {
                Some(Piece::Nal(nal)) => {
                    self.units.take(nal);
                    continue;
                }
                Some(Piece::TooLong) => {
                    self.units.damage += 1;
                    self.units.close_frame();
                    continue;
                }
                None => {}
            }
            if self.units.is_complete_before(self.splitter.unfinished()) {
                self.units.close_frame();
            } else if mem::take(&mut self.is_finished) {
                self.units.close_frame();
                self.units.reorder.place_all();
            } else if !self.units.is_recognized && self.pushed > MAX_UNRECOGNIZED {
                return Err(RawError::Unrecognized);
            } else {
                return Ok(None);
            }
        }
    }

    fn write_tags(&mut self, placed: Placed<Frame>) {
        let Placed { picture: frame, decoded_at, shown_at } = placed;
        let rate = self.units.frame_rate.unwrap_or(DEFAULT_FRAME_RATE);
        let decoded_at = milliseconds(decoded_at, rate);
        let composition_time = milliseconds(shown_at, rate) - decoded_at;
        let mut tag = |body: Payload| {
            self.ready.push_back(Tag::new(TagKind::Video, Timestamp(decoded_at as u32), body))
        };
        if let Some(record) = frame.record {
            let mut header = Vec::with_capacity(HEADROOM + record.len());
            if body::start_video_header(&mut header, S::CODEC) {
                header.extend_from_slice(&record);
                tag(header.into());
            }
        }
        let mut head = Vec::with_capacity(HEADROOM);
        let composition_time = i32::try_from(composition_time).unwrap_or(i32::MAX);
        if body::start_video_frame(&mut head, S::CODEC, frame.is_keyframe, composition_time) {
            let mut bytes = frame.bytes;
            let start = HEADROOM - head.len();
            bytes[start..HEADROOM].copy_from_slice(&head);
            let end = bytes.len();
            tag(Payload::from(bytes).slice(start..end));
        }
    }
}

/// NAL units on their way into frames.
#[derive(Debug)]
struct Units<S> {
    syntax: S,
    /// Given, or settled by the first picture.
    frame_rate: Option<f64>,
    /// Being gathered.
    frame: Option<OpenFrame>,
    /// What goes before the next picture.
    prefix: Vec<u8>,
    reorder: Reorder<Frame>,
    /// Since the last frame that was kept, order counts began anew.
    begins_sequence: bool,
    /// Since the last frame that was kept, there is another configuration.
    record: Option<Vec<u8>>,
    /// A picture was found.
    is_recognized: bool,
    damage: u64,
}

/// A frame that has all its NAL units, behind [`HEADROOM`] bytes.
#[derive(Debug)]
struct Frame {
    bytes: Vec<u8>,
    is_keyframe: bool,
    record: Option<Vec<u8>>,
}

#[derive(Debug)]
struct OpenFrame {
    bytes: Vec<u8>,
    is_keyframe: bool,
    order: i32,
    max_reorder: Option<u8>,
    is_dropped: bool,
}

impl<S: Syntax> Units<S> {
    fn is_complete_before(&self, nal: &[u8]) -> bool {
        self.frame.is_some() && self.syntax.ends_picture(nal)
    }

    fn take(&mut self, nal: &[u8]) {
        if self.is_complete_before(nal) {
            self.close_frame();
        }
        match self.syntax.take(nal) {
            Unit::Removed => {}
            Unit::Broken => self.damage += 1,
            Unit::Leading if self.prefix.len() + nal.len() > MAX_PREFIX_LEN => self.damage += 1,
            Unit::Leading => append(&mut self.prefix, nal),
            Unit::Following => self.continue_frame(nal),
            Unit::OtherField => {
                let prefix = mem::take(&mut self.prefix);
                if let Some(frame) = &mut self.frame {
                    frame.bytes.extend_from_slice(&prefix);
                }
                self.continue_frame(nal);
            }
            Unit::First(picture) => self.open_frame(picture, nal),
        }
    }

    fn open_frame(&mut self, picture: Picture, nal: &[u8]) {
        self.is_recognized = true;
        self.begins_sequence |= picture.begins_sequence;
        self.record = picture.record.or(self.record.take());
        let mut frame = OpenFrame {
            bytes: Vec::new(),
            is_keyframe: picture.is_keyframe,
            order: picture.order,
            max_reorder: picture.max_reorder,
            is_dropped: picture.is_undecodable,
        };
        let prefix = mem::take(&mut self.prefix);
        if picture.is_undecodable {
            self.damage += 1;
        } else {
            let said = picture.frame_rate.filter(is_plausible);
            self.frame_rate = Some(self.frame_rate.or(said).unwrap_or(DEFAULT_FRAME_RATE));
            // One slice is the rule: no byte more than needed, for frames stay in memory.
            frame.bytes.reserve_exact(HEADROOM + prefix.len() + LENGTH_LEN + nal.len());
            frame.bytes.resize(HEADROOM, 0);
            frame.bytes.extend_from_slice(&prefix);
        }
        self.frame = Some(frame);
        self.continue_frame(nal);
    }

    fn continue_frame(&mut self, nal: &[u8]) {
        let Some(frame) = &mut self.frame else {
            self.damage += 1;
            return;
        };
        if frame.is_dropped {
            return;
        }
        if frame.bytes.len() + LENGTH_LEN + nal.len() > HEADROOM + MAX_UNIT_LEN {
            self.damage += 1;
            frame.is_dropped = true;
            frame.bytes = Vec::new();
            return;
        }
        append(&mut frame.bytes, nal);
    }

    fn close_frame(&mut self) {
        let Some(mut frame) = self.frame.take().filter(|frame| !frame.is_dropped) else { return };
        if mem::take(&mut self.begins_sequence) {
            self.reorder.begin_sequence(frame.max_reorder);
        }
        frame.bytes.shrink_to_fit();
        let record = self.record.take();
        let len = frame.bytes.len() + record.as_ref().map_or(0, Vec::len);
        let picture = Frame { bytes: frame.bytes, is_keyframe: frame.is_keyframe, record };
        self.reorder.push(picture, len, frame.order);
    }
}

/// Appends a NAL unit with its length.
fn append(bytes: &mut Vec<u8>, nal: &[u8]) {
    bytes.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    bytes.extend_from_slice(nal);
}

/// From one picture in ten seconds to what no camera gives.
fn is_plausible(frame_rate: &f64) -> bool {
    (0.1..=1000.0).contains(frame_rate)
}

fn milliseconds(pictures: u64, frame_rate: f64) -> i64 {
    (pictures as f64 * 1000.0 / frame_rate + 0.5) as i64
}

/// Room for what goes before a frame in a tag, so that it is written there without moving the frame.
const HEADROOM: usize = 8;
const LENGTH_LEN: usize = 4;
