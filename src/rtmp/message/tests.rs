//! Messages by their bodies, in hex from the reference examples and from captures.

use super::*;
use crate::{
    amf::{Object, Value, amf0},
    base::{Payload, Timestamp},
    rtmp::MessageStreamId,
};
use alloc::{string::ToString, vec};

fn raw(type_id: u8, body: &[u8]) -> RawMessage {
    RawMessage {
        offset: 0,
        csid: 3,
        fmt: 0,
        stream: MessageStreamId(1),
        type_id,
        timestamp: Timestamp(1000),
        body: Payload::from(body),
    }
}

fn decode(type_id: u8, body: &[u8]) -> Result<Message, DecodeFailure> {
    Message::decode(&raw(type_id, body), &Limits::default())
}

fn command(type_id: u8, body: &[u8]) -> Command {
    match decode(type_id, body) {
        Ok(Message::Command(command)) => command,
        other => panic!("not a command: {other:?}"),
    }
}

#[test]
fn control_messages_decode_with_trailing_bytes_and_are_ignored_when_short() {
    let cases: &[(u8, &[u8], &str)] = &[
        (1, &[0, 0, 0x10, 0], "chunk size 4096"),
        (2, &[0, 0, 0, 6], "abort csid 6"),
        (3, &[0, 0x26, 0x25, 0xa0], "received 2500000"),
        (4, &[0, 0, 0, 0, 0, 1], "StreamBegin 1"),
        (4, &[0, 1, 0, 0, 0, 1], "StreamEOF 1"),
        (4, &[0, 2, 0, 0, 0, 1], "StreamDry 1"),
        (4, &[0, 3, 0, 0, 0, 1, 0, 0, 0x0b, 0xb8], "SetBufferLength 1 3000 ms"),
        (4, &[0, 4, 0, 0, 0, 1], "StreamIsRecorded 1"),
        (4, &[0, 6, 0, 0, 0, 9], "PingRequest 9"),
        (4, &[0, 7, 0, 0, 0, 9], "PingResponse 9"),
        (4, &[0, 31, 0, 0, 0, 1], "StreamBufferEmpty 1"),
        (4, &[0, 32, 0, 0, 0, 1], "StreamBufferReady 1"),
        (5, &[0, 0x26, 0x25, 0xa0], "window 2500000"),
        (6, &[0, 0x26, 0x25, 0xa0, 2], "bandwidth 2500000 dynamic"),
    ];
    for (type_id, body, line) in cases {
        assert_eq!(decode(*type_id, body).expect(line).to_string(), *line);
        assert_eq!(decode(*type_id, &[*body, &[0xff; 3]].concat()).expect(line).to_string(), *line);
        for len in 0..body.len() {
            assert_eq!(decode(*type_id, &body[..len]), Err(Ignored::TooShort.into()), "{line} cut to {len}");
        }
    }
}

#[test]
fn every_user_control_event_survives_encoding() {
    let stream = MessageStreamId(7);
    for event in [
        UserControl::StreamBegin(stream),
        UserControl::StreamEof(stream),
        UserControl::StreamDry(stream),
        UserControl::SetBufferLength { stream, length: 3000 },
        UserControl::StreamIsRecorded(stream),
        UserControl::PingRequest(1),
        UserControl::PingResponse(2),
        UserControl::SwfVerifyRequest,
        UserControl::SwfVerifyResponse,
        UserControl::StreamBufferEmpty(stream),
        UserControl::StreamBufferReady(stream),
    ] {
        let mut body = Vec::new();
        event.encode(&mut body);
        assert_eq!(UserControl::decode(&body), Ok(event));
    }
    assert_eq!(UserControl::decode(&[0, 5, 0, 0, 0, 0]), Err(Ignored::UnknownUserControl(5)));
}

#[test]
fn unknown_types_and_shared_objects_are_ignored() {
    for type_id in [0, 7, 16, 19, 21, 23, 255] {
        assert_eq!(decode(type_id, &[1, 2, 3]), Err(Ignored::UnknownType.into()), "type {type_id}");
    }
}

#[test]
fn a_type_17_command_has_a_format_byte_or_lacks_it() {
    let body = b"\x02\x00\x0ccreateStream\x00\x40\x00\x00\x00\x00\x00\x00\x00\x05";
    let with_format_byte = [&[0][..], body].concat();
    let expected = Command::new("createStream", 2.0, vec![]);
    assert_eq!(command(20, body), expected);
    assert_eq!(command(17, &with_format_byte), expected);
    assert_eq!(command(17, body), expected);
}

#[test]
fn a_missing_command_object_or_transaction_id_is_made_up_for() {
    let name = b"\x02\x00\x04play";
    let two = b"\x00\x40\x00\x00\x00\x00\x00\x00\x00";
    let cam = b"\x02\x00\x03cam";
    let expected = Command::new("play", 2.0, vec![Value::from("cam")]);
    assert_eq!(command(20, &[&name[..], two, b"\x05", cam].concat()), expected);
    assert_eq!(command(20, &[&name[..], two, cam].concat()), expected);
    let expected = Command::new("play", 0.0, vec![Value::from("cam")]);
    assert_eq!(command(20, &[&name[..], b"\x05", cam].concat()), expected);
    assert_eq!(command(20, &[&name[..], cam].concat()), expected);
    let expected = Command::new("play", 2.0, vec![Value::Number(2.0)]);
    assert_eq!(command(20, &[&name[..], two, two].concat()), expected);
}

#[test]
fn a_command_without_a_name_is_ignored_and_one_with_a_broken_tail_keeps_its_head() {
    assert_eq!(decode(20, &[]), Err(Ignored::Undecodable.into()));
    assert_eq!(decode(20, &[5]), Err(Ignored::Undecodable.into()));
    let broken = b"\x02\x00\x04play\x00\x40\x00\x00\x00\x00\x00\x00\x00\x05\x02\x00\x03cam\xff\xff";
    assert_eq!(command(20, broken), Command::new("play", 2.0, vec![Value::from("cam")]));
}

#[test]
fn nesting_and_value_counts_of_commands_are_limited() {
    let limits = Limits { max_amf_depth: 2, max_amf_values: 10, ..Limits::default() };
    let decode = |depth: usize, values: usize| {
        let mut nested = Value::Null;
        for _ in 0..depth {
            nested = Value::StrictArray(vec![nested]);
        }
        let mut body = Vec::new();
        Command::new("x", 0.0, vec![Value::Null; values]).encode(&mut body);
        amf0::encode(&nested, &mut body);
        Message::decode(&raw(20, &body), &limits).map(|_| ())
    };
    assert_eq!(decode(2, 0), Ok(()));
    assert_eq!(decode(3, 0), Err(DecodeFailure::Limit(Limit::AmfDepth)));
    assert_eq!(decode(0, 6), Ok(()));
    assert_eq!(decode(0, 7), Err(DecodeFailure::Limit(Limit::AmfValues)));
}

#[test]
fn set_data_frame_is_removed_without_touching_the_rest() {
    let metadata = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09";
    let set = b"\x02\x00\x0d@setDataFrame";
    for (type_id, body) in [
        (18, metadata.to_vec()),
        (18, [&set[..], metadata].concat()),
        (15, [&[0][..], metadata].concat()),
        (15, [&[0][..], set, metadata].concat()),
        (15, [&[3][..], set, metadata].concat()),
        (15, metadata.to_vec()),
    ] {
        let Ok(Message::Tag(tag)) = decode(type_id, &body) else { panic!("not a tag") };
        assert_eq!(tag.kind, TagKind::Data);
        assert_eq!(*tag.body, metadata[..]);
    }
}

#[test]
fn amf3_values_of_data_messages_are_written_as_amf0() {
    let body = b"\x00\x02\x00\x0aonMetaData\x11\x0a\x0b\x01\x03a\x04\x01\x01";
    let Ok(Message::Tag(tag)) = decode(15, body) else { panic!("not a tag") };
    let mut expected = Vec::new();
    amf0::encode(&Value::from("onMetaData"), &mut expected);
    amf0::encode(&Value::Object(Object(vec![("a".into(), Value::Number(1.0))])), &mut expected);
    assert_eq!(*tag.body, expected[..]);
}

#[test]
fn a_data_message_that_grows_too_long_as_amf0_is_ignored() {
    // A byte that is no UTF-8 becomes three.
    let message = |len: u32| {
        let mut body = b"\x00\x02\x00\x01x\x11\x06".to_vec();
        let header = len << 1 | 1;
        body.extend([22, 15, 8].map(|shift| (header >> shift) as u8 | 0x80));
        body.push(header as u8);
        body.resize(body.len() + len as usize, 0xff);
        decode(15, &body).map(|_| ())
    };
    let most = (0xff_ffff - 4 - 5) / 3;
    assert_eq!(message(most), Ok(()));
    assert_eq!(message(most + 1), Err(Ignored::Undecodable.into()));
}

/// The example of the reference, with the message's own time moved.
const AGGREGATE: &[u8] = b"\x08\x00\x00\x02\x00\x03\xe8\x00\x00\x00\x00\xaf\x01\x00\x00\x00\x0d\
                           \x09\x00\x00\x03\x00\x03\xfc\x00\x00\x00\x00\x27\x01\x00\x00\x00\x00\x0e";

#[test]
fn aggregates_split_into_tags_rebased_to_the_message() {
    let split = |body: &[u8]| match decode(22, body) {
        Ok(Message::Aggregate(parts)) => parts.collect::<Vec<_>>(),
        other => panic!("not an aggregate: {other:?}"),
    };
    let audio = Tag::new(TagKind::Audio, Timestamp(1000), Payload::from(&b"\xaf\x01"[..]));
    let video = Tag::new(TagKind::Video, Timestamp(1020), Payload::from(&b"\x27\x01\x00"[..]));
    assert_eq!(split(AGGREGATE), [Ok(audio.clone()), Ok(video.clone())]);
    let without_last_back_pointer = &AGGREGATE[..AGGREGATE.len() - 4];
    assert_eq!(split(without_last_back_pointer), [Ok(audio.clone()), Ok(video)]);
    for len in 17 + 1..AGGREGATE.len() - 4 {
        assert_eq!(split(&AGGREGATE[..len]), [Ok(audio.clone()), Err(Ignored::BadAggregate)], "cut to {len}");
    }
    // The first part ends the 24 low bits, the second needs the high ones.
    let mut late = AGGREGATE.to_vec();
    late[4..8].copy_from_slice(&[0xff, 0xff, 0xff, 0]);
    late[17 + 4..17 + 8].copy_from_slice(&[0, 0, 4, 1]);
    let times: Vec<u32> = split(&late).into_iter().flatten().map(|tag| tag.timestamp.0).collect();
    assert_eq!(times, [1000, 1005]);
    let mut nested = AGGREGATE.to_vec();
    nested[0] = 22;
    assert_eq!(split(&nested)[0], Err(Ignored::BadAggregate));
}

#[test]
fn the_fuzz_body_holds_on_small_inputs() {
    for type_id in 0..32 {
        for len in 0..40u8 {
            let body: Vec<u8> = (0..len).map(|i| i.wrapping_mul(37).wrapping_add(type_id)).collect();
            fuzz(&[&[type_id][..], &body].concat());
        }
        fuzz(&[&[type_id][..], AGGREGATE].concat());
    }
}
