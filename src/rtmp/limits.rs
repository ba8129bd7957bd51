//! Every ceiling of the protocol core, with its default and the reason for it.
//!
//! A peer can make a session hold at most `max_partial_bytes` of unfinished messages (in buffers that grow by
//! doubling, so up to twice that), one message under decoding, `max_queued_events` events and `max_queued_output`
//! bytes of output (a reply to one message may pass the last two by that one reply). `None` means no limit, never 0.

use crate::amf::{Budget, DecodeErrorKind};
use core::{fmt, time::Duration};

/// Ceilings of one session. Everything has a default that suits live streaming; see each field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one audio, video, data or aggregate message. 16 MiB, the most that the 24-bit length can say: a
    /// 4K keyframe can pass 4 MiB, and memory is only taken as bytes arrive.
    pub max_message_len: u32,
    /// Bytes of one message that is no command, before the peer may send media: a client before it has published, a
    /// server before it is asked to play. 64 KiB: anybody may connect, and would otherwise make us hold 16 MiB.
    pub max_early_message_len: u32,
    /// Bytes of one command message. 64 KiB: the longest real `connect` is below 1 KiB.
    pub max_command_len: u32,
    /// Bytes of all unfinished messages of the connection together. 20 MiB: one message of the greatest size and
    /// room for what interleaves with it.
    pub max_partial_bytes: usize,
    /// Chunk streams a peer may use. 64: real clients use up to 8.
    pub max_chunk_streams: usize,
    /// Message streams of one connection. 32: real clients use 1, Flash applications a few. One more is answered
    /// with `_error`, and nothing else is lost.
    pub max_message_streams: usize,
    /// Bytes of an app, stream name, URL or other string that is kept. 4 KiB.
    pub max_name_len: usize,
    /// Nesting of AMF objects and arrays. 32.
    pub max_amf_depth: usize,
    /// AMF values in one message. 100 000: a keyframe index in `onMetaData` holds that many numbers. A short message
    /// has fewer: 64 more than it has bytes, counting what references repeat.
    pub max_amf_values: usize,
    /// Events that wait for `poll_event` before reading stops. 256.
    pub max_queued_events: usize,
    /// Bytes that wait to be written before `send_tag` refuses. 8 MiB: some seconds of video.
    pub max_queued_output: usize,
    /// Bytes of replies (all but media) that wait to be written before reading stops. 64 KiB: keeps a peer that
    /// asks and never reads from growing the queue.
    pub max_queued_replies: usize,
    /// Inbound chunks that carry no or one byte, in a row, before the peer is called hostile. 65 536: a chunk
    /// size of 1 is legal, an endless stream of empty messages is not work worth doing.
    pub max_tiny_chunks: u32,
    /// From the start of the session, before any byte, to the end of the handshake. 10 s.
    pub handshake_timeout: Option<Duration>,
    /// From the end of the handshake to `connect`, and from there, as long as no stream publishes or plays, to
    /// the next command; not while connect waits for its decision. 30 s.
    pub command_timeout: Option<Duration>,
    /// Without a media message from a publisher. 60 s: OBS stays silent for up to 3 s after Publish.Start, others
    /// longer while their source starts.
    pub publish_timeout: Option<Duration>,
    /// Without any byte from the peer before it is pinged. 30 s.
    pub ping_interval: Option<Duration>,
    /// From a ping to any byte of the peer. 60 s: a paused GStreamer pipeline answers late.
    pub ping_timeout: Duration,
    /// From our close to the peer's: time for it to read the last status. 2 s.
    pub linger_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_message_len: 0xff_ffff,
            max_early_message_len: 64 << 10,
            max_command_len: 64 << 10,
            max_partial_bytes: 20 << 20,
            max_chunk_streams: 64,
            max_message_streams: 32,
            max_name_len: 4 << 10,
            max_amf_depth: Budget::DEFAULT_DEPTH,
            max_amf_values: Budget::DEFAULT_VALUES,
            max_queued_events: 256,
            max_queued_output: 8 << 20,
            max_queued_replies: 64 << 10,
            max_tiny_chunks: 1 << 16,
            handshake_timeout: Some(Duration::from_secs(10)),
            command_timeout: Some(Duration::from_secs(30)),
            publish_timeout: Some(Duration::from_secs(60)),
            ping_interval: Some(Duration::from_secs(30)),
            ping_timeout: Duration::from_secs(60),
            linger_timeout: Duration::from_secs(2),
        }
    }
}

impl From<&Limits> for Budget {
    fn from(limits: &Limits) -> Budget {
        Budget::new(limits.max_amf_depth, limits.max_amf_values)
    }
}

/// Which ceiling a peer ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::max_message_len`]
    MessageLen,
    /// [`Limits::max_early_message_len`]
    EarlyMessageLen,
    /// [`Limits::max_command_len`]
    CommandLen,
    /// [`Limits::max_partial_bytes`]
    PartialBytes,
    /// [`Limits::max_chunk_streams`]
    ChunkStreams,
    /// [`Limits::max_name_len`]
    NameLen,
    /// [`Limits::max_amf_depth`]
    AmfDepth,
    /// [`Limits::max_amf_values`]
    AmfValues,
    /// [`Limits::max_tiny_chunks`]
    TinyChunks,
}

impl Limit {
    /// The one that AMF passed, if it did.
    pub(super) const fn of_amf(kind: DecodeErrorKind) -> Option<Limit> {
        match kind {
            DecodeErrorKind::TooDeep => Some(Limit::AmfDepth),
            DecodeErrorKind::TooManyValues => Some(Limit::AmfValues),
            _ => None,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::MessageLen => "message longer than max_message_len",
            Limit::EarlyMessageLen => "message longer than max_early_message_len before media is due",
            Limit::CommandLen => "command longer than max_command_len",
            Limit::PartialBytes => "unfinished messages hold more than max_partial_bytes",
            Limit::ChunkStreams => "more chunk streams than max_chunk_streams",
            Limit::NameLen => "name longer than max_name_len",
            Limit::AmfDepth => "AMF nested deeper than max_amf_depth",
            Limit::AmfValues => "more AMF values than max_amf_values",
            Limit::TinyChunks => "more empty chunks in a row than max_tiny_chunks",
        })
    }
}
