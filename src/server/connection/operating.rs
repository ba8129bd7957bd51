//! What operators see of a connection and do with it: its facts for the API, its capture.

use super::*;
use crate::server::{
    capture::{NotSwitched, Switch},
    report::{self, ConnectionFacts},
};

impl Connection {
    /// Begins or ends its capture. That one has begun is told when its file is there.
    pub(super) fn switch_capture(&mut self, shared: &Shared, switch: &Switch) -> Result<(), NotSwitched> {
        let capture = shared.capture.as_ref().ok_or(NotSwitched::NotEnabled)?;
        let going_on = self.recorder.as_ref().and_then(Recorder::facts);
        match (switch.is_on, going_on) {
            (true, Some(_)) => return Err(NotSwitched::AlreadyOn),
            (false, None) => return Err(NotSwitched::AlreadyOff),
            _ => {}
        }
        if let Some(recorder) = self.recorder.take() {
            recorder.end(false);
        }
        if switch.is_on {
            let local = self.transport.socket.local_addr();
            let local = local.map_err(|error| NotSwitched::Failed(crate::server::plain(&error)))?;
            self.captures += 1;
            let done = Some(switch.done.clone());
            self.recorder = Some(capture.recorder(self.id(), self.peer, local, self.captures, done));
            log::info!("{} is being captured", self.id());
            return Ok(());
        }
        log::info!("{} is captured no longer", self.id());
        let _ = switch.done.try_send(Ok(None));
        Ok(())
    }

    /// What there is to tell, as far as the connection itself knows.
    pub(in crate::server) fn facts(&self) -> ConnectionFacts {
        let (received, sent) = self.bytes();
        let (mut role, mut stream) = (report::Role::Other, None);
        for (_, does) in &self.streams {
            (role, stream) = match does {
                Role::Publishing(publishing) => (report::Role::Publisher, Some(publishing.path().clone())),
                Role::Playing => (report::Role::Player, None),
                Role::Replaying => (report::Role::File, None),
                Role::Listening => (report::Role::Console, None),
            };
            if role == report::Role::Publisher {
                break;
            }
        }
        if let (report::Role::Other, Some(path)) = (role, &self.hls) {
            (role, stream) = (report::Role::Player, Some(path.clone()));
        }
        let protocol = match &self.protocol {
            Protocol::Unknown(_) => None,
            Protocol::Rtmp(_) => Some(report::Protocol::Rtmp),
            Protocol::Http(session) => Some(match (role, session.framing()) {
                (report::Role::Player, _) if stream.is_some() => report::Protocol::Hls,
                (report::Role::Player, Some(Framing::WebSocket)) => report::Protocol::WsFlv,
                (report::Role::Player, _) => report::Protocol::HttpFlv,
                _ => report::Protocol::Http,
            }),
            Protocol::Rtsp(_) | Protocol::Upload(_) => Some(report::Protocol::Rtsp),
        };
        let is_closing = matches!(self.protocol.state(), State::Closing | State::Closed);
        ConnectionFacts {
            mailbox: Arc::downgrade(&self.mailbox),
            id: self.id().0,
            address: self.peer,
            protocol,
            is_tls: self.transport.is_tls(),
            role,
            stream,
            agent: self.agent.clone(),
            opened: self.opened,
            received,
            sent,
            delay: None,
            queued: self.queued(),
            dropped: 0,
            state: if is_closing { report::State::Closing } else { report::State::Active },
            capture: self.recorder.as_ref().and_then(Recorder::facts),
        }
    }
}
