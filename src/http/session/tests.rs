//! Conversations, in any cutting: what follows is asked of each as a whole, byte by byte and cut at random.

use super::*;
use crate::http::{Method, Request, cors, mime, websocket};
use alloc::{format, vec, vec::Vec};
use proptest::prelude::{Strategy, prop_assert_eq, proptest};

mod bodies;
mod conditions;
mod hostile;
mod sockets;

const NOW: MonoTime = MonoTime(0);

/// A session, and what it has written.
struct Peer {
    session: Session,
    written: Vec<u8>,
}

impl Peer {
    fn new() -> Peer {
        Peer { session: Session::server(Limits::default(), NOW), written: Vec::new() }
    }

    /// Offers bytes until all are taken or the session wants no more; returns what is left.
    fn offer<'a>(&mut self, now: MonoTime, mut input: &'a [u8], cut: usize) -> &'a [u8] {
        while !input.is_empty() && self.session.wants_input() {
            let taken = self.session.handle_input(now, &input[..cut.min(input.len())]).expect("no error");
            assert!(taken > 0);
            input = &input[taken..];
        }
        self.write();
        input
    }

    /// Sends all of it.
    fn say(&mut self, input: impl AsRef<[u8]>) {
        assert!(self.offer(NOW, input.as_ref(), usize::MAX).is_empty(), "not taken");
    }

    fn write(&mut self) {
        let bytes = self.session.output.to_vec();
        self.session.advance_output(bytes.len());
        self.written.extend_from_slice(&bytes);
    }

    /// What was written since the last call.
    fn heard(&mut self) -> String {
        self.write();
        String::from_utf8_lossy(&core::mem::take(&mut self.written)).into()
    }

    /// The request that waits.
    fn request(&mut self) -> (RequestId, Box<Request>) {
        match self.session.poll_event() {
            Some(Event::Request { id, request }) => (id, request),
            other => panic!("{other:?}, and no request"),
        }
    }

    /// Sends a request and answers it.
    fn ask(&mut self, request: impl AsRef<[u8]>, response: &Response) -> String {
        self.say(request);
        let (id, _) = self.request();
        self.session.respond(NOW, id, response).expect("it waits");
        self.heard()
    }

    fn state(&self) -> State {
        self.session.state()
    }
}

/// A request line and fields, with a `Host`.
fn head(line: &str, fields: &str) -> String {
    let fields = fields.replace('\n', "\r\n");
    format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// What a request is read as, however it is cut; or why not.
fn read(input: &[u8]) -> Result<Box<Request>, Refusal> {
    let read = |cut: &mut dyn FnMut() -> usize| {
        let mut peer = Peer::new();
        let mut rest = input;
        while !rest.is_empty() && peer.session.wants_input() {
            let len = cut().clamp(1, rest.len());
            rest = &rest[peer.session.handle_input(NOW, &rest[..len]).expect("no error")..];
        }
        match peer.session.poll_event() {
            Some(Event::Request { request, .. }) => Ok((request, rest.len())),
            Some(Event::Refused(why)) => {
                assert_eq!((peer.state(), peer.session.poll_event()), (State::Closing, None));
                let status = format!("HTTP/1.1 {} {}\r\n", why.status().0, why.status().reason());
                let answer = peer.heard();
                assert!(answer.starts_with(&status) && answer.contains("Connection: close\r\n"), "{answer}");
                Err(why)
            }
            other => panic!("{other:?} for {:?}", String::from_utf8_lossy(input)),
        }
    };
    let whole = read(&mut || usize::MAX);
    assert_eq!(read(&mut || 1), whole, "byte by byte");
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 27) as usize
    };
    assert_eq!(read(&mut random), whole, "cut at random");
    whole.map(|(request, _)| request)
}

#[test]
fn a_request_is_what_was_sent_however_it_is_cut() {
    let request = read(
        b"\r\nPOST /a%20b?x=1&y=%41 HTTP/1.1\r\nHost: h:80\r\nAccept: a, b\r\nX-Caf\xc3\xa9-not: 1\r\n\r\n",
    );
    assert_eq!(request, Err(Refusal::Malformed), "names are ASCII");
    let request = read(
        b"\r\nPOST /a%20b?x=1&y=%41 HTTP/1.1\r\nHost: h:80\r\naccept:a , b\r\nAccept: c\r\nOdd: \xff\r\n\
          Content-Length: 3\r\n\r\nxyzGET /next",
    )
    .unwrap();
    assert_eq!((request.method(), request.version()), (Method::Post, Version::Http11));
    assert_eq!((request.path(), request.query()), ("/a b", "x=1&y=%41"));
    assert_eq!(request.parameter("y").as_deref(), Some("A"));
    assert_eq!((request.host(), request.header("HOST")), (Some("h:80"), Some("h:80")));
    assert_eq!(request.list("accept").collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!((request.header("odd"), request.values("odd").next()), (None, Some(&[0xff][..])));
    assert_eq!(&**request.body(), b"xyz");
    assert!(!format!("{request:?}").contains("x=1"), "queries carry tokens");
}

#[test]
fn a_fixed_response_has_its_length_and_the_connection_stays_open() {
    let mut peer = Peer::new();
    peer.session.set_date(Date(784_111_777));
    let response = Response::text(mime::TEXT, "hello").header("X-A", "b");
    for _ in 0..2 {
        assert_eq!(
            peer.ask(head("GET /", ""), &response),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nX-A: b\r\nContent-Length: 5\r\n\
             Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello"
        );
        assert_eq!(peer.state(), State::Open);
    }
    assert_eq!(peer.session.stats().requests, 2);
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let mut peer = Peer::new();
    let fixed = peer.ask(head("HEAD /", ""), &Response::text(mime::TEXT, "hello"));
    assert!(fixed.ends_with("Content-Length: 5\r\n\r\n"), "{fixed}");
    let stream = peer.ask(head("HEAD /", ""), &Response::stream(mime::FLV));
    assert!(stream.ends_with("Transfer-Encoding: chunked\r\n\r\n"), "{stream}");
    let file = peer.ask(head("HEAD /", ""), &Response::new(Status::OK).body(Body::Sized(1 << 40)));
    assert!(file.ends_with("Content-Length: 1099511627776\r\n\r\n"), "{file}");
    assert_eq!((peer.session.framing(), peer.state()), (None, State::Open));
}

#[test]
fn a_head_request_that_is_refused_gets_the_head_alone() {
    for (wire, status) in [
        ("HEAD / HTTP/1.1\r\n\r\n", "400"),
        ("HEAD / HTTP/2.0\r\n\r\n", "505"),
        ("HEAD / HTTP/1.1\r\nHost: a\n", "400"),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx", "400"),
        ("HEAD / HTTP/1.1\r\n", "408"),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", "408"),
    ] {
        for cut in [1, usize::MAX] {
            let mut peer = Peer::new();
            peer.offer(NOW, wire.as_bytes(), cut);
            peer.session.handle_timeout(MonoTime(30_000)).unwrap();
            assert!(matches!(peer.session.poll_event(), Some(Event::Refused(_))));
            let heard = peer.heard();
            assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{heard}");
            assert!(heard.contains("Content-Length: ") && heard.ends_with("\r\n\r\n"), "{heard}");
        }
    }
}

#[test]
fn responses_without_a_body_have_no_length_either() {
    for status in [Status::NO_CONTENT, Status::NOT_MODIFIED] {
        let answer = Peer::new().ask(head("GET /", ""), &Response::text(mime::TEXT, "x").status(status));
        assert!(!answer.contains("Length") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn connections_stay_open_as_version_and_fields_say() {
    let http10 = |fields: &str| format!("GET / HTTP/1.0\r\n{fields}\r\n");
    let open = Response::text(mime::TEXT, "x");
    for (request, response, said, state) in [
        (head("GET /", ""), open.clone(), None, State::Open),
        (head("GET /", "Connection: foo, CLOSE\n"), open.clone(), Some("close"), State::Closing),
        (head("GET /", ""), open.clone().close(), Some("close"), State::Closing),
        (http10(""), open.clone(), Some("close"), State::Closing),
        (http10("Connection: Keep-Alive\r\n"), open.clone(), Some("keep-alive"), State::Open),
        (http10("Connection: keep-alive\r\n"), Response::stream(mime::FLV), Some("close"), State::Open),
        (head("GET /", ""), Response::stream(mime::FLV).body(Body::Unframed), Some("close"), State::Open),
    ] {
        let mut peer = Peer::new();
        let answer = peer.ask(&request, &response);
        let field = answer.lines().find_map(|line| line.strip_prefix("Connection: "));
        assert_eq!((field, peer.state()), (said, state), "{request} {answer}");
    }
}

#[test]
fn pipelined_requests_wait_with_the_caller_and_are_answered_in_order() {
    let wire =
        [head("GET /1", ""), head("POST /2", "Content-Length: 2\n") + "ab", head("GET /3", "")].concat();
    for cut in [1, 7, usize::MAX] {
        let mut peer = Peer::new();
        let mut rest = wire.as_bytes();
        for path in ["/1", "/2", "/3"] {
            rest = peer.offer(NOW, rest, cut);
            assert!(!peer.session.wants_input());
            assert_eq!(peer.session.handle_input(NOW, rest), Ok(0), "nothing behind {path} is taken");
            let (id, request) = peer.request();
            assert_eq!(request.path(), path);
            peer.session.respond(NOW, id, &Response::text(mime::TEXT, path)).unwrap();
            assert_eq!(
                peer.session.respond(NOW, id, &Response::new(Status::OK)),
                Err(ApiMisuse::NoSuchRequest),
                "a request is answered once"
            );
        }
        let heard = peer.heard();
        assert!(
            rest.is_empty() && heard.find("/1") < heard.find("/2") && heard.find("/2") < heard.find("/3")
        );
    }
}

#[test]
fn reading_stops_while_responses_pile_up() {
    let mut peer = Peer::new();
    let response = Response::text(mime::TEXT, "x".repeat(40 << 10));
    for _ in 0..2 {
        assert!(peer.session.wants_input());
        let request = head("GET /", "");
        assert_eq!(peer.session.handle_input(NOW, request.as_bytes()), Ok(request.len()));
        let (id, _) = peer.request();
        peer.session.respond(NOW, id, &response).unwrap();
    }
    assert_eq!((peer.session.wants_input(), peer.session.handle_input(NOW, b"GET")), (false, Ok(0)));
    peer.session.advance_output(20 << 10);
    assert!(peer.session.wants_input());
}

#[test]
fn a_client_that_closed_its_side_still_gets_its_response() {
    for (early, response) in [
        (true, Response::text(mime::TEXT, "hello")),
        (false, Response::text(mime::TEXT, "hello")),
        (true, Response::new(Status::OK).body(Body::Sized(5))),
    ] {
        let mut peer = Peer::new();
        peer.say(head("GET /", ""));
        let (id, _) = peer.request();
        if early {
            assert_eq!((peer.session.handle_eof(NOW), peer.state()), (Ok(()), State::Open));
        }
        if let Ok(Next::Body(_)) = peer.session.respond(NOW, id, &response) {
            peer.session.send(&b"hello"[..].into()).unwrap();
            peer.session.end(NOW).unwrap();
        }
        if !early {
            assert_eq!(peer.session.handle_eof(NOW), Ok(()));
        }
        assert_eq!(peer.state(), State::Closing);
        assert!(peer.heard().ends_with("\r\n\r\nhello"));
        assert_eq!((peer.state(), peer.session.poll_timeout()), (State::Closed, None));
    }
}

#[test]
fn a_client_that_leaves_inside_a_request_is_an_error_and_between_two_it_is_none() {
    let mut peer = Peer::new();
    peer.ask(head("GET /", ""), &Response::new(Status::OK));
    assert_eq!((peer.session.handle_eof(NOW), peer.state()), (Ok(()), State::Closed));
    for spare in ["\r\n", "\r"] {
        let mut peer = Peer::new();
        peer.ask(head("GET /", ""), &Response::new(Status::OK));
        peer.say(spare);
        assert_eq!((peer.session.handle_eof(NOW), peer.state()), (Ok(()), State::Closed));
    }
    for part in ["GET", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"] {
        let mut peer = Peer::new();
        peer.say(part);
        let error = peer.session.handle_eof(NOW).unwrap_err();
        assert_eq!((error.kind, error.offset), (ErrorKind::PeerClosed, part.len() as u64));
        assert_eq!((peer.session.handle_input(NOW, b"x"), peer.state()), (Err(error), State::Closed));
    }
}

#[test]
fn each_deadline_ends_what_it_is_for() {
    let at = |seconds: f64| MonoTime((seconds * 1000.0) as u64);
    let part = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab";
    // Nothing at all.
    let mut peer = Peer::new();
    assert_eq!((peer.session.handle_timeout(at(9.9)), peer.session.poll_timeout()), (Ok(()), Some(at(10.0))));
    assert_eq!(peer.session.handle_timeout(at(10.0)).unwrap_err().kind, ErrorKind::TimedOut(Timer::Head));
    // Part of a head, however often bytes come.
    let mut peer = Peer::new();
    peer.offer(at(9.0), b"GET /", 1);
    assert_eq!(peer.session.handle_timeout(at(10.0)), Ok(()));
    assert_eq!(peer.session.poll_event(), Some(Event::Refused(Refusal::TooSlow(Timer::Head))));
    assert!(peer.heard().starts_with("HTTP/1.1 408 "));
    // Part of a body.
    let mut peer = Peer::new();
    peer.offer(at(9.0), part.as_bytes(), usize::MAX);
    assert_eq!(peer.session.poll_timeout(), Some(at(29.0)));
    assert_eq!((peer.session.handle_timeout(at(29.0)), peer.state()), (Ok(()), State::Closing));
    assert!(peer.heard().starts_with("HTTP/1.1 408 "));
    // A second request: idle before it, its own deadline from its first byte on.
    let mut peer = Peer::new();
    peer.ask(head("GET /", ""), &Response::new(Status::OK));
    assert_eq!(peer.session.poll_timeout(), Some(at(60.0)));
    peer.offer(at(50.0), b"GET /", 1);
    assert_eq!(peer.session.poll_timeout(), Some(at(60.0)));
    peer.offer(at(55.0), b" ", 1);
    assert_eq!(peer.session.poll_timeout(), Some(at(60.0)), "not one deadline for each byte");
    // Idle: gone without a word, unless the last response is still being written.
    let mut peer = Peer::new();
    peer.say(head("GET /", ""));
    let (id, _) = peer.request();
    assert_eq!(peer.session.poll_timeout(), None, "the application has its time");
    peer.session.respond(NOW, id, &Response::new(Status::OK)).unwrap();
    assert_eq!((peer.session.handle_timeout(at(60.0)), peer.state()), (Ok(()), State::Open));
    peer.write();
    assert_eq!((peer.session.handle_timeout(at(120.0)), peer.state()), (Ok(()), State::Closed));
    // Closing: time to read what was written.
    let mut peer = Peer::new();
    peer.say(head("GET /", "Connection: close\n"));
    let (id, _) = peer.request();
    peer.session.respond(at(5.0), id, &Response::new(Status::OK)).unwrap();
    assert_eq!((peer.session.handle_timeout(at(7.0)), peer.state()), (Ok(()), State::Closing));
    peer.write();
    assert_eq!((peer.session.handle_timeout(at(9.0)), peer.state()), (Ok(()), State::Closed));
}

#[test]
fn an_empty_line_behind_a_request_begins_no_other() {
    let at = |seconds: u64| MonoTime(seconds * 1000);
    for cut in [1, 2] {
        let mut peer = Peer::new();
        peer.ask(head("POST /", "Content-Length: 2\n") + "ab", &Response::new(Status::OK));
        peer.offer(at(5), b"\r\n", cut);
        assert_eq!(peer.session.poll_timeout(), Some(at(60)), "idle since the response");
        peer.offer(at(50), b"\r\nGET", cut);
        assert_eq!(peer.session.poll_timeout(), Some(at(60)), "it has begun, 10 s");
        let mut peer = Peer::new();
        peer.ask(head("GET /", ""), &Response::new(Status::OK));
        peer.offer(at(5), b"\r\n", cut);
        assert_eq!((peer.session.handle_timeout(at(60)), peer.state()), (Ok(()), State::Closed));
        assert_eq!((peer.heard().as_str(), peer.session.poll_event()), ("", None));
        let mut peer = Peer::new();
        peer.offer(at(5), b"\r\n", cut);
        let error = peer.session.handle_timeout(at(10)).unwrap_err();
        assert_eq!((error.kind, peer.heard().as_str()), (ErrorKind::TimedOut(Timer::Head), ""));
    }
}

#[test]
fn a_response_reads_slowly_to_its_end_although_the_connection_closes_behind_it() {
    let page = Response::text(mime::TEXT, "hello");
    let file = Response::new(Status::OK).body(Body::Sized(5));
    for response in [page, file] {
        let mut peer = Peer::new();
        peer.say(head("GET /", "Connection: close\n"));
        let (id, _) = peer.request();
        if peer.session.respond(NOW, id, &response) != Ok(Next::Done) {
            peer.session.send(&b"hello"[..].into()).unwrap();
            peer.session.end(NOW).unwrap();
        }
        let mut second = 0;
        while peer.session.output_len() > 0 {
            second += 1;
            assert_eq!(peer.session.handle_timeout(MonoTime(second * 1000)), Ok(()));
            assert_eq!(peer.state(), State::Closing);
            peer.session.advance_output(1);
        }
        assert!(second > 60, "a byte a second");
        peer.session.handle_timeout(MonoTime((second + 2) * 1000)).unwrap();
        assert_eq!((peer.state(), peer.session.is_cut()), (State::Closed, false));
    }
}

#[test]
fn who_was_too_slow_has_one_deadline_however_little_it_takes() {
    let responses =
        [Response::text(mime::TEXT, "hello"), Response::stream(mime::FLV), Response::new(Status::OK)];
    for (asked, response) in responses.into_iter().enumerate() {
        let mut peer = Peer::new();
        peer.say(head("GET /", ""));
        // One closes before its answer.
        if asked < 2 {
            let (id, _) = peer.request();
            peer.session.respond(NOW, id, &response).unwrap();
        }
        peer.session.close(MonoTime(5000), CloseReason::TooSlow);
        for quarter in 1..8 {
            peer.session.advance_output(1);
            assert_eq!(peer.session.handle_timeout(MonoTime(5000 + quarter * 250)), Ok(()));
            assert_eq!(peer.state(), State::Closing);
            peer.session.close(MonoTime(5000 + quarter * 250), CloseReason::Shutdown);
        }
        assert!(peer.session.output_len() > 0);
        assert_eq!((peer.session.handle_timeout(MonoTime(7000)), peer.state()), (Ok(()), State::Closed));
    }
}

#[test]
fn closing_answers_what_waits_for_an_answer() {
    let mut peer = Peer::new();
    peer.say(head("GET /", ""));
    let (id, _) = peer.request();
    peer.session.close(NOW, CloseReason::Shutdown);
    assert!(peer.heard().starts_with("HTTP/1.1 503 "));
    assert_eq!(peer.state(), State::Closing);
    let mut program = Peer::new();
    program.say(head("GET /api/v1/server", ""));
    program.request();
    program.session.close(NOW, CloseReason::Shutdown);
    assert!(program.heard().contains("{\"error\":{\"code\":\"stopping\","));
    assert_eq!(peer.session.respond(NOW, id, &Response::new(Status::OK)), Err(ApiMisuse::NoSuchRequest));
    let mut peer = Peer::new();
    peer.session.close(NOW, CloseReason::Shutdown);
    assert_eq!((peer.heard().as_str(), peer.state()), ("", State::Closing));
    assert_eq!(peer.session.handle_input(NOW, b"GET / HTTP/1.1\r\n\r\n"), Ok(18), "discarded");
}

#[test]
fn preflights_are_answered_for_media() {
    let asked =
        "Origin: http://x\nAccess-Control-Request-Method: GET\nAccess-Control-Request-Headers: range, x\n";
    let request = read(head("OPTIONS /live/cam.flv", asked).as_bytes()).unwrap();
    let response = cors::preflight(&request).unwrap();
    assert_eq!(response.code(), Status::NO_CONTENT);
    assert_eq!(response.field("access-control-allow-headers"), Some("range, x"));
    assert_eq!(response.field("access-control-allow-origin"), Some("*"));
    for (line, fields) in [("OPTIONS /", ""), ("GET /", asked), ("OPTIONS *", "Origin: http://x\n")] {
        assert_eq!(cors::preflight(&read(head(line, fields).as_bytes()).unwrap()), None);
    }
}

/// Requests, frames and what is wrong with some of them, one behind the other.
fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        head("GET /a?x=1", "X: y\n"),
        head("HEAD /s", ""),
        head("GET /sx?abc", ""),
        head("GET /zz", "Connection: close\n"),
        head("GET /r", "Range: bytes=1-2\n"),
        head("OPTIONS *", "Origin: x\n"),
        head("POST /", "Content-Length: 3\nExpect: 100-continue\n") + "abc",
        head("POST /", "Transfer-Encoding: chunked\n") + "3;a\r\nabc\r\n0\r\nT: x\r\n\r\n",
        head("POST /", "Transfer-Encoding: chunked\nContent-Length: 3\n"),
        head(
            "GET /w",
            "Upgrade: websocket\nConnection: upgrade\nSec-WebSocket-Version: 13\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n",
        ),
        "\u{1}\u{3}".into(),
        "\r\n".into(),
        "\n".into(),
        "GET /".into(),
    ];
    let frames = [
        vec![0x01, 0x81, 0, 0, 0, 0, b'a'],
        vec![0x80, 0x81, 1, 1, 1, 1, b'a'],
        vec![0x89, 0x80, 1, 1, 1, 1],
        vec![0x88, 0x80, 1, 1, 1, 1],
    ];
    let parts = parts.into_iter().map(String::into_bytes).chain(frames);
    let part = proptest::sample::select(parts.collect::<Vec<_>>());
    proptest::collection::vec(part, 1..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn however_it_is_cut_the_same_happens(
        wire in traffic(),
        cuts in proptest::collection::vec(1..40_usize, 1..20),
    ) {
        let whole = fuzz::observe(&wire, || usize::MAX);
        let mut cuts = cuts.into_iter().cycle();
        prop_assert_eq!(whole, fuzz::observe(&wire, || cuts.next().unwrap_or(1)));
    }
}

#[test]
fn sessions_move_between_threads_and_events_are_small() {
    fn assert_send<T: Send>(_: &T) {}
    assert_send(&Session::server(Limits::default(), NOW));
    assert!(size_of::<Event>() <= 40, "{}", size_of::<Event>());
    assert!(size_of::<Session>() <= 640, "{}", size_of::<Session>());
}

#[test]
fn the_fuzz_body_holds_on_small_inputs() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for len in 0..300 {
        let noise: Vec<u8> = (0..len).map(|_| random()).collect();
        fuzz(&noise);
        let mut data = vec![random()];
        for path in ["/", "/s", "/ru", "/uu", "/c"] {
            data.extend_from_slice(head(&format!("GET {path}?a={len}"), "Range: bytes=1-\n").as_bytes());
        }
        let at = usize::from(random()) % data.len();
        data[at] = random();
        fuzz(&data);
    }
}
