//! Slow players: what they lose, and that nobody else does.

use super::*;

/// A frame that says which GOP and which place in it, large enough to fill sockets soon.
pub(crate) fn numbered(gop: u32, place: u32) -> Tag {
    let mut body = vec![0xee; 32 << 10];
    body[..4].copy_from_slice(&gop.to_be_bytes());
    body[4..8].copy_from_slice(&place.to_be_bytes());
    let timestamp = gop * 400 + place * 40;
    if place == 0 { keyframe(timestamp, &body) } else { inter_frame(timestamp, &body) }
}

/// GOP and place of a frame; `None` for headers.
fn number(tag: &Tag) -> Option<(u32, u32)> {
    let word =
        |at: usize| tag.body.get(at..at + 4).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
    word(5).zip(word(9)).filter(|_| tag.body.len() > 1000)
}

const GOP: u32 = 10;
const GOPS_PER_HEADER: u32 = 3;

/// Which sequence header the frames of a GOP need.
fn header_of(gop: u32) -> u8 {
    (gop / GOPS_PER_HEADER) as u8
}

#[test]
fn a_slow_player_loses_whole_groups_of_pictures_and_the_others_nothing() {
    let (server, address) = start(Config { max_queue: 1 << 20, ..config() });
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut slow, _) = Client::player(address, "cam");
    let (mut fast, _) = Client::player(address, "cam");
    // The fast one confirms each frame, so it cannot fall behind; the slow one reads nothing.
    let mut publish_gop = |gop: u32, fast: &mut Client| {
        if gop % GOPS_PER_HEADER == 0 {
            publisher.send(out, &[video_header(header_of(gop))]);
            assert_eq!(fast.tag(), video_header(header_of(gop)));
        }
        for place in 0..GOP {
            publisher.send(out, &[numbered(gop, place)]);
            assert_eq!(number(&fast.tag()), Some((gop, place)), "the fast player must get everything");
        }
    };
    let mut gop = 0;
    while server.stats().dropped_tags.value() < 100 {
        publish_gop(gop, &mut fast);
        gop += 1;
        assert!(gop < 1000, "nothing was dropped");
    }
    // Now it reads, while the stream goes on, until it has a whole GOP again behind what it lost.
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        let mut header = None;
        loop {
            let tag = slow.tag();
            let Some(at) = number(&tag) else {
                header = tag.body.last().copied();
                continue;
            };
            assert_eq!(header, Some(header_of(at.0)), "{at:?} cannot be decoded with that header");
            received.push(at);
            if at.1 == GOP - 1 && !follow_each_other(&received) {
                return received;
            }
        }
    });
    while !reader.is_finished() {
        publish_gop(gop, &mut fast);
        gop += 1;
    }
    let received = reader.join().unwrap();
    assert_eq!(received[0], (0, 0));
    for pair in received.windows(2) {
        if !follow_each_other(pair) {
            assert_eq!(pair[1].1, 0, "{pair:?}: it may go on with a keyframe only");
        }
    }
    assert!(logged("is too slow for live/cam") && logged("goes on with live/cam after"));
}

fn follow_each_other(frames: &[(u32, u32)]) -> bool {
    frames.windows(2).all(|pair| pair[0].0 * GOP + pair[0].1 + 1 == pair[1].0 * GOP + pair[1].1)
}

/// What comes between the last picture before a loss and the first one behind it, which is a keyframe, last.
/// `meanwhile` is sent while the player has lost something already.
fn around_a_loss(name: &str, wants_audio: bool, meanwhile: &[Tag]) -> Vec<Tag> {
    let (server, address) = start(Config { max_queue: 1 << 20, ..config() });
    let (mut publisher, out) = Client::publisher(address, name);
    publisher.send(out, &[metadata(1), video_header(1), audio_header()]);
    let (mut slow, stream) = Client::player(address, name);
    slow.with(|session| session.call(stream, "receiveAudio", &[Value::Boolean(wants_audio)])).unwrap();
    let (mut fast, _) = Client::player(address, name);
    let mut gop = 0;
    let mut publish_gop = |before: &[Tag]| {
        publisher.send(out, before);
        for place in 0..GOP {
            publisher.send(out, &[numbered(gop, place)]);
            fast.tags_up_to(|tag| number(tag) == Some((gop, place)));
        }
        gop += 1;
        assert!(gop < 1000, "nothing was dropped");
    };
    while server.stats().dropped_tags.value() < 100 {
        publish_gop(&[]);
    }
    publish_gop(meanwhile);
    let reader = thread::spawn(move || {
        let mut last = None;
        let mut between = Vec::new();
        loop {
            let tag = slow.tag();
            between.push(tag);
            let Some(at) = between.last().and_then(number) else { continue };
            if last.is_some_and(|last| !follow_each_other(&[last, at])) {
                return between;
            }
            last = Some(at);
            between.clear();
        }
    });
    while !reader.is_finished() {
        publish_gop(&[]);
    }
    reader.join().unwrap()
}

#[test]
fn headers_that_were_only_repeated_are_not_sent_again_after_a_loss() {
    let between = around_a_loss("again", true, &[metadata(1), video_header(1), audio_header()]);
    assert_eq!(between.len(), 1, "{:?}", times(&between));
}

#[test]
fn headers_that_changed_come_in_time_after_a_loss_if_they_are_wanted() {
    let other_sound = Tag { body: vec![0xaf, 0, 0x13, 0x88].into(), ..audio_header() };
    for (name, wants_audio) in [("soundless", false), ("whole", true)] {
        let between = around_a_loss(name, wants_audio, &[metadata(1), video_header(2), other_sound.clone()]);
        let time = between.last().unwrap().timestamp;
        let at_time = |tag: Tag| Tag { timestamp: time, ..tag };
        let mut expected = vec![metadata(1), at_time(video_header(2))];
        expected.extend(wants_audio.then(|| at_time(other_sound.clone())));
        assert!(time.0 > 0 && between[..between.len() - 1] == expected, "{name}: {:?}", times(&between));
    }
}

#[test]
fn a_player_that_keeps_up_gets_pictures_larger_than_its_queue() {
    let (server, address) = start(Config { max_queue: 64 << 10, ..config() });
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut player, _) = Client::player(address, "cam");
    // Each behind audio that is held back, and a repeated header, as many encoders send.
    let picture = vec![0x5a; 256 << 10];
    for number in 0..10 {
        let sent = [audio(number * 40), video_header(1), keyframe(number * 40 + 1, &picture)];
        publisher.with(|session| sent.iter().for_each(|tag| session.send_tag(out, tag).unwrap()));
        let received = player.tags_up_to(|tag| tag.body.len() > picture.len());
        assert_eq!(bodies(&received), bodies(&sent), "picture {number}");
    }
    assert_eq!(server.stats().dropped_tags.value(), 0);
}

#[test]
fn a_thread_whose_channel_overflows_loses_whole_groups_and_never_the_end() {
    let (_server, address) = start(Config { subscriber_threads: 1, ..config() });
    let (mut publisher, out) = Client::publisher(address, "flood");
    // Without sound they are asked tag by tag, which is the slow road.
    let join = |_| {
        let (mut player, stream) = Client::player(address, "flood");
        player.with(|session| session.call(stream, "receiveAudio", &[Value::Boolean(false)])).unwrap();
        player
    };
    let mut players: Vec<Client> = (0..40).map(join).collect();
    let frame = |number: u32| match number % 100 {
        0 => keyframe(number, &number.to_be_bytes()),
        _ => inter_frame(number, &number.to_be_bytes()),
    };
    // Much faster than one thread can pass it on to forty players; the end comes while the channel is full.
    publisher.with(|session| {
        for number in 0..40_000 {
            session.send_tag(out, &frame(number)).unwrap();
        }
        session.delete_stream(out).unwrap();
    });
    for player in &mut players {
        let mut received: Vec<u32> = Vec::new();
        player.wait("the end", |event| match event {
            Event::Tag { tag, .. } if tag.body.len() == 9 => {
                assert_eq!(*tag, frame(tag.timestamp.0));
                received.push(tag.timestamp.0);
                None
            }
            Event::StreamNotice { notice: StreamNotice::Eof, .. } => Some(()),
            _ => None,
        });
        assert_eq!(received[0], 0);
        for pair in received.windows(2) {
            assert!(pair[1] == pair[0] + 1 || (pair[1] > pair[0] && pair[1] % 100 == 0), "{pair:?}");
        }
        assert_eq!(player.status(), "NetStream.Play.UnpublishNotify");
    }
    assert!(logged("fell behind"), "the channel was never full");
    let (mut publisher, out) = Client::publisher(address, "flood");
    publisher.send(out, &[frame(100)]);
    for player in &mut players {
        assert_eq!(player.status(), "NetStream.Play.PublishNotify");
        assert_eq!(player.tag(), frame(100));
    }
}

#[test]
fn a_stalled_player_is_closed() {
    let config = Config { max_queue: 256 << 10, stall_timeout: Duration::from_millis(300), ..config() };
    let (server, address) = start(config);
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (stalled, _) = Client::player(address, "cam");
    let (mut fast, _) = Client::player(address, "cam");
    let mut gop = 0;
    until("the stalled player is closed", || {
        for place in 0..GOP {
            publisher.send(out, &[numbered(gop, place)]);
            fast.tags_up_to(|tag| number(tag) == Some((gop, place)));
        }
        gop += 1;
        server.stats().connections.value() == 2
    });
    assert!(logged("closed: too slow"));
    drop(stalled);
}

#[test]
fn a_stalled_player_over_http_is_told_by_a_reset_that_this_is_not_the_end_of_the_stream() {
    let config = Config { max_queue: 256 << 10, stall_timeout: Duration::from_millis(300), ..config() };
    let (server, address) = start(config);
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut fast, _) = Client::player(address, "cam");
    publisher.send(out, &[numbered(0, 0)]);
    fast.tags_up_to(|tag| number(tag) == Some((0, 0)));
    let mut stalled = TcpStream::connect(address).unwrap();
    stalled.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stalled, "GET /live/cam.flv HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut status = [0; 12];
    stalled.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let mut gop = 1;
    until("the stalled player is closed", || {
        for place in 0..GOP {
            publisher.send(out, &[numbered(gop, place)]);
            fast.tags_up_to(|tag| number(tag) == Some((gop, place)));
        }
        gop += 1;
        server.stats().connections.value() == 2
    });
    let error = stalled.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}
