//! HTTP-FLV and WebSocket-FLV as a player sees them: a URL -> the request, and the bytes of a server, cut anywhere -> the
//! FLV stream in them.
//!
//! Covers bodies that last as long as the connection, chunks (RFC 9112, 7.1) and messages of a server (RFC 6455, 5.2). Not
//! here: sockets, tags, redirects, TLS. A length is not looked at: a live stream has none, whatever its head says.
//! Bounds: [`MAX_HEAD`] for a head, [`MAX_LINE`] for what stands before a chunk or frame; bodies are handed on at once.

use std::{
    fmt,
    str::{self, FromStr},
};

/// Where a stream is by HTTP. Shows itself without the query, which may carry a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    pub(crate) is_web_socket: bool,
    /// Host and port; an IPv6 literal in brackets.
    pub(crate) authority: String,
    /// With its query.
    path: String,
}

impl HttpUrl {
    /// The same place for the stream with that number: `/live/cam-3.flv` for `/live/cam.flv`.
    pub(crate) fn numbered(&self, number: usize) -> HttpUrl {
        let (path, query) = self.path.split_at(self.path.find('?').unwrap_or(self.path.len()));
        let name = path.rfind('/').map_or(0, |slash| slash + 1);
        let dot = path[name..].rfind('.').map_or(path.len(), |dot| name + dot);
        let (path, extension) = path.split_at(dot);
        HttpUrl { path: format!("{path}-{number}{extension}{query}"), ..self.clone() }
    }

    /// What the player says first.
    pub(crate) fn request(&self) -> Vec<u8> {
        let HttpUrl { authority, path, .. } = self;
        let upgrade = if self.is_web_socket { UPGRADE } else { "" };
        format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: load\r\nAccept: */*\r\n{upgrade}\r\n"
        )
        .into_bytes()
    }
}

/// The key is the example's in RFC 6455, 1.3. It keeps caches from answering, and there are none here.
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<HttpUrl, String> {
        let (is_web_socket, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("ws", rest)) => (true, rest),
            _ => return Err("URL must start with http:// or ws://".into()),
        };
        let slash = rest.find('/').ok_or("URL has no path")?;
        let (authority, path) = rest.split_at(slash);
        if authority.is_empty() || authority.contains('@') || rest.contains(|c: char| !c.is_ascii_graphic()) {
            return Err("URL must be http://HOST[:PORT]/PATH".into());
        }
        let has_port = authority.rfind(':') > authority.rfind(']');
        let port = if has_port { "" } else { ":80" };
        Ok(HttpUrl { is_web_socket, authority: format!("{authority}{port}"), path: path.into() })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_web_socket { "ws" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path.split('?').next().unwrap_or_default())
    }
}

/// Takes a response apart.
#[derive(Debug)]
pub(crate) struct Reader {
    is_web_socket: bool,
    state: State,
    /// A head, or what stands before a chunk or frame, as far as it is there.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// All that comes is body.
    Endless,
    /// The size of a chunk, behind the line end of the one before if there is one.
    Size {
        is_first: bool,
    },
    Chunk(u64),
    FrameHeader,
    Frame(u64),
    /// The payload of a frame that is no media.
    Control(u64),
}

impl Reader {
    /// A reader at the first byte of a response.
    pub(crate) fn new(is_web_socket: bool) -> Reader {
        Reader { is_web_socket, state: State::Head, held: Vec::new() }
    }

    /// Takes bytes from the front of `input` up to the end of the next part of the body. `None`: all of `input` is
    /// taken and more is needed.
    ///
    /// # Errors
    /// If this is not such a response, or the server has ended it.
    pub(crate) fn read<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, String> {
        while !input.is_empty() {
            let (next, part) = match self.state {
                State::Endless => (State::Endless, take(input, u64::MAX)),
                State::Chunk(left) => {
                    let part = take(input, left);
                    let left = left - part.len() as u64;
                    (if left == 0 { State::Size { is_first: false } } else { State::Chunk(left) }, part)
                }
                State::Frame(left) => {
                    let part = take(input, left);
                    let left = left - part.len() as u64;
                    (if left == 0 { State::FrameHeader } else { State::Frame(left) }, part)
                }
                State::Control(left) => {
                    let left = left - take(input, left).len() as u64;
                    (if left == 0 { State::FrameHeader } else { State::Control(left) }, &[][..])
                }
                State::Head | State::Size { .. } | State::FrameHeader => {
                    self.held.extend_from_slice(take(input, 1));
                    let next = match self.state {
                        State::Head => self.head(),
                        State::Size { is_first } => self.size(is_first),
                        _ => self.frame_header(),
                    }?;
                    let Some(next) = next else { continue };
                    self.held.clear();
                    (next, &[][..])
                }
            };
            self.state = next;
            if !part.is_empty() {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// What follows the head, once it is complete.
    fn head(&self) -> Result<Option<State>, String> {
        if !self.held.ends_with(b"\r\n\r\n") {
            return if self.held.len() < MAX_HEAD { Ok(None) } else { Err("head is too long".into()) };
        }
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        head.parse(&self.held).map_err(|error| format!("not HTTP: {error}"))?;
        let status = head.code.unwrap_or_default();
        if status != if self.is_web_socket { 101 } else { 200 } {
            return Err(format!("status {status} {}", head.reason.unwrap_or_default()));
        }
        let is_chunked = head.headers.iter().any(|field| {
            field.name.eq_ignore_ascii_case("transfer-encoding")
                && field.value.eq_ignore_ascii_case(b"chunked")
        });
        Ok(Some(match (self.is_web_socket, is_chunked) {
            (true, _) => State::FrameHeader,
            (false, true) => State::Size { is_first: true },
            (false, false) => State::Endless,
        }))
    }

    fn size(&self, is_first: bool) -> Result<Option<State>, String> {
        let before: &[u8] = if is_first { b"" } else { b"\r\n" };
        let line = match self.held.strip_prefix(before) {
            Some(line) if line.ends_with(b"\r\n") => line,
            Some(_) if self.held.len() < MAX_LINE => return Ok(None),
            None if before.starts_with(&self.held) => return Ok(None),
            _ => return Err("not a chunk".into()),
        };
        let digits = line.split(|byte| *byte == b';').next().and_then(|digits| str::from_utf8(digits).ok());
        let size = digits.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
        match size.ok_or("not a chunk")? {
            0 => Err("server ended the stream".into()),
            size => Ok(Some(State::Chunk(size))),
        }
    }

    fn frame_header(&self) -> Result<Option<State>, String> {
        let (first, len) = match *self.held {
            [first, len @ 0..=125] => (first, u64::from(len)),
            [first, 126, a, b] => (first, u64::from(u16::from_be_bytes([a, b]))),
            [first, 127, a, b, c, d, e, f, g, h] => (first, u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            [_] | [_, 126 | 127, ..] => return Ok(None),
            _ => return Err("server masks its frames".into()),
        };
        match first & 0x0f {
            0..=2 => Ok(Some(State::Frame(len))),
            8 => Err("server ended the stream".into()),
            9 | 10 => Ok(Some(State::Control(len))),
            opcode => Err(format!("frame of unknown opcode {opcode}")),
        }
    }
}

/// Takes up to `len` bytes off the front.
fn take<'a>(input: &mut &'a [u8], len: u64) -> &'a [u8] {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(input.len());
    let (taken, rest) = input.split_at(len);
    *input = rest;
    taken
}

/// Tells a server that we live; masked, as all a client sends. It may come unasked (RFC 6455, 5.5.3), so that who reads no
/// pings needs to count none.
pub(crate) const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// Bytes of a head.
const MAX_HEAD: usize = 16 << 10;
/// Fields of a head.
const MAX_FIELDS: usize = 64;
/// Bytes of the line before a chunk, extensions included.
const MAX_LINE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n";
    const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    /// The body as far as it goes, and the error behind it: the same however the input is cut.
    fn body(is_web_socket: bool, response: &[&[u8]]) -> (Vec<u8>, Result<(), String>) {
        let response = response.concat();
        let read = |cut| {
            let (mut reader, mut body) = (Reader::new(is_web_socket), Vec::new());
            for mut piece in response.chunks(cut) {
                loop {
                    match reader.read(&mut piece) {
                        Ok(Some(part)) => body.extend_from_slice(part),
                        Ok(None) => break,
                        Err(error) => return (body, Err(error)),
                    }
                }
                assert!(piece.is_empty());
            }
            (body, Ok(()))
        };
        let whole = read(usize::MAX);
        for cut in 1..8 {
            assert_eq!(read(cut), whole, "in pieces of {cut}");
        }
        whole
    }

    #[test]
    fn a_body_without_framing_is_all_that_follows_the_head() {
        assert_eq!(body(false, &[OK.as_bytes(), b"FLV\r\n\r\n0"]), (b"FLV\r\n\r\n0".to_vec(), Ok(())));
    }

    #[test]
    fn chunks_are_put_together() {
        let chunks = b"3\r\nFLV\r\n0a;name=value\r\n\r\n34567890\r\n1\r\nx";
        assert_eq!(body(false, &[CHUNKED.as_bytes(), chunks]), (b"FLV\r\n34567890x".to_vec(), Ok(())));
        let end = body(false, &[CHUNKED.as_bytes(), b"1\r\nF\r\n0\r\n\r\n"]);
        assert_eq!(end, (b"F".to_vec(), Err("server ended the stream".into())));
        for wrong in [
            &b"x\r\n"[..],
            b"-1\r\n",
            b"10000000000000000\r\n",
            &[b'1'; MAX_LINE],
            b"1\r\nF1\r\n1\r\n",
            b"\r\n1\r\n",
        ] {
            let error = body(false, &[CHUNKED.as_bytes(), wrong]).1;
            assert_eq!(error, Err("not a chunk".into()), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn messages_are_put_together_around_control_frames() {
        let long = [b'l'; 300];
        let frames: [&[u8]; 7] = [
            b"\x82\x03FLV",
            b"\x89\x04ping",
            b"\x02\x7e\x01\x2c",
            &long,
            b"\x8a\x00\x80\x7f\0\0\0\0\0\0\0\x02",
            b"xy",
            b"\x82\x00\x82\x01z",
        ];
        let expected = [b"FLV", &long[..], b"xyz"].concat();
        assert_eq!(body(true, &[SWITCHING.as_bytes(), &frames.concat()]), (expected, Ok(())));
        for (frame, error) in [
            (&b"\x88\x02\x03\xe8"[..], "server ended the stream"),
            (b"\x82\x81\0\0\0\0x", "server masks its frames"),
            (b"\x83\x00", "frame of unknown opcode 3"),
        ] {
            assert_eq!(body(true, &[SWITCHING.as_bytes(), frame]).1, Err(error.into()));
        }
    }

    #[test]
    fn other_answers_say_what_they_are() {
        for (is_web_socket, answer, error) in [
            (false, "HTTP/1.1 404 Not Found\r\n\r\n", "status 404 Not Found"),
            (true, OK, "status 200 OK"),
            (false, SWITCHING, "status 101 Switching Protocols"),
            (false, "\x03\0\0\r\n\r\n", "not HTTP: invalid HTTP version"),
        ] {
            assert_eq!(body(is_web_socket, &[answer.as_bytes()]).1, Err(error.into()));
        }
        assert_eq!(body(false, &[&[b'x'; MAX_HEAD]]).1, Err("head is too long".into()));
    }

    #[test]
    fn urls_are_taken_apart_numbered_and_shown_without_tokens() {
        let url: HttpUrl = "http://[::1]/live/cam.flv?token=a.b/c".parse().unwrap();
        assert_eq!((url.is_web_socket, &*url.authority), (false, "[::1]:80"));
        assert_eq!(url.numbered(3).path, "/live/cam-3.flv?token=a.b/c");
        assert_eq!(url.to_string(), "http://[::1]:80/live/cam.flv");
        let url: HttpUrl = "ws://a.b:81/c.d/cam".parse().unwrap();
        assert_eq!(
            (url.is_web_socket, &*url.authority, &*url.numbered(0).path),
            (true, "a.b:81", "/c.d/cam-0")
        );
        assert!(url.request().starts_with(b"GET /c.d/cam HTTP/1.1\r\nHost: a.b:81\r\n"));
        assert!(url.request().ends_with(b"==\r\n\r\n"));
        for wrong in ["rtmp://h/a/b", "https://h/a", "http://h", "http:///a", "http://u@h/a", "http://h/a b"]
        {
            assert!(wrong.parse::<HttpUrl>().is_err(), "{wrong}");
        }
    }
}
