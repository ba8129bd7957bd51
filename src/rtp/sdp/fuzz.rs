//! Fuzz target: any bytes as a description.
//!
//! Holds: bounds; what was read and written is read as it was, as far as it is written at all.

use super::{Description, MAX_TRACKS, Media, Range, resolve_control};
use crate::rtp::Packing;
use alloc::vec::Vec;

/// All of it is the text.
pub fn fuzz(text: &[u8]) {
    let Ok(description) = Description::parse(text) else { return };
    assert!((1..=MAX_TRACKS).contains(&description.tracks.len()));
    for media in &description.tracks {
        let url = resolve_control("rtsp://h/live/cam/", &media.control);
        assert!(url.contains("://"), "{url}");
        if let Some(format) = &media.format {
            assert!(format.payload_type < 128 && format.clock_rate > 0);
            if let Packing::AacHbr { size_length, index_length, delta_length } = format.packing {
                assert!(size_length > 0 && size_length.max(index_length).max(delta_length) <= 16);
            }
        }
    }
    let written: Vec<Media> = description.tracks.iter().filter(|media| is_written(media)).cloned().collect();
    if written.is_empty() {
        return;
    }
    let description = Description { tracks: written, ..description };
    let again = Description::parse(description.write().as_bytes()).expect("what was written");
    assert_eq!(again.tracks, description.tracks);
    assert_eq!(again.range, longest_written(description.range));
}

/// Times of ten digits of seconds are written as they are.
fn longest_written(range: Range) -> Range {
    match range {
        Range::Recorded { duration } if duration / 1000 > 9_999_999_999 => Range::Live,
        range => range,
    }
}

/// LATM is only read.
fn is_written(media: &Media) -> bool {
    media.format.as_ref().is_some_and(|format| format.packing != Packing::Latm)
}
