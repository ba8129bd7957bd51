//! The publishers: one thread for all, each sending its stream in real time.

use crate::stream::{Shape, Source};
use mio::{Events, Poll, Token};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use weir::{
    amf::Value,
    flv::Tag,
    rtmp::{Event, MessageStreamId, session::PublishType},
    server::client::{ClientOptions, Link, Role, RtmpUrl, session_config},
};

/// What the main thread sees of all publishers.
#[derive(Debug, Default)]
pub(crate) struct PublisherCounters {
    /// Have been told Publish.Start.
    pub(crate) live: AtomicUsize,
    /// Bytes of tag bodies sent by each.
    pub(crate) sent: Vec<AtomicU64>,
    /// Send nothing while it is set.
    pub(crate) pause: AtomicBool,
    /// End the streams and the thread.
    pub(crate) stop: AtomicBool,
}

/// Starts the thread. It ends when `stop` is set, or with an error as soon as any publisher fails.
pub(crate) fn start(
    urls: Vec<RtmpUrl>,
    server: SocketAddr,
    shape: Shape,
    epoch: Instant,
    counters: Arc<PublisherCounters>,
    failed: mpsc::Sender<String>,
) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("publishers".into()).spawn(move || {
        if let Err(error) = run(&urls, server, &shape, epoch, &counters) {
            // The main thread may have given up.
            let _ = failed.send(format!("publisher: {error}"));
        }
    })
}

fn run(
    urls: &[RtmpUrl],
    server: SocketAddr,
    shape: &Shape,
    epoch: Instant,
    counters: &PublisherCounters,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 << 10];
    let mut publishers = Vec::new();
    for (index, url) in urls.iter().enumerate() {
        let socket = mio::net::TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        let config = session_config(url, &ClientOptions::default(), Role::Publisher);
        let link = Link::new(socket, config, poll.registry(), Token(index))?;
        // Spread over a video frame's time, as independent publishers are.
        let delay =
            Duration::from_millis(1000 / u64::from(shape.fps.max(25)) * index as u64 / urls.len() as u64);
        let source = Source::new(shape.clone(), index as u32);
        publishers.push(Publisher { link, key: url.key.clone(), state: State::Opening, source, delay });
    }
    while !counters.stop.load(Relaxed) {
        let mut wake = Instant::now() + Duration::from_millis(50);
        let paused = counters.pause.load(Relaxed);
        for (publisher, sent) in publishers.iter_mut().zip(&counters.sent) {
            while let Some(event) = publisher.link.next_event(&mut buffer)? {
                if publisher.handle(event)? {
                    counters.live.fetch_add(1, Relaxed);
                }
            }
            if !paused {
                sent.fetch_add(publisher.send_due(epoch)?, Relaxed);
                wake = wake.min(publisher.next_due().unwrap_or(wake));
            }
        }
        // mio rounds down to milliseconds; a wait of 0 until the millisecond has passed keeps tags on time.
        poll.poll(&mut events, Some(wake.saturating_duration_since(Instant::now())))?;
    }
    for publisher in &mut publishers {
        publisher.end(&mut buffer);
    }
    Ok(())
}

struct Publisher {
    link: Link,
    key: String,
    state: State,
    source: Source,
    /// From Publish.Start to the first tag.
    delay: Duration,
}

enum State {
    /// Up to createStream's answer.
    Opening,
    /// `publish` is sent.
    Asking(MessageStreamId),
    /// Media since then.
    Live(MessageStreamId, Instant),
}

impl Publisher {
    /// True for the event that makes it live.
    fn handle(&mut self, event: Event) -> Result<bool, String> {
        let session = self.link.session();
        let misuse = |error: weir::rtmp::ApiMisuse| error.to_string();
        match event {
            Event::Connected(_) => {
                let key = Value::String(self.key.clone());
                session.call(MessageStreamId::CONNECTION, "FCPublish", &[key]).map_err(misuse)?;
                session.create_stream().map_err(misuse)?;
            }
            Event::StreamCreated { stream, .. } => {
                session.publish(stream, &self.key, PublishType::Live).map_err(misuse)?;
                self.state = State::Asking(stream);
            }
            Event::Status { status, .. } if status.level == "error" => {
                return Err(format!("{}: {}", status.code, status.description));
            }
            Event::Status { status, .. } if status.code == "NetStream.Publish.Start" => {
                if let State::Asking(stream) = self.state {
                    self.state = State::Live(stream, Instant::now() + self.delay);
                    for tag in self.source.headers() {
                        self.send(stream, &tag)?;
                    }
                    return Ok(true);
                }
            }
            _ => {}
        }
        Ok(false)
    }

    /// Sends what is due; returns the bytes.
    fn send_due(&mut self, epoch: Instant) -> Result<u64, String> {
        let State::Live(stream, started) = self.state else { return Ok(0) };
        let mut sent = 0;
        while started + self.source.due() <= Instant::now() {
            let tag = self.source.next_tag(epoch);
            sent += tag.body.len() as u64;
            self.send(stream, &tag)?;
        }
        Ok(sent)
    }

    fn send(&mut self, stream: MessageStreamId, tag: &Tag) -> Result<(), String> {
        // A server that does not take a live stream in time is a result; more cannot be measured then.
        self.link
            .session()
            .send_tag(stream, tag)
            .map_err(|error| format!("server takes no more: {error}"))?;
        self.link.flush().map_err(|error| error.to_string())
    }

    fn next_due(&self) -> Option<Instant> {
        match self.state {
            State::Live(_, started) => Some(started + self.source.due()),
            _ => None,
        }
    }

    /// Ends the stream properly, as far as the socket takes it at once.
    fn end(&mut self, buffer: &mut [u8]) {
        if let State::Live(stream, _) = self.state {
            // The measurement is over; a server that has gone is no longer of interest.
            let _ = self.link.session().delete_stream(stream);
        }
        self.link.close();
        let _ = self.link.next_event(buffer);
    }
}
