//! The players: a few threads, each with many connections.
//!
//! A player runs a real client ([`line`](crate::line)) until it shows a picture. A probe then goes on so and checks every
//! tag; any other only counts bytes from there on ([`counter`](crate::counter)), which costs the machine little: the kernel
//! throws them away unread, a hundred times a second at most. A laggard keeps its client, reads late on purpose, and
//! checks that what it lost were whole groups of pictures.

use crate::{
    counter::Counter,
    line::{Line, PlayUrl},
    stream::{Stamp, is_start},
};
use mio::{Events, Poll, Registry, Token, net::TcpStream};
use socket2::{Domain, Socket, Type};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use weir::flv::{Tag, TagKind};

/// What the main thread sees of one player.
#[derive(Debug, Default)]
pub(crate) struct PlayerCounters {
    /// Bytes from the server since the picture.
    pub(crate) received: AtomicU64,
    /// Microseconds from the first SYN to the picture; 0 while there is none.
    pub(crate) joined: AtomicU32,
    /// When that was, in microseconds since the epoch.
    pub(crate) pictured: AtomicU64,
    /// The server closed the connection, or it broke.
    pub(crate) is_closed: AtomicBool,
    /// A laggard that has been woken has seen a tag that was sent since.
    pub(crate) has_caught_up: AtomicBool,
}

/// What a player does after its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Counts bytes.
    Count,
    /// Checks every tag.
    Probe,
    /// Reads so many bytes a second, until [`Hall::wake`]; then like a probe that may have lost groups of pictures.
    Lag(u64),
}

/// One player to be.
pub(crate) struct Seat {
    pub(crate) url: PlayUrl,
    pub(crate) manner: Manner,
    pub(crate) counters: Arc<PlayerCounters>,
}

/// What all players of a run share.
#[derive(Clone)]
pub(crate) struct Hall {
    pub(crate) server: SocketAddr,
    /// The picture is a keyframe; otherwise, the first sound.
    pub(crate) has_video: bool,
    /// Stamps count from here.
    pub(crate) epoch: Instant,
    /// Set when the measurement is over; ends the threads.
    pub(crate) stop: Arc<AtomicBool>,
    /// Delays count from here on, in microseconds since the epoch; 0: not yet.
    pub(crate) measured_from: Arc<AtomicU64>,
    /// Laggards read all there is from here on, in microseconds since the epoch; 0: not yet.
    pub(crate) wake: Arc<AtomicU64>,
}

/// What probes found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Microseconds from publisher to player, of video (of audio, if there is no video).
    pub(crate) picture_delays: Vec<u32>,
    /// The same of the other tags.
    pub(crate) sound_delays: Vec<u32>,
    /// Tags checked.
    pub(crate) checked: u64,
    /// Tags that were missing, doubled, out of order or damaged.
    pub(crate) faults: u64,
    /// How often a laggard went on behind tags that it lost.
    pub(crate) gaps: u64,
    /// The first fault.
    pub(crate) first_fault: Option<String>,
}

impl Findings {
    /// Adds what another thread found.
    pub(crate) fn merge(&mut self, other: Findings) {
        self.picture_delays.extend(other.picture_delays);
        self.sound_delays.extend(other.sound_delays);
        self.checked += other.checked;
        self.faults += other.faults;
        self.gaps += other.gaps;
        self.first_fault = self.first_fault.take().or(other.first_fault);
    }

    fn fault(&mut self, what: impl FnOnce() -> String) {
        self.faults += 1;
        self.first_fault.get_or_insert_with(what);
    }
}

/// Starts a thread with a player on each seat. It ends when `hall.stop` is set.
pub(crate) fn start(
    name: String,
    seats: Vec<Seat>,
    hall: Hall,
) -> io::Result<thread::JoinHandle<io::Result<Findings>>> {
    thread::Builder::new().name(name).spawn(move || run(seats, &hall))
}

fn run(seats: Vec<Seat>, hall: &Hall) -> io::Result<Findings> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 256 << 10];
    let mut findings = Findings::default();
    let mut players = Vec::with_capacity(seats.len());
    for (index, seat) in seats.into_iter().enumerate() {
        players.push(Player::open(seat, hall, poll.registry(), Token(index))?);
    }
    let mut upkeep = Instant::now();
    while !hall.stop.load(Relaxed) {
        poll.poll(&mut events, Some(TURN))?;
        for event in &events {
            let player = &mut players[event.token().0];
            player.advance(hall, &mut buffer, &mut findings);
        }
        if upkeep.elapsed() >= UPKEEP {
            upkeep = Instant::now();
            for player in &mut players {
                player.keep_alive(hall, &mut buffer, &mut findings);
            }
        }
        // What they left in the kernel has no readiness of its own.
        for player in players.iter_mut().filter(|player| matches!(player.phase, Phase::Lagging(_))) {
            player.advance(hall, &mut buffer, &mut findings);
        }
        if players.iter().all(|player| matches!(player.phase, Phase::Counting(_) | Phase::Closed)) {
            thread::sleep(TURN);
        }
    }
    Ok(findings)
}

/// How long bytes of counting players may wait in the kernel, and how often a thread looks whether it is to stop.
const TURN: Duration = Duration::from_millis(10);

/// Sessions get the time, and counting players that have said nothing since tell that they live, this often: well within
/// the time that servers wait for a sign of life.
const UPKEEP: Duration = Duration::from_secs(6);

struct Player {
    seat: Seat,
    started: Instant,
    phase: Phase,
}

enum Phase {
    /// Up to the first picture.
    Joining(Line),
    /// Checks each tag: the sequence number that must come next.
    Probing(Line, u64),
    /// Reads late, and checks what comes.
    Lagging(Box<Laggard>),
    /// Counts.
    Counting(Counter),
    /// Over.
    Closed,
}

impl Player {
    fn open(seat: Seat, hall: &Hall, registry: &Registry, token: Token) -> io::Result<Player> {
        let started = Instant::now();
        let socket = match seat.manner {
            Manner::Lag(_) => connect_narrow(hall.server)?,
            Manner::Count | Manner::Probe => TcpStream::connect(hall.server)?,
        };
        socket.set_nodelay(true)?;
        let line = Line::new(&seat.url, socket, registry, token)?;
        Ok(Player { seat, started, phase: Phase::Joining(line) })
    }

    /// Takes what has come.
    fn advance(&mut self, hall: &Hall, buffer: &mut [u8], findings: &mut Findings) {
        let result = match &mut self.phase {
            Phase::Joining(_) => self.join(hall, buffer, findings),
            Phase::Probing(line, next) => probe(line, next, hall, buffer, &self.seat.counters, findings),
            Phase::Lagging(laggard) => laggard.read(hall, buffer, &self.seat.counters, findings),
            Phase::Counting(counter) => counter.count(&self.seat.counters).map_err(|error| error.to_string()),
            Phase::Closed => Ok(()),
        };
        if let Err(error) = result {
            // To close a laggard is the server's right.
            if !matches!(self.phase, Phase::Lagging(_)) {
                findings.first_fault.get_or_insert_with(|| format!("player closed: {error}"));
            }
            self.seat.counters.is_closed.store(true, Relaxed);
            self.phase = Phase::Closed;
        }
    }

    fn join(&mut self, hall: &Hall, buffer: &mut [u8], findings: &mut Findings) -> Result<(), String> {
        let Phase::Joining(line) = &mut self.phase else { return Ok(()) };
        let first = loop {
            match line.next_tag(buffer)? {
                Some(tag) if is_start(&tag, hall.has_video) => break tag,
                Some(_) => {}
                None => return Ok(()),
            }
        };
        let joined = u32::try_from(self.started.elapsed().as_micros()).unwrap_or(u32::MAX);
        self.seat.counters.pictured.store(hall.epoch.elapsed().as_micros() as u64, Relaxed);
        self.seat.counters.joined.store(joined.max(1), Relaxed);
        let Phase::Joining(mut line) = std::mem::replace(&mut self.phase, Phase::Closed) else {
            return Ok(());
        };
        let mut next = 0;
        self.phase = match self.seat.manner {
            Manner::Probe => {
                check(&first, &mut next, Place::First, hall, findings);
                Phase::Probing(line, next)
            }
            Manner::Lag(pace) => {
                check(&first, &mut next, Place::First, hall, findings);
                let from = (Instant::now(), line.bytes_in());
                Phase::Lagging(Box::new(Laggard { line, next, pace, from }))
            }
            Manner::Count => Phase::Counting(Counter::new(line.into_parts()?)),
        };
        // What came together with the picture has no readiness of its own.
        self.advance(hall, buffer, findings);
        Ok(())
    }

    fn keep_alive(&mut self, hall: &Hall, buffer: &mut [u8], findings: &mut Findings) {
        match &mut self.phase {
            Phase::Counting(counter) => return counter.keep_alive(),
            Phase::Joining(line) | Phase::Probing(line, _) => line.keep_alive(),
            Phase::Lagging(laggard) => laggard.line.keep_alive(),
            Phase::Closed => {}
        }
        self.advance(hall, buffer, findings);
    }
}

/// A connection whose window is small, so that what its player does not read waits in the server.
fn connect_narrow(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.set_recv_buffer_size(NARROW)?;
    socket.connect(&server.into())?;
    socket.set_nonblocking(true)?;
    Ok(TcpStream::from_std(socket.into()))
}

/// Receive buffer of a laggard, in bytes; Linux doubles it.
const NARROW: usize = 16 << 10;

/// A player that reads late.
struct Laggard {
    line: Line,
    /// The sequence number that follows the last tag.
    next: u64,
    /// Bytes a second.
    pace: u64,
    /// When it began to lag, and the bytes it had by then.
    from: (Instant, u64),
}

impl Laggard {
    fn read(
        &mut self,
        hall: &Hall,
        buffer: &mut [u8],
        counters: &PlayerCounters,
        findings: &mut Findings,
    ) -> Result<(), String> {
        let wake = hall.wake.load(Relaxed);
        let (since, before) = self.from;
        let allowed = before + self.pace * since.elapsed().as_millis() as u64 / 1000;
        // One step may read a whole message; the next ones wait for as long as that takes at its pace.
        let step = if wake > 0 { buffer.len() } else { NARROW };
        while wake > 0 || self.line.bytes_in() < allowed {
            let Some(tag) = self.line.next_tag(&mut buffer[..step])? else { break };
            if let Some(Ok(stamp)) = Stamp::read(&tag) {
                if stamp.sequence > self.next && is_start(&tag, hall.has_video) {
                    findings.gaps += 1;
                    self.next = stamp.sequence;
                }
                if wake > 0 && stamp.sent.as_micros() as u64 > wake {
                    counters.has_caught_up.store(true, Relaxed);
                }
            }
            check(&tag, &mut self.next, Place::Late, hall, findings);
        }
        Ok(())
    }
}

fn probe(
    line: &mut Line,
    next: &mut u64,
    hall: &Hall,
    buffer: &mut [u8],
    counters: &PlayerCounters,
    findings: &mut Findings,
) -> Result<(), String> {
    let before = line.bytes_in();
    let place = if line.is_ordered() { Place::Next } else { Place::Beside };
    while let Some(tag) = line.next_tag(buffer)? {
        check(&tag, next, place, hall, findings);
    }
    counters.received.fetch_add(line.bytes_in() - before, Relaxed);
    Ok(())
}

/// Where a tag stands in what a probe sees.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The picture with which it joined.
    First,
    /// Behind another one.
    Next,
    /// Behind another one of its kind; that none is missing the line has seen.
    Beside,
    /// Behind another one, read late: its delay tells nothing.
    Late,
}

/// Compares a tag with what must come next.
fn check(tag: &Tag, next: &mut u64, place: Place, hall: &Hall, findings: &mut Findings) {
    let stamp = match Stamp::read(tag) {
        None => return,
        Some(Err(damage)) => {
            return findings.fault(|| format!("{damage:?} in a tag of {} bytes", tag.body.len()));
        }
        Some(Ok(stamp)) => stamp,
    };
    findings.checked += 1;
    if matches!(place, Place::Next | Place::Late) && stamp.sequence != *next {
        let expected = *next;
        findings.fault(|| format!("tag {} came where {expected} was due", stamp.sequence));
    }
    *next = stamp.sequence + 1;
    let from = hall.measured_from.load(Relaxed);
    let sent = stamp.sent.as_micros() as u64;
    if from > 0 && sent >= from && place != Place::Late {
        let now = hall.epoch.elapsed().as_micros() as u64;
        let delay = u32::try_from(now.saturating_sub(sent)).unwrap_or(u32::MAX);
        let is_picture = tag.kind == TagKind::Video || !hall.has_video;
        if is_picture { &mut findings.picture_delays } else { &mut findings.sound_delays }.push(delay);
    }
}
