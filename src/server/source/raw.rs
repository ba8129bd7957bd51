//! Streams without a container: with metadata in front, and as recorded media, so that they are paced and looped as any
//! other file.
//!
//! Players that are not told which tracks there are wait for those that never come: ffmpeg five seconds.
//! There is no index: the only place to go is the start.
//! Bounds: those of [`RawReader`], and one read.

use super::format::RawFormat;
use crate::{
    base::Timestamp,
    codec::{self, raw::RawReader},
    flv::{Codec, Tag, TagRole},
    media::{AudioInfo, MediaError, MediaInfo, MediaReader, VideoInfo, metadata},
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::mem;
use std::{
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

/// A raw stream as tags, metadata first.
pub(super) struct RawTags {
    reader: RawReader,
    frame_rate: f64,
    /// The first sequence header, behind the metadata.
    ahead: Option<Tag>,
    /// There was metadata.
    is_told: bool,
    /// What [`RawTags::take_damage`] has given.
    taken_damage: u64,
}

impl RawTags {
    pub(super) fn new(format: RawFormat, fps: Option<f64>) -> RawTags {
        let reader = match format {
            RawFormat::H264 => RawReader::h264(fps),
            RawFormat::H265 => RawReader::h265(fps),
            RawFormat::Aac => RawReader::adts(),
        };
        RawTags { reader, frame_rate: fps.unwrap_or(0.0), ahead: None, is_told: false, taken_damage: 0 }
    }

    /// The stream's next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.reader.push(bytes);
    }

    /// The stream is over.
    pub(super) fn finish(&mut self) {
        self.reader.finish();
    }

    /// How often something was passed over since the last time.
    pub(super) fn take_damage(&mut self) -> u64 {
        let damage = self.reader.damage();
        damage - mem::replace(&mut self.taken_damage, damage)
    }

    /// The next tag; `None` until more is pushed.
    pub(super) fn next(&mut self) -> Result<Option<Tag>, String> {
        if let Some(tag) = self.ahead.take() {
            return Ok(Some(tag));
        }
        let Some(tag) = self.reader.next().map_err(|error| error.to_string())? else { return Ok(None) };
        let is_first = !self.is_told && tag.classify().role == TagRole::SequenceHeader;
        if !is_first {
            return Ok(Some(tag));
        }
        self.is_told = true;
        let info = info(self.reader.codec(), &tag, self.frame_rate);
        let metadata = metadata::tag(&info, tag.timestamp);
        self.ahead = Some(tag);
        Ok(Some(metadata))
    }
}

/// What a sequence header says.
fn info(codec: Codec, header: &Tag, frame_rate: f64) -> MediaInfo {
    let record = header.classify().tracks().next().map(|track| &header.body[track.data]).unwrap_or_default();
    let mut info = MediaInfo::default();
    if codec == Codec::Aac {
        let format = codec::audio_format(codec, record);
        let (sample_rate, channels) = format.map_or((0, 0), |format| (format.sample_rate, format.channels));
        info.audio = Some(AudioInfo { codec, sample_rate, channels });
    } else {
        let (width, height) = codec::dimensions(codec, record).unwrap_or_default();
        info.video = Some(VideoInfo { codec, width, height, frame_rate });
    }
    info
}

/// A raw file.
pub(super) struct RawFile {
    file: File,
    format: RawFormat,
    fps: Option<f64>,
    tags: RawTags,
    info: MediaInfo,
    buffer: Box<[u8]>,
    is_at_end: bool,
    /// Its damage is told at the end of the first round.
    name: Option<PathBuf>,
}

impl RawFile {
    /// Opens a file of a raw `format`.
    pub(super) fn open(name: &Path, format: RawFormat, fps: Option<f64>) -> Result<RawFile, MediaError> {
        let file = File::open(name).map_err(failed)?;
        let info = MediaInfo { size: file.metadata().map_err(failed)?.len(), ..MediaInfo::default() };
        let buffer = vec![0; super::pipe::READ_LEN].into_boxed_slice();
        let tags = RawTags::new(format, fps);
        Ok(RawFile { file, format, fps, tags, info, buffer, is_at_end: false, name: Some(name.into()) })
    }
}

impl MediaReader for RawFile {
    fn info(&self) -> &MediaInfo {
        &self.info
    }

    /// They come as tags.
    fn headers(&self) -> Vec<Tag> {
        Vec::new()
    }

    fn next(&mut self) -> Result<Option<Tag>, MediaError> {
        loop {
            if let Some(tag) = self.tags.next().map_err(MediaError::Io)? {
                return Ok(Some(tag));
            }
            if self.is_at_end {
                if let (Some(name), places @ 1..) = (self.name.take(), self.tags.take_damage()) {
                    log::warn!("damaged places of {} passed over: {places}", name.display());
                }
                return Ok(None);
            }
            match self.file.read(&mut self.buffer).map_err(failed)? {
                0 => {
                    self.is_at_end = true;
                    self.tags.finish();
                }
                count => self.tags.push(&self.buffer[..count]),
            }
        }
    }

    fn seek(&mut self, _: Timestamp) -> Result<Timestamp, MediaError> {
        self.file.rewind().map_err(failed)?;
        let is_told = self.tags.is_told;
        self.tags = RawTags { is_told, ..RawTags::new(self.format, self.fps) };
        self.is_at_end = false;
        Ok(Timestamp(0))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: io::Error) -> MediaError {
    MediaError::Io(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::TagKind;

    /// Two frames of AAC, each a byte.
    const ADTS: [u8; 16] =
        [0xff, 0xf1, 0x50, 0x80, 0x01, 0x1f, 0xfc, 0x21, 0xff, 0xf1, 0x50, 0x80, 0x01, 0x1f, 0xfc, 0x22];

    #[test]
    fn metadata_comes_before_the_sequence_header() {
        let mut tags = RawTags::new(RawFormat::Aac, None);
        tags.push(&ADTS);
        tags.finish();
        let all: Vec<Tag> = core::iter::from_fn(|| tags.next().unwrap()).collect();
        let roles: Vec<TagRole> = all.iter().map(|tag| tag.classify().role).collect();
        assert_eq!(roles, [TagRole::Metadata, TagRole::SequenceHeader, TagRole::Frame, TagRole::Frame]);
        let properties = metadata::properties(&all[0].body).unwrap();
        let number = |key: &str| properties.get(key).and_then(|value| value.as_number());
        assert_eq!((number("audiosamplerate"), number("audiocodecid")), (Some(44_100.0), Some(10.0)));
        assert_eq!(number("videocodecid"), None);
    }

    #[test]
    fn a_raw_file_begins_again_without_its_metadata() {
        let name = std::env::temp_dir().join(std::format!("weir-raw-{}.aac", std::process::id()));
        std::fs::write(&name, ADTS).unwrap();
        let mut file = RawFile::open(&name, RawFormat::Aac, None).unwrap();
        let count = |file: &mut RawFile| {
            core::iter::from_fn(|| file.next().unwrap()).filter(|tag| tag.kind == TagKind::Audio).count()
        };
        assert_eq!(file.next().unwrap().map(|tag| tag.kind), Some(TagKind::Data));
        assert_eq!(count(&mut file), 3);
        file.rewind().unwrap();
        assert_eq!(file.next().unwrap().map(|tag| tag.kind), Some(TagKind::Audio));
        std::fs::remove_file(&name).unwrap();
    }
}
