//! `rtmp://host[:port]/app[/instance]/key[?query]` -> its parts.
//!
//! Nothing on the wire carries a whole URL: `connect` takes the app and a `tcUrl`, `publish` and `play` take the
//! key. Where to cut is the client's choice; this one cuts as ffmpeg does: the first component is the app, with
//! three or more the first two are (app and instance), the rest is the key, and a query stays with the key.
//! Nothing is percent-decoded, as no client does so.
//!
//! Not here: resolving the host (`client`), joining app and key to a path (the server's side).

use alloc::{
    format,
    string::{String, ToString},
};
use core::{fmt, str::FromStr};

/// The port of `rtmp://` when the URL names none.
pub const DEFAULT_PORT: u16 = 1935;

/// Where a stream is. Shows itself without the query, which may carry a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtmpUrl {
    /// Name or address; an IPv6 literal without its brackets.
    pub host: String,
    /// TCP port, [`DEFAULT_PORT`] if the URL has none.
    pub port: u16,
    /// Application and, if there are three components or more, its instance: `live`, `live/room1`.
    pub app: String,
    /// Stream key with its query: `cam?token=1`. May hold slashes.
    pub key: String,
}

/// Why a text is not a URL we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// Does not start with `rtmp://`.
    Scheme,
    /// Does not start with `rtsp://`.
    RtspScheme,
    /// Starts with neither.
    StreamScheme,
    /// `rtsps://`: nobody here verifies certificates of servers.
    Tls,
    /// A `transport` that is neither `tcp` nor `udp`.
    Transport,
    /// Blanks or control characters in a URL of RTSP.
    RtspPath,
    /// No host, or brackets that do not close.
    Host,
    /// A port that is not 1 to 65535.
    Port,
    /// `user:password@`, which no part of `connect` carries.
    Credentials,
    /// Fewer than two components: an app and a key are needed.
    Path,
}

impl RtmpUrl {
    /// The `tcUrl` of `connect`: scheme, host, app. The default port is left out, as OBS and GStreamer do.
    pub fn tc_url(&self) -> String {
        format!("rtmp://{}/{}", self.authority(), self.app)
    }

    /// Host and, if it is not the default, port; an IPv6 literal in brackets.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.port == DEFAULT_PORT { host } else { format!("{host}:{}", self.port) }
    }
}

impl FromStr for RtmpUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<RtmpUrl, UrlError> {
        let scheme = text.get(..7).ok_or(UrlError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("rtmp://") {
            return Err(UrlError::Scheme);
        }
        let (authority, path) = text[7..].split_once('/').ok_or(UrlError::Path)?;
        let (host, port) = split_authority(authority, DEFAULT_PORT)?;
        let (app, key) = split_path(path)?;
        Ok(RtmpUrl { host: host.to_string(), port, app: app.to_string(), key: key.to_string() })
    }
}

/// A host as URLs have it.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_string() }
}

/// Host and port.
pub(super) fn split_authority(authority: &str, default_port: u16) -> Result<(&str, u16), UrlError> {
    if authority.contains('@') {
        return Err(UrlError::Credentials);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(UrlError::Host)?;
            let port =
                if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(UrlError::Host)?) };
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(UrlError::Host);
    }
    let port = match port {
        None => default_port,
        Some(digits) => match digits.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err(UrlError::Port),
        },
    };
    Ok((host, port))
}

/// The query may hold slashes, so only what stands before it is cut.
fn split_path(path: &str) -> Result<(&str, &str), UrlError> {
    let path_len = path.find('?').unwrap_or(path.len());
    let mut slashes = path[..path_len].match_indices('/').map(|(at, _)| at);
    let cut = match (slashes.next(), slashes.next()) {
        (Some(_), Some(second)) => second,
        (Some(first), None) => first,
        (None, _) => return Err(UrlError::Path),
    };
    let (app, key) = (&path[..cut], &path[cut + 1..]);
    if app.is_empty() || key.is_empty() || key.starts_with('?') {
        return Err(UrlError::Path);
    }
    Ok((app, key))
}

impl fmt::Display for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.key.split_once('?').map_or(&*self.key, |(name, _)| name);
        let app = self.app.split_once('?').map_or(&*self.app, |(app, _)| app);
        write!(f, "rtmp://{}/{app}/{name}", self.authority())
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlError::Scheme => "URL must start with rtmp://",
            UrlError::RtspScheme => "URL must start with rtsp://",
            UrlError::StreamScheme => "URL must start with rtmp:// or rtsp://",
            UrlError::Tls => "rtsps:// is not supported here, only rtsp://",
            UrlError::Transport => "transport is neither tcp nor udp",
            UrlError::RtspPath => "URL has blanks or control characters",
            UrlError::Host => "URL has no host",
            UrlError::Port => "port of the URL must be 1 to 65535",
            UrlError::Credentials => "user and password in the URL are not supported",
            UrlError::Path => "URL needs an app and a key: rtmp://host/app/key",
        })
    }
}

impl core::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut_as_ffmpeg_cuts_them() {
        for (text, host, port, app, key) in [
            ("rtmp://h/live/cam", "h", 1935, "live", "cam"),
            ("RTMP://h:1/live/cam", "h", 1, "live", "cam"),
            ("rtmp://h/live/room1/cam", "h", 1935, "live/room1", "cam"),
            ("rtmp://h/live/room1/a/b", "h", 1935, "live/room1", "a/b"),
            ("rtmp://h/live/cam?token=a/b/c", "h", 1935, "live", "cam?token=a/b/c"),
            ("rtmp://[::1]/live/cam", "::1", 1935, "live", "cam"),
            ("rtmp://[fe80::1]:19350/live/cam", "fe80::1", 19350, "live", "cam"),
        ] {
            let url: RtmpUrl = text.parse().unwrap();
            assert_eq!((&*url.host, url.port, &*url.app, &*url.key), (host, port, app, key), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_named() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("rtmps://h/live/cam", UrlError::Scheme),
            ("http://h/live/cam", UrlError::Scheme),
            ("rtmp://\u{e9}", UrlError::Path),
            ("rtm\u{e9}\u{e9}\u{e9}/live/cam", UrlError::Scheme),
            ("rtmp:///live/cam", UrlError::Host),
            ("rtmp://[::1/live/cam", UrlError::Host),
            ("rtmp://[::1]x/live/cam", UrlError::Host),
            ("rtmp://h:/live/cam", UrlError::Port),
            ("rtmp://h:0/live/cam", UrlError::Port),
            ("rtmp://h:65536/live/cam", UrlError::Port),
            ("rtmp://u:p@h/live/cam", UrlError::Credentials),
            ("rtmp://h", UrlError::Path),
            ("rtmp://h/live", UrlError::Path),
            ("rtmp://h/live/", UrlError::Path),
            ("rtmp://h//cam", UrlError::Path),
            ("rtmp://h/live/?token=1", UrlError::Path),
            ("rtmp://h/live?a=/b", UrlError::Path),
        ] {
            assert_eq!(text.parse::<RtmpUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_tc_url_has_a_port_only_when_needed_and_tokens_are_never_shown() {
        let url: RtmpUrl = "rtmp://[::1]:1935/live/cam?token=secret".parse().unwrap();
        assert_eq!(url.tc_url(), "rtmp://[::1]/live");
        assert_eq!(url.to_string(), "rtmp://[::1]/live/cam");
        let url: RtmpUrl = "rtmp://h:81/live/a/cam?token=secret".parse().unwrap();
        assert_eq!(url.tc_url(), "rtmp://h:81/live/a");
        assert_eq!(url.to_string(), "rtmp://h:81/live/a/cam");
    }
}
