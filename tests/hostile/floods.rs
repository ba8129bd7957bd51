//! A peer that sends a lot, or promises a lot, to make us hold, work or answer without end: the cost is measured.

use crate::{
    memory::{live, peak_of},
    peer::{self, CONNECTION, Peer, STREAM, however_cut},
};
use weir::{
    amf::{Object, Value},
    flv::TagKind,
    rtmp::{
        ClientConfig, ErrorKind, Event, Limit, Limits, Malformed, MessageStreamId, Session,
        message::{Ignored, Message, UserControl, type_id},
        session::State,
    },
};

fn limits() -> Limits {
    Limits::default()
}

/// Feeds `round` many times without keeping what is said, and returns by how much the live bytes grew after a
/// warm-up.
fn growth(peer: &mut Peer, rounds: usize, mut round: impl FnMut(usize) -> Vec<u8>) -> isize {
    let mut run = |rounds: core::ops::Range<usize>| {
        for number in rounds {
            peer.feed(&round(number)).expect("the session lives");
            peer.forget();
        }
        live()
    };
    let warm = run(0..rounds / 10);
    run(rounds / 10..rounds) - warm
}

const KIB: isize = 1 << 10;

#[test]
fn an_idle_connection_is_small() {
    let before = live();
    let player = Peer::playing(&limits());
    assert!(live() - before < 4 * KIB, "a player takes {} bytes", live() - before);
    drop(player);
    assert_eq!(live(), before, "all of it is freed");
}

#[test]
fn declared_lengths_cost_nothing_until_bytes_arrive() {
    let mut peer = Peer::publishing(&limits());
    let before = live();
    // Four csids are in use already.
    for csid in 5..63 {
        let promise = [peer::fmt0(csid, 0, 0xff_ffff, type_id::VIDEO, STREAM), vec![0]].concat();
        peer.feed(&promise[..12]).unwrap();
        // A chunk is open until its 128 bytes are here.
        peer.feed(&[0; 128]).unwrap();
    }
    let cost = live() - before;
    assert!(cost < 128 * KIB, "58 promises of 16 MiB take {cost} bytes");
}

#[test]
fn a_single_byte_of_a_long_message_costs_next_to_nothing() {
    // One byte of chunk size lets each csid have one byte.
    let mut peer = Peer::publishing(&limits());
    peer.feed(&peer::control(1, 1)).unwrap();
    let before = live();
    let mut sent = 0;
    for csid in 4..63 {
        let promise = [peer::fmt0(csid, 0, 0xff_ffff, type_id::VIDEO, STREAM), vec![0]].concat();
        peer.feed(&promise).unwrap();
        sent += promise.len() as isize;
    }
    let cost = live() - before;
    assert!(cost < 100 * sent, "{sent} bytes of promises take {cost} bytes");
}

#[test]
fn unfinished_messages_cost_at_most_twice_their_limit() {
    let limits = Limits { max_partial_bytes: 1 << 20, ..limits() };
    let mut peer = Peer::publishing(&limits);
    peer.feed(&peer::control(1, 1000)).unwrap();
    let before = live();
    let (result, peak) = peak_of(|| {
        for round in 0..2000 {
            for csid in 4..63 {
                let first = peer::fmt0(csid, 0, 0xff_ffff, type_id::VIDEO, STREAM);
                let header = if round == 0 { first } else { vec![0xc0 | csid] };
                peer.feed(&header)?;
                peer.feed(&[0; 1000])?;
            }
        }
        Ok(())
    });
    let error: weir::rtmp::Error = result.expect_err("59 csids of 17 chunks and more pass 1 MiB");
    assert_eq!(error.kind, ErrorKind::LimitExceeded(Limit::PartialBytes));
    assert!(peak < (2 << 20) + 128 * KIB, "{peak} bytes at most");
    assert!(live() - before < 0, "an error frees what was held");
}

#[test]
fn endless_empty_chunks_end_the_session_and_cost_nothing_until_then() {
    // Messages without a meaning, so that nothing else ends the session.
    let mut peer = Peer::open(&limits());
    let block = peer::message(4, 99, STREAM, b"").repeat(100);
    peer.feed(&block).unwrap();
    peer.forget();
    let before = live();
    let mut blocks = 1;
    let error = loop {
        if let Err(error) = peer.feed(&block) {
            break error;
        }
        peer.forget();
        assert_eq!(live(), before);
        blocks += 1;
    };
    assert_eq!(error.kind, ErrorKind::LimitExceeded(Limit::TinyChunks));
    assert_eq!(blocks, limits().max_tiny_chunks / 100);
}

#[test]
fn pings_that_nobody_reads_stop_being_answered() {
    let mut peer = Peer::playing(&limits());
    let ping = peer::message(2, type_id::USER_CONTROL, CONNECTION, &[0, 6, 1, 2, 3, 4]);
    let flood = ping.repeat(100_000);
    let (taken, peak) = peak_of(|| peer.session.handle_input(peer.now, &flood).unwrap());
    let limit = limits().max_queued_replies;
    assert!(taken < flood.len() && !peer.session.wants_input());
    assert!((limit..limit + 18).contains(&peer.output_len()));
    assert!(peak < 3 * limit as isize, "{peak} bytes");
    // Once they are read, reading goes on, and the room is given back.
    peer.take_output();
    peer.forget();
    assert!(peer.session.wants_input());
}

#[test]
fn questions_of_every_kind_that_nobody_reads_stop_being_answered() {
    let questions = [
        peer::create_stream(),
        peer::call(CONNECTION, "FCPublish", 5.0, vec![Value::String("n".repeat(4000))]),
        peer::call(CONNECTION, "set_playlist", 5.0, vec![]),
        peer::call(CONNECTION, "_checkbw", 5.0, vec![]),
        [
            peer::message(2, 6, CONNECTION, &[0, 0, 1, 0, 0]),
            peer::message(2, 6, CONNECTION, &[0, 0, 2, 0, 0]),
        ]
        .concat(),
        peer::publish(STREAM),
        [
            peer::call(STREAM, "receiveVideo", 0.0, vec![Value::Boolean(false)]),
            peer::call(STREAM, "receiveVideo", 0.0, vec![Value::Boolean(true)]),
        ]
        .concat(),
    ];
    for question in questions {
        let mut peer = Peer::playing(&limits());
        for _ in 0..50_000 {
            let mut rest = &question[..];
            while !rest.is_empty() && peer.session.wants_input() {
                rest = &rest[peer.session.handle_input(peer.now, rest).unwrap()..];
                while peer.session.poll_event().is_some() {}
            }
            if !rest.is_empty() {
                break;
            }
        }
        assert!(!peer.session.wants_input(), "{question:02x?} is answered without end");
        assert!(peer.output_len() < limits().max_queued_replies + (16 << 10), "{}", peer.output_len());
    }
}

/// The body of a `connect` whose command object has these bytes.
fn connect_body(object: &[u8]) -> Vec<u8> {
    let head = b"\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00";
    [&head[..], object].concat()
}

/// What a `connect` (or any command) with this body costs at most, and how the session takes it.
fn cost_of(body: &[u8]) -> (isize, Option<ErrorKind>) {
    let mut peer = Peer::open(&limits());
    let wire = peer::message(3, type_id::COMMAND, CONNECTION, body);
    let (result, peak) = peak_of(|| peer.feed(&wire));
    (peak, result.err().map(|error| error.kind))
}

#[test]
fn a_connect_that_nests_without_end_is_refused_cheaply() {
    for opening in [&b"\x03\x00\x01a"[..], b"\x08\x00\x00\x00\x01\x00\x01a", b"\x0a\x00\x00\x00\x01"] {
        let (peak, end) = cost_of(&connect_body(&opening.repeat(5000)));
        assert_eq!(end, Some(ErrorKind::LimitExceeded(Limit::AmfDepth)));
        assert!(peak < 128 * KIB, "{peak} bytes");
    }
}

#[test]
fn a_connect_of_the_greatest_size_costs_a_few_megabytes_and_only_for_a_moment() {
    let before = live();
    for filling in [&b"\x05"[..], b"\x00\x00\x06", b"\x00\x01a\x05", b"\x00\x01a\x02\x00\x00"] {
        let opening = if filling.len() == 1 { &b"\x0a\xff\xff\xff\xff"[..] } else { b"\x03" };
        let room = limits().max_command_len as usize - 100;
        let (peak, _) = cost_of(&connect_body(&[opening, &filling.repeat(room / filling.len())].concat()));
        assert!(peak < 16 << 20, "{peak} bytes for {filling:02x?}");
    }
    assert_eq!(live(), before);
}

#[test]
fn counts_and_lengths_that_lie_reserve_nothing() {
    for lie in [
        &b"\x0a\xff\xff\xff\xff"[..],
        b"\x08\xff\xff\xff\xff",
        b"\x0c\xff\xff\xff\xffabc",
        b"\x02\xff\xffabc",
        b"\x0f\xff\xff\xff\xffabc",
        b"\x11\x09\xff\xff\xff\xfe",
        b"\x11\x0d\xff\xff\xff\xff\x00",
        b"\x11\x0c\xff\xff\xff\xff",
        b"\x11\x11\xff\xff\xff\xff\x00",
    ] {
        let (peak, _) = cost_of(&connect_body(lie));
        assert!(peak < 16 * KIB, "{lie:02x?} takes {peak} bytes");
    }
}

/// Arrays that consist of references to the one before: each level eight times the last.
fn laughs(levels: u8) -> Vec<u8> {
    let mut body = connect_body(b"\x03\x00\x00\x09");
    body.extend_from_slice(b"\x0a\x00\x00\x00\x08");
    body.extend_from_slice(&[5; 8]);
    for level in 1..=levels {
        body.extend_from_slice(b"\x0a\x00\x00\x00\x08");
        // Reference 0 is the command object.
        body.extend_from_slice(&[7, 0, level].repeat(8));
    }
    body
}

#[test]
fn references_to_references_do_not_unfold_a_small_message_into_megabytes() {
    let body = laughs(20);
    assert!(body.len() < 1000);
    let (peak, end) = cost_of(&body);
    assert_eq!(end, Some(ErrorKind::LimitExceeded(Limit::AmfValues)));
    assert!(peak < 256 * KIB, "{} bytes take {peak} bytes", body.len());
}

#[test]
fn an_aggregate_of_nothing_is_taken_apart_one_by_one() {
    let mut peer = Peer::publishing(&limits());
    let part = [&[8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0, 0, 0, 11]].concat();
    let count = (1 << 20) / part.len();
    let wire = peer::message_in(0xff_ffff, 4, type_id::AGGREGATE, STREAM, &part.repeat(count));
    peer.feed(&peer::control(1, 0xff_ffff)).unwrap();
    let (parts, peak) = peak_of(|| {
        assert_eq!(peer.session.handle_input(peer.now, &wire), Ok(wire.len()));
        assert!(!peer.session.wants_input(), "nothing else until all parts are taken");
        core::iter::from_fn(|| peer.session.poll_event())
            .filter(|event| matches!(event, Event::Tag { tag, .. } if tag.kind == TagKind::Audio))
            .count()
    });
    assert_eq!(parts, count);
    assert!(peak < 3 << 20, "{peak} bytes for an aggregate of 1 MiB");
    assert!(peer.session.wants_input());
}

#[test]
fn aggregates_in_aggregates_and_parts_that_lie_are_skipped() {
    let nested = [&[22, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0][..], &[8; 11], &[0, 0, 0, 22]].concat();
    let lie = [8, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3];
    for body in [&nested[..], &lie, &nested[..5], &[nested.clone(), lie.to_vec()].concat()] {
        let wire = peer::message(4, type_id::AGGREGATE, STREAM, body);
        let (peer, result) = however_cut(|| Peer::publishing(&limits()), &wire);
        assert_eq!(result, Ok(()));
        let bad = Event::Ignored { message_type: type_id::AGGREGATE, why: Ignored::BadAggregate };
        assert!(
            !peer.events.is_empty() && peer.events.iter().all(|event| *event == bad),
            "{:?}",
            peer.events
        );
    }
}

#[test]
fn thousands_of_streams_stop_at_the_ceiling_and_cost_nothing() {
    let mut peer = Peer::connected(&limits());
    let grown = growth(&mut peer, 5000, |_| peer::create_stream());
    assert!(grown < KIB, "{grown} bytes");
    peer.feed(&peer::create_stream()).unwrap();
    assert!(peer.reply_names().ends_with(&["NetConnection.Call.Failed".into()]));
}

#[test]
fn publishing_and_deleting_a_hundred_thousand_times_does_not_grow() {
    let mut peer = Peer::connected(&limits());
    let grown = growth(&mut peer, 100_000, |round| {
        let id = round as u32 + 1;
        let delete = peer::call(CONNECTION, "deleteStream", 0.0, vec![Value::from(id)]);
        [peer::create_stream(), peer::publish(MessageStreamId(id)), delete].concat()
    });
    assert!(grown < KIB, "{grown} bytes");
    peer.feed(&[peer::create_stream(), peer::publish(MessageStreamId(100_001))].concat()).unwrap();
    assert!(
        peer.events.iter().any(|event| matches!(event, Event::Publish { .. })),
        "the session works still"
    );
}

#[test]
fn playing_and_closing_the_same_stream_does_not_grow() {
    let mut peer = Peer::connected(&limits());
    peer.feed(&peer::create_stream()).unwrap();
    let close = peer::call(STREAM, "closeStream", 0.0, vec![]);
    let grown = growth(&mut peer, 10_000, |_| [peer::play(STREAM), close.clone()].concat());
    assert!(grown < KIB, "{grown} bytes");
}

#[test]
fn a_million_unknown_commands_and_messages_change_nothing() {
    let mut peer = Peer::connected(&limits());
    let command = peer::message(3, type_id::COMMAND, CONNECTION, b"\x02\x00\x01x");
    let unknown = peer::message(3, 99, CONNECTION, b"xy");
    let block = [command, unknown].concat().repeat(500);
    let grown = growth(&mut peer, 1000, |_| block.clone());
    assert!(grown < KIB, "{grown} bytes");
    assert_eq!(peer.session.stats().messages_in, 1 + 1_000_000);
    peer.feed(&peer::create_stream()).unwrap();
    assert_eq!(peer.reply_names(), ["_result"], "unknown commands without transaction got no answer");
}

#[test]
fn a_window_of_one_byte_does_not_multiply_what_is_sent() {
    let mut peer = Peer::publishing(&limits());
    peer.feed(&peer::control(type_id::WINDOW_ACK_SIZE, 1)).unwrap();
    let before = peer.fed;
    let media = peer::message(4, type_id::AUDIO, STREAM, &[0xaf; 1000]);
    peer.feed(&media.repeat(1000)).unwrap();
    let taken = (peer.fed - before) as usize;
    assert!(peer.output.len() < taken / 100, "{} bytes for {taken}", peer.output.len());
}

#[test]
fn a_window_that_shrinks_is_not_made_up_for_in_a_burst() {
    let mut peer = Peer::publishing(&limits());
    peer.feed(&[peer::control(type_id::WINDOW_ACK_SIZE, u32::MAX), peer::control(1, 0xff_ffff)].concat())
        .unwrap();
    peer.feed(&peer::message_in(0xff_ffff, 4, type_id::AUDIO, STREAM, &vec![0xaf; 16 << 20][1..])).unwrap();
    peer.forget();
    let shrink = peer::control(type_id::WINDOW_ACK_SIZE, 1);
    peer.feed(&[shrink, peer::control(type_id::ACKNOWLEDGEMENT, 0)].concat()).unwrap();
    let replies = peer.replies();
    let taken = u32::try_from(peer.fed).unwrap();
    let [(CONNECTION, Message::Acknowledgement(total))] = replies[..] else {
        panic!("{} replies", replies.len())
    };
    assert!(taken - total < 4096, "{total} of {taken}");
}

#[test]
fn aborts_without_end_change_nothing() {
    let mut peer = Peer::publishing(&limits());
    let begin = [peer::fmt0(6, 0, 1000, type_id::VIDEO, STREAM), vec![0; 128]].concat();
    let round = [begin, peer::control(2, 6), peer::control(2, 6), peer::control(2, 0xffff_ffff)].concat();
    let grown = growth(&mut peer, 1000, |_| round.repeat(20));
    assert!(grown < KIB, "{grown} bytes");
    peer.feed(&peer::message(6, type_id::VIDEO, STREAM, b"whole")).unwrap();
    assert!(matches!(&peer.events[..], [Event::Tag { tag, .. }] if *tag.body == *b"whole"));
}

#[test]
fn chunk_sizes_that_change_with_every_message_are_followed() {
    let mut peer = Peer::publishing(&limits());
    let mut random = peer::Random(1);
    let body: Vec<u8> = random.bytes(500);
    for _ in 0..2000 {
        let size = 1 + random.below(700) as u32;
        peer.feed(&[peer::control(1, size), peer::message_in(size, 4, 8, STREAM, &body)].concat()).unwrap();
        assert!(matches!(&peer.events[..], [Event::Tag { tag, .. }] if *tag.body == body));
        peer.forget();
        peer.feed(&peer::message_in(size, 2, 1, CONNECTION, &128_u32.to_be_bytes())).unwrap();
    }
}

#[test]
fn chunk_sizes_out_of_range_end_the_session() {
    for size in [0, 0x8000_0000, u32::MAX] {
        let (_, result) = however_cut(|| Peer::connected(&limits()), &peer::control(1, size));
        assert_eq!(result.unwrap_err().kind, ErrorKind::Malformed(Malformed::ChunkSize));
    }
    let wire = [peer::control(1, 0x7fff_ffff), peer::create_stream()].concat();
    let (mut peer, result) = however_cut(|| Peer::connected(&limits()), &wire);
    assert_eq!((result, peer.reply_names()), (Ok(()), vec!["_result".into()]));
}

#[test]
fn names_in_any_encoding_and_of_any_length_are_harmless() {
    // Latin-1, a cut character, NULs, a surrogate, controls.
    for name in [&b"caf\xe9"[..], b"\xe2\x82", b"cam\0\0", b"\xed\xa0\x80", b"\r\n\x1b[2J", b""] {
        let length = [0, name.len() as u8];
        let null = [5];
        let body = [b"\x02\x00\x07publish\x00\0\0\0\0\0\0\0\0", &null[..], &[2], &length, name].concat();
        let wire = [peer::create_stream(), peer::message(3, type_id::COMMAND, STREAM, &body)].concat();
        let (peer, result) = however_cut(|| Peer::connected(&limits()), &wire);
        assert_eq!(result, Ok(()));
        let expected = String::from_utf8_lossy(name);
        let expected = expected.trim_end_matches('\0');
        assert!(matches!(&peer.events[..], [Event::Publish { publish, .. }] if publish.name == expected));
    }
    // A long string as a name: whole, and refused for its length.
    let long = peer::call(STREAM, "publish", 3.0, vec![Value::String("n".repeat(60_000))]);
    let (_, result) = however_cut(|| Peer::connected(&limits()), &[peer::create_stream(), long].concat());
    assert_eq!(result.unwrap_err().kind, ErrorKind::LimitExceeded(Limit::NameLen));
}

#[test]
fn a_name_inside_of_an_object_has_the_same_longest_length() {
    for key in ["streamName", "oldStreamName", "transition"] {
        let play2 = |len: usize| {
            let options = Object::from([(key, Value::String("n".repeat(len)))]);
            peer::call(STREAM, "play2", 0.0, vec![Value::Object(options)])
        };
        let longest = limits().max_name_len;
        assert_eq!(however_cut(|| Peer::playing(&limits()), &play2(longest)).1, Ok(()));
        let (_, result) = however_cut(|| Peer::playing(&limits()), &play2(longest + 1));
        assert_eq!(result.map_err(|error| error.kind), Err(ErrorKind::LimitExceeded(Limit::NameLen)));
    }
}

#[test]
fn a_server_cannot_make_a_client_grow_or_answer_without_end() {
    let mut client = Peer::new(Session::client(ClientConfig::default(), 1, weir::base::MonoTime(0)));
    client.feed(&peer::handshake()).unwrap();
    client.forget();
    let answers = [
        peer::call(CONNECTION, "_result", 1.0, vec![Value::Null]),
        peer::call(CONNECTION, "_result", 1.0, vec![Value::Null]),
        peer::call(CONNECTION, "onBWDone", 0.0, vec![]),
        peer::call(CONNECTION, "_onbwcheck", 7.0, vec![]),
        peer::call(STREAM, "onStatus", 0.0, vec![Value::Object(Object::from([("code", Value::from("x"))]))]),
        peer::message(2, type_id::USER_CONTROL, CONNECTION, &[0, 6, 0, 0, 0, 0]),
        peer::message(4, type_id::AUDIO, STREAM, b"not asked for"),
    ]
    .concat();
    let grown = growth(&mut client, 5000, |_| answers.clone());
    assert!(grown < KIB, "{grown} bytes");
    while client.session.wants_input() {
        client.session.handle_input(client.now, &answers).unwrap();
        while client.session.poll_event().is_some() {}
    }
    assert!(client.output_len() < limits().max_queued_replies + 1000);
}

#[test]
fn what_a_closing_session_is_sent_is_dropped_unread() {
    let mut peer = Peer::publishing(&limits());
    peer.feed(&peer::call(CONNECTION, "close", 0.0, vec![])).unwrap();
    assert_eq!(peer.session.state(), State::Closing);
    peer.forget();
    let block = peer::message(3, 99, CONNECTION, &[1; 100]).repeat(1000);
    let grown = growth(&mut peer, 100, |_| block.clone());
    assert_eq!((grown, peer.events.len(), peer.output_len()), (0, 0, 0));
}

#[test]
fn pings_go_out_while_the_peer_is_silent_and_no_more_than_the_timeout_allows() {
    let mut peer = Peer::playing(&limits());
    let mut end = Ok(());
    let mut steps = 0;
    while let (Ok(()), Some(next)) = (end, peer.session.poll_timeout()) {
        end = peer.session.handle_timeout(next);
        steps += 1;
        assert!(steps < 100, "no end");
    }
    assert!(end.is_err());
    peer.take_output();
    let replies = peer.replies();
    let is_ping = |message: &Message| matches!(message, Message::UserControl(UserControl::PingRequest(_)));
    assert!(replies.len() < 5 && replies.iter().all(|(_, message)| is_ping(message)), "{replies:?}");
}
