//! Packets with their bytes, times and flags, as ffprobe lists those of a file and as they are in tags.
//!
//! For every codec that tags can carry, also those that no installed program knows in FLV; `material` has what ffmpeg makes of
//! the others.

use crate::{
    material::{self, Media, Track},
    process,
};
use sha2::{Digest, Sha256};
use std::path::Path;
use weir::{
    flv::{Codec, Tag, TagKind, TagRole},
    media::MediaReader,
};

/// A packet: kind, codec, decode and presentation time in milliseconds from the earliest decode time on, size, hash, key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) kind: TagKind,
    codec: String,
    pub(crate) dts: i64,
    pub(crate) pts: i64,
    pub(crate) size: usize,
    pub(crate) hash: String,
    pub(crate) is_key: bool,
}

/// What ffprobe lists.
pub(crate) struct Probed {
    pub(crate) packets: Vec<Packet>,
    /// Hashes of the configuration, video first; empty if there is none.
    configs: [String; 2],
}

impl Probed {
    /// The same as ffmpeg would say it.
    pub(crate) fn media(&self) -> Media {
        let track = |kind: TagKind| {
            let packets = self.packets.iter().filter(|packet| packet.kind == kind);
            let config = self.configs[usize::from(kind == TagKind::Audio)].clone();
            let packet = |packet: &Packet| {
                let Packet { dts, pts, ref hash, .. } = *packet;
                material::Packet { dts, pts, hash: hash.clone() }
            };
            Track { config, packets: packets.map(packet).collect() }
        };
        Media { video: track(TagKind::Video), audio: track(TagKind::Audio) }
    }
}

/// What a reader gives from its place on.
pub(crate) fn read_all(reader: &mut impl MediaReader) -> Result<Vec<Packet>, String> {
    let mut tags = Vec::new();
    while let Some(tag) = reader.next().map_err(|error| error.to_string())? {
        tags.push(tag);
    }
    packets_of(&tags)
}

/// The frames among tags whose configuration came before.
pub(crate) fn packets_of(tags: &[Tag]) -> Result<Vec<Packet>, String> {
    let mut packets = Vec::new();
    let mut last = 0;
    for tag in tags.iter().filter(|tag| tag.kind != TagKind::Data) {
        let class = tag.classify();
        let dts = i64::from(tag.timestamp.0);
        match class.role {
            TagRole::Keyframe | TagRole::Frame => {}
            // Carries nothing, and is no packet to ffprobe.
            TagRole::EndOfSequence => continue,
            role => return Err(format!("{role:?} in between")),
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
        let codec = class.codec.map_or("none", ffprobe_name).to_string();
        packets.push(Packet { kind: tag.kind, codec, dts, pts, size, hash, is_key });
    }
    Ok(packets)
}

/// Both lists are the same.
pub(crate) fn same(expected: &[Packet], read: &[Packet]) -> Result<(), String> {
    if let Some(index) = expected.iter().zip(read).position(|(expected, read)| expected != read) {
        return Err(format!("packet {index}: expected {:?}, got {:?}", expected[index], read[index]));
    }
    if expected.len() != read.len() {
        return Err(format!("{} packets instead of {}", read.len(), expected.len()));
    }
    Ok(())
}

/// Sequence headers for all that has a configuration. ffmpeg keeps that of some codecs as tags carry it.
pub(crate) fn check_headers(headers: &[Tag], probed: &Probed) -> Result<(), String> {
    for header in headers {
        let class = header.classify();
        let is_alike =
            matches!(class.codec, Some(Codec::H264 | Codec::Hevc | Codec::Av1 | Codec::Aac | Codec::Opus));
        let track = class.tracks().next().ok_or("a header without a track")?;
        let expected = &probed.configs[usize::from(header.kind == TagKind::Audio)];
        if headers.iter().filter(|other| other.kind == header.kind).count() > 1 {
            return Err("a sequence header twice".into());
        }
        if is_alike && hash(&header.body[track.data]) != *expected {
            return Err(format!("another configuration: {:?}", header.body));
        }
    }
    let expected = probed.configs.iter().filter(|config| !config.is_empty()).count();
    if headers.len() < expected { Err("a sequence header is missing".into()) } else { Ok(()) }
}

/// Asks ffprobe, with these arguments besides.
pub(crate) fn probe(file: &Path, probing: &str) -> Probed {
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
    let mut codecs = configs.clone();
    for line in text.lines().filter(|line| line.starts_with("stream|")) {
        let Some(kind) = kind_of(line) else { continue };
        let track = usize::from(kind == TagKind::Audio);
        let base = value(line, "time_base").expect("a time base");
        timescales[track] = base.strip_prefix("1/").and_then(|scale| scale.parse().ok()).expect("a fraction");
        codecs[track] = value(line, "codec_name").expect("a codec");
        configs[track] = hash(line, "extradata_hash");
    }
    let mut packets: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("packet|"))
        .filter_map(|line| {
            let kind = kind_of(line)?;
            let track = usize::from(kind == TagKind::Audio);
            let (timescale, codec): (i64, _) = (timescales[track], codecs[track].clone());
            let ms = |key| {
                let time: i64 = value(line, key).and_then(|time| time.parse().ok()).expect("a time");
                (2000 * time.abs() + timescale) / (2 * timescale) * time.signum()
            };
            let size = value(line, "size").and_then(|size| size.parse().ok()).expect("a size");
            let is_key = value(line, "flags").is_some_and(|flags| flags.starts_with('K'));
            let hash = hash(line, "data_hash");
            Some(Packet { kind, codec, dts: ms("dts"), pts: ms("pts"), size, hash, is_key })
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
    "stream=codec_type,codec_name,time_base,extradata_hash:packet=codec_type,pts,dts,size,flags,data_hash";

/// As ffprobe calls a codec.
fn ffprobe_name(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264",
        Codec::Hevc => "hevc",
        Codec::Av1 => "av1",
        Codec::Vp9 => "vp9",
        Codec::H263 => "flv1",
        Codec::Screen => "flashsv",
        Codec::Aac => "aac",
        Codec::Mp3 => "mp3",
        Codec::Opus => "opus",
        Codec::Flac => "flac",
        Codec::Ac3 => "ac3",
        Codec::Nellymoser => "nellymoser",
        Codec::G711A => "pcm_alaw",
        _ => "none of the above",
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
