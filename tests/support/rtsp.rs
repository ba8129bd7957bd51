//! What recorded clients of RTSP say, to a session whose application says yes to everything: a transcript, which does not
//! depend on how the bytes are cut.
//!
//! A client repeats the id that it was given: where the recorded server gave another one than this session does, the bytes
//! that are fed have this session's.

use super::{
    captures::Recorded,
    drive::{Cut, Cutter, NOW},
    transcript::hash,
};
use crate::{RANDOM_CUTS, SEED};
use alloc::sync::Arc;
use core::fmt::Write;
use weir::{
    pcap::Stream,
    rtsp::{Answer, Event, Lower, Range, ServerConfig, Session, TransportSpec},
};

/// One line each: seconds since the first byte, who has sent it, offset of the sender, what.
pub(crate) fn transcript(recorded: &Recorded) -> String {
    let stream = with_our_id(recorded);
    let finest = Run::new(&stream, Cut::Bytes);
    for cut in [Cut::Whole, Cut::Segments].into_iter().chain(RANDOM_CUTS.map(Cut::Random)) {
        let other = Run::new(&stream, cut);
        let what = format!("{}, {cut:?}", recorded.name);
        assert_eq!(other.said, finest.said, "{what}");
        assert_eq!(other.output, finest.output, "{what}: the output differs");
    }
    let mut text = String::from("server session\n");
    for (fed, line) in &finest.lines {
        let time = stream.time_at(fed.saturating_sub(1) as u64).unwrap_or_default();
        let seconds = time.saturating_sub(recorded.began()).as_secs_f64();
        writeln!(text, "{seconds:>10.6} {line}").expect("strings take anything");
    }
    text
}

/// One run of a session.
struct Run {
    /// What the session told.
    said: Vec<String>,
    output: Vec<u8>,
    /// That, and what it has sent, with the bytes of input before it.
    lines: Vec<(usize, String)>,
}

impl Run {
    fn new(stream: &Stream, cut: Cut) -> Run {
        let mut session = session();
        let mut cutter = Cutter::new(stream, cut);
        let mut run = Run { said: Vec::new(), output: Vec::new(), lines: Vec::new() };
        let mut fed = 0;
        while fed < stream.bytes.len() {
            let end = cutter.piece_end(fed);
            while fed < end {
                let taken =
                    session.handle_input(NOW, &stream.bytes[fed..end]).expect("no client is that wrong");
                assert!(taken > 0, "takes nothing at {fed}");
                fed += taken;
                run.settle(&mut session, &mut cutter, fed);
            }
        }
        let how = match session.handle_eof(NOW) {
            Ok(()) => format!("end: {:?}", session.state()),
            Err(error) => format!("end: {error}"),
        };
        run.settle(&mut session, &mut cutter, fed);
        run.say(fed, how);
        run
    }

    fn say(&mut self, fed: usize, line: String) {
        self.lines.push((fed, format!("C> {fed:>7} {line}")));
        self.said.push(line);
    }

    /// Takes events, answers them, and takes the output.
    fn settle(&mut self, session: &mut Session, cutter: &mut Cutter<'_>, fed: usize) {
        while let Some(event) = session.poll_event() {
            self.say(fed, event_line(&event));
            if let Some(request) = event.request() {
                session.respond(NOW, request, &answer(&event)).expect("it waits");
            }
        }
        let begun = self.output.len();
        while session.output_len() > 0 {
            let mut slices = [&[][..]; 8];
            let filled = session.output(&mut slices);
            let bytes = slices[..filled].concat();
            let taken = cutter.taken(bytes.len());
            session.advance_output(taken);
            self.output.extend_from_slice(&bytes[..taken]);
        }
        let text = String::from_utf8_lossy(&self.output[begun..]).replace("\r\n", " | ");
        if !text.is_empty() {
            self.lines.push((fed, format!("S> {:>7} {}", begun, text.trim_end_matches([' ', '|']))));
        }
    }
}

fn session() -> Session {
    Session::server(Arc::new(ServerConfig::default()), SEED, NOW)
}

/// What the client sent, with the id of this session in place of the recorded one.
fn with_our_id(recorded: &Recorded) -> Stream {
    let mut stream = recorded.from_client.clone();
    let server = recorded.from_server.as_ref().expect("both directions are recorded");
    let said = String::from_utf8_lossy(&server.bytes);
    let Some((_, rest)) = said.split_once("\r\nSession: ") else { return stream };
    let theirs = rest.split([';', '\r']).next().expect("there is a first part").as_bytes();
    let mut session = session();
    let setup = b"SETUP rtsp://h/a RTSP/1.0\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n";
    session.handle_input(NOW, setup).expect("that is right");
    let event = session.poll_event().expect("it is asked");
    session.respond(NOW, event.request().expect("it waits"), &answer(&event)).expect("it waits");
    let ours = session.session_id().expect("it has begun").as_bytes();
    assert_eq!(ours.len(), theirs.len(), "offsets must stay");
    for at in 0..stream.bytes.len().saturating_sub(theirs.len()) {
        if stream.bytes[at..].starts_with(theirs) {
            stream.bytes[at..at + ours.len()].copy_from_slice(ours);
        }
    }
    stream
}

fn answer(event: &Event) -> Answer {
    match event {
        Event::Describe { url, .. } => Answer::Described {
            sdp: "v=0\r\n".into(),
            content_base: format!("{}/", url.url().trim_end_matches('/')),
        },
        Event::Announce { .. } => Answer::Announced,
        Event::Setup { transports, .. } => {
            let first = transports.first().expect("there is one");
            let server_port = (first.lower == Lower::Udp).then_some((6970, 6971));
            Answer::SetUp { transport: TransportSpec { server_port, ..first.clone() } }
        }
        Event::Play { scale, speed, .. } => Answer::Playing {
            range: Some(Range::npt(core::time::Duration::ZERO, None)),
            scale: *scale,
            speed: *speed,
            rtp_info: Vec::new(),
        },
        Event::Pause { .. } => Answer::Paused { range: None },
        Event::Record { .. } => Answer::Recording,
        Event::Teardown { .. } => Answer::TornDown { session_over: true },
        _ => Answer::Parameters(Vec::new()),
    }
}

fn event_line(event: &Event) -> String {
    match event {
        Event::Describe { url, .. } => format!("describe {}", url.url()),
        Event::Announce { url, body, .. } => {
            let sdp = String::from_utf8_lossy(body).replace("\r\n", " | ");
            format!("announce {} {sdp}", url.url())
        }
        Event::Setup { url, transports, mode, is_new_session, .. } => {
            let offers: Vec<String> = transports.iter().map(ToString::to_string).collect();
            let first = if *is_new_session { ", first" } else { "" };
            format!("setup {} {mode:?}{first}: {}", url.url(), offers.join(", "))
        }
        Event::Play { url, range, scale, speed, .. } => {
            format!("play {} {range:?} scale {scale:?} speed {speed:?}", url.url())
        }
        Event::Pause { url, .. } => format!("pause {}", url.url()),
        Event::Record { url, range, .. } => format!("record {} {range:?}", url.url()),
        Event::Teardown { url, .. } => format!("teardown {}", url.url()),
        Event::Frame { channel, data } => {
            format!("frame {channel} len {} {:016x}", data.len(), hash(data))
        }
        other => format!("{other:?}"),
    }
}
