//! Status codes and the information objects that carry them (rtmp 12).
//!
//! Info objects are AMF0 Objects: ffmpeg finds fields only in those. Level "error" makes ffmpeg leave, so only real
//! failures have it.

use super::event::{RejectReason, Sent};
use crate::{amf::Object, base::CloseReason};
use alloc::{format, string::String};

/// What a request asked for; with the reason it decides the code of a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Connect,
    Publish,
    Play,
    Pause,
    Seek,
    Call,
}

/// An information object of level "status".
pub(super) fn info(code: &str, description: &str) -> Object {
    leveled("status", code, description)
}

/// An information object of level "error".
pub(super) fn error(code: &str, description: &str) -> Object {
    leveled("error", code, description)
}

fn leveled(level: &str, code: &str, description: &str) -> Object {
    Object::from([("level", level.into()), ("code", code.into()), ("description", description.into())])
}

/// The status a peer gets when the answer is no.
pub(super) fn rejection(asked: Asked, why: &RejectReason) -> Object {
    let code = match (asked, why) {
        (Asked::Connect, RejectReason::NoSuchApp) => "NetConnection.Connect.InvalidApp",
        (Asked::Connect, RejectReason::Failed(_)) => "NetConnection.Connect.Failed",
        (Asked::Connect, _) => "NetConnection.Connect.Rejected",
        (Asked::Publish, RejectReason::NameTaken | RejectReason::InvalidName(_)) => {
            "NetStream.Publish.BadName"
        }
        (Asked::Publish, RejectReason::NotAllowed(_)) => "NetStream.Publish.Denied",
        (Asked::Publish, _) => "NetStream.Publish.Failed",
        (Asked::Play, RejectReason::NotFound | RejectReason::InvalidName(_)) => {
            "NetStream.Play.StreamNotFound"
        }
        (Asked::Play, RejectReason::Damaged(_)) => "NetStream.Play.FileStructureInvalid",
        (Asked::Play, RejectReason::NothingPlayable(_)) => "NetStream.Play.NoSupportedTrackFound",
        (Asked::Play, _) => "NetStream.Play.Failed",
        (Asked::Seek, RejectReason::InvalidTime(_)) => "NetStream.Seek.InvalidTime",
        (Asked::Seek, _) => "NetStream.Seek.Failed",
        (Asked::Pause, _) => "NetStream.Failed",
        (Asked::Call, _) => "NetConnection.Call.Failed",
    };
    let mut info = error(code, &description(why));
    if let RejectReason::InvalidTime(last) = why {
        info.push("details", *last);
    }
    info
}

fn description(why: &RejectReason) -> String {
    match why {
        RejectReason::NotAllowed(text)
        | RejectReason::InvalidName(text)
        | RejectReason::Damaged(text)
        | RejectReason::NothingPlayable(text)
        | RejectReason::Failed(text) => text.clone(),
        RejectReason::NameTaken => "Somebody else publishes under this name.".into(),
        RejectReason::NoSuchApp => "There is no such application.".into(),
        RejectReason::NotFound => "There is no such stream.".into(),
        RejectReason::InvalidTime(last) => format!("The last valid time is {last} ms."),
        RejectReason::NotSeekable => "A live stream has no other position.".into(),
    }
}

/// The information object of onPlayStatus.
pub(super) fn play_status(code: &str, sent: Sent) -> Object {
    let mut info = leveled("status", code, "");
    info.push("duration", f64::from(sent.duration) / 1000.0);
    info.push("bytes", sent.bytes as f64);
    info
}

/// What a publishing stream is told when we close; `None` if nothing.
pub(super) fn publisher_goodbye(why: CloseReason) -> Option<Object> {
    match why {
        CloseReason::Done | CloseReason::TooSlow => None,
        CloseReason::Shutdown => Some(info("NetStream.Unpublish.Success", "The server is shutting down.")),
        CloseReason::TakenOver => {
            Some(error("NetStream.Publish.BadName", "Another publisher took this name over."))
        }
        CloseReason::Kicked => Some(error("NetStream.Publish.Rejected", "Closed by the operator.")),
    }
}

/// What a playing stream is told when we close, behind StreamEOF.
pub(super) fn player_goodbye(why: CloseReason) -> Object {
    match why {
        CloseReason::TooSlow => leveled(
            "warning",
            "NetStream.Play.InsufficientBW",
            "The connection was too slow for the stream for too long.",
        ),
        CloseReason::Kicked => error("NetStream.Play.Failed", "Closed by the operator."),
        CloseReason::Done | CloseReason::Shutdown | CloseReason::TakenOver => {
            info("NetStream.Play.UnpublishNotify", "The stream ends.")
        }
    }
}

/// What the connection is told when we close; `None` if nothing.
pub(super) fn connection_goodbye(why: CloseReason) -> Option<Object> {
    (why == CloseReason::Shutdown)
        .then(|| error("NetConnection.Connect.AppShutdown", "The server is shutting down."))
}
