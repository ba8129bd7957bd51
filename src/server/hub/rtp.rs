//! What a stream is to players over RTSP: the tracks that its description names, and its packets' numbers.

use super::{Hub, Publisher, State};
use crate::{
    base::MonoTime,
    flv::TagKind,
    rtp::Format,
    server::rtsp::line::{self, Line},
};
use alloc::vec::Vec;
use core::time::Duration;

/// A stream that does not say what it has is described as it shows itself in this time.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// One that does is described without what it has not shown in this time: no keyframe, or sound that is off.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);

/// The tracks of a stream, as far as they have shown.
#[derive(Debug, Default)]
pub(in crate::server) struct RtpTracks {
    /// Pictures first.
    pub(in crate::server) formats: Vec<Format>,
    /// No other is to be waited for.
    pub(in crate::server) is_complete: bool,
}

impl Hub {
    /// What its description over RTSP says.
    pub(in crate::server) fn rtp_tracks(&self, now: MonoTime) -> RtpTracks {
        let state = self.lock();
        if let Publisher::Nobody = state.publisher {
            return RtpTracks::default();
        }
        let formats = match &state.line {
            Some(line) => line.formats().to_vec(),
            None => state.formats(),
        };
        let has = |kind| formats.iter().any(|format| format.kind() == kind);
        let (video, audio) = (has(TagKind::Video), has(TagKind::Audio));
        let announced = line::announced(&state.headers);
        let is_whole = (video && audio) || announced == Some((video, audio));
        let patience = if announced.is_some() { GIVEN_UP_AFTER } else { SETTLED_AFTER };
        let is_settled = state.began.is_some_and(|began| now.since(began) >= patience);
        let is_complete = !formats.is_empty() && (is_whole || is_settled || state.line.is_some());
        RtpTracks { formats, is_complete }
    }

    /// From now on its tags have numbers as packets, those included that late joiners get. False if it has nothing that RTP
    /// can carry, or is another stream than was described. `seed`: see [`crate::rtp::send::Sender::new`].
    pub(in crate::server) fn begin_line(&self, now: MonoTime, seed: u64, described: &[Format]) -> bool {
        let mut state = self.lock();
        if state.line.is_none() && !matches!(state.publisher, Publisher::Nobody) {
            let formats = state.formats();
            state.line = Line::begin(now, seed, formats, &state.headers, state.gop.tags());
        }
        state.line.as_ref().is_some_and(|line| line::is_described(line.formats(), described))
    }
}

impl State {
    fn formats(&self) -> Vec<Format> {
        let [video, audio] = [TagKind::Video, TagKind::Audio].map(|kind| self.meter.seen(kind));
        line::formats(&self.headers, video, audio)
    }
}
