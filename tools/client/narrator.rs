//! `-v`: tells a conversation while it happens, one line a message: when, who, the message as `inspect` shows it, and what
//! it is for.
//!
//! In: the bytes of both directions ([`Seen`]), taken apart by [`Dissector`]. Out: lines. Of media only what is new
//! is told (configuration, the first frame of each kind); the rest is counted, as are acknowledgements.
//! Queries in names are not shown: they carry tokens.

use super::progress::Printer;
use std::{collections::BTreeMap, fmt::Write, time::Instant};
use weir::{
    flv::{Tag, TagKind, TagRole, data},
    pcap::{
        Direction,
        dissect::{Dissected, Dissector, Found, Hello},
    },
    rtmp::{
        MessageStreamId,
        message::{Command, Message, UserControl, type_id},
    },
    server::client::{RtmpUrl, Seen},
};

/// See the module.
pub(crate) struct Narrator {
    printer: Printer,
    /// What is not to be shown.
    secrets: Vec<String>,
    started: Instant,
    client: Side,
    server: Side,
}

/// One direction of the connection.
struct Side {
    direction: Direction,
    dissector: Dissector,
    bytes: u64,
    is_open: bool,
    /// Messages by type.
    counts: BTreeMap<u8, u64>,
    /// Frames by kind that have been told.
    has_shown: [bool; 3],
    /// Commands by transaction id that wait for an answer.
    asked: BTreeMap<u64, String>,
}

impl Narrator {
    pub(crate) fn new(url: &RtmpUrl, printer: Printer) -> Narrator {
        let query = |name: &str| name.split_once('?').map(|(_, query)| query.to_string());
        let secrets = [query(&url.app), query(&url.key)];
        Narrator {
            printer,
            secrets: secrets.into_iter().flatten().filter(|secret| !secret.is_empty()).collect(),
            started: Instant::now(),
            client: Side::new(Direction::FromClient),
            server: Side::new(Direction::FromServer),
        }
    }

    /// Tells what there is to tell.
    pub(crate) fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Opened { peer } => {
                self.client = Side::new(Direction::FromClient);
                self.server = Side::new(Direction::FromServer);
                self.tell("--", &format!("TCP connection to {peer}"), "nothing of RTMP has been said yet");
            }
            Seen::Bytes(direction, bytes) => {
                let (side, other) = match direction {
                    Direction::FromClient => (&mut self.client, &mut self.server),
                    Direction::FromServer => (&mut self.server, &mut self.client),
                };
                let lines = side.take(bytes, other);
                let who = arrow(direction);
                lines.iter().for_each(|(what, why)| self.tell(who, what, why));
            }
            Seen::Ended(Direction::FromClient) => self.end(Direction::FromClient),
            Seen::Ended(Direction::FromServer) => {
                self.end(Direction::FromServer);
                self.end(Direction::FromClient);
            }
        }
    }

    fn end(&mut self, direction: Direction) {
        let side = match direction {
            Direction::FromClient => &mut self.client,
            Direction::FromServer => &mut self.server,
        };
        if core::mem::replace(&mut side.is_open, false) {
            let what = side.summary();
            self.tell(arrow(direction), &what, "this side has said everything: its half of TCP is closed");
        }
    }

    fn tell(&self, who: &str, what: &str, why: &str) {
        let mut what = what.to_string();
        for secret in &self.secrets {
            what = what.replace(secret.as_str(), "...");
        }
        if let Some((end, _)) = what.char_indices().nth(MAX_WIDTH) {
            what.truncate(end);
            what += " ...";
        }
        let time = self.started.elapsed().as_secs_f64();
        self.printer.line(&format!("{time:>8.3} {who} {what}  # {why}"));
    }
}

impl Side {
    fn new(direction: Direction) -> Side {
        Side {
            direction,
            dissector: Dissector::new(direction),
            bytes: 0,
            is_open: true,
            counts: BTreeMap::new(),
            has_shown: [false; 3],
            asked: BTreeMap::new(),
        }
    }

    /// Lines for what these bytes complete: what, and what for. `other` is who answers and is answered.
    fn take(&mut self, bytes: &[u8], other: &mut Side) -> Vec<(String, String)> {
        self.bytes += bytes.len() as u64;
        let mut found = Vec::new();
        self.dissector.feed(bytes, &mut |new| found.push(new));
        found.into_iter().filter_map(|found| self.describe(found, other)).collect()
    }

    fn describe(&mut self, found: Found, other: &mut Side) -> Option<(String, String)> {
        let letter = if self.direction == Direction::FromClient { 'C' } else { 'S' };
        let (what, why) = match found {
            Found::Hello(Hello { version, time, product }) => {
                let [a, b, c, d] = product;
                let form = if product == [0; 4] { "simple" } else { "digest" };
                let what = format!(
                    "{letter}0 {letter}1: version {version}; time {time}, product {a}.{b}.{c}.{d} ({form}), 1528 random bytes"
                );
                (what, "handshake: which protocol, and bytes for the other side to send back")
            }
            Found::Handshake(_) => (
                format!("{letter}2: 1536 bytes"),
                "handshake: the other side's bytes sent back; from here on there are only chunks",
            ),
            Found::Message(message) => return self.message(&message, other),
            Found::Odd(oddity) => (format!("odd: {}", oddity.kind), "not how most do it"),
        };
        Some((what, why.to_string()))
    }

    fn message(&mut self, found: &Dissected, other: &mut Side) -> Option<(String, String)> {
        let count = self.counts.entry(found.raw.type_id).or_default();
        *count += 1;
        let is_first = *count == 1;
        let why = match &found.message {
            Ok(Message::Acknowledgement(_)) if !is_first => return None,
            Ok(Message::Tag(tag)) => tag_purpose(tag, self.direction, &mut self.has_shown)?.to_string(),
            Ok(Message::Command(command)) => self.command(command, other),
            Ok(message) => control_purpose(message).to_string(),
            Err(_) => "of no use here".to_string(),
        };
        Some((found.to_string(), why))
    }

    fn command(&mut self, command: &Command, other: &mut Side) -> String {
        let transaction = command.transaction as u64;
        match &*command.name {
            "_result" | "_error" => {
                let asked = other.asked.remove(&transaction);
                let asked = asked.as_deref().unwrap_or("something");
                let verb = if command.name == "_result" { "answers" } else { "refuses" };
                format!(
                    "{verb} {asked}{}",
                    if asked == "createStream" { " with a message stream id" } else { "" }
                )
            }
            "onStatus" => {
                let info = command.args.first().and_then(|info| info.as_object());
                let code = info.and_then(|info| info.get("code")).and_then(|code| code.as_str());
                status_purpose(code.unwrap_or_default()).to_string()
            }
            name => {
                if transaction != 0 {
                    if self.asked.len() >= MAX_ASKED {
                        self.asked.pop_first();
                    }
                    self.asked.insert(transaction, name.to_string());
                }
                command_purpose(name).to_string()
            }
        }
    }

    /// Everything it said, in numbers.
    fn summary(&self) -> String {
        let messages: u64 = self.counts.values().sum();
        let mut text = format!("FIN after {} bytes, {messages} messages", self.bytes);
        for (index, (id, count)) in self.counts.iter().enumerate() {
            let mark = if index == 0 { ':' } else { ',' };
            // Strings take anything.
            let _ = write!(text, "{mark} {count} {}", type_id::name(*id));
        }
        text
    }
}

/// `None`: nothing new.
fn tag_purpose(tag: &Tag, from: Direction, has_shown: &mut [bool; 3]) -> Option<&'static str> {
    let (index, purpose) = match (tag.classify().role, tag.kind) {
        (TagRole::Metadata, _) if from == Direction::FromClient => {
            return Some(
                "what the stream is; @setDataFrame asks the server to keep it for players that join later",
            );
        }
        (TagRole::Metadata, _) => return Some("what the stream is, as its publisher said"),
        (TagRole::Data, _) if data::name(&tag.body) == Some("|RtmpSampleAccess") => {
            return Some("a leftover of Flash: scripts may look at pictures and sound");
        }
        (TagRole::Data, _) => return Some("data of the stream, or about it"),
        (TagRole::SequenceHeader, TagKind::Video) => {
            return Some("what the video decoder needs before any frame (SPS and PPS for H.264)");
        }
        (TagRole::SequenceHeader, _) => return Some("what the audio decoder needs before any frame"),
        (TagRole::EndOfSequence, _) => return Some("no more frames of this configuration; optional"),
        (TagRole::Keyframe, _) => (0, "the first picture, a keyframe: decoding can begin here"),
        (TagRole::Frame, TagKind::Video) => {
            (1, "the first picture that needs earlier ones; further ones are counted")
        }
        (TagRole::Frame, _) => (2, "the first sound; further ones are counted"),
        _ => return Some("of no use to most players"),
    };
    (!core::mem::replace(&mut has_shown[index], true)).then_some(purpose)
}

fn control_purpose(message: &Message) -> &'static str {
    match message {
        Message::SetChunkSize(_) => {
            "its chunks hold so many bytes from here on (128 before): most messages fit into one"
        }
        Message::Abort(_) => "an unfinished message is void",
        Message::Acknowledgement(_) => {
            "so many bytes have arrived, as the window asks; further ones are counted"
        }
        Message::WindowAckSize(_) => "wants to be told each time that so many bytes have arrived",
        Message::SetPeerBandwidth { .. } => "the other side may have so many bytes on the way untold",
        Message::Aggregate(_) => "several tags in one message",
        Message::UserControl(event) => match event {
            UserControl::StreamBegin(MessageStreamId::CONNECTION) => "the connection is of use now",
            UserControl::StreamBegin(_) => "the message stream is of use now",
            UserControl::StreamEof(_) => "nothing more comes on this message stream",
            UserControl::StreamDry(_) => "nothing comes on this message stream for a while",
            UserControl::SetBufferLength { .. } => {
                "how much the player holds before it shows it: a server may send a file so far ahead"
            }
            UserControl::StreamIsRecorded(_) => "this is a file, not live",
            UserControl::PingRequest(_) => "are you there?",
            UserControl::PingResponse(_) => "yes",
            _ => "nothing that has to be done",
        },
        _ => "nothing that has to be done",
    }
}

fn command_purpose(name: &str) -> &'static str {
    match name {
        "connect" => "opens the application and says who is there; everything after happens inside of it",
        "releaseStream" => "frees the stream key, should an older connection still hold it; optional",
        "FCPublish" => "announces the stream key, as Flash Media Encoder did; optional",
        "createStream" => "asks for a message stream to publish or play on",
        "publish" => "begins to publish under this stream key; \"live\": do not record",
        "play" => {
            "asks for this stream key: -2000 is live, else recorded; -1000 live; 0 and above milliseconds in a file"
        }
        "FCUnpublish" => "takes the stream key back, the opposite of FCPublish; optional",
        "deleteStream" => "gives the message stream back: publishing or playing is over",
        "onFCPublish" | "onFCUnpublish" => "what Flash Media Server said to it; nobody waits for it",
        "onBWDone" => "a leftover of Flash: the bandwidth has been measured",
        "close" => "goodbye",
        _ => "a call",
    }
}

fn status_purpose(code: &str) -> &'static str {
    match code {
        "NetStream.Publish.Start" => "yes: media may come",
        "NetStream.Publish.BadName" => "no: somebody else publishes under this stream key",
        "NetStream.Unpublish.Success" => "the stream has ended",
        "NetStream.Play.Reset" => "whatever was played before on this message stream is forgotten",
        "NetStream.Play.Start" => "yes: media comes as soon as there is some",
        "NetStream.Play.PublishNotify" => "somebody publishes now",
        "NetStream.Play.UnpublishNotify" => "nobody publishes any more",
        "NetStream.Play.Stop" => "there is nothing more to play",
        "NetConnection.Connect.AppShutdown" => "the server stops",
        _ => "how it stands",
    }
}

fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::FromClient => "C>",
        Direction::FromServer => "S>",
    }
}

/// Characters of a message that are told.
const MAX_WIDTH: usize = 170;
/// Commands that wait for an answer; servers leave some without.
const MAX_ASKED: usize = 64;
