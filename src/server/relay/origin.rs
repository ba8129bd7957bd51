//! `--origin URL`: what is played here and published by nobody is fetched from there, while somebody plays it.
//!
//! Players wait meanwhile, as for any stream that does not exist yet: a refusal of the origin is logged and tried again
//! later, because a publisher may come there at any moment. Somebody who publishes here has precedence.
//! One thread, told by the hubs (see `hub`) of paths that are wanted; each of them becomes a source of its own, which ends
//! when nobody plays any more.
//! Bounds: [`MAX_PULLS`] at once; who wants another waits until one of them ends.

use super::super::{
    Shared, StreamPath,
    client::{RtmpUrl, StreamUrl, UrlError},
    source::{self, Input, Lifetime, Start},
    stats::Throttle,
};
use alloc::{
    collections::{BTreeSet, VecDeque},
    format,
    string::{String, ToString},
    sync::Arc,
};
use core::{fmt, str::FromStr};
use crossbeam_channel::{Receiver, Sender, select, unbounded};
use std::io;

/// Streams fetched at once, each with a thread and a connection.
pub const MAX_PULLS: usize = 256;

/// Where streams come from: `rtmp://HOST[:PORT][/PREFIX][?QUERY]`. Shows itself without the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Up to the path of the stream, without a slash at the end.
    base: String,
    /// With its `?`, or empty.
    query: String,
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginError(UrlError);

impl Origin {
    /// The URL of a stream there.
    ///
    /// # Errors
    /// The path has one component only, and the origin no prefix.
    pub fn url(&self, path: &StreamPath) -> Result<RtmpUrl, UrlError> {
        format!("{}/{path}{}", self.base, self.query).parse()
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Origin, OriginError> {
        let (base, query) = match text.find('?') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let base = base.trim_end_matches('/').to_string();
        let origin = Origin { base, query: query.to_string() };
        // Any stream will do to see whether the rest is right.
        format!("{}/app/key", origin.base).parse::<RtmpUrl>().map_err(OriginError)?;
        Ok(origin)
    }
}

/// Starts the thread.
pub(in crate::server) fn start(
    shared: &Arc<Shared>,
    origin: Origin,
    wanted: Receiver<StreamPath>,
) -> io::Result<()> {
    let (ended, ends) = unbounded();
    let manager = Manager {
        shared: shared.clone(),
        origin,
        ended,
        running: BTreeSet::new(),
        waiting: VecDeque::new(),
        count: 0,
        too_many: Throttle::default(),
    };
    shared.jobs.spawn("weir-origin".to_string(), move || manager.run(&wanted, &ends))
}

struct Manager {
    shared: Arc<Shared>,
    origin: Origin,
    /// For pulls to say that they have ended.
    ended: Sender<StreamPath>,
    running: BTreeSet<StreamPath>,
    /// Wanted when there were too many.
    waiting: VecDeque<StreamPath>,
    /// Names threads.
    count: u64,
    too_many: Throttle,
}

impl Manager {
    fn run(mut self, wanted: &Receiver<StreamPath>, ends: &Receiver<StreamPath>) {
        loop {
            select! {
                recv(wanted) -> path => if let Ok(path) = path { self.consider(path) },
                recv(ends) -> path => if let Ok(path) = path {
                    self.running.remove(&path);
                    // Somebody may have come after it had looked for the last time.
                    self.consider(path);
                    // Of those that wait, some have gone: who does not need the place leaves it to the next.
                    while self.running.len() < MAX_PULLS {
                        let Some(path) = self.waiting.pop_front() else { break };
                        self.consider(path);
                    }
                },
                recv(self.shared.jobs.stopped()) -> _ => return,
            }
        }
    }

    /// Fetches the stream, if that makes sense now.
    fn consider(&mut self, path: StreamPath) {
        // No hub, or no room for another: then nobody waits.
        let Ok(hub) = self.shared.registry.hub(&path) else { return };
        if !hub.is_wanted() || self.running.contains(&path) {
            return;
        }
        if self.running.len() >= MAX_PULLS {
            if let Some(count) = self.too_many.count(self.shared.now(), 1) {
                log::warn!("{count} streams wait: {MAX_PULLS} are being fetched from the origin");
            }
            if !self.waiting.contains(&path) {
                self.waiting.push_back(path);
            }
            return;
        }
        let url = match self.origin.url(&path) {
            Ok(url) => url,
            Err(why) => return log::warn!("{path} cannot be asked for at the origin: {why}"),
        };
        self.count += 1;
        let name = format!("weir-pull-{}", self.count);
        let lifetime = Lifetime::Wanted(self.ended.clone());
        self.running.insert(path.clone());
        let started = source::start(
            &self.shared,
            name,
            hub,
            Input::Server(StreamUrl::Rtmp(url)),
            Start::OnDemand,
            lifetime,
        );
        if let Err(error) = started {
            self.running.remove(&path);
            log::warn!("{path} cannot be fetched from the origin: {error}");
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl core::error::Error for OriginError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(origin: &str, path: &str) -> Result<RtmpUrl, UrlError> {
        let path = StreamPath::join("", "", path).unwrap();
        origin.parse::<Origin>().unwrap().url(&path)
    }

    #[test]
    fn a_stream_keeps_its_path_at_the_origin() {
        let one = url("rtmp://h:81", "live/cam").unwrap();
        assert_eq!((&*one.host, one.port, &*one.app, &*one.key), ("h", 81, "live", "cam"));
        let one = url("rtmp://h/edge/?token=a/b", "live/cam").unwrap();
        assert_eq!((&*one.app, &*one.key), ("edge/live", "cam?token=a/b"));
        let one = url("rtmp://h/edge", "cam").unwrap();
        assert_eq!((&*one.app, &*one.key), ("edge", "cam"));
        assert_eq!(url("rtmp://h", "cam"), Err(UrlError::Path));
    }

    #[test]
    fn what_is_no_origin_is_refused_and_tokens_are_not_shown() {
        for (text, why) in
            [("h", UrlError::Scheme), ("http://h/", UrlError::Scheme), ("rtmp://h:0/", UrlError::Port)]
        {
            assert_eq!(text.parse::<Origin>(), Err(OriginError(why)), "{text}");
        }
        assert_eq!("rtmp://h/x?token=1".parse::<Origin>().unwrap().to_string(), "rtmp://h/x");
    }
}
