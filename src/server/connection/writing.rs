//! What is queued leaves: in plain, staged by the kernel, or sealed. A socket that takes no more ends a turn, and never blocks.

use super::*;
use std::io::{IoSlice, Write};

impl Connection {
    /// Writes what is queued, as far as the socket takes it.
    pub(in crate::server) fn flush(&mut self, now: MonoTime) {
        self.flush_staged(now, None);
    }

    /// The same; what is staged goes without being copied.
    pub(in crate::server) fn flush_staged(&mut self, now: MonoTime, staged: Option<&Staged<'_>>) {
        if self.transport.is_tls() {
            self.flush_sealed();
        } else {
            self.flush_plain(staged);
        }
        if let Some(datagrams) = self.datagrams() {
            datagrams.flush(now);
        }
        if self.is_blocked {
            self.stalled_since.get_or_insert(now);
        }
        let is_closing = self.protocol.state() == State::Closing;
        if is_closing && !self.is_shut && (self.is_broken || self.is_written()) {
            self.is_shut = true;
            self.transport.shut_down();
        }
    }

    /// Nothing waits for the socket.
    fn is_written(&self) -> bool {
        self.protocol.output_len() == 0 && !self.transport.holds_output()
    }

    fn flush_plain(&mut self, mut staged: Option<&Staged<'_>>) {
        // A capture needs to see what leaves.
        staged.take_if(|_| self.recorder.is_some());
        while !self.is_blocked && !self.is_broken && self.protocol.output_len() > 0 {
            if let Some(sent) = staged.and_then(|staged| self.send_staged(staged)) {
                match sent {
                    Ok(written) => {
                        self.protocol.advance_output(written);
                        self.stalled_since = None;
                    }
                    Err(error) if error.kind() == IoErrorKind::WouldBlock => self.is_blocked = true,
                    // A plain write shows what is wrong, if it is the socket.
                    Err(_) => staged = None,
                }
                continue;
            }
            let mut slices: [&[u8]; MAX_SLICES] = [&[]; MAX_SLICES];
            let filled = self.protocol.output(&mut slices);
            let queued: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
            let socket = &mut self.transport.socket;
            let result = match slices[..filled] {
                // The kernel takes a plain write for less than a vectored one.
                [slice] => socket.write(slice),
                _ => socket.write_vectored(&slices.map(IoSlice::new)[..filled]),
            };
            match result {
                Ok(written) => {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.output(&slices[..filled], written);
                    }
                    self.protocol.advance_output(written);
                    self.stalled_since = None;
                    // The rest would only meet WouldBlock.
                    self.is_blocked = written < queued;
                }
                Err(error) => self.note_write_error(&error),
            }
        }
    }

    /// In turns: writes what is sealed, seals a piece of what waits.
    fn flush_sealed(&mut self) {
        while !self.is_blocked && !self.is_broken {
            let Some((channel, socket)) = self.transport.channel() else { return };
            if channel.holds_output() {
                match channel.write(socket) {
                    Ok(_) => {
                        self.stalled_since = None;
                        self.is_blocked = channel.holds_output();
                    }
                    Err(error) => self.note_write_error(&error),
                }
                continue;
            }
            if self.protocol.output_len() == 0 {
                if self.protocol.state() != State::Closing {
                    return;
                }
                channel.close();
                if !channel.holds_output() {
                    return;
                }
                continue;
            }
            let mut slices: [&[u8]; MAX_SLICES] = [&[]; MAX_SLICES];
            let filled = self.protocol.output(&mut slices);
            match channel.seal(&slices[..filled]) {
                Ok(sealed) if sealed > 0 => {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.output(&slices[..filled], sealed);
                    }
                    self.protocol.advance_output(sealed);
                }
                // TLS is over.
                _ => self.is_broken = true,
            }
        }
    }

    fn note_write_error(&mut self, error: &io::Error) {
        match error.kind() {
            IoErrorKind::Interrupted => {}
            IoErrorKind::WouldBlock => self.is_blocked = true,
            _ => {
                self.is_broken = true;
                self.may_read = true;
                self.is_hung_up = true;
            }
        }
    }

    /// `None` if something else comes first.
    fn send_staged(&self, staged: &Staged<'_>) -> Option<io::Result<usize>> {
        let mut first: [&[u8]; 1] = [&[]];
        self.protocol.output(&mut first);
        staged.send(&self.transport.socket, first[0])
    }
}
