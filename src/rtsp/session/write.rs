//! Answers on their way out: what each consists of, and what it changes.

use super::{
    Answer, Event,
    server::{Asked, Live, Media, Session},
};
use crate::rtsp::{Lower, Method, Refusal, Status, auth, message::Message, method};
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

impl Answer {
    /// Whether it is one to that method.
    pub(super) fn fits(&self, method: Method) -> bool {
        match self {
            Answer::Described { .. } => method == Method::Describe,
            Answer::Announced => method == Method::Announce,
            Answer::SetUp { .. } => method == Method::Setup,
            Answer::Playing { .. } => method == Method::Play,
            Answer::Paused { .. } => method == Method::Pause,
            Answer::Recording => method == Method::Record,
            Answer::TornDown { .. } => method == Method::Teardown,
            Answer::Parameters(_) => matches!(method, Method::GetParameter | Method::SetParameter),
            Answer::Moved(_) | Answer::Failed(_) => true,
        }
    }
}

impl Session {
    /// Does what the answer says, and queues it.
    pub(super) fn write_answer(&mut self, asked: &Asked, answer: &Answer) {
        let mut status = Status::OK;
        // Fields of their own; a body's stand last.
        let mut fields = String::new();
        let mut body = String::new();
        match answer {
            Answer::Described { sdp, content_base } => {
                let _ = write!(fields, "Content-Base: {content_base}\r\nContent-Type: application/sdp\r\n");
                body.push_str(sdp);
            }
            Answer::Announced => self.is_announced = true,
            Answer::SetUp { transport } => {
                self.set_up(asked, transport.lower == Lower::Tcp);
                let _ = write!(fields, "Transport: {transport}\r\n");
            }
            Answer::Playing { range, scale, speed, rtp_info } => {
                self.set_media(Media::Playing);
                if let Some(live) = &mut self.live {
                    live.has_played = true;
                }
                if let Some(range) = range {
                    let _ = write!(fields, "Range: {range}\r\n");
                }
                for (name, value) in [("Scale", scale), ("Speed", speed)] {
                    if let Some(value) = value {
                        let _ = write!(fields, "{name}: {value:?}\r\n");
                    }
                }
                for (number, info) in rtp_info.iter().enumerate() {
                    fields.push_str(if number == 0 { "RTP-Info: " } else { ", " });
                    let _ = write!(fields, "url={}", info.url);
                    if let Some(sequence) = info.sequence {
                        let _ = write!(fields, ";seq={sequence}");
                    }
                    if let Some(timestamp) = info.timestamp {
                        let _ = write!(fields, ";rtptime={timestamp}");
                    }
                }
                if !rtp_info.is_empty() {
                    fields.push_str("\r\n");
                }
            }
            Answer::Paused { range } => {
                self.set_media(Media::Ready);
                if let Some(range) = range {
                    let _ = write!(fields, "Range: {range}\r\n");
                }
            }
            Answer::Recording => self.set_media(Media::Recording),
            Answer::TornDown { session_over: true } => self.link.drop_media(),
            Answer::TornDown { session_over: false } => {}
            Answer::Parameters(values) if asked.method == Method::GetParameter => {
                for (name, value) in values {
                    let _ = write!(body, "{name}: {value}\r\n");
                }
                if values.is_empty() {
                    status = Status::PARAMETER_NOT_UNDERSTOOD;
                } else {
                    fields.push_str("Content-Type: text/parameters\r\n");
                }
            }
            Answer::Parameters(_) => {}
            Answer::Moved(location) => {
                status = Status::MOVED_TEMPORARILY;
                let _ = write!(fields, "Location: {location}\r\n");
            }
            Answer::Failed(why) => status = *why,
        }
        self.write(&asked.echo, asked.method == Method::Setup, status, &fields, &body);
        if let Answer::TornDown { session_over: true } = answer {
            self.live = None;
            self.is_announced = false;
            self.link.deadline = None;
        }
    }

    fn set_up(&mut self, asked: &Asked, is_interleaved: bool) {
        let now = self.link.now;
        if self.live.is_none() {
            let number = self.next_session;
            self.next_session = number.wrapping_add(1);
            self.live = Some(Box::new(Live {
                id: auth::secret(self.seed, "session", number),
                media: Media::Ready,
                mode: asked.mode,
                is_interleaved,
                has_played: false,
                last_sign: now,
                url: String::new(),
            }));
        }
        if let Some(live) = &mut self.live {
            live.is_interleaved = is_interleaved;
            live.mode = asked.mode;
            live.url.clone_from(&asked.url);
        }
    }

    fn set_media(&mut self, media: Media) {
        if let Some(live) = &mut self.live {
            live.media = media;
        }
    }

    /// Queues an answer. `echo` and `fields` are whole lines.
    pub(super) fn write(&mut self, echo: &str, is_setup: bool, status: Status, fields: &str, body: &str) {
        let mut head = format!("RTSP/1.0 {status}\r\n{echo}");
        if let Some(live) = &self.live {
            let _ = write!(head, "Session: {}", live.id);
            if is_setup {
                let _ = write!(head, ";timeout={}", self.config.session_timeout.as_secs());
            }
            head.push_str("\r\n");
        }
        if !self.config.name.is_empty() {
            let _ = write!(head, "Server: {}\r\n", self.config.name);
        }
        if let Some(date) = self.date {
            let _ = write!(head, "Date: {date}\r\n");
        }
        head.push_str(fields);
        if !body.is_empty() {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        head.push_str(body);
        self.link.reply(head.as_bytes());
    }

    /// Answers a request that is wrong.
    pub(super) fn refuse(&mut self, why: Refusal, message: Option<&Message>) {
        let echo = message.map_or_else(String::new, super::request::echo);
        let fields = match why {
            Refusal::Method(_) => format!("Allow: {}\r\n", method::OF_SERVER),
            Refusal::Option => {
                let required = message.map_or("", |message| message.value("require").unwrap_or(""));
                format!("Unsupported: {required}\r\n")
            }
            Refusal::TooManyLogins => auth::challenge(&self.config.realm, &self.nonce(), false),
            _ => String::new(),
        };
        self.write(&echo, false, why.status(), &fields, "");
        self.events.push_back(Event::Refused(why));
        if why.closes() {
            self.link.start_closing();
        } else {
            self.finish();
        }
    }
}
