//! Playlists as text.
//!
//! The media playlist is written whenever it changes, once for all who wait for it; the multivariant one when somebody asks.
//! Versions: 9 with low latency, whose clients may ask for delta updates, 6 without.

use super::{
    Config, WallTime,
    names::{Item, Named, STREAM},
    window::{Description, Segment, Targets, Window},
};
use crate::base::Payload;
use alloc::{string::String, vec::Vec};
use core::fmt::{self, Write};

/// Media playlists of one moment.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    /// `None` before there is a segment.
    pub(super) full: Option<Payload>,
    /// Without what clients have; `None` if that would be nothing.
    pub(super) delta: Option<Payload>,
}

pub(super) fn render(window: &Window) -> Rendered {
    let Some(targets) = window.targets else { return Rendered::default() };
    let skipped = skippable(window, targets);
    let text = |skipped| Payload::from(media(window, targets, skipped).into_bytes());
    Rendered { full: Some(text(0)), delta: (skipped > 0).then(|| text(skipped)) }
}

/// How many segments lie before the skip boundary.
fn skippable(window: &Window, targets: Targets) -> usize {
    if targets.part.is_none() {
        return 0;
    }
    let Some(end) = window.listed.back().map(Segment::end) else { return 0 };
    let boundary = u64::from(SKIP_UNTIL * targets.duration) * 1000;
    window.listed.iter().take_while(|segment| end.saturating_sub(segment.end()) >= boundary).count()
}

fn media(window: &Window, targets: Targets, skipped: usize) -> String {
    let mut out = String::with_capacity(512 + 256 * window.listed.len());
    // A string takes whatever is written.
    let _ = put_media(&mut out, window, targets, skipped);
    out
}

fn put_media(out: &mut String, window: &Window, targets: Targets, skipped: usize) -> fmt::Result {
    let Config { start_id, .. } = window.config;
    let duration = targets.duration;
    writeln!(out, "#EXTM3U\n#EXT-X-VERSION:{}", if targets.part.is_some() { 9 } else { 6 })?;
    writeln!(out, "#EXT-X-TARGETDURATION:{duration}")?;
    let hold_back = HOLD_BACK * duration;
    write!(out, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK={hold_back}.0")?;
    if let Some(part) = targets.part {
        let (hold_back, skip) = (Seconds(PART_HOLD_BACK * u64::from(part)), SKIP_UNTIL * duration);
        writeln!(out, ",PART-HOLD-BACK={hold_back},CAN-SKIP-UNTIL={skip}.0")?;
        write!(out, "#EXT-X-PART-INF:PART-TARGET={}", Seconds(u64::from(part)))?;
    }
    let first = window.listed.front().map_or(0, |segment| segment.number);
    writeln!(out, "\n#EXT-X-MEDIA-SEQUENCE:{first}")?;
    writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", window.discontinuities)?;
    if window.listed.iter().chain(&window.growing).all(Segment::is_independent) {
        writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
    }
    if skipped > 0 {
        writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
    }
    let mut epoch = skipped.checked_sub(1).map(|last| window.listed[last].epoch.number);
    let growing = window.growing.iter().map(|segment| (segment, false));
    let listed = window.listed.iter().map(|segment| (segment, true));
    for (segment, is_complete) in listed.chain(growing).skip(skipped) {
        let has_parts = segment.has_listed_parts && !window.is_ended;
        if !is_complete && !has_parts {
            continue;
        }
        if segment.is_discontinuity {
            writeln!(out, "#EXT-X-DISCONTINUITY")?;
        }
        let number = segment.epoch.number;
        if epoch != Some(number) {
            writeln!(out, "#EXT-X-MAP:URI=\"{}\"", Named(start_id, Item::Init { number }))?;
            epoch = Some(number);
        }
        writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", segment.wall)?;
        let number = segment.number;
        if has_parts {
            for (part, held) in segment.parts.iter().enumerate() {
                let (name, duration) =
                    (Named(start_id, Item::Part { number, part }), Seconds(u64::from(held.duration)));
                let independent = if held.is_independent { ",INDEPENDENT=YES" } else { "" };
                writeln!(out, "#EXT-X-PART:DURATION={duration},URI=\"{name}\"{independent}")?;
            }
        }
        if is_complete {
            let name = Named(start_id, Item::Segment { number });
            writeln!(out, "#EXTINF:{},\n{name}", Seconds(segment.duration))?;
        }
    }
    if window.is_ended {
        return writeln!(out, "#EXT-X-ENDLIST");
    }
    if targets.part.is_some() {
        let (number, part) = window.edge();
        let name = Named(start_id, Item::Part { number, part });
        writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\"")?;
    }
    Ok(())
}

/// The multivariant playlist: one variant.
pub(super) fn multivariant(window: &Window) -> String {
    let mut out = String::new();
    let _ = put_multivariant(&mut out, window);
    out
}

fn put_multivariant(out: &mut String, window: &Window) -> fmt::Result {
    let version = if window.config.part.is_some() { 9 } else { 6 };
    writeln!(out, "#EXTM3U\n#EXT-X-VERSION:{version}")?;
    if window.listed.iter().all(Segment::is_independent) {
        writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
    }
    let (peak, average) = rates(window);
    write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}")?;
    if let Some(segment) = window.listed.back() {
        let Description { codecs, size, has_video, .. } = &*segment.epoch;
        write!(out, ",CODECS=\"{codecs}\"")?;
        if let Some((width, height)) = size {
            write!(out, ",RESOLUTION={width}x{height}")?;
        }
        if let Some(rate) = frame_rate(window).filter(|_| *has_video) {
            write!(out, ",FRAME-RATE={}", Seconds(rate))?;
        }
    }
    writeln!(out, "\n{STREAM}")
}

/// Bits per second: the peak of any segment so far, the average of those that are listed.
pub(super) fn rates(window: &Window) -> (u64, u64) {
    let bytes: usize =
        window.listed.iter().flat_map(|segment| &segment.parts).map(|part| part.bytes.len()).sum();
    let average = bytes as u64 * 8000 / window.listed_duration().max(1);
    (window.peak.max(average).max(1), average.max(1))
}

/// In thousandths of a frame per second.
pub(super) fn frame_rate(window: &Window) -> Option<u64> {
    window.interval.map(|interval| (1_000_000_000 + interval / 2) / interval.max(1))
}

/// The date of an instant that lies behind another one's.
pub(super) fn later(wall: WallTime, ms: u64) -> WallTime {
    WallTime(wall.0.saturating_add(ms))
}

/// Thousandths as a decimal number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// The multivariant playlist's or the MPD's bytes as pieces.
pub(super) fn piece(text: String) -> Vec<Payload> {
    alloc::vec![Payload::from(text.into_bytes())]
}

/// In target durations: what players stay behind the end without low latency, and how far from it delta updates begin to skip. Both
/// are the least that the rules allow.
const HOLD_BACK: u32 = 3;
/// The same of low-latency players, in part targets. The specification recommends three or more. With three, players that begin between two
/// parts have 0.6 s to play, run dry on a busy machine, and stay farther behind from then on (hls.js: a second for each time).
const PART_HOLD_BACK: u64 = 6;
const SKIP_UNTIL: u32 = 6;
