//! Tags as packets of RTP, in the form in which players take them: built once for all whose packets are carried alike.
//!
//! In: tags with their places in the stream. Out: the bytes of a TCP connection (each packet behind `$`, a channel and its
//! length, RFC 2326 10.12), or datagrams and which track's they are. Not here: numbering them (`line`), sending them.
//! Bounds: those of what is gathered for one write (`room`).

use super::line::Numbered;
use crate::{base::Payload, flv::Tag, rtp::send::Sink};
use alloc::{sync::Arc, vec::Vec};

/// Tracks of a stream: one of pictures, one of sound.
pub(in crate::server) const TRACKS: usize = 2;

/// How the packets of a player are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Carrier {
    /// Among the messages of the connection: by track the channel that the client asked for, and nothing of tracks that it did not.
    Interleaved([Option<u8>; TRACKS]),
    /// By UDP: which tracks.
    Datagrams([bool; TRACKS]),
}

impl Carrier {
    /// What clients that take all tracks ask for.
    pub(super) const USUAL: Carrier = Carrier::Interleaved([Some(0), Some(2)]);
    /// Of a client that has set up nothing.
    pub(in crate::server) const NOTHING: Carrier = Carrier::Interleaved([None; TRACKS]);
    /// The same, by UDP.
    pub(super) const ALL_DATAGRAMS: Carrier = Carrier::Datagrams([true; TRACKS]);
}

/// Packets of one or several tags.
#[derive(Clone, Debug)]
pub(in crate::server) struct Packets {
    bytes: Payload,
    /// Of datagrams: whose track each is, and where it ends.
    datagrams: Option<Arc<[Datagram]>>,
}

/// One packet among others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram {
    pub(super) track: u8,
    pub(super) end: u32,
}

impl Packets {
    /// The packets of those tags.
    pub(in crate::server) fn new<'a>(
        carrier: Carrier,
        tags: impl Iterator<Item = (&'a Tag, &'a Numbered)> + Clone,
    ) -> Packets {
        // Headers of packets are little beside them.
        let len: usize = tags.clone().map(|(tag, _)| tag.body.len() + tag.body.len() / 16 + 64).sum();
        Packets::build(carrier, len, &mut |sink| {
            for (tag, numbered) in tags.clone() {
                numbered.sender().write(tag, sink);
            }
        })
    }

    /// Those that `write` gives out, some `len` bytes.
    pub(in crate::server) fn build(
        carrier: Carrier,
        len: usize,
        write: &mut dyn FnMut(&mut dyn Sink),
    ) -> Packets {
        let mut writer = Writer { carrier, bytes: Vec::with_capacity(len), datagrams: Vec::new() };
        write(&mut writer);
        let datagrams = matches!(carrier, Carrier::Datagrams(_)).then(|| writer.datagrams.into());
        Packets { bytes: writer.bytes.into(), datagrams }
    }

    pub(in crate::server) fn bytes(&self) -> &Payload {
        &self.bytes
    }

    /// Track and bytes of each datagram; none of what is carried otherwise.
    pub(super) fn datagrams(&self) -> &[Datagram] {
        self.datagrams.as_deref().unwrap_or_default()
    }
}

struct Writer {
    carrier: Carrier,
    bytes: Vec<u8>,
    datagrams: Vec<Datagram>,
}

impl Sink for Writer {
    fn packet(&mut self, track: usize, header: &[u8; 12], payload: &[&[u8]]) {
        match self.carrier {
            Carrier::Interleaved(channels) => {
                let Some(channel) = channels.get(track).copied().flatten() else { return };
                let len = header.len() + payload.iter().map(|part| part.len()).sum::<usize>();
                // A sender's packets are far shorter than this can say.
                let [high, low] = (len as u16).to_be_bytes();
                self.bytes.extend_from_slice(&[b'$', channel, high, low]);
            }
            Carrier::Datagrams(wanted) if !wanted.get(track).is_some_and(|wanted| *wanted) => return,
            Carrier::Datagrams(_) => {}
        }
        self.bytes.extend_from_slice(header);
        for part in payload {
            self.bytes.extend_from_slice(part);
        }
        if let Carrier::Datagrams(_) = self.carrier {
            self.datagrams.push(Datagram { track: track as u8, end: self.bytes.len() as u32 });
        }
    }
}

/// Counts where packets would go.
pub(in crate::server) struct Nowhere;

impl Sink for Nowhere {
    fn packet(&mut self, _: usize, _: &[u8; 12], _: &[&[u8]]) {}
}
