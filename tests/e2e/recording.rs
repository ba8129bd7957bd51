//! `--record` against the programs that will read its files: every packet, and what is left when weir is killed.

use crate::{
    Report, compare,
    material::Media,
    process,
    programs::{Publisher, Server, source},
    wait,
};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};
use weir::{
    codec::raw::RawReader,
    flv::{Tag, writer},
    media::{MediaReader, mp4::Mp4Reader},
    mp4::writer::TagWriter,
};

const FORMATS: [&str; 2] = ["flv", "mp4"];
/// Servers that are killed, of each format.
const KILLS: u64 = 20;
/// Milliseconds after the first bytes of a file at which that happens.
const KILL_AFTER: core::ops::Range<u64> = 200..1800;
/// Milliseconds of media that a kill may cost: a fragment of a second and the sample that waits for its successor, and what
/// a busy machine keeps anybody from sending.
const MAX_LOSS: i64 = 1700;

fn flags(format: &'static str) -> [&'static str; 8] {
    ["--record", "films", "--record-match", "live/*", "--record-format", format, "--record-name", "{path}"]
}

/// Fails if ffmpeg finds anything to complain about when it decodes all of a file.
fn decodes(file: &Path) -> Result<(), String> {
    let file = file.to_str().expect("the target directory has a readable name");
    let said = process::output("ffmpeg", &["-nostdin", "-v", "error", "-i", file, "-f", "null", "-"]);
    if said.trim().is_empty() { Ok(()) } else { Err(said) }
}

/// A killed process may leave a part of its last write. FLV: the file without that, for players that complain of it.
fn without_torn_tag(file: &Path) -> PathBuf {
    if file.extension().is_none_or(|extension| extension != "flv") {
        return file.into();
    }
    let bytes = fs::read(file).unwrap();
    let mut end = 13;
    while let Some(&[_, high, middle, low, ..]) = bytes.get(end..end + 4) {
        let next = end + 15 + u32::from_be_bytes([0, high, middle, low]) as usize;
        if next > bytes.len() {
            break;
        }
        end = next;
    }
    let whole = file.with_extension("whole.flv");
    fs::write(&whole, &bytes[..end]).unwrap();
    whole
}

/// What ffprobe says, in seconds.
fn duration(file: &Path) -> String {
    let file = file.to_str().expect("the target directory has a readable name");
    process::output("ffprobe", &["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", file])
}

fn film(dir: &Path, name: &str, format: &str) -> PathBuf {
    dir.join(format!("films/live/{name}.{format}"))
}

#[test]
fn recordings_hold_every_packet_that_was_published() {
    let source = source();
    let mut report = Report::new("recorded: every packet, ffmpeg decodes it without a word");
    let servers = FORMATS.map(|format| Server::start(&format!("recorded-{format}"), &flags(format)));
    let publishers =
        [&servers[0], &servers[1]].map(|server| server.publish(Publisher::Ffmpeg, "cam", "publisher"));
    publishers.into_iter().for_each(process::Process::succeed);
    for (mut server, format) in servers.into_iter().zip(FORMATS) {
        server.wait_for_log("recorded live/cam");
        let file = film(&server.dir, "cam", format);
        let got = Media::of_file(&file);
        let result = compare::identical(source, &got).and_then(|()| decodes(&file));
        report.line(format, result.map(|()| format!("{} packets, identical", got.packet_count())));
        let listed = duration(&file);
        let is_right = (6.8..7.1).contains(&listed.trim().parse::<f64>().unwrap_or(0.0));
        report.line(&format!("{format}, duration"), if is_right { Ok(listed) } else { Err(listed) });
    }
    report.end();
}

/// What no program here can publish: tags made of a raw stream.
#[test]
fn h265_and_mp3_are_recorded_so_that_ffmpeg_sees_the_same_pictures() {
    let mut server = Server::start("recorded-others", &flags("mp4"));
    let quiet = ["-nostdin", "-v", "error", "-y"].as_slice();
    let in_dir = |name: &str| server.dir.join(name).to_str().expect("readable").to_string();
    let (raw_file, mp3_file) = (in_dir("raw.hevc"), in_dir("mp3.flv"));
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=2"].as_slice();
    let x265 =
        ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25", &raw_file];
    process::output("ffmpeg", &[quiet, picture, &x265].concat());
    let sound = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=2"].as_slice();
    let mp3 = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-c:a",
        "libmp3lame",
        "-flvflags",
        "no_duration_filesize",
    ];
    process::output("ffmpeg", &[quiet, picture, sound, &mp3, &[&mp3_file]].concat());
    write_flv(&server.dir.join("hevc.flv"), &tags_of(&fs::read(&raw_file).expect("ffmpeg wrote it")));
    let push = env!("CARGO_BIN_EXE_push");
    let pushes =
        ["hevc", "mp3"].map(|name| server.run(name, push, [format!("{name}.flv"), server.url(name)]));
    pushes.into_iter().for_each(process::Process::succeed);
    server.wait_for_log("recorded live/hevc");
    server.wait_for_log("recorded live/mp3");
    let pictures = |file: &str| {
        let arguments =
            ["-nostdin", "-v", "error", "-i", file, "-map", "0:v", "-f", "framehash", "-hash", "md5", "-"];
        let text = process::output("ffmpeg", &arguments);
        let hashes = text.lines().filter(|line| !line.starts_with('#'));
        hashes
            .filter_map(|line| line.rsplit(',').next())
            .map(|hash| hash.trim().to_string())
            .collect::<Vec<_>>()
    };
    let mut report = Report::new("recorded to MP4: what classic FLV does not carry");
    let film = film(&server.dir, "hevc", "mp4");
    let (sent, got) = (pictures(&raw_file), pictures(film.to_str().expect("readable")));
    let result = if sent == got && sent.len() == 50 {
        Ok(format!("{} pictures", got.len()))
    } else {
        Err(format!("{} of {}", got.len(), sent.len()))
    };
    report.line("H.265", result.and_then(|text| decodes(&film).map(|()| text)));
    let (sent, film) = (Media::of_file(Path::new(&mp3_file)), self::film(&server.dir, "mp3", "mp4"));
    let got = Media::of_file(&film);
    // MP4 has no configuration for MP3.
    let result = compare::identical(&sent, &got).and_then(|()| decodes(&film));
    report.line("MP3", result.map(|()| format!("{} packets, identical", got.packet_count())));
    report.end();
}

/// The tags that a publisher of this raw stream of H.265 would send.
fn tags_of(stream: &[u8]) -> Vec<Tag> {
    let mut reader = RawReader::h265(None);
    reader.push(stream);
    reader.finish();
    core::iter::from_fn(|| reader.next().expect("ffmpeg's stream is sound")).collect()
}

fn write_flv(path: &Path, tags: &[Tag]) {
    let mut bytes = writer::header(false, true).to_vec();
    for tag in tags {
        writer::write_tag(&mut bytes, tag).expect("tags are far below 16 MiB");
    }
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Files of what no program here can publish, read as tags and written as recordings are, fragmented and finished.
#[test]
fn every_codec_of_mp4_is_written_as_it_was_read() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e").join("rewritten");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut report = Report::new("MP4 read as tags, written as a recording");
    for (name, codecs) in [
        ("h264-aac", "-c:v libx264 -preset veryfast -g 25 -bf 3 -c:a aac"),
        (
            "hevc-mp3",
            "-c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params log-level=error -c:a libmp3lame",
        ),
        ("vp9-opus", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -c:a libopus"),
        ("av1-opus", "-c:v libsvtav1 -preset 12 -g 25 -c:a libopus"),
    ] {
        let inputs =
            "-nostdin -v error -y -f lavfi -i testsrc2=s=320x180:r=25:d=3 -f lavfi -i sine=440:r=48000:d=3";
        let path = |file: &str| dir.join(format!("{name}-{file}.mp4"));
        let original = path("original");
        let arguments = format!("{inputs} {codecs}");
        let mut arguments: Vec<&str> = arguments.split(' ').collect();
        arguments.push(original.to_str().expect("readable"));
        process::output("ffmpeg", &arguments);
        let (fragmented, finished) = rewritten(&fs::read(&original).expect("ffmpeg wrote it"));
        for (form, bytes) in [("fragmented", fragmented), ("finished", finished)] {
            let file = path(form);
            fs::write(&file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let (sent, got) = (Media::of_file(&original), Media::of_file(&file));
            let result = same_from_the_start(&sent, &got).and_then(|()| decodes(&file));
            report
                .line(&format!("{name}, {form}"), result.map(|()| format!("{} packets", got.packet_count())));
        }
    }
    report.end();
}

fn rewritten(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = Mp4Reader::open(bytes).expect("ffmpeg's file is sound");
    let (mut writer, mut file) = (TagWriter::new((0, 0)), Vec::new());
    for tag in reader.headers() {
        writer.push(0, &tag, &mut file).expect("MP4 holds it");
    }
    while let Some(tag) = reader.next().expect("ffmpeg's file is sound") {
        writer.push(u64::from(tag.timestamp.0), &tag, &mut file).expect("MP4 holds it");
    }
    writer.finish(&mut file).expect("MP4 holds it");
    let (fragmented, index) = (file.clone(), writer.index().expect("it has begun"));
    file.extend(index.moov);
    let at = index.head_at as usize;
    file[at..at + index.head.len()].copy_from_slice(&index.head);
    (fragmented, file)
}

/// The same bytes at the same times, to the millisecond, counted from the first picture: what reads an MP4 as tags moves
/// all of it so that nothing lies before 0.
fn same_from_the_start(sent: &Media, got: &Media) -> Result<(), String> {
    let from = |media: &Media| media.video.packets.first().map_or(0, |packet| packet.pts);
    for ((name, sent_track), (_, got_track)) in sent.tracks().into_iter().zip(got.tracks()) {
        if sent_track.packets.len() != got_track.packets.len() {
            return Err(format!(
                "{name}: {} packets of {}",
                got_track.packets.len(),
                sent_track.packets.len()
            ));
        }
        for (index, (a, b)) in sent_track.packets.iter().zip(&got_track.packets).enumerate() {
            let off = (a.pts - from(sent)) - (b.pts - from(got));
            if a.hash != b.hash || off.abs() > 1 {
                return Err(format!("{name} packet {index}: {off} ms off, or other bytes"));
            }
        }
    }
    Ok(())
}

/// As it is, and as the next start leaves it.
#[test]
fn a_killed_weir_leaves_playable_files_that_miss_a_moment_at_most() {
    let source = source();
    let mut report = Report::new("weir killed while it recorded");
    // Another one for each run of the test; it is printed with what fails.
    let mut seed =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |now| now.as_millis() as u64) | 1;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut losses = FORMATS.map(|_| (0, 0));
    for _ in 0..KILLS {
        let after = KILL_AFTER.start + random() % (KILL_AFTER.end - KILL_AFTER.start);
        thread::scope(|scope| {
            let runs = FORMATS.map(|format| scope.spawn(move || (format, kill_once(source, format, after))));
            for (run, loss) in runs.into_iter().zip(&mut losses) {
                match run.join().expect("its findings are no panic") {
                    (_, Ok(lost)) => *loss = (loss.0 + 1, loss.1.max(lost)),
                    (format, Err(why)) => report.line(&format!("{format} after {after} ms"), Err(why)),
                }
            }
        });
    }
    for (format, (count, most)) in FORMATS.into_iter().zip(losses) {
        let told = format!(
            "{count} of {KILLS} files play and are the source's start; at most {most} ms are missing"
        );
        report.line(format, if count == KILLS { Ok(told) } else { Err(told) });
    }
    report.end();
}

/// Returns how many milliseconds of what was published are not in the file.
fn kill_once(source: &Media, format: &'static str, after: u64) -> Result<i64, String> {
    let server = Server::start(&format!("killed-{format}"), &flags(format));
    let publisher = server.publish(Publisher::Ffmpeg, "cam", "publisher");
    let file = film(&server.dir, "cam", format);
    if !wait::is_in_time(Instant::now() + wait::LIMIT, || {
        fs::metadata(&file).is_ok_and(|file| file.len() > 0)
    }) {
        return Err("nothing is recorded".into());
    }
    let first = Instant::now();
    thread::sleep(Duration::from_millis(after));
    let lasted = first.elapsed().as_millis() as i64;
    let dir = server.kill();
    drop(publisher);
    decodes(&without_torn_tag(&file)).map_err(|why| format!("before the repair: {why}"))?;
    let end = compare::is_start(source, &Media::of_file(&file))?;
    let mut server = Server::start_in(dir, &flags(format));
    server.wait_for_log("has its index now");
    let repaired = compare::is_start(source, &Media::of_file(&file))?;
    let told = duration(&file).trim().parse::<f64>().unwrap_or(0.0) * 1000.0;
    if (told - end as f64).abs() > 200.0 {
        return Err(format!("repaired, it says {told} ms of {end}"));
    }
    let lost = (lasted - end).max(0);
    match (repaired == end, lost <= MAX_LOSS) {
        (true, true) => Ok(lost),
        (false, _) => Err(format!("the repair cut from {end} to {repaired} ms")),
        (_, false) => Err(format!("{lost} ms are missing")),
    }
}
