//! A player that only counts bytes: the kernel throws them away unread.

use crate::{http::PONG, line::SignOfLife, players::PlayerCounters};
use mio::net::TcpStream;
use socket2::SockRef;
use std::{
    io::{self, ErrorKind, Write},
    mem::{MaybeUninit, take},
    sync::atomic::Ordering::Relaxed,
};

/// A connection after its session.
pub(crate) struct Counter {
    socket: TcpStream,
    sign: SignOfLife,
    /// All bytes of the server, handshake included, as acknowledgements count them.
    received: u64,
    /// The same when the last acknowledgement went out.
    acknowledged: u64,
    /// One went out since the last upkeep.
    has_acknowledged: bool,
}

impl Counter {
    /// What [`Line::into_parts`](crate::line::Line::into_parts) gives.
    pub(crate) fn new((socket, sign, acknowledged, received): (TcpStream, SignOfLife, u64, u64)) -> Counter {
        // TCP acknowledges at once for those who only read, later for those who also write, as RTMP's players do. On
        // loopback, to acknowledge is to do a part of the server's work: the same part in all protocols, if the system
        // lets us choose.
        #[cfg(target_os = "linux")]
        drop(SockRef::from(&socket).set_tcp_quickack(false));
        Counter { socket, sign, received, acknowledged, has_acknowledged: false }
    }

    /// Takes what has come.
    pub(crate) fn count(&mut self, counters: &PlayerCounters) -> io::Result<()> {
        let mut nowhere = [MaybeUninit::uninit(); 1 << 16];
        loop {
            match SockRef::from(&self.socket).recv_with_flags(&mut nowhere, MSG_TRUNC) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.received += count as u64;
                    counters.received.fetch_add(count as u64, Relaxed);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.sign == SignOfLife::Acknowledgement && self.received - self.acknowledged > ACKNOWLEDGE_AFTER {
            self.acknowledge();
        }
        Ok(())
    }

    /// Tells that this player lives, unless it did.
    pub(crate) fn keep_alive(&mut self) {
        match self.sign {
            SignOfLife::Acknowledgement => {
                // A stream of some rate makes it do so anyway, and no real player tells twice.
                if !take(&mut self.has_acknowledged) {
                    self.acknowledge();
                }
            }
            // A socket that cannot take a few bytes now is given the next ones.
            SignOfLife::Pong => drop(self.socket.write(&PONG)),
            SignOfLife::None => {}
        }
    }

    /// Acknowledgement (RTMP 1.0, 5.4.3) as a fmt 0 chunk on csid 2. It tells a server that asks whether we live,
    /// too. A socket that cannot take 16 bytes now is given the next one.
    fn acknowledge(&mut self) {
        let mut message = [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 0];
        message[12..].copy_from_slice(&(self.received as u32).to_be_bytes());
        if self.socket.write(&message).is_ok() {
            self.acknowledged = self.received;
            self.has_acknowledged = true;
        }
    }
}

/// Half of the window that servers ask for.
const ACKNOWLEDGE_AFTER: u64 = 1_250_000;

/// Linux: take bytes off a TCP socket without copying them (tcp(7)).
const MSG_TRUNC: i32 = 0x20;
