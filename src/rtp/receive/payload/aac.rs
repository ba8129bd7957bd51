//! AAC: mpeg4-generic (RFC 3640) and MP4A-LATM with its configuration in SDP (RFC 6416).
//!
//! In: packets of several access units, or fragments of one. Out: raw AAC frames. Not here: interleaving of access units over
//! packets, which nobody sends and which would come out of order; LATM with several programs or layers.

use super::{Depacketizer, Format, Fragment, MAX_AUDIO_LEN, Malformed, Media, Ready, TimedMedia};
use crate::{
    base::wire::Cursor,
    codec::{aac::AudioSpecificConfig, bits::BitReader},
};
use alloc::vec::Vec;
use core::mem;

/// Access units in one packet: a second of sound and more; ffmpeg sends five. Each costs far more than the bits that can say that
/// there is one.
pub(super) const MAX_UNITS: usize = 64;

/// Ticks of a frame: of the core, where SBR doubles the rate that is announced.
fn frame_ticks(format: &Format) -> i64 {
    let Some(config) = AudioSpecificConfig::parse(&format.record) else { return 1024 };
    let ticks = u64::from(config.frame_len()) * u64::from(format.clock_rate);
    (ticks / u64::from(config.sample_rate.max(1))) as i64
}

/// mpeg4-generic: headers of access units, then these.
#[derive(Debug)]
pub(super) struct Generic {
    size_bits: u8,
    index_bits: u8,
    delta_bits: u8,
    frame_ticks: i64,
    open: Option<Open>,
    ready: Ready,
    damage: u64,
}

/// The beginning of an access unit.
#[derive(Debug)]
struct Open {
    time: i64,
    len: usize,
    bytes: Vec<u8>,
}

impl Generic {
    pub(super) fn new(format: &Format, [size_bits, index_bits, delta_bits]: [u8; 3]) -> Generic {
        Generic {
            size_bits,
            index_bits,
            delta_bits,
            frame_ticks: frame_ticks(format),
            open: None,
            ready: Ready::default(),
            damage: 0,
        }
    }

    fn take_units(&mut self, fragment: Fragment<'_>) -> Option<()> {
        let mut cursor = Cursor::new(fragment.payload);
        let header_bits = usize::from(cursor.u16()?);
        let mut headers = BitReader::new(cursor.take(header_bits.div_ceil(8))?);
        let open = self.open.take();
        let (mut left, mut place) = (header_bits, 0i64);
        let mut units = 0;
        while left > 0 {
            units += 1;
            if units > MAX_UNITS {
                return None;
            }
            let index_bits = if place == 0 { self.index_bits } else { self.delta_bits };
            let bits = usize::from(self.size_bits) + usize::from(index_bits);
            left = left.checked_sub(bits).filter(|_| bits > 0)?;
            let len = headers.bits(u32::from(self.size_bits))? as usize;
            let index = headers.bits(u32::from(index_bits))?;
            // Of the first the index, 0 without interleaving; of others how many were left out before it.
            place += if place == 0 { 0 } else { i64::from(index) };
            let time = fragment.time.saturating_add(place.saturating_mul(self.frame_ticks));
            place += 1;
            if let Some(unit) = cursor.take(len) {
                if len > 0 {
                    self.ready.push(time, Media::new(&[unit]));
                }
                continue;
            }
            let mut unit = open.filter(|open| (open.time, open.len) == (time, len)).unwrap_or(Open {
                time,
                len,
                bytes: Vec::new(),
            });
            unit.bytes.extend_from_slice(cursor.rest());
            if unit.bytes.len() > len.min(MAX_AUDIO_LEN) {
                return None;
            }
            if unit.bytes.len() == len {
                self.ready.push(time, Media::new(&[&unit.bytes]));
            } else {
                self.open = Some(unit);
            }
            // There is nothing behind it.
            return Some(());
        }
        Some(())
    }
}

impl Depacketizer for Generic {
    fn take(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed> {
        self.take_units(fragment).ok_or(Malformed)
    }

    fn lose(&mut self) {
        self.damage += u64::from(self.open.take().is_some());
    }

    fn finish(&mut self) {
        self.lose();
    }

    fn pop(&mut self) -> Option<TimedMedia> {
        self.ready.0.pop_front()
    }

    fn damage(&self) -> u64 {
        self.damage
    }
}

/// MP4A-LATM: elements of a length and an access unit each, in as many packets as they need.
#[derive(Debug)]
pub(super) struct Latm {
    frame_ticks: i64,
    /// Of the element that comes.
    time: i64,
    /// Something is missing before what is there: it is an element only if its lengths say so.
    is_doubtful: bool,
    bytes: Vec<u8>,
    ready: Ready,
    damage: u64,
}

impl Latm {
    pub(super) fn new(format: &Format) -> Latm {
        Latm {
            frame_ticks: frame_ticks(format),
            time: 0,
            is_doubtful: false,
            bytes: Vec::new(),
            ready: Ready::default(),
            damage: 0,
        }
    }

    /// The element is complete.
    fn close(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let mut cursor = Cursor::new(&self.bytes);
        if mem::take(&mut self.is_doubtful) && !is_whole(cursor) {
            self.damage += 1;
            self.bytes.clear();
            return;
        }
        let mut time = self.time;
        while cursor.remaining() > 0 {
            let Some(unit) = take_element(&mut cursor) else {
                self.damage += 1;
                break;
            };
            if !unit.is_empty() {
                self.ready.push(time, Media::new(&[unit]));
            }
            time = time.saturating_add(self.frame_ticks);
        }
        self.bytes.clear();
    }
}

fn is_whole(mut cursor: Cursor<'_>) -> bool {
    while cursor.remaining() > 0 {
        if take_element(&mut cursor).is_none() {
            return false;
        }
    }
    true
}

fn take_element<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let mut len = 0;
    loop {
        let byte = cursor.u8()?;
        len += usize::from(byte);
        if byte != 0xff {
            return cursor.take(len);
        }
    }
}

impl Depacketizer for Latm {
    fn take(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed> {
        if fragment.time != self.time {
            self.close();
            self.time = fragment.time;
        }
        if self.bytes.len() + fragment.payload.len() > MAX_AUDIO_LEN {
            self.bytes.clear();
            return Err(Malformed);
        }
        self.bytes.extend_from_slice(fragment.payload);
        if fragment.marker {
            self.close();
        }
        Ok(())
    }

    fn lose(&mut self) {
        self.damage += u64::from(!self.bytes.is_empty());
        self.bytes.clear();
        self.is_doubtful = true;
    }

    fn finish(&mut self) {
        self.close();
    }

    fn pop(&mut self) -> Option<TimedMedia> {
        self.ready.0.pop_front()
    }

    fn damage(&self) -> u64 {
        self.damage
    }
}
