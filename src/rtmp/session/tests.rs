//! Each role by exact messages, as its peers send them. Both roles together are in `tests/pair.rs`.
//!
//! Here is what the tests share: a server session brought to any state, and a peer that is no more than chunks.

mod client;
mod connect;
mod link;
mod play;
mod publish;

use super::*;
use crate::{
    amf::{Object, Value},
    base::{Output, Payload, Timestamp},
    flv::TagKind,
    rtmp::{
        chunk::{self, RawMessage, csid},
        message::Command,
    },
};
use alloc::{format, string::String, vec, vec::Vec};

/// A server session and the bare chunk layer of a peer.
struct Scenario {
    session: Session,
    now: MonoTime,
    writer: chunk::Writer,
    unsent: Output,
    reader: chunk::Reader,
    limits: Limits,
}

const STREAM: MessageStreamId = MessageStreamId(1);

impl Scenario {
    fn new(limits: Limits) -> Scenario {
        let config = ServerConfig { limits: limits.clone(), ..ServerConfig::default() };
        Scenario {
            session: Session::server(config, 7, MonoTime(0)),
            now: MonoTime(0),
            writer: chunk::Writer::new(),
            unsent: Output::new(),
            reader: chunk::Reader::new(&Limits::default(), 0),
            limits,
        }
    }

    /// Past the handshake.
    fn to_open(limits: Limits) -> Scenario {
        let mut this = Scenario::new(limits);
        let mut c0c1c2 = vec![0; 1 + 2 * 1536];
        c0c1c2[0] = 3;
        assert_eq!(this.session.handle_input(this.now, &c0c1c2), Ok(c0c1c2.len()));
        assert_eq!(this.events(), [Event::HandshakeDone { digest: false }]);
        let answer = this.output();
        assert_eq!(answer.len(), 1 + 2 * 1536);
        this
    }

    /// `connect` to "live" is accepted and its replies are read.
    fn to_connected() -> Scenario {
        Scenario::to_connected_with(Limits::default())
    }

    fn to_connected_with(limits: Limits) -> Scenario {
        let mut this = Scenario::to_open(limits);
        this.send_connect(&[("app", Value::from("live"))]);
        let [Event::Connect { request, .. }] = this.events()[..] else { panic!("no connect") };
        this.session.accept(request).expect("it waits");
        this.replies();
        this
    }

    /// Stream 1 publishes "cam".
    fn to_publishing() -> Scenario {
        let mut this = Scenario::to_connected();
        this.create_stream();
        this.call(STREAM, "publish", 4.0, vec!["cam".into(), "live".into()]);
        let [Event::Publish { request, .. }] = this.events()[..] else { panic!("no publish") };
        this.session.accept(request).expect("it waits");
        this.replies();
        this
    }

    /// Stream 1 plays "cam".
    fn to_playing() -> Scenario {
        Scenario::to_playing_with(Limits::default())
    }

    fn to_playing_with(limits: Limits) -> Scenario {
        let mut this = Scenario::to_connected_with(limits);
        this.create_stream();
        this.call(STREAM, "play", 4.0, vec!["cam".into(), Value::Number(-2000.0)]);
        let [Event::Play { request, .. }] = this.events()[..] else { panic!("no play") };
        this.session.accept(request).expect("it waits");
        this.replies();
        this
    }

    fn create_stream(&mut self) {
        self.call(MessageStreamId(0), "createStream", 2.0, vec![]);
        assert_eq!(self.events(), []);
        self.replies();
    }

    // ---- the peer

    fn send_connect(&mut self, properties: &[(&str, Value)]) {
        let properties = properties.iter().map(|(key, value)| (String::from(*key), value.clone())).collect();
        let object = Value::Object(Object(properties));
        let connect = Command { name: "connect".into(), transaction: 1.0, object, args: vec![] };
        self.send(MessageStreamId(0), &connect).expect("connect");
    }

    fn send(&mut self, stream: MessageStreamId, command: &Command) -> Result<(), Error> {
        let mut body = Vec::new();
        command.encode(&mut body);
        self.send_raw(csid::COMMAND, stream, type_id::COMMAND, &body)
    }

    fn call(&mut self, stream: MessageStreamId, name: &str, transaction: f64, args: Vec<Value>) {
        self.send(stream, &Command::new(name, transaction, args)).expect(name);
    }

    fn send_raw(
        &mut self,
        csid: u32,
        stream: MessageStreamId,
        type_id: u8,
        body: &[u8],
    ) -> Result<(), Error> {
        self.writer.write_control(&mut self.unsent, csid, stream, type_id, body);
        self.deliver()
    }

    fn send_media(&mut self, stream: MessageStreamId, type_id: u8, timestamp: u32, body: &[u8]) {
        let body = Payload::from(body);
        self.writer.write(&mut self.unsent, csid::AUDIO, stream, type_id, Timestamp(timestamp), &body);
        self.deliver().expect("media");
    }

    /// Offers all unsent bytes of the peer; keeps what the session does not take.
    fn deliver(&mut self) -> Result<(), Error> {
        let mut slices = [&[][..]; 1024];
        let count = self.unsent.slices(&mut slices);
        let bytes = slices[..count].concat();
        let taken = self.session.handle_input(self.now, &bytes)?;
        self.unsent.advance(taken);
        Ok(())
    }

    fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.session.poll_event()).collect()
    }

    fn output(&mut self) -> Vec<u8> {
        let mut slices = [&[][..]; 64];
        let count = self.session.output(&mut slices);
        let bytes = slices[..count].concat();
        self.session.advance_output(bytes.len());
        bytes
    }

    /// What the session answered, decoded.
    fn raw_replies(&mut self) -> Vec<RawMessage> {
        let bytes = self.output();
        let (mut used, mut messages) = (0, Vec::new());
        while used < bytes.len() {
            let (taken, message) = self.reader.read(&bytes[used..]).expect("our own chunks are sound");
            used += taken;
            messages.extend(message);
        }
        assert!(!self.reader.is_mid_message());
        messages
    }

    /// A line per answer: stream, then the message.
    fn replies(&mut self) -> Vec<String> {
        let limits = self.limits.clone();
        let line = |raw: RawMessage| {
            let message = Message::decode(&raw, &limits).expect("our own messages decode");
            format!("{} {message}", raw.stream)
        };
        self.raw_replies().into_iter().map(line).collect()
    }

    fn only_request(&mut self) -> RequestId {
        let events = self.events();
        let [event] = &events[..] else { panic!("not one event: {events:?}") };
        event.request().expect("a decision")
    }
}

fn assert_contains(lines: &[String], parts: &[&str]) {
    assert_eq!(lines.len(), parts.len(), "{lines:#?}");
    for (line, part) in lines.iter().zip(parts) {
        assert!(line.contains(part), "{line:?} does not contain {part:?}");
    }
}

fn tag(timestamp: u32) -> Tag {
    Tag::new(TagKind::Video, Timestamp(timestamp), Payload::from(&[0x27; 100][..]))
}
