//! The thread that answers (`weir-api`): it asks the others, looks at the system and at folders, builds JSON, and mails it.
//!
//! It begins with the first request and ends with the server. While somebody looks, or has within [`LOOKED_AT`], it takes a sample a
//! second; else it sleeps. Bounds: [`MAX_WAITING`] requests; a sample serves all that come within [`FRESH`].

use super::{
    super::metrics,
    Call,
    connections::{Connection, Connections},
    events::Listeners,
    files::{Files, RecordingList},
    json, operate,
    sample::{Before, Sample},
    server::Server,
    streams::{Stream, Streams},
};
use crate::{
    base::MonoTime,
    http::{RequestId, Response},
    server::{
        Shared, StreamPath,
        pool::Pool,
        port::{Letter, Mailbox, Port},
        web::{access::Access, files::Folder},
    },
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::{Arc, Weak},
    vec::Vec,
};
use core::time::Duration;
use crossbeam_channel::{Receiver, Sender, TrySendError, after, bounded, never, select};
use std::sync::{Mutex, PoisonError};

/// Requests that wait for an answer.
const MAX_WAITING: usize = 256;
/// How old a sample may be that an answer is made from.
const FRESH: Duration = Duration::from_millis(100);
/// Between two samples while somebody looks.
const TICK: Duration = Duration::from_secs(1);
/// How long somebody counts as looking.
const LOOKED_AT: Duration = Duration::from_secs(10);
/// How often a recording is looked at that is to begin, and for how long: until a keyframe comes.
const GLANCE: Duration = Duration::from_millis(20);
const BEGINNING: Duration = Duration::from_secs(5);

/// The way to the thread, and what it needs that others do not.
pub(in crate::server) struct Api {
    pub(in crate::server::web) access: Access,
    /// Chance; tells this run of the server from others.
    pub(super) instance: String,
    pub(super) max_connections: usize,
    reactor: Arc<Port>,
    pool: Arc<Pool>,
    /// `None` before the first request.
    thread: Mutex<Option<Sender<Asked>>>,
}

/// A request.
pub(super) struct Asked {
    pub(super) from: Weak<Mailbox>,
    pub(super) id: RequestId,
    pub(super) call: Call,
}

/// Why a request gets no answer from the thread.
pub(super) enum NotTaken {
    TooMany,
    Stopping,
}

impl Api {
    pub(in crate::server) fn new(
        access: Access,
        chance: u64,
        max_connections: usize,
        reactor: Arc<Port>,
        pool: Arc<Pool>,
    ) -> Api {
        let instance = format!("{:08x}", chance as u32 ^ (chance >> 32) as u32);
        Api { access, instance, max_connections, reactor, pool, thread: Mutex::default() }
    }

    /// The doors of all threads that own connections.
    pub(super) fn ports(&self, shared: &Shared) -> Vec<Arc<Port>> {
        let mut ports = self.pool.ports();
        ports.push(self.reactor.clone());
        ports.extend(shared.vod.iter().flat_map(|vod| vod.ports()));
        ports
    }

    /// Hands a request over. The answer comes by mail.
    pub(super) fn ask(&self, shared: &Arc<Shared>, asked: Asked) -> Result<(), NotTaken> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (sender, requests) = bounded(MAX_WAITING);
            let worker = Worker::new(shared.clone(), requests);
            let spawned = shared.jobs.spawn("weir-api".to_string(), move || worker.run());
            spawned.map_err(|_| NotTaken::Stopping)?;
            *thread = Some(sender);
        }
        let Some(sender) = &*thread else { return Err(NotTaken::Stopping) };
        sender.try_send(asked).map_err(|error| match error {
            TrySendError::Full(_) => NotTaken::TooMany,
            TrySendError::Disconnected(_) => NotTaken::Stopping,
        })
    }
}

struct Worker {
    shared: Arc<Shared>,
    requests: Receiver<Asked>,
    sample: Option<Sample>,
    before: Before,
    listeners: Listeners,
    /// When the next second is over, while somebody looks.
    tick_at: Option<MonoTime>,
    looked_at: MonoTime,
    beginning: Vec<Beginning>,
}

/// Who waits for the file of a recording.
struct Beginning {
    from: Weak<Mailbox>,
    id: RequestId,
    path: StreamPath,
    until: MonoTime,
}

impl Worker {
    fn new(shared: Arc<Shared>, requests: Receiver<Asked>) -> Worker {
        Worker {
            shared,
            requests,
            sample: None,
            before: Before::new(),
            listeners: Listeners::default(),
            tick_at: None,
            looked_at: MonoTime::default(),
            beginning: Vec::new(),
        }
    }

    fn run(mut self) {
        let requests = self.requests.clone();
        loop {
            let now = self.shared.now();
            let glance = (!self.beginning.is_empty()).then(|| now + GLANCE);
            let until = glance.into_iter().chain(self.tick_at).min();
            let timeout = until.map_or_else(never, |at| after(at.since(now)));
            select! {
                recv(self.shared.jobs.stopped()) -> _ => return,
                recv(requests) -> asked => match asked {
                    Ok(asked) => self.take(asked),
                    Err(_) => return,
                },
                recv(timeout) -> _ => {}
            }
            let now = self.shared.now();
            if self.tick_at.is_some_and(|at| at <= now) {
                self.tick(now);
            }
            self.look_at_beginning(now);
        }
    }

    fn tick(&mut self, now: MonoTime) {
        self.listeners.prune();
        if !self.listeners.are_there() && now.since(self.looked_at) >= LOOKED_AT {
            // Nobody looks any more; what is held of connections that have closed goes as well.
            self.tick_at = None;
            self.sample = None;
            self.before.forget();
            return;
        }
        self.tick_at = Some(now + TICK);
        self.sample = None;
        let sample = fresh(&self.shared, &mut self.sample, &mut self.before);
        self.listeners.tick(&self.shared, sample);
    }

    fn take(&mut self, asked: Asked) {
        let now = self.shared.now();
        self.looked_at = now;
        self.tick_at.get_or_insert(now + TICK);
        let Asked { from, id, call } = asked;
        // Whoever has left needs no answer, but what he wanted done is done.
        if let Some(response) = self.answer(&from, id, call) {
            answer(&from, id, response);
        }
    }

    /// `None`: it comes later, or has gone.
    fn answer(&mut self, from: &Weak<Mailbox>, id: RequestId, call: Call) -> Option<Response> {
        let shared = self.shared.clone();
        let is_change = matches!(
            call,
            Call::Kick(_)
                | Call::StartCapture(_)
                | Call::StopCapture(_)
                | Call::StartRecording(_)
                | Call::StopRecording(_)
        );
        if is_change {
            // Whoever looks next sees what was done.
            self.sample = None;
        }
        // Not for whoever needs none.
        macro_rules! sample {
            () => {
                fresh(&shared, &mut self.sample, &mut self.before)
            };
        }
        let response = match call {
            Call::Server => json(&Server::of(&shared, sample!())),
            Call::Streams => json(&Streams::of(sample!())),
            Call::Stream(path) => match Stream::of(sample!(), &path) {
                Some(stream) => json(&stream),
                None => operate::no_stream(&path),
            },
            Call::Connections(selection) => json(&Connections::of(sample!(), &selection)),
            Call::Connection(id) => {
                let sample = sample!();
                match sample.connections.iter().find(|facts| facts.id == id) {
                    Some(facts) => json(&Connection::of(sample, facts)),
                    None => match operate::find(&shared, id) {
                        Ok(facts) => json(&Connection::of(sample, &facts)),
                        Err(refusal) => refusal,
                    },
                }
            }
            Call::Recordings(stream, page) => {
                json(&RecordingList::of(shared.recordings.as_ref(), sample!(), stream.as_ref(), page))
            }
            Call::Files(page) => {
                json(&Files::of(shared.vod.as_ref().and_then(|vod| vod.root(Folder::Media)), page))
            }
            Call::Metrics => metrics::response(&shared, sample!()),
            Call::Kick(id) => operate::kick(&shared, id),
            Call::StartCapture(id) => operate::capture(&shared, id, true),
            Call::StopCapture(id) => operate::capture(&shared, id, false),
            Call::Redirect(id, to) => operate::redirect(&shared, id, to),
            Call::StopRecording(path) => {
                let response = operate::stop_recording(&shared, &path, sample!());
                self.sample = None;
                response
            }
            Call::StartRecording(path) => match operate::start_recording(&shared, &path) {
                Some(refusal) => refusal,
                None => {
                    let until = shared.now() + BEGINNING;
                    self.beginning.push(Beginning { from: from.clone(), id, path, until });
                    return None;
                }
            },
            Call::Events(subscription) => {
                let sample = sample!();
                self.listeners.add(&shared, sample, (from, id), subscription);
                return None;
            }
        };
        Some(response)
    }

    /// Answers those whose recordings have begun.
    fn look_at_beginning(&mut self, now: MonoTime) {
        if self.beginning.is_empty() {
            return;
        }
        let going_on =
            self.shared.recordings.as_ref().map(|recordings| recordings.facts()).unwrap_or_default();
        let has_begun = |path: &StreamPath| going_on.get(path).is_none_or(|facts| facts.name.is_some());
        let (over, still): (Vec<_>, _) = core::mem::take(&mut self.beginning)
            .into_iter()
            .partition(|beginning| beginning.until <= now || has_begun(&beginning.path));
        self.beginning = still;
        if over.is_empty() {
            return;
        }
        self.sample = None;
        let sample = fresh(&self.shared, &mut self.sample, &mut self.before);
        for Beginning { from, id, path, .. } in over {
            answer(&from, id, operate::started(sample, &path));
        }
    }
}

/// A sample that is not older than [`FRESH`].
fn fresh<'a>(shared: &Arc<Shared>, sample: &'a mut Option<Sample>, before: &mut Before) -> &'a Sample {
    if sample.as_ref().is_some_and(|sample| shared.now().since(sample.now) >= FRESH) {
        *sample = None;
    }
    sample.get_or_insert_with(|| Sample::take(shared, before))
}

fn answer(to: &Weak<Mailbox>, id: RequestId, response: Response) {
    if let Some(mailbox) = to.upgrade() {
        mailbox.leave(Letter::Answer(id, Box::new(response)));
    }
}
