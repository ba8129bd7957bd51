//! The server, and the publishers and players of the outside world: their command lines and what is particular
//! about each.

use crate::{
    material::{self, Media},
    process::{self, Process},
    wait,
};
use std::{
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// A running weir, for one test.
pub(crate) struct Server {
    process: Process,
    port: u16,
    /// Where everybody in this test writes.
    pub(crate) dir: PathBuf,
}

impl Server {
    /// Starts weir on a free port of 127.0.0.1 with `flags`, for the test `name`.
    pub(crate) fn start(name: &str, flags: &[&str]) -> Server {
        Server::start_on(free_port(), name, flags)
    }

    /// The same on a given port.
    pub(crate) fn start_on(port: u16, name: &str, flags: &[&str]) -> Server {
        Server::launch(port, name, env!("CARGO_BIN_EXE_weir"), &[], flags)
    }

    /// The same with a file, as seen from the test's folder, as standard input.
    pub(crate) fn start_reading(input: &str, name: &str, flags: &[&str]) -> Server {
        let script = format!("exec \"$0\" \"$@\" <{input}");
        Server::launch(free_port(), name, "sh", &["-c", &script, env!("CARGO_BIN_EXE_weir")], flags)
    }

    fn launch(port: u16, name: &str, program: &str, before: &[&str], flags: &[&str]) -> Server {
        let dir = scratch().join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        Server::launch_in(dir, port, program, before, flags)
    }

    /// Where a server has run before.
    pub(crate) fn start_in(dir: PathBuf, flags: &[&str]) -> Server {
        Server::launch_in(dir, free_port(), env!("CARGO_BIN_EXE_weir"), &[], flags)
    }

    fn launch_in(dir: PathBuf, port: u16, program: &str, before: &[&str], flags: &[&str]) -> Server {
        let address = format!("127.0.0.1:{port}");
        let arguments = before.iter().copied().chain(["-l", &address]).chain(flags.iter().copied());
        let process = Process::start("weir", &dir, program, arguments);
        let mut server = Server { process, port, dir };
        server.wait_until("weir listens", |server| {
            server.process.expect_running();
            // By its word: on the port that was free a moment ago, another test may answer.
            server.process.tail().contains("listening on")
        });
        server
    }

    /// Ends it without a chance to do anything more; where it ran.
    pub(crate) fn kill(self) -> PathBuf {
        self.process.kill();
        self.dir
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until its last log lines say so.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        self.wait_until(text, |server| server.process.printed().contains(text));
    }

    /// The URL of a live stream.
    pub(crate) fn url(&self, key: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{key}", self.port)
    }

    /// Where its pages are.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The URL of a file.
    pub(crate) fn file_url(&self, name: &str) -> String {
        format!("rtmp://127.0.0.1:{}/vod/{name}", self.port)
    }

    /// Starts a player of a file, which writes what it gets under a name of its own.
    pub(crate) fn play_file(&self, player: Player, file: &str) -> Playing {
        self.play_url(player, &self.file_url(file), false, &format!("{} {}", file, player.name()))
    }

    /// Starts any program.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        name: &str,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Process {
        Process::start(name, &self.dir, program, arguments)
    }

    /// Starts a player that writes what it gets under a name of its own.
    pub(crate) fn play(&self, player: Player, key: &str, name: &str) -> Playing {
        self.play_url(player, &self.url(key), true, &format!("{name} {}", player.name()))
    }

    /// Starts a player of any address.
    /// The same with any URL that is this server's.
    pub(crate) fn play_url(&self, player: Player, url: &str, is_live: bool, name: &str) -> Playing {
        let output = format!("{}.{}", name.replace([' ', ':', '/'], "-"), player.extension());
        let (program, arguments) = player.command(url, is_live, &output);
        let process = self.run(name, program, arguments);
        Playing { player, process, output: self.dir.join(output) }
    }

    /// Starts a publisher of [`SOURCE`].
    pub(crate) fn publish(&self, publisher: Publisher, key: &str, name: &str) -> Process {
        let (program, arguments) = publisher.command(&self.url(key));
        self.run(&format!("{name} {}", publisher.name()), program, arguments)
    }

    /// The URL of a live stream through TLS: `rtmps` or `https`.
    pub(crate) fn sealed_url(&self, scheme: &str, key: &str) -> String {
        let end = if scheme == "https" { ".flv" } else { "" };
        format!("{scheme}://127.0.0.1:{}/live/{key}{end}", self.port)
    }

    /// Starts a publisher of [`SOURCE`] through TLS.
    pub(crate) fn publish_sealed(&self, publisher: Publisher, key: &str) -> Process {
        let (program, arguments) = publisher.command(&self.sealed_url("rtmps", key));
        self.run(&format!("sealed {}", publisher.name()), program, arguments)
    }

    /// Waits until `count` connections are open, and gives the last one time for its few commands.
    pub(crate) fn wait_for_connections(&mut self, count: usize) {
        self.wait_until("everybody is connected", |server| open_connections(server.port) >= count);
        thread::sleep(Duration::from_millis(700));
    }

    fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&mut Server) -> bool) {
        let is_in_time = wait::is_in_time(Instant::now() + wait::LIMIT, || is_so(self));
        assert!(is_in_time, "not in time: {what}\n{}", self.process.tail());
    }
}

/// A port of the loopback that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    free.expect("loopback has a free port").port()
}

/// Connections to `port` of the loopback that the server's side has open, as the kernel lists them:
/// `sl local_address rem_address st ...` with addresses as `0100007F:PORT` and state 01 for established.
pub(crate) fn open_connections(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux lists its connections");
    let local = format!("0100007F:{port:04X}");
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|fields| fields.get(1) == Some(&&*local) && fields.get(3) == Some(&"01")).count()
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publisher {
    Ffmpeg,
    Rtmp2sink,
    Rtmpsink,
    Push,
}

impl Publisher {
    pub(crate) const ALL: [Publisher; 4] =
        [Publisher::Ffmpeg, Publisher::Rtmp2sink, Publisher::Rtmpsink, Publisher::Push];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Publisher::Ffmpeg => "ffmpeg",
            Publisher::Rtmp2sink => "rtmp2sink",
            Publisher::Rtmpsink => "rtmpsink",
            Publisher::Push => "push",
        }
    }

    /// Plays the file in real time, without touching times or configuration records.
    fn command(self, url: &str) -> (&'static str, Vec<String>) {
        let words = |text: String| text.split_whitespace().map(String::from).collect();
        match self {
            Publisher::Ffmpeg => {
                let text = format!("-nostdin -v error -re -copyts -i {SOURCE} -map 0 -c copy -f flv {url}");
                ("ffmpeg", words(text))
            }
            Publisher::Rtmp2sink => ("gst-launch-1.0", words(gst_pipeline("rtmp2sink", url))),
            Publisher::Rtmpsink => ("gst-launch-1.0", words(gst_pipeline("rtmpsink", url))),
            Publisher::Push => (env!("CARGO_BIN_EXE_push"), words(format!("{SOURCE} {url}"))),
        }
    }
}

/// No parsers between demuxer and muxer: h264parse writes another configuration record. Newer flvmux change times
/// so that they always increase, unless told not to.
fn gst_pipeline(sink: &str, url: &str) -> String {
    let newer = process::output("gst-inspect-1.0", &["flvmux"]).contains("enforce-increasing-timestamps");
    let exact = if newer { "enforce-increasing-timestamps=false" } else { "" };
    let any = any_certificate(sink, url);
    format!(
        "-q filesrc location={SOURCE} ! flvdemux name=d flvmux streamable=true {exact} name=m \
         ! {sink} location={url} {any} sync=true d.video ! queue ! m.video d.audio ! queue ! m.audio"
    )
}

/// What makes a GStreamer element take a certificate that nobody vouches for; those of librtmp do anyway.
fn any_certificate(element: &str, url: &str) -> &'static str {
    if element.starts_with("rtmp2") && url.starts_with("rtmps:") { "tls-validation-flags=0" } else { "" }
}

/// The programs of the outside world, by name and version.
pub(crate) fn versions() -> String {
    let first_line = |program: &str, arguments: &[&str]| {
        let text = process::output(program, arguments);
        text.lines().next().unwrap_or_default().to_string()
    };
    let ffmpeg = first_line("ffmpeg", &["-version"]);
    let ffmpeg = ffmpeg.split(" Copyright").next().unwrap_or_default();
    let gstreamer = first_line("gst-launch-1.0", &["--gst-version"]);
    let rtmpdump = first_line("rtmpdump", &["--help"]);
    let (program, arguments) = vlc();
    let vlc = first_line(program, &[arguments, &["--version"]].concat());
    format!("{ffmpeg}; {gstreamer}; {rtmpdump}; {vlc}")
}

/// Who receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Player {
    Ffmpeg,
    /// The same over HTTP: only what is live already.
    FfmpegOverHttp,
    Rtmp2src,
    Rtmpdump,
    Pull,
    /// Repeats the parameter sets in front of keyframes, and loses the last packets of AAC: its own, with a local file
    /// as well.
    Vlc,
}

impl Player {
    /// All that write down just what they get.
    pub(crate) const ALL: [Player; 4] = [Player::Ffmpeg, Player::Rtmp2src, Player::Rtmpdump, Player::Pull];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Player::Ffmpeg => "ffmpeg",
            Player::FfmpegOverHttp => "ffmpeg-over-http",
            Player::Rtmp2src => "rtmp2src",
            Player::Rtmpdump => "rtmpdump",
            Player::Pull => "pull",
            Player::Vlc => "vlc",
        }
    }

    fn extension(self) -> &'static str {
        if self.lists_hashes() { "framehash" } else { "flv" }
    }

    /// It lists packets and their hashes instead of keeping them.
    fn lists_hashes(self) -> bool {
        matches!(self, Player::Ffmpeg | Player::FfmpegOverHttp)
    }

    fn command(self, url: &str, is_live: bool, output: &str) -> (&'static str, Vec<String>) {
        let words = |text: String| text.split_whitespace().map(String::from).collect();
        match self {
            Player::Ffmpeg => ("ffmpeg", material::framehash_arguments(url, output)),
            Player::FfmpegOverHttp => {
                let url = format!("{}.flv", url.replace("rtmp://", "http://"));
                ("ffmpeg", material::framehash_arguments(&url, output))
            }
            Player::Rtmp2src => {
                let source = format!("rtmp2src location={url} {}", any_certificate("rtmp2src", url));
                ("gst-launch-1.0", words(format!("-q {source} ! filesink location={output}")))
            }
            Player::Rtmpdump => {
                let live = if is_live { "--live" } else { "" };
                ("rtmpdump", words(format!("-q {live} -r {url} -o {output}")))
            }
            Player::Pull => (env!("CARGO_BIN_EXE_pull"), words(format!("{url} {output}"))),
            Player::Vlc => vlc_to_file(url, output),
        }
    }
}

/// VLC, writing what it plays as FLV.
pub(crate) fn vlc_to_file(url: &str, output: &str) -> (&'static str, Vec<String>) {
    // Whoever it runs as may have no right to write here.
    let (program, arguments) = vlc();
    let play = "-I dummy -q --play-and-exit --sout #std{access=file,mux=avformat{mux=flv},dst=-}";
    let script = ["-c", "exec \"$@\" >\"$0\"", output, program].map(String::from);
    let arguments = arguments.iter().copied().chain(play.split_whitespace()).chain([url]);
    ("sh", script.into_iter().chain(arguments.map(String::from)).collect())
}

/// VLC, which refuses to run as root: as nobody then.
fn vlc() -> (&'static str, &'static [&'static str]) {
    if rustix::process::geteuid().is_root() {
        ("setpriv", &["--reuid=65534", "--regid=65534", "--clear-groups", "--reset-env", "cvlc"])
    } else {
        ("cvlc", &[])
    }
}

/// A player at work.
pub(crate) struct Playing {
    pub(crate) player: Player,
    process: Process,
    output: PathBuf,
}

impl Playing {
    pub(crate) fn expect_running(&mut self) {
        self.process.expect_running();
    }

    /// Waits until it has ended by itself, with success; what it got.
    pub(crate) fn finish(self) -> Media {
        match self.player {
            player if player.lists_hashes() => Media::of_framehash(&self.written()),
            _ => Media::of_file(&self.written()),
        }
    }

    /// The same, but the file that it wrote.
    pub(crate) fn written(self) -> PathBuf {
        match self.player {
            Player::Rtmpdump => self.process.end_with(&RTMPDUMP_ENDS),
            _ => self.process.succeed(),
        }
        self.output
    }
}

/// rtmpdump calls a download incomplete whose last timestamp is below 99.9 % of the duration, to which the last frame counts.
pub(crate) const RTMPDUMP_ENDS: [i32; 2] = [0, 2];

/// Below the target directory; each test has a folder in it, and programs run there.
pub(crate) fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e")
}

/// The file that is played, as seen from a test's folder.
const SOURCE: &str = "../source.flv";

/// What is in [`SOURCE`]; the first call makes it.
pub(crate) fn source() -> &'static Media {
    static MEDIA: OnceLock<Media> = OnceLock::new();
    MEDIA.get_or_init(|| {
        let path = scratch().join("source.flv");
        fs::create_dir_all(scratch()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        material::make_source(&path);
        Media::of_file(&path)
    })
}
