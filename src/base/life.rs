//! The life of a session, whichever protocol it speaks: where it is, and why we end it.

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A protocol that begins with a handshake is in it.
    Handshaking,
    /// Messages flow.
    Open,
    /// We closed: input is discarded. Write what is left, shut the sending side down, then wait for the peer's end
    /// or the deadline.
    Closing,
    /// Over: drop the socket.
    Closed,
}

/// Why we close a connection. What the peer is told about it is a matter of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// We are done; nothing is wrong.
    Done,
    /// The server stops.
    Shutdown,
    /// A player stayed behind for too long.
    TooSlow,
    /// Another publisher took the name over.
    TakenOver,
    /// An operator wants it gone.
    Kicked,
}
