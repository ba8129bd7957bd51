//! Sources: files, pipes, commands; at once and on demand; with somebody else in their place.

use super::*;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};
use weir::{
    flv::{TagKind, writer},
    server::source::{Retry, SourceConfig},
};

/// Quick, so that tests need not wait.
pub(crate) fn quick() -> Retry {
    Retry {
        first: Duration::from_millis(20),
        longest: Duration::from_millis(80),
        linger: Duration::from_millis(100),
        ..Retry::default()
    }
}

/// A folder for one test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("server-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn with_source(spec: &str) -> (Server, SocketAddr) {
    let sources = vec![SourceConfig::parse(spec).unwrap()];
    start(Config { sources, retry: quick(), ..config() })
}

fn flv(tags: &[Tag]) -> Vec<u8> {
    let mut bytes = writer::header(true, true).to_vec();
    tags.iter().for_each(|tag| writer::write_tag(&mut bytes, tag).unwrap());
    bytes
}

/// 200 ms: a keyframe, four pictures, sound from 10 ms on.
fn clip() -> Vec<Tag> {
    let mut tags = vec![metadata(3), video_header(1), audio_header(), keyframe(0, b"k"), audio(10)];
    for number in 1..5 {
        tags.push(inter_frame(number * 40, &[number as u8]));
        tags.push(audio(10 + number * 40));
    }
    tags
}

fn video_times(tags: &[Tag]) -> Vec<u32> {
    let frames = tags.iter().filter(|tag| tag.kind == TagKind::Video && tag.body[1] == 1);
    frames.map(|tag| tag.timestamp.0).collect()
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_file_is_looped_without_a_jump_in_real_time() {
    let folder = folder("loop");
    let file = folder.join("clip.flv");
    fs::write(&file, flv(&clip())).unwrap();
    let (_server, address) = with_source(&format!("live/loop={}?on-demand=1", file.display()));
    let begun = Instant::now();
    let (mut player, _) = Client::player(address, "loop");
    let tags = player.tags_up_to(|tag| tag.kind == TagKind::Audio && tag.timestamp.0 >= 570);
    // Three rounds of 200 ms.
    assert!(begun.elapsed() >= Duration::from_millis(560), "{:?}", begun.elapsed());
    assert_eq!(video_times(&tags), (0..15).map(|number| number * 40).collect::<Vec<u32>>());
    let sound = tags.iter().filter(|tag| tag.kind == TagKind::Audio && tag.body[1] == 1);
    let sound: Vec<u32> = sound.map(|tag| tag.timestamp.0).collect();
    assert_eq!(sound, (0..15).map(|number| 10 + number * 40).collect::<Vec<u32>>());
    // Sequence headers once, and the bodies as they are in the file.
    assert_eq!(
        tags.iter().filter(|tag| tag.classify().role == weir::flv::TagRole::SequenceHeader).count(),
        2
    );
    let bodies = bodies(&tags).into_iter().map(<[u8]>::to_vec);
    let in_file: Vec<Vec<u8>> = clip().iter().map(|tag| tag.body.to_vec()).collect();
    assert!(bodies.skip(1).all(|body| in_file.contains(&body)));
}

#[test]
fn a_file_that_is_played_once_ends() {
    let folder = folder("once");
    let file = folder.join("clip.flv");
    fs::write(&file, flv(&clip())).unwrap();
    let (_server, address) = with_source(&format!("live/once={}?loop=0&on-demand=1", file.display()));
    let (mut player, _) = Client::player(address, "once");
    let tags = player.tags_up_to(|tag| tag.timestamp.0 == 170);
    assert_eq!(video_times(&tags), [0, 40, 80, 120, 160]);
    player.notice(StreamNotice::Eof);
}

#[test]
fn a_source_on_demand_begins_with_the_first_player_and_ends_after_the_last() {
    let folder = folder("demand");
    let file = folder.join("clip.flv");
    fs::write(&file, flv(&clip())).unwrap();
    let (_server, address) = with_source(&format!("live/wanted={}?on-demand=1", file.display()));
    for _ in 0..2 {
        let (mut player, _) = Client::player(address, "wanted");
        let first = player.tags_up_to(|tag| tag.classify().is_keyframe());
        assert_eq!(video_times(&first), [0], "it begins anew for each first player");
        let (mut second, _) = Client::player(address, "wanted");
        second.tags_up_to(|tag| tag.classify().is_keyframe());
        drop(player);
        second.tags_up_to(|tag| tag.classify().is_keyframe());
        drop(second);
        let stops =
            || LOG.lock().unwrap().iter().filter(|line| line.starts_with("live/wanted: nobody")).count();
        let before = stops();
        until("the source stops", || stops() > before);
    }
}

#[test]
fn what_cannot_be_opened_is_tried_again_and_told_once() {
    let folder = folder("absent");
    let file = folder.join("absent.flv");
    let (_server, address) = with_source(&format!("live/absent={}", file.display()));
    until("the failure is told", || logged("absent.flv failed: "));
    let (mut player, _) = Client::player(address, "absent");
    thread::sleep(Duration::from_millis(200));
    fs::write(&file, flv(&clip())).unwrap();
    player.tags_up_to(|tag| tag.classify().is_keyframe());
    let told = LOG
        .lock()
        .unwrap()
        .iter()
        .filter(|line| line.contains("absent.flv failed: ") && line.ends_with("trying again"))
        .count();
    assert!(told <= 2, "told {told} times");
}

#[test]
fn a_named_pipe_is_read_as_it_comes_and_outlives_its_writers() {
    let folder = folder("pipe");
    let pipe = folder.join("cam");
    fifo(&pipe);
    let (_server, address) = with_source(&format!("live/pipe={}", pipe.display()));
    let (mut player, _) = Client::player(address, "pipe");
    let mut writer = File::options().write(true).open(&pipe).unwrap();
    writer.write_all(&flv(&clip()[..4])).unwrap();
    let first = player.tags_up_to(|tag| tag.classify().is_keyframe());
    assert_eq!(times(&first), [0, 0, 0, 0]);
    // A tag that comes late is passed on as it is; one that is cut is not.
    let mut rest = Vec::new();
    writer::write_tag(&mut rest, &inter_frame(5000, b"late")).unwrap();
    writer.write_all(&rest).unwrap();
    assert_eq!(player.tag(), inter_frame(5000, b"late"));
    writer.write_all(&rest[..7]).unwrap();
    drop(writer);
    until("the writer is missed", || logged("live/pipe: the publisher is gone"));
    let mut writer = File::options().write(true).open(&pipe).unwrap();
    writer.write_all(&flv(&clip()[1..4])).unwrap();
    let again = player.tags_up_to(|tag| tag.classify().is_keyframe());
    let last = &again[again.len() - 1];
    assert!(last.timestamp.0 > 5000 && last.timestamp.0 < 7000, "time goes on: {last:?}");
}

#[test]
fn what_comes_faster_than_it_plays_is_held_to_its_timestamps() {
    let folder = folder("disguise");
    let pipe = folder.join("cam");
    fifo(&pipe);
    let (_server, address) = with_source(&format!("live/disguise={}", pipe.display()));
    let (mut player, _) = Client::player(address, "disguise");
    let tags: Vec<Tag> = (0..50).map(|number| keyframe(number * 40, &[1])).collect();
    let begun = Instant::now();
    fs::write(&pipe, flv(&tags)).unwrap();
    let got = player.tags_up_to(|tag| tag.timestamp.0 >= 49 * 40);
    assert_eq!(video_times(&got), (0..50).map(|number| number * 40).collect::<Vec<u32>>());
    assert!(begun.elapsed() >= Duration::from_millis(1900), "{:?}", begun.elapsed());
}

#[test]
fn a_command_is_run_again_when_it_exits_and_ends_with_the_server() {
    let folder = folder("exec");
    fs::write(folder.join("part.flv"), flv(&clip())).unwrap();
    let script = format!(
        "cd {}; echo $$ >>pids; echo hello from the command >&2; cat part.flv; [ -e second ] && sleep 1000 | cat; touch second; exit 7",
        folder.display()
    );
    let (server, address) = with_source(&format!("live/exec=exec:{script}"));
    let (mut player, _) = Client::player(address, "exec");
    player.tags_up_to(|tag| tag.classify().is_keyframe());
    until("the exit is told", || logged("failed: the command has ended with exit code 7; trying again"));
    let again = player.tags_up_to(|tag| tag.classify().is_keyframe());
    assert!(again[again.len() - 1].timestamp.0 > 0, "time goes on");
    until("it says something", || logged("live/exec: the command says: hello from the command"));
    assert!(!logged("cat part.flv"), "arguments are not shown");
    let pids = fs::read_to_string(folder.join("pids")).unwrap();
    let last = pids.lines().nth(1).expect("it was run twice").to_string();
    until("the command sleeps in a pipeline", || group_size(&last) > 2);
    let asked = Instant::now();
    server.stop();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(group_size(&last), 0, "nobody of its group is left");
}

/// Living processes of a group.
fn group_size(group: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    // pid (name) state parent group ...; Z is one that has ended and that nobody has asked for.
    let is_member = |stat: &String| {
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        fields.first() != Some(&"Z") && fields.get(2) == Some(&group)
    };
    stats.filter(is_member).count()
}

#[test]
fn what_a_command_writes_must_be_known() {
    let (_server, _) = with_source("live/text=exec:echo This is no stream at all");
    until("it is told", || logged("live/text: exec:echo failed: neither FLV nor MP4, Annex B or ADTS"));
}

#[test]
fn what_was_passed_over_of_a_raw_stream_is_told() {
    let folder = folder("damage");
    // Two frames of AAC, something else between them.
    let frame = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x1f, 0xfc, 0x21];
    fs::write(folder.join("part.aac"), [&frame[..], &frame, b"????", &frame, &frame].concat()).unwrap();
    let cat = format!("live/damage=exec:cat {0}; sleep 1000", folder.join("part.aac").display());
    let file = format!("live/worn={}", folder.join("part.aac").display());
    let sources = [cat, file].map(|spec| SourceConfig::parse(&spec).unwrap()).to_vec();
    let (_server, _) = start(Config { sources, retry: quick(), ..config() });
    let told = format!("damaged places of {} passed over: 1", folder.join("part.aac").display());
    until("the command's is told", || logged("live/damage: damaged places of exec:cat passed over: 1"));
    until("the file's is told", || logged(&told));
}

#[test]
fn a_source_gives_way_to_a_publisher_and_comes_back() {
    let folder = folder("way");
    let file = folder.join("clip.flv");
    fs::write(&file, flv(&clip())).unwrap();
    let (_server, address) = with_source(&format!("live/way={}", file.display()));
    let (mut player, _) = Client::player(address, "way");
    player.tags_up_to(|tag| tag.classify().is_keyframe());
    let (mut publisher, out) = Client::publisher(address, "way");
    publisher.send(out, &[video_header(1), keyframe(0, b"mine")]);
    let tags = player.tags_up_to(|tag| tag.body.ends_with(b"mine"));
    let frames = video_times(&tags);
    assert!(frames.windows(2).all(|pair| pair[0] < pair[1]), "time goes on: {frames:?}");
    until("it gives way", || logged("live/way: ") && logged("gives way to another publisher"));
    publisher.with(|session| session.delete_stream(out)).unwrap();
    player.notice(StreamNotice::Eof);
    player.tags_up_to(|tag| tag.classify().is_keyframe());
}

#[test]
fn a_broken_source_touches_no_other() {
    let folder = folder("broken");
    let file = folder.join("clip.flv");
    fs::write(&file, flv(&clip())).unwrap();
    let specs = [
        "live/b1=/no/such/file.flv".to_string(),
        "live/b2=exec:exit 1".to_string(),
        format!("live/b3={}", folder.display()),
        format!("live/good={}", file.display()),
    ];
    let sources = specs.iter().map(|spec| SourceConfig::parse(spec).unwrap()).collect();
    let (server, address) = start(Config { sources, retry: quick(), ..config() });
    let (mut player, _) = Client::player(address, "good");
    player.tags_up_to(|tag| tag.timestamp.0 > 400);
    let asked = Instant::now();
    server.stop();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}
