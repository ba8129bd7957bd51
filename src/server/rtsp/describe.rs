//! DESCRIBE: what tracks a stream has. One that has just begun, or begins because somebody asks, is waited for by a thread of its
//! own, because its tracks show with their first frames.
//! Bounds: [`MAX_WAITING`] threads, [`PATIENCE`] each.

use super::{
    presentation::{Presentation, control},
    requests::stream_of,
};
use crate::{
    base::MonoTime,
    rtp::{Format, sdp},
    rtsp::{Answer, RequestId, Status, Target},
    server::{
        Shared,
        connection::{Connection, Context},
        path::StreamPath,
        port::{Letter, Mailbox},
        registry::HubHandle,
        tap::{Tap, Tapped},
    },
};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Requests that wait for a stream at a time; who comes then is told to come again.
const MAX_WAITING: usize = 64;
/// How long a stream may take to show what it is. ffmpeg waits for an answer for as long as it takes, GStreamer 20 s.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at a stream that says nothing.
const LOOK: Duration = Duration::from_millis(250);

/// What a request that had to wait was for, and the tracks.
pub(in crate::server) struct Described {
    request: RequestId,
    path: StreamPath,
    content_base: String,
    formats: Vec<Format>,
}

/// Those who wait.
#[derive(Default)]
pub(in crate::server) struct Waiting(AtomicUsize);

impl Connection {
    pub(super) fn describe(&mut self, cx: &mut Context<'_>, request: RequestId, url: &Target) {
        let path = match stream_of(url.path()) {
            Ok(path) => path,
            Err(why) => return self.refuse_rtsp(cx.now, request, Status::BAD_REQUEST, &why.to_string()),
        };
        if cx.shared.may_be_file(&path) {
            return self.describe_file(cx, request, url, path);
        }
        self.describe_live(cx, request, url, path);
    }

    /// The same of what is no file.
    pub(super) fn describe_live(
        &mut self,
        cx: &Context<'_>,
        request: RequestId,
        url: &Target,
        path: StreamPath,
    ) {
        let content_base = content_base(url.url());
        let hub = cx.shared.registry.find(&path);
        let tracks = hub.as_ref().map(|hub| hub.rtp_tracks(cx.now)).unwrap_or_default();
        let described = Described { request, path, content_base, formats: tracks.formats };
        if tracks.is_complete {
            return self.described(cx, described);
        }
        let comes = cx.shared.registry.is_live(&described.path) || cx.shared.comes_on_demand(&described.path);
        if !comes {
            let why = format!("nobody publishes {}", described.path);
            return self.refuse_rtsp(cx.now, request, Status::NOT_FOUND, &why);
        }
        if let Err(why) = await_tracks(cx.shared, self.mailbox.clone(), described) {
            self.refuse_rtsp(cx.now, request, Status::SERVICE_UNAVAILABLE, why);
        }
    }

    /// Answers, now that the tracks are known.
    pub(in crate::server) fn described(&mut self, cx: &Context<'_>, described: Described) {
        let Described { request, path, content_base, formats } = described;
        if formats.is_empty() {
            let why = format!("{path} has nothing that RTP can carry, or shows nothing");
            return self.refuse_rtsp(cx.now, request, Status::NOT_FOUND, &why);
        }
        let sdp = description(path.as_str(), &formats, sdp::Range::Live).write();
        // One that is being played stays what it is.
        if !self.is_busy() {
            self.presentation = Some(Presentation::to_play(path, formats).into());
        }
        self.answer_rtsp(cx.now, request, &Answer::Described { sdp, content_base });
    }
}

/// The description of a presentation, whose controls are relative.
pub(in crate::server) fn description(name: &str, formats: &[Format], range: sdp::Range) -> sdp::Description {
    let media =
        formats.iter().enumerate().map(|(number, format)| sdp::Media::new(format.clone(), control(number)));
    sdp::Description::new(name, range, media.collect())
}

/// What the tracks of that URL are relative to. GStreamer drops a query with what stands before it, so none is given; a
/// token stays with the connection.
pub(super) fn content_base(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    format!("{}/", url.trim_end_matches('/'))
}

fn await_tracks(
    shared: &Arc<Shared>,
    mailbox: Arc<Mailbox>,
    described: Described,
) -> Result<(), &'static str> {
    const BUSY: &str = "too many wait for streams to begin";
    let Ok(hub) = shared.registry.hub(&described.path) else { return Err("the server has too many streams") };
    if shared.rtsp.waiting.0.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
        shared.rtsp.waiting.0.fetch_sub(1, Ordering::Relaxed);
        return Err(BUSY);
    }
    let job_shared = shared.clone();
    let job = move || {
        let formats = wait_for(&job_shared, hub);
        job_shared.rtsp.waiting.0.fetch_sub(1, Ordering::Relaxed);
        mailbox.leave(Letter::Described(Described { formats, ..described }.into()));
    };
    shared.jobs.spawn("weir-describe".to_string(), job).map_err(|_| {
        shared.rtsp.waiting.0.fetch_sub(1, Ordering::Relaxed);
        BUSY
    })
}

/// The tracks of a stream, as soon as all are there. None if it does not come.
fn wait_for(shared: &Arc<Shared>, hub: HubHandle) -> Vec<Format> {
    let deadline = shared.now() + PATIENCE;
    let mut tap = Tap::new(shared.clone(), hub);
    // As a player: a source on demand begins for it.
    tap.set_watched(true);
    loop {
        let now = shared.now();
        let tracks = tap.hub().rtp_tracks(now);
        if tracks.is_complete || now >= deadline {
            return tracks.formats;
        }
        let look: MonoTime = (now + LOOK).min(deadline);
        if let Tapped::Stopped = tap.next(Some(look)) {
            return Vec::new();
        }
    }
}
