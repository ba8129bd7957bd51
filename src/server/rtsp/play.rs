//! PLAY and PAUSE of live streams, and what players are sent beside the packets: RTP-Info, reports, goodbyes.
//!
//! Field notes: ffmpeg believes RTP-Info only for the URL of SETUP, byte for byte, and adds the start of the range to its
//! times; all rtptimes are of one instant, so that sound and pictures stay together before the first report.

use super::{
    line::Numbered,
    packets::TRACKS,
    presentation::{Presentation, Purpose, Track, Way},
    requests::STREAM,
};
use crate::{
    base::{MonoTime, Timestamp},
    flv::Tag,
    rtp::{rtcp, send::Sender},
    rtsp::{Answer, Range, RequestId, RtpInfo, Status},
    server::{
        connection::{Connection, Context, Role},
        player::{Action, Terms},
        registry::HubHandle,
        shared_tag::SharedTag,
        wall,
    },
};
use alloc::{format, vec::Vec};
use core::time::Duration;

/// How long a player may take to leave after the end of its stream.
const GOODBYE_GRACE: Duration = Duration::from_secs(10);

impl Connection {
    pub(super) fn play_rtsp(
        &mut self,
        cx: &mut Context<'_>,
        request: RequestId,
        range: Option<Range>,
        scale: Option<f64>,
        speed: Option<f64>,
    ) {
        let Some(presentation) =
            self.presentation.as_deref_mut().filter(|presentation| presentation.is_set_up())
        else {
            let why = "nothing is set up";
            return self.refuse_rtsp(cx.now, request, Status::NOT_VALID_IN_THIS_STATE, why);
        };
        if let Purpose::Replay(_) = presentation.purpose {
            return self.play_file(cx.now, request, range.as_ref(), scale, speed);
        }
        // Live goes on as it comes, wherever and however fast it is wanted.
        let (scale, speed) = (scale.map(|_| 1.0), speed.map(|_| 1.0));
        if self.streams.iter().any(|(_, role)| matches!(role, Role::Playing)) {
            presentation.is_paused = false;
            cx.actions.push(Action::Pause { stream: STREAM, paused: false });
            let answer = Answer::Playing { range: Some(live()), scale, speed, rtp_info: Vec::new() };
            return self.answer_rtsp(cx.now, request, &answer);
        }
        let path = presentation.path.clone();
        if let Some(group) = presentation.membership.as_ref().filter(|group| !group.is_over()) {
            log::info!("{} plays {path} by RTSP from {}", self.mailbox.id, group.address());
            let answer = Answer::Playing { range: Some(live()), scale, speed, rtp_info: Vec::new() };
            return self.answer_rtsp(cx.now, request, &answer);
        }
        let described = presentation.formats();
        let is_there = |hub: &HubHandle| hub.begin_line(cx.now, cx.shared.seed(), &described);
        // A group that is over has to be set up anew.
        let hub = cx.shared.registry.hub(&path).ok().filter(is_there);
        let Some(hub) = hub.filter(|_| presentation.membership.is_none()) else {
            let why = format!("{path} is no more what was described");
            return self.refuse_rtsp(cx.now, request, Status::NOT_FOUND, &why);
        };
        presentation.starting = Some(request);
        presentation.forget_at = None;
        presentation.is_paused = false;
        if let Some(datagrams) = &mut presentation.datagrams {
            datagrams.forget_goodbyes();
        }
        let way = if presentation.datagrams.is_some() { "UDP" } else { "TCP" };
        log::info!("{} plays {path} by RTSP over {way}", self.id());
        self.set_role(STREAM, Role::Playing);
        cx.actions.push(Action::Join { stream: STREAM, hub, terms: Terms::default() });
    }

    pub(super) fn pause_rtsp(&mut self, cx: &mut Context<'_>, request: RequestId) {
        let range = self.pause_replay();
        if self.is_playing_live() {
            cx.actions.push(Action::Pause { stream: STREAM, paused: true });
            if let Some(presentation) = &mut self.presentation {
                presentation.is_paused = true;
                if let Some(datagrams) = &mut presentation.datagrams {
                    datagrams.clear();
                }
            }
        }
        self.answer_rtsp(cx.now, request, &Answer::Paused { range });
    }

    /// The carrier has changed.
    pub(super) fn rejoin(&self, cx: &mut Context<'_>) {
        let Some(presentation) = self.presentation.as_deref().filter(|_| self.is_playing_live()) else {
            return;
        };
        if let Ok(hub) = cx.shared.registry.hub(&presentation.path) {
            let terms = Terms { is_paused: presentation.is_paused, ..Terms::default() };
            cx.actions.push(Action::Leave { stream: STREAM });
            cx.actions.push(Action::Join { stream: STREAM, hub, terms });
        }
    }

    /// Packets follow, `first` being the place of the first of them if that is known: answers PLAY, and says what time it is.
    pub(in crate::server) fn begin_rtp(&mut self, now: MonoTime, first: Option<(&Numbered, &Tag)>) {
        let Some(presentation) = self.presentation.as_deref_mut() else { return };
        let sender = first.map(|(numbered, tag)| (numbered.sender(), tag.timestamp));
        if let Some(request) = presentation.starting.take() {
            presentation.began = Some(now);
            presentation.unbegun = [true; TRACKS];
            let rtp_info = sender.as_ref().map(|(sender, at)| presentation.rtp_info(sender, *at));
            let rtp_info = rtp_info.unwrap_or_default();
            let answer = Answer::Playing { range: Some(live()), scale: None, speed: None, rtp_info };
            self.answer_rtsp(now, request, &answer);
        }
        if let Some((sender, at)) = sender {
            // Of the first packet rather than of now, because ffmpeg counts its times from the first report.
            let ntp = sender.ntp_at(at).unwrap_or_else(|| rtcp::ntp(wall::now()));
            self.send_rtcp(|track, out| sender.report(track, ntp, out));
        }
    }

    /// A tag was sent. Behind the first packet of a track its report is repeated, because GStreamer takes none that comes before, and
    /// would put the tracks together five seconds later.
    pub(in crate::server) fn report_first(&mut self, now: MonoTime, tag: &SharedTag) {
        let Some(presentation) = self.presentation.as_deref_mut() else { return };
        if presentation.unbegun == [false; TRACKS] || !tag.is_frame() {
            return;
        }
        let is_of_kind =
            |track: &Track| track.format.as_ref().is_some_and(|format| format.kind() == tag.tag().kind);
        let number = presentation.tracks.iter().position(is_of_kind).filter(|number| *number < TRACKS);
        let (Some(number), Some(numbered)) = (number, tag.numbered()) else { return };
        if !core::mem::take(&mut presentation.unbegun[number]) {
            return;
        }
        if let Some(datagrams) = &mut presentation.datagrams {
            datagrams.flush(now);
        }
        let sender = numbered.sender();
        let ntp = sender.ntp_at(tag.tag().timestamp).unwrap_or_else(|| rtcp::ntp(wall::now()));
        self.send_rtcp(|track, out| {
            if track == number {
                sender.report(track, ntp, out);
            }
        });
    }

    /// What time it is in the stream, for each track.
    pub(in crate::server) fn report_rtp(&mut self, sender: &Sender) {
        let ntp = rtcp::ntp(wall::now());
        self.send_rtcp(|track, out| sender.report(track, ntp, out));
    }

    /// The end of the stream, with which players end. The connection stays for what they say to that: GStreamer takes a
    /// connection that is gone for an error.
    pub(in crate::server) fn end_presentation_media(&mut self, now: MonoTime, sender: Option<&Sender>) {
        let Some(presentation) = self.presentation.as_deref_mut() else { return };
        presentation.forget_at = Some(now + GOODBYE_GRACE);
        let Some(sender) = sender else { return };
        self.say_goodbye(sender, rtcp::ntp(wall::now()));
    }

    /// The end of all tracks, behind what waits.
    pub(super) fn say_goodbye(&mut self, sender: &Sender, ntp: u64) {
        let Some(presentation) = self.presentation.as_deref_mut() else { return };
        let Some(datagrams) = &mut presentation.datagrams else {
            return self.send_rtcp(|track, out| sender.goodbye(track, ntp, out));
        };
        for (number, track) in presentation.tracks.iter().enumerate().take(TRACKS) {
            if track.way == Some(Way::Datagrams) {
                let mut goodbye = Vec::new();
                sender.goodbye(number, ntp, &mut goodbye);
                datagrams.say_goodbye(number, goodbye);
            }
        }
    }

    pub(super) fn send_rtcp(&mut self, write: impl Fn(usize, &mut Vec<u8>)) {
        let Some(presentation) = self.presentation.as_deref_mut() else { return };
        for (number, track) in presentation.tracks.iter().enumerate().take(TRACKS) {
            let Some(way) = track.way else { continue };
            let mut report = Vec::new();
            write(number, &mut report);
            if report.is_empty() {
                continue;
            }
            match way {
                Way::Interleaved(_, channel) => {
                    // Fails if the client reads nothing, which is noticed by other means.
                    let _ = self.protocol.rtsp().map(|session| session.send_frame(channel, &report));
                }
                // The group has its own.
                Way::Multicast => {}
                Way::Datagrams => {
                    if let Some(datagrams) = &mut presentation.datagrams {
                        datagrams.send_rtcp(number, &report);
                    }
                }
            }
        }
    }
}

impl Presentation {
    /// Where the next packets of its tracks are: those of an instant of the stream.
    pub(super) fn rtp_info(&self, sender: &Sender, at: Timestamp) -> Vec<RtpInfo> {
        let tracks = self.tracks.iter().enumerate().take(TRACKS).filter(|(_, track)| track.way.is_some());
        tracks
            .map(|(number, track)| RtpInfo {
                url: track.url.clone(),
                sequence: Some(sender.next_sequence(number)),
                timestamp: Some(sender.timestamp_at(number, at)),
            })
            .collect()
    }
}

/// Of a live stream: it begins now, for this client.
fn live() -> Range {
    Range::npt(Duration::ZERO, None)
}
