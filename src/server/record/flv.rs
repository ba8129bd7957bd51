//! A recording as an FLV file: playable at any moment, with duration and keyframe index once it is finished.
//!
//! Tags are gathered and written whole, [`FLUSH_BYTES`] or [`FLUSH_AFTER`] of them at a time. What is only known later has
//! its place at the start: the header's flags, and the `onMetaData` (`flv::summary`).

use super::{
    disk::{Create, Disk},
    repair,
};
use crate::{
    base::{MonoTime, Payload, Timestamp},
    flv::{
        Tag, TagKind, TagRole,
        summary::{Published, Summary},
        writer::{self, HEADER_LEN, TAG_HEADER_LEN},
    },
};
use alloc::vec::Vec;
use core::time::Duration;
use std::{fs::File, io, path::Path};

/// Bytes that are gathered.
const FLUSH_BYTES: usize = 64 << 10;
/// The longest that a tag waits for others.
const FLUSH_AFTER: Duration = Duration::from_millis(500);
/// Milliseconds from the last frame of a file that is continued to the first new one.
const SEAM: u32 = 40;

/// A file that is being written.
pub(super) struct FlvFile {
    disk: Disk,
    gathered: Vec<u8>,
    gathered_since: Option<MonoTime>,
    published: Published,
    /// Bytes of the body of the first tag, if that is metadata.
    reserved: Option<usize>,
    summary: Summary,
}

impl FlvFile {
    /// A new file with what the publisher said of the stream.
    pub(super) fn create(
        now: MonoTime,
        root: &Path,
        name: &str,
        how: Create,
        metadata: Option<&Tag>,
        (has_audio, has_video): (bool, bool),
    ) -> io::Result<FlvFile> {
        let disk = Disk::create(now, root, name, how)?;
        let published = metadata.map(|tag| Published::of(&tag.body)).unwrap_or_default();
        let body = published.reserve(has_audio, has_video);
        let mut file = FlvFile {
            disk,
            gathered: writer::header(has_audio, has_video).to_vec(),
            gathered_since: Some(now),
            published,
            reserved: Some(body.len()),
            summary: Summary { has_audio, has_video, ..Summary::default() },
        };
        file.gather(now, &Tag { kind: TagKind::Data, timestamp: Timestamp(0), body: body.into() })?;
        Ok(file)
    }

    /// Goes on with a file; also gives the milliseconds at which the next frame belongs.
    pub(super) fn go_on(now: MonoTime, root: &Path, name: &str) -> io::Result<(FlvFile, u32)> {
        let reading = File::open(root.join(name))?;
        let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let tail = repair::flv_tail(&reading).map_err(malformed)?;
        let metadata = repair::flv_metadata(&reading).map_err(malformed)?;
        let mut published = metadata.as_deref().map(Published::of).unwrap_or_default();
        let summary = Summary {
            duration: tail.last,
            has_audio: tail.flags & 4 != 0,
            has_video: tail.flags & 1 != 0,
            keyframes: core::mem::take(&mut published.keyframes),
            ..Summary::default()
        };
        let file = FlvFile {
            disk: Disk::go_on(now, root, name, tail.len)?,
            gathered: Vec::new(),
            gathered_since: None,
            published,
            reserved: metadata.map(|body| body.len()),
            summary,
        };
        Ok((file, tail.last.saturating_add(SEAM)))
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(super) fn len(&self) -> u64 {
        self.disk.len() + self.gathered.len() as u64
    }

    /// Takes a tag, `at` milliseconds from the start of the file.
    pub(super) fn push(&mut self, now: MonoTime, at: u32, tag: &Tag) -> io::Result<()> {
        let class = tag.classify();
        let known = match tag.kind {
            TagKind::Audio => Some(&mut self.summary.has_audio),
            TagKind::Video => Some(&mut self.summary.has_video),
            TagKind::Data => None,
        };
        if let Some(false) = known.map(|known| core::mem::replace(known, true)) {
            self.flush()?;
            self.describe()?;
        }
        if tag.kind == TagKind::Video
            && (class.is_keyframe() || class.role == TagRole::SequenceHeader && !self.has_index())
        {
            self.summary.keyframes.push(at, self.len());
        }
        if is_frame(tag) {
            self.summary.duration = self.summary.duration.max(at);
        }
        self.gather(now, &Tag { timestamp: Timestamp(at), ..tag.clone() })
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: MonoTime) -> io::Result<()> {
        if self.gathered_since.is_some_and(|since| now.since(since) >= FLUSH_AFTER) {
            self.flush()?;
        }
        self.disk.sync_if_due(now)
    }

    /// Writes everything, and what is known by now; the file is finished whatever happens.
    pub(super) fn finish(mut self, now: MonoTime) -> io::Result<()> {
        let result = self.complete(now);
        self.disk.done();
        result
    }

    fn complete(&mut self, now: MonoTime) -> io::Result<()> {
        let flushed = self.flush();
        self.gathered.clear();
        self.summary.keyframes.forget_from(self.disk.len());
        self.describe()?;
        self.disk.sync(now)?;
        flushed
    }

    fn has_index(&self) -> bool {
        self.summary.keyframes != Default::default()
    }

    fn gather(&mut self, now: MonoTime, tag: &Tag) -> io::Result<()> {
        // Only a tag that came neither from RTMP nor from a file could be too long.
        writer::write_tag(&mut self.gathered, tag)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.gathered_since.get_or_insert(now);
        // The first frame at once: from then on the file is worth something.
        if self.gathered.len() >= FLUSH_BYTES || self.disk.len() == 0 && is_frame(tag) {
            self.flush()?;
        }
        self.tick(now)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.gathered_since = None;
        if !self.gathered.is_empty() {
            self.disk.append(&self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }

    /// Says at the start of the file what is known of it.
    fn describe(&mut self) -> io::Result<()> {
        if self.disk.len() == 0 {
            return Ok(());
        }
        self.summary.size = self.disk.len();
        let header = writer::header(self.summary.has_audio, self.summary.has_video);
        self.disk.patch(4, &header[4..5])?;
        match self.reserved.and_then(|len| self.published.fit(&self.summary, len)) {
            Some(body) => self.disk.patch((HEADER_LEN + TAG_HEADER_LEN) as u64, &body),
            None => Ok(()),
        }
    }
}

fn is_frame(tag: &Tag) -> bool {
    tag.classify().role.is_frame()
}

/// Sequence headers among the first tags of a file.
pub(super) fn headers(path: &Path) -> io::Result<Vec<(TagKind, Payload)>> {
    use crate::flv::{Item, Reader, ReaderLimits};
    /// Where they are, if anywhere: metadata, then they.
    const BYTES: usize = 256 << 10;
    let mut bytes = alloc::vec![0; BYTES];
    let reading = File::open(path)?;
    let read = crate::media::ReadAt::read_at(&reading, 0, &mut bytes).map_err(io::Error::other)?;
    let mut input = &bytes[..read];
    let mut reader = Reader::new(ReaderLimits::default());
    let mut found = Vec::new();
    while let Ok(Some(item)) = reader.read(&mut input) {
        if let Item::Tag { tag, .. } = item {
            match tag.classify().role {
                TagRole::SequenceHeader => found.push((tag.kind, tag.body)),
                TagRole::Keyframe => break,
                _ => {}
            }
        }
    }
    Ok(found)
}
