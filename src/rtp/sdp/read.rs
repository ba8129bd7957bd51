//! Text -> descriptions.
//!
//! What matters: the name, where packets go, how much there is, and of each track its payload types, formats and control. Everything else is passed
//! over, and nothing but the bounds makes a text fail that has tracks.
//! Field notes: lines end with LF alone; blanks stand around anything; ffmpeg's descriptions have the address with each track; some cameras have
//! a control before the first track, a range with a track, and tracks of their own invention.

use super::{Description, MAX_LEN, MAX_TRACKS, Media, Range, SdpError, payload};
use crate::rtsp::{self, Unit};
use alloc::{
    borrow::ToOwned,
    string::{String, ToString},
    vec::Vec,
};
use core::net::IpAddr;

impl Description {
    /// Reads a text.
    ///
    /// # Errors
    /// It is too long, or has no tracks or too many.
    pub fn parse(text: &[u8]) -> Result<Description, SdpError> {
        if text.len() > MAX_LEN {
            return Err(SdpError::TooLong);
        }
        let text = String::from_utf8_lossy(text);
        let mut description = Description {
            name: String::new(),
            address: None,
            ttl: 0,
            range: Range::Live,
            control: String::new(),
            tracks: Vec::new(),
        };
        let mut track: Option<Track<'_>> = None;
        for line in text.split(['\r', '\n']) {
            let Some((kind, value)) = line.trim().split_once('=') else { continue };
            let value = value.trim();
            match kind.trim_end() {
                "m" => {
                    description.tracks.extend(track.take().map(Track::finish));
                    if description.tracks.len() == MAX_TRACKS {
                        return Err(SdpError::TooManyTracks);
                    }
                    track = Some(Track::new(value));
                }
                "a" => description.attribute(value, track.as_mut()),
                "c" => description.connection(value),
                "s" if track.is_none() && value != "-" => description.name = value.to_owned(),
                _ => {}
            }
        }
        description.tracks.extend(track.map(Track::finish));
        if description.tracks.is_empty() { Err(SdpError::NoTracks) } else { Ok(description) }
    }

    /// `track`: the one whose lines these are.
    fn attribute<'a>(&mut self, line: &'a str, track: Option<&mut Track<'a>>) {
        let Some((name, value)) = line.split_once(':') else { return };
        let (name, value) = (name.trim(), value.trim());
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("range") {
            let range = rtsp::Range::parse(value).filter(|range| range.unit == Unit::Npt);
            let end = range.and_then(|range| range.end).map_or(0, |end| end.as_millis());
            if let (1.., Ok(duration)) = (end, u64::try_from(end)) {
                self.range = Range::Recorded { duration };
            }
            return;
        }
        match track {
            Some(track) if is("control") => track.control = value.to_string(),
            None if is("control") => self.control = value.to_string(),
            Some(track) if is("rtpmap") => track.maps.push(value),
            Some(track) if is("fmtp") => track.parameters.push(value),
            _ => {}
        }
    }

    /// `IN IP4 239.0.0.1/16`
    fn connection(&mut self, line: &str) {
        let address = line.split_ascii_whitespace().nth(2).unwrap_or_default();
        let (address, ttl) = address.split_once('/').unwrap_or((address, ""));
        let known = address.parse::<IpAddr>().ok().filter(|address| !address.is_unspecified());
        if self.address.is_none() && known.is_some() {
            self.address = known;
            self.ttl = ttl.split('/').next().and_then(|ttl| ttl.parse().ok()).unwrap_or_default();
        }
    }
}

/// The lines of one track, as far as anybody asks.
struct Track<'a> {
    is_video: bool,
    port: u16,
    /// Payload types, in order of preference. None of what is no plain RTP.
    types: Vec<u8>,
    maps: Vec<&'a str>,
    parameters: Vec<&'a str>,
    control: String,
}

impl<'a> Track<'a> {
    /// `video 0 RTP/AVP 96 97`
    fn new(line: &'a str) -> Track<'a> {
        let mut words = line.split_ascii_whitespace();
        let is_video = words.next().is_some_and(|kind| kind.eq_ignore_ascii_case("video"));
        let port = words.next().and_then(|port| port.split('/').next()?.parse().ok()).unwrap_or_default();
        let protocol = words.next().unwrap_or_default();
        let is_plain = protocol.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("RTP/AVP"));
        let types = if is_plain { words.filter_map(number).take(MAX_TYPES).collect() } else { Vec::new() };
        Track { is_video, port, types, maps: Vec::new(), parameters: Vec::new(), control: String::new() }
    }

    fn finish(self) -> Media {
        let of_type = |lines: &[&'a str], wanted: u8| {
            lines.iter().find_map(|line| {
                let (first, rest) = line.split_once([' ', '\t'])?;
                (number(first)? == wanted).then_some(rest.trim())
            })
        };
        let format = self.types.iter().find_map(|number| {
            let map = of_type(&self.maps, *number);
            let parameters = of_type(&self.parameters, *number).unwrap_or_default();
            payload::format(self.is_video, *number, map, parameters)
        });
        Media { format, control: self.control, port: self.port }
    }
}

/// A payload type.
fn number(text: &str) -> Option<u8> {
    text.parse().ok().filter(|number| *number < 128)
}

/// Payload types of a track that are looked at.
const MAX_TYPES: usize = 32;
