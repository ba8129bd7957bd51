//! What the bytes of the peer do, phase by phase.

use super::*;
use alloc::vec::Vec;
use reader::Incoming;

impl Session {
    /// Takes bytes up to the end of one request or message at most; returns how many, at least one.
    pub(super) fn receive(&mut self, input: &[u8]) -> usize {
        self.last_input = self.now;
        // Any byte of the peer counts as the answer to a ping.
        if let Some((Timer::PingReply, _)) = self.deadline {
            self.set_deadline(Timer::PingDue);
        }
        match &mut self.phase {
            Phase::Head(reader) => {
                let received = reader.receive(input, &self.limits);
                let has_begun = !reader.is_empty() || !matches!(received, Ok((_, None)));
                // The first request's deadline runs since the connection was made.
                if has_begun && self.deadline.is_none_or(|(timer, _)| timer == Timer::Idle) {
                    self.set_deadline(Timer::Head);
                }
                match received {
                    Ok((taken, None)) => taken,
                    Ok((taken, Some(head))) => {
                        self.handle_head(head);
                        taken
                    }
                    Err(why) => {
                        self.refuse(why);
                        input.len()
                    }
                }
            }
            Phase::Body(body) => match body.1.receive(input, &self.limits) {
                Ok(taken) => {
                    self.ask_if_complete();
                    taken
                }
                Err(why) => {
                    self.refuse(why);
                    input.len()
                }
            },
            Phase::Sending(sending) => {
                // It may have held the next request.
                sending.keeps_alive = false;
                input.len()
            }
            Phase::WebSocket(reader) => match reader.receive(input, self.limits.max_message_len) {
                Ok((taken, incoming)) => {
                    if let Some(incoming) = incoming {
                        self.handle_incoming(incoming);
                    }
                    taken
                }
                Err(code) => {
                    self.end_websocket(code);
                    self.events.push_back(Event::WebSocketEnd { code, by_peer: false });
                    input.len()
                }
            },
            Phase::Deciding(_) | Phase::Closing | Phase::Closed | Phase::Failed(_) => input.len(),
        }
    }

    fn handle_head(&mut self, bytes: Vec<u8>) {
        let is_for_head = head::is_for_head(&bytes);
        let mut head = match head::parse(bytes, &self.limits) {
            Ok(head) => head,
            Err(why) => return self.refuse_with("", is_for_head, why),
        };
        // What follows is no body of HTTP, however long it says that it is.
        if head.request.tunnel().is_some() {
            (head.body, head.keeps_alive) = (body::Framing::Length(0), false);
        }
        if head.expects_continue && head.body != body::Framing::Length(0) {
            self.output.push_owned(b"HTTP/1.1 100 Continue\r\n\r\n", Purpose::Reply);
        }
        let reader = body::Reader::new(head.body);
        self.phase = Phase::Body(Box::new((head, reader)));
        self.set_deadline(Timer::Body);
        self.ask_if_complete();
    }

    /// Hands the request over once its body is complete.
    fn ask_if_complete(&mut self) {
        let Phase::Body(pending) = &mut self.phase else { return };
        let Some(body) = pending.1.take() else { return };
        let Phase::Body(pending) = core::mem::replace(&mut self.phase, Phase::Closing) else { return };
        let Head { mut request, keeps_alive, .. } = pending.0;
        request.body = body;
        let id = RequestId(self.next_request);
        self.next_request = self.next_request.wrapping_add(1);
        self.requests += 1;
        self.deadline = None;
        self.phase = Phase::Deciding(Box::new(Asked {
            id,
            is_head: request.method == Method::Head,
            version: request.version,
            keeps_alive,
            key: websocket::key(&request),
            is_api: response::is_api(request.path()),
        }));
        self.events.push_back(Event::Request { id, request: Box::new(request) });
    }

    fn handle_incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Message { is_text, body } => self.events.push_back(Event::Message { is_text, body }),
            Incoming::Ping(payload) => self.send_control(Opcode::Pong, &payload),
            Incoming::Close(code) => {
                self.end_websocket(code);
                self.events.push_back(Event::WebSocketEnd { code, by_peer: true });
            }
        }
    }
}
