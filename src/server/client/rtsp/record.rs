//! A publisher: tags -> packets, by ANNOUNCE and RECORD.
//!
//! What is announced is what there is at that moment: a stream that becomes another one ([`RtspPublisher::is_outgrown`]) has to be announced
//! anew. Bounds: [`MAX_UNSENT`] bytes wait before [`RtspPublisher::send_tag`] does.

use super::{
    super::{ClientError, ClientOptions, MAX_UNSENT, RtspUrl, Step, link::random_seed},
    Conversation, Way, follow,
};
use crate::{
    base::{MonoTime, Timestamp},
    flv::Tag,
    rtp::{Format, rtcp, sdp, send::Sender},
    rtsp::{ClientEvent, Role},
    server::{
        rtsp::{
            control, description,
            line::{Anchor, MAX_PACKET, REPORT_INTERVAL},
            packets::{Carrier, Packets, TRACKS},
        },
        wall,
    },
};
use alloc::{string::String, vec::Vec};
use core::time::Duration;
use std::time::Instant;

/// Sends one stream.
pub(in crate::server) struct RtspPublisher {
    conversation: Conversation,
    sender: Sender,
    carrier: Carrier,
    anchor: Option<Anchor>,
    /// When the next reports go; `None` before the first packets.
    report_at: Option<MonoTime>,
}

impl RtspPublisher {
    /// Connects, announces those tracks, pictures first, and records. Returns once the server has said yes.
    pub(in crate::server) fn open(
        url: &RtspUrl,
        options: &ClientOptions,
        name: &str,
        formats: &[Format],
    ) -> Result<RtspPublisher, ClientError> {
        follow(url, |url| RtspPublisher::open_here(url, options, name, formats))
    }

    fn open_here(
        url: &RtspUrl,
        options: &ClientOptions,
        name: &str,
        formats: &[Format],
    ) -> Result<RtspPublisher, ClientError> {
        let sdp = description(name, formats, sdp::Range::Live).write();
        let mut conversation = Conversation::open(url, options, Role::Record { sdp })?;
        while conversation.await_event()? != ClientEvent::Announced {}
        conversation.during = Step::Publish;
        let controls: Vec<String> = (0..formats.len()).map(control).collect();
        let tracks: Vec<(usize, &str)> =
            controls.iter().enumerate().map(|(track, control)| (track, &**control)).collect();
        conversation.set_up(formats.len(), &tracks)?;
        let now = conversation.now();
        let asked = conversation.link.session().record(now);
        asked.map_err(|misuse| conversation.misused(misuse))?;
        while !matches!(conversation.await_event()?, ClientEvent::Started { .. }) {}
        conversation.during = Step::Media;
        let carrier = carrier(&conversation.ways);
        let sender = Sender::new(formats.to_vec(), random_seed(), MAX_PACKET);
        Ok(RtspPublisher { conversation, sender, carrier, anchor: None, report_at: None })
    }

    /// The newest frame of the stream is from that time: later ones are, in truth, from then on.
    pub(in crate::server) fn set_time(&mut self, newest: Timestamp) {
        let now = self.conversation.now();
        self.anchor = Some(Anchor::new(&mut self.sender, now, newest));
    }

    /// The stream is not any more what was announced, from that tag on.
    pub(in crate::server) fn is_outgrown(&self, tag: &Tag) -> bool {
        self.sender.changes(tag)
    }

    /// The tracks that were announced.
    pub(in crate::server) fn tracks(&self) -> &[Format] {
        self.sender.tracks()
    }

    /// Sends a tag. Waits, but not longer than the timeout, while the server takes less than it is given.
    pub(in crate::server) fn send_tag(&mut self, tag: &Tag) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.conversation.timeout;
        self.drain(MAX_UNSENT, deadline)?;
        let now = self.conversation.now();
        if tag.classify().role.is_frame() {
            let Self { anchor, sender, .. } = self;
            match anchor {
                Some(anchor) => anchor.follow(sender, now, tag.timestamp),
                None => *anchor = Some(Anchor::new(sender, now, tag.timestamp)),
            }
            self.report(now, tag.timestamp);
        }
        let packets = Packets::build(self.carrier, tag.body.len(), &mut |sink| self.sender.write(tag, sink));
        if !packets.bytes().is_empty() {
            let sent = match &mut self.conversation.datagrams {
                Some(datagrams) => datagrams.push(&packets, usize::MAX),
                None => self.conversation.link.session().send_piece(packets.bytes()),
            };
            sent.map_err(|error| self.conversation.misused(error))?;
        }
        self.drain(usize::MAX, deadline)
    }

    /// Answers the server and sends what waits, without waiting.
    pub(in crate::server) fn serve(&mut self) -> Result<(), ClientError> {
        self.drain(usize::MAX, Instant::now())
    }

    /// After how long [`RtspPublisher::serve`] has something to do, if that is known.
    pub(in crate::server) fn rest(&self) -> Option<Duration> {
        let due = self.conversation.datagrams.as_ref()?.deadline()?;
        Some(due.since(self.conversation.now()))
    }

    /// Ends the stream and the connection properly.
    pub(in crate::server) fn finish(mut self) -> Result<(), ClientError> {
        self.conversation.during = Step::Finish;
        self.drain(0, Instant::now() + super::FAREWELL)?;
        let ntp = rtcp::ntp(wall::now());
        for track in 0..self.sender.tracks().len() {
            let mut goodbye = Vec::new();
            self.sender.goodbye(track, ntp, &mut goodbye);
            self.conversation.send_rtcp(track, &goodbye);
        }
        self.conversation.finish();
        Ok(())
    }

    /// What time it is in the stream, before its first packet and from time to time.
    fn report(&mut self, now: MonoTime, timestamp: Timestamp) {
        let ntp = match self.report_at {
            Some(due) if due > now => return,
            Some(_) => rtcp::ntp(wall::now()),
            // Of the first packet, because receivers count their times from there.
            None => self.sender.ntp_at(timestamp).unwrap_or_else(|| rtcp::ntp(wall::now())),
        };
        self.report_at = Some(now + REPORT_INTERVAL);
        for track in 0..self.sender.tracks().len() {
            let mut report = Vec::new();
            self.sender.report(track, ntp, &mut report);
            self.conversation.send_rtcp(track, &report);
        }
    }

    /// Writes until at most `left` bytes wait, and hears what the server says meanwhile.
    fn drain(&mut self, left: usize, deadline: Instant) -> Result<(), ClientError> {
        loop {
            // Reports about what it gets. Bounded, because somebody may send more of them than end.
            let mut count = 0;
            while count < HEARD && self.conversation.hear()?.is_some() {
                count += 1;
            }
            if self.conversation.unsent() <= left {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let Conversation { peer, during, .. } = self.conversation;
                return Err(ClientError::TimedOut { peer, during });
            }
            if count < HEARD {
                self.conversation.wait(deadline)?;
            }
        }
    }
}

/// What is heard before anything else gets its turn.
const HEARD: usize = 256;

fn carrier(ways: &[Option<Way>]) -> Carrier {
    if ways.contains(&Some(Way::Datagrams)) {
        return Carrier::Datagrams(core::array::from_fn::<_, TRACKS, _>(|track| {
            ways.get(track) == Some(&Some(Way::Datagrams))
        }));
    }
    Carrier::Interleaved(core::array::from_fn(|track| match ways.get(track) {
        Some(Some(Way::Interleaved(rtp, _))) => Some(*rtp),
        _ => None,
    }))
}
