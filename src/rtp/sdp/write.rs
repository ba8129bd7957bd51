//! Descriptions -> text.
//!
//! The lines are those that ffmpeg, live555 and GStreamer read, in the order they expect. Relative controls: whoever sends the text gives it a base
//! that ends with a slash.

use super::{Description, Range};
use crate::{
    base::base64,
    codec::{h264, h265},
    flv::{Codec, TagKind},
    rtp::{Format, Packing},
    rtsp,
};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

impl Description {
    /// The text. Tracks without a format are left out.
    pub fn write(&self) -> String {
        let name: String = self.name.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        let name = if name.trim().is_empty() { "-" } else { &name };
        let range = match self.range {
            Range::Live => rtsp::Range::now(),
            Range::Recorded { duration } => {
                rtsp::Range::npt(Duration::ZERO, Some(Duration::from_millis(duration)))
            }
        };
        let control = if self.control.is_empty() { "*" } else { &self.control };
        let mut text = format!(
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns={name}\r\nc={}\r\nt=0 0\r\na=tool:weir\r\na=control:{control}\r\na=range:{range}\r\n",
            self.address_line()
        );
        for media in &self.tracks {
            if let Some(format) = &media.format {
                track(&mut text, format, &media.control, media.port);
            }
        }
        text
    }

    fn address_line(&self) -> String {
        match self.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
            IpAddr::V4(address) if address.is_multicast() => format!("IN IP4 {address}/{}", self.ttl),
            IpAddr::V4(address) => format!("IN IP4 {address}"),
            IpAddr::V6(address) => format!("IN IP6 {address}"),
        }
    }
}

fn track(text: &mut String, format: &Format, control: &str, port: u16) {
    let Some(name) = name(format) else { return };
    let kind = if format.kind() == TagKind::Video { "video" } else { "audio" };
    let number = format.payload_type;
    // Writing to a string does not fail.
    let _ =
        write!(text, "m={kind} {port} RTP/AVP {number}\r\na=rtpmap:{number} {name}/{}", format.clock_rate);
    let channels = if format.codec == Codec::Opus { 2 } else { format.channels };
    let is_telephone = matches!(format.codec, Codec::G711A | Codec::G711U);
    if channels > u16::from(is_telephone) {
        let _ = write!(text, "/{channels}");
    }
    text.push_str("\r\n");
    if let Some(parameters) = parameters(format) {
        let _ = write!(text, "a=fmtp:{number} {parameters}\r\n");
    }
    let _ = write!(text, "a=control:{control}\r\n");
}

fn name(format: &Format) -> Option<&'static str> {
    Some(match (format.codec, format.packing) {
        (_, Packing::Latm) => "MP4A-LATM",
        (Codec::H264, _) => "H264",
        (Codec::Hevc, _) => "H265",
        (Codec::Av1, _) => "AV1",
        (Codec::Vp8, _) => "VP8",
        (Codec::Vp9, _) => "VP9",
        (Codec::Aac, _) => "mpeg4-generic",
        (Codec::Opus, _) => "opus",
        (Codec::Mp3, _) => "MPA",
        (Codec::G711A, _) => "PCMA",
        (Codec::G711U, _) => "PCMU",
        _ => return None,
    })
}

fn parameters(format: &Format) -> Option<String> {
    let record = &format.record;
    match (format.codec, format.packing) {
        (Codec::H264, _) => {
            let mut text = "packetization-mode=1".to_owned();
            if let Some(&[1, profile, compatibility, level]) = record.get(..4) {
                let _ = write!(text, ";profile-level-id={profile:02X}{compatibility:02X}{level:02X}");
            }
            if let Some(sets) = h264::Record::parse(record).filter(|sets| !sets.sps.is_empty()) {
                text.push_str(";sprop-parameter-sets=");
                text.push_str(&joined(sets.sps.iter().chain(&sets.pps)));
            }
            Some(text)
        }
        (Codec::Hevc, _) => {
            let sets = h265::Record::parse(record)?;
            let all = [("sprop-vps=", &sets.vps), ("sprop-sps=", &sets.sps), ("sprop-pps=", &sets.pps)];
            let known = all.iter().filter(|(_, sets)| !sets.is_empty());
            let parts: Vec<String> =
                known.map(|(name, sets)| format!("{name}{}", joined(sets.iter()))).collect();
            (!parts.is_empty()).then(|| parts.join(";"))
        }
        (Codec::Av1, _) => match record.get(..3)? {
            &[0x81, profile_level, flags] => {
                let (profile, level, tier) = (profile_level >> 5, profile_level & 0x1f, flags >> 7);
                Some(format!("profile={profile};level-idx={level};tier={tier}"))
            }
            _ => None,
        },
        (Codec::Aac, Packing::AacHbr { size_length, index_length, delta_length }) => {
            let mut text = format!(
                "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength={size_length};indexlength={index_length};\
                 indexdeltalength={delta_length};config="
            );
            for byte in record {
                let _ = write!(text, "{byte:02X}");
            }
            Some(text)
        }
        (Codec::Opus, _) if format.channels == 2 => Some("sprop-stereo=1".to_owned()),
        (Codec::Opus, _) => Some("sprop-stereo=0".to_owned()),
        _ => None,
    }
}

fn joined<'a>(sets: impl Iterator<Item = &'a &'a [u8]>) -> String {
    let sets: Vec<String> = sets.map(|set| base64::encode(set)).collect();
    sets.join(",")
}
