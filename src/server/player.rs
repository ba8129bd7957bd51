//! One player of a room: what it wants, and what it loses when it is slow.
//!
//! A slow player loses whole groups of pictures, never parts: from the tag that passes its queue limit up to the
//! first keyframe after half of the queue is written (any frame, if the stream has no video or no keyframes).
//! Configuration that changed meanwhile is sent first.

use super::{
    connection::Connection,
    path::StreamPath,
    registry::HubHandle,
    report::{ConnectionFacts, State},
    shared_tag::{Form, SharedTag},
    stats::Throttle,
    vod::Ask,
};
use crate::{
    base::{MonoTime, Timestamp},
    flv::{TagKind, TagRole},
    http,
    rtmp::{
        MessageStreamId,
        session::{RequestId, Sent, Wanted},
    },
    rtsp,
};
use alloc::boxed::Box;
use core::time::Duration;

/// What a thread has to do about a connection's playing.
pub(super) enum Action {
    /// Play this from its current GOP on, instead of anything else on that message stream.
    Join { stream: MessageStreamId, hub: HubHandle, terms: Terms },
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
    /// Send so far ahead; live is sent as it comes.
    Buffer { stream: MessageStreamId, length: Duration },
    /// A decision about a file, which only a thread of its own may wait for: nothing behind it is read before.
    Ask { request: RequestId, ask: Ask },
    /// The same of a client of HTTP, which wants a file as it is.
    Fetch { id: http::RequestId, request: Box<http::Request> },
    /// The same of a client of RTSP: the request that has to wait until the file is open.
    Open { request: rtsp::RequestId, event: Box<rtsp::Event>, path: StreamPath },
}

/// What a client asked for of a live stream. Goes with its connection when that moves to another thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    pub(super) wanted: Wanted,
    pub(super) is_paused: bool,
    /// `None`: as long as it lasts.
    pub(super) stretch: Option<Stretch>,
}

impl Terms {
    /// As `play` says it. Of a live stream no single frame can be asked for (duration 0).
    pub(super) fn new(wanted: Wanted, duration: Option<u32>) -> Terms {
        let stretch = duration.filter(|duration| *duration > 0).map(Stretch::of);
        Terms { wanted, is_paused: false, stretch }
    }
}

/// How much of a stream a client asked for, in stream time from the first frame that it gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// Milliseconds.
    left: u32,
    sent: Sent,
    /// The newest frame; `None` before the first, and when another publisher begins anew.
    last: Option<Timestamp>,
}

impl Stretch {
    fn of(duration: u32) -> Stretch {
        Stretch { left: duration, sent: Sent { duration: 0, bytes: 0 }, last: None }
    }

    /// A frame of that time comes. False if it lies behind the end.
    fn pass(&mut self, time: Timestamp) -> bool {
        let Some(last) = self.last else { return true };
        let step = time.wrapping_sub(last);
        // Sound and pictures are not in one order.
        if step > u32::MAX / 2 {
            return true;
        }
        if step >= self.left {
            return false;
        }
        self.left -= step;
        self.sent.duration += step;
        self.last = Some(time);
        true
    }

    fn note(&mut self, tag: &SharedTag) {
        self.sent.bytes += tag.tag().body.len() as u64;
        if tag.is_frame() {
            self.last.get_or_insert(tag.tag().timestamp);
        }
    }
}

impl Action {
    /// The message stream that it is about; `None` for a decision.
    pub(super) fn stream(&self) -> Option<MessageStreamId> {
        match self {
            Action::Join { stream, .. }
            | Action::Leave { stream }
            | Action::Restart { stream }
            | Action::Pause { stream, .. }
            | Action::ReceiveAudio { stream, .. }
            | Action::ReceiveVideo { stream, .. }
            | Action::Buffer { stream, .. } => Some(*stream),
            Action::Ask { .. } | Action::Fetch { .. } | Action::Open { .. } => None,
        }
    }

    /// Whether only a thread that may wait for the disk can do it.
    pub(super) fn needs_file(&self) -> bool {
        matches!(self, Action::Ask { .. } | Action::Fetch { .. } | Action::Open { .. })
    }
}

/// A message stream that plays.
pub(super) struct Player {
    /// Index of its connection.
    pub(super) index: usize,
    pub(super) stream: MessageStreamId,
    /// How it gets tags.
    pub(super) form: Form,
    /// It has everything up to this step.
    pub(super) since: u64,
    flow: Flow,
    audio: Audio,
    video: Video,
    /// Version of the headers that it has, those left out that it does not want.
    pub(super) version: u32,
    slow: Slow,
    stretch: Option<Stretch>,
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
enum Audio {
    On,
    /// Wanted again: its headers come with the next frame.
    Returns,
    Off,
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
    /// Tags since it plays.
    dropped_ever: u64,
    /// When it fell behind the last time.
    fell_behind: MonoTime,
    /// Its queue has been too long since then.
    since: MonoTime,
    warnings: Throttle,
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

/// What a stream has had lately.
#[derive(Clone, Copy)]
pub(super) struct Media {
    pub(super) has_video: bool,
    pub(super) has_keyframes: bool,
}

/// Whether a tag goes to a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    No,
    Yes,
    /// Yes, and it is the first after a pause or a loss, or of a kind that was not wanted.
    Resume,
    /// No, because the player is slow.
    Dropped,
    /// It has been slow for too long.
    TooSlow,
    /// No, because it has had as much as it asked for.
    Over(Sent),
}

impl Player {
    /// One that has everything up to the step `since` and the headers of `version`.
    pub(super) fn new(
        (index, stream, form): (usize, MessageStreamId, Form),
        terms: Terms,
        since: u64,
        version: u32,
    ) -> Player {
        let Terms { wanted, is_paused, stretch } = terms;
        Player {
            index,
            stream,
            form,
            since,
            flow: if is_paused { Flow::Paused } else { Flow::On },
            audio: if wanted.audio { Audio::On } else { Audio::Off },
            video: if wanted.video { Video::On } else { Video::Off },
            version,
            slow: Slow::default(),
            stretch,
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
        match (wanted, self.audio) {
            (false, _) => self.audio = Audio::Off,
            (true, Audio::Off) => {
                self.audio = Audio::Returns;
                self.lacks_headers();
            }
            (true, _) => {}
        }
    }

    pub(super) fn receive_video(&mut self, wanted: bool) {
        match (wanted, self.video) {
            (false, _) => self.video = Video::Off,
            (true, Video::Off) => {
                self.video = Video::AwaitsKeyframe;
                self.lacks_headers();
            }
            (true, _) => {}
        }
    }

    /// It gets all headers before it goes on, whether they change or not.
    pub(super) fn lacks_headers(&mut self) {
        self.version = self.version.wrapping_sub(1);
    }

    /// Whatever comes next is of no use before a keyframe, for no fault of the player.
    pub(super) fn await_keyframe(&mut self) {
        if self.flow == Flow::On {
            self.flow = Flow::Waiting;
        }
    }

    /// A stream starts or ends: there is no keyframe to wait for any more.
    pub(super) fn start_over(&mut self) {
        if self.flow == Flow::Waiting {
            self.flow = Flow::On;
        }
        if let Some(stretch) = &mut self.stretch {
            stretch.last = None;
        }
    }

    /// As its client has it by now.
    pub(super) fn terms(&self) -> Terms {
        Terms {
            wanted: Wanted { audio: self.audio != Audio::Off, video: self.video != Video::Off },
            is_paused: self.flow == Flow::Paused,
            stretch: self.stretch,
        }
    }

    /// What it has had, if a tag that comes lies behind the end of what it asked for. Also of kinds that it does not want, and
    /// while it is paused: the stream goes on.
    pub(super) fn is_over(&mut self, tag: &SharedTag) -> Option<Sent> {
        let stretch = self.stretch.as_mut().filter(|_| tag.is_frame())?;
        (!stretch.pass(tag.tag().timestamp)).then_some(stretch.sent)
    }

    /// A tag was queued for it.
    pub(super) fn note_sent(&mut self, tag: &SharedTag) {
        if let Some(stretch) = &mut self.stretch {
            stretch.note(tag);
        }
    }

    pub(super) fn wants(&self, kind: TagKind) -> bool {
        match kind {
            TagKind::Audio => self.audio != Audio::Off,
            TagKind::Video => self.video != Video::Off,
            TagKind::Data => true,
        }
    }

    /// Whether it gets everything from that step on, as long as there is room for it.
    pub(super) fn takes_all_from(&self, step: u64) -> bool {
        self.since < step
            && self.flow == Flow::On
            && self.audio == Audio::On
            && self.video == Video::On
            && self.stretch.is_none()
    }

    /// What to do with a tag while `queued` bytes wait.
    pub(super) fn admit(&mut self, tag: &SharedTag, queued: usize, media: Media, rules: Rules) -> Admission {
        let kind = tag.tag().kind;
        let is_keyframe = tag.role() == TagRole::Keyframe;
        if let Some(sent) = self.is_over(tag) {
            return Admission::Over(sent);
        }
        if !self.wants(kind) {
            return Admission::No;
        }
        let expects_video = media.has_video && self.video != Video::Off;
        let is_start = match kind {
            TagKind::Video => is_keyframe || (tag.is_frame() && !media.has_keyframes),
            TagKind::Audio => tag.is_frame() && !expects_video,
            TagKind::Data => false,
        };
        let mut admission = match self.flow {
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
                admission = Admission::Resume;
            }
        }
        if self.audio == Audio::Returns && tag.is_frame() && kind == TagKind::Audio {
            self.audio = Audio::On;
            admission = Admission::Resume;
        }
        self.flow = Flow::On;
        admission
    }

    pub(super) fn fall_behind(&mut self, now: MonoTime) {
        self.flow = Flow::Behind;
        self.slow.since = now;
        self.slow.fell_behind = now;
    }

    /// Adds what there is to tell about it. `bits`: how much of the stream comes in a second.
    pub(super) fn describe(&self, now: MonoTime, bits: Option<f64>, facts: &mut ConnectionFacts) {
        facts.dropped = self.slow.dropped_ever;
        facts.state = match self.flow {
            Flow::On => State::Active,
            Flow::Paused => State::Paused,
            Flow::Waiting => State::Waiting,
            Flow::Behind => State::Behind,
        };
        let waiting = match (facts.queued, bits.filter(|bits| *bits > 0.0)) {
            (0, _) => Some(0),
            (queued, Some(bits)) => Some((queued as f64 * 8000.0 / bits) as u64),
            _ => None,
        };
        facts.delay = match self.flow {
            Flow::On => waiting,
            // Nothing was added since.
            Flow::Behind => waiting.map(|delay| delay + now.since(self.slow.fell_behind).as_millis() as u64),
            Flow::Paused | Flow::Waiting => None,
        };
    }

    /// Counts a lost tag and says so once a second.
    pub(super) fn report(&mut self, connection: &Connection, hub: &HubHandle, rules: Rules) {
        self.slow.dropped += 1;
        self.slow.dropped_ever += 1;
        let Some(count) = self.slow.warnings.count(rules.now, 1) else { return };
        log::warn!(
            "{} {} is too slow for {}: {count} tags dropped, {} bytes wait (--max-queue {})",
            connection.id(),
            connection.peer,
            hub.path(),
            connection.queued(),
            rules.max_queue,
        );
    }

    pub(super) fn resumed(&mut self, connection: &Connection, hub: &HubHandle) {
        let dropped = core::mem::take(&mut self.slow.dropped);
        if dropped > 0 {
            log::info!("{} goes on with {} after {dropped} dropped tags", connection.id(), hub.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::{audio, audio_header, inter_frame, keyframe, shared};
    use alloc::vec::Vec;

    const RULES: Rules = Rules { now: MonoTime(0), max_queue: 1000, stall_timeout: Duration::from_secs(30) };
    const VIDEO: Media = Media { has_video: true, has_keyframes: true };

    fn player(flow: Flow) -> Player {
        let mut player = Player::new((0, MessageStreamId(1), Form::Rtmp), Terms::default(), 0, 0);
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
        for (has_keyframes, expected) in [(true, Admission::No), (false, Admission::Resume)] {
            let mut player = player(Flow::On);
            player.receive_video(false);
            player.receive_video(true);
            let media = Media { has_keyframes, ..VIDEO };
            assert_eq!(player.admit(&shared(inter_frame(0)), 0, media, RULES), expected);
            let first = if has_keyframes { Admission::Resume } else { Admission::Yes };
            assert_eq!(player.admit(&shared(keyframe(40)), 0, media, RULES), first);
            assert_eq!(player.admit(&shared(inter_frame(80)), 0, media, RULES), Admission::Yes);
        }
    }

    #[test]
    fn sound_that_is_wanted_again_starts_with_its_headers() {
        let mut player = player(Flow::On);
        player.receive_audio(false);
        assert_eq!(player.admit(&shared(audio(0)), 0, VIDEO, RULES), Admission::No);
        player.receive_audio(true);
        assert!(!player.takes_all_from(1) && player.version != 0);
        let admissions = [inter_frame(10), audio_header(20), audio(20), audio(40)]
            .map(|tag| player.admit(&shared(tag), 0, VIDEO, RULES));
        assert_eq!(admissions, [Admission::Yes, Admission::Yes, Admission::Resume, Admission::Yes]);
        assert!(player.takes_all_from(1));
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
