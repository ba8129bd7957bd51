//! The client role: our commands, and what the server's replies mean.
//!
//! In: typed messages from the link; commands from the application. Out: commands, events. Transaction ids count
//! 1, 2, 3, ... over all commands, as librtmp and ffmpeg do; `connect` is 1.
//!
//! Field notes: servers may leave releaseStream, FCPublish and getStreamLength unanswered (nginx-rtmp, ZLMediaKit),
//! so what waits for an answer is bounded and the oldest is forgotten; onStatus may carry the transaction id of the
//! request (ZLMediaKit) or come on csid 3 (ffmpeg's listen mode): neither is looked at.

use super::{
    capabilities,
    event::{Connected, Event, Play, PlayStart, PublishType, Status, StreamNotice, TransactionId},
    link::Link,
    streams::Use,
};
use crate::{
    amf::{Object, Value, amf0},
    base::Payload,
    flv::{Tag, TagKind, data, metadata},
    rtmp::{
        ApiMisuse, MessageStreamId, SendError,
        chunk::{MAX_MESSAGE_LEN, RawMessage, csid},
        message::{Command, Ignored, Message, UserControl},
    },
};
use alloc::{boxed::Box, string::String, vec, vec::Vec};

/// What a client says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Introduction {
    pub(super) app: String,
    pub(super) tc_url: String,
    pub(super) flash_ver: String,
    pub(super) is_publisher: bool,
}

/// The client role of a session.
#[derive(Debug)]
pub(super) struct Client {
    introduction: Introduction,
    window: u32,
    chunk_size: u32,
    is_connected: bool,
    last_transaction: u32,
    waiting: Vec<(u32, Asked)>,
    streams: Vec<(MessageStreamId, Use)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Connect,
    CreateStream,
    Other,
}

/// Commands that may wait for an answer; one more forgets the oldest.
const MAX_WAITING: usize = 64;

impl Client {
    pub(super) fn new(introduction: Introduction, window: u32, chunk_size: u32) -> Client {
        Client {
            introduction,
            window,
            chunk_size,
            is_connected: false,
            last_transaction: 0,
            waiting: Vec::new(),
            streams: Vec::new(),
        }
    }

    pub(super) fn plays(&self, stream: MessageStreamId) -> bool {
        self.doing(stream) == Some(&Use::Playing)
    }

    /// The peer owes us something: a stream that goes on, or the answer to connect.
    pub(super) fn is_active(&self) -> bool {
        !self.is_connected || self.streams.iter().any(|(_, doing)| *doing != Use::Idle)
    }

    fn doing(&self, stream: MessageStreamId) -> Option<&Use> {
        self.streams.iter().find(|(id, _)| *id == stream).map(|(_, doing)| doing)
    }

    // ---- commands

    /// Set Chunk Size and connect, as OBS and nginx-rtmp send them.
    pub(super) fn connect(&mut self, link: &mut Link) {
        if self.chunk_size != link.chunk_size() {
            link.send_chunk_size(self.chunk_size);
        }
        let mut properties = Object::default();
        let mut add = |key: &str, value: Value| properties.push(key, value);
        add("app", Value::from(self.introduction.app.as_str()));
        if self.introduction.is_publisher {
            add("type", Value::from("nonprivate"));
        }
        add("flashVer", Value::from(self.introduction.flash_ver.as_str()));
        add("tcUrl", Value::from(self.introduction.tc_url.as_str()));
        if !self.introduction.is_publisher {
            add("fpad", Value::Boolean(false));
            add("capabilities", Value::Number(15.0));
            add("audioCodecs", Value::Number(4071.0));
            add("videoCodecs", Value::Number(252.0));
            add("videoFunction", Value::Number(1.0));
        }
        capabilities::announce(&mut properties);
        let transaction = self.ask(Asked::Connect);
        let connect = Command {
            name: "connect".into(),
            transaction: f64::from(transaction),
            object: Value::Object(properties),
            args: vec![],
        };
        link.send_command(csid::COMMAND, MessageStreamId::CONNECTION, &connect);
    }

    pub(super) fn create_stream(&mut self, link: &mut Link) -> Result<TransactionId, ApiMisuse> {
        self.ready()?;
        Ok(self.send(
            link,
            csid::COMMAND,
            MessageStreamId::CONNECTION,
            "createStream",
            vec![],
            Asked::CreateStream,
        ))
    }

    pub(super) fn publish(
        &mut self,
        link: &mut Link,
        stream: MessageStreamId,
        name: &str,
        kind: PublishType,
    ) -> Result<TransactionId, ApiMisuse> {
        self.begin(stream, Use::Publishing { name: name.into() })?;
        let kind = match kind {
            PublishType::Live => "live",
            PublishType::Record => "record",
            PublishType::Append => "append",
        };
        let args = vec![Value::from(name), Value::from(kind)];
        Ok(self.send(link, csid::STREAM_COMMAND, stream, "publish", args, Asked::Other))
    }

    pub(super) fn play(&mut self, link: &mut Link, play: &Play) -> Result<TransactionId, ApiMisuse> {
        self.ready()?;
        // What plays already is replaced, or followed if the new one resets nothing.
        if !self.plays(play.stream) {
            self.begin(play.stream, Use::Playing)?;
        }
        link.allow_media();
        for (name, wanted) in [("receiveAudio", play.wanted.audio), ("receiveVideo", play.wanted.video)] {
            if !wanted {
                let args = vec![Value::Boolean(false)];
                self.send(link, csid::STREAM_COMMAND, play.stream, name, args, Asked::Other);
            }
        }
        let start = match play.start {
            PlayStart::LiveOrRecorded => -2000.0,
            PlayStart::Live => -1000.0,
            PlayStart::At(ms) => f64::from(ms),
        };
        let mut args = vec![Value::from(play.name.as_str()), Value::Number(start)];
        if play.duration.is_some() || !play.reset {
            args.push(Value::Number(play.duration.map_or(-1.0, f64::from)));
        }
        if !play.reset {
            args.push(Value::Boolean(false));
        }
        Ok(self.send(link, csid::STREAM_COMMAND, play.stream, "play", args, Asked::Other))
    }

    pub(super) fn call(
        &mut self,
        link: &mut Link,
        stream: MessageStreamId,
        name: &str,
        args: &[Value],
    ) -> Result<TransactionId, ApiMisuse> {
        self.ready()?;
        Ok(self.send(link, csid::COMMAND, stream, name, args.to_vec(), Asked::Other))
    }

    /// A command about what a stream plays.
    pub(super) fn control(
        &mut self,
        link: &mut Link,
        stream: MessageStreamId,
        name: &str,
        args: Vec<Value>,
    ) -> Result<TransactionId, ApiMisuse> {
        if !self.plays(stream) {
            return Err(ApiMisuse::NoSuchStream);
        }
        Ok(self.send(link, csid::STREAM_COMMAND, stream, name, args, Asked::Other))
    }

    pub(super) fn set_buffer_length(
        &self,
        link: &mut Link,
        stream: MessageStreamId,
        length: u32,
    ) -> Result<(), ApiMisuse> {
        self.ready()?;
        link.send_user_control(UserControl::SetBufferLength { stream, length });
        Ok(())
    }

    /// FCUnpublish for a publisher, then deleteStream, as FMLE and everything after it does.
    pub(super) fn delete_stream(
        &mut self,
        link: &mut Link,
        stream: MessageStreamId,
    ) -> Result<(), ApiMisuse> {
        let index = self.streams.iter().position(|(id, _)| *id == stream).ok_or(ApiMisuse::NoSuchStream)?;
        let connection = MessageStreamId::CONNECTION;
        if let (_, Use::Publishing { name }) = self.streams.remove(index) {
            self.send(
                link,
                csid::COMMAND,
                connection,
                "FCUnpublish",
                vec![Value::String(name)],
                Asked::Other,
            );
        }
        let id = Value::Number(f64::from(stream.0));
        self.send(link, csid::COMMAND, connection, "deleteStream", vec![id], Asked::Other);
        Ok(())
    }

    pub(super) fn send_tag(
        &self,
        link: &mut Link,
        stream: MessageStreamId,
        tag: &Tag,
    ) -> Result<(), SendError> {
        if !matches!(self.doing(stream), Some(Use::Publishing { .. })) {
            return Err(SendError::NotOpen);
        }
        if tag.kind == TagKind::Data && data::name(&tag.body) == Some(metadata::NAME) {
            let mut body = Vec::with_capacity(tag.body.len() + 16);
            amf0::encode(&Value::from("@setDataFrame"), &mut body);
            body.extend_from_slice(&tag.body);
            // Too long for a message with the prefix: servers take metadata without it as well.
            if body.len() > MAX_MESSAGE_LEN {
                return link.send_tag(stream, tag);
            }
            return link.send_media(stream, tag, &Payload::from(body));
        }
        link.send_tag(stream, tag)
    }

    fn ready(&self) -> Result<(), ApiMisuse> {
        if self.is_connected { Ok(()) } else { Err(ApiMisuse::WrongState) }
    }

    fn begin(&mut self, stream: MessageStreamId, doing: Use) -> Result<(), ApiMisuse> {
        let entry = self.streams.iter_mut().find(|(id, doing)| *id == stream && *doing == Use::Idle);
        entry.ok_or(ApiMisuse::NoSuchStream)?.1 = doing;
        Ok(())
    }

    fn send(
        &mut self,
        link: &mut Link,
        csid: u32,
        stream: MessageStreamId,
        name: &str,
        args: Vec<Value>,
        asked: Asked,
    ) -> TransactionId {
        let transaction = self.ask(asked);
        link.send_command(csid, stream, &Command::new(name, f64::from(transaction), args));
        TransactionId(transaction)
    }

    fn ask(&mut self, asked: Asked) -> u32 {
        self.last_transaction = self.last_transaction.wrapping_add(1);
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.remove(0);
        }
        self.waiting.push((self.last_transaction, asked));
        self.last_transaction
    }

    // ---- messages

    pub(super) fn handle(&mut self, link: &mut Link, raw: &RawMessage, message: Message) -> Option<Event> {
        match message {
            Message::Command(command) => self.handle_command(link, raw, command),
            Message::UserControl(event) => {
                let (stream, notice) = match event {
                    UserControl::StreamBegin(stream) => (stream, StreamNotice::Begin),
                    UserControl::StreamEof(stream) => (stream, StreamNotice::Eof),
                    UserControl::StreamDry(stream) => (stream, StreamNotice::Dry),
                    UserControl::StreamIsRecorded(stream) => (stream, StreamNotice::IsRecorded),
                    UserControl::StreamBufferEmpty(stream) => (stream, StreamNotice::BufferEmpty),
                    UserControl::StreamBufferReady(stream) => (stream, StreamNotice::BufferReady),
                    _ => return ignored(raw, Ignored::Notice),
                };
                Some(Event::StreamNotice { stream, notice })
            }
            _ => ignored(raw, Ignored::Notice),
        }
    }

    fn handle_command(&mut self, link: &mut Link, raw: &RawMessage, command: Command) -> Option<Event> {
        match command.name.as_str() {
            "_result" | "_error" => self.handle_reply(link, raw, command),
            "onStatus" => {
                let status = Status::read(command.args.first());
                // A seek that fails changes nothing, and a recording that fails leaves its stream alone.
                let is_elsewhere = ["NetStream.Seek.", "NetStream.Record."];
                let concerns_stream = !is_elsewhere.iter().any(|prefix| status.code.starts_with(prefix));
                if status.level == "error" && concerns_stream {
                    self.stop(raw.stream);
                }
                Some(Event::Status { stream: raw.stream, status: Box::new(status) })
            }
            "close" => {
                link.start_closing();
                Some(Event::PeerClosing)
            }
            _ => {
                // A call of the server, such as _onbwcheck: answered so that it does not wait.
                if command.transaction != 0.0 {
                    let result = Command::result(command.transaction, Value::Null, Value::Null);
                    link.send_command(csid::COMMAND, raw.stream, &result);
                }
                ignored(raw, Ignored::Notice)
            }
        }
    }

    fn handle_reply(&mut self, link: &mut Link, raw: &RawMessage, command: Command) -> Option<Event> {
        let asked = self.waiting.iter().position(|(id, _)| f64::from(*id) == command.transaction);
        let Some((id, asked)) = asked.map(|index| self.waiting.remove(index)) else {
            return ignored(raw, Ignored::UnexpectedReply);
        };
        let transaction = TransactionId(id);
        let is_ok = command.name == "_result";
        match (asked, is_ok) {
            (Asked::Connect, true) => {
                self.is_connected = true;
                link.expect_command(false);
                // Unless Set Peer Bandwidth has been answered with the server's value, as ffmpeg players do.
                if !self.introduction.is_publisher && !link.has_announced_window() {
                    link.send_window_ack_size(self.window);
                }
                let object =
                    |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
                Some(Event::Connected(Box::new(Connected {
                    properties: object(Some(&command.object)),
                    info: object(command.args.first()),
                })))
            }
            (Asked::Connect, false) => {
                link.start_closing();
                // Some servers put the information object first.
                let info = command.arg(0).or(Some(&command.object));
                Some(Event::ConnectRejected(Box::new(Status::read(info))))
            }
            (Asked::CreateStream, true) => match command.number_arg(0).map(|id| id as u32) {
                Some(id) if id > 0 => {
                    let stream = MessageStreamId(id);
                    self.streams.push((stream, Use::Idle));
                    Some(Event::StreamCreated { transaction, stream })
                }
                _ => ignored(raw, Ignored::Undecodable),
            },
            _ => {
                let values = core::iter::once(command.object).chain(command.args).collect();
                Some(Event::Reply { transaction, is_ok, values })
            }
        }
    }

    fn stop(&mut self, stream: MessageStreamId) {
        if let Some((_, doing)) = self.streams.iter_mut().find(|(id, _)| *id == stream) {
            *doing = Use::Idle;
        }
    }
}

fn ignored(raw: &RawMessage, why: Ignored) -> Option<Event> {
    Some(Event::Ignored { message_type: raw.type_id, why })
}

impl Status {
    /// Lenient: a missing or odd object gives empty strings.
    fn read(info: Option<&Value>) -> Status {
        let info = info.and_then(Value::as_object).cloned().unwrap_or_default();
        let text = |key: &str| String::from(info.get(key).and_then(Value::as_str).unwrap_or_default());
        Status { level: text("level"), code: text("code"), description: text("description"), info }
    }
}
