//! Limits, logs, addresses, the end.

use super::*;

#[test]
fn connections_past_the_limit_are_turned_away() {
    let (server, address) = start(Config { max_connections: 2, ..config() });
    let _first = Client::connect(address, "live");
    let second = Client::connect(address, "live");
    let mut third = TcpStream::connect(address).unwrap();
    third.set_read_timeout(Some(DEADLINE)).unwrap();
    assert!(matches!(third.read(&mut [0]), Ok(0) | Err(_)));
    assert_eq!(server.stats().refused.value(), 1);
    drop(second);
    until("a place is free", || server.stats().connections.value() == 1);
    let _again = Client::connect(address, "live");
}

#[test]
fn queries_are_never_logged() {
    let (server, address) = start(config());
    let secret = "t0ps3cret";
    let mut publisher = Client::connect(address, &format!("live?token={secret}"));
    let out = publisher.create_stream();
    publisher.publish(out, &format!("quiet?key={secret}"));
    assert_eq!(publisher.status(), "NetStream.Publish.Start");
    let mut rival = Client::connect(address, "live");
    let stream = rival.create_stream();
    rival.publish(stream, &format!("../quiet?key={secret}"));
    rival.statuses_to_the_end();
    let (mut player, _) = Client::player(address, &format!("quiet?key={secret}"));
    publisher.send(out, &[keyframe(0, b"k")]);
    player.tag();
    drop((publisher, player));
    until("connections are gone", || server.stats().connections.value() == 0);
    drop(server);
    assert!(logged("plays live/quiet") && logged("publishes live/quiet"), "the log says who does what");
    assert!(!logged(secret), "the log holds a token");
}

#[test]
fn a_stopping_server_says_goodbye_in_time() {
    let (server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "cam");
    let (mut player, _) = Client::player(address, "cam");
    publisher.send(out, &[keyframe(0, b"k")]);
    player.tag();
    // One that never speaks, and one that never reads.
    let _silent = TcpStream::connect(address).unwrap();
    let (_deaf, _) = Client::player(address, "cam");
    let asked = Instant::now();
    server.stop();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    let told = player.statuses_to_the_end();
    assert!(told.contains(&"NetStream.Play.UnpublishNotify".to_string()), "{told:?}");
    let told = publisher.statuses_to_the_end();
    assert!(told.contains(&"NetConnection.Connect.AppShutdown".to_string()), "{told:?}");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_address_in_use_is_named() {
    let (_server, address) = start(config());
    let error =
        Server::start(Config { listen: vec![address], ..config() }).err().expect("must fail").to_string();
    assert!(error.starts_with(&format!("--listen {address}: Address already in use")), "{error}");
}

#[test]
fn ipv6_and_ipv4_reach_one_dual_stack_listener() {
    let (server, _) = start(Config { listen: vec!["[::]:0".parse().unwrap()], ..config() });
    let port = server.addresses()[0].port();
    let (mut publisher, out) = Client::publisher(SocketAddr::new("127.0.0.1".parse().unwrap(), port), "cam");
    let (mut player, _) = Client::player(SocketAddr::new("::1".parse().unwrap(), port), "cam");
    publisher.send(out, &[keyframe(0, b"k")]);
    assert!(player.tag().body.ends_with(b"k"));
}

#[test]
fn the_demo_plays() {
    let (_server, address) = start(Config { demo: true, ..config() });
    let (mut player, _) = Client::player(address, "demo");
    let received = player.tags_up_to(|tag| tag.classify().is_keyframe());
    assert!(received.len() >= 3, "{received:?}");
}

#[test]
fn many_players_share_few_threads() {
    let (server, address) = start(Config { subscriber_threads: 2, ..config() });
    let (mut publisher, out) = Client::publisher(address, "cam");
    let mut players: Vec<Client> = (0..8).map(|_| Client::player(address, "cam").0).collect();
    publisher.send(out, &[video_header(1), keyframe(0, b"k")]);
    for player in &mut players {
        assert_eq!(times(&player.tags_up_to(|tag| tag.body.ends_with(b"k"))), [0, 0]);
    }
    drop(players);
    until("players are gone", || server.stats().connections.value() == 1);
    let (mut again, _) = Client::player(address, "cam");
    assert!(again.tags_up_to(|tag| tag.body.ends_with(b"k")).len() == 2);
}
