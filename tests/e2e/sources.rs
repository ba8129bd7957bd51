//! Every kind of source, as ffprobe sees it: how many packets, in which order, at which times.

use crate::{
    Report, process,
    programs::{Server, free_port, scratch},
};
use std::{fs, sync::OnceLock, thread, time::Instant};

/// 2 s at 25 pictures a second with B-frames, and sound, as FLV and without a container; made by the first test that
/// needs it. Names are as seen from a test's folder.
fn make_clips() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let dir = scratch().join("clips");
        fs::create_dir_all(&dir).unwrap();
        let name = |name: &str| dir.join(name).to_str().expect("a readable name").to_string();
        let (mp4, fragments, flv, h264, h265, aac) = (
            name("clip.mp4"),
            name("fragments.mp4"),
            name("clip.flv"),
            name("clip.h264"),
            name("clip.h265"),
            name("clip.aac"),
        );
        let quiet = ["-nostdin", "-v", "error", "-y"];
        let video = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2"];
        let audio = ["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=2"];
        let x264 = ["-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p"];
        let make = |parts: &[&[&str]]| drop(process::output("ffmpeg", &parts.concat()));
        make(&[&quiet, &video, &audio, &x264, &["-c:a", "aac", &flv]]);
        make(&[&quiet, &["-i", &flv, "-c", "copy", &mp4]]);
        let fragmented = ["-movflags", "frag_keyframe+empty_moov"];
        make(&[&quiet, &["-i", &flv, "-c", "copy"], &fragmented, &[&fragments]]);
        make(&[&quiet, &video, &x264, &["-f", "h264", &h264]]);
        let x265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25"];
        make(&[&quiet, &video, &x265, &["-f", "hevc", &h265]]);
        make(&[&quiet, &audio, &["-c:a", "aac", "-f", "adts", &aac]]);
    });
}

/// Decode times of packets in milliseconds, of video and of audio.
#[derive(Debug, Default)]
struct Packets {
    video: Vec<i64>,
    audio: Vec<i64>,
}

/// What ffprobe gets until the stream ends, or for so many seconds of it.
fn probe(input: &str, seconds: Option<f64>) -> Packets {
    let interval = seconds.map(|seconds| format!("%+{seconds}"));
    let mut arguments = vec!["-v", "error", "-show_entries", "packet=codec_type,dts_time", "-of", "csv=p=0"];
    if let Some(interval) = &interval {
        arguments.extend(["-read_intervals", interval]);
    }
    arguments.push(input);
    let mut packets = Packets::default();
    for line in process::output("ffprobe", &arguments).lines() {
        let mut fields = line.split(',');
        let (kind, time) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let seconds: f64 = time.parse().unwrap_or_else(|_| panic!("not a packet with a time: {line}"));
        let track = if kind == "video" { &mut packets.video } else { &mut packets.audio };
        track.push((seconds * 1000.0).round() as i64);
    }
    packets
}

/// `count` packets, each `step` ms behind the one before, but for rounding.
fn is_even(
    name: &str,
    times: &[i64],
    count: std::ops::RangeInclusive<usize>,
    step: f64,
) -> Result<(), String> {
    if !count.contains(&times.len()) {
        return Err(format!("{name}: {} packets instead of {count:?}", times.len()));
    }
    let is_even = |pair: &[i64]| ((pair[1] - pair[0]) as f64 - step).abs() <= 1.0;
    match times.windows(2).position(|pair| !is_even(pair)) {
        Some(at) => Err(format!("{name}: from {} to {} ms", times[at], times[at + 1])),
        None => Ok(()),
    }
}

const PICTURE: f64 = 40.0;
const SOUND: f64 = 1024.0 / 48.0;

#[test]
fn ffprobe_gets_every_kind_of_source_in_its_order_and_time() {
    make_clips();
    let port = free_port();
    let pulled = format!("live/pulled=rtmp://127.0.0.1:{port}/live/loop?on-demand=1");
    let encode = "exec:ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=sample_rate=48000 \
                  -c:v libx264 -preset ultrafast -g 25 -bf 2 -pix_fmt yuv420p -c:a aac";
    let encode_flv = format!("live/encode={encode} -f flv - ?on-demand=1");
    let encode_mp4 =
        format!("live/fragments={encode} -f mp4 -movflags frag_keyframe+empty_moov - ?on-demand=1");
    let specs = [
        "live/once=../clips/clip.flv?loop=0&on-demand=1",
        "live/mp4=../clips/clip.mp4?on-demand=1",
        "live/loop=../clips/clip.flv?on-demand=1",
        "live/h264=../clips/clip.h264?loop=0&on-demand=1",
        "live/rate=../clips/clip.h264?loop=0&on-demand=1&fps=50",
        "live/aac=../clips/clip.aac?loop=0&on-demand=1",
        "live/rawloop=../clips/clip.h264?on-demand=1",
        "live/catflv=exec:cat ../clips/clip.flv ?on-demand=1",
        "live/cath264=exec:cat ../clips/clip.h264 ?on-demand=1",
        "live/pipe=cam.fifo",
        "live/catmp4=exec:cat ../clips/fragments.mp4 ?on-demand=1",
        &encode_flv,
        &encode_mp4,
        &pulled,
    ];
    let flags: Vec<&str> = specs.iter().flat_map(|spec| ["-s", *spec]).collect();
    // The pipe is made before the server looks for it.
    let server = Server::start_on(port, "sources", &flags);
    drop(process::output("mkfifo", &[server.dir.join("cam.fifo").to_str().unwrap()]));
    let original = probe(scratch().join("clips/clip.flv").to_str().unwrap(), None);
    let get = |key: &'static str, seconds| {
        let url = server.url(key);
        move || {
            let begun = Instant::now();
            let packets = probe(&url, seconds);
            (packets, begun.elapsed().as_secs_f64())
        }
    };
    let mut report = Report::new("sources, as ffprobe sees them");
    thread::scope(|scope| {
        let [
            once,
            mp4,
            looped,
            h264,
            rate,
            aac,
            rawloop,
            catflv,
            cath264,
            catmp4,
            pipe,
            encode,
            fragments,
            pulled,
        ] = [
            get("once", None),
            get("mp4", Some(5.0)),
            get("loop", Some(5.0)),
            get("h264", None),
            get("rate", None),
            get("aac", None),
            get("rawloop", Some(5.0)),
            get("catflv", Some(1.5)),
            get("cath264", Some(1.5)),
            get("catmp4", Some(1.5)),
            get("pipe", Some(1.5)),
            get("encode", Some(3.0)),
            get("fragments", Some(3.0)),
            get("pulled", Some(4.0)),
        ]
        .map(|get| scope.spawn(get));
        // Waits for a reader, which is there within a second.
        let writer = server.run(
            "writer",
            "sh",
            ["-c", "sleep 2; for i in 1 2 3 4; do cat ../clips/clip.h264 >cam.fifo; done"],
        );
        let whole = |name, handle: thread::ScopedJoinHandle<'_, (Packets, f64)>, least: f64| {
            let (packets, took) = handle.join().expect(name);
            let is_real_time = (least..least + 8.0).contains(&took);
            (packets, if is_real_time { Ok(()) } else { Err(format!("took {took:.1} s")) })
        };
        let (got, time) = whole("once", once, 1.4);
        let is_same = got.video == original.video && got.audio == original.audio;
        let same = if is_same { Ok(()) } else { Err(format!("{got:?} instead of {original:?}")) };
        let count = got.video.len() + got.audio.len();
        report.line("FLV file once", same.and(time).map(|()| format!("{count} packets, as in the file")));

        let (got, time) = whole("mp4", mp4, 4.0);
        let even = is_even("video", &got.video, 120..=126, PICTURE).or_else(|why| seams(&got.video, why));
        report.line("MP4 file looped", even.and(time).map(|()| format!("{} pictures", got.video.len())));

        let (got, time) = whole("loop", looped, 4.0);
        let even = is_even("video", &got.video, 120..=126, PICTURE).or_else(|why| seams(&got.video, why));
        let sound = if got.audio.windows(2).all(|pair| (20..=65).contains(&(pair[1] - pair[0]))) {
            Ok(())
        } else {
            Err(format!("audio: {:?}", got.audio))
        };
        let told = |()| format!("{} pictures of three rounds, evenly", got.video.len());
        report.line("FLV file looped", even.and(sound).and(time).map(told));

        let (got, time) = whole("h264", h264, 1.4);
        report.line(
            "H.264 file",
            is_even("video", &got.video, 50..=50, PICTURE).and(time).map(|()| "50 pictures".into()),
        );
        let (got, time) = whole("rate", rate, 0.5);
        report.line(
            "H.264 file, fps=50",
            is_even("video", &got.video, 50..=50, 20.0).and(time).map(|()| "50 pictures".into()),
        );
        let (got, time) = whole("aac", aac, 1.4);
        report.line(
            "ADTS file",
            is_even("audio", &got.audio, 94..=96, SOUND)
                .and(time)
                .map(|()| format!("{} frames", got.audio.len())),
        );
        let (got, time) = whole("rawloop", rawloop, 4.0);
        report.line(
            "H.264 file looped",
            is_even("video", &got.video, 120..=126, PICTURE)
                .and(time)
                .map(|()| format!("{} pictures", got.video.len())),
        );
        let (got, _) = whole("catflv", catflv, 0.0);
        report.line(
            "exec: FLV",
            is_even("video", &got.video, 34..=50, PICTURE).map(|()| format!("{} pictures", got.video.len())),
        );
        let (got, _) = whole("cath264", cath264, 0.0);
        report.line(
            "exec: H.264",
            is_even("video", &got.video, 34..=50, PICTURE).map(|()| format!("{} pictures", got.video.len())),
        );
        let (got, _) = whole("catmp4", catmp4, 0.0);
        let count = got.video.len() + got.audio.len();
        let sound = is_even("audio", behind_first(&got.audio), 60..=96, SOUND);
        report.line(
            "exec: MP4 in fragments",
            is_even("video", &got.video, 34..=50, PICTURE).and(sound).map(|()| format!("{count} packets")),
        );
        let (got, _) = whole("pipe", pipe, 0.0);
        report.line(
            "named pipe: H.264",
            is_even("video", &got.video, 34..=50, PICTURE).map(|()| format!("{} pictures", got.video.len())),
        );
        let (got, time) = whole("encode", encode, 1.5);
        report.line(
            "exec: ffmpeg encodes",
            is_even("video", &got.video, 70..=80, PICTURE)
                .and(time)
                .map(|()| format!("{} pictures", got.video.len())),
        );
        let (got, time) = whole("fragments", fragments, 1.5);
        let sound = is_even("audio", behind_first(&got.audio), 130..=160, SOUND);
        report.line(
            "exec: ffmpeg encodes MP4",
            is_even("video", &got.video, 70..=80, PICTURE)
                .and(sound)
                .and(time)
                .map(|()| format!("{} pictures", got.video.len())),
        );
        let (got, _) = whole("pulled", pulled, 2.0);
        let even = is_even("video", &got.video, 90..=150, PICTURE).or_else(|why| seams(&got.video, why));
        report.line("rtmp:// pull", even.map(|()| format!("{} pictures", got.video.len())));
        writer.succeed();
    });
    report.end();
}

/// ffmpeg 5 begins sound with a frame that lasts as long as pictures are late if it may write no edit list.
fn behind_first(times: &[i64]) -> &[i64] {
    times.get(1..).unwrap_or_default()
}

/// Where sound lasts longer than the pictures, these go on a bit later in each round, but for that evenly.
fn seams(times: &[i64], why: String) -> Result<(), String> {
    let odd = times.windows(2).filter(|pair| (pair[1] - pair[0] - 40).abs() > 1);
    let odd: Vec<i64> = odd.map(|pair| pair[1] - pair[0]).collect();
    let is_seam = odd.len() <= 3 && odd.iter().all(|step| (40..=100).contains(step));
    if is_seam { Ok(()) } else { Err(why) }
}

#[test]
fn standard_input_is_a_source() {
    make_clips();
    let server = Server::start_reading("../clips/clip.h264", "stdin", &["-s", "live/cam=-?on-demand=1"]);
    let got = probe(&server.url("cam"), None);
    let mut report = Report::new("standard input");
    report.line("H.264", is_even("video", &got.video, 50..=50, PICTURE).map(|()| "50 pictures".into()));
    report.end();
}

/// Not every installed ffmpeg knows H.265 in FLV.
#[test]
fn raw_h265_is_a_source() {
    make_clips();
    let server = Server::start("h265", &["-s", "live/cam=../clips/clip.h265?loop=0&on-demand=1"]);
    server.run("pull", env!("CARGO_BIN_EXE_pull"), [&*server.url("cam"), "out.flv"]).succeed();
    let bytes = fs::read(server.dir.join("out.flv")).unwrap();
    let mut reader = weir::flv::Reader::new(weir::flv::ReaderLimits::default());
    let (mut input, mut times) = (&bytes[..], Vec::new());
    while let Ok(Some(item)) = reader.read(&mut input) {
        let weir::flv::Item::Tag { tag, .. } = item else { continue };
        let class = tag.classify();
        if tag.kind != weir::flv::TagKind::Video {
            continue;
        }
        assert_eq!(class.codec, Some(weir::flv::Codec::Hevc));
        if class.role != weir::flv::TagRole::SequenceHeader {
            times.push(i64::from(tag.timestamp.0));
        }
    }
    let mut report = Report::new("raw H.265");
    report.line("H.265 file", is_even("video", &times, 50..=50, PICTURE).map(|()| "50 pictures".into()));
    report.end();
}
