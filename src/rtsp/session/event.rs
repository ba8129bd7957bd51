//! What a server's session tells its driver, and what it is answered.

use crate::{
    base::Payload,
    rtsp::{Mode, Range, Refusal, Status, Target, TransportSpec},
};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub(super) u32);

/// Something happened. Nothing behind a request is read before `respond`. Shown (`Debug`), URLs are without credentials and
/// tokens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// What is there? Answered by [`Answer::Described`].
    Describe {
        /// For the answer.
        request: RequestId,
        /// The presentation.
        url: Target,
    },
    /// The client is about to send this. Answered by [`Answer::Announced`].
    Announce {
        /// For the answer.
        request: RequestId,
        /// The name it wants.
        url: Target,
        /// The description (SDP), not empty.
        body: Vec<u8>,
    },
    /// A track's transport, or its change. Answered by [`Answer::SetUp`], of the same [`Lower`](crate::rtsp::Lower).
    Setup {
        /// For the answer.
        request: RequestId,
        /// The track; of a presentation of one track that may be the presentation.
        url: Target,
        /// In the client's order, at least one. UDP to the client has `client_port`; TCP may lack `interleaved`.
        transports: Vec<TransportSpec>,
        /// Which way. `Record` comes only behind an announcement.
        mode: Mode,
        /// The first of a session, which begins with the answer.
        is_new_session: bool,
    },
    /// Start, go on or jump; comes while playing as well. Answered by [`Answer::Playing`].
    Play {
        /// For the answer.
        request: RequestId,
        /// Usually the presentation.
        url: Target,
        /// From where to where; without one from where it was paused, or the start.
        range: Option<Range>,
        /// So many times as fast, skipping pictures; negative is backwards. Not 0.
        scale: Option<f64>,
        /// So many times as fast, with all data. Above 0.
        speed: Option<f64>,
    },
    /// Stop for a while; comes only while something plays or is recorded. Answered by [`Answer::Paused`].
    Pause {
        /// For the answer.
        request: RequestId,
        /// Usually the presentation.
        url: Target,
    },
    /// The client wants to send. Answered by [`Answer::Recording`].
    Record {
        /// For the answer.
        request: RequestId,
        /// Usually the presentation.
        url: Target,
        /// Usually from 0.
        range: Option<Range>,
    },
    /// The end of a track or of all. Answered by [`Answer::TornDown`].
    Teardown {
        /// For the answer.
        request: RequestId,
        /// The presentation, or one track of it.
        url: Target,
    },
    /// Values are asked for; not those without names, which are signs of life. Answered by [`Answer::Parameters`].
    GetParameter {
        /// For the answer.
        request: RequestId,
        /// Of what, or `*`.
        url: Target,
        /// As they came, at least one.
        names: Vec<String>,
    },
    /// Values are set. Answered by [`Answer::Parameters`], whose values do not matter.
    SetParameter {
        /// For the answer.
        request: RequestId,
        /// Of what, or `*`.
        url: Target,
        /// Names and values as they came, at least one.
        parameters: Vec<(String, String)>,
    },
    /// An interleaved frame: RTCP of a player, RTP and RTCP of a publisher. Not before a track was set up over TCP.
    Frame {
        /// As agreed on, or any other.
        channel: u8,
        /// One packet, usually.
        data: Payload,
    },
    /// A request was wrong or too slow, and is answered.
    Refused(Refusal),
}

/// The answer to a request. Any may be `Moved` or `Failed`.
#[derive(Clone, PartialEq)]
pub enum Answer {
    /// Of DESCRIBE.
    Described {
        /// The description.
        sdp: String,
        /// What its controls are relative to: ends with a slash and has no query.
        content_base: String,
    },
    /// Of ANNOUNCE: tracks may be set up.
    Announced,
    /// Of SETUP. The session exists from now on.
    SetUp {
        /// What was chosen of the offers.
        transport: TransportSpec,
    },
    /// Of PLAY. Media may be sent from now on.
    Playing {
        /// What will be played.
        range: Option<Range>,
        /// What it will really be, if it was asked for.
        scale: Option<f64>,
        /// What it will really be, if it was asked for.
        speed: Option<f64>,
        /// The first packets; rather empty than wrong.
        rtp_info: Vec<RtpInfo>,
    },
    /// Of PAUSE. No media may be sent from now on.
    Paused {
        /// Where it stands.
        range: Option<Range>,
    },
    /// Of RECORD. Media is on its way from now on, however fast.
    Recording,
    /// Of TEARDOWN. What media has not begun to leave is dropped.
    TornDown {
        /// Nothing is left of the session; otherwise it was about one of several tracks.
        session_over: bool,
    },
    /// Of GET_PARAMETER, those that are known: 451 if there are none. Of SET_PARAMETER: done.
    Parameters(Vec<(String, String)>),
    /// What is asked for is elsewhere (302).
    Moved(String),
    /// Not done, and why.
    Failed(Status),
}

/// The first packet of a track after PLAY.
#[derive(Clone, PartialEq, Eq)]
pub struct RtpInfo {
    /// As in the SETUP of the track, byte for byte.
    pub url: String,
    /// Its sequence number.
    pub sequence: Option<u16>,
    /// Its timestamp, that of the start of the range.
    pub timestamp: Option<u32>,
}

impl RtpInfo {
    /// Entries of the header that are read at most.
    const MAX_ENTRIES: usize = 32;

    /// All entries of the header.
    pub(super) fn parse_list(text: &str) -> Vec<RtpInfo> {
        let mut found: Vec<RtpInfo> = Vec::new();
        for part in text.split([',', ';']) {
            let Some((name, value)) = part.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            let name = name.trim().to_ascii_lowercase();
            if name == "url" && found.len() == RtpInfo::MAX_ENTRIES {
                break;
            }
            match (name.as_str(), found.last_mut()) {
                ("url", _) => found.push(RtpInfo { url: value.into(), sequence: None, timestamp: None }),
                ("seq", Some(last)) => last.sequence = value.parse().ok(),
                ("rtptime", Some(last)) => last.timestamp = value.parse().ok(),
                _ => {}
            }
        }
        found
    }
}

impl fmt::Debug for RtpInfo {
    /// Without the URL, which may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtpInfo({:?}, {:?})", self.sequence, self.timestamp)
    }
}

impl Event {
    /// The id of the request that waits, if it is one.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Event::Describe { request, .. }
            | Event::Announce { request, .. }
            | Event::Setup { request, .. }
            | Event::Play { request, .. }
            | Event::Pause { request, .. }
            | Event::Record { request, .. }
            | Event::Teardown { request, .. }
            | Event::GetParameter { request, .. }
            | Event::SetParameter { request, .. } => Some(*request),
            Event::Frame { .. } | Event::Refused(_) => None,
        }
    }
}
