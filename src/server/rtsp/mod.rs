//! Players and publishers over RTSP: what their requests mean, and how their packets go.
//!
//! | where to look | for |
//! |---|---|
//! | `requests` | what the events of a session mean; `describe`, `setup`, `play`, `record`: one request each |
//! | `redirect` | what an operator has a client told |
//! | `replay` | files |
//! | `presentation` | what a connection has been told, has set up and does |
//! | `line`, `packets` | a live stream's packets: their numbers, their bytes |
//! | `multicast` | streams sent to a group |
//! | `udp` | ports, and packets through them |
//! | `tunnel` | RTSP through HTTP |
//!
//! The session itself, the description and the packets of each codec are pure: [`crate::rtsp`], [`crate::rtp`].

mod describe;
pub(super) mod line;
mod multicast;
pub(super) mod packets;
mod play;
pub(super) mod presentation;
mod record;
mod redirect;
mod replay;
mod requests;
mod setup;
pub(super) mod tunnel;
pub(super) mod udp;

pub(super) use describe::{Described, description};
pub use multicast::{BadMulticastNet, MulticastNet};
pub(super) use presentation::control;
pub(super) use redirect::{NotRedirected, Redirect};

use crate::rtsp::{Credentials, ServerConfig};
use alloc::{format, sync::Arc, vec::Vec};
use core::ops::RangeInclusive;

/// Ports that packets go through unless told otherwise: pairs for 5000 tracks, below those that systems give out by themselves.
pub const DEFAULT_PORTS: RangeInclusive<u16> = 20_000..=29_999;

/// What the flags say about RTSP.
#[derive(Clone, Debug)]
pub struct RtspConfig {
    /// `--rtsp-ports`: where packets by UDP come and go.
    pub ports: RangeInclusive<u16>,
    /// `--rtsp-user`: who may play and publish; everybody if there is none.
    pub users: Vec<Credentials>,
    /// `--rtsp-multicast`: groups for players that ask for multicast; otherwise they get none.
    pub multicast: Option<MulticastNet>,
}

impl Default for RtspConfig {
    fn default() -> RtspConfig {
        RtspConfig { ports: DEFAULT_PORTS, users: Vec::new(), multicast: None }
    }
}

/// What the threads of a server share about RTSP.
pub(super) struct Rtsp {
    pub(super) session: Arc<ServerConfig>,
    ports: udp::Ports,
    waiting: describe::Waiting,
    groups: Option<multicast::Groups>,
    tunnels: Arc<tunnel::Tunnels>,
}

impl Rtsp {
    /// `--rtsp-ports`
    pub(super) fn port_range(&self) -> RangeInclusive<u16> {
        self.ports.range()
    }

    pub(super) fn new(config: RtspConfig, max_queued_output: usize) -> Rtsp {
        let limits = crate::rtsp::Limits { max_queued_output, ..crate::rtsp::Limits::default() };
        let session = ServerConfig {
            limits,
            users: config.users,
            name: format!("weir/{}", env!("CARGO_PKG_VERSION")),
            ..ServerConfig::default()
        };
        Rtsp {
            session: Arc::new(session),
            ports: udp::Ports::new(config.ports),
            waiting: describe::Waiting::default(),
            groups: config.multicast.map(multicast::Groups::new),
            tunnels: Arc::default(),
        }
    }
}
