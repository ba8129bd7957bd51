//! What HTTP requests mean: the table of addresses, and what is common to all that answer.
//!
//! | address | answered by |
//! |---|---|
//! | `/api/...`, `/metrics` | `api`, which asks `access` who may; `metrics` |
//! | `/healthz` | here |
//! | `/APP/KEY.flv` | `flv`: a live stream, also as a WebSocket |
//! | `/APP/KEY.json` | `watch`: what there is to know before playing |
//! | `/APP/KEY`, `?watch` on any address | the watch page, of `assets` |
//! | `/`, `/_weir/...` | the console and the files of both pages, of `assets` |
//!
//! The protocol is in [`crate::http`]. What browsers and scripts may rely on is in `docs/openapi.yaml`.

mod access;
mod api;
mod assets;
mod flv;
mod metrics;
mod watch;

pub(super) use access::Access;
pub use access::AdminToken;
pub(super) use api::Api;

use super::{
    PathError, StreamPath,
    connection::{Connection, Context, End, Role},
    tracks,
};
use crate::{
    base::Payload,
    http::{Date, Event, Method, Request, RequestId, Resource, Response, Status, cors, mime},
    rtmp::MessageStreamId,
};
use alloc::string::ToString;
use std::time::{SystemTime, UNIX_EPOCH};

/// Flash players and their successors ask for it before they read from here.
const CROSS_DOMAIN: &str = "<?xml version=\"1.0\"?>\n<cross-domain-policy>\
    <site-control permitted-cross-domain-policies=\"master-only\"/><allow-access-from domain=\"*\"/>\
    </cross-domain-policy>\n";

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
        // Behind no preflight: pages of other origins have no business there.
        if path == "/metrics" || path == "/api" || path.starts_with("/api/") {
            return self.api(cx, id, request);
        }
        if let Some(preflight) = cors::preflight(request) {
            return self.respond(cx, id, &preflight);
        }
        if !request.is_read() {
            return self.respond(cx, id, &Response::not_allowed(path, &[Method::Get, Method::Head]));
        }
        let name = path.trim_start_matches('/');
        if request.parameter("watch").is_some() {
            return self.page(cx, id, request, assets::WATCH);
        }
        if let Some(name) = path.strip_prefix(assets::PREFIX) {
            return self.page(cx, id, request, name);
        }
        match name {
            "" => self.page(cx, id, request, assets::CONSOLE),
            "healthz" => self.health(cx, id),
            "favicon.ico" => self.page(cx, id, request, assets::ICON),
            "crossdomain.xml" => {
                let response = Response::text(mime::of_name(path), CROSS_DOMAIN);
                self.respond(cx, id, &response.header("Cache-Control", "max-age=3600"));
            }
            _ => match (name.rsplit_once('.'), StreamPath::join("", "", name)) {
                (Some((name, kind @ ("flv" | "json"))), _) => match StreamPath::join("", "", name) {
                    Ok(stream) if kind == "flv" => self.watch(cx, id, request, &stream),
                    Ok(stream) => self.watch_facts(cx, id, &stream),
                    Err(why) => self.bad_path(cx, id, &why),
                },
                // A player that asks for a kind of file is better told that there is none.
                (None, Ok(_)) if mime::of_name(path) == mime::BYTES => {
                    self.page(cx, id, request, assets::WATCH);
                }
                _ => self.not_found(cx, id, path),
            },
        }
    }

    /// Answers with a file of the pages.
    fn page(&mut self, cx: &Context<'_>, id: RequestId, request: &Request, name: &str) {
        let Some(asset) = assets::find(name) else {
            return self.not_found(cx, id, request.path());
        };
        let resource = Resource {
            mime: asset.mime(),
            len: asset.bytes.len() as u64,
            etag: Some(asset.etag().into()),
            modified: None,
        };
        let mut response = resource.answer_from(request, &[Payload::from(asset.bytes)]);
        for (name, value) in asset.headers() {
            response = response.header(name, value);
        }
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

    fn bad_path(&mut self, cx: &Context<'_>, id: RequestId, why: &PathError) {
        let response = Response::api_error(Status::BAD_REQUEST, "bad_request", &why.to_string());
        self.respond(cx, id, &cors::open(response));
    }

    fn not_found(&mut self, cx: &Context<'_>, id: RequestId, path: &str) {
        let what = "live streams are at /APP/KEY.flv, pages to watch them at /APP/KEY";
        self.respond(cx, id, &Response::error_for(path, Status::NOT_FOUND, what));
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
        // Fails if the client has left meanwhile.
        if session.respond(cx.now, id, response).is_ok() {
            cx.shared.stats.note_answer(response.code().0);
        }
    }
}

fn date() -> Date {
    Date(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}
