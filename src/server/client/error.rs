//! What can go wrong with a client's connection. Each says with whom, and during what.

use super::{RtspUrl, url::UrlError};
use crate::rtmp::{Error, session::Status};
use alloc::{boxed::Box, string::String};
use core::{fmt, net::SocketAddr};
use std::io;

/// Why a publisher or player ended. Shows no query strings.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL cannot be used.
    Url(UrlError),
    /// The host has no address.
    Resolve {
        /// Host and port.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// No connection, or one that broke.
    Io {
        /// The server.
        peer: SocketAddr,
        /// What was under way.
        during: Step,
        /// What the system said.
        error: io::Error,
    },
    /// The server sent something that ends the session.
    Session {
        /// The server.
        peer: SocketAddr,
        /// What was under way.
        during: Step,
        /// What it sent, and where.
        error: Error,
    },
    /// The server said no, at once or later.
    Refused {
        /// The server.
        peer: SocketAddr,
        /// What was under way.
        during: Step,
        /// Its `code`: "NetStream.Publish.BadName", ...
        code: String,
        /// Its `description`.
        description: String,
    },
    /// A conversation by RTSP came to an end.
    Rtsp {
        /// The server.
        peer: SocketAddr,
        /// What it refused, or what is wrong with what it said.
        why: String,
    },
    /// The server wants its clients elsewhere.
    Moved(Box<RtspUrl>),
    /// The same, from one to the other.
    MovedTooOften(Box<RtspUrl>),
    /// [`super::Interrupt`] was raised.
    Interrupted {
        /// What was under way.
        during: Step,
    },
    /// Nothing came, or nothing was taken, for too long.
    TimedOut {
        /// The server.
        peer: SocketAddr,
        /// What was under way.
        during: Step,
    },
    /// The server closed the connection.
    Closed {
        /// The server.
        peer: SocketAddr,
        /// What was under way.
        during: Step,
    },
}

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening the TCP connection.
    Dial,
    /// Handshake and `connect`.
    Connect,
    /// `createStream`.
    CreateStream,
    /// `publish`, until Publish.Start.
    Publish,
    /// `play`, until Play.Start.
    Play,
    /// Media flows.
    Media,
    /// Ending properly.
    Finish,
}

impl ClientError {
    pub(super) fn refused(peer: SocketAddr, during: Step, status: Status) -> ClientError {
        ClientError::Refused { peer, during, code: status.code, description: status.description }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Url(error) => write!(f, "{error}"),
            ClientError::Resolve { host, error } => write!(f, "{host}: {error}"),
            ClientError::Io { peer, during, error } => write!(f, "{peer}: {during}: {error}"),
            ClientError::Session { peer, during, error } => write!(f, "{peer}: {during}: {error}"),
            ClientError::Refused { peer, during, code, description } => {
                write!(f, "{peer}: {during}: refused with {code}")?;
                if description.is_empty() { Ok(()) } else { write!(f, ": {description}") }
            }
            ClientError::Rtsp { peer, why } => write!(f, "{peer}: {why}"),
            ClientError::Moved(url) => write!(f, "moved to {url}"),
            ClientError::MovedTooOften(url) => write!(f, "moved too often, the last time to {url}"),
            ClientError::Interrupted { during } => write!(f, "{during}: interrupted"),
            ClientError::TimedOut { peer, during } => write!(f, "{peer}: {during}: timed out"),
            ClientError::Closed { peer, during } => {
                write!(f, "{peer}: {during}: server closed the connection")
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Dial => "connection",
            Step::Connect => "connect",
            Step::CreateStream => "createStream",
            Step::Publish => "publish",
            Step::Play => "play",
            Step::Media => "media",
            Step::Finish => "end",
        })
    }
}

impl core::error::Error for ClientError {}

impl From<UrlError> for ClientError {
    fn from(error: UrlError) -> ClientError {
        ClientError::Url(error)
    }
}
