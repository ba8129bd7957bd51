//! ANNOUNCE and RECORD: a client that publishes, and its packets.
//!
//! A name is claimed when packets are about to come, so that who only announces takes nothing away from who sends. What cannot be
//! read (a track of text, an unknown codec) may be set up and is thrown away, as clients set up all that they announce.
//! Field notes: the first packets come within a millisecond of the answer to RECORD, so ports are there since SETUP; ffmpeg and
//! GStreamer name their tracks as they like, and the controls say how; some put `.sdp` behind the name.

use super::{
    presentation::{Presentation, Purpose, Track, Way},
    requests::{STREAM, stream_of},
    udp::{Heard, TURN_PACKETS},
};
use crate::{
    base::{MonoTime, Payload},
    rtmp::session::RejectReason,
    rtp::{
        receive::{Receiver, ReceiverConfig},
        rtcp, sdp,
    },
    rtsp::{Answer, RequestId, Status, Target},
    server::{
        connection::{Connection, Context, Role},
        registry::Ending,
    },
};
use alloc::{format, string::ToString, vec::Vec};
use core::time::Duration;

/// How long packets by UDP wait for earlier ones.
const REORDER: Duration = Duration::from_millis(100);
/// Longest packet that is read.
const MAX_DATAGRAM: usize = 2048;

impl Connection {
    pub(super) fn announce(&mut self, cx: &mut Context<'_>, request: RequestId, url: &Target, body: &[u8]) {
        let name = url.path();
        let path = match stream_of(name.strip_suffix(".sdp").unwrap_or(name)) {
            Ok(path) => path,
            Err(why) => return self.refuse_rtsp(cx.now, request, Status::BAD_REQUEST, &why.to_string()),
        };
        // Who has logged in may publish from anywhere.
        let is_known = self.protocol.rtsp().is_some_and(|session| session.user().is_some());
        if cx.shared.registry.admit(self.mailbox.address).is_err() && !is_known {
            let why = format!("{path} may not be published from that address (--publish-from)");
            return self.refuse_rtsp(cx.now, request, Status::FORBIDDEN, &why);
        }
        let description = match sdp::Description::parse(body) {
            Ok(description) => description,
            Err(why) => {
                let why = format!("the description of {path}: {why}");
                return self.refuse_rtsp(cx.now, request, Status::BAD_REQUEST, &why);
            }
        };
        let tracks: Vec<Track> = description
            .tracks
            .into_iter()
            .map(|media| Track {
                format: media.format,
                control: media.control,
                way: None,
                url: Default::default(),
            })
            .collect();
        if tracks.iter().all(|track| track.format.is_none()) {
            let why = format!("{path} is announced without any track that can be read");
            return self.refuse_rtsp(cx.now, request, Status::UNSUPPORTED_MEDIA_TYPE, &why);
        }
        self.end_presentation(cx, Ending::Proper);
        self.presentation = Some(Presentation::new(path, Purpose::Record(None), tracks).into());
        self.answer_rtsp(cx.now, request, &Answer::Announced);
    }

    pub(super) fn record_rtsp(&mut self, cx: &Context<'_>, request: RequestId) {
        if self.streams.iter().any(|(_, role)| matches!(role, Role::Publishing(_))) {
            return self.answer_rtsp(cx.now, request, &Answer::Recording);
        }
        let Some(presentation) =
            self.presentation.as_deref_mut().filter(|presentation| presentation.is_set_up())
        else {
            let why = "nothing is set up";
            return self.refuse_rtsp(cx.now, request, Status::NOT_VALID_IN_THIS_STATE, why);
        };
        let path = presentation.path.clone();
        match cx.shared.publish(cx.now, &path, &self.mailbox, None) {
            Ok(publishing) => {
                let is_udp = presentation.datagrams.is_some();
                let config =
                    ReceiverConfig { reorder: is_udp.then_some(REORDER), ..ReceiverConfig::default() };
                let format = |track: &Track| track.format.clone().filter(|_| track.way.is_some());
                let formats = presentation.tracks.iter().map(format).collect();
                let receiver = Receiver::new(formats, config, cx.shared.seed() as u32, cx.now);
                presentation.purpose = Purpose::Record(Some(receiver.into()));
                log::info!(
                    "{} publishes {path} by RTSP over {}",
                    self.mailbox.id,
                    if is_udp { "UDP" } else { "TCP" }
                );
                self.streams.push((STREAM, Role::Publishing(publishing)));
                self.answer_rtsp(cx.now, request, &Answer::Recording);
            }
            Err(why) => {
                let status = match why {
                    RejectReason::NameTaken => Status::FORBIDDEN,
                    RejectReason::InvalidName(_) => Status::BAD_REQUEST,
                    _ => Status::SERVICE_UNAVAILABLE,
                };
                let why = format!("{path} cannot be published: {why:?}");
                self.refuse_rtsp(cx.now, request, status, &why);
            }
        }
    }

    /// A frame of the client: media that it publishes, or a report about what it plays.
    pub(super) fn take_frame(&mut self, cx: &Context<'_>, channel: u8, data: &Payload) {
        let Some((track, is_rtcp)) = self.presentation.as_deref().and_then(|known| known.of_channel(channel))
        else {
            return;
        };
        let heard = if is_rtcp { Heard::Rtcp(track) } else { Heard::Rtp(track) };
        self.take_packet(cx.now, heard, data);
        self.publish_received(cx);
    }

    /// Reads what has come to the ports.
    pub(in crate::server) fn read_datagrams(&mut self, cx: &Context<'_>) {
        let mut buffer = [0; MAX_DATAGRAM];
        for _ in 0..TURN_PACKETS {
            let datagrams =
                self.presentation.as_deref_mut().and_then(|presentation| presentation.datagrams.as_mut());
            let Some((heard, len)) = datagrams
                .filter(|datagrams| datagrams.may_read)
                .and_then(|datagrams| datagrams.receive(&mut buffer))
            else {
                break;
            };
            if let Some(session) = self.protocol.rtsp() {
                session.touch(cx.now);
            }
            // One that is as long may be longer, and is not whole.
            if len < MAX_DATAGRAM {
                self.take_packet(cx.now, heard, &buffer[..len]);
            }
        }
        self.publish_received(cx);
    }

    fn take_packet(&mut self, now: MonoTime, heard: Heard, packet: &[u8]) {
        let Some(presentation) = self.presentation.as_deref_mut() else { return };
        match (&mut presentation.purpose, heard) {
            (Purpose::Record(Some(receiver)), Heard::Rtp(track)) => receiver.handle_rtp(now, track, packet),
            (Purpose::Record(Some(receiver)), Heard::Rtcp(track)) => receiver.handle_rtcp(now, track, packet),
            (Purpose::Play | Purpose::Replay(_), Heard::Rtcp(track)) => {
                let lost = rtcp::parse(packet).into_iter().find_map(|part| match part {
                    rtcp::Part::Block(block) => Some(block.fraction_lost),
                    _ => None,
                });
                if let Some(lost) = lost.filter(|lost| *lost > 0) {
                    log::debug!(
                        "{} loses {} % of track {track}",
                        self.mailbox.id,
                        u32::from(lost) * 100 / 256
                    );
                }
            }
            // Packets that make a way through a NAT mean nothing.
            _ => {}
        }
    }

    /// Tags that are whole go to the stream, reports to the client.
    pub(in crate::server) fn publish_received(&mut self, cx: &Context<'_>) {
        let Some(presentation) = self.presentation.as_deref_mut() else { return };
        let Purpose::Record(Some(receiver)) = &mut presentation.purpose else { return };
        let publishing = self.streams.iter().find_map(|(_, role)| match role {
            Role::Publishing(publishing) => Some(publishing),
            _ => None,
        });
        while let Some(tag) = receiver.poll_tag() {
            if let Some(publishing) = publishing {
                publishing.tag(cx.now, tag);
            }
        }
        let (lost, is_over) = (receiver.stats().lost, receiver.has_ended());
        let mut reports = Vec::new();
        while let Some(report) = receiver.poll_report() {
            reports.push(report);
        }
        // No more often than reports are due.
        if !reports.is_empty() && lost > presentation.lost {
            let more = lost - core::mem::replace(&mut presentation.lost, lost);
            log::warn!("{} publishes {}: {more} packets lost on the way", self.mailbox.id, presentation.path);
        }
        for (track, report) in reports {
            match presentation.tracks.get(track).and_then(|track| track.way) {
                Some(Way::Interleaved(_, channel)) => {
                    let _ = self.protocol.rtsp().map(|session| session.send_frame(channel, &report));
                }
                Some(Way::Datagrams) => {
                    if let Some(datagrams) = &mut presentation.datagrams {
                        datagrams.send_rtcp(track, &report);
                    }
                }
                Some(Way::Multicast) | None => {}
            }
        }
        // Packets by UDP may come behind the goodbye of their track.
        if is_over && !presentation.may_read() {
            self.end_publishing(cx.now, Ending::Proper);
        }
    }

    fn end_publishing(&mut self, now: MonoTime, ending: Ending) {
        for (stream, role) in core::mem::take(&mut self.streams) {
            match role {
                Role::Publishing(publishing) => {
                    log::info!("{} stops publishing {}", self.mailbox.id, publishing.path());
                    publishing.finish(now, ending);
                }
                role => self.streams.push((stream, role)),
            }
        }
    }

    /// Nothing more comes: what waits for earlier packets goes to the stream as it is.
    pub(in crate::server) fn finish_receiving(&mut self, cx: &Context<'_>) {
        let presentation = self.presentation.as_deref_mut();
        if let Some(Purpose::Record(Some(receiver))) =
            presentation.map(|presentation| &mut presentation.purpose)
        {
            receiver.finish();
            self.publish_received(cx);
        }
    }

    /// A deadline of the receiver may have passed.
    pub(in crate::server) fn handle_receiver_timeout(&mut self, cx: &Context<'_>) {
        let Some(presentation) = self.presentation.as_deref_mut() else { return };
        let Purpose::Record(Some(receiver)) = &mut presentation.purpose else { return };
        if receiver.poll_timeout().is_some_and(|at| at <= cx.now) {
            receiver.handle_timeout(cx.now);
            self.publish_received(cx);
        }
    }
}
