//! AAC files: ADTS frames (ISO 14496-3, 1.A) as tags.
//!
//! Bounds: those of `frames`. A file longer than [`MEASURED`] has its duration estimated, and is looked through by seeks
//! as far as they go.

use super::{
    AudioInfo, MediaError, MediaInfo, MediaReader, ReadAt,
    frames::{Frames, Framing},
};
use crate::{
    base::{Payload, Timestamp},
    codec::aac::{ADTS_HEADER_LEN, AdtsHeader, AudioSpecificConfig, MAX_ADTS_FRAME_LEN},
    flv::{
        Codec, Tag, TagKind,
        body::{self, AudioFormat},
    },
};
use alloc::vec::Vec;

/// Bytes that are looked through when a file is opened: ten minutes and more.
const MEASURED: u64 = 16 << 20;

/// Reads an AAC file. See the module.
#[derive(Debug)]
pub struct AdtsReader<R> {
    frames: Frames<R, Adts>,
    info: MediaInfo,
    /// What players know.
    config: AudioSpecificConfig,
    /// A frame behind its new configuration.
    next: Option<Tag>,
}

impl<R: ReadAt> AdtsReader<R> {
    /// Opens a file and goes to its start.
    ///
    /// # Errors
    /// No ADTS frames, channels that a program config element describes, or it cannot be read.
    pub fn open(file: R) -> Result<AdtsReader<R>, MediaError> {
        let mut frames = Frames::<R, Adts>::open(file)?;
        let start = frames.offset();
        let header = frames.look(start)?.ok_or(MediaError::Unsupported(Adts::NO_FRAME))?;
        let (sample_rate, channels) = header.config.output();
        if channels == 0 {
            return Err(MediaError::Unsupported("AAC with a program config element"));
        }
        let duration = frames.measure(MEASURED)?;
        let info = MediaInfo {
            duration: u32::try_from(duration).unwrap_or(u32::MAX),
            size: frames.size()?,
            audio: Some(AudioInfo { codec: Codec::Aac, sample_rate, channels }),
            ..MediaInfo::default()
        };
        Ok(AdtsReader { frames, info, config: header.config, next: None })
    }

    fn header(&self, time: u64) -> Option<Tag> {
        let mut body = Vec::new();
        body::start_audio_header(&mut body, Codec::Aac).then(|| {
            body.extend_from_slice(&self.config.build());
            tag(time, body)
        })
    }
}

impl<R: ReadAt> MediaReader for AdtsReader<R> {
    fn info(&self) -> &MediaInfo {
        &self.info
    }

    fn headers(&self) -> Vec<Tag> {
        self.header(self.frames.time()).into_iter().collect()
    }

    fn next(&mut self) -> Result<Option<Tag>, MediaError> {
        if let Some(tag) = self.next.take() {
            return Ok(Some(tag));
        }
        let Some(found) = self.frames.next()? else { return Ok(None) };
        let (sample_rate, channels) = found.header.config.output();
        let data = &self.frames.frame(&found)?[found.header.header_len..];
        let mut body = Vec::with_capacity(2 + data.len());
        if !body::start_audio_frame(&mut body, Codec::Aac, AudioFormat { sample_rate, channels }) {
            return Ok(None);
        }
        body.extend_from_slice(data);
        let frame = tag(found.time, body);
        if found.header.config == self.config {
            return Ok(Some(frame));
        }
        self.config = found.header.config;
        self.next = Some(frame);
        Ok(self.header(found.time))
    }

    fn seek(&mut self, target: Timestamp) -> Result<Timestamp, MediaError> {
        self.next = None;
        self.frames.seek_exactly(u64::from(target.0))?;
        let offset = self.frames.offset();
        if let Some(header) = self.frames.look(offset)? {
            self.config = header.config;
        }
        Ok(Timestamp(self.frames.time() as u32))
    }
}

fn tag(time: u64, body: Vec<u8>) -> Tag {
    Tag::new(TagKind::Audio, Timestamp(time as u32), Payload::from(body))
}

#[derive(Debug)]
struct Adts;

impl Framing for Adts {
    type Header = AdtsHeader;

    const HEADER_LEN: usize = ADTS_HEADER_LEN;
    const MAX_LEN: usize = MAX_ADTS_FRAME_LEN;
    const NO_FRAME: &'static str = "no ADTS frame";

    fn parse(bytes: &[u8]) -> Option<AdtsHeader> {
        AdtsHeader::parse(bytes)
    }

    fn is_of_same_stream(one: &AdtsHeader, other: &AdtsHeader) -> bool {
        one.config == other.config
    }

    fn frame_len(header: &AdtsHeader) -> usize {
        header.frame_len
    }

    fn samples(header: &AdtsHeader) -> u32 {
        header.blocks * header.config.frame_len()
    }

    fn sample_rate(header: &AdtsHeader) -> u32 {
        header.config.sample_rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::raw::RawReader;
    use alloc::vec;

    const FILE: &[u8] = include_bytes!("../../tests/data/raw/ffmpeg.adts");

    fn rest(reader: &mut impl MediaReader) -> Vec<Tag> {
        core::iter::from_fn(|| reader.next().expect("a file without damage")).collect()
    }

    /// Frame `n` of AAC-LC at 8000 Hz, mono: 128 ms.
    fn frame(n: u32) -> Vec<u8> {
        let len = 7 + 4 + n as usize % 50;
        let header = [0xff, 0xf1, 0x6c, 0x40, (len >> 3) as u8, (len as u8) << 5 | 0x1f, 0xfc];
        let mut frame = [&header[..], &n.to_be_bytes()].concat();
        frame.resize(len, 0x55);
        frame
    }

    fn number(tag: &Tag) -> u32 {
        u32::from_be_bytes([tag.body[2], tag.body[3], tag.body[4], tag.body[5]])
    }

    #[test]
    fn a_file_gives_what_its_raw_stream_gives() {
        let mut raw = RawReader::adts();
        raw.push(FILE);
        raw.finish();
        let raw: Vec<Tag> = core::iter::from_fn(|| raw.next().expect("a good stream")).collect();
        let mut reader = AdtsReader::open(FILE).expect("a good file");
        assert_eq!([reader.headers(), rest(&mut reader)].concat(), raw);
        let info = reader.info().clone();
        assert_eq!(info.audio, Some(AudioInfo { codec: Codec::Aac, sample_rate: 22_050, channels: 1 }));
        let last = raw.last().expect("frames").timestamp.0;
        assert!((45..=47).contains(&(info.duration - last)), "{} ms", info.duration);
        let tagged =
            [b"ID3\x04\0\0\0\0\0\x09\xff\xf1\xff\xf1\xff\xf1\xff\xf1\xff", FILE, b"TAG and more"].concat();
        assert_eq!(rest(&mut AdtsReader::open(&tagged[..]).expect("a good file")), raw[1..]);
        for len in 0..FILE.len() {
            if let Ok(mut reader) = AdtsReader::open(&FILE[..len]) {
                let tags = rest(&mut reader);
                assert_eq!(tags, raw[1..=tags.len()], "{len} bytes");
            }
        }
    }

    #[test]
    fn a_seek_goes_to_the_frame_of_that_time_whatever_was_read_before() {
        let file: Vec<u8> = (0..20_000).flat_map(frame).collect();
        let mut reader = AdtsReader::open(&file[..]).expect("a good file");
        assert_eq!(reader.info().duration, 20_000 * 128);
        for target in [0, 127, 128, 2_000_001, 77, 2_559_999, 1_000_000, u32::MAX] {
            let expected = (target / 128).min(19_999);
            assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(expected * 128)), "{target}");
            assert_eq!(reader.headers()[0].timestamp.0, expected * 128);
            let tag = reader.next().expect("no damage").expect("a frame");
            assert_eq!((number(&tag), tag.timestamp.0), (expected, expected * 128));
        }
    }

    #[test]
    fn damage_is_reported_once_and_another_configuration_announced_behind_it() {
        let mut other = frame(9);
        other[2] = 0x60;
        let file = [frame(1), frame(2), vec![0xff, 0xf1, 0, 7], other.clone(), other].concat();
        let mut reader = AdtsReader::open(&file[..]).expect("a good file");
        let damage = MediaError::Malformed { what: "no ADTS frame", offset: 25 };
        assert!(reader.next().is_ok_and(|tag| tag.is_some()) && reader.next().is_ok_and(|tag| tag.is_some()));
        assert_eq!(reader.next(), Err(damage));
        let tags = rest(&mut reader);
        let told: Vec<(u32, u8)> = tags.iter().map(|tag| (tag.timestamp.0, tag.body[1])).collect();
        assert_eq!(told, [(256, 0), (256, 1), (320, 1)]);
        assert_eq!(reader.seek(Timestamp(130)), Ok(Timestamp(128)));
        assert_eq!(reader.headers()[0].body[2..], [0x15, 0x88], "the first one holds again");
    }

    #[test]
    fn what_is_no_aac_is_refused() {
        let refused = |file: &[u8]| AdtsReader::open(file).err();
        for file in [&b""[..], b"FLV", &[0xff; 5000], b"ID3\x04\0\0\0\x7f\x7f\x7f\x7f"] {
            assert_eq!(refused(file), Some(MediaError::Unsupported("no ADTS frame")));
        }
        let mut unknown = frame(1);
        unknown[3] &= 0x3f;
        let reason = MediaError::Unsupported("AAC with a program config element");
        assert_eq!(refused(&[unknown.clone(), unknown].concat()), Some(reason));
    }
}
