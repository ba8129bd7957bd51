//! What HTTP requests mean: the table of addresses, and what is common to all that answer.
//!
//! | address | answered by |
//! |---|---|
//! | `/api/...`, `/metrics` | `api`, which asks `access` who may; `metrics` |
//! | `/healthz` | here |
//! | `/APP/KEY.flv` | `flv`: a live stream, also as a WebSocket |
//! | `/APP/KEY/index.m3u8`, `/APP/KEY/index.mpd`, what those list | `hls`: a live stream in segments |
//! | `/APP/KEY.m3u`, `/APP/KEY.sdp` | `metafile`: what opens a player from a web page |
//! | `/APP/KEY.json` | `watch`: what there is to know before playing |
//! | `/APP/KEY`, `?watch` on any address | the watch page, of `assets` |
//! | `/vod/NAME`, `/recordings/NAME` | `files`: files as they are, by range; `metafile`: those with `.m3u` behind their names |
//! | any, for a tunnel | `rtsp/tunnel` |
//! | `/`, `/_weir/...` | the console and the files of both pages, of `assets` |
//!
//! The protocol is in [`crate::http`]. What browsers and scripts may rely on is in `docs/openapi.yaml`.

mod access;
mod api;
mod assets;
pub(super) mod files;
mod flv;
pub(super) mod hls;
pub(super) mod metafile;
mod metrics;
mod route;
mod watch;

pub(super) use access::Access;
pub use access::AdminToken;
pub(super) use api::Api;

use super::{
    connection::{Connection, Context, End, Role},
    tracks, wall,
};
use crate::{
    base::Payload,
    http::{Date, Event, Method, Request, RequestId, Response, Status, cors, mime},
    rtmp::MessageStreamId,
};
use route::Route;

/// Flash players and their successors ask for it before they read from here.
const CROSS_DOMAIN: &str = "<?xml version=\"1.0\"?>\n<cross-domain-policy>\
    <site-control permitted-cross-domain-policies=\"master-only\"/><allow-access-from domain=\"*\"/>\
    </cross-domain-policy>\n";

/// So many stalls long may a response be read that holds memory of a stream: 120 s by default, more than any segment lasts.
const RESPONSE_STALLS: u32 = 4;

impl Connection {
    pub(super) fn handle_http(&mut self, cx: &mut Context<'_>, event: Event) {
        match event {
            Event::Request { id, request } => self.request(cx, id, &request),
            Event::Refused(refusal) => {
                log::debug!("{} {} asks wrongly: {refusal}", self.id(), self.peer);
                cx.shared.stats.note_answer(refusal.status().0);
                self.note_end(End::Request(refusal));
            }
            // Players say nothing that matters.
            _ => {}
        }
    }

    fn request(&mut self, cx: &mut Context<'_>, id: RequestId, request: &Request) {
        let path = request.path();
        log::debug!("{} asks for {path}", self.id());
        if let Some(agent) = request.header("user-agent") {
            // Nearly always the same again.
            if self.agent.as_deref() != Some(agent) {
                self.agent = tracks::shown(agent);
            }
        }
        (self.response_due, self.hls) = (None, None);
        if let Some(cookie) = request.tunnel() {
            return self.tunnel(cx, id, request, cookie);
        }
        let route = Route::of(path, request.parameter("watch").is_some());
        if route == Route::Operate {
            return self.api(cx, id, request);
        }
        let is_open = route.is_open_to_other_sites();
        if let Some(preflight) = cors::preflight(request).filter(|_| is_open) {
            return self.respond(cx, id, &preflight);
        }
        if let Some(response) = unread(request) {
            let response = if is_open { cors::open(response) } else { response };
            return self.respond(cx, id, &response);
        }
        match route {
            Route::Asset(name) => self.page(cx, id, request, name),
            // Answered above.
            Route::Operate => {}
            Route::Health => self.health(cx, id),
            Route::CrossDomain => {
                let response = Response::text(mime::of_name(path), CROSS_DOMAIN);
                self.respond(cx, id, &response.header("Cache-Control", "max-age=3600"));
            }
            Route::Flv(stream) => self.watch(cx, id, request, &stream),
            Route::List(stream) => self.list(cx, id, request, &stream),
            Route::Description(stream) => self.description(cx, id, request, &stream),
            Route::Facts(stream) => self.watch_facts(cx, id, &stream),
            Route::NoFacts => {
                let why = "this is no name of a stream";
                let response = Response::api_error(Status::BAD_REQUEST, "bad_request", why);
                self.respond(cx, id, &cors::open(response));
            }
            Route::Segments(stream, kind) => self.segments(cx, id, request, &stream, kind),
            Route::File(folder) => self.file(cx, id, request, folder),
            Route::Unknown => self.not_found(cx, id, path),
        }
    }

    /// Answers with a file of the pages.
    fn page(&mut self, cx: &Context<'_>, id: RequestId, request: &Request, name: &str) {
        let Some(asset) = assets::find(name) else {
            return self.not_found(cx, id, request.path());
        };
        let response = asset.answer(request);
        self.respond(cx, id, &response);
    }

    /// Whether the server runs, for load balancers and supervisors.
    fn health(&mut self, cx: &Context<'_>, id: RequestId) {
        let response = match cx.shared.is_stopping() {
            false => Response::text(mime::TEXT, "ok\n"),
            true => Response::text(mime::TEXT, "stopping\n").status(Status::SERVICE_UNAVAILABLE),
        };
        self.respond(cx, id, &response.header("Cache-Control", "no-store"));
    }

    fn not_found(&mut self, cx: &Context<'_>, id: RequestId, path: &str) {
        let what = "live streams are at /APP/KEY.flv and /APP/KEY/index.m3u8, pages to watch them at /APP/KEY, \
                    files at /vod/NAME";
        self.respond(cx, id, &cors::open(Response::error_for(path, Status::NOT_FOUND, what)));
    }

    /// Answers a request.
    pub(super) fn respond(&mut self, cx: &Context<'_>, id: RequestId, response: &Response) {
        let Some(session) = self.protocol.http() else { return };
        session.set_date(date());
        cx.shared.stats.note_answer(response.code().0);
        if let Err(misuse) = session.respond(cx.now, id, response) {
            log::error!("{}: {misuse}", self.id());
        }
    }

    /// Sends more of an endless response, if the socket has taken what came before.
    pub(super) fn respond_more(&mut self, cx: &Context<'_>, piece: &Payload) {
        self.flush(cx.now);
        let Some(session) = self.protocol.http() else { return };
        if session.output_len() == 0 && session.send(piece).is_ok() {
            self.set_role(MessageStreamId(0), Role::Listening);
        }
    }

    /// Answers a request that had to wait.
    pub(super) fn respond_late(&mut self, cx: &Context<'_>, id: RequestId, response: &Response) {
        let Some(session) = self.protocol.http() else { return };
        session.set_date(date());
        // An endless one is never written.
        let due = cx.now + cx.shared.stall_timeout * RESPONSE_STALLS;
        self.response_due = response.is_complete().then_some(due);
        // Fails if the client has left meanwhile.
        if session.respond(cx.now, id, response).is_ok() {
            cx.shared.stats.note_answer(response.code().0);
        }
    }
}

/// The answer to a request that does not read: there is nothing here that can be changed.
fn unread(request: &Request) -> Option<Response> {
    if request.is_read() {
        return None;
    }
    let allowed = [Method::Get, Method::Head, Method::Options];
    if request.method() == Method::Options {
        let names = allowed.map(|method| method.name()).join(", ");
        return Some(Response::new(Status::NO_CONTENT).header("Allow", names));
    }
    Some(Response::not_allowed(request.path(), &allowed))
}

/// The time of day.
pub(super) fn date() -> Date {
    Date(wall::now().as_secs())
}
