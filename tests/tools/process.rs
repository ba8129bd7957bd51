//! The tools as children: started, signalled, waited for with a deadline.

use crate::{DEADLINE, until};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

/// A running tool; killed when the test ends early. What it prints goes to a file.
pub(crate) struct Tool {
    child: Child,
    log: PathBuf,
}

impl Tool {
    pub(crate) fn start(log: &str, program: &str, args: &[&str]) -> Tool {
        let log = scratch(log);
        let stderr = File::create(&log).unwrap();
        let child = command(program, args).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        Tool { child, log }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; the exit code, `None` after a signal, and what it printed.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let mut status = None;
        until("a tool ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap().code(), self.printed())
    }

    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a tool to its end.
pub(crate) fn output(program: &str, args: &[&str]) -> Output {
    // What hangs is killed from outside: no test waits longer for one that ends by itself.
    let limit = DEADLINE.as_secs().to_string();
    let mut command = Command::new("timeout");
    command.args([&limit, program]).args(args).stdin(Stdio::null());
    command.output().unwrap()
}

fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file that only one test uses.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tools");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}
