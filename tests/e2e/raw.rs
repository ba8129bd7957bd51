//! Raw streams of real encoders, read by us and written as FLV: ffmpeg decodes the same pictures and samples from both, and shows
//! the pictures in the same order, one frame apart. H.265 is written as Matroska: not every installed ffmpeg knows it in
//! FLV.

use crate::{Report, process};
use std::{fs, path::Path};
use weir::{
    codec::{dimensions, raw::RawReader},
    flv::{Codec, Tag, TagRole, writer},
    media::{MediaReader, adts::AdtsReader, mp3::Mp3Reader},
};

/// How a stream is made, and how it is read.
struct Case {
    name: &'static str,
    /// With its options, for ffmpeg.
    encoder: &'static [&'static str],
    /// As ffmpeg's muxer is called.
    format: &'static str,
    open: fn() -> RawReader,
    /// Milliseconds between two frames of video, and by how many frames all are shown later.
    expected: Option<(f64, usize)>,
}

const VIDEO: &str = "testsrc2=size=322x180:rate=30000/1001:duration=4,noise=alls=6,format=yuv420p";
const AUDIO: &str = "sine=frequency=440:sample_rate=44100:duration=4";

/// A frame of [`VIDEO`].
const STEP: f64 = 1001.0 / 30.0;

const CASES: [Case; 7] = [
    Case {
        name: "x264 as it comes",
        encoder: &["libx264", "-g", "40"],
        format: "h264",
        open: || RawReader::h264(None),
        expected: Some((STEP, 2)),
    },
    Case {
        name: "x264 open GOP, slices, AUD",
        encoder: &["libx264", "-x264-params", "keyint=20:open-gop=1:bframes=5:slices=4:aud=1"],
        format: "h264",
        open: || RawReader::h264(None),
        expected: Some((STEP, 2)),
    },
    Case {
        name: "x264 interlaced",
        encoder: &["libx264", "-x264-params", "keyint=30:tff=1:bframes=3:b-pyramid=none"],
        format: "h264",
        open: || RawReader::h264(None),
        expected: Some((STEP, 1)),
    },
    Case {
        name: "x264 Baseline",
        encoder: &["libx264", "-profile:v", "baseline"],
        format: "h264",
        open: || RawReader::h264(Some(10.0)),
        expected: Some((100.0, 0)),
    },
    Case {
        name: "x265 as it comes",
        encoder: &["libx265", "-x265-params", "log-level=none:keyint=40"],
        format: "hevc",
        open: || RawReader::h265(None),
        expected: Some((STEP, 2)),
    },
    Case {
        name: "x265 closed GOP, slices, AUD",
        encoder: &[
            "libx265",
            "-x265-params",
            "log-level=none:keyint=20:open-gop=0:slices=2:aud=1:b-pyramid=0",
        ],
        format: "hevc",
        open: || RawReader::h265(None),
        expected: Some((STEP, 1)),
    },
    Case { name: "AAC", encoder: &["aac"], format: "adts", open: RawReader::adts, expected: None },
];

#[test]
fn raw_streams_keep_their_pictures_their_order_and_their_sound() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("raw");
    fs::create_dir_all(&dir).expect("a directory for the streams");
    let mut report = Report::new("raw streams, read by us and by ffmpeg");
    for case in &CASES {
        report.line(case.name, run(case, &dir));
    }
    report.end();
}

/// Constant and changing bit rate with Xing's header, and without; AAC.
#[test]
fn audio_files_give_the_packets_and_the_duration_that_ffmpeg_finds() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("raw");
    fs::create_dir_all(&dir).expect("a directory for the files");
    let mut report = Report::new("audio files, read by us and by ffmpeg");
    for (name, options) in [
        ("constant.mp3", &["-c:a", "libmp3lame", "-b:a", "128k"][..]),
        (
            "changing.mp3",
            &["-c:a", "libmp3lame", "-q:a", "4", "-id3v2_version", "3", "-metadata", "title=a title"],
        ),
        ("headless.mp3", &["-c:a", "libmp3lame", "-q:a", "4", "-write_xing", "0", "-ar", "22050"]),
        ("sound.aac", &["-c:a", "aac", "-ac", "2"]),
    ] {
        let file = dir.join(name);
        let path = file.to_str().expect("the target directory has a readable name");
        let begin = ["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", AUDIO];
        process::output("ffmpeg", &[&begin, options, &[path]].concat());
        let bytes = fs::read(&file).expect("ffmpeg wrote the file");
        let result = if name.ends_with("mp3") {
            Mp3Reader::open(&bytes[..])
                .map_err(|error| error.to_string())
                .and_then(|reader| same_packets(reader, path))
        } else {
            AdtsReader::open(&bytes[..])
                .map_err(|error| error.to_string())
                .and_then(|reader| same_packets(reader, path))
        };
        report.line(name, result);
    }
    report.end();
}

fn same_packets(mut reader: impl MediaReader, path: &str) -> Result<String, String> {
    let mut tags = reader.headers();
    while let Some(tag) = reader.next().map_err(|error| error.to_string())? {
        tags.push(tag);
    }
    let flv = format!("{path}.flv");
    fs::write(&flv, to_flv(&tags, true)).expect("the FLV can be written");
    let packets = |path: &str| {
        // ADTS headers are no part of a packet in FLV.
        let filter = if path.ends_with("aac") { "aac_adtstoasc" } else { "null" };
        let arguments =
            ["-nostdin", "-v", "error", "-i", path, "-c", "copy", "-bsf", filter, "-f", "framemd5", "-"];
        hashes_in(&process::output("ffmpeg", &arguments))
    };
    let (wanted, got) = (packets(path), packets(&flv));
    if wanted.len() < 80 || wanted != got {
        return Err(format!("{} packets that are not the {} of the file", got.len(), wanted.len()));
    }
    let duration = reader.info().duration;
    // 4 s, and what encoders put before and behind.
    if !(4000..4150).contains(&duration) {
        return Err(format!("{duration} ms"));
    }
    Ok(format!("{} packets, identical, {duration} ms", got.len()))
}

fn run(case: &Case, dir: &Path) -> Result<String, String> {
    let raw = dir.join(format!("{}.{}", case.name.replace([' ', ','], "-"), case.format));
    let written = raw.with_extension(if case.format == "hevc" { "mkv" } else { "flv" });
    let text = |path: &Path| path.to_str().expect("the target directory has a readable name").to_string();
    let (raw_name, written_name) = (text(&raw), text(&written));
    let (input, codec) = if case.expected.is_some() { (VIDEO, "-c:v") } else { (AUDIO, "-c:a") };
    let begin = ["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", input, codec];
    process::output("ffmpeg", &[&begin, case.encoder, &["-f", case.format, &raw_name]].concat());
    let tags = read((case.open)(), &fs::read(&raw).expect("ffmpeg wrote the stream"))?;
    let is_audio = case.format == "adts";
    let bytes = if case.format == "hevc" { to_matroska(&tags) } else { to_flv(&tags, is_audio) };
    fs::write(&written, bytes).expect("the file can be written");

    let (wanted, got) = (hashes(&raw_name), hashes(&written_name));
    if wanted.len() < 90 || wanted != got {
        return Err(format!("{} frames that are not the {} of the original", got.len(), wanted.len()));
    }
    if let Some((step, delay)) = case.expected {
        let times = shown_at(&written_name);
        let expected: Vec<i64> =
            (0..times.len()).map(|index| ((index + delay) as f64 * step).round() as i64).collect();
        if times != expected {
            return Err(format!("shown at {times:?}, not at {expected:?}"));
        }
    }
    Ok(format!("{} frames, identical", got.len()))
}

/// All tags of a stream that comes in pieces.
fn read(mut reader: RawReader, raw: &[u8]) -> Result<Vec<Tag>, String> {
    let mut tags = Vec::new();
    for part in raw.chunks(4099).map(Some).chain([None]) {
        match part {
            Some(part) => reader.push(part),
            None => reader.finish(),
        }
        while let Some(tag) = reader.next().map_err(|error| error.to_string())? {
            tags.push(tag);
        }
    }
    if reader.damage() == 0 { Ok(tags) } else { Err(format!("damage: {}", reader.damage())) }
}

fn to_flv(tags: &[Tag], is_audio: bool) -> Vec<u8> {
    let mut flv = writer::header(is_audio, !is_audio).to_vec();
    for tag in tags {
        writer::write_tag(&mut flv, tag).expect("frames are short enough for FLV");
    }
    flv
}

/// One cluster: times below 32 s.
fn to_matroska(tags: &[Tag]) -> Vec<u8> {
    let (mut entry, mut cluster) = (Vec::new(), element(0xe7, &[0]));
    for tag in tags {
        let class = tag.classify();
        let data = &tag.body[class.tracks().next().expect("a track").data];
        if class.role == TagRole::SequenceHeader {
            let (width, height) = dimensions(Codec::Hevc, data).expect("a record that says");
            let size = [element(0xb0, &width.to_be_bytes()), element(0xba, &height.to_be_bytes())].concat();
            entry = [
                element(0xd7, &[1]),
                element(0x73c5, &[1]),
                element(0x83, &[1]),
                element(0x86, b"V_MPEGH/ISO/HEVC"),
                element(0x63a2, data),
                element(0xe0, &size),
            ]
            .concat();
            continue;
        }
        let shown_at =
            i16::try_from(tag.timestamp.0 as i32 + class.composition_time).expect("a short stream");
        let [high, low] = shown_at.to_be_bytes();
        let flags = if class.is_keyframe() { 0x80 } else { 0 };
        cluster.extend(element(0xa3, &[&[0x81, high, low, flags], data].concat()));
    }
    let info = element(0x1549_a966, &element(0x2a_d7b1, &1_000_000u32.to_be_bytes()));
    let segment =
        [info, element(0x1654_ae6b, &element(0xae, &entry)), element(0x1f43_b675, &cluster)].concat();
    [element(0x1a45_dfa3, &element(0x4282, b"matroska")), element(0x1853_8067, &segment)].concat()
}

/// An EBML element with its length in eight bytes.
fn element(id: u32, data: &[u8]) -> Vec<u8> {
    let id = id.to_be_bytes();
    let start = id.iter().take_while(|byte| **byte == 0).count();
    let len = 1 << 56 | data.len() as u64;
    [&id[start..], &len.to_be_bytes(), data].concat()
}

/// Of each decoded frame, in the order of showing.
fn hashes(path: &str) -> Vec<String> {
    let arguments = ["-nostdin", "-v", "error", "-i", path, "-vsync", "passthrough", "-f", "framemd5", "-"];
    hashes_in(&process::output("ffmpeg", &arguments))
}

/// A line is `0, dts, pts, duration, size, hash`, and side data where there is some.
fn hashes_in(framemd5: &str) -> Vec<String> {
    let lines = framemd5.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(',').nth(5)).map(|hash| hash.trim().to_string()).collect()
}

/// Milliseconds of each decoded frame, in the order in which the decoder gives them.
fn shown_at(path: &str) -> Vec<i64> {
    let arguments =
        ["-v", "error", "-select_streams", "v", "-show_entries", "frame=pts", "-of", "csv=p=0", path];
    let text = process::output("ffprobe", &arguments);
    text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}
