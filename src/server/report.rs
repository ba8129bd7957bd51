//! What there is to tell about connections: each thread tells of those that it owns, when it is asked.
//!
//! Nothing is counted for this while nobody looks. The delay of a player is reckoned from what waits for its socket and how much
//! of its stream comes in a second, and not measured tag by tag. Bound: one answer a thread holds all its connections.

use super::{
    path::StreamPath,
    port::{ConnectionId, Mailbox},
    sockets::Sockets,
};
use crate::base::MonoTime;
use alloc::{
    string::String,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::net::SocketAddr;
use crossbeam_channel::Sender;
use serde::Serialize;

/// A question to a thread.
pub(super) struct Question {
    /// About that one alone.
    pub(super) only: Option<ConnectionId>,
    /// Where the answer goes.
    pub(super) to: Sender<Vec<ConnectionFacts>>,
}

impl Question {
    /// Answers it, about those of the connections that it is about. `describe` adds what the thread knows.
    pub(super) fn answer(self, sockets: &Sockets, describe: impl FnOnce(&mut Facts)) {
        let mut facts = Facts { all: Vec::new(), places: Vec::new() };
        for (index, connection) in sockets.iter() {
            if self.only.is_some_and(|only| only != connection.id()) {
                continue;
            }
            let told = connection.facts();
            if told.state != State::Closing {
                facts.places.resize(index, None);
                facts.places.push(Some(facts.all.len()));
            }
            facts.all.push(told);
        }
        describe(&mut facts);
        // Nobody waits any more if it was slow.
        let _ = self.to.send(facts.all);
    }
}

/// An answer that is being written.
pub(super) struct Facts {
    all: Vec<ConnectionFacts>,
    /// Where those of a connection are, by its index.
    places: Vec<Option<usize>>,
}

impl Facts {
    /// Of a connection by its index, unless it is not asked for or closes.
    pub(super) fn of(&mut self, index: usize) -> Option<&mut ConnectionFacts> {
        let place = self.places.get(index).copied().flatten()?;
        self.all.get_mut(place)
    }

    /// Of all of them.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut ConnectionFacts> {
        self.all.iter_mut()
    }
}

/// What there is to tell about one connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectionFacts {
    pub(super) mailbox: Weak<Mailbox>,
    pub(super) id: u64,
    pub(super) address: SocketAddr,
    pub(super) protocol: Option<Protocol>,
    pub(super) is_tls: bool,
    pub(super) role: Role,
    pub(super) stream: Option<StreamPath>,
    pub(super) agent: Option<Arc<str>>,
    pub(super) opened: MonoTime,
    pub(super) received: u64,
    pub(super) sent: u64,
    /// Milliseconds.
    pub(super) delay: Option<u64>,
    pub(super) queued: usize,
    pub(super) dropped: u64,
    pub(super) state: State,
    pub(super) capture: Option<Capture>,
}

/// What a connection speaks, and plays by. As the API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Protocol {
    Rtmp,
    Rtsp,
    HttpFlv,
    WsFlv,
    /// It asked for a file of a stream in segments last.
    Hls,
    /// A file is read over HTTP.
    File,
    Http,
}

/// What a connection is for. As the API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Publisher,
    Player,
    File,
    Console,
    Other,
}

/// How it goes. As the API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Active,
    Paused,
    /// Loses the rest of a group of pictures.
    Behind,
    /// For a publisher or keyframe.
    Waiting,
    Closing,
}

/// A capture that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Capture {
    /// Below the folder of `--capture`.
    pub(super) name: String,
    pub(super) bytes: u64,
}

impl Protocol {
    /// All of them.
    pub(super) const ALL: [Protocol; 7] = [
        Protocol::Rtmp,
        Protocol::Rtsp,
        Protocol::HttpFlv,
        Protocol::WsFlv,
        Protocol::Hls,
        Protocol::File,
        Protocol::Http,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Protocol::Rtmp => "rtmp",
            Protocol::Rtsp => "rtsp",
            Protocol::HttpFlv => "http-flv",
            Protocol::WsFlv => "ws-flv",
            Protocol::Hls => "hls",
            Protocol::File => "file",
            Protocol::Http => "http",
        }
    }
}

impl Role {
    /// All of them.
    pub(super) const ALL: [Role; 5] = [Role::Publisher, Role::Player, Role::File, Role::Console, Role::Other];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Role::Publisher => "publisher",
            Role::Player => "player",
            Role::File => "file",
            Role::Console => "console",
            Role::Other => "other",
        }
    }
}
