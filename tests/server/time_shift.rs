//! A live stream that is being recorded, played from an earlier point.

use super::*;
use std::{fs, path::Path, path::PathBuf};
use weir::{
    flv::TagKind,
    rtmp::{
        MessageStreamId,
        session::{Play, PlayStart, StreamNotice, Wanted},
    },
    server::RecordConfig,
};

/// A server that records all live streams, and the folder.
fn recorder(name: &str, segment: Option<Duration>) -> (Server, SocketAddr, PathBuf) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("time-shift").join(name);
    let _ = fs::remove_dir_all(&folder);
    let record = RecordConfig {
        patterns: vec!["live/*".parse().unwrap()],
        name: "{path}-{n}".parse().unwrap(),
        segment,
        ..RecordConfig::new(folder.clone())
    };
    let (server, address) = start(Config { record: Some(record), ..config() });
    (server, address, folder)
}

/// Pictures from one time to another, 25 a second, a keyframe every second.
fn pictures(from: u32, to: u32) -> Vec<Tag> {
    let make = |time: u32| {
        let body = time.to_be_bytes();
        if time % 1000 == 0 { keyframe(time, &body) } else { inter_frame(time, &body) }
    };
    (from..to).step_by(40).map(make).collect()
}

fn play_from(address: SocketAddr, name: &str, start: u32) -> Client {
    play_some(address, name, start, None)
}

fn play_some(address: SocketAddr, name: &str, start: u32, duration: Option<u32>) -> Client {
    let mut client = Client::connect(address, "live");
    let stream = client.create_stream();
    let (start, wanted) = (PlayStart::At(start), Wanted::default());
    let play = Play { stream, name: name.into(), start, duration, reset: true, wanted };
    client.with(|session| session.play(&play)).unwrap();
    client
}

/// The next picture: when it is shown, and its time in the live stream.
fn picture(client: &mut Client) -> (u32, u32) {
    loop {
        let tag = client.tag();
        if tag.kind == TagKind::Video && tag.classify().role != weir::flv::TagRole::SequenceHeader {
            let body = tag.body[tag.body.len() - 4..].try_into().unwrap();
            return (tag.timestamp.0, u32::from_be_bytes(body));
        }
    }
}

fn publish(address: SocketAddr, name: &str, tags: &[Tag]) -> (Client, MessageStreamId) {
    let (mut client, out) = Client::publisher(address, name);
    client.send(out, &[video_header(1)]);
    client.send(out, tags);
    (client, out)
}

/// Waits until the picture of that time is the last in the file.
fn written(file: &Path, time: u32) {
    let end = [time.to_be_bytes(), 20u32.to_be_bytes()].concat();
    until("it is in the file", || fs::read(file).is_ok_and(|bytes| bytes.ends_with(&end)));
}

#[test]
fn a_stream_plays_from_an_earlier_point_on_to_its_end() {
    let (_server, address, folder) = recorder("earlier", None);
    let (mut publisher, out) = publish(address, "shifted", &pictures(0, 4000));
    written(&folder.join("live/shifted-1.flv"), 3960);
    let mut player = play_from(address, "shifted", 2500);
    player.notice(StreamNotice::IsRecorded);
    assert_eq!(picture(&mut player), (0, 2000));
    let mut last = (0, 2000);
    while last.1 < 3960 {
        let next = picture(&mut player);
        assert_eq!((next.0 - last.0, next.1 - last.1), (40, 40));
        last = next;
    }
    // It has caught up; what comes now is played as well.
    publisher.send(out, &pictures(4000, 5000));
    for time in (4000..5000).step_by(40) {
        assert_eq!(picture(&mut player), (time - 2000, time));
    }
    publisher.with(|session| session.delete_stream(out)).unwrap();
    player.wait("the end", |event| match event {
        Event::Status { status, .. } => (status.code == "NetStream.Play.Stop").then_some(()),
        _ => None,
    });
}

/// librtmp asks for 0 where nothing was asked for.
#[test]
fn from_0_a_recorded_stream_is_live() {
    let (_server, address, folder) = recorder("zero", None);
    let (_publisher, _) = publish(address, "zero", &pictures(0, 4040));
    written(&folder.join("live/zero-1.flv"), 4000);
    let mut player = play_from(address, "zero", 0);
    assert_eq!(picture(&mut player), (4000, 4000));
}

#[test]
fn the_next_file_of_a_recording_follows_the_one_that_is_played() {
    let (_server, address, folder) = recorder("segments", Some(Duration::from_secs(1)));
    let (mut publisher, out) = publish(address, "cut", &pictures(0, 1520));
    written(&folder.join("live/cut-2.flv"), 1480);
    let mut player = play_from(address, "cut", 1);
    assert_eq!(picture(&mut player), (0, 1000));
    publisher.send(out, &pictures(1520, 2520));
    let mut all = Vec::new();
    while all.last() != Some(&(480, 2480)) {
        all.push(picture(&mut player));
    }
    let expected: Vec<(u32, u32)> = (1040..2000)
        .step_by(40)
        .map(|time| (time - 1000, time))
        .chain((2000..2500).step_by(40).map(|time| (time - 2000, time)))
        .collect();
    assert_eq!(all, expected);
}

/// Whether the end lies in the file that is played, in the part that is still to come, or in the next file.
#[test]
fn a_duration_ends_a_play_from_an_earlier_point() {
    let (_server, address, folder) = recorder("stretch", Some(Duration::from_secs(2)));
    let (mut publisher, out) = publish(address, "some", &pictures(0, 2040));
    written(&folder.join("live/some-2.flv"), 2000);
    let mut players = [200, 1000].map(|duration| play_some(address, "some", 1, Some(duration)));
    // They play the second file before there is a third.
    players.iter_mut().for_each(|player| assert_eq!(picture(player), (0, 2000)));
    publisher.send(out, &pictures(2040, 6000));
    for (player, end) in players.iter_mut().zip([200, 1000]) {
        let mut all = Vec::new();
        player.wait("the end", |event| match event {
            Event::Tag { tag, .. } if tag.kind == TagKind::Video => {
                all.push(tag.timestamp.0);
                None
            }
            Event::Status { status, .. } => (status.code == "NetStream.Play.Stop").then_some(()),
            _ => None,
        });
        assert_eq!(all.last(), Some(&end), "{all:?}");
    }
}
