//! Every recorded conversation drives a session: the client's bytes a server, the server's bytes a client.
//!
//! What the session tells and sends is compared with `tests/data/golden/NAME.txt`. Each capture runs whole, at the
//! recorded boundaries, byte by byte and cut at random, and nothing may depend on it. The driver says yes to every
//! request; as a client it sends the commands of the recorded client when that one did.
//! Of conversations over RTSP it is the client's bytes alone: `support/rtsp.rs`.
//!
//! `BLESS=1 cargo test --features pcap --test replay` writes the golden files anew: read the difference.

mod support {
    pub(crate) mod captures;
    pub(crate) mod drive;
    pub(crate) mod rtsp;
    pub(crate) mod script;
    pub(crate) mod transcript;
}

extern crate alloc;

use alloc::collections::BTreeMap;
use core::{fmt::Write, time::Duration};
use std::{env, fs, thread};
use support::{
    captures::{self, Recorded, data},
    drive::{Cut, Driver, NOW, Step},
    script::Script,
    transcript::{event_line, output_lines},
};
use weir::{
    pcap::{Direction, Stream, dissect::dissect},
    rtmp::{ServerConfig, Session},
};

pub(crate) const SEED: u64 = 7;
pub(crate) const RANDOM_CUTS: [u64; 3] = [1, 2, 3];

#[test]
fn every_capture_replays_to_its_golden_transcript_however_it_is_cut() {
    let recorded = captures::all();
    let bless = env::var_os("BLESS").is_some();
    let mut names: Vec<_> = recorded.iter().map(|recorded| format!("{}.txt", recorded.name)).collect();
    let failures: Vec<String> = thread::scope(|scope| {
        let check = |recorded: &[Recorded]| -> Vec<String> {
            recorded.iter().filter_map(|recorded| check_golden(recorded, bless).err()).collect()
        };
        // Two halves: most of the time goes into single bytes.
        let (one, other) = recorded.split_at(recorded.len() / 2);
        let one = scope.spawn(move || check(one));
        let mut failures = check(other);
        failures.extend(one.join().expect("the other half panicked, see above"));
        failures
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));

    let mut golden: Vec<_> = fs::read_dir(data("golden"))
        .expect("tests/data/golden is there")
        .map(|entry| entry.expect("its entries can be read").file_name().to_string_lossy().into_owned())
        .collect();
    golden.sort();
    names.sort();
    assert_eq!(golden, names, "golden files and captures belong together");
}

fn check_golden(recorded: &Recorded, bless: bool) -> Result<(), String> {
    let mut text = match recorded.is_rtsp() {
        true => support::rtsp::transcript(recorded),
        false => transcript(recorded, Direction::FromClient, &recorded.from_client),
    };
    if let Some(server) = recorded.from_server.as_ref().filter(|_| !recorded.is_rtsp()) {
        text.push('\n');
        text.push_str(&transcript(recorded, Direction::FromServer, server));
    }
    let file = data("golden").join(format!("{}.txt", recorded.name));
    if bless {
        return fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()));
    }
    let golden = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let difference = golden.lines().zip(text.lines()).enumerate().find(|(_, (golden, now))| golden != now);
    match difference {
        Some((index, (golden, now))) => {
            Err(format!("{}:{}\n  golden {golden}\n  now    {now}", file.display(), index + 1))
        }
        None if golden != text => Err(format!("{}: one is longer", file.display())),
        None => Ok(()),
    }
}

/// Runs one direction in every way; returns the transcript of the run byte by byte, which knows best what happened
/// after how many bytes.
fn transcript(recorded: &Recorded, input: Direction, stream: &Stream) -> String {
    let role = match input {
        Direction::FromClient => "server",
        Direction::FromServer => "client",
    };
    let run = |cut| match input {
        Direction::FromClient => run_server(stream, cut),
        Direction::FromServer => run_client(recorded, stream, cut),
    };
    let finest = run(Cut::Bytes);
    let cuts = [Cut::Whole, Cut::Segments].into_iter().chain(RANDOM_CUTS.map(Cut::Random));
    for cut in cuts {
        let other = run(cut);
        let what = format!("{}, {role} session, {cut:?}", recorded.name);
        assert_eq!(said(&other), said(&finest), "{what}");
        assert!(other.output == finest.output, "{what}: the output differs");
    }
    let mut text = format!("{role} session\n");
    write_transcript(&finest, recorded, input, stream, &mut text).expect("strings take anything");
    text
}

/// What must not depend on how the input is cut. Events and output are compared apart, as several messages in one
/// piece give their events first.
fn said(driver: &Driver<'_>) -> Vec<Step> {
    let is_sent = |step: &Step| matches!(step, Step::Sent(_));
    driver.steps.iter().map(|(_, step)| step.clone()).filter(|step| !is_sent(step)).collect()
}

fn run_server(stream: &Stream, cut: Cut) -> Driver<'_> {
    let session = Session::server(ServerConfig::default(), SEED, NOW);
    let mut driver = Driver::new(session, stream, cut);
    driver.finish();
    driver
}

fn run_client<'a>(recorded: &Recorded, stream: &'a Stream, cut: Cut) -> Driver<'a> {
    let script = Script::read(&recorded.from_client, stream);
    let session = Session::client(script.config, SEED, NOW);
    let mut driver = Driver::new(session, stream, cut);
    for call in script.calls {
        driver.feed(call.after);
        let result = call.make(&mut driver.session);
        driver.called(result);
    }
    driver.finish();
    driver
}

/// Columns: seconds since the first byte of the capture, who (`C>` and `S>` sent it), what. Offsets are those of the
/// sender. A line of the session's driver has the offset of the input that led to it.
fn write_transcript(
    run: &Driver<'_>,
    recorded: &Recorded,
    input: Direction,
    stream: &Stream,
    text: &mut String,
) -> core::fmt::Result {
    let began = recorded.began();
    let clock = |fed: usize| -> Duration {
        let time = stream.time_at(fed.saturating_sub(1) as u64).unwrap_or_default();
        time.saturating_sub(began)
    };
    let arrow = |direction| match direction {
        Direction::FromClient => "C>",
        Direction::FromServer => "S>",
    };
    let mut output = output_lines(input.reversed(), &run.output).into_iter().peekable();
    for (fed, step) in &run.steps {
        let seconds = clock(*fed).as_secs_f64();
        let line = match step {
            Step::Event(event) => event_line(event),
            Step::Call(call) => format!("call: {call}"),
            Step::End(how) => format!("end: {how}"),
            Step::Sent(total) => {
                while let Some((_, line)) = output.next_if(|(end, _)| end <= total) {
                    writeln!(text, "{seconds:>10.6} {} {line}", arrow(input.reversed()))?;
                }
                continue;
            }
        };
        writeln!(text, "{seconds:>10.6} {} {fed:>7} {line}", arrow(input))?;
    }
    assert_eq!(output.next(), None, "all output is in the transcript");
    Ok(())
}

#[test]
fn every_oddity_of_the_captures_is_explained() {
    let mut found = BTreeMap::<(String, Direction, &str), usize>::new();
    for recorded in captures::all().into_iter().filter(|recorded| !recorded.is_rtsp()) {
        let sides = [
            (Direction::FromClient, Some(&recorded.from_client)),
            (Direction::FromServer, recorded.from_server.as_ref()),
        ];
        for (direction, stream) in sides {
            let Some(stream) = stream else { continue };
            assert_eq!(stream.oddities, [], "{}: nothing is missing", recorded.name);
            for oddity in dissect(direction, &stream.bytes).oddities {
                *found.entry((recorded.name.clone(), direction, oddity.kind.name())).or_default() += 1;
            }
        }
    }
    let explained: BTreeMap<_, _> = EXPLAINED
        .iter()
        .flat_map(|(direction, oddity, _, names)| {
            names.iter().map(move |name| (((*name).to_string(), *direction, *oddity), 1))
        })
        .collect();
    assert_eq!(found, explained);
}

/// Direction, oddity (once each), why, and in which captures.
type Explained = (Direction, &'static str, &'static str, &'static [&'static str]);

const EXPLAINED: &[Explained] = &[
    (
        Direction::FromClient,
        "ends inside a message",
        "a libavformat player leaves with unread media: RST behind the first bytes of deleteStream",
        &[
            "ffmpeg-5.1.9-file-flv-seek-nginx",
            "ffmpeg-5.1.9-play-late-join-srs",
            "ffmpeg-5.1.9-play-late-join-wait-key-interleave-nginx",
            "ffmpeg-5.1.9-play-live-options-nginx",
            "ffmpeg-5.1.9-play-nginx",
            "ffmpeg-5.1.9-play-srs",
            "ffmpeg-9.0.2-play-hevc-srs",
        ],
    ),
    (
        Direction::FromServer,
        "ends inside a message",
        "the client closed while the server was writing",
        &["ffmpeg-5.1.9-play-zlm", "ffmpeg-5.1.9-publish-ffmpeg-listen"],
    ),
    (
        Direction::FromClient,
        "fmt 3 opens a message after fmt 0",
        "GStreamer 1.22.0 sends Window Acknowledgement Size twice, with time 0",
        &[
            "gstreamer-1.22.0-rtmp2sink-publish-acknowledgements-nginx",
            "gstreamer-1.22.0-rtmp2sink-publish-zlm",
            "gstreamer-1.22.0-rtmp2src-play-before-publisher-nginx",
            "gstreamer-1.22.0-rtmp2src-play-nginx",
            "gstreamer-1.22.0-rtmp2src-play-publisher-ends-nginx",
            "gstreamer-1.22.0-rtmp2src-play-stalled-nginx",
        ],
    ),
    (
        Direction::FromClient,
        "fmt 3 opens a message after fmt 0",
        "libavformat sends pause(false) like the pause(true) before it, with time 0",
        &["ffplay-5.1.9-file-pause-seek-flv-nginx", "vlc-3.0.24-file-pause-nginx"],
    ),
    (
        Direction::FromClient,
        "fmt 1 on a fresh chunk stream",
        "librtmp's first Acknowledgement, when it comes before anything else on csid 2",
        &["rtmpdump-2.4-file-acknowledgements-nginx"],
    ),
    (
        Direction::FromServer,
        "unknown user control event",
        "event 8 of an early Flash Media Server",
        &["rtmp_sample"],
    ),
];
