//! MP3 files (ISO 11172-3, 13818-3, layer III) as tags, one frame each.
//!
//! Seeks go by arithmetic where the bit rate is constant, by the table of a Xing header where there is one, else by looking at the
//! frames. A first frame that only holds such a header is not played.
//! Bounds: those of `frames`. Without a header, a file of changing bit rate longer than [`MEASURED`] has its duration
//! estimated.

use super::{
    AudioInfo, MediaError, MediaInfo, MediaReader, ReadAt,
    frames::{Frames, Framing, scaled},
};
use crate::{
    base::{Payload, Timestamp},
    codec::{
        mp3::{FrameHeader, HEADER_LEN, MAX_FRAME_LEN, VbrHeader},
        samples::SampleClock,
    },
    flv::{
        Codec, Tag, TagKind,
        body::{self, AudioFormat},
    },
};
use alloc::vec::Vec;

/// Bytes that are looked through when a file is opened that does not say how long it is: ten minutes and more.
const MEASURED: u64 = 16 << 20;
/// Places at which the bit rate is looked at.
const PROBES: u64 = 16;

/// Reads an MP3 file. See the module.
#[derive(Debug)]
pub struct Mp3Reader<R> {
    frames: Frames<R, Mp3>,
    info: MediaInfo,
    first: FrameHeader,
    start: u64,
    way: Way,
}

/// How a seek finds its place.
#[derive(Debug)]
enum Way {
    /// All frames have the bit rate of the first.
    Constant,
    /// By percents of the time, in 256ths of so many bytes.
    Table { toc: [u8; 100], start: u64, bytes: u64 },
    /// By looking.
    Frames,
}

impl<R: ReadAt> Mp3Reader<R> {
    /// Opens a file and goes to its start.
    ///
    /// # Errors
    /// No MP3 frames, or it cannot be read.
    pub fn open(file: R) -> Result<Mp3Reader<R>, MediaError> {
        let mut frames = Frames::<R, Mp3>::open(file)?;
        let size = frames.size()?;
        let begin = frames.offset();
        let found = frames.next()?.ok_or(MediaError::Unsupported(Mp3::NO_FRAME))?;
        let said = VbrHeader::parse(frames.frame(&found)?);
        let start = if said.is_some() { frames.offset() } else { begin };
        frames.begin_at(start);
        let first = frames.look(start)?.ok_or(MediaError::Unsupported(Mp3::NO_FRAME))?;

        let is_constant = has_one_bitrate(&mut frames, &first, start, size)?;
        let frame_count = said.as_ref().map_or(0, |said| said.frames);
        let duration = if frame_count > 0 {
            scaled(1000 * u64::from(frame_count), first.samples.into(), first.sample_rate.into())
        } else if is_constant {
            // Kilobits a second are bits a millisecond.
            scaled(size - start, 8, first.bitrate.into())
        } else {
            frames.measure(MEASURED)?
        };
        let table = said.and_then(|said| Some((said.toc?, u64::from(said.bytes))));
        let way = match table {
            _ if is_constant => Way::Constant,
            Some((toc, bytes)) => {
                Way::Table { toc, start: begin, bytes: if bytes > 0 { bytes } else { size - begin } }
            }
            None => Way::Frames,
        };
        let audio = AudioInfo { codec: Codec::Mp3, sample_rate: first.sample_rate, channels: first.channels };
        let info = MediaInfo {
            duration: u32::try_from(duration).unwrap_or(u32::MAX),
            size,
            audio: Some(audio),
            ..MediaInfo::default()
        };
        Ok(Mp3Reader { frames, info, first, start, way })
    }

    /// How many frames are over at that time. A frame begins in the millisecond that its timestamp says.
    fn frames_before(&self, target: u64) -> u64 {
        let last = u64::from(self.info.duration).saturating_sub(1);
        let (rate, samples) = (self.first.sample_rate, u64::from(self.first.samples));
        let target = target.min(last);
        let mut frame = scaled(target + 1, rate.into(), 1000 * samples);
        // Timestamps are rounded.
        while frame > 0 && SampleClock::at(frame * samples, rate).milliseconds() > target {
            frame -= 1;
        }
        frame
    }

    fn go_to(&mut self, frame: u64, offset: u64) -> Result<(), MediaError> {
        let samples = frame * u64::from(self.first.samples);
        self.frames.seek_to(offset, samples, self.first.sample_rate)
    }
}

/// Whether the file has the same bit rate in all of some places.
fn has_one_bitrate<R: ReadAt>(
    frames: &mut Frames<R, Mp3>,
    first: &FrameHeader,
    start: u64,
    size: u64,
) -> Result<bool, MediaError> {
    for probe in 1..PROBES {
        // What is not to be found there is none of another bit rate.
        let header = frames.look(start + (size.saturating_sub(start)) / PROBES * probe)?;
        if header.is_some_and(|header| header.bitrate != first.bitrate) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl<R: ReadAt> MediaReader for Mp3Reader<R> {
    fn info(&self) -> &MediaInfo {
        &self.info
    }

    fn headers(&self) -> Vec<Tag> {
        Vec::new()
    }

    fn next(&mut self) -> Result<Option<Tag>, MediaError> {
        let Some(found) = self.frames.next()? else { return Ok(None) };
        let format = AudioFormat { sample_rate: found.header.sample_rate, channels: found.header.channels };
        let frame = self.frames.frame(&found)?;
        let mut body = Vec::with_capacity(1 + frame.len());
        if !body::start_audio_frame(&mut body, Codec::Mp3, format) {
            return Ok(None);
        }
        body.extend_from_slice(frame);
        let timestamp = Timestamp(found.time as u32);
        Ok(Some(Tag::new(TagKind::Audio, timestamp, Payload::from(body))))
    }

    fn seek(&mut self, target: Timestamp) -> Result<Timestamp, MediaError> {
        let target = u64::from(target.0);
        let frame = self.frames_before(target);
        match &self.way {
            Way::Constant => {
                // Of a kilobit a second in a second: 125 bytes. Padding moves a frame by a byte at most.
                let samples = frame * u64::from(self.first.samples);
                let bytes =
                    scaled(samples, 125 * u64::from(self.first.bitrate), self.first.sample_rate.into());
                let offset = self.start + bytes.saturating_sub(PADDING);
                self.go_to(frame, offset)?;
            }
            Way::Table { toc, start, bytes } => {
                let duration = u64::from(self.info.duration.max(1));
                let percents = scaled(target.min(duration - 1), 100 * FRACTION, duration);
                let (percent, rest) = ((percents / FRACTION) as usize, percents % FRACTION);
                let entry = |percent: usize| toc.get(percent).map_or(256, |entry| u64::from(*entry));
                let (low, high) = (entry(percent), entry(percent + 1));
                let part = low * FRACTION + high.saturating_sub(low) * rest;
                // The frame that holds this byte began before it.
                let frame_bytes = scaled(*bytes, u64::from(self.first.samples) * 1000, {
                    u64::from(self.first.sample_rate) * duration
                });
                let offset = start + scaled(*bytes, part, 256 * FRACTION).saturating_sub(frame_bytes);
                self.go_to(frame, offset)?;
            }
            Way::Frames => self.frames.seek_exactly(target)?,
        }
        Ok(Timestamp(self.frames.time() as u32))
    }
}

/// Parts of a percent.
const FRACTION: u64 = 1000;
/// Bytes by which a frame of constant bit rate may begin before its place by arithmetic.
const PADDING: u64 = 4;

#[derive(Debug)]
struct Mp3;

impl Framing for Mp3 {
    type Header = FrameHeader;

    const HEADER_LEN: usize = HEADER_LEN;
    const MAX_LEN: usize = MAX_FRAME_LEN;
    const NO_FRAME: &'static str = "no MP3 frame";

    fn parse(bytes: &[u8]) -> Option<FrameHeader> {
        FrameHeader::parse(bytes).filter(|header| header.layer == 3)
    }

    fn is_of_same_stream(one: &FrameHeader, other: &FrameHeader) -> bool {
        one.is_of_same_stream(other)
    }

    fn frame_len(header: &FrameHeader) -> usize {
        header.frame_len
    }

    fn samples(header: &FrameHeader) -> u32 {
        header.samples
    }

    fn sample_rate(header: &FrameHeader) -> u32 {
        header.sample_rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// Frame `n` of MPEG-1 at 48 kHz: 24 ms. Its bit rate is 128 kbit/s, or one of six.
    fn frame(n: u32, is_constant: bool) -> Vec<u8> {
        let rate = if is_constant { 9 } else { 6 + (n / 100 % 6) as u8 };
        let header = [0xff, 0xfb, rate << 4 | 4, 0];
        let len = FrameHeader::parse(&header).expect("a header").frame_len;
        let mut frame = [&header[..], &n.to_be_bytes()].concat();
        frame.resize(len, 0x55);
        frame
    }

    fn file(count: u32, is_constant: bool) -> Vec<u8> {
        (0..count).flat_map(|n| frame(n, is_constant)).collect()
    }

    fn number(tag: &Tag) -> u32 {
        u32::from_be_bytes([tag.body[5], tag.body[6], tag.body[7], tag.body[8]])
    }

    fn rest(reader: &mut impl MediaReader) -> Vec<Tag> {
        core::iter::from_fn(|| reader.next().expect("a file without damage")).collect()
    }

    /// A first frame that says how long `file` is, and where the percents are.
    fn with_xing(file: &[u8], count: u32) -> Vec<u8> {
        let mut xing = frame(0, true);
        let bytes = (file.len() + xing.len()) as u32;
        let mut toc = Vec::new();
        let mut offset = 0;
        for n in 0..count {
            if n % (count / 100) == 0 {
                toc.push((256 * offset / file.len()) as u8);
            }
            offset += frame(n, false).len();
        }
        let said = [b"Xing", &[0, 0, 0, 7], &count.to_be_bytes()[..], &bytes.to_be_bytes(), &toc].concat();
        xing[4..36].fill(0);
        xing[36..36 + said.len()].copy_from_slice(&said);
        [&xing, file].concat()
    }

    #[test]
    fn each_frame_is_a_tag_on_the_clock_of_its_samples() {
        let bytes =
            [&b"ID3\x03\0\0\0\0\0\x04\xff\xfb\x90\0"[..], &file(40, false), b"TAG", &[0; 125]].concat();
        let mut reader = Mp3Reader::open(&bytes[..]).expect("a good file");
        let audio = AudioInfo { codec: Codec::Mp3, sample_rate: 48_000, channels: 2 };
        assert_eq!((reader.info().audio, reader.info().size), (Some(audio), bytes.len() as u64));
        let tags = rest(&mut reader);
        for (n, tag) in (0..).zip(&tags) {
            assert_eq!((number(tag), tag.timestamp.0), (n, 24 * n));
            assert_eq!((tag.body[0], &tag.body[1..]), (0x2f, &frame(n, false)[..]));
        }
        assert_eq!((tags.len(), reader.headers().len()), (40, 0));
    }

    #[test]
    fn seeks_in_constant_and_in_changing_bit_rates_without_a_table_are_exact() {
        for is_constant in [true, false] {
            let bytes = file(10_000, is_constant);
            let mut reader = Mp3Reader::open(&bytes[..]).expect("a good file");
            assert_eq!(reader.info().duration, 240_000);
            for target in [0, 23, 24, 200_000, 1_000, 239_999, u32::MAX] {
                let expected = (target / 24).min(9_999);
                assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(24 * expected)), "{target}");
                let tag = reader.next().expect("no damage").expect("a frame");
                assert_eq!((number(&tag), tag.timestamp.0), (expected, 24 * expected), "{target}");
            }
        }
    }

    #[test]
    fn padded_frames_are_found_by_arithmetic() {
        // 44.1 kHz: 417 bytes, and one more for most; the first ones late, as by an encoder that thinks of itself.
        let (mut bytes, mut left) = (Vec::new(), -80_000);
        for n in 0..5_000u32 {
            left += 144 * 128_000 % 44_100;
            let is_padded = left >= 44_100;
            left -= if is_padded { 44_100 } else { 0 };
            let header = [0xff, 0xfb, 0x90 | u8::from(is_padded) << 1, 0];
            let len = FrameHeader::parse(&header).expect("a header").frame_len;
            let begin = bytes.len();
            bytes.extend([&header[..], &n.to_be_bytes()].concat());
            bytes.resize(begin + len, 0x55);
        }
        let mut reader = Mp3Reader::open(&bytes[..]).expect("a good file");
        assert!(reader.info().duration.abs_diff(130_612) < 2, "{}", reader.info().duration);
        let time = |n: u32| (f64::from(n) * 1_152_000.0 / 44_100.0).round() as u32;
        for n in (0..200).chain([1_234, 4_998]) {
            for target in [time(n), time(n) + 1, time(n + 1) - 1] {
                assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(time(n))));
                assert_eq!(reader.next().map(|tag| tag.map(|tag| number(&tag))), Ok(Some(n)));
            }
        }
    }

    /// Counts what is read of a file.
    struct Counting<'a>(&'a [u8], Cell<usize>);

    impl ReadAt for &Counting<'_> {
        fn size(&self) -> Result<u64, MediaError> {
            self.0.size()
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, MediaError> {
            let count = self.0.read_at(offset, buffer)?;
            self.1.set(self.1.get() + count);
            Ok(count)
        }
    }

    #[test]
    fn a_table_takes_a_seek_near_its_time_without_reading_all() {
        let bytes = with_xing(&file(50_000, false), 50_000);
        let counting = Counting(&bytes, Cell::new(0));
        let mut reader = Mp3Reader::open(&counting).expect("a good file");
        assert_eq!(reader.info().duration, 1_200_000);
        let first = reader.next().expect("no damage").expect("a frame");
        assert_eq!((number(&first), first.timestamp.0), (0, 0), "the header is not played");
        for target in [600_000, 30_000, 1_199_999, 0] {
            assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(target / 24 * 24)));
            let tag = reader.next().expect("no damage").expect("a frame");
            // A 256th of the bytes is as exact as a table is.
            let error = (24 * number(&tag)).abs_diff(target);
            assert!(error < 12_000, "{target}: {error} ms off");
        }
        let most = bytes.len() / 4;
        assert!(counting.1.get() < most, "{} of {} bytes read", counting.1.get(), bytes.len());
    }

    #[test]
    fn what_was_looked_at_once_is_not_looked_at_again_behind_damage_either() {
        let file = file(10_000, false);
        let (intact, rest) = file.split_at(5 * frame(0, false).len());
        let damaged = [intact, b"no frame", rest].concat();
        let counting = Counting(&damaged, Cell::new(0));
        let mut reader = Mp3Reader::open(&counting).expect("a good file");
        let before = counting.1.get();
        for target in [239_990, 120_000, 230_000] {
            assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(target / 24 * 24)));
        }
        let read = counting.1.get() - before;
        assert!(read < file.len() / 4, "{read} of {} bytes read", file.len());
    }

    #[test]
    fn broken_files_end_or_go_on_behind_the_damage() {
        let whole = file(20, false);
        for at in (0..whole.len()).step_by(5) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            bytes.truncate(whole.len() - at % 7);
            let Ok(mut reader) = Mp3Reader::open(&bytes[..]) else { continue };
            let mut frames = 0;
            for _ in 0..60 {
                match reader.next() {
                    Ok(Some(_)) => frames += 1,
                    Ok(None) => break,
                    Err(error) => assert!(matches!(error, MediaError::Malformed { .. }), "{error}"),
                }
            }
            assert!(frames >= 17, "byte {at}: {frames} frames");
            assert!(reader.seek(Timestamp(300)).is_ok());
        }
        for file in [&b""[..], b"FLV\x01", &[0xff; 5000], &[0xff, 0xfd, 0x90, 0]] {
            assert_eq!(Mp3Reader::open(file).err(), Some(MediaError::Unsupported("no MP3 frame")));
        }
    }
}
