//! Fuzz target: any bytes as a raw stream of each kind, and as records, parameter sets and frame headers.
//!
//! Holds: where the stream is cut does not change what comes out; times of decoding never go back, no picture is shown before it
//! is decoded, no two at the same time; frames are whole NAL units; records that were built are read as they were.

use super::{aac, annexb, audio_format, av1, dimensions, h264, h265, mp3, nal, opus, raw::RawReader, vpx};
use crate::{
    base::Timestamp,
    flv::{Codec, Tag, TagRole},
};
use alloc::vec::Vec;

/// The first byte cuts the stream, the second gives the frame rate, the rest is it.
pub fn fuzz(input: &[u8]) {
    let &[cut, rate, ref stream @ ..] = input else { return };
    // Below 500 a second, so that no two times fall on one millisecond.
    let rate = (rate > 0).then_some(f64::from(rate));
    let readers: [fn(Option<f64>) -> RawReader; 3] =
        [RawReader::h264, RawReader::h265, |_| RawReader::adts()];
    for open in readers {
        let whole = read(open(rate), stream, stream.len().max(1));
        let in_parts = read(open(rate), stream, usize::from(cut) + 1);
        assert_eq!(whole, in_parts, "cuts of {} bytes change what is read", usize::from(cut) + 1);
        check_tags(&whole.0, rate.is_some());
    }
    parse_all(stream);
}

fn read(mut reader: RawReader, stream: &[u8], cut: usize) -> (Vec<Tag>, u64) {
    let mut tags = Vec::new();
    for part in stream.chunks(cut) {
        reader.push(part);
        while let Ok(Some(tag)) = reader.next() {
            tags.push(tag);
        }
    }
    reader.finish();
    while let Ok(Some(tag)) = reader.next() {
        tags.push(tag);
    }
    (tags, reader.damage())
}

fn check_tags(tags: &[Tag], is_slow: bool) {
    let mut last = Timestamp(0);
    let mut shown = Vec::new();
    for (index, tag) in tags.iter().enumerate() {
        let class = tag.classify();
        assert!(!last.is_after(tag.timestamp), "time goes back at tag {index}");
        last = tag.timestamp;
        let track = class.tracks().next().expect("every tag has a track");
        let data = &tag.body[track.data];
        if index == 0 {
            assert_eq!(class.role, TagRole::SequenceHeader);
        }
        if class.role == TagRole::SequenceHeader || class.codec == Some(Codec::Aac) {
            continue;
        }
        let len: usize = nal::Units::new(data, 4).map(|unit| unit.len() + 4).sum();
        assert!(len == data.len() && len > 4, "a frame is no row of NAL units");
        assert!(class.composition_time >= 0);
        shown.push(tag.timestamp.0 + class.composition_time as u32);
    }
    let count = shown.len();
    shown.sort_unstable();
    shown.dedup();
    assert!(!is_slow || shown.len() == count, "two pictures at the same time");
}

fn parse_all(bytes: &[u8]) {
    for codec in [Codec::H264, Codec::Hevc, Codec::Av1, Codec::Aac, Codec::Opus, Codec::Flac] {
        let _ = (dimensions(codec, bytes), audio_format(codec, bytes));
    }
    if let Some(config) = aac::AudioSpecificConfig::parse(bytes) {
        let _ = config.output();
    }
    let _ = (aac::AdtsHeader::parse(bytes), mp3::VbrHeader::parse(bytes), mp3::id3v2_len(bytes));
    if let Some(header) = mp3::FrameHeader::parse(bytes) {
        assert!((mp3::HEADER_LEN..=mp3::MAX_FRAME_LEN).contains(&header.frame_len), "{header:?}");
    }
    let _ = (av1::dimensions(bytes), vpx::vp8_dimensions(bytes), vpx::vp9_dimensions(bytes));
    if let Some(config) = opus::OpusConfig::parse_head(bytes) {
        assert_eq!(opus::OpusConfig::parse_box(&config.build_box()), Some(config));
    }
    let mut splitter = annexb::Splitter::new();
    splitter.push(bytes);
    splitter.finish();
    while let Some(annexb::Piece::Nal(unit)) = splitter.next() {
        assert!(!unit.is_empty() && !unit.ends_with(&[0]));
        let _ = (
            h264::recovery_point(unit),
            h265::Vps::parse(unit),
            h265::Pps::parse(unit),
            h264::Pps::parse(unit),
        );
        if let Some(record) = h264::build_record(unit, &[unit]) {
            let read = h264::Record::parse(&record).expect("a record that was built");
            assert_eq!((read.length_size, &read.sps[..], &read.pps[..]), (4, &[unit][..], &[unit][..]));
        }
        if let Some(record) = h265::build_record(unit, unit, &[unit, unit]) {
            let read = h265::Record::parse(&record).expect("a record that was built");
            assert_eq!((read.length_size, &read.vps[..], &read.sps[..]), (4, &[unit][..], &[unit][..]));
            assert_eq!(read.pps, [unit, unit]);
            assert!(dimensions(Codec::Hevc, &record).is_some());
        }
    }
}
