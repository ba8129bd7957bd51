//! A bad network for RTSP over UDP: a proxy for one conversation at a time, between a client and a server, that loses, doubles,
//! delays and so reorders packets, the same ones in every run.
//!
//! The connection goes through unchanged but for the ports in `Transport`, so that datagrams come here. Reports (RTCP) suffer as
//! packets do. Not here: interleaved packets, multicast. Where the kernel has netem, that would do; many have not.
//! Bounds: [`AT_ONCE`] packets on their way.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// What happens to packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Of a thousand packets, so many are lost.
    pub(super) lost: u64,
    /// Of a thousand, so many come twice.
    pub(super) doubled: u64,
    /// Each is late by up to so many milliseconds, and overtakes others.
    pub(super) jitter: u64,
    pub(super) seed: u64,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) passed: AtomicUsize,
    pub(super) lost: AtomicUsize,
    pub(super) doubled: AtomicUsize,
    pub(super) overtaken: AtomicUsize,
}

/// Ends with its value.
pub(super) struct Proxy {
    port: u16,
    pub(super) counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// In front of a server at `port` of the loopback.
    pub(super) fn start(server: u16, weather: Weather) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (counts, stop) = (Arc::<Counts>::default(), Arc::<AtomicBool>::default());
        let shared = (counts.clone(), stop.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.1.load(Relaxed) {
                    return;
                }
                // A client that goes early is none that matters.
                let _ = Conversation::start(client, server, weather, &shared);
            }
        });
        Proxy { port, counts, stop }
    }

    /// The same URL, through the proxy.
    pub(super) fn url(&self, url: &str) -> String {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (_, path) = rest.split_once('/').expect("a URL with a path");
        format!("{scheme}://127.0.0.1:{}/{path}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

type Shared = (Arc<Counts>, Arc<AtomicBool>);

/// A pair of ports: of packets, of reports.
type Pair = [u16; 2];

#[derive(Clone)]
struct Conversation {
    weather: Weather,
    shared: Shared,
    /// The ports that clients of SETUPs without an answer have named, and the sockets for those tracks.
    waiting: Arc<Mutex<Vec<(Pair, Track)>>>,
}

/// Sockets of a track: towards the client, towards the server; for packets and for reports.
#[derive(Clone)]
struct Track {
    to_client: [Arc<UdpSocket>; 2],
    to_server: [Arc<UdpSocket>; 2],
}

impl Conversation {
    fn start(client: TcpStream, server: u16, weather: Weather, shared: &Shared) -> io::Result<()> {
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
        let conversation = Conversation { weather, shared: shared.clone(), waiting: Arc::default() };
        for (from, to, is_request) in
            [(client.try_clone()?, server.try_clone()?, true), (server, client, false)]
        {
            let conversation = conversation.clone();
            thread::spawn(move || {
                // The end of one side is that of the other.
                let _ = conversation.pass(&from, &to, is_request);
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
        }
        Ok(())
    }

    /// Message by message.
    fn pass(&self, from: &TcpStream, mut to: &TcpStream, is_request: bool) -> io::Result<()> {
        let mut from = BufReader::new(from);
        loop {
            let (mut head, mut len) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if from.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if let Some(value) = line.strip_prefix("Content-Length:") {
                    len = value.trim().parse().map_err(io::Error::other)?;
                }
                let is_transport = line.to_ascii_lowercase().starts_with("transport:");
                head.push_str(&if is_transport { self.transport(&line, is_request)? } else { line.clone() });
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; len];
            from.read_exact(&mut body)?;
            to.write_all(&[head.as_bytes(), &body].concat())?;
        }
    }

    /// A `Transport` line with ports of the proxy in place of the client's or the server's.
    fn transport(&self, line: &str, is_request: bool) -> io::Result<String> {
        let mut waiting = self.waiting.lock().map_err(|_| io::Error::other("a thread panicked"))?;
        if is_request {
            let Some(client) = ports(line, "client_port=") else { return Ok(line.into()) };
            let track = Track::new()?;
            let ours = track.to_server.each_ref().map(|socket| port(socket));
            let line = replace(line, "client_port=", client, ours);
            waiting.push((client, track));
            return Ok(line);
        }
        let (Some(server), Some((client, track))) = (ports(line, "server_port="), waiting.pop()) else {
            return Ok(line.into());
        };
        let (ours, told) =
            (track.to_client.each_ref().map(|s| port(s)), track.to_server.each_ref().map(|s| port(s)));
        for kind in 0..2 {
            let (near, far) = (&track.to_client[kind], &track.to_server[kind]);
            self.relay(far.clone(), near.clone(), client[kind], kind as u64);
            self.relay(near.clone(), far.clone(), server[kind], 2 + kind as u64);
        }
        Ok(replace(&replace(line, "client_port=", told, client), "server_port=", server, ours))
    }

    /// What comes to `from` goes through `to` to a port.
    fn relay(&self, from: Arc<UdpSocket>, to: Arc<UdpSocket>, port: u16, which: u64) {
        let (weather, (counts, stop)) = (self.weather, self.shared.clone());
        thread::spawn(move || {
            let mut dice = Dice(weather.seed ^ which.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut under_way: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>> = BinaryHeap::new();
            let (mut number, mut last, mut buffer) = (0_u64, 0_u64, vec![0; 65536]);
            while !stop.load(Relaxed) {
                while under_way.peek().is_some_and(|Reverse((at, ..))| *at <= Instant::now()) {
                    let Some(Reverse((_, number, packet))) = under_way.pop() else { break };
                    counts.passed.fetch_add(1, Relaxed);
                    counts.overtaken.fetch_add(usize::from(number < last), Relaxed);
                    last = last.max(number);
                    // A port that is closed by now.
                    let _ = to.send_to(&packet, target);
                }
                let Ok(len) = from.recv(&mut buffer) else { continue };
                number += 1;
                if dice.throw() < weather.lost || under_way.len() >= AT_ONCE {
                    counts.lost.fetch_add(1, Relaxed);
                    continue;
                }
                let copies = if dice.throw() < weather.doubled { 2 } else { 1 };
                counts.doubled.fetch_add(copies - 1, Relaxed);
                for _ in 0..copies {
                    let late = Duration::from_micros(dice.throw() * weather.jitter);
                    under_way.push(Reverse((Instant::now() + late, number, buffer[..len].to_vec())));
                }
            }
        });
    }
}

impl Track {
    fn new() -> io::Result<Track> {
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_read_timeout(Some(Duration::from_millis(1)))?;
            Ok::<_, io::Error>(Arc::new(socket))
        };
        Ok(Track { to_client: [socket()?, socket()?], to_server: [socket()?, socket()?] })
    }
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().map_or(0, |address| address.port())
}

fn ports(line: &str, name: &str) -> Option<Pair> {
    let (_, rest) = line.split_once(name)?;
    let (first, second) = rest.split([';', ',', '\r']).next()?.split_once('-')?;
    Some([first.trim().parse().ok()?, second.trim().parse().ok()?])
}

fn replace(line: &str, name: &str, from: Pair, to: Pair) -> String {
    line.replace(&format!("{name}{}-{}", from[0], from[1]), &format!("{name}{}-{}", to[0], to[1]))
}

/// xorshift64.
struct Dice(u64);

impl Dice {
    /// 0 to 999.
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % 1000
    }
}

/// Packets of one direction of a track.
const AT_ONCE: usize = 4096;
