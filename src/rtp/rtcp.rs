//! RTCP: reports, names and goodbyes (RFC 3550, 6).
//!
//! In: compound packets; or reports to be written. Out: what they say, part by part; compound packets. Not here: when reports
//! are due, what a receiver counts (`receive`), what a sender counts (`send`). Passed over: what a source says of itself (SDES), APP, feedback.
//! Total: what is broken ends the reading, and what stands before it counts.
//! Field notes: ffmpeg sends reports without SDES and reports about our SSRC plus one; ffmpeg and live555 drop a goodbye that is not behind
//! a report in the same packet, so none is written without one.

use crate::base::wire::Cursor;
use alloc::vec::Vec;
use core::time::Duration;

/// What a sender says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderReport {
    /// The sender.
    pub ssrc: u32,
    /// Seconds since 1900 in the high 32 bits, modulo 2^32, and 2^32ths of a second in the low ones ([`ntp`]).
    pub ntp: u64,
    /// The same instant on the clock of the sender's packets.
    pub rtp_timestamp: u32,
    /// Packets sent so far, modulo 2^32.
    pub packets: u32,
    /// Bytes of payload sent so far, modulo 2^32.
    pub octets: u32,
}

/// What a receiver says of one sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The sender.
    pub ssrc: u32,
    /// Of the packets expected since the last report, how many in 256 are missing.
    pub fraction_lost: u8,
    /// Packets missing so far, less duplicates: 24 bits with sign.
    pub lost: i32,
    /// The highest sequence number so far, and above it how often it has wrapped.
    pub highest_sequence: u32,
    /// How unevenly packets come, in ticks of their clock.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time; 0 if there was none.
    pub last_report: u32,
    /// 65536ths of a second since that report came.
    pub delay: u32,
}

/// One part of a compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A sender about itself.
    Sender(SenderReport),
    /// A receiver, or a sender that receives as well, about some sender.
    Block(ReportBlock),
    /// This source has left.
    Goodbye(u32),
}

/// What a compound packet says, in its order.
pub fn parse(packet: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut cursor = Cursor::new(packet);
    while read_packet(&mut cursor, &mut parts).is_some() {}
    parts
}

/// `None` behind the last one.
fn read_packet(cursor: &mut Cursor<'_>, parts: &mut Vec<Part>) -> Option<()> {
    let (first, kind, words) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    if first >> 6 != VERSION {
        return None;
    }
    let mut body = Cursor::new(cursor.take(usize::from(words) * 4)?);
    // One that is cut short says what is there of it.
    let _ = read_body(&mut body, kind, first & COUNT, parts);
    Some(())
}

fn read_body(body: &mut Cursor<'_>, kind: u8, count: u8, parts: &mut Vec<Part>) -> Option<()> {
    match kind {
        SENDER_REPORT => {
            let ssrc = body.u32()?;
            let ntp = u64::from(body.u32()?) << 32 | u64::from(body.u32()?);
            let (rtp_timestamp, packets, octets) = (body.u32()?, body.u32()?, body.u32()?);
            parts.push(Part::Sender(SenderReport { ssrc, ntp, rtp_timestamp, packets, octets }));
        }
        RECEIVER_REPORT => {
            body.u32()?;
        }
        GOODBYE => {
            for _ in 0..count {
                parts.push(Part::Goodbye(body.u32()?));
            }
            return Some(());
        }
        _ => return None,
    }
    for _ in 0..count {
        let (ssrc, fraction_lost, lost) = (body.u32()?, body.u8()?, body.u24()?);
        parts.push(Part::Block(ReportBlock {
            ssrc,
            fraction_lost,
            lost: (lost << 8) as i32 >> 8,
            highest_sequence: body.u32()?,
            jitter: body.u32()?,
            last_report: body.u32()?,
            delay: body.u32()?,
        }));
    }
    Some(())
}

/// Appends a sender report and the sender's name: at most 255 bytes of it, the same for all tracks of a presentation.
pub fn sender_report(out: &mut Vec<u8>, report: &SenderReport, cname: &str) {
    let (seconds, fraction) = ((report.ntp >> 32) as u32, report.ntp as u32);
    let words = [report.ssrc, seconds, fraction, report.rtp_timestamp, report.packets, report.octets];
    write_packet(out, SENDER_REPORT, 0, &words);
    write_name(out, report.ssrc, cname);
}

/// Appends a report of the receiver `ssrc` and its name. `blocks`: 31 at most; what is beyond is left out.
pub fn receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock], cname: &str) {
    let blocks = &blocks[..blocks.len().min(usize::from(COUNT))];
    let mut words = Vec::with_capacity(1 + 6 * blocks.len());
    words.push(ssrc);
    for block in blocks {
        let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        let losses = u32::from(block.fraction_lost) << 24 | lost;
        words.extend([block.ssrc, losses, block.highest_sequence]);
        words.extend([block.jitter, block.last_report, block.delay]);
    }
    write_packet(out, RECEIVER_REPORT, blocks.len() as u8, &words);
    write_name(out, ssrc, cname);
}

/// Appends a last report of a sender, its name and its goodbye.
pub fn goodbye(out: &mut Vec<u8>, report: &SenderReport, cname: &str) {
    sender_report(out, report, cname);
    write_packet(out, GOODBYE, 1, &[report.ssrc]);
}

/// This time of the wall clock, since 1970, as reports have it.
pub const fn ntp(since_1970: Duration) -> u64 {
    let seconds = since_1970.as_secs().wrapping_add(SECONDS_1900_TO_1970);
    let fraction = ((since_1970.subsec_nanos() as u64) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

fn write_packet(out: &mut Vec<u8>, kind: u8, count: u8, words: &[u32]) {
    out.extend_from_slice(&[VERSION << 6 | count, kind]);
    out.extend_from_slice(&(words.len() as u16).to_be_bytes());
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// SDES with a CNAME, which every compound packet must have.
fn write_name(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let name = &cname.as_bytes()[..cname.len().min(255)];
    // Behind the items one zero at least, up to the end of a word.
    let words = (2 + name.len()) / 4 + 1;
    out.extend_from_slice(&[VERSION << 6 | 1, DESCRIPTION, 0, words as u8 + 1]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    let end = out.len() + words * 4;
    out.extend_from_slice(&[CNAME, name.len() as u8]);
    out.extend_from_slice(name);
    out.resize(end, 0);
}

const VERSION: u8 = 2;
const COUNT: u8 = 0x1f;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const CNAME: u8 = 1;
const SECONDS_1900_TO_1970: u64 = 0x83aa_7e80;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const REPORT: SenderReport = SenderReport {
        ssrc: 0x1a2b_3c4d,
        ntp: 0xe1f2_0304_8000_0000,
        rtp_timestamp: 90_000,
        packets: 3,
        octets: 4000,
    };
    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 7,
        fraction_lost: 64,
        lost: -2,
        highest_sequence: 0x0001_ffff,
        jitter: 12,
        last_report: 0x0304_8000,
        delay: 65_536,
    };

    #[test]
    fn a_goodbye_stands_behind_report_and_name() {
        let mut out = vec![];
        goodbye(&mut out, &REPORT, "weir");
        let expected =
            b"\x80\xc8\0\x06\x1a\x2b\x3c\x4d\xe1\xf2\x03\x04\x80\0\0\0\0\x01\x5f\x90\0\0\0\x03\0\0\x0f\xa0\
            \x81\xca\0\x03\x1a\x2b\x3c\x4d\x01\x04weir\0\0\x81\xcb\0\x01\x1a\x2b\x3c\x4d";
        assert_eq!(out, expected);
        assert_eq!(parse(&out), [Part::Sender(REPORT), Part::Goodbye(REPORT.ssrc)]);
    }

    #[test]
    fn a_receivers_report_is_read_as_it_was_written() {
        let mut out = vec![];
        receiver_report(&mut out, 9, &[BLOCK, ReportBlock { lost: 0x80_0000, ..BLOCK }], "");
        let most = ReportBlock { lost: 0x7f_ffff, ..BLOCK };
        assert_eq!(parse(&out), [Part::Block(BLOCK), Part::Block(most)]);
        out.clear();
        receiver_report(&mut out, 9, &[BLOCK; 40], "");
        assert_eq!(parse(&out).len(), 31);
        out.clear();
        receiver_report(&mut out, 9, &[], "");
        assert_eq!((parse(&out).len(), out[..2].to_vec()), (0, vec![0x80, 201]));
    }

    #[test]
    fn names_of_all_lengths_end_with_a_zero_at_the_end_of_a_word() {
        for len in 0..=300 {
            let mut out = vec![];
            let name = "n".repeat(len);
            write_name(&mut out, 1, &name);
            let words = usize::from(u16::from_be_bytes([out[2], out[3]]));
            assert_eq!(out.len(), 4 + words * 4, "{len}");
            let zeros = out.len() - 10 - len.min(255);
            assert!((1..=4).contains(&zeros) && out.ends_with(&vec![0; zeros]), "{len}");
        }
    }

    #[test]
    fn what_clients_send_is_understood() {
        // ffmpeg: a lone report; an empty one to open the way through a NAT.
        let mut lone = vec![];
        sender_report(&mut lone, &REPORT, "");
        assert_eq!(parse(&lone[..28]), [Part::Sender(REPORT)]);
        assert_eq!(parse(b"\x80\xc9\0\x01\0\0\0\0"), []);
        // A goodbye by itself, or of two.
        assert_eq!(parse(b"\x82\xcb\0\x02\0\0\0\x05\0\0\0\x06"), [Part::Goodbye(5), Part::Goodbye(6)]);
        assert_eq!(parse(b"\x82\xcb\0\x01\0\0\0\x05\0\0\0\x06"), [Part::Goodbye(5)], "it counts wrong");
        // Feedback and applications' own are passed over.
        let feedback = [b"\x81\xce\0\x02\0\0\0\x01\0\0\0\x02", &lone[..28]].concat();
        assert_eq!(parse(&feedback), [Part::Sender(REPORT)]);
        // A sender that receives.
        let mut block = vec![];
        receiver_report(&mut block, 1, &[BLOCK], "");
        let both = [b"\x81\xc8\0\x0c", &lone[4..28], &block[8..32]].concat();
        assert_eq!(parse(&both), [Part::Sender(REPORT), Part::Block(BLOCK)]);
        for len in 0..52 {
            assert_eq!(parse(&both[..len]), [], "{len} bytes");
        }
        assert_eq!(parse(b"\x40\xc9\0\x01\0\0\0\0"), [], "another version");
    }

    #[test]
    fn the_wall_clock_counts_from_1900() {
        assert_eq!(ntp(Duration::ZERO), 0x83aa_7e80_0000_0000);
        assert_eq!(ntp(Duration::from_millis(1500)), 0x83aa_7e81_8000_0000);
        // 2036: the seconds wrap.
        assert_eq!(ntp(Duration::from_secs(0x7c55_8180)), 0);
    }
}
