//! Every ceiling of an RTSP session, with its default and the reason for it.
//!
//! A peer can make a session hold at most one head and one body, or one interleaved frame (in buffers that grow as bytes
//! arrive), and `max_queued_events` events. What waits to be written is `max_queued_replies` bytes of answers and one
//! answer more, and media up to `max_queued_output` bytes in all, or one larger piece. `None` means no limit, never 0.

use core::time::Duration;

/// Ceilings of one session; see each field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request or status line and its header fields: 400 beyond. 8 KiB: clients send some 500.
    pub max_head_len: usize,
    /// Header fields of a message: 400 beyond. 100: GStreamer's first OPTIONS has 12.
    pub max_headers: usize,
    /// Bytes of the URL in a request line: 414 beyond. 4 KiB: a stream's name and a token.
    pub max_url_len: usize,
    /// Bytes of a message's body: 413 beyond. 64 KiB: an SDP of 16 tracks has 5.
    pub max_body_len: usize,
    /// Events that wait for `poll_event` before reading stops. 256: interleaved frames, of which one read brings some 50.
    pub max_queued_events: usize,
    /// Bytes that wait to be written before media is refused. 8 MiB: some seconds of video.
    pub max_queued_output: usize,
    /// Bytes of answers that wait to be written before reading stops; the one that reaches them is queued whole. 64 KiB:
    /// keeps a peer that pipelines requests and never reads from growing the queue.
    pub max_queued_replies: usize,
    /// Answers 401 to one connection: behind the last one it closes. 8: a client asks for each track without being told
    /// once, and a person mistypes.
    pub max_challenges: u32,
    /// From the start of the session, or from the first byte of a later message, to its end, as long as nothing is set up:
    /// 408 beyond. 10 s.
    pub message_timeout: Option<Duration>,
    /// Between two messages, as long as nothing is set up. 60 s: people type their passwords.
    pub idle_timeout: Option<Duration>,
    /// Added to the timeout that the client is told, before its silence ends the session. 10 s: some refresh it at the very
    /// last moment.
    pub session_grace: Duration,
    /// How long a publisher may send nothing over the connection itself. 30 s: by then its stream has been lost to players, and
    /// whoever comes back finds it taken.
    pub publisher_timeout: Option<Duration>,
    /// As a client: from a request to its answer. 10 s: a server may have to wait for the stream's first keyframe.
    pub answer_timeout: Option<Duration>,
    /// From our close, once everything is written, to the peer's: time for it to read the last answer. For who was too
    /// slow from our close on. 2 s.
    pub linger_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_head_len: 8 << 10,
            max_headers: 100,
            max_url_len: 4 << 10,
            max_body_len: 64 << 10,
            max_queued_events: 256,
            max_queued_output: 8 << 20,
            max_queued_replies: 64 << 10,
            max_challenges: 8,
            message_timeout: Some(Duration::from_secs(10)),
            idle_timeout: Some(Duration::from_secs(60)),
            session_grace: Duration::from_secs(10),
            publisher_timeout: Some(Duration::from_secs(30)),
            answer_timeout: Some(Duration::from_secs(10)),
            linger_timeout: Duration::from_secs(2),
        }
    }
}
