//! Files that were left unfinished, because the program was killed or the machine lost power: their torn ends are cut off, and
//! then they are finished as at a clean end.
//!
//! FLV is walked backwards from the end, where only the last write can be torn, and from the start if that finds nothing;
//! MP4 from box to box (`mp4::repair`). From then on a file can be played, and its marker stays until it is finished, so that
//! a loss of power in between costs nothing. Finishing reads what is in a file, which takes a while: FLV gets what its tags
//! say (`flv::growing`), MP4 its index (`mp4::writer`). It stops where somebody waits for these files.
//! Bounds: [`BLOCK`] bytes of memory, and per file 64 MiB of reading ([`WINDOW`]) or the headers of what is in it; the
//! index of an MP4 file, and [`MAX_TAGS`] of FLV.

use super::{disk::Marker, mp4::conclude};
use crate::{
    base::wire::Cursor,
    flv::{
        Growing,
        growing::Corrections,
        writer::{HEADER_LEN, TAG_HEADER_LEN},
    },
    media::{MediaError, ReadAt, flv::Scan},
    mp4,
};
use alloc::{string::String, vec, vec::Vec};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Component, Path},
};

/// How far from the end of a file the last whole tag can be: after a loss of power, behind a hole of zeros.
const WINDOW: u64 = 64 << 20;
/// Bytes that are read at once.
const BLOCK: usize = 64 << 10;
/// Tags that have to stand behind one another so that one is believed.
const CHAIN: u32 = 4;
/// Tags at the end among which the newest time is looked for.
const LAST_TAGS: u32 = 16;
/// Tags of a file that are looked at for its index: half a day.
const MAX_TAGS: u32 = 3_000_000;

/// What somebody wants of a repair that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing.
    GoOn,
    /// The files: that they can be played is enough.
    Hurry,
    /// The end: the rest is for the next start.
    Stop,
}

/// Repairs whatever was left unfinished below `root`.
pub(super) fn all(root: &Path, wish: impl Fn() -> Wish) {
    let mut cut = Vec::new();
    for (marker, name) in Marker::abandoned(root) {
        if wish() == Wish::Stop {
            return;
        }
        let is_inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        let path = root.join(&name);
        if !is_inside || !path.is_file() {
            marker.remove();
            continue;
        }
        match cut_torn_end(&path) {
            Ok(Cut { bytes, rest }) => {
                match bytes {
                    0 => log::info!("{name} was left unfinished: repaired"),
                    bytes => log::info!("{name} was left unfinished: repaired, {bytes} bytes cut off"),
                }
                match rest {
                    Some(rest) => cut.push((marker, name, rest)),
                    None => marker.remove(),
                }
            }
            Err(error) => {
                log::warn!("{name} was left unfinished and cannot be repaired: {}", plain(&error));
                marker.remove();
            }
        }
    }
    for (marker, name, rest) in cut {
        let finish = |file: &File| match &rest {
            Unfinished::Flv(tail) => describe(file, tail, &wish),
            Unfinished::Mp4 => finish_mp4(file, &wish),
        };
        let result = match wish() {
            Wish::GoOn => open(&root.join(&name)).and_then(|file| finish(&file)),
            Wish::Hurry | Wish::Stop => Ok(false),
        };
        match result {
            // It is as it was.
            _ if wish() == Wish::Stop => return,
            Ok(true) => log::info!("{name} has its index now"),
            Ok(false) => log::info!("{name} stays without an index"),
            Err(error) => log::warn!("{name} stays without an index: {}", plain(&error)),
        }
        marker.remove();
    }
}

fn plain(error: &io::Error) -> String {
    crate::server::plain(error)
}

/// What became of a file.
struct Cut {
    /// So many went.
    bytes: u64,
    /// What is to be done yet; `None` if nothing is left of it.
    rest: Option<Unfinished>,
}

/// A file that can be played.
enum Unfinished {
    Flv(Tail),
    Mp4,
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Cuts the torn end of a file off.
fn cut_torn_end(path: &Path) -> io::Result<Cut> {
    let file = open(path)?;
    let size = file.size().map_err(io::Error::other)?;
    let is_flv = path.extension().is_some_and(|extension| extension == "flv");
    let sound = match is_flv {
        true => flv_tail(&file).map(|tail| (tail.len, Some(tail))),
        false => mp4::repair::sound_len(&file).map(|len| (len, None)),
    };
    let (len, tail) = match sound {
        Ok(sound) => sound,
        // It was killed before its first frame.
        Err(MediaError::Malformed { .. }) if size < BLOCK as u64 || !is_flv && has_no_head(&file)? => {
            fs::remove_file(path)?;
            return Ok(Cut { bytes: size, rest: None });
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    file.set_len(len)?;
    file.sync_all()?;
    let rest = tail.map_or(Unfinished::Mp4, Unfinished::Flv);
    Ok(Cut { bytes: size - len, rest: Some(rest) })
}

/// The first write of an MP4 file did not come to its end: `write_boxes` writes the head last.
fn has_no_head(file: &File) -> io::Result<bool> {
    let mut head = [0; 8];
    let read = ReadAt::read_at(file, 0, &mut head).map_err(io::Error::other)?;
    Ok(head[..read].iter().all(|byte| *byte == 0))
}

/// Says at the start of an FLV file how long it is and where its keyframes are; false if somebody is in a hurry.
fn describe(file: &File, tail: &Tail, wish: &impl Fn() -> Wish) -> io::Result<bool> {
    let mut growing = growing(file, tail).map_err(io::Error::other)?;
    let mut scan = Scan::new(file, HEADER_LEN as u64).map_err(io::Error::other)?;
    for _ in 0..MAX_TAGS {
        if wish() != Wish::GoOn {
            return Ok(false);
        }
        let Some(head) = scan.next().map_err(io::Error::other)? else { break };
        growing.learn(head.kind, head.role, head.timestamp, head.offset);
    }
    // Of a file with more tags than that.
    growing.lasts_to(tail.last);
    let Corrections { flags: (at, flags), metadata } = growing.corrections(tail.len);
    file.write_all_at(&flags, at)?;
    if let Some((at, body)) = &metadata {
        file.write_all_at(body, *at)?;
    }
    file.sync_all()?;
    Ok(metadata.is_some())
}

/// Makes an ordinary file of a fragmented one; false if it is one, or somebody is in a hurry.
fn finish_mp4(file: &File, wish: &impl Fn() -> Wish) -> io::Result<bool> {
    let index = mp4::writer::index_of_file(file, || wish() != Wish::GoOn).map_err(io::Error::other)?;
    let Some(index) = index else { return Ok(false) };
    let len = file.size().map_err(io::Error::other)?;
    conclude(file, len, &index).map(|()| true)
}

// ---- FLV

/// The end of the last whole tag of an FLV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Bytes that are sound.
    pub(super) len: u64,
    /// The newest time among the last tags, in milliseconds.
    pub(super) last: u32,
    /// Of the header: 4 for audio, 1 for video.
    pub(super) flags: u8,
}

/// A tag as its header describes it.
#[derive(Clone, Copy, Debug)]
struct Found {
    start: u64,
    /// Behind its PreviousTagSize.
    end: u64,
    time: u32,
}

/// Finds the end of the last whole tag.
pub(super) fn flv_tail(file: &dyn ReadAt) -> Result<Tail, MediaError> {
    let size = file.size()?;
    let mut head = [0; HEADER_LEN];
    let is_flv = file.read_at(0, &mut head)? == HEADER_LEN && head.starts_with(b"FLV");
    if !is_flv || head[5..9] != [0, 0, 0, 9] {
        return Err(MediaError::Malformed { what: "not an FLV file of ours", offset: 0 });
    }
    let first = HEADER_LEN as u64;
    let last = match last_before(file, first, size)? {
        Some(found) => Some(found),
        None => last_behind(file, first)?,
    };
    let Some(last) = last else {
        return Err(MediaError::Malformed { what: "an FLV file without a tag", offset: first });
    };
    let (mut newest, mut at) = (last.time, last.start);
    for _ in 0..LAST_TAGS {
        let Some(before) = ending_at(file, first, at)? else { break };
        newest = newest.max(before.time);
        at = before.start;
    }
    Ok(Tail { len: last.end, last: newest, flags: head[4] })
}

/// What is known of a file from its start.
pub(super) fn growing(file: &dyn ReadAt, tail: &Tail) -> Result<Growing, MediaError> {
    let metadata = flv_metadata(file)?;
    Ok(Growing::of_file(tail.flags, metadata.as_deref(), tail.len))
}

/// Body of the metadata that the file begins with.
fn flv_metadata(file: &dyn ReadAt) -> Result<Option<Vec<u8>>, MediaError> {
    /// More is no metadata that anybody made for a file.
    const MAX: u32 = 4 << 20;
    let mut head = [0; TAG_HEADER_LEN];
    let at = HEADER_LEN as u64;
    file.read_at(at, &mut head)?;
    let len = u32::from_be_bytes([0, head[1], head[2], head[3]]);
    if head[0] != 18 || len > MAX {
        return Ok(None);
    }
    let mut body = vec![0; len as usize];
    let read = file.read_at(at + TAG_HEADER_LEN as u64, &mut body)?;
    Ok((read == body.len() && crate::flv::data::name(&body) == Some("onMetaData")).then_some(body))
}

/// Looks for the end of a tag from `size` backwards.
fn last_before(file: &dyn ReadAt, first: u64, size: u64) -> Result<Option<Found>, MediaError> {
    let floor = size.saturating_sub(WINDOW).max(first);
    let mut block = vec![0; BLOCK + 3];
    let mut end = size;
    while end > floor {
        // Places from `start` up to `end` are tried, each of which needs the four bytes before it.
        let start = end.saturating_sub(BLOCK as u64).max(floor);
        let from = start.saturating_sub(3);
        let bytes = &mut block[..(end - from) as usize];
        file.read_at(from, bytes)?;
        for place in (start + 1..=end).rev() {
            let Some(before) = (place - from).checked_sub(4) else { break };
            let before = before as usize;
            let len =
                u32::from_be_bytes([bytes[before], bytes[before + 1], bytes[before + 2], bytes[before + 3]]);
            if !(TAG_HEADER_LEN as u32..MAX_TAG).contains(&len) {
                continue;
            }
            if is_chain(file, first, place)? {
                return ending_at(file, first, place);
            }
        }
        end = start;
    }
    Ok(None)
}

/// Whether tags end at `place`, one behind the other.
fn is_chain(file: &dyn ReadAt, first: u64, mut place: u64) -> Result<bool, MediaError> {
    for _ in 0..CHAIN {
        match ending_at(file, first, place)? {
            Some(found) if found.start == first => return Ok(true),
            Some(found) => place = found.start,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// The tag whose PreviousTagSize ends at `end`.
fn ending_at(file: &dyn ReadAt, first: u64, end: u64) -> Result<Option<Found>, MediaError> {
    let mut size = [0; 4];
    let Some(size_at) = end.checked_sub(4).filter(|at| *at >= first) else { return Ok(None) };
    file.read_at(size_at, &mut size)?;
    let len = u64::from(u32::from_be_bytes(size));
    let Some(start) = size_at.checked_sub(len).filter(|start| *start >= first) else { return Ok(None) };
    Ok(beginning_at(file, start)?.filter(|found| found.end == end))
}

/// The tag whose header is at `start`.
fn beginning_at(file: &dyn ReadAt, start: u64) -> Result<Option<Found>, MediaError> {
    let mut head = [0; TAG_HEADER_LEN];
    if file.read_at(start, &mut head)? < head.len() {
        return Ok(None);
    }
    let mut cursor = Cursor::new(&head);
    let fields = (cursor.u8(), cursor.u24(), cursor.u24(), cursor.u8(), cursor.u24());
    let (Some(8 | 9 | 18), Some(len), Some(low), Some(high), Some(0)) = fields else { return Ok(None) };
    let end = start + TAG_HEADER_LEN as u64 + u64::from(len) + 4;
    Ok(Some(Found { start, end, time: u32::from(high) << 24 | low }))
}

/// Walks from the first tag to the last whole one.
fn last_behind(file: &dyn ReadAt, first: u64) -> Result<Option<Found>, MediaError> {
    let (mut at, mut last) = (first, None);
    while let Some(found) = beginning_at(file, at)? {
        if ending_at(file, first, found.end)?.is_none_or(|same| same.start != at) {
            break;
        }
        at = found.end;
        last = Some(found);
    }
    Ok(last)
}

/// No PreviousTagSize is that large.
const MAX_TAG: u32 = (1 << 24) + TAG_HEADER_LEN as u32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Timestamp,
        flv::{Tag, writer},
        media::{MediaReader, flv::FlvReader, mp4::Mp4Reader},
        mp4::writer::TagWriter,
        server::testing::{audio, inter_frame, keyframe, video, video_header},
    };
    use alloc::format;

    /// A sequence header of H.264 with one parameter set of each kind.
    const AVC: &[u8] = &[
        0x17, 0, 0, 0, 0, 1, 0x64, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 30, 1, 0, 4, 0x68, 0xef, 0xbc,
        0xb0,
    ];

    fn file() -> (Vec<u8>, Vec<usize>) {
        let mut file = writer::header(true, true).to_vec();
        let mut ends = Vec::new();
        let tags =
            [video_header(0, 1), keyframe(0), audio(10), inter_frame(40), audio(33), video(80, vec![0; 300])];
        for tag in tags {
            writer::write_tag(&mut file, &tag).unwrap();
            ends.push(file.len());
        }
        (file, ends)
    }

    #[test]
    fn an_flv_file_cut_anywhere_keeps_its_whole_tags() {
        let (file, ends) = file();
        for len in 0..=file.len() {
            let expected = ends.iter().rev().find(|end| **end <= len).map(|end| *end as u64);
            assert_eq!(flv_tail(&&file[..len]).map(|tail| tail.len).ok(), expected, "{len} bytes");
        }
    }

    #[test]
    fn what_a_loss_of_power_leaves_behind_the_last_tag_goes() {
        let (whole, ends) = file();
        for hole in [1, 4, 15, BLOCK - 1, BLOCK, 3 * BLOCK + 7] {
            let torn = [&whole[..ends[4] + 5], &vec![0; hole]].concat();
            let tail = flv_tail(&&*torn).unwrap();
            assert_eq!((tail.len, tail.last), (ends[4] as u64, 40), "{hole}");
        }
    }

    #[test]
    fn tags_within_a_tag_are_not_taken_for_tags_of_the_file() {
        let (inner, _) = file();
        let mut whole = writer::header(true, true).to_vec();
        writer::write_tag(&mut whole, &keyframe(0)).unwrap();
        let end = whole.len();
        writer::write_tag(&mut whole, &video(40, inner[13 + 19..].to_vec())).unwrap();
        // The walk back believes four tags in a row: here there are three.
        assert_eq!(flv_tail(&&whole[..whole.len() - 330]).unwrap().len, end as u64);
    }

    /// Files as a killed program leaves them in a folder of their own, each with its marker.
    fn killed(test: &str) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("weir-repair-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join(".weir")).unwrap();
        let (mut film, mut growing) = (Vec::new(), None);
        let mut fragmented = TagWriter::new((0, 0));
        let mut fragments = Vec::new();
        for number in 0..50 {
            let frame = if number % 10 == 0 { keyframe(number * 40) } else { inter_frame(number * 40) };
            let header = (number == 0).then(|| Tag { body: AVC.into(), ..keyframe(0) });
            for tag in header.into_iter().chain([frame]) {
                let growing =
                    growing.get_or_insert_with(|| Growing::new(None, [false, true], &mut film).unwrap());
                growing.push(&tag, &mut film).unwrap();
                fragmented.push(u64::from(tag.timestamp.0), &tag, &mut fragments).unwrap();
            }
        }
        fragmented.flush(&mut fragments).unwrap();
        for (number, name, bytes) in [("0", "a.flv", film), ("1", "a.mp4", fragments)] {
            fs::write(root.join(name), [bytes, b"torn".to_vec()].concat()).unwrap();
            fs::write(root.join(".weir").join(number), name).unwrap();
        }
        root
    }

    fn markers(root: &Path) -> usize {
        fs::read_dir(root.join(".weir")).unwrap().count()
    }

    /// Seconds and keyframes.
    fn opened<R: MediaReader>(reader: &R) -> (u32, usize) {
        (reader.info().duration, reader.info().keyframes.len())
    }

    #[test]
    fn a_repaired_file_is_finished_as_at_a_clean_end() {
        let root = killed("finish");
        all(&root, || Wish::GoOn);
        assert_eq!(markers(&root), 0);
        let film = fs::read(root.join("a.flv")).unwrap();
        let metadata = flv_metadata(&&*film).unwrap().unwrap();
        let (values, _) = crate::amf::amf0::decode_all(&metadata, Default::default());
        let said = values[1].as_object().unwrap();
        assert_eq!(said.get("duration").and_then(|value| value.as_number()), Some(2.0));
        assert_eq!(said.get("filesize").and_then(|value| value.as_number()), Some(film.len() as f64));
        assert!(said.get("keyframes").is_some());
        assert_eq!(opened(&FlvReader::open(&*film).unwrap()), (2000, 5));
        let mp4 = fs::read(root.join("a.mp4")).unwrap();
        assert_eq!((&mp4[4..8], &mp4[36..40]), (&b"ftyp"[..], &b"mdat"[..]));
        // The last picture waited for its successor.
        assert_eq!(opened(&Mp4Reader::open(&*mp4).unwrap()), (1960, 5));
        // Once more: nothing is left to do.
        fs::write(root.join(".weir/7"), "a.mp4").unwrap();
        fs::write(root.join(".weir/8"), "a.flv").unwrap();
        all(&root, || Wish::GoOn);
        assert_eq!(
            (fs::read(root.join("a.mp4")).unwrap(), fs::read(root.join("a.flv")).unwrap()),
            (mp4, film)
        );
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn an_mp4_file_in_which_nothing_plays_goes_however_long_it_is() {
        let root = killed("nothing");
        let whole = fs::read(root.join("a.mp4")).unwrap();
        let header = whole.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
        let no_head = [vec![0; 8], vec![7; 2 * BLOCK]].concat();
        for bytes in [&whole[..header], &whole[..header + 20], &no_head, b""] {
            fs::write(root.join("a.mp4"), bytes).unwrap();
            fs::write(root.join(".weir/1"), "a.mp4").unwrap();
            all(&root, || Wish::GoOn);
            assert!(!root.join("a.mp4").exists(), "{} bytes", bytes.len());
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn who_waits_for_a_file_gets_it_cut_and_who_stops_leaves_the_rest_to_the_next_start() {
        for (then, left) in [(Wish::Hurry, 0), (Wish::Stop, 2)] {
            // At once, between two files, in the middle of one.
            for after in [2, 3, 4, 20] {
                let root = killed(&format!("{then:?}-{after}"));
                let asked = core::cell::Cell::new(0);
                all(&root, || {
                    asked.set(asked.get() + 1);
                    if asked.get() > after { then } else { Wish::GoOn }
                });
                assert_eq!(markers(&root), left, "{then:?} after {after}");
                let read = |name: &str| fs::read(root.join(name)).unwrap();
                assert_eq!(opened(&FlvReader::open(&*read("a.flv")).unwrap()), (2000, 5));
                let end = Mp4Reader::open(&*read("a.mp4")).unwrap().seek(Timestamp(5000)).unwrap();
                assert_eq!(end, Timestamp(1600));
                fs::remove_dir_all(root).unwrap();
            }
        }
    }

    #[test]
    fn a_whole_file_is_walked_from_the_start_if_its_end_says_nothing() {
        let (whole, ends) = file();
        assert_eq!(last_behind(&&*whole, 13).unwrap().map(|last| last.end), Some(ends[5] as u64));
        assert_eq!(
            last_behind(&&whole[..ends[3] + 1], 13).unwrap().map(|last| last.end),
            Some(ends[3] as u64)
        );
    }
}
