//! What a connection over RTSP is about: the stream, its tracks as they were described or announced, and how their packets
//! are carried.
//!
//! One presentation a connection, as clients have it; another one takes the place of the first.

use super::{
    multicast::Membership,
    packets::{Carrier, Packets, TRACKS},
    udp::Datagrams,
};
use crate::{
    base::{MonoTime, SendError},
    rtp::{Format, receive::Receiver},
    rtsp::{RequestId, Session},
    server::{path::StreamPath, vod::Replay},
};
use alloc::{boxed::Box, string::String, vec::Vec};

/// See the module.
pub(in crate::server) struct Presentation {
    pub(in crate::server) path: StreamPath,
    /// Which way its media goes, and what it takes.
    pub(super) purpose: Purpose,
    pub(super) tracks: Vec<Track>,
    /// Ports, if any track has some.
    pub(in crate::server) datagrams: Option<Datagrams>,
    /// The group that it receives.
    pub(super) membership: Option<Membership>,
    /// It has played to the end: when its connection is closed unless it asks for something else.
    pub(super) forget_at: Option<MonoTime>,
    /// Tracks whose first packet is not sent yet.
    pub(super) unbegun: [bool; TRACKS],
    /// Its player has paused.
    pub(super) is_paused: bool,
    /// Packets lost on the way here, as far as that was said.
    pub(super) lost: u64,
    /// PLAY that waits for the first packet to be known.
    pub(super) starting: Option<RequestId>,
    /// When a live stream began for the client.
    pub(super) began: Option<MonoTime>,
}

/// Which way media goes.
pub(super) enum Purpose {
    Play,
    /// A file, which belongs to a thread that may wait for the disk, and the connection with it.
    Replay(Box<Replay>),
    /// From the client; what it sends comes out as tags. None before it sends.
    Record(Option<Box<Receiver>>),
}

/// One track of the description.
pub(super) struct Track {
    /// `None`: of a kind that cannot be read here, and is thrown away.
    pub(super) format: Option<Format>,
    /// What its description calls it.
    pub(super) control: String,
    /// Set up.
    pub(super) way: Option<Way>,
    /// As its SETUP had it, which RTP-Info repeats.
    pub(super) url: String,
}

/// How a track's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As frames on the connection: the channels of RTP and RTCP.
    Interleaved(u8, u8),
    Datagrams,
    /// To the group of the stream.
    Multicast,
}

impl Presentation {
    pub(super) fn new(path: StreamPath, purpose: Purpose, tracks: Vec<Track>) -> Presentation {
        Presentation {
            path,
            purpose,
            tracks,
            datagrams: None,
            membership: None,
            forget_at: None,
            unbegun: [false; TRACKS],
            is_paused: false,
            lost: 0,
            starting: None,
            began: None,
        }
    }

    /// Those tracks in the order of their description.
    pub(super) fn to_play(path: StreamPath, formats: Vec<Format>) -> Presentation {
        Presentation::described(path, Purpose::Play, formats)
    }

    /// A file.
    pub(super) fn to_replay(path: StreamPath, replay: Replay) -> Presentation {
        let formats = replay.formats().to_vec();
        Presentation::described(path, Purpose::Replay(replay.into()), formats)
    }

    fn described(path: StreamPath, purpose: Purpose, formats: Vec<Format>) -> Presentation {
        let tracks = formats.into_iter().enumerate().map(|(number, format)| Track {
            format: Some(format),
            control: control(number),
            way: None,
            url: String::new(),
        });
        Presentation::new(path, purpose, tracks.collect())
    }

    /// How a player gets packets: as it has set up its tracks.
    pub(in crate::server) fn carrier(&self) -> Carrier {
        let ways = || self.tracks.iter().map(|track| track.way).take(TRACKS).enumerate();
        if ways().any(|(_, way)| way == Some(Way::Datagrams)) {
            let mut wanted = [false; TRACKS];
            ways().for_each(|(number, way)| wanted[number] = way == Some(Way::Datagrams));
            return Carrier::Datagrams(wanted);
        }
        let mut channels = [None; TRACKS];
        for (number, way) in ways() {
            if let Some(Way::Interleaved(rtp, _)) = way {
                channels[number] = Some(rtp);
            }
        }
        Carrier::Interleaved(channels)
    }

    /// What it was described as.
    pub(super) fn formats(&self) -> Vec<Format> {
        self.tracks.iter().filter_map(|track| track.format.clone()).collect()
    }

    /// Something is set up.
    pub(super) fn is_set_up(&self) -> bool {
        self.tracks.iter().any(|track| track.way.is_some())
    }

    /// Bytes that wait for ports.
    pub(in crate::server) fn queued(&self) -> usize {
        self.datagrams.as_ref().map_or(0, Datagrams::queued)
    }

    /// Bytes that have come and gone through ports.
    pub(in crate::server) fn bytes(&self) -> (u64, u64) {
        self.datagrams.as_ref().map_or((0, 0), |datagrams| (datagrams.bytes_in, datagrams.bytes_out))
    }

    /// When it has something to do without being told.
    pub(in crate::server) fn deadline(&self) -> Option<MonoTime> {
        let receiver = match &self.purpose {
            Purpose::Record(Some(receiver)) => receiver.poll_timeout(),
            _ => None,
        };
        let sending = self.datagrams.as_ref().and_then(Datagrams::deadline);
        [receiver, sending, self.forget_at].into_iter().flatten().min()
    }

    /// Its ports may hold something.
    pub(in crate::server) fn may_read(&self) -> bool {
        self.datagrams.as_ref().is_some_and(|datagrams| datagrams.may_read)
    }

    /// Queues packets of a player, behind which `max` bytes may wait.
    pub(in crate::server) fn send(
        &mut self,
        session: &mut Session,
        packets: &Packets,
        max: usize,
    ) -> Result<(), SendError> {
        match &mut self.datagrams {
            Some(datagrams) => datagrams.push(packets, max),
            None => session.send_piece(packets.bytes()),
        }
    }

    /// It has played, and its client is not interested in more. True once.
    pub(in crate::server) fn take_forgotten(&mut self, now: MonoTime) -> bool {
        self.forget_at.take_if(|at| *at <= now).is_some()
    }

    /// Whose frames have that channel; whether they are RTCP.
    pub(super) fn of_channel(&self, channel: u8) -> Option<(usize, bool)> {
        self.tracks.iter().enumerate().find_map(|(number, track)| match track.way {
            Some(Way::Interleaved(rtp, rtcp)) if channel == rtp || channel == rtcp => {
                Some((number, channel == rtcp))
            }
            _ => None,
        })
    }
}

/// What our descriptions call a track.
pub(in crate::server) fn control(number: usize) -> String {
    alloc::format!("trackID={number}")
}
