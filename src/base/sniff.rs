//! Which protocol a connection speaks, by its first bytes: every listener takes all of them.
//!
//! RTMP begins with its version, 3 (6, 8 and 9 are its encrypted forms, which the session refuses by name), TLS with a
//! handshake record of version 3.x, HTTP and RTSP with a method and a space. Not here: whether the rest is what it promises to
//! be; that is found by the session of that protocol, which is offered the same bytes again.
//! RTSP and HTTP share the form of their request lines: RTSP's methods are its own but for OPTIONS, whose target tells, a URL of
//! RTSP's or `*`, which with HTTP/1.1 no client sends to a media server.
//! Bounds: [`MAX_METHOD`] bytes decide.

/// What the first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sniff {
    /// A version of RTMP.
    Rtmp,
    /// The start of a request line.
    Http,
    /// The start of a request line of RTSP's.
    Rtsp,
    /// A TLS hello.
    Tls,
    /// None of them.
    Unknown,
    /// So far it may be several.
    NeedsMore,
}

/// Letters of a method at most: WebDAV has some of 16, and nobody a longer one.
pub const MAX_METHOD: usize = 20;

/// Tells by all bytes that have come so far. Once this is not `NeedsMore`, more bytes do not change it.
pub fn sniff(first: &[u8]) -> Sniff {
    match first {
        [] | [0x16] => Sniff::NeedsMore,
        [0x16, 0x03, ..] => Sniff::Tls,
        [3 | 6 | 8 | 9, ..] => Sniff::Rtmp,
        [b'A'..=b'Z', ..] => {
            let letters = first.iter().take_while(|byte| is_of_method(**byte)).count();
            match first.get(letters) {
                _ if letters > MAX_METHOD => Sniff::Unknown,
                None => Sniff::NeedsMore,
                Some(b' ') => http_or_rtsp(&first[..letters], &first[letters + 1..]),
                Some(_) => Sniff::Unknown,
            }
        }
        _ => Sniff::Unknown,
    }
}

fn http_or_rtsp(method: &[u8], target: &[u8]) -> Sniff {
    const RTSP: [&[u8]; 10] = [
        b"DESCRIBE",
        b"ANNOUNCE",
        b"SETUP",
        b"PLAY",
        b"PAUSE",
        b"RECORD",
        b"TEARDOWN",
        b"GET_PARAMETER",
        b"SET_PARAMETER",
        b"REDIRECT",
    ];
    if RTSP.contains(&method) {
        return Sniff::Rtsp;
    }
    let scheme = &target[..target.len().min(4)];
    match method == b"OPTIONS" {
        true if scheme.first() == Some(&b'*') || scheme.eq_ignore_ascii_case(b"rtsp") => Sniff::Rtsp,
        true if scheme.eq_ignore_ascii_case(&b"rtsp"[..scheme.len()]) => Sniff::NeedsMore,
        _ => Sniff::Http,
    }
}

fn is_of_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_told_by_the_fewest_bytes_and_stay_told() {
        for (bytes, decided_at, what) in [
            (&b"\x03\0\0\0\0"[..], 1, Sniff::Rtmp),
            (b"\x06abc", 1, Sniff::Rtmp),
            (b"\x16\x03\x01\x02\0\x01", 2, Sniff::Tls),
            (b"\x16\x04\x01", 2, Sniff::Unknown),
            (b"GET / HTTP/1.1\r\n", 4, Sniff::Http),
            (b"VERSION-CONTROL / HTTP/1.1\r\n", 16, Sniff::Http),
            (b"OPTIONS /live/cam.flv HTTP/1.1\r\n", 9, Sniff::Http),
            (b"OPTIONS rtsp://h/live RTSP/1.0\r\n", 12, Sniff::Rtsp),
            (b"OPTIONS * RTSP/1.0\r\n", 9, Sniff::Rtsp),
            (b"OPTIONS rt/x HTTP/1.1\r\n", 11, Sniff::Http),
            (b"DESCRIBE rtsp://h/live RTSP/1.0\r\n", 9, Sniff::Rtsp),
            (b"GET_PARAMETER * RTSP/1.0\r\n", 14, Sniff::Rtsp),
            (b"GET\t/", 4, Sniff::Unknown),
            (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 21, Sniff::Unknown),
            (b"get / HTTP/1.1\r\n", 1, Sniff::Unknown),
            (b"\r\nGET / HTTP/1.1\r\n", 1, Sniff::Unknown),
            (b"\0\0", 1, Sniff::Unknown),
        ] {
            for len in 0..=bytes.len() {
                let expected = if len < decided_at { Sniff::NeedsMore } else { what };
                assert_eq!(sniff(&bytes[..len]), expected, "{:?}", &bytes[..len]);
            }
        }
    }
}
