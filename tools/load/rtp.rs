//! Packets of one RTP track -> the tags that were published, of the synthetic stream alone: H.264 in single NAL units and FU-A
//! (RFC 6184), AAC in AAC-hbr (RFC 3640). Written apart from weir's own reader, so that one checks the other.
//!
//! Parameter sets and other NAL units beside pictures are passed over. A tag's time counts from the time that the track's first
//! stamp tells.
//! Bounds: one access unit.

use crate::stream::Stamp;
use std::collections::VecDeque;
use weir::{
    base::Timestamp,
    flv::{Tag, TagKind},
};

/// See the module.
pub(crate) struct Unpacker {
    kind: TagKind,
    /// Ticks a second.
    clock: u64,
    /// The number that must come next.
    next: Option<u16>,
    /// A NAL unit, as far as it has come.
    unit: Vec<u8>,
    /// Of the track's first tag: ticks, and milliseconds.
    first: Option<(u32, u32)>,
}

impl Unpacker {
    /// By the value of `a=rtpmap`; `None` for what load does not publish.
    pub(crate) fn new(map: &str) -> Option<Unpacker> {
        let mut encoding = map.split_whitespace().nth(1)?.split('/');
        let kind = match encoding.next()?.to_ascii_uppercase().as_str() {
            "H264" => TagKind::Video,
            "MPEG4-GENERIC" => TagKind::Audio,
            _ => return None,
        };
        let clock = encoding.next()?.parse().ok().filter(|clock| *clock > 0)?;
        Some(Unpacker { kind, clock, next: None, unit: Vec::new(), first: None })
    }

    /// Takes a packet; what is whole by then goes to `tags`.
    ///
    /// # Errors
    /// Packets are missing or doubled, or this is none.
    pub(crate) fn take(&mut self, packet: &[u8], tags: &mut VecDeque<Tag>) -> Result<(), String> {
        let (header, payload) = packet.split_at_checked(12).ok_or("a packet without a header")?;
        if header[0] != 0x80 {
            return Err(format!("a packet that begins with {:#04x}", header[0]));
        }
        let number = u16::from_be_bytes([header[2], header[3]]);
        if let Some(next) = self.next.filter(|next| *next != number) {
            return Err(format!("{:?} packet {number} came where {next} was due", self.kind));
        }
        self.next = Some(number.wrapping_add(1));
        let time = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        match self.kind {
            TagKind::Video => self.video(payload, time, tags),
            _ => self.audio(payload, time, tags),
        }
    }

    fn video(&mut self, payload: &[u8], time: u32, tags: &mut VecDeque<Tag>) -> Result<(), String> {
        match *payload {
            [indicator, header, ref rest @ ..] if indicator & 0x1f == 28 => {
                if header & 0x80 != 0 {
                    self.unit.clear();
                    self.unit.push(indicator & 0xe0 | header & 0x1f);
                }
                // Who joins may get the rest of a unit first.
                if !self.unit.is_empty() {
                    self.unit.extend(rest);
                }
                if header & 0x40 != 0 && !self.unit.is_empty() {
                    let unit = std::mem::take(&mut self.unit);
                    self.picture(&unit, time, tags);
                }
            }
            [header, ..] if (1..=23).contains(&(header & 0x1f)) => self.picture(payload, time, tags),
            [header, ..] if header & 0x1f == 24 => {}
            _ => return Err("a payload that is not of H.264".into()),
        }
        Ok(())
    }

    /// A NAL unit; one picture is one of them.
    fn picture(&mut self, unit: &[u8], time: u32, tags: &mut VecDeque<Tag>) {
        let head = match unit[0] & 0x1f {
            5 => 0x17,
            1 => 0x27,
            _ => return,
        };
        let mut body = vec![head, 1, 0, 0, 0];
        body.extend((unit.len() as u32).to_be_bytes());
        body.extend(unit);
        tags.push_back(self.tag(body, time));
    }

    fn audio(&mut self, payload: &[u8], time: u32, tags: &mut VecDeque<Tag>) -> Result<(), String> {
        let too_short = || "a payload that is not of AAC".to_string();
        let (bits, rest) = payload.split_first_chunk::<2>().ok_or_else(too_short)?;
        let headers = usize::from(u16::from_be_bytes(*bits)) / 8;
        let (headers, mut units) = rest.split_at_checked(headers).ok_or_else(too_short)?;
        for (index, header) in headers.chunks_exact(2).enumerate() {
            let len = usize::from(u16::from_be_bytes([header[0], header[1]]) >> 3);
            let (unit, others) = units.split_at_checked(len).ok_or_else(too_short)?;
            units = others;
            let body = [&[0xaf, 1], unit].concat();
            tags.push_back(self.tag(body, time.wrapping_add(1024 * index as u32)));
        }
        Ok(())
    }

    fn tag(&mut self, body: Vec<u8>, time: u32) -> Tag {
        let mut tag = Tag::new(self.kind, Timestamp(0), body.into());
        let Some(Ok(stamp)) = Stamp::read_moved(&tag) else { return tag };
        let (ticks, start) = *self.first.get_or_insert((time, stamp.timestamp));
        let passed = (u64::from(time.wrapping_sub(ticks)) * 1000 + self.clock / 2) / self.clock;
        let at = start.wrapping_add(passed as u32);
        // A track's clock and milliseconds are not cut at the same places.
        let is_same = at.wrapping_sub(stamp.timestamp).wrapping_add(1) <= 2;
        tag.timestamp = Timestamp(if is_same { stamp.timestamp } else { at });
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Shape, Source};
    use std::time::Instant;

    const SHAPE: Shape =
        Shape { bitrate: 2_000_000, fps: 30, gop: 4, audio_bitrate: 64_000, keyframe: None, start: 77 };

    fn packet(number: u16, time: u32, payload: &[&[u8]]) -> Vec<u8> {
        let mut packet = vec![0x80, 96];
        packet.extend(number.to_be_bytes());
        packet.extend(time.to_be_bytes());
        packet.extend([1, 2, 3, 4]);
        payload.iter().for_each(|part| packet.extend(*part));
        packet
    }

    /// As servers send it: what fits in one packet is one.
    fn packets_of(tag: &Tag, number: &mut u16) -> Vec<Vec<u8>> {
        let ms = u64::from(tag.timestamp.0);
        let mut send = |time: u64, payload: &[&[u8]]| {
            *number = number.wrapping_add(1);
            packet(*number, (time as u32).wrapping_add(u32::MAX - 5000), payload)
        };
        if tag.kind == TagKind::Audio {
            let len = (tag.body.len() - 2) as u16;
            return vec![send(ms * 44_100 / 1000, &[&[0, 16], &(len << 3).to_be_bytes(), &tag.body[2..]])];
        }
        let unit = &tag.body[9..];
        if unit.len() < 1400 {
            return vec![send(ms * 90, &[unit])];
        }
        let parts: Vec<&[u8]> = unit[1..].chunks(1400).collect();
        let last = parts.len() - 1;
        let flags = |index: usize| if index == 0 { 0x80 } else { 0 } | if index == last { 0x40 } else { 0 };
        let head = |index: usize| [unit[0] & 0xe0 | 28, flags(index) | unit[0] & 0x1f];
        parts.iter().enumerate().map(|(index, part)| send(ms * 90, &[&head(index), part])).collect()
    }

    #[test]
    fn packets_become_the_tags_that_were_published() {
        let mut source = Source::new(SHAPE, 0);
        let mut video = Unpacker::new("96 H264/90000").unwrap();
        let mut audio = Unpacker::new("97 mpeg4-generic/44100/2").unwrap();
        let (mut numbers, mut tags) = ([u16::MAX - 3, 9], VecDeque::new());
        for _ in 0..100 {
            let tag = source.next_tag(Instant::now());
            let (unpacker, number) = match tag.kind {
                TagKind::Video => (&mut video, &mut numbers[0]),
                _ => (&mut audio, &mut numbers[1]),
            };
            for packet in packets_of(&tag, number) {
                unpacker.take(&packet, &mut tags).unwrap();
            }
            assert_eq!(tags.pop_front().as_ref(), Some(&tag));
            assert!(tags.is_empty());
        }
    }

    #[test]
    fn a_missing_packet_a_damaged_one_and_a_wrong_time_are_seen() {
        let mut source = Source::new(Shape { audio_bitrate: 0, ..SHAPE }, 0);
        let (mut number, mut tags) = (0, VecDeque::new());
        let mut unpacker = Unpacker::new("96 H264/90000").unwrap();
        let key = packets_of(&source.next_tag(Instant::now()), &mut number);
        assert!(key.len() > 2);
        unpacker.take(&key[0], &mut tags).unwrap();
        assert!(unpacker.take(&key[2], &mut tags).is_err());
        let mut unpacker = Unpacker::new("96 H264/90000").unwrap();
        key.iter().for_each(|packet| unpacker.take(packet, &mut tags).unwrap());
        assert!(Stamp::read(&tags.pop_front().unwrap()).unwrap().is_ok());
        let mut late = packets_of(&source.next_tag(Instant::now()), &mut number);
        late.iter_mut().for_each(|packet| packet[6] ^= 2);
        late.iter().for_each(|packet| unpacker.take(packet, &mut tags).unwrap());
        assert!(Stamp::read(&tags.pop_front().unwrap()).unwrap().is_err(), "512 ticks off");
        let mut damaged = packets_of(&source.next_tag(Instant::now()), &mut number);
        *damaged[0].last_mut().unwrap() ^= 1;
        damaged.iter().for_each(|packet| unpacker.take(packet, &mut tags).unwrap());
        assert!(Stamp::read(&tags.pop_front().unwrap()).unwrap().is_err());
    }
}
