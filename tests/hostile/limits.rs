//! One test per field of `Limits`: at the limit all is well, one past it the session ends with that limit, at the
//! place that is to blame. Limits that do not end the session (streams, queues) say no, or stop the reading.

use crate::peer::{self, CONNECTION, HANDSHAKE_LEN, Peer, STREAM, however_cut};
use core::time::Duration;
use weir::{
    amf::{Object, Value},
    base::{MonoTime, Timestamp},
    flv::{Tag, TagKind},
    rtmp::{
        At, Error, ErrorKind, Event, Limit, Limits, SendError, Timer,
        message::{Command, Ignored, type_id},
        session::{CloseReason, State},
    },
};

/// The end because of `limit`, `before` bytes behind what the peer in that state had sent.
fn exceeded(limit: Limit, fed: u64, before: usize, csid: u32, message_type: u8) -> Result<(), Error> {
    let at = At { stream_offset: fed + before as u64, csid: Some(csid), message_type: Some(message_type) };
    Err(Error::new(ErrorKind::LimitExceeded(limit), at))
}

/// `fitting` passes; `beyond` behind it ends the session at its first byte.
fn assert_limit(state: impl Fn() -> Peer, limit: Limit, fitting: &[u8], beyond: &[u8], message_type: u8) {
    let (_, result) = however_cut(&state, fitting);
    assert_eq!(result, Ok(()), "at the limit");
    let (mut peer, result) = however_cut(&state, &[fitting, beyond].concat());
    let csid = u32::from(beyond[0] & 0x3f);
    assert_eq!(result, exceeded(limit, state().fed, fitting.len(), csid, message_type), "past the limit");
    // Sticky, and nothing more is said.
    assert_eq!(peer.feed(&[0]), result);
    assert_eq!(peer.session.state(), State::Closed);
    assert_eq!(peer.session.poll_timeout(), None);
}

#[test]
fn max_message_len_bounds_media_and_data() {
    let limits = Limits { max_message_len: 1000, ..Limits::default() };
    for type_id in [type_id::AUDIO, type_id::VIDEO, type_id::DATA, type_id::AGGREGATE, 7, 99] {
        let of_len = |len| peer::message(4, type_id, STREAM, &vec![0; len]);
        assert_limit(|| Peer::publishing(&limits), Limit::MessageLen, &of_len(1000), &of_len(1001), type_id);
    }
}

#[test]
fn max_early_message_len_bounds_everything_but_commands_before_a_publish() {
    let limits = Limits { max_early_message_len: 1000, ..Limits::default() };
    for state in [Peer::connected, Peer::playing] {
        for type_id in [type_id::VIDEO, type_id::DATA, type_id::AGGREGATE, 99] {
            let of_len = |len| peer::message(4, type_id, STREAM, &vec![0; len]);
            let (fitting, beyond) = (of_len(1000), of_len(1001));
            assert_limit(|| state(&limits), Limit::EarlyMessageLen, &fitting, &beyond, type_id);
        }
    }
    let long = peer::message(4, type_id::VIDEO, STREAM, &[0; 2000]);
    assert_eq!(Peer::publishing(&limits).feed(&long), Ok(()), "once it publishes, max_message_len counts");
}

#[test]
fn a_message_too_long_is_refused_by_its_header_alone() {
    let limits = Limits { max_message_len: 1000, ..Limits::default() };
    let mut peer = Peer::publishing(&limits);
    let header = peer::fmt0(4, 0, 1001, type_id::VIDEO, STREAM);
    assert_eq!(peer.feed(&header[..11]), Ok(()));
    assert!(peer.feed(&header[11..]).is_err(), "not one byte of the body is waited for");
}

#[test]
fn max_command_len_bounds_commands_and_control() {
    let limits = Limits { max_command_len: 300, ..Limits::default() };
    for type_id in [type_id::COMMAND, type_id::COMMAND_AMF3, type_id::USER_CONTROL, type_id::ACKNOWLEDGEMENT]
    {
        let of_len = |len| peer::message(3, type_id, CONNECTION, &vec![0; len]);
        assert_limit(|| Peer::connected(&limits), Limit::CommandLen, &of_len(300), &of_len(301), type_id);
    }
}

#[test]
fn max_partial_bytes_bounds_unfinished_messages_together() {
    let limits = Limits { max_partial_bytes: 1000, ..Limits::default() };
    let part = |csid, type_id| [peer::fmt0(csid, 0, 900, type_id, STREAM), vec![0; 500]].concat();
    let fitting = [peer::control(1, 500), part(4, 8), part(6, 9)].concat();
    let beyond = [peer::fmt0(7, 0, 1, 18, STREAM), vec![0]].concat();
    assert_limit(|| Peer::publishing(&limits), Limit::PartialBytes, &fitting, &beyond, 18);
}

#[test]
fn max_chunk_streams_bounds_csids() {
    let limits = Limits { max_chunk_streams: 3, ..Limits::default() };
    let on = |csid| peer::message(csid, 7, CONNECTION, b"x");
    let fitting = [on(3), on(4), on(5), on(3)].concat();
    assert_limit(|| Peer::open(&limits), Limit::ChunkStreams, &fitting, &on(6), 7);
}

#[test]
fn max_message_streams_refuses_one_more_and_nothing_else_is_lost() {
    let limits = Limits { max_message_streams: 2, ..Limits::default() };
    let wire = peer::create_stream().repeat(3);
    let (mut peer, result) = however_cut(|| Peer::connected(&limits), &wire);
    assert_eq!(result, Ok(()));
    assert_eq!(peer.reply_names(), ["_result", "_result", "NetConnection.Call.Failed"]);
    let free = peer::call(CONNECTION, "deleteStream", 0.0, vec![Value::Number(1.0)]);
    peer.feed(&[free, peer::create_stream()].concat()).unwrap();
    assert_eq!(peer.reply_names(), ["_result"]);
}

#[test]
fn max_name_len_bounds_everything_that_is_kept_by_name() {
    let limits = Limits { max_name_len: 100, ..Limits::default() };
    let long = |len: usize| Value::String("n".repeat(len));
    for (name, on) in [("publish", STREAM), ("play", STREAM), ("releaseStream", CONNECTION)] {
        let with = |len| peer::call(on, name, 4.0, vec![long(len)]);
        let state = || Peer::connected(&limits);
        assert_limit(state, Limit::NameLen, &with(100), &with(101), type_id::COMMAND);
    }
    let named = |len: usize| peer::call(CONNECTION, &"n".repeat(len), 4.0, vec![]);
    assert_limit(|| Peer::connected(&limits), Limit::NameLen, &named(100), &named(101), type_id::COMMAND);
}

#[test]
fn max_name_len_bounds_app_and_url() {
    let limits = Limits { max_name_len: 100, ..Limits::default() };
    for key in ["app", "tcUrl"] {
        let connect = |len: usize| {
            let properties = Object::from([(key, Value::String("n".repeat(len)))]);
            peer::message(3, type_id::COMMAND, CONNECTION, &peer::body_of(&peer::connect_with(properties)))
        };
        assert_eq!(however_cut(|| Peer::open(&limits), &connect(100)).1, Ok(()));
        let (_, result) = however_cut(|| Peer::open(&limits), &connect(101));
        assert_eq!(result, exceeded(Limit::NameLen, HANDSHAKE_LEN, 0, 3, type_id::COMMAND));
    }
}

/// Objects and arrays inside one another, `depth` levels, in turns.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, level| match level % 3 {
        0 => Value::Object(Object::from([("k", inner)])),
        1 => Value::StrictArray(vec![inner]),
        _ => Value::EcmaArray(Object::from([("k", inner)])),
    })
}

#[test]
fn max_amf_depth_bounds_nesting() {
    let limits = Limits { max_amf_depth: 10, ..Limits::default() };
    let call = |depth| peer::call(CONNECTION, "deep", 0.0, vec![nested(depth)]);
    assert_limit(|| Peer::connected(&limits), Limit::AmfDepth, &call(10), &call(11), type_id::COMMAND);
}

#[test]
fn max_amf_values_bounds_the_work_for_one_message() {
    let limits = Limits { max_amf_values: 50, ..Limits::default() };
    // Name, transaction id and command object count as well.
    let call = |count| peer::call(CONNECTION, "many", 0.0, vec![Value::Boolean(true); count]);
    assert_limit(|| Peer::connected(&limits), Limit::AmfValues, &call(47), &call(48), type_id::COMMAND);
}

#[test]
fn max_queued_events_stops_the_reading() {
    let limits = Limits { max_queued_events: 10, ..Limits::default() };
    let one = peer::message(4, 99, STREAM, b"unknown");
    let wire = one.repeat(25);
    let mut peer = Peer::connected(&limits);
    assert_eq!(peer.session.handle_input(peer.now, &wire[..9 * one.len()]), Ok(9 * one.len()));
    assert!(peer.session.wants_input(), "at the limit but one");
    assert_eq!(peer.session.handle_input(peer.now, &wire[9 * one.len()..]), Ok(one.len()));
    assert!(!peer.session.wants_input());
    assert_eq!(peer.session.handle_input(peer.now, &wire), Ok(0));
    let ignored = Event::Ignored { message_type: 99, why: Ignored::UnknownType };
    let taken: Vec<Event> = core::iter::from_fn(|| peer.session.poll_event()).collect();
    assert_eq!(taken, vec![ignored; 10]);
    assert!(peer.session.wants_input());
}

fn tag_of(len: usize) -> Tag {
    Tag::new(TagKind::Audio, Timestamp(0), vec![0xaf; len].into())
}

#[test]
fn max_queued_output_refuses_media() {
    let limits = Limits { max_queued_output: 10_000, ..Limits::default() };
    let mut peer = Peer::playing(&limits);
    assert_eq!(peer.session.send_tag(STREAM, &tag_of(5000)), Ok(()));
    let room = 10_000 - peer.output_len();
    assert_eq!(peer.session.send_tag(STREAM, &tag_of(room + 1)), Err(SendError::WouldExceed));
    let before = peer.output_len();
    assert_eq!(before, 10_000 - room, "nothing of it is queued");
    assert_eq!(peer.session.send_tag(STREAM, &tag_of(room)), Ok(()));
    assert!(peer.output_len() <= 10_000 + 18, "a header past the limit at most");
    assert_eq!(peer.session.send_tag(STREAM, &tag_of(1)), Err(SendError::WouldExceed));
    peer.take_output();
    assert_eq!(peer.session.send_tag(STREAM, &tag_of(1)), Ok(()));
}

#[test]
fn max_queued_replies_stops_the_reading() {
    let limits = Limits { max_queued_replies: 1000, ..Limits::default() };
    let mut peer = Peer::connected(&limits);
    let ping = peer::message(2, type_id::USER_CONTROL, CONNECTION, &[0, 6, 1, 2, 3, 4]);
    while peer.session.wants_input() {
        assert!(peer.output_len() < 1000);
        assert_eq!(peer.session.handle_input(peer.now, &ping), Ok(ping.len()));
    }
    assert!((1000..1000 + 18).contains(&peer.output_len()), "one reply past the limit at most");
    assert_eq!(peer.session.handle_input(peer.now, &ping), Ok(0));
    peer.take_output();
    assert!(peer.session.wants_input());
}

#[test]
fn max_tiny_chunks_bounds_chunks_without_data_in_a_row() {
    let limits = Limits { max_tiny_chunks: 50, ..Limits::default() };
    let empty = peer::message(4, type_id::AUDIO, STREAM, b"");
    let single = peer::message(4, type_id::AUDIO, STREAM, b"x");
    let real = peer::message(4, type_id::AUDIO, STREAM, b"xy");
    let fitting = [empty.repeat(25), single.repeat(25)].concat();
    let state = || Peer::publishing(&limits);
    assert_limit(state, Limit::TinyChunks, &fitting, &empty, type_id::AUDIO);
    assert_limit(state, Limit::TinyChunks, &fitting, &single, type_id::AUDIO);
    let often = [fitting, real].concat().repeat(3);
    assert_eq!(however_cut(state, &often).1, Ok(()), "only those in a row count");
}

/// Lets `peer` wait until `end`: all is well one millisecond before, and then the timer fires.
fn assert_fires(peer: &mut Peer, timer: Timer, end: MonoTime) {
    assert_eq!(peer.session.handle_timeout(MonoTime(end.0 - 1)), Ok(()), "{timer:?} is early");
    assert!(peer.session.poll_timeout().is_some_and(|next| next <= end), "{timer:?} is not on the table");
    let at = At { stream_offset: peer.fed, csid: None, message_type: None };
    let late = Err(Error::new(ErrorKind::TimedOut(timer), at));
    assert_eq!(peer.session.handle_timeout(end), late);
    assert_eq!(peer.session.handle_timeout(end), late, "sticky");
    assert_eq!(peer.session.poll_timeout(), None);
}

fn with_timeout(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits {
        handshake_timeout: None,
        command_timeout: None,
        publish_timeout: None,
        ping_interval: None,
        ..Limits::default()
    };
    change(&mut limits);
    limits
}

const SECOND: Option<Duration> = Some(Duration::from_secs(1));

#[test]
fn handshake_timeout_does_not_care_for_a_byte_now_and_then() {
    let limits = with_timeout(|limits| limits.handshake_timeout = SECOND);
    let blocks = peer::handshake();
    let mut peer = Peer::server(&limits);
    for step in 0..10 {
        peer.now = MonoTime(step * 100);
        peer.feed(&blocks[step as usize..=step as usize]).unwrap();
    }
    assert_fires(&mut peer, Timer::Handshake, MonoTime(1000));
    let mut peer = Peer::server(&limits);
    peer.feed(&blocks).unwrap();
    assert_eq!(peer.session.poll_timeout(), None);
}

#[test]
fn command_timeout_runs_until_connect_and_between_commands_of_an_idle_connection() {
    let limits = with_timeout(|limits| limits.command_timeout = SECOND);
    assert_fires(&mut Peer::open(&limits), Timer::Command, MonoTime(1000));
    // Half a connect, and pings, are no command.
    let mut peer = Peer::open(&limits);
    peer.now = MonoTime(900);
    peer.feed(&peer::message(2, type_id::USER_CONTROL, CONNECTION, &[0, 6, 1, 2, 3, 4])).unwrap();
    peer.feed(&peer::connect()[..40]).unwrap();
    assert_fires(&mut peer, Timer::Command, MonoTime(1000));
    let mut peer = Peer::connected(&limits);
    peer.now = MonoTime(900);
    peer.feed(&peer::create_stream()).unwrap();
    assert_fires(&mut peer, Timer::Command, MonoTime(1900));
    assert_eq!(Peer::publishing(&limits).session.poll_timeout(), None);
    assert_eq!(Peer::playing(&limits).session.poll_timeout(), None);
}

#[test]
fn publish_timeout_runs_between_media_messages() {
    let limits = with_timeout(|limits| limits.publish_timeout = SECOND);
    assert_fires(&mut Peer::publishing(&limits), Timer::Publish, MonoTime(1000));
    let mut peer = Peer::publishing(&limits);
    peer.now = MonoTime(700);
    peer.feed(&peer::message(4, type_id::AUDIO, STREAM, &[0xaf, 1, 2])).unwrap();
    // Not media: a command, and media of a stream that does not exist.
    peer.now = MonoTime(800);
    peer.feed(&peer::call(CONNECTION, "releaseStream", 5.0, vec!["cam".into()])).unwrap();
    peer.feed(&peer::message(4, type_id::AUDIO, weir::rtmp::MessageStreamId(9), &[0xaf, 1, 2])).unwrap();
    assert_fires(&mut peer, Timer::Publish, MonoTime(1700));
}

#[test]
fn ping_interval_and_ping_timeout_end_a_peer_that_is_silent() {
    let limits = with_timeout(|limits| {
        limits.ping_interval = SECOND;
        limits.ping_timeout = Duration::from_millis(500);
    });
    let mut peer = Peer::playing(&limits);
    peer.session.handle_timeout(MonoTime(999)).unwrap();
    assert_eq!(peer.output_len(), 0, "no ping yet");
    peer.session.handle_timeout(MonoTime(1000)).unwrap();
    assert!(peer.output_len() > 0, "a ping");
    assert_fires(&mut peer, Timer::PingReply, MonoTime(1500));
    // Any byte is an answer, also one that completes nothing.
    let mut peer = Peer::playing(&limits);
    peer.session.handle_timeout(MonoTime(1000)).unwrap();
    peer.now = MonoTime(1400);
    peer.feed(&[2]).unwrap();
    peer.session.handle_timeout(MonoTime(2399)).unwrap();
    peer.session.handle_timeout(MonoTime(2400)).unwrap();
    assert_fires(&mut peer, Timer::PingReply, MonoTime(2900));
}

#[test]
fn linger_timeout_ends_a_close_that_the_peer_does_not_follow() {
    let limits = with_timeout(|limits| limits.linger_timeout = Duration::from_millis(500));
    let mut peer = Peer::playing(&limits);
    peer.session.close(MonoTime(1000), CloseReason::Kicked);
    assert_eq!(peer.session.poll_timeout(), Some(MonoTime(1500)));
    // What comes now is discarded, whatever it is, and changes no deadline.
    peer.now = MonoTime(1400);
    peer.feed(&[0xff; 5000]).unwrap();
    assert_eq!(peer.session.handle_timeout(MonoTime(1499)), Ok(()));
    assert_eq!(peer.session.state(), State::Closing);
    assert_eq!(peer.session.handle_timeout(MonoTime(1500)), Ok(()));
    assert_eq!((peer.session.state(), peer.session.poll_timeout()), (State::Closed, None));
}

#[test]
fn the_defaults_are_what_the_documentation_says_of_real_clients() {
    // The longest command of a real client, a 4K keyframe, and what Flash opens all fit.
    let limits = Limits::default();
    let big = Command::new("call", 0.0, vec![Value::String("x".repeat(4096))]);
    assert!(peer::body_of(&big).len() < limits.max_command_len as usize);
    let mut peer = Peer::publishing(&limits);
    let keyframe = vec![0x17; 4 << 20];
    let wire = [peer::control(1, 65_536), peer::message_in(65_536, 6, 9, STREAM, &keyframe)].concat();
    peer.feed(&wire).unwrap();
    assert!(matches!(&peer.events[..], [Event::Tag { tag, .. }] if *tag.body == keyframe));
}
