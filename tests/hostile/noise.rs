//! Seeded noise: messages of all types with random bodies in every state, and flipped bits in sound conversations.
//! Whatever comes, nothing panics, an error sticks, and memory and output stay in their bounds.

use crate::{
    memory::{live, peak_of},
    peer::{self, CONNECTION, Peer, Random, STREAM},
};
use weir::{
    amf::Value,
    base::{MonoTime, Timestamp},
    flv::{Tag, TagKind},
    rtmp::{
        ClientConfig, Event, Limits, MessageStreamId, ServerConfig, Session,
        message::type_id,
        session::{Play, PlayStart, State, Wanted},
    },
};

/// Every state a session can be in when a message comes.
const STATES: [fn() -> Peer; 8] = [
    || Peer::server(&Limits::default()),
    || Peer::open(&Limits::default()),
    || Peer::connected(&Limits::default()),
    || Peer::publishing(&Limits::default()),
    || Peer::playing(&Limits::default()),
    || {
        let mut closing = Peer::publishing(&Limits::default());
        closing.feed(&peer::call(CONNECTION, "close", 0.0, vec![])).expect("close");
        closing
    },
    || {
        let mut client = Peer::new(Session::client(ClientConfig::default(), 1, MonoTime(0)));
        client.feed(&peer::handshake()).expect("handshake");
        client
    },
    playing_client,
];

/// A client with a stream that plays.
fn playing_client() -> Peer {
    let mut client = STATES[6]();
    client.feed(&peer::call(CONNECTION, "_result", 1.0, vec![Value::Null])).expect("connected");
    client.session.create_stream().expect("connected");
    client.feed(&peer::call(CONNECTION, "_result", 2.0, vec![Value::Number(1.0)])).expect("created");
    let play = Play {
        stream: STREAM,
        name: "cam".into(),
        start: PlayStart::Live,
        duration: None,
        reset: true,
        wanted: Wanted::default(),
    };
    client.session.play(&play).expect("created");
    client
}

/// Feeds `wire` in pieces; checks what must hold whatever it is.
fn survive(peer: &mut Peer, wire: &[u8], cut: usize, what: &dyn Fn() -> String) {
    let (result, peak) = peak_of(|| peer.feed_cut(wire, cut));
    // Events and output are kept by the peer, and count here as well.
    let bound = (1 << 20) + 64 * wire.len() as isize;
    assert!(peak < bound, "{peak} bytes of memory for {} of {}", wire.len(), what());
    assert!(
        peer.output.len() <= 8 * 1536 + 40 * wire.len(),
        "{} bytes of output: {}",
        peer.output.len(),
        what()
    );
    if let Err(error) = result {
        assert_eq!(peer.feed(wire), Err(error), "{}", what());
        assert_eq!(peer.session.handle_timeout(MonoTime(1 << 40)), Err(error));
        assert_eq!(peer.session.handle_eof(MonoTime(1 << 40)), Err(error));
        assert_eq!((peer.session.state(), peer.session.poll_timeout()), (State::Closed, None));
    }
}

#[test]
fn messages_of_every_type_with_random_bodies_in_every_state() {
    let mut random = Random(2);
    for (number, state) in STATES.iter().enumerate() {
        for type_id in 0..=255 {
            for _ in 0..4 {
                let len = [random.below(8), random.below(64), random.below(2000)][random.below(3)];
                let body = random.bytes(len);
                let stream = MessageStreamId(random.below(3) as u32);
                let csid = 2 + random.below(70) as u32;
                let wire = peer::message(csid, type_id, stream, &body);
                let what = || format!("type {type_id} in state {number}: {body:02x?}");
                survive(&mut state(), &wire, 1 + random.below(300), &what);
            }
        }
    }
}

/// Bytes that look like AMF more often than noise does.
fn amf_noise(random: &mut Random, len: usize) -> Vec<u8> {
    const LIKELY: [&[u8]; 16] = [
        b"\x00\x3f\xf0\0\0\0\0\0\0",
        b"\x01\x01",
        b"\x02\x00\x03cam",
        b"\x03\x00\x01a",
        b"\x05",
        b"\x06",
        b"\x07\x00\x00",
        b"\x08\x00\x00\x00\x01\x00\x01a",
        b"\x00\x00\x09",
        b"\x0a\x00\x00\x00\x02",
        b"\x0b\0\0\0\0\0\0\0\0\0\0",
        b"\x0c\x00\x00\x00\x03cam",
        b"\x10\x00\x01T\x00\x01a",
        b"\x11\x09\x05\x01",
        b"\x11\x0a\x0b\x01",
        b"\x11\x06\x07cam",
    ];
    let mut bytes = Vec::new();
    while bytes.len() < len {
        match random.below(10) {
            0 => bytes.push(random.next() as u8),
            _ => bytes.extend_from_slice(LIKELY[random.below(LIKELY.len())]),
        }
    }
    bytes
}

#[test]
fn commands_with_random_arguments_in_every_state() {
    const NAMES: [&str; 24] = [
        "connect",
        "createStream",
        "publish",
        "play",
        "play2",
        "pause",
        "pauseRaw",
        "seek",
        "receiveAudio",
        "receiveVideo",
        "closeStream",
        "deleteStream",
        "releaseStream",
        "FCPublish",
        "FCUnpublish",
        "FCSubscribe",
        "_checkbw",
        "set_playlist",
        "getStreamLength",
        "close",
        "_result",
        "_error",
        "onStatus",
        "x",
    ];
    let mut random = Random(3);
    for (number, state) in STATES.iter().enumerate() {
        for _ in 0..400 {
            let mut peer = state();
            // A few in a row, so that one meets what another left.
            let mut wire = Vec::new();
            for _ in 0..random.below(6) {
                let name = NAMES[random.below(NAMES.len())];
                let mut body = [&[2, 0, name.len() as u8], name.as_bytes()].concat();
                if random.below(4) > 0 {
                    body.push(0);
                    body.extend_from_slice(&(random.below(4) as f64).to_be_bytes());
                    body.push(5);
                }
                let len = random.below(100);
                body.extend(amf_noise(&mut random, len));
                let type_id = if random.below(4) == 0 { type_id::COMMAND_AMF3 } else { type_id::COMMAND };
                wire.extend(peer::message(3, type_id, MessageStreamId(random.below(3) as u32), &body));
            }
            let what = || format!("commands in state {number}: {wire:02x?}");
            survive(&mut peer, &wire, 1 + random.below(300), &what);
        }
    }
}

/// A sound conversation of a publisher: everything the server gets from it.
fn publisher_bytes() -> Vec<u8> {
    let media = |csid, type_id, len| peer::message_in(200, csid, type_id, STREAM, &vec![0x17; len]);
    let metadata = b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08\0\0\0\x01\x00\x01w\x00\x40\x94\0\0\0\0\0\0\0\0\x09";
    [
        peer::handshake(),
        peer::control(type_id::SET_CHUNK_SIZE, 200),
        peer::connect(),
        peer::control(type_id::WINDOW_ACK_SIZE, 10_000),
        peer::call(CONNECTION, "releaseStream", 2.0, vec!["cam".into()]),
        peer::call(CONNECTION, "FCPublish", 3.0, vec!["cam".into()]),
        peer::create_stream(),
        peer::publish(STREAM),
        peer::message_in(200, 4, type_id::DATA, STREAM, metadata),
        media(6, type_id::VIDEO, 500),
        media(4, type_id::AUDIO, 30),
        peer::message(4, type_id::AGGREGATE, STREAM, b"\x08\0\0\x02\0\0\0\0\0\0\0\xaf\x01\0\0\0\x0d"),
        peer::call(CONNECTION, "FCUnpublish", 4.0, vec!["cam".into()]),
        peer::call(CONNECTION, "deleteStream", 5.0, vec![Value::Number(1.0)]),
        peer::create_stream(),
        peer::play(MessageStreamId(2)),
        peer::call(MessageStreamId(2), "pause", 0.0, vec![Value::Boolean(true), Value::Number(0.0)]),
    ]
    .concat()
}

/// A sound conversation as a player gets it.
fn server_bytes() -> Vec<u8> {
    let mut server = Peer::new(Session::server(ServerConfig::default(), 7, MonoTime(0)));
    let client = [peer::handshake(), peer::connect(), peer::create_stream(), peer::play(STREAM)].concat();
    server.feed(&client).expect("sound");
    for (kind, len) in [(TagKind::Data, 50), (TagKind::Video, 3000), (TagKind::Audio, 300)] {
        let tag = Tag::new(kind, Timestamp(5), vec![0x02; len].into());
        server.session.send_tag(STREAM, &tag).expect("it plays");
    }
    server.take_output();
    server.output
}

/// Flips one to eight bits of `wire`; one time in three it also cuts a piece out, or doubles it.
fn damage(random: &mut Random, wire: &[u8], from: usize) -> Vec<u8> {
    let mut damaged = wire.to_vec();
    for _ in 0..=random.below(8) {
        let at = from + random.below(damaged.len() - from);
        damaged[at] ^= 1 << random.below(8);
    }
    let start = from + random.below(damaged.len() - from);
    let end = damaged.len().min(start + random.below(200));
    match random.below(6) {
        0 => drop(damaged.drain(start..end)),
        1 => damaged = [&damaged[..end], &damaged[start..]].concat(),
        _ => {}
    }
    damaged
}

#[test]
fn bits_that_flip_in_what_a_client_sends() {
    let sound = publisher_bytes();
    let mut whole = Peer::server(&Limits::default());
    whole.feed(&sound).expect("sound");
    let count = |wanted: fn(&Event) -> bool| whole.events.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, Event::Tag { .. })), 4);
    assert_eq!(count(|event| matches!(event, Event::Pause { .. })), 1, "the whole of it is understood");
    let before = live();
    let mut random = Random(4);
    let mut failed = 0;
    for round in 0..3000 {
        // Mostly behind the handshake, where there is more to break.
        let from = if round % 10 == 0 { 0 } else { peer::HANDSHAKE_LEN as usize };
        let damaged = damage(&mut random, &sound, from);
        let mut peer = Peer::server(&Limits::default());
        survive(&mut peer, &damaged, 1 + random.below(3000), &|| format!("round {round}"));
        failed += usize::from(peer.session.state() == State::Closed);
    }
    assert!((300..2900).contains(&failed), "{failed} of 3000 sessions failed: the damage is off");
    assert_eq!(live(), before);
}

#[test]
fn bits_that_flip_in_what_a_server_sends() {
    let sound = server_bytes();
    let mut random = Random(5);
    for round in 0..2000 {
        let damaged = damage(&mut random, &sound, if round % 10 == 0 { 0 } else { 3073 });
        let mut peer = Peer::new(Session::client(ClientConfig::default(), 1, MonoTime(0)));
        survive(&mut peer, &damaged, 1 + random.below(3000), &|| format!("round {round}"));
    }
}

#[test]
fn pure_noise_behind_the_handshake_and_instead_of_it() {
    let mut random = Random(6);
    for round in 0..2000 {
        let state = STATES[random.below(STATES.len())];
        let mut noise = random.bytes(4000);
        if round % 2 == 0 {
            // Few values, so that headers make sense more often.
            noise.iter_mut().for_each(|byte| *byte &= 0x47);
        }
        survive(&mut state(), &noise, 1 + random.below(4000), &|| format!("round {round}"));
    }
}
