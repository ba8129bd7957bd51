//! `push` and `pull` from outside: flags, exit codes, signals, lost servers, whole files, and the document that shows what they
//! print; `load` in each of its protocols.

#![expect(clippy::std_instead_of_core, reason = "a test has std anyway")]

mod loading;
mod pulling;
mod pushing;
mod walkthrough;

#[path = "../support/process.rs"]
mod process;
#[path = "../support/wait.rs"]
mod wait;

use process::{Process, run};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use wait::{LIMIT, until};
use weir::{
    amf::{Budget, Object, Value, amf0},
    base::Timestamp,
    flv::{Item, ReadErrorKind, Reader, ReaderLimits, Tag, TagKind, TagRole, metadata, writer},
    server::{Config, Server},
};

/// A server on that port of the loopback; 0 picks a free one.
fn server(port: u16) -> Server {
    server_with(port, Config::default())
}

fn server_with(port: u16, config: Config) -> Server {
    let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    let deadline = Instant::now() + LIMIT;
    loop {
        match Server::start(Config { listen: listen.clone(), ..config.clone() }) {
            Ok(server) => return server,
            // Connections of the one before may still linger.
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn port(server: &Server) -> u16 {
    server.addresses()[0].port()
}

fn url(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/live/cam")
}

/// Starts a tool.
fn tool(name: &str, program: &str, args: &[&str]) -> Process {
    Process::start(name, &folder(), program, args)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file that only one test uses.
fn scratch(name: &str) -> PathBuf {
    folder().join(name)
}

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tools");
    fs::create_dir_all(&folder).unwrap();
    folder
}

// ---- files

fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Tag {
    Tag::new(kind, Timestamp(timestamp), body.into())
}

/// A clip of so many seconds: H.264 at 25 frames a second with a keyframe every second, and AAC. Bodies tell their
/// place.
fn clip(seconds: u32) -> Vec<Tag> {
    let metadata = metadata::encode(Object::from([("width", 640.0.into())]));
    let mut tags = vec![
        tag(TagKind::Data, 0, &metadata),
        tag(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1]),
        tag(TagKind::Audio, 0, &[0xaf, 0, 0x12, 0x10]),
    ];
    for frame in 0..seconds * 25 {
        let [a, b] = (frame as u16).to_be_bytes();
        let first = if frame % 25 == 0 { 0x17 } else { 0x27 };
        tags.push(tag(TagKind::Video, frame * 40, &[first, 1, 0, 0, 0, 0, 0, 0, 3, 0x65, a, b]));
        tags.push(tag(TagKind::Audio, frame * 40 + 10, &[0xaf, 1, 0x21, a, b]));
    }
    tags
}

/// Writes an FLV file in the test's own folder.
fn write(name: &str, tags: &[Tag]) -> PathBuf {
    let mut bytes = writer::header(true, true).to_vec();
    tags.iter().for_each(|tag| writer::write_tag(&mut bytes, tag).unwrap());
    let path = scratch(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// What an FLV file holds. Panics where it is damaged or breaks off.
struct Flv {
    has: (bool, bool),
    tags: Vec<(u64, Tag)>,
    len: u64,
}

impl Flv {
    fn read(path: &Path) -> Flv {
        Flv::parse(path, false)
    }

    /// A file that is being written: a reader may see a part of the last write.
    fn read_growing(path: &Path) -> Flv {
        Flv::parse(path, true)
    }

    fn parse(path: &Path, is_growing: bool) -> Flv {
        let bytes = fs::read(path).unwrap();
        let mut flv = Flv { has: (false, false), tags: vec![], len: bytes.len() as u64 };
        let mut reader = Reader::new(ReaderLimits::default());
        let mut rest = &bytes[..];
        loop {
            let is_end = rest.is_empty();
            let item = if is_end { reader.finish() } else { reader.read(&mut rest) };
            if is_growing && matches!(&item, Err(error) if error.kind == ReadErrorKind::Truncated) {
                return flv;
            }
            match item.unwrap() {
                Some(Item::Header { has_audio, has_video }) => flv.has = (has_audio, has_video),
                Some(Item::Tag { offset, tag }) => flv.tags.push((offset, tag)),
                Some(Item::Damage { offset, .. }) => panic!("damaged at {offset}"),
                None if is_end => return flv,
                None => {}
            }
        }
    }

    fn frames(&self) -> Vec<Tag> {
        frames(self.tags.iter().map(|(_, tag)| tag))
    }

    /// Fails unless header and metadata are those of a finished file.
    fn expect_finished(&self) {
        assert_eq!(self.has, (true, true));
        let metadata = self.metadata();
        let number = |key: &str| metadata.get(key).and_then(Value::as_number);
        assert_eq!(number("filesize"), Some(self.len as f64));
        let frames = self.frames();
        let times = frames.iter().map(|tag| tag.timestamp.0);
        let span = times.clone().max().unwrap() - times.min().unwrap();
        let duration = number("duration").unwrap() * 1000.0;
        assert!((duration - f64::from(span)).abs() < 100.0, "{duration} ms, frames of {span} ms");
        let lists = metadata.get("keyframes").and_then(Value::as_object).unwrap();
        let Some(Value::StrictArray(places)) = lists.get("filepositions") else { panic!("no list") };
        let keyframes = self.tags.iter().filter(|(_, tag)| tag.classify().is_keyframe());
        let expected: Vec<f64> = keyframes.map(|(offset, _)| *offset as f64).collect();
        let places: Vec<f64> = places.iter().filter_map(Value::as_number).collect();
        // The first one is the sequence header.
        assert_eq!(places[1..], expected);
    }

    fn metadata(&self) -> Object {
        let (values, error) = amf0::decode_all(&self.tags[0].1.body, Budget::new(16, 1 << 16));
        assert_eq!((values[0].as_str(), error), (Some(metadata::NAME), None));
        values[1].as_object().cloned().unwrap()
    }
}

fn frames<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> Vec<Tag> {
    let is_frame = |tag: &&Tag| matches!(tag.classify().role, TagRole::Keyframe | TagRole::Frame);
    tags.into_iter().filter(is_frame).cloned().collect()
}

/// Fails where the frames of a kind step back, or further ahead than two frames last.
fn expect_steady(frames: &[Tag]) {
    for kind in [TagKind::Audio, TagKind::Video] {
        let times: Vec<u32> =
            frames.iter().filter(|tag| tag.kind == kind).map(|tag| tag.timestamp.0).collect();
        for pair in times.windows(2) {
            let step = pair[1].wrapping_sub(pair[0]);
            assert!((1..=100).contains(&step), "{kind:?}: {} ms after {}", step as i32, pair[0]);
        }
    }
}
