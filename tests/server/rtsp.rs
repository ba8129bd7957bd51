//! RTSP with real sockets: a client that says what it is told to, and hears messages and frames.

mod cameras;
mod files;
mod hostile;
mod playing;
mod publishing;
mod relaying;
mod through_http;

use super::*;
use std::net::UdpSocket;

/// SPS and PPS of a small picture, as ffmpeg's libx264 makes them.
pub(super) const RECORD: &[u8] =
    b"\x01\x42\xc0\x0a\xff\xe1\0\x17\x67\x42\xc0\x0a\xd9\x04\x26\xc0\x44\0\0\x03\0\x04\0\0\x03\0\xc8\x3c\x48\x99\x20\
      \x01\0\x05\x68\xcb\x83\xcb\x20";

/// A sequence header that can be described.
pub(super) fn picture_header() -> Tag {
    client::video(0, [0x17, 0], RECORD)
}

/// A picture of one slice of so many bytes.
pub(super) fn picture(timestamp: u32, is_keyframe: bool, len: usize) -> Tag {
    let (first, slice) = match is_keyframe {
        true => (0x17, [0x65, 0x88, 0x84, 0x09]),
        false => (0x27, [0x41, 0x9a, 0x38, 0x14]),
    };
    let mut body = (len as u32).to_be_bytes().to_vec();
    body.extend(slice);
    body.extend((4..len).map(|byte| byte as u8 | 1));
    client::video(timestamp, [first, 1], &body)
}

/// What comes on an RTSP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// First line, header fields, body.
    Message(String, String),
    Frame(u8, Vec<u8>),
    End,
}

/// A client that knows nothing.
pub(super) struct Talker {
    socket: TcpStream,
    /// What it says goes there, in base64, if it comes through HTTP.
    upload: Option<TcpStream>,
    input: Vec<u8>,
    cseq: u32,
    pub(super) base: String,
    pub(super) session: Option<String>,
}

impl Talker {
    pub(super) fn new(address: SocketAddr, path: &str) -> Talker {
        Talker::around(TcpStream::connect(address).unwrap(), address, path)
    }

    /// On a connection that is there.
    fn around(socket: TcpStream, address: SocketAddr, path: &str) -> Talker {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        // Sound and pictures are put together by when they come.
        socket.set_nodelay(true).unwrap();
        let base = format!("rtsp://{address}/{path}");
        Talker { socket, upload: None, input: Vec::new(), cseq: 0, base, session: None }
    }

    /// Sends bytes as they are.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        match &mut self.upload {
            None => self.socket.write_all(bytes).unwrap(),
            Some(upload) => upload.write_all(weir::base::base64::encode(bytes).as_bytes()).unwrap(),
        }
    }

    /// The next message or frame.
    pub(super) fn hear(&mut self) -> Said {
        loop {
            if let Some((said, len)) = parse(&self.input) {
                self.input.drain(..len);
                return said;
            }
            let mut buffer = [0; 16 << 10];
            match self.socket.read(&mut buffer) {
                Ok(0) | Err(_) => return Said::End,
                Ok(count) => self.input.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Asks, and gives the answer's head and body; frames in between are passed over. `{base}` stands for the stream's URL.
    pub(super) fn ask(&mut self, request: &str, fields: &[&str]) -> (String, String) {
        self.cseq += 1;
        let mut text =
            format!("{} RTSP/1.0\r\nCSeq: {}\r\n", request.replace("{base}", &self.base), self.cseq);
        if let Some(session) = &self.session {
            text += &format!("Session: {session}\r\n");
        }
        for field in fields {
            text += &format!("{field}\r\n");
        }
        self.send(format!("{text}\r\n").as_bytes());
        loop {
            match self.hear() {
                Said::Frame(..) => {}
                Said::End => panic!("no answer to {request}"),
                Said::Message(head, body) => {
                    assert!(head.contains(&format!("CSeq: {}\r\n", self.cseq)), "{head}");
                    if let Some(session) = field(&head, "Session") {
                        self.session = Some(session.split(';').next().unwrap().to_string());
                    }
                    return (head, body);
                }
            }
        }
    }

    /// The same where the answer has to be 200.
    pub(super) fn get(&mut self, request: &str, fields: &[&str]) -> (String, String) {
        let (head, body) = self.ask(request, fields);
        assert!(head.starts_with("RTSP/1.0 200 "), "{request}: {head}");
        (head, body)
    }

    /// The next frame.
    pub(super) fn frame(&mut self) -> (u8, Vec<u8>) {
        match self.hear() {
            Said::Frame(channel, data) => (channel, data),
            other => panic!("{other:?} where a frame should be"),
        }
    }
}

/// The first message or frame, and how long it is.
fn parse(input: &[u8]) -> Option<(Said, usize)> {
    if let [b'$', channel, high, low, rest @ ..] = input {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        return Some((Said::Frame(*channel, rest.get(..len)?.to_vec()), 4 + len));
    }
    let end = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(input[..end].to_vec()).unwrap();
    let len: usize = field(&head, "Content-Length").map_or(0, |len| len.parse().unwrap());
    let body = String::from_utf8(input.get(end..end + len)?.to_vec()).unwrap();
    Some((Said::Message(head, body), end + len))
}

/// The value of a header field.
pub(super) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Payload type, marker, sequence number, timestamp and SSRC of a packet.
pub(super) fn rtp(packet: &[u8]) -> (u8, bool, u16, u32, u32) {
    let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
    let sequence = u16::from_be_bytes([packet[2], packet[3]]);
    (packet[1] & 0x7f, packet[1] & 0x80 != 0, sequence, word(4), word(8))
}
