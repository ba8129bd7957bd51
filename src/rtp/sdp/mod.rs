//! Descriptions of presentations (SDP, RFC 8866) as RTSP carries them (RFC 2326, appendix C): which tracks there are, in which formats, what they
//! are called.
//!
//! In: tracks; or text from cameras, encoders and servers. Out: text; or tracks. Not here: choosing transports, what requests go where; keys and
//! encryption: what is only offered encrypted is unknown. Bounds: [`MAX_LEN`], [`MAX_TRACKS`].
//! Field notes: reading is lenient, because what matters is a few lines, and somebody writes each of the others wrong: see `read`.

#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
mod payload;
mod read;
#[cfg(test)]
mod tests;
mod write;

#[cfg(any(test, feature = "fuzzing"))]
pub use fuzz::fuzz;

use super::Format;
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::{error, fmt, net::IpAddr};

/// Bytes of a description that is read. Real ones have a thousand.
pub const MAX_LEN: usize = 64 << 10;
/// Tracks of a description that is read. Cameras with several sensors have six.
pub const MAX_TRACKS: usize = 16;

/// What is known of a presentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// For people.
    pub name: String,
    /// Where the packets go to or, before they do, nothing: of multicast the group.
    pub address: Option<IpAddr>,
    /// Routers that IPv4 multicast may pass.
    pub ttl: u8,
    /// How much there is.
    pub range: Range,
    /// What all tracks together are called, as [`Media::control`]; `*` or empty: like the description itself.
    pub control: String,
    /// In the order of the text, those that nobody here can read as well, so that places stay right.
    pub tracks: Vec<Media>,
}

/// How much of a presentation there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// It happens now, or nobody knows.
    Live,
    /// It lies there as a whole.
    Recorded {
        /// Milliseconds.
        duration: u64,
    },
}

/// One track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `None`: of no use to us, or broken. Such a track is not written.
    pub format: Option<Format>,
    /// What requests call it: a URL, or what completes one ([`resolve_control`]). Empty: nothing, it is the only one.
    pub control: String,
    /// Where its packets go to: of multicast; otherwise 0.
    pub port: u16,
}

impl Description {
    /// One for players over unicast.
    pub fn new(name: &str, range: Range, tracks: Vec<Media>) -> Description {
        Description { name: name.to_owned(), address: None, ttl: 0, range, control: "*".to_owned(), tracks }
    }
}

impl Media {
    /// One for players over unicast.
    pub fn new(format: Format, control: String) -> Media {
        Media { format: Some(format), control, port: 0 }
    }
}

/// Why a text is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// More than [`MAX_LEN`] bytes.
    TooLong,
    /// More than [`MAX_TRACKS`].
    TooManyTracks,
    /// No tracks, or no description at all.
    NoTracks,
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SdpError::TooLong => "a description of more than 64 KiB",
            SdpError::TooManyTracks => "a description of more than 16 tracks",
            SdpError::NoTracks => "a description without tracks",
        })
    }
}

impl error::Error for SdpError {}

/// The URL of a track, or of all of them, for requests. `base`: Content-Base, else Content-Location, else the URL that was asked for the
/// description.
///
/// Relative ones are appended, as ffmpeg and live555 do, with one slash between, even behind a query. That is no URL resolution, but
/// what cameras are tested with. One that begins with the base's path, or only with a slash, begins at the host.
pub fn resolve_control(base: &str, control: &str) -> String {
    let control = control.trim();
    if control.is_empty() || control == "*" {
        return base.to_owned();
    }
    if control
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    {
        return control.to_owned();
    }
    let (host, path) = split_path(base);
    let mut url = match control.starts_with('/') && control.starts_with(path.trim_end_matches('/')) {
        true => host.to_owned(),
        false => base.to_owned(),
    };
    if !url.ends_with('/') && !control.starts_with('/') {
        url.push('/');
    }
    url.push_str(if url.ends_with('/') { control.trim_start_matches('/') } else { control });
    url
}

/// Scheme and host; path and query.
fn split_path(url: &str) -> (&str, &str) {
    let behind = url.find("://").map_or(0, |at| at + 3);
    let at = url[behind..].find('/').map_or(url.len(), |at| behind + at);
    url.split_at(at)
}
