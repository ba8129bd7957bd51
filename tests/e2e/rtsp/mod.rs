//! RTSP with real programs: every cell of ffmpeg and GStreamer, over TCP and UDP, playing and recording, live and file.
//!
//! What is compared: access units without parameter sets, messages and delimiters, which every program adds and drops as it
//! likes, and their presentation times in ticks of the RTP clock. Decode times are each program's own guess.

mod impaired;
mod play;
mod proxy;
mod record;
mod tunnel;
mod units;

use crate::{
    material,
    process::{self, Process},
    programs::Server,
};
use std::path::PathBuf;
use units::Units;

/// What carries the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Tcp,
    Udp,
    /// Over TCP, through HTTP.
    Http,
}

impl Way {
    /// Those of players and publishers alike.
    const ALL: [Way; 2] = [Way::Tcp, Way::Udp];

    /// As ffmpeg's `-rtsp_transport` and GStreamer's `protocols` have it.
    fn name(self) -> &'static str {
        match self {
            Way::Tcp => "tcp",
            Way::Udp => "udp",
            Way::Http => "http",
        }
    }
}

/// Who plays or publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Ffmpeg,
    /// `rtspsrc` and `rtspclientsink`.
    GStreamer,
}

impl Program {
    const ALL: [Program; 2] = [Program::Ffmpeg, Program::GStreamer];

    fn name(self) -> &'static str {
        match self {
            Program::Ffmpeg => "ffmpeg",
            Program::GStreamer => "gstreamer",
        }
    }
}

/// All pairs.
fn cells() -> impl Iterator<Item = (Program, Way)> {
    Program::ALL.into_iter().flat_map(|program| Way::ALL.map(|way| (program, way)))
}

/// A player at work.
struct Playing {
    program: Program,
    process: Process,
    /// Without extension.
    output: PathBuf,
}

/// The RTSP form of an RTMP URL.
fn rtsp(url: &str) -> String {
    url.replace("rtmp://", "rtsp://")
}

/// Starts a player, which ends by itself when the stream does. `name`: of its files.
fn play(server: &Server, program: Program, way: Way, url: &str, name: &str) -> Playing {
    let output = server.dir.join(name);
    let process = match program {
        Program::Ffmpeg => {
            let input =
                ["-nostdin", "-v", "error", "-y", "-copyts", "-rtsp_transport", way.name(), "-i", url];
            let file = format!("{name}.framehash");
            let arguments = [&input[..], &units::FRAMEHASH, &[&file]].concat();
            server.run(name, "ffmpeg", arguments)
        }
        Program::GStreamer => {
            // Only the packets' own times, not those of their arrival.
            let protocols = if way == Way::Http { "tcp+http" } else { way.name() };
            let source = format!("rtspsrc location={url} protocols={protocols} buffer-mode=none name=s");
            let video = format!(
                "s. ! application/x-rtp,media=video ! tee name=v v. ! queue ! gdppay ! filesink location={name}.video \
                 v. ! queue ! rtph264depay ! video/x-h264,stream-format=byte-stream,alignment=au \
                 ! filesink location={name}.h264"
            );
            let audio = format!(
                "s. ! application/x-rtp,media=audio ! tee name=a a. ! queue ! gdppay ! filesink location={name}.audio \
                 a. ! queue ! rtpmp4gdepay ! aacparse ! audio/mpeg,stream-format=adts ! filesink location={name}.aac"
            );
            let line = format!("-q {source} {video} {audio}");
            server.run(name, "gst-launch-1.0", line.split_whitespace())
        }
    };
    Playing { program, process, output }
}

impl Playing {
    /// Waits until it has ended by itself, with success; what it got.
    fn finish(mut self) -> Result<Units, String> {
        let (code, printed) = self.process.end();
        // GStreamer goes from playing to nothing by a pause, and at times finds its own side of the connection gone already.
        let is_late_pause = self.program == Program::GStreamer && printed.contains("gst_rtspsrc_pause");
        if code != Some(0) && !is_late_pause {
            return Err(format!("exit code {code:?}: {}", printed.lines().last().unwrap_or_default()));
        }
        match self.program {
            Program::Ffmpeg => Ok(Units::of_framehash(&self.output.with_extension("framehash"))),
            Program::GStreamer => Ok(Units::of_gstreamer(&self.output)),
        }
    }
}

/// Starts a publisher of the source in real time.
fn publish(server: &Server, program: Program, way: Way, url: &str, name: &str) -> Process {
    let source = "../source.flv";
    let way = way.name();
    let (program, line) = match program {
        Program::Ffmpeg => (
            "ffmpeg",
            format!(
                "-nostdin -v error -re -copyts -i {source} -map 0 -c copy -f rtsp -rtsp_transport {way} {url}"
            ),
        ),
        Program::GStreamer => (
            "gst-launch-1.0",
            format!(
                "-q filesrc location={source} ! flvdemux name=d rtspclientsink name=s location={url} protocols={way} \
                 d.video ! queue ! h264parse ! identity sync=true ! s. \
                 d.audio ! queue ! aacparse ! identity sync=true ! s."
            ),
        ),
    };
    server.run(name, program, line.split_whitespace())
}

/// What is in the source.
fn source() -> &'static Units {
    static UNITS: std::sync::OnceLock<Units> = std::sync::OnceLock::new();
    UNITS.get_or_init(|| {
        crate::programs::source();
        Units::of_source(&crate::programs::scratch().join("source.flv"))
    })
}

/// Video frames between two keyframes.
const GOP: usize = material::GOP;

/// Runs ffmpeg; what it prints.
fn ffmpeg(arguments: &[&str]) -> String {
    process::output("ffmpeg", &[&["-nostdin", "-v", "error"], arguments].concat())
}
