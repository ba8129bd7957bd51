//! A player's connection up to its tags, by RTMP, HTTP or RTSP.
//!
//! In: readiness of the socket, in [`Line::next_tag`], which does all that can be done without waiting. Out: tags. Who
//! does not want them any more takes the socket ([`Line::into_parts`]).
//! Bounds: the tags of one read, beside what the readers of each protocol hold.

use crate::{
    http::{self, HttpUrl, PONG},
    rtsp::{RtspLine, RtspUrl},
};
use mio::{
    Interest, Registry, Token,
    net::{TcpStream, UdpSocket},
};
use std::{
    collections::VecDeque,
    fmt,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, ToSocketAddrs},
};
use weir::{
    flv::{self, Item, ReaderLimits, Tag},
    rtmp::{Event, session::State},
    server::client::{ClientOptions, Link, Role, RtmpUrl, play_request, session_config},
};

/// What a player plays.
#[derive(Clone, Debug)]
pub(crate) enum PlayUrl {
    Rtmp(RtmpUrl),
    Http(HttpUrl),
    Rtsp(RtspUrl),
}

/// How somebody who reads nothing tells that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignOfLife {
    /// By acknowledgements, of all bytes from the first on.
    Acknowledgement,
    /// By WebSocket's pongs.
    Pong,
    /// By receiver reports.
    Report,
    /// Its system acknowledges what comes.
    None,
}

/// See the module.
pub(crate) enum Line {
    Rtmp(Box<RtmpLine>),
    Http(Box<HttpLine>),
    Rtsp(Box<RtspLine>),
}

/// What is left of a line whose tags nobody wants any more.
pub(crate) struct Parts {
    pub(crate) socket: TcpStream,
    /// Of RTSP by UDP: where the packets of each track come, and where its reports go from.
    pub(crate) tracks: Vec<(UdpSocket, UdpSocket)>,
    pub(crate) sign: SignOfLife,
    /// Bytes that the server thinks are acknowledged.
    pub(crate) acknowledged: u64,
    /// Bytes that have come.
    pub(crate) received: u64,
}

pub(crate) struct RtmpLine {
    link: Link,
    url: RtmpUrl,
}

pub(crate) struct HttpLine {
    socket: TcpStream,
    is_web_socket: bool,
    /// What the socket has not taken.
    unsent: Vec<u8>,
    response: http::Reader,
    flv: flv::Reader,
    tags: VecDeque<Tag>,
    bytes_in: u64,
}

impl PlayUrl {
    /// Of `--play`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<PlayUrl, String> {
        if text.starts_with("rtsp") {
            text.parse().map(PlayUrl::Rtsp)
        } else {
            text.parse().map(PlayUrl::Http)
        }
    }

    /// The same place for the stream with that number.
    pub(crate) fn numbered(&self, number: usize) -> PlayUrl {
        match self {
            PlayUrl::Rtmp(url) => PlayUrl::Rtmp(url.clone()),
            PlayUrl::Http(url) => PlayUrl::Http(url.numbered(number)),
            PlayUrl::Rtsp(url) => PlayUrl::Rtsp(url.numbered(number)),
        }
    }

    /// The first address of its host.
    pub(crate) fn resolve(&self) -> io::Result<SocketAddr> {
        let first = match self {
            PlayUrl::Rtmp(url) => (&*url.host, url.port).to_socket_addrs()?.next(),
            PlayUrl::Http(url) => url.authority.to_socket_addrs()?.next(),
            PlayUrl::Rtsp(url) => url.authority.to_socket_addrs()?.next(),
        };
        first.ok_or_else(|| io::Error::new(ErrorKind::NotFound, "host has no address"))
    }
}

impl fmt::Display for PlayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlayUrl::Rtmp(url) => url.fmt(f),
            PlayUrl::Http(url) => url.fmt(f),
            PlayUrl::Rtsp(url) => url.fmt(f),
        }
    }
}

impl Line {
    /// A player over a socket that is connecting or connected.
    pub(crate) fn new(
        url: &PlayUrl,
        mut socket: TcpStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Line> {
        Ok(match url {
            PlayUrl::Rtmp(url) => {
                let config = session_config(url, &ClientOptions::default(), Role::Player);
                let link = Link::new(socket, config, registry, token)?;
                Line::Rtmp(Box::new(RtmpLine { link, url: url.clone() }))
            }
            PlayUrl::Rtsp(url) => Line::Rtsp(Box::new(RtspLine::new(url, socket, registry, token)?)),
            PlayUrl::Http(url) => {
                registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
                Line::Http(Box::new(HttpLine {
                    socket,
                    is_web_socket: url.is_web_socket,
                    unsent: url.request(),
                    response: http::Reader::new(url.is_web_socket),
                    flv: flv::Reader::new(ReaderLimits::default()),
                    tags: VecDeque::new(),
                    bytes_in: 0,
                }))
            }
        })
    }

    /// Writes and reads until there is a tag or nothing more can be done now. `buffer` is scratch space; its size is
    /// how much is read at once.
    ///
    /// # Errors
    /// Why it is over.
    pub(crate) fn next_tag(&mut self, buffer: &mut [u8]) -> Result<Option<Tag>, String> {
        match self {
            Line::Rtmp(line) => line.next_tag(buffer),
            Line::Http(line) => line.next_tag(buffer),
            Line::Rtsp(line) => line.next_tag(buffer),
        }
    }

    /// Bytes that have come.
    pub(crate) fn bytes_in(&mut self) -> u64 {
        match self {
            Line::Rtmp(line) => line.link.session().stats().bytes_in,
            Line::Http(line) => line.bytes_in,
            Line::Rtsp(line) => line.bytes_in(),
        }
    }

    /// Tells the server that this player lives, where it would not by itself.
    pub(crate) fn keep_alive(&mut self) {
        match self {
            Line::Http(line) if line.is_web_socket && line.unsent.is_empty() => line.unsent.extend(PONG),
            Line::Rtsp(line) => line.keep_alive(),
            // The session answers pings, and acknowledges.
            _ => {}
        }
    }

    /// Tags come in the order in which they were published; by RTSP, those of each kind do.
    pub(crate) fn is_ordered(&self) -> bool {
        !matches!(self, Line::Rtsp(_))
    }

    /// Gives up the session.
    ///
    /// # Errors
    /// If the server does not read what the player must have said by now.
    pub(crate) fn into_parts(self) -> Result<Parts, String> {
        let (socket, sign, acknowledged, received) = match self {
            Line::Rtmp(mut line) => {
                // Half an acknowledgement would spoil those that are going to be written past the session.
                line.link.flush().map_err(|error| error.to_string())?;
                if line.link.session().output_len() > 0 {
                    return Err("server does not read".into());
                }
                let taken = line.link.session().stats().bytes_in;
                let (socket, unread) = line.link.into_socket();
                (socket, SignOfLife::Acknowledgement, taken, taken + unread.len() as u64)
            }
            Line::Http(mut line) => {
                line.flush()?;
                if !line.unsent.is_empty() {
                    return Err("server does not read".into());
                }
                let sign = if line.is_web_socket { SignOfLife::Pong } else { SignOfLife::None };
                (line.socket, sign, line.bytes_in, line.bytes_in)
            }
            Line::Rtsp(line) => return line.into_parts(),
        };
        Ok(Parts { socket, tracks: Vec::new(), sign, acknowledged, received })
    }
}

impl RtmpLine {
    fn next_tag(&mut self, buffer: &mut [u8]) -> Result<Option<Tag>, String> {
        let link = &mut self.link;
        while let Some(event) = link.next_event(buffer).map_err(|error| error.to_string())? {
            match event {
                Event::Connected(_) => {
                    link.session().create_stream().map_err(|error| error.to_string())?;
                }
                Event::StreamCreated { stream, .. } => {
                    let play = play_request(stream, &self.url);
                    link.session().play(&play).map_err(|error| error.to_string())?;
                    link.session().set_buffer_length(stream, 3000).map_err(|error| error.to_string())?;
                }
                Event::Status { status, .. } if status.level == "error" => {
                    return Err(format!("{}: {}", status.code, status.description));
                }
                Event::Tag { tag, .. } => return Ok(Some(tag)),
                _ => {}
            }
        }
        if link.state() == State::Closed { Err("server closed the connection".into()) } else { Ok(None) }
    }
}

impl HttpLine {
    fn next_tag(&mut self, buffer: &mut [u8]) -> Result<Option<Tag>, String> {
        loop {
            if let Some(tag) = self.tags.pop_front() {
                return Ok(Some(tag));
            }
            self.flush()?;
            match self.socket.read(buffer) {
                Ok(0) => return Err("server closed the connection".into()),
                Ok(count) => self.take(&buffer[..count])?,
                Err(error) if is_unready(&error) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn take(&mut self, mut input: &[u8]) -> Result<(), String> {
        self.bytes_in += input.len() as u64;
        while let Some(mut part) = self.response.read(&mut input)? {
            while let Some(item) = self.flv.read(&mut part).map_err(|error| error.to_string())? {
                match item {
                    Item::Tag { tag, .. } => self.tags.push_back(tag),
                    Item::Damage { offset, len } => {
                        return Err(format!("{len} bytes at {offset} are no FLV tag"));
                    }
                    Item::Header { .. } => {}
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if is_unready(&error) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }
}

/// Connecting, or full, or empty.
fn is_unready(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
