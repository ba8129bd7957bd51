//! Files in real time, over and over or once.
//!
//! A damaged place is passed over; a file with more than [`MAX_DAMAGE`] of them in a row is given up.

use super::{
    Produced, Producer,
    format::{InputFormat, RawFormat},
    raw::RawFile,
};
use crate::{
    base::MonoTime,
    media::{MediaError, MediaReader, pace::Schedule},
    server::{demo, media},
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
};
use core::time::Duration;
use std::path::Path;

/// Damaged places in a row.
const MAX_DAMAGE: u32 = 100;
/// Who is this much behind, as after the machine was suspended, goes on from where he is.
const MAX_LAG: Duration = Duration::from_secs(5);

/// Opens a file that is played from `now` on.
pub(super) fn open(
    now: MonoTime,
    name: &Path,
    format: Option<InputFormat>,
    fps: Option<f64>,
    is_looped: bool,
) -> Result<Box<dyn Producer>, String> {
    let reader = open_media(name, format, fps).map_err(|error| error.to_string())?;
    Ok(Box::new(FileProducer::new(now, reader, if is_looped { None } else { Some(1) })))
}

/// Opens a file of media, with a container or without one. `format` is told by name and content if it is not said, and `fps` by
/// a raw video itself.
///
/// # Errors
/// It cannot be read or played.
pub fn open_media(
    name: &Path,
    format: Option<InputFormat>,
    fps: Option<f64>,
) -> Result<Box<dyn MediaReader + Send>, MediaError> {
    let raw = match format {
        Some(InputFormat::Raw(raw)) => Some(raw),
        Some(_) => None,
        None => RawFormat::of_name(name),
    };
    match raw {
        Some(raw) => Ok(Box::new(RawFile::open(name, raw, fps)?)),
        None => media::open(name),
    }
}

/// The built-in clip.
pub(super) fn demo(now: MonoTime) -> Result<Box<dyn Producer>, String> {
    let reader = media::flv(Box::new(demo::CLIP)).map_err(|error| error.to_string())?;
    Ok(Box::new(FileProducer::new(now, reader, None)))
}

struct FileProducer {
    schedule: Schedule<Box<dyn MediaReader + Send>>,
    started: MonoTime,
    damage: u32,
}

impl FileProducer {
    fn new(now: MonoTime, reader: Box<dyn MediaReader + Send>, rounds: Option<u64>) -> FileProducer {
        FileProducer { schedule: Schedule::new(reader, rounds), started: now, damage: 0 }
    }
}

impl Producer for FileProducer {
    fn next(&mut self, now: MonoTime) -> Result<Produced, String> {
        match self.schedule.next() {
            Ok(Some(next)) => {
                self.damage = 0;
                let late = now.since(self.started + next.due);
                if late > MAX_LAG {
                    self.started = self.started + late;
                }
                Ok(Produced::Tag { tag: next.tag, due: self.started + next.due })
            }
            Ok(None) => Ok(Produced::Over),
            Err(error) => {
                self.damage += 1;
                if self.damage > MAX_DAMAGE {
                    return Err(error.to_string());
                }
                log::debug!("a file that is a source is damaged: {error}");
                Ok(Produced::Nothing)
            }
        }
    }
}
