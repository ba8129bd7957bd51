//! The bodies of the fuzz targets `rtsp_session` and `rtsp_client`, which unit tests run as well.
//!
//! Invariants: no panic; the same bytes cut differently give the same events and output; paths hold nothing that could
//! climb; queues pass their limits by at most one answer; every answer begins as one and every line of a head ends;
//! a closed session asks for nothing, and one that closes has a deadline; what is written can be read by the other side.

use super::*;
use crate::{
    base::{CloseReason, MonoTime, Payload, State},
    rtsp::{
        Credentials, Error, Limits, Range, Status, TransportSpec,
        message::{Incoming, Reader},
    },
};
use alloc::{format, string::String, sync::Arc, vec, vec::Vec};
use core::time::Duration;

/// Small ceilings, so that short inputs reach them.
fn limits() -> Limits {
    Limits {
        max_head_len: 512,
        max_headers: 12,
        max_url_len: 64,
        max_body_len: 64,
        max_queued_events: 4,
        max_queued_output: 4096,
        max_queued_replies: 1024,
        ..Limits::default()
    }
}

/// What one message can make a session queue at most.
const LONGEST_REPLY: usize = 4096;

fn server(has_users: bool) -> Session {
    let user = || Credentials { name: "u".into(), password: "p".into() };
    let users = if has_users { vec![user()] } else { Vec::new() };
    let config = ServerConfig { limits: limits(), users, ..ServerConfig::default() };
    Session::server(Arc::new(config), 1, MonoTime(0))
}

fn feed(session: &mut Session, now: MonoTime, input: &[u8]) -> Result<usize, Error> {
    let before = session.link.output.reply_len();
    let result = session.handle_input(now, input);
    assert!(session.link.output.reply_len() <= before.max(limits().max_queued_replies) + LONGEST_REPLY);
    assert!(result.is_err() || result.is_ok_and(|taken| taken <= input.len()));
    check(session);
    result
}

fn check(session: &Session) {
    assert!(session.events.len() <= limits().max_queued_events);
    if session.state() == State::Closed {
        assert_eq!(session.poll_timeout(), None);
    }
    let has_deadline = session.poll_timeout().is_some();
    let waits = session.asked.is_some() && session.live.is_none();
    let is_free = session.live.as_ref().is_some_and(|live| live.is_interleaved && live.has_played);
    assert!(session.state() == State::Closed || has_deadline || waits || is_free);
}

/// Answers a request by what it asks.
fn answer(session: &mut Session, now: MonoTime, event: &Event) {
    let Some(request) = event.request() else { return };
    let (url, answer) = match event {
        Event::Describe { url, .. } => {
            let content_base = format!("rtsp://h{}/", url.path());
            (url, Answer::Described { sdp: "v=0\r\n".into(), content_base })
        }
        Event::Announce { url, .. } => (url, Answer::Announced),
        Event::Setup { url, transports, .. } => {
            let written = format!("{}", transports[0]);
            assert_eq!(TransportSpec::parse(&written).as_ref(), transports.first(), "{written}");
            (url, Answer::SetUp { transport: transports[0].clone() })
        }
        Event::Play { url, range, scale, speed, .. } => {
            if let Some(range) = range {
                let written = format!("{range}");
                let read = Range::parse(&written);
                // Fractions are cut off, which may put both ends in order, never out of it.
                assert_eq!(read.map(|range| format!("{range}")).as_ref(), Some(&written));
            }
            (url, Answer::Playing { range: *range, scale: *scale, speed: *speed, rtp_info: Vec::new() })
        }
        Event::Pause { url, .. } => (url, Answer::Paused { range: None }),
        Event::Record { url, .. } => (url, Answer::Recording),
        Event::Teardown { url, .. } => (url, Answer::TornDown { session_over: url.query().is_empty() }),
        Event::GetParameter { url, names, .. } => {
            (url, Answer::Parameters(vec![(names[0].clone(), String::from("1"))]))
        }
        Event::SetParameter { url, .. } => (url, Answer::Failed(Status::PARAMETER_NOT_UNDERSTOOD)),
        Event::Frame { .. } | Event::Refused(_) => return,
    };
    let path = url.path();
    assert!(path.is_empty() || path.starts_with('/') || path == "*", "{path:?}");
    assert!(
        !path.ends_with('/') && !path.contains(|char: char| char.is_control() || char == '\\'),
        "{path:?}"
    );
    assert!(path.split('/').all(|segment| segment != ".." && segment != "."), "{path:?}");
    let (stream, _) = url.split_track();
    assert!(path.starts_with(stream));
    assert!(!url.last_segment().contains('/') && path.starts_with(url.parent()));
    session.respond(now, request, &answer).expect("it waits");
}

/// Feeds bytes in pieces of as many bytes as `cut` says and answers what is asked; returns all that can be observed.
pub(super) fn observe(
    mut input: &[u8],
    has_users: bool,
    mut cut: impl FnMut() -> usize,
) -> (Vec<Event>, String, State) {
    let now = MonoTime(0);
    let mut session = server(has_users);
    let (mut events, mut output) = (Vec::new(), Vec::new());
    while !input.is_empty() && session.wants_input() {
        let len = cut().clamp(1, input.len());
        let taken = feed(&mut session, now, &input[..len]).expect("errors come from time and end");
        assert!(taken > 0, "it wanted input");
        input = &input[taken..];
        while let Some(event) = session.poll_event() {
            answer(&mut session, now, &event);
            events.push(event);
        }
        let bytes = session.link.output.to_vec();
        session.advance_output(bytes.len());
        output.extend_from_slice(&bytes);
    }
    (events, String::from_utf8_lossy(&output).into(), session.state())
}

/// All of it can be read as messages.
fn check_output(output: &str) {
    let mut reader = Reader::default();
    let mut rest = output.as_bytes();
    while !rest.is_empty() {
        let limits = Limits::default();
        let Ok((taken, incoming)) = reader.receive(rest, &limits) else { panic!("{output:?}") };
        assert!(!matches!(incoming, Some(Incoming::Frame { .. })), "{output:?}");
        rest = &rest[taken..];
    }
    assert!(reader.is_empty(), "{output:?}");
}

/// Any outcome is right, as long as there is one.
fn any<T>(_: T) {}

/// A random sequence of every A and B call.
fn operate(data: &[u8]) {
    let mut now = MonoTime(0);
    let mut session = server(false);
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
            6 | 7 => {
                now = MonoTime(now.0 + u64::from(*argument) * 500);
                any(session.handle_timeout(now));
            }
            8 => any(session.send_piece(&bytes)),
            9 => any(session.send_frame(*argument, &bytes)),
            10 => session.touch(now),
            11 if *argument > 200 => {
                let why = [CloseReason::Shutdown, CloseReason::TooSlow][usize::from(argument & 1)];
                session.close(now, why);
            }
            12 => session.advance_output(session.output_len().min(usize::from(*argument) * 16)),
            13 => any(session.redirect(now, "rtsp://elsewhere/")),
            14 => {
                if let Some(request) = waiting.last().and_then(Event::request) {
                    any(session.respond(now, request, &Answer::Paused { range: None }));
                }
            }
            _ => {
                while let Some(event) = session.poll_event() {
                    if event.request().is_some() {
                        waiting.push(event);
                    }
                }
                if let Some(event) = waiting.last() {
                    if session.asked.as_ref().map(|asked| asked.id) == event.request() {
                        answer(&mut session, now, event);
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
pub fn fuzz_session(data: &[u8]) {
    let [first, data @ ..] = data else { return };
    if first & 1 != 0 {
        return operate(data);
    }
    let (cut, has_users) = (usize::from(first >> 2) + 1, first & 2 != 0);
    let whole = observe(data, has_users, || usize::MAX);
    check_output(&whole.1);
    assert_eq!(whole, observe(data, has_users, || cut), "cuts of {cut} bytes");
}

/// A client that goes on as soon as it can, and all that can be observed of it.
fn observe_client(
    mut input: &[u8],
    is_recording: bool,
    cut: usize,
) -> (Vec<ClientEvent>, String, State, Option<Error>) {
    let now = MonoTime(0);
    let role = if is_recording { Role::Record { sdp: "v=0\r\n".into() } } else { Role::Play };
    let config = ClientConfig {
        limits: limits(),
        url: "rtsp://u:p@cam/live?t".into(),
        credentials: None,
        role,
        user_agent: "t".into(),
    };
    let mut client = Client::new(config, 1, now);
    let (mut events, mut output, mut failed) = (Vec::new(), Vec::new(), None);
    let mut take = |client: &mut Client| {
        while let Some(event) = client.poll_event() {
            match &event {
                ClientEvent::Described { .. } | ClientEvent::Announced => {
                    client.set_aggregate("*");
                    any(client
                        .set_up(now, &[("a", TransportSpec::tcp(0, 1)), ("b", TransportSpec::udp(2, 3))]));
                }
                ClientEvent::SetUp { index: 1, .. } => any(client.play(now, Some(Range::now()), Some(2.0))),
                ClientEvent::SetUpRefused { index: 1, .. } => any(client.record(now)),
                ClientEvent::Started { .. } => {
                    any(client.send_frame(1, &[1, 2, 3]));
                    any(client.pause(now));
                }
                ClientEvent::Paused => any(client.teardown(now)),
                _ => {}
            }
            events.push(event);
        }
        let mut slices = [&[][..]; 64];
        let count = client.output(&mut slices);
        let bytes = slices[..count].concat();
        client.advance_output(bytes.len());
        output.extend_from_slice(&bytes);
    };
    take(&mut client);
    while !input.is_empty() && client.wants_input() && failed.is_none() {
        let len = cut.min(input.len());
        match client.handle_input(now, &input[..len]) {
            Ok(taken) => {
                assert!(taken > 0 && taken <= len, "it wanted input");
                input = &input[taken..];
            }
            Err(error) => failed = Some(error),
        }
        take(&mut client);
        assert!(client.poll_timeout().is_some() || client.state() == State::Closed || client.sent.is_none());
    }
    (events, String::from_utf8_lossy(&output).into(), client.state(), failed)
}

/// Any bytes as those of a server, whole and in small pieces; then time.
///
/// # Panics
/// If a claim of the module does not hold.
pub fn fuzz_client(data: &[u8]) {
    let [first, data @ ..] = data else { return };
    let (cut, is_recording) = (usize::from(first >> 1) + 1, first & 1 != 0);
    let whole = observe_client(data, is_recording, usize::MAX);
    let mut pieces = observe_client(data, is_recording, cut);
    // Where an error is noticed within a call may differ by the bytes before it that were taken in calls of their own.
    if let (Some(whole), Some(pieces)) = (&whole.3, &mut pieces.3) {
        assert_eq!(whole.kind, pieces.kind);
        *pieces = *whole;
    }
    assert_eq!(whole, pieces, "cuts of {cut} bytes");
    let config = ClientConfig {
        limits: limits(),
        url: String::from_utf8_lossy(data).into_owned(),
        credentials: None,
        role: Role::Play,
        user_agent: String::new(),
    };
    let mut client = Client::new(config, 1, MonoTime(0));
    any(client.handle_input(MonoTime(1), data));
    for second in 0..100 {
        let now = MonoTime(0) + Duration::from_secs(second);
        any(client.handle_timeout(now));
        if client.state() == State::Closed {
            assert_eq!(client.poll_timeout(), None);
        }
    }
}
