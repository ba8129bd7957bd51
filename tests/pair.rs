//! The client role against the server role, in memory and in simulated time.

#[path = "support/pair.rs"]
mod support;

use support::{Pair, Split, tag};
use weir::{
    amf::Value,
    base::{Payload, Timestamp},
    flv::{Tag, TagKind},
    rtmp::{
        ErrorKind, Event, Limits, MessageStreamId, Timer,
        session::{
            ClientConfig, CloseReason, Notice, Play, PlayStart, PublishType, RejectReason, ServerConfig,
            State, StreamNotice, Wanted,
        },
    },
};

fn publisher() -> ClientConfig {
    ClientConfig { app: "live".into(), is_publisher: true, ..ClientConfig::default() }
}

fn player() -> ClientConfig {
    ClientConfig { app: "live".into(), ..ClientConfig::default() }
}

fn connected(client: ClientConfig, split: Split) -> Pair {
    let mut pair = Pair::new(client, ServerConfig::default(), split);
    pair.connect();
    pair
}

/// A client that publishes "cam" on the returned stream.
fn publishing(split: Split) -> (Pair, MessageStreamId) {
    let mut pair = connected(publisher(), split);
    let stream = pair.create_stream();
    pair.client.publish(stream, "cam", PublishType::Live).expect("created");
    pair.run().expect("publish");
    assert!(has_status(&pair, "NetStream.Publish.Start"), "{:?}", pair.client_events);
    pair.client_events.clear();
    pair.server_events.clear();
    (pair, stream)
}

/// A client that plays "cam" on the returned stream.
fn playing(split: Split) -> (Pair, MessageStreamId) {
    let mut pair = connected(player(), split);
    let stream = pair.create_stream();
    pair.client.play(&live("cam", stream)).expect("created");
    pair.run().expect("play");
    assert!(has_status(&pair, "NetStream.Play.Start"), "{:?}", pair.client_events);
    pair.client_events.clear();
    pair.server_events.clear();
    (pair, stream)
}

fn live(name: &str, stream: MessageStreamId) -> Play {
    Play {
        stream,
        name: name.into(),
        start: PlayStart::Live,
        duration: None,
        reset: true,
        wanted: Wanted::default(),
    }
}

fn has_status(pair: &Pair, code: &str) -> bool {
    pair.client_events
        .iter()
        .any(|event| matches!(event, Event::Status { status, .. } if status.code == code))
}

fn tags(events: &[Event]) -> Vec<Tag> {
    let tag = |event: &Event| match event {
        Event::Tag { tag, .. } => Some(tag.clone()),
        _ => None,
    };
    events.iter().filter_map(tag).collect()
}

const SPLITS: [Split; 4] = [Split::Whole, Split::Bytes, Split::Seeded(3), Split::Seeded(99)];

#[test]
fn what_is_published_arrives_bit_for_bit_however_the_bytes_are_cut() {
    for split in SPLITS {
        let (mut pair, stream) = publishing(split);
        let sent: Vec<Tag> = (0..200)
            .map(|index| match index % 5 {
                0 => tag(TagKind::Video, index * 20, 3000),
                1 => tag(TagKind::Data, index * 20, 40),
                2 => tag(TagKind::Video, index * 20, 70_000),
                _ => tag(TagKind::Audio, index * 20, 200),
            })
            .collect();
        for tag in &sent {
            pair.client.send_tag(stream, tag).expect("room");
            pair.run().expect("media");
        }
        assert_eq!(tags(&pair.server_events), sent, "{split:?}");
    }
}

#[test]
fn what_is_played_arrives_bit_for_bit_however_the_bytes_are_cut() {
    for split in SPLITS {
        let (mut pair, stream) = playing(split);
        let sent: Vec<Tag> = (0..50).map(|index| tag(TagKind::Video, index * 40, 100_000)).collect();
        for tag in &sent {
            pair.server.send_tag(stream, tag).expect("room");
            pair.run().expect("media");
        }
        assert_eq!(tags(&pair.client_events), sent, "{split:?}");
    }
}

#[test]
fn the_digest_handshake_is_offered_and_proven() {
    for offer_digest in [false, true] {
        let config = ClientConfig { offer_digest, ..publisher() };
        let mut pair = Pair::new(config, ServerConfig::default(), Split::Seeded(5));
        pair.run().expect("connect");
        let done = Event::HandshakeDone { digest: offer_digest };
        assert!(pair.client_events.contains(&done) && pair.server_events.contains(&done));
    }
}

#[test]
fn metadata_gets_its_set_data_frame_on_the_way_up_and_loses_it_again() {
    let (mut pair, stream) = publishing(Split::Whole);
    let body = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09";
    let tag = Tag::new(TagKind::Data, Timestamp(0), Payload::from(&body[..]));
    let before = pair.server.stats().bytes_in;
    pair.client.send_tag(stream, &tag).expect("room");
    pair.run().expect("media");
    assert_eq!(tags(&pair.server_events), [tag]);
    assert_eq!(pair.server.stats().bytes_in - before, 12 + 16 + body.len() as u64);
}

#[test]
fn metadata_of_the_greatest_length_goes_without_set_data_frame() {
    let (mut pair, stream) = publishing(Split::Whole);
    for (len, prefix) in [(0xff_ffff - 16, 16), (0xff_ffff - 15, 0), (0xff_ffff, 0)] {
        let mut body = b"\x02\x00\x0aonMetaData\x0c".to_vec();
        body.extend_from_slice(&(len as u32 - 18).to_be_bytes());
        body.resize(len, b'x');
        let tag = Tag::new(TagKind::Data, Timestamp(0), Payload::from(body));
        pair.server_events.clear();
        pair.client.send_tag(stream, &tag).expect("room");
        let queued = pair.client.output_len();
        pair.run().expect("media");
        assert!(tags(&pair.server_events) == [tag], "{len}");
        let chunks = (len + prefix).div_ceil(65_536);
        assert!((len + prefix + chunks..=len + prefix + 11 + chunks).contains(&queued), "{len}: {queued}");
    }
}

#[test]
fn several_streams_of_one_connection_publish_and_play_side_by_side() {
    let mut pair = connected(player(), Split::Seeded(11));
    let (first, second, third) = (pair.create_stream(), pair.create_stream(), pair.create_stream());
    pair.client.publish(first, "a", PublishType::Live).expect("created");
    pair.client.publish(second, "b", PublishType::Live).expect("created");
    pair.client.play(&live("c", third)).expect("created");
    pair.run().expect("commands");
    pair.server_events.clear();
    pair.client_events.clear();
    for index in 0..20 {
        pair.client.send_tag(first, &tag(TagKind::Audio, index, 300)).expect("room");
        pair.client.send_tag(second, &tag(TagKind::Audio, index + 1000, 300)).expect("room");
        pair.server.send_tag(third, &tag(TagKind::Audio, index + 2000, 300)).expect("room");
        pair.run().expect("media");
    }
    let of = |events: &[Event], wanted: MessageStreamId| -> Vec<u32> {
        let time = |event: &Event| match event {
            Event::Tag { stream, tag } if *stream == wanted => Some(tag.timestamp.0),
            _ => None,
        };
        events.iter().filter_map(time).collect()
    };
    assert_eq!(of(&pair.server_events, first), (0..20).collect::<Vec<_>>());
    assert_eq!(of(&pair.server_events, second), (1000..1020).collect::<Vec<_>>());
    assert_eq!(of(&pair.client_events, third), (2000..2020).collect::<Vec<_>>());
    // One ends; the others go on.
    pair.client.delete_stream(first).expect("created");
    pair.run().expect("deleteStream");
    assert!(pair.server_events.contains(&Event::StreamEnded { stream: first }));
    pair.server_events.clear();
    pair.client.send_tag(second, &tag(TagKind::Audio, 7, 300)).expect("room");
    pair.run().expect("media");
    assert_eq!(of(&pair.server_events, second), [7]);
}

#[test]
fn commands_get_their_answers_and_servers_may_leave_some_out() {
    let mut pair = connected(publisher(), Split::Whole);
    let asked =
        pair.client.call(MessageStreamId(0), "releaseStream", &[Value::from("cam")]).expect("connected");
    pair.run().expect("call");
    let expected =
        Event::Reply { transaction: asked, is_ok: true, values: vec![Value::Null, Value::Undefined] };
    assert!(pair.client_events.contains(&expected), "{:?}", pair.client_events);
}

#[test]
fn a_refused_connect_reaches_the_client_with_its_reason() {
    let mut pair = Pair::new(publisher(), ServerConfig::default(), Split::Whole);
    pair.accept_all = false;
    pair.run().expect("handshake");
    let request = pair.server_events.iter().find_map(Event::request).expect("connect");
    pair.server.reject(request, RejectReason::NotAllowed("not from there".into())).expect("it waits");
    pair.run().expect("rejection");
    let status = pair.client_events.iter().find_map(|event| match event {
        Event::ConnectRejected(status) => Some(status.clone()),
        _ => None,
    });
    let status = status.expect("a rejection");
    assert_eq!((&*status.code, &*status.description), ("NetConnection.Connect.Rejected", "not from there"));
    assert_eq!((pair.client.state(), pair.server.state()), (State::Closing, State::Closing));
}

#[test]
fn the_publisher_leaves_and_returns_under_the_eyes_of_a_player() {
    let (mut pair, stream) = playing(Split::Whole);
    pair.server.notify(stream, Notice::Unpublished).expect("it plays");
    pair.server.notify(stream, Notice::Published).expect("it plays");
    pair.run().expect("notices");
    assert!(has_status(&pair, "NetStream.Play.UnpublishNotify"));
    assert!(has_status(&pair, "NetStream.Play.PublishNotify"));
    assert!(pair.client_events.contains(&Event::StreamNotice { stream, notice: StreamNotice::Eof }));
    pair.server.send_tag(stream, &tag(TagKind::Audio, 0, 100)).expect("room");
    pair.run().expect("media");
    // Sample access, which goes before StreamEOF, and the media.
    let kinds: Vec<TagKind> = tags(&pair.client_events).iter().map(|tag| tag.kind).collect();
    assert_eq!(kinds, [TagKind::Data, TagKind::Audio]);
}

#[test]
fn a_server_that_closes_without_an_answer_to_connect_has_not_ended_cleanly() {
    let mut pair = Pair::new(publisher(), ServerConfig::default(), Split::Whole);
    pair.accept_all = false;
    pair.run().expect("handshake");
    let error = pair.client.handle_eof(pair.now).expect_err("connect is unanswered");
    assert_eq!(error.kind, ErrorKind::PeerClosed { clean: true });
}

#[test]
fn a_player_may_ask_for_video_alone() {
    let mut pair = connected(player(), Split::Whole);
    let stream = pair.create_stream();
    let wanted = Wanted { audio: false, video: true };
    pair.client.play(&Play { wanted, ..live("cam", stream) }).expect("created");
    pair.run().expect("play");
    let play = pair.server_events.iter().find_map(|event| match event {
        Event::Play { play, .. } => Some(play.clone()),
        _ => None,
    });
    let play = play.expect("a play");
    assert_eq!(play.wanted, wanted);
}

#[test]
fn a_shutdown_tells_the_client_and_ends() {
    let (mut pair, _) = playing(Split::Whole);
    pair.server.close(pair.now, CloseReason::Shutdown);
    pair.run().expect("goodbye");
    assert!(has_status(&pair, "NetStream.Play.UnpublishNotify"));
    assert!(has_status(&pair, "NetConnection.Connect.AppShutdown"));
    pair.server.handle_eof(pair.now).expect("agreed");
    assert_eq!(pair.server.state(), State::Closed);
}

// ---- hours of stream in moments

/// Publishes for `hours` from `start`, a keyframe-sized tag and an audio tag each second, and plays it back.
fn stream_for(start: u32, seconds: u32) {
    let (mut up, from) = publishing(Split::Whole);
    let (mut down, to) = playing(Split::Whole);
    let mut sent = Vec::new();
    for second in 0..seconds {
        let now = start.wrapping_add(second * 1000);
        sent.extend([tag(TagKind::Video, now, 900), tag(TagKind::Audio, now.wrapping_add(23), 100)]);
        for tag in &sent[sent.len() - 2..] {
            up.client.send_tag(from, tag).expect("room");
        }
        up.wait(1000).expect("alive");
        up.run().expect("media");
        for event in up.server_events.drain(..) {
            if let Event::Tag { tag, .. } = event {
                down.server.send_tag(to, &tag).expect("room");
            }
        }
        down.wait(1000).expect("alive");
        down.run().expect("media");
    }
    let got = tags(&down.client_events);
    assert_eq!(got.len(), sent.len());
    for (got, sent) in got.iter().zip(&sent) {
        assert_eq!((got.timestamp, &got.body), (sent.timestamp, &sent.body));
    }
}

#[test]
fn a_stream_crosses_the_extended_timestamp() {
    stream_for(0xff_ffff - 10_000, 20);
}

#[test]
fn a_stream_crosses_the_end_of_the_32_bit_clock() {
    stream_for(u32::MAX - 10_000, 20);
}

#[test]
fn a_player_that_only_watches_stays_for_a_day() {
    let (mut pair, stream) = playing(Split::Whole);
    for hour in 0..24 {
        pair.server.send_tag(stream, &tag(TagKind::Audio, hour * 3_600_000, 100)).expect("room");
        pair.wait(3_600_000).expect("pings are answered");
    }
    assert_eq!(tags(&pair.client_events).len(), 24);
}

#[test]
fn five_gigabytes_are_acknowledged_across_the_wrap() {
    const BODY: usize = 4 << 20;
    const TOTAL: u64 = 5 << 30;
    let (mut pair, stream) = playing(Split::Whole);
    let tag = tag(TagKind::Video, 0, BODY);
    let mut last = 0;
    for _ in 0..TOTAL / BODY as u64 {
        pair.server.send_tag(stream, &tag).expect("room");
        pair.run().expect("media");
        pair.client_events.clear();
        let acknowledged = pair.server.stats().acknowledged;
        assert!(acknowledged >= last, "the count went back from {last} to {acknowledged}");
        last = acknowledged;
    }
    let sent = pair.server.stats().bytes_out;
    assert!(sent > TOTAL && sent - last <= 2_500_000 + BODY as u64, "{last} of {sent} bytes acknowledged");
}

#[test]
fn a_peer_that_vanishes_without_a_word_is_given_up() {
    let (mut pair, _) = playing(Split::Whole);
    let mut now = pair.now;
    let error = loop {
        now = pair.server.poll_timeout().expect("a deadline").max(now);
        if let Err(error) = pair.server.handle_timeout(now) {
            break error;
        }
    };
    let limits = Limits::default();
    assert_eq!(error.kind, ErrorKind::TimedOut(Timer::PingReply));
    assert_eq!(now.since(pair.now), limits.ping_interval.expect("set") + limits.ping_timeout);
}
