//! Whoever looks on while a client talks: gets the bytes of both directions as they go over the socket.
//!
//! For showing a conversation while it happens; what the bytes mean is for [`crate::pcap::dissect`] to say. Not here: any
//! influence on the conversation.

use crate::pcap::Direction;
use alloc::{boxed::Box, sync::Arc};
use core::{fmt, net::SocketAddr};
use std::sync::{Mutex, PoisonError};

/// What there is to see of a connection, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// TCP is connected; bytes begin anew.
    Opened {
        /// The server.
        peer: SocketAddr,
    },
    /// These went over the socket.
    Bytes(Direction, &'a [u8]),
    /// This direction is over: nothing will follow.
    Ended(Direction),
}

/// A function that is called with everything there is to see. One for all connections of a client, one after another.
#[derive(Clone)]
pub struct Observer(Arc<Mutex<Box<See>>>);

type See = dyn FnMut(Seen<'_>) + Send;

impl Observer {
    /// Calls `see`.
    pub fn new(see: impl FnMut(Seen<'_>) + Send + 'static) -> Observer {
        Observer(Arc::new(Mutex::new(Box::new(see))))
    }

    pub(super) fn see(&self, seen: Seen<'_>) {
        (self.0.lock().unwrap_or_else(PoisonError::into_inner))(seen);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
