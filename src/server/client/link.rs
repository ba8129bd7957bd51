//! One outgoing connection that never blocks: socket and client session, and the loop between them.
//!
//! In: readiness of the socket, and time. Out: events of the session, RTMP's or another [`ClientSession`]'s. [`Link::next_event`] does all that can be done
//! without waiting; whoever owns the `mio::Poll` waits: one connection at a time (`client`), or many (`tools/load`).
//! mio is edge-triggered, so wait only after `next_event` gave `None`, and until [`Link::deadline`] at the latest.
//! Bounds: one caller-owned read buffer for all links; a link itself keeps only what its session has not taken yet.

use super::observer::{Observer, Seen};
use crate::{
    base::{CloseReason, MonoTime, State},
    pcap::Direction,
    rtmp::{self, ClientConfig, Session},
    rtsp,
};
use alloc::vec::Vec;
use core::{
    fmt,
    hash::{BuildHasher, Hasher},
    net::IpAddr,
    time::Duration,
};
use mio::{Interest, Registry, Token, net::TcpStream};
use std::{
    hash::RandomState,
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::Shutdown,
    time::Instant,
};

/// A client session that does no I/O, as its driver sees it. What the methods mean says [`Session`].
#[expect(missing_docs, reason = "they are those of the sessions")]
pub trait ClientSession {
    type Event;
    type Error: Copy + fmt::Debug + fmt::Display;
    fn handle_input(&mut self, now: MonoTime, input: &[u8]) -> Result<usize, Self::Error>;
    fn handle_eof(&mut self, now: MonoTime) -> Result<(), Self::Error>;
    fn handle_timeout(&mut self, now: MonoTime) -> Result<(), Self::Error>;
    fn poll_timeout(&self) -> Option<MonoTime>;
    fn poll_event(&mut self) -> Option<Self::Event>;
    fn output<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize;
    fn advance_output(&mut self, written: usize);
    fn output_len(&self) -> usize;
    fn wants_input(&self) -> bool;
    fn state(&self) -> State;
    fn close(&mut self, now: MonoTime, why: CloseReason);
}

macro_rules! client_session {
    ($session:ty, $event:ty, $error:ty) => {
        impl ClientSession for $session {
            type Event = $event;
            type Error = $error;

            fn handle_input(&mut self, now: MonoTime, input: &[u8]) -> Result<usize, $error> {
                <$session>::handle_input(self, now, input)
            }

            fn handle_eof(&mut self, now: MonoTime) -> Result<(), $error> {
                <$session>::handle_eof(self, now)
            }

            fn handle_timeout(&mut self, now: MonoTime) -> Result<(), $error> {
                <$session>::handle_timeout(self, now)
            }

            fn poll_timeout(&self) -> Option<MonoTime> {
                <$session>::poll_timeout(self)
            }

            fn poll_event(&mut self) -> Option<$event> {
                <$session>::poll_event(self)
            }

            fn output<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
                <$session>::output(self, slices)
            }

            fn advance_output(&mut self, written: usize) {
                <$session>::advance_output(self, written);
            }

            fn output_len(&self) -> usize {
                <$session>::output_len(self)
            }

            fn wants_input(&self) -> bool {
                <$session>::wants_input(self)
            }

            fn state(&self) -> State {
                <$session>::state(self)
            }

            fn close(&mut self, now: MonoTime, why: CloseReason) {
                <$session>::close(self, now, why);
            }
        }
    };
}

client_session!(Session, rtmp::Event, rtmp::Error);
client_session!(rtsp::Client, rtsp::ClientEvent, rtsp::Error);

/// See the module.
#[derive(Debug)]
pub struct Link<S: ClientSession = Session> {
    socket: TcpStream,
    session: S,
    started: Instant,
    /// Bytes read that the session has not taken, oldest first.
    unread: Vec<u8>,
    input: Input,
    /// The sending side is shut down.
    is_shut: bool,
    /// The session's last word, once its events are taken.
    failed: Option<S::Error>,
    observer: Option<Observer>,
}

/// What the peer's direction is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    /// It ended, and the session may not know yet.
    Ended,
    /// It ended, and the session knows.
    Done,
}

/// Why a link is over.
#[derive(Debug)]
pub enum LinkError<E = rtmp::Error> {
    /// The socket failed.
    Io(io::Error),
    /// The session failed.
    Session(E),
    /// The peer closed, and all events are taken.
    Closed,
}

impl Link {
    /// A link over a socket that is connecting or connected. `registry` may watch several links, told apart by
    /// `token`.
    pub fn new(
        socket: TcpStream,
        config: ClientConfig,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Link> {
        Link::over(socket, Session::client(config, random_seed(), MonoTime(0)), registry, token)
    }
}

impl<S: ClientSession> Link<S> {
    /// The same with a session that has begun at the time 0.
    pub fn over(mut socket: TcpStream, session: S, registry: &Registry, token: Token) -> io::Result<Link<S>> {
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Link {
            socket,
            session,
            started: Instant::now(),
            unread: Vec::new(),
            input: Input::Open,
            is_shut: false,
            failed: None,
            observer: None,
        })
    }

    /// Shows `observer` everything from now on.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    fn seen(&self, seen: Seen<'_>) {
        if let Some(observer) = &self.observer {
            observer.see(seen);
        }
    }

    /// Writes, reads and lets time pass until there is an event or nothing more can be done now. `buffer` is
    /// scratch space; its size is how much is read at once.
    pub fn next_event(&mut self, buffer: &mut [u8]) -> Result<Option<S::Event>, LinkError<S::Error>> {
        loop {
            if let Some(event) = self.session.poll_event() {
                return Ok(Some(event));
            }
            if let Some(error) = self.failed {
                return Err(LinkError::Session(error));
            }
            if self.session.poll_timeout().is_some_and(|due| due <= self.now()) {
                let result = self.session.handle_timeout(self.now());
                self.keep(result);
                continue;
            }
            self.flush()?;
            if !self.advance_input(buffer)? {
                return Ok(None);
            }
        }
    }

    /// Hands input to the session, from what is left or from the socket; false if there is none now.
    fn advance_input(&mut self, buffer: &mut [u8]) -> Result<bool, LinkError<S::Error>> {
        if !self.session.wants_input() && self.session.state() != State::Closing {
            return Ok(false);
        }
        if !self.unread.is_empty() {
            let result = self.session.handle_input(self.now(), &self.unread);
            let taken = result.unwrap_or(self.unread.len());
            self.unread.drain(..taken);
            self.keep(result.map(drop));
            return Ok(taken > 0);
        }
        match self.input {
            Input::Open => {}
            Input::Ended => {
                self.input = Input::Done;
                let result = self.session.handle_eof(self.now());
                self.keep(result);
                return Ok(true);
            }
            Input::Done => return Err(LinkError::Closed),
        }
        match self.socket.read(buffer) {
            Ok(0) => self.end_input(),
            Ok(count) => {
                self.seen(Seen::Bytes(Direction::FromServer, &buffer[..count]));
                let result = self.session.handle_input(self.now(), &buffer[..count]);
                let taken = result.unwrap_or(count);
                self.unread.extend_from_slice(&buffer[taken..count]);
                self.keep(result.map(drop));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
            // The other side dropped the connection with our bytes unread, which is how most programs leave.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.end_input(),
            Err(error) => return Err(LinkError::Io(error)),
        }
        Ok(true)
    }

    fn end_input(&mut self) {
        self.input = Input::Ended;
        self.seen(Seen::Ended(Direction::FromServer));
    }

    /// Writes what waits, as far as the socket takes it. Shuts the sending side down once a closing session has
    /// nothing left.
    pub fn flush(&mut self) -> Result<(), LinkError<S::Error>> {
        while self.session.output_len() > 0 {
            let written = {
                let mut slices: [&[u8]; SLICES] = [&[]; SLICES];
                let count = self.session.output(&mut slices);
                let written = self.socket.write_vectored(&slices.map(IoSlice::new)[..count]);
                if let (Ok(written), Some(_)) = (&written, &self.observer) {
                    let mut left = *written;
                    for slice in &slices[..count] {
                        let sent = &slice[..slice.len().min(left)];
                        left -= sent.len();
                        self.seen(Seen::Bytes(Direction::FromClient, sent));
                    }
                }
                written
            };
            match written {
                Ok(written) => self.session.advance_output(written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(());
                }
                // What the server said before it closed is still to be read; reading finds the end.
                Err(error) if is_gone(&error) && self.input == Input::Open => return Ok(()),
                Err(error) => return Err(LinkError::Io(error)),
            }
        }
        if self.session.state() == State::Closing && !self.is_shut {
            self.is_shut = true;
            // Fails only if the peer is gone, which reading finds out.
            let _ = self.socket.shutdown(Shutdown::Write);
            self.seen(Seen::Ended(Direction::FromClient));
        }
        Ok(())
    }

    fn keep(&mut self, result: Result<(), S::Error>) {
        if let Err(error) = result {
            self.failed = Some(error);
        }
    }

    /// How long to wait for the socket at most.
    pub fn deadline(&self) -> Option<Instant> {
        self.session.poll_timeout().map(|due| self.started + Duration::from_millis(due.0))
    }

    /// The session, for commands and media. Call [`Link::next_event`] or [`Link::flush`] afterwards.
    pub fn session(&mut self) -> &mut S {
        &mut self.session
    }

    /// Where the session is in its life.
    pub fn state(&self) -> State {
        self.session.state()
    }

    /// Our own address.
    pub(super) fn local_ip(&self) -> io::Result<IpAddr> {
        Ok(self.socket.local_addr()?.ip())
    }

    /// Ends the connection properly; it is over when [`Link::state`] is `Closed` or `next_event` fails.
    pub fn close(&mut self) {
        let now = self.now();
        self.session.close(now, CloseReason::Done);
    }

    /// The socket and what was read from it but not taken by the session: for a program that goes on without one.
    pub fn into_socket(self) -> (TcpStream, Vec<u8>) {
        (self.socket, self.unread)
    }

    /// Milliseconds since the link was made: the session's time.
    pub fn now(&self) -> MonoTime {
        MonoTime(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl<E: fmt::Display> fmt::Display for LinkError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Io(error) => write!(f, "{error}"),
            LinkError::Session(error) => write!(f, "{error}"),
            LinkError::Closed => f.write_str("server closed the connection"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for LinkError<E> {}

/// Slices handed to one write: a frame of some 2 MB in chunks of 64 KiB.
const SLICES: usize = 64;

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// A different number each time; the handshake's random bytes grow from it, and nothing secret depends on it.
pub(super) fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
