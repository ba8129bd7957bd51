//! Connections, one and many.

use super::{Selection, sample::Sample, track::whole};
use crate::{
    base::sort,
    server::report::{Capture, ConnectionFacts, Protocol, Role, State},
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::cmp::Reverse;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Connection<'a> {
    id: u64,
    address: String,
    protocol: Option<Protocol>,
    tls: bool,
    role: Role,
    stream: Option<&'a str>,
    agent: Option<&'a str>,
    since_at_ms: u64,
    uptime_ms: u64,
    received_bytes: u64,
    sent_bytes: u64,
    received_bps: Option<u64>,
    sent_bps: Option<u64>,
    delay_ms: Option<u64>,
    queue_bytes: usize,
    dropped_tags: u64,
    state: State,
    capture: Option<&'a Capture>,
}

#[derive(Serialize)]
pub(super) struct Connections<'a> {
    connections: Vec<Connection<'a>>,
    total: usize,
}

impl Connection<'_> {
    pub(super) fn of<'a>(sample: &Sample, facts: &'a ConnectionFacts) -> Connection<'a> {
        let rates = sample.rates.connections.get(&facts.id);
        Connection {
            id: facts.id,
            address: facts.address.to_string(),
            protocol: facts.protocol,
            tls: facts.is_tls,
            role: facts.role,
            stream: facts.stream.as_ref().map(|path| path.as_str()),
            agent: facts.agent.as_deref(),
            since_at_ms: sample.wall_of(facts.opened),
            uptime_ms: sample.since(facts.opened),
            received_bytes: facts.received,
            sent_bytes: facts.sent,
            received_bps: rates.map(|rates| whole(rates.0)),
            sent_bps: rates.map(|rates| whole(rates.1)),
            delay_ms: facts.delay,
            queue_bytes: facts.queued,
            dropped_tags: facts.dropped,
            state: facts.state,
            capture: facts.capture.as_ref(),
        }
    }
}

impl Connections<'_> {
    /// Those that are selected: publishers, then players, farthest behind first, then the others; the oldest first among equals.
    pub(super) fn of<'a>(sample: &'a Sample, selection: &Selection) -> Connections<'a> {
        let mut selected: Vec<&ConnectionFacts> =
            sample.connections.iter().filter(|facts| is_selected(facts, &selection.q)).collect();
        sort::sort_by_key(&mut selected, |facts| match facts.role {
            Role::Publisher => (0, Reverse(0), facts.id),
            Role::Player => (1, Reverse(facts.delay.unwrap_or(0)), facts.id),
            _ => (2, Reverse(0), facts.id),
        });
        let total = selected.len();
        let page = selection.page.of(selected);
        Connections {
            connections: page.into_iter().map(|facts| Connection::of(sample, facts)).collect(),
            total,
        }
    }
}

/// Whether one of its texts holds `q`, which is in lower case.
fn is_selected(facts: &ConnectionFacts, q: &str) -> bool {
    let holds = |text: &str| text.to_lowercase().contains(q);
    q.is_empty()
        || facts.stream.as_ref().is_some_and(|path| holds(path.as_str()))
        || holds(&facts.address.to_string())
        || facts.protocol.is_some_and(|protocol| holds(protocol.name()))
        || holds(facts.role.name())
        || facts.agent.as_deref().is_some_and(holds)
}
