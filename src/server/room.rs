//! Players of one stream on one thread: what they get, in which order, and when it is written.
//!
//! Tags are gathered until the first of them has waited as long as `merge` lets it. Then all of them are chunked as one
//! piece, which every player gets that simply takes everything: one comparison, one shared slice and one write per
//! player. Players that are paused, behind, or without audio or video are asked tag by tag (`player`).
//! Bounds: [`MAX_PIECE`] gathered bytes, or one tag; a piece never takes a queue past its limit.

use super::{
    cache::Headers,
    connection::Connection,
    hub::{MAX_KEYFRAME_WAIT, Snapshot, VIDEO_GONE_AFTER},
    player::{Admission, Media, Player, Rules, Terms},
    port::{Slot, Step},
    registry::HubHandle,
    report::{Facts, State},
    shared_tag::{Bundle, Form, Offer, SharedTag},
    sockets::Sockets,
    staging::{Staged, Staging},
    stats::Stats,
};
use crate::{
    base::MonoTime,
    flv::{TagKind, TagRole},
    rtmp::{
        MessageStreamId, SendError,
        session::{CloseReason, Notice, Sent},
    },
};
use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

/// Bytes that are gathered at most, as [`SharedTag::weight`] counts them, so that `--merge` cannot hold more. A third of a
/// second at 25 Mbit/s.
const MAX_PIECE: usize = 1 << 20;

/// One stream on one thread, with its players.
pub(super) struct Room {
    pub(super) hub: HubHandle,
    pub(super) slot: Slot,
    players: Vec<Player>,
    /// Who is written first the next time, so that none is always last.
    first: usize,
    /// When [`Room::write`] must be called.
    pub(super) due: Option<MonoTime>,
    /// What waits for that, oldest first.
    gathered: Vec<Gathered>,
    /// What they weigh.
    gathered_bytes: usize,
    /// Up to here everything is gathered or handed out; steps behind it are still in the channel.
    step: u64,
    epoch: u64,
    is_live: bool,
    /// As of the last tag that was handed out.
    headers: Headers,
    /// Counts changes of the headers.
    version: u32,
    last_video: Option<MonoTime>,
    last_keyframe: Option<MonoTime>,
}

struct Gathered {
    step: u64,
    tag: Arc<SharedTag>,
}

/// What the players of a room need from their thread.
pub(super) struct Floor<'a> {
    pub(super) rules: Rules,
    pub(super) sockets: &'a mut Sockets,
    pub(super) staging: &'a mut Staging,
    pub(super) stats: &'a Stats,
    /// Connections to close, added to.
    pub(super) closing: &'a mut Vec<(usize, CloseReason)>,
    /// Players that have had what they asked for, added to.
    pub(super) over: &'a mut Vec<(usize, MessageStreamId, Sent)>,
    /// Connections whose last write was refused or failed, added to.
    pub(super) troubled: &'a mut Vec<usize>,
}

impl Floor<'_> {
    /// Writes what waits for a connection.
    fn flush(&mut self, index: usize) {
        let Some(connection) = self.sockets.get_mut(index) else { return };
        flush(connection, index, self.rules.now, None, self.troubled);
    }
}

impl Room {
    /// Without players.
    pub(super) fn new(now: MonoTime, hub: HubHandle, slot: Slot, snapshot: &Snapshot) -> Room {
        let mut room = Room {
            hub,
            slot,
            players: Vec::new(),
            first: 0,
            due: None,
            gathered: Vec::new(),
            gathered_bytes: 0,
            step: 0,
            epoch: 0,
            is_live: false,
            headers: Headers::default(),
            version: 0,
            last_video: None,
            last_keyframe: None,
        };
        room.adopt(now, snapshot);
        room
    }

    /// Adds a player and queues what a late joiner needs.
    pub(super) fn join(
        &mut self,
        floor: &mut Floor<'_>,
        index: usize,
        stream: MessageStreamId,
        terms: Terms,
        snapshot: &Snapshot,
    ) {
        let Some(connection) = floor.sockets.get_mut(index) else { return };
        let has_keyframes = is_recent(snapshot.last_keyframe, floor.rules.now, MAX_KEYFRAME_WAIT);
        let must_wait = snapshot.has_video && has_keyframes && snapshot.gop.is_empty() && terms.wanted.video;
        let mut player = Player::new((index, stream, connection.form()), terms, snapshot.step, self.version);
        if must_wait {
            player.await_keyframe();
        }
        if terms.is_paused {
            // It gets the headers when it goes on.
            player.version = self.version.wrapping_sub(1);
            return self.players.push(player);
        }
        for tag in snapshot.headers.iter().chain(&snapshot.gop) {
            if let Some(sent) = player.is_over(tag) {
                floor.over.push((index, stream, sent));
                break;
            }
            if !player.wants(tag.tag().kind) {
                continue;
            }
            player.note_sent(tag);
            if offer(connection, stream, tag, floor.rules.now) == Err(SendError::WouldExceed) {
                player.fall_behind(floor.rules.now);
                break;
            }
        }
        self.players.push(player);
    }

    /// Removes a player; returns what it asked for.
    pub(super) fn leave(&mut self, index: usize, stream: MessageStreamId) -> Option<Terms> {
        let at = self.players.iter().position(|player| player.index == index && player.stream == stream)?;
        Some(self.players.swap_remove(at).terms())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.players.is_empty()
    }

    /// Adds what there is to tell about its players.
    pub(super) fn describe(&self, now: MonoTime, facts: &mut Facts) {
        let bits = self.hub.bits(now);
        for player in &self.players {
            let Some(facts) = facts.of(player.index) else { continue };
            // Of several streams the first, and what it publishes rather than what it plays.
            if facts.stream.is_some() {
                continue;
            }
            facts.stream = Some(self.hub.path().clone());
            player.describe(now, bits, facts);
            if !self.is_live {
                facts.state = State::Waiting;
                facts.delay = None;
            }
        }
    }

    /// The player on that message stream of that connection.
    pub(super) fn player(&mut self, index: usize, stream: MessageStreamId) -> Option<&mut Player> {
        self.players.iter_mut().find(|player| player.index == index && player.stream == stream)
    }

    /// The next step of the stream, to be written when the room is due.
    pub(super) fn step(&mut self, floor: &mut Floor<'_>, step: u64, what: &Step) {
        // Known from a snapshot already.
        if step <= self.step {
            return;
        }
        match what {
            Step::Tag(tag, _) => {
                let weight = tag.weight();
                let is_full = self.gathered_bytes + weight > MAX_PIECE.min(floor.rules.max_queue);
                if is_full && !self.gathered.is_empty() {
                    self.write(floor);
                }
                self.gathered_bytes += weight;
                self.gathered.push(Gathered { step, tag: tag.clone() });
                self.step = step;
            }
            Step::Started => {
                self.write(floor);
                self.step = step;
                self.epoch += 1;
                self.set_live(floor, true);
            }
            Step::Ended => {
                self.write(floor);
                self.step = step;
                self.set_live(floor, false);
            }
        }
    }

    /// The state after steps were skipped: players lose up to the next keyframe.
    pub(super) fn resync(&mut self, floor: &mut Floor<'_>, snapshot: &Snapshot) {
        self.write(floor);
        self.step = snapshot.step;
        if self.is_live && (!snapshot.is_live || snapshot.epoch != self.epoch) {
            self.set_live(floor, false);
        }
        if snapshot.is_live && !self.is_live {
            self.set_live(floor, true);
        }
        self.adopt(floor.rules.now, snapshot);
        self.version = self.version.wrapping_add(1);
        for player in &mut self.players {
            // Not slow: its thread was.
            if player.since < snapshot.step {
                player.await_keyframe();
            }
        }
    }

    /// Hands out what was gathered, and writes.
    pub(super) fn write(&mut self, floor: &mut Floor<'_>) {
        self.due = None;
        self.gathered_bytes = 0;
        let gathered = core::mem::take(&mut self.gathered);
        let others = self.hand_out_whole(floor, &gathered);
        for Gathered { step, tag } in &gathered {
            self.note(floor.rules.now, tag);
            for &at in &others {
                self.hand_out(floor, at, *step, tag);
            }
        }
        for at in others {
            floor.flush(self.players[at].index);
        }
        self.gathered = gathered;
        self.gathered.clear();
        self.first = self.first.wrapping_add(1);
    }

    /// Writes everything to those who simply take it; returns the others.
    fn hand_out_whole(&mut self, floor: &mut Floor<'_>, gathered: &[Gathered]) -> Vec<usize> {
        let count = self.players.len();
        let order = (0..count).map(|turn| (turn + self.first) % count);
        let takes_all =
            |player: &Player| gathered.first().is_some_and(|first| player.takes_all_from(first.step));
        let mut others: Vec<usize> = Vec::new();
        if !self.players.iter().any(takes_all) {
            others.extend(order);
            return others;
        }
        let bundle = Bundle::new(gathered.iter().map(|gathered| &*gathered.tag));
        let changes = gathered.iter().filter(|gathered| gathered.tag.is_configuration()).count();
        let version = self.version.wrapping_add(changes as u32);
        others.extend(order.clone().filter(|&at| !takes_all(&self.players[at])));
        for form in Form::ALL {
            let takes = |player: &Player| player.form == form && takes_all(player);
            let takers = self.players.iter().filter(|player| takes(player)).count();
            if takers == 0 {
                continue;
            }
            let staged = floor.staging.stage(bundle.bytes(form), takers);
            for at in order.clone() {
                let player = &mut self.players[at];
                if !takes(player) {
                    continue;
                }
                let Some(connection) = floor.sockets.get_mut(player.index) else { continue };
                if connection.offer(player.stream, Offer::Bundle(&bundle)).is_err() {
                    others.push(at);
                    continue;
                }
                // Without a change it may still lack what came while it wanted no sound or no picture.
                if changes > 0 {
                    player.version = version;
                }
                flush(connection, player.index, floor.rules.now, staged.as_ref(), floor.troubled);
            }
            if staged.is_some() {
                floor.staging.clear();
            }
        }
        others
    }

    /// Offers one tag to one player.
    fn hand_out(&mut self, floor: &mut Floor<'_>, at: usize, step: u64, tag: &Arc<SharedTag>) {
        let rules = floor.rules;
        let player = &mut self.players[at];
        let Some(connection) = floor.sockets.get_mut(player.index) else { return };
        if step <= player.since {
            return;
        }
        let media = Media {
            has_video: is_recent(self.last_video, rules.now, VIDEO_GONE_AFTER),
            has_keyframes: is_recent(self.last_keyframe, rules.now, MAX_KEYFRAME_WAIT),
        };
        let admitted = player.admit(tag, connection.protocol.output_len(), media, rules);
        if admitted == Admission::Resume && player.version != self.version {
            let mut headers = self.headers.iter();
            if headers.any(|header| offer(connection, player.stream, header, rules.now).is_err()) {
                return player.fall_behind(rules.now);
            }
            player.version = self.version;
        }
        match admitted {
            Admission::No => return,
            Admission::Dropped => {
                floor.stats.dropped_tags.add(1);
                self.hub.note_dropped(1);
                return player.report(connection, &self.hub, rules);
            }
            Admission::TooSlow => return floor.closing.push((player.index, CloseReason::TooSlow)),
            Admission::Over(sent) => return floor.over.push((player.index, player.stream, sent)),
            Admission::Yes => {}
            Admission::Resume => player.resumed(connection, &self.hub),
        }
        match offer(connection, player.stream, tag, rules.now) {
            Ok(()) => {
                player.note_sent(tag);
                if tag.is_configuration() {
                    player.version = self.version;
                }
            }
            Err(SendError::WouldExceed) => {
                floor.stats.dropped_tags.add(1);
                self.hub.note_dropped(1);
                player.fall_behind(rules.now);
                player.report(connection, &self.hub, rules);
            }
            // It closes; its thread removes it in the same turn.
            Err(SendError::NotOpen) => {}
        }
    }

    /// Remembers what the stream has.
    fn note(&mut self, now: MonoTime, tag: &Arc<SharedTag>) {
        if tag.is_configuration() {
            self.headers.update(tag);
            self.version = self.version.wrapping_add(1);
        } else if tag.tag().kind == TagKind::Video && tag.is_frame() {
            self.last_video = Some(now);
            if tag.role() == TagRole::Keyframe {
                self.last_keyframe = Some(now);
            }
        }
    }

    fn adopt(&mut self, now: MonoTime, snapshot: &Snapshot) {
        self.step = snapshot.step;
        self.epoch = snapshot.epoch;
        self.is_live = snapshot.is_live;
        self.headers = snapshot.headers.clone();
        self.last_video = snapshot.has_video.then_some(now);
        self.last_keyframe = snapshot.last_keyframe;
    }

    fn set_live(&mut self, floor: &mut Floor<'_>, is_live: bool) {
        self.is_live = is_live;
        self.headers = Headers::default();
        self.version = self.version.wrapping_add(1);
        self.last_video = None;
        self.last_keyframe = None;
        for player in &mut self.players {
            if self.step <= player.since {
                continue;
            }
            player.start_over();
            let notice = if is_live { Notice::Published } else { Notice::Unpublished };
            let Some(connection) = floor.sockets.get_mut(player.index) else { continue };
            // A publisher that comes and goes must not fill the queue of a player that reads nothing.
            if connection.protocol.output_len() > floor.rules.max_queue {
                floor.closing.push((player.index, CloseReason::TooSlow));
            } else {
                connection.notify(player.stream, notice);
                if !is_live {
                    connection.end_response(floor.rules.now);
                }
            }
        }
    }
}

/// Queues a tag. What waits is written first if there is no room: a late joiner's group of pictures may be as long as
/// a queue.
fn offer(
    connection: &mut Connection,
    stream: MessageStreamId,
    tag: &SharedTag,
    now: MonoTime,
) -> Result<(), SendError> {
    match connection.offer(stream, Offer::Tag(tag)) {
        Err(SendError::WouldExceed) => {
            connection.flush(now);
            connection.offer(stream, Offer::Tag(tag))
        }
        result => result,
    }
}

fn flush(
    connection: &mut Connection,
    index: usize,
    now: MonoTime,
    staged: Option<&Staged<'_>>,
    troubled: &mut Vec<usize>,
) {
    connection.flush_staged(now, staged);
    if connection.is_troubled() {
        troubled.push(index);
    }
}

fn is_recent(at: Option<MonoTime>, now: MonoTime, span: Duration) -> bool {
    at.is_some_and(|at| now.since(at) < span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{
        hub::Takeover,
        networks::Networks,
        path::StreamPath,
        registry::{Policy, Registry},
        shared_tag::OVERHEAD,
        testing::{audio, feed_port, shared},
    };

    #[test]
    fn a_flood_of_empty_tags_is_not_gathered_without_end() {
        let (port, _feeds) = feed_port(1);
        let policy = Policy {
            publish_from: Networks::default(),
            takeover: Takeover::default(),
            resume_window: Duration::ZERO,
            gop_bytes: 0,
            wanted: None,
        };
        let registry = Registry::new(policy, port.port().clone());
        let hub = registry.hub(&StreamPath::join("", "", "live/cam").unwrap()).unwrap();
        let slot = Slot { index: 0, generation: 0 };
        let snapshot = hub.join(MonoTime(0), &port, slot);
        let mut room = Room::new(MonoTime(0), hub, slot, &snapshot);
        let mut floor = Floor {
            rules: Rules { now: MonoTime(0), max_queue: 8 << 20, stall_timeout: Duration::from_secs(30) },
            sockets: &mut Sockets::new(0).unwrap().0,
            staging: &mut Staging::default(),
            stats: &Stats::default(),
            closing: &mut Vec::new(),
            over: &mut Vec::new(),
            troubled: &mut Vec::new(),
        };
        let mut empty = audio(0);
        empty.body = Vec::new().into();
        let tag = shared(empty);
        for step in 1..=20_000 {
            room.step(&mut floor, step, &Step::Tag(tag.clone(), MonoTime(0)));
            assert!((1..=MAX_PIECE / OVERHEAD).contains(&room.gathered.len()));
        }
    }
}
