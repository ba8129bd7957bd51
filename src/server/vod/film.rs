//! What all players of files have in common: a file that is read past damage, and a clock.
//!
//! In: a reader, positions, the time. Out: tags; when they are due. Not here: which of them a client gets.
//! Bound: [`MAX_DAMAGE`].

use crate::{
    base::{MonoTime, Timestamp},
    flv::Tag,
    media::{MediaError, MediaInfo, MediaReader},
    server::path::StreamPath,
};
use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

/// Places of damage in a row that are passed over.
const MAX_DAMAGE: u32 = 64;

/// A file that is read past damage, which goes to the log.
pub(super) struct Film {
    reader: Box<dyn MediaReader + Send>,
    /// For the log.
    path: StreamPath,
    /// In a row.
    damages: u32,
}

impl Film {
    /// `path`: what clients call it.
    pub(super) fn new(reader: Box<dyn MediaReader + Send>, path: &StreamPath) -> Film {
        Film { reader, path: path.clone(), damages: 0 }
    }

    /// What clients call it.
    pub(super) fn path(&self) -> &StreamPath {
        &self.path
    }

    pub(super) fn info(&self) -> &MediaInfo {
        self.reader.info()
    }

    /// See [`MediaReader::headers`].
    pub(super) fn headers(&self) -> Vec<Tag> {
        self.reader.headers()
    }

    /// See [`MediaReader::seek`]. `None` if that cannot be read, which shows at the next read as well.
    pub(super) fn seek(&mut self, target: u32) -> Option<u32> {
        self.damages = 0;
        let place = self.reader.seek(Timestamp(target)).map(|place| place.0);
        self.noted(place)
    }

    /// To the very first tag.
    pub(super) fn rewind(&mut self) {
        self.damages = 0;
        let result = self.reader.rewind();
        self.noted(result);
    }

    /// The next tag; `None` at the end, and where nothing can be read any more.
    pub(super) fn read(&mut self) -> Option<Tag> {
        loop {
            match self.reader.next() {
                Ok(tag) => {
                    self.damages = 0;
                    return tag;
                }
                Err(error) => {
                    log::warn!("{}: {error}", self.path);
                    self.damages += 1;
                    if self.damages > MAX_DAMAGE || matches!(error, MediaError::Io(_)) {
                        return None;
                    }
                }
            }
        }
    }

    fn noted<T>(&self, result: Result<T, MediaError>) -> Option<T> {
        result.map_err(|error| log::warn!("{}: {error}", self.path)).ok()
    }
}

/// When media is due: its time plus this is the driver's time. Milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    pub(super) origin: i64,
}

impl Clock {
    /// A clock by which `time` is now.
    pub(super) fn at(now: MonoTime, time: u32) -> Clock {
        Clock { origin: now.0 as i64 - i64::from(time) }
    }

    /// When media of that time may be sent to a client that wants it so long before it is due.
    pub(super) fn due(self, time: u32, buffer: Duration) -> MonoTime {
        let ahead = buffer.as_millis() as i64;
        MonoTime((self.origin + i64::from(time) - ahead).max(0) as u64)
    }

    /// By how much that time lies ahead; below 0: behind.
    pub(super) fn lead(self, now: MonoTime, time: u32) -> i64 {
        self.origin + i64::from(time) - now.0 as i64
    }
}
