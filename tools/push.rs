//! Publishes a file or a live source: `push FILE rtmp://host/app/key`, `camera | push - rtmp://host/app/key`.
//!
//! Files go in real time by their timestamps, or with `--fast` as fast as the server takes them. With `--loop` each further
//! round follows the one before without a break in time. A connection that is lost is made again with `--reconnect`, and
//! a file goes on at the last keyframe that was sent, a live source at the next. SIGINT and SIGTERM end the stream properly.

#![expect(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program has std anyway")]

mod client;
mod common;
#[path = "push/connections.rs"]
mod connections;
#[path = "push/file.rs"]
mod file;
#[path = "push/live.rs"]
mod live;

use client::{Setup, add_flags};
use common::{Failure, Tool, value};
use connections::{Sending, Way};
use getopts::Options;
use std::process::ExitCode;
use weir::server::{
    client::UrlError,
    source::{Input, SourceConfig, open_media},
};

fn main() -> ExitCode {
    let tool = Tool {
        name: NAME,
        synopsis: "[--fast] [--loop N] [--reconnect] FILE|PIPE|-|exec:COMMAND|rtmp://...[?format=F&fps=N] \
            rtmp://HOST[:PORT]/APP/KEY",
        purpose: "Publishes a file, or what a pipe, a command or another server gives, over RTMP.",
        arguments: 2,
    };
    let mut flags = Options::new();
    flags.optflag("", "fast", "as fast as the server takes it, not in real time");
    flags.optopt("", "loop", "play the file N times, 0 = for ever (default 1)", "N");
    add_flags(&mut flags);
    tool.main(flags, |matches| {
        let url = matches.free[1].parse().map_err(|error: UrlError| Failure::Usage(error.to_string()))?;
        let rounds: u64 = value(matches, "loop", 1)?;
        let spec = &matches.free[0];
        let input = input(spec)?;
        if input.is_live() && matches.opt_present("loop") {
            return Err(Failure::Usage(format!("{spec}: --loop is for files")));
        }
        let setup = Setup::new(NAME, matches, &url)?;
        let way = Way { setup, url, is_fast: matches.opt_present("fast") };
        // Opened before the connection, so that a wrong name disturbs nobody.
        match &input {
            Input::File { name, format, fps, .. } if !input.is_live() => {
                let reader = open_media(name, *format, *fps).map_err(|error| Failure::run(spec, error))?;
                file::Push::new(way, spec, reader, rounds).run()
            }
            input => live::Push::new(way, spec, input)?.run(),
        }
    })
}

const NAME: &str = "push";

/// What to send, named as `--source` of weir has it.
fn input(spec: &str) -> Result<Input, Failure> {
    let source = SourceConfig::parse(&format!("live/push={spec}"));
    source.map(|source| source.input).map_err(|error| Failure::Usage(format!("{spec}: {error}")))
}
