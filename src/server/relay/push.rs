//! `--push PATH=URL`: sends a live stream on to another RTMP server.
//!
//! A job with a [`Tap`] on the stream and a publisher there. It connects when the stream starts and ends properly when the
//! stream does. A far side that is slower than the stream loses whole groups of pictures, as the tap gives them; one that
//! breaks off or refuses is tried again after a while, with a new tap, so that what is sent then begins with a keyframe.

use super::{
    super::{
        Shared,
        client::{ClientError, ClientOptions, Publisher},
        source::{Backoff, shown},
        stats::{Failures, Throttle},
        tap::{Tap, Tapped},
    },
    Push, identity,
};
use alloc::{format, string::String, sync::Arc};
use core::time::Duration;
use crossbeam_channel::RecvTimeoutError;
use std::{io, time::Instant};

/// The far side's pings are answered as often as this where the stream is silent.
const SERVE: Duration = Duration::from_secs(1);

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
    /// It failed.
    Failed(ClientError),
}

impl Job {
    fn run(mut self) {
        // A tap that is there before the stream misses nothing of it.
        let mut tap = None;
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
            match self.send(listening, &mut worked) {
                Left::Ended => {
                    log::info!("{} is not sent to {} any more: it has ended", self.push.path, self.push.url);
                }
                Left::Stopped => return,
                Left::Failed(error) => {
                    // The next begins with the newest pictures.
                    tap = None;
                    let wait = self.backoff.failed(worked);
                    self.report(shown(&self.push.url, &error), wait);
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
    fn send(&mut self, tap: &mut Tap, worked: &mut Duration) -> Left {
        let (path, url) = (tap.hub().path().clone(), &self.push.url);
        let interrupt = self.shared.jobs.interrupt();
        let came_by = tap.hub().came_by().into_iter().chain([self.shared.id.stream(&path)]);
        let flash_ver = identity::of_publisher(came_by);
        let options = ClientOptions { interrupt, flash_ver, ..ClientOptions::default() };
        let mut publisher = match Publisher::open(url, &options) {
            Ok(publisher) => publisher,
            Err(error) => return Left::from(error),
        };
        log::info!("{path} is sent to {url}");
        self.failures.forget();
        let started = self.shared.now();
        let left = loop {
            let now = self.shared.now();
            let sent = match tap.next(Some(now + SERVE)) {
                Tapped::Started => Ok(()),
                Tapped::Tag(tag) => publisher.send_tag(tag.tag()),
                Tapped::Gap => {
                    if let Some(count) = self.gaps.count(now, 1) {
                        log::warn!(
                            "{url} is too slow for {path}: {count} times it lost the rest of a group of pictures"
                        );
                    }
                    Ok(())
                }
                Tapped::TimedOut => publisher.serve(Instant::now()),
                Tapped::Ended => break Left::Ended,
                Tapped::Stopped => break Left::Stopped,
            };
            if let Err(error) = sent {
                break Left::from(error);
            }
        };
        *worked = self.shared.now().since(started);
        if !matches!(left, Left::Failed(_)) {
            if let Err(error) = publisher.finish() {
                log::debug!("{path}: {}", shown(url, &error));
            }
        }
        left
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
