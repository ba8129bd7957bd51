//! Players of one stream on one thread: which tag goes to whom, and what a slow player loses.
//!
//! A slow player loses whole groups of pictures, never parts: from the tag that passes its queue limit up to the
//! first keyframe after half of the queue is written (any frame, if the stream has no video or no keyframes).
//! Configuration that changed meanwhile is sent first. A queue that was only held back to be gathered is written before
//! anything is lost.
//! The common case, everything flows, is one comparison and one shared slice per player and tag.

use super::{
    cache::Headers,
    connection::Connection,
    hub::{MAX_KEYFRAME_WAIT, Snapshot, VIDEO_GONE_AFTER},
    port::{Slot, Step},
    registry::HubHandle,
    shared_tag::SharedTag,
    sockets::Sockets,
    stats::{Stats, Throttle},
};
use crate::{
    flv::{TagKind, TagRole},
    rtmp::{
        MessageStreamId, MonoTime, SendError,
        session::{CloseReason, Notice, Wanted},
    },
};
use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

/// What a thread has to do about a connection's playing.
pub(super) enum Action {
    /// Play this from its current GOP on, instead of anything else on that message stream.
    Join { stream: MessageStreamId, hub: HubHandle, wanted: Wanted },
    /// Stop playing.
    Leave { stream: MessageStreamId },
    /// Start over with the current GOP.
    Restart { stream: MessageStreamId },
    /// Pause, or go on with the next keyframe.
    Pause { stream: MessageStreamId, paused: bool },
    /// Send audio or not.
    ReceiveAudio { stream: MessageStreamId, wanted: bool },
    /// Send video or not; again from the next keyframe on.
    ReceiveVideo { stream: MessageStreamId, wanted: bool },
}

/// One stream on one thread, with its players.
pub(super) struct Room {
    pub(super) hub: HubHandle,
    pub(super) slot: Slot,
    pub(super) players: Vec<Player>,
    /// When what is queued must be written.
    pub(super) due: Option<MonoTime>,
    /// Up to here everything is covered; steps behind it are still in the channel.
    step: u64,
    epoch: u64,
    is_live: bool,
    /// As of the last step, which may be behind the hub.
    headers: Headers,
    /// Counts changes of the headers.
    version: u32,
    last_video: Option<MonoTime>,
    last_keyframe: Option<MonoTime>,
}

/// A message stream that plays.
pub(super) struct Player {
    /// Index of its connection.
    pub(super) index: usize,
    pub(super) stream: MessageStreamId,
    /// It has everything up to this step.
    since: u64,
    flow: Flow,
    wants_audio: bool,
    video: Video,
    /// Version of the headers that it has.
    version: u32,
    slow: Slow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Gets what comes.
    On,
    /// Gets nothing up to the next keyframe.
    Waiting,
    /// The same, and not before its queue is shorter.
    Behind,
    Paused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Video {
    On,
    AwaitsKeyframe,
    Off,
}

/// What a slow player has lost.
#[derive(Default)]
struct Slow {
    /// Tags since it fell behind.
    dropped: u64,
    /// Its queue has been too long since then.
    since: MonoTime,
    warnings: Throttle,
}

/// What the players of a room need from their thread.
pub(super) struct Floor<'a> {
    pub(super) rules: Rules,
    pub(super) sockets: &'a mut Sockets,
    pub(super) stats: &'a Stats,
    /// Connections to close, added to.
    pub(super) closing: &'a mut Vec<(usize, CloseReason)>,
}

/// What decides about slow players.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) now: MonoTime,
    /// Bytes that may wait per connection.
    pub(super) max_queue: usize,
    /// How long a player may stay behind.
    pub(super) stall_timeout: Duration,
}

impl Room {
    /// Without players.
    pub(super) fn new(now: MonoTime, hub: HubHandle, slot: Slot, snapshot: &Snapshot) -> Room {
        let mut room = Room {
            hub,
            slot,
            players: Vec::new(),
            due: None,
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

    /// Adds a player and sends it what a late joiner needs.
    pub(super) fn join(
        &mut self,
        floor: &mut Floor<'_>,
        index: usize,
        stream: MessageStreamId,
        wanted: Wanted,
        snapshot: &Snapshot,
    ) {
        let Some(connection) = floor.sockets.get_mut(index) else { return };
        let has_keyframes = is_recent(snapshot.last_keyframe, floor.rules.now, MAX_KEYFRAME_WAIT);
        let must_wait = snapshot.has_video && has_keyframes && snapshot.gop.is_empty() && wanted.video;
        let mut player = Player::new(index, stream, wanted, snapshot.step, self.version);
        if must_wait {
            player.flow = Flow::Waiting;
        }
        for tag in snapshot.headers.iter().chain(&snapshot.gop) {
            if !player.wants(tag.tag().kind) {
                continue;
            }
            if offer(connection, stream, tag, floor.rules.now) == Err(SendError::WouldExceed) {
                player.fall_behind(floor.rules.now);
                break;
            }
        }
        self.players.push(player);
    }

    /// Removes a player; returns what it wanted.
    pub(super) fn leave(&mut self, index: usize, stream: MessageStreamId) -> Option<Wanted> {
        let at = self.players.iter().position(|player| player.index == index && player.stream == stream)?;
        Some(self.players.swap_remove(at).wanted())
    }

    /// The next step of the stream.
    pub(super) fn step(&mut self, floor: &mut Floor<'_>, step: u64, what: &Step) {
        // Known from a snapshot already.
        if step <= self.step {
            return;
        }
        self.step = step;
        match what {
            Step::Tag(tag) => self.tag(floor, tag),
            Step::Started => {
                self.epoch += 1;
                self.set_live(floor, true);
            }
            Step::Ended => self.set_live(floor, false),
        }
    }

    /// The state after steps were skipped: players lose up to the next keyframe.
    pub(super) fn resync(&mut self, floor: &mut Floor<'_>, snapshot: &Snapshot) {
        self.step = snapshot.step;
        if self.is_live && (!snapshot.is_live || snapshot.epoch != self.epoch) {
            self.set_live(floor, false);
        }
        if snapshot.is_live && !self.is_live {
            self.set_live(floor, true);
        }
        self.adopt(floor.rules.now, snapshot);
        self.version += 1;
        for player in &mut self.players {
            // Not slow: its thread was.
            if player.since < snapshot.step && player.flow == Flow::On {
                player.flow = Flow::Waiting;
            }
        }
    }

    /// The player on that message stream of that connection.
    pub(super) fn player(&mut self, index: usize, stream: MessageStreamId) -> Option<&mut Player> {
        self.players.iter_mut().find(|player| player.index == index && player.stream == stream)
    }

    fn adopt(&mut self, now: MonoTime, snapshot: &Snapshot) {
        self.step = snapshot.step;
        self.epoch = snapshot.epoch;
        self.is_live = snapshot.is_live;
        self.headers = snapshot.headers.clone();
        self.last_video = snapshot.has_video.then_some(now);
        self.last_keyframe = snapshot.last_keyframe;
    }

    fn tag(&mut self, floor: &mut Floor<'_>, tag: &Arc<SharedTag>) {
        let rules = floor.rules;
        let is_configuration = tag.is_configuration();
        if is_configuration {
            self.headers.update(tag);
            self.version += 1;
        } else if tag.tag().kind == TagKind::Video && tag.is_frame() {
            self.last_video = Some(rules.now);
            if tag.role() == TagRole::Keyframe {
                self.last_keyframe = Some(rules.now);
            }
        }
        let media = Media {
            has_video: is_recent(self.last_video, rules.now, VIDEO_GONE_AFTER),
            has_keyframes: is_recent(self.last_keyframe, rules.now, MAX_KEYFRAME_WAIT),
        };
        for player in &mut self.players {
            if self.step <= player.since {
                continue;
            }
            let Some(connection) = floor.sockets.get_mut(player.index) else { continue };
            if !player.is_plain() {
                let admitted = player.admit(tag, connection.session.output_len(), media, rules);
                if admitted == Admission::Resume && player.version != self.version {
                    let mut headers = self.headers.iter();
                    if headers.any(|header| offer(connection, player.stream, header, rules.now).is_err()) {
                        player.fall_behind(floor.rules.now);
                        continue;
                    }
                    player.version = self.version;
                }
                match admitted {
                    Admission::No => continue,
                    Admission::Dropped => {
                        floor.stats.dropped_tags.add(1);
                        player.report(connection, &self.hub, rules);
                        continue;
                    }
                    Admission::TooSlow => {
                        floor.closing.push((player.index, CloseReason::TooSlow));
                        continue;
                    }
                    Admission::Yes => {}
                    Admission::Resume => player.resumed(connection, &self.hub),
                }
            }
            match offer(connection, player.stream, tag, rules.now) {
                Ok(()) if is_configuration => player.version = self.version,
                Ok(()) => {}
                Err(SendError::WouldExceed) => {
                    floor.stats.dropped_tags.add(1);
                    player.fall_behind(floor.rules.now);
                    player.report(connection, &self.hub, rules);
                }
                // It closes; its thread removes it in the same turn.
                Err(SendError::NotOpen) => {}
            }
        }
    }

    fn set_live(&mut self, floor: &mut Floor<'_>, is_live: bool) {
        self.is_live = is_live;
        self.headers = Headers::default();
        self.version += 1;
        self.last_video = None;
        self.last_keyframe = None;
        for player in &mut self.players {
            if self.step <= player.since {
                continue;
            }
            if player.flow == Flow::Waiting {
                player.flow = Flow::On;
            }
            let notice = if is_live { Notice::Published } else { Notice::Unpublished };
            let Some(connection) = floor.sockets.get_mut(player.index) else { continue };
            // A publisher that comes and goes must not fill the queue of a player that reads nothing.
            if connection.session.output_len() > floor.rules.max_queue {
                floor.closing.push((player.index, CloseReason::TooSlow));
            } else {
                connection.notify(player.stream, notice);
            }
        }
    }
}

/// Queues a tag. What waits is written first if there is no room: it may wait only to be gathered.
fn offer(
    connection: &mut Connection,
    stream: MessageStreamId,
    tag: &SharedTag,
    now: MonoTime,
) -> Result<(), SendError> {
    match connection.offer(stream, tag.encoded()) {
        Err(SendError::WouldExceed) => {
            connection.flush(now);
            connection.offer(stream, tag.encoded())
        }
        result => result,
    }
}

fn is_recent(at: Option<MonoTime>, now: MonoTime, span: Duration) -> bool {
    at.is_some_and(|at| now.since(at) < span)
}

/// What a stream has had lately.
#[derive(Clone, Copy)]
struct Media {
    has_video: bool,
    has_keyframes: bool,
}

/// Whether a tag goes to a player that does not simply get everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    No,
    Yes,
    /// Yes, and it is the first after a pause or a loss.
    Resume,
    /// No, because the player is slow.
    Dropped,
    /// It has been slow for too long.
    TooSlow,
}

impl Player {
    /// One that has everything up to the step `since` and the headers of `version`.
    fn new(index: usize, stream: MessageStreamId, wanted: Wanted, since: u64, version: u32) -> Player {
        Player {
            index,
            stream,
            since,
            flow: Flow::On,
            wants_audio: wanted.audio,
            video: if wanted.video { Video::On } else { Video::Off },
            version,
            slow: Slow::default(),
        }
    }

    pub(super) fn pause(&mut self, paused: bool) {
        match (paused, self.flow) {
            (true, _) => self.flow = Flow::Paused,
            (false, Flow::Paused) => self.flow = Flow::Waiting,
            (false, _) => {}
        }
    }

    pub(super) fn receive_audio(&mut self, wanted: bool) {
        self.wants_audio = wanted;
    }

    pub(super) fn receive_video(&mut self, wanted: bool) {
        self.video = match (wanted, self.video) {
            (false, _) => Video::Off,
            (true, Video::Off) => Video::AwaitsKeyframe,
            (true, current) => current,
        };
    }

    /// As receiveAudio and receiveVideo have it.
    fn wanted(&self) -> Wanted {
        Wanted { audio: self.wants_audio, video: self.video != Video::Off }
    }

    fn wants(&self, kind: TagKind) -> bool {
        match kind {
            TagKind::Audio => self.wants_audio,
            TagKind::Video => self.video != Video::Off,
            TagKind::Data => true,
        }
    }

    fn is_plain(&self) -> bool {
        self.flow == Flow::On && self.wants_audio && self.video == Video::On
    }

    /// What to do with a tag while `queued` bytes wait.
    fn admit(&mut self, tag: &SharedTag, queued: usize, media: Media, rules: Rules) -> Admission {
        let kind = tag.tag().kind;
        let is_keyframe = tag.role() == TagRole::Keyframe;
        if !self.wants(kind) {
            return Admission::No;
        }
        let expects_video = media.has_video && self.video != Video::Off;
        let is_start = match kind {
            TagKind::Video => is_keyframe || (tag.is_frame() && !media.has_keyframes),
            TagKind::Audio => tag.is_frame() && !expects_video,
            TagKind::Data => false,
        };
        let admission = match self.flow {
            Flow::Paused => return Admission::No,
            Flow::On => Admission::Yes,
            Flow::Waiting if is_start => Admission::Resume,
            Flow::Waiting => return Admission::No,
            Flow::Behind => {
                let is_short = queued <= rules.max_queue / 2;
                if is_short {
                    self.slow.since = rules.now;
                } else if rules.now.since(self.slow.since) >= rules.stall_timeout {
                    return Admission::TooSlow;
                }
                if !(is_short && is_start) {
                    return Admission::Dropped;
                }
                Admission::Resume
            }
        };
        if self.video == Video::AwaitsKeyframe {
            if tag.is_inter_frame() && media.has_keyframes {
                return Admission::No;
            }
            if tag.is_frame() && kind == TagKind::Video {
                self.video = Video::On;
            }
        }
        self.flow = Flow::On;
        admission
    }

    fn fall_behind(&mut self, now: MonoTime) {
        self.flow = Flow::Behind;
        self.slow.since = now;
    }

    /// Counts a lost tag and says so once a second.
    fn report(&mut self, connection: &Connection, hub: &HubHandle, rules: Rules) {
        self.slow.dropped += 1;
        let Some(count) = self.slow.warnings.count(rules.now, 1) else { return };
        log::warn!(
            "{} {} is too slow for {}: {count} tags dropped, {} bytes wait (--max-queue {})",
            connection.id(),
            connection.peer,
            hub.path(),
            connection.session.output_len(),
            rules.max_queue,
        );
    }

    fn resumed(&mut self, connection: &Connection, hub: &HubHandle) {
        let dropped = core::mem::take(&mut self.slow.dropped);
        if dropped > 0 {
            log::info!("{} goes on with {} after {dropped} dropped tags", connection.id(), hub.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::{audio, inter_frame, keyframe, shared};

    const RULES: Rules = Rules { now: MonoTime(0), max_queue: 1000, stall_timeout: Duration::from_secs(30) };
    const VIDEO: Media = Media { has_video: true, has_keyframes: true };

    fn player(flow: Flow) -> Player {
        let mut player = Player::new(0, MessageStreamId(1), Wanted::default(), 0, 0);
        player.flow = flow;
        player
    }

    /// What becomes of an audio tag, an inter frame and a keyframe, each for a player in the same state.
    fn admitted(flow: Flow, queued: usize, media: Media) -> Vec<Admission> {
        let tags = [audio(0), inter_frame(0), keyframe(0)];
        let admit = |tag| player(flow).admit(&shared(tag), queued, media, RULES);
        tags.into_iter().map(admit).collect()
    }

    #[test]
    fn what_a_player_gets_depends_on_where_it_is_and_what_the_stream_has() {
        use Admission::{Dropped, No, Resume, Yes};
        let no_keyframes = Media { has_keyframes: false, ..VIDEO };
        let sound = Media { has_video: false, has_keyframes: false };
        for (flow, queued, media, expected) in [
            (Flow::On, 2000, VIDEO, [Yes, Yes, Yes]),
            (Flow::Paused, 0, VIDEO, [No, No, No]),
            (Flow::Waiting, 2000, VIDEO, [No, No, Resume]),
            (Flow::Waiting, 0, no_keyframes, [No, Resume, Resume]),
            (Flow::Waiting, 0, sound, [Resume, Resume, Resume]),
            (Flow::Behind, 500, VIDEO, [Dropped, Dropped, Resume]),
            (Flow::Behind, 501, VIDEO, [Dropped, Dropped, Dropped]),
            (Flow::Behind, 500, no_keyframes, [Dropped, Resume, Resume]),
            (Flow::Behind, 501, no_keyframes, [Dropped, Dropped, Dropped]),
            (Flow::Behind, 500, sound, [Resume, Resume, Resume]),
        ] {
            assert_eq!(admitted(flow, queued, media), expected, "{flow:?}, {queued} bytes");
        }
    }

    #[test]
    fn video_that_is_wanted_again_starts_with_a_keyframe_if_there_are_any() {
        for (has_keyframes, expected) in [(true, Admission::No), (false, Admission::Yes)] {
            let mut player = player(Flow::On);
            player.receive_video(false);
            player.receive_video(true);
            let media = Media { has_keyframes, ..VIDEO };
            assert_eq!(player.admit(&shared(inter_frame(0)), 0, media, RULES), expected);
            assert_eq!(player.admit(&shared(keyframe(40)), 0, media, RULES), Admission::Yes);
            assert_eq!(player.admit(&shared(inter_frame(80)), 0, media, RULES), Admission::Yes);
        }
    }

    #[test]
    fn who_stays_behind_is_too_slow_and_who_catches_up_in_between_is_not() {
        let at = |seconds: u64| Rules { now: MonoTime(seconds * 1000), ..RULES };
        let frame = shared(inter_frame(0));
        let mut slow = player(Flow::On);
        slow.fall_behind(MonoTime(0));
        let admissions = [(29, 501), (29, 500), (58, 501), (59, 501)]
            .map(|(seconds, queued)| slow.admit(&frame, queued, VIDEO, at(seconds)));
        let dropped = Admission::Dropped;
        assert_eq!(admissions, [dropped, dropped, dropped, Admission::TooSlow]);
    }
}
