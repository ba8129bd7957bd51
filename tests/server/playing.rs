//! What players get: the stream, its past, and what they ask for.

use super::*;
use weir::{
    flv::TagKind,
    rtmp::{
        MessageStreamId,
        session::{Play, PlayStart, Wanted},
    },
};

#[test]
fn what_is_published_is_played_bit_for_bit() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut player, _) = Client::player(address, "cam");
    let big = vec![0x5a; 200_000];
    let sent = [
        metadata(64),
        video_header(1),
        audio_header(),
        keyframe(0, &big),
        audio(10),
        inter_frame(40, b"x"),
        audio(0x00ff_ffff),
        inter_frame(0x0100_0000, &big),
    ];
    publisher.send(out, &sent);
    let received = player.tags_up_to(|tag| tag.timestamp.0 == 0x0100_0000);
    assert_eq!(received, sent);
}

/// Enough of them for a staging file. They read when everything was sent, so that most of it waits meanwhile, in sockets
/// and in queues.
#[test]
fn what_many_get_at_once_is_the_same_for_each() {
    let gathers = [0, 20].map(|ms| Merge::Gather(Duration::from_millis(ms)));
    for merge in [Merge::AudioWithVideo, gathers[0], gathers[1]] {
        let (_server, address) = start(Config { subscriber_threads: 1, merge, ..config() });
        let (mut publisher, out) = Client::publisher(address, "cam");
        let mut players: Vec<Client> = (0..20).map(|_| Client::player(address, "cam").0).collect();
        let mut sent = vec![video_header(1), audio_header()];
        for number in 0..100 {
            let make = if number % 10 == 0 { keyframe } else { inter_frame };
            sent.push(make(40 * number, &vec![number as u8; 9000 + 7 * number as usize]));
            sent.push(audio(40 * number + 1));
        }
        for tags in sent.chunks(10) {
            publisher.send(out, tags);
        }
        for player in &mut players {
            let received = player.tags_up_to(|tag| tag.timestamp.0 == 40 * 99 + 1);
            assert_eq!((times(&received), bodies(&received)), (times(&sent), bodies(&sent)), "{merge:?}");
        }
    }
}

#[test]
fn a_late_joiner_starts_with_metadata_headers_and_the_keyframe() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut witness, _) = Client::player(address, "cam");
    publisher.send(out, &[metadata(64), audio_header(), video_header(1), keyframe(0, b"old"), audio(20)]);
    let gop = [keyframe(1000, b"new"), audio(1010), inter_frame(1040, b"p")];
    publisher.send(out, &gop);
    witness.tags_up_to(|tag| tag.timestamp.0 == 1040);

    let (mut late, _) = Client::player(address, "cam");
    publisher.send(out, &[inter_frame(1080, b"q")]);
    let received = late.tags_up_to(|tag| tag.timestamp.0 == 1080);
    let (metadata, video, sound) = (metadata(64), video_header(1), audio_header());
    let mut expected: Vec<&[u8]> = vec![&metadata.body, &video.body, &sound.body];
    expected.extend(gop.iter().map(|tag| &*tag.body));
    let last = inter_frame(1080, b"q");
    expected.push(&last.body);
    assert_eq!(bodies(&received), expected);
    assert_eq!(times(&received), [0, 1000, 1000, 1000, 1010, 1040, 1080]);
}

#[test]
fn without_a_gop_cache_a_late_joiner_waits_for_the_next_keyframe() {
    let (_server, address) = start(Config { gop_cache: 0, ..config() });
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut witness, _) = Client::player(address, "cam");
    publisher.send(out, &[video_header(1), keyframe(0, b"k")]);
    witness.tags_up_to(|tag| tag.body.ends_with(b"k"));
    let (mut late, _) = Client::player(address, "cam");
    publisher.send(out, &[inter_frame(40, b"p"), audio(41), keyframe(80, b"K"), inter_frame(120, b"q")]);
    let received = late.tags_up_to(|tag| tag.timestamp.0 == 120);
    assert_eq!(times(&received), [0, 80, 120]);
}

#[test]
fn joining_in_the_middle_of_a_busy_stream_loses_and_doubles_nothing() {
    for merge in [Merge::AudioWithVideo, Merge::Gather(Duration::from_millis(3))] {
        join_in_the_middle(merge);
    }
}

fn join_in_the_middle(merge: Merge) {
    let (_server, address) = start(Config { subscriber_threads: 1, merge, ..config() });
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut witness, _) = Client::player(address, "cam");
    let is_over = Arc::new(AtomicBool::new(false));
    let stop = is_over.clone();
    let source = thread::spawn(move || {
        let mut next = 0;
        while !stop.load(Ordering::Relaxed) {
            // A burst in one write, so that many tags wait in the channel while players join.
            publisher.with(|session| {
                for number in next..next + 50 {
                    let make = if number % 25 == 0 { keyframe } else { inter_frame };
                    session.send_tag(out, &make(number, b"n")).unwrap();
                }
            });
            next += 50;
            witness.tags_up_to(|tag| tag.timestamp.0 == next - 1);
        }
    });
    for _ in 0..60 {
        let (mut player, _) = Client::player(address, "cam");
        let received: Vec<u32> = (0..120).map(|_| player.tag().timestamp.0).collect();
        let expected: Vec<u32> = (received[0]..).take(received.len()).collect();
        assert_eq!((received[0] % 25, &received), (0, &expected));
    }
    is_over.store(true, Ordering::Relaxed);
    source.join().unwrap();
}

#[test]
fn whoever_plays_before_publish_waits_and_may_stay_for_the_next() {
    let (_server, address) = start(config());
    let (mut player, _) = Client::player(address, "cam");
    for round in 0..2 {
        let (mut publisher, out) = Client::publisher(address, "cam");
        assert_eq!(player.status(), "NetStream.Play.PublishNotify");
        publisher.send(out, &[video_header(round), keyframe(0, b"k")]);
        let received = player.tags_up_to(|tag| tag.body.ends_with(b"k"));
        assert_eq!(received, [video_header(round), keyframe(0, b"k")]);
        publisher.with(|session| session.delete_stream(out)).unwrap();
        player.notice(StreamNotice::Eof);
        assert_eq!(player.status(), "NetStream.Play.UnpublishNotify");
    }
}

#[test]
fn what_is_gathered_comes_before_the_end_of_its_stream() {
    let merge = Merge::Gather(Duration::from_secs(10));
    let (_server, address) = start(Config { merge, ..config() });
    let (mut player, _) = Client::player(address, "cam");
    for round in 0..2 {
        let (mut publisher, out) = Client::publisher(address, "cam");
        let sent = [video_header(round), keyframe(0, b"k"), audio(1)];
        publisher.send(out, &sent);
        publisher.with(|session| session.delete_stream(out)).unwrap();
        assert_eq!(player.status(), "NetStream.Play.PublishNotify");
        assert_eq!(player.tags_up_to(|tag| tag.timestamp.0 == 1), sent);
        assert_eq!(player.status(), "NetStream.Play.UnpublishNotify");
    }
}

#[test]
fn a_change_of_headers_reaches_everybody() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut player, _) = Client::player(address, "cam");
    let sent = [video_header(1), keyframe(0, b"a"), metadata(9), video_header(2), keyframe(40, b"b")];
    publisher.send(out, &sent);
    let received = player.tags_up_to(|tag| tag.body.ends_with(b"b"));
    assert_eq!(bodies(&received), bodies(&sent));
    let (mut late, _) = Client::player(address, "cam");
    let received = late.tags_up_to(|tag| tag.body.ends_with(b"b"));
    assert_eq!(bodies(&received), [&*metadata(9).body, &video_header(2).body, &sent[4].body]);
}

#[test]
fn one_connection_may_publish_and_play_several_streams() {
    let (server, address) = start(config());
    let mut client = Client::connect(address, "live");
    let (first, second, playing) = (client.create_stream(), client.create_stream(), client.create_stream());
    for (stream, name) in [(first, "a"), (second, "b")] {
        client.publish(stream, name);
        assert_eq!(client.status(), "NetStream.Publish.Start");
    }
    client.play(playing, "b");
    assert_eq!(client.status(), "NetStream.Play.Reset");
    let (mut other, _) = Client::player(address, "a");
    client.send(first, &[keyframe(0, b"for a")]);
    client.send(second, &[keyframe(0, b"for b")]);
    assert!(client.tag().body.ends_with(b"for b"));
    assert!(other.tag().body.ends_with(b"for a"));
    // A connection that plays has moved to another thread; what it publishes must not notice.
    client.with(|session| session.delete_stream(first)).unwrap();
    other.notice(StreamNotice::Eof);
    client.send(second, &[keyframe(40, b"more for b")]);
    assert!(client.tag().body.ends_with(b"more for b"));
    drop((client, other));
    until("connections are gone", || server.stats().connections.value() == 0);
}

#[test]
fn a_paused_player_goes_on_with_a_keyframe() {
    // One thread, so that what the witness has, the paused player was offered.
    let (_server, address) = start(Config { subscriber_threads: 1, ..config() });
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut player, stream) = Client::player(address, "cam");
    let (mut witness, _) = Client::player(address, "cam");
    publisher.send(out, &[video_header(1), keyframe(0, b"k")]);
    player.tags_up_to(|tag| tag.body.ends_with(b"k"));
    let pause = |client: &mut Client, paused| {
        let args = [Value::Boolean(paused), Value::Number(0.0)];
        client.with(|session| session.call(stream, "pause", &args)).unwrap();
    };
    pause(&mut player, true);
    assert_eq!(player.status(), "NetStream.Pause.Notify");
    publisher.send(out, &[inter_frame(40, b"p"), video_header(2), keyframe(80, b"l")]);
    witness.tags_up_to(|tag| tag.body.ends_with(b"l"));
    pause(&mut player, false);
    assert_eq!(player.status(), "NetStream.Unpause.Notify");
    publisher.send(out, &[inter_frame(120, b"q"), keyframe(160, b"m")]);
    let received = player.tags_up_to(|tag| tag.body.ends_with(b"m"));
    // The header that changed meanwhile comes first.
    assert_eq!(bodies(&received), [&*video_header(2).body, &keyframe(160, b"m").body]);
}

#[test]
fn a_seek_in_a_live_stream_starts_over_with_the_current_gop() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut player, stream) = Client::player(address, "cam");
    publisher.send(out, &[video_header(1), keyframe(0, b"k"), inter_frame(40, b"p")]);
    player.tags_up_to(|tag| tag.body.ends_with(b"p"));
    player.with(|session| session.call(stream, "seek", &[Value::Number(5000.0)])).unwrap();
    assert_eq!(player.status(), "NetStream.Seek.Notify");
    assert_eq!(times(&player.tags_up_to(|tag| tag.body.ends_with(b"p"))), [0, 0, 40]);
}

#[test]
fn audio_or_video_can_be_switched_off_and_on() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut player, stream) = Client::player(address, "cam");
    let receive = |client: &mut Client, what: &str, wanted| {
        client.with(|session| session.call(stream, what, &[Value::Boolean(wanted)])).unwrap();
    };
    receive(&mut player, "receiveVideo", false);
    // Calls are answered in order, so this says that the one before has been heard.
    let heard = |client: &mut Client| {
        client.with(|session| session.call(stream, "getStreamLength", &[Value::from("cam")])).unwrap();
        client.wait("a reply", |event| matches!(event, Event::Reply { .. }).then_some(()));
    };
    heard(&mut player);
    publisher.send(out, &[keyframe(0, b"k"), audio(1), inter_frame(40, b"p"), audio(41)]);
    assert_eq!(times(&[player.tag(), player.tag()]), [1, 41]);
    receive(&mut player, "receiveVideo", true);
    receive(&mut player, "receiveAudio", false);
    heard(&mut player);
    publisher.send(
        out,
        &[inter_frame(80, b"q"), audio(81), keyframe(120, b"l"), audio(121), inter_frame(160, b"r")],
    );
    assert_eq!(times(&[player.tag(), player.tag()]), [120, 160]);
}

#[test]
fn a_player_may_refuse_audio_before_it_plays() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut witness, _) = Client::player(address, "cam");
    publisher.send(out, &[audio_header(), keyframe(0, b"k"), audio(1), inter_frame(40, b"p")]);
    witness.tags_up_to(|tag| tag.body.ends_with(b"p"));
    let mut player = Client::connect(address, "live");
    let stream = player.create_stream();
    player.with(|session| session.call(stream, "receiveAudio", &[Value::Boolean(false)])).unwrap();
    player.play(stream, "cam");
    publisher.send(out, &[audio(41), inter_frame(80, b"q")]);
    assert_eq!(times(&player.tags_up_to(|tag| tag.body.ends_with(b"q"))), [0, 40, 80]);
}

#[test]
fn sound_that_is_wanted_later_comes_with_its_headers() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut witness, _) = Client::player(address, "cam");
    publisher.send(out, &[video_header(1), audio_header(), keyframe(0, b"k")]);
    witness.tags_up_to(|tag| tag.body.ends_with(b"k"));
    let mut player = Client::connect(address, "live");
    let stream = player.create_stream();
    player.with(|session| session.call(stream, "receiveAudio", &[Value::Boolean(false)])).unwrap();
    player.play(stream, "cam");
    assert_eq!(player.tags_up_to(|tag| tag.body.ends_with(b"k")), [video_header(1), keyframe(0, b"k")]);
    player.with(|session| {
        session.call(stream, "receiveAudio", &[Value::Boolean(true)]).unwrap();
        session.call(stream, "getStreamLength", &[Value::from("cam")]).unwrap();
    });
    player.wait("a reply", |event| matches!(event, Event::Reply { .. }).then_some(()));
    publisher.send(out, &[inter_frame(40, b"p"), audio(41), audio(61), inter_frame(80, b"q")]);
    let received = player.tags_up_to(|tag| tag.body.ends_with(b"q"));
    let header = Tag { timestamp: weir::base::Timestamp(41), ..audio_header() };
    assert!(received.contains(&header), "{received:?}");
    let place = |wanted: &Tag| received.iter().position(|tag| tag == wanted);
    assert!(place(&header) < place(&audio(41)) && received.iter().filter(|tag| **tag == header).count() == 1);
}

#[test]
fn writes_are_gathered_as_asked() {
    // Just below what is asked for: the server's clock counts whole milliseconds.
    for (merge, least) in [
        (Merge::AudioWithVideo, Duration::from_millis(38)),
        (Merge::Gather(Duration::from_millis(120)), Duration::from_millis(118)),
    ] {
        let (_server, address) = start(Config { merge, ..config() });
        let (mut publisher, out) = Client::publisher(address, "cam");
        let (mut player, _) = Client::player(address, "cam");
        let sent = Instant::now();
        publisher.send(out, &[audio(0)]);
        player.tag();
        assert!(sent.elapsed() >= least, "{merge:?}: {:?}", sent.elapsed());
        // Video takes waiting audio along, in order.
        publisher.send(out, &[audio(23), keyframe(40, b"k")]);
        assert_eq!(times(&[player.tag(), player.tag()]), [23, 40]);
    }
}

#[test]
fn sound_is_not_put_off_by_the_sound_that_follows() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut player, _) = Client::player(address, "cam");
    let is_over = Arc::new(AtomicBool::new(false));
    let stop = is_over.clone();
    // Faster than anything waits, for as long as the player has got nothing.
    let source = thread::spawn(move || {
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            publisher.send(out, &[audio(number)]);
            thread::sleep(Duration::from_millis(5));
        }
    });
    player.tag();
    is_over.store(true, Ordering::Relaxed);
    source.join().unwrap();
}

/// A player that asks for so many milliseconds.
fn player_for(address: SocketAddr, duration: u32, paused: bool) -> (Client, MessageStreamId) {
    let mut player = Client::connect(address, "live");
    let stream = player.create_stream();
    let (start, wanted) = (PlayStart::LiveOrRecorded, Wanted::default());
    let play = Play { stream, name: "cam".into(), start, duration: Some(duration), reset: true, wanted };
    player.with(|session| {
        session.play(&play).unwrap();
        if paused {
            session.pause(stream, true, 0).unwrap();
        }
    });
    let last = if paused { "NetStream.Pause.Notify" } else { "NetStream.Play.Start" };
    while player.status() != last {}
    (player, stream)
}

/// Times of frames up to Play.Complete, which Play.Stop and StreamEOF follow.
fn times_to_the_end(player: &mut Client) -> Vec<u32> {
    let is_end = |tag: &Tag| {
        let code = b"NetStream.Play.Complete";
        tag.body.starts_with(b"\x02\0\x0conPlayStatus") && tag.body.windows(23).any(|part| part == code)
    };
    let mut received = player.tags_up_to(is_end);
    assert_eq!(player.status(), "NetStream.Play.Stop");
    player.notice(StreamNotice::Eof);
    received.retain(|tag| tag.kind != TagKind::Data && tag.classify().role.is_frame());
    times(&received)
}

#[test]
fn a_live_play_with_a_duration_ends_after_so_much_of_the_stream() {
    let (server, address) = start(config());
    // Pictures and sound of two seconds, in groups of one.
    let mut tags = vec![video_header(1), audio_header()];
    for time in (1000..3000).step_by(40) {
        let make = if time % 1000 == 0 { keyframe } else { inter_frame };
        tags.extend([make(time, b"x"), audio(time + 5)]);
    }
    // Before it begins; a duration of 0 means nothing here.
    let (mut early, stream) = player_for(address, 1200, false);
    let (mut paused, _) = player_for(address, 1200, true);
    let (mut endless, _) = player_for(address, 0, false);
    let (mut publisher, out) = Client::publisher(address, "cam");
    publisher.send(out, &tags);
    let expected =
        |end: u32| -> Vec<u32> { times(&tags[2..]).into_iter().filter(|time| *time < end).collect() };
    assert_eq!(times_to_the_end(&mut early), expected(2200));
    endless.tags_up_to(|tag| tag.timestamp.0 == 2965);
    // In the middle of what a late joiner gets at once.
    let (mut late, _) = player_for(address, 400, false);
    let gop: Vec<u32> = expected(2400).into_iter().filter(|time| *time >= 2000).collect();
    assert_eq!(times_to_the_end(&mut late), gop);
    // Who is paused has had nothing yet; its time begins with the first frame that it gets.
    paused.with(|session| session.pause(MessageStreamId(1), false, 0).unwrap());
    while paused.status() != "NetStream.Unpause.Notify" {}
    publisher.send(out, &[keyframe(3000, b"x"), inter_frame(4160, b"x"), inter_frame(4200, b"x")]);
    assert_eq!(times_to_the_end(&mut paused), [3000, 4160]);
    // It may ask again.
    early.play(stream, "cam");
    early.tags_up_to(|tag| tag.timestamp.0 == 4200);
    // Who has had enough does not hold the stream.
    drop(early);
    drop(endless);
    drop(publisher);
    until("the end of the stream", || server.streams() == 0);
    drop((late, paused));
}
