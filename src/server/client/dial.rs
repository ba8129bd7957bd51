//! The TCP connection of a client: host and port -> a socket that is connected.
//!
//! Any wait ends with the client's interrupt, if that wakes the poll. Not here: what is said over it.

use super::{ClientError, ClientOptions, Step};
use alloc::format;
use core::net::SocketAddr;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{io, net::ToSocketAddrs, time::Instant};

/// Who wakes the poll.
pub(super) const SOCKET: Token = Token(0);
pub(super) const WAKE: Token = Token(1);

/// Opens the TCP connection: every address of the host in turn, `timeout` for each. Nagle's algorithm is off.
pub(super) fn dial(
    host: &str,
    port: u16,
    options: &ClientOptions,
    poll: &mut Poll,
    ready: &mut Events,
) -> Result<(TcpStream, SocketAddr), ClientError> {
    let resolve = |error| ClientError::Resolve { host: format!("{host}:{port}"), error };
    let mut last = None;
    for peer in (host, port).to_socket_addrs().map_err(resolve)? {
        match connect(peer, options, poll, ready) {
            Ok(socket) => return Ok((socket, peer)),
            Err(_) if options.interrupt.is_raised() => {
                return Err(ClientError::Interrupted { during: Step::Dial });
            }
            Err(error) => last = Some(ClientError::Io { peer, during: Step::Dial, error }),
        }
    }
    Err(last.unwrap_or_else(|| resolve(io::ErrorKind::AddrNotAvailable.into())))
}

fn connect(
    peer: SocketAddr,
    options: &ClientOptions,
    poll: &mut Poll,
    ready: &mut Events,
) -> io::Result<TcpStream> {
    let deadline = Instant::now() + options.timeout;
    let mut socket = TcpStream::connect(peer)?;
    poll.registry().register(&mut socket, SOCKET, Interest::WRITABLE)?;
    let is_connected = loop {
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        // Refused until the connection stands.
        if socket.peer_addr().is_ok() {
            break true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || options.interrupt.is_raised() {
            break false;
        }
        match poll.poll(ready, Some(left)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    };
    // Whoever talks over it says what it waits for.
    poll.registry().deregister(&mut socket)?;
    if !is_connected {
        return Err(io::ErrorKind::TimedOut.into());
    }
    socket.set_nodelay(true)?;
    Ok(socket)
}
