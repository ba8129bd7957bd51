//! What the server tells about itself, its streams and connections.

use super::*;

#[test]
fn the_server_tells_about_itself() {
    let (_server, address) = start(Config { max_connections: 77, ..config() });
    let first = ask(address, "GET /api/v1/server");
    assert_eq!((first.status, first.field("content-type")), (200, Some("application/json")));
    assert_eq!(first.field("cache-control"), Some("no-store"));
    assert_eq!(first.field("access-control-allow-origin"), None);
    let json = first.json();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["listen"][0]["address"], address.to_string());
    assert_eq!(json["connections"]["max"], 77);
    assert_eq!(json["connections"]["accepted"], 1);
    assert_eq!(
        json["enabled"],
        serde_json::json!({"record": false, "capture": false, "files": false, "hls": true})
    );
    assert!(json["process"]["resident_bytes"].as_u64().unwrap() > 1 << 20);
    let now = json["now_ms"].as_u64().unwrap();
    assert!(now > 1_700_000_000_000 && json["started_at_ms"].as_u64().unwrap() <= now);
    let again = ask(address, "GET /api/v1/server").json();
    assert_eq!(again["instance"], json["instance"]);
    let (_other, elsewhere) = start(config());
    assert_ne!(ask(elsewhere, "GET /api/v1/server").json()["instance"], json["instance"]);
}

#[test]
fn streams_are_told_with_publisher_codecs_rates_and_players() {
    let (_server, address) = start(config());
    assert_eq!(ask(address, "GET /api/v1/streams").json(), serde_json::json!({"streams": []}));
    let one = || ask(address, "GET /api/v1/streams/live%2Ftold");
    let missing = one();
    assert_eq!((missing.status, &missing.json()["error"]["code"]), (404, &"no_such_stream".into()));

    let (mut player, _) = Client::player(address, "told");
    until("it waits", || one().status == 200);
    let waiting = one().json();
    assert_eq!((&waiting["state"], &waiting["players"]["total"]), (&"waiting".into(), &1.into()));
    assert!(waiting["publisher"].is_null() && waiting["since_at_ms"].is_null() && waiting["gop"].is_null());

    let (mut publisher, out) = Client::publisher(address, "told");
    publisher.send(out, &film(4));
    let _web = BufReader::new(TcpStream::connect(address).unwrap());
    player.tags_up_to(|tag| tag.timestamp.0 == 3980);
    let mut web = BufReader::new(TcpStream::connect(address).unwrap());
    write!(web.get_mut(), "GET /live/told.flv HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test/1\r\n\r\n")
        .unwrap();
    head(&mut web);
    until("both play", || one().json()["players"]["total"] == 2);
    let json = one().json();
    assert_eq!((&json["path"], &json["state"]), (&"live/told".into(), &"live".into()));
    assert_eq!(json["players"]["by"], serde_json::json!({"rtmp": 1, "http-flv": 1}));
    assert_eq!((&json["video"]["codec"], &json["video"]["frame_rate"]), (&"H.264".into(), &25.0.into()));
    assert_eq!(json["audio"]["codec"], "AAC");
    assert_eq!((&json["gop"]["length_ms"], &json["gop"]["frames"]), (&1000.into(), &25.into()));
    assert!(json["gop"]["cached_bytes"].as_u64().unwrap() > 14_000, "{json}");
    let bodies: usize = film(4).iter().map(|tag| tag.body.len()).sum();
    assert_eq!(json["received_bytes"], bodies);
    let by = &json["publisher"];
    assert_eq!((&by["kind"], &by["protocol"], &by["tls"]), (&"client".into(), &"rtmp".into(), &false.into()));
    let id = by["connection"].as_u64().unwrap();
    assert_eq!(ask(address, "GET /api/v1/streams").json()["streams"], serde_json::json!([one().json()]));

    let publisher_facts = ask(address, &format!("GET /api/v1/connections/{id}")).json();
    assert_eq!(publisher_facts["role"], "publisher");
    assert_eq!(
        (&publisher_facts["stream"], &publisher_facts["address"]),
        (&"live/told".into(), &by["address"])
    );
    let all = ask(address, "GET /api/v1/connections").json();
    let roles: Vec<_> =
        all["connections"].as_array().unwrap().iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(roles[..3], ["publisher", "player", "player"], "{all}");
    let found = ask(address, "GET /api/v1/connections?q=TEST/1").json();
    assert_eq!((&found["total"], &found["connections"][0]["agent"]), (&1.into(), &"test/1".into()));
    assert_eq!(found["connections"][0]["protocol"], "http-flv");
    let page = ask(address, "GET /api/v1/connections?q=told&limit=1&offset=1").json();
    assert_eq!((&page["total"], page["connections"].as_array().unwrap().len()), (&3.into(), 1));
    assert_eq!(page["connections"][0]["role"], "player");
    assert_eq!(page["connections"][0]["delay_ms"], 0);

    publisher.with(|session| session.delete_stream(out)).unwrap();
    until("players wait", || one().json()["state"] == "waiting");
    drop((player, web, publisher));
    until("it is gone", || one().status == 404);
}

#[test]
fn a_lost_publisher_is_shown_as_such() {
    let (_server, address) = start(config());
    let (mut publisher, out) = Client::publisher(address, "lost");
    publisher.send(out, &film(1));
    publisher.reset();
    until("it is lost", || ask(address, "GET /api/v1/streams/live%2flost").json()["state"] == "lost");
    let json = ask(address, "GET /api/v1/streams/live%2Flost").json();
    assert!(
        json["publisher"].is_null() && json["since_at_ms"].is_u64() && json["video"].is_object(),
        "{json}"
    );
}

#[test]
fn who_feeds_a_stream_is_told_without_secrets() {
    let source =
        weir::server::source::SourceConfig::parse_pull("live/far=rtmp://127.0.0.1:1/app/key?token=secret");
    let (_server, address) = start(Config { demo: true, sources: vec![source.unwrap()], ..config() });
    until("the demo runs", || ask(address, "GET /api/v1/streams/live%2Fdemo").status == 200);
    let by = ask(address, "GET /api/v1/streams/live%2Fdemo").json()["publisher"].clone();
    assert_eq!(
        (&by["kind"], &by["connection"], &by["agent"]),
        (&"demo".into(), &Json::Null, &"the demo".into())
    );
}

#[test]
fn calls_that_make_no_sense_are_refused_with_a_code() {
    let (_server, address) = start(config());
    let long = format!("GET /api/v1/connections?q={}", "x".repeat(201));
    let longest = format!("GET /api/v1/connections?q={}", "%C3%A9".repeat(200));
    assert_eq!(ask(address, &longest).status, 200);
    for (request, status, code) in [
        ("GET /api", 404, "not_found"),
        ("GET /api/v1", 404, "not_found"),
        ("GET /api/v2/server", 404, "not_found"),
        ("GET /api/v1/server/x", 404, "not_found"),
        ("GET /api/v1/streams/live/cam", 404, "not_found"),
        ("GET /api/v1/streams/live%2Fcam/recording/x", 404, "not_found"),
        ("GET /api/v1/streams/", 400, "bad_request"),
        ("GET /api/v1/streams/a%2F..%2Fb", 400, "bad_request"),
        ("GET /api/v1/streams/nobody", 404, "no_such_stream"),
        ("GET /api/v1/connections/999", 404, "no_such_connection"),
        ("GET /api/v1/connections/0", 404, "no_such_connection"),
        ("GET /api/v1/connections/x", 400, "bad_request"),
        ("GET /api/v1/connections/-1", 400, "bad_request"),
        ("GET /api/v1/connections/99999999999999999999", 400, "bad_request"),
        ("DELETE /api/v1/connections/999", 404, "no_such_connection"),
        ("POST /api/v1/connections/999/capture", 404, "no_such_connection"),
        ("POST /api/v1/streams/nobody/recording", 404, "no_such_stream"),
        ("DELETE /api/v1/streams/nobody/recording", 404, "no_such_stream"),
        ("GET /api/v1/connections?limit=1001", 400, "bad_request"),
        ("GET /api/v1/connections?limit=x", 400, "bad_request"),
        ("GET /api/v1/recordings?offset=-1", 400, "bad_request"),
        ("GET /api/v1/recordings?stream=..", 400, "bad_request"),
        ("GET /api/v1/events?events=servers", 400, "bad_request"),
        (&long, 400, "bad_request"),
        ("POST /api/v1/server", 405, "method_not_allowed"),
        ("DELETE /api/v1/streams", 405, "method_not_allowed"),
        ("GET /api/v1/streams/a/recording", 405, "method_not_allowed"),
        ("POST /api/v1/connections/1", 405, "method_not_allowed"),
        ("POST /metrics", 405, "method_not_allowed"),
    ] {
        let answer = ask(address, request);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &code.into()), "{request}");
        assert!(answer.json()["error"]["reason"].as_str().is_some_and(|why| !why.ends_with('.')));
    }
    assert_eq!(ask(address, "POST /api/v1/server").field("allow"), Some("GET, HEAD"));
    assert_eq!(ask(address, "GET /api/v1/connections/1/capture").field("allow"), Some("POST, DELETE"));
    assert_eq!(ask(address, "HEAD /api/v1/server").status, 200);
    assert_eq!(ask(address, "HEAD /api/v1/events").status, 200);
    // Neither a preflight nor a method of nobody's.
    let preflight = "OPTIONS /api/v1/server\nOrigin: http://other\nAccess-Control-Request-Method: GET";
    let answer = ask(address, preflight);
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (405, None));
}

#[test]
fn requests_on_one_connection_are_answered_one_after_the_other() {
    let (_server, address) = start(config());
    let mut socket = BufReader::new(TcpStream::connect(address).unwrap());
    socket.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
    let request = "GET /api/v1/connections HTTP/1.1\r\nHost: localhost\r\n\r\n";
    write!(socket.get_mut(), "{}", request.repeat(20)).unwrap();
    for _ in 0..20 {
        let head = head(&mut socket);
        let len =
            head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; len];
        socket.read_exact(&mut body).unwrap();
        let json: Json = serde_json::from_slice(&body).unwrap();
        assert_eq!((&json["total"], &json["connections"][0]["protocol"]), (&1.into(), &"http".into()));
    }
}

#[test]
fn health_is_open_and_says_ok() {
    let (_server, address) = start(Config { admin_token: Some("x".parse().unwrap()), ..config() });
    let answer = ask(address, "GET /healthz\nHost: anything.example");
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
}
