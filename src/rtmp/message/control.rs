//! User control events (RTMP 1.0, 7.1.7; numbers 26, 27, 31 and 32 from Adobe's servers).

use super::Ignored;
use crate::{base::wire::Cursor, rtmp::MessageStreamId};
use alloc::vec::Vec;
use core::fmt;

/// A user control event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserControl {
    /// 0: the stream is usable.
    StreamBegin(MessageStreamId),
    /// 1: playback of what was asked for is over.
    StreamEof(MessageStreamId),
    /// 2: no data for some time.
    StreamDry(MessageStreamId),
    /// 3: the client's buffer.
    SetBufferLength {
        /// Of this stream.
        stream: MessageStreamId,
        /// Milliseconds.
        length: u32,
    },
    /// 4: the stream is a file.
    StreamIsRecorded(MessageStreamId),
    /// 6: are you there? Holds the sender's time.
    PingRequest(u32),
    /// 7: yes; the time copied.
    PingResponse(u32),
    /// 26: prove your SWF; only Flash and rtmpdump react.
    SwfVerifyRequest,
    /// 27: the proof, which nobody checks here.
    SwfVerifyResponse,
    /// 31: a full client buffer has been sent.
    StreamBufferEmpty(MessageStreamId),
    /// 32: sending goes on.
    StreamBufferReady(MessageStreamId),
}

impl UserControl {
    /// Decodes the body of a user control message; bytes behind the fields are ignored.
    ///
    /// # Errors
    /// `TooShort`, or `UnknownUserControl` for event 5 and all others not listed.
    pub fn decode(body: &[u8]) -> Result<UserControl, Ignored> {
        let mut body = Cursor::new(body);
        let event = body.u16().ok_or(Ignored::TooShort)?;
        let mut number = || body.u32().ok_or(Ignored::TooShort);
        Ok(match event {
            0 => UserControl::StreamBegin(MessageStreamId(number()?)),
            1 => UserControl::StreamEof(MessageStreamId(number()?)),
            2 => UserControl::StreamDry(MessageStreamId(number()?)),
            3 => UserControl::SetBufferLength { stream: MessageStreamId(number()?), length: number()? },
            4 => UserControl::StreamIsRecorded(MessageStreamId(number()?)),
            6 => UserControl::PingRequest(number()?),
            7 => UserControl::PingResponse(number()?),
            26 => UserControl::SwfVerifyRequest,
            27 => UserControl::SwfVerifyResponse,
            31 => UserControl::StreamBufferEmpty(MessageStreamId(number()?)),
            32 => UserControl::StreamBufferReady(MessageStreamId(number()?)),
            other => return Err(Ignored::UnknownUserControl(other)),
        })
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (event, first, second) = match *self {
            UserControl::StreamBegin(stream) => (0u16, Some(stream.0), None),
            UserControl::StreamEof(stream) => (1, Some(stream.0), None),
            UserControl::StreamDry(stream) => (2, Some(stream.0), None),
            UserControl::SetBufferLength { stream, length } => (3, Some(stream.0), Some(length)),
            UserControl::StreamIsRecorded(stream) => (4, Some(stream.0), None),
            UserControl::PingRequest(time) => (6, Some(time), None),
            UserControl::PingResponse(time) => (7, Some(time), None),
            UserControl::SwfVerifyRequest => (26, None, None),
            UserControl::SwfVerifyResponse => (27, None, None),
            UserControl::StreamBufferEmpty(stream) => (31, Some(stream.0), None),
            UserControl::StreamBufferReady(stream) => (32, Some(stream.0), None),
        };
        out.extend_from_slice(&event.to_be_bytes());
        for field in [first, second].into_iter().flatten() {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }
}

impl fmt::Display for UserControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserControl::StreamBegin(stream) => write!(f, "StreamBegin {stream}"),
            UserControl::StreamEof(stream) => write!(f, "StreamEOF {stream}"),
            UserControl::StreamDry(stream) => write!(f, "StreamDry {stream}"),
            UserControl::SetBufferLength { stream, length } => {
                write!(f, "SetBufferLength {stream} {length} ms")
            }
            UserControl::StreamIsRecorded(stream) => write!(f, "StreamIsRecorded {stream}"),
            UserControl::PingRequest(time) => write!(f, "PingRequest {time}"),
            UserControl::PingResponse(time) => write!(f, "PingResponse {time}"),
            UserControl::SwfVerifyRequest => f.write_str("SWFVerify request"),
            UserControl::SwfVerifyResponse => f.write_str("SWFVerify response"),
            UserControl::StreamBufferEmpty(stream) => write!(f, "StreamBufferEmpty {stream}"),
            UserControl::StreamBufferReady(stream) => write!(f, "StreamBufferReady {stream}"),
        }
    }
}

/// Third field of Set Peer Bandwidth (RTMP 1.0, 5.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandwidthLimit {
    /// 0: limit output to the window.
    Hard,
    /// 1: limit to the smaller of this window and the limit in force.
    Soft,
    /// 2: as hard if the limit before was hard, else nothing.
    Dynamic,
}

impl BandwidthLimit {
    /// Unknown values count as dynamic, the one that asks least.
    pub(super) const fn from_wire(byte: u8) -> BandwidthLimit {
        match byte {
            0 => BandwidthLimit::Hard,
            1 => BandwidthLimit::Soft,
            _ => BandwidthLimit::Dynamic,
        }
    }

    pub(super) const fn to_wire(self) -> u8 {
        match self {
            BandwidthLimit::Hard => 0,
            BandwidthLimit::Soft => 1,
            BandwidthLimit::Dynamic => 2,
        }
    }
}

impl fmt::Display for BandwidthLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BandwidthLimit::Hard => "hard",
            BandwidthLimit::Soft => "soft",
            BandwidthLimit::Dynamic => "dynamic",
        })
    }
}
