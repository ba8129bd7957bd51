//! What one stream carries, counted as its tags pass: bits a second, pictures a second, groups of pictures.
//!
//! Part of a hub's state, under its lock: a tag costs some additions and comparisons. Nothing is parsed here but the first frame of
//! a kind, for its codec, and that again when the configuration changes or a frame begins with another byte.
//! Rates of a kind go by timestamps, that of the whole stream by the clock, each over a second at least ([`SPAN`]).
//! What the configuration says is in `tracks`.

use super::{shared_tag::SharedTag, tracks::Seen};
use crate::{
    base::{MonoTime, Timestamp},
    flv::{TagKind, TagRole},
};
use core::time::Duration;

/// Milliseconds that a rate is a mean of, at least.
const SPAN: u32 = 1000;
/// Milliseconds between two frames past which time has jumped: counting begins anew.
const MAX_STEP: u32 = 20_000;
/// Without a tag for so long, nothing comes.
const SILENT_AFTER: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Meter {
    video: Track,
    audio: Track,
    whole: Whole,
    group: Group,
}

/// Frames of one kind.
#[derive(Debug, Default)]
struct Track {
    /// What its frames are; `None` before the first.
    seen: Option<Seen>,
    start: Timestamp,
    /// Of the newest frame.
    last: Timestamp,
    bytes: u64,
    frames: u32,
    rate: Option<Rate>,
}

/// How much of a kind comes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    /// Bits a second.
    pub(super) bits: f64,
    /// Frames a second.
    pub(super) frames: f64,
}

/// All tags.
#[derive(Debug, Default)]
struct Whole {
    bytes: u64,
    start: MonoTime,
    /// `bytes` at the start.
    before: u64,
    last: Option<MonoTime>,
    bits: Option<f64>,
}

/// Groups of pictures.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    start: Timestamp,
    frames: u32,
    /// The last whole one.
    last: Option<(u32, u32)>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measured {
    /// Bodies of all tags.
    pub(super) bytes: u64,
    /// Bits a second of all tags.
    pub(super) bits: Option<f64>,
    pub(super) video: Option<Rate>,
    pub(super) audio: Option<Rate>,
    /// Milliseconds and pictures of the last whole group.
    pub(super) group: Option<(u32, u32)>,
}

impl Meter {
    /// A tag has come, whether it is sent on or not.
    pub(super) fn receive(&mut self, now: MonoTime, bytes: usize) {
        let whole = &mut self.whole;
        whole.bytes += bytes as u64;
        let Some(last) = whole.last.replace(now) else {
            whole.start = now;
            return;
        };
        let span = now.since(whole.start);
        if now.since(last) >= SILENT_AFTER {
            whole.start = now;
            whole.before = whole.bytes;
        } else if span.as_millis() >= u128::from(SPAN) {
            whole.bits = Some((whole.bytes - whole.before) as f64 * 8.0 / span.as_secs_f64());
            whole.start = now;
            whole.before = whole.bytes;
        }
    }

    /// A tag has its place in the stream. True if it is of another kind than those before.
    pub(super) fn note(&mut self, tag: &SharedTag) -> bool {
        if !tag.is_frame() {
            return false;
        }
        let (track, time) = match tag.tag().kind {
            TagKind::Video => (&mut self.video, tag.tag().timestamp),
            TagKind::Audio => (&mut self.audio, tag.tag().timestamp),
            TagKind::Data => return false,
        };
        let is_other = !track.seen.as_ref().is_some_and(|seen| seen.is_like(tag.tag()));
        if is_other {
            track.seen = Some(Seen::of(tag.tag()));
        }
        let is_new = track.add(time, tag.tag().body.len());
        if tag.tag().kind == TagKind::Video {
            self.group.add(time, is_new, tag.role() == TagRole::Keyframe);
        }
        is_other
    }

    /// The configuration has changed: frames may be of another codec.
    pub(super) fn look_again(&mut self) {
        self.video.seen = None;
        self.audio.seen = None;
    }

    /// What the frames of a kind are; `None` if none has come.
    pub(super) fn seen(&self, kind: TagKind) -> Option<&Seen> {
        match kind {
            TagKind::Video => self.video.seen.as_ref(),
            TagKind::Audio => self.audio.seen.as_ref(),
            TagKind::Data => None,
        }
    }

    /// Frames of any kind have come.
    pub(super) fn has_media(&self) -> bool {
        self.has(TagKind::Video) || self.has(TagKind::Audio)
    }

    /// Frames of that kind have come.
    pub(super) fn has(&self, kind: TagKind) -> bool {
        match kind {
            TagKind::Video => self.video.frames > 0,
            TagKind::Audio => self.audio.frames > 0,
            TagKind::Data => false,
        }
    }

    pub(super) fn measured(&self, now: MonoTime) -> Measured {
        let is_silent = self.whole.last.is_none_or(|last| now.since(last) >= SILENT_AFTER);
        let nothing = |track: &Track| track.rate.map(|rate| if is_silent { Rate::default() } else { rate });
        Measured {
            bytes: self.whole.bytes,
            bits: self.whole.bits.map(|bits| if is_silent { 0.0 } else { bits }),
            video: nothing(&self.video),
            audio: nothing(&self.audio),
            group: self.group.last,
        }
    }
}

impl Track {
    /// False if it belongs to the frame before: several tracks of one kind share timestamps.
    fn add(&mut self, time: Timestamp, bytes: usize) -> bool {
        let step = time.wrapping_sub(self.last);
        let is_first = self.frames == 0;
        if !is_first && step == 0 {
            self.bytes += bytes as u64;
            return false;
        }
        let span = time.wrapping_sub(self.start);
        if is_first || step > MAX_STEP {
            (self.start, self.bytes, self.frames) = (time, 0, 0);
        } else if span >= SPAN {
            let seconds = f64::from(span) / 1000.0;
            let rate =
                Rate { bits: self.bytes as f64 * 8.0 / seconds, frames: f64::from(self.frames) / seconds };
            self.rate = Some(rate);
            (self.start, self.bytes, self.frames) = (time, 0, 0);
        }
        self.last = time;
        self.bytes += bytes as u64;
        self.frames += 1;
        true
    }
}

impl Group {
    fn add(&mut self, time: Timestamp, is_new: bool, is_keyframe: bool) {
        if is_keyframe && is_new {
            let length = time.wrapping_sub(self.start);
            // Time may have jumped.
            if self.frames > 0 && length <= i32::MAX as u32 {
                self.last = Some((length, self.frames));
            }
            (self.start, self.frames) = (time, 0);
        }
        self.frames += u32::from(is_new && (is_keyframe || self.frames > 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flv::Tag,
        server::testing::{audio, inter_frame, keyframe, shared},
    };

    fn sized(tag: Tag, len: usize) -> SharedTag {
        let mut body = tag.body.to_vec();
        body.resize(len, 0);
        SharedTag::new(Tag { body: body.into(), ..tag })
    }

    /// 25 pictures a second, a keyframe each 2 s, sound each 20 ms, from that time on.
    fn feed(meter: &mut Meter, from: u32, seconds: u32) {
        for frame in 0..seconds * 25 {
            let time = from.wrapping_add(frame * 40);
            let picture = if frame % 50 == 0 { keyframe(time) } else { inter_frame(time) };
            for tag in
                [sized(picture, 1000), sized(audio(time), 100), sized(audio(time.wrapping_add(20)), 100)]
            {
                meter.receive(MonoTime(u64::from(frame) * 40), tag.tag().body.len());
                meter.note(&tag);
            }
        }
    }

    #[test]
    fn rates_are_those_of_the_timestamps_also_where_these_wrap() {
        for from in [0, 77, u32::MAX - 3000] {
            let mut meter = Meter::default();
            feed(&mut meter, from, 5);
            let measured = meter.measured(MonoTime(5000));
            assert_eq!(measured.video, Some(Rate { bits: 200_000.0, frames: 25.0 }));
            assert_eq!(measured.audio, Some(Rate { bits: 40_000.0, frames: 50.0 }));
            assert_eq!(measured.group, Some((2000, 50)));
            assert_eq!(measured.bytes, 5 * 25 * 1200);
            let bits = measured.bits.unwrap();
            assert!((238_000.0..=242_000.0).contains(&bits), "{bits}");
        }
    }

    #[test]
    fn nothing_is_known_before_a_second_has_passed_and_silence_is_no_rate() {
        let mut meter = Meter::default();
        assert!(!meter.has_media());
        feed(&mut meter, 0, 1);
        let early = meter.measured(MonoTime(1000));
        assert!(meter.has_media() && early.video.is_none() && early.bits.is_none() && early.group.is_none());
        feed(&mut meter, 1000, 3);
        assert_eq!(meter.measured(MonoTime(8000)).video, Some(Rate::default()));
        assert_eq!(meter.measured(MonoTime(8000)).bits, Some(0.0));
    }

    #[test]
    fn pictures_of_several_tracks_at_one_time_are_one() {
        let mut meter = Meter::default();
        for frame in 0..100 {
            for _ in 0..2 {
                let time = frame * 40;
                meter.note(&shared(if frame % 25 == 0 { keyframe(time) } else { inter_frame(time) }));
            }
        }
        let measured = meter.measured(MonoTime(0));
        assert_eq!((measured.video.unwrap().frames, measured.group), (0.0, Some((1000, 25))));
    }

    #[test]
    fn a_jump_in_time_is_no_long_pause() {
        let mut meter = Meter::default();
        feed(&mut meter, 1_000_000, 3);
        feed(&mut meter, 0, 3);
        assert_eq!(meter.measured(MonoTime(3000)).video.unwrap().frames, 25.0);
        assert_eq!(meter.measured(MonoTime(3000)).group, Some((2000, 50)));
    }
}
