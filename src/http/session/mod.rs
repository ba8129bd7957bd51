//! One HTTP connection, from the first byte to close, as a pure state machine.
//!
//! In: bytes, time, and the application's responses. Out: bytes, [`Event`]s, one deadline. Driven as an RTMP session is:
//! after any A or B call, also a failing one, take events until `None`, write output, read the deadline.
//!
//! **One request at a time.** Nothing behind a request is taken until its response is complete, so pipelined requests
//! wait with the caller and in the kernel. While an endless stream runs, what the client sends is read and thrown away, so
//! that its leaving is noticed; the connection then ends with the stream.
//!
//! **Consumed count.** As in RTMP: the caller keeps what is not taken and offers it again when `wants_input` says so.
//!
//! **What is wrong with a request** is answered here ([`Event::Refused`] tells it for the log), and the connection closes
//! behind the answer. **Errors** are what cannot be answered; they are fatal and sticky.
//!
//! **A peer that reads nothing** is the caller's to notice: as long as output waits, no deadline here ends a session that
//! is idle, plays or is closing. Once the caller has called it [`CloseReason::TooSlow`], what has not begun to leave is
//! dropped and the linger time is the last, however little the peer takes meanwhile.
//!
//! **A body that ends with the connection** is whole for the peer when that is closed in order. Where it is not whole
//! ([`Session::is_cut`]), the caller resets the connection instead.
//!
//! **The peer's end.** A client may close its side behind its request and wait for the response: after `handle_eof` the
//! session lives on, in [`State::Open`] or [`State::Closing`], until that is written. Only [`State::Closed`] is the end.

mod answer;
mod deadlines;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
mod input;
#[cfg(test)]
mod tests;

pub use event::*;
#[cfg(any(test, feature = "fuzzing"))]
pub use fuzz::fuzz;

use super::{
    ApiMisuse, Error, ErrorKind, Limits, Refusal, Timer, body,
    date::Date,
    framing::{Framing, Piece},
    head::{self, Head},
    request::{Method, Version},
    response::{self, Body, Response, Status},
    websocket::{
        self, CloseCode,
        frame::{self, Opcode},
        reader,
    },
};
use crate::base::{CloseReason, MonoTime, Output, Payload, Purpose, SendError, State};
use alloc::{boxed::Box, collections::VecDeque, string::String};
use core::fmt::Write;

/// One HTTP connection of a server; see the module.
#[derive(Debug)]
#[repr(C)] // What every write to a player needs stands first and together, as in RTMP's link.
pub struct Session {
    output: Output,
    bytes_out: u64,
    phase: Phase,
    /// Of the next request; pieces of a body have it for their response's number.
    next_request: u32,
    /// The peer has closed its side.
    is_half_closed: bool,
    /// It was closed as such.
    is_too_slow: bool,
    /// A body was sent, or is, whose end only the connection's tells.
    ends_with_connection: bool,
    limits: Limits,
    deadline: Option<(Timer, MonoTime)>,
    /// Time of the last call that brought one.
    now: MonoTime,
    last_input: MonoTime,
    date: Option<Date>,
    bytes_in: u64,
    requests: u64,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum Phase {
    /// A head comes, or is waited for.
    Head(head::Reader),
    /// The body of a request comes.
    Body(Box<(Head, body::Reader)>),
    /// The application has the request.
    Deciding(Box<Asked>),
    /// A response's body is sent piece by piece.
    Sending(Sending),
    WebSocket(Box<reader::Reader>),
    Closing,
    Closed,
    Failed(Error),
}

/// What a response depends on.
#[derive(Debug)]
struct Asked {
    id: RequestId,
    is_head: bool,
    version: Version,
    keeps_alive: bool,
    /// What a handshake is to be answered with, if it is one.
    key: Option<websocket::Key>,
    /// Who asks is a program, by the path.
    is_api: bool,
}

#[derive(Debug)]
struct Sending {
    framing: Framing,
    /// Bytes that are announced and not sent yet; `None` for an endless stream.
    left: Option<u64>,
    keeps_alive: bool,
}

/// Counters of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes taken from the peer.
    pub bytes_in: u64,
    /// Bytes written to the peer.
    pub bytes_out: u64,
    /// Whole requests received.
    pub requests: u64,
}

impl Session {
    /// Server side of a fresh connection.
    pub fn server(limits: Limits, now: MonoTime) -> Session {
        let deadline = limits.head_timeout.map(|rest| (Timer::Head, now + rest));
        Session {
            output: Output::new(),
            bytes_out: 0,
            phase: Phase::Head(head::Reader::default()),
            next_request: 1,
            is_half_closed: false,
            is_too_slow: false,
            ends_with_connection: false,
            limits,
            deadline,
            now,
            last_input: now,
            date: None,
            bytes_in: 0,
            requests: 0,
            events: VecDeque::new(),
        }
    }

    // ---- A. from the network and the clock

    /// The wall clock, for the `Date` of responses from now on. Without it they have none.
    pub fn set_date(&mut self, date: Date) {
        self.date = Some(date);
    }

    /// Takes bytes of the peer; returns how many. The rest must be offered again when `wants_input` says so.
    ///
    /// # Errors
    /// The error that ended the session, if one did.
    pub fn handle_input(&mut self, now: MonoTime, input: &[u8]) -> Result<usize, Error> {
        self.now = now;
        self.check()?;
        let mut used = 0;
        while used < input.len() && self.wants_input() {
            let taken = self.receive(&input[used..]);
            used += taken;
            self.bytes_in += taken as u64;
        }
        Ok(used)
    }

    /// The peer closed its side. [`Session::state`] tells whether there is still something to write.
    ///
    /// # Errors
    /// `PeerClosed` inside a request.
    pub fn handle_eof(&mut self, now: MonoTime) -> Result<(), Error> {
        self.now = now;
        self.check()?;
        self.is_half_closed = true;
        match &self.phase {
            Phase::Head(reader) if reader.is_empty() => self.start_closing(),
            Phase::Head(_) | Phase::Body(_) => return Err(self.fail(ErrorKind::PeerClosed)),
            // Players leave by closing.
            Phase::Sending(Sending { left: None, .. }) | Phase::WebSocket(_) => self.close_now(),
            Phase::Closing => self.close_if_done(),
            Phase::Deciding(_) | Phase::Sending(_) | Phase::Closed | Phase::Failed(_) => {}
        }
        Ok(())
    }

    /// The deadline of `poll_timeout` has come. Calling early is harmless.
    ///
    /// # Errors
    /// `TimedOut` with the deadline that passed, if there is nobody to be told.
    pub fn handle_timeout(&mut self, now: MonoTime) -> Result<(), Error> {
        self.now = now;
        self.check()?;
        match self.deadline.take_if(|(_, at)| *at <= now) {
            Some((timer, _)) => self.expire(timer),
            None => Ok(()),
        }
    }

    // ---- B. from the application

    /// Answers a request. One response value may answer many.
    ///
    /// # Errors
    /// `NoSuchRequest` if it does not wait (any more).
    pub fn respond(
        &mut self,
        now: MonoTime,
        request: RequestId,
        response: &Response,
    ) -> Result<Next, ApiMisuse> {
        self.now = now;
        let asked = self.take_asked(request)?;
        Ok(self.write_response(&asked, response))
    }

    /// Answers a WebSocket handshake: messages both ways from now on. `protocol` is one of those that the request offers.
    ///
    /// # Errors
    /// `NoSuchRequest` if it does not wait (any more); `WrongState` if it is no valid handshake
    /// ([`offer`](super::websocket::offer) tells), which leaves it unanswered.
    pub fn upgrade(
        &mut self,
        now: MonoTime,
        request: RequestId,
        protocol: Option<&str>,
    ) -> Result<(), ApiMisuse> {
        self.now = now;
        let asked = self.take_asked(request)?;
        let Some(key) = &asked.key else {
            self.phase = Phase::Deciding(asked);
            return Err(ApiMisuse::WrongState);
        };
        let mut response = Response::new(Status::SWITCHING_PROTOCOLS)
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Accept", websocket::accept(key));
        if let Some(protocol) = protocol {
            response = response.header("Sec-WebSocket-Protocol", String::from(protocol));
        }
        let mut head = String::new();
        response.write_head(&mut head);
        self.finish_head(head);
        if self.is_half_closed {
            self.start_closing();
            return Ok(());
        }
        self.phase = Phase::WebSocket(Box::default());
        self.last_input = now;
        self.set_deadline(Timer::PingDue);
        Ok(())
    }

    /// Queues a piece of a body, or a binary message, shared.
    ///
    /// # Errors
    /// `WouldExceed` at the output limit, with nothing queued; `NotOpen` if no body is being sent, or this is more of it
    /// than was announced.
    pub fn send(&mut self, body: &Payload) -> Result<(), SendError> {
        let framing = self.room_for(body.len(), |framing| framing.framed_len(body.len()))?;
        framing.push(&mut self.output, self.next_request, body);
        Ok(())
    }

    /// Queues a piece that was framed once for many clients. If the framing differs from this session's, its body gets
    /// another one.
    ///
    /// # Errors
    /// As `send`.
    pub fn send_piece(&mut self, piece: &Piece) -> Result<(), SendError> {
        if self.framing() != Some(piece.framing()) {
            return self.send(&piece.body());
        }
        self.room_for(piece.body_len(), |_| piece.bytes().len())?;
        self.output.push_shared(piece.bytes().clone(), Purpose::Start(self.next_request));
        Ok(())
    }

    /// Queues a text message.
    ///
    /// # Errors
    /// As `send`; `NotOpen` also if this is no WebSocket.
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        let Phase::WebSocket(_) = self.phase else { return Err(SendError::NotOpen) };
        self.room_for(text.len(), |framing| framing.framed_len(text.len()))?;
        let start = Purpose::Start(self.next_request);
        self.output.push_owned(frame::header(Opcode::Text, text.len()).as_ref(), start);
        self.output.push_shared(text.as_bytes().into(), Purpose::Rest);
        Ok(())
    }

    /// The body is complete. If it was announced to be longer, or nothing else tells its end, the connection closes.
    /// A WebSocket is closed with code 1000.
    ///
    /// # Errors
    /// `WrongState` if no body is being sent.
    pub fn end(&mut self, now: MonoTime) -> Result<(), ApiMisuse> {
        self.now = now;
        match &self.phase {
            Phase::Sending(sending) => {
                let keeps_alive = sending.keeps_alive && sending.left.unwrap_or(0) == 0;
                self.end_chunks();
                self.finish_response(keeps_alive);
                Ok(())
            }
            Phase::WebSocket(_) => {
                self.end_websocket(CloseCode::NORMAL);
                Ok(())
            }
            _ => Err(ApiMisuse::WrongState),
        }
    }

    /// Ends the connection: answers what waits for an answer with 503, ends a stream as its framing has it, then
    /// `State::Closing`. Who is too slow loses the pieces that have not begun to leave, and is told by what its framing has
    /// for that: no end of the chunks, fewer bytes than announced, a Close. Nothing tells a player without framing
    /// ([`Framing::Plain`] of unknown length), which is `State::Closed` at once, and cut ([`Session::is_cut`]).
    pub fn close(&mut self, now: MonoTime, why: CloseReason) {
        self.now = now;
        let is_too_slow = why == CloseReason::TooSlow;
        self.is_too_slow |= is_too_slow;
        if is_too_slow && matches!(self.phase, Phase::Sending(_) | Phase::WebSocket(_)) {
            // Of the newest response, behind which nothing stands that could be taken for the rest of it.
            self.output.drop_media(self.next_request);
        }
        match core::mem::replace(&mut self.phase, Phase::Closing) {
            Phase::Deciding(asked) => {
                let (status, reason) = (Status::SERVICE_UNAVAILABLE, "the server ends this connection");
                let response = match asked.is_api {
                    true => Response::api_error(status, "stopping", reason),
                    false => Response::error(status, reason),
                };
                self.write_response(&asked, &response.close());
            }
            // Shall not take what it has for all there was.
            Phase::Sending(_) if is_too_slow && self.ends_with_connection => self.close_now(),
            phase @ Phase::Sending(_) => {
                self.phase = phase;
                if !is_too_slow {
                    self.end_chunks();
                }
                self.start_closing();
            }
            phase @ Phase::WebSocket(_) => {
                self.phase = phase;
                self.end_websocket(match why {
                    CloseReason::Done => CloseCode::NORMAL,
                    CloseReason::Shutdown => CloseCode::GOING_AWAY,
                    CloseReason::TooSlow | CloseReason::TakenOver | CloseReason::Kicked => CloseCode::POLICY,
                });
            }
            // A second time moves no deadline.
            Phase::Closing => {}
            phase => {
                self.phase = phase;
                self.start_closing();
            }
        }
    }

    // ---- C. to the network and the clock

    /// Fills `slices` with what is to be written, oldest first; returns how many were filled.
    pub fn output<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        self.output.slices(slices)
    }

    /// The first `written` bytes of the output have reached the socket.
    pub fn advance_output(&mut self, written: usize) {
        self.output.advance(written);
        self.bytes_out += written as u64;
        if let Phase::Closing = self.phase {
            self.close_if_done();
        }
    }

    /// When to call `handle_timeout`, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.deadline.map(|(_, at)| at)
    }

    // ---- D. to the application

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // ---- E. getters

    /// Where the session is in its life; never `Handshaking`.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Closing => State::Closing,
            Phase::Closed | Phase::Failed(_) => State::Closed,
            _ => State::Open,
        }
    }

    /// `handle_input` would take bytes. False while a request is being answered with anything but an endless stream,
    /// while events wait, and while responses pile up unsent.
    pub fn wants_input(&self) -> bool {
        match &self.phase {
            Phase::Deciding(_) => false,
            Phase::Sending(sending) => sending.left.is_none(),
            Phase::Closing | Phase::Closed | Phase::Failed(_) => true,
            Phase::Head(_) | Phase::Body(_) | Phase::WebSocket(_) => {
                self.events.len() < self.limits.max_queued_events
                    && self.output.reply_len() < self.limits.max_queued_replies
            }
        }
    }

    /// Bytes that wait to be written.
    pub fn output_len(&self) -> usize {
        self.output.len()
    }

    /// What stands around the pieces of the body that is being sent, or around messages; `None` if nothing is.
    pub fn framing(&self) -> Option<Framing> {
        match &self.phase {
            Phase::Sending(sending) => Some(sending.framing),
            Phase::WebSocket(_) => Some(Framing::WebSocket),
            _ => None,
        }
    }

    /// The peer would take what it has for a whole body if the connection ended in order now: it has to be reset.
    pub fn is_cut(&self) -> bool {
        self.ends_with_connection && (self.is_too_slow || !self.output.is_empty())
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        Stats { bytes_in: self.bytes_in, bytes_out: self.bytes_out, requests: self.requests }
    }

    // ---- inside

    fn take_asked(&mut self, request: RequestId) -> Result<Box<Asked>, ApiMisuse> {
        match core::mem::replace(&mut self.phase, Phase::Closing) {
            Phase::Deciding(asked) if asked.id == request => Ok(asked),
            other => {
                self.phase = other;
                Err(ApiMisuse::NoSuchRequest)
            }
        }
    }

    /// Checks that so much may be sent, and counts it.
    fn room_for(&mut self, len: usize, framed: impl FnOnce(Framing) -> usize) -> Result<Framing, SendError> {
        let framing = self.framing().ok_or(SendError::NotOpen)?;
        if let Phase::Sending(Sending { left: Some(left), .. }) = &mut self.phase {
            let rest = left.checked_sub(len as u64).ok_or(SendError::NotOpen)?;
            self.output.has_room(framed(framing), self.limits.max_queued_output)?;
            *left = rest;
        } else {
            self.output.has_room(framed(framing), self.limits.max_queued_output)?;
        }
        Ok(framing)
    }

    fn end_chunks(&mut self) {
        if self.framing() == Some(Framing::Chunked) {
            self.output.push_owned(b"0\r\n\r\n", Purpose::Rest);
        }
    }

    /// Sends a Close with that code.
    fn end_websocket(&mut self, code: CloseCode) {
        let bytes = code.0.to_be_bytes();
        self.send_control(Opcode::Close, if code == CloseCode::NONE { &[] } else { &bytes });
        self.start_closing();
    }

    fn send_control(&mut self, opcode: Opcode, payload: &[u8]) {
        self.output.push_owned(frame::header(opcode, payload.len()).as_ref(), Purpose::Reply);
        self.output.push_owned(payload, Purpose::Reply);
    }

    fn start_closing(&mut self) {
        if matches!(self.phase, Phase::Closed | Phase::Failed(_)) {
            return;
        }
        self.phase = Phase::Closing;
        self.set_deadline(Timer::Linger);
        self.close_if_done();
    }

    /// Nobody reads or writes any more.
    fn close_if_done(&mut self) {
        if self.is_half_closed && self.output.is_empty() {
            self.close_now();
        }
    }

    fn close_now(&mut self) {
        self.phase = Phase::Closed;
        self.deadline = None;
    }

    fn check(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    fn fail(&mut self, kind: ErrorKind) -> Error {
        let error = Error { kind, offset: self.bytes_in };
        self.phase = Phase::Failed(error);
        self.deadline = None;
        error
    }
}
