//! A stream as one blocking thread hears it: whoever records it, cuts it into segments or sends it elsewhere.
//!
//! The same doors and channels as for subscriber threads (`port`, `hub`), with one stream and no sockets. A thread that is
//! too slow for its stream is told of the [`Tapped::Gap`] and goes on with the newest group of pictures.
//! Bounds: [`WAITING`] steps, and the bytes of [`super::port::FEED_BYTES`].

use super::{
    Shared,
    hub::Snapshot,
    port::{Feed, FeedPort, Port, Slot, Step},
    registry::HubHandle,
    shared_tag::SharedTag,
};
use crate::base::{MonoTime, Timestamp};
use alloc::{collections::VecDeque, sync::Arc};
use crossbeam_channel::{Receiver, bounded, select, unbounded};

/// Steps that wait for the thread: some ten seconds of a stream of 73 tags a second with a lot to spare.
const WAITING: usize = 4096;

/// Listens to one stream until dropped.
pub(super) struct Tap {
    shared: Arc<Shared>,
    hub: HubHandle,
    port: Arc<FeedPort>,
    feeds: Receiver<Feed>,
    /// To be told before anything new.
    ahead: VecDeque<Tapped>,
    /// Steps up to this one are known.
    since: u64,
    epoch: u64,
    is_live: bool,
    knocks: Receiver<()>,
}

/// What a [`Tap`] hears.
#[derive(Clone, Debug)]
pub(super) enum Tapped {
    /// Somebody publishes; configuration and media follow.
    Started,
    /// Configuration or media. The first after `Started` and `Gap` are the configuration and the newest group of
    /// pictures from its keyframe on, if there is one.
    Tag(Arc<SharedTag>),
    /// The thread was too slow: tags are missing here.
    Gap,
    /// Nobody publishes any more.
    Ended,
    /// Nothing until the deadline, or until somebody knocked ([`Tap::knocked_by`]).
    TimedOut,
    /// The server stops.
    Stopped,
}

/// There is only one stream, so one place.
const SLOT: Slot = Slot { index: 0, generation: 0 };

impl Tap {
    /// Listens from now on. If the stream is live, that begins with `Started`, configuration and the current group of
    /// pictures.
    pub(super) fn new(shared: Arc<Shared>, hub: HubHandle) -> Tap {
        let (control, _) = unbounded();
        let (sender, feeds) = bounded(WAITING);
        let port = FeedPort::new(Arc::new(Port::without_waker(control)), sender, shared.merge);
        let port = Arc::new(port);
        let snapshot = hub.listen(shared.now(), &port, SLOT);
        let mut tap = Tap {
            shared,
            hub,
            port,
            feeds,
            ahead: VecDeque::new(),
            since: snapshot.step,
            epoch: snapshot.epoch,
            is_live: snapshot.is_live,
            knocks: crossbeam_channel::never(),
        };
        if tap.is_live {
            tap.ahead.push_back(Tapped::Started);
            tap.catch_up(&snapshot);
        }
        tap
    }

    /// The same, and whoever sends something there wakes the thread. The channel must outlive this.
    pub(super) fn knocked_by(mut self, knocks: Receiver<()>) -> Tap {
        self.knocks = knocks;
        self
    }

    /// Whether the thread plays the stream to somebody, who counts as a player then.
    pub(super) fn set_watched(&self, is_watched: bool) {
        self.hub.set_watched(&self.port, SLOT, is_watched);
    }

    /// The time of the newest frame that is there to be told.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.ahead.iter().rev().find_map(|tapped| match tapped {
            Tapped::Tag(tag) if tag.is_frame() => Some(tag.tag().timestamp),
            _ => None,
        })
    }

    /// The stream.
    pub(super) fn hub(&self) -> &HubHandle {
        &self.hub
    }

    /// What comes next, until `deadline`; for ever without one.
    pub(super) fn next(&mut self, deadline: Option<MonoTime>) -> Tapped {
        loop {
            if let Some(tapped) = self.ahead.pop_front() {
                return tapped;
            }
            if let Ok(feed) = self.feeds.try_recv() {
                self.take(feed);
            } else if self.port.take_gaps() {
                self.resync();
            } else if let Some(end) = self.wait(deadline) {
                return end;
            }
        }
    }

    fn wait(&mut self, deadline: Option<MonoTime>) -> Option<Tapped> {
        let patience = deadline.map(|at| at.since(self.shared.now()));
        let timeout = patience.map_or_else(crossbeam_channel::never, crossbeam_channel::after);
        let stopped = self.shared.jobs.stopped();
        select! {
            recv(self.feeds) -> feed => if let Ok(feed) = feed { self.take(feed) },
            recv(stopped) -> _ => return Some(Tapped::Stopped),
            recv(self.knocks) -> _ => return Some(Tapped::TimedOut),
            recv(timeout) -> _ => return Some(Tapped::TimedOut),
        }
        None
    }

    fn take(&mut self, feed: Feed) {
        self.port.taken(&feed);
        if feed.step <= self.since {
            return;
        }
        self.since = feed.step;
        self.ahead.push_back(match feed.what {
            Step::Tag(tag, _) => Tapped::Tag(tag),
            Step::Started => {
                self.is_live = true;
                self.epoch += 1;
                Tapped::Started
            }
            Step::Ended => {
                self.is_live = false;
                Tapped::Ended
            }
        });
    }

    /// The hub fell silent because the channel was full, and the channel is empty now.
    fn resync(&mut self) {
        let Some(snapshot) = self.hub.resync(self.shared.now(), &self.port, SLOT) else { return };
        let is_another = snapshot.epoch != self.epoch;
        if self.is_live && (is_another || !snapshot.is_live) {
            self.ahead.extend([Tapped::Gap, Tapped::Ended]);
        } else if self.is_live {
            self.ahead.push_back(Tapped::Gap);
        }
        if snapshot.is_live && (is_another || !self.is_live) {
            self.ahead.push_back(Tapped::Started);
        }
        (self.since, self.epoch, self.is_live) = (snapshot.step, snapshot.epoch, snapshot.is_live);
        if self.is_live {
            self.catch_up(&snapshot);
        }
    }

    fn catch_up(&mut self, snapshot: &Snapshot) {
        let tags = snapshot.headers.iter().chain(&snapshot.gop);
        self.ahead.extend(tags.cloned().map(Tapped::Tag));
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.hub.leave(&self.port, SLOT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flv::Tag,
        server::{
            Config, Server,
            path::StreamPath,
            port::{ConnectionId, Mailbox},
            registry::{Ending, Publishing},
            testing::{audio, inter_frame, keyframe, video_header},
        },
    };
    use alloc::{format, string::String, vec, vec::Vec};
    use core::net::Ipv4Addr;

    struct Stream {
        server: Server,
        path: StreamPath,
    }

    impl Stream {
        fn new() -> Stream {
            let listen = vec!["127.0.0.1:0".parse().unwrap()];
            let server = Server::start(Config { listen, ..Config::default() }).unwrap();
            Stream { server, path: StreamPath::join("", "", "live/x").unwrap() }
        }

        fn shared(&self) -> Arc<Shared> {
            self.server.shared.clone().unwrap()
        }

        fn publish(&self) -> Publishing {
            let mailbox =
                Arc::new(Mailbox::new(ConnectionId(0), Ipv4Addr::LOCALHOST.into(), self.server.port.clone()));
            let shared = self.shared();
            shared.registry.publish(shared.now(), &self.path, &mailbox).unwrap()
        }

        fn tap(&self) -> Tap {
            let shared = self.shared();
            let hub = shared.registry.hub(&self.path).unwrap();
            Tap::new(shared, hub)
        }
    }

    fn send(publishing: &Publishing, tags: impl IntoIterator<Item = Tag>) {
        tags.into_iter().for_each(|tag| publishing.tag(MonoTime(1), tag));
    }

    /// Everything that waits, in short.
    fn heard(tap: &mut Tap) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            all.push(match tap.next(Some(MonoTime(0))) {
                Tapped::TimedOut => return all,
                Tapped::Tag(tag) => format!("{:?} {}", tag.role(), tag.tag().timestamp.0),
                other => format!("{other:?}"),
            });
        }
    }

    #[test]
    fn it_begins_with_the_current_group_and_hears_everything_after() {
        let stream = Stream::new();
        let mut early = stream.tap();
        assert!(heard(&mut early).is_empty());
        let publishing = stream.publish();
        send(&publishing, [video_header(0, 1), keyframe(0), inter_frame(40)]);
        let mut late = stream.tap();
        send(&publishing, [audio(50)]);
        let expected = ["Started", "SequenceHeader 0", "Keyframe 0", "Frame 40", "Frame 50"];
        assert_eq!(heard(&mut early), expected);
        assert_eq!(heard(&mut late), expected);
        publishing.finish(MonoTime(2), Ending::Proper);
        assert_eq!(heard(&mut early), ["Ended"]);
    }

    #[test]
    fn a_thread_that_is_too_slow_goes_on_with_the_newest_group() {
        let stream = Stream::new();
        let publishing = stream.publish();
        let mut tap = stream.tap();
        send(&publishing, [video_header(0, 1), keyframe(0)]);
        send(&publishing, (1..=WAITING as u32).map(inter_frame));
        send(&publishing, [keyframe(9000), inter_frame(9040)]);
        let all = heard(&mut tap);
        let gap = all.iter().position(|what| what == "Gap").expect("it was too slow");
        assert_eq!(all[gap..], ["Gap", "SequenceHeader 9000", "Keyframe 9000", "Frame 9040"]);
        send(&publishing, [inter_frame(9080)]);
        assert_eq!(heard(&mut tap), ["Frame 9080"]);
    }

    #[test]
    fn an_end_and_a_start_in_a_gap_are_told() {
        let stream = Stream::new();
        let publishing = stream.publish();
        let mut tap = stream.tap();
        send(&publishing, [keyframe(0)]);
        send(&publishing, (1..=WAITING as u32).map(inter_frame));
        publishing.finish(MonoTime(2), Ending::Proper);
        let publishing = stream.publish();
        send(&publishing, [keyframe(7)]);
        let all = heard(&mut tap);
        assert_eq!(all[all.len() - 4..], ["Gap", "Ended", "Started", "Keyframe 7"]);
    }

    #[test]
    fn it_ends_with_the_server_and_leaves_nothing_behind() {
        let stream = Stream::new();
        let mut tap = stream.tap();
        assert_eq!(stream.server.streams(), 1);
        stream.shared().jobs.stop();
        assert!(matches!(tap.next(None), Tapped::Stopped));
        drop(tap);
        assert_eq!(stream.server.streams(), 0);
    }
}
