//! The server role: what commands mean, and the exact replies.
//!
//! In: typed messages from the link. Out: events, and the replies that need no decision (RTMP 1.0, 7.2; orders and
//! shapes as real clients need them). What the application decides is in `decisions`; bytes, chunks, acks and pings are
//! the link's.
//!
//! At most one decision is pending; until it is answered nothing that follows is parsed.
//!
//! Field notes: replies to createStream must be exactly `_result`, number, null, number (ffmpeg); onStatus must come
//! on the stream's own id (GStreamer); optional commands get a `_result` and never an `_error` with a description,
//! which ffmpeg takes as fatal.

mod decisions;

use super::{
    event::{Call, Capabilities, Connect, Event, Play, Play2, PlayStart, Publish, PublishType, RequestId},
    link::{Link, at},
    status,
    streams::{Streams, Use},
};
use crate::{
    amf::{Object, Value},
    rtmp::{
        Error, ErrorKind, Limit, Malformed, MessageStreamId, Misbehaviour,
        chunk::{RawMessage, csid},
        message::{Command, Ignored, Message, UserControl},
    },
};
use alloc::{boxed::Box, string::String, vec};
use core::time::Duration;

/// The server role of a session.
#[derive(Debug)]
pub(super) struct Server {
    window: u32,
    chunk_size: u32,
    is_connected: bool,
    streams: Streams,
    pending: Option<(RequestId, Pending)>,
}

/// What waits for `accept`, `reject` or `reply`.
#[derive(Debug)]
enum Pending {
    Connect { transaction: f64, object_encoding: f64, is_enhanced: bool },
    Publish { stream: MessageStreamId, name: String },
    Play { stream: MessageStreamId, reset: bool, name: String },
    Play2 { stream: MessageStreamId, reset: bool, name: String },
    Pause { stream: MessageStreamId, paused: bool },
    Seek { stream: MessageStreamId, position: u32 },
    Call { stream: MessageStreamId, transaction: f64, name: String },
}

/// The longest client buffer we report.
const MAX_BUFFER_LENGTH: Duration = Duration::from_secs(3600);

impl Server {
    pub(super) fn new(window: u32, chunk_size: u32) -> Server {
        Server { window, chunk_size, is_connected: false, streams: Streams::default(), pending: None }
    }

    pub(super) fn is_undecided(&self) -> bool {
        self.pending.is_some()
    }

    pub(super) fn is_publishing(&self) -> bool {
        self.streams.any(Use::is_publishing)
    }

    pub(super) fn is_active(&self) -> bool {
        self.streams.any(|doing| *doing != Use::Idle)
    }

    pub(super) fn plays(&self, stream: MessageStreamId) -> bool {
        self.streams.plays(stream)
    }

    /// The publishing stream that media on `stream` belongs to.
    pub(super) fn publishing(&self, stream: MessageStreamId) -> Option<MessageStreamId> {
        self.streams.meant(stream, Use::is_publishing)
    }

    // ---- messages

    pub(super) fn handle(
        &mut self,
        link: &mut Link,
        raw: &RawMessage,
        message: Message,
    ) -> Result<Option<Event>, Error> {
        match message {
            Message::Command(command) => self.handle_command(link, raw, command),
            Message::UserControl(UserControl::SetBufferLength { stream, length }) => {
                let length = Duration::from_millis(u64::from(length)).min(MAX_BUFFER_LENGTH);
                Ok(Some(Event::BufferLength { stream, length }))
            }
            _ => Ok(ignored(raw, Ignored::Notice)),
        }
    }

    fn handle_command(
        &mut self,
        link: &mut Link,
        raw: &RawMessage,
        command: Command,
    ) -> Result<Option<Event>, Error> {
        if command.name == "connect" {
            return self.connect(link, raw, command).map(Some);
        }
        if !self.is_connected {
            return Err(link.fail(ErrorKind::PeerMisbehaved(Misbehaviour::NotConnected), at(raw)));
        }
        let longest = command.args.iter().filter_map(Value::as_str).map(str::len).max();
        if longest.unwrap_or(0).max(command.name.len()) > link.limits.max_name_len {
            return Err(link.fail(ErrorKind::LimitExceeded(Limit::NameLen), at(raw)));
        }
        if !self.is_active() {
            link.expect_command(true);
        }
        let stream = raw.stream;
        Ok(match command.name.as_str() {
            "createStream" => self.create_stream(link, &command),
            "releaseStream" => reply_undefined(link, &command),
            "FCPublish" => {
                notify_fc(link, "onFCPublish", "NetStream.Publish.Start", &command);
                reply_undefined(link, &command)
            }
            "FCUnpublish" => {
                notify_fc(link, "onFCUnpublish", "NetStream.Unpublish.Success", &command);
                reply_undefined(link, &command);
                self.meant_publisher(stream, &command).and_then(|stream| self.end(link, stream))
            }
            "FCSubscribe" => {
                notify_fc(link, "onFCSubscribe", "NetStream.Play.Start", &command);
                reply_undefined(link, &command)
            }
            "_checkbw" => reply(link, MessageStreamId::CONNECTION, command.transaction, Value::Null),
            "set_playlist" => {
                let ready = Command::new("playlist_ready", 0.0, vec![]);
                link.send_command(csid::COMMAND, MessageStreamId::CONNECTION, &ready);
                reply(link, MessageStreamId::CONNECTION, command.transaction, Value::Null)
            }
            "publish" => self.publish(link, raw, &command),
            "play" => self.play(link, raw, &command),
            "play2" => self.play2(link, raw, &command)?,
            "pause" | "pauseRaw" | "pauseraw" => self.pause(link, raw, &command),
            "seek" => self.seek(link, raw, &command),
            "receiveAudio" | "receiveVideo" => self.receive(link, raw, &command),
            "closeStream" => match self.streams.meant_by(stream, &command) {
                Some(stream) => self.end(link, stream),
                None => ignored(raw, Ignored::NoSuchStream),
            },
            "deleteStream" => match self.streams.meant_by(stream, &command) {
                Some(stream) => {
                    let ended = self.end(link, stream);
                    self.streams.remove(stream);
                    ended
                }
                None => ignored(raw, Ignored::NoSuchStream),
            },
            "close" => {
                link.start_closing();
                Some(Event::PeerClosing)
            }
            "_result" | "_error" => ignored(raw, Ignored::UnexpectedReply),
            "onStatus" | "FCUnsubscribe" => ignored(raw, Ignored::Notice),
            _ => Some(self.call(link, stream, command)),
        })
    }

    fn connect(&mut self, link: &mut Link, raw: &RawMessage, command: Command) -> Result<Event, Error> {
        if self.is_connected {
            let info =
                status::error("NetConnection.Connect.Rejected", "The connection is connected already.");
            send_error(link, MessageStreamId::CONNECTION, command.transaction, info);
            return Err(link.fail(ErrorKind::PeerMisbehaved(Misbehaviour::SecondConnect), at(raw)));
        }
        let Some(properties) = command.object.as_object() else {
            return Err(link.fail(ErrorKind::Malformed(Malformed::Connect), at(raw)));
        };
        let text = |key: &str| {
            let value = properties.get_ignore_case(key).and_then(Value::as_str).unwrap_or_default();
            String::from(value)
        };
        let connect = Connect {
            app: text("app"),
            tc_url: text("tcUrl"),
            flash_ver: text("flashVer"),
            object_encoding: properties.get("objectEncoding").and_then(Value::as_number).unwrap_or(0.0),
            capabilities: Capabilities::read(properties),
            properties: properties.clone(),
            args: command.args,
        };
        if connect.app.len().max(connect.tc_url.len()) > link.limits.max_name_len {
            return Err(link.fail(ErrorKind::LimitExceeded(Limit::NameLen), at(raw)));
        }
        link.expect_command(false);
        let request = self.ask(
            link,
            Pending::Connect {
                transaction: command.transaction,
                object_encoding: connect.object_encoding,
                is_enhanced: connect.capabilities != Capabilities::default(),
            },
        );
        Ok(Event::Connect { request, connect: Box::new(connect) })
    }

    fn create_stream(&mut self, link: &mut Link, command: &Command) -> Option<Event> {
        match self.streams.create(link.limits.max_message_streams) {
            Some(id) => {
                // Also with transaction id 0, which some encoders send always: without the number nothing goes on.
                let result = Command::result(command.transaction, Value::Null, id.0.into());
                link.send_command(csid::COMMAND, MessageStreamId::CONNECTION, &result);
            }
            None => {
                let info = status::error("NetConnection.Call.Failed", "Too many streams on this connection.");
                send_error(link, MessageStreamId::CONNECTION, command.transaction, info);
            }
        }
        None
    }

    fn publish(&mut self, link: &mut Link, raw: &RawMessage, command: &Command) -> Option<Event> {
        let stream = raw.stream;
        if self.streams.get(stream).is_none() {
            return ignored(raw, Ignored::NoSuchStream);
        }
        // A name of null or false ends what the stream does, and so does an empty one; on an idle stream that one is
        // for the application to refuse.
        let is_idle = self.streams.get(stream) == Some(&Use::Idle);
        let name = command.string_arg(0).filter(|name| is_idle || !name.is_empty());
        let Some(name) = name else { return self.end(link, stream) };
        if !is_idle {
            let info = status::error("NetStream.Publish.BadName", "The stream publishes or plays already.");
            link.send_status(stream, info);
            return None;
        }
        let kind = match command.string_arg(1) {
            Some("record") => PublishType::Record,
            Some("append" | "appendWithGap") => PublishType::Append,
            _ => PublishType::Live,
        };
        let publish = Publish { stream, name: name.into(), kind };
        let request = self.ask(link, Pending::Publish { stream, name: name.into() });
        Some(Event::Publish { request, publish: Box::new(publish) })
    }

    fn play(&mut self, link: &mut Link, raw: &RawMessage, command: &Command) -> Option<Event> {
        let stream = raw.stream;
        if self.streams.get(stream).is_none_or(Use::is_publishing) {
            return ignored(raw, Ignored::NoSuchStream);
        }
        // A name of false stops playing and keeps the stream.
        let Some(name) = command.string_arg(0) else { return self.end(link, stream) };
        let start = match command.number_arg(1) {
            Some(start) if start == -1.0 || start == -1000.0 => PlayStart::Live,
            Some(start) if start >= 0.0 => PlayStart::At(start as u32),
            _ => PlayStart::LiveOrRecorded,
        };
        let duration = command.number_arg(2).filter(|duration| *duration >= 0.0).map(|ms| ms as u32);
        // Numbers 0 and 2 append, 1 and 3 flush.
        let reset = match command.arg(3) {
            Some(Value::Number(reset)) => *reset != 0.0 && *reset != 2.0,
            reset => reset.and_then(Value::as_bool).unwrap_or(true),
        };
        let play =
            Play { stream, name: name.into(), start, duration, reset, wanted: self.streams.wanted(stream) };
        let request = self.ask(link, Pending::Play { stream, reset, name: name.into() });
        Some(Event::Play { request, play: Box::new(play) })
    }

    fn play2(
        &mut self,
        link: &mut Link,
        raw: &RawMessage,
        command: &Command,
    ) -> Result<Option<Event>, Error> {
        let Some(stream) = self.streams.meant(raw.stream, Use::is_playing) else {
            return Ok(ignored(raw, Ignored::NoSuchStream));
        };
        let options = command.arg(0).and_then(Value::as_object);
        let text = |key: &str| {
            let value = options.and_then(|options| options.get(key)).and_then(Value::as_str);
            String::from(value.unwrap_or_default())
        };
        let (name, old_name, transition) = (text("streamName"), text("oldStreamName"), text("transition"));
        if name.len().max(old_name.len()).max(transition.len()) > link.limits.max_name_len {
            return Err(link.fail(ErrorKind::LimitExceeded(Limit::NameLen), at(raw)));
        }
        let wanted = self.streams.wanted(stream);
        let request =
            self.ask(link, Pending::Play2 { stream, reset: transition == "reset", name: name.clone() });
        let play2 = Play2 { stream, old_name, name, transition, wanted };
        Ok(Some(Event::Play2 { request, play2: Box::new(play2) }))
    }

    fn pause(&mut self, link: &mut Link, raw: &RawMessage, command: &Command) -> Option<Event> {
        let Some(stream) = self.streams.meant(raw.stream, Use::is_playing) else {
            return ignored(raw, Ignored::NoSuchStream);
        };
        let paused = command.arg(0).and_then(Value::as_bool).unwrap_or(true);
        let position = command.number_arg(1).unwrap_or(0.0) as u32;
        let request = self.ask(link, Pending::Pause { stream, paused });
        Some(Event::Pause { request, stream, paused, position })
    }

    fn seek(&mut self, link: &mut Link, raw: &RawMessage, command: &Command) -> Option<Event> {
        let Some(stream) = self.streams.meant(raw.stream, Use::is_playing) else {
            return ignored(raw, Ignored::NoSuchStream);
        };
        let position = command.number_arg(0).unwrap_or(0.0) as u32;
        let request = self.ask(link, Pending::Seek { stream, position });
        Some(Event::Seek { request, stream, position })
    }

    /// receiveAudio and receiveVideo, before or while the stream plays: off says nothing, on again says Seek.Notify
    /// and Play.Start (RTMP 1.0, 7.2.2.4 and 7.2.2.5). receiveVideo also takes a frame rate, of which only 0 has a
    /// meaning here.
    fn receive(&mut self, link: &mut Link, raw: &RawMessage, command: &Command) -> Option<Event> {
        let wanted = command.arg(0).and_then(Value::as_bool).unwrap_or(true);
        let stream = self.streams.meant(raw.stream, |doing| !doing.is_publishing());
        let Some((stream, all)) = stream.and_then(|stream| Some((stream, self.streams.wanted_mut(stream)?)))
        else {
            return ignored(raw, Ignored::NoSuchStream);
        };
        let is_audio = command.name == "receiveAudio";
        let current = if is_audio { &mut all.audio } else { &mut all.video };
        let is_on_again = !core::mem::replace(current, wanted) && wanted;
        if !self.plays(stream) {
            return None;
        }
        if is_on_again {
            link.send_status(stream, status::info("NetStream.Seek.Notify", "Sending again."));
            link.send_status(stream, status::info("NetStream.Play.Start", "Sending again."));
        }
        Some(match is_audio {
            true => Event::ReceiveAudio { stream, wanted },
            false => Event::ReceiveVideo { stream, wanted },
        })
    }

    fn call(&mut self, link: &mut Link, stream: MessageStreamId, command: Command) -> Event {
        let Command { name, transaction, args, .. } = command;
        let request = self.ask(link, Pending::Call { stream, transaction, name: name.clone() });
        Event::Call { request, call: Box::new(Call { stream, name, args }) }
    }

    fn ask(&mut self, link: &mut Link, pending: Pending) -> RequestId {
        let request = link.next_request();
        self.pending = Some((request, pending));
        request
    }

    /// FCUnpublish names the stream; one that names nothing of ours means the only publisher.
    fn meant_publisher(&self, stream: MessageStreamId, command: &Command) -> Option<MessageStreamId> {
        self.streams.meant_by(stream, command).filter(|stream| self.publishing(*stream).is_some())
    }

    /// Ends what a stream does.
    fn end(&mut self, link: &mut Link, stream: MessageStreamId) -> Option<Event> {
        match self.streams.set(stream, Use::Idle)? {
            Use::Idle => return None,
            Use::Publishing { .. } => {
                let info = status::info("NetStream.Unpublish.Success", "Publishing stopped.");
                link.send_status(stream, info);
            }
            Use::Playing | Use::Replaying => link.drop_media(stream),
        }
        link.expect_media(self.is_publishing());
        link.expect_command(!self.is_active());
        Some(Event::StreamEnded { stream })
    }
}

fn ignored(raw: &RawMessage, why: Ignored) -> Option<Event> {
    Some(Event::Ignored { message_type: raw.type_id, why })
}

/// `_result`, unless the transaction id asks for none.
fn reply(link: &mut Link, stream: MessageStreamId, transaction: f64, value: Value) -> Option<Event> {
    if transaction != 0.0 {
        let result = Command::result(transaction, Value::Null, value);
        link.send_command(csid::COMMAND, stream, &result);
    }
    None
}

fn reply_undefined(link: &mut Link, command: &Command) -> Option<Event> {
    reply(link, MessageStreamId::CONNECTION, command.transaction, Value::Undefined)
}

fn send_error(link: &mut Link, stream: MessageStreamId, transaction: f64, info: Object) {
    let error = Command::new("_error", transaction, vec![Value::Object(info)]);
    link.send_command(csid::COMMAND, stream, &error);
}

/// onFCPublish and its kin: code and, as description, the stream name. FMLE-style encoders wait for them.
fn notify_fc(link: &mut Link, notice: &str, code: &str, command: &Command) {
    let info = status::info(code, command.string_arg(0).unwrap_or_default());
    let notice = Command::new(notice, 0.0, vec![Value::Object(info)]);
    link.send_command(csid::COMMAND, MessageStreamId::CONNECTION, &notice);
}
