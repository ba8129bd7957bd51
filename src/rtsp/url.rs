//! URLs of requests: whose stream, which token, which track.
//!
//! Requests have absolute URLs, by RFC 2326; a bare path is read as well, and `*` for none. Host and port are not looked at:
//! behind a forwarded port they are anything. A slash at the end means nothing.
//! Paths are refused as in HTTP (`http::target`) when they could be read in two ways.
//! Field notes: players put the track behind what they know as the base, which may end with a query
//! (`/cam?token=x/trackID=0`): a track is looked for at the end of either.

use super::Credentials;
use crate::http::target::{decode_path, parameter};
use alloc::{borrow::Cow, format, string::String};
use core::fmt;

/// What a request is about.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: String,
    path: String,
    query: String,
    /// Behind the last slash of the query, if that is how a track begins.
    query_track: Option<String>,
}

impl Target {
    /// Reads the URL of a request; `None` if it is none, or not for RTSP.
    pub fn parse(url: &str) -> Option<Target> {
        if url == "*" {
            return Some(Target {
                url: url.into(),
                path: url.into(),
                query: String::new(),
                query_track: None,
            });
        }
        let rest = match url.split_once("://") {
            Some((scheme, rest))
                if ["rtsp", "rtsps", "rtspu"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) =>
            {
                &rest[rest.find(['/', '?']).unwrap_or(rest.len())..]
            }
            _ if url.starts_with('/') => url,
            _ => return None,
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut path = decode_path(path)?;
        while path.ends_with('/') {
            path.pop();
        }
        // A token may hold slashes itself: only what looks like a track is one.
        let query = query.trim_end_matches('/');
        let (query, query_track) = match query.rsplit_once('/') {
            Some((query, last)) if track_number(last).is_some() => (query, Some(last.into())),
            _ => (query, None),
        };
        Some(Target { url: url.into(), path, query: query.into(), query_track })
    }

    /// As it came, which may hold credentials and tokens. `RTP-Info` has to repeat that of SETUP byte for byte.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Without escapes and without a slash at the end, the track included if it stands there: `/live/cam/trackID=0`. Empty
    /// for the root, `*` for no resource at all.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands behind the question mark, without a track.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// What the URL ends with behind its last slash: the track, if it names one. Compare it with the controls of the SDP.
    pub fn last_segment(&self) -> &str {
        match &self.query_track {
            Some(track) => track,
            None => self.path.rsplit('/').next().unwrap_or(""),
        }
    }

    /// The path without its last segment, unless that stands behind the query.
    pub fn parent(&self) -> &str {
        match &self.query_track {
            Some(_) => &self.path,
            None => self.path.rsplit_once('/').map_or("", |(parent, _)| parent),
        }
    }

    /// Path of the stream and number of the track, if the last segment is one of the usual forms (`trackID=0`, `streamid=0`,
    /// `stream=0`, `track0`): for clients that skip DESCRIBE.
    pub fn split_track(&self) -> (&str, Option<u32>) {
        match track_number(self.last_segment()) {
            Some(track) => (self.parent(), Some(track)),
            None => (&self.path, None),
        }
    }
}

/// The URL without the login before its host, and that login.
pub(super) fn split_login(url: &str) -> (String, Option<Credentials>) {
    let whole = || (String::from(url), None);
    let Some((scheme, rest)) = url.split_once("://") else { return whole() };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let Some((login, host)) = authority.rsplit_once('@') else { return whole() };
    let (name, password) = login.split_once(':').unwrap_or((login, ""));
    let credentials = Credentials { name: decode(name), password: decode(password) };
    (format!("{scheme}://{host}{path}"), Some(credentials))
}

/// Without escapes; what is none stays.
fn decode(text: &str) -> String {
    parameter(&format!("x={}", text.replace('+', "%2B")), "x").map_or_else(String::new, Cow::into_owned)
}

/// The control of a description as a URL, as ffmpeg and live555 make it: behind the base, whatever that ends with.
pub(super) fn join(base: &str, control: &str) -> String {
    match control.trim() {
        "" | "*" => base.into(),
        control if control.contains("://") => control.into(),
        control => {
            let slash = if base.ends_with('/') || control.starts_with('/') { "" } else { "/" };
            let base = if control.starts_with('/') { base.trim_end_matches('/') } else { base };
            format!("{base}{slash}{control}")
        }
    }
}

/// What a server calls the base, which some do without scheme or host.
pub(super) fn base_of(told: &str, url: &str) -> String {
    if told.contains("://") {
        return told.into();
    }
    let scheme = url.split_once("://").map_or(0, |(scheme, _)| scheme.len() + 3);
    let end = url[scheme..].find(['/', '?']).map_or(url.len(), |at| scheme + at);
    let known = if told.starts_with('/') { end } else { scheme };
    format!("{}{told}", &url[..known])
}

/// The number at the end of a segment that is named like a track.
fn track_number(segment: &str) -> Option<u32> {
    let number = segment.trim_start_matches(|char: char| !char.is_ascii_digit());
    let name = segment[..segment.len() - number.len()].trim_end_matches('=');
    let is_track =
        ["track", "trackID", "stream", "streamid"].iter().any(|known| name.eq_ignore_ascii_case(known));
    if is_track { number.parse().ok() } else { None }
}

impl fmt::Debug for Target {
    /// Without credentials and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

impl fmt::Display for Target {
    /// The path, with the track if the URL has one, but without credentials and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match &self.query_track {
            Some(track) => write!(f, "/{track}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_are_found_at_the_end_of_path_or_query() {
        for (url, path, query, last, split) in [
            ("rtsp://h:554/live/cam", "/live/cam", "", "cam", ("/live/cam", None)),
            ("RTSP://h/live/cam/", "/live/cam", "", "cam", ("/live/cam", None)),
            (
                "rtsp://u:p@h/live/cam/trackID=0",
                "/live/cam/trackID=0",
                "",
                "trackID=0",
                ("/live/cam", Some(0)),
            ),
            ("rtsp://h/cam?x=1/trackID=1", "/cam", "x=1", "trackID=1", ("/cam", Some(1))),
            ("rtsp://h/cam/?x=a/b/", "/cam", "x=a/b", "cam", ("/cam", None)),
            ("/a/streamid=2", "/a/streamid=2", "", "streamid=2", ("/a", Some(2))),
            ("rtsp://h/a/stream=3?t", "/a/stream=3", "t", "stream=3", ("/a", Some(3))),
            ("rtsp://h/a/track4", "/a/track4", "", "track4", ("/a", Some(4))),
            ("rtsp://h/a/cam4", "/a/cam4", "", "cam4", ("/a/cam4", None)),
            ("rtsp://h/a/track", "/a/track", "", "track", ("/a/track", None)),
            ("rtsp://h/my%20cam", "/my cam", "", "my cam", ("/my cam", None)),
            ("rtsp://h", "", "", "", ("", None)),
            ("*", "*", "", "*", ("*", None)),
        ] {
            let target = Target::parse(url).expect(url);
            assert_eq!((target.url(), target.path(), target.query()), (url, path, query), "{url}");
            assert_eq!((target.last_segment(), target.split_track()), (last, split), "{url}");
        }
    }

    #[test]
    fn what_names_no_stream_is_refused() {
        for url in [
            "",
            "h/live",
            "http://h/a",
            "rtsp://h/../a",
            "rtsp://h/%2e%2e/a",
            "rtsp://h/a%00",
            "rtsp://h/a\\b",
        ] {
            assert_eq!(Target::parse(url), None, "{url}");
        }
    }

    #[test]
    fn tokens_are_not_shown() {
        let target = Target::parse("rtsp://u:secret@h/cam?token=secret/trackID=0").expect("one");
        assert_eq!(format!("{target} {target:?}"), "/cam/trackID=0 Target(/cam/trackID=0)");
    }

    #[test]
    fn logins_are_taken_out_of_urls() {
        for (url, rest, login) in [
            ("rtsp://h/a@b", "rtsp://h/a@b", None),
            ("rtsp://u:p@h:1/a", "rtsp://h:1/a", Some(("u", "p"))),
            ("rtsp://u@h?x", "rtsp://h?x", Some(("u", ""))),
            ("rtsp://u%40x:p%3a+%zz@h", "rtsp://h", Some(("u@x", "p:+%zz"))),
            ("rtsp://u:p@w@h", "rtsp://h", Some(("u", "p@w"))),
        ] {
            let login =
                login.map(|(name, password)| Credentials { name: name.into(), password: password.into() });
            assert_eq!(split_login(url), (rest.into(), login), "{url}");
        }
    }

    #[test]
    fn controls_are_joined_to_what_servers_call_their_base() {
        for (base, control, url) in [
            ("rtsp://h/a/", "trackID=0", "rtsp://h/a/trackID=0"),
            ("rtsp://h/a", "trackID=0", "rtsp://h/a/trackID=0"),
            ("rtsp://h/a?x=1", "trackID=0", "rtsp://h/a?x=1/trackID=0"),
            ("rtsp://h/a/", "/trackID=0", "rtsp://h/a/trackID=0"),
            ("rtsp://h/a/", "rtsp://h/b", "rtsp://h/b"),
            ("rtsp://h/a/", "*", "rtsp://h/a/"),
            ("rtsp://h/a/", "", "rtsp://h/a/"),
        ] {
            assert_eq!(join(base, control), url, "{base} {control}");
        }
        for (told, base) in
            [("rtsp://x/b/", "rtsp://x/b/"), ("10.0.0.1/b/", "rtsp://10.0.0.1/b/"), ("/b/", "rtsp://h:5/b/")]
        {
            assert_eq!(base_of(told, "rtsp://h:5/a?t"), base);
        }
    }
}
