//! Where a pushed stream leaves the server: a publisher at another one, by RTMP or by RTSP.

use super::super::{
    client::{ClientError, ClientOptions, Publisher, RtmpUrl, rtsp::RtspPublisher},
    shared_tag::SharedTag,
    tap::Tap,
};
use crate::{base::MonoTime, flv::Tag};
use alloc::boxed::Box;
use core::time::Duration;
use std::time::Instant;

/// A publisher that has begun.
pub(super) enum Outlet {
    Rtmp(Box<Publisher>),
    Rtsp(Box<RtspPublisher>),
}

impl Outlet {
    pub(super) fn to_rtmp(url: &RtmpUrl, options: &ClientOptions) -> Result<Outlet, ClientError> {
        Ok(Outlet::Rtmp(Publisher::open(url, options)?.into()))
    }

    /// Whether the stream is one from that tag on which the other side was told nothing of. By RTMP it is told with the tags.
    pub(super) fn is_outgrown(&self, tap: &Tap, now: MonoTime, tag: &SharedTag) -> bool {
        let Outlet::Rtsp(publisher) = self else { return false };
        let is_known = publisher.tracks().iter().any(|format| format.kind() == tag.tag().kind);
        // Of a kind that was not there at first, it takes a frame to know what it is.
        let is_new = tag.is_frame() && !is_known;
        publisher.is_outgrown(tag.tag())
            || (is_new && tap.hub().rtp_tracks(now).formats.len() > publisher.tracks().len())
    }

    pub(super) fn send_tag(&mut self, tag: &Tag) -> Result<(), ClientError> {
        match self {
            Outlet::Rtmp(publisher) => publisher.send_tag(tag),
            Outlet::Rtsp(publisher) => publisher.send_tag(tag),
        }
    }

    /// Answers the other side, without waiting.
    pub(super) fn serve(&mut self) -> Result<(), ClientError> {
        match self {
            Outlet::Rtmp(publisher) => publisher.serve(Instant::now()),
            Outlet::Rtsp(publisher) => publisher.serve(),
        }
    }

    /// After how long [`Outlet::serve`] has something to do, if that is known.
    pub(super) fn rest(&self) -> Option<Duration> {
        match self {
            Outlet::Rtmp(_) => None,
            Outlet::Rtsp(publisher) => publisher.rest(),
        }
    }

    /// Ends the stream there properly.
    pub(super) fn finish(self) -> Result<(), ClientError> {
        match self {
            Outlet::Rtmp(publisher) => publisher.finish(),
            Outlet::Rtsp(publisher) => publisher.finish(),
        }
    }
}
