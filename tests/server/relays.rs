//! Servers that send streams to each other: push, pull, origin and edge.

use super::{sources::quick, *};
use weir::{
    rtmp::MessageStreamId,
    server::{relay::Push, source::SourceConfig},
};

fn url(address: SocketAddr, path: &str) -> String {
    format!("rtmp://{address}/{path}")
}

fn pulling(from: SocketAddr, path: &str) -> (Server, SocketAddr) {
    let sources = vec![SourceConfig::parse_pull(&format!("{path}={}", url(from, path))).unwrap()];
    start(Config { sources, retry: quick(), ..config() })
}

fn pushing(path: &str, to: SocketAddr) -> (Server, SocketAddr) {
    let pushes = vec![Push { path: path_of(path), url: url(to, path).parse().unwrap() }];
    start(Config { pushes, retry: quick(), ..config() })
}

fn edge(origin: SocketAddr) -> (Server, SocketAddr) {
    let origin = Some(format!("rtmp://{origin}").parse().unwrap());
    start(Config { origin, retry: quick(), ..config() })
}

fn path_of(path: &str) -> weir::server::StreamPath {
    weir::server::StreamPath::join("", "", path).unwrap()
}

/// Something that begins anywhere in time, sound and pictures, with bodies of all sizes.
fn stream(start: u32) -> Vec<Tag> {
    let mut tags = vec![metadata(9), video_header(4), audio_header()];
    for number in 0..60 {
        let time = start + number * 40;
        let body = vec![number as u8; 1 + number as usize * 1000];
        tags.push(if number % 10 == 0 { keyframe(time, &body) } else { inter_frame(time, &body) });
        tags.push(audio(time + 5));
    }
    tags
}

/// Media as it was sent: configuration aside, whose times are those of the first frame.
fn media(tags: &[Tag]) -> Vec<Tag> {
    let is_frame = |tag: &&Tag| tag.kind != weir::flv::TagKind::Data && tag.body[1] == 1;
    tags.iter().filter(is_frame).cloned().collect()
}

/// Waits until what is published arrives: whoever joins later begins with the newest keyframe.
fn flows(publisher: &mut Client, out: MessageStreamId, player: &mut Client) -> Vec<Tag> {
    publisher.send(out, &[metadata(9), video_header(4), audio_header(), keyframe(0, b"flows")]);
    player.tags_up_to(|tag| tag.body.ends_with(b"flows"))
}

fn is_last(start: u32) -> impl Fn(&Tag) -> bool {
    move |tag| tag.timestamp.0 == start + 59 * 40 + 5
}

#[test]
fn what_is_pulled_is_bit_exact_and_ends_with_the_original() {
    let (_origin, origin_address) = start(config());
    let (_server, address) = pulling(origin_address, "live/exact");
    let (mut player, _) = Client::player(address, "exact");
    let (mut publisher, out) = Client::publisher(origin_address, "exact");
    flows(&mut publisher, out, &mut player);
    for start in [7_000_000, 9_000_000] {
        publisher.send(out, &stream(start));
        let got = player.tags_up_to(is_last(start));
        assert_eq!(media(&got), media(&stream(start)));
    }
    publisher.with(|session| session.delete_stream(out)).unwrap();
    player.notice(StreamNotice::Eof);
    // On the same connection.
    let (mut again, out) = Client::publisher(origin_address, "exact");
    again.send(out, &stream(50));
    assert_eq!(media(&player.tags_up_to(is_last(50))), media(&stream(50)));
}

#[test]
fn what_is_pushed_is_bit_exact_and_ends_with_the_stream() {
    let (_far, far) = start(config());
    let (_server, address) = pushing("live/pushed", far);
    let (mut player, _) = Client::player(far, "pushed");
    for start in [3_000_000, 5] {
        let (mut publisher, out) = Client::publisher(address, "pushed");
        let first = flows(&mut publisher, out, &mut player);
        publisher.send(out, &stream(start));
        let got = player.tags_up_to(is_last(start));
        assert_eq!(media(&got), media(&stream(start)));
        assert_eq!(
            first[..3].iter().map(|tag| tag.body.clone()).collect::<Vec<_>>(),
            stream(0)[..3].iter().map(|tag| tag.body.clone()).collect::<Vec<_>>()
        );
        publisher.with(|session| session.delete_stream(out)).unwrap();
        player.notice(StreamNotice::Eof);
    }
}

#[test]
fn a_chain_of_three_is_bit_exact_and_recovers_when_the_middle_is_gone() {
    let (_last, last) = start(config());
    let (middle, middle_address) = pushing("live/chain", last);
    let (_first, first) = pushing("live/chain", middle_address);
    let (mut player, _) = Client::player(last, "chain");
    let (mut publisher, out) = Client::publisher(first, "chain");
    flows(&mut publisher, out, &mut player);
    publisher.send(out, &stream(100));
    assert_eq!(media(&player.tags_up_to(is_last(100))), media(&stream(100)));
    // The middle goes and comes back where it was.
    drop(middle);
    until("the first has noticed", || {
        logged(&format!("live/chain cannot be sent to rtmp://{middle_address}/live/chain"))
    });
    let pushes = vec![Push { path: path_of("live/chain"), url: url(last, "live/chain").parse().unwrap() }];
    let (_middle, _) = start(Config { listen: vec![middle_address], pushes, retry: quick(), ..config() });
    player.notice(StreamNotice::Eof);
    publisher.send(out, &stream(100_000));
    // From a keyframe on, and nothing after it is missing.
    let got = media(&player.tags_up_to(is_last(100_000)));
    let all = media(&stream(100_000));
    let sent = [media(&stream(100)), all].concat();
    assert!(got.first().is_some_and(|tag| tag.classify().is_keyframe()), "{:?}", got.first());
    assert_eq!(got, sent[sent.len() - got.len()..]);
}

#[test]
fn refusals_of_the_far_side_are_logged_without_tokens() {
    let takeover = Takeover::Never;
    let (_far, far) = start(Config { takeover, ..config() });
    let (_rival, _) = Client::publisher(far, "taken");
    let token = "t0k3n-of-a-push";
    let to = url(far, &format!("live/taken?key={token}"));
    let push = Push { path: path_of("live/mine"), url: to.parse().unwrap() };
    let (_server, address) = start(Config { pushes: vec![push], retry: quick(), ..config() });
    let (mut publisher, out) = Client::publisher(address, "mine");
    publisher.send(out, &[video_header(1), keyframe(0, b"k")]);
    let line = format!(
        "live/mine cannot be sent to rtmp://{far}/live/taken: {far}: publish: refused with NetStream.Publish.BadName"
    );
    until("it is told", || logged(&line));
    let told = || LOG.lock().unwrap().iter().filter(|told| told.starts_with(&line)).count();
    until("it is tried again", || told() > 2);
    let loud = LOG
        .lock()
        .unwrap()
        .iter()
        .filter(|told| told.starts_with(&line) && told.ends_with("trying again"))
        .count();
    assert_eq!(loud, 1, "the same failure is told once");
    assert!(!logged(token));
}

#[test]
fn a_stream_on_demand_is_pulled_while_somebody_plays() {
    let (origin, origin_address) = start(config());
    let (mut publisher, out) = Client::publisher(origin_address, "rare");
    publisher.send(out, &stream(0)[..20]);
    let spec = format!("live/rare={}?on-demand=1", url(origin_address, "live/rare"));
    let sources = vec![SourceConfig::parse(&spec).unwrap()];
    let (_server, address) = start(Config { sources, retry: quick(), ..config() });
    for _ in 0..2 {
        assert_eq!(origin.stats().connections.value(), 1, "nobody plays");
        let (mut player, _) = Client::player(address, "rare");
        player.tags_up_to(|tag| tag.classify().is_keyframe());
        drop(player);
        until("the pull ends", || origin.stats().connections.value() == 1);
    }
}

#[test]
fn an_edge_fetches_what_is_played_and_waits_for_a_late_publisher() {
    let (origin, origin_address) = start(config());
    let (edge, edge_address) = edge(origin_address);
    let (mut player, _) = Client::player(edge_address, "late");
    let (mut second, _) = Client::player(edge_address, "late");
    until("the edge asks", || origin.stats().connections.value() == 1);
    let (mut publisher, out) = Client::publisher(origin_address, "late");
    flows(&mut publisher, out, &mut player);
    second.tags_up_to(|tag| tag.body.ends_with(b"flows"));
    publisher.send(out, &stream(700));
    for player in [&mut player, &mut second] {
        assert_eq!(media(&player.tags_up_to(is_last(700))), media(&stream(700)));
    }
    drop((player, second));
    until("the edge asks no longer", || origin.stats().connections.value() == 1 && edge.streams() == 0);
    let (mut again, _) = Client::player(edge_address, "late");
    again.tags_up_to(|tag| tag.classify().is_keyframe());
}

#[test]
fn who_publishes_at_the_edge_has_precedence_and_leaves_to_the_origin() {
    let (_origin, origin_address) = start(config());
    let (_edge, edge_address) = edge(origin_address);
    let (mut there, out_there) = Client::publisher(origin_address, "both");
    there.send(out_there, &[video_header(1), keyframe(0, b"there")]);
    let (mut player, _) = Client::player(edge_address, "both");
    player.tags_up_to(|tag| tag.body.ends_with(b"there"));
    let (mut here, out) = Client::publisher(edge_address, "both");
    here.send(out, &[video_header(1), keyframe(0, b"here")]);
    player.tags_up_to(|tag| tag.body.ends_with(b"here"));
    here.with(|session| session.delete_stream(out)).unwrap();
    player.notice(StreamNotice::Eof);
    player.tags_up_to(|tag| tag.body.ends_with(b"there"));
}

#[test]
fn servers_that_ask_each_other_in_a_ring_let_go() {
    // Addresses that are known before anybody listens.
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let addresses = [free(), free(), free()];
    let ring: Vec<Server> = (0..3)
        .map(|number| {
            let origin = Some(format!("rtmp://{}", addresses[(number + 1) % 3]).parse().unwrap());
            start(Config { listen: vec![addresses[number]], origin, retry: quick(), ..config() }).0
        })
        .collect();
    let (player, _) = Client::player(addresses[0], "ring");
    until("the ring is noticed", || {
        logged("may not play live/ring: servers ask each other for it in a ring")
    });
    drop(player);
    until("all let go", || ring.iter().all(|server| server.streams() == 0));
}

#[test]
fn an_origin_that_is_not_there_keeps_nobody_from_stopping() {
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let (server, address) = edge(nowhere);
    let (_player, _) = Client::player(address, "nowhere");
    until("it is told", || logged("live/nowhere: rtmp://127.0.0.1:9/live/nowhere failed: "));
    let asked = Instant::now();
    server.stop();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn a_server_may_feed_one_stream_from_another_of_its_own() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let spec = format!("live/copy={}?on-demand=1", url(address, "live/original"));
    let sources = vec![SourceConfig::parse(&spec).unwrap()];
    let (_server, _) = start(Config { listen: vec![address], sources, retry: quick(), ..config() });
    let (mut player, _) = Client::player(address, "copy");
    until("the copy is asked for", || logged("plays live/original"));
    let (mut publisher, out) = Client::publisher(address, "original");
    flows(&mut publisher, out, &mut player);
    publisher.send(out, &stream(40));
    assert_eq!(media(&player.tags_up_to(is_last(40))), media(&stream(40)));
}

#[test]
fn a_stream_that_is_pushed_back_to_where_it_came_from_is_refused_there() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let again = url(address, "live/again").parse().unwrap();
    let pushes = vec![Push { path: path_of("live/again"), url: again }];
    let (_server, _) = start(Config { listen: vec![address], pushes, retry: quick(), ..config() });
    let (mut player, _) = Client::player(address, "again");
    let (mut publisher, out) = Client::publisher(address, "again");
    flows(&mut publisher, out, &mut player);
    publisher.send(out, &stream(0));
    assert_eq!(media(&player.tags_up_to(is_last(0))), media(&stream(0)));
    until("the ring is noticed", || {
        logged("may not publish live/again: servers send it to each other in a ring")
    });
    publisher.send(out, &stream(5000));
    assert_eq!(media(&player.tags_up_to(is_last(5000))), media(&stream(5000)));
}

/// A file of the origin ends for good on the connection that fetched it: whoever asks again gets it again.
#[test]
fn a_file_of_the_origin_plays_through_an_edge_more_than_once() {
    let folder = std::env::temp_dir().join(format!("weir-edge-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut film = weir::flv::writer::header(true, true).to_vec();
    stream(0).iter().for_each(|tag| weir::flv::writer::write_tag(&mut film, tag).unwrap());
    std::fs::write(folder.join("film.flv"), film).unwrap();
    let (_origin, origin) = start(Config { media: Some(folder.clone()), ..config() });
    let (_edge, address) = edge(origin);
    for round in 0..2 {
        let mut player = Client::connect(address, "vod");
        let out = player.create_stream();
        player.play(out, "film");
        assert_eq!(media(&player.tags_up_to(is_last(0))).len(), media(&stream(0)).len(), "{round}");
        player.notice(StreamNotice::Eof);
    }
    let _ = std::fs::remove_dir_all(folder);
}
