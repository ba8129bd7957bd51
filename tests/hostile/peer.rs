//! The other end: bytes as a client sends them, and the loop that a driver runs around a session.

use weir::{
    amf::{Object, Value},
    base::{MonoTime, Output},
    rtmp::{
        Error, Event, Limits, MessageStreamId, ServerConfig, Session,
        chunk::{Reader, Writer},
        message::{Command, Message, type_id},
    },
};

/// Length of C0, C1 and C2: where the chunk stream begins.
pub(crate) const HANDSHAKE_LEN: u64 = 1 + 2 * 1536;

/// The connection's own message stream, and the first that createStream gives.
pub(crate) const CONNECTION: MessageStreamId = MessageStreamId(0);
pub(crate) const STREAM: MessageStreamId = MessageStreamId(1);

pub(crate) fn handshake() -> Vec<u8> {
    let mut blocks = vec![0; HANDSHAKE_LEN as usize];
    blocks[0] = 3;
    blocks
}

/// Basic header and message header of fmt 0, for csids and times of one and three bytes.
pub(crate) fn fmt0(csid: u8, time: u32, length: u32, type_id: u8, stream: MessageStreamId) -> Vec<u8> {
    let mut header = vec![csid];
    header.extend_from_slice(&time.to_be_bytes()[1..]);
    header.extend_from_slice(&length.to_be_bytes()[1..]);
    header.push(type_id);
    header.extend_from_slice(&stream.0.to_le_bytes());
    header
}

/// A whole message: fmt 0 at time 0, in chunks of 128 bytes.
pub(crate) fn message(csid: u32, type_id: u8, stream: MessageStreamId, body: &[u8]) -> Vec<u8> {
    message_in(128, csid, type_id, stream, body)
}

pub(crate) fn message_in(
    chunk_size: u32,
    csid: u32,
    type_id: u8,
    stream: MessageStreamId,
    body: &[u8],
) -> Vec<u8> {
    let (mut writer, mut out) = (Writer::new(), Output::new());
    writer.set_chunk_size(chunk_size);
    writer.write_control(&mut out, csid, stream, type_id, body);
    let mut slices = [&[][..]; 1];
    assert_eq!(out.slices(&mut slices), usize::from(!out.is_empty()), "replies leave in one slice");
    slices[0].to_vec()
}

pub(crate) fn control(type_id: u8, value: u32) -> Vec<u8> {
    message(2, type_id, CONNECTION, &value.to_be_bytes())
}

pub(crate) fn body_of(command: &Command) -> Vec<u8> {
    let mut body = Vec::new();
    command.encode(&mut body);
    body
}

pub(crate) fn call(stream: MessageStreamId, name: &str, transaction: f64, args: Vec<Value>) -> Vec<u8> {
    let body = body_of(&Command::new(name, transaction, args));
    message(3, type_id::COMMAND, stream, &body)
}

pub(crate) fn connect_with(properties: Object) -> Command {
    Command { object: Value::Object(properties), ..Command::new("connect", 1.0, vec![]) }
}

pub(crate) fn connect() -> Vec<u8> {
    let properties = Object::from([("app", Value::from("live")), ("tcUrl", "rtmp://h/live".into())]);
    message(3, type_id::COMMAND, CONNECTION, &body_of(&connect_with(properties)))
}

pub(crate) fn create_stream() -> Vec<u8> {
    call(CONNECTION, "createStream", 2.0, vec![])
}

pub(crate) fn publish(stream: MessageStreamId) -> Vec<u8> {
    call(stream, "publish", 3.0, vec!["cam".into(), "live".into()])
}

pub(crate) fn play(stream: MessageStreamId) -> Vec<u8> {
    call(stream, "play", 3.0, vec!["cam".into(), Value::Number(-2000.0)])
}

/// A session and what it said, driven as a server drives it: decisions are accepted, output is read at once.
pub(crate) struct Peer {
    pub(crate) session: Session,
    pub(crate) now: MonoTime,
    /// Bytes the session has taken.
    pub(crate) fed: u64,
    /// All events since the last look.
    pub(crate) events: Vec<Event>,
    /// All output since the last look.
    pub(crate) output: Vec<u8>,
    reader: Option<Reader>,
}

impl Peer {
    pub(crate) fn new(session: Session) -> Peer {
        Peer { session, now: MonoTime(0), fed: 0, events: Vec::new(), output: Vec::new(), reader: None }
    }

    pub(crate) fn server(limits: &Limits) -> Peer {
        let config = ServerConfig { limits: limits.clone(), ..ServerConfig::default() };
        Peer::new(Session::server(config, 7, MonoTime(0)))
    }

    /// Past the handshake.
    pub(crate) fn open(limits: &Limits) -> Peer {
        let mut peer = Peer::server(limits);
        peer.feed(&handshake()).expect("handshake");
        peer.forget();
        peer.reader = Some(Reader::new(&Limits::default(), 0));
        peer
    }

    pub(crate) fn connected(limits: &Limits) -> Peer {
        Peer::open(limits).and(&[connect()])
    }

    /// Stream 1 publishes.
    pub(crate) fn publishing(limits: &Limits) -> Peer {
        Peer::connected(limits).and(&[create_stream(), publish(STREAM)])
    }

    /// Stream 1 plays.
    pub(crate) fn playing(limits: &Limits) -> Peer {
        Peer::connected(limits).and(&[create_stream(), play(STREAM)])
    }

    fn and(mut self, messages: &[Vec<u8>]) -> Peer {
        self.feed(&messages.concat()).expect("a sound conversation");
        assert!(!self.replies().is_empty());
        self.forget();
        self
    }

    /// Drops what was said; the headers of later output build on those of this.
    pub(crate) fn forget(&mut self) {
        if self.reader.is_some() {
            self.replies();
        }
        self.events = Vec::new();
        self.output = Vec::new();
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.feed_cut(bytes, usize::MAX)
    }

    /// Offers `bytes` in pieces of `cut`.
    pub(crate) fn feed_cut(&mut self, bytes: &[u8], cut: usize) -> Result<(), Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let result = self.session.handle_input(self.now, &rest[..cut.min(rest.len())]);
            self.take_events();
            self.take_output();
            let taken = result?;
            self.fed += taken as u64;
            rest = &rest[taken..];
        }
        Ok(())
    }

    fn take_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            if let Some(request) = event.request() {
                self.session.accept(request).expect("the request waits");
            }
            self.events.push(event);
        }
    }

    pub(crate) fn take_output(&mut self) {
        while self.session.output_len() > 0 {
            let mut slices = [&[][..]; 8];
            let count = self.session.output(&mut slices);
            let before = self.output.len();
            slices[..count].iter().for_each(|slice| self.output.extend_from_slice(slice));
            self.session.advance_output(self.output.len() - before);
        }
    }

    /// The session's output since the last look, as messages.
    pub(crate) fn replies(&mut self) -> Vec<(MessageStreamId, Message)> {
        let reader = self.reader.as_mut().expect("the handshake is over");
        let bytes = core::mem::take(&mut self.output);
        let (mut rest, mut messages) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let (taken, raw) = reader.read(rest).expect("what a session writes is sound");
            rest = &rest[taken..];
            messages.extend(raw.map(|raw| {
                let message = Message::decode(&raw, &Limits::default()).expect("it decodes");
                (raw.stream, message)
            }));
        }
        assert!(!reader.is_mid_message(), "half a message");
        messages
    }

    /// Names of the commands among the replies, and the code of those that have one.
    pub(crate) fn reply_names(&mut self) -> Vec<String> {
        let name = |message| match message {
            Message::Command(command) => {
                let info = command.args.first().and_then(Value::as_object);
                let code = info.and_then(|info| info.get("code")).and_then(Value::as_str);
                Some(code.map_or(command.name.clone(), String::from))
            }
            _ => None,
        };
        self.replies().into_iter().filter_map(|(_, message)| name(message)).collect()
    }

    /// Bytes that wait unread in the session.
    pub(crate) fn output_len(&self) -> usize {
        self.session.output_len()
    }
}

/// Feeds `wire` to a peer in the given state, whole and byte by byte: the same must happen. Returns the peer that
/// got it whole, and how it ended.
pub(crate) fn however_cut(state: impl Fn() -> Peer, wire: &[u8]) -> (Peer, Result<(), Error>) {
    let mut whole = state();
    let result = whole.feed(wire);
    let mut cut = state();
    assert_eq!(cut.feed_cut(wire, 1), result, "cuts change the end");
    // As text: NaN equals nothing.
    assert_eq!(format!("{:?}", cut.events), format!("{:?}", whole.events), "cuts change the events");
    assert!(cut.output == whole.output, "cuts change the output");
    (whole, result)
}

/// SplitMix64: any sequence will do, as long as it is the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
