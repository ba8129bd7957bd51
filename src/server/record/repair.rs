//! Files that were left unfinished, because the program was killed or the machine lost power: their torn ends are cut off.
//!
//! FLV is walked backwards from the end, where only the last write can be torn, and from the start if that finds nothing;
//! MP4 from box to box (`mp4::repair`). Bounds: [`BLOCK`] bytes of memory, and per file 64 MiB of reading ([`WINDOW`]) or the
//! headers of what is in it.

use super::disk::Marker;
use crate::{
    base::wire::Cursor,
    flv::{
        summary::{Published, Summary},
        writer::{HEADER_LEN, TAG_HEADER_LEN},
    },
    media::{MediaError, ReadAt},
    mp4,
};
use alloc::{vec, vec::Vec};
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

/// Repairs whatever was left unfinished below `root`; leaves the rest for the next start once `is_stopped`.
pub(super) fn all(root: &Path, is_stopped: impl Fn() -> bool) {
    for (marker, name) in Marker::abandoned(root) {
        if is_stopped() {
            return;
        }
        let is_inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        let path = root.join(&name);
        if is_inside && path.is_file() {
            match one(&path) {
                Ok(0) => log::info!("{name} was left unfinished: repaired"),
                Ok(cut) => log::info!("{name} was left unfinished: repaired, {cut} bytes cut off"),
                Err(error) => log::warn!(
                    "{name} was left unfinished and cannot be repaired: {}",
                    super::super::plain(&error)
                ),
            }
        }
        marker.remove();
    }
}

/// Cuts the torn end of a file off; returns how many bytes.
fn one(path: &Path) -> io::Result<u64> {
    let reading = OpenOptions::new().read(true).write(true).open(path)?;
    let size = reading.size().map_err(io::Error::other)?;
    let is_flv = path.extension().is_some_and(|extension| extension == "flv");
    let sound =
        if is_flv { flv_tail(&reading).map(|tail| tail.len) } else { mp4::repair::sound_len(&reading) };
    let len = match sound {
        Ok(len) => len,
        // It was killed before its first frame.
        Err(MediaError::Malformed { .. }) if size < BLOCK as u64 => {
            fs::remove_file(path)?;
            return Ok(size);
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    reading.set_len(len)?;
    if is_flv {
        describe(&reading)?;
    }
    reading.sync_all()?;
    Ok(size - len)
}

/// Tells players how long an FLV file is.
fn describe(file: &File) -> io::Result<()> {
    let tail = flv_tail(file).map_err(io::Error::other)?;
    let Some(body) = flv_metadata(file).map_err(io::Error::other)? else { return Ok(()) };
    let mut published = Published::of(&body);
    let summary = Summary {
        duration: tail.last,
        size: tail.len,
        has_audio: tail.flags & 4 != 0,
        has_video: tail.flags & 1 != 0,
        keyframes: core::mem::take(&mut published.keyframes),
    };
    match published.fit(&summary, body.len()) {
        Some(body) => file.write_all_at(&body, (HEADER_LEN + TAG_HEADER_LEN) as u64),
        None => Ok(()),
    }
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
pub(super) fn flv_tail(file: &impl ReadAt) -> Result<Tail, MediaError> {
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

/// Body of the metadata that the file begins with.
pub(super) fn flv_metadata(file: &impl ReadAt) -> Result<Option<Vec<u8>>, MediaError> {
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
fn last_before(file: &impl ReadAt, first: u64, size: u64) -> Result<Option<Found>, MediaError> {
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
fn is_chain(file: &impl ReadAt, first: u64, mut place: u64) -> Result<bool, MediaError> {
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
fn ending_at(file: &impl ReadAt, first: u64, end: u64) -> Result<Option<Found>, MediaError> {
    let mut size = [0; 4];
    let Some(size_at) = end.checked_sub(4).filter(|at| *at >= first) else { return Ok(None) };
    file.read_at(size_at, &mut size)?;
    let len = u64::from(u32::from_be_bytes(size));
    let Some(start) = size_at.checked_sub(len).filter(|start| *start >= first) else { return Ok(None) };
    Ok(beginning_at(file, start)?.filter(|found| found.end == end))
}

/// The tag whose header is at `start`.
fn beginning_at(file: &impl ReadAt, start: u64) -> Result<Option<Found>, MediaError> {
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
fn last_behind(file: &impl ReadAt, first: u64) -> Result<Option<Found>, MediaError> {
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
        flv::writer,
        server::testing::{audio, inter_frame, keyframe, video, video_header},
    };

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
