//! Bytes as clients send them, good ones and bad ones. Chunks are made by hand: a writer makes none that are wrong.

use weir::{
    amf::{Object, Value},
    rtmp::{
        MessageStreamId,
        chunk::DEFAULT_CHUNK_SIZE,
        message::{Command, type_id},
    },
};

const CONNECTION: MessageStreamId = MessageStreamId(0);
/// The first that createStream gives.
const STREAM: MessageStreamId = MessageStreamId(1);

/// C0, C1 and C2 of the simple handshake.
pub(crate) fn handshake() -> Vec<u8> {
    let mut blocks = vec![0; 1 + 2 * 1536];
    blocks[0] = 3;
    blocks
}

/// A whole message in chunks of 128 bytes.
fn message(csid: u8, type_id: u8, stream: MessageStreamId, body: &[u8]) -> Vec<u8> {
    let mut bytes = begin(csid.into(), type_id, body.len() as u32, stream);
    for (index, chunk) in body.chunks(DEFAULT_CHUNK_SIZE as usize).enumerate() {
        if index > 0 {
            bytes.push(0xc0 | csid);
        }
        bytes.extend(chunk);
    }
    bytes
}

fn call(stream: MessageStreamId, command: &Command) -> Vec<u8> {
    let mut body = Vec::new();
    command.encode(&mut body);
    message(3, type_id::COMMAND, stream, &body)
}

/// The handshake and `connect` with these properties beside the usual.
pub(crate) fn connect_with(more: Option<(&str, Value)>) -> Vec<u8> {
    let mut properties = Object::from([("app", Value::from("live")), ("tcUrl", "rtmp://h/live".into())]);
    if let Some((name, value)) = more {
        properties.push(name, value);
    }
    let connect = Command { object: Value::Object(properties), ..Command::new("connect", 1.0, vec![]) };
    [handshake(), call(CONNECTION, &connect)].concat()
}

/// All that a publisher of `key` says before its media.
pub(crate) fn publish(key: &str) -> Vec<u8> {
    let create = Command::new("createStream", 2.0, vec![]);
    let publish = Command::new("publish", 3.0, vec![key.into(), "live".into()]);
    [connect_with(None), call(CONNECTION, &create), call(STREAM, &publish)].concat()
}

/// The same of a player.
pub(crate) fn play(key: &str) -> Vec<u8> {
    let create = Command::new("createStream", 2.0, vec![]);
    let play = Command::new("play", 3.0, vec![key.into(), Value::Number(-2000.0)]);
    [connect_with(None), call(CONNECTION, &create), call(STREAM, &play)].concat()
}

/// From here on, chunks of this size.
pub(crate) fn chunk_size(size: u32) -> Vec<u8> {
    message(2, type_id::SET_CHUNK_SIZE, CONNECTION, &size.to_be_bytes())
}

/// Objects in objects.
pub(crate) fn deep(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| Value::Object(Object::from([("a", inner)])))
}

/// Message header of fmt 0: the beginning of a message of `length` bytes on a csid of one to three bytes.
fn begin(csid: u32, type_id: u8, length: u32, stream: MessageStreamId) -> Vec<u8> {
    let mut header = match csid {
        2..64 => vec![csid as u8],
        64..320 => vec![0, (csid - 64) as u8],
        _ => vec![1, (csid - 64) as u8, ((csid - 64) >> 8) as u8],
    };
    header.extend([0; 3]);
    header.extend(&length.to_be_bytes()[1..]);
    header.push(type_id);
    header.extend(stream.0.to_le_bytes());
    header
}

/// The beginning of a video message, and nothing of its body.
pub(crate) fn promise(csid: u32, length: u32) -> Vec<u8> {
    begin(csid, type_id::VIDEO, length, STREAM)
}

/// A video message of `length` bytes in one chunk, which needs a chunk size of as many; an inter frame.
pub(crate) fn video(length: u32) -> Vec<u8> {
    let mut bytes = promise(6, length);
    bytes.extend([0x27, 1, 0, 0, 0]);
    bytes.resize(bytes.len() - 5 + length as usize, 0x5a);
    bytes
}
