//! Recorded files: opens one with the reader of its format.

use crate::media::{
    AdtsReader, FlvReader, MediaError, MediaReader, Mp3Reader, Mp4Reader, ReadAt, format::Format,
};
use alloc::{boxed::Box, string::ToString};
use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::Path,
};

/// Opens a regular file that can be played.
///
/// # Errors
/// It cannot be read or played.
pub fn open(path: &Path) -> Result<Box<dyn MediaReader + Send>, MediaError> {
    reader(file(path).map_err(failed)?)
}

/// Opens a regular file, and nothing that one might wait for.
///
/// # Errors
/// The system's, or `InvalidInput` for what is no regular file.
pub fn file(path: &Path) -> io::Result<File> {
    // Asked before opening: to open a pipe is to wait for whoever writes to it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// A reader for a file; its content tells the format, not its name.
///
/// # Errors
/// It cannot be read or played.
pub fn reader(file: File) -> Result<Box<dyn MediaReader + Send>, MediaError> {
    match Format::of(&file)? {
        Format::Flv => flv(Box::new(file)),
        Format::Mp4 => Ok(Box::new(Mp4Reader::open(file)?)),
        Format::Mp3 => Ok(Box::new(Mp3Reader::open(file)?)),
        Format::Adts => Ok(Box::new(AdtsReader::open(file)?)),
    }
}

/// A reader for FLV, wherever it is: one copy of its code does for files and for what is built in.
///
/// # Errors
/// It cannot be read or played.
pub(super) fn flv(source: Box<dyn ReadAt + Send>) -> Result<Box<dyn MediaReader + Send>, MediaError> {
    Ok(Box::new(FlvReader::open(source)?))
}

impl ReadAt for File {
    fn size(&self) -> Result<u64, MediaError> {
        self.metadata().map(|metadata| metadata.len()).map_err(failed)
    }

    fn read_at(&self, offset: u64, mut buffer: &mut [u8]) -> Result<usize, MediaError> {
        let asked = buffer.len();
        let mut offset = offset;
        while !buffer.is_empty() {
            match FileExt::read_at(self, buffer, offset) {
                Ok(0) => break,
                Ok(count) => {
                    offset += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(asked - buffer.len())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: io::Error) -> MediaError {
    MediaError::Io(error.to_string())
}
