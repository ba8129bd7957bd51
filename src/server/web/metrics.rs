//! `/metrics`: counters and gauges for Prometheus, as `docs/openapi.yaml` lists them.
//!
//! Labels hold no names of streams or addresses, so the series are as many as that table says, however many there are of those. All
//! of them are there from the start, at 0.

use super::api::sample::Sample;
use crate::{
    http::Response,
    server::{
        Shared,
        hub::HubState,
        report::{Protocol, Role},
        stats::Stats,
    },
};
use alloc::{boxed::Box, string::String, vec, vec::Vec};
use core::fmt;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};

/// OpenMetrics text.
const MIME: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All of them at one moment.
#[derive(Debug)]
struct Figures(Vec<Figure>);

#[derive(Debug)]
struct Figure {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    /// Without labels, or a number for each set of them.
    rows: Vec<(Labels, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Info,
}

type Labels = Vec<(&'static str, &'static str)>;

/// The answer.
pub(super) fn response(shared: &Shared, sample: &Sample) -> Response {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures::of(shared, sample)));
    let mut all = String::new();
    // Writing to a string cannot fail.
    let _ = text::encode(&mut all, &registry);
    Response::text(MIME, all).header("Cache-Control", "no-store")
}

impl Figures {
    fn of(shared: &Shared, sample: &Sample) -> Figures {
        let (stats, process) = (&shared.stats, &sample.process);
        let mut figures = Figures(Vec::new());
        let version = ("version", env!("CARGO_PKG_VERSION"));
        figures.add("weir_build", "Which weir it is", Kind::Info, vec![(vec![version], 1.0)]);
        let started = sample.wall.saturating_sub(sample.now.0) as f64 / 1000.0;
        figures.gauge("process_start_time_seconds", "When the process began, since 1970", Some(started));
        let cpu = process.cpu.as_secs_f64();
        figures.counter("process_cpu_seconds", "Processor time, user and system", cpu);
        let number = |number: Option<u64>| number.map(|number| number as f64);
        figures.gauge("process_resident_memory_bytes", "Resident memory", number(process.resident_bytes));
        figures.gauge("process_threads", "Threads", number(process.threads));
        figures.gauge("process_open_fds", "Open files", number(process.open_files));
        figures.gauge("process_max_fds", "Limit of open files", number(process.max_open_files));

        let connections =
            Protocol::ALL.into_iter().flat_map(|protocol| Role::ALL.map(|role| (protocol, role)));
        let connections = connections.map(|(protocol, role)| {
            let is_one = |facts: &&_| is(facts, protocol, role);
            let count = sample.connections.iter().filter(is_one).count();
            (vec![("protocol", protocol.name()), ("role", role.name())], count as f64)
        });
        figures.add("weir_connections", "Connections that are open", Kind::Gauge, connections.collect());
        for (name, help, counter) in [
            ("weir_connections_accepted", "Connections accepted", &stats.accepted),
            ("weir_connections_refused", "Connections turned away: too many", &stats.refused),
            ("weir_connections_kicked", "Connections closed by the API", &stats.kicked),
        ] {
            figures.counter(name, help, counter.value() as f64);
        }
        figures.counter(
            "weir_received_bytes",
            "Bytes of all connections from their peers",
            sample.received as f64,
        );
        figures.counter("weir_sent_bytes", "Bytes of all connections to their peers", sample.sent as f64);

        let streams = [HubState::Live, HubState::Waiting, HubState::Lost].map(|state| {
            let count = sample.streams.values().filter(|facts| facts.state == state).count();
            (vec![("state", state.name())], count as f64)
        });
        figures.add("weir_streams", "Streams", Kind::Gauge, streams.into());
        let players = Protocol::ALL.map(|protocol| {
            let count = match protocol {
                Protocol::Hls => sample.viewers.values().sum(),
                _ => sample.connections.iter().filter(|facts| is(facts, protocol, Role::Player)).count(),
            };
            (vec![("protocol", protocol.name())], count as f64)
        });
        figures.add("weir_players", "Players of live streams", Kind::Gauge, players.into());
        let help = "Tags not sent to players that were too slow";
        figures.counter("weir_dropped_tags", help, stats.dropped_tags.value() as f64);
        let going_on = sample.recordings.values().filter(|facts| facts.name.is_some()).count();
        figures.gauge("weir_recordings", "Recordings being written", Some(going_on as f64));
        let help = "Times that a recording was too slow and lost pictures";
        figures.counter("weir_recording_gaps", help, stats.recording_gaps.value() as f64);
        figures.counter("weir_hls_segments", "Segments of HLS made", stats.hls_segments.value() as f64);
        let requests = Stats::CLASSES.iter().zip(&stats.http_requests);
        let requests = requests.map(|(class, count)| (vec![("status", *class)], count.value() as f64));
        figures.add("weir_http_requests", "HTTP requests answered", Kind::Counter, requests.collect());
        figures
    }

    fn add(&mut self, name: &'static str, help: &'static str, kind: Kind, rows: Vec<(Labels, f64)>) {
        self.0.push(Figure { name, help, kind, rows });
    }

    fn counter(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.add(name, help, Kind::Counter, vec![(Vec::new(), value)]);
    }

    /// None if the system does not say.
    fn gauge(&mut self, name: &'static str, help: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.add(name, help, Kind::Gauge, vec![(Vec::new(), value)]);
        }
    }
}

fn is(facts: &crate::server::report::ConnectionFacts, protocol: Protocol, role: Role) -> bool {
    facts.protocol == Some(protocol) && facts.role == role
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Figure { name, help, kind, rows } in &self.0 {
            let metric_type = match kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Info => MetricType::Info,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
            for (labels, value) in rows {
                match labels.is_empty() {
                    // Braces around nothing are allowed, and some who parse by hand fall over them.
                    true => write(&mut metric, *kind, *value)?,
                    false if *kind == Kind::Info => metric.encode_info(labels)?,
                    false => write(&mut metric.encode_family(labels)?, *kind, *value)?,
                }
            }
        }
        Ok(())
    }
}

fn write(metric: &mut MetricEncoder<'_>, kind: Kind, value: f64) -> fmt::Result {
    let is_whole = value.fract() == 0.0;
    match kind {
        Kind::Counter if is_whole => metric.encode_counter::<NoLabelSet, _, u64>(&(value as u64), None),
        Kind::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&value, None),
        _ if is_whole => metric.encode_gauge(&(value as i64)),
        _ => metric.encode_gauge(&value),
    }
}
