//! Records an RTMP stream: `pull rtmp://host/app/key FILE.flv`, or `-` for standard output.
//!
//! Tags are written as they come, with their own times. Ends when the stream ends. However it ends, the file is whole:
//! duration, size and keyframes are written at the end, and before that it can be played as far as it goes. A connection
//! that is lost is made again with `--reconnect`; the file goes on in it without a jump in time.

#![expect(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program has std anyway")]

mod client;
mod common;
#[path = "pull/output.rs"]
mod output;
#[path = "pull/times.rs"]
mod times;

use client::{Setup, add_flags, retry::SHUTDOWN};
use common::{Failure, Tool, value};
use getopts::{Matches, Options};
use output::Output;
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};
use times::Times;
use weir::{
    flv::{Tag, TagKind},
    rtmp::session::PlayStart,
    server::client::{ClientError, Next, Player, RtmpUrl, UrlError},
};

fn main() -> ExitCode {
    let tool = Tool {
        name: NAME,
        synopsis: "[--duration SECONDS] [--start SECONDS | --live] [--wait SECONDS] [--reconnect] \
            rtmp://HOST[:PORT]/APP/KEY FILE.flv|-",
        purpose: "Records an RTMP stream to an FLV file.",
        arguments: 2,
    };
    let mut flags = Options::new();
    flags.optopt("", "duration", "stop after this much media (default: at its end)", "SECONDS");
    flags.optopt("", "start", "of a file or a recording on the server, from here on", "SECONDS");
    flags.optflag("", "live", "nothing but what is live, not a file of that name");
    flags.optopt("", "wait", "give up when nothing comes for this long (default 30)", "SECONDS");
    add_flags(&mut flags);
    tool.main(flags, |matches| {
        let url = matches.free[0].parse().map_err(|error: UrlError| Failure::Usage(error.to_string()))?;
        let duration = milliseconds(matches, "duration")?;
        let wait: u32 = value(matches, "wait", 30)?;
        let mut setup = Setup::new(NAME, matches, &url)?;
        setup.options.start = start(matches)?;
        let start = if let PlayStart::At(start) = setup.options.start { start } else { 0 };
        setup.progress.set_length(duration.map(u64::from));
        let path = &matches.free[1];
        let output = Output::open(path).map_err(|error| Failure::run(path, error))?;
        let wait = Duration::from_secs(wait.into());
        let reconnects = matches.opt_present("reconnect");
        Pull { setup, url, path, duration, start, wait, reconnects, output, times: Times::default() }.run()
    })
}

const NAME: &str = "pull";

fn start(matches: &Matches) -> Result<PlayStart, Failure> {
    match milliseconds(matches, "start")? {
        Some(_) if matches.opt_present("live") => {
            Err(Failure::Usage("--start is for files, --live for what is none".into()))
        }
        Some(position) => Ok(PlayStart::At(position)),
        None if matches.opt_present("live") => Ok(PlayStart::Live),
        None => Ok(PlayStart::LiveOrRecorded),
    }
}

/// The value of a flag in seconds.
fn milliseconds(matches: &Matches, flag: &str) -> Result<Option<u32>, Failure> {
    let Some(text) = matches.opt_str(flag) else { return Ok(None) };
    let seconds: f64 = value(matches, flag, 0.0)?;
    if seconds.is_finite() && (0.0..MAX_SECONDS).contains(&seconds) {
        return Ok(Some((seconds * 1000.0) as u32));
    }
    Err(Failure::Usage(format!("--{flag} {text}: not between 0 and {MAX_SECONDS}")))
}

/// Half of what a timestamp of 32 bits can say.
const MAX_SECONDS: f64 = 2_147_483.0;

/// A stream on its way to a file.
struct Pull<'a> {
    setup: Setup,
    url: RtmpUrl,
    path: &'a str,
    /// Stop after so many milliseconds of media.
    duration: Option<u32>,
    /// Where a file was to begin, in milliseconds.
    start: u32,
    wait: Duration,
    reconnects: bool,
    output: Output,
    times: Times,
}

impl Pull<'_> {
    /// Over as many connections as it takes.
    fn run(mut self) -> Result<(), Failure> {
        let result = self.connections();
        // Whatever happened: what is there is to be a whole file.
        let finished = self.output.finish().map_err(|error| Failure::run(self.path, error));
        let how = result?;
        finished?;
        if self.times.first().is_none() {
            return Err(Failure::run(&self.url, format!("{how} before any media came")));
        }
        self.setup.progress.finish(how);
        Ok(())
    }

    fn connections(&mut self) -> Result<&'static str, Failure> {
        loop {
            match self.connection() {
                Ok(how) => return Ok(how),
                Err(Stop::Here(failure)) => return Err(failure),
                Err(Stop::Connection(ClientError::Interrupted { .. })) => return Ok("interrupted"),
                Err(Stop::Connection(error)) => self.setup.retry.after(error, &self.setup.progress)?,
            }
            if self.setup.options.interrupt.is_raised() {
                return Ok("interrupted");
            }
        }
    }

    /// What there is over one connection. How it ended.
    fn connection(&mut self) -> Result<&'static str, Stop> {
        let mut player = Player::open(&self.url, &self.setup.options)?;
        self.setup.retry.connected();
        self.times.begin();
        let how = match self.receive(&mut player) {
            Err(Stop::Connection(ClientError::Interrupted { .. })) => "interrupted",
            Err(stop) => {
                // A recording goes on where it was.
                if let Some(position) = self.times.resume_at().filter(|_| player.is_recorded()) {
                    self.setup.options.start = PlayStart::At(self.start.saturating_add(position));
                }
                return Err(stop);
            }
            Ok(how) => how,
        };
        // All that is wanted is there; how the server says goodbye is its own affair.
        let _ = player.finish();
        Ok(how)
    }

    fn receive(&mut self, player: &mut Player) -> Result<&'static str, Stop> {
        loop {
            match player.next(Instant::now() + self.wait)? {
                Next::Tag(tag) => {
                    if self.take(tag, player.is_recorded())? {
                        return Ok("all that was asked for");
                    }
                }
                Next::Ended => match self.after_the_end(player)? {
                    Some(tag) => drop(self.take(tag, player.is_recorded())?),
                    None => return Ok("ended"),
                },
                Next::TimedOut => {
                    let why = format!("nothing came for {} s", self.wait.as_secs());
                    return Err(Stop::Here(Failure::run(&self.url, why)));
                }
            }
        }
    }

    /// A server that stops says that the stream ends, and then that it stops: for whoever reconnects, that is no end. Nor
    /// is it one if the stream goes on at once, which its next tag shows.
    fn after_the_end(&self, player: &mut Player) -> Result<Option<Tag>, ClientError> {
        if !self.reconnects {
            return Ok(None);
        }
        match player.next(Instant::now() + GOODBYE) {
            Ok(Next::Tag(tag)) => Ok(Some(tag)),
            Err(ClientError::Refused { peer, during, code, description }) if code == SHUTDOWN => {
                Err(ClientError::Refused { peer, during, code, description })
            }
            _ => Ok(None),
        }
    }

    /// Writes a tag. True if that is enough.
    fn take(&mut self, tag: Tag, is_recorded: bool) -> Result<bool, Failure> {
        let Some(timestamp) = self.times.place(&tag, is_recorded) else { return Ok(false) };
        let first = self.times.first().unwrap_or(timestamp);
        // A tag of before the first one is a small step back, not a huge one ahead.
        let position = u32::try_from(timestamp.wrapping_sub(first) as i32).unwrap_or(0);
        if tag.kind != TagKind::Data && self.duration.is_some_and(|duration| position >= duration) {
            return Ok(true);
        }
        let tag = Tag { timestamp, ..tag };
        self.output.write(&tag).map_err(|error| Failure::run(self.path, error))?;
        self.setup.progress.tag(position.into(), tag.body.len(), None);
        Ok(false)
    }
}

/// Time for a server to say that it stops.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a connection is over before the stream is.
enum Stop {
    Here(Failure),
    Connection(ClientError),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Here(failure)
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Stop {
        Stop::Connection(error)
    }
}
