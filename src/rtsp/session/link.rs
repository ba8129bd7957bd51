//! What both roles share: the bytes both ways, the life of the connection, its one deadline.

use crate::{
    base::{CloseReason, MonoTime, Output, Payload, Purpose, SendError, State},
    rtsp::{
        Error, ErrorKind, Limits, Timer,
        message::{FRAME_MARK, Failure, Incoming, Reader},
    },
};
use core::time::Duration;

/// One connection.
#[derive(Debug)]
#[repr(C)] // What every write to a player needs stands first and together, as in RTMP's link.
pub(super) struct Link {
    pub(super) output: Output,
    pub(super) bytes_out: u64,
    pub(super) life: Life,
    /// The peer has closed its side.
    pub(super) is_half_closed: bool,
    /// It was closed as such.
    pub(super) is_too_slow: bool,
    pub(super) limits: Limits,
    pub(super) deadline: Option<(Timer, MonoTime)>,
    /// Time of the last call that brought one.
    pub(super) now: MonoTime,
    pub(super) reader: Reader,
    pub(super) bytes_in: u64,
}

#[derive(Debug)]
pub(super) enum Life {
    Open,
    Closing,
    Closed,
    Failed(Error),
}

/// Of audio and video in the output: there is one presentation on a connection.
const MEDIA: u32 = 1;

/// What stands before the data of an interleaved frame (RFC 2326, 10.12). Data has 65535 bytes at most.
pub const fn frame_header(channel: u8, len: u16) -> [u8; 4] {
    let [high, low] = len.to_be_bytes();
    [FRAME_MARK, channel, high, low]
}

impl Link {
    pub(super) fn new(limits: Limits, now: MonoTime) -> Link {
        Link {
            output: Output::new(),
            bytes_out: 0,
            life: Life::Open,
            is_half_closed: false,
            is_too_slow: false,
            limits,
            deadline: None,
            now,
            reader: Reader::default(),
            bytes_in: 0,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.life, Life::Open)
    }

    pub(super) fn state(&self) -> State {
        match self.life {
            Life::Open => State::Open,
            Life::Closing => State::Closing,
            Life::Closed | Life::Failed(_) => State::Closed,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        match self.life {
            Life::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads up to the end of one message at most.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<(usize, Option<Incoming>), Failure> {
        self.reader.receive(input, &self.limits)
    }

    pub(super) fn advance(&mut self, written: usize) {
        self.output.advance(written);
        self.bytes_out += written as u64;
        if let Life::Closing = self.life {
            self.close_if_done();
        }
    }

    /// Queues a piece of media.
    pub(super) fn send_piece(&mut self, piece: &Payload) -> Result<(), SendError> {
        self.output.has_room(piece.len(), self.limits.max_queued_output)?;
        self.output.push_shared(piece.clone(), Purpose::Start(MEDIA));
        Ok(())
    }

    /// Queues a frame, copied.
    pub(super) fn send_frame(&mut self, channel: u8, data: &[u8]) -> Result<(), SendError> {
        let len = u16::try_from(data.len()).map_err(|_| SendError::WouldExceed)?;
        self.output.has_room(data.len() + 4, self.limits.max_queued_output)?;
        self.output.push_owned(&frame_header(channel, len), Purpose::Start(MEDIA));
        self.output.push_owned(data, Purpose::Rest);
        Ok(())
    }

    /// Takes out media that has not begun to leave.
    pub(super) fn drop_media(&mut self) {
        self.output.drop_media(MEDIA);
    }

    pub(super) fn reply(&mut self, bytes: &[u8]) {
        self.output.push_owned(bytes, Purpose::Reply);
    }

    /// Sets the deadline, in place of the one before, if the limits have it.
    pub(super) fn set_deadline(&mut self, timer: Timer, rest: Option<Duration>) {
        self.deadline = rest.map(|rest| (timer, self.now + rest));
    }

    /// Output waits, so whether the peer lives is seen by what it takes, which the caller watches. Who was too slow has had
    /// that time.
    pub(super) fn awaits_reader(&self) -> bool {
        !self.output.is_empty() && !self.is_too_slow
    }

    /// The linger time has passed.
    pub(super) fn expire_linger(&mut self) {
        if self.awaits_reader() {
            self.set_deadline(Timer::Linger, Some(self.limits.linger_timeout));
        } else {
            self.close_now();
        }
    }

    /// Ends the connection once everything is written.
    pub(super) fn start_closing(&mut self) {
        if !self.is_open() {
            return;
        }
        self.life = Life::Closing;
        self.set_deadline(Timer::Linger, Some(self.limits.linger_timeout));
        self.close_if_done();
    }

    /// Notes why, before the roles close: who is too slow loses the media that has not begun to leave.
    pub(super) fn note_close(&mut self, why: CloseReason) {
        if why == CloseReason::TooSlow {
            self.is_too_slow = true;
            self.drop_media();
        }
    }

    /// Nobody reads or writes any more.
    fn close_if_done(&mut self) {
        if self.is_half_closed && self.output.is_empty() {
            self.close_now();
        }
    }

    /// The peer's end while closing.
    pub(super) fn end_closing(&mut self) {
        if let Life::Closing = self.life {
            self.close_if_done();
        }
    }

    pub(super) fn close_now(&mut self) {
        self.life = Life::Closed;
        self.deadline = None;
    }

    pub(super) fn fail(&mut self, kind: ErrorKind) -> Error {
        let error = Error { kind, offset: self.bytes_in };
        self.life = Life::Failed(error);
        self.deadline = None;
        error
    }
}
