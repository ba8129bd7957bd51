//! Jobs: plain blocking threads beside the reactor and the subscriber threads, such as a source, a recording or the playing
//! of a file. One thread a job, which ends when its work does or soon after the server stops.
//!
//! What a job waits for in channels, it waits for together with [`Jobs::stopped`]; what blocks in a file or a pipe looks several times
//! a second whether it is still wanted. A job that
//! talks to another server does so with an interrupt of [`Jobs::interrupt`].
//! Whoever hangs in the system all the same, in the resolver or on a dead disk, is left behind after [`GRACE`].

use super::client::Interrupt;
use alloc::{string::String, vec::Vec};
use core::{convert::Infallible, time::Duration};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// Time that jobs have to end.
const GRACE: Duration = Duration::from_secs(2);

/// The jobs of a server.
pub(super) struct Jobs {
    state: Mutex<State>,
    stopped: Receiver<Infallible>,
    /// Disconnected when the last job has ended.
    ended: Receiver<Infallible>,
}

struct State {
    threads: Vec<JoinHandle<()>>,
    interrupts: Vec<Interrupt>,
    /// `None` once the server stops: then no job begins.
    running: Option<Sender<Infallible>>,
    /// Each job holds a clone. `None` once the server stops.
    alive: Option<Sender<Infallible>>,
}

impl Default for Jobs {
    fn default() -> Jobs {
        let (running, stopped) = bounded(0);
        let (alive, ended) = bounded(0);
        let state =
            State { threads: Vec::new(), interrupts: Vec::new(), running: Some(running), alive: Some(alive) };
        Jobs { state: Mutex::new(state), stopped, ended }
    }
}

impl Jobs {
    /// Starts a thread of that name.
    ///
    /// # Errors
    /// No thread can be had, or the server stops.
    pub(super) fn spawn(&self, name: String, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.lock();
        let Some(alive) = state.alive.clone() else { return Err(io::ErrorKind::Interrupted.into()) };
        let (ended, running): (Vec<_>, _) =
            core::mem::take(&mut state.threads).into_iter().partition(JoinHandle::is_finished);
        state.threads = running;
        ended.into_iter().for_each(super::join);
        let job = move || {
            job();
            drop(alive);
        };
        state.threads.push(thread::Builder::new().name(name).spawn(job)?);
        Ok(())
    }

    /// Never gives anything; disconnected as soon as the server stops.
    pub(super) fn stopped(&self) -> &Receiver<Infallible> {
        &self.stopped
    }

    /// For one client at a time of one job: raised when the server stops.
    pub(super) fn interrupt(&self) -> Interrupt {
        let mut state = self.lock();
        let interrupt = Interrupt::default();
        if state.running.is_none() {
            interrupt.raise();
        }
        state.interrupts.retain(|interrupt| !interrupt.is_alone());
        state.interrupts.push(interrupt.clone());
        interrupt
    }

    /// Asks every job to end.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        (state.running, state.alive) = (None, None);
        state.interrupts.drain(..).for_each(|interrupt| interrupt.raise());
    }

    /// Waits for all jobs, which [`Jobs::stop`] has asked to end.
    pub(super) fn join(&self) {
        let are_ended = self.ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Disconnected);
        let mut threads = core::mem::take(&mut self.lock().threads);
        if !are_ended {
            let hanging = threads.iter().filter(|thread| !thread.is_finished());
            let names: Vec<&str> = hanging.filter_map(|thread| thread.thread().name()).collect();
            log::warn!("not waiting any longer for {}", names.join(", "));
            threads.retain(JoinHandle::is_finished);
        }
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

    #[test]
    fn clients_are_interrupted_and_whoever_hangs_is_left_behind() {
        let jobs = Jobs::default();
        let (release, held) = bounded::<()>(0);
        jobs.spawn("hangs".to_string(), move || assert!(held.recv().is_err())).unwrap();
        let interrupt = jobs.interrupt();
        assert!(!interrupt.is_raised());
        jobs.stop();
        assert!(interrupt.is_raised() && jobs.interrupt().is_raised());
        let asked = std::time::Instant::now();
        jobs.join();
        assert!(asked.elapsed() >= GRACE, "{:?}", asked.elapsed());
        drop(release);
    }
}
