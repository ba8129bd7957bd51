//! Files made here, whole and damaged, and what is read from them.

use super::*;
use crate::{
    amf::Value,
    flv::{self, writer},
};
use alloc::{format, string::String};

fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Tag {
    Tag::new(kind, Timestamp(timestamp), body.into())
}

fn keyframe(timestamp: u32) -> Tag {
    tag(TagKind::Video, timestamp, &[&[0x17, 1, 0, 0, 0][..], &timestamp.to_be_bytes(), &[0; 300]].concat())
}

fn inter_frame(timestamp: u32) -> Tag {
    tag(TagKind::Video, timestamp, &[&[0x27, 1, 0, 0, 0][..], &timestamp.to_be_bytes()].concat())
}

fn video_header(version: u8) -> Tag {
    tag(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, 1, version])
}

fn audio(timestamp: u32) -> Tag {
    tag(TagKind::Audio, timestamp, &[&[0xaf, 1][..], &timestamp.to_be_bytes()].concat())
}

fn audio_header(version: u8) -> Tag {
    tag(TagKind::Audio, 0, &[0xaf, 0, 0x12, version])
}

fn metadata(properties: Object) -> Tag {
    tag(TagKind::Data, 0, &flv::metadata::encode(properties))
}

fn file(tags: &[Tag]) -> Vec<u8> {
    let mut bytes = writer::header(true, true).to_vec();
    tags.iter().for_each(|tag| writer::write_tag(&mut bytes, tag).expect("short"));
    bytes
}

/// Two seconds a group of pictures of 25 a second, audio every 20 ms, from `start` on.
fn film(seconds: u32, start: u32) -> Vec<Tag> {
    let mut tags = vec![video_header(1), audio_header(0x10)];
    for time in (0..seconds * 1000).step_by(20) {
        let time = start + time;
        match (time - start) % 2000 {
            0 => tags.push(keyframe(time)),
            place if place % 40 == 0 => tags.push(inter_frame(time)),
            _ => {}
        }
        tags.push(audio(time));
    }
    tags
}

/// The file with the list of its keyframes in front.
fn indexed(tags: &[Tag], change: impl Fn(&mut Vec<Value>, &mut Vec<Value>)) -> Vec<u8> {
    let make = |offset: u64| {
        let (mut offsets, mut times): (Vec<Value>, Vec<Value>) = Default::default();
        let mut at = offset;
        for tag in tags {
            if tag.classify().role == TagRole::Keyframe {
                offsets.push((at as f64).into());
                times.push((f64::from(tag.timestamp.0) / 1000.0).into());
            }
            at += tag.body.len() as u64 + 15;
        }
        change(&mut offsets, &mut times);
        let lists = Object::from([("filepositions", Value::from(offsets)), ("times", times.into())]);
        metadata([("keyframes", Value::from(lists))].into())
    };
    let len = file(&[make(0)]).len();
    file(&[&[make(len as u64)], tags].concat())
}

fn open(bytes: &[u8]) -> FlvReader<&[u8]> {
    FlvReader::open(bytes).expect("FLV")
}

fn rest(reader: &mut impl MediaReader) -> Vec<Tag> {
    core::iter::from_fn(|| reader.next().expect("intact")).collect()
}

/// What a player gets from here on.
fn played(reader: &mut impl MediaReader) -> Vec<Tag> {
    let mut tags = reader.headers();
    tags.extend(rest(reader));
    tags
}

fn shown(tags: &[Tag]) -> Vec<String> {
    tags.iter().map(|tag| format!("{:?} {} {:x?}", tag.kind, tag.timestamp, &*tag.body)).collect()
}

#[test]
fn a_file_plays_as_it_was_written_with_its_headers_first() {
    let tags = film(5, 0);
    for bytes in [file(&tags), indexed(&tags, |_, _| {})] {
        let mut reader = open(&bytes);
        assert_eq!(shown(&played(&mut reader)), shown(&tags));
        assert_eq!(reader.next(), Ok(None));
        assert_eq!((reader.info().duration, reader.info().size), (5000, bytes.len() as u64));
        let times: Vec<u32> = reader.info().keyframes.iter().map(|at| at.timestamp.0).collect();
        assert_eq!(times, [0, 2000, 4000]);
    }
}

#[test]
fn times_count_from_the_first_frame_on_whichever_track_it_is_of() {
    let mut tags = film(3, 90_000);
    let bytes = file(&tags);
    tags.iter_mut().skip(2).for_each(|tag| tag.timestamp.0 -= 90_000);
    assert_eq!(shown(&played(&mut open(&bytes))), shown(&tags));
    // As ffmpeg copies from MP4: the first tag is not the first frame.
    let tags = [audio_header(1), audio(1057), keyframe(1000), inter_frame(1040)];
    let times: Vec<u32> = played(&mut open(&file(&tags))).iter().map(|tag| tag.timestamp.0).collect();
    assert_eq!(times, [0, 57, 0, 40]);
}

#[test]
fn a_seek_goes_to_the_keyframe_at_or_before_with_and_without_a_list() {
    let tags = film(10, 500);
    let every_second = |offsets: &mut Vec<Value>, times: &mut Vec<Value>| {
        for list in [offsets, times] {
            let mut number = 0;
            list.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
    };
    let files = [file(&tags), indexed(&tags, |_, _| {}), indexed(&tags, every_second)];
    for bytes in files {
        let mut reader = open(&bytes);
        for (target, expected) in
            [(0, 0), (1999, 0), (2000, 2000), (7999, 6000), (9000, 8000), (2001, 2000), (u32::MAX, 8000)]
        {
            assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(expected)), "{target}");
            let headers = reader.headers();
            assert_eq!(
                headers.iter().map(|tag| (tag.timestamp.0, &*tag.body)).collect::<Vec<_>>(),
                [(expected, &*video_header(1).body), (expected, &*audio_header(0x10).body)]
            );
            let behind =
                tags.iter().skip_while(|tag| tag.timestamp.0 < expected + 500 || tag.kind != TagKind::Video);
            let expected: Vec<&[u8]> =
                behind.filter(|tag| !tag.body.starts_with(&[0x17, 0])).map(|tag| &*tag.body).collect();
            let rest = rest(&mut reader);
            assert_eq!(rest.iter().map(|tag| &*tag.body).collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn a_list_that_lies_is_not_believed() {
    let tags = film(60, 0);
    type Lie = fn(&mut Vec<Value>, &mut Vec<Value>);
    let lies: [Lie; 7] = [
        |offsets, _| offsets.iter_mut().for_each(|at| *at = (at.as_number().unwrap_or(0.0) + 1.0).into()),
        |_, times| times.iter_mut().for_each(|time| *time = (time.as_number().unwrap_or(0.0) * 2.0).into()),
        |offsets, _| offsets.reverse(),
        |offsets, _| offsets.iter_mut().for_each(|at| *at = 1e300.into()),
        |offsets, _| offsets.iter_mut().for_each(|at| *at = (-5.0).into()),
        |_, times| times.iter_mut().for_each(|time| *time = f64::NAN.into()),
        |offsets, times| {
            offsets.clear();
            times.clear();
        },
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let bytes = indexed(&tags, lie);
        let mut reader = open(&bytes);
        assert_eq!(reader.seek(Timestamp(41_000)), Ok(Timestamp(40_000)), "lie {number}");
        assert_eq!(rest(&mut reader).first().map(|tag| tag.body.clone()), Some(keyframe(40_000).body));
    }
}

#[test]
fn a_list_that_is_wrong_in_one_place_is_given_up_there() {
    let tags = film(60, 0);
    let bytes = indexed(&tags, |offsets, _| {
        let wrong = offsets[7].as_number().unwrap_or(0.0) + 1.0;
        offsets[7] = wrong.into();
    });
    let mut reader = open(&bytes);
    assert_eq!(reader.seek(Timestamp(14_500)), Ok(Timestamp(14_000)));
    assert_eq!(rest(&mut reader).first().map(|tag| tag.body.clone()), Some(keyframe(14_000).body));
}

#[test]
fn a_first_entry_that_is_the_sequence_header_is_no_place() {
    let tags = film(6, 0);
    let bytes = indexed(&tags, |offsets, times| {
        let first = offsets[0].as_number().unwrap_or(0.0)
            - (video_header(1).body.len() + audio_header(0).body.len() + 30) as f64;
        offsets.insert(0, first.into());
        times.insert(0, 0.0.into());
    });
    let times: Vec<u32> = open(&bytes).info().keyframes.iter().map(|at| at.timestamp.0).collect();
    assert_eq!(times, [0, 2000, 4000]);
}

#[test]
fn configuration_that_changes_is_the_one_of_each_place() {
    let mut tags = film(2, 0);
    tags.push(video_header(2));
    tags.extend(film(4, 0).split_off(2).into_iter().filter(|tag| tag.timestamp.0 >= 2000));
    // The same again is no change.
    let repeated = [&tags[..], &[video_header(2), keyframe(4000)]].concat();
    for bytes in [file(&tags), file(&repeated)] {
        let mut reader = open(&bytes);
        let versions = |tags: &[Tag]| -> Vec<u8> {
            tags.iter().filter(|tag| tag.body.starts_with(&[0x17, 0])).map(|tag| tag.body[6]).collect()
        };
        assert_eq!(versions(&played(&mut reader)), [1, 2]);
        reader.seek(Timestamp(2500)).expect("readable");
        assert_eq!(versions(&played(&mut reader)), [2]);
        reader.seek(Timestamp(500)).expect("readable");
        assert_eq!(versions(&played(&mut reader)), [1, 2]);
    }
}

#[test]
fn a_file_cut_anywhere_plays_up_to_the_cut() {
    let tags = film(4, 0);
    let whole = indexed(&tags, |_, _| {});
    let expected = shown(&tags);
    let first = whole.len() - file(&tags).len() + 13;
    for len in (first + 400..whole.len()).step_by(37) {
        let mut reader = FlvReader::open(&whole[..len]).unwrap_or_else(|error| panic!("{len}: {error}"));
        let got = shown(&played(&mut reader));
        assert!(!got.is_empty() && expected.starts_with(&got), "{len}");
        let last = reader.seek(Timestamp(u32::MAX)).expect("readable");
        assert!(reader.info().duration >= last.0 && reader.info().duration <= 4000, "{len}");
    }
    for len in 0..first {
        assert!(FlvReader::open(&whole[..len]).is_err(), "{len}");
    }
}

#[test]
fn damage_is_reported_once_and_passed_over() {
    let tags = film(6, 0);
    let mut bytes = file(&tags);
    let at =
        bytes.windows(keyframe(2000).body.len()).position(|at| *at == *keyframe(2000).body).expect("there");
    bytes[at - 11..at + 40].fill(0xee);
    let mut reader = open(&bytes);
    let mut errors = 0;
    let mut got = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(tag)) => got.push(tag),
            Ok(None) => break,
            Err(MediaError::Malformed { .. }) => errors += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((errors, got.len()), (1, tags.len() - 3));
    assert_eq!(reader.seek(Timestamp(5000)), Ok(Timestamp(4000)));
    assert_eq!(reader.seek(Timestamp(3000)), Ok(Timestamp(0)));
}

#[test]
fn times_that_go_back_stand_still() {
    let times = [0, 40, 80, 20, 60, 120];
    let tags: Vec<Tag> =
        times.iter().map(|time| if *time == 0 { keyframe(0) } else { inter_frame(*time) }).collect();
    let got: Vec<u32> = rest(&mut open(&file(&tags))).iter().map(|tag| tag.timestamp.0).collect();
    assert_eq!(got, [0, 40, 80, 80, 80, 120]);
}

#[test]
fn without_video_a_seek_goes_to_the_frame_of_audio() {
    let mut tags = vec![audio_header(1)];
    tags.extend((0..400_000).step_by(23).map(audio));
    let bytes = file(&tags);
    let mut reader = open(&bytes);
    assert!(reader.info().keyframes.len() <= super::super::MAX_KEYFRAMES);
    for target in [0, 22, 23, 1000, 301_234, 399_999] {
        assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(target / 23 * 23)), "{target}");
        assert_eq!(rest(&mut reader).first().map(|tag| tag.timestamp.0), Some(target / 23 * 23));
    }
}

#[test]
fn what_is_known_of_a_file_comes_from_its_tags_and_its_metadata() {
    let properties = Object::from([
        ("width", Value::from(640)),
        ("height", 360.into()),
        ("framerate", 25.0.into()),
        ("audiosamplerate", 44_100.into()),
        ("stereo", true.into()),
        ("duration", 3.02.into()),
        ("title", "film".into()),
    ]);
    let bytes = file(&[&[metadata(properties)], &film(3, 0)[..]].concat());
    let reader = open(&bytes);
    let info = reader.info();
    let video = VideoInfo { codec: Codec::H264, width: 640, height: 360, frame_rate: 25.0 };
    let audio = AudioInfo { codec: Codec::Aac, sample_rate: 44_100, channels: 2 };
    assert_eq!((info.video, info.audio, info.duration), (Some(video), Some(audio), 3020));
    let tag = metadata::tag(info, Timestamp(7));
    let properties = metadata::properties(&tag.body).expect("metadata");
    let number = |key: &str| properties.get(key).and_then(Value::as_number);
    assert_eq!(
        (number("duration"), number("videocodecid"), number("audiocodecid")),
        (Some(3.02), Some(7.0), Some(10.0))
    );
    assert_eq!((number("filesize"), number("audiochannels")), (Some(bytes.len() as f64), Some(2.0)));
    assert_eq!(properties.get("title").and_then(Value::as_str), Some("film"));
    let times = properties.get("keyframes").and_then(Value::as_object).and_then(|lists| lists.get("times"));
    assert_eq!(times, Some(&Value::StrictArray(vec![0.0.into(), 2.0.into()])));
}

#[test]
fn a_lying_duration_gives_way_to_the_last_tag() {
    for said in [0.0, 3600.0, -1.0, f64::NAN, 1e300] {
        let bytes = file(&[&[metadata([("duration", Value::from(said))].into())], &film(3, 0)[..]].concat());
        assert_eq!(open(&bytes).info().duration, 3000, "{said}");
    }
}

#[test]
fn what_is_no_flv_or_has_nothing_to_play_is_refused() {
    let data = file(&[metadata(Object::new())]);
    assert_eq!(
        FlvReader::open(&data[..]).err(),
        Some(MediaError::Unsupported("an FLV file without audio and video"))
    );
    for bytes in [&b""[..], b"FLV", b"RIFF....AVI ", &file(&[])] {
        assert!(matches!(FlvReader::open(bytes), Err(MediaError::Malformed { .. })), "{bytes:?}");
    }
}

/// A file of which so much is written.
struct Growing<'a>(&'a [u8], &'a core::cell::Cell<usize>);

impl ReadAt for Growing<'_> {
    fn size(&self) -> Result<u64, MediaError> {
        (&self.0[..self.1.get()]).size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, MediaError> {
        (&self.0[..self.1.get()]).read_at(offset, buffer)
    }
}

#[test]
fn a_file_that_grows_goes_on_where_it_ended() {
    let bytes = file(&film(6, 0));
    let mut whole = FlvReader::open(&bytes[..]).expect("sound");
    let all: Vec<Tag> = core::iter::from_fn(|| whole.next().expect("sound")).collect();
    for step in [1, 7, 97, 1000] {
        let written = core::cell::Cell::new(1000);
        let mut reader = FlvReader::open(Growing(&bytes, &written)).expect("sound");
        let mut got = Vec::new();
        while written.get() < bytes.len() {
            got.extend(core::iter::from_fn(|| reader.next().expect("sound")));
            written.set((written.get() + step).min(bytes.len()));
        }
        got.extend(core::iter::from_fn(|| reader.next().expect("sound")));
        assert_eq!(got, all, "{step} bytes at a time");
    }
}

/// Counts the bytes that are asked for.
struct Counting<'a>(&'a [u8], &'a core::cell::Cell<usize>);

impl ReadAt for Counting<'_> {
    fn size(&self) -> Result<u64, MediaError> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, MediaError> {
        self.1.set(self.1.get() + buffer.len());
        self.0.read_at(offset, buffer)
    }
}

#[test]
fn a_file_that_is_damaged_all_over_costs_no_more_than_so_many_places() {
    let mut bytes = file(&film(4, 0));
    let sound = bytes.len();
    while bytes.len() < 2 << 20 {
        bytes.push(0xff);
        writer::write_tag(&mut bytes, &audio(4000)).expect("short");
    }
    let read = core::cell::Cell::new(0);
    let mut reader = FlvReader::open(Counting(&bytes, &read)).expect("it begins well");
    let block = 64 << 10;
    let bound = (scan::MAX_DAMAGES as usize + 64) * block + 4 * bytes.len();
    assert!(read.get() < bound, "{} bytes read", read.get());
    // Each seek looks again, and finds what lies before.
    read.set(0);
    assert_eq!(reader.seek(Timestamp(3900)), Ok(Timestamp(2000)));
    assert!(read.get() < sound + bound, "{} bytes read", read.get());
}

#[test]
fn places_behind_many_damages_are_found() {
    let mut bytes = file(&[video_header(1)]);
    for second in 0..scan::MAX_DAMAGES / 2 {
        bytes.extend_from_slice(&[0xff; 3]);
        writer::write_tag(&mut bytes, &keyframe(second * 1000)).expect("short");
    }
    let reader = FlvReader::open(&*bytes).expect("it begins well");
    assert_eq!(reader.info().keyframes.len(), scan::MAX_DAMAGES as usize / 2);
}
