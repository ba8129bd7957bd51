//! Dates of HTTP: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
//!
//! Only this form is read. The two obsolete ones, which no client of today sends, count as no date: a condition with
//! one does not hold, and the whole representation is sent.

use core::fmt;

/// A point of the wall clock, to the second: seconds since the start of 1970. Supplied by the driver, as the core knows no
/// clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub u64);

/// The start of the year 10000, which the form cannot say: shown as the last second before it.
const END: u64 = 253_402_300_800;
const DAY: u64 = 86_400;
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Days before each month in a year that begins in March, so that the leap day is its last.
const DAYS_BEFORE: [u64; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];
/// Days from 1 March of the year 0 to the start of 1970.
const EPOCH: u64 = 719_468;

impl Date {
    /// Reads one; `None` for anything else.
    pub fn parse(text: &str) -> Option<Date> {
        let bytes = text.as_bytes();
        if bytes.len() != 29 || !text.is_ascii() || !DAYS.contains(&&text[..3]) {
            return None;
        }
        let has_form = &text[3..5] == ", "
            && [7, 11, 16].iter().all(|at| bytes[*at] == b' ')
            && [19, 22].iter().all(|at| bytes[*at] == b':')
            && &text[25..] == " GMT";
        let number = |from: usize, to: usize| {
            let digits = &text[from..to];
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten()
        };
        let (day, year) = (number(5, 7)?, number(12, 16)?);
        let month = MONTHS.iter().position(|name| *name == &text[8..11])?;
        let (hour, minute, second) = (number(17, 19)?, number(20, 22)?, number(23, 25)?);
        // A leap second counts as the one behind it.
        if !has_form || year < 1970 || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (year, from_march) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
        let days =
            year * 365 + year / 4 - year / 100 + year / 400 + DAYS_BEFORE[from_march] + day - 1 - EPOCH;
        Some(Date(days * DAY + hour * 3600 + minute * 60 + second))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.min(END - 1);
        let (days, time) = (seconds / DAY, seconds % DAY);
        // Years that begin in March, in the 400 years after which leap days repeat.
        let since = days + EPOCH;
        let (era, day) = (since / 146_097, since % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let from_march = DAYS_BEFORE.partition_point(|before| *before <= day) - 1;
        let day = day - DAYS_BEFORE[from_march] + 1;
        let month = (from_march + 2) % 12;
        let year = era * 400 + year + u64::from(month < 2);
        write!(
            f,
            "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
            DAYS[(days % 7) as usize],
            MONTHS[month],
            time / 3600,
            time / 60 % 60,
            time % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn dates_are_written_and_read_alike() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (END - 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(Date(seconds).to_string(), text);
            assert_eq!(Date::parse(text), Some(Date(seconds)), "{text}");
        }
        for day in (0..END / DAY).step_by(13) {
            let date = Date(day * DAY + day % DAY);
            assert_eq!(Date::parse(&date.to_string()), Some(date), "{date}");
        }
        assert_eq!(Date(u64::MAX).to_string(), Date(END - 1).to_string());
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nox 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08.49:37 GMT",
            "S\u{fc}, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }
}
