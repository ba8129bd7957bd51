//! A client against a server of this module, and against what cameras answer.

use super::*;
use alloc::collections::VecDeque;

fn config(url: &str) -> ClientConfig {
    ClientConfig {
        limits: Limits::default(),
        url: url.into(),
        credentials: None,
        role: Role::Play,
        user_agent: "t".into(),
    }
}

/// A client, and what it has written.
struct Camera {
    client: Client,
    events: VecDeque<ClientEvent>,
    cut: usize,
}

impl Camera {
    fn new(config: ClientConfig) -> Camera {
        Camera { client: Client::new(config, 2, NOW), events: VecDeque::new(), cut: usize::MAX }
    }

    /// The requests since the last call.
    fn asked(&mut self) -> String {
        let mut slices = [&[][..]; 64];
        let count = self.client.output(&mut slices);
        let bytes = slices[..count].concat();
        self.client.advance_output(bytes.len());
        String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
    }

    fn try_say(&mut self, text: &str) -> Result<(), Error> {
        let bytes = text.replace('\n', "\r\n");
        let mut rest = bytes.as_bytes();
        while !rest.is_empty() {
            let len = self.cut.min(rest.len());
            let taken = self.client.handle_input(NOW, &rest[..len]);
            while let Some(event) = self.client.poll_event() {
                self.events.push_back(event);
            }
            let taken = taken?;
            assert!(taken > 0, "not taken: {text}");
            rest = &rest[taken..];
        }
        Ok(())
    }

    fn say(&mut self, text: &str) {
        self.try_say(text).expect("no error");
    }

    /// Up to the description.
    fn describe(&mut self, fields: &str) {
        self.asked();
        self.say("RTSP/1.0 200 OK\nCSeq: 1\nPublic: OPTIONS, DESCRIBE, GET_PARAMETER\n\n");
        self.asked();
        self.say(&format!("RTSP/1.0 200 OK\nCSeq: 2\n{fields}Content-Length: 5\n\nv=0\n"));
        let event = self.events.pop_front();
        assert!(matches!(&event, Some(ClientEvent::Described { sdp, .. }) if sdp == "v=0\r\n"), "{event:?}");
    }

    /// Up to one track over TCP.
    fn set_up(&mut self) {
        self.describe("");
        self.client.set_up(NOW, &[("trackID=0", TransportSpec::tcp(0, 1))]).unwrap();
        self.asked();
        self.say(
            "RTSP/1.0 200 OK\nCSeq: 3\nSession: abc;timeout=30\nTransport: RTP/AVP/TCP;interleaved=0-1\n\n",
        );
        assert!(matches!(self.events.pop_front(), Some(ClientEvent::SetUp { index: 0, .. })));
    }
}

#[test]
fn a_client_plays_from_options_to_teardown_however_answers_are_cut() {
    for cut in [usize::MAX, 1, 3, 7] {
        let mut camera = Camera::new(config("rtsp://u:p%40@cam/live?t=1"));
        camera.cut = cut;
        assert_eq!(camera.asked(), "OPTIONS rtsp://cam/live?t=1 RTSP/1.0\nCSeq: 1\nUser-Agent: t\n\n");
        camera.say("RTSP/1.0 200 OK\nCSeq: 1\nPublic: OPTIONS, DESCRIBE, GET_PARAMETER\n\n");
        assert_eq!(
            camera.asked(),
            "DESCRIBE rtsp://cam/live?t=1 RTSP/1.0\nCSeq: 2\nUser-Agent: t\nAccept: application/sdp\n\n"
        );
        camera.say("RTSP/1.0 200 OK\nCSeq: 2\nContent-Base: rtsp://cam/live/\nContent-Length: 5\n\nv=0\n");
        let expected = ClientEvent::Described { sdp: "v=0\r\n".into(), base: "rtsp://cam/live/".into() };
        assert_eq!(camera.events.pop_front(), Some(expected));
        let tracks = [("trackID=0", TransportSpec::tcp(0, 1)), ("rtsp://cam/x", TransportSpec::tcp(2, 3))];
        camera.client.set_up(NOW, &tracks).unwrap();
        assert_eq!(
            camera.asked(),
            "SETUP rtsp://cam/live/trackID=0 RTSP/1.0\nCSeq: 3\nUser-Agent: t\n\
             Transport: RTP/AVP/TCP;unicast;interleaved=0-1\n\n"
        );
        camera.say(
            "RTSP/1.0 200 OK\nCSeq: 3\nSession: abc; timeout=30\nTransport: RTP/AVP/TCP;ssrc= 1A 2B3C4D\n\n",
        );
        let transport = TransportSpec { ssrc: Some(0x1a2b3c4d), ..TransportSpec::tcp(0, 1) };
        assert_eq!(camera.events.pop_front(), Some(ClientEvent::SetUp { index: 0, transport }));
        // The session of the latest answer counts.
        assert!(camera.asked().contains("SETUP rtsp://cam/x RTSP/1.0\nCSeq: 4\nSession: abc\n"));
        camera.say("RTSP/1.0 200 OK\nSession: def ;\nTransport: RTP/AVP/TCP;interleaved=4-5;\n\n");
        let transport = TransportSpec::tcp(4, 5);
        assert_eq!(camera.events.pop_front(), Some(ClientEvent::SetUp { index: 1, transport }));
        camera.client.play(NOW, Some(Range::npt(Duration::ZERO, None)), None).unwrap();
        assert_eq!(
            camera.asked(),
            "PLAY rtsp://cam/live/ RTSP/1.0\nCSeq: 5\nSession: def\nUser-Agent: t\nRange: npt=0.000-\n\n"
        );
        camera.say(
            "$\0\0\x02abRTSP/1.0 200 OK\nCSeq: 5\nRange: npt=now-\n\
             RTP-Info: url=trackID=0;seq=7;rtptime=9, url=x\n\n$\x01\0\x01c",
        );
        let frame = |channel, data: &[u8]| Some(ClientEvent::Frame { channel, data: data.into() });
        assert_eq!(camera.events.pop_front(), frame(0, b"ab"));
        let rtp_info = alloc::vec![
            RtpInfo { url: "trackID=0".into(), sequence: Some(7), timestamp: Some(9) },
            RtpInfo { url: "x".into(), sequence: None, timestamp: None },
        ];
        let started = ClientEvent::Started { range: Some(Range::now()), rtp_info };
        assert_eq!(camera.events.pop_front(), Some(started));
        assert_eq!(camera.events.pop_front(), frame(1, b"c"));
        // Half of the 30 seconds of the server.
        assert_eq!(camera.client.poll_timeout(), Some(MonoTime(15_000)));
        camera.client.handle_timeout(MonoTime(15_000)).unwrap();
        assert_eq!(
            camera.asked(),
            "GET_PARAMETER rtsp://cam/live/ RTSP/1.0\nCSeq: 6\nSession: def\nUser-Agent: t\n\n"
        );
        camera.say("RTSP/1.0 200 OK\nCSeq: 6\n\n");
        camera.client.teardown(NOW).unwrap();
        assert!(camera.asked().starts_with("TEARDOWN rtsp://cam/live/ RTSP/1.0\nCSeq: 7\nSession: def\n"));
        camera.say("RTSP/1.0 200 OK\nCSeq: 7\n\n");
        assert_eq!(camera.events.pop_front(), Some(ClientEvent::TornDown));
        assert_eq!(camera.client.state(), State::Closing);
        camera.client.handle_eof(NOW).unwrap();
        assert_eq!((camera.client.state(), camera.client.poll_timeout()), (State::Closed, None));
    }
}

#[test]
fn a_client_logs_in_once_with_the_best_it_is_offered() {
    let credentials = Credentials { name: "u".into(), password: "p".into() };
    let mut camera =
        Camera::new(ClientConfig { credentials: Some(credentials), ..config("rtsp://x:y@cam/a") });
    camera.asked();
    camera.say(
        "RTSP/1.0 401 Unauthorized\nCSeq: 1\nWWW-Authenticate: Basic realm=\"r\"\n\
         WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5\n\
         WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256\n\n",
    );
    let asked = camera.asked();
    assert!(
        asked.starts_with("OPTIONS rtsp://cam/a RTSP/1.0\nCSeq: 2\nAuthorization: Digest username=\"u\","),
        "{asked}"
    );
    assert!(asked.contains("algorithm=SHA-256\n"), "{asked}");
    let refused =
        camera.try_say("RTSP/1.0 401 No\nCSeq: 2\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\n\n");
    assert_eq!(refused.map_err(|error| error.kind), Err(ErrorKind::LoginRefused));

    let mut camera = Camera::new(config("rtsp://cam/a"));
    let refused = camera.try_say("RTSP/1.0 401 No\nCSeq: 1\nWWW-Authenticate: Basic realm=\"r\"\n\n");
    assert_eq!(refused.map_err(|error| error.kind), Err(ErrorKind::LoginRefused));
}

#[test]
fn nonces_that_serve_once_are_answered_for_ever_but_not_in_a_row() {
    let mut camera = Camera::new(config("rtsp://u:p@cam/a"));
    let challenge = |cseq: u32| {
        format!("RTSP/1.0 401 No\nCSeq: {cseq}\nWWW-Authenticate: Digest realm=\"r\", nonce=\"{cseq}\"\n\n")
    };
    let mut cseq = 1;
    camera.say(&challenge(cseq));
    cseq += 1;
    camera.say(&format!("RTSP/1.0 200 OK\nCSeq: {cseq}\n\n"));
    for _ in 0..8 {
        cseq += 1;
        camera.say(&challenge(cseq));
    }
    let refused = camera.try_say(&challenge(cseq + 1));
    assert_eq!(refused.map_err(|error| error.kind), Err(ErrorKind::LoginRefused));
}

#[test]
fn a_client_does_what_cameras_expect_and_takes_what_they_send() {
    let mut camera = Camera::new(config("rtsp://cam/a"));
    camera.asked();
    // A first answer that is none, without CSeq and with noise before it.
    camera.say("\n\n\x00\x01RTSP/1.0 501 Not Implemented\n\n");
    assert!(camera.asked().starts_with("DESCRIBE "));
    camera.say(
        "RTSP/1.0 200 OK\nbroken line\nCSeq:  2 ;\nContent-Base : cam/b/ ;\nContent-Length: 5;\n\nv=0\n",
    );
    let expected = ClientEvent::Described { sdp: "v=0\r\n".into(), base: "rtsp://cam/b/".into() };
    assert_eq!(camera.events.pop_front(), Some(expected));
    // What the server asks is answered.
    camera.say("OPTIONS * RTSP/1.0\nCSeq: 7\n\nANNOUNCE * RTSP/1.0\nCSeq: 8\n\nSET_PARAMETER * RTSP/1.0\nCSeq: 9\n\n");
    assert_eq!(
        camera.asked(),
        "RTSP/1.0 200 OK\nCSeq: 7\n\nRTSP/1.0 501 Not Implemented\nCSeq: 8\n\nRTSP/1.0 200 OK\nCSeq: 9\n\n"
    );
    camera.say("REDIRECT * RTSP/1.0\nCSeq: 10\nLocation: rtsp://b/?secret\n\n");
    let moved = camera.events.pop_front();
    assert_eq!(moved, Some(ClientEvent::Moved { location: "rtsp://b/?secret".into() }));
    assert_eq!(format!("{moved:?} {:?}", camera.client.state()), "Some(Moved) Open");
}

#[test]
fn a_track_that_is_refused_can_be_asked_for_again_over_tcp() {
    let mut camera = Camera::new(config("rtsp://cam/a"));
    camera.describe("");
    assert_eq!(camera.client.play(NOW, None, None), Err(ApiMisuse::WrongState));
    camera.client.set_up(NOW, &[("t", TransportSpec::udp(6, 7))]).unwrap();
    assert!(camera.asked().contains("SETUP rtsp://cam/a/t "));
    camera.say("RTSP/1.0 461 Unsupported Transport\nCSeq: 3\n\n");
    let refused = ClientEvent::SetUpRefused { index: 0, status: Status::UNSUPPORTED_TRANSPORT };
    assert_eq!(camera.events.pop_front(), Some(refused));
    camera.client.set_up(NOW, &[("t", TransportSpec::tcp(0, 1))]).unwrap();
    assert!(camera.asked().contains("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\n"));
}

#[test]
fn errors_name_method_and_status_and_redirects_are_told() {
    let mut camera = Camera::new(config("rtsp://cam/a"));
    camera.say("RTSP/1.0 200 OK\nCSeq: 1\n\n");
    let error = camera.try_say("RTSP/1.0 404 Not Found\nCSeq: 2\n\n").expect_err("refused");
    assert_eq!(format!("{error}"), "DESCRIBE was answered 404 Not Found");
    assert_eq!(camera.client.handle_input(NOW, b"x"), Err(error), "sticky");

    let mut camera = Camera::new(config("rtsp://cam/a"));
    camera.say("RTSP/1.0 200 OK\nCSeq: 1\n\nRTSP/1.0 302 Moved\nCSeq: 2\nLocation: rtsp://b/\n\n");
    assert_eq!(camera.events.pop_front(), Some(ClientEvent::Moved { location: "rtsp://b/".into() }));
    assert_eq!(camera.client.state(), State::Closing);

    let mut camera = Camera::new(config("rtsp://cam/a"));
    let eof = camera.client.handle_eof(NOW).map_err(|error| error.kind);
    assert_eq!(eof, Err(ErrorKind::PeerClosed));
}

#[test]
fn a_server_that_is_silent_is_given_up_but_not_one_that_sends() {
    let mut camera = Camera::new(config("rtsp://cam/a"));
    assert_eq!(camera.client.poll_timeout(), Some(MonoTime(10_000)));
    let error = camera.client.handle_timeout(MonoTime(10_000)).map_err(|error| error.kind);
    assert_eq!(error, Err(ErrorKind::TimedOut(Timer::Answer)));

    let mut camera = Camera::new(config("rtsp://cam/a"));
    camera.set_up();
    for (sign, method) in [(15_000, "GET_PARAMETER"), (40_000, "GET_PARAMETER")] {
        assert_eq!(camera.client.poll_timeout(), Some(MonoTime(sign)));
        camera.client.handle_timeout(MonoTime(sign)).unwrap();
        assert!(camera.asked().starts_with(method));
        // Not answered, but frames come.
        camera.client.handle_input(MonoTime(sign), b"$\0\0\x01x").unwrap();
        camera.client.handle_timeout(MonoTime(sign + 10_000)).unwrap();
    }
    camera.client.handle_timeout(MonoTime(65_000)).unwrap();
    assert!(camera.client.handle_timeout(MonoTime(75_000)).is_err());

    // One that does not have GET_PARAMETER after all is asked for its methods.
    let mut camera = Camera::new(config("rtsp://cam/a"));
    camera.set_up();
    camera.client.handle_timeout(MonoTime(15_000)).unwrap();
    camera.say("RTSP/1.0 501 Not Implemented\nCSeq: 4\n\n");
    camera.asked();
    camera.client.handle_timeout(MonoTime(30_000)).unwrap();
    assert!(camera.asked().starts_with("OPTIONS "));
    let lost = camera.try_say("RTSP/1.0 454 Session Not Found\nCSeq: 5\n\n");
    assert_eq!(
        lost.map_err(|error| error.kind),
        Err(ErrorKind::Refused(Method::Options, Status::SESSION_NOT_FOUND))
    );
}

#[test]
fn client_and_server_understand_each_other_in_both_directions() {
    let users = alloc::vec![Credentials { name: "u".into(), password: "p".into() }];
    for is_recording in [false, true] {
        let server = ServerConfig { users: users.clone(), ..ServerConfig::default() };
        let mut peer = Peer::new(server);
        let role = if is_recording { Role::Record { sdp: "v=0\r\n".into() } } else { Role::Play };
        let mut client = Client::new(ClientConfig { role, ..config("rtsp://u:p@h/live/a") }, 2, NOW);
        let (mut seen, mut frames) = (String::new(), 0);
        for _ in 0..20 {
            let mut slices = [&[][..]; 64];
            let count = client.output(&mut slices);
            let bytes = slices[..count].concat();
            client.advance_output(bytes.len());
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                rest = peer.offer(NOW, rest, || 5);
                while let Some(event) = peer.event() {
                    let answer = match &event {
                        Event::Describe { .. } => Answer::Described {
                            sdp: "v=0\r\n".into(),
                            content_base: "rtsp://h/live/a/".into(),
                        },
                        Event::Announce { .. } => Answer::Announced,
                        Event::Setup { transports, .. } => Answer::SetUp { transport: transports[0].clone() },
                        Event::Play { .. } => {
                            Answer::Playing { range: None, scale: None, speed: None, rtp_info: Vec::new() }
                        }
                        Event::Record { .. } => Answer::Recording,
                        Event::Teardown { .. } => Answer::TornDown { session_over: true },
                        Event::Frame { .. } => {
                            frames += 1;
                            continue;
                        }
                        other => panic!("{other:?}"),
                    };
                    peer.session
                        .respond(NOW, event.request().expect("a request"), &answer)
                        .expect("it waits");
                }
            }
            if peer.session.is_playing() {
                peer.session.send_frame(0, b"x").unwrap();
            }
            let bytes = peer.session.link.output.to_vec();
            peer.session.advance_output(bytes.len());
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                rest = &rest[client.handle_input(NOW, rest).expect("no error")..];
                while let Some(event) = client.poll_event() {
                    match &event {
                        ClientEvent::Described { .. } | ClientEvent::Announced => {
                            client.set_up(NOW, &[("streamid=0", TransportSpec::tcp(0, 1))]).unwrap();
                        }
                        ClientEvent::SetUp { .. } if is_recording => client.record(NOW).unwrap(),
                        ClientEvent::SetUp { .. } => client.play(NOW, None, None).unwrap(),
                        ClientEvent::Started { .. } if is_recording => {
                            client.send_frame(0, b"x").unwrap();
                            client.teardown(NOW).unwrap();
                        }
                        ClientEvent::Frame { .. } => {
                            frames += 1;
                            client.teardown(NOW).unwrap();
                        }
                        _ => {}
                    }
                    seen.push_str(&format!("{event:?} "));
                }
            }
        }
        assert_eq!(frames, 1, "{seen}");
        assert!(seen.ends_with("TornDown "), "{seen}");
        assert_eq!((client.state(), peer.session.session_id()), (State::Closing, None));
    }
}
