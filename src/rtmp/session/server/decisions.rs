//! What the application decides, and the replies that tell the peer.
//!
//! In: accept, reject, reply, notice, goodbye. Out: replies and status messages, and what the stream then does. Not here:
//! what was asked (the parent module), the texts (`status`).

use super::{Pending, Server, reply, send_error};
use crate::{
    amf::{Object, Value, amf0},
    rtmp::{
        ApiMisuse, MessageStreamId,
        chunk::csid,
        message::{Command, UserControl, type_id},
        session::{
            CloseReason, capabilities,
            event::{Notice, RejectReason, RequestId, Sent},
            link::Link,
            status::{self, Asked},
            streams::Use,
        },
    },
};
use alloc::{string::String, vec::Vec};

impl Server {
    fn take(&mut self, request: RequestId) -> Result<Pending, ApiMisuse> {
        match self.pending.take() {
            Some((id, pending)) if id == request => Ok(pending),
            other => {
                self.pending = other;
                Err(ApiMisuse::NoSuchRequest)
            }
        }
    }

    pub(in super::super) fn accept(&mut self, link: &mut Link, request: RequestId) -> Result<(), ApiMisuse> {
        match self.take(request)? {
            Pending::Connect { transaction, object_encoding, is_enhanced } => {
                self.is_connected = true;
                link.send_window_ack_size(self.window);
                link.send_peer_bandwidth(self.window);
                link.send_chunk_size(self.chunk_size);
                link.send_user_control(UserControl::StreamBegin(MessageStreamId::CONNECTION));
                let (properties, info) = connect_result(object_encoding, is_enhanced);
                let result = Command::result(transaction, Value::Object(properties), Value::Object(info));
                link.send_command(csid::COMMAND, MessageStreamId::CONNECTION, &result);
                link.expect_command(true);
            }
            Pending::Publish { stream, name } => {
                link.send_user_control(UserControl::StreamBegin(stream));
                let mut info = status::info("NetStream.Publish.Start", "Publishing.");
                info.push("details", name.as_str());
                link.send_status(stream, info);
                self.start(link, stream, Use::Publishing { name });
            }
            Pending::Play { stream, reset, name } => {
                flush(link, stream, reset);
                send_start(link, stream, name, reset, false);
                self.start(link, stream, Use::Playing);
            }
            Pending::Play2 { stream, name, reset } => {
                flush(link, stream, reset);
                send_transition(link, stream, name);
                self.start(link, stream, Use::Playing);
            }
            Pending::Pause { stream, paused: true } => {
                link.send_status(stream, status::info("NetStream.Pause.Notify", "Paused."));
                link.send_user_control(UserControl::StreamEof(stream));
            }
            Pending::Pause { stream, paused: false } => {
                link.send_status(stream, status::info("NetStream.Unpause.Notify", "Playing on."));
                link.send_user_control(UserControl::StreamBegin(stream));
            }
            Pending::Seek { stream, position } => {
                link.drop_media(stream);
                let mut info = status::info("NetStream.Seek.Notify", "Seeking.");
                info.push("details", position);
                link.send_status(stream, info);
                let is_recorded = self.streams.get(stream) == Some(&Use::Replaying);
                if is_recorded {
                    link.send_user_control(UserControl::StreamIsRecorded(stream));
                }
                link.send_user_control(UserControl::StreamBegin(stream));
                if is_recorded {
                    link.send_status(stream, status::info("NetStream.Play.Start", "Playing from there."));
                    send_data_start(link, stream);
                }
            }
            Pending::Call { stream, transaction, name } => {
                // Length 0: live or unknown. ffmpeg asks before every play.
                let value = if name == "getStreamLength" { Value::Number(0.0) } else { Value::Null };
                reply(link, stream, transaction, value);
            }
        }
        Ok(())
    }

    pub(in super::super) fn accept_recorded(
        &mut self,
        link: &mut Link,
        request: RequestId,
    ) -> Result<(), ApiMisuse> {
        if !matches!(&self.pending, Some((_, Pending::Play { .. } | Pending::Play2 { .. }))) {
            return Err(ApiMisuse::NoSuchRequest);
        }
        match self.take(request)? {
            Pending::Play { stream, reset, name } => {
                flush(link, stream, reset);
                send_start(link, stream, name, reset, true);
                self.start(link, stream, Use::Replaying);
            }
            Pending::Play2 { stream, name, reset } => {
                flush(link, stream, reset);
                send_transition(link, stream, name);
                self.start(link, stream, Use::Replaying);
            }
            _ => {}
        }
        Ok(())
    }

    pub(in super::super) fn accept_later(&mut self, request: RequestId) -> Result<(), ApiMisuse> {
        let plays = |stream| self.plays(stream);
        let Some((_, Pending::Play { stream, .. } | Pending::Play2 { stream, .. })) = &self.pending else {
            return Err(ApiMisuse::NoSuchRequest);
        };
        if !plays(*stream) {
            return Err(ApiMisuse::NoSuchRequest);
        }
        self.take(request).map(drop)
    }

    fn start(&mut self, link: &mut Link, stream: MessageStreamId, doing: Use) {
        self.streams.set(stream, doing);
        if self.is_publishing() {
            link.allow_media();
        }
        link.expect_media(self.is_publishing());
        link.expect_command(false);
    }

    pub(in super::super) fn reject(
        &mut self,
        link: &mut Link,
        request: RequestId,
        why: &RejectReason,
    ) -> Result<(), ApiMisuse> {
        match self.take(request)? {
            Pending::Connect { transaction, .. } => {
                let info = status::rejection(Asked::Connect, why);
                send_error(link, MessageStreamId::CONNECTION, transaction, info);
                link.start_closing();
            }
            Pending::Publish { stream, .. } => {
                link.send_status(stream, status::rejection(Asked::Publish, why));
                link.start_closing();
            }
            Pending::Play { stream, .. } | Pending::Play2 { stream, .. } => {
                link.send_status(stream, status::rejection(Asked::Play, why));
            }
            Pending::Pause { stream, .. } => {
                link.send_status(stream, status::rejection(Asked::Pause, why));
            }
            Pending::Seek { stream, .. } => {
                link.send_status(stream, status::rejection(Asked::Seek, why));
            }
            Pending::Call { stream, transaction, .. } => {
                if transaction != 0.0 {
                    send_error(link, stream, transaction, status::rejection(Asked::Call, why));
                }
            }
        }
        Ok(())
    }

    pub(in super::super) fn reply(
        &mut self,
        link: &mut Link,
        request: RequestId,
        values: &[Value],
    ) -> Result<(), ApiMisuse> {
        if !matches!(&self.pending, Some((id, Pending::Call { .. })) if *id == request) {
            return Err(ApiMisuse::NoSuchRequest);
        }
        if let Pending::Call { stream, transaction, .. } = self.take(request)? {
            if transaction != 0.0 {
                let result = Command::new("_result", transaction, values.to_vec());
                link.send_command(csid::COMMAND, stream, &result);
            }
        }
        Ok(())
    }

    pub(in super::super) fn notify(
        &mut self,
        link: &mut Link,
        stream: MessageStreamId,
        notice: Notice,
    ) -> Result<(), ApiMisuse> {
        let is_of_publisher =
            matches!(notice, Notice::RecordStarted | Notice::RecordStopped | Notice::RecordFailed);
        if self.plays(stream) == is_of_publisher || self.streams.get(stream).is_none() {
            return Err(ApiMisuse::NoSuchStream);
        }
        match notice {
            Notice::Published => {
                link.send_user_control(UserControl::StreamBegin(stream));
                link.send_status(stream, status::info("NetStream.Play.PublishNotify", "The stream is live."));
            }
            Notice::Unpublished => {
                send_end(link, stream, status::info("NetStream.Play.UnpublishNotify", "The stream ended."));
            }
            Notice::Switched(sent) => send_play_status(link, stream, "NetStream.Play.Switch", sent),
            Notice::Begins { name, is_recorded } => {
                send_start(link, stream, name, false, is_recorded);
                self.start(link, stream, if is_recorded { Use::Replaying } else { Use::Playing });
            }
            Notice::Transitioned(sent) => {
                send_play_status(link, stream, "NetStream.Play.TransitionComplete", sent);
            }
            Notice::Complete(sent) => {
                send_play_status(link, stream, "NetStream.Play.Complete", sent);
                link.send_status(stream, status::info("NetStream.Play.Stop", "All is sent."));
                link.send_user_control(UserControl::StreamEof(stream));
            }
            Notice::Dry => link.send_user_control(UserControl::StreamDry(stream)),
            Notice::RecordStarted => {
                link.send_status(stream, status::info("NetStream.Record.Start", "Recording."));
            }
            Notice::RecordStopped => {
                link.send_status(stream, status::info("NetStream.Record.Stop", "Recording stopped."));
            }
            Notice::RecordFailed => {
                link.send_status(stream, status::error("NetStream.Record.Failed", "The recording failed."));
            }
        }
        Ok(())
    }

    /// Queues what every stream and the connection are told when we close.
    pub(in super::super) fn say_goodbye(&self, link: &mut Link, why: CloseReason) {
        for (stream, doing) in self.streams.iter() {
            match doing {
                Use::Idle => {}
                Use::Publishing { .. } => {
                    if let Some(info) = status::publisher_goodbye(why) {
                        link.send_status(stream, info);
                    }
                }
                Use::Playing | Use::Replaying => {
                    send_end(link, stream, status::player_goodbye(why));
                }
            }
        }
        if let Some(info) = status::connection_goodbye(why).filter(|_| self.is_connected) {
            link.send_status(MessageStreamId::CONNECTION, info);
        }
    }
}

/// The two objects of the answer to connect. Version and capabilities are those of FMS 3.5, which every client knows.
/// E-RTMP properties stand in both objects, and only for peers that asked by sending some.
fn connect_result(object_encoding: f64, is_enhanced: bool) -> (Object, Object) {
    let mut properties = Object::from([
        ("fmsVer", "FMS/3,5,7,7009".into()),
        ("capabilities", 31.0.into()),
        ("mode", 1.0.into()),
    ]);
    let mut info = status::info("NetConnection.Connect.Success", "Connection succeeded.");
    info.push("objectEncoding", object_encoding);
    if is_enhanced {
        capabilities::answer(&mut properties);
        capabilities::answer(&mut info);
    }
    (properties, info)
}

/// Who asks for something else at once does not want what still waits. Other ends of a play are in its own time.
fn flush(link: &mut Link, stream: MessageStreamId, reset: bool) {
    if reset {
        link.drop_media(stream);
    }
}

/// What a player is told before media. The order is the specification's (RTMP 1.0, 7.2.2.1), the texts are those of Adobe's
/// servers.
fn send_start(link: &mut Link, stream: MessageStreamId, name: String, reset: bool, is_recorded: bool) {
    if is_recorded {
        link.send_user_control(UserControl::StreamIsRecorded(stream));
    }
    link.send_user_control(UserControl::StreamBegin(stream));
    if reset {
        link.send_status(stream, status::info("NetStream.Play.Reset", "Playlist flushed."));
    }
    let mut info = status::info("NetStream.Play.Start", "Playing.");
    info.push("details", name);
    link.send_status(stream, info);
    send_sample_access(link, stream);
    if is_recorded {
        send_data_start(link, stream);
        link.forget_media();
    }
}

fn send_transition(link: &mut Link, stream: MessageStreamId, name: String) {
    let mut info = status::info("NetStream.Play.Transition", "Switching.");
    info.push("details", name);
    link.send_status(stream, info);
}

/// A data message: media follows, also behind a seek. Its object has nothing but the code.
fn send_data_start(link: &mut Link, stream: MessageStreamId) {
    let info = Object::from([("code", Value::from("NetStream.Data.Start"))]);
    send_data(link, stream, &[Value::from("onStatus"), info.into()]);
}

fn send_play_status(link: &mut Link, stream: MessageStreamId, code: &str, sent: Sent) {
    let info = status::play_status(code, sent);
    send_data(link, stream, &[Value::from("onPlayStatus"), info.into()]);
}

/// Permission to read samples; players that do not ask ignore it.
fn send_sample_access(link: &mut Link, stream: MessageStreamId) {
    send_data(link, stream, &[Value::from("|RtmpSampleAccess"), Value::Boolean(true), Value::Boolean(true)]);
}

fn send_data(link: &mut Link, stream: MessageStreamId, values: &[Value]) {
    let mut body = Vec::new();
    values.iter().for_each(|value| amf0::encode(value, &mut body));
    link.send_reply(csid::STATUS, stream, type_id::DATA, &body);
}

/// The end of what a player gets. GStreamer's rtmp2src (1.22.0, and newer by its source) throws away the one message
/// that it holds when StreamEOF comes in the same read, mostly the last frame: so that this is no media, another
/// message goes between.
fn send_end(link: &mut Link, stream: MessageStreamId, info: Object) {
    send_sample_access(link, stream);
    link.send_user_control(UserControl::StreamEof(stream));
    link.send_status(stream, info);
}
