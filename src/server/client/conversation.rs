//! The flow of commands that publishers and players share, and waiting for its answers.
//!
//! One [`Link`] with a `mio::Poll` of its own. Every wait has a deadline; an error says during which [`Step`] it
//! came. Events that nobody waits for are dropped: answers that are optional, notices.

use super::{
    ClientError, ClientOptions, Interrupt, Link, LinkError, Role, RtmpUrl, Seen, Step,
    dial::{SOCKET, WAKE, dial},
    session_config,
};
use crate::{
    amf::Value,
    rtmp::{
        ApiMisuse, Event, MessageStreamId,
        session::{State, Status, StreamNotice, TransactionId},
    },
};
use alloc::{boxed::Box, vec};
use core::{net::SocketAddr, time::Duration};
use mio::{Events, Poll};
use std::{io, time::Instant};

/// A link with a poll of its own, and where it is in the flow of commands.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) link: Link,
    poll: Poll,
    ready: Events,
    buffer: Box<[u8]>,
    peer: SocketAddr,
    during: Step,
    pub(super) timeout: Duration,
    interrupt: Interrupt,
    /// The server has said StreamIsRecorded.
    pub(super) is_recorded: bool,
}

impl Conversation {
    /// TCP, handshake, connect.
    pub(super) fn open(
        url: &RtmpUrl,
        options: &ClientOptions,
        role: Role,
    ) -> Result<Conversation, ClientError> {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], url.port));
        let io = |peer, error| ClientError::Io { peer, during: Step::Dial, error };
        let mut poll = Poll::new().map_err(|error| io(nowhere, error))?;
        options.interrupt.attach(&poll, WAKE).map_err(|error| io(nowhere, error))?;
        let mut ready = Events::with_capacity(4);
        let (socket, peer) = dial(&url.host, url.port, options, &mut poll, &mut ready)?;
        let config = session_config(url, options, role);
        let mut link = Link::new(socket, config, poll.registry(), SOCKET).map_err(|error| io(peer, error))?;
        if let Some(observer) = &options.observer {
            observer.see(Seen::Opened { peer });
            link.observe(observer.clone());
        }
        let mut conversation = Conversation {
            link,
            poll,
            ready,
            buffer: vec![0; READ_BUFFER].into_boxed_slice(),
            peer,
            during: Step::Connect,
            timeout: options.timeout,
            interrupt: options.interrupt.clone(),
            is_recorded: false,
        };
        conversation.wait_for(|conversation, event| match event {
            Event::Connected(_) => Ok(Some(())),
            Event::ConnectRejected(status) => Err(conversation.refused(*status)),
            _ => Ok(None),
        })?;
        Ok(conversation)
    }

    pub(super) fn create_stream(&mut self) -> Result<MessageStreamId, ClientError> {
        self.begin(Step::CreateStream);
        let sent = self.link.session().create_stream();
        let asked = self.sent(sent)?;
        self.wait_for(|conversation, event| match event {
            Event::StreamCreated { transaction, stream } if transaction == asked => Ok(Some(stream)),
            Event::Reply { transaction, is_ok: false, values } if transaction == asked => {
                Err(conversation.refused(reply_status(values)))
            }
            _ => Ok(None),
        })
    }

    /// A command of the connection with a name, whose answer nobody waits for.
    pub(super) fn call(&mut self, command: &str, key: &str) -> Result<(), ClientError> {
        let sent =
            self.link.session().call(MessageStreamId::CONNECTION, command, &[Value::String(key.into())]);
        self.sent(sent).map(drop)
    }

    /// Waits for a status that is one of `codes`. An error status or an `_error` to `asked` ends it.
    pub(super) fn wait_for_start(&mut self, asked: TransactionId, codes: &[&str]) -> Result<(), ClientError> {
        self.wait_for(|conversation, event| match event {
            Event::Status { status, .. } if codes.contains(&&*status.code) => Ok(Some(())),
            Event::Status { status, .. } => conversation.fail_on_error(*status).map(|()| None),
            Event::Reply { transaction, is_ok: false, values } if transaction == asked => {
                Err(conversation.refused(reply_status(values)))
            }
            _ => Ok(None),
        })?;
        self.begin(Step::Media);
        Ok(())
    }

    pub(super) fn fail_on_error(&self, status: Status) -> Result<(), ClientError> {
        if status.level == "error" { Err(self.refused(status)) } else { Ok(()) }
    }

    /// deleteStream, close, and the peer's end, which tells that it has read everything.
    pub(super) fn end(&mut self, stream: MessageStreamId) -> Result<(), ClientError> {
        let sent = self.link.session().delete_stream(stream);
        self.sent(sent)?;
        let deadline = Instant::now() + self.timeout;
        self.drain(0, deadline)?;
        self.link.close();
        while self.link.state() != State::Closed {
            match self.next_event(deadline) {
                Ok(_) if Instant::now() < deadline => {}
                // Everything was written; how the peer goes is its own affair.
                Ok(_) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// Takes events until `pick` finds what it looks for.
    fn wait_for<T>(
        &mut self,
        mut pick: impl FnMut(&Conversation, Event) -> Result<Option<T>, ClientError>,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + self.timeout;
        while let Some(event) = self.next_event(deadline)? {
            if let Some(found) = pick(self, event)? {
                return Ok(found);
            }
            // Who says a lot else has not answered either.
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(ClientError::TimedOut { peer: self.peer, during: self.during })
    }

    /// Writes until at most `left` bytes wait, and looks at what the server says meanwhile: it may say no.
    pub(super) fn drain(&mut self, left: usize, deadline: Instant) -> Result<(), ClientError> {
        loop {
            let mut heard = 0;
            while let Some(event) =
                self.link.next_event(&mut self.buffer).map_err(|error| self.broken(error))?
            {
                if let Event::Status { status, .. } = event {
                    self.fail_on_error(*status)?;
                }
                heard += 1;
                if heard == EVENTS {
                    break;
                }
            }
            if self.link.session().output_len() <= left {
                return Ok(());
            }
            self.fail_on_interrupt()?;
            if Instant::now() >= deadline {
                return Err(ClientError::TimedOut { peer: self.peer, during: self.during });
            }
            // Nobody tells again of what is there already.
            if heard < EVENTS {
                self.wait(deadline)?;
            }
        }
    }

    /// Takes what the server says until `deadline`, and not much that comes later; fails if it says no.
    pub(super) fn listen(&mut self, deadline: Instant) -> Result<(), ClientError> {
        let mut late = 0;
        while let Some(event) = self.next_event(deadline)? {
            if let Event::Status { status, .. } = event {
                self.fail_on_error(*status)?;
            }
            late += usize::from(Instant::now() >= deadline);
            if late >= EVENTS {
                break;
            }
        }
        Ok(())
    }

    /// The next event; `None` at the deadline, or when the session has closed.
    pub(super) fn next_event(&mut self, deadline: Instant) -> Result<Option<Event>, ClientError> {
        loop {
            // Also where events never end.
            self.fail_on_interrupt()?;
            if let Some(event) = self.link.next_event(&mut self.buffer).map_err(|error| self.broken(error))? {
                self.is_recorded |=
                    matches!(event, Event::StreamNotice { notice: StreamNotice::IsRecorded, .. });
                return Ok(Some(event));
            }
            if Instant::now() >= deadline || self.link.state() == State::Closed {
                return Ok(None);
            }
            self.wait(deadline)?;
        }
    }

    /// To end properly, one still waits.
    fn fail_on_interrupt(&self) -> Result<(), ClientError> {
        if self.during != Step::Finish && self.interrupt.is_raised() {
            return Err(ClientError::Interrupted { during: self.during });
        }
        Ok(())
    }

    /// Sleeps until the socket is ready, the session wants the time, or the deadline.
    fn wait(&mut self, deadline: Instant) -> Result<(), ClientError> {
        let until = self.link.deadline().map_or(deadline, |due| due.min(deadline));
        // mio rounds down to milliseconds, and a wait of 0 would spin.
        let timeout = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match self.poll.poll(&mut self.ready, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(self.broken(LinkError::Io(error)))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn begin(&mut self, step: Step) {
        self.during = step;
    }

    /// A refused call means that the session has ended, for the calls here fit every state before that.
    pub(super) fn sent<T>(&self, result: Result<T, ApiMisuse>) -> Result<T, ClientError> {
        result.map_err(|_| self.closed())
    }

    pub(super) fn closed(&self) -> ClientError {
        ClientError::Closed { peer: self.peer, during: self.during }
    }

    fn refused(&self, status: Status) -> ClientError {
        ClientError::refused(self.peer, self.during, status)
    }

    fn broken(&self, error: LinkError) -> ClientError {
        let (peer, during) = (self.peer, self.during);
        match error {
            LinkError::Io(error) => ClientError::Io { peer, during, error },
            LinkError::Session(error) => ClientError::Session { peer, during, error },
            LinkError::Closed => ClientError::Closed { peer, during },
        }
    }
}

/// The information object of an `_error` reply: the first object among its values.
fn reply_status(values: impl IntoIterator<Item = Value>) -> Status {
    let object = values.into_iter().find_map(|value| match value {
        Value::Object(object) | Value::EcmaArray(object) => Some(object),
        _ => None,
    });
    let mut status = Status::default();
    for (key, value) in object.into_iter().flat_map(|object| object.0) {
        if let Value::String(text) = value {
            match &*key {
                "level" => status.level = text,
                "code" => status.code = text,
                "description" => status.description = text,
                _ => {}
            }
        }
    }
    status
}

/// Events that are taken before anything else gets its turn: a server may send more of them than end.
const EVENTS: usize = 256;

/// Bytes read at once.
const READ_BUFFER: usize = 64 << 10;
