//! A camera, or a stream of another RTSP server, as a player of it.
//!
//! Whatever ends it is a failure, which is tried again: cameras restart. One that sends its clients elsewhere is followed at once.

use super::{LOOK, Produced, Producer};
use crate::{
    base::MonoTime,
    server::{
        client::{ClientError, ClientOptions, Next, RtspUrl, rtsp::RtspPlayer},
        registry::Ending,
    },
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
};
use core::time::Duration;
use std::time::Instant;

/// Connects.
pub(super) fn open(url: &RtspUrl, options: &ClientOptions) -> Result<Box<dyn Producer>, String> {
    let player = RtspPlayer::open(url, options).map_err(|error| error.to_string())?;
    Ok(Box::new(Rtsp { url: url.clone(), options: options.clone(), player, opened: Instant::now() }))
}

struct Rtsp {
    url: RtspUrl,
    options: ClientOptions,
    player: RtspPlayer,
    opened: Instant,
}

/// Who sends its clients elsewhere sooner is not followed.
const SETTLED: Duration = Duration::from_secs(1);

impl Producer for Rtsp {
    fn next(&mut self, now: MonoTime) -> Result<Produced, String> {
        match self.player.next(Instant::now() + LOOK) {
            Ok(Next::Tag(tag)) => Ok(Produced::Tag { tag, due: now }),
            Ok(_) => Ok(match self.player.damage() {
                0 => Produced::Nothing,
                places => Produced::Damaged(places),
            }),
            // Not from one to the other without end.
            Err(ClientError::Moved(url)) if self.opened.elapsed() >= SETTLED => {
                log::info!("{} goes on at {url}", self.url);
                self.opened = Instant::now();
                self.player = RtspPlayer::open(&url, &self.options).map_err(|error| error.to_string())?;
                // What comes has times of its own.
                Ok(Produced::Ended(Ending::Lost))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
