//! The body of the fuzz target `http`, which unit tests run as well.
//!
//! Invariants: no panic; the same bytes cut differently give the same events and output; paths hold nothing that could
//! climb; queues pass their limits by at most one response; every response is one that `httparse` reads; a closed
//! session asks for nothing, and one that closes has a deadline.

use super::*;
use crate::http::{Method, Request, mime, websocket};
use alloc::{vec, vec::Vec};

/// Small ceilings, so that short inputs reach them.
fn limits() -> Limits {
    Limits {
        max_head_len: 512,
        max_headers: 12,
        max_target_len: 64,
        max_body_len: 64,
        max_message_len: 64,
        max_queued_events: 4,
        max_queued_output: 4096,
        max_queued_replies: 1024,
        ..Limits::default()
    }
}

/// What one request or message can make a session queue at most: a head and a small body, or a pong.
const LONGEST_REPLY: usize = 2048;

fn feed(session: &mut Session, now: MonoTime, input: &[u8]) -> Result<usize, Error> {
    let before = session.output.reply_len();
    let result = session.handle_input(now, input);
    assert!(session.output.reply_len() <= before.max(limits().max_queued_replies) + LONGEST_REPLY);
    assert!(result.is_err() || result.is_ok_and(|taken| taken <= input.len()));
    check(session);
    result
}

fn check(session: &Session) {
    assert!(session.events.len() <= limits().max_queued_events);
    if session.state() == State::Closed {
        assert_eq!(session.poll_timeout(), None);
    }
    assert!(!session.is_too_slow || matches!(session.state(), State::Closing | State::Closed));
    assert!(session.state() != State::Closing || session.poll_timeout().is_some());
}

fn check_request(request: &Request) {
    let path = request.path();
    assert!(path.starts_with('/') || (path == "*" && request.method() == Method::Options), "{path:?}");
    assert!(!path.contains(|char: char| char.is_control() || char == '\\'), "{path:?}");
    assert!(path.split('/').all(|segment| segment != ".." && segment != "."), "{path:?}");
    assert!(request.body().len() <= limits().max_body_len);
    assert!(path.len() + request.query().len() <= limits().max_target_len);
    any((request.host(), request.parameter("a"), request.list("connection").count()));
}

/// Answers a request by what it asks, in each way that there is.
fn answer(session: &mut Session, now: MonoTime, id: RequestId, request: &Request) {
    check_request(request);
    let kind = request.path().as_bytes().get(1).copied().unwrap_or(0);
    let response = match (websocket::offer(request), kind) {
        (websocket::Offer::Invalid(response), _) => response,
        (websocket::Offer::Valid, _) => {
            let protocol = request.list("sec-websocket-protocol").next().map(String::from);
            return session.upgrade(now, id, protocol.as_deref()).expect("it is valid");
        }
        (_, b's') => Response::stream(mime::FLV),
        (_, b'u') => Response::stream(mime::FLV).body(Body::Unframed),
        (_, b'r') => {
            let resource = crate::http::Resource {
                mime: mime::MP4,
                len: 100,
                etag: Some("\"e\"".into()),
                modified: Some(Date(1_000_000_000)),
            };
            let (response, range) = resource.answer(request);
            assert!(range.start <= range.end && range.end <= 100);
            response
        }
        (_, b'c') => Response::text(mime::TEXT, request.path()).close(),
        _ => crate::http::cors::preflight(request)
            .unwrap_or_else(|| Response::text(mime::JSON, request.query())),
    };
    match session.respond(now, id, &response) {
        Ok(Next::Body(_)) => {
            let body = vec![b'x'; request.query().len()];
            let piece = Piece::new(Framing::Chunked, |bytes| bytes.extend_from_slice(&body));
            any(session.send_piece(&piece));
            if request.path().len() % 2 == 0 {
                session.end(now).expect("a body is being sent");
            }
        }
        Ok(Next::Done) => {}
        Err(_) => panic!("it waits"),
    }
}

fn write(session: &mut Session, output: &mut Vec<u8>) {
    let bytes = session.output.to_vec();
    session.advance_output(bytes.len());
    output.extend_from_slice(&bytes);
}

/// Feeds bytes in pieces of as many bytes as `cut` says and answers what is asked; returns all that can be observed.
pub(super) fn observe(mut input: &[u8], mut cut: impl FnMut() -> usize) -> (Vec<Event>, Vec<u8>, State) {
    let now = MonoTime(0);
    let mut session = Session::server(limits(), now);
    session.set_date(Date(0));
    let (mut events, mut output) = (Vec::new(), Vec::new());
    while !input.is_empty() && session.wants_input() {
        let len = cut().clamp(1, input.len());
        let taken = feed(&mut session, now, &input[..len]).expect("errors come from time and end");
        assert!(taken > 0, "it wanted input");
        input = &input[taken..];
        while let Some(event) = session.poll_event() {
            if let Event::Request { id, request } = &event {
                answer(&mut session, now, *id, request);
            }
            events.push(event);
        }
        write(&mut session, &mut output);
    }
    (events, output, session.state())
}

/// The first response is one.
fn check_output(output: &[u8]) {
    if output.is_empty() {
        return;
    }
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    assert!(response.parse(output).is_ok_and(|status| status.is_complete()), "{output:?}");
}

/// Any outcome is right, as long as there is one.
fn any<T>(_: T) {}

/// A random sequence of every A and B call.
fn operate(data: &[u8]) {
    let mut now = MonoTime(0);
    let mut session = Session::server(limits(), now);
    let mut waiting = Vec::new();
    let mut rest = data;
    while let [op, argument, tail @ ..] = rest {
        rest = tail;
        let bytes = Payload::from(vec![*argument; usize::from(*argument)]);
        match op % 16 {
            0..=4 => {
                let len = usize::from(*argument).min(rest.len());
                any(feed(&mut session, now, &rest[..len]));
                rest = &rest[len..];
            }
            5 => any(session.handle_eof(now)),
            6 => {
                now = MonoTime(now.0 + u64::from(*argument) * 500);
                any(session.handle_timeout(now));
            }
            7 => any(session.send(&bytes)),
            8 => {
                let piece = Piece::new(Framing::WebSocket, |out| out.extend_from_slice(&bytes));
                any(session.send_piece(&piece));
            }
            9 => any(session.send_text("text")),
            10 => any(session.end(now)),
            11 if *argument > 200 => {
                let why = [CloseReason::Shutdown, CloseReason::TooSlow][usize::from(argument & 1)];
                session.close(now, why);
            }
            12 => session.advance_output(session.output_len().min(usize::from(*argument) * 16)),
            13 => {
                if let Some((id, _)) = waiting.last() {
                    any(session.respond(now, *id, &Response::new(Status::OK).body(Body::Sized(300))));
                }
            }
            14 => {
                if let Some((id, _)) = waiting.last() {
                    any(session.upgrade(now, *id, None));
                }
            }
            _ => {
                while let Some(event) = session.poll_event() {
                    if let Event::Request { id, request } = event {
                        waiting.push((id, request));
                    }
                }
                if let (15, Some((id, request))) = (op % 16, waiting.last()) {
                    if matches!(&session.phase, Phase::Deciding(asked) if asked.id == *id) {
                        answer(&mut session, now, *id, request);
                    }
                }
            }
        }
        check(&session);
    }
}

/// Any bytes: as input whole and in small pieces, or as a sequence of calls, as the first byte picks.
///
/// # Panics
/// If a claim of the module does not hold.
pub fn fuzz(data: &[u8]) {
    let [first, data @ ..] = data else { return };
    if first & 1 != 0 {
        return operate(data);
    }
    let cut = usize::from(first >> 1) + 1;
    let whole = observe(data, || usize::MAX);
    check_output(&whole.1);
    assert_eq!(whole, observe(data, || cut), "cuts of {cut} bytes");
}
