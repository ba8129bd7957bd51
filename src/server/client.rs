//! Blocking clients. Of RTMP: a [`Publisher`] that takes tags, a [`Player`] that gives them.
//!
//! In: a URL and options. The command flow is that of known clients: `connect`; a publisher then sends
//! releaseStream and FCPublish as FMLE did, whose answers are optional; `createStream`; `publish` or `play`; and at
//! the end FCUnpublish, deleteStream, close. Each call has a deadline and drives the connection (acknowledgements,
//! pings) while it waits, so between calls nothing moves: come back within the server's ping timeout.
//! An [`Interrupt`] ends any wait, an [`Observer`] sees the bytes.
//! Of RTSP: `rtsp`.
//! Not here: the protocol ([`Session`](crate::rtmp::Session)), pacing, files, reconnecting.
//! Bounds: the session's [`Limits`]; output waits at 256 KiB.

mod conversation;
mod dial;
pub mod error;
pub mod interrupt;
pub mod link;
pub mod observer;
pub(super) mod rtsp;
mod rtsp_url;
mod stream_url;
pub mod url;

pub use error::{ClientError, Step};
pub use interrupt::Interrupt;
pub use link::{ClientSession, Link, LinkError};
pub use observer::{Observer, Seen};
pub use rtsp_url::{RTSP_PORT, RtspUrl};
pub use stream_url::StreamUrl;
pub use url::{RtmpUrl, UrlError};

use super::rtsp::DEFAULT_PORTS;
use crate::{
    flv::{Tag, TagKind, data},
    rtmp::{
        ClientConfig, Event, Limits, MessageStreamId,
        session::{Play, PlayStart, PublishType, StreamNotice, Wanted},
    },
};
use alloc::{format, string::String};
use conversation::Conversation;
use core::{mem, ops::RangeInclusive, time::Duration};
use std::time::Instant;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// For each step of the opening, and for the server to take output. 10 s.
    pub timeout: Duration,
    /// What it calls itself (`flashVer`).
    pub flash_ver: String,
    /// Offer the digest handshake; some servers then prove themselves as Adobe's did. Off.
    pub offer_digest: bool,
    /// What a player asks for with Set Buffer Length. 3 s, as ffmpeg.
    pub buffer: Duration,
    /// What a player asks for: live, recorded from a position, or whichever there is, which is the default.
    pub start: PlayStart,
    /// So many milliseconds of it; all, by default.
    pub duration: Option<u32>,
    /// Ceilings of the session.
    pub limits: Limits,
    /// Where packets by UDP come and go.
    pub rtp_ports: RangeInclusive<u16>,
    /// Ends a wait from another thread.
    pub interrupt: Interrupt,
    /// Sees the conversation.
    pub observer: Option<Observer>,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            timeout: Duration::from_secs(10),
            flash_ver: format!("FMLE/3.0 (compatible; weir {})", env!("CARGO_PKG_VERSION")),
            offer_digest: false,
            buffer: Duration::from_secs(3),
            start: PlayStart::LiveOrRecorded,
            duration: None,
            limits: Limits::default(),
            rtp_ports: DEFAULT_PORTS,
            interrupt: Interrupt::default(),
            observer: None,
        }
    }
}

/// What `connect` says, for a publisher or a player of `url`.
pub fn session_config(url: &RtmpUrl, options: &ClientOptions, role: Role) -> ClientConfig {
    ClientConfig {
        limits: options.limits.clone(),
        chunk_size: 65_536,
        window: 2_500_000,
        app: url.app.clone(),
        tc_url: url.tc_url(),
        flash_ver: options.flash_ver.clone(),
        is_publisher: role == Role::Publisher,
        offer_digest: options.offer_digest,
    }
}

/// Which way media will flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To the server.
    Publisher,
    /// From the server.
    Player,
}

/// Sends one stream to a server.
#[derive(Debug)]
pub struct Publisher {
    conversation: Conversation,
    stream: MessageStreamId,
}

impl Publisher {
    /// Connects and publishes live. Returns once the server has said Publish.Start.
    pub fn open(url: &RtmpUrl, options: &ClientOptions) -> Result<Publisher, ClientError> {
        let mut conversation = Conversation::open(url, options, Role::Publisher)?;
        for command in ["releaseStream", "FCPublish"] {
            conversation.call(command, &url.key)?;
        }
        let stream = conversation.create_stream()?;
        conversation.begin(Step::Publish);
        let sent = conversation.link.session().publish(stream, &url.key, PublishType::Live);
        let transaction = conversation.sent(sent)?;
        conversation.wait_for_start(transaction, &["NetStream.Publish.Start"])?;
        Ok(Publisher { conversation, stream })
    }

    /// Sends a tag. Waits, but not longer than the timeout, while the server takes less than it is given: with an
    /// empty queue the session takes a tag of any size.
    pub fn send_tag(&mut self, tag: &Tag) -> Result<(), ClientError> {
        let conversation = &mut self.conversation;
        let deadline = Instant::now() + conversation.timeout;
        conversation.drain(MAX_UNSENT, deadline)?;
        conversation.link.session().send_tag(self.stream, tag).map_err(|_| conversation.closed())?;
        conversation.drain(usize::MAX, deadline)
    }

    /// Answers the server until `deadline`: use it to pass the time between two tags.
    pub fn serve(&mut self, deadline: Instant) -> Result<(), ClientError> {
        self.conversation.listen(deadline)
    }

    /// Ends the stream and the connection properly, after all tags have been taken by the server's system.
    pub fn finish(mut self) -> Result<(), ClientError> {
        self.conversation.begin(Step::Finish);
        self.conversation.end(self.stream)
    }
}

/// Receives one stream from a server.
#[derive(Debug)]
pub struct Player {
    conversation: Conversation,
    stream: MessageStreamId,
    /// Said so, and no tag came since: servers tell it in two or three ways at once.
    has_ended: bool,
    /// Pauses whose StreamEOF has not come yet: it ends nothing.
    pauses: u32,
}

/// What a player got.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Media or data.
    Tag(Tag),
    /// The stream ended: Play.UnpublishNotify, Play.Stop or StreamEOF. If it comes back, tags follow on the same
    /// connection.
    Ended,
    /// Nothing until the deadline.
    TimedOut,
}

impl Player {
    /// Connects and plays what the options ask for. Returns once the server has said Play.Start; the first tag may be far
    /// away.
    pub fn open(url: &RtmpUrl, options: &ClientOptions) -> Result<Player, ClientError> {
        let mut conversation = Conversation::open(url, options, Role::Player)?;
        let stream = conversation.create_stream()?;
        conversation.begin(Step::Play);
        let play = Play { start: options.start, duration: options.duration, ..play_request(stream, url) };
        let sent = conversation.link.session().play(&play);
        let transaction = conversation.sent(sent)?;
        let buffer = u32::try_from(options.buffer.as_millis()).unwrap_or(u32::MAX);
        let sent = conversation.link.session().set_buffer_length(stream, buffer);
        conversation.sent(sent)?;
        conversation
            .wait_for_start(transaction, &["NetStream.Play.Start", "NetStream.Play.PublishNotify"])?;
        Ok(Player { conversation, stream, has_ended: false, pauses: 0 })
    }

    /// The server has said by now that this is a recording. The media's own times are positions in it then.
    pub fn is_recorded(&self) -> bool {
        self.conversation.is_recorded
    }

    /// The next tag, or the end of the stream. What the server itself says in data messages is no tag.
    pub fn next(&mut self, deadline: Instant) -> Result<Next, ClientError> {
        while let Some(event) = self.conversation.next_event(deadline)? {
            let is_end = match event {
                Event::Tag { stream, tag } if stream == self.stream && !is_from_server(&tag) => {
                    self.has_ended = false;
                    return Ok(Next::Tag(tag));
                }
                Event::StreamNotice { stream, notice: StreamNotice::Eof } if stream == self.stream => {
                    let is_of_a_pause = self.pauses > 0;
                    self.pauses = self.pauses.saturating_sub(1);
                    !is_of_a_pause
                }
                Event::Status { status, .. } if is_end(&status.code) => true,
                Event::Status { status, .. } => {
                    self.conversation.fail_on_error(*status)?;
                    false
                }
                _ => false,
            };
            if is_end && !mem::replace(&mut self.has_ended, true) {
                return Ok(Next::Ended);
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Ok(Next::TimedOut)
    }

    /// Goes to another position of something recorded, in milliseconds. Tags that were under way come before those from there.
    pub fn seek(&mut self, position: u32) -> Result<(), ClientError> {
        let sent = self.conversation.link.session().seek(self.stream, position);
        self.conversation.sent(sent).map(drop)
    }

    /// Pauses at a position, in milliseconds, or goes on from there.
    pub fn pause(&mut self, paused: bool, position: u32) -> Result<(), ClientError> {
        self.pauses += u32::from(paused);
        let sent = self.conversation.link.session().pause(self.stream, paused, position);
        self.conversation.sent(sent).map(drop)
    }

    /// Ends the connection properly.
    pub fn finish(mut self) -> Result<(), ClientError> {
        self.conversation.begin(Step::Finish);
        self.conversation.end(self.stream)
    }
}

/// What a player of `url` asks for: the live stream, else a recorded one.
pub fn play_request(stream: MessageStreamId, url: &RtmpUrl) -> Play {
    Play {
        stream,
        name: url.key.clone(),
        start: PlayStart::LiveOrRecorded,
        duration: None,
        reset: true,
        wanted: Wanted::default(),
    }
}

/// Codes that end what is played.
fn is_end(code: &str) -> bool {
    matches!(code, "NetStream.Play.UnpublishNotify" | "NetStream.Play.Stop")
}

/// Data messages about the connection, not of the stream.
fn is_from_server(tag: &Tag) -> bool {
    let name = (tag.kind == TagKind::Data).then(|| data::name(&tag.body)).flatten();
    matches!(name, Some("|RtmpSampleAccess" | "onStatus" | "onPlayStatus"))
}

/// Bytes that may wait in the session before [`Publisher::send_tag`] waits for the socket: little, so that a slow
/// server is felt at once.
const MAX_UNSENT: usize = 256 << 10;

#[cfg(test)]
mod tests;
