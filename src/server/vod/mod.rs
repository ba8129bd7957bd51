//! Recorded streams: the files of `--media`, played as `vod/...`, and the recordings of live streams from an earlier point
//! (time shift), each connection by a thread of its own; and the same files as they are, over HTTP. `player` plays over RTMP,
//! `replay` over RTSP.
//!
//! ```text
//! reactor ── a request that may need a file ──> weir-file-N: looks for the file, opens it, answers, plays or sends
//!    ^                                              |  |
//!    └────────── plays no file any more ────────────┘  └── plays live ──> weir-play-N
//! ```
//!
//! Whoever owned the connection before does not wait for the disk: it gives the connection away with the request
//! unanswered ([`Ask`], [`Action::Fetch`]), and the session reads nothing that follows until then. The thread blocks in reading files and sleeps in
//! `poll` like the others. A connection plays either live streams or files, as many of one kind as it likes.
//!
//! Bounds: [`MAX_FILE_PLAYERS`]; those of `player` and `indices`.

mod course;
mod film;
mod indices;
mod library;
mod player;
mod replay;
mod thread;

pub use library::MEDIA_APP;
pub(super) use library::is_media;
pub(super) use player::Pumped;
pub(super) use replay::{Due, Replay};

use indices::Indices;
use library::Library;

use super::{
    Shared,
    connection::{Connection, Context},
    path::StreamPath,
    plain,
    player::Action,
    pool::Pool,
    port::{Control, Port},
    web::files::{self, Folder},
};
use crate::{
    base::MonoTime,
    rtmp::{
        MessageStreamId,
        session::{PlayStart, RejectReason, Wanted},
    },
    rtsp::Status,
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use thread::FileThread;

/// Connections that play files at once, unless the limit of open files allows fewer: each has a thread.
pub const MAX_FILE_PLAYERS: usize = 1024;

/// A decision that may need a file.
#[derive(Debug)]
pub(super) enum Ask {
    /// play, or play2 with its transition.
    Play {
        entry: Box<Entry>,
        reset: bool,
        transition: Option<String>,
    },
    /// Pause, or go on, where the client is.
    Pause {
        stream: MessageStreamId,
        paused: bool,
        position: u32,
    },
    Seek {
        stream: MessageStreamId,
        position: u32,
    },
    /// How long is it?
    Length {
        path: StreamPath,
    },
}

/// Something to play: an entry of a playlist.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) stream: MessageStreamId,
    /// As the client called it.
    pub(super) name: String,
    pub(super) path: StreamPath,
    pub(super) start: PlayStart,
    /// Milliseconds; `None`: to the end.
    pub(super) duration: Option<u32>,
    pub(super) wanted: Wanted,
}

/// The files of a server, and the threads that play them.
pub(super) struct Vod {
    /// `--media`
    library: Option<Library>,
    /// `--record`
    recordings: Option<Library>,
    indices: Indices,
    /// Threads at once.
    max_players: usize,
    pool: Arc<Pool>,
    /// Of the reactor, to which connections go back.
    home: Arc<Port>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    threads: Vec<(usize, Arc<Port>)>,
    started: usize,
    is_stopped: bool,
}

impl Vod {
    /// For the files below `root`, and the recordings below a path without links, if any.
    pub(super) fn new(
        root: Option<&Path>,
        recordings: Option<PathBuf>,
        max_players: usize,
        pool: Arc<Pool>,
        home: Arc<Port>,
    ) -> io::Result<Vod> {
        let library = root.map(Library::new).transpose()?;
        let recordings = recordings.map(Library::below);
        let (indices, state) = Default::default();
        Ok(Vod { library, recordings, indices, max_players, pool, home, state })
    }

    /// Whether the server has files of that folder.
    pub(super) fn has_folder(&self, folder: Folder) -> bool {
        self.folder(folder).is_some()
    }

    fn folder(&self, folder: Folder) -> Option<&Library> {
        match folder {
            Folder::Media => self.library.as_ref(),
            Folder::Recordings => self.recordings.as_ref(),
        }
    }

    /// Whether a stream of that name may be a file.
    pub(super) fn has(&self, path: &StreamPath) -> bool {
        self.library.is_some() && Library::has(path)
    }

    /// Whether a client of RTSP may mean a file by that name: of `--media` as over RTMP, of `--record` as over HTTP.
    pub(super) fn may_have(&self, path: &StreamPath) -> bool {
        self.has(path) || (self.recordings.is_some() && Vod::recorded(path).is_some())
    }

    /// The name of a recording.
    fn recorded(path: &StreamPath) -> Option<&str> {
        path.as_str().strip_prefix(Folder::Recordings.name())?.strip_prefix('/')
    }

    /// Asks every thread to end its connection and itself; `jobs` waits for them.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        state.threads.iter().for_each(|(_, port)| port.send(Control::Stop));
    }

    /// A folder's path, without links, if the server has it.
    pub(super) fn root(&self, folder: Folder) -> Option<&Path> {
        self.folder(folder).map(Library::root)
    }

    /// The doors of all threads.
    pub(super) fn ports(&self) -> Vec<Arc<Port>> {
        self.lock().threads.iter().map(|(_, port)| port.clone()).collect()
    }

    /// A thread has ended.
    fn forget(&self, number: usize) {
        self.lock().threads.retain(|(other, _)| *other != number);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread of its own for a connection that waits for an answer about a file. The caller gives it away at once, with what it
/// waits for as the first of its actions; behind that may be what it plays live and goes on with if the answer is no.
///
/// # Errors
/// At the limit, or when the system has no room; then [`refuse`].
pub(super) fn hire(shared: &Arc<Shared>) -> io::Result<Arc<Port>> {
    let Some(vod) = &shared.vod else { return Err(io::ErrorKind::Unsupported.into()) };
    let mut state = vod.lock();
    if state.is_stopped {
        return Err(io::ErrorKind::Interrupted.into());
    }
    if state.threads.len() >= vod.max_players {
        return Err(io::Error::other(format!("{} play files already", vod.max_players)));
    }
    let number = state.started;
    let (thread, port) = FileThread::new(number, shared.clone())?;
    shared.jobs.spawn(format!("weir-file-{number}"), move || thread.run())?;
    state.started += 1;
    state.threads.push((number, port.clone()));
    Ok(port)
}

/// Answers what a connection asks for that gets no thread. It goes on with whatever it does.
pub(super) fn refuse(
    now: MonoTime,
    shared: &Arc<Shared>,
    connection: &mut Connection,
    asked: &Action,
    why: &io::Error,
) {
    log::warn!("{} {} cannot play a file: {}", connection.id(), connection.peer, plain(why));
    match asked {
        // An error would end ffmpeg, which asks before every play and can do without.
        Action::Ask { request, ask: Ask::Length { .. } } => connection.accept(*request),
        Action::Ask { request, .. } => {
            connection.reject(*request, RejectReason::Failed(told(why).to_string()));
        }
        Action::Fetch { id, .. } => {
            let cx = Context { now, shared, actions: &mut Vec::new() };
            connection.respond(&cx, *id, &files::busy(told(why)));
        }
        Action::Open { request, .. } => {
            connection.refuse_rtsp(now, *request, Status::SERVICE_UNAVAILABLE, told(why));
        }
        _ => {}
    }
}

/// What a client is told of an error of the system.
fn told(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "The server may not read it.",
        _ if has_no_room(error) => "The server has too many files open.",
        _ => "The server plays too many files.",
    }
}

/// The limit of open files is reached, the process's or the system's.
fn has_no_room(error: &io::Error) -> bool {
    // EMFILE and ENFILE have no kinds of their own.
    matches!(error.raw_os_error(), Some(23 | 24))
}
