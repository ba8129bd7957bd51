//! Live streams over plain HTTP by programs that are no players of RTMP: FLV by VLC, GStreamer and curl, segments by curl.
//!
//! ffmpeg's part of this is with the late joiners (`main`), players of HLS are in `hls`, TLS in `tls`.

use super::*;
use crate::{
    compare,
    material::Media,
    process::{self, Process},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

/// Who fetches FLV over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Viewer {
    Curl,
    /// The element that fetches for all of GStreamer's players.
    Souphttpsrc,
    /// It takes the stream apart and begins its times at 0, all that were before the first picture's included.
    Flvdemux,
    Vlc,
}

impl Viewer {
    const ALL: [Viewer; 4] = [Viewer::Curl, Viewer::Souphttpsrc, Viewer::Flvdemux, Viewer::Vlc];

    fn name(self) -> &'static str {
        match self {
            Viewer::Curl => "curl",
            Viewer::Souphttpsrc => "souphttpsrc",
            Viewer::Flvdemux => "souphttpsrc ! flvdemux",
            Viewer::Vlc => "vlc",
        }
    }

    /// Starts it; it writes the file that is returned.
    fn start(self, server: &Server, url: &str) -> (Viewer, Process, PathBuf) {
        let words = |text: String| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        let output = format!("{self:?}.flv");
        let (program, arguments) = match self {
            Viewer::Curl => ("curl", words(format!("-s -f -o {output} {url}"))),
            Viewer::Souphttpsrc => (
                "gst-launch-1.0",
                words(format!("-q souphttpsrc location={url} ! filesink location={output}")),
            ),
            Viewer::Flvdemux => {
                let text = format!(
                    "-q souphttpsrc location={url} ! flvdemux name=d flvmux streamable=true name=m \
                     ! filesink location={output} d.video ! queue ! m.video d.audio ! queue ! m.audio"
                );
                ("gst-launch-1.0", words(text))
            }
            Viewer::Vlc => programs::vlc_to_file(url, &output),
        };
        (self, server.run(self.name(), program, arguments), server.dir.join(output))
    }

    fn judge(self, source: &Media, flv: &Path, file: &Path) -> Result<String, String> {
        let got = Media::of_file(file);
        let count = got.packet_count();
        match self {
            Viewer::Curl | Viewer::Souphttpsrc => compare::is_tail(source, &got, material::GOP)
                .map(|()| format!("the last {count} packets, identical")),
            Viewer::Flvdemux => compare::holds_tail(source, &got, material::GOP, 0)
                .map(|_| format!("the last {count} packets, same bytes")),
            // As with RTMP: parameter sets repeated, the last packets of AAC lost.
            Viewer::Vlc => {
                let source = Media::of_file_without_parameter_sets(flv);
                let got = Media::of_file_without_parameter_sets(file);
                compare::holds_tail(&source, &got, material::GOP, 5)
                    .map(|missing| format!("{count} packets, same bytes but for the last {missing}"))
            }
        }
    }
}

#[test]
fn vlc_gstreamer_and_curl_get_flv_over_plain_http() {
    let source = source();
    let mut server = Server::start("watching", &[]);
    let publisher = server.publish(Publisher::Ffmpeg, "cam", "publisher");
    server.wait_for_connections(1);
    thread::sleep(Duration::from_millis(2500));
    let url = format!("{}/live/cam.flv", server.origin());
    let viewers = Viewer::ALL.map(|viewer| viewer.start(&server, &url));
    publisher.succeed();
    let mut report = Report::new(&format!("FLV over HTTP ({})", programs::versions()));
    let flv = server.dir.join("../source.flv");
    for (viewer, process, file) in viewers {
        process.succeed();
        report.line(viewer.name(), viewer.judge(source, &flv, &file));
    }
    report.end();
}

/// A playlist, what it lists, and all of it as one file.
#[test]
fn curl_gets_a_playlist_and_what_it_lists() {
    let source = source();
    let mut server = Server::start("watching-segments", &["--hls", "always", "--resume-window", "1"]);
    let publisher = server.publish(Publisher::Ffmpeg, "cam", "publisher");
    server.wait_for_log("publishes live/cam");
    let base = format!("{}/live/cam", server.origin());
    let curl = |file: &str, output: &str| {
        let path = server.dir.join(output);
        let told = "%{http_code} %{content_type}";
        let path = path.to_str().expect("readable");
        process::output("curl", &["-s", "-f", "-o", path, "-w", told, &format!("{base}/{file}")])
    };
    let text = |file: &str| process::output("curl", &["-s", "-f", &format!("{base}/{file}")]);
    let mut report = Report::new("HLS by curl");
    let index = text("index.m3u8");
    let names = |playlist: &str| -> Vec<String> {
        playlist.lines().filter(|line| !line.starts_with('#')).map(String::from).collect()
    };
    let media = names(&index).pop().unwrap_or_default();
    publisher.succeed();
    let playlist = text(&media);
    // Over after the second in which the publisher may come back.
    let mut ended = playlist;
    for _ in 0..50 {
        if ended.contains("#EXT-X-ENDLIST") {
            break;
        }
        thread::sleep(Duration::from_millis(100));
        ended = text(&media);
    }
    let map = ended.split("#EXT-X-MAP:URI=\"").nth(1).and_then(|rest| rest.split('"').next());
    let mut film = Vec::new();
    let mut faults = String::new();
    for name in map.map(String::from).into_iter().chain(names(&ended)) {
        let told = curl(&name, &name);
        if told != "200 video/mp4" {
            faults.push_str(&format!("{name}: {told}; "));
        }
        film.extend(fs::read(server.dir.join(&name)).expect("curl has written it"));
    }
    let is_well = faults.is_empty() && ended.contains("#EXT-X-ENDLIST");
    report.line(
        "playlist and segments",
        if is_well { Ok("200 video/mp4".into()) } else { Err(faults + &ended) },
    );
    let path = server.dir.join("film.mp4");
    fs::write(&path, film).expect("the test's folder can be written");
    let got = Media::of_file(&path);
    let told = |()| format!("{} packets, identical", got.packet_count());
    report.line("put together", compare::similar(source, &got).map(told));
    report.end();
}

/// ffmpeg's demuxer of DASH takes all packets of segments that hold sound and pictures for pictures, and GStreamer's waits for more where a
/// stream has ended: it is ended then.
#[test]
fn gstreamer_plays_dash_while_the_stream_grows() {
    let source = source();
    let mut server = Server::start("watching-dash", &["--hls", "always"]);
    let publisher = server.publish(Publisher::Ffmpeg, "cam", "publisher");
    server.wait_for_log("publishes live/cam");
    let pipeline = format!(
        "-q souphttpsrc location={}/live/cam/index.mpd ! dashdemux ! qtdemux name=d flvmux streamable=true name=m \
         ! filesink location=dash.flv d.video_0 ! queue ! m.video d.audio_0 ! queue ! m.audio",
        server.origin()
    );
    let player = server.run("dashdemux", "gst-launch-1.0", pipeline.split_whitespace());
    publisher.succeed();
    let file = server.dir.join("dash.flv");
    let len = || fs::metadata(&file).map_or(0, |file| file.len());
    let (mut known, mut quiet_since) = (0, Instant::now());
    wait::until("it has got all that it gets", || {
        if len() != known {
            (known, quiet_since) = (len(), Instant::now());
        }
        known > 0 && quiet_since.elapsed() > Duration::from_secs(3)
    });
    player.kill();
    let mut report = Report::new("DASH");
    let got = Media::of_file(&file);
    let told = |missing| format!("{} packets, same bytes but for the last {missing}", got.packet_count());
    // Of the last segment, which is listed when the stream has ended, some may not come; packets of sound are the shorter.
    let most = 2 * material::GOP;
    report.line("dashdemux", compare::holds_head(source, &got, most).map(told));
    report.end();
}
