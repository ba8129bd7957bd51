//! What passes when a deadline does.

use super::*;

impl Session {
    /// Deals with a deadline that has come and was taken out.
    pub(super) fn expire(&mut self, timer: Timer) -> Result<(), Error> {
        match timer {
            Timer::Head | Timer::Body => {
                if matches!(&self.phase, Phase::Head(reader) if reader.is_empty()) {
                    return Err(self.fail(ErrorKind::TimedOut(timer)));
                }
                self.refuse(Refusal::TooSlow(timer));
            }
            // The peer still reads the last response, or media that an answer or a ping stands behind.
            Timer::Idle | Timer::Linger | Timer::PingDue | Timer::PingReply if self.awaits_reader() => {
                self.set_deadline(timer);
            }
            Timer::Idle | Timer::Linger => self.close_now(),
            Timer::PingDue => self.ping(),
            Timer::PingReply => return Err(self.fail(ErrorKind::TimedOut(timer))),
        }
        Ok(())
    }

    /// Output waits, so whether the peer lives is seen by what it takes, which the caller watches. Who was too slow has had
    /// that time.
    fn awaits_reader(&self) -> bool {
        !self.output.is_empty() && !self.is_too_slow
    }

    /// Sets the deadline, in place of the one before, if the limits have it.
    pub(super) fn set_deadline(&mut self, timer: Timer) {
        let rest = match timer {
            Timer::Head => self.limits.head_timeout,
            Timer::Body => self.limits.body_timeout,
            Timer::Idle => self.limits.idle_timeout,
            Timer::PingDue => self.limits.ping_interval,
            Timer::PingReply => Some(self.limits.ping_timeout),
            Timer::Linger => Some(self.limits.linger_timeout),
        };
        self.deadline = rest.map(|rest| (timer, self.now + rest));
    }

    /// Sent while nothing else waits, so that the time for the answer runs from when it has left, not from when it was
    /// queued behind seconds of video. Re-armed lazily, as in RTMP: input only notes the time.
    fn ping(&mut self) {
        let Some(interval) = self.limits.ping_interval else { return };
        let due = self.last_input + interval;
        if due > self.now {
            self.deadline = Some((Timer::PingDue, due));
        } else {
            self.send_control(Opcode::Ping, &[]);
            self.set_deadline(Timer::PingReply);
        }
    }
}
