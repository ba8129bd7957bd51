//! What goes wrong while files play: clients that do not read, too many of them, files that are none or change, the end of the
//! server.

use super::*;

#[test]
fn a_client_that_reads_nothing_is_closed_and_holds_up_nobody() {
    let big = vec![0x5a; 100_000];
    let mut tags = vec![video_header(1)];
    tags.extend((0..400).map(|number| keyframe(number * 100, &big)));
    let films = Films::new("stall").with("film.flv", &flv(&tags));
    let media = Some(films.0.clone());
    let (server, address) = start(Config { media, stall_timeout: Duration::from_millis(500), ..config() });
    let (mut client, stream) = client(address);
    client.with(|session| {
        session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap();
        session.set_buffer_length(stream, 60_000).unwrap();
    });
    until("the end of a connection that takes nothing", || server.stats().connections.value() == 0);
    client.statuses_to_the_end();
}

#[test]
fn at_the_limit_of_file_players_a_play_fails_and_everybody_goes_on() {
    let films = Films::new("limit").with("film.flv", &flv(&film(60, 1)));
    let media = Some(films.0.clone());
    let (_server, address) = start(Config { media, max_file_players: 1, ..config() });
    let (mut first, stream) = client(address);
    first.with(|session| session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap());
    heard(&mut first, "keyframe 1000");
    // One that does nothing yet, and one that plays live.
    let mut publisher = Client::connect(address, "vod");
    let out = publisher.create_stream();
    publisher.publish(out, "cam");
    publisher.send(out, &[video_header(9), keyframe(0, b"live")]);
    let (mut idle, of_idle) = client(address);
    let (mut live, of_live) = client(address);
    live.with(|session| {
        session.play(&play(of_live, "cam", PlayStart::Live, None, true)).unwrap();
    });
    heard(&mut live, "keyframe 0");
    for (client, stream) in [(&mut idle, of_idle), (&mut live, of_live)] {
        client.with(|session| session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap());
        let (code, why) = client.wait("the refusal", |event| match event {
            Event::Status { status, .. } => Some((status.code.clone(), status.description.clone())),
            _ => None,
        });
        assert_eq!((&*code, &*why), ("NetStream.Play.Failed", "The server plays too many files."));
    }
    assert!(logged("cannot play a file: 1 play files already"));
    idle.with(|session| session.call(MessageStreamId(0), "getStreamLength", &["film".into()]).unwrap());
    idle.wait("no length", |event| match event {
        Event::Reply { is_ok, values, .. } => (*is_ok && values[1].as_number() == Some(0.0)).then_some(()),
        _ => None,
    });
    publisher.send(out, &[keyframe(1000, b"live")]);
    live.wait("the live stream", |event| matches!(event, Event::Ignored { .. }).then_some(()));
    heard(&mut first, "keyframe 2000");
    // There is room again.
    first.with(|session| session.delete_stream(stream).unwrap());
    until("the end of the first", || {
        idle.with(|session| session.play(&play(of_idle, "film", PlayStart::At(0), None, true)).unwrap());
        idle.status() != "NetStream.Play.Failed"
    });
    heard(&mut idle, "keyframe 0");
}

#[test]
fn what_is_no_film_is_refused_with_the_reason_and_never_ends_the_connection() {
    let whole = flv(&film(3, 1));
    let films = Films::new("bad")
        .with("film.flv", &whole)
        .with("empty.flv", b"")
        .with("text.flv", b"no film at all")
        .with("cut.flv", &whole[..20])
        .with("data.flv", &flv(&[metadata(1)]))
        .with("noise.flv", &[&b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..], &[0xa5; 3000]].concat())
        .with(".hidden.flv", &whole)
        .with("folder/film.flv", &whole);
    std::os::unix::fs::symlink("/etc/passwd", films.0.join("link.flv")).unwrap();
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    for (name, expected) in [
        ("missing", "NetStream.Play.StreamNotFound"),
        ("folder", "NetStream.Play.StreamNotFound"),
        (".hidden", "NetStream.Play.StreamNotFound"),
        ("flv:.hidden.flv", "NetStream.Play.StreamNotFound"),
        ("link", "NetStream.Play.StreamNotFound"),
        ("../film", "NetStream.Play.StreamNotFound"),
        ("flv:../bad/film", "NetStream.Play.StreamNotFound"),
        ("empty", "NetStream.Play.NoSupportedTrackFound"),
        ("text", "NetStream.Play.NoSupportedTrackFound"),
        ("data", "NetStream.Play.NoSupportedTrackFound"),
        ("cut", "NetStream.Play.FileStructureInvalid"),
        ("noise", "NetStream.Play.FileStructureInvalid"),
    ] {
        client.with(|session| session.play(&play(stream, name, PlayStart::At(0), None, true)).unwrap());
        assert_eq!(client.status(), expected, "{name}");
    }
    client.with(|session| {
        session.play(&play(stream, "folder/flv:film", PlayStart::At(0), None, true)).unwrap()
    });
    heard(&mut client, "keyframe 0");
    assert!(logged("may not play vod/link: leads out of the folder"));
}

#[test]
fn a_file_that_is_replaced_while_it_plays_plays_on() {
    let films = Films::new("replaced").with("film.flv", &flv(&film(4, 1)));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    client.with(|session| session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap());
    heard(&mut client, "keyframe 0");
    fs::remove_file(films.0.join("film.flv")).unwrap();
    fs::write(films.0.join("film.flv"), b"something else").unwrap();
    client.with(|session| session.set_buffer_length(stream, 10_000).unwrap());
    let words = heard(&mut client, "Eof");
    assert!(words.contains(&"keyframe 3000".to_string()), "{words:?}");
}

#[test]
fn a_file_that_is_cut_while_it_plays_ends_there() {
    let whole = flv(&film(30, 1));
    let films = Films::new("shrunk").with("film.flv", &whole);
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    client.with(|session| session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap());
    heard(&mut client, "keyframe 0");
    fs::OpenOptions::new().write(true).open(films.0.join("film.flv")).unwrap().set_len(100).unwrap();
    client.with(|session| {
        session.seek(stream, 20_000).unwrap();
        session.set_buffer_length(stream, 60_000).unwrap();
    });
    heard(&mut client, "Eof");
}

#[test]
fn a_server_that_stops_tells_who_plays_files_and_waits_for_nobody() {
    let films = Films::new("stop").with("film.flv", &flv(&film(60, 1)));
    let (server, address) = films.start();
    let (mut client, stream) = client(address);
    client.with(|session| session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap());
    heard(&mut client, "keyframe 0");
    let begun = Instant::now();
    let stopping = thread::spawn(move || server.stop());
    let statuses = client.statuses_to_the_end();
    assert_eq!(
        statuses.last().map(String::as_str),
        Some("NetConnection.Connect.AppShutdown"),
        "{statuses:?}"
    );
    drop(client);
    stopping.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4));
}
