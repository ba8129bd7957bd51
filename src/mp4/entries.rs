//! Sample entries: codec and configuration of a track (`stsd`; ISO 14496-12 8.5.2, -14, -15, and those of each codec).
//!
//! In: the `stsd` box. Out: a [`SampleEntry`] for each entry, its configuration in the form in which tags carry it.
//! Bounds: [`MAX_ENTRIES`], [`MAX_CONFIG`].
//! Field notes: rate and channels of an audio entry are often wrong, so AAC's own configuration decides; QuickTime has
//! longer audio entries and hides `esds` in `wave`; ISO files with a version 1 `stsd` use version 1 entries that are not longer.

use super::boxes::{Boxes, Mp4Box};
use crate::{
    base::wire::Cursor,
    codec::{
        self,
        aac::AudioSpecificConfig,
        opus::{self, OpusConfig},
    },
    flv::Codec,
    media::{MediaError, ReadAt},
};
use alloc::vec::Vec;

/// One way in which a track's samples are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SampleEntry {
    /// `None`: nothing that a tag can carry.
    pub(crate) codec: Option<Codec>,
    pub(crate) is_encrypted: bool,
    /// The record of a sequence header; empty for codecs without one.
    pub(crate) config: Vec<u8>,
    /// Bytes of the length before each NAL unit in the file; 0 where there are none.
    pub(crate) nal_length_len: u8,
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
}

/// Reads all entries, those of no use as well, since samples name them by number.
pub(crate) fn read(
    source: &dyn ReadAt,
    stsd: &Mp4Box,
    is_video: bool,
) -> Result<Vec<SampleEntry>, MediaError> {
    let mut head = [0; 8];
    if stsd.len() < 8 || source.read_at(stsd.body, &mut head)? < 8 {
        return Err(stsd.malformed("a short stsd"));
    }
    let mut entries = Vec::new();
    let mut boxes = Boxes::inside(source, stsd.body + 8..stsd.end);
    while let Some(entry) = boxes.next()? {
        if entries.len() == MAX_ENTRIES {
            return Err(MediaError::TooLarge("the number of sample entries"));
        }
        entries.push(if is_video { video(source, &entry)? } else { audio(source, &entry, head[0])? });
    }
    Ok(entries)
}

impl SampleEntry {
    /// What a sequence header says.
    pub(crate) fn record(&self) -> (Option<Codec>, &[u8]) {
        (self.codec, &self.config)
    }

    const fn unknown(kind: [u8; 4]) -> SampleEntry {
        SampleEntry {
            codec: None,
            is_encrypted: matches!(&kind, b"encv" | b"enca" | b"drmi" | b"drms"),
            config: Vec::new(),
            nal_length_len: 0,
            width: 0,
            height: 0,
            sample_rate: 0,
            channels: 0,
        }
    }
}

fn video(source: &dyn ReadAt, entry: &Mp4Box) -> Result<SampleEntry, MediaError> {
    let mut read = SampleEntry::unknown(entry.kind);
    let (codec, config) = match &entry.kind {
        b"avc1" | b"avc3" => (Codec::H264, *b"avcC"),
        b"hvc1" | b"hev1" => (Codec::Hevc, *b"hvcC"),
        b"av01" => (Codec::Av1, *b"av1C"),
        b"vp08" => (Codec::Vp8, *b"vpcC"),
        b"vp09" => (Codec::Vp9, *b"vpcC"),
        _ => return Ok(read),
    };
    let mut fields = [0; VIDEO_FIELDS];
    if entry.len() < fields.len() as u64 || source.read_at(entry.body, &mut fields)? < fields.len() {
        return Err(entry.malformed("a short sample entry"));
    }
    read.width = u16::from_be_bytes([fields[24], fields[25]]);
    read.height = u16::from_be_bytes([fields[26], fields[27]]);
    let mut boxes = Boxes::inside(source, entry.body + VIDEO_FIELDS as u64..entry.end);
    while let Some(child) = boxes.next()? {
        if child.kind == config && read.config.is_empty() {
            read.config = child.read(source, MAX_CONFIG)?;
        }
    }
    // Where the length of NAL units' lengths is, and the shortest record that has it.
    let (at, min_len) = match codec {
        Codec::H264 => (4, 7),
        Codec::Hevc => (21, 23),
        // VP8 and VP9 can be decoded without.
        Codec::Vp8 | Codec::Vp9 => (0, 0),
        _ => (0, 4),
    };
    if read.config.len() >= min_len {
        read.codec = Some(codec);
        if at > 0 {
            read.nal_length_len = (read.config[at] & 3) + 1;
            read.config[at] |= 3;
        }
    }
    Ok(read)
}

fn audio(source: &dyn ReadAt, entry: &Mp4Box, stsd_version: u8) -> Result<SampleEntry, MediaError> {
    let mut read = SampleEntry::unknown(entry.kind);
    let mut fields = [0; AUDIO_FIELDS];
    if entry.len() < fields.len() as u64 || source.read_at(entry.body, &mut fields)? < fields.len() {
        return if read.is_encrypted { Ok(read) } else { Err(entry.malformed("a short sample entry")) };
    }
    read.channels = u16::from_be_bytes([fields[16], fields[17]]);
    read.sample_rate = u32::from(u16::from_be_bytes([fields[24], fields[25]]));
    let more = match fields[9] {
        1 if stsd_version == 0 => 16,
        2 if stsd_version == 0 => 36,
        _ => 0,
    };
    let children = entry.body + (AUDIO_FIELDS + more) as u64..entry.end;
    let config = |kind: &[u8; 4]| match child(source, children.clone(), kind)? {
        Some(found) => found.read(source, MAX_CONFIG).map(Some),
        None => Ok(None),
    };
    match &entry.kind {
        b"mp4a" => {
            if let Some(bytes) = config(b"esds")? {
                elementary_stream(&mut read, &bytes);
            }
        }
        b".mp3" | b"ms\0U" => read.codec = Some(Codec::Mp3),
        b"Opus" => {
            let dops = config(b"dOps")?.unwrap_or_default();
            if let Some(opus) = OpusConfig::parse_box(&dops) {
                read.channels = u16::from(opus.channels);
                read.sample_rate = opus::SAMPLE_RATE;
                (read.codec, read.config) = (Some(Codec::Opus), opus.build_head());
            }
        }
        b"fLaC" => {
            if let Some(head) = config(b"dfLa")?.and_then(|bytes| flac_head(&bytes)) {
                if let Some(format) = codec::audio_format(Codec::Flac, &head) {
                    (read.sample_rate, read.channels) = (format.sample_rate, format.channels);
                }
                (read.codec, read.config) = (Some(Codec::Flac), head);
            }
        }
        b"ac-3" => read.codec = Some(Codec::Ac3),
        b"ec-3" => read.codec = Some(Codec::Eac3),
        b"alaw" => read.codec = Some(Codec::G711A),
        b"ulaw" => read.codec = Some(Codec::G711U),
        _ => {}
    }
    Ok(read)
}

/// A child of an audio entry, or of the `wave` box in it.
fn child(
    source: &dyn ReadAt,
    range: core::ops::Range<u64>,
    kind: &[u8; 4],
) -> Result<Option<Mp4Box>, MediaError> {
    let mut boxes = Boxes::inside(source, range);
    while let Some(found) = boxes.next()? {
        if found.kind == *kind {
            return Ok(Some(found));
        }
        if found.kind == *b"wave" {
            return super::header::find(source, &found, kind);
        }
    }
    Ok(None)
}

/// `esds`: what an `mp4a` entry really holds (ISO 14496-1, 7.2.6). Nothing of use is no codec.
fn elementary_stream(entry: &mut SampleEntry, esds: &[u8]) {
    let Some((object_type, config)) = decoder_config(esds) else { return };
    match object_type {
        AAC | 0x66..=0x68 => {
            let config = config.map(<[u8]>::to_vec);
            // Some files leave it at rate and channels, which mean AAC-LC.
            let plain =
                || AudioSpecificConfig::plain(2, entry.sample_rate, entry.channels.clamp(1, 6) as u8).build();
            let config = config.unwrap_or_else(plain);
            let Some(format) = AudioSpecificConfig::parse(&config).map(|config| config.output()) else {
                return;
            };
            entry.sample_rate = format.0;
            if format.1 > 0 {
                entry.channels = format.1;
            }
            (entry.codec, entry.config) = (Some(Codec::Aac), config);
        }
        0x69 | 0x6b => entry.codec = Some(Codec::Mp3),
        _ => {}
    }
}

/// Object type and configuration of the first DecoderConfigDescriptor.
fn decoder_config(esds: &[u8]) -> Option<(u8, Option<&[u8]>)> {
    let mut cursor = Cursor::new(esds);
    cursor.u32()?;
    let mut stream = descriptor(&mut cursor, 3)?;
    stream.u16()?;
    let flags = stream.u8()?;
    if flags & 0x80 != 0 {
        stream.u16()?;
    }
    if flags & 0x40 != 0 {
        let len = stream.u8()?;
        stream.take(usize::from(len))?;
    }
    if flags & 0x20 != 0 {
        stream.u16()?;
    }
    let mut decoder = descriptor(&mut stream, 4)?;
    let object_type = decoder.u8()?;
    decoder.take(12)?;
    let config = descriptor(&mut decoder, 5).map(|config| config.rest()).filter(|config| !config.is_empty());
    Some((object_type, config))
}

/// The content of the next descriptor, which must be `tag`. One that claims more than there is ends with what there is.
fn descriptor<'a>(cursor: &mut Cursor<'a>, tag: u8) -> Option<Cursor<'a>> {
    if cursor.u8()? != tag {
        return None;
    }
    let mut len = 0;
    for _ in 0..4 {
        let byte = cursor.u8()?;
        len = len << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let len = len.min(cursor.remaining());
    cursor.take(len).map(Cursor::new)
}

/// The first block of `dfLa`, which is STREAMINFO, marked as the only one, behind `fLaC`.
fn flac_head(dfla: &[u8]) -> Option<Vec<u8>> {
    let info = dfla.get(4..42).filter(|info| info[0] & 0x7f == 0 && info[1..4] == [0, 0, 34])?;
    let mut head = b"fLaC".to_vec();
    head.extend_from_slice(info);
    head[4] = 0x80;
    Some(head)
}

/// objectTypeIndication of MPEG-4 audio.
const AAC: u8 = 0x40;

/// Fixed fields of a video entry, behind the box header.
const VIDEO_FIELDS: usize = 78;

/// Fixed fields of an audio entry, without those that QuickTime adds.
const AUDIO_FIELDS: usize = 28;

/// Files that were cut together have one for each part.
const MAX_ENTRIES: usize = 256;

/// Parameter sets and descriptors: some hundred bytes.
const MAX_CONFIG: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::testing::{audio_entry, full_box, mp4_box, video_entry};
    use alloc::vec;

    fn one(entry: &[u8], is_video: bool) -> SampleEntry {
        read_with(0, entry, is_video).expect("an stsd that holds together").remove(0)
    }

    fn read_with(version: u8, entry: &[u8], is_video: bool) -> Result<Vec<SampleEntry>, MediaError> {
        let stsd = full_box(b"stsd", version, 0, &[&[0, 0, 0, 1], entry].concat());
        let source = &*stsd;
        let stsd = Boxes::of_file(&source, 0..source.len() as u64).next().unwrap().expect("a box");
        read(&source, &stsd, is_video)
    }

    /// As ffmpeg writes it, around an AudioSpecificConfig.
    fn esds(object_type: u8, config: &[u8]) -> Vec<u8> {
        let mut decoder = vec![object_type, 0x15, 0, 0, 0, 0, 1, 0x77, 0x81, 0, 1, 0x77, 0x81];
        if !config.is_empty() {
            decoder.extend([5, 0x80, 0x80, 0x80, config.len() as u8]);
            decoder.extend_from_slice(config);
        }
        let mut stream = vec![0, 2, 0, 4, 0x80, 0x80, 0x80, decoder.len() as u8];
        stream.extend(decoder);
        stream.extend([6, 0x80, 0x80, 0x80, 1, 2]);
        let mut body = vec![3, 0x80, 0x80, 0x80, stream.len() as u8];
        body.extend(stream);
        full_box(b"esds", 0, 0, &body)
    }

    #[test]
    fn lengths_of_nal_units_become_four() {
        for (first, len) in [(0xff, 4), (0xfd, 2), (0xfc, 1)] {
            let record = [1, 100, 0, 30, first, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68];
            let entry = one(&video_entry(b"avc1", 640, 360, &mp4_box(b"avcC", &record)), true);
            assert_eq!((entry.codec, entry.nal_length_len), (Some(Codec::H264), len));
            assert_eq!((entry.config[4], &entry.config[5..]), (0xff, &record[5..]));
            assert_eq!((entry.width, entry.height), (640, 360));
        }
    }

    #[test]
    fn every_video_codec_is_known_by_its_entry() {
        let record = [1; 23];
        for (kind, config, codec) in [
            (b"avc3", b"avcC", Codec::H264),
            (b"hvc1", b"hvcC", Codec::Hevc),
            (b"hev1", b"hvcC", Codec::Hevc),
            (b"av01", b"av1C", Codec::Av1),
            (b"vp08", b"vpcC", Codec::Vp8),
            (b"vp09", b"vpcC", Codec::Vp9),
        ] {
            let children = [mp4_box(b"pasp", &[0; 8]), mp4_box(config, &record)].concat();
            assert_eq!(one(&video_entry(kind, 1, 1, &children), true).codec, Some(codec));
        }
        assert_eq!(one(&video_entry(b"avc1", 1, 1, &[]), true).codec, None, "no configuration");
        assert_eq!(one(&video_entry(b"mp4v", 1, 1, &[]), true).codec, None);
        assert!(one(&video_entry(b"encv", 1, 1, &[]), true).is_encrypted);
    }

    #[test]
    fn aac_is_what_its_own_configuration_says() {
        for (config, rate, channels) in [
            (&[0x12, 0x10, 0x56, 0xe5, 0][..], 44_100, 2),
            (&[0x11, 0x88], 48_000, 1),
            (&[0x2b, 0x92, 8, 0], 22_050 * 2, 2),
            (&[0x17, 0x80, 0x5d, 0xc0, 0x10], 48_000, 2),
        ] {
            let entry = one(&audio_entry(b"mp4a", 0, 6, 22_050, &esds(0x40, config)), false);
            assert_eq!(entry.codec, Some(Codec::Aac));
            assert_eq!((entry.sample_rate, entry.channels, &*entry.config), (rate, channels, config));
        }
        let bare = one(&audio_entry(b"mp4a", 0, 2, 48_000, &esds(0x67, &[])), false);
        assert_eq!(&*bare.config, [0x11, 0x90]);
        assert_eq!(one(&audio_entry(b"mp4a", 0, 2, 48_000, &esds(0x6b, &[])), false).codec, Some(Codec::Mp3));
        assert_eq!(one(&audio_entry(b"mp4a", 0, 2, 48_000, &esds(0xdd, &[1, 2])), false).codec, None);
    }

    #[test]
    fn quicktime_hides_it_in_longer_entries() {
        let wave = [mp4_box(b"frma", b"mp4a"), mp4_box(b"mp4a", &[0; 4]), esds(0x40, &[0x12, 0x10])].concat();
        let wave = [mp4_box(b"wave", &wave), mp4_box(b"chan", &[0; 12])].concat();
        for (version, more) in [(1, 16), (2, 36)] {
            let children = [&vec![0; more][..], &wave].concat();
            let entry = one(&audio_entry(b"mp4a", version, 2, 44_100, &children), false);
            assert_eq!(entry.codec, Some(Codec::Aac), "version {version}");
        }
        let entry = audio_entry(b"mp4a", 1, 2, 44_100, &esds(0x40, &[0x12, 0x10]));
        assert_eq!(read_with(1, &entry, false).unwrap()[0].codec, Some(Codec::Aac), "ISO, version 1");
    }

    #[test]
    fn opus_and_flac_get_the_heads_of_their_own_files() {
        let dops = [0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0];
        let entry = one(&audio_entry(b"Opus", 0, 2, 48_000, &mp4_box(b"dOps", &dops)), false);
        assert_eq!(&*entry.config, b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0");
        let surround = [0, 3, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 1, 2, 1, 0, 2, 1];
        let entry = one(&audio_entry(b"Opus", 0, 2, 48_000, &mp4_box(b"dOps", &surround)), false);
        assert_eq!((entry.channels, &entry.config[18..]), (3, &[1, 2, 1, 0, 2, 1][..]));
        let mut info = [0; 38];
        info[..4].copy_from_slice(&[0, 0, 0, 34]);
        info[14..18].copy_from_slice(&[0x0a, 0xc4, 0x42, 0xf0]);
        let children = full_box(b"dfLa", 0, 0, &[&info[..], &[0x84, 0, 0, 0]].concat());
        let entry = one(&audio_entry(b"fLaC", 0, 1, 0, &children), false);
        assert_eq!((&entry.config[..8], entry.config.len()), (&b"fLaC\x80\0\0\x22"[..], 42));
        assert_eq!((entry.codec, entry.sample_rate, entry.channels), (Some(Codec::Flac), 44_100, 2));
    }

    #[test]
    fn other_audio_is_known_by_its_entry_alone() {
        for (kind, codec) in [
            (b".mp3", Some(Codec::Mp3)),
            (b"ms\0U", Some(Codec::Mp3)),
            (b"ac-3", Some(Codec::Ac3)),
            (b"ec-3", Some(Codec::Eac3)),
            (b"alaw", Some(Codec::G711A)),
            (b"ulaw", Some(Codec::G711U)),
            (b"sowt", None),
        ] {
            assert_eq!(one(&audio_entry(kind, 0, 1, 8000, &[]), false).codec, codec);
        }
    }

    #[test]
    fn entries_cut_anywhere_are_errors_or_of_no_use() {
        let entry = audio_entry(b"mp4a", 0, 2, 48_000, &esds(0x40, &[0x11, 0x90]));
        for len in 8..entry.len() {
            let mut cut = entry[..len].to_vec();
            cut[..4].copy_from_slice(&(len as u32).to_be_bytes());
            if let Ok(entries) = read_with(0, &cut, false) {
                let codec = entries[0].codec;
                assert!(codec.is_none() || entries[0].config.len() <= 2, "{len}: {codec:?}");
            }
        }
    }
}
