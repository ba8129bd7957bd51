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

/// A thread that owns connections.
pub(super) trait Owner {
    /// What all threads share.
    fn shared(&self) -> &Arc<Shared>;

    /// Its connections.
    fn sockets(&mut self) -> &mut Sockets;

    /// An empty list, used for every turn so that none allocates. `finish_turn` gives it back.
    fn actions(&mut self) -> &mut Vec<Action>;

    /// Applies what a turn has asked for, writes, and buries the connection if it is over.
    fn finish_turn(&mut self, now: MonoTime, index: usize, actions: Vec<Action>);

    /// Does something with one connection.
    fn with(&mut self, now: MonoTime, index: usize, act: impl FnOnce(&mut Connection, &mut Context<'_>)) {
        let shared = self.shared().clone();
        let mut actions = mem::take(self.actions());
        if let Some(connection) = self.sockets().get_mut(index) {
            act(connection, &mut Context { now, shared: &shared, actions: &mut actions });
        }
        self.finish_turn(now, index, actions);
    }

    /// Tells every connection whose deadline has come.
    fn handle_deadlines(&mut self, now: MonoTime) {
        loop {
            let shared = self.shared().clone();
            let mut actions = mem::take(self.actions());
            let mut cx = Context { now, shared: &shared, actions: &mut actions };
            match self.sockets().expire(&mut cx) {
                Some(index) => self.finish_turn(now, index, actions),
                None => {
                    *self.actions() = actions;
                    return;
                }
            }
        }
    }
}
