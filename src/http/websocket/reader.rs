//! Frames of a client -> messages, pings, closes (RFC 6455, 5.4 to 5.6).
//!
//! Not here: answers to them (`session`).
//! State: one frame header, one control frame, one message of which some frames have come. Bounds: `max_message_len`.

use super::frame::{self, CloseCode, Header, MAX_CONTROL, MAX_HEADER, Opcode};
use crate::base::Payload;
use alloc::vec::Vec;
use core::str;

/// What a frame completed.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) enum Incoming {
    Message {
        is_text: bool,
        body: Payload,
    },
    Ping(Vec<u8>),
    /// With its code, [`CloseCode::NONE`] without.
    Close(CloseCode),
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::http) struct Reader {
    header: [u8; MAX_HEADER],
    header_len: usize,
    /// The frame whose payload comes, and how much of that has come.
    frame: Option<(Header, u64)>,
    /// Payload of a control frame, which may come between the frames of a message.
    control: Vec<u8>,
    message: Vec<u8>,
    /// What the frames of an unfinished message began with.
    fragmented: Option<Opcode>,
}

impl Reader {
    /// Takes bytes up to the end of one frame at most; at least one byte of a non-empty input.
    ///
    /// # Errors
    /// The code to close with.
    pub(in crate::http) fn receive(
        &mut self,
        input: &[u8],
        max_message_len: usize,
    ) -> Result<(usize, Option<Incoming>), CloseCode> {
        let mut used = 0;
        while used < input.len() {
            let Some((header, done)) = &mut self.frame else {
                self.header[self.header_len] = input[used];
                self.header_len += 1;
                used += 1;
                let so_far = &self.header[..self.header_len];
                if so_far.len() >= 2 && so_far.len() == frame::header_len(so_far) {
                    let header = frame::parse(so_far)?;
                    self.begin(header, max_message_len)?;
                    if header.len == 0 {
                        return Ok((used, self.end(header)?));
                    }
                }
                continue;
            };
            let header = *header;
            let rest = &input[used..];
            let taken = usize::try_from(header.len - *done).map_or(rest.len(), |left| left.min(rest.len()));
            let target = if header.opcode.is_control() { &mut self.control } else { &mut self.message };
            let mask = (*done..).map(|at| header.mask[(at % 4) as usize]);
            target.extend(rest[..taken].iter().zip(mask).map(|(byte, mask)| byte ^ mask));
            *done += taken as u64;
            used += taken;
            if *done == header.len {
                return Ok((used, self.end(header)?));
            }
        }
        Ok((used, None))
    }

    fn begin(&mut self, header: Header, max_message_len: usize) -> Result<(), CloseCode> {
        self.header_len = 0;
        if !header.opcode.is_control() {
            let is_continued = header.opcode == Opcode::Continuation;
            if is_continued != self.fragmented.is_some() {
                return Err(CloseCode::PROTOCOL);
            }
            let room = max_message_len.saturating_sub(self.message.len());
            if header.len > room as u64 {
                return Err(CloseCode::TOO_BIG);
            }
            if !is_continued {
                self.fragmented = Some(header.opcode);
            }
        }
        self.frame = Some((header, 0));
        Ok(())
    }

    fn end(&mut self, header: Header) -> Result<Option<Incoming>, CloseCode> {
        self.frame = None;
        if header.opcode.is_control() {
            debug_assert!(self.control.len() <= MAX_CONTROL, "checked with the header");
            let payload = core::mem::take(&mut self.control);
            return match header.opcode {
                Opcode::Close => close_code(&payload).map(|code| Some(Incoming::Close(code))),
                Opcode::Ping => Ok(Some(Incoming::Ping(payload))),
                _ => Ok(None),
            };
        }
        if !header.is_final {
            return Ok(None);
        }
        let is_text = self.fragmented.take() == Some(Opcode::Text);
        let body = core::mem::take(&mut self.message);
        if is_text && str::from_utf8(&body).is_err() {
            return Err(CloseCode::NOT_TEXT);
        }
        Ok(Some(Incoming::Message { is_text, body: body.into() }))
    }
}

fn close_code(payload: &[u8]) -> Result<CloseCode, CloseCode> {
    match payload {
        [] => Ok(CloseCode::NONE),
        [high, low, reason @ ..] => {
            let code = CloseCode(u16::from_be_bytes([*high, *low]));
            match str::from_utf8(reason) {
                Err(_) => Err(CloseCode::NOT_TEXT),
                Ok(_) if code.is_allowed() => Ok(code),
                Ok(_) => Err(CloseCode::PROTOCOL),
            }
        }
        [_] => Err(CloseCode::PROTOCOL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// A client's frame.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x11, 0xa2, 0x33, 0xc4];
        let mut bytes = frame::header(Opcode::Binary, payload.len()).as_ref().to_vec();
        bytes[0] = first;
        bytes[1] |= 0x80;
        bytes.extend_from_slice(&mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// What frames give, whole and byte by byte.
    fn read(frames: &[Vec<u8>]) -> (Vec<Incoming>, Option<CloseCode>) {
        let wire = frames.concat();
        let read = |cut: usize| {
            let (mut reader, mut found, mut used) = (Reader::default(), vec![], 0);
            while used < wire.len() {
                match reader.receive(&wire[used..wire.len().min(used.saturating_add(cut))], 200) {
                    Err(code) => return (found, Some(code)),
                    Ok((taken, incoming)) => {
                        used += taken;
                        found.extend(incoming);
                    }
                }
            }
            assert!(reader.frame.is_none() && reader.header_len == 0 || cut == 0);
            (found, None)
        };
        let whole = read(usize::MAX);
        assert_eq!(read(1), whole, "byte by byte");
        whole
    }

    fn message(is_text: bool, body: &[u8]) -> Incoming {
        Incoming::Message { is_text, body: body.into() }
    }

    #[test]
    fn the_masked_hello_of_the_specification_is_read() {
        let hello = vec![0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(read(&[hello]), (vec![message(true, b"Hello")], None));
    }

    #[test]
    fn fragments_are_put_together_around_control_frames() {
        let frames = [
            frame(0x01, b"a"),
            frame(0x89, b"ping"),
            frame(0x00, b""),
            frame(0x8a, b"pong"),
            frame(0x80, "\u{e9}b".as_bytes()),
            frame(0x82, &[7; 200]),
            frame(0x82, b""),
            frame(0x88, &[0x03, 0xe8, b'x']),
        ];
        let expected = vec![
            Incoming::Ping(b"ping".to_vec()),
            message(true, "a\u{e9}b".as_bytes()),
            message(false, &[7; 200]),
            message(false, b""),
            Incoming::Close(CloseCode::NORMAL),
        ];
        assert_eq!(read(&frames), (expected, None));
    }

    #[test]
    fn what_breaks_the_rules_names_the_code_to_close_with() {
        for (frames, code) in [
            (vec![frame(0x80, b"a")], CloseCode::PROTOCOL),
            (vec![frame(0x01, b"a"), frame(0x81, b"b")], CloseCode::PROTOCOL),
            (vec![frame(0x82, &[0; 201])], CloseCode::TOO_BIG),
            (vec![frame(0x02, &[0; 150]), frame(0x80, &[0; 51])], CloseCode::TOO_BIG),
            (vec![frame(0x81, b"\xff")], CloseCode::NOT_TEXT),
            (vec![frame(0x01, b"\xc3"), frame(0x80, b"x")], CloseCode::NOT_TEXT),
            (vec![frame(0x88, b"x")], CloseCode::PROTOCOL),
            (vec![frame(0x88, &1005_u16.to_be_bytes())], CloseCode::PROTOCOL),
            (vec![frame(0x88, &[0x03, 0xe8, 0xff])], CloseCode::NOT_TEXT),
        ] {
            assert_eq!(read(&frames).1, Some(code), "{frames:?}");
        }
    }
}
