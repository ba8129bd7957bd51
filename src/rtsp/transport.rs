//! The `Transport` header (RFC 2326, 12.39): offers of a client, the choice of a server.
//!
//! Read leniently: blanks anywhere, values in quotes, names in any case, unknown parameters passed over. What is no RTP/AVP
//! over UDP or TCP (SRTP, RAW, RDT) is no transport here, and is left out of a list.
//! Bounds: [`MAX_OFFERS`]. Field notes: the RFC takes `multicast` for granted where neither is said; everybody means
//! unicast. Some devices put blanks into `ssrc`.

use alloc::{string::String, vec::Vec};
use core::fmt;

/// Transports of one header that are read; what follows is passed over.
pub const MAX_OFFERS: usize = 8;

/// What carries the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lower {
    /// Datagrams.
    #[default]
    Udp,
    /// Interleaved frames on the connection itself.
    Tcp,
}

/// Which way the media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To the client.
    Play,
    /// To the server.
    Record,
}

/// One transport. Pairs are for RTP and RTCP, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransportSpec {
    /// UDP unless said otherwise.
    pub lower: Lower,
    /// To a group, otherwise to the one client.
    pub is_multicast: bool,
    /// Ports of the client; never 0.
    pub client_port: Option<(u16, u16)>,
    /// Ports of the server, in its answer; never 0.
    pub server_port: Option<(u16, u16)>,
    /// Ports of a group; never 0.
    pub port: Option<(u16, u16)>,
    /// Channels of interleaved frames.
    pub interleaved: Option<(u8, u8)>,
    /// Where the packets go: in an answer the group. In an offer it must not be obeyed: packets would go to anybody.
    pub destination: Option<String>,
    /// Where they come from. ffmpeg takes it for the server's address: leave it out.
    pub source: Option<String>,
    /// Time to live of packets to a group.
    pub ttl: Option<u8>,
    /// The synchronisation source of the packets.
    pub ssrc: Option<u32>,
    /// Which way; `None` means to the client, and is not written.
    pub mode: Option<Mode>,
}

impl TransportSpec {
    /// Interleaved on these channels.
    pub fn tcp(rtp: u8, rtcp: u8) -> TransportSpec {
        TransportSpec { lower: Lower::Tcp, interleaved: Some((rtp, rtcp)), ..TransportSpec::default() }
    }

    /// Datagrams to these ports of the client.
    pub fn udp(rtp: u16, rtcp: u16) -> TransportSpec {
        TransportSpec { client_port: Some((rtp, rtcp)), ..TransportSpec::default() }
    }

    /// All that are understood, in the header's order.
    pub fn parse_list(text: &str) -> Vec<TransportSpec> {
        text.split(',').take(MAX_OFFERS).filter_map(TransportSpec::parse).collect()
    }

    /// One; `None` if it is not understood.
    pub fn parse(text: &str) -> Option<TransportSpec> {
        let mut parts = text.split(';').map(str::trim);
        let mut spec = TransportSpec::default();
        let protocol = parts.next()?;
        spec.lower = if protocol.eq_ignore_ascii_case("RTP/AVP/TCP") {
            Lower::Tcp
        } else if protocol.eq_ignore_ascii_case("RTP/AVP") || protocol.eq_ignore_ascii_case("RTP/AVP/UDP") {
            Lower::Udp
        } else {
            return None;
        };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim().trim_matches('"');
            spec.set(&name.trim().to_ascii_lowercase(), value);
        }
        Some(spec)
    }

    /// What an answer leaves out is as it was asked for.
    pub(super) fn or(self, asked: &TransportSpec) -> TransportSpec {
        TransportSpec {
            client_port: self.client_port.or(asked.client_port),
            interleaved: self.interleaved.or(asked.interleaved.filter(|_| self.lower == Lower::Tcp)),
            ..self
        }
    }

    /// A parameter whose value is none counts as missing.
    fn set(&mut self, name: &str, value: &str) {
        match name {
            "multicast" => self.is_multicast = true,
            "client_port" => self.client_port = ports(value),
            "server_port" => self.server_port = ports(value),
            "port" => self.port = ports(value),
            "interleaved" => self.interleaved = channels(value),
            "destination" => self.destination = address(value),
            "source" => self.source = address(value),
            "ttl" => self.ttl = value.parse().ok(),
            "ssrc" => self.ssrc = ssrc(value),
            "mode" => self.mode = mode(value),
            _ => {}
        }
    }
}

fn numbers(value: &str) -> Option<(u16, Option<u16>)> {
    match value.split_once('-') {
        Some((first, second)) => Some((first.trim().parse().ok()?, Some(second.trim().parse().ok()?))),
        None => Some((value.parse().ok()?, None)),
    }
}

/// A port alone stands for itself and the next one.
fn ports(value: &str) -> Option<(u16, u16)> {
    let (first, second) = numbers(value)?;
    let second = second.or(first.checked_add(1))?;
    (first != 0 && second != 0).then_some((first, second))
}

fn channels(value: &str) -> Option<(u8, u8)> {
    let (first, second) = numbers(value)?;
    let second = second.unwrap_or(first.saturating_add(1));
    Some((u8::try_from(first).ok()?, u8::try_from(second).ok()?))
}

fn address(value: &str) -> Option<String> {
    let is_address =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'[' | b']' | b'%');
    (!value.is_empty() && value.bytes().all(is_address)).then(|| value.into())
}

fn ssrc(value: &str) -> Option<u32> {
    let digits: String = value.chars().filter(|char| !char.is_whitespace()).collect();
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(&digits, 16).ok()).flatten()
}

fn mode(value: &str) -> Option<Mode> {
    let is = |name| value.eq_ignore_ascii_case(name);
    if is("record") || is("receive") {
        return Some(Mode::Record);
    }
    is("play").then_some(Mode::Play)
}

impl fmt::Display for TransportSpec {
    /// As it stands in the header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.lower {
            Lower::Udp => "RTP/AVP",
            Lower::Tcp => "RTP/AVP/TCP",
        })?;
        f.write_str(if self.is_multicast { ";multicast" } else { ";unicast" })?;
        let texts = [("destination", &self.destination), ("source", &self.source)];
        for (name, text) in texts {
            if let Some(text) = text {
                write!(f, ";{name}={text}")?;
            }
        }
        let interleaved = self.interleaved.map(|(first, second)| (u16::from(first), u16::from(second)));
        let pairs = [
            ("interleaved", interleaved),
            ("client_port", self.client_port),
            ("server_port", self.server_port),
            ("port", self.port),
        ];
        for (name, pair) in pairs {
            if let Some((first, second)) = pair {
                write!(f, ";{name}={first}-{second}")?;
            }
        }
        if let Some(ttl) = self.ttl {
            write!(f, ";ttl={ttl}")?;
        }
        if let Some(ssrc) = self.ssrc {
            write!(f, ";ssrc={ssrc:08X}")?;
        }
        match self.mode {
            Some(Mode::Record) => f.write_str(";mode=record"),
            Some(Mode::Play) => f.write_str(";mode=play"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    #[test]
    fn what_clients_and_servers_write_is_read() {
        let multicast = TransportSpec { is_multicast: true, ..TransportSpec::default() };
        let record = |spec| TransportSpec { mode: Some(Mode::Record), ..spec };
        for (text, expected) in [
            ("RTP/AVP/UDP;unicast;client_port=5000-5001", TransportSpec::udp(5000, 5001)),
            ("RTP/AVP;unicast;client_port=52574-52575", TransportSpec::udp(52574, 52575)),
            ("rtp/avp ; UNICAST ; client_port = 6 - 7 ;", TransportSpec::udp(6, 7)),
            ("RTP/AVP/TCP;unicast;interleaved=0-1", TransportSpec::tcp(0, 1)),
            ("RTP/AVP/TCP;interleaved=4", TransportSpec::tcp(4, 5)),
            ("RTP/AVP/UDP;unicast;client_port=5000-5001;mode=record", record(TransportSpec::udp(5000, 5001))),
            ("RTP/AVP/TCP;interleaved=0-1;mode=\"RECEIVE\"", record(TransportSpec::tcp(0, 1))),
            ("RTP/AVP;multicast", multicast.clone()),
            (
                "RTP/AVP;multicast;destination=239.0.0.1;port=7000-7001;ttl=16",
                TransportSpec {
                    destination: Some("239.0.0.1".into()),
                    port: Some((7000, 7001)),
                    ttl: Some(16),
                    ..multicast
                },
            ),
            (
                "RTP/AVP;unicast;source=[::1];client_port=5-6;server_port=7-8;ssrc=1A 2B3C4D",
                TransportSpec {
                    source: Some("[::1]".into()),
                    server_port: Some((7, 8)),
                    ssrc: Some(0x1a2b3c4d),
                    ..TransportSpec::udp(5, 6)
                },
            ),
        ] {
            let spec = TransportSpec::parse(text).expect(text);
            assert_eq!(spec, expected, "{text}");
            assert_eq!(TransportSpec::parse(&format!("{spec}")), Some(spec), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_left_out() {
        let offers = "RTP/SAVP;unicast;client_port=1-2, RTP/AVP/TCP;interleaved=0-1,RAW/RAW/UDP,,x";
        assert_eq!(TransportSpec::parse_list(offers), vec![TransportSpec::tcp(0, 1)]);
        for text in
            ["client_port=0-1", "client_port=65535", "client_port=1-65536", "client_port=a-b", "client_port="]
        {
            assert_eq!(
                TransportSpec::parse(&format!("RTP/AVP;{text}")),
                Some(TransportSpec::default()),
                "{text}"
            );
        }
        for text in ["interleaved=255", "interleaved=0-256", "interleaved=65535", "interleaved=-1"] {
            let spec = TransportSpec::parse(&format!("RTP/AVP/TCP;{text}")).expect("a transport");
            assert_eq!(spec.interleaved, None, "{text}");
        }
        for text in ["destination=a\"b", "destination=a b", "ttl=256", "ssrc=123456789", "ssrc=+1", "mode=x"]
        {
            assert_eq!(
                TransportSpec::parse(&format!("RTP/AVP;{text}")),
                Some(TransportSpec::default()),
                "{text}"
            );
        }
        let many = "RTP/AVP/TCP,".repeat(MAX_OFFERS + 1);
        assert_eq!(TransportSpec::parse_list(&many).len(), MAX_OFFERS);
    }
}
