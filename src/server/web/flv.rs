//! Live streams as FLV, over HTTP or a WebSocket.
//!
//! `/live/cam.flv` is the stream, by `GET` or as a WebSocket with binary messages; `?audio=0` and `?video=0` leave a track out.
//! Timestamps are those of the stream. A stream that nobody publishes is 404, unless it comes when somebody plays it
//! (`--origin`, a source on demand). The response ends when the publisher does.

use super::date;
use crate::server::{
    Shared, StreamPath,
    connection::{Connection, Context, Role},
    player::{Action, Terms},
};
use crate::{
    base::Payload,
    flv::writer,
    http::{Body, Method, Request, RequestId, Response, Status, cors, mime, websocket},
    rtmp::{MessageStreamId, session::Wanted},
};
use alloc::format;

/// What a room knows the one stream of an HTTP connection by.
const STREAM: MessageStreamId = MessageStreamId(1);

impl Connection {
    /// Plays a live stream.
    pub(super) fn watch(
        &mut self,
        cx: &mut Context<'_>,
        id: RequestId,
        request: &Request,
        path: &StreamPath,
    ) {
        if !cx.shared.registry.is_live(path) && !cx.shared.comes_on_demand(path) {
            return self.respond(cx, id, &not_live(path));
        }
        let wants = |name| request.parameter(name).is_none_or(|value| value != "0");
        let wanted = Wanted { audio: wants("audio"), video: wants("video") };
        let hub = match cx.shared.registry.hub(path) {
            Ok(hub) => hub,
            Err(_) => {
                let response = Response::api_error(
                    Status::SERVICE_UNAVAILABLE,
                    "too_many_streams",
                    "the server has too many streams",
                );
                return self.respond(cx, id, &cors::open(response));
            }
        };
        let is_head = request.method() == Method::Head;
        // A handshake is a GET.
        let offer = if is_head { websocket::Offer::None } else { websocket::offer(request) };
        let is_web_socket = offer == websocket::Offer::Valid;
        let response = match offer {
            websocket::Offer::Invalid(response) => return self.respond(cx, id, &cors::open(response)),
            websocket::Offer::Valid => None,
            // Neither chunks nor a length around it: a piece is the same bytes for everybody.
            websocket::Offer::None => {
                let response = Response::new(Status::OK).body(Body::Unframed);
                let response = response.header("Content-Type", mime::FLV).header("Cache-Control", "no-store");
                Some(cors::open(response))
            }
        };
        let now = cx.now;
        let Some(session) = self.protocol.http() else { return };
        session.set_date(date());
        cx.shared.stats.note_answer(if is_web_socket { 101 } else { 200 });
        let begun = match response {
            Some(response) => session.respond(now, id, &response).map(drop),
            None => session.upgrade(now, id, None),
        };
        if let Err(misuse) = begun {
            return log::error!("{}: {misuse}", self.id());
        }
        if is_head {
            return;
        }
        let tracks = hub.tracks();
        // Before anything has come, everything may.
        let (audio, video) = if tracks == (false, false) { (true, true) } else { tracks };
        let header = writer::header(audio && wanted.audio, video && wanted.video);
        // Fails if the client is gone already.
        let _ = session.send(&Payload::from(&header[..]));
        log::info!("{} plays {path} by {}", self.id(), if is_web_socket { "WebSocket" } else { "HTTP" });
        self.set_role(STREAM, Role::Playing);
        cx.actions.push(Action::Join { stream: STREAM, hub, terms: Terms::new(wanted, None) });
    }
}

/// The answer where nobody publishes.
pub(super) fn not_live(path: &StreamPath) -> Response {
    let why = format!("nobody publishes {path}");
    cors::open(Response::api_error(Status::NOT_FOUND, "not_live", &why))
}

impl Shared {
    /// Whether a stream that nobody publishes comes when somebody plays it.
    pub(in crate::server) fn comes_on_demand(&self, path: &StreamPath) -> bool {
        self.has_origin || self.on_demand.contains(path)
    }
}
