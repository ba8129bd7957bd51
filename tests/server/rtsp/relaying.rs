//! Streams that are fetched and sent on by RTSP, weir at both ends.

use super::{super::sources::quick, *};
use weir::{
    flv::TagKind,
    rtsp::Credentials,
    server::{RtspConfig, StreamPath, relay::Push, source::SourceConfig},
};

/// As a URL has it: `p:s%40ss/`.
const LOGIN: &str = "cam:p%3as%2540ss%2f";

fn locked() -> Config {
    let user = Credentials { name: "cam".into(), password: "p:s%40ss/".into() };
    Config { rtsp: RtspConfig { users: vec![user], ..RtspConfig::default() }, ..config() }
}

fn with_source(spec: &str) -> (Server, SocketAddr) {
    let sources = vec![SourceConfig::parse(spec).unwrap()];
    start(Config { sources, retry: quick(), ..config() })
}

fn with_push(path: &str, to: &str) -> (Server, SocketAddr) {
    let pushes = vec![Push { path: StreamPath::join("", "", path).unwrap(), url: to.parse().unwrap() }];
    start(Config { pushes, retry: quick(), ..config() })
}

/// A group of pictures of all sizes, with sound of 44.1 kHz.
fn group(start: u32) -> Vec<Tag> {
    let mut tags = Vec::new();
    for number in 0..40 {
        tags.push(picture(start + number * 40, number == 0, 6 + (number * 331) as usize));
    }
    for number in 0..68 {
        let body = vec![0xaf, 1, 0x21, number as u8];
        let time = start + 7 + (number * 1024 * 1000) / 44_100;
        tags.push(Tag::new(TagKind::Audio, weir::base::Timestamp(time), body.into()));
    }
    tags.sort_by_key(|tag| tag.timestamp.0);
    tags
}

fn publish(address: SocketAddr, name: &str, tags: &[Tag]) -> (Client, weir::rtmp::MessageStreamId) {
    let (mut publisher, out) = Client::publisher(address, name);
    publisher.send(out, &[picture_header(), audio_header()]);
    publisher.send(out, tags);
    (publisher, out)
}

fn frames(tags: &[Tag]) -> Vec<(TagKind, u32, Vec<u8>)> {
    let is_frame = |tag: &&Tag| tag.kind != TagKind::Data && tag.classify().role.is_frame();
    tags.iter().filter(is_frame).map(|tag| (tag.kind, tag.timestamp.0, tag.body.to_vec())).collect()
}

/// All frames came, with the times that they had among each other.
#[track_caller]
fn assert_same(got: &[Tag], sent: &[Tag]) {
    let (got, sent) = (frames(got), frames(sent));
    let began = got[0].1.wrapping_sub(sent[0].1);
    for kind in [TagKind::Video, TagKind::Audio] {
        let of = |frames: &[(TagKind, u32, Vec<u8>)]| -> Vec<(u32, Vec<u8>)> {
            let of_kind = frames.iter().filter(|frame| frame.0 == kind);
            of_kind.map(|(_, time, body)| (*time, body.clone())).collect()
        };
        let (got, sent) = (of(&got), of(&sent));
        assert_eq!(got.len(), sent.len(), "{kind:?}");
        let pairs = || got.iter().zip(&sent);
        assert!(pairs().all(|(got, sent)| got.1 == sent.1), "{kind:?} is not what it was");
        let off: Vec<i32> =
            pairs().map(|(got, sent)| got.0.wrapping_sub(sent.0).wrapping_sub(began) as i32).collect();
        assert!(off.iter().all(|off| off.abs() <= 1), "{kind:?} is off by {off:?} ms");
    }
}

/// Everything up to the last picture and the last sound, which do not wait for each other over UDP.
fn all_of(player: &mut Client, sent: &[Tag]) -> Vec<Tag> {
    let mut missing: Vec<&Tag> = [TagKind::Video, TagKind::Audio]
        .map(|kind| sent.iter().rfind(|tag| tag.kind == kind).unwrap())
        .into();
    let mut got = Vec::new();
    while !missing.is_empty() {
        let tag = player.tag();
        missing.retain(|last| last.body != tag.body);
        got.push(tag);
    }
    got
}

#[test]
fn what_is_pulled_is_bit_exact_over_tcp_and_udp_with_a_login() {
    for transport in ["tcp", "udp"] {
        let (_origin, origin) = start(locked());
        let spec = format!("live/copy=rtsp://{LOGIN}@{origin}/live/cam?transport={transport}");
        let (_server, address) = with_source(&spec);
        let (mut player, _) = Client::player(address, "copy");
        let sent = group(5_000);
        let (_publisher, _) = publish(origin, "cam", &sent);
        assert_same(&all_of(&mut player, &sent), &sent);
        until("the transport is told", || {
            logged(&format!("plays live/cam by RTSP over {}", transport.to_uppercase()))
        });
        assert!(!logged("p%3as") && !logged("p:s%40ss"), "the password is logged");
    }
}

#[test]
fn what_is_pushed_is_bit_exact_over_tcp_and_udp_with_a_login() {
    for transport in ["tcp", "udp"] {
        let (_far, far) = start(locked());
        let (_server, address) =
            with_push("live/cam", &format!("rtsp://{LOGIN}@{far}/live/sent?transport={transport}"));
        let (mut player, _) = Client::player(far, "sent");
        let sent = group(70_000);
        let (mut publisher, out) = publish(address, "cam", &sent);
        assert_same(&all_of(&mut player, &sent), &sent);
        publisher.with(|session| session.delete_stream(out)).unwrap();
        player.notice(StreamNotice::Eof);
        // Announced again.
        drop(publisher);
        let again = group(9);
        let (_publisher, _) = publish(address, "cam", &again);
        assert_same(&all_of(&mut player, &again), &again);
        assert!(!logged("p%3as") && !logged("p:s%40ss"), "the password is logged");
    }
}

#[test]
fn a_chain_of_three_is_bit_exact() {
    let (_middle, middle) = start(config());
    let (_first, first) = with_push("live/a", &format!("rtsp://{middle}/live/b"));
    let (_last, last) = with_source(&format!("live/c=rtsp://{middle}/live/b?transport=udp"));
    let (mut player, _) = Client::player(last, "c");
    let sent = group(0);
    let (_publisher, _) = publish(first, "a", &sent);
    assert_same(&all_of(&mut player, &sent), &sent);
}

#[test]
fn a_wrong_password_is_told_and_tried_again_with_a_rest() {
    let (_origin, origin) = start(locked());
    let (_publisher, _) = publish(origin, "cam", &group(0));
    let (_server, _) = with_source(&format!("live/denied=rtsp://cam:wr0ng-one@{origin}/live/cam?key=t0k3n"));
    until("the refusal is told", || {
        logged(&format!(
            "live/denied: rtsp://{origin}/live/cam failed: {origin}: the login is missing or wrong; trying again"
        ))
    });
    until("the next attempt is told", || {
        logged(&format!(
            "live/denied: rtsp://{origin}/live/cam failed: {origin}: the login is missing or wrong; again in"
        ))
    });
    assert!(!logged("wr0ng-one") && !logged("t0k3n"), "secrets are logged");
}

#[test]
fn a_server_that_goes_away_and_comes_back_is_played_again() {
    let (origin, at) = start(config());
    let (_server, address) = with_source(&format!("live/copy=rtsp://{at}/live/gone"));
    let (mut player, _) = Client::player(address, "copy");
    let before = group(100);
    let (publisher, _) = publish(at, "gone", &before);
    assert_same(&all_of(&mut player, &before), &before);
    drop((publisher, origin));
    until("the end is told", || logged(&format!("live/copy: rtsp://{at}/live/gone failed: {at}: ")));
    let (_origin, _) = start(Config { listen: vec![at], ..config() });
    until("it is asked again", || logged("DESCRIBE was answered 404"));
    let after = group(900);
    let (_publisher, _) = publish(at, "gone", &after);
    let got = all_of(&mut player, &after);
    // Behind what sound there was left of before.
    let begin = got.iter().position(|tag| tag.body == after[0].body).unwrap();
    assert_same(&got[begin..], &after);
}

#[test]
fn on_demand_a_stream_is_played_while_somebody_plays_it() {
    let (_origin, at) = start(config());
    let sent = group(3);
    let (_publisher, _) = publish(at, "door", &sent);
    let (_server, address) = with_source(&format!("live/copy=rtsp://{at}/live/door?on-demand=1"));
    assert!(!logged("plays live/door"));
    let (mut player, _) = Client::player(address, "copy");
    assert_same(&all_of(&mut player, &sent), &sent);
    drop(player);
    until("it stops", || logged(&format!("live/copy: nobody plays, rtsp://{at}/live/door stops")));
    let (mut player, _) = Client::player(address, "copy");
    assert_same(&all_of(&mut player, &sent), &sent);
}

#[test]
fn a_stream_whose_tracks_change_is_announced_anew() {
    let (_far, far) = start(config());
    let (_server, address) = with_push("live/grows", &format!("rtsp://{far}/live/grown"));
    let (mut player, _) = Client::player(far, "grown");
    let first = group(0);
    let (mut publisher, out) = publish(address, "grows", &first);
    assert_same(&all_of(&mut player, &first), &first);
    // AAC of 48 kHz instead of 44.1.
    let header = Tag::new(TagKind::Audio, weir::base::Timestamp(0), vec![0xaf, 0, 0x11, 0x90].into());
    publisher.send(out, std::slice::from_ref(&header));
    let second = group(2_000);
    publisher.send(out, &second);
    let got = all_of(&mut player, &second);
    assert!(got.iter().any(|tag| tag.body == header.body), "the new configuration is missing");
    let pictures = |tags: &[Tag]| -> Vec<Vec<u8>> {
        frames(tags).into_iter().filter(|frame| frame.0 == TagKind::Video).map(|frame| frame.2).collect()
    };
    assert_eq!(pictures(&got), pictures(&second));
    assert!(logged(&format!("live/grows is announced to rtsp://{far}/live/grown anew")));
}
