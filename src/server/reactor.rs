//! The reactor thread: accepts connections and owns them until they play; publishers stay with it.
//!
//! It also keeps the resume windows of publishers that vanished. Ends when told to stop, after its connections have
//! had [`STOP_GRACE`] to read their goodbye.
//!
//! Field note: a process out of file descriptors cannot accept, and the listener stays ready; so accepting
//! rests for [`ACCEPT_REST`] instead of spinning.

use super::{
    STOP_GRACE, Shared,
    coalescing::{Coalescing, Look},
    connection::{Connection, Context, Owned},
    owner::{Hold, Owner},
    player::Action,
    pool::Pool,
    port::{ConnectionId, Control, Port},
    registry::HubHandle,
    sockets::{EVENTS, Ready, Sockets},
    stats::Throttle,
    vod,
};
use crate::{base::MonoTime, rtmp::session::CloseReason};
use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use core::{net::SocketAddr, time::Duration};
use crossbeam_channel::Receiver;
use mio::{Interest, Token, net::TcpListener};
use std::{io, thread};

/// Pause after a failed accept.
const ACCEPT_REST: Duration = Duration::from_millis(200);
/// Connections accepted before the others get their turn.
const ACCEPTS: usize = 64;

pub(super) struct Reactor {
    hold: Hold,
    pool: Arc<Pool>,
    port: Arc<Port>,
    control: Receiver<Control>,
    coalescing: Coalescing,
    listeners: Vec<Listener>,
    next_id: u64,
    max_connections: usize,
    /// Streams whose publisher vanished, each once: the newest loss counts. All windows are equally long, so the
    /// first ends first.
    lost: VecDeque<Lost>,
    too_many: Throttle,
    accept_fails: Throttle,
    stop_at: Option<MonoTime>,
}

struct Listener {
    socket: TcpListener,
    /// It may have connections that no event will tell of; look again at this time.
    again_at: Option<MonoTime>,
}

struct Lost {
    hub: HubHandle,
    claim: u64,
    deadline: MonoTime,
}

impl Reactor {
    /// Watches `listeners`, whose tokens must lie below the first of `sockets`.
    pub(super) fn new(
        shared: Arc<Shared>,
        pool: Arc<Pool>,
        port: Arc<Port>,
        control: Receiver<Control>,
        sockets: Sockets,
        listeners: Vec<TcpListener>,
        max_connections: usize,
    ) -> io::Result<Reactor> {
        let mut watched = Vec::new();
        for (index, mut socket) in listeners.into_iter().enumerate() {
            sockets.registry().register(&mut socket, Token(index), Interest::READABLE)?;
            watched.push(Listener { socket, again_at: None });
        }
        Ok(Reactor {
            hold: Hold::new(shared, sockets),
            pool,
            port,
            control,
            coalescing: Coalescing::default(),
            listeners: watched,
            next_id: 1,
            max_connections,
            lost: VecDeque::new(),
            too_many: Throttle::default(),
            accept_fails: Throttle::default(),
            stop_at: None,
        })
    }

    pub(super) fn run(mut self) {
        let mut ready = Vec::new();
        while !self.stop_at.is_some_and(|at| at <= self.hold.shared.now() || self.hold.sockets.is_empty()) {
            self.sleep(&mut ready);
            let now = self.hold.shared.now();
            self.coalescing.note(now, self.patient(&ready));
            while let Ok(message) = self.control.try_recv() {
                self.handle_control(now, message);
            }
            for index in self.hold.sockets.take_again() {
                self.turn(now, index);
            }
            for ready in &ready {
                match *ready {
                    Ready::Connection(index) => self.turn(now, index),
                    Ready::Other(Token(index)) => {
                        if let Some(listener) = self.listeners.get_mut(index) {
                            listener.again_at = Some(now);
                        }
                    }
                }
            }
            self.accept_waiting(now);
            self.handle_deadlines(now);
            self.end_resume_windows(now);
        }
        let now = self.hold.shared.now();
        for index in self.hold.sockets.indices() {
            if let Some(connection) = self.hold.sockets.remove(index) {
                self.bury(now, connection);
            }
        }
    }

    fn sleep(&mut self, ready: &mut Vec<Ready>) {
        let now = self.hold.shared.now();
        let accepts = self.listeners.iter().filter_map(|listener| listener.again_at);
        let window = self.lost.front().map(|lost| lost.deadline);
        let mut until = accepts.chain(window).chain(self.stop_at).min();
        self.port.fall_asleep();
        if !self.control.is_empty() {
            until = Some(now);
        }
        ready.clear();
        let is_woken = self.hold.sockets.wait(now, until, ready);
        // It may have slept for long.
        let now = self.hold.shared.now();
        let is_due = until.is_some_and(|at| at <= now);
        let is_urgent = is_woken || is_due || ready.len() >= EVENTS || self.hold.sockets.is_behind();
        let look = Look { ready: ready.len(), patient: self.patient(ready), is_urgent };
        if let Some(rest) = self.coalescing.rest(now, look) {
            thread::sleep(rest);
            self.hold.sockets.wait(now, Some(now), ready);
        }
        self.port.stay_awake();
    }

    /// How many of them are publishers in the middle of their stream.
    fn patient(&self, ready: &[Ready]) -> usize {
        let is_patient = |ready: &&Ready| match **ready {
            Ready::Connection(index) => self.hold.sockets.get(index).is_some_and(Connection::is_patient),
            Ready::Other(_) => false,
        };
        ready.iter().filter(is_patient).count()
    }

    fn handle_control(&mut self, now: MonoTime, message: Control) {
        match message {
            Control::Mail(id) => {
                if let Some(index) = self.hold.sockets.find(id) {
                    self.with(now, index, |connection, cx| connection.check_mail(cx));
                }
            }
            Control::Lost { hub, claim, deadline } => {
                log::info!("{}: the publisher is gone; players wait for it to come back", hub.path());
                self.lost.retain(|earlier| !earlier.hub.is(&hub));
                self.lost.push_back(Lost { hub, claim, deadline });
            }
            Control::Stop => {
                self.stop_at = Some(now + STOP_GRACE);
                self.listeners.clear();
                for index in self.hold.sockets.indices() {
                    self.with(now, index, |connection, cx| connection.close(cx, CloseReason::Shutdown));
                }
                // Behind every connection that was sent to a thread.
                self.pool.stop();
                if let Some(vod) = &self.hold.shared.vod {
                    vod.stop();
                }
            }
            Control::Report(question) => question.answer(&self.hold.sockets, |_| {}),
            // One that plays no file any more.
            Control::Adopt(connection, actions) => self.adopt(now, connection, actions),
        }
    }

    // ---- accepting

    fn accept_waiting(&mut self, now: MonoTime) {
        for index in 0..self.listeners.len() {
            if self.listeners[index].again_at.is_some_and(|at| at <= now) {
                self.listeners[index].again_at = self.accept(now, index);
            }
        }
    }

    /// Accepts what waits; returns when to try again without an event.
    fn accept(&mut self, now: MonoTime, listener: usize) -> Option<MonoTime> {
        for _ in 0..ACCEPTS {
            match self.listeners[listener].socket.accept() {
                Ok((socket, peer)) => self.open(now, socket, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // The peer was faster in leaving than we in accepting.
                Err(error) if is_of_the_peer(error.kind()) => {}
                Err(error) => {
                    if let Some(count) = self.accept_fails.count(now, 1) {
                        log::error!("cannot accept connections: {error} ({count} times); trying again");
                    }
                    return Some(now + ACCEPT_REST);
                }
            }
        }
        Some(now)
    }

    fn open(&mut self, now: MonoTime, socket: mio::net::TcpStream, peer: SocketAddr) {
        if self.hold.shared.stats.connections.value() >= self.max_connections as u64 {
            self.hold.shared.stats.refused.add(1);
            if let Some(count) = self.too_many.count(now, 1) {
                let max = self.max_connections;
                log::warn!("{count} connections turned away: {max} are open (--max-connections)");
            }
            return;
        }
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        let connection = Box::new(Connection::new(socket, peer, id, self.port.clone(), &self.hold.shared));
        match self.hold.sockets.insert(connection) {
            Ok(index) => self.turn(now, index),
            Err((error, connection)) => {
                log::error!("{id} cannot be watched: {error}");
                self.bury(now, connection);
            }
        }
    }

    // ---- connections

    fn adopt(&mut self, now: MonoTime, connection: Owned, actions: Vec<Action>) {
        let index = match self.hold.sockets.insert(connection) {
            Ok(index) => index,
            Err((error, connection)) => {
                log::error!("{} cannot be watched: {error}", connection.id());
                return self.bury(now, connection);
            }
        };
        self.finish_turn(now, index, actions);
        self.with(now, index, |connection, cx| {
            connection.check_mail(cx);
            if cx.shared.is_stopping() {
                connection.close(cx, CloseReason::Shutdown);
            }
        });
        self.turn(now, index);
    }

    fn turn(&mut self, now: MonoTime, index: usize) {
        let shared = self.hold.shared.clone();
        let mut actions = core::mem::take(&mut self.hold.actions);
        let mut cx = Context { now, shared: &shared, actions: &mut actions };
        self.hold.sockets.turn(index, &mut cx);
        self.finish_turn(now, index, actions);
    }

    fn bury(&self, now: MonoTime, connection: Owned) {
        let mut actions = Vec::new();
        connection.finish(&mut Context { now, shared: &self.hold.shared, actions: &mut actions });
    }

    fn end_resume_windows(&mut self, now: MonoTime) {
        while self.lost.front().is_some_and(|lost| lost.deadline <= now) {
            let Some(Lost { hub, claim, .. }) = self.lost.pop_front() else { return };
            if hub.expire(claim) {
                log::info!("{}: the publisher did not come back", hub.path());
            }
        }
    }
}

impl Owner for Reactor {
    fn hold(&mut self) -> &mut Hold {
        &mut self.hold
    }

    /// Writes, or gives a connection that plays to a subscriber thread, which writes replies and media in one go. One that
    /// waits for an answer about a file goes to a thread that may wait for the disk.
    fn finish_turn(&mut self, now: MonoTime, index: usize, mut actions: Vec<Action>) {
        let plays = actions.iter().any(|action| matches!(action, Action::Join { .. }));
        if plays {
            if let Some(connection) = self.hold.sockets.remove(index) {
                if let Err((error, connection)) = self.pool.adopt(&self.hold.shared, connection, actions) {
                    log::error!("{} cannot play: {error}", connection.id());
                    self.bury(now, connection);
                }
            }
            return;
        }
        let asked = actions.iter().find(|action| action.needs_file());
        if let (Some(asked), Some(connection)) = (asked, self.hold.sockets.get_mut(index)) {
            match vod::hire(&self.hold.shared) {
                Ok(port) => {
                    if let Some(connection) = self.hold.sockets.remove(index) {
                        port.give(connection, actions);
                    }
                    return;
                }
                // It may ask for something else.
                Err(error) => vod::refuse(now, &self.hold.shared, connection, asked, &error),
            }
        }
        // Nobody plays here, so the rest has no effect.
        actions.clear();
        self.hold.actions = actions;
        if let Some(connection) = self.hold.sockets.settle(now, index) {
            self.bury(now, connection);
        }
    }
}

/// Errors of accept that concern one connection.
fn is_of_the_peer(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
