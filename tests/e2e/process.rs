//! Programs as children: each has a deadline, a log file and an end by id.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
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
        match self.child.wait_until(self.deadline) {
            Some(status) => {
                let is_right = status.code().is_some_and(|code| codes.contains(&code));
                assert!(is_right, "{}: {status}\n{}", self.name, self.tail());
            }
            None => panic!("{} does not end\n{}", self.name, self.tail()),
        }
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
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().map(|line| format!("    | {line}\n")).collect()
    }
}

/// What a program prints when it runs to its end with success: standard output, or standard error if that is empty
/// (rtmpdump prints its version there).
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("cannot start {program}: {error} ({SETUP})"));
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let mut child = Guard(child);
    // Both are read while it runs, so that it never waits for room in a pipe.
    let (text, errors) = thread::scope(|scope| {
        let text = scope.spawn(|| read_all(stdout.as_mut()));
        let errors = scope.spawn(|| read_all(stderr.as_mut()));
        let status = child.wait_until(Instant::now() + LIMIT);
        // Ends the readers as well.
        let _ = child.0.kill();
        let (text, errors) = (text.join().unwrap_or_default(), errors.join().unwrap_or_default());
        let is_success = status.is_some_and(|status| status.success());
        assert!(is_success, "{program} {arguments:?}: {status:?} (None: does not end)\n{errors}");
        (text, errors)
    });
    if text.is_empty() { errors } else { text }
}

fn read_all(pipe: Option<&mut impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before an error is what there is to say.
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Ends a child when dropped.
struct Guard(Child);

impl Guard {
    /// How it ended; `None` if it did not in time.
    fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait().expect("a child can be waited for") {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
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
