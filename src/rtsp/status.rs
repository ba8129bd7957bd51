//! Status codes of RTSP 1.0 (RFC 2326, 7.1.1 and 11).

use core::fmt;

/// A status code; those that are not named here are shown by their number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u16);

macro_rules! statuses {
    ($($code:literal $name:ident $reason:literal,)*) => {
        #[expect(missing_docs, reason = "the names are those of the specification")]
        impl Status {
            $(pub const $name: Status = Status($code);)*

            /// The phrase behind the number; empty for a status that has no name here.
            pub fn reason(self) -> &'static str {
                const NAMED: &[(u16, &str)] = &[$(($code, $reason)),*];
                NAMED.iter().find(|(code, _)| *code == self.0).map_or("", |(_, reason)| *reason)
            }
        }
    };
}

statuses! {
    200 OK "OK",
    301 MOVED_PERMANENTLY "Moved Permanently",
    302 MOVED_TEMPORARILY "Moved Temporarily",
    400 BAD_REQUEST "Bad Request",
    401 UNAUTHORIZED "Unauthorized",
    403 FORBIDDEN "Forbidden",
    404 NOT_FOUND "Not Found",
    405 METHOD_NOT_ALLOWED "Method Not Allowed",
    406 NOT_ACCEPTABLE "Not Acceptable",
    408 REQUEST_TIMEOUT "Request Time-out",
    410 GONE "Gone",
    411 LENGTH_REQUIRED "Length Required",
    413 BODY_TOO_LARGE "Request Entity Too Large",
    414 URL_TOO_LONG "Request-URI Too Large",
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type",
    451 PARAMETER_NOT_UNDERSTOOD "Parameter Not Understood",
    453 NOT_ENOUGH_BANDWIDTH "Not Enough Bandwidth",
    454 SESSION_NOT_FOUND "Session Not Found",
    455 NOT_VALID_IN_THIS_STATE "Method Not Valid in This State",
    456 HEADER_NOT_VALID "Header Field Not Valid for Resource",
    457 INVALID_RANGE "Invalid Range",
    459 AGGREGATE_NOT_ALLOWED "Aggregate Operation Not Allowed",
    460 ONLY_AGGREGATE_ALLOWED "Only Aggregate Operation Allowed",
    461 UNSUPPORTED_TRANSPORT "Unsupported Transport",
    462 DESTINATION_UNREACHABLE "Destination Unreachable",
    500 INTERNAL_ERROR "Internal Server Error",
    501 NOT_IMPLEMENTED "Not Implemented",
    503 SERVICE_UNAVAILABLE "Service Unavailable",
    505 VERSION_NOT_SUPPORTED "RTSP Version Not Supported",
    551 OPTION_NOT_SUPPORTED "Option Not Supported",
}

impl Status {
    /// 2xx.
    pub const fn is_success(self) -> bool {
        self.0 / 100 == 2
    }
}

impl fmt::Display for Status {
    /// As in a status line: `404 Not Found`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}
