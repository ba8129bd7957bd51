//! One stream's recording: what is heard -> files.
//!
//! A file begins with the stream, else with a keyframe, and ends where another has to begin: after `--record-segment` or
//! `--record-max-size` at a keyframe, at once where the clock jumps, and at the next keyframe where a decoder's configuration
//! changes (frames that need the new one are not written before). Where the thread was too slow, or nobody published for a
//! while, the file goes on.
//!
//! What cannot be written ends the file at its last whole tag or fragment, and is tried again after a while ([`rests`]), or
//! with the next stream. Bound: the tap's channel.

use super::{
    Kind, Progress, RecordFormat, Recordings,
    clock::Clock,
    disk::{self, Create, Disk},
    flv::{self, FlvFile},
    keep,
    mp4::Mp4File,
    name,
};
use crate::{
    base::{MonoTime, Timestamp},
    flv::{Change, Tag, TagKind, TagRole},
    mp4::writer::Why,
    rtmp::session::Notice,
    server::{
        Shared, StreamPath,
        backoff::{Backoff, Retry},
        cache::{Headers, MAX_GOP_TIME},
        hub::MAX_KEYFRAME_WAIT,
        shared_tag::SharedTag,
        stats::Throttle,
        tap::{Tap, Tapped},
        wall,
    },
};
use alloc::{format, string::String, sync::Arc};
use core::{sync::atomic::Ordering, time::Duration};
use std::{
    io,
    path::{Path, PathBuf},
};

/// How often a file is looked after while nothing comes.
const TICK: Duration = Duration::from_millis(500);
/// Milliseconds that can come twice after a gap: two groups of pictures as long as any that is kept.
const MAX_REPEAT: u32 = 2 * MAX_GOP_TIME.as_millis() as u32;
/// How often somebody else may take a name that was free a moment ago.
const MAX_RACES: u32 = 1000;

/// Records until the stream has ended, or the server stops.
pub(super) fn run(shared: &Arc<Shared>, path: &StreamPath, mut tap: Tap, progress: &Progress) {
    let Some(recordings) = &shared.recordings else { return };
    let mut recording = Recording::new(shared, recordings, path, progress);
    loop {
        let deadline = recording.file.is_some().then(|| shared.now() + TICK);
        let tapped = tap.next(deadline);
        let now = shared.now();
        match tapped {
            Tapped::Started => recording.start(),
            Tapped::Tag(tag) => recording.tag(now, &tag),
            Tapped::Gap => recording.gap(now),
            Tapped::TimedOut => {}
            Tapped::Ended => {
                recording.end(now);
                if recordings.has_ended(tap.hub()) {
                    return;
                }
            }
            Tapped::Stopped => {
                recording.end(now);
                return recordings.forget(path);
            }
        }
        if progress.is_stopped.swap(false, Ordering::Relaxed) {
            recording.end(now);
            if recordings.has_stopped(path) {
                return;
            }
        }
        recording.tick(now);
    }
}

struct Recording<'a> {
    shared: &'a Arc<Shared>,
    recordings: &'a Recordings,
    path: &'a StreamPath,
    progress: &'a Progress,
    /// Configuration of the stream as it is now.
    headers: Headers,
    has_video: bool,
    file: Option<Open>,
    /// Files of this recording so far.
    number: u32,
    /// Nothing of the stream was missed: its first file may begin with sound.
    is_fresh: bool,
    /// Pictures of this stream are of no use before a keyframe; since then.
    awaits_keyframe: Option<MonoTime>,
    /// The newest frames of audio and video that were heard.
    heard: [Option<Timestamp>; 2],
    /// What comes after a gap may have been heard before.
    may_repeat: [bool; 2],
    backoff: Backoff,
    rests_until: Option<MonoTime>,
    /// The publisher was told that a recording began.
    is_announced: bool,
    gaps: Throttle,
}

/// A file that is being written.
struct Open {
    output: Output,
    clock: Clock,
    opened: MonoTime,
    /// Milliseconds at which it began and to which it goes by now.
    began_at: u32,
    at: u32,
    has_video: bool,
    /// The configuration of audio or video has changed, so that its frames belong into another file.
    is_stale: [bool; 2],
}

enum Output {
    Flv(FlvFile),
    Mp4(Mp4File),
}

impl<'a> Recording<'a> {
    fn new(
        shared: &'a Arc<Shared>,
        recordings: &'a Recordings,
        path: &'a StreamPath,
        progress: &'a Progress,
    ) -> Recording<'a> {
        Recording {
            shared,
            recordings,
            path,
            progress,
            headers: Headers::default(),
            has_video: false,
            file: None,
            number: 0,
            is_fresh: true,
            awaits_keyframe: None,
            heard: [None; 2],
            may_repeat: [false; 2],
            backoff: Backoff::new(rests()),
            rests_until: None,
            is_announced: false,
            gaps: Throttle::default(),
        }
    }

    /// A stream begins: nothing of the last one holds.
    fn start(&mut self) {
        let Recording { shared, recordings, path, progress, .. } = *self;
        *self = Recording::new(shared, recordings, path, progress);
    }

    fn end(&mut self, now: MonoTime) {
        self.finish(now);
        if core::mem::take(&mut self.is_announced) {
            self.recordings.tell(self.path, Notice::RecordStopped);
        }
    }

    fn gap(&mut self, now: MonoTime) {
        self.shared.stats.recording_gaps.add(1);
        if let Some(count) = self.gaps.count(now, 1) {
            log::warn!("the recording of {} misses pictures: {count} gaps, the disk is too slow", self.path);
        }
        self.may_repeat = [true; 2];
        if self.has_video {
            self.awaits_keyframe.get_or_insert(now);
        }
    }

    fn tick(&mut self, now: MonoTime) {
        let Some(open) = &mut self.file else { return };
        let result = match &mut open.output {
            Output::Flv(file) => file.tick(now),
            Output::Mp4(file) => file.tick(now),
        };
        if let Err(error) = result {
            self.fail(now, &error);
        }
    }

    fn tag(&mut self, now: MonoTime, tag: &Arc<SharedTag>) {
        if tag.is_configuration() {
            self.configure(now, tag);
        } else if tag.is_frame() {
            self.frame(now, tag);
        } else if matches!(tag.role(), TagRole::Data | TagRole::EndOfSequence | TagRole::Command) {
            if let Some(at) = self.file.as_ref().map(|open| open.clock.other(tag.tag().timestamp)) {
                self.write(now, at, tag.tag());
            }
        }
    }

    fn configure(&mut self, now: MonoTime, tag: &Arc<SharedTag>) {
        self.has_video |= tag.tag().kind == TagKind::Video;
        let change = self.headers.update(tag);
        if change == Change::Repeated {
            return;
        }
        let Some(open) = &mut self.file else { return };
        let is_header = tag.role() == TagRole::SequenceHeader;
        // A track that comes late fits into FLV, and not into an MP4 whose header is written.
        if change == Change::NewSequence || is_header && !open.output.takes_tracks() {
            open.is_stale[track(tag.tag())] = true;
            return;
        }
        let at = open.clock.other(tag.tag().timestamp);
        self.write(now, at, tag.tag());
    }

    fn frame(&mut self, now: MonoTime, tag: &Arc<SharedTag>) {
        let (track, timestamp) = (track(tag.tag()), tag.tag().timestamp);
        let is_keyframe = tag.role() == TagRole::Keyframe;
        self.has_video |= track == VIDEO;
        if is_keyframe {
            self.awaits_keyframe = None;
        }
        let was_heard = |heard: Timestamp| heard.wrapping_sub(timestamp) <= MAX_REPEAT;
        if self.may_repeat[track] && self.heard[track].is_some_and(was_heard) {
            return;
        }
        self.may_repeat[track] = false;
        self.heard[track] = Some(timestamp);
        let is_useless = |since: MonoTime| now.since(since) < MAX_KEYFRAME_WAIT;
        if track == VIDEO && self.awaits_keyframe.is_some_and(is_useless) {
            return;
        }
        if self.rests_until.is_some_and(|until| now < until) {
            return;
        }
        let mut at = None;
        if let Some(open) = &mut self.file {
            at = open.clock.frame(track, timestamp);
            let is_start = is_keyframe || !open.has_video && track == AUDIO;
            if at.is_none() || is_start && self.is_due(at) {
                self.finish(now);
                at = None;
            }
        }
        if self.file.is_none() {
            if !self.may_begin(now, is_keyframe, track) || !self.open(now, timestamp) {
                return;
            }
            at = self.file.as_mut().and_then(|open| open.clock.frame(track, timestamp));
            if track == AUDIO && self.has_video {
                self.awaits_keyframe = Some(now);
            }
        }
        let Some((open, at)) = self.file.as_mut().zip(at) else { return };
        if !open.is_stale[track] {
            open.at = open.at.max(at);
            open.has_video |= track == VIDEO;
            let duration = u64::from(open.at - open.began_at);
            self.progress.duration.store(duration, Ordering::Relaxed);
            self.progress.bytes.store(open.output.len(), Ordering::Relaxed);
            self.write(now, at, tag.tag());
        }
    }

    /// Whether a frame at `at` should begin another file.
    fn is_due(&self, at: Option<u32>) -> bool {
        let (Some(open), Some(at)) = (&self.file, at) else { return false };
        let config = &self.recordings.config;
        let lasted = Duration::from_millis(u64::from(at.saturating_sub(open.began_at)));
        open.is_stale.contains(&true)
            || config.segment.is_some_and(|segment| lasted >= segment)
            || config.max_size.is_some_and(|size| open.output.len() >= size)
            || matches!(&open.output, Output::Mp4(file) if file.is_full())
    }

    /// Whether a file can begin with this frame.
    fn may_begin(&mut self, now: MonoTime, is_keyframe: bool, track: usize) -> bool {
        if matches!(self.recordings.wish(self.path), Kind::Unwanted | Kind::Stopped) {
            return false;
        }
        if is_keyframe || track == AUDIO && (self.is_fresh || !self.has_video) {
            return true;
        }
        let since = *self.awaits_keyframe.get_or_insert(now);
        now.since(since) >= MAX_KEYFRAME_WAIT
    }

    // ---- files

    fn open(&mut self, now: MonoTime, first: Timestamp) -> bool {
        let begun = self.create(now);
        let is_first = core::mem::take(&mut self.is_fresh);
        let (output, begins_at) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                // Not even its name could be written: next time there is room.
                if error.kind() == io::ErrorKind::StorageFull {
                    self.remove_oldest(Path::new(""));
                }
                self.fail(now, &error);
                return false;
            }
        };
        let clock = Clock::new(first, begins_at);
        let path = output.disk().path().to_path_buf();
        log::info!("recording {} to {}", self.path, path.display());
        self.progress.since.store(now.0, Ordering::Relaxed);
        self.progress.duration.store(0, Ordering::Relaxed);
        self.progress.bytes.store(0, Ordering::Relaxed);
        self.recordings.set_current(self.path, Some(path.clone()));
        self.file = Some(Open {
            output,
            clock,
            opened: now,
            began_at: begins_at,
            at: begins_at,
            has_video: false,
            is_stale: [false; 2],
        });
        self.rests_until = None;
        if is_first || !self.is_announced {
            self.is_announced = true;
            self.recordings.tell(self.path, Notice::RecordStarted);
        }
        for tag in self.headers.clone().iter().filter(|tag| tag.role() != TagRole::Metadata) {
            self.write(now, begins_at, tag.tag());
        }
        self.remove_oldest(&path);
        self.file.is_some()
    }

    /// Makes room for `current`, as `--record-keep` says.
    fn remove_oldest(&self, current: &Path) {
        let Recordings { root, config, .. } = self.recordings;
        if let Some(count) = config.keep {
            keep::remove_oldest(root, &config.name, self.path, count, current);
            self.recordings.note_change();
        }
    }

    /// Makes the next file, or goes on with the last one; also gives the time at which it goes on.
    fn create(&mut self, now: MonoTime) -> io::Result<(Output, u32)> {
        let config = &self.recordings.config;
        let kind = self.recordings.wish(self.path);
        let is_first = self.number == 0;
        if is_first && kind == Kind::Append && config.format == RecordFormat::Flv {
            if let Some(name) = self.file_to_append_to() {
                self.number = 1;
                let (file, at) = FlvFile::go_on(now, &self.recordings.root, &name)?;
                return Ok((Output::Flv(file), at));
            }
        }
        let replaces = is_first && kind == Kind::Record && !config.name.has_number();
        let seconds = wall::now().as_secs();
        let metadata =
            self.headers.iter().find(|tag| tag.role() == TagRole::Metadata).map(|tag| tag.tag().clone());
        let root = &self.recordings.root;
        let named = |number| {
            format!("{}.{}", config.name.name(self.path, seconds, number), config.format.extension())
        };
        for _ in 0..MAX_RACES {
            self.number = self.number.saturating_add(1);
            let _repairing = replaces.then(|| self.recordings.wait_for_repair());
            let may_replace =
                replaces && self.number == 1 && !disk::is_being_written(root, &named(self.number));
            let how = if may_replace { Create::Replace } else { Create::New };
            if how == Create::New {
                self.number = name::first_free(self.number, |number| disk::exists(root, &named(number)));
            }
            let name = named(self.number);
            match self.create_named(now, &name, how, metadata.as_ref()) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Ok(output) => return Ok((output, 0)),
                Err(error) => {
                    // The name stays free.
                    self.number -= 1;
                    return Err(error);
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn create_named(
        &self,
        now: MonoTime,
        name: &str,
        how: Create,
        metadata: Option<&Tag>,
    ) -> io::Result<Output> {
        let root = &self.recordings.root;
        Ok(match self.recordings.config.format {
            RecordFormat::Flv => {
                let knows = |kind| self.headers.iter().any(|tag| tag.tag().kind == kind);
                let tracks = (knows(TagKind::Audio), knows(TagKind::Video));
                Output::Flv(FlvFile::create(now, root, name, how, metadata, tracks)?)
            }
            RecordFormat::Mp4 => Output::Mp4(Mp4File::create(now, root, name, how, metadata)?),
        })
    }

    /// The newest file of the stream, if the decoders it needs are those of the stream.
    fn file_to_append_to(&self) -> Option<String> {
        let Recordings { root, config, .. } = self.recordings;
        let _repairing = self.recordings.wait_for_repair();
        let files = keep::files(root, &config.name, self.path);
        let name = files.into_iter().rfind(|name| name.ends_with(".flv"))?;
        let path = root.join(&name);
        if disk::is_being_written(root, &name) {
            return None;
        }
        let has = flv::headers(&path).ok()?;
        let is_other = |tag: &Arc<SharedTag>| {
            tag.role() == TagRole::SequenceHeader
                && has.iter().any(|(kind, body)| *kind == tag.tag().kind && *body != tag.tag().body)
        };
        if self.headers.iter().any(is_other) {
            log::info!("{name} is not continued: {} has another configuration", self.path);
            return None;
        }
        Some(name)
    }

    fn write(&mut self, now: MonoTime, at: u32, tag: &Tag) {
        let Some(open) = &mut self.file else { return };
        let result = match &mut open.output {
            Output::Flv(file) => file.push(now, at, tag),
            Output::Mp4(file) => file.push(now, u64::from(at), tag),
        };
        if let Output::Mp4(file) = &mut open.output {
            while let Some(missing) = file.next_missing() {
                log::warn!("{} is recorded without its {missing}", self.path);
                // A sequence header that comes late says so itself.
                if missing.why == Why::Late {
                    open.is_stale[usize::from(missing.kind == TagKind::Video)] = true;
                }
            }
        }
        if let Err(error) = result {
            self.fail(now, &error);
        }
    }

    /// Ends the file properly.
    fn finish(&mut self, now: MonoTime) {
        let Some(open) = self.file.take() else { return };
        self.recordings.set_current(self.path, None);
        let file = open.output.disk().path().to_path_buf();
        let (seconds, bytes) = (f64::from(open.at - open.began_at) / 1000.0, open.output.len());
        let opened = open.opened;
        let result = match open.output {
            Output::Flv(file) => file.finish(now),
            Output::Mp4(file) => file.finish(now),
        };
        match result {
            Ok(()) => {
                log::info!("recorded {} to {}: {seconds:.1} s, {bytes} bytes", self.path, file.display());
                self.backoff = Backoff::new(rests());
            }
            Err(error) => self.report(now, now.since(opened), Some(file), &error),
        }
    }

    /// A file cannot be made or written any further.
    fn fail(&mut self, now: MonoTime, error: &io::Error) {
        let mut worked = Duration::ZERO;
        let file = self.file.take().map(|open| {
            self.recordings.set_current(self.path, None);
            let file = open.output.disk().path().to_path_buf();
            match open.output {
                // What is known goes into place that is there already; if that fails, too, nothing is lost.
                Output::Flv(file) => drop(file.finish(now)),
                Output::Mp4(file) => file.give_up(),
            }
            worked = now.since(open.opened);
            file
        });
        self.report(now, worked, file, error);
    }

    /// `worked`: for how long the file could be written.
    fn report(&mut self, now: MonoTime, worked: Duration, file: Option<PathBuf>, error: &io::Error) {
        let file = file.map_or(String::new(), |file| format!(" to {}", file.display()));
        let why = crate::server::plain(error);
        if error.kind() == io::ErrorKind::Unsupported {
            log::error!("{} cannot be recorded{file}: {why}", self.path);
            self.rests_until = Some(MonoTime(u64::MAX));
        } else {
            let rest = self.backoff.failed(worked);
            let seconds = rest.as_secs_f32();
            log::error!("{} cannot be recorded{file}: {why}; trying again in {seconds:.1} s", self.path);
            self.rests_until = Some(now + rest);
        }
        self.is_announced = false;
        self.recordings.tell(self.path, Notice::RecordFailed);
    }
}

impl Output {
    fn disk(&self) -> &Disk {
        match self {
            Output::Flv(file) => file.disk(),
            Output::Mp4(file) => file.disk(),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Output::Flv(file) => file.len(),
            Output::Mp4(file) => file.disk().len(),
        }
    }

    /// Tracks can be added.
    fn takes_tracks(&self) -> bool {
        match self {
            Output::Flv(_) => true,
            Output::Mp4(file) => !file.has_begun(),
        }
    }
}

/// How long a failure is waited out: a disk that is full stays so for a while.
fn rests() -> Retry {
    let (first, longest) = (Duration::from_secs(5), Duration::from_secs(60));
    Retry { first, longest, steady: longest, ..Retry::default() }
}

/// Audio and video, apart.
fn track(tag: &Tag) -> usize {
    if tag.kind == TagKind::Video { VIDEO } else { AUDIO }
}

const AUDIO: usize = 0;
const VIDEO: usize = 1;

#[cfg(test)]
mod tests;
