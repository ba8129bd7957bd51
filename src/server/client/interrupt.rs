//! A way to end whatever a client waits for, from another thread: a signal, a server that stops.

use alloc::sync::Arc;
use core::time::Duration;
use mio::{Poll, Token, Waker};
use std::{
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Raised once, for good. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    raised: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_raised: bool,
    /// Of the connection that is open; a client has one at a time.
    waker: Option<Waker>,
}

impl Interrupt {
    /// From now on nothing waits any more.
    pub fn raise(&self) {
        let mut state = self.lock();
        state.is_raised = true;
        self.0.raised.notify_all();
        if let Some(waker) = &state.waker {
            // Fails only if the poll is gone, and then nobody waits.
            let _ = waker.wake();
        }
    }

    /// It was raised.
    pub fn is_raised(&self) -> bool {
        self.lock().is_raised
    }

    /// Sleeps, but not when raised.
    pub fn sleep(&self, time: Duration) {
        let state = self.lock();
        // A poisoned lock leaves nothing half done.
        let _ = self.0.raised.wait_timeout_while(state, time, |state| !state.is_raised);
    }

    /// Nobody else holds it.
    pub(in crate::server) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Wakes `poll` when raised.
    pub(super) fn attach(&self, poll: &Poll, token: Token) -> io::Result<()> {
        self.lock().waker = Some(Waker::new(poll.registry(), token)?);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
