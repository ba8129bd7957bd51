//! Formats of which each packet is a frame: Opus (RFC 7587), G.711 (RFC 3551).

use super::{Depacketizer, Fragment, Malformed, Media, Ready, TimedMedia};

#[derive(Debug, Default)]
pub(super) struct Plain {
    ready: Ready,
}

impl Depacketizer for Plain {
    fn take(&mut self, fragment: Fragment<'_>) -> Result<(), Malformed> {
        self.ready.push(fragment.time, Media::new(&[fragment.payload]));
        Ok(())
    }

    fn lose(&mut self) {}

    fn finish(&mut self) {}

    fn pop(&mut self) -> Option<TimedMedia> {
        self.ready.0.pop_front()
    }

    fn damage(&self) -> u64 {
        0
    }
}
