//! Responses on their way out: what the connection adds to a head, and what follows the end of a response.

use super::*;

impl Session {
    /// Queues a response and, if it is fixed, its body.
    pub(super) fn write_response(&mut self, asked: &Asked, response: &Response) -> Next {
        let mut head = String::with_capacity(512);
        response.write_head(&mut head);
        let is_bodiless = response.status.is_bodiless();
        let (framing, left) = match &response.body {
            Body::Fixed(pieces) => {
                (Framing::Plain, Some(pieces.iter().map(|piece| piece.len() as u64).sum()))
            }
            Body::Sized(len) => (Framing::Plain, Some(*len)),
            Body::Stream if asked.version == Version::Http11 => (Framing::Chunked, None),
            Body::Stream | Body::Unframed => (Framing::Plain, None),
        };
        let has_end = is_bodiless || left.is_some() || framing == Framing::Chunked;
        let keeps_alive = asked.keeps_alive && has_end && !response.closes;
        let _ = match left {
            _ if is_bodiless => Ok(()),
            Some(len) => write!(head, "Content-Length: {len}\r\n"),
            None if framing == Framing::Chunked => head.write_str("Transfer-Encoding: chunked\r\n"),
            None => Ok(()),
        };
        head.push_str(match (keeps_alive, asked.version) {
            (false, _) => "Connection: close\r\n",
            (true, Version::Http10) => "Connection: keep-alive\r\n",
            (true, Version::Http11) => "",
        });
        self.finish_head(head);
        match &response.body {
            _ if asked.is_head || is_bodiless => {}
            Body::Fixed(pieces) => {
                for piece in pieces {
                    self.output.push_shared(piece.clone(), Purpose::Reply);
                }
            }
            _ if left == Some(0) => {}
            _ => {
                self.deadline = None;
                self.ends_with_connection = !has_end;
                self.phase = Phase::Sending(Sending { framing, left, keeps_alive });
                return Next::Body(framing);
            }
        }
        self.finish_response(keeps_alive);
        Next::Done
    }

    pub(super) fn finish_head(&mut self, mut head: String) {
        if let Some(date) = self.date {
            let _ = write!(head, "Date: {date}\r\n");
        }
        head.push_str("\r\n");
        self.output.push_owned(head.as_bytes(), Purpose::Reply);
    }

    pub(super) fn finish_response(&mut self, keeps_alive: bool) {
        if keeps_alive && !self.is_half_closed {
            self.phase = Phase::Head(head::Reader::default());
            self.set_deadline(Timer::Idle);
        } else {
            self.start_closing();
        }
    }

    /// Answers a request that cannot be trusted, and closes.
    pub(super) fn refuse(&mut self, why: Refusal) {
        match core::mem::replace(&mut self.phase, Phase::Closing) {
            Phase::Head(reader) => self.refuse_with("", reader.is_for_head(), why),
            Phase::Body(body) => {
                let request = &body.0.request;
                self.refuse_with(request.path(), request.method() == Method::Head, why);
            }
            _ => self.refuse_with("", false, why),
        }
    }

    /// As `refuse`, for a request that is known to be for that path, or for a head alone.
    pub(super) fn refuse_with(&mut self, path: &str, is_head: bool, why: Refusal) {
        let response = Response::error_for(path, why.status(), why.reason());
        let version = Version::Http11;
        let asked =
            Asked { id: RequestId(0), is_head, version, keeps_alive: false, is_api: false, key: None };
        self.write_response(&asked, &response);
        self.events.push_back(Event::Refused(why));
    }
}
