//! `ftyp`, `free` and `moov`: of a file that is being written, and of one that is finished.

use super::{
    boxes::{boxed, full, put_u16, put_u32, put_u64, put_zeros},
    tables::Tables,
    track::{Media, Track},
};
use alloc::vec::Vec;

/// What stands before the first `moov`: 16 bytes are reserved for the head of one large `mdat`.
pub(super) fn put_start(out: &mut Vec<u8>) {
    boxed(out, b"ftyp", |out| {
        out.extend_from_slice(b"iso6");
        put_u32(out, 512);
        out.extend_from_slice(b"isomiso2iso6mp41");
    });
    boxed(out, b"free", |out| put_zeros(out, RESERVED - 8));
}

/// What HLS and DASH call an initialization segment: `ftyp` and the `moov` of a fragmented file. Not CMAF's brand, which would
/// promise one track alone.
pub(crate) fn put_init<'a>(out: &mut Vec<u8>, tracks: impl Iterator<Item = &'a Track> + Clone) {
    boxed(out, b"ftyp", |out| {
        out.extend_from_slice(b"iso6");
        put_u32(out, 512);
        out.extend_from_slice(b"iso6mp41dash");
    });
    put_fragmented_moov(out, tracks);
}

/// Bytes of `ftyp`: where the reserved ones begin.
pub(super) const RESERVED_AT: u64 = 32;
/// Head of an `mdat` with a size of 64 bits.
pub(super) const RESERVED: usize = 16;

/// The `moov` of a fragmented file.
pub(super) fn put_fragmented_moov<'a>(out: &mut Vec<u8>, tracks: impl Iterator<Item = &'a Track> + Clone) {
    boxed(out, b"moov", |out| {
        put_mvhd(out, 0, tracks.clone().count());
        for (id, track) in (1..).zip(tracks.clone()) {
            put_trak(out, id, track, None);
        }
        boxed(out, b"mvex", |out| {
            for (id, _) in (1..).zip(tracks) {
                full(out, b"trex", 0, 0, |out| {
                    put_u32(out, id);
                    put_u32(out, 1);
                    put_zeros(out, 12);
                });
            }
        });
    });
}

/// The `moov` of a finished file; tracks without a sample are left out.
pub(super) fn put_full_moov<'a>(
    out: &mut Vec<u8>,
    tracks: impl Iterator<Item = (&'a Track, &'a Tables)> + Clone,
) {
    let tracks = tracks.filter(|(_, tables)| !tables.is_empty());
    let end = |(track, tables): (&Track, &Tables)| in_movie_time(shown_until(tables), track.timescale);
    let duration = tracks.clone().map(end).max().unwrap_or(0);
    boxed(out, b"moov", |out| {
        put_mvhd(out, duration, tracks.clone().count());
        for (id, (track, tables)) in (1..).zip(tracks) {
            put_trak(out, id, track, Some(tables));
        }
    });
}

fn put_mvhd(out: &mut Vec<u8>, duration: u64, tracks: usize) {
    full(out, b"mvhd", 1, 0, |out| {
        put_zeros(out, 16);
        put_u32(out, MOVIE_TIMESCALE);
        put_u64(out, duration);
        put_u32(out, 0x0001_0000);
        put_u16(out, 0x0100);
        put_zeros(out, 10);
        put_matrix(out);
        put_zeros(out, 24);
        put_u32(out, tracks as u32 + 1);
    });
}

fn put_matrix(out: &mut Vec<u8>) {
    for value in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
        put_u32(out, value);
    }
}

fn put_trak(out: &mut Vec<u8>, id: u32, track: &Track, tables: Option<&Tables>) {
    let time = |at: u64| in_movie_time(at, track.timescale);
    boxed(out, b"trak", |out| {
        // Enabled, in the movie, in its preview.
        full(out, b"tkhd", 1, 7, |out| {
            put_zeros(out, 16);
            put_u32(out, id);
            put_u32(out, 0);
            put_u64(out, tables.map_or(0, |tables| time(shown_until(tables))));
            put_zeros(out, 12);
            put_u16(out, if track.is_video() { 0 } else { 0x0100 });
            put_u16(out, 0);
            put_matrix(out);
            let (width, height) = match track.media {
                Media::Video { width, height } => (width, height),
                Media::Audio => (0, 0),
            };
            put_u32(out, u32::from(width) << 16);
            put_u32(out, u32::from(height) << 16);
        });
        if let Some(tables) = tables.filter(|tables| tables.start() > 0) {
            let shown = tables.start() + tables.lead();
            put_delay(out, time(shown), time(shown_until(tables)), tables.lead());
        }
        boxed(out, b"mdia", |out| {
            full(out, b"mdhd", 1, 0, |out| {
                put_zeros(out, 16);
                put_u32(out, track.timescale);
                put_u64(out, tables.map_or(0, |tables| tables.end() - tables.start()));
                // Language "und".
                put_u16(out, 0x55c4);
                put_u16(out, 0);
            });
            full(out, b"hdlr", 0, 0, |out| {
                put_u32(out, 0);
                out.extend_from_slice(if track.is_video() { b"vide" } else { b"soun" });
                put_zeros(out, 12);
                out.extend_from_slice(b"weir\0");
            });
            boxed(out, b"minf", |out| {
                match track.media {
                    Media::Video { .. } => full(out, b"vmhd", 0, 1, |out| put_zeros(out, 8)),
                    Media::Audio => full(out, b"smhd", 0, 0, |out| put_zeros(out, 4)),
                }
                boxed(out, b"dinf", |out| {
                    full(out, b"dref", 0, 0, |out| {
                        put_u32(out, 1);
                        // The media is in this file.
                        full(out, b"url ", 0, 1, |_| ());
                    });
                });
                boxed(out, b"stbl", |out| {
                    full(out, b"stsd", 0, 0, |out| {
                        put_u32(out, 1);
                        out.extend_from_slice(&track.entry);
                    });
                    match tables {
                        Some(tables) => tables.put(out),
                        None => Tables::default().put(out),
                    }
                });
            });
        });
    });
}

/// When the last picture of a track ends: as much behind the end of decoding as the first one is behind its beginning, where an
/// edit list says so.
fn shown_until(tables: &Tables) -> u64 {
    tables.end() + if tables.start() > 0 { tables.lead() } else { 0 }
}

/// A track that begins later than the file: an empty edit, then all of it. Sample tables alone have no place for that. The
/// second edit begins with the first picture, because ffmpeg moves what is shown first to where it begins.
fn put_delay(out: &mut Vec<u8>, shown: u64, end: u64, lead: u64) {
    boxed(out, b"edts", |out| {
        full(out, b"elst", 1, 0, |out| {
            put_u32(out, 2);
            // Media time -1 is none.
            for (duration, media_time) in [(shown, u64::MAX), (end.saturating_sub(shown), lead)] {
                put_u64(out, duration);
                put_u64(out, media_time);
                put_u32(out, 0x0001_0000);
            }
        });
    });
}

fn in_movie_time(at: u64, timescale: u32) -> u64 {
    let (at, timescale) = (u128::from(at), u128::from(timescale.max(1)));
    let time = (at * u128::from(MOVIE_TIMESCALE) + timescale / 2) / timescale;
    u64::try_from(time).unwrap_or(u64::MAX)
}

/// Milliseconds, as everything that comes in.
const MOVIE_TIMESCALE: u32 = 1000;
