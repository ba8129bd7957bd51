//! Conditional and range requests (RFC 9110, 13 and 14) for what has a length: files, segments, pages.
//!
//! In: a request and what is known of the resource. Out: 200, 206, 304, 412 or 416, and which bytes go with it.
//! Several ranges in one request are answered with the whole, which is allowed and what most servers do; so is a range in
//! anything but GET, and one whose `If-Range` does not hold.

use super::{
    date::Date,
    request::{Method, Request},
    response::{Body, Response, Status},
};
use crate::base::Payload;
use alloc::{format, string::String, vec::Vec};
use core::ops::Range;

/// What a client is told of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Media type.
    pub mime: &'static str,
    /// Bytes of the whole.
    pub len: u64,
    /// Its entity tag, quotes included: changes whenever a byte does.
    pub etag: Option<String>,
    /// When it last changed.
    pub modified: Option<Date>,
}

/// What a `Range` field asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    Unsatisfiable,
}

impl Resource {
    /// The response to a GET or HEAD for a resource that is in memory, in pieces; they are shared, not copied. All of them
    /// wait in the session until they are written, beside `max_queued_replies` bytes of responses before: what is large
    /// and not in memory anyhow is for [`Resource::answer`].
    pub fn answer_from(&self, request: &Request, pieces: &[Payload]) -> Response {
        let (response, range) = self.answer(request);
        if !matches!(response.body, Body::Sized(_)) {
            return response;
        }
        let mut at = 0;
        let mut body = Vec::new();
        for piece in pieces {
            let end = at + piece.len() as u64;
            let (from, to) = (range.start.max(at), range.end.min(end));
            if from < to {
                // Within the piece, whose length is a `usize`.
                body.push(piece.slice((from - at) as usize..(to - at) as usize));
            }
            at = end;
        }
        response.body(Body::Fixed(body))
    }

    /// The response to a GET or HEAD, and the bytes of the resource that are its body: [`Body::Sized`], for `send`.
    pub fn answer(&self, request: &Request) -> (Response, Range<u64>) {
        if !self.is_wanted(request) {
            let response = Response::error_for(
                request.path(),
                Status::PRECONDITION_FAILED,
                "this is not what it was any more",
            );
            return (response, 0..0);
        }
        if self.is_known(request) {
            return (self.describe(Response::new(Status::NOT_MODIFIED)), 0..0);
        }
        match self.asked(request) {
            Asked::Unsatisfiable => {
                let response = Response::error_for(
                    request.path(),
                    Status::RANGE_NOT_SATISFIABLE,
                    "the range lies behind the end",
                );
                (response.header("Content-Range", format!("bytes */{}", self.len)), 0..0)
            }
            Asked::Part(range) => {
                let place = format!("bytes {}-{}/{}", range.start, range.end - 1, self.len);
                let response = self.describe(Response::new(Status::PARTIAL_CONTENT));
                (self.with_body(response.header("Content-Range", place), &range), range)
            }
            Asked::Whole => {
                let whole = 0..self.len;
                (self.with_body(self.describe(Response::new(Status::OK)), &whole), whole)
            }
        }
    }

    /// The client wants this, and not what may have come in its place (13.1.1, 13.1.4).
    fn is_wanted(&self, request: &Request) -> bool {
        if request.values("if-match").next().is_some() {
            return request.list("if-match").any(|tag| tag == "*" || self.etag.as_deref() == Some(tag));
        }
        let since = request.header("if-unmodified-since").and_then(Date::parse);
        !matches!((since, self.modified), (Some(since), Some(modified)) if modified > since)
    }

    /// The client has it already (13.1.2, 13.1.3).
    fn is_known(&self, request: &Request) -> bool {
        if request.values("if-none-match").next().is_some() {
            // Compared weakly: for a cache, the same but for what does not matter will do.
            let is_ours = |tag: &str| self.etag.as_deref() == Some(tag.strip_prefix("W/").unwrap_or(tag));
            return request.list("if-none-match").any(|tag| tag == "*" || is_ours(tag));
        }
        let since = request.header("if-modified-since").and_then(Date::parse);
        matches!((since, self.modified), (Some(since), Some(modified)) if modified <= since)
    }

    fn asked(&self, request: &Request) -> Asked {
        let mut fields = request.values("range");
        let range = fields.next().filter(|_| request.method() == Method::Get && fields.next().is_none());
        let Some(range) = range.and_then(|range| core::str::from_utf8(range).ok()) else {
            return Asked::Whole;
        };
        if !self.is_still(request) {
            return Asked::Whole;
        }
        parse_range(range, self.len)
    }

    /// `If-Range`: a part is wanted only of what the client has the rest of (13.1.5).
    fn is_still(&self, request: &Request) -> bool {
        let mut fields = request.values("if-range");
        if fields.next().is_none() {
            return true;
        }
        match request.header("if-range") {
            Some(tag) if tag.starts_with('"') => self.etag.as_deref() == Some(tag),
            Some(date) => self.modified.is_some() && Date::parse(date) == self.modified,
            None => false,
        }
    }

    fn describe(&self, response: Response) -> Response {
        let mut response = response.header("Accept-Ranges", "bytes");
        if let Some(etag) = &self.etag {
            response = response.header("ETag", etag.clone());
        }
        if let Some(modified) = self.modified {
            response = response.header("Last-Modified", format!("{modified}"));
        }
        response
    }

    fn with_body(&self, response: Response, range: &Range<u64>) -> Response {
        response.header("Content-Type", self.mime).body(Body::Sized(range.end - range.start))
    }
}

/// A `Range` field for `len` bytes (14.1.2). What is no range at all is ignored.
fn parse_range(field: &str, len: u64) -> Asked {
    let Some((unit, range)) = field.split_once('=') else { return Asked::Whole };
    let range = range.trim_matches([' ', '\t']);
    let Some((first, last)) = range.split_once('-') else { return Asked::Whole };
    if !unit.trim_matches([' ', '\t']).eq_ignore_ascii_case("bytes") {
        return Asked::Whole;
    }
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Asked::Whole,
        (Some(first), Some(last)) => part(first..last.saturating_add(1).min(len), len),
        (Some(first), None) if last.is_empty() => part(first..len, len),
        (None, Some(0)) if first.is_empty() => Asked::Unsatisfiable,
        (None, Some(suffix)) if first.is_empty() => part(len.saturating_sub(suffix)..len, len),
        _ => Asked::Whole,
    }
}

fn part(range: Range<u64>, len: u64) -> Asked {
    if range.start < len { Asked::Part(range) } else { Asked::Unsatisfiable }
}

/// Digits; what no integer holds is the greatest one.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}
