//! A recording as an FLV file: playable at any moment, with duration and keyframe index once it is finished.
//!
//! Tags are gathered and written whole, [`FLUSH_BYTES`] or [`FLUSH_AFTER`] of them at a time. What they are, and what the start
//! of the file has to say of them in the end, is `flv::growing`.

use super::{
    disk::{Create, Disk},
    repair,
};
use crate::{
    base::{MonoTime, Payload, Timestamp},
    flv::{Growing, Tag, TagKind, TagRole, growing::Corrections},
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
    growing: Growing,
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
        let mut gathered = Vec::new();
        let growing = Growing::new(metadata, [has_audio, has_video], &mut gathered).map_err(malformed)?;
        let disk = Disk::create(now, root, name, how)?;
        Ok(FlvFile { disk, gathered, gathered_since: Some(now), growing })
    }

    /// Goes on with a file; also gives the milliseconds at which the next frame belongs.
    pub(super) fn go_on(now: MonoTime, root: &Path, name: &str) -> io::Result<(FlvFile, u32)> {
        let reading = File::open(root.join(name))?;
        let tail = repair::flv_tail(&reading).map_err(malformed)?;
        let mut growing = repair::growing(&reading, &tail).map_err(malformed)?;
        growing.go_on(tail.last);
        let disk = Disk::go_on(now, root, name, tail.len)?;
        let file = FlvFile { disk, gathered: Vec::new(), gathered_since: None, growing };
        Ok((file, tail.last.saturating_add(SEAM)))
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(super) fn len(&self) -> u64 {
        self.growing.len()
    }

    /// Takes a tag, `at` milliseconds from the start of the file.
    pub(super) fn push(&mut self, now: MonoTime, at: u32, tag: &Tag) -> io::Result<()> {
        let tag = Tag { timestamp: Timestamp(at), ..tag.clone() };
        let is_new_track = self.growing.push(&tag, &mut self.gathered).map_err(malformed)?;
        self.gathered_since.get_or_insert(now);
        // The first frame at once: from then on the file is worth something.
        let is_first = self.disk.len() == 0 && tag.classify().role.is_frame();
        if self.gathered.len() >= FLUSH_BYTES || is_first || is_new_track {
            self.flush()?;
        }
        if is_new_track {
            self.describe()?;
        }
        self.tick(now)
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
        self.describe()?;
        self.disk.sync(now)?;
        flushed
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
        let Corrections { flags: (at, flags), metadata } = self.growing.corrections(self.disk.len());
        self.disk.patch(at, &flags)?;
        metadata.map_or(Ok(()), |(at, body)| self.disk.patch(at, &body))
    }
}

/// A file that is none of ours. Tags that are too long come neither from RTMP nor from a file.
fn malformed(error: impl core::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
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
