//! `--demo`: a built-in clip, published as `live/demo` in real time, over and over: a source like any other.

use super::{
    path::StreamPath,
    source::{Input, SourceConfig, Start},
};

/// Where the demo plays.
pub const DEMO_PATH: &str = "live/demo";

/// H.264 and AAC, a few seconds, made by `tools/` from test patterns.
pub(super) static CLIP: &[u8] = include_bytes!("demo.flv");

pub(super) fn source() -> SourceConfig {
    let path = StreamPath::join("", "", DEMO_PATH).expect("the constant is a stream name");
    SourceConfig { path, input: Input::Demo, start: Start::AtOnce }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flv::{Codec, TagKind, TagRole},
        media::{FlvReader, MediaReader, pace::Schedule},
    };
    use alloc::vec::Vec;

    #[test]
    fn the_clip_holds_h264_and_aac_and_starts_with_a_keyframe() {
        let mut clip = FlvReader::open(CLIP).unwrap();
        let codecs: Vec<_> = clip.headers().iter().filter_map(|tag| tag.classify().codec).collect();
        assert!(codecs.contains(&Codec::H264) && codecs.contains(&Codec::Aac), "{codecs:?}");
        let mut tags = core::iter::from_fn(|| clip.next().unwrap());
        let first = tags.find(|tag| tag.kind == TagKind::Video).map(|tag| tag.classify().role);
        assert_eq!(first, Some(TagRole::Keyframe));
    }

    #[test]
    fn rounds_follow_each_other_without_a_gap_or_a_step_back() {
        for kind in [TagKind::Audio, TagKind::Video] {
            let mut schedule = Schedule::new(FlvReader::open(CLIP).unwrap(), Some(3));
            let tags = core::iter::from_fn(|| schedule.next().unwrap()).map(|one| one.tag);
            let frames = tags.filter(|tag| tag.classify().role.is_frame());
            let times: Vec<u32> = frames.filter(|tag| tag.kind == kind).map(|tag| tag.timestamp.0).collect();
            let steps: Vec<u32> = times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
            let (least, most) = (steps.iter().min(), steps.iter().max());
            assert!(least > Some(&0) && most <= Some(&100), "{kind:?}: {least:?} to {most:?} ms");
        }
    }
}
