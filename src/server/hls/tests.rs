//! Playlists of a running server, by their rules.

use super::*;
use crate::{
    base::{MonoTime, Timestamp},
    codec::h264,
    flv::{Tag, TagKind},
    hls::{Config as Cut, check::Media},
    server::{Config, Server, port::ConnectionId},
};
use alloc::vec;
use core::net::{Ipv4Addr, SocketAddr};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

/// Frame and sound of every 40 ms; a keyframe each second.
fn frames(number: u32) -> [Tag; 2] {
    let timestamp = Timestamp(number * 40);
    let head = if number % 25 == 0 { 0x17 } else { 0x27 };
    let video = [&[head, 1, 0, 0, 0, 0, 0, 0, 2, 0x65][..], &[number as u8]].concat();
    let tag = |kind, body: Vec<u8>| Tag::new(kind, timestamp, body.into());
    [tag(TagKind::Video, video), tag(TagKind::Audio, vec![0xaf, 1, 7])]
}

fn headers() -> [Tag; 2] {
    const SPS: &[u8] = b"\x67\x64\x00\x0d\xac\xd9\x41\x51\x9e\x22\x6c\x04\x40\x00\x00\xfa\x40\x00\x3a\x98\x03\xc5\x0a\x65\x80";
    let record = h264::build_record(SPS, &[b"\x68\xeb\xe3\xcb\x22\xc0"]).unwrap();
    let tag = |kind, body: Vec<u8>| Tag::new(kind, Timestamp(0), body.into());
    let video = [&[0x17, 0, 0, 0, 0][..], &record].concat();
    [tag(TagKind::Video, video), tag(TagKind::Audio, vec![0xaf, 0, 0x12, 0x10])]
}

struct Player(BufReader<TcpStream>);

impl Player {
    fn connect(address: SocketAddr) -> Player {
        Player(BufReader::new(TcpStream::connect(address).unwrap()))
    }

    fn ask(&mut self, query: &str) {
        write!(self.0.get_mut(), "GET /live/x/stream.m3u8{query} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }

    fn playlist(&mut self) -> Media {
        self.0.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let len = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        let mut body = vec![0; len.parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        let text = String::from_utf8(body).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}{text}");
        Media::parse(&text)
    }
}

/// A player of low latency hears of every part, and never of anything that the rules forbid.
#[test]
fn playlists_keep_the_rules_from_part_to_part() {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let server = Server::start(Config { listen, hls: Hls::Always, ..Config::default() }).unwrap();
    let shared = server.shared.clone().unwrap();
    let path = StreamPath::join("", "", "live/x").unwrap();
    let mailbox = Arc::new(Mailbox::new(ConnectionId(0), Ipv4Addr::LOCALHOST.into(), server.port.clone()));
    let publishing = shared.publish(shared.now(), &path, &mailbox, None).ok().unwrap();
    headers().into_iter().for_each(|tag| publishing.tag(MonoTime(1), tag));
    let mut next = 0;
    let mut publish = |count: u32| {
        (next..next + count).flat_map(frames).for_each(|tag| publishing.tag(MonoTime(1), tag));
        next += count;
    };
    let mut player = Player::connect(server.addresses()[0]);
    player.ask("");
    publish(80);
    let mut last = player.playlist();
    let config = Cut::new(0);
    for _ in 0..60 {
        let number = last.first + last.segments.len() as u64;
        let part = last.growing.parts.len();
        player.ask(&format!("?_HLS_msn={number}&_HLS_part={part}"));
        publish(8);
        let now = player.playlist();
        now.check(&config, 85);
        last.check_update(&now);
        last = now;
    }
    assert!(last.segments.len() >= 6, "{last:?}");
}

#[test]
fn there_are_no_more_than_the_limit_whoever_wants_them() {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let server = Server::start(Config { listen, hls: Hls::Always, ..Config::default() }).unwrap();
    let shared = server.shared.clone().unwrap();
    let segmenters = &shared.segmenters;
    let path = |name: String| StreamPath::join("live", "", &name).unwrap();
    let (asks, _asked) = unbounded();
    let (knock, _knocks) = bounded(1);
    for number in 1..MAX_SEGMENTERS {
        let stream = Stream {
            asks: asks.clone(),
            knock: knock.clone(),
            viewers: Arc::default(),
            has_begun: Arc::default(),
        };
        segmenters.lock().insert(path(format!("{number}")), stream);
    }
    let (first, late) = (path(String::from("first")), path(String::from("late")));
    segmenters.published(&shared, &first);
    segmenters.published(&shared, &late);
    let streams = segmenters.lock();
    assert!(streams.contains_key(&first) && !streams.contains_key(&late));
    assert_eq!(streams.len(), MAX_SEGMENTERS);
}
