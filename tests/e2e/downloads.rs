//! Files over HTTP against programs that fetch, seek and play them: every byte, or every packet.

use crate::{
    Report, compare, files,
    material::Media,
    process,
    programs::{self, Player, Publisher, Server, source},
    wait,
    whole::VLC_LOSES,
};
use std::{fs, path::Path};

fn over_http(url: &str) -> String {
    url.replace("rtmp://", "http://")
}

/// Whether two files are the same.
fn same(expected: &Path, got: &Path) -> Result<(), String> {
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (expected, got) = (read(expected), read(got));
    if expected == got { Ok(()) } else { Err(format!("{} bytes of {}", got.len(), expected.len())) }
}

#[test]
fn curl_fetches_files_and_goes_on_where_it_broke_off() {
    let server = files::server("curl");
    let version = process::output("curl", &["--version"]);
    let mut report = Report::new(version.split(" (").next().unwrap_or_default());
    for file in ["clip.flv", "film.mp4"] {
        let url = over_http(&server.file_url(file));
        let original = server.dir.join(file);
        let len = fs::metadata(&original).expect("it was made").len();
        let curl = |what: &str, arguments: &[&str]| {
            let arguments = [&["-sS", "--fail"], arguments, &[&url]].concat();
            server.run(&format!("{file} {what}"), "curl", arguments).succeed();
        };
        let (whole, part) = (format!("whole-{file}"), format!("part-{file}"));
        curl("whole", &["-o", &whole, "--etag-save", "tag"]);
        report.line(
            &format!("{file} whole"),
            same(&original, &server.dir.join(&whole)).map(|()| format!("{len} bytes")),
        );
        curl("a part", &["-o", &part, "-r", "0-99999"]);
        assert_eq!(fs::metadata(server.dir.join(&part)).expect("a part").len(), 100_000);
        curl("the rest", &["-o", &part, "-C", "-"]);
        report.line(
            &format!("{file} -C -"),
            same(&original, &server.dir.join(&part)).map(|()| "joined".to_string()),
        );
        // It writes nothing of what it has already.
        curl("again", &["-o", "again", "--etag-compare", "tag"]);
        let again = fs::metadata(server.dir.join("again")).map_or(0, |metadata| metadata.len());
        let result =
            if again == 0 { Ok("not sent again".to_string()) } else { Err(format!("{again} bytes")) };
        report.line(&format!("{file} by its tag"), result);
    }
    report.end();
}

#[test]
fn players_play_files_over_http_as_they_do_from_the_disk() {
    let server = files::server("http-players");
    let mut report = Report::new(&format!("files over HTTP ({})", programs::versions()));
    let url = |file: &str| over_http(&server.file_url(file));
    let path = |file: &str| server.dir.join(file).to_str().expect("readable").to_string();
    for file in ["clip.flv", "listed.flv", "film.mp4"] {
        let got = server.play_url(Player::Ffmpeg, &url(file), false, &format!("{file} ffmpeg")).finish();
        let told = |()| format!("{} packets, identical", got.packet_count());
        let result = compare::identical(&Media::of_file(&server.dir.join(file)), &got);
        report.line(&format!("{file} x ffmpeg"), result.map(told));
        // From the middle on: an MP4 has its index at its end, so that is two places more to go to.
        let listed = |input: &str| {
            let seek = ["-nostdin", "-v", "error", "-copyts", "-ss", "4", "-i", input];
            let list = ["-map", "0", "-c", "copy", "-f", "framehash", "-"];
            process::output("ffmpeg", &[&seek[..], &list].concat())
        };
        let (expected, got) = (listed(&path(file)), listed(&url(file)));
        let packets = got.lines().filter(|line| !line.starts_with('#')).count();
        let is_part = packets > 50 && packets < source().packet_count() - 50;
        let result = if expected == got && is_part {
            Ok(format!("{packets} packets, identical"))
        } else {
            Err(format!("{packets} packets"))
        };
        report.line(&format!("{file} x ffmpeg -ss 4"), result);
        let probed = |input: &str| {
            let what = "format=duration,size:stream=codec_name,width,sample_rate,nb_frames";
            process::output("ffprobe", &["-v", "error", "-show_entries", what, "-of", "csv", input])
        };
        let (expected, got) = (probed(&path(file)), probed(&url(file)));
        let result = if expected == got { Ok("as from the disk".to_string()) } else { Err(got) };
        report.line(&format!("{file} x ffprobe"), result);
    }
    for (file, demuxer) in [("clip.flv", "flvdemux"), ("film.mp4", "qtdemux")] {
        let pads = if demuxer == "qtdemux" { ["video_0", "audio_0"] } else { ["video", "audio"] };
        let play = |name: &str, input: &str| {
            let outputs = pads.map(|pad| format!("{name}-{file}-{pad}"));
            let pipeline = format!(
                "-q {input} ! {demuxer} name=d d.{} ! queue ! filesink location={} d.{} ! queue ! filesink location={}",
                pads[0], outputs[0], pads[1], outputs[1]
            );
            server.run(&format!("{name} {file}"), "gst-launch-1.0", pipeline.split(' ')).succeed();
            outputs.map(|output| server.dir.join(output))
        };
        let expected = play("disk", &format!("filesrc location={file}"));
        let got = play("http", &format!("souphttpsrc location={}", url(file)));
        let result = expected.iter().zip(&got).try_for_each(|(expected, got)| same(expected, got));
        report.line(&format!("{file} x {demuxer}"), result.map(|()| "both tracks, identical".to_string()));
    }
    let written = server.play_url(Player::Vlc, &url("clip.flv"), false, "clip vlc").written();
    let media = |path: &Path| Media::of_file_without_parameter_sets(path);
    let result =
        compare::lacks_only_the_end(&media(&server.dir.join("clip.flv")), &media(&written), VLC_LOSES);
    report.line("clip.flv x vlc", result.map(|missing| format!("identical but the last {missing} packets")));
    report.end();
}

#[test]
fn a_recording_plays_over_http_while_it_is_written() {
    let source = source();
    let mut report = Report::new("recordings over HTTP");
    for format in ["flv", "mp4"] {
        let flags = ["--record-match", "live/*", "--record-format", format, "--record-name", "{path}"];
        let mut server =
            Server::start(&format!("http-{format}"), &[&["--record", "films"], &flags[..]].concat());
        let publisher = server.publish(Publisher::Ffmpeg, "cam", "publisher");
        let file = server.dir.join(format!("films/live/cam.{format}"));
        let has = |len| fs::metadata(&file).is_ok_and(|metadata| metadata.len() > len);
        wait::until("there is a second of it", || has(600_000));
        let url =
            format!("{}.{format}", over_http(&server.url("cam")).replace("/live/", "/recordings/live/"));
        let got = server.play_url(Player::Ffmpeg, &url, false, "growing").finish();
        let told = |()| format!("{} packets so far, identical", got.packet_count());
        report.line(&format!("{format} growing"), compare::is_head(source, &got).map(told));
        publisher.succeed();
        server.wait_for_log("recorded live/cam to");
        let whole = server.play_url(Player::Ffmpeg, &url, false, "whole").finish();
        let compared = if format == "mp4" { compare::similar } else { compare::identical };
        report.line(&format!("{format} whole"), compared(source, &whole).map(|()| "identical".to_string()));
    }
    report.end();
}
