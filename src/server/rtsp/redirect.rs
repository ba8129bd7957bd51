//! REDIRECT (RFC 2326, 10.10): an operator sends a client elsewhere. The client decides; its connection stays as it is.
//!
//! Field notes: ffmpeg answers 501 and plays on, GStreamer answers 200 and plays on.

use crate::{base::MonoTime, server::connection::Connection};
use alloc::string::String;
use crossbeam_channel::Sender;

/// What an operator wants.
pub(in crate::server) struct Redirect {
    /// An absolute URL; may hold tokens.
    pub(in crate::server) to: String,
    /// Where it is told what became of it.
    pub(in crate::server) done: Sender<Result<(), NotRedirected>>,
}

/// Why a client is not sent elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum NotRedirected {
    /// Its protocol cannot say so.
    NotRtsp,
    /// It has set nothing up, so there is nothing that it could have elsewhere.
    NothingSetUp,
}

impl Connection {
    /// Tells the client.
    pub(in crate::server) fn redirect(&mut self, now: MonoTime, redirect: &Redirect) {
        let told = match self.protocol.rtsp() {
            Some(session) => session.redirect(now, &redirect.to).map_err(|_| NotRedirected::NothingSetUp),
            None => Err(NotRedirected::NotRtsp),
        };
        if told.is_ok() {
            log::info!("{} is sent elsewhere by an operator", self.id());
        }
        // Nobody waits any more if this took long.
        let _ = redirect.done.try_send(told);
    }
}
