//! The server under stress: the `weir` of the same build, as a child with its log in a file.

use crate::{
    children::{Ending, beside, free_port},
    stage::{Problem, Stage},
    system::Usage,
};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};
use weir::server::client::RtmpUrl;

/// A weir that listens. It ends when this is dropped.
pub(crate) struct Weir {
    child: Ending,
    log: PathBuf,
    host: String,
    port: u16,
}

impl Weir {
    /// On a free port of 127.0.0.1.
    pub(crate) fn start(stage: &Stage, flags: &[&str]) -> Result<Weir, Problem> {
        Weir::start_under(stage, Command::new(beside("weir")?), "127.0.0.1", free_port()?, flags)
    }

    /// With a command that becomes weir, such as `nsenter`, and there on this address.
    pub(crate) fn start_under(
        stage: &Stage,
        mut command: Command,
        host: &str,
        port: u16,
        flags: &[&str],
    ) -> Result<Weir, Problem> {
        let log = stage.folder().join(format!("weir-{}.log", STARTED.fetch_add(1, Relaxed)));
        let file = File::create(&log).map_err(|error| Problem::broken(log.display(), error))?;
        command.arg(format!("--listen={host}:{port}")).args(flags);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn();
        let child = Ending(child.map_err(|error| Problem::broken("weir", error))?);
        let mut weir = Weir { child, log, host: host.into(), port };
        let listens = stage.until(START, || weir.logged("listening on") > 0 || !weir.is_alive())?;
        if !listens || !weir.is_alive() {
            return Err(Problem::broken("weir does not start", weir.log().trim()));
        }
        stage.pass(SETTLE)?;
        Ok(weir)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// `rtmp://.../live/key`
    pub(crate) fn url_text(&self, key: &str) -> String {
        format!("rtmp://{}/live/{key}", self.address())
    }

    pub(crate) fn url(&self, key: &str) -> Result<RtmpUrl, Problem> {
        let text = self.url_text(key);
        text.parse().map_err(|error| Problem::broken(&text, error))
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.0.try_wait(), Ok(None))
    }

    pub(crate) fn usage(&self) -> Result<Usage, Problem> {
        Usage::of(&[self.pid()]).map_err(|error| Problem::broken("weir has ended", error))
    }

    /// Open file descriptors.
    pub(crate) fn files(&self) -> Result<usize, Problem> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid()));
        Ok(files.map_err(|error| Problem::broken("weir has ended", error))?.count())
    }

    /// Percent of a core, over a time that passes meanwhile.
    pub(crate) fn cpu_during(&self, stage: &Stage, time: Duration) -> Result<f64, Problem> {
        let (before, since) = (self.usage()?.cpu, Instant::now());
        stage.pass(time)?;
        Ok((self.usage()?.cpu - before) / since.elapsed().as_secs_f64() * 100.0)
    }

    /// All it has logged.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// In how many lines of the log `text` stands.
    pub(crate) fn logged(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }
}

static STARTED: AtomicU32 = AtomicU32::new(0);

/// For a server to listen.
const START: Duration = Duration::from_secs(10);

/// Between listening and the first trouble, so that the figures of an idle server are those.
const SETTLE: Duration = Duration::from_millis(300);
