//! A file on its way to a server, over as many connections as it takes.

use crate::{
    client::Setup,
    common::Failure,
    connections::{Sending, Stop, Way},
};
use std::time::Instant;
use weir::{
    media::{
        MediaReader,
        pace::{Schedule, Scheduled},
    },
    server::client::Publisher,
};

/// A file on its way to a server.
pub(crate) struct Push<'a> {
    way: Way,
    file: File<'a>,
    /// Tags, over all connections.
    sent: u64,
}

impl<'a> Push<'a> {
    pub(crate) fn new(
        mut way: Way,
        path: &'a str,
        reader: Box<dyn MediaReader + Send>,
        rounds: u64,
    ) -> Push<'a> {
        let file = File::new(path, reader, rounds);
        way.setup.progress.set_length(file.length.filter(|_| rounds > 0).map(|length| length * rounds));
        Push { way, file, sent: 0 }
    }
}

impl Sending for Push<'_> {
    fn way(&mut self) -> &mut Way {
        &mut self.way
    }

    /// To the last keyframe that was sent.
    fn go_back(&mut self) -> Result<(), Failure> {
        if self.sent > 0 { self.file.go_back() } else { Ok(()) }
    }

    fn send(&mut self, publisher: &mut Publisher) -> Result<(), Stop> {
        let started = Instant::now();
        let mut start = None;
        while let Some(Scheduled { due, tag }) = self.file.next(&self.way.setup)? {
            // A connection begins with what is due now.
            let start = *start.get_or_insert(due);
            let at = started + due.saturating_sub(start);
            let behind = if self.way.is_fast {
                None
            } else {
                publisher.serve(at)?;
                Some(Instant::now().saturating_duration_since(at))
            };
            publisher.send_tag(&tag)?;
            self.sent += 1;
            let position = u64::try_from(due.as_millis()).unwrap_or(u64::MAX);
            self.way.setup.progress.tag(position, tag.body.len(), behind);
        }
        Ok(())
    }
}

/// A file and its name.
struct File<'a> {
    path: &'a str,
    schedule: Schedule<Box<dyn MediaReader + Send>>,
    /// Milliseconds, if known.
    length: Option<u64>,
    damages: u32,
}

impl<'a> File<'a> {
    fn new(path: &'a str, reader: Box<dyn MediaReader + Send>, rounds: u64) -> File<'a> {
        let length = Some(u64::from(reader.info().duration)).filter(|length| *length > 0);
        let schedule = Schedule::new(reader, (rounds > 0).then_some(rounds));
        File { path, schedule, length, damages: 0 }
    }

    /// The next tag; damage is told, and passed over as far as the format allows that.
    fn next(&mut self, setup: &Setup) -> Result<Option<Scheduled>, Failure> {
        loop {
            match self.schedule.next() {
                Ok(next) => return Ok(next),
                Err(error) if self.damages < MAX_DAMAGES => {
                    self.damages += 1;
                    setup.progress.line(&format!("{}: {error}; going on behind", self.path));
                }
                Err(error) => return Err(Failure::run(self.path, error)),
            }
        }
    }

    /// To the last keyframe that was sent.
    fn go_back(&mut self) -> Result<(), Failure> {
        self.schedule.go_back().map_err(|error| Failure::run(self.path, error))
    }
}

/// Damaged places of a file that are passed over.
const MAX_DAMAGES: u32 = 100;
