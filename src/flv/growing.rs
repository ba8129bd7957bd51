//! An FLV file that grows: which bytes each tag adds, and what its start has to say by now.
//!
//! In: tags with their times in the file. Out: bytes to append in that order, and [`Corrections`] of what was reserved at the
//! start: the header's flags, and the `onMetaData` with duration and keyframe index ([`super::summary`]). At any moment the
//! file can be played; corrected, it can be seeked.
//! Not here: writing, and what becomes of tags that could not be written.

use super::{
    Tag, TagKind, TagRole,
    summary::{Published, Summary},
    writer::{self, HEADER_LEN, TAG_HEADER_LEN, TagTooLong},
};
use crate::base::Timestamp;
use alloc::vec::Vec;

/// What is in such a file. See the module.
#[derive(Clone, Debug)]
pub struct Growing {
    published: Published,
    /// Bytes of the body of the first tag, if that is metadata.
    reserved: Option<usize>,
    /// Audio and video, as the header says.
    announced: [bool; 2],
    summary: Summary,
    first: Option<Timestamp>,
    /// The newest frame of audio and of video, and the time from the one before.
    tracks: [(Option<Timestamp>, u32); 2],
    has_index: bool,
    len: u64,
}

/// What belongs at the start of a file: place and bytes, of which there are as many as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrections {
    /// The header's flags.
    pub flags: (u64, [u8; 1]),
    /// The body of the metadata; `None` if the file has none, or no room for it.
    pub metadata: Option<(u64, Vec<u8>)>,
}

impl Growing {
    /// A new file; appends its first bytes. `metadata`: what the publisher said. `announced`: whether there will be audio
    /// and video, as far as that is known.
    ///
    /// # Errors
    /// Not with metadata from RTMP or from a file.
    pub fn new(
        metadata: Option<&Tag>,
        announced: [bool; 2],
        out: &mut Vec<u8>,
    ) -> Result<Growing, TagTooLong> {
        let published = metadata.map(|tag| Published::of(&tag.body)).unwrap_or_default();
        let body = published.reserve(announced[0], announced[1]);
        let before = out.len();
        out.extend_from_slice(&writer::header(announced[0], announced[1]));
        let reserved = Some(body.len());
        writer::write_tag(out, &Tag::new(TagKind::Data, Timestamp(0), body.into()))?;
        Ok(Growing {
            published,
            reserved,
            announced,
            summary: Summary::default(),
            first: None,
            tracks: [(None, 0); 2],
            has_index: false,
            len: (out.len() - before) as u64,
        })
    }

    /// A file of `len` bytes that begins with the header's `flags` and perhaps with `metadata`, and of which nothing else
    /// is known: give it to [`Growing::learn`] tag by tag, or go on where [`Growing::go_on`] says.
    pub fn of_file(flags: u8, metadata: Option<&[u8]>, len: u64) -> Growing {
        let published = metadata.map(Published::of).unwrap_or_default();
        let (has_audio, has_video) = (flags & AUDIO_FLAG != 0, flags & VIDEO_FLAG != 0);
        Growing {
            published,
            reserved: metadata.map(<[u8]>::len),
            announced: [has_audio, has_video],
            summary: Summary::default(),
            first: None,
            tracks: [(None, 0); 2],
            has_index: false,
            len,
        }
    }

    /// Takes from the metadata what is in the file, whose newest frame has the time `last`.
    pub fn go_on(&mut self, last: u32) {
        let [has_audio, has_video] = self.announced;
        let keyframes = core::mem::take(&mut self.published.keyframes);
        self.has_index = keyframes != Default::default();
        self.summary = Summary { duration: last, has_audio, has_video, keyframes, ..Summary::default() };
        self.first = Some(Timestamp(0));
    }

    /// Appends a tag. True as long as there are frames of a kind that was not announced: the start should be corrected.
    ///
    /// # Errors
    /// Not with tags from RTMP or from a file.
    pub fn push(&mut self, tag: &Tag, out: &mut Vec<u8>) -> Result<bool, TagTooLong> {
        let before = out.len();
        writer::write_tag(out, tag)?;
        self.learn(tag.kind, tag.classify().role, tag.timestamp, self.len);
        self.len += (out.len() - before) as u64;
        let is_new =
            self.present().into_iter().zip(self.announced).any(|(is_there, is_said)| is_there && !is_said);
        Ok(is_new)
    }

    /// Audio and video.
    fn present(&self) -> [bool; 2] {
        [self.summary.has_audio, self.summary.has_video]
    }

    /// Notes a tag that is in the file, at `offset`.
    pub fn learn(&mut self, kind: TagKind, role: TagRole, at: Timestamp, offset: u64) {
        let (known, track) = match kind {
            TagKind::Audio => (&mut self.summary.has_audio, &mut self.tracks[0]),
            TagKind::Video => (&mut self.summary.has_video, &mut self.tracks[1]),
            TagKind::Data => return,
        };
        // A header alone is nothing to wait for.
        *known |= role.is_frame();
        // The first sequence header stands for the first place, as injectors have it.
        let is_header = kind == TagKind::Video && role == TagRole::SequenceHeader && !self.has_index;
        if role == TagRole::Keyframe || is_header {
            self.has_index = true;
            self.summary.keyframes.push(at.0, offset);
        }
        if !role.is_frame() {
            return;
        }
        let first = *self.first.get_or_insert(at);
        let (newest, step) = *track;
        let step = match newest.map(|newest| at.wrapping_sub(newest)) {
            Some(passed @ 1..=MAX_STEP) => passed,
            _ => step,
        };
        *track = (Some(at), step);
        // A frame of before the first one is a small step back, not a huge one ahead.
        let end = u32::try_from(at.wrapping_add(step).wrapping_sub(first) as i32).unwrap_or(0);
        self.summary.duration = self.summary.duration.max(end);
    }

    /// Its last frame has this time, whether it was noted or not.
    pub fn lasts_to(&mut self, last: u32) {
        let first = self.first.map_or(0, |first| first.0);
        self.summary.duration = self.summary.duration.max(last.saturating_sub(first));
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True before the first tag; never of one that [`Growing::new`] made.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What the start of a file has to say of which `written` bytes are there.
    pub fn corrections(&mut self, written: u64) -> Corrections {
        self.summary.keyframes.forget_from(written);
        self.summary.size = written;
        self.announced = self.present();
        let header = writer::header(self.announced[0], self.announced[1]);
        let body = self.reserved.and_then(|len| self.published.fit(&self.summary, len));
        Corrections {
            flags: (FLAGS_AT as u64, [header[FLAGS_AT]]),
            metadata: body.map(|body| ((HEADER_LEN + TAG_HEADER_LEN) as u64, body)),
        }
    }
}

/// A longer gap between frames is a pause, not the length of a frame. Milliseconds.
const MAX_STEP: u32 = 1000;
/// Place of the header's flags, and what they are.
const FLAGS_AT: usize = 4;
const AUDIO_FLAG: u8 = 4;
const VIDEO_FLAG: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::{Budget, Object, Value, amf0};
    use alloc::vec;

    fn tag(kind: TagKind, at: u32, body: &[u8]) -> Tag {
        Tag::new(kind, Timestamp(at), body.into())
    }

    /// From `start` on: sequence header, pictures every 40 ms with a keyframe every second one, sound every 23 ms.
    fn film(start: u32) -> Vec<Tag> {
        let mut tags = vec![tag(TagKind::Video, start, &[0x17, 0, 0, 0, 0, 1])];
        for number in 0..4 {
            let first = if number % 2 == 0 { 0x17 } else { 0x27 };
            tags.push(tag(TagKind::Video, start.wrapping_add(number * 40), &[first, 1, 0, 0, 0, 9]));
            tags.push(tag(TagKind::Audio, start.wrapping_add(number * 23), &[0xaf, 1, 7]));
        }
        tags
    }

    fn corrected(growing: &mut Growing, mut bytes: Vec<u8>) -> Vec<u8> {
        let Corrections { flags: (at, flags), metadata } = growing.corrections(bytes.len() as u64);
        bytes[at as usize] = flags[0];
        if let Some((at, body)) = metadata {
            bytes[at as usize..at as usize + body.len()].copy_from_slice(&body);
        }
        bytes
    }

    fn said(bytes: &[u8]) -> Object {
        let len = u32::from_be_bytes([0, bytes[14], bytes[15], bytes[16]]) as usize;
        let (values, error) = amf0::decode_all(&bytes[24..24 + len], Budget::default());
        assert_eq!(error, None);
        values[1].as_object().unwrap().clone()
    }

    fn written(start: u32, announced: [bool; 2]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut growing = Growing::new(None, announced, &mut bytes).unwrap();
        for tag in film(start) {
            growing.push(&tag, &mut bytes).unwrap();
            assert_eq!(growing.len(), bytes.len() as u64);
        }
        corrected(&mut growing, bytes)
    }

    #[test]
    fn the_start_says_how_long_the_file_is_and_where_its_keyframes_are() {
        for start in [0, 7000, u32::MAX - 50] {
            let bytes = written(start, [true, true]);
            let said = said(&bytes);
            // The last frame lasts as long as the one before it.
            assert_eq!(said.get("duration"), Some(&Value::Number(0.16)), "{start}");
            assert_eq!(said.get("filesize"), Some(&Value::Number(bytes.len() as f64)));
            let keyframes = said.get("keyframes").and_then(Value::as_object).unwrap();
            let Some(Value::StrictArray(places)) = keyframes.get("filepositions") else { panic!("{said:?}") };
            let kinds =
                places.iter().map(|place| bytes[place.as_number().unwrap() as usize + 11..][..2].to_vec());
            assert_eq!(kinds.collect::<Vec<_>>(), [[0x17, 0], [0x17, 1], [0x17, 1]]);
        }
    }

    #[test]
    fn what_was_announced_and_did_not_come_is_taken_back() {
        let mut bytes = Vec::new();
        let mut growing = Growing::new(None, [true, true], &mut bytes).unwrap();
        assert_eq!(growing.push(&tag(TagKind::Audio, 0, &[0xaf, 1, 7]), &mut bytes), Ok(false));
        let header = tag(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, 1]);
        assert_eq!(growing.push(&header, &mut bytes), Ok(false));
        assert_eq!(bytes[4], 5);
        assert_eq!(corrected(&mut growing, bytes)[4], 4);
    }

    #[test]
    fn a_track_that_was_not_announced_is_told_once() {
        let mut bytes = Vec::new();
        let mut growing = Growing::new(None, [false, true], &mut bytes).unwrap();
        let mut told = Vec::new();
        for tag in film(0) {
            let is_new = growing.push(&tag, &mut bytes).unwrap();
            told.extend(is_new.then(|| growing.corrections(bytes.len() as u64).flags.1));
        }
        assert_eq!(told, [[5]]);
    }

    #[test]
    fn a_file_that_is_read_again_says_the_same() {
        let whole = written(0, [true, true]);
        let len = u32::from_be_bytes([0, whole[14], whole[15], whole[16]]) as usize;
        let mut growing = Growing::of_file(whole[4], Some(&whole[24..24 + len]), whole.len() as u64);
        let mut offset = 24 + len as u64 + 4;
        for tag in film(0) {
            growing.learn(tag.kind, tag.classify().role, tag.timestamp, offset);
            offset += 15 + tag.body.len() as u64;
        }
        assert_eq!(corrected(&mut growing, whole.clone()), whole);
        // The other way to go on.
        let mut growing = Growing::of_file(whole[4], Some(&whole[24..24 + len]), whole.len() as u64);
        growing.go_on(160);
        assert_eq!(corrected(&mut growing, whole.clone()), whole);
    }
}
