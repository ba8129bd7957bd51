//! Server-sent events.

use super::*;

/// An open stream of events.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(address: SocketAddr, query: &str) -> Events {
        let mut socket = BufReader::new(TcpStream::connect(address).unwrap());
        socket.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
        write!(socket.get_mut(), "GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let head = head(&mut socket);
        assert!(
            head.starts_with("HTTP/1.1 200 ") && head.contains("Content-Type: text/event-stream"),
            "{head}"
        );
        Events(socket)
    }

    /// A line without the framing of chunks; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| line.trim_end().to_string())
    }

    /// The next event; `None` at the end.
    fn next(&mut self) -> Option<(String, Json)> {
        loop {
            if let Some(name) = self.line()?.strip_prefix("event: ") {
                let data = self.line().expect("data");
                let json = data.strip_prefix("data: ").expect("one line of data");
                return Some((name.to_string(), serde_json::from_str(json).unwrap()));
            }
        }
    }
}

#[test]
fn events_come_at_once_and_each_second_and_end_with_the_server() {
    let (server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "events");
    publisher.send(out, &film(1));
    let mut events = Events::open(address, "");
    let begun = Instant::now();
    let first: Vec<_> = (0..3).map(|_| events.next().unwrap()).collect();
    let names: Vec<_> = first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["server", "streams", "connections"]);
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    assert_eq!(first[1].1["streams"][0]["path"], "live/events");
    let mut seen = Vec::new();
    while seen.iter().filter(|name| *name == "connections").count() < 2 {
        let (name, json) = events.next().unwrap();
        if name == "connections" {
            let roles = json["connections"].as_array().unwrap();
            assert!(roles.iter().any(|one| one["role"] == "console"), "{json}");
            assert!(roles[0]["received_bps"].is_number(), "rates while somebody looks: {json}");
        }
        if name == "server" {
            assert!(json["process"]["cpu_percent"].is_number(), "{json}");
        }
        seen.push(name);
    }
    let count = |what| seen.iter().filter(|name| *name == what).count();
    assert!(count("server") >= 3 && count("server") == count("streams"), "{seen:?}");
    drop(server);
    while events.next().is_some() {}
}

#[test]
fn a_listener_gets_what_it_wants_and_changes_once_they_are_some() {
    let folder = std::env::temp_dir().join(format!("weir-api-changed-{}", std::process::id()));
    let record = weir::server::RecordConfig {
        patterns: vec!["**".parse().unwrap()],
        ..weir::server::RecordConfig::new(folder.clone())
    };
    let (_server, address) = start(Config { record: Some(record), ..config() });
    let mut changed = Events::open(address, "?events=changed");
    let mut selected = Events::open(address, "?events=connections&q=live/wanted&limit=1");
    assert_eq!(selected.next().unwrap().1, serde_json::json!({"connections": [], "total": 0}));
    let (mut publisher, out) = Client::publisher(address, "wanted");
    publisher.send(out, &film(1));
    assert_eq!(changed.next().unwrap(), ("changed".to_string(), serde_json::json!({"what": ["recordings"]})));
    let mut total = Json::Null;
    while total != 1 {
        let (name, json) = selected.next().unwrap();
        assert_eq!(name, "connections");
        total = json["total"].clone();
    }
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn listeners_are_so_many_and_one_that_leaves_makes_room() {
    let (_server, address) = start(config());
    let mut all: Vec<Events> = (0..64).map(|_| Events::open(address, "?events=changed")).collect();
    for _ in 0..50 {
        let answer = ask(address, "GET /api/v1/events");
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (429, &"too_many_requests".into()));
        assert!(answer.json()["error"]["reason"].as_str().unwrap().contains("64"));
    }
    all.pop();
    until("there is room", || {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut socket = BufReader::new(socket);
        write!(socket.get_mut(), "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        head(&mut socket).starts_with("HTTP/1.1 200 ")
    });
}

/// Neither one connection with many requests nor many with one can make the server wait or remember without bound.
#[test]
fn a_flood_of_requests_is_answered_or_refused() {
    let (_server, address) = start(config());
    let connect = |_| {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.write_all(b"GET /api/v1/connections HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        BufReader::new(socket)
    };
    let mut sockets: Vec<_> = (0..600).map(connect).collect();
    for socket in &mut sockets {
        let head = head(socket);
        assert!(head.starts_with("HTTP/1.1 200 ") || head.starts_with("HTTP/1.1 429 "), "{head}");
    }
    drop(sockets);
    assert_eq!(ask(address, "GET /healthz").status, 200);
    for method in ["PATCH", "PUT", "TRACE", "CONNECT", "FOO"] {
        let answer = ask(address, &format!("{method} /api/v1/server"));
        assert!((400..=501).contains(&answer.status), "{method}: {}", answer.head);
    }
}
