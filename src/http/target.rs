//! Request targets: their forms, paths without escapes, queries (RFC 9112, 3.2; RFC 3986).
//!
//! In: the target of a request line. Out: a [`Target`] whose path can be split at its slashes and compared by text.
//! Not here: what a path names.
//! A path is refused rather than normalized when it could be read in two ways: with `.` or `..` as a segment (escaped or
//! not), NUL and other control characters, a backslash, escapes that are none, or bytes that are no UTF-8. An escaped slash
//! stays one, `%2F`: it is a part of a name, which only who knows that name's meaning may read as a slash. Empty segments stay as they are.
//! In queries everything is allowed: an escape that is none stays, bytes that are no UTF-8 become U+FFFD.

use alloc::{borrow::Cow, string::String, vec::Vec};

/// What a target says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Without escapes; begins with a slash, or is `*`.
    pub(super) path: String,
    /// What follows the question mark, as it came.
    pub(super) query: &'a str,
    /// The authority of the absolute form, which overrides `Host`.
    pub(super) authority: Option<&'a str>,
}

/// `None` if it is no target of a path; `*` is left to the caller, who knows the method.
pub(super) fn parse(target: &str) -> Option<Target<'_>> {
    if target == "*" {
        return Some(Target { path: target.into(), query: "", authority: None });
    }
    if target.contains('#') {
        return None;
    }
    let (authority, rest) = match strip_scheme(target) {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        None if target.starts_with('/') => (None, target),
        None => return None,
    };
    if authority.is_some_and(|authority| !is_host(authority)) {
        return None;
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = if path.is_empty() { "/" } else { path };
    Some(Target { path: decode_path(path)?, query, authority })
}

fn strip_scheme(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    ["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)
}

/// Whether `host` can stand in `Host`: a name, an IPv4 address or an IPv6 address in brackets, with a port or not. Empty
/// is allowed in `Host`, for targets that have no authority.
pub(super) fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    let of_address = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%');
    let is_name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(of_address),
        None => name.bytes().all(of_name),
    };
    is_name && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// A path without its escapes; `None` for what the module refuses.
pub(crate) fn decode_path(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let mut byte = *byte;
        if byte == b'%' {
            let [high, low, tail @ ..] = rest else { return None };
            byte = escaped(*high, *low)?;
            rest = tail;
            if byte == b'/' {
                bytes.extend_from_slice(ESCAPED_SLASH.as_bytes());
                continue;
            }
        }
        bytes.push(byte);
    }
    let path = String::from_utf8(bytes).ok()?;
    let is_climbing = path.split('/').any(|segment| matches!(segment, "." | ".."));
    let is_odd = path.contains(|char: char| char.is_control() || char == '\\');
    (!is_climbing && !is_odd).then_some(path)
}

/// A slash that separates nothing.
pub const ESCAPED_SLASH: &str = "%2F";

/// The value of the first parameter `name` of a query: `Some("")` if it has none.
pub(crate) fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_query(key) == name).then(|| decode_query(value))
    })
}

fn decode_query(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        bytes.push(match (*byte, rest) {
            (b'+', _) => b' ',
            (b'%', [high, low, tail @ ..]) => match escaped(*high, *low) {
                Some(value) => {
                    rest = tail;
                    value
                }
                None => b'%',
            },
            (byte, _) => byte,
        });
    }
    Cow::Owned(
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into()),
    )
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    // Two hexadecimal digits are below 256.
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> Option<String> {
        parse(target).map(|target| target.path)
    }

    #[test]
    fn paths_lose_their_escapes() {
        for (target, expected) in [
            ("/", "/"),
            ("/live/cam.flv", "/live/cam.flv"),
            ("/live/my%20cam%2B", "/live/my cam+"),
            ("/caf%C3%A9", "/caf\u{e9}"),
            ("/caf\u{e9}", "/caf\u{e9}"),
            ("//a//b/", "//a//b/"),
            ("/a+b", "/a+b"),
            ("/...", "/..."),
            ("/a..b/.c", "/a..b/.c"),
            ("/%25%32%65", "/%2e"),
            ("/a%2fb/..%2Fc", "/a%2Fb/..%2Fc"),
            ("http://host/x", "/x"),
            ("HTTPS://host:8080", "/"),
            ("http://[::1]:80?a", "/"),
            ("*", "*"),
        ] {
            assert_eq!(path(target).as_deref(), Some(expected), "{target}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_path() {
        for target in [
            "",
            "x",
            "live/cam",
            "/..",
            "/../etc/passwd",
            "/a/../b",
            "/a/.",
            "/a/..",
            "/%2e%2e/x",
            "/.%2E/x",
            "/a\\b",
            "/a%5cb",
            "/%00",
            "/%0a",
            "/%7f",
            "/a%",
            "/a%2",
            "/a%zz",
            "/%+1",
            "/%ff",
            "/%c2%85",
            "/a#b",
            "host:80",
            "ftp://host/",
            "http://user@host/",
            "http://ho st/",
            "http:///%2e",
            "**",
            "/\u{7}",
        ] {
            assert_eq!(path(target), None, "{target}");
        }
    }

    #[test]
    fn queries_and_authorities_are_told_apart_from_paths() {
        let target = parse("http://h:1?x=/../y?z").unwrap();
        assert_eq!((target.authority, &*target.path, target.query), (Some("h:1"), "/", "x=/../y?z"));
        let target = parse("/a?b=http://c/").unwrap();
        assert_eq!((target.authority, &*target.path, target.query), (None, "/a", "b=http://c/"));
    }

    #[test]
    fn parameters_of_a_query_are_found_by_name() {
        let query = "a=1&b&c=x%20y+z&%64=4&a=2&e=%zz%e&f=%ff&g==&=h";
        for (name, expected) in [
            ("a", Some("1")),
            ("b", Some("")),
            ("c", Some("x y z")),
            ("d", Some("4")),
            ("e", Some("%zz%e")),
            ("f", Some("\u{fffd}")),
            ("g", Some("=")),
            ("", Some("h")),
            ("h", None),
        ] {
            assert_eq!(parameter(query, name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses_with_a_port_or_without() {
        for host in ["", "a", "a.b-c:80", "127.0.0.1:", "[::1]", "[fe80::1]:8080", "my_box.local"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["a b", "a/b", "a@b", "a,b", "a:x", "[::1", "::1]", "[]", "a:1:2", "a\tb"] {
            assert!(!is_host(host), "{host}");
        }
    }
}
