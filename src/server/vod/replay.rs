//! A file played over RTSP: which of its frames are sent when, and with which times.
//!
//! In: a reader, the time, what the client asks for. Out: packets; what answers say. Not here: requests and sockets (`rtsp::replay`),
//! what rates and ranges mean (`course`).
//!
//! **Times.** What is sent has one line of times for as long as the presentation lasts: it goes on behind a pause, a jump or the end
//! where it was, as sequence numbers do (RFC 2326, appendix B), and each PLAY says which position of the file lies where
//! (RTP-Info). Reports tell that line and not the time of day: their clock stands still with the media, so that a receiver never sees
//! the two part, whatever the speed.
//!
//! **Jumps** go to the keyframe at or before the position, whose time is what the answer says; so positions are right everywhere, and
//! what the client did not ask for it can leave out (ffmpeg with `-ss` does). A pause goes on with the very next frame.
//!
//! Pacing: [`AHEAD`] of its time, in bursts of [`BURST`]. Times in the file decide, not what was sent: who was slow for a while
//! catches up. Bounds: [`BATCH`] bytes and a frame at once; [`MAX_STEPS`] and [`MAX_SEARCH`] for a keyframe.

use super::{
    course::{Course, Frames, Span},
    film::{Clock, Film},
};
use crate::{
    base::{MonoTime, Timestamp},
    flv::{Tag, TagKind, TagRole},
    media::MediaReader,
    rtp::{Format, rtcp, send::Sender},
    rtsp::{Range, Status},
    server::{
        path::StreamPath,
        rtsp::{
            line,
            packets::{Carrier, Nowhere, Packets},
        },
        wall,
    },
};
use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

/// How long before its time media is sent.
const AHEAD: Duration = Duration::from_millis(500);
/// Media that is sent at once when it is due.
const BURST: Duration = Duration::from_millis(100);
/// Bytes of frames that become packets at once.
const BATCH: usize = 64 << 10;
/// Tags in which a codec without configuration has to show, and a keyframe behind a jump.
const MAX_SEARCH: usize = 1024;
/// Steps to the next keyframe, each twice as long as the one before.
const MAX_STEPS: u32 = 24;
/// Nanoseconds.
const MILLISECOND: i64 = 1_000_000;

/// See the module.
pub(in crate::server) struct Replay {
    film: Film,
    /// When the recording began, if it is one that tells.
    began: Option<Duration>,
    sender: Sender,
    flow: Flow,
    course: Course,
    /// Milliseconds of delivery since the course began.
    clock: Clock,
    /// Where in the file the course began.
    start: u32,
    /// Where that lies on the line of times, in milliseconds.
    shown: u32,
    /// Where it ends, if not with the file.
    end: Option<u32>,
    /// Of the next frame.
    position: u32,
    /// What lies before is not sent: sound before the picture that a jump went to.
    base: u32,
    /// Read and not sent.
    next: Option<Tag>,
    /// The last keyframe of those that are sent alone.
    keyframe: Option<u32>,
    report_due: MonoTime,
    /// Some tracks have not had their first packet since PLAY.
    is_beginning: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Before the first PLAY, and paused.
    Ready,
    On,
    /// All is sent, and is shown by that time.
    Ended(MonoTime),
    /// The client knows.
    Over,
}

/// What a PLAY has led to.
pub(in crate::server) struct Begun {
    pub(in crate::server) range: Range,
    pub(in crate::server) scale: f64,
    pub(in crate::server) speed: f64,
    /// The time of its first packets on the line; `None` if they are behind others.
    pub(in crate::server) at: Option<Timestamp>,
}

/// What is to be sent.
pub(in crate::server) enum Due {
    Packets(Packets),
    /// Nothing before this time.
    Until(MonoTime),
    /// Nothing before the client asks for something.
    Idle,
    /// The end, of which it has to be told.
    End,
}

impl Replay {
    /// `began`: the time of day of the file's start. `None` if RTP can carry nothing of the file. For `seed` see [`Sender::new`].
    pub(super) fn new(
        reader: Box<dyn MediaReader + Send>,
        path: &StreamPath,
        began: Option<Duration>,
        seed: u64,
    ) -> Option<Replay> {
        let mut film = Film::new(reader, path);
        let formats = formats(&mut film);
        let sender = Sender::new(formats, seed, line::MAX_PACKET);
        (!sender.tracks().is_empty()).then(|| Replay {
            film,
            began,
            sender,
            flow: Flow::Ready,
            course: Course::choose(None, None, true),
            clock: Clock::default(),
            start: 0,
            shown: 0,
            end: None,
            position: 0,
            base: 0,
            next: None,
            keyframe: None,
            report_due: MonoTime(0),
            is_beginning: false,
        })
    }

    /// The tracks that are sent.
    pub(in crate::server) fn formats(&self) -> &[Format] {
        self.sender.tracks()
    }

    /// What its packets are numbered by.
    pub(in crate::server) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Milliseconds; 0 if nobody knows.
    pub(in crate::server) fn duration(&self) -> u32 {
        self.film.info().duration
    }

    // ---- what the client asks for

    /// Begins, goes on or jumps. A range that begins where the one that is being played ends is played behind that; any other at
    /// once, as all servers do.
    pub(in crate::server) fn play(
        &mut self,
        now: MonoTime,
        range: Option<&Range>,
        scale: Option<f64>,
        speed: Option<f64>,
    ) -> Result<Begun, Status> {
        let course = Course::choose(scale, speed, self.has_video());
        let span = Span::of(range, self.duration(), self.began, course)?;
        self.look_ahead();
        let follows = self.flow == Flow::On && self.end.is_some() && span.start == self.end;
        if follows && course == self.course {
            let range = self.range(span.start.unwrap_or_default(), span.end);
            self.end = span.end;
            return Ok(Begun { range, scale: course.scale, speed: course.speed, at: None });
        }
        let is_spent = match course.is_backwards() {
            true => self.position == 0,
            false => self.next.is_none() && matches!(self.flow, Flow::Ended(_) | Flow::Over),
        };
        let at = match span.start {
            Some(at) => at,
            // From the other end.
            None if is_spent && course.is_backwards() => self.duration(),
            None if is_spent => 0,
            None => self.position,
        };
        self.shown = self.shown_at(self.position);
        let keeps_all = |course: Course| course.frames() != Frames::Keyframes;
        // Paused when all was sent and not yet shown, there is nothing left but the end.
        let is_drained = self.flow == Flow::Ready && self.position > 0 && self.position >= self.duration();
        let has_it = (self.next.is_some() || is_drained) && keeps_all(course) && keeps_all(self.course);
        let goes_on = has_it && (at == self.position || (self.has_ended() && Some(at) == self.end));
        self.sender.restart(!goes_on || course.scale != self.course.scale);
        self.course = course;
        if goes_on {
            self.start = self.position;
        } else {
            self.go(at);
        }
        self.end = span.end;
        self.clock = Clock::at(now, 0);
        self.flow = Flow::On;
        (self.report_due, self.is_beginning) = (now, true);
        let at = Timestamp(self.shown);
        if self.sender.ntp_at(at).is_none() {
            self.sender.set_clock(at, rtcp::ntp(wall::now()));
        }
        let range = self.range(self.start, self.end);
        Ok(Begun { range, scale: course.scale, speed: course.speed, at: Some(at) })
    }

    /// Pauses behind what was sent; gives what is left.
    pub(in crate::server) fn pause(&mut self) -> Range {
        self.look_ahead();
        if let Flow::On | Flow::Ended(_) = self.flow {
            self.flow = Flow::Ready;
        }
        self.range(self.position, self.end)
    }

    /// What is being shown, in milliseconds from the start of the file.
    pub(in crate::server) fn position(&self, now: MonoTime) -> u32 {
        if !matches!(self.flow, Flow::On | Flow::Ended(_)) {
            return self.position;
        }
        let played = i64::from(self.start) + self.course.played(self.passed(now));
        let (first, last) = (self.start.min(self.position), self.start.max(self.position));
        played.clamp(first.into(), last.into()) as u32
    }

    // ---- sending

    /// What is due by now: some of it, if there is much.
    pub(in crate::server) fn pump(&mut self, now: MonoTime, carrier: Carrier) -> Due {
        match self.flow {
            Flow::Ready | Flow::Over => return Due::Idle,
            Flow::Ended(at) if at > now => return Due::Until(at),
            Flow::Ended(_) => {
                self.flow = Flow::Over;
                return Due::End;
            }
            Flow::On => {}
        }
        let mut due: Vec<Tag> = Vec::new();
        let mut len = 0;
        let mut until = None;
        while len < BATCH {
            self.look_ahead();
            let Some(tag) = self.next.take_if(|_| !is_behind(self.course, self.end, self.position)) else {
                self.flow = Flow::Ended(self.due(self.position, Duration::ZERO));
                break;
            };
            let at = self.due(tag.timestamp.0, AHEAD);
            if at > now {
                self.next = Some(tag);
                until = Some(at + BURST);
                break;
            }
            len += tag.body.len();
            due.push(self.placed(tag));
            // Players put tracks together by reports behind the first packets: see `Connection::report_first`.
            if self.is_beginning
                && self.formats().iter().all(|format| due.iter().any(|tag| tag.kind == format.kind()))
            {
                break;
            }
        }
        if due.is_empty() {
            return until.map_or_else(|| self.pump(now, carrier), Due::Until);
        }
        if core::mem::take(&mut self.is_beginning) {
            self.report_due = now;
        }
        Due::Packets(Packets::build(carrier, len + len / 16 + 64, &mut |sink| {
            for tag in &due {
                self.sender.write(tag, sink);
            }
        }))
    }

    /// The NTP time of the next report, if that is due.
    pub(in crate::server) fn report(&mut self, now: MonoTime) -> Option<u64> {
        if self.flow != Flow::On || self.report_due > now {
            return None;
        }
        self.report_due = now + line::REPORT_INTERVAL;
        Some(self.ntp(now))
    }

    /// Where the line of times is, as reports say it.
    pub(in crate::server) fn ntp(&self, now: MonoTime) -> u64 {
        let passed = (self.passed(now) as f64 * self.course.speed) as i64;
        let last = self.shown_at(self.position);
        let shown = Timestamp(self.shown.wrapping_add(passed as u32));
        // Not behind the end.
        let shown = if (last.wrapping_sub(shown.0) as i32) < 0 { Timestamp(last) } else { shown };
        self.sender.ntp_at(shown).unwrap_or_else(|| rtcp::ntp(wall::now()))
    }

    // ---- inside

    fn has_video(&self) -> bool {
        self.formats().iter().any(|format| format.kind() == TagKind::Video)
    }

    fn has_ended(&self) -> bool {
        matches!(self.flow, Flow::Ended(_) | Flow::Over)
    }

    fn passed(&self, now: MonoTime) -> i64 {
        self.clock.lead(now, 0).saturating_neg()
    }

    /// As answers say it.
    fn range(&self, start: u32, end: Option<u32>) -> Range {
        let millis = |at: u32| Duration::from_millis(at.into());
        let last = Some(self.duration()).filter(|last| *last > start);
        let end = if self.course.is_backwards() { end.or(Some(0)) } else { end.or(last) };
        Range::npt(millis(start), end.map(millis))
    }

    /// Nanoseconds on the client's screen from the start of the course to a position.
    fn since_start(&self, position: u32) -> i64 {
        (i64::from(position) - i64::from(self.start)) * MILLISECOND
    }

    /// Where a position lies on the line of times.
    fn shown_at(&self, position: u32) -> u32 {
        let later = self.course.shown(self.since_start(position)) / MILLISECOND;
        self.shown.wrapping_add(later as u32)
    }

    fn due(&self, position: u32, ahead: Duration) -> MonoTime {
        let shown = self.course.shown(self.since_start(position));
        self.clock.due(self.course.delivered(shown), ahead)
    }

    /// A frame with its time on the line.
    fn placed(&self, tag: Tag) -> Tag {
        let since_start = self.since_start(tag.timestamp.0);
        let decoded = self.course.shown(since_start);
        let milliseconds = decoded.div_euclid(MILLISECOND);
        let timestamp = Timestamp(self.shown.wrapping_add(milliseconds as u32));
        if self.course.scale == 1.0 {
            return Tag { timestamp, ..tag };
        }
        let class = tag.classify();
        let later = class.tracks().find(|track| track.id == 0);
        let later = later.map_or(0, |track| i64::from(track.composition_time) * MILLISECOND);
        let exactly = later + i64::from(tag.nanos);
        let shown = match self.course.frames() {
            Frames::Keyframes => decoded + exactly,
            _ => self.course.shown(since_start + exactly),
        };
        // Its body says by how much it is shown later, so the rest of that goes here.
        let nanos = shown - milliseconds * MILLISECOND - later;
        Tag { timestamp, nanos: nanos.clamp(i32::MIN.into(), i32::MAX.into()) as i32, ..tag }
    }

    /// To the keyframe at or before that position.
    fn go(&mut self, position: u32) {
        self.start = match position {
            0 => {
                self.film.rewind();
                0
            }
            position => self.film.seek(position).unwrap_or(position),
        };
        self.position = self.start;
        self.base = self.start;
        (self.next, self.keyframe) = (None, None);
        self.take_headers();
    }

    fn take_headers(&mut self) {
        for header in self.film.headers() {
            self.sender.write(&header, &mut Nowhere);
        }
    }

    /// Reads the next frame, unless that has been done.
    fn look_ahead(&mut self) {
        // Sound that was read when there was to be some.
        let is_unwanted = |tag: &mut Tag| self.course.frames() != Frames::All && tag.kind == TagKind::Audio;
        self.next.take_if(is_unwanted);
        if self.next.is_some() || self.flow != Flow::On {
            return;
        }
        self.next = match self.course.frames() {
            Frames::Keyframes => self.next_keyframe(),
            frames => self.read(usize::MAX, |tag| frames == Frames::All || tag.kind == TagKind::Video),
        };
        self.position = match &self.next {
            Some(tag) => tag.timestamp.0,
            None if self.course.is_backwards() => 0,
            None => self.position.max(self.duration()),
        };
    }

    /// The first frame that fits, among so many tags; configuration in between is noted.
    fn read(&mut self, max: usize, fits: impl Fn(&Tag) -> bool) -> Option<Tag> {
        for _ in 0..max {
            let tag = self.film.read()?;
            if self.sender.changes(&tag) {
                let path = self.film.path();
                log::warn!(
                    "{path}: from {} ms on it is not what it was described as, and ends",
                    tag.timestamp
                );
                return None;
            }
            let role = tag.classify().role;
            if role == TagRole::SequenceHeader {
                self.sender.write(&tag, &mut Nowhere);
            }
            if role.is_frame() && tag.timestamp.0 >= self.base && self.carries(tag.kind) && fits(&tag) {
                return Some(tag);
            }
        }
        None
    }

    fn carries(&self, kind: TagKind) -> bool {
        self.formats().iter().any(|format| format.kind() == kind)
    }

    /// The next one in the direction of the course, with some time between.
    fn next_keyframe(&mut self) -> Option<Tag> {
        if let Some(last) = self.keyframe {
            self.base = self.step_from(last)?;
            self.take_headers();
        }
        let tag = self.read(MAX_SEARCH, |tag| tag.kind == TagKind::Video && tag.classify().is_keyframe())?;
        self.keyframe = Some(tag.timestamp.0);
        Some(tag)
    }

    /// Goes to the next keyframe.
    fn step_from(&mut self, last: u32) -> Option<u32> {
        let mut target = self.course.next_step(last)?;
        if self.course.is_backwards() {
            return self.film.seek(target).filter(|place| *place < last);
        }
        let keyframes = &self.film.info().keyframes;
        let known = keyframes.partition_point(|keyframe| keyframe.timestamp.0 < target);
        if let Some(keyframe) = keyframes.get(known) {
            return self.film.seek(keyframe.timestamp.0);
        }
        // They are not listed, or not to the end.
        let duration = self.duration();
        for step in 0..MAX_STEPS {
            let place = self.film.seek(target)?;
            if place > last {
                return Some(place);
            }
            if target >= duration {
                return None;
            }
            target = target.saturating_add((target - last) << step.min(1)).min(duration);
        }
        None
    }
}

/// A position lies behind what was asked for.
fn is_behind(course: Course, end: Option<u32>, position: u32) -> bool {
    match end {
        None => false,
        Some(end) if course.is_backwards() => position < end,
        Some(end) => position >= end,
    }
}

/// The tracks of a file that RTP can carry, pictures first. Those without configuration show with their first frames.
fn formats(film: &mut Film) -> Vec<Format> {
    let mut found = [const { None }; 2];
    let is_there = [film.info().video.is_some(), film.info().audio.is_some()];
    let mut headers = film.headers().into_iter();
    for _ in 0..MAX_SEARCH {
        let Some(tag) = headers.next().or_else(|| film.read()) else { break };
        let place = match tag.kind {
            TagKind::Video => 0,
            TagKind::Audio => 1,
            TagKind::Data => continue,
        };
        if found[place].is_none() {
            found[place] = line::announced_by(&tag).or_else(|| line::shown_by(&tag));
        }
        if (0..2).all(|place| found[place].is_some() || !is_there[place]) {
            break;
        }
    }
    film.rewind();
    found.into_iter().flatten().collect()
}
