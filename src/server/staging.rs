//! A thread's staging file: a piece that many players get at once, where the kernel can send it from without copying it
//! for each of them.
//!
//! Copying is most of what a large write costs. `sendfile` from a file in memory hands the same pages to every socket instead,
//! which saves the copies and the pages for them. The file holds one piece at a time and is emptied behind it: pages
//! that sockets have not sent yet live on until they have, and no later piece is ever written over them.
//! Where there are no such files (not on Linux, or forbidden by a sandbox) nothing is staged and pieces are written.
//! Bounds: one piece, see `room`.

use mio::net::TcpStream;
use std::{
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
};

/// Players of a piece from which on the file is worth its writing.
const MIN_PLAYERS: usize = 16;
/// Bytes from which on `sendfile` costs less than a copy.
const MIN_BYTES: usize = 2048;
/// Where the piece begins in the file. `sendfile` takes 16 pages at a time. From the start of a page, and where pages have 4 KB, they
/// are a few bytes more than the largest TCP segment; on loopback, where the acknowledgement is back before the next pages
/// are there, these go out as a segment of their own.
const START: u64 = 512;

/// See the module. Costs nothing before the first piece.
#[derive(Default)]
pub(super) struct Staging {
    file: Option<File>,
    is_refused: bool,
}

/// A piece in a staging file.
pub(super) struct Staged<'a> {
    piece: &'a [u8],
    file: &'a File,
}

impl Staging {
    /// Puts `piece` into the file for that many players, if that is of use.
    pub(super) fn stage<'a>(&'a mut self, piece: &'a [u8], players: usize) -> Option<Staged<'a>> {
        if players < MIN_PLAYERS || piece.len() < MIN_BYTES || self.is_refused {
            return None;
        }
        if let Err(error) = self.write(piece) {
            log::debug!("no staging file: {error}");
            self.is_refused = true;
        }
        let file = self.file.as_ref()?;
        Some(Staged { piece, file })
    }

    /// Empties the file.
    pub(super) fn clear(&mut self) {
        self.file.take_if(|file| file.set_len(0).is_err());
    }

    /// Without a file behind it, if it fails.
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => create()?,
        };
        file.write_all_at(piece, START)?;
        self.file = Some(file);
        Ok(())
    }
}

impl Staged<'_> {
    /// Sends `bytes` as far as the socket takes them; `None` if they are not part of the piece.
    pub(super) fn send(&self, socket: &TcpStream, bytes: &[u8]) -> Option<io::Result<usize>> {
        let (piece, wanted) = (self.piece.as_ptr_range(), bytes.as_ptr_range());
        if wanted.start < piece.start || wanted.end > piece.end {
            return None;
        }
        let offset = wanted.start.addr() - piece.start.addr();
        Some(match send(socket, self.file, START + offset as u64, bytes.len()) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            sent => sent,
        })
    }
}

#[cfg(not(target_os = "linux"))]
fn create() -> io::Result<File> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn send(_: &TcpStream, _: &File, _: u64, _: usize) -> io::Result<usize> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn create() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(memfd_create("weir-staging", MemfdFlags::CLOEXEC)?.into())
}

#[cfg(target_os = "linux")]
fn send(socket: &TcpStream, file: &File, mut offset: u64, len: usize) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), len)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use std::{io::Read, net::TcpListener};

    /// Our end of a connection, and the peer's.
    fn connection() -> (TcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        (TcpStream::from_std(socket), peer)
    }

    #[test]
    fn what_waits_in_a_socket_survives_the_next_pieces() {
        let (socket, mut peer) = connection();
        let mut staging = Staging::default();
        let pieces: Vec<Vec<u8>> = (1..=4).map(|number| vec![number; 5000]).collect();
        for piece in &pieces {
            let staged = staging.stage(piece, MIN_PLAYERS).unwrap();
            assert_eq!(staged.send(&socket, piece).unwrap().unwrap(), piece.len());
            staging.clear();
        }
        let mut received = vec![0; 4 * 5000];
        peer.read_exact(&mut received).unwrap();
        assert_eq!(received, pieces.concat());
    }

    #[test]
    fn parts_of_the_piece_are_found_in_the_file_and_nothing_else_is() {
        let (socket, mut peer) = connection();
        let piece: Vec<u8> = (0..5000).map(|at| (at / 20) as u8).collect();
        let mut staging = Staging::default();
        let staged = staging.stage(&piece[10..], MIN_PLAYERS).unwrap();
        for part in [10..20, 700..4000, 4990..5000] {
            assert_eq!(staged.send(&socket, &piece[part.clone()]).unwrap().unwrap(), part.len());
            let mut received = vec![0; part.len()];
            peer.read_exact(&mut received).unwrap();
            assert_eq!(received, piece[part]);
        }
        assert!(staged.send(&socket, &piece[9..20]).is_none());
        assert!(staged.send(&socket, &piece.clone()[10..20]).is_none());
    }

    #[test]
    fn a_file_is_not_worth_it_for_few_players_or_bytes() {
        let mut staging = Staging::default();
        let piece = vec![0; MIN_BYTES];
        assert!(staging.stage(&piece, MIN_PLAYERS - 1).is_none());
        assert!(staging.stage(&piece[1..], MIN_PLAYERS).is_none());
        assert!(staging.stage(&piece, MIN_PLAYERS).is_some());
    }

    #[test]
    fn where_there_can_be_no_file_nothing_is_staged() {
        let mut staging = Staging { file: Some(File::open("/dev/null").unwrap()), ..Staging::default() };
        assert!(staging.stage(&vec![0; MIN_BYTES], MIN_PLAYERS).is_none());
        assert!(staging.is_refused && staging.file.is_none());
    }
}
