//! `pull` against a server in this process.

use crate::{
    Duration, Flv, Instant, Process, clip, expect_steady, frames, port, run, scratch, server, server_with,
    text, thread, tool, until, url, write,
};
use core::ops::Range;
use rustix::process::Signal;
use std::fs;
use weir::{
    flv::{Tag, TagRole},
    server::{
        Config,
        client::{ClientOptions, Publisher},
    },
};

const PULL: &str = env!("CARGO_BIN_EXE_pull");

fn publisher(port: u16) -> Publisher {
    Publisher::open(&url(port).parse().unwrap(), &ClientOptions::default()).unwrap()
}

/// Sends configuration and so many frames of a long clip.
fn send(publisher: &mut Publisher, count: Range<usize>) {
    let clip = clip(60);
    let (headers, media) = clip.split_at(3);
    let headers = if count.start == 0 { headers } else { &[] };
    headers.iter().chain(&media[count]).for_each(|tag| publisher.send_tag(tag).unwrap());
}

/// A pull that has its first tags of a stream.
fn start(name: &str, flags: &[&str], port: u16, publisher: &mut Publisher) -> (Process, std::path::PathBuf) {
    let file = scratch(&format!("{name}.flv"));
    let _ = fs::remove_file(&file);
    let url = url(port);
    let args = [flags, &["-v", &url, file.to_str().unwrap()]].concat();
    let pull = tool(name, PULL, &args);
    until("it plays", || pull.printed().contains("Play.Start"));
    send(publisher, 0..100);
    until("media arrives", || frames_in(&file) >= 100);
    (pull, file)
}

/// Frames in a file that is being written.
fn frames_in(file: &std::path::Path) -> usize {
    Flv::read_growing(file).frames().len()
}

#[test]
fn however_it_ends_the_file_is_whole() {
    for end in ["stream", "SIGINT", "SIGTERM", "server"] {
        let server = server(0);
        let mut publisher = publisher(port(&server));
        let (mut pull, file) = start(&format!("pull-end-{end}"), &[], port(&server), &mut publisher);
        let mut server = Some(server);
        match end {
            "stream" => publisher.finish().unwrap(),
            "SIGINT" => pull.signal(Signal::INT),
            "SIGTERM" => pull.signal(Signal::TERM),
            _ => server.take().unwrap().stop(),
        }
        let (code, printed) = pull.end();
        assert_eq!(code, Some(0), "{end}: {printed}");
        let flv = Flv::read(&file);
        flv.expect_finished();
        assert_eq!(flv.frames(), frames(&clip(60))[..100], "{end}");
        assert_eq!(flv.metadata().get("width").and_then(|width| width.as_number()), Some(640.0));
        if end.starts_with("SIG") {
            assert!(printed.contains("deleteStream") && printed.contains("pull: interrupted: "), "{printed}");
        }
    }
}

#[test]
fn a_file_can_be_read_at_any_moment_even_after_kill() {
    let server = server(0);
    let mut publisher = publisher(port(&server));
    let (mut pull, file) = start("pull-kill", &[], port(&server), &mut publisher);
    pull.signal(Signal::KILL);
    assert_eq!(pull.end().0, None);
    let flv = Flv::read_growing(&file);
    assert_eq!(flv.frames(), frames(&clip(60))[..100]);
    assert_eq!(flv.has, (true, true));
}

#[test]
fn a_connection_that_breaks_is_a_failure_and_leaves_a_whole_file() {
    let mut weir = tool("pull-break-weir", env!("CARGO_BIN_EXE_weir"), &["-l", "127.0.0.1:0"]);
    let listening =
        |log: String| Some(log.split_once("listening on 127.0.0.1:")?.1.split_once(' ')?.0.parse().unwrap());
    until("weir listens", || listening(weir.printed()).is_some());
    let port = listening(weir.printed()).unwrap();
    let mut publisher = publisher(port);
    let (mut pull, file) = start("pull-break", &[], port, &mut publisher);
    weir.signal(Signal::KILL);
    weir.end();
    let (code, printed) = pull.end();
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.lines().last().unwrap().starts_with("pull: 127.0.0.1:"), "{printed}");
    let flv = Flv::read(&file);
    flv.expect_finished();
    assert_eq!(flv.frames(), frames(&clip(60))[..100]);
}

#[test]
fn a_server_that_goes_and_comes_back_leaves_no_jump_in_the_file() {
    let server = server(0);
    let port = port(&server);
    let mut publisher = publisher(port);
    let (mut pull, file) = start("pull-again", &["--reconnect"], port, &mut publisher);
    server.stop();
    until("it notices", || pull.printed().contains("again in"));
    let server = crate::server(port);
    until("it plays again", || pull.printed().matches("Play.Start").count() == 2);
    let mut publisher = self::publisher(port);
    send(&mut publisher, 0..100);
    publisher.finish().unwrap();
    let (code, printed) = pull.end();
    assert_eq!(code, Some(0), "{printed}");
    drop(server);
    let flv = Flv::read(&file);
    flv.expect_finished();
    let (got, sent) = (flv.frames(), frames(&clip(60)));
    let bodies: Vec<_> = got.iter().map(|tag| tag.body.clone()).collect();
    let twice: Vec<_> = sent[..100].iter().chain(&sent[..100]).map(|tag| tag.body.clone()).collect();
    assert_eq!(bodies, twice);
    expect_steady(&got);
}

#[test]
fn without_reconnect_a_lost_server_is_a_failure_that_is_named() {
    let server = server(0);
    let mut publisher = publisher(port(&server));
    let file = scratch("pull-lost.flv");
    // Nothing says that the stream ends: the address just falls silent.
    let (mut pull, _) = start("pull-lost", &["--wait", "1"], port(&server), &mut publisher);
    let (code, printed) = pull.end();
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.lines().last().unwrap().ends_with(": nothing came for 1 s"), "{printed}");
    Flv::read(&file).expect_finished();
}

#[test]
fn a_duration_is_kept_and_told() {
    let server = server(0);
    let mut publisher = publisher(port(&server));
    let (mut pull, file) = start("pull-duration", &["--duration", "3"], port(&server), &mut publisher);
    assert!(pull.is_running());
    send(&mut publisher, 100..200);
    let (code, printed) = pull.end();
    assert_eq!(code, Some(0), "{printed}");
    let flv = Flv::read(&file);
    flv.expect_finished();
    let last = flv.frames().last().unwrap().timestamp.0;
    assert!((2960..3000).contains(&last), "{last}");
}

#[test]
fn wrong_usage_is_2_and_what_fails_later_is_1_each_in_one_line() {
    let server = server(0);
    let url = url(port(&server));
    let file = scratch("pull-codes.flv");
    let file = file.to_str().unwrap();
    for (args, code, names) in [
        (&["--duration", "long", &url, file][..], 2, "pull: --duration long: "),
        (&["--duration", "-1", &url, file], 2, "pull: --duration -1: not between"),
        (&["--start", "nan", &url, file], 2, "pull: --start nan: not between"),
        (&["--start", "1", "--live", &url, file], 2, "pull: --start is for files"),
        (&["--retries", "1", &url, file], 2, "pull: --retries needs --reconnect"),
        (&[&url], 2, "pull: usage"),
        (&[&url, "/no/such/folder/x.flv"], 1, "pull: /no/such/folder/x.flv: "),
        (&["--wait", "1", &url, file], 1, "pull: rtmp://127.0.0.1:"),
        (&["rtmp://127.0.0.1:1/live/cam", file], 1, "pull: 127.0.0.1:1: connection: "),
    ] {
        let output = run(PULL, args);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.starts_with(names) && stderr.lines().count() == 1, "{args:?}: {stderr}");
    }
}

#[test]
fn standard_output_gets_the_stream_and_nothing_else() {
    let server = server(0);
    let port = port(&server);
    let url = url(port);
    let sending = thread::spawn(move || {
        let mut publisher = publisher(port);
        // It joins late, with the group of pictures.
        send(&mut publisher, 0..100);
        publisher.serve(Instant::now() + Duration::from_secs(2)).unwrap();
        publisher.finish().unwrap();
    });
    let output = run(PULL, &["-v", &url, "-"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    sending.join().unwrap();
    let file = scratch("pull-stdout.flv");
    fs::write(&file, &output.stdout).unwrap();
    let flv = Flv::read(&file);
    assert!(flv.tags.iter().any(|(_, tag)| tag.classify().role == TagRole::Keyframe));
    assert!(text(&output.stderr).contains("NetStream.Play.Start"));
}

#[test]
fn a_token_in_the_url_is_never_printed() {
    let server = server_with(0, Config { demo: true, ..Config::default() });
    let url = format!("rtmp://127.0.0.1:{}/live/demo?token=secret", port(&server));
    let file = scratch("pull-token.flv");
    let output = run(PULL, &["-v", "--duration", "0.1", &url, file.to_str().unwrap()]);
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(printed.contains("demo?...") && !printed.contains("secret"), "{printed}");
}

/// A server whose files are in a folder of their own.
fn files(name: &str, seconds: u32) -> Config {
    let folder = scratch(name);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(write(&format!("{name}.flv"), &clip(seconds)), folder.join("clip.flv")).unwrap();
    Config { media: Some(folder), ..Config::default() }
}

fn file_url(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/vod/clip")
}

#[test]
fn a_file_on_the_server_comes_whole_or_from_where_it_is_asked_for() {
    let server = server_with(0, files("pull-files", 6));
    let url = file_url(port(&server));
    let file = scratch("pull-file.flv");
    let args = ["-v", "--live", "--wait", "1", &url, file.to_str().unwrap()];
    let live = run(PULL, &args);
    assert_eq!(live.status.code(), Some(1), "nobody publishes it: {}", text(&live.stderr));
    for (flags, skipped) in [(&[][..], 0), (&["--start", "3.5"], 3 * 50)] {
        let args = [flags, &[&url, file.to_str().unwrap()]].concat();
        let output = run(PULL, &args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let flv = Flv::read(&file);
        flv.expect_finished();
        // From the keyframe before it.
        let bodies = |tags: &[Tag]| tags.iter().map(|tag| tag.body.clone()).collect::<Vec<_>>();
        assert_eq!(bodies(&flv.frames()), bodies(&frames(&clip(6))[skipped..]), "{flags:?}");
    }
}

#[test]
fn a_file_on_a_server_that_goes_and_comes_back_is_whole_and_nothing_is_in_it_twice() {
    let config = files("pull-files-again", 20);
    let server = server_with(0, config.clone());
    let port = port(&server);
    let file = scratch("pull-file-again.flv");
    let args = ["--reconnect", &file_url(port), file.to_str().unwrap()];
    let mut pull = tool("pull-file-again", PULL, &args);
    until("media arrives", || file.exists() && frames_in(&file) > 200);
    server.stop();
    until("it notices", || pull.printed().contains("again in"));
    let had = frames_in(&file);
    let _server = server_with(port, config);
    let (code, printed) = pull.end();
    assert_eq!(code, Some(0), "{printed}");
    let flv = Flv::read(&file);
    flv.expect_finished();
    assert!(had < 900, "{had}: cut in the middle");
    assert_eq!(flv.frames(), frames(&clip(20)));
}
