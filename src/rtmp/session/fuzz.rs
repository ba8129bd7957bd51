//! Fuzz bodies of the session: any bytes, and any order of calls.
//!
//! Invariants: no panic; the same bytes cut differently give the same events and output; queues stay under their
//! limits by at most one reply or message; an error is sticky; a closed session asks for nothing.

use super::*;
use crate::{
    base::{Payload, Timestamp},
    flv::TagKind,
};
use alloc::{format, vec::Vec};

/// Small ceilings, so that short inputs reach them.
fn limits() -> Limits {
    Limits {
        max_message_len: 4096,
        max_command_len: 2048,
        max_partial_bytes: 8192,
        max_chunk_streams: 6,
        max_message_streams: 3,
        max_queued_events: 8,
        max_queued_output: 4096,
        max_queued_replies: 2048,
        max_tiny_chunks: 64,
        ..Limits::default()
    }
}

fn session(is_client: bool) -> Session {
    let now = MonoTime(0);
    match is_client {
        true => Session::client(ClientConfig { limits: limits(), ..ClientConfig::default() }, 1, now),
        false => Session::server(ServerConfig { limits: limits(), ..ServerConfig::default() }, 1, now),
    }
}

/// A session past its handshake: the bytes of the fuzzer shall reach the chunk stream.
fn open(is_client: bool) -> Session {
    let mut session = session(is_client);
    let mut blocks = alloc::vec![0; 1 + 2 * 1536];
    blocks[0] = 3;
    assert_eq!(session.handle_input(MonoTime(0), &blocks), Ok(blocks.len()));
    session
}

/// What one message can make a session answer at most: S0, S1 and S2; less for the replies to connect.
const LONGEST_REPLY: usize = 3 * 1536;

/// Feeds bytes. What the session answers by itself is bounded, whatever was queued by our own calls before.
fn feed(session: &mut Session, now: MonoTime, input: &[u8]) -> Result<usize, Error> {
    let before = session.link.output().reply_len();
    let result = session.handle_input(now, input);
    let bound = before.max(limits().max_queued_replies) + LONGEST_REPLY;
    assert!(session.link.output().reply_len() <= bound);
    assert!(result.is_err() || result.is_ok_and(|taken| taken <= input.len()));
    result
}

fn check(session: &Session) {
    assert!(session.events.len() <= limits().max_queued_events);
    if session.state() == State::Closed {
        assert_eq!(session.poll_timeout(), None);
    }
}

/// Feeds bytes in pieces of `cut` and accepts whatever is asked; returns all that can be observed.
fn observe(session: &mut Session, mut input: &[u8], cut: usize) -> (Vec<Event>, Vec<u8>, Option<Error>) {
    let (mut events, mut output) = (Vec::new(), Vec::new());
    let mut error = None;
    loop {
        match feed(session, MonoTime(0), &input[..cut.min(input.len())]) {
            Ok(taken) => input = &input[taken..],
            Err(found) => {
                assert_eq!(session.handle_input(MonoTime(0), input), Err(found), "errors are sticky");
                error = Some(found);
            }
        }
        check(session);
        while let Some(event) = session.poll_event() {
            if let Some(request) = event.request() {
                session.accept(request).expect("it waits");
            }
            events.push(event);
        }
        let mut slices = [&[][..]; 8];
        let count = session.output(&mut slices);
        let written = slices[..count].concat();
        session.advance_output(written.len());
        output.extend_from_slice(&written);
        if error.is_some() || input.is_empty() {
            return (events, output, error);
        }
    }
}

/// Any bytes behind the handshake, whole and in small pieces, to the role that the first byte picks.
pub fn fuzz_bytes(data: &[u8]) {
    let [first, data @ ..] = data else { return };
    let is_client = first & 1 != 0;
    let cut = usize::from(first >> 1) + 1;
    let whole = observe(&mut open(is_client), data, usize::MAX);
    let pieces = observe(&mut open(is_client), data, cut);
    // As text: NaN is not equal to itself.
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "cuts of {cut} bytes");
}

/// Any outcome is right, as long as there is one.
fn any<T>(_: T) {}

/// A random sequence of every A and B call.
pub fn fuzz_ops(data: &[u8]) {
    let [first, data @ ..] = data else { return };
    let is_client = first & 1 != 0;
    let mut session = if first & 2 != 0 { open(is_client) } else { session(is_client) };
    let mut now = MonoTime(0);
    let mut requests = Vec::new();
    let mut rest = data;
    while let [op, argument, tail @ ..] = rest {
        rest = tail;
        let stream = MessageStreamId(u32::from(argument & 3));
        let request = requests.last().copied();
        let tag = Tag::new(
            TagKind::Audio,
            Timestamp(u32::from(*argument) << 20),
            Payload::from(&[0xaf; 200][..usize::from(*argument).min(200)]),
        );
        match op % 26 {
            0..=5 => {
                let len = usize::from(*argument).min(rest.len());
                any(feed(&mut session, now, &rest[..len]));
                rest = &rest[len..];
            }
            6 => any(session.handle_eof(now)),
            7 => {
                now = MonoTime(now.0 + u64::from(*argument) * 500);
                any(session.handle_timeout(now));
            }
            8 => any(request.map(|request| session.accept(request))),
            9 => any(request.map(|request| session.reject(request, RejectReason::NameTaken))),
            10 => any(request.map(|request| session.reply(request, &[Value::Null]))),
            11 => any(session.notify(stream, Notice::Unpublished)),
            12 => any(session.send_tag(stream, &tag)),
            13 => {
                let tags = EncodedTags::new([tag.clone(), tag].into(), MessageStreamId(1), 65_536);
                any(session.send_encoded(stream, &tags))
            }
            14 => session.close(now, CloseReason::Shutdown),
            15 => any(session.create_stream()),
            16 => any(session.publish(stream, "cam", PublishType::Live)),
            17 => any(session.delete_stream(stream)),
            18 => any(request.map(|request| session.accept_recorded(request))),
            19 => any(request.map(|request| session.accept_later(request))),
            20 => {
                let sent = Sent { duration: u32::from(*argument), bytes: 7 };
                let notice = match argument >> 4 & 3 {
                    0 => Notice::Begins { name: "film".into(), is_recorded: argument & 4 != 0 },
                    1 => Notice::Switched(sent),
                    2 => Notice::Dry,
                    _ => Notice::Complete(sent),
                };
                any(session.notify(stream, notice))
            }
            21 => any(session.seek(stream, u32::from(*argument))),
            22 => any(session.pause(stream, argument & 4 != 0, 0)),
            23 => session.drop_media(stream),
            24 => {
                let mut slices = [&[][..]; 4];
                let count = session.output(&mut slices);
                let len = slices[..count].iter().map(|slice| slice.len()).sum::<usize>();
                session.advance_output(len.min(usize::from(*argument) * 16));
            }
            _ => {
                while let Some(event) = session.poll_event() {
                    requests.extend(event.request());
                }
            }
        }
        check(&session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuzz_bodies_hold_on_small_inputs() {
        let mut state = 1u32;
        for len in 0..400 {
            let data: Vec<u8> = (0..len)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            fuzz_bytes(&data);
            fuzz_ops(&data);
        }
    }
}
