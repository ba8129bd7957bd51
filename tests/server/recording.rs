//! `--record`: which streams become files, when a file ends, and what a publisher that asked is told.

use super::*;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use weir::{
    flv::{Item, Reader, ReaderLimits, TagKind, TagRole},
    rtmp::{MessageStreamId, session::PublishType},
    server::{RecordConfig, RecordFormat},
};

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recording").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Files are called by the stream and a number.
fn record(folder: &Path) -> RecordConfig {
    RecordConfig { name: "{path}-{n}".parse().unwrap(), ..RecordConfig::new(folder.to_path_buf()) }
}

fn start_recording(record: RecordConfig) -> (Server, SocketAddr) {
    start(Config { record: Some(record), ..config() })
}

/// Publishes as `kind` and waits until it may; whether it is told that a recording began comes with the first frame.
fn publisher(address: SocketAddr, name: &str, kind: PublishType) -> (Client, MessageStreamId) {
    let mut client = Client::connect(address, "live");
    let stream = client.create_stream();
    client.publish_as(stream, name, kind);
    assert_eq!(client.status(), "NetStream.Publish.Start");
    (client, stream)
}

fn files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        match entry.path().is_dir() {
            true if name == ".weir" => {}
            true => names.extend(files(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}"))),
            false => names.push(name),
        }
    }
    names.sort();
    names
}

/// All tags of an FLV file, which has to be sound.
fn tags(file: &Path) -> Vec<Tag> {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut reader, mut input, mut tags) = (Reader::new(ReaderLimits::default()), &*bytes, Vec::new());
    while let Some(item) = reader.read(&mut input).unwrap() {
        match item {
            Item::Header { .. } => {}
            Item::Tag { tag, .. } => tags.push(tag),
            Item::Damage { offset, .. } => panic!("{}: damaged at {offset}", file.display()),
        }
    }
    reader.finish().unwrap();
    tags
}

/// Kind, time and last byte of everything but the metadata.
fn frames(file: &Path) -> Vec<(TagRole, u32, u8)> {
    let tags = tags(file);
    let media = tags.iter().filter(|tag| tag.kind != TagKind::Data);
    media.map(|tag| (tag.classify().role, tag.timestamp.0, *tag.body.last().unwrap())).collect()
}

/// Of the metadata at the start.
fn duration(file: &Path) -> f64 {
    let metadata = tags(file).remove(0);
    let (values, _) = weir::amf::amf0::decode_all(&metadata.body, Default::default());
    values[1].as_object().unwrap().get("duration").and_then(Value::as_number).unwrap()
}

const HEADER: (TagRole, u32, u8) = (TagRole::SequenceHeader, 0, 1);

#[test]
fn publish_of_type_record_makes_a_file_of_what_was_sent_and_says_so() {
    let folder = folder("record");
    let (_server, address) = start_recording(record(&folder));
    let (mut client, out) = publisher(address, "asked", PublishType::Record);
    client.send(out, &[metadata(7), video_header(1), audio_header(), audio(100), keyframe(143, b"k")]);
    client.send(out, &[audio(123), inter_frame(183, b"p")]);
    assert_eq!(client.status(), "NetStream.Record.Start");
    // It is there while it is written, under its name.
    until("the first frame is in the file", || {
        fs::metadata(folder.join("live/asked-1.flv")).is_ok_and(|m| m.len() > 0)
    });
    client.with(|session| session.call(out, "FCUnpublish", &["asked".into()])).unwrap();
    let told = [client.status(), client.status()];
    assert_eq!(told, ["NetStream.Unpublish.Success", "NetStream.Record.Stop"]);
    let file = folder.join("live/asked-1.flv");
    let expected = [
        HEADER,
        (TagRole::SequenceHeader, 0, 0x10),
        (TagRole::Frame, 0, 0x21),
        (TagRole::Keyframe, 43, b'k'),
        (TagRole::Frame, 23, 0x21),
        (TagRole::Frame, 83, b'p'),
    ];
    assert_eq!(frames(&file), expected);
    // The last picture lasts as long as the one before it.
    assert_eq!(duration(&file), 0.123);
    assert!(fs::read_dir(folder.join(".weir")).unwrap().next().is_none(), "nothing is left unfinished");
}

#[test]
fn publish_of_type_append_goes_on_with_the_last_file() {
    let folder = folder("append");
    let (_server, address) = start_recording(record(&folder));
    for round in 0..2 {
        let (mut client, out) = publisher(address, "more", PublishType::Append);
        client.send(out, &[video_header(1), keyframe(5000, b"a"), inter_frame(5040, b"b")]);
        assert_eq!(client.status(), "NetStream.Record.Start", "{round}");
        client.with(|session| session.delete_stream(out)).unwrap();
        until("it is written", || logged_times("recorded live/more to") > round);
    }
    assert_eq!(files(&folder), ["live/more-1.flv"]);
    let file = folder.join("live/more-1.flv");
    let times: Vec<(u8, u32)> = frames(&file).into_iter().map(|(_, time, last)| (last, time)).collect();
    assert_eq!(times, [(1, 0), (b'a', 0), (b'b', 40), (1, 80), (b'a', 80), (b'b', 120)]);
    assert_eq!(duration(&file), 0.16);
    // Another configuration does not fit behind it.
    let (mut client, out) = publisher(address, "more", PublishType::Append);
    client.send(out, &[video_header(2), keyframe(0, b"c")]);
    assert_eq!(client.status(), "NetStream.Record.Start");
    assert_eq!(files(&folder), ["live/more-1.flv", "live/more-2.flv"]);
}

fn logged_times(text: &str) -> usize {
    LOG.lock().unwrap().iter().filter(|line| line.contains(text)).count()
}

#[test]
fn record_replaces_a_file_only_where_names_have_no_number() {
    let folder = folder("replace");
    fs::create_dir_all(folder.join("live")).unwrap();
    fs::write(folder.join("live/cam.flv"), b"old").unwrap();
    let config = RecordConfig {
        name: "{path}".parse().unwrap(),
        patterns: vec!["live/*".parse().unwrap()],
        ..record(&folder)
    };
    let (_server, address) = start_recording(config);
    let run = |kind, text: &str| {
        let (mut client, out) = publisher(address, "cam", kind);
        client.send(out, &[video_header(1), keyframe(0, b"k")]);
        until("it is recorded", || logged(text));
        client.with(|session| session.delete_stream(out)).unwrap();
        let recorded = text.replace("recording live/cam", "recorded live/cam");
        until("it is written", || logged(&recorded));
    };
    run(PublishType::Live, &format!("recording live/cam to {}", folder.join("live/cam~2.flv").display()));
    assert_eq!(fs::read(folder.join("live/cam.flv")).unwrap(), b"old");
    run(PublishType::Record, &format!("recording live/cam to {}", folder.join("live/cam.flv").display()));
    assert_eq!(frames(&folder.join("live/cam.flv")), [HEADER, (TagRole::Keyframe, 0, b'k')]);
    assert_eq!(files(&folder), ["live/cam.flv", "live/cam~2.flv"]);
}

#[test]
fn streams_that_match_are_recorded_unasked_and_others_are_not() {
    let folder = folder("match");
    let config = RecordConfig { patterns: vec!["live/in-*".parse().unwrap()], ..record(&folder) };
    let (server, address) = start_recording(config);
    for name in ["in-a", "out-a"] {
        let (mut client, out) = Client::publisher(address, name);
        client.send(out, &[video_header(1), keyframe(0, b"k")]);
    }
    until("both are gone", || server.stats().connections.value() == 0);
    // Their publishers vanished: the resume window is still open.
    drop(server);
    assert_eq!(files(&folder), ["live/in-a-1.flv"]);
    assert_eq!(frames(&folder.join("live/in-a-1.flv")), [HEADER, (TagRole::Keyframe, 0, b'k')]);
}

#[test]
fn files_end_at_a_keyframe_after_their_time_and_the_oldest_go() {
    let folder = folder("segments");
    let config = RecordConfig { segment: Some(Duration::from_secs(2)), keep: Some(2), ..record(&folder) };
    let (_server, address) = start_recording(config);
    let (mut client, out) = publisher(address, "seg", PublishType::Record);
    client.send(out, &[video_header(1)]);
    for second in 0..8 {
        let at = second * 1000;
        client.send(
            out,
            &[keyframe(at, &[second as u8]), audio(at + 1), inter_frame(at + 500, &[100 + second as u8])],
        );
    }
    client.with(|session| session.delete_stream(out)).unwrap();
    until("it is written", || logged_times("recorded live/seg to") == 4);
    assert_eq!(files(&folder), ["live/seg-3.flv", "live/seg-4.flv"]);
    let expected = [
        HEADER,
        (TagRole::Keyframe, 0, 4),
        (TagRole::Frame, 1, 0x21),
        (TagRole::Frame, 500, 104),
        (TagRole::Keyframe, 1000, 5),
        (TagRole::Frame, 1001, 0x21),
        (TagRole::Frame, 1500, 105),
    ];
    assert_eq!(frames(&folder.join("live/seg-3.flv")), expected);
}

/// Numbers begin anew where files were removed, and clocks of boards go back: what is being written stays all the same.
#[test]
fn the_file_that_is_being_written_is_never_removed() {
    let folder = folder("keep");
    let config = RecordConfig { segment: Some(Duration::from_secs(2)), keep: Some(2), ..record(&folder) };
    let (_server, address) = start_recording(config);
    for round in 0..3 {
        let (mut client, out) = publisher(address, "kept", PublishType::Record);
        client.send(out, &[video_header(1)]);
        for second in 0..4 {
            client.send(out, &[keyframe(second * 1000, &[10 * round + second as u8])]);
        }
        client.with(|session| session.delete_stream(out)).unwrap();
        until("it is written", || logged_times("recorded live/kept to") == 2 * (usize::from(round) + 1));
        let mut last: Vec<u8> = files(&folder)
            .iter()
            .flat_map(|name| frames(&folder.join(name)).into_iter().map(|(_, _, body)| body))
            .filter(|body| *body != 1)
            .collect();
        last.sort_unstable();
        assert_eq!(
            last,
            [0, 1, 2, 3]
                .map(|second| 10 * round + second)
                .into_iter()
                .filter(|body| *body != 1)
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_file_ends_at_a_keyframe_after_its_size() {
    let folder = folder("size");
    let (_server, address) = start_recording(RecordConfig { max_size: Some(100_000), ..record(&folder) });
    let (mut client, out) = publisher(address, "big", PublishType::Record);
    client.send(out, &[video_header(1)]);
    for second in 0..4 {
        client.send(
            out,
            &[keyframe(second * 1000, &[7; 40_000]), inter_frame(second * 1000 + 40, &[8; 40_000])],
        );
    }
    client.with(|session| session.delete_stream(out)).unwrap();
    until("it is written", || logged_times("recorded live/big to") == 4);
    for name in files(&folder) {
        let frames = frames(&folder.join(&name));
        assert_eq!(frames[1].0, TagRole::Keyframe, "{name}");
        assert_eq!(frames.len(), 3, "{name}: two frames of 40 kB and room for an index are 100 kB");
    }
}

#[test]
fn another_configuration_or_another_clock_begins_another_file() {
    let folder = folder("changes");
    let (_server, address) = start_recording(record(&folder));
    let (mut client, out) = publisher(address, "odd", PublishType::Record);
    client.send(out, &[video_header(1), keyframe(1000, b"a"), inter_frame(1040, b"b")]);
    client.send(out, &[video_header(2), inter_frame(1080, b"x"), keyframe(1120, b"c")]);
    client.send(
        out,
        &[inter_frame(100_000_000, b"y"), keyframe(100_000_040, b"d"), inter_frame(100_000_080, b"e")],
    );
    client.send(out, &[keyframe(5, b"f"), inter_frame(3_600_005, b"g")]);
    client.with(|session| session.delete_stream(out)).unwrap();
    until("it is written", || logged_times("recorded live/odd to") == 4);
    let read = |number| frames(&folder.join(format!("live/odd-{number}.flv")));
    let header = |version| (TagRole::SequenceHeader, 0, version);
    assert_eq!(read(1), [header(1), (TagRole::Keyframe, 0, b'a'), (TagRole::Frame, 40, b'b')]);
    assert_eq!(read(2), [header(2), (TagRole::Keyframe, 0, b'c')]);
    assert_eq!(read(3), [header(2), (TagRole::Keyframe, 0, b'd'), (TagRole::Frame, 40, b'e')]);
    assert_eq!(read(4), [header(2), (TagRole::Keyframe, 0, b'f'), (TagRole::Frame, 3_600_000, b'g')]);
}

#[test]
fn a_publisher_that_comes_back_goes_on_in_the_same_file() {
    let folder = folder("resume");
    let (_server, address) = start_recording(record(&folder));
    let (mut first, out) = publisher(address, "back", PublishType::Record);
    first.send(out, &[video_header(1), keyframe(960, b"a"), inter_frame(1000, b"b")]);
    assert_eq!(first.status(), "NetStream.Record.Start");
    first.reset();
    until("it is gone", || logged("live/back: the publisher is gone"));
    let (mut second, out) = publisher(address, "back", PublishType::Record);
    assert_eq!(second.status(), "NetStream.Record.Start");
    second.send(out, &[video_header(1), keyframe(0, b"c")]);
    second.with(|session| session.call(out, "FCUnpublish", &["back".into()])).unwrap();
    assert_eq!([second.status(), second.status()], ["NetStream.Unpublish.Success", "NetStream.Record.Stop"]);
    assert_eq!(files(&folder), ["live/back-1.flv"]);
    let expected =
        [HEADER, (TagRole::Keyframe, 0, b'a'), (TagRole::Frame, 40, b'b'), (TagRole::Keyframe, 80, b'c')];
    assert_eq!(frames(&folder.join("live/back-1.flv")), expected);
}

/// Types of the boxes of a file.
fn boxes(file: &Path) -> Vec<String> {
    let bytes = fs::read(file).unwrap();
    let (mut at, mut kinds) = (0, Vec::new());
    while at < bytes.len() {
        let number = |at: usize, count: usize| {
            bytes[at..at + count].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
        };
        let len = number(at, 4);
        kinds.push(String::from_utf8(bytes[at + 4..at + 8].to_vec()).unwrap());
        at += if len == 1 { number(at + 8, 8) } else { len };
    }
    assert_eq!(at, bytes.len());
    kinds
}

#[test]
fn files_are_finished_when_the_server_stops() {
    for format in [RecordFormat::Flv, RecordFormat::Mp4] {
        let folder = folder(&format!("stop-{format:?}"));
        let (server, address) = start_recording(RecordConfig { format, ..record(&folder) });
        let (mut client, out) = publisher(address, "cam", PublishType::Record);
        client.send(
            out,
            &[video_header(1), audio_header(), keyframe(0, b"k"), audio(5), inter_frame(40, b"p")],
        );
        assert_eq!(client.status(), "NetStream.Record.Start");
        server.stop();
        match format {
            RecordFormat::Flv => assert_eq!(duration(&folder.join("live/cam-1.flv")), 0.08),
            RecordFormat::Mp4 => assert_eq!(boxes(&folder.join("live/cam-1.mp4")), ["ftyp", "mdat", "moov"]),
        }
        assert!(fs::read_dir(folder.join(".weir")).unwrap().next().is_none());
    }
}

#[test]
fn what_was_left_unfinished_is_repaired_at_the_next_start() {
    let folder = folder("repair");
    let (server, address) = start_recording(record(&folder));
    let (mut client, out) = publisher(address, "torn", PublishType::Record);
    client.send(out, &[video_header(1), keyframe(0, b"a"), inter_frame(40, b"b")]);
    assert_eq!(client.status(), "NetStream.Record.Start");
    drop((client, server));
    let file = folder.join("live/torn-1.flv");
    let whole = fs::read(&file).unwrap();
    // As a killed program leaves it.
    fs::write(&file, &whole[..whole.len() - 3]).unwrap();
    fs::write(folder.join(".weir/0"), "live/torn-1.flv").unwrap();
    fs::write(folder.join(".weir/1"), "../repair-outside.flv").unwrap();
    let (_server, _) = start_recording(record(&folder));
    until("it is repaired", || logged("live/torn-1.flv was left unfinished: repaired"));
    until("markers are gone", || fs::read_dir(folder.join(".weir")).unwrap().next().is_none());
    assert_eq!(frames(&file), [HEADER, (TagRole::Keyframe, 0, b'a')]);
}

#[test]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    for format in [RecordFormat::Flv, RecordFormat::Mp4] {
        let folder = folder(&format!("full-{format:?}"));
        let Some(_mount) = small_disk(&folder) else { return };
        let (server, address) = start_recording(RecordConfig { format, ..record(&folder) });
        let name = format!("full-{format:?}");
        let (mut client, out) = publisher(address, &name, PublishType::Record);
        let (mut player, _) = Client::player(address, &name);
        client.send(out, &[video_header(1), audio_header(), audio(0)]);
        for index in 0..40 {
            client.send(out, &[keyframe(index * 600, &[index as u8; 30_000])]);
            client.send(out, &[audio(index * 600 + 1)]);
        }
        assert_eq!([client.status(), client.status()], ["NetStream.Record.Start", "NetStream.Record.Failed"]);
        assert!(logged(&format!("live/{name} cannot be recorded to")) && logged("No space left on device"));
        // The stream goes on.
        player.tags_up_to(|tag| tag.body.ends_with(&[39; 30_000]));
        client.send(out, &[keyframe(60_000, b"on")]);
        player.tags_up_to(|tag| tag.body.ends_with(b"on"));
        let file = folder.join("live").join(format!("{name}-1.{}", format!("{format:?}").to_lowercase()));
        match format {
            RecordFormat::Flv => assert!(frames(&file).len() > 10 && duration(&file) > 3.0),
            RecordFormat::Mp4 => {
                let boxes = boxes(&file);
                assert_eq!(boxes[..3], ["ftyp", "free", "moov"]);
                assert!(
                    boxes[3..].chunks(2).all(|pair| pair == ["moof", "mdat"]) && boxes.len() > 10,
                    "{boxes:?}"
                );
            }
        }
        drop(server);
    }
}

/// Full to the last byte: not even the name of a file that is being recorded fits.
#[test]
fn a_full_disk_on_which_old_files_may_go_has_room_again() {
    let folder = folder("room");
    let Some(_mount) = small_disk(&folder) else { return };
    fs::create_dir_all(folder.join("live")).unwrap();
    fs::create_dir_all(folder.join(".weir")).unwrap();
    fs::write(folder.join("live/room-1.flv"), [0; 200_000]).unwrap();
    let mut filler = fs::File::create(folder.join("live/room-2.flv")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    let (_server, address) = start_recording(RecordConfig { keep: Some(2), ..record(&folder) });
    let (mut client, out) = publisher(address, "room", PublishType::Record);
    client.send(out, &[video_header(1), keyframe(0, b"k")]);
    assert_eq!(client.status(), "NetStream.Record.Failed");
    let mut at = 0;
    until("it is recorded", || {
        at += 1;
        client.send(out, &[keyframe(at, &[7; 100])]);
        thread::sleep(Duration::from_millis(10));
        logged("recording live/room to")
    });
    assert_eq!(client.status(), "NetStream.Record.Start");
    client.with(|session| session.delete_stream(out)).unwrap();
    until("it is written", || logged("recorded live/room to"));
    assert_eq!(files(&folder), ["live/room-2.flv", "live/room-3.flv"]);
    assert_eq!(frames(&folder.join("live/room-3.flv"))[0], HEADER);
}

/// A disk of 512 KiB at `folder`, for as long as the result lives.
fn small_disk(folder: &Path) -> Option<Mount> {
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"]).arg(folder).status();
    if !mounted.is_ok_and(|status| status.success()) {
        let _ = writeln!(std::io::stderr(), "NOT RUN: a full disk needs root, to mount a small one");
        return None;
    }
    Some(Mount(folder.to_path_buf()))
}

/// Unmounts at the end.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
