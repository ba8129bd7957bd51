//! The MPD of DASH over the same segments (ISO 23009-1, live profile): a period for each epoch, its segments on a timeline.
//!
//! Times are milliseconds, as cuts are. The clock of whoever asks is set by the document itself (`UTCTiming`, direct), which is why
//! it is written for each request.
//! Not here: low latency, which DASH does with chunked transfer; separate audio and video.

use super::{
    WallTime,
    names::{Item, Named},
    playlist::{Seconds, frame_rate, later, rates},
    window::{Description, Segment, Window},
};
use alloc::string::String;
use core::fmt::{self, Write};

/// The document at `now`; `None` before there is a segment.
pub(super) fn render(window: &Window, now: WallTime) -> Option<String> {
    let mut out = String::with_capacity(1024 + 32 * window.listed.len());
    let targets = window.targets?;
    put(&mut out, window, u64::from(targets.duration) * 1000, now).ok()?;
    Some(out)
}

fn put(out: &mut String, window: &Window, target: u64, now: WallTime) -> fmt::Result {
    let (Some(first), Some(last)) = (window.listed.front(), window.listed.back()) else {
        return Err(fmt::Error);
    };
    let origin = window.origin.unwrap_or(first.epoch_start.1);
    let longest = window.listed.iter().map(|segment| segment.duration).max().unwrap_or(target);
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    write!(
        out,
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\""
    )?;
    write!(out, " type=\"dynamic\" availabilityStartTime=\"{origin}\" publishTime=\"{}\"", last.published())?;
    if window.is_ended {
        let end = period_start(last, origin) + last.end() - last.epoch_start.0;
        write!(out, " mediaPresentationDuration=\"PT{}S\"", Seconds(end))?;
    } else {
        write!(out, " minimumUpdatePeriod=\"PT{}S\"", Seconds(target))?;
    }
    let buffer = Seconds(window.listed_duration());
    write!(
        out,
        " timeShiftBufferDepth=\"PT{buffer}S\" suggestedPresentationDelay=\"PT{}S\"",
        Seconds(3 * target)
    )?;
    let (longest, target) = (Seconds(longest), Seconds(target));
    writeln!(out, " maxSegmentDuration=\"PT{longest}S\" minBufferTime=\"PT{target}S\">")?;
    let mut segments = window.listed.iter().peekable();
    while let Some(first) = segments.next() {
        put_period_start(out, window, first, origin)?;
        let mut segment = first;
        loop {
            let t = if segment.number == first.number { Start(Some(segment.start)) } else { Start(None) };
            writeln!(out, "      <S{t} d=\"{}\"/>", segment.duration)?;
            match segments.next_if(|next| next.epoch.number == first.epoch.number) {
                Some(next) => segment = next,
                None => break,
            }
        }
        writeln!(out, "     </SegmentTimeline>\n    </SegmentTemplate>\n   </Representation>")?;
        writeln!(out, "  </AdaptationSet>\n </Period>")?;
    }
    writeln!(out, " <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:direct:2014\" value=\"{now}\"/>\n</MPD>")
}

fn put_period_start(out: &mut String, window: &Window, segment: &Segment, origin: WallTime) -> fmt::Result {
    let id = window.config.start_id;
    let Description { number, codecs, size, has_video, sample_rate, .. } = &*segment.epoch;
    let (mime, content) = if *has_video { ("video/mp4", "video") } else { ("audio/mp4", "audio") };
    let start = Seconds(period_start(segment, origin));
    writeln!(out, " <Period id=\"{number}\" start=\"PT{start}S\">")?;
    write!(out, "  <AdaptationSet contentType=\"{content}\" mimeType=\"{mime}\" segmentAlignment=\"true\"")?;
    writeln!(out, " startWithSAP=\"1\">")?;
    write!(out, "   <Representation id=\"0\" codecs=\"{codecs}\" bandwidth=\"{}\"", rates(window).0)?;
    if let Some((width, height)) = size {
        write!(out, " width=\"{width}\" height=\"{height}\"")?;
    }
    if let Some(rate) = frame_rate(window).filter(|_| *has_video) {
        write!(out, " frameRate=\"{rate}/1000\"")?;
    }
    if let Some(rate) = sample_rate {
        write!(out, " audioSamplingRate=\"{rate}\"")?;
    }
    let init = Named(id, Item::Init { number: *number });
    write!(
        out,
        ">\n    <SegmentTemplate timescale=\"1000\" presentationTimeOffset=\"{}\"",
        segment.epoch_start.0
    )?;
    write!(out, " startNumber=\"{}\" initialization=\"{init}\"", segment.number)?;
    writeln!(out, " media=\"seg-{id:x}-$Number$.m4s\">\n     <SegmentTimeline>")
}

/// Milliseconds from the origin to the period of a segment.
fn period_start(segment: &Segment, origin: WallTime) -> u64 {
    segment.epoch_start.1.0.saturating_sub(origin.0)
}

/// The time of a segment, if it does not follow from the one before.
struct Start(Option<u64>);

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |at| write!(f, " t=\"{at}\""))
    }
}

impl Segment {
    /// When it was complete.
    fn published(&self) -> WallTime {
        later(self.wall, self.duration)
    }
}
