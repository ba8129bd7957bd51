//! The program from outside: flags, exit codes, signals, what it prints.

#![expect(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test has std anyway")]

#[path = "support/tls.rs"]
mod tls;

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};
use tls::Pair;

fn weir(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn output(args: &[&str]) -> Output {
    weir(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A running server; killed when the test ends early.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Running {
    fn start(args: &[&str]) -> Running {
        let mut child = weir(args).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Running { child, log }
    }

    /// The next log line that holds `text`.
    fn line(&mut self, text: &str) -> String {
        let mut passed = String::new();
        loop {
            let mut line = String::new();
            self.log.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "ended before {text:?}: {passed}");
            if line.contains(text) {
                return line;
            }
            passed += &line;
        }
    }

    fn address(&mut self) -> SocketAddr {
        let line = self.line("listening on ");
        let (_, address) = line.split_once("listening on ").unwrap();
        address.split(' ').next().unwrap().parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        (self.child.wait().unwrap(), asked.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file in the build directory that only this test uses.
fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn help_and_version_go_to_stdout() {
    for flag in ["-h", "--help"] {
        let help = output(&[flag]);
        assert!(help.status.success() && help.stderr.is_empty());
        for flag in weir::cli::FLAGS {
            assert!(text(&help.stdout).contains(&format!("--{}", flag.long)), "{}", flag.long);
        }
    }
    let version = output(&["-V"]);
    assert_eq!(text(&version.stdout), format!("weir {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_command_line_is_one_line_and_exit_code_2() {
    for (args, names) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["--listen", "nowhere"], "--listen nowhere"),
        (&["--merge"], "--merge"),
        (&["stray"], "stray"),
        (&["@/no/such/file"], "@/no/such/file"),
        (&["--tls-cert", "cert.pem"], "--tls-cert needs --tls-key"),
        (&["--tls-key", "key.pem"], "--tls-key needs --tls-cert"),
        (&["--tls-cert", "", "--tls-key", "key.pem"], "--tls-cert : not the name of a file"),
    ] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with(&format!("weir: {names}")), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn an_address_in_use_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(&["-qq", "-l", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), format!("weir: --listen {address}: Address already in use\n"));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let file = file("not-a-directory", "");
    let directory = file.join("x");
    for flag in ["--capture", "--record"] {
        let output = output(&["-qq", "-l", "127.0.0.1:0", flag, directory.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).starts_with(&format!("weir: {flag} ")), "{}", text(&output.stderr));
    }
}

#[test]
fn flags_may_come_from_a_file() {
    let flags = file("flags", "# comment\n\n--listen 127.0.0.1:0\n  --listen=[::1]:0\n--demo\n--merge   0\n");
    let mut running = Running::start(&[&format!("@{}", flags.display())]);
    assert_eq!(running.address().ip().to_string(), "127.0.0.1");
    assert_eq!(running.address().ip().to_string(), "::1");
    running.line("/live/demo");
    let wrong = file("wrong-flags", "--demo\nlisten 127.0.0.1:0\n");
    let output = output(&[&format!("@{}", wrong.display())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("line 2"), "{}", text(&output.stderr));
}

#[test]
fn start_up_prints_the_urls_to_use() {
    let mut running = Running::start(&["-l", "127.0.0.1:0", "--demo"]);
    let address = running.address();
    let (rtmp, rtsp) = (format!("rtmp://{address}"), format!("rtsp://{address}"));
    assert!(running.line("publish: ").contains(&format!("-f flv {rtmp}/live/NAME")));
    assert!(running.line("or: ").contains(&format!("-f rtsp {rtsp}/live/NAME")));
    let play = running.line("play: ");
    let demo = running.line("demo: ");
    for url in [&rtmp, &rtsp] {
        assert!(play.contains(&format!("ffplay {url}/live/NAME")), "{play}");
        assert!(demo.contains(&format!("ffplay {url}/live/demo")), "{demo}");
    }
}

#[test]
fn a_signal_ends_it_properly_within_two_seconds() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut running = Running::start(&["-l", "127.0.0.1:0", "--demo"]);
        let address = running.address();
        // One that never speaks must not hold it up.
        let _silent = TcpStream::connect(address).unwrap();
        running.line("opened");
        running.signal(signal);
        let (status, took) = running.wait();
        assert!(status.success() && took < Duration::from_secs(2), "{status}, {took:?}");
        assert!(running.line("stopped after 1 connections").contains("INFO"));
    }
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let mut running = Running::start(&["-l", "127.0.0.1:0"]);
    let address = running.address();
    // Far more lines than pipe and queue hold. Each answer proves that the server goes on.
    for _ in 0..1500 {
        let mut peer = TcpStream::connect(address).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        peer.write_all(b"SSH-2.0-client\r\n").unwrap();
        let error = peer.read(&mut [0]).err().map(|error| error.kind());
        assert!(error.is_none_or(|kind| kind == std::io::ErrorKind::ConnectionReset), "{error:?}");
    }
    running.signal(Signal::TERM);
    let (status, took) = running.wait();
    assert!(status.success() && took < Duration::from_secs(2), "{status}, {took:?}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut running = Running::start(&["-l", "127.0.0.1:0"]);
    let address = running.address();
    let _silent = TcpStream::connect(address).unwrap();
    running.line("opened");
    running.signal(Signal::TERM);
    running.line("stopping");
    running.signal(Signal::TERM);
    let (status, _) = running.wait();
    assert_eq!(status.code(), Some(128 + 15));
}

#[test]
fn a_capture_that_hangs_holds_nothing_up() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hanging-captures");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    let mut running = Running::start(&["-l", "127.0.0.1:0", "--capture", directory.to_str().unwrap()]);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    // To open a pipe that nobody reads takes for ever.
    let pipe = directory.join(format!("000001-127.0.0.1-{port}.pcap"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let address = running.address();
    socket.connect(&address.into()).unwrap();
    running.line("#1 opened");
    let mut other = TcpStream::connect(address).unwrap();
    other.write_all(b"SSH-2.0-client\r\n").unwrap();
    running.line("#2 closed: not RTMP");
    running.signal(Signal::TERM);
    let (status, took) = running.wait();
    assert!(status.success() && took < Duration::from_secs(2), "{status}, {took:?}");
    running.line("captures are cut");
}

#[test]
fn captures_are_written() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("captures");
    let _ = fs::remove_dir_all(&directory);
    let arg = directory.to_str().unwrap().to_string();
    let mut running = Running::start(&["-l", "127.0.0.1:0", "--capture", &arg]);
    let mut silent = TcpStream::connect(running.address()).unwrap();
    // Another protocol: the server hangs up.
    silent.write_all(b"SSH-2.0-client\r\n").unwrap();
    let _ = silent.read(&mut [0]);
    running.line("closed: not RTMP");
    running.signal(Signal::TERM);
    assert!(running.wait().0.success());
    let files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let bytes = fs::read(&files[0]).unwrap();
    assert!(bytes.windows(5).any(|window| window == b"SSH-2"), "the capture holds what was read");
}

/// A folder in the build directory with `cert.pem` and `key.pem`.
fn certificate(name: &str, pair: &Pair) -> [String; 2] {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).unwrap();
    let (certificate, key) = pair.write(&directory);
    [certificate, key].map(|path| path.display().to_string())
}

#[test]
fn a_certificate_that_cannot_be_used_is_one_line_with_flag_and_file_and_exit_code_1() {
    let [cert, key] = certificate("bad-tls", &Pair::new("one"));
    let [_, other] = certificate("other-tls", &Pair::new("another"));
    for (certificate, key, line) in [
        ("/no/cert.pem", &*key, "--tls-cert /no/cert.pem: No such file or directory".to_string()),
        (&cert, "/no/key.pem", "--tls-key /no/key.pem: No such file or directory".to_string()),
        (&cert, "/", "--tls-key /: Is a directory".to_string()),
        (&cert, "/dev/zero", "--tls-key /dev/zero: not a regular file".to_string()),
        (&key, &key, format!("--tls-cert {key}: no certificate in it (PEM is expected)")),
        (&cert, &cert, format!("--tls-key {cert}: no private key in it (PEM, not encrypted, is expected)")),
        (&cert, &other, format!("--tls-key {other}: does not belong to the certificate in {cert}")),
    ] {
        let output = output(&["-qq", "-l", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stderr), format!("weir: {line}\n"));
    }
}

#[test]
fn sighup_reads_the_certificate_again_and_a_broken_one_changes_nothing() {
    let (first, second) = (Pair::new("the first"), Pair::new("the second"));
    let [cert, key] = certificate("reloaded-tls", &first);
    let mut running = Running::start(&["-l", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key]);
    let address = running.address();
    let speaks = |pair: &Pair| pair.connect(address).write_all(b"GET / HTTP/1.1\r\n").is_ok();
    assert!(speaks(&first) && !speaks(&second));
    certificate("reloaded-tls", &second);
    running.signal(Signal::HUP);
    running.line(&format!("new connections get the certificate in {cert}"));
    assert!(speaks(&second) && !speaks(&first));
    fs::write(&key, "nonsense").unwrap();
    running.signal(Signal::HUP);
    running.line(&format!("--tls-key {key}: no private key in it"));
    assert!(speaks(&second) && !speaks(&first));
    running.signal(Signal::TERM);
    assert_eq!(running.wait().0.code(), Some(0));
}

#[test]
fn broken_handshakes_leave_nothing_behind() {
    let pair = Pair::new("one");
    let [cert, key] = certificate("broken-tls", &pair);
    let mut running =
        Running::start(&["-q", "-l", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key, "-v"]);
    let address = running.address();
    let files = format!("/proc/{}/fd", running.child.id());
    let open = || fs::read_dir(&files).unwrap().count();
    assert!(pair.connect(address).write_all(b"GET / HTTP/1.1\r\n").is_ok());
    running.line("closed: ");
    let before = open();
    let mut hello = Vec::new();
    pair.client().write_tls(&mut hello).unwrap();
    for number in 0..200 {
        let mut socket = TcpStream::connect(address).unwrap();
        let cut = number * hello.len() / 200;
        socket.write_all(&hello[..cut.max(1)]).unwrap();
        match number % 3 {
            0 => socket.write_all(&[0xff; 40]).unwrap(),
            1 => socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap(),
            _ => {}
        }
    }
    for _ in 0..200 {
        running.line("closed: ");
    }
    assert_eq!(open(), before);
}
