//! MPEG audio (RFC 2250, 3.5): several frames in a packet, or a frame in several.
//!
//! Layer III alone, which is what tags can carry.

use super::{Depacketizer, Format, Fragment, MAX_AUDIO_LEN, Malformed, Media, Ready, TimedMedia};
use crate::{base::wire::Cursor, codec::mp3::FrameHeader};
use alloc::vec::Vec;

#[derive(Debug)]
pub(super) struct MpegAudio {
    clock_rate: u32,
    /// The beginning of a frame, and its time.
    open: Option<(i64, Vec<u8>)>,
    ready: Ready,
    damage: u64,
}

impl MpegAudio {
    pub(super) fn new(format: &Format) -> MpegAudio {
        MpegAudio { clock_rate: format.clock_rate, open: None, ready: Ready::default(), damage: 0 }
    }

    /// Takes whole frames from the front.
    fn take_frames(&mut self, mut time: i64, mut bytes: &[u8]) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            let header = FrameHeader::parse(bytes).filter(|header| header.layer == 3).ok_or(Malformed)?;
            let Some((frame, rest)) = bytes.split_at_checked(header.frame_len) else {
                self.open = Some((time, bytes.to_vec()));
                return Ok(());
            };
            self.ready.push(time, Media::new(&[frame]));
            let ticks = u64::from(header.samples) * u64::from(self.clock_rate);
            time = time.saturating_add((ticks / u64::from(header.sample_rate.max(1))) as i64);
            bytes = rest;
        }
        Ok(())
    }
}

impl Depacketizer for MpegAudio {
    fn take(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(fragment.payload);
        let offset = cursor.u16().and_then(|_| cursor.u16()).ok_or(Malformed)?;
        let data = cursor.rest();
        let open = self.open.take();
        if offset == 0 {
            self.damage += u64::from(open.is_some());
            return self.take_frames(fragment.time, data);
        }
        // The rest of what is not there.
        let Some((time, mut bytes)) = open else { return Ok(()) };
        if bytes.len() != usize::from(offset) || bytes.len() + data.len() > MAX_AUDIO_LEN {
            return Err(Malformed);
        }
        bytes.extend_from_slice(data);
        self.take_frames(time, &bytes)
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
