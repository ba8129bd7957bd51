//! play and what a player may ask for; media and news on their way to it.

use super::{super::*, STREAM, Scenario, assert_contains, tag};
use crate::{
    amf::{Object, Value},
    base::{Payload, Timestamp},
    flv::TagKind,
    rtmp::{SendError, chunk::EncodedTags},
};
use alloc::{format, vec, vec::Vec};

#[test]
fn play_is_answered_in_the_order_players_expect() {
    let mut scenario = Scenario::to_connected();
    scenario.create_stream();
    scenario.call(STREAM, "play", 4.0, vec!["cam".into(), Value::Number(-2000.0)]);
    let [Event::Play { request, play }] = &scenario.events()[..] else { panic!("no play") };
    assert_eq!(
        (&*play.name, play.start, play.duration, play.reset),
        ("cam", PlayStart::LiveOrRecorded, None, true)
    );
    scenario.session.accept(*request).expect("it waits");
    assert_contains(
        &scenario.replies(),
        &[
            "0 StreamBegin 1",
            "NetStream.Play.Reset",
            "NetStream.Play.Start",
            "1 \"|RtmpSampleAccess\" true true",
        ],
    );
}

#[test]
fn a_play_that_appends_flushes_nothing() {
    let mut scenario = Scenario::to_connected();
    scenario.create_stream();
    let args = vec!["cam".into(), Value::Number(-2000.0), Value::Number(-1.0), Value::Boolean(false)];
    scenario.call(STREAM, "play", 4.0, args);
    let request = scenario.only_request();
    scenario.session.accept(request).expect("it waits");
    assert_contains(&scenario.replies(), &["StreamBegin 1", "NetStream.Play.Start", "|RtmpSampleAccess"]);
}

#[test]
fn play_arguments_come_in_seconds_or_milliseconds_and_every_type() {
    use PlayStart::{At, Live, LiveOrRecorded};
    let number = Value::Number;
    type Case = (Vec<Value>, PlayStart, Option<u32>, bool);
    let cases: [Case; 12] = [
        (vec![], LiveOrRecorded, None, true),
        (vec![number(-2.0)], LiveOrRecorded, None, true),
        (vec![number(-2000.0)], LiveOrRecorded, None, true),
        (vec![number(-1.0)], Live, None, true),
        (vec![number(-1000.0), number(-1.0)], Live, None, true),
        (vec![number(0.0)], At(0), None, true),
        (vec![number(5000.0), number(0.0)], At(5000), Some(0), true),
        (vec![number(3000.0), number(4000.0), Value::Boolean(false)], At(3000), Some(4000), false),
        (vec![Value::Null, Value::Null, number(0.0)], LiveOrRecorded, None, false),
        (vec![number(f64::NAN), Value::Undefined, number(1.0)], LiveOrRecorded, None, true),
        (vec![number(-1000.0), number(-1000.0), number(2.0)], Live, None, false),
        (vec![number(-1000.0), number(-1000.0), number(3.0)], Live, None, true),
    ];
    for (args, start, duration, reset) in cases {
        let mut scenario = Scenario::to_connected();
        scenario.create_stream();
        let args = [vec!["cam".into()], args].concat();
        scenario.call(STREAM, "play", 4.0, args.clone());
        let [Event::Play { play, .. }] = &scenario.events()[..] else { panic!("no play") };
        assert_eq!((play.start, play.duration, play.reset), (start, duration, reset), "{args:?}");
    }
}

#[test]
fn pause_and_seek_on_a_playing_stream_are_decisions() {
    for (name, args, expected) in [
        ("pause", vec![Value::Boolean(true), Value::Number(9.0)], ["NetStream.Pause.Notify", "StreamEOF 1"]),
        ("pauseRaw", vec![Value::Boolean(false)], ["NetStream.Unpause.Notify", "StreamBegin 1"]),
        ("pause", vec![], ["NetStream.Pause.Notify", "StreamEOF 1"]),
        ("pauseraw", vec![Value::Boolean(true)], ["NetStream.Pause.Notify", "StreamEOF 1"]),
        ("seek", vec![Value::Number(5000.0)], ["NetStream.Seek.Notify", "StreamBegin 1"]),
    ] {
        for stream in [STREAM, MessageStreamId(0)] {
            let mut scenario = Scenario::to_playing();
            scenario.call(stream, name, 0.0, args.clone());
            let request = scenario.only_request();
            scenario.session.accept(request).expect("it waits");
            assert_contains(&scenario.replies(), &expected);
        }
    }
    let mut scenario = Scenario::to_playing();
    scenario.call(STREAM, "seek", 0.0, vec![Value::Number(5000.0)]);
    let request = scenario.only_request();
    scenario.session.reject(request, RejectReason::InvalidTime(4000)).expect("it waits");
    let replies = scenario.replies();
    assert_contains(&replies, &["NetStream.Seek.InvalidTime"]);
    assert!(replies[0].contains("\"details\":4000"), "{}", replies[0]);
}

#[test]
fn receive_audio_and_video_switch_and_say_so_only_when_switched_on() {
    let mut scenario = Scenario::to_playing();
    let off = vec![Value::Boolean(false)];
    let on = vec![Value::Boolean(true)];
    scenario.call(STREAM, "receiveAudio", 0.0, off.clone());
    assert_eq!(scenario.events(), [Event::ReceiveAudio { stream: STREAM, wanted: false }]);
    assert_eq!(scenario.replies(), [""; 0]);
    scenario.call(STREAM, "receiveAudio", 0.0, on.clone());
    assert_eq!(scenario.events(), [Event::ReceiveAudio { stream: STREAM, wanted: true }]);
    assert_contains(&scenario.replies(), &["NetStream.Seek.Notify", "NetStream.Play.Start"]);
    scenario.call(STREAM, "receiveVideo", 0.0, on);
    assert_eq!(scenario.events(), [Event::ReceiveVideo { stream: STREAM, wanted: true }]);
    assert_eq!(scenario.replies(), [""; 0], "it was on");
    scenario.call(STREAM, "receiveVideo", 0.0, vec![Value::Number(0.0)]);
    assert_eq!(scenario.events(), [Event::ReceiveVideo { stream: STREAM, wanted: false }]);
}

#[test]
fn receive_audio_before_play_is_remembered() {
    let mut scenario = Scenario::to_connected();
    scenario.create_stream();
    scenario.call(STREAM, "receiveAudio", 0.0, vec![Value::Boolean(false)]);
    assert_eq!(scenario.events(), []);
    scenario.call(STREAM, "play", 4.0, vec!["cam".into()]);
    let [Event::Play { play, .. }] = &scenario.events()[..] else { panic!("no play") };
    assert_eq!(play.wanted, Wanted { audio: false, video: true });
}

#[test]
fn a_second_play_replaces_the_first_unless_it_is_refused() {
    for is_accepted in [true, false] {
        let mut scenario = Scenario::to_playing();
        scenario.call(STREAM, "play", 5.0, vec!["cam2".into()]);
        let request = scenario.only_request();
        match is_accepted {
            true => scenario.session.accept(request),
            false => scenario.session.reject(request, RejectReason::NotFound),
        }
        .expect("it waits");
        scenario.replies();
        assert_eq!(scenario.session.send_tag(STREAM, &tag(0)), Ok(()));
        scenario.call(STREAM, "play", 0.0, vec![Value::Boolean(false)]);
        assert_eq!(scenario.events(), [Event::StreamEnded { stream: STREAM }]);
        scenario.call(STREAM, "closeStream", 0.0, vec![]);
        assert_eq!(scenario.events(), [], "ended once");
    }
}

#[test]
fn play2_switches_and_keeps_playing() {
    let mut scenario = Scenario::to_playing();
    let options = Object(vec![
        ("streamName".into(), "cam2".into()),
        ("oldStreamName".into(), "cam".into()),
        ("transition".into(), "switch".into()),
    ]);
    scenario.call(STREAM, "play2", 0.0, vec![Value::Object(options)]);
    let [Event::Play2 { request, play2 }] = &scenario.events()[..] else { panic!("no play2") };
    assert_eq!((&*play2.name, &*play2.old_name, &*play2.transition), ("cam2", "cam", "switch"));
    scenario.session.accept(*request).expect("it waits");
    assert_contains(&scenario.replies(), &["NetStream.Play.Transition"]);
    assert_eq!(scenario.session.send_tag(STREAM, &tag(0)), Ok(()));
}

/// A stream that plays something recorded.
fn to_replaying() -> Scenario {
    let mut scenario = Scenario::to_connected();
    scenario.create_stream();
    scenario.call(STREAM, "play", 4.0, vec!["film".into(), Value::Number(0.0)]);
    let request = scenario.only_request();
    scenario.session.accept_recorded(request).expect("it waits");
    scenario
}

#[test]
fn a_play_of_something_recorded_says_so_in_adobes_order() {
    assert_contains(
        &to_replaying().replies(),
        &[
            "StreamIsRecorded 1",
            "StreamBegin 1",
            "NetStream.Play.Reset",
            "\"details\":\"film\"",
            "1 \"|RtmpSampleAccess\" true true",
            "1 \"onStatus\" {\"code\":\"NetStream.Data.Start\"}",
        ],
    );
}

#[test]
fn a_seek_in_something_recorded_starts_anew_with_whole_headers() {
    let mut scenario = to_replaying();
    for time in [0, 40, 80] {
        scenario.session.send_tag(STREAM, &tag(time)).expect("it plays");
    }
    scenario.replies();
    scenario.call(STREAM, "seek", 0.0, vec![Value::Number(20.0)]);
    let request = scenario.only_request();
    scenario.session.accept(request).expect("it waits");
    assert_contains(
        &scenario.replies(),
        &[
            "NetStream.Seek.Notify",
            "StreamIsRecorded 1",
            "StreamBegin 1",
            "NetStream.Play.Start",
            "NetStream.Data.Start",
        ],
    );
    scenario.session.send_tag(STREAM, &tag(120)).expect("it plays");
    let first = scenario.output()[0];
    assert_eq!(first >> 6, 0, "fmt 0, although a delta would do");
}

/// Wherever the socket has stopped, what arrives is whole messages, and none of the dropped ones is counted from.
#[test]
fn a_seek_drops_what_waits_and_finishes_what_has_begun_to_leave() {
    const OTHER: MessageStreamId = MessageStreamId(2);
    // Bodies of several chunks that tell their time.
    let tag = |kind, time: u8| {
        let body = Payload::from(vec![time; 150_000]);
        Tag::new(kind, Timestamp(u32::from(time)), body)
    };
    // Two streams in turn, headers of fmt 0 to 3, metadata, a tag that was chunked elsewhere.
    let queue = || {
        let mut scenario = to_replaying();
        scenario.create_stream();
        scenario.call(OTHER, "play", 5.0, vec!["other".into(), Value::Number(0.0)]);
        let request = scenario.only_request();
        scenario.session.accept_recorded(request).expect("it waits");
        scenario.replies();
        let mut starts = vec![];
        for time in [0, 1, 2, 3, 4, 5, 6, 7] {
            starts.push(scenario.session.output_len());
            let stream = if matches!(time, 3..=5) { OTHER } else { STREAM };
            let tag = tag(if time == 2 { TagKind::Data } else { TagKind::Video }, time);
            let sent = match time {
                6 => {
                    let chunk_size = scenario.session.send_chunk_size();
                    scenario.session.send_encoded(stream, &EncodedTags::new(vec![tag], stream, chunk_size))
                }
                _ => scenario.session.send_tag(stream, &tag),
            };
            assert_eq!(sent, Ok(()), "{time}");
        }
        (scenario, starts)
    };
    let len = queue().0.session.output_len();
    for written in (0..len).step_by(7919).chain([1, len - 1]) {
        let (mut scenario, starts) = queue();
        let mut slices = [&[][..]; 64];
        let count = scenario.session.output(&mut slices);
        let mut bytes = slices[..count].concat();
        bytes.truncate(written);
        scenario.session.advance_output(written);
        scenario.call(STREAM, "seek", 0.0, vec![Value::Number(20.0)]);
        let request = scenario.only_request();
        scenario.session.accept(request).expect("it waits");
        for (stream, time) in [(STREAM, 100), (STREAM, 140), (OTHER, 240), (STREAM, 180)] {
            scenario.session.send_tag(stream, &tag(TagKind::Video, time)).expect("it plays");
        }
        bytes.extend(scenario.output());
        let (mut used, mut received) = (0, vec![]);
        while used < bytes.len() {
            let (taken, message) = scenario.reader.read(&bytes[used..]).expect("sound chunks");
            used += taken;
            received.extend(message.filter(|raw| raw.body.len() == 150_000));
        }
        assert!(!scenario.reader.is_mid_message());
        let expected: Vec<u32> = (0..8)
            .filter(|time| starts[*time as usize] < written || matches!(time, 2..=5))
            .chain([100, 140, 240, 180])
            .collect();
        let bodies: Vec<u32> = received.iter().map(|raw| u32::from(raw.body[0])).collect();
        let times: Vec<u32> = received.iter().map(|raw| raw.timestamp.0).collect();
        assert_eq!((&bodies, &times), (&expected, &expected), "{written} written");
    }
}

#[test]
fn what_waits_goes_with_the_play_that_it_belongs_to() {
    let play = |reset: bool| vec!["next".into(), Value::Number(0.0), Value::Number(-1.0), reset.into()];
    let play2 = |transition: &str| {
        vec![Object::from([("streamName", "next".into()), ("transition", transition.into())]).into()]
    };
    for (name, args, stays) in [
        ("seek", vec![0.into()], false),
        ("closeStream", vec![], false),
        ("play", vec![false.into()], false),
        ("pause", vec![true.into(), 0.into()], true),
        ("play", play(true), false),
        ("play", play(false), true),
        ("play2", play2("reset"), false),
        ("play2", play2("switch"), true),
    ] {
        let mut scenario = to_replaying();
        scenario.replies();
        scenario.session.send_tag(STREAM, &tag(40)).expect("it plays");
        let case = format!("{name} {args:?}");
        scenario.call(STREAM, name, 0.0, args);
        for request in scenario.events().iter().filter_map(Event::request) {
            scenario.session.accept(request).expect("it waits");
        }
        let has_it = scenario.raw_replies().iter().any(|raw| raw.body == tag(40).body);
        assert_eq!(has_it, stays, "{case}");
    }
}

#[test]
fn play2_may_wait_for_its_turn() {
    let mut scenario = to_replaying();
    let options = Object::from([("streamName", "next".into()), ("transition", "append".into())]);
    scenario.call(STREAM, "play2", 0.0, vec![Value::Object(options)]);
    let request = scenario.only_request();
    assert_eq!(scenario.session.accept_later(request), Ok(()));
    scenario.call(STREAM, "pause", 0.0, vec![Value::Boolean(true), Value::Number(0.0)]);
    let request = scenario.only_request();
    assert_eq!(scenario.session.accept(request), Ok(()), "what follows is heard");
}

#[test]
fn a_playlist_is_told_entry_by_entry() {
    let mut scenario = to_replaying();
    scenario.replies();
    let args = vec!["next".into(), Value::Number(0.0), Value::Number(-1.0), Value::Boolean(false)];
    scenario.call(STREAM, "play", 5.0, args);
    let request = scenario.only_request();
    scenario.session.accept_later(request).expect("it waits");
    assert_eq!(scenario.replies(), [""; 0], "its turn comes later");
    let sent = Sent { duration: 1500, bytes: 70_000 };
    let begins = |is_recorded| Notice::Begins { name: "next".into(), is_recorded };
    for notice in [Notice::Switched(sent), begins(true), Notice::Dry, Notice::Complete(sent)] {
        scenario.session.notify(STREAM, notice).expect("it plays");
    }
    assert_contains(
        &scenario.replies(),
        &[
            "\"onPlayStatus\" {\"level\":\"status\",\"code\":\"NetStream.Play.Switch\",\"description\":\"\",\"duration\":1.5,\"bytes\":70000}",
            "StreamIsRecorded 1",
            "StreamBegin 1",
            "NetStream.Play.Start",
            "|RtmpSampleAccess",
            "NetStream.Data.Start",
            "StreamDry 1",
            "NetStream.Play.Complete",
            "NetStream.Play.Stop",
            "StreamEOF 1",
        ],
    );
    // What follows may be live.
    scenario.session.notify(STREAM, begins(false)).expect("it plays");
    assert_contains(&scenario.replies(), &["StreamBegin 1", "NetStream.Play.Start", "|RtmpSampleAccess"]);
    scenario.call(STREAM, "seek", 0.0, vec![Value::Number(20.0)]);
    let request = scenario.only_request();
    scenario.session.accept(request).expect("it waits");
    assert_contains(&scenario.replies(), &["NetStream.Seek.Notify", "StreamBegin 1"]);
}

#[test]
fn files_are_refused_in_the_words_of_each_reason() {
    for (why, code) in [
        (RejectReason::NotFound, "NetStream.Play.StreamNotFound"),
        (RejectReason::Damaged("cut".into()), "NetStream.Play.FileStructureInvalid"),
        (RejectReason::NothingPlayable("text".into()), "NetStream.Play.NoSupportedTrackFound"),
    ] {
        let mut scenario = to_replaying();
        scenario.replies();
        scenario.call(STREAM, "play", 5.0, vec!["bad".into(), Value::Number(0.0)]);
        let request = scenario.only_request();
        scenario.session.reject(request, why).expect("it waits");
        assert_contains(&scenario.replies(), &[code]);
        assert_eq!(scenario.session.send_tag(STREAM, &tag(0)), Ok(()), "what played goes on");
    }
}

#[test]
fn only_a_play_can_be_of_something_recorded_or_wait_for_its_turn() {
    let mut scenario = Scenario::to_connected();
    scenario.create_stream();
    scenario.call(STREAM, "play", 4.0, vec!["film".into()]);
    let play = scenario.only_request();
    assert_eq!(scenario.session.accept_later(play), Err(ApiMisuse::NoSuchRequest), "nothing plays");
    assert_eq!(scenario.session.accept_recorded(play), Ok(()));
    assert_eq!(scenario.session.accept_recorded(play), Err(ApiMisuse::NoSuchRequest), "used up");
    scenario.call(STREAM, "seek", 0.0, vec![Value::Number(0.0)]);
    let seek = scenario.only_request();
    assert_eq!(scenario.session.accept_recorded(seek), Err(ApiMisuse::NoSuchRequest));
    assert_eq!(scenario.session.accept_later(seek), Err(ApiMisuse::NoSuchRequest));
    assert_eq!(scenario.session.accept(seek), Ok(()));
}

#[test]
fn commands_for_streams_that_are_not_there_are_ignored() {
    for name in ["publish", "play", "play2", "pause", "seek", "receiveAudio", "deleteStream", "closeStream"] {
        let mut scenario = Scenario::to_connected();
        scenario.call(MessageStreamId(9), name, 0.0, vec![Value::Number(9.0)]);
        assert_eq!(
            scenario.events(),
            [Event::Ignored { message_type: 20, why: Ignored::NoSuchStream }],
            "{name}"
        );
    }
}

#[test]
fn players_hear_of_the_publisher_in_the_words_their_programs_know() {
    let mut scenario = Scenario::to_playing();
    scenario.session.notify(STREAM, Notice::Unpublished).expect("it plays");
    assert_contains(
        &scenario.replies(),
        &["|RtmpSampleAccess", "0 StreamEOF 1", "NetStream.Play.UnpublishNotify"],
    );
    scenario.session.notify(STREAM, Notice::Published).expect("it plays");
    assert_contains(&scenario.replies(), &["0 StreamBegin 1", "NetStream.Play.PublishNotify"]);
    assert_eq!(scenario.session.notify(MessageStreamId(2), Notice::Published), Err(ApiMisuse::NoSuchStream));
}

#[test]
fn an_encoded_tag_fits_any_player() {
    let mut scenario = Scenario::to_playing();
    let chunk_size = scenario.session.send_chunk_size();
    let cases = [(STREAM, chunk_size), (STREAM, 50), (MessageStreamId(5), chunk_size)];
    for (index, (stream, chunk_size)) in cases.into_iter().enumerate() {
        let tags = [0, 1, 2].map(|place| tag(0xff_fff0 + 40 * index as u32 + place));
        let encoded = EncodedTags::new(tags[..2].to_vec(), stream, chunk_size);
        scenario.session.send_encoded(STREAM, &encoded).expect("it plays");
        scenario.session.send_tag(STREAM, &tags[2]).expect("it plays");
        let received = scenario.raw_replies();
        assert_eq!(received.len(), tags.len());
        for (raw, tag) in received.iter().zip(&tags) {
            assert_eq!((raw.stream, raw.timestamp, &raw.body), (STREAM, tag.timestamp, &tag.body));
        }
    }
}

#[test]
fn a_tag_behind_an_encoded_one_counts_from_nothing_before() {
    let mut scenario = Scenario::to_playing();
    let chunk_size = scenario.session.send_chunk_size();
    let times = [0, 40, 80, 120];
    for (index, time) in times.into_iter().enumerate() {
        let sent = match index {
            1 => {
                scenario.session.send_encoded(STREAM, &EncodedTags::new(vec![tag(time)], STREAM, chunk_size))
            }
            _ => scenario.session.send_tag(STREAM, &tag(time)),
        };
        assert_eq!(sent, Ok(()));
    }
    let received: Vec<u32> = scenario.raw_replies().iter().map(|raw| raw.timestamp.0).collect();
    assert_eq!(received, times);
}

#[test]
fn media_stops_at_the_output_limit_and_goes_on_when_there_is_room() {
    let limits = Limits { max_queued_output: 300, ..Limits::default() };
    let mut scenario = Scenario::to_playing_with(limits);
    assert_eq!(scenario.session.send_tag(STREAM, &tag(0)), Ok(()));
    assert_eq!(scenario.session.send_tag(STREAM, &tag(40)), Ok(()));
    assert_eq!(scenario.session.send_tag(STREAM, &tag(80)), Err(SendError::WouldExceed));
    assert_eq!(scenario.raw_replies().len(), 2, "nothing of the third was queued");
    assert_eq!(scenario.session.send_tag(STREAM, &tag(120)), Ok(()));
}

#[test]
fn one_message_larger_than_the_output_limit_passes_alone() {
    let limits = Limits { max_queued_output: 50, ..Limits::default() };
    let mut scenario = Scenario::to_playing_with(limits);
    assert_eq!(scenario.session.send_tag(STREAM, &tag(0)), Ok(()));
    assert_eq!(scenario.session.send_tag(STREAM, &tag(40)), Err(SendError::WouldExceed));
}

#[test]
fn tags_go_to_playing_streams_only() {
    let mut scenario = Scenario::to_publishing();
    assert_eq!(scenario.session.send_tag(STREAM, &tag(0)), Err(SendError::NotOpen));
    let mut scenario = Scenario::to_playing();
    assert_eq!(scenario.session.send_tag(MessageStreamId(2), &tag(0)), Err(SendError::NotOpen));
    assert_eq!(scenario.session.send_tag(STREAM, &tag(0)), Ok(()));
    scenario.call(STREAM, "closeStream", 0.0, vec![]);
    assert_eq!(scenario.session.send_tag(STREAM, &tag(40)), Err(SendError::NotOpen));
    let mut scenario = Scenario::to_playing();
    scenario.session.close(MonoTime(5), CloseReason::Done);
    assert_eq!(scenario.session.send_tag(STREAM, &tag(0)), Err(SendError::NotOpen));
}

#[test]
fn fc_unpublish_does_not_end_what_plays() {
    let mut scenario = Scenario::to_playing();
    scenario.call(MessageStreamId(0), "FCUnpublish", 5.0, vec!["cam".into()]);
    assert_eq!(scenario.events(), []);
    assert_eq!(scenario.session.send_tag(STREAM, &tag(0)), Ok(()));
}
