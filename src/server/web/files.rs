//! Files over HTTP, as they are: those of `--media` at `/vod/NAME`, those of `--record` at `/recordings/NAME`.
//!
//! In: requests for names below these folders. Out: responses with what caches and seeking players need: type, size, tag,
//! date, ranges. Who may watch may have them, pages of other sites among them. Not here: which names are files
//! (`vod::library`), and sending them, which needs a thread that may wait for the disk (`vod::thread`).
//!
//! A recording that is still being written is as long as it is at the time of the request. Nothing is kept by caches
//! without asking again (`no-cache`): files can be replaced, and recordings grow.

use super::date;
use crate::{
    http::{Date, Request, RequestId, Resource, Response, Status, cors, mime},
    server::{
        MEDIA_APP,
        connection::{Connection, Context},
        player::Action,
    },
};
use alloc::{boxed::Box, format};
use core::ops::Range;
use std::{fs::Metadata, os::unix::fs::MetadataExt};

/// Seconds after which whoever found no room may try again.
const RETRY_AFTER: &str = "5";
/// Seconds after a change in which another one could leave the date, which counts seconds, as it is.
const FRESH: u64 = 2;

/// Where files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Folder {
    /// `--media`
    Media,
    /// `--record`
    Recordings,
}

impl Folder {
    /// What its addresses begin with.
    pub(in crate::server) fn name(self) -> &'static str {
        match self {
            Folder::Media => MEDIA_APP,
            Folder::Recordings => "recordings",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Folder::Media => "--media",
            Folder::Recordings => "--record",
        }
    }
}

/// Folder and name of the file that an address is of, if it is one of a file.
pub(in crate::server) fn named(path: &str) -> Option<(Folder, &str)> {
    let path = path.strip_prefix('/')?;
    [Folder::Media, Folder::Recordings]
        .into_iter()
        .find_map(|folder| Some((folder, path.strip_prefix(folder.name())?.strip_prefix('/')?)))
}

impl Connection {
    /// Has a request for a file answered, or says at once that there is none.
    pub(super) fn file(&mut self, cx: &mut Context<'_>, id: RequestId, request: &Request, folder: Folder) {
        if !cx.shared.vod.as_ref().is_some_and(|vod| vod.has_folder(folder)) {
            let reason = format!("there are no files here: the server runs without {} DIR", folder.flag());
            return self.respond(cx, id, &cors::open(Response::error(Status::NOT_FOUND, &reason)));
        }
        cx.actions.push(Action::Fetch { id, request: Box::new(request.clone()) });
    }
}

/// The answer to a request for a file, and the bytes of it that follow.
pub(in crate::server) fn found(request: &Request, name: &str, metadata: &Metadata) -> (Response, Range<u64>) {
    let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
    // Of a file that is being written, the date may be that of other bytes in the same second.
    let is_settled = seconds.saturating_add(FRESH) <= date().0;
    let (inode, nanoseconds) = (metadata.ino(), metadata.mtime_nsec());
    let resource = Resource {
        mime: mime::of_name(name),
        len: metadata.len(),
        etag: Some(format!("\"{inode:x}-{:x}-{seconds:x}.{nanoseconds:x}\"", metadata.len())),
        modified: is_settled.then_some(Date(seconds)),
    };
    let (response, range) = resource.answer(request);
    (cors::open(response.header("Cache-Control", "no-cache")), range)
}

/// There is no such file, whatever the reason.
pub(in crate::server) fn missing() -> Response {
    cors::open(Response::error(Status::NOT_FOUND, "there is no such file"))
}

/// There is one that the server may not read.
pub(in crate::server) fn forbidden() -> Response {
    cors::open(Response::error(Status::FORBIDDEN, "the server may not read this file"))
}

/// There may be room later.
pub(in crate::server) fn busy(why: &str) -> Response {
    cors::open(Response::error(Status::SERVICE_UNAVAILABLE, why).header("Retry-After", RETRY_AFTER))
}
