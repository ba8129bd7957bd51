//! Heads that lie, that could be read in two ways, or that have no end: each at its limit and one past it.

use super::*;

#[test]
fn what_a_proxy_could_read_as_another_request_is_refused() {
    for (fields, why) in [
        ("Content-Length: 1\nTransfer-Encoding: chunked\n", Refusal::Length),
        ("Transfer-Encoding: chunked\nContent-Length: 1\n", Refusal::Length),
        ("Content-Length: 1\nContent-Length: 1\n", Refusal::Length),
        ("Content-Length: 1\nContent-Length: 2\n", Refusal::Length),
        ("Content-Length: 1, 1\n", Refusal::Length),
        ("Content-Length: +1\n", Refusal::Length),
        ("Content-Length: -1\n", Refusal::Length),
        ("Content-Length: 0x1\n", Refusal::Length),
        ("Content-Length: 1 2\n", Refusal::Length),
        ("Content-Length:\n", Refusal::Length),
        ("Content-Length: 99999999999999999999999999\n", Refusal::BodyTooLarge),
        ("Transfer-Encoding: gzip, chunked\n", Refusal::Encoding),
        ("Transfer-Encoding: identity\n", Refusal::Encoding),
        ("Transfer-Encoding: xchunked\n", Refusal::Encoding),
        ("Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n", Refusal::Encoding),
        ("Transfer-Encoding: \u{b}chunked\n", Refusal::Malformed),
        ("Content-Length : 1\n", Refusal::Malformed),
        (" Content-Length: 1\n", Refusal::Malformed),
        ("X: a\n Content-Length: 1\n", Refusal::Malformed),
        ("X: a\n\tb\n", Refusal::Malformed),
        ("X\n", Refusal::Malformed),
        (": a\n", Refusal::Malformed),
        ("X: a\u{0}b\n", Refusal::Malformed),
        ("Host: b\n", Refusal::Host),
    ] {
        assert_eq!(read(head("POST /", fields).as_bytes()), Err(why), "{fields:?}");
    }
    let http10 = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(read(http10.as_bytes()), Err(Refusal::Length));
}

#[test]
fn lines_end_with_cr_lf_and_nothing_else() {
    for wire in [
        &b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(read(wire), Err(Refusal::BareLineEnd));
    }
    assert!(read(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n").is_ok());
    assert_eq!(read(b"\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n"), Err(Refusal::Malformed));
}

#[test]
fn request_lines_are_one_method_one_target_and_a_version_that_is_spoken() {
    for (line, why) in [
        ("GET / HTTP/1.1", None),
        ("GET / HTTP/2.0", Some(Refusal::Version)),
        ("GET / HTTP/1.2", Some(Refusal::Version)),
        ("GET / HTTP/0.9", Some(Refusal::Version)),
        ("GET / RTSP/1.0", Some(Refusal::Version)),
        ("GET /", Some(Refusal::Malformed)),
        ("GET", Some(Refusal::Malformed)),
        ("GET /a b HTTP/1.1", Some(Refusal::Version)),
        ("G@T / HTTP/1.1", Some(Refusal::Malformed)),
        ("PUT / HTTP/1.1", Some(Refusal::Method)),
        ("TRACE / HTTP/1.1", Some(Refusal::Method)),
        ("get / HTTP/1.1", Some(Refusal::Method)),
        ("CONNECT a:80 HTTP/1.1", Some(Refusal::Method)),
        ("GET a:80 HTTP/1.1", Some(Refusal::Target)),
        ("GET * HTTP/1.1", Some(Refusal::Target)),
        ("OPTIONS * HTTP/1.1", None),
        ("GET /../x HTTP/1.1", Some(Refusal::Target)),
        ("GET http://b:8080/x HTTP/1.1", None),
        ("GET http://u@b/x HTTP/1.1", Some(Refusal::Target)),
    ] {
        let read = read(format!("{line}\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(read.err(), why, "{line}");
    }
    let request = read(b"GET http://b:8080/x?y HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!((request.host(), request.path(), request.query()), (Some("b:8080"), "/x", "y"));
}

#[test]
fn blanks_around_values_are_no_part_of_them() {
    let request = read(b"POST / HTTP/1.1\r\nHost: \t a \t\r\nContent-Length:1 \r\nX:\r\n\r\nb").unwrap();
    assert_eq!((request.host(), request.header("x"), request.body().len()), (Some("a"), Some(""), 1));
}

#[test]
fn hosts_are_required_and_single() {
    for (wire, is_right) in [
        ("GET / HTTP/1.1\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", true),
        ("GET / HTTP/1.0\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", true),
    ] {
        let expected = if is_right { None } else { Some(Refusal::Host) };
        assert_eq!(read(wire.as_bytes()).err(), expected, "{wire}");
    }
}

#[test]
fn heads_targets_fields_and_bodies_have_their_limits() {
    let limits = Limits::default();
    let of_len = |len: usize| {
        let mut wire = head("GET /", "X: \n");
        let at = wire.len() - 4;
        wire.insert_str(at, &"x".repeat(len - wire.len()));
        assert_eq!(wire.len(), len);
        read(wire.as_bytes()).err()
    };
    assert_eq!(of_len(limits.max_head_len), None);
    assert_eq!(of_len(limits.max_head_len + 1), Some(Refusal::HeadTooLarge));
    let with_target = |len: usize| read(head(&format!("GET /{}", "x".repeat(len - 1)), "").as_bytes()).err();
    assert_eq!(with_target(limits.max_target_len), None);
    assert_eq!(with_target(limits.max_target_len + 1), Some(Refusal::TargetTooLong));
    assert_eq!(with_target(limits.max_head_len), Some(Refusal::TargetTooLong));
    // One field is the host.
    let with_fields = |count: usize| read(head("GET /", &"X: y\n".repeat(count - 1)).as_bytes()).err();
    assert_eq!(with_fields(limits.max_headers), None);
    assert_eq!(with_fields(limits.max_headers + 1), Some(Refusal::HeadTooLarge));
    let with_body = |len: usize| {
        let wire = head("POST /", &format!("Content-Length: {len}\n")) + &"x".repeat(len);
        read(wire.as_bytes()).err()
    };
    assert_eq!(with_body(limits.max_body_len), None);
    assert_eq!(with_body(limits.max_body_len + 1), Some(Refusal::BodyTooLarge));
}

#[test]
fn an_endless_line_is_cut_off_before_it_ends() {
    for (start, len, why) in [
        ("GET /", 2 << 10, Refusal::TargetTooLong),
        ("GET / HTTP/1.1\r\nX: ", 16 << 10, Refusal::HeadTooLarge),
    ] {
        let wire = format!("{start}{}", "a".repeat(len + 100));
        assert_eq!(read(wire.as_bytes()), Err(why));
    }
}

#[test]
fn programs_are_told_in_json_what_was_wrong_with_their_body() {
    let mut peer = Peer::new();
    peer.say(head("POST /api/v1/kick", "Transfer-Encoding: chunked\n") + "zz\r\n");
    let heard = peer.heard();
    assert!(heard.starts_with("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"), "{heard}");
    assert!(heard.ends_with(
        "{\"error\":{\"code\":\"bad_request\",\"reason\":\"a chunk of the body is malformed\"}}\n"
    ));
}
