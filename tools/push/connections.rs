//! Something on its way to a server, over as many connections as it takes.

use crate::{client::Setup, common::Failure};
use weir::server::client::{ClientError, Publisher, RtmpUrl};

/// Where something goes, and how.
pub(crate) struct Way {
    pub(crate) setup: Setup,
    pub(crate) url: RtmpUrl,
    /// As fast as the server takes it.
    pub(crate) is_fast: bool,
}

/// What is sent.
pub(crate) trait Sending {
    fn way(&mut self) -> &mut Way;

    /// Sends up to its end, over one connection.
    fn send(&mut self, publisher: &mut Publisher) -> Result<(), Stop>;

    /// The connection was lost: goes to where the next one begins.
    fn go_back(&mut self) -> Result<(), Failure>;

    /// Sends all of it.
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            match self.connection() {
                Ok(how) => {
                    self.way().setup.progress.finish(how);
                    return Ok(());
                }
                Err(Stop::Source(failure)) => return Err(failure),
                Err(Stop::Connection(error)) => {
                    let setup = &mut self.way().setup;
                    setup.retry.after(error, &setup.progress)?;
                }
            }
            let setup = &mut self.way().setup;
            if setup.options.interrupt.is_raised() {
                setup.progress.finish("interrupted");
                return Ok(());
            }
            self.go_back()?;
        }
    }

    /// One connection. How it ended.
    fn connection(&mut self) -> Result<&'static str, Stop> {
        let way = self.way();
        let mut publisher = Publisher::open(&way.url, &way.setup.options)?;
        way.setup.retry.connected();
        let how = match self.send(&mut publisher) {
            Err(Stop::Connection(ClientError::Interrupted { .. })) => Ok("interrupted"),
            Err(Stop::Connection(error)) => return Err(error.into()),
            // Players hear that it is over, whyever.
            result => result.map(|()| "sent"),
        };
        publisher.finish()?;
        how
    }
}

/// Why a connection is over before what it sends is.
pub(crate) enum Stop {
    Source(Failure),
    Connection(ClientError),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Source(failure)
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Stop {
        Stop::Connection(error)
    }
}
