//! The thread of a stream in segments: what is heard goes into the muxer, and what it answers to those who ask.
//!
//! When its publisher has gone, the stream goes on behind a discontinuity if one comes within the resume window, which begins
//! with the end that players of RTMP are told of. Then its playlists say that it has ended, stay for a while, and another
//! publisher begins with another muxer.
//!
//! Bounds: the tap's channel; of what waits those whose connections live, and as many that are gone ([`Segmenter::keep`]).

use super::{Ask, Hls};
use crate::{
    base::MonoTime,
    hls::{Answer, Config, Muxer, WallTime},
    server::{
        Shared,
        tap::{Tap, Tapped},
        wall, web,
    },
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use crossbeam_channel::Receiver;

/// See the module.
pub(super) struct Segmenter {
    shared: Arc<Shared>,
    tap: Tap,
    asks: Receiver<Ask>,
    muxer: Muxer,
    waiting: Vec<Waiting>,
    /// So many may wait until those are looked for that have gone.
    room: usize,
    /// When somebody asked last.
    asked: Option<MonoTime>,
    is_watched: bool,
    life: Life,
    /// Tracks that are not in the segments and were told.
    told: usize,
    /// Segments up to this one are counted.
    counted: u64,
    /// Something has come.
    has_begun: Arc<AtomicBool>,
}

/// A request for something that is not there yet.
struct Waiting {
    ask: Ask,
    until: MonoTime,
}

/// Of what the muxer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// It goes on, or is to begin.
    Runs,
    /// The publisher has gone; over at that time.
    Pauses(MonoTime),
    /// It was over then, and playlists say so.
    Ended(MonoTime),
}

impl Segmenter {
    pub(super) fn new(
        shared: Arc<Shared>,
        tap: Tap,
        asks: Receiver<Ask>,
        has_begun: Arc<AtomicBool>,
    ) -> Segmenter {
        let muxer = muxer(&shared, 0);
        Segmenter {
            shared,
            tap,
            asks,
            counted: muxer.next_sequence(),
            muxer,
            waiting: Vec::new(),
            room: ROOM,
            asked: None,
            is_watched: false,
            life: Life::Runs,
            told: 0,
            has_begun,
        }
    }

    /// Ends as the module says.
    pub(super) fn run(mut self) {
        log::info!("{} is cut into segments", self.tap.hub().path());
        loop {
            let tapped = self.tap.next(self.deadline());
            let now = self.shared.now();
            let mut is_new = match tapped {
                Tapped::Tag(tag) => {
                    self.has_begun.store(true, Ordering::Relaxed);
                    self.muxer.push(tag.tag(), time_of_day())
                }
                Tapped::Started => self.start(),
                // What follows is a keyframe again, which may have been heard before.
                Tapped::Gap => self.muxer.restart(),
                Tapped::Ended => {
                    self.life = Life::Pauses(now + self.shared.segmenters.resume_window);
                    self.muxer.restart()
                }
                Tapped::TimedOut => false,
                Tapped::Stopped => return,
            };
            is_new |= self.end_if_due(now);
            self.count_segments();
            self.tell_left_out();
            if is_new {
                self.answer_waiting();
            }
            while let Ok(ask) = self.asks.try_recv() {
                self.asked = Some(now);
                self.serve(now, ask);
            }
            self.give_up(now);
            self.forget_gone();
            self.note_watched(now);
            if self.is_over(now) {
                break;
            }
        }
        log::info!("{} is not cut into segments any more", self.tap.hub().path());
    }

    /// Somebody publishes.
    fn start(&mut self) -> bool {
        if let Life::Ended(_) = self.life {
            self.muxer = muxer(&self.shared, self.muxer.next_sequence());
            self.counted = self.muxer.next_sequence();
            self.told = 0;
        }
        self.life = Life::Runs;
        false
    }

    fn end_if_due(&mut self, now: MonoTime) -> bool {
        let is_due = matches!(self.life, Life::Pauses(until) if until <= now);
        if is_due {
            self.muxer.end();
            self.life = Life::Ended(now);
        }
        is_due
    }

    fn count_segments(&mut self) {
        let next = self.muxer.next_sequence();
        self.shared.stats.hls_segments.add(next.saturating_sub(self.counted));
        self.counted = next;
    }

    fn tell_left_out(&mut self) {
        for left_out in self.muxer.left_out().iter().skip(self.told) {
            log::warn!("{} lacks a track in its segments: {left_out}", self.tap.hub().path());
        }
        self.told = self.muxer.left_out().len();
    }

    // ---- requests

    fn serve(&mut self, now: MonoTime, ask: Ask) {
        match self.muxer.get(ask.file(), ask.request.query(), time_of_day()) {
            Answer::Wait { at_most } => self.keep(Waiting { ask, until: now + at_most }),
            answer => self.answer(ask, &answer),
        }
    }

    fn answer(&self, ask: Ask, answer: &Answer) {
        let response = web::hls::response(&ask.request, self.tap.hub().path(), answer);
        ask.answer(response);
    }

    /// A connection has one request at a time, so what waits is bounded as soon as those are forgotten that have gone.
    fn keep(&mut self, waiting: Waiting) {
        if self.waiting.len() >= self.room {
            self.waiting.retain(|waiting| !waiting.ask.is_void());
            self.room = ROOM.max(2 * self.waiting.len());
        }
        self.waiting.push(waiting);
    }

    /// Something is new.
    fn answer_waiting(&mut self) {
        let wall = time_of_day();
        for waiting in core::mem::take(&mut self.waiting) {
            match self.muxer.get(waiting.ask.file(), waiting.ask.request.query(), wall) {
                Answer::Wait { .. } => self.waiting.push(waiting),
                answer => self.answer(waiting.ask, &answer),
            }
        }
    }

    /// Some have waited long enough.
    fn give_up(&mut self, now: MonoTime) {
        if !self.waiting.iter().any(|waiting| waiting.until <= now) {
            return;
        }
        let (over, rest) =
            core::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.until <= now);
        self.waiting = rest;
        let (path, is_live) = (self.tap.hub().path(), self.tap.hub().is_live());
        let over: Vec<Waiting> = over;
        over.into_iter().for_each(|waiting| waiting.ask.answer(web::hls::too_late(path, is_live)));
    }

    // ---- the end

    /// While nothing has come, it lives for those alone who wait and are still there.
    fn forget_gone(&mut self) {
        if self.has_begun.load(Ordering::Relaxed) {
            return;
        }
        self.waiting.retain(|waiting| !waiting.ask.is_void());
        if self.waiting.is_empty() {
            self.asked = None;
        }
    }

    fn note_watched(&mut self, now: MonoTime) {
        let is_watched = !self.waiting.is_empty() || self.idle_from().is_some_and(|at| now < at);
        if is_watched != self.is_watched {
            self.is_watched = is_watched;
            self.tap.set_watched(is_watched);
        }
    }

    /// When nobody will have asked for long.
    fn idle_from(&self) -> Option<MonoTime> {
        self.asked.map(|asked| asked + self.shared.segmenters.idle)
    }

    /// When an end is over that playlists tell of.
    fn gone_from(&self) -> Option<MonoTime> {
        match self.life {
            Life::Ended(at) => Some(at + self.shared.segmenters.idle),
            _ => None,
        }
    }

    fn deadline(&self) -> Option<MonoTime> {
        let pause = match self.life {
            Life::Pauses(until) => Some(until),
            _ => None,
        };
        let waits = self.waiting.iter().map(|waiting| waiting.until).min();
        let idle = self.idle_from().filter(|_| self.is_watched && waits.is_none());
        let look =
            (waits.is_some() && !self.has_begun.load(Ordering::Relaxed)).then(|| self.shared.now() + LOOK);
        [pause, waits, idle, look, self.gone_from()].into_iter().flatten().min()
    }

    fn is_over(&self, now: MonoTime) -> bool {
        let segmenters = &self.shared.segmenters;
        let is_gone = self.gone_from().is_some_and(|at| at <= now);
        let hub = self.tap.hub();
        let may_end = || {
            let is_awaited = is_gone || segmenters.hls == Hls::Always;
            !(is_awaited && hub.is_live())
        };
        let is_idle = !self.is_watched && matches!(self.life, Life::Runs);
        (is_gone || is_idle && may_end()) && segmenters.retire(hub.path(), &self.asks, may_end)
    }
}

/// A muxer for a stream, whose segments begin at that number or later. Names and numbers follow the clock, so that they do not come back
/// when the server is started again.
fn muxer(shared: &Shared, at_least: u64) -> Muxer {
    let seconds = time_of_day().0 / 1000;
    let start_id = seconds << 16 | shared.segmenters.muxer_number() & 0xffff;
    let first_sequence = seconds.saturating_sub(SOME_DAY).max(at_least);
    Muxer::new(Config { first_sequence, ..Config::new(start_id) })
}

fn time_of_day() -> WallTime {
    WallTime(wall::milliseconds(wall::now()))
}

/// 2026-01-01, in seconds since 1970: segments are counted in seconds from then on, which 32 bits hold for long.
const SOME_DAY: u64 = 1_767_225_600;
/// Between two looks at whether those who wait for a stream are still there.
const LOOK: Duration = Duration::from_secs(1);
/// Requests that wait before anybody looks whether they still do.
const ROOM: usize = 64;
