//! A stream of another server, by RTMP or by RTSP: which of the two says the scheme.

use super::{RtmpUrl, RtspUrl, UrlError};
use crate::server::report::Protocol;
use alloc::{format, string::String};
use core::{fmt, str::FromStr};

/// Where a stream comes from or goes to. Shows itself without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamUrl {
    /// `rtmp://`
    Rtmp(RtmpUrl),
    /// `rtsp://`
    Rtsp(RtspUrl),
}

impl StreamUrl {
    /// Host and, if it is not the usual one, port.
    pub fn authority(&self) -> String {
        match self {
            StreamUrl::Rtmp(url) => url.authority(),
            StreamUrl::Rtsp(url) => url.authority(),
        }
    }

    /// As much of it as is no secret anywhere: without the key, or the path of a camera.
    pub(in crate::server) fn server(&self) -> String {
        match self {
            StreamUrl::Rtmp(url) => url.tc_url(),
            StreamUrl::Rtsp(url) => format!("rtsp://{}", url.authority()),
        }
    }

    pub(in crate::server) fn protocol(&self) -> Protocol {
        match self {
            StreamUrl::Rtmp(_) => Protocol::Rtmp,
            StreamUrl::Rtsp(_) => Protocol::Rtsp,
        }
    }
}

impl FromStr for StreamUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<StreamUrl, UrlError> {
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        let is = |known: &str| scheme.eq_ignore_ascii_case(known);
        if is("rtmp") {
            text.parse().map(StreamUrl::Rtmp)
        } else if is("rtsp") || is("rtsps") {
            text.parse().map(StreamUrl::Rtsp)
        } else {
            Err(UrlError::StreamScheme)
        }
    }
}

impl fmt::Display for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamUrl::Rtmp(url) => write!(f, "{url}"),
            StreamUrl::Rtsp(url) => write!(f, "{url}"),
        }
    }
}
