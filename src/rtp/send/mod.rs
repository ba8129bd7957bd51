//! Tags -> RTP packets: what each player of a stream gets, built once for all of them.
//!
//! In: a stream's tags in their order, with the formats of its tracks. Out: packets in parts that point into the tags' bodies, given to
//! a [`Sink`]; sender reports and goodbyes. One video and one audio track; of multitrack tags the default one. Not here: sockets, channels and
//! ports, what a player has been promised (SDP, RTP-Info).
//! State: counters, clocks and parameter sets, no media; a clone is cheap. Bounds: [`MAX_SETS`], [`MAX_SETS_LEN`]; nothing is
//! allocated but for parameter sets that change.
//!
//! ```
//! use weir::{base::Timestamp, flv::{Codec, Tag, TagKind}, rtp::{Format, send::{PACKET_LEN, Sender, Sink}}};
//!
//! struct Packets(Vec<Vec<u8>>);
//! impl Sink for Packets {
//!     fn packet(&mut self, _track: usize, header: &[u8; 12], payload: &[&[u8]]) {
//!         self.0.push([&header[..], &payload.concat()].concat());
//!     }
//! }
//! let format = Format::to_send(Codec::G711A, &[], None).unwrap();
//! let mut sender = Sender::new(vec![format], 1, PACKET_LEN);
//! let mut packets = Packets(vec![]);
//! let tag = Tag::new(TagKind::Audio, Timestamp(0), vec![0x72, 1, 2, 3].into());
//! sender.write(&tag, &mut packets);
//! assert_eq!(packets.0[0][..2], [0x80, 0x88]);
//! assert_eq!(packets.0[0][12..], [1, 2, 3]);
//! ```

mod av1;
mod clock;
mod frames;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
mod nal;
mod sets;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "fuzzing"))]
pub use fuzz::fuzz;
pub use sets::{MAX_SETS, MAX_SETS_LEN};

use super::{
    Format,
    packet::{self, HEADER_LEN},
    rtcp::{self, SenderReport},
};
use crate::{
    base::{SplitMix64, Timestamp},
    codec::aac::AudioSpecificConfig,
    flv::{Codec, Tag, TagKind, TagRole},
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use clock::{Counter, MediaClock};
use sets::Sets;

/// Bytes of a packet with its RTP header that fit into an Ethernet frame with IPv6 and UDP, with some to spare for tunnels.
pub const PACKET_LEN: usize = 1400;
/// Bytes of the longest packet: what UDP over IPv4 takes. Longer Opus packets, which cannot be split, are left out.
pub const MAX_PACKET_LEN: usize = 65_507;
/// Bytes of the shortest limit that [`Sender::new`] goes by.
pub const MIN_PACKET_LEN: usize = 128;

/// Where packets go.
pub trait Sink {
    /// One RTP packet of a track: its header, and the parts of its payload, which lie back to back in the packet.
    fn packet(&mut self, track: usize, header: &[u8; HEADER_LEN], payload: &[&[u8]]);
}

/// What turns one stream's tags into packets. See the module.
#[derive(Clone, Debug)]
pub struct Sender {
    formats: Arc<[Format]>,
    tracks: Vec<Track>,
    clock: MediaClock,
    /// The same for all tracks: tells receivers that these belong together.
    name: u64,
    /// Bytes of a packet's payload.
    room: usize,
}

#[derive(Clone, Debug)]
struct Track {
    wire: Wire,
    /// RTP timestamp of the media time 0.
    base: u32,
    /// Of audio, once there was any.
    counter: Option<Counter>,
    /// What is sent before pictures that decoding can start with.
    sets: Arc<Sets>,
    /// Samples of an AAC frame.
    frame_len: u32,
}

/// What all packets of a track have, and how many there were.
#[derive(Clone, Debug)]
struct Wire {
    track: usize,
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    packets: u32,
    octets: u32,
}

/// Where the packets of one frame go.
struct Out<'a> {
    wire: &'a mut Wire,
    sink: &'a mut dyn Sink,
    timestamp: u32,
    /// Bytes of a payload, [`MIN_PACKET_LEN`] less the header or more.
    room: usize,
}

impl Out<'_> {
    fn packet(&mut self, marker: bool, payload: &[&[u8]]) {
        let len: usize = payload.iter().map(|part| part.len()).sum();
        let Wire { track, payload_type, ssrc, sequence, .. } = *self.wire;
        let header = packet::header(payload_type, marker, sequence, self.timestamp, ssrc);
        self.wire.sequence = self.wire.sequence.wrapping_add(1);
        self.wire.packets = self.wire.packets.wrapping_add(1);
        self.wire.octets = self.wire.octets.wrapping_add(len as u32);
        self.sink.packet(track, &header, payload);
    }
}

impl Sender {
    /// One for these tracks, in the order that their numbers have from now on; of two of a kind the second one stays silent. `seed`
    /// gives SSRCs, the first sequence numbers and the timestamps of media time 0. `max_packet`: bytes of a packet with its
    /// header, [`MIN_PACKET_LEN`] to [`MAX_PACKET_LEN`]; only Opus, which cannot be split, may need more.
    pub fn new(formats: Vec<Format>, seed: u64, max_packet: usize) -> Sender {
        let mut random = SplitMix64(seed);
        let name = random.next();
        let first_ssrc = random.next() as u32;
        let tracks = formats.iter().enumerate().map(|(track, format)| {
            let number = random.next();
            let wire = Wire {
                track,
                payload_type: format.payload_type,
                // They have to differ.
                ssrc: first_ssrc.wrapping_add(track as u32),
                // Players take 0 and 1 in RTP-Info for "unknown"; below 2^15 the wrap is far.
                sequence: number as u16 & 0x7fff | 0x100,
                packets: 0,
                octets: 0,
            };
            let config = AudioSpecificConfig::parse(&format.record).filter(|_| format.codec == Codec::Aac);
            Track {
                wire,
                base: (number >> 32) as u32,
                counter: None,
                sets: Arc::new(Sets::of(format.codec, &format.record).unwrap_or_default()),
                frame_len: config.map_or(1024, |config| config.frame_len()),
            }
        });
        Sender {
            tracks: tracks.collect(),
            formats: formats.into(),
            clock: MediaClock::default(),
            name,
            room: max_packet.clamp(MIN_PACKET_LEN, MAX_PACKET_LEN) - HEADER_LEN,
        }
    }

    /// Gives the packets of a tag to `sink`. There are none of configuration, which is kept and sent where decoding can
    /// start; of other codecs than the track's; of data.
    pub fn write(&mut self, tag: &Tag, sink: &mut dyn Sink) {
        let class = tag.classify();
        let Some(number) = self.track_of(tag.kind) else { return };
        let Some(found) = class.tracks().find(|track| track.id == 0) else { return };
        let (Some(format), Some(track)) = (self.formats.get(number), self.tracks.get_mut(number)) else {
            return;
        };
        if found.codec != Some(format.codec) {
            return;
        }
        let data = &tag.body[found.data];
        if class.role == TagRole::SequenceHeader {
            if let Some(sets) = Sets::of(format.codec, data) {
                track.sets = Arc::new(sets);
            }
            return;
        }
        if !class.role.is_frame() || data.is_empty() {
            return;
        }
        self.clock.advance(tag.timestamp);
        let time = self.clock.nanoseconds(tag.timestamp, found.composition_time, tag.nanos);
        let ticks = clock::ticks(time, format.clock_rate);
        let timestamp = track.base.wrapping_add(ticks as u32);
        let mut out = Out { wire: &mut track.wire, sink, timestamp, room: self.room };
        match format.codec {
            Codec::H264 | Codec::Hevc => nal::frame(&mut out, &mut track.sets, data, class.is_keyframe()),
            Codec::Av1 => av1::temporal_unit(&mut out, &track.sets, data, class.is_keyframe()),
            Codec::Vp8 => frames::vp8(&mut out, data),
            Codec::Vp9 => frames::vp9(&mut out, data, class.is_keyframe()),
            _ => {
                let frame = frames::next(format, track.frame_len, data);
                let frame_ticks = frame.samples * u64::from(format.clock_rate) / u64::from(frame.rate);
                let counter = track.counter.get_or_insert_with(|| Counter::at(ticks));
                counter.follow(ticks, frame_ticks, tag.nanos != 0, format.clock_rate);
                frames::audio(&mut out, format, track.frame_len, counter, track.base, data);
            }
        }
    }

    /// What is written next is from elsewhere in its file, or comes behind a pause (RFC 2326, appendix B): numbers run on, and the next sound
    /// is marked. `is_elsewhere`: sound is placed by its time and not behind what went before.
    pub fn restart(&mut self, is_elsewhere: bool) {
        for track in &mut self.tracks {
            track.counter.take_if(|_| is_elsewhere);
            if let Some(counter) = &mut track.counter {
                counter.mark();
            }
        }
    }

    /// The tracks as they were given.
    pub fn tracks(&self) -> &[Format] {
        &self.formats
    }

    /// Who sends a track's packets. 0 if there is no such track.
    pub fn ssrc(&self, track: usize) -> u32 {
        self.tracks.get(track).map_or(0, |track| track.wire.ssrc)
    }

    /// Sequence number of a track's next packet. 0 if there is no such track.
    pub fn next_sequence(&self, track: usize) -> u16 {
        self.tracks.get(track).map_or(0, |track| track.wire.sequence)
    }

    /// RTP timestamp of an instant of media time: of the same for each track, as RTP-Info needs it. 0 if there is no such track.
    pub fn timestamp_at(&self, track: usize, media: Timestamp) -> u32 {
        self.timestamp(track, self.clock.nanoseconds(media, 0, 0))
    }

    /// An instant of media time and the NTP time at which it is shown, for all tracks: what reports are reckoned from.
    pub fn set_clock(&mut self, media: Timestamp, wall_ntp: u64) {
        self.clock.set_wall(media, wall_ntp);
    }

    /// The NTP time of an instant of media time, by the clock that was set; `None` before.
    pub fn ntp_at(&self, media: Timestamp) -> Option<u64> {
        self.clock.ntp_at(media)
    }

    /// Appends a sender report of a track with its name: a compound RTCP packet. Without
    /// [`Sender::set_clock`] it takes the newest tag for one of now.
    pub fn report(&self, track: usize, now_ntp: u64, out: &mut Vec<u8>) {
        if let Some(report) = self.sender_report(track, now_ntp) {
            rtcp::sender_report(out, &report, &self.cname());
        }
    }

    /// The same with a goodbye behind it: the track has ended.
    pub fn goodbye(&self, track: usize, now_ntp: u64, out: &mut Vec<u8>) {
        if let Some(report) = self.sender_report(track, now_ntp) {
            rtcp::goodbye(out, &report, &self.cname());
        }
    }

    /// Whether from this tag on players need another description: another codec, another configuration of AAC, other
    /// channels of Opus. Not parameter sets of video, which go between the pictures, and not a track that there was none of.
    pub fn changes(&self, tag: &Tag) -> bool {
        let class = tag.classify();
        let is_config = class.role == TagRole::SequenceHeader;
        let format = self.track_of(tag.kind).and_then(|number| self.formats.get(number));
        let found = class.tracks().find(|track| track.id == 0);
        let (Some(format), Some(found)) = (format, found) else { return false };
        if found.codec != Some(format.codec) {
            return is_config || class.role.is_frame();
        }
        let record = &tag.body[found.data];
        match format.codec {
            Codec::Aac => is_config && *record != *format.record,
            Codec::Opus if is_config => Format::to_send(Codec::Opus, record, None)
                .is_none_or(|other| other.channels != format.channels && !format.record.is_empty()),
            _ => false,
        }
    }

    fn track_of(&self, kind: TagKind) -> Option<usize> {
        self.formats.iter().position(|format| format.kind() == kind)
    }

    fn timestamp(&self, track: usize, nanoseconds: i128) -> u32 {
        let (Some(format), Some(track)) = (self.formats.get(track), self.tracks.get(track)) else { return 0 };
        track.base.wrapping_add(clock::ticks(nanoseconds, format.clock_rate) as u32)
    }

    fn sender_report(&self, track: usize, now_ntp: u64) -> Option<SenderReport> {
        let wire = &self.tracks.get(track)?.wire;
        Some(SenderReport {
            ssrc: wire.ssrc,
            ntp: now_ntp,
            rtp_timestamp: self.timestamp(track, self.clock.media_at(now_ntp)),
            packets: wire.packets,
            octets: wire.octets,
        })
    }

    fn cname(&self) -> String {
        format!("{:016x}", self.name)
    }
}
