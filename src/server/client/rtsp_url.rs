//! `rtsp://[user:password@]host[:port]/path[?query]` -> its parts.
//!
//! Path and query go to the server as they stand, but for the option `transport`, which is ours. The login is sent in answers to the server's
//! challenges and nowhere else: it is part of no request's URL, of nothing that is shown, and goes to another host only if that URL has one of its own.
//! Not here: resolving the host, escapes in the login (`rtsp`).

use super::url::{UrlError, bracketed, split_authority};
use crate::rtsp::Lower;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, str::FromStr};

/// The port of `rtsp://` when the URL names none.
pub const RTSP_PORT: u16 = 554;

/// Where a stream is. Shows itself without login and query, which are secrets, and without a path that names a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspUrl {
    /// Name or address; an IPv6 literal without its brackets.
    pub host: String,
    /// TCP port, [`RTSP_PORT`] if the URL has none.
    pub port: u16,
    /// `transport=tcp` or `udp`: how media goes unless the server refuses that. TCP if the URL does not say.
    pub transport: Lower,
    login: Option<String>,
    /// Path and query, with the slash before them; may be empty.
    target: String,
}

impl RtspUrl {
    /// Host and, if it is not the default, port; an IPv6 literal in brackets.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.port == RTSP_PORT { host } else { format!("{host}:{}", self.port) }
    }

    /// The whole of it, login included, for the session alone.
    pub(super) fn secret(&self) -> String {
        let login = self.login.as_ref().map_or_else(String::new, |login| format!("{login}@"));
        format!("rtsp://{login}{}{}", self.authority(), self.target)
    }

    /// Where the server sends whoever asks for this.
    ///
    /// # Errors
    /// It is no such URL.
    pub(super) fn moved(&self, location: &str) -> Result<RtspUrl, UrlError> {
        let mut next = parse(location.trim())?;
        next.transport = self.transport;
        if next.login.is_none() && next.host.eq_ignore_ascii_case(&self.host) {
            next.login.clone_from(&self.login);
        }
        Ok(next)
    }
}

impl FromStr for RtspUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<RtspUrl, UrlError> {
        let mut url = parse(text)?;
        let Some((path, query)) = url.target.split_once('?') else { return Ok(url) };
        let mut kept = Vec::new();
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("transport", "tcp")) => url.transport = Lower::Tcp,
                Some(("transport", "udp")) => url.transport = Lower::Udp,
                Some(("transport", _)) => return Err(UrlError::Transport),
                _ => kept.push(pair),
            }
        }
        let question = if kept.is_empty() { "" } else { "?" };
        url.target = format!("{path}{question}{}", kept.join("&"));
        Ok(url)
    }
}

fn parse(text: &str) -> Result<RtspUrl, UrlError> {
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::RtspScheme)?;
    if scheme.eq_ignore_ascii_case("rtsps") {
        return Err(UrlError::Tls);
    }
    if !scheme.eq_ignore_ascii_case("rtsp") {
        return Err(UrlError::RtspScheme);
    }
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // It is the whole of the line that a request begins with.
    if target.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(UrlError::RtspPath);
    }
    let (login, authority) = match authority.rsplit_once('@') {
        Some((login, authority)) => (Some(login.to_string()), authority),
        None => (None, authority),
    };
    let (host, port) = split_authority(authority, RTSP_PORT)?;
    Ok(RtspUrl { host: host.to_string(), port, transport: Lower::Tcp, login, target: target.to_string() })
}

impl fmt::Display for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        // As some cameras have it: /user=admin_password=..._channel=1.sdp
        let path = if path.to_ascii_lowercase().contains("passw") { "/..." } else { path };
        write!(f, "rtsp://{}{path}", self.authority())
    }
}

impl fmt::Debug for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtspUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_options_are_taken_out_and_the_rest_goes_to_the_camera() {
        for (text, secret, shown, transport) in [
            ("rtsp://h/cam", "rtsp://h/cam", "rtsp://h/cam", Lower::Tcp),
            ("RTSP://h:554", "rtsp://h", "rtsp://h", Lower::Tcp),
            ("rtsp://[::1]:8554/a/b/", "rtsp://[::1]:8554/a/b/", "rtsp://[::1]:8554/a/b/", Lower::Tcp),
            ("rtsp://u:p%40@h/c?transport=udp", "rtsp://u:p%40@h/c", "rtsp://h/c", Lower::Udp),
            (
                "rtsp://u:p@x@h/c?channel=1&transport=tcp&subtype=0",
                "rtsp://u:p@x@h/c?channel=1&subtype=0",
                "rtsp://h/c",
                Lower::Tcp,
            ),
            ("rtsp://h?x=1", "rtsp://h?x=1", "rtsp://h", Lower::Tcp),
            (
                "rtsp://h/user=a&password=b&channel=1",
                "rtsp://h/user=a&password=b&channel=1",
                "rtsp://h/...",
                Lower::Tcp,
            ),
        ] {
            let url: RtspUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((&*url.secret(), &*url.to_string()), (secret, shown), "{text}");
            assert_eq!(url.transport, transport, "{text}");
            assert_eq!(format!("{url:?}"), format!("RtspUrl({shown})"));
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_named() {
        for (text, error) in [
            ("rtmp://h/live/cam", UrlError::RtspScheme),
            ("h/cam", UrlError::RtspScheme),
            ("rtsps://h/cam", UrlError::Tls),
            ("rtsp:///cam", UrlError::Host),
            ("rtsp://u:p@/cam", UrlError::Host),
            ("rtsp://h:0/cam", UrlError::Port),
            ("rtsp://h/cam?transport=sctp", UrlError::Transport),
            ("rtsp://h/c am", UrlError::RtspPath),
            ("rtsp://h/c\r\nX: y", UrlError::RtspPath),
        ] {
            assert_eq!(text.parse::<RtspUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_login_goes_to_another_host_only_if_that_is_the_same() {
        let url: RtspUrl = "rtsp://u:p@h/cam?transport=udp".parse().unwrap();
        for (location, secret) in [
            ("rtsp://H:8554/other?transport=x", "rtsp://u:p@H:8554/other?transport=x"),
            ("rtsp://h.evil/cam", "rtsp://h.evil/cam"),
            ("rtsp://a:b@elsewhere/cam", "rtsp://a:b@elsewhere/cam"),
            ("rtsp://a:b@h/cam", "rtsp://a:b@h/cam"),
        ] {
            let next = url.moved(location).unwrap();
            assert_eq!((&*next.secret(), next.transport), (secret, Lower::Udp));
        }
        assert_eq!(url.moved("/relative"), Err(UrlError::RtspScheme));
    }
}
