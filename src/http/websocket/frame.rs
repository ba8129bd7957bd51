//! Frame headers of WebSocket (RFC 6455, 5.2), and close codes (7.4).
//!
//! In: headers of clients, which are masked. Out: headers of a server, which are not. Not here: messages (`reader`).

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// The longest header of a client: two bytes, a length of 64 bits, a mask.
pub(super) const MAX_HEADER: usize = 14;

/// The longest payload of a control frame.
pub(super) const MAX_CONTROL: usize = 125;

/// Why the peer's frames are not read on: the code of the Close that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// Nothing is wrong.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// The server stops.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// Frames that break the protocol.
    pub const PROTOCOL: CloseCode = CloseCode(1002);
    /// A Close without a code; never on the wire.
    pub const NONE: CloseCode = CloseCode(1005);
    /// Text that is no UTF-8.
    pub const NOT_TEXT: CloseCode = CloseCode(1007);
    /// We do not go on with this peer: too slow, or an operator says so.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// A message beyond [`Limits::max_message_len`](crate::http::Limits::max_message_len).
    pub const TOO_BIG: CloseCode = CloseCode(1009);

    /// Whether a peer may send it (7.4.1, 7.4.2).
    pub(super) fn is_allowed(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// A client's frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    pub(super) len: u64,
    pub(super) mask: [u8; 4],
}

impl Opcode {
    fn of_byte(byte: u8) -> Option<Opcode> {
        use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
        [Continuation, Text, Binary, Close, Ping, Pong].into_iter().find(|opcode| *opcode as u8 == byte)
    }

    pub(super) fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// How many bytes the header that begins with `start` has, as far as its first two bytes tell.
pub(super) fn header_len(start: &[u8]) -> usize {
    match start {
        [_, second, ..] => {
            let mask = if second & 0x80 != 0 { 4 } else { 0 };
            2 + mask
                + match second & 0x7f {
                    126 => 2,
                    127 => 8,
                    _ => 0,
                }
        }
        _ => 2,
    }
}

/// Reads a whole header of [`header_len`] bytes.
///
/// # Errors
/// The code to close with: reserved bits or opcodes, no mask, a length in more bytes than it needs, a control frame that is
/// long or a fragment.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, CloseCode> {
    let [first, second, rest @ ..] = bytes else { return Err(CloseCode::PROTOCOL) };
    let opcode = Opcode::of_byte(first & 0x0f).ok_or(CloseCode::PROTOCOL)?;
    let Some((length, mask)) = rest.split_last_chunk::<4>().filter(|_| second & 0x80 != 0) else {
        return Err(CloseCode::PROTOCOL);
    };
    let len = match length {
        [] => u64::from(second & 0x7f),
        bytes => bytes.iter().fold(0, |len, byte| len << 8 | u64::from(*byte)),
    };
    let is_final = first & 0x80 != 0;
    let is_minimal = match length.len() {
        0 => true,
        2 => len > 125,
        _ => len > 0xffff && len >> 63 == 0,
    };
    let is_right_control = !opcode.is_control() || (is_final && len <= MAX_CONTROL as u64);
    if first & 0x70 != 0 || !is_minimal || !is_right_control {
        return Err(CloseCode::PROTOCOL);
    }
    Ok(Header { is_final, opcode, len, mask: *mask })
}

/// A server's header, of up to 10 bytes.
pub(in crate::http) struct ServerHeader {
    bytes: [u8; 10],
    len: usize,
}

/// The header of a whole message or control frame with a payload of that length.
pub(in crate::http) fn header(opcode: Opcode, len: usize) -> ServerHeader {
    let mut bytes = [0; 10];
    bytes[0] = 0x80 | opcode as u8;
    let wide = (len as u64).to_be_bytes();
    let used = match len {
        0..=125 => {
            bytes[1] = wide[7];
            2
        }
        126..=0xffff => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&wide[6..]);
            4
        }
        _ => {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&wide);
            10
        }
    };
    ServerHeader { bytes, len: used }
}

impl AsRef<[u8]> for ServerHeader {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_server_have_the_shortest_length() {
        for (len, expected) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            assert_eq!(header(Opcode::Binary, len).as_ref(), expected);
        }
    }

    #[test]
    fn headers_of_clients_are_read() {
        for (bytes, is_final, opcode, len) in [
            (&[0x81, 0x85, 1, 2, 3, 4][..], true, Opcode::Text, 5),
            (&[0x02, 0xfe, 0, 126, 1, 2, 3, 4], false, Opcode::Binary, 126),
            (&[0x80, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], true, Opcode::Continuation, 65_536),
            (&[0x88, 0xfd, 1, 2, 3, 4], true, Opcode::Close, 125),
        ] {
            assert_eq!(header_len(&bytes[..2]), bytes.len());
            assert_eq!(parse(bytes), Ok(Header { is_final, opcode, len, mask: [1, 2, 3, 4] }));
        }
    }

    #[test]
    fn headers_that_break_the_protocol_are_refused() {
        for bytes in [
            &[0x81, 0x05][..],
            &[0x81, 0x7e, 0, 126],
            &[0xc1, 0x85, 1, 2, 3, 4],
            &[0x83, 0x85, 1, 2, 3, 4],
            &[0x8b, 0x85, 1, 2, 3, 4],
            &[0x81, 0xfe, 0, 125, 1, 2, 3, 4],
            &[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4],
            &[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
            &[0x09, 0x80, 1, 2, 3, 4],
            &[0x89, 0xfe, 0, 126, 1, 2, 3, 4],
        ] {
            assert_eq!(header_len(bytes), bytes.len());
            assert_eq!(parse(bytes), Err(CloseCode::PROTOCOL), "{bytes:?}");
        }
    }
}
