//! RTSP through HTTP, as QuickTime began it: a client opens two connections. A GET is answered and left open, and carries answers
//! and media; the bodies of POSTs, which are not answered, carry requests in base64. Both name the same cookie.
//!
//! In: such requests. Out: the connection of the GET becomes one of RTSP, and what the others bring waits for it in a [`Pipe`],
//! whichever threads own them: all are knocked at through their mailboxes. A client may close a POST and open the next.
//! Not here: which requests these are ([`Request::tunnel`](crate::http::Request::tunnel)).
//! Bounds: a tunnel for each connection at most; [`PIPE`] bytes in it, behind which POSTs are not read; [`MAX_UPLOADS`].

use crate::{
    base::{State, base64::Decoder},
    http::{Method, Request, RequestId, Response, Status},
    rtsp::Session,
    server::{
        connection::{Connection, Context},
        port::Mailbox,
        protocol::Protocol,
    },
};
use alloc::{string::String, sync::Arc, vec::Vec};
use core::mem;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Bytes of requests that wait in a tunnel; three more at most.
const PIPE: usize = 64 << 10;
/// POSTs of one tunnel that are open: the one before may linger.
const MAX_UPLOADS: usize = 4;

/// Those that are open, by their cookies.
#[derive(Default)]
pub(super) struct Tunnels(Mutex<HashMap<String, Arc<Pipe>>>);

/// From POSTs to a GET.
#[derive(Default)]
struct Pipe(Mutex<Flow>);

#[derive(Default)]
struct Flow {
    bytes: Vec<u8>,
    /// Of the GET; none when it has ended.
    down: Option<Arc<Mailbox>>,
    /// Of the POSTs.
    uploads: Vec<Arc<Mailbox>>,
}

/// The end of a tunnel that takes requests out. The tunnel ends with it.
pub(in crate::server) struct Download {
    tunnels: Arc<Tunnels>,
    cookie: String,
    pipe: Arc<Pipe>,
}

/// An end of a tunnel that puts requests in.
pub(in crate::server) struct Upload {
    pipe: Arc<Pipe>,
    mailbox: Arc<Mailbox>,
    decoder: Decoder,
    pub(in crate::server) bytes_in: u64,
    /// It has had its end, or was wrong.
    pub(in crate::server) is_closed: bool,
}

impl Connection {
    /// A request for a tunnel with that cookie: the connection is its end from now on.
    pub(in crate::server) fn tunnel(
        &mut self,
        cx: &Context<'_>,
        id: RequestId,
        request: &Request,
        cookie: &str,
    ) {
        let rtsp = &cx.shared.rtsp;
        let next = match request.method() {
            Method::Get => Download::open(&rtsp.tunnels, cookie, &self.mailbox).map(|download| {
                let mut session = Session::server(rtsp.session.clone(), cx.shared.seed(), cx.now);
                session.begin_tunnel();
                self.download = Some(download);
                Protocol::Rtsp(session)
            }),
            _ => Upload::open(&rtsp.tunnels, cookie, &self.mailbox).map(Protocol::Upload),
        };
        let Some(next) = next else {
            let why = "a tunnel has one GET, and POSTs behind it";
            return self.respond(cx, id, &Response::error(Status::NOT_FOUND, why).close());
        };
        let before = mem::replace(&mut self.protocol, next).bytes();
        self.other_bytes = (self.other_bytes.0 + before.0, self.other_bytes.1 + before.1);
    }
}

impl Tunnels {
    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Pipe>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Download {
    fn open(tunnels: &Arc<Tunnels>, cookie: &str, mailbox: &Arc<Mailbox>) -> Option<Download> {
        let mut table = tunnels.table();
        if table.contains_key(cookie) {
            return None;
        }
        let pipe = Arc::<Pipe>::default();
        pipe.flow().down = Some(mailbox.clone());
        table.insert(cookie.into(), pipe.clone());
        Some(Download { tunnels: tunnels.clone(), cookie: cookie.into(), pipe })
    }

    /// Something waits.
    pub(in crate::server) fn may_read(&self) -> bool {
        !self.pipe.flow().bytes.is_empty()
    }

    /// All that waits.
    pub(in crate::server) fn take(&self) -> Vec<u8> {
        let mut flow = self.pipe.flow();
        let bytes = mem::take(&mut flow.bytes);
        if bytes.len() >= PIPE {
            flow.uploads.iter().for_each(|upload| upload.knock());
        }
        bytes
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.tunnels.table().remove(&self.cookie);
        let mut flow = self.pipe.flow();
        flow.down = None;
        flow.uploads.drain(..).for_each(|upload| upload.knock());
    }
}

impl Upload {
    fn open(tunnels: &Tunnels, cookie: &str, mailbox: &Arc<Mailbox>) -> Option<Upload> {
        let pipe = tunnels.table().get(cookie)?.clone();
        let mut flow = pipe.flow();
        if flow.down.is_none() || flow.uploads.len() == MAX_UPLOADS {
            return None;
        }
        flow.uploads.push(mailbox.clone());
        drop(flow);
        let decoder = Decoder::default();
        Some(Upload { pipe, mailbox: mailbox.clone(), decoder, bytes_in: 0, is_closed: false })
    }

    /// Takes what there is room for; `None` if it is no base64.
    pub(in crate::server) fn handle_input(&mut self, input: &[u8]) -> Option<usize> {
        let mut flow = self.pipe.flow();
        let was_empty = flow.bytes.is_empty();
        let taken = input.len().min(PIPE.saturating_sub(flow.bytes.len()));
        self.bytes_in += taken as u64;
        self.is_closed = self.decoder.decode(&input[..taken], &mut flow.bytes).is_none();
        if was_empty && !flow.bytes.is_empty() {
            flow.down.iter().for_each(|down| down.knock());
        }
        (!self.is_closed).then_some(taken)
    }

    pub(in crate::server) fn wants_input(&self) -> bool {
        let flow = self.pipe.flow();
        flow.bytes.len() < PIPE || flow.down.is_none()
    }

    pub(in crate::server) fn state(&self) -> State {
        if self.is_closed || self.pipe.flow().down.is_none() { State::Closed } else { State::Open }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.pipe.flow().uploads.retain(|upload| upload.id != self.mailbox.id);
    }
}
