//! SETUP: how a track's packets go.
//!
//! The first of the client's offers that can be met is taken. Packets go to the address of the connection and nowhere else, whatever
//! `destination` says. All tracks go the same way: one that comes another way takes that of the others away, as ffmpeg's and
//! GStreamer's change from UDP to TCP needs it.

use super::{
    multicast,
    presentation::{Presentation, Purpose, Way},
    requests::{STREAM, stream_of},
    udp::Datagrams,
};
use crate::{
    rtsp::{Answer, Event, Lower, Mode, RequestId, Status, Target, TransportSpec},
    server::{
        connection::{Connection, Context, Role},
        path::StreamPath,
        player::Action,
        registry::Ending,
    },
};
use alloc::string::ToString;
use core::mem::discriminant;

impl Connection {
    pub(super) fn set_up(
        &mut self,
        cx: &mut Context<'_>,
        request: RequestId,
        url: &Target,
        transports: &[TransportSpec],
        mode: Mode,
    ) {
        if mode == Mode::Play && !self.is_recording() {
            if let Some(path) = self.note_presentation(cx, url) {
                let (url, transports) = (url.clone(), transports.to_vec());
                let event = Event::Setup { request, url, transports, mode, is_new_session: true };
                return self.ask_for_file(cx, request, event, path);
            }
        }
        let Some(number) = self.track_of(url) else {
            return self.refuse_rtsp(cx.now, request, Status::NOT_FOUND, "no such track");
        };
        let chosen = transports.iter().find_map(|offer| self.meet(cx, number, offer));
        let Some(transport) = chosen else {
            return self.refuse_rtsp(
                cx.now,
                request,
                Status::UNSUPPORTED_TRANSPORT,
                "no transport that could be met",
            );
        };
        // It takes effect with the next PLAY.
        if self.is_playing_live() {
            self.streams.retain(|(_, role)| !matches!(role, Role::Playing));
            cx.actions.push(Action::Leave { stream: STREAM });
        }
        self.pause_replay();
        if let Some(presentation) = &mut self.presentation {
            presentation.tracks[number].url = url.url().into();
        }
        self.answer_rtsp(cx.now, request, &Answer::SetUp { transport });
    }

    /// For clients that skip DESCRIBE, or go on to another stream. What may be a file is given back: that has to be opened.
    fn note_presentation(&mut self, cx: &mut Context<'_>, url: &Target) -> Option<StreamPath> {
        let is_of = |presentation: &Presentation, path: &str| {
            stream_of(path).is_ok_and(|path| path == presentation.path)
        };
        let (path, _) = url.split_track();
        let is_known =
            self.presentation.as_deref().is_some_and(|known| is_of(known, path) || is_of(known, url.path()));
        if is_known {
            return None;
        }
        let path = stream_of(path).ok()?;
        // Tokens and bases get lost on the way: what names a track of what was described is that, unless there is such a stream.
        let is_there = cx.shared.registry.is_live(&path) || cx.shared.may_be_file(&path);
        if !is_there && self.track_of(url).is_some() {
            return None;
        }
        if cx.shared.may_be_file(&path) {
            return Some(path);
        }
        let hub = cx.shared.registry.find(&path)?;
        let tracks = hub.rtp_tracks(cx.now);
        if !tracks.formats.is_empty() {
            self.end_presentation(cx, Ending::Proper);
            self.presentation = Some(Presentation::to_play(path, tracks.formats).into());
        }
        None
    }

    /// The track that a URL is about: by its control, by its number, or the only one.
    fn track_of(&self, url: &Target) -> Option<usize> {
        let tracks = &self.presentation.as_ref()?.tracks;
        let is_named = |control: &str| {
            let control = control.trim_end_matches('/');
            let last = control.rsplit('/').next().unwrap_or(control);
            control == url.url() || last == url.last_segment()
        };
        if let Some(number) = tracks.iter().position(|track| is_named(&track.control)) {
            return Some(number);
        }
        match url.split_track() {
            (_, Some(number)) => Some(number as usize).filter(|number| *number < tracks.len()),
            (_, None) if tracks.len() == 1 => Some(0),
            _ => None,
        }
    }

    /// Does what an offer asks for, if that can be done.
    fn meet(&mut self, cx: &Context<'_>, number: usize, offer: &TransportSpec) -> Option<TransportSpec> {
        // Who encrypts what is said does not want what is shown in the open; who comes through HTTP has no other way.
        let (local, is_tcp_alone) = (self.local_ip(), self.is_tls() || self.download.is_some());
        let presentation = self.presentation.as_deref_mut()?;
        let mode = match presentation.purpose {
            Purpose::Play | Purpose::Replay(_) => None,
            Purpose::Record(_) => Some(Mode::Record),
        };
        let (way, transport) = match offer.lower {
            Lower::Tcp => {
                let first = 2 * number as u8;
                let (rtp, rtcp) = offer.interleaved.unwrap_or((first, first + 1));
                let is_other = |(other, track): (usize, &super::presentation::Track)| {
                    other != number
                        && matches!(track.way, Some(Way::Interleaved(a, b)) if [a, b].contains(&rtp) || [a, b].contains(&rtcp))
                };
                if presentation.tracks.iter().enumerate().any(is_other) || rtp == rtcp {
                    return None;
                }
                (Way::Interleaved(rtp, rtcp), TransportSpec::tcp(rtp, rtcp))
            }
            Lower::Udp if is_tcp_alone => return None,
            Lower::Udp if !offer.is_multicast => {
                let ports = offer.client_port?;
                let peer = self.mailbox.address;
                let datagrams = presentation.datagrams.as_mut();
                let had = datagrams.and_then(|datagrams| datagrams.renew(number, peer, ports));
                let server_port = match had {
                    Some(server_port) => server_port,
                    None => {
                        let pair = cx.shared.rtsp.ports.pair(local?, peer, ports).map_err(|error| {
                            if self.refusals.count(cx.now, 1).is_some() {
                                log::warn!("no ports for {}: {error} (--rtsp-ports)", self.mailbox.id);
                            }
                        });
                        let pair = pair.ok()?;
                        let datagrams = presentation.datagrams.get_or_insert_with(|| Datagrams::new(cx.now));
                        datagrams.insert(number, pair)
                    }
                };
                let mut transport = TransportSpec::udp(ports.0, ports.1);
                transport.server_port = Some(server_port);
                (Way::Datagrams, transport)
            }
            Lower::Udp => {
                let is_live = matches!(presentation.purpose, Purpose::Play);
                let groups = cx.shared.rtsp.groups.as_ref().filter(|_| is_live)?;
                let group = groups.join(cx.shared, &presentation.path, &presentation.formats(), local?)?;
                let transport = TransportSpec {
                    is_multicast: true,
                    destination: Some(group.address().to_string()),
                    port: Some(group.ports(number)),
                    ttl: Some(multicast::TTL),
                    ..TransportSpec::default()
                };
                presentation.membership = Some(group);
                (Way::Multicast, transport)
            }
        };
        for (other, track) in presentation.tracks.iter_mut().enumerate() {
            if other != number && track.way.is_some_and(|other| discriminant(&other) != discriminant(&way)) {
                track.way = None;
            }
        }
        if way != Way::Datagrams {
            presentation.datagrams = None;
        }
        if way != Way::Multicast {
            presentation.membership = None;
        }
        presentation.tracks[number].way = Some(way);
        Some(TransportSpec { mode, ..transport })
    }
}
