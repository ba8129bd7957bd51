//! Live streams played over RTSP.

use super::*;

pub(super) const TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=";

/// Somebody publishes pictures and sound over RTMP.
pub(super) fn publishing(address: SocketAddr) -> Publisher {
    let (client, stream) = Client::publisher(address, "cam");
    let mut publisher = Publisher(client, stream);
    publisher.send(&[picture_header(), audio_header(), picture(0, true, 3000), audio(5)]);
    publisher
}

pub(super) struct Publisher(Client, weir::rtmp::MessageStreamId);

impl Publisher {
    pub(super) fn send(&mut self, tags: &[Tag]) {
        self.0.send(self.1, tags);
    }
}

#[test]
fn a_player_over_tcp_gets_what_is_announced_from_the_keyframe_on() {
    let (_server, address) = start(config());
    let mut publisher = publishing(address);
    let mut player = Talker::new(address, "live/cam");
    let (head, _) = player.get("OPTIONS {base}", &[]);
    assert!(field(&head, "Public").unwrap().contains("GET_PARAMETER"));
    let (head, sdp) = player.get("DESCRIBE {base}", &["Accept: application/sdp"]);
    assert_eq!(field(&head, "Content-Base"), Some(&*format!("{}/", player.base)));
    assert!(
        sdp.contains("a=rtpmap:96 H264/90000") && sdp.contains("a=rtpmap:97 mpeg4-generic/44100/2"),
        "{sdp}"
    );
    player.get("SETUP {base}/trackID=0", &[&format!("{TCP}0-1")]);
    player.get("SETUP {base}/trackID=1", &[&format!("{TCP}2-3")]);
    let (head, _) = player.get("PLAY {base}/", &["Range: npt=0.000-"]);
    let info = field(&head, "RTP-Info").expect("the first packets are known").to_string();
    assert!(info.contains(&format!("url={}/trackID=0;seq=", player.base)), "{info}");
    // Reports come first.
    for channel in [1, 3] {
        let (heard, report) = player.frame();
        assert_eq!((heard, report[1]), (channel, 200));
    }
    publisher.send(&[picture(40, false, 100)]);
    let mut sequences = [Vec::new(), Vec::new()];
    let mut times = [Vec::new(), Vec::new()];
    while sequences.iter().map(Vec::len).sum::<usize>() < 6 {
        let (channel, packet) = player.frame();
        if channel % 2 == 1 {
            // And again behind the first packets.
            continue;
        }
        let (payload_type, _, sequence, timestamp, _) = rtp(&packet);
        let track = usize::from(channel / 2);
        assert_eq!(payload_type, [96, 97][track]);
        sequences[track].push(sequence);
        times[track].push(timestamp);
    }
    for (track, sequences) in sequences.iter().enumerate() {
        let said = format!("trackID={track};seq={};", sequences[0]);
        assert!(info.contains(&said), "{info} {said}");
        assert!(sequences.windows(2).all(|pair| pair[0].wrapping_add(1) == pair[1]), "{sequences:?}");
    }
    let last = times[0][times[0].len() - 1];
    assert_eq!(last.wrapping_sub(times[0][0]), 40 * 90);
}

#[test]
fn a_late_player_is_handed_over_from_the_cache_to_what_everybody_gets() {
    let (_server, address) = start(config());
    let mut publisher = publishing(address);
    let mut first = set_up(address, "live/cam");
    first.get("PLAY {base}/", &[]);
    publisher.send(&[picture(40, false, 5000), picture(80, false, 100)]);
    let count = |talker: &mut Talker, until: usize| {
        let mut packets = Vec::new();
        while packets.len() < until {
            let (channel, packet) = talker.frame();
            if channel == 0 {
                packets.push(packet);
            }
        }
        packets
    };
    let early = count(&mut first, 8);
    let mut second = set_up(address, "live/cam");
    second.get("PLAY {base}/", &[]);
    publisher.send(&[picture(120, false, 100)]);
    let late = count(&mut second, 9);
    assert_eq!(early[..], late[..8], "both have the same group of pictures");
    assert_eq!(count(&mut first, 1)[0], late[8], "and the same after it");
}

#[test]
fn the_end_of_the_stream_is_said_and_the_connection_is_there_for_the_last_words() {
    let (_server, address) = start(Config { resume_window: Duration::ZERO, ..config() });
    let publisher = publishing(address);
    let mut player = set_up(address, "live/cam");
    player.get("PLAY {base}/", &[]);
    drop(publisher);
    let mut goodbyes = 0;
    while goodbyes < 2 {
        let (_, packet) = player.frame();
        // A sender report with the goodbye behind it.
        goodbyes += usize::from(packet[1] == 200 && packet.windows(2).any(|pair| pair == [0x81, 203]));
    }
    player.get("PAUSE {base}/", &[]);
    player.get("TEARDOWN {base}/", &[]);
    player.session = None;
    assert!(player.ask("DESCRIBE {base}", &[]).0.starts_with("RTSP/1.0 404 "));
}

#[test]
fn a_player_over_udp_gets_the_same_packets_and_reports() {
    let (_server, address) = start(config());
    let mut publisher = publishing(address);
    let mut player = Talker::new(address, "live/cam");
    player.get("DESCRIBE {base}", &[]);
    let sockets: Vec<UdpSocket> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
    for track in 0..2 {
        sockets[2 * track].set_read_timeout(Some(DEADLINE)).unwrap();
        sockets[2 * track + 1].set_read_timeout(Some(DEADLINE)).unwrap();
        let ports = format!("client_port={}-{}", ports[2 * track], ports[2 * track + 1]);
        let transport = format!("Transport: RTP/AVP;unicast;{ports}");
        let (head, _) = player.get(&format!("SETUP {{base}}/trackID={track}"), &[&transport]);
        let chosen = field(&head, "Transport").unwrap();
        assert!(chosen.contains(&ports) && chosen.contains("server_port="), "{chosen}");
    }
    player.get("PLAY {base}/", &[]);
    publisher.send(&[picture(40, false, 100)]);
    let mut buffer = [0; 2000];
    let mut last = None;
    for _ in 0..4 {
        let len = sockets[0].recv(&mut buffer).unwrap();
        let (_, _, sequence, ..) = rtp(&buffer[..len]);
        assert!(last.is_none_or(|last: u16| last.wrapping_add(1) == sequence));
        last = Some(sequence);
    }
    let len = sockets[1].recv(&mut buffer).unwrap();
    assert_eq!((buffer[1], len > 28), (200, true));
    assert!(sockets[2].recv(&mut buffer).unwrap() > 12);
}

#[test]
fn what_is_not_there_is_not_found_and_what_cannot_be_met_is_refused() {
    let (_server, address) = start(config());
    let mut player = Talker::new(address, "live/none");
    assert!(player.ask("DESCRIBE {base}", &[]).0.starts_with("RTSP/1.0 404 "));
    let _publisher = publishing(address);
    let mut player = Talker::new(address, "live/cam");
    player.get("DESCRIBE {base}", &[]);
    assert!(player.ask("SETUP {base}/trackID=7", &[&format!("{TCP}0-1")]).0.starts_with("RTSP/1.0 404 "));
    for transport in ["RTP/AVP;multicast", "RTP/SAVP;unicast;client_port=5000-5001"] {
        let answer = player.ask("SETUP {base}/trackID=0", &[&format!("Transport: {transport}")]).0;
        assert!(answer.starts_with("RTSP/1.0 461 "), "{transport}: {answer}");
    }
    player.get("SETUP {base}/trackID=0", &[&format!("{TCP}0-1")]);
}

#[test]
fn paused_players_get_nothing_and_go_on_with_a_keyframe() {
    let (_server, address) = start(config());
    let mut publisher = publishing(address);
    let mut player = set_up(address, "live/cam");
    player.get("PLAY {base}/", &[]);
    player.get("PAUSE {base}/", &[]);
    publisher.send(&[picture(40, false, 100)]);
    // What was queued before has come by now.
    player.get("GET_PARAMETER {base}/", &[]);
    publisher.send(&[picture(80, false, 100)]);
    player.get("PLAY {base}/", &[]);
    publisher.send(&[picture(120, false, 100), picture(160, true, 100)]);
    loop {
        let (channel, packet) = player.frame();
        if channel == 0 {
            // Parameter sets go before it.
            assert!([24, 5, 7].contains(&(packet[12] & 0x1f)), "{:x}", packet[12]);
            break;
        }
    }
}

/// A player that has set up both tracks over TCP.
pub(super) fn set_up(address: SocketAddr, path: &str) -> Talker {
    let mut player = Talker::new(address, path);
    player.get("DESCRIBE {base}", &[]);
    player.get("SETUP {base}/trackID=0", &[&format!("{TCP}0-1")]);
    player.get("SETUP {base}/trackID=1", &[&format!("{TCP}2-3")]);
    player
}

/// A player that says nothing behind the end is closed in time, and its thread goes on with the others.
#[test]
fn who_stays_after_the_end_is_sent_away_and_holds_up_nobody() {
    let (_server, address) =
        start(Config { resume_window: Duration::ZERO, subscriber_threads: 1, ..config() });
    let publisher = publishing(address);
    let mut silent = set_up(address, "live/cam");
    silent.get("PLAY {base}/", &[]);
    let (other, stream) = Client::publisher(address, "other");
    let mut other = Publisher(other, stream);
    other.send(&[picture_header(), audio_header(), picture(0, true, 300), audio(5)]);
    let mut watcher = set_up(address, "live/other");
    watcher.get("PLAY {base}/", &[]);
    drop(publisher);
    let since = Instant::now();
    loop {
        match silent.hear() {
            Said::End => break,
            Said::Frame(..) => {}
            other => panic!("{other:?}"),
        }
        assert!(since.elapsed() < Duration::from_secs(30));
    }
    assert!(since.elapsed() > Duration::from_secs(5), "it has time for its last words");
    watcher.get("GET_PARAMETER {base}/", &[]);
    other.send(&[picture(40, false, 77)]);
    while watcher.frame().1.len() != 12 + 77 {}
}

#[test]
fn what_was_described_is_not_played_as_something_else() {
    let (_server, address) = start(Config { resume_window: Duration::ZERO, ..config() });
    let publisher = publishing(address);
    let mut player = set_up(address, "live/cam");
    drop(publisher);
    let (sound, stream) = Client::publisher(address, "cam");
    let mut sound = Publisher(sound, stream);
    sound.send(&[audio_header(), audio(0), audio(23)]);
    assert!(player.ask("PLAY {base}/", &[]).0.starts_with("RTSP/1.0 404 "));
}

#[test]
fn a_group_is_sent_once_for_all_who_want_it_and_again_after_another_publisher() {
    let net = Some("239.255.42.0/24".parse().unwrap());
    let rtsp = weir::server::RtspConfig { multicast: net, ..Default::default() };
    let (_server, address) = start(Config { rtsp, resume_window: Duration::ZERO, ..config() });
    for round in 0..2 {
        let mut publisher = publishing(address);
        let join = || {
            let mut player = Talker::new(address, "live/cam");
            player.get("DESCRIBE {base}", &[]);
            let (head, _) = player.get("SETUP {base}/trackID=0", &["Transport: RTP/AVP;multicast"]);
            let transport = field(&head, "Transport").unwrap().to_string();
            player.get("PLAY {base}/", &[]);
            let value = |name: &str| {
                let rest = transport.split(name).nth(1).unwrap_or_else(|| panic!("{name} in {transport}"));
                rest.split([';', '-']).next().unwrap().to_string()
            };
            let group: std::net::Ipv4Addr = value("destination=").parse().unwrap();
            (player, group, value(";port=").parse::<u16>().unwrap())
        };
        let (first, group, port) = join();
        let (second, same, _) = join();
        assert_eq!(group, same);
        let socket = UdpSocket::bind((group, port)).unwrap();
        socket.join_multicast_v4(&group, &std::net::Ipv4Addr::LOCALHOST).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        publisher.send(&[picture(40, true, 100), picture(80, false, 90)]);
        let mut buffer = [0; 2000];
        let mut last: Option<u16> = None;
        loop {
            let len = socket
                .recv(&mut buffer)
                .unwrap_or_else(|why| panic!("round {round}, behind {last:?}: {why}"));
            let (payload_type, _, sequence, ..) = rtp(&buffer[..len]);
            assert_eq!(payload_type, 96);
            assert!(last.is_none_or(|last| last.wrapping_add(1) == sequence), "sent once");
            last = Some(sequence);
            if len == 12 + 90 {
                break;
            }
        }
        drop(publisher);
        if round == 0 {
            // One stays a member of what is over.
            drop(first);
            std::mem::forget(second);
        }
    }
}
