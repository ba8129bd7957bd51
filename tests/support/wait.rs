//! Waiting for what no message tells, with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits until `is_so`, and fails if that takes too long.
pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(is_in_time(Instant::now() + LIMIT, is_so), "not in time: {what}");
}

/// Waits until `is_so`, or the deadline has passed; says which.
pub(crate) fn is_in_time(deadline: Instant, mut is_so: impl FnMut() -> bool) -> bool {
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(STEP);
    }
}

/// Nothing that a test waits for takes longer, on a slow machine either.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Between two looks.
const STEP: Duration = Duration::from_millis(5);
