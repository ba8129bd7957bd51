//! The byte stream of a connection -> requests, responses and interleaved frames (RFC 2326, 4 to 7 and 10.12).
//!
//! The same for both roles. Own code, because `httparse` reads no version but HTTP's.
//! Not here: what a message means. State: one head and body, or one frame. Bounds: `max_head_len`, `max_headers`,
//! `max_url_len`, `max_body_len`; a frame has 65535 bytes at most.
//! Read leniently, as cameras write: lines end with LF or CR LF, empty lines before a message are passed over, blanks may
//! stand around names and values, values may go on in the next line. A line without a colon is refused in a request and
//! passed over in a response.

use super::{Limits, Refusal, Status};
use crate::base::Payload;
use alloc::{boxed::Box, string::String, vec::Vec};
use core::{mem, ops::Range};

/// What came.
#[derive(Debug)]
pub(super) enum Incoming {
    Message(Box<Message>),
    Frame {
        channel: u8,
        data: Payload,
    },
    /// A byte that begins neither.
    Noise,
}

/// A request or a response, its body included.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) start: Start,
    pub(super) body: Vec<u8>,
    head: String,
    /// Where names and values stand in the head.
    fields: Vec<(Range<usize>, Range<usize>)>,
}

/// Its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Request { method: Range<usize>, url: Range<usize>, is_version_1: bool },
    Response(Status),
}

/// Why no message could be read, and its head where that is known.
pub(super) type Failure = (Refusal, Option<Box<Message>>);

/// Collects what comes.
#[derive(Debug)]
pub(super) enum Reader {
    /// Bytes of a head, and where its current line begins; both empty between messages.
    Head { bytes: Vec<u8>, line: usize },
    /// The body of a message, of which so many bytes are missing.
    Body { message: Box<Message>, left: usize },
    /// What follows the `$` of a frame: channel and length.
    FrameHeader { bytes: [u8; 3], len: usize },
    /// Data of a frame, of which so many bytes are missing.
    Frame { channel: u8, data: Vec<u8>, left: usize },
}

/// What stands before a frame.
pub(super) const FRAME_MARK: u8 = b'$';

/// Bytes of a request line beside its URL: method, version, blanks.
const LINE_OVERHEAD: usize = 48;

impl Default for Reader {
    fn default() -> Reader {
        Reader::Head { bytes: Vec::new(), line: 0 }
    }
}

impl Reader {
    /// Nothing of a message or frame has come.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Reader::Head { bytes, .. } if bytes.is_empty())
    }

    /// Takes bytes up to the end of one message or frame at most; how many, and what is complete. At least one byte
    /// is taken of what is not empty.
    pub(super) fn receive(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<(usize, Option<Incoming>), Failure> {
        let mut used = 0;
        while let Some(&first) = input.get(used) {
            let rest = &input[used..];
            match self {
                Reader::Head { bytes, .. } if bytes.is_empty() => match first {
                    b'\r' | b'\n' => used += 1,
                    FRAME_MARK => {
                        used += 1;
                        *self = Reader::FrameHeader { bytes: [0; 3], len: 0 };
                    }
                    byte if byte.is_ascii_alphabetic() => {
                        used += 1;
                        bytes.push(byte);
                    }
                    _ => return Ok((used + 1, Some(Incoming::Noise))),
                },
                Reader::Head { bytes, line } => {
                    let (taken, is_complete) = read_head(rest, bytes, line, limits)?;
                    used += taken;
                    if is_complete {
                        let bytes = mem::take(bytes);
                        *self = Reader::default();
                        let message = Box::new(parse(bytes, limits)?);
                        match body_len(&message, limits) {
                            Ok(0) => return Ok((used, Some(Incoming::Message(message)))),
                            Ok(left) => *self = Reader::Body { message, left },
                            Err(why) => return Err((why, Some(message))),
                        }
                    }
                }
                Reader::Body { message, left } => {
                    let taken = rest.len().min(*left);
                    message.body.extend_from_slice(&rest[..taken]);
                    *left -= taken;
                    used += taken;
                    if *left == 0 {
                        let Reader::Body { message, .. } = mem::take(self) else { continue };
                        return Ok((used, Some(Incoming::Message(message))));
                    }
                }
                Reader::FrameHeader { bytes, len } => {
                    bytes[*len] = first;
                    *len += 1;
                    used += 1;
                    if *len == bytes.len() {
                        let [channel, high, low] = *bytes;
                        let left = usize::from(u16::from_be_bytes([high, low]));
                        *self = Reader::default();
                        // Copied once, and into one allocation, if it is all there.
                        if let Some(data) = input.get(used..used + left) {
                            let data = Payload::from(data);
                            return Ok((used + left, Some(Incoming::Frame { channel, data })));
                        }
                        *self = Reader::Frame { channel, data: Vec::new(), left };
                    }
                }
                Reader::Frame { data, left, .. } => {
                    let taken = rest.len().min(*left);
                    data.extend_from_slice(&rest[..taken]);
                    *left -= taken;
                    used += taken;
                    if *left == 0 {
                        let Reader::Frame { channel, data, .. } = mem::take(self) else { continue };
                        return Ok((used, Some(Incoming::Frame { channel, data: data.into() })));
                    }
                }
            }
        }
        Ok((used, None))
    }
}

/// Takes bytes of a head up to its end; how many, and whether that has come.
fn read_head(
    input: &[u8],
    bytes: &mut Vec<u8>,
    line: &mut usize,
    limits: &Limits,
) -> Result<(usize, bool), Failure> {
    for (at, &byte) in input.iter().enumerate() {
        if bytes.len() == limits.max_head_len {
            return Err((Refusal::HeadTooLarge, None));
        }
        bytes.push(byte);
        if byte == b'\n' {
            let is_empty_line = matches!(bytes[*line..], [b'\n'] | [b'\r', b'\n']);
            *line = bytes.len();
            if is_empty_line {
                return Ok((at + 1, true));
            }
        }
        if *line == 0 && bytes.len() > limits.max_url_len + LINE_OVERHEAD {
            return Err((Refusal::UrlTooLong, None));
        }
    }
    Ok((input.len(), false))
}

/// What a complete head says.
fn parse(mut bytes: Vec<u8>, limits: &Limits) -> Result<Message, Failure> {
    let malformed = (Refusal::Malformed, None);
    // A value that goes on in the next line goes on in this one.
    for at in 1..bytes.len() {
        if bytes[at - 1] == b'\n' && matches!(bytes[at], b' ' | b'\t') {
            bytes[at - 1] = b' ';
            if at > 1 && bytes[at - 2] == b'\r' {
                bytes[at - 2] = b' ';
            }
        }
    }
    let head = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let mut lines = head.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    if lines.clone().any(|line| line.contains(['\r', '\0'])) {
        return Err(malformed);
    }
    let Some(start) = lines.next().and_then(|line| start(&head, line)) else { return Err(malformed) };
    if matches!(&start, Start::Request { url, .. } if url.len() > limits.max_url_len) {
        return Err((Refusal::UrlTooLong, None));
    }
    let mut fields = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            match start {
                Start::Request { .. } => return Err(malformed),
                Start::Response(_) => continue,
            }
        };
        if fields.len() == limits.max_headers {
            return Err((Refusal::HeadTooLarge, None));
        }
        fields.push((within(&head, name.trim()), within(&head, value.trim())));
    }
    Ok(Message { start, body: Vec::new(), head, fields })
}

fn start(head: &str, line: &str) -> Option<Start> {
    let line = line.trim();
    let (first, rest) = line.split_once([' ', '\t'])?;
    if first.starts_with("RTSP/") {
        let code = rest.split_whitespace().next().filter(|code| code.len() == 3)?;
        return Some(Start::Response(Status(code.parse().ok()?)));
    }
    let (url, version) = rest.rsplit_once([' ', '\t'])?;
    let url = url.trim();
    let is_known = version.starts_with("RTSP/") && !url.is_empty() && !url.contains(char::is_control);
    is_known.then(|| Start::Request {
        method: within(head, first),
        url: within(head, url),
        is_version_1: version == "RTSP/1.0",
    })
}

/// Where `part`, a part of `whole`, lies in it; an empty one may lie anywhere.
fn within(whole: &str, part: &str) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

fn body_len(message: &Message, limits: &Limits) -> Result<usize, Refusal> {
    let mut lengths = message.values("content-length");
    let Some(length) = lengths.next() else { return Ok(0) };
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || lengths.any(|other| other != length) {
        return Err(Refusal::Length);
    }
    // Digits that no integer holds are too many in any case.
    let length = length.parse().ok();
    length.filter(|length| *length <= limits.max_body_len).ok_or(Refusal::BodyTooLarge)
}

impl Message {
    /// A part of the head.
    pub(super) fn text(&self, range: &Range<usize>) -> &str {
        &self.head[range.clone()]
    }

    /// The values of all fields of that name, in any case; a semicolon behind one is none of it.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.fields.iter().filter(move |(key, _)| self.text(key).eq_ignore_ascii_case(name));
        fields.map(|(_, value)| self.text(value).trim_end_matches(';').trim_end())
    }

    /// The value of the first field of that name.
    pub(super) fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// Whether the type of the body, if it is told, is that one.
    pub(super) fn may_be(&self, media_type: &str) -> bool {
        self.value("content-type").is_none_or(|told| {
            told.split(';').next().is_some_and(|told| told.trim().eq_ignore_ascii_case(media_type))
        })
    }
}
