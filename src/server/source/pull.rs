//! A stream of another RTMP server, as a player of it.
//!
//! Tags pass through as they come, times included. When the far side says that the stream is over, so do we, and stay: if
//! it comes back, so does ours. Whatever breaks the connection is a failure, which is tried again.

use super::{LOOK, Produced, Producer};
use crate::{
    base::MonoTime,
    server::{
        client::{ClientError, ClientOptions, Next, Player, RtmpUrl},
        registry::Ending,
    },
};
use alloc::{
    boxed::Box,
    string::{String, ToString},
};
use std::time::Instant;

/// Connects.
pub(super) fn open(url: &RtmpUrl, options: &ClientOptions) -> Result<Box<dyn Producer>, String> {
    let player = Player::open(url, options).map_err(|error| shown(url, &error))?;
    Ok(Box::new(Pull { url: url.clone(), player }))
}

struct Pull {
    url: RtmpUrl,
    player: Player,
}

impl Producer for Pull {
    fn next(&mut self, now: MonoTime) -> Result<Produced, String> {
        match self.player.next(Instant::now() + LOOK) {
            Ok(Next::Tag(tag)) => Ok(Produced::Tag { tag, due: now }),
            // A file of the far side does not begin anew on this connection.
            Ok(Next::Ended) if self.player.is_recorded() => Ok(Produced::Over),
            Ok(Next::Ended) => Ok(Produced::Ended(Ending::Proper)),
            Ok(Next::TimedOut) => Ok(Produced::Nothing),
            Err(error) => Err(shown(&self.url, &error)),
        }
    }
}

/// An error for the log: a server may repeat the name with its query, where tokens are.
pub(in crate::server) fn shown(url: &RtmpUrl, error: &ClientError) -> String {
    let mut text = error.to_string();
    for name in [&url.key, &url.app] {
        if let Some((_, query)) = name.split_once('?').filter(|(_, query)| !query.is_empty()) {
            text = text.replace(query, "...");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::client::Step;

    #[test]
    fn tokens_that_a_server_repeats_are_not_shown() {
        let url: RtmpUrl = "rtmp://h/live/cam?token=secret".parse().unwrap();
        let error = ClientError::Refused {
            peer: "127.0.0.1:1935".parse().unwrap(),
            during: Step::Play,
            code: "NetStream.Play.StreamNotFound".into(),
            description: "there is no cam?token=secret".into(),
        };
        let text = shown(&url, &error);
        assert!(text.ends_with("refused with NetStream.Play.StreamNotFound: there is no cam?..."), "{text}");
    }
}
