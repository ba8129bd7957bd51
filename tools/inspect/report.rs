//! Text for one conversation: its lines in order of time, counts, oddities.

use alloc::collections::BTreeMap;
use core::time::Duration;
use std::io::{self, Write};
use weir::{
    pcap::{
        Close, Direction, Stream,
        dissect::{Blocks, Dissection},
    },
    rtmp::message::type_id,
};

/// One direction and where it comes from.
pub(crate) struct Side<'a> {
    pub(crate) direction: Direction,
    pub(crate) dissection: Dissection,
    /// `None` for bytes without times.
    pub(crate) stream: Option<&'a Stream>,
}

/// How much to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Everything.
    Messages,
    /// Counts and oddities.
    Summary,
}

/// A conversation, or one direction of one.
pub(crate) struct Report<'a> {
    pub(crate) sides: &'a [Side<'a>],
    /// Time of the first byte; lines tell seconds since then.
    pub(crate) began: Option<Duration>,
}

impl Report<'_> {
    pub(crate) fn write(&self, detail: Detail, out: &mut impl Write) -> io::Result<()> {
        if detail == Detail::Messages {
            let mut lines: Vec<Line> = self.sides.iter().flat_map(Side::lines).collect();
            // Stable, so that each direction keeps its order.
            lines.sort_by_key(|line| line.time);
            for line in lines {
                writeln!(
                    out,
                    "{} {} {:>8}  {}",
                    self.clock(line.time),
                    arrow(line.direction),
                    line.offset,
                    line.text
                )?;
            }
        }
        self.sides.iter().try_for_each(|side| side.write_counts(out))?;
        for side in self.sides {
            let gaps = side.stream.map_or(&[][..], |stream| &stream.oddities);
            for gap in gaps {
                writeln!(out, "odd: {} {gap}", arrow(side.direction))?;
            }
            for oddity in &side.dissection.oddities {
                writeln!(out, "odd: {} at {}: {}", arrow(side.direction), oddity.offset, oddity.kind)?;
            }
        }
        Ok(())
    }

    fn clock(&self, time: Option<Duration>) -> String {
        match time.zip(self.began) {
            Some((time, began)) => format!("{:>12.6}", time.saturating_sub(began).as_secs_f64()),
            None => format!("{:>12}", "-"),
        }
    }
}

struct Line {
    time: Option<Duration>,
    direction: Direction,
    offset: u64,
    text: String,
}

impl Side<'_> {
    fn lines(&self) -> Vec<Line> {
        // A message counts when its last byte is there.
        let line = |offset, end: u64, text| Line {
            time: self.stream.and_then(|stream| stream.time_at(end.saturating_sub(1))),
            direction: self.direction,
            offset,
            text,
        };
        let mut lines = Vec::new();
        if let Some(blocks) = &self.dissection.handshake {
            lines.extend(self.handshake(blocks).map(|(offset, end, text)| line(offset, end, text)));
        }
        lines.extend(
            self.dissection.messages.iter().map(|found| line(found.raw.offset, found.end, found.to_string())),
        );
        if let Some(end) = self.stream.and_then(|stream| stream.end.map(|end| (stream, end))) {
            let (stream, end) = end;
            let text = match end.how {
                Close::Fin => "FIN",
                Close::Reset => "RST",
            };
            let mut last = line(stream.bytes.len() as u64, 0, text.into());
            last.time = Some(end.time);
            lines.push(last);
        }
        lines
    }

    fn handshake(&self, blocks: &Blocks) -> [(u64, u64, String); 3] {
        let letter = match self.direction {
            Direction::FromClient => 'C',
            Direction::FromServer => 'S',
        };
        let hello = blocks.hello;
        let [a, b, c, d] = hello.product;
        let form = if blocks.is_signed { "signed" } else { "not signed" };
        let second = 1 + (blocks.len - 1) / 2;
        [
            (0, 1, format!("{letter}0 version {}", hello.version)),
            (1, second, format!("{letter}1 time {}, product {a}.{b}.{c}.{d}, {form}", hello.time)),
            (second, blocks.len, format!("{letter}2")),
        ]
    }

    fn write_counts(&self, out: &mut impl Write) -> io::Result<()> {
        let mut counts = BTreeMap::<u8, (usize, usize)>::new();
        for found in &self.dissection.messages {
            let (count, bytes) = counts.entry(found.raw.type_id).or_default();
            *count += 1;
            *bytes += found.raw.body.len();
        }
        let messages = self.dissection.messages.len();
        writeln!(out, "{} {messages} messages", arrow(self.direction))?;
        for (id, (count, bytes)) in counts {
            writeln!(out, "   {:>6} {:>8} bytes  {id} {}", count, bytes, type_id::name(id))?;
        }
        Ok(())
    }
}

fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::FromClient => "C>",
        Direction::FromServer => "S>",
    }
}
