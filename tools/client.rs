//! What `push` and `pull` share beside the command line: signals, reconnecting, progress, the printed conversation.

mod narrator;
mod progress;
pub(crate) mod retry;

pub(crate) use progress::Progress;
pub(crate) use retry::Retry;

use crate::common::{Failure, value};
use getopts::{Matches, Options};
use narrator::Narrator;
use std::thread;
use weir::server::{
    Signals,
    client::{ClientOptions, Interrupt, Observer, RtmpUrl},
};

/// The flags that both have.
pub(crate) fn add_flags(flags: &mut Options) {
    flags.optflag("", "reconnect", "when the connection fails, try again, with growing pauses, and go on");
    flags.optopt("", "retries", "give up after N attempts without success (default 10)", "N");
    flags.optflag("v", "verbose", "print each step of the conversation");
}

/// What both begin with.
pub(crate) struct Setup {
    pub(crate) options: ClientOptions,
    pub(crate) retry: Retry,
    pub(crate) progress: Progress,
}

impl Setup {
    /// For a tool of that name, from its flags.
    pub(crate) fn new(name: &'static str, matches: &Matches, url: &RtmpUrl) -> Result<Setup, Failure> {
        let interrupt = interrupt_on_signals()?;
        let progress = Progress::new(name);
        let observer = matches.opt_present("verbose").then(|| {
            let mut narrator = Narrator::new(url, progress.printer());
            Observer::new(move |seen| narrator.see(seen))
        });
        let retries = value(matches, "retries", DEFAULT_RETRIES)?;
        if matches.opt_present("retries") && !matches.opt_present("reconnect") {
            return Err(Failure::Usage("--retries needs --reconnect".into()));
        }
        let allowed = if matches.opt_present("reconnect") { retries } else { 0 };
        let retry = Retry::new(allowed, interrupt.clone());
        let options = ClientOptions { interrupt, observer, ..ClientOptions::default() };
        Ok(Setup { options, retry, progress })
    }
}

/// SIGINT and SIGTERM end what the tool waits for, the second one the tool.
fn interrupt_on_signals() -> Result<Interrupt, Failure> {
    let mut signals = Signals::watch().map_err(|error| Failure::run("signals", error))?;
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let wait = move || {
        if signals.wait().is_ok() {
            raised.raise();
        }
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(wait)
        .map_err(|error| Failure::run("signals", error))?;
    Ok(interrupt)
}

const DEFAULT_RETRIES: u32 = 10;
