//! Files built by hand, for tests: boxes, sample entries, whole files from a list of samples.

use alloc::{vec, vec::Vec};

/// A box.
pub(crate) fn mp4_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

/// A box with version and flags.
pub(crate) fn full_box(kind: &[u8; 4], version: u8, flags: u32, body: &[u8]) -> Vec<u8> {
    let head = u32::from(version) << 24 | flags;
    mp4_box(kind, &[&head.to_be_bytes()[..], body].concat())
}

/// Big-endian numbers, one after the other.
pub(crate) fn words(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_be_bytes).collect()
}

/// A table: count, then rows of numbers.
pub(crate) fn table<const N: usize>(kind: &[u8; 4], version: u8, rows: &[[u32; N]]) -> Vec<u8> {
    let body = [words([rows.len() as u32]), words(rows.iter().flatten().copied())].concat();
    full_box(kind, version, 0, &body)
}

/// A video sample entry around its child boxes.
pub(crate) fn video_entry(kind: &[u8; 4], width: u16, height: u16, children: &[u8]) -> Vec<u8> {
    let mut body = vec![0; 78];
    body[24..26].copy_from_slice(&width.to_be_bytes());
    body[26..28].copy_from_slice(&height.to_be_bytes());
    body.extend_from_slice(children);
    mp4_box(kind, &body)
}

/// An audio sample entry around what follows its fixed fields.
pub(crate) fn audio_entry(kind: &[u8; 4], version: u8, channels: u16, rate: u16, rest: &[u8]) -> Vec<u8> {
    let mut body = vec![0; 28];
    body[9] = version;
    body[16..18].copy_from_slice(&channels.to_be_bytes());
    body[24..26].copy_from_slice(&rate.to_be_bytes());
    body.extend_from_slice(rest);
    mp4_box(kind, &body)
}

/// A track of a film.
#[derive(Clone)]
pub(crate) struct TestTrack {
    pub(crate) id: u32,
    pub(crate) handler: [u8; 4],
    pub(crate) timescale: u32,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) samples: Vec<TestSample>,
    /// Duration in the movie's timescale of 1000, media time.
    pub(crate) edits: Vec<(u32, i32)>,
    pub(crate) is_enabled: bool,
}

/// One sample of it.
#[derive(Clone)]
pub(crate) struct TestSample {
    pub(crate) data: Vec<u8>,
    pub(crate) delta: u32,
    pub(crate) composition: i32,
    pub(crate) is_sync: bool,
    /// From 1 on.
    pub(crate) entry: u32,
}

/// `count` frames of H.264 at 25 a second, a keyframe each `gop`.
pub(crate) fn h264(count: usize, gop: usize) -> TestTrack {
    let record = [1, 66, 0, 30, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68];
    let entries = vec![video_entry(b"avc1", 640, 360, &mp4_box(b"avcC", &record))];
    let frame = |index: usize| TestSample {
        data: [&[0, 0, 0, 5, 0x65, 0][..], &(index as u32).to_be_bytes()[1..]].concat(),
        delta: 512,
        composition: 0,
        is_sync: index % gop == 0,
        entry: 1,
    };
    let samples = (0..count).map(frame).collect();
    TestTrack {
        id: 1,
        handler: *b"vide",
        timescale: 12_800,
        entries,
        samples,
        edits: vec![],
        is_enabled: true,
    }
}

/// `count` frames of AAC at 48 kHz.
pub(crate) fn aac(count: usize) -> TestTrack {
    let config = [3, 22, 0, 2, 0, 4, 17, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2, 0x11, 0x90];
    let entries = vec![audio_entry(b"mp4a", 0, 2, 48_000, &full_box(b"esds", 0, 0, &config))];
    let frame = |index: usize| TestSample {
        data: [&[0xaa; 20][..], &(index as u32).to_be_bytes()].concat(),
        delta: 1024,
        composition: 0,
        is_sync: true,
        entry: 1,
    };
    let samples = (0..count).map(frame).collect();
    TestTrack {
        id: 2,
        handler: *b"soun",
        timescale: 48_000,
        entries,
        samples,
        edits: vec![],
        is_enabled: true,
    }
}

/// A chunk: where it is, its first sample, how many.
type Chunk = (u64, usize, usize);

/// How a film is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    MoovFirst,
    MoovLast,
}

/// A film with sample tables, its chunks of `per_chunk` samples in turns.
pub(crate) fn film(tracks: &[TestTrack], layout: Layout, per_chunk: usize) -> Vec<u8> {
    let head = mp4_box(b"ftyp", b"isom\0\0\0\0");
    let (mut data, mut chunks) = (Vec::new(), vec![Vec::<Chunk>::new(); tracks.len()]);
    let mut taken = vec![0; tracks.len()];
    while tracks.iter().zip(&taken).any(|(track, taken)| *taken < track.samples.len()) {
        for (index, track) in tracks.iter().enumerate() {
            let rest = &track.samples[taken[index]..];
            let alike = rest.iter().take_while(|sample| sample.entry == rest[0].entry).count().min(per_chunk);
            if alike > 0 {
                chunks[index].push((data.len() as u64, taken[index], alike));
                rest[..alike].iter().for_each(|sample| data.extend_from_slice(&sample.data));
                taken[index] += alike;
            }
        }
    }
    let moov = |start: u64| {
        let mut body = movie_header();
        for (track, chunks) in tracks.iter().zip(&chunks) {
            body.extend(trak(track, &tables(track, chunks, start)));
        }
        mp4_box(b"moov", &body)
    };
    let mdat = mp4_box(b"mdat", &data);
    match layout {
        Layout::MoovLast => [&head[..], &mdat, &moov(head.len() as u64 + 8)].concat(),
        Layout::MoovFirst => {
            let start = head.len() + moov(0).len() + 8;
            [&head[..], &moov(start as u64), &mdat].concat()
        }
    }
}

/// How fragments say where their samples are, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// default-base-is-moof, `tfdt`, all fields in each row.
    Modern,
    /// Each track's data behind that of the one before, no `tfdt`, two runs.
    Old,
    /// A base offset, and a fragment for each track.
    Apart,
}

/// Samples of a track, by its place in the list.
pub(crate) type Part = (usize, core::ops::Range<usize>);

/// A fragmented film, `per_fragment` frames of the first track in each.
pub(crate) fn fragmented(tracks: &[TestTrack], style: Style, per_fragment: usize) -> Vec<u8> {
    let count = tracks[0].samples.len().div_ceil(per_fragment);
    let mut plan = Vec::new();
    for index in 0..count {
        let parts = tracks.iter().enumerate().map(|(number, track)| {
            let share = track.samples.len().div_ceil(count);
            let end = |index: usize| (share * index).min(track.samples.len());
            (number, end(index)..end(index + 1))
        });
        match style {
            Style::Apart => plan.extend(parts.map(|part| vec![part])),
            _ => plan.push(parts.collect()),
        }
    }
    fragmented_by(tracks, style, &plan)
}

/// A film of these fragments.
pub(crate) fn fragmented_by(tracks: &[TestTrack], style: Style, plan: &[Vec<Part>]) -> Vec<u8> {
    let mut file = mp4_box(b"ftyp", b"iso5\0\0\0\0");
    let mut body = movie_header();
    for track in tracks {
        body.extend(trak(track, &tables(track, &[], 0)));
    }
    let trex = tracks.iter().flat_map(|track| full_box(b"trex", 0, 0, &words([track.id, 1, 0, 0, 0])));
    body.extend(mp4_box(b"mvex", &trex.collect::<Vec<_>>()));
    file.extend(mp4_box(b"moov", &body));
    for parts in plan {
        let parts: Vec<_> = parts.iter().map(|(number, range)| (&tracks[*number], range.clone())).collect();
        file = fragment(file, &parts, style);
    }
    file
}

fn fragment(mut file: Vec<u8>, parts: &[(&TestTrack, core::ops::Range<usize>)], style: Style) -> Vec<u8> {
    let start = file.len();
    // Twice, since offsets depend on the length.
    let moof = |moof_len: usize| {
        let mut data_at = moof_len + 8;
        let mut body = full_box(b"mfhd", 0, 0, &words([1]));
        for (track, range) in parts {
            let samples = &track.samples[range.clone()];
            let time: u32 = track.samples[..range.start].iter().map(|sample| sample.delta).sum();
            let tfhd = match style {
                Style::Modern => full_box(b"tfhd", 0, 0x2_0000, &words([track.id])),
                Style::Old => full_box(b"tfhd", 0, 0, &words([track.id])),
                Style::Apart => full_box(b"tfhd", 0, 1, &words([track.id, 0, (start + data_at) as u32])),
            };
            let mut traf = tfhd;
            if style != Style::Old {
                traf.extend(full_box(b"tfdt", 1, 0, &words([0, time])));
            }
            let runs = if style == Style::Old { 2 } else { 1 };
            for (number, run) in samples.chunks(samples.len().div_ceil(runs).max(1)).enumerate() {
                let rows = run.iter().flat_map(|sample| {
                    let flags = if sample.is_sync { 0 } else { 0x1_0000 };
                    words([sample.delta, sample.data.len() as u32, flags, sample.composition as u32])
                });
                let mut head = words([run.len() as u32]);
                // The first track of an old one says where its data begins; all else follows.
                let is_told =
                    style == Style::Modern || (data_at == moof_len + 8 && number == 0 && style == Style::Old);
                if is_told {
                    head.extend(words([data_at as u32]));
                }
                head.extend(rows);
                traf.extend(full_box(b"trun", 1, 0xf00 | u32::from(is_told), &head));
            }
            data_at += samples.iter().map(|sample| sample.data.len()).sum::<usize>();
            body.extend(mp4_box(b"traf", &traf));
        }
        mp4_box(b"moof", &body)
    };
    let moof_len = moof(0).len();
    let data = parts.iter().flat_map(|(track, range)| &track.samples[range.clone()]);
    let data: Vec<u8> = data.flat_map(|sample| sample.data.clone()).collect();
    file.extend(moof(moof_len));
    file.extend(mp4_box(b"mdat", &data));
    file
}

fn movie_header() -> Vec<u8> {
    full_box(b"mvhd", 0, 0, &[words([0, 0, 1000, 0]), vec![0; 80]].concat())
}

/// A `trak` around its `stbl`.
pub(crate) fn trak(track: &TestTrack, stbl: &[u8]) -> Vec<u8> {
    let tkhd =
        full_box(b"tkhd", 0, u32::from(track.is_enabled), &[words([0, 0, track.id]), vec![0; 68]].concat());
    let mut edits = Vec::new();
    if !track.edits.is_empty() {
        let rows: Vec<_> =
            track.edits.iter().map(|(duration, time)| [*duration, *time as u32, 0x1_0000]).collect();
        edits = mp4_box(b"edts", &table(b"elst", 0, &rows));
    }
    let duration = track.samples.iter().map(|sample| sample.delta).sum();
    let mdhd = full_box(b"mdhd", 0, 0, &words([0, 0, track.timescale, duration, 0]));
    let handler = |kind: &[u8; 4]| full_box(b"hdlr", 0, 0, &[&[0; 4][..], kind, &[0; 13]].concat());
    // The second one is QuickTime's.
    let minf = mp4_box(b"minf", &[handler(b"url "), mp4_box(b"stbl", stbl)].concat());
    let mdia = mp4_box(b"mdia", &[mdhd, handler(&track.handler), minf].concat());
    mp4_box(b"trak", &[tkhd, edits, mdia].concat())
}

fn tables(track: &TestTrack, chunks: &[Chunk], start: u64) -> Vec<u8> {
    let samples = if chunks.is_empty() { &[][..] } else { &track.samples };
    let stsd = [words([track.entries.len() as u32]), track.entries.concat()].concat();
    let times: Vec<_> = samples.iter().map(|sample| [1, sample.delta]).collect();
    let compositions: Vec<_> = samples.iter().map(|sample| [1, sample.composition as u32]).collect();
    let syncs = samples.iter().enumerate().filter(|(_, sample)| sample.is_sync);
    let syncs: Vec<_> = syncs.map(|(index, _)| [index as u32 + 1]).collect();
    let sizes: Vec<u32> = samples.iter().map(|sample| sample.data.len() as u32).collect();
    let chunk_rows = chunks.iter().enumerate();
    let chunk_rows: Vec<_> = chunk_rows
        .map(|(index, (_, first, count))| [index as u32 + 1, *count as u32, samples[*first].entry])
        .collect();
    let offsets: Vec<_> = chunks.iter().map(|(at, _, _)| [0, (start + at) as u32]).collect();
    let mut stbl = [
        full_box(b"stsd", 0, 0, &stsd),
        table(b"stts", 0, &times),
        table(b"ctts", 0, &compositions),
        full_box(b"stsz", 0, 0, &[words([0, sizes.len() as u32]), words(sizes)].concat()),
        table(b"stsc", 0, &chunk_rows),
        table(b"co64", 0, &offsets),
    ]
    .concat();
    if syncs.len() < samples.len() {
        stbl.extend(table(b"stss", 0, &syncs));
    }
    stbl
}
