//! `--push PATH=URL`: sends a live stream on to another server, by RTMP or RTSP.
//!
//! A job with a [`Tap`] on the stream and a publisher there ([`Outlet`]). It connects when the stream starts and ends properly when the
//! stream does. A far side that is slower than the stream loses whole groups of pictures, as the tap gives them; one that
//! breaks off or refuses is tried again after a while, with a new tap, so that what is sent then begins with a keyframe.

use super::{
    super::{
        Shared,
        client::{ClientError, ClientOptions, RtspUrl, StreamUrl, rtsp::RtspPublisher},
        source::{self, Backoff},
        stats::{Failures, Throttle},
        tap::{Tap, Tapped},
    },
    Push, identity,
    outlet::Outlet,
};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
};
use core::time::Duration;
use crossbeam_channel::RecvTimeoutError;
use std::io;

/// The far side's pings are answered as often as this where the stream is silent.
const SERVE: Duration = Duration::from_secs(1);

/// Between two looks at a stream whose tracks are not known yet.
const LOOK: Duration = Duration::from_millis(250);

/// Starts the job.
pub(in crate::server) fn start(shared: &Arc<Shared>, number: usize, push: Push) -> io::Result<()> {
    let job = Job {
        shared: shared.clone(),
        backoff: Backoff::new(shared.retry),
        push,
        failures: Failures::default(),
        gaps: Throttle::default(),
    };
    shared.jobs.spawn(format!("weir-push-{number}"), move || job.run())
}

struct Job {
    shared: Arc<Shared>,
    push: Push,
    backoff: Backoff,
    failures: Failures,
    gaps: Throttle,
}

/// Why a connection is over.
enum Left {
    /// The stream has ended.
    Ended,
    /// The server stops.
    Stopped,
    /// It goes on with other tracks.
    Changed,
    /// It failed.
    Failed(ClientError),
}

impl Job {
    fn run(mut self) {
        // A tap that is there before the stream misses nothing of it.
        let mut tap = None;
        let mut url = self.push.url.clone();
        loop {
            let listening = match tap.take().or_else(|| self.listen()) {
                Some(listening) => listening,
                None => return log::error!("{}: too many streams", self.push.path),
            };
            let listening = tap.insert(listening);
            match listening.next(None) {
                Tapped::Started => {}
                Tapped::Stopped => return,
                _ => continue,
            }
            let mut worked = Duration::ZERO;
            match self.send(&url, listening, &mut worked) {
                Left::Ended => {
                    log::info!("{} is not sent to {url} any more: it has ended", self.push.path);
                }
                Left::Stopped => return,
                Left::Changed => {
                    log::info!("{} is announced to {url} anew: its tracks have changed", self.push.path);
                    tap = None;
                }
                // Not from one to the other without end.
                Left::Failed(ClientError::Moved(elsewhere)) if worked >= SERVE => {
                    log::info!("{} is wanted at {elsewhere} from now on", self.push.path);
                    (tap, url) = (None, StreamUrl::Rtsp(*elsewhere));
                }
                Left::Failed(error) => {
                    // The next begins with the newest pictures.
                    tap = None;
                    let wait = self.backoff.failed(worked);
                    self.report(shown(&url, &error), wait);
                    url = self.push.url.clone();
                    // Nothing comes through that channel.
                    let stopped = self.shared.jobs.stopped().recv_timeout(wait);
                    if stopped != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            }
        }
    }

    fn listen(&self) -> Option<Tap> {
        let hub = self.shared.registry.hub(&self.push.path).ok()?;
        Some(Tap::new(self.shared.clone(), hub))
    }

    fn report(&mut self, why: String, wait: Duration) {
        let (path, url) = (&self.push.path, &self.push.url);
        self.failures.tell(format_args!("{path} cannot be sent to {url}"), why, wait);
    }

    /// One connection, from its start to its end.
    fn send(&mut self, url: &StreamUrl, tap: &mut Tap, worked: &mut Duration) -> Left {
        let path = tap.hub().path().clone();
        let interrupt = self.shared.jobs.interrupt();
        let came_by = tap.hub().came_by().into_iter().chain([self.shared.id.stream(&path)]);
        let flash_ver = identity::of_publisher(came_by);
        let rtp_ports = self.shared.rtsp.port_range();
        let options = ClientOptions { interrupt, flash_ver, rtp_ports, ..ClientOptions::default() };
        let opened = match url {
            StreamUrl::Rtmp(url) => Outlet::to_rtmp(url, &options).map_err(Left::from),
            StreamUrl::Rtsp(url) => self.announce(url, &options, tap),
        };
        let mut outlet = match opened {
            Ok(outlet) => outlet,
            Err(left) => return left,
        };
        log::info!("{path} is sent to {url}");
        self.failures.forget();
        let started = self.shared.now();
        let left = loop {
            let now = self.shared.now();
            let sent = match tap.next(Some(now + outlet.rest().unwrap_or(SERVE).min(SERVE))) {
                Tapped::Started => Ok(()),
                Tapped::Tag(tag) if outlet.is_outgrown(tap, now, &tag) => break Left::Changed,
                Tapped::Tag(tag) => outlet.send_tag(tag.tag()),
                Tapped::Gap => {
                    if let Some(count) = self.gaps.count(now, 1) {
                        log::warn!(
                            "{url} is too slow for {path}: {count} times it lost the rest of a group of pictures"
                        );
                    }
                    Ok(())
                }
                Tapped::TimedOut => outlet.serve(),
                Tapped::Ended => break Left::Ended,
                Tapped::Stopped => break Left::Stopped,
            };
            if let Err(error) = sent {
                break Left::from(error);
            }
        };
        *worked = self.shared.now().since(started);
        if !matches!(left, Left::Failed(_)) {
            if let Err(error) = outlet.finish() {
                log::debug!("{path}: {}", shown(url, &error));
            }
        }
        left
    }
}

impl Job {
    /// Announces the stream as soon as its tracks are known. The tap begins anew with what comes then.
    fn announce(&self, url: &RtspUrl, options: &ClientOptions, tap: &mut Tap) -> Result<Outlet, Left> {
        let formats = loop {
            let now = self.shared.now();
            let tracks = tap.hub().rtp_tracks(now);
            if tracks.is_complete {
                break tracks.formats;
            }
            match tap.next(Some(now + LOOK)) {
                Tapped::Ended => return Err(Left::Ended),
                Tapped::Stopped => return Err(Left::Stopped),
                _ => {}
            }
        };
        let mut publisher = RtspPublisher::open(url, options, self.push.path.as_str(), &formats)?;
        *tap = self.listen().ok_or(Left::Ended)?;
        if let Some(newest) = tap.newest() {
            publisher.set_time(newest);
        }
        Ok(Outlet::Rtsp(publisher.into()))
    }
}

fn shown(url: &StreamUrl, error: &ClientError) -> String {
    match url {
        StreamUrl::Rtmp(url) => source::shown(url, error),
        StreamUrl::Rtsp(_) => error.to_string(),
    }
}

impl From<ClientError> for Left {
    fn from(error: ClientError) -> Left {
        match error {
            ClientError::Interrupted { .. } => Left::Stopped,
            error => Left::Failed(error),
        }
    }
}
