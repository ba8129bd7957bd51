//! Frames of the codecs whose payloads are simple: AAC (RFC 3640), MP3 (RFC 2250), Opus (RFC 7587), G.711 (RFC 3551), VP8 (RFC
//! 7741), VP9 (RFC 9628).
//!
//! VP8 and VP9 without picture ids and layers, which only conferences ask for; players take the shortest descriptor.

use super::{MAX_PACKET_LEN, Out, clock::Counter};
use crate::{
    codec::{mp3::FrameHeader, opus},
    flv::Codec,
    rtp::{Format, packet::HEADER_LEN},
};

/// A frame at the beginning of a tag's data.
pub(super) struct Frame<'a> {
    pub(super) data: &'a [u8],
    /// Samples in it, and how many there are in a second.
    pub(super) samples: u64,
    pub(super) rate: u32,
    behind: &'a [u8],
}

/// The first frame of audio. `aac_len`: samples of one of AAC.
pub(super) fn next<'a>(format: &Format, aac_len: u32, data: &'a [u8]) -> Frame<'a> {
    let whole = |samples: u32| Frame { data, samples: samples.into(), rate: format.clock_rate, behind: &[] };
    match format.codec {
        Codec::Aac => whole(aac_len),
        Codec::Opus => whole(opus::packet_samples(data).unwrap_or(OPUS_FRAME)),
        Codec::Mp3 => {
            let Some(header) = FrameHeader::parse(data) else { return whole(0) };
            let (data, behind) = data.split_at_checked(header.frame_len).unwrap_or((data, &[]));
            Frame { data, samples: header.samples.into(), rate: header.sample_rate, behind }
        }
        _ => whole((data.len() / usize::from(format.channels.max(1))) as u32),
    }
}

/// Gives out the frames of a tag, the first one where `counter` stands.
pub(super) fn audio(
    out: &mut Out<'_>,
    format: &Format,
    aac_len: u32,
    counter: &mut Counter,
    base: u32,
    mut data: &[u8],
) {
    while !data.is_empty() {
        let frame = next(format, aac_len, data);
        data = frame.behind;
        out.timestamp = base.wrapping_add(counter.next() as u32);
        let is_start = counter.take_start();
        match format.codec {
            Codec::Aac => aac(out, frame.data),
            Codec::Mp3 => mp3(out, frame.data, is_start),
            Codec::Opus => {
                if frame.data.len() <= MAX_PACKET_LEN - HEADER_LEN {
                    out.packet(is_start, &[frame.data]);
                }
            }
            _ => g711(out, frame.data, is_start, format.channels),
        }
        counter.advance(frame.samples, frame.rate, format.clock_rate);
    }
}

/// One AU a packet, or fragments of it that all say how long the whole is.
fn aac(out: &mut Out<'_>, unit: &[u8]) {
    if unit.len() > MAX_AU_LEN {
        return;
    }
    let [high, low] = ((unit.len() as u16) << 3).to_be_bytes();
    let header = [0, 16, high, low];
    let room = out.room - header.len();
    let last = (unit.len() - 1) / room;
    for (index, part) in unit.chunks(room).enumerate() {
        out.packet(index == last, &[&header, part]);
    }
}

fn mp3(out: &mut Out<'_>, frame: &[u8], is_start: bool) {
    let room = out.room - 4;
    for (index, part) in frame.chunks(room).enumerate() {
        let [high, low] = ((index * room) as u16).to_be_bytes();
        out.packet(is_start && index == 0, &[&[0, 0, high, low], part]);
    }
}

/// Each packet has its own time.
fn g711(out: &mut Out<'_>, samples: &[u8], is_start: bool, channels: u16) {
    let channels = usize::from(channels.max(1));
    let room = (out.room / channels * channels).max(1);
    for (index, part) in samples.chunks(room).enumerate() {
        out.packet(is_start && index == 0, &[part]);
        out.timestamp = out.timestamp.wrapping_add((part.len() / channels) as u32);
    }
}

/// One partition, as far as the packets say.
pub(super) fn vp8(out: &mut Out<'_>, frame: &[u8]) {
    fragments(out, frame, |is_first, _| if is_first { VP8_START } else { 0 });
}

/// A frame, or superframe, without layers.
pub(super) fn vp9(out: &mut Out<'_>, frame: &[u8], is_keyframe: bool) {
    fragments(out, frame, |is_first, is_last| {
        let edges = if is_first { VP9_BEGIN } else { 0 } | if is_last { VP9_END } else { 0 };
        if is_keyframe { edges } else { edges | VP9_PREDICTED }
    });
}

fn fragments(out: &mut Out<'_>, frame: &[u8], descriptor: impl Fn(bool, bool) -> u8) {
    let room = out.room - 1;
    let last = (frame.len() - 1) / room;
    for (index, part) in frame.chunks(room).enumerate() {
        out.packet(index == last, &[&[descriptor(index == 0, index == last)], part]);
    }
}

/// 13 bits of size.
const MAX_AU_LEN: usize = 0x1fff;
/// What a broken packet of Opus counts as: 20 ms.
const OPUS_FRAME: u32 = 960;
const VP8_START: u8 = 0x10;
const VP9_PREDICTED: u8 = 0x40;
const VP9_BEGIN: u8 = 0x08;
const VP9_END: u8 = 0x04;
