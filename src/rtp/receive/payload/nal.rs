//! H.264 (RFC 6184, packetization modes 0 and 1) and H.265 (RFC 7798, without DONL fields).
//!
//! In: single NAL units, aggregations, fragments. Out: frames. Not here: interleaved packets (STAP-B, MTAP, FU-B), PACI.
//! Field notes: start codes inside of payloads, markers that are missing or on SEI, fragments of another type than the first (the first
//! counts), empty ones, and none that is marked as the last. Tests are in `receive/tests`.

use super::{Depacketizer, Format, Fragment, Malformed, TimedMedia};
use crate::{
    base::wire::Cursor,
    codec::{h264, h265, raw::TimedReader},
    flv::Codec,
};

#[derive(Debug)]
pub(super) struct NalUnits {
    reader: TimedReader,
    codec: Codec,
    /// The access unit whose NAL unit comes in fragments, from its first on.
    fragmented: Option<i64>,
}

impl NalUnits {
    pub(super) fn new(format: &Format) -> Option<NalUnits> {
        let mut reader = TimedReader::new(format.codec, format.clock_rate)?;
        reader.learn(&format.record);
        Some(NalUnits { reader, codec: format.codec, fragmented: None })
    }

    fn take_h264(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed> {
        let (first, rest) = fragment.payload.split_first().ok_or(Malformed)?;
        match h264::nal_type(*first) {
            // 0 begins a start code.
            0..=23 => self.single(fragment),
            24 => self.aggregation(fragment, 1),
            28 => {
                let (head, data) = rest.split_first().ok_or(Malformed)?;
                self.fragment(fragment.time, *head, &[first & 0xe0 | head & 0x1f], data);
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    fn take_h265(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed> {
        let payload = fragment.payload;
        match h265::nal_type(payload[0]) {
            0..=47 => self.single(fragment),
            48 => self.aggregation(fragment, 2),
            49 => {
                let &[first, second, head, ref data @ ..] = payload else { return Err(Malformed) };
                self.fragment(fragment.time, head, &[first & 0x81 | head << 1 & 0x7e, second], data);
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    fn single(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed> {
        self.fragmented = None;
        self.reader.begin(fragment.payload, fragment.time);
        self.reader.end();
        Ok(())
    }

    fn aggregation(&mut self, fragment: Fragment<'_>, header_len: usize) -> Result<(), Malformed> {
        self.fragmented = None;
        let mut cursor = Cursor::new(fragment.payload);
        cursor.take(header_len);
        while cursor.remaining() > 0 {
            let nal = cursor.u16().and_then(|len| cursor.take(usize::from(len))).ok_or(Malformed)?;
            self.reader.begin(nal, fragment.time);
            self.reader.end();
        }
        Ok(())
    }

    /// `head`: the header of a fragment, whose two high bits mean the same in both formats; `nal`: the header of the NAL unit.
    fn fragment(&mut self, time: i64, head: u8, nal: &[u8], data: &[u8]) {
        if head & START != 0 {
            self.reader.begin(nal, time);
            self.fragmented = Some(time);
        } else if self.fragmented != Some(time) {
            // What it is part of did not begin.
            return;
        }
        self.reader.extend(data);
        if head & END != 0 {
            self.reader.end();
            self.fragmented = None;
        }
    }
}

impl Depacketizer for NalUnits {
    fn take(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed> {
        let taken =
            if self.codec == Codec::H264 { self.take_h264(fragment) } else { self.take_h265(fragment) };
        if fragment.marker {
            self.fragmented = None;
            self.reader.mark();
        }
        taken
    }

    fn lose(&mut self) {
        self.fragmented = None;
        self.reader.lose();
    }

    fn finish(&mut self) {
        self.fragmented = None;
        self.reader.finish();
    }

    fn pop(&mut self) -> Option<TimedMedia> {
        self.reader.pop()
    }

    fn damage(&self) -> u64 {
        self.reader.damage()
    }
}

const START: u8 = 0x80;
const END: u8 = 0x40;
