//! The server's side: calls of the driver and the application, deadlines, life.

use super::{Answer, Event, RequestId, Stats, link::Link};
use crate::{
    base::{CloseReason, MonoTime, Payload, SendError, State},
    http::Date,
    rtsp::{ApiMisuse, Credentials, Error, ErrorKind, Limits, Method, Mode, Refusal, Status, Timer, auth},
};
use alloc::{boxed::Box, collections::VecDeque, format, string::String, sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

/// What sessions of a server have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Ceilings.
    pub limits: Limits,
    /// What clients are told: how long a session may be silent. 60 s is what they expect.
    pub session_timeout: Duration,
    /// Who may describe, announce and set up. Empty: everybody.
    pub users: Vec<Credentials>,
    /// What the login is for, as programs show it. Without quotes, backslashes and line ends.
    pub realm: String,
    /// Name and version for `Server`; empty: none.
    pub name: String,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            limits: Limits::default(),
            session_timeout: Duration::from_secs(60),
            users: Vec::new(),
            realm: "weir".into(),
            name: String::new(),
        }
    }
}

/// One RTSP connection of a server; see the module.
#[repr(C)]
pub struct Session {
    pub(super) link: Link,
    pub(super) live: Option<Box<Live>>,
    /// The request that waits for its answer.
    pub(super) asked: Option<Box<Asked>>,
    pub(super) config: Arc<ServerConfig>,
    pub(super) events: VecDeque<Event>,
    pub(super) next_request: u32,
    pub(super) next_session: u32,
    pub(super) seed: u64,
    /// Tracks were announced, and may be set up to be recorded.
    pub(super) is_announced: bool,
    /// Who has logged in.
    pub(super) user: Option<usize>,
    pub(super) challenges: u32,
    /// Of our own requests.
    pub(super) next_cseq: u32,
    pub(super) date: Option<Date>,
    pub(super) messages: u64,
    pub(super) frames: u64,
}

/// What answers the GET of a tunnel. No proxy shall keep any of it.
const TUNNEL: &[u8] =
    b"HTTP/1.0 200 OK\r\nConnection: close\r\nCache-Control: no-store\r\nPragma: no-cache\r\n\
    Content-Type: application/x-rtsp-tunnelled\r\n\r\n";

/// A session in the sense of RTSP.
pub(super) struct Live {
    pub(super) id: String,
    pub(super) media: Media,
    pub(super) mode: Mode,
    pub(super) is_interleaved: bool,
    /// PLAY was answered once.
    pub(super) has_played: bool,
    /// When there was a sign of life.
    pub(super) last_sign: MonoTime,
    /// As the client names the presentation or a track of it.
    pub(super) url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Ready,
    Playing,
    Recording,
}

/// What an answer depends on.
pub(super) struct Asked {
    pub(super) id: RequestId,
    pub(super) method: Method,
    /// `CSeq` and `Timestamp`, to be sent back: whole lines.
    pub(super) echo: String,
    /// Of SETUP.
    pub(super) mode: Mode,
    pub(super) url: String,
}

impl Session {
    /// Server side of a fresh connection. The seed has to be unguessable: ids of sessions and nonces come from it.
    pub fn server(config: Arc<ServerConfig>, seed: u64, now: MonoTime) -> Session {
        let mut link = Link::new(config.limits.clone(), now);
        link.set_deadline(Timer::Message, config.limits.message_timeout);
        Session {
            link,
            live: None,
            asked: None,
            config,
            events: VecDeque::new(),
            next_request: 1,
            next_session: 1,
            seed,
            is_announced: false,
            user: None,
            challenges: 0,
            next_cseq: 1,
            date: None,
            messages: 0,
            frames: 0,
        }
    }

    // ---- A. from the network and the clock

    /// The wall clock, for the `Date` of answers from now on. Without it they have none.
    pub fn set_date(&mut self, date: Date) {
        self.date = Some(date);
    }

    /// The peer came through HTTP, by a GET: that is answered before all else.
    pub fn begin_tunnel(&mut self) {
        self.link.reply(TUNNEL);
    }

    /// Takes bytes of the peer; returns how many. The rest must be offered again when `wants_input` says so.
    ///
    /// # Errors
    /// The error that ended the session, if one did.
    pub fn handle_input(&mut self, now: MonoTime, input: &[u8]) -> Result<usize, Error> {
        self.link.now = now;
        self.link.check()?;
        let mut used = 0;
        while used < input.len() && self.wants_input() {
            let taken = self.receive(&input[used..]);
            used += taken;
            self.link.bytes_in += taken as u64;
        }
        Ok(used)
    }

    /// The peer closed its side. [`Session::state`] tells whether there is still something to write.
    ///
    /// # Errors
    /// `PeerClosed` inside a message.
    pub fn handle_eof(&mut self, now: MonoTime) -> Result<(), Error> {
        self.link.now = now;
        self.link.check()?;
        self.link.is_half_closed = true;
        if !self.link.is_open() {
            self.link.end_closing();
        } else if !self.link.reader.is_empty() {
            return Err(self.link.fail(ErrorKind::PeerClosed));
        } else if self.is_playing() && self.asked.is_none() {
            // Players leave by closing.
            self.link.close_now();
        } else if self.asked.is_none() {
            self.link.start_closing();
        }
        Ok(())
    }

    /// The deadline of `poll_timeout` has come. Calling early is harmless.
    ///
    /// # Errors
    /// `TimedOut` with the deadline that passed, if there is nobody to be told.
    pub fn handle_timeout(&mut self, now: MonoTime) -> Result<(), Error> {
        self.link.now = now;
        self.link.check()?;
        match self.link.deadline.take_if(|(_, at)| *at <= now) {
            Some((timer, _)) => self.expire(timer),
            None => Ok(()),
        }
    }

    /// A sign of life that came another way: RTCP by UDP, or RTP of a publisher.
    pub fn touch(&mut self, now: MonoTime) {
        self.link.now = now;
        self.note_sign();
    }

    // ---- B. from the application

    /// Answers a request.
    ///
    /// # Errors
    /// `NoSuchRequest` if it does not wait (any more); `WrongAnswer` if this is one to another method, which leaves it
    /// unanswered.
    pub fn respond(&mut self, now: MonoTime, request: RequestId, answer: &Answer) -> Result<(), ApiMisuse> {
        self.link.now = now;
        let Some(asked) = self.asked.take_if(|asked| asked.id == request) else {
            return Err(ApiMisuse::NoSuchRequest);
        };
        if !answer.fits(asked.method) {
            self.asked = Some(asked);
            return Err(ApiMisuse::WrongAnswer);
        }
        self.write_answer(&asked, answer);
        self.note_sign();
        self.finish();
        Ok(())
    }

    /// Queues frames that were made once for many players ([`frame_header`](super::frame_header) and data, any number of
    /// them, each whole), shared.
    ///
    /// # Errors
    /// `WouldExceed` at the output limit, with nothing queued; `NotOpen` unless something plays over this connection.
    pub fn send_piece(&mut self, piece: &Payload) -> Result<(), SendError> {
        match &self.live {
            Some(live) if live.is_interleaved && live.media == Media::Playing && self.link.is_open() => {
                self.link.send_piece(piece)
            }
            _ => Err(SendError::NotOpen),
        }
    }

    /// Queues one small frame, copied: RTCP.
    ///
    /// # Errors
    /// As `send_piece`, but open while something is recorded as well; `WouldExceed` also beyond 65535 bytes.
    pub fn send_frame(&mut self, channel: u8, data: &[u8]) -> Result<(), SendError> {
        match &self.live {
            Some(live) if live.is_interleaved && live.media != Media::Ready && self.link.is_open() => {
                self.link.send_frame(channel, data)
            }
            _ => Err(SendError::NotOpen),
        }
    }

    /// Asks the client to go elsewhere (RFC 2326, 10.10), which few do: the connection stays.
    ///
    /// # Errors
    /// `WrongState` if nothing is set up.
    pub fn redirect(&mut self, now: MonoTime, location: &str) -> Result<(), ApiMisuse> {
        self.link.now = now;
        let Some(live) = self.live.as_ref().filter(|_| self.link.is_open()) else {
            return Err(ApiMisuse::WrongState);
        };
        let cseq = self.next_cseq;
        self.next_cseq = self.next_cseq.wrapping_add(1);
        let request = format!(
            "REDIRECT {} RTSP/1.0\r\nCSeq: {cseq}\r\nSession: {}\r\nLocation: {location}\r\n\r\n",
            live.url, live.id
        );
        self.link.reply(request.as_bytes());
        Ok(())
    }

    /// Ends the connection: answers what waits for an answer with 503, then `State::Closing`. Who is too slow loses the
    /// media that has not begun to leave.
    pub fn close(&mut self, now: MonoTime, why: CloseReason) {
        self.link.now = now;
        self.link.note_close(why);
        if let Some(asked) = self.asked.take() {
            self.write_answer(&asked, &Answer::Failed(Status::SERVICE_UNAVAILABLE));
        }
        self.link.start_closing();
    }

    // ---- C. to the network and the clock

    /// Fills `slices` with what is to be written, oldest first; returns how many were filled.
    pub fn output<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        self.link.output.slices(slices)
    }

    /// The first `written` bytes of the output have reached the socket.
    pub fn advance_output(&mut self, written: usize) {
        self.link.advance(written);
    }

    /// When to call `handle_timeout`, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.link.deadline.map(|(_, at)| at)
    }

    // ---- D. to the application

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // ---- E. getters

    /// Where the connection is in its life; never `Handshaking`.
    pub fn state(&self) -> State {
        self.link.state()
    }

    /// `handle_input` would take bytes. False while a request waits for its answer, while events wait, and while answers
    /// pile up unsent.
    pub fn wants_input(&self) -> bool {
        !self.link.is_open()
            || (self.asked.is_none()
                && self.events.len() < self.link.limits.max_queued_events
                && self.link.output.reply_len() < self.link.limits.max_queued_replies)
    }

    /// Bytes that wait to be written.
    pub fn output_len(&self) -> usize {
        self.link.output.len()
    }

    /// PLAY was answered, and nothing ended that since.
    pub fn is_playing(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.media == Media::Playing)
    }

    /// RECORD was answered, and nothing ended that since.
    pub fn is_recording(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.media == Media::Recording)
    }

    /// Tracks are set up over this connection itself.
    pub fn is_interleaved(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.is_interleaved)
    }

    /// The id of the session, if there is one.
    pub fn session_id(&self) -> Option<&str> {
        self.live.as_ref().map(|live| &*live.id)
    }

    /// The name of who has logged in.
    pub fn user(&self) -> Option<&str> {
        self.user.and_then(|user| self.config.users.get(user)).map(|user| &*user.name)
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        Stats {
            bytes_in: self.link.bytes_in,
            bytes_out: self.link.bytes_out,
            messages: self.messages,
            frames: self.frames,
        }
    }

    // ---- inside

    /// Of this connection, for its whole life.
    pub(super) fn nonce(&self) -> String {
        auth::secret(self.seed, "nonce", 0)
    }

    pub(super) fn note_sign(&mut self) {
        if let Some(live) = &mut self.live {
            live.last_sign = self.link.now;
        }
    }

    /// Behind an answer: what ends the wait for the next message.
    pub(super) fn finish(&mut self) {
        if self.link.is_half_closed {
            self.link.start_closing();
        }
        if self.link.is_open() {
            self.await_message();
        }
    }

    /// Sets the deadline for a session that exists, or for the next message. A session's is re-armed lazily: signs of life
    /// only note the time.
    pub(super) fn await_message(&mut self) {
        let Some(live) = &self.live else {
            return self.link.set_deadline(Timer::Idle, self.link.limits.idle_timeout);
        };
        let due = self.silence(live).map(|silence| (Timer::Session, live.last_sign + silence));
        match (self.link.deadline, due) {
            (Some((Timer::Session, at)), Some((_, due))) if at <= due => {}
            _ => self.link.deadline = due,
        }
    }

    /// How long a session may be without a sign of life. Who plays over the connection itself, or has paused, may be silent for
    /// ever: it is there as long as the connection is, and ffmpeg says nothing, paused or not.
    fn silence(&self, live: &Live) -> Option<Duration> {
        match live.media {
            Media::Recording if live.is_interleaved => self.link.limits.publisher_timeout,
            Media::Ready | Media::Playing if live.is_interleaved && live.has_played => None,
            _ => Some(self.config.session_timeout + self.link.limits.session_grace),
        }
    }

    fn expire(&mut self, timer: Timer) -> Result<(), Error> {
        match timer {
            Timer::Message if self.link.reader.is_empty() => {
                return Err(self.link.fail(ErrorKind::TimedOut(timer)));
            }
            Timer::Message => self.refuse(Refusal::TooSlow, None),
            Timer::Session => return self.expire_session(),
            // The peer still reads the last answer.
            Timer::Idle if self.link.awaits_reader() => self.await_message(),
            Timer::Idle => self.link.close_now(),
            _ => self.link.expire_linger(),
        }
        Ok(())
    }

    fn expire_session(&mut self) -> Result<(), Error> {
        if self.asked.is_some() || self.link.awaits_reader() {
            self.note_sign();
        }
        self.await_message();
        match self.link.deadline {
            Some((Timer::Session, due)) if due <= self.link.now => {
                Err(self.link.fail(ErrorKind::TimedOut(Timer::Session)))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Session {
    /// Without URLs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?}, {:?})", self.state(), self.stats())
    }
}
