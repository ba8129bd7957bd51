//! RTSP players: a URL -> the dialogue up to PLAY, and a server's packets, interleaved or by UDP -> tags.
//!
//! Packets must come without a gap in their numbers from a track's first one on: with a gap the player is over, by UDP as well, where
//! the loopback loses nothing. Not here: loss, reordering, other servers' habits, TLS.
//! Bounds: those of [`weir::rtsp::Client`]; the tags of one read.

use crate::{
    line::{Parts, SignOfLife},
    rtp::Unpacker,
};
use mio::{
    Interest, Registry, Token,
    net::{TcpStream, UdpSocket},
};
use std::{
    collections::VecDeque,
    fmt,
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::SocketAddr,
    str::FromStr,
    time::Instant,
};
use weir::{
    base::MonoTime,
    flv::Tag,
    rtsp::{Client, ClientConfig, ClientEvent, Limits, Role, TransportSpec},
};

/// Where a stream is by RTSP. Shows itself without the query, which may carry a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RtspUrl {
    /// Packets come by UDP.
    pub(crate) is_udp: bool,
    /// Host and port; an IPv6 literal in brackets.
    pub(crate) authority: String,
    /// With its query.
    path: String,
}

impl RtspUrl {
    /// The same place for the stream with that number: `/live/cam-3` for `/live/cam`.
    pub(crate) fn numbered(&self, number: usize) -> RtspUrl {
        let (path, query) = self.path.split_at(self.path.find('?').unwrap_or(self.path.len()));
        RtspUrl { path: format!("{path}-{number}{query}"), ..self.clone() }
    }
}

impl FromStr for RtspUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<RtspUrl, String> {
        let (is_udp, rest) = match text.split_once("://") {
            Some(("rtsp", rest)) => (false, rest),
            Some(("rtspu", rest)) => (true, rest),
            _ => return Err("URL must start with rtsp:// or rtspu://".into()),
        };
        let slash = rest.find('/').ok_or("URL has no path")?;
        let (host, path) = rest.split_at(slash);
        if host.is_empty() || host.contains('@') || rest.contains(|c: char| !c.is_ascii_graphic()) {
            return Err("URL must be rtsp://HOST[:PORT]/PATH".into());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { host.into() } else { format!("{host}:554") };
        Ok(RtspUrl { is_udp, authority, path: path.into() })
    }
}

impl fmt::Display for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_udp { "rtspu" } else { "rtsp" };
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority)
    }
}

/// A player's connection.
pub(crate) struct RtspLine {
    socket: TcpStream,
    client: Client,
    started: Instant,
    /// For sockets of tracks.
    registry: Registry,
    token: Token,
    is_udp: bool,
    tracks: Vec<Track>,
    tags: VecDeque<Tag>,
    bytes_in: u64,
}

struct Track {
    unpacker: Unpacker,
    /// The interleaved channel of its packets.
    channel: u8,
    /// Of its packets and of its reports, by UDP.
    sockets: Option<(UdpSocket, UdpSocket)>,
    is_set_up: bool,
}

impl RtspLine {
    pub(crate) fn new(
        url: &RtspUrl,
        mut socket: TcpStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<RtspLine> {
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let config = ClientConfig {
            limits: Limits::default(),
            url: format!("rtsp://{}{}", url.authority, url.path),
            credentials: None,
            role: Role::Play,
            user_agent: "load".into(),
        };
        Ok(RtspLine {
            socket,
            client: Client::new(config, token.0 as u64, MonoTime(0)),
            started: Instant::now(),
            registry: registry.try_clone()?,
            token,
            is_udp: url.is_udp,
            tracks: Vec::new(),
            tags: VecDeque::new(),
            bytes_in: 0,
        })
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    /// As [`Line::next_tag`](crate::line::Line::next_tag).
    pub(crate) fn next_tag(&mut self, buffer: &mut [u8]) -> Result<Option<Tag>, String> {
        loop {
            if let Some(tag) = self.tags.pop_front() {
                return Ok(Some(tag));
            }
            self.flush()?;
            match self.socket.read(buffer) {
                Ok(0) => return Err("server closed the connection".into()),
                Ok(count) => self.take(&buffer[..count])?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_unready(&error) => {
                    self.take_datagrams(buffer)?;
                    return Ok(self.tags.pop_front());
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn take(&mut self, mut input: &[u8]) -> Result<(), String> {
        self.bytes_in += input.len() as u64;
        while !input.is_empty() {
            let now = self.now();
            let taken = self.client.handle_input(now, input).map_err(|error| error.to_string())?;
            input = &input[taken..];
            while let Some(event) = self.client.poll_event() {
                self.handle(event)?;
            }
        }
        self.flush()
    }

    fn take_datagrams(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        for track in &mut self.tracks {
            let Some((packets, reports)) = &track.sockets else { continue };
            while let Some(len) = receive(packets, buffer)? {
                self.bytes_in += len as u64;
                track.unpacker.take(&buffer[..len], &mut self.tags)?;
            }
            while receive(reports, buffer)?.is_some() {}
        }
        Ok(())
    }

    fn handle(&mut self, event: ClientEvent) -> Result<(), String> {
        let now = self.now();
        match event {
            ClientEvent::Described { sdp, .. } => {
                let offers = self.offers(&sdp).map_err(|error| error.to_string())?;
                if offers.is_empty() {
                    return Err("neither H.264 nor AAC in the description".into());
                }
                let offers: Vec<_> =
                    offers.iter().map(|(control, spec)| (&**control, spec.clone())).collect();
                self.client.set_up(now, &offers).map_err(|error| error.to_string())?;
            }
            ClientEvent::SetUp { index, transport } => {
                let track = self.tracks.get_mut(index).ok_or("a track that nobody asked for")?;
                track.is_set_up = true;
                track.channel = transport.interleaved.map_or(track.channel, |(channel, _)| channel);
                if let (Some((_, reports)), Some((_, port))) = (&track.sockets, transport.server_port) {
                    let server = self.socket.peer_addr().map_err(|error| error.to_string())?;
                    let server = SocketAddr::new(server.ip(), port);
                    reports.connect(server).map_err(|error| error.to_string())?;
                }
                if self.tracks.iter().all(|track| track.is_set_up) {
                    self.client.play(now, None, None).map_err(|error| error.to_string())?;
                }
            }
            ClientEvent::SetUpRefused { status, .. } => return Err(format!("SETUP: {status}")),
            ClientEvent::Frame { channel, data } => {
                // Others are reports.
                if let Some(track) = self.tracks.iter_mut().find(|track| track.channel == channel) {
                    track.unpacker.take(&data, &mut self.tags)?;
                }
            }
            ClientEvent::TornDown => return Err("server ended the session".into()),
            _ => {}
        }
        Ok(())
    }

    /// Makes tracks of a description; the control and the transport of each.
    fn offers(&mut self, sdp: &str) -> io::Result<Vec<(String, TransportSpec)>> {
        let mut offers = Vec::new();
        for section in sdp.split("\nm=").skip(1) {
            let value = |name: &str| section.lines().find_map(|line| line.trim_end().strip_prefix(name));
            let Some(unpacker) = value("a=rtpmap:").and_then(Unpacker::new) else { continue };
            let sockets = if self.is_udp { Some((self.socket()?, self.socket()?)) } else { None };
            let channel = 2 * offers.len() as u8;
            let spec = match &sockets {
                Some((packets, reports)) => {
                    TransportSpec::udp(packets.local_addr()?.port(), reports.local_addr()?.port())
                }
                None => TransportSpec::tcp(channel, channel + 1),
            };
            offers.push((value("a=control:").unwrap_or("*").to_string(), spec));
            self.tracks.push(Track { unpacker, channel, sockets, is_set_up: false });
        }
        Ok(offers)
    }

    /// For datagrams of the server.
    fn socket(&self) -> io::Result<UdpSocket> {
        let mut socket = UdpSocket::bind(SocketAddr::new(self.socket.local_addr()?.ip(), 0))?;
        self.registry.register(&mut socket, self.token, Interest::READABLE)?;
        Ok(socket)
    }

    /// What the session does by itself when its time has come: signs of life.
    pub(crate) fn keep_alive(&mut self) {
        let now = self.now();
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            // An error is told by the next read.
            let _ = self.client.handle_timeout(now);
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        loop {
            let mut slices = [&[][..]; 4];
            let count = self.client.output(&mut slices);
            if count == 0 {
                return Ok(());
            }
            let slices = slices.map(IoSlice::new);
            match self.socket.write_vectored(&slices[..count]) {
                Ok(written) => self.client.advance_output(written),
                Err(error) if is_unready(&error) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Gives up the dialogue, for one who only counts.
    ///
    /// # Errors
    /// If the server does not read what the player has said.
    pub(crate) fn into_parts(mut self) -> Result<Parts, String> {
        self.flush()?;
        if self.client.output_len() > 0 {
            return Err("server does not read".into());
        }
        let tracks = self.tracks.into_iter().filter_map(|track| track.sockets).collect();
        let received = self.bytes_in;
        Ok(Parts { socket: self.socket, tracks, sign: SignOfLife::Report, acknowledged: received, received })
    }

    fn now(&self) -> MonoTime {
        MonoTime(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// One datagram, if there is one.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Result<Option<usize>, String> {
    loop {
        match socket.recv(buffer) {
            Ok(len) => return Ok(Some(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            // Refused is what was sent before, if the server's port is closed.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Connecting, or full, or empty.
fn is_unready(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_place_and_a_way_and_streams_are_numbered_before_the_query() {
        let url: RtspUrl = "rtsp://127.0.0.1:8554/live/cam?token=x".parse().unwrap();
        assert_eq!((url.is_udp, &*url.authority, &*url.path), (false, "127.0.0.1:8554", "/live/cam?token=x"));
        assert_eq!(url.numbered(3).path, "/live/cam-3?token=x");
        assert_eq!(url.to_string(), "rtsp://127.0.0.1:8554/live/cam");
        let url: RtspUrl = "rtspu://host/live/cam".parse().unwrap();
        assert_eq!((url.is_udp, &*url.authority), (true, "host:554"));
        for wrong in ["http://host/live/cam", "rtsp://host", "rtsp:///live", "rtsp://me@host/live"] {
            assert!(wrong.parse::<RtspUrl>().is_err(), "{wrong}");
        }
    }
}
