//! What comes when it comes, on its way to a server: a pipe, standard input, a command, a stream of another server.
//!
//! It cannot go back: while there is no connection its writer waits, and a new connection begins with the configuration in
//! force and the next keyframe.

use crate::{
    common::Failure,
    connections::{Sending, Stop, Way},
};
use std::time::{Duration, Instant};
use weir::{
    base::{MonoTime, Timestamp},
    flv::{Configuration, Tag, TagKind, TagRole},
    server::{
        client::{ClientOptions, Publisher},
        source::{Input, Produced, Producer},
    },
};

/// A live source on its way to a server.
pub(crate) struct Push<'a> {
    way: Way,
    spec: &'a str,
    started: Instant,
    producer: Box<dyn Producer>,
    configuration: Configuration,
    has_video: bool,
    first: Option<Timestamp>,
}

impl<'a> Push<'a> {
    /// Opens the source.
    pub(crate) fn new(way: Way, spec: &'a str, input: &Input) -> Result<Push<'a>, Failure> {
        let interrupt = way.setup.options.interrupt.clone();
        let client = ClientOptions { interrupt, ..ClientOptions::default() };
        let printer = way.setup.progress.printer();
        let listener = Box::new(move |line: &str| printer.line(line));
        let producer = input.open(MonoTime(0), &client, listener);
        let producer = producer.map_err(|error| Failure::run(spec, error))?;
        Ok(Push {
            way,
            spec,
            started: Instant::now(),
            producer,
            configuration: Configuration::default(),
            has_video: false,
            first: None,
        })
    }

    fn send_tag(&mut self, publisher: &mut Publisher, tag: &Tag, behind: Duration) -> Result<(), Stop> {
        publisher.send_tag(tag)?;
        let first = *self.first.get_or_insert(tag.timestamp);
        let position = tag.timestamp.wrapping_sub(first) as i32;
        let position = u64::try_from(position).unwrap_or(0);
        self.way.setup.progress.tag(position, tag.body.len(), Some(behind));
        Ok(())
    }
}

impl Sending for Push<'_> {
    fn way(&mut self) -> &mut Way {
        &mut self.way
    }

    /// It cannot.
    fn go_back(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn send(&mut self, publisher: &mut Publisher) -> Result<(), Stop> {
        let mut awaits_keyframe = self.has_video;
        let mut is_told = self.first.is_none();
        loop {
            let now = MonoTime(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
            let failed = |error| Stop::Source(Failure::run(self.spec, error));
            match self.producer.next(now).map_err(failed)? {
                Produced::Tag { tag, due } => {
                    if !self.way.is_fast && due > now {
                        publisher.serve(self.started + Duration::from_millis(due.0))?;
                    }
                    self.configuration.update(&tag);
                    let role = tag.classify().role;
                    let is_video = tag.kind == TagKind::Video;
                    self.has_video |= is_video;
                    awaits_keyframe &= role != TagRole::Keyframe;
                    if role.is_frame() && awaits_keyframe {
                        continue;
                    }
                    if role.is_frame() && !is_told {
                        is_told = true;
                        for header in self.configuration.at(tag.timestamp).iter() {
                            publisher.send_tag(header)?;
                        }
                    }
                    if is_told {
                        self.send_tag(publisher, &tag, now.since(due))?;
                    }
                }
                Produced::Damaged(places) => {
                    let line = format!("{}: {places} damaged places passed over", self.spec);
                    self.way.setup.progress.line(&line);
                }
                // It may begin anew.
                Produced::Nothing | Produced::Ended(_) => publisher.serve(Instant::now())?,
                Produced::Over if self.first.is_none() => {
                    return Err(failed("it ended before any media came".to_string()));
                }
                Produced::Over => return Ok(()),
            }
        }
    }
}
