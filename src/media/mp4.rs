//! MP4, M4V, MOV and F4V files as tags.
//!
//! In: a file with its header in front or behind, with tables or fragments ([`crate::mp4`]). Out: tags of the first video
//! and the first audio track that tags can carry, by decode time, video first. Frame data passes unchanged, but for lengths
//! of NAL units, which become four bytes.
//! Times: from each sample's absolute time; the earliest of all tracks becomes 0; what the file shows at one moment stays
//! together to the millisecond.
//! Bounds: [`READ_AHEAD`] a track, [`MAX_FRAME`], and those of [`crate::mp4`].
//! Field notes: frames behind an open group of pictures' keyframe that refer to the group before (HEVC: RASL) are left
//! out after a seek; a file that breaks off plays up to there, and one that grows goes on there.

mod stream;

pub use stream::Mp4Stream;

use super::{AudioInfo, Keyframe, MAX_KEYFRAMES, MediaError, MediaInfo, MediaReader, ReadAt, VideoInfo};
use crate::{
    base::Timestamp,
    codec::{h265, nal},
    flv::{Codec, Tag, TagKind, body},
    mp4::{
        boxes::Boxes,
        entries::{self, SampleEntry},
        header::{self, Movie, TrackHeader},
        index::Index,
        samples::Sample,
        track::Track,
        window::Window,
    },
};
use alloc::{sync::Arc, vec::Vec};

/// An open file.
#[derive(Debug)]
pub struct Mp4Reader<R> {
    source: R,
    info: MediaInfo,
    /// Video first.
    playing: Vec<Playing>,
    index: Arc<Index>,
    /// The time that becomes 0; not known before the first sample.
    base: Option<i64>,
    /// When the first keyframe is decoded, in milliseconds of presentation.
    first: Option<i64>,
    /// How long the file was when it was asked last.
    size: u64,
    /// Of a file that is being received: the time up to which fragments of some track have come. Until that is
    /// [`PATIENCE`] behind the last tag of another one, tags wait for it.
    received: Option<i64>,
}

/// Where the fragments of a file are. To find that out can mean a walk through the whole file, so who opens a file again may
/// hand it in. It is only where to look: the index of another file costs time, and no more.
#[derive(Clone, Debug)]
pub struct FragmentIndex(Arc<Index>);

impl FragmentIndex {
    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The very same one, not only an equal one.
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &FragmentIndex) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A track, and what is known about the tags it has given.
#[derive(Debug)]
struct Playing {
    track: Track,
    /// The entry whose configuration the player has.
    announced: usize,
    /// The last tag's time, below which none goes.
    last: i64,
    window: Window,
    leading: Leading,
}

/// Whether pictures are left out that refer to what was before a seek.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leading {
    Kept,
    /// The next picture is the first one behind a seek.
    AfterSeek,
    /// Behind a keyframe that others may be shown before.
    Dropped,
}

impl<R: ReadAt> Mp4Reader<R> {
    /// Opens a file, at its first keyframe.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or has nothing in it that tags can carry.
    pub fn open(source: R) -> Result<Mp4Reader<R>, MediaError> {
        Mp4Reader::open_with(source, None)
    }

    /// The same, with what another reader of the file has found out.
    ///
    /// # Errors
    /// As [`Mp4Reader::open`].
    pub fn open_with(source: R, known: Option<FragmentIndex>) -> Result<Mp4Reader<R>, MediaError> {
        let size = source.size()?;
        let mut boxes = Boxes::of_file(&source, 0..size);
        let moov = loop {
            match boxes.next()? {
                Some(found) if found.kind == *b"moov" => break found,
                Some(_) => {}
                None => return Err(MediaError::Malformed { what: "no header (moov)", offset: size }),
            }
        };
        let Movie { tracks, is_fragmented } = header::movie(&source, &moov)?;
        let fragments_at = is_fragmented.then_some(moov.end);
        let chosen = [choose(&source, &tracks, true)?, choose(&source, &tracks, false)?];
        let (mut playing, mut indexed, mut claimed) = (Vec::new(), Vec::new(), Vec::new());
        for (header, entries) in chosen.into_iter().flatten() {
            let announced = entries.iter().position(|entry| entry.codec.is_some()).unwrap_or(0);
            let is_plain = matches!(entries[announced].codec, Some(Codec::G711A | Codec::G711U));
            let mut track = Track::open(&source, header, entries, (playing.len(), fragments_at))?;
            if is_plain {
                track.gather();
            }
            indexed.push(track.indexed(header));
            claimed.push(header.duration);
            let window = Window::new(READ_AHEAD);
            playing.push(Playing { track, announced, last: 0, window, leading: Leading::Kept });
        }
        if playing.is_empty() {
            return Err(MediaError::Unsupported("no track in it can be played"));
        }
        let index = match (fragments_at, known) {
            (Some(_), Some(FragmentIndex(index))) => index,
            (Some(at), None) => Arc::new(Index::of(&source, at, &indexed)?),
            (None, _) => Arc::new(Index::of(&source, 0, &[])?),
        };
        let info = MediaInfo { size, ..MediaInfo::default() };
        let mut reader =
            Mp4Reader { source, info, playing, index, base: None, first: None, size, received: None };
        reader.start()?;
        reader.describe(&claimed)?;
        reader.start()?;
        Ok(reader)
    }

    /// For further readers of the same file; `None` if it has no fragments.
    pub fn fragment_index(&self) -> Option<FragmentIndex> {
        (!self.index.entries().is_empty()).then(|| FragmentIndex(self.index.clone()))
    }

    /// Goes to the first keyframe, and to the first sample of audio.
    fn start(&mut self) -> Result<(), MediaError> {
        for (number, playing) in self.playing.iter_mut().enumerate() {
            if number == 0 {
                playing.track.seek_sync(&self.source, &self.index, i64::MIN / 2)?;
            } else {
                playing.track.rewind(&self.source, &self.index)?;
            }
            (playing.last, playing.leading) = (0, Leading::Kept);
        }
        self.arrive()
    }

    /// Looks at the next samples: notes their configuration and the time that becomes 0.
    fn arrive(&mut self) -> Result<(), MediaError> {
        let mut earliest = None;
        for (number, playing) in self.playing.iter_mut().enumerate() {
            let Some(sample) = playing.track.peek(&self.source)? else { continue };
            playing.announced = sample.entry as usize;
            let ms = playing.track.decode_ms(&sample);
            earliest = Some(earliest.map_or(ms, |earliest: i64| earliest.min(ms)));
            if number == 0 && self.first.is_none() {
                self.first = Some(ms);
            }
        }
        if self.base.is_none() {
            self.base = earliest;
        }
        Ok(())
    }

    /// Fills in the description.
    fn describe(&mut self, claimed: &[u64]) -> Result<(), MediaError> {
        let base = self.base.unwrap_or(0);
        let source = &self.source;
        for (number, playing) in self.playing.iter_mut().enumerate() {
            let Playing { track, announced, .. } = playing;
            let entry = &track.entries[*announced];
            let (codec, width, height) = (entry.codec, u32::from(entry.width), u32::from(entry.height));
            let (sample_rate, channels) = (entry.sample_rate, entry.channels);
            if let Some(codec) = codec {
                if track.is_video {
                    let frame_rate = frame_rate(source, track)?;
                    self.info.video = Some(VideoInfo { codec, width, height, frame_rate });
                } else {
                    self.info.audio = Some(AudioInfo { codec, sample_rate, channels });
                }
            }
            if track.is_video {
                let mut found = match track.tables() {
                    Some(tables) => tables.keyframes(source, MAX_KEYFRAMES as u32)?,
                    None => Vec::new(),
                };
                found.extend(self.index.entries().iter().map(|entry| (entry.time, entry.offset)));
                let step = found.len().div_ceil(MAX_KEYFRAMES).max(1);
                let keyframe = |(dts, offset): (i64, u64)| {
                    let ms = track.time_ms(dts).saturating_sub(base).clamp(0, LATEST);
                    Keyframe { timestamp: Timestamp(ms as u32), offset }
                };
                self.info.keyframes = found.into_iter().step_by(step).map(keyframe).collect();
            }
            let end = track.end_ms(source, &self.index, claimed[number])?.unwrap_or(base);
            let duration = u32::try_from(end.saturating_sub(base).max(0)).unwrap_or(u32::MAX);
            self.info.duration = self.info.duration.max(duration);
        }
        let last = self.info.keyframes.last().map_or(0, |keyframe| keyframe.timestamp.0);
        self.info.duration = self.info.duration.max(last);
        Ok(())
    }

    /// The track whose next sample comes first, with it and its decode time.
    fn first_of_all(&mut self) -> Result<Option<(usize, Sample, i64)>, MediaError> {
        let mut first: Option<(usize, Sample, i64)> = None;
        let base = self.base.unwrap_or(0);
        for (number, playing) in self.playing.iter_mut().enumerate() {
            if let Some(sample) = playing.track.peek(&self.source)? {
                let ms = playing.track.decode_ms(&sample);
                if first.as_ref().is_none_or(|(_, _, earliest)| ms < *earliest) {
                    first = Some((number, sample, ms));
                }
            } else if self.received.is_some_and(|time| time - base - playing.last < PATIENCE) {
                return Ok(None);
            }
        }
        Ok(first)
    }

    /// Whether the file has all of a sample, perhaps by now.
    fn has(&mut self, sample: &Sample) -> Result<bool, MediaError> {
        let end = sample.offset.checked_add(u64::from(sample.size));
        if end.is_some_and(|end| end > self.size) {
            self.size = self.source.size()?;
        }
        Ok(end.is_some_and(|end| end <= self.size))
    }
}

impl<R: ReadAt> MediaReader for Mp4Reader<R> {
    fn info(&self) -> &MediaInfo {
        &self.info
    }

    fn headers(&self) -> Vec<Tag> {
        let base = self.base.unwrap_or(0);
        let next = self.playing.iter().filter_map(|playing| {
            let sample = playing.track.peeked()?;
            Some(playing.track.decode_ms(&sample).saturating_sub(base).max(playing.last).min(LATEST))
        });
        let timestamp = Timestamp(next.min().unwrap_or(0) as u32);
        self.playing.iter().filter_map(|playing| playing.header(timestamp)).collect()
    }

    fn next(&mut self) -> Result<Option<Tag>, MediaError> {
        while let Some((number, sample, ms)) = self.first_of_all()? {
            let base = *self.base.get_or_insert(ms);
            if number == 0 {
                self.first.get_or_insert(ms);
            }
            let time = ms.saturating_sub(base).max(self.playing[number].last).min(LATEST);
            let timestamp = Timestamp(time as u32);
            let playing = &mut self.playing[number];
            let entry = sample.entry as usize;
            if entry != playing.announced {
                let before = core::mem::replace(&mut playing.announced, entry);
                let entries = &playing.track.entries;
                let is_other = entries.get(entry).map(SampleEntry::record)
                    != entries.get(before).map(SampleEntry::record);
                if let (true, Some(header)) = (is_other, playing.header(timestamp)) {
                    return Ok(Some(header));
                }
            }
            if !self.has(&sample)? {
                return Ok(None);
            }
            let playing = &mut self.playing[number];
            if sample.size > MAX_FRAME {
                playing.track.take();
                return Err(MediaError::TooLarge("a frame"));
            }
            let tag = playing.tag(&self.source, &sample, base, time);
            playing.track.take();
            if let Some(tag) = tag? {
                playing.last = time;
                return Ok(Some(tag));
            }
        }
        Ok(None)
    }

    fn seek(&mut self, target: Timestamp) -> Result<Timestamp, MediaError> {
        if self.first.is_none() {
            self.start()?;
        }
        let base = self.base.unwrap_or(0);
        let target = i64::from(target.0) + base;
        let (source, index) = (&self.source, &self.index);
        let Some((main, others)) = self.playing.split_first_mut() else { return Ok(Timestamp(0)) };
        let near = main.track.seek_sync(source, index, target)?;
        let found = main.track.peek(source)?.map(|sample| main.track.decode_ms(&sample));
        let from = found.unwrap_or(target);
        if self.first.is_none_or(|first| from <= first) {
            // With what may be heard before the first picture.
            self.start()?;
        } else {
            (main.last, main.leading) = (0, Leading::AfterSeek);
            for playing in others {
                playing.track.seek_from(source, index, near, from)?;
                (playing.last, playing.leading) = (0, Leading::Kept);
            }
            self.arrive()?;
        }
        Ok(Timestamp(from.saturating_sub(base).clamp(0, LATEST) as u32))
    }
}

impl Playing {
    /// The sequence header that is in force, if the codec has one.
    fn header(&self, timestamp: Timestamp) -> Option<Tag> {
        let entry = &self.track.entries[self.announced];
        let mut out = Vec::with_capacity(16 + entry.config.len());
        let codec = entry.codec.filter(|_| !entry.config.is_empty())?;
        let (kind, is_known) = if self.track.is_video {
            (TagKind::Video, body::start_video_header(&mut out, codec))
        } else {
            (TagKind::Audio, body::start_audio_header(&mut out, codec))
        };
        out.extend_from_slice(&entry.config);
        is_known.then(|| Tag::new(kind, timestamp, out.into()))
    }

    /// Reads a sample that the file has. `None` if it is to be left out.
    fn tag(
        &mut self,
        source: &dyn ReadAt,
        sample: &Sample,
        base: i64,
        time: i64,
    ) -> Result<Option<Tag>, MediaError> {
        let Some(entry) = self.track.entries.get(sample.entry as usize) else { return Ok(None) };
        let Some(codec) = entry.codec else { return Ok(None) };
        let mut out = Vec::with_capacity(16 + sample.size as usize);
        let shown = self.track.shown_ms(sample).saturating_sub(base);
        let (kind, is_known) = if self.track.is_video {
            let composition =
                shown.saturating_sub(time).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
            (TagKind::Video, body::start_video_frame(&mut out, codec, sample.is_sync, composition))
        } else {
            let (sample_rate, channels) = (entry.sample_rate, entry.channels);
            let format = body::AudioFormat { sample_rate, channels };
            (TagKind::Audio, body::start_audio_frame(&mut out, codec, format))
        };
        let start = out.len();
        let nal_length_len = entry.nal_length_len;
        if matches!(nal_length_len, 1..=3) {
            let mut frame = Vec::with_capacity(sample.size as usize);
            self.read_data(source, sample, &mut frame)?;
            lengthen(&frame, nal_length_len, &mut out);
        } else {
            self.read_data(source, sample, &mut out)?;
        }
        if codec == Codec::Hevc && self.is_left_out(&out[start..]) {
            return Ok(None);
        }
        if !is_known || out.len() > MAX_FRAME as usize {
            return Err(MediaError::TooLarge("a frame"));
        }
        // A sample that had to move has no finer time.
        let nanos = if self.track.is_video || shown == time { self.track.shown_nanos(sample) } else { 0 };
        Ok(Some(Tag { nanos, ..Tag::new(kind, Timestamp(time as u32), out.into()) }))
    }

    /// Appends the bytes of a sample, and keeps what lies behind for the next ones.
    fn read_data(
        &mut self,
        source: &dyn ReadAt,
        sample: &Sample,
        out: &mut Vec<u8>,
    ) -> Result<(), MediaError> {
        let len = sample.size as usize;
        let cut = MediaError::Malformed { what: "the file breaks off in a frame", offset: sample.offset };
        if len * 2 <= READ_AHEAD {
            let bytes = self.window.get(source, sample.offset, len, self.track.data_end())?;
            out.extend_from_slice(bytes.ok_or(cut)?);
            return Ok(());
        }
        let start = out.len();
        out.resize(start + len, 0);
        if source.read_at(sample.offset, &mut out[start..])? < len {
            return Err(cut);
        }
        Ok(())
    }

    /// Whether a picture of HEVC refers to what was before the seek. Notes the kind of keyframe.
    fn is_left_out(&mut self, frame: &[u8]) -> bool {
        if self.leading == Leading::Kept {
            return false;
        }
        match h265::sample_type(frame, 4) {
            Some(kind) if h265::is_rasl(kind) => self.leading == Leading::Dropped,
            Some(kind) if self.leading == Leading::AfterSeek && (h265::is_bla(kind) || kind == h265::CRA) => {
                self.leading = Leading::Dropped;
                false
            }
            // The next one: what is shown before it refers to what has been sent.
            Some(kind) if h265::is_irap(kind) => {
                self.leading = Leading::Kept;
                false
            }
            _ => false,
        }
    }
}

/// The track of a kind that is to be played, with its sample entries: the first enabled one that tags can carry, or else the
/// first one.
fn choose<'a>(
    source: &dyn ReadAt,
    tracks: &'a [TrackHeader],
    is_video: bool,
) -> Result<Option<(&'a TrackHeader, Vec<SampleEntry>)>, MediaError> {
    let mut is_encrypted = false;
    for is_enabled in [true, false] {
        let of_kind = |track: &&TrackHeader| track.is_video == is_video && track.is_enabled == is_enabled;
        for track in tracks.iter().filter(of_kind) {
            let Some(stsd) = header::find(source, &track.tables, b"stsd")? else { continue };
            let entries = entries::read(source, &stsd, is_video)?;
            if entries.iter().any(|entry| entry.is_encrypted) {
                is_encrypted = true;
            } else if entries.iter().any(|entry| entry.codec.is_some()) {
                return Ok(Some((track, entries)));
            }
        }
    }
    if is_encrypted { Err(MediaError::Unsupported("it is encrypted")) } else { Ok(None) }
}

/// Frames per second on average, of the whole track or of what was read ahead; 0 if unknown.
fn frame_rate(source: &dyn ReadAt, track: &mut Track) -> Result<f64, MediaError> {
    let timescale = f64::from(track.clock.timescale);
    let mut counted = None;
    if let Some(tables) = track.tables() {
        counted = tables.end(source)?.map(|end| (f64::from(tables.count()), end as f64));
    }
    let (frames, time) = counted.unwrap_or_else(|| track.read_ahead());
    Ok(if time > 0.0 { frames * timescale / time } else { 0.0 })
}

/// Appends NAL units with lengths of four bytes, up to the first one that is cut off.
fn lengthen(frame: &[u8], length_len: u8, out: &mut Vec<u8>) {
    for unit in nal::Units::new(frame, length_len) {
        out.extend_from_slice(&(unit.len() as u32).to_be_bytes());
        out.extend_from_slice(unit);
    }
}

/// Read at once for a track; frames of more than half of it are read by themselves.
const READ_AHEAD: usize = 64 << 10;

/// Milliseconds that a track of a file that is being received may fall behind the others: fragments of one track each
/// come one after the other.
const PATIENCE: i64 = 1000;

/// Times end here, after 49 days, rather than begin anew.
const LATEST: i64 = u32::MAX as i64;

/// What the length field of a tag can say, less the longest head of a body.
const MAX_FRAME: u32 = (1 << 24) - 32;

#[cfg(test)]
mod tests;
