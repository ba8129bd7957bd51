//! RTP packets of one publisher -> tags ready to be published.
//!
//! In: RTP and RTCP packets of all tracks, as they come; time. Out: tags in the order in which they become complete (metadata first, each track's
//! sequence header before its frames and again where it changes), and receiver reports to be sent back. Not here: sockets, who may
//! send, which transport; what a track is (`Format`, from SDP).
//!
//! ```text
//! packet -> queue (order, loss) -> payload (frames) -> clocks (one timeline) -> tags
//!            reception (reports)       codec::raw          RTCP sender reports
//! ```
//!
//! **Loss.** Over UDP a missing packet is waited for ([`ReceiverConfig::reorder`]), over TCP not. What it leaves incomplete is dropped; of video
//! everything up to the next keyframe, too, because it cannot be shown.
//!
//! **Time.** The first packet of all lies near 0 (`clocks`). RTP has times of presentation: those of decoding are reckoned without delay
//! (`codec::raw::timed`). A tag holds both in milliseconds, and what is left of the first in `Tag::nanos`, so that RTP made of it has the same
//! timestamps. Times of decoding grow strictly, of sound they never go back; what would break that is moved.
//!
//! Bounds: [`MAX_HELD_PACKETS`] and [`MAX_HELD_LEN`] for each track, those of `codec::raw`, [`MAX_AUDIO_LEN`]; besides, tags and reports that are
//! not taken: whoever gives packets takes them behind each call.

mod clocks;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
mod payload;
mod queue;
mod reception;

#[cfg(any(test, feature = "fuzzing"))]
pub use fuzz::fuzz;

pub use clocks::{MAX_DRIFT, MAX_MOVE, MAX_OFF, MAX_START, SETTLING};
pub use payload::MAX_AUDIO_LEN;
pub use queue::{MAX_HELD_LEN, MAX_HELD_PACKETS};

use super::{
    Format,
    packet::Packet,
    rtcp::{self, Part},
};
use crate::{
    base::{MonoTime, Timestamp},
    codec::{
        self,
        mp3::FrameHeader,
        opus::OpusConfig,
        raw::{HEADROOM, TimedMedia, write_video},
    },
    flv::{
        Codec, Tag, TagKind, body,
        metadata::{self, AudioInfo, VideoInfo},
    },
};
use alloc::{boxed::Box, collections::VecDeque, string::String, vec::Vec};
use clocks::Clocks;
use core::time::Duration;
use payload::{Depacketizer, Fragment};
use queue::{Queue, Verdict};
use reception::Reception;

/// Bytes of frames that are held until it is known where the tracks lie.
pub const MAX_HELD_BYTES: usize = 8 << 20;
/// Between two reports on a track.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// How packets come.
#[derive(Clone, Debug, Default)]
pub struct ReceiverConfig {
    /// How long a missing packet is waited for. `None` over TCP: what is missing there does not come.
    pub reorder: Option<Duration>,
    /// Our canonical name, in reports.
    pub cname: String,
}

/// What was received so far, of all tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// RTP packets.
    pub packets: u64,
    /// Packets that are missing.
    pub lost: u64,
    /// Packets that came behind a later one, but in time.
    pub reordered: u64,
    /// Packets that came again, or too late.
    pub duplicates: u64,
    /// Packets that could not be read, or are of no track.
    pub malformed: u64,
    /// Pictures and frames of sound, or parts of them, that were dropped: incomplete, or not decodable without what is missing.
    pub damaged: u64,
}

/// Receives the tracks of one publisher. After each `handle_` call take tags until there is none, then reports.
#[derive(Debug)]
pub struct Receiver {
    /// `None`: not for tags.
    tracks: Vec<Option<Track>>,
    clocks: Clocks,
    /// Frames, as long as it is not known where the tracks lie.
    held: Vec<(usize, TimedMedia)>,
    held_bytes: usize,
    is_settled: bool,
    ssrc: u32,
    cname: String,
    report_at: MonoTime,
    tags: VecDeque<Tag>,
    reports: VecDeque<(usize, Vec<u8>)>,
    /// What the last metadata said.
    told: (Option<VideoInfo>, Option<AudioInfo>),
    packets: u64,
    malformed: u64,
}

#[derive(Debug)]
struct Track {
    format: Format,
    payloads: Box<dyn Depacketizer>,
    queue: Queue,
    reception: Reception,
    /// Rate and channels, if it is audio and they are known.
    audio: body::AudioFormat,
    /// Configuration that no tag has said yet.
    record: Option<Vec<u8>>,
    /// Milliseconds of the last tag.
    last: Option<i64>,
    has_left: bool,
}

impl Receiver {
    /// One for these tracks, numbered from 0. What comes for `None`, for what tags cannot carry, and for the second of a kind is thrown
    /// away. `ssrc`: ours, in reports.
    pub fn new(tracks: Vec<Option<Format>>, config: ReceiverConfig, ssrc: u32, now: MonoTime) -> Receiver {
        let mut taken = Vec::new();
        let tracks = tracks.into_iter().map(|format| {
            let format = format.filter(|format| !taken.contains(&format.kind()))?;
            let payloads = payload::depacketizer(&format)?;
            taken.push(format.kind());
            Some(Track::new(format, payloads, config.reorder))
        });
        let tracks: Vec<Option<Track>> = tracks.collect();
        let rates = tracks.iter().map(|track| track.as_ref().map_or(1, |track| track.format.clock_rate));
        Receiver {
            clocks: Clocks::new(rates),
            held: Vec::new(),
            held_bytes: 0,
            is_settled: false,
            tracks,
            ssrc,
            cname: config.cname,
            report_at: now + REPORT_INTERVAL,
            tags: VecDeque::new(),
            reports: VecDeque::new(),
            told: (None, None),
            packets: 0,
            malformed: 0,
        }
    }

    /// An RTP packet of a track, counted from 0.
    pub fn handle_rtp(&mut self, now: MonoTime, track: usize, bytes: &[u8]) {
        self.packets += 1;
        let Some(Some(state)) = self.tracks.get_mut(track) else { return };
        let Some(packet) = Packet::parse(bytes).filter(|packet| {
            // Comfort noise and the like count among a source's packets. What comes before it is of no source yet.
            packet.payload_type == state.format.payload_type || state.queue.source() == Some(packet.ssrc)
        }) else {
            self.malformed += 1;
            return;
        };
        state.reception.note(now, &packet, state.format.clock_rate);
        match state.queue.push(now, &packet, bytes) {
            Verdict::Nothing => {}
            Verdict::Take { is_behind_gap } => self.take(now, track, &packet, is_behind_gap),
            Verdict::Restart { first, is_new_source } => {
                // Last packets of who has left may come behind the goodbye; another has not left.
                state.has_left &= !is_new_source;
                if let Some(first) = Packet::parse(&first) {
                    if is_new_source {
                        self.restart(now, track, first.timestamp);
                    }
                    self.take(now, track, &first, true);
                }
                self.take(now, track, &packet, false);
            }
        }
        self.release(now, track);
    }

    /// An RTCP packet of a track.
    pub fn handle_rtcp(&mut self, now: MonoTime, track: usize, bytes: &[u8]) {
        let Some(Some(state)) = self.tracks.get_mut(track) else { return };
        for part in rtcp::parse(bytes) {
            match part {
                // Of its own SSRC, or before its first packet.
                Part::Sender(report) if state.queue.source().is_none_or(|source| source == report.ssrc) => {
                    state.reception.note_report(now, &report);
                    self.clocks.report(track, &report);
                }
                Part::Goodbye(ssrc) if state.queue.source().is_none_or(|source| source == ssrc) => {
                    state.has_left = true;
                }
                _ => {}
            }
        }
        self.release(now, track);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        for track in 0..self.tracks.len() {
            self.release(now, track);
        }
        if now < self.report_at {
            return;
        }
        self.report_at = now + REPORT_INTERVAL;
        self.reports.clear();
        for (index, track) in self.tracks.iter_mut().enumerate() {
            if let Some(block) = track.as_mut().and_then(|track| track.reception.report(now)) {
                let mut report = Vec::new();
                rtcp::receiver_report(&mut report, self.ssrc, &[block], &self.cname);
                self.reports.push_back((index, report));
            }
        }
    }

    /// When [`Receiver::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        let deadlines = self.tracks.iter().flatten().filter_map(|track| track.queue.deadline());
        let settles_at = self.clocks.settles_at().filter(|_| !self.held.is_empty());
        deadlines.chain(settles_at).chain([self.report_at]).min()
    }

    /// The next tag.
    pub fn poll_tag(&mut self) -> Option<Tag> {
        self.tags.pop_front()
    }

    /// The next report to send, and the track whose sender is to get it.
    pub fn poll_report(&mut self) -> Option<(usize, Vec<u8>)> {
        self.reports.pop_front()
    }

    /// The sender has said goodbye on every track.
    pub fn has_ended(&self) -> bool {
        let mut tracks = self.tracks.iter().flatten().peekable();
        tracks.peek().is_some() && tracks.all(|track| track.has_left && track.queue.is_empty())
    }

    /// Nothing comes any more: what is there of the last frames becomes tags.
    pub fn finish(&mut self) {
        for track in 0..self.tracks.len() {
            if let Some(state) = &mut self.tracks[track] {
                state.payloads.finish();
            }
            self.collect(track);
        }
        self.give_out();
    }

    /// What was received so far.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { packets: self.packets, malformed: self.malformed, ..Stats::default() };
        for track in self.tracks.iter().flatten() {
            let counts = track.queue.counts;
            stats.lost += counts.lost;
            stats.reordered += counts.reordered;
            stats.duplicates += counts.duplicates;
            stats.damaged += track.payloads.damage();
        }
        stats
    }

    /// Takes what was held and need not wait any more.
    fn release(&mut self, now: MonoTime, track: usize) {
        while let Some(state) = &mut self.tracks[track] {
            let Some((bytes, is_behind_gap)) = state.queue.pop(now) else { break };
            if let Some(packet) = Packet::parse(&bytes) {
                self.take(now, track, &packet, is_behind_gap);
            }
        }
        let Some(state) = &mut self.tracks[track] else { return };
        if state.has_left && state.queue.is_empty() {
            state.payloads.finish();
            self.collect(track);
        }
        self.settle(now);
    }

    /// Takes a packet whose turn it is.
    fn take(&mut self, now: MonoTime, track: usize, packet: &Packet<'_>, is_behind_gap: bool) {
        let Some(state) = &mut self.tracks[track] else { return };
        if is_behind_gap {
            state.payloads.lose();
        }
        if self.clocks.jumps(now, track, packet.timestamp) {
            self.restart(now, track, packet.timestamp);
        }
        let time = self.clocks.ticks(now, track, packet.timestamp);
        let Some(state) = &mut self.tracks[track] else { return };
        if packet.payload_type != state.format.payload_type || packet.payload.is_empty() {
            return;
        }
        let fragment = Fragment { time, marker: packet.marker, payload: packet.payload };
        if state.payloads.take(fragment).is_err() {
            self.malformed += 1;
        }
        self.collect(track);
    }

    /// What comes does not go on from what was there.
    fn restart(&mut self, now: MonoTime, track: usize, timestamp: u32) {
        if let Some(state) = &mut self.tracks[track] {
            state.payloads.finish();
        }
        self.collect(track);
        self.clocks.restart(now, track, timestamp);
    }

    /// Makes tags of frames that are complete.
    fn collect(&mut self, track: usize) {
        while let Some(state) = &mut self.tracks[track] {
            let Some(frame) = state.payloads.pop() else { break };
            if self.is_settled {
                self.write(track, frame);
                continue;
            }
            self.held_bytes += frame.media.bytes.len();
            self.held.push((track, frame));
        }
    }

    /// Gives out what was held once it is known where the tracks lie.
    fn settle(&mut self, now: MonoTime) {
        if self.is_settled || self.held.is_empty() {
            return;
        }
        let taken =
            || self.tracks.iter().enumerate().filter(|(_, track)| track.is_some()).map(|(index, _)| index);
        let is_alone = taken().count() < 2;
        let is_over = self.clocks.settles_at().is_some_and(|at| at <= now);
        if is_alone || is_over || self.held_bytes > MAX_HELD_BYTES || self.clocks.is_told(taken()) {
            self.give_out();
        }
    }

    fn give_out(&mut self) {
        if core::mem::replace(&mut self.is_settled, true) {
            return;
        }
        let times = self.held.iter().map(|(track, frame)| self.clocks.at(*track, frame.decoded_at));
        self.clocks.settle(times.min().unwrap_or(0));
        // In the order of time, as what follows is, but for delays on the way.
        let mut newest = alloc::vec![i64::MIN; self.tracks.len()];
        let placed = core::mem::take(&mut self.held).into_iter().map(|(track, frame)| {
            // Those of one track stay in their order, however its times go.
            newest[track] = newest[track].max(self.clocks.at(track, frame.decoded_at));
            (newest[track], track, frame)
        });
        let mut held: Vec<_> = placed.collect();
        held.sort_by_key(|(at, ..)| *at);
        for (_, track, frame) in held {
            self.write(track, frame);
        }
    }

    fn write(&mut self, track: usize, frame: TimedMedia) {
        let TimedMedia { mut media, decoded_at, shown_at } = frame;
        let Some(state) = &mut self.tracks[track] else { return };
        let (mut timestamp, _) = to_millis(self.clocks.at(track, decoded_at));
        let (mut shown, mut nanos) = to_millis(self.clocks.at(track, shown_at));
        let is_video = state.format.kind() == TagKind::Video;
        timestamp = timestamp.max(state.last.map_or(0, |last| last + i64::from(is_video)));
        if shown < timestamp {
            (shown, nanos) = (timestamp, 0);
        }
        state.last = Some(timestamp);
        let composition_time = i32::try_from(shown - timestamp).unwrap_or(i32::MAX);
        // 32 bits that wrap.
        let timestamp = Timestamp(timestamp as u32);
        if let Some(record) = media.record.take().or(state.record.take()) {
            state.format.record.clone_from(&record);
            media.record = Some(record);
        }
        if let (Codec::Mp3, Some(header)) = (state.format.codec, FrameHeader::parse(&media.bytes[HEADROOM..]))
        {
            state.audio = body::AudioFormat { sample_rate: header.sample_rate, channels: header.channels };
        }
        self.tell(timestamp);
        let Some(state) = &mut self.tracks[track] else { return };
        let codec = state.format.codec;
        if is_video {
            write_video(&mut self.tags, codec, media, timestamp, composition_time, nanos);
            return;
        }
        let tag = |body, nanos| Tag { kind: TagKind::Audio, timestamp, nanos, body };
        let mut head = Vec::with_capacity(HEADROOM);
        if let Some(record) = media.record.take() {
            if body::start_audio_header(&mut head, codec) {
                head.extend_from_slice(&record);
                self.tags.push_back(tag(core::mem::take(&mut head).into(), 0));
            }
        }
        if body::start_audio_frame(&mut head, codec, state.audio) {
            self.tags.push_back(tag(media.into_body(&head), nanos));
        }
    }

    /// Metadata, if there is something new to tell.
    fn tell(&mut self, timestamp: Timestamp) {
        let (mut video, mut audio) = (None, None);
        for track in self.tracks.iter().flatten() {
            let format = &track.format;
            if format.kind() == TagKind::Video {
                let (width, height) = codec::dimensions(format.codec, &format.record).unwrap_or_default();
                video = Some(VideoInfo { codec: format.codec, width, height, frame_rate: 0.0 });
            } else {
                let body::AudioFormat { sample_rate, channels } = track.audio;
                audio = Some(AudioInfo { codec: format.codec, sample_rate, channels });
            }
        }
        if (video, audio) != self.told {
            self.tags.extend(metadata::of_tracks(video.as_ref(), audio.as_ref(), timestamp));
            self.told = (video, audio);
        }
    }
}

impl Track {
    fn new(mut format: Format, payloads: Box<dyn Depacketizer>, wait: Option<Duration>) -> Track {
        if format.codec == Codec::Opus && format.record.is_empty() {
            format.record = opus_head(format.channels);
        }
        // That of video comes with its first frame.
        let is_wanted = format.kind() == TagKind::Audio && !format.record.is_empty();
        let said = codec::audio_format(format.codec, &format.record);
        let audio = said.unwrap_or(body::AudioFormat {
            sample_rate: format.clock_rate,
            channels: format.channels.max(1),
        });
        Track {
            audio,
            record: is_wanted.then(|| format.record.clone()),
            format,
            payloads,
            queue: Queue::new(wait),
            reception: Reception::default(),
            last: None,
            has_left: false,
        }
    }
}

/// SDP does not say what an Opus file does; decoders need nothing of it.
fn opus_head(channels: u16) -> Vec<u8> {
    let channels = if channels == 1 { 1 } else { 2 };
    OpusConfig { channels, pre_skip: 0, input_rate: 48_000, gain: 0, mapping_family: 0, mapping: &[] }
        .build_head()
}

/// Milliseconds, rounded, and the nanoseconds that are left, below 0 if rounded up.
fn to_millis(nanos: i64) -> (i64, i32) {
    let millis = nanos.saturating_add(NANOS_PER_MILLI / 2).div_euclid(NANOS_PER_MILLI);
    // 0 would say that nobody knows.
    match nanos - millis * NANOS_PER_MILLI {
        0 => (millis, 1),
        rest => (millis, rest as i32),
    }
}

const NANOS_PER_MILLI: i64 = 1_000_000;

#[cfg(test)]
mod tests;
