//! Tags and ports for the unit tests of this folder.

use super::{
    merge::Merge,
    port::{FeedPort, Port},
    shared_tag::SharedTag,
};
use crate::{
    base::Timestamp,
    flv::{Tag, TagKind},
};
use alloc::{sync::Arc, vec, vec::Vec};

pub(super) fn shared(tag: Tag) -> Arc<SharedTag> {
    Arc::new(SharedTag::new(tag))
}

pub(super) fn video(timestamp: u32, body: Vec<u8>) -> Tag {
    Tag::new(TagKind::Video, Timestamp(timestamp), body.into())
}

pub(super) fn keyframe(timestamp: u32) -> Tag {
    video(timestamp, vec![0x17, 1, 0, 0, 0, 0xaa])
}

pub(super) fn inter_frame(timestamp: u32) -> Tag {
    video(timestamp, vec![0x27, 1, 0, 0, 0, 0xbb])
}

pub(super) fn video_header(timestamp: u32, version: u8) -> Tag {
    video(timestamp, vec![0x17, 0, 0, 0, 0, version])
}

pub(super) fn audio(timestamp: u32) -> Tag {
    Tag::new(TagKind::Audio, Timestamp(timestamp), vec![0xaf, 1, 0xcc].into())
}

pub(super) fn audio_header(timestamp: u32) -> Tag {
    Tag::new(TagKind::Audio, Timestamp(timestamp), vec![0xaf, 0, 0x12, 0x10].into())
}

pub(super) fn metadata(timestamp: u32, version: u8) -> Tag {
    let body = [&b"\x02\0\x0aonMetaData\x01"[..], &[version]].concat();
    Tag::new(TagKind::Data, Timestamp(timestamp), body.into())
}

pub(super) fn data(timestamp: u32) -> Tag {
    Tag::new(TagKind::Data, Timestamp(timestamp), b"\x02\0\x0aonTextData\x05".to_vec().into())
}

/// A port whose waker nobody listens to, with what was sent to it.
pub(super) fn feed_port(capacity: usize) -> (Arc<FeedPort>, crossbeam_channel::Receiver<super::port::Feed>) {
    let poll = mio::Poll::new().unwrap();
    let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
    let (control, _) = crossbeam_channel::unbounded();
    let (feeds, receiver) = crossbeam_channel::bounded(capacity);
    (Arc::new(FeedPort::new(Arc::new(Port::new(control, waker)), feeds, Merge::default())), receiver)
}
