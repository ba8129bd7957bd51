//! A file as it is, or a part of it, to a client of HTTP.
//!
//! In: a request, and what a socket takes. Out: the response, its body piece by piece. Not here: what the response says
//! (`web::files`). When all is queued the connection goes home, and the next request for a file gets another thread.
//! Bounds: [`QUEUE`] bytes wait in the session, of which the last piece may pass the bound by less than [`PIECE`].
//!
//! Field notes: browsers ask for a film from some place on to its end and break off when enough has come, again and again.

use super::FileThread;
use crate::{
    base::{MonoTime, SendError, State},
    http::{self, Request, RequestId, Response},
    media::ReadAt,
    server::{
        connection::Context,
        media,
        path::StreamPath,
        report::{self, ConnectionFacts},
        vod::{Vod, has_no_room, library::NoFile, told},
        web::{
            files::{self, Folder},
            metafile,
        },
    },
};
use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::ops::Range;
use std::{
    fs::{File, Metadata},
    io::ErrorKind,
};

/// Bytes that are read at once.
const PIECE: u64 = 64 << 10;
/// Bytes that may wait in a session before more is read.
const QUEUE: usize = 256 << 10;

/// See the module.
pub(super) struct Download {
    file: File,
    /// For the log.
    name: String,
    /// What is still to be queued.
    rest: Range<u64>,
}

/// What became of a try to send.
enum Sent {
    /// All of it, or there is nobody to send it to.
    All,
    /// As much as may wait.
    Enough,
}

impl FileThread {
    /// Answers a request; what fits of the file goes with the answer.
    pub(super) fn fetch(&mut self, now: MonoTime, index: usize, id: RequestId, request: &Request) {
        let shared = self.hold.shared.clone();
        let (Some(vod), Some(connection)) = (&shared.vod, self.hold.sockets.get_mut(index)) else { return };
        let path = request.path();
        if let Some((folder, name)) = listed(vod, path) {
            let cx = Context { now, shared: &shared, actions: &mut Vec::new() };
            return connection.list_file(&cx, id, request, (folder, &name));
        }
        let (response, opened) = match open(vod, path) {
            Ok((file, metadata)) => {
                let (response, rest) = files::found(request, path, &metadata);
                (response, Some((file, rest)))
            }
            Err(why) => {
                match why {
                    NoFile::NotThere | NoFile::NotMedia | NoFile::Hidden => {
                        log::debug!("{} may not get {path}: {why}", connection.id());
                    }
                    _ => log::warn!("{} may not get {path}: {why}", connection.id()),
                }
                (refused(&why), None)
            }
        };
        connection.respond(&Context { now, shared: &shared, actions: &mut Vec::new() }, id, &response);
        let awaits_body = connection.protocol.http().is_some_and(|session| session.framing().is_some());
        if let Some((file, rest)) = opened.filter(|_| awaits_body) {
            log::debug!("{} gets bytes {} to {} of {path}", connection.id(), rest.start, rest.end);
            self.download = Some(Download { file, name: path.to_string(), rest });
            self.fill_download(now, index);
        }
    }

    /// Fills the session; true if there is more to send than it takes.
    pub(super) fn fill_download(&mut self, now: MonoTime, index: usize) -> bool {
        let (Some(download), Some(connection)) = (&mut self.download, self.hold.sockets.get_mut(index))
        else {
            return false;
        };
        let id = connection.id();
        // Whoever is too slow, or left, gets no more of it.
        let session = connection.protocol.http().filter(|session| session.state() == State::Open);
        let Some(session) = session else {
            self.download = None;
            return false;
        };
        match download.pump(session) {
            Ok(Sent::Enough) => return true,
            Ok(Sent::All) => {}
            // Nothing but the end of the connection tells that there is less than was announced.
            Err(why) => log::warn!("{id} cannot get the rest of {}: {why}", download.name),
        }
        let _ = session.end(now);
        self.download = None;
        false
    }
}

impl Download {
    /// Tells what the connection is for.
    pub(super) fn describe(&self, facts: &mut ConnectionFacts) {
        (facts.protocol, facts.role) = (Some(report::Protocol::File), report::Role::File);
        let name = self.name.trim_start_matches('/');
        // No name that would be shown as another one.
        facts.stream = StreamPath::join("", "", name).ok().filter(|path| path.as_str() == name);
    }

    fn pump(&mut self, session: &mut http::Session) -> Result<Sent, String> {
        while !self.rest.is_empty() {
            if session.output_len() >= QUEUE {
                return Ok(Sent::Enough);
            }
            let len = PIECE.min(self.rest.end - self.rest.start);
            let mut piece = vec![0; len as usize];
            let count = self.file.read_at(self.rest.start, &mut piece).map_err(|error| error.to_string())?;
            if count < piece.len() {
                return Err("it has become shorter".to_string());
            }
            match session.send(&piece.into()) {
                Ok(()) => self.rest.start += len,
                // Read again then, from memory.
                Err(SendError::WouldExceed) => return Ok(Sent::Enough),
                Err(SendError::NotOpen) => return Ok(Sent::All),
            }
        }
        Ok(Sent::All)
    }
}

/// The file whose addresses are asked for, if it is there: `/vod/clip.mp4.m3u`, or `/vod/clip.m3u` as clients of RTMP name
/// files. A list that lies in the folder itself is no media file, and could not be had anyhow.
fn listed(vod: &Vod, path: &str) -> Option<(Folder, String)> {
    let (folder, name) = files::named(path)?;
    let name = name.strip_suffix(metafile::LIST)?;
    let library = vod.folder(folder)?;
    if library.exact(name).is_ok() {
        return Some((folder, name.to_string()));
    }
    let path = StreamPath::join(folder.name(), "", name).ok()?;
    let name = library.shown(&library.find(&path).ok()?).to_string();
    library.exact(&name).is_ok().then_some((folder, name))
}

/// The file of an address.
fn open(vod: &Vod, path: &str) -> Result<(File, Metadata), NoFile> {
    let named = files::named(path).and_then(|(folder, name)| Some((vod.folder(folder)?, name)));
    let (folder, name) = named.ok_or(NoFile::NotThere)?;
    let file = media::file(&folder.exact(name)?).map_err(NoFile::Io)?;
    let metadata = file.metadata().map_err(NoFile::Io)?;
    Ok((file, metadata))
}

fn refused(why: &NoFile) -> Response {
    match why {
        NoFile::Io(error) if error.kind() == ErrorKind::PermissionDenied => files::forbidden(),
        NoFile::Io(error) if has_no_room(error) => files::busy(told(error)),
        _ => files::missing(),
    }
}
