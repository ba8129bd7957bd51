//! What the bytes of a client do: which requests the application sees, and which are answered at once.

use super::{
    Event, RequestId,
    server::{Asked, Media, Session},
};
use crate::rtsp::{
    Lower, Method, Mode, Range, Refusal, Status, Target, Timer, TransportSpec,
    auth::{self, Verdict},
    message::{Incoming, Message, Start},
    method,
};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

/// Where a request goes.
enum Step {
    /// To the application.
    Ask(Event),
    /// It is done: 200, with these fields.
    Done(String),
    /// A login is wanted.
    Challenge { is_stale: bool },
}

/// Digits of a `CSeq` at most.
const MAX_CSEQ: usize = 20;

/// Parameters of one request that are read; what follows is passed over.
const MAX_PARAMETERS: usize = 64;

/// The lines of an answer that repeat the request's.
pub(super) fn echo(message: &Message) -> String {
    let mut lines = String::new();
    if let Some(cseq) = message.value("cseq").filter(|cseq| is_cseq(cseq)) {
        let _ = write!(lines, "CSeq: {cseq}\r\n");
    }
    if let Some(timestamp) = message.value("timestamp") {
        let _ = write!(lines, "Timestamp: {timestamp}\r\n");
    }
    lines
}

fn is_cseq(text: &str) -> bool {
    (1..=MAX_CSEQ).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Session {
    /// Takes bytes up to the end of one message at most; returns how many, at least one.
    pub(super) fn receive(&mut self, input: &[u8]) -> usize {
        if !self.link.is_open() {
            return input.len();
        }
        match self.link.read(input) {
            Ok((taken, incoming)) => {
                // Anything counts where media comes this way, too.
                if self.is_interleaved() {
                    self.note_sign();
                }
                match incoming {
                    Some(Incoming::Frame { channel, data }) => {
                        self.frames += 1;
                        if self.is_interleaved() {
                            self.events.push_back(Event::Frame { channel, data });
                        }
                        self.await_begun();
                    }
                    Some(Incoming::Message(message)) => {
                        self.messages += 1;
                        self.note_sign();
                        match message.start.clone() {
                            Start::Request { method, url, is_version_1 } => {
                                let text = (message.text(&method), message.text(&url));
                                self.handle_request(&message, text, is_version_1);
                            }
                            // To a request of ours: nothing depends on it.
                            Start::Response(_) => self.finish(),
                        }
                    }
                    Some(Incoming::Noise) => {
                        self.refuse(Refusal::Malformed, None);
                        return input.len();
                    }
                    None => self.await_begun(),
                }
                taken
            }
            Err((why, message)) => {
                self.refuse(why, message.as_deref());
                input.len()
            }
        }
    }

    /// A message has begun, perhaps: without a session its end has to come in time. The first one's deadline runs since the
    /// connection was made.
    fn await_begun(&mut self) {
        let is_idle = self.link.deadline.is_none_or(|(timer, _)| timer == Timer::Idle);
        if self.live.is_none() && is_idle && !self.link.reader.is_empty() {
            self.link.set_deadline(Timer::Message, self.link.limits.message_timeout);
        }
    }

    fn handle_request(&mut self, message: &Message, (method, url): (&str, &str), is_version_1: bool) {
        let id = RequestId(self.next_request);
        self.next_request = self.next_request.wrapping_add(1);
        let mut asked =
            Asked { id, method: Method::Options, echo: echo(message), mode: Mode::Play, url: url.into() };
        match self.step(message, (method, url), is_version_1, &mut asked) {
            Ok(Step::Ask(event)) => {
                self.asked = Some(Box::new(asked));
                if self.live.is_none() {
                    self.link.deadline = None;
                }
                self.events.push_back(event);
            }
            Ok(Step::Done(fields)) => {
                self.write(&asked.echo, false, Status::OK, &fields, "");
                self.finish();
            }
            Ok(Step::Challenge { is_stale }) => {
                let fields = auth::challenge(&self.config.realm, &self.nonce(), is_stale);
                self.write(&asked.echo, false, Status::UNAUTHORIZED, &fields, "");
                self.finish();
            }
            Err(Refusal::Login) => {
                let fields = auth::challenge(&self.config.realm, &self.nonce(), false);
                self.write(&asked.echo, false, Status::UNAUTHORIZED, &fields, "");
                self.events.push_back(Event::Refused(Refusal::Login));
                self.finish();
            }
            Err(why) => self.refuse(why, Some(message)),
        }
    }

    /// Checks a request, in the order in which clients can do something about what is wrong.
    fn step(
        &mut self,
        message: &Message,
        (method, url): (&str, &str),
        is_version_1: bool,
        asked: &mut Asked,
    ) -> Result<Step, Refusal> {
        if !is_version_1 {
            return Err(Refusal::Version);
        }
        if message.value("cseq").is_some_and(|cseq| !is_cseq(cseq)) {
            return Err(Refusal::Sequence);
        }
        let method = Method::of_name(method).ok_or(Refusal::UnknownMethod)?;
        asked.method = method;
        if method == Method::Redirect {
            return Err(Refusal::Method(method));
        }
        if message.value("require").is_some_and(|required| !required.is_empty()) {
            return Err(Refusal::Option);
        }
        self.check_session(message, method)?;
        let url = Target::parse(url).ok_or(Refusal::Url)?;
        let needs_stream = !matches!(method, Method::Options | Method::GetParameter | Method::SetParameter);
        // With a session it is known what is meant.
        if url.path() == "*" && needs_stream && self.live.is_none() {
            return Err(Refusal::Url);
        }
        if let Method::Describe | Method::Announce | Method::Setup = method {
            if let Some(step) = self.check_login(message, method)? {
                return Ok(step);
            }
        }
        let request = asked.id;
        Ok(Step::Ask(match method {
            Method::Options | Method::Redirect => {
                return Ok(Step::Done(format!("Public: {}\r\n", method::OF_SERVER)));
            }
            Method::Describe => {
                let accepts = |accepted: &str| {
                    accepted.split(',').any(|one| {
                        let one = one.split(';').next().unwrap_or("").trim();
                        ["application/sdp", "application/*", "*/*"]
                            .iter()
                            .any(|of| of.eq_ignore_ascii_case(one))
                    })
                };
                let mut accepted = message.values("accept").peekable();
                if accepted.peek().is_some() && !accepted.any(accepts) {
                    return Err(Refusal::Accept);
                }
                Event::Describe { request, url }
            }
            Method::Announce => {
                if self.live.is_some() {
                    return Err(Refusal::State(method));
                }
                if message.body.is_empty() {
                    return Err(Refusal::NoBody);
                }
                if !message.may_be("application/sdp") {
                    return Err(Refusal::MediaType);
                }
                Event::Announce { request, url, body: message.body.clone() }
            }
            Method::Setup => {
                let (transports, mode) = self.offers(message)?;
                asked.mode = mode;
                Event::Setup { request, url, transports, mode, is_new_session: self.live.is_none() }
            }
            Method::Play => {
                self.check_state(method, Mode::Play)?;
                let (scale, speed) = (number(message, "scale")?, number(message, "speed")?);
                if speed.is_some_and(|speed| speed < 0.0) {
                    return Err(Refusal::Rate);
                }
                let range = range(message, scale.is_some_and(|scale| scale < 0.0))?;
                Event::Play { request, url, range, scale, speed }
            }
            Method::Pause => match &self.live {
                Some(live) if live.media == Media::Ready => return Ok(Step::Done(String::new())),
                _ => Event::Pause { request, url },
            },
            Method::Record => {
                self.check_state(method, Mode::Record)?;
                Event::Record { request, url, range: range(message, false)? }
            }
            Method::Teardown => Event::Teardown { request, url },
            Method::GetParameter => {
                let names: Vec<String> = parameters(message)?.into_iter().map(|(name, _)| name).collect();
                if names.is_empty() {
                    return Ok(Step::Done(String::new()));
                }
                Event::GetParameter { request, url, names }
            }
            Method::SetParameter => {
                let parameters = parameters(message)?;
                if parameters.is_empty() {
                    return Ok(Step::Done(String::new()));
                }
                Event::SetParameter { request, url, parameters }
            }
        }))
    }

    /// The session that is named has to be that of this connection; ffmpeg names none when it falls back to TCP, and others
    /// none at all.
    fn check_session(&self, message: &Message, method: Method) -> Result<(), Refusal> {
        let named = message.value("session").map(|value| value.split(';').next().unwrap_or("").trim());
        let is_needed = matches!(method, Method::Play | Method::Pause | Method::Record | Method::Teardown);
        match (named, &self.live) {
            (Some(named), Some(live)) if live.id == named => Ok(()),
            (Some(_), _) => Err(Refusal::Session),
            (None, None) if is_needed => Err(Refusal::Session),
            (None, _) => Ok(()),
        }
    }

    fn check_state(&self, method: Method, mode: Mode) -> Result<(), Refusal> {
        let fits = self.live.as_ref().is_some_and(|live| live.mode == mode && live.media != Media::Recording);
        if fits { Ok(()) } else { Err(Refusal::State(method)) }
    }

    /// What there is to say to a request that needs a login; `None` if it may go on. Who has logged in once need not
    /// again, but must not do so wrongly.
    fn check_login(&mut self, message: &Message, method: Method) -> Result<Option<Step>, Refusal> {
        if self.config.users.is_empty() {
            return Ok(None);
        }
        let config = &self.config;
        let verdict = message
            .value("authorization")
            .map(|login| auth::verify(login, method.name(), &config.users, &config.realm, &self.nonce()));
        match verdict {
            Some(Verdict::Right(user)) => {
                self.user = Some(user);
                self.challenges = 0;
                return Ok(None);
            }
            None if self.user.is_some() => return Ok(None),
            _ => {}
        }
        self.challenges += 1;
        if self.challenges >= self.link.limits.max_challenges {
            return Err(Refusal::TooManyLogins);
        }
        match verdict {
            Some(Verdict::Wrong) => Err(Refusal::Login),
            verdict => Ok(Some(Step::Challenge { is_stale: verdict == Some(Verdict::Stale) })),
        }
    }

    /// The transports of a SETUP that can be answered, and which way the media goes.
    fn offers(&self, message: &Message) -> Result<(Vec<TransportSpec>, Mode), Refusal> {
        let all = message.values("transport").flat_map(TransportSpec::parse_list);
        let can_answer = |spec: &TransportSpec| {
            spec.lower == Lower::Tcp || spec.is_multicast || spec.client_port.is_some()
        };
        let offers: Vec<TransportSpec> = all.filter(can_answer).collect();
        let first = offers.first().ok_or(Refusal::Transport)?;
        let announced = if self.is_announced { Mode::Record } else { Mode::Play };
        let mode = first.mode.unwrap_or(announced);
        let is_recording = self.live.as_ref().is_some_and(|live| live.media == Media::Recording);
        if mode != announced || is_recording {
            return Err(Refusal::State(Method::Setup));
        }
        Ok((offers, mode))
    }
}

/// What ends before it begins is only for who plays backwards.
fn range(message: &Message, may_be_backwards: bool) -> Result<Option<Range>, Refusal> {
    let fits = |range: &Range| may_be_backwards || !range.is_backwards();
    message.value("range").map(|text| Range::parse(text).filter(fits).ok_or(Refusal::Range)).transpose()
}

/// Of a rate: finite, and not 0.
fn number(message: &Message, name: &str) -> Result<Option<f64>, Refusal> {
    let parse = |text: &str| {
        let number: f64 = text.parse().ok()?;
        (number.is_finite() && number != 0.0).then_some(number)
    };
    message.value(name).map(|text| parse(text).ok_or(Refusal::Rate)).transpose()
}

/// Lines of `name` or `name: value`.
fn parameters(message: &Message) -> Result<Vec<(String, String)>, Refusal> {
    if message.body.is_empty() {
        return Ok(Vec::new());
    }
    if !message.may_be("text/parameters") {
        return Err(Refusal::MediaType);
    }
    let text = String::from_utf8_lossy(&message.body);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MAX_PARAMETERS);
    Ok(lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.trim().into(), value.trim().into())
        })
        .collect())
}
