//! The connections that one thread owns: poll, table, deadlines and the shared read buffer.
//!
//! Reactor and subscriber threads add to this what they do with actions and tags. A turn of a connection is
//! always: [`Sockets::turn`], apply the actions it left, [`Sockets::settle`].

use super::{
    connection::{Connection, Context, Owned, READ_BUFFER},
    deadlines::Deadlines,
    port::ConnectionId,
};
use crate::base::MonoTime;
use alloc::{vec, vec::Vec};
use core::time::Duration;
use mio::{Events, Poll, Token, Waker, event::Event};
use std::{collections::HashMap, io};

/// Readiness events taken from the system at once.
pub(super) const EVENTS: usize = 256;
/// The waker's token; no table grows that large.
const WAKE: Token = Token(usize::MAX);
/// Marks a connection's token as that of its ports for datagrams.
const PORTS: usize = 1 << (usize::BITS - 2);

pub(super) struct Sockets {
    poll: Poll,
    events: Events,
    connections: Vec<Option<Owned>>,
    /// Where each is: mail comes for thousands at once when a part of a stream is there that they wait for.
    indices: HashMap<ConnectionId, usize>,
    free: Vec<usize>,
    deadlines: Deadlines,
    /// Whose budget was spent, or who has something left to do although no event will say so.
    again: Vec<usize>,
    buffer: Vec<u8>,
    /// Tokens below this are the owner's.
    first: usize,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// A connection, by index; its readiness is noted.
    Connection(usize),
    /// Something that the owner registered.
    Other(Token),
}

impl Sockets {
    /// A table whose owner registers tokens below `first` itself.
    pub(super) fn new(first: usize) -> io::Result<(Sockets, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let sockets = Sockets {
            poll,
            events: Events::with_capacity(EVENTS),
            connections: Vec::new(),
            indices: HashMap::new(),
            free: Vec::new(),
            deadlines: Deadlines::default(),
            again: Vec::new(),
            buffer: vec![0; READ_BUFFER],
            first,
        };
        Ok((sockets, waker))
    }

    pub(super) fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// Sleeps until something is ready, `until` or a connection's deadline has come; adds who is ready to `ready`. True
    /// if another thread has knocked.
    pub(super) fn wait(&mut self, now: MonoTime, until: Option<MonoTime>, ready: &mut Vec<Ready>) -> bool {
        let deadline = [until, self.deadlines.next()].into_iter().flatten().min();
        let rest = if self.is_behind() { Some(Duration::ZERO) } else { deadline.map(|at| at.since(now)) };
        if let Err(error) = self.poll.poll(&mut self.events, rest) {
            if error.kind() != io::ErrorKind::Interrupted {
                log::error!("poll: {error}");
            }
            return false;
        }
        let mut is_woken = false;
        for event in &self.events {
            match event.token() {
                WAKE => is_woken = true,
                _ => ready.push(ready_of(event, self.first, &mut self.connections)),
            }
        }
        is_woken
    }

    /// Takes a connection in; gives it back if it cannot be registered.
    pub(super) fn insert(&mut self, mut connection: Owned) -> Result<usize, (io::Error, Owned)> {
        let index = self.free.last().copied().unwrap_or(self.connections.len());
        if let Err(error) = connection.register(self.poll.registry(), Token(self.first + index)) {
            return Err((error, connection));
        }
        self.indices.insert(connection.id(), index);
        match self.free.pop() {
            Some(_) => self.connections[index] = Some(connection),
            None => self.connections.push(Some(connection)),
        }
        Ok(index)
    }

    /// Gives a connection away.
    pub(super) fn remove(&mut self, index: usize) -> Option<Owned> {
        let mut connection = self.connections.get_mut(index)?.take()?;
        self.free.push(index);
        self.indices.remove(&connection.id());
        self.deadlines.forget(index);
        connection.is_in_line = false;
        // Fails only if the socket was never registered.
        let _ = connection.deregister(self.poll.registry());
        Some(connection)
    }

    pub(super) fn get(&self, index: usize) -> Option<&Connection> {
        self.connections.get(index)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Connection> {
        self.connections.get_mut(index)?.as_deref_mut()
    }

    /// The connection with that id, if this thread owns it.
    pub(super) fn find(&self, id: ConnectionId) -> Option<usize> {
        self.indices.get(&id).copied()
    }

    /// All connections with their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Connection)> {
        let connections = self.connections.iter().enumerate();
        connections.filter_map(|(index, connection)| Some((index, connection.as_deref()?)))
    }

    /// Indices of all connections.
    pub(super) fn indices(&self) -> Vec<usize> {
        (0..self.connections.len()).filter(|index| self.connections[*index].is_some()).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.len() == self.free.len()
    }

    /// Reads for a connection; the actions of its events are left in `cx`.
    pub(super) fn turn(&mut self, index: usize, cx: &mut Context<'_>) {
        let Some(Some(connection)) = self.connections.get_mut(index) else { return };
        // Whoever had its turn and could not finish waits until the others have had theirs.
        if !connection.is_in_line {
            connection.read(cx, &mut self.buffer);
        }
    }

    /// Writes for a connection and enters its deadline. Returns the connection if it is over.
    pub(super) fn settle(&mut self, now: MonoTime, index: usize) -> Option<Owned> {
        let connection = self.connections.get_mut(index)?.as_mut()?;
        connection.register_ports(self.poll.registry(), Token(PORTS | (self.first + index)));
        connection.flush(now);
        if connection.is_over() {
            return self.remove(index);
        }
        if connection.needs_read() && !core::mem::replace(&mut connection.is_in_line, true) {
            self.again.push(index);
        }
        if let Some(at) = connection.deadline() {
            self.deadlines.schedule(index, at);
        }
        None
    }

    /// Some could not finish their last turn.
    pub(super) fn is_behind(&self) -> bool {
        !self.again.is_empty()
    }

    /// Those who could not finish their last turn; it is theirs again.
    pub(super) fn take_again(&mut self) -> Vec<usize> {
        let again = core::mem::take(&mut self.again);
        for index in &again {
            if let Some(connection) = self.get_mut(*index) {
                connection.is_in_line = false;
            }
        }
        again
    }

    /// The next connection whose deadline has come; it is handled already and needs to be settled.
    pub(super) fn expire(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        while let Some(index) = self.deadlines.pop(cx.now) {
            if let Some(connection) = self.get_mut(index) {
                connection.handle_timeout(cx);
                return Some(index);
            }
        }
        None
    }
}

fn ready_of(event: &Event, first: usize, connections: &mut [Option<Owned>]) -> Ready {
    let Token(token) = event.token();
    if token & PORTS != 0 {
        let index = (token & !PORTS) - first;
        if let Some(Some(connection)) = connections.get_mut(index) {
            connection.note_datagrams();
        }
        return Ready::Connection(index);
    }
    let Some(index) = token.checked_sub(first) else { return Ready::Other(event.token()) };
    if let Some(Some(connection)) = connections.get_mut(index) {
        connection.note(event);
    }
    Ready::Connection(index)
}
