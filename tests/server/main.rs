//! The server with real sockets: publish, join late, take over, vanish, fall behind, stop.
//!
//! No sleeps: each step waits for what it needs, with a deadline.

#![expect(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test has std anyway")]

mod api;
#[path = "../support/client.rs"]
mod client;
mod files;
mod hls;
mod http;
mod http_files;
mod leaving;
mod playing;
#[path = "../support/process.rs"]
mod process;
mod publishers;
mod recording;
mod relays;
mod rtsp;
mod running;
mod slow;
mod sources;
#[path = "../support/tls.rs"]
mod support_tls;
mod time_shift;
mod tls;
mod tunnel;
#[path = "../support/wait.rs"]
mod wait;

use client::{Client, DEADLINE, audio, audio_header, inter_frame, keyframe, metadata, video_header};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use wait::until;
use weir::{
    amf::Value,
    flv::Tag,
    rtmp::{Event, Limits, session::StreamNotice},
    server::{Config, Merge, Networks, Server, Takeover},
};

fn config() -> Config {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    Config { listen, subscriber_threads: 2, ..Config::default() }
}

fn start(config: Config) -> (Server, SocketAddr) {
    record_logs();
    let server = Server::start(config).unwrap();
    let address = server.addresses()[0];
    (server, address)
}

fn times(tags: &[Tag]) -> Vec<u32> {
    tags.iter().map(|tag| tag.timestamp.0).collect()
}

fn bodies(tags: &[Tag]) -> Vec<&[u8]> {
    tags.iter().map(|tag| &*tag.body).collect()
}

// ---- log

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Recorder;

impl log::Log for Recorder {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LOG.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

fn record_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Recorder).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

fn logged(text: &str) -> bool {
    LOG.lock().unwrap().iter().any(|line| line.contains(text))
}
