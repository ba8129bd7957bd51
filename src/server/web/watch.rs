//! `/APP/KEY.json`: what a viewer needs to know about a stream before it plays. Open to everybody who may play.

use super::api::{
    self,
    ports::Ports,
    track::{Audio, Video},
};
use crate::base::MonoTime;
use crate::hls;
use crate::http::{RequestId, cors};
use crate::server::{
    Shared, StreamPath,
    connection::{Connection, Context},
    hub::HubState,
};
use alloc::{format, string::String, sync::Arc};
use serde::Serialize;

#[derive(Serialize)]
struct Watch<'a> {
    path: &'a str,
    live: bool,
    reason: Option<String>,
    video: Option<Video>,
    audio: Option<Audio>,
    hls: bool,
    bitrate_bps: Option<u64>,
    ports: Ports,
}

impl Connection {
    /// Answers with what there is to know about a stream, published or not.
    pub(super) fn watch_facts(&mut self, cx: &Context<'_>, id: RequestId, path: &StreamPath) {
        let watch = Watch::of(cx.now, cx.shared, path);
        self.respond(cx, id, &cors::open(api::json(&watch)));
    }
}

impl Watch<'_> {
    fn of<'a>(now: MonoTime, shared: &Arc<Shared>, path: &'a StreamPath) -> Watch<'a> {
        let nothing = Watch {
            path: path.as_str(),
            live: false,
            reason: None,
            video: None,
            audio: None,
            hls: shared.segmenters.is_on(),
            bitrate_bps: None,
            ports: Ports::of(shared),
        };
        let facts = shared.registry.find(path).map(|hub| hub.facts(now));
        let reason = match facts {
            Some(facts) if facts.state == HubState::Live && facts.has_media => {
                let (video, audio) = (Video::of(&facts), Audio::of(&facts));
                let bitrate_bps = facts.measured.bits.map(api::track::whole);
                let description = &facts.description;
                let codecs = [
                    description.video.as_ref().and_then(|video| video.codec),
                    description.audio.as_ref().and_then(|audio| audio.codec),
                ];
                let hls = nothing.hls && codecs.into_iter().flatten().any(hls::carries);
                return Watch { live: true, video, audio, hls, bitrate_bps, ..nothing };
            }
            Some(facts) if facts.state == HubState::Live => {
                format!("{path} is published, and nothing has come yet")
            }
            Some(facts) if facts.state == HubState::Lost => format!("the publisher of {path} is away"),
            // What it is nobody knows before.
            _ if shared.comes_on_demand(path) => return Watch { live: true, ..nothing },
            _ => format!("nobody publishes {path}"),
        };
        Watch { reason: Some(reason), ..nothing }
    }
}
