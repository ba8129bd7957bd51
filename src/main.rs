//! `weir`: flags -> configuration -> run -> exit code.
//!
//! Exit code 0 after SIGINT or SIGTERM, 1 if the server cannot start, 2 for a wrong command line. A second signal
//! ends the program at once.
//!
//! Log lines go through a thread of their own: a terminal that is stopped, or a pipe that nobody reads, must not stop
//! the server. Bound: [`LOG_LINES`]; past it lines are lost, and counted in the next that is not.

#![expect(clippy::std_instead_of_core, reason = "a program has std anyway")]

use crossbeam_channel::{Receiver, Sender, bounded};
use log::{error, info, warn};
use std::{
    env,
    io::{self, Write},
    process::ExitCode,
    thread,
    time::Duration,
};
use weir::{
    cli::{self, Command},
    server::{Asked, Ceilings, Config, DEMO_PATH, Scheme, Server, Signals, raise_file_limit},
};

const CANNOT_RUN: u8 = 1;
const WRONG_USAGE: u8 = 2;
/// Log lines that wait for stderr.
const LOG_LINES: usize = 1024;
/// Open files of recordings that are reckoned with: a file and its marker for 100 streams.
const RECORDINGS: u64 = 200;
/// Time to write the last of them.
const LOG_GRACE: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let args = env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    match cli::parse(args) {
        Ok(Command::Run { config, level }) => {
            let from_flags = env_logger::Env::default().default_filter_or(level.as_str());
            let mut logger = env_logger::Builder::from_env(from_flags);
            logger.format_target(false);
            let (lines, waiting) = bounded(LOG_LINES);
            // Without the thread (no program runs long where none can be had), lines go straight to stderr.
            if thread::Builder::new().name("weir-log".into()).spawn(move || write_log(&waiting)).is_ok() {
                logger.target(env_logger::Target::Pipe(Box::new(Log { lines: lines.clone(), lost: 0 })));
            }
            logger.init();
            let code = run(*config);
            let (written, all) = bounded(0);
            if lines.send_timeout(Line::Last(written), LOG_GRACE).is_ok() {
                // Disconnected when the thread comes to it.
                let _ = all.recv_timeout(LOG_GRACE);
            }
            code
        }
        Ok(Command::Help) => print(&cli::help()),
        Ok(Command::Version) => print(concat!("weir ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(error) => {
            // Nothing can be done if stderr is closed.
            let _ = writeln!(io::stderr(), "weir: {error}");
            ExitCode::from(WRONG_USAGE)
        }
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(CANNOT_RUN),
    }
}

fn run(mut config: Config) -> ExitCode {
    fit_file_limit(&mut config);
    // Before any thread exists, so that a signal at any time ends the program properly.
    let mut signals = match Signals::watch() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("cannot watch for signals: {error}")),
    };
    let (has_demo, has_tls) = (config.demo, config.tls.is_some());
    if has_tls {
        if let Err(error) = signals.watch_reload() {
            return fail(&format!("cannot watch for signals: {error}"));
        }
    }
    let server = match Server::start(config) {
        Ok(server) => server,
        Err(error) => return fail(&error.to_string()),
    };
    announce(&server, has_demo, has_tls);
    loop {
        match signals.wait() {
            Ok(Asked::Reload) => server.reload_certificate(),
            Ok(Asked::Stop) => break,
            Err(error) => {
                error!("no more signals: {error}");
                break;
            }
        }
    }
    info!("stopping");
    let connections = server.stats().accepted.value();
    server.stop();
    info!("stopped after {connections} connections");
    ExitCode::SUCCESS
}

/// One line on stderr, whatever the log level.
fn fail(message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "weir: {message}");
    ExitCode::from(CANNOT_RUN)
}

/// What to type next.
fn announce(server: &Server, has_demo: bool, has_tls: bool) {
    let protocols = if has_tls { "RTMP, HTTP, RTSP, all also over TLS" } else { "RTMP, HTTP, RTSP" };
    for address in server.addresses() {
        info!("listening on {address} ({protocols})");
    }
    let [rtmp, http, rtsp] = [Scheme::Rtmp, Scheme::Http, Scheme::Rtsp].map(|scheme| server.url(scheme));
    info!("publish: ffmpeg -re -i FILE -c copy -f flv {rtmp}/live/NAME");
    info!("or:      ffmpeg -re -i FILE -c copy -f rtsp {rtsp}/live/NAME");
    info!("play:    ffplay {rtmp}/live/NAME, or ffplay {rtsp}/live/NAME");
    info!("watch:   {http}/ in a browser");
    if has_demo {
        info!(
            "demo:    {http}/{DEMO_PATH} in a browser, ffplay {rtmp}/{DEMO_PATH}, or ffplay {rtsp}/{DEMO_PATH}"
        );
    }
}

/// Makes room for as many connections as the system allows.
fn fit_file_limit(config: &mut Config) {
    let Some(files) = raise_file_limit() else { return };
    // Three per thread for its poll, waker and staging file, and some for the program itself.
    let recordings = if config.record.is_some() { RECORDINGS } else { 0 };
    let own = 32 + config.listen.len() as u64 + 3 * config.subscriber_threads as u64 + recordings;
    let per_connection = if config.capture.is_some() { 2 } else { 1 };
    let plays_files = config.media.is_some() || config.record.is_some();
    let file_players = if plays_files { config.max_file_players } else { 0 };
    let wanted = Ceilings { connections: config.max_connections, file_players };
    let allowed = wanted.lowered_to(files.saturating_sub(own), per_connection);
    if allowed.connections < wanted.connections {
        let connections = allowed.connections;
        warn!("--max-connections lowered to {connections}: the limit of open files is {files} (ulimit -n)");
    }
    if allowed.file_players < wanted.file_players {
        let players = allowed.file_players;
        warn!("{players} connections may play files at once: the limit of open files is {files} (ulimit -n)");
    }
    config.max_connections = allowed.connections;
    config.max_file_players = allowed.file_players;
}

/// What the thread that writes the log is given.
enum Line {
    Text(Vec<u8>),
    /// Dropped when everything before it is written.
    Last(Sender<()>),
}

/// Where the logger writes: one line a call.
struct Log {
    lines: Sender<Line>,
    lost: u64,
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lost > 0 {
            let gap = format!("{} log lines are lost: stderr is not read\n", self.lost);
            if self.lines.try_send(Line::Text(gap.into())).is_ok() {
                self.lost = 0;
            }
        }
        if self.lines.try_send(Line::Text(line.to_vec())).is_err() {
            self.lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_log(lines: &Receiver<Line>) {
    for line in lines {
        match line {
            // Nothing can be done if stderr is closed.
            Line::Text(text) => drop(io::stderr().write_all(&text)),
            Line::Last(written) => drop(written),
        }
    }
}
