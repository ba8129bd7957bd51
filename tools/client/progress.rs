//! How far a tool is: a bar on a terminal, else a line now and then; all on standard error.

use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
    time::{Duration, Instant},
};

/// See the module.
pub(crate) struct Progress {
    name: &'static str,
    printer: Printer,
    is_terminal: bool,
    started: Instant,
    /// When it was shown last, and the bytes by then.
    shown: (Instant, u64),
    bytes: u64,
    /// Milliseconds of media so far.
    position: u64,
    /// Milliseconds of media, if that is known.
    length: Option<u64>,
}

impl Progress {
    pub(crate) fn new(name: &'static str) -> Progress {
        let now = Instant::now();
        Progress {
            name,
            // Draws nothing until it is told a message; hidden without a terminal.
            printer: Printer(ProgressBar::no_length().with_style(style("{msg}"))),
            is_terminal: io::stderr().is_terminal(),
            started: now,
            shown: (now, 0),
            bytes: 0,
            position: 0,
            length: None,
        }
    }

    /// What prints lines beside the bar.
    pub(crate) fn printer(&self) -> Printer {
        self.printer.clone()
    }

    /// A line of the tool.
    pub(crate) fn line(&self, text: &str) {
        self.printer.line(&format!("{}: {text}", self.name));
    }

    /// So many milliseconds of media there will be.
    pub(crate) fn set_length(&mut self, length: Option<u64>) {
        self.length = length;
        if let Some(length) = length {
            self.printer.0.set_style(style("{msg} [{wide_bar}]"));
            self.printer.0.set_length(length);
        }
    }

    /// A tag went by: where in the media, how large, and how late.
    pub(crate) fn tag(&mut self, position: u64, bytes: usize, behind: Option<Duration>) {
        self.position = self.position.max(position);
        self.bytes += bytes as u64;
        let (at, before) = self.shown;
        let since = at.elapsed();
        if since < if self.is_terminal { ON_TERMINAL } else { ELSEWHERE } {
            return;
        }
        let rate = (self.bytes - before) as f64 * 8.0 / since.as_secs_f64();
        self.shown = (Instant::now(), self.bytes);
        let mut text = clock(self.position);
        // Strings take anything.
        let _ = self.length.map(|length| write!(text, " of {}", clock(length)));
        let _ = write!(text, ", {:.2} Mbit/s", rate / 1e6);
        let _ = behind.map(|behind| write!(text, ", {:.1} s behind", behind.as_secs_f64()));
        if self.is_terminal {
            self.printer.0.set_position(self.position);
            self.printer.0.set_message(text);
        } else {
            self.line(&text);
        }
    }

    /// The last line.
    pub(crate) fn finish(&self, what: &str) {
        self.printer.0.finish_and_clear();
        let (media, took) = (clock(self.position), self.started.elapsed().as_secs_f64());
        self.line(&format!("{what}: {media} of media, {} bytes, in {took:.1} s", self.bytes));
    }
}

/// Prints lines so that they do not disturb the bar.
#[derive(Clone)]
pub(crate) struct Printer(ProgressBar);

impl Printer {
    pub(crate) fn line(&self, text: &str) {
        // There is no other place to complain.
        self.0.suspend(|| drop(writeln!(io::stderr(), "{text}")));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a constant template")
}

/// `1:02:03.4`, without hours where there are none.
fn clock(ms: u64) -> String {
    let (hours, minutes, seconds, tenths) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms / 100 % 10);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}.{tenths}")
    } else {
        format!("{minutes}:{seconds:02}.{tenths}")
    }
}

/// How often the bar moves.
const ON_TERMINAL: Duration = Duration::from_millis(250);
/// How often a line is written where there is no bar.
const ELSEWHERE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_people_write_them() {
        for (ms, text) in
            [(0, "0:00.0"), (61_999, "1:01.9"), (3_600_000, "1:00:00.0"), (90_061_500, "25:01:01.5")]
        {
            assert_eq!(clock(ms), text);
        }
    }
}
