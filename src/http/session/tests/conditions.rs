//! Ranges and conditions, asked as requests.

use super::*;
use crate::http::Resource;
use core::ops::Range;

fn resource(len: u64) -> Resource {
    Resource { mime: mime::MP4, len, etag: Some("\"e1\"".into()), modified: Some(Date(784_111_777)) }
}

/// Status and bytes of an answer about 1000 bytes.
fn answer(method: &str, fields: &str) -> (u16, Range<u64>) {
    answer_of(1000, method, fields)
}

fn answer_of(len: u64, method: &str, fields: &str) -> (u16, Range<u64>) {
    let request = read(head(&format!("{method} /clip.mp4"), fields).as_bytes()).unwrap();
    let (response, range) = resource(len).answer(&request);
    let place = match response.code() {
        Status::PARTIAL_CONTENT => Some(format!("bytes {}-{}/{len}", range.start, range.end - 1)),
        Status::RANGE_NOT_SATISFIABLE => Some(format!("bytes */{len}")),
        _ => None,
    };
    assert_eq!(response.field("content-range"), place.as_deref());
    if matches!(response.code(), Status::OK | Status::PARTIAL_CONTENT) {
        assert_eq!(response.body, Body::Sized(range.end - range.start));
        assert_eq!(response.field("content-type"), Some(mime::MP4));
    }
    (response.code().0, range)
}

#[test]
fn single_open_and_suffix_ranges_are_parts() {
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=0-", 0..1000),
        ("bytes=100-199", 100..200),
        ("Bytes = 100-199", 100..200),
        ("bytes=999-", 999..1000),
        ("bytes=990-5000", 990..1000),
        ("bytes=990-9007199254740991", 990..1000),
        ("bytes=990-99999999999999999999999", 990..1000),
        ("bytes=-1", 999..1000),
        ("bytes=-5000", 0..1000),
        ("bytes=-18446744073709551616", 0..1000),
    ] {
        assert_eq!(answer("GET", &format!("Range: {range}\n")), (206, part), "{range}");
    }
}

#[test]
fn what_is_no_single_range_of_bytes_gets_the_whole() {
    for range in [
        "bytes=0-1,5-6",
        "bytes=5-4",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=+1-2",
        "bytes=1-2x",
        "bytes=--1",
        "seconds=1-2",
        "1-2",
        "bytes=1-2-3",
    ] {
        assert_eq!(answer("GET", &format!("Range: {range}\n")), (200, 0..1000), "{range}");
    }
    assert_eq!(answer("GET", "Range: bytes=0-1\nRange: bytes=0-1\n"), (200, 0..1000));
    assert_eq!(answer("HEAD", "Range: bytes=0-1\n"), (200, 0..1000));
    assert_eq!(answer("GET", ""), (200, 0..1000));
}

#[test]
fn a_range_behind_the_end_cannot_be_satisfied() {
    for range in ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=99999999999999999999999-"] {
        assert_eq!(answer("GET", &format!("Range: {range}\n")), (416, 0..0), "{range}");
    }
    for range in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
        assert_eq!(answer_of(0, "GET", &format!("Range: {range}\n")), (416, 0..0), "{range}");
    }
    assert_eq!(answer_of(0, "GET", ""), (200, 0..0));
}

#[test]
fn who_has_it_already_is_told_so() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    for (fields, status) in [
        ("If-None-Match: \"e1\"\n".into(), 304),
        ("If-None-Match: \"x\", W/\"e1\"\n".into(), 304),
        ("If-None-Match: *\n".into(), 304),
        ("If-None-Match: \"e2\"\n".into(), 200),
        ("If-None-Match: e1\n".into(), 200),
        (format!("If-Modified-Since: {date}\n"), 304),
        (format!("If-Modified-Since: {before}\n"), 200),
        ("If-Modified-Since: yesterday\n".into(), 200),
        (format!("If-None-Match: \"e2\"\nIf-Modified-Since: {date}\n"), 200),
        ("Range: bytes=0-1\nIf-None-Match: \"e1\"\n".into(), 304),
    ] {
        for method in ["GET", "HEAD"] {
            let expected = if status == 304 { 0..0 } else { 0..1000 };
            assert_eq!(answer(method, &fields), (status, expected), "{fields}");
        }
    }
}

#[test]
fn who_wants_what_it_knows_gets_nothing_else() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    for (fields, status) in [
        ("If-Match: \"e1\"\n".into(), 200),
        ("If-Match: \"x\", \"e1\"\n".into(), 200),
        ("If-Match: *\n".into(), 200),
        ("If-Match: \"e2\"\n".into(), 412),
        ("If-Match: W/\"e1\"\n".into(), 412),
        (format!("If-Unmodified-Since: {date}\n"), 200),
        (format!("If-Unmodified-Since: {before}\n"), 412),
        ("If-Unmodified-Since: yesterday\n".into(), 200),
        (format!("If-Match: \"e1\"\nIf-Unmodified-Since: {before}\n"), 200),
        ("If-Match: \"e2\"\nIf-None-Match: \"e2\"\nRange: bytes=0-1\n".into(), 412),
        ("If-Match: \"e2\"\nIf-None-Match: \"e1\"\n".into(), 412),
    ] {
        for method in ["GET", "HEAD"] {
            let expected = if status == 412 { 0..0 } else { 0..1000 };
            assert_eq!(answer(method, &fields), (status, expected), "{fields}");
        }
    }
}

#[test]
fn a_part_is_sent_only_of_what_the_client_has_the_rest_of() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    for (condition, status) in
        [("\"e1\"", 206), ("\"e2\"", 200), ("W/\"e1\"", 200), (date, 206), (before, 200), ("x", 200)]
    {
        let fields = format!("Range: bytes=1-2\nIf-Range: {condition}\n");
        assert_eq!(answer("GET", &fields).0, status, "{condition}");
    }
}

#[test]
fn a_range_of_what_lies_in_pieces_shares_the_pieces() {
    let pieces = [Payload::from(&b"abc"[..]), Payload::default(), Payload::from(&b"defg"[..])];
    for (fields, expected) in [
        ("", "abcdefg"),
        ("Range: bytes=1-4\n", "bcde"),
        ("Range: bytes=3-\n", "defg"),
        ("Range: bytes=-7\n", "abcdefg"),
        ("Range: bytes=2-2\n", "c"),
        ("If-None-Match: \"e1\"\n", ""),
    ] {
        let request = read(head("GET /clip.mp4", fields).as_bytes()).unwrap();
        let response = resource(7).answer_from(&request, &pieces);
        let body = match &response.body {
            Body::Fixed(body) => body.iter().flat_map(|piece| piece.to_vec()).collect(),
            other => panic!("{other:?}"),
        };
        assert_eq!(String::from_utf8(body).unwrap(), expected, "{fields}");
    }
}
