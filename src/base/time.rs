//! The two clocks, kept apart by type.
//!
//! [`MonoTime`] is the driver's clock: it decides when deadlines fire. [`Timestamp`] is the media clock that
//! travels in message headers (RTMP 1.0, 5.3.1; FLV): 32 bits of milliseconds that wrap after 49.7 days. Neither
//! converts into the other.

use core::{fmt, ops::Add, time::Duration};

/// Milliseconds since an arbitrary start that the driver picks; never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoTime(pub u64);

impl MonoTime {
    /// Time passed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: MonoTime) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for MonoTime {
    type Output = MonoTime;

    fn add(self, rest: Duration) -> MonoTime {
        MonoTime(self.0.saturating_add(u64::try_from(rest.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// A media timestamp: milliseconds modulo 2^32 since an epoch that the publisher picks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timestamp(pub u32);

impl Timestamp {
    /// This timestamp moved on by `delta` milliseconds, modulo 2^32. A step back is a huge delta, as librtmp and
    /// GStreamer write it.
    pub const fn wrapping_add(self, delta: u32) -> Timestamp {
        Timestamp(self.0.wrapping_add(delta))
    }

    /// Milliseconds from `earlier` to this, modulo 2^32.
    pub const fn wrapping_sub(self, earlier: Timestamp) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Serial-number comparison: later by less than half of the number space (24.8 days).
    pub const fn is_after(self, other: Timestamp) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 31
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_compare_across_the_wrap() {
        assert!(Timestamp(5).is_after(Timestamp(u32::MAX - 5)));
        assert!(!Timestamp(u32::MAX - 5).is_after(Timestamp(5)));
        assert!(!Timestamp(7).is_after(Timestamp(7)));
        assert_eq!(Timestamp(5).wrapping_sub(Timestamp(u32::MAX)), 6);
        assert_eq!(Timestamp(u32::MAX).wrapping_add(2), Timestamp(1));
    }

    #[test]
    fn the_drivers_clock_saturates() {
        assert_eq!(MonoTime(u64::MAX) + Duration::from_secs(1), MonoTime(u64::MAX));
        assert_eq!(MonoTime(1).since(MonoTime(5)), Duration::ZERO);
    }
}
