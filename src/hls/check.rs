//! The rules for playlists (RFC 8216 and its successor), checked on the text: for tests and the fuzzer alone.
//!
//! Panics with the rule that is broken. Not checked: what segments hold.

use super::Config;
use alloc::{
    string::{String, ToString},
    vec::Vec,
};

/// A media playlist as a client reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Media {
    pub(crate) version: u64,
    pub(crate) target: u64,
    /// Milliseconds.
    pub(crate) part_target: Option<u64>,
    pub(crate) first: u64,
    pub(crate) discontinuities: u64,
    pub(crate) skipped: u64,
    pub(crate) is_independent: bool,
    pub(crate) segments: Vec<Listed>,
    /// Parts of the segment that grows, with what was said of it.
    pub(crate) growing: Listed,
    pub(crate) hint: Option<String>,
    pub(crate) is_ended: bool,
    control: String,
}

/// A segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// Milliseconds.
    pub(crate) duration: u64,
    pub(crate) map: String,
    pub(crate) date: String,
    pub(crate) is_discontinuity: bool,
    pub(crate) parts: Vec<ListedPart>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ListedPart {
    pub(crate) name: String,
    /// Milliseconds.
    pub(crate) duration: u64,
    pub(crate) is_independent: bool,
}

/// Seconds with three decimals as milliseconds.
fn ms(text: &str) -> u64 {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction = alloc::format!("{fraction:0<3}");
    seconds.parse::<u64>().expect("seconds") * 1000 + fraction.parse::<u64>().expect("three decimals")
}

/// The value of an attribute, without quotes.
pub(crate) fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    while let Some((key, value)) = rest.split_once('=') {
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => {
                let (value, behind) = quoted.split_once('"').expect("a closing quote");
                (value, behind.strip_prefix(',').unwrap_or(behind))
            }
            None => value.split_once(',').unwrap_or((value, "")),
        };
        if key == name {
            return Some(value);
        }
        rest = behind;
    }
    None
}

impl Media {
    pub(crate) fn parse(text: &str) -> Media {
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("#EXTM3U"));
        let mut all = Media::default();
        let mut next = Listed::default();
        let mut map = String::new();
        for line in lines {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            let number = || value.parse::<u64>().expect("a number");
            let has = |name| attribute(value, name).unwrap_or_else(|| panic!("no {name} in {line}"));
            match tag {
                "#EXT-X-VERSION" => all.version = number(),
                "#EXT-X-TARGETDURATION" => all.target = number(),
                "#EXT-X-SERVER-CONTROL" => all.control = value.to_string(),
                "#EXT-X-PART-INF" => all.part_target = Some(ms(has("PART-TARGET"))),
                "#EXT-X-MEDIA-SEQUENCE" => all.first = number(),
                "#EXT-X-DISCONTINUITY-SEQUENCE" => all.discontinuities = number(),
                "#EXT-X-INDEPENDENT-SEGMENTS" => all.is_independent = true,
                "#EXT-X-SKIP" => all.skipped = has("SKIPPED-SEGMENTS").parse().expect("a number"),
                "#EXT-X-DISCONTINUITY" => next.is_discontinuity = true,
                "#EXT-X-MAP" => map = has("URI").to_string(),
                "#EXT-X-PROGRAM-DATE-TIME" => next.date = value.to_string(),
                "#EXT-X-PART" => next.parts.push(ListedPart {
                    name: has("URI").to_string(),
                    duration: ms(has("DURATION")),
                    is_independent: attribute(value, "INDEPENDENT") == Some("YES"),
                }),
                "#EXTINF" => next.duration = ms(value.trim_end_matches(',')),
                "#EXT-X-PRELOAD-HINT" => {
                    assert_eq!(has("TYPE"), "PART");
                    all.hint = Some(has("URI").to_string());
                }
                "#EXT-X-ENDLIST" => all.is_ended = true,
                _ => {
                    assert!(!line.starts_with('#'), "unknown: {line}");
                    next.name = line.to_string();
                    next.map.clone_from(&map);
                    all.segments.push(core::mem::take(&mut next));
                }
            }
        }
        next.map = map;
        all.growing = next;
        all
    }

    /// What one playlist has to keep to by itself. Parts have at least so many percent of their target: 85, or 0 if frames come as
    /// they like.
    pub(crate) fn check(&self, config: &Config, percent: u64) {
        let target = self.target * 1000;
        assert!(self.target >= 1 && self.target * 1000 >= u64::from(config.segment), "target duration");
        assert_eq!(self.part_target.is_some(), config.part.is_some());
        assert_eq!(self.version, if self.part_target.is_some() { 9 } else { 6 });
        assert_eq!(attribute(&self.control, "CAN-BLOCK-RELOAD"), Some("YES"));
        let control = |name| attribute(&self.control, name).map(ms);
        assert!(control("HOLD-BACK").expect("HOLD-BACK") >= 3 * target);
        if let Some(part) = self.part_target {
            assert!(control("PART-HOLD-BACK").expect("PART-HOLD-BACK") >= 3 * part);
            assert!(control("CAN-SKIP-UNTIL").expect("CAN-SKIP-UNTIL") >= 6 * target);
        }
        assert_eq!(self.hint.is_some(), self.part_target.is_some() && !self.is_ended, "hint");
        assert!(!self.segments.is_empty() || self.skipped > 0, "no segment");
        let growing = self.growing.parts.iter().map(|part| part.duration).sum::<u64>();
        let mut behind = growing + self.segments.iter().map(|listed| listed.duration).sum::<u64>();
        for listed in &self.segments {
            assert!((listed.duration + 500) / 1000 <= self.target, "EXTINF {} in {target}", listed.duration);
            assert!(!listed.date.is_empty() && (!listed.map.is_empty() || self.skipped > 0));
            behind -= listed.duration;
            let is_recent = behind < 3 * target;
            assert!(is_recent || listed.parts.is_empty(), "parts of {} are listed too long", listed.name);
            if !listed.parts.is_empty() {
                let sum: u64 = listed.parts.iter().map(|part| part.duration).sum();
                assert_eq!(sum, listed.duration, "parts of {}", listed.name);
            }
            self.check_parts(listed, percent, 1);
        }
        self.check_parts(&self.growing, percent, 0);
        if self.is_independent {
            let all = self.segments.iter().chain([&self.growing]);
            assert!(all.filter_map(|listed| listed.parts.first()).all(|part| part.is_independent));
        }
    }

    fn check_parts(&self, listed: &Listed, percent: u64, last: usize) {
        let Some(target) = self.part_target else {
            assert!(listed.parts.is_empty());
            return;
        };
        for (index, part) in listed.parts.iter().enumerate() {
            assert!(part.duration <= target, "{} is {} of {target}", part.name, part.duration);
            let is_last = index + last == listed.parts.len();
            let is_long = part.duration * 100 >= target * percent;
            assert!(
                is_long || is_last || part.is_independent,
                "{} is only {} of {target}",
                part.name,
                part.duration
            );
        }
    }

    /// What an update has to keep to.
    pub(crate) fn check_update(&self, newer: &Media) {
        assert!(newer.target >= self.target && newer.part_target >= self.part_target);
        assert!(newer.first >= self.first && newer.discontinuities >= self.discontinuities);
        assert!(!self.is_ended || newer == self);
        let removed = (newer.first - self.first) as usize;
        let gone = self.segments.iter().take(removed).filter(|listed| listed.is_discontinuity).count() as u64;
        if removed <= self.segments.len() {
            assert_eq!(newer.discontinuities, self.discontinuities + gone, "discontinuity sequence");
        }
        let mut fresh = newer.segments.iter().chain([&newer.growing]);
        for old in self.segments.iter().skip(removed) {
            let now = fresh.next().expect("a segment has left out of order");
            assert_eq!((&now.name, now.duration, &now.map), (&old.name, old.duration, &old.map));
            assert_eq!((&now.date, now.is_discontinuity), (&old.date, old.is_discontinuity));
            assert!(now.parts.is_empty() || now.parts == old.parts);
        }
        if removed <= self.segments.len() {
            let (old, now) = (&self.growing, fresh.next().expect("what grew is there"));
            assert!(now.parts.is_empty() || now.parts.starts_with(&old.parts), "parts change");
            assert!(old.parts.is_empty() || old.date == now.date && old.map == now.map);
            let next = now.parts.get(old.parts.len());
            // A hint that was given is kept, if what it hints at exists.
            assert!(next.is_none() || self.hint.as_ref() == next.map(|part| &part.name), "hint");
        }
    }

    /// This playlist with a delta update, which has to be the same as the new one in full.
    pub(crate) fn merged(&self, delta: &Media) -> Media {
        let mut all = delta.clone();
        let from = (delta.first - self.first) as usize;
        let skipped = &self.segments[from..from + delta.skipped as usize];
        let map = skipped.last().map_or(String::new(), |listed| listed.map.clone());
        for listed in all.segments.iter_mut().chain([&mut all.growing]) {
            if listed.map.is_empty() {
                listed.map.clone_from(&map);
            }
        }
        let old = skipped.iter().map(|listed| Listed { parts: Vec::new(), ..listed.clone() });
        all.segments.splice(..0, old);
        all.skipped = 0;
        all
    }
}
