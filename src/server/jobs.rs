//! Jobs: plain blocking threads beside the reactor and the subscriber threads, such as a source, a recording or the playing
//! of a file. One thread a job, which ends when its work does or soon after the server stops.
//!
//! Everything a job waits for, it waits for together with [`Jobs::stopped`], so that stopping needs no polling.

use alloc::{string::String, vec::Vec};
use core::convert::Infallible;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// The jobs of a server.
pub(super) struct Jobs {
    state: Mutex<State>,
    stopped: Receiver<Infallible>,
}

struct State {
    threads: Vec<JoinHandle<()>>,
    /// `None` once the server stops: then no job begins.
    running: Option<Sender<Infallible>>,
}

impl Default for Jobs {
    fn default() -> Jobs {
        let (running, stopped) = bounded(0);
        Jobs { state: Mutex::new(State { threads: Vec::new(), running: Some(running) }), stopped }
    }
}

impl Jobs {
    /// Starts a thread of that name.
    ///
    /// # Errors
    /// No thread can be had, or the server stops.
    pub(super) fn spawn(&self, name: String, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.lock();
        if state.running.is_none() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let (ended, running): (Vec<_>, _) =
            core::mem::take(&mut state.threads).into_iter().partition(JoinHandle::is_finished);
        state.threads = running;
        ended.into_iter().for_each(super::join);
        state.threads.push(thread::Builder::new().name(name).spawn(job)?);
        Ok(())
    }

    /// Never gives anything; disconnected as soon as the server stops.
    pub(super) fn stopped(&self) -> &Receiver<Infallible> {
        &self.stopped
    }

    /// Asks every job to end.
    pub(super) fn stop(&self) {
        self.lock().running = None;
    }

    /// Waits for all jobs, which [`Jobs::stop`] has asked to end.
    pub(super) fn join(&self) {
        let threads = core::mem::take(&mut self.lock().threads);
        threads.into_iter().for_each(super::join);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, sync::Arc};
    use core::time::Duration;

    #[test]
    fn stopping_ends_whoever_waits_and_lets_nobody_begin() {
        let jobs = Arc::new(Jobs::default());
        let (said, heard) = bounded(1);
        let stopped = jobs.stopped().clone();
        jobs.spawn("test".to_string(), move || {
            assert!(stopped.recv().is_err());
            said.send(()).unwrap();
        })
        .unwrap();
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err());
        jobs.stop();
        jobs.join();
        assert!(heard.try_recv().is_ok());
        assert!(jobs.spawn("late".to_string(), || {}).is_err());
    }
}
