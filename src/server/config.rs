//! What a server is started with.

use super::{
    AdminToken, Hls, MAX_FILE_PLAYERS, Merge, Networks, RecordConfig, RtspConfig, Scheme, Takeover,
    TlsConfig,
    relay::{Origin, Push},
    source::{Retry, SourceConfig},
};
use crate::rtmp::Limits;
use alloc::vec::Vec;
use core::{
    net::{Ipv6Addr, SocketAddr},
    time::Duration,
};
use std::{path::PathBuf, thread};

/// What a server does: the flags of the program, and what has no flag.
#[derive(Clone, Debug)]
pub struct Config {
    /// `--listen`: at least one. Port 0 picks a free one, see [`Server::addresses`](super::Server::addresses).
    pub listen: Vec<SocketAddr>,
    /// `--demo`: publish the built-in clip as [`DEMO_PATH`](super::DEMO_PATH).
    pub demo: bool,
    /// `--source` and `--pull`: live streams that the server feeds by itself.
    pub sources: Vec<SourceConfig>,
    /// `--push`: live streams that are sent on.
    pub pushes: Vec<Push>,
    /// `--origin`: where streams come from that are played here and published elsewhere.
    pub origin: Option<Origin>,
    /// When sources and relays that failed try again.
    pub retry: Retry,
    /// `--publish-from`: who may publish.
    pub publish_from: Networks,
    /// `--takeover`: who may replace an active publisher.
    pub takeover: Takeover,
    /// `--resume-window`: how long players wait, unaware, for a publisher that vanished. Zero: not at all.
    pub resume_window: Duration,
    /// `--subscriber-threads`: so many threads at most write media; at least 1.
    pub subscriber_threads: usize,
    /// `--merge`: when players get what was gathered.
    pub merge: Merge,
    /// `--gop-cache`: bytes per stream; 0: none.
    pub gop_cache: usize,
    /// `--max-connections`
    pub max_connections: usize,
    /// Connections that play files at once, each with a thread of its own.
    pub max_file_players: usize,
    /// `--max-queue`: bytes that wait for a player before it loses the rest of a group of pictures.
    pub max_queue: usize,
    /// `--capture`: write each connection as a pcap into this directory.
    pub capture: Option<PathBuf>,
    /// `--media`: files below this directory play as [`MEDIA_APP`](super::MEDIA_APP).
    pub media: Option<PathBuf>,
    /// `--record` and what belongs to it.
    pub record: Option<RecordConfig>,
    /// `--hls`
    pub hls: Hls,
    /// Time without a request after which nobody watches a stream as HLS.
    pub hls_idle: Duration,
    /// `--rtsp-ports`, `--rtsp-user`
    pub rtsp: RtspConfig,
    /// `--tls-cert` and `--tls-key`: take TLS as well, on every listener.
    pub tls: Option<TlsConfig>,
    /// `--admin-token`: who sends it may use the API, and nobody else; without, whoever is in a private network.
    pub admin_token: Option<AdminToken>,
    /// How long a player may stay behind, or any peer take no byte of what waits for it, before it is closed.
    pub stall_timeout: Duration,
    /// Ceilings of a session; `max_queued_output` is taken from `max_queue`.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Config {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Config {
            listen: [Scheme::Rtmp, Scheme::Http, Scheme::Rtsp]
                .map(|scheme| SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), scheme.usual_port()))
                .into(),
            demo: false,
            sources: Vec::new(),
            pushes: Vec::new(),
            origin: None,
            retry: Retry::default(),
            publish_from: Networks::default(),
            takeover: Takeover::default(),
            resume_window: Duration::from_secs(10),
            subscriber_threads: subscriber_threads(cores),
            merge: Merge::default(),
            gop_cache: 8 << 20,
            max_connections: 10_000,
            max_file_players: MAX_FILE_PLAYERS,
            max_queue: 8 << 20,
            capture: None,
            media: None,
            record: None,
            hls: Hls::default(),
            hls_idle: Duration::from_secs(30),
            rtsp: RtspConfig::default(),
            tls: None,
            admin_token: None,
            stall_timeout: Duration::from_secs(30),
            limits: Limits::default(),
        }
    }
}

/// A core is left to the reactor where there are several.
const fn subscriber_threads(cores: usize) -> usize {
    if cores > 1 { cores - 1 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_left_to_the_reactor_where_there_are_several() {
        assert_eq!([0, 1, 2, 4].map(subscriber_threads), [1, 1, 1, 3]);
    }
}
