//! An MP4 file while it is received, as from a pipe: its tags as soon as their bytes are there.
//!
//! In: bytes from the start of a file on, cut anywhere. Out: metadata, sequence headers, frames by decode time. The header has to
//! be in front, and what follows in the order in which it is played: fragments (a camera program, ffmpeg with
//! `-movflags frag_keyframe+empty_moov`), or the samples of a file made for the web. Another header behind begins another file.
//! Bounds: [`MAX_HEADER`] of header, [`MAX_HELD`] of media: what was given is dropped, the fragment being read is not.
//! Field notes: a track of which nothing comes is waited for [`PATIENCE`] milliseconds, by the times of the others.

use super::{Mp4Reader, PATIENCE};
use crate::{
    base::Timestamp,
    flv::{Tag, metadata},
    media::{MediaError, MediaReader, ReadAt},
    mp4::boxes::{Boxes, Mp4Box},
};
use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use core::mem;

/// See the module.
#[derive(Debug, Default)]
pub struct Mp4Stream {
    /// The file until it is opened.
    held: Held,
    reader: Option<Box<Mp4Reader<Held>>>,
    /// Where the next box begins.
    at: u64,
    /// Given before what the reader gives.
    ahead: VecDeque<Tag>,
    /// Milliseconds that come at once.
    burst: u32,
    /// Up to where the fragments of each track that have come last, in milliseconds.
    ends: [i64; 2],
    is_over: bool,
}

impl Mp4Stream {
    /// At the start of a file.
    pub fn new() -> Mp4Stream {
        Mp4Stream::default()
    }

    /// More bytes. Take all tags before the next.
    ///
    /// # Errors
    /// The file cannot be played, or not while it is received.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), MediaError> {
        if let Some(reader) = &mut self.reader {
            let needed = reader.playing.iter().map(|playing| playing.track.needed_from()).min();
            reader.source.forget(needed.unwrap_or(u64::MAX).min(self.at));
        }
        let held = self.held();
        held.media.extend_from_slice(bytes);
        let most = if held.header.is_empty() { MAX_HEADER } else { MAX_HELD };
        if held.media.len() > most {
            let what = if held.header.is_empty() { "the header" } else { "what has to be kept of an MP4" };
            return Err(MediaError::TooLarge(what));
        }
        self.scan()
    }

    /// The next tag that is there whole.
    ///
    /// # Errors
    /// The file is damaged.
    #[expect(clippy::should_implement_trait, reason = "an error is not the end")]
    pub fn next(&mut self) -> Result<Option<Tag>, MediaError> {
        loop {
            if let Some(tag) = self.ahead.pop_front() {
                return Ok(Some(tag));
            }
            let Some(reader) = &mut self.reader else { return Ok(None) };
            if let Some(tag) = reader.next()? {
                return Ok(Some(tag));
            }
            let Some(end) = reader.source.end else { return Ok(None) };
            // Nothing more comes of this file: nothing is waited for.
            if reader.received.take().is_none() {
                self.begin(end)?;
            }
        }
    }

    /// No more bytes come: what is left is given by [`Mp4Stream::next`].
    ///
    /// # Errors
    /// The file cannot be played.
    pub fn finish(&mut self) -> Result<(), MediaError> {
        self.is_over = true;
        match &mut self.reader {
            Some(reader) => reader.received = None,
            None if !self.held.header.is_empty() => self.open(self.held.size()?)?,
            None if self.held.media.is_empty() => {}
            None => {
                let offset = self.held.size()?;
                return Err(MediaError::Malformed { what: "the file breaks off in its header", offset });
            }
        }
        Ok(())
    }

    /// Milliseconds of media that come at once: the length of a fragment.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    fn held(&mut self) -> &mut Held {
        match &mut self.reader {
            Some(reader) => &mut reader.source,
            None => &mut self.held,
        }
    }

    /// Looks at the boxes that have come.
    fn scan(&mut self) -> Result<(), MediaError> {
        loop {
            let at = self.at;
            let held = self.held();
            if held.end.is_some() {
                return Ok(());
            }
            let size = held.size()?;
            let Some(found) = Boxes::of_file(&*held, at..size.max(at)).next()? else { return Ok(()) };
            let is_header = held.header.is_empty();
            match (&found.kind, is_header) {
                (b"moov", true) if !found.is_cut => held.end_header(found.end),
                (b"mdat", true) => return Err(MediaError::Unsupported(HEADER_BEHIND)),
                (b"moof", true) => return Err(found.malformed("a fragment before the header (moov)")),
                (_, true) if found.claimed_end > MAX_HEADER as u64 => {
                    return Err(MediaError::TooLarge("the header"));
                }
                (_, true) if found.is_cut => return Ok(()),
                (b"ftyp" | b"moov", false) => {
                    held.end = Some(found.start);
                    return if self.reader.is_none() { self.open(found.start) } else { Ok(()) };
                }
                (b"moof", false) if found.is_cut => return Ok(()),
                (b"moof", false) => self.fragment(&found)?,
                (b"mdat", false) if self.reader.is_none() => self.open(found.body)?,
                _ => {}
            }
            self.at = found.claimed_end;
        }
    }

    /// A fragment's header has come.
    fn fragment(&mut self, moof: &Mp4Box) -> Result<(), MediaError> {
        let Some(reader) = &mut self.reader else { return self.open(moof.end) };
        let mut longest = 0;
        for (playing, last) in reader.playing.iter().zip(&mut self.ends) {
            if let Some((start, length)) = playing.track.times_ms(&reader.source, moof)? {
                let start = start.unwrap_or(*last);
                reader.received = reader.received.map(|time| time.max(start));
                *last = start.saturating_add(length);
                longest = longest.max(length);
            }
        }
        self.burst = u32::try_from(longest).unwrap_or(0);
        Ok(())
    }

    /// Opens the file, of which everything before `end` was looked at, unless a track is missing that may still come.
    fn open(&mut self, end: u64) -> Result<(), MediaError> {
        let mut held = mem::take(&mut self.held);
        let next = held.end.replace(end);
        let mut reader = Box::new(Mp4Reader::open(held)?);
        let mut has_all = true;
        let Mp4Reader { source, index, playing, .. } = &mut *reader;
        for (playing, last) in playing.iter_mut().zip(&mut self.ends) {
            has_all &= playing.track.peek(source)?.is_some();
            *last = playing.track.end_ms(source, index, 0)?.unwrap_or(0);
        }
        reader.start()?;
        reader.source.end = next;
        let is_enough = i64::from(reader.info.duration) > PATIENCE || next.is_some();
        if !(has_all || is_enough || self.is_over) {
            self.held = reader.source;
            return Ok(());
        }
        if reader.playing.iter().any(|playing| playing.track.has_fragments()) {
            self.burst = reader.info.duration;
            reader.received = reader.base.filter(|_| !self.is_over);
        }
        let (video, audio) = (reader.info.video.as_ref(), reader.info.audio.as_ref());
        self.ahead.extend(metadata::of_tracks(video, audio, Timestamp(0)));
        self.ahead.extend(reader.headers());
        self.reader = Some(reader);
        Ok(())
    }

    /// Goes on with the file that begins at `start`.
    fn begin(&mut self, start: u64) -> Result<(), MediaError> {
        let mut media = mem::take(&mut self.held().media);
        let passed = start.saturating_sub(self.held().at);
        media.drain(..usize::try_from(passed).map_or(media.len(), |passed| passed.min(media.len())));
        let is_over = self.is_over;
        *self = Mp4Stream { held: Held { media, ..Held::default() }, is_over, ..Mp4Stream::default() };
        self.scan()?;
        if is_over { self.finish() } else { Ok(()) }
    }
}

/// What is kept of a file that is being received.
#[derive(Debug, Default)]
struct Held {
    /// From the start up to the end of the header. Empty before it is there whole.
    header: Vec<u8>,
    /// Where `media` begins.
    at: u64,
    media: Vec<u8>,
    /// Where the next file begins.
    end: Option<u64>,
}

impl Held {
    /// The header ends here; the rest is media.
    fn end_header(&mut self, end: u64) {
        let media = usize::try_from(end).map_or(Vec::new(), |end| self.media.split_off(end));
        self.header = mem::replace(&mut self.media, media);
        self.at = end;
    }

    /// Nothing before that place will be asked for again, but for the header. Not for a few bytes: moving the rest
    /// costs as well.
    fn forget(&mut self, before: u64) {
        let count =
            usize::try_from(before.saturating_sub(self.at)).unwrap_or(usize::MAX).min(self.media.len());
        if count > self.media.len() / 2 {
            self.media.drain(..count);
            self.at += count as u64;
        }
    }
}

impl ReadAt for Held {
    fn size(&self) -> Result<u64, MediaError> {
        Ok(self.end.unwrap_or(self.at + self.media.len() as u64))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, MediaError> {
        if offset < self.header.len() as u64 {
            // Nothing is read across the end of the header.
            return (&*self.header).read_at(offset, buffer);
        }
        let end = usize::try_from(self.size()?.saturating_sub(self.at)).unwrap_or(0).min(self.media.len());
        match offset.checked_sub(self.at) {
            Some(offset) => (&self.media[..end]).read_at(offset, buffer),
            None => Err(MediaError::Unsupported(OUT_OF_ORDER)),
        }
    }
}

const HEADER_BEHIND: &str = "an MP4 whose header (moov) comes last cannot be played while it is received; \
    fragments can (ffmpeg -movflags frag_keyframe+empty_moov)";

const OUT_OF_ORDER: &str =
    "an MP4 whose samples are not in the order of their times cannot be played while it is received";

/// Bytes up to the end of the header: the tables of a film of some hours.
const MAX_HEADER: usize = 16 << 20;

/// Bytes of media: a fragment of ten seconds at 25 Mbit/s.
const MAX_HELD: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flv::{TagKind, TagRole},
        mp4::testing::{Layout, Style, TestTrack, aac, film, fragmented, fragmented_by, h264, mp4_box},
    };
    use alloc::{string::ToString, vec, vec::Vec};

    fn two_seconds() -> [TestTrack; 2] {
        [h264(50, 10), aac(94)]
    }

    fn is_media(tag: &Tag) -> bool {
        tag.classify().role.is_frame()
    }

    /// What a file gives that is received in pieces of `piece` bytes; the most that was kept of its media.
    fn received(file: &[u8], piece: usize) -> Result<(Vec<Tag>, usize), MediaError> {
        let mut stream = Mp4Stream::new();
        let (mut tags, mut most) = (vec![], 0);
        for piece in file.chunks(piece) {
            stream.push(piece)?;
            if !stream.held().header.is_empty() {
                most = most.max(stream.held().media.len());
            }
            while let Some(tag) = stream.next()? {
                tags.push(tag);
            }
        }
        stream.finish()?;
        while let Some(tag) = stream.next()? {
            tags.push(tag);
        }
        Ok((tags, most))
    }

    fn read(file: &[u8]) -> Vec<Tag> {
        let mut reader = Mp4Reader::open(file).unwrap();
        core::iter::from_fn(|| reader.next().unwrap()).collect()
    }

    #[test]
    fn a_file_gives_the_same_frames_however_it_is_cut() {
        let mut files = vec![film(&two_seconds(), Layout::MoovFirst, 5)];
        for style in [Style::Modern, Style::Old, Style::Apart] {
            files.extend([1, 7, 25].map(|count| fragmented(&two_seconds(), style, count)));
        }
        for (number, file) in files.iter().enumerate() {
            let expected = read(file);
            for piece in [1, 100, 4096, file.len()] {
                let (tags, _) = received(file, piece).unwrap();
                let roles: Vec<TagRole> = tags.iter().take(3).map(|tag| tag.classify().role).collect();
                assert_eq!(roles, [TagRole::Metadata, TagRole::SequenceHeader, TagRole::SequenceHeader]);
                assert_eq!(tags[3..], expected, "file {number} in pieces of {piece} bytes");
            }
        }
    }

    #[test]
    fn a_frame_is_given_as_soon_as_it_is_there() {
        let file = fragmented(&two_seconds(), Style::Modern, 25);
        let mut stream = Mp4Stream::new();
        let mut given = 0;
        for count in 1..=file.len() {
            stream.push(&file[count - 1..count]).unwrap();
            while let Some(tag) = stream.next().unwrap() {
                given += usize::from(tag.kind == TagKind::Video && is_media(&tag));
            }
            let end = |frame: u8| {
                let data = [5, 0x65, 0, 0, 0, frame];
                file.windows(6).position(|window| window == data).map(|at| at + 6)
            };
            // For the next one, sound has to come first that lies behind all pictures.
            if Some(count) == end(0) {
                assert_eq!(given, 1);
            }
        }
        assert_eq!(given, 50);
    }

    #[test]
    fn what_was_given_is_dropped() {
        let long = [h264(2500, 10), aac(4700)];
        let files = [fragmented(&long, Style::Modern, 25), film(&long[..1], Layout::MoovFirst, 5)];
        for (file, count) in files.iter().zip([3 + 2500 + 4700, 2 + 2500]) {
            let (tags, most) = received(file, 512).unwrap();
            assert_eq!(tags.len(), count);
            // Two fragments of a second, and as much again before it is worth moving.
            assert!(most < 12_000, "{most} bytes of {} were kept", file.len());
        }
    }

    #[test]
    fn a_track_that_falls_silent_is_waited_for_once() {
        let tracks = [h264(250, 10), aac(94)];
        for frames in [1, 5, 25] {
            // Fragments of one track each; sound in the first two seconds only.
            let part = |count: usize, share: usize, index: usize| {
                let end = |index: usize| (count * index * frames / share).min(count);
                end(index)..end(index + 1)
            };
            let plan: Vec<Vec<_>> = (0..250 / frames)
                .flat_map(|index| [vec![(0, part(250, 250, index))], vec![(1, part(94, 50, index))]])
                .filter(|parts| !parts[0].1.is_empty())
                .collect();
            let file = fragmented_by(&tracks, Style::Apart, &plan);
            let mut stream = Mp4Stream::new();
            let (mut tags, mut behind) = (vec![], 0);
            for piece in file.chunks(64) {
                stream.push(piece).unwrap();
                tags.extend(core::iter::from_fn(|| stream.next().unwrap()));
                let given = tags.last().map_or(0, |tag: &Tag| i64::from(tag.timestamp.0));
                if given > 4000 {
                    behind = behind.max(stream.ends[0] - given);
                }
            }
            assert!(behind <= 40 + 40 * frames as i64, "{frames} a fragment: {behind} ms behind");
            stream.finish().unwrap();
            tags.extend(core::iter::from_fn(|| stream.next().unwrap()));
            let times: Vec<u32> =
                tags.iter().filter(|tag| is_media(tag)).map(|tag| tag.timestamp.0).collect();
            assert!(times.is_sorted(), "{frames} a fragment");
            assert_eq!(times.len(), 344);
        }
    }

    #[test]
    fn a_track_that_never_comes_is_not_waited_for_long() {
        let mut tracks = [h264(100, 10), aac(1)];
        tracks[1].samples.clear();
        let file = fragmented(&tracks, Style::Modern, 5);
        let mut stream = Mp4Stream::new();
        stream.push(&file).unwrap();
        let tags: Vec<Tag> = core::iter::from_fn(|| stream.next().unwrap()).collect();
        assert_eq!(tags.iter().filter(|tag| is_media(tag)).count(), 100);
    }

    #[test]
    fn one_file_follows_another() {
        let first = fragmented(&two_seconds(), Style::Modern, 10);
        let second = film(&[h264(20, 5)], Layout::MoovFirst, 5);
        let both = [&first[..], &second].concat();
        for piece in [1, 1000, both.len()] {
            let (tags, _) = received(&both, piece).unwrap();
            let frames: Vec<Tag> = tags.into_iter().filter(is_media).collect();
            assert_eq!(frames, [read(&first), read(&second)].concat(), "in pieces of {piece} bytes");
        }
    }

    #[test]
    fn the_length_of_a_fragment_is_told() {
        let file = fragmented(&[h264(50, 10)], Style::Modern, 10);
        let mut stream = Mp4Stream::new();
        stream.push(&file).unwrap();
        while stream.next().unwrap().is_some() {}
        assert_eq!(stream.burst(), 400);
    }

    #[test]
    fn what_cannot_be_played_while_it_is_received_is_refused_with_a_reason() {
        let refusal = |file: &[u8]| received(file, 100).unwrap_err().to_string();
        let behind = film(&two_seconds(), Layout::MoovLast, 5);
        assert!(refusal(&behind).contains("frag_keyframe"), "{}", refusal(&behind));
        assert_eq!(refusal(&mp4_box(b"moof", &[])), "a fragment before the header (moov) at byte 0");
        assert_eq!(refusal(b"\x7f\0\0\0abcd"), "the header is too large");
        let header = film(&two_seconds(), Layout::MoovFirst, 5);
        assert_eq!(refusal(&header[..300]), "the file breaks off in its header at byte 300");
        let header = &header[..header.windows(4).position(|window| window == b"mdat").unwrap() - 4];
        let endless = [header, b"\0\0\0\0mdat", &vec![0; MAX_HELD]].concat();
        assert_eq!(received(&endless, 1 << 20).map(|(tags, _)| tags.len()), Ok(3 + 144));
        let fragments = fragmented(&two_seconds(), Style::Modern, 10);
        let moof = fragments.windows(4).position(|window| window == b"moof").unwrap() - 4;
        let endless = [&fragments[..moof], b"\x7f\0\0\0free", &vec![0; MAX_HELD]].concat();
        assert_eq!(
            received(&endless, 1 << 20).map(|(tags, _)| tags.len()),
            Err(MediaError::TooLarge("what has to be kept of an MP4"))
        );
    }

    #[test]
    fn an_open_file_that_is_cut_off_gives_what_came() {
        let file = fragmented(&two_seconds(), Style::Modern, 25);
        let whole = read(&file);
        for end in (0..file.len()).step_by(37) {
            let Ok((tags, _)) = received(&file[..end], 1000) else { continue };
            let frames: Vec<Tag> = tags.into_iter().filter(is_media).collect();
            assert!(frames.iter().all(|frame| whole.contains(frame)));
        }
    }
}
