//! What changes something: kick, record, capture, redirect.

use super::{
    sample::{self, Sample, Told},
    streams::StreamRecording,
};
use crate::{
    base::CloseReason,
    http::{Response, Status},
    server::{
        Shared, StreamPath,
        capture::{NotSwitched, Switch},
        hub::HubState,
        port::{ConnectionId, Letter, Mailbox},
        record::NotStarted,
        report::ConnectionFacts,
        rtsp::{NotRedirected, Redirect},
    },
};
use alloc::{format, string::String, sync::Arc};
use core::time::Duration;
use crossbeam_channel::{RecvTimeoutError, bounded};

/// Time that a connection has to do what it is told, and the disk to take the file of a capture. The former does within a turn.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) fn no_stream(path: &StreamPath) -> Response {
    let why = format!("nobody publishes {path}, and nobody waits for it");
    Response::api_error(Status::NOT_FOUND, "no_such_stream", &why)
}

fn no_connection(id: u64) -> Response {
    let why = format!("there is no connection {id}: it has closed, or never was");
    Response::api_error(Status::NOT_FOUND, "no_such_connection", &why)
}

fn conflict(code: &'static str, why: &str) -> Response {
    Response::api_error(Status::CONFLICT, code, why)
}

fn internal(why: &str) -> Response {
    Response::api_error(Status::INTERNAL_ERROR, "internal", why)
}

fn busy(why: &str) -> Response {
    Response::api_error(Status::SERVICE_UNAVAILABLE, "busy", why).header("Retry-After", "1")
}

fn done() -> Response {
    Response::new(Status::NO_CONTENT).header("Cache-Control", "no-store")
}

/// One connection, or the answer that says why not.
pub(super) fn find(shared: &Arc<Shared>, id: u64) -> Result<ConnectionFacts, Response> {
    found(id, || sample::ask(shared, Some(ConnectionId(id))))
}

fn found(id: u64, mut ask: impl FnMut() -> Told) -> Result<ConnectionFacts, Response> {
    let mut told = ask();
    if told.connections.is_empty() {
        // It may have been on its way from one thread to another.
        told = ask();
    }
    match told.connections.pop() {
        Some(facts) => Ok(facts),
        None if told.is_complete => Err(no_connection(id)),
        None => Err(busy("a thread of the server did not answer in time; it may own that connection")),
    }
}

/// Where it is, to leave word for it.
fn mailbox(shared: &Arc<Shared>, id: u64) -> Result<Arc<Mailbox>, Response> {
    find(shared, id)?.mailbox.upgrade().ok_or_else(|| no_connection(id))
}

/// Closes a connection.
pub(super) fn kick(shared: &Arc<Shared>, id: u64) -> Response {
    let mailbox = match mailbox(shared, id) {
        Ok(mailbox) => mailbox,
        Err(refusal) => return refusal,
    };
    log::info!("{} is closed by an operator", mailbox.id);
    shared.stats.kicked.add(1);
    mailbox.close(CloseReason::Kicked);
    done()
}

/// Begins or ends the capture of a connection.
pub(super) fn capture(shared: &Arc<Shared>, id: u64, is_on: bool) -> Response {
    let mailbox = match mailbox(shared, id) {
        Ok(mailbox) => mailbox,
        Err(refusal) => return refusal,
    };
    let (done_to, told) = bounded(1);
    mailbox.leave(Letter::Capture(Switch { is_on, done: done_to }));
    match told.recv_timeout(PATIENCE) {
        Ok(Ok(Some(capture))) => super::json(&capture).status(Status::CREATED),
        Ok(Ok(None)) => done(),
        Ok(Err(NotSwitched::NotEnabled)) if !is_on => {
            conflict("not_capturing", "weir runs without --capture DIR")
        }
        Ok(Err(NotSwitched::NotEnabled)) => conflict("not_enabled", "weir runs without --capture DIR"),
        Ok(Err(NotSwitched::AlreadyOn)) => conflict("already_capturing", "it is being captured already"),
        Ok(Err(NotSwitched::AlreadyOff)) => conflict("not_capturing", "it is not being captured"),
        Ok(Err(NotSwitched::Failed(why))) => internal(&why),
        Err(RecvTimeoutError::Disconnected) => no_connection(id),
        Err(RecvTimeoutError::Timeout) => internal("neither the connection nor the disk answered in time"),
    }
}

/// Has a client told to go elsewhere.
pub(super) fn redirect(shared: &Arc<Shared>, id: u64, to: String) -> Response {
    let mailbox = match mailbox(shared, id) {
        Ok(mailbox) => mailbox,
        Err(refusal) => return refusal,
    };
    let (done_to, told) = bounded(1);
    mailbox.leave(Letter::Redirect(Redirect { to, done: done_to }));
    match told.recv_timeout(PATIENCE) {
        Ok(Ok(())) => done(),
        Ok(Err(NotRedirected::NotRtsp)) => conflict("not_rtsp", "only clients of RTSP can be sent elsewhere"),
        Ok(Err(NotRedirected::NothingSetUp)) => {
            conflict("nothing_set_up", "it neither plays nor publishes anything")
        }
        Err(RecvTimeoutError::Disconnected) => no_connection(id),
        Err(RecvTimeoutError::Timeout) => internal("the connection did not answer in time"),
    }
}

/// Begins to record a stream: `None` if its file is still to begin.
pub(super) fn start_recording(shared: &Arc<Shared>, path: &StreamPath) -> Option<Response> {
    let Some(hub) = shared.registry.find(path) else { return Some(no_stream(path)) };
    let facts = hub.facts(shared.now());
    let Some(recordings) = &shared.recordings else {
        return Some(conflict("not_enabled", "weir runs without --record DIR"));
    };
    if facts.state != HubState::Live {
        return Some(match facts.has_players || facts.state == HubState::Lost {
            true => conflict("not_live", &format!("nobody publishes {path}")),
            false => no_stream(path),
        });
    }
    match recordings.start(shared, hub) {
        Ok(()) => None,
        Err(NotStarted::AlreadyRecording) => {
            Some(conflict("already_recording", "it is being recorded already"))
        }
        Err(NotStarted::Failed) => Some(internal("no thread can be had for the recording")),
    }
}

/// The answer once its file has begun, or is not waited for any longer.
pub(super) fn started(sample: &Sample, path: &StreamPath) -> Response {
    match sample.recordings.get(path) {
        Some(facts) => super::json(&StreamRecording::of(sample, facts)).status(Status::CREATED),
        None => conflict("not_live", &format!("{path} has ended")),
    }
}

/// Ends the recording of a stream.
pub(super) fn stop_recording(shared: &Shared, path: &StreamPath, sample: &Sample) -> Response {
    if !sample.streams.contains_key(path) {
        return no_stream(path);
    }
    let is_stopped = shared.recordings.as_ref().is_some_and(|recordings| recordings.stop(path));
    if is_stopped { done() } else { conflict("not_recording", "it is not being recorded") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_looked_for_twice_and_denied_only_if_all_have_answered() {
        let look = |answers: [bool; 2]| {
            let mut answers = answers.into_iter();
            let ask = || Told { is_complete: answers.next().unwrap(), ..Told::default() };
            let refusal = found(7, ask).unwrap_err().code();
            assert!(answers.next().is_none(), "once only");
            refusal
        };
        assert_eq!(look([true, true]), Status::NOT_FOUND);
        assert_eq!(look([false, true]), Status::NOT_FOUND);
        assert_eq!(look([true, false]), Status::SERVICE_UNAVAILABLE);
    }
}
