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
            // The peer still reads the last response.
            Timer::Idle if !self.output.is_empty() => self.set_deadline(timer, self.limits.idle_timeout),
            Timer::Linger if !self.output.is_empty() => {
                self.set_deadline(timer, Some(self.limits.linger_timeout));
            }
            Timer::Idle | Timer::Linger => self.close_now(),
            Timer::PingDue => self.ping(),
            Timer::PingReply => return Err(self.fail(ErrorKind::TimedOut(timer))),
        }
        Ok(())
    }

    /// Re-armed lazily, as in RTMP: input only notes the time.
    fn ping(&mut self) {
        let Some(interval) = self.limits.ping_interval else { return };
        let due = self.last_input + interval;
        if due > self.now {
            self.deadline = Some((Timer::PingDue, due));
        } else {
            self.send_control(Opcode::Ping, &[]);
            self.set_deadline(Timer::PingReply, Some(self.limits.ping_timeout));
        }
    }
}
