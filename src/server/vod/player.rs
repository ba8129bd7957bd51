//! One message stream that plays a file: which tag is sent when.
//!
//! In: a reader, the time, what the client asks for. Out: tags on the session. Not here: finding files, answering requests,
//! sockets.
//!
//! Pacing: what the client's buffer holds is sent at once, then real time follows in bursts, so that a thread wakes a few
//! times a second. Times in the file decide, not what was sent: who was slow for a while catches up.
//! Bounds: [`QUEUE`] bytes wait in the session, [`MAX_PLAYLIST`] entries; [`MIN_BUFFER`] to [`MAX_BUFFER`].
//!
//! Field notes: rtmpdump asks for ten hours of buffer; an unpause tells what the client has shown or read, which lies before
//! what was sent, and is no reason to send that again; librtmp adds the start that it asked for to all times, and looks
//! for the frame it resumes from at time 0, so a play begins at 0 wherever it starts in the file.

use super::{
    super::path::StreamPath,
    Entry,
    film::{Clock, Film},
};
use crate::{
    base::{MonoTime, Timestamp},
    flv::{Tag, TagKind, TagRole},
    media::{MediaReader, metadata},
    rtmp::{
        MessageStreamId, Session,
        session::{PlayStart, Sent, Wanted},
    },
};
use alloc::{boxed::Box, collections::VecDeque};
use core::time::Duration;
use std::path::PathBuf;

/// How far ahead a client gets media that says nothing about its buffer.
const DEFAULT_BUFFER: Duration = Duration::from_secs(1);
/// The least: less would run empty between two bursts.
const MIN_BUFFER: Duration = Duration::from_millis(500);
/// The most: who leaves early should not have been sent all of a film.
const MAX_BUFFER: Duration = Duration::from_secs(60);
/// Entries of a playlist that wait.
pub(super) const MAX_PLAYLIST: usize = 256;
/// Bytes that may wait in a session before the next tag. Little, so that a seek is felt at once.
const QUEUE: usize = 256 << 10;
/// Longest burst; with small buffers a quarter of them.
const MAX_BURST: Duration = Duration::from_millis(500);
/// Nothing in the file for longer than this is said.
const DRY: Duration = Duration::from_secs(5);
/// Milliseconds around what the client has in which an unpause goes on without a seek.
const SLACK: u32 = 1000;

/// A recording that is being written.
#[derive(Clone, Debug)]
pub(super) struct Growing {
    /// Which stream's.
    pub(super) path: StreamPath,
    pub(super) file: PathBuf,
    /// Since when nothing has been recorded although the stream goes on.
    pub(super) missed: Option<MonoTime>,
}

/// See the module.
pub(super) struct FilePlayer {
    pub(super) stream: MessageStreamId,
    /// What follows.
    pub(super) playlist: VecDeque<Entry>,
    /// The file is a recording that goes on.
    pub(super) growing: Option<Growing>,
    /// What is played.
    entry: Entry,
    film: Film,
    wants_audio: bool,
    video: Video,
    buffer: Duration,
    flow: Flow,
    clock: Clock,
    /// Go there before anything else.
    target: Option<u32>,
    /// The time in the file that is sent as 0: where a play began, nothing behind a seek.
    base: u32,
    /// The next place to go to becomes `base`.
    is_beginning: bool,
    /// Sent before what the reader gives.
    ahead: VecDeque<Tag>,
    next: Option<Tag>,
    /// Of the newest frame that was sent, or passed over because the client does not want it.
    position: u32,
    limit: Limit,
    /// What comes next lies behind it.
    is_at_limit: bool,
    /// Where the client asked to begin.
    start: u32,
    sent: u64,
    is_dry: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Paused,
    /// All is sent.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Video {
    On,
    AwaitsKeyframe,
    Off,
}

/// Where to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    None,
    /// Before frames of this time.
    At(u32),
    /// Behind one frame.
    OneFrame,
    /// That was it.
    Reached,
}

/// What became of a try to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Pumped {
    /// Nothing to send before this time.
    Until(MonoTime),
    /// Enough waits in the session.
    Full,
    /// Nothing to send before the client asks for something.
    Idle,
    /// Nothing to send for a long while, of which the client should hear.
    Dry,
    /// The entry is sent to its end.
    Ended,
}

impl FilePlayer {
    /// What is played.
    pub(super) fn path(&self) -> &StreamPath {
        &self.entry.path
    }

    /// A player of an entry from its start on.
    pub(super) fn new(
        now: MonoTime,
        entry: &Entry,
        reader: Box<dyn MediaReader + Send>,
        buffer: Option<Duration>,
    ) -> FilePlayer {
        let mut player = FilePlayer {
            stream: entry.stream,
            playlist: VecDeque::new(),
            growing: None,
            entry: entry.clone(),
            film: Film::new(reader, &entry.path),
            wants_audio: entry.wanted.audio,
            video: if entry.wanted.video { Video::On } else { Video::Off },
            buffer: DEFAULT_BUFFER,
            flow: Flow::On,
            clock: Clock::default(),
            target: None,
            base: 0,
            is_beginning: false,
            ahead: VecDeque::new(),
            next: None,
            position: 0,
            limit: Limit::None,
            is_at_limit: false,
            start: 0,
            sent: 0,
            is_dry: false,
        };
        player.set_buffer(buffer.unwrap_or(DEFAULT_BUFFER));
        player.begin(now, entry);
        player
    }

    fn begin(&mut self, now: MonoTime, entry: &Entry) {
        let start = if let PlayStart::At(start) = entry.start { start } else { 0 };
        self.entry = entry.clone();
        self.growing = None;
        self.start = start;
        self.limit = match entry.duration {
            None => Limit::None,
            Some(0) => Limit::OneFrame,
            Some(duration) => Limit::At(start.saturating_add(duration)),
        };
        self.is_at_limit = false;
        self.flow = Flow::On;
        self.clock = Clock::at(now, start);
        self.ahead.clear();
        self.ahead.push_back(metadata::tag(self.film.info(), Timestamp(0)));
        // It stands at its start, where audio may come before the first keyframe.
        self.target = Some(start).filter(|start| *start > 0);
        (self.base, self.is_beginning) = (0, true);
        if start == 0 {
            self.ahead.extend(self.film.headers());
        }
        self.next = None;
        self.position = start;
        self.sent = 0;
        self.is_dry = false;
    }

    /// The next entry, whose media is due when that of this one is over.
    pub(super) fn follow(&mut self, now: MonoTime, entry: &Entry, reader: Box<dyn MediaReader + Send>) {
        let lead = self.clock.lead(now, self.position).clamp(0, self.buffer.as_millis() as i64);
        self.film = Film::new(reader, &entry.path);
        self.begin(now, entry);
        self.clock.origin += lead;
    }

    /// Another file in the place of this one, from the same position on.
    pub(super) fn switch(&mut self, entry: &Entry, reader: Box<dyn MediaReader + Send>) {
        let (clock, position, limit, start) = (self.clock, self.position, self.limit, self.start);
        let base = self.base;
        let flow = self.flow;
        self.film = Film::new(reader, &entry.path);
        self.begin(MonoTime(0), entry);
        (self.clock, self.position, self.limit, self.start) = (clock, position, limit, start);
        (self.base, self.is_beginning) = (base, false);
        self.flow = if flow == Flow::Paused { flow } else { Flow::On };
        self.target = Some(position);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.flow == Flow::Ended
    }

    /// Where the file ends, in milliseconds; `None` if nobody knows.
    pub(super) fn duration(&self) -> Option<u32> {
        Some(self.film.info().duration).filter(|duration| *duration > 0 && self.growing.is_none())
    }

    /// It has ended because no more was asked for.
    pub(super) fn is_at_limit(&self) -> bool {
        self.is_at_limit
    }

    /// More of a recording is expected.
    pub(super) fn expect_more(&mut self) {
        if self.flow == Flow::Ended {
            self.flow = Flow::On;
        }
    }

    /// The same stream from the start of another file on, as the next entry.
    pub(super) fn continuation(&self) -> Entry {
        let duration = match self.limit {
            Limit::At(end) => Some(end.saturating_sub(self.position).max(1)),
            _ => None,
        };
        Entry { start: PlayStart::At(0), duration, wanted: self.wanted(), ..self.entry.clone() }
    }

    /// What was sent of this entry.
    pub(super) fn sent(&self) -> Sent {
        Sent { duration: self.position.saturating_sub(self.start), bytes: self.sent }
    }

    pub(super) fn wanted(&self) -> Wanted {
        Wanted { audio: self.wants_audio, video: self.video != Video::Off }
    }

    // ---- what the client asks for

    pub(super) fn set_buffer(&mut self, buffer: Duration) {
        self.buffer = buffer.clamp(MIN_BUFFER, MAX_BUFFER);
    }

    /// Goes there, and on from there unless it is paused.
    pub(super) fn seek(&mut self, now: MonoTime, position: u32) {
        self.target = Some(position);
        self.is_at_limit = false;
        (self.base, self.is_beginning) = (0, false);
        self.clock = Clock::at(now, position);
        self.position = position;
        // A duration counts from where the client began.
        if self.limit == Limit::Reached || self.limit == Limit::OneFrame {
            self.limit = Limit::None;
        }
        if self.flow == Flow::Ended {
            self.flow = Flow::On;
        }
    }

    /// Pauses, or goes on where the client is. True if that is elsewhere: what waits for it is of no use then.
    pub(super) fn pause(&mut self, now: MonoTime, paused: bool, position: u32) -> bool {
        if paused {
            if self.flow == Flow::On {
                self.flow = Flow::Paused;
            }
            return false;
        }
        if self.flow != Flow::Paused {
            return false;
        }
        self.flow = Flow::On;
        let position = if position == 0 { 0 } else { position.saturating_add(self.base) };
        let ahead = self.buffer.as_millis() as u32 + SLACK;
        let has_it = position >= self.position.saturating_sub(ahead)
            && position <= self.position.saturating_add(SLACK);
        if position == 0 || has_it || self.target.is_some() {
            // The client has what lies between.
            let is_elsewhere = position == 0 || self.target.is_some();
            let at = if is_elsewhere { self.position } else { position.min(self.position) };
            self.clock = Clock::at(now, at);
            return false;
        }
        self.seek(now, position.min(self.duration().unwrap_or(u32::MAX)));
        true
    }

    pub(super) fn receive_audio(&mut self, wanted: bool) {
        if wanted && !self.wants_audio {
            self.repeat_headers(TagKind::Audio);
        }
        self.wants_audio = wanted;
    }

    /// Again from the next keyframe on.
    pub(super) fn receive_video(&mut self, wanted: bool) {
        if wanted && self.video == Video::Off {
            self.repeat_headers(TagKind::Video);
        }
        self.video = match (wanted, self.video) {
            (false, _) => Video::Off,
            (true, Video::Off) => Video::AwaitsKeyframe,
            (true, current) => current,
        };
    }

    fn repeat_headers(&mut self, kind: TagKind) {
        self.ahead.extend(self.film.headers().into_iter().filter(|tag| tag.kind == kind));
    }

    // ---- sending

    /// Sends what is due, as far as there is room.
    pub(super) fn pump(&mut self, now: MonoTime, session: &mut Session) -> Pumped {
        loop {
            if self.flow != Flow::On {
                return Pumped::Idle;
            }
            if let Some(target) = self.target.take() {
                self.go(target);
            }
            let Some(tag) = self.take() else {
                self.flow = Flow::Ended;
                return Pumped::Ended;
            };
            let due = self.clock.due(tag.timestamp.0, self.buffer);
            if due > now {
                self.next = Some(tag);
                if due.since(now) > DRY && !core::mem::replace(&mut self.is_dry, true) {
                    return Pumped::Dry;
                }
                return Pumped::Until(due + (self.buffer / 4).min(MAX_BURST));
            }
            // Not before its time: who wants neither for a while goes on where the file is then.
            if !self.wants(&tag) {
                self.position = if tag.classify().role.is_frame() { tag.timestamp.0 } else { self.position };
                continue;
            }
            let shown = Timestamp(tag.timestamp.0.saturating_sub(self.base));
            let sent = Tag { timestamp: shown, ..tag.clone() };
            if session.output_len() >= QUEUE || session.send_tag(self.stream, &sent).is_err() {
                self.next = Some(tag);
                return Pumped::Full;
            }
            self.note(&tag);
        }
    }

    fn go(&mut self, target: u32) {
        self.next = None;
        self.ahead.retain(|tag| tag.kind == TagKind::Data);
        if self.video == Video::AwaitsKeyframe {
            self.video = Video::On;
        }
        self.is_dry = false;
        let is_beginning = core::mem::replace(&mut self.is_beginning, false);
        if let Some(place) = self.film.seek(target).filter(|_| is_beginning) {
            self.base = place;
        }
        self.ahead.extend(self.film.headers());
    }

    /// The next tag between start and end, whether the client wants it or not.
    fn take(&mut self) -> Option<Tag> {
        loop {
            let tag = match self.ahead.pop_front().or_else(|| self.next.take()) {
                Some(tag) => tag,
                None => self.film.read()?,
            };
            let is_frame = tag.classify().role.is_frame();
            self.is_at_limit = match self.limit {
                Limit::Reached => true,
                Limit::At(end) => is_frame && tag.timestamp.0 >= end,
                Limit::None | Limit::OneFrame => false,
            };
            if self.is_at_limit {
                return None;
            }
            // Sound before the picture that a play begins with.
            if is_frame && tag.timestamp.0 < self.base {
                continue;
            }
            // A picture, if there are any.
            let has_video = self.film.info().video.is_some() && self.video != Video::Off;
            if self.limit == Limit::OneFrame && is_frame && has_video && tag.kind == TagKind::Audio {
                continue;
            }
            return Some(tag);
        }
    }

    /// Whether the client wants a tag that is due.
    fn wants(&mut self, tag: &Tag) -> bool {
        let role = tag.classify().role;
        match tag.kind {
            TagKind::Audio => self.wants_audio,
            TagKind::Video if self.video == Video::Off => false,
            TagKind::Video if self.video == Video::AwaitsKeyframe && role == TagRole::Frame => false,
            TagKind::Video if role.is_frame() => {
                self.video = Video::On;
                true
            }
            TagKind::Video | TagKind::Data => true,
        }
    }

    fn note(&mut self, tag: &Tag) {
        self.sent += tag.body.len() as u64;
        self.is_dry = false;
        if tag.classify().role.is_frame() {
            self.position = tag.timestamp.0;
            if self.limit == Limit::OneFrame {
                self.limit = Limit::Reached;
            }
        }
    }
}
