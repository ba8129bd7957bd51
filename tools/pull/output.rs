//! The FLV file, or a pipe. A file can be played at any moment: each tag is one write at its end, and only its beginning is
//! corrected, in room that was left for it ([`Growing`]).

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
};
use weir::flv::{Growing, Tag, TagRole, growing::Corrections, writer};

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
    growing: Option<Growing>,
}

impl Output {
    /// Begins an empty FLV file that announces audio and video, or the same on standard output if the name is `-`.
    pub(crate) fn open(path: &str) -> io::Result<Output> {
        let sink = if path == "-" {
            let mut pipe = io::stdout();
            pipe.write_all(&writer::header(true, true))?;
            Sink::Pipe(pipe)
        } else {
            Sink::File(Recording { file: File::create(path)?, growing: None })
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
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::File(recording) => recording.finish(),
            Sink::Pipe(_) => Ok(()),
        }
    }
}

impl Recording {
    fn write(&mut self, buffer: &mut Vec<u8>, tag: &Tag) -> io::Result<()> {
        let mut is_told = false;
        if self.growing.is_none() {
            is_told = tag.classify().role == TagRole::Metadata;
            let metadata = Some(tag).filter(|_| is_told);
            self.growing = Some(Growing::new(metadata, [true; 2], buffer).map_err(io::Error::other)?);
        }
        if let Some(growing) = self.growing.as_mut().filter(|_| !is_told) {
            growing.push(tag, buffer).map_err(io::Error::other)?;
        }
        self.file.write_all(buffer)
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some(growing) = &mut self.growing else {
            return self.file.write_all(&writer::header(true, true));
        };
        let Corrections { flags: (at, flags), metadata } = growing.corrections(growing.len());
        self.file.write_all_at(&flags, at)?;
        metadata.map_or(Ok(()), |(at, body)| self.file.write_all_at(&body, at))
    }
}
