//! What every protocol and format builds on: shared bytes, the two clocks, checked reading of fields.
//!
//! Nothing here knows of any of them, and nothing here uses another module of the crate.

pub mod payload;
pub mod time;
pub mod wire;

pub use payload::Payload;
pub use time::{MonoTime, Timestamp};
