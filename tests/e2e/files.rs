//! Real players and the files of `--media`: whole files, pieces of them, and what was broken off.

use crate::{
    Report, compare,
    material::{self, Media},
    process,
    programs::{self, Player, RTMPDUMP_ENDS, Server, source},
};
use std::fs;

/// A server that plays the source as `clip.flv`, without a list of its keyframes, as `listed.flv` with one, and as
/// `clip.mp4`.
pub(crate) fn server(name: &str) -> Server {
    source();
    let server = Server::start(name, &["--media", "."]);
    let make = |arguments: &[&str], name: &str| {
        let path = server.dir.join(name);
        let quiet = ["-nostdin", "-v", "error", "-y", "-copyts", "-i"];
        let source = server.dir.join("../source.flv");
        let (source, path) = (source.to_str().expect("readable"), path.to_str().expect("readable"));
        process::output(
            "ffmpeg",
            &[&quiet[..], &[source, "-map", "0", "-c", "copy"], arguments, &[path]].concat(),
        );
    };
    fs::copy(server.dir.join("../source.flv"), server.dir.join("clip.flv")).expect("a copy");
    make(&["-flvflags", "add_keyframe_index"], "listed.flv");
    make(&[], "film.mp4");
    server
}

#[test]
fn every_player_gets_whole_files_bit_for_bit() {
    let server = server("files");
    let mut players = Vec::new();
    for file in ["clip", "listed.flv", "film.mp4"] {
        players.extend(Player::ALL.map(|player| (file, server.play_file(player, file))));
    }
    let mut report = Report::new(&format!("whole files ({})", programs::versions()));
    for (file, playing) in players {
        let pair = format!("{file} x {}", playing.player.name());
        let got = playing.finish();
        let told = |()| format!("{} packets, identical", got.packet_count());
        // MP4 counts audio in samples, which FLV cut to whole milliseconds and the server rounds.
        let is_mp4 = file.ends_with("mp4");
        let result = if is_mp4 { compare::similar } else { compare::identical }(source(), &got);
        report.line(&pair, result.map(told));
    }
    report.end();
}

#[test]
fn rtmpdump_gets_pieces_and_goes_on_where_it_broke_off() {
    let server = server("pieces");
    let mut report = Report::new("rtmpdump --start, --stop, --resume");
    for file in ["clip", "listed", "mp4:film.mp4"] {
        let url = server.file_url(file);
        let name = file.replace([':', '.'], "-");
        let dump = |more: &[&str], output: &str| {
            let arguments = [&["-q", "-r", &url, "-o", output], more].concat();
            server.run(&format!("{name} {}", more.join(" ")), "rtmpdump", arguments).end_with(&RTMPDUMP_ENDS);
            Media::of_file(&server.dir.join(output))
        };
        // The third keyframe: 38 frames of 40 ms each, from 143 ms on.
        let is_mp4 = file.starts_with("mp4:");
        let tail = dump(&["--start", "3.183"], &format!("{name}-tail.flv"));
        let first = tail.video.packets.first().map_or(0, |packet| packet.dts);
        let result = match is_mp4 {
            true if first == 3183 => Ok(()),
            true => Err(format!("begins at {first}")),
            false => compare::is_tail(source(), &tail, material::GOP),
        };
        let told = |()| format!("the last {} packets", tail.packet_count());
        report.line(&format!("{file} --start"), result.map(told));
        let cut = format!("{name}-cut.flv");
        let head = dump(&["--stop", "3"], &cut);
        let last = head.video.packets.last().map_or(0, |packet| packet.dts);
        let is_cut = (2900..3000).contains(&last);
        report.line(
            &format!("{file} --stop"),
            if is_cut {
                Ok(format!("{} packets", head.packet_count()))
            } else {
                Err(format!("ends at {last}"))
            },
        );
        let whole = dump(&["--resume"], &cut);
        let result = if is_mp4 { compare::similar } else { compare::identical }(source(), &whole);
        report.line(&format!("{file} --resume"), result.map(|()| "identical in the end".to_string()));
    }
    report.end();
}
