//! The pages in a real browser: Debian's Chromium, driven by the scripts in `tests/e2e/browser/`, shows what a real
//! ffmpeg publishes to the real server.
//!
//! A program of its own, one test at a time: delays are measured, and the other tests would be in the way. A script is a
//! case: it opens pages, waits and judges. What it needs beside the browser it says in lines that begin with `>> `,
//! see [`Case::obey`]; all other lines are its report. What is published carries its own clock and frame numbers, see
//! [`counter`]. Needs what tools/setup.sh installs.

#![expect(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test has std anyway")]

#[allow(dead_code, reason = "what the other program of this folder compares with")]
mod material;
#[path = "../support/process.rs"]
mod process;
#[allow(dead_code, reason = "what the other program of this folder plays with")]
mod programs;
#[allow(dead_code, reason = "each test program uses its own part of the support code")]
#[path = "../support/tls.rs"]
mod tls;
#[allow(dead_code, reason = "each test program uses its own part of the support code")]
#[path = "../support/wait.rs"]
mod wait;

use process::Process;
use programs::Server;
use rustix::process::Signal;
use std::{
    collections::HashMap,
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

#[test]
fn pages_play_by_flv_websocket_and_hls_and_stay_close_to_live() {
    run("plays", &[]);
}

#[test]
fn pages_play_on_when_a_publisher_is_killed_or_ended_and_comes_back() {
    run("returns", &[]);
}

#[test]
fn a_page_says_what_is_missing_and_begins_by_itself() {
    run("waits", &[]);
}

#[test]
fn the_demo_is_seen_within_a_second() {
    run("demo", &["--demo"]);
}

#[test]
fn more_pages_than_a_browser_has_connections_play_at_once() {
    run("many", &[]);
}

#[test]
fn the_console_shows_what_is_live_and_its_buttons_do_what_they_say() {
    run("console", &["--record", "recordings"]);
}

#[test]
fn pages_can_be_used_with_the_keyboard_alone() {
    run("keyboard", &[]);
}

#[test]
fn pages_are_kept_as_pictures_of_a_desktop_and_a_phone() {
    run("pictures", &["--record", "recordings"]);
}

#[test]
fn pages_play_through_tls() {
    let folder = programs::scratch().join("browser-certificate");
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let (certificate, key) = tls::Pair::new("weir").write(&folder);
    let [certificate, key] = [certificate, key].map(|file| file.display().to_string());
    run_at("https", "sealed", &["--tls-cert", &certificate, "--tls-key", &key]);
}

/// Runs the script `name` with a server of its own; prints its report.
fn run(name: &str, flags: &[&str]) {
    run_at("http", name, flags);
}

/// The same by `http` or `https`.
fn run_at(scheme: &str, name: &str, flags: &[&str]) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::start(&format!("browser-{name}"), flags);
    let script = repository().join(format!("tests/e2e/browser/{name}.mjs"));
    let arguments = [
        format!("WEIR_ORIGIN={}", server.origin().replace("http", scheme)),
        format!("WEIR_SCREENSHOTS={}", target().join("screenshots").display()),
        "node".to_string(),
        script.display().to_string(),
    ];
    let script = server.run(name, "env", arguments);
    let mut case = Case { server, publishers: HashMap::new() };
    case.attend(name, script);
}

/// A script at work, and what it has asked for.
struct Case {
    server: Server,
    /// By the key that they publish to.
    publishers: HashMap<String, Process>,
}

impl Case {
    /// Does what the script asks for until it ends; fails if it fails.
    fn attend(&mut self, name: &str, mut script: Process) {
        let deadline = Instant::now() + LIMIT;
        let mut done = 0;
        loop {
            let is_running = script.is_running();
            let printed = script.printed();
            // The last line may be half written.
            let (whole, _) = printed.rsplit_once('\n').unwrap_or_default();
            let asked = whole.lines().filter_map(|line| line.strip_prefix(ASKS)).skip(done);
            for request in asked {
                self.obey(request);
                done += 1;
            }
            if !is_running {
                break;
            }
            assert!(Instant::now() < deadline, "{name} does not end\n{}", script.tail());
            thread::sleep(Duration::from_millis(20));
        }
        let (code, printed) = script.end();
        let report = printed.lines().filter(|line| !line.starts_with(ASKS));
        let report: String = report.map(|line| format!("    {line}\n")).collect();
        assert_eq!(code, Some(0), "{name}:\n{report}");
        // A closed standard output is not what this tests.
        let _ = io::stdout().write_all(format!("\n  in the browser: {name}\n{report}").as_bytes());
    }

    /// `publish KEY`: the counter; `publish-old KEY`: a codec that no browser has; `kill KEY`: without a word to anybody;
    /// `end KEY`: properly.
    fn obey(&mut self, request: &str) {
        let (what, key) = request.split_once(' ').unwrap_or((request, ""));
        match what {
            "publish" => self.publish(key, &["libx264", "-preset", "ultrafast", "-tune", "zerolatency"]),
            "publish-old" => self.publish(key, &["flv"]),
            "kill" => self.publisher(key).kill(),
            "end" => {
                let publisher = self.publisher(key);
                publisher.signal(Signal::TERM);
                // ffmpeg's own code for a signal.
                publisher.end_with(&[255]);
            }
            _ => panic!("{request}?"),
        }
    }

    fn publish(&mut self, key: &str, codec: &[&str]) {
        let url = self.server.url(key);
        let picture = counter();
        let sound = "sine=frequency=440:sample_rate=44100,arealtime";
        let inputs = ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", sound];
        let video = ["-pix_fmt", "yuv420p", "-g", "50", "-b:v", "900k"];
        let output = ["-c:a", "aac", "-b:a", "64k", "-f", "flv", &url];
        let arguments =
            [&["-nostdin", "-v", "error"], &inputs[..], &["-c:v"], codec, &video, &output].concat();
        let publisher = self.server.run(&format!("publisher of {key}"), "ffmpeg", arguments);
        self.publishers.insert(key.to_string(), publisher);
    }

    fn publisher(&mut self, key: &str) -> Process {
        self.publishers.remove(key).unwrap_or_else(|| panic!("nobody publishes {key}"))
    }
}

/// A test picture, 640 x 360 at 25 a second, that says when it was made: in its left lower corner, squares of 16 pixels for
/// bits, the lowest first, white for 1. Above, the time of day in hundredths of a second, its lowest 16 bits as a Gray
/// code, and a white square behind them; below, the number of the frame, and a black one. `realtime` and not `-re`, for which ffmpeg makes
/// nine frames ahead.
fn counter() -> String {
    let clock = "mod(floor(time(0)*100),65536)";
    let mut graph =
        String::from("testsrc2=size=640x360:rate=25,realtime,drawbox=y=328:w=272:h=32:color=black:t=fill");
    let mut square = |column: u32, row: u32, is_white: &str| {
        let (x, y) = (column * 16, 328 + row * 16);
        graph.push_str(&format!(",drawbox=x={x}:y={y}:w=16:h=16:color=white:t=fill:enable='{is_white}'"));
    };
    for bit in 0..16 {
        let shifted = |value: &str, bits: u32| format!("floor({value}/{})", 1_u32 << bits);
        square(bit, 0, &format!("mod({}+{},2)", shifted(clock, bit), shifted(clock, bit + 1)));
        square(bit, 1, &format!("mod({},2)", shifted("n", bit)));
    }
    square(16, 0, "1");
    graph
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo builds.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().map_or_else(PathBuf::new, PathBuf::from)
}

/// What a script begins its requests with.
const ASKS: &str = ">> ";

/// No script takes longer, on a slow machine either.
const LIMIT: Duration = Duration::from_secs(300);
