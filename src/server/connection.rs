//! One TCP connection: socket (or TLS on it: `transport`), session, and the drive loop between them, which both kinds of
//! threads use.
//!
//! In: readiness, time, deadlines. Out: bytes on the socket, tags to hubs, [`Action`]s for the thread that plays.
//! What requests mean is in `requests`; writing, and what operators see and do, in modules of their own.
//!
//! Reading ends a turn at a short read, at `WouldBlock` or after [`TURN_BYTES`], so one loud publisher cannot starve
//! the rest; nor can one client that asks for much with few bytes: [`TURN_ANSWERS`]. Bytes go from a buffer that the
//! thread shares among its connections straight into the session; only what the session does not take (its replies pile
//! up unread), or may not take in this turn, is kept, and then reading stops.
//!
//! Field notes: OBS and ffmpeg send FCUnpublish and deleteStream and close with our answers unread, so their goodbye
//! arrives together with a reset: after a failed write we still read what came before it.

mod operating;
mod writing;

use super::{
    Shared,
    capture::Recorder,
    listen,
    path::StreamPath,
    player::Action,
    port::{ConnectionId, Letter, Mailbox, Port},
    protocol::{Failure, Protocol},
    registry::{Ending, Publishing},
    relay::StreamId,
    rtsp::{packets::Carrier, presentation::Presentation, tunnel::Download, udp::Datagrams},
    shared_tag::{Form, Piece},
    staging::Staged,
    stats::Throttle,
    transport::{self, Received, Transport},
    web,
};
use crate::{
    base::{CloseReason, MonoTime, SendError, State},
    http::{Framing, Refusal},
    rtmp::{MessageStreamId, session::Notice},
    rtp::send::Sender,
};
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use mio::{Interest, Registry, Token, event::Event, net::TcpStream};
use std::io::{self, ErrorKind as IoErrorKind};

/// Bytes read for one connection before the others of its thread get their turn.
pub(super) const TURN_BYTES: usize = 256 << 10;
/// Answers that one connection may get before the others get their turn, as bytes; one may go past it. A request of 30
/// bytes can ask for a file of 100 KiB, so that a full read buffer of them would be the work of a second.
pub(super) const TURN_ANSWERS: usize = 64 << 10;
/// What an answer counts for besides its bytes: finding it takes as long as copying so many.
const ANSWER_COST: usize = 1 << 10;
/// The read buffer that a thread shares among its connections.
pub(super) const READ_BUFFER: usize = 64 << 10;
/// Slices of one vectored write. What was gathered is one, a GOP for a late joiner fills it.
pub(super) const MAX_SLICES: usize = 64;

/// A connection of a client. Belongs to one thread at a time.
///
/// In C's order: what every write to a player needs stands first and together, up to the first part of the session.
#[repr(C)]
pub(super) struct Connection {
    transport: Transport,
    /// Nothing can be written until the socket says so.
    is_blocked: bool,
    /// Writing has failed; only reading what came before is left.
    is_broken: bool,
    /// The socket may hold bytes; edge-triggered readiness has to be remembered.
    may_read: bool,
    /// The peer closed or reset: a short read does not mean that nothing follows.
    is_hung_up: bool,
    /// It waits for its next turn: [`super::sockets::Sockets`].
    pub(super) is_in_line: bool,
    /// We have shut our side down.
    is_shut: bool,
    /// The last read was a large part of what there was to read, or of a message.
    is_bulky: bool,
    is_over: bool,
    /// Output has waited since then without a byte being taken.
    stalled_since: Option<MonoTime>,
    /// When a response that is held in memory for it has to be written.
    pub(super) response_due: Option<MonoTime>,
    /// Of which stream in segments it asked for a file, if that was its last request.
    pub(super) hls: Option<StreamPath>,
    recorder: Option<Recorder>,
    pub(super) protocol: Protocol,
    /// What it is about over RTSP.
    pub(super) presentation: Option<Box<Presentation>>,
    /// Where requests come from, if it is the end of a tunnel for RTSP.
    pub(super) download: Option<Download>,
    /// What has come and gone through ports that it has given up, and before it became the end of a tunnel.
    pub(super) other_bytes: (u64, u64),
    /// Requests of RTSP that were not granted, for the log.
    pub(super) refusals: Throttle,
    /// Where others leave word for this connection, and its identity.
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) peer: SocketAddr,
    /// From `connect`; used by every publish and play.
    pub(super) app: String,
    pub(super) tc_url: String,
    /// From `connect` of a server that asks for others: on behalf of which streams.
    pub(super) via: Vec<StreamId>,
    /// What the message streams do.
    pub(super) streams: Vec<(MessageStreamId, Role)>,
    /// What the client last asked for with Set Buffer Length.
    pub(super) buffer: Option<Duration>,
    /// Where the subscriber thread keeps the players of this connection: message stream, index of the hub's table.
    pub(super) seats: Vec<(MessageStreamId, u32)>,
    /// Read, not taken by the session yet.
    leftover: Vec<u8>,
    /// [`super::Config::stall_timeout`]
    stall_timeout: Duration,
    /// [`super::Config::max_queue`]
    max_queue: usize,
    opened: MonoTime,
    /// What the client calls itself.
    pub(super) agent: Option<Arc<str>>,
    /// Captures of it that have begun.
    captures: u32,
    end: Option<End>,
}

/// What a message stream does.
pub(super) enum Role {
    /// Its tags go to a hub.
    Publishing(Publishing),
    /// A subscriber thread sends it tags.
    Playing,
    /// A thread of its own sends it a file.
    Replaying,
    /// It is sent what happens on the server.
    Listening,
}

/// What a connection needs from its thread for a turn.
pub(super) struct Context<'a> {
    pub(super) now: MonoTime,
    pub(super) shared: &'a Arc<Shared>,
    /// What the thread has to do about playing; added to.
    pub(super) actions: &'a mut Vec<Action>,
}

/// What becomes of a player whose stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterMedia {
    /// Another stream may follow under the same name (RTMP).
    Wait,
    /// It has played, and may ask for something else (RTSP).
    Leave,
    /// The connection has no other purpose (HTTP).
    Close,
}

/// Why a connection ended, for the log.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// We closed it.
    Closed(CloseReason),
    /// We said no.
    Refused(&'static str),
    /// What it asked for was no request.
    Request(Refusal),
    /// It said goodbye, or closed while it did nothing.
    PeerClosed,
    /// The session ended it.
    Session(Failure),
    /// TLS ended it.
    Tls(transport::Failure),
    /// The socket failed.
    Io(IoErrorKind),
}

impl Connection {
    /// Around an accepted socket, which must be non-blocking. Its thread is reached through `owner`.
    pub(super) fn new(
        socket: TcpStream,
        peer: SocketAddr,
        id: ConnectionId,
        owner: Arc<Port>,
        shared: &Shared,
    ) -> Connection {
        let now = shared.now();
        listen::set_up(&socket);
        let recorder = shared.capture.as_ref().and_then(|capture| {
            let local = socket.local_addr().ok()?;
            Some(capture.recorder(id, peer, local, 1, None))
        });
        shared.stats.accepted.add(1);
        shared.stats.connections.add(1);
        let shown = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        log::info!("{id} opened: {shown}");
        Connection {
            transport: Transport::new(socket),
            protocol: Protocol::new(now),
            presentation: None,
            download: None,
            other_bytes: (0, 0),
            refusals: Throttle::default(),
            mailbox: Arc::new(Mailbox::new(id, peer.ip(), owner)),
            peer: shown,
            app: String::new(),
            tc_url: String::new(),
            via: Vec::new(),
            streams: Vec::new(),
            buffer: None,
            seats: Vec::new(),
            leftover: Vec::new(),
            may_read: false,
            is_hung_up: false,
            is_in_line: false,
            is_blocked: false,
            is_broken: false,
            is_shut: false,
            is_bulky: false,
            is_over: false,
            stalled_since: None,
            response_due: None,
            hls: None,
            stall_timeout: shared.stall_timeout,
            max_queue: shared.session.limits.max_queued_output,
            opened: now,
            agent: None,
            captures: u32::from(recorder.is_some()),
            end: None,
            recorder,
        }
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.mailbox.id
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.transport.socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        if let Some(datagrams) = self.datagrams() {
            datagrams.deregister(registry);
        }
        registry.deregister(&mut self.transport.socket)
    }

    /// Has ports watched that are not yet.
    pub(super) fn register_ports(&mut self, registry: &Registry, token: Token) {
        if let Some(datagrams) = self.datagrams() {
            datagrams.register(registry, token);
        }
    }

    /// Its ports have something.
    pub(super) fn note_datagrams(&mut self) {
        if let Some(datagrams) = self.datagrams() {
            datagrams.may_read = true;
        }
    }

    /// Remembers what the socket said.
    pub(super) fn note(&mut self, event: &Event) {
        self.may_read |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.is_hung_up |= event.is_read_closed() || event.is_error();
        // Reset: what the peer waits for it will not get, even if nothing is read from it at the moment.
        self.is_broken |= event.is_error();
        if event.is_writable() || event.is_write_closed() {
            self.is_blocked = false;
        }
    }

    /// It publishes, one small message after the other: what it sent next may wait a little (see `coalescing`).
    pub(super) fn is_patient(&self) -> bool {
        !self.is_bulky && self.streams.iter().any(|(_, role)| matches!(role, Role::Publishing(_)))
    }

    /// Nothing is left to do but to drop it.
    pub(super) fn is_over(&self) -> bool {
        self.is_over || (self.has_ended() && (self.is_broken || !self.transport.holds_output()))
    }

    /// The session has had all that it wants.
    fn has_ended(&self) -> bool {
        self.is_over || self.protocol.state() == State::Closed
    }

    /// Reads and handles what has come, or as much as a turn may; [`Connection::needs_read`] tells whether there is
    /// more. Replies wait for [`Connection::flush`], so that they leave together with the media that an action may add.
    pub(super) fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) {
        let (mut budget, mut answers) = (TURN_BYTES, TURN_ANSWERS);
        self.set_date();
        if self.presentation.is_some() {
            self.read_datagrams(cx);
        }
        while !self.has_ended() && budget > 0 && answers > 0 {
            if !self.leftover.is_empty() && self.protocol.wants_input() {
                let input = core::mem::take(&mut self.leftover);
                self.take(cx, &input, &mut answers);
            }
            if self.has_tunnelled() {
                let input = self.download.as_ref().map_or_else(Vec::new, Download::take);
                budget = budget.saturating_sub(input.len());
                self.take(cx, &input, &mut answers);
                continue;
            }
            if !self.may_read || !self.leftover.is_empty() || !self.protocol.wants_input() {
                // Nothing can be written that would let the session take more.
                if self.is_broken {
                    self.fail(cx, End::Io(IoErrorKind::BrokenPipe));
                }
                break;
            }
            match self.transport.read(buffer, &mut self.leftover, cx.shared.tls.as_ref()) {
                Ok(Received::End) => self.peer_closed(cx),
                Ok(Received::Plain(count)) => {
                    self.may_read = count == buffer.len() || self.is_hung_up;
                    self.is_bulky = count >= buffer.len() / 2;
                    budget = budget.saturating_sub(count);
                    if let Some(recorder) = &mut self.recorder {
                        recorder.input(&buffer[..count]);
                    }
                    self.take(cx, &buffer[..count], &mut answers);
                }
                // Taken first of all in the next round, or turn.
                Ok(Received::Sealed(count)) => {
                    self.may_read = count == buffer.len() || self.is_hung_up || self.transport.is_at_end();
                    self.is_bulky = count >= buffer.len() / 2;
                    budget = budget.saturating_sub(count);
                    if let Some(agreement) = self.transport.agreement() {
                        log::debug!("{} speaks TLS: {agreement}", self.id());
                    }
                    if let Some(recorder) = self.recorder.as_mut().filter(|_| !self.leftover.is_empty()) {
                        recorder.input(&self.leftover);
                    }
                }
                Ok(Received::Failed(failure)) => self.fail(cx, End::Tls(failure)),
                Err(error) if error.kind() == IoErrorKind::Interrupted => {}
                Err(error) if error.kind() == IoErrorKind::WouldBlock => {
                    self.may_read = false;
                    // A socket that cannot be written and has nothing to read is of no use.
                    if self.is_broken {
                        self.fail(cx, End::Io(IoErrorKind::BrokenPipe));
                    }
                }
                Err(error) => self.fail(cx, End::Io(error.kind())),
            }
        }
    }

    /// There is something to read or to take although no event will say so.
    pub(super) fn needs_read(&self) -> bool {
        self.is_broken
            || (!self.has_ended()
                && (((self.may_read || !self.leftover.is_empty()) && self.protocol.wants_input())
                    || self.has_tunnelled()
                    || self.presentation.as_ref().is_some_and(|known| known.may_read())))
    }

    /// Requests wait in its tunnel, and can be taken.
    fn has_tunnelled(&self) -> bool {
        let tunnel = self.download.as_ref().filter(|_| self.leftover.is_empty());
        tunnel.is_some_and(|tunnel| self.protocol.wants_input() && tunnel.may_read())
    }

    /// The last write has failed or was refused: its thread has to look at it.
    pub(super) fn is_troubled(&self) -> bool {
        self.is_broken
            || self.stalled_since.is_some()
            || self.presentation.as_ref().is_some_and(|known| known.queued() > 0)
    }

    /// When to call [`Connection::handle_timeout`].
    pub(super) fn deadline(&self) -> Option<MonoTime> {
        let packets = self.presentation.as_ref().and_then(|known| known.deadline());
        [self.protocol.poll_timeout(), self.stall_deadline(), self.response_deadline(), packets]
            .into_iter()
            .flatten()
            .min()
    }

    /// A deadline may have passed.
    pub(super) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        if self.protocol.poll_timeout().is_some_and(|at| at <= cx.now) {
            self.set_date();
            let result = self.protocol.handle_timeout(cx.now);
            self.handle_events(cx);
            if let Err(error) = result {
                self.flush(cx.now);
                self.fail(
                    cx,
                    match self.transport.is_handshaking() {
                        true => End::Tls(transport::Failure::Slow),
                        false => End::Session(error),
                    },
                );
            }
        }
        self.handle_receiver_timeout(cx);
        if self.presentation.as_mut().is_some_and(|known| known.take_forgotten(cx.now)) {
            self.close(cx, CloseReason::Done);
        }
        // To the byte: however little it takes at a time, it holds what the stream is done with.
        if self.response_deadline().is_some_and(|at| at <= cx.now) {
            self.fail(cx, End::Closed(CloseReason::TooSlow));
        }
        if self.stall_deadline().is_some_and(|at| at <= cx.now) {
            match self.protocol.state() {
                State::Open => self.close(cx, CloseReason::TooSlow),
                _ => self.fail(cx, End::Closed(CloseReason::TooSlow)),
            }
        }
    }

    /// Ends the connection: its streams end at once, the socket when the peer has read the goodbye.
    pub(super) fn close(&mut self, cx: &mut Context<'_>, why: CloseReason) {
        if self.end.is_none() {
            self.end = Some(End::Closed(why));
        }
        self.set_date();
        self.protocol.close(cx.now, why);
        // A fresh span: what the goodbye needs must not be cut off by an old stall.
        self.stalled_since = None;
        self.release(cx);
    }

    /// What others have asked for meanwhile.
    pub(super) fn check_mail(&mut self, cx: &mut Context<'_>) {
        for letter in self.mailbox.take_letters() {
            match letter {
                // A stream may have gone meanwhile, with its connection or alone.
                Letter::Notice(stream, notice) => {
                    if let Some(session) =
                        self.protocol.rtmp().filter(|session| session.state() == State::Open)
                    {
                        let _ = session.notify(stream, notice);
                    }
                }
                Letter::Answer(id, response) => self.respond_late(cx, id, &response),
                Letter::More(piece) => self.respond_more(cx, &piece),
                Letter::Described(described) => self.described(cx, *described),
                Letter::Redirect(redirect) => self.redirect(cx.now, &redirect),
                Letter::Capture(switch) => {
                    if let Err(why) = self.switch_capture(cx.shared, &switch) {
                        // Nobody waits any more if this took long.
                        let _ = switch.done.try_send(Err(why));
                    }
                }
            }
        }
        if let Some(why) = self.mailbox.pending().filter(|_| self.protocol.state() == State::Open) {
            self.close(cx, why);
        }
    }

    /// Through TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }

    /// In which form a player gets its stream.
    pub(super) fn form(&self) -> Form {
        match &self.protocol {
            Protocol::Http(session) => Form::Flv(session.framing().unwrap_or(Framing::Plain)),
            Protocol::Rtsp(_) => match &self.presentation {
                Some(known) => Form::Rtp(known.carrier()),
                None => Form::Rtp(Carrier::NOTHING),
            },
            _ => Form::Rtmp,
        }
    }

    /// Queues tags for a player, in its form.
    pub(super) fn offer(&mut self, stream: MessageStreamId, piece: &Piece) -> Result<(), SendError> {
        match (&mut self.protocol, piece) {
            (Protocol::Rtmp(session), Piece::Rtmp(tags)) => session.send_encoded(stream, tags),
            (Protocol::Http(session), Piece::Flv(piece)) => session.send_piece(piece),
            (Protocol::Rtsp(session), Piece::Rtp(packets)) => match &mut self.presentation {
                Some(known) => known.send(session, packets, self.max_queue),
                None => Err(SendError::NotOpen),
            },
            _ => Err(SendError::NotOpen),
        }
    }

    /// Its own address, as the client reaches it.
    pub(super) fn local_ip(&self) -> Option<IpAddr> {
        Some(self.transport.socket.local_addr().ok()?.ip().to_canonical())
    }

    /// Bytes that wait to be sent.
    pub(super) fn queued(&self) -> usize {
        self.protocol.output_len() + self.presentation.as_ref().map_or(0, |known| known.queued())
    }

    /// Tells a player about its stream. Players over HTTP and RTSP are told by [`Connection::end_media`] alone.
    pub(super) fn notify(&mut self, stream: MessageStreamId, notice: Notice) {
        if let Some(Err(misuse)) = self.protocol.rtmp().map(|session| session.notify(stream, notice)) {
            log::error!("{} notice on stream {stream}: {misuse}", self.id());
        }
    }

    /// Its stream is over: ends the response that it is sent by over HTTP, says goodbye over RTSP, where `sender` is as it
    /// stands.
    pub(super) fn end_media(&mut self, now: MonoTime, sender: Option<&Sender>) -> AfterMedia {
        match &mut self.protocol {
            Protocol::Http(session) => {
                // Fails if the client has left.
                let _ = session.end(now);
                AfterMedia::Close
            }
            Protocol::Rtsp(_) => {
                self.end_presentation_media(now, sender);
                AfterMedia::Leave
            }
            _ => AfterMedia::Wait,
        }
    }

    /// The last words: called once, when the connection is over.
    pub(super) fn finish(mut self, cx: &mut Context<'_>) {
        self.release(cx);
        if self.protocol.http().is_some_and(|session| session.is_cut()) {
            self.transport.cut();
        } else {
            self.transport.say_goodbye();
        }
        let (bytes_in, bytes_out) = self.bytes();
        cx.shared.stats.connections.subtract(1);
        cx.shared.stats.bytes_in.add(bytes_in);
        cx.shared.stats.bytes_out.add(bytes_out);
        let end = self.end.take().unwrap_or(End::PeerClosed);
        if let Some(recorder) = self.recorder.take() {
            recorder.end(matches!(end, End::Io(_)) || self.is_broken);
        }
        let lasted = cx.now.since(self.opened);
        log::info!(
            "{} closed: {end}, {bytes_in} bytes in, {bytes_out} bytes out, {:.1} s",
            self.id(),
            lasted.as_secs_f64()
        );
    }

    /// Bytes that have come and gone.
    fn bytes(&self) -> (u64, u64) {
        let packets = self.presentation.as_ref().map_or((0, 0), |known| known.bytes());
        let all = [self.protocol.bytes(), packets, self.other_bytes];
        all.into_iter()
            .fold((0, 0), |(all_in, all_out), (bytes_in, bytes_out)| (all_in + bytes_in, all_out + bytes_out))
    }

    /// Says why it will have ended, unless that is known.
    pub(super) fn note_end(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    /// Tells the session the time of day, for what it says by itself.
    fn set_date(&mut self) {
        match &mut self.protocol {
            Protocol::Http(session) => session.set_date(web::date()),
            Protocol::Rtsp(session) => session.set_date(web::date()),
            _ => {}
        }
    }

    fn datagrams(&mut self) -> Option<&mut Datagrams> {
        self.presentation.as_mut()?.datagrams.as_mut()
    }

    /// Hands bytes to the session; keeps what it does not take, and what `answers` is not enough for.
    fn take(&mut self, cx: &mut Context<'_>, mut input: &[u8], answers: &mut usize) {
        while !input.is_empty() && !self.has_ended() {
            let queued = self.protocol.output_len();
            let taken = match self.protocol.handle_input(cx.now, input, cx.shared) {
                Ok(taken) => taken,
                Err(error) => {
                    self.handle_events(cx);
                    self.flush(cx.now);
                    return self.fail(cx, End::Session(error));
                }
            };
            input = &input[taken..];
            let has_decided = self.handle_events(cx);
            let answered = self.protocol.output_len().saturating_sub(queued);
            if answered > 0 {
                *answers = answers.saturating_sub(ANSWER_COST + answered);
            }
            // Replies pile up: it goes on once they are written.
            let is_stuck = taken == 0 && !has_decided;
            if is_stuck || *answers == 0 {
                self.leftover = input.to_vec();
                return;
            }
        }
    }

    fn response_deadline(&self) -> Option<MonoTime> {
        self.response_due.filter(|_| self.protocol.output_len() > 0)
    }

    fn stall_deadline(&self) -> Option<MonoTime> {
        self.stalled_since.map(|since| since + self.stall_timeout)
    }

    fn peer_closed(&mut self, cx: &mut Context<'_>) {
        self.may_read = false;
        let result = self.protocol.handle_eof(cx.now);
        self.handle_events(cx);
        self.flush(cx.now);
        match result {
            // It may close its side behind a request and wait for the response.
            Ok(()) if self.protocol.http().is_some() && self.protocol.state() != State::Closed => {}
            Ok(()) => self.fail(cx, End::PeerClosed),
            Err(error) => self.fail(cx, End::Session(error)),
        }
    }

    fn fail(&mut self, cx: &mut Context<'_>, end: End) {
        self.note_end(end);
        self.release(cx);
        self.is_over = true;
    }

    /// Ends what the streams do. A publisher that did not say goodbye may come back.
    pub(super) fn release(&mut self, cx: &mut Context<'_>) {
        let ending = match &self.end {
            Some(
                End::Closed(CloseReason::TakenOver | CloseReason::TooSlow)
                | End::Session(_)
                | End::Tls(_)
                | End::Io(_),
            ) => Ending::Lost,
            Some(End::Closed(_) | End::Refused(_) | End::Request(_)) => Ending::Proper,
            // Without a word: the session reports a proper end stream by stream, before.
            Some(End::PeerClosed) | None => Ending::Lost,
        };
        self.finish_receiving(cx);
        for (stream, role) in core::mem::take(&mut self.streams) {
            self.end_role(cx, stream, role, ending);
        }
    }

    pub(super) fn end_role(&self, cx: &mut Context<'_>, stream: MessageStreamId, role: Role, ending: Ending) {
        match role {
            Role::Publishing(publishing) => {
                log::info!("{} stops publishing {}", self.id(), publishing.path());
                publishing.finish(cx.now, ending);
            }
            Role::Listening => {}
            Role::Playing | Role::Replaying => cx.actions.push(Action::Leave { stream }),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Closed(CloseReason::Done) => f.write_str("done"),
            End::Closed(CloseReason::Shutdown) => f.write_str("server stops"),
            End::Closed(CloseReason::TooSlow) => f.write_str("too slow"),
            End::Closed(CloseReason::TakenOver) => f.write_str("another publisher took over"),
            End::Closed(CloseReason::Kicked) => f.write_str("by the operator"),
            End::Refused(what) => write!(f, "refused: {what}"),
            End::Request(refusal) => write!(f, "refused: {refusal}"),
            End::PeerClosed => f.write_str("peer closed the connection"),
            End::Session(error) => write!(f, "{error}"),
            End::Tls(failure) => write!(f, "{failure}"),
            End::Io(kind) => write!(f, "{kind}"),
        }
    }
}

/// A boxed connection moves between threads by one pointer.
pub(super) type Owned = Box<Connection>;

#[cfg(test)]
mod tests;
