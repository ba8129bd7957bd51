//! Streams, one and many.

use super::{
    sample::Sample,
    track::{Audio, Video, whole},
};
use crate::server::{
    StreamPath,
    hub::HubFacts,
    port::{FeederKind, Mailbox},
    record::RecordingFacts,
    report::{ConnectionFacts, Protocol, Role},
};
use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};
use serde::Serialize;
use std::collections::HashMap;

#[derive(Serialize)]
pub(super) struct Streams<'a> {
    streams: Vec<Stream<'a>>,
}

#[derive(Serialize)]
pub(super) struct Stream<'a> {
    path: &'a str,
    state: &'static str,
    since_at_ms: Option<u64>,
    uptime_ms: Option<u64>,
    publisher: Option<Publisher>,
    video: Option<Video>,
    audio: Option<Audio>,
    bitrate_bps: Option<u64>,
    received_bytes: u64,
    gop: Option<Gop>,
    players: Players,
    dropped_tags: u64,
    recording: Option<StreamRecording>,
}

#[derive(Serialize)]
struct Gop {
    length_ms: Option<u32>,
    frames: Option<u32>,
    cached_bytes: usize,
}

#[derive(Default, Serialize)]
struct Players {
    total: usize,
    by: BTreeMap<&'static str, usize>,
}

#[derive(Serialize)]
struct Publisher {
    kind: Kind,
    connection: Option<u64>,
    protocol: Option<Protocol>,
    tls: bool,
    address: Option<String>,
    agent: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Kind {
    Client(&'static str),
    Fed(FeederKind),
}

#[derive(Serialize)]
pub(super) struct StreamRecording {
    name: String,
    since_at_ms: u64,
    duration_ms: u64,
    bytes: u64,
}

/// Which connections belong to which stream.
struct People<'a> {
    players: HashMap<&'a str, Players>,
    publishers: HashMap<u64, &'a ConnectionFacts>,
}

impl Streams<'_> {
    pub(super) fn of(sample: &Sample) -> Streams<'_> {
        let mut people = People::of(sample);
        let streams = sample.streams.iter();
        Streams {
            streams: streams.map(|(path, facts)| Stream::new(sample, path, facts, &mut people)).collect(),
        }
    }
}

impl Stream<'_> {
    /// `None` if there is no such stream.
    pub(super) fn of<'a>(sample: &'a Sample, path: &StreamPath) -> Option<Stream<'a>> {
        let (path, facts) = sample.streams.get_key_value(path)?;
        Some(Stream::new(sample, path, facts, &mut People::of(sample)))
    }

    fn new<'a>(
        sample: &'a Sample,
        path: &'a StreamPath,
        facts: &HubFacts,
        people: &mut People<'_>,
    ) -> Stream<'a> {
        let video = Video::of(facts);
        let group = facts.measured.group;
        let gop = video.is_some().then(|| Gop {
            length_ms: group.map(|(length, _)| length),
            frames: group.map(|(_, frames)| frames),
            cached_bytes: facts.cached,
        });
        Stream {
            path: path.as_str(),
            state: facts.state.name(),
            since_at_ms: facts.began.map(|at| sample.wall_of(at)),
            uptime_ms: facts.began.map(|at| sample.since(at)),
            publisher: facts.publisher.as_ref().map(|mailbox| people.publisher(mailbox, facts)),
            video,
            audio: Audio::of(facts),
            bitrate_bps: facts.measured.bits.map(whole),
            received_bytes: facts.measured.bytes,
            gop,
            players: people.players.remove(path.as_str()).unwrap_or_default(),
            dropped_tags: facts.dropped,
            recording: sample.recordings.get(path).map(|recording| StreamRecording::of(sample, recording)),
        }
    }
}

impl StreamRecording {
    pub(super) fn of(sample: &Sample, facts: &RecordingFacts) -> StreamRecording {
        let has_begun = facts.name.is_some();
        StreamRecording {
            name: facts.name.clone().unwrap_or_default(),
            since_at_ms: if has_begun { sample.wall_of(facts.since) } else { sample.wall },
            duration_ms: facts.duration,
            bytes: facts.bytes,
        }
    }
}

impl<'a> People<'a> {
    fn of(sample: &'a Sample) -> People<'a> {
        let mut players = HashMap::<_, Players>::new();
        for (path, protocol, count) in sample.players() {
            let players = players.entry(path.as_str()).or_default();
            players.total += count;
            *players.by.entry(protocol.name()).or_default() += count;
        }
        let publishers = sample.connections.iter().filter(|facts| facts.role == Role::Publisher);
        People { players, publishers: publishers.map(|facts| (facts.id, facts)).collect() }
    }

    fn publisher(&self, mailbox: &Mailbox, stream: &HubFacts) -> Publisher {
        if let Some(feeder) = &mailbox.feeder {
            return Publisher {
                kind: Kind::Fed(feeder.kind),
                connection: None,
                protocol: feeder.server.as_ref().map(|(protocol, _)| *protocol),
                tls: false,
                address: feeder.server.as_ref().map(|(_, address)| address.clone()),
                agent: Some(feeder.name.clone()),
            };
        }
        let facts = self.publishers.get(&mailbox.id.0);
        let agent = facts.and_then(|facts| facts.agent.clone());
        Publisher {
            kind: Kind::Client("client"),
            connection: Some(mailbox.id.0),
            protocol: facts.and_then(|facts| facts.protocol),
            tls: facts.is_some_and(|facts| facts.is_tls),
            address: Some(
                facts.map_or_else(|| mailbox.address.to_string(), |facts| facts.address.to_string()),
            ),
            agent: stream.description.encoder.clone().or(agent).map(|agent| agent.to_string()),
        }
    }
}
