//! AAC: AudioSpecificConfig (ISO 14496-3, 1.6.2.1) and ADTS headers (1.A.2.2).
//!
//! Not here: AAC itself; program config elements, whose channels are unknown; LATM. Total: broken bytes give `None`.

use super::bits::BitReader;
use alloc::vec::Vec;

/// An AudioSpecificConfig: FLV's AAC sequence header, MP4's decoder specific info.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// 2 is AAC-LC; of the core where SBR is on.
    pub object_type: u8,
    /// In Hz, of the core where SBR is on.
    pub sample_rate: u32,
    /// `channelConfiguration`: 0 where a program config element tells.
    pub channel_configuration: u8,
    /// In Hz: spectral band replication is on and makes this of it (HE-AAC).
    pub sbr_rate: Option<u32>,
    /// Parametric stereo is on (HE-AAC v2).
    pub has_parametric_stereo: bool,
    /// Frames have 960 samples instead of 1024.
    pub has_short_frames: bool,
}

impl AudioSpecificConfig {
    /// AAC of this object type without extensions.
    pub const fn plain(object_type: u8, sample_rate: u32, channel_configuration: u8) -> AudioSpecificConfig {
        AudioSpecificConfig {
            object_type,
            sample_rate,
            channel_configuration,
            sbr_rate: None,
            has_parametric_stereo: false,
            has_short_frames: false,
        }
    }

    /// Parses a configuration. Bytes behind it may announce SBR, and never make it invalid.
    pub fn parse(config: &[u8]) -> Option<AudioSpecificConfig> {
        let mut bits = BitReader::new(config);
        let mut object_type = read_object_type(&mut bits)?;
        let sample_rate = read_rate(&mut bits)?;
        let channel_configuration = bits.bits(4)? as u8;
        let mut parsed = AudioSpecificConfig::plain(object_type, sample_rate, channel_configuration);
        if matches!(object_type, SBR | PS) {
            parsed.has_parametric_stereo = object_type == PS;
            parsed.sbr_rate = Some(read_rate(&mut bits)?);
            object_type = read_object_type(&mut bits)?;
            parsed.object_type = object_type;
        }
        // Files exist in which this much is all.
        if is_general_audio(object_type)
            && read_general_audio(&mut bits, &mut parsed).is_some()
            && parsed.sbr_rate.is_none()
        {
            let _ = read_extension(&mut bits, &mut parsed);
        }
        Some(parsed)
    }

    /// The bytes: two for what [`AudioSpecificConfig::plain`] gives at a usual rate. HE-AAC is announced explicitly, in the first object
    /// type. Not for a program config element, which would have to follow.
    pub fn build(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        if let Some(sbr_rate) = self.sbr_rate {
            bits.push_object_type(if self.has_parametric_stereo { PS } else { SBR });
            bits.push_rate(self.sample_rate);
            bits.push(u32::from(self.channel_configuration), 4);
            bits.push_rate(sbr_rate);
            bits.push_object_type(self.object_type);
        } else {
            bits.push_object_type(self.object_type);
            bits.push_rate(self.sample_rate);
            bits.push(u32::from(self.channel_configuration), 4);
        }
        bits.push(u32::from(self.has_short_frames) << 2, 3);
        bits.bytes
    }

    /// What is heard: channels and rate with all extensions on. 0 channels where a program config element tells.
    pub fn output(&self) -> (u32, u16) {
        let channels = match (self.has_parametric_stereo, self.channel_configuration) {
            (true, 1) => 2,
            (_, 7 | 12 | 14) => 8,
            (_, 11) => 7,
            (_, other) => u16::from(if other < 7 { other } else { 0 }),
        };
        (self.sbr_rate.unwrap_or(self.sample_rate), channels)
    }

    /// Samples of a frame, at `sample_rate`.
    pub const fn frame_len(&self) -> u32 {
        if self.has_short_frames { 960 } else { 1024 }
    }
}

fn read_object_type(bits: &mut BitReader<'_>) -> Option<u8> {
    match bits.bits(5)? as u8 {
        31 => bits.bits(6).map(|more| 32 + more as u8),
        object_type => Some(object_type),
    }
}

fn read_rate(bits: &mut BitReader<'_>) -> Option<u32> {
    let index = bits.bits(4)?;
    let rate = if index == 15 { bits.bits(24)? } else { *RATES.get(index as usize)? };
    (rate > 0).then_some(rate)
}

/// GASpecificConfig. `None` if it is cut off, or cannot be passed over.
fn read_general_audio(bits: &mut BitReader<'_>, parsed: &mut AudioSpecificConfig) -> Option<()> {
    parsed.has_short_frames = bits.flag()?;
    if bits.flag()? {
        bits.skip(14)?;
    }
    let has_extension = bits.flag()?;
    if parsed.channel_configuration == 0 {
        return None;
    }
    if matches!(parsed.object_type, 6 | 20) {
        bits.skip(3)?;
    }
    if has_extension {
        match parsed.object_type {
            22 => bits.skip(16)?,
            17 | 19 | 20 | 23 => bits.skip(3)?,
            _ => {}
        }
        bits.skip(1)?;
    }
    Some(())
}

/// SBR and PS announced behind a configuration that old decoders understand.
fn read_extension(bits: &mut BitReader<'_>, parsed: &mut AudioSpecificConfig) -> Option<()> {
    if bits.bits(11)? != SBR_SYNC || read_object_type(bits)? != SBR || !bits.flag()? {
        return None;
    }
    parsed.sbr_rate = Some(read_rate(bits)?);
    parsed.has_parametric_stereo = bits.bits(11)? == PS_SYNC && bits.flag()?;
    Some(())
}

const fn is_general_audio(object_type: u8) -> bool {
    matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23)
}

#[derive(Debug, Default)]
struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are written.
    used: u32,
}

impl BitWriter {
    fn push(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> bit & 1) as u8) << (7 - self.used);
            }
            self.used = (self.used + 1) % 8;
        }
    }

    fn push_object_type(&mut self, object_type: u8) {
        if object_type < 31 {
            self.push(u32::from(object_type), 5);
        } else {
            self.push(31, 5);
            self.push(u32::from(object_type) - 31 - 1, 6);
        }
    }

    fn push_rate(&mut self, rate: u32) {
        match RATES.iter().position(|known| *known == rate) {
            Some(index) => self.push(index as u32, 4),
            None => {
                self.push(15, 4);
                self.push(rate, 24);
            }
        }
    }
}

/// The header of an ADTS frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdtsHeader {
    /// Object type, rate and channels, without what only the frames themselves say of SBR.
    pub config: AudioSpecificConfig,
    /// Bytes of header and checksum: 7 or 9.
    pub header_len: usize,
    /// Bytes of the whole frame.
    pub frame_len: usize,
    /// AAC frames in it, 1 in every known stream.
    pub blocks: u32,
}

impl AdtsHeader {
    /// Parses the 7 bytes of a header, or more. `None` if there is none here.
    pub fn parse(bytes: &[u8]) -> Option<AdtsHeader> {
        let header = bytes.get(..ADTS_HEADER_LEN)?;
        // Layer 0; the version bit may be either.
        if header[0] != 0xff || header[1] & 0xf6 != 0xf0 {
            return None;
        }
        let sample_rate = *RATES.get(usize::from(header[2] >> 2 & 15))?;
        let channels = (header[2] & 1) << 2 | header[3] >> 6;
        let config = AudioSpecificConfig::plain((header[2] >> 6) + 1, sample_rate, channels);
        let header_len = if header[1] & 1 == 1 { ADTS_HEADER_LEN } else { ADTS_HEADER_LEN + 2 };
        let frame_len =
            usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5] >> 5);
        let blocks = u32::from(header[6] & 3) + 1;
        (frame_len > header_len).then_some(AdtsHeader { config, header_len, frame_len, blocks })
    }
}

/// Bytes of an ADTS header without checksum.
pub const ADTS_HEADER_LEN: usize = 7;
/// Bytes of the longest ADTS frame: its length has 13 bits.
pub const MAX_ADTS_FRAME_LEN: usize = 0x1fff;

const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const SBR: u8 = 5;
const PS: u8 = 29;
const SBR_SYNC: u32 = 0x2b7;
const PS_SYNC: u32 = 0x548;

#[cfg(test)]
mod tests {
    use super::*;

    /// (bytes, configuration, rate and channels heard)
    fn configs() -> [(&'static [u8], AudioSpecificConfig, (u32, u16)); 9] {
        let lc = AudioSpecificConfig::plain;
        let he = AudioSpecificConfig { sbr_rate: Some(48_000), ..lc(2, 24_000, 2) };
        let he2 =
            AudioSpecificConfig { has_parametric_stereo: true, sbr_rate: Some(44_100), ..lc(2, 22_050, 1) };
        [
            (&[0x12, 0x08], lc(2, 44_100, 1), (44_100, 1)),
            (&[0x12, 0x10], lc(2, 44_100, 2), (44_100, 2)),
            (&[0x11, 0x90], lc(2, 48_000, 2), (48_000, 2)),
            (&[0x14, 0x08], lc(2, 16_000, 1), (16_000, 1)),
            (&[0x11, 0xb8], lc(2, 48_000, 7), (48_000, 8)),
            (&[0x17, 0x80, 0x2e, 0xe0, 0x10], lc(2, 24_000, 2), (24_000, 2)),
            (&[0x11, 0x94], AudioSpecificConfig { has_short_frames: true, ..lc(2, 48_000, 2) }, (48_000, 2)),
            (&[0x2b, 0x11, 0x88, 0x00], he, (48_000, 2)),
            (&[0xeb, 0x8a, 0x08, 0x00], he2, (44_100, 2)),
        ]
    }

    #[test]
    fn configurations_are_read_and_those_in_their_shortest_form_written() {
        for (bytes, config, output) in configs() {
            let parsed = AudioSpecificConfig::parse(bytes).expect("a configuration");
            assert_eq!((parsed, parsed.output()), (config, output), "{bytes:02x?}");
            let built = config.build();
            assert_eq!(AudioSpecificConfig::parse(&built), Some(config), "{bytes:02x?}");
            if config.sample_rate != 24_000 || config.sbr_rate.is_some() {
                assert_eq!(built, bytes);
            }
        }
    }

    #[test]
    fn what_follows_the_configuration_may_announce_sbr_and_never_harms() {
        let parse = |bytes: &[u8]| {
            AudioSpecificConfig::parse(bytes).map(|config| (config.sample_rate, config.output()))
        };
        assert_eq!(parse(&[0x12, 0x10, 0x56, 0xe5, 0x00]), Some((44_100, (44_100, 2))), "no SBR");
        assert_eq!(parse(&[0x13, 0x10, 0x56, 0xe5, 0x98]), Some((24_000, (48_000, 2))), "SBR");
        assert_eq!(
            parse(&[0x13, 0x88, 0x56, 0xe5, 0xa5, 0x48, 0x80]),
            Some((22_050, (44_100, 2))),
            "SBR and PS"
        );
        assert_eq!(parse(&[0x12, 0x10, 0xff, 0xff, 0xff]), Some((44_100, (44_100, 2))));
        assert_eq!(parse(&[0x12, 0x00]), Some((44_100, (44_100, 0))), "channels in the frames");
        for broken in [&[][..], &[0x12], &[0x17, 0x80], &[0x16, 0x90], &[0x17, 0x80, 0, 0, 0x10]] {
            assert_eq!(AudioSpecificConfig::parse(broken), None, "{broken:02x?}");
        }
    }

    #[test]
    fn adts_headers_say_configuration_and_length() {
        let header = [0xff, 0xf1, 0x50, 0x80, 0x0d, 0x7f, 0xfc];
        let config = AudioSpecificConfig::plain(2, 44_100, 2);
        let parsed = AdtsHeader { config, header_len: 7, frame_len: 107, blocks: 1 };
        assert_eq!(AdtsHeader::parse(&header), Some(parsed));
        assert_eq!(parsed.config.build(), [0x12, 0x10]);
        let with_checksum = [0xff, 0xf8, 0x50, 0x80, 0x0d, 0x7f, 0xfd, 0, 0];
        assert_eq!(
            AdtsHeader::parse(&with_checksum),
            Some(AdtsHeader { header_len: 9, blocks: 2, ..parsed })
        );
        for (at, wrong) in [(0, 0xfe), (1, 0xe1), (1, 0xf3), (2, 0x74), (4, 0)] {
            let mut broken = header;
            broken[at] = wrong;
            if at == 4 {
                broken[5] = 0x1f;
            }
            assert_eq!(AdtsHeader::parse(&broken), None, "{broken:02x?}");
        }
        assert_eq!(AdtsHeader::parse(&header[..6]), None);
    }
}
