//! Media types of what is served, by the extension of its name.

/// Media type of a name with this extension (without the dot, in any case); `None` if nothing such is served.
pub fn of_extension(extension: &str) -> Option<&'static str> {
    TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension)).map(|(_, mime)| *mime)
}

/// Media type of a path or file name; `application/octet-stream` if it says nothing.
pub fn of_name(name: &str) -> &'static str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.rsplit_once('.').and_then(|(_, extension)| of_extension(extension)).unwrap_or(BYTES)
}

/// Lines of text.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// A page.
pub const HTML: &str = "text/html; charset=utf-8";
/// A script of a page, or a module of it.
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// What the API says.
pub const JSON: &str = "application/json";
/// Server-sent events.
pub const EVENTS: &str = "text/event-stream";
/// An FLV stream or file.
pub const FLV: &str = "video/x-flv";
/// An HLS playlist.
pub const HLS: &str = "application/vnd.apple.mpegurl";
/// A list of addresses for a player that is a program of its own. Not the type of HLS: Safari, phones and Chrome play that
/// themselves, and would look for segments.
pub const M3U: &str = "audio/x-mpegurl";
/// A description of a session.
pub const SDP: &str = "application/sdp";
/// A DASH manifest.
pub const DASH: &str = "application/dash+xml";
/// An MP4 file, or a segment of one.
pub const MP4: &str = "video/mp4";
/// Anything.
pub const BYTES: &str = "application/octet-stream";

const TYPES: [(&str, &str); 26] = [
    ("html", HTML),
    ("js", SCRIPT),
    ("mjs", SCRIPT),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("ico", "image/x-icon"),
    ("json", JSON),
    ("txt", TEXT),
    ("xml", "text/xml; charset=utf-8"),
    ("m3u8", HLS),
    ("m3u", M3U),
    ("sdp", SDP),
    ("mpd", DASH),
    ("mp4", MP4),
    ("m4v", MP4),
    ("m4s", MP4),
    ("mov", "video/quicktime"),
    ("m4a", "audio/mp4"),
    ("flv", FLV),
    ("f4v", MP4),
    ("ts", "video/mp2t"),
    ("mp3", "audio/mpeg"),
    ("aac", "audio/aac"),
    ("vtt", "text/vtt; charset=utf-8"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_type_of_their_last_extension() {
        for (name, mime) in [
            ("/live/cam.flv", "video/x-flv"),
            ("a.tar.M3U8", "application/vnd.apple.mpegurl"),
            ("clip.mp4/none", BYTES),
            ("mp4", BYTES),
            (".mp4", MP4),
            ("x.exe", BYTES),
            ("", BYTES),
        ] {
            assert_eq!(of_name(name), mime, "{name}");
        }
    }
}
