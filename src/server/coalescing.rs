//! Few wake-ups when there is much to read, as network cards do with their interrupts (adaptive coalescing).
//!
//! A wake-up for every message or two costs a fifth of what 200 publishers take (`docs/performance.md`). So a thread
//! whose sockets are ready often enough rests once one has woken it, looks again, and then finds many ready at once. A
//! message waits [`REST`] longer for that (where the kernel's timers are coarse, a tick of them); with fewer publishers
//! nothing rests and nothing waits. No timeout of the poll can do this: it returns as soon as one socket is ready.

use crate::rtmp::MonoTime;
use core::time::Duration;

/// How long a woken thread rests. With 1 ms the timer costs what the wake-ups did; 5 ms gain no more than 3.
const REST: Duration = Duration::from_millis(3);
/// How often it is decided anew whether it rests.
const WINDOW: Duration = Duration::from_millis(20);
/// Sockets found ready in a millisecond, on the average of a window, from which on it pays: some 50 publishers who send
/// a message at a time.
const DENSE: u128 = 4;

/// Whether a thread rests once it is woken.
///
/// Before it sleeps would be the wrong time: a thread that only timers wake stays on its core, away from the caches that
/// hold what it is to read, and costs as much as one that never rests.
#[derive(Debug, Default)]
pub(super) struct Coalescing {
    since: MonoTime,
    ready: u128,
    is_dense: bool,
}

impl Coalescing {
    /// So many sockets were found ready since the last call, those found after a rest included.
    pub(super) fn note(&mut self, now: MonoTime, ready: usize) {
        self.ready += ready as u128;
        let window = now.since(self.since);
        if window >= WINDOW {
            let is_dense = self.ready >= DENSE * window.as_millis();
            *self = Coalescing { since: now, ready: 0, is_dense };
        }
    }

    /// How long to rest before the sockets are looked at again.
    pub(super) fn rest(&self, now: MonoTime) -> Option<Duration> {
        let is_recent = now.since(self.since) < 2 * WINDOW;
        (self.is_dense && is_recent).then_some(REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks from `start` to `end`, one in `step` milliseconds, that find `ready` each; whether all and none rested.
    fn look(coalescing: &mut Coalescing, start: u64, end: u64, step: usize, ready: usize) -> (bool, bool) {
        let rests = (start..end).step_by(step).map(|now| {
            coalescing.note(MonoTime(now), ready);
            coalescing.rest(MonoTime(now)).is_some()
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
        assert!(coalescing.rest(MonoTime(1100)).is_some());
        assert_eq!(coalescing.rest(MonoTime(5000)), None);
    }
}
