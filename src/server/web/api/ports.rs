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
        Ports {
            rtmp: port(shared, Scheme::Rtmp, false),
            rtmps: port(shared, Scheme::Rtmp, true),
            rtsp: port(shared, Scheme::Rtsp, false),
            rtsps: port(shared, Scheme::Rtsp, true),
            http: port(shared, Scheme::Http, false),
            https: port(shared, Scheme::Http, true),
        }
    }
}

/// The port of a protocol, in the clear or through TLS.
pub(in crate::server::web) fn port(shared: &Shared, scheme: Scheme, is_tls: bool) -> Option<u16> {
    if is_tls {
        shared.tls.as_ref()?;
        // Every listener takes it; 443 is what its clients expect.
        if shared.addresses.iter().any(|address| address.port() == 443) {
            return Some(443);
        }
    }
    scheme.best_of(&shared.addresses).map(|address| address.port())
}
