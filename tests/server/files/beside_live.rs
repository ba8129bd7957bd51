//! Files and live streams: which of them a name means, and connections that go from one to the other.

use super::*;

#[test]
fn a_live_stream_comes_before_a_file_of_its_name_and_both_replace_each_other() {
    let films = Films::new("live").with("film.flv", &flv(&film(20, 1)));
    let (_server, address) = films.start();
    let mut publisher = Client::connect(address, "vod");
    let out = publisher.create_stream();
    publisher.publish(out, "film");
    assert_eq!(publisher.status(), "NetStream.Publish.Start");
    publisher.send(out, &[video_header(9), keyframe(0, b"live")]);
    let (mut client, stream) = client(address);
    let ask = |client: &mut Client, name: &str, start| {
        client.with(|session| session.play(&play(stream, name, start, None, true)).unwrap());
    };
    for _ in 0..3 {
        ask(&mut client, "film", PlayStart::LiveOrRecorded);
        client.tags_up_to(|tag| tag.body.ends_with(b"live"));
        ask(&mut client, "film", PlayStart::At(5000));
        let words = heard(&mut client, "keyframe 1000");
        assert!(words.contains(&"IsRecorded".to_string()), "{words:?}");
        ask(&mut client, "missing", PlayStart::At(0));
        heard(&mut client, "NetStream.Play.StreamNotFound");
        // The file goes on.
        client.with(|session| session.play(&play(stream, "film", PlayStart::Live, None, true)).unwrap());
        client.tags_up_to(|tag| tag.body.ends_with(b"live"));
        ask(&mut client, "missing", PlayStart::At(0));
        heard(&mut client, "NetStream.Play.StreamNotFound");
    }
    // Nothing there: a live stream may come.
    let (mut waiting, stream) = self::client(address);
    waiting
        .with(|session| session.play(&play(stream, "later", PlayStart::LiveOrRecorded, None, true)).unwrap());
    heard(&mut waiting, "NetStream.Play.Start");
    let later = publisher.create_stream();
    publisher.publish(later, "later");
    assert_eq!(publisher.status(), "NetStream.Publish.Start");
    publisher.send(later, &[video_header(9), keyframe(0, b"live")]);
    waiting.tags_up_to(|tag| tag.body.ends_with(b"live"));
}

/// What a file thread finds behind a play that turns out to be live is for the thread that plays it.
#[test]
fn what_is_asked_while_a_connection_moves_to_a_live_stream_holds() {
    let films = Films::new("moves");
    // One thread for both players, so that what one has seen the other was offered.
    let media = Some(films.0.clone());
    let (_server, address) = start(Config { subscriber_threads: 1, media, ..config() });
    let mut publisher = Client::connect(address, "vod");
    let out = publisher.create_stream();
    publisher.publish(out, "film");
    assert_eq!(publisher.status(), "NetStream.Publish.Start");
    publisher.send(out, &[video_header(9), audio_header(), keyframe(0, b"live")]);
    let (mut paused, first) = client(address);
    let (mut mute, second) = client(address);
    paused.with(|session| {
        session.play(&play(first, "film", PlayStart::LiveOrRecorded, None, true)).unwrap();
        session.pause(first, true, 0).unwrap();
    });
    mute.with(|session| {
        session.play(&play(second, "film", PlayStart::LiveOrRecorded, None, true)).unwrap();
        session.call(second, "receiveVideo", &[false.into()]).unwrap();
    });
    heard(&mut paused, "NetStream.Pause.Notify");
    // An answer comes behind what was done.
    for client in [&mut paused, &mut mute] {
        client.with(|session| session.call(MessageStreamId(0), "ping", &[]).unwrap());
        client.wait("an answer", |event| matches!(event, Event::Reply { .. }).then_some(()));
    }
    publisher.send(out, &[keyframe(1000, b"live"), audio(1010)]);
    assert!(
        mute.tags_up_to(|tag| tag.timestamp.0 == 1010)
            .iter()
            .all(|tag| tag.timestamp.0 < 1000 || tag.kind == TagKind::Audio)
    );
    paused.with(|session| session.pause(first, false, 0).unwrap());
    assert_eq!(heard(&mut paused, "NetStream.Unpause"), ["NetStream.Unpause.Notify"]);
    publisher.send(out, &[keyframe(2000, b"live")]);
    assert_eq!(heard(&mut paused, "keyframe").last().unwrap(), "keyframe 2000");
    // On the way to a file that is not there, and back.
    let missing = play(first, "missing", PlayStart::At(0), None, true);
    paused.with(|session| {
        session.pause(first, true, 0).unwrap();
        session.play(&missing).unwrap();
    });
    heard(&mut paused, "NetStream.Play.StreamNotFound");
    paused.with(|session| session.call(MessageStreamId(0), "ping", &[]).unwrap());
    paused.wait("an answer", |event| matches!(event, Event::Reply { .. }).then_some(()));
    publisher.send(out, &[keyframe(3000, b"live"), audio(3010)]);
    mute.tags_up_to(|tag| tag.timestamp.0 == 3010);
    paused.with(|session| session.call(first, "pause", &[false.into(), 0.into()]).unwrap());
    // Our client takes no media where a play was refused, and says so.
    paused.wait("Unpause.Notify", |event| match event {
        Event::Status { status, .. } => (status.code == "NetStream.Unpause.Notify").then_some(()),
        Event::Ignored { .. } => panic!("media while it is paused"),
        _ => None,
    });
}

#[test]
fn two_files_play_on_one_connection_and_a_live_stream_beside_them_is_refused() {
    let films = Films::new("two").with("film.flv", &flv(&film(5, 1))).with("second.flv", &flv(&film(5, 2)));
    let (_server, address) = films.start();
    let (mut client, first) = client(address);
    let second = client.create_stream();
    client.with(|session| {
        session.set_buffer_length(MessageStreamId(0), 10_000).unwrap();
        session.play(&play(first, "film", PlayStart::At(0), None, true)).unwrap();
        session.play(&play(second, "second", PlayStart::At(0), None, true)).unwrap();
    });
    let mut counts = [0, 0];
    let mut ends = 0;
    while ends < 2 {
        match client.wait("media", |event| Some(event.clone())) {
            Event::Tag { stream, tag } if tag.kind == TagKind::Video => counts[stream.0 as usize - 1] += 1,
            Event::StreamNotice { notice: StreamNotice::Eof, .. } => ends += 1,
            _ => {}
        }
    }
    assert_eq!(counts, [126, 126]);
    let third = client.create_stream();
    client.with(|session| session.play(&play(third, "x", PlayStart::Live, None, true)).unwrap());
    assert_eq!(client.status(), "NetStream.Play.Failed");
}

#[test]
fn a_connection_that_plays_no_file_any_more_can_do_anything_else() {
    let films = Films::new("back").with("film.flv", &flv(&film(60, 1)));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    for _ in 0..3 {
        client.with(|session| session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap());
        heard(&mut client, "keyframe 0");
        client.with(|session| session.call(stream, "closeStream", &[]).unwrap());
        let out = client.create_stream();
        client.publish(out, "mine");
        client.wait("Publish.Start", |event| match event {
            Event::Status { status, .. } => (status.code == "NetStream.Publish.Start").then_some(()),
            _ => None,
        });
        client.send(out, &[Tag { timestamp: Timestamp(1), ..keyframe(1, b"x") }]);
        client.with(|session| session.delete_stream(out).unwrap());
    }
}
