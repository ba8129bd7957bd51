//! Path -> hub, and who may publish there.
//!
//! A hub lives as long as somebody holds a [`HubHandle`] to it: its publisher, a thread with players of it, or the
//! resume window of a publisher that vanished. The last handle removes it.
//!
//! Bounds: [`MAX_HUBS`], because waiting players create hubs as well.
//! Lock order: registry before hub; neither is held while a handle is dropped.

use super::{
    hub::{Hub, NameTaken, Takeover},
    networks::Networks,
    path::StreamPath,
    port::{Control, Mailbox, Port},
};
use crate::{
    base::MonoTime,
    flv::Tag,
    rtmp::session::{CloseReason, RejectReason},
};
use alloc::{format, string::ToString, sync::Arc, vec::Vec};
use core::{net::IpAddr, ops::Deref, time::Duration};
use crossbeam_channel::Sender;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Streams at once, those included that players wait for. Each costs below 1 KiB while nobody publishes it.
pub const MAX_HUBS: usize = 20_000;

/// All streams of a server.
pub(super) struct Registry {
    hubs: Mutex<HashMap<StreamPath, Arc<Hub>>>,
    policy: Policy,
    /// Told of publishers that vanish.
    reactor: Arc<Port>,
}

/// What the flags say about publishing.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) publish_from: Networks,
    pub(super) takeover: Takeover,
    /// How long a stream outlives a publisher that vanished; zero ends it at once.
    pub(super) resume_window: Duration,
    pub(super) gop_bytes: usize,
    /// Told of streams that somebody plays and nobody publishes.
    pub(super) wanted: Option<Sender<StreamPath>>,
}

impl Registry {
    pub(super) fn new(policy: Policy, reactor: Arc<Port>) -> Arc<Registry> {
        Arc::new(Registry { hubs: Mutex::default(), policy, reactor })
    }

    /// The stream of that name, made if there is none.
    pub(super) fn hub(self: &Arc<Registry>, path: &StreamPath) -> Result<HubHandle, RejectReason> {
        let mut hubs = self.lock();
        let hub = match hubs.get(path) {
            Some(hub) => hub.clone(),
            None if hubs.len() >= MAX_HUBS => {
                return Err(RejectReason::Failed("the server has too many streams".to_string()));
            }
            None => {
                let hub = Arc::new(Hub::new(path.clone(), self.policy.gop_bytes, self.policy.wanted.clone()));
                hubs.insert(path.clone(), hub.clone());
                hub
            }
        };
        Ok(HubHandle { hub, registry: self.clone() })
    }

    /// Whether somebody publishes there.
    pub(super) fn is_live(&self, path: &StreamPath) -> bool {
        self.lock().get(path).is_some_and(|hub| hub.is_live())
    }

    /// Whether a publisher from `address` needs no credentials.
    pub(super) fn admit(&self, address: IpAddr) -> Result<(), RejectReason> {
        let allowed = &self.policy.publish_from;
        match allowed.contains(address) {
            true => Ok(()),
            false => Err(RejectReason::NotAllowed(format!("publishing is allowed from {allowed} only"))),
        }
    }

    /// Lets `connection` publish, or says why not. Whoever is replaced is closed.
    pub(super) fn publish(
        self: &Arc<Registry>,
        now: MonoTime,
        path: &StreamPath,
        connection: &Arc<Mailbox>,
    ) -> Result<Publishing, RejectReason> {
        if path.is_reserved() {
            return Err(RejectReason::InvalidName(format!("{path} is reserved, choose another name")));
        }
        let hub = self.hub(path)?;
        let claim =
            hub.claim(now, connection, self.policy.takeover).map_err(|NameTaken| RejectReason::NameTaken)?;
        if let Some(replaced) = claim.replaced {
            log::info!("{path}: {} replaces {} as publisher", connection.id, replaced.id);
            replaced.close(CloseReason::TakenOver);
        }
        Ok(Publishing { hub, claim: claim.id })
    }

    /// The stream of that name, if there is one.
    pub(super) fn find(self: &Arc<Registry>, path: &StreamPath) -> Option<HubHandle> {
        let hubs = self.lock();
        hubs.get(path).map(|hub| HubHandle { hub: hub.clone(), registry: self.clone() })
    }

    /// All streams.
    pub(super) fn all(self: &Arc<Registry>) -> Vec<HubHandle> {
        let hubs = self.lock();
        hubs.values().map(|hub| HubHandle { hub: hub.clone(), registry: self.clone() }).collect()
    }

    /// How many streams there are, those included that players wait for.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamPath, Arc<Hub>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a hub alive and registered.
pub(super) struct HubHandle {
    hub: Arc<Hub>,
    registry: Arc<Registry>,
}

impl HubHandle {
    /// Another handle to the same hub.
    pub(super) fn again(&self) -> HubHandle {
        // Under the lock, as all handles are made.
        let _hubs = self.registry.lock();
        HubHandle { hub: self.hub.clone(), registry: self.registry.clone() }
    }

    /// Whether both are handles to one hub.
    pub(super) fn is(&self, other: &HubHandle) -> bool {
        Arc::ptr_eq(&self.hub, &other.hub)
    }
}

impl Deref for HubHandle {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        &self.hub
    }
}

impl Drop for HubHandle {
    fn drop(&mut self) {
        let mut hubs = self.registry.lock();
        // This handle and the table. Handles are only made under the same lock.
        if Arc::strong_count(&self.hub) == 2 {
            hubs.remove(self.hub.path());
        }
    }
}

/// The right to publish a stream, until it ends or somebody takes over.
pub(super) struct Publishing {
    hub: HubHandle,
    claim: u64,
}

/// How a publisher stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It said so: players are told at once.
    Proper,
    /// It vanished: players are told after the resume window.
    Lost,
}

impl Publishing {
    /// The stream, for whoever wants to hear it as well.
    pub(super) fn hub(&self) -> HubHandle {
        self.hub.again()
    }

    /// The stream's name.
    pub(super) fn path(&self) -> &StreamPath {
        self.hub.path()
    }

    /// The next tag.
    pub(super) fn tag(&self, now: MonoTime, tag: Tag) {
        self.hub.publish(now, self.claim, tag);
    }

    /// No more tags.
    pub(super) fn finish(self, now: MonoTime, ending: Ending) {
        let window = self.hub.registry.policy.resume_window;
        if ending == Ending::Proper || window.is_zero() {
            self.hub.end(self.claim);
        } else if self.hub.lose(self.claim) {
            let reactor = self.hub.registry.reactor.clone();
            let deadline = now + window;
            reactor.send(Control::Lost { hub: self.hub, claim: self.claim, deadline });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{
        port::ConnectionId,
        testing::{feed_port, keyframe},
    };
    use crossbeam_channel::Receiver;

    const PATH: &str = "live/cam";

    /// A registry, and what it tells the reactor.
    fn registry(takeover: Takeover, window: u64) -> (Arc<Registry>, Receiver<Control>) {
        let poll = mio::Poll::new().unwrap();
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
        let (control, told) = crossbeam_channel::unbounded();
        let policy = Policy {
            publish_from: Networks::default(),
            takeover,
            resume_window: Duration::from_secs(window),
            gop_bytes: 1 << 20,
            wanted: None,
        };
        (Registry::new(policy, Arc::new(Port::new(control, waker))), told)
    }

    fn path() -> StreamPath {
        StreamPath::join("", "", PATH).unwrap()
    }

    fn connection(id: u64, address: &str) -> Arc<Mailbox> {
        let port = feed_port(1).0.port().clone();
        Arc::new(Mailbox::new(ConnectionId(id), address.parse().unwrap(), port))
    }

    #[test]
    fn a_hub_is_removed_with_its_last_user() {
        let (registry, _told) = registry(Takeover::Never, 10);
        let player = registry.hub(&path()).unwrap();
        let publishing = registry.publish(MonoTime(0), &path(), &connection(1, "::1")).ok().unwrap();
        publishing.finish(MonoTime(0), Ending::Proper);
        assert_eq!(registry.len(), 1);
        drop(player);
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn a_lost_stream_stays_as_long_as_its_resume_window() {
        let (registry, told) = registry(Takeover::Never, 10);
        let publishing = registry.publish(MonoTime(5), &path(), &connection(1, "::1")).ok().unwrap();
        publishing.tag(MonoTime(5), keyframe(0));
        publishing.finish(MonoTime(5), Ending::Lost);
        let Ok(Control::Lost { hub, claim, deadline }) = told.try_recv() else { panic!("not told") };
        assert_eq!((registry.len(), deadline), (1, MonoTime(10_005)));
        assert!(hub.expire(claim));
        drop(hub);
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn without_a_resume_window_a_lost_publisher_ends_the_stream() {
        let (registry, told) = registry(Takeover::Never, 0);
        let publishing = registry.publish(MonoTime(5), &path(), &connection(1, "::1")).ok().unwrap();
        publishing.finish(MonoTime(5), Ending::Lost);
        assert!(told.try_recv().is_err());
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn publishing_from_elsewhere_is_refused_with_the_networks_that_may() {
        let (registry, _told) = registry(Takeover::Always, 10);
        assert_eq!(registry.admit("::ffff:10.0.0.1".parse().unwrap()), Ok(()));
        let refused = registry.admit("8.8.8.8".parse().unwrap()).err();
        let Some(RejectReason::NotAllowed(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains("127.0.0.0/8"), "{why}");
    }

    #[test]
    fn the_replaced_publisher_finds_it_in_its_mailbox() {
        let (registry, _told) = registry(Takeover::SameAddress, 10);
        let (first, second) = (connection(1, "10.0.0.1"), connection(2, "::ffff:10.0.0.1"));
        let old = registry.publish(MonoTime(0), &path(), &first).ok().unwrap();
        let third = registry.publish(MonoTime(0), &path(), &connection(3, "10.0.0.3")).err();
        assert_eq!(third, Some(RejectReason::NameTaken));
        let new = registry.publish(MonoTime(0), &path(), &second).ok().unwrap();
        assert_eq!((first.pending(), second.pending()), (Some(CloseReason::TakenOver), None));
        // The end of the first must not touch the second.
        old.finish(MonoTime(1), Ending::Proper);
        assert_eq!(
            registry.publish(MonoTime(1), &path(), &connection(4, "10.0.0.4")).err(),
            Some(RejectReason::NameTaken)
        );
        new.finish(MonoTime(1), Ending::Proper);
        assert!(registry.publish(MonoTime(1), &path(), &connection(5, "10.0.0.5")).is_ok());
    }
}
