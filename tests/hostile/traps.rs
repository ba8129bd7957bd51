//! One test per trap that RTMP servers fall into again and again, through a whole session: whole and byte by byte.
//! The late joiner is not here: which tags it gets is for the server's hub to say.

use crate::peer::{self, CONNECTION, HANDSHAKE_LEN, Peer, Random, STREAM, however_cut};
use weir::{
    amf::{Object, Value},
    base::Timestamp,
    flv::{Tag, TagKind},
    rtmp::{
        At, Error, ErrorKind, Event, Limits, Malformed, MessageStreamId,
        message::{Ignored, Message, type_id},
        session::{Call, CloseReason, RejectReason, State},
    },
};

fn publishing() -> Peer {
    Peer::publishing(&Limits::default())
}

fn connected() -> Peer {
    Peer::connected(&Limits::default())
}

/// What comes out of a publisher's bytes: kind, time and body of each tag.
fn tags_of(wire: &[u8]) -> Vec<(TagKind, u32, Vec<u8>)> {
    let (peer, result) = however_cut(publishing, wire);
    assert_eq!(result, Ok(()));
    let tag = |event: &Event| match event {
        Event::Tag { stream: STREAM, tag } => (tag.kind, tag.timestamp.0, tag.body.to_vec()),
        other => panic!("not a tag: {other:?}"),
    };
    peer.events.iter().map(tag).collect()
}

fn times_of(wire: &[u8]) -> Vec<u32> {
    tags_of(wire).into_iter().map(|(_, time, _)| time).collect()
}

fn pattern(seed: u64, len: usize) -> Vec<u8> {
    Random(seed).bytes(len)
}

#[test]
fn chunks_of_several_messages_interleave_across_csids() {
    let (audio, video, data) = (pattern(1, 300), pattern(2, 400), b"\x02\x00\x01x".to_vec());
    let wire = [
        &peer::fmt0(6, 40, 400, type_id::VIDEO, STREAM)[..],
        &video[..128],
        &peer::fmt0(4, 41, 300, type_id::AUDIO, STREAM),
        &audio[..128],
        &[0xc6],
        &video[128..256],
        // A control message between the chunks of others.
        &peer::control(type_id::ACKNOWLEDGEMENT, 7),
        &peer::fmt0(7, 42, 4, type_id::DATA, STREAM),
        &data,
        &[0xc4],
        &audio[128..256],
        &[0xc6],
        &video[256..384],
        &[0xc4],
        &audio[256..],
        &[0xc6],
        &video[384..],
    ]
    .concat();
    let expected = [(TagKind::Data, 42, data), (TagKind::Audio, 41, audio), (TagKind::Video, 40, video)];
    assert_eq!(tags_of(&wire), expected);
}

#[test]
fn fmt_3_that_starts_a_new_message_adds_the_last_delta() {
    let first = [peer::fmt0(4, 1000, 2, type_id::AUDIO, STREAM), b"aa".to_vec()].concat();
    let fmt2 = b"\x84\0\0\x14bb";
    let fmt1 = b"\x44\0\0\x05\0\0\x02\x08dd";
    let wire = [&first[..], fmt2, b"\xc4cc", b"\xc4cc", fmt1, b"\xc4ee"].concat();
    assert_eq!(times_of(&wire), [1000, 1020, 1040, 1060, 1065, 1070]);
}

#[test]
fn fmt_3_behind_fmt_0_adds_the_timestamp_itself() {
    let wire = [peer::fmt0(4, 26, 2, type_id::AUDIO, STREAM), b"aa\xc4bb\xc4cc".to_vec()].concat();
    assert_eq!(times_of(&wire), [26, 52, 78]);
}

#[test]
fn timestamps_and_deltas_from_0xffffff_on_are_extended_on_every_fmt() {
    let fmt0 = |time: u32| {
        let time = time.to_be_bytes();
        [&peer::fmt0(4, 0xff_ffff, 2, type_id::AUDIO, STREAM)[..], &time, b"xx"].concat()
    };
    assert_eq!(times_of(&fmt0(0xff_ffff)), [0xff_ffff]);
    assert_eq!(times_of(&fmt0(0x0100_0010)), [0x0100_0010]);
    assert_eq!(times_of(&fmt0(u32::MAX)), [u32::MAX]);
    let start = [peer::fmt0(4, 5, 2, type_id::AUDIO, STREAM), b"aa".to_vec()].concat();
    let fmt1 = b"\x44\xff\xff\xff\0\0\x02\x08\x01\0\0\0xx";
    let fmt2 = b"\x84\xff\xff\xff\0\xff\xff\xffxx";
    // fmt 3 repeats the field.
    let fmt3 = b"\xc4\0\xff\xff\xffxx";
    let wire = [&start[..], fmt1, fmt2, fmt3].concat();
    assert_eq!(times_of(&wire), [5, 0x0100_0005, 0x0200_0004, 0x0300_0003]);
    // A step back is a huge delta, and the clock wraps.
    let back = b"\x84\xff\xff\xff\xff\xff\xff\xf6xx";
    assert_eq!(times_of(&[&start[..], back].concat()), [5, 0xffff_fffb]);
}

#[test]
fn continuations_may_or_may_not_repeat_the_extended_timestamp() {
    let body = pattern(3, 300);
    let field = 0x0100_0010_u32.to_be_bytes();
    let first = [&peer::fmt0(6, 0xff_ffff, 300, type_id::VIDEO, STREAM)[..], &field, &body[..128]].concat();
    let repeated = [&first[..], &[0xc6], &field, &body[128..256], &[0xc6], &field, &body[256..]].concat();
    let left_out = [&first[..], &[0xc6], &body[128..256], &[0xc6], &body[256..]].concat();
    for wire in [repeated, left_out] {
        assert_eq!(tags_of(&wire), [(TagKind::Video, 0x0100_0010, body.clone())]);
    }
}

#[test]
fn csids_come_in_three_forms() {
    let body = pattern(4, 200);
    for (fmt0, fmt3) in [
        (&[0x3f][..], &[0xff][..]),
        (&[0x00, 0], &[0xc0, 0]),
        (&[0x00, 255], &[0xc0, 255]),
        (&[0x01, 0, 1], &[0xc1, 0, 1]),
        (&[0x01, 255, 255], &[0xc1, 255, 255]),
        // The same csid, 64 + 5, in both forms that can say it.
        (&[0x00, 5], &[0xc1, 5, 0]),
    ] {
        let header = &peer::fmt0(0, 9, 200, type_id::VIDEO, STREAM)[1..];
        let wire = [fmt0, header, &body[..128], fmt3, &body[128..]].concat();
        assert_eq!(tags_of(&wire), [(TagKind::Video, 9, body.clone())], "{fmt0:02x?}");
    }
}

#[test]
fn a_chunk_size_holds_from_the_next_chunk_on_inside_of_messages_too() {
    let body = pattern(5, 1000);
    let wire = [
        &peer::fmt0(6, 1, 1000, type_id::VIDEO, STREAM)[..],
        &body[..128],
        &peer::control(type_id::SET_CHUNK_SIZE, 500),
        &[0xc6],
        &body[128..628],
        &peer::control(type_id::SET_CHUNK_SIZE, 1000),
        &[0xc6],
        &body[628..],
    ]
    .concat();
    assert_eq!(tags_of(&wire), [(TagKind::Video, 1, body)]);
}

#[test]
fn a_chunk_size_of_one_is_legal() {
    let body = pattern(6, 1000);
    let mut wire = peer::control(type_id::SET_CHUNK_SIZE, 1);
    wire.extend(peer::message_in(1, 6, type_id::VIDEO, STREAM, &body));
    wire.extend(peer::message_in(1, 3, type_id::COMMAND, CONNECTION, b"\x02\x00\x01x"));
    let (peer, result) = however_cut(publishing, &wire);
    assert_eq!(result, Ok(()));
    let [Event::Tag { tag, .. }, Event::Call { call, .. }] = &peer.events[..] else {
        panic!("{:?}", peer.events)
    };
    assert!(*tag.body == body && call.name == "x");
}

#[test]
fn an_abort_ends_the_unfinished_message_and_keeps_the_header() {
    let wire = [
        &peer::fmt0(6, 100, 300, type_id::VIDEO, STREAM)[..],
        &[1; 128],
        &peer::control(type_id::ABORT, 6),
        // What follows starts a message by the header that is kept: time 100 more, length 300.
        &[0xc6],
        &[2; 128],
        &[0xc6],
        &[2; 128],
        &[0xc6],
        &[2; 44],
        // Nothing to abort.
        &peer::control(type_id::ABORT, 6),
        &peer::control(type_id::ABORT, 60_000),
    ]
    .concat();
    assert_eq!(tags_of(&wire), [(TagKind::Video, 200, vec![2; 300])]);
}

#[test]
fn a_message_length_that_changes_inside_of_the_message_ends_the_session() {
    let first = [peer::fmt0(6, 1, 300, type_id::VIDEO, STREAM), vec![0; 128]].concat();
    let second = [peer::fmt0(6, 1, 299, type_id::VIDEO, STREAM), vec![0; 128]].concat();
    let before = publishing().fed + first.len() as u64;
    let (_, result) = however_cut(publishing, &[first.clone(), second].concat());
    let at = At { stream_offset: before, csid: Some(6), message_type: Some(type_id::VIDEO) };
    assert_eq!(result, Err(Error::new(ErrorKind::Malformed(Malformed::HeaderInsideMessage), at)));
    // The same header again goes on with the message.
    let again = [peer::fmt0(6, 1, 300, type_id::VIDEO, STREAM), vec![0; 128]].concat();
    let wire = [&first[..], &again, &[0xc6], &[0; 44]].concat();
    assert_eq!(tags_of(&wire), [(TagKind::Video, 1, vec![0; 300])]);
}

#[test]
fn acknowledgements_of_the_peer_are_a_running_total_that_wraps_or_restarts() {
    let ack = |total| peer::control(type_id::ACKNOWLEDGEMENT, total);
    let wire = [ack(3000), ack(0x7fff_0000), ack(0xf000_0000), ack(0x1000)].concat();
    let (peer, result) = however_cut(connected, &wire);
    assert_eq!((result, peer.session.stats().acknowledged), (Ok(()), 0x1_0000_1000));
    let (peer, result) = however_cut(connected, &[wire, ack(5)].concat());
    assert_eq!((result, peer.session.stats().acknowledged), (Ok(()), 0x1_0000_1000), "a restart");
}

#[test]
fn our_acknowledgements_are_totals_of_all_bytes_since_the_handshake_began() {
    let media = peer::message(4, type_id::AUDIO, STREAM, &[0xaf; 100]);
    let wire = [peer::control(type_id::WINDOW_ACK_SIZE, 20_000), media.repeat(300)].concat();
    let (mut peer, _) = however_cut(publishing, &wire);
    let start = publishing().fed + peer::control(type_id::WINDOW_ACK_SIZE, 20_000).len() as u64;
    let totals: Vec<u64> = peer
        .replies()
        .into_iter()
        .map(|(_, message)| match message {
            Message::Acknowledgement(total) => u64::from(total),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(totals, [start + 10_000, start + 20_000, start + 30_000]);
}

/// A command body with this behind the name "call", transaction id 0 and null.
fn call_with(values: &[u8]) -> Vec<u8> {
    let body = [b"\x02\x00\x04call\x00\0\0\0\0\0\0\0\0\x05", values].concat();
    peer::message(3, type_id::COMMAND, CONNECTION, &body)
}

fn args_of(wire: &[u8]) -> Vec<Value> {
    let (peer, result) = however_cut(connected, wire);
    assert_eq!(result, Ok(()));
    match &peer.events[..] {
        [Event::Call { call, .. }] => call.args.clone(),
        other => panic!("not a call: {other:?}"),
    }
}

#[test]
fn amf_counts_that_lie_are_not_believed() {
    let object = |number: f64| Object::from([("a", Value::Number(number))]);
    // ECMA arrays: the count is a hint, the end marker counts.
    for count in [[0; 4], [0, 0, 0, 9], [0xff; 4]] {
        let array = [b"\x08", &count[..], b"\x00\x01a\x00\x3f\xf0\0\0\0\0\0\0\x00\x00\x09\x06"].concat();
        assert_eq!(args_of(&call_with(&array)), [Value::EcmaArray(object(1.0)), Value::Undefined]);
    }
    // Strict arrays have no end marker: what is there is kept.
    let short = args_of(&call_with(b"\x0a\x00\x00\x00\x09\x05\x06"));
    assert_eq!(short, [Value::StrictArray(vec![Value::Null, Value::Undefined])]);
}

#[test]
fn amf_objects_without_an_end_marker_keep_what_they_hold() {
    let object = args_of(&call_with(b"\x03\x00\x01a\x00\x3f\xf0\0\0\0\0\0\0"));
    assert_eq!(object, [Value::Object(Object::from([("a", Value::Number(1.0))]))]);
    assert_eq!(args_of(&call_with(b"\x01\x01\x02\x00\x09cut")), [Value::Boolean(true)]);
}

#[test]
fn amf0_comes_under_amf3_type_ids_with_and_without_a_leading_zero() {
    let plain = peer::body_of(&weir::rtmp::message::Command::new("FCPublish", 4.0, vec!["cam".into()]));
    let with_zero = [&[0][..], &plain].concat();
    for body in [&plain, &with_zero] {
        let wire = peer::message(3, type_id::COMMAND_AMF3, CONNECTION, body);
        let (mut peer, result) = however_cut(connected, &wire);
        assert_eq!(
            (result, peer.reply_names()),
            (Ok(()), vec!["NetStream.Publish.Start".into(), "_result".into()])
        );
    }
    let data = b"\x00\x02\x00\x0aonMetaData\x05";
    let wire = peer::message(4, type_id::DATA_AMF3, STREAM, data);
    assert_eq!(tags_of(&wire), [(TagKind::Data, 0, data[1..].to_vec())]);
}

#[test]
fn create_stream_is_answered_on_stream_0_with_a_number_that_is_not_0() {
    let (mut peer, _) = however_cut(connected, &peer::create_stream());
    match &peer.replies()[..] {
        [(CONNECTION, Message::Command(result))] => {
            assert_eq!((&result.name[..], result.transaction), ("_result", 2.0));
            assert_eq!((&result.object, &result.args[..]), (&Value::Null, &[Value::Number(1.0)][..]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_that_nobody_specified_are_harmless() {
    let names =
        ["releaseStream", "FCPublish", "FCUnpublish", "FCSubscribe", "FCUnsubscribe", "_checkbw", "foo"];
    for name in names {
        for args in [vec![], vec![Value::Null], vec!["cam".into()], vec![Value::Number(f64::NAN)]] {
            let wire = [peer::call(CONNECTION, name, 5.0, args), peer::create_stream()].concat();
            let (mut peer, result) = however_cut(connected, &wire);
            assert_eq!((result, peer.session.state()), (Ok(()), State::Open));
            assert!(!peer.reply_names().contains(&"_error".into()));
        }
    }
    let call = peer::call(STREAM, "foo", 5.0, vec!["bar".into()]);
    let (peer, _) = however_cut(connected, &call);
    let expected = Call { stream: STREAM, name: "foo".into(), args: vec!["bar".into()] };
    assert!(matches!(&peer.events[..], [Event::Call { call, .. }] if **call == expected));
}

#[test]
fn slashes_and_queries_of_app_and_key_arrive_as_they_are() {
    for (app, key) in [
        ("live/instance", "room/cam"),
        ("live?user=a&pass=b/c", "cam?token=a/b?c=d"),
        ("/live/", "/cam/"),
        ("", "mp4:dir/clip.mp4?x"),
        ("live", ""),
    ] {
        let connect = peer::connect_with(Object::from([("app", Value::from(app))]));
        let wire = [
            peer::message(3, type_id::COMMAND, CONNECTION, &peer::body_of(&connect)),
            peer::create_stream(),
            peer::call(STREAM, "publish", 4.0, vec![key.into(), "live".into()]),
        ]
        .concat();
        let (peer, result) = however_cut(|| Peer::open(&Limits::default()), &wire);
        assert_eq!(result, Ok(()));
        let [Event::Connect { connect, .. }, Event::Publish { publish, .. }] = &peer.events[..] else {
            panic!("{:?}", peer.events)
        };
        assert_eq!((&connect.app[..], &publish.name[..]), (app, key));
    }
}

#[test]
fn a_second_publisher_hears_bad_name_and_nothing_of_a_start() {
    let mut peer = connected();
    peer.feed(&peer::create_stream()).unwrap();
    peer.forget();
    let wire = [peer::publish(STREAM), peer::message(4, type_id::AUDIO, STREAM, &[0xaf, 1])].concat();
    let taken = peer.session.handle_input(peer.now, &wire).unwrap();
    assert_eq!(taken, peer::publish(STREAM).len(), "media waits for the decision");
    let request = peer.session.poll_event().and_then(|event| event.request()).expect("a decision");
    peer.session.reject(request, RejectReason::NameTaken).unwrap();
    peer.feed(&wire[taken..]).unwrap();
    assert_eq!(peer.reply_names(), ["NetStream.Publish.BadName"]);
    assert_eq!((peer.session.state(), peer.events.len()), (State::Closing, 0));
}

#[test]
fn output_is_the_same_however_it_is_written() {
    let tag = Tag::new(TagKind::Video, Timestamp(0x0100_0000), pattern(8, 3000).into());
    let fill = || {
        let mut peer = Peer::playing(&Limits::default());
        let ping = peer::message(2, type_id::USER_CONTROL, CONNECTION, &[0, 6, 1, 2, 3, 4]);
        for _ in 0..3 {
            assert_eq!(peer.session.handle_input(peer.now, &ping), Ok(ping.len()));
            peer.session.send_tag(STREAM, &tag).unwrap();
        }
        peer
    };
    let mut whole = fill();
    whole.take_output();
    assert!(whole.output.len() > 9000);
    for first in 0..whole.output.len() {
        let mut peer = fill();
        // A partial write of `first` bytes, then the rest.
        let mut slices = [&[][..]; 64];
        let count = peer.session.output(&mut slices);
        let mut written = slices[..count].concat();
        written.truncate(first);
        peer.session.advance_output(written.len());
        assert_eq!(peer.output_len(), whole.output.len() - first);
        peer.take_output();
        assert!([written, peer.output].concat() == whole.output, "cut at {first}");
    }
}

#[test]
fn a_peer_that_half_closes_can_still_be_written_to() {
    let mut peer = Peer::playing(&Limits::default());
    let tag = Tag::new(TagKind::Audio, Timestamp(0), vec![0xaf; 100].into());
    peer.session.send_tag(STREAM, &tag).unwrap();
    let queued = peer.output_len();
    let error = peer.session.handle_eof(peer.now).unwrap_err();
    assert_eq!(error.kind, ErrorKind::PeerClosed { clean: true });
    assert_eq!(
        (peer.session.state(), peer.output_len()),
        (State::Closed, queued),
        "what is queued may leave"
    );
    peer.take_output();
    assert_eq!(peer.output.len(), queued);
    assert_eq!(peer.session.handle_eof(peer.now), Err(error), "sticky");
}

#[test]
fn an_end_inside_of_something_says_so_wherever_it_is() {
    let wire =
        [peer::create_stream(), peer::publish(STREAM), peer::message(4, 8, STREAM, &[0xaf; 200])].concat();
    let boundaries = [0, peer::create_stream().len(), wire.len()];
    for end in 0..=wire.len() {
        let mut peer = connected();
        peer.feed(&wire[..end]).unwrap();
        let is_publishing = peer.events.iter().any(|event| matches!(event, Event::Publish { .. }));
        let clean = boundaries.contains(&end) || end == wire.len() - (12 + 200 + 1);
        let at = At { stream_offset: peer.fed, csid: None, message_type: None };
        let expected = match is_publishing || !clean {
            true => Err(Error::new(ErrorKind::PeerClosed { clean }, at)),
            false => Ok(()),
        };
        assert_eq!(peer.session.handle_eof(peer.now), expected, "at {end}");
    }
    // After our own goodbye the peer may go as it likes.
    let mut peer = publishing();
    peer.session.close(peer.now, CloseReason::Done);
    assert_eq!(peer.session.handle_eof(peer.now), Ok(()));
}

#[test]
fn a_message_that_says_nothing_we_know_is_ignored_and_named() {
    for (wire, why) in [
        (
            peer::message(2, type_id::USER_CONTROL, CONNECTION, &[0, 5, 0, 0, 0, 0]),
            Ignored::UnknownUserControl(5),
        ),
        (peer::message(2, type_id::SET_PEER_BANDWIDTH, CONNECTION, &[0, 0, 1]), Ignored::TooShort),
        (peer::message(3, type_id::COMMAND, CONNECTION, &[0xff]), Ignored::Undecodable),
        (peer::message(3, type_id::SHARED_OBJECT, CONNECTION, b"so"), Ignored::UnknownType),
        (peer::message(4, type_id::AUDIO, MessageStreamId(77), b"a"), Ignored::StreamNotOpen),
        (peer::publish(MessageStreamId(77)), Ignored::NoSuchStream),
    ] {
        let (peer, result) = however_cut(connected, &wire);
        assert_eq!(result, Ok(()));
        assert!(matches!(&peer.events[..], [Event::Ignored { why: said, .. }] if *said == why), "{why:?}");
    }
}

#[test]
fn what_is_not_rtmp_is_known_by_its_first_byte() {
    for (first, is_rtmp) in [(3, true), (0, true), (b'G', false), (0x20, false), (0xff, false)] {
        let mut session = Peer::server(&Limits::default());
        let result = session.feed(&[first]);
        assert_eq!(result.is_ok(), is_rtmp, "{first:#x}");
        if let Err(error) = result {
            assert_eq!(error, Error::new(ErrorKind::Malformed(Malformed::NotRtmp(first)), At::default()));
            assert_eq!(session.output.len(), 0, "nothing is answered");
        }
    }
    // Fmt 3 on a csid without history: the first byte behind the handshake is to blame.
    let (_, result) = however_cut(|| Peer::open(&Limits::default()), &[0xc3]);
    let at = At { stream_offset: HANDSHAKE_LEN, csid: Some(3), message_type: None };
    assert_eq!(result, Err(Error::new(ErrorKind::Malformed(Malformed::ChunkWithoutHeader), at)));
}
