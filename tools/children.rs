//! Programs as children of a tool: found beside it, given a deadline, ended with it; and what `load` prints as numbers.
//!
//! Not here: which programs, with which arguments.

use crate::common::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeMap,
    env, fs,
    io::Read,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// A child that ends when this is dropped: SIGTERM first, SIGKILL later, also to what it started itself.
pub(crate) struct Ending(pub(crate) Child);

impl Drop for Ending {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        // It runs: its id, and for the moment those of its own children, are nobody else's. Errors mean
        // that it is gone.
        let _ = kill(self.0.id(), Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        for pid in descendants(self.0.id()) {
            let _ = kill(pid, Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn kill(pid: u32, signal: Signal) -> Option<()> {
    kill_process(Pid::from_raw(i32::try_from(pid).ok()?)?, signal).ok()
}

/// What `load` measured, by the names of its JSON. What it could not measure is not there.
pub(crate) type LoadFigures = BTreeMap<String, f64>;

/// Runs `load` with these arguments; `time` is what it was told to take, without joining and its own deadlines. Its
/// figures come also of a run in which players came off badly: they say so.
///
/// # Errors
/// If it gives no figures in time, or `stop` is set.
pub(crate) fn run_load(
    load: &mut Command,
    time: Duration,
    stop: &AtomicBool,
) -> Result<LoadFigures, Failure> {
    let child =
        load.arg("--json=-").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = Ending(child.map_err(|error| Failure::run("load", error))?);
    let deadline = Instant::now() + time + OVERHEAD;
    // What it prints fits into a pipe, so that it can be read after the end.
    while child.0.try_wait().map_err(|error| Failure::run("load", error))?.is_none() {
        if Instant::now() >= deadline || stop.load(Relaxed) {
            return Err(Failure::run("load", "does not come to an end"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    let (mut json, mut error) = (String::new(), String::new());
    for (text, pipe) in [
        (&mut json, child.0.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read>)),
        (&mut error, child.0.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read>)),
    ] {
        let mut pipe = pipe.ok_or_else(|| Failure::run("load", "has no output"))?;
        pipe.read_to_string(text).map_err(|error| Failure::run("load", error))?;
    }
    parse(&json).ok_or_else(|| Failure::run("load", error.trim()))
}

/// One flat object of numbers and nulls, which is what `load` prints.
fn parse(json: &str) -> Option<LoadFigures> {
    let pairs = json.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut figures = LoadFigures::new();
    for pair in pairs.split(',') {
        let (name, value) = pair.split_once(':')?;
        let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
        if value.trim() != "null" {
            figures.insert(name.into(), value.trim().parse().ok()?);
        }
    }
    Some(figures)
}

/// A program of the same build.
pub(crate) fn beside(name: &str) -> Result<PathBuf, Failure> {
    let own = env::current_exe().map_err(|error| Failure::run("the path of this program", error))?;
    let path = own.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(Failure::run(path.display(), "not there: the make target of this tool builds it"))
    }
}

/// A port of the loopback interface that nobody listens on. Until the server does, another program could take it:
/// then the server says so.
pub(crate) fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| Failure::run("127.0.0.1", error))
}

/// Children, their children, and so on.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    children.flat_map(|child| [child].into_iter().chain(descendants(child))).collect()
}

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// What `load` may need beside its time; above its own deadlines, which come first.
const OVERHEAD: Duration = Duration::from_secs(70);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_numbers_by_name() {
        let figures = parse("{\"cpu_seconds\":1.5,\"delay_p99_ms\":null,\"closed\":0}\n");
        assert_eq!(figures, Some(LoadFigures::from([("cpu_seconds".into(), 1.5), ("closed".into(), 0.0)])));
        for broken in ["", "{\"a\":1", "{\"a\":x}", "{a:1}"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_child_and_what_it_started_end_with_their_owner() {
        // A shell that ignores SIGTERM, with a child.
        let script = "trap '' TERM; sleep 60 & wait; sleep 60";
        let child = Ending(Command::new("sh").args(["-c", script]).spawn().unwrap());
        let pid = child.0.id();
        let deadline = Instant::now() + Duration::from_secs(5);
        while descendants(pid).is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let all: Vec<u32> = [pid].into_iter().chain(descendants(pid)).collect();
        assert!(all.len() > 1);
        drop(child);
        let is_running = |pid: &u32| {
            // A killed grandchild may be a zombie until its new parent takes note.
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        while all.iter().any(is_running) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!all.iter().any(is_running), "{all:?}");
    }
}
