//! Metafiles: small files behind a link of a web page, by which a click opens a player that is a program of its own.
//!
//! | address | what comes | for |
//! |---|---|---|
//! | `/APP/KEY.m3u` | addresses of a live stream, one a protocol | VLC, mpv, whatever opens `.m3u` |
//! | `/APP/KEY.sdp` | its description, with absolute RTSP URLs to set its tracks up | GStreamer, players of old |
//! | `/vod/NAME.m3u`, `/recordings/NAME.m3u` | addresses of a file | as the first |
//!
//! They name this server as the client names it, by TLS where it came by TLS, and pass the query on, where tokens are. A
//! browser saves them instead of playing them, and asks which program is to open them. Of a stream that nobody publishes they
//! are 404, as `/APP/KEY.flv` is.
//!
//! Field notes: players take a list for a sequence and go on to the next entry when one fails or ends; so the first is RTSP, and
//! what follows is for players without it (Debian's VLC) and for firewalls.

use super::{access, api, files::Folder, flv};
use crate::{
    http::{Request, RequestId, Response, Status, cors, mime},
    rtp::sdp,
    server::{
        MEDIA_APP, Scheme, Shared, StreamPath,
        connection::{Connection, Context},
        rtsp,
    },
};
use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
};
use core::net::IpAddr;

/// What the name of a list ends with.
pub(in crate::server) const LIST: &str = ".m3u";
/// What the name of a description ends with.
pub(super) const DESCRIPTION: &str = ".sdp";

/// This server in URLs, as a client reaches it: `rtsp://HOST:8554`.
struct Site {
    rtsp: String,
    rtmp: String,
    http: String,
    /// Empty, or with the question mark.
    query: String,
}

/// A list as it grows.
struct List<'a> {
    /// What is listed.
    name: &'a str,
    query: &'a str,
    text: String,
}

impl Connection {
    /// Answers with a live stream's addresses.
    pub(super) fn list(&mut self, cx: &Context<'_>, id: RequestId, request: &Request, path: &StreamPath) {
        if !cx.shared.registry.is_live(path) && !cx.shared.comes_on_demand(path) {
            return self.respond(cx, id, &flv::not_live(path));
        }
        let site = Site::of(self, cx.shared, request);
        let mut list = List::new(path.as_str(), &site);
        let address = api::address("/", path.as_str());
        list.add("RTSP", &site.rtsp, &address);
        list.add("RTMP", &site.rtmp, &address);
        match cx.shared.segmenters.is_on() {
            true => list.add("HLS", &site.http, &format!("{address}/index.m3u8")),
            false => list.add("HTTP", &site.http, &format!("{address}.flv")),
        }
        self.respond(cx, id, &list.finish());
    }

    /// Answers with a file's addresses; it is there. `name`: below its folder.
    pub(in crate::server) fn list_file(
        &mut self,
        cx: &Context<'_>,
        id: RequestId,
        request: &Request,
        (folder, name): (Folder, &str),
    ) {
        let site = Site::of(self, cx.shared, request);
        let mut list = List::new(name, &site);
        if folder == Folder::Media {
            let address = api::address(&format!("/{MEDIA_APP}/"), name);
            list.add("RTSP", &site.rtsp, &address);
            list.add("RTMP", &site.rtmp, &address);
        }
        list.add("HTTP", &site.http, &api::address(&format!("/{}/", folder.name()), name));
        self.respond(cx, id, &list.finish());
    }

    /// Answers with a live stream's description.
    pub(super) fn description(
        &mut self,
        cx: &Context<'_>,
        id: RequestId,
        request: &Request,
        path: &StreamPath,
    ) {
        let tracks = cx.shared.registry.find(path).map(|hub| hub.rtp_tracks(cx.now)).unwrap_or_default();
        let response = if tracks.is_complete {
            let site = Site::of(self, cx.shared, request);
            let url = format!("{}{}", site.rtsp, api::address("/", path.as_str()));
            let mut description = rtsp::description(path.as_str(), &tracks.formats, sdp::Range::Live);
            for track in &mut description.tracks {
                track.control = format!("{url}/{}{}", track.control, site.query);
            }
            description.control = url + &site.query;
            metafile(mime::SDP, description.write(), path.as_str(), DESCRIPTION)
        } else if cx.shared.registry.is_live(path) || cx.shared.comes_on_demand(path) {
            let why = format!("what {path} consists of is not known yet");
            let response = Response::api_error(Status::SERVICE_UNAVAILABLE, "not_known", &why);
            cors::open(response.header("Retry-After", "1"))
        } else {
            flv::not_live(path)
        };
        self.respond(cx, id, &response);
    }
}

impl Site {
    fn of(connection: &Connection, shared: &Shared, request: &Request) -> Site {
        let named = request.host().map(access::name_of).filter(|name| !name.is_empty());
        let host = named.map_or_else(|| own(connection.local_ip()), ToOwned::to_owned);
        let is_tls = connection.is_tls();
        let url = |scheme: Scheme| {
            let port = api::ports::port(shared, scheme, is_tls).unwrap_or_default();
            scheme.url_of(&host, port, is_tls)
        };
        let http = match request.host() {
            // Also through a proxy, which may know nothing of the other protocols.
            Some(host) if named.is_some() => {
                format!("{}://{host}", if access::is_https(request, is_tls) { "https" } else { "http" })
            }
            _ => url(Scheme::Http),
        };
        let query = match request.query() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        Site { rtsp: url(Scheme::Rtsp), rtmp: url(Scheme::Rtmp), http, query }
    }
}

impl List<'_> {
    fn new<'a>(name: &'a str, site: &'a Site) -> List<'a> {
        List { name, query: &site.query, text: "#EXTM3U\n".to_owned() }
    }

    fn add(&mut self, protocol: &str, site: &str, address: &str) {
        // -1: of any length.
        self.text += &format!("#EXTINF:-1,{} ({protocol})\n{site}{address}{}\n", self.name, self.query);
    }

    fn finish(self) -> Response {
        metafile(mime::M3U, self.text, self.name, LIST)
    }
}

/// A file that is saved under the last part of that name.
fn metafile(mime: &'static str, text: String, name: &str, ending: &str) -> Response {
    let name = format!("{}{ending}", name.rsplit('/').next().unwrap_or(name));
    let encoded = api::address("", &name);
    let file_name = match encoded == name {
        true => format!("attachment; filename=\"{name}\""),
        // RFC 6266, 4.3.
        false => format!("attachment; filename*=UTF-8''{encoded}"),
    };
    let response = Response::text(mime, text).header("Content-Disposition", file_name);
    cors::open(response.header("Cache-Control", "no-store"))
}

/// An address of this machine as the host of a URL.
fn own(address: Option<IpAddr>) -> String {
    match address {
        Some(IpAddr::V6(ip)) => format!("[{ip}]"),
        Some(IpAddr::V4(ip)) => ip.to_string(),
        None => "localhost".to_owned(),
    }
}
