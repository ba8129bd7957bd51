//! Dissector: the bytes of one direction -> handshake blocks, messages, and whatever is odd about them.
//!
//! For looking at conversations, after the fact ([`dissect`]) or as they go ([`Dissector`]): nothing is answered, nothing
//! depends on the other direction. Decoding is that of a session ([`chunk::Reader`], [`Message`]), so what this shows is
//! what a session would see. Not here: what is odd about a body ([`oddity`]), printing, and who said what when
//! ([`super::Stream::time_at`] knows by offset).
//!
//! Bounds: those of [`Limits`] while reading; the messages share the bodies that the reader copied.

use super::{
    Direction,
    oddity::{self, Oddity, OddityKind},
};
use crate::{
    base::{MonoTime, Output, Timestamp, wire::Cursor},
    flv::{Tag, TagKind, TagRole},
    rtmp::{
        Limits,
        chunk::{self, RawMessage},
        handshake::Handshake,
        message::{DecodeFailure, Message, type_id},
    },
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;

/// Everything one side said.
#[derive(Clone, Debug, PartialEq)]
pub struct Dissection {
    /// The handshake blocks, if they are all there.
    pub handshake: Option<Blocks>,
    /// Whole messages, in the order in which they were completed.
    pub messages: Vec<Dissected>,
    /// By offset.
    pub oddities: Vec<Oddity>,
}

/// The fields of C0 and C1, or S0 and S1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// C0 or S0.
    pub version: u8,
    /// The sender's clock.
    pub time: u32,
    /// Zero in the simple handshake, else the version of a product that may know the digest form.
    pub product: [u8; 4],
}

/// All that is known of C0 to C2, or S0 to S2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Of the first two.
    pub hello: Hello,
    /// C1 or S1 holds a valid Adobe digest.
    pub is_signed: bool,
    /// Bytes of all three.
    pub len: u64,
}

/// A message and where it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Dissected {
    /// As the chunk stream carried it.
    pub raw: RawMessage,
    /// Bytes of this direction up to its last one.
    pub end: u64,
    /// What it means, or why it means nothing.
    pub message: Result<Message, DecodeFailure>,
}

/// Takes all bytes of one direction, from the first one of the handshake on, apart.
pub fn dissect(direction: Direction, bytes: &[u8]) -> Dissection {
    let mut all = Dissection { handshake: None, messages: Vec::new(), oddities: Vec::new() };
    let mut keep = |found| match found {
        Found::Hello(_) => {}
        Found::Handshake(blocks) => all.handshake = Some(blocks),
        Found::Message(message) => all.messages.push(message),
        Found::Odd(oddity) => all.oddities.push(oddity),
    };
    let mut dissector = Dissector::new(direction);
    dissector.feed(bytes, &mut keep);
    dissector.finish(&mut keep);
    all.oddities.sort_by_key(|oddity| oddity.offset);
    all
}

/// What a [`Dissector`] finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The first two blocks of the handshake are there: C0 and C1, or S0 and S1.
    Hello(Hello),
    /// The whole handshake is there.
    Handshake(Blocks),
    /// A message.
    Message(Dissected),
    /// Something about what came before.
    Odd(Oddity),
}

/// Takes one direction apart while its bytes come, cut anywhere.
#[derive(Debug)]
pub struct Dissector {
    limits: Limits,
    stage: Stage,
    /// Bytes fed.
    fed: u64,
}

#[derive(Debug)]
enum Stage {
    /// As the other side, which takes the same blocks; its answers go nowhere. `head`: the first bytes, with
    /// the fields of a [`Hello`].
    Handshake { handshake: Handshake, head: Vec<u8> },
    /// `last_whole`: the end of the last whole message. `before`: by csid.
    Chunks { reader: chunk::Reader, before: BTreeMap<u32, Before>, last_whole: u64 },
    /// Nothing could be decoded from somewhere on.
    Lost,
}

/// What the message before on the same chunk stream was.
#[derive(Clone, Copy, Debug)]
struct Before {
    timestamp: Timestamp,
    /// fmt 0, and nothing but fmt 3 since.
    is_absolute: bool,
}

impl Dissector {
    /// At the first byte of the handshake.
    pub fn new(direction: Direction) -> Dissector {
        let handshake = match direction {
            Direction::FromClient => Handshake::server(0),
            Direction::FromServer => Handshake::client(0, true),
        };
        let stage = Stage::Handshake { handshake, head: Vec::new() };
        Dissector { limits: Limits::default(), stage, fed: 0 }
    }

    /// Takes the next bytes; `found` gets what they complete.
    pub fn feed(&mut self, bytes: &[u8], found: &mut impl FnMut(Found)) {
        let behind = self.feed_handshake(bytes, found);
        self.feed_chunks(behind, found);
    }

    /// Tells what the end of the bytes cuts off.
    pub fn finish(&mut self, found: &mut impl FnMut(Found)) {
        let kind = match &self.stage {
            Stage::Handshake { .. } => OddityKind::EndsInsideHandshake,
            Stage::Chunks { reader, last_whole, .. } if reader.is_mid_message() => {
                OddityKind::EndsInsideMessage { left: self.fed - last_whole }
            }
            Stage::Chunks { .. } | Stage::Lost => return,
        };
        found(odd(self.fed, kind));
    }

    /// What is behind the handshake.
    fn feed_handshake<'a>(&mut self, bytes: &'a [u8], found: &mut impl FnMut(Found)) -> &'a [u8] {
        let Stage::Handshake { handshake, head } = &mut self.stage else { return bytes };
        let had_hello = self.fed >= HELLO_LEN;
        let missing = HEAD_LEN.saturating_sub(head.len()).min(bytes.len());
        head.extend_from_slice(&bytes[..missing]);
        let hello = Hello::read(head).unwrap_or_default();
        let result = handshake.handle(MonoTime(0), bytes, &mut Output::new());
        let (taken, done) = match result {
            Ok(taken) => taken,
            Err(error) => {
                self.stage = Stage::Lost;
                found(odd(error.at.stream_offset, OddityKind::Undecodable(error.kind)));
                return &[];
            }
        };
        self.fed += taken as u64;
        if !had_hello && self.fed >= HELLO_LEN {
            found(Found::Hello(hello));
        }
        if let Some(done) = done {
            let start = self.fed;
            found(Found::Handshake(Blocks { hello, is_signed: done.digest, len: start }));
            let reader = chunk::Reader::new(&self.limits, start);
            self.stage = Stage::Chunks { reader, before: BTreeMap::new(), last_whole: start };
        }
        &bytes[taken..]
    }

    fn feed_chunks(&mut self, bytes: &[u8], found: &mut impl FnMut(Found)) {
        let Stage::Chunks { reader, before, last_whole } = &mut self.stage else { return };
        let mut rest = bytes;
        loop {
            match reader.read(rest) {
                Ok((taken, Some(raw))) => {
                    rest = &rest[taken..];
                    self.fed += taken as u64;
                    *last_whole = self.fed;
                    message(raw, self.fed, before, &self.limits, found);
                }
                Ok((taken, None)) => {
                    self.fed += taken as u64;
                    return;
                }
                Err(error) => {
                    self.stage = Stage::Lost;
                    found(odd(error.at.stream_offset, OddityKind::Undecodable(error.kind)));
                    return;
                }
            }
        }
    }
}

impl Hello {
    fn read(head: &[u8]) -> Option<Hello> {
        let mut fields = Cursor::new(head);
        let (version, time, product) = (fields.u8()?, fields.u32()?, fields.u32()?);
        Some(Hello { version, time, product: product.to_be_bytes() })
    }
}

fn odd(offset: u64, kind: OddityKind) -> Found {
    Found::Odd(Oddity { offset, kind })
}

fn message(
    raw: RawMessage,
    end: u64,
    streams: &mut BTreeMap<u32, Before>,
    limits: &Limits,
    found: &mut impl FnMut(Found),
) {
    let before = streams.get(&raw.csid).copied();
    match (raw.fmt, before) {
        (1, None) => found(odd(raw.offset, OddityKind::Fmt1OnFreshChunkStream)),
        (3, Some(before)) if before.is_absolute => {
            found(odd(raw.offset, OddityKind::Fmt3AfterFmt0 { timestamp: before.timestamp }));
        }
        (1..=3, Some(before)) if before.timestamp.is_after(raw.timestamp) => {
            let by = before.timestamp.wrapping_sub(raw.timestamp);
            found(odd(raw.offset, OddityKind::TimeWentBack { by }));
        }
        _ => {}
    }
    let is_absolute = raw.fmt == 0 || raw.fmt == 3 && before.is_some_and(|before| before.is_absolute);
    streams.insert(raw.csid, Before { timestamp: raw.timestamp, is_absolute });

    let message = Message::decode(&raw, limits);
    if let Some(kind) = oddity::of_message(&raw, &message) {
        found(odd(raw.offset, kind));
    }
    found(Found::Message(Dissected { raw, end, message }));
}

/// One line for people: how the chunk stream carried it, and what it holds.
impl fmt::Display for Dissected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = &self.raw;
        write!(
            f,
            "csid {:<2} fmt {} msid {} ts {:<8} len {:<6} {:>2} {:<15} ",
            raw.csid,
            raw.fmt,
            raw.stream,
            raw.timestamp.0,
            raw.body.len(),
            raw.type_id,
            type_id::name(raw.type_id),
        )?;
        match &self.message {
            Ok(message) => write!(f, "{}", Description(message)),
            Err(DecodeFailure::Ignored(why)) => write!(f, "({why})"),
            Err(DecodeFailure::Limit(limit)) => write!(f, "({limit})"),
        }
    }
}

/// Bytes up to the end of C1 or S1.
const HELLO_LEN: u64 = 1537;

/// Bytes with the fields of a [`Hello`].
const HEAD_LEN: usize = 9;

/// One line for people: what a tag is for, without its bytes; data messages with their values.
pub struct Description<'a>(pub &'a Message);

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Message::Tag(tag) if tag.kind != TagKind::Data => media(tag, f),
            message => write!(f, "{message}"),
        }
    }
}

fn media(tag: &Tag, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let class = tag.classify();
    f.write_str(match class.role {
        TagRole::SequenceHeader => "sequence header",
        TagRole::Keyframe => "keyframe",
        TagRole::Frame => "frame",
        TagRole::EndOfSequence => "end of sequence",
        TagRole::Command => "command frame",
        TagRole::VideoMetadata => "video metadata",
        TagRole::MultichannelConfig => "channels",
        TagRole::Silence => "silence",
        _ => "unknown",
    })?;
    let mut tracks = class.tracks().peekable();
    if tracks.peek().is_none() {
        if let Some(codec) = class.codec {
            write!(f, " {codec}")?;
        }
    }
    for track in tracks {
        match track.codec {
            Some(codec) => write!(f, " {codec}")?,
            None => f.write_str(" unknown codec")?,
        }
        if track.id != 0 {
            write!(f, " track {}", track.id)?;
        }
        if track.composition_time != 0 {
            write!(f, " {:+} ms", track.composition_time)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};

    /// A simple handshake, then `chunks`.
    fn client(chunks: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; 3073];
        bytes[0] = 3;
        bytes.extend(chunks.concat());
        bytes
    }

    /// A message of one chunk, fmt 0.
    fn fmt0(csid: u8, time: u8, type_id: u8, body: &[u8]) -> Vec<u8> {
        [&[csid, 0, 0, time, 0, 0, body.len() as u8, type_id, 1, 0, 0, 0], body].concat()
    }

    fn odd(chunks: &[&[u8]]) -> Vec<(u64, OddityKind)> {
        let found = dissect(Direction::FromClient, &client(chunks));
        found.oddities.iter().map(|oddity| (oddity.offset - 3073, oddity.kind)).collect()
    }

    #[test]
    fn messages_come_with_their_place_and_meaning() {
        let ack = fmt0(2, 0, 3, &[0, 0, 1, 0]);
        let bytes = client(&[&ack, &fmt0(4, 9, 8, &[0xaf, 1, 2])]);
        let found = dissect(Direction::FromClient, &bytes);
        let hello = Hello { version: 3, time: 0, product: [0; 4] };
        let blocks = Blocks { hello, is_signed: false, len: 3073 };
        assert_eq!(found.handshake, Some(blocks));
        let [first, second] = &found.messages[..] else { panic!("{found:?}") };
        assert_eq!((first.raw.offset, first.end, first.raw.fmt), (3073, 3073 + 16, 0));
        assert_eq!(first.message, Ok(Message::Acknowledgement(256)));
        assert_eq!((second.raw.offset, second.raw.timestamp), (3073 + 16, Timestamp(9)));
        assert_eq!(Description(second.message.as_ref().unwrap()).to_string(), "frame aac");
        assert_eq!(found.oddities, []);
    }

    #[test]
    fn where_the_bytes_are_cut_makes_no_difference() {
        let audio = fmt0(4, 9, 8, &[0xaf, 1]);
        let bytes = client(&[&audio, &[0xc4, 0xaf, 1], &fmt0(2, 0, 3, &[0, 0, 1]), &[0xc9]]);
        let found = |cut: usize| {
            let mut all = vec![];
            let mut dissector = Dissector::new(Direction::FromClient);
            bytes.chunks(cut).for_each(|piece| dissector.feed(piece, &mut |found| all.push(found)));
            dissector.finish(&mut |found| all.push(found));
            all
        };
        let whole = found(bytes.len());
        assert!(matches!(whole[..2], [Found::Hello(_), Found::Handshake(_)]), "{whole:?}");
        assert_eq!(whole.len(), 2 + 3 + 3, "{whole:?}");
        for cut in [1, 7, 1536, 1537, 3073] {
            assert_eq!(found(cut), whole, "pieces of {cut}");
        }
    }

    #[test]
    fn ends_in_the_middle_are_told() {
        let bytes = client(&[&fmt0(2, 0, 3, &[0, 0, 1, 0]), &fmt0(4, 9, 8, &[0xaf, 1, 2])]);
        let at = |len: usize| dissect(Direction::FromClient, &bytes[..len]).oddities;
        assert_eq!(at(0), [Oddity { offset: 0, kind: OddityKind::EndsInsideHandshake }]);
        assert_eq!(at(3072), [Oddity { offset: 3072, kind: OddityKind::EndsInsideHandshake }]);
        assert_eq!(at(3073), []);
        assert_eq!(at(3073 + 16), []);
        // Inside a header, behind it, inside a body.
        for left in [1, 11, 12, 14] {
            let kind = OddityKind::EndsInsideMessage { left };
            assert_eq!(at(3073 + 16 + left as usize), [Oddity { offset: 3089 + left, kind }]);
        }
    }

    #[test]
    fn odd_headers_are_told() {
        let audio = fmt0(4, 9, 8, &[0xaf, 1]);
        assert_eq!(
            odd(&[&audio, &[0xc4, 0xaf, 1], &[0xc4, 0xaf, 1]]),
            [14, 17].map(|offset| {
                let timestamp = Timestamp(if offset == 14 { 9 } else { 18 });
                (offset, OddityKind::Fmt3AfterFmt0 { timestamp })
            })
        );
        // Behind a fmt 2 it is how it should be.
        assert_eq!(odd(&[&audio, &[0x84, 0, 0, 1, 0xaf, 1], &[0xc4, 0xaf, 1]]), []);
        assert_eq!(
            odd(&[&[0x42, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 1]]),
            [(0, OddityKind::Fmt1OnFreshChunkStream)]
        );
        let back = [0x84, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xaf, 1];
        assert_eq!(odd(&[&audio, &back]), [(14, OddityKind::TimeWentBack { by: 2 })]);
    }

    #[test]
    fn odd_bodies_are_told() {
        use OddityKind::*;
        let command = b"\x02\0\x01a\0\0\0\0\0\0\0\0\0";
        for (type_id, body, expected) in [
            (3, &[0, 0, 1][..], Some(TooShort)),
            (3, &[0, 0, 1, 0, 7, 7], Some(TrailingBytes { len: 2 })),
            (6, &[0, 0, 1, 0, 2], None),
            (4, &[0, 3, 0, 0, 0, 1, 0, 0, 1, 0], None),
            (4, &[0, 0, 0, 0, 0, 1, 0], Some(TrailingBytes { len: 1 })),
            (4, &[0, 99, 0, 0, 0, 1], Some(UnknownUserControl(99))),
            (7, &[], Some(UnknownType)),
            (8, &[], None),
            (9, &[0x8f], Some(UnknownMedia)),
            (20, command, None),
            (20, &[command, &[0xee][..]].concat(), Some(BadAmf)),
            (17, &[&[0], &command[..]].concat(), None),
            (18, b"\x02\0\x05ab", Some(BadAmf)),
            (22, &[8, 0, 0, 9], Some(BadAggregate)),
        ] {
            let expected: Vec<_> = expected.map(|kind| (0, kind)).into_iter().collect();
            assert_eq!(odd(&[&fmt0(3, 0, type_id, body)]), expected, "type {type_id} {body:02x?}");
        }
    }

    #[test]
    fn what_cannot_be_decoded_ends_it() {
        let found = dissect(Direction::FromClient, b"GET / HTTP/1.1");
        assert_eq!(found.handshake, None);
        assert_eq!(found.oddities[0].kind.name(), "not decodable any further");
        let ack = fmt0(2, 0, 3, &[0, 0, 1, 0]);
        let [(offset, kind)] = odd(&[&ack, &[0xc9]])[..] else { panic!("one oddity") };
        assert_eq!((offset, kind.name()), (16, "not decodable any further"));
    }
}
