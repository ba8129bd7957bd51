//! Who publishes: the second one, the one that vanishes, the one that may not.

use super::*;

#[test]
fn a_second_publisher_is_refused_and_the_first_goes_on() {
    let (_server, address) = start(Config { takeover: Takeover::Never, ..config() });
    let (mut first, out) = Client::publisher(address, "cam");
    let (mut player, _) = Client::player(address, "cam");
    let mut second = Client::connect(address, "live");
    let stream = second.create_stream();
    second.publish(stream, "cam");
    assert_eq!(second.statuses_to_the_end()[0], "NetStream.Publish.BadName");
    first.send(out, &[keyframe(0, b"still here")]);
    assert!(player.tag().body.ends_with(b"still here"));
}

#[test]
fn a_publisher_from_the_same_address_takes_over_and_players_stay() {
    let (_server, address) = start(config());
    let (mut first, out) = Client::publisher(address, "cam");
    let (mut player, _) = Client::player(address, "cam");
    // The first one also plays, so another thread owns it.
    let also = first.create_stream();
    first.play(also, "other");
    assert_eq!(first.status(), "NetStream.Play.Reset");
    first.send(out, &[video_header(1), keyframe(5000, b"k"), inter_frame(5040, b"p")]);
    player.tags_up_to(|tag| tag.body.ends_with(b"p"));
    let (mut second, out) = Client::publisher(address, "cam");
    let told = first.statuses_to_the_end();
    assert!(told.contains(&"NetStream.Publish.BadName".to_string()), "{told:?}");
    second.send(out, &[video_header(1), keyframe(0, b"k"), inter_frame(40, b"q")]);
    let received = player.tags_up_to(|tag| tag.body.ends_with(b"q"));
    assert_eq!(times(&received), [5080, 5080, 5120]);
}

#[test]
fn a_publisher_that_vanishes_and_returns_is_not_noticed() {
    let (_server, address) = start(Config { takeover: Takeover::Never, ..config() });
    let (mut first, out) = Client::publisher(address, "cam");
    let (mut player, _) = Client::player(address, "cam");
    first.send(out, &[video_header(1), keyframe(960, b"k"), inter_frame(1000, b"p")]);
    player.tags_up_to(|tag| tag.body.ends_with(b"p"));
    drop(first);
    let mut second = reclaim(address);
    let out = second.1;
    second.0.send(out, &[video_header(1), keyframe(0, b"k"), inter_frame(40, b"q")]);
    let mut statuses = 0;
    let received: Vec<u32> = (0..3)
        .map(|_| {
            player.wait("a tag", |event| match event {
                Event::Tag { tag, .. } => Some(tag.timestamp.0),
                Event::Status { .. } | Event::StreamNotice { .. } => {
                    statuses += 1;
                    None
                }
                _ => None,
            })
        })
        .collect();
    assert_eq!((received, statuses), (vec![1040, 1040, 1080], 0));
}

/// Publishes `cam` as soon as the server has noticed that its publisher is gone.
fn reclaim(address: SocketAddr) -> (Client, weir::rtmp::MessageStreamId) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let mut client = Client::connect(address, "live");
        let stream = client.create_stream();
        client.publish(stream, "cam");
        if client.status() == "NetStream.Publish.Start" {
            return (client, stream);
        }
        assert!(Instant::now() < deadline, "the name is not free in time");
    }
}

#[test]
fn a_publisher_that_stays_away_ends_the_stream_after_the_resume_window() {
    let window = Duration::from_millis(200);
    let (server, address) = start(Config { resume_window: window, ..config() });
    let (publisher, _) = Client::publisher(address, "cam");
    let (mut player, _) = Client::player(address, "cam");
    let vanished = Instant::now();
    drop(publisher);
    player.notice(StreamNotice::Eof);
    // Just below: the server's clock counts whole milliseconds.
    assert!(vanished.elapsed() + Duration::from_millis(2) >= window, "{:?}", vanished.elapsed());
    assert_eq!(player.status(), "NetStream.Play.UnpublishNotify");
    drop(player);
    until("the stream is forgotten", || server.streams() == 0);
}

#[test]
fn without_a_resume_window_players_are_told_at_once_and_may_stay() {
    let (server, address) = start(Config { resume_window: Duration::ZERO, ..config() });
    let (mut player, _) = Client::player(address, "cam");
    for _ in 0..2 {
        let (mut publisher, out) = Client::publisher(address, "cam");
        assert_eq!(player.status(), "NetStream.Play.PublishNotify");
        publisher.send(out, &[keyframe(5, b"k")]);
        // From its own start: nothing continues.
        assert_eq!(player.tag().timestamp.0, 5);
        publisher.reset();
        assert_eq!(player.status(), "NetStream.Play.UnpublishNotify");
    }
    drop(player);
    until("the stream is forgotten", || server.streams() == 0);
}

#[test]
fn a_publisher_that_flaps_is_one_stream_and_ends_once() {
    let (server, address) = start(Config { resume_window: Duration::from_millis(300), ..config() });
    let (mut player, _) = Client::player(address, "cam");
    for number in 0..50 {
        let (mut publisher, out) = Client::publisher(address, "cam");
        publisher.send(out, &[keyframe(number, b"k")]);
        player.tag();
        publisher.reset();
    }
    player.notice(StreamNotice::Eof);
    assert_eq!(player.status(), "NetStream.Play.UnpublishNotify");
    drop(player);
    until("the stream is forgotten", || server.streams() == 0);
}

#[test]
fn a_goodbye_that_arrives_with_a_reset_counts() {
    let (server, address) = start(Config { resume_window: DEADLINE * 2, ..config() });
    let (mut player, _) = Client::player(address, "cam");
    for _ in 0..20 {
        // As OBS and ffmpeg leave: FCUnpublish, deleteStream, and a close with the answers unread.
        let (mut publisher, out) = Client::publisher(address, "cam");
        assert_eq!(player.status(), "NetStream.Play.PublishNotify");
        publisher.send(out, &[keyframe(0, b"k")]);
        publisher.with(|session| session.delete_stream(out)).unwrap();
        publisher.reset();
        assert_eq!(player.status(), "NetStream.Play.UnpublishNotify");
    }
    until("publishers are gone", || server.stats().connections.value() == 1);
}

#[test]
fn publishing_from_elsewhere_is_refused_with_a_reason() {
    let (_server, address) =
        start(Config { publish_from: "10.0.0.0/8".parse::<Networks>().unwrap(), ..config() });
    let mut client = Client::connect(address, "live");
    let stream = client.create_stream();
    client.publish(stream, "cam");
    let why = client.wait("a status", |event| match event {
        Event::Status { status, .. } => Some(status.description.clone()),
        _ => None,
    });
    assert!(why.contains("10.0.0.0/8"), "{why}");
    assert!(client.statuses_to_the_end().is_empty());
}

#[test]
fn bad_stream_names_are_refused() {
    let (_server, address) = start(config());
    let mut client = Client::connect(address, "live");
    let stream = client.create_stream();
    client.publish(stream, "../cam");
    assert_eq!(client.statuses_to_the_end()[0], "NetStream.Publish.BadName");
    let mut client = Client::connect(address, "live");
    let stream = client.create_stream();
    client.play(stream, "../cam");
    assert_eq!(client.status(), "NetStream.Play.StreamNotFound");
    assert!(logged("may not publish: a stream name") && logged("may not play: a stream name"));
}
