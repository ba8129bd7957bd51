//! A request as the application gets it: method, path, query, header fields, body.
//!
//! Holds the head's bytes as they came and where the fields lie in them. Not here: how it was read (`head`, `body`).

use super::target;
use crate::base::Payload;
use alloc::{borrow::Cow, string::String, vec::Vec};
use core::{fmt, ops::Range, str};

/// Media type of what a tunnel for RTSP carries.
const TUNNEL: &str = "application/x-rtsp-tunnelled";
/// Bytes of a tunnel's cookie; clients send some 22.
const MAX_COOKIE: usize = 128;

/// The methods that resources of this server can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// As `Get`, without the body.
    Head,
    /// What is possible; preflights of CORS.
    Options,
    /// Do.
    Post,
    /// Remove.
    Delete,
}

/// HTTP versions that differ in when connections stay open, and in chunked bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// See the module.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) path: String,
    /// The head; ASCII but for what values and the target hold.
    pub(super) head: Vec<u8>,
    /// Where the query lies in the head; text.
    pub(super) query: Range<usize>,
    /// Where the authority of an absolute target lies in the head; text.
    pub(super) authority: Option<Range<usize>>,
    /// Where names and values lie in the head.
    pub(super) fields: Vec<(Range<usize>, Range<usize>)>,
    pub(super) body: Payload,
}

impl Method {
    /// By its name in a request line.
    pub fn of_name(name: &str) -> Option<Method> {
        [Method::Get, Method::Head, Method::Options, Method::Post, Method::Delete]
            .into_iter()
            .find(|method| method.name() == name)
    }

    /// Its name in a request line.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Options => "OPTIONS",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

impl Request {
    /// What is asked.
    pub fn method(&self) -> Method {
        self.method
    }

    /// `Get` or `Head`: asks for a representation.
    pub fn is_read(&self) -> bool {
        matches!(self.method, Method::Get | Method::Head)
    }

    /// The version the peer speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The path without escapes but those of slashes (`%2F`): begins with a slash, or is `*` (with `Options`). Has no `.` or `..` as a segment, no
    /// control characters and no backslash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What follows the question mark, as it came. May carry tokens: not for logs.
    pub fn query(&self) -> &str {
        self.text(&self.query)
    }

    /// The value of the first parameter of that name, without escapes; `Some("")` if it has no value.
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        target::parameter(self.query(), name)
    }

    /// Where the request was sent to, as the client names it: host and port, if it says so.
    pub fn host(&self) -> Option<&str> {
        let host = match &self.authority {
            Some(authority) => Some(self.text(authority)),
            None => self.header("host"),
        };
        host.filter(|host| !host.is_empty())
    }

    /// The value of the first header field of that name; `None` also if it is no UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.values(name).next().and_then(|value| str::from_utf8(value).ok())
    }

    /// The values of all header fields of that name.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |(field, _)| self.head[field.clone()].eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| &self.head[value.clone()])
    }

    /// The members of a header field that is a list with commas, over all fields of that name.
    pub fn list<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values(name)
            .filter_map(|value| str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .map(|member| member.trim_matches([' ', '\t']))
            .filter(|member| !member.is_empty())
    }

    /// Whether `token` is a member of such a list, whatever its case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|member| member.eq_ignore_ascii_case(token))
    }

    /// The cookie of a tunnel for RTSP, if that is what it opens (by GET) or feeds (by POST). What follows it is not read, whatever
    /// length it announces: its response closes the connection.
    pub fn tunnel(&self) -> Option<&str> {
        let kind = match self.method {
            Method::Get => "accept",
            Method::Post => "content-type",
            _ => return None,
        };
        let cookie = self.header("x-sessioncookie").filter(|_| self.has_token(kind, TUNNEL))?;
        (1..=MAX_COOKIE).contains(&cookie.len()).then_some(cookie)
    }

    /// The body; empty if there is none.
    pub fn body(&self) -> &Payload {
        &self.body
    }

    fn text(&self, range: &Range<usize>) -> &str {
        str::from_utf8(&self.head[range.clone()]).expect("the head was parsed from text here")
    }
}

impl fmt::Debug for Request {
    /// Without query and header fields, which carry tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Request({} {:?}, {} fields, {:?})",
            self.method.name(),
            self.path,
            self.fields.len(),
            self.body
        )
    }
}
