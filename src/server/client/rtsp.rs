//! Blocking RTSP client: [`RtspPlayer`] gives the tags of what a camera or a server plays, [`RtspPublisher`] announces a stream and takes its tags.
//!
//! In: a URL and options; as `client` has it, each call has a deadline, drives the connection while it waits, and ends with the interrupt.
//! Media goes as the URL says, and the other way if the server answers that with 461. Not here: the protocol ([`rtsp::Client`]), what
//! packets mean ([`crate::rtp`]), pairs of ports ([`crate::server::rtsp::udp`]), reconnecting. Bounds: those of all these; [`MAX_MOVES`].
//! Field notes: see `rtsp::session::client`; behind a NAT nothing comes by UDP before something was sent.

mod play;
mod record;

pub(in crate::server) use play::RtspPlayer;
pub(in crate::server) use record::RtspPublisher;

use super::{
    ClientError, ClientOptions, Interrupt, Link, LinkError, RtspUrl, Seen, Step,
    dial::{SOCKET, WAKE, dial},
    link::random_seed,
};
use crate::{
    base::{MonoTime, State},
    rtsp::{self, Client, ClientConfig, ClientEvent, Limits, Lower, Method, Role, Status, TransportSpec},
    server::rtsp::udp::{Datagrams, Heard, Ports},
};
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use core::{net::SocketAddr, time::Duration};
use mio::{Events, Poll, Token};
use std::{io, time::Instant};

/// Servers that one attempt is sent on to.
const MAX_MOVES: usize = 5;
/// Bytes read at once.
const READ_BUFFER: usize = 64 << 10;
/// Time for the last words.
const FAREWELL: Duration = Duration::from_secs(1);
const UDP: Token = Token(2);

/// How a track's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// On these channels, RTP and RTCP.
    Interleaved(u8, u8),
    Datagrams,
}

/// What has come.
enum Said {
    Event(ClientEvent),
    /// So many bytes of the buffer.
    Datagram(Heard, usize),
}

/// A connection with what belongs to it.
struct Conversation {
    link: Link<Client>,
    url: RtspUrl,
    poll: Poll,
    ready: Events,
    buffer: Box<[u8]>,
    peer: SocketAddr,
    during: Step,
    timeout: Duration,
    interrupt: Interrupt,
    ports: Ports,
    datagrams: Option<Datagrams>,
    /// Of each track that there is.
    ways: Vec<Option<Way>>,
}

/// Opens what `url` names with `open`, wherever it has moved.
fn follow<T>(url: &RtspUrl, open: impl Fn(&RtspUrl) -> Result<T, ClientError>) -> Result<T, ClientError> {
    let mut moves = 0;
    let mut result = open(url);
    while let Err(ClientError::Moved(next)) = result {
        if moves == MAX_MOVES {
            return Err(ClientError::MovedTooOften(next));
        }
        moves += 1;
        log::info!("{url} has moved to {next}");
        result = open(&next);
    }
    result
}

impl Conversation {
    /// TCP, and the first request.
    fn open(url: &RtspUrl, options: &ClientOptions, role: Role) -> Result<Conversation, ClientError> {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], url.port));
        let io = |peer, error| ClientError::Io { peer, during: Step::Dial, error };
        let mut poll = Poll::new().map_err(|error| io(nowhere, error))?;
        options.interrupt.attach(&poll, WAKE).map_err(|error| io(nowhere, error))?;
        let mut ready = Events::with_capacity(16);
        let (socket, peer) = dial(&url.host, url.port, options, &mut poll, &mut ready)?;
        let config = ClientConfig {
            limits: Limits { answer_timeout: Some(options.timeout), ..Limits::default() },
            url: url.secret(),
            credentials: None,
            role,
            user_agent: format!("weir/{}", env!("CARGO_PKG_VERSION")),
        };
        let seed = random_seed();
        let client = Client::new(config, seed, MonoTime(0));
        let mut link =
            Link::over(socket, client, poll.registry(), SOCKET).map_err(|error| io(peer, error))?;
        if let Some(observer) = &options.observer {
            observer.see(Seen::Opened { peer });
            link.observe(observer.clone());
        }
        Ok(Conversation {
            link,
            url: url.clone(),
            poll,
            ready,
            buffer: vec![0; READ_BUFFER].into_boxed_slice(),
            peer,
            during: Step::Connect,
            timeout: options.timeout,
            interrupt: options.interrupt.clone(),
            ports: Ports::shuffled(options.rtp_ports.clone(), seed),
            datagrams: None,
            ways: Vec::new(),
        })
    }

    fn now(&self) -> MonoTime {
        self.link.now()
    }

    /// An end, and why.
    fn ended(&self, why: impl Into<String>) -> ClientError {
        ClientError::Rtsp { peer: self.peer, why: why.into() }
    }

    /// A call that the session refuses: it has ended.
    fn misused<E>(&self, _: E) -> ClientError {
        ClientError::Closed { peer: self.peer, during: self.during }
    }

    /// Sets up the tracks of these numbers and controls, of `count`: as the URL says or, if the server refuses that, the other way.
    fn set_up(&mut self, count: usize, tracks: &[(usize, &str)]) -> Result<(), ClientError> {
        let first = self.url.transport;
        let other = if first == Lower::Tcp { Lower::Udp } else { Lower::Tcp };
        let mut refused = Status::UNSUPPORTED_TRANSPORT;
        for lower in [first, other] {
            self.ways = vec![None; count];
            let offers = self.offer(lower, tracks)?;
            let offers: Vec<(&str, TransportSpec)> =
                tracks.iter().map(|(_, control)| *control).zip(offers).collect();
            let now = self.now();
            let asked = self.link.session().set_up(now, &offers);
            asked.map_err(|misuse| self.misused(misuse))?;
            let mut is_refused_so = false;
            for _ in tracks {
                match self.await_event()? {
                    ClientEvent::SetUp { index, transport } => {
                        let (track, _) = tracks[index.min(tracks.len() - 1)];
                        self.take_way(track, &transport)?;
                    }
                    ClientEvent::SetUpRefused { status, .. } => {
                        is_refused_so |= status == Status::UNSUPPORTED_TRANSPORT;
                        refused = status;
                    }
                    _ => {}
                }
            }
            let is_any = self.ways.iter().any(Option::is_some);
            if is_any && !(is_refused_so && lower == first) {
                return Ok(());
            }
            if !is_refused_so {
                break;
            }
        }
        let error = rtsp::ErrorKind::Refused(Method::Setup, refused);
        Err(self.ended(format!("{}", rtsp::Error { kind: error, offset: 0 })))
    }

    /// What is asked for, track by track.
    fn offer(&mut self, lower: Lower, tracks: &[(usize, &str)]) -> Result<Vec<TransportSpec>, ClientError> {
        self.datagrams = None;
        if lower == Lower::Tcp {
            let channels = |place: usize| TransportSpec::tcp(2 * place as u8, 2 * place as u8 + 1);
            return Ok((0..tracks.len()).map(channels).collect());
        }
        let io = |error| ClientError::Io { peer: self.peer, during: Step::Connect, error };
        let local = self.link.local_ip().map_err(io)?;
        let mut datagrams = Datagrams::new(self.now());
        let mut offers = Vec::new();
        for (track, _) in tracks {
            // Which ports are the peer's is in its answer.
            let pair = self.ports.pair(local, self.peer.ip(), (0, 0)).map_err(io)?;
            let (rtp, rtcp) = datagrams.insert(*track, pair);
            offers.push(TransportSpec::udp(rtp, rtcp));
        }
        datagrams.register(self.poll.registry(), UDP);
        self.datagrams = Some(datagrams);
        Ok(offers)
    }

    /// What the server has chosen, which may be another way than it was asked for.
    fn take_way(&mut self, track: usize, chosen: &TransportSpec) -> Result<(), ClientError> {
        let way = match (chosen.lower, chosen.interleaved, &mut self.datagrams) {
            (Lower::Tcp, Some((rtp, rtcp)), _) => Way::Interleaved(rtp, rtcp),
            (Lower::Udp, _, Some(datagrams)) if !chosen.is_multicast => {
                if let Some(ports) = chosen.server_port {
                    datagrams.aim(track, ports);
                }
                Way::Datagrams
            }
            _ => return Err(self.ended("SETUP was answered with a transport that was not asked for")),
        };
        if let Some(known) = self.ways.get_mut(track) {
            *known = Some(way);
        }
        Ok(())
    }

    /// Whose packets come on that channel: the track, and whether they are RTCP.
    fn of_channel(&self, channel: u8) -> Option<Heard> {
        self.ways.iter().enumerate().find_map(|(track, way)| match way {
            Some(Way::Interleaved(rtp, _)) if *rtp == channel => Some(Heard::Rtp(track)),
            Some(Way::Interleaved(_, rtcp)) if *rtcp == channel => Some(Heard::Rtcp(track)),
            _ => None,
        })
    }

    /// Sends a report of a track. Lost if there is no room for it.
    fn send_rtcp(&mut self, track: usize, report: &[u8]) {
        match (self.ways.get(track), &mut self.datagrams) {
            (Some(Some(Way::Interleaved(_, channel))), _) => {
                let _ = self.link.session().send_frame(*channel, report);
            }
            (Some(Some(Way::Datagrams)), Some(datagrams)) => datagrams.send_rtcp(track, report),
            _ => {}
        }
    }

    /// The next event that is no frame, within the time for one step.
    fn await_event(&mut self) -> Result<ClientEvent, ClientError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.hear()? {
                Some(Said::Event(ClientEvent::Frame { .. })) | Some(Said::Datagram(..)) => {}
                Some(Said::Event(event)) => return Ok(event),
                None => self.wait(deadline)?,
            }
            if Instant::now() >= deadline {
                return Err(ClientError::TimedOut { peer: self.peer, during: self.during });
            }
        }
    }

    /// What has come, without waiting; writes what can be written.
    fn hear(&mut self) -> Result<Option<Said>, ClientError> {
        if self.during != Step::Finish && self.interrupt.is_raised() {
            return Err(ClientError::Interrupted { during: self.during });
        }
        match self.link.next_event(&mut self.buffer).map_err(|error| self.broken(error))? {
            Some(ClientEvent::Moved { location }) => {
                let next = self.url.moved(&location);
                return Err(match next {
                    Ok(url) => ClientError::Moved(url.into()),
                    Err(error) => self.ended(format!("it sends its clients elsewhere: {error}")),
                });
            }
            Some(event) => return Ok(Some(Said::Event(event))),
            None if self.link.state() == State::Closed => return Err(self.misused(())),
            None => {}
        }
        let Some(datagrams) = &mut self.datagrams else { return Ok(None) };
        datagrams.flush(self.link.now());
        if !datagrams.may_read {
            return Ok(None);
        }
        Ok(datagrams.receive(&mut self.buffer).map(|(heard, len)| Said::Datagram(heard, len)))
    }

    fn broken(&self, error: LinkError<rtsp::Error>) -> ClientError {
        match error {
            LinkError::Io(error) => ClientError::Io { peer: self.peer, during: self.during, error },
            LinkError::Session(error) => self.ended(format!("{error}")),
            LinkError::Closed => self.misused(()),
        }
    }

    /// Sleeps until a socket is ready, the session or what is sent wants the time, or the deadline.
    fn wait(&mut self, deadline: Instant) -> Result<(), ClientError> {
        let now = Instant::now();
        let mut until = self.link.deadline().map_or(deadline, |due| due.min(deadline));
        if let Some(due) = self.datagrams.as_ref().and_then(Datagrams::deadline) {
            until = until.min(now + due.since(self.now()));
        }
        // mio rounds down to milliseconds, and a wait of 0 would spin.
        let rest = until.saturating_duration_since(now).max(Duration::from_millis(1));
        match self.poll.poll(&mut self.ready, Some(rest)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(self.broken(LinkError::Io(error)));
            }
            _ => {}
        }
        if let Some(datagrams) = &mut self.datagrams {
            datagrams.may_read |= self.ready.iter().any(|event| event.token() == UDP);
        }
        Ok(())
    }

    /// Bytes that wait to be sent.
    fn unsent(&mut self) -> usize {
        self.link.session().output_len() + self.datagrams.as_ref().map_or(0, Datagrams::queued)
    }

    /// TEARDOWN, and the server's end of it, within a short time.
    fn finish(&mut self) {
        self.during = Step::Finish;
        let now = self.now();
        if self.link.session().teardown(now).is_err() {
            return;
        }
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline {
            match self.hear() {
                Ok(Some(Said::Event(ClientEvent::TornDown))) | Err(_) => return,
                Ok(Some(_)) => {}
                Ok(None) => {
                    if self.wait(deadline).is_err() {
                        return;
                    }
                }
            }
        }
    }
}
