//! SIGINT and SIGTERM, for programs: the first one is told, the second one ends the program at once. SIGHUP, for those that have
//! something to read again: each is told, or several as one.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    low_level::pipe,
};
use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
};

/// The signals of a program.
#[derive(Debug)]
pub struct Signals {
    /// Gets a byte with each.
    knocks: UnixStream,
    sender: UnixStream,
    is_stop_asked: Arc<AtomicBool>,
    is_reload_asked: Arc<AtomicBool>,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To end.
    Stop,
    /// To read again what can be read again; only after [`Signals::watch_reload`].
    Reload,
}

impl Signals {
    /// Watches from now on. Call it before any thread exists, so that a signal at any time ends the program properly.
    ///
    /// # Errors
    /// The system's.
    pub fn watch() -> io::Result<Signals> {
        let (knocks, sender) = UnixStream::pair()?;
        let is_stop_asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: what ends the program looks at the flag before the same signal sets it.
            flag::register_conditional_shutdown(signal, 128 + signal, is_stop_asked.clone())?;
            flag::register(signal, is_stop_asked.clone())?;
            pipe::register(signal, sender.try_clone()?)?;
        }
        Ok(Signals { knocks, sender, is_stop_asked, is_reload_asked: Arc::default() })
    }

    /// Watches SIGHUP as well, which otherwise ends the program.
    ///
    /// # Errors
    /// The system's.
    pub fn watch_reload(&self) -> io::Result<()> {
        flag::register(SIGHUP, self.is_reload_asked.clone())?;
        pipe::register(SIGHUP, self.sender.try_clone()?)?;
        Ok(())
    }

    /// Waits for the next one. After [`Asked::Stop`] nothing else comes.
    ///
    /// # Errors
    /// No more will come.
    pub fn wait(&mut self) -> io::Result<Asked> {
        loop {
            match self.knocks.read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            if self.is_stop_asked.load(Ordering::SeqCst) {
                return Ok(Asked::Stop);
            }
            if self.is_reload_asked.swap(false, Ordering::SeqCst) {
                return Ok(Asked::Reload);
            }
        }
    }
}
