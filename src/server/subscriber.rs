//! Subscriber threads: channel -> sessions -> sockets.
//!
//! A thread owns its players' connections outright: it writes media and keeps reading acknowledgements, pauses and
//! goodbyes (and media, if the same connection also publishes). It drains its channel before it writes, and gathers
//! small writes as `merge` says, because nearly all the cost of a player is the kernel's cost of a send. A full
//! socket never blocks the neighbours: its connection waits for the socket while the others go on.
//!
//! Which thread takes a player, and when one ends, is for `pool` to say.

use super::{
    STOP_GRACE, Shared,
    connection::{Context, Owned},
    owner::{Hold, Owner},
    player::{Action, Player, Rules, Terms},
    pool::Pool,
    port::{Control, Feed, FeedPort, Port, Slot, Step},
    registry::HubHandle,
    report::Facts,
    room::{Floor, Room},
    sockets::{Ready, Sockets},
    staging::Staging,
    stats::Throttle,
    vod,
};
use crate::{
    base::MonoTime,
    rtmp::{
        MessageStreamId,
        session::{CloseReason, Notice, Sent},
    },
};
use alloc::{sync::Arc, vec, vec::Vec};
use crossbeam_channel::{Receiver, bounded, unbounded};
use std::io;

/// Steps that wait for one thread. At 100 streams of 73 tags a second that is half a second without the processor; past
/// it players lose up to the next keyframe.
const FEEDS: usize = 4096;
/// A thread goes on looking by itself for this many of the longest waits after its streams fell silent.
const LOOKS: u32 = 4;

/// One thread. Ends when it has no connections, or [`STOP_GRACE`] after [`Control::Stop`].
pub(super) struct Subscriber {
    number: usize,
    hold: Hold,
    pool: Arc<Pool>,
    port: Arc<FeedPort>,
    control: Receiver<Control>,
    feeds: Receiver<Feed>,
    /// By index of their [`Slot`].
    rooms: Vec<Option<Room>>,
    generation: u32,
    closing: Vec<(usize, CloseReason)>,
    over: Vec<(usize, MessageStreamId, Sent)>,
    troubled: Vec<usize>,
    staging: Staging,
    gaps: Throttle,
    /// When it last looked into `feeds`, and when it last found something.
    looked_at: MonoTime,
    fed_at: Option<MonoTime>,
    /// It looks again by itself before any step has waited too long, so that not every step wakes it.
    looks_by_itself: bool,
    stop_at: Option<MonoTime>,
}

/// What to do with the players of a room.
macro_rules! floor {
    ($self:ident, $now:ident) => {
        Floor {
            rules: Rules {
                now: $now,
                max_queue: $self.hold.shared.session.limits.max_queued_output,
                stall_timeout: $self.hold.shared.stall_timeout,
            },
            sockets: &mut $self.hold.sockets,
            staging: &mut $self.staging,
            stats: &$self.hold.shared.stats,
            closing: &mut $self.closing,
            over: &mut $self.over,
            troubled: &mut $self.troubled,
        }
    };
}

impl Subscriber {
    /// A thread to be, and its door.
    pub(super) fn new(
        number: usize,
        shared: Arc<Shared>,
        pool: Arc<Pool>,
    ) -> io::Result<(Subscriber, Arc<Port>)> {
        let (sockets, waker) = Sockets::new(0)?;
        let (control, control_receiver) = unbounded();
        let (feeds, feed_receiver) = bounded(FEEDS);
        let port = Arc::new(Port::new(control, waker));
        let feed_port = FeedPort::new(port.clone(), feeds, shared.merge);
        let subscriber = Subscriber {
            number,
            hold: Hold::new(shared, sockets),
            pool,
            port: Arc::new(feed_port),
            control: control_receiver,
            feeds: feed_receiver,
            rooms: Vec::new(),
            generation: 0,
            closing: Vec::new(),
            over: Vec::new(),
            troubled: Vec::new(),
            staging: Staging::default(),
            gaps: Throttle::default(),
            looked_at: MonoTime::default(),
            fed_at: None,
            looks_by_itself: false,
            stop_at: None,
        };
        Ok((subscriber, port))
    }

    pub(super) fn run(mut self) {
        let mut ready = Vec::new();
        loop {
            self.sleep(&mut ready);
            let now = self.hold.shared.now();
            while let Ok(message) = self.control.try_recv() {
                self.handle_control(now, message);
            }
            for index in self.hold.sockets.take_again() {
                self.turn(now, index);
            }
            for ready in &ready {
                if let Ready::Connection(index) = *ready {
                    self.turn(now, index);
                }
            }
            // Turns may have taken a while, and how long tags wait is counted from here.
            let now = self.hold.shared.now();
            self.take_feeds(now);
            self.write_due(now);
            self.handle_deadlines(now);
            self.close_slow(now);
            self.end_plays(now);
            let is_stopped = self.stop_at.is_some_and(|at| at <= now);
            if (self.hold.sockets.is_empty() && self.pool.retire(self.number)) || is_stopped {
                break;
            }
        }
        let now = self.hold.shared.now();
        for index in self.hold.sockets.indices() {
            if let Some(connection) = self.hold.sockets.remove(index) {
                self.bury(now, index, connection);
            }
        }
    }

    fn sleep(&mut self, ready: &mut Vec<Ready>) {
        let now = self.hold.shared.now();
        let longest = self.hold.shared.merge.longest();
        self.looks_by_itself = self.fed_at.is_some_and(|at| now.since(at) < longest * LOOKS);
        let look = self.looks_by_itself.then(|| self.looked_at + longest);
        let due = self.rooms.iter().flatten().filter_map(|room| room.due);
        let mut until = due.chain(look).chain(self.stop_at).min();
        self.port.fall_asleep(self.looks_by_itself);
        if !self.feeds.is_empty() || !self.control.is_empty() {
            until = Some(now);
        }
        ready.clear();
        self.hold.sockets.wait(now, until, ready);
        self.port.port().stay_awake();
    }

    fn handle_control(&mut self, now: MonoTime, message: Control) {
        match message {
            Control::Adopt(connection, actions) => self.adopt(now, connection, actions),
            Control::Mail(id) => {
                if let Some(index) = self.hold.sockets.find(id) {
                    self.with(now, index, |connection, cx| connection.check_mail(cx));
                }
            }
            Control::Stop => {
                self.stop_at = Some(now + STOP_GRACE);
                for room in self.rooms.iter_mut().flatten() {
                    room.write(&mut floor!(self, now));
                }
                for index in self.hold.sockets.indices() {
                    self.with(now, index, |connection, cx| connection.close(cx, CloseReason::Shutdown));
                }
            }
            Control::Report(question) => {
                let rooms = self.rooms.iter().flatten();
                let describe = |facts: &mut Facts| rooms.for_each(|room| room.describe(now, facts));
                question.answer(&self.hold.sockets, describe);
            }
            // Only the reactor keeps resume windows.
            Control::Lost { .. } => {}
        }
    }

    fn adopt(&mut self, now: MonoTime, connection: Owned, mut actions: Vec<Action>) {
        let index = match self.hold.sockets.insert(connection) {
            Ok(index) => index,
            Err((error, connection)) => {
                log::error!("{} cannot be watched: {error}", connection.id());
                return self.bury(now, usize::MAX, connection);
            }
        };
        self.apply(now, index, &mut actions);
        // What came before the move gets no new event from the system: this puts it in line.
        self.with(now, index, |connection, cx| {
            connection.check_mail(cx);
            if cx.shared.is_stopping() {
                connection.close(cx, CloseReason::Shutdown);
            }
        });
    }

    /// One connection's turn: read, do what it asks for, write.
    fn turn(&mut self, now: MonoTime, index: usize) {
        let shared = self.hold.shared.clone();
        let mut actions = core::mem::take(&mut self.hold.actions);
        let mut cx = Context { now, shared: &shared, actions: &mut actions };
        self.hold.sockets.turn(index, &mut cx);
        self.apply(now, index, &mut actions);
        self.hold.actions = actions;
        self.settle(now, index);
    }

    fn settle(&mut self, now: MonoTime, index: usize) {
        if let Some(connection) = self.hold.sockets.settle(now, index) {
            self.bury(now, index, connection);
        }
    }

    /// A connection is over.
    fn bury(&mut self, now: MonoTime, index: usize, mut connection: Owned) {
        for (stream, room) in core::mem::take(&mut connection.seats) {
            self.leave_room(index, stream, room);
        }
        let mut actions = Vec::new();
        connection.finish(&mut Context { now, shared: &self.hold.shared, actions: &mut actions });
        self.pool.release(self.number);
    }

    // ---- playing

    fn apply(&mut self, now: MonoTime, index: usize, actions: &mut Vec<Action>) {
        drop_superseded(actions);
        let mut asked = None;
        for action in actions.drain(..) {
            match action {
                Action::Join { stream, hub, terms } => {
                    self.leave(index, stream);
                    self.join(now, index, stream, hub, terms);
                }
                Action::Leave { stream } => self.leave(index, stream),
                Action::Restart { stream } => self.restart(now, index, stream),
                Action::Pause { stream, paused } => {
                    self.with_player(index, stream, |player| player.pause(paused));
                }
                Action::ReceiveAudio { stream, wanted } => {
                    self.with_player(index, stream, |player| player.receive_audio(wanted));
                }
                Action::ReceiveVideo { stream, wanted } => {
                    self.with_player(index, stream, |player| player.receive_video(wanted));
                }
                Action::Buffer { .. } => {}
                Action::Ask { .. } | Action::Fetch { .. } | Action::Open { .. } => asked = Some(action),
            }
        }
        if let Some(asked) = asked {
            self.send_away(now, index, asked);
        }
    }

    /// Gives a connection that asks for a file away. What it plays goes on if it gets no file.
    fn send_away(&mut self, now: MonoTime, index: usize, asked: Action) {
        let Some(connection) = self.hold.sockets.get_mut(index) else { return };
        let port = match vod::hire(&self.hold.shared) {
            Ok(port) => port,
            Err(error) => return vod::refuse(now, &self.hold.shared, connection, &asked, &error),
        };
        let mut actions = vec![asked];
        for (stream, at) in core::mem::take(&mut connection.seats) {
            let Some(room) = self.rooms.get_mut(at as usize).and_then(Option::as_mut) else { continue };
            let terms = room.player(index, stream).map(|player| player.terms()).unwrap_or_default();
            actions.push(Action::Join { stream, hub: room.hub.again(), terms });
            self.leave_room(index, stream, at);
        }
        let Some(connection) = self.hold.sockets.remove(index) else { return };
        self.pool.release(self.number);
        port.give(connection, actions);
    }

    fn join(&mut self, now: MonoTime, index: usize, stream: MessageStreamId, hub: HubHandle, terms: Terms) {
        let known = self.rooms.iter().position(|room| room.as_ref().is_some_and(|room| room.hub.is(&hub)));
        let at = known.unwrap_or_else(|| match self.rooms.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                self.rooms.push(None);
                self.rooms.len() - 1
            }
        });
        let snapshot = match &self.rooms[at] {
            Some(room) => hub.join(now, &self.port, room.slot),
            None => {
                self.generation = self.generation.wrapping_add(1);
                let slot = Slot { index: at as u32, generation: self.generation };
                let snapshot = hub.join(now, &self.port, slot);
                self.rooms[at] = Some(Room::new(now, hub, slot, &snapshot));
                snapshot
            }
        };
        if let Some(connection) = self.hold.sockets.get_mut(index) {
            connection.seats.push((stream, at as u32));
        }
        if let Some(room) = &mut self.rooms[at] {
            room.join(&mut floor!(self, now), index, stream, terms, &snapshot);
        }
    }

    fn leave(&mut self, index: usize, stream: MessageStreamId) {
        let Some(connection) = self.hold.sockets.get_mut(index) else { return };
        let Some(at) = connection.seats.iter().position(|(id, _)| *id == stream) else { return };
        let (_, room) = connection.seats.swap_remove(at);
        self.leave_room(index, stream, room);
    }

    fn leave_room(&mut self, index: usize, stream: MessageStreamId, at: u32) {
        self.over.retain(|(of, ended, _)| (*of, *ended) != (index, stream));
        let Some(place) = self.rooms.get_mut(at as usize) else { return };
        let Some(room) = place else { return };
        room.leave(index, stream);
        if room.is_empty() {
            room.hub.leave(&self.port, room.slot);
            *place = None;
        }
    }

    /// Leaves and joins the same stream, without giving the stream up in between.
    fn restart(&mut self, now: MonoTime, index: usize, stream: MessageStreamId) {
        let Some(at) = self.seat(index, stream) else { return };
        let Some(room) = self.rooms.get_mut(at).and_then(Option::as_mut) else { return };
        let Some(terms) = room.leave(index, stream) else { return };
        let snapshot = room.hub.join(now, &self.port, room.slot);
        room.join(&mut floor!(self, now), index, stream, terms, &snapshot);
    }

    fn with_player(&mut self, index: usize, stream: MessageStreamId, act: impl FnOnce(&mut Player)) {
        let Some(at) = self.seat(index, stream) else { return };
        let room = self.rooms.get_mut(at).and_then(Option::as_mut);
        if let Some(player) = room.and_then(|room| room.player(index, stream)) {
            act(player);
        }
    }

    fn seat(&mut self, index: usize, stream: MessageStreamId) -> Option<usize> {
        let seats = &self.hold.sockets.get_mut(index)?.seats;
        seats.iter().find(|(id, _)| *id == stream).map(|(_, room)| *room as usize)
    }

    // ---- tags

    fn take_feeds(&mut self, now: MonoTime) {
        let has_gaps = self.port.take_gaps();
        // Not more than were there when it began, so that a fast publisher cannot keep the thread from writing;
        // after a gap that is all of a hub's steps before it.
        for _ in 0..FEEDS {
            let Ok(feed) = self.feeds.try_recv() else { break };
            self.port.taken(&feed);
            let Some(Some(room)) = self.rooms.get_mut(feed.slot.index as usize) else { continue };
            if room.slot != feed.slot {
                continue;
            }
            room.step(&mut floor!(self, now), feed.step, &feed.what);
            let came_at = if let Step::Tag(_, at) = feed.what { at } else { now };
            let due = came_at + self.hold.shared.merge.patience(&feed.what);
            room.due = Some(room.due.map_or(due, |earlier| earlier.min(due)));
            self.fed_at = Some(now);
        }
        self.looked_at = now;
        if has_gaps {
            for room in self.rooms.iter_mut().flatten() {
                let Some(snapshot) = room.hub.resync(now, &self.port, room.slot) else { continue };
                if let Some(count) = self.gaps.count(now, 1) {
                    log::warn!("weir-play-{} fell behind: {count} gaps in its streams", self.number);
                }
                room.resync(&mut floor!(self, now), &snapshot);
                room.due = Some(now);
            }
        }
    }

    /// Writes for the players of every room whose time has come.
    fn write_due(&mut self, now: MonoTime) {
        for room in self.rooms.iter_mut().flatten() {
            if room.due.is_some_and(|due| due <= now) {
                room.write(&mut floor!(self, now));
            }
        }
        for index in core::mem::take(&mut self.troubled) {
            self.settle(now, index);
        }
    }

    /// Tells players that have had what they asked for, which then no longer hold the stream.
    fn end_plays(&mut self, now: MonoTime) {
        for (index, stream, sent) in core::mem::take(&mut self.over) {
            // Several tags may have been too many; whoever left meanwhile is not in the list.
            if self.seat(index, stream).is_none() {
                continue;
            }
            self.leave(index, stream);
            self.with(now, index, |connection, _| {
                connection.streams.retain(|(id, _)| *id != stream);
                connection.notify(stream, Notice::Complete(sent));
            });
        }
    }

    fn close_slow(&mut self, now: MonoTime) {
        for (index, why) in core::mem::take(&mut self.closing) {
            self.with(now, index, |connection, cx| connection.close(cx, why));
        }
    }
}

impl Owner for Subscriber {
    fn hold(&mut self) -> &mut Hold {
        &mut self.hold
    }

    fn finish_turn(&mut self, now: MonoTime, index: usize, mut actions: Vec<Action>) {
        self.apply(now, index, &mut actions);
        self.hold.actions = actions;
        self.settle(now, index);
    }
}

/// Forgets starts that the same turn undoes: each costs a whole group of pictures, and a peer can ask for thousands
/// in one read. What is left of each message stream is one join or leave, and one restart behind it.
fn drop_superseded(actions: &mut Vec<Action>) {
    if actions.len() < 2 {
        return;
    }
    let (mut replaced, mut restarted) = (Vec::new(), Vec::new());
    let mark = |streams: &mut Vec<MessageStreamId>, stream| {
        let is_new = !streams.contains(&stream);
        if is_new {
            streams.push(stream);
        }
        is_new
    };
    let mut kept = Vec::new();
    while let Some(action) = actions.pop() {
        let is_kept = match action {
            Action::Join { stream, .. } | Action::Leave { stream } => mark(&mut replaced, stream),
            Action::Restart { stream } => !replaced.contains(&stream) && mark(&mut restarted, stream),
            _ => true,
        };
        if is_kept {
            kept.push(action);
        }
    }
    kept.reverse();
    *actions = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    #[test]
    fn of_many_starts_in_one_turn_the_last_of_each_stream_counts() {
        let [one, two] = [1, 2].map(MessageStreamId);
        let restart = |stream| Action::Restart { stream };
        let leave = |stream| Action::Leave { stream };
        let pause = |paused| Action::Pause { stream: one, paused };
        let mut actions: Vec<Action> = (0..1000).flat_map(|_| [restart(one), restart(two)]).collect();
        actions.extend([leave(one), pause(true), restart(one), restart(one), leave(two), pause(false)]);
        drop_superseded(&mut actions);
        let shown = |action: &Action| match action {
            Action::Restart { stream } => format!("restart {}", stream.0),
            Action::Leave { stream } => format!("leave {}", stream.0),
            Action::Pause { paused, .. } => format!("pause {paused}"),
            _ => String::new(),
        };
        let shown: Vec<String> = actions.iter().map(shown).collect();
        // A restart stays behind what it restarts.
        assert_eq!(shown, ["leave 1", "pause true", "restart 1", "leave 2", "pause false"]);
    }
}
