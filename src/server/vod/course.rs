//! What a client of RTSP asks for of a file, and what it gets: from where to where, how fast, which frames, with which times.
//!
//! In: Range, Scale and Speed of a PLAY (RFC 2326, 12.29, 12.34, 12.35), what is known of the file. Out: positions, rates, the
//! times that frames are sent with. Pure. Not here: reading, sending.
//!
//! `Scale` changes what is shown in a second, `Speed` how many seconds are sent in one. Sound is sent at scale 1 alone, because
//! it has one pace. Below [`FAST`] all pictures are sent with other times; from there on, and backwards, keyframes, and
//! some ten a second at most ([`STEP`]).

use crate::rtsp::{Point, Range, Status, Unit};
use core::time::Duration;

/// Scale from which on only keyframes are sent.
const FAST: f64 = 2.0;
/// The slowest and the fastest scale, in either direction; backwards 1 is the slowest.
const SCALES: (f64, f64) = (0.125, 32.0);
/// The slowest and the fastest delivery.
const SPEEDS: (f64, f64) = (0.25, 8.0);
/// Milliseconds on the client's screen from one keyframe to where the next one is looked for.
const STEP: f64 = 100.0;

/// How a file is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    /// Not 0; negative: backwards.
    pub(super) scale: f64,
    /// Above 0.
    pub(super) speed: f64,
}

/// Which of a file's frames are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frames {
    /// All of them.
    All,
    /// All pictures, and no sound.
    Pictures,
    /// Only those pictures.
    Keyframes,
}

/// What is asked for of a file, in milliseconds from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// `None`: from where it stands.
    pub(super) start: Option<u32>,
    /// `None`: to the end, or the start.
    pub(super) end: Option<u32>,
}

impl Course {
    /// The nearest to what is asked for. What has no pictures has one scale.
    pub(super) fn choose(scale: Option<f64>, speed: Option<f64>, has_video: bool) -> Course {
        let scale = match scale.filter(|_| has_video) {
            None => 1.0,
            Some(scale) if scale < 0.0 => scale.clamp(-SCALES.1, -1.0),
            Some(scale) => scale.clamp(SCALES.0, SCALES.1),
        };
        Course { scale, speed: speed.unwrap_or(1.0).clamp(SPEEDS.0, SPEEDS.1) }
    }

    pub(super) fn is_backwards(self) -> bool {
        self.scale < 0.0
    }

    pub(super) fn frames(self) -> Frames {
        if self.scale == 1.0 {
            Frames::All
        } else if (0.0..FAST).contains(&self.scale) {
            Frames::Pictures
        } else {
            Frames::Keyframes
        }
    }

    /// Nanoseconds on the client's screen from the start of the play to a position that is so many nanoseconds of the file from there.
    pub(super) fn shown(self, from_start: i64) -> i64 {
        if self.scale == 1.0 { from_start } else { (from_start as f64 / self.scale) as i64 }
    }

    /// Milliseconds after which what is shown then is sent: `shown` in nanoseconds.
    pub(super) fn delivered(self, shown: i64) -> u32 {
        (shown.max(0) as f64 / self.speed / 1e6) as u32
    }

    /// Milliseconds of the file, with their sign, that are played in so many milliseconds.
    pub(super) fn played(self, passed: i64) -> i64 {
        (passed as f64 * self.speed * self.scale) as i64
    }

    /// Where the next keyframe is looked for, at the earliest: `None` before the start of the file.
    pub(super) fn next_step(self, position: u32) -> Option<u32> {
        let step = (STEP * self.scale).abs().max(1.0) as u32;
        if self.is_backwards() { position.checked_sub(step) } else { position.checked_add(step) }
    }
}

impl Span {
    /// Of a file so many milliseconds long (0: unknown), which began at that time of day, if that is known.
    ///
    /// # Errors
    /// 457 if it begins behind the end of the file, 456 if it is counted in a way that means nothing here.
    pub(super) fn of(
        range: Option<&Range>,
        duration: u32,
        began: Option<Duration>,
        course: Course,
    ) -> Result<Span, Status> {
        let Some(range) = range else { return Ok(Span { start: None, end: None }) };
        let zero = match (range.unit, began) {
            (Unit::Clock, None) => return Err(Status::HEADER_NOT_VALID),
            (Unit::Clock, Some(began)) => began,
            _ => Duration::ZERO,
        };
        // Behind the end, also of a file whose length nobody knows, nothing can be.
        let millis = |at: Duration| {
            let at = at.checked_sub(zero)?.as_millis();
            u32::try_from(at).ok().filter(|at| duration == 0 || *at <= duration)
        };
        let start = match range.start {
            Some(Point::At(at)) => Some(millis(at).ok_or(Status::INVALID_RANGE)?),
            // Where a file is now is where it stands.
            Some(Point::Now) | None => None,
        };
        if range.end.is_some_and(|end| end < zero) {
            return Err(Status::INVALID_RANGE);
        }
        let end = range.end.and_then(millis).filter(|end| duration == 0 || *end < duration);
        // A stretch is played backwards from its end on, whichever way it is said.
        Ok(match (course.is_backwards(), end) {
            (true, Some(end)) if !range.is_backwards() => Span { start: Some(end), end: start },
            _ => Span { start, end },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(scale: f64) -> Course {
        Course::choose(Some(scale), None, true)
    }

    #[test]
    fn the_nearest_rates_that_can_be_had_are_chosen() {
        for (scale, used, frames) in [
            (1.0, 1.0, Frames::All),
            (0.5, 0.5, Frames::Pictures),
            (1.5, 1.5, Frames::Pictures),
            (2.0, 2.0, Frames::Keyframes),
            (8.0, 8.0, Frames::Keyframes),
            (1000.0, 32.0, Frames::Keyframes),
            (0.001, 0.125, Frames::Pictures),
            (-0.5, -1.0, Frames::Keyframes),
            (-1.0, -1.0, Frames::Keyframes),
            (-4.0, -4.0, Frames::Keyframes),
            (-1e300, -32.0, Frames::Keyframes),
        ] {
            let chosen = course(scale);
            assert_eq!((chosen.scale, chosen.frames()), (used, frames), "{scale}");
        }
        for (speed, used) in [(None, 1.0), (Some(2.0), 2.0), (Some(100.0), 8.0), (Some(0.01), 0.25)] {
            assert_eq!(Course::choose(None, speed, true), Course { scale: 1.0, speed: used });
        }
        assert_eq!(Course::choose(Some(-4.0), None, false).scale, 1.0, "sound has one pace");
    }

    #[test]
    fn times_are_divided_by_the_scale_and_their_delivery_by_the_speed() {
        let second = 1_000_000_000;
        assert_eq!(course(1.0).shown(second + 1), second + 1, "to the nanosecond");
        assert_eq!(course(0.5).shown(second), 2 * second);
        assert_eq!(course(8.0).shown(8 * second), second);
        assert_eq!(course(-2.0).shown(-10 * second), 5 * second);
        let fast = Course::choose(None, Some(4.0), true);
        assert_eq!(fast.delivered(second), 250);
        assert_eq!(fast.delivered(-second), 0);
        assert_eq!((fast.played(250), course(-4.0).played(250)), (1000, -1000));
    }

    #[test]
    fn keyframes_come_ten_times_a_second_at_most() {
        assert_eq!(course(8.0).next_step(1000), Some(1800));
        assert_eq!(course(-8.0).next_step(1000), Some(200));
        assert_eq!(course(-8.0).next_step(799), None);
        assert_eq!(course(8.0).next_step(u32::MAX), None);
    }

    #[test]
    fn ranges_are_places_in_the_file_or_refused() {
        let noon = Duration::from_secs(1_714_564_800);
        let of = |text: &str, began| {
            let range = Range::parse(text).expect(text);
            Span::of(Some(&range), 60_000, began, course(1.0)).map(|span| (span.start, span.end))
        };
        for (text, expected) in [
            ("npt=0-", Ok((Some(0), None))),
            ("npt=12.5-30", Ok((Some(12_500), Some(30_000)))),
            ("npt=12.5-60", Ok((Some(12_500), None))),
            ("npt=12.5-999", Ok((Some(12_500), None))),
            ("npt=-30", Ok((None, Some(30_000)))),
            ("npt=now-", Ok((None, None))),
            ("npt=60-", Ok((Some(60_000), None))),
            ("npt=60.001-", Err(Status::INVALID_RANGE)),
            ("npt=9999999999-", Err(Status::INVALID_RANGE)),
            ("smpte=0:0:30-", Ok((Some(30_000), None))),
            ("clock=20240501T120000Z-", Err(Status::HEADER_NOT_VALID)),
        ] {
            assert_eq!(of(text, None), expected, "{text}");
        }
        for (text, expected) in [
            ("clock=20240501T120010.5Z-20240501T120020Z", Ok((Some(10_500), Some(20_000)))),
            ("clock=20240501T115959Z-", Err(Status::INVALID_RANGE)),
            ("clock=20240501T120101Z-", Err(Status::INVALID_RANGE)),
            ("npt=5-", Ok((Some(5000), None))),
        ] {
            assert_eq!(of(text, Some(noon)), expected, "{text}");
        }
        assert_eq!(Span::of(None, 60_000, None, course(1.0)), Ok(Span { start: None, end: None }));
        let unknown = Span::of(Range::parse("npt=99999-").as_ref(), 0, None, course(1.0));
        assert_eq!(unknown, Ok(Span { start: Some(99_999_000), end: None }));
    }

    #[test]
    fn a_stretch_is_played_backwards_from_its_end() {
        let of = |text: &str| Span::of(Range::parse(text).as_ref(), 60_000, None, course(-2.0));
        assert_eq!(of("npt=10-20"), Ok(Span { start: Some(20_000), end: Some(10_000) }));
        assert_eq!(of("npt=20-10"), Ok(Span { start: Some(20_000), end: Some(10_000) }));
        assert_eq!(of("npt=8-0"), Ok(Span { start: Some(8000), end: Some(0) }));
        assert_eq!(of("npt=20-"), Ok(Span { start: Some(20_000), end: None }));
    }
}
