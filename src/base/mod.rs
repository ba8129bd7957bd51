//! What every protocol and format builds on: shared bytes and the queue they leave by, the two clocks, the life of a
//! session, checked reading of fields, base64, pseudo-random numbers, sorting.
//!
//! Nothing here uses another module of the crate, and nothing knows of protocols but `sniff`, which tells them apart.

pub mod base64;
pub mod life;
pub mod output;
pub mod payload;
pub mod random;
pub mod sniff;
pub mod sort;
pub mod time;
pub mod wire;

pub use life::{CloseReason, State};
pub use output::{Output, Purpose, SendError};
pub use payload::Payload;
pub use random::SplitMix64;
pub use time::{MonoTime, Timestamp};
