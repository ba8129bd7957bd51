//! What a client needs to know, and what it tells its driver.

use crate::{
    base::Payload,
    rtsp::{Credentials, Limits, Range, RtpInfo, Status, TransportSpec},
};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// What a client is for.
#[derive(Clone, PartialEq, Eq)]
pub enum Role {
    /// To play what the server describes.
    Play,
    /// To send what this describes.
    Record {
        /// The description.
        sdp: String,
    },
}

/// What a client needs to know.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Ceilings.
    pub limits: Limits,
    /// What to open. A login in it is used and never sent as part of it.
    pub url: String,
    /// The login, in place of the URL's.
    pub credentials: Option<Credentials>,
    /// What for.
    pub role: Role,
    /// Name and version for `User-Agent`; empty: none.
    pub user_agent: String,
}

/// Something happened to a client. Shown (`Debug`), it is without URLs and descriptions, which may hold tokens.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The answer to DESCRIBE. Next is [`Client::set_up`](crate::rtsp::Client::set_up).
    Described {
        /// As it came; bytes that are no UTF-8 are replaced.
        sdp: String,
        /// What its controls are relative to, if they are not handed to `set_up`.
        base: String,
    },
    /// The server takes the description. Next is [`Client::set_up`](crate::rtsp::Client::set_up).
    Announced,
    /// A track is set up. Once all are, next is [`Client::play`](crate::rtsp::Client::play) or [`Client::record`](crate::rtsp::Client::record).
    SetUp {
        /// Of the track in the last `set_up`.
        index: usize,
        /// The server's choice; what it leaves out is as it was asked for.
        transport: TransportSpec,
    },
    /// A track is not set up: with 461 over that transport, and another may do. The other tracks of that `set_up` are still
    /// asked for.
    SetUpRefused {
        /// Of the track in the last `set_up`.
        index: usize,
        /// Why.
        status: Status,
    },
    /// The answer to PLAY or RECORD. Frames may come before.
    Started {
        /// What is played.
        range: Option<Range>,
        /// The first packets, as far as the server tells.
        rtp_info: Vec<RtpInfo>,
    },
    /// The answer to PAUSE.
    Paused,
    /// An interleaved frame.
    Frame {
        /// As agreed on, or any other.
        channel: u8,
        /// One packet, usually.
        data: Payload,
    },
    /// The server wants the client elsewhere, by its answer or by a request of its own.
    Moved {
        /// A URL, which may hold a token.
        location: String,
    },
    /// The session is over; the connection closes.
    TornDown,
}

impl fmt::Debug for ClientEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientEvent::Described { .. } => f.write_str("Described"),
            ClientEvent::Announced => f.write_str("Announced"),
            ClientEvent::SetUp { index, transport } => write!(f, "SetUp({index}, {transport})"),
            ClientEvent::SetUpRefused { index, status } => write!(f, "SetUpRefused({index}, {status})"),
            ClientEvent::Started { range, rtp_info } => write!(f, "Started({range:?}, {rtp_info:?})"),
            ClientEvent::Paused => f.write_str("Paused"),
            ClientEvent::Frame { channel, data } => write!(f, "Frame({channel}, {data:?})"),
            ClientEvent::Moved { .. } => f.write_str("Moved"),
            ClientEvent::TornDown => f.write_str("TornDown"),
        }
    }
}
