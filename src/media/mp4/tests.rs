//! Files built by hand, whole, cut and lying.

use super::*;
use crate::{
    flv::TagRole,
    mp4::testing::{
        Layout, Style, TestSample, TestTrack, aac, audio_entry, film, fragmented, fragmented_by, full_box,
        h264, mp4_box, table, trak, video_entry, words,
    },
};
use alloc::{format, vec};
use core::cell::{Cell, RefCell};

/// Counts what is read.
struct Counting<'a> {
    parts: &'a [(u64, Vec<u8>)],
    size: u64,
    bytes: Cell<u64>,
    calls: Cell<u64>,
}

impl ReadAt for &Counting<'_> {
    fn size(&self) -> Result<u64, MediaError> {
        Ok(self.size)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, MediaError> {
        let count = buffer.len().min(usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX));
        buffer.fill(0);
        for (start, part) in self.parts {
            let from = offset.max(*start);
            let to = (offset + count as u64).min(start + part.len() as u64);
            if from < to {
                let target = (from - offset) as usize..(to - offset) as usize;
                buffer[target].copy_from_slice(&part[(from - start) as usize..(to - start) as usize]);
            }
        }
        self.bytes.set(self.bytes.get() + count as u64);
        self.calls.set(self.calls.get() + 1);
        Ok(count)
    }
}

/// A file that can grow.
struct Growing(RefCell<Vec<u8>>);

impl ReadAt for &Growing {
    fn size(&self) -> Result<u64, MediaError> {
        Ok(self.0.borrow().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, MediaError> {
        (&self.0.borrow()[..]).read_at(offset, buffer)
    }
}

fn open(file: &[u8]) -> Mp4Reader<&[u8]> {
    Mp4Reader::open(file).expect("a file that can be played")
}

fn rest<R: ReadAt>(reader: &mut Mp4Reader<R>) -> Vec<Tag> {
    core::iter::from_fn(|| reader.next().expect("an undamaged file")).collect()
}

/// The same tags; otherwise names the first that differs.
fn same(got: &[Tag], expected: &[Tag], what: &str) {
    let differs = got.iter().zip(expected).position(|(got, expected)| got != expected);
    if let Some(index) = differs {
        panic!("{what}: tag {index}: {:?} instead of {:?}", got[index], expected[index]);
    }
    assert_eq!(got.len(), expected.len(), "{what}");
}

/// Kind, time, composition time, the frame's last byte.
fn brief(tags: &[Tag]) -> Vec<(TagKind, u32, i32, u8)> {
    let brief = |tag: &Tag| {
        let class = tag.classify();
        (tag.kind, tag.timestamp.0, class.composition_time, tag.body.last().copied().unwrap_or(0))
    };
    tags.iter().map(brief).collect()
}

fn two_seconds() -> [TestTrack; 2] {
    [h264(50, 10), aac(94)]
}

const V: TagKind = TagKind::Video;
const A: TagKind = TagKind::Audio;

#[test]
fn tracks_are_merged_by_decode_time_video_first() {
    let file = film(&[h264(3, 3), aac(4)], Layout::MoovLast, 2);
    let mut reader = open(&file);
    let expected = [
        (V, 0, 0, 0),
        (A, 0, 0, 0),
        (A, 21, 0, 1),
        (V, 40, 0, 1),
        (A, 43, 0, 2),
        (A, 64, 0, 3),
        (V, 80, 0, 2),
    ];
    let tags = rest(&mut reader);
    assert_eq!(brief(&tags), expected);
    assert_eq!(&*tags[0].body, [0x17, 1, 0, 0, 0, 0, 0, 0, 5, 0x65, 0, 0, 0, 0]);
    assert_eq!(&tags[3].body[..5], [0x27, 1, 0, 0, 0]);
    assert_eq!(reader.next(), Ok(None));
}

#[test]
fn sequence_headers_come_with_the_time_of_the_next_frame() {
    let file = film(&two_seconds(), Layout::MoovFirst, 5);
    let mut reader = open(&file);
    let headers = reader.headers();
    assert_eq!(brief(&headers), [(V, 0, 0, 0x68), (A, 0, 0, 0x90)]);
    assert_eq!(&*headers[1].body, [0xaf, 0, 0x11, 0x90]);
    reader.seek(Timestamp(1500)).unwrap();
    assert_eq!(reader.headers()[0].timestamp, Timestamp(1200));
    assert!(rest(&mut reader).iter().all(|tag| tag.classify().role != TagRole::SequenceHeader));
}

#[test]
fn a_file_is_described() {
    let file = film(&two_seconds(), Layout::MoovFirst, 5);
    let reader = open(&file);
    let info = reader.info();
    assert_eq!((info.duration, info.size), (2005, file.len() as u64));
    let video = VideoInfo { codec: Codec::H264, width: 640, height: 360, frame_rate: 25.0 };
    assert_eq!(info.video, Some(video));
    assert_eq!(info.audio, Some(AudioInfo { codec: Codec::Aac, sample_rate: 48_000, channels: 2 }));
    assert_eq!(
        info.keyframes.iter().map(|key| key.timestamp.0).collect::<Vec<_>>(),
        [0, 400, 800, 1200, 1600]
    );
    for (index, key) in info.keyframes.iter().enumerate() {
        let frame = &file[key.offset as usize..][..9];
        assert_eq!(frame, [0, 0, 0, 5, 0x65, 0, 0, 0, 10 * index as u8]);
    }
}

#[test]
fn tables_and_fragments_of_every_style_give_the_same_tags() {
    let tracks = two_seconds();
    let expected = rest(&mut open(&film(&tracks, Layout::MoovFirst, 3)));
    assert_eq!(expected.len(), 144);
    same(&rest(&mut open(&film(&tracks, Layout::MoovLast, 7))), &expected, "another layout");
    for style in [Style::Modern, Style::Old, Style::Apart] {
        for per_fragment in [1, 7, 10, 50] {
            let file = fragmented(&tracks, style, per_fragment);
            let mut reader = open(&file);
            same(&rest(&mut reader), &expected, &format!("{style:?}, {per_fragment}"));
            assert_eq!(reader.info().duration, 2005, "{style:?}, {per_fragment}");
            assert_eq!(reader.info().video.map(|video| video.frame_rate), Some(25.0));
        }
    }
}

#[test]
fn a_seek_goes_to_the_keyframe_at_or_before() {
    let tracks = two_seconds();
    let mut files = vec![film(&tracks, Layout::MoovFirst, 3), film(&tracks, Layout::MoovLast, 50)];
    for style in [Style::Modern, Style::Old, Style::Apart] {
        files.extend([1, 7, 25].map(|per_fragment| fragmented(&tracks, style, per_fragment)));
    }
    for (number, file) in files.iter().enumerate() {
        let mut reader = open(file);
        let all = rest(&mut reader);
        for target in (0..2100).step_by(33).chain([399, 400, 401, u32::MAX]) {
            let key = (target / 400 * 400).min(1600);
            assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(key)), "file {number}, to {target}");
            let expected: Vec<_> = all.iter().filter(|tag| tag.timestamp.0 >= key).cloned().collect();
            same(&rest(&mut reader), &expected, &format!("file {number}, to {target}"));
        }
    }
}

#[test]
fn what_counts_is_when_a_keyframe_is_decoded_as_in_every_other_format() {
    let mut track = h264(20, 1);
    track.samples.iter_mut().for_each(|sample| sample.composition = 1024);
    for file in [film(&[track.clone()], Layout::MoovLast, 3), fragmented(&[track], Style::Modern, 4)] {
        let mut reader = open(&file);
        for (target, found) in [(0, 0), (39, 0), (40, 40), (119, 80), (120, 120), (5000, 760)] {
            assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(found)), "to {target}");
        }
    }
}

#[test]
fn a_seek_finds_audio_in_fragments_far_before_or_behind_those_of_the_video() {
    let tracks = two_seconds();
    let all = rest(&mut open(&film(&tracks, Layout::MoovFirst, 3)));
    let video: Vec<_> = (0..5).map(|index| vec![(0, index * 10..index * 10 + 10)]).collect();
    let audio = vec![vec![(1, 0..94)]];
    for (name, plan) in [("before", [audio.clone(), video.clone()]), ("behind", [video, audio])] {
        let file = fragmented_by(&tracks, Style::Modern, &plan.concat());
        let mut reader = open(&file);
        same(&rest(&mut reader), &all, name);
        for target in (0..2000).step_by(130) {
            let key = target / 400 * 400;
            assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(key)), "{name}, to {target}");
            let expected: Vec<_> = all.iter().filter(|tag| tag.timestamp.0 >= key).cloned().collect();
            same(&rest(&mut reader), &expected, &format!("{name}, to {target}"));
        }
    }
}

#[test]
fn without_video_a_seek_goes_to_a_frame_of_audio() {
    for file in [film(&[aac(94)], Layout::MoovLast, 9), fragmented(&[aac(94)], Style::Modern, 20)] {
        let mut reader = open(&file);
        assert_eq!(reader.seek(Timestamp(1000)), Ok(Timestamp(981)));
        assert_eq!(brief(&rest(&mut reader))[0], (A, 981, 0, 46));
        assert_eq!(reader.info().video, None);
    }
}

#[test]
fn edit_lists_move_tracks_against_each_other() {
    let mut tracks = [h264(3, 3), aac(3)];
    for (sample, composition) in tracks[0].samples.iter_mut().zip([1024, 1536, 512]) {
        sample.composition = composition;
    }
    tracks[0].edits = vec![(0, 1024)];
    tracks[1].edits = vec![(20, -1), (0, 1024)];
    let expected =
        [(V, 0, 80, 0), (V, 40, 120, 1), (A, 79, 0, 0), (V, 80, 40, 2), (A, 100, 0, 1), (A, 121, 0, 2)];
    assert_eq!(brief(&rest(&mut open(&film(&tracks, Layout::MoovLast, 2)))), expected);
    assert_eq!(brief(&rest(&mut open(&fragmented(&tracks, Style::Modern, 3)))), expected);
}

#[test]
fn with_negative_offsets_decoding_is_moved_and_not_showing() {
    let mut tracks = [h264(3, 3), aac(3)];
    for (sample, composition) in tracks[0].samples.iter_mut().zip([0, 512, -512]) {
        sample.composition = composition;
    }
    let expected =
        [(V, 0, 40, 0), (V, 40, 80, 1), (A, 40, 0, 0), (A, 61, 0, 1), (V, 80, 0, 2), (A, 83, 0, 2)];
    assert_eq!(brief(&rest(&mut open(&film(&tracks, Layout::MoovLast, 2)))), expected);
    assert_eq!(brief(&rest(&mut open(&fragmented(&tracks, Style::Modern, 3)))), expected);
}

#[test]
fn another_sample_entry_is_announced_where_it_begins() {
    let mut track = h264(20, 10);
    let record = [1, 66, 0, 31, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x69];
    track.entries.push(video_entry(b"avc1", 1280, 720, &mp4_box(b"avcC", &record)));
    track.entries.push(track.entries[0].clone());
    track.samples[5..].iter_mut().for_each(|sample| sample.entry = 3);
    track.samples[10..].iter_mut().for_each(|sample| sample.entry = 2);
    let file = film(&[track], Layout::MoovFirst, 4);
    let mut reader = open(&file);
    assert_eq!(reader.headers()[0].body.last(), Some(&0x68));
    let tags = rest(&mut reader);
    assert_eq!(tags.len(), 21, "the same configuration under another number is not announced");
    assert_eq!(brief(&tags[9..12]), [(V, 360, 0, 9), (V, 400, 0, 0x69), (V, 400, 0, 10)]);
    reader.seek(Timestamp(600)).unwrap();
    assert_eq!(reader.headers()[0].body.last(), Some(&0x69));
    assert_eq!(brief(&rest(&mut reader))[0], (V, 400, 0, 10));
}

#[test]
fn short_lengths_of_nal_units_become_four_bytes() {
    for (len_len, flag) in [(1, 0xfc), (2, 0xfd), (3, 0xfe)] {
        let mut track = h264(1, 1);
        let record = [1, 66, 0, 30, flag, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68];
        track.entries = vec![video_entry(b"avc1", 640, 360, &mp4_box(b"avcC", &record))];
        let mut data = Vec::new();
        for unit in [&[0x65, 1, 2][..], &[6]] {
            data.extend_from_slice(&(unit.len() as u32).to_be_bytes()[4 - len_len..]);
            data.extend_from_slice(unit);
        }
        data.push(9);
        track.samples[0].data = data;
        let file = film(&[track], Layout::MoovLast, 1);
        let mut reader = open(&file);
        assert_eq!(reader.headers()[0].body[9], 0xff);
        assert_eq!(rest(&mut reader)[0].body[5..], [0, 0, 0, 3, 0x65, 1, 2, 0, 0, 0, 1, 6], "{len_len}");
    }
}

#[test]
fn pictures_that_refer_to_what_was_before_a_seek_are_left_out() {
    let mut track = h264(0, 1);
    track.entries = vec![video_entry(b"hvc1", 640, 360, &mp4_box(b"hvcC", &[3; 23]))];
    // IDR, two others; CRA, RASL twice, another; CRA, RASL, RADL.
    for kind in [19u8, 1, 1, 21, 8, 9, 1, 21, 9, 7] {
        let data = [&[0, 0, 0, 1, 0x46, 0, 0, 0, 2][..], &[kind << 1, 1]].concat();
        let is_sync = kind > 15;
        track.samples.push(TestSample { data, delta: 512, composition: 0, is_sync, entry: 1 });
    }
    let file = film(&[track], Layout::MoovFirst, 4);
    let mut reader = open(&file);
    let times = |tags: Vec<Tag>| tags.iter().map(|tag| tag.timestamp.0 / 40).collect::<Vec<_>>();
    assert_eq!(times(rest(&mut reader)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    reader.seek(Timestamp(200)).unwrap();
    assert_eq!(times(rest(&mut reader)), [3, 6, 7, 8, 9]);
    reader.seek(Timestamp(1000)).unwrap();
    assert_eq!(times(rest(&mut reader)), [7, 9]);
    reader.seek(Timestamp(0)).unwrap();
    assert_eq!(times(rest(&mut reader)).len(), 10);
}

#[test]
fn samples_of_one_byte_are_gathered() {
    let entries = vec![audio_entry(b"alaw", 0, 1, 8000, &[])];
    let mut track = TestTrack { entries, timescale: 8000, samples: vec![], ..aac(0) };
    let sample = TestSample { data: vec![5], delta: 1, composition: 0, is_sync: true, entry: 1 };
    track.samples = vec![sample; 3000];
    let stsz = |file: &mut Vec<u8>| {
        let at = file.windows(4).position(|name| name == b"stsz").expect("a table of sizes");
        file[at + 8..at + 12].copy_from_slice(&[0, 0, 0, 1]);
    };
    let mut file = film(&[track], Layout::MoovLast, 2500);
    stsz(&mut file);
    let tags = rest(&mut open(&file));
    assert_eq!(tags.iter().map(|tag| tag.body.len() - 1).collect::<Vec<_>>(), [1024, 1024, 452, 500]);
    assert_eq!(tags.iter().map(|tag| tag.timestamp.0).collect::<Vec<_>>(), [0, 128, 256, 313]);
}

#[test]
fn a_file_that_grows_goes_on() {
    let tracks = two_seconds();
    let whole = fragmented(&tracks, Style::Modern, 10);
    let expected = rest(&mut open(&whole));
    let moov_end = whole.windows(4).position(|name| name == b"moof").expect("a fragment") - 4;
    let file = Growing(RefCell::new(whole[..moov_end].to_vec()));
    let mut reader = Mp4Reader::open(&file).expect("a header is enough");
    assert_eq!(reader.headers().len(), 2);
    let mut tags = vec![];
    for end in (moov_end..whole.len()).step_by(61).chain([whole.len()]) {
        *file.0.borrow_mut() = whole[..end].to_vec();
        while let Some(tag) = reader.next().expect("no damage") {
            tags.push(tag);
        }
    }
    // Where the file ended between the two tracks' data, one of them is ahead.
    let sorted = |kind| move |tag: &&Tag| tag.kind == kind;
    for kind in [V, A] {
        let (got, all): (Vec<_>, Vec<_>) =
            (tags.iter().filter(sorted(kind)).collect(), expected.iter().filter(sorted(kind)).collect());
        assert_eq!(got, all);
    }
    assert_eq!(reader.seek(Timestamp(1700)), Ok(Timestamp(1600)), "what has come since can be sought");
    assert!(rest(&mut reader).iter().eq(expected.iter().filter(|tag| tag.timestamp.0 >= 1600)));
    let mut reader = Mp4Reader::open(&file).expect("a whole file");
    *file.0.borrow_mut() = whole[..moov_end].to_vec();
    let mut early = Mp4Reader::open(&file).expect("a header is enough");
    *file.0.borrow_mut() = whole;
    for reader in [&mut reader, &mut early] {
        assert_eq!(reader.seek(Timestamp(900)), Ok(Timestamp(800)), "nothing has been read before");
        assert!(rest(reader).iter().eq(expected.iter().filter(|tag| tag.timestamp.0 >= 800)));
    }
}

/// `mfra` with a `tfra` for track 1.
fn random_access(entries: &[(u32, u32)]) -> Vec<u8> {
    let rows = entries.iter().flat_map(|(time, offset)| [&words([*time, *offset])[..], &[1, 1, 1]].concat());
    let body = [words([1, 0, entries.len() as u32]), rows.collect()].concat();
    let tfra = full_box(b"tfra", 0, 0, &body);
    let len = tfra.len() as u32 + 24;
    mp4_box(b"mfra", &[tfra, full_box(b"mfro", 0, 0, &words([len]))].concat())
}

/// Where fragments begin.
fn fragments_of(file: &[u8]) -> Vec<u32> {
    let moof = |at: &usize| file[at + 4..].starts_with(b"moof");
    (0..file.len() - 8).filter(moof).map(|at| at as u32).collect()
}

#[test]
fn an_index_is_used_and_one_that_lies_does_no_harm() {
    let tracks = two_seconds();
    let plain = fragmented(&tracks, Style::Modern, 10);
    let all = rest(&mut open(&plain));
    let at = fragments_of(&plain);
    let good: Vec<_> = at.iter().zip(0..).map(|(at, index)| (index * 5120, *at)).collect();
    let lies: [Vec<(u32, u32)>; 7] = [
        good.clone(),
        good.iter().map(|(time, at)| (time + 1024, *at)).collect(),
        good.iter().map(|(time, at)| (25_000 - time, *at)).collect(),
        at.iter().map(|at| (0, *at)).collect(),
        at.iter().map(|at| (u32::MAX, *at)).collect(),
        good.iter().map(|(time, _)| (*time, at[4])).collect(),
        good.iter().map(|(time, at)| (*time, at + 1)).collect(),
    ];
    for (number, entries) in lies.iter().enumerate() {
        let file = [plain.clone(), random_access(entries)].concat();
        let mut reader = open(&file);
        same(&rest(&mut reader), &all, &format!("index {number}"));
        for target in (0..2000).step_by(130) {
            let key = target / 400 * 400;
            assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(key)), "index {number}, to {target}");
            let expected: Vec<_> = all.iter().filter(|tag| tag.timestamp.0 >= key).cloned().collect();
            same(&rest(&mut reader), &expected, &format!("index {number}, to {target}"));
        }
    }
    let file = [plain.clone(), random_access(&good[..3])].concat();
    assert_eq!(open(&file).info().keyframes.len(), 3, "the index is believed rather than the file walked");
}

/// Three hours in fragments of 2 s, 2 MB apart.
#[test]
fn a_large_fragmented_file_with_an_index_is_not_walked() {
    const COUNT: u32 = 5400;
    const APART: u64 = 2 << 20;
    let film = fragmented(&[h264(50, 50)], Style::Modern, 50);
    let at = fragments_of(&film)[0] as usize;
    let (head, fragment) = film.split_at(at);
    let time_at = fragment.windows(4).position(|name| name == b"tfdt").expect("a time") + 12;
    let moof_len = u32::from_be_bytes(fragment[..4].try_into().expect("a length")) as usize;
    let data_len = fragment.len() - moof_len;
    let mut parts = vec![(0, head.to_vec())];
    for index in 0..u64::from(COUNT) {
        let mut fragment = fragment.to_vec();
        fragment[time_at..time_at + 4].copy_from_slice(&(index as u32 * 25_600).to_be_bytes());
        fragment.extend(words([(APART as usize - moof_len - data_len) as u32]));
        fragment.extend(b"free");
        parts.push((at as u64 + index * APART, fragment));
    }
    let end = at as u64 + u64::from(COUNT) * APART;
    let rows = (0..u64::from(COUNT)).flat_map(|index| {
        let offset = at as u64 + index * APART;
        [words([0, index as u32 * 25_600, (offset >> 32) as u32, offset as u32]), vec![1, 1, 1]].concat()
    });
    let tfra = full_box(b"tfra", 1, 0, &[words([1, 0, COUNT]), rows.collect()].concat());
    let len = tfra.len() as u32 + 24;
    let mfra = mp4_box(b"mfra", &[tfra, full_box(b"mfro", 0, 0, &words([len]))].concat());
    let size = end + mfra.len() as u64;
    parts.push((end, mfra));
    let file = Counting { parts: &parts, size, bytes: Cell::new(0), calls: Cell::new(0) };
    let mut reader = Mp4Reader::open(&file).expect("a good file");
    let (bytes, calls) = (file.bytes.take(), file.calls.take());
    assert!(bytes < 256 << 10 && calls < 500, "{bytes} bytes in {calls} calls");
    assert_eq!((reader.info().duration, reader.info().keyframes.len()), (COUNT * 2000, COUNT as usize));
    for target in (0..COUNT * 2000).step_by(1_234_567) {
        assert_eq!(reader.seek(Timestamp(target)), Ok(Timestamp(target / 2000 * 2000)));
    }
    let (bytes, calls) = (file.bytes.take(), file.calls.take());
    assert!(bytes < 256 << 10 && calls < 1500, "seeks: {bytes} bytes in {calls} calls");
}

#[test]
fn a_file_that_breaks_off_plays_up_to_there() {
    let tracks = [h264(10, 5), aac(15)];
    let files = [
        film(&tracks, Layout::MoovFirst, 2),
        fragmented(&tracks, Style::Modern, 3),
        fragmented(&tracks, Style::Old, 5),
        fragmented(&tracks, Style::Apart, 5),
    ];
    for (number, file) in files.iter().enumerate() {
        let all = rest(&mut open(file));
        let mut most = 0;
        for end in 0..file.len() {
            let Ok(mut reader) = Mp4Reader::open(&file[..end]) else {
                assert_eq!(most, 0, "file {number} cannot be opened any more with {end} bytes");
                continue;
            };
            let tags = rest(&mut reader);
            for kind in [V, A] {
                let of_kind =
                    |tags: &[Tag]| tags.iter().filter(|tag| tag.kind == kind).cloned().collect::<Vec<_>>();
                assert!(of_kind(&all).starts_with(&of_kind(&tags)), "file {number}, {end} bytes");
            }
            most = most.max(tags.len());
            let _ = reader.seek(Timestamp(u32::MAX));
        }
        // What is decoded behind the first missing frame goes with it.
        assert!(most + 3 >= all.len(), "file {number}: {most} of {} tags", all.len());
    }
}

#[test]
fn a_frame_that_ends_behind_the_file_is_its_end() {
    let mut file = film(&[h264(6, 3)], Layout::MoovLast, 2);
    let sizes = file.windows(4).position(|name| name == b"stsz").expect("a table of sizes") + 16;
    file[sizes + 12..sizes + 16].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    let mut reader = open(&file);
    assert_eq!(rest(&mut reader).len(), 3);
    assert_eq!(reader.next(), Ok(None), "also when it is asked again");
}

#[test]
fn a_frame_too_long_for_a_tag_is_passed_over_with_an_error() {
    let mut track = h264(4, 2);
    track.samples[1].data = vec![0; MAX_FRAME as usize + 1];
    let file = film(&[track], Layout::MoovFirst, 2);
    let mut reader = open(&file);
    assert!(reader.next().is_ok_and(|tag| tag.is_some()));
    assert_eq!(reader.next(), Err(MediaError::TooLarge("a frame")));
    assert_eq!(brief(&rest(&mut reader)), [(V, 80, 0, 2), (V, 120, 0, 3)]);
}

#[test]
fn any_field_may_lie() {
    let tracks = [h264(6, 3), aac(6)];
    let files = [
        film(&tracks, Layout::MoovLast, 2),
        fragmented(&tracks, Style::Modern, 3),
        fragmented(&tracks, Style::Old, 3),
    ];
    for file in files {
        for at in (0..file.len() - 4).step_by(3) {
            for lie in [[0; 4], [0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0, 0, 0, 9]] {
                let mut lying = file.clone();
                lying[at..at + 4].copy_from_slice(&lie);
                crate::mp4::fuzz::fuzz(&lying);
            }
        }
    }
}

#[test]
fn what_cannot_be_played_is_refused_with_the_reason() {
    let refusal = |file: &[u8]| Mp4Reader::open(file).err();
    let mut track = h264(3, 3);
    track.timescale = 0;
    let error = refusal(&film(&[track], Layout::MoovFirst, 1));
    assert!(matches!(error, Some(MediaError::Malformed { what: "a timescale of 0", .. })), "{error:?}");
    let mut track = h264(3, 3);
    track.entries = vec![video_entry(b"encv", 1, 1, &[])];
    let encrypted = film(&[track.clone(), aac(3)], Layout::MoovFirst, 1);
    assert_eq!(refusal(&encrypted), Some(MediaError::Unsupported("it is encrypted")));
    track.entries = vec![video_entry(b"mp4v", 1, 1, &[])];
    let unknown = film(&[track.clone()], Layout::MoovFirst, 1);
    assert_eq!(refusal(&unknown), Some(MediaError::Unsupported("no track in it can be played")));
    assert!(matches!(refusal(&mp4_box(b"mdat", &[0; 64])), Some(MediaError::Malformed { .. })));
    assert!(matches!(refusal(b"FLV\x01\x05\0\0\0\x09\0\0\0\0"), Some(MediaError::Malformed { .. })));
    let audio_alone = film(&[track, aac(3)], Layout::MoovFirst, 1);
    assert_eq!(open(&audio_alone).info().video, None);
}

#[test]
fn the_first_enabled_track_is_played() {
    let (mut first, mut second) = (h264(3, 3), h264(3, 1));
    (first.is_enabled, second.id) = (false, 3);
    let file = film(&[first.clone(), second.clone()], Layout::MoovFirst, 1);
    assert_eq!(open(&file).info().keyframes.len(), 3);
    second.is_enabled = false;
    let file = film(&[first, second], Layout::MoovFirst, 1);
    assert_eq!(open(&file).info().keyframes.len(), 1, "none is enabled: the first one");
}

/// Ten gigabytes, two million samples, the header at the end.
#[test]
fn a_large_file_is_opened_by_reading_little_of_it() {
    const SIZE: u64 = 10 << 30;
    const SAMPLES: u32 = 1_000_000;
    const PER_CHUNK: u32 = 20;
    let part = |template: TestTrack, timing: Vec<u8>, offset: u64| {
        let chunks = SAMPLES / PER_CHUNK;
        let offsets: Vec<_> = (0..u64::from(chunks))
            .map(|chunk| {
                let at = chunk * 200_000 + offset;
                [(at >> 32) as u32, at as u32]
            })
            .collect();
        let stbl = [
            full_box(b"stsd", 0, 0, &[words([1]), template.entries.concat()].concat()),
            timing,
            full_box(b"stsz", 0, 0, &words([0, SAMPLES].into_iter().chain((0..SAMPLES).map(|_| 4000)))),
            table(b"stsc", 0, &[[1, PER_CHUNK, 1]]),
            table(b"co64", 0, &offsets),
        ]
        .concat();
        trak(&template, &stbl)
    };
    let keyframes: Vec<_> = (0..SAMPLES / 50).map(|index| [index * 50 + 1]).collect();
    let compositions: Vec<_> = (0..SAMPLES).map(|index| [1, index % 3 * 512]).collect();
    let video_times = [
        table(b"stts", 0, &[[SAMPLES, 512]]),
        table(b"ctts", 0, &compositions),
        table(b"stss", 0, &keyframes),
    ]
    .concat();
    let mvhd = full_box(b"mvhd", 0, 0, &[words([0, 0, 1000, 0]), vec![0; 80]].concat());
    let video = part(h264(0, 1), video_times, 4096);
    let audio = part(aac(0), table(b"stts", 0, &[[SAMPLES, 1024]]), 104_096);
    let moov = mp4_box(b"moov", &[mvhd, video, audio].concat());
    let mdat = SIZE - moov.len() as u64;
    let head = [&words([1])[..], b"mdat", &mdat.to_be_bytes()].concat();
    let parts = [(0, head), (mdat, moov)];
    let file = Counting { parts: &parts, size: SIZE, bytes: Cell::new(0), calls: Cell::new(0) };
    let mut reader = Mp4Reader::open(&file).expect("a good file");
    let used = |what: &str, most_bytes: u64, most_calls: u64| {
        let (bytes, calls) = (file.bytes.take(), file.calls.take());
        assert!(bytes <= most_bytes && calls <= most_calls, "{what}: {bytes} bytes in {calls} calls");
    };
    // All of the keyframes and offsets of chunks, a row of sizes for some thousand keyframes.
    used("open", 2 << 20, 10_000);
    assert_eq!(reader.info().duration, 40_000_000);
    assert!((MAX_KEYFRAMES / 2..=MAX_KEYFRAMES).contains(&reader.info().keyframes.len()));
    for _ in 0..1000 {
        assert!(reader.next().expect("no damage").is_some());
    }
    used("a thousand frames", 5 << 20, 200);
    // Once through the table of composition times.
    assert_eq!(reader.seek(Timestamp(39_999_000)), Ok(Timestamp(39_998_000)));
    used("the first seek", 9 << 20, 2500);
    for target in (0..40_000_000).step_by(4_321_000) {
        let found = reader.seek(Timestamp(target)).expect("a place");
        // A keyframe is shown up to 80 ms after it is decoded.
        assert!(target - found.0 < 2080, "{target}: {found}");
    }
    used("ten seeks", 10 * (32 << 10), 500);
}

#[test]
fn errors_name_their_place() {
    let mut file = film(&[h264(3, 3)], Layout::MoovFirst, 1);
    let at = file.windows(4).position(|name| name == b"stco" || name == b"co64").expect("a table");
    file[at + 8..at + 12].copy_from_slice(&[0xff; 4]);
    let error = Mp4Reader::open(&*file).err();
    let expected = MediaError::Malformed { what: "a table longer than its box", offset: at as u64 - 4 };
    assert_eq!(error, Some(expected.clone()));
    assert_eq!(format!("{expected}"), format!("a table longer than its box at byte {}", at - 4));
}
