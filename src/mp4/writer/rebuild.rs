//! The index of a file of ours whose writer is gone: read back from its fragments, so that it can be finished all the same.
//!
//! Bounds: those of the writer ([`super::MAX_INDEX_BYTES`]); a file with more, or one that is not as [`super::Writer`] makes them,
//! stays as it is.

use super::{Index, MAX_INDEX_BYTES, RESERVED, RESERVED_AT, Track, index_of, tables::Tables, track::Media};
use crate::{
    media::{MediaError, ReadAt},
    mp4::{
        boxes::{Boxes, Mp4Box},
        fragments::Fragments,
        header::{self, TrackHeader},
    },
};
use alloc::vec::Vec;

/// What finishes a file that ends with a whole fragment; `None` if it is finished, or has no fragment, or is not one of
/// ours. `is_over` is asked now and then whether to give up.
///
/// # Errors
/// It cannot be read.
pub fn index_of_file(file: &dyn ReadAt, is_over: impl Fn() -> bool) -> Result<Option<Index>, MediaError> {
    let size = file.size()?;
    let mut boxes = Boxes::of_file(file, 0..size);
    let Some(moov) = moov_of_ours(&mut boxes)? else { return Ok(None) };
    let movie = header::movie(file, &moov)?;
    let (mut tracks, mut left) = (Vec::new(), MAX_INDEX_BYTES);
    for header in &movie.tracks {
        let Some(track) = track(file, header)? else { return Ok(None) };
        let Some(tables) = tables(file, header, moov.end, left, &is_over)? else { return Ok(None) };
        left -= tables.len();
        tracks.push((track, tables));
    }
    let has_samples = tracks.iter().any(|(_, tables)| !tables.is_empty());
    Ok(has_samples.then(|| index_of(tracks.iter().map(|(track, tables)| (track, tables)), size)))
}

/// The header behind the reserved bytes.
fn moov_of_ours(boxes: &mut Boxes<'_>) -> Result<Option<Mp4Box>, MediaError> {
    let (Some(_ftyp), Some(free), Some(moov)) = (boxes.next()?, boxes.next()?, boxes.next()?) else {
        return Ok(None);
    };
    let is_reserved =
        free.kind == *b"free" && free.start == RESERVED_AT && free.end == RESERVED_AT + RESERVED as u64;
    Ok((is_reserved && moov.kind == *b"moov" && !moov.is_cut).then_some(moov))
}

/// What the sample description says, taken over as it is.
fn track(file: &dyn ReadAt, header: &TrackHeader) -> Result<Option<Track>, MediaError> {
    let Some(description) = header::find(file, &header.tables, b"stsd")? else { return Ok(None) };
    let bytes = description.read(file, MAX_DESCRIPTION)?;
    // Version, flags and count stand before the only entry.
    let Some((&[_, _, _, _, 0, 0, 0, 1], entry)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let number = |at: usize| entry.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    let media = match (header.is_video, number(WIDTH_AT), number(WIDTH_AT + 2)) {
        (true, Some(width), Some(height)) => Media::Video { width, height },
        (true, ..) => return Ok(None),
        (false, ..) => Media::Audio,
    };
    Ok(Some(Track { media, timescale: header.timescale, entry: entry.to_vec() }))
}

/// The samples of a track in the fragments from `at` on; `None` if they take more than `most` bytes.
fn tables(
    file: &dyn ReadAt,
    header: &TrackHeader,
    at: u64,
    most: usize,
    is_over: &impl Fn() -> bool,
) -> Result<Option<Tables>, MediaError> {
    let mut fragments = Fragments::new(header.id, header.defaults, at, 0);
    let (mut tables, mut samples, mut data_end) = (Tables::default(), Vec::new(), None);
    loop {
        fragments.read(file, &mut samples)?;
        if samples.is_empty() {
            return Ok(Some(tables));
        }
        for sample in samples.drain(..) {
            let Ok(dts) = u64::try_from(sample.dts) else { return Ok(None) };
            // The writer leaves no hole between the samples of a track.
            if !tables.is_empty() && dts != tables.end() {
                return Ok(None);
            }
            if data_end != Some(sample.offset) {
                tables.start_chunk(dts, sample.offset);
            }
            tables.push(sample.duration, sample.composition, sample.size, sample.is_sync);
            data_end = Some(sample.offset.saturating_add(u64::from(sample.size)));
        }
        if tables.len() > most || is_over() {
            return Ok(None);
        }
    }
}

/// Of a sample description: a few kilobytes of parameter sets at most.
const MAX_DESCRIPTION: u64 = 1 << 20;
/// Place of the width in a visual sample entry.
const WIDTH_AT: usize = 32;
