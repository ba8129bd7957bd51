//! RTSP from clients that mean no good, or are broken: what they get, and that nobody beside them notices.

use super::{
    playing::{Publisher, TCP, publishing, set_up},
    *,
};
use crate::process::Process;
use core::sync::atomic::AtomicU16;

/// Somebody who plays meanwhile.
struct Bystander {
    publisher: Publisher,
    player: Talker,
    timestamp: u32,
}

impl Bystander {
    fn new(address: SocketAddr) -> Bystander {
        let publisher = publishing(address);
        let mut player = set_up(address, "live/cam");
        player.get("PLAY {base}/", &[]);
        Bystander { publisher, player, timestamp: 0 }
    }

    /// Pictures come at once, and requests are answered.
    fn is_served(&mut self) {
        let asked = Instant::now();
        self.timestamp += 40;
        let len = 50 + self.timestamp as usize % 1000;
        self.publisher.send(&[picture(self.timestamp, false, len)]);
        while self.player.frame().1.len() != 12 + len {}
        self.player.get("GET_PARAMETER {base}", &[]);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
}

/// What answers those bytes on a fresh connection: the first lines, up to its end where there is one.
fn answers(address: SocketAddr, bytes: &[u8], count: usize) -> Vec<String> {
    let mut talker = Talker::new(address, "live/cam");
    talker.send(bytes);
    let mut lines = Vec::new();
    while lines.len() < count {
        match talker.hear() {
            Said::Message(head, _) => lines.push(head.lines().next().unwrap().to_string()),
            Said::Frame(..) => {}
            Said::End => break,
        }
    }
    lines
}

fn status(line: &str) -> u16 {
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Ports of the loopback that no other test of this program has.
fn ports(count: u16) -> core::ops::RangeInclusive<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(29_000);
    let first = NEXT.fetch_add(count, Ordering::Relaxed);
    first..=first + count - 1
}

fn with_ports(count: u16) -> Config {
    let mut config = config();
    config.rtsp.ports = ports(count);
    config
}

/// A client that has described, and its sockets for two tracks over UDP.
fn over_udp(address: SocketAddr) -> (Talker, Vec<UdpSocket>) {
    let mut talker = Talker::new(address, "live/cam");
    talker.get("DESCRIBE {base}", &[]);
    let sockets: Vec<UdpSocket> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    sockets.iter().for_each(|socket| socket.set_read_timeout(Some(DEADLINE)).unwrap());
    (talker, sockets)
}

/// SETUP of a track over UDP; the answer's head.
fn ask_udp(talker: &mut Talker, sockets: &[UdpSocket], track: usize, more: &str) -> String {
    let port = |at: usize| sockets[at].local_addr().unwrap().port();
    let transport =
        format!("Transport: RTP/AVP;unicast;client_port={}-{}{more}", port(2 * track), port(2 * track + 1));
    talker.ask(&format!("SETUP {{base}}/trackID={track}"), &[&transport]).0
}

/// The server's port for RTP.
fn server_port(head: &str) -> u16 {
    let chosen = field(head, "Transport").unwrap_or_else(|| panic!("{head}"));
    chosen.split("server_port=").nth(1).unwrap().split(['-', ';']).next().unwrap().parse().unwrap()
}

#[test]
fn messages_that_are_too_large_or_wrong_are_answered_and_nobody_waits() {
    let (_server, address) = start(config());
    let mut bystander = Bystander::new(address);
    let fields = |count: usize| "X: y\r\n".repeat(count);
    let options = |fields: &str| format!("OPTIONS * RTSP/1.0\r\n{fields}\r\n");
    for (text, expected) in [
        (options(&format!("X: {}\r\n", "x".repeat(9 << 10))), 400),
        (options(&fields(101)), 400),
        (options("CSeq: x\r\n"), 400),
        (options("CSeq: -1\r\n"), 400),
        (options(&format!("CSeq: {}\r\n", "1".repeat(30))), 400),
        (options("CSeq: 1\r\nContent-Length: 65537\r\n"), 413),
        (options("CSeq: 1\r\nContent-Length: 99999999999999999999\r\n"), 413),
        (options("CSeq: 1\r\nContent-Length: x\r\n"), 400),
        (format!("DESCRIBE rtsp://h/{} RTSP/1.0\r\nCSeq: 1\r\n\r\n", "x".repeat(5000)), 414),
        ("DESCRIBE rtsp://h/live/cam RTSP/2.0\r\nCSeq: 1\r\n\r\n".into(), 505),
        ("SETUP x\r\n\r\n".into(), 400),
        ("PLAY_NOTIFY rtsp://h/live/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n".into(), 505),
        ("DESCRIBE rtsp://h/live/../../etc/passwd RTSP/1.0\r\nCSeq: 1\r\n\r\n".into(), 400),
    ] {
        let lines = answers(address, text.as_bytes(), 1);
        assert_eq!(lines.first().map(|line| status(line)), Some(expected), "{text:.100}");
        bystander.is_served();
    }
}

#[test]
fn a_track_that_is_set_up_again_and_again_has_one_pair_of_ports() {
    // One pair for each of two tracks, and none besides.
    let (_server, address) = start(with_ports(4));
    let mut bystander = Bystander::new(address);
    let (mut talker, sockets) = over_udp(address);
    let first = server_port(&ask_udp(&mut talker, &sockets, 0, ""));
    for _ in 0..2000 {
        assert_eq!(server_port(&ask_udp(&mut talker, &sockets, 0, "")), first);
    }
    server_port(&ask_udp(&mut talker, &sockets, 1, ""));
    bystander.is_served();
    // What it has set up last is what it gets.
    let other: Vec<UdpSocket> = (0..2).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    other[0].set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(server_port(&ask_udp(&mut talker, &other, 0, "")), first);
    talker.get("PLAY {base}/", &[]);
    assert!(other[0].recv(&mut [0; 2000]).unwrap() > 12);
}

#[test]
fn without_ports_udp_is_refused_and_tcp_goes_until_there_are_some_again() {
    let (_server, address) = start(with_ports(5));
    let mut bystander = Bystander::new(address);
    for _ in 0..3 {
        let (mut greedy, its_sockets) = over_udp(address);
        for track in 0..2 {
            server_port(&ask_udp(&mut greedy, &its_sockets, track, ""));
        }
        let (mut late, sockets) = over_udp(address);
        for _ in 0..500 {
            assert!(ask_udp(&mut late, &sockets, 0, "").starts_with("RTSP/1.0 461 "));
        }
        bystander.is_served();
        // The second offer of the same header can be met.
        let head = ask_udp(&mut late, &sockets, 0, ",RTP/AVP/TCP;unicast;interleaved=4-5");
        assert!(field(&head, "Transport").unwrap().contains("interleaved=4-5"), "{head}");
        late.get("SETUP {base}/trackID=1", &[&format!("{TCP}6-7")]);
        late.get("PLAY {base}/", &[]);
        assert!([5, 7].contains(&late.frame().0));
        drop(greedy);
        let (mut next, sockets) = over_udp(address);
        until("its ports are free", || ask_udp(&mut next, &sockets, 0, "").starts_with("RTSP/1.0 200 "));
    }
}

#[test]
fn ports_that_are_none_are_refused_and_packets_go_to_who_has_asked() {
    let (_server, address) = start(config());
    let mut bystander = Bystander::new(address);
    let (mut talker, sockets) = over_udp(address);
    for ports in ["0-0", "0-1", "65535", "65535-65536", "-1", "a-b", "", "99999999999-1", "5000-0"] {
        let transport = format!("Transport: RTP/AVP;unicast;client_port={ports}");
        let head = talker.ask("SETUP {base}/trackID=0", &[&transport]).0;
        assert!(head.starts_with("RTSP/1.0 461 "), "{ports}: {head}");
    }
    assert!(
        talker.ask("SETUP {base}/trackID=0", &["Transport: RTP/AVP;unicast"]).0.starts_with("RTSP/1.0 461 ")
    );
    let elsewhere = UdpSocket::bind("127.0.0.2:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let head = ask_udp(&mut talker, &sockets, 0, ";destination=127.0.0.2;source=127.0.0.2");
    assert!(!head.contains("127.0.0.2"), "{head}");
    talker.get("PLAY {base}/", &[]);
    assert!(sockets[0].recv(&mut [0; 2000]).unwrap() > 12);
    assert!(elsewhere.recv(&mut [0; 2000]).is_err());
    bystander.is_served();
}

#[test]
fn channels_that_clash_are_refused_and_frames_that_nobody_expects_are_passed_over() {
    let (_server, address) = start(config());
    let mut bystander = Bystander::new(address);
    let mut talker = Talker::new(address, "live/cam");
    let frame = |channel: u8, len: u16| {
        let [high, low] = len.to_be_bytes();
        [&[b'$', channel, high, low][..], &vec![0x80; usize::from(len)]].concat()
    };
    talker.get("OPTIONS {base}", &[]);
    // Before anything is set up.
    for channel in 0..=255 {
        talker.send(&frame(channel, 1000));
    }
    talker.get("DESCRIBE {base}", &[]);
    talker.get("SETUP {base}/trackID=0", &[&format!("{TCP}254-255")]);
    for channels in ["254-255", "255-0", "253-254", "7-7"] {
        let head = talker.ask("SETUP {base}/trackID=1", &[&format!("{TCP}{channels}")]).0;
        assert!(head.starts_with("RTSP/1.0 461 "), "{channels}: {head}");
    }
    talker.get("SETUP {base}/trackID=1", &[&format!("{TCP}0-1")]);
    talker.get("PLAY {base}/", &[]);
    // Junk in place of reports, media from a player, the longest there is.
    for channel in 0..=255 {
        talker.send(&frame(channel, if channel % 16 == 0 { 65_535 } else { u16::from(channel) }));
    }
    talker.get("GET_PARAMETER {base}", &[]);
    bystander.is_served();
}

#[test]
fn announcements_that_cannot_be_are_refused_and_recording_takes_its_turn() {
    let (_server, address) = start(config());
    let mut bystander = Bystander::new(address);
    let announce = |sdp: &str| {
        let fields = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", sdp.len());
        let text = format!("ANNOUNCE rtsp://h/live/new RTSP/1.0\r\nCSeq: 1\r\n{fields}\r\n{sdp}");
        answers(address, text.as_bytes(), 1).first().map(|line| status(line))
    };
    const HEAD: &str = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n";
    let track = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:x\r\n";
    let long = format!("{HEAD}{track}");
    let long = format!("{long}a=fmtp:96 {}\r\n", "x".repeat((64 << 10) - long.len() - 12));
    let sets =
        format!("{HEAD}{track}a=fmtp:96 sprop-parameter-sets={}\r\n", "Z0LACtp56EAAAAMB,".repeat(3000));
    for (sdp, expected) in [
        (format!("{HEAD}{}", track.repeat(16)), 200),
        (format!("{HEAD}{}", track.repeat(17)), 400),
        (HEAD.to_string(), 400),
        ("nonsense".to_string(), 400),
        ("\0".repeat(1000), 400),
        (format!("{HEAD}m=video 0 RTP/AVP 96\r\na=rtpmap:96 NOTHING/90000\r\n"), 415),
        (format!("{HEAD}m=video 99999 RTP/AVP 300\r\n"), 0),
        (long, 200),
        (sets, 0),
        ("x".repeat((64 << 10) + 1), 413),
    ] {
        let got = announce(&sdp);
        let is_right = if expected == 0 { got.is_some() } else { got == Some(expected) };
        assert!(is_right, "{got:?} for {:.200}", sdp);
        bystander.is_served();
    }
    for (text, expected) in [
        ("RECORD rtsp://h/live/new RTSP/1.0\r\nCSeq: 1\r\n\r\n", 454),
        ("RECORD rtsp://h/live/new RTSP/1.0\r\nCSeq: 1\r\nSession: 1234567812345678\r\n\r\n", 454),
        (
            "SETUP rtsp://h/live/new/x RTSP/1.0\r\nTransport: RTP/AVP/TCP;interleaved=0-1;mode=record\r\n\r\n",
            455,
        ),
        ("ANNOUNCE rtsp://h/live/new RTSP/1.0\r\nCSeq: 1\r\n\r\n", 411),
    ] {
        let got = answers(address, text.as_bytes(), 1);
        let got = got.first().map(|line| status(line));
        assert!(got == Some(expected) || (expected == 454 && got == Some(455)), "{got:?} for {text}");
    }
    // Nothing of that is a stream.
    let mut talker = Talker::new(address, "live/new");
    assert!(talker.ask("DESCRIBE {base}", &[]).0.starts_with("RTSP/1.0 404 "));
}

#[test]
fn floods_of_requests_are_answered_in_order_and_nobody_waits() {
    let (_server, address) = start(config());
    let mut bystander = Bystander::new(address);
    for line in [
        "DESCRIBE rtsp://h/live/none",
        "OPTIONS *",
        "SETUP rtsp://h/live/none/trackID=0",
        "DESCRIBE rtsp://h/live/cam",
    ] {
        let text: String = (0..5000).map(|cseq| format!("{line} RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n")).collect();
        let mut talker = Talker::new(address, "live/none");
        let mut socket = talker.socket.try_clone().unwrap();
        let writer = thread::spawn(move || socket.write_all(text.as_bytes()).unwrap());
        for cseq in 0..5000 {
            let Said::Message(head, _) = talker.hear() else { panic!("no answer {cseq} to {line}") };
            assert_eq!(field(&head, "CSeq"), Some(&*cseq.to_string()));
            if cseq % 1000 == 0 {
                bystander.is_served();
            }
        }
        writer.join().unwrap();
    }
}

#[test]
fn streams_that_never_begin_are_waited_for_by_some_and_others_are_told_to_come_again() {
    let (server, address) = start(config());
    let mut bystander = Bystander::new(address);
    // It is live, and shows nothing.
    let (mut silent, stream) = Client::publisher(address, "silent");
    let mut talkers: Vec<Talker> = (0..100).map(|_| Talker::new(address, "live/silent")).collect();
    let ask = |talker: &mut Talker| {
        let text = format!("DESCRIBE {} RTSP/1.0\r\nCSeq: 1\r\n\r\n", talker.base);
        // What stands behind is not read before.
        talker.send(text.repeat(50).as_bytes());
    };
    talkers.iter_mut().for_each(ask);
    let mut statuses = Vec::new();
    let mut refused: Vec<usize> = Vec::new();
    let deadline = Instant::now() + DEADLINE;
    while refused.len() < 36 {
        assert!(Instant::now() < deadline, "{} are refused", refused.len());
        for (number, talker) in talkers.iter_mut().enumerate() {
            talker.socket.set_nonblocking(true).unwrap();
            if !refused.contains(&number) && matches!(talker.socket.peek(&mut [0]), Ok(1)) {
                refused.push(number);
            }
            talker.socket.set_nonblocking(false).unwrap();
        }
        thread::yield_now();
    }
    bystander.is_served();
    silent.send(stream, &[picture_header(), audio_header(), picture(0, true, 100), audio(0)]);
    for (number, talker) in talkers.iter_mut().enumerate() {
        let Said::Message(head, _) = talker.hear() else { panic!("no answer") };
        statuses.push((status(head.lines().next().unwrap()), refused.contains(&number)));
    }
    assert_eq!(statuses.iter().filter(|(status, _)| *status == 503).count(), 36);
    assert!(statuses.iter().all(|(status, was_refused)| *status == if *was_refused { 503 } else { 200 }));
    bystander.is_served();
    drop(talkers);
    until("all are gone", || server.stats().connections.value() == 3);
}

#[test]
fn who_stops_reading_or_closes_one_side_costs_nobody_anything() {
    let (server, address) =
        start(Config { max_queue: 1 << 20, stall_timeout: Duration::from_secs(2), ..config() });
    let mut bystander = Bystander::new(address);
    let connected = server.stats().connections.value();
    let mut deaf: Vec<Talker> = (0..10)
        .map(|_| {
            let mut talker = set_up(address, "live/cam");
            talker.get("PLAY {base}/", &[]);
            talker
        })
        .collect();
    for number in 0..100 {
        bystander.timestamp += 40;
        bystander.publisher.send(&[picture(bystander.timestamp, number % 10 == 0, 200_000)]);
        bystander.is_served();
    }
    until("who takes nothing is gone", || server.stats().connections.value() == connected);
    deaf.clear();
    // Its question is answered, and it leaves.
    let mut half = Talker::new(address, "live/cam");
    half.send(format!("DESCRIBE {} RTSP/1.0\r\nCSeq: 1\r\n\r\n", half.base).as_bytes());
    half.socket.shutdown(Shutdown::Write).unwrap();
    assert!(matches!(half.hear(), Said::Message(head, _) if head.starts_with("RTSP/1.0 200 ")));
    assert_eq!(half.hear(), Said::End);
    let mut half = set_up(address, "live/cam");
    half.get("PLAY {base}/", &[]);
    half.socket.shutdown(Shutdown::Write).unwrap();
    while half.hear() != Said::End {}
    bystander.is_served();
}

#[test]
fn junk_at_every_port_is_no_media_and_stops_nobody() {
    let (_server, address) = start(config());
    let mut bystander = Bystander::new(address);
    let (mut player, sockets) = over_udp(address);
    let servers: Vec<u16> =
        (0..2).map(|track| server_port(&ask_udp(&mut player, &sockets, track, ""))).collect();
    player.get("PLAY {base}/", &[]);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let foreigner = UdpSocket::bind("127.0.0.3:0").unwrap();
    let mut junk = vec![0; 65_507];
    for round in 0..2000_usize {
        for (at, byte) in junk.iter_mut().enumerate().take(1500) {
            *byte = (at * 31 + round * 17) as u8;
        }
        let len = [0, 1, 11, 12, 28, 1400, 65_507][round % 7];
        junk[0] = if round % 2 == 0 { 0x80 } else { 0x9f };
        junk[1] = [200, 201, 203, 205, 96][round % 5];
        for port in servers.iter().flat_map(|port| [*port, port + 1]) {
            for socket in [&sockets[round % 4], &stranger, &foreigner] {
                // What the system does not take is lost, as it may be.
                let _ = socket.send_to(&junk[..len], ("127.0.0.1", port));
            }
        }
        if round % 500 == 0 {
            bystander.is_served();
        }
    }
    player.get("GET_PARAMETER {base}/", &[]);
    bystander.is_served();
}

/// The program itself, whose memory nobody else uses.
struct Program {
    process: Process,
    address: SocketAddr,
}

impl Program {
    fn start() -> Program {
        let ports = ports(4);
        let ports = format!("{}-{}", ports.start(), ports.end());
        let arguments = ["-l", "127.0.0.1:0", "--demo", "--rtsp-ports", &ports];
        let process = Process::start(
            &format!("weir-rtsp-hostile-{}", std::process::id()),
            &std::env::temp_dir(),
            env!("CARGO_BIN_EXE_weir"),
            arguments,
        );
        let address = || {
            let text = process.printed();
            text.split_once("listening on ")?.1.split(' ').next()?.parse().ok()
        };
        until("it listens", || address().is_some());
        let address = address().unwrap();
        Program { process, address }
    }

    /// KiB at its peak.
    fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

#[test]
fn what_hostile_clients_make_the_server_hold_is_bounded() {
    let program = Program::start();
    let mut warm = Talker::new(program.address, "live/demo");
    until("it has begun", || warm.ask("DESCRIBE {base}", &[]).0.starts_with("RTSP/1.0 200 "));
    let before = program.memory();
    const SDP: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:x\r\n";
    let described = format!("v=0\r\n{}a={}\r\n", SDP.repeat(16), "x".repeat(60_000));
    let announce = |len: usize, body: &str| {
        format!(
            "ANNOUNCE rtsp://h/live/new RTSP/1.0\r\nContent-Type: application/sdp\r\nContent-Length: {len}\r\n\r\n{body}"
        )
    };
    let whole = announce(described.len(), &described);
    let half = announce(65_536, &"x".repeat(65_535));
    let floods: [String; 6] = [
        // Announced, and the same again without an end.
        whole.clone() + &half,
        // A head without an end.
        format!("OPTIONS * RTSP/1.0\r\nX: {}", "x".repeat(8000)),
        // Answers that nobody reads.
        "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".repeat(20_000),
        "DESCRIBE rtsp://h/live/demo RTSP/1.0\r\nCSeq: 1\r\n\r\n".repeat(20_000),
        "SETUP rtsp://h/live/demo/trackID=0 RTSP/1.0\r\nTransport: RTP/AVP;unicast;client_port=9-10\r\n\r\n"
            .repeat(5_000),
        // The longest frame but its last byte.
        "SETUP rtsp://h/live/demo/trackID=0 RTSP/1.0\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n$\0"
            .to_string()
            + "\u{7f}\u{7f}"
            + &"x".repeat(0x7f7e),
    ];
    let mut clients = Vec::new();
    for flood in floods.iter().cycle().take(120) {
        let client = Talker::new(program.address, "live/demo");
        client.socket.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        // Until it reads no more.
        let _ = (&client.socket).write_all(flood.as_bytes());
        clients.push(client);
    }
    // All that came before has been dealt with.
    warm.get("GET_PARAMETER {base}", &[]);
    let each = (program.memory() - before) / clients.len();
    assert!(each < 128, "{each} KiB for each");
    drop(clients);
    warm.get("DESCRIBE {base}", &[]);
}

#[test]
fn connections_that_begin_together_have_sessions_of_their_own() {
    let (_server, address) = start(config());
    let _bystander = Bystander::new(address);
    let mut talkers: Vec<Talker> = (0..5).map(|_| Talker::new(address, "live/cam")).collect();
    let mut ids: Vec<String> = Vec::new();
    for talker in &mut talkers {
        talker.get("DESCRIBE {base}", &[]);
    }
    for talker in &mut talkers {
        talker.get("SETUP {base}/trackID=0", &[&format!("{TCP}0-1")]);
        ids.push(talker.session.clone().unwrap());
    }
    // That of another is unknown.
    talkers[0].session = Some(ids[1].clone());
    assert!(talkers[0].ask("PLAY {base}", &[]).0.starts_with("RTSP/1.0 454 "));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}
