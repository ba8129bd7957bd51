//! MP4 files that ffmpeg and GStreamer write, read as tags: every packet against ffprobe's list of the same file.

use crate::{Report, process};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};
use weir::{
    base::Timestamp,
    flv::{Codec, Tag, TagKind, TagRole},
    media::{MediaReader, mp4::Mp4Reader},
};

/// A packet: kind, decode and presentation time in milliseconds from the earliest decode time on, size, hash, key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Packet {
    kind: TagKind,
    dts: i64,
    pts: i64,
    size: usize,
    hash: String,
    is_key: bool,
}

/// What ffprobe lists.
struct Probed {
    packets: Vec<Packet>,
    /// Hashes of the configuration, video first; empty if there is none.
    configs: [String; 2],
}

/// A file to be made: name, what makes it, and what ffprobe is told. `BASE` stands for the file in H.264 and AAC.
type Case = (&'static str, &'static str, &'static str);

const PICTURE: &str = "-f lavfi -i testsrc2=s=192x108:r=25:d=4";
const SOUND: &str = "-f lavfi -i sine=440:r=44100:d=4";
const BASE: &str = "-c:v libx264 -preset veryfast -g 25 -bf 3 -c:a aac base.mp4";

const COPIES: [Case; 13] = [
    ("moov first", "-movflags +faststart faststart.mp4", ""),
    ("fragmented", "-movflags frag_keyframe+empty_moov fragmented.mp4", ""),
    ("first fragment in moov", "-movflags frag_keyframe hybrid.mp4", ""),
    ("default base moof", "-movflags frag_keyframe+empty_moov+default_base_moof base-moof.mp4", ""),
    ("old base rule", "-movflags frag_keyframe+empty_moov+omit_tfhd_offset omitted.mp4", ""),
    ("a fragment a track", "-movflags frag_keyframe+empty_moov+separate_moof separate.mp4", ""),
    ("sidx each", "-movflags dash+frag_keyframe dash.mp4", ""),
    ("sidx for all", "-movflags dash+frag_keyframe+global_sidx sidx.mp4", ""),
    ("short fragments", "-movflags frag_every_frame+empty_moov frames.mp4", ""),
    ("QuickTime", "quick.mov", ""),
    ("negative offsets", "-movflags negative_cts_offsets negative.mp4", ""),
    ("F4V", "-f f4v flash.f4v", ""),
    ("no edit list", "-use_editlist 0 -avoid_negative_ts make_zero plain.mp4", ""),
];

const ENCODED: [Case; 9] = [
    (
        "HEVC",
        "-c:v libx265 -preset veryfast -x265-params log-level=error:keyint=24:min-keyint=1:b-adapt=2:bframes=4 -tag:v hvc1 -an hevc.mp4",
        "",
    ),
    ("VP9, Opus", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -c:a libopus -ar 48000 vp9.mp4", ""),
    (
        "VP9, fragmented",
        "-c:v libvpx-vp9 -deadline realtime -force_key_frames expr:gte(t,n_forced) -an -movflags frag_keyframe+empty_moov vp9-fragments.mp4",
        "",
    ),
    ("AV1", "-c:v libsvtav1 -preset 12 -g 25 -an av1.mp4", ""),
    ("MP3", "-c:v libx264 -preset ultrafast -g 25 -c:a libmp3lame mp3.mp4", ""),
    ("MP3, QuickTime", "-vn -c:a libmp3lame mp3.mov", ""),
    ("FLAC", "-vn -c:a flac -strict -2 flac.mp4", ""),
    ("AC-3", "-vn -c:a ac3 ac3.mp4", ""),
    ("G.711, QuickTime", "-vn -ar 8000 -ac 1 -c:a pcm_alaw alaw.mov", ""),
];

#[test]
fn files_read_as_tags_are_what_ffprobe_lists() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e").join("mp4");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut report = Report::new("MP4 files against ffprobe");
    ffmpeg(&dir, &format!("{PICTURE} {SOUND} {BASE}"));
    let mut files = vec![("moov last", dir.join("base.mp4"), "")];
    for (name, output, probing) in COPIES {
        ffmpeg(&dir, &format!("-i {} -c copy {output}", dir.join("base.mp4").display()));
        files.push((name, file_of(&dir, output), probing));
    }
    ffmpeg(&dir, &format!("-ss 1.5 -i {} -c copy cut.mp4", dir.join("base.mp4").display()));
    // By default ffprobe leaves out packets before the edit; all of them are there to be decoded.
    files.push(("edit list of a cut", dir.join("cut.mp4"), "-advanced_editlist 0"));
    for (name, output, probing) in ENCODED {
        ffmpeg(&dir, &format!("{PICTURE} {SOUND} {output}"));
        files.push((name, file_of(&dir, output), probing));
    }
    for muxer in ["mp4mux", "qtmux", "mp4mux fragment-duration=1000"] {
        let file = dir.join(format!("{}.mp4", muxer.replace(' ', "-")));
        let pipeline = format!(
            "-q filesrc location={} ! qtdemux name=d {muxer} name=m ! filesink location={} \
             d.video_0 ! queue ! h264parse ! m. d.audio_0 ! queue ! aacparse ! m.",
            dir.join("base.mp4").display(),
            file.display()
        );
        process::output("gst-launch-1.0", &pipeline.split_whitespace().collect::<Vec<_>>());
        files.push((muxer, file, ""));
    }
    for (name, file, probing) in files {
        report.line(name, compare(&file, probing));
    }
    report.end();
}

fn ffmpeg(dir: &Path, arguments: &str) {
    let (options, output) = arguments.rsplit_once(' ').expect("the output comes last");
    let output = dir.join(output).display().to_string();
    let mut words = vec!["-nostdin", "-v", "error", "-y"];
    words.extend(options.split_whitespace());
    words.push(&output);
    process::output("ffmpeg", &words);
}

fn file_of(dir: &Path, output: &str) -> PathBuf {
    dir.join(output.rsplit(' ').next().expect("the output comes last"))
}

/// All packets of a file, and those from each of some places on, against ffprobe.
fn compare(file: &Path, probing: &str) -> Result<String, String> {
    let probed = probe(file, probing);
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    let mut reader = Mp4Reader::open(&*bytes).map_err(|error| error.to_string())?;
    let headers = reader.headers();
    check_headers(&headers, &probed)?;
    let read = read_all(&mut reader)?;
    same(&probed.packets, &read)?;
    let info = reader.info().clone();
    if !read.iter().any(|packet| packet.kind == TagKind::Video) {
        return Ok(format!("{} packets, {} ms, identical", read.len(), info.duration));
    }
    let keys: Vec<_> = read.iter().filter(|packet| packet.kind == TagKind::Video && packet.is_key).collect();
    let listed: Vec<_> = info.keyframes.iter().map(|key| i64::from(key.timestamp.0)).collect();
    // One for each fragment, the first in it.
    if listed.is_empty() || !listed.iter().all(|time| keys.iter().any(|key| key.dts == *time)) {
        return Err(format!("keyframes are listed at {listed:?}"));
    }
    let mut left_out = 0;
    for key in &keys {
        for target in [key.pts, key.pts + 39] {
            let found = reader.seek(Timestamp(target as u32)).map_err(|error| error.to_string())?;
            if i64::from(found.0) != key.dts {
                return Err(format!("a seek to {target} goes to {found}, not to {}", key.dts));
            }
            let rest = read_all(&mut reader)?;
            let expected: Vec<_> = expected_from(&read, key);
            same(&expected, &rest).map_err(|error| format!("from {target} on: {error}"))?;
            let start = read.iter().position(|packet| packet == *key).expect("a packet of these");
            left_out += read[start..]
                .iter()
                .filter(|packet| packet.pts < key.pts && packet.kind == TagKind::Video)
                .count();
        }
    }
    if info.video.is_some_and(|video| video.codec == Codec::Hevc) && left_out == 0 {
        return Err("no keyframe has pictures before it that are to be left out".into());
    }
    Ok(format!("{} packets, {} ms, {} keyframes, identical", read.len(), info.duration, keys.len()))
}

/// What is to follow a seek to `key`: everything from its time on, but no pictures that it lets refer to those before.
fn expected_from(read: &[Packet], key: &Packet) -> Vec<Packet> {
    let start = read.iter().position(|packet| packet == key).expect("a packet of these");
    let is_first = !read[..start].iter().any(|packet| packet.kind == TagKind::Video);
    if is_first {
        return read.to_vec();
    }
    let of_video = |packet: &&Packet| packet.kind == TagKind::Video && packet.pts >= key.pts;
    let next_key = read[start + 1..].iter().find(|packet| packet.kind == TagKind::Video && packet.is_key);
    let next_key = next_key.map_or(i64::MAX, |packet| packet.dts);
    read.iter()
        .enumerate()
        .filter(|(index, packet)| match packet.kind {
            TagKind::Video => *index >= start && (packet.dts > next_key || of_video(packet)),
            _ => packet.dts >= key.dts,
        })
        .map(|(_, packet)| packet.clone())
        .collect()
}

fn read_all(reader: &mut impl MediaReader) -> Result<Vec<Packet>, String> {
    let mut packets = Vec::new();
    let mut last = 0;
    while let Some(tag) = reader.next().map_err(|error| error.to_string())? {
        let class = tag.classify();
        let dts = i64::from(tag.timestamp.0);
        if class.role == TagRole::SequenceHeader {
            return Err("a sequence header in between".into());
        }
        if dts < last {
            return Err(format!("{dts} follows {last}"));
        }
        last = dts;
        let track = class.tracks().next().ok_or("a tag without a track")?;
        let pts = dts + i64::from(class.composition_time);
        let data = tag.body.get(track.data).unwrap_or_default();
        let (size, hash) = (data.len(), hash(data));
        let is_key = class.is_keyframe() || tag.kind == TagKind::Audio;
        packets.push(Packet { kind: tag.kind, dts, pts, size, hash, is_key });
    }
    Ok(packets)
}

fn same(expected: &[Packet], read: &[Packet]) -> Result<(), String> {
    if let Some(index) = expected.iter().zip(read).position(|(expected, read)| expected != read) {
        return Err(format!("packet {index}: expected {:?}, got {:?}", expected[index], read[index]));
    }
    if expected.len() != read.len() {
        return Err(format!("{} packets instead of {}", read.len(), expected.len()));
    }
    Ok(())
}

/// ffmpeg keeps the configuration of these as tags carry it.
fn check_headers(headers: &[Tag], probed: &Probed) -> Result<(), String> {
    for header in headers {
        let class = header.classify();
        let is_alike =
            matches!(class.codec, Some(Codec::H264 | Codec::Hevc | Codec::Av1 | Codec::Aac | Codec::Opus));
        let track = class.tracks().next().ok_or("a header without a track")?;
        let expected = &probed.configs[usize::from(header.kind == TagKind::Audio)];
        if is_alike && hash(&header.body[track.data]) != *expected {
            return Err(format!("another configuration: {:?}", header.body));
        }
    }
    let expected = probed.configs.iter().filter(|config| !config.is_empty()).count();
    if headers.len() < expected { Err("a sequence header is missing".into()) } else { Ok(()) }
}

fn probe(file: &Path, probing: &str) -> Probed {
    let file = file.display().to_string();
    let mut arguments = vec!["-v", "error"];
    arguments.extend(probing.split_whitespace());
    arguments.extend(["-show_data_hash", "SHA256", "-show_entries", ENTRIES, &file]);
    // A line for each `[PACKET]` and `[STREAM]`, whose fields stand in lines of their own.
    let mut text = String::new();
    for line in process::output("ffprobe", &arguments).lines() {
        match line {
            "[PACKET]" => text.push_str("\npacket"),
            "[STREAM]" => text.push_str("\nstream"),
            _ if line.starts_with('[') => {}
            _ => text.extend(["|", line]),
        }
    }
    let value = |line: &str, key: &str| {
        let fields = line.split('|').filter_map(|field| field.split_once('='));
        fields.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_string())
    };
    let kind_of = |line: &str| match value(line, "codec_type").as_deref() {
        Some("video") => Some(TagKind::Video),
        Some("audio") => Some(TagKind::Audio),
        _ => None,
    };
    let hash = |line: &str, key: &str| {
        value(line, key).and_then(|hash| hash.strip_prefix("SHA256:").map(String::from)).unwrap_or_default()
    };
    let mut timescales = [1, 1];
    let mut configs = [String::new(), String::new()];
    for line in text.lines().filter(|line| line.starts_with("stream|")) {
        let Some(kind) = kind_of(line) else { continue };
        let track = usize::from(kind == TagKind::Audio);
        let base = value(line, "time_base").expect("a time base");
        timescales[track] = base.strip_prefix("1/").and_then(|scale| scale.parse().ok()).expect("a fraction");
        configs[track] = hash(line, "extradata_hash");
    }
    let mut packets: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("packet|"))
        .filter_map(|line| {
            let kind = kind_of(line)?;
            let timescale: i64 = timescales[usize::from(kind == TagKind::Audio)];
            let ms = |key| {
                let time: i64 = value(line, key).and_then(|time| time.parse().ok()).expect("a time");
                (2000 * time.abs() + timescale) / (2 * timescale) * time.signum()
            };
            let size = value(line, "size").and_then(|size| size.parse().ok()).expect("a size");
            let is_key = value(line, "flags").is_some_and(|flags| flags.starts_with('K'));
            let hash = hash(line, "data_hash");
            Some(Packet { kind, dts: ms("dts"), pts: ms("pts"), size, hash, is_key })
        })
        .collect();
    packets.sort_by_key(|packet| (packet.dts, packet.kind == TagKind::Audio));
    let base = packets.iter().map(|packet| packet.dts).min().unwrap_or(0);
    for packet in &mut packets {
        (packet.dts, packet.pts) = (packet.dts - base, packet.pts - base);
    }
    Probed { packets, configs }
}

/// What is compared.
const ENTRIES: &str =
    "stream=codec_type,time_base,extradata_hash:packet=codec_type,pts,dts,size,flags,data_hash";

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
