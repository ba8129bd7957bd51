//! Publishes an FLV file: `push FILE.flv rtmp://host/app/key`.
//!
//! In real time by its timestamps, or with `--fast` as fast as the server takes it. Tags go out as they are in the
//! file; with `--loop` each further pass is moved behind the one before.

#![expect(clippy::std_instead_of_core, reason = "a program has std anyway")]

mod common;

use common::{Failure, Tool, value};
use getopts::Options;
use std::{
    fs::File,
    io::Read,
    process::ExitCode,
    time::{Duration, Instant},
};
use weir::{
    flv::{Item, Reader, ReaderLimits, Tag, TagKind},
    rtmp::Timestamp,
    server::client::{ClientOptions, Publisher, RtmpUrl, UrlError},
};

fn main() -> ExitCode {
    let tool = Tool {
        name: "push",
        synopsis: "[--fast] [--loop N] FILE.flv rtmp://HOST[:PORT]/APP/KEY",
        purpose: "Publishes an FLV file over RTMP.",
        arguments: 2,
    };
    let mut flags = Options::new();
    flags.optflag("", "fast", "as fast as the server takes it, not in real time");
    flags.optopt("", "loop", "play the file N times, 0 = for ever (default 1)", "N");
    tool.main(flags, |matches| {
        let url = matches.free[1].parse().map_err(|error: UrlError| Failure::Usage(error.to_string()))?;
        let passes: u64 = value(matches, "loop", 1)?;
        push(&matches.free[0], &url, passes, matches.opt_present("fast"))
    })
}

fn push(path: &str, url: &RtmpUrl, passes: u64, is_fast: bool) -> Result<(), Failure> {
    // Opened before the connection, so that a wrong name disturbs nobody.
    let mut file = open(path)?;
    let mut publisher = Publisher::open(url, &ClientOptions::default())?;
    let mut pace = Pace::new();
    let mut shift = 0;
    for pass in 1.. {
        let mut span = Span::default();
        for_each_tag(path, file, |mut tag| {
            span.add(&tag);
            tag.timestamp = tag.timestamp.wrapping_add(shift);
            if !is_fast {
                publisher.serve(pace.due(tag.timestamp))?;
            }
            Ok(publisher.send_tag(&tag)?)
        })?;
        if pass == passes {
            break;
        }
        shift = shift.wrapping_add(span.length().ok_or_else(|| Failure::run(path, "no media to repeat"))?);
        file = open(path)?;
    }
    Ok(publisher.finish()?)
}

fn open(path: &str) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::run(path, error))
}

/// Reads the file to its end.
fn for_each_tag(
    path: &str,
    mut file: File,
    mut act: impl FnMut(Tag) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut reader = Reader::new(ReaderLimits::default());
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer).map_err(|error| Failure::run(path, error))?;
        let mut input = &buffer[..count];
        loop {
            let item = if count == 0 { reader.finish() } else { reader.read(&mut input) };
            match item.map_err(|error| Failure::run(path, error))? {
                Some(Item::Tag { tag, .. }) => act(tag)?,
                Some(_) => {}
                None => break,
            }
        }
        if count == 0 {
            return Ok(());
        }
    }
}

/// When tags are due: the first one now, the others by their timestamps. A jump of more than [`MAX_STEP`], as
/// between sequence headers at 0 and the media of a cut recording, is not waited for.
struct Pace {
    started: Instant,
    /// Milliseconds from the start to the last tag.
    position: i64,
    last: Option<Timestamp>,
}

impl Pace {
    fn new() -> Pace {
        Pace { started: Instant::now(), position: 0, last: None }
    }

    fn due(&mut self, timestamp: Timestamp) -> Instant {
        // Modulo 2^32, so that a small step back is a small negative number.
        let step = self.last.map_or(0, |last| timestamp.wrapping_sub(last) as i32);
        self.last = Some(timestamp);
        if step.unsigned_abs() <= MAX_STEP {
            self.position += i64::from(step);
        }
        self.started + Duration::from_millis(u64::try_from(self.position).unwrap_or(0))
    }
}

/// Milliseconds.
const MAX_STEP: u32 = 10_000;

/// The time a pass takes: from the first media tag to the last, and one frame.
#[derive(Default)]
struct Span {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Between the last two tags of one kind.
    frame: u32,
    last_of_kind: [Option<Timestamp>; 2],
}

impl Span {
    fn add(&mut self, tag: &Tag) {
        let kind = match tag.kind {
            TagKind::Video => 0,
            TagKind::Audio => 1,
            TagKind::Data => return,
        };
        self.first = self.first.or(Some(tag.timestamp));
        if self.last.is_none_or(|last| tag.timestamp.is_after(last)) {
            self.last = Some(tag.timestamp);
        }
        if let Some(before) = self.last_of_kind[kind].filter(|&before| tag.timestamp.is_after(before)) {
            self.frame = tag.timestamp.wrapping_sub(before);
        }
        self.last_of_kind[kind] = Some(tag.timestamp);
    }

    /// Milliseconds; `None` without media.
    fn length(&self) -> Option<u32> {
        Some(self.last?.wrapping_sub(self.first?).wrapping_add(self.frame.max(1)))
    }
}
