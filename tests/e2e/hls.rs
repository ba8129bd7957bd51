//! Live streams as HLS and DASH, by the programs that people have: what is played while the stream grows, and what is left of one that
//! has ended.

use crate::{
    Report, compare,
    material::{self, Media},
    process::{self, Process},
    programs::{self, Publisher, Server, source},
};
use std::path::Path;

/// A way to read a playlist to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Ffmpeg,
    Hlsdemux,
    Vlc,
}

impl Reader {
    const ALL: [Reader; 3] = [Reader::Ffmpeg, Reader::Hlsdemux, Reader::Vlc];

    fn name(self) -> &'static str {
        match self {
            Reader::Ffmpeg => "ffmpeg",
            Reader::Hlsdemux => "hlsdemux",
            Reader::Vlc => "vlc",
        }
    }

    /// Starts it on the playlist at `url`; it writes `output`.
    fn start(self, server: &Server, url: &str, output: &str) -> Process {
        let words = |text: String| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        let (program, arguments) = match self {
            Reader::Ffmpeg => {
                let mut arguments = material::framehash_arguments(url, output);
                // By itself it begins three segments before the end.
                arguments.splice(0..0, ["-live_start_index", "0"].map(String::from));
                ("ffmpeg", arguments)
            }
            Reader::Hlsdemux => {
                let text = format!(
                    "-q souphttpsrc location={url} ! hlsdemux ! qtdemux name=d flvmux streamable=true name=m \
                     ! filesink location={output} d.video_0 ! queue ! m.video d.audio_0 ! queue ! m.audio"
                );
                ("gst-launch-1.0", words(text))
            }
            Reader::Vlc => programs::vlc_to_file(url, output),
        };
        server.run(&format!("{} {output}", self.name()), program, arguments)
    }

    /// Compares what it has written. VLC repeats parameter sets, and keeps the last packets of AAC to itself.
    fn judge(self, source: &Media, file: &Path, flv: &Path) -> Result<String, String> {
        let got = match self {
            Reader::Ffmpeg => Media::of_framehash(file),
            Reader::Hlsdemux => Media::of_file(file),
            Reader::Vlc => Media::of_file_without_parameter_sets(file),
        };
        let count = got.packet_count();
        match self {
            Reader::Vlc => {
                let source = Media::of_file_without_parameter_sets(flv);
                let got = compare::rounded(&source, &got);
                let missing = compare::lacks_only_the_end(&source, &got, 5)?;
                Ok(format!("{count} packets, identical but for the last {missing} of AAC"))
            }
            _ => compare::similar(source, &got).map(|()| format!("{count} packets, identical")),
        }
    }
}

/// FLV counts whole milliseconds, and MP4 samples: times may differ by one.
#[test]
fn every_player_of_hls_gets_the_stream_bit_for_bit_from_its_first_segment() {
    let source = source();
    let mut server = Server::start("hls", &["--hls", "always", "--resume-window", "2"]);
    let url = |file: &str| format!("{}/{file}", server.url("cam").replace("rtmp://", "http://"));
    let (playlist, mpd) = (url("index.m3u8"), url("index.mpd"));
    let publisher = server.publish(Publisher::Ffmpeg, "cam", "publisher");
    server.wait_for_log("publishes live/cam");
    let start = |reader: Reader, when: &str| {
        let output = format!("{when}-{}.out", reader.name());
        (reader, format!("{} {when}", reader.name()), reader.start(&server, &playlist, &output), output)
    };
    let finish = |(reader, name, process, output): (Reader, String, Process, String)| {
        process.succeed();
        (reader, name, output)
    };
    let live = Reader::ALL.map(|reader| start(reader, "live"));
    publisher.succeed();
    let mut report = Report::new(&format!("HLS ({})", programs::versions()));
    let live = live.map(finish);
    // Over, and still there for a while.
    let ended = Reader::ALL.map(|reader| start(reader, "ended")).map(finish);
    for (reader, name, output) in live.into_iter().chain(ended) {
        let flv = server.dir.join("../source.flv");
        report.line(&name, reader.judge(source, &server.dir.join(output), &flv));
    }
    let show = ["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", &mpd];
    let listed = process::output("ffprobe", &show);
    let has_both = ["h264", "aac"].iter().all(|codec| listed.contains(codec));
    report.line("ffprobe, MPD", if has_both { Ok("h264, aac".to_string()) } else { Err(listed) });
    report.end();
}

#[test]
fn ffprobe_lists_the_streams_of_a_stream_that_is_cut_when_it_asks() {
    let server = Server::start("hls-demo", &["--demo"]);
    let mut report = Report::new("demo as HLS and DASH");
    for file in ["index.m3u8", "index.mpd"] {
        let url = format!("{}/{file}", server.url("demo").replace("rtmp://", "http://"));
        let show = ["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", &url];
        let listed = process::output("ffprobe", &show);
        let has_both = ["h264", "aac"].iter().all(|codec| listed.contains(codec));
        report.line(file, if has_both { Ok("h264, aac".to_string()) } else { Err(listed) });
    }
    report.end();
}
