//! What a recorded client did, as calls to a client session: which command, and after how many bytes of the server.

use weir::{
    amf::Value,
    pcap::{
        Direction, Stream,
        dissect::{Dissection, dissect},
    },
    rtmp::{
        ClientConfig, MessageStreamId, Session,
        message::{Command, Message},
        session::{Play, PlayStart, PublishType, TransactionId, Wanted},
    },
};

/// A recorded client.
pub(crate) struct Script {
    pub(crate) config: ClientConfig,
    pub(crate) calls: Vec<Call>,
}

/// One command of it.
pub(crate) struct Call {
    /// Bytes of the server that the client had when it sent the command.
    pub(crate) after: usize,
    stream: MessageStreamId,
    command: Command,
}

impl Script {
    /// Commands without a transaction id are left out but for publish and play, as nothing answers them, and so is
    /// FCUnpublish, which comes with `delete_stream`.
    pub(crate) fn read(client: &Stream, server: &Stream) -> Script {
        let said = dissect(Direction::FromClient, &client.bytes);
        let replies = dissect(Direction::FromServer, &server.bytes);
        // The clock of the capture may be too coarse to tell a command from the reply that led to it.
        let connected = end_of_result(&replies, 1.0);
        let mut stream_created = None;
        let mut calls = Vec::new();
        for found in &said.messages {
            let Ok(Message::Command(command)) = &found.message else { continue };
            let is_reply = matches!(command.name.as_str(), "_result" | "_error");
            if is_reply || matches!(command.name.as_str(), "connect" | "FCUnpublish") {
                continue;
            }
            let sent = client.time_at(found.end - 1);
            let seen = server.segments.partition_point(|segment| Some(segment.time) <= sent);
            let seen = server.segments.get(seen).map_or(server.bytes.len(), |next| next.offset as usize);
            let is_begin = matches!(command.name.as_str(), "publish" | "play");
            let needed = if is_begin { stream_created } else { connected };
            if command.name == "createStream" {
                stream_created = end_of_result(&replies, command.transaction);
            }
            if command.transaction != 0.0 || is_begin {
                let after = seen.max(needed.unwrap_or_default());
                calls.push(Call { after, stream: found.raw.stream, command: command.clone() });
            }
        }
        Script { config: config(&said), calls }
    }
}

/// Bytes of the server up to the end of its reply.
fn end_of_result(replies: &Dissection, transaction: f64) -> Option<usize> {
    replies.messages.iter().find_map(|found| match &found.message {
        Ok(Message::Command(reply)) if reply.transaction == transaction && reply.name.starts_with('_') => {
            Some(found.end as usize)
        }
        _ => None,
    })
}

/// What the recorded client said of itself.
fn config(said: &Dissection) -> ClientConfig {
    let mut config = ClientConfig {
        offer_digest: said.handshake.is_some_and(|blocks| blocks.is_signed),
        chunk_size: 128,
        ..ClientConfig::default()
    };
    for found in &said.messages {
        match &found.message {
            Ok(Message::SetChunkSize(size)) => config.chunk_size = *size,
            Ok(Message::WindowAckSize(window)) => config.window = *window,
            Ok(Message::Command(connect)) if connect.name == "connect" => {
                let properties = connect.object.as_object().expect("connect has properties");
                let text = |key: &str| properties.get(key).and_then(Value::as_str).unwrap_or_default().into();
                config.app = text("app");
                config.tc_url = text("tcUrl");
                config.flash_ver = text("flashVer");
                config.is_publisher = properties.get("type").is_some();
                return config;
            }
            _ => {}
        }
    }
    config
}

impl Call {
    /// Makes the call; says what came of it.
    pub(crate) fn make(&self, session: &mut Session) -> String {
        let Call { stream, command, .. } = self;
        let name = command.name.as_str();
        let text = |index| command.string_arg(index).unwrap_or_default();
        let result = match name {
            "createStream" => session.create_stream(),
            "publish" => session.publish(*stream, text(0), PublishType::Live),
            "play" => session.play(&Play {
                stream: *stream,
                name: text(0).into(),
                start: match command.number_arg(1) {
                    Some(start) if start >= 0.0 => PlayStart::At(start as u32),
                    Some(-1.0 | -1000.0) => PlayStart::Live,
                    _ => PlayStart::LiveOrRecorded,
                },
                duration: command.number_arg(2).filter(|ms| *ms >= 0.0).map(|ms| ms as u32),
                reset: true,
                wanted: Wanted::default(),
            }),
            "deleteStream" => {
                let id = command.number_arg(0).map_or(0, |id| id as u32);
                let result = session.delete_stream(MessageStreamId(id));
                return match result {
                    Ok(()) => format!("deleteStream {id}"),
                    Err(error) => format!("deleteStream {id}: {error}"),
                };
            }
            _ => session.call(*stream, name, &command.args),
        };
        match result {
            Ok(TransactionId(id)) if command.transaction == 0.0 || command.transaction == f64::from(id) => {
                format!("{name}, transaction {id}")
            }
            Ok(TransactionId(id)) => format!("{name}, transaction {id} for {}", command.transaction),
            Err(error) => format!("{name}: {error}"),
        }
    }
}
