//! The header of a file: `moov`, its tracks, and where the tables of each are.
//!
//! In: the `moov` box. Out: [`Movie`]. Not here: sample entries (`entries`), tables (`tables`), fragments.
//! Bounds: [`MAX_TRACKS`]; boxes of a known small size are read whole, tables not at all.
//! Field notes: QuickTime has a second `hdlr` inside `minf`, so only a direct child of `mdia` counts.

use super::{
    boxes::{Boxes, Mp4Box},
    edits,
};
use crate::{
    base::wire::Cursor,
    media::{MediaError, ReadAt},
};
use alloc::vec::Vec;

/// What `moov` says.
#[derive(Debug)]
pub(crate) struct Movie {
    /// Video and audio tracks, in the order of the file.
    pub(crate) tracks: Vec<TrackHeader>,
    /// Samples may follow in fragments.
    pub(crate) is_fragmented: bool,
}

/// What a `trak` says, and `trex` about it.
#[derive(Debug)]
pub(crate) struct TrackHeader {
    /// Its number.
    pub(crate) id: u32,
    /// To be played unless somebody chooses otherwise.
    pub(crate) is_enabled: bool,
    /// Pictures; sound otherwise.
    pub(crate) is_video: bool,
    /// Units of a second.
    pub(crate) timescale: u32,
    /// In these units; what the file claims.
    pub(crate) duration: u64,
    /// The media time at which the presentation is at 0.
    pub(crate) start: i64,
    /// The box of the sample tables.
    pub(crate) tables: Mp4Box,
    /// What holds in fragments.
    pub(crate) defaults: Defaults,
}

/// What holds for samples of fragments that say nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// Which sample entry, from 1 on.
    pub(crate) description: u32,
    /// In units of the track's timescale.
    pub(crate) duration: u32,
    /// In bytes.
    pub(crate) size: u32,
    /// Bit 16: no sync sample.
    pub(crate) flags: u32,
}

/// Reads `moov`. Tracks of other kinds than video and audio are left out.
pub(crate) fn movie(source: &dyn ReadAt, moov: &Mp4Box) -> Result<Movie, MediaError> {
    if moov.is_cut {
        return Err(moov.malformed("the file breaks off in its header"));
    }
    if moov.len() > MAX_MOOV {
        return Err(MediaError::TooLarge("the header"));
    }
    let mut timescale = None;
    let mut traks = Vec::new();
    let mut movie_extends = None;
    let mut boxes = Boxes::inside(source, moov.content());
    while let Some(child) = boxes.next()? {
        match &child.kind {
            b"mvhd" => timescale = Some(times(source, &child)?.0),
            b"trak" if traks.len() == MAX_TRACKS => return Err(MediaError::TooLarge("the number of tracks")),
            b"trak" => traks.push(child),
            b"mvex" => movie_extends = Some(child),
            b"cmov" => return Err(MediaError::Unsupported("its header is compressed")),
            _ => {}
        }
    }
    let timescale = timescale.ok_or_else(|| moov.malformed("a header without mvhd"))?;
    let mut tracks = Vec::new();
    for trak in traks {
        tracks.extend(track(source, &trak, timescale)?);
    }
    if let Some(movie_extends) = &movie_extends {
        track_defaults(source, movie_extends, &mut tracks)?;
    }
    Ok(Movie { tracks, is_fragmented: movie_extends.is_some() })
}

/// One `trak`; `None` if it is neither video nor audio.
fn track(
    source: &dyn ReadAt,
    trak: &Mp4Box,
    movie_timescale: u32,
) -> Result<Option<TrackHeader>, MediaError> {
    let (mut header, mut media, mut edit_list) = (None, None, None);
    let mut boxes = Boxes::inside(source, trak.content());
    while let Some(child) = boxes.next()? {
        match &child.kind {
            b"tkhd" => header = Some(child),
            b"mdia" => media = Some(child),
            b"edts" => edit_list = find(source, &child, b"elst")?,
            _ => {}
        }
    }
    let (Some(header), Some(media)) = (header, media) else { return Ok(None) };
    let (mut media_header, mut handler, mut information) = (None, None, None);
    let mut boxes = Boxes::inside(source, media.content());
    while let Some(child) = boxes.next()? {
        match &child.kind {
            b"mdhd" => media_header = Some(child),
            b"hdlr" => handler = Some(child),
            b"minf" => information = Some(child),
            _ => {}
        }
    }
    let (Some(media_header), Some(handler), Some(information)) = (media_header, handler, information) else {
        return Ok(None);
    };
    let handler = handler.read(source, MAX_SMALL)?;
    let is_video = match handler.get(8..12) {
        Some(b"vide") => true,
        Some(b"soun") => false,
        _ => return Ok(None),
    };
    let Some(tables) = find(source, &information, b"stbl")? else { return Ok(None) };
    let (timescale, duration) = times(source, &media_header)?;
    let start = match edit_list {
        Some(elst) if elst.len() <= MAX_SMALL => {
            edits::start(&elst.read(source, MAX_SMALL)?, movie_timescale, timescale)
        }
        _ => None,
    };
    let short = || header.malformed("a short tkhd");
    let bytes = header.read(source, MAX_SMALL)?;
    let mut cursor = Cursor::new(&bytes);
    let flags = cursor.u32().ok_or_else(short)?;
    cursor.take(if flags >> 24 == 1 { 16 } else { 8 }).ok_or_else(short)?;
    Ok(Some(TrackHeader {
        id: cursor.u32().ok_or_else(short)?,
        is_enabled: flags & 1 != 0,
        is_video,
        timescale,
        duration,
        start: start.unwrap_or(0),
        tables,
        defaults: Defaults::default(),
    }))
}

/// Timescale and duration of `mvhd` or `mdhd`, which begin alike.
fn times(source: &dyn ReadAt, found: &Mp4Box) -> Result<(u32, u64), MediaError> {
    let bytes = found.read(source, MAX_SMALL)?;
    let read = || {
        let mut cursor = Cursor::new(&bytes);
        let is_long = cursor.u32()? >> 24 == 1;
        cursor.take(if is_long { 16 } else { 8 })?;
        let timescale = cursor.u32()?;
        let high = if is_long { cursor.u32()? } else { 0 };
        let duration = u64::from(high) << 32 | u64::from(cursor.u32()?);
        Some((timescale, duration))
    };
    match read() {
        Some((0, _)) => Err(found.malformed("a timescale of 0")),
        Some(times) => Ok(times),
        None => Err(found.malformed("a short header of times")),
    }
}

/// Reads every `trex`.
fn track_defaults(
    source: &dyn ReadAt,
    movie_extends: &Mp4Box,
    tracks: &mut [TrackHeader],
) -> Result<(), MediaError> {
    let mut boxes = Boxes::inside(source, movie_extends.content());
    while let Some(child) = boxes.next()? {
        if child.kind != *b"trex" {
            continue;
        }
        let bytes = child.read(source, MAX_SMALL)?;
        let mut cursor = Cursor::new(&bytes);
        let mut field = || cursor.u32().ok_or_else(|| child.malformed("a short trex"));
        field()?;
        let id = field()?;
        let defaults =
            Defaults { description: field()?, duration: field()?, size: field()?, flags: field()? };
        for track in tracks.iter_mut().filter(|track| track.id == id) {
            track.defaults = defaults;
        }
    }
    Ok(())
}

/// The first child of `parent` of this kind.
pub(crate) fn find(
    source: &dyn ReadAt,
    parent: &Mp4Box,
    kind: &[u8; 4],
) -> Result<Option<Mp4Box>, MediaError> {
    let mut boxes = Boxes::inside(source, parent.content());
    while let Some(child) = boxes.next()? {
        if child.kind == *kind {
            return Ok(Some(child));
        }
    }
    Ok(None)
}

/// A film of a day has one of some 60 MB.
const MAX_MOOV: u64 = 256 << 20;

/// Telephones write about ten, of which two or three are neither video nor audio.
const MAX_TRACKS: usize = 32;

/// Boxes of fixed fields and edit lists.
const MAX_SMALL: u64 = 64 << 10;
