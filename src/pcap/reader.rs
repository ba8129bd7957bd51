//! Capture reader: bytes of a pcap or pcapng file -> TCP conversations.
//!
//! Sorts TCP segments by connection and direction and puts each direction in order. Not here: file and packet formats
//! (`frames`), order and gaps (`reassembly`), what the bytes mean ([`super::dissect`]).
//!
//! Bounds: memory in proportion to the file, as everything is copied at most once. Any bytes are fine as input.
//! Field notes: a new SYN on used addresses and ports starts a new conversation, a repeated SYN does not.

use super::{
    Close, Direction, Stream,
    frames::{Frame, each_frame},
    reassembly::{Reassembly, ZeroBudget},
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::{fmt, net::SocketAddr};

/// Everything TCP in a capture file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// In the order in which they begin.
    pub conversations: Vec<Conversation>,
    /// What was passed over.
    pub oddities: Vec<CaptureOddity>,
}

/// One TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The side that sent the SYN. Without one, the side that is not [`Conversation::server`].
    pub client: SocketAddr,
    /// The other side. Without a SYN: the one on port 1935, else the one with the lower port.
    pub server: SocketAddr,
    /// The SYN is in the capture, so both streams begin with their first byte.
    pub has_beginning: bool,
    /// What the client sent.
    pub from_client: Stream,
    /// What the server sent.
    pub from_server: Stream,
}

impl Conversation {
    /// The bytes of one direction.
    pub fn stream(&self, direction: Direction) -> &Stream {
        match direction {
            Direction::FromClient => &self.from_client,
            Direction::FromServer => &self.from_server,
        }
    }
}

/// Why a file is not read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// Neither pcap nor pcapng.
    NotACapture,
    /// Frames of a kind that is not supported; holds the link type number.
    LinkType(u32),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NotACapture => f.write_str("neither a pcap nor a pcapng file"),
            ReadError::LinkType(number) => write!(f, "link type {number} is not supported"),
        }
    }
}

impl core::error::Error for ReadError {}

/// What of a file was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureOddity {
    /// The file ends inside a packet, or is damaged.
    Truncated {
        /// Bytes from there to the end.
        unread: usize,
    },
    /// Packets other than whole TCP segments: other protocols, IP fragments, cut headers.
    NotTcp {
        /// How many.
        packets: usize,
    },
}

impl fmt::Display for CaptureOddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaptureOddity::Truncated { unread } => {
                write!(f, "file ends inside a packet: last {unread} bytes not read")
            }
            CaptureOddity::NotTcp { packets } => write!(f, "{packets} packets are not TCP"),
        }
    }
}

/// Reads a whole capture file.
///
/// ```
/// use std::time::Duration;
/// use weir::pcap::{Direction, Writer, read};
///
/// let mut file = Vec::new();
/// let (client, server) = ("10.0.0.1:4000".parse().unwrap(), "10.0.0.2:1935".parse().unwrap());
/// let mut writer = Writer::new(client, server, Duration::ZERO, &mut file);
/// writer.segment(Direction::FromClient, Duration::from_millis(1), b"hello", &mut file);
///
/// let capture = read(&file).unwrap();
/// assert_eq!(capture.conversations[0].server, server);
/// assert_eq!(capture.conversations[0].from_client.bytes, b"hello");
/// ```
pub fn read(file: &[u8]) -> Result<Capture, ReadError> {
    let mut table = Table::default();
    let oddities = each_frame(file, |frame| table.take(frame))?;
    let mut zeros = ZeroBudget::new();
    let conversations = table.conversations.into_iter().map(|partial| partial.finish(&mut zeros)).collect();
    Ok(Capture { conversations, oddities })
}

#[derive(Default)]
struct Table<'a> {
    conversations: Vec<Partial<'a>>,
    /// Both addresses, lower first -> the newest conversation between them.
    newest: BTreeMap<(SocketAddr, SocketAddr), usize>,
}

/// A conversation in the making.
struct Partial<'a> {
    client: SocketAddr,
    server: SocketAddr,
    has_beginning: bool,
    from_client: Reassembly<'a>,
    from_server: Reassembly<'a>,
}

impl<'a> Table<'a> {
    fn take(&mut self, frame: Frame<'a>) {
        let key = (frame.from.min(frame.to), frame.from.max(frame.to));
        let known = self.newest.get(&key).copied().filter(|&index| {
            let conversation = self.conversations.get(index);
            conversation.is_some_and(|conversation| !conversation.is_reopened_by(&frame))
        });
        let index = match known {
            Some(index) => index,
            // The rest of a connection that ended before the capture began says nothing.
            None if !frame.syn && frame.data.is_empty() => return,
            None => {
                self.conversations.push(Partial::begin(&frame));
                self.newest.insert(key, self.conversations.len() - 1);
                self.conversations.len() - 1
            }
        };
        if let Some(conversation) = self.conversations.get_mut(index) {
            conversation.take(frame);
        }
    }
}

impl<'a> Partial<'a> {
    fn begin(frame: &Frame<'a>) -> Partial<'a> {
        let sender_is_client = match (frame.syn, frame.acknowledged) {
            (true, None) => true,
            (true, Some(_)) => false,
            (false, _) => match (frame.from.port() == RTMP_PORT, frame.to.port() == RTMP_PORT) {
                (true, false) => false,
                (false, true) => true,
                _ => frame.from.port() >= frame.to.port(),
            },
        };
        let (client, server) = match sender_is_client {
            true => (frame.from, frame.to),
            false => (frame.to, frame.from),
        };
        Partial {
            client,
            server,
            has_beginning: frame.syn,
            from_client: Reassembly::default(),
            from_server: Reassembly::default(),
        }
    }

    /// The frame opens another connection between the same addresses and ports.
    fn is_reopened_by(&self, frame: &Frame<'_>) -> bool {
        let first = frame.sequence.wrapping_add(1);
        let is_repeated = frame.from == self.client && self.from_client.start() == Some(first);
        frame.syn && frame.acknowledged.is_none() && !is_repeated
    }

    fn take(&mut self, frame: Frame<'a>) {
        let (sender, receiver) = match frame.from == self.client {
            true => (&mut self.from_client, &mut self.from_server),
            false => (&mut self.from_server, &mut self.from_client),
        };
        // SYN takes one sequence number.
        let sequence = frame.sequence.wrapping_add(u32::from(frame.syn));
        if frame.syn {
            sender.set_start(sequence);
        }
        if let Some(acknowledged) = frame.acknowledged.filter(|_| !frame.reset) {
            receiver.acknowledged(acknowledged);
        }
        // Nothing follows a RST; what comes after a FIN can only have been sent before it.
        if !frame.reset {
            sender.data(frame.time, sequence, frame.data);
        }
        let behind = sequence.wrapping_add(frame.data.len() as u32);
        if frame.fin {
            sender.end(frame.time, behind, Close::Fin);
        } else if frame.reset {
            sender.end(frame.time, behind, Close::Reset);
        }
    }

    fn finish(self, zeros: &mut ZeroBudget) -> Conversation {
        Conversation {
            client: self.client,
            server: self.server,
            has_beginning: self.has_beginning,
            from_client: self.from_client.finish(zeros),
            from_server: self.from_server.finish(zeros),
        }
    }
}

const RTMP_PORT: u16 = 1935;

#[cfg(test)]
mod tests;
