//! Publishes a file: `push FILE rtmp://host/app/key`.
//!
//! In real time by its timestamps, or with `--fast` as fast as the server takes it. With `--loop` each further round
//! follows the one before without a break in time. A connection that is lost is made again with `--reconnect`, and the
//! file goes on at the last keyframe that was sent. SIGINT and SIGTERM end the stream properly.

#![expect(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program has std anyway")]

mod client;
mod common;

use client::{Setup, add_flags};
use common::{Failure, Tool, value};
use getopts::Options;
use std::{process::ExitCode, time::Instant};
use weir::{
    media::{
        MediaReader,
        pace::{Schedule, Scheduled},
    },
    server::{
        client::{ClientError, Publisher, RtmpUrl, UrlError},
        source::{Input, SourceConfig, open_media},
    },
};

fn main() -> ExitCode {
    let tool = Tool {
        name: NAME,
        synopsis: "[--fast] [--loop N] [--reconnect] FILE[?format=F&fps=N] rtmp://HOST[:PORT]/APP/KEY",
        purpose: "Publishes a file over RTMP.",
        arguments: 2,
    };
    let mut flags = Options::new();
    flags.optflag("", "fast", "as fast as the server takes it, not in real time");
    flags.optopt("", "loop", "play the file N times, 0 = for ever (default 1)", "N");
    add_flags(&mut flags);
    tool.main(flags, |matches| {
        let url = matches.free[1].parse().map_err(|error: UrlError| Failure::Usage(error.to_string()))?;
        let rounds: u64 = value(matches, "loop", 1)?;
        let setup = Setup::new(NAME, matches, &url)?;
        // Opened before the connection, so that a wrong name disturbs nobody.
        let path = &matches.free[0];
        let reader = open(path)?;
        let is_fast = matches.opt_present("fast");
        let mut push = Push { setup, url, is_fast, file: File::new(path, reader, rounds), sent: 0 };
        let length = push.file.length.filter(|_| rounds > 0).map(|length| length * rounds);
        push.setup.progress.set_length(length);
        push.run()
    })
}

const NAME: &str = "push";

/// Opens a file, named as `--source` of weir has it: raw streams may say their format and frame rate.
fn open(spec: &str) -> Result<Box<dyn MediaReader + Send>, Failure> {
    let source = SourceConfig::parse(&format!("live/push={spec}"));
    match source.map_err(|error| Failure::Usage(format!("{spec}: {error}")))?.input {
        Input::File { name, format, fps, .. } => {
            open_media(&name, format, fps).map_err(|error| Failure::run(spec, error))
        }
        _ => {
            Err(Failure::Usage(format!("{spec}: not a file (weir --source and --push take everything else)")))
        }
    }
}

/// A file on its way to a server.
struct Push<'a> {
    setup: Setup,
    url: RtmpUrl,
    is_fast: bool,
    file: File<'a>,
    /// Tags, over all connections.
    sent: u64,
}

impl Push<'_> {
    /// Over as many connections as it takes.
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            match self.connection() {
                Ok(how) => {
                    self.setup.progress.finish(how);
                    return Ok(());
                }
                Err(Stop::File(failure)) => return Err(failure),
                Err(Stop::Connection(error)) => self.setup.retry.after(error, &self.setup.progress)?,
            }
            if self.setup.options.interrupt.is_raised() {
                self.setup.progress.finish("interrupted");
                return Ok(());
            }
            if self.sent > 0 {
                self.file.go_back()?;
            }
        }
    }

    /// The file from where it is, over one connection. How it ended.
    fn connection(&mut self) -> Result<&'static str, Stop> {
        let mut publisher = Publisher::open(&self.url, &self.setup.options)?;
        self.setup.retry.connected();
        let how = match self.send(&mut publisher) {
            Err(Stop::Connection(ClientError::Interrupted { .. })) => "interrupted",
            result => result.map(|()| "sent")?,
        };
        publisher.finish()?;
        Ok(how)
    }

    fn send(&mut self, publisher: &mut Publisher) -> Result<(), Stop> {
        let started = Instant::now();
        let mut start = None;
        while let Some(Scheduled { due, tag }) = self.file.next(&self.setup)? {
            // A connection begins with what is due now.
            let start = *start.get_or_insert(due);
            let at = started + due.saturating_sub(start);
            let behind = if self.is_fast {
                None
            } else {
                publisher.serve(at)?;
                Some(Instant::now().saturating_duration_since(at))
            };
            publisher.send_tag(&tag)?;
            self.sent += 1;
            let position = u64::try_from(due.as_millis()).unwrap_or(u64::MAX);
            self.setup.progress.tag(position, tag.body.len(), behind);
        }
        Ok(())
    }
}

/// Why a connection is over before the file is.
enum Stop {
    File(Failure),
    Connection(ClientError),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::File(failure)
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Stop {
        Stop::Connection(error)
    }
}

/// A file and its name.
struct File<'a> {
    path: &'a str,
    schedule: Schedule<Box<dyn MediaReader + Send>>,
    /// Milliseconds, if known.
    length: Option<u64>,
    damages: u32,
}

impl<'a> File<'a> {
    fn new(path: &'a str, reader: Box<dyn MediaReader + Send>, rounds: u64) -> File<'a> {
        let length = Some(u64::from(reader.info().duration)).filter(|length| *length > 0);
        let schedule = Schedule::new(reader, (rounds > 0).then_some(rounds));
        File { path, schedule, length, damages: 0 }
    }

    /// The next tag; damage is told, and passed over as far as the format allows that.
    fn next(&mut self, setup: &Setup) -> Result<Option<Scheduled>, Failure> {
        loop {
            match self.schedule.next() {
                Ok(next) => return Ok(next),
                Err(error) if self.damages < MAX_DAMAGES => {
                    self.damages += 1;
                    setup.progress.line(&format!("{}: {error}; going on behind", self.path));
                }
                Err(error) => return Err(Failure::run(self.path, error)),
            }
        }
    }

    /// To the last keyframe that was sent.
    fn go_back(&mut self) -> Result<(), Failure> {
        self.schedule.go_back().map_err(|error| Failure::run(self.path, error))
    }
}

/// Damaged places of a file that are passed over.
const MAX_DAMAGES: u32 = 100;
