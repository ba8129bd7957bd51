//! Few wake-ups when there is much to read, as network cards do with their interrupts (adaptive coalescing).
//!
//! A wake-up for every message or two costs a fifth of what 200 publishers take (`docs/performance.md`). So a thread
//! that finds many publishers ready rests once they have woken it, looks again, and then finds more of them at once. A
//! publisher's message waits up to [`REST`] longer for that (where the kernel's timers are coarse, a tick of them). With
//! fewer publishers nothing rests, and for nothing else: not for a connect, a request, another thread, or the rest of a
//! large message. No timeout of the poll can do this: it returns as soon as one socket is ready.

use crate::base::MonoTime;
use core::time::Duration;

/// How long a woken thread rests. With 1 ms the timer costs what the wake-ups did; 5 ms gain no more than 3.
const REST: Duration = Duration::from_millis(3);
/// How often it is decided anew whether it rests.
const WINDOW: Duration = Duration::from_millis(20);
/// Publishers found ready in a millisecond, on the average of a window, from which on it pays: some 50 who send a message
/// at a time.
const DENSE: u128 = 4;
/// How long it does not rest after it rested in vain: few who send very often are dense until they are rested for.
const SUSPENSION: Duration = Duration::from_secs(1);

/// What a look at the sockets has found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Everything that is ready.
    pub(super) ready: usize,
    /// Of these, publishers in the middle of their stream.
    pub(super) patient: usize,
    /// There may be more ready, or something to do that no socket tells of.
    pub(super) is_urgent: bool,
}

/// Whether a thread rests once it is woken.
///
/// Before it sleeps would be the wrong time: a thread that only timers wake stays on its core, away from the caches that
/// hold what it is to read, and costs as much as one that never rests.
#[derive(Debug, Default)]
pub(super) struct Coalescing {
    since: MonoTime,
    patient: u128,
    is_dense: bool,
    suspended_until: MonoTime,
}

impl Coalescing {
    /// So many publishers were found ready since the last call, those found after a rest included.
    pub(super) fn note(&mut self, now: MonoTime, patient: usize) {
        self.patient += patient as u128;
        let window = now.since(self.since);
        if window < WINDOW {
            return;
        }
        let is_dense = self.patient >= DENSE * window.as_millis();
        if self.is_dense && !is_dense {
            self.suspended_until = now + SUSPENSION;
        }
        let is_dense = is_dense && now >= self.suspended_until;
        *self = Coalescing { since: now, patient: 0, is_dense, ..*self };
    }

    /// How long to rest before the sockets are looked at again.
    pub(super) fn rest(&self, now: MonoTime, look: Look) -> Option<Duration> {
        let is_recent = now.since(self.since) < 2 * WINDOW;
        let may_rest = look.ready > 0 && look.patient == look.ready && !look.is_urgent;
        (self.is_dense && is_recent && may_rest).then_some(REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` publishers are ready and nothing else.
    const fn publishers(count: usize) -> Look {
        Look { ready: count, patient: count, is_urgent: false }
    }

    /// Looks from `start` to `end`, one in `step` milliseconds, that find so many; whether all and none rested.
    fn look(coalescing: &mut Coalescing, start: u64, end: u64, step: usize, found: usize) -> (bool, bool) {
        let rests = (start..end).step_by(step).map(|now| {
            coalescing.note(MonoTime(now), found);
            coalescing.rest(MonoTime(now), publishers(found)).is_some()
        });
        let rests: alloc::vec::Vec<bool> = rests.collect();
        (rests.iter().all(|rest| *rest), !rests.contains(&true))
    }

    #[test]
    fn it_rests_while_many_are_ready() {
        let mut coalescing = Coalescing::default();
        assert_eq!(look(&mut coalescing, 1000, 1100, 1, 3), (false, true));
        assert_eq!(look(&mut coalescing, 1100, 1140, 1, 5), (false, false));
        // As many, found by fewer looks.
        assert_eq!(look(&mut coalescing, 1143, 1300, 3, 15), (true, false));
        assert_eq!(look(&mut coalescing, 1300, 1321, 3, 1), (false, false));
        assert_eq!(look(&mut coalescing, 1330, 1500, 1, 1), (false, true));
    }

    #[test]
    fn it_does_not_rest_for_what_was_long_ago() {
        let mut coalescing = Coalescing::default();
        look(&mut coalescing, 1000, 1100, 1, 5);
        assert!(coalescing.rest(MonoTime(1100), publishers(5)).is_some());
        assert_eq!(coalescing.rest(MonoTime(5000), publishers(5)), None);
    }

    #[test]
    fn it_rests_for_publishers_alone() {
        let mut coalescing = Coalescing::default();
        look(&mut coalescing, 1000, 1100, 1, 5);
        let rests = |look| coalescing.rest(MonoTime(1100), look).is_some();
        assert!(rests(publishers(1)));
        assert!(!rests(publishers(0)));
        // A connect, a request, or the rest of a large message is ready as well.
        assert!(!rests(Look { ready: 6, ..publishers(5) }));
        assert!(!rests(Look { is_urgent: true, ..publishers(5) }));
    }

    /// Once rested for, all that one publisher has sent is found at once.
    #[test]
    fn one_publisher_who_sends_very_often_is_not_rested_for() {
        let mut coalescing = Coalescing::default();
        let (mut now, mut rested) = (1000.0, 0.0);
        while now < 5000.0 {
            let at = MonoTime(now as u64);
            coalescing.note(at, 1);
            let rest = coalescing.rest(at, publishers(1)).map_or(0.0, |rest| rest.as_millis() as f64);
            rested += rest;
            now += rest + 1.0 / 6.0;
        }
        assert!(rested < 4000.0 / 20.0, "{rested} ms of 4000");
    }
}
