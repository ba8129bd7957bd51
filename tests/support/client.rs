//! An RTMP client for tests: the client session on a blocking socket. Every wait has a deadline and panics past it.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};
use weir::{
    base::{MonoTime, Timestamp},
    flv::{Tag, TagKind},
    rtmp::{
        ClientConfig, Event, MessageStreamId, Session,
        session::{Play, PlayStart, PublishType, StreamNotice, Wanted},
    },
};

/// The longest that anything in these tests takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    socket: TcpStream,
    session: Session,
    started: Instant,
    events: VecDeque<Event>,
    is_closed: bool,
}

impl Client {
    /// Connects to an application.
    pub(crate) fn connect(address: SocketAddr, app: &str) -> Client {
        let socket = TcpStream::connect(address).expect("server listens");
        Client::over(socket, app)
    }

    /// The same over a given socket.
    pub(crate) fn over(socket: TcpStream, app: &str) -> Client {
        socket.set_nodelay(true).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        let config = ClientConfig {
            app: app.into(),
            tc_url: format!("rtmp://test/{app}"),
            is_publisher: true,
            ..ClientConfig::default()
        };
        let session = Session::client(config, 7, MonoTime(0));
        let mut client =
            Client { socket, session, started: Instant::now(), events: VecDeque::new(), is_closed: false };
        client.flush();
        client.wait("Connected", |event| matches!(event, Event::Connected(_)).then_some(()));
        client
    }

    /// Connects, publishes `name` in `live`, and waits until it may.
    pub(crate) fn publisher(address: SocketAddr, name: &str) -> (Client, MessageStreamId) {
        let mut client = Client::connect(address, "live");
        let stream = client.create_stream();
        client.publish(stream, name);
        assert_eq!(client.status(), "NetStream.Publish.Start");
        (client, stream)
    }

    /// Connects, plays `name` in `live`, and waits for the start.
    pub(crate) fn player(address: SocketAddr, name: &str) -> (Client, MessageStreamId) {
        let mut client = Client::connect(address, "live");
        let stream = client.create_stream();
        client.play(stream, name);
        assert_eq!(client.status(), "NetStream.Play.Reset");
        assert_eq!(client.status(), "NetStream.Play.Start");
        (client, stream)
    }

    pub(crate) fn create_stream(&mut self) -> MessageStreamId {
        self.session.create_stream().unwrap();
        self.flush();
        self.wait("StreamCreated", |event| match event {
            Event::StreamCreated { stream, .. } => Some(*stream),
            _ => None,
        })
    }

    pub(crate) fn publish(&mut self, stream: MessageStreamId, name: &str) {
        self.publish_as(stream, name, PublishType::Live);
    }

    pub(crate) fn publish_as(&mut self, stream: MessageStreamId, name: &str, kind: PublishType) {
        self.session.publish(stream, name, kind).unwrap();
        self.flush();
    }

    pub(crate) fn play(&mut self, stream: MessageStreamId, name: &str) {
        let play = Play {
            stream,
            name: name.into(),
            start: PlayStart::LiveOrRecorded,
            duration: None,
            reset: true,
            wanted: Wanted::default(),
        };
        self.session.play(&play).unwrap();
        self.flush();
    }

    /// Queues whatever `with` does and writes it.
    pub(crate) fn with<T>(&mut self, with: impl FnOnce(&mut Session) -> T) -> T {
        let result = with(&mut self.session);
        self.flush();
        result
    }

    pub(crate) fn send(&mut self, stream: MessageStreamId, tags: &[Tag]) {
        for tag in tags {
            self.session.send_tag(stream, tag).unwrap();
            self.flush();
        }
    }

    /// Closes so that the server gets a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The code of the next status.
    pub(crate) fn status(&mut self) -> String {
        self.wait("a status", |event| match event {
            Event::Status { status, .. } => Some(status.code.clone()),
            _ => None,
        })
    }

    /// The next tag that is audio, video or metadata.
    pub(crate) fn tag(&mut self) -> Tag {
        self.wait("a tag", |event| match event {
            Event::Tag { tag, .. } if !tag.body.starts_with(b"\x02\0\x11|RtmpSampleAccess") => {
                Some(tag.clone())
            }
            _ => None,
        })
    }

    pub(crate) fn notice(&mut self, expected: StreamNotice) {
        self.wait("a stream notice", |event| match event {
            Event::StreamNotice { notice, .. } => (*notice == expected).then_some(()),
            _ => None,
        });
    }

    /// Takes events up to the first that `pick` wants; what it passes over is lost.
    pub(crate) fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut passed = Vec::new();
        loop {
            while let Some(event) = self.events.pop_front() {
                if let Some(found) = pick(&event) {
                    return found;
                }
                passed.push(event);
            }
            assert!(!self.is_closed, "closed instead of {what}; passed over {passed:?}");
            self.read(deadline, what);
        }
    }

    /// Reads to the server's end; gives the codes of all statuses on the way.
    pub(crate) fn statuses_to_the_end(&mut self) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        while !self.is_closed {
            self.read(deadline, "the end");
        }
        let code = |event: Event| match event {
            Event::Status { status, .. } => Some(status.code.clone()),
            _ => None,
        };
        self.events.drain(..).filter_map(code).collect()
    }

    /// Everything that has come by the time that `tag` has, that tag included.
    pub(crate) fn tags_up_to(&mut self, last: impl Fn(&Tag) -> bool) -> Vec<Tag> {
        let mut tags = vec![self.tag()];
        while !last(&tags[tags.len() - 1]) {
            tags.push(self.tag());
        }
        tags
    }

    fn read(&mut self, deadline: Instant, what: &str) {
        let rest = deadline.saturating_duration_since(Instant::now());
        assert!(!rest.is_zero(), "no {what} in time");
        self.socket.set_read_timeout(Some(rest)).unwrap();
        let mut buffer = [0; 16 << 10];
        match self.socket.read(&mut buffer) {
            Ok(0) => self.is_closed = true,
            Ok(count) => {
                let mut input = &buffer[..count];
                while !input.is_empty() {
                    let now = MonoTime(self.started.elapsed().as_millis() as u64);
                    let taken = self.session.handle_input(now, input).expect("server speaks RTMP");
                    input = &input[taken..];
                    let before = self.events.len();
                    self.events.extend(std::iter::from_fn(|| self.session.poll_event()));
                    self.flush();
                    assert!(taken > 0 || self.events.len() > before, "client session is stuck");
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset) => self.is_closed = true,
            Err(error) => panic!("reading for {what}: {error}"),
        }
    }

    fn flush(&mut self) {
        while self.session.output_len() > 0 && !self.is_closed {
            let mut slices = [&[][..]; 1];
            self.session.output(&mut slices);
            match self.socket.write(slices[0]) {
                Ok(written) => self.session.advance_output(written),
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    return;
                }
                Err(error) => panic!("writing: {error}"),
            }
        }
    }
}

// ---- tags

pub(crate) fn video(timestamp: u32, header: [u8; 2], body: &[u8]) -> Tag {
    let body = [&header[..], &[0, 0, 0], body].concat();
    Tag::new(TagKind::Video, Timestamp(timestamp), body.into())
}

pub(crate) fn keyframe(timestamp: u32, body: &[u8]) -> Tag {
    video(timestamp, [0x17, 1], body)
}

pub(crate) fn inter_frame(timestamp: u32, body: &[u8]) -> Tag {
    video(timestamp, [0x27, 1], body)
}

pub(crate) fn video_header(version: u8) -> Tag {
    video(0, [0x17, 0], &[1, version])
}

pub(crate) fn audio(timestamp: u32) -> Tag {
    Tag::new(TagKind::Audio, Timestamp(timestamp), vec![0xaf, 1, 0x21].into())
}

pub(crate) fn audio_header() -> Tag {
    Tag::new(TagKind::Audio, Timestamp(0), vec![0xaf, 0, 0x12, 0x10].into())
}

/// `onMetaData` with one property.
pub(crate) fn metadata(width: u8) -> Tag {
    let mut body = b"\x02\0\x0aonMetaData\x08\0\0\0\x01\0\x05width\0".to_vec();
    body.extend(f64::from(width).to_be_bytes());
    body.extend([0, 0, 9]);
    Tag::new(TagKind::Data, Timestamp(0), body.into())
}
