//! `push` against a server in this process.

use crate::{
    Config, Duration, Flv, Instant, LIMIT, clip, expect_steady, frames, port, run, scratch, server,
    server_with, text, thread, tool, until, url, write,
};
use rustix::process::Signal;
use weir::{
    flv::Tag,
    server::{
        Server,
        client::{ClientOptions, Next, Player},
    },
};

const PUSH: &str = env!("CARGO_BIN_EXE_push");
const PULL: &str = env!("CARGO_BIN_EXE_pull");

fn player(server: &Server) -> Player {
    Player::open(&url(port(server)).parse().unwrap(), &ClientOptions::default()).unwrap()
}

/// Frames up to the end of the stream.
fn all(player: &mut Player) -> Vec<Tag> {
    let mut tags = vec![];
    loop {
        match player.next(Instant::now() + LIMIT).unwrap() {
            Next::Tag(tag) => tags.push(tag),
            Next::Ended => return frames(&tags),
            Next::TimedOut => panic!("{} tags came", tags.len()),
        }
    }
}

#[test]
fn a_file_arrives_bit_for_bit_and_the_stream_ends() {
    let server = server(0);
    let file = write("push-whole.flv", &clip(2));
    let mut player = player(&server);
    let mut push = tool("push-whole", PUSH, &["--fast", file.to_str().unwrap(), &url(port(&server))]);
    assert_eq!(all(&mut player), frames(&clip(2)));
    let (code, printed) = push.end();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.starts_with("push: sent: 0:01.9 of media, "), "{printed}");
}

#[test]
fn rounds_follow_each_other_without_a_jump() {
    let server = server(0);
    let file = write("push-rounds.flv", &clip(1));
    let mut player = player(&server);
    let url = url(port(&server));
    let mut push = tool("push-rounds", PUSH, &["--fast", "--loop", "3", file.to_str().unwrap(), &url]);
    let got = all(&mut player);
    assert_eq!(got.len(), 3 * frames(&clip(1)).len());
    expect_steady(&got);
    assert_eq!(push.end().0, Some(0));
}

#[test]
fn time_is_kept_unless_it_is_told_to_hurry() {
    let server = server(0);
    let file = write("push-time.flv", &clip(1));
    let (file, url) = (file.to_str().unwrap(), url(port(&server)));
    let took = |args: &[&str]| {
        let began = Instant::now();
        assert_eq!(run(PUSH, args).status.code(), Some(0));
        began.elapsed()
    };
    // The last frame is due after 970 ms.
    let real = took(&[file, &url]);
    assert!(real >= Duration::from_millis(970), "{real:?}");
    let fast = took(&["--fast", file, &url]);
    assert!(fast < Duration::from_millis(900), "{fast:?}");
}

#[test]
fn wrong_usage_is_2_and_what_fails_later_is_1_each_in_one_line() {
    let file = write("push-codes.flv", &clip(1));
    let file = file.to_str().unwrap();
    let nobody = Config { publish_from: "none".parse().unwrap(), ..Config::default() };
    let server = server_with(0, nobody);
    let everybody = crate::server(0);
    let (url, open_url) = (url(port(&server)), url(port(&everybody)));
    let text_file = scratch("push-text.flv");
    std::fs::write(&text_file, "not media").unwrap();
    for (args, code, names) in [
        (&["--loop", "x", file, &url][..], 2, "push: --loop x"),
        (&["--sideways", file, &url], 2, "push: Unrecognized option"),
        (&["--retries", "3", file, &url], 2, "push: --retries needs --reconnect"),
        (&[file, "http://h/a/b"], 2, "push: URL must start with rtmp://"),
        (&[file], 2, "push: usage"),
        (&["--loop", "2", "-", &url], 2, "push: -: --loop is for files"),
        (&["exec:", &url], 2, "push: exec:: nothing behind the ="),
        (&["exec:exit 3", &open_url], 1, "push: exec:exit 3: the command has ended with exit code 3"),
        (&["-", &open_url], 1, "push: -: it ended before any media came"),
        (&["exec:echo -n FL", &open_url], 1, "push: exec:echo -n FL: it breaks off after 2 bytes"),
        (&["exec:echo not media at all", &open_url], 1, "push: exec:echo not media at all: neither FLV nor"),
        (&["rtmp://127.0.0.1:1/live/far", &open_url], 1, "push: rtmp://127.0.0.1:1/live/far: "),
        (&["x.h264?fps=many", &url], 2, "push: x.h264?fps=many: fps is not"),
        (&["/no/such/file", &url], 1, "push: /no/such/file: "),
        (&[text_file.to_str().unwrap(), &url], 1, "push: "),
        (&[file, &url], 1, "push: 127.0.0.1:"),
        (&["--reconnect", file, &url], 1, "push: 127.0.0.1:"),
        (&[file, "rtmp://127.0.0.1:1/live/cam"], 1, "push: 127.0.0.1:1: connection: "),
    ] {
        let output = run(PUSH, args);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.starts_with(names) && stderr.lines().count() == 1, "{args:?}: {stderr}");
    }
}

#[test]
fn what_a_pipe_a_command_or_another_server_gives_arrives_bit_for_bit() {
    let file = write("push-live.flv", &clip(2));
    let (file, far) = (file.to_str().unwrap(), server(0));
    let (far, from_command) = (url(port(&far)), format!("exec:cat {file}"));
    for (name, spec) in [("stdin", "-"), ("command", &from_command), ("server", &far)] {
        let server = server(0);
        let mut player = player(&server);
        let piped = format!("cat {file} | {PUSH} -v --fast '{spec}' {}", url(port(&server)));
        let mut push = tool(&format!("push-live-{name}"), "sh", &["-c", &piped]);
        if name == "server" {
            // It publishes once it plays there.
            until("it publishes", || push.printed().contains("Publish.Start"));
            assert_eq!(run(PUSH, &["--fast", file, &far]).status.code(), Some(0));
            // That stream may begin anew: it does not end.
            let count = frames(&clip(2)).len();
            let got: Vec<Tag> = core::iter::from_fn(|| match player.next(Instant::now() + LIMIT) {
                Ok(Next::Tag(tag)) => Some(tag),
                other => panic!("{other:?}"),
            })
            .filter(|tag| tag.classify().role.is_frame())
            .take(count)
            .collect();
            assert_eq!(got, frames(&clip(2)));
            continue;
        }
        assert_eq!(all(&mut player), frames(&clip(2)), "{name}");
        assert_eq!(push.end().0, Some(0), "{name}: {}", push.printed());
    }
}

/// A live source cannot go back: a server that comes back gets it from the next keyframe on.
#[test]
fn a_server_that_goes_and_comes_back_gets_a_live_source_from_the_next_keyframe() {
    let server = server(0);
    let port = port(&server);
    let file = write("push-live-again.flv", &clip(6));
    let piped = format!("cat {} | exec {PUSH} --reconnect -v - {}", file.to_str().unwrap(), url(port));
    let mut push = tool("push-live-again", "sh", &["-c", &piped]);
    until("it publishes", || push.printed().contains("keyframe"));
    thread::sleep(Duration::from_millis(1500));
    server.stop();
    until("it notices", || push.printed().contains("again in"));
    let server = crate::server(port);
    let mut player = player(&server);
    let got = all(&mut player);
    let (code, printed) = push.end();
    assert_eq!(code, Some(0), "{printed}");
    let sent = frames(&clip(6));
    assert_eq!(got, sent[sent.len() - got.len()..]);
    assert!(got[0].classify().is_keyframe() && got.len() < sent.len(), "{} frames", got.len());
}

#[test]
fn a_signal_ends_the_stream_properly() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = server(0);
        let file = write(&format!("push-signal-{}.flv", signal.as_raw()), &clip(20));
        let mut player = player(&server);
        let name = format!("push-signal-{}", signal.as_raw());
        let mut push = tool(&name, PUSH, &["-v", file.to_str().unwrap(), &url(port(&server))]);
        assert!(matches!(player.next(Instant::now() + LIMIT).unwrap(), Next::Tag(_)));
        push.signal(signal);
        // At once: a publisher that only vanished would be waited for.
        let asked = Instant::now();
        all(&mut player);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        let (code, printed) = push.end();
        assert_eq!(code, Some(0), "{printed}");
        for step in ["FCUnpublish", "deleteStream", "push: interrupted: "] {
            assert!(printed.contains(step), "{step}: {printed}");
        }
    }
}

#[test]
fn a_server_that_goes_and_comes_back_gets_the_rest_of_the_file() {
    let server = server(0);
    let port = port(&server);
    let file = write("push-again.flv", &clip(5));
    let mut push = tool("push-again", PUSH, &["--reconnect", "-v", file.to_str().unwrap(), &url(port)]);
    until("it publishes", || push.printed().contains("keyframe"));
    thread::sleep(Duration::from_millis(1500));
    server.stop();
    until("it notices", || push.printed().contains("again in"));
    let server = crate::server(port);
    let mut player = player(&server);
    let got = all(&mut player);
    let (code, printed) = push.end();
    assert_eq!(code, Some(0), "{printed}");
    // From a keyframe that was sent to the end, nothing left out.
    let sent = frames(&clip(5));
    let begins = sent.len() - got.len();
    assert_eq!(got, sent[begins..]);
    assert!(got[0].classify().is_keyframe() && begins > 0 && begins <= 2 * 50, "begins at frame {begins}");
}

#[test]
fn attempts_are_counted_and_end() {
    let file = write("push-attempts.flv", &clip(1));
    let url = "rtmp://127.0.0.1:1/live/cam";
    let output = run(PUSH, &["--reconnect", "--retries", "2", file.to_str().unwrap(), url]);
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let lines: Vec<&str> = printed.lines().collect();
    assert!(
        lines.len() == 3 && lines[0].ends_with("(1 of 2)") && lines[1].ends_with("(2 of 2)"),
        "{printed}"
    );
}

#[test]
fn a_signal_ends_the_pause_between_attempts() {
    let file = write("push-pause.flv", &clip(1));
    let args = ["--reconnect", file.to_str().unwrap(), "rtmp://127.0.0.1:1/live/cam"];
    let mut push = tool("push-pause", PUSH, &args);
    until("the third pause", || push.printed().lines().count() == 3);
    push.signal(Signal::TERM);
    let asked = Instant::now();
    let (code, printed) = push.end();
    assert!(code == Some(0) && asked.elapsed() < Duration::from_millis(700), "{code:?} {printed}");
}

#[test]
fn what_is_pulled_can_be_pushed_and_is_the_same() {
    let server = server(0);
    let (source, copy) = (write("push-copy-source.flv", &clip(2)), scratch("push-copy.flv"));
    let url = url(port(&server));
    let mut pull = tool("push-copy-pull", PULL, &["-v", &url, copy.to_str().unwrap()]);
    until("it plays", || pull.printed().contains("Play.Start"));
    assert_eq!(run(PUSH, &["--fast", source.to_str().unwrap(), &url]).status.code(), Some(0));
    assert_eq!(pull.end().0, Some(0));
    let mut player = player(&server);
    assert_eq!(run(PUSH, &["--fast", copy.to_str().unwrap(), &url]).status.code(), Some(0));
    assert_eq!(all(&mut player), frames(&clip(2)));
    assert_eq!(Flv::read(&copy).frames(), frames(&clip(2)));
}
