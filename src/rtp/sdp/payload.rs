//! What one payload type is: `rtpmap`, `fmtp` and the static types -> formats.
//!
//! Names and keys are in any case; parameters may lack blanks, have too many semicolons, or be broken one by one: what is known without them stays
//! known. Field notes: cameras put Annex B into `sprop-parameter-sets`, both sets in one, or bytes behind them; encoders leave `config` away; AAC
//! configurations have five bytes, the last three of which say that there is no SBR; GStreamer's `MP4A-LATM` has no channels.

use crate::{
    base::base64,
    codec::{
        aac::AudioSpecificConfig,
        annexb::{Piece, Splitter},
        h264, h265,
        opus::{self, OpusConfig},
    },
    flv::{Codec, TagKind},
    rtp::{
        Format, Packing,
        format::{MP3_TYPE, OPUS_CLOCK, PCMA_TYPE, PCMU_TYPE, VIDEO_CLOCK},
    },
};
use alloc::vec::Vec;

/// The format of a payload type: `map` as `H264/90000`, `parameters` as `key=value;key=value`. `None` if it is none of ours.
pub(super) fn format(
    is_video: bool,
    payload_type: u8,
    map: Option<&str>,
    parameters: &str,
) -> Option<Format> {
    let map = map.or(match payload_type {
        PCMU_TYPE => Some("PCMU/8000"),
        PCMA_TYPE => Some("PCMA/8000"),
        MP3_TYPE => Some("MPA/90000"),
        _ => None,
    })?;
    let mut fields = map.split('/').map(str::trim);
    let name = fields.next()?;
    let clock_rate: Option<u32> = fields.next().and_then(|rate| rate.parse().ok()).filter(|rate| *rate > 0);
    let channels: Option<u16> = fields.next().and_then(|channels| channels.parse().ok());
    let (_, read) = READERS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
    let format = read(&Given { payload_type, clock_rate, channels, parameters })?;
    (is_video == (format.kind() == TagKind::Video)).then_some(format)
}

/// What the lines say.
struct Given<'a> {
    payload_type: u8,
    clock_rate: Option<u32>,
    channels: Option<u16>,
    parameters: &'a str,
}

type Reader = fn(&Given<'_>) -> Option<Format>;

const READERS: [(&str, Reader); 12] = [
    ("H264", |given| Some(given.video(Codec::H264, h264(given).unwrap_or_default()))),
    ("H265", |given| Some(given.video(Codec::Hevc, h265(given).unwrap_or_default()))),
    ("HEVC", |given| Some(given.video(Codec::Hevc, h265(given).unwrap_or_default()))),
    ("AV1", |given| Some(given.video(Codec::Av1, Vec::new()))),
    ("VP8", |given| Some(given.video(Codec::Vp8, Vec::new()))),
    ("VP9", |given| Some(given.video(Codec::Vp9, Vec::new()))),
    ("mpeg4-generic", aac),
    ("MP4A-LATM", latm),
    ("opus", opus),
    ("MPA", |given| Some(given.audio(Codec::Mp3, VIDEO_CLOCK, 0))),
    ("PCMA", |given| given.pcm(Codec::G711A)),
    ("PCMU", |given| given.pcm(Codec::G711U)),
];

impl<'a> Given<'a> {
    /// Of a key without regard to case; without quotes.
    fn parameter(&self, key: &str) -> Option<&'a str> {
        self.parameters.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case(key).then(|| value.trim().trim_matches('"'))
        })
    }

    fn number(&self, key: &str) -> Option<u8> {
        self.parameter(key)?.parse().ok()
    }

    fn video(&self, codec: Codec, record: Vec<u8>) -> Format {
        Format { record, ..self.audio(codec, self.clock_rate.unwrap_or(VIDEO_CLOCK), 0) }
    }

    fn audio(&self, codec: Codec, clock_rate: u32, channels: u16) -> Format {
        let packing = Packing::Native;
        Format { codec, payload_type: self.payload_type, clock_rate, channels, record: Vec::new(), packing }
    }

    fn pcm(&self, codec: Codec) -> Option<Format> {
        Some(self.audio(codec, self.clock_rate.unwrap_or(8000), self.channels.unwrap_or(1).max(1)))
    }

    /// NAL units in base64 under these keys, several with commas between, with or without start codes.
    fn nals(&self, keys: &[&str]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::new();
        for set in keys.iter().filter_map(|key| self.parameter(key)).flat_map(|sets| sets.split(',')) {
            if let Some(set) = base64::decode(set.as_bytes()) {
                splitter.push(&[0, 0, 1]);
                splitter.push(&set);
            }
        }
        splitter.finish();
        let mut nals = Vec::new();
        while let Some(piece) = splitter.next() {
            if let Piece::Nal(nal) = piece {
                nals.push(nal.to_vec());
            }
        }
        nals
    }
}

fn of_type(nals: &[Vec<u8>], wanted: impl Fn(u8) -> bool) -> Vec<&[u8]> {
    nals.iter().map(|nal| &nal[..]).filter(|nal| nal.first().is_some_and(|first| wanted(*first))).collect()
}

fn h264(given: &Given<'_>) -> Option<Vec<u8>> {
    let nals = given.nals(&["sprop-parameter-sets"]);
    let of = |wanted| of_type(&nals, move |first| h264::nal_type(first) == wanted);
    h264::build_record(of(h264::SPS).first()?, &of(h264::PPS))
}

/// Whatever key a set stands under, its header says what it is.
fn h265(given: &Given<'_>) -> Option<Vec<u8>> {
    let nals = given.nals(&["sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets"]);
    let of = |wanted| of_type(&nals, move |first| h265::nal_type(first) == wanted);
    h265::build_record(of(h265::VPS).first()?, of(h265::SPS).first()?, &of(h265::PPS))
}

fn aac(given: &Given<'_>) -> Option<Format> {
    let mode = given.parameter("mode").unwrap_or("AAC-hbr");
    let is_low = mode.eq_ignore_ascii_case("AAC-lbr");
    if !is_low && mode.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("CELP")) {
        return None;
    }
    let [size, index] = if is_low { [6, 2] } else { [13, 3] };
    let size_length = given.number("sizelength").unwrap_or(size);
    let index_length = given.number("indexlength").unwrap_or(index);
    let delta_length = given.number("indexdeltalength").unwrap_or(index);
    if !(1..=16).contains(&size_length) || index_length > 16 || delta_length > 16 {
        return None;
    }
    let record = given.parameter("config").and_then(hex).filter(|record| !record.is_empty());
    let packing = Packing::AacHbr { size_length, index_length, delta_length };
    given.aac(record, packing)
}

fn latm(given: &Given<'_>) -> Option<Format> {
    // Otherwise the configuration stands between the frames.
    if given.number("cpresent").is_some_and(|present| present != 0) {
        return None;
    }
    let config = given.parameter("config").and_then(hex)?;
    given.aac(Some(of_mux_config(&config)?), Packing::Latm)
}

impl Given<'_> {
    fn aac(&self, record: Option<Vec<u8>>, packing: Packing) -> Option<Format> {
        let known = record.and_then(|record| Some((AudioSpecificConfig::parse(&record)?, record)));
        let (config, record) = known.or_else(|| {
            let channels = match self.channels.unwrap_or(1) {
                channels @ 1..=6 => channels as u8,
                8 => 7,
                _ => return None,
            };
            let config = AudioSpecificConfig::plain(2, self.clock_rate?, channels);
            Some((config, config.build()))
        })?;
        let clock_rate = self.clock_rate.unwrap_or(config.sample_rate);
        let channels = match config.output().1 {
            0 => self.channels.unwrap_or_default(),
            channels => channels,
        };
        Some(Format { record, packing, ..self.audio(Codec::Aac, clock_rate, channels) })
    }
}

/// The AudioSpecificConfig in a StreamMuxConfig (ISO 14496-3, 1.7.3) of one program, layer and subframe. It has no length, so
/// that what is behind it can only be told from it by reading it.
fn of_mux_config(config: &[u8]) -> Option<Vec<u8>> {
    let &[0x40, second @ (0 | 1), ref rest @ ..] = config else { return None };
    let mut bytes = Vec::with_capacity(rest.len());
    let mut before = second;
    for byte in rest {
        bytes.push(before << 7 | byte >> 1);
        before = *byte;
    }
    let parsed = AudioSpecificConfig::parse(&bytes)?;
    Some(if parsed.channel_configuration > 0 { parsed.build() } else { bytes })
}

fn opus(given: &Given<'_>) -> Option<Format> {
    // Without a word the decoder's stereo holds either.
    let channels = if given.parameter("sprop-stereo") == Some("0") { 1 } else { 2 };
    let head = OpusConfig {
        channels,
        pre_skip: 0,
        input_rate: opus::SAMPLE_RATE,
        gain: 0,
        mapping_family: 0,
        mapping: &[],
    };
    Some(Format { record: head.build_head(), ..given.audio(Codec::Opus, OPUS_CLOCK, channels.into()) })
}

/// Pairs of digits in any case.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.bytes().map(|byte| char::from(byte).to_digit(16).map(|digit| digit as u8)).collect();
    Some(digits?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
