//! Live streams in segments, as HLS and DASH: which requests are for them, and what responses look like.
//!
//! `/live/cam/index.m3u8` is where players begin, `/live/cam/index.mpd` those of DASH; what these list lies beside them. The thread of the
//! stream answers (`server/hls`). Any page may read all of it. What is wrong is told in a line of text.

use crate::{
    hls::{Answer, Kind},
    http::{Request, RequestId, Resource, Response, Status, cors},
    server::{
        StreamPath,
        connection::{Connection, Context},
        hls::Refused,
    },
};
use alloc::format;

impl Connection {
    /// Answers, or has answered later, a request for a file of a stream.
    pub(super) fn segments(
        &mut self,
        cx: &Context<'_>,
        id: RequestId,
        request: &Request,
        path: &StreamPath,
        kind: Kind,
    ) {
        let asked = cx.shared.segmenters.ask(cx.shared, path, kind, &self.mailbox, (id, request));
        let Err(refused) = asked else {
            self.hls = Some(path.clone());
            return;
        };
        let response = match refused {
            Refused::Off => error(Status::NOT_FOUND, "this server has no HLS (--hls off)"),
            Refused::NotLive => not_live(path),
            Refused::NoSuchFile => error(Status::NOT_FOUND, "there is no such segment any more"),
            Refused::NoRoom(why) => error(Status::SERVICE_UNAVAILABLE, &why),
        };
        self.respond(cx, id, &response);
    }
}

/// The response to a request for a file of `path` that does not have to wait.
pub(in crate::server) fn response(request: &Request, path: &StreamPath, answer: &Answer) -> Response {
    match answer {
        Answer::Ready(file) => {
            let len = file.len() as u64;
            let resource = Resource { mime: file.mime, len, etag: file.etag.clone(), modified: None };
            let response = resource.answer_from(request, &file.pieces);
            if response.code() == Status::RANGE_NOT_SATISFIABLE {
                return cors::open(response);
            }
            cors::open(response.header("Cache-Control", file.cache.header()))
        }
        Answer::Wait { .. } => unanswered(),
        Answer::Gone => error(Status::GONE, "there is no such segment any more"),
        // Nothing of it was ever complete.
        Answer::NotFound if Kind::of(file_of(request)) == Some(Kind::Playlist) => not_live(path),
        Answer::NotFound => error(Status::NOT_FOUND, "there is no such segment"),
        Answer::BadRequest(why) => error(Status::BAD_REQUEST, why),
        Answer::Unplayable(why) => {
            error(Status::NOT_FOUND, &format!("{path} cannot be played as HLS: {why}"))
        }
    }
}

/// What came did not come in time.
pub(in crate::server) fn too_late(path: &StreamPath, is_live: bool) -> Response {
    match is_live {
        true => error(Status::SERVICE_UNAVAILABLE, "nothing new has come in time").header("Retry-After", "1"),
        false => not_live(path),
    }
}

/// The stream's thread has ended before it could answer.
pub(in crate::server) fn unanswered() -> Response {
    error(Status::SERVICE_UNAVAILABLE, "the stream is being ended").header("Retry-After", "1")
}

fn not_live(path: &StreamPath) -> Response {
    error(Status::NOT_FOUND, &format!("nobody publishes {path}"))
}

fn error(status: Status, why: &str) -> Response {
    cors::open(Response::error(status, why))
}

fn file_of(request: &Request) -> &str {
    request.path().rsplit('/').next().unwrap_or_default()
}
