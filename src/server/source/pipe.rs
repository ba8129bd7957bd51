//! Named pipes and standard input: bytes that come when they come.
//!
//! A named pipe outlives its writers: when one leaves, the stream counts as lost and the next writer continues it. At the
//! end of standard input the source is over.
//! Bounds: one read of [`READ_LEN`] bytes and what the format's reader holds; a tag that is not due yet keeps the pipe
//! full, and so its writer waiting.

use super::{
    LOOK, Produced, Producer,
    clock::{LiveClock, Stamps},
    demux::Demux,
    format::{InputFormat, RawFormat},
};
use crate::{
    base::MonoTime,
    flv::{Tag, TagKind},
    media::metadata,
    server::registry::Ending,
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

/// Bytes read at once: what a pipe of Linux holds.
pub(super) const READ_LEN: usize = 64 << 10;

/// Whether that is something that is read as it comes, and has no end to begin again from.
pub(super) fn is_pipe(name: &Path) -> bool {
    fs::metadata(name).is_ok_and(|about| about.file_type().is_fifo() || about.file_type().is_char_device())
}

/// A named pipe, which need not have a writer yet.
pub(super) fn open(
    name: &Path,
    format: Option<InputFormat>,
    fps: Option<f64>,
) -> Result<Box<dyn Producer>, String> {
    let format = format.or(RawFormat::of_name(name).map(InputFormat::Raw));
    let end = open_end(name).map_err(|error| error.to_string())?;
    Ok(Box::new(NamedPipe { name: name.into(), format, fps, stream: Stream::new(end, format, fps) }))
}

/// Standard input.
pub(super) fn stdin(format: Option<InputFormat>, fps: Option<f64>) -> Box<dyn Producer> {
    Box::new(Stdin(Stream::new(io::stdin(), format, fps)))
}

struct NamedPipe {
    name: PathBuf,
    format: Option<InputFormat>,
    fps: Option<f64>,
    stream: Stream<File>,
}

impl Producer for NamedPipe {
    fn next(&mut self, now: MonoTime) -> Result<Produced, String> {
        let fed = self.stream.next(now)?;
        if !matches!(fed, Produced::Over) {
            return Ok(fed);
        }
        let end = open_end(&self.name).map_err(|error| error.to_string())?;
        self.stream = Stream::new(end, self.format, self.fps);
        Ok(Produced::Ended(Ending::Lost))
    }
}

struct Stdin(Stream<io::Stdin>);

impl Producer for Stdin {
    fn next(&mut self, now: MonoTime) -> Result<Produced, String> {
        self.0.next(now)
    }
}

/// Not blocking, because opening a pipe without a writer would.
fn open_end(name: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(name)
}

/// Tags out of something that is read as it comes.
pub(super) struct Stream<R> {
    end: R,
    demux: Demux,
    clock: Option<LiveClock>,
    buffer: Box<[u8]>,
    is_over: bool,
}

impl<R: Read + AsFd> Stream<R> {
    pub(super) fn new(end: R, format: Option<InputFormat>, fps: Option<f64>) -> Stream<R> {
        let buffer = vec![0; READ_LEN].into_boxed_slice();
        Stream { end, demux: Demux::new(format, fps), clock: None, buffer, is_over: false }
    }

    /// The next tag, [`Produced::Nothing`] for now, or [`Produced::Over`] once every writer has left.
    pub(super) fn next(&mut self, now: MonoTime) -> Result<Produced, String> {
        if let Some(fed) = self.take(now)? {
            return Ok(fed);
        }
        if !is_readable(&self.end, LOOK).map_err(|error| error.to_string())? {
            return Ok(Produced::Nothing);
        }
        self.read()?;
        Ok(Produced::Nothing)
    }

    /// What is there without reading.
    pub(super) fn take(&mut self, now: MonoTime) -> Result<Option<Produced>, String> {
        match self.demux.next()? {
            Some(tag) => {
                let stamps = self.demux.stamps().unwrap_or(Stamps::Own);
                let clock = self.clock.get_or_insert_with(|| LiveClock::new(stamps));
                clock.set_burst(self.demux.burst());
                let placed = clock.place(now, tag.timestamp);
                let tag = Tag { timestamp: placed.timestamp, ..tag };
                let tag = if tag.kind == TagKind::Data { metadata::live(&tag) } else { tag };
                Ok(Some(Produced::Tag { tag, due: placed.due }))
            }
            None => match self.demux.take_damage() {
                0 => Ok(self.is_over.then_some(Produced::Over)),
                places => Ok(Some(Produced::Damaged(places))),
            },
        }
    }

    /// Reads what is there now.
    pub(super) fn read(&mut self) -> Result<(), String> {
        match self.end.read(&mut self.buffer) {
            Ok(0) => {
                self.is_over = true;
                self.demux.finish()
            }
            Ok(count) => self.demux.push(&self.buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Where it reads.
    pub(super) fn end(&self) -> &R {
        &self.end
    }
}

/// Waits until reading gives bytes or an end, but not longer than `timeout`.
fn is_readable(end: &impl AsFd, timeout: core::time::Duration) -> io::Result<bool> {
    Ok(wait([end.as_fd()], timeout)?[0])
}

/// Waits until one of `ends` gives bytes or an end, but not longer than `timeout`; says which.
pub(super) fn wait<const N: usize>(
    ends: [std::os::fd::BorrowedFd<'_>; N],
    timeout: core::time::Duration,
) -> io::Result<[bool; N]> {
    let mut polled = ends.map(|end| PollFd::from_borrowed_fd(end, PollFlags::IN));
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) => Ok(polled.map(|end| !end.revents().is_empty())),
        Err(Errno::INTR) => Ok([false; N]),
        Err(error) => Err(error.into()),
    }
}
