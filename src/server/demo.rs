//! `--demo`: a built-in clip, published as `live/demo` in real time, over and over.
//!
//! A job that sleeps until the next tag is due. Sequence headers are sent once
//! and every round's timestamps follow the last one's, so players see one endless stream.

use super::{Shared, path::StreamPath, port::Mailbox, registry::Ending};
use crate::{
    flv::{Item, Reader, ReaderLimits, Tag, TagRole},
    rtmp::{MonoTime, Timestamp},
};
use alloc::{string::ToString, sync::Arc, vec::Vec};
use core::time::Duration;
use crossbeam_channel::RecvTimeoutError;
use std::io;

/// Where the demo plays.
pub const DEMO_PATH: &str = "live/demo";

/// H.264 and AAC, a few seconds, made by `tools/` from test patterns.
static CLIP: &[u8] = include_bytes!("demo.flv");

/// Starts the job.
pub(super) fn start(shared: Arc<Shared>, publisher: Arc<Mailbox>) -> io::Result<()> {
    let job = shared.clone();
    shared.jobs.spawn("weir-demo".to_string(), move || run(&job, &publisher))
}

fn run(shared: &Arc<Shared>, publisher: &Arc<Mailbox>) {
    let clip = Clip::read(CLIP);
    let path = StreamPath::join("", "", DEMO_PATH).expect("the constant is a stream name");
    let start = shared.now();
    let publishing = match shared.registry.publish(start, &path, publisher) {
        Ok(publishing) => publishing,
        Err(why) => return log::error!("the demo cannot be published: {why:?}"),
    };
    for (at, tag) in clip.endless() {
        let due = start + Duration::from_millis(at);
        match shared.jobs.stopped().recv_timeout(due.since(shared.now())) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => break,
        }
        let now: MonoTime = shared.now();
        if publisher.pending().is_some() {
            return log::info!("the demo gives way to another publisher of {path}");
        }
        publishing.tag(now, tag);
    }
    publishing.finish(shared.now(), Ending::Proper);
}

/// The clip, ready to be repeated.
struct Clip {
    /// Metadata and sequence headers.
    headers: Vec<Tag>,
    /// Everything else, with times from 0 on.
    frames: Vec<Tag>,
    /// Milliseconds after which the next round begins.
    length: u64,
}

impl Clip {
    fn read(mut bytes: &[u8]) -> Clip {
        let mut reader = Reader::new(ReaderLimits::default());
        let mut clip = Clip { headers: Vec::new(), frames: Vec::new(), length: 0 };
        while let Some(item) = reader.read(&mut bytes).expect("the built-in clip is well-formed: tested") {
            let Item::Tag { tag, .. } = item else { continue };
            match tag.classify().role {
                TagRole::Keyframe | TagRole::Frame => clip.frames.push(tag),
                // Every round would say that the stream is over.
                TagRole::EndOfSequence => {}
                _ => clip.headers.push(tag),
            }
        }
        clip.length = clip.round();
        clip
    }

    /// One step behind the last frame of the kind that lasts longest.
    fn round(&self) -> u64 {
        let kinds = [crate::flv::TagKind::Audio, crate::flv::TagKind::Video];
        let end = kinds.into_iter().filter_map(|kind| {
            let mut times =
                self.frames.iter().rev().filter(|tag| tag.kind == kind).map(|tag| tag.timestamp.0);
            let last = times.next()?;
            let step = times.next().map_or(0, |before| last.saturating_sub(before));
            Some(u64::from(last + step))
        });
        end.max().unwrap_or(0).max(1)
    }

    /// Tags with the time in milliseconds at which each is due, without end.
    fn endless(&self) -> impl Iterator<Item = (u64, Tag)> + '_ {
        let headers = self.headers.iter().map(|tag| (0, tag.clone()));
        let rounds = (0u64..).flat_map(move |round| {
            self.frames.iter().map(move |tag| {
                let at = round * self.length + u64::from(tag.timestamp.0);
                // The media clock wraps after 49 days, as every publisher's does.
                (at, Tag { timestamp: Timestamp(at as u32), ..tag.clone() })
            })
        });
        headers.chain(rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{Codec, TagKind};

    #[test]
    fn the_clip_holds_h264_and_aac_and_starts_with_a_keyframe() {
        let clip = Clip::read(CLIP);
        let codecs: Vec<_> = clip.headers.iter().filter_map(|tag| tag.classify().codec).collect();
        assert!(codecs.contains(&Codec::H264) && codecs.contains(&Codec::Aac), "{codecs:?}");
        let first = clip.frames.iter().find(|tag| tag.kind == TagKind::Video).map(|tag| tag.classify().role);
        assert_eq!(first, Some(TagRole::Keyframe));
    }

    #[test]
    fn rounds_follow_each_other_without_a_gap_or_a_step_back() {
        let clip = Clip::read(CLIP);
        for kind in [TagKind::Audio, TagKind::Video] {
            let tags = clip.endless().take(clip.headers.len() + 3 * clip.frames.len());
            let times: Vec<u64> = tags
                .filter(|(_, tag)| tag.kind == kind && tag.classify().role != TagRole::SequenceHeader)
                .map(|(at, _)| at)
                .collect();
            let steps: Vec<u64> = times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
            let (least, most) = (steps.iter().min(), steps.iter().max());
            assert!(least > Some(&0) && most <= Some(&100), "{kind:?}: {least:?} to {most:?} ms");
        }
    }
}
