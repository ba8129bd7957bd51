//! SIGINT and SIGTERM, for programs: the first one is told, the second one ends the program at once.

use alloc::sync::Arc;
use core::sync::atomic::AtomicBool;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    low_level::pipe,
};
use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
};

/// Gets a byte with each signal.
#[derive(Debug)]
pub struct Signals(UnixStream);

impl Signals {
    /// Watches from now on. Call it before any thread exists, so that a signal at any time ends the program properly.
    ///
    /// # Errors
    /// The system's.
    pub fn watch() -> io::Result<Signals> {
        let (receiver, sender) = UnixStream::pair()?;
        let is_asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: what ends the program looks at the flag before the same signal sets it.
            flag::register_conditional_shutdown(signal, 128 + signal, is_asked.clone())?;
            flag::register(signal, is_asked.clone())?;
            pipe::register(signal, sender.try_clone()?)?;
        }
        Ok(Signals(receiver))
    }

    /// Waits for the first one.
    ///
    /// # Errors
    /// No more will come.
    pub fn wait(&mut self) -> io::Result<()> {
        loop {
            match self.0.read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(drop),
            }
        }
    }
}
