//! Responses as the application builds them: status, header fields, body.
//!
//! A [`Response`] belongs to no request: one value may answer many, with the framing that each needs. Fields that follow
//! from the connection (`Date`, `Content-Length`, `Transfer-Encoding`, `Connection`) are added by the session.
//! Values are made safe: control characters, which could begin another field, become spaces.

use super::{mime, request::Method};
use crate::base::Payload;
use alloc::{borrow::Cow, format, string::String, vec, vec::Vec};
use core::fmt::{self, Write};

/// A status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Status(pub u16);

/// What follows the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// These bytes, one piece after the other, shared.
    Fixed(Vec<Payload>),
    /// So many bytes, which [`Session::send`](super::Session::send) brings: a file or a part of it.
    Sized(u64),
    /// An endless stream: chunked to HTTP/1.1 clients, up to the end of the connection to HTTP/1.0 ones.
    Stream,
    /// An endless stream up to the end of the connection for everybody.
    Unframed,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub(super) status: Status,
    fields: Vec<(&'static str, Cow<'static, str>)>,
    pub(super) body: Body,
    pub(super) closes: bool,
}

macro_rules! statuses {
    ($($name:ident = $code:literal, $reason:literal;)*) => {
        impl Status {
            $(#[doc = concat!(stringify!($code), " ", $reason)] pub const $name: Status = Status($code);)*

            /// The words beside the number; empty for an unknown one.
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

statuses! {
    CONTINUE = 100, "Continue";
    SWITCHING_PROTOCOLS = 101, "Switching Protocols";
    OK = 200, "OK";
    CREATED = 201, "Created";
    ACCEPTED = 202, "Accepted";
    NO_CONTENT = 204, "No Content";
    PARTIAL_CONTENT = 206, "Partial Content";
    MOVED_PERMANENTLY = 301, "Moved Permanently";
    FOUND = 302, "Found";
    SEE_OTHER = 303, "See Other";
    NOT_MODIFIED = 304, "Not Modified";
    TEMPORARY_REDIRECT = 307, "Temporary Redirect";
    BAD_REQUEST = 400, "Bad Request";
    UNAUTHORIZED = 401, "Unauthorized";
    FORBIDDEN = 403, "Forbidden";
    NOT_FOUND = 404, "Not Found";
    METHOD_NOT_ALLOWED = 405, "Method Not Allowed";
    REQUEST_TIMEOUT = 408, "Request Timeout";
    CONFLICT = 409, "Conflict";
    GONE = 410, "Gone";
    PRECONDITION_FAILED = 412, "Precondition Failed";
    CONTENT_TOO_LARGE = 413, "Content Too Large";
    URI_TOO_LONG = 414, "URI Too Long";
    UNSUPPORTED_MEDIA_TYPE = 415, "Unsupported Media Type";
    RANGE_NOT_SATISFIABLE = 416, "Range Not Satisfiable";
    EXPECTATION_FAILED = 417, "Expectation Failed";
    UNPROCESSABLE_CONTENT = 422, "Unprocessable Content";
    UPGRADE_REQUIRED = 426, "Upgrade Required";
    TOO_MANY_REQUESTS = 429, "Too Many Requests";
    HEADERS_TOO_LARGE = 431, "Request Header Fields Too Large";
    INTERNAL_ERROR = 500, "Internal Server Error";
    NOT_IMPLEMENTED = 501, "Not Implemented";
    SERVICE_UNAVAILABLE = 503, "Service Unavailable";
    VERSION_NOT_SUPPORTED = 505, "HTTP Version Not Supported";
}

impl Status {
    /// What programs are told where there is nothing to say beyond the status.
    const fn code(self) -> &'static str {
        match self {
            Status::UNAUTHORIZED => "unauthorized",
            Status::FORBIDDEN => "forbidden",
            Status::NOT_FOUND => "not_found",
            Status::METHOD_NOT_ALLOWED => "method_not_allowed",
            Status::TOO_MANY_REQUESTS => "too_many_requests",
            Status(500..) => "internal",
            _ => "bad_request",
        }
    }

    /// No response of this status has a body (RFC 9110, 6.4.1).
    pub(super) const fn is_bodiless(self) -> bool {
        matches!(self.0, 100..=199 | 204 | 304)
    }
}

impl Response {
    /// Without a body.
    pub fn new(status: Status) -> Response {
        Response { status, fields: Vec::new(), body: Body::Fixed(Vec::new()), closes: false }
    }

    /// 200 with these bytes of that media type.
    pub fn bytes(mime: &'static str, bytes: impl Into<Payload>) -> Response {
        Response::new(Status::OK).header("Content-Type", mime).body(Body::Fixed(vec![bytes.into()]))
    }

    /// 200 with text of that media type.
    pub fn text(mime: &'static str, text: impl Into<String>) -> Response {
        Response::bytes(mime, text.into().into_bytes())
    }

    /// 200 with an endless stream of that media type, which nobody may store.
    pub fn stream(mime: &'static str) -> Response {
        let response = Response::new(Status::OK).header("Content-Type", mime);
        response.header("Cache-Control", "no-cache, no-store").body(Body::Stream)
    }

    /// An error for people: one line of text.
    pub fn error(status: Status, reason: &str) -> Response {
        let text = format!("{} {}: {reason}\n", status.0, status.reason());
        let response = Response::text(mime::TEXT, text).header("Cache-Control", "no-store");
        Response { status, ..response }
    }

    /// An error for programs: `{"error":{"code":"not_live","reason":"..."}}`. The code is one word, which does not change.
    pub fn api_error(status: Status, code: &'static str, reason: &str) -> Response {
        let text = format!("{{\"error\":{{\"code\":\"{code}\",\"reason\":{}}}}}\n", JsonString(reason));
        let response = Response::text(mime::JSON, text).header("Cache-Control", "no-store");
        Response { status, ..response }
    }

    /// One of the two, by what the path belongs to: `/api` and below, and `/metrics`, are for programs.
    pub fn error_for(path: &str, status: Status, reason: &str) -> Response {
        if is_api(path) {
            Response::api_error(status, status.code(), reason)
        } else {
            Response::error(status, reason)
        }
    }

    /// 405 with `Allow`.
    pub fn not_allowed(path: &str, allowed: &[Method]) -> Response {
        let names: Vec<&str> = allowed.iter().map(|method| method.name()).collect();
        let reason = "this resource does not have that method";
        Response::error_for(path, Status::METHOD_NOT_ALLOWED, reason).header("Allow", names.join(", "))
    }

    /// Sends the client to another place.
    pub fn redirect(status: Status, location: impl Into<Cow<'static, str>>) -> Response {
        Response::new(status).header("Location", location)
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Response {
        let value = value.into();
        let value = match value.contains(is_unsafe) {
            true => Cow::Owned(value.replace(is_unsafe, " ")),
            false => value,
        };
        self.fields.push((name, value));
        self
    }

    /// With another status.
    #[must_use]
    pub fn status(self, status: Status) -> Response {
        Response { status, ..self }
    }

    /// With another body.
    #[must_use]
    pub fn body(self, body: Body) -> Response {
        Response { body, ..self }
    }

    /// The connection is closed behind it.
    #[must_use]
    pub fn close(self) -> Response {
        Response { closes: true, ..self }
    }

    /// The status code.
    pub fn code(&self) -> Status {
        self.status
    }

    /// All of its body is known: it is held in memory until the client has it.
    pub fn is_complete(&self) -> bool {
        matches!(self.body, Body::Fixed(_))
    }

    /// The value of a field that was added.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// The status line and the fields that were added, each with its line end.
    pub(super) fn write_head(&self, head: &mut String) {
        let _ = write!(head, "HTTP/1.1 {} {}\r\n", self.status.0, self.status.reason());
        for (name, value) in &self.fields {
            head.extend([*name, ": ", value, "\r\n"]);
        }
    }
}

/// Whether who asks for that path is a program.
pub(super) fn is_api(path: &str) -> bool {
    let is_below = path.strip_prefix("/api").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_below || path == "/metrics"
}

fn is_unsafe(char: char) -> bool {
    char.is_control() && char != '\t'
}

/// Text as a JSON string, quotes included (RFC 8259, 7).
struct JsonString<'a>(&'a str);

impl fmt::Display for JsonString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                char if char < ' ' => write!(f, "\\u{:04x}", u32::from(char))?,
                char => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::str;

    fn text(response: &Response) -> &str {
        match &response.body {
            Body::Fixed(pieces) => str::from_utf8(&pieces[0]).unwrap(),
            _ => panic!("no fixed body"),
        }
    }

    #[test]
    fn no_value_can_begin_another_field() {
        let response = Response::redirect(Status::FOUND, "/a\r\nSet-Cookie: b\u{85}\u{7f}\0c");
        let mut head = String::new();
        response.write_head(&mut head);
        assert_eq!(head, "HTTP/1.1 302 Found\r\nLocation: /a  Set-Cookie: b   c\r\n");
    }

    #[test]
    fn errors_are_text_for_people_and_json_for_programs() {
        for (path, expected) in [
            ("/live/cam", "404 Not Found: no \"cam\"\n"),
            ("/metrics/x", "404 Not Found: no \"cam\"\n"),
            ("/metrics", "{\"error\":{\"code\":\"not_found\",\"reason\":\"no \\\"cam\\\"\"}}\n"),
            ("/apiary", "404 Not Found: no \"cam\"\n"),
            ("/api", "{\"error\":{\"code\":\"not_found\",\"reason\":\"no \\\"cam\\\"\"}}\n"),
            ("/api/v1/x", "{\"error\":{\"code\":\"not_found\",\"reason\":\"no \\\"cam\\\"\"}}\n"),
        ] {
            let response = Response::error_for(path, Status::NOT_FOUND, "no \"cam\"");
            assert_eq!((response.code(), text(&response)), (Status::NOT_FOUND, expected), "{path}");
        }
        assert_eq!(
            text(&Response::api_error(Status::CONFLICT, "not_live", "\\\n")),
            "{\"error\":{\"code\":\"not_live\",\"reason\":\"\\\\\\u000a\"}}\n"
        );
    }

    #[test]
    fn what_is_not_allowed_says_what_is() {
        let response = Response::not_allowed("/", &[Method::Get, Method::Head]);
        assert_eq!((response.code().0, response.field("allow")), (405, Some("GET, HEAD")));
    }
}
