//! When to try again, and how long to wait before.

use crate::{client::Progress, common::Failure};
use std::time::{Duration, Instant};
use weir::server::{
    client::{ClientError, Interrupt},
    source::{Backoff, Retry as Pauses},
};

/// Attempts that are left, and the pause before the next.
pub(crate) struct Retry {
    /// Without success in between.
    allowed: u32,
    failed: u32,
    /// Since when there is a connection, unless it has failed since.
    connected: Option<Instant>,
    /// There was one.
    has_worked: bool,
    backoff: Backoff,
    interrupt: Interrupt,
}

impl Retry {
    pub(crate) fn new(allowed: u32, interrupt: Interrupt) -> Retry {
        Retry {
            allowed,
            failed: 0,
            connected: None,
            has_worked: false,
            backoff: Backoff::new(pauses()),
            interrupt,
        }
    }

    /// The server has let us in.
    pub(crate) fn connected(&mut self) {
        self.connected = Some(Instant::now());
        self.has_worked = true;
    }

    /// Waits until it is time for another attempt.
    ///
    /// # Errors
    /// `error`, if there is to be none.
    pub(crate) fn after(&mut self, error: ClientError, progress: &Progress) -> Result<(), Failure> {
        let worked = self.connected.take().map(|since| since.elapsed()).unwrap_or_default();
        // One that breaks at once, every time, is no success.
        if worked >= pauses().steady {
            self.failed = 0;
        }
        if self.failed >= self.allowed || !self.may_pass(&error) {
            return Err(error.into());
        }
        self.failed += 1;
        let pause = self.backoff.failed(worked);
        let (count, allowed) = (self.failed, self.allowed);
        progress.line(&format!("{error}; again in {:.1} s ({count} of {allowed})", pause.as_secs_f64()));
        self.interrupt.sleep(pause);
        Ok(())
    }

    /// Whether it can be otherwise next time.
    fn may_pass(&self, error: &ClientError) -> bool {
        match error {
            ClientError::Url(_) | ClientError::Interrupted { .. } => false,
            // The server stops, or still holds the key for the connection that was lost.
            ClientError::Refused { code, .. } => {
                code == SHUTDOWN || self.has_worked && code == "NetStream.Publish.BadName"
            }
            _ => true,
        }
    }
}

/// The server's word that it is going, whatever comes after.
pub(crate) const SHUTDOWN: &str = "NetConnection.Connect.AppShutdown";

/// One connection that lasts for `steady` was a success.
fn pauses() -> Pauses {
    Pauses {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(10),
        steady: Duration::from_secs(2),
        ..Pauses::default()
    }
}
