//! What every scenario stands on: a temporary folder, the progress line, waiting, and the signals that end it all.

use crate::common::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::{
    env,
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Why a scenario ends early.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// This machine lacks what it needs.
    CannotRun(String),
    /// Anything else.
    Broken(String),
}

impl Problem {
    /// `what: why`
    pub(crate) fn broken(what: impl Display, why: impl Display) -> Problem {
        Problem::Broken(format!("{what}: {why}"))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        match failure {
            Failure::Usage(why) | Failure::Run(why) => Problem::Broken(why),
        }
    }
}

impl From<weir::server::client::ClientError> for Problem {
    fn from(error: weir::server::client::ClientError) -> Problem {
        Problem::Broken(error.to_string())
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Problem {
        Problem::Broken(error.to_string())
    }
}

/// See the module.
pub(crate) struct Stage {
    /// Shorter and with fewer players.
    pub(crate) is_quick: bool,
    /// Set by SIGINT and SIGTERM.
    pub(crate) stop: Arc<AtomicBool>,
    /// All stamps count from here.
    pub(crate) epoch: Instant,
    folder: PathBuf,
    bar: ProgressBar,
    scenario: Mutex<&'static str>,
}

impl Stage {
    pub(crate) fn new(is_quick: bool, scenarios: usize) -> Result<Stage, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, stop.clone())
                .map_err(|error| Failure::run("signals", error))?;
        }
        let folder = env::temp_dir().join(format!("weir-stress-{}", process::id()));
        fs::create_dir_all(&folder).map_err(|error| Failure::run(folder.display(), error))?;
        // On a terminal only.
        let style = ProgressStyle::with_template("[{bar:20}] {pos}/{len} {elapsed} {msg}")
            .expect("a constant template");
        let bar = ProgressBar::new(scenarios as u64).with_style(style);
        bar.enable_steady_tick(Duration::from_secs(1));
        let scenario = Mutex::new("");
        Ok(Stage { is_quick, stop, epoch: Instant::now(), folder, bar, scenario })
    }

    /// A scenario begins.
    pub(crate) fn open(&self, scenario: &'static str) {
        *self.scenario.lock().unwrap_or_else(PoisonError::into_inner) = scenario;
        self.bar.set_message(scenario);
    }

    /// It has ended; something is printed now.
    pub(crate) fn close(&self) {
        self.bar.inc(1);
        if !self.bar.is_hidden() {
            self.bar.suspend(|| {});
        }
    }

    /// All have ended.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// What the scenario does now, for the progress line.
    pub(crate) fn step(&self, step: &str) {
        let scenario = *self.scenario.lock().unwrap_or_else(PoisonError::into_inner);
        self.bar.set_message(format!("{scenario}: {step}"));
    }

    /// Where files of the scenarios go; removed at the end.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// `full`, or `quick` in a quick run.
    pub(crate) fn choose<T>(&self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) -> Result<(), Problem> {
        self.until(time, || false).map(drop)
    }

    /// Waits until `is_so`, `limit` at most; whether it came to be.
    pub(crate) fn until(&self, limit: Duration, mut is_so: impl FnMut() -> bool) -> Result<bool, Problem> {
        let deadline = Instant::now() + limit;
        loop {
            if self.is_stopped() {
                return Err(Problem::Broken("interrupted".into()));
            }
            if is_so() {
                return Ok(true);
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(false);
            }
            thread::sleep(rest.min(TICK));
        }
    }

    /// The same, and an error if it did not.
    pub(crate) fn expect(
        &self,
        what: &str,
        limit: Duration,
        is_so: impl FnMut() -> bool,
    ) -> Result<(), Problem> {
        if self.until(limit, is_so)? {
            Ok(())
        } else {
            Err(Problem::Broken(format!("not within {} s: {what}", limit.as_secs())))
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Whoever cleans the temporary folder finds it there.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// How often a wait looks.
const TICK: Duration = Duration::from_millis(10);
