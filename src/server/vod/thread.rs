//! A thread that plays files to one connection, or sends them over HTTP; what it answers is in `answer`, `download` and `open`.
//!
//! It sleeps in `poll` until the socket is ready, media is due, or another thread has a word for it. Its connection stays as long
//! as it plays files; then it goes to whoever it belongs to.

mod answer;
mod download;
mod open;

use super::{
    super::{
        STOP_GRACE, Shared,
        connection::{Connection, Context, Owned},
        owner::{Hold, Owner},
        player::{Action, Terms},
        port::{Control, Port},
        report::Facts,
        sockets::{Ready, Sockets},
    },
    player::{FilePlayer, Pumped},
};
use crate::{
    base::MonoTime,
    rtmp::{
        MessageStreamId,
        session::{CloseReason, Notice, State},
    },
};
use alloc::{sync::Arc, vec::Vec};
use core::{mem, time::Duration};
use crossbeam_channel::{Receiver, unbounded};
use download::Download;
use std::io;

/// Requests that are answered before media gets its turn again.
const ANSWERS: usize = 256;
/// How often a recording that is played to its end is looked at for more: it grows twice a second.
const LOOK: Duration = Duration::from_millis(250);
/// Rounds of filling the session and writing before requests get their turn again: a few MB.
const ROUNDS: usize = 16;

/// One thread. Ends when its connection is over or goes elsewhere, or [`STOP_GRACE`] after [`Control::Stop`].
pub(super) struct FileThread {
    number: usize,
    hold: Hold,
    port: Arc<Port>,
    control: Receiver<Control>,
    players: Vec<FilePlayer>,
    /// What it gets over HTTP.
    download: Option<Download>,
    /// What the connection played live before; it goes on with that if it gets no file.
    before: Vec<Action>,
    /// What it plays live from now on.
    moving: Vec<Action>,
    /// When media is due.
    due: Option<MonoTime>,
    stop_at: Option<MonoTime>,
}

impl FileThread {
    /// A thread to be, and its door.
    pub(super) fn new(number: usize, shared: Arc<Shared>) -> io::Result<(FileThread, Arc<Port>)> {
        let (sockets, waker) = Sockets::new(0)?;
        let (sender, control) = unbounded();
        let port = Arc::new(Port::new(sender, waker));
        let thread = FileThread {
            number,
            hold: Hold::new(shared, sockets),
            port: port.clone(),
            control,
            players: Vec::new(),
            download: None,
            before: Vec::new(),
            moving: Vec::new(),
            due: None,
            stop_at: None,
        };
        Ok((thread, port))
    }

    pub(super) fn run(mut self) {
        let mut ready = Vec::new();
        // The connection is the first message.
        if let Ok(Control::Adopt(connection, actions)) = self.control.recv() {
            self.adopt(connection, actions);
        }
        while !self.hold.sockets.is_empty() && self.stop_at.is_none_or(|at| at > self.hold.shared.now()) {
            self.sleep(&mut ready);
            let now = self.hold.shared.now();
            while let Ok(message) = self.control.try_recv() {
                self.handle_control(now, message);
            }
            for index in self.hold.sockets.take_again() {
                self.turn(now, index);
            }
            for ready in &ready {
                if let Ready::Connection(index) = *ready {
                    self.turn(now, index);
                }
            }
            self.play();
            self.handle_deadlines(self.hold.shared.now());
            self.move_on();
        }
        let now = self.hold.shared.now();
        for index in self.hold.sockets.indices() {
            if let Some(connection) = self.hold.sockets.remove(index) {
                self.bury(now, connection);
            }
        }
        if let Some(vod) = &self.hold.shared.vod {
            vod.forget(self.number);
        }
    }

    fn sleep(&mut self, ready: &mut Vec<Ready>) {
        let now = self.hold.shared.now();
        let mut until = self.due.into_iter().chain(self.stop_at).min();
        self.port.fall_asleep();
        if !self.control.is_empty() {
            until = Some(now);
        }
        ready.clear();
        self.hold.sockets.wait(now, until, ready);
        self.port.stay_awake();
    }

    fn handle_control(&mut self, now: MonoTime, message: Control) {
        match message {
            Control::Mail(id) => {
                if let Some(index) = self.hold.sockets.find(id) {
                    self.with(now, index, |connection, cx| connection.check_mail(cx));
                }
            }
            Control::Stop => {
                self.stop_at = Some(now + STOP_GRACE);
                for index in self.hold.sockets.indices() {
                    self.with(now, index, |connection, cx| connection.close(cx, CloseReason::Shutdown));
                }
            }
            Control::Report(question) => {
                let path = self.players.first().map(FilePlayer::path).cloned();
                let path = path.or_else(|| self.replayed());
                let describe = |facts: &mut Facts| match &self.download {
                    Some(download) => facts.all().for_each(|facts| download.describe(facts)),
                    None => facts.all().for_each(|facts| facts.stream = path.clone()),
                };
                question.answer(&self.hold.sockets, describe);
            }
            Control::Adopt(connection, _) => self.bury(now, connection),
            Control::Lost { .. } => {}
        }
    }

    fn adopt(&mut self, connection: Owned, mut actions: Vec<Action>) {
        let now = self.hold.shared.now();
        let index = match self.hold.sockets.insert(connection) {
            Ok(index) => index,
            Err((error, connection)) => {
                log::error!("{} cannot be watched: {error}", connection.id());
                return self.bury(now, connection);
            }
        };
        if let Some(asked) = actions.iter().position(Action::needs_file) {
            self.before = actions.split_off(asked + 1);
        }
        self.apply(now, index, &mut actions);
        // What came before the move gets no new event from the system.
        let shared = self.hold.shared.clone();
        let mut cx = Context { now, shared: &shared, actions: &mut actions };
        if let Some(connection) = self.hold.sockets.get_mut(index) {
            connection.check_mail(&mut cx);
            if shared.is_stopping() {
                connection.close(&mut cx, CloseReason::Shutdown);
            }
        }
        self.apply(now, index, &mut actions);
        self.turn(now, index);
        self.play();
        self.move_on();
    }

    /// Reads, and answers what is asked. Several requests that came at once are answered before anything is sent.
    fn turn(&mut self, now: MonoTime, index: usize) {
        let shared = self.hold.shared.clone();
        for _ in 0..ANSWERS {
            let mut actions = mem::take(&mut self.hold.actions);
            self.hold.sockets.turn(index, &mut Context { now, shared: &shared, actions: &mut actions });
            let has_asked = !actions.is_empty();
            self.apply(now, index, &mut actions);
            self.hold.actions = actions;
            let is_more = self.hold.sockets.get_mut(index).is_some_and(|connection| connection.needs_read());
            if !(has_asked && is_more && self.moving.is_empty()) {
                break;
            }
        }
        self.settle(now, index);
    }

    fn settle(&mut self, now: MonoTime, index: usize) {
        if let Some(connection) = self.hold.sockets.settle(now, index) {
            self.bury(now, connection);
        }
    }

    fn bury(&self, now: MonoTime, connection: Owned) {
        let mut actions = Vec::new();
        connection.finish(&mut Context { now, shared: &self.hold.shared, actions: &mut actions });
    }

    /// Gives the connection away if it plays no file (any more).
    fn move_on(&mut self) {
        let now = self.hold.shared.now();
        let Some(index) = self.hold.sockets.indices().first().copied() else { return };
        let Some(vod) = &self.hold.shared.vod else { return };
        let is_replaying =
            self.hold.sockets.get_mut(index).is_some_and(|connection| connection.is_replaying());
        let plays = is_replaying || !self.players.is_empty();
        let stays = self.download.is_some() || (plays && self.moving.is_empty());
        if stays || self.hold.shared.is_stopping() {
            return;
        }
        let Some(connection) = self.hold.sockets.remove(index) else { return };
        // Before it can ask for the next file, whose thread may come in the place of this one.
        vod.forget(self.number);
        let actions = mem::take(&mut self.moving);
        if actions.is_empty() {
            vod.home.give(connection, actions);
        } else if let Err((error, connection)) = vod.pool.adopt(&self.hold.shared, connection, actions) {
            log::error!("{} cannot play: {error}", connection.id());
            self.bury(now, connection);
        }
    }

    // ---- what the connection wants

    fn apply(&mut self, now: MonoTime, index: usize, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            // Of a live stream that the connection is about to move for: it begins that way.
            if let Some(terms) = action.stream().and_then(|stream| self.terms_of_moving(stream)) {
                match action {
                    Action::Pause { paused, .. } => terms.is_paused = paused,
                    Action::ReceiveAudio { wanted, .. } => terms.wanted.audio = wanted,
                    Action::ReceiveVideo { wanted, .. } => terms.wanted.video = wanted,
                    _ => {}
                }
            }
            match action {
                Action::Ask { request, ask } => self.answer(now, index, request, ask),
                Action::Fetch { id, request } => self.fetch(now, index, id, &request),
                Action::Open { event, path, .. } => self.open(now, index, &event, path),
                Action::Join { stream, .. } => {
                    self.forget(stream);
                    self.moving.push(action);
                }
                Action::Leave { stream } => self.forget(stream),
                Action::ReceiveAudio { stream, wanted } => {
                    self.with_player(stream, |player| player.receive_audio(wanted));
                }
                Action::ReceiveVideo { stream, wanted } => {
                    self.with_player(stream, |player| player.receive_video(wanted));
                }
                Action::Buffer { stream, length } => {
                    self.with_player(stream, |player| player.set_buffer(length));
                }
                // Of a live stream.
                Action::Restart { .. } | Action::Pause { .. } => {}
            }
        }
    }

    fn forget(&mut self, stream: MessageStreamId) {
        self.players.retain(|player| player.stream != stream);
        let is_other = |action: &Action| action.stream() != Some(stream);
        self.moving.retain(is_other);
        self.before.retain(is_other);
    }

    /// What it plays live from now on, as soon as the connection is where that happens.
    fn terms_of_moving(&mut self, stream: MessageStreamId) -> Option<&mut Terms> {
        self.moving.iter_mut().find_map(|action| match action {
            Action::Join { stream: of, terms, .. } if *of == stream => Some(terms),
            _ => None,
        })
    }

    fn with_player(&mut self, stream: MessageStreamId, act: impl FnOnce(&mut FilePlayer)) {
        if let Some(player) = self.players.iter_mut().find(|player| player.stream == stream) {
            act(player);
        }
    }

    fn with_connection(&mut self, index: usize, act: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.hold.sockets.get_mut(index) {
            act(connection);
        }
    }

    // ---- media

    /// Sends what is due.
    fn play(&mut self) {
        self.due = None;
        let Some(index) = self.hold.sockets.indices().first().copied() else { return };
        for _ in 0..ROUNDS {
            let now = self.hold.shared.now();
            if !self.fill(now, index) {
                return self.settle(now, index);
            }
            self.settle(now, index);
            match self.hold.sockets.get_mut(index) {
                Some(connection) if connection.protocol.output_len() == 0 => {}
                // The socket says when it takes more.
                _ => return,
            }
        }
        self.due = Some(self.hold.shared.now());
    }

    /// Fills the session; true if there is more to send than it takes.
    fn fill(&mut self, now: MonoTime, index: usize) -> bool {
        self.due = None;
        if self.download.is_some() {
            return self.fill_download(now, index);
        }
        if let Some(connection) = self.hold.sockets.get_mut(index).filter(|of| of.is_replaying()) {
            match connection.pump_replay(now) {
                Pumped::Until(at) => self.look_at(at),
                Pumped::Full => return true,
                Pumped::Idle | Pumped::Dry | Pumped::Ended => {}
            }
            return false;
        }
        let mut is_full = false;
        // Whoever comes last has the least room, so that everybody is that in turn.
        if self.players.len() > 1 {
            self.players.rotate_left(1);
        }
        let mut place = 0;
        while place < self.players.len() {
            let Some(connection) = self.hold.sockets.get_mut(index) else { return false };
            let Some(session) = connection.protocol.rtmp().filter(|session| session.state() == State::Open)
            else {
                return false;
            };
            let player = &mut self.players[place];
            let stream = player.stream;
            match player.pump(now, session) {
                Pumped::Until(at) => self.look_at(at),
                Pumped::Full => is_full = true,
                Pumped::Idle => {}
                Pumped::Dry => {
                    connection.notify(stream, Notice::Dry);
                    continue;
                }
                Pumped::Ended if self.expects_more(now, place) => self.look_at(now + LOOK),
                Pumped::Ended => {
                    if self.go_on(now, index, place) {
                        continue;
                    }
                }
            }
            place += 1;
        }
        is_full
    }

    /// Looks for media to send at that time, if not before.
    fn look_at(&mut self, at: MonoTime) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

impl Owner for FileThread {
    fn hold(&mut self) -> &mut Hold {
        &mut self.hold
    }

    fn finish_turn(&mut self, now: MonoTime, index: usize, mut actions: Vec<Action>) {
        self.apply(now, index, &mut actions);
        self.hold.actions = actions;
        self.settle(now, index);
    }
}
