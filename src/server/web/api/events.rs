//! Server-sent events: who listens, and what is due for whom.
//!
//! An event is built once for all who want the same. All that is due for a listener at one time goes as one piece, which its connection
//! leaves out while what came before it waits for the socket. Bound: [`MAX_LISTENERS`].

use super::{
    Selection,
    changes::{Changed, Changes},
    connections::Connections,
    sample::Sample,
    server::Server,
    streams::Streams,
    text,
};
use crate::{
    base::Payload,
    http::{RequestId, Response, Status, mime, sse},
    server::{
        Shared,
        port::{Letter, Mailbox},
    },
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Weak,
    vec::Vec,
};
use std::collections::HashMap;

/// Listeners at once: consoles and scripts, of which there are a few.
pub(super) const MAX_LISTENERS: usize = 64;
/// Seconds without an event after which a comment says that the connection lives.
const KEEP_ALIVE: u64 = 15;

/// Which events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    server: bool,
    streams: bool,
    connections: bool,
    changed: bool,
}

/// What a listener wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) wanted: Wanted,
    pub(super) selection: Selection,
}

/// All who listen.
#[derive(Default)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// Seconds since somebody listens.
    tick: u64,
    changes: Changes,
}

struct Listener {
    mailbox: Weak<Mailbox>,
    subscription: Subscription,
    /// The tick of the last piece.
    told: u64,
}

impl Wanted {
    pub(super) const ALL: Wanted = Wanted { server: true, streams: true, connections: true, changed: true };
    const NONE: Wanted = Wanted { server: false, streams: false, connections: false, changed: false };

    /// Of names with commas between.
    pub(super) fn of(names: &str) -> Result<Wanted, String> {
        let mut wanted = Wanted::NONE;
        for name in names.split(',').map(str::trim) {
            *match name {
                "server" => &mut wanted.server,
                "streams" => &mut wanted.streams,
                "connections" => &mut wanted.connections,
                "changed" => &mut wanted.changed,
                _ => return Err("events are server, streams, connections and changed".to_string()),
            } = true;
        }
        Ok(wanted)
    }

    fn and(self, other: Wanted) -> Wanted {
        Wanted {
            server: self.server && other.server,
            streams: self.streams && other.streams,
            connections: self.connections && other.connections,
            changed: self.changed && other.changed,
        }
    }

    /// What is due at a tick: all of the streams cost most.
    fn due(tick: u64, streams: usize) -> Wanted {
        let every = match streams {
            0..200 => 1,
            200..1000 => 2,
            _ => 5,
        };
        Wanted { server: true, streams: tick % every == 0, connections: tick % 2 == 0, changed: true }
    }
}

impl Listeners {
    pub(super) fn are_there(&self) -> bool {
        !self.all.is_empty()
    }

    /// Forgets those who have left.
    pub(super) fn prune(&mut self) {
        self.all.retain(|listener| listener.mailbox.strong_count() > 0);
    }

    /// Adds somebody, who is told of everything at once; refuses him if there are too many.
    pub(super) fn add(
        &mut self,
        shared: &Shared,
        sample: &Sample,
        (from, id): (&Weak<Mailbox>, RequestId),
        subscription: Subscription,
    ) {
        let Some(mailbox) = from.upgrade() else { return };
        self.prune();
        if self.all.len() >= MAX_LISTENERS {
            let why = format!("{MAX_LISTENERS} listen already, which is as many as may");
            let refusal = Response::api_error(Status::TOO_MANY_REQUESTS, "too_many_requests", &why);
            return mailbox.leave(Letter::Answer(id, Box::new(refusal)));
        }
        // A proxy in front shall not hold events back.
        let begun = Response::stream(mime::EVENTS).header("X-Accel-Buffering", "no");
        mailbox.leave(Letter::Answer(id, Box::new(begun)));
        let mut events = Events::new(shared, sample, None);
        let piece = events.piece(subscription.wanted, &subscription.selection);
        mailbox.leave(Letter::More(piece.unwrap_or_else(sse::keep_alive)));
        if !self.are_there() {
            // What changed while nobody listened is known to who asks now.
            self.changes = Changes::default();
            self.changes.look(shared);
        }
        self.all.push(Listener { mailbox: from.clone(), subscription, told: self.tick });
    }

    /// A second has passed.
    pub(super) fn tick(&mut self, shared: &Shared, sample: &Sample) {
        self.prune();
        self.tick += 1;
        let due = Wanted::due(self.tick, sample.streams.len());
        let wants_changes = self.all.iter().any(|listener| listener.subscription.wanted.changed);
        let changed = if wants_changes { self.changes.look(shared) } else { None };
        let mut events = Events::new(shared, sample, changed);
        for listener in &mut self.all {
            let Some(mailbox) = listener.mailbox.upgrade() else { continue };
            let Subscription { wanted, selection } = &listener.subscription;
            let piece = match events.piece(wanted.and(due), selection) {
                Some(piece) => piece,
                None if self.tick - listener.told >= KEEP_ALIVE => sse::keep_alive(),
                None => continue,
            };
            listener.told = self.tick;
            mailbox.leave(Letter::More(piece));
        }
    }
}

/// The events of one moment, each built when somebody wants it.
struct Events<'a> {
    shared: &'a Shared,
    sample: &'a Sample,
    changed: Option<Changed>,
    server: Option<Payload>,
    streams: Option<Payload>,
    connections: HashMap<Selection, Payload>,
    /// What those get who want the same.
    pieces: Vec<(Wanted, Selection, Payload)>,
}

impl<'a> Events<'a> {
    fn new(shared: &'a Shared, sample: &'a Sample, changed: Option<Changed>) -> Events<'a> {
        Events {
            shared,
            sample,
            changed,
            server: None,
            streams: None,
            connections: HashMap::new(),
            pieces: Vec::new(),
        }
    }

    /// Those events as one piece; `None` if there is none.
    fn piece(&mut self, wanted: Wanted, selection: &Selection) -> Option<Payload> {
        let is_same = |(other, which, _): &&(Wanted, Selection, Payload)| {
            *other == wanted && (which == selection || !wanted.connections)
        };
        if let Some((_, _, piece)) = self.pieces.iter().find(is_same) {
            return Some(piece.clone());
        }
        let (shared, sample) = (self.shared, self.sample);
        let mut bytes = Vec::new();
        if wanted.server {
            let event = || sse::event("server", &text(&Server::of(shared, sample)));
            bytes.extend_from_slice(self.server.get_or_insert_with(event));
        }
        if wanted.streams {
            let event = || sse::event("streams", &text(&Streams::of(sample)));
            bytes.extend_from_slice(self.streams.get_or_insert_with(event));
        }
        if wanted.connections {
            let event = || sse::event("connections", &text(&Connections::of(sample, selection)));
            bytes.extend_from_slice(self.connections.entry(selection.clone()).or_insert_with(event));
        }
        if let Some(changed) = self.changed.as_ref().filter(|_| wanted.changed) {
            bytes.extend_from_slice(&sse::event("changed", &text(changed)));
        }
        if bytes.is_empty() {
            return None;
        }
        let piece = Payload::from(bytes);
        self.pieces.push((wanted, selection.clone(), piece.clone()));
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http::Framing,
        server::{
            Config, Server as Running,
            connection::{Connection, Context},
            port::{ConnectionId, Port},
            sockets::Sockets,
        },
    };
    use core::time::Duration;
    use std::{
        io::{ErrorKind, Read, Write},
        net::{TcpListener, TcpStream},
        thread,
        time::Instant,
    };

    /// A listener's connection, without a thread, and its other end.
    struct Bench {
        server: Running,
        sockets: Sockets,
        index: usize,
        peer: TcpStream,
    }

    impl Bench {
        fn new() -> Bench {
            let listen = alloc::vec!["127.0.0.1:0".parse().unwrap()];
            let server = Running::start(Config { listen, ..Config::default() }).unwrap();
            let shared = server.shared.clone().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, from) = listener.accept().unwrap();
            socket.set_nonblocking(true).unwrap();
            let (control, _) = crossbeam_channel::unbounded();
            let owner = alloc::sync::Arc::new(Port::without_waker(control));
            let socket = mio::net::TcpStream::from_std(socket);
            let connection = Connection::new(socket, from, ConnectionId(1), owner, &shared);
            let mut sockets = Sockets::new(0).unwrap().0;
            let index = sockets.insert(Box::new(connection)).ok().unwrap();
            let mut bench = Bench { server, sockets, index, peer };
            bench.peer.write_all(b"GET /api/v1/events?events=changed HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            bench.until(|connection| {
                connection.protocol.http().and_then(|session| session.framing()) == Some(Framing::Chunked)
            });
            bench
        }

        fn turn(&mut self) {
            let shared = self.server.shared.clone().unwrap();
            let mut actions = Vec::new();
            let mut cx = Context { now: shared.now(), shared: &shared, actions: &mut actions };
            self.sockets.wait(cx.now, Some(cx.now), &mut Vec::new());
            self.sockets.turn(self.index, &mut cx);
            self.sockets.get_mut(self.index).unwrap().check_mail(&mut cx);
            assert!(self.sockets.settle(cx.now, self.index).is_none());
        }

        fn until(&mut self, mut is_so: impl FnMut(&mut Connection) -> bool) {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !is_so(self.sockets.get_mut(self.index).unwrap()) {
                assert!(Instant::now() < deadline, "not in time");
                self.turn();
                thread::yield_now();
            }
        }

        fn more(&mut self, piece: &Payload) {
            self.sockets.get(self.index).unwrap().mailbox.leave(Letter::More(piece.clone()));
            self.turn();
        }

        fn queued(&self) -> usize {
            self.sockets.get(self.index).unwrap().protocol.output_len()
        }
    }

    #[test]
    fn a_listener_whose_socket_is_full_misses_events_and_none_is_cut() {
        let mut bench = Bench::new();
        let piece = sse::event("streams", &"~".repeat(1 << 20));
        let mut sent = 0;
        while bench.queued() == 0 {
            bench.more(&piece);
            sent += 1;
            assert!(sent < 1000, "the socket takes everything");
        }
        let full = bench.queued();
        assert!(full <= piece.len() + 100, "one piece waits, not several: {full}");
        for _ in 0..20 {
            bench.more(&piece);
            assert_eq!(bench.queued(), full);
        }
        // It takes what waits, and then gets what comes.
        bench.peer.set_nonblocking(true).unwrap();
        let mut got = Vec::new();
        let mut buffer = alloc::vec![0; 1 << 16];
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut is_last_sent = false;
        while !got.ends_with(b"data: last\n\n\r\n") {
            assert!(Instant::now() < deadline, "{} bytes", got.len());
            match bench.peer.read(&mut buffer) {
                Ok(count) => got.extend_from_slice(&buffer[..count]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            bench.turn();
            if bench.queued() == 0 && !is_last_sent {
                is_last_sent = true;
                bench.more(&sse::event("streams", "last"));
            }
        }
        let events = got.windows(15).filter(|window| window == b"event: streams\n").count();
        assert_eq!(events, sent + 1);
        let filling = got.iter().filter(|byte| **byte == b'~').count();
        assert_eq!(filling, sent << 20, "each is whole");
    }

    #[test]
    fn events_are_named_and_come_less_often_where_there_are_many_streams() {
        let server = Wanted { server: true, ..Wanted::NONE };
        assert_eq!(Wanted::of("server"), Ok(server));
        assert_eq!(Wanted::of("server, streams,connections,changed"), Ok(Wanted::ALL));
        for names in ["", "server,", "Server", "message"] {
            assert!(Wanted::of(names).is_err(), "{names}");
        }
        let times = |streams| (0..10).filter(|tick| Wanted::due(*tick, streams).streams).count();
        assert_eq!([1, 199, 200, 999, 1000, 20_000].map(times), [10, 10, 5, 5, 2, 2]);
        assert_eq!((0..10).filter(|tick| Wanted::due(*tick, 1).connections).count(), 5);
    }
}
