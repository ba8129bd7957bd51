//! FLV files: bytes at any place -> tags from any keyframe on.
//!
//! Tags keep their bodies. Times count from the first frame on and never go back within a kind of media. Damage is reported,
//! and the reading goes on behind it; a file that breaks off ends with its last whole tag.
//!
//! The places to play from come from the file's metadata where it lists them and what it says is true. Otherwise the file is
//! looked through tag by tag (`scan`): a small one when it is opened, a large one when somebody seeks, and never further than
//! that seek needs.
//!
//! Bounds: those of `index`, `changes`, `stream`, [`Configuration`] and [`metadata`].
//! Limit: where a file lists its keyframes, a change of configuration is known to a seek only if it was played before.

mod changes;
mod index;
mod scan;
mod stream;
#[cfg(test)]
mod tests;

use super::{AudioInfo, Keyframe, MediaError, MediaInfo, MediaReader, ReadAt, VideoInfo, metadata};
use crate::{
    amf::Object,
    base::{Payload, Timestamp},
    flv::{Change, Codec, Configuration, Tag, TagKind, TagRole, configuration::Held},
};
use alloc::{vec, vec::Vec};
use changes::Changes;
use index::Index;
use scan::Head;
pub(crate) use scan::Scan;
use stream::{Found, Stream};

/// What a list of keyframes leaves open, all of a file without one, is looked through when the file is opened if it is not
/// longer than this; else when somebody seeks.
const SMALL: u64 = 64 << 20;
/// Tags at the start among which the first frame of each kind is looked for.
const PROBE_TAGS: usize = 512;
/// Bytes after which one kind is enough.
const PROBE_BYTES: u64 = 1 << 20;

/// Reads an FLV file. See the module.
#[derive(Debug)]
pub struct FlvReader<R> {
    file: R,
    info: MediaInfo,
    /// Players begin with pictures, if there are any.
    has_video: bool,
    /// The time in the file that counts as 0.
    start: u32,
    /// Place of a frame at the start: the configuration before it is given first.
    first_frame: u64,
    index: Index,
    changes: Changes,
    stream: Stream,
    /// What holds at the current position.
    headers: Configuration,
    /// Of the next frame after opening and seeking, then of the last one.
    position: Timestamp,
    /// Newest time of audio and of video.
    newest: [u32; 2],
}

/// What stands at the start of a file.
#[derive(Debug, Default)]
struct Probe {
    metadata: Option<Payload>,
    headers: Vec<(u64, Tag)>,
    video: Option<(Option<Codec>, u32)>,
    audio: Option<(Option<Codec>, u32)>,
    has_tags: bool,
    first_frame: u64,
}

impl<R: ReadAt> FlvReader<R> {
    /// Opens a file and goes to its start.
    ///
    /// # Errors
    /// Not FLV, or without audio and video, or it cannot be read.
    pub fn open(file: R) -> Result<FlvReader<R>, MediaError> {
        let size = file.size()?;
        let probe = Probe::new(&file)?;
        if !probe.has_tags {
            return Err(MediaError::Malformed { what: "no FLV tag", offset: size });
        }
        let times = [probe.video, probe.audio].into_iter().flatten().map(|(_, time)| time);
        let Some(start) = times.min() else {
            return Err(MediaError::Unsupported("an FLV file without audio and video"));
        };
        let properties = probe.metadata.as_ref().and_then(metadata::properties);
        let properties = properties.unwrap_or_default();
        let index = Index::from_metadata(&file, &properties, start)?;
        let mut changes = Changes::default();
        probe.headers.iter().for_each(|(offset, tag)| changes.learn(*offset, tag));
        let mut reader = FlvReader {
            info: MediaInfo {
                size,
                video: probe.video.and_then(|(codec, _)| Some(video_info(codec?, &properties))),
                audio: probe.audio.and_then(|(codec, _)| Some(audio_info(codec?, &properties))),
                metadata: probe.metadata.map(|body| Tag::new(TagKind::Data, Timestamp(0), body)),
                ..MediaInfo::default()
            },
            has_video: probe.video.is_some(),
            start,
            first_frame: probe.first_frame,
            index: index.unwrap_or_default(),
            changes,
            stream: Stream::from_start(),
            headers: Configuration::default(),
            position: Timestamp(0),
            newest: [0; 2],
            file,
        };
        for (_, tag) in &probe.headers {
            reader.headers.update(tag);
        }
        let mut end = scan::end_of(&reader.file)?;
        if size.saturating_sub(reader.index.known_to()) <= SMALL {
            let last = reader.look_through(Timestamp(u32::MAX))?.1;
            end = end.or(Some(last.saturating_add(start)));
        }
        reader.info.duration = duration(&properties, end.map(|end| end.saturating_sub(start)));
        reader.info.keyframes = reader.index.keyframes().to_vec();
        Ok(reader)
    }

    /// Finds the place for a time, looking at tags from the last known place before it on. Also gives the newest time met.
    fn look_through(&mut self, target: Timestamp) -> Result<(Option<Keyframe>, u32), MediaError> {
        let mut best = self.index.before(target);
        let from = best.map_or(0, |keyframe| keyframe.offset);
        // Of frames that places are looked for among, and of all.
        let mut time = best.map_or(0, |keyframe| keyframe.timestamp.0);
        let mut newest = time;
        let mut scan = Scan::new(&self.file, from)?;
        while let Some(head) = scan.next()? {
            if head.role.is_track_configuration() && head.offset >= self.index.known_to() {
                if let Some(tag) = whole(&self.file, &head)? {
                    self.changes.learn(head.offset, &tag);
                }
            }
            let is_frame = head.role.is_frame();
            let own = head.timestamp.0.saturating_sub(self.start);
            if is_frame {
                newest = newest.max(own);
            }
            if !is_frame || (head.kind == TagKind::Video) != self.has_video {
                self.index.learn(&head, None);
                continue;
            }
            time = time.max(own);
            let keyframe = Keyframe { timestamp: Timestamp(time), offset: head.offset };
            let place = Some(keyframe).filter(|_| !self.has_video || head.role == TagRole::Keyframe);
            self.index.learn(&head, place);
            if time <= target.0 || best.is_none() {
                best = place.or(best);
            }
            if time > target.0 && best.is_some() {
                break;
            }
        }
        Ok((best, newest))
    }

    /// A tag as players get it; `None` if they have it already.
    fn pass(&mut self, tag: Tag) -> Option<Tag> {
        let role = tag.classify().role;
        let is_first_metadata =
            || self.info.metadata.as_ref().is_some_and(|metadata| metadata.body == tag.body);
        if role == TagRole::Metadata && is_first_metadata() {
            return None;
        }
        if role.is_track_configuration() && self.headers.update(&tag) == Change::Repeated {
            return None;
        }
        let time = tag.timestamp.0.saturating_sub(self.start);
        let newest = match tag.kind {
            TagKind::Audio => &mut self.newest[0],
            TagKind::Video => &mut self.newest[1],
            // Scripts and cue points often say 0.
            TagKind::Data => return Some(Tag { timestamp: Timestamp(time.max(self.position.0)), ..tag }),
        };
        let time = time.max(*newest);
        if role.is_frame() {
            *newest = time;
            self.position = Timestamp(time);
        }
        Some(Tag { timestamp: Timestamp(time), ..tag })
    }
}

impl<R: ReadAt> MediaReader for FlvReader<R> {
    fn info(&self) -> &MediaInfo {
        &self.info
    }

    fn headers(&self) -> Vec<Tag> {
        self.headers.iter().map(|tag| tag.at(self.position)).collect()
    }

    fn next(&mut self) -> Result<Option<Tag>, MediaError> {
        loop {
            match self.stream.next(&self.file)? {
                None => return Ok(None),
                Some(Found::Damage(offset)) => {
                    return Err(MediaError::Malformed { what: "something that is no FLV tag", offset });
                }
                Some(Found::Tag(offset, tag)) => {
                    if tag.classify().role.is_track_configuration() {
                        self.changes.learn(offset, &tag);
                    }
                    if let Some(tag) = self.pass(tag) {
                        return Ok(Some(tag));
                    }
                }
            }
        }
    }

    fn seek(&mut self, target: Timestamp) -> Result<Timestamp, MediaError> {
        if let Some(listed) = self.index.before(target) {
            let is_frame = |head: &Head| head.role.is_frame();
            if scan::tag_at(&self.file, listed.offset)?.filter(is_frame).is_none() {
                // The list was right where it was tried, and is wrong here.
                self.index = Index::default();
            }
        }
        let (place, _) = self.look_through(target)?;
        // Before the first keyframe there may be audio.
        let is_start = |place: &Keyframe| place.timestamp.0 > target.0;
        let start = Keyframe { timestamp: Timestamp(0), offset: 0 };
        let place = place.filter(|place| !is_start(place)).unwrap_or(start);
        self.stream = Stream::from_tag(place.offset);
        self.headers = self.changes.before(place.offset.max(self.first_frame));
        self.position = place.timestamp;
        self.newest = [0, if self.has_video { place.timestamp.0 } else { 0 }];
        Ok(place.timestamp)
    }

    /// Where the configuration at the start is another than what holds now, the first tags change it back.
    fn rewind(&mut self) -> Result<(), MediaError> {
        self.stream = Stream::from_start();
        self.position = Timestamp(0);
        self.newest = [0; 2];
        Ok(())
    }
}

impl Probe {
    fn new(file: &dyn ReadAt) -> Result<Probe, MediaError> {
        let mut probe = Probe::default();
        let mut stream = Stream::from_start();
        for _ in 0..PROBE_TAGS {
            let Some(found) = stream.next(file)? else { break };
            let Found::Tag(offset, tag) = found else { continue };
            probe.has_tags = true;
            let class = tag.classify();
            if class.role == TagRole::Metadata {
                probe.metadata.get_or_insert_with(|| tag.body.clone());
                continue;
            }
            let track = match tag.kind {
                TagKind::Video => &mut probe.video,
                TagKind::Audio => &mut probe.audio,
                TagKind::Data => continue,
            };
            match class.role {
                role if role.is_frame() => {
                    track.get_or_insert((class.codec, tag.timestamp.0));
                    // Up to where both kinds have begun, so that players get the configuration of both first.
                    probe.first_frame = offset;
                }
                // Later ones are changes.
                role if role.is_track_configuration() && track.is_none() => {
                    probe.headers.push((offset, tag));
                }
                _ => {}
            }
            let is_enough = offset > PROBE_BYTES && (probe.video.is_some() || probe.audio.is_some());
            if is_enough || (probe.video.is_some() && probe.audio.is_some()) {
                break;
            }
        }
        Ok(probe)
    }
}

/// The tag that a scan has found.
fn whole(file: &dyn ReadAt, head: &Head) -> Result<Option<Tag>, MediaError> {
    let body = head.offset + crate::flv::writer::TAG_HEADER_LEN as u64;
    let mut bytes = vec![0; usize::try_from(head.end.saturating_sub(body + 4)).unwrap_or(0)];
    let count = file.read_at(body, &mut bytes)?;
    let is_whole = count == bytes.len();
    let tag = Tag::new(head.kind, head.timestamp, Payload::from(bytes));
    Ok(is_whole.then_some(tag))
}

/// What the metadata says, unless the last tags know better: of a file that broke off, or was written live.
fn duration(properties: &Object, end: Option<u32>) -> u32 {
    /// Writers count the last frame or not, and round.
    const TOLERANCE: u32 = 1500;
    let seconds = properties.get("duration").and_then(|value| value.as_number()).unwrap_or(0.0);
    let said = (seconds * 1000.0 + 0.5) as u32;
    match end {
        Some(end) if said > 0 && said.abs_diff(end) <= TOLERANCE => said,
        Some(end) => end,
        None => said,
    }
}

fn video_info(codec: Codec, properties: &Object) -> VideoInfo {
    let number = |key: &str| properties.get(key).and_then(|value| value.as_number()).unwrap_or(0.0);
    VideoInfo {
        codec,
        width: number("width") as u32,
        height: number("height") as u32,
        frame_rate: number("framerate").max(0.0),
    }
}

fn audio_info(codec: Codec, properties: &Object) -> AudioInfo {
    let number = |key: &str| properties.get(key).and_then(|value| value.as_number());
    let stereo = properties.get("stereo").and_then(|value| value.as_bool()).map_or(0, |is| 1 + u16::from(is));
    AudioInfo {
        codec,
        sample_rate: number("audiosamplerate").unwrap_or(0.0) as u32,
        channels: number("audiochannels").map_or(stereo, |channels| channels as u16),
    }
}
