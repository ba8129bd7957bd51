//! Where clients reach each protocol.

use crate::server::{Scheme, Shared};
use serde::Serialize;

/// The port that is usual for a protocol if the server listens there, else the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(in crate::server::web) struct Ports {
    rtmp: Option<u16>,
    rtmps: Option<u16>,
    rtsp: Option<u16>,
    rtsps: Option<u16>,
    http: Option<u16>,
    https: Option<u16>,
}

impl Ports {
    pub(in crate::server::web) fn of(shared: &Shared) -> Ports {
        let port = |scheme: Scheme| scheme.best_of(&shared.addresses).map(|address| address.port());
        // Every listener takes it; 443 is what its clients expect.
        let sealed = |scheme: Scheme| {
            let has_usual = shared.addresses.iter().any(|address| address.port() == 443);
            shared.tls.as_ref().and_then(|_| if has_usual { Some(443) } else { port(scheme) })
        };
        Ports {
            rtmp: port(Scheme::Rtmp),
            rtmps: sealed(Scheme::Rtmp),
            rtsp: None,
            rtsps: None,
            http: port(Scheme::Http),
            https: sealed(Scheme::Http),
        }
    }
}
