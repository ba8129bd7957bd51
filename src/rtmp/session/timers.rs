//! The deadlines of a session in one table.
//!
//! `PingDue` and `Publish` are re-armed lazily: bytes only note the time, and the deadline that fires early is set
//! again from it. So the media path never touches this table.

use crate::{base::MonoTime, rtmp::Timer};

const COUNT: usize = 6;

/// At most one deadline per [`Timer`].
#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: [Option<MonoTime>; COUNT],
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, deadline: Option<MonoTime>) {
        self.deadlines[timer as usize] = deadline;
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.set(timer, None);
    }

    pub(super) fn clear_all(&mut self) {
        self.deadlines = [None; COUNT];
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.deadlines[timer as usize].is_some()
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<MonoTime> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// Takes one deadline that has come, earliest first.
    pub(super) fn expired(&mut self, now: MonoTime) -> Option<Timer> {
        const ALL: [Timer; COUNT] = [
            Timer::Handshake,
            Timer::Command,
            Timer::Publish,
            Timer::PingDue,
            Timer::PingReply,
            Timer::Linger,
        ];
        let due = |timer: &Timer| self.deadlines[*timer as usize].filter(|deadline| *deadline <= now);
        let timer = ALL.into_iter().filter(|timer| due(timer).is_some()).min_by_key(due)?;
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_comes_first_and_once() {
        let mut timers = Timers::default();
        timers.set(Timer::Linger, Some(MonoTime(30)));
        timers.set(Timer::PingDue, Some(MonoTime(20)));
        assert_eq!(timers.next(), Some(MonoTime(20)));
        assert_eq!(timers.expired(MonoTime(19)), None);
        assert_eq!(timers.expired(MonoTime(40)), Some(Timer::PingDue));
        assert_eq!(timers.expired(MonoTime(40)), Some(Timer::Linger));
        assert_eq!(timers.expired(MonoTime(40)), None);
    }
}
