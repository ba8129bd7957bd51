//! `/api/v1/...` and what else is JSON, as `docs/openapi.yaml` describes it.
//!
//! Whoever owns the connection finds out here what is asked and whether it may be; a thread of its own (`thread`) answers, by
//! mail, because it waits for other threads and for disks. Each other file holds the schemas of one subject, named as they are there, and how
//! they are made from facts.
//!
//! Bounds: [`MAX_QUERY`], [`MAX_URL`]; those of `thread`.

mod changes;
mod connections;
mod events;
mod files;
mod operate;
pub(super) mod ports;
mod process;
pub(super) mod sample;
mod server;
mod streams;
mod thread;
pub(super) mod track;

pub(in crate::server) use thread::Api;

use super::access;
use crate::{
    http::{ESCAPED_SLASH, Method, Request, RequestId, Response, Status, mime},
    rtsp::Target,
    server::{
        StreamPath,
        connection::{Connection, Context},
    },
};
use alloc::{borrow::ToOwned, format, string::String};
use events::{Subscription, Wanted};
use serde::Serialize;
use thread::{Asked, NotTaken};

/// Characters of `q`.
const MAX_QUERY: usize = 200;
/// Bytes of a URL.
const MAX_URL: usize = 2048;
/// Of a list, at most and unless another number is said.
const MAX_LIMIT: usize = 1000;
const LIMIT: usize = 100;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Server,
    Streams,
    Stream(StreamPath),
    StartRecording(StreamPath),
    StopRecording(StreamPath),
    Connections(Selection),
    Connection(u64),
    Kick(u64),
    StartCapture(u64),
    StopCapture(u64),
    /// To that URL.
    Redirect(u64, String),
    Recordings(Option<StreamPath>, Page),
    Files(Page),
    Events(Subscription),
    Metrics,
}

/// Which connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Selection {
    /// Lower case.
    q: String,
    page: Page,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Page {
    limit: usize,
    offset: usize,
}

/// Why a request is not taken.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    /// There is no such address.
    Nothing,
    /// It has these methods.
    Method(&'static [Method]),
    /// What is wrong with it.
    Request(String),
}

impl Connection {
    /// Answers what is below `/api`, `/metrics`, or refuses it.
    pub(super) fn api(&mut self, cx: &Context<'_>, id: RequestId, request: &Request) {
        if let Some(refusal) = cx.shared.api.access.refusal(request, self.mailbox.address, self.is_tls()) {
            return self.respond(cx, id, &refusal);
        }
        let call = match call(request) {
            Ok(call) => call,
            Err(wrong) => return self.respond(cx, id, &wrong.response(request.path())),
        };
        // Nothing would follow.
        if request.method() == Method::Head && matches!(call, Call::Events(_)) {
            return self.respond(cx, id, &Response::stream(mime::EVENTS));
        }
        let asked = Asked { from: alloc::sync::Arc::downgrade(&self.mailbox), id, call };
        if let Err(why) = cx.shared.api.ask(cx.shared, asked) {
            self.respond(cx, id, &why.response());
        }
    }
}

impl NotTaken {
    fn response(self) -> Response {
        match self {
            NotTaken::TooMany => Response::api_error(
                Status::TOO_MANY_REQUESTS,
                "too_many_requests",
                "too many requests wait for an answer",
            ),
            NotTaken::Stopping => {
                Response::api_error(Status::SERVICE_UNAVAILABLE, "stopping", "the server stops")
            }
        }
    }
}

impl Wrong {
    fn response(&self, path: &str) -> Response {
        match self {
            Wrong::Nothing => Response::api_error(Status::NOT_FOUND, "not_found", "there is no such call"),
            Wrong::Method(methods) => Response::not_allowed(path, methods),
            Wrong::Request(why) => bad_request(why),
        }
    }
}

fn bad_request(why: &str) -> Response {
    Response::api_error(Status::BAD_REQUEST, "bad_request", why)
}

/// What a request asks for.
fn call(request: &Request) -> Result<Call, Wrong> {
    const READ: &[Method] = &[Method::Get, Method::Head];
    const SWITCH: &[Method] = &[Method::Post, Method::Delete];
    const ONE: &[Method] = &[Method::Get, Method::Head, Method::Delete];
    let with = |methods: &'static [Method]| match access::is_allowed(request, methods) {
        true => Ok(()),
        false => Err(Wrong::Method(methods)),
    };
    let is_post = request.method() == Method::Post;
    if request.path() == "/metrics" {
        with(READ)?;
        return Ok(Call::Metrics);
    }
    let rest = request.path().strip_prefix("/api/v1/").ok_or(Wrong::Nothing)?;
    let mut parts = rest.split('/');
    match (parts.next().unwrap_or_default(), parts.next(), parts.next(), parts.next()) {
        ("server", None, ..) => with(READ).map(|()| Call::Server),
        ("streams", None, ..) => with(READ).map(|()| Call::Streams),
        ("streams", Some(path), None, _) => {
            with(READ)?;
            Ok(Call::Stream(stream(path)?))
        }
        ("streams", Some(path), Some("recording"), None) => {
            with(SWITCH)?;
            let path = stream(path)?;
            Ok(if is_post { Call::StartRecording(path) } else { Call::StopRecording(path) })
        }
        ("connections", None, ..) => {
            with(READ)?;
            Ok(Call::Connections(Selection { q: q(request)?, page: page(request)? }))
        }
        ("connections", Some(id), None, _) => {
            with(ONE)?;
            let id = connection(id)?;
            Ok(if request.is_read() { Call::Connection(id) } else { Call::Kick(id) })
        }
        ("connections", Some(id), Some("capture"), None) => {
            with(SWITCH)?;
            let id = connection(id)?;
            Ok(if is_post { Call::StartCapture(id) } else { Call::StopCapture(id) })
        }
        ("connections", Some(id), Some("redirect"), None) => {
            with(&[Method::Post])?;
            Ok(Call::Redirect(connection(id)?, rtsp_url(request)?))
        }
        ("recordings", None, ..) => {
            with(READ)?;
            let of = request.parameter("stream").map(|path| stream(&path)).transpose()?;
            Ok(Call::Recordings(of, page(request)?))
        }
        ("files", None, ..) => {
            with(READ)?;
            Ok(Call::Files(page(request)?))
        }
        ("events", None, ..) => {
            with(READ)?;
            let wanted = match request.parameter("events") {
                Some(names) => Wanted::of(&names).map_err(Wrong::Request)?,
                None => Wanted::ALL,
            };
            let page = Page { offset: 0, ..page(request)? };
            Ok(Call::Events(Subscription { wanted, selection: Selection { q: q(request)?, page } }))
        }
        _ => Err(Wrong::Nothing),
    }
}

/// The path of a stream as one component.
fn stream(component: &str) -> Result<StreamPath, Wrong> {
    let path = component.replace(ESCAPED_SLASH, "/");
    StreamPath::join("", "", &path).map_err(|why| Wrong::Request(format!("{why}")))
}

fn connection(component: &str) -> Result<u64, Wrong> {
    let id = component.bytes().all(|byte| byte.is_ascii_digit()).then(|| component.parse().ok()).flatten();
    id.ok_or_else(|| Wrong::Request("the id of a connection is a number".to_owned()))
}

/// `to`: where an RTSP client can go, as it will stand in a header.
fn rtsp_url(request: &Request) -> Result<String, Wrong> {
    let url = request.parameter("to").unwrap_or_default();
    let is_plain = url.len() <= MAX_URL && url.bytes().all(|byte| byte.is_ascii_graphic());
    let is_url = is_plain && url.contains("://") && Target::parse(&url).is_some();
    let why = "to is no rtsp:// or rtsps:// URL, percent-encoded as a parameter";
    if is_url { Ok(url.into_owned()) } else { Err(Wrong::Request(why.to_owned())) }
}

fn q(request: &Request) -> Result<String, Wrong> {
    let q = request.parameter("q").unwrap_or_default();
    match q.chars().count() {
        0..=MAX_QUERY => Ok(q.to_lowercase()),
        _ => Err(Wrong::Request(format!("q has more than {MAX_QUERY} characters"))),
    }
}

fn page(request: &Request) -> Result<Page, Wrong> {
    let number = |name: &str, default: usize, most: usize| {
        let Some(text) = request.parameter(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| *number <= most && !text.starts_with('+'));
        number.ok_or_else(|| Wrong::Request(format!("{name} is no number from 0 to {most}")))
    };
    Ok(Page { limit: number("limit", LIMIT, MAX_LIMIT)?, offset: number("offset", 0, u32::MAX as usize)? })
}

impl Page {
    /// The part of a whole list, and how long that is.
    fn of<T>(self, all: impl IntoIterator<Item = T>) -> alloc::vec::Vec<T> {
        all.into_iter().skip(self.offset).take(self.limit).collect()
    }
}

/// 200 with that as JSON, which nobody may store.
pub(super) fn json(body: &impl Serialize) -> Response {
    let mut text = text(body);
    text.push('\n');
    Response::text(mime::JSON, text).header("Cache-Control", "no-store")
}

/// As one line.
fn text(body: &impl Serialize) -> String {
    // Fails for maps whose keys are no text; there are none.
    serde_json::to_string(body).unwrap_or_default()
}

/// An address: components of a name without what would end one, slashes as they are.
pub(super) fn address(prefix: &str, name: &str) -> String {
    let mut address = prefix.to_owned();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                address.push(char::from(byte));
            }
            _ => address += &format!("%{byte:02X}"),
        }
    }
    address
}
