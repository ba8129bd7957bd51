//! What is played: a short FLV file, made once, and what ffmpeg says is in an FLV.
//!
//! ffmpeg's `framehash` is the judge: per packet stream, dts, pts, size and the SHA-256 of the bytes, and that of the
//! codec configuration. `-copyts` keeps it from moving the timestamps. What is in an FLV that ffmpeg does not know is for
//! `listing` to say.

use crate::process;
use std::{fs, path::Path};
use weir::flv::{Item, Reader, ReaderLimits, Tag, writer};

/// Video frames between two keyframes.
pub(crate) const GOP: usize = 38;

/// 7 s of H.264 High with B-frames and AAC. Audio starts at 0 and video 143 ms later: flvdemux takes the first
/// *presentation* time it sees for the start, and would lose what was to be decoded before.
/// Keyframes are larger than a chunk of 64 KiB.
pub(crate) fn make_source(path: &Path) {
    let path = path.to_str().expect("the target directory has a readable name");
    let gop = GOP.to_string();
    let video = "testsrc2=size=1280x720:rate=25:duration=6.8,noise=alls=12";
    let arguments = [
        ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=7"].as_slice(),
        &["-itsoffset", "0.2", "-f", "lavfi", "-i", video, "-map", "1:v", "-map", "0:a"],
        &[
            "-c:v",
            "libx264",
            "-profile:v",
            "high",
            "-preset",
            "ultrafast",
            "-x264-params",
            "8x8dct=1:bframes=2",
        ],
        &["-g", &gop, "-keyint_min", &gop, "-sc_threshold", "0", "-b:v", "2500k", "-pix_fmt", "yuv420p"],
        &["-c:a", "aac", "-b:a", "64k", "-flvflags", "no_duration_filesize", path],
    ];
    let quiet = ["-nostdin", "-v", "error", "-y"].as_slice();
    process::output("ffmpeg", &[quiet, arguments.concat().as_slice()].concat());
}

/// Arguments that make ffmpeg write the framehash of `input` to `output`.
pub(crate) fn framehash_arguments(input: &str, output: &str) -> Vec<String> {
    let arguments = ["-nostdin", "-v", "error", "-y", "-copyts", "-i", input];
    let rest = ["-map", "0:v?", "-map", "0:a?", "-c", "copy", "-f", "framehash", output];
    arguments.into_iter().chain(rest).map(String::from).collect()
}

/// One packet as ffmpeg sees it. Times in ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) dts: i64,
    pub(crate) pts: i64,
    pub(crate) hash: String,
}

/// One stream: the hash of its configuration record, and its packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) config: String,
    pub(crate) packets: Vec<Packet>,
}

/// A video and an audio stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) video: Track,
    pub(crate) audio: Track,
}

impl Media {
    /// What is in a file.
    pub(crate) fn of_file(path: &Path) -> Media {
        Media::of_filtered_file(path, &[])
    }

    /// The same with pictures of H.264, as streams of NAL units that have neither parameter sets nor messages in them.
    pub(crate) fn of_file_without_parameter_sets(path: &Path) -> Media {
        Media::of_filtered_file(path, &["-bsf:v", "h264_mp4toannexb,filter_units=remove_types=6-9"])
    }

    fn of_filtered_file(path: &Path, filter: &[&str]) -> Media {
        let path = path.to_str().expect("the target directory has a readable name");
        let mut arguments = framehash_arguments(path, "-");
        let output = arguments.len() - 1;
        arguments.splice(output..output, filter.iter().copied().map(String::from));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Media::parse(&process::output("ffmpeg", &arguments))
    }

    /// What is in a framehash file.
    pub(crate) fn of_framehash(path: &Path) -> Media {
        Media::parse(&fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// Both streams with their names.
    pub(crate) fn tracks(&self) -> [(&'static str, &Track); 2] {
        [("video", &self.video), ("audio", &self.audio)]
    }

    /// Packets of both streams.
    pub(crate) fn packet_count(&self) -> usize {
        self.video.packets.len() + self.audio.packets.len()
    }

    /// Lines are `#tb 0: 1/1000`, `#media_type 0: video`, `#extradata 0, size, hash` and `0, dts, pts, duration, size, hash`;
    /// an end of sequence, which carries nothing, is no packet.
    fn parse(text: &str) -> Media {
        let mut media = Media::default();
        let is_video = |index: &str| text.contains(&format!("#media_type {}: video", index.trim()));
        for line in text.lines() {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            match (line.strip_prefix("#extradata "), fields.as_slice()) {
                (Some(index), [_, _, hash]) => {
                    let index = index.split(',').next().unwrap_or_default();
                    let track = if is_video(index) { &mut media.video } else { &mut media.audio };
                    track.config = (*hash).to_string();
                }
                (None, [index, dts, pts, _, _, hash, ..]) if !line.starts_with('#') => {
                    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("not a time: {line}"));
                    let track = if is_video(index) { &mut media.video } else { &mut media.audio };
                    let (dts, pts) = (in_ms(text, index, number(dts)), in_ms(text, index, number(pts)));
                    track.packets.push(Packet { dts, pts, hash: (*hash).to_string() });
                }
                _ => {}
            }
        }
        media
    }
}

/// A time of stream `index`, whose unit stands in the head of the text, in milliseconds.
fn in_ms(text: &str, index: &str, time: i64) -> i64 {
    let unit = text.lines().find_map(|line| line.strip_prefix(&format!("#tb {}: ", index.trim())));
    let (numerator, denominator) =
        unit.and_then(|unit| unit.split_once('/')).expect("a unit for every stream");
    let number = |text: &str| text.trim().parse::<i64>().expect("a whole number");
    let (numerator, denominator) = (number(numerator), number(denominator));
    (time * 1000 * numerator + denominator / 2).div_euclid(denominator)
}

/// Writes tags as a file.
pub(crate) fn write_flv(path: &Path, tags: &[Tag]) {
    let mut bytes = writer::header(true, true).to_vec();
    for tag in tags {
        writer::write_tag(&mut bytes, tag).expect("tags are far below 16 MiB");
    }
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The tags of a file.
pub(crate) fn read_flv(path: &Path) -> Vec<Tag> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut reader, mut input, mut tags) = (Reader::new(ReaderLimits::default()), &*bytes, Vec::new());
    while let Some(item) =
        reader.read(&mut input).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    {
        if let Item::Tag { tag, .. } = item {
            tags.push(tag);
        }
    }
    tags
}
