//! Captures of TCP conversations: pure readers and a writer of pcap files.
//!
//! | module | what | feature |
//! |---|---|---|
//! | [`writer`] | one conversation's bytes -> pcap file | `server` or `pcap` |
//! | `reader` | pcap or pcapng file -> conversations with both byte streams | `pcap` |
//! | `dissect` | one byte stream -> handshake blocks, RTMP messages and what is odd about them | `pcap` |
//! | `oddity` | what can be odd, and what is about one message | `pcap` |
//!
//! Times are durations since 1970-01-01 UTC, as capture files keep them.

#[cfg(feature = "pcap")]
pub mod dissect;
#[cfg(feature = "pcap")]
mod frames;
#[cfg(feature = "pcap")]
pub mod oddity;
#[cfg(feature = "pcap")]
pub mod reader;
#[cfg(feature = "pcap")]
mod reassembly;
pub mod writer;

#[cfg(feature = "pcap")]
pub use reader::{Capture, Conversation, ReadError, read};
#[cfg(feature = "pcap")]
pub use reassembly::{End, Segment, Stream, StreamOddity};
pub use writer::Writer;

/// Who sent. The client is the side that opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Client to server.
    FromClient,
    /// Server to client.
    FromServer,
}

impl Direction {
    /// The other way.
    pub const fn reversed(self) -> Direction {
        match self {
            Direction::FromClient => Direction::FromServer,
            Direction::FromServer => Direction::FromClient,
        }
    }
}

/// How a side ended its half of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// FIN: everything before it was sent.
    Fin,
    /// RST: unsent bytes are lost. Players that leave with unread media end like this.
    Reset,
}
