//! What both roles share: handshake, chunk sizes, window acknowledgements, pings, close.
//!
//! In: bytes and time. Out: [`Incoming`] for the role, bytes for the peer, deadlines. Handled here and never seen
//! by a role: protocol control (RTMP 1.0, 5.4) and pings (7.1.7). Not here: commands and media.
//!
//! Field notes: acknowledgements are sent at half the window (SRS and ffmpeg do so; GStreamer waits for all of it)
//! and only once the peer announced one. Those of the peer only count: many clients never send any, so sending
//! never waits for them. nginx-rtmp and SRS restart their count near 0xF0000000: a smaller value is no error.

use super::{Stats, event::RequestId, timers::Timers};
use crate::{
    amf::Object,
    base::{MonoTime, Output, Payload, Purpose, State},
    flv::Tag,
    rtmp::{
        At, Error, ErrorKind, Limits, MessageStreamId, SendError, Timer,
        chunk::{self, EncodedTags, RawMessage, csid, csid_of},
        handshake::Handshake,
        message::{
            BandwidthLimit, Command, DecodeFailure, Ignored, Message, UserControl, media_kind,
            peer_bandwidth_body, type_id,
        },
    },
};
use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

/// What the link hands to the role.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Once, first.
    HandshakeDone { digest: bool },
    /// A message that the link does not handle itself.
    Message { raw: RawMessage, message: Message },
    /// Audio or video: nearly all there is.
    Media { stream: MessageStreamId, type_id: u8, tag: Tag },
    /// A message without effect.
    Ignored { message_type: u8, why: Ignored },
}

/// In C's order: what every write to a player needs stands first and together. The thread has written to a thousand
/// others since, so each line of the processor's cache that it touches is a wait.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Link {
    output: Output,
    bytes_out: u64,
    phase: Phase,
    writer: chunk::Writer,
    /// The writer knows last headers of media.
    has_written_media: bool,
    next_request: u32,
    pub(super) limits: Limits,
    pub(super) timers: Timers,
    /// Time of the last call that brought one.
    pub(super) now: MonoTime,
    bytes_in: u64,
    messages_in: u64,
    last_input: MonoTime,
    last_media: MonoTime,
    ours: OurWindow,
    theirs: TheirWindow,
}

#[derive(Debug)]
enum Phase {
    Handshake(Box<Handshake>),
    Open(Box<chunk::Reader>),
    Closing,
    Closed,
    Failed(Error),
}

/// What we owe the peer: an acknowledgement for each window of received bytes (RTMP 1.0, 5.4.4).
#[derive(Debug, Default)]
struct OurWindow {
    size: Option<u32>,
    acknowledged: u64,
}

/// Bytes between two acknowledgements at least, so that a tiny window cannot multiply what we send.
const MIN_ACK_INTERVAL: u64 = 4096;

/// What the peer owes us, and what it limits us to (RTMP 1.0, 5.4.4 and 5.4.5).
#[derive(Debug, Default)]
struct TheirWindow {
    announced: Option<u32>,
    limit: Option<(u32, BandwidthLimit)>,
    last_ack: u32,
    acknowledged: u64,
}

impl Link {
    pub(super) fn new(mut handshake: Handshake, limits: Limits, now: MonoTime) -> Link {
        let mut output = Output::new();
        handshake.handle(now, &[], &mut output).expect("errors come from input, and there is none");
        let mut timers = Timers::default();
        timers.set(Timer::Handshake, limits.handshake_timeout.map(|rest| now + rest));
        Link {
            limits,
            timers,
            now,
            phase: Phase::Handshake(Box::new(handshake)),
            output,
            writer: chunk::Writer::new(),
            has_written_media: false,
            bytes_in: 0,
            bytes_out: 0,
            messages_in: 0,
            last_input: now,
            last_media: now,
            ours: OurWindow::default(),
            theirs: TheirWindow::default(),
            next_request: 1,
        }
    }

    // ---- life

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Handshake(_) => State::Handshaking,
            Phase::Open(_) => State::Open,
            Phase::Closing => State::Closing,
            Phase::Closed | Phase::Failed(_) => State::Closed,
        }
    }

    /// The error that ended the session, if one did; every later call returns it again.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Ends the session with an error; what is queued may still be written.
    pub(super) fn fail(&mut self, kind: ErrorKind, at: At) -> Error {
        let error = Error::new(kind, at);
        self.phase = Phase::Failed(error);
        self.timers.clear_all();
        error
    }

    /// Stops reading; the peer has the linger time to read what is queued.
    pub(super) fn start_closing(&mut self) {
        if matches!(self.phase, Phase::Handshake(_) | Phase::Open(_)) {
            self.phase = Phase::Closing;
            self.timers.clear_all();
            self.timers.set(Timer::Linger, Some(self.now + self.limits.linger_timeout));
        }
    }

    pub(super) fn close_now(&mut self) {
        if !matches!(self.phase, Phase::Failed(_)) {
            self.phase = Phase::Closed;
            self.timers.clear_all();
        }
    }

    pub(super) fn next_request(&mut self) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request = self.next_request.wrapping_add(1);
        id
    }

    // ---- input

    /// Takes bytes up to the end of one message at most; at least one byte of a non-empty input.
    pub(super) fn receive(&mut self, input: &[u8]) -> Result<(usize, Option<Incoming>), Error> {
        match &mut self.phase {
            Phase::Failed(error) => Err(*error),
            Phase::Closing | Phase::Closed => Ok((input.len(), None)),
            Phase::Handshake(handshake) => match handshake.handle(self.now, input, &mut self.output) {
                Err(error) => Err(self.fail(error.kind, error.at)),
                Ok((taken, done)) => {
                    self.count_input(taken);
                    let incoming = done.map(|done| {
                        self.open();
                        Incoming::HandshakeDone { digest: done.digest }
                    });
                    Ok((taken, incoming))
                }
            },
            Phase::Open(reader) => match reader.read(input) {
                Err(error) => Err(self.fail(error.kind, error.at)),
                Ok((taken, raw)) => {
                    self.count_input(taken);
                    let Some(raw) = raw else { return Ok((taken, None)) };
                    self.messages_in += 1;
                    Ok((taken, self.handle_message(raw)?))
                }
            },
        }
    }

    fn open(&mut self) {
        let mut reader = chunk::Reader::new(&self.limits, self.bytes_in);
        reader.expect_media(false);
        self.phase = Phase::Open(Box::new(reader));
        self.timers.clear(Timer::Handshake);
        self.timers.set(Timer::PingDue, self.limits.ping_interval.map(|rest| self.now + rest));
        self.expect_command(true);
    }

    /// The peer may send media from now on: messages may be as long as that is.
    pub(super) fn allow_media(&mut self) {
        if let Phase::Open(reader) = &mut self.phase {
            reader.expect_media(true);
        }
    }

    /// Arms or disarms the deadline for the next command.
    pub(super) fn expect_command(&mut self, expected: bool) {
        self.arm(Timer::Command, self.limits.command_timeout.filter(|_| expected));
    }

    /// Arms or disarms the deadline for media from a publisher.
    pub(super) fn expect_media(&mut self, expected: bool) {
        self.note_media();
        self.arm(Timer::Publish, self.limits.publish_timeout.filter(|_| expected));
    }

    /// A request may be answered after the session has ended: nothing is due then.
    fn arm(&mut self, timer: Timer, rest: Option<Duration>) {
        let rest = rest.filter(|_| matches!(self.phase, Phase::Open(_)));
        self.timers.set(timer, rest.map(|rest| self.now + rest));
    }

    /// A publisher sent media.
    pub(super) fn note_media(&mut self) {
        self.last_media = self.now;
    }

    fn count_input(&mut self, taken: usize) {
        self.bytes_in += taken as u64;
        self.last_input = self.now;
        self.timers.clear(Timer::PingReply);
        let Some(interval) = self.ours.interval() else { return };
        while self.bytes_in - self.ours.acknowledged >= interval {
            // The step that was passed, not the last byte read: the same however the input is cut.
            self.ours.acknowledged += interval;
            // Modulo 2^32 by definition (RTMP 1.0, 5.4.3).
            let total = self.ours.acknowledged as u32;
            self.send_control(type_id::ACKNOWLEDGEMENT, &total.to_be_bytes());
        }
    }

    fn handle_message(&mut self, raw: RawMessage) -> Result<Option<Incoming>, Error> {
        if let Some(kind) = media_kind(raw.type_id) {
            let RawMessage { stream, type_id, timestamp, body, .. } = raw;
            return Ok(Some(Incoming::Media { stream, type_id, tag: Tag::new(kind, timestamp, body) }));
        }
        let ignored = |why| Some(Incoming::Ignored { message_type: raw.type_id, why });
        let message = match Message::decode(&raw, &self.limits) {
            Ok(message) => message,
            Err(DecodeFailure::Ignored(why)) => return Ok(ignored(why)),
            Err(DecodeFailure::Limit(limit)) => {
                return Err(self.fail(ErrorKind::LimitExceeded(limit), at(&raw)));
            }
        };
        match message {
            // The chunk reader has applied these.
            Message::SetChunkSize(_) | Message::Abort(_) => {}
            Message::Acknowledgement(count) => self.theirs.acknowledge(count),
            Message::WindowAckSize(window) => self.ours.announce(window, self.bytes_in),
            Message::SetPeerBandwidth { window, limit } => self.limit_output(window, limit),
            Message::UserControl(UserControl::PingRequest(time)) => {
                self.send_user_control(UserControl::PingResponse(time));
            }
            // Any byte of the peer counts as an answer; see `count_input`.
            Message::UserControl(UserControl::PingResponse(_)) => {}
            message => return Ok(Some(Incoming::Message { raw, message })),
        }
        Ok(None)
    }

    /// Set Peer Bandwidth: answered by Window Acknowledgement Size when the limit is news to the peer. The limit
    /// itself is not enforced: clients that never acknowledge would stall.
    fn limit_output(&mut self, window: u32, limit: BandwidthLimit) {
        let Some(in_force) = self.theirs.limited_to(window, limit) else { return };
        if self.theirs.announced != Some(in_force) {
            self.send_window_ack_size(in_force);
        }
    }

    /// Deals with every deadline that has come.
    pub(super) fn expire(&mut self) -> Result<(), Error> {
        while let Some(timer) = self.timers.expired(self.now) {
            match timer {
                Timer::PingDue => self.ping(),
                Timer::Publish => {
                    let due = self.limits.publish_timeout.map(|rest| self.last_media + rest);
                    if due.is_none_or(|due| due <= self.now) {
                        return Err(self.fail(ErrorKind::TimedOut(timer), self.here()));
                    }
                    self.timers.set(Timer::Publish, due);
                }
                Timer::Linger => self.close_now(),
                Timer::Handshake | Timer::Command | Timer::PingReply => {
                    return Err(self.fail(ErrorKind::TimedOut(timer), self.here()));
                }
            }
        }
        Ok(())
    }

    fn ping(&mut self) {
        let Some(interval) = self.limits.ping_interval else { return };
        let mut due = self.last_input + interval;
        if due <= self.now {
            // The low bits of the clock, as the event has room for.
            self.send_user_control(UserControl::PingRequest(self.now.0 as u32));
            if !self.timers.is_set(Timer::PingReply) {
                self.timers.set(Timer::PingReply, Some(self.now + self.limits.ping_timeout));
            }
            due = self.now + interval;
        }
        self.timers.set(Timer::PingDue, Some(due));
    }

    /// The end of what has been read.
    pub(super) fn here(&self) -> At {
        At { stream_offset: self.bytes_in, csid: None, message_type: None }
    }

    pub(super) fn is_mid_message(&self) -> bool {
        match &self.phase {
            Phase::Open(reader) => reader.is_mid_message(),
            Phase::Handshake(_) => self.bytes_in > 0,
            _ => false,
        }
    }

    pub(super) fn has_too_many_replies(&self) -> bool {
        self.output.reply_len() >= self.limits.max_queued_replies
    }

    // ---- output

    pub(super) fn send_command(&mut self, csid: u32, stream: MessageStreamId, command: &Command) {
        let mut body = Vec::new();
        command.encode(&mut body);
        self.send_reply(csid, stream, type_id::COMMAND, &body);
    }

    pub(super) fn send_status(&mut self, stream: MessageStreamId, info: Object) {
        self.send_command(csid::STATUS, stream, &Command::on_status(info));
    }

    pub(super) fn send_reply(&mut self, csid: u32, stream: MessageStreamId, type_id: u8, body: &[u8]) {
        self.writer.write_control(&mut self.output, csid, stream, type_id, body);
    }

    fn send_control(&mut self, type_id: u8, body: &[u8]) {
        self.send_reply(csid::CONTROL, MessageStreamId::CONNECTION, type_id, body);
    }

    pub(super) fn send_user_control(&mut self, event: UserControl) {
        let mut body = Vec::with_capacity(10);
        event.encode(&mut body);
        self.send_control(type_id::USER_CONTROL, &body);
    }

    pub(super) fn send_window_ack_size(&mut self, window: u32) {
        self.theirs.announced = Some(window);
        self.send_control(type_id::WINDOW_ACK_SIZE, &window.to_be_bytes());
    }

    pub(super) fn has_announced_window(&self) -> bool {
        self.theirs.announced.is_some()
    }

    pub(super) fn send_peer_bandwidth(&mut self, window: u32) {
        self.send_control(type_id::SET_PEER_BANDWIDTH, &peer_bandwidth_body(window, BandwidthLimit::Dynamic));
    }

    pub(super) fn send_chunk_size(&mut self, size: u32) {
        self.send_control(type_id::SET_CHUNK_SIZE, &size.to_be_bytes());
        self.writer.set_chunk_size(size);
    }

    pub(super) fn chunk_size(&self) -> u32 {
        self.writer.chunk_size()
    }

    /// Queues a tag; media is the only thing that the output limit refuses.
    pub(super) fn send_tag(&mut self, stream: MessageStreamId, tag: &Tag) -> Result<(), SendError> {
        self.send_media(stream, tag, &tag.body)
    }

    /// As `send_tag`, with another body for the same tag.
    pub(super) fn send_media(
        &mut self,
        stream: MessageStreamId,
        tag: &Tag,
        body: &Payload,
    ) -> Result<(), SendError> {
        self.has_room(body.len())?;
        self.write_media(stream, tag, body);
        Ok(())
    }

    /// Takes audio and video of a stream back that have not begun to leave. What follows them cannot count from them.
    pub(super) fn drop_media(&mut self, stream: MessageStreamId) {
        self.output.drop_media(stream.0);
        self.forget_media();
    }

    /// The next media message of each kind has a whole header.
    pub(super) fn forget_media(&mut self) {
        if core::mem::take(&mut self.has_written_media) {
            [csid::AUDIO, csid::VIDEO, csid::DATA].into_iter().for_each(|csid| self.writer.forget(csid));
        }
    }

    fn write_media(&mut self, stream: MessageStreamId, tag: &Tag, body: &Payload) {
        let (csid, type_id) = (csid_of(tag.kind), tag.kind.type_id());
        self.has_written_media = true;
        self.writer.write(&mut self.output, csid, stream, type_id, tag.timestamp, body);
    }

    pub(super) fn send_encoded(
        &mut self,
        stream: MessageStreamId,
        encoded: &EncodedTags,
    ) -> Result<(), SendError> {
        self.has_room(encoded.bytes.len())?;
        if encoded.stream == stream && encoded.chunk_size == self.writer.chunk_size() {
            self.forget_media();
            self.output.push_shared(encoded.bytes.clone(), Purpose::Start(stream.0));
        } else {
            for tag in &encoded.tags {
                self.write_media(stream, tag, &tag.body);
            }
        }
        Ok(())
    }

    fn has_room(&self, len: usize) -> Result<(), SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        self.output.has_room(len, self.limits.max_queued_output)
    }

    pub(super) fn output(&self) -> &Output {
        &self.output
    }

    pub(super) fn advance_output(&mut self, written: usize) {
        self.output.advance(written);
        self.bytes_out += written as u64;
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            messages_in: self.messages_in,
            acknowledged: self.theirs.acknowledged,
        }
    }
}

impl OurWindow {
    /// Counting starts with the first announcement. A window of 0 asks for nothing. One that shrinks brings the next
    /// acknowledgement forward, and not one for each step of the new window that has passed.
    fn announce(&mut self, window: u32, bytes_in: u64) {
        if self.size.is_none() {
            self.acknowledged = bytes_in;
        }
        self.size = Some(window).filter(|window| *window > 0);
        if let Some(interval) = self.interval() {
            self.acknowledged = self.acknowledged.max(bytes_in.saturating_sub(interval));
        }
    }

    /// Bytes between two acknowledgements.
    fn interval(&self) -> Option<u64> {
        self.size.map(|window| u64::from(window / 2).max(MIN_ACK_INTERVAL))
    }
}

impl TheirWindow {
    /// The count is modulo 2^32 and may restart; the running total grows by the difference.
    fn acknowledge(&mut self, count: u32) {
        let more = count.wrapping_sub(self.last_ack);
        // More than half of the number space ahead is a restart, not progress.
        self.acknowledged += u64::from(if more < 1 << 31 { more } else { 0 });
        self.last_ack = count;
    }

    /// The window in force after Set Peer Bandwidth; `None` if the message changes nothing.
    fn limited_to(&mut self, window: u32, limit: BandwidthLimit) -> Option<u32> {
        if window == 0 {
            return None;
        }
        let (window, limit) = match (limit, self.limit) {
            (BandwidthLimit::Soft, Some((in_force, _))) => (window.min(in_force), limit),
            // The first dynamic limit has nothing to follow. It is what every server sends, and librtmp, ffmpeg and
            // GStreamer all answer it.
            (BandwidthLimit::Dynamic, Some((_, before))) if before != BandwidthLimit::Hard => return None,
            (BandwidthLimit::Dynamic, Some(_)) => (window, BandwidthLimit::Hard),
            (limit, _) => (window, limit),
        };
        self.limit = Some((window, limit));
        Some(window)
    }
}

/// Where a message began.
pub(super) fn at(raw: &RawMessage) -> At {
    At { stream_offset: raw.offset, csid: Some(raw.csid), message_type: Some(raw.type_id) }
}
