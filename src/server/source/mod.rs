//! Sources: live streams that the server feeds by itself, from files, pipes, commands and other servers.
//!
//! Each is a job of its own ([`run`]) around a [`Feed`], of which there is one kind for each kind of input. A source that
//! fails ends nothing but itself, and is started again after a while.
//!
//! | file | what |
//! |---|---|
//! | `spec` | what `--source` and `--pull` say |
//! | `run` | the job: on demand or at once, publish, give way, try again |
//! | `file` | files in real time, looped; `raw` reads those without a container |
//! | `pipe`, `demux`, `format`, `clock` | named pipes and standard input: bytes, tags, times |
//! | `exec` | commands whose standard output is such a pipe |
//! | `pull` | a stream of another RTMP server |

mod clock;
mod demux;
mod exec;
mod file;
mod format;
mod pipe;
mod pull;
mod raw;
mod run;
mod spec;

pub use super::backoff::{Backoff, Retry};
pub use file::open_media;
pub use format::Format;
pub use spec::{Input, SourceConfig, SpecError, Start, split};

pub(super) use pull::shown;
pub(super) use run::{Lifetime, start, start_at};

use super::registry::Ending;
use crate::{flv::Tag, rtmp::MonoTime};
use alloc::string::String;
use core::time::Duration;

/// What feeds a stream, once it is open. Dropped to close it.
trait Feed {
    /// What comes next; returns [`Fed::Nothing`] after [`LOOK`] at the latest.
    ///
    /// # Errors
    /// The feed is of no more use; the text says why and is for the log.
    fn next(&mut self, now: MonoTime) -> Result<Fed, String>;
}

/// What comes out of a [`Feed`].
enum Fed {
    /// A tag, not to be sent before it is due.
    Tag { tag: Tag, due: MonoTime },
    /// Nothing for now.
    Nothing,
    /// The stream is over, in that way, and may begin anew on this feed.
    Ended(Ending),
    /// Everything was sent; there will be no more.
    Over,
}

/// Whoever waits for something outside of the program looks this often whether he is still wanted.
const LOOK: Duration = Duration::from_millis(200);
