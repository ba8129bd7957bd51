//! The client's side: what is asked for in which order, what the answers mean, signs of life.
//!
//! One request is on its way at a time. Read leniently, as cameras answer: an answer without `CSeq` is one to the request that
//! waits; the id of the session is always the latest; OPTIONS may fail; a `Content-Base` may lack its scheme; bytes that begin
//! no message are passed over, up to [`MAX_NOISE`].
//! Not here: which tracks there are, and whether media comes: both are the application's.

mod answers;
mod event;

pub use event::{ClientConfig, ClientEvent, Role};

use super::{
    RtpInfo, Stats,
    link::{Life, Link},
};
use crate::{
    base::{CloseReason, MonoTime, Payload, SendError, State},
    rtsp::{
        ApiMisuse, Credentials, Error, ErrorKind, Method, Mode, Range, Status, Timer, TransportSpec,
        auth::{self, Challenge},
        url,
    },
};
use alloc::{boxed::Box, collections::VecDeque, format, string::String, vec::Vec};
use core::{
    fmt::{self, Write},
    time::Duration,
};

/// Bytes between messages that are passed over on one connection.
pub const MAX_NOISE: usize = 64 << 10;

/// Requests of the application that wait at most: 16 tracks and what follows.
const MAX_WAITING: usize = 32;

/// One RTSP connection of a client; see the module.
#[repr(C)]
pub struct Client {
    link: Link,
    url: String,
    base: String,
    /// What PLAY and the like are about.
    aggregate: String,
    credentials: Option<Credentials>,
    challenge: Option<Challenge>,
    /// How often the nonce of the challenge was answered.
    answered: u32,
    /// Answers 401 since the last other one.
    challenges: u32,
    role: Role,
    user_agent: String,
    seed: u64,
    session: Option<String>,
    /// What the server tells of its patience.
    timeout: Duration,
    /// The server has GET_PARAMETER.
    has_get_parameter: bool,
    is_described: bool,
    is_started: bool,
    waiting: VecDeque<Request>,
    pub(super) sent: Option<Box<Request>>,
    cseq: u32,
    /// Bytes of the server when the request was sent.
    bytes_before: u64,
    events: VecDeque<ClientEvent>,
    /// Among the events is an answer, which the application may go on from: nothing behind it is read before.
    is_told: bool,
    noise: usize,
    messages: u64,
    frames: u64,
}

/// One request, as often as it has to be sent.
pub(super) struct Request {
    method: Method,
    url: String,
    /// Whole lines of its own.
    fields: String,
    body: String,
    /// Of SETUP: the number of the track, and what was asked for.
    track: Option<(usize, TransportSpec)>,
    is_sign_of_life: bool,
}

impl Request {
    fn new(method: Method, url: &str) -> Request {
        Request {
            method,
            url: url.into(),
            fields: String::new(),
            body: String::new(),
            track: None,
            is_sign_of_life: false,
        }
    }
}

impl Client {
    /// A client on a fresh connection; OPTIONS is on its way.
    pub fn new(config: ClientConfig, seed: u64, now: MonoTime) -> Client {
        let (url, login) = url::split_login(&config.url);
        let mut client = Client {
            link: Link::new(config.limits, now),
            base: url.clone(),
            aggregate: url.clone(),
            url,
            credentials: config.credentials.or(login),
            challenge: None,
            answered: 0,
            challenges: 0,
            role: config.role,
            user_agent: config.user_agent,
            seed,
            session: None,
            timeout: Duration::from_secs(60),
            has_get_parameter: false,
            is_described: false,
            is_started: false,
            waiting: VecDeque::new(),
            sent: None,
            cseq: 0,
            bytes_before: 0,
            events: VecDeque::new(),
            is_told: false,
            noise: 0,
            messages: 0,
            frames: 0,
        };
        let options = Request::new(Method::Options, &client.url);
        client.send(Box::new(options));
        client
    }

    // ---- A. from the network and the clock

    /// Takes bytes of the server; returns how many. The rest must be offered again when `wants_input` says so.
    ///
    /// # Errors
    /// What the server sent or refused; the error that ended the session, if one did.
    pub fn handle_input(&mut self, now: MonoTime, input: &[u8]) -> Result<usize, Error> {
        self.link.now = now;
        self.link.check()?;
        let mut used = 0;
        while used < input.len() && self.wants_input() {
            let taken = self.receive(&input[used..])?;
            used += taken;
            self.link.bytes_in += taken as u64;
        }
        Ok(used)
    }

    /// The server closed its side.
    ///
    /// # Errors
    /// `PeerClosed` unless this side closes as well.
    pub fn handle_eof(&mut self, now: MonoTime) -> Result<(), Error> {
        self.link.now = now;
        self.link.check()?;
        self.link.is_half_closed = true;
        match self.link.life {
            Life::Open => Err(self.link.fail(ErrorKind::PeerClosed)),
            _ => {
                self.link.end_closing();
                Ok(())
            }
        }
    }

    /// The deadline of `poll_timeout` has come. Calling early is harmless.
    ///
    /// # Errors
    /// `TimedOut` if the server is silent.
    pub fn handle_timeout(&mut self, now: MonoTime) -> Result<(), Error> {
        self.link.now = now;
        self.link.check()?;
        match self.link.deadline.take_if(|(_, at)| *at <= now) {
            Some((Timer::Answer, _)) => {
                // Some cameras do not answer a sign of life while they send.
                let is_alive = self.link.bytes_in > self.bytes_before;
                match self.sent.take() {
                    Some(request) if request.is_sign_of_life && is_alive => self.send_next(),
                    _ => return Err(self.link.fail(ErrorKind::TimedOut(Timer::Answer))),
                }
            }
            Some((Timer::KeepAlive, _)) => self.send_sign_of_life(),
            Some(_) => self.link.expire_linger(),
            None => {}
        }
        Ok(())
    }

    // ---- B. from the application

    /// The control of the description as a whole (its `a=control` before the first `m=`), for PLAY and the like. Without
    /// it that is the base.
    pub fn set_aggregate(&mut self, control: &str) {
        self.aggregate = url::join(&self.base, control);
    }

    /// Asks for tracks, in this order: the control of each (its `a=control`) and a transport. Again for other transports.
    ///
    /// # Errors
    /// `WrongState` before the description, or if too many requests wait already.
    pub fn set_up(&mut self, now: MonoTime, tracks: &[(&str, TransportSpec)]) -> Result<(), ApiMisuse> {
        self.link.now = now;
        if !self.is_described || self.waiting.len() + tracks.len() > MAX_WAITING {
            return Err(ApiMisuse::WrongState);
        }
        for (index, (control, transport)) in tracks.iter().enumerate() {
            let mut transport = transport.clone();
            if let Role::Record { .. } = self.role {
                transport.mode = Some(Mode::Record);
            }
            let mut request = Request::new(Method::Setup, &url::join(&self.base, control));
            request.fields = format!("Transport: {transport}\r\n");
            request.track = Some((index, transport));
            self.waiting.push_back(request);
        }
        self.send_next();
        Ok(())
    }

    /// Starts, goes on, or jumps.
    ///
    /// # Errors
    /// `WrongState` before a track is set up, or if too many requests wait already.
    pub fn play(&mut self, now: MonoTime, range: Option<Range>, scale: Option<f64>) -> Result<(), ApiMisuse> {
        let mut fields = String::new();
        if let Some(range) = range {
            let _ = write!(fields, "Range: {range}\r\n");
        }
        if let Some(scale) = scale {
            let _ = write!(fields, "Scale: {scale:?}\r\n");
        }
        self.ask(now, Method::Play, fields)
    }

    /// Stops for a while.
    ///
    /// # Errors
    /// As `play`.
    pub fn pause(&mut self, now: MonoTime) -> Result<(), ApiMisuse> {
        self.ask(now, Method::Pause, String::new())
    }

    /// Starts sending.
    ///
    /// # Errors
    /// As `play`.
    pub fn record(&mut self, now: MonoTime) -> Result<(), ApiMisuse> {
        self.ask(now, Method::Record, "Range: npt=0.000-\r\n".into())
    }

    /// Ends the session; [`ClientEvent::TornDown`] follows, and the connection closes.
    ///
    /// # Errors
    /// As `play`.
    pub fn teardown(&mut self, now: MonoTime) -> Result<(), ApiMisuse> {
        self.ask(now, Method::Teardown, String::new())
    }

    /// Queues frames, each whole ([`frame_header`](super::frame_header) and data), shared.
    ///
    /// # Errors
    /// `WouldExceed` at the output limit, with nothing queued; `NotOpen` before `Started`.
    pub fn send_piece(&mut self, piece: &Payload) -> Result<(), SendError> {
        self.check_started()?;
        self.link.send_piece(piece)
    }

    /// Queues one small frame, copied.
    ///
    /// # Errors
    /// As `send_piece`; `WouldExceed` also beyond 65535 bytes.
    pub fn send_frame(&mut self, channel: u8, data: &[u8]) -> Result<(), SendError> {
        self.check_started()?;
        self.link.send_frame(channel, data)
    }

    /// Ends the connection without a word. Who is too slow loses the media that has not begun to leave.
    pub fn close(&mut self, now: MonoTime, why: CloseReason) {
        self.link.now = now;
        self.link.note_close(why);
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
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        let event = self.events.pop_front();
        self.is_told &= !self.events.is_empty();
        event
    }

    // ---- E. getters

    /// Where the connection is in its life; never `Handshaking`.
    pub fn state(&self) -> State {
        self.link.state()
    }

    /// `handle_input` would take bytes. False while the event of an answer waits, or too many of others, and while answers
    /// to the server pile up unsent.
    pub fn wants_input(&self) -> bool {
        !self.link.is_open()
            || (!self.is_told
                && self.events.len() < self.link.limits.max_queued_events
                && self.link.output.reply_len() < self.link.limits.max_queued_replies)
    }

    /// Bytes that wait to be written.
    pub fn output_len(&self) -> usize {
        self.link.output.len()
    }

    /// PLAY or RECORD was answered, and nothing ended that since.
    pub fn is_started(&self) -> bool {
        self.is_started
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

    // ---- inside: requests

    fn check_started(&self) -> Result<(), SendError> {
        if self.is_started && self.link.is_open() { Ok(()) } else { Err(SendError::NotOpen) }
    }

    /// Asks about all that is set up.
    fn ask(&mut self, now: MonoTime, method: Method, fields: String) -> Result<(), ApiMisuse> {
        self.link.now = now;
        if self.session.is_none() || !self.link.is_open() || self.waiting.len() >= MAX_WAITING {
            return Err(ApiMisuse::WrongState);
        }
        let mut request = Request::new(method, &self.aggregate);
        request.fields = fields;
        self.waiting.push_back(request);
        self.send_next();
        Ok(())
    }

    /// Sends what waits, unless an answer is waited for; then a sign of life is due in time.
    fn send_next(&mut self) {
        if self.sent.is_some() || !self.link.is_open() {
            return;
        }
        if let Some(request) = self.waiting.pop_front() {
            self.send(Box::new(request));
        } else {
            let rest = self.session.as_ref().map(|_| self.timeout / 2);
            self.link.set_deadline(Timer::KeepAlive, rest);
        }
    }

    fn send_sign_of_life(&mut self) {
        let method = if self.has_get_parameter { Method::GetParameter } else { Method::Options };
        let mut request = Request::new(method, &self.aggregate);
        request.is_sign_of_life = true;
        self.send(Box::new(request));
    }

    fn send(&mut self, request: Box<Request>) {
        self.cseq = self.cseq.wrapping_add(1);
        let method = request.method.name();
        let mut head = format!("{method} {} RTSP/1.0\r\nCSeq: {}\r\n", request.url, self.cseq);
        if let Some(session) = &self.session {
            let _ = write!(head, "Session: {session}\r\n");
        }
        if let (Some(challenge), Some(credentials)) = (&self.challenge, &self.credentials) {
            self.answered = self.answered.wrapping_add(1);
            let cnonce = auth::secret(self.seed, "cnonce", self.answered);
            let answer = challenge.answer(credentials, method, &request.url, self.answered, &cnonce);
            let _ = write!(head, "Authorization: {answer}\r\n");
        }
        if !self.user_agent.is_empty() {
            let _ = write!(head, "User-Agent: {}\r\n", self.user_agent);
        }
        head.push_str(&request.fields);
        if !request.body.is_empty() {
            let _ = write!(head, "Content-Length: {}\r\n", request.body.len());
        }
        head.push_str("\r\n");
        head.push_str(&request.body);
        self.link.reply(head.as_bytes());
        self.bytes_before = self.link.bytes_in;
        self.sent = Some(request);
        self.link.set_deadline(Timer::Answer, self.link.limits.answer_timeout);
    }
}

impl fmt::Debug for Client {
    /// Without URLs and logins.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({:?}, {:?})", self.state(), self.stats())
    }
}
