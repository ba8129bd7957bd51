//! Conversations, in any cutting: each as a whole, byte by byte and cut at random.

use super::*;
use crate::{
    base::{CloseReason, MonoTime, Payload, SendError, State},
    rtsp::*,
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::time::Duration;

mod client;
mod cuts;
mod dialogues;
mod hostile;
mod life;

const NOW: MonoTime = MonoTime(0);

/// A server's session, and what it has written.
struct Peer {
    session: Session,
    written: Vec<u8>,
}

impl Peer {
    fn new(config: ServerConfig) -> Peer {
        Peer { session: Session::server(Arc::new(config), 1, NOW), written: Vec::new() }
    }

    /// Offers bytes until all are taken or the session wants no more; returns what is left.
    fn offer<'a>(&mut self, now: MonoTime, mut input: &'a [u8], mut cut: impl FnMut() -> usize) -> &'a [u8] {
        while !input.is_empty() && self.session.wants_input() {
            let len = cut().clamp(1, input.len());
            let taken = self.session.handle_input(now, &input[..len]).expect("no error");
            assert!(taken > 0);
            input = &input[taken..];
        }
        input
    }

    /// Sends all of it.
    fn say(&mut self, text: &str) {
        let bytes = text.replace('\n', "\r\n");
        assert!(self.offer(NOW, bytes.as_bytes(), || usize::MAX).is_empty(), "not taken: {text}");
    }

    /// What was written since the last call.
    fn heard(&mut self) -> String {
        let bytes = self.session.link.output.to_vec();
        self.session.advance_output(bytes.len());
        self.written.extend_from_slice(&bytes);
        String::from_utf8_lossy(&core::mem::take(&mut self.written)).replace("\r\n", "\n")
    }

    fn event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    /// Sends a request, answers it, and returns what was heard.
    fn ask(&mut self, request: &str, answer: &Answer) -> String {
        self.say(request);
        let event = self.event();
        let id = event.as_ref().and_then(Event::request);
        let Some(id) = id else { panic!("{event:?} for {request}") };
        self.session.respond(NOW, id, answer).expect("it waits");
        self.heard()
    }

    /// Sets a track up; the id of the session.
    fn set_up(&mut self, transport: &str) -> String {
        let answer = Answer::SetUp { transport: TransportSpec::parse(transport).expect("a transport") };
        self.ask(&format!("SETUP rtsp://h/a/trackID=0 RTSP/1.0\nTransport: {transport}\n\n"), &answer);
        self.session.session_id().map(String::from).expect("a session")
    }

    fn play(&mut self, id: &str) -> String {
        let answer = Answer::Playing { range: None, scale: None, speed: None, rtp_info: Vec::new() };
        self.ask(&format!("PLAY rtsp://h/a RTSP/1.0\nSession: {id}\n\n"), &answer)
    }
}

#[test]
fn the_seeds_of_the_fuzz_targets_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/fuzz/seeds/");
    let mut count = 0;
    for (name, target) in [("rtsp_session", fuzz_session as fn(&[u8])), ("rtsp_client", fuzz_client)] {
        for entry in std::fs::read_dir(format!("{folder}{name}")).expect("a folder") {
            target(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
            count += 1;
        }
    }
    assert!(count >= 7);
}
