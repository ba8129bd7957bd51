//! How long whoever failed waits before he tries again: twice as long each time, up to a bound, and never exactly as long
//! as others that failed at the same moment.

use core::{
    hash::{BuildHasher, Hasher},
    time::Duration,
};
use std::hash::RandomState;

/// When sources, relays and recordings try again, and when sources on demand stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Before the first new attempt. 1 s.
    pub first: Duration,
    /// The most that it grows to. 30 s.
    pub longest: Duration,
    /// What works for this long starts over with [`Retry::first`] when it fails. 10 s.
    pub steady: Duration,
    /// How long a source on demand goes on after its last player. 5 s.
    pub linger: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            steady: Duration::from_secs(10),
            linger: Duration::from_secs(5),
        }
    }
}

/// The attempts of one of them.
#[derive(Debug)]
pub struct Backoff {
    retry: Retry,
    next: Duration,
}

impl Backoff {
    /// At the first.
    pub fn new(retry: Retry) -> Backoff {
        Backoff { retry, next: retry.first }
    }

    /// It failed after it had worked for `worked`: how long to wait now. Between three and five quarters of what is
    /// next.
    pub fn failed(&mut self, worked: Duration) -> Duration {
        self.wait(worked, RandomState::new().build_hasher().finish())
    }

    fn wait(&mut self, worked: Duration, chance: u64) -> Duration {
        if worked >= self.retry.steady {
            self.next = self.retry.first;
        }
        let wait = self.next;
        self.next = (wait * 2).min(self.retry.longest);
        wait * (768 + (chance % 513) as u32) / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const NOTHING: Duration = Duration::ZERO;

    #[test]
    fn waits_double_up_to_the_bound_and_start_over_after_a_good_time() {
        let mut backoff = Backoff::new(Retry::default());
        // 256 of 0 to 512 is the middle.
        let waits: Vec<u64> = (0..7).map(|_| backoff.wait(NOTHING, 256).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff.wait(Duration::from_secs(9), 256).as_secs(), 30);
        assert_eq!(backoff.wait(Duration::from_secs(10), 256).as_secs(), 1);
        assert_eq!(backoff.wait(NOTHING, 256).as_secs(), 2);
    }

    #[test]
    fn chance_moves_a_wait_by_a_quarter_at_most() {
        let wait = |chance| Backoff::new(Retry::default()).wait(NOTHING, chance).as_millis();
        assert_eq!((wait(0), wait(512), wait(513)), (750, 1250, 750));
        let waits: Vec<Duration> = (0..16).map(|_| Backoff::new(Retry::default()).failed(NOTHING)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }
}
