//! Text of what a session was told, said and sent, one line each, for comparison with golden files.

use core::fmt::Write;
use weir::{
    flv::Tag,
    pcap::{
        Direction,
        dissect::{Description, dissect},
    },
    rtmp::{
        Event,
        message::{Message, type_id},
        session::Status,
    },
};

/// FNV-1a, 64 bits.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// What a session of one role has sent, as lines with the offset at which each is complete.
pub(crate) fn output_lines(direction: Direction, output: &[u8]) -> Vec<(usize, String)> {
    let sent = dissect(direction, output);
    let mut lines = Vec::new();
    let second = 1 + BLOCK;
    for (block, range) in [("0 and 1", 0..second), ("2", second..second + BLOCK)] {
        if let Some(bytes) = output.get(range.clone()) {
            let end = range.end;
            lines.push((end, format!("{:>7} handshake block {block} {}", range.start, digest(bytes))));
        }
    }
    for found in &sent.messages {
        let raw = &found.raw;
        let contents = match &found.message {
            Ok(message) => Description(message).to_string(),
            Err(error) => panic!("our own message is {error:?}"),
        };
        lines.push((
            found.end as usize,
            format!(
                "{:>7} csid {} fmt {} msid {} ts {} {} {contents} {}",
                raw.offset,
                raw.csid,
                raw.fmt,
                raw.stream,
                raw.timestamp,
                type_id::name(raw.type_id),
                digest(&raw.body),
            ),
        ));
    }
    // What we send is not odd in any way, whatever the peer does.
    assert_eq!(sent.oddities, []);
    lines
}

/// One line of what a session told its driver.
pub(crate) fn event_line(event: &Event) -> String {
    let mut line = String::new();
    write_event(event, &mut line).expect("strings take anything");
    line
}

fn write_event(event: &Event, f: &mut String) -> core::fmt::Result {
    match event {
        Event::HandshakeDone { digest } => write!(f, "handshake done, digest {digest}"),
        Event::Connect { connect, .. } => {
            write!(
                f,
                "connect app {:?} tcUrl {:?} flashVer {:?} encoding {} fourccs {:?} caps {:#x} {}",
                connect.app,
                connect.tc_url,
                connect.flash_ver,
                connect.object_encoding,
                connect.capabilities.fourccs,
                connect.capabilities.caps_ex,
                connect.properties,
            )?;
            connect.args.iter().try_for_each(|value| write!(f, " {value}"))
        }
        Event::Connected(connected) => write!(f, "connected {} {}", connected.properties, connected.info),
        Event::ConnectRejected(status) => write_status("connect rejected", status, f),
        Event::StreamCreated { transaction, stream } => {
            write!(f, "stream {stream} created, transaction {}", transaction.0)
        }
        Event::Publish { publish, .. } => {
            write!(f, "publish msid {} {:?} {:?}", publish.stream, publish.name, publish.kind)
        }
        Event::Play { play, .. } => write!(
            f,
            "play msid {} {:?} {:?} duration {:?} reset {}",
            play.stream, play.name, play.start, play.duration, play.reset
        ),
        Event::Play2 { play2, .. } => write!(f, "{play2:?}"),
        Event::Pause { stream, paused, position, .. } => {
            write!(f, "pause msid {stream} {paused} at {position}")
        }
        Event::Seek { stream, position, .. } => write!(f, "seek msid {stream} to {position}"),
        Event::ReceiveAudio { stream, wanted } => write!(f, "receive audio msid {stream} {wanted}"),
        Event::ReceiveVideo { stream, wanted } => write!(f, "receive video msid {stream} {wanted}"),
        Event::BufferLength { stream, length } => write!(f, "buffer msid {stream} {length:?}"),
        Event::StreamEnded { stream } => write!(f, "stream {stream} ended"),
        Event::Tag { stream, tag } => write_tag(stream.0, tag, f),
        Event::Call { call, .. } => {
            write!(f, "call msid {} {}", call.stream, call.name)?;
            call.args.iter().try_for_each(|value| write!(f, " {value}"))
        }
        Event::Reply { transaction, is_ok, values } => {
            write!(f, "{} to {}", if *is_ok { "result" } else { "error" }, transaction.0)?;
            values.iter().try_for_each(|value| write!(f, " {value}"))
        }
        Event::Status { stream, status } => write_status(&format!("status msid {stream}"), status, f),
        Event::StreamNotice { stream, notice } => write!(f, "stream {stream} {notice:?}"),
        Event::PeerClosing => f.write_str("peer closes"),
        Event::Ignored { message_type, why } => {
            write!(f, "ignored {}: {why}", type_id::name(*message_type))
        }
        other => write!(f, "{other:?}"),
    }
}

fn write_status(what: &str, status: &Status, f: &mut String) -> core::fmt::Result {
    write!(f, "{what} {} {} {}", status.level, status.code, status.info)
}

fn write_tag(stream: u32, tag: &Tag, f: &mut String) -> core::fmt::Result {
    let kind = type_id::name(tag.kind.type_id());
    let description = Message::Tag(tag.clone());
    write!(
        f,
        "tag msid {stream} {kind} ts {} {} {}",
        tag.timestamp,
        Description(&description),
        digest(&tag.body)
    )
}

fn digest(bytes: &[u8]) -> String {
    format!("len {} {:016x}", bytes.len(), hash(bytes))
}

const BLOCK: usize = 1536;
