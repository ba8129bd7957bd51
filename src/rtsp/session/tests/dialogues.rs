//! What real clients say.

use super::*;

#[test]
fn a_player_over_tcp_is_served_from_options_to_teardown() {
    let mut peer = Peer::new(ServerConfig::default());
    peer.say("OPTIONS rtsp://h/live/cam RTSP/1.0\nCSeq: 1\n\n");
    assert_eq!(
        peer.heard(),
        "RTSP/1.0 200 OK\nCSeq: 1\nPublic: OPTIONS, DESCRIBE, ANNOUNCE, SETUP, PLAY, PAUSE, RECORD, TEARDOWN, \
         GET_PARAMETER, SET_PARAMETER\n\n"
    );
    peer.say("DESCRIBE rtsp://h/live/cam?t=1 RTSP/1.0\nCSeq: 2\nAccept: application/sdp\n\n");
    let Some(Event::Describe { request, url }) = peer.event() else { panic!("no DESCRIBE") };
    assert_eq!((url.path(), url.query(), &*format!("{url:?}")), ("/live/cam", "t=1", "Target(/live/cam)"));
    let answer = Answer::Described { sdp: "v=0\r\n".into(), content_base: "rtsp://h/live/cam/".into() };
    peer.session.respond(NOW, request, &answer).unwrap();
    assert_eq!(
        peer.heard(),
        "RTSP/1.0 200 OK\nCSeq: 2\nContent-Base: rtsp://h/live/cam/\nContent-Type: application/sdp\n\
         Content-Length: 5\n\nv=0\n"
    );
    peer.say("SETUP rtsp://h/live/cam/trackID=0 RTSP/1.0\nCSeq: 3\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\n\n");
    let Some(Event::Setup { request, url, transports, mode, is_new_session }) = peer.event() else {
        panic!()
    };
    assert_eq!((url.split_track(), mode, is_new_session), (("/live/cam", Some(0)), Mode::Play, true));
    assert_eq!(transports, [TransportSpec::tcp(0, 1)]);
    let transport = TransportSpec { ssrc: Some(0x1a2b3c4d), ..transports[0].clone() };
    peer.session.respond(NOW, request, &Answer::SetUp { transport }).unwrap();
    let id = peer.session.session_id().map(String::from).unwrap();
    assert_eq!(
        peer.heard(),
        format!(
            "RTSP/1.0 200 OK\nCSeq: 3\nSession: {id};timeout=60\n\
             Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=1A2B3C4D\n\n"
        )
    );
    assert_eq!(peer.session.send_piece(&b"$\0\0\x01x"[..].into()), Err(SendError::NotOpen));
    peer.say(&format!("PLAY rtsp://h/live/cam/ RTSP/1.0\nCSeq: 4\nSession: {id}\nRange: npt=0.000-\n\n"));
    let Some(Event::Play { request, range, .. }) = peer.event() else { panic!() };
    let rtp_info = alloc::vec![RtpInfo {
        url: "rtsp://h/live/cam/trackID=0".into(),
        sequence: Some(4711),
        timestamp: Some(123456)
    }];
    peer.session
        .respond(NOW, request, &Answer::Playing { range, scale: None, speed: None, rtp_info })
        .unwrap();
    peer.session.send_piece(&b"$\0\0\x01x"[..].into()).unwrap();
    assert_eq!(
        peer.heard(),
        format!(
            "RTSP/1.0 200 OK\nCSeq: 4\nSession: {id}\nRange: npt=0.000-\n\
             RTP-Info: url=rtsp://h/live/cam/trackID=0;seq=4711;rtptime=123456\n\n$\0\0\x01x"
        )
    );
    peer.say(&format!("TEARDOWN rtsp://h/live/cam/ RTSP/1.0\nCSeq: 5\nSession: {id}\n\n"));
    let Some(Event::Teardown { request, .. }) = peer.event() else { panic!() };
    peer.session.respond(NOW, request, &Answer::TornDown { session_over: true }).unwrap();
    assert_eq!(peer.heard(), format!("RTSP/1.0 200 OK\nCSeq: 5\nSession: {id}\n\n"));
    assert_eq!((peer.session.session_id(), peer.session.state()), (None, State::Open));
}

/// A dialogue as it was seen, whole, byte by byte and at random: lines of the client with what they are answered.
fn replay(config: &ServerConfig, requests: &str) -> (Vec<Event>, String) {
    let run = |cut: &mut dyn FnMut() -> usize| {
        let mut peer = Peer::new(config.clone());
        let bytes = requests.replace('\n', "\r\n");
        let mut rest = bytes.as_bytes();
        let (mut events, mut heard) = (Vec::new(), String::new());
        while !rest.is_empty() {
            rest = peer.offer(NOW, rest, &mut *cut);
            while let Some(event) = peer.event() {
                let answer = match &event {
                    Event::Describe { .. } => {
                        Answer::Described { sdp: "v=0\r\n".into(), content_base: "rtsp://h/live/a/".into() }
                    }
                    Event::Announce { .. } => Answer::Announced,
                    Event::Setup { transports, url, .. } => match transports[0].lower {
                        Lower::Udp if url.query() == "notudp" => {
                            Answer::Failed(Status::UNSUPPORTED_TRANSPORT)
                        }
                        _ => Answer::SetUp { transport: transports[0].clone() },
                    },
                    Event::Play { range, scale, speed, .. } => {
                        Answer::Playing { range: *range, scale: *scale, speed: *speed, rtp_info: Vec::new() }
                    }
                    Event::Pause { .. } => Answer::Paused { range: None },
                    Event::Record { .. } => Answer::Recording,
                    Event::Teardown { .. } => Answer::TornDown { session_over: true },
                    _ => Answer::Parameters(Vec::new()),
                };
                if let Some(request) = event.request() {
                    peer.session.respond(NOW, request, &answer).expect("it waits");
                }
                events.push(event);
            }
            heard.push_str(&peer.heard());
        }
        (events, heard)
    };
    let whole = run(&mut || usize::MAX);
    assert_eq!(run(&mut || 1), whole, "byte by byte");
    for seed in 1..20_u32 {
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 26) as usize
        };
        assert_eq!(run(&mut random), whole, "cut at random, {seed}");
    }
    whole
}

/// The id that the first session gets in these tests.
fn first_id() -> String {
    auth::secret(1, "session", 1)
}

fn statuses(heard: &str) -> Vec<&str> {
    heard.lines().filter_map(|line| line.strip_prefix("RTSP/1.0 ")).map(|line| &line[..3]).collect()
}

#[test]
fn ffmpeg_plays_falls_back_to_tcp_on_the_same_connection_and_jumps() {
    let id = first_id();
    let agent = "User-Agent: Lavf59.27.100";
    let requests = format!(
        "OPTIONS rtsp://h:8554/live/a RTSP/1.0\nCSeq: 1\n{agent}\n\n\
         DESCRIBE rtsp://h:8554/live/a RTSP/1.0\nAccept: application/sdp\nCSeq: 2\n{agent}\n\n\
         SETUP rtsp://h:8554/live/a/trackID=0 RTSP/1.0\n\
         Transport: RTP/AVP/UDP;unicast;client_port=5000-5001\nCSeq: 3\n{agent}\n\n\
         PLAY rtsp://h:8554/live/a/ RTSP/1.0\nRange: npt=0.000-\nCSeq: 4\n{agent}\nSession: {id}\n\n\
         PAUSE rtsp://h:8554/live/a/ RTSP/1.0\nCSeq: 5\n{agent}\nSession: {id}\n\n\
         SETUP rtsp://h:8554/live/a/trackID=0 RTSP/1.0\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=0-1\nCSeq: 6\n{agent}\n\n\
         PLAY rtsp://h:8554/live/a/ RTSP/1.0\nRange: npt=0.000-\nCSeq: 7\n{agent}\nSession: {id}\n\n\
         PAUSE rtsp://h:8554/live/a/ RTSP/1.0\nCSeq: 8\n{agent}\nSession: {id}\n\n\
         PLAY rtsp://h:8554/live/a/ RTSP/1.0\nRange: npt=4.869-\nCSeq: 9\n{agent}\nSession: {id}\n\n\
         GET_PARAMETER rtsp://h:8554/live/a/ RTSP/1.0\nCSeq: 10\n{agent}\nSession: {id}\n\n\
         TEARDOWN rtsp://h:8554/live/a/ RTSP/1.0\nCSeq: 11\n{agent}\nSession: {id}\n\n"
    );
    let (events, heard) = replay(&ServerConfig::default(), &requests);
    assert_eq!(statuses(&heard), ["200"; 11]);
    let setups: Vec<bool> = events
        .iter()
        .filter_map(|event| match event {
            Event::Setup { is_new_session, .. } => Some(*is_new_session),
            _ => None,
        })
        .collect();
    assert_eq!(setups, [true, false]);
    assert_eq!(heard.matches(&format!("Session: {id};timeout=60\n")).count(), 2);
    let expected = Some(Range::npt(Duration::from_millis(4869), None));
    assert!(events.iter().any(|event| matches!(event, Event::Play { range, .. } if *range == expected)));
    // The sign of life is none of the application's.
    assert_eq!(events.len(), 9);
}

#[test]
fn ffmpeg_pushes_over_tcp_and_its_frames_come_behind_the_answer() {
    let id = first_id();
    let requests = format!(
        "ANNOUNCE rtsp://h/live/a.sdp RTSP/1.0\nContent-Type: application/sdp\nCSeq: 2\nContent-Length: 5\n\nv=0\n\
         SETUP rtsp://h/live/a.sdp/streamid=0 RTSP/1.0\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record\nCSeq: 3\n\n\
         SETUP rtsp://h/live/a.sdp/streamid=1 RTSP/1.0\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=2-3;mode=record\nCSeq: 4\nSession: {id}\n\n\
         RECORD rtsp://h/live/a.sdp RTSP/1.0\nRange: npt=0.000-\nCSeq: 5\nSession: {id}\n\n\
         $\0\0\x03abc$\x03\0\0TEARDOWN rtsp://h/live/a.sdp RTSP/1.0\nCSeq: 6\nSession: {id}\n\n"
    );
    let (events, heard) = replay(&ServerConfig::default(), &requests);
    assert_eq!(statuses(&heard), ["200"; 5]);
    assert!(
        matches!(&events[0], Event::Announce { body, url, .. } if body == b"v=0\r\n" && url.path() == "/live/a.sdp")
    );
    assert!(matches!(&events[1], Event::Setup { mode: Mode::Record, .. }));
    assert_eq!(events[4], Event::Frame { channel: 0, data: b"abc"[..].into() });
    assert_eq!(events[5], Event::Frame { channel: 3, data: Payload::default() });
    assert!(matches!(&events[6], Event::Teardown { .. }));
}

#[test]
fn gstreamer_asks_for_udp_then_multicast_then_tcp() {
    let id = first_id();
    let requests = format!(
        "OPTIONS rtsp://h/live/a?notudp RTSP/1.0\nCSeq: 1\nUser-Agent: GStreamer/1.22.0\n\
         ClientChallenge: 9e26d33f2984236010ef6253fb1887f7\nUser-Agent: GStreamer/1.22.0\n\
         PlayerStarttime: [28/03/2003:22:50:23 00:00]\nCompanyID: KnKV4M4I/B2FjJ1TToLycw==\n\
         GUID: 00000000-0000-0000-0000-000000000000\nRegionData: 0\n\
         ClientID: Linux_2.4_6.0.9.1235_play32_RN01_EN_586\nPragma: initiate-session\n\n\
         DESCRIBE rtsp://h/live/a?notudp RTSP/1.0\nCSeq: 2\nAccept: application/sdp\n\n\
         SETUP rtsp://h/live/a/trackID=0?notudp RTSP/1.0\nCSeq: 3\n\
         Transport: RTP/AVP;unicast;client_port=52574-52575\n\n\
         SETUP rtsp://h/live/a/trackID=0?notudp RTSP/1.0\nCSeq: 4\nTransport: RTP/AVP;multicast\n\n\
         SETUP rtsp://h/live/a/trackID=0?notudp RTSP/1.0\nCSeq: 5\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\n\n\
         $\x01\0\x04rtcpPLAY rtsp://h/live/a/ RTSP/1.0\nCSeq: 6\nRange: npt=now-12\nSession: {id}\n\n\
         PAUSE rtsp://h/live/a/ RTSP/1.0\nCSeq: 7\nSession: {id}\n\n\
         TEARDOWN rtsp://h/live/a/ RTSP/1.0\nCSeq: 8\nSession: {id}\n\n"
    );
    let (events, heard) = replay(&ServerConfig::default(), &requests);
    assert_eq!(statuses(&heard), ["200", "200", "461", "461", "200", "200", "200", "200"]);
    assert!(events.contains(&Event::Frame { channel: 1, data: b"rtcp"[..].into() }));
    let multicast = events
        .iter()
        .any(|event| matches!(event, Event::Setup { transports, .. } if transports[0].is_multicast));
    assert!(multicast);
}

fn with_users() -> ServerConfig {
    let users = alloc::vec![Credentials { name: "admin".into(), password: "secret".into() }];
    ServerConfig { users, realm: "live".into(), ..ServerConfig::default() }
}

/// The login of a client without qop.
fn digest(method: &str, uri: &str, nonce: &str) -> String {
    let offered = format!("Digest realm=\"live\", nonce=\"{nonce}\"");
    let user = &with_users().users[0];
    let best = auth::Challenge::best([&*offered].into_iter()).expect("a challenge");
    format!("Authorization: {}\n", best.answer(user, method, uri, 1, ""))
}

#[test]
fn live555_logs_in_with_the_aggregate_url_and_begins_with_cseq_2() {
    let (id, nonce) = (first_id(), auth::secret(1, "nonce", 0));
    let agent = "User-Agent: LibVLC/3.0.21 (LIVE555 Streaming Media v2026.06.01)";
    let login = |method| digest(method, "rtsp://h/live/a/", &nonce);
    let requests = format!(
        "OPTIONS rtsp://h/live/a RTSP/1.0\nCSeq: 2\n{agent}\n\n\
         DESCRIBE rtsp://h/live/a RTSP/1.0\nCSeq: 3\n{agent}\nAccept: application/sdp\n\n\
         DESCRIBE rtsp://h/live/a RTSP/1.0\nCSeq: 4\n{}{agent}\nAccept: application/sdp\n\n\
         SETUP rtsp://h/live/a/trackID=0 RTSP/1.0\nCSeq: 5\n{}{agent}\n\
         Transport: RTP/AVP;unicast;client_port=52574-52575\n\n\
         PLAY rtsp://h/live/a/ RTSP/1.0\nCSeq: 6\n{}{agent}\nSession: {id}\nRange: npt=0.000-\n\n\
         PLAY rtsp://h/live/a/ RTSP/1.0\nCSeq: 7\n{agent}\nSession: {id}\nScale: 2.000000\n\n\
         GET_PARAMETER rtsp://h/live/a/ RTSP/1.0\nCSeq: 8\n{agent}\nSession: {id}\n\n\
         TEARDOWN rtsp://h/live/a/ RTSP/1.0\nCSeq: 9\n{agent}\nSession: {id}\n\n",
        digest("DESCRIBE", "rtsp://h/live/a", &nonce),
        login("SETUP"),
        login("PLAY"),
    );
    let (events, heard) = replay(&with_users(), &requests);
    assert_eq!(statuses(&heard), ["200", "401", "200", "200", "200", "200", "200", "200"]);
    assert!(heard.contains("CSeq: 7\n") && heard.contains("\nScale: 2.0\n"), "{heard}");
    assert_eq!(events.len(), 5, "neither the challenge nor the sign of life is told: {events:?}");
    let challenges: Vec<&str> = heard.lines().filter(|line| line.starts_with("WWW-Authenticate")).collect();
    assert_eq!(challenges.len(), 3);
    let digest = format!("WWW-Authenticate: Digest realm=\"live\", nonce=\"{nonce}\"");
    // ffmpeg 5.1 takes the last Digest and gives up if that is SHA-256.
    assert_eq!(challenges[..2], [format!("{digest}, algorithm=SHA-256"), digest]);
}

#[test]
fn logins_are_asked_for_where_streams_are_and_stale_ones_are_told() {
    let mut peer = Peer::new(with_users());
    // A nonce of another connection.
    let stale = digest("SETUP", "rtsp://h/a", "abc");
    peer.say(&format!("SETUP rtsp://h/a RTSP/1.0\n{stale}Transport: RTP/AVP/TCP\n\n"));
    let heard = peer.heard();
    assert_eq!(heard.matches(", stale=TRUE").count(), 2, "{heard}");
    for method in ["DESCRIBE", "ANNOUNCE", "SETUP"] {
        peer.say(&format!("{method} rtsp://h/a RTSP/1.0\nTransport: RTP/AVP/TCP\nContent-Length: 1\n\nv"));
        assert_eq!(statuses(&peer.heard()), ["401"], "{method}");
        assert_eq!((peer.event(), peer.session.user()), (None, None));
    }
    peer.say("GET_PARAMETER rtsp://h/a RTSP/1.0\n\n");
    assert_eq!(statuses(&peer.heard()), ["200"]);
    peer.say("SETUP rtsp://h/a RTSP/1.0\nTransport: RTP/AVP/TCP\nAuthorization: Basic YWRtaW46c2VjcmV0\n\n");
    assert!(matches!(peer.event(), Some(Event::Setup { .. })));
    assert_eq!(peer.session.user(), Some("admin"));
}

#[test]
fn a_recorder_that_requires_a_back_channel_retries_without() {
    let requests = "DESCRIBE rtsp://h/live/a RTSP/1.0\nCSeq: 1\nRequire: www.onvif.org/ver20/backchannel\n\n\
         DESCRIBE rtsp://h/live/a RTSP/1.0\nCSeq: 2\nTimestamp: 12.5\n\n";
    let (events, heard) = replay(&ServerConfig::default(), requests);
    assert_eq!(statuses(&heard), ["551", "200"]);
    assert!(heard.contains("Unsupported: www.onvif.org/ver20/backchannel\n"));
    assert!(heard.contains("CSeq: 2\nTimestamp: 12.5\n"));
    assert_eq!(events[0], Event::Refused(Refusal::Option));
}

#[test]
fn parameters_are_answered_or_not_understood() {
    let mut peer = Peer::new(ServerConfig::default());
    let body = "position\npackets_received\n".replace('\n', "\r\n");
    let request = |method: &str, body: &str| {
        let len = body.replace('\n', "\r\n").len();
        format!(
            "{method} * RTSP/1.0\nCSeq: 1\nContent-Type: text/parameters\nContent-Length: {len}\n\n{body}"
        )
    };
    assert_eq!(body.len(), 28);
    let ask = request("GET_PARAMETER", "position\npackets_received\n");
    let known = Answer::Parameters(alloc::vec![("position".into(), "1.5".into())]);
    let heard = peer.ask(&ask, &known);
    assert_eq!(
        heard,
        "RTSP/1.0 200 OK\nCSeq: 1\nContent-Type: text/parameters\nContent-Length: 15\n\nposition: 1.5\n"
    );
    assert!(peer.ask(&ask, &Answer::Parameters(Vec::new())).starts_with("RTSP/1.0 451 "));
    let set = request("SET_PARAMETER", "a: b\nc\n");
    peer.say(&set);
    let Some(Event::SetParameter { request, parameters, .. }) = peer.event() else { panic!() };
    assert_eq!(parameters, [("a".into(), "b".into()), ("c".into(), String::new())]);
    peer.session.respond(NOW, request, &Answer::Parameters(Vec::new())).unwrap();
    assert_eq!(peer.heard(), "RTSP/1.0 200 OK\nCSeq: 1\n\n");
}

#[test]
fn methods_that_do_not_fit_the_state_are_refused_and_those_that_change_nothing_are_not() {
    let mut peer = Peer::new(ServerConfig::default());
    let id = peer.set_up("RTP/AVP/TCP;interleaved=0-1");
    peer.say(&format!("PAUSE rtsp://h/a RTSP/1.0\nSession: {id}\n\n"));
    assert_eq!(statuses(&peer.heard()), ["200"]);
    for request in [
        format!("RECORD rtsp://h/a RTSP/1.0\nSession: {id}\n\n"),
        "ANNOUNCE rtsp://h/a RTSP/1.0\nContent-Length: 1\n\nv".into(),
        "SETUP rtsp://h/a RTSP/1.0\nTransport: RTP/AVP/TCP;mode=record\n\n".into(),
    ] {
        peer.say(&request);
        assert_eq!(statuses(&peer.heard()), ["455"], "{request}");
    }
    for (fields, status) in
        [("Range: bytes=1-", "457"), ("Scale: x", "400"), ("Scale: 0", "400"), ("Speed: -1", "400")]
    {
        peer.say(&format!("PLAY rtsp://h/a RTSP/1.0\nSession: {id}\n{fields}\n\n"));
        assert_eq!(statuses(&peer.heard()), [status], "{fields}");
    }
    // Backwards, on a session whose track is set up again while it plays.
    while peer.event().is_some() {}
    peer.play(&id);
    peer.set_up("RTP/AVP/TCP;interleaved=4-5");
    assert!(peer.session.is_playing());
    peer.say(&format!("PLAY rtsp://h/a RTSP/1.0\nSession: {id};timeout=60\nScale: -4.0\n\n"));
    assert!(matches!(peer.event(), Some(Event::Play { scale: Some(-4.0), .. })));
}
