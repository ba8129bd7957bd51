//! The server as a whole.

use super::{ports::Ports, sample::Sample, track::whole};
use crate::server::{Shared, hub::HubState, web::files::Folder};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Server<'a> {
    version: &'static str,
    instance: &'a str,
    started_at_ms: u64,
    now_ms: u64,
    uptime_ms: u64,
    ports: Ports,
    listen: Vec<Listen>,
    process: Process,
    traffic: Traffic,
    connections: Connections,
    streams: Streams,
    players: usize,
    dropped_tags: u64,
    recording_gaps: u64,
    enabled: Enabled,
}

#[derive(Serialize)]
struct Listen {
    address: String,
    tls: bool,
}

#[derive(Serialize)]
struct Process {
    cpu_percent: Option<f64>,
    cpu_ms: Option<u64>,
    cores: usize,
    resident_bytes: Option<u64>,
    threads: Option<u64>,
    open_files: Option<u64>,
    max_open_files: Option<u64>,
}

#[derive(Serialize)]
struct Traffic {
    received_bytes: u64,
    sent_bytes: u64,
    received_bps: u64,
    sent_bps: u64,
}

#[derive(Serialize)]
struct Connections {
    open: u64,
    accepted: u64,
    refused: u64,
    max: usize,
}

#[derive(Serialize)]
struct Streams {
    live: usize,
    waiting: usize,
}

#[derive(Serialize)]
struct Enabled {
    record: bool,
    capture: bool,
    files: bool,
    hls: bool,
}

impl Server<'_> {
    pub(super) fn of<'a>(shared: &'a Shared, sample: &Sample) -> Server<'a> {
        let count = |state| sample.streams.values().filter(|facts| facts.state == state).count();
        let is_live = |path| sample.streams.get(path).is_some_and(|facts| facts.state != HubState::Waiting);
        let listen = shared.addresses.iter();
        let process = &sample.process;
        let stats = &shared.stats;
        let uptime_ms = sample.now.0;
        Server {
            version: env!("CARGO_PKG_VERSION"),
            instance: &shared.api.instance,
            started_at_ms: sample.wall.saturating_sub(uptime_ms),
            now_ms: sample.wall,
            uptime_ms,
            ports: Ports::of(shared),
            listen: listen.map(|address| Listen { address: address.to_string(), tls: shared.tls.is_some() }).collect(),
            process: Process {
                cpu_percent: sample.rates.cpu_percent.map(|percent| (percent * 10.0).round() / 10.0),
                cpu_ms: Some(process.cpu.as_millis() as u64),
                cores: process.cores,
                resident_bytes: process.resident_bytes,
                threads: process.threads,
                open_files: process.open_files,
                max_open_files: process.max_open_files,
            },
            traffic: Traffic {
                received_bytes: sample.received,
                sent_bytes: sample.sent,
                received_bps: whole(sample.rates.traffic.0),
                sent_bps: whole(sample.rates.traffic.1),
            },
            connections: Connections {
                open: stats.connections.value(),
                accepted: stats.accepted.value(),
                refused: stats.refused.value(),
                max: shared.api.max_connections,
            },
            streams: Streams { live: count(HubState::Live), waiting: count(HubState::Waiting) },
            players: sample.players().filter(|facts| facts.stream.as_ref().is_some_and(is_live)).count(),
            dropped_tags: stats.dropped_tags.value(),
            recording_gaps: stats.recording_gaps.value(),
            enabled: Enabled {
                record: shared.recordings.is_some(),
                capture: shared.capture.is_some(),
                files: shared.vod.as_ref().is_some_and(|vod| vod.has_folder(Folder::Media)),
                hls: shared.segmenters.is_on(),
            },
        }
    }
}
