//! The `Range` header (RFC 2326, 3.5 to 3.7 and 12.29): `npt=12.5-30`, `npt=now-`, `clock=20240501T120000Z-`,
//! `smpte=10:07:00-`.
//!
//! Not here: what there is to play. A `time` parameter (when to begin) is passed over. Numbers are exact to the nanosecond
//! and bounded: digits that do not fit are no time.

use alloc::string::String;
use core::{fmt, time::Duration};

/// How positions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Normal play time: from the start of the presentation.
    Npt,
    /// The wall clock: since the start of 1970, UTC.
    Clock,
    /// From the start of the presentation, in hours, minutes, seconds and so many frames a second.
    Smpte(Frames),
}

/// Frames a second of SMPTE times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// `smpte`: 29.97, counted as 30.
    Thirty,
    /// `smpte-30-drop`, which leaves numbers out so that it keeps up with the clock: read as 30, too, at most two
    /// frames off.
    ThirtyDrop,
    /// `smpte-25`
    TwentyFive,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Where a live stream is now.
    Now,
    /// So far from the zero of the unit.
    At(Duration),
}

/// A stretch of a presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// How both ends are counted.
    pub unit: Unit,
    /// `None` if only the end was said: from where it stands.
    pub start: Option<Point>,
    /// `None`: to the end.
    pub end: Option<Duration>,
}

const DAY: u64 = 86_400;

impl Range {
    /// From a position of the normal play time on.
    pub fn npt(start: Duration, end: Option<Duration>) -> Range {
        Range { unit: Unit::Npt, start: Some(Point::At(start)), end }
    }

    /// `npt=now-`
    pub fn now() -> Range {
        Range { unit: Unit::Npt, start: Some(Point::Now), end: None }
    }

    /// Reads one; `None` if it is none, or if its unit is unknown.
    pub fn parse(text: &str) -> Option<Range> {
        let text = text.split(';').next()?.trim();
        let (unit, times) = text.split_once('=')?;
        let unit = [
            ("npt", Unit::Npt),
            ("clock", Unit::Clock),
            ("smpte", Unit::Smpte(Frames::Thirty)),
            ("smpte-30-drop", Unit::Smpte(Frames::ThirtyDrop)),
            ("smpte-25", Unit::Smpte(Frames::TwentyFive)),
        ]
        .into_iter()
        .find_map(|(name, of)| unit.trim().eq_ignore_ascii_case(name).then_some(of))?;
        let (start, end) = times.split_once('-').unwrap_or((times, ""));
        let (start, end) = (start.trim(), end.trim());
        let time = |text: &str| match unit {
            Unit::Npt => npt(text),
            Unit::Clock => clock(text),
            Unit::Smpte(frames) => smpte(text, frames),
        };
        let start = match start {
            "" => None,
            "now" if unit == Unit::Npt => Some(Point::Now),
            text => Some(Point::At(time(text)?)),
        };
        let end = if end.is_empty() { None } else { Some(time(end)?) };
        (start.is_some() || end.is_some()).then_some(Range { unit, start, end })
    }

    /// It ends before it begins, as GStreamer asks for what it plays backwards (`npt=8-0` with `Scale: -1`).
    pub fn is_backwards(&self) -> bool {
        matches!((self.start, self.end), (Some(Point::At(start)), Some(end)) if end < start)
    }
}

fn number(digits: &str) -> Option<u64> {
    // Ten digits of any unit still fit when they are multiplied.
    let is_number = (1..=10).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// What stands behind a decimal point.
fn nanoseconds(digits: &str) -> Option<u32> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let first = digits.bytes().chain(core::iter::repeat(b'0')).take(9);
    Some(first.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
}

/// `12.5` or `1:02:03.5`.
fn npt(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut seconds: u64 = 0;
    for (place, part) in whole.split(':').enumerate() {
        if place > 2 {
            return None;
        }
        seconds = seconds.checked_mul(60)?.checked_add(number(part)?)?;
    }
    Some(Duration::new(seconds, nanoseconds(fraction)?))
}

/// `10:07:33:05.01`: frames and hundredths of one may be missing, and seconds, too.
fn smpte(text: &str, frames: Frames) -> Option<Duration> {
    let rate = match frames {
        Frames::Thirty | Frames::ThirtyDrop => 30,
        Frames::TwentyFive => 25,
    };
    let mut parts = text.split(':');
    let mut seconds: u64 = 0;
    for _ in 0..3 {
        seconds = seconds.checked_mul(60)?.checked_add(parts.next().map_or(Some(0), number)?)?;
    }
    let (frame, part) = parts.next().map_or(("0", ""), |text| text.split_once('.').unwrap_or((text, "")));
    let frame = number(frame).filter(|frame| *frame < rate)?;
    let nanos = (frame * 1_000_000_000 + u64::from(nanoseconds(part)?)) / rate;
    parts.next().is_none().then_some(Duration::new(seconds, nanos as u32))
}

/// `20240501T120000.25Z`.
fn clock(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (date, time) = whole.split_once('T')?;
    if date.len() != 8 || time.len() != 6 || !whole.is_ascii() {
        return None;
    }
    let (year, month, day) = (number(&date[..4])?, number(&date[4..6])?, number(&date[6..])?);
    let (hour, minute, second) = (number(&time[..2])?, number(&time[2..4])?, number(&time[4..])?);
    let is_date = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    Some(Duration::new(seconds, nanoseconds(fraction)?))
}

/// Of a date from 1970 on. Years begin in March, so that the leap day is their last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468
}

fn date_of(days: u64) -> (u64, u64, u64) {
    let since = days + 719_468;
    let (era, day) = (since / 146_097, since % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let (next, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (era * 400 + year + next, month, day - first + 1)
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Npt => "npt",
            Unit::Clock => "clock",
            Unit::Smpte(Frames::Thirty) => "smpte",
            Unit::Smpte(Frames::ThirtyDrop) => "smpte-30-drop",
            Unit::Smpte(Frames::TwentyFive) => "smpte-25",
        }
    }

    fn write(self, f: &mut impl fmt::Write, time: Duration) -> fmt::Result {
        let seconds = time.as_secs();
        match self {
            Unit::Npt => write!(f, "{seconds}.{:03}", time.subsec_millis()),
            Unit::Clock => {
                let (year, month, day) = date_of(seconds / DAY);
                let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
                write!(f, "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}")?;
                match time.subsec_millis() {
                    0 => f.write_char('Z'),
                    millis => write!(f, ".{millis:03}Z"),
                }
            }
            Unit::Smpte(frames) => {
                let rate = if frames == Frames::TwentyFive { 25 } else { 30 };
                let frame = u64::from(time.subsec_nanos()) * rate / 1_000_000_000;
                let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
                write!(f, "{hour:02}:{minute:02}:{second:02}:{frame:02}")
            }
        }
    }
}

impl fmt::Display for Range {
    /// As it stands in the header. ffmpeg and live555 read three decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from(self.unit.name());
        text.push('=');
        match self.start {
            Some(Point::Now) => text.push_str("now"),
            Some(Point::At(start)) => self.unit.write(&mut text, start)?,
            None => {}
        }
        text.push('-');
        if let Some(end) = self.end {
            self.unit.write(&mut text, end)?;
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn at(millis: u64) -> Option<Point> {
        Some(Point::At(Duration::from_millis(millis)))
    }

    #[test]
    fn all_forms_are_read_and_written() {
        let end = |millis| Some(Duration::from_millis(millis));
        let smpte = Unit::Smpte(Frames::Thirty);
        // 1 May 2024, 12:00.
        let noon = 1_714_564_800_000;
        for (text, unit, start, end, written) in [
            ("npt=0.000-", Unit::Npt, at(0), None, "npt=0.000-"),
            ("npt=0-", Unit::Npt, at(0), None, "npt=0.000-"),
            ("npt=12.5-30", Unit::Npt, at(12_500), end(30_000), "npt=12.500-30.000"),
            ("npt=4.869-", Unit::Npt, at(4869), None, "npt=4.869-"),
            ("npt=now-", Unit::Npt, Some(Point::Now), None, "npt=now-"),
            ("npt=now-12", Unit::Npt, Some(Point::Now), end(12_000), "npt=now-12.000"),
            ("npt=00:01:02.5-", Unit::Npt, at(62_500), None, "npt=62.500-"),
            ("npt=-30", Unit::Npt, None, end(30_000), "npt=-30.000"),
            ("npt=8-0", Unit::Npt, at(8000), end(0), "npt=8.000-0.000"),
            ("NPT = 5", Unit::Npt, at(5000), None, "npt=5.000-"),
            ("npt=5-;time=19970123T143720Z", Unit::Npt, at(5000), None, "npt=5.000-"),
            ("clock=20240501T120000Z-", Unit::Clock, at(noon), None, "clock=20240501T120000Z-"),
            (
                "clock=20240501T120000.25Z-20240501T121000Z",
                Unit::Clock,
                at(noon + 250),
                end(noon + 600_000),
                "clock=20240501T120000.250Z-20240501T121000Z",
            ),
            ("smpte=10:07:00-", smpte, at(36_420_000), None, "smpte=10:07:00:00-"),
            ("smpte=0:0:1:15-", smpte, at(1500), None, "smpte=00:00:01:15-"),
            (
                "smpte-25=0:0:1:05.00-",
                Unit::Smpte(Frames::TwentyFive),
                at(1200),
                None,
                "smpte-25=00:00:01:05-",
            ),
        ] {
            let range = Range::parse(text);
            assert_eq!(range, Some(Range { unit, start, end }), "{text}");
            assert_eq!(format!("{}", range.expect("one")), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_none() {
        for text in [
            "",
            "npt",
            "npt=",
            "npt=-",
            "bytes=0-1",
            "npt=a-",
            "npt=+1-",
            "npt=1e5-",
            "npt=1:2:3:4-",
            "npt=12345678901-",
            "npt=1.x-",
            "npt=NOW-now",
            "clock=now-",
            "clock=20241301T000000Z-",
            "clock=20240501T250000Z-",
            "clock=19690101T000000Z-",
            "clock=2024-",
            "smpte=0:0:0:30-",
            "smpte=1:2:3:4:5-",
        ] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (year, month, day, days) in [
            (1970, 1, 1, 0),
            (2000, 2, 29, 11_016),
            (2000, 3, 1, 11_017),
            (2024, 12, 31, 20_088),
            (2100, 3, 1, 47_541),
        ] {
            assert_eq!(days_since_1970(year, month, day), days);
            assert_eq!(date_of(days), (year, month, day));
        }
    }
}
