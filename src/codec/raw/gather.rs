//! NAL units gathered into frames: what streams with and without times have in common.
//!
//! In: NAL units in the order of decoding, and a [`Syntax`] that says what each is. Out: frames, with the sets that they need taken out into
//! records. Not here: when a frame is decoded and shown (`video`, `timed`).
//! Bounds: those of the parent module.
//! Field notes: cameras put a whole byte stream, start codes and all, where one NAL unit is expected ([`Gatherer::end`]).

use super::{DEFAULT_FRAME_RATE, MAX_PREFIX_LEN, MAX_UNIT_LEN};
use crate::{
    base::{Payload, Timestamp},
    codec::annexb,
    flv::{Codec, Tag, TagKind, body},
};
use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use core::{fmt, mem};

/// What a codec knows about its NAL units.
pub(super) trait Syntax: fmt::Debug + Send {
    fn codec(&self) -> Codec;

    /// Whether the frame that is being gathered is complete before this NAL unit, of which the beginning may be all that is there. False
    /// while too little is there to tell.
    fn ends_picture(&self, nal: &[u8]) -> bool;

    /// Whether what was taken so far may be all of a frame: not after a first field.
    fn may_be_complete(&self) -> bool;

    /// Whether the beginning of such a NAL unit tells what it is.
    fn is_slice(&self, nal: &[u8]) -> bool;

    /// Takes the next NAL unit, of one byte or more.
    fn take(&mut self, nal: &[u8]) -> Unit;

    /// Something is missing here: decoding begins anew with the next picture where it can.
    fn lose(&mut self);
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

/// A frame that has all its NAL units.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) media: Media,
    pub(super) order: i32,
    /// What the stream says.
    pub(super) max_reorder: Option<u8>,
    /// Order counts begin anew.
    pub(super) begins_sequence: bool,
    /// What [`Gatherer::set_time`] was told when it began.
    pub(super) time: i64,
}

/// A frame of any codec, and the configuration that it needs, as tags hold both.
#[derive(Debug)]
pub struct Media {
    /// Behind [`HEADROOM`] bytes.
    pub bytes: Vec<u8>,
    /// Decoding can begin with it. True of all sound.
    pub is_keyframe: bool,
    /// The configuration from here on, if it is another than before.
    pub record: Option<Vec<u8>>,
}

impl Media {
    /// A frame of `parts`, one behind the other.
    pub fn new(parts: &[&[u8]]) -> Media {
        let mut bytes = Vec::with_capacity(HEADROOM + parts.iter().map(|part| part.len()).sum::<usize>());
        bytes.resize(HEADROOM, 0);
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Media { bytes, is_keyframe: true, record: None }
    }

    /// A tag's body: `head`, of [`HEADROOM`] bytes at most, and the frame.
    ///
    /// # Panics
    /// If `head` is longer, or there is no room in front of the frame.
    pub fn into_body(mut self, head: &[u8]) -> Payload {
        let start = HEADROOM - head.len();
        self.bytes[start..HEADROOM].copy_from_slice(head);
        let end = self.bytes.len();
        Payload::from(self.bytes).slice(start..end)
    }
}

/// Appends the tags of a frame of video: its configuration first, if there is another. Milliseconds.
pub fn write_video(
    ready: &mut VecDeque<Tag>,
    codec: Codec,
    mut media: Media,
    timestamp: Timestamp,
    composition_time: i32,
    nanos: i32,
) {
    let tag = |body, nanos| Tag { kind: TagKind::Video, timestamp, nanos, body };
    if let Some(record) = media.record.take() {
        let mut header = Vec::with_capacity(HEADROOM + record.len());
        if body::start_video_header(&mut header, codec) {
            header.extend_from_slice(&record);
            ready.push_back(tag(header.into(), 0));
        }
    }
    let mut head = Vec::with_capacity(HEADROOM);
    if body::start_video_frame(&mut head, codec, media.is_keyframe, composition_time) {
        ready.push_back(tag(media.into_body(&head), nanos));
    }
}

/// NAL units on their way into frames.
#[derive(Debug)]
pub(super) struct Gatherer {
    syntax: Box<dyn Syntax>,
    /// Given, or settled by the first picture.
    frame_rate: Option<f64>,
    /// Being gathered.
    frame: Option<OpenFrame>,
    /// Where in it the last NAL unit begins with its length, if that is where it went.
    last_nal: Option<usize>,
    /// What goes before the next picture.
    prefix: Vec<u8>,
    ready: VecDeque<Frame>,
    /// Since the last frame that was kept, order counts began anew.
    begins_sequence: bool,
    /// Since the last frame that was kept, there is another configuration.
    record: Option<Vec<u8>>,
    time: i64,
    /// A picture was found.
    is_recognized: bool,
    damage: u64,
}

#[derive(Debug)]
struct OpenFrame {
    bytes: Vec<u8>,
    is_keyframe: bool,
    order: i32,
    max_reorder: Option<u8>,
    time: i64,
    is_dropped: bool,
}

impl Gatherer {
    /// `frame_rate`: instead of what the stream says.
    pub(super) fn new(syntax: Box<dyn Syntax>, frame_rate: Option<f64>) -> Gatherer {
        Gatherer {
            syntax,
            frame_rate: frame_rate.filter(is_plausible),
            frame: None,
            last_nal: None,
            prefix: Vec::new(),
            ready: VecDeque::new(),
            begins_sequence: true,
            record: None,
            time: 0,
            is_recognized: false,
            damage: 0,
        }
    }

    pub(super) fn codec(&self) -> Codec {
        self.syntax.codec()
    }

    /// The next frame that is complete.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    pub(super) fn frame_rate(&self) -> f64 {
        self.frame_rate.unwrap_or(DEFAULT_FRAME_RATE)
    }

    pub(super) fn is_recognized(&self) -> bool {
        self.is_recognized
    }

    pub(super) fn damage(&self) -> u64 {
        self.damage
    }

    /// Something that cannot be taken was passed over.
    pub(super) fn note_damage(&mut self) {
        self.damage += 1;
    }

    /// Of the frames that begin from here on.
    pub(super) fn set_time(&mut self, time: i64) {
        self.time = time;
    }

    /// Parameter sets from outside of the stream.
    pub(super) fn learn(&mut self, set: &[u8]) {
        if !set.is_empty() {
            let _ = self.syntax.take(set);
        }
    }

    pub(super) fn is_slice(&self, nal: &[u8]) -> bool {
        self.syntax.is_slice(nal)
    }

    pub(super) fn is_complete_before(&self, nal: &[u8]) -> bool {
        self.frame.is_some() && self.syntax.ends_picture(nal)
    }

    /// Takes the next NAL unit, or so much of a slice that what it is can be told. False if it belongs to a frame that is
    /// not there.
    pub(super) fn take(&mut self, nal: &[u8]) -> bool {
        if self.is_complete_before(nal) {
            self.close_frame();
        }
        self.last_nal = None;
        match self.syntax.take(nal) {
            Unit::Removed => {}
            Unit::Broken => self.damage += 1,
            Unit::Leading if self.prefix.len() + nal.len() > MAX_PREFIX_LEN => self.damage += 1,
            Unit::Leading => append(&mut self.prefix, nal),
            Unit::Following => return self.continue_frame(nal),
            Unit::OtherField => {
                let prefix = mem::take(&mut self.prefix);
                if let Some(frame) = &mut self.frame {
                    frame.bytes.extend_from_slice(&prefix);
                }
                return self.continue_frame(nal);
            }
            Unit::First(picture) => self.open_frame(picture, nal),
        }
        true
    }

    /// More bytes of the slice that was taken last.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let (Some(start), Some(frame)) = (self.last_nal, &mut self.frame) else { return };
        if frame.bytes.len() + bytes.len() > HEADROOM + MAX_UNIT_LEN {
            self.drop_frame();
            return;
        }
        frame.bytes.extend_from_slice(bytes);
        set_len(&mut frame.bytes, start);
    }

    /// The slice that was taken last, and extended, is complete. What is in it behind a start code are NAL units of their own.
    pub(super) fn end(&mut self) {
        let (Some(start), Some(frame)) = (self.last_nal.take(), &mut self.frame) else { return };
        let mut pieces = annexb::pieces(&frame.bytes[start + LENGTH_LEN..]);
        let first_len = pieces.next().map_or(0, <[u8]>::len);
        let others: Vec<Vec<u8>> = pieces.map(<[u8]>::to_vec).collect();
        frame.bytes.truncate(start + LENGTH_LEN + first_len);
        set_len(&mut frame.bytes, start);
        for nal in &others {
            self.take(nal);
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
            time: self.time,
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

    /// False if there is no frame.
    fn continue_frame(&mut self, nal: &[u8]) -> bool {
        let Some(frame) = &mut self.frame else {
            self.damage += 1;
            return false;
        };
        if frame.is_dropped {
            return true;
        }
        if frame.bytes.len() + LENGTH_LEN + nal.len() > HEADROOM + MAX_UNIT_LEN {
            self.drop_frame();
            return true;
        }
        self.last_nal = Some(frame.bytes.len());
        append(&mut frame.bytes, nal);
        true
    }

    /// The frame that is being gathered cannot be complete any more.
    fn drop_frame(&mut self) {
        self.last_nal = None;
        if let Some(frame) = self.frame.as_mut().filter(|frame| !frame.is_dropped) {
            self.damage += 1;
            frame.is_dropped = true;
            frame.bytes = Vec::new();
        }
    }

    /// Something is missing here: what is not complete is dropped, and all that comes before decoding can begin anew.
    pub(super) fn lose(&mut self) {
        self.drop_frame();
        self.frame = None;
        self.prefix.clear();
        self.syntax.lose();
    }

    /// A frame is being gathered.
    pub(super) fn has_frame(&self) -> bool {
        self.frame.is_some()
    }

    /// No more of the frame comes, unless it lacks a field. False if nothing was closed.
    pub(super) fn close_complete(&mut self) -> bool {
        let is_complete = self.frame.is_some() && self.syntax.may_be_complete();
        if is_complete {
            self.close_frame();
        }
        is_complete
    }

    /// No more of the frame comes.
    pub(super) fn close_frame(&mut self) {
        self.last_nal = None;
        let Some(mut frame) = self.frame.take().filter(|frame| !frame.is_dropped) else { return };
        frame.bytes.shrink_to_fit();
        let media = Media { bytes: frame.bytes, is_keyframe: frame.is_keyframe, record: self.record.take() };
        self.ready.push_back(Frame {
            media,
            order: frame.order,
            max_reorder: frame.max_reorder,
            begins_sequence: mem::take(&mut self.begins_sequence),
            time: frame.time,
        });
    }
}

/// Appends a NAL unit with its length.
fn append(bytes: &mut Vec<u8>, nal: &[u8]) {
    bytes.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    bytes.extend_from_slice(nal);
}

/// The last NAL unit goes from here to the end.
fn set_len(bytes: &mut [u8], start: usize) {
    let len = (bytes.len() - start - LENGTH_LEN) as u32;
    bytes[start..start + LENGTH_LEN].copy_from_slice(&len.to_be_bytes());
}

/// From one picture in ten seconds to what no camera gives.
pub(super) fn is_plausible(frame_rate: &f64) -> bool {
    (0.1..=1000.0).contains(frame_rate)
}

/// Room for what goes before a frame in a tag, so that it is written there without moving the frame.
pub const HEADROOM: usize = 8;
const LENGTH_LEN: usize = 4;
