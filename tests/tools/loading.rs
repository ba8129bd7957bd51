//! `load` against a server: its players get and check everything by RTMP, HTTP and WebSocket.

use crate::{port, server, tool};

const LOAD: &str = env!("CARGO_BIN_EXE_load");

/// Runs it for a second; the exit code and what it prints.
fn load(name: &str, flags: &[&str], port: u16) -> (Option<i32>, String) {
    let url = format!("rtmp://127.0.0.1:{port}/live/cam");
    let flags = [flags, &["--seconds=1", "--players=3", "--probes=2", "--json=-", &url]].concat();
    tool(name, LOAD, &flags).end()
}

fn figure(printed: &str, name: &str) -> f64 {
    let (_, rest) =
        printed.split_once(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name}: {printed}"));
    rest.split([',', '}']).next().and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

#[test]
fn players_check_every_tag_by_each_protocol() {
    let server = server(0);
    let port = port(&server);
    for scheme in ["rtmp", "http", "ws"] {
        // Two streams: the second one has a name of its own in each protocol.
        let play = format!("--play={scheme}://127.0.0.1:{port}/live/cam.flv?token=1");
        let flags = ["--publishers=2", &play];
        let flags = if scheme == "rtmp" { &flags[..1] } else { &flags };
        let (code, printed) = load(&format!("load by {scheme}"), flags, port);
        assert_eq!(code, Some(0), "{scheme}: {printed}");
        // Two probes of 73 tags a second.
        assert!(figure(&printed, "checked") > 120.0, "{scheme}: {printed}");
        assert!(figure(&printed, "delay_p99_ms") < 1000.0, "{scheme}: {printed}");
        for name in ["closed", "short", "faults"] {
            assert_eq!(figure(&printed, name), 0.0, "{scheme}: {name}: {printed}");
        }
    }
    server.stop();
}

#[test]
fn players_of_what_is_not_there_are_told_and_fail() {
    let server = server(0);
    let port = port(&server);
    for scheme in ["http", "ws"] {
        let play = format!("--play={scheme}://127.0.0.1:{port}/live/other.flv");
        let (code, printed) = load(&format!("load by {scheme} of nothing"), &[&play], port);
        assert_eq!((code, figure(&printed, "closed")), (Some(1), 3.0), "{scheme}: {printed}");
    }
    for wrong in [&["--play=rtmp://h/live/cam"][..], &["--file", "--play=http://h/live/cam.flv"]] {
        assert_eq!(load("load wrongly", wrong, port).0, Some(2), "{wrong:?}");
    }
    server.stop();
}
