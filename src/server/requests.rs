//! What a server does about the events of a session: connect, publish, play and what follows them.
//!
//! Every application name is welcome, because paths are joined anew for every stream (see `path`). Live streams
//! answer `seek` with a fresh start instead of an error: ffmpeg with `-ss` discards everything until
//! Seek.Notify and aborts on a status of level "error", so a refusal would end it and silence would hang it.

use super::{
    connection::{Connection, Context, End, Role},
    path::StreamPath,
    player::Action,
    registry::Ending,
};
use crate::rtmp::{
    ApiMisuse, MessageStreamId,
    session::{Event, Publish, RejectReason, RequestId, State, Wanted},
};
use alloc::string::ToString;

impl Connection {
    /// Takes events until there are none. True if there were any.
    pub(super) fn handle_events(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Some(event) = self.session.poll_event() {
            any = true;
            self.handle_event(cx, event);
        }
        if any && self.session.state() != State::Open && self.session.state() != State::Handshaking {
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
                self.app = connect.app;
                self.tc_url = connect.tc_url;
                self.accept(request);
            }
            Event::Publish { request, publish } => self.publish(cx, request, &publish),
            Event::Play { request, play } => {
                self.play(cx, request, play.stream, &play.name, play.wanted);
            }
            Event::Play2 { request, play2 } => {
                self.play(cx, request, play2.stream, &play2.name, play2.wanted);
            }
            Event::Pause { request, stream, paused, .. } => {
                self.accept(request);
                cx.actions.push(Action::Pause { stream, paused });
            }
            Event::Seek { request, stream, .. } => {
                self.accept(request);
                cx.actions.push(Action::Restart { stream });
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
            Event::Call { request, .. } => self.accept(request),
            Event::PeerClosing => {
                self.note_end(End::PeerClosed);
                for (stream, role) in core::mem::take(&mut self.streams) {
                    self.end_role(cx, stream, role, Ending::Proper);
                }
            }
            Event::Ignored { message_type, why } => {
                log::debug!("{} ignored a message of type {message_type}: {why:?}", self.id());
            }
            // A server has no use for the rest: buffer lengths (live is sent as it comes), events of clients.
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
        let registry = &cx.shared.registry;
        let admitted = registry.admit(self.mailbox.address);
        match admitted.and_then(|()| registry.publish(cx.now, &path, &self.mailbox)) {
            Ok(publishing) => {
                log::info!("{} publishes {path}", self.id());
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
    fn play(
        &mut self,
        cx: &mut Context<'_>,
        request: RequestId,
        stream: MessageStreamId,
        name: &str,
        wanted: Wanted,
    ) {
        let path = match StreamPath::join(&self.app, &self.tc_url, name) {
            Ok(path) => path,
            Err(why) => {
                log::warn!("{} {} may not play: {why}", self.id(), self.peer);
                return self.reject(request, RejectReason::InvalidName(why.to_string()));
            }
        };
        match cx.shared.registry.hub(&path) {
            Ok(hub) => {
                log::info!("{} plays {path}", self.id());
                self.streams.retain(|(id, _)| *id != stream);
                self.streams.push((stream, Role::Playing));
                self.accept(request);
                cx.actions.push(Action::Join { stream, hub, wanted });
            }
            Err(why) => {
                log::warn!("{} {} may not play {path}: {}", self.id(), self.peer, refusal(&why));
                self.reject(request, why);
            }
        }
    }

    fn role(&self, stream: MessageStreamId) -> Option<&Role> {
        self.streams.iter().find(|(id, _)| *id == stream).map(|(_, role)| role)
    }

    fn accept(&mut self, request: RequestId) {
        let result = self.session.accept(request);
        self.check(result);
    }

    /// A refused publisher is closed by its session.
    fn refuse(&mut self, request: RequestId, why: RejectReason) {
        self.note_end(End::Refused(refusal(&why)));
        self.reject(request, why);
    }

    fn reject(&mut self, request: RequestId, why: RejectReason) {
        let result = self.session.reject(request, why);
        self.check(result);
    }

    /// Only a mistake of ours can make an answer fail; it must not end the other connections.
    fn check(&self, result: Result<(), ApiMisuse>) {
        if let Err(misuse) = result {
            log::error!("{}: {misuse}", self.id());
        }
    }
}

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
        RejectReason::Failed(_) => "no room for another stream",
    }
}
