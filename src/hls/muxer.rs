//! The muxer: one stream's tags in, answers to requests out.
//!
//! Deterministic: what is written depends on tags and the wall clock that comes with them, and on nothing else.

use super::{
    Answer, Cache, Config, Resource, WallTime,
    epoch::{Epoch, Offer},
    gather::{Gather, chosen, is_carried},
    mpd,
    names::{Item, Name},
    playlist,
    query::Directives,
    window::Window,
};
use crate::{
    base::Payload,
    flv::{Codec, Tag, TagKind, TagRole, summary::Published},
    mp4::writer::configs::{Configs, samples},
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, time::Duration};

/// One stream as HLS and DASH.
#[derive(Debug)]
pub struct Muxer {
    configs: Configs,
    state: State,
    window: Window,
    left_out: Vec<LeftOut>,
}

#[derive(Debug)]
enum State {
    Gathering(Gather),
    Running(Epoch),
    Ended,
}

/// A track that is not in the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Audio or video.
    pub kind: TagKind,
    /// `None`: unknown to us.
    pub codec: Option<Codec>,
    /// HLS has the codec, but its configuration is broken.
    pub is_broken: bool,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind == TagKind::Video { "video" } else { "audio" };
        match (self.codec, self.is_broken) {
            (None, _) => write!(f, "{kind} in an unknown codec"),
            (Some(codec), true) => write!(f, "{kind} in {codec} has a broken configuration"),
            (Some(codec), false) => write!(f, "HLS cannot carry {kind} in {codec}"),
        }
    }
}

impl Muxer {
    /// Without a segment yet.
    pub fn new(config: Config) -> Muxer {
        Muxer {
            configs: Configs::new((0, 0)),
            state: State::Gathering(Gather::default()),
            window: Window::new(config),
            left_out: Vec::new(),
        }
    }

    /// Takes the next tag, which came at that time. True if something is new: whoever waits shall ask again.
    pub fn push(&mut self, tag: &Tag, came: WallTime) -> bool {
        let before = self.window.changes();
        let role = tag.classify().role;
        if role == TagRole::Metadata {
            let published = Published::of(&tag.body);
            let pixels = |key| published.number(key).map_or(0, |number| number as u32);
            self.configs.size = (pixels("width"), pixels("height"));
        }
        if tag.kind == TagKind::Data {
            return false;
        }
        self.configs.note(tag);
        let is_new_loss = role.is_frame() && self.note_left_out(tag);
        let offer = match &mut self.state {
            State::Ended => return false,
            State::Gathering(_) => Offer::Over { lost: None },
            State::Running(epoch) => epoch.offer(tag, came, &self.configs, &mut self.window),
        };
        if let Offer::Over { lost } = offer {
            self.end_epoch(lost);
            if let State::Gathering(gather) = &mut self.state {
                if let Some(start) = gather.push(tag, came, &self.configs) {
                    self.state = State::Running(Epoch::begin(start, &mut self.window));
                }
            }
        }
        is_new_loss || self.window.changes() > before
    }

    /// The publisher has gone, and another one or itself again may come: what waits becomes a segment, and what comes begins
    /// with a discontinuity. True if something is new.
    pub fn restart(&mut self) -> bool {
        let before = self.window.changes();
        self.end_epoch(None);
        if let State::Gathering(gather) = &mut self.state {
            *gather = Gather::default();
        }
        self.window.changes() > before
    }

    /// The stream is over for good: playlists say so, and nobody waits any more.
    pub fn end(&mut self) {
        if let State::Gathering(gather) = &mut self.state {
            if let Some(start) = gather.finish(&self.configs) {
                self.state = State::Running(Epoch::begin(start, &mut self.window));
            }
        }
        self.end_epoch(None);
        self.state = State::Ended;
        self.window.finish();
    }

    fn end_epoch(&mut self, lost: Option<TagKind>) {
        if let State::Running(_) = &self.state {
            let gather = State::Gathering(Gather::without(lost));
            if let State::Running(epoch) = core::mem::replace(&mut self.state, gather) {
                epoch.end(&mut self.window);
            }
        }
    }

    /// Tracks that are not in the segments, each once, for the log.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Milliseconds that everything in the playlist lasts, bytes that are held.
    pub fn held(&self) -> (u64, usize) {
        let waiting = match &self.state {
            State::Gathering(gather) => gather.len(),
            State::Running(epoch) => epoch.waiting(),
            State::Ended => 0,
        };
        (self.window.listed_duration(), self.window.len() + waiting)
    }

    /// Number of the next segment. Whoever follows this muxer begins there or later.
    pub fn next_sequence(&self) -> u64 {
        self.window.next_number()
    }

    /// Seconds: `EXT-X-TARGETDURATION`, or what it will at least be.
    pub fn target_duration(&self) -> u32 {
        let asked = self.window.config.segment.div_ceil(1000).max(1);
        self.window.targets.map_or(asked, |targets| targets.duration)
    }

    /// Answers a request for `file`, the last piece of its path, with what stands behind the question mark.
    pub fn get(&self, file: &str, query: &str, now: WallTime) -> Answer {
        let Some(name) = Name::parse(file) else { return Answer::NotFound };
        match name {
            Name::Of { id, what } if id == self.window.config.start_id => self.item(file, what),
            Name::Of { .. } => Answer::NotFound,
            Name::Stream => self.media_playlist(query),
            Name::Index | Name::Mpd if self.window.listed.is_empty() => self.nothing_yet(),
            Name::Index => {
                let text = playlist::multivariant(&self.window);
                self.text(text, PLAYLIST, Some(self.tag_of("m")))
            }
            Name::Mpd => match mpd::render(&self.window, now) {
                Some(text) => self.text(text, MPD, None),
                None => self.nothing_yet(),
            },
        }
    }

    fn text(&self, text: String, mime: &'static str, etag: Option<String>) -> Answer {
        let cache = Cache::Seconds(self.target_duration() / 2);
        Answer::Ready(Resource { pieces: playlist::piece(text), mime, cache, etag })
    }

    fn tag_of(&self, which: &str) -> String {
        format!("\"{:x}-{}-{which}\"", self.window.config.start_id, self.window.changes())
    }

    /// There is no complete segment.
    fn nothing_yet(&self) -> Answer {
        let has_track = |kind| chosen(&self.configs, kind).is_some();
        let can_come = has_track(TagKind::Video) || has_track(TagKind::Audio);
        match &self.state {
            State::Ended => Answer::NotFound,
            _ if !can_come && !self.left_out.is_empty() => {
                let why: Vec<String> = self.left_out.iter().map(ToString::to_string).collect();
                Answer::Unplayable(why.join("; "))
            }
            _ => Answer::Wait { at_most: FIRST_SEGMENT_WAIT },
        }
    }

    fn wait(&self) -> Answer {
        Answer::Wait { at_most: Duration::from_secs(3 * u64::from(self.target_duration())) }
    }

    fn media_playlist(&self, query: &str) -> Answer {
        let directives = match Directives::parse(query) {
            Ok(directives) => directives,
            Err(why) => return Answer::BadRequest(why),
        };
        let playlists = self.window.playlists();
        let is_ended = self.window.is_ended;
        let asked = directives.msn.filter(|_| !is_ended).map(|msn| self.reached(msn, directives.part));
        match (asked, &playlists.full) {
            (Some(Reach::TooFar), _) => Answer::BadRequest("_HLS_msn or _HLS_part is too far ahead"),
            (_, None) => self.nothing_yet(),
            (Some(Reach::NotYet), _) => self.wait(),
            (_, Some(full)) => {
                let delta = playlists.delta.as_ref().filter(|_| directives.may_skip && !is_ended);
                let (body, which) = delta.map_or((full, "f"), |delta| (delta, "d"));
                // Whoever has asked for what was to come has a URL that nobody asks for again.
                let target = self.target_duration();
                let seconds = if directives.msn.is_some() { 6 * target } else { target / 2 };
                Answer::Ready(Resource {
                    pieces: alloc::vec![body.clone()],
                    mime: PLAYLIST,
                    cache: Cache::Seconds(seconds),
                    etag: Some(self.tag_of(which)),
                })
            }
        }
    }

    /// Whether the playlist holds that segment, or that part of it.
    fn reached(&self, msn: u64, part: Option<u64>) -> Reach {
        let (edge, parts) = self.window.edge();
        let parts = parts as u64;
        // The last complete one is edge - 1; two behind it is the farthest.
        if msn > edge.saturating_add(1) {
            return Reach::TooFar;
        }
        let Some(part) = part.filter(|_| self.window.config.part.is_some()) else {
            return if msn < edge { Reach::Here } else { Reach::NotYet };
        };
        // A part beyond the last one of a segment is the first one of the next.
        let complete = self.window.segment(msn).filter(|_| msn < edge);
        let (msn, part) = match complete {
            Some(segment) if part >= segment.parts.len() as u64 => (msn + 1, 0),
            _ => (msn, part),
        };
        if msn < edge || msn == edge && part < parts {
            return Reach::Here;
        }
        let ahead = if msn == edge { part - parts } else { part };
        if ahead > self.part_advance() { Reach::TooFar } else { Reach::NotYet }
    }

    /// How many parts ahead of the last one may be asked for.
    fn part_advance(&self) -> u64 {
        (3000 / self.window.part_limit()).max(3)
    }

    fn item(&self, file: &str, what: Item) -> Answer {
        let window = &self.window;
        let (edge, parts) = window.edge();
        let found = match what {
            Item::Init { number } => match window.epoch(number) {
                Some(epoch) => Ok((alloc::vec![epoch.init.clone()], epoch.has_video)),
                None => Err(number < window.epochs()),
            },
            // The next one: DASH players ask for it by the clock, and would ask again at once.
            Item::Segment { number } if number == edge && !window.is_ended => return self.wait(),
            Item::Segment { number } => match window.segment(number).filter(|_| number < edge) {
                Some(segment) => {
                    let bytes = segment.parts.iter().map(|part| part.bytes.clone());
                    Ok((bytes.collect::<Vec<Payload>>(), segment.epoch.has_video))
                }
                None => Err((window.config.first_sequence..edge).contains(&number)),
            },
            Item::Part { number, part } => {
                if number == edge && part == parts && !window.is_ended && window.config.part.is_some() {
                    return self.wait();
                }
                let segment = window.segment(number);
                match segment.and_then(|segment| Some((segment, segment.parts.get(part)?))) {
                    Some((segment, part)) => Ok((alloc::vec![part.bytes.clone()], segment.epoch.has_video)),
                    None => {
                        let was = segment.is_none() && number < edge;
                        Err(was && number >= window.config.first_sequence)
                    }
                }
            }
        };
        match found {
            Ok((pieces, has_video)) => Answer::Ready(Resource {
                pieces,
                mime: if has_video { "video/mp4" } else { "audio/mp4" },
                cache: Cache::Immutable,
                etag: Some(format!("\"{file}\"")),
            }),
            Err(true) => Answer::Gone,
            Err(false) => Answer::NotFound,
        }
    }

    /// Remembers a track that nothing can be done with. True if it is the first time.
    fn note_left_out(&mut self, tag: &Tag) -> bool {
        let Some(codec) = tag.classify().tracks().next().map(|track| track.codec) else { return false };
        let of_lane = |lane| self.configs.iter().find(|config| config.lane == lane);
        let is_broken = match codec {
            Some(codec) if carries(codec) => {
                let first = samples(0, tag).next().and_then(|(lane, _)| of_lane(lane?));
                // Its configuration may yet come.
                match first {
                    Some(config) if !is_carried(&self.configs, config) => true,
                    _ => return false,
                }
            }
            _ => false,
        };
        let left_out = LeftOut { kind: tag.kind, codec, is_broken };
        if self.left_out.contains(&left_out) || self.left_out.len() >= MAX_LEFT_OUT {
            return false;
        }
        self.left_out.push(left_out);
        true
    }
}

/// Whether a playlist holds what somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Here,
    NotYet,
    TooFar,
}

/// Whether segments can hold it.
pub const fn carries(codec: Codec) -> bool {
    matches!(
        codec,
        Codec::H264 | Codec::Hevc | Codec::Av1 | Codec::Vp9 | Codec::Aac | Codec::Mp3 | Codec::Opus
    )
}

const PLAYLIST: &str = "application/vnd.apple.mpegurl";
const MPD: &str = "application/dash+xml";
/// How long a playlist waits for the first segment: a source that has to be started, and a group of pictures of 10 s.
const FIRST_SEGMENT_WAIT: Duration = Duration::from_secs(15);
/// Tracks left out that are remembered.
const MAX_LEFT_OUT: usize = 8;
