//! connect, streams, optional commands and calls: what comes before publish and play.

use super::{super::*, Scenario, assert_contains};
use crate::{
    amf::{Object, Value},
    rtmp::{Malformed, Misbehaviour, message::Command},
};
use alloc::{format, vec, vec::Vec};

#[test]
fn connect_is_answered_in_the_order_clients_expect() {
    let mut scenario = Scenario::to_open(Limits::default());
    scenario.send_connect(&[
        ("app", "live".into()),
        ("flashver", "FMLE/3.0".into()),
        ("tcUrl", "rtmp://h/live".into()),
        ("objectEncoding", Value::Number(3.0)),
    ]);
    let [Event::Connect { request, connect }] = &scenario.events()[..] else { panic!("no connect") };
    assert_eq!((&*connect.app, &*connect.flash_ver), ("live", "FMLE/3.0"));
    assert_eq!((&*connect.tc_url, connect.object_encoding), ("rtmp://h/live", 3.0));
    assert_eq!(connect.capabilities, Capabilities::default());
    assert_eq!(scenario.replies(), [""; 0], "nothing is said before the decision");
    scenario.session.accept(*request).expect("it waits");
    let replies = scenario.replies();
    assert_contains(
        &replies,
        &["window 2500000", "bandwidth 2500000 dynamic", "chunk size 65536", "StreamBegin 0", "_result 1"],
    );
    assert!(replies[4].contains("NetConnection.Connect.Success"), "{}", replies[4]);
    assert!(replies[4].contains("objectEncoding"), "{}", replies[4]);
    assert!(!replies[4].contains("fourCc"), "capabilities are for peers that announce some");
}

#[test]
fn e_rtmp_capabilities_of_both_versions_are_read_and_answered() {
    let mut scenario = Scenario::to_open(Limits::default());
    let map = Object(vec![("vp09".into(), Value::Number(1.0))]);
    scenario.send_connect(&[
        ("app", "live".into()),
        ("fourCcList", Value::StrictArray(vec!["hvc1".into(), Value::Number(5.0), "av01".into()])),
        ("videoFourCcInfoMap", Value::Object(map)),
        ("capsEx", Value::Number(7.0)),
    ]);
    let [Event::Connect { request, connect }] = &scenario.events()[..] else { panic!("no connect") };
    assert_eq!(connect.capabilities.caps_ex, 7);
    assert_eq!(connect.capabilities.fourccs, ["hvc1", "av01", "vp09"]);
    scenario.session.accept(*request).expect("it waits");
    let result = scenario.replies().pop().expect("a result");
    for part in ["videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx", "fourCcList"] {
        assert_eq!(result.matches(part).count(), 2, "{part} stands in both objects: {result}");
    }
}

#[test]
fn no_more_fourccs_are_kept_than_there_can_be() {
    let mut scenario = Scenario::to_open(Limits::default());
    let list: Vec<Value> = (0..100).map(|index| format!("c{index:03}").into()).collect();
    scenario.send_connect(&[("app", "live".into()), ("fourCcList", list.into())]);
    let [Event::Connect { connect, .. }] = &scenario.events()[..] else { panic!("no connect") };
    assert_eq!(connect.capabilities.fourccs.len(), 64);
}

#[test]
fn a_refused_connect_gets_the_reason_and_then_the_end() {
    let mut scenario = Scenario::to_open(Limits::default());
    scenario.send_connect(&[("app", "nosuch".into())]);
    let request = scenario.only_request();
    scenario.session.reject(request, RejectReason::NoSuchApp).expect("it waits");
    assert_contains(&scenario.replies(), &["NetConnection.Connect.InvalidApp"]);
    assert_eq!(scenario.session.state(), State::Closing);
    assert_eq!(scenario.session.handle_input(scenario.now, &[0xff; 100]), Ok(100), "input is discarded");
    let deadline = scenario.session.poll_timeout().expect("linger");
    scenario.session.handle_timeout(deadline).expect("lingering is no error");
    assert_eq!(scenario.session.state(), State::Closed);
}

#[test]
fn connect_comes_first_and_once() {
    let mut scenario = Scenario::to_open(Limits::default());
    let error = scenario.send(MessageStreamId(0), &Command::new("createStream", 2.0, vec![]));
    let error = error.expect_err("not connected");
    assert_eq!(error.kind, ErrorKind::PeerMisbehaved(Misbehaviour::NotConnected));
    assert_eq!((error.at.stream_offset, error.at.csid, error.at.message_type), (3073, Some(3), Some(20)));
    assert_eq!(scenario.session.handle_input(scenario.now, &[0]), Err(error), "errors are sticky");

    let mut scenario = Scenario::to_connected();
    let connect =
        Command { object: Value::Object(Object::default()), ..Command::new("connect", 9.0, vec![]) };
    let error = scenario.send(MessageStreamId(0), &connect).expect_err("second connect");
    assert_eq!(error.kind, ErrorKind::PeerMisbehaved(Misbehaviour::SecondConnect));
    assert_contains(&scenario.replies(), &["NetConnection.Connect.Rejected"]);
}

#[test]
fn a_connect_without_an_object_is_malformed() {
    let mut scenario = Scenario::to_open(Limits::default());
    let error = scenario.send(MessageStreamId(0), &Command::new("connect", 1.0, vec![]));
    assert_eq!(error.map_err(|error| error.kind), Err(ErrorKind::Malformed(Malformed::Connect)));
}

#[test]
fn optional_commands_get_a_result_and_never_an_error() {
    let mut scenario = Scenario::to_connected();
    let zero = MessageStreamId(0);
    let cases: &[(&str, &[&str])] = &[
        ("releaseStream", &["_result 5 null undefined"]),
        ("FCPublish", &["onFCPublish 0 null", "_result 5 null undefined"]),
        ("FCUnpublish", &["onFCUnpublish 0 null", "_result 5 null undefined"]),
        ("FCSubscribe", &["onFCSubscribe 0 null", "_result 5 null undefined"]),
        ("_checkbw", &["_result 5 null null"]),
        ("set_playlist", &["playlist_ready 0 null", "_result 5 null null"]),
    ];
    for (name, expected) in cases {
        scenario.call(zero, name, 5.0, vec!["cam".into()]);
        assert_eq!(scenario.events(), [], "{name}");
        assert_contains(&scenario.replies(), expected);
        scenario.call(zero, name, 0.0, vec!["cam".into()]);
        let replies = scenario.replies();
        assert!(!replies.iter().any(|line| line.contains("_result")), "{name} with tid 0: {replies:?}");
    }
}

#[test]
fn create_stream_counts_up_to_its_ceiling() {
    let mut scenario = Scenario::to_connected_with(Limits { max_message_streams: 2, ..Limits::default() });
    let zero = MessageStreamId(0);
    for expected in ["0 _result 2 null 1", "0 _result 2 null 2"] {
        scenario.call(zero, "createStream", 2.0, vec![]);
        assert_eq!(scenario.replies(), [expected]);
    }
    scenario.call(zero, "createStream", 2.0, vec![]);
    assert_contains(&scenario.replies(), &["NetConnection.Call.Failed"]);
    scenario.call(zero, "deleteStream", 0.0, vec![Value::Number(1.0)]);
    scenario.call(zero, "createStream", 2.0, vec![]);
    assert_eq!(scenario.replies(), ["0 _result 2 null 3"], "ids are not used again");
    scenario.call(zero, "deleteStream", 0.0, vec![Value::Number(2.0)]);
    scenario.call(zero, "createStream", 0.0, vec![]);
    assert_eq!(scenario.replies(), ["0 _result 0 null 4"], "encoders that number nothing need it as well");
}

#[test]
fn unknown_calls_are_the_embedders_to_answer() {
    let mut scenario = Scenario::to_connected();
    let zero = MessageStreamId(0);
    scenario.call(zero, "getPeerInfo", 5.0, vec![Value::Boolean(true)]);
    let [Event::Call { request, call }] = &scenario.events()[..] else { panic!("no call") };
    assert_eq!((&*call.name, &call.args[..]), ("getPeerInfo", &[Value::Boolean(true)][..]));
    scenario.session.reply(*request, &[Value::Number(7.0), Value::from("x")]).expect("it waits");
    assert_eq!(scenario.replies(), ["0 _result 5 null 7 \"x\""]);
    assert_eq!(scenario.session.accept(*request), Err(ApiMisuse::NoSuchRequest), "answered is answered");

    scenario.call(zero, "getPeerInfo", 6.0, vec![]);
    let request = scenario.only_request();
    scenario.session.accept(request).expect("it waits");
    assert_eq!(scenario.replies(), ["0 _result 6 null null"]);

    scenario.call(zero, "getStreamLength", 7.0, vec!["cam".into()]);
    let request = scenario.only_request();
    scenario.session.accept(request).expect("it waits");
    assert_eq!(scenario.replies(), ["0 _result 7 null 0"]);

    scenario.call(zero, "getPeerInfo", 8.0, vec![]);
    let request = scenario.only_request();
    scenario.session.reject(request, RejectReason::Failed("no".into())).expect("it waits");
    assert_contains(&scenario.replies(), &["NetConnection.Call.Failed"]);

    scenario.call(zero, "getPeerInfo", 0.0, vec![]);
    let request = scenario.only_request();
    scenario.session.accept(request).expect("it waits");
    assert_eq!(scenario.replies(), [""; 0], "tid 0 asks for no answer");
    scenario.call(zero, "getPeerInfo", 0.0, vec![]);
    let request = scenario.only_request();
    scenario.session.reply(request, &[Value::Number(7.0)]).expect("it waits");
    assert_eq!(scenario.replies(), [""; 0], "not even with values");
    scenario.call(zero, "getPeerInfo", 0.0, vec![]);
    let request = scenario.only_request();
    scenario.session.reject(request, RejectReason::Failed("no".into())).expect("it waits");
    assert_eq!(scenario.replies(), [""; 0], "nor for an error");
}
