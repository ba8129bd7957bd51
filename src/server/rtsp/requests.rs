//! What the events of an RTSP session mean.

use super::presentation::Purpose;
use crate::{base::MonoTime, rtmp::MessageStreamId};
use crate::{
    rtsp::{Answer, Event, RequestId, Status},
    server::{
        connection::{Connection, Context, Role},
        path::{PathError, StreamPath},
        registry::Ending,
    },
};
use core::fmt::Display;

/// What a room knows the one stream of an RTSP connection by.
pub(super) const STREAM: MessageStreamId = MessageStreamId(1);

impl Connection {
    pub(in crate::server) fn handle_rtsp(&mut self, cx: &mut Context<'_>, event: Event) {
        match event {
            // First, because it is nearly all there is.
            Event::Frame { channel, data } => self.take_frame(cx, channel, &data),
            Event::Describe { request, url } => self.describe(cx, request, &url),
            Event::Announce { request, url, body } => self.announce(cx, request, &url, &body),
            Event::Setup { request, url, transports, mode, .. } => {
                self.set_up(cx, request, &url, &transports, mode);
            }
            Event::Play { request, range, scale, speed, .. } => {
                self.play_rtsp(cx, request, range, scale, speed)
            }
            Event::Pause { request, .. } => self.pause_rtsp(cx, request),
            Event::Record { request, .. } => self.record_rtsp(cx, request),
            Event::Teardown { request, url } => {
                let is_over = self.tear_down(cx, url.last_segment());
                self.answer_rtsp(cx.now, request, &Answer::TornDown { session_over: is_over });
            }
            Event::GetParameter { request, names, .. } => self.tell_parameters(cx.now, request, &names),
            Event::SetParameter { request, .. } => {
                self.answer_rtsp(cx.now, request, &Answer::Failed(Status::PARAMETER_NOT_UNDERSTOOD));
            }
            Event::Refused(refusal) => self.note_refusal(cx.now, &refusal),
        }
    }

    /// Only a mistake of ours can make an answer fail; it must not end the other connections.
    pub(super) fn answer_rtsp(&mut self, now: MonoTime, request: RequestId, answer: &Answer) {
        let Some(session) = self.protocol.rtsp() else { return };
        if let Err(misuse) = session.respond(now, request, answer) {
            log::error!("{}: {misuse}", self.id());
        }
    }

    pub(in crate::server) fn refuse_rtsp(
        &mut self,
        now: MonoTime,
        request: RequestId,
        status: Status,
        why: &str,
    ) {
        self.note_refusal(now, &why);
        self.answer_rtsp(now, request, &Answer::Failed(status));
    }

    /// Says in the log what a client is not given, once a second at most: it may ask as often as it likes.
    fn note_refusal(&mut self, now: MonoTime, why: &dyn Display) {
        match self.refusals.count(now, 1) {
            Some(1) => log::warn!("{} {} is refused: {why}", self.id(), self.peer),
            Some(count) => log::warn!("{} {} is refused: {why} ({count} times)", self.id(), self.peer),
            None => {}
        }
    }

    /// A track is given up, or all of it. True if nothing is left.
    fn tear_down(&mut self, cx: &mut Context<'_>, control: &str) -> bool {
        let Some(presentation) = &mut self.presentation else { return true };
        let track = presentation.tracks.iter().position(|track| track.control == control);
        let number =
            track.filter(|_| presentation.tracks.iter().filter(|track| track.way.is_some()).count() > 1);
        if let Some(number) = number {
            presentation.tracks[number].way = None;
            if let Some(datagrams) = &mut presentation.datagrams {
                datagrams.remove(number);
            }
            self.rejoin(cx);
            return false;
        }
        self.end_presentation(cx, Ending::Proper);
        true
    }

    /// Whatever it does ends.
    pub(super) fn end_presentation(&mut self, cx: &mut Context<'_>, ending: Ending) {
        self.finish_receiving(cx);
        // What went through ports counts on.
        let (bytes_in, bytes_out) = self.presentation.take().map_or((0, 0), |known| known.bytes());
        self.other_bytes = (self.other_bytes.0 + bytes_in, self.other_bytes.1 + bytes_out);
        for (stream, role) in core::mem::take(&mut self.streams) {
            self.end_role(cx, stream, role, ending);
        }
    }

    /// The way that media goes, unless nothing was described, announced or set up.
    pub(super) fn is_recording(&self) -> bool {
        let purpose = self.presentation.as_ref().map(|presentation| &presentation.purpose);
        matches!(purpose, Some(Purpose::Record(_)))
    }

    pub(super) fn is_playing_live(&self) -> bool {
        self.streams.iter().any(|(_, role)| matches!(role, Role::Playing))
    }
}

/// The stream of a URL's path. Publishers may say `.sdp` behind it, as they would for a file of that name.
pub(super) fn stream_of(path: &str) -> Result<StreamPath, PathError> {
    StreamPath::join("", "", path)
}
