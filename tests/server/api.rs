//! What the server answers beside media, by its contract `docs/openapi.yaml`.

use super::*;
use serde_json::Value as Json;
use std::io::{BufRead, BufReader};

mod access;
mod contract;
mod listening;
mod metafiles;
mod operating;
mod reading;
mod watching;

/// The answer to a request.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {}{}", self.head, self.body))
    }

    /// The value of a header field.
    fn field(&self, name: &str) -> Option<&str> {
        let name = format!("{}: ", name.to_ascii_lowercase());
        self.head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with(&name))
            .map(|line| &line[name.len()..])
    }
}

/// Asks on a connection of its own. `request`: method, target and perhaps header fields, one a line.
fn ask(address: SocketAddr, request: &str) -> Answer {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    ask_on(&mut BufReader::new(socket), request)
}

/// Asks on a connection that stays.
fn ask_on(socket: &mut BufReader<TcpStream>, request: &str) -> Answer {
    let mut lines = request.lines();
    let first = lines.next().unwrap();
    let mut text = format!("{first} HTTP/1.1\r\n");
    lines.for_each(|line| text += &format!("{line}\r\n"));
    if !text.to_ascii_lowercase().contains("\r\nhost:") {
        text += "Host: localhost\r\n";
    }
    write!(socket.get_mut(), "{text}\r\n").unwrap();
    let head = head(socket);
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
    let mut answer = Answer { status, head, body: String::new() };
    let len = answer.field("content-length").map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; if first.starts_with("HEAD ") { 0 } else { len }];
    socket.read_exact(&mut body).unwrap();
    answer.body = String::from_utf8(body).unwrap();
    answer
}

fn head(socket: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(socket.read_line(&mut head).unwrap() > 0, "{head}");
    }
    head
}

/// H.264 as a camera sends it: 1280 x 720 at 25 pictures a second, a keyframe each second; AAC of 44.1 kHz.
fn film(seconds: u32) -> Vec<Tag> {
    let mut tags = vec![metadata(1), picture_header(), sound_header()];
    for frame in 0..seconds * 25 {
        let time = frame * 40;
        tags.push(if frame % 25 == 0 { keyframe(time, &[0; 2000]) } else { inter_frame(time, &[0; 500]) });
        tags.push(audio(time));
        tags.push(audio(time + 20));
    }
    tags
}

fn picture_header() -> Tag {
    const RECORD: &[u8] = &[
        1, 0x42, 0xc0, 0x1f, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe4, 1, 0, 4,
        0x68, 0xce, 0x3c, 0x80,
    ];
    let header = video_header(1);
    Tag { body: [&[0x17, 0, 0, 0, 0][..], RECORD].concat().into(), ..header }
}

fn sound_header() -> Tag {
    Tag { body: vec![0xaf, 0, 0x12, 0x10].into(), ..audio_header() }
}
