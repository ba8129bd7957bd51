//! `--record-name`: how files of recordings are called, and which files are of one stream.
//!
//! A template of text and `{path}`, `{date}`, `{time}` (UTC, of the file's start) and `{n}` (counts the files of a recording).
//! The result is relative, without extension, and never leads outside: templates hold no `..`, streams cannot (`path`), and
//! names that begin with a dot, which `.weir` does, get an underscore instead.

use crate::server::StreamPath;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, str::FromStr};

/// A template such as `{path}-{date}-{time}-{n}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate {
    parts: Vec<Part>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Path,
    Date,
    Time,
    Number,
}

/// What a template cannot be.
const BAD: &str = "not a file name with {path} and perhaps {date}, {time}, {n}";
/// Files of one stream would pass for those of another, or for none.
const AMBIGUOUS: &str = "{n} needs something that is no digit between it and what stands beside it";

impl FromStr for NameTemplate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<NameTemplate, &'static str> {
        let is_plain = |component: &str| !component.is_empty() && !component.starts_with('.');
        let is_bad = |c: char| c.is_control() || c == '\\' || c == SECOND;
        if !text.split('/').all(is_plain) || text.contains(is_bad) || text.len() > 255 {
            return Err(BAD);
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, after) = behind.split_once('}').ok_or(BAD)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_string()));
            }
            parts.push(match name {
                "path" => Part::Path,
                "date" => Part::Date,
                "time" => Part::Time,
                "n" => Part::Number,
                _ => return Err(BAD),
            });
            rest = after;
        }
        if rest.contains('}') || !parts.contains(&Part::Path) {
            return Err(BAD);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_string()));
        }
        if (0..parts.len()).any(|at| parts[at] == Part::Number && !is_apart(&parts, at)) {
            return Err(AMBIGUOUS);
        }
        Ok(NameTemplate { parts, text: text.to_string() })
    }
}

impl Default for NameTemplate {
    fn default() -> NameTemplate {
        "{path}-{date}-{time}-{n}".parse().expect("the constant is a template: tested")
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl NameTemplate {
    /// Whether `{n}` tells files apart.
    pub(super) fn has_number(&self) -> bool {
        self.parts.contains(&Part::Number)
    }

    /// The name of the file number `number` of a recording of `path` that begins at `seconds` since 1970.
    pub(super) fn name(&self, path: &StreamPath, seconds: u64, number: u32) -> String {
        let (date, time) = date_and_time(seconds);
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name += text,
                Part::Path => name += &file_path(path),
                Part::Date => name += &date,
                Part::Time => name += &time,
                Part::Number => name += &number.to_string(),
            }
        }
        if number > 1 && !self.has_number() {
            name = format!("{name}{SECOND}{number}");
        }
        name
    }

    /// If a file of that name (without extension) is one of the stream: what to order such files by.
    pub(super) fn order(&self, path: &StreamPath, name: &str) -> Option<[u64; 3]> {
        let mut order = [0; 3];
        let mut rest = name;
        for part in &self.parts {
            let (place, digits) = match part {
                Part::Text(text) => {
                    rest = rest.strip_prefix(text.as_str())?;
                    continue;
                }
                Part::Path => {
                    rest = rest.strip_prefix(file_path(path).as_str())?;
                    continue;
                }
                Part::Date => (0, rest.get(..8)?),
                Part::Time => (1, rest.get(..6)?),
                Part::Number => {
                    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                    (2, &rest[..end])
                }
            };
            order[place] = number(digits)?;
            rest = &rest[digits.len()..];
        }
        if let Some(second) = rest.strip_prefix(SECOND).filter(|_| !self.has_number()) {
            order[2] = number(second)?;
            rest = "";
        }
        rest.is_empty().then_some(order)
    }

    /// The stream of a file of that name (without extension) and when it began, in seconds since 1970, as far as the name tells.
    pub(in crate::server) fn read(&self, name: &str) -> Option<(StreamPath, Option<u64>)> {
        let at = self.parts.iter().position(|part| *part == Part::Path)?;
        let front = take_front(name, &self.parts[..at])?;
        let mut rest = match front.rsplit_once(SECOND).filter(|_| !self.has_number()) {
            Some((first, _)) => first,
            None => front,
        };
        let mut is_cut_back = false;
        for part in self.parts[at + 1..].iter().rev() {
            // A number takes the digits in front of it along.
            if is_cut_back && matches!(part, Part::Date | Part::Time) {
                continue;
            }
            is_cut_back = *part == Part::Number;
            rest = match part {
                Part::Text(text) => rest.strip_suffix(text.as_str())?,
                Part::Date => rest.get(..rest.len().checked_sub(8)?)?,
                Part::Time => rest.get(..rest.len().checked_sub(6)?)?,
                Part::Number => rest.trim_end_matches(|c: char| c.is_ascii_digit()),
                // Nobody names it twice.
                Part::Path => return None,
            };
        }
        let path = StreamPath::join("", "", rest).ok()?;
        let order = self.order(&path, name)?;
        let has_time = self.parts.contains(&Part::Date) && self.parts.contains(&Part::Time);
        Some((path, if has_time { seconds(order[0], order[1]) } else { None }))
    }

    /// Whether a file of that name (without extension) is one of the stream.
    pub(in crate::server) fn is_of(&self, path: &StreamPath, name: &str) -> bool {
        self.order(path, name).is_some()
    }

    /// The folder that holds all files of a stream, and how many folders may lie between.
    pub(super) fn folder(&self, path: &StreamPath) -> (String, usize) {
        let mut fixed = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => fixed += text,
                Part::Path => fixed += &file_path(path),
                _ => break,
            }
        }
        let all = self.name(path, 0, 1);
        let folder = fixed.rsplit_once('/').map_or("", |(folder, _)| folder);
        let depth = |name: &str| name.split('/').filter(|component| !component.is_empty()).count();
        (folder.to_string(), depth(&all) - 1 - depth(folder))
    }
}

/// Whether the number at `at` can be told from a path that ends with digits in front of it, and from digits behind it.
fn is_apart(parts: &[Part], at: usize) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    let behind = match parts.get(at + 1) {
        Some(Part::Text(text)) => !text.starts_with(is_digit),
        Some(_) => false,
        None => true,
    };
    let before = parts[..at].iter().rev().find(|part| match part {
        Part::Text(text) => !text.chars().all(is_digit),
        Part::Path | Part::Number => true,
        Part::Date | Part::Time => false,
    });
    behind && !matches!(before, Some(Part::Path | Part::Number))
}

/// A number from `from` on that is not taken, one behind those that are; found in few looks however many there are. Where
/// files in between were removed, it may be any of theirs.
pub(super) fn first_free(from: u32, is_taken: impl Fn(u32) -> bool) -> u32 {
    if !is_taken(from) {
        return from;
    }
    // Steps are doubled until a number is free; then halved.
    let (mut taken, mut step) = (from, 1_u32);
    let mut free = loop {
        let next = taken.saturating_add(step);
        if next == u32::MAX || !is_taken(next) {
            break next;
        }
        taken = next;
        step = step.saturating_mul(2);
    };
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_taken(middle) { taken = middle } else { free = middle }
    }
    free
}

fn number(digits: &str) -> Option<u64> {
    // No sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// A stream's path as part of a file name.
fn file_path(path: &StreamPath) -> String {
    let components = path.as_str().split('/').map(|component| match component.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => component.to_string(),
    });
    components.collect::<Vec<String>>().join("/").replace(SECOND, "_")
}

/// What is left of a name behind parts of known length.
fn take_front<'a>(mut name: &'a str, parts: &[Part]) -> Option<&'a str> {
    for part in parts {
        name = match part {
            Part::Text(text) => name.strip_prefix(text.as_str())?,
            Part::Date => name.get(8..)?,
            Part::Time => name.get(6..)?,
            Part::Number => name.trim_start_matches(|c: char| c.is_ascii_digit()),
            Part::Path => return None,
        };
    }
    Some(name)
}

/// Since 1970, of a date and a time as numbers of eight and six digits.
fn seconds(date: u64, time: u64) -> Option<u64> {
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    // As below: years begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + time / 10_000 * 3600 + time / 100 % 100 * 60 + time % 100)
}

/// `YYYYMMDD` and `HHMMSS`, UTC.
fn date_and_time(seconds: u64) -> (String, String) {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, of which 400 years always have 146097; years begin in March, so that leap days come last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (era * 400 + year, month + 3),
        _ => (era * 400 + year + 1, month - 9),
    };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    (format!("{year:04}{month:02}{day:02}"), format!("{hour:02}{minute:02}{second:02}"))
}

/// Before the number of a second file of the same name; no stream's file name holds it.
const SECOND: char = '~';

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> StreamPath {
        StreamPath::join("", "", text).unwrap()
    }

    fn template(text: &str) -> NameTemplate {
        text.parse().unwrap()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date, time) in [
            (0, "19700101", "000000"),
            (951_782_400, "20000229", "000000"),
            (1_709_251_199, "20240229", "235959"),
            (1_709_251_200, "20240301", "000000"),
            (1_735_689_599, "20241231", "235959"),
            (4_107_542_399, "21000228", "235959"),
            (4_107_542_400, "21000301", "000000"),
        ] {
            assert_eq!(date_and_time(seconds), (date.to_string(), time.to_string()));
            assert_eq!(super::seconds(date.parse().unwrap(), time.parse().unwrap()), Some(seconds));
        }
    }

    #[test]
    fn names_tell_their_stream_and_time() {
        let read = |text: &str, name: &str| {
            let (path, at) = template(text).read(name)?;
            Some((path.to_string(), at))
        };
        let cam = |at| Some(("live/cam-1".to_string(), at));
        let default = "{path}-{date}-{time}-{n}";
        assert_eq!(read(default, "live/cam-1-20000229-000000-3"), cam(Some(951_782_400)));
        assert_eq!(read("{path}", "live/cam-1"), cam(None));
        assert_eq!(read("{path}", "live/cam-1~2"), cam(None));
        assert_eq!(read("{date}/{path}_{n}", "20000229/live/cam-1_7"), cam(None));
        assert_eq!(read("{path}-{date}{n}", "live/cam-1-200002297"), cam(None));
        assert_eq!(read("{path}/{path}.{n}", "live/cam-1/live/cam-1.7"), None);
        for name in
            ["", "live/cam", "live/cam-20000229-3", "-20000229-000000-3", "live/cam-2000022x-000000-3"]
        {
            assert_eq!(read(default, name), None, "{name}");
        }
    }

    #[test]
    fn templates_are_filled_in() {
        let cam = path("live/cam");
        let default = NameTemplate::default();
        assert_eq!(default.name(&cam, 951_782_400, 3), "live/cam-20000229-000000-3");
        assert_eq!(template("{path}").name(&cam, 0, 1), "live/cam");
        assert_eq!(template("{path}").name(&cam, 0, 2), "live/cam~2");
        assert_eq!(template("{date}/{path}/part{n}").name(&cam, 0, 2), "19700101/live/cam/part2");
    }

    #[test]
    fn templates_that_lead_outside_or_make_no_sense_are_refused() {
        for text in [
            "",
            "x",
            "/{path}",
            "../{path}",
            "{path}/../x",
            "a//{path}",
            ".weir/{path}",
            "{path}{",
            "{path}}",
            "{paths}",
            "{path}/",
            "{path}\n",
            "{path}~1",
            "{n}",
            // live/cam21 would be of live/cam2 and of live/cam.
            "{path}{n}",
            "{path}{date}{n}",
            "{path}0{n}",
            "{n}{path}",
            "{n}{date}-{path}",
            "{path}-{n}0",
            "{n}{n}-{path}",
        ] {
            assert!(text.parse::<NameTemplate>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_stream_reaches_the_folder_of_the_markers() {
        let name = template("{path}").name(&path(".weir/.x/y~2"), 0, 1);
        assert_eq!(name, "_weir/_x/y_2");
    }

    #[test]
    fn files_of_a_stream_are_known_by_their_names_and_ordered() {
        let (cam, other) = (path("live/cam"), path("live/cam-20000229"));
        for text in [
            "{path}-{date}-{time}-{n}",
            "{path}/{date}-{time}",
            "{date}/{path}_{n}",
            "{path}",
            "{n}_{path}",
            "{path}-{date}{n}",
        ] {
            let template = template(text);
            let name = template.name(&cam, 951_782_400, 12);
            let order = template.order(&cam, &name).unwrap();
            assert_eq!(order[2], 12, "{name}");
            assert!(order[0] == 0 || order[0] == 20_000_229);
            assert_eq!(template.order(&other, &name), None, "{name}");
            assert_eq!(template.read(&name).unwrap().0, cam, "{name}");
            assert_eq!(template.order(&cam, &format!("{name}x")), None);
            assert_eq!(template.order(&cam, &template.name(&other, 951_782_400, 12)), None, "{text}");
        }
        assert_eq!(template("{path}").order(&cam, "live/cam"), Some([0; 3]));
        assert_eq!(template("{path}-{date}").order(&cam, "live/cam-+2000022"), None);
        assert_eq!(template("{path}-{date}").order(&cam, "live/cam-ééé"), None);
    }

    #[test]
    fn the_number_behind_a_million_files_is_found_in_few_looks() {
        for (from, files) in [(1, 0), (1, 1), (1, 2), (1, 3), (1, 1000), (7, 1000), (1, 1_000_000)] {
            let looks = core::cell::Cell::new(0);
            let is_taken = |number| {
                looks.set(looks.get() + 1);
                number <= files
            };
            assert_eq!(first_free(from, is_taken), from.max(files + 1), "{files} from {from}");
            assert!(looks.get() <= 41, "{} looks for {files}", looks.get());
        }
        // Some were removed.
        let is_taken = |number: u32| number < 5 || (20..40).contains(&number);
        let free = first_free(1, is_taken);
        assert!(!is_taken(free) && is_taken(free - 1), "{free}");
        assert_eq!(first_free(u32::MAX - 3, |_| true), u32::MAX);
    }

    #[test]
    fn the_folder_of_a_stream_holds_all_its_files() {
        let cam = path("live/cam");
        for (text, folder, depth) in [
            ("{path}-{date}", "live", 0),
            ("{path}/{date}/{time}-{n}", "live/cam", 1),
            ("{date}/{path}", "", 2),
            ("a/{n}/{path}", "a", 2),
        ] {
            assert_eq!(template(text).folder(&cam), (folder.to_string(), depth), "{text}");
        }
    }
}
