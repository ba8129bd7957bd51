//! Request heads: bytes of the peer -> [`Request`], and what it says about its body and connection.
//!
//! Covers the request line and header fields (RFC 9112, 2 to 5), parsed by `httparse`, the framing of the body (6.3) and
//! persistence (9.3). Not here: targets (`target`), bodies (`body`).
//! State: the bytes of one head. Bounds: `max_head_len`, `max_target_len`, `max_headers`, [`MAX_EMPTY_LINES`].
//! Whatever could make us and a proxy in front of us see different requests is refused: lines that end with a bare LF or
//! hold a bare CR, folded fields, blanks before a colon, several lengths, a length beside an encoding, an encoding in
//! HTTP/1.0, several hosts.

use super::{
    Limits, Refusal,
    body::Framing,
    request::{Method, Request, Version},
    target,
};
use crate::base::Payload;
use alloc::{vec, vec::Vec};
use core::{ops::Range, str};

/// Empty lines before a request line that are passed over: some clients send one behind a body (RFC 9112, 2.2).
const MAX_EMPTY_LINES: usize = 2;

/// Bytes of a request line beside its target: method, version, blanks.
const LINE_OVERHEAD: usize = 32;

/// Collects a head.
#[derive(Debug, Default)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    /// Where the current line begins.
    line: usize,
    empty_lines: usize,
}

/// A request without its body, and how the rest of the conversation goes.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: Request,
    pub(super) body: Framing,
    /// The connection may stay open behind the response.
    pub(super) keeps_alive: bool,
    /// The peer waits for 100 Continue before it sends the body.
    pub(super) expects_continue: bool,
}

impl Reader {
    /// Nothing of a request has come: empty lines before one are none, whole or half.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.bytes[..], [] | [b'\r'])
    }

    /// What has come asks for a head alone.
    pub(super) fn is_for_head(&self) -> bool {
        is_for_head(&self.bytes)
    }

    /// Takes bytes up to the end of the head at most; how many, and the head when it is complete.
    pub(super) fn receive(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<(usize, Option<Vec<u8>>), Refusal> {
        for (at, &byte) in input.iter().enumerate() {
            let follows_cr = self.bytes.last() == Some(&b'\r');
            if follows_cr != (byte == b'\n') {
                return Err(Refusal::BareLineEnd);
            }
            if self.bytes.len() == limits.max_head_len {
                return Err(Refusal::HeadTooLarge);
            }
            self.bytes.push(byte);
            let is_first_line = self.line == 0;
            if byte == b'\n' {
                let is_empty_line = self.bytes.len() - self.line == 2;
                self.line = self.bytes.len();
                if is_empty_line && is_first_line {
                    self.bytes.clear();
                    self.line = 0;
                    self.empty_lines += 1;
                    if self.empty_lines > MAX_EMPTY_LINES {
                        return Err(Refusal::Malformed);
                    }
                } else if is_empty_line {
                    return Ok((at + 1, Some(core::mem::take(self).bytes)));
                }
            }
            if is_first_line && self.bytes.len() > limits.max_target_len + LINE_OVERHEAD {
                return Err(Refusal::TargetTooLong);
            }
        }
        Ok((input.len(), None))
    }
}

/// The request that begins so asks for a head alone: its refusal must have no body either.
pub(super) fn is_for_head(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HEAD ")
}

/// What a complete head says.
pub(super) fn parse(bytes: Vec<u8>, limits: &Limits) -> Result<Head, Refusal> {
    let mut headers = vec![httparse::EMPTY_HEADER; limits.max_headers];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(&bytes) {
        Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
        Err(httparse::Error::Version) => return Err(Refusal::Version),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        _ => return Err(Refusal::Malformed),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refusal::Malformed);
    };
    let version = if version == 0 { Version::Http10 } else { Version::Http11 };
    let method = Method::of_name(method).ok_or(Refusal::Method)?;
    if target.len() > limits.max_target_len {
        return Err(Refusal::TargetTooLong);
    }
    let target = target::parse(target)
        .filter(|target| target.path != "*" || method == Method::Options)
        .ok_or(Refusal::Target)?;
    let within = |part: &[u8]| range_within(&bytes, part);
    let query = within(target.query.as_bytes());
    let authority = target.authority.map(|authority| within(authority.as_bytes()));
    let fields =
        parsed.headers.iter().map(|field| (within(field.name.as_bytes()), within(field.value))).collect();
    let path = target.path;
    let request =
        Request { method, version, path, query, authority, fields, body: Payload::default(), head: bytes };
    check_host(&request)?;
    let body = framing(&request, limits)?;
    let expects_continue = match request.header("expect") {
        Some(expected) if expected.eq_ignore_ascii_case("100-continue") => version == Version::Http11,
        Some(_) => return Err(Refusal::Expectation),
        None => false,
    };
    let keeps_alive = !request.has_token("connection", "close")
        && (version == Version::Http11 || request.has_token("connection", "keep-alive"));
    Ok(Head { request, body, keeps_alive, expects_continue })
}

/// Where `part`, a part of `whole`, lies in it; an empty one may lie anywhere.
fn range_within(whole: &[u8], part: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

fn check_host(request: &Request) -> Result<(), Refusal> {
    let mut hosts = request.values("host");
    let first = hosts.next();
    let is_right = match first {
        Some(host) => str::from_utf8(host).is_ok_and(target::is_host),
        None => request.version == Version::Http10,
    };
    if is_right && hosts.next().is_none() { Ok(()) } else { Err(Refusal::Host) }
}

/// How long the body is (RFC 9112, 6.3).
fn framing(request: &Request, limits: &Limits) -> Result<Framing, Refusal> {
    let mut lengths = request.values("content-length");
    let mut encodings = request.values("transfer-encoding");
    match (lengths.next(), encodings.next()) {
        (None, None) => Ok(Framing::Length(0)),
        (Some(length), None) if lengths.next().is_none() => {
            let is_number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            if !is_number {
                return Err(Refusal::Length);
            }
            // Digits that no integer holds are too many in any case.
            let length = str::from_utf8(length).ok().and_then(|digits| digits.parse().ok());
            let fits = length.filter(|length| *length <= limits.max_body_len);
            fits.map(Framing::Length).ok_or(Refusal::BodyTooLarge)
        }
        (None, Some(encoding)) if request.version == Version::Http11 => {
            let is_chunked = encoding.eq_ignore_ascii_case(b"chunked") && encodings.next().is_none();
            if is_chunked { Ok(Framing::Chunked) } else { Err(Refusal::Encoding) }
        }
        _ => Err(Refusal::Length),
    }
}
