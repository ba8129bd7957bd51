//! What a scenario measured and how it compares with its bounds.

use crate::stage::Problem;
use std::{fmt::Write, time::Duration};

/// Figures and checks, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    mark: Mark,
    what: String,
    seen: String,
    /// Empty for a figure without one.
    bound: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Figure,
    Holds,
    Fails,
}

/// How a scenario went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every check holds.
    Passed,
    /// One does not, or the scenario broke off.
    Failed,
    /// This machine cannot run it, and why.
    NotRun(String),
}

impl Report {
    /// A figure without a bound.
    pub(crate) fn figure(&mut self, what: impl Into<String>, seen: impl Into<String>) {
        self.push(Mark::Figure, what.into(), seen.into(), String::new());
    }

    /// `seen` must not be above `bound`. What is no number fails.
    pub(crate) fn at_most(&mut self, what: impl Into<String>, seen: f64, bound: f64, unit: &str) {
        self.compare(what.into(), seen, bound, unit, "at most", seen <= bound);
    }

    /// `seen` must not be below `bound`. What is no number fails.
    pub(crate) fn at_least(&mut self, what: impl Into<String>, seen: f64, bound: f64, unit: &str) {
        self.compare(what.into(), seen, bound, unit, "at least", seen >= bound);
    }

    /// `seen` must be `expected`.
    pub(crate) fn equal(&mut self, what: impl Into<String>, seen: usize, expected: usize) {
        let mark = if seen == expected { Mark::Holds } else { Mark::Fails };
        self.push(mark, what.into(), seen.to_string(), expected.to_string());
    }

    /// `holds`, of which `seen` tells more.
    pub(crate) fn check(&mut self, what: impl Into<String>, holds: bool, seen: impl Into<String>) {
        let mark = if holds { Mark::Holds } else { Mark::Fails };
        self.push(mark, what.into(), seen.into(), "yes".into());
    }

    fn compare(&mut self, what: String, seen: f64, bound: f64, unit: &str, how: &str, holds: bool) {
        let mark = if holds { Mark::Holds } else { Mark::Fails };
        let number = |value: f64| format!("{}{unit}", short(value));
        self.push(mark, what, number(seen), format!("{how} {}", number(bound)));
    }

    fn push(&mut self, mark: Mark, what: String, seen: String, bound: String) {
        self.lines.push(Line { mark, what, seen, bound });
    }

    /// What comes of all lines and of how the scenario ended, which is noted if that was early.
    pub(crate) fn verdict(&mut self, end: Result<(), Problem>) -> Verdict {
        match end {
            Ok(()) if self.lines.iter().any(|line| line.mark == Mark::Fails) => Verdict::Failed,
            // A scenario that checks nothing shows nothing.
            Ok(()) if self.lines.iter().all(|line| line.mark == Mark::Figure) => Verdict::Failed,
            Ok(()) => Verdict::Passed,
            Err(Problem::CannotRun(why)) => Verdict::NotRun(why),
            Err(Problem::Broken(why)) => {
                self.check("came to its end", false, why);
                Verdict::Failed
            }
        }
    }

    /// As a small table.
    pub(crate) fn text(&self, name: &str, time: Duration, verdict: &Verdict) -> String {
        let outcome = match verdict {
            Verdict::Passed => "passed".into(),
            Verdict::Failed => "FAILED".into(),
            Verdict::NotRun(why) => format!("NOT RUN: {why}"),
        };
        let mut text = format!("{name}: {outcome} ({} s)\n", time.as_secs());
        for line in &self.lines {
            let mark = match line.mark {
                Mark::Figure => "",
                Mark::Holds => "ok",
                Mark::Fails => "FAILS",
            };
            let bound = if line.bound.is_empty() { String::new() } else { format!("  [{}]", line.bound) };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {mark:5} {:62} {}{bound}", line.what, line.seen);
        }
        text
    }
}

/// Three digits, or all in front of the point.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_check_that_fails_is_enough_and_no_check_is_no_success() {
        let mut report = Report::default();
        report.figure("a", "1");
        assert_eq!(report.verdict(Ok(())), Verdict::Failed);
        report.at_most("b", 1.0, 1.0, " s");
        report.at_least("c", 1.0, 1.0, " s");
        report.equal("d", 3, 3);
        assert_eq!(report.verdict(Ok(())), Verdict::Passed);
        report.at_most("nothing was measured", f64::NAN, 1.0, " s");
        assert_eq!(report.verdict(Ok(())), Verdict::Failed);
    }

    #[test]
    fn a_scenario_that_breaks_off_has_failed() {
        let mut report = Report::default();
        report.equal("a", 1, 1);
        assert_eq!(report.verdict(Err(Problem::Broken("no".into()))), Verdict::Failed);
        let verdict = report.verdict(Err(Problem::CannotRun("no".into())));
        assert_eq!(verdict, Verdict::NotRun("no".into()));
    }

    #[test]
    fn the_table_shows_figures_beside_bounds() {
        let mut report = Report::default();
        report.at_most("memory", 34.26, 120.0, " MB");
        let text = report.text("slow", Duration::from_secs(3), &Verdict::Passed);
        assert!(text.starts_with("slow: passed (3 s)\n  ok    memory "), "{text}");
        assert!(text.ends_with(" 34.3 MB  [at most 120 MB]\n"), "{text}");
    }
}
