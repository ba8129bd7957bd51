//! One RTMP connection, from the first handshake byte to close, as a pure state machine.
//!
//! ```text
//!             handle_input   handle_eof   handle_timeout          (A: network and clock)
//!                  |             |              |
//!   bytes --> [ link: handshake, chunks, acks, pings, close ] --> output / advance_output --> bytes
//!                  | typed messages                                              (C)
//!             [ role: server | client ] <-- accept, reject, send_tag, publish ...  (B: application)
//!                  |
//!              poll_event --> Event                                              (D)
//! ```
//!
//! **Drive it so:** after any A or B call, also a failing one, take events until `None`, write output, read the
//! deadline. Several B calls in a row are fine.
//!
//! **Consumed count.** `handle_input` may take fewer bytes than offered. The caller keeps the rest and stops reading
//! the socket, so TCP slows the peer. That happens while a decision waits (`Event::Publish` and its kind), while
//! events wait, or while replies pile up unsent; `wants_input` says so. A byte counts as consumed once the session
//! holds its effect, and is never offered again.
//!
//! **Errors** are fatal and sticky: every later A call returns the same one. What is queued may still be written.

mod capabilities;
mod client;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
mod link;
mod server;
mod status;
mod streams;
#[cfg(test)]
mod tests;
mod timers;

pub use crate::base::{CloseReason, State};
pub use event::*;
#[cfg(any(test, feature = "fuzzing"))]
pub use fuzz::{fuzz_bytes, fuzz_ops};

use super::{
    ApiMisuse, Error, ErrorKind, Limits, MessageStreamId, SendError,
    chunk::EncodedTags,
    handshake::Handshake,
    message::{Aggregate, Ignored, Message, type_id},
};
use crate::{amf::Value, base::MonoTime, flv::Tag};
use alloc::{collections::VecDeque, string::String, vec};
use client::{Client, Introduction};
use link::{Incoming, Link};
use server::Server;

/// What a server session announces and allows.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Ceilings.
    pub limits: Limits,
    /// Chunk size we send with, in bytes. 65 536: ffmpeg publishers copy it, and no real client refuses it.
    pub chunk_size: u32,
    /// Window Acknowledgement Size and Set Peer Bandwidth, in bytes. 2 500 000: GStreamer warns below.
    pub window: u32,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig { limits: Limits::default(), chunk_size: 65_536, window: 2_500_000 }
    }
}

/// What a client session says of itself.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Ceilings.
    pub limits: Limits,
    /// Chunk size we send with, in bytes.
    pub chunk_size: u32,
    /// Window Acknowledgement Size that a player asks of the server, in bytes.
    pub window: u32,
    /// Application, with instance and query if any.
    pub app: String,
    /// `rtmp://host[:port]/app`
    pub tc_url: String,
    /// The `flashVer` property.
    pub flash_ver: String,
    /// Introduce ourselves as publishers do (`type: "nonprivate"`), and not as players.
    pub is_publisher: bool,
    /// Offer the digest handshake.
    pub offer_digest: bool,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            limits: Limits::default(),
            chunk_size: 65_536,
            window: 2_500_000,
            app: String::new(),
            tc_url: String::new(),
            flash_ver: "FMLE/3.0 (compatible; weir)".into(),
            is_publisher: false,
            offer_digest: false,
        }
    }
}

/// Counters of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes taken from the peer, handshake included.
    pub bytes_in: u64,
    /// Bytes written to the peer, handshake included.
    pub bytes_out: u64,
    /// Whole messages received.
    pub messages_in: u64,
    /// Bytes the peer says it has received; 0 if it never acknowledged.
    pub acknowledged: u64,
}

/// One RTMP connection; see the module for how to drive it.
#[derive(Debug)]
#[repr(C)] // The role is asked, then the link, for every write to a player: see `Link`.
pub struct Session {
    role: Role,
    link: Link,
    events: VecDeque<Event>,
    /// What is left of an aggregate message; its tags become events one at a time.
    aggregate: Option<(MessageStreamId, Aggregate)>,
}

#[derive(Debug)]
enum Role {
    Server(Server),
    Client(Client),
}

impl Session {
    /// Server side of a fresh connection.
    pub fn server(config: ServerConfig, seed: u64, now: MonoTime) -> Session {
        let link = Link::new(Handshake::server(seed), config.limits, now);
        Session::new(link, Role::Server(Server::new(config.window, config.chunk_size)))
    }

    /// Client side of a fresh connection. C0 and C1 are in the output at once; `connect` follows by itself.
    pub fn client(config: ClientConfig, seed: u64, now: MonoTime) -> Session {
        let link = Link::new(Handshake::client(seed, config.offer_digest), config.limits, now);
        let introduction = Introduction {
            app: config.app,
            tc_url: config.tc_url,
            flash_ver: config.flash_ver,
            is_publisher: config.is_publisher,
        };
        Session::new(link, Role::Client(Client::new(introduction, config.window, config.chunk_size)))
    }

    fn new(link: Link, role: Role) -> Session {
        Session { link, role, events: VecDeque::new(), aggregate: None }
    }

    // ---- A. from the network and the clock

    /// Takes bytes of the peer; returns how many. The rest must be offered again when `wants_input` says so.
    ///
    /// # Errors
    /// What the peer did wrong, and where. The session is over.
    pub fn handle_input(&mut self, now: MonoTime, input: &[u8]) -> Result<usize, Error> {
        self.link.now = now;
        self.link.check()?;
        let mut used = 0;
        while used < input.len() && self.wants_input() {
            let (taken, incoming) = self.link.receive(&input[used..])?;
            used += taken;
            if let Some(incoming) = incoming {
                self.handle_incoming(incoming)?;
            }
        }
        Ok(used)
    }

    /// The peer closed its side.
    ///
    /// # Errors
    /// `PeerClosed` if that was not the agreed end: a stream was active, or a message unfinished.
    pub fn handle_eof(&mut self, now: MonoTime) -> Result<(), Error> {
        self.link.now = now;
        self.link.check()?;
        let clean = !self.link.is_mid_message();
        let is_active = match &self.role {
            Role::Server(server) => server.is_active(),
            Role::Client(client) => client.is_active(),
        };
        if self.link.state() == State::Open && (is_active || !clean)
            || self.link.state() == State::Handshaking
        {
            let here = self.link.here();
            return Err(self.link.fail(ErrorKind::PeerClosed { clean }, here));
        }
        self.link.close_now();
        Ok(())
    }

    /// The deadline of `poll_timeout` has come. Calling early is harmless.
    ///
    /// # Errors
    /// `TimedOut` with the deadline that passed. The session is over.
    pub fn handle_timeout(&mut self, now: MonoTime) -> Result<(), Error> {
        self.link.now = now;
        self.link.check()?;
        self.link.expire()
    }

    // ---- B. decisions of a server

    /// Says yes to a request; each event that carries one says what that sends.
    ///
    /// # Errors
    /// `NoSuchRequest` if it does not wait (any more).
    pub fn accept(&mut self, request: RequestId) -> Result<(), ApiMisuse> {
        let (server, link) = self.server_role()?;
        server.accept(link, request)
    }

    /// Says yes to a play or play2 of something recorded.
    ///
    /// # Errors
    /// `NoSuchRequest` if it does not wait (any more), or asks for something else.
    pub fn accept_recorded(&mut self, request: RequestId) -> Result<(), ApiMisuse> {
        let (server, link) = self.server_role()?;
        server.accept_recorded(link, request)
    }

    /// Takes a play on a stream that plays into its playlist. Sends nothing; [`Notice::Begins`] follows when its turn
    /// comes.
    ///
    /// # Errors
    /// `NoSuchRequest` if it does not wait (any more), asks for something else, or nothing plays.
    pub fn accept_later(&mut self, request: RequestId) -> Result<(), ApiMisuse> {
        let (server, _) = self.server_role()?;
        server.accept_later(request)
    }

    /// Says no to a request. After a refused connect or publish the session closes.
    ///
    /// # Errors
    /// `NoSuchRequest` if it does not wait (any more).
    pub fn reject(&mut self, request: RequestId, why: RejectReason) -> Result<(), ApiMisuse> {
        let (server, link) = self.server_role()?;
        server.reject(link, request, &why)
    }

    /// Answers a `Call` with `_result`, null and these values.
    ///
    /// # Errors
    /// `NoSuchRequest` if it does not wait (any more), or is no `Call`.
    pub fn reply(&mut self, request: RequestId, values: &[Value]) -> Result<(), ApiMisuse> {
        let (server, link) = self.server_role()?;
        server.reply(link, request, values)
    }

    /// Tells a client about its stream.
    ///
    /// # Errors
    /// `NoSuchStream` if it does not play; for what concerns a recording, if there is no such stream or it plays.
    pub fn notify(&mut self, stream: MessageStreamId, notice: Notice) -> Result<(), ApiMisuse> {
        let (server, link) = self.server_role()?;
        server.notify(link, stream, notice)
    }

    // ---- B. media of both roles

    /// Queues a tag: a server on a playing stream, a client on a publishing one (where `onMetaData` gets its
    /// `@setDataFrame`).
    ///
    /// # Errors
    /// `WouldExceed` at the output limit, with nothing queued; `NotOpen` if the stream is not for media.
    pub fn send_tag(&mut self, stream: MessageStreamId, tag: &Tag) -> Result<(), SendError> {
        match &mut self.role {
            Role::Server(server) if server.plays(stream) => self.link.send_tag(stream, tag),
            Role::Server(_) => Err(SendError::NotOpen),
            Role::Client(client) => client.send_tag(&mut self.link, stream, tag),
        }
    }

    /// Queues tags that were chunked once for many players. If stream id or chunk size differ from what they were
    /// chunked for, they are chunked again for this session.
    ///
    /// # Errors
    /// As `send_tag`, all of them or none; `NotOpen` for a client.
    pub fn send_encoded(&mut self, stream: MessageStreamId, tags: &EncodedTags) -> Result<(), SendError> {
        match &self.role {
            Role::Server(server) if server.plays(stream) => self.link.send_encoded(stream, tags),
            _ => Err(SendError::NotOpen),
        }
    }

    /// Takes audio and video back that wait for a playing stream, except a message that has begun to leave. A seek, a play
    /// that resets and the end of a play do so by themselves.
    pub fn drop_media(&mut self, stream: MessageStreamId) {
        if matches!(&self.role, Role::Server(server) if server.plays(stream)) {
            self.link.drop_media(stream);
        }
    }

    /// Ends the connection: queues what the reason calls for, then `State::Closing`.
    pub fn close(&mut self, now: MonoTime, why: CloseReason) {
        self.link.now = now;
        if self.link.state() == State::Open {
            if let Role::Server(server) = &mut self.role {
                server.say_goodbye(&mut self.link, why);
            }
        }
        self.link.start_closing();
    }

    // ---- B. commands of a client, after `Event::Connected`

    /// Asks for a message stream: `Event::StreamCreated`, or `Event::Reply` if the server refuses.
    ///
    /// # Errors
    /// `WrongState` before `Event::Connected`, or for a server.
    pub fn create_stream(&mut self) -> Result<TransactionId, ApiMisuse> {
        let (client, link) = self.client_role()?;
        client.create_stream(link)
    }

    /// Publishes on a created stream: `Event::Status` with NetStream.Publish.Start. Tags may follow at once.
    ///
    /// # Errors
    /// `NoSuchStream` if it was not created, or publishes or plays already.
    pub fn publish(
        &mut self,
        stream: MessageStreamId,
        name: &str,
        kind: PublishType,
    ) -> Result<TransactionId, ApiMisuse> {
        let (client, link) = self.client_role()?;
        client.publish(link, stream, name, kind)
    }

    /// Plays on a created stream: `Event::Status` with NetStream.Play.Start, then `Event::Tag`s. On a stream that plays,
    /// instead of that or, without `reset`, behind it.
    ///
    /// # Errors
    /// `NoSuchStream` if it was not created, or publishes.
    pub fn play(&mut self, play: &Play) -> Result<TransactionId, ApiMisuse> {
        let (client, link) = self.client_role()?;
        client.play(link, play)
    }

    /// Goes to another position, in milliseconds: `Event::Status` with NetStream.Seek.Notify, or an error that changes
    /// nothing.
    ///
    /// # Errors
    /// `NoSuchStream` if it does not play.
    pub fn seek(&mut self, stream: MessageStreamId, position: u32) -> Result<TransactionId, ApiMisuse> {
        let (client, link) = self.client_role()?;
        client.control(link, stream, "seek", vec![position.into()])
    }

    /// Pauses at a position, in milliseconds, or goes on from there: `Event::Status` with NetStream.Pause.Notify or
    /// NetStream.Unpause.Notify.
    ///
    /// # Errors
    /// `NoSuchStream` if it does not play.
    pub fn pause(
        &mut self,
        stream: MessageStreamId,
        paused: bool,
        position: u32,
    ) -> Result<TransactionId, ApiMisuse> {
        let (client, link) = self.client_role()?;
        client.control(link, stream, "pause", vec![paused.into(), position.into()])
    }

    /// Any other command (releaseStream, FCPublish, ...): `Event::Reply` if the server answers.
    ///
    /// # Errors
    /// `WrongState` before `Event::Connected`, or for a server.
    pub fn call(
        &mut self,
        stream: MessageStreamId,
        name: &str,
        args: &[Value],
    ) -> Result<TransactionId, ApiMisuse> {
        let (client, link) = self.client_role()?;
        client.call(link, stream, name, args)
    }

    /// Set Buffer Length: how far ahead the server may send, in milliseconds.
    ///
    /// # Errors
    /// `WrongState` before `Event::Connected`, or for a server.
    pub fn set_buffer_length(&mut self, stream: MessageStreamId, ms: u32) -> Result<(), ApiMisuse> {
        let (client, link) = self.client_role()?;
        client.set_buffer_length(link, stream, ms)
    }

    /// Ends what a stream does: FCUnpublish if it publishes, then deleteStream.
    ///
    /// # Errors
    /// `NoSuchStream` if it was not created.
    pub fn delete_stream(&mut self, stream: MessageStreamId) -> Result<(), ApiMisuse> {
        let (client, link) = self.client_role()?;
        client.delete_stream(link, stream)
    }

    // ---- C. to the network and the clock

    /// Fills `slices` with what is to be written, oldest first; returns how many were filled.
    pub fn output<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        self.link.output().slices(slices)
    }

    /// The first `written` bytes of the output have reached the socket.
    pub fn advance_output(&mut self, written: usize) {
        self.link.advance_output(written);
    }

    /// When to call `handle_timeout`, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.link.timers.next()
    }

    // ---- D. to the application

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        while self.events.is_empty() {
            let (stream, parts) = self.aggregate.as_mut()?;
            let (stream, part) = (*stream, parts.next());
            match part {
                Some(Ok(tag)) => self.handle_tag(stream, tag, type_id::AGGREGATE),
                Some(Err(why)) => self.ignore(type_id::AGGREGATE, why),
                None => self.aggregate = None,
            }
        }
        self.events.pop_front()
    }

    // ---- E. getters

    /// Where the session is in its life.
    pub fn state(&self) -> State {
        self.link.state()
    }

    /// `handle_input` would take bytes. False while a decision or events wait, or replies pile up unsent.
    pub fn wants_input(&self) -> bool {
        let is_undecided = match &self.role {
            Role::Server(server) => server.is_undecided(),
            Role::Client(_) => false,
        };
        !is_undecided
            && self.aggregate.is_none()
            && self.events.len() < self.link.limits.max_queued_events
            && !self.link.has_too_many_replies()
            || matches!(self.state(), State::Closing | State::Closed)
    }

    /// Bytes that wait to be written.
    pub fn output_len(&self) -> usize {
        self.link.output().len()
    }

    /// The chunk size we send with: 128 until another one was announced.
    pub fn send_chunk_size(&self) -> u32 {
        self.link.chunk_size()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.link.stats()
    }

    // ---- inside

    fn handle_incoming(&mut self, incoming: Incoming) -> Result<(), Error> {
        match incoming {
            Incoming::HandshakeDone { digest } => {
                if let Role::Client(client) = &mut self.role {
                    client.connect(&mut self.link);
                }
                self.events.push_back(Event::HandshakeDone { digest });
            }
            Incoming::Ignored { message_type, why } => self.ignore(message_type, why),
            Incoming::Media { stream, type_id, tag } => self.handle_tag(stream, tag, type_id),
            Incoming::Message { raw, message: Message::Tag(tag) } => {
                self.handle_tag(raw.stream, tag, raw.type_id);
            }
            Incoming::Message { raw, message: Message::Aggregate(parts) } => {
                // Its tags are only decoded for a stream that takes them.
                match self.media_stream(raw.stream) {
                    Some(stream) => self.aggregate = Some((stream, parts)),
                    None => self.ignore(raw.type_id, Ignored::StreamNotOpen),
                }
            }
            Incoming::Message { raw, message } => {
                let event = match &mut self.role {
                    Role::Server(server) => server.handle(&mut self.link, &raw, message)?,
                    Role::Client(client) => client.handle(&mut self.link, &raw, message),
                };
                self.events.extend(event);
            }
        }
        Ok(())
    }

    /// The open stream that media of the peer on `stream` belongs to.
    fn media_stream(&self, stream: MessageStreamId) -> Option<MessageStreamId> {
        match &self.role {
            Role::Server(server) => server.publishing(stream),
            Role::Client(client) => Some(stream).filter(|stream| client.plays(*stream)),
        }
    }

    fn handle_tag(&mut self, stream: MessageStreamId, tag: Tag, message_type: u8) {
        match self.media_stream(stream) {
            Some(stream) => {
                if let Role::Server(_) = self.role {
                    self.link.note_media();
                }
                self.events.push_back(Event::Tag { stream, tag });
            }
            None => self.ignore(message_type, Ignored::StreamNotOpen),
        }
    }

    fn ignore(&mut self, message_type: u8, why: Ignored) {
        self.events.push_back(Event::Ignored { message_type, why });
    }

    fn server_role(&mut self) -> Result<(&mut Server, &mut Link), ApiMisuse> {
        match &mut self.role {
            Role::Server(server) => Ok((server, &mut self.link)),
            Role::Client(_) => Err(ApiMisuse::WrongState),
        }
    }

    fn client_role(&mut self) -> Result<(&mut Client, &mut Link), ApiMisuse> {
        match &mut self.role {
            Role::Client(client) if self.link.state() == State::Open => Ok((client, &mut self.link)),
            _ => Err(ApiMisuse::WrongState),
        }
    }
}
