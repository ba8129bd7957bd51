//! A thread that plays files to one connection, and answers what may need a file.
//!
//! It sleeps in `poll` until the socket is ready, media is due, or another thread has a word for it. Its connection stays as long
//! as it plays files; then it goes to whoever it belongs to.

use super::{
    super::{
        STOP_GRACE, Shared,
        connection::{Connection, Context, Owned, Role},
        media,
        owner::Owner,
        player::Action,
        port::{Control, Port},
        sockets::{Ready, Sockets},
    },
    Ask, Entry, Library,
    library::NoFile,
    player::{FilePlayer, Growing, MAX_PLAYLIST, Pumped},
};
use crate::{
    media::{MediaError, MediaReader},
    rtmp::{
        MessageStreamId, MonoTime,
        session::{CloseReason, Notice, PlayStart, RejectReason, RequestId, State},
    },
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{mem, time::Duration};
use crossbeam_channel::{Receiver, unbounded};
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
    shared: Arc<Shared>,
    port: Arc<Port>,
    control: Receiver<Control>,
    sockets: Sockets,
    actions: Vec<Action>,
    players: Vec<FilePlayer>,
    /// What the connection played live before; it goes on with that if it gets no file.
    before: Vec<Action>,
    /// What it plays live from now on.
    moving: Vec<Action>,
    /// When media is due.
    due: Option<MonoTime>,
    stop_at: Option<MonoTime>,
}

/// What a name turned out to be.
enum Found {
    File(Opened),
    Live,
}

/// A file to play.
struct Opened {
    reader: Box<dyn MediaReader + Send>,
    /// Its name for the log.
    shown: String,
    growing: Option<Growing>,
}

impl FileThread {
    /// A thread to be, and its door.
    pub(super) fn new(number: usize, shared: Arc<Shared>) -> io::Result<(FileThread, Arc<Port>)> {
        let (sockets, waker) = Sockets::new(0)?;
        let (sender, control) = unbounded();
        let port = Arc::new(Port::new(sender, waker));
        let thread = FileThread {
            number,
            shared,
            port: port.clone(),
            control,
            sockets,
            actions: Vec::new(),
            players: Vec::new(),
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
        while !self.sockets.is_empty() && self.stop_at.is_none_or(|at| at > self.shared.now()) {
            self.sleep(&mut ready);
            let now = self.shared.now();
            while let Ok(message) = self.control.try_recv() {
                self.handle_control(now, message);
            }
            for index in self.sockets.take_again() {
                self.turn(now, index);
            }
            for ready in &ready {
                if let Ready::Connection(index) = *ready {
                    self.turn(now, index);
                }
            }
            self.play();
            self.handle_deadlines(self.shared.now());
            self.move_on();
        }
        let now = self.shared.now();
        for index in self.sockets.indices() {
            if let Some(connection) = self.sockets.remove(index) {
                self.bury(now, connection);
            }
        }
        if let Some(vod) = &self.shared.vod {
            vod.forget(self.number);
        }
    }

    fn sleep(&mut self, ready: &mut Vec<Ready>) {
        let now = self.shared.now();
        let mut until = self.due.into_iter().chain(self.stop_at).min();
        self.port.fall_asleep();
        if !self.control.is_empty() {
            until = Some(now);
        }
        ready.clear();
        self.sockets.wait(now, until, ready);
        self.port.stay_awake();
    }

    fn handle_control(&mut self, now: MonoTime, message: Control) {
        match message {
            Control::Mail(id) => {
                if let Some(index) = self.sockets.find(id) {
                    self.with(now, index, |connection, cx| connection.check_mail(cx));
                }
            }
            Control::Stop => {
                self.stop_at = Some(now + STOP_GRACE);
                for index in self.sockets.indices() {
                    self.with(now, index, |connection, cx| connection.close(cx, CloseReason::Shutdown));
                }
            }
            Control::Adopt(connection, _) => self.bury(now, connection),
            Control::Lost { .. } => {}
        }
    }

    fn adopt(&mut self, connection: Owned, mut actions: Vec<Action>) {
        let now = self.shared.now();
        let index = match self.sockets.insert(connection) {
            Ok(index) => index,
            Err((error, connection)) => {
                log::error!("{} cannot be watched: {error}", connection.id());
                return self.bury(now, connection);
            }
        };
        if let Some(asked) = actions.iter().position(|action| matches!(action, Action::Ask { .. })) {
            self.before = actions.split_off(asked + 1);
        }
        self.apply(now, index, &mut actions);
        // What came before the move gets no new event from the system.
        let shared = self.shared.clone();
        let mut cx = Context { now, shared: &shared, actions: &mut actions };
        if let Some(connection) = self.sockets.get_mut(index) {
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
        let shared = self.shared.clone();
        for _ in 0..ANSWERS {
            let mut actions = mem::take(&mut self.actions);
            self.sockets.turn(index, &mut Context { now, shared: &shared, actions: &mut actions });
            let has_asked = !actions.is_empty();
            self.apply(now, index, &mut actions);
            self.actions = actions;
            let is_more = self.sockets.get_mut(index).is_some_and(|connection| connection.needs_read());
            if !(has_asked && is_more && self.moving.is_empty()) {
                break;
            }
        }
        self.settle(now, index);
    }

    fn settle(&mut self, now: MonoTime, index: usize) {
        if let Some(connection) = self.sockets.settle(now, index) {
            self.bury(now, connection);
        }
    }

    fn bury(&self, now: MonoTime, connection: Owned) {
        let mut actions = Vec::new();
        connection.finish(&mut Context { now, shared: &self.shared, actions: &mut actions });
    }

    /// Gives the connection away if it plays no file (any more).
    fn move_on(&mut self) {
        let now = self.shared.now();
        let Some(index) = self.sockets.indices().first().copied() else { return };
        let Some(vod) = &self.shared.vod else { return };
        let stays = !self.players.is_empty() && self.moving.is_empty();
        if stays || self.shared.is_stopping() {
            return;
        }
        let Some(connection) = self.sockets.remove(index) else { return };
        let actions = mem::take(&mut self.moving);
        if actions.is_empty() {
            connection.mailbox.hand_over(vod.home.clone());
            vod.home.send(Control::Adopt(connection, actions));
        } else if let Err((error, connection)) = vod.pool.adopt(&self.shared, connection, actions) {
            log::error!("{} cannot play: {error}", connection.id());
            self.bury(now, connection);
        }
    }

    // ---- what the connection wants

    fn apply(&mut self, now: MonoTime, index: usize, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Ask { request, ask } => self.answer(now, index, request, ask),
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
                // Of a live stream on its way.
                Action::Restart { .. } | Action::Pause { .. } => {}
            }
        }
    }

    fn forget(&mut self, stream: MessageStreamId) {
        self.players.retain(|player| player.stream != stream);
        let is_other = |action: &Action| !matches!(action, Action::Join { stream: of, .. } if *of == stream);
        self.moving.retain(is_other);
        self.before.retain(is_other);
    }

    fn with_player(&mut self, stream: MessageStreamId, act: impl FnOnce(&mut FilePlayer)) {
        if let Some(player) = self.players.iter_mut().find(|player| player.stream == stream) {
            act(player);
        }
    }

    fn answer(&mut self, now: MonoTime, index: usize, request: RequestId, ask: Ask) {
        let shared = self.shared.clone();
        let Some(vod) = &shared.vod else { return };
        match ask {
            Ask::Play { entry, reset, transition } => {
                self.play_entry(now, index, request, &entry, reset, transition.as_deref());
                // What it played goes on if it still does.
                self.moving.append(&mut self.before);
            }
            Ask::Pause { stream, paused, position } => {
                self.with_player(stream, |player| player.pause(now, paused, position));
                self.with_connection(index, |connection| connection.accept(request));
            }
            Ask::Seek { stream, position } => {
                let duration = self.players.iter().find(|player| player.stream == stream);
                match duration.and_then(FilePlayer::duration).filter(|duration| position > *duration) {
                    Some(end) => self.with_connection(index, |connection| {
                        connection.reject(request, RejectReason::InvalidTime(end));
                    }),
                    None => {
                        self.with_player(stream, |player| player.seek(now, position));
                        self.with_connection(index, |connection| connection.accept(request));
                    }
                }
            }
            Ask::Length { path } => {
                let file = vod.library.as_ref().and_then(|library| library.find(&path).ok());
                let reader = file.and_then(|file| media::open(&file).ok());
                let seconds = reader.map_or(0.0, |reader| f64::from(reader.info().duration) / 1000.0);
                self.with_connection(index, |connection| {
                    let result = connection.session.reply(request, &[seconds.into()]);
                    connection.check(result);
                });
            }
        }
    }

    fn play_entry(
        &mut self,
        now: MonoTime,
        index: usize,
        request: RequestId,
        entry: &Entry,
        reset: bool,
        transition: Option<&str>,
    ) {
        let place = self.players.iter().position(|player| player.stream == entry.stream);
        let appends = !reset || matches!(transition, Some("append" | "appendAndWait"));
        if let Some(place) = place.filter(|_| appends) {
            return self.append(now, index, request, entry, place);
        }
        match self.find(index, entry) {
            Ok(Found::Live) => self.with(now, index, |connection, cx| {
                connection.play_live(cx, request, entry.stream, entry.path.clone(), entry.wanted);
            }),
            Ok(Found::File(Opened { reader, shown, growing })) => {
                let Some(connection) = self.sockets.get_mut(index) else { return };
                log::info!("{} plays {} ({shown})", connection.id(), entry.path);
                connection.set_role(entry.stream, Role::Replaying);
                let result = connection.session.accept_recorded(request);
                connection.check(result);
                let buffer = connection.buffer;
                match place.filter(|_| transition.is_some_and(|transition| transition != "reset")) {
                    Some(place) => {
                        let sent = self.players[place].sent();
                        self.players[place].switch(entry, reader);
                        connection.notify(entry.stream, Notice::Transitioned(sent));
                    }
                    None => {
                        self.forget(entry.stream);
                        self.players.push(FilePlayer::new(now, entry, reader, buffer));
                    }
                }
                self.with_player(entry.stream, |player| player.growing = growing);
            }
            Err(why) => self.with(now, index, |connection, _| connection.reject(request, why)),
        }
    }

    fn append(&mut self, now: MonoTime, index: usize, request: RequestId, entry: &Entry, place: usize) {
        if self.players[place].playlist.len() >= MAX_PLAYLIST {
            let why = RejectReason::Failed("The playlist is too long.".to_string());
            return self.with_connection(index, |connection| connection.reject(request, why));
        }
        self.players[place].playlist.push_back(entry.clone());
        self.with_connection(index, |connection| {
            let result = connection.session.accept_later(request);
            connection.check(result);
        });
        if self.players[place].has_ended() {
            self.go_on(now, index, place);
        }
    }

    /// What an entry is at this moment.
    fn find(&mut self, index: usize, entry: &Entry) -> Result<Found, RejectReason> {
        let shared = self.shared.clone();
        let Some(vod) = &shared.vod else { return Err(RejectReason::NotFound) };
        let is_live = || shared.registry.is_live(&entry.path);
        let may_be_live = !matches!(entry.start, PlayStart::At(_));
        let recording = shared.recording(&entry.path).filter(|_| !may_be_live && !vod.has(&entry.path));
        let library = vod.library.as_ref().filter(|_| Library::has(&entry.path));
        let found = match (recording, library) {
            (Some(file), _) => {
                let growing = Growing { path: entry.path.clone(), file: file.clone() };
                Ok((file.clone(), file.display().to_string(), Some(growing)))
            }
            _ if entry.start == PlayStart::Live || (may_be_live && is_live()) => return Ok(Found::Live),
            (None, None) => return Ok(Found::Live),
            (None, Some(library)) => match library.find(&entry.path) {
                // Somebody may publish it one day.
                Err(NoFile::NotThere) if may_be_live => return Ok(Found::Live),
                found => found.map(|file| (file.clone(), library.shown(&file).to_string(), None)),
            },
        };
        let who =
            self.sockets.get_mut(index).map(|connection| connection.id().to_string()).unwrap_or_default();
        let opened = match found {
            Err(why) => Err((why.to_string(), RejectReason::NotFound)),
            Ok((file, shown, growing)) => match media::open(&file) {
                Ok(reader) => return Ok(Found::File(Opened { reader, shown, growing })),
                // It has only just begun.
                Err(_) if growing.is_some() => return Ok(Found::Live),
                Err(error) => Err((error.to_string(), reason(&error))),
            },
        };
        opened.map_err(|(why, reason)| {
            log::warn!("{who} may not play {}: {why}", entry.path);
            reason
        })
    }

    fn with_connection(&mut self, index: usize, act: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.sockets.get_mut(index) {
            act(connection);
        }
    }

    // ---- media

    /// Sends what is due.
    fn play(&mut self) {
        self.due = None;
        let Some(index) = self.sockets.indices().first().copied() else { return };
        for _ in 0..ROUNDS {
            let now = self.shared.now();
            if !self.fill(now, index) {
                return self.settle(now, index);
            }
            self.settle(now, index);
            match self.sockets.get_mut(index) {
                Some(connection) if connection.session.output_len() == 0 => {}
                // The socket says when it takes more.
                _ => return,
            }
        }
        self.due = Some(self.shared.now());
    }

    /// Fills the session; true if there is more to send than it takes.
    fn fill(&mut self, now: MonoTime, index: usize) -> bool {
        let mut is_full = false;
        self.due = None;
        // Whoever comes last has the least room, so that everybody is that in turn.
        if self.players.len() > 1 {
            self.players.rotate_left(1);
        }
        let mut place = 0;
        while place < self.players.len() {
            let Some(connection) = self.sockets.get_mut(index) else { return false };
            if connection.session.state() != State::Open {
                return false;
            }
            let player = &mut self.players[place];
            let stream = player.stream;
            match player.pump(now, &mut connection.session) {
                Pumped::Until(at) => self.due = Some(self.due.map_or(at, |due| due.min(at))),
                Pumped::Full => is_full = true,
                Pumped::Idle => {}
                Pumped::Dry => {
                    connection.notify(stream, Notice::Dry);
                    continue;
                }
                Pumped::Ended if self.expects_more(place) => {
                    let look = now + LOOK;
                    self.due = Some(self.due.map_or(look, |due| due.min(look)));
                }
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

    /// All is sent of a recording, and more may come. When another file has taken its place, or the stream is over,
    /// what was written last is still to be read.
    fn expects_more(&mut self, place: usize) -> bool {
        let player = &mut self.players[place];
        let Some(growing) = player.growing.take() else { return false };
        match self.shared.recording(&growing.path) {
            Some(current) if current == growing.file => player.growing = Some(growing),
            Some(_) => player.playlist.push_front(player.continuation()),
            None => {}
        }
        player.expect_more();
        true
    }

    /// The entry of a player is over. True if it has another one.
    fn go_on(&mut self, now: MonoTime, index: usize, place: usize) -> bool {
        while let Some(mut entry) = self.players[place].playlist.pop_front() {
            entry.wanted = self.players[place].wanted();
            let sent = self.players[place].sent();
            let stream = entry.stream;
            let begins = |is_recorded| Notice::Begins { name: entry.name.clone(), is_recorded };
            match self.find(index, &entry) {
                Ok(Found::File(Opened { reader, shown, growing })) => {
                    self.with_connection(index, |connection| {
                        log::info!("{} goes on with {} ({shown})", connection.id(), entry.path);
                        connection.notify(stream, Notice::Switched(sent));
                        connection.notify(stream, begins(true));
                    });
                    self.players[place].follow(now, &entry, reader);
                    self.players[place].growing = growing;
                    return true;
                }
                Ok(Found::Live) if self.players.len() == 1 => {
                    let Ok(hub) = self.shared.registry.hub(&entry.path) else { continue };
                    self.with_connection(index, |connection| {
                        log::info!("{} goes on with {}", connection.id(), entry.path);
                        connection.notify(stream, Notice::Switched(sent));
                        connection.notify(stream, begins(false));
                        connection.set_role(stream, Role::Playing);
                    });
                    self.players.clear();
                    self.moving.push(Action::Join { stream, hub, wanted: entry.wanted });
                    return true;
                }
                Ok(Found::Live) => log::warn!("{} is live, which does not go with files", entry.path),
                Err(_) => {}
            }
        }
        let sent = self.players[place].sent();
        let stream = self.players[place].stream;
        self.with_connection(index, |connection| connection.notify(stream, Notice::Complete(sent)));
        false
    }
}

/// What a client is told of a file that cannot be opened.
fn reason(error: &MediaError) -> RejectReason {
    match error {
        MediaError::Io(_) => RejectReason::NotFound,
        MediaError::Malformed { .. } | MediaError::TooLarge(_) => RejectReason::Damaged(error.to_string()),
        MediaError::Unsupported(_) => RejectReason::NothingPlayable(error.to_string()),
    }
}

impl Owner for FileThread {
    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn sockets(&mut self) -> &mut Sockets {
        &mut self.sockets
    }

    fn actions(&mut self) -> &mut Vec<Action> {
        &mut self.actions
    }

    fn finish_turn(&mut self, now: MonoTime, index: usize, mut actions: Vec<Action>) {
        self.apply(now, index, &mut actions);
        self.actions = actions;
        self.settle(now, index);
    }
}
