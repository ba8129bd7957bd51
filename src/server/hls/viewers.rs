//! Who watches a stream in segments: whoever has asked for one of its files lately, by address and agent.
//!
//! Players of HLS come and go by connections as they like, so these are not counted. Behind one address all browsers of one kind
//! are one viewer. Bound: [`MAX_VIEWERS`].

use crate::base::MonoTime;
use core::{hash::BuildHasher, net::IpAddr, time::Duration};
use std::{collections::HashMap, hash::RandomState};

/// Viewers of a stream that are told apart; further ones are not counted until others have gone.
const MAX_VIEWERS: usize = 10_000;
/// Whoever has not asked for so long watches no more: some target durations.
const LATELY: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    hasher: RandomState,
    /// When each of them asked last.
    seen: HashMap<u64, MonoTime>,
}

impl Viewers {
    /// Somebody asks for a file.
    pub(super) fn note(&mut self, now: MonoTime, address: IpAddr, agent: Option<&str>) {
        let viewer = self.hasher.hash_one((address, agent));
        if self.seen.len() >= MAX_VIEWERS && !self.seen.contains_key(&viewer) {
            self.forget(now);
            if self.seen.len() >= MAX_VIEWERS {
                return;
            }
        }
        self.seen.insert(viewer, now);
    }

    /// How many there are now.
    pub(super) fn count(&mut self, now: MonoTime) -> usize {
        self.forget(now);
        self.seen.len()
    }

    fn forget(&mut self, now: MonoTime) {
        self.seen.retain(|_, at| now.since(*at) < LATELY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn viewers_are_told_apart_by_address_and_agent_and_go_when_they_ask_no_more() {
        let mut viewers = Viewers::default();
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap());
        for (at, address, agent) in
            [(0, one, Some("a")), (1000, one, Some("a")), (2000, one, Some("b")), (3000, other, None)]
        {
            viewers.note(MonoTime(at), address, agent);
        }
        assert_eq!([10_999, 11_000, 12_000, 13_000].map(|at| viewers.count(MonoTime(at))), [3, 2, 1, 0]);
    }

    #[test]
    fn there_are_never_more_than_the_limit() {
        let mut viewers = Viewers::default();
        let address = IpAddr::from([10, 0, 0, 1]);
        for number in 0..MAX_VIEWERS + 5 {
            viewers.note(MonoTime(0), address, Some(&format!("{number}")));
        }
        assert_eq!(viewers.count(MonoTime(0)), MAX_VIEWERS);
        viewers.note(MonoTime(20_000), address, Some("late"));
        assert_eq!(viewers.count(MonoTime(20_000)), 1);
    }
}
