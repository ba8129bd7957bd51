//! The subscriber threads of a server: which one takes a player, and when one ends.
//!
//! Until there are as many threads as allowed, every player gets its own; then the thread with the fewest
//! connections takes it. A thread ends when it has none and is promised none.

use super::{
    Shared,
    connection::Owned,
    player::Action,
    port::{Control, Port},
    subscriber::Subscriber,
};
use alloc::{format, sync::Arc, vec::Vec};
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// The subscriber threads of a server.
pub(super) struct Pool {
    max_threads: usize,
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    threads: Vec<Worker>,
    /// Threads that have left the list and are about to end.
    ended: Vec<JoinHandle<()>>,
    started: usize,
    is_stopped: bool,
}

/// A running thread.
struct Worker {
    number: usize,
    port: Arc<Port>,
    /// Connections that it owns or is about to.
    connections: usize,
    handle: JoinHandle<()>,
}

impl Pool {
    pub(super) fn new(max_threads: usize) -> Pool {
        Pool { max_threads: max_threads.max(1), state: Mutex::default() }
    }

    /// Gives a connection that plays to a thread. On failure (no thread could be started) it is given back.
    pub(super) fn adopt(
        self: &Arc<Pool>,
        shared: &Arc<Shared>,
        connection: Owned,
        actions: Vec<Action>,
    ) -> Result<(), (io::Error, Owned)> {
        let mut state = self.lock();
        let (ended, running) = core::mem::take(&mut state.ended)
            .into_iter()
            .partition(|handle: &JoinHandle<()>| handle.is_finished());
        state.ended = running;
        let ended: Vec<JoinHandle<()>> = ended;
        for handle in ended {
            let _ = handle.join();
        }
        if state.threads.len() < self.max_threads {
            match self.spawn(shared, state.started) {
                Ok(worker) => {
                    state.started += 1;
                    state.threads.push(worker);
                }
                Err(error) if state.threads.is_empty() => return Err((error, connection)),
                Err(error) => log::warn!("no further subscriber thread: {error}"),
            }
        }
        let Some(worker) = state.threads.iter_mut().min_by_key(|worker| worker.connections) else {
            return Err((io::ErrorKind::Other.into(), connection));
        };
        worker.connections += 1;
        worker.port.give(connection, actions);
        Ok(())
    }

    /// Asks every thread to end its connections and itself.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        for worker in &state.threads {
            worker.port.send(Control::Stop);
        }
    }

    /// The doors of all threads.
    pub(super) fn ports(&self) -> Vec<Arc<Port>> {
        self.lock().threads.iter().map(|worker| worker.port.clone()).collect()
    }

    /// Waits for the threads, which [`Pool::stop`] has asked to end.
    pub(super) fn join(&self) {
        let (threads, ended) = {
            let mut state = self.lock();
            (core::mem::take(&mut state.threads), core::mem::take(&mut state.ended))
        };
        for handle in threads.into_iter().map(|worker| worker.handle).chain(ended) {
            if handle.join().is_err() {
                log::error!("a subscriber thread has panicked");
            }
        }
    }

    fn spawn(self: &Arc<Pool>, shared: &Arc<Shared>, number: usize) -> io::Result<Worker> {
        let (subscriber, port) = Subscriber::new(number, shared.clone(), self.clone())?;
        let name = format!("weir-play-{number}");
        let handle = thread::Builder::new().name(name).spawn(move || subscriber.run())?;
        Ok(Worker { number, port, connections: 0, handle })
    }

    /// A connection of that thread is gone.
    pub(super) fn release(&self, number: usize) {
        if let Some(worker) = self.lock().threads.iter_mut().find(|worker| worker.number == number) {
            worker.connections -= 1;
        }
    }

    /// Takes the thread off the list if it has nothing and is promised nothing. Then it may end.
    pub(super) fn retire(&self, number: usize) -> bool {
        let mut state = self.lock();
        // The list is empty once the server waits for its threads.
        let Some(at) = state.threads.iter().position(|worker| worker.number == number) else {
            return state.is_stopped;
        };
        if state.threads[at].connections > 0 {
            return false;
        }
        let worker = state.threads.swap_remove(at);
        state.ended.push(worker.handle);
        true
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
