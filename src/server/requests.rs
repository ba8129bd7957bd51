//! What a server does about the events of a session: connect, publish, play and what follows them.
//!
//! Every application name is welcome, because paths are joined anew for every stream (see `path`). Live streams
//! answer `seek` with a fresh start instead of an error: ffmpeg with `-ss` discards everything until
//! Seek.Notify and aborts on a status of level "error", so a refusal would end it and silence would hang it.
//! What may concern a file is not answered here but asked of a thread that may wait for the disk: [`Action::Ask`].

use super::{
    connection::{Connection, Context, End, Role},
    path::StreamPath,
    player::{Action, Terms},
    protocol::Protocol,
    registry::Ending,
    relay::identity,
    tracks,
    vod::{Ask, Entry},
};
use crate::{
    amf::Value,
    rtmp::{
        ApiMisuse, MessageStreamId, Session,
        session::{Call, Event, Play, PlayStart, Publish, RejectReason, RequestId, State},
    },
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
};

impl Connection {
    /// Takes events until there are none. True if there were any.
    pub(super) fn handle_events(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        loop {
            match &mut self.protocol {
                Protocol::Unknown(_) | Protocol::Upload(_) => break,
                Protocol::Rtmp(session) => match session.poll_event() {
                    Some(event) => self.handle_event(cx, event),
                    None => break,
                },
                Protocol::Http(session) => match session.poll_event() {
                    Some(event) => self.handle_http(cx, event),
                    None => break,
                },
                Protocol::Rtsp(session) => match session.poll_event() {
                    Some(event) => self.handle_rtsp(cx, event),
                    None => break,
                },
            }
            any = true;
        }
        if any && self.protocol.state() != State::Open && self.protocol.state() != State::Handshaking {
            self.release(cx);
        }
        any
    }

    fn handle_event(&mut self, cx: &mut Context<'_>, event: Event) {
        match event {
            // First, because it is nearly all there is.
            Event::Tag { stream, tag } => {
                if let Some(Role::Publishing(publishing)) = self.role(stream) {
                    publishing.tag(cx.now, tag);
                }
            }
            Event::Connect { request, connect } => {
                log::debug!("{} connects with {:?}", self.id(), connect.flash_ver);
                self.via = identity::via(&connect.flash_ver);
                self.agent = tracks::shown(&connect.flash_ver);
                self.app = connect.app;
                self.tc_url = connect.tc_url;
                self.accept(request);
            }
            Event::Publish { request, publish } => self.publish(cx, request, &publish),
            Event::Play { request, play } => self.play(cx, request, *play, None),
            Event::Play2 { request, play2 } => {
                let play = Play {
                    stream: play2.stream,
                    name: play2.name,
                    start: PlayStart::LiveOrRecorded,
                    duration: None,
                    reset: true,
                    wanted: play2.wanted,
                };
                self.play(cx, request, play, Some(play2.transition));
            }
            Event::Pause { request, stream, paused, position } => match self.role(stream) {
                Some(Role::Replaying) => {
                    let ask = Ask::Pause { stream, paused, position };
                    cx.actions.push(Action::Ask { request, ask });
                }
                _ => {
                    self.accept(request);
                    cx.actions.push(Action::Pause { stream, paused });
                }
            },
            Event::Seek { request, stream, position } => match self.role(stream) {
                Some(Role::Replaying) => {
                    cx.actions.push(Action::Ask { request, ask: Ask::Seek { stream, position } });
                }
                _ => {
                    self.accept(request);
                    cx.actions.push(Action::Restart { stream });
                }
            },
            Event::BufferLength { stream, length } => {
                self.buffer = Some(length);
                cx.actions.push(Action::Buffer { stream, length });
            }
            Event::ReceiveAudio { stream, wanted } => {
                cx.actions.push(Action::ReceiveAudio { stream, wanted });
            }
            Event::ReceiveVideo { stream, wanted } => {
                cx.actions.push(Action::ReceiveVideo { stream, wanted });
            }
            Event::StreamEnded { stream } => {
                if let Some(index) = self.streams.iter().position(|(id, _)| *id == stream) {
                    let (stream, role) = self.streams.swap_remove(index);
                    self.end_role(cx, stream, role, Ending::Proper);
                }
            }
            // releaseStream and the like are the session's; a custom call gets a polite nothing.
            Event::Call { request, call } => self.call(cx, request, &call),
            Event::PeerClosing => {
                self.note_end(End::PeerClosed);
                for (stream, role) in core::mem::take(&mut self.streams) {
                    self.end_role(cx, stream, role, Ending::Proper);
                }
            }
            Event::Ignored { message_type, why } => {
                log::debug!("{} ignored a message of type {message_type}: {why:?}", self.id());
            }
            // A server has no use for the rest, events of clients.
            _ => {}
        }
    }

    fn publish(&mut self, cx: &Context<'_>, request: RequestId, publish: &Publish) {
        let path = match StreamPath::join(&self.app, &self.tc_url, &publish.name) {
            Ok(path) => path,
            Err(why) => {
                // Without the name, which may hold anything, tokens too.
                log::warn!("{} {} may not publish: {why}", self.id(), self.peer);
                return self.refuse(request, RejectReason::InvalidName(why.to_string()));
            }
        };
        if self.via.contains(&cx.shared.id.stream(&path)) {
            log::warn!("{} {} may not publish {path}: {PUSHED_IN_A_RING}", self.id(), self.peer);
            let why = RejectReason::Failed("Servers send it to each other in a ring.".to_string());
            return self.refuse(request, why);
        }
        let admitted = cx.shared.registry.admit(self.mailbox.address);
        let asked = (publish.stream, publish.kind);
        match admitted.and_then(|()| cx.shared.publish(cx.now, &path, &self.mailbox, Some(asked))) {
            Ok(publishing) => {
                log::info!("{} publishes {path}", self.id());
                publishing.hub().set_came_by(&self.via);
                self.streams.push((publish.stream, Role::Publishing(publishing)));
                self.accept(request);
            }
            Err(why) => {
                log::warn!("{} {} may not publish {path}: {}", self.id(), self.peer, refusal(&why));
                self.refuse(request, why);
            }
        }
    }

    /// Also for play2: a player that switches starts over on the other stream.
    fn play(&mut self, cx: &mut Context<'_>, request: RequestId, play: Play, transition: Option<String>) {
        let path = match StreamPath::join(&self.app, &self.tc_url, &play.name) {
            Ok(path) => path,
            Err(why) => {
                log::warn!("{} {} may not play: {why}", self.id(), self.peer);
                return self.reject(request, RejectReason::InvalidName(why.to_string()));
            }
        };
        let Play { stream, name, start, duration, reset, wanted } = play;
        let is_replaying = matches!(self.role(stream), Some(Role::Replaying));
        let may_be_file = match start {
            PlayStart::Live => false,
            _ if cx.shared.vod.as_ref().is_some_and(|vod| vod.has(&path)) => true,
            // librtmp says 0 of live streams, so that is no wish for an earlier point.
            PlayStart::At(1..) => cx.shared.recording(&path).is_some(),
            _ => false,
        };
        let joins_playlist = is_replaying && (!reset || transition.is_some());
        if !may_be_file && !joins_playlist {
            return self.play_live(cx, request, stream, path, Terms::new(wanted, duration));
        }
        let entry = Box::new(Entry { stream, name, path, start, duration, wanted });
        if self.is_elsewhere(stream, |role| matches!(role, Role::Playing)) {
            return self.refuse_mixture(request);
        }
        let ask = Ask::Play { entry, reset, transition };
        cx.actions.push(Action::Ask { request, ask });
    }

    pub(super) fn play_live(
        &mut self,
        cx: &mut Context<'_>,
        request: RequestId,
        stream: MessageStreamId,
        path: StreamPath,
        terms: Terms,
    ) {
        // Live streams and files are sent by threads of different kinds, and a connection has one.
        if self.is_elsewhere(stream, |role| matches!(role, Role::Replaying)) {
            return self.refuse_mixture(request);
        }
        match cx.shared.registry.hub(&path) {
            Ok(hub) if self.via.contains(&cx.shared.id.stream(&path)) && !hub.is_published_by_client() => {
                log::warn!("{} {} may not play {path}: {}", self.id(), self.peer, IN_A_RING);
                self.reject(request, RejectReason::NotFound);
            }
            Ok(hub) => {
                hub.note_via(&self.via);
                log::info!("{} plays {path}", self.id());
                self.set_role(stream, Role::Playing);
                self.accept(request);
                cx.actions.push(Action::Join { stream, hub, terms });
            }
            Err(why) => {
                log::warn!("{} {} may not play {path}: {}", self.id(), self.peer, refusal(&why));
                self.reject(request, why);
            }
        }
    }

    fn refuse_mixture(&mut self, request: RequestId) {
        log::warn!("{} {} may not play live and recorded streams at once", self.id(), self.peer);
        let why = "One connection plays either live streams or files.";
        self.reject(request, RejectReason::Failed(why.to_string()));
    }

    /// Another message stream has such a role.
    fn is_elsewhere(&self, stream: MessageStreamId, is: impl Fn(&Role) -> bool) -> bool {
        self.streams.iter().any(|(id, role)| *id != stream && is(role))
    }

    /// getStreamLength of a file needs the file.
    fn call(&mut self, cx: &mut Context<'_>, request: RequestId, call: &Call) {
        let is_live = self.streams.iter().any(|(_, role)| matches!(role, Role::Playing));
        let name = call.args.iter().find_map(Value::as_str);
        if let Some(name) = name.filter(|_| call.name == "getStreamLength" && !is_live) {
            let path = StreamPath::join(&self.app, &self.tc_url, name).ok();
            let vod = cx.shared.vod.as_ref();
            if let Some(path) = path.filter(|path| vod.is_some_and(|vod| vod.has(path))) {
                cx.actions.push(Action::Ask { request, ask: Ask::Length { path } });
                return;
            }
        }
        self.accept(request);
    }

    pub(super) fn set_role(&mut self, stream: MessageStreamId, role: Role) {
        self.streams.retain(|(id, _)| *id != stream);
        self.streams.push((stream, role));
    }

    fn role(&self, stream: MessageStreamId) -> Option<&Role> {
        self.streams.iter().find(|(id, _)| *id == stream).map(|(_, role)| role)
    }

    pub(super) fn accept(&mut self, request: RequestId) {
        self.answer(|session| session.accept(request));
    }

    /// A refused publisher is closed by its session.
    fn refuse(&mut self, request: RequestId, why: RejectReason) {
        self.note_end(End::Refused(refusal(&why)));
        self.reject(request, why);
    }

    pub(super) fn reject(&mut self, request: RequestId, why: RejectReason) {
        self.answer(|session| session.reject(request, why));
    }

    /// Only a mistake of ours can make an answer fail; it must not end the other connections.
    pub(super) fn answer(&mut self, answer: impl FnOnce(&mut Session) -> Result<(), ApiMisuse>) {
        if let Some(Err(misuse)) = self.protocol.rtmp().map(answer) {
            log::error!("{}: {misuse}", self.id());
        }
    }
}

/// A server that fetches from us what we fetch from it.
const IN_A_RING: &str = "servers ask each other for it in a ring (--origin, --pull)";

/// A server that sends us what we send to it.
const PUSHED_IN_A_RING: &str = "servers send it to each other in a ring (--push)";

/// For the log; the texts for the peer may name what it sent.
fn refusal(why: &RejectReason) -> &'static str {
    match why {
        RejectReason::NotAllowed(_) => "not from this address (--publish-from)",
        RejectReason::NameTaken => "somebody else publishes there (--takeover)",
        RejectReason::InvalidName(_) => "not a stream name",
        RejectReason::NoSuchApp => "no such application",
        RejectReason::NotFound => "nothing to play there",
        RejectReason::InvalidTime(_) => "a seek past the end",
        RejectReason::NotSeekable => "not seekable",
        RejectReason::Damaged(_) => "damaged",
        RejectReason::NothingPlayable(_) => "nothing in it can be played",
        RejectReason::Failed(_) => "no room for another stream",
    }
}
