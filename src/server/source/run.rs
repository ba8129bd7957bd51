//! The job of a source: opens its producer when it is wanted, publishes what comes, and tries again when it fails.
//!
//! It never takes a stream from anybody, and gives it to anybody who may publish: a real publisher is worth more than a
//! source that was set up for when there is none. Afterwards it goes on.
//! One log line whenever that changes what players see; the same failure again is told at debug level.

use super::{Backoff, Input, Produced, Producer, SourceConfig, Start};
use crate::{
    base::MonoTime,
    flv::Tag,
    server::{
        Shared,
        client::ClientOptions,
        port::{Feeder, FeederKind, Mailbox},
        registry::{Ending, HubHandle, Publishing},
        relay::identity,
        stats::{Failures, Throttle},
    },
};
use alloc::{boxed::Box, format, string::String, sync::Arc};
use crossbeam_channel::{Receiver, Sender, TryRecvError, after, select};
use std::io;

/// How long a job exists.
pub(in crate::server) enum Lifetime {
    /// As long as the server.
    Server,
    /// While the stream is wanted. Whoever started it is sent the stream's path at its end.
    Wanted(Sender<crate::server::StreamPath>),
}

/// Starts a source that lives as long as the server.
pub(in crate::server) fn start_at(
    shared: &Arc<Shared>,
    name: String,
    source: SourceConfig,
) -> io::Result<()> {
    let hub = shared.registry.hub(&source.path).map_err(|_| io::Error::other("too many streams"))?;
    start(shared, name, hub, source.input, source.start, Lifetime::Server)
}

/// Starts a job that feeds `hub` from `input`.
pub(in crate::server) fn start(
    shared: &Arc<Shared>,
    name: String,
    hub: HubHandle,
    input: Input,
    start: Start,
    lifetime: Lifetime,
) -> io::Result<()> {
    let changes = hub.watch();
    let backoff = Backoff::new(shared.retry);
    let job = Job {
        shared: shared.clone(),
        hub,
        input,
        start,
        lifetime,
        changes,
        backoff,
        failures: Failures::default(),
        started: None,
        damage: Throttle::default(),
        idle_since: None,
        served: 0,
    };
    shared.jobs.spawn(name, move || job.run())
}

struct Job {
    shared: Arc<Shared>,
    hub: HubHandle,
    input: Input,
    start: Start,
    lifetime: Lifetime,
    /// Players or publishers of the hub have come or gone.
    changes: Receiver<()>,
    backoff: Backoff,
    failures: Failures,
    /// Since when its tags go out.
    started: Option<MonoTime>,
    damage: Throttle,
    /// On demand: since when nobody plays.
    idle_since: Option<MonoTime>,
    /// How many players had come when it ended.
    served: u64,
}

/// Why a producer is closed.
enum Left {
    /// The server stops.
    Stopped,
    /// Nobody plays.
    Unwanted,
    /// Somebody else publishes.
    Taken,
    /// It has sent everything.
    Over,
    /// It does not work, for that reason.
    Failed(String),
}

impl Job {
    fn run(mut self) {
        let last = self.serve();
        if matches!(last, Left::Over) {
            log::info!("{}: {} has ended", self.hub.path(), self.input);
        }
        if let Lifetime::Wanted(ended) = &self.lifetime {
            // Nobody listens when the server stops.
            let _ = ended.send(self.hub.path().clone());
        }
    }

    /// Runs the producer whenever it is wanted.
    fn serve(&mut self) -> Left {
        loop {
            if let Some(left) = self.wait_until_wanted() {
                return left;
            }
            self.started = None;
            self.damage = Throttle::default();
            self.idle_since = None;
            let left = match self.open() {
                Ok(mut producer) => self.publish_all(&mut *producer),
                Err(why) => Left::Failed(why),
            };
            let (path, input) = (self.hub.path(), &self.input);
            match left {
                Left::Stopped => return left,
                Left::Over if self.start == Start::AtOnce || matches!(input, Input::Stdin { .. }) => {
                    return left;
                }
                Left::Over => {
                    log::info!("{path}: {input} has ended");
                    // Not again for those who have seen it.
                    let is_seen = |job: &Job| job.hub.has_players() && job.hub.joined() == job.served;
                    if let Some(left) = self.wait_while(is_seen) {
                        return left;
                    }
                }
                Left::Unwanted => log::info!("{path}: nobody plays, {input} stops"),
                Left::Taken => log::info!("{path}: {input} gives way to another publisher"),
                Left::Failed(why) => {
                    if let Some(left) = self.rest(why) {
                        return left;
                    }
                }
            }
        }
    }

    fn open(&self) -> Result<Box<dyn Producer>, String> {
        let path = self.hub.path();
        let via = self.hub.via().into_iter().chain([self.shared.id.stream(path)]);
        let (flash_ver, interrupt) = (identity::of_player(via), self.shared.jobs.interrupt());
        let rtp_ports = self.shared.rtsp.port_range();
        let client = ClientOptions { flash_ver, interrupt, rtp_ports, ..ClientOptions::default() };
        let path = path.clone();
        let listener = Box::new(move |line: &str| log::debug!("{path}: the command says: {line}"));
        self.input.open(self.shared.now(), &client, listener)
    }

    /// Waits until the producer has a reason to run; `Some` if the job is to end.
    fn wait_until_wanted(&self) -> Option<Left> {
        match self.lifetime {
            Lifetime::Wanted(_) if !self.hub.has_players() || self.hub.is_published() => Some(Left::Unwanted),
            Lifetime::Wanted(_) => None,
            Lifetime::Server => self.wait_while(|job| !job.is_wanted()),
        }
    }

    fn is_wanted(&self) -> bool {
        (self.start == Start::AtOnce || self.hub.has_players()) && !self.hub.is_published()
    }

    fn wait_while(&self, is_so: impl Fn(&Job) -> bool) -> Option<Left> {
        while is_so(self) {
            select! {
                recv(self.changes) -> _ => {}
                recv(self.shared.jobs.stopped()) -> _ => return Some(Left::Stopped),
            }
        }
        None
    }

    /// Waits out a failure.
    fn rest(&mut self, why: String) -> Option<Left> {
        // Whoever is interrupted fails as well.
        if self.shared.jobs.stopped().try_recv() == Err(TryRecvError::Disconnected) {
            return Some(Left::Stopped);
        }
        let now = self.shared.now();
        let worked = self.started.map(|started| now.since(started)).unwrap_or_default();
        let wait = self.backoff.failed(worked);
        let (path, input) = (self.hub.path(), &self.input);
        self.failures.tell(format_args!("{path}: {input} failed"), why, wait);
        let until = now + wait;
        loop {
            let rest = until.since(self.shared.now());
            if rest.is_zero() {
                return None;
            }
            select! {
                recv(self.changes) -> _ => if matches!(self.lifetime, Lifetime::Wanted(_)) && !self.hub.has_players() {
                    return Some(Left::Unwanted);
                },
                recv(self.shared.jobs.stopped()) -> _ => return Some(Left::Stopped),
                recv(after(rest)) -> _ => return None,
            }
        }
    }

    /// Publishes what the producer gives.
    fn publish_all(&mut self, producer: &mut dyn Producer) -> Left {
        let mut publication = Publication::default();
        self.note_players();
        let left = loop {
            match self.step(producer, &mut publication) {
                Ok(()) => {}
                Err(left) => break left,
            }
        };
        let ending = if matches!(left, Left::Failed(_)) { Ending::Lost } else { Ending::Proper };
        // Before the end is told: whoever comes now gets nothing of it.
        self.served = self.hub.joined();
        publication.finish(self.shared.now(), ending);
        left
    }

    fn step(&mut self, producer: &mut dyn Producer, publication: &mut Publication) -> Result<(), Left> {
        self.look(publication)?;
        match producer.next(self.shared.now()).map_err(Left::Failed)? {
            Produced::Tag { tag, due } => {
                self.wait_until_due(due, publication)?;
                self.publish(tag, publication)
            }
            Produced::Nothing => Ok(()),
            Produced::Damaged(places) => {
                if let Some(places) = self.damage.count(self.shared.now(), places) {
                    log::warn!("{}: damaged places of {} passed over: {places}", self.hub.path(), self.input);
                }
                Ok(())
            }
            Produced::Ended(ending) => {
                publication.finish(self.shared.now(), ending);
                Ok(())
            }
            // Whoever names a command wants it to run.
            Produced::Over if matches!(self.input, Input::Command { .. }) => {
                Err(Left::Failed("the command has ended with exit code 0".into()))
            }
            Produced::Over => Err(Left::Over),
        }
    }

    fn publish(&mut self, tag: Tag, publication: &mut Publication) -> Result<(), Left> {
        let now = self.shared.now();
        if publication.publishing.is_none() {
            let mailbox = Arc::new(Mailbox::of_source(self.feeder()));
            // The only refusal there is: somebody was faster.
            let publishing = self.shared.publish(now, self.hub.path(), &mailbox, None);
            *publication = Publication {
                publishing: Some(publishing.map_err(|_| Left::Taken)?),
                mailbox: Some(mailbox),
            };
            log::info!("{}: {} has started", self.hub.path(), self.input);
            self.failures.forget();
            self.started.get_or_insert(now);
        }
        if let Some(publishing) = &publication.publishing {
            publishing.tag(now, tag);
        }
        Ok(())
    }

    fn feeder(&self) -> Feeder {
        let kind = match (&self.input, &self.lifetime) {
            (Input::Demo, _) => FeederKind::Demo,
            (Input::Server(_), Lifetime::Wanted(_)) => FeederKind::Origin,
            (Input::Server(_), Lifetime::Server) => FeederKind::Pull,
            _ => FeederKind::Source,
        };
        // The key of another server's stream may be a secret.
        let (server, name) = match &self.input {
            Input::Server(url) => (Some((url.protocol(), url.authority())), url.server()),
            input => (None, format!("{input}")),
        };
        Feeder { kind, server, name }
    }

    /// Waits until a tag is due, or the producer is wanted no more.
    fn wait_until_due(&mut self, due: MonoTime, publication: &Publication) -> Result<(), Left> {
        loop {
            let now = self.shared.now();
            if due <= now {
                return Ok(());
            }
            let until = self.idle_until().map_or(due, |idle| idle.min(due));
            select! {
                recv(self.changes) -> _ => self.note_players(),
                recv(self.shared.jobs.stopped()) -> _ => return Err(Left::Stopped),
                recv(after(until.since(now))) -> _ => {}
            }
            self.look(publication)?;
        }
    }

    /// Whether the producer has a reason to go on.
    fn look(&mut self, publication: &Publication) -> Result<(), Left> {
        if self.shared.is_stopping() {
            return Err(Left::Stopped);
        }
        if publication.is_taken() {
            return Err(Left::Taken);
        }
        if self.changes.try_recv().is_ok() {
            self.note_players();
        }
        match self.idle_until() {
            Some(until) if until <= self.shared.now() => Err(Left::Unwanted),
            _ => Ok(()),
        }
    }

    fn note_players(&mut self) {
        self.idle_since = match self.start {
            Start::OnDemand if !self.hub.has_players() => self.idle_since.or(Some(self.shared.now())),
            _ => None,
        };
    }

    fn idle_until(&self) -> Option<MonoTime> {
        self.idle_since.map(|since| since + self.shared.retry.linger)
    }
}

/// The right to publish, while there is media.
#[derive(Default)]
struct Publication {
    publishing: Option<Publishing>,
    mailbox: Option<Arc<Mailbox>>,
}

impl Publication {
    fn is_taken(&self) -> bool {
        self.mailbox.as_ref().is_some_and(|mailbox| mailbox.pending().is_some())
    }

    fn finish(&mut self, now: MonoTime, ending: Ending) {
        if let Some(publishing) = self.publishing.take() {
            publishing.finish(now, ending);
        }
        self.mailbox = None;
    }
}
