//! A player: a URL -> the tags of one video and one audio track.
//!
//! Of the description the first track of each kind that can be read is set up. Bounds: [`SILENCE`], and those of [`Receiver`].

use super::{
    super::{ClientError, ClientOptions, Next, RtspUrl, Step, link::random_seed},
    Conversation, Said, Way, follow,
};
use crate::{
    flv::TagKind,
    rtp::{
        Format,
        receive::{Receiver, ReceiverConfig},
        sdp::Description,
    },
    rtsp::{ClientEvent, Range, Role},
    server::rtsp::udp::Heard,
};
use alloc::{format, vec::Vec};
use core::{mem, time::Duration};
use std::time::Instant;

/// How long packets by UDP wait for earlier ones.
const REORDER: Duration = Duration::from_millis(100);
/// Without a packet for so long, the camera is gone.
const SILENCE: Duration = Duration::from_secs(10);

/// Receives one stream.
pub(in crate::server) struct RtspPlayer {
    conversation: Conversation,
    receiver: Receiver,
    /// When the last packet came.
    heard: Instant,
    /// Of what was damaged, as much as was told.
    told: u64,
}

impl RtspPlayer {
    /// Connects and plays, wherever the stream has moved. Returns once the server has answered PLAY.
    pub(in crate::server) fn open(url: &RtspUrl, options: &ClientOptions) -> Result<RtspPlayer, ClientError> {
        follow(url, |url| RtspPlayer::open_here(url, options))
    }

    fn open_here(url: &RtspUrl, options: &ClientOptions) -> Result<RtspPlayer, ClientError> {
        let mut conversation = Conversation::open(url, options, Role::Play)?;
        let sdp = loop {
            if let ClientEvent::Described { sdp, .. } = conversation.await_event()? {
                break sdp;
            }
        };
        let description = Description::parse(sdp.as_bytes())
            .map_err(|error| conversation.ended(format!("the answer to DESCRIBE is {error}")))?;
        let first = |kind: TagKind| {
            let mut tracks = description.tracks.iter();
            tracks.position(|track| track.format.as_ref().is_some_and(|format| format.kind() == kind))
        };
        let mut wanted: Vec<usize> = [TagKind::Video, TagKind::Audio].into_iter().filter_map(first).collect();
        wanted.sort_unstable();
        if wanted.is_empty() {
            return Err(conversation.ended("none of the tracks that it describes can be read"));
        }
        conversation.link.session().set_aggregate(&description.control);
        let tracks: Vec<(usize, &str)> =
            wanted.iter().map(|track| (*track, &*description.tracks[*track].control)).collect();
        conversation.set_up(description.tracks.len(), &tracks)?;
        let is_up = |track: usize| conversation.ways[track].is_some();
        let formats: Vec<Option<Format>> = description
            .tracks
            .into_iter()
            .enumerate()
            .map(|(number, track)| track.format.filter(|_| is_up(number)))
            .collect();
        let is_udp = conversation.ways.contains(&Some(Way::Datagrams));
        let config = ReceiverConfig { reorder: is_udp.then_some(REORDER), ..ReceiverConfig::default() };
        log::debug!("{url} sends by {}", if is_udp { "UDP" } else { "TCP" });
        let now = conversation.now();
        let receiver = Receiver::new(formats, config, random_seed() as u32, now);
        let range = Range::npt(Duration::ZERO, None);
        let asked = conversation.link.session().play(now, Some(range), None);
        asked.map_err(|misuse| conversation.misused(misuse))?;
        if let Some(datagrams) = &conversation.datagrams {
            datagrams.open_way();
        }
        let mut player = RtspPlayer { conversation, receiver, heard: Instant::now(), told: 0 };
        let deadline = Instant::now() + options.timeout;
        // Packets may come before the answer.
        while !player.conversation.link.session().is_started() {
            if !player.hear()? {
                player.conversation.wait(deadline)?;
            }
            if Instant::now() >= deadline {
                let peer = player.conversation.peer;
                return Err(ClientError::TimedOut { peer, during: Step::Play });
            }
        }
        player.conversation.during = Step::Media;
        Ok(player)
    }

    /// The next tag.
    pub(in crate::server) fn next(&mut self, deadline: Instant) -> Result<Next, ClientError> {
        loop {
            if let Some(tag) = self.receiver.poll_tag() {
                return Ok(Next::Tag(tag));
            }
            if self.receiver.has_ended() {
                return Err(self.conversation.ended("it has said goodbye"));
            }
            let now = self.conversation.now();
            if self.receiver.poll_timeout().is_some_and(|due| due <= now) {
                self.receiver.handle_timeout(now);
                while let Some((track, report)) = self.receiver.poll_report() {
                    self.conversation.send_rtcp(track, &report);
                }
                continue;
            }
            if !self.hear()? {
                let silent_at = self.heard + SILENCE;
                let now = Instant::now();
                if now >= silent_at {
                    let why = format!("no packet for {} s", SILENCE.as_secs());
                    return Err(self.conversation.ended(why));
                }
                if now >= deadline {
                    return Ok(Next::TimedOut);
                }
                let due = self.receiver.poll_timeout().map(|due| due.since(self.conversation.now()));
                let until = due.map_or(deadline, |due| deadline.min(now + due));
                self.conversation.wait(until.min(silent_at))?;
            } else if Instant::now() >= deadline {
                return Ok(Next::TimedOut);
            }
        }
    }

    /// Pictures and frames of sound that were dropped since this was last asked.
    pub(in crate::server) fn damage(&mut self) -> u64 {
        let all = self.receiver.stats().damaged;
        all.saturating_sub(mem::replace(&mut self.told, all))
    }

    /// Takes one of the things that have come. False if there is none.
    fn hear(&mut self) -> Result<bool, ClientError> {
        let Some(said) = self.conversation.hear()? else { return Ok(false) };
        let now = self.conversation.now();
        let (heard, packet) = match &said {
            Said::Datagram(heard, len) => (Some(*heard), &self.conversation.buffer[..*len]),
            Said::Event(ClientEvent::Frame { channel, data }) => {
                (self.conversation.of_channel(*channel), &data[..])
            }
            Said::Event(_) => (None, &[][..]),
        };
        match heard {
            Some(Heard::Rtp(track)) => {
                self.heard = Instant::now();
                self.receiver.handle_rtp(now, track, packet);
            }
            Some(Heard::Rtcp(track)) => self.receiver.handle_rtcp(now, track, packet),
            None => {}
        }
        Ok(true)
    }
}

impl Drop for RtspPlayer {
    /// Says that it leaves. Some cameras send on by UDP otherwise, and let only so many in.
    fn drop(&mut self) {
        self.conversation.finish();
    }
}
