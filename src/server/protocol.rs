//! What a connection speaks, and the drive loop's view of it: bytes in, bytes out, one deadline.
//!
//! Its first bytes decide ([`base::sniff`]). Before them nothing is said, which suits all protocols that are taken: their clients speak first.
//! What the events of a session mean is in `requests` (RTMP), `web` (HTTP) and `rtsp`.
//! Bounds: [`MAX_METHOD`] undecided bytes, for [`FIRST_BYTES`].

use super::{Shared, rtsp::tunnel::Upload, web};
use crate::{
    base::{
        self, CloseReason, MonoTime, State,
        sniff::{MAX_METHOD, Sniff},
    },
    http, rtmp, rtsp,
};
use alloc::{sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

/// Time to the first bytes.
const FIRST_BYTES: Duration = Duration::from_secs(10);

/// See the module.
#[expect(
    clippy::large_enum_variant,
    reason = "a connection is boxed already, and every write goes through here"
)]
pub(super) enum Protocol {
    /// Nothing decisive has come.
    Unknown(Unknown),
    /// RTMP.
    Rtmp(rtmp::Session),
    /// HTTP, WebSockets among it.
    Http(http::Session),
    /// RTSP.
    Rtsp(rtsp::Session),
    /// Requests of RTSP for another connection.
    Upload(Upload),
}

/// What has come so far.
pub(super) struct Unknown {
    first: Vec<u8>,
    deadline: MonoTime,
    state: State,
}

/// Why a session ended.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Nothing came that tells the protocol.
    Silent,
    /// Said by RTMP.
    Rtmp(rtmp::Error),
    /// Said by HTTP.
    Http(http::Error),
    /// Said by RTSP.
    Rtsp(rtsp::Error),
    /// A tunnel brought no base64.
    Upload,
}

/// Calls the session, whichever it is.
macro_rules! session {
    ($self:ident, $unknown:ident => $else:expr, $upload:ident => $other:expr, $session:ident => $call:expr) => {
        match $self {
            Protocol::Unknown($unknown) => $else,
            Protocol::Rtmp($session) => $call,
            Protocol::Http($session) => $call,
            Protocol::Rtsp($session) => $call,
            Protocol::Upload($upload) => $other,
        }
    };
}

impl Protocol {
    /// Of a fresh connection.
    pub(super) fn new(now: MonoTime) -> Protocol {
        let deadline = now + FIRST_BYTES;
        Protocol::Unknown(Unknown { first: Vec::new(), deadline, state: State::Handshaking })
    }

    /// The RTMP session, if it is one.
    pub(super) fn rtmp(&mut self) -> Option<&mut rtmp::Session> {
        match self {
            Protocol::Rtmp(session) => Some(session),
            _ => None,
        }
    }

    /// The HTTP session, if it is one.
    pub(super) fn http(&mut self) -> Option<&mut http::Session> {
        match self {
            Protocol::Http(session) => Some(session),
            _ => None,
        }
    }

    /// The RTSP session, if it is one.
    pub(super) fn rtsp(&mut self) -> Option<&mut rtsp::Session> {
        match self {
            Protocol::Rtsp(session) => Some(session),
            _ => None,
        }
    }

    /// See the sessions. Of a fresh connection everything is taken, up to the bytes that decide.
    pub(super) fn handle_input(
        &mut self,
        now: MonoTime,
        input: &[u8],
        shared: &Arc<Shared>,
    ) -> Result<usize, Failure> {
        match self {
            Protocol::Rtmp(session) => session.handle_input(now, input).map_err(Failure::Rtmp),
            Protocol::Http(session) => session.handle_input(now, input).map_err(Failure::Http),
            Protocol::Rtsp(session) => session.handle_input(now, input).map_err(Failure::Rtsp),
            Protocol::Upload(upload) => upload.handle_input(input).ok_or(Failure::Upload),
            Protocol::Unknown(unknown) => {
                let held = unknown.first.len();
                let looked_at = input.len().min(MAX_METHOD + 1 - held);
                unknown.first.extend_from_slice(&input[..looked_at]);
                let mut next = match base::sniff::sniff(&unknown.first) {
                    Sniff::NeedsMore => return Ok(looked_at),
                    Sniff::Http => {
                        let mut session = http::Session::server(shared.http.clone(), now);
                        // It may answer the first bytes by itself.
                        session.set_date(web::date());
                        Protocol::Http(session)
                    }
                    Sniff::Rtsp => {
                        let config = shared.rtsp.session.clone();
                        Protocol::Rtsp(rtsp::Session::server(config, shared.seed(), now))
                    }
                    // RTMP's session says what is wrong with the rest.
                    _ => Protocol::Rtmp(rtmp::Session::server(shared.session.clone(), shared.seed(), now)),
                };
                let first = core::mem::take(&mut unknown.first);
                let taken = next.handle_input(now, &first, shared);
                *self = next;
                // What it leaves is of this input: a session takes the bytes that tell what it is.
                taken.map(|taken| looked_at - (first.len() - taken))
            }
        }
    }

    pub(super) fn handle_eof(&mut self, now: MonoTime) -> Result<(), Failure> {
        match self {
            Protocol::Unknown(unknown) => {
                unknown.state = State::Closed;
                Ok(())
            }
            Protocol::Rtmp(session) => session.handle_eof(now).map_err(Failure::Rtmp),
            Protocol::Http(session) => session.handle_eof(now).map_err(Failure::Http),
            Protocol::Rtsp(session) => session.handle_eof(now).map_err(Failure::Rtsp),
            Protocol::Upload(upload) => {
                upload.is_closed = true;
                Ok(())
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: MonoTime) -> Result<(), Failure> {
        match self {
            Protocol::Unknown(_) => Err(Failure::Silent),
            Protocol::Rtmp(session) => session.handle_timeout(now).map_err(Failure::Rtmp),
            Protocol::Http(session) => session.handle_timeout(now).map_err(Failure::Http),
            Protocol::Rtsp(session) => session.handle_timeout(now).map_err(Failure::Rtsp),
            Protocol::Upload(_) => Ok(()),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        session!(self, unknown => Some(unknown.deadline), _upload => None, session => session.poll_timeout())
    }

    pub(super) fn close(&mut self, now: MonoTime, why: CloseReason) {
        session!(
            self,
            unknown => unknown.state = State::Closed,
            upload => upload.is_closed = true,
            session => session.close(now, why)
        );
    }

    pub(super) fn state(&self) -> State {
        session!(self, unknown => unknown.state, upload => upload.state(), session => session.state())
    }

    pub(super) fn wants_input(&self) -> bool {
        session!(self, _unknown => true, upload => upload.wants_input(), session => session.wants_input())
    }

    pub(super) fn output_len(&self) -> usize {
        session!(self, _unknown => 0, _upload => 0, session => session.output_len())
    }

    pub(super) fn output<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        session!(self, _unknown => 0, _upload => 0, session => session.output(slices))
    }

    pub(super) fn advance_output(&mut self, written: usize) {
        session!(self, _unknown => {}, _upload => {}, session => session.advance_output(written));
    }

    /// Bytes taken from the peer and written to it.
    pub(super) fn bytes(&self) -> (u64, u64) {
        session!(self, unknown => (unknown.first.len() as u64, 0), upload => (upload.bytes_in, 0), session => {
            let stats = session.stats();
            (stats.bytes_in, stats.bytes_out)
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Silent => f.write_str("it said nothing"),
            Failure::Rtmp(error) => write!(f, "{error}"),
            Failure::Http(error) => write!(f, "{error}"),
            Failure::Rtsp(error) => write!(f, "{error}"),
            Failure::Upload => f.write_str("the tunnel brings no base64"),
        }
    }
}
