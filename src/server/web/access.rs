//! Who may use the API, the console's data and metrics.
//!
//! With `--admin-token`, whoever sends it. Without, whoever comes from loopback or a private network, and names the server in a way
//! that no page of a stranger can: a page of `evil.example` may have that name resolve to this server's address (DNS rebinding),
//! and would then be of one origin with it. Requests that change something are refused if another page sends them.
//! Media and `/APP/KEY.json` are open, and not asked about here.

use crate::{
    http::{Method, Request, Response, Status},
    server::Networks,
};
use alloc::{format, string::String};
use core::{fmt, net::IpAddr, str::FromStr};
use sha2::{Digest, Sha256};

/// `--admin-token`: something that a header can carry. Does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken(String);

impl FromStr for AdminToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<AdminToken, &'static str> {
        let is_token =
            (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_token {
            Ok(AdminToken(text.into()))
        } else {
            Err("not 1 to 1024 printable characters without blanks")
        }
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(...)")
    }
}

/// What the flags say about it.
pub(in crate::server) struct Access {
    /// Of `--admin-token`; hashed, so that comparing takes as long whatever is sent.
    token: Option<[u8; 32]>,
    networks: Networks,
    /// What the machine calls itself.
    host_name: String,
}

impl Access {
    pub(in crate::server) fn new(token: Option<&AdminToken>) -> Access {
        let host_name = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
        Access { token: token.map(|AdminToken(token)| hash(token)), networks: Networks::default(), host_name }
    }

    /// The refusal, if this request may not be answered.
    pub(super) fn refusal(&self, request: &Request, from: IpAddr, is_tls: bool) -> Option<Response> {
        let forbidden = |code, why: &str| Some(Response::api_error(Status::FORBIDDEN, code, why));
        let is_change = matches!(request.method(), Method::Post | Method::Delete);
        if is_change && !is_same_origin(request, is_tls) {
            return forbidden("cross_origin", "a page of another server may not change anything here");
        }
        if let Some(token) = &self.token {
            if bearer(request).is_some_and(|sent| hash(sent) == *token) {
                return None;
            }
            let why = "this needs the admin token: Authorization: Bearer TOKEN";
            let response = Response::api_error(Status::UNAUTHORIZED, "unauthorized", why);
            return Some(response.header("WWW-Authenticate", "Bearer realm=\"weir\""));
        }
        if !self.networks.contains(from) {
            let why = "this answers to loopback and private networks only; start weir with --admin-token to use it from elsewhere";
            return forbidden("forbidden", why);
        }
        match request.host() {
            Some(host) if !self.is_own_name(host) => {
                let why = format!(
                    "this does not answer to the name {}, which anybody may have pointed here; use the address, or start weir with --admin-token",
                    name_of(host)
                );
                forbidden("forbidden", &why)
            }
            _ => None,
        }
    }

    /// Whether only somebody near can have made that name lead here.
    fn is_own_name(&self, host: &str) -> bool {
        let name = name_of(host).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        address.parse::<IpAddr>().is_ok()
            || !name.contains(['.', '%'])
            || name.ends_with(".localhost")
            || name.ends_with(".local")
            || name == self.host_name
    }
}

/// The token that comes with a request.
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Host without the port.
pub(super) fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// Whether a request comes from no page, or from one of this server.
fn is_same_origin(request: &Request, is_tls: bool) -> bool {
    let Some(origin) = request.values("origin").next() else { return true };
    let Some(host) = request.host() else { return false };
    let (scheme, port) = if is_https(request, is_tls) { ("https", ":443") } else { ("http", ":80") };
    let bare = host.strip_suffix(port).unwrap_or(host);
    let own = format!("{scheme}://{bare}");
    let mut origins = request.values("origin");
    core::str::from_utf8(origin).is_ok_and(|origin| {
        origins.nth(1).is_none() && origin.strip_suffix(port).unwrap_or(origin).eq_ignore_ascii_case(&own)
    })
}

/// Whether the client speaks TLS. Whoever ends it in front says so; pages of others cannot send that field without being asked
/// about it.
pub(super) fn is_https(request: &Request, is_tls: bool) -> bool {
    is_tls || request.header("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// Which methods an address has, and whether the one asked for is among them.
pub(super) fn is_allowed(request: &Request, methods: &[Method]) -> bool {
    let asked = match request.method() {
        Method::Head => Method::Get,
        method => method,
    };
    methods.contains(&asked)
}

/// Far below what a header may hold.
const MAX_TOKEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::MonoTime,
        http::{Event, Limits, Session},
    };

    fn request(method: &str, fields: &str) -> Request {
        let mut session = Session::server(Limits::default(), MonoTime(0));
        let text = format!("{method} /api/v1/server HTTP/1.1\r\n{fields}\r\n\r\n");
        session.handle_input(MonoTime(0), text.as_bytes()).unwrap();
        match session.poll_event() {
            Some(Event::Request { request, .. }) => *request,
            other => panic!("{fields}: {other:?}"),
        }
    }

    fn status(access: &Access, request: &Request, from: &str) -> u16 {
        access.refusal(request, from.parse().unwrap(), false).map_or(200, |response| response.code().0)
    }

    fn with_token(token: &str) -> Access {
        Access::new(Some(&token.parse().unwrap()))
    }

    #[test]
    fn without_a_token_those_nearby_may_and_nobody_else() {
        let access = Access::new(None);
        let request = request("GET", "Host: localhost:8080");
        for (from, expected) in [
            ("127.0.0.1", 200),
            ("::1", 200),
            ("192.168.1.7", 200),
            ("::ffff:10.0.0.1", 200),
            ("fe80::1", 200),
            ("8.8.8.8", 403),
            ("2001:db8::1", 403),
        ] {
            assert_eq!(status(&access, &request, from), expected, "{from}");
        }
    }

    #[test]
    fn names_that_a_stranger_can_point_here_are_refused() {
        let access = Access { host_name: "camera.example.net".into(), ..Access::new(None) };
        for (host, expected) in [
            ("localhost", 200),
            ("LOCALHOST.:80", 200),
            ("a.localhost:8080", 200),
            ("raspberry.local", 200),
            ("raspberry", 200),
            ("127.0.0.1:8080", 200),
            ("[::1]:8080", 200),
            ("[fe80::1]", 200),
            ("camera.example.net:1935", 200),
            ("evil.example", 403),
            ("evil.example:8080", 403),
            ("evil.example.:8080", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("127.0.0.1.nip.io", 403),
            ("locallocal.evil", 403),
            ("x.camera.example.net", 403),
        ] {
            let request = request("GET", &format!("Host: {host}"));
            assert_eq!(status(&access, &request, "127.0.0.1"), expected, "{host}");
        }
        let token = with_token("secret");
        let request = request("GET", "Host: weir.example\r\nAuthorization: Bearer secret");
        assert_eq!(status(&token, &request, "8.8.8.8"), 200, "whoever has the token may call it as he likes");
    }

    #[test]
    fn a_token_is_needed_from_everywhere_and_compared_whole() {
        let access = with_token("se-cret");
        for (field, expected) in [
            ("Authorization: Bearer se-cret", 200),
            ("authorization: bearer  se-cret", 200),
            ("Authorization: Bearer se-cre", 401),
            ("Authorization: Bearer se-crett", 401),
            ("Authorization: Bearer", 401),
            ("Authorization: Bearer ", 401),
            ("Authorization: Basic se-cret", 401),
            ("Authorization: se-cret", 401),
            ("X-Token: se-cret", 401),
        ] {
            let request = request("GET", &format!("Host: localhost\r\n{field}"));
            assert_eq!(status(&access, &request, "127.0.0.1"), expected, "{field}");
        }
    }

    #[test]
    fn pages_of_others_change_nothing_whoever_sends_them() {
        for access in [Access::new(None), with_token("x")] {
            for (fields, is_refused) in [
                ("Host: localhost:8080", false),
                ("Host: localhost:8080\r\nOrigin: http://localhost:8080", false),
                ("Host: LocalHost\r\nOrigin: http://localhost", false),
                ("Host: localhost:80\r\nOrigin: http://localhost", false),
                ("Host: localhost\r\nX-Forwarded-Proto: https\r\nOrigin: https://localhost", false),
                ("Host: localhost:8080\r\nOrigin: http://localhost", true),
                ("Host: localhost:8080\r\nOrigin: http://localhost:8081", true),
                ("Host: localhost:8080\r\nOrigin: https://localhost:8080", true),
                ("Host: localhost:8080\r\nOrigin: http://evil.example", true),
                ("Host: localhost:8080\r\nOrigin: null", true),
                ("Host: localhost:8080\r\nOrigin: ", true),
                ("Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example", true),
                ("Host: localhost\r\nOrigin: http://localhost:443", true),
            ] {
                for method in ["POST", "DELETE"] {
                    let request = request(method, &format!("{fields}\r\nAuthorization: Bearer x"));
                    let refusal = access.refusal(&request, "127.0.0.1".parse().unwrap(), false);
                    assert_eq!(
                        refusal.map(|response| response.code().0),
                        is_refused.then_some(403),
                        "{fields}"
                    );
                }
                let request = request("GET", &format!("{fields}\r\nAuthorization: Bearer x"));
                assert_eq!(status(&access, &request, "127.0.0.1"), 200, "{fields}");
            }
        }
    }

    #[test]
    fn tokens_are_what_a_header_can_carry() {
        let is_token = |text: &str| text.parse::<AdminToken>().is_ok();
        assert!(is_token("a") && is_token("!~{}:/+") && is_token(&"x".repeat(1024)));
        for text in ["", " a", "a b", "é", "a\n", &"x".repeat(1025)] {
            assert!(!is_token(text), "{text:?}");
        }
        assert_eq!(format!("{:?}", "secret".parse::<AdminToken>()), "Ok(AdminToken(...))");
    }
}
