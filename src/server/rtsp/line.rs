//! A live stream's packets, numbered once for all players of it.
//!
//! From the first player over RTSP on, every tag of the stream knows the sender as it stood before that tag: sequence numbers, sample
//! counts and parameter sets. So any thread can write the packets of any tag at any time, those of a late joiner end where
//! those of everybody else go on, and no thread needs to know of the others. The line ends with the stream, or when the
//! stream becomes one that its description does not fit; players are sent away then, and describe it anew.
//! Not here: the bytes (`packets`).

use super::packets::{Carrier, Nowhere};
use crate::{
    amf::Budget,
    base::{MonoTime, Timestamp},
    flv::{Tag, TagKind, TagRole, metadata},
    rtp::{Format, rtcp, send::Sender},
    server::{
        cache::Headers,
        shared_tag::{Piece, SharedTag},
        tracks::Seen,
        wall,
    },
};
use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;
use std::sync::OnceLock;

/// Bytes of a packet, its header included. Fits Ethernet with IPv6, UDP and a tunnel or two around it.
pub(in crate::server) const MAX_PACKET: usize = 1400;
/// By how much the time of day may be another than the stream's time says before reports say so: a pause, another
/// publisher, a clock that was set.
const MAX_CLOCK_ERROR: Duration = Duration::from_secs(1);

/// Between two reports to one player (RFC 3550, 6.2: five seconds at least).
pub(in crate::server) const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(in crate::server) struct Line {
    sender: Sender,
    anchor: Anchor,
}

/// A time of a stream, and when that was: what reports of a sender go by.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Anchor(Timestamp, MonoTime);

/// A tag's place.
#[derive(Debug)]
pub(in crate::server) struct Numbered {
    sender: Sender,
    usual: OnceLock<Piece>,
    datagrams: OnceLock<Piece>,
}

impl Line {
    /// Numbers what late joiners get. `None` if nothing in the stream is for RTP.
    pub(in crate::server) fn begin(
        now: MonoTime,
        seed: u64,
        formats: Vec<Format>,
        headers: &Headers,
        gop: &[Arc<SharedTag>],
    ) -> Option<Line> {
        if formats.is_empty() {
            return None;
        }
        let mut sender = Sender::new(formats, seed, MAX_PACKET);
        let newest = gop.last().or(headers.iter().last()).map(|tag| tag.tag().timestamp).unwrap_or_default();
        let anchor = Anchor::new(&mut sender, now, newest);
        let mut line = Line { sender, anchor };
        for tag in headers.iter().chain(gop) {
            line.write(tag);
        }
        Some(line)
    }

    /// Numbers the next tag. False if the stream is another one from here on.
    pub(in crate::server) fn number(&mut self, now: MonoTime, tag: &SharedTag) -> bool {
        if self.sender.changes(tag.tag()) {
            return false;
        }
        if tag.is_frame() {
            self.anchor.follow(&mut self.sender, now, tag.tag().timestamp);
        }
        self.write(tag);
        true
    }

    /// What its description says.
    pub(in crate::server) fn formats(&self) -> &[Format] {
        self.sender.tracks()
    }

    fn write(&mut self, tag: &SharedTag) {
        let sender = self.sender.clone();
        tag.number(Numbered { sender, usual: OnceLock::new(), datagrams: OnceLock::new() });
        self.sender.write(tag.tag(), &mut Nowhere);
    }
}

impl Anchor {
    /// That time is now.
    pub(in crate::server) fn new(sender: &mut Sender, now: MonoTime, timestamp: Timestamp) -> Anchor {
        sender.set_clock(timestamp, rtcp::ntp(wall::now()));
        Anchor(timestamp, now)
    }

    /// A frame of that time has come: another anchor, if it is too far from where it should be.
    pub(in crate::server) fn follow(&mut self, sender: &mut Sender, now: MonoTime, timestamp: Timestamp) {
        let media = i64::from(timestamp.wrapping_sub(self.0) as i32);
        let off = media - now.since(self.1).as_millis() as i64;
        if off.unsigned_abs() > MAX_CLOCK_ERROR.as_millis() as u64 {
            *self = Anchor::new(sender, now, timestamp);
        }
    }
}

impl Numbered {
    /// The sender as it stands before the tag.
    pub(in crate::server) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Where packets that are carried so are kept; nowhere if few players have them so.
    pub(in crate::server) fn held(&self, carrier: Carrier) -> Option<&OnceLock<Piece>> {
        match carrier {
            Carrier::USUAL => Some(&self.usual),
            Carrier::ALL_DATAGRAMS => Some(&self.datagrams),
            _ => None,
        }
    }
}

/// When players are told what time it is in a stream (sender reports), and what there is to tell.
#[derive(Default)]
pub(in crate::server) struct Reports {
    newest: Option<Sender>,
    due: Option<MonoTime>,
}

impl Reports {
    /// The stream is at that place.
    pub(in crate::server) fn note(&mut self, numbered: &Numbered) {
        self.newest = Some(numbered.sender());
    }

    /// The sender as it stands, if the next report is due.
    pub(in crate::server) fn due(&mut self, now: MonoTime) -> Option<&Sender> {
        // Who joins is told at once, apart from this.
        if *self.due.get_or_insert(now + REPORT_INTERVAL) > now {
            return None;
        }
        self.due = Some(now + REPORT_INTERVAL);
        self.newest.as_ref()
    }

    /// The sender as it stands.
    pub(in crate::server) fn sender(&self) -> Option<&Sender> {
        self.newest.as_ref()
    }
}

/// The tracks of a stream as RTP carries them, pictures first. `video` and `audio`: frames of codecs that have no sequence headers.
pub(in crate::server) fn formats(
    headers: &Headers,
    video: Option<&Seen>,
    audio: Option<&Seen>,
) -> Vec<Format> {
    let seen = |kind: TagKind| if kind == TagKind::Video { video } else { audio };
    let of = |kind| {
        let mut tags = headers.iter().filter(|tag| tag.tag().kind == kind);
        tags.find_map(|tag| announced_by(tag.tag())).or_else(|| seen(kind)?.rtp_format())
    };
    [TagKind::Video, TagKind::Audio].into_iter().filter_map(of).collect()
}

/// Whether a stream of such tracks is what a client was told of. Parameter sets of pictures may be others: they come along.
pub(in crate::server) fn is_described(formats: &[Format], described: &[Format]) -> bool {
    let is_alike = |(one, other): (&Format, &Format)| {
        let record = if one.kind() == TagKind::Video { one.record.clone() } else { other.record.clone() };
        *one == Format { record, ..other.clone() }
    };
    formats.len() == described.len() && formats.iter().zip(described).all(is_alike)
}

/// The tracks that a stream says it has, if it says so: pictures, sound.
pub(in crate::server) fn announced(headers: &Headers) -> Option<(bool, bool)> {
    let said = headers.iter().find(|tag| tag.role() == TagRole::Metadata)?;
    let said = metadata::decode(&said.tag().body, Budget::default())?;
    let has = |names: [&str; 2]| names.iter().any(|name| said.get(name).is_some());
    let tracks = (has(["videocodecid", "width"]), has(["audiocodecid", "audiosamplerate"]));
    (tracks != (false, false)).then_some(tracks)
}

/// The track of a sequence header.
pub(in crate::server) fn announced_by(tag: &Tag) -> Option<Format> {
    let class = tag.classify();
    if class.role != TagRole::SequenceHeader {
        return None;
    }
    let track = class.tracks().find(|track| track.id == 0)?;
    Format::to_send(track.codec?, tag.body.get(track.data)?, None)
}

/// The track of a frame, of codecs that need no sequence header.
pub(in crate::server) fn shown_by(tag: &Tag) -> Option<Format> {
    let is_frame = tag.classify().role.is_frame();
    is_frame.then(|| Seen::of(tag).rtp_format()).flatten()
}
