//! `--record DIR`: live streams as files.
//!
//! A stream is recorded if its publisher asks for it (`publish` of type record or append), or if its path is what
//! `--record-match` says. Each has a thread of its own, which hears the stream through a [`Tap`] and may be as slow as its
//! disk: the live path only ever puts tags into a bounded channel. What that thread does is in `recording`.
//!
//! A thread ends with its stream, or when the server stops. Which file it writes at the moment, [`Recordings::current`]
//! tells.

mod clock;
mod disk;
mod flv;
mod keep;
mod mp4;
mod name;
mod pattern;
mod recording;
mod repair;

pub use name::NameTemplate;
pub use pattern::Pattern;

use super::{
    Shared,
    path::StreamPath,
    port::{Letter, Mailbox},
    registry::HubHandle,
    tap::Tap,
};
use crate::{
    base::MonoTime,
    rtmp::{
        MessageStreamId,
        session::{Notice, PublishType},
    },
};
use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What is recorded, where and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordConfig {
    /// `--record`: the folder that holds everything; made if there is none.
    pub directory: PathBuf,
    /// `--record-match`: streams that are recorded without being asked.
    pub patterns: Vec<Pattern>,
    /// `--record-format`
    pub format: RecordFormat,
    /// `--record-segment`: another file at the first keyframe after this long.
    pub segment: Option<Duration>,
    /// `--record-max-size`: another file at the first keyframe after that many bytes.
    pub max_size: Option<u64>,
    /// `--record-keep`: so many files of a stream stay, the one included that is being written.
    pub keep: Option<usize>,
    /// `--record-name`
    pub name: NameTemplate,
}

impl RecordConfig {
    /// FLV files in `directory`, one a recording, of whoever asks for it.
    pub fn new(directory: PathBuf) -> RecordConfig {
        RecordConfig {
            directory,
            patterns: Vec::new(),
            format: RecordFormat::Flv,
            segment: None,
            max_size: None,
            keep: None,
            name: NameTemplate::default(),
        }
    }
}

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// Everything that RTMP carries.
    Flv,
    /// H.264, H.265, AV1, VP8, VP9; AAC, MP3, Opus.
    Mp4,
}

impl RecordFormat {
    fn extension(self) -> &'static str {
        match self {
            RecordFormat::Flv => "flv",
            RecordFormat::Mp4 => "mp4",
        }
    }
}

/// The recordings of a server.
pub(super) struct Recordings {
    config: RecordConfig,
    /// The folder, without links.
    root: PathBuf,
    streams: Mutex<HashMap<StreamPath, Stream>>,
    /// Held while files of earlier runs are repaired, and by whoever needs one of those.
    repairing: Mutex<()>,
    /// How many wait for that.
    repair_awaited: AtomicUsize,
    /// How often a file has begun, ended or gone.
    changes: AtomicU64,
}

/// A stream that has a thread.
struct Stream {
    wish: Wish,
    /// The file that is being written, below the folder of recordings, which is absolute.
    current: Option<PathBuf>,
    progress: Arc<Progress>,
}

/// How far the file of a stream is. Written by its thread, read by whoever wants to know.
#[derive(Debug, Default)]
struct Progress {
    /// An operator wants no more of it.
    is_stopped: AtomicBool,
    /// When the file began, on the server's clock.
    since: AtomicU64,
    /// Milliseconds.
    duration: AtomicU64,
    bytes: AtomicU64,
}

/// What there is to tell about a recording that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordingFacts {
    /// The file, below the folder of recordings; `None` before it has begun.
    pub(super) name: Option<String>,
    pub(super) since: MonoTime,
    /// Milliseconds.
    pub(super) duration: u64,
    pub(super) bytes: u64,
}

/// Why a recording does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotStarted {
    /// It goes on already.
    AlreadyRecording,
    /// The server stops, or has no room for a thread.
    Failed,
}

/// What the publisher of the moment wants.
#[derive(Clone, Debug)]
struct Wish {
    kind: Kind,
    /// Who asked, and is told what becomes of it.
    asker: Option<(Arc<Mailbox>, MessageStreamId)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Neither it nor `--record-match` wants a recording.
    Unwanted,
    /// `--record-match`
    Matched,
    /// `publish` of type record.
    Record,
    /// `publish` of type append.
    Append,
    /// An operator.
    Operator,
    /// An operator wants it no more.
    Stopped,
}

impl Recordings {
    /// Makes the folder.
    pub(super) fn new(config: RecordConfig) -> io::Result<Recordings> {
        fs::create_dir_all(&config.directory)?;
        let root = config.directory.canonicalize()?;
        let (streams, repairing, repair_awaited, changes) = Default::default();
        Ok(Recordings { config, root, streams, repairing, repair_awaited, changes })
    }

    /// The folder, without links.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The file that a stream is being recorded to now.
    pub(super) fn current(&self, path: &StreamPath) -> Option<PathBuf> {
        self.lock().get(path)?.current.clone()
    }

    /// How files are called.
    pub(super) fn template(&self) -> &NameTemplate {
        &self.config.name
    }

    /// Names of files that have no end yet: that are being written, or were left so by an earlier run.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = String> {
        disk::marked(&self.root)
    }

    /// How often a file has begun, ended or gone.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// What is being recorded.
    pub(super) fn facts(&self) -> HashMap<StreamPath, RecordingFacts> {
        let streams = self.lock();
        let wanted = streams.iter().filter(|(_, stream)| stream.is_wanted() || stream.current.is_some());
        wanted.map(|(path, stream)| (path.clone(), stream.facts(&self.root))).collect()
    }

    /// Records a stream because an operator wants it. Its publisher is not told.
    pub(super) fn start(&self, shared: &Arc<Shared>, hub: HubHandle) -> Result<(), NotStarted> {
        let mut streams = self.lock();
        match streams.get_mut(hub.path()) {
            Some(stream) if stream.is_wanted() => return Err(NotStarted::AlreadyRecording),
            Some(stream) => {
                stream.wish = Wish { kind: Kind::Operator, asker: None };
                stream.progress.is_stopped.store(false, Ordering::Relaxed);
                return Ok(());
            }
            None if shared.is_stopping() => return Err(NotStarted::Failed),
            None => {}
        }
        self.begin(shared, streams, hub, Wish { kind: Kind::Operator, asker: None })
    }

    /// Ends a recording because an operator wants it; false if there is none.
    pub(super) fn stop(&self, path: &StreamPath) -> bool {
        match self.lock().get_mut(path) {
            Some(stream) if stream.is_wanted() || stream.current.is_some() => {
                // Who asked for it is told of its end.
                stream.wish.kind = Kind::Stopped;
                stream.progress.is_stopped.store(true, Ordering::Relaxed);
                true
            }
            _ => false,
        }
    }

    /// Starts to repair what earlier runs left unfinished.
    pub(super) fn start_repair(&self, shared: &Arc<Shared>) -> io::Result<()> {
        let job = shared.clone();
        shared.jobs.spawn("weir-repair".to_string(), move || {
            let Some(recordings) = &job.recordings else { return };
            let _repairing = recordings.repairing.lock().unwrap_or_else(PoisonError::into_inner);
            repair::all(&recordings.root, || match recordings.repair_awaited.load(Ordering::Relaxed) {
                _ if job.is_stopping() => repair::Wish::Stop,
                0 => repair::Wish::GoOn,
                _ => repair::Wish::Hurry,
            });
        })
    }

    /// Somebody may publish now, and has sent no tag yet. `asked`: its message stream, and what it said.
    pub(super) fn published(
        &self,
        shared: &Arc<Shared>,
        hub: HubHandle,
        publisher: &Arc<Mailbox>,
        asked: Option<(MessageStreamId, PublishType)>,
    ) {
        let path = hub.path().clone();
        let kind = match asked {
            Some((_, PublishType::Record)) => Kind::Record,
            Some((_, PublishType::Append)) => Kind::Append,
            _ if self.config.patterns.iter().any(|pattern| pattern.matches(path.as_str())) => Kind::Matched,
            _ => Kind::Unwanted,
        };
        let is_asked = matches!(kind, Kind::Record | Kind::Append);
        let asker = asked.filter(|_| is_asked).map(|(stream, _)| (publisher.clone(), stream));
        let wish = Wish { kind, asker };
        let mut streams = self.lock();
        if let Some(stream) = streams.get_mut(&path) {
            // Who comes back finds its recording under way.
            if let Some((mailbox, id)) = wish.asker.as_ref().filter(|_| stream.current.is_some()) {
                mailbox.leave(Letter::Notice(*id, Notice::RecordStarted));
            }
            stream.wish = wish;
            stream.progress.is_stopped.store(false, Ordering::Relaxed);
            return;
        }
        if kind == Kind::Unwanted || shared.is_stopping() {
            return;
        }
        // It has said why not.
        let _ = self.begin(shared, streams, hub, wish);
    }

    /// Starts a thread for a stream that has none.
    fn begin(
        &self,
        shared: &Arc<Shared>,
        mut streams: MutexGuard<'_, HashMap<StreamPath, Stream>>,
        hub: HubHandle,
        wish: Wish,
    ) -> Result<(), NotStarted> {
        let path = hub.path().clone();
        // Here and not in the thread, which may hear of it too late.
        let tap = Tap::new(shared.clone(), hub);
        let (job, of) = (shared.clone(), path.clone());
        let progress = Arc::<Progress>::default();
        streams.insert(path.clone(), Stream { wish, current: None, progress: progress.clone() });
        drop(streams);
        let record = move || recording::run(&job, &of, tap, &progress);
        shared.jobs.spawn("weir-record".to_string(), record).map_err(|error| {
            log::error!("{path} cannot be recorded: {}", super::plain(&error));
            self.tell(&path, Notice::RecordFailed);
            self.lock().remove(&path);
            NotStarted::Failed
        })
    }

    // ---- for the threads

    fn wish(&self, path: &StreamPath) -> Kind {
        self.lock().get(path).map_or(Kind::Unwanted, |stream| stream.wish.kind)
    }

    fn set_current(&self, path: &StreamPath, current: Option<PathBuf>) {
        if let Some(stream) = self.lock().get_mut(path) {
            stream.current = current;
        }
        self.note_change();
    }

    /// A file has begun, ended or gone.
    fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// An operator wanted an end: true if its thread has to end as well. Otherwise it is wanted again.
    fn has_stopped(&self, path: &StreamPath) -> bool {
        let mut streams = self.lock();
        let is_over = streams.get(path).is_none_or(|stream| stream.wish.kind == Kind::Stopped);
        if is_over {
            streams.remove(path);
        }
        is_over
    }

    /// Tells the publisher that asked for the recording, if one did.
    fn tell(&self, path: &StreamPath, notice: Notice) {
        let asker = self.lock().get(path).and_then(|stream| stream.wish.asker.clone());
        if let Some((mailbox, stream)) = asker {
            mailbox.leave(Letter::Notice(stream, notice));
        }
    }

    /// The stream has ended: true if its thread has to as well. Otherwise somebody publishes already.
    fn has_ended(&self, hub: &HubHandle) -> bool {
        let mut streams = self.lock();
        let is_over = !hub.is_live();
        if is_over {
            streams.remove(hub.path());
        }
        is_over
    }

    fn forget(&self, path: &StreamPath) {
        self.lock().remove(path);
    }

    fn wait_for_repair(&self) -> MutexGuard<'_, ()> {
        self.repair_awaited.fetch_add(1, Ordering::Relaxed);
        let repairing = self.repairing.lock().unwrap_or_else(PoisonError::into_inner);
        self.repair_awaited.fetch_sub(1, Ordering::Relaxed);
        repairing
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamPath, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    fn is_wanted(&self) -> bool {
        !matches!(self.wish.kind, Kind::Unwanted | Kind::Stopped)
    }

    fn facts(&self, root: &Path) -> RecordingFacts {
        let name = self.current.as_ref().and_then(|file| file.strip_prefix(root).ok());
        let Progress { since, duration, bytes, .. } = &*self.progress;
        RecordingFacts {
            name: name.map(|name| name.display().to_string()),
            since: MonoTime(since.load(Ordering::Relaxed)),
            duration: duration.load(Ordering::Relaxed),
            bytes: bytes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::MonoTime,
        server::{
            Config, Server,
            port::ConnectionId,
            registry::Ending,
            testing::{inter_frame, keyframe, video_header},
        },
    };
    use alloc::vec;
    use core::net::Ipv4Addr;
    use std::{env, thread, time::Instant};

    fn until(mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < deadline, "not in time");
            thread::yield_now();
        }
    }

    #[test]
    fn whoever_asks_learns_which_file_is_being_written() {
        let directory = env::temp_dir().join(alloc::format!("weir-record-test-{}", std::process::id()));
        let record = RecordConfig {
            patterns: vec!["live/*".parse().unwrap()],
            name: "{path}".parse().unwrap(),
            ..RecordConfig::new(directory.clone())
        };
        let listen = vec!["127.0.0.1:0".parse().unwrap()];
        let server = Server::start(Config { listen, record: Some(record), ..Config::default() }).unwrap();
        let shared = server.shared.clone().unwrap();
        let recordings = shared.recordings.as_ref().unwrap();
        let path = StreamPath::join("", "", "live/x").unwrap();
        let mailbox =
            Arc::new(Mailbox::new(ConnectionId(0), Ipv4Addr::LOCALHOST.into(), server.port.clone()));
        let publishing = shared.publish(shared.now(), &path, &mailbox, None).ok().unwrap();
        assert_eq!(recordings.current(&path), None);
        [video_header(0, 1), keyframe(7000), inter_frame(7040)]
            .into_iter()
            .for_each(|tag| publishing.tag(MonoTime(1), tag));
        until(|| recordings.current(&path).is_some());
        let expected = directory.canonicalize().unwrap().join("live/x.flv");
        assert_eq!(recordings.current(&path), Some(expected));
        publishing.finish(MonoTime(2), Ending::Proper);
        until(|| server.streams() == 0);
        assert_eq!(recordings.current(&path), None);
        drop(shared);
        drop(server);
        let _ = fs::remove_dir_all(directory);
    }
}
