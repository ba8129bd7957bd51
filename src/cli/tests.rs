//! What the command line means, and what it is told when it means nothing.

use super::*;
use alloc::vec;

fn config(args: &[&str]) -> Config {
    match parse(args.iter().map(ToString::to_string)) {
        Ok(Command::Run { config, .. }) => *config,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn error(args: &[&str]) -> String {
    parse(args.iter().map(ToString::to_string)).expect_err("must be refused").to_string()
}

#[test]
fn without_flags_the_defaults_hold() {
    let config = config(&[]);
    assert_eq!(config.listen, ["[::]:1935", "[::]:8080", "[::]:8554"].map(|text| text.parse().unwrap()));
    assert_eq!((config.gop_cache, config.max_queue, config.max_connections), (8 << 20, 8 << 20, 10_000));
    assert_eq!(
        (config.merge, config.resume_window.as_secs(), config.demo),
        (Merge::AudioWithVideo, 10, false)
    );
}

#[test]
fn every_flag_with_a_value_reaches_the_configuration() {
    let config = config(&[
        "--listen=127.0.0.1:0",
        "-l",
        "2000",
        "--media",
        "films",
        "--demo",
        "--source",
        "live/a=a.flv?loop=0",
        "-s",
        "live/b=-",
        "--pull",
        "live/c=rtmp://h/live/c?token=1",
        "--push",
        "live/a=rtmp://h/live/a",
        "--origin",
        "rtmp://h/x?token=1",
        "--publish-from",
        "any",
        "--takeover",
        "always",
        "--resume-window",
        "2.5",
        "--subscriber-threads",
        "3",
        "--merge",
        "100",
        "--gop-cache",
        "0",
        "--max-connections",
        "7",
        "--hls",
        "always",
        "--max-queue",
        "512KiB",
        "--capture",
        "dir",
        "--record",
        "films",
        "--record-match",
        "live/*",
        "--record-match",
        "a/**",
        "--record-format",
        "mp4",
        "--record-segment",
        "60",
        "--record-max-size",
        "1G",
        "--record-keep",
        "5",
        "--record-name",
        "{date}/{path}",
    ]);
    assert_eq!(config.listen, vec!["127.0.0.1:0".parse().unwrap(), "[::]:2000".parse().unwrap()]);
    assert!(config.demo && config.publish_from.contains("8.8.8.8".parse().unwrap()));
    assert_eq!((config.takeover, config.resume_window), (Takeover::Always, Duration::from_millis(2500)));
    assert_eq!((config.subscriber_threads, config.max_connections, config.hls), (3, 7, Hls::Always));
    assert_eq!(config.merge, Merge::Gather(Duration::from_millis(100)));
    assert_eq!((config.gop_cache, config.max_queue), (0, 512 << 10));
    assert_eq!((config.capture, config.media), (Some("dir".into()), Some("films".into())));
    let sources: Vec<&str> = config.sources.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(sources, ["live/a", "live/b", "live/c"]);
    assert_eq!(config.pushes[0].url.to_string(), "rtmp://h/live/a");
    assert_eq!(config.origin.unwrap().to_string(), "rtmp://h/x");
    let expected = RecordConfig {
        directory: "films".into(),
        patterns: vec!["live/*".parse().unwrap(), "a/**".parse().unwrap()],
        format: RecordFormat::Mp4,
        segment: Some(Duration::from_secs(60)),
        max_size: Some(1 << 30),
        keep: Some(5),
        name: "{date}/{path}".parse().unwrap(),
    };
    assert_eq!(config.record, Some(expected));
}

#[test]
fn tokens_and_passwords_are_in_no_message() {
    for args in [
        ["--source", "live/a=rtmp://h/x?token=secret"],
        ["--pull", "live/a=http://h/live/x?token=secret"],
        ["--push", "live/a=rtmp://u:secret@h/live/x"],
        ["--origin", "http://h/?token=secret"],
    ] {
        let message = error(&args);
        assert!(message.starts_with(args[0]) && !message.contains("secret"), "{message}");
    }
}

#[test]
fn addresses_may_lack_port_or_host() {
    for (text, expected) in [
        ("0.0.0.0", "0.0.0.0:1935"),
        ("::1", "[::1]:1935"),
        ("[::1]", "[::1]:1935"),
        (":2000", "[::]:2000"),
        ("[::1]:5", "[::1]:5"),
    ] {
        assert_eq!(address(text), Ok(expected.parse().unwrap()), "{text}");
    }
}

#[test]
fn sizes_take_binary_suffixes() {
    for (text, expected) in
        [("0", Ok(0)), ("8M", Ok(8 << 20)), ("1GiB", Ok(1 << 30)), ("3kb", Ok(3072)), ("7b", Ok(7))]
    {
        assert_eq!(size(text), expected, "{text}");
    }
    for text in ["", "M", "-1", "1.5M", "8X", "8 M", "99999999999999999999", "18446744073709551615K"] {
        assert!(size(text).is_err(), "{text}");
    }
}

#[test]
fn every_mistake_is_one_line_that_names_the_flag() {
    for (args, names) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["-x"], "-x"),
        (&["--listen"], "--listen"),
        (&["--listen", "here"], "--listen here"),
        (&["--listen", "1.2.3.4:70000"], "--listen 1.2.3.4:70000"),
        (&["--publish-from", "10.0.0.0/99"], "--publish-from 10.0.0.0/99"),
        (&["--takeover", "sometimes"], "--takeover sometimes"),
        (&["--hls", "on"], "--hls on: not on-demand, always or off"),
        (&["--source", "live/a"], "--source live/a"),
        (&["--source", "live/a=a.flv?lop=1"], "--source live/a=...: there is no option lop"),
        (&["-s", "a=-", "-s", "b=-"], "--source b=-"),
        (&["--pull", "live/a=a.flv"], "--pull live/a=..."),
        (&["--push", "live/a=rtmp://h/live"], "--push live/a=..."),
        (&["--origin", "h"], "--origin"),
        (&["--resume-window", "-1"], "--resume-window -1"),
        (&["--resume-window", "inf"], "--resume-window inf"),
        (&["--subscriber-threads", "0"], "--subscriber-threads 0"),
        (&["--subscriber-threads", "1025"], "--subscriber-threads 1025"),
        (&["--capture", ""], "--capture "),
        (&["--merge", "x"], "--merge x"),
        (&["--record-keep", "3"], "--record-keep"),
        (&["--record", "d", "--record-keep", "0"], "--record-keep 0"),
        (&["--record", "d", "--record-segment", "0"], "--record-segment 0"),
        (&["--record", "d", "--record-max-size", "0"], "--record-max-size 0"),
        (&["--record", "d", "--record-format", "avi"], "--record-format avi"),
        (&["--record", "d", "--record-name", "../{path}"], "--record-name ../{path}"),
        (&["--record", "d", "--record-match", ""], "--record-match"),
        (&["--gop-cache", "lots"], "--gop-cache lots"),
        (&["--max-queue", "8X"], "--max-queue 8X"),
        (&["--max-connections", ""], "--max-connections"),
        (&["--demo=1"], "--demo"),
        (&["--demo", "--demo"], "--demo"),
        (&["stray"], "stray"),
        (&["@/no/such/file"], "@/no/such/file"),
    ] {
        let message = error(args);
        assert!(message.starts_with(names) && !message.contains('\n'), "{args:?}: {message}");
    }
}

#[test]
fn more_and_less_talkative() {
    let level = |args: &[&str]| match parse(args.iter().map(ToString::to_string)) {
        Ok(Command::Run { level, .. }) => level,
        other => panic!("{other:?}"),
    };
    assert_eq!(level(&[]), LevelFilter::Info);
    assert_eq!((level(&["-v"]), level(&["-vv"])), (LevelFilter::Debug, LevelFilter::Trace));
    assert_eq!((level(&["-q"]), level(&["-q", "--quiet"])), (LevelFilter::Warn, LevelFilter::Error));
}

#[test]
fn help_and_table_name_every_flag() {
    let (help, table) = (help(), markdown());
    for flag in FLAGS {
        let long = format!("--{}", flag.long);
        assert!(help.contains(&long) && table.contains(&long), "{long}");
    }
}
