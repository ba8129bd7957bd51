//! Recorded streams: the files of `--media`, played as `vod/...`, and the recordings of live streams from an earlier point
//! (time shift), each connection by a thread of its own.
//!
//! ```text
//! reactor ── a request that may need a file ──> weir-file-N: looks for the file, opens it, answers, plays
//!    ^                                              |  |
//!    └────────── plays no file any more ────────────┘  └── plays live ──> weir-play-N
//! ```
//!
//! Whoever owned the connection before does not wait for the disk: it gives the connection away with the request
//! unanswered ([`Ask`]), and the session reads nothing that follows until then. The thread blocks in reading files and sleeps in
//! `poll` like the others. A connection plays either live streams or files, as many of one kind as it likes.
//!
//! Bounds: [`MAX_THREADS`]; those of `player`.

mod library;
mod player;
mod thread;

pub use library::MEDIA_APP;

use library::Library;

use super::{
    Shared,
    connection::Owned,
    path::StreamPath,
    player::Action,
    pool::Pool,
    port::{Control, Port},
};
use crate::rtmp::{
    MessageStreamId,
    session::{PlayStart, RejectReason, RequestId, Wanted},
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
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};
use thread::FileThread;

/// Connections that play files at once: each has a thread.
const MAX_THREADS: usize = 1024;

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
    /// For the files below `root`, if any.
    pub(super) fn new(root: Option<&Path>, pool: Arc<Pool>, home: Arc<Port>) -> io::Result<Vod> {
        let library = root.map(Library::new).transpose()?;
        Ok(Vod { library, pool, home, state: Mutex::default() })
    }

    /// Whether a stream of that name may be a file.
    pub(super) fn has(&self, path: &StreamPath) -> bool {
        self.library.is_some() && Library::has(path)
    }

    /// Asks every thread to end its connection and itself; `jobs` waits for them.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        state.threads.iter().for_each(|(_, port)| port.send(Control::Stop));
    }

    /// A thread has ended.
    fn forget(&self, number: usize) {
        self.lock().threads.retain(|(other, _)| *other != number);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a connection that waits for an answer about a file to a thread of its own. First of `actions` is what it waits for;
/// behind it may be what it plays live and goes on with if the answer is no. Without a thread the answer is no, and the
/// connection is given back.
pub(super) fn adopt(
    shared: &Arc<Shared>,
    connection: Owned,
    actions: Vec<Action>,
) -> Result<(), (io::Error, Owned)> {
    let requests: Vec<RequestId> = actions.iter().filter_map(Action::asked).collect();
    give_away(shared, connection, actions).map_err(|(error, mut connection)| {
        for request in requests {
            connection.reject(request, RejectReason::Failed("The server plays too many files.".to_string()));
        }
        (error, connection)
    })
}

fn give_away(
    shared: &Arc<Shared>,
    connection: Owned,
    actions: Vec<Action>,
) -> Result<(), (io::Error, Owned)> {
    let Some(vod) = &shared.vod else { return Err((io::ErrorKind::Unsupported.into(), connection)) };
    let mut state = vod.lock();
    if state.is_stopped || state.threads.len() >= MAX_THREADS {
        return Err((io::Error::other("too many connections play files"), connection));
    }
    let number = state.started;
    let started = FileThread::new(number, shared.clone()).and_then(|(thread, port)| {
        shared.jobs.spawn(format!("weir-file-{number}"), move || thread.run()).map(|()| port)
    });
    match started {
        Ok(port) => {
            state.started += 1;
            state.threads.push((number, port.clone()));
            connection.mailbox.hand_over(port.clone());
            port.send(Control::Adopt(connection, actions));
            Ok(())
        }
        Err(error) => Err((error, connection)),
    }
}
