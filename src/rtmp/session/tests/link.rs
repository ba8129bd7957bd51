//! What both roles share: acknowledgements, limits, deadlines, the end, backpressure.

use super::{super::*, STREAM, Scenario, assert_contains};
use crate::{
    amf::{Object, Value},
    rtmp::{
        Limit, Timer,
        chunk::csid,
        message::{BandwidthLimit, Command, UserControl, peer_bandwidth_body},
    },
};
use alloc::{format, vec, vec::Vec};
use core::time::Duration;

#[test]
fn acknowledgements_are_sent_for_each_half_of_the_window() {
    let mut scenario = Scenario::to_publishing();
    scenario.send_media(STREAM, 8, 0, &[0; 50_000]);
    assert_eq!(scenario.replies(), [""; 0], "nothing was asked for");
    let window = |size: u32| size.to_be_bytes();
    scenario.send_raw(2, MessageStreamId(0), type_id::WINDOW_ACK_SIZE, &window(10_000)).expect("window");
    let start = scenario.session.stats().bytes_in;
    scenario.send_media(STREAM, 8, 0, &[0; 4500]);
    assert_eq!(scenario.replies(), [""; 0]);
    scenario.send_media(STREAM, 8, 0, &[0; 900]);
    assert_eq!(scenario.replies(), [format!("0 received {}", start + 5000)]);
    scenario.send_media(STREAM, 8, 0, &[0; 10_000]);
    assert_eq!(
        scenario.replies(),
        [format!("0 received {}", start + 10_000), format!("0 received {}", start + 15_000)]
    );
    scenario.send_raw(2, MessageStreamId(0), type_id::WINDOW_ACK_SIZE, &window(1)).expect("window");
    scenario.events();
    scenario.send_media(STREAM, 8, 0, &[0; 3 * 4096]);
    assert_eq!(scenario.replies().len(), 3, "one for each MIN_ACK_INTERVAL, whatever is asked");
    scenario.send_raw(2, MessageStreamId(0), type_id::WINDOW_ACK_SIZE, &window(0)).expect("window");
    scenario.events();
    scenario.send_media(STREAM, 8, 0, &[0; 9000]);
    assert_eq!(scenario.replies(), [""; 0], "a window of 0 asks for nothing");
}

#[test]
fn acknowledgements_of_the_peer_add_up_across_the_wrap_and_restarts() {
    let mut scenario = Scenario::to_playing();
    let mut ack = |count: u32| {
        scenario.send_raw(2, MessageStreamId(0), 3, &count.to_be_bytes()).expect("ack");
        scenario.session.stats().acknowledged
    };
    assert_eq!(ack(0x7000_0000), 0x7000_0000);
    assert_eq!(ack(0xe000_0000), 0xe000_0000);
    assert_eq!(ack(0x1000_0000), 0x1_1000_0000, "wrapped");
    assert_eq!(ack(0xf000_0000), 0x1_1000_0000, "further than half of the number space");
    assert_eq!(ack(0xf000_1000), 0x1_1000_1000, "counted from there");
}

#[test]
fn set_peer_bandwidth_is_answered_when_it_changes_the_limit() {
    let mut scenario = Scenario::to_connected();
    let mut limit = |window: u32, limit: BandwidthLimit| {
        let body = peer_bandwidth_body(window, limit);
        scenario.send_raw(2, MessageStreamId(0), 6, &body).expect("bandwidth");
        scenario.replies()
    };
    assert_eq!(limit(1000, BandwidthLimit::Dynamic), ["0 window 1000"]);
    assert_eq!(limit(2000, BandwidthLimit::Dynamic), [""; 0], "not hard before");
    assert_eq!(limit(500, BandwidthLimit::Soft), ["0 window 500"]);
    assert_eq!(limit(900, BandwidthLimit::Soft), [""; 0], "the smaller one stays");
    assert_eq!(limit(900, BandwidthLimit::Hard), ["0 window 900"]);
    assert_eq!(limit(800, BandwidthLimit::Dynamic), ["0 window 800"], "hard before");
    assert_eq!(
        limit(700, BandwidthLimit::Dynamic),
        ["0 window 700"],
        "a dynamic one behind a hard one is hard"
    );
    assert_eq!(limit(0, BandwidthLimit::Hard), [""; 0]);
    assert_eq!(limit(600, BandwidthLimit::Soft), ["0 window 600"]);
    assert_eq!(limit(500, BandwidthLimit::Dynamic), [""; 0], "soft before");
}

#[test]
fn pings_are_answered() {
    let mut scenario = Scenario::to_connected();
    scenario.send_raw(2, MessageStreamId(0), 4, &[0, 6, 1, 2, 3, 4]).expect("ping");
    assert_eq!(scenario.replies(), ["0 PingResponse 16909060"]);
}

#[test]
fn a_silent_player_is_pinged_and_then_given_up() {
    let mut scenario = Scenario::to_playing();
    let due = scenario.session.poll_timeout().expect("ping");
    assert_eq!(due, MonoTime(30_000));
    scenario.session.handle_timeout(due).expect("a ping is no error");
    assert_contains(&scenario.replies(), &["PingRequest 30000"]);
    // An answer, 1 s later.
    scenario.now = MonoTime(31_000);
    scenario.send_raw(2, MessageStreamId(0), 4, &[0, 7, 0, 0, 0x75, 0x30]).expect("pong");
    scenario.session.handle_timeout(MonoTime(60_000)).expect("too early for the next");
    assert_eq!(scenario.replies(), [""; 0]);
    scenario.session.handle_timeout(MonoTime(61_000)).expect("ping");
    assert_contains(&scenario.replies(), &["PingRequest"]);
    scenario.session.handle_timeout(MonoTime(91_000)).expect("again");
    assert_contains(&scenario.replies(), &["PingRequest"]);
    let error = scenario.session.handle_timeout(MonoTime(121_000)).expect_err("60 s without an answer");
    assert_eq!(error.kind, ErrorKind::TimedOut(Timer::PingReply));
    assert_eq!(scenario.session.state(), State::Closed);
    assert_eq!(scenario.session.poll_timeout(), None);
}

#[test]
fn every_deadline_of_a_server_fires() {
    let timed_out = |mut scenario: Scenario| loop {
        let due = scenario.session.poll_timeout().expect("some deadline");
        match scenario.session.handle_timeout(due) {
            Ok(()) => continue,
            Err(error) => return (due.0, error.kind),
        }
    };
    let kind = |timer| ErrorKind::TimedOut(timer);
    assert_eq!(timed_out(Scenario::new(Limits::default())), (10_000, kind(Timer::Handshake)));
    assert_eq!(timed_out(Scenario::to_open(Limits::default())), (30_000, kind(Timer::Command)));
    assert_eq!(timed_out(Scenario::to_connected()), (30_000, kind(Timer::Command)));
    assert_eq!(timed_out(Scenario::to_publishing()), (60_000, kind(Timer::Publish)));
    let mut scenario = Scenario::to_publishing();
    scenario.now = MonoTime(25_000);
    scenario.send_media(STREAM, 8, 0, &[0xaf, 1]);
    scenario.events();
    assert_eq!(timed_out(scenario), (85_000, kind(Timer::Publish)), "counted from the last tag");
    let mut scenario = Scenario::to_playing();
    scenario.now = MonoTime(25_000);
    scenario.call(STREAM, "closeStream", 0.0, vec![]);
    scenario.events();
    assert_eq!(timed_out(scenario), (55_000, kind(Timer::Command)), "idle again");
}

#[test]
fn a_connection_that_only_plays_any_more_owes_no_media() {
    let mut scenario = Scenario::to_publishing();
    scenario.create_stream();
    scenario.call(MessageStreamId(2), "play", 4.0, vec!["cam".into()]);
    let request = scenario.only_request();
    scenario.session.accept(request).expect("it waits");
    scenario.call(STREAM, "closeStream", 0.0, vec![]);
    assert_eq!(scenario.events(), [Event::StreamEnded { stream: STREAM }]);
    scenario.session.handle_timeout(MonoTime(61_000)).expect("no more than a ping");
}

#[test]
fn the_end_of_the_peer_is_clean_only_when_agreed() {
    let mut scenario = Scenario::to_publishing();
    scenario.call(MessageStreamId(0), "deleteStream", 0.0, vec![Value::Number(1.0)]);
    scenario.events();
    assert_eq!(scenario.session.handle_eof(scenario.now), Ok(()));
    assert_eq!(scenario.session.state(), State::Closed);

    let mut scenario = Scenario::to_publishing();
    let error = scenario.session.handle_eof(scenario.now).expect_err("in mid-stream");
    assert_eq!(error.kind, ErrorKind::PeerClosed { clean: true });

    let mut scenario = Scenario::to_playing();
    scenario.session.handle_input(scenario.now, &[0x03, 0, 0]).expect("part of a header");
    let error = scenario.session.handle_eof(scenario.now).expect_err("in mid-message");
    assert_eq!(error.kind, ErrorKind::PeerClosed { clean: false });
}

#[test]
fn closing_tells_players_and_publishers_what_happens() {
    type Case = (fn() -> Scenario, CloseReason, &'static [&'static str]);
    let cases: [Case; 7] = [
        (|| Scenario::to_open(Limits::default()), CloseReason::Shutdown, &[]),
        (
            Scenario::to_playing,
            CloseReason::Shutdown,
            &[
                "|RtmpSampleAccess",
                "StreamEOF 1",
                "NetStream.Play.UnpublishNotify",
                "NetConnection.Connect.AppShutdown",
            ],
        ),
        (
            Scenario::to_publishing,
            CloseReason::Shutdown,
            &["NetStream.Unpublish.Success", "NetConnection.Connect.AppShutdown"],
        ),
        (
            Scenario::to_playing,
            CloseReason::TooSlow,
            &["|RtmpSampleAccess", "StreamEOF 1", "NetStream.Play.InsufficientBW"],
        ),
        (Scenario::to_publishing, CloseReason::TakenOver, &["NetStream.Publish.BadName"]),
        (Scenario::to_publishing, CloseReason::Kicked, &["NetStream.Publish.Rejected"]),
        (Scenario::to_publishing, CloseReason::Done, &[]),
    ];
    for (scenario, why, expected) in cases {
        let mut scenario = scenario();
        scenario.session.close(MonoTime(100), why);
        assert_contains(&scenario.replies(), expected);
        assert_eq!(scenario.session.state(), State::Closing);
        assert_eq!(scenario.session.poll_timeout(), Some(MonoTime(2100)));
        scenario.session.close(MonoTime(150), why);
        assert_eq!(scenario.replies(), [""; 0], "said once");
        assert_eq!(scenario.session.handle_eof(MonoTime(200)), Ok(()));
        assert_eq!(scenario.session.state(), State::Closed);
    }
}

#[test]
fn nothing_is_due_while_connect_waits_for_its_decision_and_after_the_end_but_the_end_of_lingering() {
    let mut scenario = Scenario::to_open(Limits::default());
    scenario.send_connect(&[("app", "live".into())]);
    scenario.only_request();
    scenario.session.handle_timeout(MonoTime(31_000)).expect("no more than a ping");

    let mut scenario = Scenario::to_connected();
    scenario.session.close(MonoTime(29_500), CloseReason::Done);
    scenario.session.handle_timeout(MonoTime(30_000)).expect("no command is due any more");
    assert_eq!(scenario.session.state(), State::Closing);
}

#[test]
fn a_request_that_is_answered_too_late_arms_no_deadline() {
    let mut scenario = Scenario::to_connected();
    scenario.create_stream();
    scenario.call(STREAM, "publish", 4.0, vec!["cam".into()]);
    let request = scenario.only_request();
    scenario.session.close(MonoTime(0), CloseReason::Done);
    scenario.session.handle_timeout(MonoTime(2000)).expect("lingering is no error");
    scenario.session.accept(request).expect("it waits");
    assert_eq!((scenario.session.state(), scenario.session.poll_timeout()), (State::Closed, None));
}

#[test]
fn a_peer_that_asks_and_never_reads_is_not_read_either() {
    let limits = Limits { max_queued_replies: 1000, ..Limits::default() };
    let mut scenario = Scenario::to_connected_with(limits);
    for _ in 0..1000 {
        scenario.writer.write_control(
            &mut scenario.unsent,
            csid::CONTROL,
            MessageStreamId(0),
            type_id::USER_CONTROL,
            &[0, 6, 0, 0, 0, 0],
        );
    }
    scenario.deliver().expect("pings");
    assert!(!scenario.session.wants_input());
    assert!(scenario.session.output_len() < 1000 + 20, "{}", scenario.session.output_len());
    let mut rounds = 0;
    while !scenario.unsent.is_empty() {
        scenario.output();
        scenario.deliver().expect("pings");
        rounds += 1;
    }
    assert!(rounds > 5, "{rounds}");
}

#[test]
fn events_that_nobody_takes_stop_the_reading() {
    let limits = Limits { max_queued_events: 2, ..Limits::default() };
    let mut scenario = Scenario::to_publishing();
    scenario.session.link.limits = limits;
    for _ in 0..5 {
        scenario.send_media(STREAM, 8, 0, &[0xaf]);
    }
    assert!(!scenario.session.wants_input());
    assert_eq!(scenario.events().len(), 2);
    scenario.deliver().expect("media");
    assert_eq!(scenario.events().len(), 2);
}

#[test]
fn names_have_a_longest_length() {
    let limits = Limits { max_name_len: 20, ..Limits::default() };
    let publish = |len: usize| {
        let mut scenario = Scenario::to_connected_with(limits.clone());
        scenario.create_stream();
        let name = "x".repeat(len);
        scenario.send(STREAM, &Command::new("publish", 4.0, vec![Value::String(name)]))
    };
    assert_eq!(publish(20), Ok(()));
    assert_eq!(publish(21).map_err(|error| error.kind), Err(ErrorKind::LimitExceeded(Limit::NameLen)));
    let mut scenario = Scenario::to_open(limits.clone());
    let app = Object(vec![("app".into(), Value::String("x".repeat(21)))]);
    let connect = Command { object: Value::Object(app), ..Command::new("connect", 1.0, vec![]) };
    let error = scenario.send(MessageStreamId(0), &connect).expect_err("long app");
    assert_eq!(error.kind, ErrorKind::LimitExceeded(Limit::NameLen));
}

#[test]
fn user_control_for_the_role_becomes_events() {
    let mut scenario = Scenario::to_connected();
    let mut body = Vec::new();
    UserControl::SetBufferLength { stream: STREAM, length: 36_000_000 }.encode(&mut body);
    scenario.send_raw(2, MessageStreamId(0), 4, &body).expect("buffer");
    let length = Duration::from_secs(3600);
    assert_eq!(scenario.events(), [Event::BufferLength { stream: STREAM, length }]);
    scenario.send_raw(2, MessageStreamId(0), 4, &[0, 9, 0, 0, 0, 0]).expect("unknown");
    let why = Ignored::UnknownUserControl(9);
    assert_eq!(scenario.events(), [Event::Ignored { message_type: 4, why }]);
}

#[test]
fn sessions_can_move_between_threads_and_events_stay_small() {
    fn assert_send<T: Send>() {}
    assert_send::<Session>();
    assert_eq!(size_of::<Event>(), 48);
}
