//! Few wake-ups when there is much to read, as network cards do with their interrupts (adaptive coalescing).
//!
//! A wake-up for every message or two costs a fifth of what 200 publishers take (`docs/performance.md`). So a thread
//! whose sockets are ready often enough rests once one has woken it, looks again, and then finds many ready at once. A
//! message waits [`REST`] for that at most; with fewer publishers nothing rests and nothing waits.

use crate::rtmp::MonoTime;
use core::time::Duration;

/// How long a woken thread rests. With 1 ms the timer costs what the wake-ups did; 5 ms gain no more than 3.
const REST: Duration = Duration::from_millis(3);
/// How often is decided anew whether it rests.
const WINDOW: Duration = Duration::from_millis(20);
/// Sockets found ready in a millisecond from which on it pays: some 50 publishers of audio and video.
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
    /// A look at the sockets found so many ready.
    pub(super) fn note(&mut self, now: MonoTime, ready: usize) {
        self.ready += ready as u128;
        let window = now.since(self.since);
        if window >= WINDOW {
            let is_dense = self.ready >= DENSE * window.as_millis();
            *self = Coalescing { since: now, ready: 0, is_dense };
        }
    }

    /// How long to rest before the sockets are looked at again.
    pub(super) fn rest(&self) -> Option<Duration> {
        self.is_dense.then_some(REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_while_many_are_ready_and_not_a_window_longer() {
        let mut coalescing = Coalescing::default();
        coalescing.note(MonoTime(1000), 12);
        for now in 1001..1041 {
            coalescing.note(MonoTime(now), 3);
        }
        assert_eq!(coalescing.rest(), None);
        for now in 1041..1081 {
            coalescing.note(MonoTime(now), 4);
        }
        assert_eq!(coalescing.rest(), Some(REST));
        // As many, found by fewer looks.
        for now in (1084..1184).step_by(3) {
            coalescing.note(MonoTime(now), 12);
        }
        assert_eq!(coalescing.rest(), Some(REST));
        coalescing.note(MonoTime(5000), 12);
        assert_eq!(coalescing.rest(), None);
    }
}
