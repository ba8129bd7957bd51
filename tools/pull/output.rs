//! The FLV file, or a pipe. A file can be played at any moment: each tag is one write at its end, and only its beginning is
//! corrected, in room that was left for it ([`Published::reserve`]).

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
};
use weir::{
    base::Timestamp,
    flv::{
        Tag, TagKind, TagRole,
        summary::{Published, Summary},
        writer,
    },
};

/// See the module.
pub(crate) struct Output {
    sink: Sink,
    buffer: Vec<u8>,
}

enum Sink {
    File(Recording),
    Pipe(io::Stdout),
}

struct Recording {
    file: File,
    /// `None` until the first tag, which may be the metadata.
    published: Option<Published>,
    /// Bytes that the metadata takes.
    reserved: usize,
    summary: Summary,
    first: Option<Timestamp>,
    /// The newest frame of audio and of video, and the time from the one before.
    tracks: [(Option<Timestamp>, u32); 2],
    has_index: bool,
}

impl Output {
    /// Begins an empty FLV file that announces audio and video, or the same on standard output if the name is `-`.
    pub(crate) fn open(path: &str) -> io::Result<Output> {
        let header = writer::header(true, true);
        let sink = if path == "-" {
            let mut pipe = io::stdout();
            pipe.write_all(&header)?;
            Sink::Pipe(pipe)
        } else {
            let mut file = File::create(path)?;
            file.write_all(&header)?;
            Sink::File(Recording {
                file,
                published: None,
                reserved: 0,
                summary: Summary { size: header.len() as u64, ..Summary::default() },
                first: None,
                tracks: [(None, 0); 2],
                has_index: false,
            })
        };
        Ok(Output { sink, buffer: Vec::new() })
    }

    pub(crate) fn write(&mut self, tag: &Tag) -> io::Result<()> {
        self.buffer.clear();
        match &mut self.sink {
            Sink::File(recording) => recording.write(&mut self.buffer, tag),
            Sink::Pipe(pipe) => {
                writer::write_tag(&mut self.buffer, tag).map_err(io::Error::other)?;
                // The reader gets each tag at once.
                pipe.write_all(&self.buffer).and_then(|()| pipe.flush())
            }
        }
    }

    /// Corrects the beginning.
    pub(crate) fn finish(&self) -> io::Result<()> {
        match &self.sink {
            Sink::File(recording) => recording.finish(),
            Sink::Pipe(_) => Ok(()),
        }
    }
}

impl Recording {
    fn write(&mut self, buffer: &mut Vec<u8>, tag: &Tag) -> io::Result<()> {
        let is_metadata = tag.classify().role == TagRole::Metadata;
        if self.published.is_none() {
            let own: &[u8] = if is_metadata { &tag.body } else { &[] };
            let published = Published::of(own);
            let body = published.reserve(true, true);
            (self.reserved, self.published) = (body.len(), Some(published));
            self.append(buffer, &metadata(body))?;
            if is_metadata {
                return Ok(());
            }
            buffer.clear();
        }
        self.learn(tag);
        self.append(buffer, tag)
    }

    fn append(&mut self, buffer: &mut Vec<u8>, tag: &Tag) -> io::Result<()> {
        writer::write_tag(buffer, tag).map_err(io::Error::other)?;
        self.summary.size += buffer.len() as u64;
        self.file.write_all(buffer)
    }

    fn learn(&mut self, tag: &Tag) {
        let role = tag.classify().role;
        let (known, track) = match tag.kind {
            TagKind::Audio => (&mut self.summary.has_audio, &mut self.tracks[0]),
            TagKind::Video => (&mut self.summary.has_video, &mut self.tracks[1]),
            TagKind::Data => return,
        };
        *known = true;
        // The first sequence header stands for the first place, as injectors have it.
        let is_header = tag.kind == TagKind::Video && role == TagRole::SequenceHeader && !self.has_index;
        if role == TagRole::Keyframe || is_header {
            self.has_index = true;
            self.summary.keyframes.push(tag.timestamp.0, self.summary.size);
        }
        if !role.is_frame() {
            return;
        }
        let first = *self.first.get_or_insert(tag.timestamp);
        let (newest, step) = *track;
        let step = match newest.map(|newest| tag.timestamp.wrapping_sub(newest)) {
            Some(passed @ 1..=MAX_STEP) => passed,
            _ => step,
        };
        *track = (Some(tag.timestamp), step);
        // A frame of before the first one is a small step back, not a huge one ahead.
        let end = u32::try_from(tag.timestamp.wrapping_add(step).wrapping_sub(first) as i32).unwrap_or(0);
        self.summary.duration = self.summary.duration.max(end);
    }

    fn finish(&self) -> io::Result<()> {
        let Some(published) = &self.published else { return Ok(()) };
        // Nothing could be said that fits: what stands there stays.
        let Some(body) = published.fit(&self.summary, self.reserved) else { return Ok(()) };
        let mut start = writer::header(self.summary.has_audio, self.summary.has_video).to_vec();
        writer::write_tag(&mut start, &metadata(body)).map_err(io::Error::other)?;
        self.file.write_all_at(&start, 0)
    }
}

fn metadata(body: Vec<u8>) -> Tag {
    Tag { kind: TagKind::Data, timestamp: Timestamp(0), body: body.into() }
}

/// A longer gap between frames is a pause, not the length of a frame. Milliseconds.
const MAX_STEP: u32 = 1000;
