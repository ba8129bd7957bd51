//! Records an RTMP stream: `pull rtmp://host/app/key FILE.flv`, or `-` for standard output.
//!
//! Tags are written as they come. Ends when the stream ends.

#![expect(clippy::std_instead_of_core, reason = "a program has std anyway")]

mod common;

use common::{Failure, Tool, value};
use getopts::Options;
use std::{
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
    process::ExitCode,
    time::{Duration, Instant},
};
use weir::{
    flv::{Tag, TagKind, writer},
    rtmp::Timestamp,
    server::client::{ClientOptions, Next, Player, RtmpUrl, UrlError},
};

fn main() -> ExitCode {
    let tool = Tool {
        name: "pull",
        synopsis: "[--duration SECONDS] [--wait SECONDS] rtmp://HOST[:PORT]/APP/KEY FILE.flv|-",
        purpose: "Records an RTMP stream to an FLV file.",
        arguments: 2,
    };
    let mut flags = Options::new();
    flags.optopt("", "duration", "stop after this much media (default: at its end)", "SECONDS");
    flags.optopt("", "wait", "give up when nothing comes for this long (default 30)", "SECONDS");
    tool.main(flags, |matches| {
        let url = matches.free[0].parse().map_err(|error: UrlError| Failure::Usage(error.to_string()))?;
        let duration: f64 = value(matches, "duration", f64::INFINITY)?;
        let wait: u32 = value(matches, "wait", 30)?;
        pull(&url, &matches.free[1], duration * 1000.0, Duration::from_secs(wait.into()))
    })
}

/// Stops after `duration` milliseconds of media.
fn pull(url: &RtmpUrl, path: &str, duration: f64, wait: Duration) -> Result<(), Failure> {
    let mut player = Player::open(url, &ClientOptions::default())?;
    let mut output = Output::open(path).map_err(|error| Failure::run(path, error))?;
    let mut first: Option<Timestamp> = None;
    loop {
        match player.next(Instant::now() + wait)? {
            Next::Tag(tag) => {
                if tag.kind != TagKind::Data {
                    let first = *first.get_or_insert(tag.timestamp);
                    // A tag of before the first one is a small step back, not a huge one ahead.
                    let position = tag.timestamp.wrapping_sub(first) as i32;
                    if f64::from(position) >= duration {
                        break;
                    }
                }
                output.write(&tag).map_err(|error| Failure::run(path, error))?;
            }
            Next::Ended => break,
            Next::TimedOut => {
                return Err(Failure::run(url, format!("nothing came for {} s", wait.as_secs())));
            }
        }
    }
    output.finish().map_err(|error| Failure::run(path, error))?;
    if first.is_none() {
        return Err(Failure::run(url, "the stream ended before any media came"));
    }
    Ok(player.finish()?)
}

/// The FLV file.
struct Output {
    sink: Sink,
    buffer: Vec<u8>,
    has_audio: bool,
    has_video: bool,
}

enum Sink {
    File(BufWriter<File>),
    Pipe(io::Stdout),
}

impl Output {
    /// The header announces audio and video; [`Output::finish`] corrects that where it can.
    fn open(path: &str) -> io::Result<Output> {
        let sink = if path == "-" {
            Sink::Pipe(io::stdout())
        } else {
            Sink::File(BufWriter::new(File::create(path)?))
        };
        let mut output = Output { sink, buffer: Vec::new(), has_audio: false, has_video: false };
        output.sink.write(&writer::header(true, true))?;
        Ok(output)
    }

    fn write(&mut self, tag: &Tag) -> io::Result<()> {
        self.has_audio |= tag.kind == TagKind::Audio;
        self.has_video |= tag.kind == TagKind::Video;
        self.buffer.clear();
        writer::write_tag(&mut self.buffer, tag).map_err(io::Error::other)?;
        self.sink.write(&self.buffer)
    }

    fn finish(mut self) -> io::Result<()> {
        if let Sink::File(file) = &mut self.sink {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&writer::header(self.has_audio, self.has_video))?;
            file.flush()?;
        }
        Ok(())
    }
}

impl Sink {
    /// A pipe's reader gets each tag at once.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::File(file) => file.write_all(bytes),
            Sink::Pipe(pipe) => pipe.write_all(bytes).and_then(|()| pipe.flush()),
        }
    }
}
