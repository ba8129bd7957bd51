//! Whatever comes, in whatever pieces: the fuzz targets on small inputs.

use super::*;
use crate::rtsp::session::fuzz::observe;
use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

/// What inputs consist of: whole messages, parts of them, and anything.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 20] = [
        b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"DESCRIBE rtsp://h/a RTSP/1.0\r\n\r\n",
        b"ANNOUNCE rtsp://h/a RTSP/1.0\r\nContent-Length: 3\r\n\r\nv=0",
        b"SETUP rtsp://h/a?b/trackID=1 RTSP/1.0\nTransport: RTP/AVP/TCP\n\n",
        b"SETUP rtsp://h/a RTSP/1.0\r\nTransport: RTP/AVP;client_port=6-7,RTP/AVP/TCP\r\n\r\n",
        b"PLAY rtsp://h/a RTSP/1.0\r\nRange: npt=1.5-2\r\nScale: -2\r\n\r\n",
        b"PAUSE rtsp://h/a RTSP/1.0\r\n\r\n",
        b"RECORD rtsp://h/a RTSP/1.0\r\n\r\n",
        b"TEARDOWN rtsp://h/a RTSP/1.0\r\nTimestamp: 1\r\n\r\n",
        b"GET_PARAMETER * RTSP/1.0\r\nContent-Length: 4\r\n\r\nx\r\ny",
        b"SET_PARAMETER * RTSP/1.0\r\nContent-Length: 4\r\n\r\nx: y",
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
        b"RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"r\",nonce=\"n\"\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nSession: a\r\nContent-Length: 1\r\n\r\nv",
        b"$\0\0\x03abc",
        b"$\x01\0\0",
        b"\r\n",
        b"\x80",
        b"OPTIONS rtsp://h/a RTSP/1.0\r\nRequire: x\r\nSession: ",
        b"Authorization: Digest username=\"u\", response=\"\\",
    ];
    let known = (0..PIECES.len()).prop_map(|number| PIECES[number].to_vec());
    let piece = proptest::strategy::Union::new_weighted(alloc::vec![
        (9, known.boxed()),
        (1, proptest::collection::vec(any::<u8>(), 0..8).boxed()),
    ]);
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn events_and_output_do_not_depend_on_the_cuts(input in pieces(), seed in any::<u32>(), login in any::<bool>()) {
        let whole = observe(&input, login, || usize::MAX);
        prop_assert_eq!(&whole, &observe(&input, login, || 1));
        let mut state = seed;
        let random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 27) as usize
        };
        prop_assert_eq!(&whole, &observe(&input, login, random));
    }

    #[test]
    fn no_bytes_and_no_calls_break_a_session(first in any::<u8>(), input in pieces()) {
        fuzz_session(&[&[first], &input[..]].concat());
    }

    #[test]
    fn no_calls_break_a_session(calls in proptest::collection::vec((any::<[u8; 2]>(), pieces()), 0..12)) {
        let mut data = alloc::vec![1];
        for ([op, argument], bytes) in calls {
            data.extend([op, argument]);
            if op % 16 < 5 {
                let len = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
                *data.last_mut().unwrap() = len;
                data.extend(&bytes[..usize::from(len)]);
            }
        }
        fuzz_session(&data);
    }

    #[test]
    fn no_bytes_break_a_client(first in any::<u8>(), input in pieces()) {
        fuzz_client(&[&[first], &input[..]].concat());
    }
}
