//! A player that only counts bytes: the kernel throws them away unread.

use crate::{
    http::PONG,
    line::{Parts, SignOfLife},
    players::PlayerCounters,
};
use mio::net::{TcpStream, UdpSocket};
use socket2::SockRef;
use std::{
    io::{self, ErrorKind, Write},
    mem::{MaybeUninit, take},
    sync::atomic::Ordering::Relaxed,
};

/// A connection after its session.
pub(crate) struct Counter {
    socket: TcpStream,
    /// Of RTSP by UDP: where the packets of each track come, and where its reports go from.
    tracks: Vec<(UdpSocket, UdpSocket)>,
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
    pub(crate) fn new(parts: Parts) -> Counter {
        let Parts { socket, tracks, sign, acknowledged, received } = parts;
        // TCP acknowledges at once for those who only read, later for those who also write, as RTMP's players do. On
        // loopback, to acknowledge is to do a part of the server's work: the same part in all protocols, if the system
        // lets us choose.
        #[cfg(target_os = "linux")]
        drop(SockRef::from(&socket).set_tcp_quickack(false));
        Counter { socket, tracks, sign, received, acknowledged, has_acknowledged: false }
    }

    /// Takes what has come.
    pub(crate) fn count(&mut self, counters: &PlayerCounters) -> io::Result<()> {
        let before = self.received;
        let result = self.take_all();
        counters.received.fetch_add(self.received - before, Relaxed);
        result?;
        if self.sign == SignOfLife::Acknowledgement && self.received - self.acknowledged > ACKNOWLEDGE_AFTER {
            self.acknowledge();
        }
        Ok(())
    }

    fn take_all(&mut self) -> io::Result<()> {
        for (packets, _) in &self.tracks {
            while let Some(count) = take_some(SockRef::from(packets))? {
                self.received += count as u64;
            }
        }
        while let Some(count) = take_some(SockRef::from(&self.socket))? {
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.received += count as u64;
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
            SignOfLife::Report if self.tracks.is_empty() => drop(self.socket.write(&FRAMED_REPORT)),
            SignOfLife::Report => {
                for (_, reports) in &self.tracks {
                    // Those of the server, which nobody reads.
                    while let Ok(Some(_)) = take_some(SockRef::from(reports)) {}
                    // One that is lost is followed by others.
                    drop(reports.send(&FRAMED_REPORT[4..]));
                }
            }
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

/// Throws away a datagram, or what there is of a stream; how many bytes, if there was anything.
fn take_some(socket: SockRef<'_>) -> io::Result<Option<usize>> {
    let mut nowhere = [MaybeUninit::uninit(); 1 << 16];
    loop {
        match socket.recv_with_flags(&mut nowhere, MSG_TRUNC) {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// An empty receiver report (RFC 3550, 6.4.2) in an interleaved frame of channel 1.
const FRAMED_REPORT: [u8; 12] = [b'$', 1, 0, 8, 0x80, 201, 0, 1, b'l', b'o', b'a', b'd'];

/// Half of the window that servers ask for.
const ACKNOWLEDGE_AFTER: u64 = 1_250_000;

/// Linux: take bytes off a TCP socket without copying them (tcp(7)); of a datagram, its whole length (udp(7)).
const MSG_TRUNC: i32 = 0x20;
