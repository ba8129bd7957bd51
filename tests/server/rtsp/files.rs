//! Recorded files over RTSP: what a remote control does.

use super::{
    super::files::{Films, flv},
    *,
};
use std::{
    fs::File,
    time::{Duration, Instant, SystemTime},
};
use weir::{flv::TagKind, server::RecordConfig};

const TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=";
/// Ticks of a picture.
const PICTURE: u32 = 3600;

/// A keyframe every second, 25 pictures a second, sound beside them to the sample.
fn film(seconds: u32) -> Vec<Tag> {
    let mut tags = vec![picture_header(), audio_header()];
    for time in (0..seconds * 1000).step_by(40) {
        tags.push(picture(time, time % 1000 == 0, 100 + time as usize % 7));
    }
    for frame in 0..seconds * 44_100 / 1024 {
        tags.push(audio(frame * 10_240 / 441));
    }
    tags[2..].sort_by_key(|tag| tag.timestamp.0);
    tags
}

fn films(name: &str) -> Films {
    Films::new(name).with("film.flv", &flv(&film(4))).with("sub/other.flv", &flv(&film(2)))
}

/// A player that has set up both tracks over TCP.
fn set_up(address: SocketAddr, path: &str) -> Talker {
    let mut player = Talker::new(address, path);
    let (head, _) = player.get("DESCRIBE {base}", &[]);
    assert_eq!(field(&head, "Content-Base"), Some(&*format!("{}/", player.base)));
    player.get("SETUP {base}/trackID=0", &[&format!("{TCP}0-1")]);
    player.get("SETUP {base}/trackID=1", &[&format!("{TCP}2-3")]);
    player
}

/// A packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Got {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    is_keyframe: bool,
}

/// What one PLAY brought, by track.
#[derive(Default)]
struct Played {
    packets: [Vec<Got>; 2],
    goodbyes: [bool; 2],
}

impl Played {
    /// Takes a frame of the connection.
    fn take(&mut self, (channel, packet): (u8, Vec<u8>)) {
        let track = usize::from(channel / 2);
        if channel % 2 == 1 {
            assert_eq!(packet[1], 200, "reports come first");
            self.goodbyes[track] |= packet.windows(2).any(|pair| pair == [0x81, 203]);
            return;
        }
        let (_, marker, sequence, timestamp, _) = rtp(&packet);
        // Parameter sets go before the picture.
        let is_keyframe = track == 0 && packet[12] & 0x1f != 1;
        self.packets[track].push(Got { sequence, timestamp, marker, is_keyframe });
    }

    /// Times of the pictures in ticks, from the first one on.
    fn pictures(&self) -> Vec<u32> {
        let pictures = self.packets[0].iter().filter(|packet| packet.marker);
        pictures.map(|packet| packet.timestamp.wrapping_sub(self.packets[0][0].timestamp)).collect()
    }

    fn assert_no_gap(&self) {
        for packets in &self.packets {
            for pair in packets.windows(2) {
                assert_eq!(pair[0].sequence.wrapping_add(1), pair[1].sequence);
            }
        }
    }
}

/// Everything up to the goodbye of both tracks.
fn to_the_end(player: &mut Talker) -> Played {
    let mut played = Played::default();
    while played.goodbyes != [true; 2] {
        let frame = player.frame();
        assert!(!played.goodbyes[usize::from(frame.0 / 2)], "nothing behind a goodbye");
        played.take(frame);
    }
    played.assert_no_gap();
    played
}

/// Sequence number and timestamp that RTP-Info gives a track.
fn promised(head: &str, track: usize) -> (u16, u32) {
    let info = field(head, "RTP-Info").expect(head).split(", ").nth(track).unwrap();
    let value = |name| info.split(';').find_map(|part| part.strip_prefix(name)).unwrap();
    (value("seq=").parse().unwrap(), value("rtptime=").parse().unwrap())
}

#[test]
fn a_file_plays_to_its_end_and_again_from_the_middle() {
    let films = films("rtsp-whole");
    let (_server, address) = films.start();
    let mut player = Talker::new(address, "vod/film");
    let (_, sdp) = player.get("DESCRIBE {base}", &["Accept: application/sdp"]);
    assert!(sdp.contains("a=range:npt=0.000-4.0"), "{sdp}");
    let (head, _) = player.get("SETUP {base}/trackID=0", &[&format!("{TCP}0-1")]);
    assert!(field(&head, "Session").is_some());
    player.get("SETUP {base}/trackID=1", &[&format!("{TCP}2-3")]);
    let began = Instant::now();
    let (head, _) = player.get("PLAY {base}/", &["Range: npt=0.000-", "Speed: 8"]);
    assert_eq!(field(&head, "Speed"), Some("8.0"));
    assert!(field(&head, "Range").unwrap().starts_with("npt=0.000-4.0"), "{head}");
    let played = to_the_end(&mut player);
    let lasted = began.elapsed();
    assert!(lasted > Duration::from_millis(400) && lasted < Duration::from_secs(3), "{lasted:?}");
    assert_eq!(played.pictures(), (0..100).map(|number| number * PICTURE).collect::<Vec<_>>());
    let sound: Vec<u32> = played.packets[1].iter().map(|packet| packet.timestamp).collect();
    assert_eq!(sound.len(), 172);
    assert!(sound.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 1024), "{sound:?}");
    for track in 0..2 {
        let first = played.packets[track][0];
        assert_eq!(promised(&head, track), (first.sequence, first.timestamp));
    }
    // The session is still there, and its line of times goes on.
    let (head, _) = player.get("PLAY {base}/", &["Range: npt=2.5-", "Speed: 8"]);
    assert!(field(&head, "Range").unwrap().starts_with("npt=2.000-4.0"), "{head}");
    let again = to_the_end(&mut player);
    assert_eq!(again.pictures(), (0..50).map(|number| number * PICTURE).collect::<Vec<_>>());
    let (last, first) = (played.packets[0].last().unwrap(), again.packets[0][0]);
    assert_eq!(first.sequence, last.sequence.wrapping_add(1));
    let step = first.timestamp.wrapping_sub(last.timestamp);
    assert!((PICTURE..PICTURE + 3000).contains(&step), "{step}");
    for track in 0..2 {
        let (sequence, timestamp) = promised(&head, track);
        let first = again.packets[track][0];
        assert_eq!(sequence, first.sequence);
        assert!(first.timestamp.wrapping_sub(timestamp) <= 1024 * track as u32, "{track}");
    }
    // Nothing is left behind the end, so it begins anew.
    let (head, _) = player.get("PLAY {base}/", &["Speed: 8"]);
    assert!(field(&head, "Range").unwrap().starts_with("npt=0.000-4.0"), "{head}");
}

#[test]
fn a_pause_leaves_no_gap() {
    let films = films("rtsp-pause");
    let (_server, address) = films.start();
    let mut player = set_up(address, "vod/film.flv");
    player.get("PLAY {base}/", &[]);
    let mut played = Played::default();
    while played.packets[0].len() < 5 {
        played.take(player.frame());
    }
    // Frames in between count as well.
    player.send(
        format!("PAUSE {}/ RTSP/1.0\r\nSession: {}\r\n\r\n", player.base, player.session.clone().unwrap())
            .as_bytes(),
    );
    let range = loop {
        match player.hear() {
            Said::Frame(channel, packet) => played.take((channel, packet)),
            Said::Message(head, _) => break field(&head, "Range").expect(&head).to_string(),
            Said::End => panic!("no answer"),
        }
    };
    let position = range.strip_prefix("npt=").unwrap().split('-').next().unwrap().to_string();
    let at: f64 = position.parse().unwrap();
    assert!((0.3..2.0).contains(&at), "{range}");
    let (_, body) = player.get("GET_PARAMETER {base}/", &["Content-Length: 8\r\n\r\nposition"]);
    assert_eq!(body, format!("position: {position}\r\n"));
    let (head, _) = player.get("PLAY {base}/", &["Speed: 8"]);
    assert!(field(&head, "Range").unwrap().starts_with(&format!("npt={position}-")), "{head}");
    let rest = to_the_end(&mut player);
    for track in 0..2 {
        assert_eq!(promised(&head, track).0, rest.packets[track][0].sequence);
        played.packets[track].extend(&rest.packets[track]);
    }
    played.assert_no_gap();
    assert_eq!(played.pictures(), (0..100).map(|number| number * PICTURE).collect::<Vec<_>>());
    let sound = &played.packets[1];
    assert_eq!(sound.len(), 172);
    assert!(sound.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 1024));
}

#[test]
fn fast_and_backwards_are_keyframes_alone_and_slow_is_every_picture() {
    let films = films("rtsp-scale");
    let (_server, address) = films.start();
    let mut player = set_up(address, "vod/film");
    for (scale, used, range, starts, pictures) in [
        ("2", "2.0", "npt=0-", "npt=0.000-4.", vec![0, 45_000, 90_000, 135_000]),
        ("8", "8.0", "npt=1.5-", "npt=1.000-4.", vec![0, 11_250, 22_500]),
        ("-2", "-2.0", "npt=3.5-", "npt=3.000-", vec![0, 45_000, 90_000, 135_000]),
        // As GStreamer asks.
        ("-1", "-1.0", "npt=2-0", "npt=2.000-0.000", vec![0, 90_000, 180_000]),
        ("-4", "-4.0", "npt=1-3", "npt=3.000-1.000", vec![0, 22_500, 45_000]),
        ("0.5", "0.5", "npt=3-", "npt=3.000-4.", (0..25).map(|number| number * 2 * PICTURE).collect()),
        ("1.5", "1.5", "npt=3-3.12", "npt=3.000-3.120", vec![0, 2400, 4800]),
        ("1000", "32.0", "npt=0-", "npt=0.000-4.", vec![0, 8438]),
    ] {
        let fields = [&*format!("Range: {range}"), &format!("Scale: {scale}"), "Speed: 8"];
        let (head, _) = player.get("PLAY {base}/", &fields);
        assert_eq!(field(&head, "Scale"), Some(used));
        assert!(field(&head, "Range").unwrap().starts_with(starts), "{scale}: {head}");
        let played = to_the_end(&mut player);
        assert_eq!(played.pictures(), pictures, "{scale}");
        assert_eq!(played.packets[1], [], "no sound at {scale}");
        assert_eq!(promised(&head, 0).1, played.packets[0][0].timestamp);
        if scale != "0.5" && scale != "1.5" {
            assert!(played.packets[0].iter().all(|packet| packet.is_keyframe), "{scale}");
        }
    }
    // Sound is back at scale 1, which is what no scale means.
    let (head, _) = player.get("PLAY {base}/", &["Range: npt=3-", "Speed: 8"]);
    assert_eq!(field(&head, "Scale"), None);
    assert!(to_the_end(&mut player).packets[1].len() > 40);
}

#[test]
fn a_range_that_follows_the_one_that_is_played_waits_for_it() {
    let films = films("rtsp-queue");
    let (_server, address) = films.start();
    let mut player = set_up(address, "vod/film");
    player.get("PLAY {base}/", &["Range: npt=0-1"]);
    let (head, _) = player.ask("PLAY {base}/", &["Range: npt=1-2"]);
    assert!(head.starts_with("RTSP/1.0 200 ") && head.contains("Range: npt=1.000-2.000\r\n"), "{head}");
    assert_eq!(field(&head, "RTP-Info"), None);
    let began = Instant::now();
    let played = to_the_end(&mut player);
    let last = *played.pictures().last().unwrap();
    // The first frames went between the answers.
    assert!((24 * PICTURE..=49 * PICTURE).contains(&last), "{last}");
    assert!(began.elapsed() > Duration::from_millis(1500), "each second takes one");
    // Anything else is a jump.
    player.get("PLAY {base}/", &["Range: npt=0-1"]);
    let (head, _) = player.get("PLAY {base}/", &["Range: npt=3-3.2", "Speed: 8"]);
    assert!(head.contains("Range: npt=3.000-3.200\r\n"), "{head}");
    assert_eq!(to_the_end(&mut player).pictures().len(), 5);
}

#[test]
fn what_cannot_be_had_is_refused_with_the_reason() {
    let films = films("rtsp-refused");
    let (_server, address) = films.start();
    for path in ["vod/none", "vod/../film", "recordings/film.flv", "vod"] {
        let answer = Talker::new(address, path).ask("DESCRIBE {base}", &[]).0;
        assert!(
            answer.starts_with("RTSP/1.0 404 ") || answer.starts_with("RTSP/1.0 400 "),
            "{path}: {answer}"
        );
    }
    let mut player = Talker::new(address, "vod/film");
    player.get("DESCRIBE {base}", &[]);
    let answer = player.ask("SETUP {base}/trackID=0", &["Transport: RTP/AVP;multicast"]).0;
    assert!(answer.starts_with("RTSP/1.0 461 "), "{answer}");
    player.get("SETUP {base}/trackID=0", &[&format!("{TCP}0-1")]);
    for (range, status) in
        [("npt=4.5-", 457), ("npt=x-", 457), ("npt=2-1", 457), ("clock=20240501T120000Z-", 456)]
    {
        let answer = player.ask("PLAY {base}/", &[&format!("Range: {range}")]).0;
        assert!(answer.starts_with(&format!("RTSP/1.0 {status} ")), "{range}: {answer}");
    }
    // Another one only behind a TEARDOWN.
    let base = std::mem::replace(&mut player.base, format!("rtsp://{address}/vod/sub/other"));
    let answer = player.ask("DESCRIBE {base}", &[]).0;
    assert!(answer.starts_with("RTSP/1.0 455 "), "{answer}");
    player.base = base;
    player.get("TEARDOWN {base}/", &[]);
    player.session = None;
    player.base = format!("rtsp://{address}/vod/sub/other");
    let (_, sdp) = player.get("DESCRIBE {base}", &[]);
    assert!(sdp.contains("a=range:npt=0.000-2.0"), "{sdp}");
}

#[test]
fn files_and_live_streams_take_turns_on_a_connection() {
    let films = films("rtsp-turns");
    let (_server, address) = films.start();
    let (mut publisher, stream) = Client::publisher(address, "cam");
    publisher.send(stream, &[picture_header(), audio_header(), picture(0, true, 3000), audio(5)]);
    // Without DESCRIBE.
    let mut player = Talker::new(address, "vod/film.flv");
    player.get("SETUP {base}/trackID=0", &[&format!("{TCP}0-1")]);
    player.get("PLAY {base}/", &["Range: npt=1-2", "Speed: 8"]);
    let mut played = Played::default();
    while !played.goodbyes[0] {
        played.take(player.frame());
    }
    assert_eq!(played.pictures().len(), 25);
    player.get("TEARDOWN {base}/", &[]);
    player.session = None;
    player.base = format!("rtsp://{address}/live/cam");
    let (_, sdp) = player.get("DESCRIBE {base}", &[]);
    assert!(sdp.contains("a=range:npt=now-"), "{sdp}");
    player.get("SETUP {base}/trackID=0", &[&format!("{TCP}0-1")]);
    player.get("PLAY {base}/", &[]);
    assert_eq!(player.frame().0, 1);
    let ask = ["Content-Type: text/parameters", "Content-Length: 8\r\n\r\nposition"];
    let (_, body) = player.get("GET_PARAMETER {base}/", &ask);
    assert!(body.starts_with("position: 0."), "{body}");
    let unknown = ["Content-Length: 6\r\n\r\njitter"];
    assert!(player.ask("GET_PARAMETER {base}/", &unknown).0.starts_with("RTSP/1.0 451 "));
    let file = player.base.replace("live/cam", "vod/film");
    assert!(player.ask(&format!("DESCRIBE {file}"), &[]).0.starts_with("RTSP/1.0 455 "));
    player.get("TEARDOWN {base}/", &[]);
    player.session = None;
    player.base = file;
    assert!(player.get("DESCRIBE {base}", &[]).1.contains("a=range:npt=0.000-4.0"));
}

#[test]
fn a_file_over_udp_ends_with_goodbyes_behind_its_last_packet() {
    let films = films("rtsp-udp");
    let (_server, address) = films.start();
    let mut player = Talker::new(address, "vod/film");
    player.get("DESCRIBE {base}", &[]);
    let sockets: Vec<UdpSocket> = (0..2).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
    sockets.iter().for_each(|socket| socket.set_read_timeout(Some(DEADLINE)).unwrap());
    let transport = format!("Transport: RTP/AVP;unicast;client_port={}-{}", ports[0], ports[1]);
    player.get("SETUP {base}/trackID=0", &[&transport]);
    player.get("PLAY {base}/", &["Range: npt=0-", "Speed: 4"]);
    let mut buffer = [0; 2000];
    while !buffer.windows(2).take(100).any(|pair| pair == [0x81, 203]) {
        buffer.fill(0);
        sockets[1].recv(&mut buffer).unwrap();
    }
    // All that was to come has come before.
    sockets[0].set_nonblocking(true).unwrap();
    let mut pictures = Vec::new();
    while let Ok(len) = sockets[0].recv(&mut buffer) {
        let (_, marker, _, timestamp, _) = rtp(&buffer[..len]);
        if marker {
            pictures.push(timestamp);
        }
    }
    assert_eq!(pictures.len(), 100);
    assert!(pictures.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == PICTURE));
}

#[test]
fn recordings_play_by_the_time_of_day() {
    let films = Films::new("rtsp-clock").with("live/cam.flv", &flv(&film(4)));
    // 1 May 2024, 12:00, and how long it lasts.
    let began = Duration::from_secs(1_714_564_800);
    let file = File::options().write(true).open(films.0.join("live/cam.flv")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + began + Duration::from_secs(4)).unwrap();
    let record = Some(RecordConfig::new(films.0.clone()));
    let (_server, address) = start(Config { record, ..config() });
    let mut player = set_up(address, "recordings/live/cam.flv");
    let (head, _) = player.get("PLAY {base}/", &["Range: clock=20240501T120002.5Z-", "Speed: 8"]);
    assert!(field(&head, "Range").unwrap().starts_with("npt=2.000-"), "{head}");
    assert_eq!(to_the_end(&mut player).pictures().len(), 50);
    let late = player.ask("PLAY {base}/", &["Range: clock=20240501T130000Z-"]).0;
    assert!(late.starts_with("RTSP/1.0 457 "), "{late}");
}

#[test]
fn a_file_of_sound_alone_plays_and_jumps() {
    let tags: Vec<Tag> = film(4).into_iter().filter(|tag| tag.kind == TagKind::Audio).collect();
    let films = Films::new("rtsp-sound").with("song.flv", &flv(&tags));
    let (_server, address) = films.start();
    let mut player = Talker::new(address, "vod/song");
    let (_, sdp) = player.get("DESCRIBE {base}", &[]);
    assert!(!sdp.contains("m=video") && sdp.contains("mpeg4-generic"), "{sdp}");
    player.get("SETUP {base}", &[&format!("{TCP}0-1")]);
    let (head, _) = player.get("PLAY {base}/", &["Range: npt=3-", "Scale: 4", "Speed: 8"]);
    assert_eq!(field(&head, "Scale"), Some("1.0"), "sound has one pace");
    let mut packets = Vec::new();
    loop {
        match player.frame() {
            (1, report) if report.windows(2).any(|pair| pair == [0x81, 203]) => break,
            (0, packet) => packets.push(rtp(&packet).3),
            _ => {}
        }
    }
    assert!((43..=44).contains(&packets.len()), "{}", packets.len());
    assert!(packets.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 1024));
}
