//! Who may: over real sockets. The rules themselves have tests beside them.

use super::*;

const PRIVATE: [&str; 8] = [
    "GET /api/v1/server",
    "GET /api/v1/streams",
    "GET /api/v1/connections",
    "GET /api/v1/events",
    "GET /api/v1/recordings",
    "GET /api/v1/nothing",
    "DELETE /api/v1/connections/1",
    "GET /metrics",
];
const OPEN: [&str; 5] =
    ["GET /", "GET /_weir/console.mjs", "GET /live/cam", "GET /live/cam.json", "GET /healthz"];

#[test]
fn with_a_token_whoever_sends_it_may_and_nobody_else() {
    let (_server, address) = start(Config { admin_token: Some("s3cret".parse().unwrap()), ..config() });
    for request in PRIVATE {
        for fields in ["", "\nAuthorization: Bearer wrong", "\nAuthorization: Basic s3cret"] {
            let answer = ask(address, &format!("{request}{fields}"));
            assert_eq!(
                (answer.status, &answer.json()["error"]["code"]),
                (401, &"unauthorized".into()),
                "{request}"
            );
            assert_eq!(answer.field("www-authenticate"), Some("Bearer realm=\"weir\""));
        }
    }
    let answer = ask(address, "GET /api/v1/server\nHost: weir.example\nAuthorization: Bearer s3cret");
    assert_eq!(answer.status, 200);
    assert_eq!(ask(address, "GET /metrics\nAuthorization: Bearer s3cret").status, 200);
    for request in OPEN {
        assert_eq!(ask(address, request).status, 200, "{request}");
    }
    assert!(!logged("s3cret"), "a token is never logged");
}

#[test]
fn a_name_that_a_stranger_may_have_pointed_here_is_refused() {
    let (_server, address) = start(config());
    for request in PRIVATE {
        let answer = ask(address, &format!("{request}\nHost: rebound.example:8080"));
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (403, &"forbidden".into()), "{request}");
        let reason = answer.json()["error"]["reason"].clone();
        assert!(reason.as_str().unwrap().contains("--admin-token"), "{reason}");
    }
    for request in OPEN {
        assert_eq!(ask(address, &format!("{request}\nHost: rebound.example")).status, 200, "{request}");
    }
    assert_eq!(ask(address, &format!("GET /api/v1/server\nHost: {address}")).status, 200);
}

#[test]
fn pages_of_others_change_nothing() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "origin");
    publisher.send(out, &film(1));
    let mut id = None;
    until("it is there", || {
        id = ask(address, "GET /api/v1/connections?q=publisher").json()["connections"][0]["id"].as_u64();
        id.is_some()
    });
    let kick = format!("DELETE /api/v1/connections/{}", id.unwrap());
    for origin in ["http://evil.example", "null", "https://localhost"] {
        let answer = ask(address, &format!("{kick}\nOrigin: {origin}"));
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (403, &"cross_origin".into()),
            "{origin}"
        );
    }
    assert_eq!(ask(address, "GET /api/v1/streams/live%2Forigin").json()["state"], "live");
    assert_eq!(ask(address, &format!("{kick}\nOrigin: http://localhost")).status, 204);
}
