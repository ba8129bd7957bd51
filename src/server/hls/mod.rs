//! `--hls`: live streams in segments, as HLS and DASH.
//!
//! ```text
//! reactor ── a request, as an Ask ──> weir-hls-N: hears the stream, owns its muxer
//!    ^                                    |
//!    └── the response, as a letter ───────┘ at once, or when what was asked for is there
//! ```
//!
//! A stream that somebody asks for, or each one, has a thread: it hears the stream through a [`Tap`], as recordings do, and answers
//! every request for its files. The reactor hands a request over and waits for nothing; a request that waits for a part is an
//! entry in the thread's list. The muxer is [`crate::hls`], the thread `segmenter`, responses are made in `web::hls`.
//!
//! A thread ends when nobody has asked for a while (`--hls on-demand`), some time after its stream, or when the server stops;
//! all that it held goes with it.
//!
//! Bounds: [`MAX_SEGMENTERS`], each with what [`crate::hls::Config`] allows; one request of each connection.

mod segmenter;
#[cfg(test)]
mod tests;
mod viewers;

use super::{Shared, path::StreamPath, plain, port::Letter, port::Mailbox, tap::Tap};
use crate::{
    base::MonoTime,
    hls::Kind,
    http::{Request, RequestId, Response},
};
use alloc::{
    boxed::Box,
    format,
    string::String,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    hash::BuildHasher,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use segmenter::Segmenter;
use std::{
    collections::HashMap,
    hash::RandomState,
    sync::{Mutex, MutexGuard, PoisonError},
};
use viewers::Viewers;

/// `--hls`: which live streams are there in segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hls {
    /// Those that somebody asks for, from then on.
    #[default]
    OnDemand,
    /// All: the first one to ask waits for nothing.
    Always,
    /// None.
    Off,
}

/// Streams in segments at once: each has a thread.
pub const MAX_SEGMENTERS: usize = 1024;
/// Those among them of which nothing has come yet: with `--origin` anybody can make up names, which must not cost others their place.
const MAX_AWAITED: usize = 256;

/// The streams that are cut into segments.
pub(super) struct Segmenters {
    hls: Hls,
    idle: Duration,
    resume_window: Duration,
    streams: Mutex<HashMap<StreamPath, Stream>>,
    /// Threads so far.
    started: AtomicU64,
    /// Muxers so far, from a random number on: part of the names of their files.
    muxers: AtomicU64,
}

/// A stream that has a thread.
struct Stream {
    asks: Sender<Ask>,
    /// Wakes the thread.
    knock: Sender<()>,
    viewers: Arc<Mutex<Viewers>>,
    /// Something has come.
    has_begun: Arc<AtomicBool>,
}

/// A request for a file of a stream. One that nobody answers says so when it is dropped.
struct Ask {
    connection: Weak<Mailbox>,
    id: RequestId,
    request: Box<Request>,
    is_answered: bool,
}

/// Why a request is not answered by the thread of its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// `--hls off`
    Off,
    /// Nobody publishes it.
    NotLive,
    /// It is not cut into segments, so that file is of another time.
    NoSuchFile,
    /// The server is at a limit, or the system.
    NoRoom(String),
}

impl Segmenters {
    pub(super) fn new(hls: Hls, idle: Duration, resume_window: Duration) -> Segmenters {
        let muxers = AtomicU64::new(RandomState::new().hash_one(0));
        Segmenters { hls, idle, resume_window, streams: Mutex::default(), started: AtomicU64::new(0), muxers }
    }

    /// Whether there is any of it.
    pub(super) fn is_on(&self) -> bool {
        self.hls != Hls::Off
    }

    /// Somebody publishes.
    pub(super) fn published(&self, shared: &Arc<Shared>, path: &StreamPath) {
        if self.hls != Hls::Always {
            return;
        }
        let mut streams = self.lock();
        if !streams.contains_key(path) {
            match self.open(shared, path, streams.len()) {
                Ok(stream) => drop(streams.insert(path.clone(), stream)),
                Err(why) => log::warn!("{path} is not cut into segments: {why}"),
            }
        }
    }

    /// Has a request answered: [`Letter::Answer`] brings the response, later. `kind`: of the file that it names.
    ///
    /// # Errors
    /// Why there will be none.
    pub(super) fn ask(
        &self,
        shared: &Arc<Shared>,
        path: &StreamPath,
        kind: Kind,
        connection: &Arc<Mailbox>,
        (id, request): (RequestId, &Request),
    ) -> Result<(), Refused> {
        if !self.is_on() {
            return Err(Refused::Off);
        }
        let mut streams = self.lock();
        if !streams.contains_key(path) {
            let is_there = shared.registry.is_live(path) || shared.comes_on_demand(path);
            match kind {
                _ if !is_there => return Err(Refused::NotLive),
                Kind::Media => return Err(Refused::NoSuchFile),
                Kind::Playlist => {}
            }
            let is_awaited = |stream: &&Stream| !stream.has_begun.load(Ordering::Relaxed);
            if streams.values().filter(is_awaited).count() >= MAX_AWAITED && !shared.registry.is_live(path) {
                let why = format!("{MAX_AWAITED} streams are awaited, which is as many as may");
                return Err(Refused::NoRoom(why));
            }
            let stream = self.open(shared, path, streams.len()).map_err(Refused::NoRoom)?;
            streams.insert(path.clone(), stream);
        }
        let ask = Ask {
            connection: Arc::downgrade(connection),
            id,
            request: Box::new(request.clone()),
            is_answered: false,
        };
        let Some(stream) = streams.get(path) else { return Ok(()) };
        let viewers = stream.viewers.clone();
        if !stream.send(ask) {
            // Its thread has ended because the server stops. What was asked is answered all the same, as it is dropped.
            streams.remove(path);
        }
        drop(streams);
        lock(&viewers).note(shared.now(), connection.address, request.header("user-agent"));
        Ok(())
    }

    /// How many watch each stream.
    pub(super) fn viewers(&self, now: MonoTime) -> HashMap<StreamPath, usize> {
        let streams: Vec<_> =
            self.lock().iter().map(|(path, stream)| (path.clone(), stream.viewers.clone())).collect();
        // Without the lock, for which whoever asks for a file would have to wait.
        let counts = streams.into_iter().map(|(path, viewers)| (path, lock(&viewers).count(now)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// One more than `others`, or why not.
    fn open(&self, shared: &Arc<Shared>, path: &StreamPath, others: usize) -> Result<Stream, String> {
        if others >= MAX_SEGMENTERS {
            return Err(format!("{MAX_SEGMENTERS} streams are cut into segments, which is as many as may"));
        }
        let hub = shared.registry.hub(path).map_err(|_| String::from("the server has too many streams"))?;
        let (asks, asked) = unbounded();
        let (knock, knocks) = bounded(1);
        let tap = Tap::new(shared.clone(), hub).knocked_by(knocks);
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let has_begun = Arc::new(AtomicBool::new(false));
        let segmenter = Segmenter::new(shared.clone(), tap, asked, has_begun.clone());
        let spawned = shared.jobs.spawn(format!("weir-hls-{number}"), move || segmenter.run());
        spawned.map_err(|error| {
            let why = plain(&error);
            log::error!("no thread cuts {path} into segments: {why}");
            why
        })?;
        Ok(Stream { asks, knock, viewers: Arc::default(), has_begun })
    }

    // ---- for the threads

    /// Another one for each muxer.
    fn muxer_number(&self) -> u64 {
        self.muxers.fetch_add(1, Ordering::Relaxed)
    }

    /// Removes a stream that nobody asks for and `may_end` lets go: true if its thread has to end.
    fn retire(&self, path: &StreamPath, asks: &Receiver<Ask>, may_end: impl FnOnce() -> bool) -> bool {
        let mut streams = self.lock();
        // Asks are sent under the lock.
        let is_over = asks.is_empty() && may_end();
        if is_over {
            streams.remove(path);
        }
        is_over
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamPath, Stream>> {
        lock(&self.streams)
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    /// False if nobody is there to answer.
    fn send(&self, ask: Ask) -> bool {
        let is_sent = self.asks.send(ask).is_ok();
        // Full: it knows.
        let _ = self.knock.try_send(());
        is_sent
    }
}

impl Ask {
    /// The last piece of the path.
    fn file(&self) -> &str {
        self.request.path().rsplit('/').next().unwrap_or_default()
    }

    /// The connection has ended.
    fn is_void(&self) -> bool {
        self.connection.strong_count() == 0
    }

    fn answer(mut self, response: Response) {
        self.leave(response);
    }

    fn leave(&mut self, response: Response) {
        self.is_answered = true;
        if let Some(connection) = self.connection.upgrade() {
            connection.leave(Letter::Answer(self.id, Box::new(response)));
        }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        if !self.is_answered {
            self.leave(super::web::hls::unanswered());
        }
    }
}
