//! A recording as an MP4 file: fragmented while it grows, an ordinary file once it is finished.
//!
//! A fragment is written with its head last (`disk`); a stream that falls silent has what is complete written after [`SILENCE`].

use super::disk::{self, Create, Disk};
use crate::{
    base::MonoTime,
    flv::{Tag, summary::Published},
    mp4::writer::{Index, Missing, NothingToWrite, TagWriter},
};
use alloc::vec::Vec;
use core::time::Duration;
use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

/// Without a tag for this long, nobody waits for the end of a fragment.
const SILENCE: Duration = Duration::from_secs(2);

/// A file that is being written.
pub(super) struct Mp4File {
    disk: Disk,
    writer: TagWriter,
    piece: Vec<u8>,
    last_tag: Option<MonoTime>,
}

impl Mp4File {
    /// A new file; width and height are those the publisher named, if its configuration does not tell.
    pub(super) fn create(
        now: MonoTime,
        root: &Path,
        name: &str,
        how: Create,
        metadata: Option<&Tag>,
    ) -> io::Result<Mp4File> {
        let disk = Disk::create(now, root, name, how)?;
        let published = metadata.map(|tag| Published::of(&tag.body)).unwrap_or_default();
        let pixels = |key| published.number(key).map_or(0, |number| number as u32);
        let writer = TagWriter::new((pixels("width"), pixels("height")));
        Ok(Mp4File { disk, writer, piece: Vec::new(), last_tag: None })
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// A sequence header of another track cannot be told any more.
    pub(super) fn has_begun(&self) -> bool {
        self.writer.has_begun()
    }

    /// Tells of each track that is not in the file, once.
    pub(super) fn next_missing(&mut self) -> Option<Missing> {
        self.writer.next_missing()
    }

    pub(super) fn is_full(&self) -> bool {
        self.writer.is_full()
    }

    /// Takes a tag, `at` milliseconds from the start of the file.
    pub(super) fn push(&mut self, now: MonoTime, at: u64, tag: &Tag) -> io::Result<()> {
        self.last_tag = Some(now);
        self.writer.push(at, tag, &mut self.piece).map_err(refused)?;
        self.write(now)
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: MonoTime) -> io::Result<()> {
        if self.last_tag.is_some_and(|last| now.since(last) >= SILENCE) {
            self.last_tag = None;
            self.writer.flush(&mut self.piece).map_err(refused)?;
        }
        self.write(now)
    }

    /// Writes everything and makes an ordinary file of it; the file is finished whatever happens.
    pub(super) fn finish(mut self, now: MonoTime) -> io::Result<()> {
        let result = self.complete(now);
        self.disk.done();
        result
    }

    /// Ends a file that could not be written any further: what is in it stays playable as it is.
    pub(super) fn give_up(self) {
        self.disk.done();
    }

    fn complete(&mut self, now: MonoTime) -> io::Result<()> {
        self.writer.finish(&mut self.piece).map_err(refused)?;
        self.write(now)?;
        let Some(index) = self.writer.index().filter(|_| self.disk.len() > 0) else { return Ok(()) };
        conclude(self.disk.file(), self.disk.len(), &index)?;
        // Unless somebody has removed it.
        self.disk.sync(now)
    }

    fn write(&mut self, now: MonoTime) -> io::Result<()> {
        // A header alone is nothing that plays: it waits for the first fragment.
        if self.writer.has_fragment() && !self.piece.is_empty() {
            let result = self.disk.append_boxes(&self.piece);
            self.piece.clear();
            result?;
        }
        self.disk.sync_if_due(now)
    }
}

/// Makes an ordinary file of one with `len` bytes of fragments. Whatever comes in between, it can be played: the index goes to the
/// disk before what makes it count, its head last.
pub(super) fn conclude(file: &File, len: u64, index: &Index) -> io::Result<()> {
    let appended = disk::write_boxes(file, &index.moov, len).and_then(|()| file.sync_data());
    if let Err(error) = appended {
        // Without its index it stays what it is.
        let _ = file.set_len(len);
        return Err(error);
    }
    file.write_all_at(&index.head, index.head_at)?;
    file.sync_data()
}

fn refused(why: NothingToWrite) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}
