//! Commands whose standard output is a stream: camera programs, ffmpeg, shell pipelines.
//!
//! A command runs through `sh -c` in a process group of its own, so that a pipeline ends as a whole: by TERM, and by KILL
//! after [`GRACE`]. It gets no standard input. What it writes to standard error goes line by line to a [`Listener`].
//! An exit status other than 0 is a failure.
//! Bounds: [`MAX_LINE`] bytes of a line of standard error.

use super::{
    LOOK, Listener, Produced, Producer,
    format::InputFormat,
    pipe::{Stream, wait},
};
use crate::{base::MonoTime, server::plain};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::{
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::Instant,
};

/// Time to end by itself after TERM. Shorter than what the server has to stop.
const GRACE: Duration = Duration::from_millis(700);
/// Of a line that goes to the log.
const MAX_LINE: usize = 1000;

/// Starts the command.
pub(super) fn open(
    command: &str,
    format: Option<InputFormat>,
    fps: Option<f64>,
    listener: Listener,
) -> Result<Box<dyn Producer>, String> {
    let spawned = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = spawned.map_err(|error| format!("sh cannot be started: {}", plain(&error)))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("its output cannot be read".to_string());
    };
    let errors = Errors { listener, end: Some(stderr), line: Vec::new() };
    Ok(Box::new(Running {
        stream: Stream::new(stdout, format, fps),
        errors,
        group: Group { first: child, is_ended: false },
    }))
}

struct Running {
    stream: Stream<ChildStdout>,
    errors: Errors,
    group: Group,
}

impl Producer for Running {
    fn next(&mut self, now: MonoTime) -> Result<Produced, String> {
        match self.stream.take(now)? {
            Some(Produced::Over) => return self.how_over(),
            Some(fed) => return Ok(fed),
            None => {}
        }
        let stdout = self.stream.end().as_fd();
        let failed = |error: io::Error| plain(&error);
        let (has_output, has_errors) = match &self.errors.end {
            Some(stderr) => {
                let [output, errors] = wait([stdout, stderr.as_fd()], LOOK).map_err(failed)?;
                (output, errors)
            }
            None => (wait([stdout], LOOK).map_err(failed)?[0], false),
        };
        if has_errors {
            self.errors.read();
        }
        if has_output {
            self.stream.read()?;
        }
        Ok(Produced::Nothing)
    }
}

impl Running {
    /// Its output has ended, and it soon does.
    fn how_over(&mut self) -> Result<Produced, String> {
        while self
            .errors
            .end
            .as_ref()
            .is_some_and(|end| wait([end.as_fd()], Duration::ZERO).is_ok_and(|[is]| is))
        {
            self.errors.read();
        }
        match self.group.end(Duration::from_millis(100)) {
            Some(status) if status.success() => Ok(Produced::Over),
            Some(status) => Err(how_it_ended(status)),
            None => Err("its standard output has ended".to_string()),
        }
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("the command has ended with exit code {code}"),
        (None, Some(signal)) => format!("the command was ended by signal {signal}"),
        (None, None) => "the command has ended".to_string(),
    }
}

/// Standard error of a command.
struct Errors {
    listener: Listener,
    /// `None` once it has ended.
    end: Option<ChildStderr>,
    line: Vec<u8>,
}

impl Errors {
    fn read(&mut self) {
        let mut buffer = [0; 4096];
        match self.end.as_mut().map(|end| end.read(&mut buffer)) {
            Some(Ok(count)) if count > 0 => buffer[..count].iter().for_each(|byte| self.take(*byte)),
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => {
                self.end = None;
                self.take(b'\n');
            }
        }
    }

    fn take(&mut self, byte: u8) {
        if byte != b'\n' && byte != b'\r' {
            if self.line.len() < MAX_LINE {
                self.line.push(byte);
            }
            return;
        }
        if !self.line.is_empty() {
            let text = String::from_utf8_lossy(&self.line);
            (self.listener)(&text.escape_debug().to_string());
            self.line.clear();
        }
    }
}

/// A process group and its first process. Ended when dropped.
struct Group {
    first: Child,
    is_ended: bool,
}

impl Group {
    /// Ends the group. How its first process ended, if by itself within `patience`.
    fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let is_gone = self.wait(patience);
        if !is_gone {
            self.signal(Signal::TERM);
            self.wait(GRACE);
        }
        // Also what the first process has left behind. Until it is waited for, nobody else gets its number.
        self.signal(Signal::KILL);
        let status = self.first.wait();
        self.is_ended = true;
        status.ok().filter(|_| is_gone)
    }

    /// Whether the first process has ended by then. It stays to be waited for.
    fn wait(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
            match waitid(WaitId::Pid(self.pid()), options) {
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
                Ok(None) => return false,
                // An error means that there is no such child any more.
                Ok(Some(_)) | Err(_) => return true,
            }
        }
    }

    fn signal(&self, signal: Signal) {
        // Fails only if all are gone.
        let _ = kill_process_group(self.pid(), signal);
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.first)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_ended {
            self.end(Duration::ZERO);
        }
    }
}
