//! The players: a few threads, each with many connections.
//!
//! A player runs a real client session until it shows a picture. A probe then goes on so and checks every tag; any
//! other only counts bytes from there on, which costs the machine little: the kernel throws them away unread, a
//! hundred times a second at most. A laggard keeps its session, reads late on purpose, and checks that what it
//! lost were whole groups of pictures.

use crate::stream::{Stamp, is_start};
use mio::{Events, Poll, Registry, Token, net::TcpStream};
use socket2::{Domain, SockRef, Socket, Type};
use std::{
    io::{self, ErrorKind, Write},
    mem::MaybeUninit,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use weir::{
    flv::{Tag, TagKind},
    rtmp::{Event, session::State as SessionState},
    server::client::{ClientOptions, Link, LinkError, Role, RtmpUrl, play_request, session_config},
};

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
    pub(crate) url: RtmpUrl,
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
    Joining(Box<Link>),
    /// Checks each tag: the sequence number that must come next.
    Probing(Box<Link>, u64),
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
        let config = session_config(&seat.url, &ClientOptions::default(), Role::Player);
        let link = Link::new(socket, config, registry, token)?;
        Ok(Player { seat, started, phase: Phase::Joining(Box::new(link)) })
    }

    /// Takes what has come.
    fn advance(&mut self, hall: &Hall, buffer: &mut [u8], findings: &mut Findings) {
        let result = match &mut self.phase {
            Phase::Joining(_) => self.join(hall, buffer, findings),
            Phase::Probing(link, next) => probe(link, next, hall, buffer, &self.seat.counters, findings)
                .map_err(|error| error.to_string()),
            Phase::Lagging(laggard) => {
                laggard.read(hall, buffer, &self.seat.counters, findings).map_err(|error| error.to_string())
            }
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
        let Phase::Joining(link) = &mut self.phase else { return Ok(()) };
        let first = loop {
            let Some(event) = link.next_event(buffer).map_err(|error| error.to_string())? else {
                return Ok(());
            };
            match event {
                Event::Connected(_) => {
                    link.session().create_stream().map_err(|error| error.to_string())?;
                }
                Event::StreamCreated { stream, .. } => {
                    let play = play_request(stream, &self.seat.url);
                    link.session().play(&play).map_err(|error| error.to_string())?;
                    link.session().set_buffer_length(stream, 3000).map_err(|error| error.to_string())?;
                }
                Event::Status { status, .. } if status.level == "error" => {
                    return Err(format!("{}: {}", status.code, status.description));
                }
                Event::Tag { tag, .. } if is_start(&tag, hall.has_video) => break tag,
                _ => {}
            }
        };
        let joined = u32::try_from(self.started.elapsed().as_micros()).unwrap_or(u32::MAX);
        self.seat.counters.pictured.store(hall.epoch.elapsed().as_micros() as u64, Relaxed);
        self.seat.counters.joined.store(joined.max(1), Relaxed);
        let Phase::Joining(mut link) = std::mem::replace(&mut self.phase, Phase::Closed) else {
            return Ok(());
        };
        let mut next = 0;
        self.phase = match self.seat.manner {
            Manner::Probe => {
                check(&first, &mut next, Place::First, hall, findings);
                Phase::Probing(link, next)
            }
            Manner::Lag(pace) => {
                check(&first, &mut next, Place::First, hall, findings);
                let from = (Instant::now(), link.session().stats().bytes_in);
                Phase::Lagging(Box::new(Laggard { link: *link, next, pace, from }))
            }
            Manner::Count => {
                // Half an acknowledgement would spoil those that this player is going to write itself.
                link.flush().map_err(|error| error.to_string())?;
                if link.session().output_len() > 0 {
                    return Err("server does not read".into());
                }
                let received = link.session().stats().bytes_in;
                let (socket, unread) = link.into_socket();
                let received_all = received + unread.len() as u64;
                Phase::Counting(Counter {
                    socket,
                    received: received_all,
                    acknowledged: received,
                    has_acknowledged: false,
                })
            }
        };
        // What came together with the picture has no readiness of its own.
        self.advance(hall, buffer, findings);
        Ok(())
    }

    fn keep_alive(&mut self, hall: &Hall, buffer: &mut [u8], findings: &mut Findings) {
        if let Phase::Counting(counter) = &mut self.phase {
            // A stream of some rate makes it do so anyway, and no real player tells twice.
            if !std::mem::take(&mut counter.has_acknowledged) {
                counter.acknowledge();
            }
        } else {
            self.advance(hall, buffer, findings);
        }
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
    link: Link,
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
    ) -> Result<(), LinkError> {
        let wake = hall.wake.load(Relaxed);
        let (since, before) = self.from;
        let allowed = before + self.pace * since.elapsed().as_millis() as u64 / 1000;
        // One step may read a whole message; the next ones wait for as long as that takes at its pace.
        let step = if wake > 0 { buffer.len() } else { NARROW };
        while wake > 0 || self.link.session().stats().bytes_in < allowed {
            let Some(event) = self.link.next_event(&mut buffer[..step])? else { break };
            let Event::Tag { tag, .. } = event else { continue };
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
        if self.link.state() == SessionState::Closed { Err(LinkError::Closed) } else { Ok(()) }
    }
}

/// A connection after its session.
struct Counter {
    socket: TcpStream,
    /// All bytes of the server, handshake included, as acknowledgements count them.
    received: u64,
    /// The same when the last acknowledgement went out.
    acknowledged: u64,
    /// One went out since the last upkeep.
    has_acknowledged: bool,
}

impl Counter {
    fn count(&mut self, counters: &PlayerCounters) -> io::Result<()> {
        let mut nowhere = [MaybeUninit::uninit(); 1 << 16];
        loop {
            match SockRef::from(&self.socket).recv_with_flags(&mut nowhere, MSG_TRUNC) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.received += count as u64;
                    counters.received.fetch_add(count as u64, Relaxed);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.received - self.acknowledged > ACKNOWLEDGE_AFTER {
            self.acknowledge();
        }
        Ok(())
    }

    /// Acknowledgement (RTMP 1.0, 5.4.3) as a fmt 0 chunk on csid 2. It tells a server that asks whether we live,
    /// too. A socket that cannot take 16 bytes now is given the next one.
    fn acknowledge(&mut self) {
        let mut message = [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 0];
        message[12..].copy_from_slice(&(self.received as u32).to_be_bytes());
        if self.socket.write(&message).is_ok() {
            self.acknowledged = self.received;
            self.has_acknowledged = true;
        }
    }
}

/// Half of the window that servers ask for.
const ACKNOWLEDGE_AFTER: u64 = 1_250_000;

/// Linux: take bytes off a TCP socket without copying them (tcp(7)).
const MSG_TRUNC: i32 = 0x20;

fn probe(
    link: &mut Link,
    next: &mut u64,
    hall: &Hall,
    buffer: &mut [u8],
    counters: &PlayerCounters,
    findings: &mut Findings,
) -> Result<(), LinkError> {
    let before = link.session().stats().bytes_in;
    while let Some(event) = link.next_event(buffer)? {
        if let Event::Tag { tag, .. } = event {
            check(&tag, next, Place::Next, hall, findings);
        }
    }
    counters.received.fetch_add(link.session().stats().bytes_in - before, Relaxed);
    if link.state() == SessionState::Closed { Err(LinkError::Closed) } else { Ok(()) }
}

/// Where a tag stands in what a probe sees.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The picture with which it joined.
    First,
    /// Behind another one.
    Next,
    /// The same, read late: its delay tells nothing.
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
    if place != Place::First && stamp.sequence != *next {
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
