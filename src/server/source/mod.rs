//! Sources: live streams that the server feeds by itself, from files, pipes, commands and other servers.
//!
//! Each is a job of its own ([`run`]) around a [`Producer`], of which there is one kind for each kind of input. A source that
//! fails ends nothing but itself, and is started again after a while.
//!
//! | file | what |
//! |---|---|
//! | `spec` | what `--source` and `--pull` say |
//! | `run` | the job: on demand or at once, publish, give way, try again |
//! | `file` | files in real time, looped; `raw` reads those without a container |
//! | `pipe`, `demux`, `format`, `clock` | named pipes and standard input: bytes, tags, times |
//! | `exec` | commands whose standard output is such a pipe |
//! | `pull`, `rtsp` | a stream of another server, or of a camera |

mod clock;
mod demux;
mod exec;
mod file;
mod format;
mod pipe;
mod pull;
mod raw;
mod rtsp;
mod run;
mod spec;

pub use super::{
    backoff::{Backoff, Retry},
    registry::Ending,
};
pub use file::open_media;
pub use format::{InputFormat, RawFormat};
pub use spec::{Input, SourceConfig, SpecError, Start, split};

pub(super) use pull::shown;
pub(super) use run::{Lifetime, start, start_at};

use super::client::{ClientOptions, StreamUrl};
use crate::{base::MonoTime, flv::Tag};
use alloc::{boxed::Box, string::String};
use core::time::Duration;

/// What feeds a stream, once it is open. Dropped to close it.
pub trait Producer {
    /// What comes next; returns [`Produced::Nothing`] after [`LOOK`] at the latest.
    ///
    /// # Errors
    /// It is of no more use; the text says why and is for the log.
    fn next(&mut self, now: MonoTime) -> Result<Produced, String>;
}

/// What comes out of a [`Producer`].
#[derive(Debug)]
pub enum Produced {
    /// A tag, not to be sent before it is due.
    Tag {
        /// The tag.
        tag: Tag,
        /// When, on the clock of whoever asks.
        due: MonoTime,
    },
    /// Nothing for now.
    Nothing,
    /// So many places were passed over since the last time.
    Damaged(u64),
    /// The stream is over, in that way, and may begin anew.
    Ended(Ending),
    /// Everything was sent; there will be no more.
    Over,
}

/// Whoever waits for something outside of the program looks this often whether he is still wanted.
const LOOK: Duration = Duration::from_millis(200);

/// Gets what a command writes to standard error, line by line.
pub type Listener = Box<dyn Fn(&str)>;

impl Input {
    /// Whether it comes when it comes, so that it can neither be looked at before nor begin again.
    pub fn is_live(&self) -> bool {
        match self {
            Input::Demo => false,
            Input::File { name, .. } => pipe::is_pipe(name),
            Input::Stdin { .. } | Input::Command { .. } | Input::Server(_) => true,
        }
    }

    /// Opens it at `now`. `client`: how to be one, if it is another server.
    ///
    /// # Errors
    /// It cannot be read, started or reached; the text is for the log.
    pub fn open(
        &self,
        now: MonoTime,
        client: &ClientOptions,
        listener: Listener,
    ) -> Result<Box<dyn Producer>, String> {
        match self {
            Input::Demo => file::demo(now),
            Input::File { name, format, fps, .. } if self.is_live() => pipe::open(name, *format, *fps),
            Input::File { name, format, fps, is_looped } => file::open(now, name, *format, *fps, *is_looped),
            Input::Stdin { format, fps } => Ok(pipe::stdin(*format, *fps)),
            Input::Command { command, format, fps } => exec::open(command, *format, *fps, listener),
            Input::Server(StreamUrl::Rtmp(url)) => pull::open(url, client),
            Input::Server(StreamUrl::Rtsp(url)) => rtsp::open(url, client),
        }
    }
}
