//! The client role, against a server that answers by hand.

use super::{super::*, assert_contains};
use crate::{
    amf::{Object, Value},
    base::Output,
    rtmp::{
        chunk::{self, csid},
        message::Command,
    },
};
use alloc::{format, string::String, vec, vec::Vec};

/// A client session and the bare chunk layer of a server.
struct Asking {
    session: Session,
    writer: chunk::Writer,
    reader: chunk::Reader,
}

const NOW: MonoTime = MonoTime(0);

impl Asking {
    /// Past the handshake; `connect` has been read.
    fn to_open() -> Asking {
        let session = Session::client(ClientConfig::default(), 7, NOW);
        let mut this = Asking {
            session,
            writer: chunk::Writer::new(),
            reader: chunk::Reader::new(&Limits::default(), 0),
        };
        let mut s0s1s2 = vec![0; 1 + 2 * 1536];
        s0s1s2[0] = 3;
        this.session.advance_output(1 + 1536);
        assert_eq!(this.session.handle_input(NOW, &s0s1s2), Ok(s0s1s2.len()));
        this.session.advance_output(1536);
        assert_eq!(this.events(), [Event::HandshakeDone { digest: false }]);
        let lines = this.sent();
        assert_contains(&lines, &["chunk size 65536", "connect 1"]);
        this
    }

    fn to_connected() -> Asking {
        let mut this = Asking::to_open();
        let info = Object::from([("code", "NetConnection.Connect.Success".into())]);
        this.answer(0, "_result", 1.0, vec![Value::Object(info)]);
        assert!(matches!(this.events()[..], [Event::Connected(_)]));
        this.sent();
        this
    }

    /// Stream 1 is created.
    fn to_created() -> Asking {
        let mut this = Asking::to_connected();
        let transaction = this.session.create_stream().expect("connected");
        this.answer(0, "_result", 2.0, vec![Value::Number(1.0)]);
        assert_eq!(this.events(), [Event::StreamCreated { transaction, stream: MessageStreamId(1) }]);
        this.sent();
        this
    }

    fn answer(&mut self, stream: u32, name: &str, transaction: f64, args: Vec<Value>) {
        self.answer_with(stream, &Command::new(name, transaction, args));
    }

    fn answer_with(&mut self, stream: u32, command: &Command) {
        let (mut body, mut out) = (Vec::new(), Output::new());
        command.encode(&mut body);
        let stream = MessageStreamId(stream);
        self.writer.write_control(&mut out, csid::COMMAND, stream, type_id::COMMAND, &body);
        let bytes = out.to_vec();
        assert_eq!(self.session.handle_input(NOW, &bytes), Ok(bytes.len()));
    }

    fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// A line per message of the client: stream, then the message.
    fn sent(&mut self) -> Vec<String> {
        let mut slices = [&[][..]; 64];
        let count = self.session.output(&mut slices);
        let bytes = slices[..count].concat();
        self.session.advance_output(bytes.len());
        let (mut used, mut lines) = (0, Vec::new());
        while used < bytes.len() {
            let (taken, raw) = self.reader.read(&bytes[used..]).expect("our own chunks are sound");
            used += taken;
            let message = |raw: &chunk::RawMessage| {
                Message::decode(raw, &Limits::default()).expect("our own messages decode")
            };
            lines.extend(raw.map(|raw| format!("{} {}", raw.stream, message(&raw))));
        }
        lines
    }
}

#[test]
fn connect_announces_what_a_relay_can_do() {
    let mut session = Session::client(ClientConfig { app: "live".into(), ..ClientConfig::default() }, 7, NOW);
    session.advance_output(1 + 1536);
    let mut s0s1s2 = vec![0; 1 + 2 * 1536];
    s0s1s2[0] = 3;
    session.handle_input(NOW, &s0s1s2).expect("handshake");
    session.advance_output(1536);
    let mut this =
        Asking { session, writer: chunk::Writer::new(), reader: chunk::Reader::new(&Limits::default(), 0) };
    let connect = this.sent().pop().expect("connect");
    assert!(connect.starts_with("0 connect 1 {\"app\":\"live\""), "{connect}");
    assert!(connect.contains("\"fourCcList\":[\"*\"],\"capsEx\":14}"), "{connect}");
}

#[test]
fn the_reason_of_a_refused_connect_is_found_in_either_object() {
    let info = Object::from([("code", "NetConnection.Connect.Rejected".into())]);
    let behind = Command::new("_error", 1.0, vec![Value::Object(info.clone())]);
    let first = Command { object: Value::Object(info), ..Command::new("_error", 1.0, vec![]) };
    for refusal in [behind, first] {
        let mut client = Asking::to_open();
        client.answer_with(0, &refusal);
        let [Event::ConnectRejected(status)] = &client.events()[..] else { panic!("no rejection") };
        assert_eq!(status.code, "NetConnection.Connect.Rejected");
        assert_eq!(client.session.state(), State::Closing);
    }
}

#[test]
fn commands_wait_for_connect() {
    let mut client = Asking::to_open();
    assert_eq!(client.session.create_stream(), Err(ApiMisuse::WrongState));
    assert_eq!(client.session.call(MessageStreamId(0), "x", &[]), Err(ApiMisuse::WrongState));
    assert_eq!(
        client.session.publish(MessageStreamId(1), "x", PublishType::Live),
        Err(ApiMisuse::NoSuchStream)
    );
    assert_eq!(client.sent(), [""; 0]);
}

#[test]
fn a_stream_that_the_server_does_not_create_is_a_reply() {
    let mut client = Asking::to_connected();
    let transaction = client.session.create_stream().expect("connected");
    client.answer(0, "_error", 2.0, vec![]);
    let values = vec![Value::Null];
    assert_eq!(client.events(), [Event::Reply { transaction, is_ok: false, values }]);
    client.session.create_stream().expect("connected");
    client.answer(0, "_result", 3.0, vec![Value::Number(0.0)]);
    assert_eq!(
        client.events(),
        [Event::Ignored { message_type: 20, why: Ignored::Undecodable }],
        "0 is no stream"
    );
}

#[test]
fn play_says_no_more_than_it_has_to() {
    type Case = (PlayStart, Option<u32>, bool, &'static str);
    let cases: [Case; 5] = [
        (PlayStart::LiveOrRecorded, None, true, "1 play 3 null \"cam\" -2000"),
        (PlayStart::Live, None, true, "1 play 3 null \"cam\" -1000"),
        (PlayStart::At(5000), Some(100), true, "1 play 3 null \"cam\" 5000 100"),
        (PlayStart::At(0), None, false, "1 play 3 null \"cam\" 0 -1 false"),
        (PlayStart::At(0), Some(0), false, "1 play 3 null \"cam\" 0 0 false"),
    ];
    for (start, duration, reset, expected) in cases {
        let mut client = Asking::to_created();
        let stream = MessageStreamId(1);
        let play = Play { stream, name: "cam".into(), start, duration, reset, wanted: Wanted::default() };
        client.session.play(&play).expect("created");
        assert_eq!(client.sent(), [expected]);
        client.session.play(&play).expect("instead of what plays, or behind it");
        assert_eq!(client.sent().len(), 1);
    }
    let mut client = Asking::to_created();
    let stream = MessageStreamId(1);
    client.session.publish(stream, "cam", PublishType::Live).expect("created");
    let play = Play {
        stream,
        name: "cam".into(),
        start: PlayStart::Live,
        duration: None,
        reset: true,
        wanted: Wanted::default(),
    };
    assert_eq!(client.session.play(&play), Err(ApiMisuse::NoSuchStream), "it publishes");
}

#[test]
fn seek_and_pause_are_for_streams_that_play_and_a_failed_seek_changes_nothing() {
    let mut client = Asking::to_created();
    let stream = MessageStreamId(1);
    assert_eq!(client.session.seek(stream, 5), Err(ApiMisuse::NoSuchStream));
    assert_eq!(client.session.pause(stream, true, 5), Err(ApiMisuse::NoSuchStream));
    let play = Play {
        stream,
        name: "film".into(),
        start: PlayStart::At(0),
        duration: None,
        reset: true,
        wanted: Wanted::default(),
    };
    client.session.play(&play).expect("created");
    client.sent();
    let info = |code: &str| {
        vec![Value::Object(Object::from([("level", Value::from("error")), ("code", code.into())]))]
    };
    client.answer(1, "onStatus", 0.0, info("NetStream.Seek.InvalidTime"));
    client.session.seek(stream, 5000).expect("it plays");
    client.session.pause(stream, false, 70).expect("it plays");
    assert_eq!(client.sent(), ["1 seek 4 null 5000", "1 pause 5 null false 70"]);
    client.answer(1, "onStatus", 0.0, info("NetStream.Play.StreamNotFound"));
    assert_eq!(client.session.seek(stream, 5), Err(ApiMisuse::NoSuchStream));
}

#[test]
fn an_error_on_a_stream_makes_it_free_again_and_a_status_does_not() {
    let mut client = Asking::to_created();
    let stream = MessageStreamId(1);
    client.session.publish(stream, "cam", PublishType::Live).expect("created");
    let info = |level: &str| vec![Value::Object(Object::from([("level", level.into())]))];
    client.answer(1, "onStatus", 0.0, info("status"));
    assert_eq!(client.session.publish(stream, "cam", PublishType::Live), Err(ApiMisuse::NoSuchStream));
    // A recording on the far side concerns its stream in no way.
    let failed = [("level", "error".into()), ("code", "NetStream.Record.Failed".into())];
    client.answer(1, "onStatus", 0.0, vec![Value::Object(Object::from(failed))]);
    assert_eq!(client.session.publish(stream, "cam", PublishType::Live), Err(ApiMisuse::NoSuchStream));
    client.answer(1, "onStatus", 0.0, info("error"));
    assert!(client.session.publish(stream, "cam", PublishType::Live).is_ok());
}

#[test]
fn calls_of_the_server_are_answered_when_they_ask_for_it() {
    let mut client = Asking::to_connected();
    client.answer(0, "_onbwcheck", 7.0, vec![]);
    client.answer(0, "onBWDone", 0.0, vec![]);
    assert_eq!(client.sent(), ["0 _result 7 null null"]);
}

#[test]
fn of_many_unanswered_calls_the_oldest_are_forgotten() {
    let mut client = Asking::to_connected();
    let asked: Vec<_> = (0..65)
        .map(|_| client.session.call(MessageStreamId(0), "FCSubscribe", &[]).expect("connected"))
        .collect();
    client.answer(0, "_result", f64::from(asked[0].0), vec![]);
    assert_eq!(client.events(), [Event::Ignored { message_type: 20, why: Ignored::UnexpectedReply }]);
    for transaction in [asked[1], asked[64]] {
        client.answer(0, "_result", f64::from(transaction.0), vec![]);
        let values = vec![Value::Null];
        assert_eq!(client.events(), [Event::Reply { transaction, is_ok: true, values }]);
    }
}
