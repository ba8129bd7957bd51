//! A client and a server session joined in memory: one simulated clock, a link that splits bytes at seeded places,
//! and a bound on steps, so that a livelock fails instead of hanging.

use weir::{
    base::{MonoTime, Payload, Timestamp},
    flv::{Tag, TagKind},
    rtmp::{
        Error, Event, MessageStreamId, Session,
        session::{ClientConfig, ServerConfig, State},
    },
};

/// How the link cuts what it carries.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "each test program uses its own part of the support code")]
pub(crate) enum Split {
    /// As written.
    Whole,
    /// One byte at a time.
    Bytes,
    /// At places drawn from this seed.
    Seeded(u64),
}

pub(crate) struct Pair {
    pub(crate) client: Session,
    pub(crate) server: Session,
    pub(crate) now: MonoTime,
    /// Everything each side has said, in order, not yet taken by the test.
    pub(crate) client_events: Vec<Event>,
    pub(crate) server_events: Vec<Event>,
    /// Decisions are accepted as they come, as a server without policy would.
    pub(crate) accept_all: bool,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    split: Split,
}

#[allow(dead_code, reason = "each test program uses its own part of the support code")]
impl Pair {
    pub(crate) fn new(client: ClientConfig, server: ServerConfig, split: Split) -> Pair {
        let now = MonoTime(0);
        Pair {
            client: Session::client(client, 1, now),
            server: Session::server(server, 2, now),
            now,
            client_events: Vec::new(),
            server_events: Vec::new(),
            accept_all: true,
            to_server: Vec::new(),
            to_client: Vec::new(),
            split,
        }
    }

    /// Moves bytes both ways until nothing moves any more.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        for _ in 0..10_000_000 {
            let mut moved = take_output(&mut self.client, &mut self.to_server, usize::MAX);
            moved |= take_output(&mut self.server, &mut self.to_client, usize::MAX);
            moved |= offer(&mut self.server, self.now, &mut self.to_server, &mut self.split)?;
            moved |= self.take_server_events();
            moved |= offer(&mut self.client, self.now, &mut self.to_client, &mut self.split)?;
            while let Some(event) = self.client.poll_event() {
                self.client_events.push(event);
                moved = true;
            }
            if !moved {
                return Ok(());
            }
        }
        panic!("the two sessions never come to rest");
    }

    fn take_server_events(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.server.poll_event() {
            if let (true, Some(request)) = (self.accept_all, event.request()) {
                self.server.accept(request).expect("the request waits");
            }
            self.server_events.push(event);
            moved = true;
        }
        moved
    }

    /// Lets time pass in steps of whatever deadline comes next.
    pub(crate) fn wait(&mut self, ms: u64) -> Result<(), Error> {
        let end = MonoTime(self.now.0 + ms);
        loop {
            let next = [self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.client.handle_timeout(self.now)?;
            self.server.handle_timeout(self.now)?;
            self.run()?;
        }
        self.now = end;
        Ok(())
    }

    /// Connects; panics if the server says no.
    pub(crate) fn connect(&mut self) {
        self.run().expect("connect");
        assert!(
            self.client_events.iter().any(|event| matches!(event, Event::Connected(_))),
            "not connected: {:?}",
            self.client_events
        );
        assert_eq!(self.client.state(), State::Open);
        self.client_events.clear();
        self.server_events.clear();
    }

    /// A fresh message stream of the client.
    pub(crate) fn create_stream(&mut self) -> MessageStreamId {
        let asked = self.client.create_stream().expect("connected");
        self.run().expect("createStream");
        let created = self.client_events.drain(..).find_map(|event| match event {
            Event::StreamCreated { transaction, stream } if transaction == asked => Some(stream),
            _ => None,
        });
        created.expect("a stream")
    }
}

/// Moves up to `limit` bytes of output; true if there were any.
pub(crate) fn take_output(session: &mut Session, wire: &mut Vec<u8>, limit: usize) -> bool {
    let mut moved = 0;
    while moved < limit {
        let mut slices = [&[][..]; 16];
        let count = session.output(&mut slices);
        let mut taken = 0;
        for slice in &slices[..count] {
            let part = slice.len().min(limit - moved - taken);
            wire.extend_from_slice(&slice[..part]);
            taken += part;
        }
        if taken == 0 {
            break;
        }
        session.advance_output(taken);
        moved += taken;
    }
    moved > 0
}

/// Offers what is on the wire once, cut as the split says; true if some was taken.
fn offer(session: &mut Session, now: MonoTime, wire: &mut Vec<u8>, split: &mut Split) -> Result<bool, Error> {
    if wire.is_empty() {
        return Ok(false);
    }
    let len = match split {
        Split::Whole => wire.len(),
        Split::Bytes => 1,
        Split::Seeded(seed) => {
            // xorshift64: any sequence will do, as long as it is the same each time.
            *seed ^= *seed << 13;
            *seed ^= *seed >> 7;
            *seed ^= *seed << 17;
            1 + (*seed % 5000) as usize
        }
    };
    let taken = session.handle_input(now, &wire[..len.min(wire.len())])?;
    wire.drain(..taken);
    Ok(taken > 0)
}

/// A tag whose body says which one it is.
#[allow(dead_code, reason = "each test program uses its own part of the support code")]
pub(crate) fn tag(kind: TagKind, timestamp: u32, len: usize) -> Tag {
    let head: &[u8] = match kind {
        TagKind::Audio => &[0xaf, 1],
        TagKind::Video => &[0x27, 1, 0, 0, 0],
        TagKind::Data => b"\x02\x00\x0aonTextData\x05",
    };
    let mut body = head.to_vec();
    body.extend((head.len()..len).map(|index| (index as u32).wrapping_add(timestamp) as u8));
    Tag::new(kind, Timestamp(timestamp), Payload::from(body))
}
