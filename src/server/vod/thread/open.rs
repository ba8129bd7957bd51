//! A file for a client of RTSP: which one it is, and what is said if it is none.
//!
//! In: a request that has waited for it. Out: what plays it, for the connection (`rtsp::replay`), or the reason why not. Not here: when
//! media is sent (the parent module). Names are those of RTMP for `--media`, and those of HTTP for `--record`.

use super::{
    FileThread,
    answer::{self, refused},
};
use crate::base::MonoTime;
use crate::{
    rtmp::session::RejectReason,
    rtsp::{Event, Status},
    server::{
        Shared,
        owner::Owner,
        path::StreamPath,
        plain,
        vod::{Replay, Vod, library::NoFile},
        wall,
    },
};
use alloc::string::{String, ToString};
use core::time::Duration;
use std::{fs, path::Path};

impl FileThread {
    /// Opens a file, and has the request answered.
    pub(super) fn open(&mut self, now: MonoTime, index: usize, event: &Event, path: StreamPath) {
        let shared = self.hold.shared.clone();
        let opened = open(&shared, &path);
        self.with(now, index, |connection, cx| match opened {
            Ok(replay) => connection.begin_replay(cx, event, path, replay),
            Err((status, why)) => connection.refuse_replay(cx, event, path, (status, &why)),
        });
    }

    /// What its connection has of files over RTSP.
    pub(super) fn replayed(&self) -> Option<StreamPath> {
        let (_, connection) = self.hold.sockets.iter().next()?;
        let presentation = connection.presentation.as_deref().filter(|_| connection.is_replaying())?;
        Some(presentation.path.clone())
    }
}

fn open(shared: &Shared, path: &StreamPath) -> Result<Replay, (Status, String)> {
    let Some(vod) = &shared.vod else { return Err((Status::NOT_FOUND, NoFile::NotThere.to_string())) };
    let name = Vod::recorded(path).zip(vod.recordings.as_ref());
    let found = match (name, &vod.library) {
        (Some((name, recordings)), _) => recordings.exact(name),
        (None, Some(library)) => library.find(path),
        (None, None) => Err(NoFile::NotThere),
    };
    let file = found.map_err(|why| match why {
        NoFile::Io(error) => (status(&refused(&error)), plain(&error)),
        why => (Status::NOT_FOUND, why.to_string()),
    })?;
    let reader = answer::open(vod, &file).map_err(|(why, reason)| (status(&reason), why))?;
    let length = Duration::from_millis(reader.info().duration.into());
    let began = name.and_then(|_| began(&file, length));
    Replay::new(reader, path, began, shared.seed())
        .ok_or_else(|| (Status::NOT_FOUND, "it has nothing that RTP can carry".to_string()))
}

fn status(reason: &RejectReason) -> Status {
    match reason {
        RejectReason::Failed(_) => Status::SERVICE_UNAVAILABLE,
        _ => Status::NOT_FOUND,
    }
}

/// When a recording began: it was written last when it ended, give or take a second.
fn began(file: &Path, length: Duration) -> Option<Duration> {
    wall::of(fs::metadata(file).ok()?.modified().ok()?).checked_sub(length)
}
