//! A tunnel through TLS for any client of plain TCP.

use super::support_tls::Pair;
use rustls::{ClientConnection, SupportedProtocolVersion};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

/// Where clients connect to, and reach `server` by TLS of one of those versions. Ends with the test program.
pub(super) fn open(
    pair: &Pair,
    server: SocketAddr,
    versions: &'static [&'static SupportedProtocolVersion],
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let pair = pair.clone();
    thread::spawn(move || {
        for plain in listener.incoming() {
            let (plain, tls) = (plain.unwrap(), pair.client_of(versions, &[]));
            let server = TcpStream::connect(server).unwrap();
            thread::spawn(move || drop(pass(plain, server, tls)));
        }
    });
    address
}

/// Passes bytes both ways until both have ended, or one is broken.
fn pass(mut plain: TcpStream, mut server: TcpStream, mut tls: ClientConnection) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    for socket in [&plain, &server] {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
    }
    let mut buffer = vec![0; 64 << 10];
    let (mut opened, mut plain_ended, mut server_ended) = (Vec::new(), false, false);
    while !(plain_ended && server_ended && opened.is_empty()) {
        let wish = |wanted, flag| if wanted { flag } else { PollFlags::empty() };
        let reads_plain = !plain_ended && !tls.wants_write();
        let reads_server = !server_ended && opened.is_empty();
        let of_plain = wish(reads_plain, PollFlags::IN) | wish(!opened.is_empty(), PollFlags::OUT);
        let of_server = wish(reads_server, PollFlags::IN) | wish(tls.wants_write(), PollFlags::OUT);
        let mut sockets = [PollFd::new(&plain, of_plain), PollFd::new(&server, of_server)];
        poll(&mut sockets, None)?;
        if reads_server && !waits(server_ready(&mut tls, &mut server, &mut opened))?.unwrap_or(true) {
            server_ended = true;
        }
        if reads_plain {
            match waits(plain.read(&mut buffer))? {
                Some(0) => {
                    plain_ended = true;
                    tls.send_close_notify();
                }
                Some(count) => tls.writer().write_all(&buffer[..count])?,
                None => {}
            }
        }
        while tls.wants_write() && waits(tls.write_tls(&mut server))?.is_some() {}
        if plain_ended && !tls.wants_write() {
            let _ = server.shutdown(Shutdown::Write);
        }
        if let Some(written) = waits(plain.write(&opened))?.filter(|_| !opened.is_empty()) {
            opened.drain(..written);
        }
        if server_ended && opened.is_empty() {
            let _ = plain.shutdown(Shutdown::Write);
        }
    }
    Ok(())
}

/// Takes what the server sent; false when nothing follows.
fn server_ready(
    tls: &mut ClientConnection,
    server: &mut TcpStream,
    opened: &mut Vec<u8>,
) -> io::Result<bool> {
    let count = tls.read_tls(server)?;
    let state = tls.process_new_packets().map_err(io::Error::other)?;
    let from = opened.len();
    opened.resize(from + state.plaintext_bytes_to_read(), 0);
    tls.reader().read_exact(&mut opened[from..])?;
    Ok(count > 0 && !state.peer_has_closed())
}

/// `None` for what has to wait.
fn waits<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
