//! publish, and every way to end it.

use super::{super::*, STREAM, Scenario, assert_contains};
use crate::{amf::Value, flv::TagKind};
use alloc::{vec, vec::Vec};

#[test]
fn publish_waits_for_the_decision_and_so_does_what_follows() {
    let mut scenario = Scenario::to_connected();
    scenario.create_stream();
    scenario.call(STREAM, "publish", 4.0, vec!["cam?token=1".into(), "record".into()]);
    assert!(!scenario.session.wants_input());
    scenario.send_media(STREAM, 9, 0, &[0x17, 0]);
    let [Event::Publish { request, publish }] = &scenario.events()[..] else { panic!("no publish") };
    assert_eq!((&*publish.name, publish.kind), ("cam?token=1", PublishType::Record));
    scenario.deliver().expect("kept back");
    assert_eq!(scenario.events(), [], "media cannot overtake the decision");
    scenario.session.accept(*request).expect("it waits");
    let replies = scenario.replies();
    assert_contains(&replies, &["0 StreamBegin 1", "1 onStatus 0 null"]);
    assert!(replies[1].contains("NetStream.Publish.Start"));
    scenario.deliver().expect("media");
    let [Event::Tag { stream: STREAM, tag }] = &scenario.events()[..] else { panic!("no tag") };
    assert_eq!((tag.kind, &*tag.body), (TagKind::Video, &[0x17, 0][..]));
}

#[test]
fn a_refused_publish_says_why_and_nothing_of_publish_start() {
    for (why, code) in [
        (RejectReason::NameTaken, "NetStream.Publish.BadName"),
        (RejectReason::NotAllowed("only from here".into()), "NetStream.Publish.Denied"),
        (RejectReason::Failed("disk".into()), "NetStream.Publish.Failed"),
    ] {
        let mut scenario = Scenario::to_connected();
        scenario.create_stream();
        scenario.call(STREAM, "publish", 4.0, vec!["cam".into()]);
        let request = scenario.only_request();
        scenario.session.reject(request, why).expect("it waits");
        let replies = scenario.replies();
        assert_contains(&replies, &[code]);
        assert!(replies[0].starts_with("1 onStatus 0 null") && replies[0].contains("\"error\""));
        assert_eq!(scenario.session.state(), State::Closing);
    }
}

#[test]
fn every_way_to_stop_publishing_ends_it_once() {
    let zero = MessageStreamId(0);
    type Stop = (&'static str, MessageStreamId, Vec<Value>);
    let stops: [Stop; 11] = [
        ("FCUnpublish", zero, vec!["cam".into()]),
        ("FCUnpublish", zero, vec!["another name".into()]),
        ("closeStream", STREAM, vec![]),
        ("closeStream", zero, vec![]),
        ("deleteStream", zero, vec![Value::Number(1.0)]),
        ("deleteStream", STREAM, vec![Value::Number(1.0)]),
        ("deleteStream", zero, vec!["cam".into()]),
        ("deleteStream", zero, vec![]),
        ("publish", STREAM, vec![Value::Boolean(false)]),
        ("publish", STREAM, vec![Value::Null]),
        ("publish", STREAM, vec!["".into()]),
    ];
    for (name, stream, args) in stops {
        let mut scenario = Scenario::to_publishing();
        scenario.call(stream, name, 0.0, args.clone());
        assert_eq!(scenario.events(), [Event::StreamEnded { stream: STREAM }], "{name} {args:?}");
        let replies = scenario.replies();
        assert!(replies.iter().any(|line| line.contains("NetStream.Unpublish.Success")), "{name}");
        scenario.call(zero, "deleteStream", 0.0, vec![Value::Number(1.0)]);
        assert!(
            !scenario.events().iter().any(|event| matches!(event, Event::StreamEnded { .. })),
            "{name}: ended once"
        );
    }
}

#[test]
fn a_stream_that_was_closed_can_publish_again() {
    let mut scenario = Scenario::to_publishing();
    scenario.call(STREAM, "closeStream", 0.0, vec![]);
    assert_eq!(scenario.events(), [Event::StreamEnded { stream: STREAM }]);
    scenario.call(STREAM, "publish", 5.0, vec!["cam2".into()]);
    let request = scenario.only_request();
    assert_eq!(scenario.session.accept(request), Ok(()));
}

#[test]
fn publishing_twice_on_one_stream_is_refused_and_the_first_goes_on() {
    let mut scenario = Scenario::to_publishing();
    scenario.call(STREAM, "publish", 5.0, vec!["other".into()]);
    assert_eq!(scenario.events(), []);
    assert_contains(&scenario.replies(), &["NetStream.Publish.BadName"]);
    scenario.send_media(STREAM, 8, 0, &[0xaf, 1]);
    assert!(matches!(scenario.events()[..], [Event::Tag { .. }]));
}

#[test]
fn media_on_stream_0_belongs_to_the_only_publisher_and_elsewhere_is_ignored() {
    let mut scenario = Scenario::to_publishing();
    scenario.send_media(MessageStreamId(0), 8, 0, &[0xaf, 1]);
    assert!(matches!(scenario.events()[..], [Event::Tag { stream: STREAM, .. }]));
    scenario.send_media(MessageStreamId(9), 8, 0, &[0xaf, 1]);
    let ignored = [Event::Ignored { message_type: 8, why: Ignored::StreamNotOpen }];
    assert_eq!(scenario.events(), ignored);
    scenario.create_stream();
    scenario.call(MessageStreamId(2), "publish", 5.0, vec!["cam2".into()]);
    let request = scenario.only_request();
    scenario.session.accept(request).expect("it waits");
    scenario.send_media(MessageStreamId(0), 8, 0, &[0xaf, 1]);
    assert_eq!(scenario.events(), ignored, "nobody knows which of two is meant");
}

#[test]
fn the_tags_of_an_aggregate_come_one_by_one_and_hold_back_what_follows() {
    let limits = Limits { max_queued_events: 1, ..Limits::default() };
    let mut scenario = Scenario::to_publishing();
    scenario.session.link.limits = limits;
    let mut aggregate = Vec::new();
    for time in 0..3 {
        aggregate.extend_from_slice(&[8, 0, 0, 1, 0, 0, time, 0, 0, 0, 0, 0xaf, 0, 0, 0, 12]);
    }
    scenario.send_media(STREAM, type_id::AGGREGATE, 100, &aggregate);
    scenario.send_media(STREAM, 8, 200, &[0xaf]);
    let mut times = Vec::new();
    loop {
        while let Some(Event::Tag { tag, .. }) = scenario.session.poll_event() {
            times.push(tag.timestamp.0);
        }
        if scenario.unsent.is_empty() {
            break;
        }
        scenario.deliver().expect("media");
    }
    assert_eq!(times, [100, 101, 102, 200]);
}

#[test]
fn an_aggregate_for_a_stream_that_is_not_open_is_not_taken_apart() {
    let mut scenario = Scenario::to_publishing();
    scenario.send_media(MessageStreamId(9), type_id::AGGREGATE, 0, &[8, 0, 0, 0].repeat(100));
    assert_eq!(scenario.events(), [Event::Ignored { message_type: 22, why: Ignored::StreamNotOpen }]);
}

#[test]
fn publishers_hear_of_their_recording_also_when_they_have_just_stopped_and_players_do_not() {
    let mut scenario = Scenario::to_publishing();
    for (notice, code, level) in [
        (Notice::RecordStarted, "NetStream.Record.Start", "status"),
        (Notice::RecordFailed, "NetStream.Record.Failed", "error"),
        (Notice::RecordStopped, "NetStream.Record.Stop", "status"),
    ] {
        scenario.session.notify(STREAM, notice).expect("it publishes");
        let replies = scenario.replies();
        assert_contains(&replies, &[code]);
        assert!(replies[0].starts_with("1 onStatus 0 null") && replies[0].contains(level), "{replies:?}");
    }
    scenario.call(STREAM, "closeStream", 0.0, vec![]);
    scenario.events();
    scenario.replies();
    assert_eq!(scenario.session.notify(STREAM, Notice::RecordStopped), Ok(()));
    assert_contains(&scenario.replies(), &["NetStream.Record.Stop"]);
    scenario.call(MessageStreamId(0), "deleteStream", 0.0, vec![Value::Number(1.0)]);
    assert_eq!(scenario.session.notify(STREAM, Notice::RecordStopped), Err(ApiMisuse::NoSuchStream));
    let mut player = Scenario::to_playing();
    assert_eq!(player.session.notify(STREAM, Notice::RecordStarted), Err(ApiMisuse::NoSuchStream));
    assert_eq!(
        Scenario::to_publishing().session.notify(STREAM, Notice::Published),
        Err(ApiMisuse::NoSuchStream)
    );
}
