//! Server-sent events (HTML, 9.2): what goes as pieces into a [`Response::stream`](super::Response::stream) of
//! [`mime::EVENTS`](super::mime::EVENTS).

use crate::base::Payload;
use alloc::{string::String, vec::Vec};

/// An event with that name (`message` to listeners if empty), of any number of lines. Line ends in a name become
/// spaces.
pub fn event(name: &str, data: &str) -> Payload {
    let mut text = String::with_capacity(name.len() + data.len() + 32);
    if !name.is_empty() {
        text.extend(["event: ", &name.replace(['\r', '\n'], " "), "\n"]);
    }
    // A lone CR ends a line there as well.
    for line in data.replace("\r\n", "\n").split(['\r', '\n']) {
        text.extend(["data: ", line, "\n"]);
    }
    text.push('\n');
    text.into_bytes().into()
}

/// What listeners ignore and proxies take for life. To be sent every 15 s or so.
pub fn keep_alive() -> Payload {
    Vec::from(b":\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_an_event_is_data() {
        for (name, data, expected) in [
            ("", "x", &b"data: x\n\n"[..]),
            ("stats", "{\"a\":1}", b"event: stats\ndata: {\"a\":1}\n\n"),
            ("a\nb", "1\r\n2\n\r3", b"event: a b\ndata: 1\ndata: 2\ndata: \ndata: 3\n\n"),
        ] {
            assert_eq!(&*event(name, data), expected);
        }
    }
}
