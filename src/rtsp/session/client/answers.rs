//! What the bytes of a server do: answers to the client's requests, requests of its own, frames.

use super::*;
use crate::rtsp::{
    Refusal,
    message::{Incoming, Message, Start},
    session::request::echo,
};

impl Client {
    /// Takes bytes up to the end of one message at most; how many, at least one.
    pub(super) fn receive(&mut self, input: &[u8]) -> Result<usize, Error> {
        if !self.link.is_open() {
            return Ok(input.len());
        }
        let (taken, incoming) = match self.link.read(input) {
            Ok(read) => read,
            Err((why, _)) => return Err(self.link.fail(ErrorKind::Unreadable(why))),
        };
        match incoming {
            Some(Incoming::Frame { channel, data }) => {
                self.frames += 1;
                self.events.push_back(ClientEvent::Frame { channel, data });
            }
            Some(Incoming::Message(message)) => {
                self.messages += 1;
                match &message.start {
                    Start::Request { method, .. } => {
                        let method = Method::of_name(message.text(method));
                        self.answer_server(&message, method);
                    }
                    Start::Response(status) => {
                        let status = *status;
                        self.handle_response(&message, status)?;
                    }
                }
            }
            Some(Incoming::Noise) if self.noise == MAX_NOISE => {
                return Err(self.link.fail(ErrorKind::Unreadable(Refusal::Malformed)));
            }
            Some(Incoming::Noise) => self.noise += 1,
            None => {}
        }
        Ok(taken)
    }

    /// To requests of the server.
    fn answer_server(&mut self, message: &Message, method: Option<Method>) {
        let status = match method {
            Some(Method::Options | Method::GetParameter | Method::SetParameter) => Status::OK,
            Some(Method::Redirect) => {
                if let Some(location) = message.value("location") {
                    self.events.push_back(ClientEvent::Moved { location: location.into() });
                }
                Status::OK
            }
            _ => Status::NOT_IMPLEMENTED,
        };
        let answer = format!("RTSP/1.0 {status}\r\n{}\r\n", echo(message));
        self.link.reply(answer.as_bytes());
    }

    fn handle_response(&mut self, message: &Message, status: Status) -> Result<(), Error> {
        // One to a request that nobody waits for any more.
        let is_other = |cseq: &str| cseq.parse().is_ok_and(|cseq: u32| cseq != self.cseq);
        if message.value("cseq").is_some_and(is_other) || status.0 < 200 {
            return Ok(());
        }
        let Some(request) = self.sent.take() else { return Ok(()) };
        if status == Status::UNAUTHORIZED {
            return self.log_in(message, request);
        }
        self.challenges = 0;
        if status.is_success() {
            self.note_session(message);
        }
        if matches!(status.0, 301..=305) && request.method != Method::Options {
            let Some(location) = message.value("location") else {
                return Err(self.link.fail(ErrorKind::Incomplete(request.method)));
            };
            self.events.push_back(ClientEvent::Moved { location: location.into() });
            self.link.start_closing();
            return Ok(());
        }
        self.take_answer(message, status, &request)?;
        self.is_told = !self.events.is_empty();
        self.send_next();
        Ok(())
    }

    /// Sends the request again with a login, unless that was refused already.
    fn log_in(&mut self, message: &Message, request: Box<Request>) -> Result<(), Error> {
        let challenge = Challenge::best(message.values("www-authenticate"));
        let is_same =
            challenge.as_ref().zip(self.challenge.as_ref()).is_some_and(|(new, old)| new.nonce == old.nonce);
        self.challenges += 1;
        let may_try = challenge.is_some()
            && self.credentials.is_some()
            && !is_same
            && self.challenges <= self.link.limits.max_challenges;
        if !may_try {
            return Err(self.link.fail(ErrorKind::LoginRefused));
        }
        self.challenge = challenge;
        self.answered = 0;
        self.send(request);
        Ok(())
    }

    /// Some cameras have another session for every track.
    fn note_session(&mut self, message: &Message) {
        let Some(value) = message.value("session") else { return };
        let mut parts = value.split(';').map(str::trim);
        self.session = parts.next().filter(|id| !id.is_empty()).map(String::from);
        for part in parts {
            let Some((name, value)) = part.split_once('=') else { continue };
            // Below two seconds nothing but signs of life would be sent.
            let seconds: Option<u64> = value.trim().parse().ok();
            if let (true, Some(seconds)) = (name.trim().eq_ignore_ascii_case("timeout"), seconds) {
                self.timeout = Duration::from_secs(seconds.clamp(2, 3600));
            }
        }
    }

    fn take_answer(&mut self, message: &Message, status: Status, request: &Request) -> Result<(), Error> {
        let refused = ErrorKind::Refused(request.method, status);
        if request.is_sign_of_life {
            match status {
                Status::SESSION_NOT_FOUND => return Err(self.link.fail(refused)),
                status if !status.is_success() => self.has_get_parameter = false,
                _ => {}
            }
            return Ok(());
        }
        match (request.method, &request.track) {
            (Method::Options, _) => {
                let mut public = message.values("public").flat_map(|methods| methods.split(','));
                self.has_get_parameter = public.any(|method| method.trim() == "GET_PARAMETER");
                self.describe();
            }
            (Method::Setup, Some((index, asked))) => {
                let index = *index;
                self.events.push_back(if status.is_success() {
                    let told = message.value("transport").and_then(TransportSpec::parse);
                    ClientEvent::SetUp { index, transport: told.map_or(asked.clone(), |told| told.or(asked)) }
                } else {
                    ClientEvent::SetUpRefused { index, status }
                });
            }
            (Method::Teardown, _) => {
                self.is_started = false;
                self.events.push_back(ClientEvent::TornDown);
                self.link.start_closing();
            }
            _ if !status.is_success() => return Err(self.link.fail(refused)),
            (Method::Describe, _) => {
                if message.body.is_empty() {
                    return Err(self.link.fail(ErrorKind::Incomplete(Method::Describe)));
                }
                let told = message.value("content-base").or(message.value("content-location"));
                if let Some(told) = told.filter(|told| !told.is_empty()) {
                    self.base = url::base_of(told, &self.url);
                }
                self.aggregate.clone_from(&self.base);
                self.is_described = true;
                let sdp = String::from_utf8_lossy(&message.body).into_owned();
                self.events.push_back(ClientEvent::Described { sdp, base: self.base.clone() });
            }
            (Method::Announce, _) => {
                self.is_described = true;
                self.events.push_back(ClientEvent::Announced);
            }
            (Method::Pause, _) => {
                self.is_started = false;
                self.events.push_back(ClientEvent::Paused);
            }
            _ => {
                self.is_started = true;
                self.events.push_back(ClientEvent::Started {
                    range: message.value("range").and_then(Range::parse),
                    rtp_info: message.value("rtp-info").map_or_else(Vec::new, RtpInfo::parse_list),
                });
            }
        }
        Ok(())
    }

    fn describe(&mut self) {
        let request = match &mut self.role {
            Role::Play => {
                let mut request = Request::new(Method::Describe, &self.url);
                request.fields = "Accept: application/sdp\r\n".into();
                request
            }
            Role::Record { sdp } => {
                let mut request = Request::new(Method::Announce, &self.url);
                request.fields = "Content-Type: application/sdp\r\n".into();
                request.body = core::mem::take(sdp);
                request
            }
        };
        self.waiting.push_front(request);
    }
}
