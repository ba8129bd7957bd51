//! The clock of audio: milliseconds from a count of samples.

/// Counts samples. Roundings do not add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleClock {
    /// When `samples` was 0.
    base: u64,
    samples: u64,
    rate: u32,
}

impl SampleClock {
    /// One that shows so many samples at a rate.
    pub const fn at(samples: u64, rate: u32) -> SampleClock {
        SampleClock { base: 0, samples, rate }
    }

    /// The samples from here on have this rate.
    pub fn set_rate(&mut self, rate: u32) {
        if rate != self.rate {
            *self = SampleClock { base: self.milliseconds(), samples: 0, rate };
        }
    }

    /// So many samples later.
    pub fn advance(&mut self, samples: u32) {
        self.samples += u64::from(samples);
    }

    /// Rounded.
    pub fn milliseconds(&self) -> u64 {
        let rate = u64::from(self.rate.max(1));
        self.base + (self.samples * 1000 + rate / 2) / rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roundings_do_not_add_up_and_another_rate_goes_on_from_there() {
        let mut clock = SampleClock::at(0, 44_100);
        let times: [u64; 4] = core::array::from_fn(|_| {
            clock.advance(1024);
            clock.milliseconds()
        });
        assert_eq!(times, [23, 46, 70, 93]);
        clock.set_rate(8000);
        clock.advance(1024);
        assert_eq!(clock.milliseconds(), 93 + 128);
        assert_eq!(SampleClock::at(441_000, 44_100).milliseconds(), 10_000);
        assert_eq!(SampleClock::default().milliseconds(), 0);
    }
}
