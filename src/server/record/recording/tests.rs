//! What a recording does with gaps, failures and what it hears too early, without a thread: times are given.

use super::*;
use crate::{
    flv::{Item, Reader, ReaderLimits},
    server::{
        Config, RecordConfig, Server,
        record::{Stream, Wish},
        testing::{audio, audio_header, inter_frame, keyframe, video_header},
    },
};
use alloc::{vec, vec::Vec};
use std::{env, fs};

/// A server whose recordings nobody else uses.
struct Bench {
    server: Option<Server>,
    shared: Arc<Shared>,
    path: StreamPath,
    directory: PathBuf,
    progress: Progress,
}

impl Bench {
    fn new(name: &str, change: impl FnOnce(&mut RecordConfig)) -> Bench {
        let directory = env::temp_dir().join(format!("weir-recording-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let mut record =
            RecordConfig { name: "{path}-{n}".parse().unwrap(), ..RecordConfig::new(directory.clone()) };
        change(&mut record);
        let listen = vec!["127.0.0.1:0".parse().unwrap()];
        let server = Server::start(Config { listen, record: Some(record), ..Config::default() }).unwrap();
        let shared = server.shared.clone().unwrap();
        let path = StreamPath::join("", "", "live/x").unwrap();
        let wish = Wish { kind: Kind::Matched, asker: None };
        let recordings = shared.recordings.as_ref().unwrap();
        recordings.lock().insert(path.clone(), Stream { wish, current: None, progress: Arc::default() });
        Bench { server: Some(server), shared, path, directory, progress: Progress::default() }
    }

    fn recording(&self) -> Recording<'_> {
        Recording::new(&self.shared, self.shared.recordings.as_ref().unwrap(), &self.path, &self.progress)
    }

    /// Kind of media and time of every frame of a file.
    fn frames(&self, number: u32) -> Vec<String> {
        let bytes = fs::read(self.directory.join(format!("live/x-{number}.flv"))).unwrap();
        let (mut reader, mut input, mut frames) = (Reader::new(ReaderLimits::default()), &*bytes, Vec::new());
        while let Some(item) = reader.read(&mut input).unwrap() {
            if let Item::Tag { tag, .. } = item {
                let kind = match (tag.kind, tag.classify().role) {
                    (TagKind::Audio, TagRole::Frame) => "audio",
                    (_, TagRole::Keyframe) => "key",
                    (TagKind::Video, TagRole::Frame) => "inter",
                    _ => continue,
                };
                frames.push(format!("{kind} {}", tag.timestamp));
            }
        }
        frames
    }

    fn files(&self) -> usize {
        fs::read_dir(self.directory.join("live")).map_or(0, Iterator::count)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn hear(recording: &mut Recording<'_>, now: u64, tags: impl IntoIterator<Item = Tag>) {
    tags.into_iter().for_each(|tag| recording.tag(MonoTime(now), &Arc::new(SharedTag::new(tag))));
}

const NOW: MonoTime = MonoTime(1);

#[test]
fn what_is_heard_again_after_a_gap_is_not_written_twice() {
    let bench = Bench::new("again", |_| ());
    let mut recording = bench.recording();
    hear(&mut recording, 1, [video_header(0, 1), keyframe(0), audio(5), inter_frame(40)]);
    recording.gap(NOW);
    hear(
        &mut recording,
        1,
        [video_header(0, 1), keyframe(0), audio(5), inter_frame(40), inter_frame(80), audio(28)],
    );
    recording.end(NOW);
    assert_eq!(bench.frames(1), ["key 0", "audio 5", "inter 40", "inter 80", "audio 28"]);
}

#[test]
fn pictures_go_on_at_a_keyframe_after_a_gap_and_sound_at_once() {
    let bench = Bench::new("gap", |_| ());
    let mut recording = bench.recording();
    hear(&mut recording, 1, [video_header(0, 1), keyframe(0), inter_frame(40)]);
    recording.gap(NOW);
    hear(&mut recording, 1, [inter_frame(1000), audio(1010), keyframe(2000), inter_frame(2040)]);
    recording.end(NOW);
    assert_eq!(bench.frames(1), ["key 0", "inter 40", "audio 1010", "key 2000", "inter 2040"]);
    assert_eq!(bench.shared.stats.recording_gaps.value(), 1);
}

#[test]
fn a_clock_that_begins_anew_after_a_gap_is_not_taken_for_a_repetition() {
    let bench = Bench::new("anew", |_| ());
    let mut recording = bench.recording();
    hear(&mut recording, 1, [video_header(0, 1), keyframe(9_000_000), inter_frame(9_000_040)]);
    recording.gap(NOW);
    hear(&mut recording, 1, [keyframe(0), inter_frame(40)]);
    recording.end(NOW);
    assert_eq!((bench.frames(1).len(), bench.frames(2).len()), (2, 2));
}

#[test]
fn a_stream_that_never_has_a_keyframe_is_recorded_after_a_while() {
    let bench = Bench::new("never", |_| ());
    let mut recording = bench.recording();
    hear(&mut recording, 1, [video_header(0, 1), inter_frame(0), inter_frame(40)]);
    assert_eq!(bench.files(), 0);
    let later = 1 + MAX_KEYFRAME_WAIT.as_millis() as u64;
    hear(&mut recording, later, [inter_frame(30_000), inter_frame(30_040)]);
    recording.end(MonoTime(later));
    assert_eq!(bench.frames(1), ["inter 0", "inter 40"]);
}

#[test]
fn a_failure_is_followed_by_a_rest_that_grows_and_the_next_file_begins_with_a_keyframe() {
    let bench = Bench::new("rest", |_| ());
    // A file stands where the folder has to be.
    let in_the_way = bench.directory.join("live");
    fs::write(&in_the_way, b"").unwrap();
    let mut recording = bench.recording();
    let group = |at| [keyframe(at), inter_frame(at + 40)];
    hear(&mut recording, 0, [video_header(0, 1)]);
    let mut failures = Vec::new();
    for second in 0..80 {
        let before = recording.rests_until;
        hear(&mut recording, second * 1000, group(second as u32 * 1000));
        if recording.rests_until != before {
            failures.push(second);
        }
    }
    // 5 s, 10 s and so on, each a quarter more or less; noticed with the next keyframe.
    let rests = failures.windows(2).map(|pair| (pair[1] - pair[0]) as f64);
    for (rest, expected) in rests.clone().zip([5.0, 10.0, 20.0, 40.0]) {
        assert!((0.75 * expected..=1.25 * expected + 1.0).contains(&rest), "{failures:?}");
    }
    assert!((3..=4).contains(&rests.count()), "{failures:?}");
    fs::remove_file(in_the_way).unwrap();
    let until = recording.rests_until.unwrap().0;
    hear(&mut recording, until - 1, group(until as u32 - 1));
    assert_eq!(bench.files(), 0);
    let from = until as u32;
    hear(
        &mut recording,
        until,
        [inter_frame(from), audio(from + 10), keyframe(from + 40), inter_frame(from + 80)],
    );
    recording.end(MonoTime(until + 100));
    assert_eq!(bench.frames(1), ["key 0", "inter 40"]);
}

#[test]
fn the_file_behind_thousands_of_one_name_has_the_next_number() {
    let bench = Bench::new("names", |record| record.name = "{path}".parse().unwrap());
    let folder = bench.directory.join("live");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("x.flv"), b"").unwrap();
    (2..=3000).for_each(|number| fs::write(folder.join(format!("x~{number}.flv")), b"").unwrap());
    let mut recording = bench.recording();
    hear(&mut recording, 1, [video_header(0, 1), keyframe(0)]);
    recording.end(NOW);
    assert!(fs::metadata(folder.join("x~3001.flv")).is_ok_and(|file| file.len() > 0));
    assert_eq!(bench.files(), 3001);
}

#[test]
fn sound_whose_configuration_changes_waits_for_the_next_file() {
    let bench = Bench::new("sound", |_| ());
    let mut recording = bench.recording();
    let mut other = audio_header(70);
    other.body = vec![0xaf, 0, 0x11, 0x90].into();
    hear(&mut recording, 1, [video_header(0, 1), audio_header(0), keyframe(0), audio(5), inter_frame(40)]);
    hear(&mut recording, 1, [other, audio(75), inter_frame(80), keyframe(120), audio(130)]);
    recording.end(NOW);
    assert_eq!(bench.frames(1), ["key 0", "audio 5", "inter 40", "inter 80"]);
    assert_eq!(bench.frames(2), ["key 0", "audio 10"]);
}

#[test]
fn a_track_that_comes_late_joins_an_flv_file_and_waits_for_the_next_mp4() {
    for (format, files) in [(RecordFormat::Flv, 1), (RecordFormat::Mp4, 2)] {
        let bench = Bench::new(&format!("late-{format:?}"), |record| record.format = format);
        let mut recording = bench.recording();
        hear(&mut recording, 1, [video_header(0, 1), keyframe(0)]);
        hear(&mut recording, 1, (1..50).map(|index| inter_frame(index * 40)));
        hear(
            &mut recording,
            1,
            [audio_header(2000), audio(2000), keyframe(2040), audio(2050), inter_frame(2080)],
        );
        recording.end(NOW);
        assert_eq!(bench.files(), files, "{format:?}");
    }
}

#[test]
fn sound_that_needs_no_header_and_comes_late_begins_another_mp4_and_what_never_fits_does_not() {
    let mp3 = |at| Tag { body: vec![0x2f, 0xff, 0xfb, 0x90, 0x44, 1, 2, 3].into(), ..audio(at) };
    let speex = |at| Tag { body: vec![0xb6, 1, 2].into(), ..audio(at) };
    for (name, sound, files) in [("mp3", &mp3 as &dyn Fn(u32) -> Tag, 2), ("speex", &speex, 1)] {
        let bench = Bench::new(&format!("late-{name}"), |record| record.format = RecordFormat::Mp4);
        let mut recording = bench.recording();
        hear(&mut recording, 1, [video_header(0, 1), keyframe(0)]);
        hear(&mut recording, 1, (1..50).map(|index| inter_frame(index * 40)));
        for at in (2000..6000).step_by(1000) {
            hear(&mut recording, 1, [keyframe(at), sound(at + 5), inter_frame(at + 40), sound(at + 45)]);
        }
        recording.end(NOW);
        assert_eq!(bench.files(), files, "{name}");
    }
}

#[test]
fn a_stream_that_mp4_cannot_hold_fails_once() {
    let bench = Bench::new("cannot", |record| record.format = RecordFormat::Mp4);
    let mut recording = bench.recording();
    let speex = |at| Tag { body: vec![0xb6, 1, 2].into(), ..audio(at) };
    hear(&mut recording, 1, (0..100).map(|index| speex(index * 20)));
    assert_eq!(recording.rests_until, Some(MonoTime(u64::MAX)));
    assert_eq!(bench.files(), 0, "a file without a byte goes");
}

#[test]
fn an_mp4_file_is_empty_until_something_in_it_plays() {
    let bench = Bench::new("header", |record| record.format = RecordFormat::Mp4);
    let mut recording = bench.recording();
    let len = || fs::metadata(bench.directory.join("live/x-1.mp4")).unwrap().len();
    hear(&mut recording, 1, [video_header(0, 1), audio_header(0), keyframe(0), audio(0)]);
    assert_eq!(len(), 0, "frames wait for their successors, and the header with them");
    hear(&mut recording, 1, [audio(200), inter_frame(200), audio(250)]);
    assert!(len() > 0);
    recording.end(NOW);
}

#[test]
fn unwanted_streams_leave_no_file() {
    let bench = Bench::new("unwanted", |_| ());
    let wish = Wish { kind: Kind::Unwanted, asker: None };
    bench.shared.recordings.as_ref().unwrap().lock().get_mut(&bench.path).unwrap().wish = wish;
    let mut recording = bench.recording();
    hear(&mut recording, 1, [video_header(0, 1), keyframe(0)]);
    recording.end(NOW);
    assert_eq!(bench.files(), 0);
}
