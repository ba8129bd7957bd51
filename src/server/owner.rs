//! What both kinds of threads do with the connections they own: lend one out with a [`Context`], then see to what it
//! left behind. What that means is the thread's: [`Owner::finish_turn`].

use super::{
    Shared,
    connection::{Connection, Context},
    player::Action,
    sockets::Sockets,
};
use crate::base::MonoTime;
use alloc::{sync::Arc, vec::Vec};
use core::mem;

/// What every thread that owns connections has.
pub(super) struct Hold {
    /// What all threads share.
    pub(super) shared: Arc<Shared>,
    /// Its connections.
    pub(super) sockets: Sockets,
    /// An empty list, used for every turn so that none allocates. [`Owner::finish_turn`] gives it back.
    pub(super) actions: Vec<Action>,
}

impl Hold {
    pub(super) fn new(shared: Arc<Shared>, sockets: Sockets) -> Hold {
        Hold { shared, sockets, actions: Vec::new() }
    }
}

/// A thread that owns connections.
pub(super) trait Owner {
    fn hold(&mut self) -> &mut Hold;

    /// Applies what a turn has asked for, writes, and buries the connection if it is over.
    fn finish_turn(&mut self, now: MonoTime, index: usize, actions: Vec<Action>);

    /// Does something with one connection.
    fn with(&mut self, now: MonoTime, index: usize, act: impl FnOnce(&mut Connection, &mut Context<'_>)) {
        let hold = self.hold();
        let shared = hold.shared.clone();
        let mut actions = mem::take(&mut hold.actions);
        if let Some(connection) = hold.sockets.get_mut(index) {
            act(connection, &mut Context { now, shared: &shared, actions: &mut actions });
        }
        self.finish_turn(now, index, actions);
    }

    /// Tells every connection whose deadline has come.
    fn handle_deadlines(&mut self, now: MonoTime) {
        loop {
            let hold = self.hold();
            let shared = hold.shared.clone();
            let mut actions = mem::take(&mut hold.actions);
            let mut cx = Context { now, shared: &shared, actions: &mut actions };
            match hold.sockets.expire(&mut cx) {
                Some(index) => self.finish_turn(now, index, actions),
                None => {
                    hold.actions = actions;
                    return;
                }
            }
        }
    }
}
