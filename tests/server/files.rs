//! Files played as `vod/...`: the messages around them, word for word, and what a client may ask for.

mod beside_live;
mod trouble;

use super::*;
use std::{fs, path::PathBuf};
use weir::{
    base::Timestamp,
    flv::{TagKind, TagRole, writer},
    rtmp::{
        MessageStreamId,
        session::{Play, PlayStart, Wanted},
    },
};

/// A directory of files, gone with the test.
pub(crate) struct Films(pub(crate) PathBuf);

impl Films {
    pub(crate) fn new(name: &str) -> Films {
        let root = std::env::temp_dir().join(format!("weir-files-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Films(root)
    }

    pub(crate) fn with(self, name: &str, bytes: &[u8]) -> Films {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    pub(crate) fn start(&self) -> (Server, SocketAddr) {
        start(Config { media: Some(self.0.clone()), ..config() })
    }
}

impl Drop for Films {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn flv(tags: &[Tag]) -> Vec<u8> {
    let mut bytes = writer::header(true, true).to_vec();
    tags.iter().for_each(|tag| writer::write_tag(&mut bytes, tag).unwrap());
    bytes
}

/// A keyframe every second, 25 frames a second, audio with each.
fn film(seconds: u32, label: u8) -> Vec<Tag> {
    let mut tags = vec![video_header(label), audio_header()];
    for time in (0..seconds * 1000).step_by(40) {
        let make = if time % 1000 == 0 { keyframe } else { inter_frame };
        tags.push(make(time, &[&[label][..], &time.to_be_bytes()].concat()));
        tags.push(audio(time));
    }
    tags
}

fn play(stream: MessageStreamId, name: &str, start: PlayStart, duration: Option<u32>, reset: bool) -> Play {
    Play { stream, name: name.into(), start, duration, reset, wanted: Wanted::default() }
}

/// A client of `vod` that has created a stream.
fn client(address: SocketAddr) -> (Client, MessageStreamId) {
    let mut client = Client::connect(address, "vod");
    let stream = client.create_stream();
    (client, stream)
}

/// What the server says, as words; media as the time and what it is.
fn word(event: &Event) -> Option<String> {
    Some(match event {
        Event::StreamNotice { notice, .. } => format!("{notice:?}"),
        Event::Status { status, .. } => match status.info.get("details") {
            Some(details) => format!("{} {details}", status.code),
            None => status.code.clone(),
        },
        Event::Tag { tag, .. } if tag.kind == TagKind::Data => {
            let (values, _) = weir::amf::amf0::decode_all(&tag.body, weir::amf::Budget::default());
            let code = values.get(1).and_then(|info| info.as_object()).and_then(|info| info.get("code"));
            let name = values.first().and_then(|name| name.as_str()).unwrap_or_default();
            match code.and_then(|code| code.as_str()) {
                Some(code) => format!("{name} {code}"),
                None => name.to_string(),
            }
        }
        Event::Tag { tag, .. } => match tag.classify().role {
            TagRole::SequenceHeader => format!("{:?} header {}", tag.kind, tag.timestamp),
            TagRole::Keyframe => format!("keyframe {}", tag.timestamp),
            _ => return None,
        },
        _ => return None,
    })
}

/// Words up to one that begins like that.
fn heard(client: &mut Client, last: &str) -> Vec<String> {
    let mut words = Vec::new();
    while !words.last().is_some_and(|word: &String| word.starts_with(last)) {
        words.push(client.wait(last, word));
    }
    words
}

const START: [&str; 6] = [
    "IsRecorded",
    "Begin",
    "NetStream.Play.Reset",
    "NetStream.Play.Start \"film\"",
    "|RtmpSampleAccess",
    "onStatus NetStream.Data.Start",
];
const END: [&str; 3] = ["onPlayStatus NetStream.Play.Complete", "NetStream.Play.Stop", "Eof"];

#[test]
fn a_file_plays_bit_for_bit_between_the_messages_that_players_expect() {
    let tags = film(2, 1);
    let films = Films::new("whole").with("film.flv", &flv(&tags));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    client.with(|session| {
        session.play(&play(stream, "film", PlayStart::LiveOrRecorded, None, true)).unwrap();
        session.set_buffer_length(stream, 10_000).unwrap();
    });
    let expected = [
        &START[..],
        &["onMetaData", "Video header 0", "Audio header 0", "keyframe 0", "keyframe 1000"],
        &END,
    ];
    assert_eq!(heard(&mut client, "Eof"), expected.concat());
    // Again, every byte of it.
    client.with(|session| session.seek(stream, 0).unwrap());
    let seek = [
        "NetStream.Seek.Notify 0",
        "IsRecorded",
        "Begin",
        "NetStream.Play.Start",
        "onStatus NetStream.Data.Start",
    ];
    assert_eq!(heard(&mut client, "onStatus"), seek);
    let received = client.tags_up_to(|tag| tag.body.starts_with(b"\x02\0\x0conPlayStatus"));
    assert_eq!(bodies(&received[..received.len() - 1]), bodies(&tags));
    assert_eq!(times(&received[..received.len() - 1]), times(&tags));
}

#[test]
fn a_start_and_a_duration_cut_a_piece_out() {
    let films = Films::new("cut").with("film.flv", &flv(&film(10, 1)));
    let (_server, address) = films.start();
    for (start, duration, first, last) in [
        (PlayStart::At(2500), Some(1000), 2000, 3480),
        (PlayStart::At(3000), Some(40), 3000, 3000),
        (PlayStart::At(4999), Some(0), 4000, 4000),
        (PlayStart::At(9900), None, 9000, 9960),
        (PlayStart::At(99_000), Some(0), 9000, 9000),
        (PlayStart::LiveOrRecorded, Some(80), 0, 40),
    ] {
        let (mut client, stream) = client(address);
        client.with(|session| {
            session.play(&play(stream, "film.flv", start, duration, true)).unwrap();
            session.set_buffer_length(stream, 10_000).unwrap();
        });
        let received = client.tags_up_to(|tag| tag.body.starts_with(b"\x02\0\x0conPlayStatus"));
        // The time in the file stands in the body; times count from where the play begins.
        let video: Vec<(u32, u32)> = received
            .iter()
            .filter(|tag| matches!(tag.classify().role, TagRole::Keyframe | TagRole::Frame))
            .filter(|tag| tag.kind == TagKind::Video)
            .map(|tag| (tag.timestamp.0, u32::from_be_bytes(tag.body[6..10].try_into().unwrap())))
            .collect();
        let expected = (Some((0, first)), Some((last - first, last)));
        assert_eq!((video.first().copied(), video.last().copied()), expected, "{start:?} {duration:?}");
        if duration == Some(0) {
            assert_eq!(video.len(), 1);
        }
    }
}

#[test]
fn a_seek_begins_at_the_keyframe_before_and_one_past_the_end_changes_nothing() {
    let films = Films::new("seek").with("film.flv", &flv(&film(20, 1)));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    client.with(|session| session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap());
    heard(&mut client, "keyframe 0");
    client.with(|session| session.seek(stream, 7654).unwrap());
    let words = heard(&mut client, "keyframe 8000");
    let at = words.iter().position(|word| word.starts_with("NetStream.Seek")).unwrap();
    assert_eq!(
        words[at..],
        [
            "NetStream.Seek.Notify 7654",
            "IsRecorded",
            "Begin",
            "NetStream.Play.Start",
            "onStatus NetStream.Data.Start",
            "Video header 7000",
            "Audio header 7000",
            "keyframe 7000",
            "keyframe 8000",
        ]
    );
    client.with(|session| session.seek(stream, 20_001).unwrap());
    let words = heard(&mut client, "keyframe 9000");
    assert!(words.contains(&"NetStream.Seek.InvalidTime 20000".to_string()), "{words:?}");
}

#[test]
fn a_thousand_seeks_at_once_are_answered_and_the_last_counts() {
    let films = Films::new("seeks").with("film.flv", &flv(&film(20, 1)));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    client.with(|session| session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap());
    heard(&mut client, "keyframe 0");
    client.with(|session| {
        for number in 0..1000 {
            session.seek(stream, number * 17 % 18_000).unwrap();
        }
        session.seek(stream, 12_345).unwrap();
    });
    heard(&mut client, "NetStream.Seek.Notify 12345");
    assert_eq!(heard(&mut client, "keyframe").last().map(String::as_str), Some("keyframe 12000"));
}

#[test]
fn a_pause_stops_media_and_going_on_continues_where_the_client_is() {
    let films = Films::new("pause").with("film.flv", &flv(&film(60, 1)));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    client.with(|session| session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap());
    heard(&mut client, "keyframe 1000");
    client.with(|session| session.pause(stream, true, 500).unwrap());
    let words = heard(&mut client, "Eof");
    assert_eq!(words[words.len() - 2..], ["NetStream.Pause.Notify", "Eof"]);
    let silence = Instant::now() + Duration::from_millis(700);
    thread::sleep(silence.saturating_duration_since(Instant::now()));
    client.with(|session| session.pause(stream, false, 900).unwrap());
    assert_eq!(
        heard(&mut client, "Begin"),
        ["NetStream.Unpause.Notify", "Begin"],
        "nothing came while it was paused"
    );
    // Nothing twice and nothing left out.
    let first = client.tag();
    assert!(first.timestamp.0 < 2200 && first.body[0] != 0x17, "{first:?}");
    client.with(|session| {
        session.pause(stream, true, 0).unwrap();
        session.pause(stream, false, 30_500).unwrap();
    });
    heard(&mut client, "NetStream.Unpause.Notify");
    assert_eq!(
        heard(&mut client, "keyframe"),
        ["Begin", "Video header 30000", "Audio header 30000", "keyframe 30000"]
    );
}

#[test]
fn a_playlist_says_where_one_entry_ends_and_the_next_begins() {
    let films = Films::new("list")
        .with("film.flv", &flv(&film(1, 1)))
        .with("second.flv", &flv(&film(2, 2)))
        .with("third.flv", &flv(&film(1, 3)));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    client.with(|session| {
        session.play(&play(stream, "film", PlayStart::LiveOrRecorded, None, true)).unwrap();
        session.play(&play(stream, "second", PlayStart::At(1000), None, false)).unwrap();
        session.play(&play(stream, "missing", PlayStart::At(0), None, false)).unwrap();
        session.play(&play(stream, "third", PlayStart::At(0), Some(0), false)).unwrap();
        session.set_buffer_length(stream, 10_000).unwrap();
    });
    let begins = |name: &str| {
        let start = format!("NetStream.Play.Start \"{name}\"");
        [
            "onPlayStatus NetStream.Play.Switch",
            "IsRecorded",
            "Begin",
            &start,
            "|RtmpSampleAccess",
            "onStatus NetStream.Data.Start",
            "onMetaData",
        ]
        .map(str::to_string)
        .to_vec()
    };
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = [
        words(&START),
        words(&["onMetaData", "Video header 0", "Audio header 0", "keyframe 0"]),
        begins("second"),
        words(&["Video header 0", "Audio header 0", "keyframe 0"]),
        begins("third"),
        words(&["Video header 0", "Audio header 0", "keyframe 0"]),
        words(&END),
    ];
    assert_eq!(heard(&mut client, "Eof"), expected.concat());
    // What is added behind the end begins at once; a reset throws away what waits.
    client.with(|session| session.play(&play(stream, "second", PlayStart::At(0), Some(0), false)).unwrap());
    assert_eq!(heard(&mut client, "Eof")[..7], begins("second"));
    client.with(|session| {
        session.play(&play(stream, "second", PlayStart::At(0), None, true)).unwrap();
        session.play(&play(stream, "third", PlayStart::At(0), None, false)).unwrap();
        session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap();
    });
    let words = heard(&mut client, "Eof");
    assert!(!words.iter().any(|word| word.contains("third")), "{words:?}");
}

#[test]
fn real_time_follows_what_the_buffer_holds() {
    let films = Films::new("pace").with("film.flv", &flv(&film(20, 1)));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    let begun = Instant::now();
    client.with(|session| {
        session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap();
        session.set_buffer_length(stream, 3000).unwrap();
    });
    heard(&mut client, "keyframe 3000");
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    heard(&mut client, "keyframe 5000");
    assert!(begun.elapsed() > Duration::from_millis(1500), "{:?}", begun.elapsed());
    client.with(|session| session.set_buffer_length(stream, 15_000).unwrap());
    heard(&mut client, "keyframe 16000");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn audio_and_video_can_be_left_out_and_wanted_again() {
    let films = Films::new("receive").with("film.flv", &flv(&film(20, 1)));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    let mut sound = play(stream, "film", PlayStart::At(0), Some(2000), true);
    sound.wanted = Wanted { audio: true, video: false };
    client.with(|session| {
        session.play(&sound).unwrap();
        session.set_buffer_length(stream, 10_000).unwrap();
    });
    let words = heard(&mut client, "Eof");
    assert!(words.contains(&"Audio header 0".to_string()));
    assert!(!words.iter().any(|word| word.starts_with("Video") || word.starts_with("keyframe")), "{words:?}");
}

#[test]
fn who_wants_neither_sound_nor_pictures_for_a_while_hears_of_the_end_when_it_is_due() {
    let films = Films::new("neither").with("film.flv", &flv(&film(20, 1)));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    let mut nothing = play(stream, "film", PlayStart::At(0), Some(2000), true);
    nothing.wanted = Wanted { audio: false, video: false };
    let begun = Instant::now();
    client.with(|session| session.play(&nothing).unwrap());
    let words = heard(&mut client, "Eof");
    assert!(!words.iter().any(|word| word.starts_with("keyframe")), "{words:?}");
    // A second of the two is what a client is ahead.
    assert!(begun.elapsed() > Duration::from_millis(800), "{:?}", begun.elapsed());
}

#[test]
fn lengths_are_answered_in_seconds() {
    let films = Films::new("length").with("film.flv", &flv(&film(3, 1)));
    let (_server, address) = films.start();
    let (mut client, _) = client(address);
    for (name, expected) in [("film", 3.0), ("missing", 0.0), ("film", 3.0)] {
        client.with(|session| session.call(MessageStreamId(0), "getStreamLength", &[name.into()]).unwrap());
        let seconds = client.wait("a length", |event| match event {
            Event::Reply { values, .. } => values.get(1).and_then(|value| value.as_number()),
            _ => None,
        });
        assert_eq!(seconds, expected, "{name}");
    }
}

/// ffmpeg and librtmp unpause with the time of what they read last, whatever they asked for since.
#[test]
fn after_a_seek_while_paused_it_goes_on_from_there() {
    let films = Films::new("unpause").with("film.flv", &flv(&film(60, 1)));
    let (_server, address) = films.start();
    let (mut client, stream) = client(address);
    client.with(|session| session.play(&play(stream, "film", PlayStart::At(0), None, true)).unwrap());
    heard(&mut client, "keyframe 1000");
    client.with(|session| session.pause(stream, true, 1000).unwrap());
    client.with(|session| session.seek(stream, 40_000).unwrap());
    client.with(|session| session.pause(stream, false, 1000).unwrap());
    heard(&mut client, "keyframe 41000");
}

#[test]
fn the_client_of_the_tools_seeks_and_pauses() {
    use weir::server::client::{ClientOptions, Next, Player, RtmpUrl};
    let films = Films::new("client").with("film.flv", &flv(&film(20, 1)));
    let (_server, address) = films.start();
    let url: RtmpUrl = format!("rtmp://{address}/vod/film").parse().unwrap();
    let until = |player: &mut Player, time: u32| loop {
        match player.next(Instant::now() + DEADLINE).unwrap() {
            Next::Tag(tag) if tag.classify().is_keyframe() && tag.timestamp.0 == time => break,
            Next::Tag(_) => {}
            other => panic!("{other:?} before {time}"),
        }
    };
    let mut player =
        Player::open(&url, &ClientOptions { start: PlayStart::At(5000), ..ClientOptions::default() })
            .unwrap();
    until(&mut player, 1000);
    player.seek(12_000).unwrap();
    until(&mut player, 12_000);
    player.pause(true, 12_000).unwrap();
    player.pause(false, 3000).unwrap();
    until(&mut player, 3000);
    player.finish().unwrap();
    let options = ClientOptions { start: PlayStart::At(0), duration: Some(500), ..ClientOptions::default() };
    let mut player = Player::open(&url, &options).unwrap();
    let mut tags = 0;
    while let Next::Tag(_) = player.next(Instant::now() + DEADLINE).unwrap() {
        tags += 1;
    }
    // Metadata, two headers, 500 ms of pictures and sound, and the frame of sound that shows that it is over.
    assert_eq!(tags, 1 + 2 + 13 + 13);
}

#[test]
fn mp3_files_play_frame_by_frame() {
    // MPEG-1 layer III, 128 kbit/s, 44 100 Hz, stereo: 417 bytes and 26.1 ms each.
    let frames: Vec<Vec<u8>> =
        (0..80u8).map(|number| [&[0xff, 0xfb, 0x90, 0x64][..], &[number; 413]].concat()).collect();
    let films = Films::new("mp3").with("song.mp3", &frames.concat());
    let (_server, address) = films.start();
    for name in ["mp3:song", "song.mp3"] {
        let (mut client, stream) = client(address);
        client.with(|session| {
            session.play(&play(stream, name, PlayStart::At(0), None, true)).unwrap();
            session.set_buffer_length(stream, 10_000).unwrap();
        });
        let received = client.tags_up_to(|tag| tag.body.starts_with(b"\x02\0\x0conPlayStatus"));
        let got: Vec<&[u8]> =
            received.iter().filter(|tag| tag.kind == TagKind::Audio).map(|tag| &tag.body[1..]).collect();
        let is_same = got == frames.iter().map(|frame| &frame[..]).collect::<Vec<_>>();
        assert!(is_same, "{name}: {} frames from {} on", got.len(), got[0][4]);
    }
}
