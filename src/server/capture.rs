//! `--capture DIR`: each connection as a pcap file, `NUMBER-ADDRESS-PORT.pcap`; captures that are begun later, `...-2.pcap` and so on.
//!
//! Connections copy what they read and wrote into a bounded queue; one thread turns it into packets and writes the
//! files. Streaming never waits for the disk: when the queue is full, or a write fails, that connection's capture ends and a
//! warning says so. Who asked for a capture is answered by that thread, when its file is there. Bounds: [`QUEUE`] pieces and the ends of captures that began, [`QUEUE_BYTES`] together; open files
//! as many as connections; file size by the disk; [`STOP_GRACE`] at the end.

use super::{port::ConnectionId, report, wall};
use crate::pcap::{Close, Direction, Writer};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::{
    collections::HashMap,
    fs::{File, create_dir_all},
    io::{self, Write},
    path::PathBuf,
    thread::{self, JoinHandle},
};

/// Pieces that wait for the disk.
const QUEUE: usize = 4096;
/// Bytes that wait for the disk.
const QUEUE_BYTES: usize = 64 << 20;
/// Time to write what waits when the server stops. A disk that hangs must not keep the program from ending.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// What is to blame.
const FOLDER: &str = "the disk of --capture";

/// Makes recorders; the writing thread ends when this and all recorders are gone.
pub(super) struct Capture {
    queue: Sender<Piece>,
    waiting: Arc<AtomicUsize>,
}

/// The thread that writes.
pub(super) struct CaptureThread {
    handle: JoinHandle<()>,
    /// Disconnected when the thread ends.
    ended: Receiver<()>,
}

/// The capture of one connection.
pub(super) struct Recorder {
    id: ConnectionId,
    name: String,
    progress: Arc<Progress>,
    queue: Sender<Piece>,
    waiting: Arc<AtomicUsize>,
    /// The thread knows of it and must be told of its end.
    is_open: bool,
    /// The queue was full once: what follows would not fit together with what came before.
    is_cut: bool,
}

/// How a file goes.
#[derive(Debug, Default)]
struct Progress {
    /// Bytes of it so far.
    written: AtomicU64,
    /// It could not be made, or not be written to: nothing follows.
    has_failed: AtomicBool,
}

/// What an operator wants of a capture.
pub(super) struct Switch {
    pub(super) is_on: bool,
    pub(super) done: Done,
}

/// Where it goes whether that was done.
pub(super) type Done = Sender<Result<Option<report::Capture>, NotSwitched>>;

/// Why a capture neither began nor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotSwitched {
    /// There is no `--capture`.
    NotEnabled,
    /// It goes on already.
    AlreadyOn,
    /// There is none.
    AlreadyOff,
    /// There is no file for it, for that reason.
    Failed(String),
}

struct Piece {
    id: ConnectionId,
    time: Duration,
    what: What,
}

enum What {
    Open(Opening),
    Bytes(Direction, Vec<u8>),
    End(Close),
}

/// A capture that begins.
struct Opening {
    name: String,
    client: SocketAddr,
    server: SocketAddr,
    progress: Arc<Progress>,
    done: Option<Done>,
}

impl Capture {
    /// Makes the directory and starts the thread.
    pub(super) fn start(directory: PathBuf) -> io::Result<(Capture, CaptureThread)> {
        create_dir_all(&directory)?;
        let (queue, pieces) = unbounded();
        let (running, ended) = bounded(0);
        let waiting = Arc::new(AtomicUsize::new(0));
        let files = Files { directory, waiting: waiting.clone(), open: HashMap::new() };
        let handle = thread::Builder::new().name("weir-capture".to_string()).spawn(move || {
            files.run(&pieces);
            drop(running);
        })?;
        Ok((Capture { queue, waiting }, CaptureThread { handle, ended }))
    }

    /// Starts a capture of a connection; `number` counts those of that connection. `done` hears whether its file is there.
    pub(super) fn recorder(
        &self,
        id: ConnectionId,
        client: SocketAddr,
        server: SocketAddr,
        number: u32,
        done: Option<Done>,
    ) -> Recorder {
        let (queue, waiting) = (self.queue.clone(), self.waiting.clone());
        let address = client.ip().to_canonical().to_string().replace(':', "_");
        let again = if number > 1 { format!("-{number}") } else { String::new() };
        let name = format!("{:06}-{address}-{}{again}.pcap", id.0, client.port());
        let progress = Arc::<Progress>::default();
        let open = Opening { name: name.clone(), client, server, progress: progress.clone(), done };
        let mut recorder = Recorder { id, name, progress, queue, waiting, is_open: false, is_cut: false };
        recorder.send(What::Open(open));
        recorder.is_open = !recorder.is_cut;
        recorder
    }
}

impl CaptureThread {
    /// Waits for the thread, which ends when it has written what waits, [`STOP_GRACE`] at most.
    pub(super) fn join(self) {
        match self.ended.recv_timeout(STOP_GRACE) {
            Err(RecvTimeoutError::Timeout) => log::warn!("the last captures are cut: the disk is too slow"),
            _ => super::join(self.handle),
        }
    }
}

impl Recorder {
    /// What there is to tell; `None` if it has ended because the disk was too slow, or failed.
    pub(super) fn facts(&self) -> Option<report::Capture> {
        let bytes = self.progress.written.load(Ordering::Relaxed);
        (!self.has_ended()).then(|| report::Capture { name: self.name.clone(), bytes })
    }

    fn has_ended(&self) -> bool {
        self.is_cut || self.progress.has_failed.load(Ordering::Relaxed)
    }

    /// Bytes that were read.
    pub(super) fn input(&mut self, bytes: &[u8]) {
        if !self.has_ended() {
            self.send(What::Bytes(Direction::FromClient, bytes.to_vec()));
        }
    }

    /// The first `written` bytes of `slices` were written.
    pub(super) fn output(&mut self, slices: &[&[u8]], written: usize) {
        if self.has_ended() {
            return;
        }
        let mut bytes = Vec::with_capacity(written);
        for slice in slices {
            let rest = written - bytes.len();
            bytes.extend_from_slice(&slice[..rest.min(slice.len())]);
        }
        self.send(What::Bytes(Direction::FromServer, bytes));
    }

    /// The connection is over.
    pub(super) fn end(mut self, is_reset: bool) {
        if self.is_open {
            self.send(What::End(if is_reset { Close::Reset } else { Close::Fin }));
        }
    }

    fn send(&mut self, what: What) {
        let (len, is_end) = (what.len(), matches!(what, What::End(_)));
        let time = wall::now();
        let bytes = self.waiting.fetch_add(len, Ordering::Relaxed) + len;
        // An end that is lost would leave the file open for good.
        if is_end || (bytes <= QUEUE_BYTES && self.queue.len() < QUEUE) {
            // Fails only if the thread has died.
            let _ = self.queue.send(Piece { id: self.id, time, what });
            return;
        }
        self.waiting.fetch_sub(len, Ordering::Relaxed);
        if let What::Open(Opening { done: Some(done), .. }) = what {
            // Its only word: there is room for it.
            let _ = done.try_send(Err(NotSwitched::Failed(format!("{FOLDER} is too slow"))));
        }
        if !self.is_cut {
            self.is_cut = true;
            log::warn!("{}: its capture ends here: the disk is too slow", self.id);
        }
    }
}

impl What {
    fn len(&self) -> usize {
        match self {
            What::Bytes(_, bytes) => bytes.len(),
            _ => 0,
        }
    }
}

/// What the thread has open.
struct Files {
    directory: PathBuf,
    waiting: Arc<AtomicUsize>,
    open: HashMap<ConnectionId, (File, Writer, Arc<Progress>)>,
}

impl Files {
    fn run(mut self, pieces: &Receiver<Piece>) {
        let mut out = Vec::new();
        for Piece { id, time, what } in pieces {
            self.waiting.fetch_sub(what.len(), Ordering::Relaxed);
            out.clear();
            let result = match what {
                What::Open(opening) => self.begin(id, time, opening, &mut out),
                what => self.write(id, time, what, &mut out),
            };
            if let Err(error) = result {
                log::warn!("{id}: its capture ends here: {}", super::plain(&error));
                if let Some((_, _, progress)) = self.open.remove(&id) {
                    progress.has_failed.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    fn begin(
        &mut self,
        id: ConnectionId,
        time: Duration,
        what: Opening,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let Opening { name, client, server, progress, done } = what;
        let writer = Writer::new(client, server, time, out);
        let made = File::create(self.directory.join(&name)).and_then(|mut file| {
            file.write_all(out)?;
            Ok(file)
        });
        let bytes = out.len() as u64;
        let told = match &made {
            Ok(_) => {
                progress.written.store(bytes, Ordering::Relaxed);
                Ok(Some(report::Capture { name, bytes }))
            }
            Err(error) => {
                progress.has_failed.store(true, Ordering::Relaxed);
                Err(NotSwitched::Failed(format!("{FOLDER} takes no file: {}", super::plain(error))))
            }
        };
        if let Some(done) = done {
            // Nobody waits any more if this took long.
            let _ = done.try_send(told);
        }
        self.open.insert(id, (made?, writer, progress));
        Ok(())
    }

    fn write(&mut self, id: ConnectionId, time: Duration, what: What, out: &mut Vec<u8>) -> io::Result<()> {
        let Some((file, writer, progress)) = self.open.get_mut(&id) else { return Ok(()) };
        let is_end = match what {
            What::Open(_) => false,
            What::Bytes(direction, bytes) => {
                writer.segment(direction, time, &bytes, out);
                false
            }
            What::End(how) => {
                writer.end(Direction::FromClient, time, how, out);
                if how == Close::Fin {
                    writer.end(Direction::FromServer, time, how, out);
                }
                true
            }
        };
        file.write_all(out)?;
        progress.written.fetch_add(out.len() as u64, Ordering::Relaxed);
        if is_end {
            self.open.remove(&id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::new([127, 0, 0, 1].into(), port)
    }

    /// A capture whose disk never takes a byte: nobody reads the queue.
    fn stuck() -> (Capture, Receiver<Piece>) {
        let (queue, pieces) = unbounded();
        (Capture { queue, waiting: Arc::default() }, pieces)
    }

    #[test]
    fn a_disk_that_hangs_costs_no_more_than_the_bounds_and_no_end_is_lost() {
        let (capture, pieces) = stuck();
        let mut first = capture.recorder(ConnectionId(1), address(1), address(2), 1, None);
        for _ in 0..=QUEUE_BYTES >> 20 {
            first.input(&vec![0; 1 << 20]);
        }
        assert!(first.is_cut && capture.waiting.load(Ordering::Relaxed) == QUEUE_BYTES);
        for id in 2..2 * QUEUE as u64 {
            capture.recorder(ConnectionId(id), address(1), address(2), 1, None).end(false);
        }
        first.end(false);
        // Those that began in time have their ends.
        assert!(pieces.len() <= 2 * QUEUE, "{}", pieces.len());
        let mut open = 0;
        for piece in pieces.try_iter() {
            match piece.what {
                What::Open(_) => open += 1,
                What::Bytes(..) => {}
                What::End(_) => open -= 1,
            }
        }
        assert_eq!(open, 0);
    }
}
