//! What an address names. Pure: whether it is there is for others to say.
//!
//! Addresses are exact, so that rules of a proxy in front hold for all there is: a path that RTMP would clean (`//live//cam`,
//! `/live/./cam`) names nothing here. What never names a stream: [`StreamPath::is_reserved`].

use super::{
    assets,
    files::{self, Folder},
    metafile,
};
use crate::{hls::Kind, http::mime, server::StreamPath};

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// A file of the pages, by its name.
    Asset(&'a str),
    /// The API and the metrics.
    Operate,
    /// Whether the server runs.
    Health,
    /// What players of old ask for before they read from another site.
    CrossDomain,
    /// A live stream as FLV.
    Flv(StreamPath),
    /// A live stream's addresses as a list for players.
    List(StreamPath),
    /// A live stream's description for players over RTSP.
    Description(StreamPath),
    /// What there is to know about a stream before it is played.
    Facts(StreamPath),
    /// The same of something that can be no stream.
    NoFacts,
    /// A file of a live stream in segments.
    Segments(StreamPath, Kind),
    /// A recorded file.
    File(Folder),
    /// Nothing.
    Unknown,
}

impl Route<'_> {
    /// `path` is decoded and begins with a slash. `is_watch`: the query asks for the page that plays what the path names.
    pub(super) fn of(path: &str, is_watch: bool) -> Route<'_> {
        let Some(name) = path.strip_prefix('/') else { return Route::Unknown };
        match name {
            "" => return Route::Asset(assets::CONSOLE),
            "favicon.ico" => return Route::Asset(assets::ICON),
            "crossdomain.xml" => return Route::CrossDomain,
            "healthz" => return Route::Health,
            "metrics" | "api" => return Route::Operate,
            _ if name.starts_with("api/") => return Route::Operate,
            _ => {}
        }
        if let Some(asset) = path.strip_prefix(assets::PREFIX) {
            return Route::Asset(asset);
        }
        if is_watch {
            return Route::Asset(assets::WATCH);
        }
        if let Some((folder, _)) = files::named(path) {
            return Route::File(folder);
        }
        Route::of_stream(name).unwrap_or(Route::Unknown)
    }

    fn of_stream(name: &str) -> Option<Route<'_>> {
        let stream = StreamPath::of_address;
        if let Some(name) = name.strip_suffix(".flv") {
            return stream(name).map(Route::Flv);
        }
        if let Some(name) = name.strip_suffix(metafile::LIST) {
            return stream(name).map(Route::List);
        }
        if let Some(name) = name.strip_suffix(metafile::DESCRIPTION) {
            return stream(name).map(Route::Description);
        }
        if let Some(name) = name.strip_suffix(".json") {
            return Some(stream(name).map_or(Route::NoFacts, Route::Facts));
        }
        let file = name.rsplit_once('/').and_then(|(path, file)| Some((path, Kind::of(file)?)));
        if let Some((path, kind)) = file {
            return Some(Route::Segments(stream(path)?, kind));
        }
        // A player that asks for a kind of file is better told that there is none.
        let is_page = mime::of_name(name) == mime::BYTES && stream(name).is_some();
        is_page.then_some(Route::Asset(assets::WATCH))
    }

    /// Pages of other sites may have it as well.
    pub(super) fn is_open_to_other_sites(&self) -> bool {
        !matches!(self, Route::Asset(_) | Route::Operate | Route::Health)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString};

    #[test]
    fn addresses_name_pages_streams_and_files() {
        for path in ["/live/cam", "/cam", "/live/cam.1", "/a/b/c", "/live/caméra"] {
            assert_eq!(Route::of(path, false), Route::Asset("watch.html"), "{path}");
        }
        assert_eq!(Route::of("/", false), Route::Asset("index.html"));
        assert_eq!(Route::of("/_weir/vendor/a.js", false), Route::Asset("vendor/a.js"));
        for path in ["/api", "/api/v1/streams", "/api/x.flv", "/metrics"] {
            assert_eq!(Route::of(path, false), Route::Operate, "{path}");
        }
        assert_eq!(Route::of("/vod/clip.mp4", true), Route::Asset("watch.html"));
        assert_eq!(Route::of("/vod/a/clip.mp4", false), Route::File(Folder::Media));
        assert_eq!(Route::of("/recordings/a.flv", false), Route::File(Folder::Recordings));
        assert_eq!(Route::of("/vod/clip.mp4.m3u", false), Route::File(Folder::Media));
        let stream = |route: Route<'_>| match route {
            Route::Flv(path) | Route::Facts(path) | Route::Segments(path, _) => path.to_string(),
            Route::List(path) => format!("{path} as a list"),
            Route::Description(path) => format!("{path} described"),
            other => panic!("{other:?}"),
        };
        for (path, expected) in [
            ("/live/cam.flv", "live/cam"),
            ("/live/cam.flv.flv", "live/cam.flv"),
            ("/live/cam.json", "live/cam"),
            ("/live/cam.m3u", "live/cam as a list"),
            ("/live/cam.flv.m3u", "live/cam.flv as a list"),
            ("/live/cam.sdp", "live/cam described"),
            ("/live/cam/index.m3u8", "live/cam"),
            ("/a/b/c/index.mpd", "a/b/c"),
        ] {
            assert_eq!(stream(Route::of(path, false)), expected);
        }
    }

    #[test]
    fn a_stream_has_one_address_and_reserved_names_have_none() {
        for path in [
            "//live/cam.flv",
            "/live//cam.flv",
            "/live/./cam.flv",
            "/live/cam/.flv/",
            "/live/cam?x.flv",
            "/rtmp://x/live/cam.flv",
            "/live/_definst_/cam.flv",
            "/live/cam/",
            "/.flv",
            "/.m3u",
            "/live//cam.sdp",
            "/api.m3u",
            "/live/cam.ts",
            "/live/cam.mp4",
            "/_weir",
            "/metrics.flv",
            "/metrics/x",
            "/recordings",
        ] {
            assert_eq!(Route::of(path, false), Route::Unknown, "{path}");
        }
    }
}
