//! Sockets that clients connect to, and the URLs that lead there.

use super::StartError;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use mio::net::{TcpListener, TcpStream};
use socket2::{SockRef, TcpKeepalive};
use std::io;

/// Connections that wait to be accepted. As many as Linux allows unless told otherwise: whoever finds no place here
/// tries again after a second, and 2000 players that come at once are nothing rare.
const BACKLOG: i32 = 4096;
/// Silence after which the system asks whether a peer is still there. Whoever waits for a stream gets nothing that it
/// would have to acknowledge, so that a peer that vanished (a cable, a laptop that sleeps) would keep its descriptor, its
/// place and a source on demand for ever. Routers forget silent connections after some minutes; this keeps them awake.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// Between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Questions without an answer that end a connection: two minutes in all, as a lost packet or three are nothing rare.
const KEEPALIVE_RETRIES: u32 = 4;

/// A protocol, as the scheme of a URL names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RTMP.
    Rtmp,
    /// HTTP.
    Http,
    /// RTSP.
    Rtsp,
}

impl Scheme {
    /// As it stands in a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Rtmp => "rtmp",
            Scheme::Http => "http",
            Scheme::Rtsp => "rtsp",
        }
    }

    /// The port that URLs leave out.
    const fn default_port(self, is_tls: bool) -> u16 {
        match (self, is_tls) {
            (Scheme::Rtmp, false) => 1935,
            (Scheme::Http, false) => 80,
            (Scheme::Rtsp, false) => 554,
            (Scheme::Rtmp | Scheme::Http, true) => 443,
            (Scheme::Rtsp, true) => 322,
        }
    }

    /// The port that weir listens on for it when nothing else is said.
    pub(super) const fn usual_port(self) -> u16 {
        match self {
            Scheme::Rtmp => 1935,
            Scheme::Http => 8080,
            Scheme::Rtsp => 8554,
        }
    }

    /// Where to reach it: every listener takes every protocol, and who is asked for one names the port that is usual for it.
    pub(super) fn best_of(self, addresses: &[SocketAddr]) -> Option<SocketAddr> {
        let usual = addresses.iter().find(|address| address.port() == self.usual_port());
        usual.or(addresses.first()).copied()
    }

    /// `rtmp://HOST` as a client on this machine can use it.
    pub(super) fn url(self, address: SocketAddr) -> String {
        let host = match address.ip() {
            ip if ip.is_unspecified() => "localhost".to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
            IpAddr::V4(ip) => ip.to_string(),
        };
        self.url_of(&host, address.port(), false)
    }

    /// `rtmp://HOST:PORT`, or `rtmps://...`; the host as it stands in a URL.
    pub(super) fn url_of(self, host: &str, port: u16, is_tls: bool) -> String {
        let url = format!("{}{}://{host}", self.name(), if is_tls { "s" } else { "" });
        if port == self.default_port(is_tls) { url } else { format!("{url}:{port}") }
    }
}

/// Listens on all addresses, in their order, and says which they are: port 0 becomes a free one.
pub(super) fn on_all(wanted: &[SocketAddr]) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), StartError> {
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for &address in wanted {
        // Listening on `0.0.0.0` as well means that `[::]` is for IPv6 alone.
        let has_ipv4 = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
        let is_dual = address.port() == 0 || !wanted.iter().any(has_ipv4);
        let failed = |error| StartError::Listen(address, error);
        let listener = listen(address, is_dual).map_err(failed)?;
        addresses.push(listener.local_addr().map_err(failed)?);
        listeners.push(listener);
    }
    Ok((listeners, addresses))
}

/// Binds an address. `[::]` takes IPv4 as well, and is `0.0.0.0` on a machine without IPv6.
fn listen(address: SocketAddr, is_dual: bool) -> io::Result<TcpListener> {
    match bind(address, is_dual) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && is_dual && is_without_ipv6(&error) => {
            bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()), is_dual)
        }
        result => result,
    }
}

fn bind(address: SocketAddr, is_dual: bool) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!is_dual)?;
    }
    // So that a restart need not wait for the last run's connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// What every accepted connection needs. A system that lacks any of it does without.
pub(super) fn set_up(socket: &TcpStream) {
    // Replies and small audio tags must not wait for the peer's delayed acknowledgement (40 ms).
    let _ = socket.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    let _ = SockRef::from(socket).set_tcp_keepalive(&keepalive);
}

fn is_without_ipv6(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, Unsupported};
    // EAFNOSUPPORT has no kind of its own.
    matches!(error.kind(), AddrNotAvailable | Unsupported) || error.raw_os_error() == Some(97)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_the_port_that_is_usual_for_their_protocol_where_there_is_a_listener() {
        let url = |scheme: Scheme, listen: &[&str]| {
            let addresses: Vec<SocketAddr> = listen.iter().map(|text| text.parse().unwrap()).collect();
            scheme.best_of(&addresses).map(|address| scheme.url(address))
        };
        let both = ["[::]:1935", "[::]:8080"];
        assert_eq!(url(Scheme::Rtmp, &both).as_deref(), Some("rtmp://localhost"));
        assert_eq!(url(Scheme::Http, &both).as_deref(), Some("http://localhost:8080"));
        assert_eq!(url(Scheme::Http, &["10.0.0.1:80", "[::1]:81"]).as_deref(), Some("http://10.0.0.1"));
        assert_eq!(url(Scheme::Rtmp, &["[::1]:81"]).as_deref(), Some("rtmp://[::1]:81"));
        assert_eq!(url(Scheme::Rtsp, &["[::]:1935", "[::]:8554"]).as_deref(), Some("rtsp://localhost:8554"));
        assert_eq!(url(Scheme::Rtmp, &[]), None);
        for (scheme, port, plain, sealed) in [
            (Scheme::Rtmp, 443, "rtmp://h:443", "rtmps://h"),
            (Scheme::Http, 80, "http://h", "https://h:80"),
            (Scheme::Rtsp, 554, "rtsp://h", "rtsps://h:554"),
            (Scheme::Rtsp, 322, "rtsp://h:322", "rtsps://h"),
        ] {
            assert_eq!(scheme.url_of("h", port, false), plain);
            assert_eq!(scheme.url_of("h", port, true), sealed);
        }
    }

    /// Stays below what Linux allows (`net.core.somaxconn`), and above what it once allowed.
    #[test]
    fn thousands_may_wait_to_be_accepted() {
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
        let count = allowed.trim().parse().unwrap_or(128).min(1500);
        let files = crate::server::raise_file_limit().unwrap_or(u64::MAX);
        assert!(files > 2000, "this test needs more than {files} open files");
        let listener = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(900));
        let waiting: io::Result<Vec<_>> = (0..count).map(connect).collect();
        assert_eq!(waiting.map(|sockets| sockets.len()).ok(), Some(count));
    }

    #[test]
    fn the_system_looks_after_peers_that_vanish() {
        let listener = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        set_up(&socket);
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_AFTER);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_RETRIES);
    }
}
