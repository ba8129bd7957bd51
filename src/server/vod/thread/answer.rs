//! Answers of a thread that plays files: what a name is at this moment, and what then plays; what follows an entry.
//!
//! In: requests ([`Ask`]), the end of an entry. Out: answers and notices on the session, players, a live stream to move on to. Not here:
//! when media is sent (the parent module), and which tag (`player`).

use super::{FileThread, LOOK};
use crate::{
    base::MonoTime,
    media::{MediaError, MediaReader},
    rtmp::session::{Notice, PlayStart, RejectReason, RequestId},
    server::{
        connection::Role,
        media,
        owner::Owner,
        plain,
        player::{Action, Terms},
        vod::{
            Ask, Entry, Vod, has_no_room,
            library::{Library, NoFile},
            player::{FilePlayer, Growing, MAX_PLAYLIST},
            told,
        },
    },
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
};
use core::time::Duration;
use std::{io, path::Path};

/// A recording that has no file for longer than this, while its stream goes on, is over: the disk is full.
const MAX_GAP: Duration = Duration::from_secs(5);

/// What a name turned out to be.
enum Found {
    File(Opened),
    Live,
    /// A recording of which nothing is to be read yet.
    NotYet,
}

/// A file to play.
struct Opened {
    reader: Box<dyn MediaReader + Send>,
    /// Its name for the log.
    shown: String,
    growing: Option<Growing>,
}

impl FileThread {
    /// Answers a request.
    pub(super) fn answer(&mut self, now: MonoTime, index: usize, request: RequestId, ask: Ask) {
        let shared = self.hold.shared.clone();
        let Some(vod) = &shared.vod else { return };
        match ask {
            Ask::Play { entry, reset, transition } => {
                self.play_entry(now, index, request, &entry, reset, transition.as_deref());
                // What it played goes on if it still does.
                self.moving.append(&mut self.before);
            }
            Ask::Pause { stream, paused, position } => {
                let mut is_elsewhere = false;
                self.with_player(stream, |player| is_elsewhere = player.pause(now, paused, position));
                self.with_connection(index, |connection| {
                    if let Some(session) = connection.protocol.rtmp().filter(|_| is_elsewhere) {
                        session.drop_media(stream);
                    }
                    connection.accept(request);
                });
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
                let reader = file.and_then(|file| open(vod, &file).ok());
                let seconds = reader.map_or(0.0, |reader| f64::from(reader.info().duration) / 1000.0);
                self.with_connection(index, |connection| {
                    connection.answer(|session| session.reply(request, &[seconds.into()]));
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
            Ok(Found::Live | Found::NotYet) => self.with(now, index, |connection, cx| {
                let terms = Terms::new(entry.wanted, entry.duration);
                connection.play_live(cx, request, entry.stream, entry.path.clone(), terms);
            }),
            Ok(Found::File(Opened { reader, shown, growing })) => {
                let Some(connection) = self.hold.sockets.get_mut(index) else { return };
                log::info!("{} plays {} ({shown})", connection.id(), entry.path);
                connection.set_role(entry.stream, Role::Replaying);
                connection.answer(|session| session.accept_recorded(request));
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
            connection.answer(|session| session.accept_later(request));
        });
        if self.players[place].has_ended() {
            self.go_on(now, index, place);
        }
    }

    /// What an entry is at this moment.
    fn find(&mut self, index: usize, entry: &Entry) -> Result<Found, RejectReason> {
        let shared = self.hold.shared.clone();
        let Some(vod) = &shared.vod else { return Err(RejectReason::NotFound) };
        let is_live = || shared.registry.is_live(&entry.path);
        let may_be_live = !matches!(entry.start, PlayStart::At(_));
        let recording = shared.recording(&entry.path).filter(|_| !may_be_live && !vod.has(&entry.path));
        let library = vod.library.as_ref().filter(|_| Library::has(&entry.path));
        let found = match (recording, library) {
            (Some(file), _) => {
                let growing = Growing { path: entry.path.clone(), file: file.clone(), missed: None };
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
        let who = self
            .hold
            .sockets
            .get_mut(index)
            .map(|connection| connection.id().to_string())
            .unwrap_or_default();
        let opened = match found {
            Err(NoFile::Io(error)) => Err((plain(&error), refused(&error))),
            Err(why) => Err((why.to_string(), RejectReason::NotFound)),
            Ok((file, shown, growing)) => match open(vod, &file) {
                Ok(reader) => return Ok(Found::File(Opened { reader, shown, growing })),
                // It has only just begun.
                Err(_) if growing.is_some() => return Ok(Found::NotYet),
                Err(error) => Err(error),
            },
        };
        opened.map_err(|(why, reason)| {
            log::warn!("{who} may not play {}: {why}", entry.path);
            reason
        })
    }

    /// All is sent of a recording, and more may come. When another file has taken its place, or the stream is over,
    /// what was written last is still to be read. Between two files there is none for a moment.
    pub(super) fn expects_more(&mut self, now: MonoTime, place: usize) -> bool {
        let player = &mut self.players[place];
        if player.is_at_limit() {
            return false;
        }
        let Some(mut growing) = player.growing.take() else { return false };
        match self.hold.shared.recording(&growing.path) {
            Some(current) if current == growing.file => {
                growing.missed = None;
                player.growing = Some(growing);
            }
            Some(_) => player.playlist.push_front(player.continuation()),
            None => {
                let missed = *growing.missed.get_or_insert(now);
                if self.hold.shared.registry.is_live(&growing.path) && now.since(missed) < MAX_GAP {
                    player.growing = Some(growing);
                }
            }
        }
        player.expect_more();
        true
    }

    /// The entry of a player is over. True if it has another one.
    pub(super) fn go_on(&mut self, now: MonoTime, index: usize, place: usize) -> bool {
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
                Ok(Found::NotYet) => {
                    let player = &mut self.players[place];
                    player.playlist.push_front(entry);
                    player.expect_more();
                    self.look_at(now + LOOK);
                    return false;
                }
                Ok(Found::Live) if self.players.len() == 1 => {
                    let Ok(hub) = self.hold.shared.registry.hub(&entry.path) else { continue };
                    self.with_connection(index, |connection| {
                        log::info!("{} goes on with {}", connection.id(), entry.path);
                        connection.notify(stream, Notice::Switched(sent));
                        connection.notify(stream, begins(false));
                        connection.set_role(stream, Role::Playing);
                    });
                    self.players.clear();
                    let terms = Terms::new(entry.wanted, entry.duration);
                    self.moving.push(Action::Join { stream, hub, terms });
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

/// Opens a file, or says why not: for the log, and for the client.
pub(super) fn open(vod: &Vod, file: &Path) -> Result<Box<dyn MediaReader + Send>, (String, RejectReason)> {
    let file = media::file(file).map_err(|error| (plain(&error), refused(&error)))?;
    vod.indices.reader(file).map_err(|error| (error.to_string(), reason(&error)))
}

/// What a client is told when the system does not give a file: that there is none, unless a server that is set up better, or
/// a later moment, would have it.
pub(super) fn refused(error: &io::Error) -> RejectReason {
    match error.kind() {
        io::ErrorKind::PermissionDenied => RejectReason::Failed(told(error).to_string()),
        _ if has_no_room(error) => RejectReason::Failed(told(error).to_string()),
        _ => RejectReason::NotFound,
    }
}

/// What a client is told of a file that cannot be played.
fn reason(error: &MediaError) -> RejectReason {
    match error {
        MediaError::Io(_) => RejectReason::Failed("The server cannot read it.".to_string()),
        MediaError::Malformed { .. } | MediaError::TooLarge(_) => RejectReason::Damaged(error.to_string()),
        MediaError::Unsupported(_) => RejectReason::NothingPlayable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_work_another_time_is_a_failure_and_not_an_absence() {
        let told = |errno| match refused(&io::Error::from_raw_os_error(errno)) {
            RejectReason::Failed(why) => why,
            RejectReason::NotFound => "not found".to_string(),
            other => panic!("{other:?}"),
        };
        let (eacces, emfile, enfile, enametoolong, eloop) = (13, 24, 23, 36, 40);
        assert_eq!(told(eacces), "The server may not read it.");
        assert_eq!([emfile, enfile].map(told), ["The server has too many files open."; 2]);
        assert_eq!([enametoolong, eloop].map(told), ["not found"; 2]);
    }
}
