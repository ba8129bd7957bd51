//! One stream: who publishes it, what a late joiner needs, and which threads have players of it.
//!
//! A tag is classified and wrapped once, updates the caches, and is offered once to every *thread* that listens. The
//! publisher never waits: where a thread's channel is full, the hub marks a gap for it and stays silent until that
//! thread has drained its channel and asks for the state again ([`Hub::resync`]). So a start or an end can never be
//! lost, only late.
//!
//! Everything happens under one lock, held for microseconds: joining takes the snapshot and registers in one
//! step, so no tag is lost or doubled.

mod rtp;

use super::{
    cache::{Gop, Headers, MAX_GOP_TIME},
    meter::{Measured, Meter},
    path::StreamPath,
    port::{Feed, FeedPort, Mailbox, Slot, Standing, Step},
    relay::StreamId,
    rtsp::line::Line,
    shared_tag::SharedTag,
    tracks::Description,
};
use crate::{
    base::{MonoTime, Timestamp},
    flv::{Change, Tag, TagKind, TagRole, Timeline},
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who may replace an active publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Takeover {
    /// Nobody.
    Never,
    /// A publisher from the same address, which is a reconnect; anybody once the first has been silent for
    /// [`SILENT_AFTER`].
    #[default]
    SameAddress,
    /// Anybody who may publish.
    Always,
}

/// A publisher without a tag for this long may be replaced.
pub const SILENT_AFTER: Duration = Duration::from_secs(5);
/// A stream without video for this long plays like one that has none.
pub(super) const VIDEO_GONE_AFTER: Duration = Duration::from_secs(3);
/// A stream with video but without a keyframe for this long counts as one that has none (some encoders refresh
/// the picture bit by bit, some flag nothing): whoever waits for a keyframe gets what there is. As long as the longest
/// group of pictures that is kept, and longer than any encoder makes them unasked.
pub(super) const MAX_KEYFRAME_WAIT: Duration = MAX_GOP_TIME;

/// Streams of other servers that one is asked for by; chains of three are long.
const MAX_VIA: usize = 16;

/// One stream. See the module.
#[derive(Debug)]
pub(super) struct Hub {
    path: StreamPath,
    /// Told when somebody plays what nobody publishes.
    wanted: Option<Sender<StreamPath>>,
    /// Tags that its players did not get because they were too slow, since there is this hub.
    dropped: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    publisher: Publisher,
    claims: u64,
    steps: u64,
    /// Streams since the hub exists: differs if an end and a start were missed.
    epoch: u64,
    headers: Headers,
    gop: Gop,
    /// Its packets, from the first player over RTSP on.
    line: Option<Line>,
    timeline: Timeline,
    start: Start,
    last_video: Option<MonoTime>,
    last_keyframe: Option<MonoTime>,
    /// When the stream began, resumptions included.
    began: Option<MonoTime>,
    /// `Hub::dropped` then.
    dropped_before: u64,
    meter: Meter,
    /// What it is, if somebody has asked since that changed.
    description: Option<Arc<Description>>,
    outlets: Vec<Outlet>,
    /// How many players have come so far.
    joined: u64,
    /// Of those who want to know when players or publishers come and go.
    watchers: Vec<Sender<()>>,
    /// Streams of other servers on whose behalf players ask, while there are players.
    via: Vec<StreamId>,
    /// Streams of other servers through which that of the publisher has come (`--push`).
    came_by: Vec<StreamId>,
}

#[derive(Debug)]
enum Publisher {
    Nobody,
    Active {
        claim: u64,
        connection: Arc<Mailbox>,
        last_tag: MonoTime,
    },
    /// Gone without a word; players know nothing of it.
    Lost {
        claim: u64,
    },
}

/// Pictures of a publisher that started in the middle of a group of pictures are of no use until a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// No picture yet.
    Awaited,
    /// The first picture came then, and no keyframe since.
    WithoutKeyframe(MonoTime),
    /// Pictures go to players.
    Done,
}

/// A thread with players of this stream.
#[derive(Debug)]
struct Outlet {
    port: Arc<FeedPort>,
    slot: Slot,
    audience: Audience,
    /// Steps were skipped; nothing is sent until the thread has asked for the state.
    has_gap: bool,
}

/// Who listens through an outlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    Players,
    Machine,
}

/// The state of a stream at one step, for players that join after it.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// The newest step it covers.
    pub(super) step: u64,
    /// Which stream of the hub.
    pub(super) epoch: u64,
    /// Somebody publishes, or is expected to resume.
    pub(super) is_live: bool,
    /// Pictures have come lately.
    pub(super) has_video: bool,
    /// When the last keyframe came.
    pub(super) last_keyframe: Option<MonoTime>,
    /// Configuration, stamped for whoever begins with the first frame.
    pub(super) headers: Headers,
    /// From the last keyframe on; empty if there is none.
    pub(super) gop: Vec<Arc<SharedTag>>,
}

/// What there is to tell about a stream.
#[derive(Clone, Debug)]
pub(super) struct HubFacts {
    pub(super) state: HubState,
    /// When it began.
    pub(super) began: Option<MonoTime>,
    /// Who publishes now.
    pub(super) publisher: Option<Arc<Mailbox>>,
    pub(super) description: Arc<Description>,
    pub(super) measured: Measured,
    /// Frames have come.
    pub(super) has_media: bool,
    /// Bytes held for those who join late.
    pub(super) cached: usize,
    /// Tags that players did not get since it began.
    pub(super) dropped: u64,
    /// Somebody plays, or waits for a publisher.
    pub(super) has_players: bool,
}

/// Whether somebody publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HubState {
    /// Yes.
    Live,
    /// Nobody.
    Waiting,
    /// Its publisher has vanished and may come back.
    Lost,
}

impl HubState {
    /// As the API names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            HubState::Live => "live",
            HubState::Waiting => "waiting",
            HubState::Lost => "lost",
        }
    }
}

/// A granted claim.
#[derive(Debug)]
pub(super) struct Claim {
    /// Its number; tags under an older number are ignored.
    pub(super) id: u64,
    /// Whom it replaced.
    pub(super) replaced: Option<Arc<Mailbox>>,
}

/// Somebody else publishes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameTaken;

impl Hub {
    /// `wanted` is told of the path whenever somebody plays it and nobody publishes it.
    pub(super) fn new(path: StreamPath, gop_bytes: usize, wanted: Option<Sender<StreamPath>>) -> Hub {
        let state = State {
            publisher: Publisher::Nobody,
            claims: 0,
            steps: 0,
            epoch: 0,
            headers: Headers::default(),
            gop: Gop::new(gop_bytes),
            line: None,
            timeline: Timeline::default(),
            start: Start::Awaited,
            last_video: None,
            last_keyframe: None,
            began: None,
            dropped_before: 0,
            meter: Meter::default(),
            description: None,
            outlets: Vec::new(),
            joined: 0,
            watchers: Vec::new(),
            via: Vec::new(),
            came_by: Vec::new(),
        };
        Hub { path, wanted, dropped: AtomicU64::new(0), state: Mutex::new(state) }
    }

    pub(super) fn path(&self) -> &StreamPath {
        &self.path
    }

    /// Somebody publishes, or is expected to resume.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.lock().publisher, Publisher::Nobody)
    }

    /// Makes `connection` the publisher, if it may be.
    pub(super) fn claim(
        &self,
        now: MonoTime,
        connection: &Arc<Mailbox>,
        takeover: Takeover,
    ) -> Result<Claim, NameTaken> {
        let mut state = self.lock();
        let replaced = match &state.publisher {
            Publisher::Nobody | Publisher::Lost { .. } => None,
            Publisher::Active { connection: first, last_tag, .. } => {
                let is_silent = now.since(*last_tag) >= SILENT_AFTER;
                let may_replace = match takeover {
                    _ if first.standing == Standing::GivesWay => true,
                    Takeover::Never => false,
                    Takeover::SameAddress => first.address == connection.address || is_silent,
                    Takeover::Always => true,
                };
                // A connection that publishes a name twice would close itself.
                if !may_replace || Arc::ptr_eq(first, connection) || connection.standing == Standing::GivesWay
                {
                    return Err(NameTaken);
                }
                Some(first.clone())
            }
        };
        let is_new = matches!(state.publisher, Publisher::Nobody);
        state.claims += 1;
        let id = state.claims;
        state.publisher = Publisher::Active { claim: id, connection: connection.clone(), last_tag: now };
        state.start = Start::Awaited;
        if is_new {
            state.epoch += 1;
            state.timeline = Timeline::default();
            state.began = Some(now);
            state.dropped_before = self.dropped.load(Ordering::Relaxed);
            state.announce(|| Step::Started);
        } else {
            state.timeline.change_publisher();
        }
        state.tell_watchers();
        Ok(Claim { id, replaced })
    }

    /// A tag of the publisher that holds `claim`; ignored if another holds it by now.
    pub(super) fn publish(&self, now: MonoTime, claim: u64, tag: Tag) {
        let mut state = self.lock();
        match &mut state.publisher {
            Publisher::Active { claim: current, last_tag, .. } if *current == claim => *last_tag = now,
            _ => return,
        }
        state.meter.receive(now, tag.body.len());
        let unplaced = SharedTag::new(tag);
        if unplaced.is_inter_frame() && state.start.withholds(now) {
            return;
        }
        let tag = Arc::new(unplaced.placed(&mut state.timeline));
        if tag.tag().kind == TagKind::Video && tag.is_frame() {
            state.start = Start::Done;
            state.last_video = Some(now);
            if tag.role() == TagRole::Keyframe {
                state.last_keyframe = Some(now);
            }
        }
        match state.headers.update(&tag) {
            Change::Unrelated | Change::Repeated => {}
            change => {
                state.meter.look_again();
                state.description = None;
                if change == Change::NewSequence {
                    state.gop.clear();
                }
            }
        }
        if state.meter.note(&tag) {
            state.description = None;
        }
        if state.line.as_mut().is_some_and(|line| !line.number(now, &tag)) {
            state.line = None;
        }
        if tag.role() != TagRole::ClearMetadata {
            state.announce(|| Step::Tag(tag.clone(), now));
        }
        state.gop.push(tag);
    }

    /// The publisher ended properly: players are told at once.
    pub(super) fn end(&self, claim: u64) {
        let mut state = self.lock();
        match state.publisher {
            Publisher::Active { claim: current, .. } if current == claim => self.end_in(&mut state),
            _ => {}
        }
    }

    /// The publisher vanished: players notice nothing for now. False if it is not the publisher any more.
    pub(super) fn lose(&self, claim: u64) -> bool {
        let mut state = self.lock();
        match state.publisher {
            Publisher::Active { claim: current, .. } if current == claim => {
                state.publisher = Publisher::Lost { claim };
                state.tell_watchers();
                true
            }
            _ => false,
        }
    }

    /// The resume window of a lost publisher is over. False if somebody has claimed the stream since.
    pub(super) fn expire(&self, claim: u64) -> bool {
        let mut state = self.lock();
        match state.publisher {
            Publisher::Lost { claim: current } if current == claim => {
                self.end_in(&mut state);
                true
            }
            _ => false,
        }
    }

    /// What a player that joins now needs; from the next step on the thread gets everything.
    pub(super) fn join(&self, now: MonoTime, port: &Arc<FeedPort>, slot: Slot) -> Snapshot {
        self.add_outlet(now, port, slot, Audience::Players)
    }

    /// The same for a recorder or relay, which is no reason to feed the stream: it takes what there is.
    pub(super) fn listen(&self, now: MonoTime, port: &Arc<FeedPort>, slot: Slot) -> Snapshot {
        self.add_outlet(now, port, slot, Audience::Machine)
    }

    fn add_outlet(&self, now: MonoTime, port: &Arc<FeedPort>, slot: Slot, audience: Audience) -> Snapshot {
        let mut state = self.lock();
        let is_new = state.outlet(port, slot).is_none();
        if is_new {
            state.outlets.push(Outlet { port: port.clone(), slot, audience, has_gap: false });
            self.ask_if_wanted(&state);
        }
        let is_player = audience == Audience::Players;
        state.joined += u64::from(is_player);
        if is_new || is_player {
            state.tell_watchers();
        }
        state.snapshot(now)
    }

    /// Whether somebody watches by what the thread makes of the stream, which is then fed for it as for a player.
    pub(super) fn set_watched(&self, port: &Arc<FeedPort>, slot: Slot, is_watched: bool) {
        let mut state = self.lock();
        let audience = if is_watched { Audience::Players } else { Audience::Machine };
        match state.outlet(port, slot) {
            Some(outlet) if outlet.audience != audience => outlet.audience = audience,
            _ => return,
        }
        if is_watched {
            state.joined += 1;
            self.ask_if_wanted(&state);
        } else if !state.has_players() {
            state.via.clear();
        }
        state.tell_watchers();
    }

    /// The state after a gap, which ends with this; `None` if there was none. Only right once the thread has
    /// drained its channel.
    pub(super) fn resync(&self, now: MonoTime, port: &Arc<FeedPort>, slot: Slot) -> Option<Snapshot> {
        let mut state = self.lock();
        let outlet = state.outlet(port, slot).filter(|outlet| outlet.has_gap)?;
        outlet.has_gap = false;
        Some(state.snapshot(now))
    }

    /// The thread has no players of this stream any more.
    pub(super) fn leave(&self, port: &Arc<FeedPort>, slot: Slot) {
        let mut state = self.lock();
        state.outlets.retain(|outlet| !(Arc::ptr_eq(&outlet.port, port) && outlet.slot == slot));
        if !state.has_players() {
            state.via.clear();
        }
        state.tell_watchers();
    }

    /// A channel that holds a word whenever players or publishers have come or gone since it was last emptied.
    /// Watching ends when the receiver is dropped.
    pub(super) fn watch(&self) -> Receiver<()> {
        let (watcher, changes) = bounded(1);
        self.lock().watchers.push(watcher);
        changes
    }

    /// Somebody plays, or waits for a publisher.
    pub(super) fn has_players(&self) -> bool {
        self.lock().has_players()
    }

    /// Whether it has sound, and pictures: by what has come since it began, or by its configuration.
    pub(super) fn tracks(&self) -> (bool, bool) {
        let state = self.lock();
        let is_announced = |kind| {
            state.headers.iter().any(|tag| tag.tag().kind == kind && tag.role() == TagRole::SequenceHeader)
        };
        let [audio, video] =
            [TagKind::Audio, TagKind::Video].map(|kind| is_announced(kind) || state.meter.has(kind));
        (audio, video || matches!(state.start, Start::WithoutKeyframe(_)))
    }

    /// What there is to tell.
    pub(super) fn facts(&self, now: MonoTime) -> HubFacts {
        let mut state = self.lock();
        let description = match &state.description {
            Some(known) => known.clone(),
            None => {
                let [video, audio] = [TagKind::Video, TagKind::Audio].map(|kind| state.meter.seen(kind));
                Arc::new(Description::of(&state.headers, video, audio))
            }
        };
        state.description = Some(description.clone());
        let (hub_state, publisher) = match &state.publisher {
            Publisher::Nobody => (HubState::Waiting, None),
            Publisher::Active { connection, .. } => (HubState::Live, Some(connection.clone())),
            Publisher::Lost { .. } => (HubState::Lost, None),
        };
        HubFacts {
            state: hub_state,
            began: state.began,
            publisher,
            description,
            measured: state.meter.measured(now),
            has_media: state.meter.has_media(),
            cached: state.gop.bytes(),
            dropped: self.dropped.load(Ordering::Relaxed) - state.dropped_before,
            has_players: state.has_players(),
        }
    }

    /// Bits of all tags that come in a second.
    pub(super) fn bits(&self, now: MonoTime) -> Option<f64> {
        self.lock().meter.measured(now).bits
    }

    /// A player was too slow for so many tags.
    pub(super) fn note_dropped(&self, tags: u64) {
        self.dropped.fetch_add(tags, Ordering::Relaxed);
    }

    /// How many players have come so far, those included that are gone.
    pub(super) fn joined(&self) -> u64 {
        self.lock().joined
    }

    /// Somebody publishes now; one who vanished does not count.
    pub(super) fn is_published(&self) -> bool {
        matches!(self.lock().publisher, Publisher::Active { .. })
    }

    /// Somebody publishes now who is no source of the server's own.
    pub(super) fn is_published_by_client(&self) -> bool {
        let state = self.lock();
        matches!(&state.publisher, Publisher::Active { connection, .. } if connection.standing == Standing::Equal)
    }

    /// Somebody plays, and nobody publishes.
    pub(super) fn is_wanted(&self) -> bool {
        self.lock().is_wanted()
    }

    /// A player asks on behalf of those streams, each of which is fed by the next.
    pub(super) fn note_via(&self, via: &[StreamId]) {
        let mut state = self.lock();
        for id in via {
            if state.via.len() < MAX_VIA && !state.via.contains(id) {
                state.via.push(*id);
            }
        }
    }

    /// All streams on whose behalf players ask.
    pub(super) fn via(&self) -> Vec<StreamId> {
        self.lock().via.clone()
    }

    /// The publisher's stream has come by those, each of which was pushed to the next.
    pub(super) fn set_came_by(&self, streams: &[StreamId]) {
        self.lock().came_by = streams.to_vec();
    }

    /// The streams by which this one has come here.
    pub(super) fn came_by(&self) -> Vec<StreamId> {
        self.lock().came_by.clone()
    }

    fn end_in(&self, state: &mut State) {
        state.end();
        state.tell_watchers();
        self.ask_if_wanted(state);
    }

    fn ask_if_wanted(&self, state: &State) {
        if let Some(wanted) = self.wanted.as_ref().filter(|_| state.is_wanted()) {
            // Nobody hears it once the server stops.
            let _ = wanted.send(self.path.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Start {
    /// Whether a picture that is no keyframe is of no use.
    fn withholds(&mut self, now: MonoTime) -> bool {
        match *self {
            Start::Awaited => {
                *self = Start::WithoutKeyframe(now);
                true
            }
            Start::WithoutKeyframe(since) => now.since(since) < MAX_KEYFRAME_WAIT,
            Start::Done => false,
        }
    }
}

impl State {
    /// Offers a step to every thread that listens.
    fn announce(&mut self, what: impl Fn() -> Step) {
        self.steps += 1;
        let step = self.steps;
        for outlet in &mut self.outlets {
            if outlet.has_gap {
                continue;
            }
            outlet.has_gap = !outlet.port.offer(Feed { slot: outlet.slot, step, what: what() });
        }
    }

    fn end(&mut self) {
        self.publisher = Publisher::Nobody;
        self.headers = Headers::default();
        self.gop.clear();
        self.line = None;
        self.began = None;
        self.meter = Meter::default();
        self.description = None;
        self.last_video = None;
        self.last_keyframe = None;
        self.announce(|| Step::Ended);
    }

    fn has_players(&self) -> bool {
        self.outlets.iter().any(|outlet| outlet.audience == Audience::Players)
    }

    fn is_wanted(&self) -> bool {
        matches!(self.publisher, Publisher::Nobody) && self.has_players()
    }

    fn tell_watchers(&mut self) {
        use crossbeam_channel::TrySendError::Disconnected;
        // A channel that is full holds the word already.
        self.watchers.retain(|watcher| !matches!(watcher.try_send(()), Err(Disconnected(()))));
    }

    fn outlet(&mut self, port: &Arc<FeedPort>, slot: Slot) -> Option<&mut Outlet> {
        self.outlets.iter_mut().find(|outlet| Arc::ptr_eq(&outlet.port, port) && outlet.slot == slot)
    }

    fn snapshot(&self, now: MonoTime) -> Snapshot {
        let first = self.gop.tags().first().map(|tag| tag.tag().timestamp);
        let start: Option<Timestamp> = first.or(self.timeline.newest());
        Snapshot {
            step: self.steps,
            epoch: self.epoch,
            is_live: !matches!(self.publisher, Publisher::Nobody),
            has_video: self.last_video.is_some_and(|last| now.since(last) < VIDEO_GONE_AFTER),
            last_keyframe: self.last_keyframe,
            headers: start.map_or_else(|| self.headers.clone(), |start| self.headers.at(start)),
            gop: self.gop.tags().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
