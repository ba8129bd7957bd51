//! The others: a publisher and players that behave well while somebody else does not, and notice everything.
//!
//! One thread each, on the blocking client. Tags carry stamps, as those of `load`.

use crate::{
    network::Namespace,
    stage::{Problem, Stage},
    stream::{Shape, Source, Stamp, is_start},
};
use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use weir::{
    flv::{Tag, TagKind},
    server::client::{ClientError, ClientOptions, Next, Player, Publisher, RtmpUrl},
};

/// 1 Mbit/s, a keyframe every second.
pub(crate) const SHAPE: Shape =
    Shape { bitrate: 1_000_000, fps: 30, gop: 30, audio_bitrate: 64_000, keyframe: None, start: 0 };

/// Publishes until dropped; comes back by itself when its connection broke.
pub(crate) struct Feeder {
    state: Arc<FeederState>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct FeederState {
    stop: AtomicBool,
    /// No connection is tried, and the one there is dropped, as an encoder does that notices its link.
    is_cut: AtomicBool,
    /// How often it was told Publish.Start.
    lives: AtomicU32,
    /// Why the last connection broke.
    broke: Mutex<Option<String>>,
}

impl Feeder {
    /// Starts, and waits until it is live.
    pub(crate) fn start(stage: &Stage, url: RtmpUrl, network: Option<&Namespace>) -> Result<Feeder, Problem> {
        let state = Arc::new(FeederState::default());
        let enter = network.map(Namespace::entrance).transpose()?;
        let (shared, epoch) = (state.clone(), stage.epoch);
        let thread = thread::Builder::new().name("feeder".into()).spawn(move || {
            if let Some(Err(error)) = enter.map(|enter| enter.enter()) {
                shared.broken(error);
                return;
            }
            feed(&url, &shared, epoch);
        })?;
        let feeder = Feeder { state, thread: Some(thread) };
        stage.expect("the feeder is live", OPENING, || feeder.lives() > 0)?;
        Ok(feeder)
    }

    /// How often it became live.
    pub(crate) fn lives(&self) -> u32 {
        self.state.lives.load(Relaxed)
    }

    /// Drops its connection without a goodbye and tries none until [`Feeder::mend`].
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Relaxed);
    }

    pub(crate) fn mend(&self) {
        self.state.is_cut.store(false, Relaxed);
    }

    /// Why the last connection broke that did.
    pub(crate) fn broke(&self) -> Option<String> {
        self.state.broke.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl FeederState {
    fn broken(&self, error: impl ToString) {
        *self.broke.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.state.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic has been printed.
            let _ = thread.join();
        }
    }
}

fn feed(url: &RtmpUrl, state: &FeederState, epoch: Instant) {
    let is_over = || state.stop.load(Relaxed) || state.is_cut.load(Relaxed);
    let mut life = 0;
    while !state.stop.load(Relaxed) {
        if !is_over() {
            if let Err(error) = feed_once(url, life, state, epoch, &is_over) {
                state.broken(error);
            }
            life += 1;
        }
        thread::sleep(RETRY);
    }
}

/// One connection, up to its end by whomever.
fn feed_once(
    url: &RtmpUrl,
    life: u32,
    state: &FeederState,
    epoch: Instant,
    is_over: &dyn Fn() -> bool,
) -> Result<(), ClientError> {
    let options = ClientOptions { timeout: PATIENCE, ..ClientOptions::default() };
    let mut publisher = Publisher::open(url, &options)?;
    let mut source = Source::new(SHAPE, life);
    for tag in source.headers() {
        publisher.send_tag(&tag)?;
    }
    let started = Instant::now();
    state.lives.fetch_add(1, Relaxed);
    while !is_over() {
        while started + source.due() <= Instant::now() {
            publisher.send_tag(&source.next_tag(epoch))?;
        }
        publisher.serve(started + source.due())?;
    }
    Ok(())
}

/// What a player may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing.
    Nothing,
    /// Whole groups of pictures; and the publisher may be replaced.
    Groups,
}

/// Plays until dropped, on one connection.
pub(crate) struct Watcher {
    findings: Arc<Mutex<Findings>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a [`Watcher`] has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Tags checked.
    pub(crate) checked: u64,
    /// Damaged, missing, doubled or out of order; time that goes back or jumps.
    pub(crate) faults: u64,
    pub(crate) first_fault: Option<String>,
    /// Where groups of pictures are missing.
    pub(crate) gaps: u64,
    /// How often another publisher went on with the stream.
    pub(crate) successions: u64,
    /// How often the server said that the stream has ended.
    pub(crate) ends: u64,
    /// Why it has no connection any more.
    pub(crate) closed: Option<String>,
    /// From publisher to player, of pictures, in microseconds.
    pub(crate) delays: Vec<u32>,
    /// When the last tag came.
    pub(crate) last: Option<Instant>,
    /// The longest time between two tags, since the last [`Watcher::restart`].
    pub(crate) silence: Duration,
}

impl Findings {
    fn fault(&mut self, what: String) {
        self.faults += 1;
        self.first_fault.get_or_insert(what);
    }

    /// Milliseconds that `part` percent of all pictures did not exceed.
    pub(crate) fn delay(&self, part: f64) -> f64 {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let rank = (delays.len() as f64 * part / 100.0).ceil() as usize;
        delays.get(rank.saturating_sub(1)).map_or(f64::NAN, |&micros| f64::from(micros) / 1000.0)
    }

    /// No fault, and neither connection nor stream ended.
    pub(crate) fn lost_nothing(&self) -> bool {
        self.faults == 0 && self.closed.is_none() && self.ends == 0
    }

    /// What is wrong, in words.
    pub(crate) fn trouble(&self) -> String {
        let closed = self.closed.as_ref().map(|why| format!("closed: {why}"));
        let parts: Vec<String> = closed.into_iter().chain(self.first_fault.clone()).collect();
        let counts = format!("{} tags, {} faults", self.checked, self.faults);
        if parts.is_empty() { counts } else { format!("{counts}; {}", parts.join("; ")) }
    }
}

impl Watcher {
    /// Starts, and waits until a tag has come.
    pub(crate) fn start(
        stage: &Stage,
        url: RtmpUrl,
        loss: Loss,
        network: Option<&Namespace>,
    ) -> Result<Watcher, Problem> {
        let findings = Arc::new(Mutex::new(Findings::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let enter = network.map(Namespace::entrance).transpose()?;
        let (shared, until, epoch) = (findings.clone(), stop.clone(), stage.epoch);
        let thread = thread::Builder::new().name("watcher".into()).spawn(move || {
            let entered = enter.map_or(Ok(()), |enter| enter.enter());
            let closed = entered
                .map_err(|error: io::Error| error.to_string())
                .and_then(|()| watch(&url, loss, &shared, &until, epoch).map_err(|error| error.to_string()));
            lock(&shared).closed = closed.err();
        })?;
        let watcher = Watcher { findings, stop, thread: Some(thread) };
        let has_begun = || !matches!(watcher.findings(), Findings { checked: 0, closed: None, .. });
        stage.expect("the watcher sees tags", OPENING, has_begun)?;
        match watcher.findings().closed {
            Some(why) => Err(Problem::broken("watcher", why)),
            None => Ok(watcher),
        }
    }

    /// All so far, since the last restart.
    pub(crate) fn findings(&self) -> Findings {
        lock(&self.findings).clone()
    }

    /// Delays and silence count anew; gives what there was.
    pub(crate) fn restart(&self) -> Findings {
        let mut findings = lock(&self.findings);
        let before = findings.clone();
        findings.delays.clear();
        findings.silence = Duration::ZERO;
        before
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic has been printed.
            let _ = thread.join();
        }
    }
}

fn lock(findings: &Mutex<Findings>) -> MutexGuard<'_, Findings> {
    findings.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch(
    url: &RtmpUrl,
    loss: Loss,
    findings: &Mutex<Findings>,
    stop: &AtomicBool,
    epoch: Instant,
) -> Result<(), ClientError> {
    let mut player = Player::open(url, &ClientOptions::default())?;
    let mut checker = Checker { loss, epoch, joined: epoch.elapsed(), place: None };
    while !stop.load(Relaxed) {
        match player.next(Instant::now() + TICK)? {
            Next::Tag(tag) => {
                let findings = &mut *lock(findings);
                let now = Instant::now();
                let silence = findings.last.map_or(Duration::ZERO, |last| now - last);
                findings.silence = findings.silence.max(silence);
                findings.last = Some(now);
                checker.check(&tag, findings);
            }
            Next::Ended => lock(findings).ends += 1,
            Next::TimedOut => {}
        }
    }
    Ok(())
}

/// Where a watcher is in the stream.
struct Place {
    publisher: u32,
    /// The sequence number that is due.
    next: u64,
    /// By how much the server moved this publisher's timestamps.
    moved: u32,
    /// The last timestamp of all.
    timestamp: u32,
}

/// Compares each tag with what must come next.
struct Checker {
    loss: Loss,
    epoch: Instant,
    /// What was sent before is from the server's cache: its delay tells nothing.
    joined: Duration,
    place: Option<Place>,
}

impl Checker {
    fn check(&mut self, tag: &Tag, findings: &mut Findings) {
        let stamp = match self.loss {
            Loss::Nothing => Stamp::read(tag),
            Loss::Groups => Stamp::read_moved(tag),
        };
        let stamp = match stamp {
            None => return,
            Some(Err(damage)) => {
                return findings.fault(format!("{damage:?} in a tag of {} bytes", tag.body.len()));
            }
            Some(Ok(stamp)) => stamp,
        };
        findings.checked += 1;
        let moved = tag.timestamp.0.wrapping_sub(stamp.timestamp);
        if let Some(place) = &self.place {
            self.compare(tag, &stamp, moved, place, findings);
        }
        let next = stamp.sequence + 1;
        self.place = Some(Place { publisher: stamp.publisher, next, moved, timestamp: tag.timestamp.0 });
        if tag.kind == TagKind::Video && stamp.sent >= self.joined {
            let delay = self.epoch.elapsed().saturating_sub(stamp.sent).as_micros();
            findings.delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
        }
    }

    fn compare(&self, tag: &Tag, stamp: &Stamp, moved: u32, place: &Place, findings: &mut Findings) {
        let (sequence, due) = (stamp.sequence, place.next);
        let is_other = stamp.publisher != place.publisher;
        if is_other || sequence != due {
            if self.loss == Loss::Nothing || (sequence < due && !is_other) {
                findings
                    .fault(format!("tag {sequence} of publisher {} where {due} was due", stamp.publisher));
            } else if !is_start(tag, true) {
                findings.fault(format!("tag {sequence} goes on behind a gap without a keyframe"));
            }
            *(if is_other { &mut findings.successions } else { &mut findings.gaps }) += 1;
        }
        if !is_other && moved != place.moved {
            findings.fault(format!("timestamps of one publisher moved by {} and {moved} ms", place.moved));
        }
        let step = tag.timestamp.0.wrapping_sub(place.timestamp) as i32;
        let most = if is_other { MAX_STEP } else { i32::MAX };
        if !(0..=most).contains(&step) {
            findings.fault(format!("time went {step} ms from one tag to the next"));
        }
    }
}

/// For a probe to be where it is wanted.
const OPENING: Duration = Duration::from_secs(15);

/// How long the feeder waits for each answer, and for the server to take what it sends.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two connections of the feeder.
const RETRY: Duration = Duration::from_millis(200);

/// How often a watcher looks whether it is to stop.
const TICK: Duration = Duration::from_millis(100);

/// By how much time may go on from the last tag of a publisher to the first of the next, in milliseconds.
const MAX_STEP: i32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn checker(loss: Loss, epoch: Instant) -> Checker {
        Checker { loss, epoch, joined: Duration::ZERO, place: None }
    }

    /// What is found when of a stream only these tags come.
    fn watch_only(loss: Loss, keep: impl Fn(u64) -> bool) -> Findings {
        let (mut source, epoch) = (Source::new(SHAPE, 0), Instant::now());
        let (mut checker, mut findings) = (checker(loss, epoch), Findings::default());
        for number in 0..200 {
            let tag = source.next_tag(epoch);
            if keep(number) {
                checker.check(&tag, &mut findings);
            }
        }
        findings
    }

    /// A stream's first keyframe is tag 0; the second comes a second later.
    fn second_keyframe() -> u64 {
        let (mut source, epoch) = (Source::new(SHAPE, 0), Instant::now());
        source.next_tag(epoch);
        (1..).find(|_| is_start(&source.next_tag(epoch), true)).unwrap()
    }

    #[test]
    fn a_whole_stream_has_no_faults_and_one_without_a_tag_has() {
        assert_eq!(watch_only(Loss::Nothing, |_| true).faults, 0);
        assert_eq!(watch_only(Loss::Nothing, |number| number != 50).faults, 1);
    }

    #[test]
    fn whole_groups_may_be_lost_where_that_is_allowed() {
        let keyframe = second_keyframe();
        let found = watch_only(Loss::Groups, |number| !(20..keyframe).contains(&number));
        assert_eq!((found.faults, found.gaps), (0, 1));
        let found = watch_only(Loss::Groups, |number| !(20..=keyframe).contains(&number));
        assert_eq!((found.faults, found.gaps), (1, 1));
        assert_eq!(watch_only(Loss::Nothing, |number| !(20..keyframe).contains(&number)).faults, 1);
    }

    #[test]
    fn the_next_publisher_starts_where_the_last_one_ended() {
        let run = |moved: u32| {
            let epoch = Instant::now();
            let (mut checker, mut findings) = (checker(Loss::Groups, epoch), Findings::default());
            for (life, moved) in [(0, 0), (1, moved)] {
                let mut source = Source::new(SHAPE, life);
                for _ in 0..50 {
                    let mut tag = source.next_tag(epoch);
                    tag.timestamp = tag.timestamp.wrapping_add(moved);
                    checker.check(&tag, &mut findings);
                }
            }
            findings
        };
        let faultless = run(750);
        assert_eq!((faultless.faults, faultless.successions), (0, 1), "{faultless:?}");
        assert_eq!(run(0).faults, 1);
        assert_eq!(run(5000).faults, 1);
    }
}
