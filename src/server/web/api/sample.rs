//! The server at one moment: what every thread tells of its connections, every stream of itself, the system of the process.
//!
//! All answers that are given at that moment are made from it. Rates are differences to an earlier sample. Bounds: [`PATIENCE`];
//! a thread that does not answer in time is left out, with its connections; totals stand still then.

use super::process::Process;
use crate::{
    base::{MonoTime, sort},
    server::{
        Shared, StreamPath,
        hub::{HubFacts, HubState},
        port::{ConnectionId, Control, Port},
        record::RecordingFacts,
        report::{ConnectionFacts, Protocol, Question, Role},
        wall,
    },
};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::time::Duration;
use crossbeam_channel::{RecvTimeoutError, unbounded};
use std::{collections::HashMap, time::Instant};

/// Time that all threads together have to answer. They do within a turn.
const PATIENCE: Duration = Duration::from_millis(250);
/// Rates over less than this say little, over more they are none of the moment.
const RATES: core::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(in crate::server::web) struct Sample {
    pub(in crate::server::web) now: MonoTime,
    /// Milliseconds since 1970.
    pub(in crate::server::web) wall: u64,
    pub(in crate::server::web) connections: Vec<ConnectionFacts>,
    /// By their paths, those that somebody publishes or waits for.
    pub(in crate::server::web) streams: BTreeMap<StreamPath, HubFacts>,
    pub(in crate::server::web) recordings: HashMap<StreamPath, RecordingFacts>,
    /// How many watch a stream in segments.
    pub(in crate::server::web) viewers: HashMap<StreamPath, usize>,
    pub(in crate::server::web) process: Process,
    /// Bytes of all sockets since the start.
    pub(in crate::server::web) received: u64,
    pub(in crate::server::web) sent: u64,
    pub(in crate::server::web) rates: Rates,
}

/// How much a second, at the time of a sample.
#[derive(Clone, Debug, Default)]
pub(in crate::server::web) struct Rates {
    /// Bits received and sent, by connection.
    pub(in crate::server::web) connections: HashMap<u64, (f64, f64)>,
    pub(in crate::server::web) traffic: (f64, f64),
    /// Of one core.
    pub(in crate::server::web) cpu_percent: Option<f64>,
}

/// What rates are differences to.
#[derive(Debug, Default)]
pub(super) struct Before {
    at: MonoTime,
    /// None yet.
    is_empty: bool,
    counts: HashMap<u64, (u64, u64)>,
    traffic: (u64, u64),
    cpu: Duration,
    last: Rates,
    /// Bytes that were told of at most. Kept when nobody looks any more.
    most: (u64, u64),
}

impl Before {
    pub(super) fn new() -> Before {
        Before { is_empty: true, ..Before::default() }
    }

    /// What rates need is forgotten.
    pub(super) fn forget(&mut self) {
        *self = Before { most: self.most, ..Before::new() };
    }

    /// Bytes received and sent since the start, from those of connections that have closed and of those that are open. Never less than
    /// before: connections are missing here that closed meanwhile or whose threads were slow.
    fn total(&mut self, closed: (u64, u64), connections: &[ConnectionFacts]) -> (u64, u64) {
        let add = |(received, sent), facts: &ConnectionFacts| (received + facts.received, sent + facts.sent);
        let (received, sent) = connections.iter().fold(closed, add);
        self.most = (self.most.0.max(received), self.most.1.max(sent));
        self.most
    }

    /// The rates since the last sample; that of now is the next to compare with if enough time has passed.
    fn rates(
        &mut self,
        now: MonoTime,
        connections: &[ConnectionFacts],
        traffic: (u64, u64),
        cpu: Duration,
    ) -> Rates {
        let span = now.since(self.at);
        if !self.is_empty && span < *RATES.start() {
            return self.last.clone();
        }
        let mut rates = Rates::default();
        if !self.is_empty && RATES.contains(&span) {
            let seconds = span.as_secs_f64();
            let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 * 8.0 / seconds;
            for facts in connections {
                if let Some((received, sent)) = self.counts.get(&facts.id) {
                    let pair = (rate(facts.received, *received), rate(facts.sent, *sent));
                    rates.connections.insert(facts.id, pair);
                }
            }
            rates.traffic = (rate(traffic.0, self.traffic.0), rate(traffic.1, self.traffic.1));
            rates.cpu_percent = Some(cpu.saturating_sub(self.cpu).as_secs_f64() / seconds * 100.0);
        }
        let counts = connections.iter().map(|facts| (facts.id, (facts.received, facts.sent))).collect();
        let last = rates.clone();
        *self = Before { at: now, is_empty: false, counts, traffic, cpu, last, most: self.most };
        rates
    }
}

impl Sample {
    /// The server as it is now.
    pub(super) fn take(shared: &Arc<Shared>, before: &mut Before) -> Sample {
        // Before the others: a connection that closes in between is missing rather than counted twice.
        let closed = (shared.stats.bytes_in.value(), shared.stats.bytes_out.value());
        let connections = ask(shared, None).connections;
        let now = shared.now();
        let mut streams = BTreeMap::new();
        for hub in shared.registry.all() {
            let facts = hub.facts(now);
            if facts.state != HubState::Waiting || facts.has_players {
                streams.insert(hub.path().clone(), facts);
            }
        }
        let (received, sent) = before.total(closed, &connections);
        let process = Process::now(&shared.stats);
        let rates = before.rates(now, &connections, (received, sent), process.cpu);
        Sample {
            now,
            wall: wall::milliseconds(wall::now()),
            connections,
            streams,
            viewers: shared.segmenters.viewers(now),
            recordings: shared.recordings.as_ref().map(|recordings| recordings.facts()).unwrap_or_default(),
            process,
            received,
            sent,
            rates,
        }
    }

    /// Milliseconds since 1970 of a moment of the server's clock.
    pub(in crate::server::web) fn wall_of(&self, at: MonoTime) -> u64 {
        self.wall.saturating_sub(self.now.since(at).as_millis() as u64)
    }

    /// Milliseconds since then.
    pub(super) fn since(&self, at: MonoTime) -> u64 {
        self.now.since(at).as_millis() as u64
    }

    /// How many play a live stream, or wait for one, by which protocol; the same stream may come again and again.
    pub(super) fn players(&self) -> impl Iterator<Item = (&StreamPath, Protocol, usize)> {
        let players = self.connections.iter().filter(|facts| facts.role == Role::Player);
        let by_connection = players.filter_map(|facts| {
            // Players of HLS have as many connections as they like.
            let protocol = facts.protocol.filter(|protocol| *protocol != Protocol::Hls)?;
            Some((facts.stream.as_ref()?, protocol, 1))
        });
        by_connection.chain(self.viewers.iter().map(|(path, count)| (path, Protocol::Hls, *count)))
    }
}

/// What threads have told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// In the order in which they came.
    pub(super) connections: Vec<ConnectionFacts>,
    /// Every thread has answered.
    pub(super) is_complete: bool,
}

/// What the threads tell of their connections, or of that one.
pub(super) fn ask(shared: &Arc<Shared>, only: Option<ConnectionId>) -> Told {
    ask_at(shared.api.ports(shared), only)
}

fn ask_at(ports: Vec<Arc<Port>>, only: Option<ConnectionId>) -> Told {
    let (to, told) = unbounded();
    let mut waiting = ports.len();
    for port in ports {
        port.send(Control::Report(Question { only, to: to.clone() }));
    }
    drop(to);
    let deadline = Instant::now() + PATIENCE;
    let (mut all, mut is_complete) = (Vec::new(), true);
    while waiting > 0 {
        match told.recv_deadline(deadline) {
            Ok(facts) => all.extend(facts),
            // A thread that has ended meanwhile has none; then nobody holds the other end at last.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                is_complete = false;
                break;
            }
        }
        waiting -= 1;
    }
    // One that moved meanwhile may have been told of twice.
    sort::sort_by_key(&mut all, |facts| facts.id);
    all.dedup_by_key(|facts| facts.id);
    Told { connections: all, is_complete }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Config, Server};

    /// Of a connection of a running server.
    fn facts() -> ConnectionFacts {
        let listen = alloc::vec!["127.0.0.1:0".parse().unwrap()];
        let server = Server::start(Config { listen, ..Config::default() }).unwrap();
        let _client = std::net::TcpStream::connect(server.addresses()[0]).unwrap();
        let shared = server.shared.clone().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < deadline, "not in time");
            if let Some(facts) = ask(&shared, None).connections.pop() {
                return facts;
            }
        }
    }

    #[test]
    fn totals_never_go_back() {
        let mut before = Before::new();
        let open = [ConnectionFacts { received: 100, sent: 1000, ..facts() }];
        assert_eq!(before.total((5, 50), &open), (105, 1050));
        // Its thread is slow, nobody looks for a while, it has closed.
        assert_eq!(before.total((5, 50), &[]), (105, 1050));
        before.rates(MonoTime(0), &[], (105, 1050), Duration::ZERO);
        before.forget();
        assert_eq!(before.total((5, 50), &[]), (105, 1050));
        assert_eq!(before.total((205, 1060), &[]), (205, 1060));
    }

    #[test]
    fn a_thread_that_does_not_answer_is_told_from_one_that_has_ended() {
        let (control, slow) = unbounded();
        let port = || Arc::new(Port::without_waker(control.clone()));
        assert!(!ask_at(alloc::vec![port()], None).is_complete);
        drop(slow);
        assert!(ask_at(alloc::vec![port()], None).is_complete);
    }

    #[test]
    fn rates_are_of_the_last_second_or_two_and_stay_in_between() {
        let mut before = Before::new();
        let mut at = |now, bytes, cpu| {
            before.rates(MonoTime(now), &[], (bytes, 2 * bytes), Duration::from_millis(cpu))
        };
        assert_eq!(at(0, 0, 0).cpu_percent, None);
        assert_eq!(
            (at(1000, 1000, 500).traffic, at(1100, 5000, 600).traffic),
            ((8000.0, 16_000.0), (8000.0, 16_000.0))
        );
        let rates = at(2000, 3000, 2000);
        assert_eq!((rates.traffic, rates.cpu_percent), ((16_000.0, 32_000.0), Some(150.0)));
        assert_eq!(at(60_000, 9000, 3000).cpu_percent, None, "a mean over a minute");
    }
}
