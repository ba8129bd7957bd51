//! AAC in ADTS frames -> tags.
//!
//! A frame is taken at once where one of its kind came just before; otherwise only if another follows where it ends, or the
//! stream does. ID3v2 tags are passed over. Bounds: one frame and a header, and [`MAX_UNRECOGNIZED`].

use super::{MAX_UNRECOGNIZED, RawError};
use crate::{
    base::{Payload, Timestamp},
    codec::{
        aac::{ADTS_HEADER_LEN, AdtsHeader, AudioSpecificConfig},
        mp3::{ID3_HEADER_LEN, id3v2_len},
        samples::SampleClock,
    },
    flv::{Codec, Tag, TagKind, body},
};
use alloc::{collections::VecDeque, vec::Vec};

#[derive(Debug, Default)]
pub(super) struct AdtsReader {
    buffer: Vec<u8>,
    start: usize,
    /// Of an ID3 tag.
    to_skip: u64,
    config: Option<AudioSpecificConfig>,
    /// A frame ends where the reader stands.
    is_in_step: bool,
    /// Bytes passed over since the last frame.
    lost: u64,
    clock: SampleClock,
    ready: VecDeque<Tag>,
    is_finished: bool,
    error: Option<RawError>,
    damage: u64,
}

impl AdtsReader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.is_finished = true;
    }

    pub(super) fn damage(&self) -> u64 {
        self.damage
    }

    pub(super) fn next(&mut self) -> Result<Option<Tag>, RawError> {
        loop {
            if let Some(tag) = self.ready.pop_front() {
                return Ok(Some(tag));
            }
            if let Some(error) = self.error {
                return Err(error);
            }
            let rest = &self.buffer[self.start..];
            if self.to_skip > 0 && !rest.is_empty() {
                let step = usize::try_from(self.to_skip).map_or(rest.len(), |skip| skip.min(rest.len()));
                self.start += step;
                self.to_skip -= step as u64;
                continue;
            }
            match look(rest, self.config.filter(|_| self.is_in_step), self.is_finished) {
                Look::Frame(header) => self.take(header),
                Look::Id3(len) => self.to_skip = len,
                Look::Nothing => self.pass_over(1),
                Look::TooShort if self.is_finished && !rest.is_empty() => self.pass_over(rest.len()),
                Look::TooShort => return Ok(None),
            }
        }
    }

    fn take(&mut self, header: AdtsHeader) {
        if header.config.channel_configuration == 0 {
            self.error = Some(RawError::UnknownChannels);
            return;
        }
        self.clock.set_rate(header.config.sample_rate);
        let timestamp = Timestamp(self.clock.milliseconds() as u32);
        let mut tag = |body: Vec<u8>| {
            self.ready.push_back(Tag::new(TagKind::Audio, timestamp, Payload::from(body)));
        };
        if self.config != Some(header.config) {
            let mut body = Vec::new();
            if body::start_audio_header(&mut body, Codec::Aac) {
                body.extend_from_slice(&header.config.build());
                tag(body);
            }
        }
        let (sample_rate, channels) = header.config.output();
        let frame = &self.buffer[self.start + header.header_len..self.start + header.frame_len];
        let mut body = Vec::with_capacity(2 + frame.len());
        if body::start_audio_frame(&mut body, Codec::Aac, body::AudioFormat { sample_rate, channels }) {
            body.extend_from_slice(frame);
            tag(body);
        }
        self.clock.advance(header.blocks * header.config.frame_len());
        self.config = Some(header.config);
        self.is_in_step = true;
        self.lost = 0;
        self.start += header.frame_len;
    }

    fn pass_over(&mut self, len: usize) {
        if self.lost == 0 {
            self.damage += 1;
        }
        self.lost += len as u64;
        self.start += len;
        self.is_in_step = false;
        if self.lost > MAX_UNRECOGNIZED {
            self.error = Some(RawError::Unrecognized);
        }
    }
}

enum Look {
    Frame(AdtsHeader),
    Id3(u64),
    Nothing,
    /// More bytes must come before that can be said.
    TooShort,
}

/// What `bytes` begin with, `previous` being the configuration of the frame that ends here.
fn look(bytes: &[u8], previous: Option<AudioSpecificConfig>, is_finished: bool) -> Look {
    let may_be_id3 = bytes.starts_with(&b"ID3"[..bytes.len().min(3)]);
    if bytes.len() < if may_be_id3 { ID3_HEADER_LEN } else { ADTS_HEADER_LEN } {
        return Look::TooShort;
    }
    if let Some(len) = id3v2_len(bytes) {
        return Look::Id3(len);
    }
    let Some(header) = AdtsHeader::parse(bytes) else { return Look::Nothing };
    let Some(behind) = bytes.get(header.frame_len..) else {
        return if is_finished { Look::Nothing } else { Look::TooShort };
    };
    let is_known = previous == Some(header.config) || is_finished && behind.is_empty();
    if is_known {
        return Look::Frame(header);
    }
    if behind.len() < ADTS_HEADER_LEN && !is_finished {
        return Look::TooShort;
    }
    let is_confirmed = AdtsHeader::parse(behind).is_some_and(|next| next.config == header.config);
    if is_confirmed { Look::Frame(header) } else { Look::Nothing }
}
