//! What a session tells its driver.
//!
//! Some events ask for a decision and carry a [`RequestId`]: answer each with `accept`, `reject` or `reply`.
//! Until then the session parses nothing that follows (so media cannot overtake the decision on `publish`), and
//! TCP slows the peer. Media events carry ids, never names.

use crate::{
    amf::{Object, Value},
    flv::Tag,
    rtmp::{MessageStreamId, message::Ignored},
};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::time::Duration;

/// A pending decision. Used up by `accept`, `reject` or `reply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub(super) u32);

/// Transaction id of a command that we sent as a client; its reply carries the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub u32);

/// Something happened. Grouped by phase; each says which role sees it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    // ---- opening
    /// Both roles, once: the handshake is over. Not followed by anything if the peer then stays silent.
    HandshakeDone {
        /// Both sides proved the Adobe digests; otherwise the simple form was used.
        digest: bool,
    },
    /// Server, decision: the peer wants to use an application. `accept` sends window sizes, chunk size and
    /// `_result`; `reject` sends `_error` and closes.
    Connect {
        /// Answer with this.
        request: RequestId,
        /// What the peer said of itself.
        connect: Box<Connect>,
    },
    /// Client, once: the server accepted `connect`. A rejection is [`Event::ConnectRejected`] instead.
    Connected(Box<Connected>),
    /// Client: the server refused `connect`; the session closes.
    ConnectRejected(Box<Status>),

    // ---- streams
    /// Client: the answer to `create_stream`.
    StreamCreated {
        /// The one `create_stream` returned.
        transaction: TransactionId,
        /// Use this for `publish` or `play`.
        stream: MessageStreamId,
    },
    /// Server, decision: the peer wants to publish. Sent before any reply, also when the name is empty. `accept`
    /// sends StreamBegin and Publish.Start; `reject` sends the status and closes after the linger time.
    Publish {
        /// Answer with this.
        request: RequestId,
        /// Where and how.
        publish: Box<Publish>,
    },
    /// Server, decision: the peer wants to play. `accept` sends StreamBegin, Play.Reset, Play.Start and sample
    /// access; send media afterwards. `accept_recorded` sends StreamIsRecorded before them, and NetStream.Data.Start
    /// behind. On a stream that plays already, both make this replace what it plays, with
    /// no `StreamEnded`; after `reject` that goes on, and after `accept_later`, for which the peer has to wait.
    Play {
        /// Answer with this.
        request: RequestId,
        /// What and from where.
        play: Box<Play>,
    },
    /// Server, decision: switch to another stream without touching the timeline. `accept` and `accept_recorded` send
    /// Play.Transition.
    Play2 {
        /// Answer with this.
        request: RequestId,
        /// What to switch to.
        play2: Box<Play2>,
    },
    /// Server, decision, only on a playing stream: `accept` sends Pause.Notify and StreamEOF, or Unpause.Notify
    /// and StreamBegin.
    Pause {
        /// Answer with this.
        request: RequestId,
        /// The playing stream.
        stream: MessageStreamId,
        /// Pause or go on.
        paused: bool,
        /// The client's position in milliseconds.
        position: u32,
    },
    /// Server, decision, only on a playing stream: `accept` sends Seek.Notify and StreamBegin, if it plays something
    /// recorded StreamIsRecorded between them, and Play.Start and NetStream.Data.Start behind.
    Seek {
        /// Answer with this.
        request: RequestId,
        /// The playing stream.
        stream: MessageStreamId,
        /// Target in milliseconds.
        position: u32,
    },
    /// Server, on a playing stream: audio wanted or not (`receiveAudio`). Before playing: [`Play::wanted`].
    ReceiveAudio {
        /// The playing stream.
        stream: MessageStreamId,
        /// Send audio.
        wanted: bool,
    },
    /// Server, on a playing stream: video wanted or not (`receiveVideo`). When wanted again, resume with a
    /// keyframe. Before playing: [`Play::wanted`].
    ReceiveVideo {
        /// The playing stream.
        stream: MessageStreamId,
        /// Send video.
        wanted: bool,
    },
    /// Server: the client's buffer (Set Buffer Length), capped at one hour. May come before `play`.
    BufferLength {
        /// Of this stream; 0 is the connection.
        stream: MessageStreamId,
        /// How much media the client wants ahead.
        length: Duration,
    },
    /// Server: the peer ended what this stream did, by FCUnpublish, closeStream, deleteStream, or by publish or
    /// play of nothing. Sent once for what the stream did, however often that was replaced, and not when the
    /// connection breaks.
    StreamEnded {
        /// The stream; its id stays usable after closeStream and FCUnpublish.
        stream: MessageStreamId,
    },

    // ---- media
    /// Both roles: a tag. From a publisher on an accepted stream, or from the server on a playing one. Not for
    /// tags on other streams: those are ignored.
    Tag {
        /// The stream.
        stream: MessageStreamId,
        /// Audio, video or data.
        tag: Tag,
    },

    // ---- commands
    /// Server, decision: a command that this crate gives no meaning to, or getStreamLength. `reply` answers with
    /// values, getStreamLength with seconds; `accept` answers `_result` null, getStreamLength with 0 for
    /// "live or unknown"; `reject` answers `_error` NetConnection.Call.Failed. With transaction id 0 none of these sends
    /// anything.
    Call {
        /// Answer with this.
        request: RequestId,
        /// The command.
        call: Box<Call>,
    },
    /// Client: the reply to a command, `_result` or `_error`, other than those of connect and createStream (a
    /// failed createStream comes here).
    Reply {
        /// The one the sending call returned.
        transaction: TransactionId,
        /// `_result`, not `_error`.
        is_ok: bool,
        /// Everything after the transaction id.
        values: Vec<Value>,
    },
    /// Client: onStatus, for example NetStream.Play.Start.
    Status {
        /// The stream; 0 is the connection.
        stream: MessageStreamId,
        /// The information object.
        status: Box<Status>,
    },
    /// Client: user control of a stream.
    StreamNotice {
        /// The stream; 0 is the connection.
        stream: MessageStreamId,
        /// Which.
        notice: StreamNotice,
    },

    // ---- rest
    /// Both roles: the peer sent the `close` command; the session closes as well.
    PeerClosing,
    /// Both roles: something was skipped. For logs and transcripts; needs no reaction.
    Ignored {
        /// Message type id.
        message_type: u8,
        /// Why.
        why: Ignored,
    },
}

impl Event {
    /// The decision that the event asks for, if it asks for one.
    pub const fn request(&self) -> Option<RequestId> {
        match self {
            Event::Connect { request, .. }
            | Event::Publish { request, .. }
            | Event::Play { request, .. }
            | Event::Play2 { request, .. }
            | Event::Pause { request, .. }
            | Event::Seek { request, .. }
            | Event::Call { request, .. } => Some(*request),
            _ => None,
        }
    }
}

/// User control events a server sends about a stream (RTMP 1.0, 7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamNotice {
    /// 0
    Begin,
    /// 1
    Eof,
    /// 2
    Dry,
    /// 4
    IsRecorded,
    /// 31
    BufferEmpty,
    /// 32
    BufferReady,
}

/// `connect`: what the peer says of itself (rtmp 9; E-RTMP capabilities).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connect {
    /// Application, as sent: may hold an instance, slashes and a query.
    pub app: String,
    /// `scheme://host[:port]/app`; often absent.
    pub tc_url: String,
    /// "FMLE/3.0 (compatible; ...)", "LNX 9,0,124,2", ...
    pub flash_ver: String,
    /// 0 for AMF0, 3 for AMF3. Echoed in the reply.
    pub object_encoding: f64,
    /// What the peer can do with enhanced tags.
    pub capabilities: Capabilities,
    /// All properties, these included, in the order sent.
    pub properties: Object,
    /// Values behind the command object.
    pub args: Vec<Value>,
}

/// E-RTMP capabilities of a peer; all empty for one that announced nothing (OBS, every ffmpeg player).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// FourCCs of `fourCcList` and of both info maps; "*" means any.
    pub fourccs: Vec<String>,
    /// `capsEx`: 0x01 reconnect, 0x02 multitrack, 0x04 ModEx, 0x08 nanosecond offsets.
    pub caps_ex: u32,
}

/// The server's answer to `connect`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connected {
    /// fmsVer, capabilities, ...
    pub properties: Object,
    /// level, code, description, objectEncoding, ...
    pub info: Object,
}

/// `publish`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// On this message stream.
    pub stream: MessageStreamId,
    /// Stream key as sent: may hold slashes and a query.
    pub name: String,
    /// Live or to a file.
    pub kind: PublishType,
}

/// Second argument of `publish`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishType {
    /// "live", absent or unknown.
    #[default]
    Live,
    /// "record": also to a new file.
    Record,
    /// "append": also to the end of a file ("appendWithGap" likewise).
    Append,
}

/// `play`. Times are milliseconds, as clients send them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// On this message stream.
    pub stream: MessageStreamId,
    /// Stream name as sent: may hold a prefix, slashes and a query.
    pub name: String,
    /// Live, recorded, or whichever there is.
    pub start: PlayStart,
    /// How long; `None` until the end.
    pub duration: Option<u32>,
    /// Flush the playlist, or append to it.
    pub reset: bool,
    /// Which media to send, if receiveAudio or receiveVideo came first.
    pub wanted: Wanted,
}

/// What a player wants of a stream: all, unless receiveAudio or receiveVideo said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Send audio.
    pub audio: bool,
    /// Send video.
    pub video: bool,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted { audio: true, video: true }
    }
}

/// Third value of `play`: -2 and -2000, -1 and -1000, or a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlayStart {
    /// -2: live, else recorded, else wait for live.
    #[default]
    LiveOrRecorded,
    /// -1: live; wait if it is not published.
    Live,
    /// Recorded, from this many milliseconds.
    At(u32),
}

/// `play2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play2 {
    /// On this message stream.
    pub stream: MessageStreamId,
    /// What plays now; may be empty.
    pub old_name: String,
    /// What to play.
    pub name: String,
    /// "switch", "swap", "append", ...
    pub transition: String,
    /// Which media to send.
    pub wanted: Wanted,
}

/// A command without a meaning of its own here.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// On this message stream; 0 is the connection.
    pub stream: MessageStreamId,
    /// Its name.
    pub name: String,
    /// Everything behind the command object.
    pub args: Vec<Value>,
}

/// An information object: of onStatus, or of a rejected connect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// "status", "warning" or "error".
    pub level: String,
    /// "NetStream.Play.Start", ...
    pub code: String,
    /// For people.
    pub description: String,
    /// All properties, these included.
    pub info: Object,
}

/// Why the server says no. One function maps it, with what was asked, to the status the peer gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// Policy; the text goes to the peer: "publishing is allowed from ... only".
    NotAllowed(String),
    /// Somebody else publishes under that name.
    NameTaken,
    /// Empty, too long, or leads outside. The text says which.
    InvalidName(String),
    /// No such application.
    NoSuchApp,
    /// Nothing to play under that name.
    NotFound,
    /// Seek outside of the recording; holds the last valid position in milliseconds.
    InvalidTime(u32),
    /// Seek where there is none (live).
    NotSeekable,
    /// What was recorded is damaged; the text says how.
    Damaged(String),
    /// What was recorded holds nothing that can be played; the text says why.
    NothingPlayable(String),
    /// Anything else; the text goes to the peer.
    Failed(String),
}

/// What a server tells a client about its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The stream is live (again): StreamBegin, Play.PublishNotify.
    Published,
    /// The publisher ended: StreamEOF (ends GStreamer), Play.UnpublishNotify (ends ffmpeg).
    Unpublished,
    /// What was recorded is sent and another entry of the playlist follows: onPlayStatus with NetStream.Play.Switch.
    Switched(Sent),
    /// An entry of the playlist begins: what `accept` or `accept_recorded` send of it, without Play.Reset.
    Begins {
        /// As the peer called it.
        name: String,
        /// It is recorded, not live.
        is_recorded: bool,
    },
    /// What play2 asked for is being sent: onPlayStatus with NetStream.Play.TransitionComplete.
    Transitioned(Sent),
    /// All that was asked for is sent: onPlayStatus with NetStream.Play.Complete before Play.Stop, at which players leave,
    /// then StreamEOF. The stream still plays: a seek or another play may follow.
    Complete(Sent),
    /// Nothing will come for a while: StreamDry.
    Dry,
    /// To a publisher: what it sends is being recorded: Record.Start.
    RecordStarted,
    /// To a publisher, also when it has just stopped: the recording is complete: Record.Stop.
    RecordStopped,
    /// To a publisher: the recording has failed, and its stream goes on: Record.Failed, of level "error".
    RecordFailed,
}

/// What was sent of an entry, for onPlayStatus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Milliseconds.
    pub duration: u32,
    /// Of media.
    pub bytes: u64,
}
