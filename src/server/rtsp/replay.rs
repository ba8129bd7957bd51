//! Files: DESCRIBE, PLAY, PAUSE and what clients ask about a file, and its packets on their way out.
//!
//! A request that needs a file goes, unanswered, to a thread of its own with its connection ([`Action::Open`]); that opens it
//! (`vod::thread`) and comes back here. From then on all requests are handled where the file may be read, until another
//! presentation takes its place.
//! Not here: which frames are sent when (`vod::replay`). Bound: [`QUEUE`] bytes wait to be sent.
//!
//! Field notes: ffmpeg and GStreamer end with the goodbye of all tracks, and only if it is behind a report; VLC and GStreamer go on
//! behind the end by a PLAY of the same session; GStreamer repeats `npt=now-` or `npt=0-` where the description says so.

use super::{
    describe::{content_base, description},
    presentation::{Presentation, Purpose},
    requests::STREAM,
    udp,
};
use crate::{
    base::{MonoTime, State},
    rtp::sdp,
    rtsp::{Answer, Event, Range, RequestId, Status, Target},
    server::{
        connection::{Connection, Context, Role},
        path::StreamPath,
        player::Action,
        shared_tag::Piece,
        vod::{Due, Pumped, Replay},
    },
};
use alloc::{format, string::String, vec::Vec};

/// Bytes that wait before more is read. Little, so that a jump is felt at once.
const QUEUE: usize = 256 << 10;

impl Connection {
    /// Has a file opened for a request, unless something else is going on.
    pub(super) fn ask_for_file(
        &mut self,
        cx: &mut Context<'_>,
        request: RequestId,
        event: Event,
        path: StreamPath,
    ) {
        if self.is_busy() {
            let why = format!("{path} is asked for while something else is set up");
            return self.refuse_rtsp(cx.now, request, Status::NOT_VALID_IN_THIS_STATE, &why);
        }
        cx.actions.push(Action::Open { request, event: event.into(), path });
    }

    pub(super) fn describe_file(
        &mut self,
        cx: &mut Context<'_>,
        request: RequestId,
        url: &Target,
        path: StreamPath,
    ) {
        // Unless it is set up it may have changed.
        let is_same = self.is_replaying() && self.presentation.as_ref().is_some_and(|of| of.path == path);
        if is_same && self.is_busy() {
            return self.tell_file(cx.now, request, url);
        }
        self.ask_for_file(cx, request, Event::Describe { request, url: url.clone() }, path);
    }

    /// The file is open that a request has waited for.
    pub(in crate::server) fn begin_replay(
        &mut self,
        cx: &mut Context<'_>,
        event: &Event,
        path: StreamPath,
        replay: Replay,
    ) {
        self.presentation = Some(Presentation::to_replay(path, replay).into());
        match event {
            Event::Describe { request, url } => self.tell_file(cx.now, *request, url),
            Event::Setup { request, url, transports, mode, .. } => {
                self.set_up(cx, *request, url, transports, *mode);
            }
            _ => {}
        }
    }

    /// There is no such file. It may be a stream that begins because somebody asks.
    pub(in crate::server) fn refuse_replay(
        &mut self,
        cx: &Context<'_>,
        event: &Event,
        path: StreamPath,
        (status, why): (Status, &str),
    ) {
        match event {
            Event::Describe { request, url } if cx.shared.comes_on_demand(&path) => {
                self.describe_live(cx, *request, url, path);
            }
            _ => {
                let Some(request) = event.request() else { return };
                self.refuse_rtsp(cx.now, request, status, &format!("{path}: {why}"));
            }
        }
    }

    fn tell_file(&mut self, now: MonoTime, request: RequestId, url: &Target) {
        let Some(Presentation { purpose: Purpose::Replay(replay), path, .. }) = self.presentation.as_deref()
        else {
            return;
        };
        let range = match replay.duration() {
            0 => sdp::Range::Live,
            duration => sdp::Range::Recorded { duration: duration.into() },
        };
        let sdp = description(path.as_str(), replay.formats(), range).write();
        let content_base = content_base(url.url());
        self.answer_rtsp(now, request, &Answer::Described { sdp, content_base });
    }

    pub(super) fn play_file(
        &mut self,
        now: MonoTime,
        request: RequestId,
        range: Option<&Range>,
        scale: Option<f64>,
        speed: Option<f64>,
    ) {
        let Some(presentation) = self.presentation.as_deref_mut() else { return };
        let Purpose::Replay(replay) = &mut presentation.purpose else { return };
        if let Some(datagrams) = &mut presentation.datagrams {
            datagrams.forget_goodbyes();
        }
        let begun = match replay.play(now, range, scale, speed) {
            Ok(begun) => begun,
            Err(status) => {
                let why = format!("no such range of {}: {range:?}", presentation.path);
                return self.refuse_rtsp(now, request, status, &why);
            }
        };
        let sender = replay.sender().clone();
        let way = if presentation.datagrams.is_some() { "UDP" } else { "TCP" };
        let (path, range) = (&presentation.path, begun.range);
        log::info!("{} plays {path} by RTSP over {way}: {range}", self.mailbox.id);
        let rtp_info = begun.at.map(|at| presentation.rtp_info(&sender, at)).unwrap_or_default();
        let answer = Answer::Playing {
            range: Some(range),
            scale: scale.map(|_| begun.scale),
            speed: speed.map(|_| begun.speed),
            rtp_info,
        };
        self.set_role(STREAM, Role::Replaying);
        self.answer_rtsp(now, request, &answer);
    }

    /// Stops what is played of a file; tells what is left of it.
    pub(super) fn pause_replay(&mut self) -> Option<Range> {
        match &mut self.presentation.as_deref_mut()?.purpose {
            Purpose::Replay(replay) => Some(replay.pause()),
            _ => None,
        }
    }

    /// GET_PARAMETER: `position`, in seconds from the start of the file, or from when a live stream began for this client.
    pub(super) fn tell_parameters(&mut self, now: MonoTime, request: RequestId, names: &[String]) {
        let position = self.presentation.as_deref().and_then(|known| match &known.purpose {
            Purpose::Replay(replay) => Some(u64::from(replay.position(now))),
            Purpose::Play => Some(known.began.map_or(0, |began| now.since(began).as_millis() as u64)),
            Purpose::Record(_) => None,
        });
        let asked = names.iter().filter(|name| name.eq_ignore_ascii_case("position"));
        let values: Vec<(String, String)> = asked
            .zip(position)
            .map(|(name, at)| (name.clone(), format!("{}.{:03}", at / 1000, at % 1000)))
            .collect();
        self.answer_rtsp(now, request, &Answer::Parameters(values));
    }

    /// What it is about is a file.
    pub(in crate::server) fn is_replaying(&self) -> bool {
        matches!(self.presentation.as_deref(), Some(Presentation { purpose: Purpose::Replay(_), .. }))
    }

    /// Something is going on that another presentation must not end.
    pub(super) fn is_busy(&self) -> bool {
        let is_set_up = || self.presentation.as_ref().is_some_and(|known| known.is_set_up());
        self.is_playing_live() || self.is_recording() || (self.is_replaying() && is_set_up())
    }

    /// Queues what is due of a file, as far as there is room.
    pub(in crate::server) fn pump_replay(&mut self, now: MonoTime) -> Pumped {
        loop {
            self.report_replay(now);
            let Some(presentation) = self.presentation.as_deref_mut() else { return Pumped::Idle };
            let carrier = presentation.carrier();
            let is_udp = presentation.datagrams.is_some();
            let waiting = presentation.queued();
            let Purpose::Replay(replay) = &mut presentation.purpose else { return Pumped::Idle };
            let Some(session) = self.protocol.rtsp().filter(|session| session.state() == State::Open) else {
                return Pumped::Idle;
            };
            // Ports say nothing when they have taken what waited.
            if is_udp && waiting >= QUEUE {
                return Pumped::Until(now + udp::PAUSE);
            }
            if session.output_len() >= QUEUE {
                return Pumped::Full;
            }
            match replay.pump(now, carrier) {
                Due::Packets(packets) => {
                    // Fails only if the limit is smaller than a picture.
                    if let Err(error) = self.offer(STREAM, &Piece::Rtp(packets)) {
                        log::debug!("{}: packets are lost: {error:?}", self.mailbox.id);
                    }
                }
                Due::Until(at) => return Pumped::Until(at),
                Due::Idle => return Pumped::Idle,
                Due::End => {
                    let (sender, ntp) = (replay.sender().clone(), replay.ntp(now));
                    log::info!("{} has played {} to the end", self.mailbox.id, presentation.path);
                    self.say_goodbye(&sender, ntp);
                    return Pumped::Idle;
                }
            }
        }
    }

    /// Tells the client what time it is in a file, if it has to be told.
    fn report_replay(&mut self, now: MonoTime) {
        let Some(presentation) = self.presentation.as_deref_mut() else { return };
        let Purpose::Replay(replay) = &mut presentation.purpose else { return };
        if let Some(ntp) = replay.report(now) {
            let sender = replay.sender().clone();
            if let Some(datagrams) = &mut presentation.datagrams {
                datagrams.flush(now);
            }
            self.send_rtcp(|track, out| sender.report(track, ntp, out));
        }
    }
}
