//! Every ceiling of an HTTP session, with its default and the reason for it.
//!
//! A peer can make a session hold at most one head, one body and one unfinished WebSocket message (in buffers that grow
//! by doubling as bytes arrive) and `max_queued_events` events. What waits to be written is `max_queued_replies` bytes of
//! responses and one response more, however long its body, and media up to `max_queued_output` bytes in all, or one
//! larger piece. Bodies are shared: what they cost is the application's, and only once where it keeps them. Requests that
//! are pipelined behind one that is being answered are not taken at all: they wait with the caller and in the kernel.
//! `None` means no limit, never 0.

use core::time::Duration;

/// Ceilings of one session; see each field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request line and its header fields: 431 beyond. 16 KiB: browsers send below 2, with many cookies 8.
    pub max_head_len: usize,
    /// Header fields of a request: 431 beyond. 64: browsers send some 20.
    pub max_headers: usize,
    /// Bytes of the target in the request line: 414 beyond. 2 KiB: a stream's name and a token.
    pub max_target_len: usize,
    /// Bytes of a request's body: 413 beyond. 64 KiB: what the API takes are a few values.
    pub max_body_len: usize,
    /// Bytes of a WebSocket message of the client, all its frames together: close code 1009 beyond. 64 KiB.
    pub max_message_len: usize,
    /// Events that wait for `poll_event` before reading stops. 64: only WebSocket messages make more than one.
    pub max_queued_events: usize,
    /// Bytes that wait to be written before media is refused. 8 MiB: some seconds of video.
    pub max_queued_output: usize,
    /// Bytes of responses (all but streamed bodies) that wait to be written before reading stops; the one that reaches
    /// them is queued whole. 64 KiB: keeps a peer that pipelines requests and never reads from growing the queue.
    pub max_queued_replies: usize,
    /// From the start of the session, or from the first byte of a later request, to the end of its head: 408 beyond.
    /// 10 s.
    pub head_timeout: Option<Duration>,
    /// From the end of the head to the end of the body: 408 beyond. 20 s.
    pub body_timeout: Option<Duration>,
    /// From the end of a response to the first byte of the next request. 60 s.
    pub idle_timeout: Option<Duration>,
    /// Without any byte from a WebSocket client, and with nothing that waits to be written to it, before it is pinged.
    /// 30 s: proxies drop silent connections after 60.
    pub ping_interval: Option<Duration>,
    /// From a ping to any byte of the WebSocket client, while nothing waits to be written to it. 60 s.
    pub ping_timeout: Duration,
    /// From our close, once everything is written, to the peer's: time for it to read the last response. For who was too
    /// slow from our close on. 2 s.
    pub linger_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_head_len: 16 << 10,
            max_headers: 64,
            max_target_len: 2 << 10,
            max_body_len: 64 << 10,
            max_message_len: 64 << 10,
            max_queued_events: 64,
            max_queued_output: 8 << 20,
            max_queued_replies: 64 << 10,
            head_timeout: Some(Duration::from_secs(10)),
            body_timeout: Some(Duration::from_secs(20)),
            idle_timeout: Some(Duration::from_secs(60)),
            ping_interval: Some(Duration::from_secs(30)),
            ping_timeout: Duration::from_secs(60),
            linger_timeout: Duration::from_secs(2),
        }
    }
}
