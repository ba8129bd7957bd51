//! The server: sockets, threads, clocks and files around the pure core.
//!
//! ```text
//! weir-reactor   accepts; owns every connection until it plays, publishers for good; keeps resume windows
//! weir-play-N    owns connections that play: writes media, reads acknowledgements (subscriber.rs)
//! weir-source-N  feeds a live stream from a file, pipe, command or server (--source, --pull; --demo: weir-demo)
//! weir-push-N    sends a live stream on (--push)
//! weir-origin    starts a weir-pull-N for each stream that is played here and published at the origin (--origin)
//! weir-file-N    owns a connection that plays files (vod), or gets one over HTTP while it does
//! weir-record    writes one stream to files (--record)
//! weir-repair    mends what an earlier run left unfinished there, at the start
//! weir-hls-N     cuts one live stream into segments and answers who asks for them (--hls)
//! weir-capture   writes pcap files (--capture)
//! weir-group-N   sends one live stream to a multicast group (--rtsp-multicast)
//! weir-describe  waits for a stream to show its tracks (rtsp)
//! weir-api       answers what is asked about the server itself (web/api)
//! ```
//!
//! A connection belongs to one thread at a time and moves as a whole when `play` is accepted. Threads share the
//! [`registry`] of streams, whose hubs are locked for microseconds per tag, and reach each other through channels
//! and wakers ([`port`]). [`Server::stop`] joins every thread; one that hangs in a write to a dead disk is left behind.
//!
//! Life of a tag: socket -> the thread's read buffer -> message body (the one copy) -> hub, which keeps it for late
//! joiners and sends it once to each thread that has players of the stream -> gathered with others and chunked as one
//! piece per thread -> shared by every player's output -> `sendfile` or `write`.
//!
//! | where to look | for |
//! |---|---|
//! | `connection` | a socket with its session |
//! | `reactor`, `subscriber`, `vod` | the threads that own connections; `owner`, `sockets`, `deadlines` are what they share, `pool` and `port` how connections move |
//! | `registry`, `hub`, `cache` | streams by their path; one stream; what late joiners get |
//! | `room`, `player`, `merge`, `staging`, `shared_tag` | one stream on one thread, and how its players get it |
//! | `jobs`, `tap` | blocking threads, and a stream as one of them hears it |
//! | `source`, `relay`, `record`, `hls`, `media`, `demo` | streams that weir feeds, sends on, writes to files and cuts into segments; files opened |
//! | `client` | the other side of RTMP, blocking |
//! | `protocol`, `requests`, `web`, `rtsp` | what a connection speaks; what RTMP's requests mean; what HTTP's do, and the pages for browsers; what RTSP's do, and packets |
//! | `transport`, `tls` | a connection's socket, and TLS around it; the certificate |
//! | `report`, `meter`, `tracks` | what there is to tell about connections and streams |
//! | `config`, `listen` | what a server is started with; the sockets that clients connect to |
//! | `backoff`, `coalescing`, `capture`, `stats`, `networks`, `path`, `file_limit`, `signals` | one small matter each |

mod backoff;
mod cache;
mod capture;
pub mod client;
mod coalescing;
mod config;
mod connection;
mod deadlines;
mod demo;
mod file_limit;
mod hls;
mod hub;
mod jobs;
mod listen;
pub mod media;
mod merge;
mod meter;
mod networks;
mod owner;
mod path;
mod player;
mod pool;
mod port;
mod protocol;
mod reactor;
mod record;
mod registry;
pub mod relay;
mod report;
mod requests;
mod room;
mod rtsp;
mod shared_tag;
mod signals;
mod sockets;
pub mod source;
mod staging;
pub mod stats;
mod subscriber;
mod tap;
#[cfg(test)]
mod testing;
mod tls;
mod tracks;
mod transport;
mod vod;
mod wall;
mod web;

pub use cache::MAX_GOP_TIME;
pub use config::Config;
pub use demo::DEMO_PATH;
pub use file_limit::{Ceilings, PER_FILE_PLAYER, raise_file_limit};
pub use hls::{Hls, MAX_SEGMENTERS};
pub use hub::{SILENT_AFTER, Takeover};
pub use listen::Scheme;
pub use merge::Merge;
pub use networks::{BadNetwork, Networks};
pub use path::{MAX_PATH_LEN, PathError, StreamPath};
pub use record::{NameTemplate, Pattern, RecordConfig, RecordFormat};
pub use registry::MAX_HUBS;
pub use rtsp::{BadMulticastNet, DEFAULT_PORTS, MulticastNet, RtspConfig};
pub use signals::{Asked, Signals};
pub use stats::Stats;
pub use tls::{TlsConfig, TlsError};
pub use vod::{MAX_FILE_PLAYERS, MEDIA_APP};
pub use web::AdminToken;

use crate::{
    base::MonoTime,
    http,
    rtmp::{
        Limits, MessageStreamId, ServerConfig,
        session::{PublishType, RejectReason},
    },
};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use capture::{Capture, CaptureThread};
use core::{
    fmt,
    hash::{BuildHasher, Hasher},
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use crossbeam_channel::unbounded;
use hls::Segmenters;
use jobs::Jobs;
use pool::Pool;
use port::{Control, Mailbox, Port};
use reactor::Reactor;
use record::Recordings;
use registry::{Policy, Publishing, Registry};
use relay::ServerId;
use rtsp::Rtsp;
use sockets::Sockets;
use source::Retry;
use std::{
    collections::hash_map::RandomState,
    io,
    path::PathBuf,
    thread::{self, JoinHandle},
    time::Instant,
};
use tls::Tls;
use vod::Vod;
use web::{Access, Api};

/// Chunk size towards every client: a frame of most streams is one chunk. ffmpeg publishers copy it.
pub const SEND_CHUNK_SIZE: u32 = 65_536;
/// Time that connections have to read their goodbye when the server stops.
pub const STOP_GRACE: Duration = Duration::from_secs(1);

/// A running server. Dropping it stops it.
pub struct Server {
    addresses: Vec<SocketAddr>,
    shared: Option<Arc<Shared>>,
    pool: Arc<Pool>,
    port: Arc<Port>,
    reactor: Option<JoinHandle<()>>,
    capture: Option<CaptureThread>,
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// An address of `--listen` cannot be used.
    Listen(SocketAddr, io::Error),
    /// The directory of `--capture` cannot be used.
    Capture(PathBuf, io::Error),
    /// The directory of `--media` cannot be used.
    Media(PathBuf, io::Error),
    /// The directory of `--record` cannot be used.
    Record(PathBuf, io::Error),
    /// The certificate or the key cannot be used.
    Tls(TlsError),
    /// The system refused a thread or a poll.
    System(io::Error),
}

/// What all threads of a server share.
struct Shared {
    started: Instant,
    /// Where it listens.
    addresses: Vec<SocketAddr>,
    registry: Arc<Registry>,
    session: ServerConfig,
    http: http::Limits,
    /// Streams that come when somebody plays them: all of them, or those.
    has_origin: bool,
    on_demand: Vec<StreamPath>,
    merge: Merge,
    stall_timeout: Duration,
    /// Who this server is to others that it fetches from.
    id: ServerId,
    retry: Retry,
    stats: Stats,
    jobs: Jobs,
    capture: Option<Capture>,
    vod: Option<Vod>,
    recordings: Option<Recordings>,
    segmenters: Segmenters,
    rtsp: Rtsp,
    tls: Option<Tls>,
    api: Api,
    is_stopping: AtomicBool,
    seeds: RandomState,
    seeds_given: AtomicU64,
}

impl Server {
    /// Binds the addresses and starts the threads.
    ///
    /// # Errors
    /// When an address, a directory or a thread cannot be had; nothing is left running.
    pub fn start(config: Config) -> Result<Server, StartError> {
        let tls = config.tls.map(Tls::load).transpose().map_err(StartError::Tls)?;
        let (listeners, addresses) = listen::on_all(&config.listen)?;
        let (capture, capture_thread) = match config.capture {
            None => (None, None),
            Some(directory) => {
                let started = Capture::start(directory.clone());
                let (capture, handle) = started.map_err(|error| StartError::Capture(directory, error))?;
                (Some(capture), Some(handle))
            }
        };

        let recordings = config.record.map(|record| {
            let directory = record.directory.clone();
            Recordings::new(record).map_err(|error| StartError::Record(directory, error))
        });
        let recordings = recordings.transpose()?;

        let (sockets, waker) = Sockets::new(listeners.len()).map_err(StartError::System)?;
        let (control, messages) = unbounded();
        let port = Arc::new(Port::new(control, waker));
        let is_on_demand = |source: &&source::SourceConfig| source.start == source::Start::OnDemand;
        let on_demand =
            config.sources.iter().filter(is_on_demand).map(|source| source.path.clone()).collect();
        let (wanted, asked) = match config.origin {
            Some(origin) => {
                let (wanted, paths) = unbounded();
                (Some(wanted), Some((origin, paths)))
            }
            None => (None, None),
        };
        let policy = Policy {
            publish_from: config.publish_from,
            takeover: config.takeover,
            resume_window: config.resume_window,
            gop_bytes: config.gop_cache,
            wanted,
        };
        let pool = Arc::new(Pool::new(config.subscriber_threads));
        let plays_files = config.media.is_some() || recordings.is_some();
        let vod = plays_files.then(|| {
            let recorded = recordings.as_ref().map(|recordings| recordings.root().to_path_buf());
            let (players, pool, port) = (config.max_file_players, pool.clone(), port.clone());
            let vod = Vod::new(config.media.as_deref(), recorded, players, pool, port);
            vod.map_err(|error| StartError::Media(config.media.clone().unwrap_or_default(), error))
        });
        let vod = vod.transpose()?;
        let seeds = RandomState::new();
        let limits = Limits { max_queued_output: config.max_queue, ..config.limits };
        let shared = Arc::new(Shared {
            started: Instant::now(),
            addresses: addresses.clone(),
            registry: Registry::new(policy, port.clone()),
            http: http::Limits { max_queued_output: config.max_queue, ..http::Limits::default() },
            session: ServerConfig { limits, chunk_size: SEND_CHUNK_SIZE, ..ServerConfig::default() },
            has_origin: asked.is_some(),
            on_demand,
            merge: config.merge,
            stall_timeout: config.stall_timeout,
            id: ServerId::random(),
            retry: config.retry,
            stats: Stats::default(),
            jobs: Jobs::default(),
            capture,
            vod,
            recordings,
            segmenters: Segmenters::new(config.hls, config.hls_idle, config.resume_window),
            rtsp: Rtsp::new(config.rtsp, config.max_queue),
            tls,
            api: Api::new(
                Access::new(config.admin_token.as_ref()),
                seeds.hash_one(0),
                config.max_connections,
                port.clone(),
                pool.clone(),
            ),
            is_stopping: AtomicBool::new(false),
            seeds,
            seeds_given: AtomicU64::new(1),
        });
        let reactor = Reactor::new(
            shared.clone(),
            pool.clone(),
            port.clone(),
            messages,
            sockets,
            listeners,
            config.max_connections,
        )
        .map_err(StartError::System)?;
        let reactor = thread::Builder::new()
            .name("weir-reactor".to_string())
            .spawn(move || reactor.run())
            .map_err(StartError::System)?;

        let server = Server {
            addresses,
            shared: Some(shared.clone()),
            pool,
            port: port.clone(),
            reactor: Some(reactor),
            capture: capture_thread,
        };
        if let Some(recordings) = &shared.recordings {
            recordings.start_repair(&shared).map_err(StartError::System)?;
        }
        if config.demo {
            source::start_at(&shared, "weir-demo".to_string(), demo::source()).map_err(StartError::System)?;
        }
        for (number, source) in config.sources.into_iter().enumerate() {
            let name = format!("weir-source-{number}");
            source::start_at(&shared, name, source).map_err(StartError::System)?;
        }
        for (number, push) in config.pushes.into_iter().enumerate() {
            relay::start_push(&shared, number, push).map_err(StartError::System)?;
        }
        if let Some((origin, paths)) = asked {
            relay::start_origin(&shared, origin, paths).map_err(StartError::System)?;
        }
        Ok(server)
    }

    /// Where the server listens, in the order of [`Config::listen`], with the ports it got.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What it has done so far.
    pub fn stats(&self) -> &Stats {
        &self.shared.as_ref().expect("only dropped when the server is").stats
    }

    /// Streams that exist now, those included that players wait for or whose publisher may come back.
    pub fn streams(&self) -> usize {
        self.shared.as_ref().expect("only dropped when the server is").registry.len()
    }

    /// `rtmp://HOST`, `http://HOST:8080`: as a client on this machine can use it.
    pub fn url(&self, scheme: Scheme) -> String {
        scheme.best_of(&self.addresses).map(|address| scheme.url(address)).unwrap_or_default()
    }

    /// Reads certificate and key again: connections that come from now on get them. If they cannot be used, the old
    /// ones stay, and the log says why.
    pub fn reload_certificate(&self) {
        let Some(tls) = self.shared.as_ref().and_then(|shared| shared.tls.as_ref()) else { return };
        match tls.reload() {
            Ok(()) => {
                log::info!("new connections get the certificate in {}", tls.files().certificate.display())
            }
            Err(error) => log::error!("{error}; the old certificate stays"),
        }
    }

    /// Gives every connection a proper end and waits for all threads: [`STOP_GRACE`] at most, plus what a thread is
    /// busy with.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let Some(shared) = self.shared.take() else { return };
        shared.is_stopping.store(true, Ordering::SeqCst);
        shared.jobs.stop();
        self.port.send(Control::Stop);
        if let Some(thread) = self.reactor.take() {
            join(thread);
        }
        self.pool.join();
        shared.jobs.join();
        // The last holder of the capture's queue; its thread ends when it has written what waits.
        drop(shared);
        if let Some(thread) = self.capture.take() {
            thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Shared {
    fn now(&self) -> MonoTime {
        MonoTime(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Lets `publisher` publish, or says why not: the way in for every kind of source. A recording begins with it where one
    /// is wanted; `asked`: what a client said, and on which stream.
    fn publish(
        self: &Arc<Shared>,
        now: MonoTime,
        path: &StreamPath,
        publisher: &Arc<Mailbox>,
        asked: Option<(MessageStreamId, PublishType)>,
    ) -> Result<Publishing, RejectReason> {
        let publishing = self.registry.publish(now, path, publisher)?;
        if let Some(recordings) = &self.recordings {
            recordings.published(self, publishing.hub(), publisher, asked);
        }
        self.segmenters.published(self, path);
        Ok(publishing)
    }

    /// The file that a stream is being recorded to.
    fn recording(&self, path: &StreamPath) -> Option<PathBuf> {
        self.recordings.as_ref()?.current(path)
    }

    /// Nobody publishes it, and a client of RTSP may mean a file by it.
    fn may_be_file(&self, path: &StreamPath) -> bool {
        !self.registry.is_live(path) && self.vod.as_ref().is_some_and(|vod| vod.may_have(path))
    }

    /// Another one for every session.
    fn seed(&self) -> u64 {
        let mut hasher = self.seeds.build_hasher();
        hasher.write_u64(self.seeds_given.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_string();
    if thread.join().is_err() {
        log::error!("the thread {name} has panicked");
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen(address, error) => write!(f, "--listen {address}: {}", plain(error)),
            StartError::Capture(directory, error) => {
                write!(f, "--capture {}: {}", directory.display(), plain(error))
            }
            StartError::Media(directory, error) => {
                write!(f, "--media {}: {}", directory.display(), plain(error))
            }
            StartError::Record(directory, error) => {
                write!(f, "--record {}: {}", directory.display(), plain(error))
            }
            StartError::Tls(error) => write!(f, "{error}"),
            StartError::System(error) => write!(f, "cannot start: {}", plain(error)),
        }
    }
}

impl core::error::Error for StartError {}

/// Without the number that the standard library adds.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}
