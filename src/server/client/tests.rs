use super::*;
use crate::{
    base::Timestamp,
    flv::TagKind,
    pcap::Direction,
    server::{Config, Networks, Server},
};

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::net::SocketAddr;
use std::{
    io::{self, Read},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    thread,
};

fn server(config: Config) -> (Server, RtmpUrl) {
    let server = Server::start(Config { listen: vec![([127, 0, 0, 1], 0).into()], ..config }).unwrap();
    let url = format!("rtmp://{}/live/cam?token=secret", server.addresses()[0]).parse().unwrap();
    (server, url)
}

/// A listener that does with its first connection what it is told.
fn fake(act: impl FnOnce(TcpStream) + Send + 'static) -> RtmpUrl {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("rtmp://{}/live/cam?token=secret", listener.local_addr().unwrap()).parse().unwrap();
    thread::spawn(move || act(listener.accept().unwrap().0));
    url
}

fn quick() -> ClientOptions {
    ClientOptions { timeout: Duration::from_millis(200), ..ClientOptions::default() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Tag {
    Tag::new(kind, Timestamp(timestamp), body.into())
}

/// A stream that a player sees whole: configuration, a keyframe, and a frame of several chunks.
fn tags() -> Vec<Tag> {
    vec![
        tag(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1]),
        tag(TagKind::Audio, 0, &[0xaf, 0, 0x12, 0x10]),
        tag(TagKind::Video, 10, &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65]),
        tag(TagKind::Audio, 12, &[0xaf, 1, 0x21]),
        tag(TagKind::Video, 50, &[[0x27, 1, 0, 0, 80].as_slice(), &[0x5a; 200_000]].concat()),
    ]
}

/// Tags of the publisher, and whether the stream ended behind them.
fn collect(player: &mut Player, count: usize) -> (Vec<Tag>, bool) {
    let mut got = Vec::new();
    loop {
        match player.next(soon()).unwrap() {
            Next::Tag(tag) => got.push(tag),
            Next::Ended => return (got, true),
            Next::TimedOut => panic!("{} of {count} tags came", got.len()),
        }
        if got.len() == count {
            return (got, false);
        }
    }
}

#[test]
fn what_a_publisher_sends_a_player_gets_and_both_end_properly() {
    let (_server, url) = server(Config::default());
    let mut player = Player::open(&url, &ClientOptions::default()).unwrap();
    let mut publisher = Publisher::open(&url, &ClientOptions::default()).unwrap();
    tags().iter().for_each(|tag| publisher.send_tag(tag).unwrap());
    assert_eq!(collect(&mut player, tags().len()), (tags(), false));
    publisher.finish().unwrap();
    assert_eq!(collect(&mut player, 1), (vec![], true));
    player.finish().unwrap();
}

#[test]
fn everything_sent_before_the_end_arrives_however_much_it_is() {
    let (_server, url) = server(Config::default());
    let mut player = Player::open(&url, &ClientOptions::default()).unwrap();
    let mut publisher = Publisher::open(&url, &ClientOptions { offer_digest: true, ..quick() }).unwrap();
    let mut sent = tags();
    sent.extend((0..30).map(|index| tag(TagKind::Video, 100 + index, &[0x27; 100_000])));
    let reader = thread::spawn({
        let count = sent.len();
        move || collect(&mut player, count)
    });
    sent.iter().for_each(|tag| publisher.send_tag(tag).unwrap());
    publisher.finish().unwrap();
    assert_eq!(reader.join().unwrap(), (sent, false));
}

#[test]
fn a_player_that_stays_gets_the_next_publication() {
    let (_server, url) = server(Config::default());
    let mut player = Player::open(&url, &ClientOptions::default()).unwrap();
    assert_eq!(player.next(Instant::now()).unwrap(), Next::TimedOut, "nothing is published yet");
    for _ in 0..2 {
        let mut publisher = Publisher::open(&url, &ClientOptions::default()).unwrap();
        tags().iter().for_each(|tag| publisher.send_tag(tag).unwrap());
        publisher.finish().unwrap();
        let (got, _) = collect(&mut player, tags().len());
        let bodies = |tags: &[Tag]| tags.iter().map(|tag| tag.body.clone()).collect::<Vec<_>>();
        assert_eq!(bodies(&got), bodies(&tags()));
        assert_eq!(collect(&mut player, 1), (vec![], true), "told once, in whatever ways the server says it");
    }
}

#[test]
fn a_refusal_says_who_refused_what_and_shows_no_token() {
    let nobody: Networks = "none".parse().unwrap();
    let (server, url) = server(Config { publish_from: nobody, ..Config::default() });
    let error = Publisher::open(&url, &ClientOptions::default()).unwrap_err();
    assert!(matches!(&error, ClientError::Refused { during: Step::Publish, .. }), "{error:?}");
    let text = error.to_string();
    let start = format!("{}: publish: refused with NetStream.Publish.", server.addresses()[0]);
    assert!(text.starts_with(&start) && !text.contains("secret"), "{text}");
}

#[test]
fn a_host_without_a_server_is_named() {
    // Bound and not listening: nobody else gets the port meanwhile.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let peer = socket.local_addr().unwrap().as_socket().unwrap();
    let url = format!("rtmp://{peer}/live/cam").parse().unwrap();
    let error = Player::open(&url, &quick()).unwrap_err();
    assert!(matches!(&error, ClientError::Io { during: Step::Dial, .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("{peer}: connection: ")), "{error}");
}

#[test]
fn a_server_that_is_silent_closes_or_speaks_another_protocol_is_told_apart() {
    let silent = Player::open(&fake(|_socket| thread::sleep(Duration::from_secs(2))), &quick()).unwrap_err();
    assert!(matches!(silent, ClientError::TimedOut { during: Step::Connect, .. }), "{silent:?}");
    let closing = fake(|mut socket| {
        socket.read_exact(&mut [0; 1537]).unwrap();
    });
    let closing = Player::open(&closing, &quick()).unwrap_err();
    let is_end = matches!(
        closing,
        ClientError::Closed { during: Step::Connect, .. }
            | ClientError::Session { during: Step::Connect, .. }
    );
    assert!(is_end, "{closing:?}");
    let other = fake(|mut socket| {
        io::Write::write_all(&mut socket, &[b'H'; 4000]).unwrap();
        thread::sleep(Duration::from_secs(1));
    });
    let other = Player::open(&other, &quick()).unwrap_err();
    assert!(matches!(other, ClientError::Session { during: Step::Connect, .. }), "{other:?}");
}

#[test]
fn a_server_that_never_stops_talking_holds_nobody() {
    let talking = || {
        fake(|mut socket| {
            let mut hello = [0; 1537];
            socket.read_exact(&mut hello).unwrap();
            io::Write::write_all(&mut socket, &[&[3; 1][..], &[0; 1536], &hello[1..]].concat()).unwrap();
            socket.read_exact(&mut [0; 1536]).unwrap();
            let head = [3, 0, 0, 0, 0, 0, 21, 20, 0, 0, 0, 0];
            let status = [&head[..], b"\x02\0\x08onStatus\0", &[0; 8], &[5]].concat().repeat(1000);
            while io::Write::write_all(&mut socket, &status).is_ok() {}
        })
    };
    let (sender, heard) = std::sync::mpsc::channel();
    let interrupted = ClientOptions::default();
    let interrupt = interrupted.interrupt.clone();
    for options in [quick(), interrupted] {
        let (url, sender) = (talking(), sender.clone());
        thread::spawn(move || sender.send(Player::open(&url, &options).unwrap_err()));
    }
    let first = heard.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(matches!(first, ClientError::TimedOut { during: Step::Connect, .. }), "{first:?}");
    interrupt.raise();
    let second = heard.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(matches!(second, ClientError::Interrupted { .. }), "{second:?}");
}

#[test]
fn a_player_notices_when_the_server_goes() {
    let (server, url) = server(Config::default());
    let mut player = Player::open(&url, &ClientOptions::default()).unwrap();
    server.stop();
    assert_eq!(player.next(soon()).unwrap(), Next::Ended);
    let error = loop {
        match player.next(soon()) {
            Ok(Next::Ended | Next::Tag(_)) => {}
            Ok(Next::TimedOut) => panic!("not noticed"),
            Err(error) => break error,
        }
    };
    let is_gone = matches!(
        error,
        ClientError::Closed { .. } | ClientError::Session { .. } | ClientError::Refused { .. }
    );
    assert!(is_gone, "{error:?}");
}

#[test]
fn an_interrupt_ends_a_wait_but_not_the_proper_end() {
    let (_server, url) = server(Config::default());
    let options = ClientOptions::default();
    let mut player = Player::open(&url, &options).unwrap();
    let mut publisher = Publisher::open(&url, &ClientOptions::default()).unwrap();
    let waiting = thread::spawn(move || {
        let error = player.next(soon() + Duration::from_secs(60)).unwrap_err();
        assert!(matches!(error, ClientError::Interrupted { during: Step::Media }), "{error:?}");
        player.finish().unwrap();
    });
    options.interrupt.raise();
    waiting.join().unwrap();
    // Others have one of their own.
    publisher.send_tag(&tags()[0]).unwrap();
    publisher.finish().unwrap();
    let again = Player::open(&url, &options).unwrap_err();
    assert!(matches!(again, ClientError::Interrupted { .. }), "{again:?}");
}

#[test]
fn an_observer_sees_every_byte_of_both_directions_and_both_ends() {
    let (_server, url) = server(Config::default());
    let seen = Arc::new(Mutex::new((Vec::new(), [Vec::new(), Vec::new()])));
    let observer = Observer::new({
        let seen = seen.clone();
        move |what| {
            let (steps, bytes) = &mut *seen.lock().unwrap();
            match what {
                Seen::Opened { .. } => steps.push("opened"),
                Seen::Bytes(Direction::FromClient, more) => bytes[0].extend_from_slice(more),
                Seen::Bytes(Direction::FromServer, more) => bytes[1].extend_from_slice(more),
                Seen::Ended(Direction::FromClient) => steps.push("client ended"),
                Seen::Ended(Direction::FromServer) => steps.push("server ended"),
            }
        }
    });
    let options = ClientOptions { observer: Some(observer), ..ClientOptions::default() };
    let mut publisher = Publisher::open(&url, &options).unwrap();
    tags().iter().for_each(|tag| publisher.send_tag(tag).unwrap());
    publisher.finish().unwrap();
    let (steps, [client, server]) = &*seen.lock().unwrap();
    assert_eq!(steps[..], ["opened", "client ended", "server ended"]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (client, server) = (text(client), text(server));
    // Once each: FCUnpublish comes with the end of the stream.
    for command in ["connect", "FCPublish", "createStream", "FCUnpublish", "deleteStream"] {
        assert_eq!(client.matches(command).count(), 1, "{command}");
    }
    assert!(server.contains("NetStream.Publish.Start"));
}
