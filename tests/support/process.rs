//! Programs as children: each has a deadline, a log file and an end by id.

use crate::wait::is_in_time;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A running program. Ended when dropped.
pub(crate) struct Process {
    child: Guard,
    /// For messages: what it is and does.
    name: String,
    log: PathBuf,
    deadline: Instant,
}

#[allow(dead_code, reason = "each test program uses its own part of the support code")]
impl Process {
    /// Starts `program` in `dir`; it must end within [`LIMIT`]. What it prints goes to `name.log` there.
    pub(crate) fn start<S: AsRef<OsStr>>(
        name: &str,
        dir: &Path,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Process {
        let log = dir.join(format!("{}.log", name.replace([' ', '/'], "-")));
        let output = File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let errors = output.try_clone().expect("a file handle can be doubled");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(dir).stdin(Stdio::null()).stdout(output).stderr(errors);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {program}: {error} ({SETUP})"));
        let child = Guard(child);
        Process { child, name: name.to_string(), log, deadline: Instant::now() + LIMIT }
    }

    /// Waits for it to end by itself, with success.
    pub(crate) fn succeed(self) {
        self.end_with(&[0]);
    }

    /// Waits for it to end by itself, with one of these exit codes.
    pub(crate) fn end_with(mut self, codes: &[i32]) {
        let (code, _) = self.end();
        let is_right = code.is_some_and(|code| codes.contains(&code));
        assert!(is_right, "{}: exit code {code:?} (None: a signal)\n{}", self.name, self.tail());
    }

    /// Waits for it to end; the exit code, `None` after a signal, and all that it wrote.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait_until(self.deadline);
        let status = status.unwrap_or_else(|| panic!("{} does not end\n{}", self.name, self.tail()));
        (status.code(), self.printed())
    }

    /// What `/proc` knows it by.
    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.0.try_wait().expect("a child can be waited for").is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).expect("it has not been waited for");
    }

    /// Fails if it has ended.
    pub(crate) fn expect_running(&mut self) {
        if let Some(status) = self.child.0.try_wait().expect("a child can be waited for") {
            panic!("{} ended early: {status}\n{}", self.name, self.tail());
        }
    }

    /// Ends it without a chance to say anything to its peers.
    pub(crate) fn kill(mut self) {
        self.expect_running();
    }

    /// The same for one that may have ended by itself.
    pub(crate) fn kill_if_running(self) {}

    /// The last lines it wrote.
    pub(crate) fn tail(&self) -> String {
        let text = self.printed();
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().map(|line| format!("    | {line}\n")).collect()
    }

    /// All that it wrote.
    pub(crate) fn printed(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// What a program prints when it runs to its end with success: standard output, or standard error if that is empty
/// (rtmpdump prints its version there).
#[allow(dead_code, reason = "each test program uses its own part of the support code")]
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(program, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{program} {arguments:?}: {status}\n{}", text(&stderr));
    if stdout.is_empty() { text(&stderr) } else { text(&stdout) }
}

/// Runs a program to its end.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("cannot start {program}: {error} ({SETUP})"));
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let mut child = Guard(child);
    // Both are read while it runs, so that it never waits for room in a pipe.
    thread::scope(|scope| {
        let stdout = scope.spawn(|| read_all(stdout.as_mut()));
        let stderr = scope.spawn(|| read_all(stderr.as_mut()));
        let status = child.wait_until(Instant::now() + LIMIT);
        // Ends the readers as well.
        let _ = child.0.kill();
        let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
        let errors = String::from_utf8_lossy(&stderr);
        let status = status.unwrap_or_else(|| panic!("{program} {arguments:?} does not end\n{errors}"));
        Output { status, stdout, stderr }
    })
}

fn read_all(pipe: Option<&mut impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before an error is what there is to say.
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

/// Ends a child when dropped.
struct Guard(Child);

impl Guard {
    /// How it ended; `None` if it did not in time.
    fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        let mut status = None;
        is_in_time(deadline, || {
            status = self.0.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        status
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nothing here takes longer, on a slow machine either.
const LIMIT: Duration = Duration::from_secs(60);

/// What to do about a program that is not there.
const SETUP: &str = "run tools/setup.sh, which installs what these tests need";
