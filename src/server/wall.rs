//! The time of day, as the system has it. It can jump; durations and deadlines are of the server's own clock.

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

/// Since 1970; nothing if the system's clock is before that.
pub(super) fn now() -> Duration {
    of(SystemTime::now())
}

/// Of a time that the system tells, such as that of a file.
pub(super) fn of(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// As whole milliseconds.
pub(super) fn milliseconds(since: Duration) -> u64 {
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
