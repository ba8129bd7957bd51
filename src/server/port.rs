//! How threads reach each other: a [`Port`] per thread that owns connections, a [`FeedPort`] around it for threads
//! that play, and a [`Mailbox`] per connection, which knows whose port to knock on.
//!
//! Control messages wait in an unbounded channel: there are at most a few per connection, and connections are
//! bounded. Tags wait in a bounded one, of [`FEED_BYTES`] at most; a publisher never waits for room in it (see `hub`).

use super::{
    capture::Switch,
    connection::Connection,
    merge::Merge,
    player::Action,
    registry::HubHandle,
    report::{Protocol, Question},
    rtsp::{Described, Redirect},
    shared_tag::SharedTag,
};
use crate::{
    base::{MonoTime, Payload},
    http::{RequestId, Response},
    rtmp::{
        MessageStreamId,
        session::{CloseReason, Notice},
    },
};
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
use crossbeam_channel::{Sender, TrySendError, unbounded};
use mio::Waker;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// Counts connections from the start of the server; names them in log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

impl ConnectionId {
    /// Of publishers that are no connection, but a source of the server's own.
    pub(super) const OWN: ConnectionId = ConnectionId(0);
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ConnectionId::OWN => f.write_str("a source of this server"),
            ConnectionId(number) => write!(f, "#{number}"),
        }
    }
}

/// What one thread asks of another.
pub(super) enum Control {
    /// Own this connection from now on, and do this for it.
    Adopt(Box<Connection>, Vec<Action>),
    /// Look into this connection's mailbox, if it is yours.
    Mail(ConnectionId),
    /// To the reactor: a publisher vanished; its stream ends at the deadline unless somebody claims it before.
    Lost {
        /// The stream.
        hub: HubHandle,
        /// Which claim on it was lost.
        claim: u64,
        /// When the resume window is over.
        deadline: MonoTime,
    },
    /// Tell what there is to tell about your connections.
    Report(Question),
    /// End every connection properly, then end.
    Stop,
}

/// A thread's door: messages, and a waker for when it sleeps in `poll`.
pub(super) struct Port {
    control: Sender<Control>,
    waker: Option<Waker>,
    asleep: AtomicBool,
}

impl Port {
    pub(super) fn new(control: Sender<Control>, waker: Waker) -> Port {
        Port { control, waker: Some(waker), asleep: AtomicBool::new(false) }
    }

    /// For a thread that waits in its channels and never in `poll`.
    pub(super) fn without_waker(control: Sender<Control>) -> Port {
        Port { control, waker: None, asleep: AtomicBool::new(false) }
    }

    /// Leaves a message. It is lost if the thread has ended, which is right: it owned nothing then.
    pub(super) fn send(&self, message: Control) {
        let _ = self.control.send(message);
        self.wake();
    }

    /// Gives a connection to the thread.
    pub(super) fn give(self: &Arc<Port>, connection: Box<Connection>, actions: Vec<Action>) {
        connection.mailbox.hand_over(self.clone());
        self.send(Control::Adopt(connection, actions));
    }

    /// Wakes the thread if it sleeps, which saves a system call for every tag that finds it awake.
    fn wake(&self) {
        // Sequentially consistent on both sides: either this sees the thread asleep, or the thread sees the
        // message when it looks once more before it sleeps.
        if let Some(waker) = self.waker.as_ref().filter(|_| self.asleep.swap(false, Ordering::SeqCst)) {
            // Fails only if the eventfd's counter is full, when the thread is about to wake anyway.
            let _ = waker.wake();
        }
    }

    /// Called by the thread itself before it looks into its channels for the last time and sleeps.
    pub(super) fn fall_asleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    /// Called by the thread itself when it is awake again.
    pub(super) fn stay_awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
}

/// The place of a hub in a thread's table. Places are used again, so each use has its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Index into the table.
    pub(super) index: u32,
    /// Which use of that index.
    pub(super) generation: u32,
}

/// One step of a stream, for one thread.
#[derive(Debug)]
pub(super) struct Feed {
    /// Which of the thread's hubs.
    pub(super) slot: Slot,
    /// Steps of a hub are numbered; a player that joined at step N has everything up to N.
    pub(super) step: u64,
    /// What happened.
    pub(super) what: Step,
}

/// What happens in a stream.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A tag, and when it came.
    Tag(Arc<SharedTag>, MonoTime),
    /// Somebody publishes. Not sent when a publisher replaces or resumes another.
    Started,
    /// Nobody publishes any more.
    Ended,
}

impl Feed {
    fn len(&self) -> usize {
        match &self.what {
            Step::Tag(tag, _) => tag.tag().body.len(),
            _ => 0,
        }
    }
}

/// Bytes of tags that wait for one thread: two of the greatest size, seconds of any real stream. One tag always
/// passes.
pub(super) const FEED_BYTES: usize = 32 << 20;

/// The door of a thread that plays.
pub(super) struct FeedPort {
    port: Arc<Port>,
    feeds: Sender<Feed>,
    /// Bytes that wait in `feeds`.
    bytes: AtomicUsize,
    /// Some hub has skipped steps because the channel was full.
    has_gaps: AtomicBool,
    merge: Merge,
    /// The thread sleeps no longer than the longest wait, so that steps that may wait need not wake it.
    looks_by_itself: AtomicBool,
}

impl FeedPort {
    pub(super) fn new(port: Arc<Port>, feeds: Sender<Feed>, merge: Merge) -> FeedPort {
        FeedPort {
            port,
            feeds,
            bytes: AtomicUsize::new(0),
            has_gaps: AtomicBool::new(false),
            merge,
            looks_by_itself: AtomicBool::new(false),
        }
    }

    /// The door for everything else.
    pub(super) fn port(&self) -> &Arc<Port> {
        &self.port
    }

    /// Hands a step over; false if there is no room, which the caller must remember as a gap.
    #[must_use]
    pub(super) fn offer(&self, feed: Feed) -> bool {
        let len = feed.len();
        let may_wait = !self.merge.patience(&feed.what).is_zero();
        let waiting = self.bytes.fetch_add(len, Ordering::Relaxed);
        let has_room = waiting == 0 || waiting + len <= FEED_BYTES;
        let result = if has_room { self.feeds.try_send(feed) } else { Err(TrySendError::Full(feed)) };
        let is_sent = match result {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.bytes.fetch_sub(len, Ordering::Relaxed);
                self.has_gaps.store(true, Ordering::SeqCst);
                false
            }
            // The thread has ended; it leaves its hubs before it does.
            Err(TrySendError::Disconnected(_)) => return true,
        };
        // A channel that is half full does not wait: full, it would cost players their pictures.
        let is_filling = waiting + len > FEED_BYTES / 2
            || self.feeds.capacity().is_some_and(|capacity| self.feeds.len() > capacity / 2);
        // Read after the step is in the channel: see `fall_asleep`.
        if !(is_sent && may_wait && !is_filling && self.looks_by_itself.load(Ordering::SeqCst)) {
            self.port.wake();
        }
        is_sent
    }

    /// Called by the thread itself before it looks into its channels for the last time and sleeps: whether it will
    /// look again by itself before any step has waited too long.
    pub(super) fn fall_asleep(&self, looks_by_itself: bool) {
        self.looks_by_itself.store(looks_by_itself, Ordering::SeqCst);
        self.port.fall_asleep();
    }

    /// Called by the thread for each step it takes out.
    pub(super) fn taken(&self, feed: &Feed) {
        self.bytes.fetch_sub(feed.len(), Ordering::Relaxed);
    }

    /// Called by the thread: whether hubs have skipped steps since the last call.
    pub(super) fn take_gaps(&self) -> bool {
        self.has_gaps.load(Ordering::Relaxed) && self.has_gaps.swap(false, Ordering::SeqCst)
    }
}

impl fmt::Debug for FeedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FeedPort")
    }
}

/// Where to leave a word for a connection, whichever thread owns it now.
pub(super) struct Mailbox {
    /// The connection.
    pub(super) id: ConnectionId,
    /// Its peer's address, in canonical form.
    pub(super) address: IpAddr,
    /// How it stands against others that want to publish the same.
    pub(super) standing: Standing,
    /// Of a publisher that is no connection: what feeds it.
    pub(super) feeder: Option<Feeder>,
    state: Mutex<MailboxState>,
}

/// What feeds a stream that no client publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Feeder {
    /// The flag that says so.
    pub(super) kind: FeederKind,
    /// How, and host and port of the server that it comes from.
    pub(super) server: Option<(Protocol, String)>,
    /// What it reads, as the log names it.
    pub(super) name: String,
}

/// The flag by which the server feeds a stream. As the API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FeederKind {
    Source,
    Pull,
    Origin,
    Demo,
}

/// What becomes of a publisher when another one wants its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// What `--takeover` says.
    Equal,
    /// Anybody who may publish may have it, and it never takes it from anybody.
    GivesWay,
}

struct MailboxState {
    owner: Arc<Port>,
    close: Option<CloseReason>,
    letters: Vec<Letter>,
}

/// A word for a connection.
pub(super) enum Letter {
    /// One of its streams is told something (RTMP).
    Notice(MessageStreamId, Notice),
    /// The answer to a request that had to wait (HTTP).
    Answer(RequestId, Box<Response>),
    /// More of an endless answer, which is left out while what came before it waits for the socket.
    More(Payload),
    /// What a stream has, for a request that had to wait (RTSP).
    Described(Box<Described>),
    /// Go elsewhere (RTSP).
    Redirect(Redirect),
    /// Begin or end its capture.
    Capture(Switch),
}

/// Letters that wait in a mailbox; further ones are lost. A connection looks at once, unless it is on its way to another
/// thread.
const MAX_LETTERS: usize = 16;

impl Mailbox {
    pub(super) fn new(id: ConnectionId, address: IpAddr, owner: Arc<Port>) -> Mailbox {
        Mailbox {
            id,
            address: address.to_canonical(),
            standing: Standing::Equal,
            feeder: None,
            state: Mutex::new(MailboxState { owner, close: None, letters: Vec::new() }),
        }
    }

    /// Of a publisher that is no connection. Whoever publishes so looks into it by itself.
    pub(super) fn of_source(feeder: Feeder) -> Mailbox {
        let (control, _) = unbounded();
        Mailbox {
            id: ConnectionId::OWN,
            address: Ipv6Addr::UNSPECIFIED.into(),
            standing: Standing::GivesWay,
            feeder: Some(feeder),
            state: Mutex::new(MailboxState {
                owner: Arc::new(Port::without_waker(control)),
                close: None,
                letters: Vec::new(),
            }),
        }
    }

    /// Asks the owner to close the connection. The first reason counts.
    pub(super) fn close(&self, why: CloseReason) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.close.get_or_insert(why);
        state.owner.send(Control::Mail(self.id));
    }

    /// Has the owner look at the connection.
    pub(super) fn knock(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).owner.send(Control::Mail(self.id));
    }

    /// Leaves a word.
    pub(super) fn leave(&self, letter: Letter) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.letters.len() < MAX_LETTERS {
            state.letters.push(letter);
            state.owner.send(Control::Mail(self.id));
        }
    }

    /// What was left.
    pub(super) fn take_letters(&self) -> Vec<Letter> {
        core::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).letters)
    }

    /// What was asked. A new owner looks as soon as it has the connection, because the message may have gone to the
    /// old one.
    pub(super) fn pending(&self) -> Option<CloseReason> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).close
    }

    /// From now on mail goes to `owner`; called before the connection is sent there.
    pub(super) fn hand_over(&self, owner: Arc<Port>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).owner = owner;
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::{feed_port, shared, video};
    use crate::{
        base::Timestamp,
        flv::{Tag, TagKind},
    };
    use alloc::vec;

    #[test]
    fn what_waits_for_a_thread_is_bounded_in_bytes_and_one_tag_always_passes() {
        let (port, feeds) = feed_port(2048);
        let tag = |bytes: usize| Feed {
            slot: Slot { index: 0, generation: 0 },
            step: 1,
            what: Step::Tag(shared(video(0, vec![0x27; bytes])), MonoTime::default()),
        };
        assert!(port.offer(tag(FEED_BYTES + 1)) && !port.offer(tag(1)) && port.take_gaps());
        port.taken(&feeds.try_recv().unwrap());
        let half = FEED_BYTES / 2;
        assert!(port.offer(tag(half)) && port.offer(tag(half)) && !port.offer(tag(1)));
        port.taken(&feeds.try_recv().unwrap());
        assert!(port.offer(tag(half)) && !port.offer(tag(1)));
    }

    #[test]
    fn steps_that_may_wait_wake_a_thread_only_before_its_channel_is_full() {
        let (port, feeds) = feed_port(4);
        let offer = |tag: Tag| {
            port.fall_asleep(true);
            let what = Step::Tag(Arc::new(SharedTag::new(tag)), MonoTime::default());
            assert!(port.offer(Feed { slot: Slot { index: 0, generation: 0 }, step: 1, what }));
            !port.port().asleep.load(Ordering::SeqCst)
        };
        let tag = |kind| Tag::new(kind, Timestamp(0), alloc::vec![0xaf, 1].into());
        let woken: Vec<bool> = (0..4).map(|_| offer(tag(TagKind::Audio))).collect();
        assert_eq!(woken, [false, false, true, true]);
        feeds.try_iter().for_each(drop);
        assert!(offer(tag(TagKind::Video)), "a picture never waits by default");
    }
}
