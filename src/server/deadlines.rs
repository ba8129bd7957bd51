//! When to look at which connection again: one heap for a thread's connections.
//!
//! Deadlines of a connection nearly always move later (every byte read postpones the ping), so an entry is left
//! where it is and looked at when its time comes: then the connection's real deadline is asked and, if later,
//! entered anew. A connection has at most one entry that counts; the others fall out when their time comes.

use crate::base::MonoTime;
use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Reverse;

/// Deadlines by connection index.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(MonoTime, usize)>>,
    /// By index: the entry that counts.
    scheduled: Vec<Option<MonoTime>>,
}

impl Deadlines {
    /// Makes sure that `index` is looked at no later than `at`.
    pub(super) fn schedule(&mut self, index: usize, at: MonoTime) {
        if self.scheduled.len() <= index {
            self.scheduled.resize(index + 1, None);
        }
        if self.scheduled[index].is_none_or(|scheduled| at < scheduled) {
            self.scheduled[index] = Some(at);
            self.heap.push(Reverse((at, index)));
        }
    }

    /// The connection is gone; its index may be used again.
    pub(super) fn forget(&mut self, index: usize) {
        if let Some(scheduled) = self.scheduled.get_mut(index) {
            *scheduled = None;
        }
    }

    /// The next index whose time has come.
    pub(super) fn pop(&mut self, now: MonoTime) -> Option<usize> {
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((at, index))) = self.heap.pop() else { break };
            if self.scheduled[index] == Some(at) {
                self.scheduled[index] = None;
                return Some(index);
            }
        }
        None
    }

    /// The earliest entry, perhaps one that does not count any more.
    pub(super) fn next(&self) -> Option<MonoTime> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_of_each_index_counts() {
        let mut deadlines = Deadlines::default();
        deadlines.schedule(3, MonoTime(50));
        deadlines.schedule(3, MonoTime(20));
        deadlines.schedule(3, MonoTime(30));
        deadlines.schedule(0, MonoTime(40));
        assert_eq!(deadlines.pop(MonoTime(19)), None);
        assert_eq!(deadlines.pop(MonoTime(20)), Some(3));
        assert_eq!(deadlines.pop(MonoTime(39)), None);
        assert_eq!(deadlines.pop(MonoTime(60)), Some(0));
        assert_eq!(deadlines.pop(MonoTime(60)), None);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_forgotten_index_is_not_looked_at_for_its_predecessor() {
        let mut deadlines = Deadlines::default();
        deadlines.schedule(0, MonoTime(10));
        deadlines.forget(0);
        deadlines.schedule(0, MonoTime(90));
        assert_eq!(deadlines.pop(MonoTime(50)), None);
        assert_eq!(deadlines.pop(MonoTime(90)), Some(0));
    }
}
