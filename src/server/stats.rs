//! Counters of the whole server, and warnings that do not repeat themselves: at most once a second, or once until it works.

use crate::base::MonoTime;
use alloc::string::String;
use core::{
    fmt::Display,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What a server has done since it started.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections that are open now.
    pub connections: Counter,
    /// Connections accepted so far.
    pub accepted: Counter,
    /// Connections turned away because there were too many.
    pub refused: Counter,
    /// Bytes read from sockets of connections that have closed.
    pub bytes_in: Counter,
    /// Bytes written to sockets of connections that have closed.
    pub bytes_out: Counter,
    /// Tags that players did not get because they were too slow.
    pub dropped_tags: Counter,
    /// Connections closed by an operator.
    pub kicked: Counter,
    /// HTTP requests answered, by the first digit of the status: see [`Stats::CLASSES`].
    pub http_requests: [Counter; 4],
    /// Segments of HLS made.
    pub hls_segments: Counter,
    /// Times that a recording was too slow for its stream and lost pictures.
    pub recording_gaps: Counter,
}

impl Stats {
    /// Classes of answers to HTTP requests.
    pub const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

    /// A request is answered with that status. Switching protocols is a success.
    pub(super) fn note_answer(&self, status: u16) {
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        self.http_requests[class].add(1);
    }
}

/// A number that many threads change.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Its value now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }
}

/// Lets one warning a second through and counts the others.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    last: Option<MonoTime>,
    held_back: u64,
}

/// Between two warnings of one kind.
const INTERVAL: Duration = Duration::from_secs(1);

impl Throttle {
    /// Counts `events`; returns how many to report, now that it is time to.
    pub(super) fn count(&mut self, now: MonoTime, events: u64) -> Option<u64> {
        self.held_back += events;
        if self.last.is_some_and(|last| now.since(last) < INTERVAL) {
            return None;
        }
        self.last = Some(now);
        Some(core::mem::take(&mut self.held_back))
    }
}

/// Tells why something that is tried again and again does not work: each reason once, the same again at debug level.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The last one, until it works again.
    last: Option<String>,
}

impl Failures {
    /// `what` has failed, and is tried again after `wait`.
    pub(super) fn tell(&mut self, what: impl Display, why: String, wait: Duration) {
        if self.last.as_ref() == Some(&why) {
            log::debug!("{what}: {why}; again in {} ms", wait.as_millis());
        } else {
            log::warn!("{what}: {why}; trying again");
        }
        self.last = Some(why);
    }

    /// It works.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_once_a_second_and_count_what_was_held_back() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.count(MonoTime(0), 1), Some(1));
        assert_eq!(throttle.count(MonoTime(999), 2), None);
        assert_eq!(throttle.count(MonoTime(1000), 3), Some(5));
    }
}
