//! Cameras as they are: each says what its script tells it to.

use super::{super::sources::quick, *};
use sha2::{Digest, Sha256};
use std::{fmt::Write as _, net::TcpListener};
use weir::{
    flv::Codec,
    rtp::{
        Format,
        send::{Sender, Sink},
    },
    server::source::SourceConfig,
};

const SDP: &str = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=cam\r\na=control:*\r\nt=0 0\r\n\
    m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:track3\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LACtkEJsBEAAADAAQAAAMAyDxImSA=,aMuDyyA=\r\na=control:track1\r\n";

/// A request as a camera sees it.
struct Request {
    method: String,
    url: String,
    head: String,
}

impl Request {
    fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

/// Answers each request with what `script` says: status line and fields without `CSeq`, a body, frames behind it.
struct Camera {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

type Answer = (String, String, Vec<u8>);

impl Camera {
    fn start(script: impl Fn(&Request) -> Answer + Send + 'static) -> Camera {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = heard.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for socket in listener.incoming() {
                let _ = serve(socket.unwrap(), &script, &all);
            }
        });
        Camera { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn serve(
    mut socket: TcpStream,
    script: &impl Fn(&Request) -> Answer,
    all: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        // Reports of the player come between requests.
        while let [b'$', _, high, low, ..] = input[..] {
            let len = 4 + usize::from(u16::from_be_bytes([high, low]));
            if input.len() < len {
                break;
            }
            input.drain(..len);
        }
        let end = input.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end.filter(|_| input[0] != b'$') else {
            let count = socket.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            input.extend_from_slice(&buffer[..count]);
            continue;
        };
        let head = String::from_utf8(input.drain(..end + 4).collect()).unwrap();
        all.lock().unwrap().push(head.clone());
        let mut words = head.split(' ');
        let request = Request {
            method: words.next().unwrap().into(),
            url: words.next().unwrap().into(),
            head: head.clone(),
        };
        let (status, body, frames) = script(&request);
        let cseq = request.field("CSeq").unwrap();
        let mut answer = format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n");
        if !body.is_empty() {
            write!(answer, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        socket.write_all(&[answer.as_bytes(), b"\r\n", body.as_bytes(), &frames].concat())?;
    }
}

fn say(status: &str) -> Answer {
    (status.into(), String::new(), Vec::new())
}

/// What a camera without peculiarities says.
fn usual(request: &Request) -> Answer {
    match &*request.method {
        "OPTIONS" => say("200 OK\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"),
        "DESCRIBE" => ("200 OK\r\nContent-Type: application/sdp".into(), SDP.into(), Vec::new()),
        "SETUP" => {
            say(&format!("200 OK\r\nSession: 12345678\r\nTransport: {}", request.field("Transport").unwrap()))
        }
        "PLAY" => ("200 OK\r\nSession: 12345678".into(), String::new(), media()),
        _ => say("200 OK"),
    }
}

struct Frames(Vec<u8>);

impl Sink for Frames {
    fn packet(&mut self, _: usize, header: &[u8; 12], payload: &[&[u8]]) {
        let packet = [&header[..], &payload.concat()].concat();
        self.0.extend([b'$', 0]);
        self.0.extend((packet.len() as u16).to_be_bytes());
        self.0.extend(packet);
    }
}

fn pictures() -> Vec<Tag> {
    (0..10).map(|number| picture(number * 40, number == 0, 1000 + number as usize)).collect()
}

/// Some pictures on channel 0.
fn media() -> Vec<u8> {
    let format = Format::to_send(Codec::H264, RECORD, None).unwrap();
    let mut sender = Sender::new(vec![format], 1, 1400);
    let mut frames = Frames(Vec::new());
    pictures().iter().for_each(|tag| sender.write(tag, &mut frames));
    frames.0
}

/// Plays the camera through a server of ours, and waits for its last picture.
#[track_caller]
fn play(url: &str) -> Server {
    let sources = vec![SourceConfig::parse(&format!("live/cam={url}")).unwrap()];
    let (server, address) = start(Config { sources, retry: quick(), ..config() });
    let (mut player, _) = Client::player(address, "cam");
    let last = pictures().pop().unwrap();
    let tags = player.tags_up_to(|tag| tag.body == last.body);
    let bodies: Vec<&[u8]> = tags
        .iter()
        .filter(|tag| tag.kind == weir::flv::TagKind::Video && tag.classify().role.is_frame())
        .map(|tag| &*tag.body)
        .collect();
    assert!(bodies.iter().zip(&pictures()).all(|(body, tag)| **body == *tag.body) && bodies.len() == 10);
    server
}

#[test]
fn the_track_that_can_be_read_is_set_up_and_its_query_goes_to_the_camera() {
    let camera = Camera::start(usual);
    let address = camera.address;
    let server = play(&format!("rtsp://{address}/a?channel=1&transport=tcp&on-demand=1&subtype=0"));
    drop(server);
    until("it says that it leaves", || camera.heard().iter().any(|head| head.starts_with("TEARDOWN")));
    let heard = camera.heard();
    let lines: Vec<&str> = heard.iter().map(|head| head.lines().next().unwrap()).collect();
    let url = format!("rtsp://{address}/a?channel=1&subtype=0");
    assert_eq!(
        lines[..4],
        [
            format!("OPTIONS {url} RTSP/1.0"),
            format!("DESCRIBE {url} RTSP/1.0"),
            format!("SETUP {url}/track1 RTSP/1.0"),
            format!("PLAY {url} RTSP/1.0"),
        ]
    );
    assert_eq!(field(&heard[2], "Transport"), Some("RTP/AVP/TCP;unicast;interleaved=0-1"));
    assert_eq!(field(&heard[3], "Range"), Some("npt=0.000-"));
}

#[test]
fn a_camera_that_refuses_udp_is_played_over_tcp() {
    let camera = Camera::start(|request| match request.field("Transport") {
        Some(transport) if transport.contains("client_port") => say("461 Unsupported Transport"),
        _ => usual(request),
    });
    let _server = play(&format!("rtsp://{}/a?transport=udp", camera.address));
    let heard = camera.heard();
    let setups: Vec<&str> = heard.iter().filter_map(|head| field(head, "Transport")).collect();
    assert!(setups[0].starts_with("RTP/AVP;unicast;client_port=2") || setups[0].contains("client_port="));
    assert_eq!(setups[1], "RTP/AVP/TCP;unicast;interleaved=0-1");
}

#[test]
fn a_camera_that_changes_its_session_is_asked_with_the_latest() {
    let camera = Camera::start(|request| {
        let (status, body, frames) = usual(request);
        let id = if request.method == "DESCRIBE" { "before" } else { "behind" };
        (status.replace("12345678", id) + "\r\nX-Other: 1", body, frames)
    });
    let _server = play(&format!("rtsp://{}/a", camera.address));
    let heard = camera.heard();
    let play = heard.iter().find(|head| head.starts_with("PLAY")).unwrap();
    assert_eq!(field(play, "Session"), Some("behind"));
}

#[test]
fn a_camera_that_knows_basic_alone_gets_it() {
    let camera = Camera::start(|request| match request.field("Authorization") {
        // admin:se cret
        Some("Basic YWRtaW46c2UgY3JldA==") => usual(request),
        None if request.method == "OPTIONS" => usual(request),
        _ => say("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"cam\""),
    });
    let _server = play(&format!("rtsp://admin:se%20cret@{}/a", camera.address));
    assert!(!camera.heard().iter().any(|head| head.contains("se%20cret")), "the login is in a URL");
    assert!(!logged("se%20cret") && !logged("se cret"));
}

#[test]
fn a_camera_that_knows_sha_256_alone_gets_it() {
    let hex =
        |text: String| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let camera = Camera::start(move |request| {
        let given = request.field("Authorization").unwrap_or("");
        let value = |name: &str| {
            let (_, rest) = given.split_once(&format!("{name}=\""))?;
            Some(rest.split('"').next()?.to_string())
        };
        let secret = hex("admin:cam:secret".into());
        let what = hex(format!("{}:{}", request.method, request.url));
        let right = hex(format!("{secret}:abc123:{what}"));
        if value("response") == Some(right) && value("username").as_deref() == Some("admin") {
            return usual(request);
        }
        say("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"abc123\", algorithm=SHA-256")
    });
    let _server = play(&format!("rtsp://admin:secret@{}/a", camera.address));
}

#[test]
fn a_camera_that_has_moved_is_followed_and_another_host_is_not_told_the_login() {
    let there = Camera::start(usual);
    let location = format!("rtsp://localhost:{}/b", there.address.port());
    // To the same host first.
    let same = Camera::start(move |request| match &*request.method {
        "DESCRIBE" => say(&format!("302 Moved\r\nLocation: {location}")),
        _ => usual(request),
    });
    let second = format!("rtsp://{}/again", same.address);
    let first = Camera::start(move |request| match &*request.method {
        "DESCRIBE" if request.field("Authorization").is_none() => {
            say("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"cam\"")
        }
        "DESCRIBE" => say(&format!("301 Moved\r\nLocation: {second}")),
        _ => usual(request),
    });
    let _server = play(&format!("rtsp://u:hidden@{}/a", first.address));
    assert!(there.heard().iter().all(|head| !head.contains("Authorization")));
    assert!(logged(&format!("rtsp://{}/a has moved to rtsp://{}/again", first.address, same.address)));
}

#[test]
fn cameras_that_send_each_other_their_clients_are_given_up() {
    let to = Arc::new(Mutex::new(String::new()));
    let location = to.clone();
    let camera = Camera::start(move |request| match &*request.method {
        "DESCRIBE" => say(&format!("302 Moved\r\nLocation: {}", location.lock().unwrap())),
        _ => usual(request),
    });
    *to.lock().unwrap() = format!("rtsp://{}/round?token=t-o-k", camera.address);
    let sources = vec![SourceConfig::parse(&format!("live/round=rtsp://{}/a", camera.address)).unwrap()];
    let (_server, _) = start(Config { sources, ..config() });
    until("it is given up", || {
        logged(&format!(
            "live/round: rtsp://{0}/a failed: moved too often, the last time to rtsp://{0}/round",
            camera.address
        ))
    });
    let describes = camera.heard().iter().filter(|head| head.starts_with("DESCRIBE")).count();
    assert_eq!(describes, 6);
    assert!(!logged("t-o-k"));
}

#[test]
fn what_a_camera_refuses_is_told_with_method_and_status() {
    for (method, status) in
        [("DESCRIBE", "404 Not Found"), ("SETUP", "453 Not Enough Bandwidth"), ("PLAY", "503 Busy")]
    {
        let camera = Camera::start(move |request| match request.method == method {
            true => say(status),
            false => usual(request),
        });
        let at = camera.address;
        let sources = vec![SourceConfig::parse(&format!("live/no=rtsp://{at}/a")).unwrap()];
        let (_server, _) = start(Config { sources, ..config() });
        let line = format!("live/no: rtsp://{at}/a failed: {at}: {method} was answered {}", &status[..3]);
        until(&line, || logged(&line));
    }
}

#[test]
fn a_camera_that_says_goodbye_is_asked_again() {
    let camera = Camera::start(|request| {
        let (status, body, mut frames) = usual(request);
        if request.method == "PLAY" {
            let ssrc = frames[12..16].to_vec();
            // An empty report and the goodbye, on the channel for them.
            frames.extend(b"$\x01\0\x10\x80\xc9\0\x01");
            frames.extend([&ssrc[..], b"\x81\xcb\0\x01", &ssrc].concat());
        }
        (status, body, frames)
    });
    let at = camera.address;
    let _server = play(&format!("rtsp://{at}/bye"));
    until("the goodbye is told", || {
        logged(&format!("live/cam: rtsp://{at}/bye failed: {at}: it has said goodbye"))
    });
    until("it is played again", || {
        camera.heard().iter().filter(|head| head.starts_with("PLAY")).count() >= 2
    });
}

#[test]
fn the_api_tells_of_a_camera_without_its_secrets() {
    let camera = Camera::start(usual);
    let at = camera.address;
    let server = play(&format!("rtsp://u:hush@{at}/user=a_password=hush/1?key=hush"));
    let mut socket = TcpStream::connect(server.addresses()[0]).unwrap();
    socket
        .write_all(b"GET /api/v1/streams/live%2Fcam HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    for fact in [
        r#""kind":"pull""#,
        r#""protocol":"rtsp""#,
        &format!(r#""address":"{at}""#),
        &format!("rtsp://{at}\""),
    ] {
        assert!(answer.contains(fact), "{fact} is not in {answer}");
    }
    assert!(!answer.contains("hush") && !logged("hush"));
}
