//! Where a stream lives: `app` and stream key as clients send them -> one canonical path.
//!
//! Clients cut the URL in different places (rtmp 1): ffmpeg takes up to two components as app and the rest as key,
//! OBS sends the key verbatim, Flash scripts do as they like. So app and key are joined again and the whole is
//! cleaned: `live` + `cam`, `/live/` + `cam?token=1`, `live/_definst_` + `cam` and `live?x` + `/cam` are one stream.
//!
//! Queries carry tokens. They end here: a [`StreamPath`] never holds one, so it may be logged.
//! Not decoded: percent-encoding, because most clients do not decode it either. Kept: prefixes such as `mp4:`.

use super::MEDIA_APP;
use alloc::{string::String, sync::Arc};
use core::fmt;

/// Canonical name of a stream, for example `live/cam`. Cheap to clone; never holds a query.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamPath(Arc<str>);

/// Longest path in bytes: long enough for keys that are tokens themselves.
pub const MAX_PATH_LEN: usize = 1024;

/// First components that name no stream: files, and what the server says about itself.
const RESERVED: [&str; 8] =
    [MEDIA_APP, "recordings", "api", "_weir", "metrics", "healthz", "crossdomain.xml", "favicon.ico"];

/// Why app and key name no stream. The text goes to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// Neither app nor key names anything.
    Empty,
    /// Longer than [`MAX_PATH_LEN`].
    TooLong,
    /// A component is `..`.
    LeadsOutside,
    /// Backslash, NUL or another control character.
    BadCharacter,
}

impl StreamPath {
    /// Joins what `connect` and `publish` or `play` said. `tc_url` counts only if `app` is empty; a `key` that is a
    /// whole URL stands for itself.
    pub fn join(app: &str, tc_url: &str, key: &str) -> Result<StreamPath, PathError> {
        let (app, key) = (plain(app), plain(key));
        let app = match (path_of_url(key), app) {
            (Some(_), _) => "",
            (None, "") => path_of_url(plain(tc_url)).unwrap_or_default(),
            (None, app) => path_of_url(app).unwrap_or(app),
        };
        let key = path_of_url(key).unwrap_or(key);

        let mut path = String::new();
        for component in app.split('/').chain(key.split('/')) {
            match component {
                // `_definst_` is the instance of an application that has no instances.
                "" | "." | "_definst_" => continue,
                ".." => return Err(PathError::LeadsOutside),
                _ if component.contains(|c: char| c == '\\' || c.is_control()) => {
                    return Err(PathError::BadCharacter);
                }
                _ => {}
            }
            if !path.is_empty() {
                path.push('/');
            }
            if path.len() + component.len() > MAX_PATH_LEN {
                return Err(PathError::TooLong);
            }
            path.push_str(component);
        }
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        Ok(StreamPath(path.into()))
    }

    /// The stream of an address over HTTP, its slash in front left out: the path as it is, or none. Nothing is cleaned.
    pub(super) fn of_address(name: &str) -> Option<StreamPath> {
        let path = StreamPath::join("", "", name).ok()?;
        (path.as_str() == name && !path.is_reserved()).then_some(path)
    }

    /// Whether HTTP has something else at such addresses: nobody may publish there.
    pub fn is_reserved(&self) -> bool {
        let first = self.0.split('/').next().unwrap_or_default();
        RESERVED.contains(&first)
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::Empty => "the stream has no name",
            PathError::TooLong => "the stream name is too long",
            PathError::LeadsOutside => "a stream name may not contain \"..\"",
            PathError::BadCharacter => "a stream name may not contain backslashes or control characters",
        })
    }
}

impl core::error::Error for PathError {}

/// Without query and without the NUL that C programs leave at the end.
fn plain(text: &str) -> &str {
    text.split('?').next().unwrap_or_default().trim_end_matches('\0')
}

/// The path of `scheme://host[:port]/path`; `None` if `text` is no URL.
fn path_of_url(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_scheme.then(|| rest.split_once('/').map_or("", |(_, path)| path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// app, tcUrl, key -> path
    const TABLE: &[(&str, &str, &str, Result<&str, PathError>)] = &[
        ("live", "rtmp://h/live", "cam", Ok("live/cam")),
        ("live", "", "cam", Ok("live/cam")),
        // Slashes anywhere.
        ("/live/", "", "/cam/", Ok("live/cam")),
        ("live//a", "", "b///c", Ok("live/a/b/c")),
        ("live/a", "", "b", Ok("live/a/b")),
        ("live", "", "a/b", Ok("live/a/b")),
        ("live/./a", "", "./b", Ok("live/a/b")),
        // Queries anywhere, with slashes and URLs inside.
        ("live?token=1", "rtmp://h/live?token=1", "cam", Ok("live/cam")),
        ("live", "", "cam?token=a/b&x=..", Ok("live/cam")),
        ("live/?vhost=a/b", "", "cam?auth=http://x/y?z", Ok("live/cam")),
        ("live", "", "?token=1", Ok("live")),
        // As ffmpeg cuts rtmp://h/live?token=a/b/cam and rtmp://h/live/_definst_/cam?x=/y.
        ("live?token=a/b", "rtmp://h:1935/live?token=a/b", "cam", Ok("live/cam")),
        ("live/_definst_", "rtmp://h:1935/live/_definst_", "cam?x=/y", Ok("live/cam")),
        ("live/_definst_?token=a/b", "", "cam", Ok("live/cam")),
        ("", "rtmp://h/live?token=a/b", "cam?x=1", Ok("live/cam")),
        ("", "rtmp://h:1935/", "rtmp://h/live/cam?a=/b", Ok("live/cam")),
        // Instances.
        ("live/_definst_", "", "cam", Ok("live/cam")),
        ("live/_definst_/", "", "cam", Ok("live/cam")),
        ("live", "", "_definst_/cam", Ok("live/cam")),
        ("live/room", "", "cam", Ok("live/room/cam")),
        // ffmpeg with one component: empty app. OBS without a key: empty key. They must meet.
        ("", "rtmp://h:1935/", "live", Ok("live")),
        ("live", "rtmp://h/live", "", Ok("live")),
        ("", "", "cam", Ok("cam")),
        // App only in tcUrl.
        ("", "rtmp://h/live", "cam", Ok("live/cam")),
        ("", "rtmp://[::1]:1935/live/a?q=/x", "cam", Ok("live/a/cam")),
        ("", "rtmp://h", "cam", Ok("cam")),
        // A whole URL as key or as app.
        ("live", "", "rtmp://h:1935/live/cam?x=1", Ok("live/cam")),
        ("other", "", "rtmps://[::1]/live/_definst_/cam", Ok("live/cam")),
        ("rtmp://h/live", "", "cam", Ok("live/cam")),
        // Looks like a URL, is a name.
        ("live", "", "mp4:film.mp4", Ok("live/mp4:film.mp4")),
        ("live", "", "://x", Ok("live/:/x")),
        // NULs at the end, as C programs send them.
        ("live\0", "", "cam\0", Ok("live/cam")),
        ("live", "", "cam%2f..", Ok("live/cam%2f..")),
        ("live", "", "caméra", Ok("live/caméra")),
        // Refused.
        ("", "", "", Err(PathError::Empty)),
        ("/", "rtmp://h/", "//", Err(PathError::Empty)),
        ("", "", "?token=1", Err(PathError::Empty)),
        ("_definst_", "", "", Err(PathError::Empty)),
        ("live", "", "../etc", Err(PathError::LeadsOutside)),
        ("live/..", "", "cam", Err(PathError::LeadsOutside)),
        ("live", "", "rtmp://h/../cam", Err(PathError::LeadsOutside)),
        ("live", "", "a\\b", Err(PathError::BadCharacter)),
        ("live", "", "a\0b", Err(PathError::BadCharacter)),
        ("live\0/x", "", "b", Err(PathError::BadCharacter)),
        ("live", "", "a\nb", Err(PathError::BadCharacter)),
    ];

    #[test]
    fn app_and_key_are_joined_to_one_path() {
        for (app, tc_url, key, expected) in TABLE {
            let path = StreamPath::join(app, tc_url, key);
            let shown = path.as_ref().map(|path| path.as_str()).map_err(|error| *error);
            assert_eq!(shown, *expected, "{app:?} + {key:?}, {tc_url:?}");
        }
    }

    #[test]
    fn a_path_joined_again_is_itself() {
        for path in TABLE.iter().filter_map(|row| row.3.ok()) {
            assert_eq!(StreamPath::join("", "", path).map(|again| again.to_string()), Ok(path.to_string()));
        }
    }

    #[test]
    fn the_longest_path_fits_and_one_byte_more_does_not() {
        let key = "k".repeat(MAX_PATH_LEN - "live/".len());
        assert_eq!(StreamPath::join("live", "", &key).map(|path| path.as_str().len()), Ok(MAX_PATH_LEN));
        assert_eq!(StreamPath::join("live", "", &(key + "k")), Err(PathError::TooLong));
        let alone = "k".repeat(MAX_PATH_LEN);
        assert!(
            StreamPath::join("", "", &alone).is_ok() && StreamPath::join("", "", &(alone + "k")).is_err()
        );
    }
}
