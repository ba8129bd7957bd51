//! The picture and the sound of a stream.

use crate::server::{
    hub::HubFacts,
    meter::Rate,
    tracks::{self, codec_name},
};
use alloc::string::String;
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::server::web) struct Video {
    codec: &'static str,
    rfc6381: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    frame_rate: Option<f64>,
    bitrate_bps: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::server::web) struct Audio {
    codec: &'static str,
    rfc6381: Option<String>,
    sample_rate_hz: Option<u32>,
    channels: Option<u16>,
    bitrate_bps: Option<u64>,
}

impl Video {
    pub(in crate::server::web) fn of(facts: &HubFacts) -> Option<Video> {
        let tracks::Video { codec, rfc6381, size } = facts.description.video.clone()?;
        let rate = facts.measured.video;
        Some(Video {
            codec: codec_name(codec),
            rfc6381,
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            // Hundredths are more than a second of timestamps in milliseconds can tell.
            frame_rate: rate.map(|rate| (rate.frames * 100.0).round() / 100.0),
            bitrate_bps: bitrate(rate),
        })
    }
}

impl Audio {
    pub(in crate::server::web) fn of(facts: &HubFacts) -> Option<Audio> {
        let tracks::Audio { codec, rfc6381, sample_rate, channels } = facts.description.audio.clone()?;
        Some(Audio {
            codec: codec_name(codec),
            rfc6381,
            sample_rate_hz: sample_rate,
            channels,
            bitrate_bps: bitrate(facts.measured.audio),
        })
    }
}

/// Whole bits a second.
pub(in crate::server::web) fn whole(bits: f64) -> u64 {
    bits.round() as u64
}

fn bitrate(rate: Option<Rate>) -> Option<u64> {
    rate.map(|rate| whole(rate.bits))
}
