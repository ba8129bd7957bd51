//! Players of one stream on one thread: what they get, in which order, and when it is written.
//!
//! Tags are gathered until the first of them has waited as long as `merge` lets it. Then all of them are chunked as one
//! piece, which every player gets that simply takes everything: one comparison, one shared slice and one write per
//! player. Players that are paused, behind, or without audio or video are asked tag by tag (`player`).
//! Bounds: [`MAX_PIECE`] gathered bytes, or one tag; a piece never takes a queue past its limit.

use super::{
    cache::Headers,
    connection::{AfterMedia, Connection},
    hub::{MAX_KEYFRAME_WAIT, Snapshot, VIDEO_GONE_AFTER},
    player::{Admission, Media, Player, Rules, Terms},
    port::{Slot, Step},
    registry::HubHandle,
    report::{Facts, State},
    rtsp::line::Reports,
    shared_tag::{Form, Piece, SharedTag},
    sockets::Sockets,
    staging::{Staged, Staging},
    stats::Stats,
};
use crate::{
    base::MonoTime,
    flv::{Change, TagKind, TagRole},
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
    /// For players over RTSP.
    reports: Reports,
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
    /// Does away with a player whose stream is over.
    fn see_off(&mut self, after: AfterMedia, player: &Player) {
        match after {
            AfterMedia::Wait => {}
            AfterMedia::Leave => {
                self.over.push((player.index, player.stream, Sent { duration: 0, bytes: 0 }))
            }
            AfterMedia::Close => self.closing.push((player.index, CloseReason::Done)),
        }
    }

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
            reports: Reports::default(),
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
        if let Form::Rtp(_) = player.form {
            if let Some(newest) = snapshot.gop.iter().rev().find_map(|tag| tag.numbered()) {
                self.reports.note(newest);
            }
            let first = snapshot.gop.iter().find_map(|tag| Some((tag.numbered()?, tag.tag())));
            connection.begin_rtp(floor.rules.now, first);
        }
        if terms.is_paused {
            player.lacks_headers();
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
            if offer(connection, stream, player.form, tag, floor.rules.now) == Err(SendError::WouldExceed) {
                player.fall_behind(floor.rules.now);
                if tag.is_configuration() {
                    player.lacks_headers();
                }
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
        let before = self.version;
        if !say_the_same(&self.headers, &snapshot.headers) {
            self.version = self.version.wrapping_add(1);
        }
        self.adopt(floor.rules.now, snapshot);
        for player in &mut self.players {
            if player.since < snapshot.step {
                // Not slow: its thread was.
                player.await_keyframe();
            } else if player.version == before {
                // It joined with the same state.
                player.version = self.version;
            }
        }
    }

    /// Hands out what was gathered, and writes.
    pub(super) fn write(&mut self, floor: &mut Floor<'_>) {
        self.due = None;
        self.gathered_bytes = 0;
        let gathered = core::mem::take(&mut self.gathered);
        self.report(floor, &gathered);
        let others = self.hand_out_whole(floor, &gathered);
        for Gathered { step, tag } in &gathered {
            let before = self.version;
            self.note(floor.rules.now, tag);
            for &at in &others {
                self.hand_out(floor, at, *step, tag, before);
            }
        }
        for at in others {
            floor.flush(self.players[at].index);
        }
        self.gathered = gathered;
        self.gathered.clear();
        self.first = self.first.wrapping_add(1);
    }

    /// Tells players over RTSP what time it is in the stream, and sends them away if it is another stream from here on.
    fn report(&mut self, floor: &mut Floor<'_>, gathered: &[Gathered]) {
        let is_rtp = |player: &&Player| matches!(player.form, Form::Rtp(_));
        if !self.players.iter().any(|player| is_rtp(&player)) {
            return;
        }
        let now = floor.rules.now;
        if let Some(newest) = gathered.iter().rev().find_map(|gathered| gathered.tag.numbered()) {
            self.reports.note(newest);
        }
        let unnumbered = |gathered: &&Gathered| gathered.tag.is_frame() && gathered.tag.numbered().is_none();
        if let Some(Gathered { step, .. }) = gathered.iter().find(unnumbered) {
            for player in self.players.iter().filter(is_rtp).filter(|player| player.since < *step) {
                let Some(connection) = floor.sockets.get_mut(player.index) else { continue };
                let after = connection.end_media(now, self.reports.sender());
                floor.see_off(after, player);
            }
        }
        let Some(sender) = self.reports.due(now) else { return };
        for player in self.players.iter().filter(is_rtp) {
            if let Some(connection) = floor.sockets.get_mut(player.index) {
                connection.report_rtp(sender);
            }
        }
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
        let version = self.version_after(gathered);
        others.extend(order.clone().filter(|&at| !takes_all(&self.players[at])));
        let mut forms: Vec<Form> = Vec::new();
        for player in self.players.iter().filter(|player| takes_all(player)) {
            if !forms.contains(&player.form) {
                forms.push(player.form);
            }
        }
        for form in forms {
            let takes = |player: &Player| player.form == form && takes_all(player);
            let takers = self.players.iter().filter(|player| takes(player)).count();
            let tags = gathered.iter().map(|gathered| &*gathered.tag);
            // Whoever knows another stream by RTP has been sent away.
            let Some(piece) = Piece::of(form, tags) else { continue };
            let staged = floor.staging.stage(piece.bytes(), takers);
            for at in order.clone() {
                let player = &mut self.players[at];
                if !takes(player) {
                    continue;
                }
                let Some(connection) = floor.sockets.get_mut(player.index) else { continue };
                if connection.offer(player.stream, &piece).is_err() {
                    others.push(at);
                    continue;
                }
                if let Form::Rtp(_) = form {
                    gathered
                        .iter()
                        .for_each(|gathered| connection.report_first(floor.rules.now, &gathered.tag));
                }
                // Whoever takes everything lacks nothing.
                if version != self.version {
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

    /// Offers one tag to one player. `before`: the version of the headers without it.
    fn hand_out(&mut self, floor: &mut Floor<'_>, at: usize, step: u64, tag: &Arc<SharedTag>, before: u32) {
        let rules = floor.rules;
        let player = &mut self.players[at];
        let Some(connection) = floor.sockets.get_mut(player.index) else { return };
        let was_current = player.version == before;
        let has_it = step <= player.since;
        if was_current && (has_it || !player.wants(tag.tag().kind)) {
            player.version = self.version;
        }
        if has_it {
            return;
        }
        let media = Media {
            has_video: is_recent(self.last_video, rules.now, VIDEO_GONE_AFTER),
            has_keyframes: is_recent(self.last_keyframe, rules.now, MAX_KEYFRAME_WAIT),
        };
        let admitted = player.admit(tag, connection.queued(), media, rules);
        if admitted == Admission::Resume && player.version != self.version {
            let headers = self.headers.at(tag.tag().timestamp);
            let mut wanted = headers.iter().filter(|header| player.wants(header.tag().kind));
            if wanted.any(|header| offer(connection, player.stream, player.form, header, rules.now).is_err())
            {
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
        match offer(connection, player.stream, player.form, tag, rules.now) {
            Ok(()) => {
                player.note_sent(tag);
                if was_current {
                    player.version = self.version;
                }
            }
            Err(SendError::WouldExceed) => {
                floor.stats.dropped_tags.add(1);
                self.hub.note_dropped(1);
                player.fall_behind(rules.now);
                player.report(connection, &self.hub, rules);
            }
            // It closes: whoever closed it has released its streams, or is about to (`closing`), which removes it.
            Err(SendError::NotOpen) => {}
        }
    }

    /// Remembers what the stream has.
    fn note(&mut self, now: MonoTime, tag: &Arc<SharedTag>) {
        if tag.is_configuration() {
            if changes(&mut self.headers, tag) {
                self.version = self.version.wrapping_add(1);
            }
        } else if tag.tag().kind == TagKind::Video && tag.is_frame() {
            self.last_video = Some(now);
            if tag.role() == TagRole::Keyframe {
                self.last_keyframe = Some(now);
            }
        }
    }

    /// What the version of the headers will be behind those tags.
    fn version_after(&self, gathered: &[Gathered]) -> u32 {
        let mut tags = gathered.iter().map(|gathered| &gathered.tag).filter(|tag| tag.is_configuration());
        let Some(first) = tags.next() else { return self.version };
        let mut headers = self.headers.clone();
        let count = core::iter::once(first).chain(tags).filter(|tag| changes(&mut headers, tag)).count();
        self.version.wrapping_add(count as u32)
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
        let before = self.version;
        self.version = self.version.wrapping_add(1);
        self.last_video = None;
        self.last_keyframe = None;
        for player in &mut self.players {
            let has_it = self.step <= player.since;
            // There is nothing to lack any more, unless it has joined with what comes later.
            if !has_it || player.version == before {
                player.version = self.version;
            }
            if has_it {
                continue;
            }
            player.start_over();
            let notice = if is_live { Notice::Published } else { Notice::Unpublished };
            let Some(connection) = floor.sockets.get_mut(player.index) else { continue };
            // A publisher that comes and goes must not fill the queue of a player that reads nothing.
            if connection.queued() > floor.rules.max_queue {
                floor.closing.push((player.index, CloseReason::TooSlow));
            } else {
                connection.notify(player.stream, notice);
                // At once, so that nothing of the next publisher comes behind it.
                let sender = self.reports.sender();
                if !is_live {
                    let after = connection.end_media(floor.rules.now, sender);
                    floor.see_off(after, player);
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
    form: Form,
    tag: &SharedTag,
    now: MonoTime,
) -> Result<(), SendError> {
    if matches!(form, Form::Rtp(_)) && !tag.is_frame() {
        // What it says comes with each keyframe.
        return Ok(());
    }
    let Some(piece) = tag.piece(form) else { return Err(SendError::NotOpen) };
    match connection.offer(stream, &piece) {
        Err(SendError::WouldExceed) => {
            connection.flush(now);
            connection.offer(stream, &piece)
        }
        result => result,
    }?;
    connection.report_first(now, tag);
    Ok(())
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

/// Keeps a tag of configuration; whether it says something new.
fn changes(headers: &mut Headers, tag: &Arc<SharedTag>) -> bool {
    matches!(headers.update(tag), Change::Changed | Change::NewSequence)
}

/// At whatever times.
fn say_the_same(one: &Headers, other: &Headers) -> bool {
    let said = |headers: &Headers| -> Vec<_> {
        headers.iter().map(|tag| (tag.tag().kind, tag.tag().body.clone())).collect()
    };
    said(one) == said(other)
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
        testing::{audio, feed_port, metadata, shared, video_header},
    };

    const NOW: MonoTime = MonoTime(0);

    /// What a room needs, without any connection.
    fn with_floor(act: impl FnOnce(&mut Floor<'_>)) {
        act(&mut Floor {
            rules: Rules { now: NOW, max_queue: 8 << 20, stall_timeout: Duration::from_secs(30) },
            sockets: &mut Sockets::new(0).unwrap().0,
            staging: &mut Staging::default(),
            stats: &Stats::default(),
            closing: &mut Vec::new(),
            over: &mut Vec::new(),
            troubled: &mut Vec::new(),
        });
    }

    fn room() -> (Room, Snapshot) {
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
        let snapshot = hub.join(NOW, &port, slot);
        (Room::new(NOW, hub, slot, &snapshot), snapshot)
    }

    #[test]
    fn a_flood_of_empty_tags_is_not_gathered_without_end() {
        let (mut room, _) = room();
        let mut empty = audio(0);
        empty.body = Vec::new().into();
        let tag = shared(empty);
        with_floor(|floor| {
            for step in 1..=20_000 {
                room.step(floor, step, &Step::Tag(tag.clone(), NOW));
                assert!((1..=MAX_PIECE / OVERHEAD).contains(&room.gathered.len()));
            }
        });
    }

    /// However they came, and whatever was missed in between.
    #[test]
    fn headers_that_are_repeated_are_no_other_version() {
        let (mut room, mut snapshot) = room();
        let mut version = room.version;
        let tags = [
            (metadata(0, 1), 1),
            (video_header(0, 1), 1),
            (metadata(900, 1), 0),
            (video_header(901, 1), 0),
            (video_header(902, 2), 1),
        ];
        with_floor(|floor| {
            for (step, (tag, change)) in (1..).zip(tags) {
                let tag = shared(tag);
                snapshot.headers.update(&tag);
                room.step(floor, step, &Step::Tag(tag, NOW));
                version += change;
                assert_eq!(room.version_after(&room.gathered), version, "{step}");
                room.write(floor);
                assert_eq!(room.version, version, "{step}");
            }
            snapshot.step = 90;
            snapshot.headers = snapshot.headers.at(crate::base::Timestamp(9000));
            room.resync(floor, &snapshot);
            assert_eq!(room.version, version);
            snapshot.headers.update(&shared(video_header(9001, 3)));
            room.resync(floor, &snapshot);
            assert_eq!(room.version, version + 1);
        });
    }
}
